"""Functions whose gradient is a rule that the user gives."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from graphc.errors import GradientError, caller
from graphc.gradients.asking import name_of
from graphc.ops.custom import GradientRule, with_gradient
from graphc.ops.declare import check_function
from graphc.ops.tensor import Tensor, as_tensor


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Tensor]:
    """A function with a gradient rule of its own: f(*xs) gives its value y and rule(g), the cotangents of xs for y's cotangent.

    The rule gives one symbol (or None) for every x, of x's type, a tuple of them for several; it may use xs and whatever f
    computed, and is differentiated for gradients of higher order. It must be linear in g. What else f reads gets no gradient.

    >>> import graphc as gx
    >>> @gx.custom_gradient
    ... def clipped(x):
    ...     return x, lambda g: gx.clip(g, -1, 1)
    >>> x = gx.placeholder("x", (), "float64")
    >>> gx.grad(clipped(x) * 5, x).eval({x: 2.0})
    array(1.)
    """
    check_function("custom_gradient", "f", f)

    def pair(xs: Sequence[Tensor]) -> tuple[Tensor, Callable[[Tensor], Any]]:
        found = f(*xs)
        if not (isinstance(found, tuple) and len(found) == 2 and isinstance(found[0], Tensor) and callable(found[1])):
            raise GradientError(
                f"custom_gradient: {name_of(f)} must give its value and a rule", where=caller(),
                hint="return y, rule, where rule(g) gives the cotangents of the arguments",
            )  # fmt: skip
        return found

    def rule(g: Tensor, *xs: Tensor) -> list[Tensor | None]:
        made = pair(xs)[1](g)
        parts = list(made) if isinstance(made, (list, tuple)) else [made]
        if len(parts) != len(xs):
            got = f"{len(parts)} cotangents for {len(xs)} arguments"
            raise GradientError(f"custom_gradient: the rule of {name_of(f)} gives {got}")
        fitted: list[Tensor | None] = []
        for part, x in zip(parts, xs, strict=True):
            part = None if part is None else as_tensor(part, x.dtype)
            if part is not None and part.type != x.type:
                raise GradientError(
                    f"custom_gradient: the rule of {name_of(f)} gives a cotangent {part.type} of an argument {x.type}",
                    hint="a cotangent has the type of its argument: broadcast or sum it, astype it",
                )
            fitted.append(part)
        return fitted

    @functools.wraps(f)
    def made(*args: Any) -> Tensor:
        xs = [as_tensor(x) for x in args]
        return with_gradient(pair(xs)[0], *xs, rule=GradientRule(name_of(f), rule))

    return made
