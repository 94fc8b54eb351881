"""What a caller sees and what a call checks: the header, and the entry of the source file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from graphc.export.c.kernels import aligned
from graphc.export.c.primitives import used
from graphc.export.c.programs import RESERVED, Source, constant_text, print_calls, slot_offsets
from graphc.export.c.text import KEYWORDS, SIZE, TYPES, Names
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.program import Program
from graphc.ir.types import TensorType

STATUS = (
    ("OK", "the program has run"),
    ("NULL_POINTER", "an argument or a member of one is NULL"),
    ("BAD_SIZE", "a size is negative, too large, or not what the program requires"),
    ("SMALL_ARENA", "the arena has fewer bytes than {name}_arena_bytes says"),
    ("UNALIGNED", "an array is not aligned as its elements are, or the arena not at 8 bytes"),
    ("OVERLAP", "an array that is written overlaps with another, or one goes on behind the end of memory"),
)


@dataclass(frozen=True)
class Member:
    """A member of a struct of the interface: an array."""

    name: str
    buffer: str
    type: TensorType
    comment: str


@dataclass(frozen=True)
class Interface:
    """The names of a program's arguments in C."""

    name: str
    sizes: tuple[tuple[str, str], ...]  # (dimension, member)
    inputs: tuple[Member, ...]
    outputs: tuple[Member, ...]
    variables: tuple[Member, ...]

    @property
    def groups(self) -> tuple[tuple[str, tuple[Member, ...]], ...]:
        return ("inputs", self.inputs), ("outputs", self.outputs), ("variables", self.variables)

    def described(self, program: Program) -> dict[str, Any]:
        """All of it as data, for those who call the program from another language."""
        signature = program.signature
        return {
            "name": self.name,
            "sizes": [{"name": dim, "member": member} for dim, member in self.sizes],
            **{
                group: [{"name": m.name, "dtype": m.type.dtype.name, "shape": list(map(str, m.type.shape))} for m in members]
                for group, members in self.groups
            },
            "saved": {m.name: v.initial for m, v in zip(self.variables, signature.variables, strict=True)},
            "rules": [{"size": r.name, "input": r.input, "axis": r.axis, "is": str(r.size)} for r in signature.sizes],
            "requirements": [{"is": f"{r.left} {r.relation} {r.right}", "message": r.message} for r in signature.requirements],
        }


def interface_of(program: Program, name: str) -> Interface:
    """The interface of a program that is called `name`."""
    signature = program.signature
    taken = [*KEYWORDS, name]
    own = Names(taken)
    told = sorted(dims.names(*_sizes(program)))
    sizes = tuple((n, own[n]) for n in told)
    own = Names(taken)
    inputs = tuple(Member(own[x.name], x.name, x.type, str(x.type)) for x in signature.inputs)
    own = Names(taken)
    outputs = tuple(
        Member(own.of(i, _readable(y.name, i)), y.name, y.type, str(y.type))
        for i, y in enumerate(signature.outputs)
    )
    own = Names(taken)
    variables = tuple(Member(own[v.initial], v.name, v.type, f"{v.type}  {v.initial}") for v in signature.variables)
    return Interface(name, sizes, inputs, outputs, variables)


def _readable(buffer: str, position: int) -> str:
    return f"y{position}" if buffer[0].isdigit() else buffer


def _sizes(program: Program) -> list[Size]:
    found: list[Size] = [n for b in program.buffers.values() for n in b.type.shape]
    for inner in program.programs:
        found += inner.slots
        for call in inner.calls:
            found += [n for p in call.kernel.params for n in p.type.shape]
    found += [n for r in program.signature.requirements for n in (r.left, r.right)]
    return found


# --- the header ------------------------------------------------------------------------------------------------------


def arguments(face: Interface) -> str:
    parts = [f"const {face.name}_sizes *sizes"] if face.sizes else []
    parts += [f"const {face.name}_{group} *{group}" for group, members in face.groups if members]
    return ", ".join([*parts, "void *arena", "size_t arena_bytes"])


