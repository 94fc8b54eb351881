"""vmap over loops, choices, convolutions, factorisations and routines, against a Python loop over the elements.

Each case is checked for its values, the gradients of a mapped sum, and mapped gradients, which are those of every example; with a
number of elements that is a name and with one that is fixed; in both backends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.graph import topological
from graphc.ops.trees import flatten

Array = np.ndarray[Any, Any]
B = 5  # elements
BACKENDS = pytest.mark.parametrize("backend", ["llvm", "interpreter"])


def normal(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def within(low: float, high: float, *shape: int) -> Array:
    return np.random.default_rng(1).uniform(low, high, shape)


def total(values: Any) -> gx.Tensor:
    """Something that reads all floats of a result, and not only linearly."""
    parts = [gx.sum(y * y * 0.5 + y) for y in flatten(values) if y.dtype.is_float]
    return sum(parts[1:], parts[0])


def check(
    f: Callable[..., Any], *values: Array, backend: str, axes: Any = (), gradients: bool = True, name: bool = True,
) -> None:  # fmt: skip
    axes = axes or (0,) * len(values)
    mapped = [a is not None for a in axes]
    xs = [
        gx.placeholder(f"x{i}", ("n" if name else B, *v.shape[1:]) if has else v.shape, v.dtype)
        for i, (v, has) in enumerate(zip(values, mapped, strict=True))
    ]
    ones = [gx.placeholder(f"o{i}", v.shape[has:], v.dtype) for i, (v, has) in enumerate(zip(values, mapped, strict=True))]
    floats = [i for i, x in enumerate(xs) if x.dtype.is_float and gradients]

    def derivatives(*args: gx.Tensor) -> Any:
        return gx.grad(total(f(*args)), [args[i] for i in floats])

    whole = gx.vmap(f, in_axes=tuple(axes))(*xs)
    found, single = flatten(whole), flatten(f(*ones))
    if floats:
        found += gx.grad(total(whole), [xs[i] for i in floats])
        found += gx.vmap(derivatives, in_axes=tuple(axes))(*xs)
        single += derivatives(*ones) * 2
    each = gx.compile(ones, single, backend="interpreter")
    runs = [each(*(v[k] if has else v for v, has in zip(values, mapped, strict=True))) for k in range(B)]
    want = [np.stack(parts) for parts in zip(*runs, strict=True)]
    start = len(want) - 2 * len(floats)
    for j, i in enumerate(floats):
        if not mapped[i]:
            want[start + j] = want[start + j].sum(0)
    got = gx.compile(xs, found, backend=backend)(*values)
    for a, b in zip(got, want, strict=True):
        assert (a.dtype, a.shape) == (b.dtype, b.shape)
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


# --- loops and choices -------------------------------------------------------------------------------------------------


def _recurrent(h: gx.Tensor, x: gx.Tensor) -> Any:
    w = gx.constant(0.3 * normal(3, 3, seed=5))
    return gx.scan(lambda c, row: (gx.tanh(c @ w + row), gx.sum(c)), h, x)


@BACKENDS
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_a_scan(axes: Any, backend: str) -> None:
    h, x = normal(B, 3), normal(B, 4, 3)
    check(_recurrent, h if axes[0] == 0 else h[0], x if axes[1] == 0 else x[0], axes=axes, backend=backend)


@BACKENDS
def test_a_carry_that_comes_to_depend_on_the_element_does_from_the_start(backend: str) -> None:
    """The second carry is fed by the first one only after a step."""

    def f(x: gx.Tensor) -> Any:
        return gx.scan(lambda c, row: ((c[1], c[0] * 0.5 + row, x), None), (gx.zeros((2,)), gx.ones((2,)), x), gx.ones((3, 2)))[0]

    check(f, normal(B, 2), backend=backend)


@BACKENDS
@pytest.mark.parametrize("name", [True, False])
def test_a_reversed_scan_and_a_map(name: bool, backend: str) -> None:
    x = normal(B, 4, 3)
    check(lambda x: gx.scan(lambda c, r: (c * 0.5 + r, c * r), x[0], x, reverse=True), x, backend=backend, name=name)
    check(lambda x: gx.map(lambda r: gx.sum(r * r), x), x, backend=backend, name=name)


def _until_large(x: gx.Tensor) -> gx.Tensor:
    return gx.while_loop(lambda v: gx.sum(v) < 50, lambda v: v * 2 + 0.1, x)


@BACKENDS
@pytest.mark.parametrize("name", [True, False])
def test_a_while_loop_runs_until_all_are_done_and_keeps_those_that_are(name: bool, backend: str) -> None:
    check(_until_large, within(0.1, 40, B, 2), backend=backend, name=name)


@BACKENDS
def test_a_while_loop_as_often_for_one_as_for_all_stays_one(backend: str) -> None:
    def f(x: gx.Tensor, n: gx.Tensor) -> gx.Tensor:
        return gx.fori_loop(0, n, lambda i, v: gx.sin(v) * x + v, x)

    check(f, normal(B, 2), np.array(3), axes=(0, None), backend=backend)
    (loop,) = {n for n in topological([gx.vmap(f, in_axes=(0, None))(gx.ones((4, 2)), gx.constant(3))]) if "test" in n.attrs}
    assert [x.type.shape for x in loop.attrs["test"].inputs[:2]] == [(), (4, 2)]


@BACKENDS
def test_loops_of_as_many_steps_as_each_element_says(backend: str) -> None:
    def f(x: gx.Tensor, n: gx.Tensor) -> gx.Tensor:
        return gx.fori_loop(0, n, lambda i, v: gx.sin(v) * x + v, x)

    check(f, normal(B, 2), np.array([0, 3, 1, 7, 2]), backend=backend)


@BACKENDS
def test_choices_by_the_element_and_for_all(backend: str) -> None:
    def f(x: gx.Tensor, p: gx.Tensor) -> gx.Tensor:
        return gx.cond(p > 0, lambda: gx.sqrt(gx.abs(x[0])) * x, lambda: x * x)

    check(f, normal(B, 2), normal(B), backend=backend)
    check(f, normal(B, 2), np.array(1.0), axes=(0, None), backend=backend)
    several = [lambda x: x, lambda x: x * 2, lambda x: gx.exp(x)]
    check(lambda x, i: gx.switch(i, several, x), normal(B, 2), np.array([-1, 0, 1, 2, 9]), backend=backend)


def test_a_choice_for_all_stays_a_choice() -> None:
    x, p = gx.placeholder("x", ("n",), "float64"), gx.placeholder("p", (), "float64")
    for axis, choices in ((None, 1), (0, 0)):
        y = gx.vmap(lambda x, p: gx.cond(p > 0, gx.exp, gx.sin, x), in_axes=(0, axis))(x, p if axis is None else x)
        assert sum("branches" in n.attrs for n in topological([y])) == choices


@BACKENDS
def test_a_loop_in_a_branch_ends_though_it_would_not_for_the_others(backend: str) -> None:
    """Twice 0 is never 100."""

    def f(x: gx.Tensor) -> gx.Tensor:
        return gx.cond(x > 0, lambda: gx.while_loop(lambda v: v < 100, lambda v: v * 2, x), lambda: x)

    check(f, np.array([0.0, 1.0, 2.0, -3.0, 5.0]), backend=backend)
    check(f, np.array([0.0, -1.0, -2.0, -3.0, 0.0]), backend=backend)


@BACKENDS
def test_an_inner_loop_ends_though_it_would_not_where_the_outer_one_is_done(backend: str) -> None:
    def f(x: gx.Tensor) -> gx.Tensor:
        def step(v: gx.Tensor) -> gx.Tensor:  # the inner loop never ends for v >= 100
            return gx.while_loop(lambda u: (u < v + 3) | (v >= 100), lambda u: u + 1, v) * 2

        return gx.while_loop(lambda v: v < 100, step, x)

    check(f, np.array([0.0, 100.0, 2.5, 70.0, 200.0]), backend=backend)


@BACKENDS
def test_a_routine_in_a_branch_is_not_called_for_the_others(backend: str) -> None:
    def f(a: gx.Tensor) -> gx.Tensor:
        return gx.cond(gx.sum(a) > 0, lambda: gx.linalg.cholesky(a @ a.T), lambda: a * 2)

    a = np.abs(normal(B, 3, 3))
    a[1], a[3] = 0, -1  # which have no Cholesky factor
    check(f, a, backend=backend)
    check(f, -np.abs(normal(B, 3, 3)), backend=backend)


@BACKENDS
def test_a_routine_in_a_loop_sees_nobody_who_is_done(backend: str) -> None:
    """One step more, and the first matrix is singular."""

    def f(a: gx.Tensor, n: gx.Tensor) -> gx.Tensor:
        return gx.fori_loop(0, n, lambda i, v: gx.linalg.inv(v) - gx.eye(2), a)

    a = normal(B, 2, 2)
    a[0] = np.eye(2) / 2  # which is 0 after two steps
    check(f, a, np.array([2, 0, 4, 3, 1]), backend=backend)


@BACKENDS
def test_no_elements(backend: str) -> None:
    def inverses(a: gx.Tensor) -> gx.Tensor:
        return gx.cond(a[0, 0] > 0, lambda: gx.linalg.inv(a), lambda: gx.while_loop(lambda v: gx.sum(v) < 1, lambda v: v + 1, a))

    for n in ("n", 0):
        x = gx.placeholder("x", (n, 2, 2), "float64")
        y, z = gx.vmap(lambda a: (inverses(a), gx.nn.conv(a[None, None], a[None, None])))(x)
        made = gx.compile([x], [y, gx.grad(gx.sum(y), x, unconnected="zero"), z], backend=backend)
        assert [v.shape for v in made(np.zeros((0, 2, 2)))] == [(0, 2, 2), (0, 2, 2), (0, 1, 1, 1, 1)]


@BACKENDS
def test_maps_of_maps_of_loops(backend: str) -> None:
    def f(x: gx.Tensor, y: gx.Tensor) -> gx.Tensor:
        return gx.while_loop(lambda s: gx.sum(s) < 20, lambda s: s * 1.5 + y * y + 0.1, x)

    inner = gx.vmap(f, in_axes=(1, None), out_axes=1)
    check(lambda x, y: inner(x, y), within(0.1, 10, B, 2, 3), within(0.1, 1, B, 2), backend=backend)
    x = gx.placeholder("x", (2, "n", 3), "float64")
    y = gx.vmap(_until_large, in_axes=1, out_axes=-1)(x)
    v = within(0.1, 40, 2, 4, 3)
    want = np.stack([_until_large(gx.constant(v[:, k])).eval() for k in range(4)], -1)
    np.testing.assert_allclose(gx.compile([x], y, backend=backend)(v), want, rtol=1e-12)


@BACKENDS
def test_jacobians_and_hessians_through_loops(backend: str) -> None:
    def fixed(x: gx.Tensor) -> gx.Tensor:
        return gx.fori_loop(0, 3, lambda i, v: gx.sin(v) * x + v, x)

    def data(x: gx.Tensor) -> gx.Tensor:
        return gx.while_loop(lambda v: gx.sum(v) < 30, lambda v: gx.sin(v) + v + x, x)

    v = within(1, 9, B, 2)
    for f in (fixed, data):
        check(lambda x, f=f: gx.jacobian(f(x), x), v, gradients=False, backend=backend)
        check(lambda x, f=f: gx.hessian(gx.sum(f(x)), x), v, gradients=False, backend=backend)
    x = gx.placeholder("x", (2,), "float64")
    run = gx.compile([x], [data(x), gx.jacobian(data(x), x)], backend=backend)
    h = 1e-6
    slopes = [(run(v[0] + h * e)[0] - run(v[0] - h * e)[0]) / (2 * h) for e in np.eye(2)]
    np.testing.assert_allclose(run(v[0])[1], np.stack(slopes, 1), rtol=1e-6)


@BACKENDS
def test_random_draws_in_a_loop(backend: str) -> None:
    r = gx.random
    keys = r.split(r.key(3), B).eval()

    def f(k: gx.Tensor) -> Any:
        draws = gx.map(lambda one: r.normal(one, (2,), dtype="float64"), r.split(k, 3))
        return draws, r.gamma(k, gx.constant(2.0), (3,)), r.permutation(k, 4)

    check(f, keys, backend=backend)


# --- convolutions, factorisations, routines -------------------------------------------------------------------------------


@BACKENDS
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
def test_convolutions(layout: str, groups: int, backend: str) -> None:
    first = layout == "NCHW"
    x = normal(B, *((2, 4, 5, 4) if first else (2, 5, 4, 4)))
    w = normal(B, *((6, 4 // groups, 3, 2) if first else (3, 2, 4 // groups, 6)), seed=1)

    def f(x: gx.Tensor, w: gx.Tensor) -> gx.Tensor:
        return gx.nn.conv(x, w, stride=2, padding="same", groups=groups, layout=layout)

    for axes, given in (((0, 0), (x, w)), ((0, None), (x, w[0])), ((None, 0), (x[0], w))):
        check(f, *given, axes=axes, backend=backend)


@BACKENDS
def test_convolutions_are_not_repeated(backend: str) -> None:
    x, w = gx.placeholder("x", ("n", 2, 4, 5, 5), "float64"), gx.placeholder("w", ("n", 6, 4, 3, 3), "float64")
    for axes, given in (((0, 0), (x, w)), ((0, None), (x, w[0])), ((None, 0), (x[0], w))):
        y = gx.vmap(gx.nn.conv, in_axes=axes)(*given)
        assert [n.op.name for n in topological([y]) if n.op.name in ("convolve", "batched_composite")] == ["convolve"]


@BACKENDS
def test_pooling(backend: str) -> None:
    x = normal(B, 1, 2, 4, 4)
    check(lambda x: gx.nn.max_pool(x, 2), x, backend=backend)
    check(lambda x: gx.nn.avg_pool(x, 2), x, backend=backend)


MATRICES: dict[str, Callable[[gx.Tensor], Any]] = {
    "cholesky": lambda a: gx.linalg.cholesky(a @ a.T + 3 * gx.eye(3)),
    "inv": gx.linalg.inv,
    "det": gx.linalg.det,
    "slogdet": lambda a: gx.linalg.slogdet(a).logabsdet,
    "eigh": lambda a: gx.abs(gx.linalg.eigh(a).eigenvectors),
    "eigvalsh": gx.linalg.eigvalsh,
    "qr": gx.linalg.qr,
    "svd": lambda a: gx.linalg.svd(a).S,
    "pinv": gx.linalg.pinv,
    "lstsq": lambda a: gx.linalg.lstsq(a, a[0]).x,
    "expm": gx.linalg.expm,
    "rank": gx.linalg.matrix_rank,
    "solve_triangular": lambda a: gx.linalg.solve_triangular(a + 3 * gx.eye(3), a[0], lower=True),
}


@BACKENDS
@pytest.mark.parametrize("name", MATRICES)
def test_factorisations(name: str, backend: str) -> None:
    check(MATRICES[name], normal(B, 3, 3), gradients=name != "rank", backend=backend)


@BACKENDS
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
def test_systems(axes: Any, backend: str) -> None:
    a, b = normal(B, 3, 3), normal(B, 3, seed=1)
    check(gx.linalg.solve, a if axes[0] == 0 else a[0], b if axes[1] == 0 else b[0], axes=axes, backend=backend)


@BACKENDS
def test_sorting(backend: str) -> None:
    x, k = normal(B, 4, 3), np.random.default_rng(0).integers(0, 3, (B, 4))
    check(lambda x: [gx.sort(x, axis=0), gx.sort(x, descending=True), gx.argsort(x, axis=0)], x, backend=backend)
    check(lambda x: gx.top_k(x, 2, axis=0), x, backend=backend)
    check(lambda x: [gx.median(x), *gx.quantile(x, [0.2, 0.7], axis=0)], x, backend=backend)
    check(lambda k: gx.unique_all(k, size=3), k, backend=backend)
    check(lambda x, k: gx.unique_all(gx.floor(x[:, 0]) + k, size=3).values, x, k, backend=backend)
    check(gx.isin, k, k[0, :2], axes=(0, None), backend=backend)
    check(gx.isin, k[0], k[:, :2], axes=(None, 0), backend=backend)


@BACKENDS
@pytest.mark.parametrize("how", ["set", "add", "multiply", "max", "min"])
def test_scatters(how: str, backend: str) -> None:
    def f(x: gx.Tensor, u: gx.Tensor, i: gx.Tensor) -> gx.Tensor:
        return getattr(x.at[i], how)(u)

    x, u, i = normal(B, 4), normal(B, 3, seed=1), np.array([[0, 2, 0], [1, 1, 3], [-1, 3, 0], [2, 1, 0], [3, 3, 3]])
    check(f, x, u, i, backend=backend)
    check(f, x[0], u, i[0], axes=(None, 0, None), backend=backend)
    check(f, x, u[0], i, axes=(0, None, 0), backend=backend)


@BACKENDS
def test_a_routine_of_the_users_is_called_for_every_element(backend: str) -> None:
    shapes = []

    def cumulate(x: Array) -> Array:
        shapes.append(x.shape)
        return np.cumsum(x)[::-1].copy()

    op = gx.extend.host(
        "cumulated", cumulate, infer=lambda x: x, gradient=lambda g, y, x: (gx.flip(gx.cumulative_sum(g)),)
    )  # fmt: skip
    try:
        check(lambda x: op(x * 2), normal(B, 4), backend=backend)
        assert set(shapes) == {(4,)}
        both = gx.vmap(gx.vmap(op))(gx.constant(normal(2, 3, 4)))
        np.testing.assert_allclose(both.eval(), np.cumsum(normal(2, 3, 4), -1)[..., ::-1], rtol=1e-12)
    finally:
        gx.extend.forget(op)


def test_results_are_trees() -> None:
    x = gx.placeholder("x", ("n", 3, 3), "float64")
    found = gx.vmap(lambda a: {"qr": gx.linalg.qr(a), "sum": (gx.sum(a), [a])})(x)
    assert type(found["qr"]).__name__ == "QRResult" and str(found["qr"].R.type) == "f64[n, 3, 3]"
    assert str(found["sum"][0].type) == "f64[n]" and str(found["sum"][1][0].type) == "f64[n, 3, 3]"
