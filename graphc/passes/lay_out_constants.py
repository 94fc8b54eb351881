"""Constants in the order in which register tiles read them: Program -> Program.

    %0 = load %x1[k, n]  of f32[K, N]      =>      %0 = load %x1[n//32, k, n-32*(n//32)]  of f32[N//32, K, 32]

A strip of results reads a few columns of the right operand for all k. Of rows, each line of memory comes from another place; of
panels, one comes after the other, and none is copied. What does not change is brought into that order once: constants all of
whose readers are products that gain by it, with rows enough that no tile is wider than a panel. The last panel is filled up with
zeros. Values and sums are the same, bit for bit.

Which operands are better read as panels, and how wide these are, follows from the code of the contraction and from the target's
vectors (ir/layout.py).

Afterwards no product on many rows reads a constant by rows, unless something else reads it too.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from graphc.ir import dims
from graphc.ir import program as ir
from graphc.ir.dims import Size
from graphc.ir.layout import is_better_turned, least_rows, memory_of, panel_index, panel_width, single_load
from graphc.ir.target import Target
from graphc.ir.types import TensorType

MANY = 16  # panels, of which one may be nearly empty
LINE = 64  # bytes: what all memory of programs is aligned at, so that a vector of any target is within one line of the cache


@ir.nested_programs
def lay_out_constants(program: ir.Program) -> ir.Program:
    """The program with constants as panels where that serves all that read them; without vectors there are no panels."""
    if not program.target.has_vectors:
        return program
    found: dict[str, TensorType | None] = {}
    for call in program.calls:
        for param, name in zip(call.kernel.params, call.buffers, strict=True):
            if program.buffers[name].role == "constant":
                gains = isinstance(call.kernel, ir.Kernel) and _gains(call.kernel, param, program.target)
                kind = param.type if gains else None
                found[name] = kind if found.get(name, kind) == kind else None
    chosen = {name: kind for name, kind in found.items() if kind is not None}
    if not chosen:
        return program if sum(1 for _ in program.programs) == 1 else program.named()  # theirs may have changed
    buffers = {name: _buffer(b, chosen[name], program.target) if name in chosen else b for name, b in program.buffers.items()}
    return replace(program, buffers=buffers, calls=tuple(_call(call, chosen, program.target) for call in program.calls)).named()


def _gains(kernel: ir.Kernel, param: ir.Param, target: Target) -> bool:
    """Whether all that a kernel does with a matrix is one product that reads it better as panels."""
    loads = [s for s in ir.statements_of(kernel.body) if isinstance(s, ir.Load) and s.buffer == param.name]
    products = [s for s in ir.statements_of(kernel.body) if isinstance(s, ir.Contract) and single_load(s.right, s.dtype) in loads]
    if len(loads) != 1 or len(products) != 1:
        return False
    (contract,) = products
    m, n, k = contract.m, contract.n, contract.k
    if loads[0].index != (dims.symbol(k.var), dims.symbol(n.var)):
        return False
    width = panel_width(contract.dtype, target)
    if dims.divisor(n.start) % width or not _fills(param.type.shape[1], width):
        return False
    rows = dims.substitute(m.extent, {axis.var: 0 for axis in kernel.parallel})
    return isinstance(rows, int) and rows >= least_rows(target) and not is_better_turned(memory_of(kernel, target), contract)


def _fills(columns: Size, width: int) -> bool:
    """Whether the last panel is more than half full, or one of many: it is multiplied as a whole."""
    return isinstance(columns, int) and (2 * (columns % -width) > -width or columns >= MANY * width)


def _type(matrix: TensorType, target: Target) -> TensorType:
    rows, columns = matrix.shape
    width = panel_width(matrix.dtype, target)
    return TensorType(matrix.dtype, (dims.floordiv(dims.add(columns, width - 1), width), rows, width))


def _buffer(buffer: ir.Buffer, matrix: TensorType, target: Target) -> ir.Buffer:
    """The matrix of a constant as panels, at a line of the cache: a vector is within one then."""
    kind = _type(matrix, target)
    panels, rows, width = kind.shape
    values = buffer.value
    size = panels * rows * width * values.itemsize
    memory = np.empty(size + LINE, np.uint8)
    start = -memory.ctypes.data % LINE
    laid_out = memory[start : start + size].view(values.dtype).reshape(panels, rows, width)
    whole, rest = divmod(values.shape[1], width)
    laid_out[:whole] = values[:, : whole * width].reshape(rows, whole, width).transpose(1, 0, 2)
    if rest:
        laid_out[whole, :, :rest], laid_out[whole, :, rest:] = values[:, whole * width :], 0
    return replace(buffer, type=kind, value=laid_out)


def _call(call: ir.Call, chosen: dict[str, TensorType], target: Target) -> ir.Call:
    """The call of a kernel that reads panels."""
    kernel = call.kernel
    read = {p.name: _type(p.type, target) for p, name in zip(kernel.params, call.buffers, strict=True) if name in chosen}
    if not read or not isinstance(kernel, ir.Kernel):
        return call

    def body(statements: tuple[ir.Statement, ...]) -> tuple[ir.Statement, ...]:
        return tuple(statement(s) for s in statements)

    def statement(s: ir.Statement) -> ir.Statement:
        s = ir.with_bodies(s, body)
        if not isinstance(s, ir.Contract):
            return s
        match s.right:
            case ir.Block((ir.Load(buffer=name) as load,), value) if name in read:
                index = panel_index(s.k.var, s.n.var, panel_width(s.dtype, target))
                return replace(s, right=ir.Block((replace(load, index=index),), value))
        return s

    params = tuple(replace(p, type=read.get(p.name, p.type)) for p in kernel.params)
    return replace(call, kernel=replace(kernel, params=params, body=body(kernel.body)))
