"""The choice for one graph: what is inlined, what shares a kernel, in which order kernels run."""

from __future__ import annotations

import heapq
from itertools import islice
from typing import Any

from graphc.ir import dims
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Graph, Node
from graphc.ir.operation import Contraction, Host, Leaf, Pointwise, Prefix, Project, Scan, Scatter, Sized, Switch, While, Whole
from graphc.passes.domains import Read, Work, axis_names, core_shape, work_of, work_value
from graphc.passes.fusion.cluster import MAX_NODES, Cluster, bytes_of, numbers_of
from graphc.passes.fusion.move_to_reader import move_to_reader
from graphc.passes.fusion.refusal import BETWEEN, ELSEWHERE, FULL, LATER, NO_ROWS, OTHER_ROWS, TOTAL, Refusal, Rule
from graphc.passes.fusion.row_partials import join_row_partials
from graphc.passes.fusion.stack import stack
from graphc.passes.fusion.text import print_plan
from graphc.passes.trace import Trace

MAX_INLINE = 12  # nested inlined nodes
TINY = 1024  # bytes whose lifetime does not matter
FEW = 64  # elements of a sum too short for vectors along it
MAX_SUMS = 13  # down the same columns in one kernel: a vector of each in a register, beside what they are made of
SMALL = 16384  # elements that one thread handles without others' help

# Why a cluster of this form waits for complete operands, and what one that others continue is called.
_COMPLETE = {
    "contract": Rule("operands", "a product needs whole rows and columns of its operands"),
    "columns": Rule("operands", "a sum down the columns needs every row of what it adds"),
    "scatter": Rule("operands", "a scatter reads and writes where its data say"),
    "prefix": Rule("operands", "a running reduction goes along its own axis"),
    "whole": Rule("operands", "a loop, a choice or a routine of Python needs whole arrays"),
}
_FINAL = {
    "scatter": Rule("final", "a scatter's elements are final only after its last update"),
    "whole": Rule("final", "a loop, a choice or a routine of Python makes whole arrays"),
}
_MADE = {"contract": "a product", "columns": "a sum down the columns", "prefix": "a running reduction"}


