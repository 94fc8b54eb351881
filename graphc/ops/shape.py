"""Moving elements: reshape, permute, broadcast, slice, embed (a slice's adjoint), concat, and what is made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc import ops
from graphc.errors import InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Dim, Shape, Size
from graphc.ir.graph import Node
from graphc.ir.operation import Box, Pointwise, Requirement, Sample
from graphc.ir.scalar import Scalars
from graphc.ir.types import TensorType
from graphc.ops.declare import (
    Op,
    as_option,
    build,
    check_number,
    index_map,
    listed,
    normalize_axes,
    normalize_axis,
    of_all,
    pointwise,
    typed,
)
from graphc.ops.tensor import Axis, Tensor, TensorLike, as_tensor

Array = np.ndarray[Any, Any]

# --- reshape ---------------------------------------------------------------------------------------------------------


def _reshape_type(x: TensorType, shape: Shape) -> TensorType:
    if dims.product(shape) != x.size and isinstance(dims.product(shape), int) and isinstance(x.size, int):
        raise ShapeError(f"reshape of {x} to {list(shape)} changes the number of elements from {x.size} to {dims.product(shape)}")
    return TensorType(x.dtype, shape)


def _reshape_body(k: Scalars, index: tuple[Size, ...], shape: Shape) -> Any:
    source = k.type(0).shape
    if [n for n in shape if n != 1] == [n for n in source if n != 1]:  # axes of size 1 come and go: nothing to work out
        rest = iter(i for i, n in zip(index, shape, strict=True) if n != 1)
        return k.load(0, tuple(0 if n == 1 else next(rest) for n in source))
    return k.load(0, dims.unravel(dims.ravel(index, shape), source, k.ranges))


def _reshape_requires(x: TensorType, shape: Shape) -> list[Requirement]:
    if x.size == dims.product(shape):
        return []
    divides = f"reshape of {x} to {list(shape)} divides by a size of 0"
    return [
        *(Requirement(n, ">=", 1, divides) for n in dims.denominators(*shape)),
        Requirement(x.size, "==", dims.product(shape), _what_does_not_fit(x, shape)),
    ]


def _what_does_not_fit(x: TensorType, shape: Shape) -> str:
    for a, n in enumerate(x.shape):
        parts = next((k for k in shape[a : a + 2] if isinstance(k, int)), None) if x.shape[:a] == shape[:a] else None
        if parts and shape[a + 2 :] == x.shape[a + 1 :] and set(shape[a : a + 2]) == {parts, dims.floordiv(n, parts)}:
            into = f"{parts} equal parts" if shape[a] == parts else f"parts of {parts}"
            return f"split of {x} along axis {a} into {into} (a reshape to {list(shape)}) leaves a rest"
    return f"reshape of {x} to {list(shape)} changes the number of elements"


reshape_: Op = Op(
    "reshape", _reshape_type, lambda x, shape: np.reshape(x, shape), Pointwise(_reshape_body),
    lambda g, y, x, shape: (reshape_(g, shape=x.shape),),
    (Sample(((3, 4),), {"shape": (2, 6)}), Sample(((2, 3, 4),), {"shape": (4, 1, 6)}), Sample(((1,),), {"shape": ()})),
    level=of_all, requires=_reshape_requires, arity=1, build=build,
)  # fmt: skip


def reshape(x: TensorLike, shape: Any) -> Tensor:
    """x's elements, in their order, under another shape; one size may be -1.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("batch", 4, 6), "float32")
    >>> gx.reshape(x, (-1, 8)).shape
    (3*batch, 8)
    """
    x = as_tensor(x)
    try:
        wanted = list(t.as_shape(shape))
    except (TypeError, ValueError, AttributeError):
        raise ShapeError(f"reshape: {shape!r} is not a shape", where=caller(), hint="give integers and sizes") from None
    free = [i for i, n in enumerate(wanted) if n == -1]
    if len(free) > 1 or any(isinstance(n, int) and n < -1 for n in wanted):
        raise ShapeError(
            f"reshape of {x.type} to {wanted}: at most one size may be -1, others cannot be negative", where=caller()
        )
    if free:
        rest = dims.product(n for n in wanted if n != -1)
        if rest == 0 or (isinstance(x.size, int) and isinstance(rest, int) and x.size % rest):
            raise ShapeError(f"reshape of {x.type} to {wanted}: {x.size} elements do not divide by {rest}", where=caller())
        wanted[free[0]] = dims.floordiv(x.size, rest)
    target = tuple(wanted)
    return x if target == x.shape else reshape_(x, shape=target)


def expand_dims(x: TensorLike, axis: int | tuple[int, ...] = 0) -> Tensor:
    """x with new axes of size 1 at the places `axis` names in the result."""
    x = as_tensor(x)
    axes = tuple(axis) if isinstance(axis, (list, tuple)) else (axis,)
    rank = x.ndim + len(axes)
    places = normalize_axes("expand_dims", axes, TensorType(x.dtype, (1,) * rank))
    sizes = iter(x.shape)
    return reshape(x, tuple(1 if a in places else next(sizes) for a in range(rank)))


def squeeze(x: TensorLike, axis: Axis = None) -> Tensor:
    """x without the axes of size 1 that `axis` names; without all of them if it names none."""
    x = as_tensor(x)
    axes = tuple(a for a, n in enumerate(x.shape) if n == 1) if axis is None else normalize_axes("squeeze", axis, x.type)
    for a in axes:
        if x.shape[a] != 1:
            raise ShapeError(f"squeeze: axis {a} of {x.type} has size {x.shape[a]}, not 1", where=caller())
    return reshape(x, tuple(n for a, n in enumerate(x.shape) if a not in axes))


# --- permute_dims ----------------------------------------------------------------------------------------------------


def _inverse(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple(axes.index(a) for a in range(len(axes)))


permute_: Op = index_map(
    "permute_dims",
    shape=lambda x, axes: tuple(x[a] for a in axes),
    reference=lambda x, axes: np.transpose(x, axes),
    index=lambda i, x, axes: tuple(i[a] for a in _inverse(axes)),
    vjp=lambda g, y, x, axes: (permute_(g, axes=_inverse(axes)),),
    samples=(Sample(((2, 3, 4),), {"axes": (2, 0, 1)}), Sample(((3, 4),), {"axes": (1, 0)})),
)


def permute_dims(x: TensorLike, axes: Sequence[int]) -> Tensor:
    """x with its axes in another order: axis i of the result is axis axes[i] of x."""
    x = as_tensor(x)
    places = tuple(normalize_axis("permute_dims", a, x.type) for a in listed("permute_dims", "axes", axes))
    if sorted(places) != list(range(x.ndim)):
        raise ShapeError(f"permute_dims: {tuple(axes)} is not an order of the axes of {x.type}", where=caller())
    return x if places == tuple(range(x.ndim)) else permute_(x, axes=places)


def transpose(x: TensorLike, axes: Sequence[int] | None = None) -> Tensor:
    """NumPy's transpose: all axes reversed unless an order is given."""
    x = as_tensor(x)
    return permute_dims(x, tuple(reversed(range(x.ndim))) if axes is None else axes)


