"""gx.nn against torch: values and gradients. Skipped where the extra `peers` is not installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx

torch = pytest.importorskip("torch", reason="the extra `peers` is not installed")
F = torch.nn.functional

Array = np.ndarray[Any, Any]
Case = tuple[Callable[..., Any], Callable[..., Any], tuple[Array, ...]]


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


X, W = normal(2, 4, 9, 7), normal(6, 2, 3, 2, seed=1)
UP = normal(4, 3, 3, 2, seed=2)
LINE, SPREAD = normal(3, 5, seed=3), 4 * normal(40, seed=4)
LABELS = np.array([0, 4, 2])
CHANNELS = normal(4, seed=5), normal(4, seed=6)
Q, K, V = normal(2, 4, 5, 3), normal(2, 2, 6, 3, seed=1), normal(2, 2, 6, 4, seed=2)
PROBABILITIES = np.abs(normal(3, 5, seed=8)) + 0.1

ELEMENTWISE = {
    "celu": (lambda x: gx.nn.celu(x, 1.5), lambda x: F.celu(x, 1.5)),
    "elu": (lambda x: gx.nn.elu(x, 1.5), lambda x: F.elu(x, 1.5)),
    "gelu": (gx.nn.gelu, F.gelu),
    "gelu, tanh": (lambda x: gx.nn.gelu(x, "tanh"), lambda x: F.gelu(x, approximate="tanh")),
    "glu": (gx.nn.glu, F.glu),
    "hardshrink": (gx.nn.hardshrink, F.hardshrink),
    "hardsigmoid": (gx.nn.hardsigmoid, lambda x: F.relu6(x + 3) / 6),  # the gradient of torch's own has the sixth of float32
    "hardswish": (gx.nn.hardswish, F.hardswish),
    "hardtanh": (lambda x: gx.nn.hardtanh(x, -2, 1), lambda x: F.hardtanh(x, -2, 1)),
    "leaky_relu": (lambda x: gx.nn.leaky_relu(x, 0.2), lambda x: F.leaky_relu(x, 0.2)),
    "log_sigmoid": (gx.nn.log_sigmoid, F.logsigmoid),
    "mish": (gx.nn.mish, F.mish),
    "relu": (gx.nn.relu, F.relu),
    "relu6": (gx.nn.relu6, F.relu6),
    "selu": (gx.nn.selu, F.selu),
    "sigmoid": (gx.nn.sigmoid, torch.sigmoid),
    "silu": (gx.nn.silu, F.silu),
    "softmin": (gx.nn.softmin, lambda x: F.softmin(x, -1)),
    "softplus": (gx.nn.softplus, F.softplus),
    "softshrink": (gx.nn.softshrink, F.softshrink),
    "softsign": (gx.nn.softsign, F.softsign),
    "tanhshrink": (gx.nn.tanhshrink, F.tanhshrink),
    "threshold": (lambda x: gx.nn.threshold(x, 0.5, -1), lambda x: F.threshold(x, 0.5, -1)),
}


def both(a: Array) -> Any:
    return gx.constant(a), torch.from_numpy(a)


LABELS_G, LABELS_T = both(LABELS)
IGNORED_G, IGNORED_T = both(np.array([0, -100, 2]))
ROWS_G, ROWS_T = both(np.array([[3, 1], [3, 0]]))
MEAN_G, MEAN_T = both(normal(4, seed=10))
VARIANCE_G, VARIANCE_T = both(np.abs(normal(4, seed=11)) + 0.5)
SIGNS_G, SIGNS_T = gx.constant(np.sign(LINE[::-1])), torch.from_numpy(np.sign(LINE[::-1]).copy())

CASES: dict[str, Case] = {
    **{name: (*functions, (SPREAD,)) for name, functions in ELEMENTWISE.items()},
    "prelu": (gx.nn.prelu, F.prelu, (SPREAD.reshape(10, 4), CHANNELS[0])),
    "conv": (
        lambda x, w: gx.nn.conv(x, w, stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2),
        lambda x, w: F.conv2d(x, w, stride=(2, 1), padding=(2, 1), dilation=(1, 2), groups=2),
        (X, W),
    ),
    "conv, channels last": (
        lambda x, w: gx.moveaxis(
            gx.nn.conv(
                gx.moveaxis(x, 1, -1), gx.permute_dims(w, (2, 3, 1, 0)), stride=2, padding=1, groups=2, layout="NHWC"
            ), -1, 1,
        ),
        lambda x, w: F.conv2d(x, w, stride=2, padding=1, groups=2),
        (X, W),
    ),
    "conv, same": (
        lambda x, w: gx.nn.conv(x, w, padding="same", groups=2), lambda x, w: F.conv2d(x, w, padding="same", groups=2), (X, W)
    ),
    "conv, 1 axis": (
        lambda x, w: gx.nn.conv(x, w, padding=1), lambda x, w: F.conv1d(x, w, padding=1), (X[:, :, :, 0], normal(5, 4, 3, seed=9))
    ),
    "conv, 3 axes": (
        lambda x, w: gx.nn.conv(x, w, stride=2), lambda x, w: F.conv3d(x, w, stride=2),
        (normal(1, 2, 5, 6, 7), normal(3, 2, 2, 3, 2)),
    ),
    "conv_transpose": (
        lambda x, w: gx.nn.conv_transpose(x, w, stride=(2, 3), padding=1, output_padding=(1, 2)),
        lambda x, w: F.conv_transpose2d(x, w, stride=(2, 3), padding=1, output_padding=(1, 2)),
        (X, UP),
    ),
    "conv_transpose, groups": (
        lambda x, w: gx.nn.conv_transpose(x, w, stride=2, dilation=2, groups=2),
        lambda x, w: F.conv_transpose2d(x, w, stride=2, dilation=2, groups=2),
        (X, UP),
    ),
    "max_pool": (
        lambda x: gx.nn.max_pool(x, 3, stride=2, padding=1), lambda x: F.max_pool2d(x, 3, stride=2, padding=1), (X,)
    ),
    "max_pool, equal maxima": (
        lambda x: gx.nn.max_pool(x, 3, stride=1), lambda x: F.max_pool2d(x, 3, stride=1), (np.round(X),)
    ),
    "max_pool, dilated": (
        lambda x: gx.nn.max_pool(x, 2, dilation=3), lambda x: F.max_pool2d(x, 2, dilation=3), (X,)
    ),
    "avg_pool": (
        lambda x: gx.nn.avg_pool(x, (3, 2), stride=2, padding=1), lambda x: F.avg_pool2d(x, (3, 2), stride=2, padding=1), (X,)
    ),
    "avg_pool, padding not counted": (
        lambda x: gx.nn.avg_pool(x, 3, stride=2, padding=1, count_padding=False),
        lambda x: F.avg_pool2d(x, 3, stride=2, padding=1, count_include_pad=False),
        (X,),
    ),
    "adaptive_avg_pool": (lambda x: gx.nn.adaptive_avg_pool(x, (4, 3)), lambda x: F.adaptive_avg_pool2d(x, (4, 3)), (X,)),
    "adaptive_max_pool": (lambda x: gx.nn.adaptive_max_pool(x, (4, 3)), lambda x: F.adaptive_max_pool2d(x, (4, 3)), (X,)),
    "global_avg_pool": (gx.nn.global_avg_pool, lambda x: x.mean((2, 3)), (X,)),
    "global_max_pool": (gx.nn.global_max_pool, lambda x: x.amax((2, 3)), (X,)),
    "batch_norm": (
        lambda x, w, b: gx.nn.batch_norm(x, MEAN_G, VARIANCE_G, w, b),
        lambda x, w, b: F.batch_norm(x, MEAN_T, VARIANCE_T, w, b),
        (X, *CHANNELS),
    ),
    "group_norm": (lambda x, w, b: gx.nn.group_norm(x, 2, w, b), lambda x, w, b: F.group_norm(x, 2, w, b), (X, *CHANNELS)),
    "instance_norm": (
        lambda x, w, b: gx.nn.instance_norm(x, w, b), lambda x, w, b: F.instance_norm(x, weight=w, bias=b), (X, *CHANNELS)
    ),
    "layer_norm": (gx.nn.layer_norm, lambda x: F.layer_norm(x, (5,)), (LINE,)),
    "rms_norm": (gx.nn.rms_norm, lambda x: F.rms_norm(x, (5,), eps=1e-6), (LINE,)),
    "resize, nearest": (lambda x: gx.nn.resize(x, (5, 13)), lambda x: F.interpolate(x, (5, 13), mode="nearest"), (X,)),
    "resize, bilinear": (
        lambda x: gx.nn.resize(x, (5, 13), method="bilinear"),
        lambda x: F.interpolate(x, (5, 13), mode="bilinear", align_corners=False),
        (X,),
    ),
    "embedding": (lambda t: gx.nn.embedding(t, ROWS_G), lambda t: F.embedding(ROWS_T, t), (normal(5, 3),)),
    "cross_entropy": (lambda x: gx.nn.cross_entropy(x, LABELS_G), lambda x: F.cross_entropy(x, LABELS_T), (LINE,)),
    "cross_entropy, smooth": (
        lambda x: gx.nn.cross_entropy(x, LABELS_G, smoothing=0.2),
        lambda x: F.cross_entropy(x, LABELS_T, label_smoothing=0.2),
        (LINE,),
    ),
    "cross_entropy, ignored": (
        lambda x: gx.nn.cross_entropy(x, IGNORED_G, ignore=-100, smoothing=0.1),
        lambda x: F.cross_entropy(x, IGNORED_T, label_smoothing=0.1),
        (LINE,),
    ),
    "binary_cross_entropy": (
        gx.nn.binary_cross_entropy, F.binary_cross_entropy_with_logits, (20 * LINE, PROBABILITIES / PROBABILITIES.max())
    ),
    "binary_cross_entropy, weighted": (
        lambda x, t: gx.nn.binary_cross_entropy(x, t, positive_weight=gx.constant(3.0)),
        lambda x, t: F.binary_cross_entropy_with_logits(x, t, pos_weight=torch.tensor(3.0)),
        (20 * LINE, PROBABILITIES / PROBABILITIES.max()),
    ),
    "huber": (lambda x, t: gx.nn.huber(x, t, delta=0.5), lambda x, t: F.huber_loss(x, t, delta=0.5), (LINE, LINE[::-1].copy())),
    "kl_divergence": (
        lambda x: gx.nn.kl_divergence(x, gx.constant(PROBABILITIES), "batch"),
        lambda x: F.kl_div(x, torch.from_numpy(PROBABILITIES), reduction="batchmean"),
        (LINE,),
    ),
    "hinge": (lambda x: gx.nn.hinge(x, SIGNS_G), lambda x: F.relu(1 - SIGNS_T * x).mean(), (LINE,)),
    "l1": (gx.nn.l1, F.l1_loss, (LINE, LINE[::-1].copy() + 0.1)),
    "mse": (gx.nn.mse, F.mse_loss, (LINE, LINE[::-1].copy())),
    "attention": (
        lambda q, k, v: gx.nn.attention(q, k, v, causal=True),
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True),
        (Q, K, V),
    ),
}  # fmt: skip


def flat(hs: Any, *last: Any) -> Any:
    """All results of a layer in one row."""
    join = gx.concat if isinstance(hs, gx.Tensor) else torch.cat
    return join([a.reshape(-1) for a in (hs, *last)])


def layer_of(gates: int) -> tuple[Array, ...]:
    """A batch of 2, 5 steps, 3 inputs, 4 units; weights and biases in torch's order, and two states."""
    shapes = [(2, 5, 3), (gates * 4, 3), (gates * 4, 4), (gates * 4,), (gates * 4,), (2, 4), (2, 4)]
    return tuple(normal(*shape, seed=20 + i) for i, shape in enumerate(shapes))


