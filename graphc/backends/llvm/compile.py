"""Source to machine code, once in a process, and once on a machine while the cache lasts.

    text of kernels  ->  LLVM (frontend.py)  ->  an object (objects.py), or one from the cache  ->  addresses
"""

from __future__ import annotations

import os
import re
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar

import numpy as np
from llvmlite import binding, ir

from graphc.backends.llvm import cache
from graphc.backends.llvm.host import host
from graphc.backends.llvm.intrinsics import Intrinsic
from graphc.backends.llvm.objects import Assistant, apart, compile_text, machine, optimised
from graphc.backends.threads import available
from graphc.ir.program import Kernel
from graphc.ir.target import Target

if TYPE_CHECKING:
    from graphc.backends.llvm.source import Source

T = TypeVar("T")
ASSISTED = 4  # the number of texts from which on a second process helps to compile
_LOCK = threading.RLock()
if hasattr(os, "register_at_fork"):  # a fork waits until LLVM is idle, or the child would find it in the middle of its work
    os.register_at_fork(before=_LOCK.acquire, after_in_parent=_LOCK.release, after_in_child=_LOCK.release)
_KNOWN: dict[str, str] = {}  # key -> what the symbols of its functions begin with


def _alone(work: Callable[[], T]) -> T:
    """The result of `work` with LLVM, while no thread but those that it starts uses LLVM."""

    def locked() -> T:
        with _LOCK:
            return work()

    return apart(locked)


class Code(NamedTuple):
    """Where the machine code of a kernel is, and how it is called: all that a process needs which does not print its source.

    key         of its object in the cache
    dims        the order of its sizes
    reserve     bytes of scratch before its own arrays
    libraries   the functions that it calls and that are compiled on their own, each with the key of its object
    """

    key: str
    dims: tuple[str, ...]
    reserve: int
    libraries: tuple[tuple[str, str], ...]


Codes = Mapping[str, Code]  # by the names of kernels


@dataclass(frozen=True)
class CompiledKernel:
    """Machine code of a kernel, and its address."""

    name: str
    kernel: Kernel
    code: Code
    address: int
    compiler: type[Text]
    target: Target

    @property
    def dims(self) -> tuple[str, ...]:
        """The order of its sizes."""
        return self.code.dims

    @property
    def reserve(self) -> int:
        """Bytes of scratch before its own arrays."""
        return self.code.reserve

    @property
    def source(self) -> str:
        """The source that it is made from."""
        return self._printed.text

    @cached_property
    def _printed(self) -> Source:
        return print_source(self.kernel, self.target)

    @property
    def llvm(self) -> str:
        """What LLVM made of the source: its text after optimisation."""
        return _alone(lambda: str(self._module()))

    @property
    def assembly(self) -> str:
        """The instructions of the target."""
        return _alone(lambda: str(machine(self.target.cpu, self.target.features).emit_assembly(self._module())))

    def _module(self) -> Any:
        text = self.compiler(self.source, self._printed.names, self.target).llvm("")
        return optimised(text, self.target.cpu, self.target.features)

    def __repr__(self) -> str:
        return f"<kernel {self.name}, {len(self.source.splitlines())} lines>"


@dataclass(frozen=True)
class Text:
    """A source text of functions, what the names in it mean (intrinsics and constants), and what it is compiled for."""

    text: str
    names: Mapping[str, Any]
    target: Target
    wants_libraries: ClassVar[bool] = False  # whether what it calls must be in memory before its LLVM text can be made

    @property
    def used(self) -> dict[str, Any]:
        return {name: v for name, v in sorted(self.names.items()) if isinstance(v, (Intrinsic, int, float, np.uint64))}

    @property
    def libraries(self) -> dict[str, Callable[[], str]]:
        """The functions that it calls and that are compiled on their own, with what writes the LLVM text of each."""
        called = (v for v in self.used.values() if isinstance(v, Intrinsic))
        return {v.name: v.definition for v in called if v.definition is not None}

    @property
    def meaning(self) -> str:
        meanings = (f"{name} = {v.name if isinstance(v, Intrinsic) else v!r}" for name, v in self.used.items())
        return "\n".join((self.text, *meanings))

    @property
    def key(self) -> str:
        return cache.key_of(self.meaning, self.target)

    def llvm(self, prefix: str) -> str:
        """The LLVM text of the functions, whose names get a prefix."""
        from graphc.backends.llvm.frontend import translate

        return translate(self.text, self.names, prefix, self.target)


