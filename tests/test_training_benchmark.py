"""The rows of benchmarks/training.py at tiny sizes: every contender that is installed computes the same as graphc's layers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import training, worker
from benchmarks.workload import Workload, difference
from benchmarks.workloads.fitting import fit_cnn, fit_gpt, fit_lstm
from benchmarks.workloads.gpt import Shape
from benchmarks.workloads.layers import ROWS
from benchmarks.workloads.minilm import Size, minilm
from benchmarks.workloads.writing import writing

SHAPE = Shape(layers=2, width=16, heads=2, time=12, vocabulary=11)
TINY = (
    fit_cnn(samples=20, width=4, batch=8), fit_gpt(3, 2, SHAPE), fit_lstm(24, 5, 8, 6, 20, 3, 8), writing(SHAPE),
    writing(SHAPE, loop=True), minilm(2, 9, Size(words=50, width=24, blocks=2, heads=3, units=40, places=20)),
)  # fmt: skip
PEERS = [(w, peer) for w in TINY for peer in w.builders if peer not in ("graphc", "torch.compile")]
MODULES = {"onnxruntime": ("onnxruntime", "onnx")}


def named(value: Any) -> str:
    return value.name if isinstance(value, Workload) else value


@pytest.fixture(scope="module")
def own() -> dict[str, list[Any]]:
    """The results of graphc, made once for each workload; each has been called for the clock once, too."""
    found = {}
    for w in TINY:
        run = w.builders["graphc"](*w.arrays())
        run.call()
        found[w.name] = run.results()
    return found


@pytest.mark.parametrize(("workload", "peer"), PEERS, ids=named)
def test_peers_agree(workload: Workload, peer: str, own: dict[str, list[Any]]) -> None:
    for module in MODULES.get(peer, (peer,)):
        pytest.importorskip(module)
    run = workload.builders[peer](*workload.arrays())
    run.call()
    assert difference(own[workload.name], run.results()) <= workload.tolerance / 10


@pytest.mark.parametrize("workload", TINY, ids=named)
def test_the_interpreter_agrees(workload: Workload, own: dict[str, list[Any]]) -> None:
    slow = workload.builders["graphc"](*workload.arrays(), backend="interpreter").results()
    assert difference(own[workload.name], slow) <= workload.tolerance / 10


def test_epochs_train(own: dict[str, list[Any]]) -> None:
    """The losses that are compared are those of weights that have moved."""
    for w in TINY[:3]:
        (losses,) = own[w.name]
        assert losses[1] < losses[0] - 1e-4, w.name


def test_every_row_is_tested_and_served() -> None:
    kinds = lambda workloads: {getattr(w.builders["graphc"], "func", None) for w in workloads}
    assert kinds(row.workload for row in ROWS) == kinds(TINY)
    assert len({row.name for row in ROWS}) == len(ROWS)
    served = worker.Worker("graphc").workloads
    for row in ROWS:
        assert served[row.name] is row.workload
        assert row.workload.count > 0


def test_a_line_of_the_table() -> None:
    row = {
        "name": ROWS[0].name, "kind": "call", "threads": 2, "busy": False, "wanted": 1.2,
        "figures": {"graphc": 0.5, "torch": 1.0, "jax": 2.0}, "notes": {"onnxruntime": "not served"}, "best": "torch",
        "ratio": 2.0, "limit_s": 0.25,
    }  # fmt: skip
    assert training.cells(row) == [
        ROWS[0].name, "2", "500 ms", "8,000 images", "4.00", "2.00", "", "–", "torch", "2.00", "50 %",
    ]  # fmt: skip
    assert training.cells({**row, "threads": 1, "busy": True})[1] == "1 busy"


def test_the_committed_figures_are_of_these_rows() -> None:
    committed = Path(__file__).parent.parent / "docs" / "training.json"
    found = [(r["name"], r["threads"]) for r in json.loads(committed.read_text(encoding="utf-8"))["rows"]]
    assert found
    assert found == [(r.name, n) for r in ROWS for n in (1, 2) if (r.name, n) in found]
