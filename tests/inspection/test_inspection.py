"""What a compiled object tells about itself, and what the doctor finds. No test depends on how long anything takes."""

from __future__ import annotations

import json
import linecache
import os
import re
import stat
import xml.etree.ElementTree as xml
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.__main__ import main
from graphc.backends.executable import Timing
from graphc.errors import GraphError, InputError, ShapeError
from graphc.inspection import machine
from graphc.inspection.flops import flops
from graphc.inspection.profile import Profile, Row
from graphc.ir.combines import ADD
from graphc.ir.dims import dim, evaluate
from graphc.ir.html import html_table
from graphc.ir.program import Axis, Contract, Kernel, Loop, Param, Reduce
from graphc.ir.scalar import Const, Let, Ref
from graphc.ir.types import TensorType, float32, int64

Array = np.ndarray[Any, Any]
HERE = Path(__file__).name


def training_step(backend: str = "llvm", passes: Any = None) -> tuple[gx.Compiled, list[gx.Variable]]:
    """Two layers, momentum: products, a softmax, column sums, and updates in place."""
    x, t = gx.placeholder("x", ("batch", 12), "float32"), gx.placeholder("t", ("batch",), "int64")
    rng = np.random.default_rng(0)
    w, v = (gx.variable(rng.normal(size=s).astype("float32"), name=n) for n, s in (("w", (12, 40)), ("v", (40, 5))))
    b = gx.variable(np.zeros(40, "float32"), name="b")
    loss = gx.nn.cross_entropy(gx.nn.relu(x @ w + b) @ v, t)
    updates = {p: p - 0.1 * g for p, g in zip([w, b, v], gx.grad(loss, [w, b, v]), strict=True)}
    return gx.compile([x, t], loss, updates=updates, backend=backend), [w, b, v]


def batch(size: int = 33) -> tuple[Array, Array]:
    rng = np.random.default_rng(1)
    return rng.normal(size=(size, 12)).astype("float32"), rng.integers(0, 5, size)


# --- memory ----------------------------------------------------------------------------------------------------------


def test_memory_as_expressions_and_as_numbers() -> None:
    x = gx.placeholder("x", ("batch", 100), "float32")
    w = gx.variable(np.zeros((100, 16), "float32"), name="w")
    f = gx.compile([x], [gx.sum(x @ w, axis=0), gx.exp(x @ w)], updates={w: w + gx.constant(np.ones((100, 16), "float32"))})
    found = f.memory
    assert (found.inputs, found.outputs) == (dim("400*batch"), dim("64*batch+64"))
    assert (found.variables, found.constants) == (6400, 0)  # the constant became a fill
    numbers = found.at(batch=7)
    assert dict(numbers) == {name: evaluate(size, {"batch": 7}) for name, size in found}
    assert numbers.peak == sum(size for name, size in numbers if name != "scratch") + numbers.threads * numbers.scratch


@pytest.mark.parametrize("size", [1, 33, 1000])
def test_memory_is_what_a_call_allocates(size: int) -> None:
    step, _ = training_step()
    step(*batch(size))
    binding = step._executable._last
    numbers = step.memory.at(batch=size)
    assert (numbers.arena, numbers.scratch) == (binding.arena_bytes, binding.scratch_bytes)
    assert numbers.arena > 0 and numbers.scratch > 0


def test_constants_count() -> None:
    x = gx.placeholder("x", (3,), "float64")
    assert gx.compile([x], x + gx.constant([1.0, 2.0, 4.0])).memory.constants == 24


def test_memory_prints() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    text = str(gx.compile([x], gx.exp(x)).memory)
    assert re.search(r"^inputs +8\*n$", text, re.MULTILINE)
    assert re.search(r"^peak +16\*n$", text, re.MULTILINE)
    assert re.search(r"^inputs +8,000$", str(gx.compile([x], gx.exp(x)).memory.at(n=1000)), re.MULTILINE)


