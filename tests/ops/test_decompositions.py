"""Linear algebra against NumPy, gradients against differences to second order and against torch and jax, wrong use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import linalg as la
from graphc.errors import GradientError, GraphError, InputError, ShapeError
from graphc.ops import lapack

Array = np.ndarray[Any, Any]
Function = Callable[[gx.Tensor], Any]
BACKENDS = ("interpreter", "llvm")


def square(*shape: int, seed: int = 0) -> Array:
    """Well-conditioned matrices whose singular values differ."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(shape) / 4 + np.eye(*shape[-2:]) * np.arange(1, shape[-1] + 1)


def positive(*shape: int, seed: int = 0) -> Array:
    a = square(*shape, seed=seed)
    return a @ np.swapaxes(a, -1, -2) / shape[-1] + np.eye(shape[-1])


def listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, tuple) else [value]


# --- values ----------------------------------------------------------------------------------------------------------

# Ours, NumPy's, and whether the matrix must be positive definite.
VALUES: dict[str, tuple[Function, Callable[[Array], Any], bool]] = {
    "cholesky": (la.cholesky, np.linalg.cholesky, True),
    "cholesky upper": (lambda x: la.cholesky(x, upper=True), lambda a: np.linalg.cholesky(a, upper=True), True),
    "inv": (la.inv, np.linalg.inv, False),
    "det": (la.det, np.linalg.det, False),
    "slogdet": (la.slogdet, np.linalg.slogdet, False),
    "qr": (la.qr, np.linalg.qr, False),
    "eigh": (la.eigh, np.linalg.eigh, True),
    "eigvalsh": (la.eigvalsh, np.linalg.eigvalsh, True),
    "svd": (la.svd, np.linalg.svd, False),
    "svdvals": (la.svdvals, np.linalg.svdvals, False),
    "pinv": (lambda x: la.pinv(x, rtol=1e-6), lambda a: np.linalg.pinv(a, rtol=1e-6), False),
    "matrix_rank": (lambda x: la.matrix_rank(x, rtol=1e-6), lambda a: np.linalg.matrix_rank(a, rtol=1e-6), False),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", VALUES)
def test_values_are_numpy_s(name: str, dtype: str, backend: str) -> None:
    """Of one compilation for every size and batch: 0, 1 and more."""
    ours, theirs, definite = VALUES[name]
    x = gx.placeholder("x", ("batch", "n", "n"), dtype)
    f = gx.compile([x], listed(ours(x)), backend=backend)
    for shape in ((1, 1, 1), (3, 2, 2), (2, 7, 7), (1, 40, 40), (0, 3, 3), (2, 0, 0)):
        if 0 in shape and name in ("matrix_rank", "pinv"):
            continue
        a = (positive if definite else square)(*shape).astype(dtype)
        before = a.copy()
        for got, want in zip(f(a), listed(theirs(a)), strict=True):
            assert got.dtype == np.asarray(want).dtype
            bound = 2e-4 if dtype == "float32" else 1e-11
            np.testing.assert_allclose(got, want, rtol=bound, atol=bound)
        np.testing.assert_array_equal(a, before)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (2, 4, 3), (0, 3), (3, 0), (1, 1)])
def test_matrices_that_are_not_square(shape: tuple[int, ...]) -> None:
    a = square(*shape)
    x = gx.placeholder("x", shape, "float64")
    pairs: list[tuple[Any, Any]] = [
        (la.qr(x), np.linalg.qr(a)), (la.qr(x, mode="complete"), np.linalg.qr(a, mode="complete")), (la.svd(x), np.linalg.svd(a)),
        (la.svd(x, full_matrices=False), np.linalg.svd(a, full_matrices=False)), (la.svdvals(x), np.linalg.svdvals(a)),
    ]  # fmt: skip
    if a.size:
        pairs += [(la.pinv(x), np.linalg.pinv(a)), (la.matrix_rank(x), np.linalg.matrix_rank(a))]
    for ours, theirs in pairs:
        for got, want in zip(gx.compile([x], listed(ours))(a), listed(theirs), strict=True):
            np.testing.assert_allclose(got, want, atol=1e-12)


