"""Kill ranks of a training at random moments: python tests/kill_ranks.py [--times 100] [--ranks 3] [--seed 0] [--mpiexec COMMAND]

Each time a training of some ranks (tests/distributed/training_rank.py) begins, and one of them, rank 0 too, gets a signal:
mostly SIGKILL, else SIGSEGV, SIGTERM, SIGABRT or SIGSTOP, at a moment of the start, of the training, or of the writing of a
checkpoint. Then

- all processes end within ten seconds, guards included,
- every other rank says which rank it was and what became of it (where ranks had found each other before),
- the last checkpoint is whole, and one rank fewer goes on from it (every tenth time).

Exit code 1 where one of these is not so.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SCRIPT = ROOT / "tests" / "distributed" / "training_rank.py"
LIMIT = 10.0  # seconds in which all must have ended
SIGNALS = (signal.SIGKILL,) * 6 + (signal.SIGSEGV, signal.SIGTERM, signal.SIGABRT, signal.SIGSTOP)


def launch(mpiexec: list[str], ranks: int, folder: Path, steps: int, output: Path) -> subprocess.Popen[bytes]:
    own = {k: v for k, v in os.environ.items() if k != "PATIENCE"}
    environment = {**own, "GRAPHC_NUM_THREADS": "1", "GRAPHC_COMPILERS": "1", "PYTHONPATH": str(ROOT), "PATIENCE": "6"}
    command = [*mpiexec, "-n", str(ranks), sys.executable, str(SCRIPT), str(folder), str(steps), "nothing"]
    with open(output, "wb") as file:
        return subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def guards(folder: Path) -> list[int]:
    """Guards of the ranks of a folder: each names its rank's process in its command."""
    pids = [p.read_text() for p in folder.glob("pid *")]
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_text()
            except OSError:
                continue
            if "guard.py" in command and any(f'"pid": {pid},' in command for pid in pids):
                found.append(int(entry.name))
    return found


def by_rank(said: str) -> dict[int, str]:
    """What each rank said. Launchers label what comes at once, which may be part of a line, and in the line of another rank."""
    texts: dict[int, str] = {}
    parts = re.split(r"\[(?:1,)?(\d+)\](?:<std\w+>:)? ?", said)
    for rank, text in zip(parts[1::2], parts[2::2], strict=True):
        texts[int(rank)] = texts.get(int(rank), "") + text
    return texts


def until(is_so: object, seconds: float) -> bool:
    assert callable(is_so)
    stop = time.monotonic() + seconds
    while time.monotonic() < stop:
        if is_so():
            return True
        time.sleep(0.01)
    return bool(is_so())


def once(number: int, chance: random.Random, ranks: int, mpiexec: list[str], folder: Path, counts: Counter[str]) -> list[str]:
    """One training and one signal; what went wrong."""
    wrong: list[str] = []
    output = folder / "output"
    victim, early = chance.randrange(ranks), chance.random() < 0.1
    what = signal.SIGKILL if early else chance.choice(SIGNALS)
    training = launch(mpiexec, ranks, folder, 10**9, output)
    sign = "pid" if early else "trains"
    if not until(lambda: all((folder / f"{sign} {r}").exists() and (folder / f"pid {r}").read_text() for r in range(ranks)), 60):
        training.kill()
        return [f"the training does not begin:\n{output.read_text()}"]
    time.sleep(chance.uniform(0, 0.5 if early else 2))
    pids = [int((folder / f"pid {r}").read_text()) for r in range(ranks)]
    watched = all((folder / f"trains {r}").exists() for r in range(ranks))
    begun = time.monotonic()
    os.kill(pids[victim], what)
    others = [pid for r, pid in enumerate(pids) if r != victim]
    ended = until(lambda: not any(map(is_alive, others)), 2 * LIMIT)
    took = time.monotonic() - begun
    all_ended = until(lambda: training.poll() is not None and not guards(folder), 2 * LIMIT)
    took_all = time.monotonic() - begun
    if not ended or not all_ended:
        counts["hangs"] += 1
        wrong.append(f"not all have ended after {took_all:.1f} s")
        training.kill()
        for pid in (*pids, *guards(folder)):
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)
    elif took > LIMIT:
        wrong.append(f"ended after {took:.1f} s")
    said = output.read_text(errors="replace")
    if watched:
        counts["in the training"] += 1
        killed = f"rank {victim} was killed by signal {int(what)} ({what.name})"
        name = f"rank {victim} hangs" if what == signal.SIGSTOP else killed
        unnamed = "" if what == signal.SIGSTOP else f"rank {victim} died"
        texts = by_rank(said)
        for rank in range(ranks):
            if rank != victim:
                told = texts.get(rank, "")
                if f"DistributedError: {name}" in told:
                    counts["rank and cause told"] += 1
                elif unnamed and f"DistributedError: {unnamed}" in told:
                    counts["rank told, its signal not known"] += 1
                else:
                    wrong.append(f"rank {rank} did not say: {name}")
                counts["told by its guard"] += "was ended by the launcher" in said
    else:
        counts["at the start"] += 1
    if training.returncode == 0:
        wrong.append("exit code 0")
    from graphc.models.checkpoint import Checkpoints

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            last = Checkpoints(folder).latest()
        except Warning as problem:
            wrong.append(str(problem))
            last = None
    counts["checkpoints, all whole"] += len([p for p in folder.iterdir() if p.name.isdigit()])
    if last is not None and number % 10 == 0 and not wrong:
        more = folder / "more"
        steps = 20 * (last.step // 20 + 1)
        again = launch(mpiexec, ranks - 1, folder, steps, more)
        if again.wait(60) != 0 or f"from {last.step} to {steps}: " not in more.read_text():
            wrong.append(f"does not go on: {more.read_text()}")
        counts["gone on with a rank fewer"] += 1
    times = f"{took:.2f} s, with mpiexec and guards {took_all:.2f} s"
    print(f"{number}: {what.name} to rank {victim} of {ranks}{'' if watched else ', at the start'}: {times}", flush=True)
    counts["longest, ms"] = max(counts["longest, ms"], round(1000 * took))
    counts["longest with all, ms"] = max(counts["longest with all, ms"], round(1000 * took_all))
    if wrong:
        print("\n".join(f"  WRONG: {line}" for line in wrong) + f"\n{said}", flush=True)
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description="Kill ranks at random moments.")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--ranks", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mpiexec", help="the launcher, with what labels each line with its rank", default="")
    given = parser.parse_args()
    beside = Path(sys.executable).parent / "mpiexec"
    found = str(beside) if beside.exists() else shutil.which("mpiexec") or "mpiexec"
    mpiexec = shlex.split(given.mpiexec) or [found, "-prepend-rank"]
    chance, counts, bad = random.Random(given.seed), Counter[str](hangs=0), 0
    for number in range(given.times):
        with tempfile.TemporaryDirectory() as folder:
            bad += bool(once(number, chance, given.ranks, mpiexec, Path(folder), counts))
    print(f"{given.times} times, {bad} not as it should be; " + "; ".join(f"{key}: {n}" for key, n in counts.items()))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
