"""Random graphs exported as C, compiled and run: python tests/export_c.py --graphs N --seed S [--compiler CC] [--flags "..."]

Results and variables are those of the native backend, bit for bit, but that one NaN is like another. The graphs are those of
tests/fuzz.py; what cannot be exported (a routine of Python, a size that is data) is counted.
"""

from __future__ import annotations

import argparse
import ctypes
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzzing.case import Case  # noqa: E402
from fuzzing.comparing import same_bits  # noqa: E402
from fuzzing.exporting import add_graphs, compare_exported  # noqa: E402

import graphc as gx  # noqa: E402
from graphc.backends.interpreter import leaf_value  # noqa: E402
from graphc.export.c import CSource  # noqa: E402
from graphc.export.c.text import TYPES  # noqa: E402
from graphc.export.lowering import lowered  # noqa: E402
from graphc.ir import dims  # noqa: E402
from graphc.ir.target import find_target  # noqa: E402

Array = np.ndarray[Any, Any]
STRICT = "-std=c99 -Wall -Wextra -Wpedantic -Werror"
FLAGS = f"{STRICT} -O2 -march=native -ffp-contract=off"


class Written:
    """A program as files of C in a folder."""

    def __init__(self, program: gx.ir.Program, folder: Path, name: str, **options: Any) -> None:
        self.program, self.folder, self.name = program, folder, name
        source = CSource(program, name, **options)
        self.face = source.face
        for file, content in source.files({}, None).items():
            (folder / file).write_bytes(content)

    def compile(self, compiler: str, flags: str, files: Sequence[str], made: str) -> str:
        """The path of what a compiler makes of files of the folder."""
        paths = [str(self.folder / file) for file in files]
        command = [*shlex.split(compiler), *shlex.split(flags), *paths, "-o", str(self.folder / made)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise AssertionError(f"{shlex.join(command)}\n{done.stderr[:3000]}")
        return str(self.folder / made)

    def results(self, sizes: Mapping[str, int]) -> list[Array]:
        return [np.full([dims.evaluate(n, sizes) for n in m.type.shape], 99, m.type.dtype.numpy) for m in self.face.outputs]


class Library(Written):
    """A program in C in this process."""

    def __init__(self, program: gx.ir.Program, folder: Path, name: str, compiler: str, flags: str, **options: Any) -> None:
        super().__init__(program, folder, name, **options)
        self.library = ctypes.CDLL(self.compile(compiler, f"{flags} -shared -fPIC", [f"{name}.c"], f"{name}.so"))
        self.entry = getattr(self.library, name)
        self.arena_bytes = getattr(self.library, f"{name}_arena_bytes")
        self.arena_bytes.restype = ctypes.c_size_t

    def __call__(self, arrays: Sequence[Array], sizes: Mapping[str, int], state: Mapping[str, Array]) -> list[Array]:
        """The outputs; the arrays of variables are written."""
        face = self.face
        told = [(ctypes.c_ssize_t * len(face.sizes))(*(sizes[n] for n, _ in face.sizes))] if face.sizes else []
        given = [np.ascontiguousarray(a) for a in arrays]
        made = self.results(sizes)
        held = [state[m.buffer] for m in face.variables]
        structs = [(ctypes.c_void_p * len(group))(*(a.ctypes.data for a in group)) for group in (given, made, held) if group]
        need = self.arena_bytes(*told)
        memory = np.full(need + 64, 0xA5, np.uint8)
        at = -memory.ctypes.data % 64
        status = self.entry(*told, *structs, ctypes.c_void_p(memory.ctypes.data + at), ctypes.c_size_t(need))
        assert status == 0, f"status {status}"
        assert (memory[at + need :] == 0xA5).all(), "it wrote behind the arena"
        return made


class Executable(Written):
    """A program in C in a process of its own, which `runner` starts: an emulator of another processor, or nothing."""

    def __init__(
        self, program: gx.ir.Program, folder: Path, name: str, compiler: str, flags: str, runner: str = "", **options: Any
    ) -> None:  # fmt: skip
        super().__init__(program, folder, name, **options)
        self.compiler, self.flags, self.runner = compiler, flags, runner

    def __call__(self, arrays: Sequence[Array], sizes: Mapping[str, int], state: Mapping[str, Array]) -> list[Array]:
        """The outputs; the arrays of variables are written."""
        face, name = self.face, self.name
        given, made = [np.ascontiguousarray(a) for a in arrays], self.results(sizes)
        held = [state[m.buffer] for m in face.variables]
        lines = [f'#include "{name}.h"', "#include <stdio.h>", "#include <stdlib.h>", "int main(void)\n{\n    int status;"]
        arguments, reads, writes = [], [], []
        if face.sizes:
            lines.append(f"    {name}_sizes sizes = {{{', '.join(str(sizes[n]) for n, _ in face.sizes)}}};")
            arguments.append("&sizes")
        for (group, members), values in zip(face.groups, (given, made, held), strict=True):
            for m, value in zip(members, values, strict=True):
                kind = TYPES[m.type.dtype]
                pointer = f"{group}_{m.name}"
                lines.append(f"    static {kind} *{pointer};\n    {pointer} = ({kind} *)malloc({max(value.nbytes, 8)});")
                if group != "outputs":
                    reads.append(f"    if (fread({group}_{m.name}, 1, {value.nbytes}, stdin) != {value.nbytes}) return 77;")
                if group != "inputs":
                    writes.append(f"    fwrite({group}_{m.name}, 1, {value.nbytes}, stdout);")
            if members:
                lines.append(f"    {name}_{group} {group} = {{{', '.join(f'{group}_{m.name}' for m in members)}}};")
                arguments.append(f"&{group}")
        need = f"{name}_arena_bytes({'&sizes' if face.sizes else ''})"
        lines += [f"    size_t need = {need};", "    static void *arena;", "    arena = malloc(need + 8);", *reads]
        lines += [f"    status = {name}({', '.join([*arguments, 'arena', 'need'])});", *writes, "    return status;", "}"]
        (self.folder / f"{name}_main.c").write_text("\n".join(lines) + "\n")
        path = self.compile(self.compiler, self.flags, [f"{name}.c", f"{name}_main.c"], name)
        sent = b"".join(a.tobytes() for a in (*given, *held))
        done = subprocess.run([*shlex.split(self.runner), path], input=sent, capture_output=True)
        assert done.returncode == 0, f"it ended with {done.returncode}: {done.stderr.decode()[:1500]}"
        offset = 0
        for a in (*made, *held):
            a[...] = np.frombuffer(done.stdout[offset : offset + a.nbytes], a.dtype).reshape(a.shape)
            offset += a.nbytes
        assert offset == len(done.stdout)
        return made


def check(case: Case, folder: Path, kind: type[Written], compiler: str, flags: str, **options: Any) -> str | None:
    """What is wrong with the C program of a graph; None if nothing is. InputError where it cannot be exported."""
    graph = case.graph
    run = gx.compile(graph.inputs, graph.outputs, graph.updates)
    program = lowered(graph, gx.passes.DEFAULT, find_target(None), {})
    library: Any = kind(program, folder, f"g{case.index}", compiler, flags, **options)
    initial = {v: a.copy() for v, a in case.state.items()}
    live = run.variables
    state = {v.name: live[v.initial].value.copy() for v in library.program.signature.variables}
    got = library(case.values, case.sizes, state)
    want = run(*case.values)
    new = {v.name: live[v.initial].value.copy() for v in library.program.signature.variables}
    for v, a in initial.items():
        leaf_value(v, {})[...] = a
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        if not same_bits(a, np.asarray(b)):
            return f"result {k}: {a.ravel()[:8]} where native code has {np.asarray(b).ravel()[:8]}"
    for name, b in new.items():
        if not same_bits(state[name], b):
            return f"variable {name}: {state[name].ravel()[:8]} where native code has {b.ravel()[:8]}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_graphs(parser)
    parser.add_argument("--compiler", default="gcc")
    parser.add_argument("--flags", default=FLAGS)
    parser.add_argument("--plain", action="store_true", help="contractions element by element")
    parser.add_argument("--runner", help="run the program in a process of its own, by this emulator; \"\" for none")
    parser.add_argument("--keep", type=Path, help="write the files here")
    options = parser.parse_args()
    kind: type[Written] = Library if options.runner is None else Executable
    more = {} if options.runner is None else {"runner": options.runner}
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.keep or Path(scratch)
        folder.mkdir(exist_ok=True)

        def different(case: Case, index: int) -> str | None:
            return check(case, folder, kind, options.compiler, options.flags, blocked=not options.plain, **more)

        return compare_exported(different, options)


if __name__ == "__main__":
    sys.exit(main())
