"""Graphs: immutable nodes, typed at birth, in the order of their data.

    Graph := inputs, outputs, updates (variable -> node)
    Node  := operation, inputs, attributes, type; the user's line
"""

from __future__ import annotations

import copy
import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cached_property, wraps
from itertools import count
from typing import Any, NamedTuple, NoReturn, TypeVar, get_args

import networkx as nx

from graphc.errors import InputError, UnknownNameError, Where, caller
from graphc.ir import dims
from graphc.ir.operation import Collective, Host, Input, Leaf, Operation, Variable, Whole
from graphc.ir.printing import Printed, notebook_of
from graphc.ir.types import DType, TensorType

Value = TypeVar("Value")
Made = TypeVar("Made", bound="Node")

_NEW = "symbols do not change: make another one"
_SETTING = {
    "shape": "symbols do not change: x = x.reshape(shape)", "dtype": "symbols do not change: x = x.astype(dtype)",
    "T": "symbols do not change: x = x.T",
    "name": "a name is given at birth: gx.variable(array, name=...), gx.placeholder(name, ...)",
    "grad": "gx.grad(loss, x) is a symbol of its own", "data": "w.value = new sets a variable; other symbols have no value yet",
}  # fmt: skip


class Origin(NamedTuple):
    """Where a node under construction comes from, if not from the caller's line."""

    where: Where | None
    gradient: bool
    forward: Operation | None = None
    number: int | None = None


_ORIGIN: ContextVar[Origin | None] = ContextVar("origin", default=None)


@contextmanager
def collector_at_rest() -> Iterator[None]:
    """Without Python's search for cycles, a seventh of the time of passes: they make many objects and hardly any garbage."""
    searches = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searches:
            gc.enable()


_BIRTHS: ContextVar[list[Node] | None] = ContextVar("births", default=None)


@contextmanager
def births() -> Iterator[list[Node]]:
    """The nodes that are born inside, in their order."""
    around = _BIRTHS.get()
    found: list[Node] = []
    token = _BIRTHS.set(found)
    try:
        yield found
    finally:
        _BIRTHS.reset(token)
        if around is not None:
            around += found


class origin:
    """Nodes born inside get this line, this side (forward or gradient), and the operation whose gradient they belong to.

    `number` is the place in the order of births that they take over from a node that they stand for.
    """

    __slots__ = ("given", "token")

    def __init__(
        self, where: Where | None, gradient: bool, forward: Operation | None = None, number: int | None = None
    ) -> None:  # fmt: skip
        self.given = Origin(where, gradient, forward, number)

    def __enter__(self) -> None:
        self.token = _ORIGIN.set(self.given)

    def __exit__(self, *error: object) -> None:
        _ORIGIN.reset(self.token)


def current_origin() -> Origin:
    """The origin that a node born now has."""
    return _ORIGIN.get() or Origin(caller(), False)


def newborn(kind: type[Made], op: Operation, inputs: tuple[Node, ...], attrs: Mapping[str, Any], found: TensorType) -> Made:
    """The node of an operation whose type is known, born now: of the class `kind`, whose constructor takes what Node's does."""
    made = object.__new__(kind)
    given = _ORIGIN.get()
    if given is None:
        Node.__init__(made, op, inputs, attrs, found, caller())
    else:
        Node.__init__(made, op, inputs, attrs, found, given.where, given.gradient, given.forward, given.number)
    return made


_NUMBERS = count()
_WHOLE = frozenset(get_args(Whole))  # the lowerings of nodes that may exchange something, or hold graphs that do
_set = object.__setattr__  # nodes refuse their own


class Node:
    """One value of a graph: an operation applied to inputs. Compared by identity; never changed.

    `where` is the user's line, `gradient` says whether a gradient rule made it: that of the operation `forward`.
    `number` orders nodes as the user's program made them; a node that stands for another after a change has that one's.

    Never test membership of nodes in a tuple or list: symbols have an elementwise `==`. Sets and dicts go by identity.
    """

    __slots__ = ("__weakref__", "attrs", "forward", "gradient", "inputs", "number", "op", "type", "where")

    op: Operation
    inputs: tuple[Node, ...]
    attrs: Mapping[str, Any]
    type: TensorType
    where: Where | None
    gradient: bool
    forward: Operation | None
    number: int

    def __init__(
        self, op: Operation, inputs: tuple[Node, ...], attrs: Mapping[str, Any], type: TensorType,
        where: Where | None = None, gradient: bool = False, forward: Operation | None = None, number: int | None = None,
    ) -> None:  # fmt: skip
        _set(self, "op", op)
        _set(self, "inputs", inputs)
        _set(self, "attrs", attrs)
        _set(self, "type", type)
        _set(self, "where", where)
        _set(self, "gradient", gradient)
        _set(self, "forward", forward)
        _set(self, "number", next(_NUMBERS) if number is None else number)
        born = _BIRTHS.get()
        if born is not None:
            born.append(self)

    def __setattr__(self, name: str, value: object) -> None:
        raise UnknownNameError(f"{name} of a symbol cannot be set", where=caller(), hint=_SETTING.get(name, _NEW))

    @property
    def is_leaf(self) -> bool:
        """Whether it is an input, a variable or a constant."""
        return isinstance(self.op.lowering, Leaf)

    @property
    def is_given(self) -> bool:
        """Whether its value comes from outside of the program: an input, or a variable."""
        return isinstance(self.op.lowering, Input | Variable)

    @property
    def is_variable(self) -> bool:
        return isinstance(self.op.lowering, Variable)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        """The same operation on other inputs; typed again if their types are others."""
        alike = True
        for a, b in zip(inputs, self.inputs, strict=True):
            if a is not b:
                alike = False
                break
        if alike:
            return self
        for a, b in zip(inputs, self.inputs, strict=True):
            if a.type is not b.type and a.type != b.type:
                break
        else:
            return type(self)(self.op, inputs, self.attrs, self.type, self.where, self.gradient, self.forward, self.number)
        with origin(self.where, self.gradient, self.forward, self.number):
            new: Node = self.op(*inputs, **self.attrs)
        return new


