"""einsum and gx.linalg against NumPy, on both backends, with fixed and with named sizes."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import DTypeError, GraphError, InputError, ShapeError

Array = np.ndarray[Any, Any]
SIZES = {"i": 2, "j": 3, "k": 4, "l": 5, "b": 2, "d": 3, "o": 1}


def whole(*shape: int, seed: int = 0) -> Array:
    """Whole numbers: no order of sums rounds."""
    return np.random.default_rng([seed, *shape]).integers(-4, 5, shape).astype(float)


EINSUM: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("ij,jk->ik", ("ij", "jk")), ("ij,jk", ("ij", "jk")), ("ij,kj->ki", ("ij", "kj")), ("ij->ji", ("ij",)), ("ij->", ("ij",)),
    ("ij->j", ("ij",)), ("ji", ("ij",)), ("ii", ("dd",)), ("ii->i", ("dd",)), ("iji->ij", ("djd",)), ("iii", ("ddd",)),
    ("i,i", ("i", "i")), ("i,j->ij", ("i", "j")), ("i,j->ji", ("i", "j")), ("ij,ij->ij", ("ij", "ij")), ("ij,i->ij", ("ij", "i")),
    ("bij,bjk->bik", ("bij", "bjk")), ("bij,bkj->bik", ("bij", "bkj")), ("bij,jk->bki", ("bij", "jk")),
    ("ijb,bjk->kbi", ("ijb", "bjk")),
    ("...ij,...jk->...ik", ("bij", "bjk")), ("...ij,jk->...ik", ("lbij", "jk")), ("...ij,...jk", ("lbij", "bjk")),
    ("...", ("ij",)),
    ("i...->...i", ("ijk",)), ("i...,i...", ("ij", "ij")), ("...i,...i->...", ("bi", "lbi")), ("...,...", ("bi", "i")),
    ("...ii->...i", ("bdd",)),
    ("ij,jk,kl->il", ("ij", "jk", "kl")), ("ij,jk,kl,lb", ("ij", "jk", "kl", "lb")), ("ijk,jl,kb->ilb", ("ijk", "jl", "kb")),
    ("i,ij,j->", ("i", "ij", "j")), ("ij,ij,ij->j", ("ij", "ij", "ij")), ("ij,oj->i", ("ij", "oj")), ("ij,jk->ki", ("io", "jk")),
    (",ij->ij", ("", "ij")), ("a,b,c->abc", ("i", "j", "k")), ("ab,cd,ac->bd", ("ij", "kl", "ik")),
    ("ijk,ijl->ikl", ("bij", "bil")),
)  # fmt: skip


@pytest.mark.parametrize(("text", "shapes"), EINSUM, ids=[e[0] for e in EINSUM])
def test_einsum_is_numpy_s(text: str, shapes: tuple[str, ...]) -> None:
    given = [whole(*(SIZES[c] for c in shape), seed=i) for i, shape in enumerate(shapes)]
    want = np.einsum(text, *given)
    for named in (False, True):
        free = named and "o" not in "".join(shapes)
        typed = [tuple(c if free else SIZES[c] for c in shape) for shape in shapes]
        xs = [gx.placeholder(f"x{i}", shape, "float64") for i, shape in enumerate(typed)]
        results = [gx.einsum(text, *xs), gx.einsum(text, *xs, optimize=False)]
        for backend in ("interpreter", "llvm"):
            for got in gx.compile(xs, results, backend=backend)(*given):
                assert got.shape == want.shape and np.array_equal(got, want), (named, backend)


def test_einsum_of_lists_and_of_numpy_and_of_integers() -> None:
    a, b = whole(2, 3), whole(3, 4)
    assert np.array_equal(gx.einsum(gx.constant(a), [0, 1], gx.constant(b), [1, 10], [10, 0]).eval(),
     np.einsum("ij,jk->ki", a, b))
    assert np.array_equal(gx.einsum(gx.constant(a), [0, ...]).eval(), np.einsum(a, [0, ...]))
    assert np.array_equal(np.einsum("ij,jk", gx.constant(a), b).eval(), a @ b)
    small = np.full((3, 50), 100, "int8")
    got = gx.einsum("ij,kj->ik", gx.constant(small), gx.constant(small)).eval()
    assert got.dtype == np.int8 and np.array_equal(got, np.einsum("ij,kj->ik", small, small))


def test_orders_of_einsum_with_and_without_opt_einsum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain is contracted from its short end: no matrix of 50 x 50 is made."""
    a, b, c = whole(50, 50), whole(50, 50), whole(50, 1)
    for missing in (False, True):
        if missing:
            monkeypatch.setitem(sys.modules, "opt_einsum", None)
        else:
            pytest.importorskip("opt_einsum")
        y = gx.einsum("ij,jk,kl->il", gx.constant(a), gx.constant(b), gx.constant(c))
        sizes = [n.type.size for n in gx.ir.graph.Graph((), (y,)).nodes if n.op.name == "matmul"]
        assert len(sizes) == 2 and max(sizes) == 50
        assert np.array_equal(y.eval(), a @ (b @ c))
    with pytest.raises(InputError, match="no way"):
        monkeypatch.undo()
        pytest.importorskip("opt_einsum")
        gx.einsum("ij,jk,kl->il", a, b, c, optimize="by magic")


