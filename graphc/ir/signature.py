"""The signature of a program: all that whoever calls it has to know, and nothing of how it computes.

    input %x: f32[batch, 784]                      a call gives an array of this type
    size batch: axis 0 of %x is batch              what a symbolic size is: the number that makes it so
    require batch >= 1, "max of an empty axis"     else the call is refused, before anything runs
    variable %w: f32[784] from "dense.w"           state; its first value is the array of that name among those that are saved
    update %w = %w.next                            their memories change places when the call has ended
    return %3, %3                                  results; a buffer that stands twice is given twice

These lines stand at the head and at the end of a program's text. A runtime without Python needs no more to check a call, to
bind its sizes and to keep its state. The state of random numbers is a variable too: an integer that the program counts on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from graphc.errors import ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, subgraphs
from graphc.ir.names import collected
from graphc.ir.operation import Requirement, Sized
from graphc.ir.text import names_of
from graphc.ir.types import TensorType


@dataclass(frozen=True)
class Argument:
    """An input or an output: its buffer, and its type."""

    name: str
    type: TensorType


@dataclass(frozen=True)
class State:
    """A variable: its buffer, its type, and what its first value is called among the arrays that `gx.save` writes."""

    name: str
    type: TensorType
    initial: str


@dataclass(frozen=True)
class SizeRule:
    """`name` is the whole number, 0 or more, for which `size` is that of an axis of an input.

    `size` is linear in the name. Other names in it come from other rules; where they make its factor 0, the rule tells nothing.
    """

    name: str
    input: str
    axis: int
    size: Size

    def solved(self, extent: int, known: Mapping[str, int]) -> int | None:
        """The number for an axis of so many elements, if there is one.

        >>> SizeRule("n", "x", 0, dims.dim("2*n+1")).solved(9, {})
        4
        """
        offset = dims.evaluate(self.size, {**known, self.name: 0})
        factor = dims.evaluate(self.size, {**known, self.name: 1}) - offset
        if factor == 0 or (extent - offset) % factor or (extent - offset) // factor < 0:
            return None
        return (extent - offset) // factor


@dataclass(frozen=True)
class Signature:
    """What a program is given, gives and keeps.

    sizes           how symbolic sizes follow from those of the inputs; a program within another has none: it is told
    requirements    what sizes must fulfil beside what the inputs' types say
    updates         (variable, buffer of its new value); once buffers are planned the two memories change places. In a program
                    of steps, carries stand where variables do
    """

    inputs: tuple[Argument, ...] = ()
    outputs: tuple[Argument, ...] = ()
    variables: tuple[State, ...] = ()
    sizes: tuple[SizeRule, ...] = ()
    requirements: tuple[Requirement, ...] = ()
    updates: tuple[tuple[str, str], ...] = ()

    def solve(self, shapes: Sequence[Sequence[int]]) -> dict[str, int]:
        """The symbolic sizes for inputs of these shapes, as far as the rules tell them.

        >>> import graphc as gx
        >>> x = Argument("x", gx.placeholder("x", ("2*n", "n+m")).type)
        >>> Signature((x,), sizes=size_rules([x])).solve([(8, 7)])
        {'n': 4, 'm': 3}
        """
        given = {x.name: shape for x, shape in zip(self.inputs, shapes, strict=True)}
        known: dict[str, int] = {}
        while True:
            before = len(known)
            for rule in self.sizes:
                if rule.name not in known and dims.names(rule.size) - known.keys() == {rule.name}:
                    found = rule.solved(given[rule.input][rule.axis], known)
                    if found is not None:
                        known[rule.name] = found
            if len(known) == before:
                return known

    def bind(self, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
        """The symbolic sizes for inputs of these shapes; ShapeError where they do not fit the types and the requirements."""
        for x, shape in zip(self.inputs, shapes, strict=True):
            if len(shape) != x.type.rank:
                raise ShapeError(
                    f"input {x.name} needs {x.type}, got an array of shape {list(shape)}", where=caller(),
                    hint=f"it must have {x.type.rank} axes, not {len(shape)}",
                )  # fmt: skip
        sizes = self.solve(shapes)
        told_by: dict[str, str] = {}
        for x, shape in zip(self.inputs, shapes, strict=True):
            for axis in range(len(shape)):
                self._check_axis(x, shape, axis, sizes, told_by)
                for name in dims.names(x.type.shape[axis]):
                    told_by.setdefault(name, f"{axis} of {x.name}")
        for rule in self.sizes:
            told_by.setdefault(rule.name, f"{rule.axis} of {rule.input}")
        for r in self.requirements:
            left, right = dims.evaluate(r.left, sizes), dims.evaluate(r.right, sizes)
            if not (left == right if r.relation == "==" else left >= right):
                named = sorted(dims.names(r.left, r.right))
                bound = ", ".join(f"{d} = {sizes[d]}" for d in named)
                raise ShapeError(
                    f"{r.message}: {left} is {'not' if r.relation == '==' else 'less than'} {right} where {bound}",
                    where=r.where,
                    hint="; ".join(f"{d} is axis {told_by[d]}" for d in named if d in told_by),
                )
        return sizes

    def _check_axis(
        self, x: Argument, shape: Sequence[int], axis: int, sizes: Mapping[str, int], told_by: Mapping[str, str]
    ) -> None:  # fmt: skip
        size = x.type.shape[axis]
        expected = None if dims.names(size) - sizes.keys() else dims.evaluate(size, sizes)
        if expected == shape[axis]:
            return
        reason = f"{size} is {expected}" if isinstance(size, dims.Dim) and expected is not None else f"it must be {size}"
        first = "".join(f" by axis {told_by[d]}" for d in sorted(dims.names(size)) if d in told_by)
        if isinstance(size, int):
            hint = "the size of this axis is fixed"
        elif first:
            hint = "arguments that share a dimension's name need sizes that agree"
        else:
            hint = f"no size of 0 or more makes {size} that"
        raise ShapeError(
            f"input {x.name} needs {x.type}, got an array of shape {list(shape)}: axis {axis} is {shape[axis]}, "
            f"but {reason}{first}", where=caller(), hint=hint,
        )  # fmt: skip


NOTHING = Signature()


def size_rules(inputs: Iterable[Argument]) -> tuple[SizeRule, ...]:
    """The rules by which the sizes of inputs tell their names, in an order in which one goes after the other.

    A name whose factor may be 0 has a rule for each axis that could tell it; others have one.

    >>> import graphc as gx
    >>> x = Argument("x", gx.placeholder("x", ("n+m", "m")).type)
    >>> [(rule.name, rule.axis) for rule in size_rules([x])]
    [('m', 1), ('n', 0)]
    """
    axes = list(dict.fromkeys((x.name, axis, size) for x in inputs for axis, size in enumerate(x.type.shape)))
    rules: list[SizeRule] = []
    known: set[str] = set()
    while True:
        found = False
        uncertain: list[SizeRule] = []
        for name, axis, size in axes:
            unknown = sorted(dims.names(size) - known)
            if len(unknown) != 1 or not is_linear(size, unknown[0]):
                continue
            rule = SizeRule(unknown[0], name, axis, size)
            if isinstance(_factor(size, rule.name), int):
                rules.append(rule)
                known.add(rule.name)
                found = True
            else:
                uncertain.append(rule)
        if found:
            continue
        if not uncertain:
            return tuple(rules)
        for name in dict.fromkeys(rule.name for rule in uncertain):
            rules += [SizeRule(name, *where) for where in axes if name in dims.names(where[2]) and is_linear(where[2], name)]
            known.add(name)


def _factor(size: Size, name: str) -> Size:
    return dims.sub(dims.substitute(size, {name: 1}), dims.substitute(size, {name: 0}))


def is_linear(size: Size, name: str) -> bool:
    """Whether a size is a line in one of its names, whatever the others are."""
    if isinstance(size, int):
        return False
    for monomial, _ in size.terms:
        inside = [atom for atom in monomial if not isinstance(atom, str)]
        if monomial.count(name) > 1 or any(name in dims.names(dims.as_written(atom)) for atom in inside):
            return False
    return True


def signature_of(graph: Graph, declared: Graph | None = None) -> Signature:
    """The signature of a graph that passes have made of a declared one: its sizes and requirements are still asked for."""
    declared = declared or graph
    names = names_of(graph)
    saved = {v: name for name, v in collected(declared.variables).items()}
    inputs = tuple(Argument(names[n], n.type) for n in graph.inputs)
    first = [Argument(x.name, n.type) for x, n in zip(inputs, declared.inputs, strict=True)]
    return Signature(
        inputs, tuple(Argument(names[n], n.type) for n in graph.outputs),
        tuple(State(names[v], v.type, saved.get(v, names[v])) for v in graph.variables),
        size_rules([*first, *inputs]), requirements_of(declared), tuple((names[v], names[n]) for v, n in graph.updates),
    )  # fmt: skip


def requirements_of(graph: Graph) -> tuple[Requirement, ...]:
    """What sizes must fulfil, as far as it is not known already: in loops and choices too, whether they run or not."""
    found: dict[Requirement, None] = {}
    inner: set[str] = set()  # sizes that are data: nobody knows them before
    todo = list(reversed(graph.nodes))
    while todo:
        node = todo.pop()
        if isinstance(node.op.lowering, Sized):
            inner.add(node.attrs["size"])
        todo += [n for body in subgraphs(node) for n in reversed(body.nodes)]
        if node.op.requires is not None:
            for r in node.op.requires(*(i.type for i in node.inputs), **node.attrs):
                rest = dims.sub(r.left, r.right)
                known = rest == 0 or (r.relation == ">=" and dims.is_nonnegative(rest))
                if not known and not inner & dims.names(r.left, r.right):
                    found.setdefault(replace(r, where=node.where))
    return tuple(found)
