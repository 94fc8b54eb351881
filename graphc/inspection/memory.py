"""What a compiled object holds, as expressions of the symbolic dimensions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from graphc.backends.threads import get_num_threads
from graphc.errors import InputError, caller
from graphc.inspection.table import table
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ir.html import html_table
from graphc.ir.program import Kernel, Program

_LINE = 64  # bytes of a cache line, at which all memory of a program is aligned


@dataclass(frozen=True)
class Memory:
    """Bytes of a program: numbers, or expressions of its symbolic dimensions.

    inputs, outputs    the arrays of one call
    variables          shared with every other program that has them; twice those that change places with a second memory
    constants          arrays in the graph
    arena              temporaries; those that are never needed at once share a slot
    scratch            what one thread needs beside that: the largest of all kernels but those at a size that is data
    threads            how many threads have scratch

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n", 100), "float32")
    >>> f = gx.compile([x], gx.sum(x @ gx.ones((100, 16), "float32"), axis=0))
    >>> f.memory.inputs, f.memory.arena
    (400*n, 64*n)
    """

    inputs: Size
    outputs: Size
    variables: Size
    constants: Size
    arena: Size
    scratch: Size
    threads: int

    @property
    def peak(self) -> Size:
        """All of it together: what one call needs at most."""
        held = (self.inputs, self.outputs, self.variables, self.constants, self.arena, dims.mul(self.scratch, self.threads))
        return _sum(held)

    def at(self, **sizes: int) -> Memory:
        """The numbers for given sizes of the symbolic dimensions.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("batch", 100), "float32")
        >>> f = gx.compile([x], x + 1)
        >>> f.memory.at(batch=64).inputs
        25600
        """
        needed = dims.names(self.peak) | dims.names(*(size for _, size in self))
        if missing := sorted(needed - sizes.keys()):
            raise InputError(
                f"memory.at misses {', '.join(missing)}", where=caller(),
                hint=f"memory.at({', '.join(f'{name}=...' for name in sorted(needed))})",
            )  # fmt: skip
        return replace(self, **{name: dims.evaluate(size, sizes) for name, size in self})

    def __iter__(self) -> Iterator[tuple[str, Size]]:
        """The parts with their names."""
        for field in fields(self):
            if field.name != "threads":
                yield field.name, getattr(self, field.name)

    def __str__(self) -> str:
        return table(("", "bytes"), self._rows())

    def _repr_html_(self) -> str:
        return html_table(("", "bytes"), self._rows())

    def _rows(self) -> list[tuple[str, str]]:
        rows = [(name if name != "scratch" else f"scratch, each of {self.threads} threads", _text(size)) for name, size in self]
        return [*rows, ("peak", _text(self.peak))]


def memory(program: Program, kernels: Sequence[Any]) -> Memory:
    """The memory of a program that was compiled to `kernels`."""

    def bytes_of(*roles: str) -> Size:
        return _sum(b.type.nbytes for b in program.buffers.values() if b.role in roles)

    def constants() -> Size:
        return _sum(b.type.nbytes for inner in program.programs for b in inner.buffers.values() if b.role == "constant")

    known = {rule.name for rule in program.signature.sizes}
    return Memory(
        inputs=bytes_of("input"), outputs=bytes_of("output"), variables=bytes_of("variable", "next"),
        constants=constants(), arena=_sum(map(_aligned, program.slots)),
        scratch=_largest([size for size in map(_scratch, kernels) if dims.names(size) <= known]), threads=get_num_threads(),
    )  # fmt: skip


def _scratch(kernel: Any) -> Size:
    """What a run of a compiled kernel needs: the backend's own part, then its arrays."""
    if not isinstance(kernel.kernel, Kernel):
        return 0
    arrays = (_aligned(dims.mul(dims.product(s.shape), s.dtype.itemsize)) for s in kernel.kernel.scratch)
    return dims.add(kernel.reserve, _sum(arrays))


def _largest(sizes: Sequence[Size]) -> Size:
    found: Size = 0
    for size in dict.fromkeys(sizes):
        found = dims.maximum(found, size)
    return found


def _aligned(size: Size) -> Size:
    return dims.mul(dims.floordiv(dims.add(size, _LINE - 1), _LINE), _LINE)


def _sum(sizes: Iterable[Size]) -> Size:
    total: Size = 0
    for size in sizes:
        total = dims.add(total, size)
    return total


def _text(size: Size) -> str:
    return f"{size:,}" if isinstance(size, int) else str(size)