def matrix_transpose(x: TensorLike) -> Tensor:
    """The last two axes exchanged."""
    x = as_tensor(x)
    if x.ndim < 2:
        raise ShapeError(f"matrix_transpose needs two axes, got {x.type}", where=caller())
    return swapaxes(x, -1, -2)


def swapaxes(x: TensorLike, axis1: int, axis2: int) -> Tensor:
    """Two axes exchanged."""
    x = as_tensor(x)
    order = list(range(x.ndim))
    a, b = normalize_axis("swapaxes", axis1, x.type), normalize_axis("swapaxes", axis2, x.type)
    order[a], order[b] = order[b], order[a]
    return permute_dims(x, order)


def moveaxis(x: TensorLike, source: int | Sequence[int], destination: int | Sequence[int]) -> Tensor:
    """Axes moved to other places; the others keep their order.

    >>> import graphc as gx
    >>> gx.moveaxis(gx.zeros((2, 3, 4)), (0, 1), (-1, 0)).shape
    (3, 4, 2)
    """
    x = as_tensor(x)
    old, new = (
        [normalize_axis("moveaxis", a, x.type) for a in (axes if isinstance(axes, (tuple, list)) else (axes,))]
        for axes in (source, destination)
    )
    if len(old) != len(new) or len(set(old)) < len(old) or len(set(new)) < len(new):
        raise ShapeError(
            f"moveaxis of {x.type} from {source} to {destination} is not possible", where=caller(),
            hint="name as many places as axes, each once",
        )  # fmt: skip
    order = [a for a in range(x.ndim) if a not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return permute_dims(x, order)


# --- broadcast_to ----------------------------------------------------------------------------------------------------


def _broadcast_type(x: TensorType, shape: Shape) -> TensorType:
    offset = len(shape) - x.rank
    if offset < 0 or any(n != 1 and n != shape[offset + i] for i, n in enumerate(x.shape)):
        raise ShapeError(f"broadcast_to cannot stretch {x} to {list(shape)}", hint="sizes must be equal, or 1 in x")
    return TensorType(x.dtype, shape)


def _broadcast_body(k: Scalars, index: tuple[Size, ...], shape: Shape) -> Any:
    source = k.type(0).shape
    offset = len(shape) - len(source)
    return k.load(0, tuple(0 if n == 1 and shape[offset + i] != 1 else index[offset + i] for i, n in enumerate(source)))


def _broadcast_vjp(g: Tensor, y: Tensor, x: Tensor, shape: Shape) -> tuple[Node, ...]:
    offset = len(shape) - x.ndim
    axes = (*range(offset), *(offset + i for i, n in enumerate(x.shape) if n == 1 and shape[offset + i] != 1))
    return (reshape(ops.sum(g, axis=axes), x.shape),)


broadcast_ = Op(
    "broadcast_to", _broadcast_type, lambda x, shape: np.broadcast_to(x, shape), Pointwise(_broadcast_body), _broadcast_vjp,
    (Sample(((3, 1),), {"shape": (2, 3, 4)}), Sample(((),), {"shape": (2, 3)})), level=of_all, arity=1, build=build,
)  # fmt: skip


def broadcast_to(x: TensorLike, shape: Any) -> Tensor:
    """x repeated along new axes and axes of size 1, to a shape."""
    x = as_tensor(x)
    try:
        target = t.as_shape(shape)
    except (TypeError, ValueError, AttributeError):
        raise ShapeError(f"broadcast_to: {shape!r} is not a shape", where=caller(), hint="give integers and sizes") from None
    if target == x.shape:
        return x
    if any(isinstance(n, int) and n < 0 for n in target):
        raise ShapeError(f"broadcast_to: {shape!r} has a negative size", where=caller())
    if x.op is ops.fills.full_:
        target = typed(broadcast_, (x,), {"shape": target}).shape
        return ops.fills.full_(shape=target, value=x.attrs["value"], dtype=x.dtype)
    return broadcast_(x, shape=target)


# --- ensure_shape ----------------------------------------------------------------------------------------------------


def _ensured(x: Shape, shape: Shape) -> Shape:
    if len(x) != len(shape) or any(isinstance(n, int) and isinstance(m, int) and n != m for n, m in zip(x, shape, strict=True)):
        raise ShapeError(f"ensure_shape: {list(x)} is never {list(shape)}")
    return shape


def _ensure_requires(x: TensorType, shape: Shape) -> list[Requirement]:
    message = f"ensure_shape: {x} must be {list(shape)}"
    return [Requirement(n, "==", m, message) for n, m in zip(x.shape, shape, strict=True) if n != m]


ensure_: Op = index_map(
    "ensure_shape",
    shape=_ensured,
    reference=lambda x, shape: np.array(x),
    index=lambda i, x, shape: i,
    vjp=lambda g, y, x, shape: (ensure_(g, shape=x.shape),),
    requires=_ensure_requires,
    samples=(Sample(((2, 3),), {"shape": (2, 3)}),),
)


def ensure_shape(x: TensorLike, shape: Any) -> Tensor:
    """x, as of this shape: for sizes that are equal, though their expressions are not. A call must bring such sizes.

    shape: as many integers and sizes as x has axes. ShapeError where they cannot be equal.

    >>> import graphc as gx
    >>> x, y = gx.placeholder("x", ("n",), "float32"), gx.placeholder("y", ("m",), "float32")
    >>> gx.compile([x, y], x + gx.ensure_shape(y, x.shape), backend="interpreter")([1, 2], [3, 4]).tolist()
    [4.0, 6.0]
    """
    x = as_tensor(x)
    try:
        target = t.as_shape(shape)
    except (TypeError, ValueError, AttributeError):
        raise ShapeError(f"ensure_shape: {shape!r} is not a shape", where=caller(), hint="give integers and sizes") from None
    if any(isinstance(n, int) and n < 0 for n in target):
        raise ShapeError(f"ensure_shape: {shape!r} has a negative size", where=caller(), hint="sizes that stay are x.shape's")
    if len(target) == x.ndim and target == x.shape:
        return x
    return ensure_(x, shape=target)


# --- slice and its adjoint -------------------------------------------------------------------------------------------


def _slice_index(i: tuple[Size, ...], x: Shape, start: Shape, step: tuple[int, ...], size: Shape) -> tuple[Size, ...]:
    return tuple(dims.add(a, dims.mul(j, by)) for j, a, by in zip(i, start, step, strict=True))


def _slice_reference(x: Array, start: tuple[int, ...], step: tuple[int, ...], size: tuple[int, ...]) -> Array:
    return x[_keys(start, step, size)]


def _keys(start: tuple[int, ...], step: tuple[int, ...], size: tuple[int, ...]) -> tuple[slice, ...]:
    keys = []
    for a, by, n in zip(start, step, size, strict=True):
        stop = a + by * n
        keys.append(slice(a, stop if stop >= 0 else None, by) if n else slice(0, 0))
    return tuple(keys)


def _inside(whole: TensorType, start: Shape, step: tuple[int, ...], size: Shape, text: str) -> list[Requirement]:
    """Single elements, and slices whose size is fixed or a bound that was a size, must lie within axes of symbolic size."""
    found = []
    for axis, (n, first, by, count) in enumerate(zip(whole.shape, start, step, size, strict=True)):
        if not isinstance(count, int):
            for left, right in _at_sizes(n, first, by, count):
                found.append(Requirement(left, ">=", right, f"a slice of {count} is out of range for axis {axis} of {whole}"))
            continue
        if count == 0:
            continue
        last = dims.add(first, by * (count - 1))
        for left, right in ((first, 0), (last, 0), (n, dims.add(first, 1)), (n, dims.add(last, 1))):
            if not dims.is_nonnegative(dims.sub(left, right)):
                found.append(Requirement(left, ">=", right, f"{text} is out of range for axis {axis} of {whole}"))
    return found


def _at_sizes(n: Size, first: Size, by: int, count: Size) -> list[tuple[Size, Size]]:
    """What must not be below what, for a slice of symbolic size to lie within an axis of size n: what is not so by itself.

    Slices backwards end within the axis where they start there, since their size was made of both ends.
    """
    if by < 0:
        return [] if dims.is_nonnegative(dims.sub(dims.sub(n, first), 1)) else [(n, dims.add(first, 1))]
    found: list[tuple[Size, Size]] = [] if dims.is_nonnegative(first) else [(first, 0)]
    room = dims.maximum(dims.sub(n, first), 0)
    most = dims.sub(dims.at_most(count, by), by - 1)  # how far the last element may be behind the first, and one
    if dims.sub(n, first) != most and not dims.is_nonnegative(dims.sub(room, most)):
        found.append((room, dims.sub(dims.mul(count, by), by - 1)))
    return found


def _slice_reads(x: Tensor, start: Shape, step: tuple[int, ...], size: Shape) -> bool | Box:
    if size == x.shape:  # a flip
        return False
    if any(builtin_abs(by) != 1 for by in step):
        return True
    ends = (dims.add(a, dims.mul(n, by)) for a, by, n in zip(start, step, size, strict=True))
    return tuple((a, end) if by > 0 else (dims.add(end, 1), dims.add(a, 1)) for a, by, end in zip(start, step, ends, strict=True))


slice_ = index_map(
    "slice",
    shape=lambda x, start, step, size: size,
    reference=_slice_reference,
    index=_slice_index,
    vjp=lambda g, y, x, start, step, size: (embed(g, start=start, step=step, shape=x.shape, value=0),),
    requires=lambda x, start, step, size: _inside(x, start, step, size, "an index"),
    partial=_slice_reads,
    samples=(
        Sample(((5, 6),), {"start": (1, 5), "step": (1, -2), "size": (3, 3)}),
        Sample(((4,),), {"start": (0,), "step": (3,), "size": (2,)}),
    ),
)


def _embed_body(k: Scalars, index: tuple[Size, ...], start: Shape, step: tuple[int, ...], shape: Shape, value: Any) -> Any:
    inside = None
    source: list[Size] = []
    for i, a, by, n in zip(index, start, step, k.type(0).shape, strict=True):
        if a == 0 and by == 1 and n == shape[len(source)]:
            source.append(i)
            continue
        offset = dims.sub(i, a) if by > 0 else dims.sub(a, i)
        width = builtin_abs(by)
        at = k.index(offset)
        tests = [at >= 0, at < k.index(dims.mul(n, width))]
        if width > 1:  # the quotient of a negative offset is never used: the guard is false there
            quotient = k.op("quot", at, k.const(width, t.int64))
            tests.append(quotient * width == at)
            source.append(k.as_index(quotient))
        else:
            source.append(offset)
        for test in tests:
            inside = test if inside is None else inside & test
    if inside is None:
        return k.load(0, source)
    return k.select(inside, k.load(0, source, inside), k.const(value, k.result.dtype))


builtin_abs = abs


def _embed_reference(x: Array, start: tuple[int, ...], step: tuple[int, ...], shape: tuple[int, ...], value: Any) -> Array:
    result = np.full(shape, value, x.dtype)
    if x.size:
        result[_keys(start, step, x.shape)] = x
    return result


def _embed_type(x: TensorType, start: Shape, step: tuple[int, ...], shape: Shape, value: Any) -> TensorType:
    return TensorType(x.dtype, shape)


embed: Op = pointwise(
    "embed",
    infer=_embed_type,
    reference=_embed_reference,
    body=_embed_body,
    vjp=lambda g, y, x, start, step, shape, value: (slice_(g, start=start, step=step, size=x.shape),),
    level=lambda x, start, step, shape, value: (x,) if value >= 0 else None,
    requires=lambda x, start, step, shape, value: _inside(TensorType(x.dtype, shape), start, step, x.shape, "an index"),
    samples=(
        Sample(((2, 3),), {"start": (1, 5), "step": (1, -2), "shape": (4, 6), "value": 0}),
        Sample(((2,),), {"start": (1,), "step": (3,), "shape": (6,), "value": 2}),
        Sample(((),), {"start": (), "step": (), "shape": (), "value": 0}),
    ),
)


def flip(x: TensorLike, axis: Axis = None) -> Tensor:
    """The order of elements reversed along some or all axes."""
    x = as_tensor(x)
    axes = normalize_axes("flip", axis, x.type)
    start = tuple(dims.sub(n, 1) if a in axes else 0 for a, n in enumerate(x.shape))
    step = tuple(-1 if a in axes else 1 for a in range(x.ndim))
    return slice_(x, start=start, step=step, size=x.shape) if axes else x


_PADDING = {
    "edge": "gx.clip(gx.arange(-before, n + after), 0, n - 1)", "wrap": "gx.arange(-before, n + after) % n",
    "reflect": "n - 1 - abs(n - 1 - abs(gx.arange(-before, n + after)))",
}  # fmt: skip


def pad(x: TensorLike, pad_width: Any, mode: str = "constant", constant_values: float = 0) -> Tensor:
    """x with `pad_width` elements of one number before and after each axis, as in NumPy: n, (before, after), or a pair an axis.

    >>> import graphc as gx
    >>> gx.pad(gx.constant([1, 2]), (1, 2)).eval()
    array([0, 1, 2, 0, 0])
    """
    x = as_tensor(x)
    if not isinstance(mode, str) or mode != "constant":
        other = _PADDING.get(mode) if isinstance(mode, str) else None
        hint = "only mode='constant'" + (f"; along an axis of n elements: gx.take(x, {other}, axis)" if other else "")
        raise ShapeError(f"pad: mode {mode!r} is not there", where=caller(), hint=hint)
    pad_width = as_option(pad_width)
    if isinstance(pad_width, float):
        raise InputError(
            f"pad: pad_width must be integers, got {pad_width}", where=caller(),
            hint="gx.pad(x, 1) for every side, ((1, 2), (0, 0)) for each axis; what stands there is constant_values",
        )  # fmt: skip
    widths: list[Any] = [pad_width] if isinstance(pad_width, (int, Dim)) else listed("pad", "pad_width", pad_width)
    widths = [as_option(w) for w in widths]
    if widths and all(isinstance(w, (int, Dim)) for w in widths):
        pairs = [(widths[0], widths[-1])] * x.ndim
    else:
        found = [tuple(map(as_option, listed("pad", "a pair of pad_width", w))) for w in widths]
        pairs = found * (x.ndim if len(widths) == 1 else 1)
    if len(pairs) != x.ndim or any(len(p) != 2 or any(isinstance(w, int) and w < 0 for w in p) for p in pairs):
        raise ShapeError(
            f"pad: pad_width {pad_width} does not fit {x.type}", where=caller(), hint="give a pair (before, after) an axis"
        )
    shape = tuple(dims.add(dims.add(n, a), b) for n, (a, b) in zip(x.shape, pairs, strict=True))
    value = x.dtype.numpy.type(check_number("pad", "constant_values", constant_values)).item()
    start = tuple(a for a, _ in pairs)
    return embed(x, start=start, step=(1,) * x.ndim, shape=shape, value=value)


# --- concat ----------------------------------------------------------------------------------------------------------


def _concat_type(*xs: TensorType, axis: int) -> TensorType:
    for x in xs[1:]:
        if x.rank != xs[0].rank or any(a != axis and n != m for a, (n, m) in enumerate(zip(x.shape, xs[0].shape, strict=False))):
            raise ShapeError(f"concat along axis {axis} needs equal other axes, got {' and '.join(map(str, xs))}")
    total: Size = 0
    for x in xs:
        total = dims.add(total, x.shape[axis])
    shape = list(xs[0].shape)
    shape[axis] = total
    return TensorType(xs[0].dtype, tuple(shape))


def _concat_body(k: Scalars, index: tuple[Size, ...], axis: int) -> Any:
    at = k.index(index[axis])
    found = None
    begin: Size = 0
    for operand in range(k.operands):
        end = dims.add(begin, k.type(operand).shape[axis])
        inside = (at >= k.index(begin)) & (at < k.index(end))
        place = (*index[:axis], dims.sub(index[axis], begin), *index[axis + 1 :])
        value = k.load(operand, place, inside)
        found = value if found is None else k.select(inside, value, found)
        begin = end
    return found


def _concat_vjp(g: Tensor, y: Tensor, *xs: Tensor, axis: int) -> tuple[Node, ...]:
    begin: Size = 0
    parts = []
    for x in xs:
        start = tuple(begin if a == axis else 0 for a in range(x.ndim))
        parts.append(slice_(g, start=start, step=(1,) * x.ndim, size=x.shape))
        begin = dims.add(begin, x.shape[axis])
    return tuple(parts)


concat_ = pointwise(
    "concat",
    infer=_concat_type,
    reference=lambda *xs, axis: np.concatenate(xs, axis),
    body=_concat_body,
    vjp=_concat_vjp,
    level=of_all,
    samples=(Sample(((2, 3), (2, 1), (2, 2)), {"axis": 1}), Sample(((2, 3), (1, 3)), {"axis": 0})),
)


def concat(arrays: Sequence[TensorLike], axis: int | None = 0) -> Tensor:
    """Arrays joined along an axis; flattened first if axis is None."""
    arrays = listed("concat", "arrays", arrays)
    if not arrays:
        raise ShapeError("concat needs at least one array", where=caller())
    xs = _common_type(arrays)
    if axis is None:
        xs, axis = [reshape(x, (-1,)) for x in xs], 0
    place = normalize_axis("concat", axis, xs[0].type)
    return xs[0] if len(xs) == 1 else concat_(*xs, axis=place)


def stack(arrays: Sequence[TensorLike], axis: int = 0) -> Tensor:
    """Arrays of one shape joined along a new axis."""
    arrays = listed("stack", "arrays", arrays)
    if not arrays:
        raise ShapeError("stack needs at least one array", where=caller())
    xs = _common_type(arrays)
    for x in xs[1:]:
        if x.shape != xs[0].shape:
            raise ShapeError(f"stack needs equal shapes, got {xs[0].type} and {x.type}", where=caller())
    return concat([expand_dims(x, axis) for x in xs], axis)


def _common_type(arrays: Sequence[TensorLike]) -> list[Tensor]:
    made, _ = ops.promote_operands("concat", list(arrays), ops.any_type)
    return made


def unstack(x: TensorLike, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of x along an axis of fixed size."""
    x = moveaxis(as_tensor(x), axis, 0)
    return tuple(x)
