"""The plan of one graph: what is inlined, which nodes share a kernel, in which order kernels run; and what was refused."""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from graphc.ir import dims
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Collective, Contraction, Host, Leaf, Prefix, Project, Scan, Scatter, Sized, Switch, While, Whole
from graphc.ir.target import Target
from graphc.passes.domains import Read, Work, core_shape
from graphc.passes.fusion import forms
from graphc.passes.fusion.cluster import Cluster, bytes_of, numbers_of
from graphc.passes.fusion.probes import Probes
from graphc.passes.fusion.refusal import Refusal, Rule
from graphc.passes.fusion.text import print_plan

TINY = 1024  # values of so few bytes do not count where lifetimes are compared
FEW = 64  # the length of a sum that is too short for vectors: part of the order of summation, so the same for all targets


class Plan:
    """What shares a kernel, as far as the steps of `plan_kernels` have come.

    reads, weight    of every node: the values that it reads from memory, and what its scalar code costs
    depth            of inlined nodes
    clusters, home   the clusters by number, and the one that a node is in
    refusals         (value, reader) -> why the two were not joined
    within           of loops, choices and routines: the plans of the graphs that they hold (bodies.py)
    """

    def __init__(self, graph: Graph, target: Target) -> None:
        self.graph = graph
        self.target = target
        self.dims = graph.dims
        self.position = {n: i for i, n in enumerate(graph.nodes)}
        self.users = graph.users()
        self.roots = set(graph.roots)
        self.whole = {i for n in graph.nodes if isinstance(n.op.lowering, Whole) for i in n.inputs}  # what must be in memory
        self.after = dict(zip(graph.ordered[1:], graph.ordered, strict=False))  # what must have run before: collectives' order
        self.within: dict[Node, tuple[Plan, ...]] = {}  # of nodes that hold graphs: theirs
        self.depth: dict[Node, int] = {}
        self.work: dict[Node, Work] = {}
        self.reads: dict[Node, list[Read]] = {}
        self.weight: dict[Node, int] = {}
        self._probes = Probes()
        self.moved: dict[Node, tuple[int, ...]] = {}  # contractions' results stored with their axes in another order
        self.later: set[Node] = set()  # computed by its reader, not where its operands are made
        self.fixed: set[Node] = set()  # made of nothing but constants
        self.read_by: dict[Node, list[Node]] = {}  # by nodes that are in a cluster
        self.clusters: dict[int, Cluster] = {}  # the living ones
        self.home: dict[Node, Cluster] = {}
        self.refusals: dict[tuple[Node, Node], tuple[Refusal, ...]] = {}
        self._born = 0
        self._became: dict[int, int] = {}  # the number of a merged cluster -> that of the cluster it has become part of

    # --- what a node reads, and whether it is worth a buffer ---

    @staticmethod
    def is_leaf(node: Node) -> bool:
        return isinstance(node.op.lowering, Leaf)

    def inlined(self, node: Node) -> bool:
        return node in self.depth

    def probe(self, node: Node, alike: bool = True) -> None:
        """Learn what a node reads and costs; if not `alike`, it has operands inlined that others of its kind have not."""
        self.reads[node], self.weight[node] = self._probes.ask(self, node, alike)
        if node in self.after:
            self.reads[node] = [*self.reads[node], Read(self.after[node], ())]

    def product_of(self, cluster: Cluster) -> Node:
        """The contraction of a cluster of that form."""
        return next(n for n in cluster.nodes if n not in self.work)

    def index_of(self, node: Node, index: tuple[Size, ...], shape: Shape, ranges: dims.Ranges) -> tuple[Size, ...]:
        """The index of the element of a node that an epilogue makes at an index of its result, which has a shape."""
        if node in self.moved:
            return tuple(index[self.moved[node].index(a)] for a in range(len(index)))
        given = core_shape(node)
        return index if given == shape else dims.unravel(dims.ravel(index, shape), given, ranges)

    def starts(self, node: Node) -> type[forms.Form]:
        """The form of the cluster that a node starts, apart from sums of which a free axis lies behind a reduced one."""
        match node.op.lowering:
            case Scatter():
                return forms.Scatter
            case Host() | Collective() | Scan() | While() | Switch() | Sized() | Project():
                return forms.Whole
            case Prefix():
                return forms.Prefix
            case Contraction() if node not in self.work:
                return forms.Product
        work = self.work[node]
        if not work.is_reduction or not work.free or work.positions or self.lane(node) is None:
            return forms.Rows
        return forms.Columns

    def lane(self, node: Node) -> int | None:
        """The free axis of a reduction that is contiguous in memory, if it is more so than the reduced axes."""
        work = self.work[node]
        if not work.free:
            return None
        free, reduced = work.free[-1], work.reduced[-1]
        count = dims.product(work.domain[a] for a in work.reduced)
        few = isinstance(count, int) and count <= FEW
        score = 0.0
        for read in self.reads[node]:
            involved = dims.names(*read.index)
            size = 4 ** sum(f"d.{a}" in involved for a in range(len(work.domain)))  # the larger operand decides
            along, across = self._stride(read, free) == 1, self._stride(read, reduced) == 1
            score += size * (along - across + (0.5 if along and across and few else 0))  # a window: short
        return free if score > 0 or (score == 0 and free > reduced) else None

    def _stride(self, read: Read, axis: int) -> Size:
        """The distance in memory of neighbours along an axis of the domain."""
        name = f"d.{axis}"
        linear = dims.ravel(read.index, core_shape(read.node))
        return dims.sub(dims.substitute(linear, {name: 1}), dims.substitute(linear, {name: 0}))

    # --- clusters ---

    def add(self, node: Node, form: forms.Form) -> Cluster:
        """A new cluster of one node."""
        cluster = Cluster(self._born, form, [node])
        self._born += 1
        for read in self.reads[node]:
            if read.node in self.home:
                home = self.home[read.node]
                cluster.before |= home.mask | home.before
                cluster.reads |= home.bit
                home.readers |= cluster.bit
        self.clusters[cluster.number] = cluster
        self.home[node] = cluster
        return cluster

    def take_in(self, clusters: Sequence[Cluster]) -> None:
        """Take these clusters, in an order in which they can run; which waits for which follows from what their nodes read."""
        self.clusters = {cluster.number: cluster for cluster in clusters}
        self.home = {node: cluster for cluster in clusters for node in cluster.nodes}
        self._born = len(clusters)
        for cluster in clusters:
            for home in (self.home[read.node] for n in cluster.nodes for read in self.reads[n] if read.node in self.home):
                if home is not cluster:
                    cluster.before |= home.mask | home.before
                    cluster.reads |= home.bit
                    home.readers |= cluster.bit
        for node in self.graph.nodes:
            for read in self.reads[node] if node in self.home else ():
                self.read_by.setdefault(read.node, []).append(node)

    def refuse(self, cluster: Cluster, readers: list[Node], *rules: Rule) -> None:
        """Remember why nodes are apart from a cluster whose values they read."""
        for node in readers:
            for read in self.reads[node]:
                ordered = read.node is self.after.get(node) and all(i is not read.node for i in node.inputs)  # not for its value
                if self.home.get(read.node) is cluster and not ordered:
                    known = self.refusals.get((read.node, node), ())
                    new = dict.fromkeys(rule for rule in rules if all(r.rule != rule for r in known))
                    self.refusals[read.node, node] = (*known, *(Refusal(rule, read.node, node) for rule in new))

    def acyclic(self, first: Cluster, second: Cluster) -> bool:
        """Whether no path from one to the other runs through a third cluster."""
        for a, b in ((first, second), (second, first)):
            if not b.before & a.mask:
                continue
            between = b.reads & ~(a.mask | b.mask)
            if any(self._living(number).before & a.mask for number in numbers_of(between)):
                return False
        return True

    def replace(self, first: Cluster, second: Cluster, group: Cluster) -> None:
        """One cluster for two."""
        if second.number == self._born - 1 and second.mask == second.bit and not second.readers:
            self._unborn(second, group)
        else:
            self._became[second.number] = group.number
        del self.clusters[second.number]
        self.clusters[group.number] = group
        both = first.mask | second.mask
        group.domains = None if first.domains is None or second.domains is None else first.domains | second.domains
        in_order = self.position[first.nodes[-1]] < self.position[second.nodes[0]]
        nodes = [*first.nodes, *second.nodes]
        group.nodes = nodes if in_order else sorted(nodes, key=self.position.__getitem__)
        for node in second.nodes if group is first else group.nodes:
            self.home[node] = group
        more = (first.before | second.before) & ~both | both
        behind = 0
        for cluster in (first, second):
            if more & ~(cluster.before | cluster.mask):
                behind |= cluster.readers & ~both
        group.before, group.mask = more & ~both, both
        group.reads, group.readers = (first.reads | second.reads) & ~both, (first.readers | second.readers) & ~both
        todo = [*numbers_of(behind)]
        while todo:  # what follows one of the two follows all that is before the other
            cluster = self._living(todo.pop())
            if more & ~cluster.before:
                cluster.before |= more
                todo += numbers_of(cluster.readers)

    def _unborn(self, last: Cluster, group: Cluster) -> None:
        """Free the number of the last cluster, which nobody reads: so there are no more numbers than clusters."""
        self._born -= 1
        for number in numbers_of(last.reads):
            home = self._living(number)
            home.readers = home.readers & ~last.bit | group.bit
        last.mask = 0

    def _living(self, number: int) -> Cluster:
        """The cluster of this number, or the one that it has become part of."""
        path = []
        while number in self._became:
            path.append(number)
            number = self._became[number]
        for step in path:
            self._became[step] = number
        return self.clusters[number]

    # --- the result ---

    def __str__(self) -> str:
        return print_plan(self)

    def __repr__(self) -> str:
        return f"<Plan {self.graph.name}: {len(self.clusters)} clusters, {len(self.depth)} nodes inlined>"

    def order(self) -> list[Cluster]:
        """The clusters in an order of execution.

        An update comes as soon as its variable's old value is no longer needed: it is the last that needs its gradient's
        operands. Where that is impossible (two variables that change places) the old value is copied later.
        """
        clusters = list(self.clusters.values())
        needs: dict[int, set[int]] = {c.number: set() for c in clusters}
        reading: dict[Node, set[int]] = {v: set() for v, _ in self.graph.updates}
        for c in clusters:
            for read in (r for node in c.nodes for r in self.reads[node]):
                home = self.home.get(read.node)
                if home is not None and home is not c:
                    needs[c.number].add(home.number)
                if read.node in reading:
                    reading[read.node].add(c.number)
        wished: dict[int, set[int]] = {}
        for variable, value in self.graph.updates:
            if value in self.home:
                own = self.home[value].number
                wished.setdefault(own, set()).update(reading[variable] - needs[own] - {own})
        waiting = {n: len(given) + len(wished.get(n, ())) for n, given in needs.items()}
        needing = {n: len(given) for n, given in needs.items()}
        allowed = [n for n in wished if not needs[n]]  # only preferences may hold these back
        heapq.heapify(allowed)
        needed_by: dict[int, list[int]] = {c.number: [] for c in clusters}
        wished_by: dict[int, list[int]] = {c.number: [] for c in clusters}
        for wants, feeds in ((needs, needed_by), (wished, wished_by)):
            for number, given in wants.items():
                for g in given:
                    feeds[g].append(number)
        size = {c.number: sum(bytes_of(n) for n in c.nodes) for c in clusters}

        def rank(number: int) -> tuple[bool, int]:
            """The order among clusters that are ready: those that free memory, or take hardly any, come first."""
            return number not in wished and size[number] > TINY, number

        ready = [rank(n) for n, count in waiting.items() if not count]
        heapq.heapify(ready)
        done: dict[int, None] = {}
        while len(done) < len(clusters):
            if not ready:  # only preferences hold clusters back: drop those of the first cluster whose needs are met
                while allowed[0] in done:
                    heapq.heappop(allowed)
                heapq.heappush(ready, (False, heapq.heappop(allowed)))
            _, number = heapq.heappop(ready)
            done[number] = None
            for user in needed_by[number]:
                needing[user] -= 1
                if not needing[user] and user in wished:
                    heapq.heappush(allowed, user)
            for user in (*needed_by[number], *wished_by[number]):
                waiting[user] -= 1
                if not waiting[user] and user not in done:
                    heapq.heappush(ready, rank(user))
        return [self.clusters[n] for n in done]

    def crossing(self) -> set[Node]:
        """The nodes whose values other kernels or the caller need."""
        found = {n for n in self.roots if not self.is_leaf(n)}
        for node, reads in self.reads.items():
            if self.inlined(node):
                continue
            for read in reads:
                home = self.home.get(read.node)
                if home is not None and (home is not self.home[node] or read.node in home.totals):
                    found.add(read.node)
        return found
