"""A training on ranks of MPI, for the tests of faults: mpiexec -n 3 python training_rank.py FOLDER STEPS WHAT

WHAT happens to the last rank in step 20: "nothing", "raises", "dies", "hangs", "another graph". Rank 0 writes a checkpoint into
FOLDER every ten steps; a training goes on from the last. At the end rank 0 prints the step it began with, and the weights' sum.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

started = os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or "0"
Path(sys.argv[1], f"pid {started}").write_text(str(os.getpid()))  # before anything else: ranks are killed at any time

import numpy as np  # noqa: E402

import graphc as gx  # noqa: E402
from graphc import distributed as d  # noqa: E402
from graphc.models.checkpoint import Checkpoints  # noqa: E402

folder, steps, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
ROWS = 12

world = d.init(patience=float(os.environ.get("PATIENCE", "2")))
last = world.rank == world.size - 1
x, y = gx.placeholder("x", ("n", 4), "float32"), gx.placeholder("y", ("n",), "float32")
w = gx.variable(np.zeros(4, "float32"), name="w")
prediction = (gx.tanh if what == "another graph" and last else gx.sin)(x @ w)
loss = gx.mean((prediction - y) ** 2)
gradient = d.all_reduce(gx.grad(loss, w), "mean")
step = gx.compile([x, y], d.all_reduce(loss, "mean"), updates={w: w - 0.1 * gradient}, progress=False)

checkpoints = Checkpoints(folder)
found = checkpoints.latest()
begun = 0
if found is not None:
    begun = found.step
    w.value = gx.load(found.arrays)["w"]
(folder / f"trains {world.rank}").touch()
rows = slice(ROWS * world.rank // world.size, ROWS * (world.rank + 1) // world.size)
for number in range(begun, steps):
    rng = np.random.default_rng(number)
    data = rng.standard_normal((ROWS, 4)).astype("float32")
    step(data[rows], np.sin(data @ np.float32([1, 2, 3, 4]))[rows])
    if last and number == 20:
        match what:
            case "raises":
                raise ValueError("the disk is full")
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "hangs":
                time.sleep(1000)
    if world.rank == 0 and number % 10 == 9:
        checkpoints.save(number + 1, {}, {"w": w})
if world.rank == 0:
    print(f"from {begun} to {steps}: {float(np.sum(w.value)):.9g}")
