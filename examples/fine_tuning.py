"""Fine-tuning: a model that others trained, an ONNX file, learns other classes from a few pictures.

    python examples/fine_tuning.py

The file is of a network that tells four shapes apart, trained on 2,000 pictures. What is known of it is the file alone: it is
read up to the operand of its last layer, a new layer takes that one's place, and ten pictures each of three other shapes train
first the new layer, then all weights, in small steps. The result is a file again. Beside it: the same network, untrained.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx

import graphc as gx

SIZE = 16
SHAPES = ("bar", "pole", "slope", "square", "cross", "frame", "corner")


def picture(shape: str, rng: np.random.Generator) -> Any:
    """A shape at some place in noise, [size, size]."""
    made = rng.normal(0, 0.6, (SIZE, SIZE))
    side = int(rng.integers(6, 10))
    top, left = rng.integers(0, SIZE - side, 2)
    part, middle, line = made[top : top + side, left : left + side], side // 2, np.arange(side)
    match shape:
        case "bar":
            part[middle] += 2
        case "pole":
            part[:, middle] += 2
        case "slope":
            part[line, line] += 2
        case "square":
            part += 1.5
        case "cross":
            part[line, line] += 2
            part[line, -1 - line] += 2
        case "frame":
            part[[0, -1]] += 2
            part[:, [0, -1]] += 2
        case "corner":
            part[0] += 2
            part[:, 0] += 2
    return made


def pictures(shapes: tuple[str, ...], each: int, seed: int) -> tuple[Any, Any]:
    """So many pictures of each shape, float32 [n, 1, size, size], and which it is."""
    rng = np.random.default_rng(seed)
    x = np.array([picture(shape, rng) for _ in range(each) for shape in shapes], "float32")
    return x[:, None], np.arange(len(x)) % len(shapes)


def network() -> Any:
    """Pictures to scores of four shapes."""
    layers = gx.layers
    return gx.models.Sequential([
        layers.Permute((2, 3, 1), input_shape=(1, SIZE, SIZE)), layers.Conv2D(16, 5, padding="same", activation="relu"),
        layers.MaxPooling2D(2), layers.Conv2D(32, 3, padding="same", activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(32, 3, padding="same", activation="relu"), layers.GlobalMaxPooling2D(), layers.Dense(4),
    ])  # fmt: skip


def somebody_s_model(path: Path, each: int, epochs: int) -> None:
    """The file of a network that was trained elsewhere."""
    model = network()
    model.compile("adam", gx.models.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(*pictures(SHAPES[:4], each, 1), batch_size=50, epochs=epochs, verbose=0)
    model.export(path)


class Tuned:
    """The network of a file up to its last layer, with a new one for other classes."""

    def __init__(self, path: Path, classes: int, again: bool = False, **options: Any) -> None:
        products = [node for node in onnx.load(path).graph.node if node.op_type in ("Gemm", "MatMul")]
        self.options = options
        read = gx.onnx.load(path, outputs=[products[-1].input[0]], trainable=True)
        (self.x,), (features,) = read.inputs.values(), read.outputs.values()
        self.old = list(read.variables.values())
        if again:  # from the beginning: the same sizes, and none of what was learnt
            rng = np.random.default_rng(2)
            for v in self.old:
                fan = v.size // v.shape[-1]
                v.value = rng.normal(0, (2 / fan) ** 0.5, v.shape) if v.ndim > 1 else np.zeros(v.shape)
        width = features.shape[-1]
        self.w = gx.variable(np.zeros((width, classes), "float32"), name="new.w")
        self.b = gx.variable(np.zeros(classes, "float32"), name="new.b")
        self.scores = features @ self.w + self.b
        self.run = gx.compile([self.x], self.scores, **options)

    def train(self, x: Any, truth: Any, variables: list[Any], lr: float, steps: int) -> float:
        """The loss at the end."""
        wanted = gx.placeholder("wanted", ("batch",), "int64")
        loss = gx.nn.cross_entropy(self.scores, wanted)
        step = gx.compile([self.x, wanted], loss, updates=gx.optim.adam(loss, variables, lr=lr), **self.options)
        return [float(step(x, truth)) for _ in range(steps)][-1]

    def right(self, x: Any, truth: Any) -> float:
        """The share of pictures that are named rightly."""
        return float(np.mean(self.run(x).argmax(-1) == truth))


def main(each: int = 500, epochs: int = 6, steps: int = 60, **options: Any) -> tuple[float, float]:
    few, unseen = pictures(SHAPES[4:], 10, 3), pictures(SHAPES[4:], 200, 4)
    with tempfile.TemporaryDirectory() as scratch:
        path, tuned = Path(scratch) / "shapes.onnx", Path(scratch) / "tuned.onnx"
        somebody_s_model(path, each, epochs)
        model = Tuned(path, len(SHAPES[4:]), **options)
        model.train(*few, [model.w, model.b], 0.02, steps)
        model.train(*few, [*model.old, model.w, model.b], 0.001, steps)
        gx.onnx.save(tuned, [model.x], {"scores": model.scores})
        assert np.allclose(gx.onnx.load(tuned)(unseen[0]), model.run(unseen[0]), atol=1e-4)
        fresh = Tuned(path, len(SHAPES[4:]), again=True, **options)
        fresh.train(*few, [*fresh.old, fresh.w, fresh.b], 0.005, steps)
        shares = [model.right(*unseen), fresh.right(*unseen)]
    print(f"of 600 pictures of shapes that are new: {shares[0]:.1%} right after tuning, {shares[1]:.1%} without what was learnt")
    return shares[0], shares[1]


if __name__ == "__main__":
    main()
