"""What is done to gradients before an optimiser gets them: limited, accumulated over batches, scaled for 16 bits.

    gradients of (scale * loss)  ->  / scale  ->  sum over the accumulated samples / their number  ->  clip_value  ->  clip_norm

An optimiser is a function of a loss: it gets the sum of each weight times its gradient as a constant, whose gradients these are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor, Variable
from graphc.models.optimizers import Optimizer

Updates = dict[Variable, Tensor]

# float16's scale as Micikevicius et al. 2018 (arXiv:1710.03740) and Keras' LossScaleOptimizer have it: halved where a gradient
# overflows, doubled after so many steps without.
_FIRST_SCALE, _STEPS_TO_GROW = 2.0**15, 2000


class Gradients:
    """From a loss to updates.

    clip_value: the largest size of an element. clip_norm: that of the global norm. accumulate: over how many batches gradients
    are summed for one update. scaled: whether the loss is scaled, as float16 needs: a step with gradients that are not finite
    changes nothing but the scale.
    """

    def __init__(
        self, optimizer: Optimizer, clip_norm: float | None = None, clip_value: float | None = None, accumulate: int = 1,
        scaled: bool = False,
    ) -> None:  # fmt: skip
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None and not gx.ops.check_number("compile", name, limit) > 0:
                raise gx.errors.InputError(f"compile: {name} is {limit}", where=gx.errors.caller(), hint="give a number above 0")
        self.optimizer, self.clip_norm, self.clip_value = optimizer, clip_norm, clip_value
        self.accumulate = gx.ops.normalize_integer("compile", "accumulate", accumulate)
        if self.accumulate < 1:
            raise gx.errors.InputError("compile: accumulate begins at 1", where=gx.errors.caller())
        self.scaled = scaled
        self.sums: dict[Variable, Variable] = {}
        self.samples: Variable | None = None
        self.scale: Variable | None = None
        self.good: Variable | None = None  # steps since the scale was changed

    @property
    def plain(self) -> bool:
        """Whether the optimiser gets the loss itself."""
        return self.clip_norm is None and self.clip_value is None and self.accumulate == 1 and not self.scaled

    def updates(self, loss: Tensor, variables: Sequence[Variable], samples: Tensor) -> Updates:
        """What a batch of so many samples changes: the weights, or, where batches are accumulated, the sums."""
        if self.plain or not variables:
            return self.optimizer.updates(loss, variables)
        return self.used(self.of(loss, variables), variables, samples)

    def of(self, loss: Tensor, variables: Sequence[Variable]) -> list[Tensor]:
        """The gradients of a loss, scaled."""
        self.prepare(variables)
        return gx.grad(loss if self.scale is None else loss * gx.astype(self.scale, loss.dtype), list(variables))

    def used(self, found: Sequence[Tensor], variables: Sequence[Variable], samples: Tensor) -> Updates:
        """What the gradients, scaled as they come, of a batch of so many samples change."""
        if self.samples is None:
            return self._step(found, variables)
        added = {self.sums[v]: self.sums[v] + _like(self.sums[v], g) * _like(self.sums[v], samples)
                 for v, g in zip(variables, found, strict=True)}  # fmt: skip
        return {**added, self.samples: self.samples + _like(self.samples, samples)}

    def apply(self, variables: Sequence[Variable]) -> Updates:
        """What the accumulated gradients change."""
        if self.samples is None or not variables:
            return {}
        sums = [self.sums[v] for v in variables]
        updates = self._step([total / _like(total, self.samples) for total in sums], variables)
        return {**updates, **{v: gx.zeros_like(v) for v in (*sums, self.samples)}}

    def _step(self, found: Sequence[Tensor], variables: Sequence[Variable]) -> Updates:
        """The updates for gradients, scaled as they come."""
        if self.scale is not None:
            found = [g / _like(g, self.scale) for g in found]
        limited = list(found)
        if self.clip_value is not None:
            limited = [gx.clip(g, -self.clip_value, self.clip_value) for g in limited]
        if self.clip_norm is not None:
            limited = gx.optim.clip_by_global_norm(limited, self.clip_norm)
        products = [gx.sum(v * gx.stop_gradient(_like(v, g))) for v, g in zip(variables, limited, strict=True)]
        updates = self.optimizer.updates(sum(products[1:], products[0]), variables)
        if self.scale is None or self.good is None:
            return updates
        finite = gx.stack([gx.all(gx.isfinite(g)) for g in found])
        fine = gx.all(finite)
        grows = self.good + 1 >= _STEPS_TO_GROW
        kept = {v: gx.where(fine, new, v) for v, new in updates.items()}
        changed = gx.where(fine, gx.where(grows, self.scale * 2, self.scale), gx.clip(self.scale / 2, min=1.0))
        return {**kept, self.scale: changed, self.good: gx.where(fine & ~grows, self.good + 1, gx.zeros_like(self.good))}

    # --- state ---

    def prepare(self, variables: Sequence[Variable]) -> None:
        """Make the state of these weights, the optimiser's too."""
        self.optimizer.prepare(variables)
        if self.accumulate > 1:
            if self.samples is None:
                self.samples = gx.variable(np.zeros((), np.float64), name="accumulated")
            for v in variables:
                if v not in self.sums:
                    self.sums[v] = gx.variable(np.zeros(v.shape, v.dtype.arithmetic.numpy), name="accumulated", of=v)
        if self.scaled and self.scale is None:
            self.scale = gx.variable(np.float32(_FIRST_SCALE), name="loss_scale")
            self.good = gx.variable(np.int64(0), name="loss_scale.steps")

    def named_state(self, paths: Mapping[Variable, str]) -> dict[str, Variable]:
        """The state by names that follow from those of the weights."""
        found = {f"{paths.get(v, v.name)}.accumulated": total for v, total in self.sums.items()}
        own = {"accumulated": self.samples, "loss_scale": self.scale, "loss_scale.steps": self.good}
        return {**found, **{name: v for name, v in own.items() if v is not None}}

    def reset(self) -> None:
        """Forget what was accumulated."""
        for v in (*self.sums.values(), *(() if self.samples is None else (self.samples,))):
            v.value = np.zeros(v.value.shape, v.value.dtype)


def _like(x: Tensor, value: Any) -> Tensor:
    """A value in the dtype of another."""
    return gx.astype(value, x.dtype)
