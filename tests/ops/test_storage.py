"""float16 and bfloat16: what memory holds, and what float32 computes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from test_walk import NUMPY_NAMES, assert_same_bits
from values import special

import graphc as gx
from graphc.ir import types as t
from graphc.ir.operation import VOCABULARY
from graphc.ir.parser import parse
from graphc.ir.primitives import STORAGE
from graphc.ir.program import Kernel, statements_of
from graphc.ir.scalar import Let
from graphc.ir.text import print_graph

Array = np.ndarray[Any, Any]
STORED = pytest.mark.parametrize("dtype", [t.float16, t.bfloat16], ids=str)
ROOT = Path(__file__).resolve().parents[2]
rng = np.random.default_rng(0)


def both(inputs: list[gx.Tensor], outputs: Any, *values: Array) -> list[tuple[Array, Array]]:
    """What native code and the interpreter give."""
    made = [gx.compile(inputs, outputs, backend=b)(*values) for b in ("llvm", "interpreter")]
    return list(zip(*made, strict=True)) if isinstance(outputs, list) else [(made[0], made[1])]


# --- types -----------------------------------------------------------------------------------------------------------


def test_bfloat16_promotes_as_ml_dtypes_has_it_where_it_has_an_answer() -> None:
    answers = 0
    for other in t.DTYPES:
        try:
            want = np.promote_types(t.bfloat16.numpy, other.numpy)
        except TypeError:
            continue
        answers += 1
        assert t.promote(t.bfloat16, other) == t.promote(other, t.bfloat16) == t.as_dtype(want), str(other)
    assert answers >= 5
    assert {t.promote(t.bfloat16, i) for i in t.INTEGERS} == {t.bfloat16}
    assert t.promote(t.bfloat16, t.float16) == t.float32


@STORED
def test_python_numbers_are_weak(dtype: t.DType) -> None:
    x = gx.placeholder("x", (2,), dtype)
    for number in (True, 2, 0.1):
        assert (x + number).dtype == (number * x).dtype == dtype
    assert (gx.placeholder("i", (2,), "int8") + 0.5).dtype == t.float64


@STORED
def test_names_and_text(dtype: t.DType) -> None:
    assert t.as_dtype(dtype.name) == t.as_dtype(dtype.short) == t.as_dtype(dtype.numpy) == getattr(gx, dtype.name) == dtype
    x = gx.placeholder("x", ("n", 3), dtype)
    graph = gx.ir.Graph([x], [gx.astype(x * gx.constant(np.array([0.1, 2, np.inf], dtype.numpy)), gx.float32)])
    assert f"%x: {dtype.short}[n, 3]" in print_graph(graph)
    assert print_graph(parse(print_graph(graph))) == print_graph(graph)


def test_without_ml_dtypes_bfloat16_is_an_error_with_advice(tmp_path: Path) -> None:
    (tmp_path / "ml_dtypes.py").write_text("raise ImportError('not here')\n")
    code = (
        "import sys, graphc as gx\n"
        "assert 'ml_dtypes' not in sys.modules\n"
        "(gx.placeholder('x', (2,), 'float16') + gx.constant([1], 'float16')).dtype.numpy\n"
        "try:\n    gx.constant([1.0], 'bfloat16')\n"
        "except gx.errors.DTypeError as error:\n    print(error)\n"
    )
    path = os.pathsep.join([str(tmp_path), str(ROOT)])
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert "bfloat16 needs the package ml_dtypes" in run.stdout, run.stderr
    assert "hint: pip install ml_dtypes" in run.stdout


# --- conversions -----------------------------------------------------------------------------------------------------


@STORED
def test_every_value_widens_exactly(dtype: t.DType) -> None:
    values = np.arange(1 << 16, dtype=np.uint16).view(dtype.numpy)
    x = gx.placeholder("x", ("n",), dtype)
    wide = gx.compile([x], [gx.astype(x, "float32"), gx.astype(x, "float64"), gx.astype(x, "int32"), gx.astype(x, "bool")])
    with np.errstate(all="ignore"):
        for got, target in zip(wide(values), ("float32", "float64"), strict=False):
            assert_same_bits(got, values.astype(target), f"{dtype} to {target}")


@STORED
def test_rounding_is_to_nearest_even(dtype: t.DType) -> None:
    """Around every value: the two neighbours in float32, the middles to the next values, and their neighbours."""
    values = np.arange(1 << 16, dtype=np.uint16).view(dtype.numpy).astype(np.float32)
    values = values[np.isfinite(values)]
    with np.errstate(all="ignore"):
        middles = np.arange(0, 1 << 32, 1 << 12, dtype=np.uint64).astype(np.uint32).view(np.float32)  # half, for float16 as well
        around = [np.nextafter(v, np.float32(to)) for v in (values, middles) for to in (-np.inf, np.inf)]
        tried = np.concatenate([values, middles, *around, special(np.dtype(np.float32))])
        x = gx.placeholder("x", ("n",), "float32")
        assert_same_bits(gx.compile([x], gx.astype(x, dtype))(tried), tried.astype(dtype.numpy), f"float32 to {dtype}")


def test_nan_of_any_payload_stays_one() -> None:
    bits = np.array([0x7F800001, 0x7FFFFFFF, 0xFFFFFFFF, 0xFF800001, 0x7F80FFFF, 0x7FFF8000, 0x7FC00000], np.uint32)
    x = gx.placeholder("x", ("n",), "float32")
    for got in gx.compile([x], [gx.astype(x, d) for d in ("float16", "bfloat16")])(np.tile(bits, 9).view(np.float32)):
        assert np.isnan(got).all()


def test_float64_is_rounded_once_to_float16_and_by_way_of_float32_to_bfloat16() -> None:
    ties = 1 + (2 * np.arange(64) + 1) * 2.0**-11
    small = ties * 2.0**-20
    values = np.concatenate([ties, ties + 2.0**-40, ties - 2.0**-40, small, small + 2.0**-60, [1e300, 1e-300]])
    values = np.concatenate([values, -values, [65519.999999, 65520.0, np.nan, np.inf]])
    x = gx.placeholder("x", ("n",), "float64")
    half, brain = gx.compile([x], [gx.astype(x, "float16"), gx.astype(x, "bfloat16")])(values)
    with np.errstate(over="ignore"):
        assert_same_bits(half, values.astype(np.float16), "float64 to float16")
        assert_same_bits(brain, values.astype(np.float32).astype(ml_dtypes.bfloat16), "float64 to bfloat16")


# --- arithmetic ------------------------------------------------------------------------------------------------------


IEEE = (
    "abs", "add", "ceil", "copysign", "divide", "floor", "floor_divide", "fmod", "multiply", "negative", "remainder", "round",
    "sign", "sqrt", "subtract", "trunc", "equal", "less", "isnan", "signbit",
)  # fmt: skip


@pytest.mark.parametrize("name", IEEE)
def test_exact_operations_have_the_bits_of_numpy_s_float16(name: str) -> None:
    """The reference computes in float32 and rounds once: that is what NumPy's own float16 does."""
    op, function = VOCABULARY[name], getattr(np, NUMPY_NAMES.get(name, name))
    values = special(np.dtype(np.float16))
    a, b = np.broadcast_to(values[:, None], (len(values),) * 2), np.broadcast_to(values, (len(values),) * 2)
    with np.errstate(all="ignore"):
        assert_same_bits(op.reference(*(a, b)[: op.arity]), np.asarray(function(*(a, b)[: op.arity])), op.name)


