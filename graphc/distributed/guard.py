"""A process beside each rank, which tells the others what became of it: `python guard.py SETTINGS`, without graphc.

A rank that is killed says nothing, and a launcher that sees it die kills the others before they can say why. So each rank has a
guard in a session of its own. Guards talk by TCP: that of rank 0, the hub, hears of every rank, decides who is at fault, and
tells all of them; a guard raises a flag in memory that it shares with its rank, which waits of native code can read. A rank that
the launcher ends before it has told its error is spoken for by its guard.

A guard holds the launcher's descriptors of its rank (MPICH: PMI_FD, and the pipes of its output) until all ranks have ended, or
until time is up: an exit with a code that is not 0 would otherwise have the others killed at once.

Messages are lines of JSON. Rank to guard, and guard to hub with "rank" added:

    {"state": "running" | "busy" | "finishing", "what": text}
    {"state": "waiting", "what": text, "seconds": so far}    said again and again, until the wait is over
    {"raised": text}                an exception that nobody caught
    {"told": true}                  the rank has printed its error
    {"agree": text, "digest": hex}  all ranks must say the same, or ""
    {"lines": [...]}                the answer to {"show": text}: what the digest is of
    {"here": text}                  the answer to {"where": true}: the line at which the rank is
    {"stopped": true}               guard to hub alone: the process is stopped, or (false) no more
    {"gone": text}                  guard to hub alone: the process is no more, and how it ended

Hub to guards, and guard to rank:

    {"fault": {"rank": n, "cause": text}}    somebody is at fault: all end
    {"agreed": text}                         all have said the same
    {"end": true}                            all are finishing: no one is waited for
    {"over": true}                           all have told their error, or are gone
    {"where": true}, {"show": text}          questions
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import selectors
import signal
import socket
import sys
import time
from typing import Any

Message = dict[str, Any]

LEAVE = 9.0  # seconds after a fault at which a guard ends a rank that has not ended
OVER = 1.0  # the same, after the last has told its error
LOST = 5.0  # seconds without a word, heartbeats included, after which a guard is taken for dead
BEAT = 1.0  # seconds between heartbeats
FINISHED = 2.0  # seconds that a rank may be waited for which has finished
ANSWER = 0.5  # seconds that a rank has to say where it is
LINES = 4.0  # seconds that it has to write down its graph
WAITS = 2.0  # seconds after which a wait that is told of no more is over
BUSY = 900.0  # seconds that a rank may compile, or write a file, while others wait


class Line:
    """A socket that carries lines of JSON, without ever blocking."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.socket.setblocking(False)
        self.read, self.unsent = b"", b""
        self.heard = time.monotonic()
        self.closed = False

    def send(self, message: Message) -> None:
        self.unsent += json.dumps(message).encode() + b"\n"
        self.flush()

    def flush(self) -> None:
        while self.unsent and not self.closed:
            try:
                self.unsent = self.unsent[self.socket.send(self.unsent) :]
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self.closed = True

    def receive(self) -> list[Message]:
        """What has come; `closed` is set at the end."""
        while not self.closed:
            try:
                more = self.socket.recv(65536)
            except (BlockingIOError, InterruptedError):
                break
            except OSError:
                more = b""
            if not more:
                self.closed = True
                break
            self.read += more
            self.heard = time.monotonic()
        *lines, self.read = self.read.split(b"\n")
        return [json.loads(line) for line in lines]


class Rank:
    """What the hub knows of a rank."""

    def __init__(self) -> None:
        self.line: Line | None = None  # to its guard; the hub's own rank has none
        self.state, self.what, self.since = "running", "", time.monotonic()
        self.heard = self.since
        self.lines: list[str] | None = None
        self.stopped = False
        self.gone: str | None = None
        self.told = False
        self.here: str | None = None
        self.asked = 0.0