class Plan:
    """The choice for one graph: what is inlined, what shares a kernel."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.dims = graph.dims
        self.position = {n: i for i, n in enumerate(graph.nodes)}
        self.users = graph.users()
        self.roots = set(graph.roots)
        self.whole = {i for n in graph.nodes if isinstance(n.op.lowering, Whole) for i in n.inputs}  # what must be in memory
        self.depth: dict[Node, int] = {}  # of inlined nodes
        self.work: dict[Node, Work] = {}
        self.reads: dict[Node, list[Read]] = {}
        self.weight: dict[Node, int] = {}
        self.kinds: dict[Node, int] = {}
        self._numbers: dict[Any, int] = {}
        self._known: dict[int, tuple[list[tuple[int, ...]], list[tuple[Size, ...]], int]] = {}
        self.moved: dict[Node, tuple[int, ...]] = {}  # contractions' results stored with their axes in another order
        self.later: set[Node] = set()  # made of values read later alone: not computed where those are made
        self.fixed: set[Node] = set()  # made of nothing but constants
        self.clusters: dict[int, Cluster] = {}  # the living ones
        self._born = 0
        self._became: dict[int, int] = {}  # the number of a cluster that is part of another: that one's
        self.home: dict[Node, Cluster] = {}
        self.refusals: dict[tuple[Node, Node], tuple[Refusal, ...]] = {}  # (value, reader): why their clusters were not joined
        for node in graph.nodes:
            self._measure(node)
        self._absorb()
        self._absorb_shifted()
        self.read_by: dict[Node, list[Node]] = {}  # by nodes that are in a cluster
        for node in graph.nodes:
            if not self.is_leaf(node) and not self.inlined(node):
                for read in self.reads[node]:
                    self.read_by.setdefault(read.node, []).append(node)
                self._place(node)
        self._pair_columns()
        for cluster in self.order():
            move_to_reader(self, cluster)
        for cluster in self.order():
            stack(self, cluster)
        for cluster in tuple(self.clusters.values()):
            join_row_partials(self, cluster)

    # --- what a node reads, and whether it is worth a buffer ---

    @staticmethod
    def is_leaf(node: Node) -> bool:
        return isinstance(node.op.lowering, Leaf)

    def inlined(self, node: Node) -> bool:
        return node in self.depth

    def _measure(self, node: Node) -> None:
        if not node.is_given if self.is_leaf(node) else all(i in self.fixed for i in node.inputs):
            self.fixed.add(node)
        if self.is_leaf(node):
            return
        work = work_of(node)
        if work is not None:
            self.work[node] = work
        self._probe(node)
        if work is None and isinstance(node.op.lowering, Contraction):
            self._store_shared(node)
        if self._reads_later(node):
            self.later.add(node)
        if isinstance(node.op.lowering, Pointwise) and node not in self.roots and node not in self.whole:
            depth = 1 + max((self.depth.get(i, 0) for i in node.inputs), default=0)
            light = len(self.reads[node]) <= 1 and self.weight[node] <= 1 and not self._rounds(node)
            if light and depth <= MAX_INLINE and not self._moves(node):
                self.depth[node] = depth
        elif work is not None:
            self._moves(node)

    def _store_shared(self, node: Node) -> None:
        """Store operands that all products of a batch share in an order in which none of them can read: each would copy them."""
        *batch, m, k, n = axis_names(node.type.rank + 1)
        for operand, axes in enumerate(((m, k), (k, n))):
            low, above = node.inputs[operand], [node]
            if not batch or not self.inlined(low):
                continue
            probe = Trace(node, inlined=self.inlined)
            probe.load(operand, (*batch, *axes))
            if len(probe.reads) != 1:
                continue
            (read,) = probe.reads
            address = dims.ravel(read.index, core_shape(read.node))
            if dims.names(*batch) & dims.names(address) or self._is_linear(address, axes):
                continue
            while self.inlined(low) and len(low.inputs) == 1 and not self._is_part(low, read.node):
                above.append(low)
                low = low.inputs[0]
            if self.inlined(low) and len(self.users[low]) == 1 and self._is_part(low, read.node):
                del self.depth[low]
                for reader in reversed(above):
                    self._probe(reader, alike=False)

    @staticmethod
    def _is_part(node: Node, of: Node) -> bool:
        """Whether a node is known to have no more elements than another."""
        return dims.is_nonnegative(dims.sub(dims.product(of.type.shape), dims.product(node.type.shape)))

    @staticmethod
    def _is_linear(address: Size, axes: tuple[Size, ...]) -> bool:
        """Whether an address grows by the same distance along each of some axes."""
        for axis in axes:
            (name,) = dims.names(axis)
            if dims.names(axis) & dims.names(dims.sub(dims.substitute(address, {name: dims.add(axis, 1)}), address)):
                return False
        return True

    def _rounds(self, node: Node) -> bool:
        """Whether a node rounds what a kernel computes to a type of 16 bits: it is what memory keeps, at half the size."""
        return node.type.dtype.is_storage and any(
            not self.is_leaf(read.node) and not read.node.type.dtype.is_storage for read in self.reads[node]
        )

    def _reads_later(self, node: Node) -> bool:
        if isinstance(node.op.lowering, Pointwise) and node.op.lowering.later:
            return True
        found = [i in self.later for i in node.inputs if i not in self.fixed]
        return bool(found) and all(found)

    def _moves(self, node: Node) -> bool:
        """Note a node that does nothing but put the axes of a contraction's result in another order: the contraction does so."""
        if len(self.reads[node]) != 1 or self.weight[node] or not isinstance(node.op.lowering, Pointwise):
            return False
        (read,) = self.reads[node]
        names = axis_names(len(self.work[node].domain))
        if self.is_leaf(read.node) or self.form(read.node) != "contract":
            return False
        if len(self.users[read.node]) > 1 or read.node in self.roots:
            return False
        if read.index == names or sorted(map(str, read.index)) != sorted(map(str, names)):
            return False
        self.moved[node] = tuple(names.index(i) for i in read.index)
        return True

    def product_of(self, cluster: Cluster) -> Node:
        """The contraction of a cluster of that form."""
        return next(n for n in cluster.nodes if n not in self.work)

    def index_of(self, node: Node, index: tuple[Size, ...], shape: Shape, ranges: dims.Ranges) -> tuple[Size, ...]:
        """The index of the element of a node that an epilogue makes at an index of its result, which has a shape."""
        if node in self.moved:
            return tuple(index[self.moved[node].index(a)] for a in range(len(index)))
        given = core_shape(node)
        return index if given == shape else dims.unravel(dims.ravel(index, shape), given, ranges)

    def _kind(self, node: Node) -> int:
        """A number that nodes share if the same code computes them from values of the same types."""
        inputs = tuple(self.kinds[i] if self.inlined(i) else i.type for i in node.inputs)
        attrs = tuple((name, type(value), value) for name, value in sorted(node.attrs.items()))
        return self._numbers.setdefault((node.op, node.type, inputs, attrs), len(self._numbers))

    def _probe(self, node: Node, alike: bool = True) -> None:
        """What a node reads and costs; asked once of all that are alike."""
        work = self.work.get(node)
        kind = self.kinds[node] = self._kind(node)
        if alike and kind in self._known:
            paths, indices, weight = self._known[kind]
            self.reads[node] = [Read(reached(node, p), i) for p, i in zip(paths, indices, strict=True)]
            self.weight[node] = weight
            return
        probe = Trace(node, {} if work is None else {f"d.{a}": n for a, n in enumerate(work.domain)}, self.inlined)
        if work is not None:
            work_value(probe, work, axis_names(len(work.domain)))
        else:
            rank = node.inputs[0].type.rank if node.inputs else 0  # a loop may be given nothing
            match node.op.lowering:
                case Host() | Scan() | While() | Switch() | Sized():
                    for operand, given in enumerate(node.inputs):
                        probe.load(operand, axis_names(given.type.rank))
                case Contraction():
                    *batch, m, k, n = axis_names(rank + 1)
                    probe.load(0, (*batch, m, k))
                    probe.load(1, (*batch, k, n))
                case Scatter(place=place, base=base):
                    probe.load(0, axis_names(rank))
                    if base is not None:
                        probe.load(base, axis_names(node.type.rank))
                    place(probe, axis_names(rank), **node.attrs)
                case Prefix():
                    for operand in range(len(node.inputs)):
                        probe.load(operand, axis_names(rank))
        self.reads[node] = probe.reads
        self.weight[node] = probe.weight
        if alike:
            self._known[kind] = probe.paths, [r.index for r in probe.reads], probe.weight

    def _absorb(self) -> None:
        """Inline what only one column reduction reads: it is computed once there, too."""
        for node in reversed(self.graph.nodes):
            users = self.users[node]
            if not isinstance(node.op.lowering, Pointwise) or node in self.roots or self.inlined(node) or len(users) != 1:
                continue
            if node in self.whole:
                continue
            depth = self.depth.get(users[0], 0) + 1 if self.inlined(users[0]) else 1
            target = users[0]
            while self.inlined(target) and len(self.users[target]) == 1:
                target = self.users[target][0]
            if target not in self.work or self.form(target) != "columns" or depth > MAX_INLINE or len(self.reads[node]) > 4:
                continue
            if len(core_shape(node)) == len(self.work[target].domain):  # a smaller value would be computed many times
                self.depth[node] = depth
                self._probe(target, alike=False)

    def _absorb_shifted(self) -> None:
        """Inline elementwise code whose one reader needs it at a shifted place: it is computed once there, too."""
        for target in self.graph.nodes:
            if target not in self.work or self.inlined(target):
                continue
            for read in self.reads[target]:
                if read.index == axis_names(len(read.index)) or not self._is_beside(target, read):
                    continue
                tree = self._tree(read.node, target)
                kept = {r.node for n in tree for r in self.reads[n] if not self.is_leaf(r.node)} - tree.keys()
                if tree and sum(map(bytes_of, kept)) <= bytes_of(read.node):  # they may need buffers, which it needs no more
                    self.depth |= tree
                    self._probe(target, alike=False)

    def _is_beside(self, node: Node, read: Read) -> bool:
        """Whether a node of about as many elements reads each at a fixed distance from its own place."""
        domain = self.work[node].domain
        if len(domain) != len(core_shape(read.node)):
            return False
        for own, at, n, size in zip(axis_names(len(domain)), read.index, domain, core_shape(read.node), strict=True):
            more = dims.sub(n, size)
            if not isinstance(dims.sub(at, own), int) or not isinstance(more, int):
                return False
            if isinstance(size, int) and more > size // 8:
                return False
        return True

    def _tree(self, root: Node, reader: Node) -> dict[Node, int]:
        """The elementwise nodes that a value is made of and that serve its reader alone, with their depths."""
        tree: dict[Node, int] = {}
        todo = [(root, reader, 1)]
        while todo:
            node, reader, depth = todo.pop()
            users = self.users[node]
            while len(users) == 1 and self.inlined(users[0]):
                users = self.users[users[0]]
            alone = users == [reader] and node not in self.roots and isinstance(node.op.lowering, Pointwise)
            if alone and depth <= MAX_INLINE and node not in self.later:
                tree[node] = depth
                todo += [(r.node, node, depth + 1) for r in self.reads[node] if self._is_beside(node, r)]
        return tree

    def form(self, node: Node) -> str:
        """The kind of cluster that a node starts."""
        match node.op.lowering:
            case Scatter():
                return "scatter"
            case Host() | Scan() | While() | Switch() | Sized() | Project():
                return "whole"
            case Prefix():
                return "prefix"
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
        """How far apart in memory neighbours along a domain axis are."""
        name = f"d.{axis}"
        linear = dims.ravel(read.index, core_shape(read.node))
        return dims.sub(dims.substitute(linear, {name: 1}), dims.substitute(linear, {name: 0}))

    # --- clusters ---

    def _place(self, node: Node) -> None:
        if isinstance(node.op.lowering, Project):
            home = self.home[node] = self.home[node.inputs[0]]
            home.nodes.append(node)
            return
        producers: dict[int, Cluster] = {}
        for read in self.reads[node]:
            if read.node not in self.home:
                continue
            if node in self.later and read.node not in self.later:
                self.refusals[read.node, node] = (Refusal(LATER, read.node, node),)
                continue
            home = self.home[read.node]
            producers[home.number] = home
        own = self._new(node)
        full = False
        for number in sorted(producers, key=lambda n: (producers[n].form == "rows", -n)):
            cluster = self.clusters.get(number)
            if cluster is None or cluster is own:
                continue
            merged = self._merge(cluster, own)
            full |= merged is FULL
            if isinstance(merged, Rule):
                self.refuse(cluster, [node], merged)
                if own.form != "rows":  # elementwise code that only an epilogue needs belongs to it
                    merged = self._merge(own, cluster)
            own = own if isinstance(merged, Rule) else merged
        if (not producers or (full and len(own.nodes) == 1)) and own.form == "rows" and node not in self.later:
            self._join_sibling(node, own)

    def refuse(self, cluster: Cluster, readers: list[Node], *rules: Rule) -> None:
        """Remember why nodes are apart from a cluster whose values they read."""
        for node in readers:
            for read in self.reads[node]:
                if self.home.get(read.node) is cluster:
                    known = self.refusals.get((read.node, node), ())
                    new = dict.fromkeys(rule for rule in rules if all(r.rule != rule for r in known))
                    self.refusals[read.node, node] = (*known, *(Refusal(rule, read.node, node) for rule in new))

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
                cluster.before |= home.mask | home.before
                cluster.reads |= home.bit
                home.readers |= cluster.bit
        self.clusters[cluster.number] = cluster
        self.home[node] = cluster
        return cluster

    @staticmethod
    def _is_small(shape: Shape) -> bool:
        size = dims.product(shape)
        return isinstance(size, int) and size <= SMALL

    def _join_sibling(self, node: Node, own: Cluster) -> None:
        """Put a node that reads only leaves, or what kernels make that are full, beside another that reads the same."""
        given = {read.node for read in self.reads[node]}
        for cluster in islice(reversed(self.clusters.values()), 1, 9):
            if cluster.form != "rows" or cluster.shape != own.shape:
                continue
            if not any(read.node in given for n in cluster.nodes for read in self.reads[n]):
                continue
            if not isinstance(self._merge(cluster, own), Rule):
                return

    def _pair_columns(self) -> None:
        """Put sums down the same columns together where they read the same array: it passes through memory once."""
        last: dict[tuple[Any, ...], Cluster] = {}
        for own in self.order():
            if own.form != "columns":
                continue
            node = next(n for n in own.nodes if self.work[n].is_reduction)
            work, lane = self.work[node], self.lane(node)
            key = work.domain, work.reduced, work.combine, node.type.dtype, lane
            other = last.setdefault(key, own)
            if other is own or lane is None:
                continue
            given = {r.node for r in self.reads[node]}
            same = any(r.node in given for n in other.nodes if self.work[n].is_reduction for r in self.reads[n])
            apart = not (other.before & own.mask or own.before & other.mask)
            sums = sum(self.work[n].is_reduction for n in (*other.nodes, *own.nodes))
            if same and apart and len(other.nodes) + len(own.nodes) <= MAX_NODES and sums <= MAX_SUMS:
                self.replace(other, own, other)
            else:
                last[key] = own

    def _merge(self, first: Cluster, second: Cluster) -> Cluster | Rule:
        """One cluster of both, if they fit and no third lies between; `second` holds nothing that `first` reads."""
        if len(first.nodes) + len(second.nodes) > MAX_NODES:
            return FULL
        if not self.acyclic(first, second):
            return BETWEEN
        prefix = self.common_prefix(first, second)
        if isinstance(prefix, Rule):
            return prefix
        if first.form == "rows" and len(first.shape) < len(second.shape):
            first.shape = second.shape
        first.prefix = prefix
        first.totals |= second.totals
        self.replace(first, second, first)
        return first

    def acyclic(self, first: Cluster, second: Cluster) -> bool:
        """Whether no path from one to the other runs through a third cluster."""
        for a, b in ((first, second), (second, first)):
            if not b.before & a.mask:
                continue
            between = b.reads & ~(a.mask | b.mask)
            if any(self._living(number).before & a.mask for number in numbers_of(between)):
                return False
        return True

    def common_prefix(self, first: Cluster, second: Cluster) -> int | Rule:
        """How many leading axes two clusters can share as rows, or why they do not fit."""
        if second.form != "rows":
            return _COMPLETE[second.form]
        if first.form in _FINAL:
            return _FINAL[first.form]
        if first.form != "rows":  # a contraction's or column reduction's epilogue: elementwise on its result
            if second.totals or any(self.work[n].is_reduction for n in second.nodes):
                return Rule("one element", f"a reduction needs more than one element of what {_MADE[first.form]} makes")
            return self._reads_in_place(first, second) or first.prefix
        rank = min(first.prefix, second.prefix)
        members = {*first.nodes, *second.nodes}
        totals = first.totals | second.totals
        for node in self._met(first, second):
            work = self.work[node]
            for read in self.reads[node]:
                if read.node not in members:
                    continue
                given = core_shape(read.node)
                r = len(given)
                if read.node in totals:
                    return TOTAL
                if r > len(work.domain) or given != work.domain[:r]:
                    return OTHER_ROWS
                if read.index != axis_names(len(work.domain))[:r]:
                    return ELSEWHERE
                if r < len(work.domain):
                    rank = min(rank, r)
            if work.is_reduction and node not in totals:
                rank = min(rank, work.reduced[0])
        shapes = self._domains(first) | self._domains(second)
        longest = max(shapes, key=len)
        if any(s[:rank] != longest[:rank] or len(s) < rank for s in shapes):
            return NO_ROWS
        if rank == 0 and not all(self._is_small(s) for s in shapes):
            return NO_ROWS
        if rank == 0 and (totals or (len(longest) > 0 and not any(self.work[n].is_reduction for n in members))):
            return NO_ROWS
        if totals and any(len(self.work[n].domain) < rank for n in totals):
            return NO_ROWS
        return rank

    def _met(self, first: Cluster, second: Cluster) -> list[Node]:
        """The nodes of two clusters whose reads are to be looked at: those of the first alone were when they came."""
        readers = {reader for n in second.nodes for reader in self.read_by.get(n, ())}
        if readers:
            readers.intersection_update(first.nodes)
        return [*sorted(readers, key=self.position.__getitem__), *second.nodes]

    def _domains(self, cluster: Cluster) -> set[Shape]:
        """The domains of a rows cluster's nodes."""
        if cluster.domains is None:
            cluster.domains = {self.work[n].domain for n in cluster.nodes}
        return cluster.domains

    def _reads_in_place(self, first: Cluster, second: Cluster) -> Rule | None:
        """Why not every element of `second` needs only one element of what `first` makes, and makes the same one."""
        members = {*first.nodes, *second.nodes}
        size = dims.product(first.shape)
        index = tuple(dims.symbol(f"c.{a}") for a in range(len(first.shape)))
        ranges = {f"c.{a}": n for a, n in enumerate(first.shape)}
        plain = axis_names(len(first.shape))
        for node in self._met(first, second):
            inside = [r for r in self.reads[node] if r.node in members]
            product = node not in self.work or self.work[node].is_reduction
            if inside and product:
                return Rule("whole value", f"{_MADE[first.form]} needs more than one element of the value")
            values = [node, *(r.node for r in inside)]
            if all(r.index == plain for r in inside) and all(self._is_plain(n, first.shape) for n in values):
                continue
            if first.form == "prefix":  # whose indices, begun anew in every block, say nothing about other shapes
                return Rule("other shape", "the reader has another shape than the running reduction")
            if dims.product(core_shape(node)) != size or size == 0:  # of nothing, shapes that differ have equally many
                return Rule("other count", f"the reader has not as many elements as {_MADE[first.form]} makes")
            here = {f"d.{a}": i for a, i in enumerate(self.index_of(node, index, first.shape, ranges))}
            for read in inside:
                found = tuple(dims.substitute(i, here, ranges) for i in read.index)
                if found != self.index_of(read.node, index, first.shape, ranges):
                    return ELSEWHERE
        return None

    def _is_plain(self, node: Node, shape: Shape) -> bool:
        """Whether a value's elements lie as those of a shape do."""
        return node not in self.moved and core_shape(node) == shape

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
        while todo:  # what comes after one of the two comes after all that is before the other
            cluster = self._living(todo.pop())
            if more & ~cluster.before:
                cluster.before |= more
                todo += numbers_of(cluster.readers)

    def _unborn(self, last: Cluster, group: Cluster) -> None:
        """Give the number of the last cluster, which nobody reads, to the next one: numbers are as few as clusters that stay."""
        self._born -= 1
        for number in numbers_of(last.reads):
            home = self._living(number)
            home.readers = home.readers & ~last.bit | group.bit
        last.mask = 0

    def _living(self, number: int) -> Cluster:
        """The cluster that one of this number has become part of, or is."""
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
        allowed = [n for n in wished if not needs[n]]  # nothing but wishes may stand in their way
        heapq.heapify(allowed)
        needed_by: dict[int, list[int]] = {c.number: [] for c in clusters}
        wished_by: dict[int, list[int]] = {c.number: [] for c in clusters}
        for wants, feeds in ((needs, needed_by), (wished, wished_by)):
            for number, given in wants.items():
                for g in given:
                    feeds[g].append(number)
        size = {c.number: sum(bytes_of(n) for n in c.nodes) for c in clusters}

        def rank(number: int) -> tuple[bool, int]:
            """What frees memory or takes hardly any comes first."""
            return number not in wished and size[number] > TINY, number

        ready = [rank(n) for n, count in waiting.items() if not count]
        heapq.heapify(ready)
        done: dict[int, None] = {}
        while len(done) < len(clusters):
            if not ready:  # only wishes stand in the way: give up those of the first cluster whose needs are met
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


def reached(node: Node, path: tuple[int, ...]) -> Node:
    """The node that a path of operands leads to."""
    for operand in path:
        node = node.inputs[operand]
    return node
