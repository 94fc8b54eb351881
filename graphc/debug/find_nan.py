"""The first operation whose result is not finite.

The graph as it was declared is run by the interpreter, node by node, the bodies of loops and choices too. An operation is where
trouble begins if its result is not finite though all that it read was, or if it makes a NaN of infinities. Among several those
come first that an output or an update goes back to, then the one that the user's program made first; in a loop, the first step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.backends.interpreter import Body, evaluate, leaf_value, reference
from graphc.compile import Compiled
from graphc.errors import InputError, Where, caller
from graphc.ir import types as t
from graphc.ir.graph import Graph, Node
from graphc.ir.names import written
from graphc.ir.operation import Scan, Switch
from graphc.ir.text import names_of
from graphc.ir.types import TensorType

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Range:
    """What a value holds.

    name            in the text of the graph, without its %
    type            with the sizes of this call
    low, high       of its finite elements; None where there are none, and for booleans
    nans, infs      how many elements are NaN, and how many are infinite
    """

    name: str
    type: TensorType
    low: float | None
    high: float | None
    nans: int = 0
    infs: int = 0

    @property
    def finite(self) -> bool:
        return not (self.nans or self.infs)

    def __str__(self) -> str:
        told = [f"{n} {word}" for n, word in ((self.nans, "NaN"), (self.infs, "infinite")) if n]
        if self.low is not None:
            span = f"{self.low:.6g}" if self.low == self.high else f"{self.low:.6g} to {self.high:.6g}"
            told.append(f"the others {span}" if told else span)
        return f"{written(self.name)}: {self.type}{', ' if told else ''}{', '.join(told)}"


@dataclass(frozen=True)
class NotFinite:
    """Where a computation stops being finite; prints as text.

    given        inputs and variables that are not finite already
    operation    the name of the first operation whose result is not finite; "" if all begins with what was given
    where        the user's line of it
    result       what it made (of several results the first that is not finite)
    reads        what it read
    gradient     whether a gradient rule made it: then `forward` names the operation whose gradient it belongs to, of that line
    loops        the loops and choices around it from the outermost, each with its step or branch, such as "step 3 of scan"
    reached      whether an output or an update is not finite because of it; if not, something after it hides it, as `where` does
    number       the operation's place in the order in which the user's program made the graph's nodes (`Node.number`)
    """

    given: tuple[Range, ...]
    operation: str = ""
    where: Where | None = None
    result: Range | None = None
    reads: tuple[Range, ...] = ()
    gradient: bool = False
    forward: str = ""
    loops: tuple[str, ...] = ()
    reached: bool = True
    number: int | None = None

    def __str__(self) -> str:
        lines = [f"given and not finite: {range_}" for range_ in self.given]
        if self.operation:
            lines.append(f"{self.operation} gives {self.result}")
            if self.where is not None:
                lines.append(f"  {self.where}")
            if self.gradient:
                lines.append(f"  in the gradient of {self.forward}, which is on that line")
            lines += [f"  in {place}" for place in reversed(self.loops)]
            lines += [f"  it reads {range_}" for range_ in self.reads]
            if not self.reached:
                lines.append("  no output and no update is other than finite because of it")
        return "\n".join(lines)


def find_nan(compiled: Compiled, *args: Any, **named: Any) -> NotFinite | None:
    """The first operation of a compiled program whose result is not finite for these arguments, though what it read was.

    compiled: what `gx.compile` gives. The arguments are those of a call. The graph as it was declared is interpreted, so this
    takes as long as NumPy does; variables keep their values. Infinities among constants are no trouble, but a NaN made of them
    is. None if all is finite.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,), "float64")
    >>> f = gx.compile([x], gx.sum(gx.sqrt(x - 1)))
    >>> found = gx.debug.find_nan(f, [1.0, 2.0, 0.5])
    >>> found.operation, found.result.nans, [(r.low, r.high) for r in found.reads]
    ('sqrt', 1, [(-0.5, 1.0)])
    >>> gx.debug.find_nan(f, [1.0, 2.0, 3.0]) is None
    True
    """
    if not isinstance(compiled, Compiled):
        raise InputError(
            f"debug.find_nan needs what gx.compile gives, got {type(compiled).__name__}", where=caller(),
            hint="gx.debug.find_nan(step, *arguments)",
        )  # fmt: skip
    return compiled.look(_search, *args, **named)


def _search(graph: Graph, arrays: Sequence[Array], sizes: Mapping[str, int]) -> NotFinite | None:
    names = names_of(graph)
    inputs = dict(zip(graph.inputs, arrays, strict=True))
    leaves = [(n, leaf_value(n, inputs)) for n in graph.nodes if n.is_given]
    given = tuple(_range(names[n], value) for n, value in leaves if not _is_finite(value))
    run = _Run(graph, sizes)
    run(inputs)
    first = run.first()
    if first is None:
        return NotFinite(given) if given else None
    return NotFinite(given, **first.told)


@dataclass(frozen=True)
class _Event:
    """An operation where trouble begins, and what is told of it."""

    number: int
    told: dict[str, Any]


class _Run:
    """One run of a graph: what is not finite in it, and where that begins."""

    def __init__(self, graph: Graph, sizes: Mapping[str, int]) -> None:
        self.graph, self.sizes = graph, sizes
        self.names = names_of(graph)
        self.bad: dict[Node, bool] = {}  # nodes that are not finite, and whether they have NaN
        self.events: dict[Node, _Event] = {}
        self.hidden: list[_Event] = []  # of loops whose results are finite all the same

    def __call__(self, inputs: Mapping[Node, Array]) -> list[Array]:
        for node in self.graph.nodes:
            if node.is_leaf:
                self._look(node, (), leaf_value(node, inputs), [])
        outputs, _ = evaluate(self.graph, inputs, self.sizes, apply=self._apply)
        return outputs

    def first(self) -> _Event | None:
        """The event that is to be told: one that a result goes back to, if there is one."""
        seen: set[Node] = set()
        todo = [node for node in self.graph.roots if node in self.bad]
        while todo:
            node = todo.pop()
            if node not in seen:
                seen.add(node)
                todo += [given for given in node.inputs if given in self.bad]
        reached = [event for node, event in self.events.items() if node in seen and event.told["reached"]]
        if reached:
            return min(reached, key=lambda event: event.number)
        others = [*self.events.values(), *self.hidden]
        if not others:
            return None
        event = min(others, key=lambda event: event.number)
        return _Event(event.number, {**event.told, "reached": False})

    def _apply(self, node: Node, operands: Sequence[Any], attrs: Mapping[str, Any]) -> Any:
        watched = {key: _each(value, _Watched) for key, value in attrs.items()}
        value = reference(node, operands, watched)
        self._look(node, operands, value, _inner(node, watched))
        return value

    def _look(self, node: Node, operands: Sequence[Any], value: Any, inner: Sequence[_Event]) -> None:
        """Note what a node made, and whether trouble begins here."""
        bad = [part for part in (value if isinstance(value, tuple) else (value,)) if not _is_finite(part)]
        if bad:
            self.bad[node] = any(np.isnan(part).any() for part in bad)
        if not bad or not self._begins(node):
            self.hidden += inner[:1]
        elif inner:
            self.events[node] = inner[0]
        else:
            self.events[node] = _Event(node.number, self._told(node, operands, bad[0]))

    def _begins(self, node: Node) -> bool:
        """Whether what is not finite here comes from here: not an infinity among constants, nor what was given to the graph."""
        if node.is_given:
            return False
        read = [given for given in node.inputs if given in self.bad]
        if read or not node.inputs:
            return self.bad[node] and not any(self.bad[given] for given in read)
        return True

    def _told(self, node: Node, operands: Sequence[Any], value: Array) -> dict[str, Any]:
        reads = [
            _range(self.names[given], part) for given, x in zip(node.inputs, operands, strict=True)
            for part in (x if isinstance(x, tuple) else (x,))
        ]  # fmt: skip
        return {
            "operation": node.op.name, "where": node.where, "result": _range(self.names[node], value), "reads": tuple(reads),
            "gradient": node.gradient, "forward": "" if node.forward is None else node.forward.name, "loops": (), "reached": True,
            "number": node.number,
        }  # fmt: skip


class _Watched:
    """The graph of a loop or a choice as the interpreter calls it; every run of it is searched."""

    def __init__(self, body: Body) -> None:
        self.graph, self.sizes, self.nothing = body.graph, body.sizes, body.nothing
        self.runs = 0
        self.found: tuple[int, _Event] | None = None  # the first event that reaches a result, or the first; and its run

    def __call__(self, *arrays: Array, **more: int) -> list[Array]:
        run = _Run(self.graph, {**self.sizes, **more})
        outputs = run(dict(zip(self.graph.inputs, arrays, strict=True)))
        event = run.first()
        if event is not None and (self.found is None or (event.told["reached"] and not self.found[1].told["reached"])):
            self.found = self.runs, event
        self.runs += 1
        return outputs


def _each(value: Any, change: Callable[[Body], Any]) -> Any:
    if isinstance(value, tuple):
        return tuple(_each(part, change) for part in value)
    return change(value) if isinstance(value, Body) else value


def _inner(node: Node, attrs: Mapping[str, Any]) -> list[_Event]:
    """What was found inside a loop or a choice: what reached its results first, then by steps."""
    found = []
    for key, value in attrs.items():
        for branch, body in enumerate(value if isinstance(value, tuple) else (value,)):
            if isinstance(body, _Watched) and body.found is not None:
                at, event = body.found
                place = _place(node, attrs, key, at, branch)
                told = {**event.told, "loops": (place, *event.told["loops"])}
                found.append((not event.told["reached"], at, _Event(node.number, told)))
    return [event for *_, event in sorted(found, key=lambda entry: entry[:2])]


def _place(node: Node, attrs: Mapping[str, Any], key: str, at: int, branch: int) -> str:
    """A step or a branch in words."""
    line = "" if node.where is None else f"   {node.where}"
    match node.op.lowering:
        case Switch():
            return f"branch {branch} of {node.op.name}{line}"
        case Scan():
            at = attrs["steps"] - 1 - at if attrs["reverse"] else at
    what = "the condition before step" if key == "test" else "step"
    return f"{what} {at} of {'the gradient of ' if node.gradient else ''}{node.op.name}{line}"


def _is_finite(value: Array) -> bool:
    return not t.as_dtype(value.dtype).is_float or bool(np.isfinite(value).all())


def _range(name: str, value: Array) -> Range:
    kind = TensorType(t.as_dtype(value.dtype), value.shape)
    if not kind.dtype.is_float:
        known = value.size > 0 and not kind.dtype.is_bool
        return Range(name, kind, *((int(value.min()), int(value.max())) if known else (None, None)))
    finite = value[np.isfinite(value)].astype(np.float64)
    low, high = (float(np.min(finite)), float(np.max(finite))) if finite.size else (None, None)
    return Range(name, kind, low, high, int(np.isnan(value).sum()), int(np.isinf(value).sum()))