def told_sizes(face: Interface) -> str:
    return f"const {face.name}_sizes *sizes" if face.sizes else "void"


def header(face: Interface, program: Program, more: str = "", arena: tuple[int, int] | None = None) -> str:
    """The header file. Where sizes are numbers, it has what a caller needs to declare all memory."""
    name, upper = face.name, face.name.upper()
    text = f"/* {name}: written by graphc. Arrays are contiguous, in C's order. */\n"
    text += f"#ifndef {upper}_H\n#define {upper}_H\n\n#include <stddef.h>\n#include <stdint.h>\n\n"
    text += '#ifdef __cplusplus\nextern "C" {\n#endif\n\n'
    codes = "".join(f"    {upper}_{what} = {i},  /* {why.format(name=name)} */\n" for i, (what, why) in enumerate(STATUS))
    text += f"enum {name}_status {{\n{codes.replace(',  /*', '  /*') if len(STATUS) == 1 else codes}}};\n\n"
    if face.sizes:
        text += "typedef struct {\n" + "".join(f"    {SIZE} {member};\n" for _, member in face.sizes) + f"}} {name}_sizes;\n\n"
    for group, members in face.groups:
        if not members:
            continue
        text += "typedef struct {\n"
        for m in members:
            const = "const " if group == "inputs" else ""
            text += f"    {const}{TYPES[m.type.dtype]} *{m.name};  /* {m.comment.replace('*/', '')} */\n"
        text += f"}} {name}_{group};\n\n"
    for r in program.signature.requirements:
        text += f"/* {r.left} {r.relation} {r.right}: {r.message.replace('*/', '')} */\n"
    text += f"/* whether the sizes are such as the program takes: {upper}_OK or {upper}_BAD_SIZE */\n"
    text += f"int {name}_check({told_sizes(face)});\n"
    text += "/* the bytes of memory that a call works in, aligned at 8; it holds nothing between calls */\n"
    text += f"size_t {name}_arena_bytes({told_sizes(face)});\n"
    if arena is not None:
        text += _arena_macro(upper, *arena)
    text += _state(face)
    writes = " Variables are read and written." if face.variables else ""
    text += f"/* run it: {upper}_OK, or why it has not run; then nothing is written.{writes} */\n"
    text += f"int {name}({arguments(face)});\n"
    return text + more + "\n#ifdef __cplusplus\n}\n#endif\n\n#endif\n"


def _arena_macro(upper: str, whole: int, scratch: int) -> str:
    """The bytes of an arena as a constant; at least 8, since no array of C is empty."""
    plain = f"#define {upper}_ARENA_BYTES {max(whole + scratch, 8)}\n"
    if scratch == 0:
        return plain
    threads = f"#define {upper}_ARENA_BYTES ({whole} + {scratch} * (GRAPHC_THREADS))\n"
    return f"#if defined(GRAPHC_THREADS)\n{threads}#else\n{plain}#endif\n"


def _state(face: Interface) -> str:
    """Memory for variables whose shapes are numbers, and how it becomes what a call is given."""
    if not face.variables or not all(isinstance(m.type.size, int) for m in face.variables):
        return ""
    arrays = "".join(f"    {TYPES[m.type.dtype]} {m.name}[{m.type.size or 1}];\n" for m in face.variables)
    members = ", ".join(f"(state).{m.name}" for m in face.variables)
    text = f"/* memory for the variables: {face.name}_variables variables = {face.name.upper()}_VARIABLES(state); */\n"
    return f"{text}typedef struct {{\n{arrays}}} {face.name}_state;\n#define {face.name.upper()}_VARIABLES(state) {{{members}}}\n"


# --- the source ------------------------------------------------------------------------------------------------------