@STORED
def test_a_chain_is_rounded_at_each_operation(dtype: t.DType) -> None:
    """In one kernel, with the bits of NumPy's own arithmetic in 16 bits."""
    x = gx.placeholder("x", ("n",), dtype)
    values = rng.normal(size=500).astype(dtype.numpy)
    run = gx.compile([x], (x * 3 + 0.7) / (x - 0.1) - gx.sqrt(gx.abs(x)))
    three, some, tenth = (np.asarray(v, dtype.numpy) for v in (3, 0.7, 0.1))
    assert_same_bits(run(values), (values * three + some) / (values - tenth) - np.sqrt(np.abs(values)), str(dtype))
    assert len(run.kernels) == 1


def test_sums_means_products_and_softmax_round_once() -> None:
    dtype = t.bfloat16
    x, y = gx.placeholder("x", ("n", "m"), dtype), gx.placeholder("y", ("m", "k"), dtype)
    a, b = (rng.uniform(1, 2, shape).astype(dtype.numpy) for shape in ((7, 3000), (3000, 5)))
    wide, other = a.astype(np.float64), b.astype(np.float64)
    e = np.exp(wide - wide.max(1, keepdims=True))
    outputs = [gx.sum(x, 1), gx.sum(x, 0), gx.mean(x, 1), gx.mean(x), gx.std(x), x @ y, gx.nn.softmax(x), gx.vecdot(x, x)]
    exact = [wide.sum(1), wide.sum(0), wide.mean(1), wide.mean(), wide.std(), wide @ other, e / e.sum(1, keepdims=True)]
    exact.append((wide * wide).sum(1))
    unit = 2.0 ** -t.DIGITS[dtype]
    for (native, oracle), truth in zip(both([x, y], outputs, a, b), exact, strict=True):
        assert native.dtype == oracle.dtype == dtype.numpy
        for got in (native, oracle):
            assert np.all(np.abs(got.astype(np.float64) - truth) <= 1.01 * unit * np.abs(truth) + 2.0**-25)


def test_a_mean_of_more_elements_than_a_float16_counts() -> None:
    x = gx.placeholder("x", ("n",), "float16")
    for got in both([x], gx.mean(x), np.full(200_000, 3, np.float16))[0]:
        assert got == 3


