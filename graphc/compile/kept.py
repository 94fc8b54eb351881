"""Programs that are kept whole: what passes made of a graph, on disk, found by a digest of all that it depends on.

A key is a digest of the declared graph (of constants, their bytes), of the passes, the target, the backend, graphc's files and
NumPy's version. What is found is data (graphc/ir/data.py), beside the machine code of kernels in one cache, under the same rules
(graphc/backends/llvm/cache.py): nothing is unpickled, and what is damaged is made again. Constants of 64 KiB and more are
entries of their own, which programs share. Lines of the user's source are kept as places in the graph, so errors name the lines
of today.

Only passes and operations of graphc's own take part, and passes that say a `version`: a text that changes with what they do.

    GRAPHC_PROGRAMS=0   keep no programs, only machine code: for who changes graphc's insides while it runs
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from graphc import passes as all_passes
from graphc.backends import Executable
from graphc.errors import PACKAGE, Where
from graphc.ir.data import NoData, decode, encode
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, subgraphs
from graphc.ir.operation import OWNERS, VOCABULARY, Operation
from graphc.ir.program import Program
from graphc.ir.signature import Signature
from graphc.ir.target import Target
from graphc.ir.text import given_names
from graphc.ir.types import ArrayValue, DType

_OWN = frozenset(id(change) for change in (*all_passes.DEFAULT, *all_passes.LOWERING, all_passes.simplify_fast))
_PLAIN = frozenset((type(None), bool, int, float, str, Dim))
_LARGEST = 256 * 2**20  # bytes of constants with which a program is kept: a quarter of what the cache holds
_APART = 2**16  # bytes from which on an array is an entry of its own


def key_of(declared: Graph, passes: Sequence[Any], lowering: Sequence[Any], target: Target, backend: str) -> str | None:
    """The key of the program of a declared graph; None where a program is not to be kept."""
    return _key(lambda: _lines(declared), passes, lowering, target, backend)


def lines_of(declared: Graph) -> list[str] | None:
    """All of a graph that passes see, as text; None where something in it has none."""
    try:
        return list(_lines(declared))
    except NoData:
        return None


def key_of_digest(digest: str, passes: Sequence[Any], lowering: Sequence[Any], target: Target, backend: str) -> str | None:
    """Another key of the program of a declared graph, by a digest of all that the graph is made from."""
    return _key(lambda: [digest], passes, lowering, target, backend)


def _key(
    lines: Callable[[], Iterable[str]], passes: Sequence[Any], lowering: Sequence[Any], target: Target, backend: str
) -> str | None:  # fmt: skip
    if not _is_wanted():
        return None
    try:
        steps = [_step(change) for change in (*passes, *lowering)]
        return _digest(backend, repr(target.facts), repr(steps), versions(), *lines())
    except NoData:
        return None


def _is_wanted() -> bool:
    return os.environ.get("GRAPHC_PROGRAMS") != "0"


class Kept(NamedTuple):
    """A program, the signature of the graph that it is made of, and where the machine code of its kernels is."""

    program: Program
    signature: Signature
    codes: Mapping[str, Any]


def find(key: str, declared: Graph, target: Target) -> Kept | None:
    """What is kept under a key, if anything."""
    return _found(key, lambda: list(_wheres(declared)), target)


def find_other(key: str, where: Where | None, target: Target) -> Kept | None:
    """What is kept under a key that `also` has noted; where: the user's line, of all nodes of the graph."""
    other = noted(key)
    return None if other is None else _found(other, lambda: [where], target)


def _found(key: str, wheres: Callable[[], Sequence[Where | None]], target: Target) -> Kept | None:
    from graphc.backends.llvm import cache
    from graphc.backends.llvm.compile import Code

    entry = cache.get(key)
    if entry is None:
        return None
    try:
        program, signature, codes = decode(entry.code, target, wheres(), cache.get_array)
        return Kept(program, signature, {name: Code(*code) for name, code in codes.items()})
    except (ValueError, KeyError, TypeError, IndexError, AttributeError):
        return None


def keep(
    key: str, declared: Graph, target: Target, program: Program, signature: Signature, native: Executable
) -> None:  # fmt: skip
    """Keep a program, if it is data, with the place of its machine code."""
    from graphc.backends.llvm import cache
    from graphc.backends.llvm.executor import NativeProgram

    assert isinstance(native, NativeProgram)

    if cache.directory() is None:
        return
    values = [b.value for inner in program.programs for b in inner.buffers.values() if b.value is not None]
    if sum(v.nbytes for v in values) > _LARGEST:
        return
    places: dict[Where, int] = {}
    for place, where in enumerate(_wheres(declared)):
        if where is not None:
            places.setdefault(where, place)
    try:
        codes = {name: tuple(code) for name, code in native.codes.items()}
        data = encode((program, signature, codes), target, places, lambda a: cache.put_array(a) if a.nbytes >= _APART else None)
    except NoData:
        return
    cache.put(key, cache.Entry("program", data))


