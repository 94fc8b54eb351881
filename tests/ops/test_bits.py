"""The bits of numbers as numbers of another type, against NumPy's view."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest

import graphc as gx
from graphc.errors import DTypeError

WIDTHS = (
    ("int8", "uint8"), ("int16", "uint16", "float16", "bfloat16"), ("int32", "uint32", "float32"), ("int64", "uint64", "float64"),
)  # fmt: skip
PAIRS = [(a, b) for kin in WIDTHS for a in kin for b in kin if a != b]


def numpy_type(name: str) -> Any:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def patterns(width: int) -> Any:
    """All of 8 and 16 bits; of more, the edges and some at random."""
    if width <= 2:
        return np.arange(1 << (8 * width)).astype(f"u{width}")
    low = np.array([0, 1, 2, 1 << 13, (1 << (8 * width - 1)) - 1], f"u{width}")
    return np.concatenate([low, ~low, np.frombuffer(np.random.default_rng(width).bytes(800), f"u{width}")])


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_bits_are_those_of_numpy_s_view(backend: str) -> None:
    given = {a: gx.placeholder(a, ("n" + a,), a) for kin in WIDTHS for a in kin}
    arrays = {a: patterns(numpy_type(a).itemsize).view(numpy_type(a)) for a in given}
    found = gx.compile(list(given.values()), [gx.bitcast(given[a], b) for a, b in PAIRS], backend=backend)(*arrays.values())
    for (a, b), got in zip(PAIRS, found, strict=True):
        want = arrays[a].view(numpy_type(b))
        assert got.dtype == want.dtype
        bits = f"u{want.dtype.itemsize}"
        nan = np.zeros(len(want), bool)
        for name, values in ((a, arrays[a]), (b, want)):
            if name in ("float16", "bfloat16"):  # of which NaN is one value, whatever its bits
                nan |= np.isnan(values.astype("f"))
        assert np.array_equal(got.view(bits)[~nan], want.view(bits)[~nan]), (a, b)
        if b in ("float16", "bfloat16") and a not in ("float16", "bfloat16"):
            assert np.array_equal(np.isnan(got.astype("f")), np.isnan(want.astype("f"))), (a, b)


def test_booleans_are_8_bits() -> None:
    assert gx.bitcast(gx.constant([True, False]), "int8").eval().tolist() == [1, 0]
    assert gx.bitcast(gx.constant([0, 7], dtype="uint8"), "bool").eval().tolist() == [False, True]


def test_widths_must_agree_and_there_is_no_gradient() -> None:
    with pytest.raises(DTypeError, match=r"bitcast needs types of one width, got f32\[2\] and int64"):
        gx.bitcast(gx.constant([1.0, 2.0], dtype="float32"), "int64")
    x = gx.placeholder("x", (), "float32")
    y = gx.astype(gx.bitcast(x, "int32"), "float32") * x
    assert float(gx.grad(y, x).eval({x: np.float32(1)})) == 1065353216
