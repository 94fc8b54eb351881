"""Gradients beyond a single rule: choices, kinks, second derivatives, rules of the user's, values computed again, and vmap."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import test_walk as walk

import graphc as gx
from graphc import testing
from graphc.errors import GradientError, GraphWarning, InputError, ShapeError
from graphc.ir.graph import topological
from graphc.ir.operation import Operation
from graphc.ir.parser import parse
from graphc.ir.types import TensorType

Array = np.ndarray[Any, Any]
Function = Callable[[gx.Tensor], gx.Tensor]
BACKENDS = pytest.mark.parametrize("backend", ["interpreter", "llvm"])


def at(y: gx.Tensor, values: dict[gx.Tensor, Any], backend: str = "interpreter") -> Array:
    run: Array = gx.compile(list(values), y, backend=backend)(*(np.asarray(v, x.dtype.numpy) for x, v in values.items()))
    return run


def slope(f: Function, x0: float) -> float:
    """The derivative of a function of one number."""
    x = gx.placeholder("x", (), "float64")
    return float(at(gx.grad(f(x), x), {x: x0}))


# --- choices ---------------------------------------------------------------------------------------------------------

ORDER = gx.constant([0, 1, 2, 3])
W = gx.constant(np.linspace(-1, 1, 16).reshape(4, 4))


def norm(x: gx.Tensor) -> gx.Tensor:
    return gx.sqrt(gx.sum(x * x))


# A function of four numbers, and where its branches are what they should not be.
CHOICES: dict[str, tuple[Function, list[float]]] = {
    "log": (lambda x: gx.where(x > 0, gx.log(x), 0), [0.0, -1.0, 2.0, -0.0]),
    "x log x": (lambda x: gx.where(x > 0, x * gx.log(x), 0), [0.0, 0.0, 2.0, 1.0]),
    "second branch": (lambda x: gx.where(x <= 0, x, gx.log(x)), [0.0, -1.0, 2.0, -0.0]),
    "sqrt": (lambda x: gx.where(x > 0, gx.sqrt(x), 0), [0.0, 4.0, -1.0, 0.0]),
    "quotient": (lambda x: gx.where(x != 0, gx.sin(x) / x, 1), [0.0, 1.0, -0.0, 2.0]),
    "overflow": (lambda x: gx.where(x < 100, gx.expm1(x) / x, 0), [1000.0, 1.0, 2.0, 3.0]),
    "power": (lambda x: gx.where(x > 0, x ** gx.constant([-1.5, 0.5, -2.5, 1.0]), 0), [0.0, 0.0, 0.0, 2.0]),
    "pole": (lambda x: gx.where(gx.abs(x) < 1, gx.atanh(x) + gx.asin(x), x), [1.0, 0.5, -1.0, 2.0]),
    "norm": (lambda x: gx.where(norm(x) > 0, x / norm(x), 0), [0.0, 0.0, 0.0, 0.0]),
    "log of norm": (lambda x: gx.where(gx.any(x != 0), gx.log(norm(x)), 0), [0.0, 0.0, 0.0, 0.0]),
    "of a slice": (lambda x: gx.log(gx.where(x[1:] > 0, gx.sqrt(x[1:]), 1)), [0.0, 0.0, 2.0, 0.0]),
    "slice inside": (lambda x: gx.where(x[1:] > 0, gx.sqrt(x)[1:], 1), [1.0, 0.0, 2.0, 0.0]),
    "moved": (lambda x: gx.where(x > 0, gx.flip(gx.log(gx.flip(gx.sqrt(x)))), 1), [0.0, 0.0, 2.0, 0.0]),
    "concat": (lambda x: gx.where(x > 0, gx.concat([gx.sqrt(x[:2]), gx.log(x[2:])]), 1), [0.0, 3.0, 2.0, 0.0]),
    "taken": (lambda x: gx.where(x[::-1] > 0, gx.take(gx.sqrt(x), [3, 2, 1, 0]), 1), [0.0, 3.0, 2.0, 0.0]),
    "padded": (lambda x: gx.pad(gx.where(x > 0, gx.pad(gx.sqrt(x), 1)[1:-1], 1), 2), [0.0, 3.0, 2.0, 0.0]),
    "reshaped": (lambda x: gx.where(gx.reshape(x, (2, 2)) > 0, gx.reshape(gx.log(x), (2, 2)).T.T, 1), [0.0, 3.0, 2.0, 0.0]),
    "sum": (lambda x: gx.where(gx.sum(x) > 0, gx.sum(gx.sqrt(x)), 0), [0.0, 0.0, 0.0, 0.0]),
    "product": (lambda x: gx.where(gx.sum(x) > 0, gx.prod(gx.sqrt(x)), 0), [0.0, 0.0, 0.0, 0.0]),
    "largest": (lambda x: gx.where(gx.max(x) > 0, gx.max(gx.log(x)), 0), [0.0, 0.0, 0.0, 0.0]),
    "some of the columns": (lambda x: gx.where((x > 0)[:, None], gx.sqrt(x)[:, None] / (x + 1), 0)[:, 1], [0.0, 3.0, 0.0, 2.0]),
    "two uses": (lambda x: gx.where(x > 0, gx.sqrt(x), 0) + gx.where(x > 0, gx.log(x), x), [0.0, 3.0, -1.0, 2.0]),
    "two choices": (lambda x: gx.where(x > 0, gx.sqrt(x) * gx.where(x < 1, gx.log(1 - x), x), 0), [0.0, 1.0, 0.5, 2.0]),
    "in turn": (lambda x: gx.where(x > 0, gx.log(gx.where(x > 1, gx.sqrt(x - 1), x)), 0), [0.0, 1.0, 0.5, 2.0]),
    "product of matrices": (lambda x: gx.where(gx.constant([[False], [True]]), gx.sqrt(gx.stack([x, x + 1])) @ W, 0), [0.0] * 4),
    "one matrix": (lambda x: gx.where(gx.constant([False, True]), W[:2] @ gx.sqrt(gx.stack([x, x + 1])).T, 0), [0.0] * 4),
    "two products": (lambda x: gx.where(gx.any(x > 0), gx.sqrt(x @ (W * W)) @ W, 0), [0.0, 0.0, 0.0, 0.0]),
    "scatter": (lambda x: gx.where(x > 0, gx.ops.put_add(gx.sqrt(x), ORDER, axis=0, size=4), 0)[::2], [0.0, 1.0, 2.0, 0.0]),
    "running sum": (lambda x: gx.where(x > 0, gx.cumulative_sum(gx.sqrt(x)), 1), [3.0, 2.0, 0.0, 0.0]),
    "cast": (lambda x: gx.where(x > 0, gx.sqrt(x).astype("float32"), 0).astype("float64"), [0.0, 4.0, 1.0, 0.0]),
    "stopped": (lambda x: gx.where(x > 0, gx.log(x) * gx.stop_gradient(gx.log(x)), 0), [0.0, 4.0, 1.0, 0.0]),
}  # fmt: skip


def square(x: gx.Tensor) -> gx.Tensor:
    return gx.reshape(x, (2, 2))


# Functions that do not read every element of what they compute, and where an element that they do not read has no derivative.
UNREAD: dict[str, tuple[Function, list[float]]] = {
    "an element": (lambda x: gx.sqrt(x)[2], [0.0, 0.0, 2.0, 0.0]),
    "a slice": (lambda x: gx.log(x)[1:3], [0.0, 3.0, 2.0, 0.0]),
    "every second": (lambda x: gx.log(x)[1::2], [0.0, 3.0, 0.0, 2.0]),
    "backwards": (lambda x: gx.log(x)[2:0:-1] * gx.sqrt(x)[:2], [3.0, 3.0, 2.0, 0.0]),
    "flip": (lambda x: gx.flip(gx.sqrt(x))[1:3], [0.0, 3.0, 2.0, 0.0]),
    "overflow": (lambda x: gx.exp(1000 * x)[:2], [0.1, 0.2, 3.0, 2.0]),
    "infinite": (lambda x: (x * x)[1:], [math.inf, 2.0, 3.0, 1.0]),
    "no number": (lambda x: gx.tanh(gx.sqrt(x))[1:], [-1.0, 2.0, 3.0, 1.0]),
    "take": (lambda x: gx.take(gx.sqrt(x), [1, 2, 1]), [0.0, 3.0, 2.0, 0.0]),
    "take a row": (lambda x: gx.take(gx.log(square(x)), [1], axis=0), [0.0, 0.0, 2.0, 3.0]),
    "take along": (lambda x: gx.take_along_axis(gx.sqrt(square(x)), [[1], [0]], axis=1), [0.0, 3.0, 2.0, 0.0]),
    "gather": (lambda x: gx.sqrt(square(x))[gx.constant([0, 1]), gx.constant([1, 0])], [0.0, 3.0, 2.0, 0.0]),
    "diagonal": (lambda x: gx.diagonal(gx.log(square(x))), [2.0, 0.0, 0.0, 3.0]),
    "trace": (lambda x: gx.trace(gx.sqrt(square(x)) * gx.log(square(x))), [2.0, 0.0, 0.0, 3.0]),
    "tril": (lambda x: gx.tril(gx.sqrt(square(x))), [2.0, 0.0, 1.0, 3.0]),
    "triu": (lambda x: gx.triu(gx.sqrt(square(x)), 1), [0.0, 2.0, 0.0, 0.0]),
    "overwritten": (lambda x: gx.sqrt(x).at[1:3].set(x[0]), [2.0, 0.0, 0.0, 3.0]),
    "written over": (lambda x: gx.zeros(3).at[gx.constant([1, 1, 0, 2])].set(gx.sqrt(x)), [0.0, 3.0, 2.0, 3.0]),
    "padded": (lambda x: gx.pad(gx.sqrt(x), 2)[3:5], [0.0, 3.0, 2.0, 0.0]),
    "joined": (lambda x: gx.concat([gx.sqrt(x), x])[3:], [0.0, 0.0, 0.0, 3.0]),
    "stacked": (lambda x: gx.stack([gx.sqrt(x), gx.log(x)])[:, 1], [0.0, 3.0, 0.0, 0.0]),
    "rolled": (lambda x: gx.roll(gx.sqrt(x), 1)[:2], [3.0, 0.0, 0.0, 2.0]),
    "repeated": (lambda x: gx.repeat(gx.log(x), 3)[4:8], [0.0, 3.0, 2.0, 0.0]),
    "broadcast": (lambda x: (gx.sqrt(x)[:, None] + x)[1:3], [0.0, 3.0, 2.0, 0.0]),
    "summed": (lambda x: gx.sum(gx.sqrt(square(x)), axis=1)[1:], [0.0, 0.0, 2.0, 3.0]),
    "segments": (lambda x: gx.segment_sum(gx.sqrt(x), [0, 1, 2, 0], 3)[1:], [0.0, 3.0, 2.0, 0.0]),
    "largest of segments": (lambda x: gx.segment_max(gx.sqrt(x), [0, 1, 1, 0], 2), [0.0, 3.0, 2.0, 1.0]),
    "smallest of segments": (lambda x: gx.segment_min(-gx.sqrt(x), [0, 1, 1, 0], 2), [0.0, 3.0, 2.0, 1.0]),
    "max": (lambda x: gx.max(gx.sqrt(x)), [0.0, 3.0, 2.0, 0.0]),
    "min": (lambda x: gx.min(-gx.sqrt(square(x)), axis=0), [0.0, 3.0, 2.0, 0.0]),
    "maximum": (lambda x: gx.maximum(gx.log(x), -0.5), [0.0, 0.0, 2.0, 0.1]),
    "minimum": (lambda x: gx.minimum(-gx.sqrt(x), gx.stack([x[1], x[2], x[1], x[3]]) - 1), [0.0, 0.3, 2.0, 0.0]),
    "clip": (lambda x: gx.clip(gx.log(x), -2, 2) * x, [0.0, 0.0, 2.0, 100.0]),
    "argmax": (lambda x: gx.take(gx.sqrt(x), gx.argmax(x)), [0.0, 3.0, 2.0, 0.0]),
    "sort": (lambda x: gx.sort(gx.sqrt(x))[2:], [0.0, 3.0, 2.0, 0.0]),
    "top_k": (lambda x: gx.top_k(gx.sqrt(x), 2)[0], [0.0, 3.0, 2.0, 0.0]),
    "median": (lambda x: gx.median(gx.sqrt(x)[1:]), [0.0, 3.0, 2.0, 0.0]),
    "running maximum": (lambda x: gx.cummax(gx.sqrt(x))[1:], [3.0, 0.0, 2.0, 0.0]),
    "row of a product": (lambda x: (gx.sqrt(square(x)) @ W[:2, :3])[1], [0.0, 0.0, 2.0, 3.0]),
    "slice in a slice": (lambda x: gx.log(gx.sqrt(x)[1:])[:2], [0.0, 3.0, 2.0, 0.0]),
    "two slices": (lambda x: gx.sqrt(x)[1] * gx.sqrt(x)[2] + gx.log(x)[1], [0.0, 3.0, 2.0, 0.0]),
    "two slices of one": (lambda x: (lambda y: y[1:2] * y[2:3])(gx.sqrt(x)), [0.0, 3.0, 2.0, 0.0]),
}  # fmt: skip
EVERY = {**CHOICES, **{f"{name}, unread": case for name, case in UNREAD.items()}}


def derivatives(f: Function, x: gx.Tensor) -> list[gx.Tensor]:
    """Of first and second order, backwards, forwards and mixed, each in another direction."""
    y = f(x)
    weights = gx.reshape(gx.arange(1, y.size + 1, dtype="float64"), y.shape)
    g = gx.vjp(y, x, weights)
    v = gx.constant([1.0, -2.0, 3.0, 0.5])
    again = gx.grad(gx.sum(g * v), x, unconnected="zero")  # of what is linear
    return [g, gx.jvp(y, x, v), again, gx.hvp(gx.sum(y * weights), x, v), gx.jvp(gx.jvp(y, x, v), x, v)]


@BACKENDS
@pytest.mark.parametrize("name", EVERY)
def test_what_is_not_taken_makes_no_nan(name: str, backend: str) -> None:
    f, x0 = EVERY[name]
    x = gx.placeholder("x", (4,), "float64")
    found = gx.compile([x], derivatives(f, x), backend=backend)(np.array(x0))
    for what, values in zip(("vjp", "jvp", "vjp of vjp", "jvp of vjp", "jvp of jvp"), found, strict=True):
        assert np.isfinite(values).all(), f"{what}: {values}"


@pytest.mark.parametrize("name", sorted(EVERY.keys() - {"cast", "stopped"}))  # float32, and no derivative
def test_what_is_taken_keeps_its_gradient(name: str) -> None:
    """At values for which everything is smooth, the derivatives are those of the values."""
    f, _ = EVERY[name]
    if name == "overflow, unread":
        return
    for x0 in ([0.5, 0.3, 0.6, 0.7], [0.31, 0.52, 0.83, 0.44]):
        testing.check_grads(f, [x0], eps=2.0**-6)


def test_a_taken_branch_may_have_an_infinite_gradient() -> None:
    x = gx.placeholder("x", (2,), "float64")
    found = at(gx.grad(gx.sum(gx.where(x >= 0, gx.sqrt(x), 0)), x), {x: [0.0, -1.0]})
    assert found.tolist() == [math.inf, 0.0]


def test_a_choice_costs_nothing_where_nothing_is_multiplied() -> None:
    """The gradient of relu and a sum has one choice, and none behind a product of matrices."""
    x, w = gx.placeholder("x", (3, 4), "float64"), gx.placeholder("w", (4, 5), "float64")
    gradients = gx.grad(gx.sum(gx.nn.relu(gx.tanh(x) @ w + 1)), [x, w])
    graph = gx.compile([x, w], gradients, backend="interpreter").graph
    assert [n.op.name for n in graph.nodes].count("where") == 1
    assert not {n.op.name for n in graph.nodes} & {"logical_and", "logical_or", "any"}


@pytest.mark.parametrize("name", UNREAD)
def test_what_is_not_read_has_the_gradient_zero(name: str) -> None:
    """Elements on which the value does not depend: it stays when they change."""
    f, x0 = UNREAD[name]
    x = gx.placeholder("x", (4,), "float64")
    run = gx.compile([x], [f(x), gx.vjp(f(x), x, gx.ones_like(f(x)))], backend="interpreter")
    value, g = run(np.array(x0))
    for place in range(4):
        moved = np.array(x0)
        moved[place] = moved[place] + 0.01 if moved[place] != 0 else 0.01
        same = np.array_equal(run(moved)[0], value) and np.isfinite(moved[place])
        assert np.isfinite(g[place])
        assert (g[place] == 0) == same or (g[place] == 0 and not np.isfinite(x0[place]))


def test_what_is_read_keeps_an_infinite_gradient() -> None:
    x = gx.placeholder("x", (3,), "float64")
    found = at(gx.grad(gx.sum(gx.sqrt(x)[:2]), x), {x: [0.0, 4.0, 0.0]})
    assert found.tolist() == [math.inf, 0.25, 0.0]
    found = at(gx.grad(gx.max(gx.sqrt(x)), x), {x: [0.0, 0.0, 0.0]})
    assert found.tolist() == [math.inf] * 3


@pytest.mark.parametrize("size", [4, "n"])
def test_slices_that_make_up_the_whole_cost_nothing(size: Any) -> None:
    """The parts of a product are all of it: nothing is chosen once more. One part of it is not."""
    x, w = gx.placeholder("x", (size, 4), "float64"), gx.placeholder("w", (4, 12), "float64")

    def choices(*parts: Any) -> int:
        y = gx.tanh(x @ w)
        total = gx.sum(gx.concat([gx.sin(y[part]) for part in parts], axis=None))
        graph = gx.compile([x, w], gx.grad(total, [x, w]), backend="interpreter").graph
        return [n.op.name for n in graph.nodes].count("where")

    columns = [(slice(None), slice(a, a + 4)) for a in (4, 0, 8)]
    assert choices(*columns) == 0
    assert choices((slice(None), slice(None, 6)), (slice(None), slice(11, 5, -1))) == 0
    assert choices((slice(2, 4),), (slice(None, 2),), (slice(4, None),)) == 0 or size == "n"  # which may be less than 4
    assert choices(*columns[:2]) > 0
    assert choices((slice(None), slice(0, 5)), (slice(None), slice(6, 12))) > 0  # a column is left out
    assert choices((slice(None), slice(None, None, 2))) > 0
    assert choices((slice(None), slice(0, 6)), (slice(None), slice(6, None, 2))) > 0
    if size == 4:
        assert choices((slice(2), slice(6)), (slice(2, None), slice(6, None))) > 0  # two corners


def test_an_embedding_costs_nothing() -> None:
    """A table is looked up, and nothing is multiplied behind that."""
    table, places = gx.placeholder("table", (7, 3), "float64"), gx.placeholder("places", ("n",), "int64")
    graph = gx.compile([table, places], gx.grad(gx.sum(gx.tanh(gx.take(table, places, axis=0))), table)).graph
    assert not {n.op.name for n in graph.nodes} & {"where", "not_equal", "any"}
    assert [n.op.name for n in graph.nodes].count("put_add") == 1


def test_choices_along_a_deep_chain() -> None:
    x = y = gx.placeholder("x", (3,), "float64")
    for _ in range(2000):
        y = gx.nn.relu(y * x)
    found = at(gx.grad(gx.sum(y), x), {x: [1.0, -1.0, 0.0]})
    assert found.tolist() == [2001.0, 0.0, 0.0]


# --- kinks: the table of docs/gradients.md ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "f, x0, want",
    [
        (gx.abs, 0.0, 0.0),
        (gx.abs, -0.0, 0.0),
        (gx.sign, 0.0, 0.0),
        (lambda x: gx.maximum(x, 1.0), 1.0, 0.5),
        (lambda x: gx.minimum(1.0, x), 1.0, 0.5),
        (lambda x: gx.maximum(x, x), 1.0, 1.0),
        (gx.nn.relu, 0.0, 0.0),
        (lambda x: gx.clip(x, 0, 1), 0.0, 0.5),
        (lambda x: gx.clip(x, 0, 1), 1.0, 0.5),
        (lambda x: gx.clip(x, 0, 1), 2.0, 0.0),
        (gx.sqrt, 0.0, math.inf),
        (gx.cbrt, 0.0, math.inf),
        (gx.log, 0.0, math.inf),
        (lambda x: gx.hypot(x, 0.0), 0.0, 0.0),
        (lambda x: gx.atan2(x, 0.0), 0.0, math.nan),
        (lambda x: gx.atan2(x, x), 0.0, math.nan),
        (lambda x: gx.sqrt(x * x), 0.0, 0.0),
        (lambda x: gx.sqrt(x * x), -2.0, -1.0),
        (lambda x: gx.sqrt(gx.abs(x)), 0.0, 0.0),
        (lambda x: gx.cbrt(x * x), 0.0, 0.0),
        (lambda x: gx.sqrt(x * x * x), 0.0, math.nan),  # is negative elsewhere
        (lambda x: gx.sqrt(x + x), 0.0, math.inf),
        (lambda x: gx.sqrt(1 - gx.cos(x)), 0.0, math.nan),  # nothing says that it is never negative
        (lambda x: gx.abs(x) ** 0.25, 0.0, 0.0),
        (lambda x: x**0.25, 0.0, math.inf),
        *((f, x0, 0.0) for f in (gx.floor, gx.ceil, gx.round, gx.trunc) for x0 in (0.0, 0.5)),
        (lambda x: gx.astype(x > 0, "float64") + gx.astype(gx.astype(x, "int64"), "float64"), 0.0, 0.0),
        (lambda x: gx.remainder(x, 2.0), 4.0, 1.0),
        (lambda x: gx.remainder(4.0, x), 2.0, -2.0),
        (lambda x: gx.fmod(x, 2.0), -4.0, 1.0),
        (lambda x: x**0.0, 0.0, 0.0),
        (lambda x: gx.pow(x, gx.constant(2.0)), 0.0, 0.0),
        (lambda x: gx.pow(x, gx.constant(1.0)), 0.0, 1.0),
        (lambda x: gx.pow(gx.constant(0.0), x), 2.0, 0.0),
        (lambda x: gx.where(x > 0, x, 2 * x), 0.0, 2.0),
    ],
)
def test_the_convention_at_kinks_of_one_number(f: Function, x0: float, want: float) -> None:
    assert slope(f, x0) == want or (math.isnan(want) and math.isnan(slope(f, x0)))


@pytest.mark.parametrize(
    "f, x0, want",
    [
        (gx.max, [1.0, 3.0, 3.0], [0.0, 0.5, 0.5]),
        (gx.min, [1.0, 1.0, 1.0], [1 / 3, 1 / 3, 1 / 3]),
        (lambda x: gx.sqrt(gx.sum(x * x)), [0.0, 0.0, 0.0], [0.0] * 3),
        (gx.prod, [0.0, 2.0, 3.0], [6.0, 0.0, 0.0]),
        (gx.prod, [0.0, 0.0, 3.0], [0.0, 0.0, 0.0]),
        (gx.std, [1.0, 1.0, 1.0], [0.0] * 3),
        (gx.var, [1.0, 1.0, 1.0], [0.0] * 3),
        (lambda x: gx.take(x, [5, -1, 0]).sum(), [1.0, 2.0, 3.0], [1.0, 0.0, 2.0]),
    ],
)
def test_the_convention_at_kinks_of_arrays(f: Function, x0: list[float], want: list[float]) -> None:
    x = gx.placeholder("x", (3,), "float64")
    np.testing.assert_array_equal(at(gx.grad(f(x), x), {x: x0}), want)


NORMS: dict[str, Function] = {
    "root of the sum of squares": norm,
    "x @ x": lambda x: gx.sqrt(x @ x),
    "power of a sum": lambda x: (x * x).sum() ** 0.5,
    "squares by **": lambda x: gx.sum(x**2) ** 0.5,
    "squares by square": lambda x: gx.sqrt(gx.mean(gx.square(x))),
    "squares by pow": lambda x: gx.sqrt(gx.sum(gx.pow(x, gx.constant(2.0)))),
    "squares of magnitudes": lambda x: gx.sqrt(gx.sum(gx.abs(x) ** 2)),
    "a square written twice": lambda x: gx.sqrt(gx.sum((x + 0) * (x + 0))),
    "weighted": lambda x: gx.sqrt(gx.sum(x * x * gx.constant([1.0, 2.0, 0.5]))),
    "fourth powers": lambda x: gx.sum(x**4) ** 0.25,
    "a sum of two": lambda x: gx.sqrt(x[0] * x[0] + gx.sum(x[1:] ** 2)),
    "chosen": lambda x: gx.sqrt(gx.sum(gx.where(x > -1, x * x, 0))),
    "vecdot": lambda x: gx.sqrt(gx.vecdot(x, x)),
    "einsum": lambda x: gx.sqrt(gx.einsum("i,i->", x, x)),
    "einsum of rows": lambda x: gx.sqrt(gx.einsum("bi,bi->b", *[gx.broadcast_to(x, (2, 3))] * 2)),
    "tensordot": lambda x: gx.sqrt(gx.tensordot(x, x, 1)),
    "a row by a column": lambda x: gx.sqrt(gx.expand_dims(x, 0) @ gx.expand_dims(x, 1)),
    "a row by its transpose": lambda x: gx.sqrt(gx.expand_dims(x, 0) @ gx.expand_dims(x, 0).T),
    "segments": lambda x: gx.sqrt(gx.segment_sum(x * x, [0, 1, 0], 2)),
    "running sum": lambda x: gx.sqrt(gx.cumulative_sum(x * x)),
    "padded": lambda x: gx.sqrt(gx.concat([gx.pad(x * x, 1), gx.take(x * x, [0, 2])])),
    "diagonal": lambda x: gx.sqrt(gx.diagonal(gx.diag(x * x))),
    "largest": lambda x: gx.sqrt(gx.max(x * x)),
    "hypot": lambda x: gx.hypot(gx.hypot(x[0], x[1]), x[2]),
    "cast": lambda x: gx.sqrt(gx.sum((x * x).astype("float32"))),
    "root of a root": lambda x: gx.sqrt(norm(x)),
    "cube root": lambda x: gx.cbrt(gx.sum(x * x)),
    "linalg.norm": gx.linalg.norm,
    "distance": lambda x: gx.sqrt(gx.sum((x - 2 * x) ** 2)),
    "std": gx.std,
    "nanstd": gx.nanstd,
    "nanstd, corrected": lambda x: gx.nanstd(gx.concat([x, [math.nan]]), correction=1),
    "std, corrected": lambda x: gx.std(x, correction=1),
    "std, corrected by a fraction": lambda x: gx.std(x, correction=0.5),
    **{f"vector_norm, {o}": lambda x, o=o: gx.linalg.vector_norm(x, ord=o)  # type: ignore[misc]
       for o in (0.5, 1, 1.5, 2, 3, 4, math.inf, -math.inf, -0.5, -1, -2)},
    **{f"matrix_norm, {o}": lambda x, o=o: gx.linalg.matrix_norm(gx.stack([x, 2 * x]), ord=o)  # type: ignore[misc]
       for o in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf)},
}  # fmt: skip


@BACKENDS
@pytest.mark.parametrize("name", NORMS)
def test_the_gradient_of_a_norm_at_zero_is_zero(name: str, backend: str) -> None:
    """Also the second, backwards and forwards; and a norm of order below 1 where a single element is 0."""
    x = gx.placeholder("x", (3,), "float64")
    y = gx.sum(NORMS[name](x))
    v = gx.constant([1.0, -2.0, 0.5])
    g = gx.grad(y, x)
    for found in gx.compile([x], [g, gx.jvp(y, x, v), gx.grad(gx.sum(g * v), x), gx.hvp(y, x, v)], backend=backend)(np.zeros(3)):
        np.testing.assert_array_equal(found, np.zeros_like(found))


@pytest.mark.parametrize("name", sorted(NORMS.keys() - {"cast", "vector_norm, inf", "vector_norm, -inf", "largest"}))
def test_the_gradient_of_a_norm_elsewhere_is_its_own(name: str) -> None:
    testing.check_grads(NORMS[name], [[0.31, -0.52, 0.83]], eps=2.0**-8, order=1)


def test_a_root_is_level_only_where_what_it_is_taken_of_is() -> None:
    """By the square itself the root is the lone root; a square of something else is no sum of squares of this."""
    x, y = gx.placeholder("x", (2,), "float64"), gx.placeholder("y", (2,), "float64")
    squares = x * x
    assert at(gx.grad(gx.sum(gx.sqrt(squares)), squares), {x: [0.0, 2.0]}).tolist() == [math.inf, 0.25]
    total = gx.sum(squares)
    assert at(gx.grad(gx.sqrt(total), squares), {x: [0.0, 0.0]}).tolist() == [math.inf] * 2
    assert at(gx.grad(gx.sum(gx.sqrt(x * y)), x), {x: [0.0, 4.0], y: [1.0, 1.0]}).tolist() == [math.inf, 0.25]
    assert at(gx.grad(gx.sqrt(x @ y), x), {x: [0.0, 0.0], y: [1.0, 1.0]}).tolist() == [math.inf] * 2
    assert at(gx.grad(gx.sum(gx.sqrt(x - 1)), x), {x: [1.0, 2.0]}).tolist() == [math.inf, 0.5]
    assert at(gx.grad(gx.sum(gx.sqrt((x * x) * -x)), x), {x: [-1.0, -4.0]}).tolist() == [-1.5, -3.0]
    assert at(gx.grad(gx.sum(gx.sqrt(gx.abs(x) * y)), y), {x: [4.0, 1.0], y: [0.0, 1.0]}).tolist() == [math.inf, 0.5]
    assert at(gx.grad(gx.sum(gx.sqrt(gx.maximum(x, 0.0))), x), {x: [4.0, 1.0]}).tolist() == [0.25, 0.5]
    assert at(gx.grad(gx.sum(gx.sqrt(gx.pow(x, gx.constant(3.0)))), x), {x: [4.0, 1.0]}).tolist() == [3.0, 1.5]
    cubes = at(gx.grad(gx.sum(gx.sqrt(gx.pow(x, gx.constant(3.0)))), x), {x: [0.0, 1.0]})
    np.testing.assert_array_equal(cubes, [math.nan, 1.5])
    m = gx.placeholder("m", (2, 2), "float64")
    turned = gx.sqrt(gx.reshape(m, (1, 4)) @ gx.reshape(m.T, (4, 1)))  # a a + 2 b c + d d
    assert at(gx.grad(gx.sum(turned), m), {m: [[0.0, 1.0], [0.0, 0.0]]})[1, 0] == math.inf


def test_a_root_of_what_is_never_zero_costs_nothing() -> None:
    """Nor the one of a normalisation: mean of squares + eps."""
    x = gx.placeholder("x", (3, 4), "float64")
    graph = gx.compile([x], gx.grad(gx.sum(gx.nn.layer_norm(x) ** 3), x), backend="interpreter").graph
    assert "where" not in {n.op.name for n in graph.nodes}


def test_the_partial_derivative_of_a_norm_of_order_below_one_where_an_element_is_zero() -> None:
    x = gx.placeholder("x", (3,), "float64")
    found = at(gx.grad(gx.linalg.vector_norm(x, ord=0.5), x), {x: [0.0, 4.0, -1.0]})
    np.testing.assert_allclose(found, [0.0, 1.5, -3.0], rtol=1e-15)  # (2 + 1) / sqrt|x|


# --- second derivatives ----------------------------------------------------------------------------------------------


def all_hessians(y: gx.Tensor, x: gx.Tensor, x0: Array) -> list[Array]:
    """The Hessian in three ways: at once, row by row backwards, row by row forwards."""
    g = gx.grad(y, x)
    units = np.eye(x0.size)
    return [
        at(gx.hessian(y, x), {x: x0}),
        np.stack([at(gx.grad(g[i], x), {x: x0}) for i in range(x0.size)]),
        np.stack([at(gx.hvp(y, x, units[i]), {x: x0}) for i in range(x0.size)]),
    ]


def test_the_second_derivative_of_the_norm() -> None:
    x, x0 = gx.placeholder("x", (4,), "float64"), np.array([1.0, -2.0, 0.5, 3.0])
    n = np.sqrt(x0 @ x0)
    for found in all_hessians(norm(x), x, x0):
        np.testing.assert_allclose(found, np.eye(4) / n - np.outer(x0, x0) / n**3, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("shift", [0.0, 1000.0, -1000.0])
def test_the_second_derivatives_of_softmax_and_logsumexp(shift: float) -> None:
    x, x0 = gx.placeholder("x", (4,), "float64"), np.array([1.0, -2.0, 0.5, 3.0]) + shift
    p = np.exp(x0 - x0.max())
    p /= p.sum()
    one = np.diag(p) - np.outer(p, p)
    for found in all_hessians(gx.nn.logsumexp(x), x, x0):
        np.testing.assert_allclose(found, one, rtol=1e-12, atol=1e-15)
    w = np.array([0.3, -1.0, 2.0, 0.7])
    q = p * (w - p @ w)  # the gradient of w . softmax; its derivative by the product rule
    two = np.diag(q) - np.outer(p, q) - np.outer(q, p)
    for found in all_hessians(gx.sum(gx.nn.softmax(x) * w), x, x0):
        np.testing.assert_allclose(found, two, rtol=1e-12, atol=1e-15)


@BACKENDS
@pytest.mark.parametrize(
    "x0", [[1.0, 2, 3, 4], [0.0, 2, 3, 4], [0.0, 2, 0, 4], [2.0, 0, -3, -0.0], [0.0, 0, 0, 4], [0.0, 0, 0, 0]], ids=str
)
def test_the_second_derivative_of_a_product_is_exact_at_zeros(x0: list[float], backend: str) -> None:
    x = gx.placeholder("x", (4,), "float64")
    want = [[np.prod([v for k, v in enumerate(x0) if k not in (i, j)]) if i != j else 0.0 for j in range(4)] for i in range(4)]
    np.testing.assert_array_equal(at(gx.hessian(gx.prod(x), x), {x: x0}, backend), want)
    both = gx.placeholder("both", (2, 4), "float64")
    first = at(gx.grad(gx.sum(gx.prod(both, axis=1)), both), {both: [x0, [1, 1, 0, 2]]}, backend)
    np.testing.assert_array_equal(first[0], [np.prod(np.delete(x0, i)) for i in range(4)])
    np.testing.assert_array_equal(first[1], [0, 0, 2, 0])


# --- jacobian, hessian, hvp ------------------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("shape", [(2,), (3, 2), (2, 7), ()])
def test_jacobians_of_more_and_of_fewer_values_than_arguments(shape: tuple[int, ...], backend: str) -> None:
    """Backwards where there are fewer values, forwards where there are more: rows and columns agree with single ones."""
    rng = np.random.default_rng(3)
    x = gx.placeholder("x", (2, 3), "float64")
    w = gx.constant(rng.normal(size=(6, int(np.prod(shape)))))
    y = gx.tanh(gx.reshape(gx.reshape(gx.sin(x) * x, (1, 6)) @ w, shape))
    x0 = rng.normal(size=(2, 3))
    found = at(gx.jacobian(y, x), {x: x0}, backend)
    assert found.shape == (*shape, 2, 3)
    for place in np.ndindex(*shape):
        np.testing.assert_allclose(found[place], at(gx.grad(y[place], x), {x: x0}), rtol=1e-12, atol=1e-14)


def test_a_jacobian_is_one_pass_whatever_its_size() -> None:
    def nodes(n: int) -> int:
        x, w = gx.placeholder("x", (n,), "float64"), gx.placeholder("w", (n, n), "float64")
        return len(topological([gx.jacobian(gx.tanh(w @ gx.tanh(w @ x)), x)]))

    assert nodes(3) == nodes(300)


def test_a_jacobian_of_symbolic_size() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    f = gx.compile([x], [gx.jacobian(x[::-1] * x, x), gx.hessian(gx.sum(x**3), x)])
    for n in (0, 1, 2, 5):
        v = np.arange(1.0, n + 1)
        first, second = f(v)
        np.testing.assert_array_equal(first, np.diag(v[::-1]) + np.diag(v)[:, ::-1])
        np.testing.assert_array_equal(second, np.diag(6 * v))


def test_a_hessian_vector_product_is_the_hessian_times_the_vector() -> None:
    x, w = gx.placeholder("x", (3,), "float64"), gx.placeholder("w", (3, 3), "float64")
    y = gx.sum(gx.exp(gx.tanh(w @ x)))
    rng = np.random.default_rng(5)
    values = {x: rng.normal(size=3), w: rng.normal(size=(3, 3))}
    v = rng.normal(size=3)
    np.testing.assert_allclose(at(gx.hvp(y, x, v), values), at(gx.hessian(y, x), values) @ v, rtol=1e-12)
    both = gx.compile(list(values), gx.hvp(y, [x, w], [v, np.zeros((3, 3))]))(*values.values())
    np.testing.assert_allclose(both[0], at(gx.hessian(y, x), values) @ v, rtol=1e-12)
    assert both[1].shape == (3, 3)


# --- vmap ------------------------------------------------------------------------------------------------------------


@walk.each(walk.OPERATIONS)
def test_every_operation_takes_a_leading_axis(op: Operation) -> None:
    """As many times as there are elements: all operands with the axis, and each alone; then its gradient."""
    rng = walk.rng_of(op)
    for case in walk.cases(op):
        if not case.types or any(x.dtype.name not in ("float64", "bool", "int64", "int32") for x in case.types):
            continue
        for part, kind in enumerate(walk.parts(case.result)):
            check_leading_axis(case, part, kind, rng)


def check_leading_axis(case: walk.Case, part: int, kind: TensorType, rng: np.random.Generator) -> None:
    """One result of an operation."""
    op, n = case.op, len(case.types)

    def value(*xs: Any) -> Any:
        return walk.parts(op(*xs, **case.sample.attrs))[part]

    def reference(*xs: Any) -> Any:
        return np.asarray(walk.parts(op.reference(*xs, **case.sample.attrs))[part])

    for several in [(True,) * n, *(tuple(i == k for i in range(n)) for k in range(n))]:
        arrays = [np.stack([draw[i] for draw in (case.arrays(rng) for _ in range(3))]) for i in range(n)]
        given = [a if many else a[0] for a, many in zip(arrays, several, strict=True)]
        shapes = [("n", *a.shape[1:]) if many else a.shape for a, many in zip(given, several, strict=True)]
        xs = [gx.placeholder(f"x{i}", shape, a.dtype) for i, (shape, a) in enumerate(zip(shapes, given, strict=True))]
        y = gx.vmap(value, in_axes=tuple(0 if many else None for many in several))(*xs)
        singles = [[a[k] if many else a for a, many in zip(given, several, strict=True)] for k in range(3)]
        results, symbol = [y], gx.placeholder("g", y.shape, y.dtype)
        if y.dtype.is_float and op.vjp is not None:
            g = rng.uniform(0.5, 1.5, (3, *kind.shape)).astype(kind.dtype.numpy)
            wrt = [x for x in xs if x.dtype.is_float]
            results += gx.vjp([y], wrt, [symbol])
        inputs = xs if len(results) == 1 else [*xs, symbol]
        found = gx.compile(inputs, results, backend="interpreter", passes=())(*given, *([] if inputs is xs else [g]))
        wanted = np.stack([reference(*one) for one in singles])
        np.testing.assert_allclose(found[0], wanted, rtol=1e-14, atol=1e-14, err_msg=str(case))
        assert found[0].dtype == kind.dtype.numpy
        if len(results) > 1:
            small = [gx.placeholder(f"x{i}", x.shape, x.dtype) for i, x in enumerate(case.types)]
            cot = gx.placeholder("g", kind.shape, kind.dtype)
            pulled = gx.vjp([value(*small)], [x for x in small if x.dtype.is_float], [cot])
            run = gx.compile([*small, cot], pulled, backend="interpreter", passes=())
            each = [run(*one, g[k].astype(kind.dtype.numpy)) for k, one in enumerate(singles)]
            flags = [many for x, many in zip(xs, several, strict=True) if x.dtype.is_float]
            for i, many in enumerate(flags):
                want = np.stack([e[i] for e in each]) if many else sum(e[i] for e in each)
                np.testing.assert_allclose(found[1 + i], want, rtol=1e-12, atol=1e-12, err_msg=str(case))


@BACKENDS
def test_vmap_of_vmap_and_axes(backend: str) -> None:
    a, b = gx.placeholder("a", (5, 3, 2), "float64"), gx.placeholder("b", (2, 4), "float64")
    rng = np.random.default_rng(1)
    values = {a: rng.normal(size=(5, 3, 2)), b: rng.normal(size=(2, 4))}

    def inner(u: gx.Tensor, v: gx.Tensor) -> gx.Tensor:
        return gx.flip(u) * v + gx.sum(gx.take(u, [1, 0, 0])) * gx.concat([v, u])[1:3]

    pairs = gx.vmap(gx.vmap(inner, in_axes=(None, 1)), in_axes=(0, None), out_axes=2)
    y = gx.vmap(pairs, in_axes=(0, None))(a, b)
    assert y.shape == (5, 4, 2, 3)
    u, v = values[a][:, :, None, :], values[b].T[None, None]
    s = u[..., 1] + 2 * u[..., 0]
    joined = np.concatenate(np.broadcast_arrays(v, u), axis=-1)[..., 1:3]
    want = np.moveaxis(u[..., ::-1] * v + s[..., None] * joined, 1, 3)
    np.testing.assert_allclose(at(y, values, backend), want, rtol=1e-13)
    rebuilt = parse(str(gx.compile([a, b], y, backend="interpreter", passes=()).graph))
    assert str(rebuilt.outputs[0].type) == str(y.type)


def test_vmap_of_gradients_gives_gradients_for_every_example() -> None:
    x, t = gx.placeholder("x", ("n", 3), "float64"), gx.placeholder("t", ("n",), "int64")
    w = gx.placeholder("w", (3, 4), "float64")

    def gradient(x: gx.Tensor, t: gx.Tensor) -> gx.Tensor:
        return gx.grad(gx.nn.cross_entropy(x[None] @ w, t[None]), w)

    f = gx.compile([x, t, w], gx.vmap(gradient)(x, t))
    rng = np.random.default_rng(2)
    xs, ts, ws = rng.normal(size=(6, 3)), rng.integers(0, 4, 6), rng.normal(size=(3, 4))
    p = np.exp(xs @ ws)
    p = p / p.sum(1, keepdims=True) - np.eye(4)[ts]
    np.testing.assert_allclose(f(xs, ts, ws), xs[:, :, None] * p[:, None], rtol=1e-12)


def test_a_map_repeats_nothing() -> None:
    x = gx.placeholder("x", (50, 3), "float64")
    for f in (gx.cumulative_sum, gx.sum, gx.flip, gx.sin, lambda v: gx.outer(v, v) @ v):
        assert len(topological([gx.vmap(f)(x)])) < 10


def test_vmap_says_what_is_wrong() -> None:
    a, b = gx.placeholder("a", (2, 3), "float64"), gx.placeholder("b", (4, 3), "float64")
    with pytest.raises(ShapeError, match=r"vmap needs one size along the axes of add's arguments, got 2, 4"):
        gx.vmap(gx.add)(a, b)
    with pytest.raises(ShapeError, match="got no axis"):
        gx.vmap(gx.sin, in_axes=None)(a)
    with pytest.raises(ShapeError, match="in_axes has 3 axes for 2 arguments"):
        gx.vmap(gx.add, in_axes=(0, 0, 0))(a, a)
    with pytest.raises(ShapeError, match="axis 5 is out of range"):
        gx.vmap(gx.sin, in_axes=5)(a)
    with pytest.raises(GradientError, match="must give symbols, got float"):
        gx.vmap(lambda x: 1.0)(a)


# --- custom_gradient -------------------------------------------------------------------------------------------------


@gx.custom_gradient
def log1pexp(x: gx.Tensor) -> tuple[gx.Tensor, Callable[[gx.Tensor], gx.Tensor]]:
    """JAX's example: stable where the derivative by the chain rule is inf / inf."""
    e = gx.exp(x)
    return gx.log(1 + e), lambda g: g * (1 - 1 / (1 + e))