MACHINE = """
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#endif
#if defined(__FAST_MATH__) || (defined(FLT_EVAL_METHOD) && FLT_EVAL_METHOD != 0)
#error "floats are to be computed as they are written: without -ffast-math, and in their own type"
#endif
#if defined(__GNUC__) && !defined(__clang__)
/* gcc cannot know that loops over lanes do not run where an array has fewer elements, and warns of that */
#pragma GCC diagnostic ignored "-Waggressive-loop-optimizations"
#endif
#if defined(__GNUC__) && defined(__OPTIMIZE__) && (defined(__SSE2__) || defined(__aarch64__))
/* roots set no errno, and so are an instruction, of vectors too */
#if !defined(__clang__)
#pragma GCC optimize("no-math-errno")
#endif
float __builtin_sqrtf(float) __attribute__((const));
double __builtin_sqrt(double) __attribute__((const));
#define GRAPHC_HAS_SQRT
#endif
#if defined(__GNUC__) && defined(__OPTIMIZE__)
#if defined(__FMA__) || defined(__aarch64__) || (defined(__ARM_FEATURE_FMA) && (__ARM_FP & 4)) || (__riscv_flen >= 32)
#define GRAPHC_HAS_FMA_F32
#endif
#if defined(__FMA__) || defined(__aarch64__) || (defined(__ARM_FEATURE_FMA) && (__ARM_FP & 8)) || (__riscv_flen >= 64)
#define GRAPHC_HAS_FMA_F64
#endif
#if defined(__SSE4_1__) || defined(__aarch64__) || defined(__wasm__)
#define GRAPHC_HAS_ROUNDING
#endif
#if defined(__NO_MATH_ERRNO__) && defined(__wasm__)
#define GRAPHC_HAS_SQRT
#endif
#endif
#if defined(__SSE2__) && defined(__GNUC__)
#include <emmintrin.h>
#elif defined(__aarch64__) && defined(__GNUC__)
#define GRAPHC_SQRT_F32 "fsqrt %s0, %s1" : "=w"(root) : "w"(a)
#define GRAPHC_SQRT_F64 "fsqrt %d0, %d1" : "=w"(root) : "w"(a)
#elif defined(__ARM_FP) && defined(__GNUC__) && (__ARM_FP & 4)
#define GRAPHC_SQRT_F32 "vsqrt.f32 %0, %1" : "=t"(root) : "t"(a)
#elif defined(__riscv_flen) && defined(__GNUC__)
#define GRAPHC_SQRT_F32 "fsqrt.s %0, %1" : "=f"(root) : "f"(a)
#if __riscv_flen >= 64
#define GRAPHC_SQRT_F64 "fsqrt.d %0, %1" : "=f"(root) : "f"(a)
#endif
#endif
#if defined(__GNUC__)
#define INLINE static inline __attribute__((unused))
#else
#define INLINE static inline
#endif
#if defined(_OPENMP) && defined(GRAPHC_THREADS)
#include <omp.h>
#define PARALLEL _Pragma("omp parallel for num_threads(GRAPHC_THREADS)")
#define THREADS (GRAPHC_THREADS)
#define THREAD ((size_t)omp_get_thread_num())
#else
#define PARALLEL
#define THREADS 1
#define THREAD 0
#endif
"""


def source_file(face: Interface, program: Program, fast: bool, blocked: bool) -> tuple[str, tuple[int, int] | None]:
    """The source file; and the bytes of the arena without scratch, and of a thread's scratch, if these are numbers."""
    source = Source(face.name, program.target, fast, blocked)
    for dim, member in face.sizes:
        assert source.dim(dim) or member
    entry = _entry(face, program, source)
    sizes = "".join(f"    const {SIZE} {source.dim(dim)} = sizes->{member};\n" for dim, member in face.sizes)
    quiet = "".join(f"    (void){source.dim(dim)};\n" for dim, _ in face.sizes)
    check = _check(face, program, source)
    arena = _arena(face, program, source)
    text = f'/* {face.name}: written by graphc */\n#include "{face.name}.h"\n\n#include <float.h>\n#include <string.h>\n'
    text += MACHINE + "\n"
    text += "\n".join(used(source.calls)) + "\n\n"
    text += "\n".join(source.constants) + "\n"
    text += "\n".join(source.functions) + "\n"
    text += f"int {face.name}_check({told_sizes(face)})\n{{\n{_null_sizes(face, 'check')}{sizes}{quiet}{check}}}\n\n"
    text += f"size_t {face.name}_arena_bytes({told_sizes(face)})\n{{\n{sizes}{quiet}{arena}}}\n\n"
    text += f"int {face.name}({arguments(face)})\n{{\n{entry.replace('@SIZES@', sizes + quiet)}}}\n"
    sizes_of = [arena_size(program, source), *source.scratch]
    numbers = [n for n in sizes_of if isinstance(n, int)]
    return text, (numbers[0], max(numbers[1:], default=0)) if len(numbers) == len(sizes_of) else None


