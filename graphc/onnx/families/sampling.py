"""Images at other places: resized, sampled by coordinates, cut out, and boxes of them."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.families.images import tap_of
from graphc.onnx.families.shapes import axes_of
from graphc.onnx.operators import Call, operator

# --- resizing: along one axis after the other -------------------------------------------------------------------------


def _cubic(x: Any, a: float) -> Any:
    """Keys' kernel (1981), of distances."""
    x = np.abs(x)
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


def _places(call: Call, n: int, out: int, scale: float, roi: tuple[float, float]) -> Any:
    """Where elements of the result lie in the axis that is resized."""
    x, width = np.arange(out, dtype=np.float64), scale * n
    match call.attr("coordinate_transformation_mode", "half_pixel" if call.version >= 11 else "asymmetric"):
        case "align_corners":
            return np.zeros(out) if width == 1 else x * (n - 1) / (width - 1)
        case "asymmetric":
            return x / scale
        case "tf_crop_and_resize":
            inner = np.full(out, (roi[1] - roi[0]) * (n - 1) / 2) if width == 1 else x * (roi[1] - roi[0]) * (n - 1) / (width - 1)
            return inner + roi[0] * (n - 1)
        case "pytorch_half_pixel":
            return np.full(out, -0.5) if width == 1 else (x + 0.5) / scale - 0.5
        case "half_pixel_symmetric":
            return n / 2 * (1 - out / width) + (x + 0.5) / scale - 0.5
        case "half_pixel":
            return (x + 0.5) / scale - 0.5
        case "tf_half_pixel_for_nn":
            return (x + 0.5) / scale
    raise call.error(f"coordinate_transformation_mode={call.attrs['coordinate_transformation_mode']} is not read")


def _taps(call: Call, place: Any, scale: float, n: int) -> tuple[Any, Any]:
    """The elements that each element of the result is a sum of, and their weights: [out, taps]."""
    mode = call.attr("mode", "nearest")
    if mode == "nearest":
        rounded = {
            "round_prefer_floor": np.ceil(place - 0.5), "round_prefer_ceil": np.floor(place + 0.5), "floor": np.floor(place),
            "ceil": np.ceil(place),
        }[_nearest_mode(call)]  # fmt: skip
        return rounded[:, None], np.ones((len(place), 1))
    base = np.ceil(place) - 1
    ratio = (place - base)[:, None]
    shrink = min(scale, 1.0) if call.attr("antialias", 0) else 1.0
    reach = 1 if mode == "linear" else 2
    start = int(np.floor(-reach / shrink) + 1)
    call.pieces(-2 * start, "number of taps")
    call.elements(-2 * start * len(place), "size", 2)
    offsets = np.arange(start, 2 * reach - start - (2 * reach - 2) if reach == 1 else 2 - start)
    distance = (offsets - ratio) * shrink
    linear = mode == "linear"
    weights = np.clip(1 - np.abs(distance), 0, 1) if linear else _cubic(distance, call.attr("cubic_coeff_a", -0.75))
    at = base[:, None] + offsets
    if call.attr("exclude_outside", 0):
        weights = np.where((at < 0) | (at >= n), 0, weights)
    if call.attr("antialias", 0) or call.attr("exclude_outside", 0):
        weights = weights / weights.sum(1, keepdims=True)
    return at, weights


def _nearest_mode(call: Call) -> Any:
    return call.attr("nearest_mode", "round_prefer_floor" if call.version >= 11 else "floor")


