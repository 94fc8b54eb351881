"""Drawings: every DOT text parses, and shows what it should."""

from __future__ import annotations

import shutil
import subprocess
import xml.etree.ElementTree as xml
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydot
import pytest

import graphc as gx
from graphc.errors import Where
from graphc.ir.dot import _Blocks, mimebundle, render_svg, to_dot
from graphc.ir.graph import Graph, origin
from graphc.ir.program import Axis, Buffer, Call, Kernel, Param, Program, sign
from graphc.ir.types import TensorType

PASSES = (gx.passes.eliminate_common, gx.passes.eliminate_dead)
needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="graphviz is not installed")


def compiled(inputs: Any, outputs: Any, updates: Any = None, name: str = "graph") -> gx.Compiled:
    return gx.compile(inputs, outputs, updates, name=name, backend="interpreter", passes=PASSES)


def training_step() -> gx.Compiled:
    x, t = gx.placeholder("x", ("batch", 4), "float32"), gx.placeholder("t", ("batch", 2), "float32")
    w, b = gx.variable(np.ones((4, 2), "float32"), name="w"), gx.variable(np.zeros(2, "float32"), name="b")
    loss = gx.mean((gx.tanh(x @ w + b) - t) ** 2)
    gw, gb = gx.grad(loss, [w, b])
    return compiled([x, t], loss, {w: w - 0.1 * gw, b: b - 0.1 * gb}, "step")


def hundred() -> Graph:
    x = gx.placeholder("x", ("n", 8), "float64")
    y = x
    for i in range(33):
        y = [gx.sin, gx.exp, gx.tanh][i % 3](y) + x * (i + 0.5)
    return Graph([x], [y], name="hundred")


def parsed(thing: Any) -> pydot.Dot:
    (graph,) = pydot.graph_from_dot_data(to_dot(thing))
    return graph


def attributes(graph: Any) -> dict[str, dict[str, str]]:
    """Every drawn box's attributes without their quotes, those in frames included."""
    found = {}
    for part in (graph, *graph.get_subgraphs()):
        for node in part.get_nodes():
            if node.get_name() not in ("graph", "node", "edge", '"\\n"'):
                found[node.get_name()] = {key: str(value).strip('"') for key, value in node.get_attributes().items()}
    return found


def labelled(graph: Any, label: str) -> tuple[str, dict[str, str]]:
    """The one box with this label."""
    ((key, found),) = [(key, a) for key, a in attributes(graph).items() if a["label"] == label]
    return key, found


def edges(graph: Any) -> list[tuple[str, str, str]]:
    return [(e.get_source(), e.get_destination(), e.get_attributes()["label"].strip('" ')) for e in graph.get_edges()]


def test_every_role_has_a_shape_and_a_colour_of_its_own() -> None:
    x = gx.placeholder("x", (9,), "float32")
    v = gx.variable(np.ones(9, "float32"), name="v")
    c = gx.constant(np.arange(9, dtype="float32"))
    graph = parsed(Graph([x], [x * v + c], name="roles"))
    boxes = [labelled(graph, label)[1] for label in ("x", "v", "constant\\nf32[9]", "output", "add")]
    assert len({box["shape"] for box in boxes}) == len(boxes)
    assert len({box["fillcolor"] for box in boxes}) == len(boxes)
    assert len({box["color"] for box in boxes}) == len(boxes)


def test_edges_carry_the_type_and_the_operand() -> None:
    x, y = gx.placeholder("x", ("n", 3), "float32"), gx.placeholder("y", ("n", 3), "float32")
    graph = parsed(Graph([x, y], [gx.exp(x - y)]))
    (kx, _), (ky, _), (minus, _), (e, _), (out, _) = (labelled(graph, n) for n in ("x", "y", "subtract", "exp", "output"))
    assert sorted(edges(graph)) == sorted(
        [(kx, minus, "0: f32[n, 3]"), (ky, minus, "1: f32[n, 3]"), (minus, e, "f32[n, 3]"), (e, out, "f32[n, 3]")]
    )


def test_an_operand_used_twice_has_one_edge() -> None:
    x, y = gx.placeholder("x", (3,), "float32"), gx.placeholder("y", (3,), "bool")
    graph = parsed(Graph([x, y], [gx.where(y, x, x)]))
    into = [label for _, target, label in edges(graph) if target == labelled(graph, "where")[0]]
    assert sorted(into) == ["0: bool[3]", "1, 2: f32[3]"]


