"""Optimisers: functions from a loss to the updates of its variables; see `schedules` for learning rates that change.

    x = gx.placeholder("x", ("batch", 784))
    ...
    step = gx.compile([x, t], loss, updates=gx.optim.adam(loss, [w, b], lr=gx.optim.schedules.cosine(0.01, steps=1000)))
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.optim import schedules
from graphc.optim.clipping import clip_by_global_norm, global_norm
from graphc.optim.lbfgs import MinimizeResult, lbfgs, minimize
from graphc.optim.optimizers import (
    adadelta, adagrad, adam, adamax, adamw, lamb, lion, momentum, nadam, nesterov, rmsprop, rprop, sgd,
)  # fmt: skip

__all__ = [
    "MinimizeResult", "adadelta", "adagrad", "adam", "adamax", "adamw", "clip_by_global_norm", "global_norm", "lamb", "lbfgs",
    "lion", "minimize", "momentum", "nadam", "nesterov", "rmsprop", "rprop", "schedules", "sgd",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
