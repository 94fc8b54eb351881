"""gx.fft against numpy.fft: values, sizes, normalisations, gradients to second order, vmap."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx

Array = np.ndarray[Any, Any]
A = np.random.default_rng(0).normal(size=(3, 4, 6))
B = np.random.default_rng(1).normal(size=(3, 4, 6))
Z = A + 1j * B

ROWS: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "rfft": (lambda x, y: gx.fft.rfft(x), lambda z: np.fft.rfft(z.real)),
    "rfft odd": (lambda x, y: gx.fft.rfft(x, n=5), lambda z: np.fft.rfft(z.real, n=5)),
    "rfft longer": (lambda x, y: gx.fft.rfft(x, n=9), lambda z: np.fft.rfft(z.real, n=9)),
    "rfft one": (lambda x, y: gx.fft.rfft(x, n=1), lambda z: np.fft.rfft(z.real, n=1)),
    "rfft axis": (lambda x, y: gx.fft.rfft(x, axis=0, norm="ortho"), lambda z: np.fft.rfft(z.real, axis=0, norm="ortho")),
    "rfft forward": (lambda x, y: gx.fft.rfft(x, norm="forward"), lambda z: np.fft.rfft(z.real, norm="forward")),
    "irfft": (lambda x, y: gx.fft.irfft((x, y)), lambda z: np.fft.irfft(z)),
    "irfft odd": (lambda x, y: gx.fft.irfft((x, y), n=9), lambda z: np.fft.irfft(z, n=9)),
    "irfft shorter": (lambda x, y: gx.fft.irfft((x, y), n=4, axis=1), lambda z: np.fft.irfft(z, n=4, axis=1)),
    "irfft longer": (lambda x, y: gx.fft.irfft((x, y), n=20, norm="ortho"), lambda z: np.fft.irfft(z, n=20, norm="ortho")),
    "irfft forward": (lambda x, y: gx.fft.irfft((x, y), norm="forward"), lambda z: np.fft.irfft(z, norm="forward")),
    "irfft real": (lambda x, y: gx.fft.irfft(x), lambda z: np.fft.irfft(z.real)),
    "fft": (lambda x, y: gx.fft.fft((x, y)), lambda z: np.fft.fft(z)),
    "fft real": (lambda x, y: gx.fft.fft(x, n=7, axis=0), lambda z: np.fft.fft(z.real, n=7, axis=0)),
    "ifft": (lambda x, y: gx.fft.ifft((x, y)), lambda z: np.fft.ifft(z)),
    "ifft ortho": (lambda x, y: gx.fft.ifft((x, y), axis=1, norm="ortho"), lambda z: np.fft.ifft(z, axis=1, norm="ortho")),
    "rfft2": (lambda x, y: gx.fft.rfft2(x), lambda z: np.fft.rfft2(z.real)),
    "rfft2 sizes": (lambda x, y: gx.fft.rfft2(x, (5, 3), (0, 1)), lambda z: np.fft.rfft2(z.real, (5, 3), (0, 1))),
    "irfft2": (lambda x, y: gx.fft.irfft2((x, y)), lambda z: np.fft.irfft2(z)),
    "irfft2 sizes": (lambda x, y: gx.fft.irfft2((x, y), (4, 7)), lambda z: np.fft.irfft2(z, (4, 7), (-2, -1))),
    "fftshift": (lambda x, y: gx.fft.fftshift(x), lambda z: np.fft.fftshift(z.real)),
    "ifftshift": (lambda x, y: gx.fft.ifftshift(x, -1), lambda z: np.fft.ifftshift(z.real, -1)),
}


def parts(z: Any) -> list[Array]:
    return [z.real, z.imag] if np.iscomplexobj(z) else [z]


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
@pytest.mark.parametrize("name", ROWS)
def test_values_are_numpy_s(name: str, backend: str) -> None:
    ours, theirs = ROWS[name]
    for shape, dtype in (((3, 4, 6), "float64"), (("a", "b", "c"), "float64"), ((3, 4, 6), "float32")):
        x, y = gx.placeholder("x", shape, dtype), gx.placeholder("y", shape, dtype)
        made = ours(x, y)
        outputs = list(made) if isinstance(made, tuple) else [made]
        found = gx.compile([x, y], outputs, backend=backend)(A.astype(dtype), B.astype(dtype))
        for got, want in zip(found, parts(theirs(Z)), strict=True):
            assert got.dtype == dtype and got.shape == want.shape
            assert np.allclose(got, want, atol=1e-12 if dtype == "float64" else 1e-5), shape


@pytest.mark.parametrize("name", ROWS)
def test_gradients(name: str) -> None:
    gx.testing.check_grads(lambda x, y: ROWS[name][0](x, y), [A[:2, :3], B[:2, :3]], order=2)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_frequencies(n: int) -> None:
    assert np.allclose(gx.fft.rfftfreq(n, 0.1).eval(), np.fft.rfftfreq(n, 0.1), rtol=1e-15)
    assert np.allclose(gx.fft.fftfreq(n, 0.1).eval(), np.fft.fftfreq(n, 0.1), rtol=1e-15)
    x = gx.placeholder("x", ("n",), "float64")
    size = x.shape[0]
    found = gx.compile([x], [gx.fft.rfftfreq(size) + 0 * x[0], gx.fft.fftfreq(size) + x])(np.zeros(n))
    assert np.allclose(found[0], np.fft.rfftfreq(n)) and np.allclose(found[1], np.fft.fftfreq(n))


@pytest.mark.parametrize("n", [1, 4, 7])
def test_there_and_back_for_named_sizes(n: int) -> None:
    x = gx.placeholder("x", ("n",), "float64")
    values = np.random.default_rng(n).normal(size=n)
    back = gx.fft.irfft(gx.fft.rfft(x), n=x.shape[0])
    found, slope = gx.compile([x], [back, gx.grad(gx.sum(back**2), x)])(values)
    assert np.allclose(found, values) and np.allclose(slope, 2 * values)


def test_rows_at_once_and_integers_and_halves() -> None:
    x = gx.placeholder("x", ("n", 6), "float64")
    real, imag = gx.vmap(lambda row: tuple(gx.fft.rfft(row)))(x)
    found = gx.compile([x], [real, imag])(A[0])
    assert np.allclose(found[0] + 1j * np.asarray(found[1]), np.fft.rfft(A[0]))
    whole = gx.fft.rfft(gx.constant([1, 2, 3]))
    assert whole.real.dtype == gx.float64 and np.allclose(whole.real.eval(), [6, -1.5])
    half = gx.fft.rfft(gx.constant(np.ones(4, "float16")))
    assert half.real.dtype == gx.float32 and half.real.eval().tolist() == [4, 0, 0]


@pytest.mark.parametrize("rows, block, least", [(0, 8, 1), (1, 8, 1), (7, 20, 1), (7, 1, 3), (7, 1000, 1)])
def test_rows_are_transformed_some_at_a_time(monkeypatch: pytest.MonkeyPatch, rows: int, block: int, least: int) -> None:
    monkeypatch.setattr("graphc.ops.fourier.BLOCK", block)
    monkeypatch.setattr("graphc.ops.fourier.ROWS", least)
    x = gx.placeholder("x", ("n", 2, 5), "float64")
    z, w = gx.fft.rfft(x), gx.fft.fft((x, 2 * x))
    program = gx.compile([x], [z.real, z.imag, gx.fft.irfft(z, n=5), w.real, w.imag])
    at = np.random.default_rng(1).normal(size=(rows, 2, 5))
    real, imag, back, first, second = program(at)
    assert np.allclose(real + 1j * imag, np.fft.rfft(at)) and np.allclose(back, at)
    assert np.allclose(first + 1j * second, np.fft.fft(at + 2j * at))


def test_the_derivative_of_a_periodic_function() -> None:
    """Multiplied by i k, a spectrum is the derivative's."""
    t = np.arange(16) * (2 * np.pi / 16)
    x = gx.placeholder("x", (16,), "float64")
    real, imag = gx.fft.rfft(x)
    k = 2 * np.pi * gx.fft.rfftfreq(16, 2 * np.pi / 16)
    assert np.allclose(gx.fft.irfft((-k * imag, k * real), n=16).eval({x: np.sin(3 * t)}), 3 * np.cos(3 * t))


