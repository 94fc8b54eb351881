"""check_pass and check_rules: whether what a pass makes of a graph computes the same, to the bit."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from graphc import GraphError, Tensor, extend, full, placeholder
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Operation
from graphc.ir.rewrite import Apply, Literal, Rule, Variable, rewrite
from graphc.ir.types import DType
from graphc.passes import Pass
from graphc.passes.rules import Rules
from graphc.testing.values import same, wild

Array = np.ndarray[Any, Any]

_SIZES = (0, 1, 2, 5)  # of symbolic dimensions
_DRAWS = 12  # of values, for each of them
_TYPES = (t.float64, t.float32, t.int64, t.int8, t.uint8, t.bool_)  # of the variables of a pattern
_CONSTANTS = (2.0, -1.0, 3.0, 0.1, 0.0, -0.0, np.inf, np.nan)


def check_pass(change: Pass, *examples: Tensor, exact: bool = True, seed: int = 0) -> None:
    """Raise an AssertionError where a pass changes the value of one of some symbols.

    examples: symbols of placeholders. Their graph and what the pass makes of it are run by the interpreter on NaN, infinities,
    zeros of both signs, subnormals, extremes and random numbers, which operands share at times, at sizes 0, 1, 2 and 5 of
    symbolic dimensions, and compared to the bit. exact: False compares numbers from 0.5 to 2 alone, to a relative 1e-9
    (float32: 1e-4): for passes that are true of real numbers.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "float64")
    >>> check_pass(gx.passes.simplify, x * 1, -(-x))
    >>> check_pass(gx.passes.simplify_fast, x * 0)  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: simplify_fast: multiply is ... where x is ...
    """
    for y in examples:
        graph = _graph(y)
        _compare(change.__name__, graph, change(graph), exact, seed)


def check_rules(change: Rules, *examples: Tensor, exact: bool = True, seed: int = 0) -> None:
    """Raise an AssertionError where a rule is false for some values, or fits nothing.

    change: what `gx.passes.rules` gives. Each rule is tried on its own pattern, its variables being placeholders of several data
    types, as far as the pattern has no attributes, and on the examples: symbols that rules fit. See `check_pass` for exact.

    >>> import graphc as gx
    >>> check_rules(gx.passes.rules("twice: add(x: float, x) => multiply(x, 2)"))
    >>> check_rules(gx.passes.rules("zero: subtract(x, x) => 0"))  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    AssertionError: zero: subtract is nan, and 0.0 after it, where x is ...
    """
    for rule in change.rules:
        fired = 0
        for node in itertools.chain(_fitting(rule), examples):
            graph, found = _graph(node), Counter[str]()
            try:
                after = rewrite(graph, (rule,), found)
            except GraphError as error:
                raise AssertionError(f"{rule.name}: {error.message}") from None
            if found[rule.name]:
                fired += 1
                _compare(rule.name, graph, after, exact, seed)
        if not fired:
            raise AssertionError(f"{rule.name} fits none of the examples: give check_rules a symbol that it fits")


def _graph(y: Node) -> Graph:
    inputs = [n for n in Graph((), (y,)).nodes if n.is_given and getattr(n, "data", None) is None]
    return Graph(inputs, (y,))


def _compare(name: str, before: Graph, after: Graph, exact: bool, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (y,) = before.outputs
    if after.outputs[0].type != y.type:
        raise AssertionError(f"{name}: {y.op.name}: {y.type} became {after.outputs[0].type}")
    names = sorted(dims.names(*(n for x in before.inputs for n in x.type.shape)))
    for chosen in itertools.islice(itertools.product(_SIZES, repeat=len(names)), 64):
        sizes = dict(zip(names, chosen, strict=True))
        for _ in range(_DRAWS):
            arrays = _arguments(rng, before, sizes, exact)
            with np.errstate(all="ignore"):
                (want,), (got,) = (extend.evaluate(g, arrays, sizes) for g in (before, after))
            if same(got, want) or (not exact and _near(got, want)):
                continue
            i = int(np.argmax(~((got == want) & (np.signbit(got) == np.signbit(want)) | (got != got) & (want != want))))
            at = "; ".join(f"{x.attrs['name']} is {a.tolist()}" for x, a in zip(before.inputs, arrays, strict=True))
            raise AssertionError(f"{name}: {y.op.name} is {want.flat[i]}, and {got.flat[i]} after it, where {at}")


def _near(got: Array, want: Array) -> bool:
    if (got.dtype, got.shape) != (want.dtype, want.shape):
        return False
    rtol = {8: 1e-9, 4: 1e-4, 2: 2e-2, 1: 0}[got.dtype.itemsize]
    return bool(np.allclose(got.astype(np.float64), want.astype(np.float64), rtol=rtol, atol=rtol, equal_nan=True))


def _arguments(rng: np.random.Generator, graph: Graph, sizes: dict[str, int], exact: bool) -> list[Array]:
    """Values for the inputs. Arrays of one type share elements, or have their negatives."""
    made: list[Array] = []
    for x in graph.inputs:
        shape = tuple(dims.evaluate(n, sizes) for n in x.type.shape)
        dtype = x.type.dtype
        array = wild(rng, dtype, shape) if exact or not dtype.is_float else rng.uniform(0.5, 2, shape).astype(dtype.numpy)
        for other in made:
            if exact and (other.dtype, other.shape) == (array.dtype, array.shape):
                array = np.where(rng.random(shape) < 0.3, other, array)
                turned = ~other if dtype.is_bool else np.negative(other)
                array = np.where(rng.random(shape) < 0.2, turned, array)
        made.append(array)
    return made


# --- what a pattern fits --------------------------------------------------------------------------------------------


def _fitting(rule: Rule) -> Iterator[Tensor]:
    """Symbols of a rule's pattern, of every data type that its operations take."""
    for dtype, constant in itertools.product(_TYPES, _CONSTANTS if "constant" in rule.text else _CONSTANTS[:1]):
        try:
            made = _made(rule.patterns[0], dtype, constant, {})
        except (GraphError, LookupError, OverflowError, ValueError):
            continue  # an operation does not take this type, or the pattern has attributes
        if isinstance(made, Tensor):
            yield made


def _made(term: Any, dtype: DType, constant: float, found: dict[str, Tensor]) -> Any:
    match term:
        case Variable(name, kinds):
            if name not in found:
                fixed = {"bool": t.bool_, "float": dtype if dtype.is_float else t.float64}
                kind = next((fixed[k] for k in kinds if k in fixed), dtype)
                value = "full" in kinds or "constant" in kinds
                found[name] = _fill(constant, kind) if value else placeholder(name, ("n",), kind)
            return found[name]
        case Literal(value):
            return _fill(value, dtype)
        case Apply(Operation() as op, operands, attrs):
            given = [_made(o, dtype, constant, found) for o in operands]
            return op(*given, **{key: _attribute(value) for key, value in attrs})
    raise LookupError(term)


def _attribute(term: Any) -> Any:
    if not isinstance(term, Literal):
        raise LookupError(term)
    return term.value


def _fill(value: Any, dtype: DType) -> Tensor:
    return full(("n",), dtype.numpy.type(value).item(), dtype)