def test_memory_names_the_size_that_is_missing() -> None:
    x = gx.placeholder("x", ("rows", "columns"), "float64")
    with pytest.raises(InputError, match=r"memory.at misses columns(.|\n)*hint: memory.at\(columns=..., rows=...\)"):
        gx.compile([x], x + 1).memory.at(rows=3)


# --- profile ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2])
def test_a_profile_changes_nothing(threads: int) -> None:
    before = gx.get_num_threads()
    gx.set_num_threads(threads)
    try:
        step, variables = training_step()
        other, others = training_step()
        old = [v.value.copy() for v in variables]
        step.profile(*batch())
        assert all(np.array_equal(v.value, o) for v, o in zip(variables, old, strict=True))
        assert step(*batch()) == other(*batch())
        assert all(v.value.tobytes() == o.value.tobytes() for v, o in zip(variables, others, strict=True))
    finally:
        gx.set_num_threads(before)


def test_every_repetition_starts_from_the_same_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that writes over what it reads is run many times: the program's results are those of one run each."""
    from graphc.backends.llvm import stopwatch

    step, variables = training_step()
    other, others = training_step()
    other(*batch())
    kept: list[list[Array]] = []
    each = stopwatch._each

    def watched(run: Any, *rest: Any) -> Any:
        yield from each(run, *rest)
        kept.append([v.value.copy() for v in variables])

    monkeypatch.setattr(stopwatch, "_each", watched)
    step.profile(*batch())
    assert [a.tobytes() for a in kept[0]] == [v.value.tobytes() for v in others]


def test_a_profile_has_a_row_for_each_call() -> None:
    step, _ = training_step()
    found = step.profile(*batch())
    assert [row.kernel for row in found] == [call.kernel.name for call in step.program.calls]
    assert len(found) == len(found.rows) and not found.interpreted
    assert all(row.seconds >= 0 and row.threads >= 1 for row in found)
    assert found.total == sum(row.seconds for row in found)
    first = next(row for row in found if row.what.startswith("matmul"))
    assert first.dtype == "float32" and first.where is not None and Path(first.where.file).name == HERE


def test_profile_takes_arguments_as_a_call_does() -> None:
    step, _ = training_step()
    x, t = batch()
    assert len(step.profile(t=t, x=x)) == len(step.program.calls)
    assert len(step.profile(x.tolist(), t=t)) == len(step.program.calls)
    with pytest.raises(InputError, match="misses input 't'"):
        step.profile(x)
    with pytest.raises(ShapeError, match="input x needs"):
        step.profile(x[:, :3], t)
    assert len(step.profile(x[:0], t[:0])) == len(step.program.calls)


def test_bytes_and_flops() -> None:
    a, b = gx.placeholder("a", ("m", 30), "float64"), gx.placeholder("b", (30, 20), "float64")
    w = gx.variable(np.zeros(1000, "float32"), name="w")
    (row,) = gx.compile([a, b], gx.maximum(a @ b + 1, 0)).profile(np.ones((10, 30)), np.ones((30, 20)))
    assert (row.bytes, row.flops, row.dtype) == (8 * (10 * 30 + 30 * 20 + 10 * 20), 10 * 20 * (2 * 30 + 1), "float64")
    (row,) = gx.compile([], [], updates={w: w * 2 + 1}).profile()
    assert (row.bytes, row.flops) == (8000, 2000)  # read and written in place
    x = gx.placeholder("x", ("n",), "int64")
    (row,) = gx.compile([x], x * 3).profile(np.arange(10))
    assert (row.bytes, row.flops, row.dtype, row.speed) == (160, 0, "", 0)


