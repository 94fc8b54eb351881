"""Rules as text: what they match, what they build, what they refuse; and that the tests would see a false one."""

from __future__ import annotations

import time
from collections import Counter

import numpy as np
import pytest
from values import arguments, bindings, run, same_bits

import graphc as gx
from graphc.errors import ParseError
from graphc.ir import Graph, Node
from graphc.ir.rewrite import parse_rules, rewrite, same_number

X = gx.placeholder("x", ("n",), "float64")
Y = gx.placeholder("y", ("n",), "float64")
I = gx.placeholder("i", ("n",), "int32")
U = gx.placeholder("u", ("n",), "uint8")
B = gx.placeholder("b", ("n",), "bool")


def after(rules: str, y: Node, **helpers: object) -> Node:
    """What rules make of a node."""
    return rewrite(Graph([X, Y, I, U, B], [y]), parse_rules(rules, **helpers)).outputs[0]  # type: ignore[arg-type]


def fires(rules: str, y: Node, **helpers: object) -> bool:
    return after(rules, y, **helpers) is not y


# --- matching -------------------------------------------------------------------------------------------------------


def test_a_variable_that_comes_again_is_the_same_node() -> None:
    rule = "r: maximum(x, x) => x"
    assert after(rule, gx.maximum(X, X)) is X
    assert not fires(rule, gx.maximum(X, Y))
    assert not fires(rule, gx.maximum(gx.exp(X), gx.exp(X))), "equal nodes are one only after eliminate_common"


@pytest.mark.parametrize(
    ("literal", "matches"),
    [
        ("0", [0.0]), ("0.0", [0.0]), ("-0.0", [-0.0]), ("-0", [-0.0]), ("1", [1.0]), ("1.0", [1.0]), ("nan", [np.nan]),
        ("inf", [np.inf]), ("-inf", [-np.inf]), ("true", []), ("-1", [-1.0]), ("1e-3", [1e-3]),
    ],
)  # fmt: skip
def test_literals_match_exactly(literal: str, matches: list[float]) -> None:
    for value in (0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf, 1e-3):
        hit = any(same_number(value, m) for m in matches)
        assert fires(f"r: subtract(x, {literal}) => x", X - value) == hit, (literal, value)


def test_numbers_are_not_booleans() -> None:
    assert fires("r: add(x, 1) => x", I + 1)
    assert not fires("r: logical_and(x, 1) => x", gx.logical_and(B, True))
    assert fires("r: logical_and(x, true) => x", gx.logical_and(B, True))


def test_a_size_is_no_number() -> None:
    filled = gx.full(("n",), gx.dim("n"), "float64")
    assert not fires("r: multiply(x, c: constant) => x", X * filled)
    assert fires("r: multiply(x, c: full) => x", X * filled)


@pytest.mark.parametrize(
    ("kind", "hits"),
    [
        ("float", [X]), ("int", [I, U]), ("signed", [I]), ("unsigned", [U]), ("bool", [B]), ("float|bool", [X, B]),
        ("float|int", [X, I, U]),
    ],
)  # fmt: skip
def test_kinds(kind: str, hits: list[Node]) -> None:
    for x in (X, I, U, B):
        assert fires(f"r: abs(x: {kind}) => x", gx.abs(x)) == any(x is h for h in hits)


def test_either_order() -> None:
    both, one = "r: add{x, 1} => x", "r: add(x, 1) => x"
    assert fires(both, X + 1) and fires(both, 1 + X)
    assert fires(one, X + 1) and not fires(one, 1 + X)
    nested = "r: add{multiply{x, 2}, 1} => x"
    assert all(fires(nested, y) for y in (X * 2 + 1, 2 * X + 1, 1 + X * 2, 1 + 2 * X))
    assert len(parse_rules(nested)[0].patterns) == 4
    assert len(parse_rules("r: add{x, x} => x")[0].patterns) == 1


