"""What all tests share: the `--update` flag, and passes that check their own result."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import graphc as gx
from graphc.backends import load_backend
from graphc.backends.llvm import cache
from graphc.ir.program import Kernel
from graphc.ir.types import ArrayValue
from graphc.ir.verify import verify
from graphc.ir.verify_program import verify_program
from graphc.passes.fusion.verify import verify_plan

Pass = Callable[[gx.ir.Graph], gx.ir.Graph]


def pytest_configure(config: pytest.Config) -> None:
    """All processes of a test run share a cache of compiled kernels of their own.

    Where several run at once, each compiles alone: a second process for each would only cost what starting it costs.
    """
    if not hasattr(config, "workerinput"):
        if config.getoption("numprocesses", None):
            os.environ.setdefault("GRAPHC_COMPILERS", "1")
        folder = tempfile.mkdtemp(prefix="graphc-tests-")
        os.environ["GRAPHC_CACHE_DIR"] = folder
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_finish() -> None:
    """What has been collected stays to the end: Python's search for cycles need not go through it again and again."""
    gc.collect()
    gc.freeze()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update", action="store_true", help="rewrite golden texts; what computes a wrong value is still an error")


SOUND: list[gx.ir.Graph] = []  # the last graph that was verified: what one pass gives, the next one gets


def sound(graph: gx.ir.Graph) -> gx.ir.Graph:
    if not (SOUND and SOUND[0] is graph):
        SOUND[:] = [verify(graph)]
    return graph


def verified(change: Pass) -> Pass:
    """The pass, with the graph verified before and after it."""

    @functools.wraps(change)
    def checked(graph: gx.ir.Graph, **more: Any) -> gx.ir.Graph:
        return sound(change(sound(graph), **more))

    return checked


LARGE = 1 << 16  # elements of a constant: how more of them are written is tests/ir/test_text.py's
READ: set[str] = set()  # texts of plans, programs and kernels that are known to read back


def read_back(program: gx.ir.Program) -> None:
    """The text of a program reads back as the same program. Kernels that several passes leave as they are are read once."""
    for kernel in program.kernels:
        if isinstance(kernel, Kernel):
            read_once(kernel)
    program = without_large(program)
    plain = all(isinstance(c.kernel, Kernel) for c in program.calls)  # what holds graphs or programs is equal to itself alone
    read_once(program.with_kernels(lambda kernel: Kernel(kernel.name, kernel.params, (), ())), equal=plain)


def without_large(program: gx.ir.Program) -> gx.ir.Program:
    """The program without the elements of its large constants: the weights of a network take seconds to write."""
    large = {b.name: replace(b, value=None) for b in program.buffers.values() if b.value is not None and b.value.size > LARGE}
    inside = program.with_programs(without_large)
    return replace(inside, buffers={**inside.buffers, **large}) if large else inside


def is_large(graph: gx.ir.Graph) -> bool:
    values = (v for node in graph.nodes for v in node.attrs.values())
    return any(isinstance(v, ArrayValue) and v.array.size > LARGE for v in values)


def read_once(noun: Any, equal: bool = True) -> None:
    """The text of a program or a kernel reads back as the same one."""
    text = str(noun)
    if text in READ:
        return
    READ.add(text)
    again = gx.ir.parse(text)
    assert str(again) == text
    assert not equal or again == noun, text


def readable(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The pass; a plan or program that it gives is verified, and its text reads back as the same program."""

    @functools.wraps(change)
    def checked(source: Any, **more: Any) -> Any:
        made = change(source, **more)
        if isinstance(made, gx.passes.Plan):
            verify_plan(made)
            if not is_large(made.graph):
                text = str(made)
                if text not in READ:
                    READ.add(text)
                    assert str(verify_plan(gx.ir.parse(text))) == text
        if isinstance(made, gx.ir.Program) and made is not source:
            verify_program(made)
            read_back(made)
        return made

    return checked


@pytest.fixture(autouse=True)
def verified_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a test compiles is verified after every default pass."""
    monkeypatch.setattr(gx.passes, "DEFAULT", tuple(map(verified, gx.passes.DEFAULT)))
    monkeypatch.setattr(gx.passes, "LOWERING", tuple(map(readable, gx.passes.LOWERING)))


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    return bool(request.config.getoption("--update"))


@pytest.fixture
def this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """What GRAPHC_TARGET says does not hold for tests of this fixture.

    Numba compiles for this machine alone, and other targets than generic multiply and add with one rounding.
    """
    monkeypatch.delenv("GRAPHC_TARGET", raising=False)


@pytest.fixture
def llvm_itself(own_backends_only: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tests of this fixture "llvm" is LLVM, whatever GRAPHC_BACKEND says.

    They compile for other processors, which Numba cannot, compare the two, or look for instructions that LLVM's own order of
    passes comes to and Numba's does not.
    """
    monkeypatch.delenv("GRAPHC_BACKEND", raising=False)
    monkeypatch.setattr("graphc.backends._REGISTERED", {})


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of its own, and graphc's passes as they are: those that check themselves have no version."""
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "kept"))
    monkeypatch.delenv("GRAPHC_CACHE", raising=False)
    monkeypatch.delenv("GRAPHC_BACKEND", raising=False)
    monkeypatch.setattr(cache, "_warned", set())
    for name in ("DEFAULT", "LOWERING"):
        monkeypatch.setattr(gx.passes, name, tuple(getattr(p, "__wrapped__", p) for p in getattr(gx.passes, name)))
    return tmp_path / "kept"


@pytest.fixture(autouse=True)
def own_backends_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees a backend that another, or a doctest, has registered.

    GRAPHC_BACKEND=numba in the environment has Numba compile whatever a test compiles natively.
    """
    chosen = os.environ.get("GRAPHC_BACKEND", "llvm")
    monkeypatch.setattr("graphc.backends._REGISTERED", {})
    if chosen != "llvm":
        monkeypatch.setattr("graphc.backends._REGISTERED", {"llvm": replace(load_backend(chosen), name="llvm")})
