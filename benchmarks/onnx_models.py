"""Measure models that others trained against onnxruntime: python benchmarks/onnx_models.py [--json F]

    --folder F       where the models are, or are put by pip (a temporary folder)
    --only NAMES     models whose name contains one of these; with --json they replace the file's rows
    --threads N ...  threads of both, each number in turn (1 2)
    --kinds KIND ... of call, free (a call of the program that takes every size), cold, warm, start; all by default
    --turns N        how often each contender is timed (4)
    --busy           one thread alone, and calls by its processor time: where others use the machine

As in `benchmarks/peers.py`, both run in processes of their own, in turns, and results are compared before anything is timed. A
model is read with the sizes of its inputs, and once more with its sizes left open. The others are of the file as it is, in new
processes that have imported all they need: cold and warm are reading, compiling and the first call, without and with what an
earlier process has left in the cache, start is warm without the call; of onnxruntime making a session, and its first call.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import os
import platform
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import report
from benchmarks.conductor import Conductor
from benchmarks.peers import cpu
from benchmarks.workloads import BANDWIDTH, PEAK, onnx_models
from graphc.timing import load_note

KINDS = ("call", "free", "cold", "warm", "start")
_FREE = ", any size"


def table(figures: dict[str, Any]) -> str:
    """The rows as Markdown: a line for each model."""
    rows = {(r["name"], r["kind"], r["threads"]): r for r in figures["rows"]}
    names = [m.name for m in onnx_models.MODELS if (m.name, "call", 1) in rows]
    machine = figures["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    days = sorted({r["date"][:10] for r in rows.values()})
    busy = " One thread, and its processor time, on a machine that others used." if any(r["busy"] for r in rows.values()) else ""
    lines = [f"{machine['cpu']}; {versions}. Measured {' to '.join(sorted({days[0], days[-1]}))}.{busy}", ""]
    body = [
        ["model", "input", "differs by", "1 thread", "ratio", "of limit", "2 threads", "ratio", "of limit", "any size, ratio",
         "first call, cold", "warm", "ratio, warm", "until the first call, warm", "over a session's"]
    ]  # fmt: skip
    for m in onnx_models.MODELS:
        if m.name in names:
            one, two, free = rows[m.name, "call", 1], rows.get((m.name, "call", 2)), rows.get((m.name + _FREE, "call", 1))
            cold, warm, start = (rows.get((m.name + _FREE, kind, 1)) for kind in ("cold", "warm", "start"))
            size = "x".join(map(str, m.sizes[0])) if isinstance(m.sizes[0], tuple) else str(m.sizes[0])
            cells = [m.name, size, f"{one['differences'].get('onnxruntime', math.nan):.1e}", *_timed(one), *_timed(two)]
            cells += [_ratio(free), _seconds(cold), _seconds(warm), _ratio(warm), _seconds(start), _inverse(start)]
            body.append(cells)
    there = [i for i in range(len(body[0])) if any(line[i] for line in body[1:])]  # columns of which something is measured
    lines += [f"| {' | '.join(line[i] for i in there)} |" for line in body]
    lines.insert(3, "|---|---|" + "---:|" * (len(there) - 2))
    for threads in (1, 2):
        ratios = [rows[n, "call", threads]["ratio"] for n in names if rows.get((n, "call", threads), {}).get("ratio")]
        if ratios:
            mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
            lines += [""] if threads == 1 else []
            lines.append(f"Geometric mean of the ratios on {threads} thread{'s' if threads > 1 else ''}: {report.two(mean)}.")
    return "\n".join(lines)


def _timed(row: dict[str, Any] | None) -> list[str]:
    if row is None or "graphc" not in row["figures"]:
        return ["", "", ""]
    own = row["figures"]["graphc"]
    return [report.amount(own), _ratio(row), f"{100 * row['limit_s'] / own:.0f} %" if row["limit_s"] else ""]


def _ratio(row: dict[str, Any] | None) -> str:
    return report.two(row["ratio"]) if row is not None and row["ratio"] is not None else ""


def _inverse(row: dict[str, Any] | None) -> str:
    return report.two(1 / row["ratio"]) if row is not None and row["ratio"] else ""


def _seconds(row: dict[str, Any] | None) -> str:
    return report.amount(row["figures"]["graphc"]) if row is not None and "graphc" in row["figures"] else ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Models that others trained, against onnxruntime.")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--folder", type=Path, help="where the models are, or are put")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="models whose name contains one of these")
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--turns", type=int, default=4)
    parser.add_argument("--busy", action="store_true", help="one thread, and its processor time: where others use the machine")
    parser.add_argument("--patience", type=float, default=150.0, help="seconds that building may take")
    given = parser.parse_args()
    measured: dict[tuple[str, str, int], dict[str, Any]] = {}
    versions: dict[str, str] = {}
    if given.json is not None and given.json.exists():
        before = json.loads(given.json.read_text(encoding="utf-8"))
        measured = {(r["name"], r["kind"], r["threads"]): r for r in before["rows"]}
        versions = before["machine"]["versions"]
    if note := load_note():
        print(note)
    with tempfile.TemporaryDirectory() as scratch:
        folder = (given.folder or Path(scratch)).resolve()
        onnx_models.fetch(folder)
        onnx_models.count(folder)
        os.environ[onnx_models.FOLDER] = str(folder)
        for threads in [1] if given.busy else given.threads:
            with Conductor(("graphc", "onnxruntime"), threads, given.turns, 0.05, given.patience, given.busy) as conductor:
                limits = conductor.limits(PEAK, BANDWIDTH, ("graphc", "numpy"))
                for row in onnx_models.rows():
                    kind = "free" if row.kind == "call" and row.workload.name.endswith(_FREE) else row.kind
                    if kind not in given.kinds:
                        continue
                    if given.only and not any(text in row.workload.name for text in given.only):
                        continue
                    found = report.judge(conductor.measure(row), limits)
                    now = datetime.datetime.now().isoformat(timespec="seconds")
                    found |= {"name": row.workload.name, "threads": threads, "busy": given.busy, "date": now}
                    measured[row.workload.name, row.kind, threads] = found
                    own, theirs = (found["figures"].get(n) for n in ("graphc", "onnxruntime"))
                    cells = [report.amount(x) if x else "" for x in (own, theirs)]
                    print(row.name, threads, *cells, report.two(found["ratio"]) if found["ratio"] else found["notes"], flush=True)
                    versions |= conductor.versions
                    if given.json is not None:
                        machine = {"cpu": cpu(), "python": platform.python_version(), "versions": versions}
                        text = json.dumps({"machine": machine, "rows": list(measured.values())}, indent=1)
                        given.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
