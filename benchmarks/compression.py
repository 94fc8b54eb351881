"""What each way to make a model smaller costs and gives: python benchmarks/compression.py [--json docs/compression.json]

    --data NAME ...    digits and fashion; both by default
    --samples N        images to train with, at most (12000)
    --threads N        of native code (1)
    --ways NAME ...    measure those whose names contain one of these alone, and put them into the JSON file's rows
    --times            measure nothing but the times, of networks that are not trained, and put them into the JSON file's rows

The network is that of examples/image_classification.py. A model is trained, then each way is taken from it; where that is to be
trained again, it is with a tenth of the learning rate. Accuracy is that on the test's images: 1,000 of digits, 10,000 of fashion.
Bytes are those of `save_weights`, and of the same file in a zip archive, where zeros take next to nothing. Milliseconds are the
median of calls of the compiled prediction, of one image and of 256, each way in turn with the others.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
import tempfile
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import graphc as gx  # noqa: E402
from benchmarks.peers import cpu  # noqa: E402

EPOCHS = {"digits": (12, 3), "fashion": (6, 2)}  # of the first training, and of one that follows
TURNS, CALLS = 7, 5
CALIBRATION = 512  # images
_TITLES = ["way", "accuracy", "to floats", "bytes", "in a zip", "ms, 1 image", "ms, 256 images"]

Array = np.ndarray[Any, Any]
Model = gx.models.Model


def ways(model: Model, x: Array, again: Callable[[Model], Model]) -> dict[str, Callable[[], Model]]:
    """The ways to a smaller model, by name; `again` trains one."""
    some = x[:CALIBRATION]
    return {
        "float32": lambda: model,
        "int8, minmax": lambda: gx.quantize(model, some),
        "int8, percentile": lambda: gx.quantize(model, some, method="percentile"),
        "int8, entropy": lambda: gx.quantize(model, some, method="entropy"),
        "int8, trained": lambda: gx.quantize(again(gx.quantize(model, some, trainable=True))),
        "magnitude, half zeros, trained": lambda: again(gx.prune(model, 0.5)),
        "magnitude, 80 % zeros": lambda: gx.prune(model, 0.8),
        "magnitude, 80 % zeros, trained": lambda: again(gx.prune(model, 0.8)),
        "2:4, trained": lambda: again(gx.prune(model, method="2:4")),
        "half of the channels, trained": lambda: again(gx.prune(model, 0.5, method="channels")),
        "half of the channels, trained, int8": lambda: gx.quantize(again(gx.prune(model, 0.5, method="channels")), some),
        "magnitude, 80 % zeros, trained, int8": lambda: gx.quantize(again(gx.prune(model, 0.8)), some),
    }


def measure(data: str, samples: int, train: bool, chosen: list[str]) -> list[dict[str, Any]]:
    from image_classification import load, network

    x, y, x_test, y_test = load(data)
    order = np.random.default_rng(0).permutation(len(x))[:samples]
    x, y = x[order], y[order]
    first, more = EPOCHS[data] if train else (0, 0)
    steps = -(-len(x) // 64)
    with gx.layers.seeded(0):
        model = network(max(first, 1) * steps)
    if train:
        model.fit(x, y, batch_size=64, epochs=first, verbose=0)

    def again(made: Model) -> Model:
        if not train:
            return made
        made.compile(gx.models.optimizers.Adam(2e-4), "sparse_categorical_crossentropy", ["accuracy"])
        made.fit(x, y, batch_size=64, epochs=more, verbose=0)
        return made

    made = {name: way() for name, way in ways(model, x, again).items() if any(part in name for part in chosen)}
    image = gx.layers.Input((28, 28, 1))
    programs = {name: gx.compile([image], m(image, training=False), progress=False) for name, m in made.items()}
    rows: list[dict[str, Any]] = [{"data": data, "way": name} for name in made]
    if train:
        for row, m in zip(rows, made.values(), strict=True):
            row |= {"accuracy": float(m.evaluate(x_test, y_test, batch_size=250)["accuracy"]), **weight(m)}
    for row, times in zip(rows, timed(programs, x_test), strict=True):
        row["milliseconds"] = times
        print(*row.values(), flush=True)
    return rows


def weight(model: Model) -> dict[str, int]:
    """The bytes of a model's file, and of the same packed."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "weights.safetensors"
        model.save_weights(file)
        raw = file.read_bytes()
    return {"bytes": len(raw), "zipped": len(zlib.compress(raw, 9))}


def timed(programs: dict[str, gx.Compiled], x: Array) -> list[list[float]]:
    """Median milliseconds of calls with one image and with 256, each program in turn with the others."""
    found: dict[str, list[list[float]]] = {name: [] for name in programs}
    for turn in range(TURNS + 1):
        for name, program in programs.items():
            times = []
            for count, calls in ((1, 20 * CALLS), (256, CALLS)):
                start = time.perf_counter()
                for _ in range(calls):
                    program(x[:count])
                times.append((time.perf_counter() - start) / calls * 1e3)
            if turn:
                found[name].append(times)
    return [[round(float(np.median(column)), 4) for column in zip(*times, strict=True)] for times in found.values()]


def table(figures: dict[str, Any], data: str) -> str:
    """The rows of one kind of data as Markdown."""
    rows = [row for row in figures["rows"] if row["data"] == data]
    base = rows[0]["accuracy"]
    lines = [_TITLES, ["---", *["---:"] * (len(_TITLES) - 1)]]
    for row in rows:
        one, many = row["milliseconds"]
        points = f"{100 * (row['accuracy'] - base):+.2f}" if row is not rows[0] else ""
        lines.append([
            row["way"], f"{row['accuracy']:.4f}", points, f"{row['bytes']:,}", f"{row['zipped']:,}", f"{one:.3g}", f"{many:.3g}",
        ])  # fmt: skip
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def conditions(figures: dict[str, Any]) -> str:
    """On what, and when."""
    found = figures["machine"]
    return (
        f"{found['cpu']}, {found['threads']} thread; Python {found['python']}, graphc {found['graphc']}; at most "
        f"{found['samples']:,} images to train with. Measured {found['date']}."
    )


def main() -> int:
    parser = argparse.ArgumentParser(description="What each way to make a model smaller costs and gives.")
    parser.add_argument("--data", nargs="+", default=["digits", "fashion"], choices=["digits", "fashion"])
    parser.add_argument("--samples", type=int, default=12_000)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--ways", nargs="+", default=[""], metavar="NAME")
    parser.add_argument("--times", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    gx.set_num_threads(options.threads)
    rows = [row for data in options.data for row in measure(data, options.samples, not options.times, options.ways)]
    if options.json and (options.times or options.ways != [""]):
        figures = json.loads(options.json.read_text(encoding="utf-8"))
        kept = {(row["data"], row["way"]): row for row in figures["rows"]}
        for row in rows:
            kept[row["data"], row["way"]] = {**kept.get((row["data"], row["way"]), {}), **row}
        order = list(ways(gx.models.Sequential(), np.zeros(0), lambda m: m))
        figures["rows"] = sorted(kept.values(), key=lambda row: (row["data"], order.index(row["way"])))
        options.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        return 0
    machine = {
        "cpu": cpu(), "threads": options.threads, "python": platform.python_version(), "graphc": gx.__version__,
        "samples": options.samples, "date": datetime.date.today().isoformat(),
    }  # fmt: skip
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
