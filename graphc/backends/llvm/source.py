"""Print a kernel as Python source: readable, over pointers and sizes.

    def k0(pointers, sizes, lo, hi, scratch):
        x0 = f32_at(pointers[0])
        y0 = f32_at(pointers[1])
        for i in range(lo, hi):
            v0 = load0(x0, i)
            ...
            store1(y0, i, v0)

A statement becomes a line, in the order of the program: nothing here decides in which order a sum is made. `lanes` is `range`
for a loop over the lanes of a sum, which become vectors themselves. `pointers` holds the
parameters' addresses, then nothing else; `sizes` the kernel's dimensions in alphabetical order, then the
byte offsets of its scratch arrays; lo .. hi is a part of the parallel extent. Scratch of one element is a name, so a register;
lanes that are joined are memory of the function's own, which become registers too.
"""

from __future__ import annotations

import keyword
import math
import re
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.backends.llvm import intrinsics
from graphc.backends.llvm.contraction import print_contract
from graphc.backends.llvm.exchange import exchange_of, print_exchange
from graphc.backends.llvm.extremes import extremes_of, print_end, print_start, print_turn
from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir import types as t
from graphc.ir.combines import ARGMAX, Combine
from graphc.ir.dims import Size
from graphc.ir.layout import memory_of
from graphc.ir.scalar import Arg, Const, Let
from graphc.ir.target import Target
from graphc.ir.types import DType

_SHORT = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_INTEGER = {"add": "iadd", "sub": "isub", "mul": "imul", "and": "iand", "or": "ior", "xor": "ixor", "shl": "shl", "shr": "shr"}
_PLAIN = frozenset("sqrt floor ceil trunc rint fma quot rem eq ne lt le gt ge select".split())
CHEAP = 8  # statements of a loop over lanes that may be written once for each part of it, or run for lanes that stay
VECTORS = 4  # as many times may more statements be written
MASKED = 4  # bytes of an element from which on a load or a store of some lanes of a vector is one instruction

_TAKEN = re.compile(  # names that the source gives to other things
    r"range|lanes|lo|hi|sizes|pointers|scratch|inf|nan|tile.*|[mnk]_stop|k_start|(row|column|step|panel|tail)0|\w+_(piece|step|here|lane|stop|signed|most|least)|(rows|columns|steps|strips|parts|panel|panels|results|packed)(_f\d+)?|"
    r"strip.*|(lay_out|pack_|last_|exchange_|deal_|collect_)\w*|run|point|filled|top|bottom|wide|row|first|forward|(load|store|bits_|join)\w*|(bf|[vxypsfiub])\d+.*|"
    + "|".join(n for n in dir(intrinsics) if not n.startswith("_"))
)


_CASTS = frozenset(dtype.short for dtype in t.DTYPES)  # i32(...): the loops of long code have variables up to i32, too


@dataclass(frozen=True)
class Source:
    """The source of one kernel, and the names it needs."""

    name: str
    text: str
    names: dict[str, Any]
    dims: tuple[str, ...]  # the order of its sizes
    variables: tuple[str, ...]  # their names in the text
    reserve: int = 0  # bytes of scratch that the contractions need before the kernel's own arrays


def kernel_dims(kernel: ir.Kernel) -> tuple[str, ...]:
    """The symbolic dimensions a kernel depends on, in the order of its sizes."""
    bound = {a.var for a in kernel.parallel}
    sizes: list[Size] = [a.extent for a in kernel.parallel]
    for p in kernel.params:
        sizes += p.type.shape
    for s in kernel.scratch:
        sizes += s.shape
    for statement in ir.statements_of(kernel.body):
        match statement:
            case ir.Loop(var, stop, _, start):
                bound.add(var)
                sizes += [start, stop]
            case Let(index=index):
                sizes.append(index)
            case ir.Load(index=index) | ir.Store(index=index) | ir.Accumulate(index=index):
                sizes += index
            case ir.Reduce(position=position) if position is not None:
                sizes.append(position)
            case ir.Contract():
                sizes.append(statement.run or 0)
                for axis in (statement.m, statement.n, statement.k):
                    bound.add(axis.var)
                    sizes += [axis.start, axis.stop]
    return tuple(sorted(n for n in dims.names(*sizes) - bound if not n.startswith("%")))


