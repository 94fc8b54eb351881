"""Sounds as features, against SciPy and against the formulas."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.fft
import scipy.signal

import graphc as gx
from graphc.data import audio

RNG = np.random.default_rng(6)
SIGNAL = RNG.normal(size=(2, 1003))


@pytest.mark.parametrize("method", ["fft", "product"])
@pytest.mark.parametrize("n_fft, hop, window", [(128, 32, "hann"), (100, 37, "hamming"), (63, 20, "hann"), (16, 16, "boxcar")])
def test_spectra_are_scipys(method: str, n_fft: int, hop: int, window: str) -> None:
    x = gx.placeholder("x", ("batch", "samples"), "float64")
    named = "ones" if window == "boxcar" else window
    f = gx.compile([x], list(audio.stft(x, n_fft, hop, window=named, center=False, method=method)))
    real, imag = f(SIGNAL)
    shape = scipy.signal.get_window(window, n_fft)
    theirs = scipy.signal.stft(
        SIGNAL, window=shape, nperseg=n_fft, noverlap=n_fft - hop, boundary=None, padded=False, scaling="spectrum"
    )[2]
    theirs = np.swapaxes(theirs, 1, 2) * shape.sum()
    assert real.shape == theirs.shape and np.allclose(real + 1j * imag, theirs, atol=1e-11)
    assert f(SIGNAL[:1, :500])[0].shape == (1, 1 + (500 - n_fft) // hop, n_fft // 2 + 1)  # nothing is compiled anew


def test_frames_have_their_middle_where_they_should() -> None:
    real, imag = (part.eval() for part in audio.stft(SIGNAL, 128, 32))
    theirs = scipy.signal.stft(SIGNAL, window="hann", nperseg=128, noverlap=96, boundary="zeros", padded=False)[2] * 64
    assert np.allclose(real + 1j * imag, np.swapaxes(theirs, 1, 2), atol=1e-11)
    x = np.zeros(400)
    x[160] = 1.0
    assert audio.spectrogram(x, 64, hop_length=16).eval().sum(1).argmax() == 10
    short = audio.stft(SIGNAL, 128, 32, win_length=50)[0].eval()  # a shorter window stands in the middle
    padded = np.pad(scipy.signal.get_window("hann", 50), (39, 39))
    assert np.allclose(short, audio.stft(SIGNAL, 128, 32, window=padded)[0].eval(), atol=1e-12)


def test_a_product_is_as_exact_as_a_transform() -> None:
    x = SIGNAL.astype("float32")
    for n_fft in (256, 1024):
        exact = np.concatenate([p.eval() for p in audio.stft(SIGNAL, n_fft, method="fft")], -1)
        for method in ("fft", "product"):
            found = np.concatenate([p.eval() for p in audio.stft(x, n_fft, method=method)], -1)
            assert found.dtype == np.float32 and abs(found - exact).max() < 1e-6 * abs(exact).max()


# --- mel ---------------------------------------------------------------------------------------------------------------


def test_mel_is_as_librosas_documentation_has_it() -> None:
    assert np.allclose(audio.hz_to_mel([60, 110, 220, 440]), [0.9, 1.65, 3.3, 6.6])
    assert np.allclose(audio.mel_to_hz([1, 2, 3, 4, 5]), [66.667, 133.333, 200.0, 266.667, 333.333], atol=1e-3)
    known = [
        0.0, 85.317, 170.635, 255.952, 341.269, 426.586, 511.904, 597.221, 682.538, 767.855, 853.173, 938.49, 1024.856, 1119.114,
        1222.042, 1334.436, 1457.167, 1591.187, 1737.532, 1897.337, 2071.84, 2262.393, 2470.47, 2697.686, 2945.799, 3216.731,
        3512.582, 3835.643, 4188.417, 4573.636, 4994.285, 5453.621, 5955.205, 6502.92, 7101.009, 7754.107, 8467.272, 9246.028,
        10096.408, 11025.0,
    ]  # fmt: skip
    assert np.allclose(audio.mel_frequencies(40), known, atol=1e-3)
    f = np.linspace(0, 9000, 50)
    for htk in (False, True):
        assert np.allclose(audio.mel_to_hz(audio.hz_to_mel(f, htk), htk), f)
    assert np.allclose(audio.hz_to_mel(f, htk=True), 1127 * np.log1p(f / 700), rtol=1e-4)


def triangle(f: float, low: float, middle: float, high: float) -> float:
    if not low < f < high:
        return 0.0
    return (f - low) / (middle - low) if f <= middle else (high - f) / (high - middle)


@pytest.mark.parametrize("htk", [False, True])
@pytest.mark.parametrize("norm", ["slaney", None])
def test_filters_are_triangles(htk: bool, norm: Any) -> None:
    found = audio.mel_filters(16000, 400, 20, 50, 7000, htk, norm, np.float64)
    edges = audio.mel_frequencies(22, 50, 7000, htk)
    for band, row in enumerate(found):
        low, middle, high = edges[band : band + 3]
        height = 2 / (high - low) if norm else 1.0
        assert np.allclose(row, [height * triangle(40.0 * k, low, middle, high) for k in range(201)], atol=1e-12)
    fine = audio.mel_filters(16000, 2**15, 20, 50, 7000, htk, "slaney", np.float64)
    assert np.allclose(fine.sum(1) * 16000 / 2**15, 1, rtol=2e-3)  # areas


def test_features_are_the_formulas() -> None:
    options: Any = {"n_fft": 256, "hop_length": 64}
    energy = np.swapaxes(abs(scipy.signal.stft(SIGNAL, nperseg=256, noverlap=192, padded=False)[2] * 128) ** 2, 1, 2)
    assert np.allclose(audio.spectrogram(SIGNAL, **options).eval(), energy)
    assert np.allclose(audio.spectrogram(SIGNAL, power=1.0, **options).eval(), np.sqrt(energy))
    mel = energy @ audio.mel_filters(8000, 256, 24, dtype=np.float64).T
    assert np.allclose(audio.mel_spectrogram(SIGNAL, 8000, n_mels=24, **options).eval(), mel)
    decibels = 10 * np.log10(np.maximum(mel, 1e-10))
    decibels = np.maximum(decibels, decibels.max((1, 2), keepdims=True) - 20)
    assert np.allclose(audio.log_mel(SIGNAL, 8000, n_mels=24, top_db=20.0, **options).eval(), decibels)
    cosines = scipy.fft.dct(decibels, type=2, norm="ortho")[..., :13]
    found = audio.mfcc(SIGNAL, 8000, n_mels=24, n_mfcc=13, top_db=20.0, **options).eval()
    assert found.shape == (2, 16, 13) and np.allclose(found, cosines)
    one = audio.mfcc(SIGNAL[1], 8000, n_mels=24, n_mfcc=13, top_db=20.0, **options).eval()  # a batch changes nothing
    assert np.allclose(one, found[1])
    assert audio.power_to_db([0.0, 1.0], ref=10.0, top_db=None).eval().tolist() == [-110.0, -10.0]


@pytest.mark.parametrize("method", ["fft", "product"])
def test_features_have_gradients(method: str) -> None:
    x = gx.placeholder("x", (300,), "float64")
    y = gx.sum(audio.mfcc(x, 8000, 64, hop_length=16, n_mels=12, n_mfcc=8, method=method) ** 2)
    f, g = gx.compile([x], y), gx.compile([x], gx.grad(y, x))
    at, way = SIGNAL[0, :300], RNG.normal(size=300)
    slope = (f(at + 1e-6 * way) - f(at - 1e-6 * way)) / 2e-6
    assert np.allclose(g(at) @ way, slope, rtol=1e-5)
    quiet = gx.compile([x], gx.grad(gx.sum(audio.spectrogram(x, 64, power=1.0, method=method)), x))(np.zeros(300))
    assert not quiet.any()


@pytest.mark.parametrize("length, hop", [(3, 2), (5, 5), (7, 3), (4, 6), (1, 1)])
@pytest.mark.parametrize("size", [20, 21, 22])
def test_the_gradient_of_frames_adds_them_at_their_places(length: int, hop: int, size: int) -> None:
    x = gx.placeholder("x", ("batch", "samples"), "float64")
    cubed = gx.grad(gx.sum(audio.frame(x, length, hop) ** 3), x)
    at = SIGNAL[:, :size]
    expected = np.zeros_like(at)
    for begin in range(0, size - length + 1, hop):
        expected[:, begin : begin + length] += 3 * at[:, begin : begin + length] ** 2
    assert np.allclose(gx.compile([x], cubed)(at), expected)
    twice = gx.compile([x], gx.grad(gx.sum(cubed**2), x))(at)  # and of the gradient: 2 c cubed' with c the cover
    cover = np.divide(expected, 3 * at**2)
    assert np.allclose(twice, 36 * cover**2 * at**3)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: audio.stft(SIGNAL, 64, win_length=65), "stft: win_length 65 is more than n_fft 64"),
        (lambda: audio.stft(SIGNAL, 64, window="han"), "stft: no window 'han'"),
        (lambda: audio.stft(SIGNAL, 64, window=np.ones(3)), "stft: the window has shape (3,), win_length is 64"),
        (lambda: audio.stft(SIGNAL, 64, 0), "stft: hop_length is 0"),
        (lambda: audio.stft(1.0), "stft needs a signal [..., samples], got f64[]"),
        (lambda: audio.stft(SIGNAL, method="dft"), "stft: method is 'dft'"),
        (lambda: audio.mel_filters(8000, 64, fmax=5000), "mel_filters: frequencies from 0.0 to 5000 at 8000 samples a second"),
        (lambda: audio.mel_filters(8000, 64, norm="l1"), "mel_filters: norm is 'l1'"),
        (lambda: audio.mfcc(SIGNAL, n_mfcc=30, n_mels=20), "mfcc: 30 coefficients of 20 bands"),
    ],
)
def test_wrong_use_is_told(call: Any, message: str) -> None:
    with pytest.raises(gx.GraphError) as found:
        call()
    assert found.value.message == message
