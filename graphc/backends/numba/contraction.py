"""Contractions: a register tile written in LLVM vector code, and the blocking around it as source.

A kernel's tile is a block of MC x NC results. For each block of KC steps it packs the left operand's rows and the right
operand's panels into scratch (through their scalar code, so that transposes, broadcasts, casts and products cost nothing
extra), runs the register tile over them, and at the end runs the epilogue over the block. Block sizes depend on the machine
and on fixed sizes, never on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic

from graphc.backends.numba import intrinsics
from graphc.ir import dims
from graphc.ir.program import Block, Contract, Load
from graphc.ir.scalar import Const
from graphc.ir.types import DType

if TYPE_CHECKING:
    from graphc.backends.numba.source import Printer


@dataclass(frozen=True)
class Tiles:
    """How a contraction is cut: register tile MR x NR, blocks MC x NC x KC; `left_by_row` says how A is laid out in scratch."""

    mr: int
    nr: int
    mc: int
    nc: int
    kc: int
    itemsize: int
    left_by_row: bool

    @property
    def left_stride(self) -> int:
        """Elements between neighbouring rows (or columns) of packed A; odd multiples of a cache line avoid conflicts."""
        return self.kc + 16 if self.left_by_row else self.mc

    @property
    def offsets(self) -> tuple[int, int, int]:
        """Byte offsets of A, B and C in scratch."""
        a = (self.mc * self.left_stride if self.left_by_row else self.kc * self.left_stride) * self.itemsize
        b = self.kc * self.nc * self.itemsize
        return 0, _align(a), _align(a) + _align(b)

    @property
    def scratch_bytes(self) -> int:
        return self.offsets[2] + _align(self.mc * self.nc * self.itemsize)


def _align(n: int) -> int:
    return (n + 63) // 64 * 64


@lru_cache(maxsize=1)
def vector_bytes() -> int:
    """The width of this machine's widest vector registers."""
    features = binding.get_host_cpu_features()
    if features.get("avx512f"):
        return 64
    return 32 if features.get("avx2") or features.get("avx") else 16


