"""Loops in parts: no part asks what is certain there, and every value keeps its bits."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.program import Load, Loop, Store, statements_of
from graphc.passes.split_loops import split_loops

N = 200
THE_PASS = import_module("graphc.passes.split_loops")

MOVES: dict[str, tuple[Callable[[Any, Any], Any], int]] = {  # what is computed; in how many parts
    "concat": (lambda x, y: gx.concat([x, y * 2, x + y], axis=1), 3),
    "pad": (lambda x, y: gx.pad(x, 1), 3),
    "pad at the end": (lambda x, y: gx.pad(x + y, ((0, 0), (0, 5)), constant_values=-1.0), 2),
    "pad with no number": (lambda x, y: gx.pad(x, ((0, 0), (3, 0)), constant_values=float("nan")), 2),
    "pad with infinity": (lambda x, y: gx.pad(x, ((0, 0), (0, 5)), constant_values=-float("inf")), 2),
    "flipped": (lambda x, y: gx.flip(gx.pad(x, ((0, 0), (2, 0))), axis=1), 2),
    "sum of slices' gradients": (lambda x, y: gx.grad(gx.sum(gx.sin(x[:, :100] * x[:, 100:])), x), 2),
    "roll": (lambda x, y: gx.roll(x, 7, axis=1) - y, 2),
    "one in a part": (lambda x, y: gx.concat([x[:, :1], y, x[:, -1:]], axis=1), 3),
    "picked": (lambda x, y: gx.take(gx.concat([x, y], axis=1), gx.concat([gx.arange(150), gx.arange(150)]), axis=1), 2),
    "signed zeros": (lambda x, y: gx.pad(-x * 0.0, 1) + gx.pad(y[:, 2:], ((1, 1), (2, 2))), 5),
}


def _loops(run: Any) -> list[Loop]:
    return [s for kernel in run.kernels for s in statements_of(kernel.kernel.body) if isinstance(s, Loop)]


@pytest.mark.parametrize("name", MOVES)
def test_parts_have_the_bits_of_the_whole(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, count = MOVES[name]
    x, y = (gx.placeholder(n, (6, N), "float32") for n in "xy")
    values = [np.random.default_rng(i).normal(size=(6, N)).astype("float32") for i in range(2)]
    found = {}
    monkeypatch.setattr(THE_PASS, "VECTORS", 0)
    for split in (True, False):
        if not split:
            monkeypatch.setattr(gx.passes, "LOWERING", [p for p in gx.passes.LOWERING if p.__name__ != "split_loops"])
        run = gx.compile([x, y], build(x, y))
        found[split] = np.asarray(run(*values)), _loops(run)
    whole, parts = found[False], found[True]
    wanted = np.asarray(gx.compile([x, y], build(x, y), backend="interpreter")(*values))
    assert parts[0].tobytes() == whole[0].tobytes()
    np.testing.assert_allclose(parts[0], wanted, 1e-6)
    assert len(parts[1]) - len(whole[1]) == count - 1


def test_inside_a_rim_nothing_is_asked() -> None:
    x = gx.placeholder("x", (4, 300), "float32")
    run = gx.compile([x], gx.pad(x, ((0, 0), (1, 1))))
    left, inside, right = _loops(run)
    assert (left.start, left.stop, inside.stop, right.stop) == (0, 1, 301, 302)
    assert [type(s) for s in inside.body] == [Load, Store]
    assert [type(s) for s in left.body] == [type(s) for s in right.body] == [Store]


@pytest.mark.parametrize("width, parts", [(8, 1), (48, 3), (50, 1), (64, 3), (65, 3)])
def test_short_parts_are_split_where_they_fill_vectors(width: int, parts: int) -> None:
    x = gx.placeholder("x", (4, width), "float32")
    y = gx.concat([gx.sin(x) @ gx.ones((width, width), "float32"), x, x + 1], axis=1)
    kernels = gx.compile([x], y, backend="program", target="x86-64-v4").program.kernels  # 16 float32 in a vector
    (joined,) = [k for k in kernels if any(isinstance(s, Loop) and s.stop == 3 * width for s in statements_of(k.body))]
    assert len([s for s in statements_of(joined.body) if isinstance(s, Loop)]) == parts


def test_loops_around_sums_in_memory_are_split(monkeypatch: pytest.MonkeyPatch) -> None:
    x, g = (gx.placeholder(n, (2, 6, 14, 16), "float32") for n in "xg")
    w = gx.placeholder("w", (3, 3, 1, 16), "float32")
    slope = gx.vjp(gx.nn.conv(x, w, padding=1, groups=16, layout="NHWC"), [x, w], g)[1]
    values = [np.random.default_rng(i).normal(size=a.shape).astype("float32") for i, a in enumerate((x, w, g))]
    values[0][0, 0, 0], values[0][1, 5, 13] = np.inf, -0.0
    found, asked = [], []
    for vectors in (4, 1 << 40):
        monkeypatch.setattr(THE_PASS, "VECTORS", vectors)
        run = gx.compile([x, w, g], slope)
        found.append(np.asarray(run(*values)))
        loads = [s for k in run.kernels for s in statements_of(k.kernel.body) if isinstance(s, Load)]
        asked.append(any(load.guard is not None for load in loads if load.buffer == "x0" and len(load.index) == 4))
    assert asked == [False, True]
    assert found[0].tobytes() == found[1].tobytes()
    wanted = gx.compile([x, w, g], slope, backend="interpreter")(*values)
    np.testing.assert_allclose(found[0], wanted, 1e-4, 1e-5)


def test_reductions_stay_whole() -> None:
    x = gx.placeholder("x", (4, 300), "float32")
    run = gx.compile([x], gx.sum(gx.pad(x, 1), axis=1))
    assert all(loop.start == 0 for loop in _loops(run))


def test_splitting_again_changes_nothing() -> None:
    x = gx.placeholder("x", (4, 300), "float32")
    program = gx.compile([x], gx.pad(x, 1)).program
    assert str(split_loops(program)) == str(program)
