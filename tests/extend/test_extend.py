"""Operations, rules and backends that users declare: what they do, and what is said of wrong ones."""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator
from typing import Any

import numba
import numpy as np
import pytest

import graphc as gx
from graphc.errors import DTypeError, GradientError, GraphError, InputError, ParseError, ShapeError
from graphc.extend import Sample, TensorType, elementwise, forget, host, index_map, reduction
from graphc.ir.combines import NAMED, declared
from graphc.ir.operation import VOCABULARY
from graphc.ir.parser import parse
from graphc.ops import declare
from graphc.ops.declare import to_float
from graphc.testing import check_op, check_pass, check_rules

BACKENDS = ("interpreter", "llvm")
X = gx.placeholder("x", ("n",), "float64")


@pytest.fixture(autouse=True)
def vocabulary() -> Iterator[None]:
    """What a test declares is gone when it ends."""
    before = dict(VOCABULARY)
    yield
    VOCABULARY.clear()
    VOCABULARY.update(before)


# --- functions of single elements ------------------------------------------------------------------------------------


def test_an_elementwise_operation_of_each_kind_of_type() -> None:
    check_op(elementwise("t_swish", "{0} * sigmoid({0})"))
    check_op(elementwise("t_mix", "select({0} < {1}, {0} - {1}, 2 * {1})", types="number", gradient=None))
    check_op(elementwise("t_near", "abs({0} - {1}) < 0.5", types=_booleans, gradient=None))
    check_op(elementwise("t_part", "{0} ** 2 if {0} > {1} else {0} % 3 + {0} // 2", domain=(0.5, 4), gradient=None))
    check_op(elementwise("t_low", "{0} & 7", types="integer", gradient=None, domain=(0, 100)))


def _booleans(name: str, operands: tuple[Any, ...]) -> Any:
    wanted, _ = to_float(name, operands)
    return wanted, gx.bool_


def test_own_reference_and_gradient() -> None:
    op = elementwise(
        "t_rsqrt", "1 / sqrt({0})", reference=lambda x: 1 / np.sqrt(x), gradient=lambda g, y, x: -g * y / (x + x), domain=(0.2, 4)
    )
    check_op(op)
    assert op.vjp is not None


def test_it_fuses_and_vectorises_like_any_other() -> None:
    op = elementwise("t_swish", "{0} * sigmoid({0})")
    f = gx.compile([X], gx.sum(op(X * 2) + 1))
    assert "t_swish" in str(f.graph)
    assert len(f.kernels) <= 2
    g = gx.compile([X], gx.vmap(lambda a: op(a) * 2)(X))
    np.testing.assert_allclose(g([1.0, 2.0]), 2 * np.array([1.0, 2.0]) / (1 + np.exp([-1.0, -2.0])), rtol=1e-14)


def test_a_derived_gradient_of_16_bits_rounds_once() -> None:
    op = elementwise("t_cube", "{0} * {0} * {0}", types="number")
    x = gx.placeholder("x", (), "float16")
    assert gx.grad(op(x), x).eval({x: np.float16(60)}) == np.float16(10800)  # 60 ** 3 is more than a float16 holds


