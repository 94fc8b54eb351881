"""Choices and loops: their graphs are read where they stand."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.errors import ModelError
from graphc.onnx.operators import Call, operator
from graphc.onnx.values import Value, is_known, symbol

MOST_STEPS = 1024  # of a loop whose body is read for each


@operator("If")
def if_(call: Call) -> Any:
    test = call.value(0)
    if is_known(test):
        return tuple(call.subgraph("then_branch" if bool(test.reshape(-1)[0]) else "else_branch"))

    def branch(name: str) -> Any:
        return lambda: tuple(symbol(v) for v in call.subgraph(name))

    for name in ("then_branch", "else_branch"):
        if len(call.attrs[name].output) != len(call.outputs):
            raise call.error(f"its {name} has {len(call.attrs[name].output)} outputs instead of {len(call.outputs)}")
    try:
        return tuple(gx.cond(gx.reshape(symbol(test), ()), branch("then_branch"), branch("else_branch")))
    except gx.GraphError as error:
        if call.reader.needed(symbol(test)):
            raise
        raise call.error(error.message, hint="sizes decide: gx.onnx.load(..., sizes={...})") from error


def _true(value: Any) -> bool:
    return is_known(value) and bool(np.all(value))


@operator("Loop")
def loop(call: Call) -> Any:
    body = call.attrs["body"]
    carried = [call.value(i) for i in range(2, len(call.inputs))]
    count = len(carried)
    kept = len(body.output) - 1 - count
    if kept < 0:
        raise call.error(f"its body has {len(body.output)} outputs, and {count + 1} are the least")
    trips = call.value(0) if call.given(0) else None
    if kept and trips is not None:
        trips = call.known(0, "number of steps")  # it is the number of rows
    start = call.value(1) if call.given(1) else None

    def step(i: Value, state: Any) -> tuple[Any, Any, Any]:
        go, *made = call.subgraph("body", i, np.asarray(True), *state)
        return go, [symbol(v) for v in made[:count]], [symbol(v) for v in made[count:]]

    if kept and start is not None:
        start = call.known(1, "condition")
    first = [symbol(v) for v in carried]
    call.loop()
    try:
        probe = call.subgraph("body", gx.placeholder("i", (), "int64"), np.asarray(True), *first)
    except ModelError:  # its sizes depend on the number of the step
        if trips is None or not is_known(trips) or (start is not None and not is_known(start)):
            raise
        return _written_out(call, int(trips.reshape(-1)[0]), start is None or _true(start), carried)
    always = (_true(probe[0]) or _passes(body)) and (start is None or _true(start))
    if trips is not None and is_known(trips) and always:
        n = trips.reshape(-1)[0]
        n = n if isinstance(n, gx.Dim) else int(n)

        def body_of(state: Any, i: Any) -> Any:
            _, made, rows = step(i, state)
            return tuple(made), tuple(rows)

        last, rows = gx.scan(body_of, tuple(first), gx.arange(n, dtype="int64"))
        return (*last, *rows)
    if kept:
        raise call.error("how many rows it gives is data", hint="a size that only data tell is not read")
    most = None if trips is None else gx.reshape(symbol(trips), ())
    go0 = gx.reshape(symbol(np.asarray(True) if start is None else start), ())

    def holds(state: Any) -> Any:
        i, go, _ = state
        return go if most is None else go & (i < most)

    def advance(state: Any) -> Any:
        i, _, values = state
        go, made, _ = step(i, values)
        return i + 1, gx.reshape(symbol(go), ()), tuple(made)

    _, _, last = gx.while_loop(holds, advance, (gx.zeros((), "int64"), go0, tuple(first)))
    return tuple(last)


def _written_out(call: Call, trips: int, go: bool, carried: list[Any]) -> tuple[Any, ...]:
    """A loop whose body is read once for each step."""
    rows: list[list[Any]] = [[] for _ in call.attrs["body"].output[1 + len(carried) :]]
    if trips > MOST_STEPS:
        raise call.error(f"its sizes depend on the number of the step, and it has {trips}", hint=f"{MOST_STEPS} is the most")
    for i in range(trips):
        if not go:
            break
        test, *made = call.subgraph("body", np.asarray(i), np.asarray(True), *carried)
        if not is_known(test):
            raise call.error("whether it goes on is data, and its sizes depend on the number of the step")
        go, carried = _true(test), made[: len(carried)]
        for column, value in zip(rows, made[len(carried) :], strict=True):
            column.append(symbol(value))
    if rows and not rows[0]:
        raise call.error("it has no step, so its rows have no type")
    return (*carried, *map(gx.stack, rows))


def _passes(body: Any) -> bool:
    """Whether a body hands its condition on as it is."""
    name, given = body.output[0].name, body.input[1].name
    made = {n.output[0]: n for n in body.node if len(n.output) == 1}
    while name in made and made[name].op_type == "Identity":
        name = made[name].input[0]
    return bool(name == given)


@operator("Scan")
def scan(call: Call) -> Any:
    if call.version >= 9:
        return _scanned(call, call.symbols())
    if call.given(0) or any(call.attr("directions", [])):  # of operator set 8: each sample of a batch by itself
        raise call.error("lengths of sequences, and directions, of operator set 8 are not read", hint="onnx.version_converter")
    given = [call[i] for i in range(1, len(call.inputs))]
    return gx.vmap(lambda *sample: _scanned(call, list(sample)))(*given)


def _scanned(call: Call, given: list[Any]) -> Any:
    body, count = call.attrs["body"], call.attrs["num_scan_inputs"]
    if not 0 <= count <= len(given):
        raise call.error(f"num_scan_inputs={count} of {len(given)} operands")
    states, rows = given[: len(given) - count], given[len(given) - count :]
    made = len(body.output) - len(states)
    call.loop()
    axes, backward = call.attr("scan_input_axes", [0] * count), call.attr("scan_input_directions", [0] * count)
    out_axes, out_backward = call.attr("scan_output_axes", [0] * made), call.attr("scan_output_directions", [0] * made)
    rows = [gx.moveaxis(r, a, 0) for r, a in zip(rows, axes, strict=True)]
    rows = [gx.flip(r, axis=0) if b else r for r, b in zip(rows, backward, strict=True)]

    def step(state: Any, row: Any) -> Any:
        found = [symbol(v) for v in call.subgraph("body", *state, *row)]
        return tuple(found[: len(states)]), tuple(found[len(states) :])

    last, given = gx.scan(step, tuple(states), tuple(rows))
    given = [gx.flip(r, axis=0) if b else r for r, b in zip(given, out_backward, strict=True)]
    return (*last, *(gx.moveaxis(r, 0, a) for r, a in zip(given, out_axes, strict=True)))