@pytest.mark.parametrize("backend", BACKENDS)
def test_systems(backend: str) -> None:
    cases: tuple[tuple[Any, Any], ...] = (
        ((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (3, 4)), ((3, 3), (2, 3, 1)), ((4, 1, 2, 2), (5, 2, 3)), ((0, 0), (0, 2)),
    )  # fmt: skip
    for left, right in cases:
        a, b = square(*left), np.random.default_rng(1).standard_normal(right)
        x, y = gx.placeholder("x", left, "float64"), gx.placeholder("y", right, "float64")
        outputs = [la.solve(x, y)]
        sides = [(lower, turned, unit) for lower in (False, True) for turned in (False, True) for unit in (False, True)]
        outputs += [la.solve_triangular(x, y, lower=lo, transposed=turned, unit_diagonal=unit) for lo, turned, unit in sides]
        got, *triangular = gx.compile([x, y], outputs, backend=backend)(a, b)
        np.testing.assert_allclose(got, np.linalg.solve(a, b), atol=1e-12)
        for (lower, turned, unit), found in zip(sides, triangular, strict=True):
            whole = np.tril(a) if lower else np.triu(a)
            if unit:
                whole = whole - whole * np.eye(left[-1]) + np.eye(left[-1])
            np.testing.assert_allclose(found, np.linalg.solve(np.swapaxes(whole, -1, -2) if turned else whole, b), atol=1e-11)


def test_least_squares() -> None:
    a, b = square(6, 3), np.random.default_rng(1).standard_normal((6, 2))
    x, y = gx.placeholder("x", a.shape, "float64"), gx.placeholder("y", b.shape, "float64")
    for got, want in zip(gx.compile([x, y], list(la.lstsq(x, y)))(a, b), np.linalg.lstsq(a, b), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-12)
    assert la.lstsq(x, y[:, 0]).x.shape == (3,)


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf])
def test_norms(order: Any) -> None:
    a = np.random.default_rng(0).standard_normal((2, 3, 4))
    x = gx.placeholder("x", a.shape, "float64")
    for keep in (False, True):
        got = la.matrix_norm(x, ord=order, keepdims=keep).eval({x: a})
        np.testing.assert_allclose(got, np.linalg.matrix_norm(a, ord=order, keepdims=keep), rtol=1e-14)


def test_the_gradient_of_the_frobenius_norm_is_0_at_0() -> None:
    x = gx.placeholder("x", (2, 2), "float64")
    np.testing.assert_array_equal(gx.grad(la.matrix_norm(x), x).eval({x: np.zeros((2, 2))}), np.zeros((2, 2)))


def test_the_exponential() -> None:
    x = gx.placeholder("x", ("n", "n"), "float64")
    f = gx.compile([x], la.expm(x))
    for size in (0.0, 0.1, 3.0, 40.0):  # a turn by an angle, known in closed form
        c, s = np.cos(size), np.sin(size)
        np.testing.assert_allclose(f(np.array([[0, -size], [size, 0]])), [[c, -s], [s, c]], atol=2e-13)
    assert f(np.zeros((0, 0))).shape == (0, 0)
    assert np.isnan(f(np.full((2, 2), np.nan))).all()


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
def test_integers_and_booleans_become_float64() -> None:
    for dtype in ("int8", "int64", "bool"):
        x = gx.placeholder("x", (2, 2), dtype)
        assert la.det(x).dtype == la.inv(x).dtype == la.cholesky(x).dtype == gx.float64
    assert la.solve(gx.placeholder("a", (2, 2), "float32"), gx.placeholder("b", (2,), "float64")).dtype == gx.float64


# --- gradients -------------------------------------------------------------------------------------------------------


def total(value: Any, seed: int = 0) -> gx.Tensor:
    """A fixed combination of all results, nonlinear so that second derivatives count."""
    rng = np.random.default_rng(seed)
    parts = []
    for y in listed(value):
        weights = gx.constant(rng.uniform(0.5, 1.5, tuple(int(n) for n in y.shape)))
        parts.append(gx.sum(gx.sin(y) * weights))
    return gx.sum(gx.stack(parts))