class Printer:
    """Prints one kernel."""

    def __init__(self, kernel: ir.Kernel, target: Target) -> None:
        self.kernel = kernel
        self.target = target
        self.lines: list[str] = []
        self.names: dict[str, Any] = {}
        self.dims = kernel_dims(kernel)
        memory = memory_of(kernel, target)
        self.shapes, self.dtypes = memory.shapes, memory.dtypes
        self.lanes = {s.name: int(s.shape[0]) for s in kernel.scratch if len(s.shape) == 1 and isinstance(s.shape[0], int)}
        self.scratch = {s.name for s in kernel.scratch}
        self.joined = {s.buffer for s in ir.statements_of(kernel.body) if isinstance(s, ir.Join)}
        self.cells = _cells(kernel)
        self.scope = {name: i for i, name in enumerate(n for n in self.shapes if n not in self.cells)}
        self.combines: dict[str, ir.Init] = {}
        self.bitwise: set[int] = set()  # the reductions that go by bits
        self.reserve = 0

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    # --- names and expressions ---

    def use(self, name: str, value: Any) -> str:
        self.names[name] = value
        return name

    def intrinsic(self, name: str) -> str:
        return self.use(name, getattr(intrinsics, name))

    def value(self, name: str) -> str:
        """A value as a Python name; no dimension is meant."""
        return f"v{name}" if name[0].isdigit() else name

    def variable(self, name: str) -> str:
        """A value, loop variable or dimension as a Python name."""
        if name[0].isdigit():
            return self.value(name)
        if name in self.dims:
            return f"dim_{name}" if keyword.iskeyword(name) or _TAKEN.fullmatch(name) else name
        return f"{name}_" if name in _CASTS else name

    def size(self, size: Size) -> str:
        """An index expression as Python over int64."""
        if isinstance(size, int):
            return str(size)
        text = ""
        for monomial, factor in size.terms:
            parts = [self.atom(a) for a in monomial]
            if abs(factor) != 1 or not monomial:
                parts.insert(0, str(abs(factor)))
            text += (" - " if factor < 0 else " + ") + "*".join(parts)
        return text.removeprefix(" + ").strip()

    def atom(self, atom: dims.Atom) -> str:
        match atom:
            case str(name):
                return self.value(name[1:]) if name.startswith("%") else self.variable(name)
            case dims.FloorDiv(a, b):
                signed = not dims.is_nonnegative(a) or any(n.startswith("%") for n in dims.names(a))
                return f"{self.intrinsic('floordiv' if signed else 'udiv')}({self.size(a)}, {self.size(b)})"
            case dims.Max0(a):
                return f"{self.intrinsic('maximum')}({self.size(a)}, {self.size(0)})"

    def arg(self, arg: Arg) -> str:
        if isinstance(arg, Const):
            return self.const(arg)
        return self.variable(arg.name)

    def const(self, const: Const) -> str:
        value, dtype = const.value, const.dtype
        if dtype.is_bool:
            return "True" if value else "False"
        if dtype.is_float:
            if math.isnan(value):
                text = self.use("nan", math.nan)
            elif math.isinf(value):
                text = ("-" if value < 0 else "") + self.use("inf", math.inf)
            else:
                text = repr(value)
            return text if dtype == t.float64 else f"{self.cast(dtype)}({text})"
        if dtype == t.int64:
            return str(value) if value >= -(2**63) + 1 else f"({-(2**63) + 1} - 1)"
        if dtype == t.uint64 and value >= 2**63:
            return self.use(f"u64_{value}", np.uint64(value))
        return f"{self.cast(dtype)}({value})"

    def cast(self, dtype: DType) -> str:
        return self.use(dtype.short, intrinsics.cast(dtype, self.target.halves))

    # --- statements ---

    def address(self, buffer: str, index: tuple[Size, ...]) -> str:
        return self.size(dims.ravel(index, self.shapes[buffer]))

    def load(self, buffer: str, index: tuple[Size, ...]) -> str:
        if buffer in self.cells:
            return buffer
        name = self.use(f"load{self.scope[buffer]}", intrinsics.load(self.scope[buffer]))
        return f"{name}({buffer}, {self.address(buffer, index)})"

    def store(self, buffer: str, index: tuple[Size, ...], value: str) -> str:
        if buffer in self.cells:
            return f"{buffer} = {value}"
        name = self.use(f"store{self.scope[buffer]}", intrinsics.store(self.scope[buffer]))
        return f"{name}({buffer}, {self.address(buffer, index)}, {value})"

    def body(self, body: tuple[ir.Statement, ...], depth: int) -> None:
        for statement in body:
            match statement:
                case Let():
                    self.line(depth, f"{self.variable(statement.name)} = {self.let(statement)}")
                case ir.Load(name, dtype, buffer, index, guard):
                    v = self.variable(name)
                    if guard is None:
                        self.line(depth, f"{v} = {self.load(buffer, index)}")
                    else:
                        self.line(depth, f"if {self.arg(guard)}:")
                        self.line(depth + 1, f"{v} = {self.load(buffer, index)}")
                        self.line(depth, "else:")
                        self.line(depth + 1, f"{v} = {self.const(Const(dtype.numpy.type(0).item(), dtype))}")
                case ir.Store(buffer, index, value):
                    self.line(depth, self.store(buffer, index, self.arg(value)))
                case ir.Accumulate(buffer, index, combine, value):
                    old = self.load(buffer, index)
                    self.line(depth, self.store(buffer, index, self.combine(combine, old, self.arg(value), self.dtypes[buffer])))
                case ir.Init():
                    self.init(statement, depth)
                case ir.Reduce() if id(statement) in self.bitwise:
                    print_turn(self, statement, depth)
                case ir.Reduce():
                    self.reduce(statement, depth)
                case ir.Loop():
                    self.loop(statement, depth)
                case ir.Join(name, dtype, combine, buffer):
                    number, count = self.scope[buffer], self.lanes[buffer]
                    join = intrinsics.join(number, combine.text, count, self.target.vector_bytes)
                    self.line(depth, f"{self.variable(name)} = {self.use(f'join{number}_{combine}_{count}', join)}({buffer})")
                case ir.While(test, inner):
                    self.line(depth, "while True:")
                    self.body(test.body, depth + 1)
                    self.line(depth + 1, f"if {self.intrinsic('inot')}({self.arg(test.value)}):")
                    self.line(depth + 2, "break")
                    self.body(inner, depth + 1)
                case ir.Branch():
                    self.branch(statement, depth)
                case ir.Contract():
                    print_contract(self, statement, depth)

    def branch(self, branch: ir.Branch, depth: int) -> None:
        *others, last = branch.bodies
        for i, inner in enumerate(others):
            self.line(depth, f"if {self.arg(branch.index)} <= {i}:")
            self.line(depth + 1, "pass")
            self.body(inner, depth + 1)
            self.line(depth, "else:")
            depth += 1
            self.line(depth, "pass")
        self.body(last, depth)

    def let(self, let: Let) -> str:
        if let.op == "index":
            return self.size(let.index)
        args = [self.arg(a) for a in let.args]
        dtype = let.args[0].dtype
        if let.op == "cast":
            return f"{self.cast(let.dtype)}({args[0]})"
        if let.op == "bitcast":
            return f"{self.use('bits_' + let.dtype.short, intrinsics.bitcast(let.dtype))}({args[0]})"
        if dtype.is_float and let.op in _SHORT:
            return f"{args[0]} {_SHORT[let.op]} {args[1]}"
        if let.op in _INTEGER:
            return f"{self.intrinsic(_INTEGER[let.op])}({', '.join(args)})"
        if let.op == "neg":
            return f"{self.intrinsic('fneg' if dtype.is_float else 'ineg')}({args[0]})"
        if let.op == "abs":
            return f"{self.intrinsic('fabs' if dtype.is_float else 'iabs')}({args[0]})"
        if let.op == "not":
            return f"{self.intrinsic('inot')}({args[0]})"
        if let.op in _PLAIN:
            return f"{self.intrinsic(let.op)}({', '.join(args)})"
        raise AssertionError(f"{let.op} is not primitive: expand_math comes first")

    def combine(self, combine: Combine, a: str, b: str, dtype: DType) -> str:
        match combine.text:
            case "add" | "mul" if dtype.is_float:
                return f"{a} {_SHORT[combine.text]} {b}"
            case "max" | "min":
                return f"{self.intrinsic(combine.text + 'imum')}({a}, {b})"
            case "set":
                return b
        return f"{self.intrinsic(_INTEGER[combine.text])}({a}, {b})"

    # --- accumulators ---

    def init(self, init: ir.Init, depth: int) -> None:
        v = self.variable(init.name)
        self.combines[init.name] = init
        start = neutral_text(self, init)
        if init.combine.positions:
            self.line(depth, f"{v}_value = {start}")
            self.line(depth, f"{v} = {self.const(Const(0, t.int64))}")
            return
        self.line(depth, f"{v} = {start}")

    def reduce(self, reduce: ir.Reduce, depth: int) -> None:
        v, x = self.variable(reduce.name), self.arg(reduce.value)
        init = self.combines[reduce.name]
        if init.combine.positions:
            better = self.intrinsic("gt" if init.combine == ARGMAX else "lt")
            test = f"{better}({x}, {v}_value)"
            if init.dtype.is_float:
                ne, eq = self.intrinsic("ne"), self.intrinsic("eq")
                test += f" or ({ne}({x}, {x}) and {eq}({v}_value, {v}_value))"
            self.line(depth, f"if {test}:")
            self.line(depth + 1, f"{v}_value = {x}")
            self.line(depth + 1, f"{v} = {self.size(reduce.position or 0)}")
        else:
            self.line(depth, f"{v} = {self.combine(reduce.combine, v, x, init.dtype)}")

    def loop(self, loop: ir.Loop, depth: int) -> None:
        exchange = exchange_of(self, loop)
        if exchange is None:
            self.turned_loop(loop, depth)
            return
        if not exchange.held:
            print_exchange(self, exchange, depth)
            return
        self.line(depth, f"if {' and '.join(f'{self.size(size)} <= 0' for size in exchange.held)}:")
        print_exchange(self, exchange, depth + 1)
        self.line(depth, "else:")
        self.turned_loop(loop, depth + 1)

    def turned_loop(self, loop: ir.Loop, depth: int) -> None:
        lanes = any(isinstance(s, (ir.Store, ir.Accumulate)) and s.buffer in self.joined for s in loop.body)
        if self.is_vector(loop):
            self.turns(loop, loop.start, loop.stop, depth, self.use("lanes", range))
        elif not lanes:
            extremes = extremes_of(self, loop)
            for reduce in extremes:
                print_start(self, reduce, depth)
            self.bitwise.update(map(id, extremes))
            self.turns(loop, loop.start, loop.stop, depth, "range")
            for reduce in extremes:
                print_end(self, reduce, depth)
        elif vectors := self.vectors(loop):
            self.masked(loop, vectors, depth)
        else:
            for start, stop in _parts(loop):
                self.turns(loop, start, stop, depth, self.use("lanes", range))

    def turns(self, loop: ir.Loop, start: Size, stop: Size, depth: int, turns: str) -> None:
        self.line(depth, f"for {self.variable(loop.var)} in {turns}({self.size(start)}, {self.size(stop)}):")
        self.body(loop.body, depth + 1)
        if not loop.body:
            self.line(depth + 1, "pass")

    def is_vector(self, loop: ir.Loop) -> bool:
        """Whether a loop stores nothing but vectors: whole last axes of scratch, as long as a register or two."""
        at, straight = dims.symbol(loop.var), all(isinstance(s, (Let, ir.Load, ir.Store)) for s in loop.body)
        if not straight or loop.start != 0 or not isinstance(loop.stop, int) or loop.stop > self.target.lanes(1):
            return False
        stores = [s for s in loop.body if isinstance(s, ir.Store)]
        whole = (s.buffer in self.scratch and self.shapes[s.buffer][-1] == loop.stop and s.index[-1] == at for s in stores)
        return all(len(s.index) > 1 for s in stores) and all(whole)

    def vectors(self, loop: ir.Loop) -> list[int]:
        """Where a loop over the first of the lanes is to go over all, with a question at each: the ends of its parts."""
        sums = [s for s in loop.body if isinstance(s, ir.Accumulate)]
        if not self.target.masks or not sums or any(s.buffer not in self.joined for s in sums):
            return []
        for s in loop.body:
            match s:
                case ir.Load(buffer=name) | ir.Store(buffer=name) if name in self.joined or self.dtypes[name].itemsize < MASKED:
                    return []
                case Let() | ir.Load() | ir.Store() | ir.Accumulate():
                    pass
                case _:
                    return []
        count = self.lanes[sums[0].buffer]
        if loop.start != 0 or (isinstance(loop.stop, int) and loop.stop >= count):
            return []
        if len(loop.body) <= CHEAP:
            return [count]
        each = min(count, self.target.lanes(self.dtypes[sums[0].buffer].itemsize))
        ends = [e for e in range(each, count + 1, each) if not isinstance(loop.stop, int) or e - each < loop.stop]
        return ends if len(ends) <= VECTORS else []

    def masked(self, loop: ir.Loop, ends: list[int], depth: int) -> None:
        """A loop over the first of the lanes as one over all, of which the others stay as they are.

            for l in lanes(0, rest):                  for l in lanes(0, 16):
                ...                                       t0_lane = load2(t0, l)
                store2(t0, l, load2(t0, l) + v1)          if l < rest:
                                                 =>           ...
                                                              t0_lane = t0_lane + v1
                                                          store2(t0, l, t0_lane)

        Lanes are registers only where each is read and written at a place that is known when the kernel is compiled.
        """
        lane, stop = self.variable(loop.var), self.size(loop.stop)
        at = (dims.symbol(loop.var),)
        names = dict.fromkeys(s.buffer for s in loop.body if isinstance(s, ir.Accumulate))
        if loop.stop == ends[-1] - 1:  # LLVM would take the question for the one that ends the loop, and cut off the last turn
            self.line(depth, f"{lane}_stop = {self.intrinsic('unknown')}({stop})")
            stop = f"{lane}_stop"
        start = 0
        for end in ends:
            inside = depth
            if len(loop.body) > CHEAP and not isinstance(loop.stop, int):
                self.line(depth, f"if {stop} > {start}:")
                inside += 1
            self.line(inside, f"for {lane} in {self.use('lanes', range)}({start}, {end}):")
            for name in names:
                self.line(inside + 1, f"{name}_lane = {self.load(name, at)}")
            self.line(inside + 1, f"if {lane} < {stop}:")
            for s in loop.body:
                if isinstance(s, ir.Accumulate):
                    new = self.combine(s.combine, f"{s.buffer}_lane", self.arg(s.value), self.dtypes[s.buffer])
                    self.line(inside + 2, f"{s.buffer}_lane = {new}")
                else:
                    self.body((s,), inside + 2)
            for name in names:
                self.line(inside + 1, self.store(name, at, f"{name}_lane"))
            start = end

    # --- the function ---

    def function(self) -> Source:
        kernel = self.kernel
        self.line(0, f"def {kernel.name}(pointers, sizes, lo, hi, scratch):")
        for i, p in enumerate(kernel.params):
            at = self.use(f"{p.type.dtype.short}_at", intrinsics.pointer(p.type.dtype))
            self.line(1, f"{p.name} = {at}(pointers[{i}])")
        for i, name in enumerate(self.dims):
            self.line(1, f"{self.variable(name)} = sizes[{i}]")
        for i, s in enumerate(kernel.scratch):
            if s.name in self.cells:
                self.line(1, f"{s.name} = {self.const(Const(s.dtype.numpy.type(0).item(), s.dtype))}")
                continue
            if s.name in self.joined:
                own = self.use(f"{s.dtype.short}_own_{self.lanes[s.name]}", intrinsics.own(s.dtype, self.lanes[s.name]))
                self.line(1, f"{s.name} = {own}()")
                continue
            at = self.use(f"{s.dtype.short}_at", intrinsics.pointer(s.dtype))
            self.line(1, f"{s.name} = {at}(scratch + sizes[{len(self.dims) + i}])")
        self.parallel()
        variables = tuple(map(self.variable, self.dims))
        return Source(kernel.name, "\n".join(self.lines) + "\n", self.names, self.dims, variables, self.reserve)

    def parallel(self) -> None:
        axes = self.kernel.parallel
        if len(axes) <= 1:
            self.line(1, f"for {self.variable(axes[0].var) if axes else '_'} in range(lo, hi):")
        else:
            self.line(1, "for tile in range(lo, hi):")
            rest = "tile"
            for axis in reversed(axes[1:]):
                v = self.variable(axis.var)
                self.line(2, f"{v}_rest = {self.intrinsic('udiv')}({rest}, {self.size(axis.extent)})")
                self.line(2, f"{v} = {rest} - {v}_rest*{self.factor(axis.extent)}")
                rest = f"{v}_rest"
            self.line(2, f"{self.variable(axes[0].var)} = {rest}")
        self.body(self.kernel.body, 2)
        if not self.kernel.body:
            self.line(2, "pass")

    def factor(self, size: Size) -> str:
        """An index expression as an operand of any operator."""
        return self.size(size) if isinstance(size, int) else f"({self.size(size)})"