@STORED
def test_gradients_have_the_type_of_what_they_are_of(dtype: t.DType) -> None:
    x, w = gx.placeholder("x", (4, 3), dtype), gx.variable(rng.normal(size=(3, 2)), dtype=dtype)
    loss = gx.nn.mse(gx.tanh(x @ w), gx.zeros((4, 2), dtype))
    gradients = gx.grad(loss, [x, w])
    assert [g.dtype for g in gradients] == [dtype, dtype]
    f32 = gx.placeholder("f", (4, 3), "float32")
    fine = gx.placeholder("g", (3, 2), "float32")
    smooth = gx.grad(gx.nn.mse(gx.tanh(f32 @ fine), gx.zeros((4, 2), "float32")), [f32, fine])
    given = rng.normal(size=(4, 3)).astype(dtype.numpy)
    want = gx.compile([f32, fine], smooth)(given.astype(np.float32), w.value.astype(np.float32))
    for (native, oracle), other in zip(both([x], gradients, given), want, strict=True):
        assert_same_bits(native, oracle, "gradient")
        assert np.allclose(native.astype(np.float32), other, atol=2.0 ** (2 - t.DIGITS[dtype]))


@STORED
def test_optimisers_train_variables_of_16_bits(dtype: t.DType) -> None:
    """In float32 inside: the eps of Adam is 0 as a float16, and the square of a gradient infinite."""
    for optimiser in (gx.optim.momentum, gx.optim.adamw):
        w = gx.variable(np.array([1.0, -2.0, 200.0, 0.5]), name="w", dtype=dtype)
        loss = gx.sum((w - 0.5) * (w - 0.5))
        updates = optimiser(loss, [w], lr=0.1, clip_norm=50.0)
        assert {v.dtype for v in updates if v is not w} <= {t.float32, t.int64}
        step = gx.compile([], loss, updates=updates)
        for _ in range(20):
            step()
        assert w.value.dtype == dtype.numpy
        left = np.abs(w.value.astype(np.float32) - 0.5)  # at first 0.5, 2.5, 199.5 and 0, which decays
        assert left[0] < 0.5
        assert left[1] < 2.5
        assert left[2] <= 199.5
        assert left[3] < 0.05


# --- programs --------------------------------------------------------------------------------------------------------


def test_kernels_only_choose_and_cast_what_has_16_bits() -> None:
    x, w = gx.placeholder("x", ("n", 16), "bfloat16"), gx.placeholder("w", (16, 16), "bfloat16")
    y = gx.nn.layer_norm(gx.nn.gelu(x @ w) + x)
    run = gx.compile([x, w], [gx.sum(y), *gx.grad(gx.sum(y * y), [x, w]), gx.pad(gx.where(x > 0, x, 1), 1)])
    kernels = [call.kernel for call in run.program.calls]
    lets = [s for k in kernels for s in statements_of(k.body) if isinstance(s, Let)]
    touching = [s for s in lets if s.dtype.is_storage or any(a.dtype.is_storage for a in s.args)]
    assert {s.op for s in touching} == STORAGE


def test_what_is_kept_between_kernels_is_what_was_rounded() -> None:
    """Not the float32 value before it, which has twice the bytes."""
    x, w = gx.placeholder("x", ("n", 64), "float16"), gx.placeholder("w", (64, 64), "float16")
    run = gx.compile([x, w], gx.exp(x @ w) @ w)
    assert [b.type.dtype for b in run.program.buffers.values() if b.role == "temporary"] == [t.float16]


def test_a_product_reads_16_bits_as_it_packs() -> None:
    x, w = gx.placeholder("x", ("n", 64), "bfloat16"), gx.placeholder("w", (64, 32), "bfloat16")
    run = gx.compile([x, w], gx.nn.relu(x @ w))
    (kernel,) = {call.kernel for call in run.program.calls}
    assert isinstance(kernel, Kernel)
    assert {p.type.dtype for p in kernel.params} == {t.bfloat16}


@STORED
def test_arrays_of_other_types_as_arguments(dtype: t.DType) -> None:
    x = gx.placeholder("x", (2,), dtype)
    run = gx.compile([x], x + 1)
    assert run([0.5, 2]).tolist() == [1.5, 3.0]
    assert run(np.array([1, 2], np.int8)).tolist() == [2.0, 3.0]
    with pytest.raises(gx.errors.DTypeError, match=f"input x needs {dtype.short}\\[2\\], got float32: not a safe cast"):
        run(np.ones(2, np.float32))
    wide = gx.placeholder("w", (2,), "float32")
    assert gx.compile([wide], wide * 2)(np.ones(2, dtype.numpy)).tolist() == [2.0, 2.0]
    v = gx.variable([1.0, 2.0], dtype=dtype)
    v.value = np.array([0.1, 0.2])
    assert v.value.tolist() == np.array([0.1, 0.2]).astype(dtype.numpy).tolist()
