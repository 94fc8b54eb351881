"""The graph of a seed and an index."""

from __future__ import annotations

import numpy as np

from fuzzing.case import Case
from fuzzing.networks import network
from fuzzing.sketches import sketch


def build(seed: int, index: int) -> Case:
    """Graph `index` of a seed."""
    for attempt in range(1000):
        rng = np.random.default_rng([seed, index, attempt])
        case = network(rng, index) if index % 2 else sketch(rng, index)
        if case is not None:
            return case
    raise AssertionError("no graph could be built in 1000 attempts")
