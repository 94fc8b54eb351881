"""Losses and weights after some steps, as a hash: the same on any number of ranks and of threads.

    mpiexec -n 3 python tests/distributed/same_bits.py [--network mlp cnn gpt] [--steps 100] [--blocks 8] [--each 4] [--threads 1]
    python tests/distributed/same_bits.py --ranks 1 2 3 4 8 [...]

The second starts all of them, the first on two threads too, and ends with 1 where they differ.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from networks import NETWORKS  # noqa: E402

import graphc as gx  # noqa: E402
from graphc.distributed.parallel import share  # noqa: E402


def run(name: str, steps: int, blocks: int, each: int, **options: bool) -> str:
    """The hash of the losses of so many steps and of the weights after them."""
    inputs, loss, variables, data = NETWORKS[name]()
    total, updates = gx.distributed.data_parallel(loss, variables, gx.optim.adam, blocks=blocks, **options)
    step = gx.compile(inputs, total, updates)
    first, last = share(blocks)
    seen = hashlib.sha256()
    for _ in range(steps):
        batch = data(blocks * each)
        value: Any = step(*(a[first * each : last * each] for a in batch))
        seen.update(value.tobytes())
    assert np.isfinite(value), value
    for v in variables:
        seen.update(v.value.tobytes())
    return seen.hexdigest()[:16]


def compare(ranks: list[int], options: list[str]) -> int:
    """Run on each number of ranks, and on the first with two threads; 1 where they differ, else 0."""
    mpiexec = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    assert mpiexec is not None, "needs mpiexec"
    found = []
    for count, threads in [(n, 1) for n in ranks] + [(ranks[0], 2)]:
        command = [mpiexec, "-n", str(count), sys.executable, __file__, *options, "--threads", str(threads)]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
        print(f"{count} ranks of {threads} threads\n{ran.stdout}{ran.stderr if ran.returncode else ''}", end="", flush=True)
        found.append(ran.stdout if not ran.returncode else f"rank {count} failed")
    alike = len(set(found)) == 1
    print("the same bits everywhere" if alike else "NOT THE SAME BITS")
    return 0 if alike else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--ranks", nargs="*", type=int)
    for name, default in (("steps", 100), ("blocks", 8), ("each", 4), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--zero", action="store_true", help="divide the optimiser's state")
    given = parser.parse_args()
    if given.ranks:
        sizes = [f"--{name}={getattr(given, name)}" for name in ("steps", "blocks", "each")]
        return compare(given.ranks, [*sizes, *(["--zero"] if given.zero else []), "--network", *given.network])
    gx.set_num_threads(given.threads)
    for name in given.network:
        found = run(name, given.steps, given.blocks, given.each, zero=given.zero)
        if gx.distributed.rank() == 0:
            print(f"  {name}, {given.steps} steps of {given.blocks} blocks: {found}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
