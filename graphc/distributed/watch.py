"""The rank's side of faults: what it tells its guard, what the guard tells it, and how it ends.

    watch = Watch(rank, size, exchange)     every rank at once; exchange(x) gives the list of all ranks' x
    with watch.waiting("all_reduce"): ...   around what needs the others
    with watch.busy("compiling"): ...       around what may take long
    watch.agree("graph", digest, make)      all ranks must have the same
    watch.check()                           raises DistributedError where somebody is at fault

From the start on an exception that nobody catches is told to the others, and the end of the program waits for theirs: nobody is
left alone in MPI_Finalize.
"""

from __future__ import annotations

import atexit
import ctypes
import json
import mmap
import os
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from graphc.errors import PACKAGE, DistributedError, Where, caller

PATIENCE = 6.0  # seconds that others wait for a rank that is neither compiling nor writing files
SLICE = 0.05  # seconds between two looks at what the guard has said
SOON = 1.0  # seconds of a wait after which it is told: most are over by then
AGAIN = 0.4  # seconds after which it is told again: a wait that is over is not told of
GRACE = 3.0  # seconds after a fault in which the main thread raises it, before the process ends without
LINGER = 1.0, 4.0  # seconds that a rank that has told its error stays for others that have not; the same, of the one at fault

Exchange = Callable[[Any], Sequence[Any]]


