"""Names: any that a model elsewhere may have, kept as they are, read back from texts, and unique in a collection."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from values import NAMES

import graphc as gx
from graphc.ir import Graph, parse

pydot = pytest.importorskip("pydot")
BACKENDS = ("interpreter", "llvm")


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_name_computes_prints_and_is_read_back(backend: str) -> None:
    """Inputs and variables of these names in one program; `w` and `w.copy` are told apart by the buffers too."""
    inputs = [gx.placeholder(name, ("n",), "float32") for name in NAMES]
    variables = [gx.variable(np.full(2, i, "float32"), name=f"state of {name}") for i, name in enumerate(NAMES)]
    outputs = [*inputs, *variables, *(gx.sum(x) + v for x, v in zip(inputs, variables, strict=True))]
    f = gx.compile(inputs, outputs, updates={v: v + gx.max(x) for x, v in zip(inputs, variables, strict=True)}, backend=backend)
    assert list(f.variables) == [v.name for v in variables] == [f"state of {name}" for name in NAMES]
    for _, stage in f.stages:
        if isinstance(stage, Graph):
            again = parse(str(stage))
            assert str(again) == str(stage)
            assert [n.attrs["name"] for n in again.inputs] == list(NAMES)
        assert len(str(stage)) > 0
    assert len(pydot.graph_from_dot_data(f.to_dot())) == 1
    arrays = [np.full(2, 100 + i, "float32") for i in range(len(NAMES))]
    got = f(**dict(zip(NAMES, arrays, strict=True)))
    count = len(NAMES)
    for i in range(count):
        assert got[i].tolist() == [100 + i] * 2 and got[count + i].tolist() == [i] * 2
        assert got[2 * count + i].tolist() == [2 * (100 + i) + i] * 2 and variables[i].value.tolist() == [100 + 2 * i] * 2


@pytest.mark.parametrize("backend", BACKENDS)
def test_names_of_buffers_never_meet_names_of_variables(backend: str) -> None:
    """`w.copy` is what the copy of `w` would be called, and `5.part` the parts of a sum that is node 5."""
    names = ["w", "w.copy", "w.old", "w.copy_1", *(f"{i}.{word}" for i in range(12) for word in ("part", "before", "0", "c0"))]
    variables = [gx.variable(np.full(3, float(i)), name=name) for i, name in enumerate(names)]
    x = gx.placeholder("x", (70000,), "float64")
    outputs = [*variables, gx.sum(x), gx.cumulative_sum(x)[-1], gx.scan(lambda c, i: (c + i, c), 0.0, x[:3])[1], *gx.top_k(x, 2)]
    swapped = dict(zip(variables, [*variables[1:], variables[0]], strict=True))
    f = gx.compile([x], outputs, updates=swapped, backend=backend)
    got = f(np.arange(70000.0))
    assert [y[0] for y in got[: len(names)]] == list(range(len(names)))
    assert [v.value[0] for v in variables] == [*range(1, len(names)), 0]
    assert got[len(names)] == got[len(names) + 1] == 70000 * 69999 / 2
    assert got[len(names) + 2].tolist() == [0, 0, 1] and got[len(names) + 3].tolist() == [69999, 69998]


def test_names_of_graphs_and_texts_among_attributes_are_quoted() -> None:
    x = gx.placeholder("x", (2,))
    for name in ('a "b"', "a\\", "two\nlines", "step 3", ""):
        graph = Graph([x], [x + 1], name=name)
        assert parse(str(graph)).name == name and str(parse(str(graph))) == str(graph)


def test_unnamed_variables_are_never_called_alike() -> None:
    found: list[gx.Variable] = []
    threads = [threading.Thread(target=lambda: found.extend(gx.variable(0.0) for _ in range(200))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len({v.name for v in found}) == 800
    assert all(v.name == "v" or v.name.startswith("v_") for v in found)


def test_a_collection_numbers_what_is_called_alike_in_the_order_of_birth() -> None:
    a, u, b, c, taken, w = (gx.variable(float(i), name=n) for i, n in enumerate(["w", None, "w", "w", "w_1", None]))
    for order in ([a, u, b, c, taken, w], [w, taken, c, b, u, a, a]):
        assert gx.named_variables(order) == {"w": a, "v": u, "w_2": b, "w_3": c, "w_1": taken, "v_1": w}
        assert list(gx.named_variables(order)) == ["w", "v", "w_2", "w_3", "w_1", "v_1"]
    given = gx.variable(0.0, name="v")  # later, and yet a name that was given is kept
    assert gx.named_variables([u, given]) == {"v_1": u, "v": given}
    assert gx.named_variables(u) == {"v": u}
    assert gx.named_variables([]) == {}


def test_the_state_of_a_variable_stands_under_its_name_in_the_collection() -> None:
    first, second, unnamed = gx.variable(0.0, name="w"), gx.variable(0.0, name="w"), gx.variable(0.0)
    states = [gx.variable(0.0, name="adam.m", of=v) for v in (second, first, unnamed)]
    deep = gx.variable(0.0, name="mean", of=states[0])
    assert [v.name for v in states[:2]] == ["w.adam.m"] * 2 and deep.name == "w.adam.m.mean"
    assert states[2].name == f"{unnamed.name}.adam.m"
    named = gx.named_variables([first, second, unnamed, *states, deep])
    assert list(named) == ["w", "w_1", "v", "w_1.adam.m", "w.adam.m", "v.adam.m", "w_1.adam.m.mean"]
    assert list(gx.named_variables([states[2]])) == ["v.adam.m"]
    explicit = gx.variable(0.0, name="w.adam.m")
    assert gx.named_variables([first, states[1], explicit]) == {"w": first, "w.adam.m_1": states[1], "w.adam.m": explicit}


def test_what_may_be_collected() -> None:
    w, stream, other = gx.variable(1.0, name="w"), gx.random.Stream(1), gx.random.Stream(2)
    loss = w * w
    updates = gx.optim.adam(loss, [w])
    assert list(gx.named_variables(updates)) == ["w", "w.adam.step", "w.adam.m", "w.adam.v"]
    noise = gx.random.normal(stream, (), "float64") + gx.random.normal(other, (), "float64")
    f = gx.compile([], loss + noise, updates=updates, backend="interpreter")
    assert gx.named_variables(f) == f.variables
    assert list(f.variables) == ["w", "stream", "stream_1", "w.adam.step", "w.adam.m", "w.adam.v"]
    assert list(gx.named_variables([stream, other, w])) == ["w", "stream", "stream_1"]
    assert gx.named_variables({"layer/w:0": w}) == {"layer/w:0": w}
    with pytest.raises(gx.errors.InputError, match="only variables have state, got <Tensor"):
        gx.named_variables([loss])
    with pytest.raises(gx.errors.InputError, match="only variables have state, got 3"):
        gx.named_variables({"w": 3})
    with pytest.raises(gx.errors.InputError, match="3 is not a name"):
        gx.named_variables({3: w})


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_text_of_a_program_calls_variables_as_the_collection_does(backend: str) -> None:
    a, b, x = gx.variable(np.zeros(3), name="w"), gx.variable(np.zeros(3), name="w"), gx.placeholder("x", (3,), "float64")
    f = gx.compile([x], a * x + gx.variable(1.0), updates={b: b + x, a: a + gx.variable(2.0)}, backend=backend)
    assert list(f.variables) == ["w", "w_1", "v", "v_1"]
    for _, stage in f.stages:
        assert {f"variable %{name}:" in str(stage) for name in f.variables} == {True}
    assert all(f'[label="{name}"' in f.to_dot() for name in f.variables)


PROGRAM = """
import numpy as np, graphc as gx
{before}
w, b = gx.variable(np.zeros(3), name="w"), gx.variable(0.0)
twice = gx.variable(np.zeros(3), name="w")
loss = gx.sum((w + twice) ** 2) + b * gx.random.normal(gx.random.Stream(3), (), "float64")
f = gx.compile([], loss, updates=gx.optim.adam(loss, [w, b, twice]), backend="interpreter")
print(*f.variables)
print(f.graph)
"""


def test_names_depend_on_the_program_alone() -> None:
    """Not on what else lives in the process."""
    texts = []
    for before in ("", "others = [gx.variable(0.0) for _ in range(5)] + [gx.variable(0.0, name='w'), gx.random.Stream(1)]"):
        done = subprocess.run([sys.executable, "-c", PROGRAM.format(before=before)], capture_output=True, text=True, check=True,
                              cwd=Path(gx.__file__).parent.parent, env=os.environ)  # fmt: skip
        texts.append(done.stdout)
    assert texts[0] == texts[1] and "v.adam.m" in texts[0] and "w_1.adam.v" in texts[0]


# --- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", [np.zeros(3, "float32"), np.array(2.0), np.zeros((0, 2), "int8")], ids=["1", "0", "2"])
def test_a_value_is_a_copy_that_cannot_be_written(start: Any) -> None:
    w = gx.variable(start, name="w")
    value = w.value
    with pytest.raises(ValueError, match="read-only"):
        value[...] = 7
    w.value = start + 1
    assert np.array_equal(value, start) and np.array_equal(w.value, start + 1)


def test_update_writes_an_array_or_what_a_function_makes_of_the_old_value() -> None:
    w = gx.variable([1.0, 2.0, 3.0], name="w", dtype="float32")
    w.update([4, 5, 6])
    assert w.value.tolist() == [4, 5, 6]
    w.update(lambda old: old[::-1] * 2)
    assert w.value.tolist() == [12, 10, 8] and w.value.dtype == np.float32

    def first(old: Any) -> None:
        old[0] = 7

    w.update(first)
    assert w.value.tolist() == [7, 10, 8]
    step = gx.compile([], w + 1, updates={w: w * 2})
    step()
    w.update(lambda old: old - 1)
    assert step().tolist() == [14, 20, 16]


def test_update_refuses_what_does_not_fit_and_changes_nothing() -> None:
    w = gx.variable([1, 2], name="w", dtype="int32")
    with pytest.raises(gx.errors.ShapeError, match="variable w is i32\\[2\\], got an array of shape \\[3\\]") as caught:
        w.update(lambda old: [1, 2, 3])
    assert caught.value.where is not None and caught.value.where.file == __file__
    with pytest.raises(gx.errors.DTypeError, match="got float64"):
        w.update(lambda old: old * 0.5)
    with pytest.raises(gx.errors.InputError, match="got a symbol"):
        w.update(w + 1)
    with pytest.raises(gx.errors.InputError, match="got a symbol"):
        w.value = w + 1
    with pytest.raises(ZeroDivisionError):
        w.update(lambda old: 1 // 0)
    assert w.value.tolist() == [1, 2]


def test_updates_of_many_threads_are_all_there() -> None:
    w = gx.variable(0, name="w")
    step = gx.compile([], w, updates={w: w + 1})
    work = [lambda: [w.update(lambda old: old + 1) for _ in range(200)], lambda: [step() for _ in range(200)]]
    threads = [threading.Thread(target=t) for t in work * 2]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert w.value == 800