def test_flops_of_loops_whose_bounds_depend_on_each_other() -> None:
    """A triangle: for i < n, for j < i: one addition; and tiles of 7 that cut n at its end."""
    add = Reduce("a", float32, ADD, Const(1.0, float32))
    y = Param("y", TensorType(float32, ()), "out")

    def kernel(parallel: Axis, body: tuple[Any, ...]) -> Kernel:
        return Kernel("k", (y,), (parallel,), body)

    triangle = kernel(Axis("i", dim("n")), (Loop("j", dim("i"), (add,)),))
    assert flops(triangle, {"n": 100}) == 100 * 99 // 2
    assert flops(triangle, {"n": 0}) == 0
    assert flops(triangle, {"n": 5000}) == pytest.approx(5000 * 4999 / 2, rel=2e-3)  # every fifth row is looked at
    start, stop = dim("7*t"), dim("7*t+7") - gx.ir.dims.maximum(dim("7*t+7-n"), 0)
    tiles = kernel(Axis("t", dim("(n+6)//7")), (Loop("j", stop, (add,), start),))
    assert [flops(tiles, {"n": n}) for n in (1, 7, 8, 100)] == [1, 7, 8, 100]


def test_flops_of_statements() -> None:
    one, x = Const(1.0, float32), Ref("x", float32)
    body = (
        Let("a", float32, "fma", (x, x, one)),
        Let("b", float32, "div", (x, x)),
        Let("c", float32, "select", (x, x, x)),
        Let("d", int64, "add", (Const(1, int64), Const(1, int64))),
    )
    kernel = Kernel("k", (), (Axis("i", 10),), body)
    assert flops(kernel, {}) == 30
    block = gx.ir.program.Block((Let("a", float32, "mul", (x, x)),), Ref("a", float32))
    product = Contract(Axis("m", 2), Axis("n", 3), Axis("k", 5), block, block, "r", float32, body)
    assert flops(Kernel("k", (), (), (product,)), {}) == 2 * 30 + 10 + 15 + 6 * 3


@pytest.mark.parametrize("n", [5, 40, 600, 5000])
def test_flops_of_sums_are_those_that_are_declared(n: int) -> None:
    """Whether a sum is split into lanes and blocks, and whether its length is known: its errors and its joins are no work."""
    a, b = gx.placeholder("a", (3, 700), "float32"), gx.placeholder("b", (700, 4), "float32")
    for size in (n, "n"):
        x, v = gx.placeholder("x", (3, size), "float32"), gx.placeholder("v", (size,), "float64")
        z = gx.placeholder("z", (size, 64), "float32")
        f = gx.compile([x, v, z, a, b], [gx.sum(x, axis=1), gx.max(x, axis=1), gx.sum(v), gx.sum(z, axis=0), a @ b])
        given = [np.ones(shape, "float32") for shape in ((3, n), (n,), (n, 64), (3, 700), (700, 4))]
        rows, total, columns, product = 2 * 3 * (n - 1), n - 1, 64 * n, 2 * 3 * 700 * 4
        assert sum(row.flops for row in f.profile(*given)) == rows + total + columns + product


def test_the_interpreter_has_a_row_for_each_node() -> None:
    step, variables = training_step("interpreter")
    old = [v.value.copy() for v in variables]
    found = step.profile(*batch())
    assert found.interpreted and len(found) == sum(not n.is_leaf for n in step.graph.nodes)
    assert all(np.array_equal(v.value, o) for v, o in zip(variables, old, strict=True))
    (product, *_) = (row for row in found if row.what == "matmul")
    assert product.flops == 2 * 33 * 12 * 40 and product.bytes == 4 * (33 * 12 + 12 * 40 + 33 * 40)
    assert {row.kernel[1:] for row in found} <= set(gx.ir.text.names_of(step.graph).values())


def rows(*more: dict[str, Any]) -> tuple[Row, ...]:
    first = {
        "kernel": "k0", "what": "matmul", "where": None, "seconds": 2e-3, "bytes": 4_000_000, "flops": 10**9, "threads": 2,
        "dtype": "float32",
    }  # fmt: skip
    return tuple(Row(**{**first, **changes}) for changes in ({}, *more))  # type: ignore[arg-type]


