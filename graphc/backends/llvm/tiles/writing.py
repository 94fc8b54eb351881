"""LLVM IR in the small dialect of this library: addresses in elements, vectors, counted loops."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphc.backends.llvm.tiles.text import (
    BIT,
    DOUBLE,
    FLOAT,
    FLOAT16,
    HALF,
    POINTER,
    SHORT,
    VOID,
    WORD,
    Builder,
    Function,
    Module,
    Signature,
    Type,
    Value,
    vector_of,
)  # fmt: skip
from graphc.ir.target import Target


def element(itemsize: int) -> Type:
    return FLOAT if itemsize == 4 else DOUBLE


def word(value: int) -> Value:
    return WORD(value)


class TileWriter:
    """Writes one function over elements of one type.

    `source` is the type of memory that is read as such elements: "f16" or "bf16" in place of "", which is the type itself.
    `number` says what elements of 4 bytes are: "" for floats, "bytes" for four integers of 8 bits and "shorts" for two of 16,
    whose products with another such word are summed in int32. Of bytes the left ones are u8, the right ones s8.
    """

    def __init__(
        self, module: Module, target: Target, itemsize: int, name: str, arguments: str, source: str = "", number: str = ""
    ) -> None:  # fmt: skip
        """`arguments` has a letter for each argument: p for a pointer, s for one to the source, t for one to integers, i for an
        integer."""
        self.source, self.number = source, number
        self.module = module
        self.target = target
        self.itemsize = itemsize
        self.element = HALF if number else element(itemsize)
        self.lanes = target.lanes(itemsize)
        self.vector = vector_of(self.element, self.lanes)
        self.zero = self.vector([0] * self.lanes)
        self.function = Function(module, signature(arguments), name)
        self.args = self.function.args
        self.build = Builder(self.function.block("entry"))

    def at(self, pointer: Any, offset: Any) -> Any:
        """The address `offset` elements on."""
        if offset == 0:
            return pointer
        return self.build.gep(pointer, word(offset) if isinstance(offset, int) else offset, self.element)

    def load(self, pointer: Any, offset: Any = 0) -> Any:
        return self.build.load(self.at(pointer, offset), self.vector, self.itemsize)

    def near(self, pointer: Any, offset: Any) -> Any:
        """The address `offset` elements of the source on."""
        if not self.source or offset == 0:
            return self.at(pointer, offset)
        return self.build.gep(pointer, word(offset) if isinstance(offset, int) else offset, SHORT)

    def read(self, pointer: Any, offset: Any = 0) -> Any:
        """A vector of the source."""
        if not self.source:
            return self.load(pointer, offset)
        return self._widened(self.build.load(self.near(pointer, offset), vector_of(SHORT, self.lanes), 2))

    def read_masked(self, pointer: Any, mask: Any) -> Any:
        """The lanes of the source that the mask selects, zeros elsewhere; memory of other lanes is not touched."""
        if not self.source:
            return self._masked(pointer, mask, self.vector, self.suffix, self.itemsize, self.zero)
        shorts = vector_of(SHORT, self.lanes)
        nothing = shorts([0] * self.lanes)
        return self._widened(self._masked(pointer, mask, shorts, f"v{self.lanes}i16", 2, nothing))

    def _masked(self, pointer: Any, mask: Any, kind: Any, suffix: str, align: int, other: Any) -> Any:
        bits = vector_of(BIT, self.lanes)
        load = self.module.declare(f"llvm.masked.load.{suffix}.p0", kind, [POINTER, HALF, bits, kind])
        return self.build.call(load, [pointer, HALF(align), mask, other])

    def _widened(self, shorts: Any) -> Any:
        """The floats that 16 bits stand for."""
        if self.source == "f16":
            return self.build.fpext(self.build.bitcast(shorts, vector_of(FLOAT16, self.lanes)), self.vector)
        words = vector_of(HALF, self.lanes)
        high = self.build.shl(self.build.zext(shorts, words), words([16] * self.lanes))
        return self.build.bitcast(high, self.vector)

    def load_spread(self, pointer: Any, offset: Any = 0) -> Any:
        """One element in every lane."""
        one = self.build.load(self.at(pointer, offset), self.element)
        return self.spread(one)

    def spread(self, one: Any) -> Any:
        undefined = vector_of(one.type, self.lanes).undefined
        zeros = vector_of(HALF, self.lanes)([0] * self.lanes)
        return self.build.shuffle_vector(self.build.insert_element(undefined, one, HALF(0)), undefined, zeros)

    def below(self, count: Any) -> Any:
        """A mask of the first `count` lanes."""
        numbers = vector_of(WORD, self.lanes)(list(range(self.lanes)))
        return self.build.icmp_signed("<", numbers, self.spread(count))

    def store(self, value: Any, pointer: Any, offset: Any = 0) -> None:
        self.build.store(value, self.at(pointer, offset), self.itemsize)

    def store_masked(self, value: Any, pointer: Any, mask: Any) -> None:
        """Store the lanes that the mask selects; memory of other lanes is not touched."""
        bits = vector_of(BIT, self.lanes)
        store = self.module.declare(f"llvm.masked.store.{self.suffix}.p0", VOID, [self.vector, POINTER, HALF, bits])
        self.build.call(store, [value, pointer, HALF(self.itemsize), mask])

    def prefetch(self, pointer: Any) -> None:
        """Have the line at an address, which may be any, fetched into the second level of cache."""
        fetch = self.module.declare("llvm.prefetch.p0", VOID, [POINTER, HALF, HALF, HALF])
        self.build.call(fetch, [pointer, HALF(0), HALF(2), HALF(1)])

    @property
    def suffix(self) -> str:
        return f"v{self.lanes}f{self.itemsize * 8}"

    def add(self, a: Any, b: Any) -> Any:
        return self.build.add(a, b) if self.number else self.build.fadd(a, b)

    def multiply_add(self, a: Any, b: Any, c: Any) -> Any:
        """a * b + c, rounded once where the target can; of words, the sum of their products and c."""
        if self.number:
            return self._dot(a, b, c)
        if not self.target.fma:
            return self.build.fadd(self.build.fmul(a, b), c)
        fma = self.module.declare(f"llvm.fma.{self.suffix}", self.vector, [self.vector] * 3)
        return self.build.call(fma, [a, b, c])

    def _dot(self, a: Any, b: Any, c: Any) -> Any:
        bits, target = 8 * self.target.vector_bytes, self.target
        if self.number == "bytes":
            name = f"llvm.x86.avx512.vpdpbusd.{bits}"
            return self.build.call(self.module.declare(name, self.vector, [self.vector] * 3), [c, a, b])
        if target.architecture == "x86_64" and (bits < 512 or "+avx512bw" in target.features):
            name = {128: "sse2.pmadd.wd", 256: "avx2.pmadd.wd", 512: "avx512.pmaddw.d.512"}[bits]
            pairs = vector_of(SHORT, 2 * self.lanes)
            pair = [self.build.bitcast(x, pairs) for x in (a, b)]
            return self.build.add(c, self.build.call(self.module.declare(f"llvm.x86.{name}", self.vector, [pairs, pairs]), pair))
        half = self.vector([16] * self.lanes)
        for low in (True, False):
            x, y = (self.build.ashr(self.build.shl(v, half) if low else v, half) for v in (a, b))
            c = self.build.add(c, self.build.mul(x, y))
        return c

    def block(self, name: str) -> Any:
        return self.function.block(name)

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


def signature(arguments: str) -> Signature:
    return Signature(VOID, [WORD if letter == "i" else POINTER for letter in arguments])
