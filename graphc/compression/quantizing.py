"""A model, or symbols, whose products with weights are of integers of 8 bits."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.compression.calibration import METHODS, Seen
from graphc.compression.symbols import Product, check_names, chosen_products, names_in, replaced
from graphc.data.trees import leaves, mapped
from graphc.layers.layer import calls
from graphc.layers.products import Product as ProductLayer
from graphc.layers.products import Quantization
from graphc.models.training import placeholders

Array = np.ndarray[Any, Any]
BATCH = 256  # samples of calibration that are computed at once


def quantize(
    model: Any, data: Any = None, *, method: str = "minmax", percentile: float = 99.99, trainable: bool = False,
    skip: Sequence[str] = (),
) -> Any:  # fmt: skip
    """A copy of a model whose products with weights are of integers of 8 bits; what was given stays as it is.

    model: a `gx.models.Model`, or a symbol, or a list or dict of symbols. data: what calibrates the scales of activations: for
    a model its inputs as an array (a list of arrays for several inputs), or batches of them, of which a tuple's first is taken;
    for symbols a dict of arrays by placeholder, or several. method: "minmax", "percentile" (of the sizes of activations) or
    "entropy": see `gx.compression.calibration`. skip: paths of layers, or names of variables, that stay in floats.

    Weights are int8 with a scale for each output channel, -127 .. 127; activations have one scale for all: uint8 where none was
    negative, else int8; biases stay float32. Weights take a quarter of the memory, also in files. Compiled, a product of such
    operands is one of integers, with sums in int32.

    trainable=True keeps float32 weights and rounds them on their way into the product, with straight-through gradients: `fit`
    such a model, which then is used to the rounding, and give it to `quantize` again, without data.

    InputError where no data are given for a model that has no scales yet, or where there is nothing to quantise.

    >>> import numpy as np, graphc as gx
    >>> with gx.layers.seeded(0):
    ...     model = gx.models.Sequential([gx.layers.Dense(8, activation="relu", input_shape=(4,)), gx.layers.Dense(2)])
    >>> x = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    >>> small = gx.quantize(model, x)
    >>> small.variables["0/kernel"].dtype, bool(np.abs(small.predict(x) - model.predict(x)).max() < 0.05)
    (int8, True)
    """
    skip = names_in("quantize", skip)
    trainable = gx.ops.check_flag("quantize", "trainable", trainable)
    if not isinstance(method, str) or method not in METHODS:
        raise gx.errors.InputError(
            f"quantize has no method {method!r}", where=gx.errors.caller(), hint="one of " + ", ".join(map(repr, METHODS))
        )
    if not isinstance(percentile, (int, float)) or not 0 < percentile <= 100:
        raise gx.errors.InputError(f"quantize: percentile is {percentile!r}", where=gx.errors.caller(), hint="above 0, up to 100")
    how = (method, percentile)
    if isinstance(model, gx.models.Model):
        return _quantized_model(model, data, how, trainable, skip)
    if isinstance(model, (Tensor, list, tuple, dict)) and all(isinstance(y, Tensor) for y in leaves(model)):
        return _quantized_symbols(model, data, how, trainable, skip)
    raise gx.errors.InputError(
        f"quantize takes a model or symbols, got {type(model).__name__}", where=gx.errors.caller(),
        hint="a gx.models.Model, or the outputs of a graph",
    )  # fmt: skip


# --- models ----------------------------------------------------------------------------------------------------------


def _quantized_model(
    model: gx.models.Model, data: Any, how: tuple[str, float], trainable: bool, skip: Sequence[str]
) -> gx.models.Model:
    known = {path: layer for path, layer in model.walk() if isinstance(layer, ProductLayer)}
    check_names("quantize", skip, [name for path, layer in known.items() for name in (path, layer.name)], "layers")
    chosen = [path for path, layer in known.items() if path not in skip and layer.name not in skip]
    if not chosen:
        raise gx.errors.InputError(
            f"quantize: {model.name} has no layer to quantise", where=gx.errors.caller(), hint="Dense and convolutions are"
        )
    made = copy.deepcopy(model)
    layers: dict[str, ProductLayer] = {p: x for p, x in made.walk() if p in chosen and isinstance(x, ProductLayer)}
    done = [path for path, layer in layers.items() if layer.quantization is not None]
    if data is None and len(done) < len(layers):
        raise gx.errors.InputError(
            f"quantize: {model.name} needs data for its scales", where=gx.errors.caller(),
            hint="some hundred inputs as the model meets them: gx.quantize(model, x[:500])",
        )  # fmt: skip
    if any(layer.quantization is not None and not layer.quantization.trainable for layer in layers.values()):
        raise gx.errors.InputError(
            f"quantize: {model.name} is of integers already", where=gx.errors.caller(), hint="quantise the model of floats again"
        )
    if data is not None:
        for path, seen in _calibrated(made, layers, data).items():
            layer = layers[path]
            layer.quantization = Quantization(seen.dtype, trainable=True)
            layer._own["input_scale"] = gx.variable(seen.scale(*how), name=f"{layer.path}/input_scale")
            layer._fixed.add("input_scale")
    if not trainable:
        for layer in layers.values():
            _make_integer(layer)
        made.trainable = False
    made.forget_programs()
    return made


def _make_integer(layer: ProductLayer) -> None:
    """Write a layer's kernel as integers."""
    kernel = layer._own["kernel"]
    whole, scale = integers(kernel.value, layer.channels)
    assert layer.quantization is not None
    layer.quantization = Quantization(layer.quantization.dtype)
    layer.pruned = False
    layer._regularizers.pop("kernel", None)
    layer._own["kernel"] = gx.variable(whole, name=kernel.name)
    layer._own["kernel_scale"] = gx.variable(scale, name=f"{kernel.name}_scale")
    layer._fixed |= {"kernel", "kernel_scale"}