@pytest.mark.parametrize(
    ("declare", "kind", "message"),
    [
        (lambda: elementwise("exp", "{0}"), GraphError, "the name exp is taken: graphc has such an operation"),
        (lambda: elementwise("a b", "{0}"), GraphError, "an operation's name must be an identifier, got 'a b'"),
        (lambda: elementwise("t_a", "1"), GraphError, "t_a: the scalar code '1' has no operand"),
        (lambda: elementwise("t_a", "foo({0})"), GraphError, "t_a: 'foo({0})' on float32: scalar operation foo on"),
        (lambda: elementwise("t_a", "{0} +"), GraphError, "t_a: '{0} +' on float32: invalid syntax (<unknown>, line 1)"),
        (lambda: elementwise("t_a", "{0} @ 2"), GraphError, "t_a: '{0} @ 2' on float32: {0} @ 2 is not scalar code"),
        (lambda: elementwise("t_a", "{0} < 1"), DTypeError, "t_a: '{0} < 1' of float32 gives bool, and types says float32"),
        (lambda: elementwise("t_a", "{0} & 1"), DTypeError, "t_a: bitwise_and needs integers or booleans, got float32"),
        (lambda: elementwise("t_a", "{0}", types="real"), GraphError,
         "t_a: types is one of number, any, float, integer, comparison, bool or a rule, got 'real'"),
        (lambda: elementwise("t_a", "{0} * 2", reference=lambda x: x * 3, domain=(1, 1)), GraphError,
         "t_a: at (1.0) the reference gives 3.0, and the scalar code 2.0"),
        (lambda: elementwise("t_a", "{0} * 2", reference=lambda x: x[1:] * 2), ShapeError,
         "t_a: the reference gives the shape [15] for elements of [16]"),
        (lambda: reduction("t_a", "{0}", 0), GraphError, "t_a: '{0}' must combine {0} and {1}"),
        (lambda: reduction("t_a", "{0} + {1}", 0, types="int"), GraphError, "t_a: types is \"same\" or \"float\", got 'int'"),
        (lambda: reduction("t_a", "{0} + {1}", 0.5), GraphError, "t_a: '{0} + {1} from 0.5': the neutral element is no int8"),
        (lambda: reduction("t_a", "hypot({0}, {1})", 0), GraphError, "t_a: 'hypot({0}, {1})' on int8 and int8: scalar operation"),
        (lambda: reduction("t_a", "{0} + {1}", 1), GraphError, "t_a: '{0} + {1} from 1' has not the neutral element it says: "),
        (lambda: reduction("t_a", "{0} * 0 + {1}", 0), GraphError, "t_a: '{0} * 0 + {1} from 0' is not commutative: "),
        (lambda: reduction("t_a", "({0} + {1}) / 2", 0, types="float"), GraphError,
         "t_a: '({0} + {1}) / 2 from 0' has not the neutral"),
        (lambda: gx.extend.numba("t_a", len), GraphError,
         "t_a: <built-in function len> is no function that Numba compiled for arrays"),
        (lambda: forget(gx.ops.exp), GraphError, "exp is no declared operation of yours"),
        (lambda: gx.register_backend("llvm", len), InputError, "the backend 'llvm' is graphc's own"),
        (lambda: gx.passes.rules("r: exp(x => x"), ParseError, "line 1, column 10: expected "),
    ],
)  # fmt: skip
def test_wrong_declarations(declare: Callable[[], Any], kind: type[GraphError], message: str) -> None:
    before = dict(VOCABULARY)
    with pytest.raises(kind, match="^" + re.escape(message)) as caught:
        declare()
    assert type(caught.value) is kind
    assert before == VOCABULARY, "a refused declaration takes a name"


# --- moving elements -------------------------------------------------------------------------------------------------


