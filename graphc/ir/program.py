"""Programs: an ordered list of kernels over buffers.

    Program  := signature, buffers, calls
    Call     := kernel, host call, collective or steps, buffers for its parameters
    Kernel   := parameters, scratch, parallel loops, body
    HostCall := parameters, an operation that Python computes, the programs of its graphs
    Collective := parameters, an operation that ranks compute together, its start or the wait for its end
    Steps    := parameters, how often, a program
    body     := statement*
    statement:= Let | Load | Store | Accumulate | Loop | While | Branch | Init | Reduce | Join | Contract

The body of a kernel runs once for every index of its parallel loops, in any order and on any thread. Its statements are
its stages: loops over scalar code, reductions, contractions. Scratch is private to one run of the body.

    kernel k0(%x: f32[batch, 3], %b: f32[3]) -> %y: f32[batch] {
      parallel i < batch {
        %acc = init add : f32
        for j < 3 {
          %0 = load %x[i, j]
          %1 = load %b[j]
          %2 = add(%0, %1)
          %3 = exp(%2)
          %acc = reduce add(%acc, %3)
        }
        store %y[i], %acc
      }
    }
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import wraps
from math import prod
from typing import Any, ClassVar

from graphc.errors import Where
from graphc.ir import dims
from graphc.ir.combines import Combine
from graphc.ir.dims import Shape, Size
from graphc.ir.html import html_table
from graphc.ir.names import written
from graphc.ir.operation import Operation, Requirement, Sized
from graphc.ir.printing import Printed
from graphc.ir.scalar import Arg, Let, Ref
from graphc.ir.signature import NOTHING, Argument, Signature, SizeRule, State
from graphc.ir.target import Target, host
from graphc.ir.types import DType, TensorType

Index = tuple[Size, ...]
_MANY = 1 << 32  # more than loops that sizes bound have turns
RUN = 512  # the longest run of a contraction's k: what one chain adds up before its sum joins the result


@dataclass(frozen=True, slots=True)
class Load:
    """%name = load buffer[index]; where a guard is false nothing is read and the value is 0."""

    name: str
    dtype: DType
    buffer: str
    index: Index
    guard: Arg | None = None


@dataclass(frozen=True, slots=True)
class Store:
    buffer: str
    index: Index
    value: Arg


@dataclass(frozen=True, slots=True)
class Init:
    """%name = the neutral element of `combine`: the start of an accumulator."""

    name: str
    dtype: DType
    combine: Combine


@dataclass(frozen=True, slots=True)
class Reduce:
    """%name = reduce combine(%name, value): one step, in the order of the loops. `position` serves argmax and argmin.

    The combination "set" gives an accumulator another value. What `fuse` writes says only what is combined; `split_reductions`
    writes out the order of what rounds, and from there on the order of the loops is that of the sum.
    """

    name: str
    dtype: DType
    combine: Combine
    value: Arg
    position: Size | None = None


@dataclass(frozen=True, slots=True)
class Join:
    """%name = join combine(buffer): the elements of scratch of one axis as one value, combined as a tree.

    Their number is a power of 2. Each of the first half is combined with the one that lies half of the length behind it, again
    and again until one is left: of four, (a + c) + (b + d). The scratch keeps what it holds.
    """

    name: str
    dtype: DType
    combine: Combine
    buffer: str


@dataclass(frozen=True, slots=True)
class Accumulate:
    """buffer[index] = combine(buffer[index], value): an accumulator in memory."""

    buffer: str
    index: Index
    combine: Combine
    value: Arg


@dataclass(frozen=True, slots=True)
class Loop:
    """for var in start .. stop { body }"""

    var: str
    stop: Size
    body: tuple[Statement, ...]
    start: Size = 0


@dataclass(frozen=True, slots=True)
class While:
    """Run `test`; while its value is true, run the body, then the test again."""

    test: Block
    body: tuple[Statement, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """Run the body that an int64 names; the first where it is too small, the last where it is too large."""

    index: Arg
    bodies: tuple[tuple[Statement, ...], ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """A loop variable and its range, start .. stop."""

    var: str
    stop: Size
    start: Size = 0

    @property
    def extent(self) -> Size:
        """How many values it takes."""
        return self.stop if self.start == 0 else dims.sub(self.stop, self.start)

    def __str__(self) -> str:
        return f"{self.var} < {self.stop}" if self.start == 0 else f"{self.var} in {self.start} .. {self.stop}"


@dataclass(frozen=True, slots=True)
class Block:
    """Scalar code with a result."""

    body: tuple[Statement, ...]
    value: Arg


@dataclass(frozen=True, slots=True)
class Contract:
    """%result = sum over k of left * right, for every m and n; then the epilogue.

    `left` and `right` are scalar code over (m, k) and (k, n); `epilogue` is code over (m, n) that may use %result and stores
    what is kept. From its start on, k goes in runs of `run`, at most `RUN`, of which the last may be shorter: each is a chain
    from 0, in ascending order, in which a product of floats joins by a fused multiply-add where the processor has one; the sums
    of runs are added in order. `split_reductions` says how long runs are. Where k starts behind an `origin`, runs are counted
    from there: the first one is shorter by what is left out.
    """

    m: Axis
    n: Axis
    k: Axis
    left: Block
    right: Block
    result: str
    dtype: DType
    epilogue: tuple[Statement, ...]
    run: Size | None = None
    origin: Size | None = None


Statement = Let | Load | Store | Init | Reduce | Join | Accumulate | Loop | While | Branch | Contract


@dataclass(frozen=True, slots=True)
class Param:
    """A buffer as a kernel sees it; `mode` is in, out or inout."""

    name: str
    type: TensorType
    mode: str


@dataclass(frozen=True, slots=True)
class Scratch:
    """Memory private to one run of a kernel's body."""

    name: str
    dtype: DType
    shape: Shape