class Graph(Printed):
    """A computation: what goes in, what comes out, which variables change."""

    def __init__(
        self, inputs: Iterable[Node], outputs: Iterable[Node], updates: Iterable[tuple[Node, Node]] = (), name: str = "graph",
        order: Iterable[Node] | None = None,
    ) -> None:  # fmt: skip
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.updates = tuple(updates)
        self.name = name
        self._order = order  # of what the roots need, if that is known

    @property
    def roots(self) -> tuple[Node, ...]:
        """All that must be computed: outputs, then new values of variables."""
        return self.outputs + tuple(value for _, value in self.updates)

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node, inputs first, each after its inputs; collectives in their order."""
        order = topological(self.roots) if self._order is None else tuple(self._order)
        whole = [node for node in order if type(node.op.lowering) in _WHOLE]
        numbered = [(number, node) for node in whole if (number := order_of(node)) is not None]
        if numbered:  # in the order of their numbers, unless one is made of another: on all ranks alike
            numbered.sort(key=lambda pair: pair[0])
            order = topological((*(node for _, node in numbered), *order))
        return tuple(dict.fromkeys((*self.inputs, *order, *(variable for variable, _ in self.updates))))

    @cached_property
    def ordered(self) -> tuple[Node, ...]:
        """The collectives, and the loops and choices that hold some, in the order in which they run."""
        return tuple(node for node in self.nodes if type(node.op.lowering) in _WHOLE and order_of(node) is not None)

    @cached_property
    def holders(self) -> tuple[Node, ...]:
        """The nodes that have graphs among their attributes."""
        return tuple(node for node in self.nodes if node.attrs and _holds_graphs(node))

    @property
    def holds_graphs(self) -> bool:
        """Whether a node of it has graphs among its attributes."""
        return bool(self.holders)

    @cached_property
    def variables(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if n.is_variable)

    @cached_property
    def dims(self) -> frozenset[str]:
        """The names of the symbolic dimensions."""
        return frozenset().union(*(dims.names(*n.type.shape) for n in self.nodes))

    def users(self) -> dict[Node, list[Node]]:
        """For every node, the nodes that read it, one entry a use."""
        users: dict[Node, list[Node]] = {n: [] for n in self.nodes}
        for node in self.nodes:
            for given in node.inputs:
                users[given].append(node)
        return users

    def replaced(self, new: Mapping[Node, Node]) -> Graph:
        """The graph with its roots looked up in `new`."""
        return Graph(
            self.inputs, (new[n] for n in self.outputs), ((v, new[n]) for v, n in self.updates), self.name
        )  # fmt: skip

    def __copy__(self) -> Graph:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Graph:
        """The graph over copies of its variables; itself where it has none."""
        inputs, outputs, updates = copy.deepcopy((self.inputs, self.outputs, self.updates), memo)
        same = inputs is self.inputs and outputs is self.outputs and updates is self.updates
        return self if same else Graph(inputs, outputs, updates, self.name)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise InputError(
            f"pickle of graph {self.name} is not possible", where=caller(),
            hint="str(graph) is a text, and gx.ir.parse reads it; gx.save(path, variables) writes their values",
        )  # fmt: skip

    def to_networkx(self) -> nx.MultiDiGraph:
        """A networkx graph: one node each, keyed by position; edges carry the operand's number and type."""
        place = {node: i for i, node in enumerate(self.nodes)}
        result = nx.MultiDiGraph(name=self.name)
        for node, i in place.items():
            result.add_node(i, op=node.op.name, type=str(node.type), gradient=node.gradient, attrs=dict(node.attrs))
        for node, i in place.items():
            for operand, given in enumerate(node.inputs):
                result.add_edge(place[given], i, operand=operand, type=str(given.type))
        return result

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        return notebook_of(self)


