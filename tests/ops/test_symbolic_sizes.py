"""Every function of gx.linalg and gx.nn with sizes that are names: values and gradients as with numbers, in both backends.

A table of calls; a name that is not in it fails the test.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ops.trees import flatten

Array = np.ndarray[Any, Any]
Shapes = tuple[tuple[int | str, ...], ...]
la, nn = gx.linalg, gx.nn

M, SQ, WIDE = ("m", "n"), ("n", "n"), ("b", "m", "n")
V: tuple[str, ...] = ("n",)
IMAGE = ("b", "c", "h", "w")
SIZES = ({"m": 5, "n": 3, "b": 2, "c": 2, "h": 7, "w": 4}, {"m": 2, "n": 4, "b": 1, "c": 3, "h": 4, "w": 6})


def _positive(a: gx.Tensor) -> gx.Tensor:
    return a @ a.T + gx.eye(a.shape[0]) * 3


def _signless(x: gx.Tensor) -> gx.Tensor:
    return gx.abs(x)


# name -> (function, shapes); several calls of one name are apart by what follows the dot
LINALG: dict[str, tuple[Callable[..., Any], Shapes]] = {
    "cholesky": (lambda a: la.cholesky(_positive(a)), (SQ,)),
    "cross": (la.cross, (("n", 3), ("n", 3))),
    "det": (la.det, (SQ,)),
    "diagonal": (la.diagonal, (M,)),
    "eigh": (lambda a: [la.eigh(a).eigenvalues, _signless(la.eigh(a).eigenvectors)], (SQ,)),
    "eigvalsh": (la.eigvalsh, (SQ,)),
    "expm": (la.expm, (SQ,)),
    "inv": (lambda a: la.inv(a + 4 * gx.eye(a.shape[0])), (SQ,)),
    "lstsq": (lambda a, b: [la.lstsq(a, b).x, la.lstsq(a, b).rank, la.lstsq(a, b).singular_values], (M, ("m",))),
    "matmul": (la.matmul, (M, V)),
    "matrix_norm": (la.matrix_norm, (M,)),
    "matrix_norm.nuc": (lambda a: la.matrix_norm(a, ord="nuc"), (WIDE,)),
    "matrix_norm.2": (lambda a: [la.matrix_norm(a, ord=o) for o in (2, -2, 1, -1, np.inf, -np.inf)], (M,)),
    "matrix_power": (lambda a: [la.matrix_power(a, n) for n in (0, 1, 3)], (SQ,)),
    "matrix_rank": (la.matrix_rank, (M,)),
    "matrix_transpose": (la.matrix_transpose, (M,)),
    "norm": (lambda a: [la.norm(a), la.norm(a, ord="nuc"), la.norm(a, axis=0, ord=3)], (M,)),
    "outer": (la.outer, (V, ("m",))),
    "pinv": (la.pinv, (M,)),
    "qr": (la.qr, (M,)),
    "qr.batch": (la.qr, (WIDE,)),
    "slogdet": (lambda a: la.slogdet(a), (SQ,)),
    "solve": (lambda a, b: la.solve(a + 4 * gx.eye(a.shape[0]), b), (SQ, ("n", "m"))),
    "solve_triangular": (lambda a, b: la.solve_triangular(a + 4 * gx.eye(a.shape[0]), b), (SQ, V)),
    "svd": (lambda a: [la.svd(a, full_matrices=False).S, *map(_signless, la.svd(a, full_matrices=False)[::2])], (M,)),
    "svd.full": (lambda a: la.svd(a).S, (M,)),
    "svdvals": (la.svdvals, (WIDE,)),
    "tensordot": (lambda a, b: la.tensordot(a, b, axes=1), (M, V)),
    "trace": (la.trace, (M,)),
    "vecdot": (la.vecdot, (M, V)),
    "vector_norm": (lambda a: [la.vector_norm(a), la.vector_norm(a, axis=0, ord=1)], (M,)),
}


def _each(*names: str) -> dict[str, tuple[Callable[..., Any], Shapes]]:
    return {name: (getattr(nn, name), (M,)) for name in names}


def _cell(gates: int) -> Shapes:
    return (("h", "b", "n"), ("n", f"{gates}*m"), ("m", f"{gates}*m"))


def _aligned(x: gx.Tensor) -> gx.Tensor:
    steps, batch, _ = x.shape
    labels = gx.arange(1, 3) * gx.ones((batch, 1), "int64")
    return nn.ctc_loss(nn.log_softmax(x), labels, gx.full((batch,), steps, "int64"), gx.full((batch,), 2, "int64"))


NN: dict[str, tuple[Callable[..., Any], Shapes]] = {
    **_each(
        "celu", "elu", "gelu", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu", "log_sigmoid", "log_softmax",
        "logsumexp", "mish", "relu", "relu6", "selu", "sigmoid", "silu", "softmax", "softmin", "softplus", "softshrink",
        "softsign", "tanhshrink", "rms_norm", "layer_norm",
    ),
    **{name: (getattr(nn, name), (M, M)) for name in ("hinge", "huber", "l1", "mse")},
    "adaptive_avg_pool": (lambda x: nn.adaptive_avg_pool(x, (3, 2)), (IMAGE,)),
    "adaptive_max_pool": (lambda x: nn.adaptive_max_pool(x, (3, 2)), (IMAGE,)),
    "adaptive_avg_pool.last": (lambda x: nn.adaptive_avg_pool(x, 5, layout="NHWC"), (("b", "h", "c"),)),
    "adaptive_max_pool.last": (lambda x: nn.adaptive_max_pool(x, 5, layout="NHWC"), (("b", "h", "c"),)),
    "attention": (nn.attention, (("b", "m", "c"), ("b", "n", "c"), ("b", "n", "h"))),
    "avg_pool": (lambda x: nn.avg_pool(x, 2), (IMAGE,)),
    "batch_norm": (lambda x, w: nn.batch_norm(x, w, w * w + 1, w, w), (IMAGE, ("c",))),
    "batch_norm_training": (
        lambda x: nn.batch_norm_training(x, gx.variable(np.zeros(2)), gx.variable(np.ones(2)))[0], (("b", 2, "h", "w"),)
    ),
    "binary_cross_entropy": (lambda x, t: nn.binary_cross_entropy(x, nn.sigmoid(t)), (M, M)),
    "conv": (lambda x, w: nn.conv(x, w, padding="same", stride=2), (IMAGE, ("m", "c", 3, 2))),
    "conv.last": (
        lambda x, w: nn.conv(x, w, padding="same", stride=(3, 2), dilation=2, layout="NHWC"), (("b", "h", "w", 2), (2, 3, 2, "m"))
    ),
    "conv_transpose": (lambda x, w: nn.conv_transpose(x, w, stride=2), (("b", 2, "h"), (2, "m", 3))),
    "cross_entropy": (lambda x: nn.cross_entropy(x, gx.arange(x.shape[0]) % 2), (M,)),
    "ctc_loss": (_aligned, (("h", "b", 3),)),
    "dropout": (lambda x: nn.dropout(x, 0.5, gx.random.key(0)), (M,)),
    "embedding": (lambda x: nn.embedding(x, gx.arange(x.shape[1]) % x.shape[0]), (M,)),
    "global_avg_pool": (nn.global_avg_pool, (IMAGE,)),
    "global_max_pool": (nn.global_max_pool, (IMAGE,)),
    "glu": (nn.glu, (("m", "2*n"),)),
    "group_norm": (lambda x: nn.group_norm(x, 2), (("b", "2*c", "h"),)),
    "gru": (lambda x, w, u: nn.gru(x, w, u), _cell(3)),
    "instance_norm": (nn.instance_norm, (IMAGE,)),
    "kl_divergence": (lambda p, q: nn.kl_divergence(nn.log_softmax(p), nn.softmax(q)), (M, M)),
    "lstm": (lambda x, w, u: nn.lstm(x, w, u), _cell(4)),
    "max_pool": (lambda x: nn.max_pool(x, 2), (IMAGE,)),
    "prelu": (nn.prelu, (M, ())),
    "resize": (lambda x: nn.resize(x, (3, 9)), (IMAGE,)),
    "resize.linear": (lambda x: nn.resize(x, (3, 9), method="linear"), (IMAGE,)),
    "resize.twice": (lambda x: nn.resize(x, tuple(2 * n for n in x.shape[2:]), method="linear"), (IMAGE,)),
    "resize.last": (lambda x: nn.resize(x, 2 * x.shape[1] + 1, layout="NHWC"), (("b", "h", "c"),)),
    "rnn": (lambda x, w, u: nn.rnn(x, w, u), _cell(1)),
    "rope": (nn.rope, (("b", "h", 4),)),
    "threshold": (lambda x: nn.threshold(x, 0.1, 0.0), (M,)),
}
CALLS = {**{f"linalg.{k}": v for k, v in LINALG.items()}, **{f"nn.{k}": v for k, v in NN.items()}}


def test_every_function_is_in_the_table() -> None:
    assert {name.split(".")[0] for name in LINALG} == set(la.__all__)
    functions = {name for name in nn.__all__ if callable(getattr(nn, name)) and not isinstance(getattr(nn, name), type)}
    assert {name.split(".")[0] for name in NN} == functions


def results(f: Callable[..., Any], xs: list[gx.Tensor], gradient: bool) -> list[gx.Tensor]:
    ys = flatten(f(*xs))
    floats = [y for y in ys if y.dtype.is_float]
    if not gradient or not floats:
        return ys
    total = sum((gx.sum(gx.sin(y)) for y in floats[1:]), gx.sum(gx.sin(floats[0])))
    return [*ys, *gx.grad(total, xs)]


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
@pytest.mark.parametrize("name", CALLS)
def test_sizes_that_are_names(name: str, backend: str) -> None:
    f, shapes = CALLS[name]
    xs = [gx.placeholder(f"x{i}", shape, "float64") for i, shape in enumerate(shapes)]
    run = gx.compile(xs, results(f, xs, True), backend=backend)
    for number, sizes in enumerate(SIZES):
        rng = np.random.default_rng(number)
        fixed = [[n if isinstance(n, int) else gx.ir.dims.evaluate(gx.dim(n), sizes) for n in shape] for shape in shapes]
        values = [rng.normal(size=shape) for shape in fixed]
        given = [gx.placeholder(f"x{i}", tuple(shape), "float64") for i, shape in enumerate(fixed)]
        want = gx.compile(given, results(f, given, True), backend="interpreter")(*values)
        for a, b in zip(run(*values), want, strict=True):
            assert (a.dtype, a.shape) == (b.dtype, b.shape)
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_matrices_without_elements(backend: str) -> None:
    """A name that meets 0: the smaller size is 0."""
    x = gx.placeholder("x", ("m", "n"), "float64")
    q, r = la.qr(x)
    u, s, v = la.svd(x, full_matrices=False)
    run = gx.compile([x], [q, r, u, s, v, la.pinv(x), la.matrix_rank(x), la.matrix_norm(x, ord="nuc")], backend=backend)
    for m, n in ((0, 3), (3, 0), (0, 0)):
        made = run(np.zeros((m, n)))
        assert [y.shape for y in made] == [(m, 0), (0, n), (m, 0), (0,), (0, n), (n, m), (), ()]
        assert made[-2] == 0 and made[-1] == 0


STRIDED = [
    # the slice, its length, and what a call must bring
    ("[: 2 * t : 2]", "t", lambda n, t: 2 * t <= n + 1), ("[:t:2]", "(t+1)//2", lambda n, t: t <= n + (t % 2 == 0)),
    ("[::2]", "(n+1)//2", None), ("[::-2]", "(n+1)//2", None), ("[t::2]", "max((n-t+1)//2, 0)", None),
    ("[t : 3 * t : 2]", "t", lambda n, t: 3 * t <= n + 1),
    ("[1:t:3]", None, lambda n, t: t <= 1 or 3 * ((t + 1) // 3) - 2 < n),
    ("[t:10:2]", "max((-max(n-10, 0)+n-t+1)//2, 0)", None),
    ("[t::-1]", "t+1", lambda n, t: t < n),
    ("[t - 1 :: -1]", "t", lambda n, t: t <= n),
    ("[t:0:-2]", "(t+1)//2", lambda n, t: t < n),
    ("[:t:-1]", "max(n-t-1, 0)", None),
    ("[2 * t : t : -1]", "t", lambda n, t: 2 * t < n),
    ("[-t::2]", "(t+1)//2", lambda n, t: t <= n),
    ("[-t::-1]", "max(n-t+1, 0)", lambda n, t: t > 0), ("[:-t:2]", "(max(n-t, 0)+1)//2", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "length", "fits"), STRIDED, ids=[row[0] for row in STRIDED])
def test_strided_slices_are_as_long_as_their_bounds_say(text: str, length: str | None, fits: Any) -> None:
    """Values and gradients are NumPy's; where a call brings a size that does not fit, it says so before anything ran."""
    x, h = gx.placeholder("x", ("n",), "float64"), gx.placeholder("h", ("t",), "float64")
    y = eval(f"x{text}", {"x": x, "t": h.shape[0]})
    assert length is None or str(y.shape[0]) == length
    for backend in ("interpreter", "llvm"):
        f = gx.compile([x, h], [y, gx.grad(gx.sum(y * y), x)], backend=backend)
        for n, t in itertools.product((0, 1, 2, 5, 12), (0, 1, 2, 3, 7)):
            a = np.arange(1.0, n + 1)
            want = eval(f"a{text}", {"a": a, "t": t})
            if t == 0 and ("-t:" in text.replace(" ", "") or "-1::" in text.replace(" ", "")):
                continue  # -0 is 0 in NumPy, and -1 the last place; here x[-t:] has t elements
            try:
                found, slope = f(a, np.zeros(t))
            except gx.errors.ShapeError as error:
                assert fits is not None and not fits(n, t), (n, t)
                assert "is out of range for axis 0 of f64[n]" in str(error)
                continue
            assert fits is None or fits(n, t), (n, t)
            np.testing.assert_array_equal(found, want)
            expected = np.zeros(n)
            np.add.at(expected, eval(f"a{text}", {"a": np.arange(n), "t": t}), 2 * want)
            np.testing.assert_array_equal(slope, expected)


