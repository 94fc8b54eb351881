"""Recurrent layers: a scan over time, of which the inputs' products with their weights are one product before it.

    layer                gates          order
    rnn                  1              -
    gru                  3              reset, update, new
    lstm                 4              input, forget, cell, output

Weights multiply from the right: `weight` is [inputs, gates x units], `recurrent` [units, gates x units], biases [gates x units].
They are the transposes of torch's `weight_ih_l0` and `weight_hh_l0`, with the gates in torch's order.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import graphc as gx
from graphc import Tensor, TensorLike
from graphc.nn.floats import to_float

Step = Callable[[Any, Tensor], Any]


def rnn(
    x: TensorLike, weight: TensorLike, recurrent: TensorLike, bias: TensorLike | None = None, state: TensorLike | None = None, *,
    activation: str = "tanh", time_first: bool = False, reverse: bool = False, mask: TensorLike | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """h = activation(x weight + h recurrent + bias) at each step (Elman 1990, Cognitive Science 14): every h, and the last.

    x: [batch, time, inputs], or [time, batch, inputs] with `time_first`. weight: [inputs, units]. recurrent: [units, units].
    bias: [units]. state: the first h, [batch, units]; zeros if it is None. activation: "tanh" or "relu". reverse: begin with
    the last step. mask: booleans [batch, time], or [time, batch]; where it is false, the state stays as it is, and so h repeats.
    Gives [batch, time, units], or [time, batch, units], and [batch, units]. torch.nn.RNN adds up two biases.

    >>> import graphc as gx
    >>> x, w = gx.ones((1, 3, 1)), gx.constant([[1.0]])
    >>> gx.nn.rnn(x, w, w, activation="relu")[0].eval()[0, :, 0]
    array([1., 2., 3.])
    """
    act = _activation("rnn", activation)
    layer = _Layer("rnn", 1, x, weight, recurrent, bias, [state], time_first, reverse, mask)
    hs, (last,) = layer.run(lambda s, v: (act(v + s[0] @ layer.recurrent),))
    return hs, last


def gru(
    x: TensorLike, weight: TensorLike, recurrent: TensorLike, bias: TensorLike | None = None,
    recurrent_bias: TensorLike | None = None, state: TensorLike | None = None, *, activation: str = "tanh",
    time_first: bool = False, reverse: bool = False, mask: TensorLike | None = None,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Gated recurrent units (Cho et al. 2014, arXiv:1406.1078): every h, and the last.

        r, z = sigmoid(x W + h U + biases)
        n = activation(x W + b + r * (h U + c))
        h = (1 - z) * n + z * h

    The reset gate acts after the product, as in torch and cuDNN; so `recurrent_bias` is not of one kind with `bias`. Shapes and
    options are those of `rnn`, with three gates.

    >>> import graphc as gx
    >>> hs, last = gx.nn.gru(gx.ones((2, 5, 3)), gx.zeros((3, 12)), gx.zeros((4, 12)))
    >>> hs.shape, last.shape
    ((2, 5, 4), (2, 4))
    """
    act = _activation("gru", activation)
    layer = _Layer("gru", 3, x, weight, recurrent, bias, [state], time_first, reverse, mask)
    n = layer.units
    c = None if recurrent_bias is None else gx.astype(to_float(recurrent_bias), layer.z.dtype)

    def step(s: Any, v: Tensor) -> Any:
        w = s[0] @ layer.recurrent if c is None else s[0] @ layer.recurrent + c
        gates = gx.sigmoid(v[:, : 2 * n] + w[:, : 2 * n])
        new = act(v[:, 2 * n :] + gates[:, :n] * w[:, 2 * n :])
        update = gates[:, n:]
        return ((1 - update) * new + update * s[0],)

    hs, (last,) = layer.run(step)
    return hs, last


