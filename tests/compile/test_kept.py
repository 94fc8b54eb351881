"""Programs that are kept whole: what they depend on, what takes no part, damage, and lines of today."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm import cache, compile
from graphc.compile import kept
from graphc.errors import GraphWarning, ShapeError
from graphc.extend import elementwise, forget
from graphc.ir.state import STATE

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def folder(own_cache):
    return own_cache


def is_kept(f: gx.Compiled) -> bool:
    return f._made is None


def step(rate=0.5, name="w"):
    """A loss over symbolic sizes, with a constant, a loop, random numbers and an update."""
    x = gx.placeholder("x", ("n", 3), "float32")
    w = gx.variable(np.ones((3, 40), "float32"), name=name)
    table = gx.constant(np.arange(80, dtype="float32").reshape(40, 2))
    ys = gx.scan(lambda total, row: (total + gx.sum(row), gx.exp(-total)), gx.zeros((), "float32"), gx.tanh(x @ w) @ table)[1]
    loss = gx.mean(ys * ys) + gx.sum(gx.random.normal(gx.random.key(3), (4,)))
    return gx.compile([x], [loss, gx.argmax(x, axis=0)], updates=gx.optim.sgd(loss, [w], lr=rate))


def test_a_program_is_made_once_and_gives_the_same_bits_again(monkeypatch):
    first = step()
    assert not is_kept(first)
    monkeypatch.setattr(compile, "print_source", None)
    second = step()
    assert is_kept(second) and str(second.program) == str(first.program) and second.signature == first.signature
    data = np.random.default_rng(0).normal(size=(5, 3)).astype("float32")
    for _ in range(3):
        for a, b in zip(first(data), second(data), strict=True):
            assert a.tobytes() == b.tobytes() and a.dtype == b.dtype
    (w,), (v,) = first.variables.values(), second.variables.values()
    assert w.value.tobytes() == v.value.tobytes()


def test_what_is_asked_about_a_kept_program_is_as_if_it_had_been_made():
    first, second = step(), step()
    assert is_kept(second) and repr(first) == repr(second) and second.compilations == 1
    assert [k.source for k in first.kernels] == [k.source for k in second.kernels]
    assert is_kept(second), "none of this runs passes"
    assert [(name, str(stage)) for name, stage in second.stages] == [(name, str(stage)) for name, stage in first.stages]
    assert str(second.graph) == str(first.graph) and str(second.plan) == str(first.plan)
    assert str(second.explain()) == str(first.explain()) and second.memory.peak == first.memory.peak
    data = np.ones((5, 3), "float32")
    assert [row.kernel for row in second.profile(data).rows] == [row.kernel for row in first.profile(data).rows]


def test_every_difference_makes_another_key():
    x = gx.placeholder("x", ("n",), "float32")
    zeros = np.zeros(40, "float32")

    def key(y, passes=gx.passes.DEFAULT, inputs=(x,), target="x86-64-v3", backend="llvm", **more):
        declared = gx.compile(list(inputs), y, backend="interpreter", passes=(), **more).declared
        return kept.key_of(declared, passes, gx.passes.LOWERING, gx.ir.target.find_target(target), backend)

    other = gx.placeholder("x", ("m",), "float32")
    double = gx.placeholder("x", ("n",), "float64")
    minus = zeros.copy()
    minus[7] = -0.0
    keys = [
        key(x + 1), key(x + 2), key(x - 1), key(x + np.float32(-0.0)), key(x + np.float32(0.0)), key([x + 1, x]), key([x, x + 1]),
        key(other + 1, inputs=[other]), key(double + 1, inputs=[double]), key(gx.sum(x)), key(gx.sum(x, keepdims=True)),
        key(x + 1, name="other"), key(x + 1, target="x86-64-v2"), key(x + 1, backend="numba"), key(x + 1, gx.passes.DEFAULT[:-1]),
        key(gx.sum(x) + zeros), key(gx.sum(x) + minus), key(gx.sum(x) + zeros.astype("float16")), key(gx.sum(x) + zeros[:39]),
        key(gx.sum(x) + zeros[None]), key(gx.sum(x) + gx.constant(zeros, "bfloat16")),
        key(gx.cond(gx.sum(x) > 0, lambda: x + 1, lambda: x)),
        key(gx.cond(gx.sum(x) > 0, lambda: x + 2, lambda: x)),
    ]  # fmt: skip
    assert None not in keys and len(set(keys)) == len(keys)
    assert key(x + 1) == keys[0] and key(gx.sum(x) + minus) == keys[16]


def test_passes_and_operations_of_users_take_part_by_a_version():
    x = gx.placeholder("x", ("n",), "float32")

    def double(graph):
        return gx.extend.rebuild(graph, lambda node: node)

    for _ in range(2):
        assert not is_kept(gx.compile([x], x + 1, passes=(*gx.passes.DEFAULT, double)))
    double.version = "1"
    assert not is_kept(gx.compile([x], x + 1, passes=(*gx.passes.DEFAULT, double)))
    assert is_kept(gx.compile([x], x + 1, passes=(*gx.passes.DEFAULT, double)))
    double.version = "2"
    assert not is_kept(gx.compile([x], x + 1, passes=(*gx.passes.DEFAULT, double)))
    op = elementwise("kept_twice", "{0} + {0}")
    try:
        for _ in range(2):
            assert not is_kept(gx.compile([x], op(x)))
    finally:
        forget(op)


def test_what_cannot_be_data_is_made_every_time():
    x = gx.placeholder("x", ("n",), "float32")
    outside = gx.extend.host("kept_host", lambda a: a + 1, infer=lambda a: a)
    try:
        for _ in range(2):
            f = gx.compile([x], outside(x))
            assert not is_kept(f) and f([1.0]) == [2.0]
    finally:
        forget(outside)


def test_routines_of_graphc_are_kept():
    x = gx.placeholder("x", ("n", "n"), "float64")
    data = np.array([[2.0, 1.0], [1.0, 3.0]])
    first = gx.compile([x], gx.linalg.eigh(x))
    second = gx.compile([x], gx.linalg.eigh(x))
    assert is_kept(second)
    for a, b in zip(first(data), second(data), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("harm", ["cut", "another program's", "a row", "an atom"])
def test_a_damaged_program_is_made_again(folder, harm):
    first = step()
    (path,) = [p for p, _ in cache.entries() if b'"symbol": "program"' in p.read_bytes().splitlines()[0]]
    entry = cache.get(path.stem)
    if harm == "cut":
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.warns(GraphWarning, match="damaged"):
            again = step()
    else:
        code = {
            "another program's": b'{"atoms":[],"rows":[],"arrays":[],"root":0}\n',
            "a row": entry.code.replace(b'["Kernel"', b'["Colonel"', 1),
            "an atom": entry.code.replace(b'"root"', b'"roof"', 1),
        }[harm]
        assert code != entry.code
        cache.put(path.stem, cache.Entry("program", code))
        again = step()
    assert not is_kept(again) and str(again.program) == str(first.program)
    assert is_kept(step()), "and kept anew"


def product(rows, number=0):
    x = gx.placeholder("x", (rows, 256), "float32")
    return gx.compile([x], gx.tanh(x @ np.random.default_rng(number).normal(size=(256, 128)).astype("float32")))


def arrays():
    return [path for path, _ in cache.entries() if path.suffix == ".array"]


def test_large_constants_are_kept_apart_and_programs_share_them():
    first, wide = product(40), product(48)
    assert len(arrays()) == 1, "the same panels"
    product(40, 1)
    assert len(arrays()) == 2
    again = product(40)
    assert is_kept(again) and str(again.program) == str(first.program)
    data = np.random.default_rng(3).normal(size=(40, 256)).astype("float32")
    assert again(data).tobytes() == first(data).tobytes()
    for f in (first, again, wide):
        (panels,) = [b.value for b in f.program.buffers.values() if b.value is not None]
        assert panels.shape == (4, 256, 32) and panels.ctypes.data % 64 == 0 and not (f is again and panels.flags.writeable)


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_program_whose_constants_are_damaged_is_made_again(harm):
    first = product(40)
    (path,) = arrays()
    if harm == "gone":
        path.unlink()
        again = product(40)
    else:
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.warns(GraphWarning, match="damaged"):
            again = product(40)
    assert not is_kept(again) and str(again.program) == str(first.program)
    assert is_kept(product(40)) and arrays() == [path], "and kept anew"


def test_machine_code_that_has_left_the_cache_is_made_again(monkeypatch):
    first = step()
    program = [p for p, _ in cache.entries() if b'"symbol": "program"' in p.read_bytes().splitlines()[0]]
    for path, _ in cache.entries():
        if path not in program:
            path.unlink()
    monkeypatch.setattr(compile, "_KNOWN", {})
    second = step()
    data = np.ones((5, 3), "float32")
    assert is_kept(second)
    for a, b in zip(first(data), second(data), strict=True):
        np.testing.assert_array_equal(a, b)


def test_errors_of_a_kept_program_name_the_line_of_today():
    x, y = gx.placeholder("x", ("n",), "float32"), gx.placeholder("y", ("m",), "float32")
    first = gx.compile([x, y], gx.reshape(x, ("m",)) + y)
    second = gx.compile([x, y], gx.reshape(x, ("m",)) + y)
    assert is_kept(second)
    lines = []
    for f in (first, second):
        with pytest.raises(ShapeError) as caught:
            f([1.0, 2.0], [1.0, 2.0, 3.0])
        lines.append(caught.value.where.line)
    assert lines[1] == lines[0] + 1


def test_the_environment_turns_it_off(monkeypatch):
    step()
    monkeypatch.setenv("GRAPHC_PROGRAMS", "0")
    assert not is_kept(step())
    monkeypatch.delenv("GRAPHC_PROGRAMS")
    assert is_kept(step())
    monkeypatch.setenv("GRAPHC_CACHE", "0")
    assert not is_kept(step())


def test_another_process_finds_it(folder):
    code = (
        "import numpy as np, graphc as gx\n"
        "x = gx.placeholder('x', ('n', 3), 'float32')\n"
        "f = gx.compile([x], gx.nn.softmax(gx.tanh(x) @ np.ones((3, 4), 'float32')))\n"
        "print(f._made is None, f(np.ones((2, 3), 'float32')).tobytes().hex())\n"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "random"}
    said = [
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]  # fmt: skip
    assert [s[0] for s in said] == ["False", "True"] and said[0][1] == said[1][1]


def test_who_writes_variables_holds_them_alone():
    """Though the program changes them in place, and so has no pairs of memories that change places."""
    v = gx.variable(np.zeros(3, "float32"), name="v")
    for _ in range(2):
        f = gx.compile([], [], updates={v: v + 1})
        assert f._hold == STATE.write and f.signature.updates
    assert is_kept(f) and not f.program.signature.updates
    assert gx.compile([], v + 1)._hold == STATE.read and gx.compile([], gx.ones((2,)))._hold is None
