"""Arrays copied with their axes exchanged by the library, where small matrices go into lanes and come back."""

from __future__ import annotations

import ctypes
import mmap
import re
from collections.abc import Iterator

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm.tiles.pack import DEALT
from graphc.ir import types as t
from graphc.ir.lanes import LaneCode
from graphc.ir.operation import VOCABULARY, Host, Lanes, Sample
from graphc.ops.declare import Op, build, results

RNG = np.random.default_rng(7)


def _same(k: LaneCode) -> None:
    k.hand(0, k.fetch(0))


def _both(k: LaneCode) -> None:
    """Arrays in lanes follow each other in memory; the second, which has a column more than is used, is filled first."""
    shapes = k.types["x0"].shape, k.types["x1"].shape
    dtype, (rows, columns) = k.types["x0"].dtype, shapes[1]
    arrays = [k.local(dtype, *shapes[0]), k.local(dtype, rows, columns + 1)]
    for operand in (1, 0):
        with k.lanes():
            k._each(shapes[operand], lambda index, o=operand: k.put(arrays[o], k.given(o, *index), *index))
    k.hand(0, arrays[0])
    used = k.local(dtype, *shapes[1])
    with k.loop(rows) as i, k.loop(columns) as j, k.lanes():
        k.put(used, k.get(arrays[1], i, j), i, j)
    k.hand(1, used)


def at_the_end(a: np.ndarray) -> np.ndarray:
    """A copy in front of a page that nobody may read: who reads beyond it is stopped by the system."""
    page = mmap.PAGESIZE
    size = -(-a.nbytes // page) * page
    memory = mmap.mmap(-1, size + page)
    whole = np.frombuffer(memory, np.uint8)
    assert ctypes.CDLL(None).mprotect(ctypes.c_void_p(whole.ctypes.data + size), ctypes.c_size_t(page), 0) == 0
    made = whole[size - a.nbytes : size].view(a.dtype).reshape(a.shape)
    made[...] = a
    return made


@pytest.fixture(scope="module", autouse=True)
def declared() -> Iterator[None]:
    """Operations whose arrays pass through lanes, unchanged; they are gone when these tests have run."""
    global through, both
    one, two = Lanes((2, 2), _same, lambda *types: True), Lanes((2, 2, 2, 2), _both, lambda *types: True)
    samples = Sample(((3, 2, 2),)), Sample(((3, 2, 2), (3, 2, 2)))
    through = Op("through", lambda x: x, np.copy, Host(lanes=one), None, samples[:1], arity=1, build=build, doc="x")
    both = Op(
        "both", lambda x, y: t.TupleType((x, y)), lambda x, y: (x.copy(), y.copy()), Host(lanes=two), None, samples[1:], arity=2,
        build=build, doc="x and y",
    )  # fmt: skip
    yield
    for op in (through, both):
        del VOCABULARY[op.name]


SHAPES = [(1, 3), (3, 3), (5, 1), (7, 1), (2, 4), (4, 4), (3, 5), (1, 16), (4, 5), (16, 16), (2, 23)]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", SHAPES)
def test_every_element_comes_back(shape, dtype):
    """All whole blocks; a last one that is not whole; none that is; and of an open number, whose name decides how sizes read."""
    open_ = [gx.compile([x := gx.placeholder("x", (name, *shape), dtype)], through(x)) for name in ("n", "batch")]
    for count in (1, 8, 16, 33, 48):
        a = at_the_end(RNG.normal(size=(count, *shape)).astype(dtype))
        memory = np.full(a.size + 64, 7, dtype)
        y = memory[32 : 32 + a.size].reshape(a.shape)
        known = gx.compile([x := gx.placeholder("x", a.shape, dtype)], through(x))
        for f in (known, *open_):
            memory[:] = 7
            f(a, out=y)
            np.testing.assert_array_equal(y, a)
            assert (memory[:32] == 7).all() and (memory[32 + a.size :] == 7).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_is_written_beyond_an_array_in_lanes(dtype):
    for shape in SHAPES:
        xs = [RNG.normal(size=(48, *shape)).astype(dtype) for _ in range(2)]
        given = [gx.placeholder(name, xs[0].shape, dtype) for name in "xy"]
        for got, wanted in zip(gx.compile(given, list(results(both(*given))))(*xs), xs, strict=True):
            np.testing.assert_array_equal(got, wanted)


def calls(shape, count, target):
    x = gx.placeholder("x", (count, *shape), "float32")
    source = gx.compile([x], through(x), target=target).kernels[0].source
    return re.findall(r"(?:deal|collect|exchange)(?:_\d+)?(?=_f32)", source)


def test_which_functions_are_called():
    """Few odd elements are chosen, others go by squares; where the last lanes may have no element, there is another way too."""
    for length in DEALT:
        assert calls((length, 1), 32, "x86-64-v4") == [f"deal_{length}", f"collect_{length}"]
    for name in ("n", "batch"):
        assert calls((3, 3), name, "x86-64-v4") == ["deal_9", "collect_9", "exchange"], name
    assert calls((4, 4), 32, "x86-64-v4") == calls((4, 4), "n", "x86-64-v4") == ["exchange", "exchange"]
    assert calls((2, 2), 32, "x86-64-v4") == []  # too few
    assert calls((3, 3), 32, "x86-64-v2") == []  # no masks


def test_small_matrices_use_them():
    for name, dealt in (("det", ["deal_9"]), ("inv", ["deal_9", "collect_9"]), ("cholesky", ["deal_9", "collect_9"])):
        x = gx.placeholder("x", (32, 3, 3), "float32")
        kernels = gx.compile([x], getattr(gx.linalg, name)(x), target="x86-64-v4").kernels
        found = [c for k in kernels for c in re.findall(r"(?:deal|collect)_\d+(?=_f32)", k.source)]
        assert found == dealt, name
