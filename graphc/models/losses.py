"""Losses of models, by name: functions (y_true, y_pred) -> one number a sample.

A model's output may be probabilities or the logits they are made of: the graph shows which. Where it ends in a softmax or a
sigmoid, the loss is computed from what went into it, exactly and without overflow. `from_logits` says what is meant; where the
graph shows something else, it is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import graphc as gx
from graphc import Tensor

PerSample = Callable[[Tensor, Tensor], Tensor]
_MOVES = ("broadcast_to", "reshape", "expand_dims", "squeeze", "astype")


class Loss:
    """A loss: `call(y_true, y_pred)` gives one number a sample, [batch]."""

    name = "loss"

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """The options that make such a loss again."""
        return {name: value for name, value in vars(self).items() if name != "name"}

    def __call__(self, y_true: Tensor, y_pred: Tensor, sample_weight: Tensor | None = None) -> Tensor:
        """The mean over the batch, each sample times its weight."""
        each = per_sample(self.call(gx.asarray(y_true), gx.asarray(y_pred)))
        return gx.mean(each if sample_weight is None else each * gx.astype(sample_weight, each.dtype))


class _Function(Loss):
    def __init__(self, function: PerSample, name: str) -> None:
        self.function, self.name = function, name

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        return self.function(y_true, y_pred)


class SparseCategoricalCrossentropy(Loss):
    """-log of the probability of the label: y_true integers [batch, ...], y_pred [batch, ..., classes].

    from_logits: True for logits, False for probabilities, None to see it in the graph.
    """

    name = "sparse_categorical_crossentropy"

    def __init__(self, from_logits: bool | None = None, ignore_class: int | None = None) -> None:
        self.from_logits, self.ignore_class = from_logits, ignore_class

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = logits_for(self.name, y_pred, self.from_logits)
        labels = gx.squeeze(y_true, -1) if y_true.ndim == logits.ndim and y_true.shape[-1] == 1 else y_true
        if not labels.dtype.is_integer:
            labels = gx.astype(labels, "int64")
        return gx.nn.cross_entropy(logits, labels, reduction="none", ignore=self.ignore_class)


class CategoricalCrossentropy(Loss):
    """-sum(t log p): y_true probabilities and y_pred [batch, ..., classes]. from_logits: see SparseCategoricalCrossentropy."""

    name = "categorical_crossentropy"

    def __init__(self, from_logits: bool | None = None, label_smoothing: float = 0.0) -> None:
        self.from_logits, self.label_smoothing = from_logits, label_smoothing

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        logits = logits_for(self.name, y_pred, self.from_logits)
        targets = gx.astype(y_true, logits.dtype)
        return gx.nn.cross_entropy(logits, targets, reduction="none", smoothing=self.label_smoothing)


class BinaryCrossentropy(Loss):
    """-t log p - (1 - t) log(1 - p), the mean over the last axes. from_logits: see SparseCategoricalCrossentropy."""

    name = "binary_crossentropy"

    def __init__(self, from_logits: bool | None = None) -> None:
        self.from_logits = from_logits

    def call(self, y_true: Tensor, y_pred: Tensor) -> Tensor:
        found = before_sigmoid(y_pred)
        if self.from_logits and found is not None:
            raise _twice(self.name, "sigmoid")
        if found is None and self.from_logits is False:
            p = gx.clip(y_pred, 1e-7, 1 - 1e-7)
            t = _alike(y_true, p)
            return -(t * gx.log(p) + (1 - t) * gx.log(1 - p))
        logits = y_pred if found is None else found
        return gx.nn.binary_cross_entropy(logits, _alike(y_true, logits), reduction="none")


def logits_for(name: str, y_pred: Tensor, from_logits: bool | None) -> Tensor:
    """What a softmax of gives the probabilities of an output: see this module's first lines."""
    found = before_softmax(y_pred)
    if found is not None:
        if from_logits:
            raise _twice(name, "softmax")
        return found
    if from_logits is False:
        return gx.log(gx.clip(y_pred, 1e-7, 1.0))
    return y_pred