@operator("Resize", "Upsample")
def resize(call: Call) -> Any:
    x = call[0]
    axes = axes_of(call.attr("axes", list(range(x.ndim))), x.ndim)
    old = [x.shape[a] for a in axes]
    at_scales = 1 if call.operator == "Upsample" or call.version < 11 else 2
    scales: Any = call.attr("scales") if call.operator == "Upsample" and not call.given(1) else None
    if scales is None and call.given(at_scales) and call.value(at_scales).shape != (0,):
        scales = [float(s) for s in call.known(at_scales, "scales").reshape(-1)]
    if scales is not None:
        if not all(math.isfinite(s) and s > 0 for s in scales):
            raise call.error(f"its scales are {scales}")
        new = [n * int(s) if s == int(s) else _scaled(call, n, s) for n, s in zip(old, scales, strict=True)]
    else:
        new = call.ints(3, "sizes")
        policy = call.attr("keep_aspect_ratio_policy", "stretch")
        if policy != "stretch":
            ratio = (min if policy == "not_larger" else max)(w / n for w, n in zip(new, old, strict=True))
            scales = [ratio] * len(old)
            new = [math.floor(n * ratio + 0.5) for n in old]
        else:
            scales = [_ratio(w, n) for w, n in zip(new, old, strict=True)]
    crop = call.attr("coordinate_transformation_mode") == "tf_crop_and_resize"
    roi = _floats(call.known(1, "roi")) if crop else [0.0] * len(axes) + [1.0] * len(axes)
    kind = x.dtype
    exact = call.attr("mode", "nearest") == "nearest"
    if not exact and not str(kind).startswith(("float", "bfloat")):
        x = gx.astype(x, "float32")
    for i, axis in enumerate(axes):
        n, out, scale = old[i], new[i], scales[i]
        number = isinstance(scale, (int, float))
        if not crop and (out is n or (isinstance(n, int) and isinstance(out, int) and n == out)) and number and scale == 1:
            continue
        if isinstance(n, int) and isinstance(out, int):
            call.elements(out, "size", 8)
        times = 0 if crop else _times(call, scale)
        if times and out == n * times:
            x = gx.repeat(x, times, axis)
            continue
        if not isinstance(n, int) or not isinstance(out, int):
            x = _free(call, x, axis, out, scale)
            continue
        place = _places(call, n, out, scale, (roi[i], roi[len(axes) + i]))
        at, weights = _taps(call, place, scale, n)
        at = np.clip(at, 0, n - 1).astype(np.int64)
        shape: list[Any] = [1] * x.ndim
        shape[axis] = out
        if exact:
            x = gx.take(x, at[:, 0], axis=axis)
        else:
            total: Any = None
            for t in range(at.shape[1]):
                part = gx.take(x, at[:, t], axis=axis) * gx.constant(weights[:, t].reshape(shape), dtype=x.dtype)
                total = part if total is None else total + part
            x = total
        if crop:
            outside = (place < 0) | (place > n - 1)
            if outside.any():
                x = gx.where(outside.reshape(shape), gx.astype(call.attr("extrapolation_value", 0.0), x.dtype), x)
    return gx.astype(x, kind)


