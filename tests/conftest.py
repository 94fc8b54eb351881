"""What all tests share: the `--update` flag, and passes that check their own result."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable

import pytest

import graphc as gx
from graphc.ir.verify import verify

Pass = Callable[[gx.ir.Graph], gx.ir.Graph]


def pytest_configure(config: pytest.Config) -> None:
    """All processes of a test run share a cache of compiled kernels of their own."""
    if not hasattr(config, "workerinput"):
        folder = tempfile.mkdtemp(prefix="graphc-tests-")
        os.environ["GRAPHC_CACHE_DIR"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden texts; what computes a wrong value is still an error")


def verified(change: Pass) -> Pass:
    """The pass, with the graph verified before and after it."""

    @functools.wraps(change)
    def checked(graph: gx.ir.Graph) -> gx.ir.Graph:
        verify(graph)
        return verify(change(graph))

    return checked


@pytest.fixture(autouse=True)
def verified_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test compiles is verified after every default pass."""
    monkeypatch.setattr(gx.passes, "DEFAULT", tuple(map(verified, gx.passes.DEFAULT)))


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture(autouse=True)
def own_backends_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a backend that another, or a doctest, has registered."""
    monkeypatch.setattr("graphc.backends._REGISTERED", {})
