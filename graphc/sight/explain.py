"""Why two kernels are not one: the rules by which fusion refused, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from graphc.errors import Where
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node
from graphc.ir.names import written
from graphc.ir.program import Buffer, Call, Program
from graphc.ir.text import names_of
from graphc.ir.types import TensorType
from graphc.passes.fusion.plan import Plan

_PARTS = "a reduction over everything: a second kernel joins the parts that were reduced in parallel"
_COPY = "a copy: the new value could not be written into the variable itself"


@dataclass(frozen=True)
class Boundary:
    """A value that one kernel writes and another reads.

    value     its name in the text of the optimised graph
    writer    the kernels' names; `calls` are their positions in the program
    reader
    bytes     of the value: a number, or an expression of the symbolic dimensions
    where     the user's line that the value comes from
    rules     why the two are not one kernel: first why the reader did not join the writer's loops, then what is to be said of
              the code in between, and, where there is a product, why they were not put under common outer loops
    """

    value: str
    type: TensorType
    writer: str
    reader: str
    calls: tuple[int, int]
    bytes: Size
    where: Where | None
    rules: tuple[str, ...]

    def __str__(self) -> str:
        size = f"{self.bytes:,}" if isinstance(self.bytes, int) else str(self.bytes)
        line = f"   {self.where}" if self.where is not None else ""
        head = f"{self.writer} -> {self.reader}   {written(self.value)}: {self.type}, {size} bytes{line}"
        return "\n".join((head, *(f"    {rule}" for rule in self.rules)))


@dataclass(frozen=True)
class Explanation:
    """The boundaries between the kernels of a program, in the order in which their values are read.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 64), "float32")
    >>> f = gx.compile([x], gx.sum(x))
    >>> print(f.explain().at(n=10_000))
    k0 -> k1   %0.part: f32[(64*n+8191)//8192], 316 bytes
        a reduction over everything: a second kernel joins the parts that were reduced in parallel
    """

    boundaries: tuple[Boundary, ...]

    def __iter__(self) -> Iterator[Boundary]:
        return iter(self.boundaries)

    def __len__(self) -> int:
        return len(self.boundaries)

    def at(self, **sizes: int) -> Explanation:
        """The same with numbers of bytes, the most expensive boundary first.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n", 64), "float32")
        >>> f = gx.compile([x], gx.exp(x @ gx.ones((64, 64), "float32")) @ gx.ones((64, 64), "float32"))
        >>> [b.bytes for b in f.explain().at(n=100)]
        [25600]
        """
        known = [replace(b, bytes=dims.evaluate(b.bytes, sizes)) for b in self.boundaries]
        return Explanation(tuple(sorted(known, key=lambda b: -dims.evaluate(b.bytes, {}))))

    def __str__(self) -> str:
        return "\n".join(map(str, self.boundaries)) or "there is no boundary: no kernel reads what another writes"


def explain(graph: Graph, fused: Program, program: Program) -> Explanation:
    """The boundaries of a program that was planned from `fused`, which was made of `graph`."""
    plan = Plan(graph)
    nodes = {name: node for node, name in names_of(graph).items()}
    names = [call.kernel.name for call in program.calls]  # planning keeps the order of calls, and adds copies at the end
    found = []
    for value, writer, reader in _crossings(fused):
        node = nodes.get(value)
        rules = _rules(plan, node, fused.calls[reader]) if node is not None else (_PARTS,)
        found.append(_boundary(fused.buffers[value], (writer, reader), names, None if node is None else node.where, rules))
    for value, writer, reader in _crossings(program):
        if reader >= len(fused.calls):
            where = nodes[value].where if value in nodes else None
            found.append(_boundary(program.buffers[value], (writer, reader), names, where, (_COPY,)))
    return Explanation(tuple(found))


def _boundary(
    buffer: Buffer, calls: tuple[int, int], names: list[str], where: Where | None, rules: tuple[str, ...]
) -> Boundary:  # fmt: skip
    writer, reader = (names[i] for i in calls)
    return Boundary(buffer.name, buffer.type, writer, reader, calls, buffer.type.nbytes, where, rules)


def _crossings(program: Program) -> Iterator[tuple[str, int, int]]:
    """(buffer, the call that wrote it last, a call that reads it)."""
    written: dict[str, int] = {}
    for i, call in enumerate(program.calls):
        modes = list(zip(call.buffers, call.kernel.params, strict=True))
        for name, param in modes:
            if param.mode != "out" and name in written:
                yield name, written[name], i
        for name, param in modes:
            if param.mode != "in":
                written[name] = i


def _rules(plan: Plan, value: Node, call: Call) -> tuple[str, ...]:
    """What kept the first node of a call that reads a value apart from it; others follow from that."""
    pairs = ((value, plan.graph.nodes[i]) for i in call.kernel.nodes)
    return next((plan.apart[pair] for pair in pairs if pair in plan.apart), ())