@BACKENDS
def test_a_rule_of_the_user_s_to_second_order(backend: str) -> None:
    x = gx.placeholder("x", (), "float64")
    g = gx.grad(log1pexp(x), x)
    assert float(at(g, {x: 1000.0}, backend)) == 1.0
    s = 1 / (1 + math.exp(-0.7))
    assert float(at(g, {x: 0.7}, backend)) == pytest.approx(s, rel=1e-15)
    assert float(at(gx.grad(g, x), {x: 0.7}, backend)) == pytest.approx(s * (1 - s), rel=1e-14)
    assert float(at(gx.jvp(log1pexp(x), x, 2.0), {x: 0.7}, backend)) == pytest.approx(2 * s, rel=1e-15)
    assert float(at(gx.hvp(log1pexp(x), x, 2.0), {x: 0.7}, backend)) == pytest.approx(2 * s * (1 - s), rel=1e-14)
    testing.check_grads(log1pexp, [np.linspace(-2, 2, 5)])


def test_a_rule_is_used_instead_of_the_gradient() -> None:
    @gx.custom_gradient
    def doubled(x: gx.Tensor, y: gx.Tensor) -> Any:
        return x * y, lambda g: (2 * g * y, None)

    x, y = gx.placeholder("x", (3,), "float64"), gx.placeholder("y", (3,), "float64")
    values = {x: [1.0, 2, 3], y: [4.0, 5, 6]}
    gradients = gx.grad(gx.sum(doubled(x, y)), [x, y])
    assert at(gradients[0], values).tolist() == [8, 10, 12]
    assert at(gradients[1], values).tolist() == [0, 0, 0]
    mapped = gx.vmap(gx.vmap(lambda a, b: doubled(a, b)))(x[None], y[None])
    assert at(gx.grad(gx.sum(mapped), x), values).tolist() == [8, 10, 12]


