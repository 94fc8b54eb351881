"""Each rule of `verify_plan`, by a plan that breaks it. Whatever a test compiles is checked by conftest.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

import graphc as gx
from graphc.errors import GraphError
from graphc.ir import Graph, Node
from graphc.passes import Plan, plan_kernels
from graphc.passes.fusion import forms
from graphc.passes.fusion.refusal import BETWEEN, Refusal
from graphc.passes.fusion.verify import verify_plan


def plan() -> Plan:
    """Rows, a product with an epilogue, rows behind it; what is added there is inlined. And a loop."""
    x, w = gx.placeholder("x", ("n", 4), "float32"), gx.placeholder("w", (4, 4), "float32")
    rows = gx.exp(x) / gx.sum(gx.exp(x), axis=1, keepdims=True)
    (last,), _ = gx.scan(lambda c, row: ((gx.sin(c[0]) * row,), ()), (w[0],), w)
    graph = Graph([x, w], [gx.sum(gx.tanh(rows @ w) + gx.broadcast_to(w[0], x.shape), axis=1), last], name="f")
    for change in gx.passes.DEFAULT:
        graph = change(graph)
    return verify_plan(plan_kernels(graph))


def node(plan: Plan, name: str) -> Node:
    return next(n for n in plan.graph.nodes if n.op.name == name)


def forget(plan: Plan) -> None:
    own = plan.home[node(plan, "tanh")]
    own.nodes = [n for n in own.nodes if n is not node(plan, "tanh")]


def twice(plan: Plan) -> None:
    plan.home[node(plan, "exp")].nodes.append(node(plan, "tanh"))


def inline_too(plan: Plan) -> None:
    plan.depth[node(plan, "tanh")] = 1


def inline_an_output(plan: Plan) -> None:
    output = plan.graph.outputs[0]
    own = plan.home[output]
    own.nodes = [n for n in own.nodes if n is not output]
    plan.depth[output] = 1


def turn(plan: Plan) -> None:
    plan.home[node(plan, "exp")].nodes.reverse()


def close_a_circle(plan: Plan) -> None:
    first, last = plan.home[node(plan, "exp")], plan.home[plan.graph.outputs[0]]
    for n in last.nodes:
        plan.home[n] = first
    first.nodes += last.nodes
    del plan.clusters[last.number]


def other_rows(plan: Plan) -> None:
    own = plan.home[node(plan, "exp")]
    own.form = forms.Rows((gx.dim("m"), 4), 1)


def no_product(plan: Plan) -> None:
    own = plan.home[node(plan, "exp")]
    own.form = forms.Product(own.shape, own.prefix)


def other_loops(plan: Plan) -> None:
    own = plan.home[node(plan, "exp")]
    part = replace(own)
    own.form = forms.Stages((gx.dim("m"), 4), 1, (part,))


def other_parts(plan: Plan) -> None:
    own = plan.home[node(plan, "exp")]
    own.form = forms.Stages(own.shape, own.prefix, (replace(own, nodes=own.nodes[:1]),))


def refuse_what_is_not_read(plan: Plan) -> None:
    value, reader = node(plan, "exp"), node(plan, "tanh")
    plan.refusals[value, reader] = (Refusal(BETWEEN, value, reader),)


def no_plan_of_a_body(plan: Plan) -> None:
    plan.within.clear()


def another_plan_of_a_body(plan: Plan) -> None:
    (loop,) = plan.within
    plan.within[loop] = (plan,)


def spoiled_plan_of_a_body(plan: Plan) -> None:
    ((inner,),) = plan.within.values()
    inner.clusters.clear()


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (forget, "it is in no cluster"), (twice, "it is in two clusters"), (inline_too, "it is inlined and in a cluster"),
        (inline_an_output, "it is inlined, but must be in memory"), (turn, "not in the order of their data"),
        (close_a_circle, "its cluster needs another that needs it"), (other_rows, "it does not run over the rows [m]"),
        (no_product, "its cluster is no product"), (other_loops, "has other outer loops"),
        (other_parts, "other nodes than its parts"), (refuse_what_is_not_read, "what was refused is not read here"),
        (no_plan_of_a_body, "its graphs have other plans"), (another_plan_of_a_body, "its graphs have other plans"),
        (spoiled_plan_of_a_body, "it is in no cluster"),
    ],
)  # fmt: skip
def test_rule(spoil: Callable[[Plan], None], says: str) -> None:
    spoiled = plan()
    spoil(spoiled)
    with pytest.raises(GraphError) as caught:
        verify_plan(spoiled)
    assert str(caught.value).startswith("verify: ") and says in str(caught.value)
