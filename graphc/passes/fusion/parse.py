"""Plans of text: what text.py prints.

The graph of a plan is read with it: nodes stand where they are computed, so that operands of theirs may stand behind them. What
nodes read and cost, and which clusters wait for which, follows from that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Graph, Node
from graphc.ir.names import unquoted, written
from graphc.ir.parser import READERS, Line, Parser
from graphc.ir.target import host
from graphc.passes.domains import core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import FULL, Cluster
from graphc.passes.fusion.measure import measure_inlined
from graphc.passes.fusion.plan import Plan
from graphc.passes.fusion.refusal import RULES, Refusal, Rule

FORMS: Mapping[str, type[forms.Form]] = {form.name: form for form in forms.ALL}
SAID: Mapping[str, Rule] = {rule.says: rule for rule in (*RULES, *forms.rules(), FULL)}


@dataclass(frozen=True)
class Name:
    """The name of a value, and where it stands."""

    text: str
    at: int = field(compare=False)


@dataclass
class _Part:
    """A cluster as it is written, or a part of one: names for nodes."""

    at: int
    kind: type[forms.Form]
    shape: Shape
    prefix: int
    totals: list[Name] = field(default_factory=list)
    row_partials: list[Name] = field(default_factory=list)
    nodes: list[Name] = field(default_factory=list)
    parts: list[_Part] = field(default_factory=list)
    within: list[tuple[str, Plan]] = field(default_factory=list)
    apart: list[tuple[Name, tuple[Rule, ...]]] = field(default_factory=list)


def parse_plan(text: str) -> Plan:
    """The plan that a text denotes, and its graph; `graphc.ir.parse` reads it too.

    Where several nodes of a cluster were kept apart from one value, the text has the rules of the first. Raises ParseError with
    line and column; a node that cannot be typed raises what building it would.

    >>> plan = parse_plan('''plan f(%x: f32[n, 64]) {
    ...   cluster 0: rows [n | 64] {
    ...     %0 = exp(%x) : f32[n, 64]
    ...     %1 = sum(%0, axes=[1]) : f32[n]
    ...   }
    ...   return %1
    ... }''')
    >>> plan
    <Plan f: 1 clusters, 0 nodes inlined>
    """
    parser = _PlanParser(text)
    return parser.ended(parser.plan(), "the plan")


class _PlanParser(Parser):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.lines: dict[str, Line[Name]] = {}

    def plan(self) -> Plan:
        """A plan; one inside another sees nothing of the one around it."""
        around = self.values, self.lines
        self.values, self.lines = {}, {}
        self.expect("plan")
        name = self.title("the plan's name")
        self.expect("(")
        inputs = self.several(")", lambda: self.leaf("input"))
        self.expect("{")
        target = self.target() if self.take("target") else host()
        inlined: list[Name] = []
        clusters: list[_Part] = []
        updates: list[tuple[Name, Name]] = []
        while not self.take("return"):
            at, word = self.at, self.kind("word", "a part of the plan, or 'return'")
            match word:
                case "variable":
                    self.leaf("variable")
                case "inlined" | "open":
                    self.expect("{")
                    found = self.nodes()
                    inlined += found if word == "inlined" else ()
                case "cluster":
                    at, number = self.at, self.kind("number", "the cluster's number")
                    if number != str(len(clusters)):
                        raise self.error(f"cluster {number} stands where cluster {len(clusters)} must", at)
                    self.expect(":")
                    clusters.append(self.part())
                case "update":
                    variable = self.reference()
                    self.expect("=")
                    updates.append((variable, self.reference()))
                case _:
                    raise self.error(f"a plan has no {word!r}", at)
        outputs = self.several("}", self.reference)
        for line in self.lines.values():
            self.make(line)
        value = self.known
        graph = Graph(inputs, map(value, outputs), [(value(v), value(n)) for v, n in updates], name)
        needed = set(graph.nodes)
        for line in self.lines.values():
            if self.values[line.name] not in needed:
                raise self.error(f"{written(line.name)} is not needed", line.at)
        plan = Plan(graph, target)
        measure_inlined(plan, {value(n) for n in inlined})
        plan.take_in([self.cluster(plan, part, i) for i, part in enumerate(clusters)])
        for part, cluster in zip(clusters, plan.clusters.values(), strict=True):
            self.refuse(plan, part, cluster)
        self.values, self.lines = around
        return plan

    # --- what is written ---

    def reference(self) -> Name:
        """The name of a value that may stand further below."""
        at = self.at
        return Name(self.name("a value"), at)

    def nodes(self) -> list[Name]:
        """Nodes up to a }, which is taken."""
        found = []
        while not self.take("}"):
            found.append(self.node())
        return found

    def node(self) -> Name:
        at, line = self.at, self.written(self.reference)
        if self.lines.setdefault(line.name, line) != line:  # the sums of row partials stand twice
            raise self.error(f"{written(line.name)} is defined twice", at)
        return Name(line.name, at)

    def part(self) -> _Part:
        at, name = self.at, self.kind("word", "a form")
        if name == "row":
            self.expect("partials")
            name = "row partials"
        if name not in FORMS:
            raise self.error(f"there is no form {name!r}: they are {', '.join(FORMS)}", at)
        found = _Part(at, FORMS[name], *(((), 0) if name == "whole" else self.shape()))
        while self.take(","):
            if self.take("totals"):
                self.values_of(found.totals)
            else:
                self.expect("row")
                self.expect("partials")
                self.values_of(found.row_partials)
        self.expect("{")
        while not self.take("}"):
            if self.tokens[self.next].kind == "value":
                found.nodes.append(self.node())
            elif self.peek("plan") and found.nodes:
                found.within.append((found.nodes[-1].text, self.plan()))
            elif self.take("apart"):
                found.apart.append(self.apart())
            else:
                found.parts.append(self.part())
        return found

    def shape(self) -> tuple[Shape, int]:
        """A shape, and how many of its axes stand before the bar; all, if there is none."""
        sizes: list[Size] = []
        prefix: int | None = None
        self.expect("[")
        while not self.take("]"):
            if prefix is None and self.take("|"):
                prefix = len(sizes)
                continue
            sizes.append(self.extent())
            if not self.peek("]") and not self.peek("|"):
                self.expect(",")
        return tuple(sizes), len(sizes) if prefix is None else prefix

    def values_of(self, found: list[Name]) -> None:
        """Values with commas between, as long as values follow."""
        found.append(self.reference())
        while self.peek(",") and self.tokens[self.next + 1].kind == "value":
            self.next += 1
            found.append(self.reference())

    def apart(self) -> tuple[Name, tuple[Rule, ...]]:
        value = self.reference()
        self.expect("from")
        self.expect("cluster")
        self.kind("number", "the cluster's number")
        self.expect(",")
        self.expression()  # follows from the value's type
        self.expect("bytes")
        rules = []
        while self.tokens[self.next].kind == "string":
            at, says = self.at, unquoted(self.kind("string", "a rule"))
            if says not in SAID:
                raise self.error(f"no rule says {says!r}", at)
            rules.append(SAID[says])
        return value, tuple(rules)

    # --- what is made of it ---

    def known(self, name: Name) -> Node:
        if name.text not in self.values:
            raise self.error(f"{written(name.text)} is not defined", name.at)
        return self.values[name.text]

    def make(self, line: Line[Name]) -> None:
        """Make the node of a line, after those of its operands."""
        begun: set[str] = set()
        todo = [line]
        while todo:
            line = todo[-1]
            waiting = [name for name in line.operands if name.text not in self.values]
            for name in waiting:
                if name.text not in self.lines:
                    raise self.error(f"{written(name.text)} is not defined", name.at)
                if name.text in begun or name.text == line.name:
                    raise self.error(f"{written(name.text)} needs itself", name.at)
            if waiting:
                begun.add(line.name)
                todo += [self.lines[name.text] for name in waiting]
                continue
            if line.name not in self.values:
                self.define(line, [self.values[name.text] for name in line.operands])
            todo.pop()

    def cluster(self, plan: Plan, part: _Part, number: int) -> Cluster:
        parts = tuple(self.cluster(plan, inner, number) for inner in part.parts)
        nodes = {self.known(name) for name in part.nodes} | {node for inner in parts for node in inner.nodes}
        if not nodes:
            raise self.error("a cluster has nodes", part.at)
        for name, inner in part.within:
            node = self.values[name]
            plan.within[node] = (*plan.within.get(node, ()), inner)
        in_order = sorted(nodes, key=plan.position.__getitem__)
        return Cluster(number, self.form(part, parts, in_order), in_order)

    def form(self, part: _Part, parts: tuple[Cluster, ...], nodes: list[Node]) -> forms.Form:
        if part.kind is forms.Rows:
            totals, partials = (frozenset(map(self.known, names)) for names in (part.totals, part.row_partials))
            return forms.Rows(part.shape, part.prefix, totals, partials)
        if part.kind is forms.Whole:
            shape = core_shape(nodes[0])
            return forms.Whole(shape, len(shape))
        if part.kind is forms.Stages and parts:  # of whose shape the text has the outer loops
            return forms.Stages(parts[0].shape, part.prefix, parts)
        if part.kind is forms.RowPartials and parts:
            return forms.RowPartials(part.shape, part.prefix, parts)
        if parts or part.kind in (forms.Stages, forms.RowPartials):
            raise self.error(f"{part.kind.name} {'has' if parts else 'needs'} parts", part.at)
        return part.kind(part.shape, part.prefix)

    def refuse(self, plan: Plan, part: _Part, cluster: Cluster) -> None:
        """Note what keeps the first node of a cluster that reads a value apart from it."""
        for name, rules in part.apart:
            value = self.known(name)
            reader = next((n for n in cluster.nodes if any(read.node is value for read in plan.reads[n])), None)
            if reader is None:
                raise self.error(f"{written(name.text)} is not read here", name.at)
            plan.refusals[value, reader] = tuple(Refusal(rule, value, reader) for rule in rules)


READERS["plan"] = parse_plan