def lstm(
    x: TensorLike, weight: TensorLike, recurrent: TensorLike, bias: TensorLike | None = None,
    state: tuple[TensorLike, TensorLike] | None = None, *, activation: str = "tanh", time_first: bool = False,
    reverse: bool = False, mask: TensorLike | None = None,
) -> tuple[Tensor, tuple[Tensor, Tensor]]:  # fmt: skip
    """Long short-term memory (Hochreiter and Schmidhuber 1997; forget gate of Gers et al. 2000): every h; the last (h, c).

        i, f, g, o = x W + h U + b
        c = sigmoid(f) * c + sigmoid(i) * activation(g)
        h = sigmoid(o) * activation(c)

    state: the first (h, c), each [batch, units]. torch.nn.LSTM adds up two biases. Other shapes and options are those of `rnn`,
    with four gates.

    >>> import graphc as gx
    >>> hs, (h, c) = gx.nn.lstm(gx.ones((2, 5, 3)), gx.zeros((3, 16)), gx.zeros((4, 16)))
    >>> hs.shape, h.shape, c.shape
    ((2, 5, 4), (2, 4), (2, 4))
    """
    states = [None, None] if state is None else gx.ops.listed("lstm", "state", state)
    if len(states) != 2:
        raise gx.errors.InputError(f"lstm: state must be (h, c), got {len(states)} values", where=gx.errors.caller())
    act = _activation("lstm", activation)
    layer = _Layer("lstm", 4, x, weight, recurrent, bias, states, time_first, reverse, mask)
    n = layer.units

    def step(s: Any, v: Tensor) -> Any:
        gates = v + s[0] @ layer.recurrent
        i, f, g, o = (gates[:, k * n : (k + 1) * n] for k in range(4))
        c = gx.sigmoid(f) * s[1] + gx.sigmoid(i) * act(g)
        return gx.sigmoid(o) * act(c), c

    return layer.run(step)


def _activation(name: str, activation: object) -> Callable[[Tensor], Tensor]:
    if not isinstance(activation, str) or activation not in ("tanh", "relu"):
        raise gx.errors.InputError(
            f"{name}: no activation {activation!r}", where=gx.errors.caller(), hint='take "tanh" or "relu"'
        )
    return gx.tanh if activation == "tanh" else gx.nn.relu


class _Layer:
    """What the steps of a layer are made from: the inputs' part of the gates, time first, and the recurrent weights and states.

    float16 and bfloat16 are computed in float32; results are rounded at the end.
    """

    def __init__(
        self, name: str, gates: int, x: Any, weight: Any, recurrent: Any, bias: Any, state: list[Any], time_first: bool,
        reverse: bool, mask: Any,
    ) -> None:  # fmt: skip
        gx.ops.check_flag(name, "time_first", time_first)
        gx.ops.check_flag(name, "reverse", reverse)
        x, w, u = to_float(x), to_float(weight), to_float(recurrent)
        if x.ndim != 3 or w.ndim != 2 or u.ndim != 2 or u.shape[1] != gates * u.shape[0] or w.shape != (x.shape[2], u.shape[1]):
            raise gx.errors.ShapeError(
                f"{name} of {x.type} with the weights {w.type} and {u.type}", where=gx.errors.caller(),
                hint=f"x is [batch, time, inputs], the weights are [inputs, {gates} x units] and [units, {gates} x units]",
            )  # fmt: skip
        self.time_first, self.reverse = time_first, reverse
        self.units, self.dtype = u.shape[0], (x @ w @ gx.matrix_transpose(u)).dtype
        x, w, self.recurrent = (gx.astype(a, self.dtype.arithmetic) for a in (x, w, u))
        z = x @ w if bias is None else x @ w + gx.astype(to_float(bias), w.dtype)
        self.z = z if time_first else gx.permute_dims(z, (1, 0, 2))
        shape = (self.z.shape[1], self.units)
        self.start = tuple(
            gx.zeros(shape, z.dtype) if s is None else gx.broadcast_to(gx.astype(gx.asarray(s), z.dtype), shape) for s in state
        )

        self.mask: Tensor | None = None
        if mask is not None:
            given = gx.asarray(mask)
            if not given.dtype.is_bool or given.shape != x.shape[:2]:
                raise gx.errors.ShapeError(
                    f"{name}: a mask {given.type} does not fit {x.type}", where=gx.errors.caller(),
                    hint="it needs a boolean for each step of each sequence",
                )  # fmt: skip
            self.mask = given if time_first else given.T

    def run(self, step: Step) -> tuple[Tensor, Any]:
        """The first state after every step, and all of them after the last."""

        def body(state: Any, v: Any) -> tuple[Any, Tensor]:
            if self.mask is None:
                new = step(state, v)
            else:
                counts = gx.expand_dims(v[1], 1)
                new = tuple(gx.where(counts, a, b) for a, b in zip(step(state, v[0]), state, strict=True))
            return new, new[0]

        last, hs = gx.scan(body, self.start, self.z if self.mask is None else (self.z, self.mask), reverse=self.reverse)
        hs = hs if self.time_first else gx.permute_dims(hs, (1, 0, 2))
        return gx.astype(hs, self.dtype), tuple(gx.astype(s, self.dtype) for s in last)
