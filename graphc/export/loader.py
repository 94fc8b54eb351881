"""A program of object code in Python: this file needs NumPy and nothing else, so it may stand alone, without graphc.

    program = ExportedProgram("step")            # the folder that `compiled.export("step", language="object")` has written
    loss = program(x, y)                         # by position or by name, as a compiled program is called
    program.variables["w"]                       # arrays that calls read and write

An export writes this file beside the library, under the program's name: `from step.step import program`.
"""

from __future__ import annotations

import ctypes
import json
import os
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
CODES = ("OK", "NULL_POINTER", "BAD_SIZE", "SMALL_ARENA", "UNALIGNED", "OVERLAP")
LINE = 64  # bytes: where memory begins


class CallError(ValueError):
    """A call that a program cannot answer. Nothing has been written."""


class ExportedProgram:
    """A program of object code: call it with arrays.

    name       what it is called
    inputs     name -> (dtype, shape), the shapes as text
    outputs    the same of its results
    variables  name -> array: what calls read and write, under the names that files of graphc give them
    """

    def __init__(self, folder: str | os.PathLike[str], name: str | None = None) -> None:
        folder = os.fspath(folder)
        described = _described(folder, name)
        self.name: str = described["name"]
        self.inputs = {m["name"]: (m["dtype"], m["shape"]) for m in described["inputs"]}
        self.outputs = {m["name"]: (m["dtype"], m["shape"]) for m in described["outputs"]}
        self._takes = [_Member(m) for m in described["inputs"]]
        self._gives = [_Member(m) for m in described["outputs"]]
        self._sizes: list[str] = [s["name"] for s in described["sizes"]]
        self._rules = [(r["size"], r["input"], r["axis"], _compiled(r["is"])) for r in described["rules"]]
        self._requirements = [(_compiled(r["is"]), r["is"], r["message"]) for r in described["requirements"]]
        self._returns = described["returns"]
        self._lock = threading.Lock()
        self._arenas: dict[int, Array] = {}
        _check_processor(described)
        path = os.path.join(folder, f"lib{self.name}.so")
        try:
            library = ctypes.CDLL(path)
        except OSError as error:
            raise OSError(f"{path}, which is made for {described['target']}, cannot be loaded: {error}") from None
        self._entry = getattr(library, self.name)
        self._arena_bytes = getattr(library, f"{self.name}_arena_bytes")
        self._arena_bytes.restype = ctypes.c_size_t
        held = [_Member(m) for m in described["variables"]]
        self._held = [_memory(m.shaped({}), m.dtype) for m in held]
        self.variables: dict[str, Array] = {described["saved"][m.name]: a for m, a in zip(held, self._held, strict=True)}
        self._pointers = (ctypes.c_void_p * len(held))(*(a.ctypes.data for a in self._held))
        self._initialize = getattr(library, f"{self.name}_initialize", None)
        self._file = os.path.join(folder, f"{self.name}.bin") if described["weights"] == "file" else None
        self.reset()

    def reset(self) -> None:
        """Give the variables the values that they had when the program was exported; 0 if it was exported without weights."""
        if not self._held:
            return
        if self._file is not None:
            with open(self._file, "rb") as file:
                for a in self._held:
                    part = file.read(a.nbytes)
                    if len(part) != a.nbytes:
                        raise OSError(f"{self._file} has too few bytes")
                    a[...] = np.frombuffer(part, a.dtype).reshape(a.shape)
        elif self._initialize is not None:
            self._initialize(self._pointers)
        else:
            for a in self._held:
                a[...] = 0

    def __call__(self, *args: Any, **named: Any) -> Any:
        """The results for these inputs, in the form that the compiled program gives them. Raises CallError."""
        arrays = self._arrays(args, named)
        known = self._solved(arrays)
        for m, a in zip(self._takes, arrays, strict=True):
            self._check_shape(m, a, known)
        for holds, text, message in self._requirements:
            if not eval(holds, {"max": max}, known):
                bound = ", ".join(f"{n} = {known[n]}" for n in known)
                raise CallError(f"{self.name}: {message}: {text} does not hold where {bound}")
        made = [_memory(m.shaped(known), m.dtype) for m in self._gives]
        told = [(ctypes.c_ssize_t * len(self._sizes))(*(known[n] for n in self._sizes))] if self._sizes else []
        with self._lock:
            need = self._arena_bytes(*told)
            arena = self._arena(need)
            given = [a.copy() if any(np.may_share_memory(a, v) for v in self._held) else a for a in arrays]
            groups = [(ctypes.c_void_p * len(g))(*(a.ctypes.data for a in g)) for g in (given, made) if g]
            held = [self._pointers] if self._held else []
            status = self._entry(*told, *groups, *held, ctypes.c_void_p(arena.ctypes.data), ctypes.c_size_t(need))
        if status != 0:
            code = CODES[status] if 0 <= status < len(CODES) else str(status)
            raise CallError(f"{self.name}: the library says {code} for {', '.join(f'{n} = {v}' for n, v in known.items())}")
        return _formed(self._returns, made)

    def _arrays(self, args: Sequence[Any], named: Mapping[str, Any]) -> list[Array]:
        names = [m.name for m in self._takes]
        if len(args) > len(names):
            raise CallError(f"{self.name} takes {len(names)} inputs ({', '.join(names)}), got {len(args)}")
        given = dict(zip(names, args, strict=False))
        for name, value in named.items():
            if name not in names:
                raise CallError(f"{self.name} has no input {name!r}; it takes {', '.join(names)}")
            if name in given:
                raise CallError(f"{self.name} got input {name!r} twice")
            given[name] = value
        missing = [n for n in names if n not in given]
        if missing:
            raise CallError(f"{self.name} misses input {', '.join(map(repr, missing))}")
        return [m.array(given[m.name]) for m in self._takes]

    def _solved(self, arrays: Sequence[Array]) -> dict[str, int]:
        """The sizes for which the rules hold: each is linear in the one it tells."""
        shapes = {m.name: a.shape for m, a in zip(self._takes, arrays, strict=True)}
        for m, a in zip(self._takes, arrays, strict=True):
            if len(m.shape) != a.ndim:
                raise CallError(f"input {m.name} needs {m}, got an array of shape {list(a.shape)}")
        known: dict[str, int] = {}
        while True:
            before = len(known)
            for size, of, axis, expression in self._rules:
                if size in known or not set(expression.co_names) - {"max"} <= {*known, size}:
                    continue
                offset, one = (eval(expression, {"max": max}, {**known, size: n}) for n in (0, 1))
                count, rest = divmod(shapes[of][axis] - offset, one - offset) if one != offset else (-1, 0)
                if count >= 0 and rest == 0:
                    known[size] = count
            if len(known) == before:
                break
        for size, of, axis, _ in self._rules:
            if size not in known:
                told = next(m for m in self._takes if m.name == of)
                raise CallError(f"input {of} needs {told}, got an array of shape {list(shapes[of])}: axis {axis} cannot be that")
        return known

    @staticmethod
    def _check_shape(m: _Member, a: Array, known: Mapping[str, int]) -> None:
        want = m.shaped(known)
        if a.shape != want:
            bound = ", ".join(f"{n} = {known[n]}" for n in known)
            why = f", which is {list(want)} where {bound}" if known else ""
            raise CallError(f"input {m.name} needs {m}{why}, got an array of shape {list(a.shape)}")

    def _arena(self, need: int) -> Array:
        """Memory of so many bytes, which the next call of the same sizes has again."""
        found = self._arenas.get(need)
        if found is None:
            self._arenas.clear()
            found = self._arenas[need] = _memory((max(need, 8),), np.dtype(np.uint8))
        return found

    def __repr__(self) -> str:
        return f"<exported program {self.name}({', '.join(f'{m.name}: {m}' for m in self._takes)})>"


