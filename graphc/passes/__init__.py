"""The verbs: one pass a file; the pipeline is a tuple of them.

A pass is a function Graph -> Graph with a `__name__`; `gx.compile(..., passes=gx.passes.DEFAULT + (mine,))` adds one.
`differentiate` and `infer_shapes` need to be told more than the graph; `specialize(batch=64)` makes a pass of the latter,
`rules("name: pattern => result")` one of rules as text. FUSION is the tuple of the steps of `plan_kernels`.

LOWERING makes the program of a graph. Each pass over programs goes through those within a program too (`nested_programs`).
"""

from collections.abc import Callable
from typing import Any

from graphc.ir.graph import Graph
from graphc.ir.program import Program
from graphc.passes.bound_masks import bound_masks
from graphc.passes.differentiate import differentiate
from graphc.passes.eliminate_common import eliminate_common
from graphc.passes.eliminate_dead import eliminate_dead
from graphc.passes.expand_composites import expand_composites
from graphc.passes.expand_math import expand_math
from graphc.passes.fold_constants import fold_constants
from graphc.passes.fold_quantized import fold_quantized
from graphc.passes.fuse import fuse
from graphc.passes.fusion import parse  # noqa: F401  it registers how plans are read
from graphc.passes.fusion.plan import Plan
from graphc.passes.gather_functions import gather_functions
from graphc.passes.hoist_invariants import hoist_invariants
from graphc.passes.infer_shapes import infer_shapes, specialize
from graphc.passes.join_collectives import join_collectives
from graphc.passes.join_rows import join_rows
from graphc.passes.lay_out_constants import lay_out_constants
from graphc.passes.merge_loops import merge_loops
from graphc.passes.overlap_collectives import overlap_collectives
from graphc.passes.plan_buffers import plan_buffers
from graphc.passes.plan_kernels import FUSION, plan_kernels
from graphc.passes.prune_loops import prune_loops
from graphc.passes.rematerialize import rematerialize
from graphc.passes.rules import rules
from graphc.passes.simplify import simplify, simplify_fast
from graphc.passes.split_loops import split_loops
from graphc.passes.split_reductions import split_reductions
from graphc.passes.tile_transposes import tile_transposes
from graphc.passes.unroll_remainders import unroll_remainders
from graphc.passes.widen import widen

Pass = Callable[[Graph], Graph]

DEFAULT: tuple[Pass, ...] = (
    expand_composites, # first: the others see what is computed
    merge_loops,       # before all others: a loop and its gradient's forward loop have bodies of the same nodes
    fold_quantized,    # before fold_constants, which would make floats of integers that do not change
    fold_constants,    # before simplify: rules match the fills that constants become
    eliminate_common,  # before simplify: a repeated rule variable matches by identity
    simplify,
    hoist_invariants,  # after simplify, which may show that a value does not change
    prune_loops,       # what of a loop's results nobody reads is known only now
    fold_constants,    # again: a rule may leave constants alone, as where(true, 2, x) + 1 does
    eliminate_common,  # again: values that were written differently have become equal
    eliminate_dead,    # last: what the others left behind
)  # fmt: skip

LOWERING: tuple[Callable[[Any], Graph | Plan | Program], ...] = (
    expand_composites,  # for pipelines without it
    widen,          # after the passes whose rules see one node for each operation
    rematerialize,  # after all passes that would merge again what it computes twice
    join_collectives,  # last of the graph's: nothing is to read the parts in another form
    plan_kernels,   # from Graph to Plan: which nodes share a kernel
    fuse,           # from Plan to Program
    overlap_collectives,  # before plan_buffers: which memory is free follows from the order of calls
    plan_buffers,   # before the others, which may cut a loop in two: it sees what one loop reads and writes
    split_reductions,  # before expand_math, which writes what users declare as combinations
    bound_masks,    # after split_reductions: the order of sums is that of all elements, masked or not
    gather_functions,  # before expand_math: a function is one statement still
    expand_math,
    split_loops,
    unroll_remainders,  # after split_loops: a part that is left may alternate
    join_rows,      # after split_loops: rows of which no element asks where it lies
    tile_transposes,  # after join_rows, which sees rows that are neighbours
    lay_out_constants,  # last: how a product's operands lie is known when nothing changes its code any more
)  # fmt: skip

__all__ = [
    "DEFAULT", "FUSION", "LOWERING", "Pass", "Plan", "bound_masks", "differentiate", "eliminate_common", "eliminate_dead",
    "expand_composites", "expand_math", "fold_constants", "fold_quantized", "fuse", "gather_functions", "hoist_invariants",
    "infer_shapes", "join_collectives", "join_rows", "lay_out_constants", "merge_loops", "overlap_collectives",
    "plan_buffers", "plan_kernels", "prune_loops", "rematerialize", "rules", "simplify", "simplify_fast", "specialize",
    "split_loops", "split_reductions", "unroll_remainders", "widen",
]  # fmt: skip
