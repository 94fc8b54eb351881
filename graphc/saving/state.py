"""Save and load: variables by name, in a file.

    name.npz                        see npz.py
    name.safetensors                see safetensors.py
    name.safetensors.index.json     several of those, see shards.py

Nothing in a file is ever run or unpickled. A file is written beside the old one, forced to the disk, and then renamed: whatever
happens in between, the path holds the old state or the new one.
"""

from __future__ import annotations

import os
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np

from graphc.compile import Compiled, named
from graphc.errors import FileError, GraphError, InputError, Where, caller
from graphc.ir import types as t
from graphc.ir.state import STATE
from graphc.ops import Variable
from graphc.saving import npz, safetensors, shards
from graphc.saving.names import Names, mapped
from graphc.saving.replacing import replaced
from graphc.saving.sources import Array, Arrays, Source

Variables = Compiled | Mapping[Any, Any] | Variable | Iterable[Any]
StrPath = str | os.PathLike[str]
_SUFFIXES = (".npz", ".safetensors")


@dataclass(frozen=True)
class Unfit:
    """What did not fit between a file and variables; false where everything did.

    missing      names of variables that the file does not hold
    unexpected   names in the file that no variable has
    different    name -> what the variable is, and what the file has: another shape or another data type
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    different: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.missing or self.unexpected or self.different)

    def __str__(self) -> str:
        lines = [f"missing in the file: {', '.join(map(repr, self.missing))}"] if self.missing else []
        lines += [f"unexpected in the file: {', '.join(map(repr, self.unexpected))}"] if self.unexpected else []
        lines += [f"different: {name!r} is {text}" for name, text in self.different.items()]
        return "\n".join(lines)


def save(
    path: StrPath, variables: Variables, *, names: Names | None = None, dtype: Any = None, shard_size: int = 5 * 10**9
) -> None:
    """Write what variables hold into a file: .npz or .safetensors, as the path ends.

    variables: what `gx.compile` gives (all that it reads or writes), a mapping from names, or any variables, random streams
    and optimisers' updates; their names in the file are those of `gx.named_variables`. The values are of one moment, between
    two calls of programs. An old file is replaced as a whole, or stays. names: what variables are called in the file, as in
    `load`. dtype: a type that floats are cast to. Where the path ends in .safetensors.index.json, several files of at most
    `shard_size` bytes are written, and the path has which array is where.

    Raises InputError for another suffix and for what is no variable, OSError where the file cannot be written.

    >>> import graphc as gx, tempfile, pathlib
    >>> w = gx.variable([1.0, 2.0], name="layer/w:0")
    >>> step = gx.compile([], gx.sum(w), updates={w: w * 2}, backend="interpreter")
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "state.npz"
    >>> gx.save(path, step)
    >>> step(), gx.load(path, step), w.value
    (array(3.), Unfit(missing=(), unexpected=(), different={}), array([1., 2.]))
    """
    suffix, cast = _suffix("save", path), _cast("save", dtype)
    if type(shard_size) is not int or shard_size < 1:
        raise InputError(f"save: shard_size is {shard_size!r}", where=caller(), hint="give a number of bytes")
    found = named("save", variables)
    held = STATE.read(lambda held: {name: v.data.copy() for name, v in held.items()}, found)
    wanted = mapped("save", names, held)
    arrays = {name: np.asarray(_fitted("save", held[old], old, axes, cast), order="C") for name, (old, axes) in wanted.items()}
    if suffix == shards.SUFFIX:
        shards.save(Path(path), arrays, shard_size)
        return
    with replaced(Path(path)) as file:
        (npz if suffix == ".npz" else safetensors).write(file, arrays)


@overload
def load(
    path: StrPath, variables: None = None, *, strict: bool = True, names: Names | None = None, dtype: Any = None
) -> Arrays: ...


@overload
def load(
    path: StrPath, variables: Variables, *, strict: bool = True, names: Names | None = None, dtype: Any = None
) -> Unfit: ...


def load(
    path: StrPath, variables: Variables | None = None, *, strict: bool = True, names: Names | None = None, dtype: Any = None
) -> Arrays | Unfit:
    """Read a file that `save`, np.savez or safetensors wrote, or the index of several (.safetensors.index.json).

    Without variables: its arrays, name -> array. With variables, given as to `save`: set them, all at once. Names, shapes and
    data types must then be the same; where anything is missing, unexpected or different, a FileError lists all of it, and no
    variable has changed. With `strict=False` what fits is loaded, and what does not is returned.

    names: what arrays of the file are called here: a mapping of regular expressions, of which the first that fits a whole name
    counts, to names in which \\1 is a group; a function of a name; or a list of the names that are read. None in the place of a
    name leaves the array out, and a pair of a name and an order of axes transposes it. dtype: a type of floats that arrays of
    floats are cast to; floats of 8 bits (F8_E4M3, F8_E5M2) can be read so. What is not asked for is not read: .safetensors is
    mapped into memory.

    Raises FileError for a file that cannot be read or does not fit, InputError for another suffix, OSError where there is none.

    >>> import graphc as gx, numpy as np, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "weights.npz"
    >>> np.savez(path, w=np.ones(2), b=np.zeros(3))
    >>> gx.load(path)
    {'w': array([1., 1.]), 'b': array([0., 0., 0.])}
    >>> w, v = gx.variable(np.zeros(2), name="w"), gx.variable(0.0, name="v")
    >>> print(gx.load(path, [w, v], strict=False))
    missing in the file: 'v'
    unexpected in the file: 'b'
    >>> w.value
    array([1., 1.])
    >>> gx.load(path, names={"w": "layers/0/weight", ".*": None}, dtype="float32")
    {'layers/0/weight': array([1., 1.], dtype=float32)}
    """
    suffix, cast = _suffix("load", path), _cast("load", dtype)
    path = Path(path)
    found = None if variables is None else named("load", variables)
    with _opened(path, suffix, caller()) as source:
        wanted = mapped("load", names, source.names())

        def array(name: str) -> Array:
            old, axes = wanted[name]
            return _fitted("load", source.array(old, cast is not None), old, axes, None)

        if found is None:
            return {name: np.array(a := array(name), dtype=_dtype(a, cast)) for name in wanted}
        arrays = {name: array(name) for name in found if name in wanted}
        different = {
            name: f"{v.type}, the file has {_type(arrays[name], cast)}"
            for name, v in found.items()
            if name in arrays and (arrays[name].shape != v.type.shape or _dtype(arrays[name], cast) != v.dtype.numpy)
        }
        unfit = Unfit(tuple(n for n in found if n not in arrays), tuple(sorted(wanted.keys() - found.keys())), different)
        if unfit and strict:
            listed = str(unfit).replace("\n", "\n  ")
            raise FileError(
                f"load: {path.name} does not fit the variables, and none was changed\n  {listed}", where=caller(),
                hint="strict=False loads what fits, and returns what does not; gx.load(path) gives the arrays themselves",
            )  # fmt: skip
        fitting = {v: arrays[name] for name, v in found.items() if name in arrays and name not in different}
        STATE.write(_write, fitting)
    return unfit


def _write(values: Mapping[Variable, Array]) -> None:
    for v, array in values.items():
        np.copyto(v.data, array, casting="unsafe")  # array by array: a cast of all needs no memory of all


def _cast(what: str, dtype: Any) -> t.DType | None:
    """The type that floats are cast to."""
    if dtype is None:
        return None
    found = t.as_dtype(dtype)
    if not found.is_float:
        raise InputError(f"{what}: floats are not cast to {found}", where=caller(), hint="give a type of floats")
    return found


def _dtype(array: Array, cast: t.DType | None) -> np.dtype[Any]:
    """The type of an array after the cast."""
    floats = cast is not None and (array.dtype.kind == "f" or array.dtype.name == "bfloat16")
    return cast.numpy if cast is not None and floats else array.dtype


def _fitted(what: str, array: Array, name: str, axes: tuple[int, ...] | None, cast: t.DType | None) -> Array:
    """The array with its axes in another order, and as another type."""
    if axes is not None:
        if len(axes) != array.ndim:
            raise InputError(
                f"{what}: names asks for the axes {axes} of {name!r}, which has the shape {array.shape}", where=caller()
            )
        array = array.transpose(axes)
    return array.astype(_dtype(array, cast), copy=False)


def _type(array: Array, cast: t.DType | None) -> str:
    try:
        return str(t.TensorType(t.as_dtype(_dtype(array, cast)), array.shape))
    except GraphError:
        return f"{array.dtype}{list(array.shape)}"


# --- files -----------------------------------------------------------------------------------------------------------


def _suffix(what: str, path: StrPath) -> str:
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"{what}: {type(path).__name__} is no path", where=caller(), hint="give text or a pathlib.Path")
    suffix = shards.SUFFIX if shards.is_index(path) else Path(path).suffix.lower()
    if suffix not in (*_SUFFIXES, shards.SUFFIX):
        hint = f"use {' or '.join(_SUFFIXES)}"
        raise InputError(f"{what}: {os.fspath(path)!r} has another ending", where=caller(), hint=hint)
    return suffix


@contextmanager
def _opened(path: Path, suffix: str, where: Where | None) -> Iterator[Source]:
    """An open file; FileError for what a broken one raises."""
    source: Source | None = None
    try:
        if suffix == ".npz":
            source = npz.Npz(path)
        elif suffix == ".safetensors":
            source = safetensors.Safetensors(path)
        else:
            source = shards.Shards(path)
        yield source
    except GraphError:
        raise
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise FileError(f"load: {path.name} cannot be read: {error}", where=where) from error
    finally:
        if source is not None:
            source.close()


__all__ = ["Unfit", "load", "save"]
