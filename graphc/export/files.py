"""The files of an exported program: made whole in memory, then written under other names and renamed."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from graphc.errors import InputError, caller
from graphc.export.c import CSource
from graphc.export.compiler import find_compiler
from graphc.export.lowering import lowered
from graphc.export.objects import instructions, object_files
from graphc.export.wasm import script, types, wasm_module
from graphc.ir.graph import Graph
from graphc.ir.target import Target, find_target

Array = np.ndarray[Any, Any]
LANGUAGES = ("c", "object", "wasm")
WEIGHTS = ("array", "file", None)


def export(
    declared: Graph, folder: str | os.PathLike[str], values: Mapping[str, Array], *, passes: Sequence[Callable[..., Any]],
    target: str | Target | None, language: str = "c", name: str | None = None, sizes: Mapping[str, int] | None = None,
    weights: str | None = "array", small: bool | None = None, fast: bool = False, compiler: str | None = None,
    form: Callable[[list[Any]], Any] = list,
) -> tuple[Path, ...]:  # fmt: skip
    """Write the program of a declared graph; `values` are those of its variables, by their names in files.

    `form` gives a flat list of results the form that a call gives them. See `Compiled.export`, which says what the options mean.
    """
    if language not in LANGUAGES:
        raise InputError(
            f"export: there is no language {language!r}", where=caller(), hint='language="c", "object" or "wasm"'
        )
    if weights not in WEIGHTS:
        hint = 'it is "array", "constant", "file" or None'
        raise InputError(f"export: weights={weights!r} is not known", where=caller(), hint=hint)
    if compiler is not None and language == "c":
        raise InputError("export: C is not compiled", where=caller(), hint='compiler= goes with language="object" or "wasm"')
    name = declared.name if name is None else name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name):
        raise InputError(f"export: {name!r} is no name in C", where=caller(), hint='name="..." of letters, digits and single _')
    used = find_compiler(compiler) if language != "c" else None
    chosen = find_target(target)
    if used is not None and language == "object":
        used.object_flags(chosen)  # a target without object code is refused before anything is compiled
    program = lowered(declared, passes, chosen, sizes or {})
    source = CSource(program, name, fast=fast, blocked=not (program.target.small if small is None else small))
    variables = source.face.variables
    initial = {m.name: values[v.initial] for m, v in zip(variables, program.signature.variables, strict=True)}
    described = {**source.face.described(program), "language": language, "target": chosen.name, "weights": weights}
    if used is None:
        files = source.files(initial, weights)
    elif language == "object":
        kept = "assembled" if weights == "array" else weights
        files = object_files(name, source.files(initial, kept), used, chosen)
        returns = _returned(form(list(range(len(source.face.outputs)))))
        described |= {"returns": returns, "instructions": instructions(chosen)}
    else:
        first = b"".join(np.ascontiguousarray(initial[m.name]).tobytes() for m in variables)
        inside = first if weights == "array" and variables else None
        told = "section" if inside is not None else weights if variables else None
        files = {
            f"{name}.wasm": wasm_module(name, source.files({}, None), used, inside),
            f"{name}.mjs": script(source.face, program, told).encode(), f"{name}.d.mts": types(source.face).encode(),
            **({f"{name}.bin": first} if told == "file" else {}),
        }  # fmt: skip
    files[f"{name}.json"] = (json.dumps(described, indent=1) + "\n").encode()
    return write(Path(folder), files)


def _returned(form: Any) -> Any:
    """Results as data: the place of an array, or [kind, parts]."""
    if isinstance(form, int):
        return form
    if isinstance(form, dict):
        return ["dict", [[key, _returned(part)] for key, part in form.items()]]
    return ["tuple" if isinstance(form, tuple) else "list", [_returned(part) for part in form]]


def write(folder: Path, files: Mapping[str, bytes]) -> tuple[Path, ...]:
    """Write files, all of them or none."""
    folder.mkdir(parents=True, exist_ok=True)
    made = [(folder / f".{name}.{os.getpid()}", folder / name) for name in files]
    if taken := [path for _, path in made if path.is_dir()]:
        raise InputError(f"export: {taken[0]} is a folder", where=caller(), hint="export to another folder, or by another name")
    try:
        for (new, _), content in zip(made, files.values(), strict=True):
            new.write_bytes(content)
        for new, path in made:
            new.replace(path)
    finally:
        for new, _ in made:
            new.unlink(missing_ok=True)
    return tuple(path for _, path in made)
