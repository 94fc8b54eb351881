"""A backend of one's own: NumPy, node by node, which writes down what it did and how long it took."""

from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

import graphc as gx
from graphc.extend import Graph, Node, evaluate, reference

TRACE: list[tuple[str, float]] = []


def build(graph: Graph) -> Callable[..., Sequence[np.ndarray]]:
    """What runs a graph: a function from its inputs to its outputs, then the new values of its variables."""

    def apply(node: Node, operands: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
        start = perf_counter()
        value = reference(node, operands, attrs)  # or what another library makes of node.op.name
        TRACE.append((node.op.name, perf_counter() - start))
        return value

    return lambda arrays, sizes: evaluate(graph, arrays, sizes, apply)


def main(backend: str = "tracing") -> list[str]:
    """The operations that ran, in their order."""
    gx.register_backend("tracing", build)
    x = gx.placeholder("x", ("n",), "float64")
    count = gx.variable(0, name="count")
    f = gx.compile([x], gx.sum(gx.exp(x) * 2), updates={count: count + 1}, backend=backend)
    TRACE.clear()
    print(f([0.0, 1.0]), count.value, *(f"{name} {1e6 * seconds:.0f} µs" for name, seconds in TRACE))
    return [name for name, _ in TRACE]


if __name__ == "__main__":
    main()
