"""The metric: a layer whose state adds up over batches, and whose result is a function of that state.

    class Accuracy(gx.metrics.Metric):
        def call(self, y_true, y_pred, weights):
            self.mean(gx.astype(gx.argmax(y_pred, axis=-1) == y_true, "float64"), weights)

State is float64 or int64 and is summed over all batches, so the result over a data set does not depend on how it was divided.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, Variable
from graphc.layers.layer import Layer


class Metric(Layer):
    """A figure of a model's outputs over a data set: write `call`, and `result` where it is no mean.

    call(y_true, y_pred, weights): symbols of a batch; weights, [batch], are 1 where none are given, and where the outputs have a
    mask they are [batch, time], 0 for steps that are none. It adds to the state, by `add` or `mean`. result(): a symbol made of
    the state.

    >>> import numpy as np, graphc as gx
    >>> m = gx.metrics.Mean()
    >>> m.update_state(np.array([1.0, 2.0])); m.update_state(np.array([6.0]))
    >>> float(m.value())
    3.0
    """

    def __init__(self, name: str | None = None, **options: Any) -> None:
        super().__init__(name=name, **options)
        self._compiled: dict[Any, gx.Compiled] = {}
        if type(self).update_state is not Metric.update_state and type(self).call is Layer.call:
            raise gx.errors.InputError(
                f"{type(self).__name__} has update_state, which a model's programs do not call", where=gx.errors.caller(),
                hint="write call(self, y_true, y_pred, weights) with self.add(name, value), and result() of self.state(name)",
            )  # fmt: skip

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """A figure has none: what a mask leaves out has weights of 0."""
        return None

    def add(self, name: str, value: Tensor) -> None:
        """Add a value to the state of a name, which begins with zeros of the value's shape."""
        dtype = "float64" if value.dtype.is_float else "int64"
        state = self.variable(name, value.shape, trainable=False, dtype=dtype)
        self.update(state, state + gx.astype(value, dtype))

    def mean(self, values: Tensor, weights: Tensor) -> None:
        """Add values of shape [batch, ...] to a mean, those of one sample, or of a step of it, with its weight."""
        wide, w = gx.astype(values, "float64"), gx.astype(weights, "float64")
        if w.ndim > wide.ndim:  # one value for all steps of a sample
            w = gx.max(w, axis=tuple(range(wide.ndim, w.ndim)))
        if wide.ndim > w.ndim:
            wide = gx.mean(wide, axis=tuple(range(w.ndim, wide.ndim)))
        self.add("total", gx.sum(wide * w))
        self.add("count", gx.sum(gx.broadcast_to(w, wide.shape)))

    def state(self, name: str) -> Variable:
        """The state of a name."""
        return self._own[name]

    def result(self) -> Tensor:
        """The figure, as a symbol of the state."""
        return self.state("total") / self.state("count")

    def reset_state(self) -> None:
        """Begin anew."""
        for v in self.variables.values():
            v.value = np.zeros(v.value.shape, v.value.dtype)

    # --- outside a model ---

    def update_state(self, *arrays: Any, sample_weight: Any = None) -> None:
        """Add a batch of arrays: (y_true, y_pred), or the values of a mean."""
        given = [np.atleast_1d(a) for a in arrays]
        given.append(np.ones(len(given[0])) if sample_weight is None else np.atleast_1d(np.asarray(sample_weight, "float64")))
        key = tuple((a.shape[1:], a.dtype) for a in given)
        if key not in self._compiled:
            xs = [gx.placeholder(f"a{i}", ("batch", *a.shape[1:]), a.dtype) for i, a in enumerate(given)]
            self(*xs, training=True)
            self._compiled[key] = gx.compile(xs, [], updates=self.updates, name=self.name, backend="interpreter")
        self._compiled[key](*given)

    def value(self) -> Any:
        """The figure so far."""
        return self.result().eval()


class Mean(Metric):
    """The mean of values, by their samples' weights."""

    def call(self, values: Tensor, weights: Tensor) -> None:
        self.mean(values, weights)