def compile_kernels(
    kernels: Iterable[Kernel], target: Target, compiler: type[Text] = Text, kept: Codes | None = None
) -> list[CompiledKernel]:
    """The machine code of kernels for a target; equal sources are compiled once. `compiler` makes LLVM of a source.

    Where all that `kept` names is in the cache, no source is printed.
    """
    kernels = list(kernels)
    codes = [kept[k.name] for k in kernels if k.name in kept] if kept else []
    if len(codes) < len(kernels) or not _alone(lambda: _load_kept(codes)):
        sources = [print_source(kernel, target) for kernel in kernels]
        texts = [compiler(_anonymous(s), s.names, target) for s in sources]
        functions(texts)
        keys = {name: key for t in texts for key, name in _library_keys(t.libraries, target).items()}
        named = [tuple((name, keys[name]) for name in t.libraries) for t in texts]
        codes = [Code(t.key, s.dims, s.reserve, own) for t, s, own in zip(texts, sources, named, strict=True)]
    addresses = _alone(lambda: [_address(_KNOWN[code.key], "kernel") for code in codes])
    return [
        CompiledKernel(kernel.name, kernel, code, address, compiler, target)
        for kernel, code, address in zip(kernels, codes, addresses, strict=True)
    ]


def print_source(kernel: Kernel, target: Target) -> Source:
    """The source of a kernel; what prints it is loaded with the first one, and so not by a process that finds all code kept."""
    from graphc.backends.llvm import source

    return source.print_source(kernel, target)


def _anonymous(source: Source) -> str:
    """The source of a kernel with neutral names for it and its sizes: kernels that differ in names alone are compiled once."""
    text = source.text.replace(f"def {source.name}(", "def kernel(", 1)
    if not source.dims:
        return text
    numbers = {name: f"size_{i}" for i, name in enumerate(source.variables)}
    return re.sub(rf"\b(?:{'|'.join(numbers)})\b", lambda found: numbers[found.group()], text)


def functions(texts: Iterable[Text]) -> list[Callable[[str], int]]:
    """For each text, the addresses of its functions by name. All are for one target."""
    return _alone(lambda: _functions(list(texts)))


def _functions(texts: list[Text]) -> list[Callable[[str], int]]:
    if not texts:
        return []
    (target,) = {text.target for text in texts}
    keyed = [(text.key, text) for text in texts]
    libraries = {name: definition for _, text in keyed for name, definition in text.libraries.items()}
    if any(text.wants_libraries for _, text in keyed):
        _load({}, libraries, target)
    _load({key: text.llvm for key, text in keyed}, libraries, target)
    return [partial(_address, _KNOWN[key]) for key, _ in keyed]


def _load(
    texts: Mapping[str, Callable[[str], str]], libraries: Mapping[str, Callable[[], str]], target: Target
) -> None:  # fmt: skip
    """Bring the code of keys into memory, with the libraries that it calls.

    The values of `texts` write the LLVM text, with a prefix for the names of functions.
    """
    symbols = _library_keys(libraries, target)
    writers = library_texts(libraries, target) | dict(texts)
    entries = {key: cache.get(key) for key in writers if key not in _KNOWN}
    for key, code in _compile({key: writers[key] for key, entry in entries.items() if entry is None}, target).items():
        entries[key] = made = cache.Entry(_prefix(key), code)
        cache.put(key, made)
    _add({key: entry for key, entry in entries.items() if entry is not None}, symbols)


def _load_kept(codes: Sequence[Code]) -> bool:
    """Bring code into memory that the cache has; False, and nothing is brought, where it has not all of it."""
    symbols = {key: name for code in codes for name, key in code.libraries}
    found: dict[str, cache.Entry] = {}
    for key in (*symbols, *(code.key for code in codes)):
        if key not in _KNOWN and key not in found:
            entry = cache.get(key)
            if entry is None:
                return False
            found[key] = entry
    _add(found, symbols)
    return True


def _library_keys(names: Iterable[str], target: Target) -> dict[str, str]:
    """Names of functions that are compiled on their own, by the keys of their objects."""
    return {cache.key_of(f"library {name}", target): name for name in names}


def library_texts(libraries: Mapping[str, Callable[[], str]], target: Target) -> dict[str, Callable[[str], str]]:
    """What writes the LLVM text of each of these functions, by the keys of their objects."""
    return {key: partial(_without_prefix, libraries[name]) for key, name in _library_keys(libraries, target).items()}


def _written(text: str, prefix: str) -> str:
    return text


def _without_prefix(write: Callable[[], str], prefix: str) -> str:
    return write()


def _prefix(key: str) -> str:
    return f"graphc_{key[:32]}_"


def _compile(texts: Mapping[str, Callable[[str], str]], target: Target) -> dict[str, bytes]:
    """The object of each text; this process and the second one each take the next text when they are done with one."""
    found = {key: _AHEAD.pop(key) for key in texts if key in _AHEAD}
    texts = {key: write for key, write in texts.items() if key not in found}
    beside = next((helper for helper in _HELPERS if helper.target == target), None)
    if beside is not None:
        return found | beside.compile(texts)
    if len(texts) >= ASSISTED and _may_be_assisted():
        with _helper(target) as helper:
            return found | helper.compile(texts)
    return found | {key: _compile_here(write(_prefix(key)), target) for key, write in texts.items()}


def _compile_here(text: str, target: Target) -> bytes:
    return compile_text(text, target.cpu, target.features)


