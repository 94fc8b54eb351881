"""Plans of text: they read back as they are printed, and their kernels are those of the plan itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import test_fusion
from test_golden import PROGRAMS

import graphc as gx
from graphc.errors import ParseError
from graphc.inspection.explain import explain
from graphc.passes import Plan, fuse, plan_kernels
from graphc.passes.fusion import forms
from graphc.passes.fusion.verify import verify_plan

X = gx.placeholder("x", ("n", 64), "float32")
Z = gx.placeholder("z", ("t", 3), "float64")


def attention() -> gx.Compiled:
    q = gx.placeholder("q", (2, "n", 4), "float32")
    return gx.compile([q], gx.nn.attention(q, q * 2, q + 1))


def normalised() -> gx.Compiled:
    """Row partials: the gradients of the weight and of the bias are sums down the columns."""
    w, b = (gx.variable(np.ones(64, "float32"), name="the weight's") for _ in range(2))
    loss = gx.sum(gx.nn.layer_norm(X, w, b) ** 2)
    return gx.compile([X], loss, updates=gx.optim.sgd(loss, [w, b], lr=0.1))


def loops() -> gx.Compiled:
    """Loops, a choice and a routine; one in another."""

    def step(c: gx.Tensor, row: gx.Tensor) -> tuple[gx.Tensor, gx.Tensor]:
        inner = gx.while_loop(lambda v: v[1] < 3, lambda v: (gx.sin(v[0]) @ gx.eye(3, dtype="float64"), v[1] + 1), (c, 0))[0]
        return gx.cond(gx.sum(inner) > 0, lambda: inner + row, lambda: row), gx.cumulative_sum(c)

    solved = gx.scan(lambda c, row: (gx.linalg.solve(2 * gx.eye(3, dtype="float64"), gx.exp(-c) + row), c), Z[0], Z)
    return gx.compile([Z], [*gx.scan(step, Z[0], Z), *solved])


@pytest.mark.parametrize("build", [attention, normalised, loops, *PROGRAMS.values()])
def test_the_kernels_of_a_plan_of_text(build: Callable[[], gx.Compiled]) -> None:
    plan = build().plan
    again = verify_plan(gx.ir.parse(str(plan)))
    assert str(again) == str(plan)
    assert str(fuse(again)) == str(fuse(plan))


@pytest.mark.parametrize("case", test_fusion.ALL, ids=lambda c: f"{c.name}-{c.title.replace(' ', '_')}")
def test_plans_with_steps_left_to_do(case: Any) -> None:
    for text in (case.before, case.after):
        assert str(gx.ir.parse(text)) == text


def test_what_a_plan_of_text_knows() -> None:
    plan = normalised().plan
    again = gx.ir.parse(str(plan))
    place = {plan.graph.nodes[i]: n for i, n in enumerate(again.graph.nodes)}
    assert {place[n] for n in plan.depth} == set(again.depth)
    assert {place[n]: w for n, w in plan.weight.items() if n in plan.home} == {n: again.weight[n] for n in again.home}
    assert {place[n] for n in plan.crossing()} == again.crossing()
    assert any(isinstance(c.form, forms.RowPartials) for c in again.clusters.values())
    before = [
        [[i for i, other in enumerate(one.order()) if c.before & other.mask] for c in one.order()] for one in (plan, again)
    ]  # fmt: skip
    assert before[0] == before[1] != []


def test_explain_reads_it() -> None:
    ones = gx.ones((64, 64), "float32")
    f = gx.compile([X], gx.tanh(gx.exp(X @ ones) @ ones) @ ones, backend="program")
    fused = fuse(f.plan)
    mine, other = (explain(plan, fused, fused) for plan in (f.plan, gx.ir.parse(str(f.plan))))
    assert [replace(b, where=None) for b in mine] == [replace(b, where=None) for b in other]
    assert [len(b.rules) for b in other] == [2, 2]


@pytest.mark.usefixtures("llvm_itself")
def test_the_target_stands_in_the_text() -> None:
    graph = gx.compile([X], gx.exp(X @ gx.ones((64, 64), "float32")), target="x86-64-v2").graph
    plan = plan_kernels(graph, gx.ir.target.TARGETS["x86-64-v2"])
    assert '\n  target "x86-64-v2"\n' in str(plan)
    again = gx.ir.parse(str(plan))
    assert again.target == plan.target and str(fuse(again)) == str(fuse(plan))


def test_bodies_stand_behind_their_nodes() -> None:
    f = loops()
    found = [inner for plan in f.plan.within.values() for inner in plan]
    assert str(f.plan).count("\n    plan ") == len(found) == 2
    assert [sorted(len(p) for p in plan.within.values()) for plan in found] == [[2, 2], []]  # a test and a body; two branches
    kinds = {type(c.form) for plan in found for c in plan.clusters.values()}
    assert forms.Whole in kinds and forms.Rows in kinds


PLAN = """\
plan f(%x: f32[n, 4]) {
  cluster 0: rows [n | 4] {
    %0 = exp(%x) : f32[n, 4]
  }
  cluster 1: columns [n, 4] {
    %1 = sum(%0, axes=[0]) : f32[4]
    apart %0 from cluster 0, 16*n bytes
      "a sum down the columns needs every row of what it adds"
  }
  return %1
}"""


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("columns [", "stripes [", "line 5, column 14: there is no form 'stripes': they are rows, columns, product"),
        ("cluster 1:", "cluster 2:", "line 5, column 11: cluster 2 stands where cluster 1 must"),
        ("exp(%x)", "exp(%9)", "line 3, column 14: %9 is not defined"),
        ("exp(%x)", "exp(%0)", "line 3, column 14: %0 needs itself"),
        ("exp(%x) : f32[n, 4]", "add(%x, %2) : f32[n, 4]\n    %2 = exp(%0) : f32[n, 4]", "line 4, column 14: %0 needs itself"),
        ("return %1", "return %0", "line 6, column 5: %1 is not needed"),
        ("every row", "no row", "line 8, column 7: no rule says 'a sum down the columns needs no row of what it adds'"),
        ("apart %0", "apart %x", "line 7, column 11: %x is not read here"),
        ("columns [n, 4]", "stages [n, 4]", "line 5, column 14: stages needs parts"),
        ("  return", "  share {}\n  return", "line 10, column 3: a plan has no 'share'"),
        ("return %1\n}", "return %1\n} plan", "line 11, column 3: unexpected 'plan' after the plan"),
        ("f32[4]", "f32[5]", "line 6, column 30: sum gives f32[4], not f32[5]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, says: str) -> None:
    assert isinstance(gx.ir.parse(PLAN), Plan)
    with pytest.raises(ParseError) as caught:
        gx.ir.parse(PLAN.replace(old, new, 1))
    assert str(caught.value).startswith(says)