def test_the_gradient_of_einsum() -> None:
    a, b, c = whole(2, 3), whole(3, 3), whole(3, 4)
    x, y, z = (gx.placeholder(n, v.shape, "float64") for n, v in zip("xyz", (a, b, c), strict=True))
    loss = gx.sum(gx.einsum("ij,jj,jk->ik", x, y, z) ** 2)
    got = gx.compile([x, y, z], gx.grad(loss, [x, y, z]))(a, b, c)
    product = 2 * np.einsum("ij,jj,jk->ik", a, b, c)
    assert np.array_equal(got[0], np.einsum("ik,jj,jk->ij", product, b, c))
    assert np.array_equal(got[1], np.diag(np.einsum("ij,ik,jk->j", a, product, c)))
    assert np.array_equal(got[2], np.einsum("ij,jj,ik->jk", a, b, product))


A, V = whole(3, 4), whole(3)
S = whole(3, 3, seed=2)
ROWS: tuple[tuple[str, Callable[[Any], Any], Callable[[Array], Any], Array], ...] = (
    ("diagonal", lambda x: gx.diagonal(x, 1), lambda x: np.diagonal(x, 1), A),
    ("diagonal below", lambda x: gx.diagonal(x, -2), lambda x: np.diagonal(x, -2), A),
    ("diagonal outside", lambda x: gx.diagonal(x, 7), lambda x: np.diagonal(x, 7), A),
    ("diagonal of a batch", lambda x: gx.linalg.diagonal(x, -1), lambda x: np.linalg.diagonal(x, offset=-1), whole(2, 3, 4)),
    ("diagonal of axes", lambda x: gx.diagonal(x, 0, 2, 0), lambda x: np.diagonal(x, 0, 2, 0), whole(2, 3, 4)),
    ("diag", lambda x: gx.diag(x, -1), lambda x: np.diag(x, -1), V),
    ("diag of a matrix", lambda x: gx.diag(x, 1), lambda x: np.diag(x, 1), A),
    ("trace", lambda x: gx.trace(x), np.trace, A),
    ("trace of a batch", lambda x: gx.linalg.trace(x, 1), lambda x: np.linalg.trace(x, offset=1), whole(2, 3, 4)),
    ("cross", lambda x: gx.cross(x, V), lambda x: np.cross(x, V), whole(5, 3)),
    ("cross along", lambda x: gx.linalg.cross(x, x + V[:, None], axis=0), lambda x: np.cross(x, x + V[:, None], axis=0), A),
    ("outer", lambda x: gx.linalg.outer(x, x), lambda x: np.outer(x, x), V),
    ("kron", lambda x: gx.kron(x, S), lambda x: np.kron(x, S), A),
    ("kron of ranks", lambda x: gx.kron(x, V), lambda x: np.kron(x, V), A),
    ("power", lambda x: gx.linalg.matrix_power(x, 5), lambda x: np.linalg.matrix_power(x, 5), S),
    ("power 0", lambda x: gx.linalg.matrix_power(x, 0), lambda x: np.linalg.matrix_power(x, 0), whole(2, 3, 3)),
    ("power -3", lambda x: gx.linalg.matrix_power(x, -3), lambda x: np.linalg.matrix_power(x, -3), S),
    ("power 1", lambda x: gx.linalg.matrix_power(x, 1), lambda x: x, S),
    ("vecdot", lambda x: gx.vecdot(x, A[0]), lambda x: np.vecdot(x, A[0]), A),
    ("vecdot along", lambda x: gx.linalg.vecdot(x, V[:, None], axis=0), lambda x: np.vecdot(x, V[:, None], axis=0), A),
    ("tensordot", lambda x: gx.tensordot(x, S, (0, 1)), lambda x: np.tensordot(x, S, (0, 1)), A),
    ("tensordot none", lambda x: gx.tensordot(x, V, 0), lambda x: np.tensordot(x, V, 0), A),
    *((f"norm {ord}", lambda x, o=ord: gx.linalg.vector_norm(x, ord=o, axis=1),
     lambda x, o=ord: np.linalg.vector_norm(x, ord=o, axis=1), A)
      for ord in (0, 1, np.inf, -np.inf, 2, 3)),
    *((f"matrix norm {ord}", lambda x, o=ord: gx.linalg.matrix_norm(x, ord=o, keepdims=True),
       lambda x, o=ord: np.linalg.matrix_norm(x, ord=o, keepdims=True),
        whole(2, 3, 4)) for ord in (1, -1, np.inf, -np.inf, "fro")),
    ("norm of all", lambda x: np.linalg.norm(x), np.linalg.norm, whole(2, 3, 4)),
    ("norm of columns", lambda x: np.linalg.norm(x, axis=0, keepdims=True),
     lambda x: np.linalg.norm(x, axis=0, keepdims=True), A),
    ("norm of a matrix", lambda x: np.linalg.norm(x, 1), lambda x: np.linalg.norm(x, 1), A),
    ("norm of axes", lambda x: np.linalg.norm(x, 1, (2, 0)), lambda x: np.linalg.norm(x, 1, (2, 0)), whole(2, 3, 4)),
    ("numpy's trace", np.trace, np.trace, A),
    ("numpy's kron", lambda x: np.kron(x, S), lambda x: np.kron(x, S), A),
    ("numpy's power", lambda x: np.linalg.matrix_power(x, 3), lambda x: np.linalg.matrix_power(x, 3), S),
)  # fmt: skip


