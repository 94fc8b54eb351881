"""check_op: whether the parts of an operation's declaration say the same."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.ir import types as t
from graphc.ir.parser import parse
from graphc.testing.gradients import check_grads
from graphc.testing.values import draw, extremes, same, special

Array = np.ndarray[Any, Any]
Sizes = Mapping[int, int]

_OTHER = (0, 1, 7)  # sizes that stand in for those of a sample, one at a time
_LARGE = 131  # and for all of them, so that work is cut into blocks and among threads
_MOST = 200_000  # elements of an operand of large sizes
_UNITS = 64  # in the last place, by which results in floats may differ, times the root of the number of elements


def check_op(
    op: gx.extend.Operation, samples: Sequence[Any] | None = None, *, order: int = 2, rtol: float | None = None,
    backend: str = "llvm", seed: int = 0,
) -> None:  # fmt: skip
    """Raise an AssertionError where an operation's type rule, reference, code and gradient do not say the same.

    samples: `gx.extend.Sample`s, or tuples of the operands as arrays, a dictionary of attributes last where there are any; the
    operation's own unless given. For each sample, with every data type that the type rule takes for an operand without one (of
    arrays, theirs alone), at its sizes and with 0, 1 and 7 in place of each:
    the type rule against the type of the reference's result; the compiled program against the reference, to a relative rtol (64
    units in the last place unless given, for other than single elements of the largest number, times the root of their count;
    integers and booleans exactly), on one thread and
    on two to the bit; operands stay as they are; the text of the graph parses back to the same; inside of `gx.map` as outside;
    gradients against differences up to `order`. Functions of single elements also at NaN, infinities, zeros of both signs and
    extremes.

    >>> import graphc as gx
    >>> check_op(gx.extend.host("twice", lambda x: x + x, infer=lambda x: x), [([1.0, 2.0],)], backend="interpreter")
    >>> lying = gx.extend.host("twice", lambda x: x[1:], infer=lambda x: x)
    >>> check_op(lying, [([1.0, 2.0],)], backend="interpreter")
    Traceback (most recent call last):
    AssertionError: twice(f64[2]): the type rule says f64[2], the reference gives f64[1]
    >>> gx.extend.forget(lying)
    """
    given = [_sample(s) for s in (op.samples if samples is None else samples)]
    if not given:
        raise ValueError(f"{op.name} has no samples: check_op(op, [(array, ...)])")
    rng = np.random.default_rng(seed)
    for sample in given:
        checked = _Checked(op, sample, rng, rtol, backend)
        if not checked.kinds:
            raise AssertionError(f"{op.name} takes none of the types of its sample {sample.shapes}, {dict(sample.attrs)}")
        checked.types()
        checked.values()
        checked.text()
        checked.loop()
        checked.gradients(order)
    if getattr(op.lowering, "elementwise", False):
        _check_special(op, given[0], rtol, backend)


@dataclass(frozen=True)
class _Given:
    """A sample, and the arrays it was given as."""

    shapes: tuple[tuple[int, ...], ...]
    attrs: Mapping[str, Any]
    dtypes: tuple[str, ...]
    draw: Callable[[np.random.Generator, Sequence[gx.DType], Sequence[tuple[int, ...]]], list[Array]]


def _sample(sample: Any) -> _Given:
    if isinstance(sample, gx.extend.Sample):

        def drawn(rng: np.random.Generator, dtypes: Sequence[gx.DType], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
            arrays = [draw(rng, d, s, sample.domain) for d, s in zip(dtypes, shapes, strict=True)]
            return arrays if sample.prepare is None else list(sample.prepare(*arrays))

        dtypes = sample.dtypes or ("",) * len(sample.shapes)
        return _Given(sample.shapes, sample.attrs, dtypes, drawn)  # type: ignore[arg-type]
    *operands, last = sample
    attrs = last if isinstance(last, Mapping) else {}
    given = [np.asarray(a) for a in (operands if isinstance(last, Mapping) else sample)]

    def chosen(rng: np.random.Generator, dtypes: Sequence[gx.DType], shapes: Sequence[tuple[int, ...]]) -> list[Array]:
        return [
            a.copy() if a.shape == s else (rng.choice(a.reshape(-1), s) if a.size else np.zeros(s, a.dtype))
            for a, s in zip(given, shapes, strict=True)
        ]

    return _Given(tuple(a.shape for a in given), attrs, tuple(t.as_dtype(a.dtype).name for a in given), chosen)


class _Checked:
    """An operation on one sample, of every data type that it takes."""

    def __init__(self, op: Any, sample: _Given, rng: np.random.Generator, rtol: float | None, backend: str) -> None:
        self.op, self.sample, self.rng, self.rtol, self.backend = op, sample, rng, rtol, backend
        self.attrs = dict(sample.attrs)
        self.kinds = list(self._kinds())

    def _kinds(self) -> Iterator[tuple[gx.DType, ...]]:
        """The data types of the operands, as far as the type rule takes them."""
        free = "" in self.sample.dtypes
        for dtype in t.DTYPES if free else t.DTYPES[:1]:
            kinds = tuple(t.as_dtype(d or dtype) for d in self.sample.dtypes)
            if self._accepts(kinds, {}):
                yield kinds

    def _shapes(self, sizes: Sizes) -> list[tuple[int, ...]]:
        return [tuple(sizes.get(n, n) for n in shape) for shape in self.sample.shapes]

    def _accepts(self, kinds: Sequence[gx.DType], sizes: Sizes) -> bool:
        types = [gx.extend.TensorType(d, s) for d, s in zip(kinds, self._shapes(sizes), strict=True)]
        try:
            self.op.infer(*types, **self.attrs)
        except gx.GraphError:
            return False
        required = self.op.requires(*types, **self.attrs) if self.op.requires else []
        return all(r.left == r.right if r.relation == "==" else r.left >= r.right for r in required)

    def _sizes(self) -> Iterator[Sizes]:
        """Other sizes in place of the sample's, as far as the type rule takes them."""
        yield {}
        found = sorted({n for shape in self.sample.shapes for n in shape})
        for n, other in itertools.product(found, _OTHER):
            if self._accepts(self.kinds[0], {n: other}):
                yield {n: other}
        large = {n: _LARGE + i for i, n in enumerate(found)}
        if all(np.prod(s) <= _MOST for s in self._shapes(large)) and found and self._accepts(self.kinds[0], large):
            yield large

    def _arrays(self, kinds: Sequence[gx.DType], sizes: Sizes) -> list[Array]:
        return self.sample.draw(self.rng, kinds, self._shapes(sizes))

    def _reference(self, arrays: Sequence[Array]) -> tuple[Array, ...]:
        with np.errstate(all="ignore"):
            return _parts(self.op.reference(*(a.copy() for a in arrays), **self.attrs))

    def _says(self, arrays: Sequence[Array], what: str) -> AssertionError:
        return AssertionError(f"{_called(self.op, arrays, self.attrs)}: {what}")

    def _bound(self, arrays: Sequence[Array], want: Array) -> tuple[int, float]:
        """How many elements may have been added up, and how large they and the results are."""
        if getattr(self.op.lowering, "elementwise", False):
            return 1, 0.0
        floats = [np.abs(a.astype(np.float64)) for a in (*arrays, want)]
        scale = max((float(np.max(a, initial=0, where=np.isfinite(a))) for a in floats), default=0.0)
        return max([a.size for a in arrays], default=1), scale

    def types(self) -> None:
        """The type rule against the reference."""
        for kinds, sizes in itertools.product(self.kinds, self._sizes()):
            arrays = self._arrays(kinds, sizes)
            found = self.op.infer(*map(_type, arrays), **self.attrs)
            wanted = getattr(found, "parts", (found,))
            got = tuple(map(_type, self._reference(arrays)))
            if tuple(wanted) != got:
                says, gives = (", ".join(map(str, x)) for x in (wanted, got))
                raise self._says(arrays, f"the type rule says {says}, the reference gives {gives}")

    def values(self) -> None:
        """The compiled program against the reference: one for all sizes, if the type rule knows names of sizes."""
        try:
            run = self._compile({n: f"n{n}" for shape in self.sample.shapes for n in shape})
            chosen = list(self._sizes())
        except gx.GraphError:
            run, chosen = self._compile({}), [{}]
        for sizes in chosen:
            arrays = [self._arrays(kinds, sizes) for kinds in self.kinds]
            flat = [a for some in arrays for a in some]
            before = [a.copy() for a in flat]
            alone, together = _on_threads(run, flat)
            if not all(map(same, before, flat)):
                raise self._says(arrays[0], "the compiled program writes an operand")
            results = iter(zip(alone, together, strict=True))
            for some in arrays:
                for want in self._reference(some):
                    got, other = next(results)
                    wrong = _difference(got, want, self.rtol, *self._bound(some, want))
                    if wrong:
                        raise self._says(some, f"the compiled program gives {wrong[0]}, the reference {wrong[1]}")
                    if not same(got, other):
                        raise self._says(some, "other bits on two threads than on one")

    def _compile(self, names: Mapping[int, str]) -> gx.Compiled:
        symbols = [self._symbols(kinds, names, f"x{i}_") for i, kinds in enumerate(self.kinds)]
        results = [y for xs in symbols for y in self._apply(*xs)]
        return gx.compile([x for xs in symbols for x in xs], results, backend=self.backend)

    def _symbols(self, kinds: Sequence[gx.DType], names: Mapping[int, str], prefix: str = "x") -> list[Tensor]:
        shapes = [tuple(names.get(n, n) for n in shape) for shape in self.sample.shapes]
        return [gx.placeholder(f"{prefix}{i}", s, d) for i, (s, d) in enumerate(zip(shapes, kinds, strict=True))]

    def _apply(self, *xs: Tensor) -> list[Tensor]:
        y = self.op(*xs, **self.attrs)
        return list(gx.extend.results(y)) if hasattr(y.type, "parts") else [y]

    def text(self) -> None:
        """The graph prints, parses, draws, and runs the same."""
        for kinds in self.kinds:
            xs = self._symbols(kinds, {})
            graph = gx.extend.Graph(xs, self._apply(*xs))
            parsed = parse(str(graph))
            arrays = self._arrays(kinds, {})
            if str(parsed) != str(graph):
                raise self._says(arrays, f"its text parses to another graph:\n{graph}\n{parsed}")
            if self.op.name not in gx.to_dot(graph):
                raise self._says(arrays, "its drawing does not name it")
            values = (gx.extend.evaluate(g, arrays, {}) for g in (graph, parsed))
            if not all(map(same, *values)):
                raise self._says(arrays, "the graph of its text gives another value")

    def loop(self) -> None:
        """The same value for every step of a loop."""
        kinds = self.kinds[-1]
        if not self.sample.shapes:
            return
        steps = [self._arrays(kinds, {}) for _ in range(3)]
        stacked = [np.stack(some) for some in zip(*steps, strict=True)]
        xs = [gx.placeholder(f"x{i}", a.shape, a.dtype) for i, a in enumerate(stacked)]
        ys = gx.map(lambda some: self._apply(*some), xs)
        made = gx.compile(xs, list(ys), backend=self.backend)(*stacked)
        for i, arrays in enumerate(steps):
            for got, want in zip(made, self._reference(arrays), strict=True):
                wrong = _difference(got[i], want, self.rtol, *self._bound(arrays, want))
                if wrong:
                    raise self._says(arrays, f"in a loop it gives {wrong[0]}, the reference {wrong[1]}")

    def gradients(self, order: int) -> None:
        """The gradient rule against differences."""
        kinds = next((k for k in self.kinds if any(d == gx.float64 for d in k)), None)
        if self.op.vjp is None or kinds is None or not any(y.dtype.is_float for y in self._apply(*self._symbols(kinds, {}))):
            return

        def applied(*xs: Tensor) -> list[Tensor]:
            return self._apply(*xs)

        applied.__name__ = f"the gradient of {self.op.name}"
        check_grads(applied, self._arrays(kinds, {}), order=order, backend="interpreter")


