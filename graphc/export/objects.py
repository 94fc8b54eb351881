"""Object code: a program in C, compiled, with what C, C++, Rust and Python need to call it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

from graphc.export import loader
from graphc.export.c.primitives import NEEDS
from graphc.export.compiler import Compiler
from graphc.ir.target import HOST, Target

# What the levels of x86-64 have, as Linux calls it (System V psABI, table 3.1).
_V2 = ("cx16", "popcnt", "pni", "ssse3", "sse4_1", "sse4_2")
_V3 = (*_V2, "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
_USED = ("sse", "ssse", "avx", "fma", "bmi", "f16c", "gfni", "vaes", "vpclmul", "adx", "movbe", "popcnt", "sha_ni", "xop", "tbm")
INSTRUCTIONS = {"x86-64-v2": _V2, "x86-64-v3": _V3, "x86-64-v4": _V4}


def object_files(name: str, files: Mapping[str, bytes], compiler: Compiler, target: Target) -> dict[str, bytes]:
    """The files of a program that is given as files of C: its header, an object file, a shared library, and a loader."""
    both = "".join(f"#define {function} weights_{function}\n" for function in (*NEEDS["check_memory"], "check_memory"))
    text = f'#include "{name}.c"\n' + f'{both}#include "{name}_weights.c"\n' * (f"{name}_weights.c" in files)
    unit = {**files, "unit.c": text.encode()}  # one unit: the two have functions of the same names
    flags = compiler.object_flags(target)
    made = compiler.make(unit, (*flags, "-c"), ["unit.c"], f"{name}.o")
    shared = compiler.make({f"{name}.o": made}, (*_linking(flags), "-shared", "-nostdlib"), [f"{name}.o"], f"lib{name}.so")
    source = inspect.getsource(loader)
    source += f'\n\nprogram = ExportedProgram(os.path.dirname(os.path.abspath(__file__)), "{name}")\n'
    beside = {file: content for file, content in files.items() if file in (f"{name}.h", f"{name}.bin")}
    return {**beside, f"{name}.o": made, f"lib{name}.so": shared, f"{name}.py": source.encode()}


def _linking(flags: tuple[str, ...]) -> tuple[str, ...]:
    """The flags that say for which machine."""
    kept = [i for i, flag in enumerate(flags) if flag.startswith(("--target=", "-mcpu=", "-target", "-g0"))]
    return tuple(word for i in kept for word in flags[i : i + (2 if flags[i] == "-target" else 1)])


def instructions(target: Target) -> list[str]:
    """What a processor must have, as Linux calls it: for this machine, all that a compiler may use of it."""
    if target.name != HOST:
        return list(INSTRUCTIONS.get(target.name, ()))
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return []
    return [flag for flag in line.split() if flag.startswith(_USED)]
