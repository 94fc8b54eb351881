"""Recurrent layers, and signals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.operators import Call, operator

_ACTIVATIONS: dict[str, Any] = {
    "Sigmoid": lambda x, a, b: gx.sigmoid(x), "Tanh": lambda x, a, b: gx.tanh(x), "Relu": lambda x, a, b: gx.maximum(x, 0),
    "Affine": lambda x, a, b: (1.0 if a is None else a) * x + (0.0 if b is None else b),
    "LeakyRelu": lambda x, a, b: gx.where(x >= 0, x, (0.01 if a is None else a) * x),
    "ThresholdedRelu": lambda x, a, b: gx.where(x > (1.0 if a is None else a), x, 0.0),
    "ScaledTanh": lambda x, a, b: (1.0 if a is None else a) * gx.tanh((1.0 if b is None else b) * x),
    "HardSigmoid": lambda x, a, b: gx.clip((0.2 if a is None else a) * x + (0.5 if b is None else b), 0, 1),
    "Elu": lambda x, a, b: gx.nn.elu(x, 1.0 if a is None else a), "Softsign": lambda x, a, b: gx.nn.softsign(x),
    "Softplus": lambda x, a, b: gx.softplus(x),
}  # fmt: skip
_GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
_DEFAULTS = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}


@operator("LSTM", "GRU", "RNN")
def recurrent(call: Call) -> Any:
    kind = call.operator
    x, w, r, b, lengths = call[0], call[1], call[2], call.maybe(3), call.maybe(4)
    batch_first = call.attr("layout", 0)
    x = gx.swapaxes(x, 0, 1) if batch_first else x
    hidden = int(r.shape[-1])
    direction = call.attr("direction", "forward")
    count = 2 if direction == "bidirectional" else 1
    if (w.shape[0], r.shape[0]) != (count, count):
        raise call.error(f"direction={direction} is of {count} cells, and its weights are {w.type} and {r.type}")
    names = call.attr("activations") or _DEFAULTS[kind] * count
    alphas, betas = list(call.attr("activation_alpha", [])), list(call.attr("activation_beta", []))
    each = len(_DEFAULTS[kind])
    functions = []
    for name in names:
        takes = {"Affine": 2, "ScaledTanh": 2, "HardSigmoid": 2, "LeakyRelu": 1, "ThresholdedRelu": 1, "Elu": 1}.get(name, 0)
        alpha = alphas.pop(0) if takes >= 1 and alphas else None
        beta = betas.pop(0) if takes == 2 and betas else None
        functions.append(lambda v, f=_ACTIVATIONS[name], a=alpha, b=beta: f(v, a, b))
    h0, c0 = call.maybe(5), call.maybe(6) if kind == "LSTM" else None
    peep = call.maybe(7) if kind == "LSTM" else None
    if batch_first:
        h0, c0 = (None if s is None else gx.swapaxes(s, 0, 1) for s in (h0, c0))
    results, finals, cells = [], [], []
    for d in range(count):
        backwards = direction == "reverse" or d == 1
        f = functions[d * each : (d + 1) * each]
        steps = x
        if backwards:
            steps = gx.flip(x, axis=0) if lengths is None else _reversed(x, lengths)
        zero = gx.zeros((x.shape[1], hidden), x.dtype)
        state = (zero if h0 is None else h0[d], zero if c0 is None else c0[d])
        cell = _cell(call, kind, w[d], r[d], None if b is None else b[d], None if peep is None else peep[d], hidden, f)

        def step(carry: Any, row: Any, cell: Any = cell) -> Any:
            t, h, c = carry
            new_h, new_c = cell(row, h, c)
            if lengths is not None:
                on = (t < lengths)[:, None]
                new_h, new_c, out = gx.where(on, new_h, h), gx.where(on, new_c, c), gx.where(on, new_h, 0.0)
            else:
                out = new_h
            return (t + 1, new_h, new_c), out

        (_, last, last_c), rows = gx.scan(step, (gx.zeros((), "int32"), *state), steps)
        if backwards:
            rows = gx.flip(rows, axis=0) if lengths is None else _reversed(rows, lengths)
        results.append(rows)
        finals.append(last)
        cells.append(last_c)
    y = gx.stack(results, axis=1)  # [time, directions, batch, hidden]
    h, c = gx.stack(finals), gx.stack(cells)
    if batch_first:
        y, h, c = gx.permute_dims(y, (2, 0, 1, 3)), gx.swapaxes(h, 0, 1), gx.swapaxes(c, 0, 1)
    return (y, h, c) if kind == "LSTM" else (y, h)


def _reversed(x: gx.Tensor, lengths: gx.Tensor) -> gx.Tensor:
    t = gx.arange(x.shape[0])[:, None]
    n = gx.astype(lengths, "int64")[None, :]
    at = gx.where(t < n, n - 1 - t, t)
    return gx.take_along_axis(x, gx.broadcast_to(at[:, :, None], x.shape), axis=0)


def _cell(call: Call, kind: str, w: Any, r: Any, b: Any, peep: Any, hidden: int, f: Any) -> Any:
    """One step: of a row and the states, the new states. Gates stand in ONNX's order."""
    limit = call.attr("clip")

    def clipped(v: Any) -> Any:
        return v if limit is None else gx.clip(v, -limit, limit)

    gates = _GATES[kind]
    bias = None if b is None else b[: gates * hidden] + b[gates * hidden :]

    def gate(v: Any, k: int) -> Any:
        return v[:, k * hidden : (k + 1) * hidden]

    if kind == "RNN":

        def rnn(x: Any, h: Any, c: Any) -> Any:
            s = x @ w.T + h @ r.T
            return f[0](clipped(s if bias is None else s + bias)), c

        return rnn
    if kind == "GRU":
        after = call.attr("linear_before_reset", 0)

        def gru(x: Any, h: Any, c: Any) -> Any:
            a = x @ w.T
            a = a if b is None else a + b[: 3 * hidden]
            u = h @ r[: 2 * hidden].T
            u = u if b is None else u + b[3 * hidden : 5 * hidden]
            z = f[0](clipped(gate(a, 0) + gate(u, 0)))
            reset = f[0](clipped(gate(a, 1) + gate(u, 1)))
            last = r[2 * hidden :].T
            rb = 0 if b is None else b[5 * hidden :]
            inner = reset * (h @ last + rb) if after else (reset * h) @ last + rb
            new = f[1](clipped(gate(a, 2) + inner))
            return (1 - z) * new + z * h, c

        return gru

    def lstm(x: Any, h: Any, c: Any) -> Any:
        s = x @ w.T + h @ r.T
        s = s if bias is None else s + bias
        i, o, g, n = (gate(s, k) for k in range(4))
        if peep is not None:
            i, g = i + peep[:hidden] * c, g + peep[2 * hidden :] * c
        forget = 1 - f[0](clipped(i)) if call.attr("input_forget", 0) else f[0](clipped(g))
        new_c = forget * c + f[0](clipped(i)) * f[1](clipped(n))
        if peep is not None:
            o = o + peep[hidden : 2 * hidden] * new_c
        return f[0](clipped(o)) * f[2](new_c), new_c

    return lstm


