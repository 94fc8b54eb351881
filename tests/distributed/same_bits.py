"""Losses and weights after some steps, as a hash: one rank of several, or alone. Every number of ranks must print the same.

    python tests/distributed/same_bits.py [--network mlp cnn gpt] [--steps 100] [--blocks 8] [--each 4] [--threads 1]
    mpiexec -n 3 python tests/distributed/same_bits.py ...
"""

from __future__ import annotations

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from networks import NETWORKS  # noqa: E402

import graphc as gx  # noqa: E402
from graphc.distributed.parallel import share  # noqa: E402


def run(name: str, steps: int, blocks: int, each: int) -> str:
    """The hash of the losses of so many steps and of the weights after them."""
    inputs, loss, variables, data = NETWORKS[name]()
    total, updates = gx.distributed.data_parallel(loss, variables, gx.optim.adam, blocks=blocks)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--network", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    for name, default in (("steps", 100), ("blocks", 8), ("each", 4), ("threads", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    given = parser.parse_args()
    gx.set_num_threads(given.threads)
    for name in given.network:
        found = run(name, given.steps, given.blocks, given.each)
        if gx.distributed.rank() == 0:
            print(f"{name} {given.steps} steps {given.blocks} blocks: {found}", flush=True)


if __name__ == "__main__":
    main()