def _check_special(op: Any, sample: _Given, rtol: float | None, backend: str) -> None:
    """A function of single elements at the values that formulas forget."""
    for dtype in (gx.float32, gx.float64):
        kinds = [t.as_dtype(d or dtype) for d in sample.dtypes]
        try:
            xs = [gx.placeholder(f"x{i}", ("n",), d) for i, d in enumerate(kinds)]
            run = gx.compile(xs, op(*xs, **sample.attrs), backend=backend)
        except gx.GraphError:
            continue
        known = [np.concatenate([special(d), extremes(d)]) if d.is_float else special(d) for d in kinds]
        arrays = [np.array(column).reshape(-1) for column in np.meshgrid(*known)]
        with np.errstate(all="ignore"):
            want = np.asarray(op.reference(*arrays, **sample.attrs))
        got = run(*arrays)
        for i in range(len(want)):
            wrong = _difference(got[i : i + 1], want[i : i + 1], rtol)
            if wrong:
                at = ", ".join(str(a[i]) for a in arrays)
                raise AssertionError(
                    f"{_called(op, arrays, sample.attrs)}: at ({at}) the compiled program gives {wrong[0]}, "
                    f"the reference {wrong[1]}"
                )


def _on_threads(run: gx.Compiled, arrays: Sequence[Array]) -> tuple[list[Array], list[Array]]:
    """The results on one thread, and on two."""
    threads = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        alone = run(*arrays)
        gx.set_num_threads(2)
        return alone, run(*arrays)
    finally:
        gx.set_num_threads(threads)


