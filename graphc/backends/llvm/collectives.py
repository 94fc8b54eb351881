"""What ranks compute together, in native code: the words with which `runtime.start` and `runtime.finish` call MPI's C functions.

No Python runs in a step. Only a wait that takes longer than the world's limit, or fails, calls `World.asked`, which may end it.
"""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from graphc.backends.llvm import runtime
from graphc.backends.llvm.pool import native_address
from graphc.errors import DistributedError
from graphc.ir import dims
from graphc.ir.operation import Collective as Lowering
from graphc.ir.program import Collective
from graphc.ir.world import LARGEST, Waiting, World, problem_of, world

Array = np.ndarray[Any, Any]
_ASK = ctypes.CFUNCTYPE(ctypes.c_int64, *(ctypes.c_int64,) * 8)
_CLOCK = getattr(time, "CLOCK_MONOTONIC", 1)


@dataclass(frozen=True)
class CollectiveKernel:
    """The start of a collective among the kernels of a program, or the wait for its end. It has no code of its own."""

    name: str
    kernel: Collective
    dims: tuple[str, ...] = ()
    reserve: int = 0

    @property
    def source(self) -> str:
        """What is called."""
        called = f"{self.kernel.operation.name}({', '.join(f'{key}={value}' for key, value in self.kernel.attrs)})"
        word = "wait for its end" if self.kernel.waits else "start"
        return f"# not a kernel, but MPI's C functions\n{word}: {called}\n"

    def __repr__(self) -> str:
        return f"<{'wait for' if self.kernel.waits else 'start of'} {self.kernel.operation.name} {self.name}>"


class Collectives:
    """The collectives of a table at given sizes: their words, requests, and the function that long waits ask."""

    def __init__(self, env: Mapping[str, int], failed: Callable[[BaseException], None], count: int) -> None:
        self.env = env
        self.world = world()
        self.shared = np.zeros(runtime.REQUESTS + count, np.int64)
        self.shared[runtime.PLACES] = count
        self.shared[runtime.TEST] = 0 if self.world.comm is None else self.world.functions.calls["MPI_Test"]
        self.kept: list[Any] = [self.shared]
        self.requests: dict[tuple[int, int], tuple[int, int]] = {}  # by the depth of a program and a number: place, and address
        self.slots = 0
        self.names: list[str] = []
        self.shared[runtime.LIMIT] = self.world.limits.ctypes.data
        self.shared[runtime.CLOCK] = _CLOCK
        ask = _ASK(_asking(self.world, self.names, failed))
        self.kept.append(ask)
        self.shared[runtime.ASK] = ctypes.cast(ask, ctypes.c_void_p).value or 0

    def row(self, kernel: Collective, depth: int) -> tuple[int, list[int]]:
        """The code of a row of the table, and its words."""
        self.world.check(dict(kernel.attrs)["ranks"], kernel.operation.name)
        return self._wait(kernel, depth) if kernel.waits else self._start(kernel, depth)

    def _start(self, kernel: Collective, depth: int) -> tuple[int, list[int]]:
        request = np.zeros(runtime.REQUEST_WORDS, np.int64)
        self.kept.append(request)
        place, at = self.requests[depth, kernel.order] = self.slots, request.ctypes.data
        self.slots += 1
        call = _call_of(kernel, self.env, self.world, at)
        words = [call.function, call.copied, call.cleared, call.sent, call.made, self._named(kernel), self.shared.ctypes.data]
        words += [8 * (len(kernel.params) - 1), *call.words, *[0] * (8 - len(call.words)), place, at]
        return native_address("start"), words

    def _wait(self, kernel: Collective, depth: int) -> tuple[int, list[int]]:
        words = [0] * runtime.CALL_WORDS
        words[runtime.NUMBER], words[runtime.LIMITS] = self._named(kernel), self.shared.ctypes.data
        words[runtime.SLOT], words[runtime.REQUEST] = self.requests[depth, kernel.order]
        return native_address("finish"), words

    def _named(self, kernel: Collective) -> int:
        self.names.append(f"{kernel.operation.name} {kernel.order}")
        return len(self.names) - 1


def _asking(here: World, names: Sequence[str], failed: Callable[[BaseException], None]) -> Callable[..., int]:
    """What native code calls: the number of a collective, nanoseconds so far, and MPI's error or 0."""

    def ask(number: int, waited: int, code: int, *_: int) -> int:
        try:
            name, order = names[number].split()
            here.asked(Waiting(name, int(order), waited / 1e9, problem_of(code) if code else ""))
        except BaseException as error:  # nothing may be raised into native code
            failed(error)
            return 1
        return 0

    return ask


@dataclass(frozen=True)
class _Call:
    """A call of a C function: its words, which of them get the addresses of what is read and made, and what goes before it."""

    function: int = 0
    words: tuple[int, ...] = ()
    sent: int = -1
    made: int = -1
    copied: int = 0
    cleared: int = 0


def _call_of(kernel: Collective, env: Mapping[str, int], here: World, request: int) -> _Call:
    lowering = kernel.operation.lowering
    assert isinstance(lowering, Lowering)
    kind, attrs = lowering.exchange, dict(kernel.attrs)
    given = kernel.params[0].type
    size = dims.evaluate(given.nbytes, env)
    made = dims.evaluate(kernel.params[-1].type.nbytes, env)
    if here.comm is None:
        if lowering.passes_on:
            return _Call()
        return _Call(copied=size) if len(kernel.params) > 1 else _Call(cleared=made)
    mpi = here.functions
    if not mpi.large and max(size, made) > LARGEST:
        raise DistributedError(f"{kind}: {max(size, made)} bytes are more than this MPI exchanges at once")
    count, comm, byte = dims.evaluate(given.size, env), mpi.comm, mpi.byte

    def added() -> tuple[int, int]:
        """The handles of the type and of its sum."""
        return mpi.types[given.dtype.numpy.char], mpi.sum

    match kind:
        case "all_reduce":
            return _Call(mpi.calls["MPI_Iallreduce"], (0, 0, count, *added(), comm, request), 0, 1)
        case "all_gather":
            return _Call(mpi.calls["MPI_Iallgather"], (0, size, byte, 0, size, byte, comm, request), 0, 3)
        case "reduce_scatter":
            words = (0, 0, count // here.size, *added(), comm, request)
            return _Call(mpi.calls["MPI_Ireduce_scatter_block"], words, 0, 1)
        case "all_to_all":
            part = size // here.size
            return _Call(mpi.calls["MPI_Ialltoall"], (0, part, byte, 0, part, byte, comm, request), 0, 3)
        case "broadcast":
            return _Call(mpi.calls["MPI_Ibcast"], (0, size, byte, attrs["root"], comm, request), made=0, copied=size)
        case "reduce":
            to_root = (0, 0, count, *added(), attrs["root"], comm, request)
            return _Call(mpi.calls["MPI_Ireduce"], to_root, 0, 1, cleared=size)
        case "send":
            return _Call(mpi.calls["MPI_Isend"], (0, size, byte, attrs["to"], attrs["tag"], comm, request), 0)
        case "receive":
            return _Call(mpi.calls["MPI_Irecv"], (0, made, byte, attrs["source"], attrs["tag"], comm, request), made=0)
    assert kind == "barrier", kind
    return _Call(mpi.calls["MPI_Ibarrier"], (comm, request), copied=size)


__all__ = ["CollectiveKernel", "Collectives"]
