"""The arguments of a call: put in order, checked against the signature, made arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from graphc.errors import DTypeError, InputError, ShapeError, caller
from graphc.ir import types as t
from graphc.ir.signature import Argument, Signature
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
_MAX_SIZES = 1024  # shapes of arguments whose check is remembered


class Arguments:
    """What a program takes. Shapes whose sizes are known are remembered."""

    def __init__(self, name: str, signature: Signature) -> None:
        self.name, self.signature = name, signature
        self._names = [x.name for x in signature.inputs]
        self._wanted = [x.type.dtype.numpy for x in signature.inputs]
        self._sizes: dict[tuple[tuple[int, ...], ...], dict[str, int]] = {}

    def takes(self, name: str) -> bool:
        """Whether there is an input of this name."""
        return name in self._names

    def checked(self, args: tuple[Any, ...]) -> tuple[list[Array], dict[str, int], tuple[tuple[int, ...], ...]]:
        """The arguments as arrays, the sizes of the symbolic dimensions, and the shapes that stand for them."""
        if len(args) != len(self._names):
            args = self.by_name(args, {})
        arrays = [
            a if type(a) is np.ndarray and a.dtype is want else self._array(x, a)
            for x, a, want in zip(self.signature.inputs, args, self._wanted, strict=True)
        ]
        key = tuple([a.shape for a in arrays])
        sizes = self._sizes.get(key)
        if sizes is None:
            sizes = self.signature.bind(key)
            if len(self._sizes) >= _MAX_SIZES:
                self._sizes.clear()
            self._sizes[key] = sizes
        return arrays, sizes, key

    def by_name(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        """The arguments in the order of the inputs."""
        if len(args) > len(self._names):
            raise InputError(
                f"{self.name} takes {len(self._names)} inputs, got {len(args)}", where=caller(), hint=self._takes()
            )
        given = dict(zip(self._names, args, strict=False))
        for key, value in named.items():
            if key not in self._names:
                raise InputError(f"{self.name} has no input {key!r}", where=caller(), hint=self._takes())
            if key in given:
                raise InputError(f"{self.name} got input {key!r} twice", where=caller(), hint=self._takes())
            given[key] = value
        missing = [n for n in self._names if n not in given]
        if missing:
            raise InputError(
                f"{self.name} misses input {', '.join(map(repr, missing))}", where=caller(), hint=self._takes()
            )
        return tuple(given[n] for n in self._names)

    def _takes(self) -> str:
        return "it takes " + ", ".join(f"{x.name}: {x.type}" for x in self.signature.inputs)

    def _array(self, x: Argument, value: Any) -> Array:
        name, want, dtype = x.name, x.type, x.type.dtype.numpy
        if isinstance(value, Tensor):
            raise InputError(
                f"input {name} needs an array, got a symbol: {value!r}",
                where=caller(),
                hint="call with values; symbols are for building graphs",
            )
        try:
            array = np.asarray(value)
        except ValueError:
            raise ShapeError(
                f"input {name} needs {want}, got a {type(value).__name__} that makes no array", where=caller(),
                hint="its parts have different lengths",
            ) from None  # fmt: skip
        if not t.is_number(array.dtype):
            raise DTypeError(
                f"input {name} needs {want}, got {type(value).__name__} of {array.dtype}",
                where=caller(),
                hint="give an array of numbers",
            )
        if not array.dtype.isnative:
            raise DTypeError(
                f"input {name} needs {want}, got {array.dtype} in a byte order that is not this machine's", where=caller(),
                hint=f"{name}.astype({array.dtype.newbyteorder('=').name!r})",
            )  # fmt: skip
        exact = isinstance(value, (np.ndarray, np.generic))
        if not np.can_cast(array.dtype, dtype, "safe" if exact else "same_kind") and not (not exact and array.size == 0):
            raise DTypeError(
                f"input {name} needs {want}, got {array.dtype}: not a safe cast",
                where=caller(),
                hint=f"{name}.astype({dtype.name!r})",
            )
        return array.astype(dtype)
