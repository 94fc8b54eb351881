"""Native code by Numba: the same sources of kernels, compiled by Numba's front end and in its pipeline.

    compile.py    a source to LLVM text, by Numba

All else is `backends/llvm`: what prints the sources, the tiles of contractions, the cache, the executor and its threads. So the
two differ in the seconds that compiling takes, and each shows whether the other is right.
"""

from collections.abc import Mapping

from graphc.backends.executable import Storage
from graphc.backends.llvm.compile import Codes
from graphc.backends.llvm.executor import NativeProgram
from graphc.backends.numba.compile import NumbaText
from graphc.ir.program import Program
from graphc.ir.target import Target, host


def build(program: Program, variables: Mapping[str, Storage], kept: Codes | None = None) -> NativeProgram:
    """A program whose kernels Numba compiles, if they are not where `kept` says."""
    return NativeProgram(program, variables, NumbaText, kept)


def cannot_run(target: Target) -> str:
    """Why what is made for a target cannot run; empty if it can: Numba takes other caches, say, but no other processor."""
    here = host()
    is_here = (target.architecture, target.cpu, target.features) == (here.architecture, here.cpu, here.features)
    return "" if is_here else "Numba compiles for this machine alone"


__all__ = ["build", "cannot_run"]
