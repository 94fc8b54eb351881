"""Ranks without MPI, for the tests of faults: python faulty.py FOLDER SIZE WHAT ..., where WHAT happens to the last rank.

Every rank of every case is forked from one process; its output goes to FOLDER/WHAT.RANK. Prints a line of JSON: for each case and
each rank, its exit code and the seconds after which it ended.
"""

from __future__ import annotations

import json
import os
import pickle
import signal
import sys
import time
from pathlib import Path
from typing import Any

from graphc.distributed.watch import Watch

PATIENCE = 2.0


class Files:
    """Ranks exchange by files of a folder."""

    def __init__(self, folder: Path, rank: int, size: int) -> None:
        self.folder, self.rank, self.size, self.count = folder, rank, size, 0

    def tell(self, name: str, value: Any = None) -> None:
        part = self.folder / f"part {name} {self.rank}"
        part.write_bytes(pickle.dumps(value))
        part.rename(self.folder / f"{name} {self.rank}")

    def is_there(self, name: str) -> bool:
        return all((self.folder / f"{name} {rank}").exists() for rank in range(self.size))

    def exchange(self, value: Any) -> list[Any]:
        self.count += 1
        self.tell(name := f"exchange {self.count}", value)
        while not self.is_there(name):
            time.sleep(0.005)
        return [pickle.loads((self.folder / f"{name} {rank}").read_bytes()) for rank in range(self.size)]


def step(files: Files, watch: Watch, number: int) -> None:
    files.tell(f"step {number}")

    def is_done() -> bool:
        time.sleep(0.01)
        return files.is_there(f"step {number}")

    watch.wait(is_done, f"all_reduce, exchange {number}")


def run(rank: int, size: int, folder: Path, what: str) -> None:
    files = Files(folder, rank, size)
    watch = Watch(rank, size, files.exchange, patience=PATIENCE)
    last = rank == size - 1
    step(files, watch, 0)
    lines = ["%0 = input() : f32[4]", "%1 = log(%0) : f32[4]" if last and what == "another graph" else "%1 = exp(%0) : f32[4]"]
    watch.agree("graphs", "".join(lines), lambda: lines)
    step(files, watch, 1)
    if last:
        happen(what, watch)
    elif what == "all wait":
        watch.wait(lambda: time.sleep(0.01) is not None, "receive, exchange 2")
    step(files, watch, 2)
    print("done")


def happen(what: str, watch: Watch) -> None:
    match what:
        case "raises":
            raise ValueError("no such file: 'x'")
        case "is killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "leaves":
            os._exit(3)
        case "exits":
            sys.exit(3)
        case "finishes":
            sys.exit()
        case "stops":
            os.kill(os.getpid(), signal.SIGSTOP)
        case "stops while it compiles":
            with watch.busy("compiling"):
                os.kill(os.getpid(), signal.SIGSTOP)
        case "sleeps":
            time.sleep(1000)
        case "computes":
            while True:
                pass
        case "is interrupted":
            signal.signal(signal.SIGINT, signal.default_int_handler)  # which a shell may have had ignored
            signal.raise_signal(signal.SIGINT)
        case "compiles":
            with watch.busy("compiling"):
                time.sleep(1.5 * PATIENCE)


def main() -> None:
    top, size, cases = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    begun = time.monotonic()
    processes: dict[int, tuple[str, int]] = {}
    for what in cases:
        folder = top / what
        folder.mkdir()
        for rank in range(size):
            pid = os.fork()
            if pid == 0:
                output = os.open(top / f"{what}.{rank}", os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
                os.dup2(output, 1)
                os.dup2(output, 2)
                return run(rank, size, folder, what)
            processes[pid] = what, rank
    ended: dict[str, dict[int, tuple[int, float]]] = {what: {} for what in cases}
    while processes:
        pid, status = os.wait()
        if pid in processes:
            what, rank = processes.pop(pid)
            ended[what][rank] = os.waitstatus_to_exitcode(status), time.monotonic() - begun
    print(json.dumps(ended))
    return None


if __name__ == "__main__":
    main()
