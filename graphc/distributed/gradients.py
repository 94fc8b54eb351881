"""The gradient of a batch, block after block: in the memory of one block, and in one order of sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import graphc as gx
from graphc import Tensor, Variable
from graphc.distributed import blocks as tree

Changes = Mapping[Variable, Callable[[Tensor], Tensor]]  # variable -> what stands for it in a block, by the block's number


class Blocks:
    """Values of a batch as sums over its blocks, of which some are here.

    values: symbols of a block, made of the placeholders `slots`. given: for each slot the array of all blocks that are here, its
    first axis so many times as long. blocks: how many there are in all; first, last: those that are here. changes: what differs
    from block to block beside; a random stream that the values read gives other numbers for each block in any case.
    """

    def __init__(
        self, values: Sequence[Tensor], slots: Sequence[Tensor], given: Sequence[Tensor], blocks: int, first: int = 0,
        last: int | None = None, changes: Changes | None = None,
    ) -> None:  # fmt: skip
        self.values, self.slots, self.given, self.blocks, self.first = list(values), list(slots), list(given), blocks, first
        self.last = blocks if last is None else last
        count = self.last - first
        reached = gx.ir.graph.topological(values)
        self.turns = [gx.reshape(x, (count, *slot.shape)) for x, slot in zip(given, slots, strict=True)]
        self.changes = {**_streams(reached, blocks), **(changes or {})}
        self.spread = _spread(reached, {*slots, *self.changes})
        self.shared: list[Any] = list(dict.fromkeys(i for node in self.spread for i in node.inputs))

    def nodes(self) -> dict[tree.Node, list[Tensor]]:
        """The largest nodes of the tree that lie among the blocks that are here: see `blocks.py`."""
        types = [y.type for y in self.values]
        return tree.sums(self.block, types, self.turns, self.first, self.last, self.blocks, self.shared)

    def block(self, number: Tensor, slices: Sequence[Tensor], shared: Sequence[Tensor]) -> list[Tensor]:
        """The values of one block: of its number, what it has of each slot, and what all blocks share."""
        new: dict[Any, Any] = dict(zip(self.slots, slices, strict=True))
        new.update((v, change(number)) for v, change in self.changes.items())
        inside = dict(zip(self.shared, shared, strict=True))
        new.update((node, node.with_inputs(tuple(inside[i] for i in node.inputs))) for node in self.spread)
        return gx.ir.graph.substitute(self.values, new, gx.ir.graph.on_inputs)


def value_and_grad(
    loss: Tensor, variables: Sequence[Variable], blocks: int = 8, inputs: Sequence[Tensor] | None = None
) -> tuple[Tensor, list[Tensor]]:
    """A loss that is a mean over a batch, and its gradients, computed block after block: (loss, gradients).

    loss: a float symbol of shape []. variables: float variables. blocks: how many equal parts the batch is cut into; a call
    whose batch is no multiple of it is refused. inputs: the placeholders that are cut, along their first axis; by default those
    that have the batch, the name that is the first axis of all placeholders that have a named one. What a block is computed in
    is used again for the next: a program needs the memory of one block. A batch norm takes its statistics over a block. The
    blocks' values are added as a binary tree, so the bits depend on the number of blocks alone.

    Raises GradientError as `gx.grad` does, and ShapeError where it is not clear which axis the batch's is.

    >>> import graphc as gx
    >>> x, w = gx.placeholder("x", ("batch",), "float64"), gx.variable(3.0, name="w")
    >>> loss, (g,) = gx.distributed.value_and_grad(gx.mean(x * w * w), [w], blocks=2)
    >>> gx.compile([x], [loss, g])([1.0, 2.0, 3.0, 4.0])
    [array(22.5), array(15.)]
    """
    variables = gx.ops.listed("value_and_grad", "variables", variables)
    blocks = check_blocks("value_and_grad", blocks)
    found = gx.grad(loss, list(variables))
    here = cut([loss, *found], blocks, 0, blocks, inputs)
    total, *gradients = means(here.nodes(), blocks)
    return gx.astype(total, loss.dtype), [gx.astype(g, v.dtype) for g, v in zip(gradients, variables, strict=True)]


def blocks_within(
    memory: int, loss: Tensor, variables: Sequence[Variable], batch: int, inputs: Sequence[Tensor] | None = None
) -> int:
    """The fewest blocks, doubled from 1 on, with which loss and gradients of a batch need an arena of at most so many bytes.

    memory: bytes. batch: how many samples a call has; blocks divide it. loss, variables and inputs as in `value_and_grad`, for
    which the answer is. Each number that is tried runs the passes, and compiles no code. The arena holds temporaries, the sum of
    gradients too; `compiled.memory` has what variables and arguments take beside.

    Raises InputError where no number of blocks is enough; it says what the smallest arena is.

    >>> import numpy as np, graphc as gx
    >>> x, w = gx.placeholder("x", ("batch", 100), "float32"), gx.variable(np.ones((100, 100), "float32"))
    >>> loss = gx.mean(gx.tanh(gx.tanh(x @ w) @ w))
    >>> [gx.distributed.blocks_within(size, loss, [w], batch=256) for size in (600_000, 350_000)]
    [1, 4]
    """
    least: tuple[int, int] | None = None
    blocks = 1
    while batch % blocks == 0:
        total, found = value_and_grad(loss, variables, blocks, inputs)
        reached = gx.ir.graph.topological([total, *found])
        leaves = [n for n in reached if isinstance(n, Tensor) and isinstance(n.op.lowering, gx.ir.operation.Input)]
        program = gx.compile(leaves, [total, *found], backend="program", progress=False)
        _, name = _of_the_batch([loss], inputs)
        arena = program.memory.at(**{str(name): batch}).arena
        assert isinstance(arena, int), arena
        if arena <= memory:
            return blocks
        if least is None or arena < least[1]:
            least = blocks, arena
        blocks *= 2
    tried = "" if least is None else f": the smallest arena, of {least[0]} blocks, takes {least[1]:,}"
    raise gx.errors.InputError(
        f"blocks_within: no number of blocks needs at most {memory:,} bytes{tried}", where=gx.errors.caller(),
        hint="a batch that powers of two divide; gx.checkpoint inside the model",
    )  # fmt: skip


def cut(values: Sequence[Tensor], blocks: int, first: int, last: int, inputs: Sequence[Tensor] | None = None) -> Blocks:
    """Values that are written for a whole batch, block by block, those of 16 bits as float32: what sums are computed in."""
    values = wide(values)
    given, batch = _of_the_batch(values, inputs)
    size = gx.ir.dims.floordiv(batch, last - first)
    graph = gx.passes.infer_shapes(gx.ir.Graph(given, values), {str(batch): size})
    return Blocks(graph.outputs, graph.inputs, given, blocks, first, last)  # type: ignore[arg-type]


def wide(values: Sequence[Tensor]) -> list[Tensor]:
    """Floats of 16 bits as float32."""
    return [gx.astype(y, y.dtype.arithmetic) for y in values]


def means(nodes: Mapping[tree.Node, Sequence[Tensor]], blocks: int) -> list[Tensor]:
    """The means over all blocks."""
    return [total / blocks for total in tree.added_up(nodes, 0, blocks)]


def check_blocks(name: str, blocks: int) -> int:
    found = gx.ops.normalize_integer(name, "blocks", blocks)
    if found < 1:
        raise gx.errors.InputError(f"{name}: blocks is {found}", where=gx.errors.caller(), hint="an integer from 1 on")
    return found


def _of_the_batch(values: Sequence[Tensor], inputs: Sequence[Tensor] | None) -> tuple[list[Tensor], Any]:
    """The placeholders that are cut, and the name of their first axis."""
    reached = gx.ir.graph.topological(values)
    leaves = [n for n in reached if isinstance(n, Tensor) and isinstance(n.op.lowering, gx.ir.operation.Input)]
    looked = leaves if inputs is None else list(inputs)
    batches = {x.shape[0] for x in looked if x.ndim and isinstance(x.shape[0], gx.Dim) and str(x.shape[0]).isidentifier()}
    if len(batches) != 1:
        found = ", ".join(f"{x.attrs['name']}: {x.type}" for x in looked) or "no placeholder"
        raise gx.errors.ShapeError(
            f"value_and_grad cuts a batch into blocks, and it is not clear which axis that is of {found}",
            where=gx.errors.caller(),
            hint="declare inputs with a name for the batch, ('batch', 784); where several are named, say which: inputs=[x, t]",
        )  # fmt: skip
    (batch,) = batches
    name = str(batch)
    cut = [x for x in leaves if name in gx.ir.dims.names(*x.shape)]
    for x in cut:
        if name not in gx.ir.dims.names(x.shape[0]) or name in gx.ir.dims.names(*x.shape[1:]):
            raise gx.errors.ShapeError(
                f"value_and_grad cuts a batch along its first axis, and {x.attrs['name']} is {x.type}", where=gx.errors.caller(),
                hint=f"let {name} be the first axis of every input that has it, and no other",
            )  # fmt: skip
    return cut, batch


def _streams(reached: Sequence[Any], blocks: int) -> Changes:
    """For counters of calls, of which random numbers are made: another number for each block."""
    known = [v for v in reached if isinstance(v, Variable) and v.default_update is not None]
    counters = [v for v in known if v.dtype.is_integer and not v.ndim]

    def change(v: Variable) -> Callable[[Tensor], Tensor]:
        return lambda number: v * blocks + gx.astype(number, v.dtype)

    return {v: change(v) for v in counters}


def depending(reached: Sequence[Any], leaves: Iterable[Any]) -> set[Any]:
    """Those of some nodes, each after its inputs, that are made of the leaves, and the leaves."""
    found = set(leaves)
    for node in reached:
        if any(i in found for i in node.inputs):
            found.add(node)
    return found


def _spread(reached: Sequence[Any], leaves: Iterable[Any]) -> list[Any]:
    """What is the same for all blocks and larger than what it is read from: it need not be in memory."""
    found, moving = [], depending(reached, leaves)
    for node in reached:
        if node in moving or not node.inputs:
            continue
        moves = isinstance(node.op.lowering, gx.ir.operation.Pointwise) and not node.op.lowering.elementwise
        if moves and all(_is_larger(node.type.size, i.type.size) for i in node.inputs):
            found.append(node)
    return found


def _is_larger(size: Any, other: Any) -> bool:
    return gx.ir.dims.names(size) > gx.ir.dims.names(other) or (isinstance(size, int) and isinstance(other, int) and size > other)
