"""The first values of variables: arrays of C (but for zeros, which are set) as text or by an assembler, a file, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.export.c.interface import Interface, Member, memory_check
from graphc.export.c.primitives import used
from graphc.export.c.programs import array_text
from graphc.export.c.text import TYPES

Array = np.ndarray[Any, Any]


def written(face: Interface, initial: Mapping[str, Array], weights: str | None) -> tuple[str, dict[str, bytes]]:
    """What the header says of them, and the files that hold them."""
    name = face.name
    if weights is None:
        return "", {}
    values = [(m, np.ascontiguousarray(initial[m.name])) for m in face.variables]
    if weights == "file":
        total = sum(a.nbytes for _, a in values)
        head = f"\n/* the first values of the variables: the {total} bytes of {name}.bin, in the order of the struct */\n"
        head += f"int {name}_initialize(const {name}_variables *variables, const void *bytes, size_t count);\n"
        lines, offset = [], 0
        for m, a in values:
            if a.size:
                lines.append(f"    memcpy(variables->{m.name}, (const unsigned char *)bytes + {offset}, {a.nbytes});")
            offset += a.nbytes
        text = _file(face, values, "const void *bytes, size_t count", str(total), lines)
        return head, {f"{name}_weights.c": text.encode(), f"{name}.bin": b"".join(a.tobytes() for _, a in values)}
    head = "\n/* the first values of the variables */\n"
    assembled = weights == "assembled"
    arrays = [_array(face, m, a, assembled) for m, a in values if not _is_zero(a)]
    head += "".join(f"extern {declared};\n" for declared, _ in arrays)
    head += f"int {name}_initialize(const {name}_variables *variables);\n"
    lines = [_set(f"variables->{m.name}", f"{name}_initial_{m.name}", a) for m, a in values if a.size]
    text = _file(face, values, "", "", lines, "".join(made for _, made in arrays))
    beside = {f"{name}_{m.name}.bin": a.tobytes() for m, a in values} if assembled else {}
    return head, {f"{name}_weights.c": text.encode(), **beside}


def _is_zero(a: Array) -> bool:
    """Whether an array is set rather than copied: all its bits are 0."""
    return not a.tobytes().strip(b"\0")


def _set(to: str, source: str, a: Array) -> str:
    return f"    memset({to}, 0, {a.nbytes});" if _is_zero(a) else f"    memcpy({to}, {source}, sizeof {source});"


def _array(face: Interface, m: Member, a: Array, assembled: bool) -> tuple[str, str]:
    """The declaration of an array, and its definition."""
    kind, label = TYPES[m.type.dtype], f"{face.name}_initial_{m.name}"
    declared = f"const {kind} {label}[{max(a.size, 1)}]"
    if not assembled or not a.size:
        return declared, array_text(declared, a, m.type.dtype)
    # numbers as text take compilers a second for each megabyte
    lines = (
        ".section .rodata", ".balign 64", f".globl {label}", f".type {label}, %object", f"{label}:",
        f'.incbin \\"{face.name}_{m.name}.bin\\"', f".size {label}, {a.nbytes}", ".previous",
    )  # fmt: skip
    return declared, "__asm__(\n" + "".join(f'    "{line}\\n"\n' for line in lines) + ");\n"


def _file(
    face: Interface, values: Sequence[tuple[Member, Array]], more: str, count: str, lines: Sequence[str], arrays: str = ""
) -> str:  # fmt: skip
    """A file with one function, which checks as calls of the program do; `count` is how many bytes it is to be given."""
    upper = face.name.upper()
    entry = f"int {face.name}_initialize(const {face.name}_variables *variables{', ' * bool(more)}{more})"
    checked = ["    if (variables == NULL)", f"        return {upper}_NULL_POINTER;"]
    regions = [(f"variables->{m.name}", str(a.nbytes), TYPES[m.type.dtype], True) for m, a in values]
    if more:
        checked += [f"    if (count != {count})", f"        return {upper}_BAD_SIZE;"]
        regions.append(("bytes", "count", "unsigned char", False))
    body = "".join(f"{line}\n" for line in (*checked, memory_check(upper, regions), *lines, f"    return {upper}_OK;"))
    functions = "\n".join(used(["check_memory"])).replace("INLINE ", "static ")
    return f'#include "{face.name}.h"\n\n#include <string.h>\n\n{functions}\n\n{arrays}\n{entry}\n{{\n{body}}}\n'
