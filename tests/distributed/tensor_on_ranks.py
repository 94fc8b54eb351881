"""The layers of examples/tensor_parallel.py on ranks: what each rank finds against what it computes of the whole network alone.

    mpiexec -n 2 python tests/distributed/tensor_on_ranks.py

Rank 0 prints the largest differences as JSON: of the loss, of gradients by the functions around divided layers, of those by the
exchanges as they are, and of weights after some steps.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "examples")]

import tensor_parallel as example  # noqa: E402

import graphc as gx  # noqa: E402
from graphc.distributed import all_gather, all_reduce, rank, size  # noqa: E402

WORDS = np.random.default_rng(7).integers(0, example.LETTERS, (4, example.TIME))
Values = dict[str, Any]


def compiled(network: Any) -> Any:
    gradients = gx.grad(network.loss, list(network.weights.values()))
    return gx.compile([network.word], [network.loss, dict(zip(network.weights, gradients, strict=True))])


def found(network: Any) -> tuple[Any, Values]:
    """The loss, and the gradients of this rank's weights."""
    loss, gradients = compiled(network)(WORDS)
    return loss, {name: gx.constant(g) for name, g in gradients.items()}


def off(one: Values, other: Values) -> float:
    assert one.keys() == other.keys()
    return max(float(np.abs(one[name] - other[name]).max()) for name in one)


def exchanges(network: Any) -> str:
    text = str(compiled(network).graph)
    return ", ".join(f"{text.count(f' {name}(')} {name}" for name in ("all_reduce", "all_gather", "reduce_scatter"))


def by_exchanges_alone() -> Any:
    """A network without the two functions: what its exchanges' own gradients are."""
    kept = example.enter, example.leave, example.gather
    example.enter, example.leave, example.gather = lambda x: x, all_reduce, lambda x: all_gather(x, axis=-1)
    try:
        return example.Network(rank(), size())
    finally:
        example.enter, example.leave, example.gather = kept


def main() -> None:
    cut, alone = example.Network(rank(), size()), example.Network(0, 1)
    loss, gradients = found(cut)
    expected, by_one = found(alone)
    by_one = alone.whole(by_one)
    plain = by_exchanges_alone()
    _, own = found(plain)
    summed = plain.whole({name: all_reduce(x) if plain.axes[name] is None else x for name, x in own.items()})
    reached, weights = example.main(steps=12)
    figures = {
        "exchanges": exchanges(cut), "loss": abs(float(loss - expected)), "gradients": off(cut.whole(gradients), by_one),
        "of exchanges alone": off(plain.whole(own), by_one),
        "of the sum of losses": off(summed, {name: size() * x for name, x in by_one.items()}),
        "learned": reached[0][0] - reached[-1][0], "weights": weights,
    }  # fmt: skip
    if rank() == 0:
        print(json.dumps(figures), flush=True)


if __name__ == "__main__":
    main()
