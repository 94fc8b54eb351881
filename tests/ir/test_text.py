"""Graph text: print, parse, print is the identity, and what does not parse says where and why."""

from __future__ import annotations

import numpy as np
import pytest
from values import same_bits

import graphc as gx
from graphc.errors import ParseError
from graphc.ir import Graph, Node, parse
from graphc.ir.operation import Leaf, Sample, operations
from graphc.ir.types import DTYPES
from graphc.ir.verify import verify


def attributes(graph: Graph) -> list[list[tuple[str, str]]]:
    """Of every node, in a form in which NaN equals itself and -0.0 does not equal 0.0."""
    return [sorted((key, repr(value)) for key, value in n.attrs.items()) for n in graph.nodes if not n.is_leaf]


def check(graph: Graph) -> Graph:
    """The graph read back, after checking that it is the same."""
    text = str(graph)
    again = verify(parse(text))
    assert str(again) == text
    assert [n.type for n in again.nodes] == [n.type for n in graph.nodes]
    assert attributes(again) == attributes(graph)
    return again


SAMPLES = [(op, s) for op in operations() if not isinstance(op.lowering, Leaf) for s in op.samples]


@pytest.mark.parametrize(("op", "sample"), SAMPLES, ids=[f"{op.name}-{i}" for i, (op, _) in enumerate(SAMPLES)])
def test_every_operation(op: gx.ir.operation.Operation, sample: Sample) -> None:
    """With all its attributes, in the first data types that it takes."""
    for dtype in ("float32", "int32", "bool"):
        given = [d or dtype for d in sample.dtypes] or [dtype] * len(sample.shapes)
        inputs = [gx.placeholder(f"x{i}", s, d) for i, (s, d) in enumerate(zip(sample.shapes, given, strict=True))]
        try:
            node = op(*inputs, **sample.attrs)
        except gx.GraphError:
            continue
        check(Graph(inputs, [node]))
        return
    pytest.fail(f"{op.name} takes no operands of its own sample")


def test_symbolic_sizes() -> None:
    x = gx.placeholder("x", ("batch", "2*k + 1"), "float32")
    parts = [x[1:], x[::-2], x[:, :-1], gx.reshape(x, (-1,)), gx.pad(x, ((1, 2), (0, 1))), x[:5], gx.mean(x, axis=0)]
    graph = check(Graph([x], parts))
    assert "max(batch-5, 0)" in str(graph)
    assert "(batch+1)//2" in str(graph)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (0,), (0, 2), (2, 0), (4, 3, 5)], ids=str)
