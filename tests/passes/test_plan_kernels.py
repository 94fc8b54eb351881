"""The plan of a program's kernels: its text, its refusals, and who reads it."""

from __future__ import annotations

import pytest

import graphc as gx
from graphc.errors import GraphError
from graphc.ir.target import HOST
from graphc.passes import Plan, fuse, plan_kernels

X = gx.placeholder("x", ("n", 64), "float32")
ONES = gx.ones((64, 64), "float32")


def test_the_plan_is_a_stage_between_the_graph_and_the_program() -> None:
    f = gx.compile([X], gx.tanh(gx.exp(X @ ONES) @ ONES), name="two", target=HOST)  # which the text does not name
    names = [name for name, _ in f.stages]
    assert names[names.index("plan_kernels") + 1] == "fuse"
    assert f.plan is dict(f.stages)["plan_kernels"] and f.plan.graph is f.graph
    assert str(f.plan) == """\
plan two(%x: f32[n, 64]) {
  inlined {
    %0 = full(dtype=float32, shape=[64, 64], value=1.0) : f32[64, 64]
  }
  cluster 0: product [n, 64] {
    %1 = matmul(%x, %0) : f32[n, 64]
    %2 = exp(%1) : f32[n, 64]
  }
  cluster 1: product [n, 64] {
    %3 = matmul(%2, %0) : f32[n, 64]
    %4 = tanh(%3) : f32[n, 64]
    apart %2 from cluster 0, 256*n bytes
      "a product needs whole rows and columns of its operands"
      "a product without a batch has more parallel work as a kernel of its own"
  }
  return %4
}"""


def test_the_text_of_stages_totals_and_updates() -> None:
    q, k = (gx.placeholder(name, (2, 3, 4), "float32") for name in "qk")
    w = gx.variable(1.0, name="w", dtype="float32")
    y = gx.exp(q @ gx.permute_dims(k, (0, 2, 1))) @ k
    text = str(gx.compile([q, k, X], [y, gx.sum(X * w)], updates={w: w * 2}).plan)
    assert "  cluster 0: stages [2, 3] {\n    product [2, 3, 3] {\n" in text
    assert ": rows [n, 64], totals %" in text
    assert "  variable %w: f32[]\n" in text and "\n  update %w = %" in text


def test_a_refusal_is_a_value() -> None:
    plan = gx.compile([X], gx.exp(X @ ONES) @ ONES).plan
    ((value, reader), found), = plan.refusals.items()
    assert (value.op.name, reader.op.name) == ("exp", "matmul")
    assert [r.rule.name for r in found] == ["operands", "no batch"]
    assert all(r.value is value and r.reader is reader and str(r.bytes) == "256*n" for r in found)
    assert str(found[1]) == "a product without a batch has more parallel work as a kernel of its own"


def test_explain_reads_the_plan_and_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    f = gx.compile([X], gx.exp(X @ ONES) @ ONES)

    def refuse(self: Plan, graph: object) -> None:
        raise AssertionError("planned again")

    monkeypatch.setattr(Plan, "__init__", refuse)
    assert len(f.explain()) == 1


def test_fuse_takes_a_graph_or_its_plan() -> None:
    graph = gx.compile([X], gx.exp(X @ ONES) @ ONES).graph
    assert str(fuse(graph)) == str(fuse(plan_kernels(graph)))


def test_the_interpreter_has_no_plan() -> None:
    f = gx.compile([X], gx.exp(X), backend="interpreter")
    with pytest.raises(GraphError, match="the backend 'interpreter' runs the graph itself: it has no plan"):
        _ = f.plan


def test_explain_tells_what_parts_of_a_loop_hand_on() -> None:
    w = gx.placeholder("w", (64, 64), "float32")
    rows = gx.placeholder("rows", (5, 64), "float32")

    def step(c: gx.Tensor, row: gx.Tensor) -> tuple[gx.Tensor, gx.Tensor]:
        return gx.nn.softmax(gx.tanh(c @ w) @ w + row), gx.sum(c)

    f = gx.compile([w, rows], gx.scan(step, rows[0], rows)[0], backend="program")
    found = [b for b in f.explain() if b.writer == b.reader]
    (kernel,) = {b.writer for b in found}
    assert {c.kernel.name for c in (f.program.calls[b.calls[0]] for b in found)} == {kernel}
    assert all(b.rules and b.bytes for b in found) and "%" in str(f.explain())
