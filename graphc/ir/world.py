"""The world of ranks: who this process is among those that compute together, and how they exchange arrays.

    Exchange         what a rank has afterwards, from the operands x of all n ranks
    all_reduce       the sum of all
    all_gather       all, one after another along the first axis, in the order of ranks
    reduce_scatter   its own of n equal parts of the sum, along the first axis
    all_to_all       n parts: its own of n equal parts of each x
    broadcast        the x of rank `root`
    reduce           the sum of all on rank `root`, 0 on others
    send             its x, which rank `to` receives
    receive          what rank `source` sends
    barrier          its x, when all have come as far

Processes that `mpiexec` or `srun` has started exchange by MPI, through mpi4py; a process alone is a world of one rank, which
needs no MPI: what it exchanges with itself it has. Native code calls MPI's C functions itself (backends/llvm/collectives.py).
"""

from __future__ import annotations

import ctypes
import faulthandler
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from graphc.errors import DistributedError, InputError, caller

Array = np.ndarray[Any, Any]
LAUNCHED = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")  # variables that launchers of MPI set: MPICH, PMIx, Open MPI
LIMIT = 600.0  # seconds that an exchange may take, where nobody is asked
JOINING = 120.0  # seconds that ranks wait for each other at the start
LARGEST = 2**31 - 1  # elements of one exchange, where the library has no functions for more


class Waiting(NamedTuple):
    """An exchange that is not done: its operation, its number in the program, the seconds so far, and what MPI says is wrong."""

    operation: str
    order: int
    seconds: float
    problem: str = ""


class Lines(NamedTuple):
    """What ranks must have alike: a digest of it ("" where any will do), and what makes its lines where digests differ."""

    digest: str
    make: Callable[[], Sequence[str]]


@dataclass
class World:
    """A rank among others.

    comm: mpi4py's communicator; None for a rank alone. ask: told what is waited for when that has taken `limit` seconds, and
    again after as many, it raises to end the wait, or returns to go on; without it a wait ends at the limit.
    compare: given what ranks must have alike, it raises where one of them has another. busy: what may take long runs in it, so
    that others wait. is_asked: whether anybody has asked for the rank, so that graphs may differ from rank to rank.
    held: memory of calls that ended while an exchange was under way, which MPI may still write into.
    """

    rank: int = 0
    size: int = 1
    comm: Any = None
    ask: Callable[[Waiting], None] | None = None
    compare: Callable[[Lines, Lines], None] | None = None
    busy: Callable[[str], AbstractContextManager[object]] = nullcontext
    is_asked: bool = False
    held: list[Any] = field(default_factory=list)
    limits: Array = field(default_factory=lambda: np.array([int(LIMIT * 1e9)]))  # nanoseconds: native code reads them
    sending: list[tuple[Any, Any, str, int]] = field(default_factory=list)  # requests of sends, and what they send

    @property
    def limit(self) -> float:
        """The seconds after which a wait asks; those of waits that go on change with it."""
        return float(self.limits[0]) / 1e9

    @limit.setter
    def limit(self, seconds: float) -> None:
        self.limits[0] = int(seconds * 1e9)

    def asked(self, waiting: Waiting) -> None:
        """Raise DistributedError if a wait is to end."""
        if self.ask is not None:
            self.ask(waiting)
        if self.ask is None or waiting.problem:
            raise self._failed(waiting)

    def exchange(self, kind: str, x: Array, name: str, order: int, **attrs: Any) -> Array:
        """What an exchange gives this rank; a send goes on until `settle`."""
        x = np.array(x, order="C")
        if self.comm is None:
            return x
        y = np.empty(_shape(kind, x, self.size), x.dtype)
        if kind in ("send", "barrier", "broadcast"):
            y[...] = x
        elif kind == "reduce":
            y[...] = 0
        call, *arguments = _arguments(kind, x, y, attrs)
        request = self._tried(lambda: getattr(self.comm, call)(*arguments), name, order)
        if kind == "send":
            self.sending.append((request, y, name, order))
        else:
            self._wait(request, name, order)
        return y

    def settle(self) -> None:
        """Wait until what was sent is on its way, so that its memory is free."""
        while self.sending:
            request, _, name, order = self.sending.pop()
            self._wait(request, name, order)

    def _wait(self, request: Any, name: str, order: int) -> None:
        begun = asked = time.monotonic()
        while not self._tried(request.Test, name, order):
            now = time.monotonic()
            if now - asked > self.limit:
                asked = now
                self.held.append(request)
                self.asked(Waiting(name, order, now - begun))
            time.sleep(0 if now - begun < 0.01 else 0.0002)

    def _tried(self, call: Callable[[], Any], name: str, order: int) -> Any:
        """What a call of mpi4py gives; what it raises is asked about, and ends the exchange."""
        from mpi4py import MPI

        try:
            return call()
        except MPI.Exception as error:
            waiting = Waiting(name, order, 0.0, str(error))
            try:
                self.asked(waiting)
            except DistributedError as found:
                raise found from error

    def _failed(self, waiting: Waiting) -> DistributedError:
        name = f"rank {self.rank} of {self.size}: {waiting.operation}, exchange {waiting.order} of its program"
        if waiting.problem:
            return DistributedError(f"{name}: MPI says {waiting.problem}")
        return DistributedError(
            f"{name}: timed out after {waiting.seconds:.1f} s", hint="another rank has ended, hangs, or runs another program"
        )

    def check(self, ranks: int, name: str) -> None:
        """An error where a graph is made for a world of another size."""
        if ranks != self.size:
            raise DistributedError(
                f"{name}: the graph is made for {ranks} ranks, and the world has {self.size}",
                hint="build it after gx.distributed.init, in every process",
            )  # fmt: skip

    @property
    def functions(self) -> Functions:
        """MPI's C functions and handles, for native code; there is a communicator."""
        return _functions(self.comm)