def test_an_index_map_and_the_gradient_of_its_index() -> None:
    op = index_map("t_turn", lambda i, shape, by: ((i[0] + by) % shape[0], *i[1:]))
    check_op(op, [(np.arange(12.0).reshape(3, 4), {"by": 2})])
    pairs = index_map(
        "t_pairs", lambda i, shape: (i[0] // 2,), shape=lambda shape: (2 * shape[0],), samples=(Sample(((3,),)),),
        reference=lambda x: np.repeat(x, 2),
    )  # fmt: skip
    check_op(pairs)
    assert len(gx.compile([X], gx.exp(pairs(X)) + 1).kernels) == 1


def test_an_index_outside_is_an_error_of_the_call() -> None:
    late = index_map("t_late", lambda i, shape: (i[0] + 1,))
    with pytest.raises(ShapeError, match=r"t_late reads place 3 along axis 0 of \[3\] for its element \[2\]"):
        late(gx.constant([1.0, 2.0, 3.0]))
    with pytest.raises(ShapeError, match=r"t_late reads place 1 along axis 0 of \[1\]") as caught:
        late(X)
    assert caught.value.where is not None and caught.value.where.file == __file__
    with pytest.raises(ShapeError, match="t_flat: the index must be a tuple of 1 places"):
        index_map("t_flat", lambda i, shape: i[0])(X)


# --- reductions ------------------------------------------------------------------------------------------------------


def test_reductions_by_their_combination() -> None:
    check_op(reduction("t_length", "hypot({0}, {1})", 0, types="float", gradient=lambda g, y, x: g * x / y, domain=(0.5, 2)))
    check_op(reduction("t_total", "{0} + {1}", 0, gradient=lambda g, y, x: g, reference=lambda x, axes: x.sum(axes, x.dtype)))
    check_op(reduction("t_most", "maximum({0}, {1})", "lowest"))
    check_op(reduction("t_both", "{0} + {1} - {0} * {1}", 0, types="float", domain=(0, 1)))  # of independent chances


def test_it_is_called_like_sum_and_fuses_with_what_surrounds_it() -> None:
    op = reduction("t_length", "hypot({0}, {1})", 0, types="float")
    x = gx.placeholder("x", ("n", "m"), "float32")
    f = gx.compile([x], [op(x * 2, axis=-1, keepdims=True) / 2, op(x), op(x, axis=(0, 1))])
    a = np.random.default_rng(0).normal(size=(300, 70)).astype("float32")
    rows, whole, same = f(a)
    np.testing.assert_allclose(rows, np.linalg.norm(a, axis=1, keepdims=True), rtol=1e-6)
    np.testing.assert_allclose(whole, np.linalg.norm(a), rtol=1e-5)
    assert whole == same
    assert 'reduce "hypot({0}, {1}) from 0"(%' in str(dict(f.stages)["fuse"]), "kernels print the combination"
    assert op(gx.constant([3, 4])).eval() == 5.0
    with pytest.raises(GraphError, match="t_length takes no option where"):
        op(x, where=1)


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 64, 97, 5000])
def test_a_combination_by_rows_runs_in_lanes(size: int) -> None:
    op = reduction("t_sum", "{0} + {1}", 0)
    x, y = gx.placeholder("x", ("n", "m"), "int64"), gx.placeholder("y", (3, size), "int64")
    a = np.random.default_rng(0).integers(-99, 99, (3, size))
    of_any_size = gx.compile([x], [op(x, axis=1), op(x * 2), op(x[1:, ::-1], axis=1)])
    for run in (of_any_size, gx.compile([y], [op(y, axis=1), op(y * 2)])):
        for got, want in zip(run(a), [a.sum(1), 2 * a.sum(), a[1:].sum(1)], strict=False):
            np.testing.assert_array_equal(got, want)


