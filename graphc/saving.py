"""Files of state: variables by name, as .npz (NumPy) or .safetensors.

    name.npz           a zip archive of one .npy file a variable, as np.savez writes it and np.load reads it. NumPy has no
                       bfloat16: such an array is there as raw elements of two bytes, "V2", which is what np.savez makes of it
    name.safetensors   https://huggingface.co/docs/safetensors: a header and raw bytes, bfloat16 among the types; it needs the
                       package `safetensors`

Nothing in a file is ever run or unpickled. A file is written beside the old one, forced to the disk, and then renamed: whatever
happens in between, the path holds the old state or the new one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, overload

import numpy as np

from graphc.compile import Compiled, named
from graphc.errors import FileError, GraphError, InputError, caller
from graphc.ir import types as t
from graphc.ir.state import STATE
from graphc.ops import Variable

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
Variables = Compiled | Mapping[Any, Any] | Variable | Iterable[Any]
StrPath = str | os.PathLike[str]


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


def save(path: StrPath, variables: Variables) -> None:
    """Write what variables hold into a file: .npz or .safetensors, as the path ends.

    variables: what `gx.compile` gives (all that it reads or writes), a mapping from names, or any variables, random streams
    and optimisers' updates; their names in the file are those of `gx.named_variables`. The values are of one moment, between
    two calls of programs. An old file is replaced as a whole, or stays.

    Raises InputError for another suffix and for what is no variable, OSError where the file cannot be written.

    >>> import graphc as gx, tempfile, pathlib
    >>> w = gx.variable([1.0, 2.0], name="layer/w:0")
    >>> step = gx.compile([], gx.sum(w), updates={w: w * 2}, backend="interpreter")
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "state.npz"
    >>> gx.save(path, step)
    >>> step(), gx.load(path, step), w.value
    (array(3.), Unfit(missing=(), unexpected=(), different={}), array([1., 2.]))
    """
    write = _format("save", path).write
    found = named("save", variables)
    arrays = STATE.read(lambda held: {name: v.data.copy() for name, v in held.items()}, found)
    with _replaced(Path(path)) as file:
        write(file, arrays)


@overload
def load(path: StrPath, variables: None = None, *, strict: bool = True) -> Arrays: ...


@overload
def load(path: StrPath, variables: Variables, *, strict: bool = True) -> Unfit: ...


def load(path: StrPath, variables: Variables | None = None, *, strict: bool = True) -> Arrays | Unfit:
    """Read a file that `save`, np.savez or safetensors wrote.

    Without variables: its arrays, name -> array. With variables, given as to `save`: set them, all at once. Names, shapes and
    data types must then be the same; where anything is missing, unexpected or different, a FileError lists all of it, and no
    variable has changed. With `strict=False` what fits is loaded, and what does not is returned.

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
    """
    read = _format("load", path).read
    path = Path(path)
    if variables is None:
        return _read(path, read)
    found = named("load", variables)
    arrays = _read(path, read)
    different = {
        name: f"{v.type}, the file has {_type(arrays[name])}"
        for name, v in found.items()
        if name in arrays and (arrays[name].shape != v.type.shape or arrays[name].dtype != v.dtype.numpy)
    }
    unfit = Unfit(tuple(n for n in found if n not in arrays), tuple(sorted(arrays.keys() - found.keys())), different)
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
        np.copyto(v.data, array)


def _type(array: Array) -> str:
    try:
        return str(t.TensorType(t.as_dtype(array.dtype), array.shape))
    except GraphError:
        return f"{array.dtype}{list(array.shape)}"


# --- formats ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Format:
    write: Callable[[IO[bytes], Arrays], None]
    read: Callable[[Path], Arrays]


def _format(what: str, path: StrPath) -> _Format:
    if not isinstance(path, (str, os.PathLike)):
        raise InputError(f"{what}: {type(path).__name__} is no path", where=caller(), hint="give text or a pathlib.Path")
    found = _FORMATS.get(Path(path).suffix.lower())
    if found is None:
        raise InputError(f"{what}: {os.fspath(path)!r} has another ending", where=caller(), hint=f"use {' or '.join(_FORMATS)}")
    return found


def _write_npz(file: IO[bytes], arrays: Arrays) -> None:
    """np.savez's form; not by np.savez itself, to which names such as `file` mean something else."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy")  # dated 1980: equal states are equal files
            entry.external_attr = 0o600 << 16
            with archive.open(entry, "w", force_zip64=True) as part:
                np.lib.format.write_array(part, array, allow_pickle=False)


def _read_npz(path: Path) -> Arrays:
    arrays: Arrays = {}
    with zipfile.ZipFile(path) as archive:
        for entry in archive.infolist():
            name = entry.filename.removesuffix(".npy")
            if name in arrays or name == entry.filename:
                raise ValueError(f"it holds {entry.filename!r}, which is {'there twice' if name in arrays else 'no array'}")
            with archive.open(entry) as part:
                arrays[name] = _native(np.lib.format.read_array(part, allow_pickle=False))
    return arrays


def _native(array: Array) -> Array:
    """The array in this machine's byte order; raw elements of two bytes are bfloat16's."""
    if array.dtype == np.dtype("V2"):
        return array.view(t.bfloat16.numpy)
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _write_safetensors(file: IO[bytes], arrays: Arrays) -> None:
    file.write(_safetensors("save").numpy.save(arrays))


def _read_safetensors(path: Path) -> Arrays:
    package, arrays = _safetensors("load"), Arrays()
    try:
        parts = package.deserialize(path.read_bytes())
    except package.SafetensorError as error:
        raise ValueError(error) from error
    for name, part in parts:
        if part["dtype"] not in _CODES:
            raise ValueError(f"{name!r} is of {part['dtype']}, which graphc does not have")
        dtype = _CODES[part["dtype"]].numpy
        arrays[name] = _native(np.frombuffer(part["data"], dtype.newbyteorder("<")).reshape(part["shape"]).copy())
    return arrays


_CODES = {kind.short.upper(): kind for kind in t.DTYPES}  # F32, BF16, I8, BOOL: the format's names are these

_FORMATS = {".npz": _Format(_write_npz, _read_npz), ".safetensors": _Format(_write_safetensors, _read_safetensors)}


def _safetensors(what: str) -> Any:
    try:
        import safetensors
        import safetensors.numpy
    except ImportError:
        raise InputError(
            f"{what}: files of .safetensors need the package safetensors", where=caller(),
            hint="pip install 'graphc[safetensors]', or use .npz",
        ) from None  # fmt: skip
    return safetensors


# --- files -----------------------------------------------------------------------------------------------------------


def _read(path: Path, read: Callable[[Path], Arrays]) -> Arrays:
    """The arrays of a file; FileError for what a broken one raises."""
    try:
        return read(path)
    except GraphError:
        raise
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise FileError(f"load: {path.name} cannot be read: {error}", where=caller()) from error


@contextmanager
def _replaced(path: Path) -> Iterator[IO[bytes]]:
    """A file that takes the path's place when it is complete and on the disk."""
    path = path.resolve()  # through a link: what it leads to is replaced, and the link stays
    new = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        with open(new, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        if path.exists():
            shutil.copymode(path, new)
        os.replace(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name too
        finally:
            os.close(folder)


__all__ = ["Unfit", "load", "save"]