def also(other: str, key: str, declared: Graph) -> bool:
    """Let a program be found under another key; False where its graph has no state, or comes from more than one line."""
    if declared.variables or declared.updates or len(set(_wheres(declared))) > 1:
        return False
    note(other, key)
    return True


def note(key: str, text: str) -> None:
    """Keep a text."""
    from graphc.backends.llvm import cache

    cache.put(key, cache.Entry("note", text.encode()))


def noted(key: str) -> str | None:
    """The text that is kept under a key, if any."""
    from graphc.backends.llvm import cache

    entry = cache.get(key) if _is_wanted() else None
    return None if entry is None else entry.code.decode()


def _step(change: Any) -> str:
    version = getattr(change, "version", None)
    if id(change) not in _OWN and not isinstance(version, str):
        raise NoData("a pass without a version")
    return f"{change.__name__} {version}"


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@lru_cache(maxsize=1)
def versions() -> str:
    """graphc's files as they are on disk, and the versions of what folds constants."""
    files = sorted(_files(PACKAGE))
    return f"{sys.version_info[:3]} {np.__version__} {files}"


def _files(folder: str) -> Iterator[tuple[str, int, int, int]]:
    with os.scandir(folder) as found:
        for entry in found:
            if not entry.name.endswith((".py", ".typed", "__pycache__")) and entry.is_dir():
                yield from _files(entry.path)
            elif entry.name.endswith(".py"):
                status = entry.stat()
                yield entry.path, status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _graphs(declared: Graph) -> Iterator[Graph]:
    """A graph and all those in it, each once, in an order."""
    todo, seen = [declared], {id(declared)}
    while todo:
        graph = todo.pop()
        yield graph
        for node in graph.holders:
            for inner in subgraphs(node):
                if id(inner) not in seen:
                    seen.add(id(inner))
                    todo.append(inner)


def _wheres(declared: Graph) -> Iterator[Where | None]:
    """The user's line of every node."""
    for graph in _graphs(declared):
        for node in graph.nodes:
            yield node.where


def _lines(declared: Graph) -> Iterator[str]:
    """All of a graph that passes see."""
    order = {id(graph): number for number, graph in enumerate(_graphs(declared))}
    types: dict[int, str] = {}  # by identity: nodes share them
    operations: dict[Operation, str] = {}
    for graph in _graphs(declared):
        names = given_names(graph)
        number = {node: str(i) for i, node in enumerate(graph.nodes)}
        yield graph.name
        yield " ".join(number[node] for node in graph.inputs)
        for node in graph.nodes:
            kind = types.get(id(node.type))
            if kind is None:
                kind = types[id(node.type)] = str(node.type)
            operation = operations.get(node.op)
            if operation is None:
                operation = operations[node.op] = _name(node.op)
            attrs, inputs = "", ",".join([number[i] for i in node.inputs])
            if node.attrs:
                attrs = ", ".join([f"{key}={_attr(value, order)}" for key, value in sorted(node.attrs.items())])
            side = " gradient" if node.gradient else ""
            yield f"{names.get(node, '')} = {operation}({inputs}; {attrs}) : {kind}{side}"
        yield " ".join(f"{number[v]}={number[n]}" for v, n in graph.updates)
        yield " ".join(number[node] for node in graph.outputs)


def _name(op: Operation) -> str:
    """The name of an operation, which must be one of graphc's: what others mean is not known from a name."""
    if op.name in OWNERS or VOCABULARY.get(op.name) is not op:
        raise NoData(f"{op.name} is not graphc's")
    return op.name


def _attr(value: Any, order: Mapping[int, int]) -> str:
    if type(value) in _PLAIN:
        return repr(value)
    if type(value) is tuple:
        return f"({', '.join([_attr(v, order) for v in value])})"
    if isinstance(value, ArrayValue):
        bits = value.array.reshape(-1).view(np.uint8)  # arrays of bfloat16 give no memory away
        return f"{value.array.dtype.name}{value.array.shape}{hashlib.sha256(bits.data).hexdigest()}"
    if isinstance(value, DType):
        return value.name
    if isinstance(value, np.generic):
        return f"{value.dtype.name} {value.tobytes().hex()}"
    if isinstance(value, Graph):
        return f"graph {order[id(value)]}"
    raise NoData(f"{type(value).__name__} is no text")


__all__ = ["also", "find", "find_other", "keep", "key_of", "key_of_digest", "lines_of", "note", "noted", "versions"]
