"""What a terminal is told while compiling takes long, and that nothing else is told anything."""

from __future__ import annotations

import io
import sys
import time
from typing import Any

import pytest

import graphc as gx
from graphc import progress


class Terminal(io.StringIO):
    def __init__(self, is_one: bool) -> None:
        super().__init__()
        self.is_one = is_one

    def isatty(self) -> bool:
        return self.is_one


def told(monkeypatch: pytest.MonkeyPatch, terminal: bool, **options: Any) -> str:
    """What standard error gets while a pass takes a while."""

    def linger(graph: Any) -> Any:
        time.sleep(0.3)
        return graph

    file = Terminal(terminal)
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setattr(progress, "DELAY", 0.01)
    monkeypatch.setattr(progress, "EVERY", 0.01)
    x = gx.placeholder("x", (), "float32")
    gx.compile([x], x + 1, passes=(linger,), name="step", **options)
    return file.getvalue()


@pytest.mark.parametrize("bar", [False, True])
def test_a_terminal_is_told(monkeypatch: pytest.MonkeyPatch, bar: bool) -> None:
    if bar:
        pytest.importorskip("tqdm")
    else:
        monkeypatch.setattr(progress, "_bar", lambda told: None)
    assert "compiling step: linger" in told(monkeypatch, True)


def test_no_terminal_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, False) == ""


def test_it_can_be_turned_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, True, progress=False) == ""
    monkeypatch.setenv("GRAPHC_PROGRESS", "0")
    assert told(monkeypatch, True) == ""
