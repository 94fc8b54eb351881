"""Data-parallel steps: every rank computes its share of a batch, and all ranks make the same update.

Exactly: every rank has nodes of one tree over the blocks of a batch (blocks.py). They are exchanged so that each rank is given
one segment of all nodes, adds it up along the tree, and gives the sum to all: as much traffic as a sum by MPI, where ranks have
one node each.

    nodes of rank r [n segments]  --all_to_all-->  segment r of all nodes  --added up-->  segment r  --all_gather-->  the sum
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence

import graphc as gx
from graphc import Tensor, Variable
from graphc.distributed import blocks as tree
from graphc.distributed.collectives import all_gather, all_reduce, all_to_all
from graphc.distributed.gradients import Blocks, check_blocks, cut
from graphc.distributed.host import same_start
from graphc.distributed.sharding import zero as sharded
from graphc.distributed.vectors import apart, buckets, joined, number_of, segment, surrogate
from graphc.ir.world import Lines, world

Updates = dict[Variable, Tensor]
DEFAULT_BLOCKS = 8


def share(blocks: int, rank: int | None = None) -> tuple[int, int]:
    """The blocks of a rank, by default this one: from the first up to the second number. Each rank has some.

    >>> share(8)
    (0, 8)
    """
    here = world()
    at = here.rank if rank is None else rank
    here.is_asked = True  # graphs differ from rank to rank from now on: what must not is compared below
    return at * blocks // here.size, (at + 1) * blocks // here.size


def check_share(name: str, blocks: int) -> int:
    """The number of blocks, of which every rank has one at least."""
    found = check_blocks(name, blocks)
    if found < world().size:
        raise gx.errors.InputError(
            f"{name}: {found} blocks are too few for {world().size} ranks", where=gx.errors.caller(),
            hint="every rank computes one at least: blocks=",
        )  # fmt: skip
    return found


def totals(here: Blocks) -> list[Tensor]:
    """The sums over all blocks of all ranks: the same bits on every rank, and on any number of ranks."""
    own = here.nodes()
    if world().size == 1:
        return tree.added_up(own, 0, here.blocks)
    made: dict[int, Tensor] = {}
    for places in buckets([y.type for y in here.values]):
        parts = [joined([values[i] for i in places]) for values in own.values()]
        whole = all_gather(own_segment(parts, here.blocks))
        made.update(zip(places, apart(whole, [here.values[i].shape for i in places]), strict=True))
    return [made[i] for i in range(len(here.values))]


def own_segment(parts: Sequence[Tensor], blocks: int) -> Tensor:
    """This rank's of as many equal segments of the sum as there are ranks, from the vectors of its nodes."""
    ranks = world().size
    nodes = [tree.nodes_within(*share(blocks, rank), blocks) for rank in range(ranks)]
    most = max(map(len, nodes))
    count = number_of(parts[0].shape[0])
    length = segment(count)
    rows = [gx.pad(x, (0, ranks * length - count)) for x in parts]
    rows += [gx.zeros_like(rows[0])] * (most - len(rows))
    there = gx.permute_dims(gx.reshape(gx.stack(rows), (most, ranks, length)), (1, 0, 2))
    came = all_to_all(there)
    known = {node: [came[rank, i]] for rank in range(ranks) for i, node in enumerate(nodes[rank])}
    total: Tensor = tree.added_up(known, 0, blocks)[0]
    return total


def data_parallel(
    loss: Tensor, variables: Sequence[Variable], optimizer: Callable[..., Mapping[Variable, Tensor]],
    blocks: int = DEFAULT_BLOCKS, *, exact: bool = True, zero: bool = False, inputs: Sequence[Tensor] | None = None,
) -> tuple[Tensor, Updates]:  # fmt: skip
    """The loss of a batch that all ranks share, and the updates of a step by it: (loss, updates), alike on every rank.

    loss: a float symbol of shape [], a mean over the batch. variables: float variables; all ranks begin with the values of rank
    0. optimizer: a function (loss, variables) -> updates, as those of `gx.optim` are. blocks: how many equal parts the whole
    batch is cut into: rank r of n computes the blocks from r*blocks//n up to (r+1)*blocks//n, and is called with their rows
    alone. inputs: what is cut, as in `value_and_grad`.

    exact: the blocks' gradients are added along a tree over their numbers, so that losses and weights have the same bits on any
    number of ranks and threads. Without it every rank computes its rows at once, as many on each, and MPI adds: bits depend on
    the number of ranks. zero: whether each rank keeps the optimiser's state for a part of the weights, as
    `gx.distributed.zero(optimizer)` does.

    Every rank declares it, and calls the compiled program as often as the others. Raises InputError for fewer blocks than ranks.

    >>> import graphc as gx
    >>> x, w = gx.placeholder("x", ("batch",), "float64"), gx.variable(3.0, name="w")
    >>> loss, updates = gx.distributed.data_parallel(gx.mean(x * w * w), [w], gx.optim.sgd, blocks=2)
    >>> step = gx.compile([x], loss, updates)
    >>> step([1.0, 2.0, 3.0, 4.0]), round(w.value.item(), 6)
    (array(22.5), 2.85)
    """
    variables = gx.ops.listed("data_parallel", "variables", variables)
    same_loss(loss, blocks if exact else 0)
    same_start(variables)
    found = gx.grad(loss, list(variables))
    blocks = check_share("data_parallel", blocks) if exact else world().size
    here = cut([loss, *found], blocks, *share(blocks), inputs)
    values = [total / blocks for total in (totals if exact else sums_by_mpi)(here)]
    total, *gradients = [gx.astype(y, x.dtype) for y, x in zip(values, [loss, *variables], strict=True)]
    function = sharded(optimizer) if zero else optimizer
    return total, dict(function(surrogate(variables, gradients), variables))


def same_loss(loss: Tensor, blocks: int) -> None:
    """Raise DistributedError where another rank has another loss, or cuts batches otherwise."""
    here = world()
    if here.compare is not None:
        lines = [f"a loss of {blocks} blocks", *str(gx.ir.Graph((), (loss,), name="loss")).splitlines()]
        digest = hashlib.sha256("\0".join(lines).encode()).hexdigest()
        here.compare(Lines("", lambda: []), Lines(digest, lambda: lines))


def sums_by_mpi(here: Blocks) -> list[Tensor]:
    """The sums over ranks of the one block that each has, in MPI's order."""
    return list(all_reduce(here.block(gx.constant(here.first), here.given, here.shared)))