def test_a_short_time_transform_of_windows() -> None:
    signal = np.random.default_rng(2).normal(size=40)
    x = gx.placeholder("x", ("n",), "float64")
    frames = gx.sliding_window_view(x, 8)[::4]
    real, imag = gx.fft.rfft(frames * gx.hanning(8))
    power = gx.sum(real**2 + imag**2, axis=1)
    found, slope = gx.compile([x], [power, gx.grad(gx.sum(power), x)])(signal)
    views = np.lib.stride_tricks.sliding_window_view(signal, 8)[::4] * np.hanning(8)
    assert np.allclose(found, (np.abs(np.fft.rfft(views)) ** 2).sum(1))
    gx.testing.check_grads(
        lambda v: gx.sum(gx.fft.rfft(gx.sliding_window_view(v, 8)[::4] * gx.hanning(8)).real ** 2), [signal], order=1
    )
    assert slope.shape == (40,)


E = gx.errors
x = gx.placeholder("x", ("n", 4), "float64")
BAD: tuple[tuple[str, Callable[[], Any], type[gx.GraphError], str], ...] = (
    ("n", lambda: gx.fft.rfft(x, n=0), E.ShapeError, "n must be at least 1"),
    ("half", lambda: gx.fft.rfft(x, n=1.5), E.ShapeError, "n must be a size"),
    ("axis", lambda: gx.fft.rfft(x, axis=2), E.ShapeError, "axis 2 is out of range"),
    ("empty", lambda: gx.fft.rfft(gx.zeros((2, 0))), E.ShapeError, "not empty"),
    ("norm", lambda: gx.fft.rfft(x, norm="unitary"), E.InputError, "norm is"),
    ("number", lambda: gx.fft.rfft(3.0), E.ShapeError, "no axes"),
    ("pair", lambda: gx.fft.fft((x, x, x)), E.InputError, "has two parts"),
    ("shapes", lambda: gx.fft.fft((x, gx.zeros(3))), E.ShapeError, "cannot broadcast"),
    ("irfft of one", lambda: gx.fft.irfft(gx.zeros(1)), E.ShapeError, "n must be at least 1"),
    ("axes", lambda: gx.fft.rfft2(x, axes=(0,)), E.ShapeError, "two axes"),
    ("d", lambda: gx.fft.rfftfreq(4, "s"), E.InputError, "d must be a number"),
)  # fmt: skip