def of_torch(function: Any, x: Any, parameters: Any, state: Any, batch_first: bool = True) -> Any:
    return function(x, state, parameters, True, 1, 0.0, False, False, batch_first)


def lstm_of_torch(x: Any, w: Any, u: Any, b: Any, d: Any, h: Any, c: Any) -> Any:
    hs, last, cell = of_torch(torch.lstm, x, [w, u, b, d], (h[None], c[None]))
    return flat(hs, last, cell)


def lstm_of_graphc(x: Any, w: Any, u: Any, b: Any, d: Any, h: Any, c: Any) -> Any:
    hs, last = gx.nn.lstm(x, w.T, u.T, b + d, (h, c))
    return flat(hs, *last)


def backward_of_torch(x: Any, w: Any, u: Any, b: Any, d: Any, h: Any, _: Any) -> Any:
    hs, last = of_torch(torch.rnn_relu, torch.flip(x, (0,)), [w, u, b, d], torch.cat([h, h, h[:1]])[None], batch_first=False)
    return flat(torch.flip(hs, (0,)), last)


def backward_of_graphc(x: Any, w: Any, u: Any, b: Any, d: Any, h: Any, _: Any) -> Any:
    start = gx.concat([h, h, h[:1]], axis=0)
    return flat(*gx.nn.rnn(x, w.T, u.T, b + d, start, activation="relu", time_first=True, reverse=True))