class _Parameters(Printed):
    """What a call runs. Of its parameters those that are read come first, then those that are made and not read.

    `programs` are those that it holds.
    """

    params: tuple[Param, ...]

    @property
    def inputs(self) -> tuple[Param, ...]:
        return tuple(p for p in self.params if p.mode != "out")

    @property
    def outputs(self) -> tuple[Param, ...]:
        return tuple(p for p in self.params if p.mode != "in")


@dataclass(frozen=True)
class HostCall(_Parameters):
    """Whole arrays made of whole arrays by the reference of an operation, in Python.

    `programs` run the graphs among the attributes, in their order. Where the operation is Sized, they are all that it does: it is
    native code at a size that is data.
    """

    name: str
    params: tuple[Param, ...]
    operation: Operation
    attrs: tuple[tuple[str, Any], ...] = ()
    several: bool = False  # whether it gives a tuple
    programs: tuple[Program, ...] = field(default=(), compare=False)
    where: tuple[Where, ...] = field(default=(), compare=False)
    nodes: tuple[int, ...] = field(default=(), compare=False)  # positions in the graph it came from

    @property
    def invocation(self) -> str:
        """The operation and its attributes, as Python would call it."""
        return f"{self.operation.name}({', '.join(f'{key}={value}' for key, value in self.attrs)})"

    def with_programs(self, change: Callable[[Program], Program]) -> HostCall:
        return replace(self, programs=tuple(map(change, self.programs)))

    @property
    def is_sized(self) -> bool:
        """Whether Python only finds a size, and programs do the rest."""
        return isinstance(self.operation.lowering, Sized)


@dataclass(frozen=True)
class Collective(_Parameters):
    """The start of what ranks compute together, or the wait for its end: two items with the same attributes.

    A start reads x0, where there is one, and makes y0. From then on until the wait nothing else writes x0, nor has y0, which the
    wait gives its value. Starts are in the order of their attribute `order`, on all ranks.
    """

    programs: ClassVar[tuple[Program, ...]] = ()
    name: str
    params: tuple[Param, ...]
    operation: Operation
    attrs: tuple[tuple[str, Any], ...]
    waits: bool
    where: tuple[Where, ...] = field(default=(), compare=False)
    nodes: tuple[int, ...] = field(default=(), compare=False)  # positions in the graph it came from

    @property
    def order(self) -> int:
        """Its number among the collectives of its program."""
        return dict(self.attrs)["order"]  # type: ignore[no-any-return]

    def waiting(self) -> Collective:
        """The wait for this start."""
        last = self.params[-1]
        return replace(self, params=(*self.params[:-1], replace(last, mode="inout")), waits=True)


