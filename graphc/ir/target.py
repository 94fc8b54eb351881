"""What programs are made for: the facts about a processor that passes and backends ask for.

    target = find_target("x86-64-v3")       # also "host", this machine; None is what GRAPHC_TARGET says, or this machine
    target.lanes(4), target.fma             # (8, True)

A written-down target is one record in `TARGETS`; another is one more. `host` is measured by the backend, when it is first asked
for. What a pass or a backend chooses by one of these facts may differ between targets; what decides the bits of a result does
not: the order of a sum follows from its sizes alone. (Products of matrices round once for each term where there is `fma`, and
twice where there is not.)
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any

from graphc.errors import InputError, caller

KB, MB = 1024, 1024 * 1024


@dataclass(frozen=True)
class Target:
    """A processor.

    architecture  as LLVM's triples begin: "x86_64", "aarch64"; empty for that of the machine that compiles
    cpu           LLVM's name of it
    features      LLVM's text of what it has, and has not, beyond that
    vector_bytes  the width of a vector register, or of a plain one where there are no vectors
    registers     how many of these registers there are
    fma           whether a multiplication and an addition are one instruction, which rounds once
    masks         whether a load or a store of some lanes of a vector is one instruction
    halves        whether float16 becomes float32, and back, in one instruction
    dot8          whether four products of u8 by s8, and their sum with int32, are one instruction for a vector of such
    caches        bytes of the first and second level, which are a core's own, and of the third, which cores share
    page          bytes of a page of memory
    threads       how many run at once. Programs do not depend on it, so targets that differ in this alone are equal
    small         whether there are kilobytes of memory: then code that is small goes before code that is fast

    >>> Target("mine", vector_bytes=64, registers=32).lanes(8)
    8
    """

    name: str
    architecture: str = ""
    cpu: str = "generic"
    features: str = ""
    vector_bytes: int = 16
    registers: int = 16
    fma: bool = False
    masks: bool = False
    halves: bool = False
    dot8: bool = False
    caches: tuple[int, int, int] = (32 * KB, 256 * KB, 2 * MB)
    page: int = 4 * KB
    threads: int = field(default=1, compare=False)
    small: bool = False

    @property
    def facts(self) -> dict[str, Any]:
        """All that programs may depend on."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.compare}

    def lanes(self, itemsize: int) -> int:
        """How many elements of so many bytes a vector holds; 1 where there are no vectors."""
        return max(1, self.vector_bytes // itemsize)

    @property
    def has_vectors(self) -> bool:
        """Whether a register holds more than one number."""
        return self.vector_bytes > 8

    @property
    def panel(self) -> int:
        """The columns of float32 in a panel of a product's right operand: two vectors."""
        return 2 * self.lanes(4)

    @property
    def core_cache(self) -> int:
        """Bytes of the second level: what a core has to itself."""
        return self.caches[1]


HOST = "host"  # the machine that compiles

# The features of the levels of x86-64: System V psABI, x86-64 supplement, table 3.1. Caches: those of the first processors of a
# level (Nehalem, Haswell, Skylake-SP) and of Neoverse N1, since later ones have more. Microcontrollers have none: the first two
# numbers are what of their memory a kernel may take for granted. Cortex-M4 computes float32 (FPv4-SP), M3 no floats; riscv64 is
# RV64GC, without the extension for vectors. For wasm32 programs are exported alone.
_V2 = "+cx16,+popcnt,+sahf,+sse3,+ssse3,+sse4.1,+sse4.2"
_V3 = f"{_V2},+avx,+avx2,+bmi,+bmi2,+f16c,+fma,+lzcnt,+movbe,+xsave"
_V4 = f"{_V3},+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,-prefer-256-bit"  # LLVM would halve the vectors of loops

TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("x86-64-v1", "x86_64", "x86-64", caches=(32 * KB, 256 * KB, 2 * MB)),
        Target("x86-64-v2", "x86_64", "x86-64-v2", _V2, 16, 16, caches=(32 * KB, 256 * KB, 8 * MB)),
        Target("x86-64-v3", "x86_64", "x86-64-v3", _V3, 32, 16, True, True, True, caches=(32 * KB, 256 * KB, 8 * MB)),
        Target("x86-64-v4", "x86_64", "x86-64-v4", _V4, 64, 32, True, True, True, caches=(32 * KB, MB, 16 * MB)),
        Target("aarch64", "aarch64", vector_bytes=16, registers=32, fma=True, halves=True, caches=(64 * KB, MB, 8 * MB)),
        Target("riscv64", "riscv64", "generic-rv64", "+m,+a,+f,+d,+c", 8, 32, True, caches=(32 * KB, 128 * KB, 2 * MB)),
        Target("thumbv7em", "thumbv7em", "cortex-m4", "", 4, 32, True, caches=(16 * KB, 64 * KB, 64 * KB), small=True),
        Target("thumbv7m", "thumbv7m", "cortex-m3", "", 4, 8, False, caches=(16 * KB, 64 * KB, 64 * KB), small=True),
        Target("wasm32", "wasm32", "generic", "+simd128,+bulk-memory"),
        Target("generic"),  # what every processor of the machine's architecture can run
    )
}
MEASURED: dict[str, Callable[[], Target]] = {}  # names whose records are measured; the backends say how


def host() -> Target:
    """The machine that compiles."""
    return MEASURED[HOST]()


def find_target(target: str | Target | None) -> Target:
    """The target of a name; of None, the one that the environment's GRAPHC_TARGET names, or else this machine.

    Raises InputError for a name that is not known.

    >>> find_target("x86-64-v3").registers
    16
    """
    if isinstance(target, Target):
        return target
    name = (os.environ.get("GRAPHC_TARGET") or HOST) if target is None else target
    if isinstance(name, str) and name in TARGETS:
        return TARGETS[name]
    if name in MEASURED:
        return MEASURED[name]()
    said = "GRAPHC_TARGET names a" if target is None else "there is no"
    known = ", ".join(f'"{n}"' for n in (*MEASURED, *TARGETS))
    raise InputError(
        f"{said} target {name!r}" + (" that is not known" if target is None else ""), where=caller(),
        hint=f"the targets are {known}; or give a graphc.ir.Target",
    )  # fmt: skip
