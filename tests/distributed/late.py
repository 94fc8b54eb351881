"""Two ranks of which one is late, then does not come at all: what a wait says, on each backend.

    mpiexec -n 2 python tests/distributed/late.py
"""

from __future__ import annotations

import sys
import time

import numpy as np

import graphc as gx
from graphc import distributed as d
from graphc.ir.world import Waiting, world


def main() -> None:
    here = world()
    x = gx.placeholder("x", (3,), "float64")
    w = gx.variable(np.zeros(3), name="w")
    for backend in ("llvm", "interpreter", "program"):
        y = d.all_reduce(d.barrier(x))
        f = gx.compile([x], y, updates={w: w + y}, backend=backend)
        f([1.0, 2.0, 3.0])
        asked: list[Waiting] = []
        here.limit, here.ask = 0.1, asked.append
        if here.rank == 1:
            time.sleep(0.5)
        assert f([1.0, 2.0, 3.0]).tolist() == [2.0, 4.0, 6.0]
        if here.rank == 0:
            assert len(asked) >= 2 and asked[0][:2] == ("barrier", 0) and asked[0].seconds < asked[1].seconds, asked
        here.comm.Barrier()
    here.limit, here.ask = 0.2, None
    f = gx.compile([x], y, updates={w: w + y})
    before = w.value.tolist()
    if here.rank == 0:
        begun = time.monotonic()
        try:
            f([1.0, 2.0, 3.0])
        except d.DistributedError as error:
            print(f"rank 0 after {time.monotonic() - begun:.1f} s: {error}", flush=True)
            assert w.value.tolist() == before
    else:
        time.sleep(1)
    sys.stdout.flush()
    from mpi4py import MPI

    MPI.COMM_WORLD.Barrier()
    MPI.COMM_WORLD.Abort(7)


if __name__ == "__main__":
    main()
