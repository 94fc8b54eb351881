"""The examples run and reach what they say."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import pytest

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "conjugate_gradients", "k_means", "linear_regression", "neural_ode", "rnn", "two_spirals",
    }  # fmt: skip


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_linear_regression_reaches_the_closed_form(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("linear_regression").main(backend) < 1e-10
    assert "largest difference" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_two_spirals_are_told_apart(backend: str) -> None:
    assert load("two_spirals").main(backend) > 0.97


@pytest.mark.parametrize(("backend", "rounds", "left"), [("interpreter", 3, 0.99), ("numba", 600, 1e-3)])
def test_a_neural_ode_learns_its_slope(backend: str, rounds: int, left: float) -> None:
    assert load("neural_ode").main(backend, rounds) < left


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_k_means_finds_every_centre(backend: str) -> None:
    assert load("k_means").main(backend) < 0.1


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_conjugate_gradients_solve_poisson_s_equation(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("conjugate_gradients").main(backend) < 1e-12
    assert "120 steps" in capsys.readouterr().out


@pytest.mark.parametrize(("backend", "rounds", "better"), [("interpreter", 30, 0.9), ("numba", 300, 0.5)])
def test_a_recurrent_network_predicts_sunspots(backend: str, rounds: int, better: float) -> None:
    assert load("rnn").main(backend, rounds) < better
