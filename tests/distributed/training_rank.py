"""A training on ranks of MPI, for the tests of faults: mpiexec -n 3 python training_rank.py FOLDER STEPS WHAT

WHAT happens to the last rank after step 25: "nothing", "raises", "dies", "hangs"; or it "dies writing" the next checkpoint, when
its part is on the disk and no other rank knows; or it has "another graph". A checkpoint is written into FOLDER every ten steps;
a training goes on from the last. At the end rank 0 prints the step it began with, the last one, and a hash of the weights.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    started = os.environ.get("PMI_RANK") or os.environ.get("OMPI_COMM_WORLD_RANK") or "0"
    Path(sys.argv[1], f"pid {started}").write_text(str(os.getpid()))  # before anything else: ranks are killed at any time

import hashlib

import numpy as np

import graphc as gx
from graphc.models import checkpoint

EPOCH = 20  # steps


class Fault(gx.models.Callback):
    """What happens."""

    def __init__(self, what: str) -> None:
        super().__init__()
        self.what, self.count = what, 0

    def get_state(self) -> dict[str, int]:
        return {"count": self.count}

    def set_state(self, state: dict[str, int]) -> None:
        self.count = state["count"]

    def on_train_batch_end(self, batch: int, logs: object = None) -> None:
        self.count += 1
        if self.count == 25:
            match self.what:
                case "raises":
                    raise ValueError("the disk is full")
                case "dies":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "dies writing":
                    checkpoint.checksum = lambda path: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment, return-value]
                case "hangs":
                    time.sleep(1000)


def main() -> None:
    folder, steps, what = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    world = gx.distributed.init(patience=float(os.environ.get("PATIENCE", "2")))
    mine = what if world.rank == world.size - 1 else "nothing"
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((12 * EPOCH, 8)).astype("float32"), rng.integers(0, 3, 12 * EPOCH)
    with gx.layers.seeded(0):
        model = gx.models.Sequential([
            gx.layers.Dense(6, "tanh" if mine == "another graph" else "relu", input_shape=(8,)), gx.layers.Dense(3),
        ])  # fmt: skip
    model.compile("adam", gx.models.losses.SparseCategoricalCrossentropy(from_logits=True), blocks=6)
    checkpoints = checkpoint.Checkpoints(folder, every=10)
    found = checkpoints.latest()
    begun = 0 if found is None else found.step
    (folder / f"trains {world.rank}").touch()
    epochs = steps // EPOCH
    model.fit(x, y, batch_size=12, epochs=epochs, distributed=True, checkpoints=checkpoints, callbacks=[Fault(mine)], verbose=0)
    if world.rank == 0:
        weights = hashlib.sha256(b"".join(w.tobytes() for w in model.get_weights())).hexdigest()
        print(f"from {begun} to {steps}: {weights}")


if __name__ == "__main__":
    main()