def test_the_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "bandwidth", lambda size: 100e9)
    monkeypatch.setattr(machine, "arithmetic", lambda dtype: {"float32": 1e12}[dtype])
    cheap = {"kernel": "k1", "what": "add", "seconds": 1e-3, "flops": 0, "dtype": "", "bytes": 50_000_000, "threads": 1}
    text = str(Profile(rows({}, cheap), False)).splitlines()
    assert [line.split() for line in text] == [
        ["kernel", "what", "calls", "time", "share", "moved", "computed", "bandwidth", "speed", "of", "peak", "threads", "line"],
        "k0 matmul 2 4 ms 80% 8 MB 2 GFLOP 2 GB/s 500 GFLOP/s 50% arithmetic 2".split(),
        "k1 add 1 1 ms 20% 50 MB 0 FLOP 50 GB/s 0 FLOP/s 50% memory 1".split(),
        "total 3 5 ms 58 MB 2 GFLOP 11.6 GB/s 400 GFLOP/s".split(),
    ]
    assert str(Profile(rows(), True)).startswith("interpreted: every node by NumPy\n")


def test_no_row_is_beyond_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a kernel reached raises the machine's peak, if the measurement of the peak was disturbed."""
    monkeypatch.setattr(machine, "bandwidth", lambda size: 1e9)
    monkeypatch.setattr(machine, "arithmetic", lambda dtype: 1e9)
    found = Profile(rows({"seconds": 1e-3}, {"bytes": 8_000_000}, {"bytes": 0, "flops": 0}), False)
    assert [found.arithmetic_share(row) for row in found] == [0.5, 1, 0.5, 0]
    assert [found.memory_share(row) for row in found] == [0.5, 1, 1, 0]
    slow = Profile(rows({"seconds": 10.0}), False)
    assert (slow.memory_share(slow.rows[1]), slow.arithmetic_share(slow.rows[1])) == (4e5 / 2e9, 1e8 / 5e11)


def test_a_row_that_takes_no_time_has_no_speed() -> None:
    (_, row) = rows({"seconds": 0.0})
    assert (row.bandwidth, row.speed) == (0, 0)


def test_the_trace(tmp_path: Path) -> None:
    """Trace Event Format: an object with traceEvents; complete events (ph X) have name, cat, ts, dur, pid and tid."""
    Profile(rows({"kernel": "k1", "seconds": 1e-3}), False).to_chrome(tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text())
    assert set(trace) == {"traceEvents", "displayTimeUnit"} and trace["displayTimeUnit"] in ("ms", "ns")
    name, *events = trace["traceEvents"]
    assert name == {"ph": "M", "name": "process_name", "pid": 1, "tid": 1, "args": {"name": "graphc"}}
    assert [(e["ph"], e["name"], e["cat"], e["ts"], e["dur"]) for e in events] == [
        ("X", "k0", "kernel", 0, 2000), ("X", "k1", "kernel", 2000, 1000),
    ]  # fmt: skip
    assert all({"pid", "tid", "args"} <= set(e) and e["args"]["bytes"] == 4_000_000 for e in events)


