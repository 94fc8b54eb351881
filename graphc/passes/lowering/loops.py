"""Loops and choices: the kernels of their bodies become the statements of one kernel.

    scan over %x carrying %c                    kernel k0(%x0, %x1) -> %y0 {
      body: k0 makes the new %c      =>           copy %x0 to %y0
                                                  for t < n { the statements of k0, on %y0 and %x1[t, ...] }
                                                }

A body is lowered as a graph of its own, its carries as variables that are updated in place. Then each of its kernels is written
out: its parallel loops in order, temporaries as scratch, a slice of a sequence as the whole sequence at the step's index.
Carries of one element are scratch too, which becomes registers; a loop of one turn is written without a loop. The steps of a loop
that carries nothing are independent, so they are parallel; a loop whose carries have independent rows is partitioned by rows
(partition_carries.py). Where a body calls a routine of Python, Python runs the loop, each step by the body's own program.

A step that is long by itself, or has such a loop within it, stays a program (steps.py): threads share each of its kernels. Within
a choice or a loop whose end is data all loops are written out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from dataclasses import replace

from graphc.ir import dims, loops
from graphc.ir import program as ir
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Node, subgraphs
from graphc.ir.lanes import lanes_of
from graphc.ir.operation import Collective
from graphc.ir.scalar import Arg, Let, Ref
from graphc.ir.types import DType, TensorType
from graphc.passes.fusion.bodies import needs_python
from graphc.passes.fusion.cluster import Cluster
from graphc.passes.fusion.plan import Plan
from graphc.passes.lowering.collectives import lower_collective
from graphc.passes.lowering.host_calls import lower_host_call, results_of
from graphc.passes.lowering.lanes import lower_lanes
from graphc.passes.lowering.partition_carries import Partition, partition_of
from graphc.passes.lowering.steps import are_long, exchange, steps_of
from graphc.passes.plan_buffers import in_place

Lower = Callable[[Plan, bool], ir.Program]
Place = tuple[str, ir.Index]  # an array of the kernel, and the first of its indices


def lower_whole(
    plan: Plan, cluster: Cluster, names: Mapping[Node, str], buffers: MutableMapping[str, ir.Buffer], lower: Lower, steps: bool
) -> list[ir.Call]:
    """The calls of a loop, a choice or a routine; constants of a body join the program's buffers.

    `lower` lowers the plan of a body; `steps` is whether loops may stay programs that run again and again.
    """
    node = results_of(cluster)[0]
    lanes = lanes_of(node)
    if lanes is not None:
        return lower_lanes(plan, cluster, names, lanes)
    if isinstance(node.op.lowering, Collective):
        return lower_collective(plan, cluster, names)
    if needs_python(node):
        return [lower_host_call(plan, cluster, names, tuple(lower(inner, True) for inner in plan.within.get(node, ())))]
    kernel = _Kernel(plan, cluster, names, lower)
    kernel.write(steps)
    buffers.update({b.name: b for b in kernel.constants})
    return [kernel.call()]


class _Kernel:
    """The kernel of one node under construction."""

    def __init__(self, plan: Plan, cluster: Cluster, names: Mapping[Node, str], lower: Lower) -> None:
        self.plan = plan
        self.lower = lower
        self.cluster = cluster
        self.names = names
        self.node, results, _ = results_of(cluster)
        types = self.node.type.parts if hasattr(self.node.type, "parts") else (self.node.type,)
        self.params: list[ir.Param] = []
        self.buffers: list[str] = []
        self.inputs = [self._param("x", i, n.type, "in", names[n]) for i, n in enumerate(self.node.inputs)]
        self.results = [
            self._param("y", i, kind, "out", f"{names[self.node]}.{i}" if n is None else names[n])
            for i, (n, kind) in enumerate(zip(results, types, strict=True))
        ]
        self.parallel: tuple[ir.Axis, ...] = ()
        self.steps: ir.Steps | None = None
        self.partition: Partition | None = None
        self.body: list[ir.Statement] = []
        self.scratch: list[ir.Scratch] = []
        self.constants: list[ir.Buffer] = []
        self._taken = set(plan.dims) | set().union(*(g.dims for g in subgraphs(self.node)))
        self._count = 0

    def _param(self, letter: str, number: int, kind: TensorType, mode: str, buffer: str) -> str:
        name = f"{letter}{number}"
        self.params.append(ir.Param(name, TensorType(kind.dtype, (kind.size,)), mode))
        self.buffers.append(buffer)
        return name

    def _slices(self, name: str, steps: Size) -> None:
        """Give an array the step as its first index."""
        at = next(i for i, p in enumerate(self.params) if p.name == name)
        kind = (self.node.inputs[int(name[1:])].type if name[0] == "x" else self._result_type(int(name[1:]))).shape
        self.params[at] = replace(self.params[at], type=TensorType(self.params[at].type.dtype, (steps, dims.product(kind[1:]))))

    def _result_type(self, i: int) -> TensorType:
        return self.node.type.parts[i] if hasattr(self.node.type, "parts") else self.node.type

    def fresh(self, name: str) -> str:
        """A loop variable that nothing else is called."""
        while name in self._taken:
            name += "_"
        self._taken.add(name)
        return name

    def call(self) -> ir.Call:
        where = () if self.node.where is None else (self.node.where,)
        places = tuple(self.plan.position[n] for n in self.cluster.nodes)
        pairs = sorted(zip(self.params, self.buffers, strict=True), key=lambda pair: pair[0].mode == "out")
        params, buffers = zip(*pairs, strict=True)  # parameters that are read, constants too, stand before those that are made
        if self.steps is not None:
            return ir.Call(replace(self.steps, params=params, where=where, nodes=places), buffers)
        return ir.Call(ir.Kernel("k", params, self.parallel, tuple(self.body), tuple(self.scratch), where, places), buffers)

    # --- the three forms ---

    def write(self, steps: bool) -> None:
        """Write the node as a kernel, or as steps if these are allowed."""
        loop, plans = loops.loop_of(self.node), self.plan.within[self.node]
        assert loop is not None
        if loop.steps is not None:
            self.scan(loop, loop.steps, plans[0], steps)
            return
        programs = [in_place(self.lower(plan, False), exchange=False) for plan in plans]
        if loop.test is None:
            self.choose(programs)
        else:
            self.repeat(programs[0], programs[1], loop.carries)

    def scan(self, loop: loops.Loop, steps: Size, plan: Plan, apart: bool) -> None:
        carries, sequences, reverse = loop.carries, loop.sequences, loop.reverse
        lowered = self.lower(plan, apart)
        if exchange(lowered):
            self.steps = steps_of(lowered, steps, carries, sequences, reverse)
            return
        program = in_place(lowered, exchange=False)
        step = self.fresh("t")
        holds = any(isinstance(call.kernel, ir.Steps) for call in lowered.calls)
        self.partition = partition_of(program, carries, self.fresh("part")) if carries and not holds else None
        if apart and (carries or holds) and self.partition is None and are_long(program):
            self.steps = steps_of(lowered, steps, carries, sequences, reverse)
            return
        if holds:
            program = in_place(self.lower(plan, False), exchange=False)
        if self.partition is not None:
            self.parallel = (self.partition.axis,)
        at: Size = dims.symbol(step)
        if reverse:
            at = dims.sub(dims.sub(steps, 1), at)
        for name in (*self.inputs[carries : carries + sequences], *self.results[carries:]):
            self._slices(name, steps)
        carried = self._start(carries)
        places: dict[str, Place] = {}
        for i, name in enumerate(program.inputs):
            sliced = carries <= i < carries + sequences
            places[name] = (carried if i < carries else self.inputs)[i], (at,) if sliced else ()
        inside = self.embed(program, places, [(name, (at,)) for name in self.results[carries:]])
        if carries:
            self.body.append(ir.Loop(step, steps, tuple(inside)))
        else:
            self.parallel = (ir.Axis(step, steps),)
            self.body += inside
        self._end(carried)

    def repeat(self, condition: ir.Program, program: ir.Program, carries: int) -> None:
        carried = self._start(carries)
        given: list[Place] = [((carried if i < carries else self.inputs)[i], ()) for i in range(len(self.inputs))]
        flag = self._scratch(t.bool_, (1,))
        asked = self.embed(condition, dict(zip(condition.inputs, given, strict=True)), [(flag, ())])
        value = f"{self._number()}"
        asked.append(ir.Load(value, t.bool_, flag, (0,)))
        inside = self.embed(program, dict(zip(program.inputs, given, strict=True)), [])
        self.body.append(ir.While(ir.Block(tuple(asked), Ref(value, t.bool_)), tuple(inside)))
        self._end(carried)

    def choose(self, branches: Sequence[ir.Program]) -> None:
        index = f"{self._number()}"
        bodies = []
        for program in branches:
            places: dict[str, Place] = {name: (x, ()) for name, x in zip(program.inputs, self.inputs[1:], strict=True)}
            bodies.append(tuple(self.embed(program, places, [(y, ()) for y in self.results])))
        self.body += [ir.Load(index, t.int64, self.inputs[0], (0,)), ir.Branch(Ref(index, t.int64), tuple(bodies))]

    def _start(self, carries: int) -> list[str]:
        """The memory of the carries, which begin as they are given: that of the results, or scratch for a single element."""
        carried = []
        for given, made, node in zip(self.inputs[:carries], self.results, self.node.inputs, strict=False):
            place = self._scratch(node.type.dtype, (1,)) if node.type.size == 1 else made
            self.body += self._copied((given, ()), (place, ()), node.type)
            carried.append(place)
        return carried

    def _end(self, carried: Sequence[str]) -> None:
        """Store the carries' last values as results."""
        for place, made, node in zip(carried, self.results, self.node.inputs, strict=False):
            if place != made:
                self.body += self._copied((place, ()), (made, ()), node.type)

    def _copied(self, source: Place, target: Place, kind: TensorType) -> list[ir.Statement]:
        value = f"{self._number()}"
        once = kind.size == 1
        i = "" if once else self.fresh("i")
        at: ir.Index = (0,) if once else (dims.symbol(i),)
        copy = (
            ir.Load(value, kind.dtype, source[0], (*source[1], *at)),
            ir.Store(target[0], (*target[1], *at), Ref(value, kind.dtype)),
        )  # fmt: skip
        if once:
            return list(copy)
        whole = ir.Axis(i, kind.size)
        if self.partition is not None:
            turns = dims.divide_exactly(kind.size, self.partition.rows)
            assert isinstance(turns, int)
            whole = self.partition.limited(whole, turns)
        return [ir.Loop(i, whole.stop, copy, whole.start)]

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _scratch(self, dtype: DType, shape: tuple[Size, ...]) -> str:
        self.scratch.append(ir.Scratch(f"s{len(self.scratch)}", dtype, shape))
        return self.scratch[-1].name

    # --- writing a body out ---

    def embed(self, program: ir.Program, places: Mapping[str, Place], results: Sequence[Place]) -> list[ir.Statement]:
        """The statements of a program, on the memory of its inputs and results."""
        known = dict(places)
        copies: list[ir.Statement] = []
        for name, place in zip(program.outputs, results, strict=True):
            if name in known:  # one value, twice a result
                copies += self._copied(known[name], place, program.buffers[name].type)
            else:
                known[name] = place
        for call in program.calls:
            for name in call.buffers:
                if name in known:
                    continue
                buffer = program.buffers[name]
                if buffer.role == "constant":
                    outer = f"{self.names[self.node]}.c{len(self.constants)}"
                    known[name] = self._param("c", len(self.constants), buffer.type, "in", outer), ()
                    self.constants.append(replace(buffer, name=outer))
                else:
                    known[name] = self._scratch(buffer.type.dtype, (buffer.type.size,)), ()
        statements: list[ir.Statement] = []
        turns: Sequence[Mapping[str, int]] = [{}] * len(program.calls) if self.partition is None else self.partition.turns
        for call, counting in zip(program.calls, turns, strict=True):
            statements += _Rewriting(self, call, known, counting).statements()
        return statements + copies


