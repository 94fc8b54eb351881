"""Operators that move elements, and arithmetic of shapes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.operators import Call, aligned, on_known, operator
from graphc.onnx.values import MOST, is_known, is_sizes, known, symbol


def axes_of(values: Any, rank: int) -> tuple[int, ...]:
    """Axes counted from the front."""
    return tuple(int(a) % rank if rank else int(a) for a in values)


@operator("Shape")
def shape(call: Call) -> Any:
    value = call.value(0)
    whole = value.shape
    start, end = call.attr("start", 0), call.attr("end")
    return known(list(whole)[slice(start, end)])


@operator("Size")
def size(call: Call) -> Any:
    return known(math.prod(call.value(0).shape))


@operator("Reshape")
def reshape(call: Call) -> Any:
    value = call.value(0)
    wanted = call.ints(1, "shape")
    old = value.shape
    if not call.attr("allowzero", 0):
        wanted = [old[i] if isinstance(n, int) and n == 0 and i < len(old) else n for i, n in enumerate(wanted)]
    if is_sizes(value):
        return value.reshape([int(n) for n in wanted])
    if isinstance(value, np.ndarray) and all(isinstance(n, int) for n in wanted):
        return value.reshape(wanted)
    return gx.reshape(symbol(value), tuple(wanted))


@operator("Flatten")
def flatten(call: Call) -> Any:
    x = call[0]
    axis = call.attr("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    return gx.reshape(x, (math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@operator("Transpose")
def transpose(call: Call) -> Any:
    value = call.value(0)
    perm = call.attr("perm", list(range(value.ndim))[::-1])
    if sorted(perm) != list(range(value.ndim)):
        raise call.error(f"perm={perm} is no order of {value.ndim} axes")
    return np.transpose(value, perm) if is_known(value) else gx.permute_dims(value, tuple(perm))


@operator("Squeeze")
def squeeze(call: Call) -> Any:
    value = call.value(0)
    axes = call.listed(1, "axes")
    if axes is None:
        axes = [a for a, n in enumerate(value.shape) if isinstance(n, int) and n == 1]
    axes = axes_of(axes, value.ndim)
    if is_known(value) and any(value.shape[a] != 1 for a in axes):
        raise call.error(f"axes {axes} of the shape {value.shape} are not all of size 1")
    return np.squeeze(value, axes) if is_known(value) else gx.squeeze(value, axis=axes)


@operator("Unsqueeze")
def unsqueeze(call: Call) -> Any:
    value = call.value(0)
    axes = call.listed(1, "axes")
    rank = value.ndim + len(axes)
    axes = sorted(axes_of(axes, rank))
    if is_known(value):
        return np.expand_dims(value, tuple(axes))
    rest = iter(value.shape)
    return gx.reshape(value, tuple(1 if a in axes else next(rest) for a in range(rank)))


@operator("Concat")
def concat(call: Call) -> Any:
    values = [call.value(i) for i in range(len(call.inputs))]
    axis = call.attrs["axis"]
    if all(map(is_known, values)):
        if any(map(is_sizes, values)):
            return known(np.concatenate([v.astype(object) for v in values], axis=axis))
        if sum(v.size for v in values) < MOST:
            return np.concatenate(values, axis=axis)
    given = [symbol(v) for v in values]
    return gx.concat(aligned(given, axis % given[0].ndim, stretch=False), axis=axis)


@operator("Split")
def split(call: Call) -> Any:
    value, axis = call.value(0), call.attr("axis", 0)
    parts = call.listed(1, "split")
    whole = value.shape[axis]
    if parts is None:
        count = call.pieces(call.attr("num_outputs", len(call.outputs)), "num_outputs")
        each = -(-whole // count)
        parts = [each] * (count - 1) + [whole - each * (count - 1)]
    made, start = [], 0
    for n in parts:
        key = [slice(None)] * value.ndim
        key[axis] = slice(start, start + n)
        made.append(value[tuple(key)])
        start = start + n
    return tuple(made)


@operator("Slice")
def slice_(call: Call) -> Any:
    value = call.value(0)
    if call.version < 10:
        starts, ends = call.attrs["starts"], call.attrs["ends"]
        axes, steps = call.attr("axes", list(range(len(starts)))), [1] * len(starts)
    else:
        starts, ends = call.ints(1, "starts"), call.ints(2, "ends")
        axes = call.ints(3, "axes") if call.given(3) else list(range(len(starts)))
        steps = call.ints(4, "steps") if call.given(4) else [1] * len(starts)
    key: list[Any] = [slice(None)] * value.ndim
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        key[axis] = _limits(start, end, step, value.shape[axis])
    if any(isinstance(v, gx.Dim) for part in key for v in (part.start, part.stop)):
        return symbol(value)[tuple(key)]
    return value[tuple(key)]


def _limits(start: Any, end: Any, step: int, n: Any) -> slice:
    far = 2**31 - 1
    if isinstance(end, int):
        end = None if (step > 0 and end >= far) or (step < 0 and end <= -far) else end
        if step < 0 and end is not None and isinstance(n, int) and end < -n:
            end = None
    if isinstance(start, int):
        start = None if (step < 0 and start >= far) or (step > 0 and start <= -far) else start
    if step > 0 and isinstance(end, gx.Dim) and end == n:
        end = None
    return slice(start, end, step)


@operator("Gather")
def gather(call: Call) -> Any:
    value, at, axis = call.value(0), call.value(1), call.attr("axis", 0)
    if is_known(value) and is_known(at) and not is_sizes(at) and value.dtype.kind in "iubO" and value.size < MOST:
        return known(np.take(value, at, axis=axis)) if is_sizes(value) else np.take(value, at, axis=axis)
    if is_known(at) and at.ndim == 0 and not is_sizes(at):
        key: list[Any] = [slice(None)] * symbol(value).ndim
        key[axis] = int(at)
        return symbol(value)[tuple(key)]
    return gx.take(symbol(value), symbol(at), axis=axis)


@operator("GatherElements")
def gather_elements(call: Call) -> Any:
    x, at = call[0], call[1]
    axis = call.attr("axis", 0) % x.ndim
    n = x.shape[axis]
    at = gx.where(at < 0, at + n, at)
    key = []
    for a in range(x.ndim):
        shape: list[Any] = [1] * x.ndim
        shape[a] = at.shape[a]
        key.append(at if a == axis else gx.reshape(gx.arange(at.shape[a]), tuple(shape)))
    return x[tuple(key)]


@operator("GatherND")
def gather_nd(call: Call) -> Any:
    x, at, batch = call[0], call[1], call.attr("batch_dims", 0)
    depth = call.pieces(at.shape[-1], "depth")
    key: list[Any] = []
    for b in range(batch):
        shape: list[Any] = [1] * (at.ndim - 1)
        shape[b] = at.shape[b]
        key.append(gx.reshape(gx.arange(at.shape[b]), tuple(shape)))
    key += [at[..., k] for k in range(int(depth))]
    return x[tuple(key)]


def _scattered(call: Call, place: Any, update: gx.Tensor) -> Any:
    how = call.attr("reduction", "none")
    match how:
        case "none":
            return place.set(update)
        case "add":
            return place.add(update)
        case "mul":
            return place.multiply(update)
        case "max":
            return place.max(update)
        case "min":
            return place.min(update)
    raise call.error(f"reduction={how} is unknown")


@operator("ScatterElements", "Scatter")
def scatter_elements(call: Call) -> Any:
    x, at, update = call[0], call[1], call[2]
    axis = call.attr("axis", 0) % x.ndim
    key = []
    for a in range(x.ndim):
        shape: list[Any] = [1] * x.ndim
        shape[a] = at.shape[a]
        key.append(at if a == axis else gx.broadcast_to(gx.reshape(gx.arange(at.shape[a]), tuple(shape)), at.shape))
    return _scattered(call, x.at[tuple(key)], update)


@operator("ScatterND")
def scatter_nd(call: Call) -> Any:
    x, at, update = call[0], call[1], call[2]
    key = tuple(at[..., k] for k in range(call.pieces(at.shape[-1], "depth")))
    return _scattered(call, x.at[key], update)


@operator("TensorScatter")
def tensor_scatter(call: Call) -> Any:
    x, update = call[0], call[1]
    axis = call.attr("axis", -2) % x.ndim
    start = call.maybe(2)
    n = update.shape[axis]
    at: Any = gx.arange(n)
    at = at[None] if start is None else start[:, None] + at
    at = gx.remainder(at, x.shape[axis]) if call.attr("mode", "linear") == "circular" else at
    shape: list[Any] = [1] * x.ndim
    shape[0], shape[axis] = at.shape[0], n
    key = []
    for a in range(x.ndim):
        one: list[Any] = [1] * x.ndim
        one[a] = update.shape[a]
        key.append(gx.reshape(at, tuple(shape)) if a == axis else gx.reshape(gx.arange(update.shape[a]), tuple(one)))
    return x.at[tuple(key)].set(update)


@operator("Expand")
def expand(call: Call) -> Any:
    value, wanted = call.value(0), call.ints(1, "shape")
    old = list(value.shape)
    rank = max(len(old), len(wanted))
    old = [1] * (rank - len(old)) + old
    wanted = [1] * (rank - len(wanted)) + wanted
    shape = tuple(o if isinstance(w, int) and w == 1 else w for o, w in zip(old, wanted, strict=True))
    if is_known(value) and all(isinstance(n, int) for n in shape) and math.prod(shape) <= MOST:
        return np.broadcast_to(value, shape).copy()
    return gx.broadcast_to(symbol(value), shape)


@operator("Tile")
def tile(call: Call) -> Any:
    if call.version < 6:
        raise call.error("it is of an operator set that is not read")
    return gx.tile(call[0], tuple(call.ints(1, "repeats")))


@operator("ConstantOfShape")
def constant_of_shape(call: Call) -> Any:
    wanted = call.ints(0, "shape")
    if any(isinstance(n, int) and n < 0 for n in wanted):
        raise call.error(f"its shape is {wanted}")
    value = call.attr("value", np.zeros(1, np.float32))
    if value.size != 1:
        raise call.error(f"its value has {value.size} elements instead of 1")
    value = value.reshape(())
    if all(isinstance(n, int) for n in wanted) and math.prod(wanted) <= MOST:
        return np.full(wanted, value)
    return gx.full(tuple(wanted), value.item(), str(value.dtype))


@operator("Range")
def range_(call: Call) -> Any:
    start, limit, delta = (call.value(i) for i in range(3))
    parts = [start, limit, delta]
    if all(is_known(p) for p in parts):
        first, last, step = (p.reshape(-1)[0] if is_sizes(p) else _item(p) for p in parts)
        if not any(map(is_sizes, parts)):
            call.elements(_steps(call, first, last, step), "size")
            return np.arange(first, last, step, dtype=parts[0].dtype)
        return gx.arange(first, last, step, dtype="int64")
    first, last, step = (_number(call, i) for i in range(3))
    if any(isinstance(v, gx.Dim) for v in (first, last, step)):
        whole = [v if isinstance(v, gx.Dim) else int(v) for v in (first, last, step)]
        if whole != [first, last, step]:
            raise call.error(f"{first}, {last}, {step} are not whole, and one is a size", hint="gx.onnx.load(..., sizes={...})")
        first, last, step = whole
        return gx.astype(gx.arange(first, last, step, dtype="int64"), call[0].dtype)
    call.elements(_steps(call, first, last, step), "size")
    return np.arange(first, last, step).astype(str(call[0].dtype) if str(call[0].dtype) != "bfloat16" else np.float32)


def _steps(call: Call, first: Any, last: Any, step: Any) -> int:
    """How many numbers a range has."""
    steps = (last - first) / step if step else math.nan
    if not math.isfinite(steps):
        raise call.error(f"a range from {first} to {last} by {step}")
    return max(math.ceil(float(steps)), 0)


def _number(call: Call, i: int) -> Any:
    return _item(call.known(i, ("start", "limit", "delta")[i]))


@operator("EyeLike")
def eye_like(call: Call) -> Any:
    from graphc.onnx.reading import dtype_of

    x = call[0]
    dtype = dtype_of(call.attrs["dtype"]) if "dtype" in call.attrs else str(x.dtype)
    return gx.eye(x.shape[0], x.shape[1], k=call.attr("k", 0), dtype=dtype)


@operator("Trilu")
def trilu(call: Call) -> Any:
    k = int(call.known(1, "k")) if call.given(1) else 0
    return (gx.triu if call.attr("upper", 1) else gx.tril)(call[0], k=k)


def _item(array: Any) -> Any:
    value = array.reshape(-1)[0]
    return value if isinstance(value, (int, float, bool, gx.Dim)) else value.item()


@operator("Pad")
def pad(call: Call) -> Any:
    x = call[0]
    if call.version < 11:
        widths, value = call.attrs["pads"], call.attr("value", 0.0)
        axes: Any = range(x.ndim)
    else:
        widths = call.ints(1, "pads")
        value = _item(call.known(2, "value")) if call.given(2) else 0
        axes = axes_of(call.ints(3, "axes"), x.ndim) if call.given(3) else range(x.ndim)
    mode = call.attr("mode", "constant")
    count = len(widths) // 2
    pairs: list[Any] = [(0, 0)] * x.ndim
    for i, axis in enumerate(axes):
        pairs[axis] = (widths[i], widths[count + i])
    for axis, (a, b) in enumerate(pairs):  # a negative width takes elements off
        if (isinstance(a, int) and a < 0) or (isinstance(b, int) and b < 0):
            key: list[Any] = [slice(None)] * x.ndim
            key[axis] = slice(-min(a, 0), x.shape[axis] + min(b, 0))
            x = x[tuple(key)]
            pairs[axis] = (max(a, 0), max(b, 0))
    if not any(isinstance(n, gx.Dim) or n for pair in pairs for n in pair):
        return x
    if mode == "constant":
        return gx.pad(x, tuple(pairs), constant_values=value)
    for axis, (a, b) in enumerate(pairs):
        if isinstance(a, gx.Dim) or isinstance(b, gx.Dim) or a or b:
            n = x.shape[axis]
            t = gx.arange(n + a + b) - a
            match mode:
                case "edge":
                    t = gx.clip(t, 0, n - 1)
                case "wrap":
                    t = gx.remainder(t, n)
                case "reflect":
                    t = gx.remainder(t, 2 * n - 2)
                    t = gx.minimum(t, 2 * n - 2 - t)
                case _:
                    raise call.error(f"mode={mode} is not read")
            x = gx.take(x, t, axis=axis)
    return x


@operator("DepthToSpace")
def depth_to_space(call: Call) -> Any:
    x, b = call[0], call.attrs["blocksize"]
    n, c, h, w = x.shape
    if call.attr("mode", "DCR") == "DCR":
        y = gx.permute_dims(gx.reshape(x, (n, b, b, c // (b * b), h, w)), (0, 3, 4, 1, 5, 2))
    else:
        y = gx.permute_dims(gx.reshape(x, (n, c // (b * b), b, b, h, w)), (0, 1, 4, 2, 5, 3))
    return gx.reshape(y, (n, c // (b * b), h * b, w * b))


@operator("SpaceToDepth")
def space_to_depth(call: Call) -> Any:
    x, b = call[0], call.attrs["blocksize"]
    n, c, h, w = x.shape
    order = (0, 3, 5, 1, 2, 4) if call.attr("mode", "DCR") == "DCR" else (0, 1, 3, 5, 2, 4)
    y = gx.permute_dims(gx.reshape(x, (n, c, h // b, b, w // b, b)), order)
    return gx.reshape(y, (n, c * b * b, h // b, w // b))


@operator("ReverseSequence")
def reverse_sequence(call: Call) -> Any:
    x, lengths = call[0], call[1]
    time, batch = call.attr("time_axis", 0), call.attr("batch_axis", 1)
    t = gx.arange(x.shape[time])
    column: list[Any] = [1] * x.ndim
    column[time] = x.shape[time]
    t = gx.reshape(t, tuple(column))
    row: list[Any] = [1] * x.ndim
    row[batch] = x.shape[batch]
    n = gx.reshape(lengths, tuple(row))
    places = gx.where(t < n, n - 1 - t, t)
    return gx.take_along_axis(x, gx.broadcast_to(places, x.shape), axis=time)


@operator("OneHot")
def one_hot(call: Call) -> Any:
    at, depth, values = call[0], call.known(1, "depth").reshape(-1)[0], call[2]
    axis = call.attr("axis", -1)
    n: Any = depth if isinstance(depth, gx.Dim) else int(depth)
    at = gx.astype(at, "int64")
    at = gx.where(at < 0, at + n, at)
    axis = axis % (at.ndim + 1)
    shape: list[Any] = [1] * (at.ndim + 1)
    shape[axis] = n
    hot = gx.expand_dims(at, axis=axis) == gx.reshape(gx.arange(n), tuple(shape))
    return gx.where(hot, values[1], values[0])


@operator("CenterCropPad")
def center_crop_pad(call: Call) -> Any:
    x, wanted = call[0], call.ints(1, "shape")
    axes = axes_of(call.attr("axes", list(range(x.ndim))), x.ndim)
    for axis, n in zip(axes, wanted, strict=True):
        now = x.shape[axis]
        key: list[Any] = [slice(None)] * x.ndim
        if n < now:
            start = (now - n) // 2
            key[axis] = slice(start, start + n)
            x = x[tuple(key)]
        elif n > now:
            pairs = [(0, 0)] * x.ndim
            pairs[axis] = ((n - now) // 2, (n - now) - (n - now) // 2)
            x = gx.pad(x, tuple(pairs))
    return x


@operator("NonZero", "Compress", "Unique")
def data_sizes(call: Call) -> Any:
    if call.operator == "Compress":
        chosen = np.flatnonzero(call.known(1, "condition"))
        x = call[0]
        return gx.take(gx.reshape(x, (-1,)) if call.attr("axis") is None else x, chosen, axis=call.attr("axis", 0))
    if call.operator == "NonZero":
        return np.stack(np.nonzero(call.known(0, "result's size"))).astype(np.int64)
    return _unique(call)


def _unique(call: Call) -> Any:
    """Its values must be known: their number is a size."""
    x, axis, ordered = call.known(0, "result's size"), call.attr("axis"), call.attr("sorted", 1)
    values, first, back, counts = np.unique(x, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    back = back.reshape(-1)
    if not ordered:
        order = np.argsort(first, kind="stable")
        rank = np.empty_like(order)
        rank[order] = np.arange(len(order))
        values, first, back, counts = np.take(values, order, axis=axis or 0), first[order], rank[back], counts[order]
    return values, first.astype(np.int64), back.astype(np.int64), counts.astype(np.int64)


on_known(
    NonZero=lambda x: np.stack(np.nonzero(x)).astype(np.int64),
)  # fmt: skip
