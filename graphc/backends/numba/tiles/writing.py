"""LLVM IR in the small dialect of this library: addresses in elements, vectors, counted loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir

from graphc.backends.numba.tiles.machine import Machine, element

WORD = ir.IntType(64)
POINTER = ir.PointerType()
HALF = ir.IntType(32)


def word(value: int) -> Any:
    return ir.Constant(WORD, value)


class Writer:
    """Writes one function over elements of one type."""

    def __init__(self, module: ir.Module, machine: Machine, itemsize: int, name: str, arguments: str) -> None:
        """`arguments` has a letter for each argument: p for a pointer, i for an integer."""
        self.module = module
        self.machine = machine
        self.itemsize = itemsize
        self.element = element(itemsize)
        self.lanes = machine.lanes(itemsize)
        self.vector = ir.VectorType(self.element, self.lanes)
        self.zero = ir.Constant(self.vector, [0.0] * self.lanes)
        self.function = ir.Function(module, signature(arguments), name)
        self.args = self.function.args
        self.build = ir.IRBuilder(self.function.append_basic_block("entry"))

    def at(self, pointer: Any, offset: Any) -> Any:
        """The address `offset` elements on."""
        if offset == 0:
            return pointer
        return self.build.gep(pointer, [word(offset) if isinstance(offset, int) else offset], source_etype=self.element)

    def load(self, pointer: Any, offset: Any = 0) -> Any:
        found = self.build.load(self.at(pointer, offset), typ=self.vector)
        found.align = self.itemsize
        return found

    def load_masked(self, pointer: Any, mask: Any) -> Any:
        """The lanes that the mask selects, zeros elsewhere; memory of other lanes is not touched."""
        bits = ir.VectorType(ir.IntType(1), self.lanes)
        kind = ir.FunctionType(self.vector, [POINTER, HALF, bits, self.vector])
        load = self.module.globals.get(f"llvm.masked.load.{self.suffix}.p0")
        if load is None:
            load = ir.Function(self.module, kind, f"llvm.masked.load.{self.suffix}.p0")
        return self.build.call(load, [pointer, HALF(self.itemsize), mask, self.zero])

    def load_spread(self, pointer: Any, offset: Any = 0) -> Any:
        """One element in every lane."""
        one = self.build.load(self.at(pointer, offset), typ=self.element)
        return self.spread(one)

    def spread(self, one: Any) -> Any:
        undefined = ir.Constant(ir.VectorType(one.type, self.lanes), ir.Undefined)
        first = self.build.insert_element(undefined, one, HALF(0))
        return self.build.shuffle_vector(first, undefined, ir.Constant(ir.VectorType(HALF, self.lanes), [0] * self.lanes))

    def below(self, count: Any) -> Any:
        """A mask of the first `count` lanes."""
        numbers = ir.Constant(ir.VectorType(WORD, self.lanes), list(range(self.lanes)))
        return self.build.icmp_signed("<", numbers, self.spread(count))

    def store(self, value: Any, pointer: Any, offset: Any = 0) -> None:
        self.build.store(value, self.at(pointer, offset)).align = self.itemsize

    def prefetch(self, pointer: Any) -> None:
        """Have the line at an address, which may be any, fetched into the second level of cache."""
        kind = ir.FunctionType(ir.VoidType(), [POINTER, HALF, HALF, HALF])
        fetch = self.module.declare_intrinsic("llvm.prefetch.p0", (), kind)
        self.build.call(fetch, [pointer, HALF(0), HALF(2), HALF(1)])

    @property
    def suffix(self) -> str:
        return f"v{self.lanes}f{self.itemsize * 8}"

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c, rounded once where the machine can."""
        if not self.machine.fused:
            return self.build.fadd(self.build.fmul(a, b), c)
        fma = self.module.declare_intrinsic(f"llvm.fma.{self.suffix}", (), ir.FunctionType(self.vector, [self.vector] * 3))
        return self.build.call(fma, [a, b, c])

    def block(self, name: str) -> Any:
        return self.function.append_basic_block(name)

    def loop(self, name: str, start: Any, stop: Any, step: Any, body: Callable[[Any], None]) -> None:
        """for index in range(start, stop, step): body(index)"""
        inside, after = self.block(name), self.block(f"{name}.end")
        before = self.build.block
        self.build.cbranch(self.build.icmp_signed("<", start, stop), inside, after)
        self.build.position_at_end(inside)
        index = self.build.phi(WORD)
        index.add_incoming(start, before)
        body(index)
        following = self.build.add(index, step)
        index.add_incoming(following, self.build.block)
        self.build.cbranch(self.build.icmp_signed("<", following, stop), inside, after)
        self.build.position_at_end(after)

    def when(self, name: str, condition: Any, body: Callable[[], None]) -> None:
        """if condition: body()"""
        inside, after = self.block(name), self.block(f"{name}.end")
        self.build.cbranch(condition, inside, after)
        self.build.position_at_end(inside)
        body()
        self.build.branch(after)
        self.build.position_at_end(after)

    def least(self, a: Any, b: Any) -> Any:
        return self.build.select(self.build.icmp_signed("<", a, b), a, b)


def signature(arguments: str) -> Any:
    return ir.FunctionType(ir.VoidType(), [POINTER if letter == "p" else WORD for letter in arguments])