def test_the_peaks_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured once for each size and number of threads; a size between two powers of two counts as the smaller."""
    measured = []

    def seconds(graph: Any, arrays: Any, sizes: Any) -> float:
        measured.append(sizes)
        return 1e-3

    monkeypatch.setattr(machine, "_seconds", seconds)
    machine._bandwidth.cache_clear()
    try:
        assert machine.bandwidth(1 << 20) == machine.bandwidth((1 << 21) - 1) == (1 << 20) / 1e-3
        assert machine.bandwidth(1) == machine.SMALLEST / 1e-3
        assert machine.bandwidth(1 << 40) == machine.LARGEST / 1e-3
        assert measured == [{"n": size // 8} for size in (1 << 20, machine.SMALLEST, machine.LARGEST)]
    finally:
        machine._bandwidth.cache_clear()


def test_the_peak_is_the_shortest_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Executable:
        times = staticmethod(lambda *_: [Timing(2.0, next(best), 1)])

    best = iter([1.0, 0.5, 0.25, 0.75])
    backend = type("B", (), {"build": staticmethod(lambda program, variables: Executable)})
    monkeypatch.setattr(machine, "load_backend", lambda name: backend)
    monkeypatch.setattr(machine, "SQUARE", 8)
    machine._arithmetic.cache_clear()
    try:
        assert machine.arithmetic("float64") == 2 * 8**3 / 0.25
    finally:
        machine._arithmetic.cache_clear()


# --- explain ---------------------------------------------------------------------------------------------------------


def explained(*outputs: gx.Tensor, inputs: list[gx.Tensor], updates: Any = None) -> list[tuple[str, str, str, str]]:
    """(writer, reader, bytes, first rule) of each boundary."""
    f = gx.compile(inputs, list(outputs), updates=updates)
    return [(b.writer, b.reader, str(b.bytes), b.rules[0]) for b in f.explain()]


X = gx.placeholder("x", ("n", 64), "float32")
ONES = gx.ones((64, 64), "float32")
FUSED = [gx.nn.softmax(X, axis=-1), gx.tanh(X @ ONES + 1)]
WHOLE = "a product needs whole rows and columns of its operands"


@pytest.mark.parametrize("y", FUSED)
def test_what_is_one_kernel_has_no_boundary(y: gx.Tensor) -> None:
    f = gx.compile([X], y)
    assert len(f.explain()) == 0
    assert str(f.explain()) == "there is no boundary: no kernel reads what another writes"


def test_rules() -> None:
    assert explained(gx.exp(X @ ONES) @ ONES, inputs=[X]) == [("k0", "k1", "256*n", WHOLE)]
    assert explained(gx.sum(X @ ONES, axis=1), inputs=[X]) == [
        ("k0", "k1", "256*n", "a reduction needs more than one element of what a product makes")
    ]
    assert explained(gx.sum(gx.exp(X) @ ONES, axis=0), inputs=[X])[-1] == (
        ("k1", "k2", "256*n", "a sum down the columns needs every row of what it adds")
    )
    parts, total = explained(X / gx.sum(X), inputs=[X])
    assert parts[3] == "a reduction over everything: a second kernel joins the parts that were reduced in parallel"
    assert total == ("k1", "k2", "4", "a reduction over everything is complete only when all of its parts are")


def test_a_rule_for_common_outer_loops_where_there_is_a_product() -> None:
    f = gx.compile([X], gx.exp(X @ ONES) @ ONES)
    (boundary,) = f.explain()
    assert boundary.rules == (WHOLE, "a product without a batch has more parallel work as a kernel of its own")
    assert boundary.where is not None and Path(boundary.where.file).name == HERE
    assert str(boundary).splitlines()[0].startswith(f"k0 -> k1   %{boundary.value}: f32[n, 64], 256*n bytes   {HERE}:")
    assert [line.strip() for line in str(f.explain()).splitlines()[1:]] == list(boundary.rules)


def test_a_kernel_that_must_run_in_between() -> None:
    e = gx.exp(X)
    found = explained(gx.exp(gx.sum(e @ ONES, axis=0)) + gx.sum(e, axis=0), inputs=[X])
    assert len(found) > 1 and all(rule for *_, rule in found)


def test_a_copy_into_a_variable_is_a_boundary() -> None:
    a, b = (gx.variable(np.zeros((64, 64), "float32"), name=n) for n in "ab")
    product = a @ b
    found = explained(inputs=[], updates={a: product, b: product})
    assert "a copy: the new value could not be written into the variable itself" in [rule for *_, rule in found]


def test_every_boundary_of_a_training_step_has_a_rule() -> None:
    step, _ = training_step()
    found = step.explain()
    assert all(b.rules and all(b.rules) for b in found)
    for b in found:
        assert [step.program.calls[i].kernel.name for i in b.calls] == [b.writer, b.reader]
    numbers = found.at(batch=1000)
    assert len(numbers) == len(found)
    sizes = [b.bytes for b in numbers]
    assert all(isinstance(n, int) for n in sizes) and sizes == sorted(sizes, reverse=True)


def test_every_boundary_of_a_block_of_a_transformer_has_a_rule() -> None:
    """Layer normalisation, attention and a residual, with their gradients: code that is moved, and computed again."""
    x = gx.placeholder("x", ("batch", 16, 8), "float32")
    weights = [gx.variable(np.ones((8, 8), "float32"), name=f"w{i}") for i in range(4)]
    scale, shift = gx.variable(np.ones(8, "float32"), name="scale"), gx.variable(np.zeros(8, "float32"), name="shift")
    normal = gx.nn.layer_norm(x, scale, shift)
    q, k, v = (normal @ w for w in weights[:3])
    y = x + gx.nn.gelu(gx.nn.attention(q, k, v, causal=True) @ weights[3])
    slopes = gx.grad(gx.sum(y * y), [*weights, scale, shift])
    found = gx.compile([x], slopes).explain()
    assert len(found) > 5
    assert [b for b in found if not b.rules] == []


def test_boundaries_are_all_that_kernels_hand_to_each_other() -> None:
    """Read from the final program by its memory: as many pairs of a writer and a reader, the readers the same."""
    step, _ = training_step()
    calls = step.program.calls
    pairs = set()
    for j, reader in enumerate(calls):
        for name, param in zip(reader.buffers, reader.kernel.params, strict=True):
            writers = [
                i for i in range(j) for n, p in zip(calls[i].buffers, calls[i].kernel.params, strict=True)
                if n == name and p.mode != "in"
            ]  # fmt: skip
            if param.mode != "out" and writers:
                pairs.add((writers[-1], j))
    assert {b.calls for b in step.explain()} == pairs


def layered(layers: int) -> gx.Compiled:
    """A training step of equal layers."""
    x = gx.placeholder("x", ("batch", 32), "float32")
    weights = [gx.variable(np.eye(32, dtype="float32"), name=f"w{i}") for i in range(2 * layers)]
    h = x
    for up, down in zip(weights[::2], weights[1::2], strict=True):
        h = h + gx.tanh(gx.nn.layer_norm(h) @ up) @ down
    slopes = gx.grad(gx.mean(h * h), weights)
    return gx.compile([x], gx.mean(h), updates={w: w - 0.1 * g for w, g in zip(weights, slopes, strict=True)})


def test_equal_layers_are_one_line_and_the_dearest_come_first() -> None:
    few, many = layered(3).explain(), layered(8).explain()
    assert len(many) > 2 * len(few)
    heads = [line for line in str(many).splitlines() if " -> " in line]
    assert len(heads) == 10
    assert "8 times 128*batch bytes" in str(many) and "3 times 128*batch bytes" in str(few)
    assert sum(times for _, times in many.folded()) == len(many)
    cost = [times * evaluate(b.bytes, {"batch": 64}) for b, times in many.folded()]
    assert cost == sorted(cost, reverse=True)
    left = len(many) - sum(times for _, times in many.folded()[:10])
    last = str(many).splitlines()[-1]
    assert last == f"{left} more of {len(many)} boundaries, which cost less: explain().all() prints every one"


def test_all_prints_every_boundary_in_the_order_of_reading() -> None:
    found = layered(4).explain()
    heads = [line.split("   ")[0] for line in str(found.all()).splitlines() if " -> " in line]
    assert heads == [f"{b.writer} -> {b.reader}" for b in found]
    assert "more of" not in str(found.all()) and len(found.all().at(batch=8)) == len(found)


def test_the_table_in_the_documents_is_of_this_program(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but the times, which are those of another machine."""
    monkeypatch.setattr(machine, "bandwidth", lambda size: 100e9)
    monkeypatch.setattr(machine, "arithmetic", lambda dtype: 1e12)
    text = (Path(__file__).parents[2] / "docs" / "inspection.md").read_text(encoding="utf-8")
    program = text.split("<!-- generated: program -->\n```python\n")[1].split("```")[0]
    linecache.cache["step.py"] = (len(program), None, program.splitlines(keepends=True), "step.py")
    names: dict[str, Any] = {}
    exec(compile(program, "step.py", "exec"), names)
    found = names["step"].profile(np.ones((64, 784), "float32"), np.ones(64, "int64"))
    head = "kernel  what"
    written = (head + text.split(head)[1].split("```")[0]).splitlines()

    def told(lines: list[str]) -> set[tuple[str, ...]]:
        """Columns that do not depend on time: kernel, what, calls, moved, computed, line."""
        rows = [re.split(r"  +", line.replace("line   ", "line ")) for line in lines[1:-1]]
        return {(*row[:3], row[5], row[6], *row[11:]) for row in rows}

    assert told(written) == told(str(found).splitlines())


