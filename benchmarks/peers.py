"""Measure graphc against its peers and print the table: python benchmarks/peers.py [--json F] [--plot F.png]

    --only NAMES          rows whose name contains one of these; with --json they replace the file's rows
    --contenders NAMES    of graphc numpy jax torch torch.compile pytensor numexpr onnxruntime; all by default
    --threads N           threads of every contender (2)
    --patience S          seconds that building may take (150)
    --quick               short turns, and no rows that need new processes

Every contender runs in a process of its own, in turns with the others. Results are compared before anything is timed; who differs
is not timed. The figure of a peer is its median time over graphc's: over 1 means that graphc is ahead. The extra `peers` installs
all of them; what is not installed is shown so.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import platform
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks import report
from benchmarks.conductor import Conductor
from benchmarks.workload import CONTENDERS, Row
from benchmarks.workloads import BANDWIDTH, PEAK, ROWS
from graphc.timing import load_note


def chosen(only: list[str], quick: bool) -> list[Row]:
    rows = [r for r in ROWS if not only or any(text.lower() in r.name.lower() for text in only)]
    return [r for r in rows if r.kind == "call"] if quick else rows


def cpu() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    vectors = "AVX-512" if any("avx512f" in line for line in lines) else "AVX2" if any(" avx2" in line for line in lines) else ""
    return ", ".join(filter(None, [names[0] if names else platform.machine(), vectors]))


def save(file: Path | None, machine: dict[str, Any], measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """The figures, in the order of the table; rows that the table no longer has are left out."""
    machine, rows = report.judged(machine, [measured[r.name] for r in ROWS if r.name in measured])
    figures = {"machine": machine, "rows": rows}
    if file is not None:
        file.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return figures


def main() -> int:
    parser = argparse.ArgumentParser(description="graphc against its peers.")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--plot", type=Path, help="draw the ratios here, as PNG")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="rows whose name contains one of these")
    parser.add_argument("--contenders", nargs="+", default=list(CONTENDERS), choices=CONTENDERS, metavar="NAME")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patience", type=float, default=150.0, help="seconds that building may take")
    parser.add_argument("--quick", action="store_true", help="short turns, and no rows that need new processes")
    given = parser.parse_args()
    rows = chosen(given.only, given.quick)
    if not rows:
        parser.error(f"no row's name contains {' or '.join(given.only)}")
    if given.plot is not None:
        import matplotlib  # noqa: F401  (what is missing should be said before the measurement, not after it)
    measured: dict[str, dict[str, Any]] = {}
    if given.json is not None and given.json.exists() and given.only:
        measured = {r["name"]: r for r in json.loads(given.json.read_text(encoding="utf-8"))["rows"]}
    if note := load_note():
        print(note)
    machine: dict[str, Any] = {
        "cpu": cpu(),
        "cpus": os.cpu_count(),
        "threads": given.threads,
        "python": platform.python_version(),
    }
    turns, turn = (2, 0.03) if given.quick else (4, 0.08)
    with Conductor(given.contenders, given.threads, turns, turn, given.patience) as conductor:
        machine |= conductor.limits(PEAK, BANDWIDTH)
        machine["versions"] = conductor.versions
        print(f"{report.machine_line(machine)}\n\n{report.header()}", flush=True)
        for row in rows:
            found = report.judge(conductor.measure(row), machine)
            measured[row.name] = {**found, "date": datetime.datetime.now().isoformat(timespec="seconds")}
            print(report.line(found), flush=True)
            figures = save(given.json, machine, measured)
    for row in rows:
        for name, why in measured[row.name]["notes"].items():
            if why not in ("not served", "not installed"):
                print(f"\n{row.name}: {name}: {why}", end="")
    print(f"\n\nFell short:\n{report.shortfalls({'rows': [measured[r.name] for r in rows]})}")
    if growth := [measured[r.name] for r in rows if r.kind == "growth"]:
        print(f"\n{report.growth({'rows': growth})}")
    if given.plot is not None:
        report.plot(figures, given.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
