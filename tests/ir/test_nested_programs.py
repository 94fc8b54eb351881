"""Programs within programs: steps of loops, graphs that Python calls, graphs at a size that is data: one tuple of passes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm import executor
from graphc.ir import Kernel, Program, parse
from graphc.ir.program import HostCall, Steps, statements_of
from graphc.ir.scalar import Let
from graphc.passes.lowering import steps

X = gx.placeholder("x", ("t", 3), "float64")
K = gx.placeholder("k", (), "int64")


def everything() -> list[gx.Tensor]:
    """Steps that stay a program, with a carry that needs a second memory; a body with a routine; a size that is data."""

    def step(c: gx.Tensor, row: gx.Tensor) -> tuple[gx.Tensor, gx.Tensor]:
        return gx.exp(gx.tanh(c @ (gx.eye(3, dtype="float64") + 1))) + row, gx.sin(c)

    def solved(c: gx.Tensor, row: gx.Tensor) -> tuple[gx.Tensor, gx.Tensor]:
        return gx.linalg.solve(2 * gx.eye(3, dtype="float64"), gx.exp(-c) + row), c

    first, second = gx.scan(step, X[0], X), gx.scan(solved, X[0], X)
    far = gx.while_loop(lambda c: c[1] < K, lambda c: (gx.sin(c[0]) * 1.5, c[1] + 1), (X[0], 0))[0]
    return [*first, *second, gx.grad(gx.sum(far), X)]


def within(program: Program) -> Iterator[Program]:
    programs = iter(program.programs)
    next(programs)
    return programs


def has(program: Program, op: str) -> bool:
    bodies = [call.kernel.body for call in program.calls if isinstance(call.kernel, Kernel)]
    return any(isinstance(s, Let) and s.op == op for body in bodies for s in statements_of(body))


@pytest.fixture(autouse=True)
def steps_stay_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LONG", 0)


def test_every_stage_shows_the_programs_within() -> None:
    f = gx.compile([X, K], everything(), backend="program")
    stages = {name: stage for name, stage in f.stages if isinstance(stage, Program)}
    assert list(stages) == ["fuse", *(p.__name__ for p in gx.passes.LOWERING[-len(stages) + 1 :])]
    kinds = {type(call.kernel) for p in f.program.programs for call in p.calls}
    assert kinds == {Kernel, Steps, HostCall} and len({len(list(s.programs)) for s in stages.values()}) == 1
    assert any(call.kernel.is_sized for call in f.program.calls if isinstance(call.kernel, HostCall))
    for name, stage in stages.items():
        text = str(stage)
        assert text.count("program ") == len(list(stage.programs)) and str(parse(text)) == text, name
    assert any(has(p, "exp") for p in within(stages["fuse"])) and any(has(p, "sin") for p in within(stages["fuse"]))
    assert not any(has(p, op) for p in within(stages["expand_math"]) for op in ("exp", "sin"))
    assert not any(p.slots for p in within(stages["fuse"])), "nothing of a step is planned before plan_buffers"
    assert any(p.slots for p in within(stages["plan_buffers"]))
    (loop,) = [call.kernel for call in f.program.calls if isinstance(call.kernel, Steps)]
    assert [p.name for p in loop.params if p.mode == "out"][-1] == "work" and loop.program.updates
    rows = np.random.default_rng(0).normal(size=(4, 3))
    for got, want in zip(f(rows, 3), gx.compile([X, K], everything(), backend="interpreter")(rows, 3), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_kernels_of_a_program_and_of_those_within_are_compiled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled: list[list[Kernel]] = []
    compile_kernels = executor.compile_kernels

    def counted(kernels: Iterator[Kernel], *more: object) -> object:
        compiled.append(list(kernels))
        return compile_kernels(compiled[-1], *more)  # type: ignore[arg-type]

    monkeypatch.setattr(executor, "compile_kernels", counted)
    f = gx.compile([X, K], everything())
    names = {call.kernel.name for p in f.program.programs for call in p.calls}
    assert len(compiled) == 1 == f.compilations
    assert {k.name for k in f.kernels} == names and len(f.kernels) == len(names)
    assert {k.name for k in compiled[0]} == {k.name for k in f.kernels if isinstance(k.kernel, Kernel)}
    rows = np.random.default_rng(0).normal(size=(4, 3))
    for turns in (0, 3, 5):
        for got, want in zip(f(rows, turns), gx.compile([X, K], everything(), backend="interpreter")(rows, turns), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
    assert len(compiled) == 1, "a size that is data compiles nothing"
    assert f.memory.at(t=4).peak > 0, "and no kernel at such a size counts"


def test_explain_tells_why_kernels_of_a_step_are_apart() -> None:
    f = gx.compile([X], list(gx.scan(lambda c, row: (gx.sum(gx.exp(c) @ gx.ones((3, 3), "float64")) + row, c), X[0], X)))
    (loop,) = [call.kernel for call in f.program.calls if isinstance(call.kernel, Steps)]
    inside = {call.kernel.name for call in loop.program.calls}
    found = [b for b in f.explain() if b.reader in inside]
    assert found and all(b.writer in inside and b.rules for b in found)