def test_two_combinations_in_one_loop_keep_their_lanes_apart() -> None:
    total, most = reduction("t_sum", "{0} + {1}", 0), reduction("t_most", "maximum({0}, {1})", "lowest")
    x = gx.placeholder("x", ("n", "m"), "float64")
    f = gx.compile([x], [total(x, axis=1), most(x, axis=1), gx.sum(x, axis=1), x * 2])
    a = np.random.default_rng(0).normal(size=(5, 1000))
    for got, want in zip(f(a), [a.sum(1), a.max(1), a.sum(1), 2 * a], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_combination_by_columns_runs_in_lanes() -> None:
    op = reduction("t_length", "hypot({0}, {1})", 0, types="float")
    x = gx.placeholder("x", ("n", "m"), "float64")
    f = gx.compile([x], op(gx.exp(x), axis=0))
    a = np.random.default_rng(0).normal(size=(513, 131))
    np.testing.assert_allclose(f(a), np.linalg.norm(np.exp(a), axis=0), rtol=1e-13)
    assert f(np.zeros((0, 4))).tolist() == [0.0] * 4


@pytest.mark.parametrize("name", ["add", "mul", "max", "min", "and", "or"])
def test_the_names_of_combinations_stand_for_their_texts(name: str) -> None:
    """What kernels write for a name, and the code of its text, give the same bits where nothing is rounded."""
    dtype = "bool" if name in ("and", "or") else "int32"
    ops = [
        declare.reduction(f"t_{i}", combine=c, dtype=lambda _, d: d, reference=np.sum, vjp=None)
        for i, c in enumerate((NAMED[name], declared(NAMED[name].code, NAMED[name].start)))
    ]
    x = gx.placeholder("x", ("n", "m"), dtype)
    f = gx.compile([x], [op(x, axes=axes) for axes in ((0,), (1,), (0, 1)) for op in ops])
    for shape in ((3, 4), (0, 2), (200, 131)):
        found = f(np.random.default_rng(0).integers(0, 99, shape).astype(dtype))
        for one, other in zip(found[::2], found[1::2], strict=True):
            np.testing.assert_array_equal(one, other)


def test_a_declared_operation_on_a_leading_axis() -> None:
    turn = index_map("t_turn", lambda i, shape, by: ((i[0] + by) % shape[0],))
    length = reduction("t_length", "hypot({0}, {1})", 0, types="float")
    double = host("t_double", lambda x: 2 * x, infer=lambda x: x)
    x = gx.placeholder("x", (2, 3), "float64")
    f = gx.compile([x], gx.vmap(lambda row: (turn(row, by=1), length(row), double(row)))(x))
    turned, lengths, doubled = f([[1.0, 2.0, 2.0], [4.0, 4.0, 7.0]])
    assert turned.tolist() == [[2, 2, 1], [4, 7, 4]]
    assert lengths.tolist() == [3, 9]
    assert doubled.tolist() == [[2, 4, 4], [8, 8, 14]]


# --- whole arrays ----------------------------------------------------------------------------------------------------


@numba.njit
def _running(x: Any) -> Any:
    y = x.copy()
    for i in range(1, len(y)):
        if x[i] < 0:
            raise ValueError("negative")
        y[i] += 0.5 * y[i - 1]
    return y


@numba.njit(nogil=True)
def _echo(x: Any) -> Any:
    y = x.copy()
    for i in range(1, len(y)):
        y[i] += 0.5 * y[i - 1]
    return y


@numba.vectorize
def _half(x: float) -> float:
    return x / 2


@numba.guvectorize(["void(float64[:], float64[:])"], "(n)->(n)")
def _reversed(x: Any, out: Any) -> None:
    for i in range(len(x)):
        out[i] = x[len(x) - 1 - i]


def test_functions_of_whole_arrays() -> None:
    check_op(host("t_sorted", lambda x: np.sort(x, axis=-1), infer=lambda x: x), [(np.array([[3.0, 1.0], [0.0, 2.0]]),)])
    check_op(host("t_rank", lambda x: x.argsort()), [(np.array([3.0, 1.0, 2.0]),)])
    pair = Sample(((3,), (3,)), dtypes=("int64",) * 2, domain=(1, 9))
    split = host("t_split", np.divmod, infer=lambda a, b: (a, b), samples=(pair,))
    check_op(split)
    whole, rest = gx.extend.results(split([7, 8], [2, 3]))
    assert (whole.eval().tolist(), rest.eval().tolist()) == ([3, 2], [1, 2])


def test_functions_of_numba() -> None:
    op = gx.extend.numba("t_echo", _echo, infer=lambda x: x, gradient=lambda g, y, x: gx.flip(op(gx.flip(g))))
    check_op(op, [(np.array([1.0, 2.0, 3.0]),)])
    check_op(gx.extend.numba("t_half", _half, infer=lambda x: x), [(np.array([1.0, 3.0]),)])
    check_op(gx.extend.numba("t_reversed", _reversed, infer=lambda x: x), [(np.array([1.0, 3.0]),)])


@pytest.mark.parametrize("backend", BACKENDS)
def test_operands_are_copies_that_may_be_kept_and_changed(backend: str) -> None:
    kept: list[Any] = []

    def keep(x: Any) -> Any:
        kept.append(x)
        x += 1
        return x

    op = host("t_keep", keep, infer=lambda x: x)
    f = gx.compile([X], [op(X), X * 2, op(X * 2)], backend=backend)
    a = np.array([1.0, 2.0])
    first = f(a)
    assert [y.tolist() for y in first] == [[2, 3], [2, 4], [3, 5]]
    assert a.tolist() == [1, 2]
    for x in kept:
        x[...] = 9
    assert [y.tolist() for y in first] == [[2, 3], [2, 4], [3, 5]]


def _lists(x: Any) -> Any:
    raise KeyError("nothing here")


@numba.njit
def _shorter(x: Any) -> Any:
    return x[1:]


@numba.njit
def _narrower(x: Any) -> Any:
    return x.astype(np.float32)


WRONG = [
    (lambda: host("t_wrong", _lists, infer=lambda x: x), "t_wrong raised KeyError: 'nothing here'"),
    (lambda: host("t_wrong", lambda x: x[1:], infer=lambda x: x), "t_wrong must give f64"),
    (lambda: host("t_wrong", lambda x: x.astype("int8"), infer=lambda x: x), "t_wrong must give f64"),
    (lambda: gx.extend.numba("t_wrong", _running, infer=lambda x: x), "t_wrong raised ValueError: negative"),
    (lambda: gx.extend.numba("t_wrong", _shorter, infer=lambda x: x), "t_wrong must give f64"),
    (lambda: gx.extend.numba("t_wrong", _narrower, infer=lambda x: x), "t_wrong must give f64"),
]  # fmt: skip
RUNS: dict[str, Callable[[Any, Any], Any]] = {
    "outside": lambda op, x: op(x),
    "scan": lambda op, x: gx.scan(lambda c, _: (op(c), gx.sum(c)), x, None, length=3)[1],
    "map": lambda op, x: gx.map(op, gx.stack([x, x])),
    "while": lambda op, x: gx.fori_loop(0, 3, lambda i, c: op(c), x),
    "cond": lambda op, x: gx.cond(gx.sum(x) < 0, lambda: op(x), lambda: x),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("place", RUNS)
@pytest.mark.parametrize(("declare", "message"), WRONG, ids=["raises", "shape", "type", "njit raises", "njit shape", "njit type"])
def test_a_wrong_function_is_named_and_leaves_variables_as_they_were(
    declare: Callable[[], Any], message: str, place: str, backend: str
) -> None:
    op = declare()
    x = gx.placeholder("x", (2,), "float64")
    v, w = gx.variable([1.0, 1.0], name="v"), gx.variable(0, name="w")
    f = gx.compile([x], RUNS[place](op, x), updates={v: v + x, w: w + 1}, backend=backend)
    for _ in range(2):
        with pytest.raises(GraphError, match="^" + re.escape(message)) as caught:
            f([-1.0, -2.0])
        assert caught.value.where is not None and caught.value.where.file == __file__
        assert (v.value.tolist(), w.value) == ([1.0, 1.0], 0)


def test_what_a_host_needs_a_type_rule_for() -> None:
    op = host("t_sorted", np.sort)
    assert op(gx.constant([2.0, 1.0])).type == TensorType(gx.float64, (2,))
    with pytest.raises(ShapeError, match="t_sorted has no type rule, so its result is known for fixed sizes only, got"):
        op(X)
    first = host("t_first", lambda x: x[x > 0][0])
    with pytest.raises(GraphError, match="t_first has no type rule, and on zeros it raised IndexError"):
        first(gx.constant([2.0]))
    with pytest.raises(GraphError, match=r"the type rule of t_odd must give a TensorType or a tuple of them, got \(2,\)"):
        host("t_odd", np.sort, infer=lambda x: (2,))(X)


def test_wrong_calls_and_rules_that_raise() -> None:
    with pytest.raises(GraphError, match="t_power takes 1 operands, got 2"):
        host("t_power", lambda x, *, by: x**by, infer=lambda x, by: x)(X, X, by=1)
    with pytest.raises(GraphError, match=r"the attribute by must be hashable, got \[1\]"):
        host("t_power", lambda x, *, by: x**by, infer=lambda x, by: x)(X, by=[1])
    with pytest.raises(GraphError, match="the type rule of t_power raised TypeError") as caught:
        host("t_power", lambda x: x, infer=lambda x: x)(X, by=1)
    assert caught.value.where is not None and caught.value.where.file == __file__
    with pytest.raises(GraphError, match="the index of t_index raised IndexError: tuple index out of range"):
        index_map("t_index", lambda i, shape: (i[1],))(X)
    with pytest.raises(GraphError, match="the gradient rule of t_rule raised ZeroDivisionError"):
        gx.grad(gx.sum(elementwise("t_rule", "{0} * 2", gradient=lambda g, y, x: g * (1 / 0))(X)), X)


# --- gradients -------------------------------------------------------------------------------------------------------


def test_a_gradient_that_is_missing_or_of_another_form() -> None:
    none = elementwise("t_none", "{0} * 2", gradient=None)
    with pytest.raises(GradientError, match="t_none has no gradient"):
        gx.grad(gx.sum(none(X)), X)
    many = elementwise("t_many", "{0} * 2", gradient=lambda g, y, x: (g, g))
    with pytest.raises(GradientError, match="the gradient rule of t_many gives 2 cotangents for 1 operands"):
        gx.grad(gx.sum(many(X)), X)
    other = elementwise("t_other", "{0} * 2", gradient=lambda g, y, x: gx.sum(g))
    with pytest.raises(GradientError, match=r"rule of t_other gives a cotangent f64\[\] of operand 0, which is f64\[n\]"):
        gx.grad(gx.sum(other(X)), X)


# --- names -----------------------------------------------------------------------------------------------------------


def test_a_cell_runs_twice_and_the_last_declaration_counts() -> None:
    first = elementwise("t_twice", "{0} * 2")
    f = gx.compile([X], first(X))
    second = elementwise("t_twice", "{0} * 3")
    assert VOCABULARY["t_twice"] is second
    assert gx.compile([X], [first(X), second(X)], passes=())([1.0])[1] == 3.0
    assert f([1.0]) == 2.0
    text = str(gx.ir.Graph([X], [second(X)]))
    assert str(parse(text)) == text
    forget(second)
    with pytest.raises(ParseError, match="unknown operation 't_twice'"):
        parse(text)
    with pytest.raises(GraphError, match="t_twice is no declared operation of yours"):
        forget(second)


def test_another_module_s_name_is_taken() -> None:
    other = types.ModuleType("someone_else")
    exec("import graphc as gx\ngx.extend.elementwise('t_theirs', '{0} * 2')", other.__dict__)
    with pytest.raises(GraphError, match="the name t_theirs is taken: someone_else declares it"):
        elementwise("t_theirs", "{0} * 3")


# --- what check_op finds ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda: (elementwise("t_a", "{0} * 2", gradient=lambda g, y, x: g), None), "the gradient of t_a, order 1: "),
        (lambda: (elementwise("t_a", "sin({0})", gradient=lambda g, y, x: g * gx.stop_gradient(gx.cos(x))), None),
         "the gradient of t_a, order 2: "),
        (lambda: (elementwise("t_a", "select({0} < 9, {0}, 0)", reference=lambda x: x), None), "t_a(f32[25]): at (100.0)"),
        (lambda: (host("t_a", lambda x: x[1:], infer=lambda x: x), [(np.ones(3),)]),
         "t_a(f64[3]): the type rule says f64[3], the reference gives f64[2]"),
        (lambda: (host("t_a", lambda x: x.sum(), infer=lambda x: TensorType(gx.float32, ())), [(np.ones(3),)]),
         "t_a(f64[3]): the type rule says f32[], the reference gives f64[]"),
        (lambda: (index_map("t_a", lambda i, s: (s[0] - 1 - i[0],), reference=lambda x: x), [(np.arange(3.0),)]),
         "t_a(f64[3]): the compiled program gives 2.0, the reference 0.0"),
        (lambda: (reduction("t_a", "{0} + {1}", 0, reference=lambda x, axes: np.sum(x + 1, axes, x.dtype)), None), "t_a("),
    ],
)  # fmt: skip
def test_what_check_op_finds(declare: Callable[[], Any], message: str) -> None:
    op, samples = declare()
    with pytest.raises(AssertionError, match="^" + re.escape(message)):
        check_op(op, samples)