def test_a_rule_prints_by_its_name_and_vanishes() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    f = gx.compile([x], [log1pexp(x), gx.grad(gx.sum(log1pexp(x)), x)], backend="interpreter")
    before = str(f.stages[0][1])
    assert 'with_gradient(%3, %x, rule="log1pexp")' in before
    assert "with_gradient" not in str(f.graph)
    assert sum(n.op.name == "exp" for n in f.graph.nodes) == 1
    again = parse(before)
    with pytest.raises(GradientError, match="the gradient rule log1pexp is not known"):
        gx.grad(gx.sum(again.outputs[0]), again.inputs[0])


@pytest.mark.parametrize(
    "f, message",
    [
        (lambda x: x, "must give its value and a rule"),
        (lambda x: (x, lambda g: (g, g)), "gives 2 cotangents for 1 arguments"),
        (lambda x: (x, lambda g: gx.sum(g)), r"gives a cotangent f64\[\] of an argument f64\[3\]"),
    ],
)
def test_rules_that_do_not_fit(f: Any, message: str) -> None:
    x = gx.placeholder("x", (3,), "float64")
    with pytest.raises(GradientError, match=message):
        gx.grad(gx.sum(gx.custom_gradient(f)(x)), x)


# --- checkpoint ------------------------------------------------------------------------------------------------------


