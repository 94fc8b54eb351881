"""Every step of fusion on graphs written as text: `tests/cases/fusion/<step>.gir`.

    # title: what the step does
    graph before(...) { ... }
    =>
    plan before(...) { ... }      before the step
    =>
    plan before(...) { ... }      after it

A case is right when the steps before make the first plan, the step makes the second, and the kernels of the whole fusion compute
what the graph does, with the step and, where there are kernels without it, without. `pytest --update` writes the plans anew.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from test_cases import Case, check_values

from graphc.ir import Graph, Program, parse
from graphc.ir.target import host
from graphc.ir.verify import verify
from graphc.ir.verify_program import verify_program
from graphc.passes import FUSION, Plan, fuse

CASES = Path(__file__).parents[1] / "cases" / "fusion"
STEPS = [step.__name__ for step in FUSION]
NEEDED = ("measure", "place")  # steps without which nothing has a kernel


@dataclass(frozen=True)
class Step:
    name: str
    title: str
    graph: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"# {self.title}\n{self.graph}\n=>\n{self.before}\n=>\n{self.after}\n"


def read(path: Path) -> list[Step]:
    """The cases of a file."""
    found = []
    for part in re.split(r"^# ", path.read_text(), flags=re.MULTILINE)[1:]:
        title, rest = part.split("\n", 1)
        graph, before, after = (text.strip() for text in re.split(r"^=>$", rest, flags=re.MULTILINE))
        found.append(Step(path.stem, title, graph, before, after))
    return found


ALL = [case for path in sorted(CASES.glob("*.gir")) for case in read(path)]


def planned(graph: Graph, steps: list[str]) -> Plan:
    plan = Plan(graph, host())
    for step in FUSION:
        if step.__name__ in steps:
            step(plan)
    return plan


def kernels(graph: Graph, steps: list[str]) -> Program:
    return verify_program(fuse(planned(graph, steps)))


@pytest.mark.parametrize("case", ALL, ids=lambda c: f"{c.name}-{c.title.replace(' ', '_')}")
def test_step(case: Step, update: bool) -> None:
    graph = verify(parse(case.graph))
    at = STEPS.index(case.name)
    before, after = str(planned(graph, STEPS[:at])), str(planned(graph, STEPS[: at + 1]))
    assert before != after, "the step does nothing here"
    checked = Case("fuse", case.title, "", case.graph, "")
    assert check_values(checked, graph, kernels(graph, STEPS)) > 0
    if case.name not in NEEDED:
        assert check_values(checked, graph, kernels(graph, [s for s in STEPS if s != case.name])) > 0
    made = Step(case.name, case.title, str(graph), before, after)
    if update and made != case:
        path = CASES / f"{case.name}.gir"
        path.write_text("\n".join(str(made if c.title == case.title else c) for c in read(path)))
    else:
        assert made == case


def test_every_step_has_a_case() -> None:
    assert {case.name for case in ALL} == set(STEPS)