def symmetric(x: gx.Tensor) -> gx.Tensor:
    return x + gx.matrix_transpose(x)


GRADIENTS: dict[str, tuple[Function, Array]] = {
    "cholesky": (la.cholesky, positive(4, 4)),
    "cholesky upper batch": (lambda x: la.cholesky(x, upper=True), positive(2, 3, 3)),
    "inv": (la.inv, square(4, 4)),
    "det": (la.det, square(4, 4)),
    "det batch": (la.det, square(2, 3, 3)),
    "slogdet": (lambda x: la.slogdet(x).logabsdet, square(4, 4)),
    "solve": (lambda x: la.solve(x, x[..., :2] ** 2), square(4, 4)),
    "solve vector": (lambda x: la.solve(x, x[0] * x[1]), square(3, 3)),
    "solve_triangular": (lambda x: la.solve_triangular(x, x[:, ::-1], lower=True), square(3, 3)),
    "solve_triangular transposed": (lambda x: la.solve_triangular(x, x[:, :2], transposed=True), square(3, 3)),
    "solve_triangular unit": (lambda x: la.solve_triangular(x, x**2, unit_diagonal=True), square(3, 3)),
    "qr square": (la.qr, square(4, 4)),
    "qr tall": (la.qr, square(5, 3)),
    "qr wide": (la.qr, square(3, 5)),
    "qr complete wide": (lambda x: la.qr(x, mode="complete"), square(2, 4)),
    "eigh": (la.eigh, symmetric(gx.constant(square(4, 4))).eval()),
    "eigvalsh": (la.eigvalsh, symmetric(gx.constant(square(2, 3, 3))).eval()),
    "svd square": (la.svd, square(3, 3)),
    "svd tall": (lambda x: la.svd(x, full_matrices=False), square(5, 3)),
    "svd wide": (lambda x: la.svd(x, full_matrices=False), square(2, 3, 4)),
    "svd full, values": (lambda x: la.svd(x).S, square(3, 5)),
    "svdvals": (la.svdvals, square(4, 3)),
    "pinv tall": (la.pinv, square(5, 3)),
    "pinv wide": (la.pinv, square(3, 4)),
    "lstsq": (lambda x: la.lstsq(x, x[:, 0] * x[:, 1])[:2], square(5, 3)),
    "norm fro": (la.matrix_norm, square(3, 4)),
    "norm nuc": (lambda x: la.matrix_norm(x, ord="nuc"), square(3, 4)),
    "norm 2": (lambda x: la.matrix_norm(x, ord=2), square(3, 3)),
    "norm -2": (lambda x: la.matrix_norm(x, ord=-2), square(3, 3)),
    "expm": (la.expm, square(3, 3) / 2),
    "median": (lambda x: gx.median(x, axis=0), square(4, 3)),
    "quantile": (lambda x: gx.quantile(x, [0.2, 0.7], axis=1), square(4, 5)),
}


def slope(f: Callable[[Array], float], a: Array, direction: Array) -> float:
    """The derivative of f along a direction by central differences of four steps, extrapolated (Richardson)."""
    rows = []
    for k in range(4):
        step = 0.005 / 2**k
        rows.append((f(a + step * direction) - f(a - step * direction)) / (2 * step))
    for order in (1, 2, 3):
        rows = [(4**order * fine - coarse) / (4**order - 1) for coarse, fine in pairwise(rows)]
    return rows[0]


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_differences_to_second_order(name: str) -> None:
    function, a = GRADIENTS[name]
    rng = np.random.default_rng(7)
    x = gx.placeholder("x", a.shape, "float64")
    first = total(function(x))
    gradient = gx.grad(first, x)
    second = gx.sum(gx.sin(gradient) * gx.constant(rng.uniform(0.5, 1.5, a.shape)))
    f = gx.compile([x], [first, gradient, second, gx.grad(second, x)])
    direction = rng.uniform(-1, 1, a.shape) / 4
    found = f(a)
    for at in (0, 2):
        exact = float(np.sum(found[at + 1] * direction))
        size = float(np.sum(np.abs(found[at + 1] * direction)))
        assert abs(slope(lambda v, at=at: float(f(v)[at]), a, direction) - exact) <= (1e-10 if at == 0 else 1e-9) * size