class Helper:
    """A second process, and the texts that it and this one compile in turn; a thread of this one writes them for it.

    todo   the keys of texts that nobody has taken yet
    done   their objects
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self.texts: dict[str, Callable[[str], str]] = {}
        self.todo: deque[str] = deque()
        self.done: dict[str, bytes] = {}
        self.changed = threading.Condition()
        self.is_open = True
        _fill_tables()
        self.assistant = Assistant(target.cpu, target.features)
        self.thread = threading.Thread(target=self._assist, name="graphc-helper", daemon=True)
        self.thread.start()

    def add(self, texts: Mapping[str, Callable[[str], str]]) -> None:
        """Have the other process begin with these, where nobody has."""
        with self.changed:
            self.todo.extend(key for key in texts if key not in self.texts)
            self.texts = dict(texts) | self.texts
            self.changed.notify_all()

    def compile(self, texts: Mapping[str, Callable[[str], str]]) -> dict[str, bytes]:
        """The object of each text, by both processes."""
        self.add(texts)
        while True:
            with self.changed:
                key = next((key for key in self.todo if key in texts), None)
                if key is not None:
                    self.todo.remove(key)
                elif all(key in self.done for key in texts):
                    return {key: self.done[key] for key in texts}
                else:
                    self.changed.wait()
                    continue
            made = _compile_here(self.texts[key](_prefix(key)), self.target)
            with self.changed:
                self.done[key] = made

    def close(self) -> None:
        """End the other process, whatever it does."""
        with self.changed:
            self.is_open = False
            self.changed.notify_all()
        self.assistant.process.kill()
        self.thread.join()
        self.assistant.close()

    def _assist(self) -> None:
        """Have the other process take texts until there are no more; what fails there is left to this one, and fails here."""
        while True:
            with self.changed:
                while self.is_open and not self.todo:
                    self.changed.wait()
                if not self.is_open:
                    return
                key = self.todo.popleft()
            try:
                made = self.assistant.compile_text(self.texts[key](_prefix(key)))
            except Exception:
                with self.changed:
                    self.todo.append(key)
                    self.is_open = False
                    self.changed.notify_all()
                return
            with self.changed:
                self.done[key] = made
                self.changed.notify_all()


_HELPERS: list[Helper] = []  # that compile while passes run
_AHEAD: dict[str, bytes] = {}  # objects that nobody has asked for yet, where no cache keeps them
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_HELPERS.clear)


@contextmanager
def _helper(target: Target) -> Iterator[Helper]:
    helper = Helper(target)
    try:
        yield helper
    finally:
        helper.close()


@contextmanager
def ahead(texts: Mapping[str, Callable[[str], str]], target: Target) -> Iterator[None]:
    """Compile these on another processor meanwhile, where no process has: what they are needed for is not there yet."""
    missing = {key: write for key, write in texts.items() if key not in _KNOWN and key not in _AHEAD and not cache.has(key)}
    if not missing or _HELPERS or not _may_be_assisted():
        yield
        return
    with _helper(target) as helper:
        _HELPERS.append(helper)
        try:
            for key, write in missing.items():  # here: two threads that write while passes run would wait for each other
                helper.add({key: partial(_written, write(_prefix(key)))})
            yield
        finally:
            with suppress(ValueError):  # a forked child has none
                _HELPERS.remove(helper)
            with helper.changed:
                unasked = {key: code for key, code in helper.done.items() if key in missing and key not in _KNOWN}
            if cache.directory() is None:
                _AHEAD.update(unasked)
            for key, code in unasked.items():
                cache.put(key, cache.Entry(_prefix(key), code))


def _may_be_assisted() -> bool:
    """Whether a second process can help: not where the environment says GRAPHC_COMPILERS=1, since every processor is busy."""
    is_python = Path(sys.executable or "").name.lower().startswith("python")
    return available() > 1 and is_python and os.environ.get("GRAPHC_COMPILERS") != "1"


def _fill_tables() -> None:
    """Make llvmlite write a text once: the first one fills a table that other threads must not see half full."""
    str(ir.Constant(ir.ArrayType(ir.IntType(8), 1), bytearray(1)))


def _add(entries: Mapping[str, cache.Entry], symbols: Mapping[str, str]) -> None:
    """Load objects: libraries first, since kernels are linked to them as soon as they come."""
    engine = _engine()
    libraries = [key for key in entries if key in symbols]
    for keys in (libraries, [key for key in entries if key not in symbols]):
        for key in keys:
            engine.add_object_file(binding.ObjectFileRef.from_data(entries[key].code))
            _KNOWN[key] = entries[key].symbol
        engine.finalize_object()
        for key in keys if keys is libraries else ():
            binding.add_symbol(symbols[key], _address("", symbols[key]))


def _address(prefix: str, name: str) -> int:
    return _alone(lambda: int(_engine().get_function_address(prefix + name)))


@lru_cache(maxsize=1)
def _engine() -> Any:
    """What holds all machine code of the process."""
    machine(host().cpu, host().features)
    own = binding.Target.from_triple(binding.get_process_triple()).create_target_machine()
    return binding.create_mcjit_compiler(binding.parse_assembly(""), own)
