"""Loops, choices, and graphs in which a size is data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from onnx import ValueInfoProto

from graphc.ir import types as t
from graphc.ir.combines import Combine
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node
from graphc.ir.scalar import scalar_text
from graphc.ir.types import TensorType
from graphc.onnx.saving.operators import elements, given, inlined, saves, value_of
from graphc.onnx.saving.writing import Scope, Value, Writer, info


def entered(w: Writer, called: Sequence[str], kinds: Sequence[TensorType]) -> tuple[list[Value], list[ValueInfoProto]]:
    """The inputs of a body."""
    made = [Value(w.fresh(name), kind.dtype) for name, kind in zip(called, kinds, strict=True)]
    return made, [info(v.name, kind) for v, kind in zip(made, kinds, strict=True)]


def left(w: Writer, scope: Scope, values: Sequence[Value], kinds: Sequence[TensorType]) -> list[ValueInfoProto]:
    """The outputs of a body: values that it makes itself, each once."""
    outputs: list[ValueInfoProto] = []
    own = {name for node in scope.nodes for name in node.output}
    for value, kind in zip(values, kinds, strict=True):
        if value.name not in own or value.name in {o.name for o in outputs}:
            value = w.again(value)
        outputs.append(info(value.name, kind))
    return outputs


Step = Callable[[list[Value]], Sequence[Value]]  # from states and slices to new states and results
FLAG, NUMBER = TensorType(t.bool_, ()), TensorType(t.int64, ())


@saves("scan")
def scan(w: Writer, node: Node, body: Graph, carries: int, sequences: int, steps: Size, reverse: bool) -> tuple[Value, ...]:
    values, last = given(w, node), carries + sequences

    def step(own: list[Value]) -> Sequence[Value]:
        return inlined(w, body, [*own, *values[last:]])

    names, kinds = [str(x.attrs["name"]) for x in body.inputs[:last]], [x.type for x in body.inputs[:last]]
    return repeated(w, step, names, kinds, [y.type for y in body.outputs], values[:carries], values[carries:last], steps, reverse)


def repeated(
    w: Writer, step: Step, names: Sequence[str], kinds: Sequence[TensorType], gives: Sequence[TensorType],
    states: Sequence[Value], rows: Sequence[Value], steps: Size, reverse: bool = False,
) -> tuple[Value, ...]:  # fmt: skip
    """The last states and all results of steps over the first axes of `rows`.

    Scan where there are steps for certain; else Loop, as onnxruntime's Scan of no steps divides by 0.
    """
    dtypes = [kind.dtype for kind in gives]
    every = [*gives[: len(states)], *(TensorType(kind.dtype, (steps, *kind.shape)) for kind in gives[len(states) :])]
    if rows and isinstance(steps, int) and steps > 0:
        with w.body() as scope:
            own, inputs = entered(w, names, kinds)
            graph = w.graph(scope, w.fresh("body"), inputs, left(w, scope, step(own), gives))
        directions: dict[str, Any] = {}
        if reverse:
            directions = {"scan_input_directions": [1] * len(rows), "scan_output_directions": [1] * (len(gives) - len(states))}
        made = w.emit("Scan", [*states, *rows], dtypes, body=graph, num_scan_inputs=len(rows), **directions)
        for value, kind in zip(made, every, strict=True):
            w.declare(value, kind)
        return made
    count = w.size(steps)
    with w.body() as scope:
        own, inputs = entered(w, ["step", "go", *names[: len(states)]], [NUMBER, FLAG, *kinds[: len(states)]])
        at = own[0]
        if reverse and rows:
            at = w.op("Sub", w.op("Sub", count, w.scalar(1, t.int64)), at)
        slices = [w.move("Gather", x, at, axis=0) for x in rows]
        outputs = left(w, scope, [own[1], *step([*own[2:], *slices])], [FLAG, *gives])
        graph = w.graph(scope, w.fresh("body"), inputs, outputs)
    made = w.emit("Loop", [count, None, *states], dtypes, body=graph)
    for value, kind in zip(made[: len(states)], every, strict=False):
        w.declare(value, kind)
    stacked = zip(made[len(states) :], every[len(states) :], strict=True)
    results = tuple(w.reshape(y, kind.shape) for y, kind in stacked)  # where there was no step, the other sizes are lost
    if reverse:
        back = (w.ints([-1]), w.ints([-(2**63)]), w.ints([0]), w.ints([-1]))
        results = tuple(w.move("Slice", y, *back) for y in results)
    return (*made[: len(states)], *results)


@saves("while_loop")
def while_loop(w: Writer, node: Node, test: Graph, body: Graph, carries: int) -> tuple[Value, ...]:
    values = given(w, node)
    kinds = [y.type for y in body.outputs]
    (start,) = inlined(w, test, values)
    with w.body() as scope:
        names = ["step", "go", *(str(x.attrs["name"]) for x in body.inputs[:carries])]
        own, inputs = entered(w, names, [NUMBER, FLAG, *(x.type for x in body.inputs[:carries])])
        new = inlined(w, body, [*own[2:], *values[carries:]])
        (again,) = inlined(w, test, [*new, *values[carries:]])
        outputs = left(w, scope, [again, *new], [FLAG, *kinds])
        graph = w.graph(scope, w.fresh("body"), inputs, outputs)
    return w.emit("Loop", [None, start, *values[:carries]], [kind.dtype for kind in kinds], body=graph)


@saves("switch")
def switch(w: Writer, node: Node, branches: tuple[Graph, ...]) -> tuple[Value, ...]:
    index, *values = given(w, node)
    kinds = [y.type for y in branches[0].outputs]

    def branch(number: int) -> Any:
        with w.body() as scope:
            outputs = left(w, scope, inlined(w, branches[number], values), kinds)
            return w.graph(scope, w.fresh(f"branch{number}"), [], outputs)

    dtypes = [kind.dtype for kind in kinds]
    if len(branches) == 1:
        return tuple(inlined(w, branches[0], values))
    chooser = node.inputs[0]
    if len(branches) == 2 and chooser.op.name == "astype" and chooser.inputs[0].type.dtype.is_bool:
        return w.emit("If", [value_of(w, chooser.inputs[0])], dtypes, then_branch=branch(1), else_branch=branch(0))
    rest: Any = branch(len(branches) - 1)
    for number in reversed(range(len(branches) - 1)):
        mine = branch(number)
        if number == 0:
            break
        with w.body() as scope:
            here = w.op("LessOrEqual", index, w.scalar(number, t.int64), dtype=t.bool_)
            made = w.emit("If", [here], dtypes, then_branch=mine, else_branch=rest)
            rest = w.graph(scope, w.fresh("others"), [], left(w, scope, made, kinds))
    first = w.op("LessOrEqual", index, w.scalar(0, t.int64), dtype=t.bool_)
    return w.emit("If", [first], dtypes, then_branch=mine, else_branch=rest)


@saves("sized")
def sized(w: Writer, node: Node, body: Graph, size: str) -> tuple[Value, ...]:
    """The body as it is: a size that is data is nothing else to ONNX than another."""
    number, *values = given(w, node)
    return tuple(inlined(w, body, values, {size: w.op("Max", number, w.scalar(0, t.int64))}))


def stepped(w: Writer, node: Node, combine: Combine, axis: int) -> Value:
    """A running combination, one element after the other."""
    kind = node.type
    dtype, size = kind.dtype.arithmetic, kind.shape[axis]
    order = [axis, *(a for a in range(kind.rank) if a != axis)]
    xs = [w.cast(x, dtype) for x in given(w, node)]
    xs = [w.move("Transpose", x, perm=order) for x in xs] if axis else xs
    part = TensorType(dtype, tuple(n for a, n in enumerate(kind.shape) if a != axis))
    first = w.expand(w.scalar(combine.neutral(dtype).value, dtype), part.shape)

    def step(own: list[Value]) -> Sequence[Value]:
        k = elements(w, part, [(part, v) for v in own])
        found = k.whole(scalar_text(combine.code)(k, *(k.load(i, k.loops) for i in range(len(own)))), dtype)
        return found, found

    _, made = repeated(w, step, ["last", *("x" for _ in xs)], [part] * (1 + len(xs)), [part, part], [first], xs, size)
    if axis:
        made = w.move("Transpose", made, perm=[order.index(a) for a in range(kind.rank)])
    return w.cast(made, kind.dtype)
