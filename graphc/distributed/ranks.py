"""Who this process is among those that compute together."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from graphc.distributed.watching import patient
from graphc.ir.world import World, enter, joined, world


def rank() -> int:
    """The number of this process among all, from 0; 0 in a process alone.

    >>> import graphc as gx
    >>> gx.distributed.rank(), gx.distributed.size()
    (0, 1)
    """
    here = world()
    here.is_asked = True
    return here.rank


def size() -> int:
    """How many processes compute together; 1 for a process alone.

    >>> import graphc as gx
    >>> gx.distributed.size()
    1
    """
    return world().size


def init(comm: Any = None, patience: float | None = None) -> World:
    """Make the processes of a communicator of mpi4py the ranks, or all that MPI has started; gives the world of them.

    Without it, ranks are the processes that `mpiexec` or `srun` has started, and a process that neither has started is alone.
    All processes of the communicator call it together, before they declare what they exchange. patience: the seconds that ranks
    wait for one that neither compiles nor writes files; then it hangs, and all end with DistributedError. 6 where it is None, or
    what GRAPHC_PATIENCE in the environment says. Raises InputError where mpi4py is not installed, or `comm` is no
    intracommunicator.

        from mpi4py import MPI
        half = MPI.COMM_WORLD.Split(MPI.COMM_WORLD.rank % 2)
        gx.distributed.init(half)
    """
    with patient(patience):
        return enter(comm)


def busy(what: str) -> AbstractContextManager[object]:
    """While this is entered, other ranks wait for this one, up to 15 minutes: it works, and does not hang.

    what: is told others who ask. Compiling and the writing of checkpoints are so by themselves.

    >>> import graphc as gx
    >>> if gx.distributed.rank() == 0:
    ...     with gx.distributed.busy("evaluating"):
    ...         pass  # what one rank does alone
    """
    here = joined()
    return nullcontext() if here is None else here.busy(what)


__all__ = ["busy", "init", "rank", "size"]
