"""Choose which nodes share a kernel: Graph -> Program.

    %0 = exp(%x)                       kernel k0(%x) -> %y {
    %1 = sum(%0, axes=[1])      =>       parallel i < batch { ... one row: exp, sum, divide ... }
    %2 = ... divide(%0, %1 ...)        }

Every node is inlined (moving elements costs no more than loading them), or belongs to one cluster. A cluster is one kernel:

    rows      an outer space over which elementwise code and reductions of trailing axes run row by row
    columns   one reduction over leading or scattered axes, and elementwise code on its result
    contract  one contraction, and elementwise code on its result
    scatter   one scatter

A node joins a cluster of a producer if it needs nothing from that cluster but the same row, and if no path leaves the
cluster and returns. Afterwards every value that crosses a kernel's boundary has a buffer, and nothing else has.
passes/lowering/ writes the kernels' bodies.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from graphc.ir import dims
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Contraction, Leaf, Pointwise, Scatter
from graphc.ir.program import Program
from graphc.passes.work import Probe, Read, Work, axis_names, core_shape, work_of, work_value

MAX_NODES = 160  # of one kernel: compile time grows faster than its size
MAX_INLINE = 12  # nested inlined nodes
SMALL = 16384  # elements that one thread handles without others' help


@dataclass
class Cluster:
    """Nodes that share a kernel."""

    number: int
    form: str  # rows, columns, contract, scatter
    shape: Shape  # the shape its rows are cut from: outer space = shape[:prefix]
    prefix: int
    nodes: list[Node] = field(default_factory=list)
    totals: set[Node] = field(default_factory=set)  # reductions over everything, finished by a second kernel
    before: int = 0  # bits of the clusters that must run before this one

    @property
    def bit(self) -> int:
        return 1 << self.number


class Plan:
    """The choice for one graph: what is inlined, what shares a kernel."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.dims = graph.dims
        self.position = {n: i for i, n in enumerate(graph.nodes)}
        self.users = graph.users()
        self.roots = set(graph.roots)
        self.depth: dict[Node, int] = {}  # of inlined nodes
        self.work: dict[Node, Work] = {}
        self.reads: dict[Node, list[Read]] = {}
        self.weight: dict[Node, int] = {}
        self.clusters: dict[int, Cluster] = {}  # the living ones
        self._born = 0
        self.home: dict[Node, Cluster] = {}
        for node in graph.nodes:
            self._measure(node)
        self._absorb()
        for node in graph.nodes:
            if not self.is_leaf(node) and not self.inlined(node):
                self._place(node)

    # --- what a node reads, and whether it is worth a buffer ---

    @staticmethod
    def is_leaf(node: Node) -> bool:
        return isinstance(node.op.lowering, Leaf)

    def inlined(self, node: Node) -> bool:
        return node in self.depth

    def _measure(self, node: Node) -> None:
        if self.is_leaf(node):
            return
        work = work_of(node)
        if work is not None:
            self.work[node] = work
        self._probe(node)
        if isinstance(node.op.lowering, Pointwise) and node not in self.roots:
            probe = self._last
            depth = 1 + max((self.depth.get(i, 0) for i in node.inputs), default=0)
            if len(probe.reads) <= 1 and probe.weight <= 1 and depth <= MAX_INLINE:
                self.depth[node] = depth

    def _probe(self, node: Node) -> None:
        work = self.work.get(node)
        if work is not None:
            probe = Probe(self, node, {f"d.{a}": n for a, n in enumerate(work.domain)})
            work_value(probe, work, axis_names(len(work.domain)))
        else:
            rank = len(node.inputs[0].type.shape)
            probe = Probe(self, node, {})
            match node.op.lowering:
                case Contraction():
                    *batch, m, k, n = axis_names(rank + 1)
                    probe.load(0, (*batch, m, k))
                    probe.load(1, (*batch, k, n))
                case Scatter(place=place):
                    probe.load(0, axis_names(rank))
                    place(probe, axis_names(rank), **node.attrs)
        self._last = probe
        self.reads[node] = probe.reads
        self.weight[node] = probe.weight

    def _absorb(self) -> None:
        """Inline what only one column reduction reads: it is computed once there, too."""
        for node in reversed(self.graph.nodes):
            users = self.users[node]
            if not isinstance(node.op.lowering, Pointwise) or node in self.roots or self.inlined(node) or len(users) != 1:
                continue
            depth = self.depth.get(users[0], 0) + 1 if self.inlined(users[0]) else 1
            target = users[0]
            while self.inlined(target) and len(self.users[target]) == 1:
                target = self.users[target][0]
            if target not in self.work or self.form(target) != "columns" or depth > MAX_INLINE or len(self.reads[node]) > 4:
                continue
            if len(core_shape(node)) == len(self.work[target].domain):  # a smaller value would be computed many times
                self.depth[node] = depth
                self._probe(target)

    def form(self, node: Node) -> str:
        """The kind of cluster that a node starts."""
        match node.op.lowering:
            case Scatter():
                return "scatter"
            case Contraction() if node not in self.work:
                return "contract"
        work = self.work[node]
        if not work.is_reduction or not work.free:
            return "rows"
        if work.combine.startswith("arg"):
            return "rows"
        return "columns" if self.lane(node) is not None else "rows"

    def lane(self, node: Node) -> int | None:
        """The free axis of a reduction along which neighbours lie side by side in memory, if the reduced axes do so less."""
        work = self.work[node]
        if not work.free:
            return None
        free, reduced = work.free[-1], work.reduced[-1]
        score = 0
        for read in self.reads[node]:
            involved = dims.names(*read.index)
            size = 4 ** sum(f"d.{a}" in involved for a in range(len(work.domain)))  # the larger operand decides
            score += size * ((self._stride(read, free) == 1) - (self._stride(read, reduced) == 1))
        return free if score > 0 or (score == 0 and free > reduced) else None

    def _stride(self, read: Read, axis: int) -> Size:
        """How far apart in memory neighbours along a domain axis are."""
        name = f"d.{axis}"
        linear = dims.ravel(read.index, core_shape(read.node))
        return dims.sub(dims.substitute(linear, {name: 1}), dims.substitute(linear, {name: 0}))

    # --- clusters ---

    def _place(self, node: Node) -> None:
        producers: dict[int, Cluster] = {}
        for read in self.reads[node]:
            if read.node in self.home:
                home = self.home[read.node]
                producers[home.number] = home
        own = self._new(node)
        for number in sorted(producers, key=lambda n: (producers[n].form == "rows", -n)):
            cluster = self.clusters.get(number)
            if cluster is not None and cluster is not own:
                own = self._merge(cluster, own) or own
        if not producers and own.form == "rows":
            self._join_sibling(node, own)

    def _new(self, node: Node) -> Cluster:
        form = self.form(node)
        work = self.work.get(node)
        shape = core_shape(node) if work is None or form != "rows" else work.domain
        cluster = Cluster(self._born, form, shape, len(shape))
        self._born += 1
        if work is not None and form == "rows" and work.is_reduction:
            leading = next((a for a in range(len(shape)) if a in work.reduced), len(shape))
            if work.free or self._is_small(shape) or work.combine.startswith("arg"):
                cluster.prefix = leading
            else:
                cluster.totals.add(node)
        if form == "rows" and work is not None and work.is_reduction and work.free and cluster.prefix < len(work.free):
            cluster.form = "columns"  # a free axis behind a reduced one
        cluster.nodes.append(node)
        for read in self.reads[node]:
            if read.node in self.home:
                home = self.home[read.node]
                cluster.before |= home.bit | home.before
        self.clusters[cluster.number] = cluster
        self.home[node] = cluster
        return cluster

    @staticmethod
    def _is_small(shape: Shape) -> bool:
        size = dims.product(shape)
        return isinstance(size, int) and size <= SMALL

    def _join_sibling(self, node: Node, own: Cluster) -> None:
        """Put a node that reads only leaves beside another that reads the same ones."""
        given = {read.node for read in self.reads[node]}
        for cluster in list(self.clusters.values())[-9:-1][::-1]:
            if cluster.form != "rows" or cluster.shape != own.shape:
                continue
            if any(read.node in given for n in cluster.nodes for read in self.reads[n]) and self._merge(cluster, own):
                return

    def _merge(self, first: Cluster, second: Cluster) -> Cluster | None:
        """One cluster of both, if they fit and no third lies between; `second` holds nothing that `first` reads."""
        if len(first.nodes) + len(second.nodes) > MAX_NODES or not self._acyclic(first, second):
            return None
        prefix = self._prefix(first, second)
        if prefix is None:
            return None
        shape = first.shape if len(first.shape) >= len(second.shape) else second.shape
        first.shape, first.prefix = shape, prefix
        first.nodes = sorted({*first.nodes, *second.nodes}, key=self.position.__getitem__)
        first.totals |= second.totals
        for node in second.nodes:
            self.home[node] = first
        both = first.bit | second.bit
        first.before = (first.before | second.before) & ~both
        del self.clusters[second.number]
        for cluster in self.clusters.values():
            if cluster is not first and cluster.before & both:
                cluster.before = (cluster.before & ~second.bit) | first.bit | first.before
        return first

    def _acyclic(self, first: Cluster, second: Cluster) -> bool:
        """Whether no path from one to the other runs through a third cluster."""
        for a, b in ((first, second), (second, first)):
            between = b.before & ~(a.bit | b.bit)
            if not b.before & a.bit:
                continue
            while between:
                low = between & -between
                between ^= low
                other = self.clusters.get(low.bit_length() - 1)
                if other is not None and other.before & a.bit:
                    return False
        return True

    def _prefix(self, first: Cluster, second: Cluster) -> int | None:
        """How many leading axes two clusters can share as rows, or None if they do not fit."""
        if second.form != "rows" or first.form == "scatter":  # a scatter's elements are final only after its last update
            return None
        if first.form != "rows":  # a contraction's or column reduction's epilogue: elementwise on its result
            if second.totals or any(self.work[n].is_reduction for n in second.nodes) or second.shape != first.shape:
                return None
            return first.prefix if self._reads_in_place(first, second) else None
        rank = min(first.prefix, second.prefix)
        members = {*first.nodes, *second.nodes}
        totals = first.totals | second.totals
        for node in (*first.nodes, *second.nodes):
            work = self.work[node]
            for read in self.reads[node]:
                if read.node not in members:
                    continue
                given = core_shape(read.node)
                r = len(given)
                if read.node in totals or r > len(work.domain) or given != work.domain[:r]:
                    return None
                if read.index != axis_names(len(work.domain))[:r]:
                    return None
                if r < len(work.domain):
                    rank = min(rank, r)
            if work.is_reduction and node not in totals:
                rank = min(rank, work.reduced[0])
        shapes = [self.work[n].domain for n in members]
        longest = max(shapes, key=len)
        if any(s[:rank] != longest[:rank] or len(s) < rank for s in shapes):
            return None
        if rank == 0 and not all(self._is_small(s) for s in shapes):
            return None
        if rank == 0 and (totals or (len(longest) > 0 and not any(self.work[n].is_reduction for n in members))):
            return None
        if totals and any(len(self.work[n].domain) < rank for n in totals):
            return None
        return rank

    def _reads_in_place(self, first: Cluster, second: Cluster) -> bool:
        members = set(first.nodes)
        for node in second.nodes:
            for read in self.reads[node]:
                if read.node in members and (core_shape(read.node) != first.shape or read.index != axis_names(len(first.shape))):
                    return False
        return True

    # --- the result ---

    def order(self) -> list[Cluster]:
        """The clusters in an order of execution; those that only feed updates as late as possible."""
        clusters = list(self.clusters.values())
        needs: dict[int, set[int]] = {c.number: set() for c in clusters}
        for c in clusters:
            for node in c.nodes:
                for read in self.reads[node]:
                    home = self.home.get(read.node)
                    if home is not None and home is not c:
                        needs[c.number].add(home.number)
        updates = {n for _, n in self.graph.updates}
        late = {c.number for c in clusters if any(n in updates for n in c.nodes)}
        waiting = {c.number: len(needs[c.number]) for c in clusters}
        feeds: dict[int, list[int]] = {c.number: [] for c in clusters}
        for number, given in needs.items():
            for g in given:
                feeds[g].append(number)
        ready = sorted((n in late, n) for n, count in waiting.items() if not count)
        result = []

        heapq.heapify(ready)
        while ready:
            _, number = heapq.heappop(ready)
            result.append(number)
            for user in feeds[number]:
                waiting[user] -= 1
                if not waiting[user]:
                    heapq.heappush(ready, (user in late, user))
        assert len(result) == len(clusters), "clusters depend on each other in a circle"
        return [self.clusters[n] for n in result]

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


def fuse(graph: Graph) -> Program:
    """The program of a graph: its kernels in order, over buffers not yet planned."""
    from graphc.passes.lowering import lower

    return lower(Plan(graph))