def test_the_gradient_of_a_determinant_at_a_singular_matrix() -> None:
    x = gx.placeholder("x", ("n", "n"), "float64")
    f = gx.compile([x], gx.grad(la.det(x), x))
    np.testing.assert_allclose(f([[1.0, 2.0], [2.0, 4.0]]), [[4, -2], [-2, 1]], atol=1e-14)
    np.testing.assert_array_equal(f(np.zeros((3, 3))), np.zeros((3, 3)))
    np.testing.assert_array_equal(f([[0.0]]), [[1]])


def test_equal_eigenvalues_leave_out_what_depends_on_the_choice_of_vectors() -> None:
    x = gx.placeholder("x", (3, 3), "float64")
    values, vectors = la.eigh(x)
    again = (vectors * gx.exp(gx.expand_dims(values, -2))) @ gx.matrix_transpose(vectors)  # a function of x, whatever the vectors
    gradient = gx.grad(gx.sum(again * gx.constant(np.diag([1.0, 2.0, 3.0]))), x).eval({x: np.eye(3)})
    np.testing.assert_allclose(gradient, np.e * np.diag([1.0, 2.0, 3.0]), atol=1e-14)
    u, s, vh = la.svd(x)
    assert np.isfinite(gx.grad(gx.sum(u) + gx.sum(s) + gx.sum(vh), x).eval({x: np.eye(3)})).all()


def test_a_matrix_is_factored_once_for_a_solution_and_its_gradients() -> None:
    x, y = gx.placeholder("x", (20, 20), "float64"), gx.placeholder("y", (20,), "float64")
    z = la.solve(x, y)
    f = gx.compile([x, y], [z, *gx.grad(gx.sum(z * z), [x, y])])
    assert str(f.graph).count("= lu(") == 1


REFUSED: tuple[tuple[str, Function], ...] = (
    ("qr", lambda x: la.qr(x, mode="complete").Q),
    ("svd", lambda x: la.svd(x).U),
)


@pytest.mark.parametrize(("name", "function"), REFUSED, ids=[name for name, _ in REFUSED])
def test_vectors_that_are_any_have_no_gradient(name: str, function: Function) -> None:
    x = gx.placeholder("x", (4, 2), "float64")
    with pytest.raises(GradientError, match=f"{name}.* has no gradient"):
        gx.grad(gx.sum(function(x)), x)


# --- other people's truth --------------------------------------------------------------------------------------------

PEERS = (
    "cholesky", "inv", "det", "solve", "qr square", "qr tall", "eigh", "svd square", "svd tall", "pinv tall", "norm nuc", "expm",
)  # fmt: skip


def peer_functions(xp: Any, inverse: Any, exponential: Any) -> dict[str, Callable[[Any], Any]]:
    linalg = xp.linalg
    return {
        "cholesky": linalg.cholesky, "inv": linalg.inv, "det": linalg.det, "solve": lambda x: linalg.solve(x, x[..., :2] ** 2),
        "qr square": linalg.qr, "qr tall": linalg.qr, "eigh": linalg.eigh, "svd square": linalg.svd,
        "svd tall": lambda x: linalg.svd(x, full_matrices=False), "pinv tall": inverse, "expm": exponential,
        "norm nuc": lambda x: linalg.matrix_norm(x, ord="nuc"),
    }  # fmt: skip


def ours(name: str) -> tuple[Array, Array]:
    function, a = GRADIENTS[name]
    x = gx.placeholder("x", a.shape, "float64")
    y = total(function(x))
    value, gradient = gx.compile([x], [y, gx.grad(y, x)])(a)
    return value, gradient


def weights(parts: list[Any]) -> list[Array]:
    rng = np.random.default_rng(0)
    return [rng.uniform(0.5, 1.5, tuple(p.shape)) for p in parts]


