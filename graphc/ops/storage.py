"""Functions of several operations on floats of 16 bits, rounded once."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec

import numpy as np

from graphc.ir import types as t
from graphc.ops.arithmetic import astype
from graphc.ops.declare import check_function
from graphc.ops.tensor import Tensor, as_tensor

P = ParamSpec("P")


def in_float32(function: Callable[P, Tensor]) -> Callable[P, Tensor]:
    """The function with float16 and bfloat16 operands computed in float32, and its result rounded once.

    Operations do so each by itself; a function made of several rounds between them unless it is wrapped. The result has the
    operands' type if all floats among them are of one; other operands promote.

    >>> import graphc as gx
    >>> import numpy as np
    >>> @gx.in_float32
    ... def length(x):
    ...     return gx.sqrt(gx.sum(x * x))
    >>> length(gx.constant(np.array([300, 400], "float16"))).eval()  # 300 * 300 is more than a float16 holds
    array(500., dtype=float16)
    """

    def wide(x: Any) -> Any:
        return astype(x, x.dtype.arithmetic) if isinstance(x, Tensor) else x

    check_function("in_float32", "what it wraps", function)

    @wraps(function)
    def rounded(*args: P.args, **kwargs: P.kwargs) -> Tensor:
        known: Any = [as_tensor(a) if isinstance(a, np.ndarray) else a for a in args]
        named: Any = {key: as_tensor(a) if isinstance(a, np.ndarray) else a for key, a in kwargs.items()}
        floats = {x.dtype for x in (*known, *named.values()) if isinstance(x, Tensor) and x.dtype.is_float}
        if not any(dtype.is_storage for dtype in floats):
            return function(*args, **kwargs)
        result = as_tensor(function(*map(wide, known), **{key: wide(a) for key, a in named.items()}))
        return astype(result, floats.pop()) if len(floats) == 1 and result.dtype == t.float32 else result

    return rounded
