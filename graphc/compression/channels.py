"""Products with fewer outputs, and what reads them with fewer inputs: whole channels taken out of a model."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.compression.symbols import Product, check_names, name_of, products
from graphc.data.trees import leaves, mapped
from graphc.layers.activations import activation
from graphc.layers.layer import Layer, calls
from graphc.layers.products import Product as ProductLayer

Array = np.ndarray[Any, Any]


def kept_channels(kernel: Array, axis: int, amount: float) -> Array:
    """The channels along an axis whose elements have the largest sums of sizes, in their order; one at least."""
    rest = tuple(a for a in range(kernel.ndim) if a != axis % kernel.ndim)
    sizes = np.abs(kernel).sum(axis=rest, dtype=np.float64)
    count = max(1, len(sizes) - round(amount * len(sizes)))
    return np.sort(np.argsort(-sizes, kind="stable")[:count])


# --- models ----------------------------------------------------------------------------------------------------------


def _channelwise() -> tuple[type[Layer], ...]:
    """Layers that compute each channel by itself."""
    names = (
        "Activation", "Dropout", "SpatialDropout", "GaussianNoise", "GaussianDropout", "Identity", "ReLU", "ELU", "LeakyReLU",
        "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "ZeroPadding", "Cropping", "UpSampling", "BatchNorm",
        "DepthwiseConv2D",
    )  # fmt: skip
    return tuple(getattr(gx.layers, name) for name in names)


def fewer_channels(model: gx.models.Model, amount: float, skip: Sequence[str]) -> gx.models.Model:
    """A copy of a Sequential with fewer channels between its products."""
    if not isinstance(model, gx.models.Sequential):
        raise gx.errors.InputError(
            f"prune by channels takes a Sequential, got {type(model).__name__}", where=gx.errors.caller(),
            hint="of another model give the symbols: gx.prune(model(x), method='channels')",
        )  # fmt: skip
    made = copy.deepcopy(model)
    known = {path: layer for path, layer in made.walk() if isinstance(layer, ProductLayer)}
    check_names("prune", skip, [name for path, layer in known.items() for name in (path, layer.name)], "layers")
    left_out = {id(x) for path, x in known.items() if path in skip or x.name in skip}
    with calls() as found:
        made(*made.inputs, training=False)
    shapes = {id(call.layer): call.inputs[0].shape for call in found}
    todo = [(layer, _reader(made.layers[i + 1 :], shapes)) for i, layer in enumerate(made.layers) if _multiplies(layer)]
    todo = [(layer, reader) for layer, reader in todo if reader is not None and id(layer) not in left_out]
    if not todo:
        raise gx.errors.InputError(
            f"prune: {model.name} has no channels that only a product reads", where=gx.errors.caller(),
            hint="two products one after the other, with layers between that compute each channel by itself",
        )  # fmt: skip
    for layer, reader in todo:
        keep = kept_channels(layer._own["kernel"].value, -1, amount)
        setattr(layer, "units" if isinstance(layer, gx.layers.Dense) else "filters", len(keep))
        for name in ("kernel", "bias"):
            _cut(layer, name, -1, keep)
        after = made.layers[next(i for i, x in enumerate(made.layers) if x is layer) + 1 :]
        for between in after:
            if between is reader:
                break
            if isinstance(between, (gx.layers.BatchNorm, gx.layers.DepthwiseConv2D)):
                for name in between._own:
                    _cut(between, name, -1, keep)
            if isinstance(between, gx.layers.Flatten):
                keep = _flat(keep, shapes[id(between)], layer)
        assert reader is not None
        _cut(reader, "kernel", -2, keep)
    made.forget_programs()
    return made


def _multiplies(layer: Layer) -> bool:
    """Whether a layer is a product of all inputs with all outputs, and what it does afterwards is done to each by itself."""
    plain = isinstance(layer, gx.layers.Dense) or (
        isinstance(layer, gx.layers.Conv)
        and not isinstance(layer, (gx.layers.ConvTranspose, gx.layers.DepthwiseConv2D))
        and layer.groups == 1
    )
    if not plain or not isinstance(layer, ProductLayer) or "kernel" not in layer._own:
        return False
    return layer.quantization is None and _by_itself(layer.activation)  # type: ignore[attr-defined]


def _by_itself(function: Any) -> bool:
    """Whether an activation computes each element by itself."""
    x = gx.placeholder("x", (2, 3), "float32")
    for node in gx.ir.Graph((), (activation(function)(x),)).nodes:
        elementwise = getattr(node.op.lowering, "elementwise", False)
        if node.inputs and not elementwise and node.op.name != "broadcast_to":
            return False
    return True


def _reader(after: Sequence[Layer], shapes: dict[int, Any]) -> ProductLayer | None:
    """The product that is the next to mix channels; None where something else does before, or none comes."""
    for layer in after:
        if _takes(layer):
            return layer  # type: ignore[return-value]
        flat = isinstance(layer, gx.layers.Flatten) and all(isinstance(n, int) for n in shapes[id(layer)][1:])
        same = isinstance(layer, gx.layers.DepthwiseConv2D) and layer.depth_multiplier != 1
        if not flat and (same or not isinstance(layer, _channelwise()) or not _by_itself(getattr(layer, "activation", None))):
            return None
    return None


def _takes(layer: Layer) -> bool:
    """Whether the inputs of a layer's kernel lie along its last axis but one."""
    if not isinstance(layer, ProductLayer) or "kernel" not in layer._own or layer.quantization is not None:
        return False
    convolves = isinstance(layer, gx.layers.Conv) and not isinstance(
        layer, (gx.layers.ConvTranspose, gx.layers.DepthwiseConv2D)
    )  # fmt: skip
    return isinstance(layer, gx.layers.Dense) or (convolves and getattr(layer, "groups", 0) == 1)


