"""Why two kernels are not one: the rules by which fusion refused, and what that costs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from graphc.errors import Where
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.graph import Node
from graphc.ir.html import html_table
from graphc.ir.names import written
from graphc.ir.program import Buffer, Call, Collective, Program
from graphc.ir.text import names_of
from graphc.ir.types import TensorType
from graphc.passes.fusion.plan import Plan
from graphc.passes.fusion.refusal import Refusal

_PARTS = "a reduction over everything: a second kernel joins the parts that were reduced in parallel"
_COPY = "a copy: the new value could not be written into the variable itself"
SHOWN = 10  # boundaries that are printed, the dearest first
_ASSUMED = 64  # what a symbolic dimension counts where boundaries are compared and its size is not known


@dataclass(frozen=True)
class Boundary:
    """A value that one kernel writes and another reads, in a program or in one that a loop or a routine of it runs.

    In a loop or a choice that is one kernel, what would be kernels of their own hand values on in memory of that one: it is the
    writer and the reader.

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
        return _lines(self, 1)


@dataclass(frozen=True)
class Explanation:
    """The boundaries between the kernels of a program, in the order in which their values are read.

    It prints the dearest ten; those of equal layers, between the same kernels for the same reasons, are one with a count. `all()`
    prints every one. A symbolic dimension counts 64 where boundaries are compared, unless `at` was told its size.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 64), "float32")
    >>> f = gx.compile([x], gx.sum(x))
    >>> print(f.explain().at(n=10_000))
    k0 -> k1   %0.part: f32[(64*n+8191)//8192], 316 bytes
        a reduction over everything: a second kernel joins the parts that were reduced in parallel
    """

    boundaries: tuple[Boundary, ...]
    whole: bool = False

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
        return replace(self, boundaries=tuple(sorted(known, key=lambda b: -_cost(b))))

    def all(self) -> Explanation:
        """The same, which prints every boundary, none folded, in the order that it has.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n", 64), "float32")
        >>> f = gx.compile([x], gx.sum(x))
        >>> len(str(f.explain().all()).splitlines())
        2
        """
        return replace(self, whole=True)

    def folded(self) -> list[tuple[Boundary, int]]:
        """Boundaries with how often there is such a one: between the same kernels, for the same reasons. The dearest first.

        Numbers are those of the first of a group; its cost is that of all.
        """
        groups: dict[tuple[str, str, TensorType, tuple[str, ...]], list[Boundary]] = {}
        for b in self.boundaries:
            groups.setdefault((b.writer, b.reader, b.type, b.rules), []).append(b)
        return [(group[0], len(group)) for group in sorted(groups.values(), key=lambda group: -sum(map(_cost, group)))]

    def __str__(self) -> str:
        shown, rest = self._shown()
        return "\n".join([*(_lines(b, times) for b, times in shown), *([rest] if rest else [])]) or _NONE

    def _repr_html_(self) -> str:
        shown, rest = self._shown()
        header = ("kernels", "value", "type", "line", "times", "bytes", "rules")
        names = [(f"{b.writer} -> {b.reader}", written(b.value), str(b.type), str(b.where or "")) for b, _ in shown]
        rows = [(*name, str(times), _bytes(b), "\n".join(b.rules)) for name, (b, times) in zip(names, shown, strict=True)]
        return html_table(header, rows, left=4, title=rest or ("" if rows else _NONE))

    def _shown(self) -> tuple[Sequence[tuple[Boundary, int]], str]:
        """What is printed, and a line about what is not."""
        if self.whole:
            return [(b, 1) for b in self.boundaries], ""
        groups = self.folded()
        shown = groups[:SHOWN]
        left, of = len(self) - sum(times for _, times in shown), len(self)
        return shown, f"{left} more of {of} boundaries, which cost less: explain().all() prints every one" if left else ""


_NONE = "there is no boundary: no kernel reads what another writes"


def _lines(b: Boundary, times: int) -> str:
    line = f"   {b.where}" if b.where is not None else ""
    count = f"{times} times " if times > 1 else ""
    head = f"{b.writer} -> {b.reader}   {written(b.value)}: {b.type}, {count}{_bytes(b)} bytes{line}"
    return "\n".join((head, *(f"    {rule}" for rule in b.rules)))


def _bytes(b: Boundary) -> str:
    return f"{b.bytes:,}" if isinstance(b.bytes, int) else str(b.bytes)


def _cost(b: Boundary) -> int:
    return dims.evaluate(b.bytes, dict.fromkeys(dims.names(b.bytes), _ASSUMED))


def explain(plan: Plan, fused: Program, program: Program) -> Explanation:
    """The boundaries of a program, and of those in it: of `fused` with its buffers planned, whose kernels are those of `plan`.

    What is exchanged with other ranks is read as that starts; the wait for it reads nothing.
    """
    nodes = {name: node for node, name in names_of(plan.graph).items()}
    names = [call.kernel.name for call in program.calls]  # planning keeps the order of calls, and adds copies at the end
    found = []
    for value, writer, reader in _crossings(fused):
        if isinstance(called := fused.calls[reader].kernel, Collective) and called.waits:
            continue
        node = nodes.get(value)
        rules = _rules(plan, node, fused.calls[reader]) if node is not None else (_PARTS,)
        found.append(_boundary(fused.buffers[value], (writer, reader), names, None if node is None else node.where, rules))
    for value, writer, reader in _crossings(program):
        if reader >= len(fused.calls):
            where = nodes[value].where if value in nodes else None
            found.append(_boundary(program.buffers[value], (writer, reader), names, where, (_COPY,)))
    for before, after in zip(fused.calls, program.calls, strict=False):
        if before.kernel.programs:
            plans = plan.within[plan.graph.nodes[before.kernel.nodes[0]]]
            for inner in map(explain, plans, before.kernel.programs, after.kernel.programs):
                found += inner.boundaries
    for i, call in enumerate(fused.calls):
        for place in () if call.kernel.programs else call.kernel.nodes:
            for body in plan.within.get(plan.graph.nodes[place], ()):
                found += _inside(body, names[i], i)
    return Explanation(tuple(found))


def _inside(plan: Plan, kernel: str, call: int) -> Iterator[Boundary]:
    """The values that clusters of a body, which are parts of one kernel, hand to each other."""
    names = names_of(plan.graph)
    for cluster in plan.order():
        rules: dict[Node, tuple[Refusal, ...]] = {}
        for node in cluster.nodes:
            for value in (read.node for read in plan.reads[node] if plan.home.get(read.node, cluster) is not cluster):
                rules[value] = rules.get(value) or plan.refusals.get((value, node), ())
        for value, found in rules.items():
            told = tuple(map(str, found))
            yield Boundary(names[value], value.type, kernel, kernel, (call, call), value.type.nbytes, value.where, told)
        for node in cluster.nodes:
            for body in plan.within.get(node, ()):
                yield from _inside(body, kernel, call)


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
    found = next((plan.refusals[pair] for pair in pairs if pair in plan.refusals), ())
    return tuple(map(str, found))
