"""Programs that leave Python."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from graphc import passes
from graphc.export import c
from graphc.ir.graph import Graph
from graphc.ir.program import Program
from graphc.ir.signature import signature_of
from graphc.ir.target import Target, find_target


def lowered(compiled: Any, target: str | Target | None = None, sizes: dict[str, int] | None = None) -> Program:
    graph = declared = compiled.stages[0][1]
    if sizes:
        graph = declared = passes.specialize(**sizes)(graph)
    for change in compiled._options[1]:
        graph = change(graph)
    found = find_target(target) if target is not None else compiled.target or find_target(None)
    signature = signature_of(graph, declared)
    import inspect

    program: Any = graph
    for step in passes.LOWERING:
        before = program
        program = step(program, target=found) if "target" in inspect.signature(step).parameters else step(program)
        if isinstance(program, Program) and not isinstance(before, Program):
            program = program.asking(signature)
    return program


def export(compiled: Any, folder: str | Path, name: str, target: Any = None, sizes: Any = None, fast: bool = False, small: bool = False) -> Path:
    program = lowered(compiled, target, sizes)
    c.refuse(program)
    face = c.interface_of(program, name)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    source = c.source_file(face, program, fast, not small)
    (folder / f"{name}.c").write_text(source)
    (folder / f"{name}.h").write_text(c.header(face, program))
    return folder