def _times(call: Call, scale: Any) -> int:
    """How often each element stands in a row, where nothing else becomes of an axis, however long it is; else 0."""
    n, k = 4, int(scale) if isinstance(scale, (int, float)) and scale == int(scale) else 0
    how = call.attr("coordinate_transformation_mode", "half_pixel" if call.version >= 11 else "asymmetric")
    if call.attr("mode", "nearest") != "nearest" or k < 1 or how not in ("asymmetric", "half_pixel", "tf_half_pixel_for_nn"):
        return 0
    call.elements(n * k, "size", 8)
    at, _ = _taps(call, _places(call, n, n * k, float(k), (0.0, 1.0)), float(k), n)
    return k if np.array_equal(np.clip(at[:, 0], 0, n - 1), np.arange(n * k) // k) else 0


def _floats(array: Any) -> list[float]:
    return [float(v) for v in array.reshape(-1)]


def _scaled(call: Call, n: Any, s: float) -> Any:
    """The size of an axis that is made s times as long: by a fraction of small numbers, where it is open."""
    if isinstance(n, int):
        return math.floor(n * s)
    near = Fraction(s).limit_denominator(64)
    if near and np.float32(near.numerator / near.denominator) == np.float32(s):
        return n * near.numerator // near.denominator
    raise call.error(f"the size {n} times {s} is no size", hint="gx.onnx.load(..., sizes={...})")


def _ratio(out: Any, n: Any) -> Any:
    """What an axis is multiplied by: a number where that is one, else a symbol."""
    if isinstance(out, int) and isinstance(n, int):
        return out / n
    for k in range(1, 65):
        if out == n * k:
            return float(k)
        if out == n // k:
            return 1 / k
    return _number(out) / _number(n)


def _number(n: Any) -> gx.Tensor:
    return gx.full((), n, "float64")


def _free(call: Call, x: Any, axis: int, out: Any, scale: Any) -> Any:
    """An axis of any size: the same places and taps as those of numbers, computed at each call."""
    n: Any = x.shape[axis]
    if call.attr("antialias", 0) or call.attr("exclude_outside", 0):
        raise call.error("antialias and exclude_outside need sizes that are numbers", hint="gx.onnx.load(..., sizes={...})")
    place = _free_places(call, gx.arange(out, dtype="float64"), _number(n), _number(out), scale)
    if call.attr("mode", "nearest") == "nearest":
        nearest: dict[str, Any] = {
            "round_prefer_floor": lambda: gx.ceil(place - 0.5), "round_prefer_ceil": lambda: gx.floor(place + 0.5),
            "floor": lambda: gx.floor(place), "ceil": lambda: gx.ceil(place),
        }  # fmt: skip
        rounded = nearest[_nearest_mode(call)]()
        return gx.take(x, gx.clip(gx.astype(rounded, "int64"), 0, n - 1), axis=axis)
    linear, a = call.attr("mode") == "linear", call.attr("cubic_coeff_a", -0.75)
    low = gx.floor(place)
    part, at = place - low, gx.astype(low, "int64")
    shape: list[Any] = [1] * x.ndim
    shape[axis] = out
    total: Any = None
    for k in (0, 1) if linear else (-1, 0, 1, 2):
        d = gx.abs(k - part)
        weight = 1 - d if linear else _near(d, a) if k in (0, 1) else _far(d, a)
        tap = gx.take(x, gx.clip(at + k, 0, n - 1), axis=axis) * gx.reshape(gx.astype(weight, x.dtype), tuple(shape))
        total = tap if total is None else total + tap
    return total


def _free_places(call: Call, t: Any, n: Any, out: Any, scale: Any) -> Any:
    """`_places` of sizes that are open."""
    width = scale * n
    how = call.attr("coordinate_transformation_mode", "half_pixel" if call.version >= 11 else "asymmetric")
    match how:
        case "align_corners":
            return gx.where(width == 1, 0.0, t * (n - 1) / gx.where(width == 1, 1.0, width - 1))
        case "asymmetric":
            return t / scale
        case "pytorch_half_pixel":
            return gx.where(width == 1, -0.5, (t + 0.5) / scale - 0.5)
        case "half_pixel_symmetric":
            return n / 2 * (1 - out / width) + (t + 0.5) / scale - 0.5
        case "half_pixel":
            return (t + 0.5) / scale - 0.5
        case "tf_half_pixel_for_nn":
            return (t + 0.5) / scale
    raise call.error(f"coordinate_transformation_mode={how} needs sizes that are numbers", hint="gx.onnx.load(..., sizes={...})")


# --- sampling by coordinates ------------------------------------------------------------------------------------------


_A = -0.75  # of the cubic kernel


def _near(d: gx.Tensor, a: float = _A) -> gx.Tensor:
    return ((a + 2) * d - (a + 3)) * d * d + 1


def _far(d: gx.Tensor, a: float = _A) -> gx.Tensor:
    return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a


@operator("GridSample")
def grid_sample(call: Call) -> Any:
    x, grid = call[0], call[1]
    rank = x.ndim - 2
    if rank < 1:
        raise call.error(f"images have 3 axes or more, and these are {x.type}")
    mode = {"bilinear": "linear", "bicubic": "cubic"}.get(call.attr("mode", "linear"), call.attr("mode", "linear"))
    padding, align = call.attr("padding_mode", "zeros"), call.attr("align_corners", 0)
    sizes = list(x.shape[2:])
    where = [grid[..., rank - 1 - a] for a in range(rank)]  # x comes first there
    places = [
        (g + 1) / 2 * (n - 1) if align else ((g + 1) * n - 1) / 2 for g, n in zip(where, sizes, strict=True)
    ]  # fmt: skip
    flat = gx.reshape(x, (x.shape[0], x.shape[1], math.prod(sizes)))

    def reflected(p: gx.Tensor, n: Any) -> gx.Tensor:
        low, high = (0.0, n - 1) if align else (-0.5, n - 0.5)
        span = high - low
        turn = gx.abs(p - low)
        turns = gx.floor(turn / span)
        rest = turn - turns * span
        return gx.where(gx.remainder(turns, 2) == 0, rest + low, high - rest)

    def element(at: list[gx.Tensor]) -> gx.Tensor:
        inside: Any = None
        index: Any = None
        for p, n in zip(at, sizes, strict=True):
            if padding == "reflection":
                p = reflected(p, n)
            here = (p >= 0) & (p <= n - 1)
            inside = here if inside is None else inside & here
            i = gx.astype(gx.clip(p, 0, n - 1), "int64")
            index = i if index is None else index * n + i
        shape = index.shape
        count = math.prod(shape[1:])
        index = gx.broadcast_to(gx.reshape(index, (shape[0], 1, count)), (shape[0], x.shape[1], count))
        chosen = gx.take_along_axis(flat, index, axis=2)
        chosen = gx.reshape(chosen, (shape[0], x.shape[1], *shape[1:]))
        return gx.where(inside[:, None], chosen, gx.zeros((), chosen.dtype)) if padding == "zeros" else chosen

    if padding == "border":
        places = [gx.clip(p, 0, n - 1) for p, n in zip(places, sizes, strict=True)] if mode != "cubic" else places
    elif padding == "reflection" and mode != "cubic":
        places = [gx.clip(reflected(p, n), 0, n - 1) for p, n in zip(places, sizes, strict=True)]
    if mode == "nearest":
        return gx.astype(element([gx.round(p) for p in places]), x.dtype)
    taps: list[list[tuple[Any, Any]]] = []
    for p in places:
        base = gx.floor(p)
        t = p - base
        if mode == "linear":
            taps.append([(base, 1 - t), (base + 1, t)])
            continue
        taps.append([(base - 1, _far(t + 1)), (base, _near(t)), (base + 1, _near(1 - t)), (base + 2, _far(2 - t))])
    call.pieces(math.prod(len(t) for t in taps), "number of taps")
    total: Any = None
    for choice in np.ndindex(*(len(t) for t in taps)):
        parts = [t[c] for t, c in zip(taps, choice, strict=True)]
        weight: Any = None
        for _, w in parts:
            weight = w if weight is None else weight * w
        part = element([p for p, _ in parts]) * weight[:, None]
        total = part if total is None else total + part
    return gx.astype(total, x.dtype)


@operator("AffineGrid")
def affine_grid(call: Call) -> Any:
    theta, size = call[0], call.ints(1, "size")
    spatial = size[2:]
    call.elements(math.prod(spatial), "size", 4 * len(spatial))
    axes = []
    for n in spatial:
        t = np.arange(n, dtype=np.float64)
        axes.append((t * 2 / (n - 1) - 1 if n > 1 else t * 0) if call.attr("align_corners", 0) else (2 * t + 1) / n - 1)
    mesh = np.meshgrid(*axes, indexing="ij")[::-1]
    points = np.stack([*mesh, np.ones(spatial)], axis=-1).reshape(-1, len(spatial) + 1)
    made = gx.constant(points, dtype=theta.dtype) @ gx.matrix_transpose(theta)
    return gx.reshape(made, (size[0], *spatial, len(spatial)))


# --- regions ----------------------------------------------------------------------------------------------------------


@operator("RoiAlign")
def roi_align(call: Call) -> Any:
    x, rois, batch = call[0], call[1], call[2]
    height, width = call.attr("output_height", 1), call.attr("output_width", 1)
    ratio, scale = call.attr("sampling_ratio", 0), call.attr("spatial_scale", 1.0)
    half = call.version >= 16 and call.attr("coordinate_transformation_mode", "half_pixel") == "half_pixel"
    if ratio == 0:
        rois_known = call.known(1, "number of samples")
        ratio_h = [max(1, math.ceil((r[3] - r[1]) * scale / height)) for r in rois_known.astype(float)]
        ratio_w = [max(1, math.ceil((r[2] - r[0]) * scale / width)) for r in rois_known.astype(float)]
        if len({*ratio_h}) > 1 or len({*ratio_w}) > 1:
            raise call.error("a sampling_ratio of 0 needs boxes of one size", hint="give a sampling_ratio")
        samples = ratio_h[0], ratio_w[0]
    else:
        samples = ratio, ratio
    offset = 0.5 if half else 0.0
    call.elements(height * samples[0] + width * samples[1], "number of samples")
    x1, y1, x2, y2 = (rois[:, k] * scale - offset for k in range(4))
    w, h = x2 - x1, y2 - y1
    if not half:
        w, h = gx.maximum(w, 1.0), gx.maximum(h, 1.0)
    ys = y1[:, None] + h[:, None] / height * ((np.arange(height * samples[0]) + 0.5) / samples[0]).astype("float32")
    xs = x1[:, None] + w[:, None] / width * ((np.arange(width * samples[1]) + 0.5) / samples[1]).astype("float32")
    rows, columns = x.shape[2], x.shape[3]

    def axis(p: gx.Tensor, n: Any) -> Any:
        inside = (p >= -1) & (p <= n)
        p = gx.clip(p, 0, n - 1)
        low = gx.floor(p)
        at = gx.astype(low, "int64")
        return inside, at, gx.minimum(at + 1, n - 1), p - low

    in_y, y_low, y_high, fy = axis(ys, rows)
    in_x, x_low, x_high, fx = axis(xs, columns)
    here = gx.astype(batch, "int64")[:, None, None]

    def at(yy: Any, xx: Any) -> gx.Tensor:
        found = gx.permute_dims(x, (0, 2, 3, 1))[here, yy[:, :, None], xx[:, None, :]]
        return gx.permute_dims(found, (0, 3, 1, 2))

    fy, fx = fy[:, None, :, None], fx[:, None, None, :]
    parts = [
        at(y_low, x_low) * ((1 - fy) * (1 - fx)), at(y_low, x_high) * ((1 - fy) * fx), at(y_high, x_low) * (fy * (1 - fx)),
        at(y_high, x_high) * (fy * fx),
    ]  # fmt: skip
    valid = (in_y[:, :, None] & in_x[:, None, :])[:, None]
    shape = (rois.shape[0], x.shape[1], height, samples[0], width, samples[1])
    if call.attr("mode", "avg") == "max":
        best = parts[0]
        for p in parts[1:]:
            best = gx.maximum(best, p)
        return gx.max(gx.reshape(gx.where(valid, best, 0.0), shape), axis=(3, 5))
    total = parts[0] + parts[1] + parts[2] + parts[3]
    return gx.mean(gx.reshape(gx.where(valid, total, 0.0), shape), axis=(3, 5))


@operator("Col2Im")
def col2im(call: Call) -> Any:
    x, image, block = call[0], call.ints(1, "image_shape"), call.ints(2, "block_shape")
    rank = len(image)
    dilation, stride = call.each("dilations", rank), call.each("strides", rank)
    pads = call.each("pads", 2 * rank, 0)
    n, c = x.shape[0], x.shape[1] // math.prod(block)
    counts = [
        (image[a] + pads[a] + pads[rank + a] - dilation[a] * (block[a] - 1) - 1) // stride[a] + 1 for a in range(rank)
    ]  # fmt: skip
    padded = [image[a] + pads[a] + pads[rank + a] for a in range(rank)]
    parts = gx.reshape(x, (n, c, *block, *counts))
    y = gx.zeros((n, c, *padded), x.dtype)
    call.pieces(math.prod(block), "block_shape")
    for offset in np.ndindex(*block):
        key = tap_of(offset, counts, stride, dilation)
        y = y.at[(slice(None), slice(None), *key)].add(parts[(slice(None), slice(None), *offset)])
    return y[(slice(None), slice(None), *(slice(pads[a], pads[a] + image[a]) for a in range(rank)))]


@operator("DeformConv")
def deform_conv(call: Call) -> Any:
    x, w, offset = call[0], call[1], call[2]
    bias, mask = call.maybe(3), call.maybe(4)
    groups, parts = call.attr("group", 1), call.attr("offset_group", 1)
    kernel = [int(n) for n in w.shape[2:]]
    if len(kernel) != 2:
        raise call.error("it is read for two dimensions")
    stride, dilation, pads = call.each("strides", 2), call.each("dilations", 2), call.each("pads", 4, 0)
    n, c, height, width = x.shape
    rows, columns = offset.shape[2:]
    taps = call.elements(kernel[0] * kernel[1], "kernel")
    offset = gx.reshape(offset, (n, parts, taps, 2, rows, columns))
    i, j = (np.arange(k) for k in kernel)
    at_y = np.repeat(i * dilation[0], kernel[1]).reshape(taps, 1, 1) - pads[0]
    at_x = np.tile(j * dilation[1], kernel[0]).reshape(taps, 1, 1) - pads[1]
    dtype = str(x.dtype)
    y = offset[:, :, :, 0] + gx.constant(at_y, dtype=dtype) + gx.reshape(gx.arange(rows, dtype=dtype) * stride[0], (rows, 1))
    z = offset[:, :, :, 1] + gx.constant(at_x, dtype=dtype) + gx.arange(columns, dtype=dtype) * stride[1]
    images = gx.reshape(x, (n, parts, c // parts, height * width))

    def element(yy: gx.Tensor, xx: gx.Tensor) -> gx.Tensor:
        inside = (yy >= 0) & (yy <= height - 1) & (xx >= 0) & (xx <= width - 1)
        at = gx.astype(gx.clip(yy, 0, height - 1) * width + gx.clip(xx, 0, width - 1), "int64")
        flat = gx.reshape(at, (n, parts, 1, taps * rows * columns))
        found = gx.take_along_axis(images, gx.broadcast_to(flat, (n, parts, c // parts, taps * rows * columns)), axis=-1)
        return gx.reshape(found, (n, parts, c // parts, taps, rows, columns)) * gx.astype(inside, dtype)[:, :, None]

    y0, x0 = gx.floor(y), gx.floor(z)
    fy, fx = (y - y0)[:, :, None], (z - x0)[:, :, None]
    sampled = element(y0, x0) * (1 - fy) * (1 - fx) + element(y0, x0 + 1) * (1 - fy) * fx
    sampled = sampled + element(y0 + 1, x0) * fy * (1 - fx) + element(y0 + 1, x0 + 1) * fy * fx
    if mask is not None:
        sampled = sampled * gx.reshape(mask, (n, parts, 1, taps, rows, columns))
    columns_of = gx.reshape(sampled, (n, groups, c // groups * taps, rows * columns))
    kernels = gx.reshape(w, (groups, w.shape[0] // groups, w.shape[1] * taps))
    made = gx.reshape(kernels @ columns_of, (n, w.shape[0], rows, columns))
    return made if bias is None else made + gx.reshape(bias, (-1, 1, 1))


@operator("NonMaxSuppression")
def non_max_suppression(call: Call) -> Any:
    """Its operands must be known: how many boxes are left is a size."""
    boxes, scores = call.known(0, "number of boxes that are left"), call.known(1, "number of boxes that are left")
    most = int(call.known(2, "max_output_boxes_per_class").reshape(-1)[0]) if call.given(2) else 0
    overlap, least = (
        float(call.known(i, "threshold").reshape(-1)[0]) if call.given(i) else other for i, other in ((3, 0.0), (4, -math.inf))
    )  # fmt: skip
    found = []
    for b, (corners, by_class) in enumerate(zip(boxes, scores, strict=True)):
        if call.attr("center_point_box", 0):
            cx, cy, w, h = corners.T
            corners = np.stack([cy - h / 2, cx - w / 2, cy + h / 2, cx + w / 2], axis=1)
        low, high = np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])
        area = (high - low).prod(1)
        for c, score in enumerate(by_class):
            order = [int(i) for i in np.argsort(-score, kind="stable") if score[i] > least]
            kept: list[int] = []
            for i in order:
                if len(kept) >= most:
                    break
                shared = np.maximum(np.minimum(high[i], high[kept]) - np.maximum(low[i], low[kept]), 0).prod(1)
                if not (shared / (area[i] + area[kept] - shared) > overlap).any():
                    kept.append(i)
            found += [(b, c, i) for i in kept]
    return np.array(found, np.int64).reshape(-1, 3)


@operator("MaxRoiPool", "ImageDecoder")
def unread(call: Call) -> Any:
    raise call.error("it is not read")
