"""A program as C: memory for its buffers, then its calls in order.

A buffer is a pointer: a member of what the caller gives (inputs, outputs, variables), an array of constants, or a place in the
arena. The arena holds the slots of temporaries, the second memories of variables, and scratch, at offsets that are numbers or
expressions of sizes. A program of steps is a function of its own, which moves the pointers of carries and slices.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from graphc.export.c.kernels import Function, aligned, print_kernel, scratch_bytes
from graphc.export.c.primitives import FUNCTIONS
from graphc.export.c.text import KEYWORDS, SIZE, TYPES, Names, literal, operand, size_text
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Buffer, Collective, HostCall, Kernel, Program, Steps
from graphc.ir.scalar import Const
from graphc.ir.target import Target
from graphc.ir.types import DType

Array = np.ndarray[Any, Any]
# What functions call their own: arguments, what they work in, and the parameters of steps.
_OWN = "sizes inputs outputs variables arena arena_bytes needed memory regions scratch step spare work".split()
RESERVED = (*KEYWORDS, *FUNCTIONS, *_OWN, *(f"{letter}{i}" for letter in "xy" for i in range(1000)))


@dataclass
class Source:
    """What is written of a program, piece by piece."""

    name: str
    target: Target
    fast: bool
    blocked: bool
    functions: list[str] = field(default_factory=list)
    constants: list[str] = field(default_factory=list)
    kernels: dict[str, Function] = field(default_factory=dict)
    steps: dict[str, StepsFunction] = field(default_factory=dict)
    calls: set[str] = field(default_factory=set)
    scratch: list[Size] = field(default_factory=list)  # what each kernel needs of it
    names: Names = field(default_factory=lambda: Names(RESERVED))

    def use(self, function: str) -> str:
        self.calls.add(function)
        return function

    def size(self, size: Size) -> str:
        return size_text(size, self.dim, self.use)

    def factor(self, size: Size) -> str:
        return operand(size, self.dim, self.use)

    def dim(self, name: str) -> str:
        return self.names.of(("dim", name), name)


@dataclass(frozen=True)
class StepsFunction:
    """A program of steps as a function: its name, and the dimensions that it is told."""

    name: str
    sizes: tuple[str, ...]
    scratch: bool


def constant_text(source: Source, program: Program, b: Buffer) -> str:
    """The name of an array of constants, which is written."""
    name = source.names.of(("constant", len(source.constants)), f"{source.name}_constant{len(source.constants)}")
    values = np.ascontiguousarray(b.value)
    if not _is_literal(values, b.type.dtype):  # no constant expression of C: its bits are
        unsigned, items = _bits(values, b.type.dtype)
        union = f"union {{ {unsigned} bits[{len(items)}]; {TYPES[b.type.dtype]} values[{len(items)}]; }}"
        source.constants.append(f"static const {union} {name} = {{{{\n{_lines(items)}\n}}}};\n")
        return f"{name}.values"
    declared = f"static const {TYPES[b.type.dtype]} {name}[{max(values.size, 1)}]"
    source.constants.append(array_text(declared, values, b.type.dtype))
    return name


def array_text(declared: str, values: Array, dtype: DType) -> str:
    """The definition of an array. NaN and infinities are written as quotients, which C computes when it compiles."""
    items = [literal(Const(v, dtype)) for v in values.ravel().tolist()] or ["0"]
    if not _is_literal(values, dtype):
        suffix = "f" if dtype.itemsize == 4 else ""
        named = {"nan": f"0.0{suffix}/0.0{suffix}", "inf": f"1.0{suffix}/0.0{suffix}", "-inf": f"-1.0{suffix}/0.0{suffix}"}
        items = [named.get(str(v), item) for v, item in zip(values.ravel().tolist(), items, strict=True)]
    return f"{declared} = {{\n{_lines(items)}\n}};\n"


def _is_literal(values: Array, dtype: DType) -> bool:
    return not dtype.is_float or dtype.is_storage or bool(np.isfinite(values).all())


def _bits(values: Array, dtype: DType) -> tuple[str, list[str]]:
    """Floats as the integers that have the same bits."""
    if dtype.itemsize == 4:
        return "uint32_t", [f"0x{v:08x}u" for v in values.view(np.uint32).ravel().tolist()]
    return "uint64_t", [f"UINT64_C(0x{v:016x})" for v in values.view(np.uint64).ravel().tolist()]


def _lines(items: Sequence[str]) -> str:
    lines, line = [], "   "
    for item in items:
        if len(line) + len(item) > 120:
            lines.append(line)
            line = "   "
        line += f" {item},"
    return "\n".join([*lines, line.rstrip(",")])


def print_calls(source: Source, program: Program, places: Mapping[str, str], scratch: str, depth: int) -> Iterator[str]:
    """The lines of a program's calls; `places` has the expression of each buffer's memory."""
    for call in program.calls:
        assert not isinstance(call.kernel, HostCall | Collective), "lowering.py refuses it"
        found = _kernel(source, call.kernel) if isinstance(call.kernel, Kernel) else _steps(source, call.kernel)
        args = [*(places[name] for name in call.buffers), *map(source.dim, found.sizes), *([scratch] if found.scratch else [])]
        yield "    " * depth + f"{found.name}({', '.join(args)});"


def _kernel(source: Source, kernel: Kernel) -> Function:
    """The function of a kernel, written at its first call."""
    found = source.kernels.get(kernel.name)
    if found is None:
        name = source.names.of(("kernel", kernel.name), f"{source.name}_{kernel.name}")
        found = source.kernels[kernel.name] = print_kernel(kernel, name, source.target, source.fast, source.blocked)
        source.functions.append(found.text)
        source.calls |= found.calls
        need: Size = 0
        for s in found.scratch:
            need = dims.add(need, scratch_bytes(s))
        if need != 0:
            source.scratch.append(need)
    return found


def _steps(source: Source, steps: Steps) -> StepsFunction:
    """The function of a program of steps, written at its first call."""
    found = source.steps.get(steps.name)
    if found is None:
        found = source.steps[steps.name] = print_steps(source, steps)
    return found


def print_steps(source: Source, steps: Steps) -> StepsFunction:
    """Write the function of a program of steps."""
    program, at = steps.program, {p.name: p for p in steps.params}
    name = source.names.of(("steps", steps.name), f"{source.name}_{steps.name}")
    told = sorted(program_dims(steps))
    own = Names([*RESERVED, name, *map(source.dim, told)])
    c = {b.name: TYPES[b.type.dtype] for b in program.buffers.values()}
    lines: list[str] = []
    updates = dict(program.updates)
    count = source.size(steps.count)
    places: dict[str, str] = {}
    offsets = slot_offsets(program)

    def in_work(b: Buffer) -> str:
        assert b.slot is not None
        return f"({c[b.name]} *)(void *)(work + {source.factor(offsets[b.slot])})"

    for b in program.buffers.values():
        if b.role == "constant":
            places[b.name] = constant_text(source, program, b)
        else:
            places[b.name] = own[b.name]
    for i, given in enumerate(program.inputs):
        b = program.buffers[given]
        if i < steps.carries:
            home = f"y{i}" if f"y{i}" in at else f"x{i}"
            nbytes = f"(size_t)({source.size(b.type.nbytes)})"
            if given in updates:
                old, new = own[given], own[updates[given]]
                second = in_work(program.buffers[updates[given]])
                lines += [
                    f"    {c[given]} *{old} = {home}, *{new} = {second};",
                    f"    if ({count} % 2 != 0) {{  /* it ends in the other memory than it began in */",
                    f"        {old} = {second};",
                    f"        {new} = {home};",
                    "    }",
                    f"    if ({old} != x{i})",
                    f"        memcpy({old}, x{i}, {nbytes});",
                ]
            else:
                lines.append(f"    {c[given]} *{own[given]} = {home};")
                if home != f"x{i}":
                    lines.append(f"    memcpy({own[given]}, x{i}, {nbytes});")
        elif i < steps.carries + steps.sequences:
            size = source.factor(b.type.size)
            start = f" + ({count} - 1) * {size}" if steps.reverse else ""
            lines.append(f"    const {c[given]} *{own[given]} = x{i}{start};")
        else:
            lines.append(f"    const {c[given]} *{own[given]} = x{i};")
    for i, made in enumerate(program.outputs, steps.carries):
        size = source.factor(program.buffers[made].type.size)
        start = f" + ({count} - 1) * {size}" if steps.reverse else ""
        lines.append(f"    {c[made]} *{own[made]} = y{i}{start};")
    news = set(updates.values())
    for b in program.buffers.values():
        if b.slot is not None and b.name not in news:
            lines.append(f"    {c[b.name]} *{own[b.name]} = {in_work(b)};")
    lines.append(f"    for ({SIZE} step = 0; step < {count}; ++step) {{")
    lines += print_calls(source, program, places, "scratch", 2)
    for carry, new in program.updates:
        lines.append("        {")
        lines.append(f"            {c[carry]} *spare = {own[carry]};")
        lines.append(f"            {own[carry]} = {own[new]};")
        lines.append(f"            {own[new]} = spare;")
        lines.append("        }")
    moved = [*program.inputs[steps.carries : steps.carries + steps.sequences], *program.outputs]
    for buffer in moved:
        size = source.size(program.buffers[buffer].type.size)
        lines.append(f"        {own[buffer]} {'-' if steps.reverse else '+'}= {size};")
    lines.append("    }")
    params = []
    for p in steps.params:
        kind = "unsigned char" if p.name == "work" else TYPES[p.type.dtype]
        params.append(f"{'const ' if p.mode == 'in' else ''}{kind} *{p.name}")
    text = "\n".join(lines)
    sizes = tuple(told)
    params += [f"const {SIZE} {source.dim(n)}" for n in sizes]
    params.append("unsigned char *scratch")
    unused = "".join(f"    (void){word};\n" for word in (*(p.name for p in steps.params), *map(source.dim, sizes), "scratch"))
    source.functions.append(f"static void {name}({', '.join(params)})\n{{\n{unused}{text}\n}}\n")
    return StepsFunction(name, sizes, True)


def program_dims(steps: Steps) -> frozenset[str]:
    """The dimensions of a program of steps, and of all within it."""
    sizes: list[Size] = [steps.count]
    for program in steps.program.programs:
        sizes += [n for b in program.buffers.values() for n in b.type.shape]
        sizes += program.slots
        for call in program.calls:
            sizes += [n for p in call.kernel.params for n in p.type.shape]
            if isinstance(call.kernel, Steps):
                sizes.append(call.kernel.count)
    return dims.names(*sizes)


def slot_offsets(program: Program) -> list[Size]:
    """Where each slot of a program's arena begins."""
    found: list[Size] = []
    total: Size = 0
    for size in program.slots:
        found.append(total)
        total = dims.add(total, aligned(size))
    return found
