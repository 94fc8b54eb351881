"""The primitives of scalar code: native code gives the bits that ir/primitives.py says, on special and random values."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from values import draw, special

from graphc.backends.program import InterpretedProgram
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.primitives import PRIMITIVES, fma
from graphc.ir.program import Axis, Buffer, Call, Kernel, Load, Param, Program, Store, sign
from graphc.ir.scalar import COMPARISONS, Let, Ref
from graphc.ir.types import DTYPES, DType, TensorType
from graphc.passes.expand_math import is_primitive

ARITY = {"fma": 3, "select": 3} | dict.fromkeys("neg abs sqrt floor ceil trunc rint not cast bitcast".split(), 1)


def program_of(op: str, operands: tuple[DType, ...], result: DType) -> Program:
    """y[i] = op(x0[i], ...)."""
    i, n = dims.symbol("i"), dims.symbol("n")
    params = [Param(f"x{k}", TensorType(d, (n,)), "in") for k, d in enumerate(operands)]
    params.append(Param("y", TensorType(result, (n,)), "out"))
    loads = [Load(str(k), d, f"x{k}", (i,)) for k, d in enumerate(operands)]
    let = Let("r", result, op, tuple(Ref(str(k), d) for k, d in enumerate(operands)))
    kernel = Kernel("k0", tuple(params), (Axis("i", n),), (*loads, let, Store("y", (i,), Ref("r", result))))
    buffers = {p.name: Buffer(p.name, p.type, "input" if p.mode == "in" else "output") for p in params}
    return Program("one", buffers, (Call(kernel, tuple(buffers)),), sign(buffers, [p.name for p in params[:-1]], ["y"]))


def cases() -> list[tuple[str, tuple[DType, ...], DType]]:
    found = []
    for op in sorted(PRIMITIVES):
        if op == "index":
            continue
        for dtype in DTYPES:
            if not is_primitive(op, dtype) or (op in ("div", "sqrt", "fma") and not dtype.is_float):
                continue
            if op in ("quot", "rem", "shl", "shr") and not dtype.is_integer:
                continue
            if op in ("and", "or", "xor", "not") and dtype.is_float:
                continue
            if op == "cast":
                found += [(op, (dtype,), to) for to in DTYPES if to != dtype]
            elif op == "bitcast":
                others = [to for to in DTYPES if to != dtype and to.bits == dtype.bits and not to.is_storage]
                found += [(op, (dtype,), to) for to in others if not (to.is_bool or dtype.is_bool)]
            elif op == "select":
                found.append((op, (t.bool_, dtype, dtype), dtype))
            else:
                found.append((op, (dtype,) * ARITY.get(op, 2), t.bool_ if op in COMPARISONS else dtype))
    return found


def values(op: str, operands: tuple[DType, ...], rng: np.random.Generator) -> list[np.ndarray]:
    """Every pair of special values, and random ones; none that an operation is not made for."""
    several = [special(d.numpy) for d in operands]
    grids = [g.ravel() for g in np.meshgrid(*several, indexing="ij")]
    arrays = [np.concatenate([g, draw(rng, d.numpy, (200,))]) for g, d in zip(grids, operands, strict=True)]
    if op in ("quot", "rem"):
        least = np.iinfo(arrays[0].dtype).min if operands[0].kind == "i" else -1
        fine = (arrays[1] != 0) & ~((arrays[0] == least) & (arrays[1].astype("int64") == -1))
        arrays = [a[fine] for a in arrays]
    if op in ("shl", "shr"):
        arrays[1] = (arrays[1].astype("int64") % operands[0].bits).astype(arrays[1].dtype)
    return arrays


@pytest.mark.parametrize(
    ("op", "operands", "result"), cases(), ids=lambda v: "-".join(d.short for d in v) if isinstance(v, tuple) else str(v)
)  # fmt: skip
def test_native_code_gives_the_bits_of_the_reference(op: str, operands: tuple[DType, ...], result: DType) -> None:
    from graphc.backends.llvm import build

    arrays = values(op, operands, np.random.default_rng(0))
    extra = (result,) if op in ("cast", "bitcast") else ()
    with np.errstate(all="ignore"):
        want = np.asarray(PRIMITIVES[op](*arrays, *extra))
    program, sizes = program_of(op, operands, result), {"n": arrays[0].size}
    for executable in (build(program, {}), InterpretedProgram(program, {})):
        (got,) = executable.run(arrays, sizes, (arrays[0].shape,))
        assert got.dtype == want.dtype
        nan = want != want
        assert np.array_equal(nan, got != got)
        same = got.view(f"u{got.itemsize}") == want.view(f"u{want.itemsize}")
        wrong = np.flatnonzero(~(same | nan))
        assert not wrong.size, [(*(a[i] for a in arrays), got[i], want[i]) for i in wrong[:5]]


@pytest.mark.parametrize("name", ["float32", "float64"])
def test_fma_is_rounded_once(name: str) -> None:
    """Against exact fractions, on values that cancel, and whose result is subnormal."""
    rng = np.random.default_rng(1)
    digits = np.finfo(name).nmant
    for _ in range(300):
        a, b = ((1 + rng.random(2)) * 2.0 ** rng.integers(-8, 8, 2)).astype(name)
        c = np.dtype(name).type(-a * b * np.dtype(name).type(2.0) ** rng.integers(-digits - 2, 2))
        exact = Fraction(float(a)) * Fraction(float(b)) + Fraction(float(c))
        got = fma(a, b, c)
        below, above = np.nextafter(got, -np.inf, dtype=name), np.nextafter(got, np.inf, dtype=name)
        assert abs(Fraction(float(got)) - exact) <= min(abs(Fraction(float(v)) - exact) for v in (below, above))
