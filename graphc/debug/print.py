"""Print a value of a compiled program, or of a loop in it, when it is computed."""

from __future__ import annotations

from typing import Any

from graphc.errors import InputError, caller
from graphc.ops.declare import normalize_integer
from graphc.ops.printing import printed
from graphc.ops.tensor import Tensor, as_tensor


def print(x: Any, label: str = "value", *, summarize: int = 3) -> Tensor:
    """x, which is printed to sys.stdout whenever it is computed: `y = gx.debug.print(y, "y")`.

    x: a symbol or an array of any type. label: what stands before it. summarize: how many elements at either end of each axis are
    shown of an array of more than 100; -1 shows all. Digits are those of `numpy.set_printoptions`. Gives x as a symbol; raises
    InputError for other labels and numbers.

    What is computed does not change, and gradients pass. It prints where what it gives is needed, so go on with that: a print
    that nothing reads is left out, as everything is. Two prints are two, also of one value; of two that depend on each other
    the first prints first, others print in any order, the same in every call. In a loop it prints in every step, in the branch of
    a choice where that branch runs, under `gx.vmap` the whole batch. There a branch or a step that some elements alone take
    prints in the places of the others a copy of one that takes it. What a gradient computes again does not print again, and where
    only a gradient is compiled, a value that the gradient does not read (as that of a sum) is not computed, and not printed.

    A compiled program calls Python for it, and so takes longer: `profile` and `step.program` say so.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,), "float64")
    >>> f = gx.compile([x], gx.sum(gx.debug.print(x * x, "squares")))
    >>> f([1.0, 2.0, 3.0])
    squares: f64[3] = [1. 4. 9.]
    array(14.)
    >>> total, _ = gx.scan(lambda c, v: (gx.debug.print(c + v, "sum"), None), 0.0, x)
    >>> gx.compile([x], total)([1.0, 2.0, 3.0])
    sum: f64[] = 1.
    sum: f64[] = 3.
    sum: f64[] = 6.
    array(6.)
    """
    if not isinstance(label, str):
        raise InputError(f"debug.print: the label must be a text, got {label!r}", where=caller(), hint='gx.debug.print(x, "x")')
    count = normalize_integer("debug.print", "summarize", summarize)
    if count < -1:
        raise InputError(f"debug.print: summarize cannot be {count}", where=caller(), hint="-1 shows every element")
    return printed(as_tensor(x), label, count)


