"""Figures of detectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc.metrics.host import Array, HostMetric

COCO = tuple(0.5 + 0.05 * i for i in range(10))


class MeanAveragePrecision(HostMetric):
    """The mean over classes of the area under precision over recall, of boxes that are found.

    A box is right if its intersection over union with a true one of its class and image, which no box of higher score has taken,
    is at least a threshold; the true box of largest overlap is taken. iou_thresholds: a number, a list to take the mean over, or
    "coco" for 0.5, 0.55, ..., 0.95. points: how many values of recall, evenly from 0 to 1, the precision is read at, the largest
    that is reached there or later: 101 as in COCO (Lin et al. 2014, arXiv:1405.0312), 11 as in Pascal VOC 2007, or None for the
    whole area, as in VOC 2010. max_detections: how many boxes of an image and a class count, those of largest scores. Classes
    without a true box count for nothing.

    >>> import graphc as gx
    >>> found = gx.metrics.MeanAveragePrecision()
    >>> found.update([[0, 0, 2, 2], [5, 5, 6, 6]], [0.9, 0.8], [1, 1], [[0, 0, 2, 2]], [1])
    >>> found.result()
    1.0
    """

    def __init__(
        self, iou_thresholds: float | Sequence[float] | str = 0.5, points: int | None = 101, max_detections: int = 100
    ) -> None:
        if isinstance(iou_thresholds, str):
            if iou_thresholds != "coco":
                raise gx.errors.InputError(
                    f"MeanAveragePrecision: iou_thresholds is {iou_thresholds!r}", where=gx.errors.caller(),
                    hint='a number, a list, or "coco"',
                )  # fmt: skip
            iou_thresholds = COCO
        given = iou_thresholds if isinstance(iou_thresholds, Sequence) else [iou_thresholds]
        self.iou_thresholds = tuple(float(one) for one in given)
        self.points, self.max_detections = points, max_detections
        self.reset()

    def reset(self) -> None:
        self._found: dict[int, list[tuple[Array, Array]]] = {}  # class -> for each image scores [n], right or not [thresholds, n]
        self._wanted: dict[int, int] = {}

    def update(self, boxes: Any, scores: Any, labels: Any, true_boxes: Any, true_labels: Any) -> None:
        """Add an image: boxes [n, 4] as (x1, y1, x2, y2) with scores [n] and classes [n], and what is there, [m, 4] and [m]."""
        found, truth = (np.asarray(b, np.float64).reshape(-1, 4) for b in (boxes, true_boxes))
        score = np.asarray(scores, np.float64).reshape(-1)
        kinds, true_kinds = (np.asarray(k).astype(np.int64).reshape(-1) for k in (labels, true_labels))
        if not len(found) == len(score) == len(kinds) or len(truth) != len(true_kinds):
            raise gx.errors.ShapeError(
                f"MeanAveragePrecision: {len(found)} boxes, {len(score)} scores and {len(kinds)} labels; {len(truth)} true boxes "
                f"and {len(true_kinds)} true labels",
                where=gx.errors.caller(), hint="one of each for every box",
            )  # fmt: skip
        for kind in np.union1d(kinds, true_kinds):
            own = np.flatnonzero(kinds == kind)
            own = own[np.argsort(-score[own], kind="stable")][: self.max_detections]
            wanted = truth[true_kinds == kind]
            self._wanted[int(kind)] = self._wanted.get(int(kind), 0) + len(wanted)
            overlaps = overlap(found[own], wanted)
            right = np.stack([_matched(overlaps, threshold) for threshold in self.iou_thresholds])
            self._found.setdefault(int(kind), []).append((score[own], right))

    def by_class(self) -> dict[int, float]:
        """Each class's average precision, the mean over the thresholds."""
        return {kind: float(np.mean(self._areas(kind))) for kind in sorted(self._wanted) if self._wanted[kind]}

    def result(self) -> float:
        areas = list(self.by_class().values())
        return float(np.mean(areas)) if areas else float("nan")

    def _areas(self, kind: int) -> list[float]:
        scores = np.concatenate([s for s, _ in self._found[kind]])
        order = np.argsort(-scores, kind="stable")
        right = np.concatenate([r for _, r in self._found[kind]], axis=1)[:, order]
        return [_area(one, self._wanted[kind], self.points) for one in right]


def overlap(a: Array, b: Array) -> Array:
    """Intersection over union of boxes [n, 4] and [m, 4] as (x1, y1, x2, y2): [n, m]."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    shared = np.prod(np.clip(high - low, 0, None), axis=-1)
    sizes = [np.prod(np.clip(x[:, 2:] - x[:, :2], 0, None), axis=-1) for x in (a, b)]
    either = sizes[0][:, None] + sizes[1][None, :] - shared
    return np.asarray(shared / np.where(either == 0, 1, either))


def _matched(overlaps: Array, threshold: float) -> Array:
    """Which boxes, best first, are right."""
    free = np.ones(overlaps.shape[1], bool)
    right = np.zeros(overlaps.shape[0], bool)
    for i, row in enumerate(overlaps):
        reached = np.where(free, row, -1.0)
        if len(reached) and reached.max() >= threshold:
            right[i] = True
            free[int(np.argmax(reached))] = False
    return right


def _area(right: Array, wanted: int, points: int | None) -> float:
    hits = np.cumsum(right)
    recall, precision = hits / wanted, hits / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]  # the largest that is reached at this recall or a larger one
    if points is None:
        return float((np.diff(recall, prepend=0) * best).sum())
    at = np.searchsorted(recall, np.linspace(0, 1, points), side="left")
    return float(np.append(best, 0.0)[at].mean())