def test_check_op_needs_samples() -> None:
    with pytest.raises(ValueError, match="t_a has no samples"):
        check_op(host("t_a", np.sort))


@pytest.mark.parametrize("name", ["exp", "where", "sum", "permute_dims", "matmul"])
def test_check_op_agrees_with_graphc_s_own_operations(name: str) -> None:
    check_op(VOCABULARY[name])


# --- rules and passes ------------------------------------------------------------------------------------------------


def test_rules_as_a_pass() -> None:
    change = gx.passes.rules("twice: add(x: float, x) => multiply(x, 2)\nnone: multiply{x: float, 1} => x", name="mine")
    assert change.__name__ == "mine"
    check_rules(change)
    i = gx.placeholder("i", (), "float64")
    f = gx.compile([i], gx.scan(lambda c, _: (c + c, c), i, None, length=3)[0], passes=(change,))
    assert "multiply" in str(f.graph) and f.stages[1][0] == "mine"
    assert f(1.0) == 8.0


@pytest.mark.parametrize(
    ("text", "example"),
    [
        ("divide(x, x) => 1", None), ("add{x: float, 0} => x", None), ("subtract(x: float, x) => 0", None),
        ("sqrt(multiply(x, x)) => abs(x)", None), ("negative(subtract(x: float, y)) => subtract(y, x)", None),
        ("maximum(x: float, y) => maximum(y, x)", None),
        ("abs(negative(x: unsigned)) => x", gx.abs(-gx.placeholder("u", ("n",), "uint8"))),
        ("sum(x, axes=a) => sum(negative(x), axes=a)", gx.sum(X)), ("logical_not(less(x, y)) => greater_equal(x, y)", None),
        ("divide(x, c: constant) => multiply(x, 0.1) if is_ten(c)", X / 10.0),
    ],
)  # fmt: skip
def test_false_rules_are_found(text: str, example: Any) -> None:
    change = gx.passes.rules(f"r: {text}", **({"is_ten": lambda c: c.attrs["value"] == 10} if "is_ten" in text else {}))
    with pytest.raises(AssertionError, match=r"^r: "):
        check_rules(change, *([] if example is None else [example]))


