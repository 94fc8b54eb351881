"""How large activations are, and the scale that follows: by their extremes, by a percentile, or by entropy.

    minmax       the largest size that was seen: nothing is cut off
    percentile   the size that a share of all values stays below: single values far out are cut off
    entropy      the size at which quantised values lose least information: Migacz 2017, "8-bit Inference with TensorRT", by the
                 Kullback-Leibler divergence of histograms; no more than one value in a hundred is cut off, for a peak of the
                 distribution would hide all that is cut off onto it

What is never negative becomes uint8, 0 .. 255; else it is int8, -127 .. 127. There are no zero points: 0 is 0.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

import graphc as gx

Array = np.ndarray[Any, Any]

BINS = 2048  # of the histogram of sizes, as in TensorRT
SMALL = 1e-4  # the share that stands for none, as in MXNet
METHODS = ("minmax", "percentile", "entropy")


@dataclass
class Seen:
    """What was seen of one activation: its extremes, and then how often which sizes occur; zeros are not counted there.

    >>> import numpy as np
    >>> seen = Seen()
    >>> for see in (seen.extremes, seen.sizes):
    ...     see(np.array([0.0, 1.0, 2.0]))
    >>> seen.dtype, bool(seen.scale("minmax") == np.float32(2 / 255))
    ('uint8', True)
    """

    low: float = 0.0
    high: float = 0.0
    zeros: int = 0
    counts: Array = field(default_factory=lambda: np.zeros(BINS, np.int64))

    def extremes(self, values: Array) -> None:
        """See a batch for the first time."""
        if values.size:
            if not np.isfinite(values).all():
                raise gx.errors.InputError("quantize: an activation is not finite", where=gx.errors.caller(), hint="see gx.debug")
            self.low, self.high = min(self.low, float(values.min())), max(self.high, float(values.max()))

    def sizes(self, values: Array) -> None:
        """See the batch again, when the extremes of all are known."""
        size = np.abs(values[values != 0].astype(np.float64))
        self.zeros += int(values.size - size.size)
        if size.size:
            self.counts += np.histogram(size, BINS, (0.0, self.largest))[0]

    @property
    def largest(self) -> float:
        return max(-self.low, self.high)

    @property
    def dtype(self) -> str:
        """The type of its integers."""
        return "int8" if self.low < 0 else "uint8"

    @property
    def levels(self) -> int:
        """The largest integer."""
        return 127 if self.low < 0 else 255

    def scale(self, method: str, percentile: float = 99.99) -> np.float32:
        """The step between two integers; 1 where nothing but zeros was seen."""
        if not self.largest:
            return np.float32(1)
        if method == "minmax":
            limit = self.largest
        elif method == "percentile":
            limit = self._percentile(percentile)
        else:
            limit = self._entropy()
        return max(np.float32(limit / self.levels), np.finfo(np.float32).tiny)

    def _percentile(self, share: float) -> float:
        below = self.zeros + np.cumsum(self.counts)
        bin = int(np.searchsorted(below, share / 100 * below[-1]))
        return self.largest * (min(bin, BINS - 1) + 1) / BINS

    def _entropy(self) -> float:
        """The limit of least divergence between the sizes below it, with those beyond at it, and the same in `levels` steps."""
        best, found = np.inf, BINS
        groups = self.levels + 1
        kept = np.cumsum(self.counts)
        first = int(np.searchsorted(kept, 0.99 * kept[-1])) + 1
        for limit in range(max(groups, first), BINS + 1):
            p = self.counts[:limit].astype(np.float64)
            there = p > 0
            starts = np.arange(groups) * limit // groups
            total, filled = (np.add.reduceat(a, starts) for a in (p, there.astype(np.float64)))
            mean = np.divide(total, filled, out=np.zeros(groups), where=filled > 0)
            q = np.where(there, np.repeat(mean, np.diff([*starts, limit])), 0.0)
            p[-1] += self.counts[limit:].sum()
            p, q = p / p.sum(), q / q.sum()
            at = p > 0
            q = np.where(q > 0, q, SMALL)  # where only what is cut off lies
            divergence = float(np.sum(p[at] * np.log(p[at] / q[at])))
            if divergence < best:
                best, found = divergence, limit
        return self.largest * found / BINS