@dataclass(frozen=True)
class Kernel(_Parameters):
    """Code over buffers: a body that runs for every index of the parallel loops."""

    programs: ClassVar[tuple[Program, ...]] = ()
    name: str
    params: tuple[Param, ...]
    parallel: tuple[Axis, ...]
    body: tuple[Statement, ...]
    scratch: tuple[Scratch, ...] = ()
    where: tuple[Where, ...] = field(default=(), compare=False)
    nodes: tuple[int, ...] = field(default=(), compare=False)  # positions in the graph it came from


@dataclass(frozen=True, eq=False)
class Steps(_Parameters):
    """A program that runs `count` times over the memory of the parameters.

    The program's first inputs are the carries: it updates them, as a program does its variables, and what is in a carry's
    second memory is the carry when a step has ended. The inputs after those are slices of `sequences`, as its outputs are of the
    results; the others are the same in every step. The parameters are x0, x1, ... for the program's inputs (of a carry, what it
    begins with), y0, y1, ... for the carries and the outputs, and `work`, the program's arena. A carry may be the memory that it
    begins with: then there is no y for it.
    """

    name: str
    params: tuple[Param, ...]
    program: Program
    count: Size
    carries: int
    sequences: int
    reverse: bool = False
    where: tuple[Where, ...] = ()
    nodes: tuple[int, ...] = ()

    @property
    def programs(self) -> tuple[Program, ...]:
        return (self.program,)

    def with_programs(self, change: Callable[[Program], Program]) -> Steps:
        return replace(self, program=change(self.program))

    def begins(self, given: str, made: str) -> bool:
        """Whether a parameter is what a carry begins with, and another the carry."""
        return given[0] == "x" and given[1:] == made[1:] and made[0] == "y" and int(given[1:]) < self.carries


Called = Kernel | HostCall | Collective | Steps


@dataclass(frozen=True)
class Buffer:
    """Memory of a program. `role` is input, variable, next, constant, output or temporary.

    `next` is the second memory of a variable: what the program writes there is the variable's value when the call has ended.
    `slot` is the arena slot of a temporary once buffers are planned; `value` the array of a constant.
    """

    name: str
    type: TensorType
    role: str
    slot: int | None = None
    value: Any = field(default=None, compare=False)


@dataclass(frozen=True)
class Call:
    """One run of a kernel, or of what Python computes: the buffers of its parameters, in their order."""

    kernel: Called
    buffers: tuple[str, ...]

    @property
    def space(self) -> str:
        """The extents of its parallel loops, "512 × n"; who computes it where that is Python."""
        if isinstance(self.kernel, Steps):
            return f"{self.kernel.count} steps"
        if isinstance(self.kernel, HostCall):
            return "" if self.kernel.is_sized else "by Python"
        if isinstance(self.kernel, Collective):
            return "among ranks"
        return " × ".join(str(a.extent) for a in self.kernel.parallel if a.extent != 1)

    def _row(self) -> tuple[str, ...]:
        """What it is, how it is shared out, what it reads and writes, and the user's first line."""
        kernel = self.kernel
        pairs = list(zip(self.buffers, kernel.params, strict=True))
        reads, writes = (
            ", ".join(dict.fromkeys(written(name) for name, p in pairs if p.mode != other)) for other in ("out", "in")
        )  # fmt: skip
        return kernel.name, self.space, reads, writes, str(kernel.where[0]) if kernel.where else ""