def _shape(kind: str, x: Array, size: int) -> tuple[int, ...]:
    shape: tuple[int, ...] = x.shape
    match kind:
        case "all_gather":
            return (size * shape[0], *shape[1:])
        case "reduce_scatter":
            return (shape[0] // size, *shape[1:])
    return shape


def _arguments(kind: str, x: Array, y: Array, attrs: Mapping[str, Any]) -> tuple[Any, ...]:
    """The method of mpi4py's communicators, and what it is given."""
    from mpi4py import MPI

    def whole(array: Array) -> list[Any]:
        return [array.reshape(-1).view(np.uint8), MPI.BYTE]

    def typed(array: Array) -> list[Any]:
        return [array.reshape(-1), MPI.Datatype.fromcode(array.dtype.char)]

    match kind:
        case "all_reduce":
            return "Iallreduce", typed(x), typed(y), MPI.SUM
        case "all_gather":
            return "Iallgather", whole(x), whole(y)
        case "reduce_scatter":
            return "Ireduce_scatter_block", typed(x), typed(y), MPI.SUM
        case "all_to_all":
            return "Ialltoall", whole(x), whole(y)
        case "broadcast":
            return "Ibcast", whole(y), attrs["root"]
        case "reduce":
            return "Ireduce", typed(x), typed(y), MPI.SUM, attrs["root"]
        case "send":
            return "Isend", whole(y), attrs["to"], attrs["tag"]
        case "receive":
            return "Irecv", whole(y), attrs["source"], attrs["tag"]
    assert kind == "barrier"
    return ("Ibarrier",)


class Functions(NamedTuple):
    """Addresses of MPI's C functions, and handles as words."""

    calls: Mapping[str, int]
    comm: int
    sum: int
    types: Mapping[str, int]  # by NumPy's characters of types
    byte: int
    large: bool  # whether counts may have more than 32 bits


_NAMES = (
    "MPI_Iallreduce", "MPI_Iallgather", "MPI_Ireduce_scatter_block", "MPI_Ialltoall", "MPI_Ibcast", "MPI_Ireduce", "MPI_Isend",
    "MPI_Irecv",
)  # fmt: skip


def _functions(comm: Any) -> Functions:
    from mpi4py import MPI

    library = ctypes.CDLL(MPI.__file__)

    def address(name: str) -> int:
        return ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0

    large = hasattr(library, "MPI_Iallreduce_c")
    calls = {name: address(f"{name}_c" if large else name) for name in _NAMES}
    calls |= {name: address(name) for name in ("MPI_Ibarrier", "MPI_Test")}
    def word(handle: Any) -> int:
        """A handle, an int or a pointer, as a signed word."""
        return ctypes.c_int64(MPI._handleof(handle)).value

    types = {code: word(MPI.Datatype.fromcode(code)) for code in "bBhHiIlLqQfd"}
    return Functions(calls, word(comm), word(MPI.SUM), types, word(MPI.BYTE), large)


def problem_of(code: int) -> str:
    """What one of MPI's error codes says."""
    from mpi4py import MPI

    text: str = MPI.Get_error_string(code)
    return text


_current: list[World] = []
_told: list[Callable[[World], None]] = []


def when_joined(told: Callable[[World], None]) -> None:
    """Have a function told of every world that this process enters with others, in all of its ranks at once."""
    _told.append(told)


def joined() -> World | None:
    """The world of this process, if it has asked for one and is not alone."""
    return _current[0] if _current and _current[0].comm is not None else None


def world() -> World:
    """The world of this process: all processes that a launcher of MPI has started, or this one alone."""
    if not _current:
        launched = any(name in os.environ for name in LAUNCHED)
        _current.append(_joined(None) if launched else World())
    return _current[0]


def enter(comm: Any = None) -> World:
    """Make the processes of a communicator the world, or all that MPI has started. All of them call it together."""
    joined = _joined(comm)
    _current[:] = [joined]
    return joined


def leave() -> None:
    """Be a world of one rank."""
    _current[:] = [World()]


def _joined(comm: Any) -> World:
    faulthandler.dump_traceback_later(JOINING, exit=True)  # MPI waits for ever for a rank that has ended, and lets no Python run
    try:
        return _join(comm)
    finally:
        faulthandler.cancel_dump_traceback_later()


def _join(comm: Any) -> World:
    try:
        from mpi4py import MPI
    except ImportError as error:
        raise InputError(
            f"ranks exchange arrays by MPI, through mpi4py, which cannot be imported: {error}", where=caller(),
            hint="pip install 'graphc[mpi]'; where MPI is installed, pip install mpi4py",
        ) from error  # fmt: skip
    given = MPI.COMM_WORLD if comm is None else comm
    if not isinstance(given, MPI.Intracomm):
        raise InputError(f"init takes an intracommunicator of mpi4py, got {given!r}", where=caller())
    own = given.Dup()
    own.Set_errhandler(MPI.ERRORS_RETURN)
    entered = World(own.Get_rank(), own.Get_size(), own)
    for told in _told:
        told(entered)
    return entered


__all__ = ["Functions", "Lines", "Waiting", "World", "enter", "joined", "leave", "problem_of", "when_joined", "world"]