def test_constants(dtype: gx.DType, shape: tuple[int, ...]) -> None:
    """Small ones as numbers, large ones packed; all with their bits."""
    rng = np.random.default_rng(0)
    array = rng.integers(0, 2 if dtype.is_bool else 100, shape).astype(dtype.numpy)
    if dtype.is_float and array.size:
        array.flat[0], array.flat[-1] = -0.0, np.inf
        array.flat[array.size // 2] = np.nan
    if dtype.is_integer and array.size:
        array.flat[0], array.flat[-1] = np.iinfo(dtype.numpy).min, np.iinfo(dtype.numpy).max
    node = gx.ir.operation.VOCABULARY["constant"](value=gx.ir.types.ArrayValue(array))
    again = check(Graph([], [node])).outputs[0].attrs["value"].array
    assert same_bits(array, again)
    packed = '"' in str(Graph([], [node]))
    assert packed == (array.size > 32)


@pytest.mark.parametrize("value", [0.0, -0.0, np.nan, np.inf, -np.inf, 1e300, 5e-324, 0.1, 1e22, -1.5e-7])
def test_fills(value: float) -> None:
    node = check(Graph([], [gx.full((2,), value, "float64")])).outputs[0]
    assert same_bits(np.array(node.attrs["value"]), np.array(value))


@pytest.mark.parametrize("value", [0, -1, 2**63 - 1, -(2**63)])
def test_integer_fills(value: int) -> None:
    assert check(Graph([], [gx.full((2,), value, "int64")])).outputs[0].attrs["value"] == value


def test_fill_of_a_size() -> None:
    x = gx.placeholder("x", ("n",))
    node = check(Graph([x], [gx.full((), gx.dim("2*n - 1"))])).outputs[0]
    assert node.attrs["value"] == gx.dim("2*n-1")


def test_names_that_clash() -> None:
    x, y, z = gx.placeholder("x"), gx.placeholder("x"), gx.placeholder("x_2")
    v = gx.variable([1.0], name="x", dtype="float32")
    graph = Graph([x, y, z], [x + y + z + v])
    assert str(graph).splitlines()[:2] == ["graph graph(%x: f32[], %x_1: f32[], %x_2: f32[]) {", "  variable %x_3: f32[1]"]
    check(parse(str(graph)))


def test_an_input_called_like_a_number() -> None:
    text = """graph g(%0: f32[], %2: f32[]) {
  %1 = add(%0, %2) : f32[]
  %3 = exp(%1) : f32[]
  return %3
}"""
    assert str(parse(text)) == text


def test_names_beyond_ascii_and_with_dots() -> None:
    x, v = gx.placeholder("größe.α", ("länge",)), gx.variable([1.0, 2.0], name="layer.0.weight")
    check(Graph([x], [x], [(v, v * 2.0)], name="schön"))


def test_a_graph_called_anything() -> None:
    x = gx.placeholder("x")
    assert check(Graph([x], [x], name="my graph, 2nd")).name == "my graph, 2nd"


def test_nothing_in_nothing_out() -> None:
    assert str(parse("graph g() { return }")) == "graph g() {\n  return\n}"


def test_comments_and_spaces() -> None:
    text = "graph g(%x:f32[n])  # a comment\n{ %y=exp ( %x ):f32[ n ]\n\n#another\n return %y }"
    assert str(parse(text)) == "graph g(%x: f32[n]) {\n  %0 = exp(%x) : f32[n]\n  return %0\n}"


BODY = "graph g(%x: f32[n, 3]) {{\n  %0 = {} : {}\n  return %0\n}}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1: expected 'graph', found 'end of text'"),
        ("graph (", "line 1, column 7: expected the graph's name, found '('"),
        ("graph g(%x f32[])", "line 1, column 12: expected ':', found 'f32'"),
        ("graph g(%x: f33[])", "line 1, column 13: 'f33' is not a data type"),
        ("graph g(%x: f32)", "line 1, column 16: expected '[', found ')'"),
        ("graph g(%x: f32[-1]) {", "line 1, column 17: -1 is not a size"),
        ("graph g(%x: f32[n +]) {", "line 1, column 17: 'n +' is not a size"),
        ("graph g(%x: f32[float64]) {", "line 1, column 17: float64 is not a size"),
        ("graph g(%x: f32[1.5]) {", "line 1, column 17: '1.5' is not a size"),
        ("graph g(%x: f32[n", "line 1, column 18: unexpected end of text"),
        ("graph g(%x: f32[], %x: f32[]) {", "line 1, column 20: %x is defined twice"),
        ("graph g(%x: f32[]) {\n  ?\n}", "line 2, column 3: unexpected character '?'"),
        ("graph g(%x: f32[]) {\n  exp(%x)\n}",
         "line 2, column 3: expected a value, 'variable', 'update' or 'return', found 'exp'"),
        ("graph g(%x: f32[]) {\n  return %y\n}", "line 2, column 10: %y is not defined"),
        ("graph g(%x: f32[]) {\n  return %x\n} more", "line 3, column 3: unexpected 'more' after the graph"),
        ("graph g(%x: f32[]) {\n  return %x %x\n}", "line 2, column 13: expected ',', found '%x'"),
        ("graph g(%x: f32[]) {\n  update %w = %x\n", "line 2, column 10: %w is not defined"),
        ("graph g(%x: f32[]) {\n  %x = exp(%x) : f32[]\n", "line 2, column 3: %x is defined twice"),
        (BODY.format("expp(%x)", "f32[n, 3]"), "line 2, column 8: unknown operation 'expp'"),
        (BODY.format("exp(%y)", "f32[n, 3]"), "line 2, column 12: %y is not defined"),
        (BODY.format("exp(%x)", "f32[n, 4]"), "line 2, column 18: exp gives f32[n, 3], not f32[n, 4]"),
        (BODY.format("exp(%x)", "f64[n, 3]"), "line 2, column 18: exp gives f32[n, 3], not f64[n, 3]"),
        (BODY.format("sum(%x)", "f32[n]"), "line 2, column 8: sum cannot be made of (%) with these values"),
        (BODY.format("sum(%x, axes=[1], axes=[0])", "f32[n]"), "line 2, column 26: attribute axes is given twice"),
        (BODY.format("sum(%x, axes=[5.])", "f32[n]"), "line 2, column 29: sum gives f32[n, 3], not f32[n]"),
        (BODY.format("broadcast_to(%x, shape=3)", "f32[3]"),
         "line 2, column 8: broadcast_to cannot be made of (%, shape) with these values"),
        (BODY.format("constant()", "f32[2]"), "line 2, column 8: constant cannot be made of () with these values"),
        (BODY.format("constant(value=[1, 2, 3])", "i64[2]"),
         "line 2, column 8: constant cannot be made of (value) with these values"),
        (BODY.format('constant(value="AAAA")', "f32[2]"),
         "line 2, column 8: constant cannot be made of (value) with these values"),
        (BODY.format("constant(value=[1.0])", "f32[n]"),
         "line 2, column 8: constant cannot be made of (value) with these values"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert str(caught.value) == message


def test_what_cannot_be_typed_says_what_building_it_would() -> None:
    with pytest.raises(gx.GraphError, match=r"matmul needs equal inner dimensions, got f32\[n, 3\] and f32\[n, 3\]|matmul needs"):
        parse(BODY.format("matmul(%x, %x)", "f32[n, n]"))


def test_print_of_a_node_whose_input_is_not_listed() -> None:
    x: Node = gx.placeholder("x", (2,))
    assert str(Graph([], [x])) == 'graph graph() {\n  %0 = input(dtype=float32, name="x", shape=[2]) : f32[2]\n  return %0\n}'