@pytest.mark.parametrize(("act", "kind", "message"), [b[1:] for b in BAD], ids=[b[0] for b in BAD])
def test_wrong_use_is_an_error_at_the_user_s_line(act: Callable[[], Any], kind: type[gx.GraphError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        act()
    assert "test_fft.py" in str(caught.value)


def test_pairs_have_the_arithmetic_of_complex_numbers() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 8))
    x, y = gx.placeholder("x", (8,), "float64"), gx.placeholder("y", (8,), "float64")
    f, g = gx.fft.rfft(x), gx.fft.rfft(y)
    u, v = np.fft.rfft(a), np.fft.rfft(b)
    for mine, want in (
        (f + g, u + v), (f - g, u - v), (f * g, u * v), (f / g, u / v), (2 * f, 2 * u), (1 - f, 1 - u), (1 / f, 1 / u), (-f, -u),
        (f.conj(), u.conj()), (f * x[:5], u * a[:5]),
    ):  # fmt: skip
        real, imag = gx.compile([x, y], tuple(mine))(a, b)
        assert np.allclose(real + 1j * imag, want)
    assert np.allclose(gx.compile([x], abs(f))(a), abs(u))
    for wrong in (lambda: gx.abs(f), lambda: gx.sum(f), lambda: x[:5] + f):
        with pytest.raises(gx.errors.InputError, match="a Complex cannot become a symbol"):
            wrong()