def network(depth: int, each: int, around: Callable[[Any], Any], act: Any, batch: int, width: int) -> gx.Compiled:
    """A training step of a deep network, with `around` every `each` layers."""
    rng = np.random.default_rng(0)
    x = gx.placeholder("x", (batch, width), "float32")
    scale = np.float32(width**-0.5)
    weights = [gx.variable(rng.normal(size=(width, width)).astype("float32") * scale, name=f"w{i}") for i in range(depth)]
    h = x
    for first in range(0, depth, each):

        def layers(h: gx.Tensor, own: Any = weights[first : first + each]) -> gx.Tensor:
            for w in own:
                h = act(h @ w)
            return h

        h = around(layers)(h)
    loss = gx.sum(h * h)
    updates = {w: w - 0.01 * g for w, g in zip(weights, gx.grad(loss, weights), strict=True)}
    return gx.compile([x], [loss, *updates.values()], updates)


def test_checkpoint_saves_memory_and_changes_no_bit() -> None:
    for act, part in ((gx.tanh, 0.5), (gx.nn.gelu, 0.5)):
        kept = network(32, 6, lambda f: f, act, 512, 32)
        again = network(32, 6, gx.checkpoint, act, 512, 32)
        assert again.memory.arena <= part * kept.memory.arena, (again.memory.arena, kept.memory.arena)
        x = np.random.default_rng(1).normal(size=(512, 32)).astype("float32")
        for _ in range(2):  # the second call begins with what the first wrote
            for a, b in zip(kept(x), again(x), strict=True):
                assert a.tobytes() == b.tobytes()