def _parts(loop: ir.Loop) -> list[tuple[Size, Size]]:
    """A loop over few lanes as loops of 16, 8, 4, 2 and 1, each one vector, in the same order.

    LLVM would write 15 of 16 lanes under a mask, for which all 16 must be in memory. Long code costs more than that.
    """
    if not isinstance(loop.start, int) or not isinstance(loop.stop, int) or len(loop.body) > CHEAP:
        return [(loop.start, loop.stop)]
    parts: list[tuple[Size, Size]] = []
    start = loop.start
    while start < loop.stop:
        stop = start + (1 << (loop.stop - start).bit_length() - 1)
        parts.append((start, stop))
        start = stop
    return parts


def _cells(kernel: ir.Kernel) -> set[str]:
    """Scratch of one element, but for what contractions read and write: their library wants memory."""
    single = {s.name for s in kernel.scratch if dims.product(s.shape) == 1}
    for statement in ir.statements_of(kernel.body):
        if isinstance(statement, ir.Contract):
            for inner in ir.bodies(statement):
                single -= {s.buffer for s in ir.statements_of(inner) if isinstance(s, (ir.Load, ir.Store, ir.Accumulate))}
    return single


def neutral_text(printer: Printer, init: ir.Init) -> str:
    """The start of an accumulator as source."""
    return printer.const(init.combine.neutral(init.dtype))


def print_source(kernel: ir.Kernel, target: Target) -> Source:
    """The Python source of a kernel for a target."""
    return Printer(kernel, target).function()
