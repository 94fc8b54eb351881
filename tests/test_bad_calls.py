"""A sample of the wrong calls of tests/bad_calls.py, and what every one of them must be told."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import bad_calls
import numpy as np
import pytest

import graphc as gx


def test_a_sample_of_wrong_calls() -> None:
    """In a process of its own, which a crash would end; each function is called, and some results are run."""
    script = Path(__file__).with_name("bad_calls.py")
    calls = 4 * len(bad_calls.functions())
    done = subprocess.run(
        [sys.executable, str(script), "--calls", str(calls), "--seed", "7", "--every", "60"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].endswith("wrong 0")


def wrong(*_: object) -> object:
    raise KeyError("inside")


def nowhere(*_: object) -> object:
    raise gx.GraphError("no line of anybody's")


@pytest.mark.parametrize("function", [wrong, nowhere])
def test_what_is_wrong_is_found(function: Callable[..., object]) -> None:
    assert bad_calls.attempt(bad_calls.Call("f", function))[0] == "wrong"


def test_an_error_that_points_elsewhere_is_found() -> None:
    """Here is elsewhere: the calls stand in tests/bad_calls.py."""
    assert bad_calls.attempt(bad_calls.Call("f", lambda: gx.exp("text")))[0] == "wrong"
    assert bad_calls.attempt(bad_calls.Call("f", gx.exp, ["text"]))[0] == "refused"


def test_backends_that_differ_are_found() -> None:
    x = gx.placeholder("x", (3,), "float64")
    assert bad_calls.run(gx.exp(x), np.random.default_rng(0)) is None
    assert not bad_calls.agree(np.ones(3), np.array([1, 1, np.nan]), x)
    assert not bad_calls.agree(np.array([1, 2]), np.array([1, 3]), gx.constant([1, 2]))