# --- signals ----------------------------------------------------------------------------------------------------------


@operator("HannWindow", "HammingWindow", "BlackmanWindow")
def window(call: Call) -> Any:
    from graphc.onnx.reading import dtype_of

    n = call.ints(0, "size")[0]
    count = n if call.attr("periodic", 1) else n - 1
    t = gx.arange(n, dtype="float64") * (2 * math.pi / count)
    match call.operator:
        case "HannWindow":
            y = 0.5 - 0.5 * gx.cos(t)
        case "HammingWindow":
            y = 25 / 46 - 21 / 46 * gx.cos(t)
        case _:
            y = 0.42 - 0.5 * gx.cos(t) + 0.08 * gx.cos(2 * t)
    return gx.astype(y, dtype_of(call.attr("output_datatype", 1)))


@operator("MelWeightMatrix")
def mel_weights(call: Call) -> Any:
    from graphc.onnx.reading import dtype_of

    bins, length, rate = (call.ints(i, "size")[0] for i in range(3))
    low, high = (float(call.known(i, "edge").reshape(-1)[0]) for i in (3, 4))
    spectrum = length // 2 + 1
    call.elements(spectrum * bins, "size", 8)
    mel_low, mel_high = (2595 * np.log10(1 + f / 700) for f in (low, high))
    step = (mel_high - mel_low) / (bins + 2)
    edges = 700 * (10 ** ((np.arange(bins + 2) * step + mel_low) / 2595) - 1)
    at = ((length + 1) * edges / rate).astype(int)
    made = np.zeros((spectrum, bins))
    for i in range(bins):
        a, b, c = at[i : i + 3]
        if b == a:
            made[b, i] = 1
        else:
            for j in range(a, b + 1):
                made[j, i] = (j - a) / (b - a)
        for j in range(b, c):
            made[j, i] = (c - j) / (c - b) if c != b else made[j, i]
    return gx.constant(made, dtype=dtype_of(call.attr("output_datatype", 1)))


