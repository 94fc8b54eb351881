"""Compiling takes work in proportion to the graph: counted in lines of Python, which do not depend on the machine's speed.

What runs in C (a membership test in a list, arithmetic of long integers, LLVM) is not counted; `benchmarks/growth.py` times it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

import graphc as gx
from benchmarks.growth import FAMILIES
from graphc.backends.llvm.compile import Text
from graphc.backends.llvm.source import print_source
from graphc.ir.graph import subgraphs
from graphc.ir.program import Kernel
from graphc.ir.target import host
from graphc.ir.verify import verify
from graphc.ir.verify_program import verify_program
from graphc.passes import DEFAULT, LOWERING  # as they are: what tests do after every pass is counted once, by itself
from graphc.passes.fusion import cluster

TIMES = 4  # the larger graph has so many times the nodes
STEEP = 1.7  # times the lines a node that the smaller one takes; where the cost is quadratic, it is 4


def lines(run: Callable[[], Any]) -> tuple[int, Any]:
    """How many lines of Python a call executes, a turn of a loop on one line as one; and its result."""
    count = 0

    def local(frame: FrameType, event: str, arg: Any) -> Any:
        nonlocal count
        count += event == "line"
        return local

    before = sys.gettrace()
    sys.settrace(local)
    try:
        result = run()
    finally:
        sys.settrace(before)
    return count, result


def work(family: str, size: int, gradient: bool) -> tuple[int, dict[str, int]]:
    """The nodes of a graph, and the lines that declaring it and every step of compiling it take."""
    build = next(f for f in FAMILIES if f.name == family).build
    found: dict[str, int] = {}

    def step(name: str, run: Callable[[], Any]) -> Any:
        count, result = lines(run)
        found[name] = found.get(name, 0) + count
        return result

    inputs, outputs, updates = step("declare", lambda: build(size, gradient))
    graph = gx.compile(inputs, outputs, updates, backend="interpreter", passes=()).graph
    declared, todo = 0, [graph]
    while todo:
        nodes = todo.pop().nodes
        declared += len(nodes)
        todo += [body for node in nodes for body in subgraphs(node)]
    stage: Any = graph
    step("verify", lambda: verify(graph))
    for change in (*DEFAULT, *LOWERING):
        given = stage
        stage = step(change.__name__, lambda change=change, given=given: change(given))
    step("verify program", lambda: verify_program(stage))
    text = step("print program", lambda: str(stage))
    step("read program", lambda: gx.ir.parse(text))
    for kernel in dict.fromkeys(call.kernel for call in stage.calls if isinstance(call.kernel, Kernel)):
        source = step("print source", lambda kernel=kernel: print_source(kernel, host()))
        step("front end", lambda source=source: Text(source.text, source.names, host()).llvm(""))
    return declared, found


@pytest.mark.parametrize(
    ("family", "size", "gradient"),
    [
        ("scan of scalars", 8, True), ("chain", 300, True), ("mixed chain", 300, False), ("mixed chain", 150, True),
        ("reductions in a chain", 300, False), ("totals in a chain", 120, True), ("wide", 120, True), ("outputs", 120, False),
        ("arguments", 20, True), ("adam", 25, True),
    ],
)  # fmt: skip
def test_every_step_is_linear(family: str, size: int, gradient: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MAX_NODES", 16)  # many kernels of few nodes, so that graphs may be small
    nodes, small = work(family, size, gradient)
    more, large = work(family, TIMES * size, gradient)
    ratio = more / nodes
    assert 3.5 < ratio < 4.5
    floor = 20 * nodes  # what is less than that in the larger graph may grow as it likes: it is not yet seen
    steep = {
        name: round(count / max(1, small[name]), 2)
        for name, count in large.items()
        if count > floor and count > STEEP * ratio * small[name]
    }
    assert not steep