def integers(values: Array, axis: int) -> tuple[Array, Array]:
    """Weights as int8 and the scales along an axis: what `fake_quantize` of the layer computes."""
    rest = tuple(a for a in range(values.ndim) if a != axis % values.ndim)
    largest = np.abs(values).max(axis=rest) if values.size else np.zeros(values.shape[axis], np.float32)
    scale = np.where(largest > 0, largest / np.float32(127), np.float32(1)).astype(np.float32)
    spread = np.expand_dims(scale, rest)
    return np.clip(np.rint(values / spread), -127, 127).astype(np.int8), scale


def _calibrated(model: gx.models.Model, layers: Mapping[str, ProductLayer], data: Any) -> dict[str, Seen]:
    """What the layers' inputs are like, by path."""
    program, paths = None, {id(layer): path for path, layer in layers.items()}
    seen: dict[str, Seen] = {path: Seen() for path in layers}
    order: list[str] = []
    for second in (False, True):
        for batch in _batches(data):
            if program is None:
                inputs, given = placeholders(batch, "batch")
                with calls() as found:
                    model(*(given if isinstance(given, list) else [given]), training=False)
                found = [call for call in found if id(call.layer) in paths]
                order = [paths[id(call.layer)] for call in found]
                program = gx.compile(inputs, [gx.asarray(call.inputs[0]) for call in found], progress=False)
            for path, values in zip(order, program(*leaves(batch)), strict=True):
                (seen[path].sizes if second else seen[path].extremes)(values)
    if program is None:
        raise gx.errors.InputError("quantize: there are no data", where=gx.errors.caller(), hint="some hundred inputs")
    return {path: seen[path] for path in dict.fromkeys(order)}