def _difference(got: Array, want: Array, rtol: float | None, size: int = 1, scale: float = 0.0) -> tuple[Any, Any] | None:
    """The first two elements that are too far apart, or what else differs; None where nothing does.

    size: how many elements may have been added up. scale: a magnitude that rounding errors are relative to.
    """
    if (got.dtype, got.shape) != (want.dtype, want.shape):
        return _type(got), _type(want)
    dtype = t.as_dtype(want.dtype)
    if not dtype.is_float:
        wrong = got != want
    else:
        digits = {"float64": 52, "float32": 23, "float16": 10, "bfloat16": 7}[dtype.name]
        bound = _UNITS * 2.0**-digits * max(1.0, size) ** 0.5 if rtol is None or dtype.is_storage else rtol
        with np.errstate(all="ignore"):
            a, b = got.astype(np.float64), want.astype(np.float64)
            least = 2.0**-1000 if dtype.itemsize == 8 else 2.0**-120 if dtype.itemsize == 4 else 2.0**-14  # where digits get lost
            near = np.abs(a - b) <= bound * (np.maximum(np.abs(b), scale) + least)
            wrong = ~((a == b) | (np.isnan(a) & np.isnan(b)) | near)
    if not wrong.any():
        return None
    i = int(np.argmax(wrong.reshape(-1)))
    return got.reshape(-1)[i], want.reshape(-1)[i]


def _parts(value: Any) -> tuple[Array, ...]:
    return tuple(map(np.asarray, value)) if isinstance(value, tuple) else (np.asarray(value),)


def _type(a: Array) -> gx.extend.TensorType:
    return gx.extend.TensorType(t.as_dtype(a.dtype), a.shape)


def _called(op: Any, arrays: Sequence[Array], attrs: Mapping[str, Any]) -> str:
    given = [*(str(_type(a)) for a in arrays), *(f"{key}={value}" for key, value in attrs.items())]
    return f"{op.name}({', '.join(given)})"