@pytest.mark.parametrize("name", PEERS)
def test_torch_agrees(name: str) -> None:
    torch = pytest.importorskip("torch")
    function = peer_functions(torch, torch.linalg.pinv, torch.linalg.matrix_exp)[name]
    x = torch.from_numpy(GRADIENTS[name][1].copy()).requires_grad_()
    made = function(x)
    parts = list(made) if isinstance(made, tuple) else [made]
    y = sum((torch.sin(p) * torch.from_numpy(np.asarray(w))).sum() for p, w in zip(parts, weights(parts), strict=True))
    y.backward()
    value, gradient = ours(name)
    np.testing.assert_allclose(value, y.item(), rtol=1e-11)
    np.testing.assert_allclose(gradient, x.grad.numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("name", PEERS)
def test_jax_agrees(name: str) -> None:
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    function = peer_functions(jax.numpy, jax.numpy.linalg.pinv, jax.scipy.linalg.expm)[name]

    def scalar(x: Any) -> Any:
        made = function(x)
        parts = list(made) if isinstance(made, tuple) else [made]
        return sum((jax.numpy.sin(p) * w).sum() for p, w in zip(parts, weights(parts), strict=True))

    value, gradient = jax.value_and_grad(scalar)(GRADIENTS[name][1])
    found, slopes = ours(name)
    np.testing.assert_allclose(found, value, rtol=1e-11)
    np.testing.assert_allclose(slopes, gradient, rtol=1e-9, atol=1e-10)


# --- wrong use -------------------------------------------------------------------------------------------------------

WRONG: tuple[tuple[Callable[[gx.Tensor], Any], type[GraphError], str], ...] = (
    *(
        (lambda x, f=f: f(x[0]), ShapeError, f"{f.__name__} needs a matrix, got f64[3]")
        for f in (la.cholesky, la.inv, la.det, la.slogdet, la.qr, la.eigh, la.eigvalsh, la.svd, la.svdvals, la.pinv, la.expm)
    ),
    *(
        (lambda x, f=f: f(x), ShapeError, f"{f.__name__} needs a square matrix, got f64[2, 3]")
        for f in (la.cholesky, la.inv, la.det, la.slogdet, la.eigh, la.eigvalsh, la.expm)
    ),
    (lambda x: la.solve(x, x), ShapeError, "solve needs a square matrix"),
    (lambda x: la.solve(x[:, :2], x[0]), ShapeError, "solve needs a right side of as many rows as the matrix"),
    (lambda x: la.solve(x[:, :2], 1.0), ShapeError, "solve needs a right side of as many rows as the matrix"),
    (lambda x: la.solve(gx.zeros((2, 4, 4)), gx.zeros((3, 4, 1))), ShapeError, "solve cannot broadcast the leading axes"),
    (lambda x: la.solve_triangular(x, x), ShapeError, "solve_triangular needs a square matrix"),
    (lambda x: la.lstsq(x, gx.zeros(5)), ShapeError, "lstsq needs a right side of as many rows as the matrix"),
    (lambda x: la.qr(x, mode="r"), InputError, "qr: mode is 'r'"),
    (lambda x: la.matrix_norm(x, ord=3), InputError, "matrix_norm: ord is 3"),
    (lambda x: la.matrix_norm(x, ord="two"), InputError, "matrix_norm: ord is 'two'"),
    (lambda x: la.matrix_norm(x, ord=True), InputError, "matrix_norm: ord is True"),
    (lambda x: la.matrix_norm(x[0]), ShapeError, "matrix_norm needs a matrix"),
    (lambda x: la.pinv(x, rtol="small"), InputError, "pinv: rtol must be a number"),  # type: ignore[arg-type]
    (lambda x: la.cholesky(gx.placeholder("y", ("n", "m"))), ShapeError, "cholesky needs a square matrix, got f32[n, m]"),
)


@pytest.mark.parametrize(("wrong", "kind", "message"), WRONG, ids=[message for _, _, message in WRONG])
def test_wrong_use_is_named_at_the_user_s_line(wrong: Any, kind: type[GraphError], message: str) -> None:
    with pytest.raises(kind, match=r"test_decompositions\.py") as caught:
        wrong(gx.placeholder("x", (2, 3), "float64"))
    assert caught.value.message.startswith(message)


SINGULAR = np.array([[1.0, 2.0], [2.0, 4.0]])
IMPOSSIBLE: tuple[tuple[Function, Array, str], ...] = (
    (la.cholesky, np.zeros((2, 2)), "cholesky raised LinAlgError: the matrix is not positive definite"),
    (la.cholesky, SINGULAR - 4 * np.eye(2), "cholesky raised LinAlgError: the matrix is not positive definite"),
    (la.inv, np.zeros((2, 2)), "solve raised LinAlgError: the matrix is singular"),
    (lambda x: la.solve(x, x[0]), SINGULAR, "solve raised LinAlgError: the matrix is singular"),
    (lambda x: la.solve_triangular(x, x[0]), np.diag([1.0, 0.0]), "solve_triangular raised LinAlgError: the matrix is singular"),
)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("function", "bad", "message"), IMPOSSIBLE, ids=[message for *_, message in IMPOSSIBLE])
def test_what_only_numbers_show_is_an_error_of_the_call(function: Function, bad: Array, message: str, backend: str) -> None:
    x = gx.placeholder("x", ("n", "n"), "float64")
    v = gx.variable(0.0)
    f = gx.compile([x], function(x), updates={v: v + 1}, backend=backend)
    with pytest.raises(GraphError, match=message):
        f(bad)
    assert v.value == 0
    assert f(np.eye(2)).shape[0] == 2
    assert v.value == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", VALUES)