CASES |= {
    "lstm": (lstm_of_graphc, lstm_of_torch, layer_of(4)),
    "gru": (
        lambda x, w, u, b, d, h, _: flat(*gx.nn.gru(x, w.T, u.T, b, d, h)),
        lambda x, w, u, b, d, h, _: flat(*of_torch(torch.gru, x, [w, u, b, d], h[None])),
        layer_of(3),
    ),
    "rnn": (
        lambda x, w, u, b, d, h, _: flat(*gx.nn.rnn(x, w.T, u.T, b + d, h)),
        lambda x, w, u, b, d, h, _: flat(*of_torch(torch.rnn_tanh, x, [w, u, b, d], h[None])),
        layer_of(1),
    ),
    "rnn, time first and backward": (backward_of_graphc, backward_of_torch, layer_of(1)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_torch_s(name: str) -> None:
    ours, theirs, arrays = CASES[name]
    symbols = [gx.placeholder(f"x{i}", a.shape, "float64") for i, a in enumerate(arrays)]
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, want = ours(*symbols), theirs(*tensors)
    weights = normal(*want.shape, seed=99)
    gradients = gx.grad(gx.sum(y * gx.constant(weights)), symbols, unconnected="zero")
    slopes = torch.autograd.grad((want * torch.from_numpy(weights)).sum(), tensors, allow_unused=True, materialize_grads=True)
    found = gx.compile(symbols, [y, *gradients])(*arrays)
    for got, truth in zip(found, (want, *slopes), strict=True):
        np.testing.assert_allclose(got, truth.detach().numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("blank", [0, 4])
def test_ctc_loss(blank: int, reduction: str) -> None:
    logits = normal(9, 4, 5, seed=9)
    targets = np.random.default_rng(9).integers(0, 4, (4, 3)) + (blank == 0)
    targets[1] = 2, 2, 3
    steps, lengths = np.array([9, 7, 2, 5]), np.array([3, 3, 3, 0])
    x = gx.placeholder("x", logits.shape, "float64")
    ours = gx.nn.ctc_loss(
        gx.nn.log_softmax(x), gx.constant(targets), gx.constant(steps), gx.constant(lengths), blank, reduction, zero_infinity=True
    )
    value, slope = gx.compile([x], [ours, gx.grad(gx.sum(ours), x)])(logits)
    t = torch.from_numpy(logits).requires_grad_(True)
    want = F.ctc_loss(
        F.log_softmax(t, -1), torch.from_numpy(targets), torch.from_numpy(steps), torch.from_numpy(lengths), blank, reduction,
        zero_infinity=True,
    )  # fmt: skip
    want.sum().backward()
    assert np.allclose(value, want.detach().numpy(), rtol=1e-12) and np.allclose(slope, t.grad.numpy(), atol=1e-12)