def _fourier(call: Call, re: Any, im: Any, inverse: bool) -> tuple[Any, Any]:
    """The sum over the last axis by its definition, as a product of matrices."""
    n = re.shape[-1]
    call.elements(n, "length", 2 * n if isinstance(n, int) else 1)
    angle = 2 * np.pi / n * ((np.arange(n)[:, None] * np.arange(n)) % n)
    c, s = (gx.constant(v, dtype=re.dtype) for v in (np.cos(angle), np.sin(angle) * (1 if inverse else -1)))
    if im is None:
        return re @ c, re @ s
    return re @ c - im @ s, re @ s + im @ c


@operator("DFT")
def dft(call: Call) -> Any:
    x = call[0]
    axis = int(call.known(2, "axis").reshape(-1)[0]) if call.given(2) else call.attr("axis", 1 if call.version < 20 else -2)
    axis %= x.ndim
    inverse, onesided = bool(call.attr("inverse", 0)), bool(call.attr("onesided", 0))
    length = call.ints(1, "dft_length")[0] if call.given(1) else None
    re = gx.moveaxis(x[..., 0], axis, -1)
    im = gx.moveaxis(x[..., 1], axis, -1) if x.shape[-1] == 2 else None
    if inverse and onesided:
        n = length if length is not None else 2 * (re.shape[-1] - 1)
        im = gx.zeros_like(re) if im is None else im
        half = n // 2 + 1
        re, im = re[..., :half], im[..., :half]
        back = slice(n - half, 0, -1)
        re, im = gx.concat([re, re[..., back]], axis=-1), gx.concat([im, -im[..., back]], axis=-1)
        length = None
    if length is not None:
        re, im = _fitted(re, length), None if im is None else _fitted(im, length)
    a, b = _fourier(call, re, im, inverse)
    if inverse:
        a, b = a / re.shape[-1], b / re.shape[-1]
        if onesided:
            return gx.expand_dims(gx.moveaxis(a, -1, axis), axis=-1)
    elif onesided:
        half = re.shape[-1] // 2 + 1
        a, b = a[..., :half], b[..., :half]
    return gx.stack([gx.moveaxis(a, -1, axis), gx.moveaxis(b, -1, axis)], axis=-1)


def _fitted(x: Any, n: Any) -> Any:
    if x.shape[-1] > n:
        return x[..., :n]
    return gx.pad(x, ((0, 0),) * (x.ndim - 1) + ((0, n - x.shape[-1]),))


@operator("STFT")
def stft(call: Call) -> Any:
    x, step = call[0], call.ints(1, "frame_step")[0]
    shape = call.maybe(2)
    n = call.ints(3, "frame_length")[0] if call.given(3) else int(shape.shape[0])
    signal = x[..., 0] if x.ndim == 3 else x
    im = x[..., 1] if x.ndim == 3 and x.shape[-1] == 2 else None
    count = (signal.shape[-1] - n) // step + 1
    call.elements(count * n, "number of elements in frames")
    at = np.arange(count)[:, None] * step + np.arange(n)
    frames = gx.take(signal, at, axis=1)
    frames_im = None if im is None else gx.take(im, at, axis=1)
    if shape is not None:
        frames = frames * shape
        frames_im = None if frames_im is None else frames_im * shape
    a, b = _fourier(call, frames, frames_im, False)
    if call.attr("onesided", 1):
        a, b = a[..., : n // 2 + 1], b[..., : n // 2 + 1]
    return gx.stack([a, b], axis=-1)


@operator("Bernoulli", "RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial")
def random(call: Call) -> Any:
    raise call.error("numbers at random are not read")

