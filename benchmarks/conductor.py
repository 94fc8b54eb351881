"""Contenders in processes of their own, of which one works at a time.

Thread pools wait for more work by spinning, OpenBLAS' for about a tenth of a second, and two pools in one process share its
processors. So each contender has a process, and every turn begins with a rest in which the last one's threads fall asleep. What
is built may be built at the same time: only turns are timed.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import Array, Row, Workload, difference

ROOT = Path(__file__).parent.parent
REST = 0.15  # seconds before a turn

Figures = dict[str, Any]  # of one row, as it stands in the JSON


def environment(threads: int) -> dict[str, str]:
    """Every contender's own setting for the number of threads; and OpenBLAS' kernels for AVX-512 where the processor has it,
    since it takes others on processors that it does not know. Python keeps compiled modules, as where packages are installed."""
    names = ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "NUMEXPR_MAX", "NUMBA", "GRAPHC")
    made = {f"{name}_NUM_THREADS": str(threads) for name in names} | {"NUMEXPR_MAX_THREADS": str(threads)}
    made["PYTHONDONTWRITEBYTECODE"] = ""
    made |= {"PYTENSOR_FLAGS": "floatX=float32", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    cpus = Path("/proc/cpuinfo")
    if cpus.exists() and "avx512f" in cpus.read_text(encoding="utf-8"):
        made["OPENBLAS_CORETYPE"] = "SkylakeX"
    return made


def caches(folder: Path) -> dict[str, str]:
    """Where contenders keep compiled code, so that it can be cold or warm."""
    return {
        "GRAPHC_CACHE_DIR": f"{folder}/graphc", "JAX_COMPILATION_CACHE_DIR": f"{folder}/jax",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0", "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        "TORCHINDUCTOR_CACHE_DIR": f"{folder}/torch",
    }  # fmt: skip


class Late(Exception):
    """A contender took longer than it may."""


class Contender:
    """A process that serves one contender."""

    def __init__(self, name: str, threads: int, extra: Mapping[str, str] | None = None) -> None:
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", name], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL, env={**os.environ, **environment(threads), **(extra or {})}, cwd=ROOT, bufsize=0,
        )  # fmt: skip
        if threads < (os.cpu_count() or 1) and hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(self.process.pid, sorted(os.sched_getaffinity(0))[:threads])  # jax has no setting of its own
        self.version = ""

    def __enter__(self) -> Contender:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()

    def send(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(request).encode() + b"\n")

    def receive(self, patience: float) -> dict[str, Any]:
        """The answer. Raises Late where none comes in time, RuntimeError where it is an error or the process has ended."""
        assert self.process.stdout is not None
        stop, found = time.monotonic() + patience, b""
        while not found.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, stop - time.monotonic()))
            if not ready:
                raise Late
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            if not part:
                raise RuntimeError(f"the process ended with {self.process.wait()}")
            found += part
        reply: dict[str, Any] = json.loads(found)
        if "error" in reply:
            raise RuntimeError(reply["error"])
        return reply

    def ask(self, patience: float, **request: Any) -> dict[str, Any]:
        self.send(**request)
        return self.receive(patience)


class Conductor:
    """Measures rows. `patience` is the time that building may take; busy: calls are timed by the processor, for one thread."""

    def __init__(
        self, contenders: Sequence[str], threads: int, turns: int, turn: float, patience: float, busy: bool = False
    ) -> None:
        self.busy = busy
        self.names, self.threads, self.turns, self.turn, self.patience = tuple(contenders), threads, turns, turn, patience
        self.alive: dict[str, Contender] = {}
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.folder = tempfile.TemporaryDirectory()

    def __enter__(self) -> Conductor:
        return self

    def __exit__(self, *_: object) -> None:
        for contender in self.alive.values():
            contender.__exit__()
        self.folder.cleanup()

    def measure(self, row: Row) -> Figures:
        """The figures of a row: seconds or bytes for each contender, or in `notes` the reason why it has none."""
        return self._measure(row, self.names)

    def _measure(self, row: Row, wanted: Sequence[str]) -> Figures:
        figures: Figures = {"name": row.name, "kind": row.kind, "wanted": row.wanted, "at_most": row.at_most}
        notes = {n: "not installed" for n in row.contenders if n in wanted and not self._installed(n)}
        names = [n for n in row.contenders if n in wanted and n not in notes]
        notes |= {n: "not served" for n in wanted if n not in row.contenders}
        measure = {"call": self._calls, "growth": self._growth}.get(row.kind, self._fresh)
        found = measure(row, names, notes)
        return {**figures, **found, "notes": notes, "flops": row.workload.flops, "bytes": row.workload.bytes}

    def limits(self, peak: Workload, bandwidth: Workload, names: Sequence[str] | None = None) -> dict[str, float]:
        """FLOPs and bytes a second: the best sample of all contenders at each, or of these; two are always there."""
        best = {}
        for key, workload, amount in (("flops_per_s", peak, peak.flops), ("bytes_per_s", bandwidth, bandwidth.bytes)):
            figures = self._measure(Row(workload), names or ("graphc", "numpy", *self.names))
            best[key] = amount / min(figures["least"].values())
        return best

    # --- one kind of figure each ------------------------------------------------------------------------------------

    def _calls(self, row: Row, names: list[str], notes: dict[str, str]) -> Figures:
        ready = self._built(row, names, notes)
        differences = self._compared(row, ready, notes)
        samples: dict[str, list[float]] = {n: [] for n in ready if n not in notes}
        for number in range(self.turns):
            order = list(samples)
            for name in order[number % len(order) :] + order[: number % len(order)] if order else ():
                time.sleep(REST)
                try:
                    asked = self.alive[name].ask(60 + self.patience, do="turn", seconds=self.turn, busy=self.busy)
                    samples[name] += asked["samples"]
                except (Late, RuntimeError) as error:
                    self._lost(name, error, notes)
                    del samples[name]
        medians = {n: statistics.median(s) for n, s in samples.items()}
        spread = {n: float(np.subtract(*np.percentile(s, [75, 25]))) / medians[n] for n, s in samples.items()}
        least = {n: min(s) for n, s in samples.items()}
        return {
            "figures": medians,
            "least": least,
            "spread": spread,
            "differences": differences,
            "tolerance": row.workload.tolerance,
        }

    def _built(self, row: Row, names: Sequence[str], notes: dict[str, str]) -> dict[str, Path]:
        """The file of results of each contender that could build the row, all at the same time."""
        files = {n: Path(self.folder.name) / f"{n}.npz" for n in names}
        for name, file in files.items():
            self.alive[name].send(do="build", row=row.workload.name, save=str(file))
        stop = time.monotonic() + self.patience
        for name in list(files):
            try:
                self.alive[name].receive(stop - time.monotonic())
            except (Late, RuntimeError) as error:
                self._lost(name, error, notes)
                del files[name]
        return files

    def _compared(self, row: Row, files: Mapping[str, Path], notes: dict[str, str]) -> dict[str, float]:
        """How far each contender's results are from the first one's, which is graphc where it has any."""
        found: dict[str, float] = {}
        want: list[Array] | None = None
        for name, file in files.items():
            with np.load(file) as saved:
                got = [saved[key] for key in saved.files]
            file.unlink()
            if want is None:
                want = got
                continue
            found[name] = difference(want, got)
            if not found[name] <= row.workload.tolerance:
                notes[name] = f"differs by {found[name]:.1e}"
        return found

    def _fresh(self, row: Row, names: list[str], notes: dict[str, str]) -> Figures:
        """New processes: three for short times, of which the median counts, one where it takes long."""
        medians: dict[str, float] = {}
        for name in names:
            found: list[float] = []
            start = time.monotonic()
            while name not in notes and len(found) < 3 and (not found or time.monotonic() - start < 10):
                kept = Path(self.folder.name) / re.sub(r"\W", "", name + row.workload.name)
                if row.kind == "cold":
                    shutil.rmtree(kept, ignore_errors=True)
                elif not kept.exists():  # the row on the cold start has left them if it was measured
                    self._process(row, name, kept, notes)
                found += self._process(row, name, kept, notes)
            if name not in notes:
                medians[name] = statistics.median(found)
        return {"figures": medians}

    def _process(self, row: Row, name: str, kept: Path, notes: dict[str, str]) -> list[float]:
        """One figure of one process, which has its caches in a folder."""
        time.sleep(REST)
        kept.mkdir(mode=0o700, exist_ok=True)
        with Contender(name, self.threads, caches(kept)) as process:
            try:
                process.ask(60, do="import")
                reply = process.ask(self.patience, do="build", row=row.workload.name)
                if row.kind not in ("memory", "added"):
                    return [reply["built" if row.kind == "start" else "seconds"]]
                process.ask(self.patience, do="turn", seconds=0.5)
                return [process.ask(10, do="peak")[row.kind]]
            except (Late, RuntimeError) as error:
                notes[name] = self._reason(error)
                return []

    def _growth(self, row: Row, names: list[str], notes: dict[str, str]) -> Figures:
        first, calls = {}, {}
        for name in names:
            time.sleep(REST)
            with tempfile.TemporaryDirectory() as folder, Contender(name, self.threads, caches(Path(folder))) as process:
                try:
                    process.ask(60, do="import")
                    first[name] = process.ask(self.patience, do="build", row=row.workload.name)["seconds"]
                    calls[name] = statistics.median(process.ask(60, do="turn", seconds=0.3)["samples"])
                except (Late, RuntimeError) as error:
                    notes[name] = self._reason(error)
        return {"figures": first, "calls": calls}

    # --- processes --------------------------------------------------------------------------------------------------

    def _installed(self, name: str) -> bool:
        if name not in self.alive and name not in self.missing:
            contender = Contender(name, self.threads)
            reply = contender.ask(60, do="import")
            if "missing" in reply:
                self.missing[name] = reply["missing"]
                contender.__exit__()
            else:
                self.alive[name], self.versions[name] = contender, reply["version"]
        return name in self.alive

    def _lost(self, name: str, error: Exception, notes: dict[str, str]) -> None:
        """Say why, and end the process where it is stuck or gone; the next row starts another."""
        notes[name] = self._reason(error)
        if isinstance(error, Late) or self.alive[name].process.poll() is not None:
            self.alive.pop(name).__exit__()

    def _reason(self, error: Exception) -> str:
        return f"over {self.patience:.0f} s" if isinstance(error, Late) else f"error: {error}"
