"""Layers as data, and back: what a file keeps of a structure.

A layer is {"class": name, "config": its options}. Options are numbers, texts, lists, and other layers; functions and objects go
by a name under which they are registered: graphc's own are, yours after `register`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import numpy as np

import graphc as gx
from graphc.layers import activations, initializers, regularizers
from graphc.layers.layer import Layer
from graphc.layers.products import Quantization

T = TypeVar("T")

_KNOWN: dict[str, Any] = {}
_RECORDS = (
    initializers.Constant, initializers.Identity, initializers.Uniform, initializers.RandomUniform, initializers.Normal,
    initializers.TruncatedNormal,
    initializers.VarianceScaling, initializers.Orthogonal, regularizers.L1L2, Quantization,
)  # fmt: skip


def register(thing: T | None = None, *, name: str | None = None) -> Any:
    """Let files name a layer's class, a function or a record of yours; it decorates. Registering a name again replaces it.

    >>> import graphc as gx
    >>> @gx.layers.register
    ... class Double(gx.layers.Layer):
    ...     def call(self, x):
    ...         return 2 * x
    >>> gx.layers.from_data(gx.layers.to_data(Double(name="twice"))).name
    'twice'
    """

    def note(found: Any) -> Any:
        known = name or getattr(found, "__name__", None)
        if not isinstance(known, str):
            raise gx.errors.InputError(f"register: {found!r} has no name", where=gx.errors.caller(), hint="give name=")
        _KNOWN[known] = found
        return found

    return note if thing is None else note(thing)


def to_data(value: Any) -> Any:
    """A value as JSON can hold it; InputError for what has no name."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (np.integer, np.floating, np.bool_)):
        return value.item()
    if isinstance(value, gx.DType):
        return str(value)
    if isinstance(value, gx.Dim):
        return {"size": str(value)}
    if isinstance(value, (list, tuple)):
        items = [to_data(v) for v in value]
        return items if isinstance(value, list) else {"tuple": items}
    if isinstance(value, Mapping):
        return {"dict": [[to_data(key), to_data(v)] for key, v in value.items()]}
    if isinstance(value, Layer):
        return {"class": _name_of(type(value)), "config": {key: to_data(v) for key, v in value.get_config().items()}}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        options = {f.name: to_data(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"class": _name_of(type(value)), "config": options}
    if hasattr(value, "get_config"):
        return {"class": _name_of(type(value)), "config": {key: to_data(v) for key, v in value.get_config().items()}}
    return {"function": _name_of(value)}


def from_data(data: Any) -> Any:
    """The value that `to_data` made these data of."""
    if isinstance(data, list):
        return [from_data(v) for v in data]
    if not isinstance(data, dict):
        return data
    if "tuple" in data:
        return tuple(from_data(v) for v in data["tuple"])
    if "size" in data:
        return gx.dim(data["size"])
    if "dict" in data:
        return {from_data(key): from_data(v) for key, v in data["dict"]}
    if "function" in data:
        return _named(data["function"])
    config = {key: from_data(v) for key, v in data["config"].items()}
    cls = _named(data["class"])
    made = cls.from_config(config) if isinstance(cls, type) and issubclass(cls, Layer) else cls(**config)
    return made


def _name_of(thing: Any) -> str:
    for name, found in _KNOWN.items():
        if found is thing:
            return name
    for name, found in _own().items():
        if found is thing:
            return name
    raise gx.errors.InputError(
        f"{thing!r} has no name in files", where=gx.errors.caller(),
        hint="register it: gx.layers.register(thing), or @gx.layers.register before its definition",
    )  # fmt: skip


def _named(name: str) -> Any:
    if name in _KNOWN:
        return _KNOWN[name]
    own = _own()
    if name in own:
        return own[name]
    raise gx.errors.InputError(
        f"the file names {name!r}, which nothing here is called", where=gx.errors.caller(),
        hint="define it, and register it with gx.layers.register, before the file is loaded",
    )  # fmt: skip


def _own() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {cls.__name__: cls for cls in _RECORDS}
    models = gx.models
    for home in (gx.layers, models, gx.metrics, models.losses, models.optimizers, models.optimizers.schedules):
        for name in home.__all__:
            thing = getattr(home, name)
            if isinstance(thing, type) and thing.__name__ == name:  # of a loss and a metric of one name the first has it alone
                found[name if found.setdefault(name, thing) is thing else f"{home.__name__.rpartition('.')[2]}/{name}"] = thing
    found.update({f"activation/{name}": f for name, f in activations.NAMED.items()})
    found.update({f"optim/{name}": getattr(gx.optim, name) for name in gx.optim.__all__ if callable(getattr(gx.optim, name))})
    return found