def test_numbers_stand_in_the_label_of_their_reader() -> None:
    x = gx.placeholder("x", (2,), "float32")
    graph = parsed(Graph([x], [0.1 * x, x + gx.constant([1, 2], "float32"), gx.maximum(x, -np.inf)]))
    labels = {a["label"] for a in attributes(graph).values()}
    assert labels == {"x", "multiply(0.1, ·)", "add(·, [1.0, 2.0])", "maximum(·, -inf)", "output 0", "output 1", "output 2"}


def test_a_number_that_is_a_result_has_its_own_box() -> None:
    graph = parsed(Graph([], [gx.full((2,), 0.5, "float32")]))
    key, box = labelled(graph, "0.5\\nf32[2]")
    assert box["shape"] == "note"
    assert edges(graph) == [(key, labelled(graph, "output")[0], "f32[2]")]


def test_gradient_nodes_have_their_own_colours() -> None:
    step = training_step()
    boxes = attributes(parsed(step))
    colours: dict[bool, set[str]] = {False: set(), True: set()}
    for i, node in enumerate(step.graph.nodes):
        if f"n{i}" in boxes and not node.is_leaf:
            colours[node.gradient].add(boxes[f"n{i}"]["color"])
    assert len(colours[False]) == len(colours[True]) == 1
    assert not colours[False] & colours[True]


def test_updates_are_dashed_edges_back_to_their_variables() -> None:
    graph = parsed(training_step())
    dashed = [e for e in graph.get_edges() if e.get_attributes().get("style") == "dashed"]
    variables = {key for key, a in attributes(graph).items() if a["shape"] == "cylinder"}
    assert {e.get_destination() for e in dashed} == variables
    assert len(dashed) == 2


def kernel(name: str, *nodes: int) -> Call:
    return Call(Kernel(name, (), (), (), nodes=nodes), ())


def test_nodes_of_one_kernel_share_a_frame_and_each_stands_once() -> None:
    x = gx.placeholder("x", (3,), "float32")
    a = gx.exp(x)
    step = compiled([x], [gx.sin(a), gx.cos(a)])
    place = {node.op.name: i for i, node in enumerate(step.graph.nodes)}
    calls = (kernel("k0", place["exp"], place["sin"]), kernel("k1", place["exp"], place["cos"]))
    step.stages.append(("fuse", Program("graph", {}, calls)))
    found = parsed(step).get_subgraphs()
    frames = {f.get_node("graph")[0].get_attributes()["label"].strip(chr(34)): set(attributes(f)) for f in found}
    assert frames == {"k0": {f"n{place['exp']}", f"n{place['sin']}"}, "k1": {f"n{place['cos']}"}}


def test_a_node_of_no_kernel_stands_with_its_first_reader() -> None:
    x = gx.placeholder("x", (3, 2), "float32")
    moved = x.T
    step = compiled([x], [gx.sin(moved), gx.cos(moved)])
    place = {node.op.name: i for i, node in enumerate(step.graph.nodes)}
    step.stages.append(("fuse", Program("graph", {}, (kernel("k0", place["cos"]), kernel("k1", place["sin"])))))
    first, second = parsed(step).get_subgraphs()
    assert set(attributes(first)) == {f"n{place['cos']}", f"n{place['permute_dims']}"}
    assert set(attributes(second)) == {f"n{place['sin']}"}


def frames(part: Any, depth: int = 0) -> dict[tuple[int, str], set[str]]:
    """For every frame, by depth and label, the boxes that stand in it and in no frame inside it."""
    found: dict[tuple[int, str], set[str]] = {}
    for frame in part.get_subgraphs():
        (settings,) = (n.get_attributes() for n in frame.get_nodes() if n.get_name() == "graph")
        names = {n.get_name() for n in frame.get_nodes()} - {"graph"}
        found[depth, settings["label"].strip('"')] = names
        found |= frames(frame, depth + 1)
    return found


