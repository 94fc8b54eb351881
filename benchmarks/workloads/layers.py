"""The rows of `benchmarks/training.py`: models of layers, with the ratio that is wanted of each."""

from __future__ import annotations

from benchmarks.workload import Row
from benchmarks.workloads.fitting import fit_cnn, fit_gpt, fit_lstm
from benchmarks.workloads.minilm import minilm
from benchmarks.workloads.writing import writing

WANTED = 1.2

ROWS = tuple(
    Row(workload, WANTED)
    for workload in (fit_cnn(), fit_gpt(), writing(), writing(loop=True), minilm(1), minilm(8), fit_lstm())
)