@BACKENDS
def test_checkpoint_of_several_arguments_results_and_captured_values(backend: str) -> None:
    rng = np.random.default_rng(4)
    x, i = gx.placeholder("x", (3, 3), "float64"), gx.placeholder("i", (2,), "int64")
    w = gx.variable(rng.normal(size=(3, 3)), name="w")
    w2 = w * 2

    def f(x: gx.Tensor, i: gx.Tensor) -> tuple[gx.Tensor, gx.Tensor]:
        h = gx.tanh(x @ w2) @ w + x.T
        return gx.take(gx.sin(h), i), h * w2

    values = [rng.normal(size=(3, 3)), np.array([2, 0])]
    runs = []
    for made in (f, gx.checkpoint(f), gx.checkpoint(gx.checkpoint(f))):
        a, b = made(x, i)
        y = gx.sum(a * a) + gx.sum(gx.sin(b))
        gradients = gx.grad(y, [x, w])
        second = gx.grad(sum(gx.sum(gx.sin(g)) for g in gradients), [x, w])
        runs.append(gx.compile([x, i], [y, *gradients, *second, gx.jvp(y, x, np.ones((3, 3)))], backend=backend)(*values))
    for other in runs[1:]:
        for a, b in zip(runs[0], other, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", CHOICES)
def test_choices_around_and_inside_a_checkpoint(name: str) -> None:
    """The derivatives are those without it, to the bit."""
    f, x0 = CHOICES[name]
    x = gx.placeholder("x", (4,), "float64")
    outer = lambda g: lambda x: gx.where(gx.any(x > 5), g(gx.sqrt(x)), f(x))
    for plain in (f, outer(f)):
        marked = gx.checkpoint(plain) if plain is f else outer(gx.checkpoint(f))
        pairs = zip(derivatives(plain, x), derivatives(marked, x), strict=True)
        run = gx.compile([x], [y for pair in pairs for y in pair], backend="interpreter", passes=())
        found = run(np.array(x0))
        for a, b in zip(found[::2], found[1::2], strict=True):
            assert np.isfinite(a).all()
            np.testing.assert_allclose(b, a, rtol=1e-15, atol=1e-15)


def test_vmap_of_a_checkpoint() -> None:
    x = gx.placeholder("x", (3, 2), "float64")
    w = gx.constant([[1.0, 2.0], [-0.5, 0.3]])
    f = lambda x: gx.sum(gx.tanh(gx.tanh(x @ w) @ w))
    x0 = np.linspace(-1, 1, 6).reshape(3, 2)
    plain, marked = (gx.grad(gx.sum(gx.vmap(g)(x)), x) for g in (f, gx.checkpoint(f)))
    np.testing.assert_allclose(at(marked, {x: x0}), at(plain, {x: x0}), rtol=1e-14)


# --- check_grads -----------------------------------------------------------------------------------------------------


def test_check_grads_finds_what_is_wrong() -> None:
    @gx.custom_gradient
    def cube(x: gx.Tensor) -> Any:
        return x**3, lambda g: g * 3 * gx.stop_gradient(x) ** 2

    testing.check_grads(cube, [1.5], order=1)
    for modes in (("rev",), ("fwd",), ("fwd", "rev")):
        with pytest.raises(AssertionError, match="cube, order 2"):
            testing.check_grads(cube, [1.5], modes=modes)
    testing.check_grads(lambda x, i: [gx.take(x, i) * x[0], gx.sum(gx.exp(x))], [np.array([0.3, -0.4]), np.array([1, 1, 0])])
    testing.check_grads(lambda x: gx.tanh(x) * x, [np.array([0.3, -0.4], "float32")], backend="llvm")
    with pytest.raises(AssertionError):
        testing.check_grads(gx.floor, [0.0], order=1)
    with pytest.raises(ValueError, match="needs an argument of floats"):
        testing.check_grads(gx.abs, [3])
    with pytest.raises(ValueError, match="modes are"):
        testing.check_grads(gx.sin, [3.0], modes=("backwards",))


@pytest.mark.parametrize("scale", [1.0, 1e6, 1e-6])
def test_differences_reach_ten_digits(scale: float) -> None:
    for f, want in ((math.exp, 1.0), (math.sin, 1.0), (lambda t: 1 / (1 - t), 1.0), (lambda t: math.sqrt(1 + t), 0.5)):
        found, error = testing.derivative(lambda t, f=f: scale * f(t))
        assert abs(found - scale * want) <= 1e-11 * scale
        assert error <= 1e-10 * scale


# --- beside control flow ---------------------------------------------------------------------------------------------


@BACKENDS
def test_loops_in_maps_jacobians_and_checkpoints(backend: str) -> None:
    """A scan is repeated for every element; its gradient is computed again like any other."""
    x = gx.placeholder("x", (3,), "float64")
    w = gx.variable(np.array([0.5, -0.3, 0.8]), name="w")

    def run(x: gx.Tensor) -> gx.Tensor:
        last, every = gx.scan(lambda c, v: (gx.tanh(c * w + v), gx.sum(c)), x, gx.constant([[0.1, 0.2, 0.3], [0.0, 1.0, -1.0]]))
        return gx.concat([last, every])

    x0 = np.array([0.3, -0.2, 0.9])
    rows = [at(gx.grad(run(x)[i], x), {x: x0}) for i in range(5)]
    np.testing.assert_allclose(at(gx.jacobian(run(x), x), {x: x0}, backend), rows, rtol=1e-13, atol=1e-15)
    both = gx.placeholder("both", (2, 3), "float64")
    mapped = at(gx.vmap(run)(both), {both: [x0, -x0]}, backend)
    np.testing.assert_allclose(mapped, [at(run(x), {x: x0}), at(run(x), {x: -x0})], rtol=1e-13)
    again = gx.sum(gx.checkpoint(run)(x) ** 2)
    plain = gx.sum(run(x) ** 2)
    for a, b in zip(gx.grad(again, [x, w]), gx.grad(plain, [x, w]), strict=True):
        np.testing.assert_allclose(at(a, {x: x0}, backend), at(b, {x: x0}), rtol=1e-13)


# --- what the value does not depend on -------------------------------------------------------------------------------


CALLS: dict[str, Callable[..., Any]] = {
    "grad": lambda y, x, **how: gx.grad(y, x, **how),
    "grad of several": lambda y, x, **how: gx.grad(y, [x], **how)[0],
    "value_and_grad": lambda y, x, **how: gx.value_and_grad(y, x, **how)[1],
    "vjp": lambda y, x, **how: gx.vjp(y, x, 1.0, **how),
    "jacobian": lambda y, x, **how: gx.jacobian(y, x, **how),
    "jacobian, forwards": lambda y, x, **how: gx.jacobian(gx.broadcast_to(y, (5,)), x, **how)[0],
    "hessian": lambda y, x, **how: gx.hessian(y, x, **how)[0],
}


@pytest.mark.parametrize("name", CALLS)
def test_what_the_value_does_not_depend_on_is_zero_and_named(name: str) -> None:
    x, other = gx.placeholder("x", (3,), "float64"), gx.placeholder("other", (3,), "float64")
    y, call = gx.sum(x * x), CALLS[name]
    verb = name.partition(",")[0].partition(" ")[0]
    verb = {"value_and_grad": "grad", "hessian": "grad"}.get(verb, verb)
    with pytest.warns(GraphWarning) as seen:
        g = call(y, other)
    assert len(seen) == 1
    problem = f"{verb}: the value does not depend on other: f64[3]"
    hint = "  hint: leave it out, or say unconnected='zero'"
    assert str(seen[0].message) == f"{problem}: the gradient is 0\n{hint}"
    assert seen[0].filename == __file__
    assert not at(g, {x: [1.0, 2.0, 3.0], other: [1.0, 2.0, 3.0]}).any()
    g = call(y, other, unconnected="zero")  # a warning would be an error here
    assert not at(g, {x: [1.0, 2.0, 3.0], other: [1.0, 2.0, 3.0]}).any()
    with pytest.raises(GradientError) as caught:
        call(y, other, unconnected="error")
    assert caught.value.message == problem
    assert caught.value.where is not None
    assert caught.value.where.file == __file__
    assert call(y, x, unconnected="error").shape[-1] == 3
    with pytest.raises(InputError, match="unconnected is 'none'"):
        call(y, x, unconnected="none")


def test_all_that_is_not_connected_is_in_one_warning() -> None:
    x, w = gx.placeholder("x", (3,), "float64"), gx.variable(np.zeros(2), name="w")
    h = gx.tanh(w)
    both = r"depend on w: f64\[2\], tanh of f64\[2\] \(test_gradients.py.*\): the gradients are 0"
    with pytest.warns(GraphWarning, match=both) as seen:
        found = gx.grad(gx.sum(x), [w, x, h])
    assert len(seen) == 1
    assert [g.shape for g in found] == [(2,), (3,), (2,)]


def test_what_the_value_depends_on_without_a_gradient_is_silent() -> None:
    """Through integers, comparisons, or stop_gradient; and the second derivatives of what is linear."""
    x = gx.placeholder("x", (3,), "float64")
    for y in (gx.sum(gx.floor(x)), gx.sum(gx.where(x > 0, 1.0, 2.0)), gx.sum(gx.stop_gradient(x))):
        assert not at(gx.grad(y, x), {x: [1.0, 2.0, 3.0]}).any()
        gx.grad(y, x, unconnected="error")
    assert not at(gx.hessian(gx.sum(x), x), {x: [1.0, 2.0, 3.0]}).any()
    assert not at(gx.hvp(gx.sum(x), x, gx.ones(3)), {x: [1.0, 2.0, 3.0]}).any()


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_optimisers_name_a_variable_that_the_loss_does_not_depend_on(name: str) -> None:
    w, forgotten = gx.variable(np.ones(2), name="w"), gx.variable(np.ones(3), name="forgotten")
    optimise = getattr(gx.optim, name)
    with pytest.warns(GraphWarning, match=r"does not depend on forgotten: f64\[3\]: the gradient is 0") as seen:
        optimise(gx.sum(w * w), [w, forgotten])
    assert [s.filename for s in seen] == [__file__]
    with pytest.raises(GradientError, match="does not depend on forgotten"):
        optimise(gx.sum(w * w), [w, forgotten], unconnected="error")
    updates = optimise(gx.sum(w * w), [w, forgotten], unconnected="zero")
    assert {w, forgotten} <= updates.keys()
    optimise(gx.sum(w * w), [w], unconnected="error")


# --- the tables of docs/gradients.md: what is seen, and what is written instead of what is not ---------------------------


def _summed(x: gx.Tensor) -> gx.Tensor:
    return gx.scan(lambda c, e: (c + e * e, None), gx.zeros((), "float64"), x)[0]


def _gram(x: gx.Tensor) -> gx.Tensor:
    s = gx.sum(x * x, axis=1)
    return s[:, None] + s - 2 * x @ x.T


WRITTEN_OTHERWISE: dict[str, tuple[Function, Function, Any]] = {
    "trace": (lambda x: gx.sqrt(gx.trace(x.T @ x)), gx.linalg.norm, [[0.0, 0.0], [0.0, 0.0]]),
    "diagonal": (lambda x: gx.sqrt(gx.diagonal(x @ x.T)), lambda x: gx.sqrt(gx.sum(x * x, axis=1)), [[3.0, 4.0], [0.0, 0.0]]),
    "distances": (
        lambda x: gx.sqrt(_gram(x)), lambda x: gx.linalg.vector_norm(x[:, None] - x, axis=-1),
        [[1.0, 2.0], [1.0, 2.0], [0.0, 1.0]],
    ),
    "distances, chosen": (
        lambda x: gx.sqrt(gx.maximum(_gram(x), 0)), lambda x: gx.where(_gram(x) > 0, gx.sqrt(_gram(x)), 0),
        [[1.0, 2.0], [1.0, 2.0]],
    ),
    "cosine": (lambda x: gx.sqrt(1 - gx.cos(x)), lambda x: 2**0.5 * abs(gx.sin(x / 2)), [0.0, 1.0, -1.0]),
    "exp of log": (lambda x: gx.exp(0.5 * gx.log(gx.sum(x * x))), lambda x: gx.sum(x * x) ** 0.5, [0.0, 0.0]),
    "loop": (lambda x: gx.sqrt(_summed(x)), lambda x: gx.sqrt(gx.sum(x * x)), [0.0, 0.0]),
    "map": (lambda x: gx.map(gx.sqrt, x)[1:], lambda x: gx.map(gx.sqrt, x[1:]), [0.0, 1.0, 4.0]),
    "last of a scan": (
        lambda x: gx.scan(lambda c, e: (c, 2 * e), gx.zeros((), "float64"), gx.sqrt(x))[1][-1],
        lambda x: gx.scan(lambda c, e: (c, 2 * e), gx.zeros((), "float64"), gx.sqrt(x)[-1:])[1][-1], [0.0, 1.0, 4.0],
    ),
    "choice": (
        lambda x: gx.cond(gx.sum(x) > 0, lambda: gx.sqrt(x), lambda: x)[1:],
        lambda x: gx.cond(gx.sum(x) > 0, lambda: gx.sqrt(x)[1:], lambda: x[1:]), [0.0, 1.0, 4.0],
    ),
    "pool": (
        lambda x: gx.nn.max_pool(gx.sqrt(x)[None, None], 2), lambda x: gx.sqrt(gx.nn.max_pool(x[None, None], 2)),
        [0.0, 1.0, 4.0, 0.0],
    ),
    "product": (
        lambda x: (gx.sqrt(x) @ gx.ones((2, 2), "float64"))[0, 0], lambda x: gx.sqrt(x)[0] @ gx.ones((2, 2), "float64")[:, 0],
        [[1.0, 4.0], [0.0, 1.0]],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("blind", "seen", "at"), WRITTEN_OTHERWISE.values(), ids=WRITTEN_OTHERWISE)
def test_what_is_not_seen_to_be_least_or_unread_can_be_written_so(blind: Function, seen: Function, at: Any) -> None:
    """Both are one function; the gradient of the first is NaN somewhere, that of the second finite, and equal elsewhere."""
    x = gx.placeholder("x", np.shape(at), "float64")
    point = {x: np.array(at)}
    np.testing.assert_allclose(blind(x).eval(point), seen(x).eval(point), atol=1e-8)
    first, second = (gx.grad(gx.sum(f(x)), x) for f in (blind, seen))
    lost, right = first.eval(point), second.eval(point)
    assert np.isnan(lost).any() and np.isfinite(right).all()
    np.testing.assert_allclose(lost[~np.isnan(lost)], right[~np.isnan(lost)], rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_what_the_branch_that_runs_does_not_read_has_the_gradient_0(backend: str) -> None:
    x, i = gx.placeholder("x", (3,), "float64"), gx.placeholder("i", (), "int64")
    root = gx.sqrt(x)
    one = gx.cond(i > 0, lambda: x * 2, lambda: root)
    many = gx.switch(i, [lambda r: r, lambda r: gx.ones_like(r), lambda r: 3 * r], root)
    f = gx.compile([x, i], [gx.grad(gx.sum(y), x) for y in (one, many)], backend=backend)
    values = np.array([0.0, 1.0, 4.0])
    slopes = np.array([np.inf, 0.5, 0.25])
    for index, expected in ((0, (slopes, slopes)), (1, (np.full(3, 2.0), np.zeros(3))), (5, (np.full(3, 2.0), 3 * slopes))):
        for found, wanted in zip(f(values, index), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)