@pytest.mark.parametrize(("ours", "theirs", "values"), [r[1:] for r in ROWS], ids=[r[0] for r in ROWS])
def test_linear_algebra_is_numpy_s(ours: Callable[[Any], Any], theirs: Callable[[Array], Any], values: Array) -> None:
    want = np.asarray(theirs(values))
    names = ("n", *values.shape[1:]) if values.shape != (3, 3) and values.ndim > 1 and values.shape[0] != 3 else values.shape
    for shape in {values.shape, names}:
        x = gx.placeholder("x", shape, "float64")
        for backend in ("interpreter", "llvm"):
            got = gx.compile([x], ours(x), backend=backend)(values)
            assert (got.dtype, got.shape) == (want.dtype, want.shape), backend
            assert np.allclose(got, want, rtol=1e-14, atol=0), backend


def test_norms_have_a_gradient_at_0() -> None:
    x = gx.placeholder("x", (3,), "float64")
    y = gx.linalg.vector_norm(x)
    (slope,) = gx.compile([x], [gx.grad(y, x)])(np.zeros(3))
    assert np.array_equal(slope, np.zeros(3))
    second = gx.compile([x], gx.hessian(y, x))(np.array([3.0, 4.0, 0.0]))
    unit = np.array([0.6, 0.8, 0.0])
    assert np.allclose(second, (np.eye(3) - np.outer(unit, unit)) / 5)


