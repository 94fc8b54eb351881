"""Native code through Numba.

    intrinsics.py    the instructions that generated source calls
    contraction.py   the register tile and blocking of matrix products
    source.py        a kernel as Python source
    compile.py       source to machine code
    cache.py         machine code on disk
    pool.py          worker threads, and the table of calls they walk
    executor.py      binding sizes, memory, running
"""

from graphc.backends.numba.executor import Native as build

__all__ = ["build"]
