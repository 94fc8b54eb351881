"""A watch over every world that this process enters with others: its waits ask the watch, and it compares the ranks' graphs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from graphc.distributed.watch import Watch
from graphc.ir.world import Lines, Waiting, World, when_joined

LIMIT = 0.05  # seconds after which a wait asks whether somebody is at fault, again and again

_patience: list[float | None] = [None]
_watches: list[Watch] = []


@contextmanager
def patient(seconds: float | None) -> Iterator[None]:
    """Worlds that are entered here have this patience."""
    before, _patience[0] = _patience[0], seconds
    try:
        yield
    finally:
        _patience[0] = before


def watch_over(here: World) -> None:
    """Start the watch of a world; one of more ranks, that is."""
    while _watches:
        _watches.pop().retire()
    if here.size == 1:
        return
    comm = here.comm
    watch = Watch(here.rank, here.size, comm.allgather, _patience[0], comm.Iprobe)
    _watches.append(watch)

    def ask(waiting: Waiting) -> None:
        what = f"{waiting.operation}, exchange {waiting.order} of its program"
        if waiting.problem:
            watch.hear_first()
        watch.look(what, waiting.seconds)

    def compare(exchanges: Lines, graph: Lines) -> None:
        watch.agree("what they exchange", exchanges.digest, exchanges.make)
        watch.agree("graphs", graph.digest, graph.make)

    here.limit, here.ask, here.compare, here.busy = LIMIT, ask, compare, watch.busy


when_joined(watch_over)

__all__ = ["patient", "watch_over"]
