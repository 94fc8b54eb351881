"""Sounds as features: spectra over time, mel bands, and their logarithms and cosines, as functions of symbols.

A signal is [..., samples]; features are [..., frames, bands], time before frequency, as layers that go through time read them
(librosa's arrays are the transpose). All of it stands in the graph: it is fused, batched, and has gradients.

    mel = gx.data.audio.log_mel(x, sample_rate=16_000, n_fft=400, hop_length=160, n_mels=80)

Names and defaults are librosa's (B. McFee et al., "librosa: audio and music signal analysis in Python", 2015). Tables such as
filters are NumPy arrays, made once, when the graph is written.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, TensorLike

Array = np.ndarray[Any, Any]

__all__ = [
    "dct_matrix", "frame", "hz_to_mel", "log_mel", "mel_filters", "mel_frequencies", "mel_spectrogram", "mel_to_hz", "mfcc",
    "power_to_db", "spectrogram", "stft",
]  # fmt: skip


# --- spectra over time -------------------------------------------------------------------------------------------------


def frame(x: TensorLike, frame_length: int, hop_length: int) -> Tensor:
    """Every window of a signal: [..., samples] -> [..., frames, frame_length], each begins hop_length after the last.

    What is left at the end, too short for a window, is left out.

    >>> import graphc as gx
    >>> gx.data.audio.frame(gx.arange(7), 3, 2).eval()
    array([[0, 1, 2],
           [2, 3, 4],
           [4, 5, 6]])
    """
    _at_least("frame", "frame_length", frame_length)
    _at_least("frame", "hop_length", hop_length)

    @gx.custom_gradient
    def framed(y: Tensor) -> tuple[Tensor, Any]:
        frames = gx.sliding_window_view(y, frame_length, axis=-1)[..., ::hop_length, :]
        return frames, lambda g: _overlapped(g, y.shape[-1], hop_length)

    return framed(gx.asarray(x))


def _overlapped(frames: Tensor, size: Any, hop: int) -> Tensor:
    """The sum of frames at their places: [..., frames, frame_length] -> [..., size], in as many sums as frames overlap.

    The gradient of windows at every place would add zeros for all that the hop leaves out, hop times as many numbers.
    """
    length, count = frames.shape[-1], frames.shape[-2]
    blocks = -(-length // hop)
    others = ((0, 0),) * (frames.ndim - 2)
    parts = gx.pad(frames, (*others, (0, 0), (0, blocks * hop - length)))
    parts = gx.reshape(parts, (*frames.shape[:-1], blocks, hop))
    total = gx.pad(parts[..., 0, :], (*others, (0, blocks - 1), (0, 0)))
    for i in range(1, blocks):
        total = total + gx.pad(parts[..., i, :], (*others, (i, blocks - 1 - i), (0, 0)))
    flat = gx.reshape(total, (*frames.shape[:-2], (count + blocks - 1) * hop))
    return gx.pad(flat, (*others, (0, hop)))[..., :size]


def stft(
    x: TensorLike, n_fft: int = 2048, hop_length: int | None = None, win_length: int | None = None, window: Any = "hann",
    center: bool = True, pad_mode: str = "constant", method: str = "fft",
) -> gx.fft.Complex:  # fmt: skip
    """The short-time Fourier transform: a pair (real, imag) of [..., frames, n_fft // 2 + 1].

    hop_length: by default a quarter of win_length, which is n_fft by default. window: "hann", "hamming" (periodic), "ones", or
    an array of win_length; it is put into the middle of n_fft elements. center: whether n_fft // 2 elements are put before and
    behind the signal, by `pad_mode` of `gx.pad`, so that frame k has its middle at k * hop_length. method: "fft" is
    `gx.fft.rfft`, a call of the host; "product" multiplies frames by a matrix of cosines and sines, all within kernels, which is
    as exact (1e-6 of the largest magnitude in float32), about as fast up to n_fft = 256, and slower the longer frames are: three
    times at 400, ten times at 1024 (`log_mel` on one core; more cores help the product alone).

    >>> import numpy as np, graphc as gx
    >>> x = np.sin(2 * np.pi * 8 * np.arange(256) / 64)  # 8 of 64
    >>> real, imag = gx.data.audio.stft(x, n_fft=64)
    >>> (real**2 + imag**2).eval()[8].argmax()
    np.int64(8)
    """
    win_length = _at_least("stft", "n_fft", n_fft) if win_length is None else _at_least("stft", "win_length", win_length)
    hop_length = max(win_length // 4, 1) if hop_length is None else _at_least("stft", "hop_length", hop_length)
    if win_length > n_fft:
        raise gx.errors.InputError(f"stft: win_length {win_length} is more than n_fft {n_fft}", where=gx.errors.caller())
    if method not in ("fft", "product"):
        raise gx.errors.InputError(f"stft: method is {method!r}", where=gx.errors.caller(), hint='"fft" or "product"')
    y = gx.asarray(x)
    if not y.ndim:
        raise gx.errors.ShapeError(f"stft needs a signal [..., samples], got {y.type}", where=gx.errors.caller())
    y = y if y.dtype.is_float else gx.astype(y, "float32")
    if center:
        y = gx.pad(y, (*((0, 0),) * (y.ndim - 1), (n_fft // 2, n_fft // 2)), mode=pad_mode)
    shape = _window(window, win_length, n_fft)
    frames = frame(y, n_fft, hop_length)
    if method == "fft":
        return gx.fft.rfft(frames * gx.constant(shape, y.dtype))
    turn = 2 * np.pi * (np.outer(np.arange(n_fft), np.arange(n_fft // 2 + 1)) % n_fft) / n_fft
    cos, sin = (gx.constant(shape[:, None] * table, y.dtype) for table in (np.cos(turn), -np.sin(turn)))
    return gx.fft.Complex(frames @ cos, frames @ sin)


def spectrogram(x: TensorLike, n_fft: int = 2048, *, power: float = 2.0, **options: Any) -> Tensor:
    """|stft|^power: [..., frames, n_fft // 2 + 1]. power: 2 for energies, 1 for magnitudes. options: those of `stft`.

    The gradient of magnitudes at silence is 0.
    """
    real, imag = stft(x, n_fft, **options)
    energy = real**2 + imag**2
    if power == 2:
        return energy
    loud = energy > 0
    return gx.where(loud, gx.where(loud, energy, gx.ones_like(energy)) ** (power / 2), gx.zeros_like(energy))


# --- mel ---------------------------------------------------------------------------------------------------------------


def hz_to_mel(frequencies: Any, htk: bool = False) -> Array:
    """Frequencies in mel.

    htk: 2595 log10(1 + f / 700), of HTK (S. Young et al., "The HTK book", 5.4). Else Slaney's (M. Slaney, "Auditory toolbox",
    1998, technical report 1998-010): 3 f / 200 up to 1 kHz, which is 15, and above 27 steps for each factor of 6.4.

    >>> hz_to_mel([0, 1000, 6400]).tolist(), round(float(hz_to_mel(1000, htk=True)), 3)
    ([0.0, 15.0, 42.0], 999.986)
    """
    f = np.asarray(frequencies, np.float64)
    if htk:
        return np.asarray(2595.0 * np.log10(1.0 + f / 700.0))
    above = 15.0 + 27.0 * np.log(np.maximum(f, 1000.0) / 1000.0) / np.log(6.4)
    return np.asarray(np.where(f < 1000.0, 3.0 * f / 200.0, above))


def mel_to_hz(mels: Any, htk: bool = False) -> Array:
    """Mel as frequencies: the inverse of `hz_to_mel`.

    >>> mel_to_hz([0, 15, 42]).round(6).tolist()
    [0.0, 1000.0, 6400.0]
    """
    m = np.asarray(mels, np.float64)
    if htk:
        return np.asarray(700.0 * (10.0 ** (m / 2595.0) - 1.0))
    above = 1000.0 * np.exp((np.maximum(m, 15.0) - 15.0) * np.log(6.4) / 27.0)
    return np.asarray(np.where(m < 15.0, 200.0 * m / 3.0, above))


def mel_frequencies(n_mels: int = 128, fmin: float = 0.0, fmax: float = 11025.0, htk: bool = False) -> Array:
    """Frequencies that are equally far from each other in mel, both ends included.

    >>> mel_frequencies(3, 0, 6400, htk=True).round().tolist()
    [0.0, 1529.0, 6400.0]
    """
    low, high = (float(hz_to_mel(f, htk)) for f in (fmin, fmax))
    return mel_to_hz(np.linspace(low, high, n_mels), htk)


def mel_filters(
    sample_rate: float, n_fft: int, n_mels: int = 128, fmin: float = 0.0, fmax: float | None = None, htk: bool = False,
    norm: str | None = "slaney", dtype: Any = np.float32,
) -> Array:  # fmt: skip
    """Triangles over frequency, [n_mels, n_fft // 2 + 1]: from a band's lower neighbour up to its middle, down to its upper one.

    fmax: by default half of the sampling rate. norm: "slaney" gives each triangle the area 1 (height 2 / width), None the
    height 1.

    >>> mel_filters(16_000, 512, 40).shape
    (40, 257)
    """
    top = sample_rate / 2 if fmax is None else fmax
    if not 0 <= fmin < top <= sample_rate / 2:
        raise gx.errors.InputError(
            f"mel_filters: frequencies from {fmin} to {top} at {sample_rate} samples a second", where=gx.errors.caller(),
            hint="0 <= fmin < fmax <= half of the sampling rate",
        )  # fmt: skip
    if norm not in ("slaney", None):
        raise gx.errors.InputError(f"mel_filters: norm is {norm!r}", where=gx.errors.caller(), hint='"slaney" or None')
    _at_least("mel_filters", "n_mels", n_mels)
    edges = mel_frequencies(n_mels + 2, fmin, top, htk)
    bins = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
    width = np.diff(edges)
    ramps = edges[:, None] - bins[None, :]
    rising, falling = -ramps[:-2] / width[:-1, None], ramps[2:] / width[1:, None]
    filters = np.maximum(0.0, np.minimum(rising, falling))
    if norm == "slaney":
        filters *= (2.0 / (edges[2:] - edges[:-2]))[:, None]
    return np.asarray(filters, dtype)


def mel_spectrogram(
    x: TensorLike, sample_rate: float = 22050, n_fft: int = 2048, *, n_mels: int = 128, fmin: float = 0.0,
    fmax: float | None = None, htk: bool = False, norm: str | None = "slaney", power: float = 2.0, **options: Any,
) -> Tensor:  # fmt: skip
    """The energy in mel bands: [..., frames, n_mels]. The options are those of `mel_filters`, `spectrogram` and `stft`."""
    found = spectrogram(x, n_fft, power=power, **options)
    filters = mel_filters(sample_rate, n_fft, n_mels, fmin, fmax, htk, norm, np.float64)
    return found @ gx.constant(filters.T, found.dtype)


def power_to_db(x: TensorLike, ref: float = 1.0, amin: float = 1e-10, top_db: float | None = 80.0) -> Tensor:
    """10 log10(x / ref), with x at least amin, and nothing more than top_db below the largest of its last two axes.

    librosa's largest is that of the whole array; here each signal of a batch has its own, so that a batch changes nothing.

    >>> power_to_db([[1.0, 100.0, 0.0]], top_db=30.0).eval()
    array([[  0.,  20., -10.]])
    """
    given = gx.asarray(x)
    y = given if given.dtype.is_float else gx.astype(given, "float32")
    found = 10.0 * gx.log10(gx.maximum(y, amin)) - 10.0 * float(np.log10(max(amin, ref)))
    if top_db is None:
        return found
    largest = gx.max(found, axis=tuple(range(max(found.ndim - 2, 0), found.ndim)), keepdims=True)
    return gx.maximum(found, largest - top_db)


def log_mel(
    x: TensorLike, sample_rate: float = 22050, n_fft: int = 2048, *, top_db: float | None = 80.0, **options: Any
) -> Tensor:
    """`mel_spectrogram` in decibels: [..., frames, n_mels]."""
    return power_to_db(mel_spectrogram(x, sample_rate, n_fft, **options), top_db=top_db)


def dct_matrix(count: int, size: int) -> Array:
    """The first `count` rows of the orthonormal cosine transform of the second kind, [count, size] (scipy.fft.dct, norm="ortho").

    >>> d = dct_matrix(4, 4)
    >>> bool(np.allclose(d @ d.T, np.eye(4)))
    True
    """
    table = np.cos(np.pi * np.arange(count)[:, None] * (np.arange(size) + 0.5)[None, :] / size) * np.sqrt(2.0 / size)
    table[:1] /= np.sqrt(2.0)
    return np.asarray(table)


def mfcc(
    x: TensorLike, sample_rate: float = 22050, n_fft: int = 2048, *, n_mfcc: int = 20, n_mels: int = 128, **options: Any
) -> Tensor:
    """Mel-frequency cepstral coefficients: the cosine transform of `log_mel` over the bands, [..., frames, n_mfcc].

    S. Davis, P. Mermelstein, "Comparison of parametric representations for monosyllabic word recognition", 1980.
    """
    if not 1 <= n_mfcc <= n_mels:
        raise gx.errors.InputError(
            f"mfcc: {n_mfcc} coefficients of {n_mels} bands", where=gx.errors.caller(), hint="at most one for each band"
        )
    bands = log_mel(x, sample_rate, n_fft, n_mels=n_mels, **options)
    return bands @ gx.constant(dct_matrix(n_mfcc, n_mels).T, bands.dtype)


# --- parts -------------------------------------------------------------------------------------------------------------


def _at_least(name: str, what: str, value: int) -> int:
    found = gx.ops.normalize_integer(name, what, value)
    if found < 1:
        raise gx.errors.InputError(f"{name}: {what} is {value}", where=gx.errors.caller(), hint="give an integer from 1 on")
    return found


def _window(window: Any, length: int, n_fft: int) -> Array:
    """A window in the middle of n_fft elements. Those by name are periodic: what a longer one would have next is their first."""
    turn = 2 * np.pi * np.arange(length) / length
    named = {"hann": 0.5 - 0.5 * np.cos(turn), "hamming": 0.54 - 0.46 * np.cos(turn), "ones": np.ones(length)}
    if isinstance(window, str):
        if window not in named:
            raise gx.errors.InputError(
                f"stft: no window {window!r}", where=gx.errors.caller(), hint="one of " + ", ".join(named) + ", or an array"
            )
        shape = named[window]
    else:
        shape = np.asarray(window, np.float64)
        if shape.shape != (length,):
            raise gx.errors.ShapeError(
                f"stft: the window has shape {shape.shape}, win_length is {length}", where=gx.errors.caller()
            )
    before = (n_fft - length) // 2
    return np.pad(shape, (before, n_fft - length - before))