class _Rewriting:
    """A kernel of a body as statements: on other memory, with names of its own."""

    def __init__(self, kernel: _Kernel, call: ir.Call, places: Mapping[str, Place], turns: Mapping[str, int]) -> None:
        assert isinstance(call.kernel, ir.Kernel), "a body that has steps, or calls Python, is not written out"
        self.kernel = call.kernel
        self.partition, self.turns = kernel.partition, turns
        self.number = kernel._number()
        self.places = {p.name: places[b] for p, b in zip(self.kernel.params, call.buffers, strict=True)}
        self.shapes = {p.name: p.type.shape for p in self.kernel.params}
        for s in self.kernel.scratch:
            self.places[s.name] = kernel._scratch(s.dtype, (dims.product(s.shape),)), ()
            self.shapes[s.name] = s.shape
        ranges: dict[str, set[ir.Axis]] = {}
        for axis in self.kernel.parallel:
            ranges.setdefault(axis.var, set()).add(axis)
        for statement in ir.statements_of(self.kernel.body):
            match statement:
                case ir.Loop(var, stop, _, start):
                    ranges.setdefault(var, set()).add(ir.Axis(var, stop, start))
                case ir.Contract(m=m, n=n, k=k):
                    for axis in (m, n, k):
                        ranges.setdefault(axis.var, set())
        self.loops: dict[str, Size] = {}  # what replaces a loop variable: another one, or the start of a loop of one turn
        self.once = {var for var, axes in ranges.items() if [a.extent for a in axes] == [1] and var not in turns}
        for var, axes in ranges.items():
            self.loops[var] = self.size(axes.pop().start) if var in self.once else dims.symbol(kernel.fresh(var))

    def statements(self) -> tuple[ir.Statement, ...]:
        body = self.rewritten(self.kernel.body)
        for axis in reversed(self.kernel.parallel):
            body = self.loop(axis, body)
        return body

    def loop(self, axis: ir.Axis, body: tuple[ir.Statement, ...]) -> tuple[ir.Statement, ...]:
        """A loop around a body, or the body alone if there is one turn."""
        if axis.var in self.once:
            return body
        renamed = self.axis(axis)
        return (ir.Loop(renamed.var, renamed.stop, body, renamed.start),)

    def name(self, name: str) -> str:
        return f"{self.number}_{name}"

    def arg(self, arg: Arg) -> Arg:
        return Ref(self.name(arg.name), arg.dtype) if isinstance(arg, Ref) else arg

    def size(self, size: Size) -> Size:
        new: dict[str, Size] = {}
        for name in dims.names(size):
            if name.startswith("%"):
                new[name] = dims.symbol("%" + self.name(name[1:]))
            elif name in self.loops:
                new[name] = self.loops[name]
        return dims.substitute(size, new) if new else size

    def axis(self, axis: ir.Axis) -> ir.Axis:
        renamed = ir.Axis(str(self.loops[axis.var]), self.size(axis.stop), self.size(axis.start))
        if self.partition is None or axis.var not in self.turns:
            return renamed
        return self.partition.limited(renamed, self.turns[axis.var])

    def at(self, buffer: str, index: ir.Index) -> Place:
        name, first = self.places[buffer]
        return name, (*first, self.size(dims.ravel(index, self.shapes[buffer])))

    def rewritten(self, body: tuple[ir.Statement, ...]) -> tuple[ir.Statement, ...]:
        return tuple(new for s in body for new in self.statement(ir.with_bodies(s, self.rewritten)))

    def block(self, block: ir.Block) -> ir.Block:
        return ir.Block(block.body, self.arg(block.value))

    def statement(self, statement: ir.Statement) -> tuple[ir.Statement, ...]:
        """The statement, whose bodies are rewritten, with its own names rewritten."""
        match statement:
            case ir.Loop(var, stop, body, start):
                return self.loop(ir.Axis(var, stop, start), body)
        return (self.renamed(statement),)

    def renamed(self, statement: ir.Statement) -> ir.Statement:
        match statement:
            case Let(name, dtype, op, args, index):
                return Let(self.name(name), dtype, op, tuple(map(self.arg, args)), self.size(index))
            case ir.Load(name, dtype, buffer, index, guard):
                return ir.Load(self.name(name), dtype, *self.at(buffer, index), None if guard is None else self.arg(guard))
            case ir.Store(buffer, index, value):
                return ir.Store(*self.at(buffer, index), self.arg(value))
            case ir.Accumulate(buffer, index, combine, value):
                return ir.Accumulate(*self.at(buffer, index), combine, self.arg(value))
            case ir.Init(name):
                return replace(statement, name=self.name(name))
            case ir.Reduce(name, dtype, combine, value, position):
                place = None if position is None else self.size(position)
                return ir.Reduce(self.name(name), dtype, combine, self.arg(value), place)
            case ir.While(test, body):
                return ir.While(self.block(test), body)
            case ir.Branch(index, bodies):
                return ir.Branch(self.arg(index), bodies)
            case ir.Contract(m, n, k, left, right, result, dtype, epilogue):
                m, n, k = map(self.axis, (m, n, k))
                return ir.Contract(m, n, k, self.block(left), self.block(right), self.name(result), dtype, epilogue)
            case ir.Loop() | ir.Join():
                raise AssertionError("loops are rewritten whole, and nothing is joined yet")
