"""What training on this number of ranks gives, as text: the same on any number. Ranks check that they agree.

    FOLDER=of-checkpoints mpiexec -n 3 python tests/distributed/training_on_ranks.py
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parent)]

from same_bits import run  # noqa: E402

import graphc as gx  # noqa: E402
from graphc.distributed.host import gathered  # noqa: E402

BLOCKS = 5


def weights(model: Any) -> str:
    return hashed({str(i): w for i, w in enumerate(model.get_weights())})


def hashed(arrays: Mapping[str, Any]) -> str:
    found = hashlib.sha256()
    for name in sorted(arrays):
        found.update(name.encode() + np.asarray(arrays[name]).tobytes())
    return found.hexdigest()[:12]


def model(scale: float, divided: bool = False) -> Any:
    with gx.layers.seeded(0):
        made = gx.models.Sequential([gx.layers.Dense(8, "relu", input_shape=(12,)), gx.layers.Dropout(0.1), gx.layers.Dense(3)])
    made.set_weights([w * np.asarray(scale).astype(w.dtype) for w in made.get_weights()])
    loss = gx.models.losses.SparseCategoricalCrossentropy(from_logits=True)
    adam = gx.distributed.zero(gx.optim.adam) if divided else "adam"
    made.compile(adam, loss, ["accuracy", gx.metrics.MeanIoU(3, name="iou")], blocks=BLOCKS)
    return made


def fitted(
    folder: str, epochs: int, scale: float = 1.0, divided: bool = False, distributed: bool | str = True
) -> tuple[Any, Any]:
    """A model after some epochs, from the last checkpoint on, and its history."""
    rng = np.random.default_rng(5)
    x, y = rng.standard_normal((70, 12)).astype(np.float32), rng.integers(0, 3, 70)
    made = model(scale, divided)
    stop = gx.models.EarlyStopping(monitor="val_loss", patience=1, min_delta=0.05)
    history = made.fit(
        x, y, batch_size=30, epochs=epochs, validation_data=(x[:33], y[:33]), validation_batch_size=8, verbose=0,
        distributed=distributed, checkpoints=folder or None, callbacks=[stop],
    )  # fmt: skip
    assert history.exact == (distributed is True or gx.distributed.size() == 1)
    return made, history.history


def text(folder: str) -> str:
    """All figures, weights and states, as hashes."""
    lines = [f"step {run('mlp', 3, BLOCKS, 2)}"]
    other = 1.0 + gx.distributed.rank()  # each rank begins with weights of its own: those of rank 0 count
    fitted(folder, 1, other)
    made, history = fitted(folder, 2)  # on from a checkpoint
    lines += [f"{name} {[np.asarray(v).tobytes().hex()[-32:] for v in values]}" for name, values in sorted(history.items())]
    lines.append(f"state {hashed({name: v.value for name, v in made.state.items()})}, weights {weights(made)}")
    _, quick = fitted("", 2, distributed="fast")  # of a last batch of 10 three ranks take 9
    lines.append(f"fast {np.allclose(quick['loss'], history['loss'], rtol=0.2)}")
    fitted(f"{folder}-divided", 1, other, divided=True)
    made, again = fitted(f"{folder}-divided", 2, divided=True)
    lines.append(f"with a divided state {weights(made)} {again == history}")
    return "\n".join(lines)


def on_fewer_ranks(folder: str) -> None:
    """The last rank goes on alone, and the others together, from copies of what all wrote: what each reaches, in a file."""
    from mpi4py import MPI

    everyone = MPI.COMM_WORLD
    alone = everyone.rank == everyone.size - 1
    gx.distributed.init(everyone.Split(alone))
    assert gx.distributed.size() == (1 if alone else everyone.size - 1)
    reached = []
    for name, divided in ((folder, False), (f"{folder}-divided", True)):
        copy = f"{name}-{'alone' if alone else 'fewer'}"
        if gx.distributed.rank() == 0:
            shutil.copytree(name, copy)
        gathered(np.zeros(1))
        made, history = fitted(copy, 3, divided=divided)
        reached.append([weights(made), history])
    every = everyone.gather(json.dumps(reached))
    if everyone.rank == 0:
        Path(folder, "reached.json").write_text(json.dumps(every), encoding="utf-8")


def main() -> None:
    found = text(os.environ["FOLDER"])
    mine = np.frombuffer(hashlib.sha256(found.encode()).digest(), np.uint8)
    assert (gathered(mine) == mine).all(), f"rank {gx.distributed.rank()} has other figures:\n{found}"
    if gx.distributed.rank() == 0:
        print(found, flush=True)
    on_fewer_ranks(os.environ["FOLDER"])


if __name__ == "__main__":
    main()
