"""The command line: graphs in fresh processes, some at a time."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import graphc as gx
from fuzzing.comparing import NATIVE, check_graph, check_native, check_programs
from fuzzing.graphs import build
from fuzzing.reducing import report
from graphc.ir.target import find_target

COMMAND = Path(__file__).resolve().parents[1] / "fuzz.py"
FRESH = 100  # graphs a process runs before another takes over: native code is never unloaded


def has_native() -> bool:
    try:
        from graphc.backends.llvm import build as _  # noqa: F401
    except ImportError:
        return False
    return True


def run(seed: int, indices: Sequence[int], group: int, seconds: float, interpret_only: bool, programs: int) -> int:
    """Checks the graphs and prints every mismatch; returns how many there are."""
    mismatches = 0
    for at in range(0, len(indices), group):
        print(f"@ {indices[at]}", file=sys.stderr, flush=True)
        cases = [build(seed, i) for i in indices[at : at + group]]
        sound = []
        for case in cases:
            found = check_graph(case)
            if found is None and programs and case.index % programs == 0:
                found = check_programs(case)
            if found is None:
                sound.append(case)
            else:
                mismatches += 1
                report(found, seed, seconds)
        if sound and not interpret_only:
            for found in check_native(sound):
                mismatches += 1
                report(found, seed, seconds)
    return mismatches


def run_chunk(options: argparse.Namespace, first: int, count: int) -> tuple[int, str]:
    """Mismatches among `count` graphs in fresh processes, and what is printed; a process that dies is a mismatch too."""
    mismatches, at, text = 0, first, ""
    while at < first + count:
        command = [sys.executable, str(COMMAND), "--seed", str(options.seed)]
        command += ["--first", str(at), "--graphs", str(first + count - at)]
        command += ["--group", str(options.group), "--seconds", str(options.seconds)]
        command += ["--backend", options.backend, "--programs", str(options.programs)]
        command += ["--interpret-only"] * options.interpret_only
        child = subprocess.run(command, capture_output=True, text=True)
        lines = child.stdout.splitlines()
        mismatches += sum(line.startswith("mismatch ") for line in lines)
        if lines and lines[-1].startswith("graphs "):
            return mismatches, text + "".join(line + "\n" for line in lines[:-1])
        last = [int(line.split()[1]) for line in child.stderr.splitlines() if line.startswith("@ ")]
        died = last[-1] if last else at
        text += f"{child.stdout}mismatch in graphs {died} to {died + options.group - 1} of seed {options.seed}: "
        text += f"the process died ({child.returncode})\n" + "\n".join(child.stderr.splitlines()[-12:]) + "\n"
        mismatches += 1
        at = died + options.group
    return mismatches, text


def run_in_processes(options: argparse.Namespace) -> int:
    """All graphs, some at a time, as many processes at once as there are jobs."""
    mismatches = done = 0
    os.environ.setdefault("GRAPHC_COMPILERS", "1" if options.jobs > 1 else "2")  # each processor has a process already
    rounds = max(1, -(-options.graphs // (FRESH * options.jobs)))
    size = max(1, -(-options.graphs // (rounds * options.jobs)))  # all jobs end at about the same time
    starts = range(0, options.graphs, size)
    with ThreadPoolExecutor(options.jobs) as pool:
        chunks = [pool.submit(run_chunk, options, at, min(size, options.graphs - at)) for at in starts]
        for chunk, at in zip(chunks, starts, strict=True):
            found, text = chunk.result()
            mismatches += found
            done = min(at + size, options.graphs)
            print(text, end="", flush=True)
            print(f"{done} graphs, {mismatches} mismatches", file=sys.stderr, flush=True)
    return mismatches


def main(description: str) -> int:
    """Check what the arguments of the command ask for; the exit code."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--graphs", type=int, default=300, help="how many graphs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="the number of one graph to check alone, printed first")
    parser.add_argument("--first", type=int, help="the number of the first graph; all run in this process")
    parser.add_argument("--group", type=int, default=8, help="graphs that share a compilation")
    parser.add_argument("--seconds", type=float, default=60, help="time to reduce a mismatch")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once")
    parser.add_argument("--programs", type=int, default=4, help="of so many graphs one is run as a program too; 0: none")
    parser.add_argument("--backend", choices=("llvm", "numba"), default="llvm", help="what native code is made by")
    parser.add_argument("--target", help="what programs are made for, as x86-64-v3; by default this machine")
    parser.add_argument("--interpret-only", action="store_true", help="leave native code out")
    options = parser.parse_args()
    NATIVE["backend"] = options.backend
    warnings.simplefilter("ignore", gx.errors.PromotionWarning)  # types are mixed here on purpose
    if not options.interpret_only and not has_native():
        parser.error("the native backend cannot be imported")
    if options.target is not None:
        os.environ["GRAPHC_TARGET"] = options.target  # for the processes that this one starts, too
        find_target(None)
    if options.only is not None:
        case = build(options.seed, options.only)
        print(case.graph)
        options.graphs, mismatches = 1, run(options.seed, [options.only], 1, options.seconds, options.interpret_only, 1)
    elif options.first is not None:
        indices = range(options.first, options.first + options.graphs)
        mismatches = run(options.seed, indices, options.group, options.seconds, options.interpret_only, options.programs)
    else:
        mismatches = run_in_processes(options)
    print(f"graphs {options.graphs} mismatches {mismatches}")
    return 1 if mismatches else 0
