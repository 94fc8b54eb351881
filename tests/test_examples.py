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
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {"linear_regression", "two_spirals"}


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_linear_regression_reaches_the_closed_form(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("linear_regression").main(backend) < 1e-10
    assert "largest difference" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["interpreter", "numba"])
def test_two_spirals_are_told_apart(backend: str) -> None:
    assert load("two_spirals").main(backend) > 0.97
