"""Layers that go through time: rnn, GRU, LSTM, forwards, backwards and both."""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.layers.core import Dropout
from graphc.layers.initializers import Initializer
from graphc.layers.layer import Layer, positive
from graphc.layers.masks import first
from graphc.layers.regularizers import Regularizer

Weights = tuple[Any, ...]  # kernel, recurrent_kernel, bias


class _Recurrent(Layer):
    gates = 1
    states = 1
    activations = ("tanh", "relu")

    def __init__(
        self, units: int, return_sequences: bool = False, return_state: bool = False, go_backwards: bool = False,
        use_bias: bool = True, kernel_initializer: str | Initializer = "glorot_uniform",
        recurrent_initializer: str | Initializer = "orthogonal", bias_initializer: str | Initializer = "zeros",
        kernel_regularizer: str | Regularizer | None = None, recurrent_regularizer: str | Regularizer | None = None,
        bias_regularizer: str | Regularizer | None = None, dropout: float = 0.0, stateful: bool = False,
        activation: str = "tanh", **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(**options)
        self.units = positive(self, "units", units)
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.use_bias, self.kernel_initializer, self.recurrent_initializer = use_bias, kernel_initializer, recurrent_initializer
        self.bias_initializer, self.kernel_regularizer = bias_initializer, kernel_regularizer
        self.recurrent_regularizer, self.bias_regularizer = recurrent_regularizer, bias_regularizer
        self.dropout, self.stateful, self.activation = dropout, stateful, activation
        if dropout:
            self.drop = Dropout(dropout, name="drop")
        if activation not in self.activations:
            raise gx.errors.InputError(
                f"{type(self).__name__}: activation is {activation!r}", where=gx.errors.caller(),
                hint=" or ".join(map(repr, self.activations)) + "; with another one write the layer with gx.scan",
            )  # fmt: skip
        self.build_early()

    def call(self, x: Tensor, mask: Tensor | None = None, initial_state: Any = None) -> Any:
        x = self.floats(x)
        if x.ndim != 3:
            raise gx.errors.ShapeError(
                f"{type(self).__name__} needs [batch, time, inputs], got {x.type}", where=gx.errors.caller()
            )
        wide = self.gates * self.units
        weights = [
            self.variable("kernel", (x.shape[-1], wide), self.kernel_initializer, regularizer=self.kernel_regularizer),
            self.variable(
                "recurrent_kernel", (self.units, wide), self.recurrent_initializer, regularizer=self.recurrent_regularizer
            ),
            self.variable("bias", (wide,), self.bias_initializer, regularizer=self.bias_regularizer) if self.use_bias else None,
        ]  # fmt: skip
        if self.dropout:  # the same inputs at every step
            x = x * self.drop(gx.ones((x.shape[0], 1, x.shape[2]), x.dtype))
        kept = self._kept_state(x) if self.stateful else ()
        if kept and initial_state is None:
            before = tuple(gx.astype(gx.reshape(v, (x.shape[0], self.units)), x.dtype) for v in kept)
            initial_state = before if self.states > 1 else before[0]
        hs, last = self.through(x, tuple(weights), initial_state, mask)
        for v, new in zip(kept, last):
            self.update(v, gx.astype(gx.reshape(new, v.shape), v.dtype), always=True)
        y = hs if self.return_sequences else last[0]
        return (y, *last) if self.return_state else y

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return [first(mask) if self.return_sequences else None, *[None] * (self.states if self.return_state else 0)]

    def _kept_state(self, x: Tensor) -> tuple[Any, ...]:
        """The variables of the state that stays from batch to batch: a row for each sample, so of a fixed number of them."""
        names = ("h", "c")[: self.states]
        batch = self._own[names[0]].shape[0] if names[0] in self._own else x.shape[0]
        if not isinstance(batch, int):
            raise gx.errors.ShapeError(
                f"{type(self).__name__}(stateful=True) needs the size of a batch as a number, got {x.type}",
                where=gx.errors.caller(), hint="begin the model with layers.Input(shape, batch_size=32)",
            )  # fmt: skip
        return tuple(self.variable(name, (batch, self.units), trainable=False) for name in names)

    def reset_states(self) -> None:
        """Begin with zeros again, where the state stays from batch to batch."""
        for name in ("h", "c"):
            if name in self._own:
                self._own[name].value = np.zeros_like(self._own[name].value)

    reset_state = reset_states

    def through(self, x: Tensor, weights: Weights, state: Any, mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        raise NotImplementedError


class SimpleRNN(_Recurrent):
    """h = activation(x kernel + h recurrent_kernel + bias) at each step: the last h, [batch, units]; "tanh" or "relu".

    x: floats [batch, time, inputs]. return_sequences: every h, [batch, time, units]. return_state: the last state too.
    go_backwards: begin with the last step; each h still stands at its x. mask: booleans [batch, time]; where it is false, the
    state stays as it is. dropout: of inputs, the same at every step, while training. stateful: the state that a batch ends with
    is what the next begins with, sample by sample, in training, test and prediction, until `reset_states`; batches are all of
    the size that `Input(shape, batch_size=32)` says. Weights: kernel [inputs, units], recurrent_kernel [units, units], bias
    [units].
    """

    def through(self, x: Tensor, weights: Weights, state: Any, mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        w, u, b = weights
        hs, last = gx.nn.rnn(x, w, u, b, state=state, activation=self.activation, reverse=self.go_backwards, mask=mask)
        return hs, (last,)


class GRU(_Recurrent):
    """Gated recurrent units: see `gx.nn.gru`. Options are those of `SimpleRNN`; weights have three gates: reset, update, new.

    The bias of the new gate's recurrent part is a weight of its own, recurrent_bias [3 units], as in torch.
    """

    gates = 3

    def through(self, x: Tensor, weights: Weights, state: Any, mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        w, u, b = weights
        own = self.variable("recurrent_bias", (3 * self.units,), self.bias_initializer) if self.use_bias else None
        hs, last = gx.nn.gru(
            x, w, u, b, recurrent_bias=own, state=state, activation=self.activation, reverse=self.go_backwards, mask=mask
        )
        return hs, (last,)


class LSTM(_Recurrent):
    """Long short-term memory: see `gx.nn.lstm`. Options are those of `SimpleRNN`.

    Weights have four gates: input, forget, cell, output. unit_forget_bias: the forget gate's bias begins with ones (Jozefowicz et
    al. 2015). return_state gives h and c.

    >>> import graphc as gx
    >>> gx.layers.LSTM(32, return_sequences=True)(gx.layers.Input(("time", 8))).shape
    (batch, time, 32)
    """

    gates = 4
    states = 2

    def __init__(self, units: int, unit_forget_bias: bool = True, **options: Any) -> None:
        self.unit_forget_bias = unit_forget_bias
        if unit_forget_bias and "bias_initializer" not in options:
            options["bias_initializer"] = _forgets_nothing
        super().__init__(units, **options)

    def through(self, x: Tensor, weights: Weights, state: Any, mask: Tensor | None) -> tuple[Tensor, tuple[Tensor, ...]]:
        w, u, b = weights
        hs, last = gx.nn.lstm(x, w, u, b, state=state, activation=self.activation, reverse=self.go_backwards, mask=mask)
        return hs, last

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        if config.get("bias_initializer") is _forgets_nothing:
            del config["bias_initializer"]
        return config


def _forgets_nothing(rng: Any, shape: tuple[int, ...]) -> Any:
    value = gx.layers.initializers.Constant(0.0)(rng, shape)
    quarter = shape[0] // 4
    value[quarter : 2 * quarter] = 1
    return value


class Bidirectional(Layer):
    """A recurrent layer forwards, and another backwards: the results of both.

    layer: the one forwards; the one backwards has the same options. merge_mode: "concat", "sum", "mul", "ave", or None for a
    list. A layer with return_state gives the states too, those forwards first.

    >>> import graphc as gx
    >>> gx.layers.Bidirectional(gx.layers.GRU(16))(gx.layers.Input(("time", 8))).shape
    (batch, 32)
    """

    def __init__(self, layer: Layer, merge_mode: str | None = "concat", **options: Any) -> None:
        super().__init__(**options)
        if not isinstance(layer, _Recurrent) or merge_mode not in ("concat", "sum", "mul", "ave", None):
            raise gx.errors.InputError(
                f"Bidirectional takes a recurrent layer and a merge_mode, got {layer!r} and {merge_mode!r}",
                where=gx.errors.caller(),
            )
        self.merge_mode = merge_mode
        self.forward_layer: _Recurrent = layer
        config = {key: value for key, value in layer.get_config().items() if key not in ("name", "input_shape")}
        self.backward_layer = type(layer)(**{**config, "go_backwards": not layer.go_backwards})

    def call(self, x: Tensor, mask: Tensor | None = None, initial_state: Any = None) -> Any:
        layers = (self.forward_layer, self.backward_layer)
        starts: list[Any] = [None, None]
        if initial_state is not None:
            given, half = list(initial_state), len(initial_state) // 2
            starts = [tuple(part) if half > 1 else part[0] for part in (given[:half], given[half:])]
        found = [layer(x, mask=mask, initial_state=start) for layer, start in zip(layers, starts, strict=True)]
        states: list[Tensor] = []
        if self.forward_layer.return_state:
            states = [state for one in found for state in one[1:]]
            found = [one[0] for one in found]
        y = self._merged(*found)
        if not states:
            return y
        return (*y, *states) if isinstance(y, list) else (y, *states)

    def _merged(self, a: Tensor, b: Tensor) -> Any:
        match self.merge_mode:
            case "concat":
                return gx.concat([a, b], axis=-1)
            case "sum":
                return a + b
            case "mul":
                return a * b
            case "ave":
                return (a + b) / 2
        return [a, b]

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        return [first(mask) if self.forward_layer.return_sequences else None] * (2 if self.merge_mode is None else 1)

    def reset_states(self) -> None:
        """Begin with zeros again, both ways."""
        self.forward_layer.reset_states()
        self.backward_layer.reset_states()

    def get_config(self) -> dict[str, Any]:
        return {"layer": self.forward_layer, "merge_mode": self.merge_mode, "name": self.name}


class TimeDistributed(Layer):
    """A layer applied to every step: x [batch, time, ...] as if it were [batch * time, ...]."""

    supports_masking = True

    def __init__(self, layer: Layer, **options: Any) -> None:
        super().__init__(**options)
        self.layer = layer

    def call(self, x: Tensor) -> Tensor:
        steps = x.shape[:2]
        y = self.layer(gx.reshape(x, (gx.ops.product(steps), *x.shape[2:])))
        return gx.reshape(y, (*steps, *y.shape[1:]))
