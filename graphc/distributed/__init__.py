"""Many processes that compute together: ranks, and what they exchange.

    collectives.py   all_reduce, all_gather, reduce_scatter, all_to_all, broadcast, reduce, send, receive, barrier
    ranks.py         rank, size, init, busy
    blocks.py        sums over blocks of a batch, in one order whoever has which
    gradients.py     the gradient of a batch, block after block
    watching.py      a watch over every world that a process enters
    parallel.py      data-parallel steps
    sharding.py      an optimiser whose state is divided among ranks
    vectors.py       many arrays as a few vectors
    host.py          what ranks tell each other between the calls of programs
    watch.py         faults: what a rank tells the others, and how it ends where one of them is at fault
    guard.py         the process beside each rank that speaks with the others

A program is started once for every rank, `mpiexec -n 4 python train.py`, and asks who it is: `rank()` of `size()`. A process
alone is one rank of one, for which every exchange is a copy.
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.distributed.collectives import (
    all_gather, all_reduce, all_to_all, barrier, broadcast, receive, reduce, reduce_scatter, send,
)  # fmt: skip
from graphc.distributed.gradients import blocks_within, value_and_grad
from graphc.distributed.parallel import data_parallel
from graphc.distributed.ranks import busy, init, rank, size
from graphc.distributed.sharding import zero
from graphc.errors import DistributedError

__all__ = [
    "DistributedError", "all_gather", "all_reduce", "all_to_all", "barrier", "blocks_within", "broadcast", "busy",
    "data_parallel", "init", "rank", "receive", "reduce", "reduce_scatter", "send", "size", "value_and_grad", "zero",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