def choose_tiles(contract: Contract, left_by_row: bool) -> Tiles:
    """Block sizes for a contraction on this machine."""
    lanes = vector_bytes() // contract.dtype.itemsize
    registers = 32 if vector_bytes() == 64 else 16
    narrow = isinstance(contract.n.extent, int) and contract.n.extent <= lanes
    vectors = 1 if narrow else 2
    mr = (registers - 4) // vectors
    nr = lanes * vectors
    panels = 8 if mr <= 16 else 4
    if isinstance(contract.m.extent, int):
        mr = min(mr, max(1, contract.m.extent))
        panels = min(panels, max(1, -(-contract.m.extent // mr)))
    columns = 8
    if isinstance(contract.n.extent, int):
        columns = min(columns, max(1, -(-contract.n.extent // nr)))
    kc = 256
    if isinstance(contract.k.extent, int):
        blocks = max(1, -(-contract.k.extent // 320))
        kc = max(1, -(-contract.k.extent // blocks))
        kc = -(-kc // 16) * 16
    return Tiles(mr, nr, mr * panels, nr * columns, kc, contract.dtype.itemsize, left_by_row)


@cache
def register_tile(dtype: DType, mr: int, nr: int, row: int, step: int, out: int) -> Any:
    """(a, b, c, count, first): c[mr, nr] = (0 if first else c) + sum over `count` steps of a's column times b's row.

    a[i, k] lies at i*row + k*step, b[k, j] at k*nr + j, c[i, j] at i*out + j.
    """
    scalar = intrinsics.NUMBA[dtype]
    p = types.CPointer(scalar)
    lanes = vector_bytes() // dtype.itemsize
    vectors = nr // lanes

    @intrinsic
    def tile(typingctx: Any, a: Any, b: Any, c: Any, count: Any, first: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            _emit_tile(builder, args, mr, vectors, lanes, row, step, out, dtype)
            return context.get_dummy_value()

        return types.void(p, p, p, types.int64, types.boolean), codegen

    return tile


def _emit_tile(builder: Any, args: Any, mr: int, vectors: int, lanes: int, row: int, step: int, out: int, dtype: DType) -> None:
    a, b, c, count, first = args
    element = a.type.pointee
    vector = ir.VectorType(element, lanes)
    word = ir.IntType(64)
    fma = builder.module.declare_intrinsic(
        f"llvm.fma.v{lanes}{'f32' if dtype.itemsize == 4 else 'f64'}", (), ir.FunctionType(vector, [vector] * 3)
    )

    def at(base: Any, offset: Any) -> Any:
        where = builder.gep(base, [offset if not isinstance(offset, int) else ir.Constant(word, offset)])
        return builder.bitcast(where, vector.as_pointer())

    def load(base: Any, offset: Any) -> Any:
        instruction = builder.load(at(base, offset))
        instruction.align = dtype.itemsize
        return instruction

    zero = ir.Constant(vector, [ir.Constant(element, 0.0)] * lanes)
    before = builder.block
    loop, after, done = (builder.append_basic_block(n) for n in ("tile.loop", "tile.after", "tile.done"))
    some = builder.icmp_signed(">", count, ir.Constant(word, 0))
    builder.cbranch(some, loop, after)
    builder.position_at_end(loop)
    k = builder.phi(word)
    sums = [[builder.phi(vector) for _ in range(vectors)] for _ in range(mr)]
    k.add_incoming(ir.Constant(word, 0), before)
    b_row = builder.mul(k, ir.Constant(word, vectors * lanes))
    right = [load(b, builder.add(b_row, ir.Constant(word, v * lanes))) for v in range(vectors)]
    a_base = builder.gep(a, [builder.mul(k, ir.Constant(word, step))])
    new = []
    for i in range(mr):
        value = builder.load(builder.gep(a_base, [ir.Constant(word, i * row)]))
        spread = builder.insert_element(ir.Constant(vector, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
        mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [ir.Constant(ir.IntType(32), 0)] * lanes)
        spread = builder.shuffle_vector(spread, ir.Constant(vector, ir.Undefined), mask)
        new.append([builder.call(fma, [spread, right[v], sums[i][v]]) for v in range(vectors)])
    following = builder.add(k, ir.Constant(word, 1))
    end = builder.block
    builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
    k.add_incoming(following, end)
    for i in range(mr):
        for v in range(vectors):
            sums[i][v].add_incoming(zero, before)
            sums[i][v].add_incoming(new[i][v], end)
    builder.position_at_end(after)
    final: list[list[Any]] = []
    for i in range(mr):
        final.append([])
        for v in range(vectors):
            phi = builder.phi(vector)
            phi.add_incoming(zero, before)
            phi.add_incoming(new[i][v], end)
            final[i].append(phi)
    fresh, more = builder.append_basic_block("tile.fresh"), builder.append_basic_block("tile.more")
    builder.cbranch(first, fresh, more)
    for block, old in ((fresh, False), (more, True)):
        builder.position_at_end(block)
        for i in range(mr):
            for v in range(vectors):
                value = final[i][v]
                if old:
                    value = builder.fadd(load(c, i * out + v * lanes), value)
                builder.store(value, at(c, i * out + v * lanes)).align = dtype.itemsize
        builder.branch(done)
    builder.position_at_end(done)


def _by_row(contract: Contract) -> bool:
    """Whether the left operand's neighbours in memory lie along k (else along m)."""
    k, m = contract.k.var, contract.m.var
    for statement in contract.left.body:
        if isinstance(statement, Load) and statement.index:
            last = statement.index[-1]
            if m in dims.names(last) and k not in dims.names(last):
                return False
            if k in dims.names(last):
                return True
    return True


def _right_by_row(contract: Contract) -> bool:
    """Whether the right operand's neighbours in memory lie along n (else along k)."""
    for statement in contract.right.body:
        if isinstance(statement, Load) and statement.index:
            last = dims.names(statement.index[-1])
            if contract.k.var in last and contract.n.var not in last:
                return False
    return True


def print_contract(printer: Printer, contract: Contract, depth: int) -> int:
    """Print the loops of a contraction; the bytes of scratch they need."""
    tiles = choose_tiles(contract, _by_row(contract))
    dtype = contract.dtype
    use = printer.use

    def line(level: int, text: str) -> None:
        printer.line(depth + level - 2, text)

    at = use(f"{dtype.short}_at", intrinsics.pointer(dtype))
    pick = printer.intrinsic("minimum")
    wide = printer.size
    base = len(printer.scope)
    names = {}
    for i, (name, offset) in enumerate(zip("ABC", tiles.offsets, strict=True)):
        line(2, f"{name} = {at}(scratch + {offset})")
        reads, writes = intrinsics.load(base + i, False), intrinsics.store(base + i, False)
        names[name] = use(f"load{base + i}", reads), use(f"store{base + i}", writes)
    m, n, k = (printer.variable(a.var) for a in (contract.m, contract.n, contract.k))
    udiv = printer.intrinsic("udiv")
    line(2, f"m_stop = {wide(contract.m.stop)}")
    line(2, f"n_stop = {wide(contract.n.stop)}")
    line(2, f"k_start = {wide(contract.k.start)}")
    line(2, f"k_stop = {wide(contract.k.stop)}")
    line(2, f"for n0 in range({wide(contract.n.start)}, n_stop, {tiles.nc}):")
    depth += 1
    line(2, f"for m0 in range({wide(contract.m.start)}, m_stop, {tiles.mc}):")
    depth += 1
    line(2, f"mc = {pick}({wide(tiles.mc)}, m_stop - m0)")
    line(2, f"nc = {pick}({wide(tiles.nc)}, n_stop - n0)")
    line(2, f"for k0 in range(k_start, {printer.intrinsic('maximum')}(k_stop, k_start + 1), {tiles.kc}):")
    line(3, f"kc = {pick}({wide(tiles.kc)}, k_stop - k0)")
    zero = printer.const(Const(0.0, dtype))

    def pack(block: Block, store: Callable[[str], str], level: int) -> None:
        printer.body(block.body, depth + level - 2)
        line(level, store(printer.arg(block.value)))

    # A: in the order its elements have in memory; missing rows of the last register tile are zeros.
    stride = tiles.left_stride
    place = f"(m - m0)*{stride} + (k - k0)" if tiles.left_by_row else f"(k - k0)*{stride} + (m - m0)"
    place = place.replace("m -", f"{m} -").replace("k -", f"{k} -")
    loops = [(m, "m0", "m0 + mc"), (k, "k0", "k0 + kc")]
    if not tiles.left_by_row:
        loops.reverse()
    for level, (var, start, stop) in enumerate(loops):
        line(3 + level, f"for {var} in range({start}, {stop}):")
    pack(contract.left, lambda value: f"{names['A'][1]}(A, {place}, {value})", 5)
    line(3, f"for {m} in range(m0 + mc, m0 + {udiv}(mc + {tiles.mr - 1}, {wide(tiles.mr)})*{tiles.mr}):")
    line(4, f"for {k} in range(k0, k0 + kc):")
    line(5, f"{names['A'][1]}(A, {place}, {zero})")

    # B: panels of NR columns, zeros beyond the last column.
    line(3, f"for p in range(0, nc, {tiles.nr}):")
    line(4, f"width = {pick}({wide(tiles.nr)}, nc - p)")
    spot = f"p*{tiles.kc} + ({k} - k0)*{tiles.nr} + ({n} - n0 - p)"
    if _right_by_row(contract):
        line(4, f"if width == {tiles.nr}:")
        for where, stop in ((5, f"n0 + p + {tiles.nr}"), (5, "n0 + p + width")):
            line(where, f"for {k} in range(k0, k0 + kc):")
            line(where + 1, f"for {n} in range(n0 + p, {stop}):")
            pack(contract.right, lambda value: f"{names['B'][1]}(B, {spot}, {value})", where + 2)
            if stop.endswith("width"):
                line(where + 1, f"for {n} in range(n0 + p + width, n0 + p + {tiles.nr}):")
                line(where + 2, f"{names['B'][1]}(B, {spot}, {zero})")
            else:
                line(4, "else:")
    else:
        line(4, f"for {n} in range(n0 + p, n0 + p + width):")
        line(5, f"for {k} in range(k0, k0 + kc):")
        pack(contract.right, lambda value: f"{names['B'][1]}(B, {spot}, {value})", 6)
        line(4, f"for {n} in range(n0 + p + width, n0 + p + {tiles.nr}):")
        line(5, f"for {k} in range(k0, k0 + kc):")
        line(6, f"{names['B'][1]}(B, {spot}, {zero})")

    row, step = (stride, 1) if tiles.left_by_row else (1, stride)
    tile = use("register_tile", register_tile(dtype, tiles.mr, tiles.nr, row, step, tiles.nc))
    forward = use("forward", _forward)
    line(3, f"for p in range(0, nc, {tiles.nr}):")
    line(4, f"for q in range(0, mc, {tiles.mr}):")
    left = f"{forward}(A, q*{row})"
    line(5, f"{tile}({left}, {forward}(B, p*{tiles.kc}), {forward}(C, q*{tiles.nc} + p), kc, k0 == k_start)")

    # the epilogue
    line(2, f"for {m} in range(m0, m0 + mc):")
    line(3, f"for {n} in range(n0, n0 + nc):")
    line(4, f"{printer.variable(contract.result)} = {names['C'][0]}(C, ({m} - m0)*{tiles.nc} + ({n} - n0))")
    printer.body(contract.epilogue, depth + 2)
    return tiles.scratch_bytes


@intrinsic
def _forward(typingctx: Any, p: Any, count: Any) -> Any:
    """The pointer `count` elements on."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.gep(args[0], [args[1]])

    return p(p, types.int64), codegen