def test_attributes() -> None:
    z = gx.placeholder("z", (2, 3, 4))
    compose = lambda p, q: tuple(p[i] for i in q)
    rule = "r: permute_dims(permute_dims(x, axes=p), axes=q) => permute_dims(x, axes=compose(p, q))"
    graph = Graph([z], [gx.permute_dims(gx.permute_dims(z, (2, 0, 1)), (1, 0, 2))])
    (y,) = rewrite(graph, parse_rules(rule, compose=compose)).outputs
    assert y.inputs[0] is z and y.attrs["axes"] == (0, 2, 1)
    [twice] = parse_rules("r: sum(sum(x, axes=a), axes=a) => 0")
    assert twice.apply(gx.sum(gx.sum(z, axis=1), axis=1)) is not None
    assert twice.apply(gx.sum(gx.sum(z, axis=1), axis=0)) is None
    [single] = parse_rules("r: astype(x, dtype=float32) => astype(astype(x, dtype=float64), dtype=float32)")
    assert single.apply(gx.astype(I, "float32")) is not None
    assert single.apply(gx.astype(I, "float64")) is None
    fixed = "r: sum(x, axes=[0]) => 0"
    assert fires(fixed, gx.sum(X)) and not fires(fixed, gx.sum(gx.reshape(X, (1, "n")), axis=1))


def test_conditions() -> None:
    rule = "r: add(x, y) => x if x.shape == y.shape and not same(x, y) and x.dtype != int32"
    same = lambda a, b: a is b
    assert fires(rule, X + Y, same=same)
    assert not fires(rule, X + X, same=same)
    assert not fires(rule, I + (I * I), same=same)


def test_the_first_rule_that_fits_is_taken() -> None:
    fired: Counter[str] = Counter()
    rewrite(Graph([X], [X + 0]), parse_rules("one: add(x, y) => x\ntwo: add(x, 0) => x"), fired)
    assert fired == {"one": 1}


def test_the_replaced_node_is_called_result() -> None:
    made = after("r: exp(x) => full(shape=result.shape, value=2.5, dtype=result.dtype)", gx.exp(X))
    assert (made.op.name, made.type, made.attrs["value"]) == ("full", X.type, 2.5)


def test_a_literal_alone_is_a_fill_of_the_same_type() -> None:
    made = after("r: subtract(x, x) => 0", I - I)
    assert str(made.type) == "i32[n]" and made.attrs["value"] == 0 and type(made.attrs["value"]) is int
    made = after("r: exp(x) => 0", gx.exp(X))
    assert type(made.attrs["value"]) is float