# --- notebooks -------------------------------------------------------------------------------------------------------


def cells(text: str) -> list[list[str]]:
    """The rows of a table in HTML, which is well-formed."""
    (table,) = [part for part in xml.fromstring(f"<p>{text.replace('<br>', '&#10;')}</p>") if part.tag == "table"]
    return [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_explanations_are_tables_in_a_notebook() -> None:
    found = layered(4).explain()
    head, *rows = cells(found._repr_html_())
    assert head == ["kernels", "value", "type", "line", "times", "bytes", "rules"] and len(rows) == 10
    (first, times), *_ = found.folded()
    assert rows[0][0] == f"{first.writer} -> {first.reader}" and rows[0][4] == str(times)
    assert rows[0][6].splitlines() == list(first.rules)
    assert "more of" in found._repr_html_() and len(cells(found.all()._repr_html_())) == len(found) + 1
    assert "there is no boundary" in gx.compile([X], FUSED[0]).explain()._repr_html_()


def test_profile_memory_and_program_are_tables_in_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "bandwidth", lambda size: 100e9)
    monkeypatch.setattr(machine, "arithmetic", lambda dtype: 1e12)
    step, _ = training_step()
    found = step.profile(*batch())
    head, *lines = cells(found._repr_html_())
    assert head[:3] == ["kernel", "what", "calls"] and lines[-1][0] == "total"
    assert [line[0] for line in lines[:-1]] == [line.split()[0] for line in str(found).splitlines()[1:-1]]
    assert "interpreted" in Profile(rows(), True)._repr_html_()
    assert ["arena", str(step.memory.arena)] in cells(step.memory._repr_html_())
    _, *calls = cells(step.program._repr_html_())
    assert [call[1] for call in calls] == [call.kernel.name for call in step.program.calls]
    assert any("%x" in call[3] for call in calls) and any("%w" in call[4] for call in calls)


