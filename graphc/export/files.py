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
from graphc.export.lowering import lowered
from graphc.ir.graph import Graph
from graphc.ir.target import Target

Array = np.ndarray[Any, Any]
WEIGHTS = ("array", "file", None)


def export(
    declared: Graph, folder: str | os.PathLike[str], values: Mapping[str, Array], *, passes: Sequence[Callable[..., Any]],
    target: Target, language: str = "c", name: str | None = None, sizes: Mapping[str, int] | None = None,
    weights: str | None = "array", small: bool | None = None, fast: bool = False,
) -> tuple[Path, ...]:  # fmt: skip
    """Write the program of a declared graph; `values` are those of its variables, by their names in files.

    See `Compiled.export`, which says what the options mean.
    """
    if language != "c":
        raise InputError(f"export: there is no language {language!r}", where=caller(), hint='language="c"')
    if weights not in WEIGHTS:
        raise InputError(f"export: weights={weights!r} is not known", where=caller(), hint='it is "array", "file" or None')
    name = declared.name if name is None else name
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*", name):
        raise InputError(f"export: {name!r} is no name in C", where=caller(), hint='name="..." of letters, digits and single _')
    program = lowered(declared, passes, target, sizes or {})
    source = CSource(program, name, fast=fast, blocked=not (program.target.small if small is None else small))
    initial = {m.name: values[v.initial] for m, v in zip(source.face.variables, program.signature.variables, strict=True)}
    files = source.files(initial, weights)
    files[f"{name}.json"] = (json.dumps(source.face.described(program), indent=1) + "\n").encode()
    return write(Path(folder), files)


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