def test_a_rule_that_fits_nothing_is_said_so() -> None:
    with pytest.raises(AssertionError, match=r"^r fits none of the examples"):
        check_rules(gx.passes.rules("r: sum(x, axes=a) => sum(x, axes=a)"))


def test_passes_that_are_true_of_real_numbers() -> None:
    check_pass(gx.passes.simplify_fast, gx.exp(gx.log(X)), exact=False)
    with pytest.raises(AssertionError, match="simplify_fast: exp is "):
        check_pass(gx.passes.simplify_fast, gx.exp(gx.log(X)))


# --- backends --------------------------------------------------------------------------------------------------------


@pytest.fixture
def backends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.backends._REGISTERED", {})


def test_a_backend_gets_the_graph_and_its_results_are_checked(backends: None) -> None:
    made: Any = lambda arrays, sizes: [arrays[0] * 2, np.int64(7)]
    gx.register_backend("t_twice", lambda graph: made)
    v = gx.variable(0, name="v")
    f = gx.compile([X], gx.exp(X), updates={v: v + 1}, backend="t_twice")
    assert f([1.0, 2.0]).tolist() == [2.0, 4.0]
    assert v.value == 7
    for bad, message in (
        (lambda arrays, sizes: arrays, "the backend t_twice gave 1 arrays for 2 outputs and updates"),
        (lambda arrays, sizes: [arrays[0][1:], np.int64(8)], "the backend t_twice gave float64[1] for exp: f64[n]"),
        (lambda arrays, sizes: [arrays[0], 8.0], "the backend t_twice gave float64[] for add: i64[]"),
    ):
        gx.register_backend("t_twice", lambda graph, bad=bad: bad)  # a second registration counts
        with pytest.raises(GraphError, match="^" + re.escape(message)):
            gx.compile([X], gx.exp(X), updates={v: v + 1}, backend="t_twice")([1.0, 2.0])
        assert v.value == 7
    with pytest.raises(InputError, match="there is no backend 't_none'") as caught:
        gx.compile([X], X, backend="t_none")
    assert caught.value.hint == 'use "llvm" or "numba" or "interpreter" or "program" or "t_twice"'
    gx.register_backend("t_twice", lambda graph: 3)
    with pytest.raises(GraphError, match="the backend t_twice must build a function or an Executable, got int"):
        gx.compile([X], X, backend="t_twice")


def test_a_native_backend_gets_the_program(backends: None) -> None:
    from graphc.backends import load_backend

    seen: list[Any] = []

    def build(program: Any, variables: Any) -> Any:
        seen.extend([program, variables])
        return load_backend("llvm").build(program, variables)

    gx.register_backend("t_native", build, native=True)
    v = gx.variable(1.0, name="x")
    f = gx.compile([X], X + v, updates={v: v * 2}, backend="t_native")
    assert f([1.0]) == 2.0 and f([1.0]) == 3.0
    assert isinstance(seen[0], gx.ir.Program)
    assert seen[1] == {"x_1": v}, "its buffer has another name, since an input is called x"


def test_an_input_cannot_be_written_by_a_backend(backends: None) -> None:
    def write(arrays: Any, sizes: Any) -> Any:
        arrays[0][...] = 0

    gx.register_backend("t_write", lambda graph: write)
    a = np.ones(2)
    with pytest.raises(ValueError, match="read-only"):
        gx.compile([X], X + 1, backend="t_write")(a)
    assert a.tolist() == [1, 1]
