"""Check that a graph is one: what every pass relies on, and must leave behind.

    1. no node needs itself; every operation is in the vocabulary and has as many inputs as it takes
    2. every node has the type that its operation's rule gives it; sizes are not negative
    3. attributes are named by strings and can be hashed
    4. inputs are distinct input leaves, and every input leaf that is reached is one of them
    5. every update pairs a variable, once, with a value of the variable's type
"""

from __future__ import annotations

from graphc.errors import GraphError
from graphc.ir.graph import Graph, Node, subgraphs
from graphc.ir.operation import VOCABULARY, Input
from graphc.ir.text import names_of, print_node


def verify(graph: Graph) -> Graph:
    """The graph itself, if it is sound; else GraphError with the text of the node that is not.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,))
    >>> print(verify(gx.ir.Graph([x], [gx.exp(x)])).outputs)
    (<Tensor exp: f32[3]>,)
    """
    _check_order(graph)
    for node in graph.nodes:
        _check_node(graph, node)
        for inner in subgraphs(node):
            verify(inner)
    _check_inputs(graph)
    _check_updates(graph)
    return graph


def _error(graph: Graph, node: Node, what: str) -> GraphError:
    name = names_of(graph)
    return GraphError(f"verify: {what}\n  {print_node(node, name)}", where=node.where)


def _check_order(graph: Graph) -> None:
    """A walk that meets a node while the node's own inputs are still open has found a circle."""
    closed: set[Node] = set()
    open_: set[Node] = set()
    todo = [*graph.inputs, *graph.roots, *(v for v, _ in graph.updates)]
    while todo:
        node = todo[-1]
        if node in closed or node in open_:
            todo.pop()
            open_.discard(node)
            closed.add(node)
            continue
        open_.add(node)
        for given in node.inputs:
            if given in open_:
                what = f"{node.op.name}: {node.type} and {given.op.name}: {given.type}"
                raise GraphError(f"verify: {what} need each other", where=node.where)
            if given not in closed:
                todo.append(given)


def _check_node(graph: Graph, node: Node) -> None:
    op = node.op
    if VOCABULARY.get(op.name) is not op:
        raise _error(graph, node, f"{op.name} is not in the vocabulary")
    if op.arity is not None and op.arity != len(node.inputs):
        raise _error(graph, node, f"{op.name} takes {op.arity} inputs, has {len(node.inputs)}")
    for key, value in node.attrs.items():
        try:
            hash(value)
        except TypeError:
            raise _error(graph, node, f"attribute {key} of {op.name} cannot be hashed: {type(value).__name__}") from None
        if not isinstance(key, str):
            raise _error(graph, node, f"attribute {key!r} of {op.name} is not named by a string")
    try:
        found = op.infer(*(i.type for i in node.inputs), **node.attrs)
    except (GraphError, TypeError) as error:
        raise _error(graph, node, f"{op.name} cannot be typed: {getattr(error, 'message', error)}") from None
    if found != node.type:
        raise _error(graph, node, f"{op.name} gives {found}, the node says {node.type}")
    if any(isinstance(n, int) and n < 0 for n in node.type.shape):
        raise _error(graph, node, f"{op.name} has a negative size: {node.type}")


def _check_inputs(graph: Graph) -> None:
    given = set(graph.inputs)
    if len(given) != len(graph.inputs):
        raise GraphError(f"verify: an input of {graph.name} is listed twice")
    for node in graph.nodes:
        is_input = isinstance(node.op.lowering, Input)
        if node in given and not is_input:
            raise _error(graph, node, f"an input of {graph.name} is no placeholder")
        if is_input and node not in given:
            raise _error(graph, node, f"placeholder {node.attrs['name']!r} is not among the inputs of {graph.name}")


def _check_updates(graph: Graph) -> None:
    seen: set[Node] = set()
    for variable, value in graph.updates:
        if not variable.is_variable:
            raise _error(graph, variable, "what is updated is no variable")
        if variable in seen:
            raise _error(graph, variable, "a variable is updated twice")
        seen.add(variable)
        if value.type != variable.type:
            raise _error(graph, value, f"the update of {variable.attrs['name']}: {variable.type} is {value.type}")