# --- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("add(x, 1) => x", "line 1, column 4: expected ':', found '('"),
        ("r add(x, 1) => x", "line 1, column 3: expected ':', found 'add'"),
        ("r: x => x", "line 1, column 4: a pattern is an operation"),
        ("r: addd(x, 1) => x", "line 1, column 4: unknown operation 'addd'"),
        ("r: add(x) => x", "line 1, column 4: add takes 2 operands, got 1"),
        ("r: add(x, 1) -> x", "line 1, column 14: unexpected character '-'"),
        ("r: add(x, 1) =>", "line 1, column 16: expected an operation, a helper, a variable or a literal, found 'end of text'"),
        ("r: add(x, 1) => y", "line 1, column 17: y does not stand in the pattern"),
        ("r: add(x, 1) => f(x)", "line 1, column 17: 'f' is neither an operation nor a helper"),
        ("r: add(x, 1) => x x", "line 1, column 19: unexpected 'x' after the rule"),
        ("r: add(x: real, 1) => x",
         "line 1, column 11: unknown kind 'real': it is one of float, int, signed, unsigned, bool, full, constant"),
        ("r: add(x, 1) => x.rank", "line 1, column 19: unknown field 'rank': it is one of shape, dtype, size, value"),
        ("r: add(x, 1) => x if",
         "line 1, column 21: expected an operation, a helper, a variable or a literal, found 'end of text'"),
        ("r: add(x, 1) => exp(2)", "line 1, column 21: exp takes no number as an operand"),
        ("r: sum(x) => x", "line 1, column 4: sum has the attributes axes: name each"),
        ("r: exp(x, axes=a) => x", "line 1, column 4: exp has the attributes (none): name each"),
        ("r: add{x, 1) => x", "line 1, column 12: expected '}', found ')'"),
        ("r: add(x, 1) => x\n\nr: add(1, x) => x", "line 3, column 1: a second rule r"),
        ("# all good\nr: add(x,\n  1) => x\ns: add(x; 1)", "line 4, column 9: unexpected character ';'"),
    ],
)
def test_syntax_errors(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_rules(text)
    assert str(caught.value) == message


def test_helpers_do_not_hide_operations() -> None:
    with pytest.raises(ParseError, match="helper exp has the name of an operation"):
        parse_rules("r: exp(x) => x", exp=lambda x: x)


def test_a_rule_keeps_the_type() -> None:
    with pytest.raises(gx.GraphError) as caught:
        after("wider: exp(x) => astype(x, dtype=float32)", gx.exp(X))
    assert caught.value.message == "rule wider gives f32[n] in place of exp: f64[n]"
    assert caught.value.hint == "a rule must keep the type: wider: exp(x) => astype(x, dtype=float32)"


@pytest.mark.parametrize(
    "rules",
    [
        "swap: add(x, y) => add(y, x)",
        "there: add(x, y) => subtract(x, y)\nback: subtract(x, y) => add(x, y)",
        "grow: exp(x) => exp(exp(x))",
        "inside: exp(x) => negative(exp(x))",
        "same: exp(x) => result",
    ],
)
def test_circles_end_in_an_error(rules: str) -> None:
    start = time.process_time()
    with pytest.raises(gx.GraphError, match=r"^rules run in a circle at "):
        after(rules, gx.exp(X) + Y)
    assert time.process_time() - start < 10


# --- the tests themselves -------------------------------------------------------------------------------------------

FALSE = [
    ("add{x: float, 0} => x", X + 0.0),
    ("subtract(x, -0.0) => x", X - -0.0),
    ("multiply{x: float, 0} => 0", X * 0.0),
    ("subtract(x, x) => 0", X - X),
    ("divide(x, x) => 1", X / X),
    ("negative(subtract(x, y)) => subtract(y, x)", -(X - Y)),
    ("logical_not(less(x, y)) => greater_equal(x, y)", gx.logical_not(X < Y)),
    ("equal(x, x) => true", gx.equal(X, X)),
    ("maximum(x, y) => maximum(y, x)", gx.maximum(X, Y)),
    ("divide(x, 3) => multiply(x, 0.3333333333333333)", X / 3.0),
    ("abs(negative(x)) => abs(x)", gx.abs(-U)),
    ("astype(astype(x, dtype=float64), dtype=int8) => astype(x, dtype=int8)", gx.astype(gx.astype(I, "float64"), "int8")),
    ("sum(x, axes=[1]) => reshape(x, shape=result.shape)", gx.sum(gx.reshape(X, ("n", 1)), axis=1)),
    ("sum(x, axes=[0]) => sum(negative(x), axes=[0])", gx.sum(X)),
    ("sqrt(multiply(x, x)) => abs(x)", gx.sqrt(X * X)),
    ("add(subtract(x, y), y) => x", (X - Y) + Y),
    ("floor_divide(x, -1) => negative(abs(x))", I // -1),
    ("bitwise_right_shift(x, y) => floor_divide(x, pow(2, y))", gx.ops.bitwise_right_shift(I, gx.abs(I))),
    ("exp(x) => full(shape=result.shape, value=1.0, dtype=result.dtype)", gx.exp(X)),
]


@pytest.mark.parametrize(("rule", "y"), FALSE, ids=[rule for rule, _ in FALSE])
def test_false_rules_are_seen(rule: str, y: Node) -> None:
    """The values that prove the cases of simplify disprove what only looks true."""
    before = Graph([X, Y, I, U, B], [y])
    made = parse_rules(f"r: {rule}")[0].apply(y)
    assert made is not None
    rng = np.random.default_rng(0)
    for sizes in bindings(before):
        for _ in range(12):
            arrays, state = arguments(before, sizes, rng)
            wanted, found = (run(Graph(before.inputs, [n]), arrays, state, sizes) for n in (y, made))
            if not same_bits(wanted[0], found[0]):
                return
    pytest.fail(f"no value disproves {rule}")
