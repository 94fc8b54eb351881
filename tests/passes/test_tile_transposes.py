"""Tiles of transposed arrays: every value keeps its bits, lines are read whole, and threads keep something to share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.program import Kernel, Load, Loop, statements_of

LARGE = (100, 130)  # 52 kB of float32: more than a nearest cache of 32 kB, and no whole tiles
CASES: dict[str, tuple[Callable[[Any], Any], tuple[int, ...], str]] = {
    "two axes": (lambda x: gx.exp(gx.matrix_transpose(x)), LARGE, "float32"),
    "two axes of float64": (lambda x: gx.matrix_transpose(x) * 2.0, (90, 65), "float64"),
    "of bytes": (lambda x: gx.matrix_transpose(x) + 1, (250, 200), "int8"),
    "channels last": (lambda x: gx.permute_dims(x, (0, 2, 3, 1)) + 1.0, (2, 19, 18, 21), "float32"),
    "channels first": (lambda x: gx.permute_dims(x, (0, 3, 1, 2)) + 1.0, (2, 19, 18, 21), "float32"),
    "the first axis last": (lambda x: gx.permute_dims(x, (1, 2, 0)) * 0.5, (40, 33, 21), "float32"),
    "beside itself": (lambda x: x[:100, :100] + gx.matrix_transpose(x)[:100, :100], LARGE, "float32"),
    "two places of one array": (lambda x: gx.matrix_transpose(x)[1:, 2:] - gx.matrix_transpose(x)[:-1, :-2], LARGE, "float32"),
    "beside a scalar": (lambda x: gx.matrix_transpose(x) - x[3, 5], LARGE, "float32"),
    "beside a number for each row": (lambda x: gx.matrix_transpose(x) * gx.expand_dims(gx.exp(x[0]), 1), LARGE, "float32"),
    "backwards": (lambda x: gx.flip(gx.matrix_transpose(x)) + 1.0, LARGE, "float32"),
    "with a margin of zeros": (lambda x: gx.pad(gx.matrix_transpose(x), ((1, 2), (3, 4))) * 2.0, LARGE, "float32"),
}


def compiled(make: Callable[[Any], Any], shape: tuple[Any, ...], dtype: str, backend: str = "llvm") -> Any:
    x = gx.placeholder("x", shape, dtype)
    return gx.compile([x], make(x), backend=backend, target="x86-64-v3" if backend == "program" else None)


def tiled(f: Any) -> list[Kernel]:
    """The kernels that have tiles in scratch."""
    return [k for k in f.program.kernels if isinstance(k, Kernel) and any(len(s.shape) == 2 for s in k.scratch)]


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("named", [False, True], ids=["numbers", "named sizes"])
def test_results_have_the_bits_of_the_interpreter(name: str, named: bool) -> None:
    make, shape, dtype = CASES[name]
    value = (np.random.default_rng(0).normal(size=shape) * 50).astype(dtype)
    sizes = tuple(f"n{i}" for i in range(len(shape))) if named and name != "beside itself" else shape
    f = compiled(make, sizes, dtype)
    want = np.asarray(compiled(make, sizes, dtype, "program")(value))
    assert np.asarray(f(value)).tobytes() == want.tobytes()
    if name not in ("backwards", "with a margin of zeros"):
        assert tiled(f)


@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (1, 1), (1, 200), (200, 1), (32, 64), (33, 65), (7, 129), (9, 8)])
def test_named_sizes_around_those_of_tiles(shape: tuple[int, int]) -> None:
    f = compiled(lambda x: gx.matrix_transpose(x) + 1.0, ("rows", "columns"), "float32")
    assert tiled(f)
    value = np.arange(shape[0] * shape[1], dtype="float32").reshape(shape)
    assert np.array_equal(np.asarray(f(value)), value.T + 1)


def test_what_the_nearest_cache_holds_is_read_as_it_lies() -> None:
    assert not tiled(compiled(gx.matrix_transpose, (40, 40), "float32"))


def test_neighbours_on_one_line_are_read_as_they_lie() -> None:
    assert not tiled(compiled(lambda x: gx.matrix_transpose(x) + 1.0, (100_000, 3), "float32"))
    assert not tiled(compiled(lambda x: gx.matrix_transpose(x) + 1.0, (3, 100_000), "float32"))


def test_a_tile_copies_along_rows_and_threads_have_tiles_to_share() -> None:
    (kernel,) = tiled(compiled(lambda x: gx.matrix_transpose(x) + 1.0, (1024, 1024), "float32"))
    assert [axis.stop for axis in kernel.parallel] == [16, 32]
    innermost = [s for s in statements_of(kernel.body) if isinstance(s, Loop) and not any(isinstance(t, Loop) for t in s.body)]
    for loop in innermost:
        for load in (s for s in loop.body if isinstance(s, Load)):
            assert loop.var in str(load.index[-1])
