"""From symbols to something that runs: compile(), and eval() of one symbol."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from graphc import passes as all_passes
from graphc.compile.compiled import Compiled, Later
from graphc.compile.declaring import declared_graph
from graphc.compile.lazy import compile_lazily
from graphc.errors import InputError, caller
from graphc.ir.graph import Graph
from graphc.ir.target import Target
from graphc.ops import Variable
from graphc.ops.declare import check_flag
from graphc.ops.tensor import Tensor

Array = np.ndarray[Any, Any]
Pass = Callable[[Graph], Graph]


def compile(
    inputs: Tensor | Sequence[Tensor],
    outputs: Any,
    updates: Mapping[Variable, Tensor] | Sequence[tuple[Variable, Tensor]] | None = None,
    *,
    name: str = "graph",
    backend: str = "llvm",
    passes: Sequence[Pass] | None = None,
    progress: bool = True,
    target: str | Target | None = None,
    lazy: bool = False,
) -> Compiled:
    """A callable that computes `outputs` from `inputs` and then writes `updates` into variables.

    inputs: placeholders, in the order of the call's arguments. outputs: a symbol, or lists, tuples and dicts of them; a call
    gives arrays in the same form. updates: variable -> symbol of the variable's type; all new values are computed before any
    is written; a variable that is read and has a `default_update` gets that one unless another is given. backend: "llvm"
    (native code), "numba" (native code by Numba's compiler, which takes longer), "interpreter" (NumPy, node by node) or "program"
    (the lowered program, statement by statement: slow). passes: graph passes instead of `gx.passes.DEFAULT`. progress: whether a
    terminal is told what compiling is at once it has taken 2 s; GRAPHC_PROGRESS=0 says no everywhere. target: the processor that
    native code is made for, by a name as "x86-64-v3" or as a graphc.ir.target.Target; by default what GRAPHC_TARGET in the
    environment names, or this machine. lazy: whether calls are answered at once, by the interpreter, while native code is made
    beside them; the first call that finds it runs it, and raises what compiling raised. What exchanges arrays with other ranks
    is compiled at once.

    Of a lazy program the bits of what is exact are the same before and after: sums, products, quotients and roots of single
    elements, comparisons, integers and random bits (one NaN is as another). Functions (exp and so on) are within 2 units in
    the last place on both sides, sums and products of matrices within the bound of pairwise summation: these may differ in last
    digits between a call before and one after. `f.answers` says which answers now, and `f.wait()` waits for native code.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float64")
    >>> f = gx.compile([x], gx.sum(x * x))
    >>> f([1.0, 2.0])
    array(5.)
    """
    chosen = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    graph = declared_graph(chosen, outputs, updates, name)
    chain = all_passes.DEFAULT if passes is None else tuple(passes)
    if check_flag("compile", "lazy", lazy):
        return compile_lazily(graph, outputs, backend, chain, target)
    return Compiled(graph, outputs, backend, chain, bool(progress), target)


def compile_later(
    graph: Later, *, backend: str = "llvm", passes: Sequence[Pass] | None = None, progress: bool = True,
    target: str | Target | None = None,
) -> Compiled:  # fmt: skip
    """The list of a graph's outputs, as `compile` makes it; the graph is made where no program of it is kept."""
    return Compiled(graph, [], backend, all_passes.DEFAULT if passes is None else tuple(passes), bool(progress), target)


def evaluate_symbol(y: Tensor, inputs: Mapping[Tensor, Any] | None = None) -> Array:
    """The value of one symbol by the interpreter; `inputs` maps placeholders to arrays."""
    given = dict(inputs or {})
    for x in given:
        if not isinstance(x, Tensor):
            raise InputError(f"eval: keys must be placeholders, got {x!r}", where=caller(), hint="y.eval({x: array})")
    run = Compiled(declared_graph(list(given), y, None, "eval", advance=False), y, "interpreter", ())
    result: Array = run(*given.values())
    return result


Tensor.eval = lambda self, inputs=None: evaluate_symbol(self, inputs)  # type: ignore[method-assign]
