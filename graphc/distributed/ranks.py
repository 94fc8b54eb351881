"""Who this process is among those that compute together."""

from __future__ import annotations

from typing import Any

from graphc.ir.world import World, enter, world


def rank() -> int:
    """The number of this process among all, from 0; 0 in a process alone.

    >>> import graphc as gx
    >>> gx.distributed.rank(), gx.distributed.size()
    (0, 1)
    """
    return world().rank


def size() -> int:
    """How many processes compute together; 1 for a process alone.

    >>> import graphc as gx
    >>> gx.distributed.size()
    1
    """
    return world().size


def init(comm: Any = None) -> World:
    """Make the processes of a communicator of mpi4py the ranks, or all that MPI has started; gives the world of them.

    Without it, ranks are the processes that `mpiexec` or `srun` has started, and a process that neither has started is alone.
    All processes of the communicator call it together, before they declare what they exchange. Raises InputError where mpi4py is
    not installed, or `comm` is no intracommunicator.

        from mpi4py import MPI
        half = MPI.COMM_WORLD.Split(MPI.COMM_WORLD.rank % 2)
        gx.distributed.init(half)
    """
    return enter(comm)


__all__ = ["init", "rank", "size"]
