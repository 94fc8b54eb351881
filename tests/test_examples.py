"""The examples run and reach what they say."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from graphc.ir.operation import VOCABULARY

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
        "conjugate_gradients", "custom_backend", "custom_layer", "custom_op", "custom_pass", "custom_rule", "k_means",
        "linear_regression", "neural_ode", "rnn", "two_spirals",
    }  # fmt: skip


@pytest.fixture
def vocabulary() -> Iterator[None]:
    """What an example declares is gone when its test ends."""
    before = dict(VOCABULARY)
    yield
    VOCABULARY.clear()
    VOCABULARY.update(before)


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_linear_regression_reaches_the_closed_form(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("linear_regression").main(backend) < 1e-10
    assert "largest difference" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_two_spirals_are_told_apart(backend: str) -> None:
    assert load("two_spirals").main(backend) > 0.97


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES.glob("custom_*.py")])
def test_examples_of_one_s_own_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_custom_operations_agree_with_numpy(backend: str, vocabulary: None) -> None:
    value, gradient, rank = load("custom_op").main(backend)

    def plain(x: Any) -> float:
        turned, smooth = np.roll(x, -1), x.copy()
        for i in range(1, 3):
            smooth[i] += 0.5 * smooth[i - 1]
        return float(np.linalg.norm(turned / (1 + np.exp(-turned)) + smooth))

    x = np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(value, plain(x), rtol=1e-14)
    slopes = [(plain(x + step) - plain(x - step)) / 2e-6 for step in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-8)
    assert rank.tolist() == [1, 0, 2]


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_a_custom_pass_divides_once(backend: str) -> None:
    assert [name for name in load("custom_pass").main(backend) if name != "full"] == [
        "sin", "exp", "add", "divide", "multiply", "cos", "multiply", "add",
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_a_wrong_custom_rule_is_found(backend: str) -> None:
    assert load("custom_rule").main(backend).startswith("itself: divide is nan, and 1.0 after it, where x is ")


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_a_custom_layer_learns(backend: str) -> None:
    assert load("custom_layer").main(backend) < 0.01


def test_a_custom_backend_runs_the_graph(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.backends._REGISTERED", {})
    assert load("custom_backend").main() == ["exp", "full", "multiply", "sum", "full", "add"]
    assert capsys.readouterr().out.startswith("7.43656365691809 1 exp")


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
