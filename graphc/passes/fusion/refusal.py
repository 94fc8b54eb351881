"""Why a value and its reader are not in one kernel: the rule that refused, the two nodes, and the bytes it would have spared."""

from __future__ import annotations

from dataclasses import dataclass

from graphc.ir.dims import Size
from graphc.ir.graph import Node


@dataclass(frozen=True, slots=True)
class Rule:
    """A reason for which fusion keeps nodes apart: a short name, and what a reader is told."""

    name: str
    says: str

    def __str__(self) -> str:
        return self.says


@dataclass(frozen=True, slots=True, eq=False)
class Refusal:
    """A rule that kept a value's reader out of the kernel that makes the value."""

    rule: Rule
    value: Node
    reader: Node

    @property
    def bytes(self) -> Size:
        """What one kernel of both would spare: the value is stored, and loaded by its reader."""
        return self.value.type.nbytes

    def __str__(self) -> str:
        return self.rule.says


# Of two clusters, whatever they compute.
BETWEEN = Rule("between", "another kernel must run in between")
LATER = Rule("later", "the reader is only needed for the gradient, and made where that is")
MOVED = Rule("moved", "elementwise code in between goes with its reader: fewer bytes pass through memory")
ELSEWHERE = Rule("elsewhere", "the reader needs other elements than those at its own place")

# Of rows.
TOTAL = Rule("total", "a reduction over everything is complete only when all of its parts are")
OTHER_ROWS = Rule("other rows", "the reader does not run over the rows in which the value is made")
NO_ROWS = Rule("no rows", "they have no rows in common")

# Of an epilogue.
OTHER_SHAPE = Rule("other shape", "the reader has another shape than the running reduction")

# Of common outer loops.
OTHER_RANK = Rule("other rank", "their products have different numbers of axes")
NO_BATCH = Rule("no batch", "a product without a batch has more parallel work as a kernel of its own")
NO_LOOPS = Rule("no loops", "they have no outer loops in common")
OTHER_PLACE = Rule("other place", "under common outer loops the reader would need what is made at another place")
TOO_LARGE = Rule("too large", "what they hand on under common outer loops is not known to fit in half of a core's cache")

RULES = (
    BETWEEN, LATER, MOVED, ELSEWHERE, TOTAL, OTHER_ROWS, NO_ROWS, OTHER_SHAPE, OTHER_RANK, NO_BATCH, NO_LOOPS, OTHER_PLACE,
    TOO_LARGE,
)  # fmt: skip