def test_a_routine_of_python_says_so_in_the_table_of_a_program() -> None:
    x = gx.placeholder("x", (3, 3), "float64")
    f = gx.compile([x], gx.linalg.inv(x))
    assert "by Python" in [row[2] for row in cells(f.program._repr_html_())]


def test_tables_escape_what_they_show() -> None:
    assert cells(html_table(("<a>", "b"), [("&", "1 < 2\n\"x\"")])) == [["<a>", "b"], ["&", '1 < 2\n"x"']]


def test_the_interpreter_has_no_kernels_to_explain() -> None:
    f = gx.compile([X], gx.exp(X), backend="interpreter")
    for ask in (lambda: f.explain(), lambda: f.memory):
        with pytest.raises(GraphError, match="it has no program"):
            ask()


# --- the doctor ------------------------------------------------------------------------------------------------------


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(folder))
    monkeypatch.delenv("GRAPHC_CACHE", raising=False)
    monkeypatch.delenv("GRAPHC_NUM_THREADS", raising=False)
    return folder


def findings(text: str) -> dict[str, str]:
    return {line[:12].strip(): line[12:] for line in text.splitlines()}


def test_a_sound_machine(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is kept is the pool's own code, where no test before has made it; nothing of the checks is."""
    threads = gx.get_num_threads()
    assert main(["doctor"]) == 0
    found = findings(capsys.readouterr().out)
    assert list(found) == [
        "graphc", "Python", "numpy", "numba", "llvmlite", "networkx", "processor", "target", "threads", "calls", "semaphores",
        "cache", "elementwise", "reduction", "product",
    ]  # fmt: skip
    assert found["numpy"] == np.__version__ and found["graphc"].startswith(gx.__version__)
    assert all(found[name].endswith(": OK") for name in ("semaphores", "cache", "elementwise", "reduction", "product"))
    kept = len(list(own_cache.iterdir()))
    assert kept <= 1 and found["cache"].startswith(f"{own_cache}: {kept} entries") and "mode 0700" in found["cache"]
    assert gx.get_num_threads() == threads and "GRAPHC_CACHE" not in os.environ


@pytest.mark.filterwarnings("ignore::graphc.errors.GraphWarning")
def test_a_cache_that_others_can_read(own_cache: Path, capsys: pytest.CaptureFixture[str]) -> None:
    own_cache.chmod(0o755)
    assert main(["doctor"]) == 1
    assert findings(capsys.readouterr().out)["cache"].startswith(
        f"FAILED: {own_cache} cannot be made, or is not the user's alone"
    )
    assert stat.S_IMODE(own_cache.stat().st_mode) == 0o755


def test_a_cache_that_keeps_nothing(
    own_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr("graphc.backends.llvm.cache.put", lambda key, entry: None)
    assert main(["doctor"]) == 1
    assert findings(capsys.readouterr().out)["cache"].startswith(f"FAILED: {own_cache} (mode 0700) cannot be written")


def test_no_cache_is_no_trouble(
    own_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("GRAPHC_CACHE", "0")
    assert main(["doctor"]) == 0
    assert findings(capsys.readouterr().out)["cache"] == "off (GRAPHC_CACHE=0): every process compiles its kernels"
    assert os.environ["GRAPHC_CACHE"] == "0"


def test_a_number_of_threads_that_is_none(
    own_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("GRAPHC_NUM_THREADS", "many")
    assert main(["doctor"]) == 1
    assert findings(capsys.readouterr().out)["threads"].startswith("FAILED: GRAPHC_NUM_THREADS=many is not a number of threads")


def test_wrong_results_are_found(
    own_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """A program that is off by little, and one whose threads disagree; the other checks run all the same."""
    call = gx.Compiled.__call__
    monkeypatch.setattr(gx.Compiled, "__call__", lambda self, *args: call(self, *args) * 1.001)
    assert main(["doctor"]) == 1
    found = findings(capsys.readouterr().out)
    assert re.fullmatch(r"FAILED: differs from NumPy by \d\.\de-0\d on 1 threads, where 1e-14 is allowed", found["elementwise"])
    assert found["product"].startswith("FAILED: differs from NumPy") and found["cache"].endswith("OK")
    monkeypatch.setattr(gx.Compiled, "__call__", lambda self, *args: call(self, *args) + 1e-16 * gx.get_num_threads())
    before = gx.get_num_threads()
    gx.set_num_threads(2)
    try:
        assert main(["doctor"]) == 1
    finally:
        gx.set_num_threads(before)
    assert findings(capsys.readouterr().out)["elementwise"] == "FAILED: differs between 1 and 2 threads"


def test_what_breaks_is_a_finding(
    own_cache: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    class Pool:
        def __init__(self, workers: int) -> None:
            raise OSError("this system has no unnamed semaphores")

    monkeypatch.setattr("graphc.backends.llvm.pool.Pool", Pool)
    monkeypatch.setattr("graphc.doctor.CHECKS", tuple(c for c in gx_checks() if c[0] == "semaphores"))
    assert main(["doctor"]) == 1
    assert capsys.readouterr().out == "semaphores  FAILED: OSError: this system has no unnamed semaphores\n"


def gx_checks() -> Any:
    from graphc import doctor

    return doctor.CHECKS
