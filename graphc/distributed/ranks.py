"""Who this process is among those that compute together."""

from __future__ import annotations

from typing import Any

from graphc.distributed.watching import patient
from graphc.ir.world import World, enter, world


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
    wait for one that neither compiles nor writes files; then it hangs, and all end with DistributedError. 7 where it is None, or
    what GRAPHC_PATIENCE in the environment says. Raises InputError where mpi4py is not installed, or `comm` is no
    intracommunicator.

        from mpi4py import MPI
        half = MPI.COMM_WORLD.Split(MPI.COMM_WORLD.rank % 2)
        gx.distributed.init(half)
    """
    with patient(patience):
        return enter(comm)


__all__ = ["init", "rank", "size"]