def _batches(data: Any) -> Iterator[Any]:
    """The inputs in batches: of arrays in memory, or what batches there are."""
    if isinstance(data, tuple):
        data = data[0]
    if isinstance(data, (np.ndarray, Mapping)) or (isinstance(data, list) and all(isinstance(a, np.ndarray) for a in data)):
        count = min((len(a) for a in leaves(data)), default=0)
        for start in range(0, count, BATCH):
            yield mapped(data, _part(start))
        return
    if not isinstance(data, Iterable):
        raise gx.errors.InputError(
            f"quantize: data are {type(data).__name__}", where=gx.errors.caller(), hint="an array of inputs, or batches of them"
        )
    if iter(data) is data:
        raise gx.errors.InputError(
            "quantize: the batches are an iterator, which can be gone through once", where=gx.errors.caller(),
            hint="they are gone through twice: give a list of them",
        )  # fmt: skip
    for batch in data:
        yield mapped(batch[0] if isinstance(batch, tuple) else batch, _float)


def _part(start: int) -> Callable[[Array], Array]:
    return lambda a: _float(a[start : start + BATCH])


def _float(a: Any) -> Array:
    found = np.asarray(a)
    return found.astype(np.float32) if found.dtype == np.float64 else found


# --- symbols ---------------------------------------------------------------------------------------------------------


def _quantized_symbols(outputs: Any, data: Any, how: tuple[str, float], trainable: bool, skip: Sequence[str]) -> Any:
    names = chosen_products("quantize", outputs, skip)
    if data is None:
        raise gx.errors.InputError(
            "quantize: the symbols need data for their scales", where=gx.errors.caller(), hint="a dict of arrays: {x: array}"
        )
    feeds = [data] if isinstance(data, Mapping) else list(data) if isinstance(data, (list, tuple)) else []
    if not feeds or not all(isinstance(feed, Mapping) and list(feed) == list(feeds[0]) for feed in feeds):
        raise gx.errors.InputError(
            "quantize: the data of symbols are a dict of arrays by placeholder, or a list of such", where=gx.errors.caller(),
            hint="{x: array}",
        )  # fmt: skip
    seen = _seen(list(names), feeds)
    rounded: dict[Tensor, Tensor] = {}
    kernels: dict[Tensor, Tensor] = {}

    def given(p: Product, x: Tensor) -> Tensor:
        if x not in rounded:
            about = seen[p.given]
            scale = gx.variable(about.scale(*how), name=f"{names[p]}.input_scale")
            if trainable:
                rounded[x] = gx.fake_quantize(x, scale, dtype=about.dtype)
            else:
                rounded[x] = gx.dequantize_linear(gx.quantize_linear(x, scale, dtype=about.dtype), scale)
        return rounded[x]

    def weight(p: Product, x: Tensor) -> Tensor:
        if x not in kernels:
            if trainable:
                kernels[x] = gx.fake_quantize(x, gx.layers.products.scale_of(x, p.axis), axis=p.axis)
            else:
                whole, scale = integers(np.asarray(p.weight.eval()), p.axis)
                kernels[x] = gx.dequantize_linear(
                    gx.variable(whole, name=names[p]), gx.variable(scale, name=f"{names[p]}.scale"), axis=p.axis
                )
        return kernels[x]

    made = iter(replaced(leaves(outputs), list(names), lambda p, side, x: weight(p, x) if side == p.side else given(p, x)))
    return mapped(outputs, lambda _: next(made))


def _seen(chosen: Sequence[Product], feeds: Sequence[Mapping[Tensor, Any]]) -> dict[Tensor, Seen]:
    """What the products' other operands are like."""
    wanted = list(dict.fromkeys(p.given for p in chosen))
    seen = {x: Seen() for x in wanted}
    program = gx.compile(list(feeds[0]), wanted, progress=False)
    for second in (False, True):
        for feed in feeds:
            for about, values in zip(seen.values(), program(*(feed[x] for x in feeds[0])), strict=True):
                (about.sizes if second else about.extremes)(values)
    return seen
