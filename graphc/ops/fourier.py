"""Discrete Fourier transforms of the last axis, by NumPy's pocketfft. What users call is in graphc/fft.py.

Complex numbers are pairs of floats, (real, imaginary). Sums are not normalised here:

    rfft(x)        y[k] = sum over j of x[j] exp(-2 pi i j k / n),                        k = 0 .. n // 2
    irfft(y, n)    x[j] = sum over k of y[k] exp(+2 pi i j k / n), and of its conjugates, j = 0 .. n - 1
    fft(x)         the first sum over complex x for all k; with `inverse` the second over all k

Each is linear, and its adjoint is another of them, so gradients of every order are transforms: that of rfft is irfft of what was
halved where irfft adds conjugates, that of fft is fft with the other sign.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import DTypeError, ShapeError
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.operation import Requirement, Sample
from graphc.ir.types import TensorType, TupleType
from graphc.ops.declare import Op, host, results
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
Pair = tuple[Tensor | None, Tensor | None]


def _floats(name: str, *xs: TensorType) -> TensorType:
    for x in xs:
        if not x.dtype.is_float or x.dtype.is_storage:
            raise DTypeError(f"{name} needs float32 or float64, got {x}", hint="astype first")
        if x.rank < 1 or x.shape[-1] == 0:
            raise ShapeError(f"{name} needs an axis that is not empty, got {x}")
        if x != xs[0]:
            raise ShapeError(f"{name} needs real and imaginary parts of one type, got {xs[0]} and {x}")
    return xs[0]


def _half(n: Size) -> Size:
    return dims.add(dims.floordiv(n, 2), 1)


def _rfft_type(x: TensorType) -> TupleType:
    found = TensorType(_floats("rfft", x).dtype, (*x.shape[:-1], _half(x.shape[-1])))
    return TupleType((found, found))


BLOCK = 1 << 16  # elements that are transformed at a time: what lies between is still in the cache when it is read
ROWS = 32  # but not fewer rows: NumPy computes tables of sines anew at each call


def _blocks(*arrays: Array) -> Iterator[list[Array]]:
    """Some rows of each array after the others. Arrays that are written are contiguous, so that their rows are views."""
    flat = [a.reshape(-1, a.shape[-1]) for a in arrays]
    rows = max(BLOCK // flat[0].shape[1], ROWS)
    for i in range(0, len(flat[0]), rows):
        yield [a[i : i + rows] for a in flat]


def _complex(real: Array, imaginary: Array) -> Array:
    z = np.empty(real.shape, np.result_type(real, 1j))
    z.real, z.imag = real, imaginary
    return z


def _rfft(out: tuple[Array, Array], x: Array) -> None:
    for part, real, imaginary in _blocks(x, *out):
        y = np.fft.rfft(part)
        real[...], imaginary[...] = y.real, y.imag


def _weights(x: Tensor, n: Size, inner: float) -> Tensor:
    """1 for the elements that have no conjugate, the first and, if n is even, the last; a number for the others."""
    k = ops.arange(x.shape[-1])
    alone = (k == 0) | (2 * k == ops.full((), n, "int64"))
    return ops.where(alone, ops.ones((), x.dtype), inner)


def _given(g: Pair, y: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    first, second = (ops.zeros_like(part) if c is None else c for c, part in zip(g, y, strict=True))
    return first, second


def _rfft_vjp(g: Pair, y: tuple[Tensor, Tensor], x: Tensor) -> tuple[Tensor]:
    real, imaginary = _given(g, y)
    n = x.shape[-1]
    weights = _weights(real, n, 0.5)
    return (irfft_(real * weights, imaginary * weights, n=n),)


def _not_empty(name: str, x: TensorType) -> list[Requirement]:
    return [Requirement(x.shape[-1], ">=", 1, f"{name} of an empty axis: {x}")]


rfft_: Op = host(
    "rfft", infer=_rfft_type, into=_rfft, vjp=_rfft_vjp,
    requires=lambda x: _not_empty("rfft", x), samples=tuple(Sample((s,)) for s in ((8,), (2, 5), (3, 1), (0, 4), (2, 2, 6))),
)  # fmt: skip


def _irfft_type(real: TensorType, imaginary: TensorType, n: Size) -> TensorType:
    found, half = _floats("irfft", real, imaginary), _half(n)
    if n == 0 or (found.shape[-1] != half and isinstance(dims.sub(found.shape[-1], half), int)):
        raise ShapeError(f"irfft to {n} elements needs {half}, got {found}")
    return TensorType(found.dtype, (*found.shape[:-1], n))


def _irfft_requires(real: TensorType, imaginary: TensorType, n: Size) -> list[Requirement]:
    message = f"irfft to {n} elements needs half of them and one more: {real}"
    return [Requirement(n, ">=", 1, message), Requirement(real.shape[-1], "==", _half(n), message)]


def _irfft_vjp(g: Tensor, y: Tensor, real: Tensor, imaginary: Tensor, n: Size) -> tuple[Tensor, Tensor]:
    back = results(rfft_(g))
    weights = _weights(back[0], n, 2.0)
    return ops.reshape(back[0] * weights, real.shape), ops.reshape(back[1] * weights, imaginary.shape)


def _irfft(out: Array, real: Array, imaginary: Array, n: int) -> None:
    for found, *parts in _blocks(out, real, imaginary):
        np.fft.irfft(_complex(*parts), n, norm="forward", out=found)


irfft_: Op = host(
    "irfft", arity=2, infer=_irfft_type, into=_irfft, vjp=_irfft_vjp, requires=_irfft_requires,
    samples=tuple(
        Sample(((*lead, n // 2 + 1),) * 2, {"n": n}) for lead, n in (((), 8), ((2,), 5), ((3,), 1), ((0,), 4), ((2, 2), 2))
    ),
)  # fmt: skip


def _fft_type(real: TensorType, imaginary: TensorType, inverse: bool) -> TupleType:
    return TupleType((_floats("fft", real, imaginary),) * 2)


def _fft(out: tuple[Array, Array], real: Array, imaginary: Array, inverse: bool) -> None:
    for first, second, *parts in _blocks(*out, real, imaginary):
        x = _complex(*parts)
        y = np.fft.ifft(x, norm="forward") if inverse else np.fft.fft(x)
        first[...], second[...] = y.real, y.imag


fft_: Op = host(
    "fft", arity=2, infer=_fft_type, into=_fft, requires=lambda real, imaginary, inverse: _not_empty("fft", real),
    vjp=lambda g, y, real, imaginary, inverse: results(fft_(*_given(g, y), inverse=not inverse)),
    samples=tuple(Sample((s, s), {"inverse": inverse}) for s in ((8,), (2, 5), (0, 4)) for inverse in (False, True)),
)  # fmt: skip


__all__ = ["fft_", "irfft_", "rfft_"]
