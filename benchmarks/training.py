"""Measure training and inference through layers against the peers: python benchmarks/training.py [--json F]

    --only NAMES          rows whose name contains one of these; with --json they replace the file's rows
    --contenders NAMES    of graphc jax torch torch.compile onnxruntime; all by default
    --threads N ...       threads of every contender, each number in turn (1 2)
    --turns N             how often each contender is timed (4)
    --busy                one thread alone, and by its processor time: where others use the machine

As in `benchmarks/peers.py`, every contender runs in a process of its own, in turns with the others, and results are compared
before anything is timed. The figure of a peer is its median time over graphc's, of one run: over 1 means that graphc is ahead.
"""

from __future__ import annotations

import argparse
import datetime
import json
import platform
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import report
from benchmarks.conductor import Conductor
from benchmarks.peers import cpu
from benchmarks.workloads import BANDWIDTH, PEAK
from benchmarks.workloads.layers import ROWS
from graphc.timing import load_note

PEERS = ("jax", "torch", "torch.compile", "onnxruntime")
_TITLES = ["workload", "threads", "graphc", "a second", *PEERS, "best peer", "ratio", "of limit"]
COUNTED = {row.name: (row.workload.count, row.workload.counted) for row in ROWS}


def cells(row: dict[str, Any]) -> list[str]:
    """Workload, threads, graphc, how many a second, every peer, the best peer, ratio, share of the limit."""
    name, *others, best, ratio, _, limit = report.cells(row, PEERS)
    own, (count, counted) = row["figures"].get("graphc"), COUNTED[row["name"]]
    rate = f"{count / own:,.0f} {counted}" if own else ""
    threads = f"{row['threads']}{' busy' if row['busy'] else ''}"
    return [name, threads, others[0], rate, *others[1:], best, ratio, limit]


def table(figures: dict[str, Any]) -> str:
    """The rows as Markdown."""
    days = sorted({row["date"][:10] for row in figures["rows"]})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    body = [_TITLES, ["---", "---:", "---:", "---:", *["---:"] * len(PEERS), "---", "---:", "---:"], *map(cells, figures["rows"])]
    machine = figures["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    said = f"{machine['cpu']}; Python {machine['python']}, {versions}. Measured {when}; wanted is a ratio of {ROWS[0].wanted:g}."
    return "\n".join([said, "", *(f"| {' | '.join(line)} |" for line in body)])


def save(file: Path | None, versions: dict[str, str], measured: dict[tuple[str, int], dict[str, Any]]) -> None:
    """Write the figures, in the order of the rows; rows that there are no more are left out."""
    if file is not None:
        kept = [measured[r.name, n] for r in ROWS for n in (1, 2) if (r.name, n) in measured]
        machine = {"cpu": cpu(), "python": platform.python_version(), "versions": versions}
        file.write_text(json.dumps({"machine": machine, "rows": kept}, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description="Training and inference through layers, against the peers.")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="rows whose name contains one of these")
    parser.add_argument("--contenders", nargs="+", default=["graphc", *PEERS], choices=["graphc", *PEERS], metavar="NAME")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--busy", action="store_true", help="one thread, and its processor time: where others use the machine")
    parser.add_argument("--patience", type=float, default=150.0, help="seconds that building may take")
    given = parser.parse_args()
    rows = [r for r in ROWS if not given.only or any(text.lower() in r.name.lower() for text in given.only)]
    if not rows:
        parser.error(f"no row's name contains {' or '.join(given.only)}")
    measured: dict[tuple[str, int], dict[str, Any]] = {}
    versions: dict[str, str] = {}
    if given.json is not None and given.json.exists():
        before = json.loads(given.json.read_text(encoding="utf-8"))
        measured = {(r["name"], r["threads"]): r for r in before["rows"]}
        versions = before["machine"]["versions"]
    if note := load_note():
        print(note)
    for threads in [1] if given.busy else given.threads:
        with Conductor(given.contenders, threads, given.turns, 0.05, given.patience, given.busy) as conductor:
            limits = conductor.limits(PEAK, BANDWIDTH, ("graphc", "numpy"))
            for row in rows:
                found = report.judge(conductor.measure(row), limits)
                found |= {"threads": threads, "busy": given.busy, "date": datetime.datetime.now().isoformat(timespec="seconds")}
                measured[row.name, threads] = found
                print(" | ".join(cells(found)), flush=True)
                for name, why in found["notes"].items():
                    if why not in ("not served", "not installed"):
                        print(f"    {name}: {why}")
                versions |= conductor.versions
                save(given.json, versions, measured)
    return 0


if __name__ == "__main__":
    sys.exit(main())