def test_a_strided_slice_of_a_table_meets_what_is_as_long() -> None:
    table, h = gx.constant(np.arange(128.0)), gx.placeholder("h", ("t",), "float64")
    f = gx.compile([h], table[: 2 * h.shape[0] : 2] + h)
    np.testing.assert_array_equal(f(np.ones(5)), np.arange(0.0, 10, 2) + 1)
    with pytest.raises(gx.errors.ShapeError, match=r"a slice of t is out of range for axis 0 of f64\[128\]"):
        f(np.ones(65))
    g = gx.compile([h], table.at[: 3 * h.shape[0] : 3].set(h))
    np.testing.assert_array_equal(g(np.full(3, -1.0))[:9:3], [-1, -1, -1])


# --- places in an axis that may be empty -------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_nothing_is_read_from_nothing(backend: str) -> None:
    """A batch of 0 has no elements, and no places."""
    x = gx.placeholder("x", ("b", 3, 4), "float32")
    i, j = (gx.placeholder(name, ("b",), "int64") for name in "ij")
    batch = gx.arange(x.shape[0])
    many = gx.placeholder("many", ("b", "k"), "int64")
    picked = x[batch, i, j]
    outputs = [
        picked, x[batch, i], x[batch[:, None], i[:, None]], gx.grad(gx.sum(picked * picked), x), x.at[batch, i, j].add(1.0),
        gx.take(x, gx.concat([i, j]), axis=0), x[many], gx.take_along_axis(x[:, 0, 0], many[:, 0], axis=0),
    ]  # fmt: skip
    f = gx.compile([x, i, j, many], outputs, backend=backend)
    for b, k in ((0, 2), (1, 2), (2, 1), (5, 3)):
        rng = np.random.default_rng(b)
        a = rng.normal(size=(b, 3, 4)).astype("f")
        rows, columns, places = rng.integers(0, 3, b), rng.integers(0, 4, b), rng.integers(0, max(b, 1), (b, k))
        rows[rows >= max(b, 1)] = 0
        columns[columns >= max(b, 1)] = 0
        n = np.arange(b)
        got = f(a, rows, columns, places)
        slope, added = np.zeros_like(a), a.copy()
        slope[n, rows, columns] = 2 * a[n, rows, columns]
        added[n, rows, columns] += 1
        want = [
            a[n, rows, columns], a[n, rows], a[n[:, None], rows[:, None]], slope, added,
            a[np.concatenate([rows, columns])], a[places], a[:, 0, 0][places[:, 0]],
        ]  # fmt: skip
        for y, z in zip(got, want, strict=True):
            np.testing.assert_array_equal(y, z)


def test_something_cannot_be_read_from_nothing() -> None:
    x, i = gx.placeholder("x", ("b", 3), "float32"), gx.placeholder("i", ("n",), "int64")
    for node, says in ((x[i, i], "gather at places of an empty axis"), (gx.take(x, i, axis=0), "take from an empty axis")):
        f = gx.compile([x, i], node)
        assert f(np.ones((0, 3), "f"), np.zeros(0, "i8")).shape[0] == 0
        with pytest.raises(gx.errors.ShapeError, match=f"{says}: .*0 is less than 1 where b = 0, n = 2"):
            f(np.ones((0, 3), "f"), np.zeros(2, "i8"))