def topological(roots: Iterable[Node]) -> list[Node]:
    """Every node that the roots need, each after its inputs; the order is that of a depth-first walk."""
    order: dict[Node, None] = {}
    todo = list(roots)
    todo.reverse()
    while todo:
        node = todo[-1]
        if node not in order:
            waiting = [given for given in node.inputs if given not in order]
            if waiting:
                waiting.reverse()
                todo += waiting
                continue
            order[node] = None
        todo.pop()
    return list(order)


def subgraphs(node: Node, names: Iterable[str] | None = None) -> Iterator[Graph]:
    """The graphs among a node's attributes, in their order or in that of some names."""
    for value in node.attrs.values() if names is None else map(node.attrs.__getitem__, names):
        if isinstance(value, Graph):
            yield value
        elif isinstance(value, tuple):
            for part in value:
                if isinstance(part, Graph):
                    yield part


def _holds_graphs(node: Node) -> bool:
    """Whether `subgraphs` gives any; asked of every node of every graph, so it looks at types alone."""
    for value in node.attrs.values():  # noqa: SIM110 (a generator takes longer)
        if type(value) is Graph or (isinstance(value, tuple) and Graph in map(type, value)):
            return True
    return False


def order_of(node: Node) -> int | None:
    """The number of a collective, or of the first one within a loop or a choice; None for all others."""
    if isinstance(node.op.lowering, Collective):
        return node.attrs["order"]  # type: ignore[no-any-return]
    found = [order_of(graph.ordered[0]) for graph in subgraphs(node) if graph.ordered]
    return min((number for number in found if number is not None), default=None)


def has_effect(node: Node) -> bool:
    """Whether a node is there for what else it does: its value is its operand's."""
    return isinstance(node.op.lowering, Host) and node.op.lowering.effect


def nested(change: Callable[[Graph], Graph]) -> Callable[[Graph], Graph]:
    """A pass that changes the graphs inside a graph, innermost first, and then the graph."""

    @wraps(change)
    def whole(graph: Graph) -> Graph:
        return change(within(graph, whole))

    return whole


def within(graph: Graph, change: Callable[[Graph], Graph]) -> Graph:
    """The graph with `change` applied to the graphs among its nodes' attributes."""
    if not graph.holds_graphs:
        return graph

    def inside(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(inside, value))
        return change(value) if isinstance(value, Graph) else value

    def changed(node: Node) -> Node:
        if not _holds_graphs(node):
            return node
        attrs = {key: inside(value) for key, value in node.attrs.items()}
        return type(node)(node.op, node.inputs, attrs, node.type, node.where, node.gradient, node.forward, node.number)

    return rebuild(graph, changed)


def without_effects(graph: Graph) -> Graph:
    """The graph without nodes that are there for what else they do, inside loops too: for what is computed again."""
    if not any(has_effect(n) or _holds_graphs(n) for n in graph.nodes):
        return graph
    return rebuild(within(graph, without_effects), lambda node: node.inputs[0] if has_effect(node) else node)


def substitute(
    roots: Iterable[Node], new: dict[Node, Value], change: Callable[[Node, tuple[Value, ...]], Value],
    instead: Callable[[Node], Value | None] | None = None,
) -> list[Value]:  # fmt: skip
    """What the roots become where nodes become what `new` says: every walk that makes nodes of nodes is this one.

    `change` makes of a node and of what its inputs have become what it becomes itself (`on_inputs`: the same operation).
    `instead` may say so before its inputs are looked at. What each node on the way has become is noted in `new`.
    """
    wanted = tuple(roots)
    todo = list(reversed(wanted))
    while todo:
        node = todo[-1]
        if node not in new:
            found = None if instead is None else instead(node)
            if found is None:
                waiting = [i for i in node.inputs if i not in new]
                if waiting:
                    todo += reversed(waiting)
                    continue
                found = change(node, tuple(map(new.__getitem__, node.inputs)))
            new[node] = found
        todo.pop()
    return [new[root] for root in wanted]


def on_inputs(node: Node, inputs: tuple[Node, ...]) -> Node:
    """The same operation on other inputs."""
    return node.with_inputs(inputs) if inputs else node


def rebuild(graph: Graph, change: Callable[[Node], Node]) -> Graph:
    """The graph with `change` applied to every node after its inputs were changed; the same one where nothing is."""
    new: dict[Node, Node] = {}
    same = True
    for node in graph.nodes:  # each after its inputs
        given = node
        for i in node.inputs:
            if new[i] is not i:
                given = node.with_inputs(tuple([new[j] for j in node.inputs]))
                break
        new[node] = made = change(given)
        same = same and made is node
    return graph if same else graph.replaced(new)


__all__ = [
    "DType", "Graph", "Node", "Operation", "Origin", "births", "collector_at_rest", "current_origin", "has_effect", "nested",
    "newborn", "on_inputs", "order_of", "origin", "rebuild", "subgraphs", "substitute", "topological", "within",
    "without_effects",
]  # fmt: skip
