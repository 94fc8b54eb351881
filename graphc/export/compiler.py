"""The compiler of C that makes WebAssembly and object code: LLVM's clang as zig brings it, with every target and a linker.

`pip install ziglang` has all of it in one wheel. A compiler that the user names works where it has the target: clang for each
that it was built with, gcc for its own.
"""

from __future__ import annotations

import importlib.util
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from graphc.errors import InputError, caller
from graphc.ir.target import HOST, Target

INSTALL = "pip install 'graphc[export]'"

# What a file of C includes that has functions: a target without a system has no string.h of its own.
STRING_H = """\
#include <stddef.h>
void *memcpy(void *restrict to, const void *restrict from, size_t count);
void *memset(void *to, int value, size_t count);
"""

# A target's name -> (zig's triple and processor, clang's triple, what -march is called by gcc and clang)
_MACHINES: dict[str, tuple[tuple[str, str], str, str]] = {
    "x86-64-v1": (("x86_64-linux-gnu", "x86_64"), "x86_64-linux-gnu", "x86-64"),
    "x86-64-v2": (("x86_64-linux-gnu", "x86_64_v2"), "x86_64-linux-gnu", "x86-64-v2"),
    "x86-64-v3": (("x86_64-linux-gnu", "x86_64_v3"), "x86_64-linux-gnu", "x86-64-v3"),
    "x86-64-v4": (("x86_64-linux-gnu", "x86_64_v4-prefer_256_bit"), "x86_64-linux-gnu", "x86-64-v4"),
    "aarch64": (("aarch64-linux-gnu", "generic"), "aarch64-linux-gnu", "armv8-a"),
    "riscv64": (("riscv64-linux-gnu", "baseline_rv64"), "riscv64-linux-gnu", "rv64gc"),
    "generic": (("native", "baseline"), "", ""),
    HOST: (("native", "native"), "", "native"),
}
OBJECTS = tuple(_MACHINES)

# Bits are those of the source: no contraction, no other mode of rounding. Roots and the like set no errno.
COMMON = ("-std=c99", "-O3", "-g0", "-ffp-contract=off", "-fno-math-errno", "-fno-stack-protector")


@dataclass(frozen=True)
class Compiler:
    """A command that compiles C, and what kind it is: "zig", "clang" or "gcc"."""

    command: tuple[str, ...]
    kind: str

    def object_flags(self, target: Target) -> tuple[str, ...]:
        """The flags for a processor. Raises InputError for one that has no name here."""
        if target.name not in _MACHINES:
            raise InputError(
                f'export: there is no object code for the target "{target.name}"', where=caller(),
                hint="the targets are " + ", ".join(f'"{n}"' for n in OBJECTS),
            )  # fmt: skip
        (triple, cpu), cross, march = _MACHINES[target.name]
        if self.kind == "zig":
            chosen = (*(() if triple == "native" else ("-target", triple)), f"-mcpu={cpu}")
            return (*COMMON, *chosen, "-fPIC", "-fno-sanitize=undefined")
        named = (*((f"--target={cross}",) if cross and self.kind == "clang" else ()), *((f"-march={march}",) if march else ()))
        return (*COMMON, *named, "-fPIC")

    def wasm_flags(self, exported: Iterable[str]) -> tuple[str, ...]:
        """The flags for a module that gives out these names."""
        if self.kind == "gcc":
            raise InputError(
                f"export: {shlex.join(self.command)} makes no WebAssembly", where=caller(),
                hint=f"clang with wasm-ld does, and zig, which is used if none is named: {INSTALL}",
            )  # fmt: skip
        chosen = ("-target", "wasm32-freestanding", "-fno-sanitize=undefined") if self.kind == "zig" else ("--target=wasm32",)
        linked = ("-nostdlib", "-Wl,--no-entry", "-Wl,--strip-all", *(f"-Wl,--export={name}" for name in exported))
        return (*COMMON, *chosen, "-msimd128", "-mbulk-memory", *linked)

    def make(self, files: Mapping[str, bytes], flags: Sequence[str], sources: Sequence[str], made: str) -> bytes:
        """What the compiler makes of some of these files. Raises InputError where it fails, with what it says."""
        with tempfile.TemporaryDirectory() as folder:
            for name, content in files.items():
                (Path(folder) / name).write_bytes(content)
            library = Path(folder) / "library"
            library.mkdir()
            (library / "string.h").write_text(STRING_H)
            command = [*self.command, *flags, "-I", "library", *sources, "-o", made]
            done = subprocess.run(command, capture_output=True, text=True, cwd=folder, stdin=subprocess.DEVNULL)
            if done.returncode != 0:
                said = (done.stderr or done.stdout).strip()
                what = f"export: {shlex.join(self.command)} has failed: {said[:1000]}"
                raise InputError(what, where=caller(), hint=self._hint())
            return (Path(folder) / made).read_bytes()

    def _hint(self) -> str:
        return "" if self.kind == "zig" else f"compiler=None takes zig, which has every target: {INSTALL}"


def find_compiler(compiler: str | None) -> Compiler:
    """zig, or the compiler of a command. Raises InputError where it is not there."""
    if compiler is None:
        command = _zig()
        if command is None:
            what = "export: WebAssembly and object code are made by zig, which is not installed"
            raise InputError(what, where=caller(), hint=INSTALL)
        return Compiler(command, "zig")
    words = tuple(shlex.split(compiler))
    if not words or shutil.which(words[0]) is None:
        raise InputError(f"export: there is no compiler {compiler!r}", where=caller(), hint="a command, as compiler=\"clang\"")
    return Compiler(words, _kind(words))


def _zig() -> tuple[str, ...] | None:
    found = importlib.util.find_spec("ziglang")
    if found is not None:
        return (sys.executable, "-m", "ziglang", "cc")
    path = shutil.which("zig")
    return None if path is None else (path, "cc")


@lru_cache(maxsize=16)
def _kind(command: tuple[str, ...]) -> str:
    if "zig" in Path(command[0]).name or "ziglang" in command:
        return "zig"
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return "clang" if "clang" in done.stdout else "gcc"