def _flat(keep: Array, shape: Sequence[Any], layer: Layer) -> Array:
    """Where channels lie in images as vectors."""
    first = getattr(layer, "layout", "NHWC")[-1] != "C"
    places = np.arange(int(np.prod(shape[1:]))).reshape(shape[1:])
    return np.asarray(np.take(places, keep, axis=0 if first else -1).reshape(-1))


def _cut(layer: Layer, name: str, axis: int, keep: Array) -> None:
    """Take channels out of one of a layer's variables."""
    if name in layer._own:
        old = layer._own[name]
        layer._own[name] = gx.variable(np.ascontiguousarray(np.take(old.value, keep, axis=axis)), name=old.name)


# --- symbols ---------------------------------------------------------------------------------------------------------


def fewer_in_symbols(outputs: Any, amount: float, skip: Sequence[str]) -> Any:
    """Symbols with fewer channels between their products."""
    roots = list(leaves(outputs))
    found = products(roots)
    names = [name_of(p, i) for i, p in enumerate(found)]
    check_names("prune", skip, names, "weights")
    changed = False
    for number, name in enumerate(names):
        if name in skip:
            continue
        product = products(roots)[number]
        way = _Way(roots, product, amount)
        if way.ends:
            roots, changed = way.replaced(), True
    if not changed:
        raise gx.errors.InputError(
            "prune: the symbols have no channels that only products read", where=gx.errors.caller(),
            hint="two products one after the other, with what is computed for each channel by itself between",
        )  # fmt: skip
    made = iter(roots)
    return mapped(outputs, lambda _: next(made))