class Hub:
    """Decides, in the guard of rank 0."""

    def __init__(self, size: int, patience: float) -> None:
        self.ranks = [Rank() for _ in range(size)]
        self.patience = patience
        self.fault: Message | None = None
        self.ended = self.over = False
        self.said: dict[str, dict[int, Message]] = {}  # what ranks must agree on
        self.differ: tuple[int, int, float] | None = None  # two ranks, and since when that is known
        self.news: list[tuple[int | None, Message]] = []  # to one rank, or to all

    def hear(self, number: int, message: Message) -> None:
        """Take a message of a rank or of its guard."""
        rank, now = self.ranks[number], time.monotonic()
        if "state" in message:
            rank.state, rank.what, rank.since = message["state"], message.get("what", ""), now - message.get("seconds", 0.0)
            rank.heard = now
            rank.here, rank.asked = None, 0.0
        if "here" in message:
            rank.here = message["here"]
        if "stopped" in message:
            rank.stopped, rank.since = message["stopped"], now
            if rank.stopped and rank.state == "busy":
                rank.state = "running"
        if "lines" in message:
            rank.lines = message["lines"]
        if "told" in message:
            rank.told = True
        if "raised" in message:
            self.blame(number, message["raised"])
        if "agree" in message:
            self._agree(number, message)
        if "gone" in message and rank.gone is None:
            rank.gone = message["gone"]
            if rank.state != "finishing" or not self.ended:
                self.blame(number, rank.gone)

    def blame(self, number: int, cause: str) -> None:
        """The first who is at fault is."""
        if self.fault is None and not self.ended:
            self.fault = {"rank": number, "cause": cause}
            self.news.append((None, {"fault": self.fault}))

    def decide(self) -> None:
        """Look who is waited for, and for how long."""
        if self.fault is None and all(r.state == "finishing" for r in self.ranks) and not self.ended:
            self.ended = True
            self.news.append((None, {"end": True}))
        if self.fault is not None and not self.over:
            hung = self.fault["rank"] if self.fault["cause"].startswith("hangs") else None
            if all(r.told or r.gone is not None or n == hung for n, r in enumerate(self.ranks)):
                self.over = True
                self.news.append((None, {"over": True}))
        if self.fault is not None or self.ended:
            return
        now = time.monotonic()
        if self.differ is not None:
            self._tell_apart(*self.differ)
            return
        for rank in self.ranks:
            if rank.state == "waiting" and now - rank.heard > WAITS:
                rank.state, rank.since = "running", rank.heard
        waiting = [(now - r.since, n) for n, r in enumerate(self.ranks) if r.state == "waiting"]
        if not waiting:
            return
        longest, who = max(waiting)
        late = [n for n, r in enumerate(self.ranks) if r.state != "waiting"]
        for_whom = f"while rank {who} waits in {self.ranks[who].what}"
        for number in late:
            rank = self.ranks[number]
            if rank.state == "finishing" and min(longest, now - rank.since) > FINISHED:
                self.blame(number, f"has finished its program {for_whom}")
        if longest < self.patience or any(self.ranks[n].state == "busy" and now - self.ranks[n].since < BUSY for n in late):
            return
        if not late:
            if min(waiting)[0] > self.patience:
                every = "; ".join(f"rank {n} in {r.what}" for n, r in enumerate(self.ranks))
                self.blame(who, f"waits, as all ranks do: {every}")
            return
        for number in late:
            rank = self.ranks[number]
            if now - rank.since < self.patience:
                continue
            if not rank.asked:
                rank.asked = now
                self.news.append((number, {"where": True}))
            elif rank.here is not None or now - rank.asked > ANSWER:
                self.blame(number, f"hangs{rank.here or ', and does not answer'}, {for_whom}")

    def _agree(self, number: int, message: Message) -> None:
        said = self.said.setdefault(message["agree"], {})
        said[number] = message
        others = [n for n, other in said.items() if "" not in (other["digest"], message["digest"])]
        apart = [n for n in others if said[n]["digest"] != message["digest"]]
        if self.differ is not None:  # whoever comes later hears of it, and of no agreement
            return
        if apart:
            first, second = sorted((min(apart), number))
            self.differ = first, second, time.monotonic()
            self.news += [(n, {"show": message["agree"]}) for n in (first, second)]
        elif len(said) == len(self.ranks):
            del self.said[message["agree"]]
            self.news.append((None, {"agreed": message["agree"]}))

    def _tell_apart(self, first: int, number: int, since: float) -> None:
        """Two ranks differ in what all must have alike: say where, if they answer in time."""
        a, b = self.ranks[first].lines, self.ranks[number].lines
        if a is not None and b is not None:
            self.blame(number, f"has another program than rank {first}: {differing(a, b)}")
        elif time.monotonic() - since > LINES:
            self.blame(number, f"has another program than rank {first}")


def differing(first: list[str], other: list[str]) -> str:
    """The first line in which two texts differ."""
    for number, (a, b) in enumerate(zip(first, other, strict=False), 1):
        if a != b:
            return f"line {number} is\n    {b.strip()}\n  and not\n    {a.strip()}"
    if len(first) == len(other):
        return "the texts are alike, but constants differ"
    number = min(len(first), len(other))
    longer, has = (other, "has") if len(other) > len(first) else (first, "lacks")
    return f"it {has} line {number + 1}\n    {longer[number].strip()}"


