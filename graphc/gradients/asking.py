"""What functions of gradients ask of symbols, and of the functions that users give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from graphc import ops
from graphc.errors import GradientError, ShapeError, caller
from graphc.ops.tensor import Tensor, TensorLike, as_tensor


def check(name: str, what: str, tensors: Sequence[Any]) -> None:
    for x in tensors:
        if not isinstance(x, Tensor):
            raise GradientError(f"{name}: {what} must be a symbol, got {type(x).__name__}", where=caller())
        if not x.dtype.is_float:
            raise GradientError(
                f"{name}: {what} must be of floats, got {x.type}",
                where=caller(),
                hint="astype('float32') first: only floats have gradients",
            )


def as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]


def check_count(name: str, what: str, xs: Sequence[Any], other: str, ys: Sequence[Any]) -> None:
    if len(xs) != len(ys):
        raise GradientError(f"{name} needs as many {other} as {what}, got {len(ys)} and {len(xs)}", where=caller())


def fit(name: str, like: Tensor, value: TensorLike) -> Tensor:
    made = ops.astype(as_tensor(value, like.dtype), like.dtype)
    try:
        return ops.broadcast_to(made, like.shape)
    except ShapeError:
        raise ShapeError(
            f"{name}: {made.type} does not fit {like.type}", where=caller(), hint="it must broadcast to that shape"
        ) from None


def results_of(name: str, f: Callable[..., Any], values: Any) -> list[Tensor]:
    found = as_list(values)
    for y in found:
        if not isinstance(y, Tensor):
            raise GradientError(f"{name}: {name_of(f)} must give symbols, got {type(y).__name__}", where=caller())
    return found


def name_of(f: Callable[..., Any]) -> str:
    return str(getattr(f, "__name__", None) or getattr(f, "name", None) or type(f).__name__)
