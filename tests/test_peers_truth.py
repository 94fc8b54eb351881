"""Values and gradients of the vocabulary against torch's, in float64: make truth

Each row of the table names a function, says how graphc and torch write it, and gives the shapes and the range of its operands.
The value is compared, and the gradient of its sum with random weights for every operand. Skipped where torch is not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import graphc as gx

torch = pytest.importorskip("torch")
F = torch.nn.functional

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


@dataclass(frozen=True)
class Row:
    """One function in both libraries."""

    name: str
    mine: Function
    theirs: Function
    shapes: tuple[tuple[int, ...], ...] = ((3, 4),)
    domain: tuple[float, float] = (-2.0, 2.0)
    tolerance: float = 1e-12
    gradient: bool = True
    prepare: Callable[[Array], Array] = lambda x: x


def unary(names: str, domain: tuple[float, float] = (-2.0, 2.0), **more: Any) -> list[Row]:
    """Functions that both libraries have under a name, `mine` or `mine=theirs`."""
    found = []
    for pair in names.split():
        name, _, other = pair.partition("=")
        found.append(Row(name, getattr(gx, name), getattr(torch, other or name), domain=domain, **more))
    return found


def binary(names: str, domain: tuple[float, float] = (-2.0, 2.0), **more: Any) -> list[Row]:
    return unary(names, domain, shapes=((3, 4), (4,)), **more)


def activations(names: str, **more: Any) -> list[Row]:
    found = []
    for pair in names.split():
        name, _, other = pair.partition("=")
        found.append(Row(f"nn.{name}", getattr(gx.nn, name), getattr(F, other or name), domain=(-5, 5), **more))
    return found


def numbers(x: Array) -> Array:
    """Few different values, so that there are ties."""
    return np.round(x * 2)


def positive_definite(x: Array) -> Array:
    return x @ np.swapaxes(x, -1, -2) + 3 * np.eye(x.shape[-1])


def regular(x: Array) -> Array:
    return x + 3 * np.eye(x.shape[-1]) if x.ndim >= 2 and x.shape[-1] == x.shape[-2] else x


MATRIX, BATCH, IMAGES, LINES = (4, 4), (2, 4, 4), (2, 4, 7, 8), (2, 4, 9)
PLACES = np.array([[0, 2, 1], [1, 1, 0]])
LABELS = np.array([1, 0, 3])
MASK = np.array([[True, False, True, True], [False, True, True, False], [True, True, False, False]])
AT = torch.tensor(PLACES)

TABLE = [
    *unary("exp exp2 expm1 sin cos tanh sinh cosh asinh atan erf erfc sigmoid square abs negative sign positive"),
    *unary("tan", (-1.2, 1.2)),
    *unary("asin acos atanh erfinv", (-0.9, 0.9)),
    *unary("log log2 log10 sqrt reciprocal lgamma", (0.2, 5.0)),
    *unary("digamma", (0.2, 5.0), tolerance=2e-9),  # torch has its derivative to nine digits
    *unary("log1p", (-0.8, 4.0)),
    *unary("acosh", (1.2, 5.0)),
    *unary("floor ceil trunc round", (-3.0, 3.0)),
    Row("cbrt", gx.cbrt, lambda x: x ** (1 / 3), domain=(0.2, 5)),
    Row("polygamma 1", lambda x: gx.polygamma(1, x), lambda x: torch.polygamma(1, x), domain=(0.3, 5), tolerance=2e-9),
    Row("polygamma 2", lambda x: gx.polygamma(2, x), lambda x: torch.polygamma(2, x), domain=(0.3, 5)),
    Row("softplus", gx.softplus, F.softplus, domain=(-15, 15)),
    *binary("add subtract multiply maximum minimum atan2 hypot copysign logaddexp"),
    *binary("divide=divide pow", (0.3, 3.0)),
    *binary("remainder fmod", (0.5, 4.0)),
    *binary("floor_divide", (0.5, 4.0), gradient=False),
    *binary("equal=eq not_equal=ne less=lt less_equal=le greater=gt greater_equal=ge", gradient=False, prepare=numbers),
    *unary("isfinite isinf isnan signbit", gradient=False),
    *binary("logical_and logical_or logical_xor", gradient=False, prepare=numbers),
    Row("logical_not", gx.logical_not, torch.logical_not, prepare=numbers, gradient=False),
    Row("nextafter", gx.nextafter, torch.nextafter, ((3, 4), (4,)), gradient=False),
    Row("gammainc by x", lambda x: gx.gammainc(1.7, x), lambda x: torch.special.gammainc(torch.full_like(x, 1.7), x),
        domain=(0.2, 6)),
    Row("gammaincc by x", lambda x: gx.gammaincc(1.7, x), lambda x: torch.special.gammaincc(torch.full_like(x, 1.7), x),
        domain=(0.2, 6)),
    Row("clip", lambda x: gx.clip(x, -0.5, 0.7), lambda x: torch.clip(x, -0.5, 0.7)),
    Row("where", lambda x, y: gx.where(MASK, x, y), lambda x, y: torch.where(torch.tensor(MASK), x, y), ((3, 4), (4,))),
    Row("x ** 3", lambda x: x**3, lambda x: x**3),
    Row("x ** -2.5", lambda x: x**-2.5, lambda x: x**-2.5, domain=(0.3, 3)),
    Row("2 ** x", lambda x: 2**x, lambda x: 2**x),
    # reductions
    *[Row(f"{n} {a}", lambda x, n=n, a=a: getattr(gx, n)(x, axis=a), lambda x, n=n, a=a: getattr(torch, n)(x, dim=a), ((3, 4,
        5),))
      for n in ("sum", "mean") for a in (None, 1, (0, 2))],
    Row("prod", lambda x: gx.prod(x, axis=1), lambda x: torch.prod(x, 1)),
    Row("prod with a zero", lambda x: gx.prod(x, axis=1), lambda x: torch.prod(x, 1), prepare=numbers),
    Row("max", lambda x: gx.max(x, axis=1), lambda x: torch.amax(x, 1)),
    Row("max of ties", lambda x: gx.max(x, axis=1), lambda x: torch.amax(x, 1), prepare=numbers),
    Row("min of ties", lambda x: gx.min(x, axis=(0, 1)), lambda x: torch.amin(x, (0, 1)), prepare=numbers),
    Row("var", lambda x: gx.var(x, axis=1, correction=1), lambda x: torch.var(x, 1, correction=1)),
    Row("std", lambda x: gx.std(x, axis=(0, 1)), lambda x: torch.std(x, (0, 1), correction=0)),
    Row("any", lambda x: gx.any(x > 1, axis=1), lambda x: torch.any(x > 1, 1), gradient=False),
    Row("all", lambda x: gx.all(x > -1, axis=1), lambda x: torch.all(x > -1, 1), gradient=False),
    Row("argmax", lambda x: gx.argmax(x, axis=1), lambda x: torch.argmax(x, 1), gradient=False),
    Row("argmin", lambda x: gx.argmin(x), lambda x: torch.argmin(x), gradient=False),
    Row("count_nonzero", lambda x: gx.count_nonzero(x, axis=0), lambda x: torch.count_nonzero(x, 0), gradient=False,
        prepare=numbers),
    Row("logsumexp", lambda x: gx.nn.logsumexp(x, axis=1), lambda x: torch.logsumexp(x, 1), domain=(-20, 20)),
    Row("cumulative_sum", lambda x: gx.cumulative_sum(x, axis=1), lambda x: torch.cumsum(x, 1)),
    Row("cumulative_prod", lambda x: gx.cumulative_prod(x, axis=1), lambda x: torch.cumprod(x, 1)),
    Row("cumulative_prod with a zero", lambda x: gx.cumulative_prod(x, axis=1), lambda x: torch.cumprod(x, 1), prepare=numbers),
    Row("cummax", lambda x: gx.cummax(x, axis=1), lambda x: torch.cummax(x, 1).values),
    Row("cummin", lambda x: gx.cummin(x, axis=0), lambda x: torch.cummin(x, 0).values),
    Row("logcumsumexp", lambda x: gx.logcumsumexp(x, axis=1), lambda x: torch.logcumsumexp(x, 1)),
    Row("diff", lambda x: gx.diff(x, n=2, axis=1), lambda x: torch.diff(x, 2, 1)),
    Row("median", lambda x: gx.median(x, axis=1), lambda x: torch.quantile(x, 0.5, 1)),
    Row("quantile", lambda x: gx.quantile(x, [0.1, 0.6], axis=1), lambda x: torch.quantile(x, torch.tensor([0.1, 0.6],
        dtype=x.dtype), 1)),
    # moving elements
    Row("reshape", lambda x: gx.reshape(x, (2, 6)), lambda x: torch.reshape(x, (2, 6))),
    Row("permute_dims", lambda x: gx.permute_dims(x, (2, 0, 1)), lambda x: torch.permute(x, (2, 0, 1)), ((2, 3, 4),)),
    Row("moveaxis", lambda x: gx.moveaxis(x, 0, 2), lambda x: torch.moveaxis(x, 0, 2), ((2, 3, 4),)),
    Row("swapaxes", lambda x: gx.swapaxes(x, 0, 2), lambda x: torch.swapaxes(x, 0, 2), ((2, 3, 4),)),
    Row("matrix_transpose", gx.matrix_transpose, lambda x: x.mT, ((2, 3, 4),)),
    Row("broadcast_to", lambda x: gx.broadcast_to(x, (5, 3, 4)), lambda x: torch.broadcast_to(x, (5, 3, 4))),
    Row("expand_dims", lambda x: gx.expand_dims(x, 1), lambda x: torch.unsqueeze(x, 1)),
    Row("squeeze", lambda x: gx.squeeze(x, 1), lambda x: torch.squeeze(x, 1), ((3, 1, 4),)),
    Row("flip", lambda x: gx.flip(x, (0, 1)), lambda x: torch.flip(x, (0, 1))),
    Row("roll", lambda x: gx.roll(x, (1, -2), (0, 1)), lambda x: torch.roll(x, (1, -2), (0, 1))),
    Row("repeat", lambda x: gx.repeat(x, 3, axis=1), lambda x: torch.repeat_interleave(x, 3, 1)),
    Row("tile", lambda x: gx.tile(x, (2, 3)), lambda x: torch.tile(x, (2, 3))),
    Row("pad", lambda x: gx.pad(x, ((1, 2), (0, 3))), lambda x: F.pad(x, (0, 3, 1, 2))),
    Row("concat", lambda x, y: gx.concat([x, y], axis=0), lambda x, y: torch.concat([x, y], 0), ((3, 4), (2, 4))),
    Row("stack", lambda x, y: gx.stack([x, y], axis=1), lambda x, y: torch.stack([x, y], 1), ((3, 4), (3, 4))),
    Row("unstack", lambda x: gx.unstack(x, axis=1)[2], lambda x: torch.unbind(x, 1)[2]),
    Row("tril", lambda x: gx.tril(x, k=-1), lambda x: torch.tril(x, -1), ((2, 4, 4),)),
    Row("triu", lambda x: gx.triu(x, k=1), lambda x: torch.triu(x, 1), ((2, 4, 4),)),
    Row("diagonal", lambda x: gx.diagonal(x, 1), lambda x: torch.diagonal(x, 1)),
    Row("diag", gx.diag, torch.diag, ((4,),)),
    Row("trace", gx.trace, torch.trace),
    Row("slices", lambda x: x[1:, :3:2], lambda x: x[1:, :3:2]),
    Row("an index", lambda x: x[:, -1], lambda x: x[:, -1]),
    Row("arrays as indices", lambda x: x[PLACES, PLACES], lambda x: x[AT, AT]),
    Row("take", lambda x: gx.take(x, PLACES[0], axis=1), lambda x: torch.index_select(x, 1, AT[0])),
    Row("take_along_axis", lambda x: gx.take_along_axis(x, PLACES, axis=0), lambda x: torch.take_along_dim(x, AT, 0), ((3, 3),)),
    Row("at set", lambda x, y: x.at[PLACES[0]].set(y), lambda x, y: torch.index_copy(x, 0, AT[0], y), ((4, 4), (3, 4))),
    Row("at add", lambda x, y: x.at[PLACES[1]].add(y), lambda x, y: torch.index_add(x, 0, AT[1], y), ((4, 4), (3, 4))),
    Row("at multiply", lambda x, y: x.at[PLACES[1]].multiply(y), lambda x, y: torch.index_reduce(x, 0, AT[1], y, "prod"),
        ((4, 4), (3, 4))),
    Row("at max", lambda x, y: x.at[PLACES[1]].max(y), lambda x, y: torch.index_reduce(x, 0, AT[1], y, "amax"), ((4, 4), (3, 4))),
    Row("at min", lambda x, y: x.at[PLACES[1]].min(y), lambda x, y: torch.index_reduce(x, 0, AT[1], y, "amin"), ((4, 4), (3, 4))),
    Row("segment_sum", lambda x: gx.segment_sum(x, PLACES[1], 3), lambda x: torch.zeros(3, 4).double().index_add(0, AT[1], x)),
    Row("sort", lambda x: gx.sort(x, axis=1), lambda x: torch.sort(x, 1).values),
    Row("sort descending", lambda x: gx.sort(x, axis=0, descending=True), lambda x: torch.sort(x, 0, descending=True).values),
    Row("argsort", lambda x: gx.argsort(x, axis=1), lambda x: torch.argsort(x, dim=1, stable=True), gradient=False,
        prepare=numbers),
    Row("top_k", lambda x: gx.top_k(x, 2)[0], lambda x: torch.topk(x, 2).values),
    Row("searchsorted", lambda x: gx.searchsorted(gx.constant([-1.0, 0.0, 1.0]), x),
        lambda x: torch.searchsorted(torch.tensor([-1.0, 0.0, 1.0]).double(), x), gradient=False),
    Row("isin", lambda x: gx.isin(x, [0.0, 1.0]), lambda x: torch.isin(x, torch.tensor([0.0, 1.0])), gradient=False,
        prepare=numbers),
    Row("meshgrid", lambda x, y: gx.meshgrid(x, y, indexing="ij")[1], lambda x, y: torch.meshgrid(x, y, indexing="ij")[1],
        ((3,), (4,))),
    # products
    Row("matmul", gx.matmul, torch.matmul, ((3, 4), (4, 5))),
    Row("matmul in batches", gx.matmul, torch.matmul, ((2, 1, 3, 4), (5, 4, 2))),
    Row("matmul with a vector", gx.matmul, torch.matmul, ((3, 4), (4,))),
    Row("vecdot", lambda x, y: gx.vecdot(x, y, axis=0), lambda x, y: torch.linalg.vecdot(x, y, dim=0), ((4, 3), (4, 3))),
    Row("outer", gx.outer, torch.outer, ((3,), (4,))),
    Row("kron", gx.kron, torch.kron, ((2, 3), (3, 2))),
    Row("cross", gx.cross, torch.linalg.cross, ((4, 3), (4, 3))),
    Row("tensordot", lambda x, y: gx.tensordot(x, y, axes=2), lambda x, y: torch.tensordot(x, y, 2), ((2, 3, 4), (3, 4, 5))),
    *[Row(f"einsum {s}", lambda *x, s=s: gx.einsum(s, *x), lambda *x, s=s: torch.einsum(s, *x), shapes) for s, shapes in (
        ("ij,jk->ik", ((3, 4), (4, 5))), ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))), ("ii->i", ((4, 4),)), ("ij->j", ((3, 4),)),
        ("i,j,k->ijk", ((2,), (3,), (4,))), ("ijk,jl,kl->il", ((2, 3, 4), (3, 5), (4, 5))), ("...ij->...ji", ((2, 3, 4),)),
    )],
    # linear algebra
    Row("cholesky", gx.linalg.cholesky, lambda x: torch.linalg.cholesky(x), (BATCH,), prepare=positive_definite, gradient=False),
    Row("cholesky's gradient", lambda x: gx.linalg.cholesky(x @ x.mT + 2 * gx.eye(4)),
        lambda x: torch.linalg.cholesky(x @ x.mT + 2 * torch.eye(4)), (MATRIX,)),
    Row("solve", gx.linalg.solve, torch.linalg.solve, (BATCH, (2, 4, 3)), prepare=regular),
    Row("solve_triangular", lambda a, b: gx.linalg.solve_triangular(a, b, lower=True),
        lambda a, b: torch.linalg.solve_triangular(a.tril(), b, upper=False), (MATRIX, (4, 3)), prepare=regular),
    Row("inv", gx.linalg.inv, torch.linalg.inv, (BATCH,), prepare=regular),
    Row("det", gx.linalg.det, torch.linalg.det, (BATCH,), prepare=regular),
    Row("slogdet", lambda x: gx.linalg.slogdet(x)[1], lambda x: torch.linalg.slogdet(x).logabsdet, (BATCH,), prepare=regular),
    Row("pinv", gx.linalg.pinv, torch.linalg.pinv, ((5, 3),), tolerance=1e-10),
    Row("svdvals", gx.linalg.svdvals, torch.linalg.svdvals, ((4, 3),), tolerance=1e-11),
    Row("eigvalsh", lambda x: gx.linalg.eigvalsh(x + x.mT), lambda x: torch.linalg.eigvalsh(x + x.mT), (MATRIX,),
        tolerance=1e-11),
    Row("eigh's projector", lambda x: (lambda v: v[:, :2] @ v[:, :2].mT)(gx.linalg.eigh(x + x.mT)[1]),
        lambda x: (lambda v: v[:, :2] @ v[:, :2].mT)(torch.linalg.eigh(x + x.mT)[1]), (MATRIX,), tolerance=1e-10),
    Row("qr", lambda x: gx.abs(gx.linalg.qr(x)[1]), lambda x: torch.abs(torch.linalg.qr(x)[1]), ((5, 3),), tolerance=1e-10),
    Row("svd", lambda x: (lambda u, s, v: u @ v)(*gx.linalg.svd(x, full_matrices=False)),
        lambda x: (lambda u, s, v: u @ v)(*torch.linalg.svd(x, full_matrices=False)), ((4, 3),), tolerance=1e-10),
    Row("lstsq", lambda a, b: gx.linalg.lstsq(a, b)[0], lambda a, b: torch.linalg.lstsq(a, b).solution, ((5, 3), (5, 2)),
        tolerance=1e-10),
    Row("matrix_power", lambda x: gx.linalg.matrix_power(x, 5), lambda x: torch.linalg.matrix_power(x, 5), (MATRIX,)),
    Row("matrix_power -2", lambda x: gx.linalg.matrix_power(x, -2), lambda x: torch.linalg.matrix_power(x, -2), (MATRIX,),
        prepare=regular),
    Row("matrix_rank", gx.linalg.matrix_rank, torch.linalg.matrix_rank, (MATRIX,), gradient=False),
    Row("expm", gx.linalg.expm, torch.linalg.matrix_exp, (MATRIX,), tolerance=1e-11),
    *[Row(f"vector_norm {p}", lambda x, p=p: gx.linalg.vector_norm(x, axis=1, ord=p),
          lambda x, p=p: torch.linalg.vector_norm(x, p, dim=1)) for p in (1, 2, 3, np.inf, -np.inf)],
    *[Row(f"matrix_norm {p}", lambda x, p=p: gx.linalg.matrix_norm(x, ord=p), lambda x, p=p: torch.linalg.matrix_norm(x, p),
        (BATCH,),
          tolerance=1e-11) for p in ("fro", "nuc", 1, 2, np.inf)],
    # networks
    *activations("relu relu6 elu selu silu mish gelu celu leaky_relu hardswish hardtanh softsign tanhshrink softshrink"),
    *activations("hardshrink log_sigmoid=logsigmoid"),
    Row("nn.hardsigmoid", gx.nn.hardsigmoid, lambda x: F.relu6(x + 3) / 6, domain=(-5, 5)),  # torch's has the sixth of float32
    Row("nn.gelu tanh", lambda x: gx.nn.gelu(x, approximate="tanh"), lambda x: F.gelu(x, approximate="tanh")),
    Row("nn.prelu", lambda x, a: gx.nn.prelu(x, gx.reshape(a, (4, 1))), F.prelu, ((2, 4, 3), (4,))),
    Row("nn.glu", gx.nn.glu, F.glu),
    Row("nn.threshold", lambda x: gx.nn.threshold(x, 0.3, -1.0), lambda x: F.threshold(x, 0.3, -1.0)),
    Row("nn.softmax", lambda x: gx.nn.softmax(x, axis=0), lambda x: F.softmax(x, 0), domain=(-20, 20)),
    Row("nn.softmin", lambda x: gx.nn.softmin(x, axis=1), lambda x: F.softmin(x, 1)),
    Row("nn.log_softmax", lambda x: gx.nn.log_softmax(x, axis=1), lambda x: F.log_softmax(x, 1), domain=(-20, 20)),
    Row("nn.layer_norm", gx.nn.layer_norm, lambda x, w, b: F.layer_norm(x, (4,), w, b), ((3, 4), (4,), (4,)), tolerance=1e-11),
    Row("nn.rms_norm", lambda x, w: gx.nn.rms_norm(x, w), lambda x, w: F.rms_norm(x, (4,), w, 1e-6), ((3, 4), (4,))),
    Row("nn.group_norm", lambda x, w, b: gx.nn.group_norm(x, 2, w, b), lambda x, w, b: F.group_norm(x, 2, w, b), (IMAGES, (4,),
        (4,)),
        tolerance=1e-11),
    Row("nn.instance_norm", gx.nn.instance_norm, F.instance_norm, (IMAGES,), tolerance=1e-11),
    Row("nn.batch_norm", lambda x, m, v: gx.nn.batch_norm(x, m, v * v), lambda x, m, v: F.batch_norm(x, m, v * v), (IMAGES,
        (4,), (4,)),
        gradient=False),
    *[Row(f"nn.{n} {r}", lambda x, t, n=n, r=r: getattr(gx.nn, n)(x, t, reduction=r),
          lambda x, t, o=o, r=r: getattr(F, o)(x, t, reduction=r), ((3, 4), (3, 4)))
      for n, o in (("mse", "mse_loss"), ("l1", "l1_loss"), ("huber", "huber_loss")) for r in ("mean", "sum")],
    Row("nn.cross_entropy", lambda x: gx.nn.cross_entropy(x, LABELS), lambda x: F.cross_entropy(x, torch.tensor(LABELS))),
    Row("nn.cross_entropy smoothed", lambda x: gx.nn.cross_entropy(x, LABELS, smoothing=0.2),
        lambda x: F.cross_entropy(x, torch.tensor(LABELS), label_smoothing=0.2)),
    Row("nn.cross_entropy ignoring", lambda x: gx.nn.cross_entropy(x, LABELS, ignore=0),
        lambda x: F.cross_entropy(x, torch.tensor(LABELS), ignore_index=0)),
    Row("nn.binary_cross_entropy", lambda x: gx.nn.binary_cross_entropy(x, MASK),
        lambda x: F.binary_cross_entropy_with_logits(x, torch.tensor(MASK).double()), domain=(-9, 9)),
    Row("nn.kl_divergence", lambda x, t: gx.nn.kl_divergence(gx.nn.log_softmax(x), gx.nn.softmax(t), reduction="sum"),
        lambda x, t: F.kl_div(F.log_softmax(x, -1), F.softmax(t, -1), reduction="sum"), ((3, 4), (3, 4))),
    *[Row(f"nn.conv {c}", lambda x, k, b, o=o: gx.nn.conv(x, k, b, **o), lambda x, k, b, f=f, o=o: f(x, k, b, **o), shapes)
      for c, f, o, shapes in (
        ("1d", F.conv1d, {"stride": 2, "padding": 1}, (LINES, (6, 4, 3), (6,))),
        ("2d", F.conv2d, {}, (IMAGES, (6, 4, 3, 2), (6,))),
        ("2d stride", F.conv2d, {"stride": 2, "padding": 2, "dilation": 2}, (IMAGES, (6, 4, 3, 3), (6,))),
        ("2d groups", F.conv2d, {"groups": 2, "padding": 1}, (IMAGES, (6, 2, 3, 3), (6,))),
        ("2d depthwise", F.conv2d, {"groups": 4}, (IMAGES, (8, 1, 3, 3), (8,))),
        ("3d", F.conv3d, {"padding": 1}, ((1, 2, 4, 5, 6), (3, 2, 3, 3, 3), (3,))))],
    *[Row(f"nn.conv_transpose {c}", lambda x, k, b, o=o: gx.nn.conv_transpose(x, k, b, **o), lambda x, k, b, f=f, o=o: f(x, k,
        b, **o),
          shapes) for c, f, o, shapes in (
        ("1d", F.conv_transpose1d, {"stride": 2, "padding": 1, "output_padding": 1}, (LINES, (4, 6, 3), (6,))),
        ("2d", F.conv_transpose2d, {"stride": 2, "groups": 2}, (IMAGES, (4, 3, 3, 2), (6,))))],
    Row("nn.max_pool", lambda x: gx.nn.max_pool(x, 3, stride=2, padding=1), lambda x: F.max_pool2d(x, 3, 2, 1), (IMAGES,)),
    Row("nn.avg_pool", lambda x: gx.nn.avg_pool(x, 3, stride=2, padding=1), lambda x: F.avg_pool2d(x, 3, 2, 1), (IMAGES,)),
    Row("nn.avg_pool of elements", lambda x: gx.nn.avg_pool(x, 3, padding=1, count_padding=False),
        lambda x: F.avg_pool2d(x, 3, 3, 1, count_include_pad=False), (IMAGES,)),
    Row("nn.adaptive_avg_pool", lambda x: gx.nn.adaptive_avg_pool(x, (3, 5)), lambda x: F.adaptive_avg_pool2d(x, (3, 5)),
        (IMAGES,)),
    Row("nn.adaptive_max_pool", lambda x: gx.nn.adaptive_max_pool(x, (3, 5)), lambda x: F.adaptive_max_pool2d(x, (3, 5)),
        (IMAGES,)),
    Row("nn.global_avg_pool", gx.nn.global_avg_pool, lambda x: torch.mean(x, (2, 3)), (IMAGES,)),
    Row("nn.global_max_pool", gx.nn.global_max_pool, lambda x: torch.amax(x, (2, 3)), (IMAGES,)),
    Row("nn.embedding", lambda w: gx.nn.embedding(w, PLACES), lambda w: F.embedding(AT, w), ((5, 4),)),
    Row("nn.attention", lambda q, k, v: gx.nn.attention(q, k, v), F.scaled_dot_product_attention, ((2, 3, 5, 4), (2, 3, 6, 4),
        (2, 3, 6, 4))),
]  # fmt: skip


def sequence(value: Any) -> Sequence[Any]:
    return value if isinstance(value, (list, tuple)) else [value]


def test_there_are_enough() -> None:
    names = [row.name for row in TABLE]
    assert len(set(names)) == len(names) and len(names) >= 150


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_values_and_gradients_are_torch_s(row: Row) -> None:
    rng = np.random.default_rng(len(row.name))
    arrays = [row.prepare(rng.uniform(*row.domain, shape)) for shape in row.shapes]
    symbols = [gx.placeholder(f"x{i}", shape, "float64") for i, shape in enumerate(row.shapes)]
    theirs = [torch.tensor(a, requires_grad=row.gradient) for a in arrays]
    y, want = row.mine(*symbols), row.theirs(*theirs)
    assert y.shape == tuple(want.shape)
    if not row.gradient:
        close(gx.compile(symbols, y)(*arrays), want.detach().numpy(), row.tolerance)
        return
    weights = rng.uniform(0.5, 1.5, y.shape)
    run = gx.compile(symbols, [y, *gx.grad(gx.sum(y * weights), symbols, unconnected="zero")])
    (want * torch.tensor(weights)).sum().backward()
    value, *slopes = run(*arrays)
    close(value, want.detach().numpy(), row.tolerance)
    for mine, x in zip(slopes, theirs, strict=True):
        close(mine, np.zeros(x.shape) if x.grad is None else x.grad.numpy(), row.tolerance)


def close(got: Array, want: Array, tolerance: float) -> None:
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
        return
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance * max(1.0, float(np.max(np.abs(want), initial=0))))