def how_it_ended(pid: int) -> str:
    """What Linux still knows of a process that nobody has waited for yet; else that it died."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        status = int(fields[-1]) if fields[0] in "ZX" else -1
    except (OSError, ValueError, IndexError):
        status = -1
    if status < 0:
        return "died"
    if number := status & 0x7F:
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = "unknown"
        return f"was killed by signal {number} ({name})"
    return f"ended with exit code {status >> 8}, and said nothing"


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped, as by SIGSTOP."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] in "Tt"
    except (OSError, IndexError):
        return False


class Guard:
    """One guard: its rank, and the hub, which in rank 0 is in this process."""

    def __init__(self, given: dict[str, Any]) -> None:
        self.number, self.size, self.pid, self.host = given["rank"], given["size"], given["pid"], given["host"]
        self.selector = selectors.DefaultSelector()
        self.rank = Line(socket.socket(fileno=given["control"]))
        self.memory = mmap.mmap(given["memory"], mmap.PAGESIZE)
        self.token = given["token"]
        self.hub = Hub(self.size, given["patience"]) if self.number == 0 else None
        self.to_hub: Line | None = None
        self.strangers: list[Line] = []
        self.watched: dict[int, int] = {}  # descriptors of processes on this machine -> their ranks
        self.pids = {self.number: self.pid}
        self.fault: Message | None = None
        self.fault_at = self.gone_at = 0.0  # when
        self.told = self.finished = self.stopped = False
        self.beat = 0.0
        self.selector.register(self.rank.socket, selectors.EVENT_READ, self._of_rank)
        self._watch(self.number, self.pid)

    # --- the way in -------------------------------------------------------------------------------------------------

    def listen(self, address: str) -> int:
        self.listener = socket.create_server((address, 0), backlog=max(128, self.size))
        self.listener.setblocking(False)
        self.selector.register(self.listener, selectors.EVENT_READ, self._of_stranger)
        return int(self.listener.getsockname()[1])

    def join(self, addresses: list[str], port: int, token: str) -> None:
        """Connect to the hub, by the first of its addresses at which it answers."""
        failed: Exception | None = None
        for address in addresses:
            try:
                connection = socket.create_connection((address, port), timeout=3)
                break
            except OSError as error:
                failed = error
        else:
            self._fail({"rank": 0, "cause": f"cannot be reached at {', '.join(addresses)}, port {port}: {failed}"})
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.to_hub = Line(connection)
        self.to_hub.send({"token": token, "rank": self.number, "pid": self.pid, "host": self.host})
        self.selector.register(connection, selectors.EVENT_READ, self._of_hub)

    # --- what comes -------------------------------------------------------------------------------------------------

    def _of_stranger(self) -> None:
        connection, _ = self.listener.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        line = Line(connection)
        self.selector.register(connection, selectors.EVENT_READ, lambda: self._of_guard(line))

    def _of_guard(self, line: Line) -> None:
        """The hub hears of another rank."""
        assert self.hub is not None
        for message in line.receive():
            if message.get("token") == self.token:
                number = message["rank"]
                self.hub.ranks[number].line = line
                self.pids[number] = message["pid"]
                if message["host"] == self.host:
                    self._watch(number, message["pid"])
                if self.fault is not None:
                    line.send({"fault": self.fault})
            else:
                number = next((n for n, r in enumerate(self.hub.ranks) if r.line is line), None)
                if number is not None:
                    self.hub.hear(number, message)
        if line.closed:
            self.selector.unregister(line.socket)
            line.socket.close()
            for number, rank in enumerate(self.hub.ranks):
                if rank.line is line and rank.gone is None:
                    self.hub.hear(number, {"gone": "died, or its machine did: its guard's connection is closed"})

    def _of_hub(self) -> None:
        assert self.to_hub is not None
        for message in self.to_hub.receive():
            self._from_hub(message)
        if self.to_hub.closed:
            self.selector.unregister(self.to_hub.socket)
            if not self.finished:
                self._fail({"rank": 0, "cause": "died, or its machine did: its guard's connection is closed"})

    def _from_hub(self, message: Message) -> None:
        if "fault" in message:
            self._fail(message["fault"])
            return
        if "end" in message:
            self.finished = True
        if "over" in message:
            self.fault_at = min(self.fault_at, time.monotonic() - LEAVE + OVER)
        if "where" in message and is_stopped(self.pid):
            self._tell({"here": ": its process is stopped (SIGSTOP)"})
        elif "beat" not in message:
            self.rank.send(message)

    def _of_rank(self) -> None:
        for message in self.rank.receive():
            if "told" in message:
                self.told = True
            if "hub" in message:
                self.join(**message["hub"])
            elif "listen" in message:
                self.rank.send({"port": self.listen(message["listen"])})
            else:
                self._tell(message)
        if self.rank.closed:
            self.selector.unregister(self.rank.socket)
            if not hasattr(os, "pidfd_open"):
                self._died(self.number)

    def _watch(self, number: int, pid: int) -> None:
        """Know at once when a process of this machine ends."""
        if not hasattr(os, "pidfd_open"):
            return
        try:
            descriptor = os.pidfd_open(pid)
        except OSError:
            self._died(number)
            return
        self.watched[descriptor] = number
        self.selector.register(descriptor, selectors.EVENT_READ, lambda: self._died(number, descriptor))

    def _died(self, number: int, descriptor: int | None = None) -> None:
        if descriptor is not None:
            self.selector.unregister(descriptor)
            os.close(descriptor)
        cause = how_it_ended(self.pids[number])
        if number == self.number:
            self.gone_at = time.monotonic()
            self._tell({"gone": cause})
        elif self.hub is not None:
            self.hub.hear(number, {"gone": cause})

    # --- what goes ---------------------------------------------------------------------------------------------------

    def _tell(self, message: Message) -> None:
        """Tell the hub."""
        if self.hub is not None:
            self.hub.hear(0, message)
        elif self.to_hub is not None:
            self.to_hub.send({**message, "rank": self.number})

    def _fail(self, fault: Message) -> None:
        if self.fault is None:
            self.fault, self.fault_at = fault, time.monotonic()
            self.memory[0:4] = (1).to_bytes(4, sys.byteorder)
            self.rank.send({"fault": fault})

    def _deliver(self) -> None:
        """The hub's news, to all guards or to one."""
        if self.hub is None:
            return
        self.hub.decide()
        news, self.hub.news = self.hub.news, []
        for number, message in news:
            for to, rank in enumerate(self.hub.ranks):
                if number in (None, to):
                    if to == 0:
                        self._from_hub(message)
                    elif rank.line is not None:
                        rank.line.send(message)

    def _lines(self) -> list[Line]:
        if self.hub is not None:
            return [r.line for r in self.hub.ranks if r.line is not None and not r.line.closed]
        return [self.to_hub] if self.to_hub is not None and not self.to_hub.closed else []

    def _keep_in_touch(self) -> None:
        """Heartbeats, and who has sent none for long."""
        now = time.monotonic()
        if now - self.beat < BEAT:
            return
        if (stopped := is_stopped(self.pid)) != self.stopped:
            self.stopped = stopped
            self._tell({"stopped": stopped})
        late = self.beat and now - self.beat > LOST  # this machine was asleep, or too busy: that is nobody else's fault
        self.beat = now
        for line in self._lines():
            line.send({"beat": True})
            if late:
                line.heard = now
            elif now - line.heard > LOST:
                if self.hub is None:
                    self._fail({"rank": 0, "cause": f"is lost: nothing was heard of its machine for {LOST:g} seconds"})
                else:
                    number = next(n for n, r in enumerate(self.hub.ranks) if r.line is line)
                    self.hub.blame(number, f"is lost: nothing was heard of its machine for {LOST:g} seconds")

    def run(self) -> None:
        while not self._is_done():
            for key, _ in self.selector.select(0.1):
                key.data()
            self._deliver()
            self._keep_in_touch()
            for line in (self.rank, *self._lines()):
                line.flush()
            self._end_in_time()

    def _end_in_time(self) -> None:
        now = time.monotonic()
        if self.fault is None:
            return
        if self.gone_at and not self.told:
            self.told = True
            if self.fault["rank"] != self.number:
                speak(self.number, self.fault)
        if not self.gone_at and now - self.fault_at > LEAVE:
            os.kill(self.pid, signal.SIGKILL)

    def _is_done(self) -> bool:
        now = time.monotonic()
        if not self.gone_at:
            return False
        if self.finished and self.fault is None:
            return True
        if self.fault is None:
            return now - self.gone_at > LOST  # no one to tell it
        if now - self.fault_at > LEAVE + 1:
            return True
        if self.hub is None:
            return self.to_hub is None or self.to_hub.closed
        return all(r.gone is not None or (r.line is None and n != 0) for n, r in enumerate(self.hub.ranks))


def speak(number: int, fault: Message) -> None:
    """Say for a rank why it ended."""
    text = f"\ngraphc.errors.DistributedError: rank {fault['rank']} {fault['cause']}\n  rank {number} was ended by the launcher\n"
    with contextlib.suppress(OSError):
        os.write(2, text.encode())


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN)
    Guard(json.loads(sys.argv[1])).run()


if __name__ == "__main__":
    main()
