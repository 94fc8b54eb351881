"""A kernel as a function of C: its parallel loops, then its statements, in the order of the program.

    /* rows.py:12  gx.sum(gx.exp(x + b), axis=1) */
    static void k0(const float *restrict x0, const float *restrict x1, float *restrict y0, const ptrdiff_t rows)
    {
        for (ptrdiff_t i = 0; i < rows; ++i) {
            ...
            y0[i] = v0;
        }
    }

Buffers that a call is given never overlap, so pointers are `restrict`. Small scratch is an array of the loop's body; other
scratch lies at the end of the arena, a piece of it for each thread.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from graphc.export.c.contraction import print_contract
from graphc.export.c.primitives import FUNCTIONS
from graphc.export.c.text import KEYWORDS, SIZE, TYPES, Names, literal, size_text
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.combines import ARGMAX, Combine
from graphc.ir.dims import Size
from graphc.ir.program import (
    Accumulate,
    Branch,
    Contract,
    Init,
    Join,
    Kernel,
    Load,
    Loop,
    Reduce,
    Scratch,
    Statement,
    Store,
    While,
    bodies,
)  # fmt: skip
from graphc.ir.scalar import Arg, Const, Let, Ref
from graphc.ir.target import Target
from graphc.ir.types import DType

STACK = 2048  # bytes of scratch that are an array of a function
LINE = 64  # bytes: where scratch in the arena begins
OPERATORS = {"add": "+", "sub": "-", "mul": "*", "div": "/", "and": "&", "or": "|", "xor": "^", "shl": "<<"}
COMPARISONS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@dataclass(frozen=True)
class Function:
    """A kernel as text: its name, its parameters beside those of the kernel, and the functions that it calls."""

    name: str
    text: str
    sizes: tuple[str, ...]  # the dimensions that it is told
    scratch: tuple[Scratch, ...]  # what lies in the arena
    calls: frozenset[str]


class Printer:
    """Prints one kernel."""

    def __init__(self, kernel: Kernel, name: str, target: Target, fast: bool, blocked: bool) -> None:
        self.kernel = kernel
        self.name = name
        self.target = target
        self.fast = fast
        self.blocked = blocked
        self.calls: set[str] = set()
        self.lines: list[str] = []
        self.names = Names([*KEYWORDS, *FUNCTIONS, "scratch", "o", name])
        self.sizes: dict[str, None] = {}
        self.bound: set[str] = set()
        self.ranges: dict[str, Size] = {}  # of the loops around: variable -> stop
        self.shapes = {p.name: p.type.shape for p in kernel.params} | {s.name: s.shape for s in kernel.scratch}
        self.dtypes = {p.name: p.type.dtype for p in kernel.params} | {s.name: s.dtype for s in kernel.scratch}
        self.combines: dict[str, Init] = {}
        self.needed = needed_names(kernel)
        self.touched: set[str] = set()
        self.more_scratch: list[Scratch] = []  # of contractions
        for name in self.shapes:
            self.names[name]

    def line(self, depth: int, text: str) -> None:
        self.lines.append("    " * depth + text)

    def most(self, extent: Size) -> Size:
        """The most that an extent is, whatever the loops around have come to."""
        found = [dims.upper(bound, self.ranges) for bound in _bounds(extent)]
        own = self.ranges.keys()
        return min(found, key=lambda size: (_has_data(size), len(dims.names(size) & own), len(dims.names(size))))

    def use(self, function: str) -> str:
        self.calls.add(function)
        return function

    # --- names and expressions ---

    def variable(self, name: str) -> str:
        """A value as C; values and dimensions may have one name."""
        return self.names.of(("value", name), name)

    def dim(self, name: str) -> str:
        """A dimension, a loop variable, or a value in an index."""
        if name.startswith("%"):
            return self.variable(name[1:])
        if name not in self.bound:
            self.sizes[name] = None
        return self.names.of(("dim", name), name)

    def loop_variable(self, name: str) -> str:
        self.bound.add(name)
        return self.names.of(("dim", name), name)

    def size(self, size: Size) -> str:
        return size_text(size, self.dim, self.use)

    def factor(self, size: Size) -> str:
        text = self.size(size)
        return text if re.fullmatch(r"\w+", text) else f"({text})"

    def arg(self, arg: Arg) -> str:
        if isinstance(arg, Ref):
            return self.variable(arg.name)
        text = literal(arg)
        if text.endswith(")") and "_of_bits" in text:
            self.use(text.lstrip("(-").split("(")[0])
        return text

    def place(self, buffer: str, index: Sequence[Size]) -> str:
        self.touched.add(buffer)
        return f"{self.names[buffer]}[{self.size(dims.ravel(tuple(index), self.shapes[buffer]))}]"

    # --- statements ---

    def body(self, body: Iterable[Statement], depth: int) -> None:
        for statement in body:
            self.statement(statement, depth)

    def define(self, depth: int, name: str, dtype: DType, value: str) -> None:
        self.line(depth, f"const {TYPES[dtype]} {self.variable(name)} = {value};")

    def statement(self, statement: Statement, depth: int) -> None:
        match statement:
            case Let() | Load() | Join() | Init() | Reduce() if statement.name not in self.needed:
                pass
            case Let(name, dtype):
                self.define(depth, name, dtype, self.let(statement))
            case Load(name, dtype, buffer, index, guard):
                place = self.place(buffer, index)
                if guard is not None:
                    place = f"{self.arg(guard)} ? {place} : {self.arg(Const(dtype.numpy.type(0).item(), dtype))}"
                self.define(depth, name, dtype, place)
            case Store(buffer, index, value):
                self.line(depth, f"{self.place(buffer, index)} = {self.arg(value)};")
            case Accumulate(buffer, index, combine, value):
                place = self.place(buffer, index)
                self.line(depth, f"{place} = {self.combine(combine, place, self.arg(value), self.dtypes[buffer])};")
            case Init():
                self.init(statement, depth)
            case Reduce():
                self.reduce(statement, depth)
            case Join():
                self.join(statement, depth)
            case Loop(var, stop, inner, start):
                first, last = self.size(start), self.size(stop)
                v = self.loop_variable(var)
                self.ranges[var] = self.most(stop)
                self.line(depth, f"for ({SIZE} {v} = {first}; {v} < {last}; ++{v}) {{")
                self.body(inner, depth + 1)
                self.line(depth, "}")
                self.bound.discard(var)
            case While(test, inner):
                self.line(depth, "for (;;) {")
                self.body(test.body, depth + 1)
                self.line(depth + 1, f"if (!{self.arg(test.value)})")
                self.line(depth + 2, "break;")
                self.body(inner, depth + 1)
                self.line(depth, "}")
            case Branch():
                self.branch(statement, depth)
            case Contract():
                print_contract(self, statement, depth)

    def branch(self, branch: Branch, depth: int) -> None:
        last = len(branch.bodies) - 1
        for i, inner in enumerate(branch.bodies):
            test = f"if ({self.arg(branch.index)} <= {i}) {{" if i < last else "{"
            self.line(depth, test if i == 0 else f"}} else {test}")
            self.body(inner, depth + 1)
        self.line(depth, "}")

    def let(self, let: Let) -> str:
        if let.op == "index":
            return size_text(let.index, self.dim, self.use, "int64_t")
        args = [self.arg(a) for a in let.args]
        return self.primitive(let.op, args, [a.dtype for a in let.args], let.dtype)

    def primitive(self, op: str, args: Sequence[str], kinds: Sequence[DType], dtype: DType) -> str:
        source = kinds[-1]
        c = TYPES[dtype]
        match op:
            case "cast":
                return self.cast(args[0], source, dtype)
            case "bitcast":
                return self.bitcast(args[0], source, dtype)
            case "select":
                return f"{args[0]} ? {args[1]} : {args[2]}"
            case "not":
                return f"!{args[0]}" if source.is_bool else f"({c})~{args[0]}"
            case "sqrt" | "floor" | "ceil" | "trunc" | "rint":
                return f"{self.use(f'{op}_{source.short}')}({args[0]})"
            case "fma":
                return self.fma(args[0], args[1], args[2], dtype)
            case "quot" | "rem":
                return f"({c})({args[0]} {'/' if op == 'quot' else '%'} {args[1]})"
            case _ if op in COMPARISONS:
                return f"{args[0]} {COMPARISONS[op]} {args[1]}"
        if source.is_float:
            if op == "abs":
                return f"{self.use(f'abs_{source.short}')}({args[0]})"
            return f"-{args[0]}" if op == "neg" else f"{args[0]} {OPERATORS[op]} {args[1]}"
        if source.is_bool:
            return f"{args[0]} {OPERATORS[op]} {args[1]}"
        u = "uint64_t" if source.itemsize == 8 else "uint32_t"
        match op:
            case "neg":
                return f"({c})(0u - ({u}){args[0]})"
            case "abs":
                return f"({c})({args[0]} < 0 ? 0u - ({u}){args[0]} : ({u}){args[0]})"
            case "shr" if source.kind == "u":
                return f"({c})({args[0]} >> {args[1]})"
            case "shr":
                return f"({c})({args[0]} < 0 ? ~(~{args[0]} >> {args[1]}) : {args[0]} >> {args[1]})"
        return f"({c})(({u}){args[0]} {OPERATORS[op]} ({u}){args[1]})"

    def fma(self, a: str, b: str, c: str, dtype: DType) -> str:
        if self.fast:
            return f"{a} * {b} + {c}"
        return f"{self.use(f'fma_{dtype.short}')}({a}, {b}, {c})"

    def cast(self, value: str, source: DType, dtype: DType) -> str:
        if source == dtype:
            return value
        if source.is_storage:
            if dtype.is_bool:
                return f"({value} & 0x7fffu) != 0"
            single = f"{self.use(f'f32_of_{source.short}')}({value})"
            return self.cast(single, t.float32, dtype)
        if dtype.is_bool:
            return f"{value} != 0"
        if dtype.is_storage:
            if source == t.float64 and dtype == t.float16:
                return f"{self.use('f16_of_f64')}({value})"
            return f"{self.use(f'{dtype.short}_of_f32')}({self.cast(value, source, t.float32)})"
        if source.is_float and dtype.is_integer:
            return f"{self.use(f'{dtype.short}_of_{source.short}')}({value})"
        return f"({TYPES[dtype]}){value}"

    def bitcast(self, value: str, source: DType, dtype: DType) -> str:
        if source.is_float and not source.is_storage:
            bits = f"{self.use(f'bits_of_{source.short}')}({value})"
            return f"({TYPES[dtype]}){bits}" if dtype.kind == "i" else bits
        if dtype.is_float and not dtype.is_storage:
            unsigned = f"({'uint32_t' if dtype == t.float32 else 'uint64_t'}){value}" if source.kind == "i" else value
            return f"{self.use(f'{dtype.short}_of_bits')}({unsigned})"
        return f"({TYPES[dtype]}){value}"

    # --- accumulators ---

    def combine(self, combine: Combine, a: str, b: str, dtype: DType) -> str:
        match combine.text:
            case "set":
                return b
            case "max" | "min" if dtype.is_bool:
                return f"{a} {'|' if combine.text == 'max' else '&'} {b}"
            case "max" | "min":
                return f"{self.extremum(combine.text, dtype)}({a}, {b})"
            case "add" if dtype.is_bool:
                return f"{a} | {b}"
            case "mul" if dtype.is_bool:
                return f"{a} & {b}"
        return self.primitive(combine.text, (a, b), (dtype, dtype), dtype)

    def extremum(self, op: str, dtype: DType) -> str:
        return self.use(f"{op}_{dtype.short}")

    def best(self, name: str) -> str:
        return self.names.of(("best", name), f"{name}_best")

    def init(self, init: Init, depth: int) -> None:
        self.combines[init.name] = init
        v, start = self.variable(init.name), self.arg(init.combine.neutral(init.dtype))
        if init.combine.positions:
            self.line(depth, f"{TYPES[init.dtype]} {self.best(init.name)} = {start};")
            self.line(depth, f"int64_t {v} = 0;")
        else:
            self.line(depth, f"{TYPES[init.dtype]} {v} = {start};")

    def reduce(self, reduce: Reduce, depth: int) -> None:
        v, x = self.variable(reduce.name), self.arg(reduce.value)
        init = self.combines[reduce.name]
        if not init.combine.positions:
            self.line(depth, f"{v} = {self.combine(reduce.combine, v, x, init.dtype)};")
            return
        best = self.best(reduce.name)
        test = f"{x} {'>' if init.combine == ARGMAX else '<'} {best}"
        if init.dtype.is_float:
            test += f" || ({x} != {x} && {best} == {best})"
        self.line(depth, f"if ({test}) {{")
        self.line(depth + 1, f"{best} = {x};")
        self.line(depth + 1, f"{v} = {self.size(reduce.position or 0)};")
        self.line(depth, "}")

    def join(self, join: Join, depth: int) -> None:
        """The first half with the second, until one is left, in a copy."""
        self.touched.add(join.buffer)
        (count,) = self.shapes[join.buffer]
        assert isinstance(count, int)
        c, v, given = TYPES[join.dtype], self.variable(join.name), self.names[join.buffer]
        if count == 1:
            self.line(depth, f"const {c} {v} = {given}[0];")
            return
        parts, o = self.names.of(("parts", join.name), f"{join.name}_parts"), "o"
        half = count // 2
        self.line(depth, f"{c} {parts}[{half}];")
        self.line(depth, f"for (int {o} = 0; {o} < {half}; ++{o})")
        first = self.combine(join.combine, f"{given}[{o}]", f"{given}[{half} + {o}]", join.dtype)
        self.line(depth + 1, f"{parts}[{o}] = {first};")
        while half > 1:
            half //= 2
            self.line(depth, f"for (int {o} = 0; {o} < {half}; ++{o})")
            both = self.combine(join.combine, f"{parts}[{o}]", f"{parts}[{half} + {o}]", join.dtype)
            self.line(depth + 1, f"{parts}[{o}] = {both};")
        self.line(depth, f"const {c} {v} = {parts}[0];")

    # --- the function ---

    def function(self) -> Function:
        kernel = self.kernel
        depth = 1
        for axis in kernel.parallel:
            first, last = self.size(axis.start), self.size(axis.stop)
            v = self.loop_variable(axis.var)
            self.ranges[axis.var] = axis.stop
            self.line(depth, f"for ({SIZE} {v} = {first}; {v} < {last}; ++{v}) {{")
            depth += 1
        self.body(kernel.body, depth)
        for level in reversed(range(1, depth)):
            self.line(level, "}")
        local = {self.names[s.name]: s for s in (*kernel.scratch, *self.more_scratch) if is_local(s)}
        self.lines = without_unused(self.lines, local)
        for name, s in local.items():
            if any(re.search(rf"\b{name}\b", line) for line in self.lines):
                array = f"{TYPES[s.dtype]} {name}[{dims.product(s.shape) or 1}];"
                self.lines.insert(len(kernel.parallel), "    " * depth + array)
        return self.finish(depth)

    def scratch_in_arena(self) -> list[Scratch]:
        """Scratch that lies in the arena."""
        return [s for s in (*self.kernel.scratch, *self.more_scratch) if not is_local(s) and s.name in self.touched]

    def finish(self, depth: int) -> Function:
        kernel, placed = self.kernel, list[str]()
        shared = self.scratch_in_arena()
        offset: Size = 0
        base = self.names.of("own scratch", "own") if kernel.parallel and shared else "scratch"
        for s in shared:
            at = base if offset == 0 else f"{base} + {self.factor(offset)}"
            placed.append(f"{TYPES[s.dtype]} *restrict {self.names[s.name]} = ({TYPES[s.dtype]} *)(void *)({at});")
            offset = dims.add(offset, scratch_bytes(s))
        if kernel.parallel and shared:
            placed.insert(0, f"unsigned char *{base} = scratch + (size_t)({self.size(offset)}) * THREAD;")
        self.lines[len(kernel.parallel) : len(kernel.parallel)] = ["    " * depth + line for line in placed]
        if kernel.parallel:
            self.lines.insert(0, "    PARALLEL")
        words = set(re.findall(r"[A-Za-z_]\w*", "\n".join(self.lines)))
        sizes = tuple(sorted(n for n in self.sizes if self.dim(n) in words))
        head = [f"    (void){self.names[p.name]};" for p in kernel.params if self.names[p.name] not in words]
        params = [
            f"{'const ' if p.mode == 'in' else ''}{TYPES[p.type.dtype]} *restrict {self.names[p.name]}" for p in kernel.params
        ]
        params += [f"const {SIZE} {self.dim(n)}" for n in sizes]
        if shared:
            params.append("unsigned char *scratch")
        comment = "".join(f"/* {_comment(str(where))} */\n" for where in kernel.where[:3])
        text = f"{comment}static void {self.name}({', '.join(params) or 'void'})\n{{\n"
        text += "".join(f"{line}\n" for line in (*head, *self.lines)) + "}\n"
        return Function(self.name, text, sizes, tuple(shared), frozenset(self.calls))


def _bounds(size: Size) -> list[Size]:
    """Bounds of a size from above, in which nothing is a maximum: -max(a, 0) is neither more than 0 nor than -a."""
    if isinstance(size, int):
        return [size]
    for monomial, factor in sorted(size.terms, key=lambda term: term[1]):  # first those that are taken away
        match monomial:
            case (dims.Max0(inner),):
                rest = dims.sub(size, dims.mul(dims.as_written(dims.Max0(inner)), factor))
                if factor < 0:
                    return [*_bounds(rest), *_bounds(dims.add(rest, dims.mul(inner, factor)))]
                tops = [dims.mul(dims.maximum(bound, 0), factor) for bound in _bounds(inner)]
                return [dims.add(a, b) for a in _bounds(rest) for b in tops]
    found: Size = 0
    for monomial, factor in size.terms:
        term = dims.mul(dims.product(map(dims.as_written, monomial)), factor)
        if factor > 0 or not _has_data(term):  # numbers of tiles are not negative
            found = dims.add(found, term)
    return [found]


def _has_data(size: Size) -> bool:
    """Whether a size has values in it: where a kernel loads what bounds its loops."""
    return any(n.startswith("%") for n in dims.names(size))


def is_local(scratch: Scratch) -> bool:
    """Whether scratch is an array of the function."""
    count = dims.product(scratch.shape)
    return isinstance(count, int) and count * scratch.dtype.itemsize <= STACK


def scratch_bytes(scratch: Scratch) -> Size:
    """The bytes of scratch in the arena."""
    return aligned(dims.mul(dims.product(scratch.shape), scratch.dtype.itemsize))


def aligned(size: Size) -> Size:
    """The bytes, up to the next line of a cache."""
    return dims.mul(dims.floordiv(dims.add(size, LINE - 1), LINE), LINE)


def _comment(text: str) -> str:
    return text.replace("*/", "* /").replace("/*", "/ *")


_DEFINITION = re.compile(r"\s*const [\w ]+ \*?(\w+) = ")


def without_unused(lines: Sequence[str], arrays: Iterable[str]) -> list[str]:
    """The lines without what only defines something that nothing uses: values, and elements of arrays."""
    while True:
        kept = _used(lines)
        for name in arrays:
            word = re.compile(rf"\b{name}\b")
            if not any(word.search(line) and not line.lstrip().startswith(f"{name}[") for line in kept):
                kept = [line for line in kept if not word.search(line)]
        if len(kept) == len(lines):
            return kept
        lines = kept


def _used(lines: Sequence[str]) -> list[str]:
    """The lines without definitions that nothing below them in their block uses."""
    kept: list[str] = []
    used: list[set[str]] = [set()]  # of the blocks that are open, innermost last
    for line in reversed(lines):
        text = line.strip()
        if text.startswith("}"):
            used.append(set())
        found = _DEFINITION.match(line)
        if found is not None and found[1] not in used[-1]:
            continue
        kept.append(line)
        if text.endswith("{"):
            inner = used.pop()
            used[-1] |= inner
        elif found is not None:
            used[-1].discard(found[1])
        used[-1].update(re.findall(r"[A-Za-z_]\w*", line[found.end() :] if found is not None else line))
    return kept[::-1]


def needed_names(kernel: Kernel) -> set[str]:
    """The values that something needs which is stored, or decides what runs."""
    makers: dict[str, set[str]] = {}
    needed: set[str] = set()

    def of(*args: Arg | None) -> set[str]:
        return {a.name for a in args if isinstance(a, Ref)}

    def within(*sizes: Size) -> set[str]:
        return {n[1:] for n in dims.names(*sizes) if n.startswith("%")}

    todo = list(kernel.body)
    while todo:
        statement = todo.pop()
        for inner in bodies(statement):
            todo += inner
        match statement:
            case Let(name=name, args=args, index=index):
                makers.setdefault(name, set()).update(of(*args) | within(index))
            case Load(name=name, index=places, guard=guard):
                makers.setdefault(name, set()).update(of(guard) | within(*places))
            case Reduce(name=name, value=value, position=position):
                makers.setdefault(name, set()).update(of(value) | within(position or 0))
            case Store(index=places, value=value) | Accumulate(index=places, value=value):
                needed |= of(value) | within(*places)
            case Loop(start=start, stop=stop):
                needed |= within(start, stop)
            case While(test=test):
                needed |= of(test.value)
            case Branch(index=which):
                needed |= of(which)
            case Contract():
                needed |= of(statement.left.value, statement.right.value) | within(statement.run or 0)
                for axis in (statement.m, statement.n, statement.k):
                    needed |= within(axis.start, axis.stop)
    found = list(needed)
    while found:
        more = makers.get(found.pop(), set()) - needed
        needed |= more
        found += more
    return needed


def print_kernel(kernel: Kernel, name: str, target: Target, fast: bool = False, blocked: bool = True) -> Function:
    """A kernel as a function of C called `name`."""
    return Printer(kernel, name, target, fast, blocked).function()


__all__ = ["Function", "Printer", "aligned", "print_kernel", "scratch_bytes"]