class _Way:
    """Where the channels of a product go: the axis, and the indices that stay, of every node that has them.

    `cuts` are the operands that depend on no input and have these channels too. `ends` says whether nothing but products ends
    the way: only then can channels be taken out.
    """

    def __init__(self, roots: Sequence[Tensor], product: Product, amount: float) -> None:
        self.roots, self.product = roots, product
        self.cuts: dict[tuple[gx.ir.Node, int], tuple[int, Array]] = {}
        self.has: dict[gx.ir.Node, tuple[int, Array]] = {}
        self.made: dict[tuple[gx.ir.Node, int, bytes], Tensor] = {}
        node, side = product.node, product.side
        axis = node.ndim - 1
        self.ends = side == 1 and node.attrs.get("groups", 1) == 1
        if node.attrs.get("first"):
            axis = 1
        if self.ends:
            kernel_axis = product.axis % product.weight.ndim
            keep = kept_channels(np.asarray(product.weight.eval()), kernel_axis, amount)
            self.cuts[node, 1] = kernel_axis, keep
            self.has[node] = axis, keep
            self.ends = self._follow() and not any(root in self.has for root in roots)

    def _follow(self) -> bool:
        given: set[gx.ir.Node] = set()
        ended = False
        for node in gx.ir.Graph((), tuple(self.roots)).nodes:
            if node.op.name == "input" or any(i in given for i in node.inputs):
                given.add(node)
            touched = [i for i, x in enumerate(node.inputs) if x in self.has]
            if not touched or node is self.product.node:
                continue
            axis, keep = self.has[node.inputs[touched[0]]]
            others = [i for i in range(len(node.inputs)) if i not in touched]
            if self._reads(node, touched, given, axis, keep):
                ended = True
                continue
            after = self._after(node, axis, keep)
            if after is None or any(node.inputs[i] in given for i in others):
                return False
            if any(self.has[node.inputs[i]][0] != axis or self.has[node.inputs[i]][1] is not keep for i in touched):
                return False
            self.cuts.update({(node, i): (axis, keep) for i in others})
            self.has[node] = after
        return ended

    def _reads(self, node: gx.ir.Node, touched: list[int], given: set[gx.ir.Node], axis: int, keep: Array) -> bool:
        """Whether a node is a product with a weight that sums over the channels."""
        if touched != [0] or len(node.inputs) != 2 or node.inputs[1] in given:
            return False
        rank, weight = node.inputs[0].type.rank, node.inputs[1].type.rank
        if node.op.name == "matmul" and axis == rank - 1:
            self.cuts[node, 1] = weight - 2, keep
            return True
        if node.op.name == "convolve" and node.attrs["groups"] == 1 and axis == (1 if node.attrs["first"] else rank - 1):
            self.cuts[node, 1] = 1 if node.attrs["first"] else weight - 2, keep
            return True
        return False

    def _after(self, node: gx.ir.Node, axis: int, keep: Array) -> tuple[int, Array] | None:
        """The axis of the channels in what a node makes of them; None where it does not leave them apart."""
        lowering, shape = node.op.lowering, node.inputs[0].type.shape
        if getattr(lowering, "elementwise", False):
            return axis, keep
        if isinstance(lowering, gx.ir.operation.Reduction):
            gone = lowering.axes(node.attrs)
            return None if axis in gone else (axis - sum(a < axis for a in gone), keep)
        if node.op.name == "max_pool" and axis not in node.attrs["axes"]:
            return axis, keep
        if node.op.name == "permute_dims":
            return list(node.attrs["axes"]).index(axis), keep
        fixed = all(isinstance(n, int) for n in shape[1:])
        if node.op.name == "reshape" and axis and fixed and node.type.rank == 2 and node.type.shape[0] == shape[0]:
            places = np.arange(int(np.prod(shape[1:]))).reshape(shape[1:])  # type: ignore[arg-type]
            return 1, np.take(places, keep, axis=axis - 1).reshape(-1)
        return None

    def replaced(self) -> list[Any]:
        """The roots without the channels."""

        def change(node: gx.ir.Node, inputs: tuple[gx.ir.Node, ...]) -> gx.ir.Node:
            inputs = tuple(
                self._cut(node.inputs[i], *self.cuts[node, i]) if (node, i) in self.cuts else x for i, x in enumerate(inputs)
            )
            if node in self.has and node.op.name == "reshape":
                return gx.reshape(inputs[0], (inputs[0].type.shape[0], len(self.has[node][1])))  # type: ignore[arg-type]
            return gx.ir.graph.on_inputs(node, inputs)

        return gx.ir.graph.substitute(self.roots, {}, change)

    def _cut(self, x: gx.ir.Node, axis: int, keep: Array) -> Tensor:
        """An operand that depends on no input, with some of its channels."""
        key = x, axis, keep.tobytes()
        if key in self.made:
            return self.made[key]
        shape = tuple(len(keep) if a == axis else n for a, n in enumerate(x.type.shape))
        assert isinstance(x, Tensor)
        if x.op.name == "broadcast_to":
            source = x.inputs[0]
            own = axis - (x.ndim - source.type.rank)
            whole = own < 0 or source.type.shape[own] == 1
            assert isinstance(source, Tensor)
            found = gx.broadcast_to(source if whole else self._cut(source, own, keep), shape)
        elif x.op.name == "full":
            found = gx.full(shape, x.attrs["value"], dtype=x.dtype)
        elif isinstance(x, gx.Variable):
            found = gx.variable(np.ascontiguousarray(np.take(x.value, keep, axis=axis)), name=x.name)
        else:
            found = gx.take(x, keep, axis=axis)
        self.made[key] = found
        return found
