"""Which graphs within a graph have plans: the bodies of loops and choices, and the graphs that Python calls.

    scan, while, switch                a body each, whose carries are written in place, as variables are
    others; and these, where a body    its graphs as they are: each becomes a program of its own, which Python runs
    needs Python

A plan holds those of the graphs within its nodes (`Plan.within`), in the order of `bodies_of`.
"""

from __future__ import annotations

from graphc.ir.graph import Graph, Node, subgraphs
from graphc.ir.lanes import lanes_of
from graphc.ir.loops import loop_of
from graphc.ir.operation import Collective, Whole

DEPTH = 8  # the deepest nesting of steps in steps


def needs_python(node: Node) -> bool:
    """Whether a node of whole arrays is computed by Python: a routine, or a loop or choice with such a node in a body.

    A routine that has a kernel of lanes is not; with a guard it is, which is Python's. What ranks compute together is native, and
    no part of a kernel: a loop around it runs as a program of steps, and so does one around that. Choices, and loops whose end is
    data, are kernels, or Python's.
    """
    todo: list[tuple[Node, int | None]] = [(node, 0)]  # with how many loops are around; None within what is a kernel
    while todo:
        whole, around = todo.pop()
        loop = loop_of(whole)
        if loop is None:
            lanes = lanes_of(whole)
            native = around is not None and around <= DEPTH if isinstance(whole.op.lowering, Collective) else lanes is not None
            if not native or (lanes is not None and lanes.guard is not None):
                return True
            continue
        inner = None if loop.steps is None or around is None else around + 1
        todo += [(n, inner) for body in loop.graphs for n in body.nodes if isinstance(n.op.lowering, Whole)]
    return False


def bodies_of(node: Node) -> tuple[Graph, ...]:
    """The graphs of a node, as they are planned; of a while loop the test first."""
    loop = loop_of(node)
    if loop is None or needs_python(node):
        return tuple(subgraphs(node, sorted(node.attrs)))  # in the order in which the node calls them
    bodies = tuple(_updating(body, loop.carries) for body in loop.bodies)
    return bodies if loop.test is None else (_updating(loop.test, 0), *bodies)


def _updating(body: Graph, carries: int) -> Graph:
    """A body that updates its first inputs by its first results."""
    updates = [(old, new) for old, new in zip(body.inputs[:carries], body.outputs, strict=False) if old is not new]
    return Graph(body.inputs, body.outputs[carries:], updates, body.name)
