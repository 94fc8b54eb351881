"""The bench on small sizes: its JSON, its table, its workloads, and that it notices a difference."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc import bench

KEYS = {"workload", "interpreted_ms", "compiled_ms", "ratio", "kernels", "arena_bytes", "buffer_bytes", "compile_s"}


def test_json_table_and_plot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    figures = bench.bench(tmp_path / "bench.json", tmp_path / "bench.png", scale=0.01, seconds=0.02, numba=False)
    entries = json.loads((tmp_path / "bench.json").read_text())
    assert [e["workload"] for e in entries] == [w.name for w in bench.workloads(0.01)]
    for entry, figure in zip(entries, figures, strict=True):
        assert set(entry) == KEYS
        assert entry["interpreted_ms"] > 0
        assert entry["compiled_ms"] > 0
        assert entry["ratio"] == entry["interpreted_ms"] / entry["compiled_ms"]
        assert entry["compile_s"] > 0
        assert entry["kernels"] >= figure.distinct > 0
        assert 0 <= entry["arena_bytes"] <= entry["buffer_bytes"] * 1.1 + 4096
        assert figure.difference <= figure.tolerance, figure
    out = capsys.readouterr().out
    for entry in entries:
        assert entry["workload"] in out
    assert "RESULTS DIFFER" not in out
    assert "NOT NATIVE" not in out
    assert (tmp_path / "bench.png").read_bytes().startswith(b"\x89PNG")


def test_a_wrong_result_is_reported(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    honest = bench.workloads(0.01)[0]
    declared = []

    def declare() -> bench.Declared:
        declared.append(honest.declare())
        return declared[-1] if len(declared) == 1 else replace(declared[-1], outputs=declared[-1].outputs * 1.5)

    monkeypatch.setattr(bench, "workloads", lambda scale: [replace(honest, declare=declare)])
    (figure,) = bench.bench(seconds=0.01, backend="interpreter", numba=False)
    assert figure.difference == pytest.approx(0.5, rel=1e-5)
    out = capsys.readouterr().out
    assert f"RESULTS DIFFER: {honest.name}: by 5.0e-01" in out
    assert f"NOT NATIVE: {honest.name}: everything ran interpreted" in out


@pytest.mark.usefixtures("this_machine")
def test_numba_has_columns_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:  # fmt: skip
    softmax = bench.workloads(0.01)[1]
    monkeypatch.setattr(bench, "workloads", lambda scale: [softmax])
    (figure,) = bench.bench(tmp_path / "bench.json", seconds=0.01)
    (entry,) = json.loads((tmp_path / "bench.json").read_text())
    assert set(entry) == {*KEYS, "numba_ms", "numba_compile_s"}
    assert entry["numba_ms"] > 0 and entry["numba_compile_s"] > 0
    assert figure.difference <= figure.tolerance
    header, line = capsys.readouterr().out.splitlines()[-2:]
    assert header.split()[-3:] == ["by", "Numba", "compile"] and line.endswith(f"{figure.numba_compile_s:.2f} s")


def test_black_scholes_against_closed_forms() -> None:
    (work,) = [w for w in bench.workloads(0.01) if w.name.startswith("Black")]
    declared = work.declare()
    price, delta, gamma, vega = gx.compile(declared.inputs, declared.outputs, backend="interpreter")(*work.arrays)
    spot, strike, years, rate, vol = (a.astype(np.float64) for a in work.arrays)
    d1 = (np.log(spot / strike) + (rate + vol**2 / 2) * years) / (vol * np.sqrt(years))
    density = np.exp(-(d1**2) / 2) / np.sqrt(2 * np.pi)
    np.testing.assert_allclose(gamma, density / (spot * vol * np.sqrt(years)), rtol=2e-4)
    np.testing.assert_allclose(vega, spot * density * np.sqrt(years), rtol=2e-4)
    assert ((delta > 0) & (delta < 1)).all()
    assert (price >= spot - strike * np.exp(-rate * years) - 1e-3).all()


def test_logistic_gradient_is_the_closed_form() -> None:
    (work,) = [w for w in bench.workloads(0.02) if w.name.startswith("logistic")]
    declared = work.declare()
    _, by_beta, by_alpha, by_spread = gx.compile(declared.inputs, declared.outputs, backend="interpreter")(*work.arrays)
    data, group, y, beta, alpha, spread = work.arrays
    rest = y - 1 / (1 + np.exp(-(data @ beta + alpha[group])))
    np.testing.assert_allclose(by_beta, data.T @ rest - beta, rtol=1e-10)
    np.testing.assert_allclose(by_alpha, np.bincount(group, rest, 50) - alpha * np.exp(-2 * spread), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(by_spread, (alpha**2).sum() * np.exp(-2 * spread) - spread - 50, rtol=1e-10)