class _Member:
    """An array of the interface."""

    def __init__(self, described: Mapping[str, Any]) -> None:
        self.name: str = described["name"]
        self.shape: list[str] = described["shape"]
        self.type: str = described["dtype"]
        self.dtype = _dtype(self.type)
        self._axes = [_compiled(text) for text in self.shape]

    def __str__(self) -> str:
        return f"{self.type}[{', '.join(self.shape)}]"

    def shaped(self, known: Mapping[str, int]) -> tuple[int, ...]:
        return tuple(eval(axis, {"max": max}, dict(known)) for axis in self._axes)

    def array(self, value: Any) -> Array:
        """What a caller gives, as an array of the input's type; CallError where that would lose something."""
        try:
            array = np.asarray(value)
        except ValueError:
            raise CallError(f"input {self.name} needs {self}, got a {type(value).__name__} that makes no array") from None
        exact = isinstance(value, (np.ndarray, np.generic))
        if array.dtype != self.dtype:
            fits = array.dtype.kind in "biuf" and np.can_cast(array.dtype, self.dtype, "safe" if exact else "same_kind")
            if not fits and not (not exact and array.size == 0):
                raise CallError(f"input {self.name} needs {self}, got {array.dtype}: not a safe cast")
        return np.require(array, self.dtype, ["C", "A"])


def _described(folder: str, name: str | None) -> dict[str, Any]:
    if name is None:
        names = [file for file in sorted(os.listdir(folder)) if file.endswith(".json")]
        names = [n[:-5] for n in names if os.path.exists(os.path.join(folder, f"lib{n[:-5]}.so"))]
        if len(names) != 1:
            found = f"the programs {', '.join(names)}: say which, name=" if names else "no program of object code"
            raise FileNotFoundError(f"{folder} has {found}")
        name = names[0]
    with open(os.path.join(folder, f"{name}.json"), encoding="utf-8") as file:
        described: dict[str, Any] = json.load(file)
    if described.get("language") != "object":
        raise ValueError(f'{name}.json describes a program of language "{described.get("language")}", not of object code')
    return described


def _check_processor(described: Mapping[str, Any]) -> None:
    """OSError where the library has instructions that this processor lacks: it would end the process."""
    needs = set(described["instructions"])
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            flags = next((line for line in file if line.startswith("flags")), None)
    except OSError:
        return
    if needs and flags is not None and not needs <= set(flags.split()):
        lacks = ", ".join(sorted(needs - set(flags.split())))
        raise OSError(f"{described['name']} is made for {described['target']}, and this processor lacks {lacks}")


def _compiled(text: str) -> Any:
    return compile(text, "<size>", "eval")


def _dtype(name: str) -> np.dtype[Any]:
    if name != "bfloat16":
        return np.dtype(name)
    try:
        import ml_dtypes
    except ImportError:
        return np.dtype(np.uint16)  # its bits
    found: np.dtype[Any] = np.dtype(ml_dtypes.bfloat16)
    return found


def _memory(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array that begins at a line of the cache."""
    count = dtype.itemsize
    for n in shape:
        count *= n
    room = np.empty(count + LINE, np.uint8)
    at = -room.ctypes.data % LINE
    return room[at : at + count].view(dtype).reshape(shape)


def _formed(form: Any, arrays: Sequence[Array]) -> Any:
    """The arrays in the form that the program gives: a number is the place of one, [kind, parts] a list, a tuple or a dict."""
    if isinstance(form, int):
        return arrays[form]
    kind, parts = form
    if kind == "dict":
        return {key: _formed(part, arrays) for key, part in parts}
    found = [_formed(part, arrays) for part in parts]
    return tuple(found) if kind == "tuple" else found