def _null_sizes(face: Interface, what: str) -> str:
    return f"    if (sizes == NULL)\n        return {face.name.upper()}_NULL_POINTER;\n" if face.sizes else ""


def _check(face: Interface, program: Program, source: Source) -> str:
    """Whether sizes fit: none is negative, no array or arena has more bytes than there are, and what is required holds."""
    upper = face.name.upper()
    lines = [_unless(f"{source.dim(dim)} >= 0", upper) for dim, _ in face.sizes]
    if face.sizes:
        as_double = {dim: f"(double){source.dim(dim)}" for dim, _ in face.sizes}
        arena = arena_size(program, source)
        for size in dict.fromkeys([*(b.type.nbytes for b in program.buffers.values()), arena, *source.scratch]):
            if not isinstance(size, int):
                lines.append(_unless(f"{_double(size, as_double)} <= (double)(PTRDIFF_MAX / 4)", upper))
    for r in program.signature.requirements:
        left, right = source.size(r.left), source.size(r.right)
        lines.append(_unless(f"({left}) {r.relation} ({right})", upper, r.message))
    for size in dict.fromkeys(n for b in program.buffers.values() for n in b.type.shape if not isinstance(n, int)):
        if not dims.is_nonnegative(size):
            lines.append(_unless(f"{source.size(size)} >= 0", upper))
    return "".join(lines) + f"    return {upper}_OK;\n"


def _unless(condition: str, upper: str, why: str = "") -> str:
    comment = f"  /* {why.replace('*/', '')} */" if why else ""
    return f"    if (!({condition})){comment}\n        return {upper}_BAD_SIZE;\n"


def _double(size: Size, names: dict[str, str]) -> str:
    """A size in floating point, which does not wrap around; no less than it is."""
    if isinstance(size, int):
        return f"{size}.0"
    text = []
    for monomial, factor in size.terms:
        parts = [f"{abs(factor)}.0"]
        for atom in monomial:
            match atom:
                case str():
                    parts.append(names[atom])
                case dims.FloorDiv(a, b):
                    parts.append(f"({_double(a, names)}) / ({_double(b, names)})")
                case dims.Max0(a):
                    parts.append(f"(({_double(a, names)}) > 0.0 ? ({_double(a, names)}) : 0.0)")
        text.append(("- " if factor < 0 else "+ ") + " * ".join(parts))
    return " ".join(text).removeprefix("+ ")


def arena_size(program: Program, source: Source) -> Size:
    """The bytes of the arena without scratch."""
    total: Size = 0
    for size in (*program.slots, *(b.type.nbytes for b in program.buffers.values() if b.role == "next")):
        total = dims.add(total, aligned(size))
    return total


def _arena(face: Interface, program: Program, source: Source) -> str:
    need = list(dict.fromkeys(source.scratch))
    lines = ["    size_t scratch = 0;\n"]
    for size in need:
        lines.append(f"    if ((size_t)({source.size(size)}) > scratch)\n        scratch = (size_t)({source.size(size)});\n")
    return "".join(lines) + f"    return (size_t)({source.size(arena_size(program, source))}) + scratch * THREADS;\n"