class Watch:
    """One rank among others: see the module."""

    def __init__(
        self, rank: int, size: int, exchange: Exchange, patience: float | None = None,
        progress: Callable[[], object] | None = None,
    ) -> None:  # fmt: skip
        self.rank, self.size, self.process = rank, size, os.getpid()
        self.patience = float(os.environ.get("GRAPHC_PATIENCE", PATIENCE)) if patience is None else patience
        self.progress = progress  # lets MPI go on while this rank waits for the end
        self.fault: dict[str, Any] | None = None
        self.raised = self.told = self.left = False
        self._news = threading.Condition()
        self._agreed: set[str] = set()
        self._asked: dict[str, int] = {}
        self._lines: dict[str, Callable[[], Sequence[str]]] = {}
        self._told_of = 0.0  # when others were last told of a wait
        self._ended = self._over = self._lost = False
        self._port: int | None = None
        self._sending = threading.Lock()
        self._main = threading.main_thread().ident
        self._memory = self._start(exchange)
        threading.Thread(target=self._listen, name="graphc faults", daemon=True).start()
        self._join(exchange)
        self._hook, sys.excepthook = sys.excepthook, self._uncaught
        atexit.register(self.leave)

    # --- the start ---------------------------------------------------------------------------------------------------

    def _start(self, exchange: Exchange) -> mmap.mmap:
        """The guard of this rank, and the memory shared with it."""
        self._host = f"{socket.gethostname()} {_boot()}"
        self._hosts = list(exchange(self._host))
        self._token = secrets.token_hex(16)
        own, given = socket.socketpair()
        with tempfile.TemporaryFile() as file:
            file.truncate(mmap.PAGESIZE)
            memory = mmap.mmap(file.fileno(), mmap.PAGESIZE)
            settings = {
                "rank": self.rank, "size": self.size, "pid": self.process, "host": self._host, "patience": self.patience,
                "control": given.fileno(), "memory": file.fileno(), "token": self._token,
            }  # fmt: skip
            command = [sys.executable, "-I", "-S", str(Path(__file__).with_name("guard.py")), json.dumps(settings)]
            self._guard = subprocess.Popen(
                command, pass_fds=(given.fileno(), file.fileno(), *_launchers()), start_new_session=True, stdin=subprocess.DEVNULL
            )
        given.close()
        self._socket = own
        return memory

    def _join(self, exchange: Exchange) -> None:
        """Tell all guards where the hub is."""
        alone = len(set(self._hosts)) == 1
        if self.rank == 0:
            self._send({"listen": "127.0.0.1" if alone else ""})
            self._until(lambda: self._port is not None)
        place = {"addresses": ["127.0.0.1"] if alone else _addresses(), "port": self._port, "token": self._token}
        place = exchange(place)[0]
        if self.rank != 0:
            if self._hosts[0] == self._host:
                place = {**place, "addresses": ["127.0.0.1", *place["addresses"]]}
            self._send({"hub": place})

    # --- what is told ------------------------------------------------------------------------------------------------

    @property
    def flag(self) -> int:
        """The address of an int32 that becomes 1 when somebody is at fault: for waits of native code."""
        return ctypes.addressof(ctypes.c_int32.from_buffer(self._memory))

    def tell(self, state: str, what: str = "") -> None:
        """Say what this rank does: "running", "waiting", "busy"."""
        self._send({"state": state, "what": what})

    @contextmanager
    def busy(self, what: str) -> Iterator[None]:
        """What may take long, without this rank being taken for one that hangs."""
        self.tell("busy", what)
        try:
            yield
        finally:
            self.tell("running")

    def wait(self, is_done: Callable[[], bool], what: str) -> None:
        """Wait until something that needs other ranks is done; DistributedError where one is at fault.

        is_done: asked again and again; it may take part of a second each time.
        """
        begun = time.monotonic()
        while not is_done():
            self.look(what, time.monotonic() - begun)

    def look(self, what: str, seconds: float) -> None:
        """Called by a wait again and again, with its seconds so far: tell of it, and raise DistributedError if it is to end."""
        self.check()
        now = time.monotonic()
        if seconds > SOON and now - self._told_of > AGAIN:
            self._told_of = now
            self._send({"state": "waiting", "what": what, "seconds": seconds})

    def hear_first(self) -> None:
        """MPI has failed: what the guards know of it is about to come."""
        with self._news:
            self._news.wait_for(lambda: self.fault is not None, SOON)

    def check(self) -> None:
        """Raise DistributedError if somebody is at fault."""
        if self.fault is not None or self._lost:
            self.raised = True
            raise self.error()

    def error(self) -> DistributedError:
        """The error that names the rank at fault, and the cause."""
        fault = self.fault or {"rank": self.rank, "cause": "has lost its guard, the process that speaks with the others"}
        hints = {"hangs": "GRAPHC_PATIENCE=60 in the environment waits a minute for a rank that is slow"}
        hint = next((text for word, text in hints.items() if fault["cause"].startswith(word)), None)
        where = caller() if threading.get_ident() == self._main else None
        return DistributedError(f"rank {fault['rank']} {fault['cause']}", where=where, hint=hint, rank=fault["rank"])

    def agree(self, what: str, digest: str, make: Callable[[], Sequence[str]]) -> None:
        """Wait until all ranks have given the same digest of something, or ""; DistributedError where one has given another, with
        the first that differs of the lines that `make` gives.
        """
        count = self._asked[what] = self._asked.get(what, 0) + 1
        name = f"{what} {count}"
        self._lines[name] = make
        self._send({"agree": name, "digest": digest})

        def is_done() -> bool:
            with self._news:
                return self._news.wait_for(lambda: name in self._agreed or self.fault is not None, SLICE) and name in self._agreed

        self.wait(is_done, f"the comparison of {what}")
        self._agreed.discard(name)
        del self._lines[name]

    # --- the end -----------------------------------------------------------------------------------------------------

    def _uncaught(self, kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        """An exception that nobody caught: the traceback, and a word to the others."""
        if os.getpid() == self.process and not isinstance(error, DistributedError):
            self._send({"raised": _said(kind, error, trace)})
        self._hook(kind, error, trace)
        if os.getpid() == self.process:
            _flush()
            self.told = True
            self._send({"told": True})

    def leave(self) -> None:
        """The end of the program: wait for the others, or end without MPI_Finalize where somebody is at fault."""
        if self.left or os.getpid() != self.process:
            return
        self.left = True
        sys.excepthook = self._hook
        self._send({"state": "finishing"})
        while not (self._ended or self.fault or self._lost):
            if self.progress is not None:
                self.progress()
            with self._news:
                self._news.wait_for(lambda: self._ended or self.fault or self._lost, SLICE)
        if self._ended:
            return
        self._end()

    def retire(self) -> None:
        """Let others take over: this rank is not waited for any more."""
        self.left = True
        sys.excepthook = self._hook
        self._send({"state": "finishing"})

    def _end(self) -> None:
        """End with the error said, when others have said theirs: a launcher that sees one end ends them all."""
        if not self.told:
            self.told = True
            here = "" if threading.get_ident() == self._main else f"\n  this rank was{self._here()}"
            _flush()
            os.write(2, f"graphc.errors.DistributedError: {self.error()}{here}\n".encode())
            self._send({"told": True})
        _flush()
        with self._news:
            own = self.fault is not None and self.fault["rank"] == self.rank
            self._news.wait_for(lambda: self._over or self._lost, LINGER[own])
        os._exit(1)

    # --- what is heard -----------------------------------------------------------------------------------------------

    def _listen(self) -> None:
        """The thread that hears the guard."""
        rest = b""
        while True:
            try:
                more = self._socket.recv(65536)
            except OSError:
                more = b""
            if not more:
                break
            *lines, rest = (rest + more).split(b"\n")
            for line in lines:
                self._hear(json.loads(line))
        with self._news:
            self._lost = not self._ended
            self._news.notify_all()

    def _hear(self, message: dict[str, Any]) -> None:
        if "where" in message:
            self._send({"here": self._here()})
            return
        if "show" in message:
            make = self._lines.get(message["show"])
            self._send({"lines": [] if make is None else list(make())})
            return
        with self._news:
            if "port" in message:
                self._port = message["port"]
            if "agreed" in message:
                self._agreed.add(message["agreed"])
            if "end" in message:
                self._ended = True
            if "over" in message:
                self._over = True
            if "fault" in message and self.fault is None:
                self.fault = message["fault"]
                threading.Thread(target=self._insist, name="graphc end", daemon=True).start()
            self._news.notify_all()

    def _insist(self) -> None:
        """End the process where its main thread does not see to it."""
        time.sleep(0.2 if self.fault is not None and self.fault["rank"] == self.rank else GRACE)
        if not (self.raised or self.told):
            self._end()

    def _here(self) -> str:
        """Where the main thread is, in the user's source if any of it is on the stack."""
        frame = sys._current_frames().get(self._main or 0)
        while frame is not None and frame.f_back is not None and frame.f_code.co_filename.startswith((PACKAGE, "<frozen")):
            frame = frame.f_back
        return "" if frame is None else f" in {Where(frame.f_code.co_filename, frame.f_lineno)}"

    def _until(self, is_so: Callable[[], bool]) -> None:
        with self._news:
            if not self._news.wait_for(lambda: is_so() or self._lost, 30):
                raise DistributedError("the guard of this rank does not start", rank=self.rank)

    def _send(self, message: dict[str, Any]) -> None:
        with self._sending:
            try:
                self._socket.sendall(json.dumps(message).encode() + b"\n")
            except OSError:
                self._lost = not self._ended


def _said(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """An exception, and the user's line at which it was raised, as others are told."""
    if issubclass(kind, KeyboardInterrupt):
        return "was interrupted (Ctrl-C)"
    frames = [f for f in traceback.extract_tb(trace) if not f.filename.startswith(PACKAGE)]
    message = traceback.format_exception_only(kind, error)[-1].strip()
    if not frames:
        return f"raised {message}"
    return f"raised {message}\n  there: {Where(frames[-1].filename, frames[-1].lineno or 0)}"


def _boot() -> str:
    """What tells this machine from others of its name, containers included."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""


def _addresses() -> list[str]:
    """Under which others may reach this machine, its name first."""
    name = socket.gethostname()
    found = [name]
    with suppress(OSError):
        found += [str(info[4][0]) for info in socket.getaddrinfo(name, None, socket.AF_INET, socket.SOCK_STREAM)]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, suppress(OSError):
        probe.connect(("192.0.2.1", 9))  # sends nothing: the system says by which address it would (RFC 5737)
        found.append(str(probe.getsockname()[0]))
    return list(dict.fromkeys(found))


def _launchers() -> tuple[int, ...]:
    """The descriptors by which a launcher sees that a rank has ended."""
    given = os.environ.get("PMI_FD", "")
    if not given.isdigit():
        return ()
    try:
        os.fstat(int(given))
    except OSError:
        return ()
    return (int(given),)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()


__all__ = ["Watch"]
