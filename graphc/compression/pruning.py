"""Models with less weights: single ones that are 0 and stay it, or whole channels that are gone."""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.compression.channels import fewer_channels, fewer_in_symbols
from graphc.compression.symbols import Product, check_names, chosen_products, names_in, replaced
from graphc.data.trees import leaves, mapped
from graphc.layers.products import Product as ProductLayer
from graphc.layers.products import kept

Array = np.ndarray[Any, Any]


def prune(model: Any, amount: float = 0.5, *, method: str = "magnitude", skip: Sequence[str] = ()) -> Any:
    """A copy of a model with a part of its weights gone: those of the least size. What was given stays as it is.

    model: a `gx.models.Model`, or a symbol, or a list or dict of symbols. amount: the part of each kernel that goes, from 0 to
    below 1. skip: paths of layers, or names of variables, that stay whole. method:

    - "magnitude": the smallest elements of each kernel become 0 (Han et al. 2015, arXiv:1506.02626);
    - "2:4", or another n:m: of every m neighbours along the inputs the n largest stay, whatever `amount` says (Mishra et al.
      2021, arXiv:2104.08378);
    - "channels": whole outputs of a layer, by the sum of their sizes (Li et al. 2017, arXiv:1608.08710), and what the next layers
      would do with them: fewer units and filters, in a `Sequential` of products, normalisations, activations and pools, or in
      symbols of such. The last product keeps all of its outputs.

    Elements that are 0 stay so in `fit`, which may train the others to make up for them; they take as much memory as before, and
    `gx.quantize` keeps them. Without channels a model is really smaller: in memory, in files, and in time.

    >>> import numpy as np, graphc as gx
    >>> model = gx.models.Sequential([gx.layers.Dense(8, activation="relu", input_shape=(4,)), gx.layers.Dense(2)])
    >>> sparse = gx.prune(model, 0.75)
    >>> int(np.count_nonzero(sparse.variables["0/kernel"].value)), gx.prune(model, 0.5, method="channels").count_params()
    (8, 30)
    """
    if not isinstance(amount, (int, float)) or isinstance(amount, bool) or not 0 <= amount < 1:
        raise gx.errors.InputError(f"prune: amount is {amount!r}", where=gx.errors.caller(), hint="a number from 0 to below 1")
    skip = names_in("prune", skip)
    pattern = re.fullmatch(r"(\d+):(\d+)", method) if isinstance(method, str) else None
    counts = pattern is not None and 0 < int(pattern[1]) <= int(pattern[2])
    if not counts and not (isinstance(method, str) and method in ("magnitude", "channels")):
        raise gx.errors.InputError(
            f"prune has no method {method!r}", where=gx.errors.caller(), hint="'magnitude', 'channels', or n:m, such as '2:4'"
        )
    ratio = (int(pattern[1]), int(pattern[2])) if pattern else None
    if isinstance(model, gx.models.Model):
        if method == "channels":
            return fewer_channels(model, amount, skip)
        return _pruned_model(model, amount, ratio, skip)
    if isinstance(model, (Tensor, list, tuple, dict)) and all(isinstance(y, Tensor) for y in leaves(model)):
        if method == "channels":
            return fewer_in_symbols(model, amount, skip)
        return _pruned_symbols(model, amount, ratio, skip)
    raise gx.errors.InputError(
        f"prune takes a model or symbols, got {type(model).__name__}", where=gx.errors.caller(),
        hint="a gx.models.Model, or the outputs of a graph",
    )  # fmt: skip


def _pruned_model(model: gx.models.Model, amount: float, ratio: tuple[int, int] | None, skip: Sequence[str]) -> gx.models.Model:
    made = copy.deepcopy(model)
    layers = {path: layer for path, layer in made.walk() if isinstance(layer, ProductLayer)}
    check_names("prune", skip, [name for path, layer in layers.items() for name in (path, layer.name)], "layers")
    chosen = [x for path, x in layers.items() if path not in skip and x.name not in skip and "kernel" in x._own]
    if not chosen:
        raise gx.errors.InputError(
            f"prune: {model.name} has no layer to prune", where=gx.errors.caller(),
            hint="Dense and convolutions are, once they are built",
        )  # fmt: skip
    for layer in chosen:
        if layer.quantization is not None and not layer.quantization.trainable:
            raise gx.errors.InputError(
                f"prune: {layer.path} is of integers already", where=gx.errors.caller(), hint="prune before gx.quantize"
            )
        kernel = layer._own["kernel"]
        kernel.value = without(kernel.value, amount, ratio, layer.channels)
        layer.pruned = True
    made.forget_programs()
    return made


def without(values: Array, amount: float, ratio: tuple[int, int] | None, axis: int) -> Array:
    """Weights with the least ones 0. axis: that of the outputs; the inputs lie along the one before it, or after the first."""
    sizes = np.abs(values)
    if ratio is None:
        count = round(amount * values.size)
        gone = np.zeros(values.size, bool)
        gone[np.argsort(sizes.reshape(-1), kind="stable")[:count]] = True
        return np.where(gone.reshape(values.shape), np.zeros((), values.dtype), values)
    n, m = ratio
    along = 1 if axis % values.ndim == 0 else axis % values.ndim - 1
    moved = np.moveaxis(sizes, along, -1)
    groups = -(-moved.shape[-1] // m)
    padded = np.full((*moved.shape[:-1], groups * m), -1.0, sizes.dtype)
    padded[..., : moved.shape[-1]] = moved
    ranks = np.argsort(np.argsort(-padded.reshape(*moved.shape[:-1], groups, m), axis=-1, kind="stable"), axis=-1)
    stays = np.moveaxis((ranks < n).reshape(padded.shape)[..., : moved.shape[-1]], -1, along)
    return np.where(stays, values, np.zeros((), values.dtype))


def _pruned_symbols(outputs: Any, amount: float, ratio: tuple[int, int] | None, skip: Sequence[str]) -> Any:
    names = chosen_products("prune", outputs, skip)
    kernels: dict[Tensor, Tensor] = {}

    def operand(p: Product, side: int, x: Tensor) -> Tensor:
        if side != p.side:
            return x
        if x not in kernels:
            value = without(np.asarray(p.weight.eval()), amount, ratio, p.axis)
            kernels[x] = kept(gx.variable(value, name=names[p]))
        return kernels[x]

    made = iter(replaced(leaves(outputs), list(names), operand))
    return mapped(outputs, lambda _: next(made))
