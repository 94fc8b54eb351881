"""The verbs: one pass a file; the pipeline is a tuple of them.

A pass is a function Graph -> Graph with a `__name__`; `gx.compile(..., passes=gx.passes.DEFAULT + (mine,))` adds one.
`differentiate` and `infer_shapes` need to be told more than the graph; `specialize(batch=64)` makes a pass of the latter.
"""

from collections.abc import Callable
from typing import Any

from graphc.ir.graph import Graph
from graphc.ir.program import Program
from graphc.passes.differentiate import differentiate
from graphc.passes.eliminate_common import eliminate_common
from graphc.passes.eliminate_dead import eliminate_dead
from graphc.passes.expand_composites import expand_composites
from graphc.passes.expand_math import expand_math
from graphc.passes.fold_constants import fold_constants
from graphc.passes.fuse import fuse
from graphc.passes.infer_shapes import infer_shapes, specialize
from graphc.passes.plan_buffers import plan_buffers
from graphc.passes.rematerialize import rematerialize
from graphc.passes.simplify import simplify, simplify_fast

Pass = Callable[[Graph], Graph]

DEFAULT: tuple[Pass, ...] = (
    expand_composites, # first: the others see what is computed
    fold_constants,    # before simplify: rules match the fills that constants become
    eliminate_common,  # before simplify: a repeated rule variable matches by identity
    simplify,
    fold_constants,    # again: a rule may leave constants alone, as where(true, 2, x) + 1 does
    eliminate_common,  # again: values that were written differently have become equal
    eliminate_dead,    # last: what the others left behind
)  # fmt: skip

LOWERING: tuple[Callable[[Any], Graph | Program], ...] = (
    expand_composites,  # for pipelines without it
    rematerialize,  # after all passes that would merge again what it computes twice
    fuse,           # the one step from Graph to Program
    expand_math,
    plan_buffers,
)  # fmt: skip

__all__ = [
    "DEFAULT", "LOWERING", "Pass", "differentiate", "eliminate_common", "eliminate_dead", "expand_composites", "expand_math",
    "fold_constants", "fuse", "infer_shapes", "plan_buffers", "rematerialize", "simplify", "simplify_fast", "specialize",
]  # fmt: skip
