"""Check that a program is one: what every pass over programs relies on, and must leave behind.

Of the program:
    1. a call's buffers exist, and each holds as many elements of its type as the kernel's parameter
    2. what is read has been written: inputs, variables and constants are there, others are written by an earlier call
    3. an input or a constant is never written; an output is
    4. temporaries that live at the same time have slots of their own, and no slot is smaller than what lies in it
    5. an update pairs a variable, once, with a buffer of its type
    6. the signature has every input and every variable, once, and they, as the outputs, are buffers of its types
    7. a rule for a size is of an axis that there is, and linear in the size; every size that buffers and requirements have is
       told by such a rule, or from outside
    8. a collective is waited for once, as it was started; starts are in the order of their numbers; until the wait no other call
       has what it makes, or writes what it reads
Of a kernel:
    9. a name is defined before it is used, and not again while it is in sight; a loop variable is in sight within its loop
   10. operands have the types that their operation takes; loads and stores have those of their buffers
   11. an index has as many parts as its buffer has axes, and where sizes show it, it lies inside
   12. a store goes into scratch, or into a parameter that is made, and no two iterations of a parallel loop store into one
       element, as far as their indices show it: one that does not depend on a parallel loop's variable is an error
   13. a reduction continues an accumulator of its type and combination; what is joined is scratch of one axis, whose length is a
       power of 2, by a combination that has a name and is neither a position nor "set"
   14. no run of a contraction is longer than RUN; where runs are counted from an origin, k does not start before it
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

from graphc.errors import GraphError
from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir import types as t
from graphc.ir.combines import PLAIN, SET
from graphc.ir.dims import Size
from graphc.ir.names import written
from graphc.ir.scalar import Arg, Const, Let, Ref, implied
from graphc.ir.signature import is_linear
from graphc.ir.types import DType, TensorType

GIVEN = ("input", "variable", "constant")  # roles of buffers that hold values before the first call


def verify_program(program: ir.Program, sizes: Collection[str] = (), carries: Sequence[str] = ()) -> ir.Program:
    """The program itself, if it is sound; else GraphError with what is not.

    sizes: the names that it is told from outside, as a program within another is.
    carries: the inputs that it updates, as the program of steps does.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (3,))
    >>> verify_program(gx.compile([x], gx.exp(x)).program).name
    'graph'
    """
    _check_buffers(program, carries)
    _check_signature(program, set(sizes))
    _check_slots(program)
    _check_collectives(program)
    known = {*sizes, *dims.names(*(n for b in program.buffers.values() for n in b.type.shape))}
    done: set[int] = set()
    for call in program.calls:
        called = call.kernel
        if id(called) in done:
            continue
        done.add(id(called))
        match called:
            case ir.Kernel():
                verify_kernel(called, known)
            case ir.HostCall():
                told = [dict(called.attrs)["size"]] if called.is_sized else []
                for inner in called.programs:
                    verify_program(inner, (*known, *told))
            case ir.Steps():
                verify_program(called.program, known, called.program.inputs[: called.carries])
    return program


def _check_buffers(program: ir.Program, carries: Sequence[str]) -> None:
    def wrong(what: str) -> GraphError:
        return GraphError(f"verify: program {program.name}: {what}")

    buffers = program.buffers
    for name in (*program.inputs, *program.outputs, *(name for pair in program.updates for name in pair)):
        if name not in buffers:
            raise wrong(f"there is no buffer {written(name)}")
    holds = {name for name, b in buffers.items() if b.role in GIVEN}
    for call in program.calls:
        kernel = call.kernel
        if len(call.buffers) != len(kernel.params):
            raise wrong(f"{kernel.name} has {len(kernel.params)} parameters, and is called with {len(call.buffers)}")
        for name, p in zip(call.buffers, kernel.params, strict=True):
            b = buffers.get(name)
            if b is None:
                raise wrong(f"{kernel.name} is called with {written(name)}, which is no buffer")
            if b.type.dtype != p.type.dtype or _differ(b.type.size, p.type.size):
                raise wrong(f"{kernel.name} takes {written(p.name)}: {p.type}, and is called with {written(name)}: {b.type}")
            if p.mode != "out" and name not in holds:
                raise wrong(f"{kernel.name} reads {written(name)}, which no call before it writes")
            if p.mode != "in" and b.role in ("input", "constant") and name not in carries:
                raise wrong(f"{kernel.name} writes the {b.role} {written(name)}")
        holds |= {name for name, p in zip(call.buffers, kernel.params, strict=True) if p.mode != "in"}
    for name in program.outputs:
        if name not in holds:
            raise wrong(f"no call writes the output {written(name)}")
    seen: set[str] = set()
    for variable, source in program.updates:
        if (buffers[variable].role != "variable" and variable not in carries) or variable in seen:
            raise wrong(f"{written(variable)} is updated, and is {'updated already' if variable in seen else 'no variable'}")
        seen.add(variable)
        if source not in holds or buffers[source].type != buffers[variable].type:
            raise wrong(f"the new value of {written(variable)}: {buffers[variable].type} is {written(source)}")


def _check_signature(program: ir.Program, told: set[str]) -> None:
    def wrong(what: str) -> GraphError:
        return GraphError(f"verify: program {program.name}: {what}")

    signature, buffers = program.signature, program.buffers
    roles = (("input", [x.name for x in signature.inputs]), ("variable", [v.name for v in signature.variables]))
    for role, names in roles:
        held = [b.name for b in buffers.values() if b.role == role]
        if sorted(names) != sorted(held):
            odd = next(iter(sorted(set(names) ^ set(held))), names[0] if names else "")
            raise wrong(f"the signature does not have the {role} {written(odd)} once")
    arguments = (*signature.inputs, *signature.outputs)
    for name, kind in (*((x.name, x.type) for x in arguments), *((v.name, v.type) for v in signature.variables)):
        if kind != buffers[name].type:
            raise wrong(f"{written(name)} is {kind} in the signature, and {buffers[name].type} as a buffer")
    types = {x.name: x.type for x in signature.inputs}
    for rule in signature.sizes:
        if rule.input not in types or not 0 <= rule.axis < types[rule.input].rank:
            raise wrong(f"the size {rule.name} is told by axis {rule.axis} of {written(rule.input)}, which no input has")
        if rule.name not in dims.names(rule.size) or not is_linear(rule.size, rule.name):
            raise wrong(f"the size {rule.name} does not follow from {rule.size}")
        told = {*told, rule.name}
    asked = [(f"{written(b.name)}: {b.type}", b.type.shape) for b in buffers.values()]
    asked += [(f"the size {r.name}", (r.size,)) for r in signature.sizes]
    asked += [(f"the requirement {r.left} {r.relation} {r.right}", (r.left, r.right)) for r in signature.requirements]
    for what, sizes in asked:
        for name in sorted(dims.names(*sizes) - told):
            raise wrong(f"no rule tells the size {name} of {what}")


def _differ(a: Size, b: Size) -> bool:
    """Whether two numbers of elements are certainly not the same."""
    difference = dims.sub(a, b)
    return difference != 0 if isinstance(difference, int) else False


def _check_slots(program: ir.Program) -> None:
    lives: dict[str, tuple[int, int]] = {}
    for i, call in enumerate(program.calls):
        for name in call.buffers:
            lives[name] = (lives.get(name, (i, i))[0], i)
    slots: dict[int, list[tuple[int, int, ir.Buffer]]] = {}
    for b in program.buffers.values():
        if b.slot is None:
            if b.role == "temporary" and program.slots and b.name in lives:
                raise GraphError(f"verify: program {program.name}: {written(b.name)} has no slot")
            continue
        if not b.slot < len(program.slots):
            raise GraphError(f"verify: program {program.name}: there is no slot {b.slot} for {written(b.name)}")
        if dims.is_nonnegative(dims.sub(dims.sub(b.type.nbytes, program.slots[b.slot]), 1)):
            slot = f"slot {b.slot} of {program.slots[b.slot]} bytes"
            raise GraphError(f"verify: program {program.name}: {written(b.name)}: {b.type} is more than {slot}")
        if b.name in lives:
            slots.setdefault(b.slot, []).append((*lives[b.name], b))
    for number, users in slots.items():
        users.sort(key=lambda user: user[:2])
        for (_, last, before), (first, _, after) in pairwise(users):
            if first <= last:
                both = f"{written(before.name)} and {written(after.name)}"
                raise GraphError(f"verify: program {program.name}: {both} live in slot {number} at the same time")


def _check_collectives(program: ir.Program) -> None:
    def wrong(call: ir.Call, what: str) -> GraphError:
        where = call.kernel.where[0] if call.kernel.where else None
        return GraphError(f"verify: program {program.name}: {call.kernel.name}: {what}", where=where)

    open_: dict[int, tuple[ir.Call, ir.Collective]] = {}  # by their numbers: what is started, and not waited for
    last = -1
    for call in program.calls:
        match call.kernel:
            case ir.Collective(waits=True) as kernel:
                start, started = open_.pop(kernel.order, (None, None))
                if start is None or started is None or started.waiting() != replace(kernel, name=started.name):
                    raise wrong(call, f"it waits for collective {kernel.order}, which was not started so")
                if start.buffers != call.buffers:
                    raise wrong(call, f"it waits for collective {kernel.order} on other buffers")
                continue
            case ir.Collective() as kernel:
                if kernel.order <= last:
                    raise wrong(call, f"collective {kernel.order} is started after {last}")
                last = kernel.order
        for start, started in open_.values():
            made = start.buffers[-1]
            if made in call.buffers:
                raise wrong(call, f"it has {written(made)}, which collective {started.order} makes and nothing has waited for")
            for name, p in zip(call.buffers, call.kernel.params, strict=True):
                if p.mode != "in" and name in start.buffers:
                    raise wrong(call, f"it writes {written(name)}, which collective {started.order} reads until it is waited for")
        if isinstance(call.kernel, ir.Collective):
            open_[call.kernel.order] = call, call.kernel
    for start, started in open_.values():
        raise wrong(start, f"nothing waits for collective {started.order}")


# --- kernels ---------------------------------------------------------------------------------------------------------


def verify_kernel(kernel: ir.Kernel, sizes: Iterable[str] | None = None) -> ir.Kernel:
    """The kernel itself, if it is sound; else GraphError. `sizes` are the names that its indices may have beside its own."""
    known = set(dims.names(*(n for p in kernel.params for n in p.type.shape), *(n for s in kernel.scratch for n in s.shape)))
    if sizes is not None:
        known |= set(sizes)
    modes = [p.mode == "out" for p in kernel.params]
    names = [p.name for p in kernel.params] + [s.name for s in kernel.scratch]
    if modes != sorted(modes):
        raise GraphError(f"verify: kernel {kernel.name}: what is read stands before what is made alone")
    if len(set(names)) != len(names):
        raise GraphError(f"verify: kernel {kernel.name}: two of its buffers have one name")
    _Checker(kernel, None if sizes is None else known).body(kernel.body, _Scope().inner(kernel.parallel))
    return kernel


@dataclass(frozen=True)
class _Scope:
    """What is in sight: scalars and their types, loop variables; and whether the code certainly runs."""

    scalars: dict[str, DType] = field(default_factory=dict)
    loops: dict[str, ir.Axis] = field(default_factory=dict)
    started: dict[str, ir.Init] = field(default_factory=dict)
    certain: bool = True

    def inner(self, axes: Iterable[ir.Axis] = (), certain: bool = True) -> _Scope:
        axes = tuple(axes)
        empty = any(isinstance(a.extent, int) and a.extent <= 0 for a in axes)
        loops = {**self.loops, **{a.var: a for a in axes}}
        return _Scope(dict(self.scalars), loops, dict(self.started), self.certain and certain and not empty)


class _Checker:
    def __init__(self, kernel: ir.Kernel, sizes: set[str] | None) -> None:
        self.kernel = kernel
        self.sizes = sizes  # of the program too: a kernel that needs none of them may call its own variables so
        types = {p.name: p.type for p in kernel.params} | {s.name: TensorType(s.dtype, s.shape) for s in kernel.scratch}
        self.shapes = {name: kind.shape for name, kind in types.items()}
        self.dtypes = {name: kind.dtype for name, kind in types.items()}
        self.own_sizes = dims.names(*(n for kind in types.values() for n in kind.shape))
        self.made = {p.name for p in kernel.params if p.mode != "in"}
        self.own = {s.name for s in kernel.scratch}

    def wrong(self, what: str) -> GraphError:
        return GraphError(f"verify: kernel {self.kernel.name}: {what}", where=self.kernel.where[0] if self.kernel.where else None)

    # --- rules ---

    def define(self, name: str, dtype: DType, scope: _Scope) -> None:
        if name in scope.scalars:
            raise self.wrong(f"{written(name)} is defined twice")
        scope.scalars[name] = dtype

    def arg(self, arg: Arg, scope: _Scope, want: DType | None = None) -> None:
        if isinstance(arg, Ref):
            if arg.name not in scope.scalars:
                raise self.wrong(f"{arg} is not defined where it is used")
            if scope.scalars[arg.name] != arg.dtype:
                raise self.wrong(f"{arg} is {scope.scalars[arg.name]}, and is used as {arg.dtype}")
        if want is not None and arg.dtype != want:
            raise self.wrong(f"{arg} is {arg.dtype} where {want} is wanted")

    def size(self, size: Size, scope: _Scope) -> None:
        for name in dims.names(size):
            if name.startswith("%"):
                if scope.scalars.get(name[1:]) != t.int64:
                    raise self.wrong(f"{name} in an index is no int64 that is in sight")
            elif name not in scope.loops and self.sizes is not None and name not in self.sizes:
                raise self.wrong(f"{name} in an index is neither a size nor the variable of a loop around it")

    def place(self, buffer: str, index: ir.Index, scope: _Scope, certain: bool = True) -> None:
        if buffer not in self.shapes:
            raise self.wrong(f"{written(buffer)} is no buffer of it")
        shape = self.shapes[buffer]
        if len(index) != len(shape):
            raise self.wrong(f"{written(buffer)} has {len(shape)} axes, and an index of {len(index)} parts")
        for at, n in zip(index, shape, strict=True):
            self.size(at, scope)
            if certain and scope.certain and _outside(at, n, scope.loops):
                raise self.wrong(f"{at} is not inside an axis of {n} elements of {written(buffer)}")

    def store(self, buffer: str, index: ir.Index, value: Arg, scope: _Scope) -> None:
        self.place(buffer, index, scope)
        self.arg(value, scope, self.dtypes[buffer])
        if buffer in self.own:
            return
        if buffer not in self.made:
            raise self.wrong(f"it stores into {written(buffer)}, which it only reads")
        names = _depends_on(dims.names(*index), scope.loops)
        for axis in self.kernel.parallel:
            if axis.extent not in (0, 1) and axis.var not in names and not any(name.startswith("%") for name in names):
                raise self.wrong(f"all iterations of {axis.var} store into the same elements of {written(buffer)}")

    # --- statements ---

    def body(self, body: Iterable[ir.Statement], scope: _Scope) -> None:
        for statement in body:
            self.statement(statement, scope)

    def block(self, block: ir.Block, scope: _Scope, want: DType | None = None) -> None:
        self.body(block.body, scope)
        self.arg(block.value, scope, want)

    def statement(self, statement: ir.Statement, scope: _Scope) -> None:
        match statement:
            case Let():
                self.let(statement, scope)
            case ir.Load(name, dtype, buffer, index, guard):
                if guard is not None:
                    self.arg(guard, scope, t.bool_)
                self.place(buffer, index, scope, certain=guard is None)
                if dtype != self.dtypes[buffer]:
                    raise self.wrong(f"{written(name)} is {dtype}, and {written(buffer)} holds {self.dtypes[buffer]}")
                self.define(name, dtype, scope)
            case ir.Store(buffer, index, value) | ir.Accumulate(buffer, index, _, value):
                self.store(buffer, index, value, scope)
            case ir.Init(name, dtype, combine):
                self.define(name, t.int64 if combine.positions else dtype, scope)
                scope.started[name] = statement
            case ir.Reduce(name, dtype, combine, value, position):
                init = scope.started.get(name)
                if init is None:
                    raise self.wrong(f"{written(name)} is reduced into, and nothing has started it")
                if combine not in (init.combine, SET) or dtype != scope.scalars[name]:
                    raise self.wrong(f"{written(name)} is started as {init.combine}, and continued as {combine} of {dtype}")
                self.arg(value, scope, init.dtype)
                if position is not None:
                    self.size(position, scope)
            case ir.Join(name, dtype, combine, buffer):
                shape = self.shapes.get(buffer, ())
                if buffer not in self.own or len(shape) != 1 or not isinstance(shape[0], int) or shape[0].bit_count() != 1:
                    raise self.wrong(f"{written(buffer)} is joined, and is no scratch of one axis whose length is a power of 2")
                if combine not in PLAIN or dtype != self.dtypes[buffer]:
                    raise self.wrong(f"{written(name)} is {combine} of {dtype}, and joins {self.dtypes[buffer]}")
                self.define(name, dtype, scope)
            case ir.Loop(var, stop, body, start):
                self.body(body, self.within((ir.Axis(var, stop, start),), scope))
            case ir.While(test, body):
                inner = scope.inner(certain=False)
                self.block(test, inner, t.bool_)
                self.body(body, inner)
            case ir.Branch(index, several):
                self.arg(index, scope, t.int64)
                for body in several:
                    self.body(body, scope.inner(certain=False))
            case ir.Contract(m, n, k, left, right, result, dtype, epilogue, run, origin):
                if run is not None:
                    self.size(run, scope)
                    if isinstance(run, int) and not 0 < run <= ir.RUN:
                        raise self.wrong(f"runs of {run} are not between 1 and {ir.RUN}")
                if origin is not None:
                    self.size(origin, scope)
                    before = dims.sub(origin, k.start)
                    if isinstance(before, int) and before > 0:
                        raise self.wrong(f"runs are counted from {origin}, and {k} starts before that")
                self.block(left, self.within((m, k), scope), dtype)
                self.block(right, self.within((k, n), scope), dtype)
                inner = self.within((m, n), scope)
                self.define(result, dtype, inner)
                self.body(epilogue, inner)

    def within(self, axes: tuple[ir.Axis, ...], scope: _Scope) -> _Scope:
        """What is in sight within loops."""
        for axis in axes:
            self.size(axis.start, scope)
            self.size(axis.stop, scope)
            if axis.var in scope.loops or axis.var in self.own_sizes:
                raise self.wrong(f"the loop variable {axis.var} has another meaning around its loop")
        return scope.inner(axes)

    def let(self, let: Let, scope: _Scope) -> None:
        if let.op == "index":
            self.size(let.index, scope)
        operands, result = implied(let.op, [a.dtype if isinstance(a, Ref) else None for a in let.args])
        for arg, want in zip(let.args, operands, strict=True):
            self.arg(arg, scope, want if isinstance(arg, Const) else None)
        if let.op == "select":
            self.arg(let.args[0], scope, t.bool_)
            if not let.args[1].dtype == let.args[2].dtype == let.dtype:
                raise self.wrong(f"{let}: it chooses from {let.args[1].dtype} and {let.args[2].dtype}, and is {let.dtype}")
        elif let.op == "bitcast" and let.args[0].dtype.bits != let.dtype.bits:
            raise self.wrong(f"{let}: {let.args[0].dtype} and {let.dtype} have different numbers of bits")
        elif result is not None and result != let.dtype:
            raise self.wrong(f"{let} is {result}, and says {let.dtype}")
        self.define(let.name, let.dtype, scope)


def _depends_on(names: Iterable[str], loops: Mapping[str, ir.Axis]) -> set[str]:
    """The names, and those that the bounds of the loops among them depend on."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            if name in loops:
                todo += dims.names(loops[name].start, loops[name].stop)
    return found


def _outside(index: Size, extent: Size, loops: Mapping[str, ir.Axis]) -> bool:
    """Whether an index certainly takes a value outside 0 .. extent: of numbers, and of loops over numbers."""
    if isinstance(index, int) and isinstance(extent, int):
        return not 0 <= index < extent
    if isinstance(index, int):
        return index < 0
    low = high = 0
    for monomial, factor in index.terms:
        axis = loops.get(monomial[0]) if len(monomial) == 1 and isinstance(monomial[0], str) else None
        if not monomial:
            low, high = low + factor, high + factor
        elif axis is None or not isinstance(axis.start, int) or not isinstance(axis.stop, int) or axis.start >= axis.stop:
            return False
        else:
            ends = factor * axis.start, factor * (axis.stop - 1)
            low, high = low + min(ends), high + max(ends)
    return low < 0 or (isinstance(extent, int) and high >= extent)