x = gx.placeholder("x", ("n", 3), "float32")
BAD: tuple[tuple[Callable[[], Any], type[GraphError], str], ...] = (
    (lambda: gx.einsum(), InputError, "there are no operands"),
    (lambda: gx.einsum("ij", x, x), InputError, "1 subscripts for 2 operands"),
    (lambda: gx.einsum("i,j", x), InputError, "2 subscripts for 1 operands"),
    (lambda: gx.einsum("ijk", x), ShapeError, "'ijk' does not fit"),
    (lambda: gx.einsum("i", x), ShapeError, "'i' does not fit"),
    (lambda: gx.einsum("i..j", x), InputError, "is not a subscript"),
    (lambda: gx.einsum("i-j", x), InputError, "is not a subscript"),
    (lambda: gx.einsum("ij->ik", x), InputError, "axis k is in no operand"),
    (lambda: gx.einsum("ij->ii", x), InputError, "names an axis twice"),
    (lambda: gx.einsum("ij,ij", x, gx.zeros((3, 4))), ShapeError, "axis i has the sizes n and 3|axis j has the sizes 3 and 4"),
    (lambda: gx.einsum("ii", gx.zeros((3, 4))), ShapeError, "axis i has the sizes 3 and 4"),
    (lambda: gx.einsum("...j->j", x), InputError, "leaves out the axes of ..."),
    (lambda: gx.einsum("ij", x > 0), DTypeError, "needs numbers"),
    (lambda: gx.diagonal(x[0]), ShapeError, "needs two axes"),
    (lambda: gx.diagonal(x, 0, 1, -1), ShapeError, "are one axis"),
    (lambda: gx.diagonal(x, 0.5), ShapeError, "offset must be an integer"),  # type: ignore[arg-type]
    (lambda: gx.diag(x[None]), ShapeError, "needs a vector or a matrix"),
    (lambda: gx.trace(x, axis1=2), ShapeError, "out of range"),
    (lambda: gx.cross(x, x[:, :2]), ShapeError, "size 3"),
    (lambda: gx.cross(x, 3), ShapeError, "0-d array has no axes"),
    (lambda: gx.cross(x > 0, x > 0), DTypeError, "needs numbers"),
    (lambda: gx.kron(x > 0, x > 0), DTypeError, "needs numbers"),
    (lambda: gx.vecdot(x, x[:, :1]), ShapeError, "needs equal sizes"),
    (lambda: gx.vecdot(x, 1), ShapeError, "at least one axis"),
    (lambda: gx.tensordot(x, x, 3), ShapeError, "is not possible"),
    (lambda: gx.tensordot(x, x, (0, 1, 1)), ShapeError, "a number or a pair"),
    (lambda: gx.tensordot(x, x, ([0, 0], [0, 0])), ShapeError, "each once|equal sizes"),
    (lambda: gx.linalg.matrix_power(x, 2), ShapeError, "needs square matrices"),
    (lambda: gx.linalg.matrix_power(gx.eye(2), 1.5), ShapeError, "must be an integer"),
    (lambda: gx.linalg.matrix_norm(x[0]), ShapeError, "needs matrices"),
    (lambda: gx.linalg.matrix_norm(x, ord=7), InputError, "is not there"),
    (lambda: gx.linalg.vector_norm(x, ord="fro"), InputError, "must be a number"),  # type: ignore[arg-type]
    (lambda: gx.linalg.norm(x[None], 1), ShapeError, "one axis or two"),
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
@pytest.mark.parametrize(("act", "kind", "message"), BAD, ids=[b[2] for b in BAD])
def test_wrong_use_is_an_error_at_the_user_s_line(act: Callable[[], Any], kind: type[GraphError], message: str) -> None:
    with pytest.raises(kind, match=message) as caught:
        act()
    assert "test_linalg.py" in str(caught.value)