def test_loops_and_choices_are_frames_around_the_graphs_inside_them() -> None:
    x, s = gx.placeholder("x", ("n",), "float64"), gx.placeholder("s", (), "float64")

    def step(c: Any, v: Any) -> Any:
        w = gx.while_loop(lambda u: u < 10, lambda u: u + v, c)
        return gx.cond(w > s, lambda: gx.sin(w), lambda: gx.cos(w)), w

    last, ys = gx.scan(step, s, x, reverse=True)
    graph = compiled([x, s], [last, gx.sum(ys)]).graph
    drawing = parsed(graph)
    assert set(frames(drawing)) == {
        (0, "scan, reverse=true, steps=n"), (1, "while_loop"), (2, "body"), (2, "test"), (1, "switch"), (2, "branch 0"),
        (2, "branch 1"),
    }  # fmt: skip
    boxes: dict[str, str] = {}
    edges: set[tuple[str, str]] = set()
    todo = [drawing]
    while todo:
        part = todo.pop()
        todo += part.get_subgraphs()
        edges |= {(e.get_source(), e.get_destination()) for e in part.get_edges()}
        for box in part.get_nodes():
            if "label" in box.get_attributes() and box.get_name() != "graph":
                assert box.get_name() not in boxes, "every box stands once"
                boxes[box.get_name()] = box.get_attributes()["label"].strip('"')
    assert {a for edge in edges for a in edge} <= set(boxes), "every edge leads from a box to a box"
    named = {(boxes[a], boxes[b]) for a, b in edges}
    assert {("s", "carry0"), ("x", "x0"), ("carry0", "output 0"), ("result 1", "sum\\naxes=[0]"), ("astype", "switch")} <= named
    assert {("sin", "result 0"), ("cos", "result 0"), ("result 0", "carry0")} <= named, "both branches make the carry"
    assert not {"project", "scan", "while_loop"} & set(boxes.values())
    assert to_dot(graph).count("style=dotted") == 3, "what a step carries goes to the next one, and so does the number of steps"


def test_a_program_draws_calls_over_buffers() -> None:
    kind = TensorType(gx.float32, (3,))
    roles = {"x": "input", "v": "variable", "t": "temporary", "u": "temporary", "y": "output"}
    double = Kernel("double", (Param("a", kind, "in"), Param("b", kind, "out")), (Axis("i", 3),), ())
    both = Kernel("both", tuple(Param(n, kind, "in" if n in "ab" else "out") for n in "abcd"), (), ())
    buffers = {name: Buffer(name, kind, role, 7 if name == "t" else None) for name, role in roles.items()}
    calls = (Call(double, ("x", "t")), Call(both, ("t", "v", "y", "u")))
    graph = parsed(Program("pair", buffers, calls, sign(buffers, ["x"], ["y"], [("v", "u")])))
    x, v, out = (labelled(graph, name)[0] for name in ("x", "v", "output"))
    assert edges(graph) == [
        (x, "call0", "f32[3]"), ("call0", "call1", "f32[3] in slot 7"), (v, "call1", "f32[3]"), ("call1", v, "update"),
        ("call1", out, "f32[3]"),
    ]  # fmt: skip
    assert attributes(graph)["call0"]["label"] == "double\\nparallel 3"


def test_a_program_that_writes_a_variable_in_place_draws_the_update() -> None:
    kind = TensorType(gx.float32, (3,))
    step = Kernel("step", (Param("v", kind, "inout"),), (), ())
    buffers = {"v": Buffer("v", kind, "variable")}
    graph = parsed(Program("inplace", buffers, (Call(step, ("v",)),), sign(buffers, [], ["v"])))
    v, out = (labelled(graph, name)[0] for name in ("v", "output"))
    assert edges(graph) == [(v, "call0", "f32[3]"), ("call0", v, "update"), ("call0", out, "f32[3]")]


def test_labels_are_escaped() -> None:
    x = gx.placeholder("x", (2,), "float32")
    nasty = 'a"b\\N<&>'
    source = to_dot(Graph([x], [gx.exp(x)], name=nasty))
    assert 'digraph "a\\"b\\\\N<&>" {' in source
    assert "a&quot;b\\N&lt;&amp;&gt;" in source
    (graph,) = pydot.graph_from_dot_data(source)
    assert len(attributes(graph)) == 3


def test_labels_stay_short() -> None:
    boxes = attributes(parsed(hundred()))
    assert len(boxes) >= 100
    assert max(len(line) for box in boxes.values() for line in box["label"].split("\\n")) <= 34


def test_a_path_gets_the_text(tmp_path: Path) -> None:
    x = gx.placeholder("x", (2,), "float32")
    text = gx.to_dot(gx.exp(x), tmp_path / "x.dot")
    assert (tmp_path / "x.dot").read_text(encoding="utf-8") == text
    step = training_step()
    assert step.to_dot(str(tmp_path / "s.dot")) == (tmp_path / "s.dot").read_text(encoding="utf-8") == gx.to_dot(step)


