"""Fourier transforms: NumPy's names, with complex numbers as pairs of floats.

The Array API's and NumPy's functions give complex arrays; graphc's arrays are real, since no kernel and no gradient rule here
knows complex numbers. So a spectrum is a `Complex(real, imag)`, a pair of symbols, and what needs one takes such a pair:

    real, imag = gx.fft.rfft(x)
    power = real**2 + imag**2
    y = gx.fft.irfft((real * mask, imag * mask), n=x.shape[-1])

A transform is a call of the host, NumPy's pocketfft on one thread, between the program's kernels; it does not fuse with what is
around it. Gradients are transforms too, to any order. x is float32 or float64 (integers count as float64, floats of 16 bits are
computed in float32); axes may have named sizes.

A short-time Fourier transform is rfft of windows:

    frames = gx.sliding_window_view(x, 256)[::128]
    spectra = gx.fft.rfft(frames * gx.hanning(256))
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import graphc as gx
from graphc import Tensor, TensorLike, advice


class Complex(NamedTuple):
    """Complex numbers as two arrays of one shape and type: a pair, with the arithmetic of complex numbers.

    >>> import graphc as gx
    >>> spectrum = gx.fft.rfft(gx.constant([1.0, 0.0, 0.0, 0.0]))
    >>> abs(2 * spectrum).eval()
    array([2., 2., 2.])
    """

    real: Tensor
    imag: Tensor

    @property
    def no_symbol(self) -> str:  # read by as_tensor, for which a tuple of symbols is their stack
        return "take its .real and .imag, or abs(z); the sum, difference, product and quotient of two are here"

    def __add__(self, other: Any) -> Complex:
        b = _pair("add", other)
        return Complex(self.real + b.real, self.imag + b.imag)

    def __radd__(self, other: Any) -> Complex:
        return self.__add__(other)

    def __sub__(self, other: Any) -> Complex:
        b = _pair("subtract", other)
        return Complex(self.real - b.real, self.imag - b.imag)

    def __rsub__(self, other: Any) -> Complex:
        return _pair("subtract", other).__sub__(self)

    def __mul__(self, other: Any) -> Complex:
        b = _pair("multiply", other)
        return Complex(self.real * b.real - self.imag * b.imag, self.real * b.imag + self.imag * b.real)

    def __rmul__(self, other: Any) -> Complex:
        return self.__mul__(other)

    def __truediv__(self, other: Any) -> Complex:
        b = _pair("divide", other)
        scale = 1 / (b.real * b.real + b.imag * b.imag)
        return Complex(
            (self.real * b.real + self.imag * b.imag) * scale, (self.imag * b.real - self.real * b.imag) * scale
        )  # fmt: skip

    def __rtruediv__(self, other: Any) -> Complex:
        return _pair("divide", other).__truediv__(self)

    def __neg__(self) -> Complex:
        return Complex(-self.real, -self.imag)

    def __abs__(self) -> Tensor:
        return gx.hypot(self.real, self.imag)

    def conj(self) -> Complex:
        """The complex conjugate."""
        return Complex(self.real, -self.imag)


rfft_, irfft_, fft_ = gx.ops.fourier.rfft_, gx.ops.fourier.irfft_, gx.ops.fourier.fft_
Pair = Complex | tuple[TensorLike, TensorLike] | TensorLike


def _floats(name: str, *xs: TensorLike) -> list[Tensor]:
    made, found = gx.ops.promote_operands(name, xs, gx.ops.declare.true_division)
    return [gx.astype(x, found.arithmetic) for x in made]


def _pair(name: str, x: Any) -> Complex:
    """A pair; of an array, which is real, its imaginary part is 0."""
    if isinstance(x, tuple):
        if len(x) != 2:
            raise gx.errors.InputError(f"{name}: a pair (real, imag) has two parts, got {len(x)}", where=gx.errors.caller())
        real, imag = _floats(name, *x)
        shape = gx.ops.broadcast_shapes(name, [real.type, imag.type])
        return Complex(gx.broadcast_to(real, shape), gx.broadcast_to(imag, shape))
    (real,) = _floats(name, x)
    return Complex(real, gx.zeros_like(real))


def _place(name: str, x: Tensor, axis: int) -> int:
    place: int = gx.ops.normalize_axis(name, axis, x.type)
    if x.shape[place] == 0:
        raise gx.errors.ShapeError(f"{name} needs an axis that is not empty, got {x.type}", where=gx.errors.caller())
    return place


def _wanted(name: str, n: Any, otherwise: Any) -> Any:
    found = otherwise if n is None else gx.ops.declare.normalize_size(name, "n", n)
    if isinstance(found, int) and found < 1:
        raise gx.errors.ShapeError(f"{name}: n must be at least 1, got {n}", where=gx.errors.caller())
    return found


def _sized(x: Tensor, n: Any) -> Tensor:
    """The first n elements along the last axis, zeros behind them where there are fewer."""
    here = x.shape[-1]
    if here == n:
        return x
    longer = gx.ir.dims.maximum(n - here, 0)
    if longer != 0:
        x = gx.concat([x, gx.zeros((*x.shape[:-1], longer), x.dtype)], -1)
    return gx.ops.slice_(x, start=(0,) * x.ndim, step=(1,) * x.ndim, size=(*x.shape[:-1], n))


def _scale(name: str, norm: Any, inverse: bool, n: Any, x: Tensor) -> Tensor | None:
    """What a sum is multiplied by."""
    if norm is not None and (not isinstance(norm, str) or norm not in ("backward", "ortho", "forward")):
        raise gx.errors.InputError(
            f"{name}: norm is {norm!r}", where=gx.errors.caller(), hint="'backward', 'ortho' or 'forward'"
        )
    size = gx.full((), n, x.dtype)
    if norm == "ortho":
        return 1 / gx.sqrt(size)
    return 1 / size if (norm == "forward") != inverse else None


def _scaled(parts: Sequence[Tensor], scale: Tensor | None) -> list[Tensor]:
    return list(parts) if scale is None else [part * scale for part in parts]


def rfft(x: TensorLike, n: Any = None, axis: int = -1, norm: str | None = None) -> Complex:
    """The spectrum of a real signal: n // 2 + 1 complex numbers, from frequency 0 to half of the sampling rate.

    x: numbers. n: the length that is transformed, a number or a size; x is cut, or zeros are put behind it. norm: "backward"
    scales nothing here and by 1/n in `irfft`, "forward" the other way round, "ortho" by 1/sqrt(n) in both.

    >>> import graphc as gx
    >>> real, imag = gx.fft.rfft(gx.constant([0.0, 1.0, 0.0, -1.0]))
    >>> real.eval(), imag.eval()
    (array([0., 0., 0.]), array([ 0., -2.,  0.]))
    """
    (y,) = _floats("rfft", x)
    place = _place("rfft", y, axis)
    y = gx.moveaxis(y, place, -1)
    size = _wanted("rfft", n, y.shape[-1])
    found = gx.ops.declare.results(rfft_(_sized(y, size)))
    return Complex(*(gx.moveaxis(part, -1, place) for part in _scaled(found, _scale("rfft", norm, False, size, y))))


def irfft(x: Pair, n: Any = None, axis: int = -1, norm: str | None = None) -> Tensor:
    """The real signal of a spectrum, the inverse of `rfft`. The imaginary parts of the first and, if n is even, the last
    element count for nothing.

    x: a pair (real, imag), or an array that is real. n: the length of the result, by default 2 * (m - 1) for a spectrum of m,
    which is even: give n for a signal of odd length. norm: see `rfft`.

    >>> import graphc as gx
    >>> x = gx.constant([1.0, 2.0, 4.0])
    >>> gx.fft.irfft(gx.fft.rfft(x), n=3).eval()
    array([1., 2., 4.])
    """
    pair = _pair("irfft", x)
    place = _place("irfft", pair.real, axis)
    real, imag = (gx.moveaxis(part, place, -1) for part in pair)
    size = _wanted("irfft", n, 2 * (real.shape[-1] - 1))
    half = size // 2 + 1
    found = irfft_(_sized(real, half), _sized(imag, half), n=size)
    return gx.moveaxis(_scaled([found], _scale("irfft", norm, True, size, real))[0], -1, place)


def _complex(name: str, x: Pair, n: Any, axis: int, norm: str | None, inverse: bool) -> Complex:
    pair = _pair(name, x)
    place = _place(name, pair.real, axis)
    real, imag = (gx.moveaxis(part, place, -1) for part in pair)
    size = _wanted(name, n, real.shape[-1])
    found = gx.ops.declare.results(fft_(_sized(real, size), _sized(imag, size), inverse=inverse))
    return Complex(*(gx.moveaxis(part, -1, place) for part in _scaled(found, _scale(name, norm, inverse, size, real))))


def fft(x: Pair, n: Any = None, axis: int = -1, norm: str | None = None) -> Complex:
    """The spectrum of a complex signal, as many complex numbers. x: a pair (real, imag), or an array that is real. See `rfft`.

    >>> import graphc as gx
    >>> [part.eval().tolist() for part in gx.fft.fft((gx.constant([1.0, 0.0]), gx.constant([0.0, 1.0])))]
    [[1.0, 1.0], [1.0, -1.0]]
    """
    return _complex("fft", x, n, axis, norm, False)


def ifft(x: Pair, n: Any = None, axis: int = -1, norm: str | None = None) -> Complex:
    """The complex signal of a spectrum, the inverse of `fft`."""
    return _complex("ifft", x, n, axis, norm, True)


def _two(name: str, s: Any, axes: Any) -> tuple[list[Any], list[int]]:
    places = gx.ops.listed(name, "axes", axes)
    sizes = [None, None] if s is None else gx.ops.listed(name, "s", s)
    if len(places) != 2 or len(sizes) != 2:
        raise gx.errors.ShapeError(f"{name} needs two axes and two sizes, got {axes} and {s}", where=gx.errors.caller())
    return sizes, places


def rfft2(x: TensorLike, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Complex:
    """The spectrum of a real image: `rfft` along the last of two axes, `fft` along the first. s: a length for each.

    >>> import graphc as gx
    >>> gx.fft.rfft2(gx.ones((2, 4))).real.eval()
    array([[8., 0., 0.],
           [0., 0., 0.]])
    """
    sizes, places = _two("rfft2", s, axes)
    return fft(rfft(x, sizes[1], places[1], norm), sizes[0], places[0], norm)


def irfft2(x: Pair, s: Any = None, axes: Sequence[int] = (-2, -1), norm: str | None = None) -> Tensor:
    """The real image of a spectrum, the inverse of `rfft2`. s: its sizes, where the last is odd."""
    sizes, places = _two("irfft2", s, axes)
    return irfft(ifft(x, sizes[0], places[0], norm), sizes[1], places[1], norm)


def _spacing(name: str, n: Any, d: Any) -> tuple[Any, Any]:
    size = _wanted(name, n, 1)
    gx.ops.check_number(name, "d", d)
    return size, 1 / (gx.full((), size, gx.float64) * float(d))


def rfftfreq(n: Any, d: float = 1.0) -> Tensor:
    """The frequencies of `rfft`'s elements for n samples that are d apart: 0, 1/(n d), ... in cycles.

    >>> import graphc as gx
    >>> gx.fft.rfftfreq(4, d=0.5).eval()
    array([0. , 0.5, 1. ])
    """
    size, unit = _spacing("rfftfreq", n, d)
    found: Tensor = gx.arange(size // 2 + 1, dtype=gx.float64) * unit
    return found


def fftfreq(n: Any, d: float = 1.0) -> Tensor:
    """The frequencies of `fft`'s elements for n samples that are d apart: from 0 up, then the negative ones.

    >>> import graphc as gx
    >>> gx.fft.fftfreq(4).eval()
    array([ 0.  ,  0.25, -0.5 , -0.25])
    """
    size, unit = _spacing("fftfreq", n, d)
    k = gx.arange(size)
    half = gx.full((), (size + 1) // 2, gx.int64)
    found: Tensor = gx.astype(gx.where(k < half, k, k - gx.full((), size, gx.int64)), gx.float64) * unit
    return found


def _shifted(name: str, x: TensorLike, axes: Any, sign: int) -> Tensor:
    y = gx.asarray(x)
    places = range(y.ndim) if axes is None else axes if isinstance(axes, (tuple, list)) else (axes,)
    for a in places:
        n: Any = y.shape[gx.ops.normalize_axis(name, a, y.type)]
        y = gx.roll(y, sign * (n // 2), a)
    return y


def fftshift(x: TensorLike, axes: Any = None) -> Tensor:
    """The elements of frequency 0 moved to the middle of axes, of all by default.

    >>> import graphc as gx
    >>> gx.fft.fftshift(gx.fft.fftfreq(4)).eval()
    array([-0.5 , -0.25,  0.  ,  0.25])
    """
    return _shifted("fftshift", x, axes, 1)


def ifftshift(x: TensorLike, axes: Any = None) -> Tensor:
    """The inverse of `fftshift`."""
    return _shifted("ifftshift", x, axes, -1)


__all__ = [
    "Complex", "fft", "fftfreq", "fftshift", "ifft", "ifftshift", "irfft", "irfft2", "rfft", "rfft2", "rfftfreq",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
