"""Native code.

    host.py          this machine as a target
    intrinsics.py    the instructions that generated source calls
    contraction.py   the register tile and blocking of matrix products
    exchange.py      copies with exchanged axes
    extremes.py      the largest of floats by their bits
    source.py        a kernel as Python source
    frontend.py      source to LLVM text
    objects.py       LLVM text to an object; a second process that does so too
    compile.py       what is compiled, and loaded
    ahead.py         what is compiled while passes run
    cache.py         objects on disk
    runtime.py       a call and the walk over its table of kernels, in the words of kernels
    pool.py          worker threads
    calls.py         whether native code may read Python's and NumPy's objects
    executor.py      binding sizes, memory, running
    host_call.py     routines of Python among kernels
    collectives.py   what ranks compute together, by MPI's C functions
    stopwatch.py     the time of each call alone
"""

from collections.abc import Mapping

from graphc.backends.executable import Storage
from graphc.backends.llvm.ahead import build_ahead
from graphc.backends.llvm.compile import Codes
from graphc.backends.llvm.executor import NativeProgram
from graphc.backends.llvm.host import cannot_run
from graphc.ir.program import Program


def build(program: Program, variables: Mapping[str, Storage], kept: Codes | None = None) -> NativeProgram:
    """A program whose kernels graphc's front end translates, if they are not where `kept` says."""
    return NativeProgram(program, variables, kept=kept)


__all__ = ["build", "build_ahead", "cannot_run"]