def _entry(face: Interface, program: Program, source: Source) -> str:
    name, upper = face.name, face.name.upper()
    lines: list[str] = []
    for group, members in face.groups:
        if members:
            lines.append(f"    if ({group} == NULL)\n        return {upper}_NULL_POINTER;")
    checked = f"{name}_check(sizes)" if face.sizes else f"{name}_check()"
    lines.append(f"    if ({checked} != {upper}_OK)\n        return {checked};")
    own = Names([*RESERVED, *(source.dim(dim) for dim, _ in face.sizes)])
    lines.append("@SIZES@")
    told = "sizes" if face.sizes else ""
    lines.append(f"    const size_t needed = {name}_arena_bytes({told});")
    lines.append("    unsigned char *memory = (unsigned char *)arena;")
    lines.append(f"    if (arena_bytes < needed)\n        return {upper}_SMALL_ARENA;")
    lines.append(f"    if (needed != 0 && arena == NULL)\n        return {upper}_NULL_POINTER;")
    lines.append(f"    if ((uintptr_t)arena % 8 != 0)\n        return {upper}_UNALIGNED;")
    regions = []
    for group, members in face.groups:
        for m in members:
            nbytes = f"(size_t)({source.size(m.type.nbytes)})"
            regions.append((f"{group}->{m.name}", nbytes, TYPES[m.type.dtype], group != "inputs"))
    if regions:
        source.calls.add("check_memory")
        lines.append(memory_check(upper, [*regions, ("arena", "needed", "unsigned char", True)]))
    places: dict[str, str] = {}
    offsets = slot_offsets(program)
    total: Size = 0
    for size in program.slots:
        total = dims.add(total, aligned(size))
    given = {m.buffer: f"{group}->{m.name}" for group, ms in face.groups for m in reversed(ms)}
    body: list[tuple[str, str]] = []
    for b in program.buffers.values():
        kind = TYPES[b.type.dtype]
        if b.role == "constant":
            places[b.name] = constant_text(source, program, b)
        elif b.role in ("input", "output", "variable"):
            places[b.name] = given[b.name]
        else:
            offset = total if b.slot is None else offsets[b.slot]
            if b.slot is None:
                total = dims.add(total, aligned(b.type.nbytes))
            places[b.name] = own[b.name]
            place = f"    {kind} *{places[b.name]} = ({kind} *)(void *)(memory + {source.factor(offset)});"
            body.append((place, places[b.name]))
    calls = list(print_calls(source, program, places, f"memory + {source.factor(total)}", 1))
    used_words = set(re.findall(r"\w+", "\n".join(calls)))
    kept = [line for line, word in body if word in used_words]
    ends = []
    for variable, new in program.updates:
        nbytes = f"(size_t)({source.size(program.buffers[new].type.nbytes)})"
        ends.append(f"    memcpy({places[variable]}, {places[new]}, {nbytes});")
    seen: dict[str, str] = {}
    for m in face.outputs:
        if m.buffer in seen:
            nbytes = f"(size_t)({source.size(m.type.nbytes)})"
            ends.append(f"    memcpy(outputs->{m.name}, {seen[m.buffer]}, {nbytes});")
        seen.setdefault(m.buffer, f"outputs->{m.name}")
    return "\n".join([*lines, *kept, "    (void)memory;", *calls, *ends, f"    return {upper}_OK;"]) + "\n"


def memory_check(upper: str, regions: Sequence[tuple[str, str, str, bool]]) -> str:
    """Statements that return a code where arrays are NULL, not aligned, or overlap: (place, bytes, type, whether written)."""
    lines = [f"    {{\n        memory_region regions[{len(regions)}];"]
    for i, (place, nbytes, kind, written) in enumerate(regions):
        lines.append(f"        set_region(&regions[{i}], {place}, {nbytes}, sizeof({kind}), {int(written)});")
    lines.append(f"        switch (check_memory(regions, {len(regions)})) {{")
    for code, what in ((1, "NULL_POINTER"), (2, "UNALIGNED"), (3, "OVERLAP")):
        lines.append(f"        case {code}: return {upper}_{what};")
    lines.append("        default: break;\n        }\n    }")
    return "\n".join(lines)


__all__ = ["Interface", "header", "interface_of", "memory_check", "source_file"]
