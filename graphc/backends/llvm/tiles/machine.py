"""What a register tile depends on: the width and the number of vector registers, and the type of the elements."""

from __future__ import annotations

from dataclasses import dataclass

from llvmlite import ir

STEPS = 512  # the longest run of products that is summed in registers before the sum joins the result


@dataclass(frozen=True)
class Machine:
    """Vector registers: their width in bytes, their number, and whether a multiplication and an addition are one instruction.

    `halves` says whether float16 becomes float32 in one instruction.

    >>> Machine(64, 32).rows, Machine(32, 16).rows, Machine(64, 32).vectors(3)
    (12, 6, 6)
    """

    vector_bytes: int
    registers: int
    fused: bool = True
    halves: bool = False

    def lanes(self, itemsize: int) -> int:
        return self.vector_bytes // itemsize

    @property
    def rows(self) -> int:
        """The tallest tile of two vectors. Three quarters of the registers hold sums: compilers want some room for operands."""
        return self.registers * 3 // 8

    def vectors(self, rows: int) -> int:
        """The widest tile of this many rows, whole panels of two vectors: short narrow tiles would wait for their sums."""
        sums = self.registers * 3 // 4
        return next(v for v in (8, 6, 4, 2) if v == 2 or (rows * v <= sums and rows * v + v < self.registers))


def host(features: dict[str, bool], processor: str = "x86_64") -> Machine:
    """The machine that has these features.

    >>> host({"avx512f": True, "avx2": True, "fma": True})
    Machine(vector_bytes=64, registers=32, fused=True, halves=True)
    """
    if processor in ("aarch64", "arm64"):
        return Machine(16, 32, halves=True)
    fused = bool(features.get("fma"))
    if features.get("avx512f") and fused:
        return Machine(64, 32, halves=True)
    return Machine(32 if features.get("avx") else 16, 16, fused, bool(features.get("f16c")))


def element(itemsize: int) -> ir.Type:
    return ir.FloatType() if itemsize == 4 else ir.DoubleType()