def test_what_cannot_be_drawn_is_refused() -> None:
    with pytest.raises(TypeError, match="to_dot draws a symbol, a Graph, a Program or a compiled object, not int"):
        to_dot(3)


@needs_dot
@pytest.mark.parametrize("make", [training_step, lambda: training_step().graph, hundred], ids=["compiled", "graph", "hundred"])
def test_graphviz_draws_it(make: Callable[[], Any]) -> None:
    thing = make()
    done = subprocess.run(["dot", "-Tsvg"], input=to_dot(thing).encode(), capture_output=True, check=True)
    assert done.stderr == b""
    root = xml.fromstring(done.stdout)
    boxes = [g for g in root.iter("{http://www.w3.org/2000/svg}g") if g.get("class") == "node"]
    assert len(boxes) == len(attributes(parsed(thing)))


@needs_dot
def test_notebooks_get_text_and_a_picture() -> None:
    x = gx.placeholder("x", (2,), "float32")
    for thing in (gx.exp(x), Graph([x], [gx.exp(x)]), training_step()):
        bundle = thing._repr_mimebundle_()
        assert set(bundle) == {"text/plain", "image/svg+xml"}
        assert "<svg" in bundle["image/svg+xml"]
    assert mimebundle(training_step())["text/plain"].startswith("<Compiled step(x: f32[batch, 4]")


def test_notebooks_get_text_where_nothing_else_can_be_had(monkeypatch: pytest.MonkeyPatch) -> None:
    x = gx.placeholder("x", (2,), "float32")
    assert mimebundle(3) == {"text/plain": "3"}
    assert set(mimebundle(_Mute())) == {"text/plain"}
    monkeypatch.setenv("PATH", "")
    assert render_svg(gx.exp(x)) is None
    assert set(mimebundle(gx.exp(x))) == {"text/plain"}


class _Mute:
    def __str__(self) -> str:
        raise RuntimeError("no words")


def chain(length: int, lines: int = 1) -> Graph:
    """Exponentials, whose nodes come from so many lines."""
    x = gx.placeholder("x", (2,), "float32")
    y = x
    for i in range(length):
        with origin(Where("model.py", i % lines + 1), gradient=False):
            y = gx.exp(y)
    return Graph([x], [y], name="chain")


def test_a_large_graph_is_drawn_by_the_users_lines() -> None:
    nodes = 5000
    graph = chain(nodes, 3)
    (found,) = pydot.graph_from_dot_data("\n".join(_Blocks(graph).draw()))
    labels = [a["label"] for a in attributes(found).values()]
    assert labels == ["x", *(f"model.py:{i}, {nodes // 3 + (i <= nodes % 3)} nodes" for i in (1, 2, 3)), "output"]
    assert [label for _, _, label in edges(found)] == ["f32[2]", "1667 values", "1666 values", "1666 values", "f32[2]"]


def test_blocks_of_a_step_keep_gradients_variables_and_updates_apart() -> None:
    graph = training_step().stages[0][1]
    assert isinstance(graph, Graph)
    (found,) = pydot.graph_from_dot_data("\n".join(_Blocks(graph).draw()))
    words = {a["fillcolor"] for a in attributes(found).values()}
    assert {"#d8f0d2", "#ffe7b0", "#cfe3f7", "#fad0cc", "#e6d8f6"} <= words
    assert [label for _, _, label in edges(found)].count("update") == 1
    assert any("2 variables" in a["label"] for a in attributes(found).values())


def test_a_large_graph_is_drawn_by_blocks_or_says_why_it_is_text(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = chain(5000, 400)
    text = mimebundle(graph)["text/plain"]
    why, _, rest = text.partition("\n")
    assert why.startswith("# 5,001 nodes are too many to draw one by one, and so are the 401 lines that they come from; to_dot")
    assert rest == str(graph)
    assert set(mimebundle(graph)) == {"text/plain"}
    monkeypatch.setenv("PATH", "")
    assert mimebundle(chain(5000))["text/plain"].startswith("# no picture: graphviz's dot is not installed\n")


@needs_dot
def test_graphviz_draws_blocks() -> None:
    bundle = chain(5000, 3)._repr_mimebundle_()
    assert "model.py:2" in bundle["image/svg+xml"]
    assert bundle["text/plain"].startswith("# 5,001 nodes are too many to draw one by one: a block is the nodes of one line\n")