def _twice(name: str, function: str) -> gx.GraphError:
    return gx.errors.InputError(
        f"{name} is to take logits, and the model's output went through a {function} already", where=gx.errors.caller(),
        hint=f"leave out the {function}, or from_logits=True",
    )  # fmt: skip


def before_softmax(y: Tensor) -> Tensor | None:
    """What went into the softmax over the last axis that a symbol is the result of, but for a shift of each row.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 3))
    >>> before_softmax(gx.nn.softmax(x)) is not None, before_softmax(gx.exp(x)) is None
    (True, True)
    """
    if y.op.name != "multiply":
        return None
    e, scale = y.inputs
    total = _behind(scale, _MOVES)
    if e.op.name != "exp" or total.op.name != "divide":
        return None
    one, summed = (_behind(part, _MOVES) for part in total.inputs)
    if one.op.name != "full" or one.attrs["value"] != 1:
        return None
    if summed.op.name != "sum" or summed.inputs[0] is not e or summed.attrs["axes"] != (y.ndim - 1,):
        return None
    found = e.inputs[0]
    assert isinstance(found, Tensor)
    return found


def before_sigmoid(y: Tensor) -> Tensor | None:
    """What went into the sigmoid that a symbol is the result of."""
    node = _behind(y, ("reshape", "squeeze", "expand_dims"))
    if node.op.name != "sigmoid":
        return None
    found = node.inputs[0]
    assert isinstance(found, Tensor)
    return gx.reshape(found, y.shape)


def _behind(node: gx.ir.Node, names: tuple[str, ...]) -> gx.ir.Node:
    while node.op.name in names:
        node = node.inputs[0]
    return node


def mean_squared_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """(y_true - y_pred)^2, for each sample the mean over its elements."""
    return gx.square(_alike(y_true, y_pred) - y_pred)


def mean_absolute_error(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """|y_true - y_pred|, for each sample the mean over its elements."""
    return gx.abs(_alike(y_true, y_pred) - y_pred)


def _alike(y_true: Tensor, y_pred: Tensor) -> Tensor:
    """The targets in the type and shape of the predictions: [batch] fits [batch, 1]."""
    made = gx.astype(y_true, y_pred.dtype)
    if made.ndim + 1 == y_pred.ndim and y_pred.shape[-1] == 1:
        return gx.expand_dims(made, -1)
    if made.shape != y_pred.shape:
        raise gx.errors.ShapeError(
            f"targets {y_true.type} do not fit the model's output {y_pred.type}", where=gx.errors.caller(),
            hint="both need one shape: otherwise they would broadcast, each target against each output",
        )  # fmt: skip
    return made


def per_sample(values: Tensor) -> Tensor:
    """One number a sample: the mean over all axes but the first."""
    return gx.mean(values, axis=tuple(range(1, values.ndim))) if values.ndim > 1 else values


NAMED: Mapping[str, Callable[[], Loss]] = {
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "binary_crossentropy": BinaryCrossentropy,
    "mean_squared_error": lambda: _Function(mean_squared_error, "mean_squared_error"),
    "mse": lambda: _Function(mean_squared_error, "mse"),
    "mean_absolute_error": lambda: _Function(mean_absolute_error, "mean_absolute_error"),
    "mae": lambda: _Function(mean_absolute_error, "mae"),
}


def named_loss(value: object) -> Loss:
    """The loss that a name, a function (y_true, y_pred) -> numbers, or a Loss stands for."""
    if isinstance(value, Loss):
        return value
    if isinstance(value, str) and value in NAMED:
        return NAMED[value]()
    if callable(value):
        return _Function(value, getattr(value, "__name__", "loss"))
    raise gx.errors.InputError(
        f"no loss {value!r}", where=gx.errors.caller(), hint="a function (y_true, y_pred), or one of " + ", ".join(NAMED)
    )


__all__ = ["BinaryCrossentropy", "CategoricalCrossentropy", "Loss", "SparseCategoricalCrossentropy"]