def test_matrices_with_nan_or_infinity(name: str, value: float) -> None:
    """NaN for a decomposition, and nothing else in the batch suffers; never a crash or a loop without end."""
    x = gx.placeholder("x", ("batch", "n", "n"), "float64")
    f = gx.compile([x], listed(VALUES[name][0](x)))
    for n in (2, 60):
        a = np.stack([positive(n, n), positive(n, n), np.full((n, n), value)])
        good = [y[0] for y in f(a[:1])]
        a[1, n // 2, n // 2] = value
        for want, got in zip(good, f(a), strict=True):
            np.testing.assert_array_equal(got[0], want)
            if name not in ("inv", "det", "slogdet", "matrix_rank"):
                kept = np.tri(n).T if name == "cholesky upper" else np.tri(n) if name == "cholesky" else np.ones(want.shape)
                assert np.isnan(got[1:][..., kept > 0]).all()


# --- the library behind it -------------------------------------------------------------------------------------------


def test_lapack_is_found_and_its_threads_are_as_before() -> None:
    assert lapack.FOUND
    if lapack._LIBRARY.threads is None:
        pytest.skip("NumPy's library is not OpenBLAS")
    get, change = lapack._LIBRARY.threads
    before = get()
    change(2)
    seen = []

    def both() -> None:
        with lapack.one_thread():
            seen.append(get())

    with lapack.one_thread():
        other = threading.Thread(target=both)
        other.start()
        other.join()
        seen.append(get())
    assert seen == [1, 1]
    assert get() == 2
    change(before)


def test_without_lapack_the_same_comes_from_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lapack, "FOUND", False)
    x, y = gx.placeholder("x", ("n", "n"), "float64"), gx.placeholder("y", ("n", 2), "float64")
    sides = [(lower, turned, unit) for lower in (False, True) for turned in (False, True) for unit in (False, True)]
    outputs = [la.cholesky(x), la.solve(x, y), la.inv(x), la.det(x), gx.grad(la.det(x), x)]
    outputs += [la.solve_triangular(x, y, lower=lo, transposed=turned, unit_diagonal=unit) for lo, turned, unit in sides]
    f = gx.compile([x, y], outputs)
    for n in (0, 1, 5):
        a, b = positive(n, n) if n else np.zeros((0, 0)), np.ones((n, 2))
        alone = f(a, b)
        with monkeypatch.context() as found:
            found.setattr(lapack, "FOUND", True)
            for got, want in zip(alone, f(a, b), strict=True):
                np.testing.assert_allclose(got, want, atol=1e-12)