@dataclass(frozen=True)
class Program(Printed):
    """Calls in order over buffers, for a `target`; `slots` are the arena's slot sizes in bytes once buffers are planned."""

    name: str
    buffers: Mapping[str, Buffer]
    calls: tuple[Call, ...]
    signature: Signature = NOTHING
    slots: tuple[Size, ...] = ()
    target: Target = field(default_factory=host)

    @property
    def inputs(self) -> tuple[str, ...]:
        """The buffers of the inputs, in the order of a call's arguments."""
        return tuple(x.name for x in self.signature.inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The buffer of each result; one buffer may serve several."""
        return tuple(y.name for y in self.signature.outputs)

    @property
    def updates(self) -> tuple[tuple[str, str], ...]:
        """(variable, buffer of its new value)."""
        return self.signature.updates

    def asking(self, signature: Signature) -> Program:
        """The program that finds its sizes, checks them and calls first values as another signature says."""
        names = {v.name: v.initial for v in signature.variables}
        variables = tuple(replace(v, initial=names.get(v.name, v.initial)) for v in self.signature.variables)
        changed = replace(self.signature, variables=variables, sizes=signature.sizes, requirements=signature.requirements)
        return replace(self, signature=changed)

    def with_outputs(self, outputs: Iterable[str]) -> Program:
        """The program whose results are what these buffers hold."""
        found = tuple(Argument(name, self.buffers[name].type) for name in outputs)
        return replace(self, signature=replace(self.signature, outputs=found))

    def with_updates(self, updates: Iterable[tuple[str, str]]) -> Program:
        """The program with other pairs of a variable and the buffer of its new value."""
        return replace(self, signature=replace(self.signature, updates=tuple(updates)))

    def with_kernels(self, change: Callable[[Kernel], Kernel]) -> Program:
        """The program with every kernel replaced by `change` of it, those of the programs within it too."""

        def own(program: Program) -> Program:
            return program.with_called(lambda called: change(called) if isinstance(called, Kernel) else called)

        return nested_programs(own)(self)

    def with_programs(self, change: Callable[[Program], Program]) -> Program:
        """The program with each program that its host calls and steps hold replaced by `change` of it."""
        if not any(call.kernel.programs for call in self.calls):
            return self
        return self.with_called(lambda called: called.with_programs(change) if isinstance(called, HostCall | Steps) else called)

    def with_called(self, change: Callable[[Called], Called]) -> Program:
        """The program with what its calls run replaced by `change` of it."""
        return replace(self, calls=tuple(replace(c, kernel=change(c.kernel)) for c in self.calls))

    @property
    def programs(self) -> Iterator[Program]:
        """The program, then those within it: of its steps and of its host calls."""
        yield self
        for call in self.calls:
            for inner in call.kernel.programs:
                yield from inner.programs

    @property
    def kernels(self) -> Iterator[Called]:
        """What its calls run, each once; what the programs of steps and of host calls run stands after those."""
        seen: set[str] = set()
        for call in self.calls:
            if call.kernel.name not in seen:
                seen.add(call.kernel.name)
                yield call.kernel
                for kernel in (kernel for inner in call.kernel.programs for kernel in inner.kernels):
                    if kernel.name not in seen:
                        seen.add(kernel.name)
                        yield kernel

    def named(self) -> Program:
        """The program with one name for equal kernels, of programs within it too: k0, k1, ... in the order of first calls."""
        return self._named({})

    def _named(self, names: dict[Called, str]) -> Program:
        calls = []
        for call in self.calls:
            kernel = call.kernel
            name = names.setdefault(replace(kernel, name="k"), f"k{len(names)}")
            if isinstance(kernel, HostCall | Steps):
                kernel = kernel.with_programs(lambda inner: inner._named(names))
            calls.append(replace(call, kernel=replace(kernel, name=name)))
        return replace(self, calls=tuple(calls))

    def _repr_html_(self) -> str:
        """The calls as a table: what notebooks show."""
        header = ("call", "kernel", "parallel", "reads", "writes", "line")
        rows = [(str(i), *c._row()) for i, c in enumerate(self.calls)]
        arena = f", an arena of {len(self.slots)} slots" if self.slots else ""
        return html_table(header, rows, left=5, title=f"{self.name}: {len(self.calls)} calls{arena}")


def nested_programs(change: Callable[[Program], Program]) -> Callable[[Program], Program]:
    """A pass that changes the programs within a program, innermost first, and then the program: what drives all such passes."""

    @wraps(change)
    def whole(program: Program) -> Program:
        return change(program.with_programs(whole))

    return whole


def sign(
    buffers: Mapping[str, Buffer], inputs: Iterable[str], outputs: Iterable[str], updates: Iterable[tuple[str, str]] = (),
    sizes: Iterable[SizeRule] = (), requirements: Iterable[Requirement] = (), initial: Mapping[str, str] | None = None,
) -> Signature:  # fmt: skip
    """The signature of a program over buffers, by their names; `initial` has names of first values that are others."""
    initial = initial or {}
    given, made = (tuple(Argument(name, buffers[name].type) for name in names) for names in (inputs, outputs))
    state = tuple(State(b.name, b.type, initial.get(b.name, b.name)) for b in buffers.values() if b.role == "variable")
    return Signature(given, made, state, tuple(sizes), tuple(requirements), tuple(updates))


def bodies(statement: Statement) -> tuple[tuple[Statement, ...], ...]:
    """The bodies inside a statement, in the order in which they run."""
    match statement:
        case Loop(body=inner):
            return (inner,)
        case While(test=test, body=inner):
            return test.body, inner
        case Branch(bodies=several):
            return several
        case Contract(left=left, right=right, epilogue=epilogue):
            return left.body, right.body, epilogue
    return ()


def with_bodies(statement: Statement, change: Callable[[tuple[Statement, ...]], tuple[Statement, ...]]) -> Statement:
    """The statement with `change` applied to each body inside it."""
    match statement:
        case Loop(body=inner):
            return replace(statement, body=change(inner))
        case While(test=test, body=inner):
            return While(replace(test, body=change(test.body)), change(inner))
        case Branch(bodies=several):
            return replace(statement, bodies=tuple(map(change, several)))
        case Contract(left=left, right=right, epilogue=epilogue):
            left, right = replace(left, body=change(left.body)), replace(right, body=change(right.body))
            return replace(statement, left=left, right=right, epilogue=change(epilogue))
    return statement


def statements_of(body: tuple[Statement, ...]) -> Iterator[Statement]:
    """Every statement of a body, outer ones first."""
    todo = list(reversed(body))
    while todo:
        statement = todo.pop()
        yield statement
        for inner in reversed(bodies(statement)):
            todo += reversed(inner)


def rewrite(body: tuple[Statement, ...], change: Callable[[Statement], tuple[Statement, ...]]) -> tuple[Statement, ...]:
    """The body with every plain statement replaced by the statements `change` gives for it."""
    result: list[Statement] = []
    for statement in body:
        if bodies(statement):
            result.append(with_bodies(statement, lambda inner: rewrite(inner, change)))
        else:
            result.extend(change(statement))
    return tuple(result)


def most_turns(axis: Axis, env: Mapping[str, int]) -> tuple[int, int]:
    """The start and the stop of a loop. Where data bounds it, those of the most turns that it may take; those of one turn, where
    no size says how many these are."""
    data = dims.names(axis.start, axis.stop) - env.keys()
    found: list[tuple[int, int]] = []
    for value in (0, _MANY, 2 * _MANY) if data else (0,):
        known = {**env, **dict.fromkeys(data, value)}
        found.append((dims.evaluate(axis.start, known), dims.evaluate(axis.stop, known)))
    if data and found[1] != found[2]:
        return found[0][0], found[0][0] + 1
    return max(found, key=lambda ends: ends[1] - ends[0])


def cost(body: Sequence[Statement], env: Mapping[str, int]) -> float:
    """How many statements a body executes, roughly: as many as data may ask for; loops that only data bounds count once."""
    total = 0.0
    env = dict(env)
    for statement in body:
        match statement:
            case Let(name=name, op="index", index=size) if dims.names(size) <= env.keys():
                env[f"%{name}"] = dims.evaluate(size, env)
                total += 1
            case Loop(var, stop, inner, start):
                low, high = most_turns(Axis(var, stop, start), env)
                total += max(1, high - low) * cost(inner, {**env, var: low})
            case Contract(m=m, n=n, k=k):
                ends = (most_turns(a, env) for a in (m, n, k))
                total += prod(max(1, high - low) for low, high in ends) / 2
            case While() | Branch():
                total += sum(cost(inner, env) for inner in bodies(statement))
            case _:
                total += 1
    return total


def copy_kernel(kind: TensorType) -> Kernel:
    """y = x."""
    flat = TensorType(kind.dtype, (kind.size,))
    i = "i" if "i" not in dims.names(kind.size) else "i_"
    at = (dims.symbol(i),)
    body = (Load("0", kind.dtype, "x0", at), Store("y0", at, Ref("0", kind.dtype)))
    params = Param("x0", flat, "in"), Param("y0", flat, "out")
    return Kernel("k", params, (Axis(i, kind.size),), body)
