"""The forms of kernels: what each needs of its operands, and what it gives to its readers.

    form         needs of its operands     gives to its readers
    Rows         the row that it is in     the row that it is in
    Columns      all of them               its elements, one at a time, to an epilogue
    Product      all of them               the same
    Prefix       all of them               the same
    Scatter      all of them               nothing before its end
    Whole        all of them               nothing before its end
    Stages       (made of the first three by `stack`)
    RowPartials  (made of Rows and Columns by `join_row_partials`)

A step asks the form, not which it is: `needs` and `closed` are the rules by which one refuses to join others.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from graphc.ir.dims import Shape
from graphc.ir.graph import Node
from graphc.passes.fusion.refusal import Rule

if TYPE_CHECKING:
    from graphc.passes.fusion.cluster import Cluster

NONE: frozenset[Node] = frozenset()


@dataclass(frozen=True)
class Form:
    """The loops of a kernel: over a shape, whose first `prefix` axes are outer ones."""

    shape: Shape
    prefix: int

    name: ClassVar[str]
    needs: ClassVar[Rule | None] = None  # the rule why it cannot continue in the loops of what it reads; None if it can
    closed: ClassVar[Rule | None] = None  # the rule why its readers cannot continue in its loops; None if they can
    made: ClassVar[str] = ""  # what its epilogue gets, one element at a time; "" where readers get rows
    lends: ClassVar[bool] = False  # whether elementwise code of its epilogue may instead run in its reader
    leads: ClassVar[bool] = False  # whether other clusters may be put under common outer loops with it

    @property
    def gives_rows(self) -> bool:
        """Whether its readers continue row by row."""
        return self.closed is None and not self.made

    @property
    def one_element(self) -> Rule:
        """The rule by which a reduction is not part of its epilogue."""
        return Rule("one element", f"a reduction needs more than one element of what {self.made} makes")

    @property
    def whole_value(self) -> Rule:
        """The rule by which it cannot read what its own epilogue makes."""
        return Rule("whole value", f"{self.made} needs more than one element of the value")

    @property
    def other_count(self) -> Rule:
        """The rule by which code over another number of elements is not part of its epilogue."""
        return Rule("other count", f"the reader has not as many elements as {self.made} makes")

    def goes_under(self, prefix: int) -> bool:
        """Whether it can run under so many outer loops with others."""
        return False

    def carries_partials(self, depth: int) -> bool:
        """Whether partial sums over the first `depth` axes can be computed while it runs."""
        return False


@dataclass(frozen=True)
class Rows(Form):
    """Elementwise code and reductions of trailing axes, row by row.

    totals        reductions over everything, finished by a second kernel
    row_partials  column sums; every block of rows makes a partial sum of each
    """

    totals: frozenset[Node] = NONE
    row_partials: frozenset[Node] = NONE

    name = "rows"

    def joined(self, other: Form, prefix: int) -> Rows:
        """The rows of both, over the longer shape."""
        totals = self.totals | other.totals if isinstance(other, Rows) and other.totals else self.totals
        return Rows(other.shape if len(self.shape) < len(other.shape) else self.shape, prefix, totals, self.row_partials)

    def goes_under(self, prefix: int) -> bool:
        return not self.totals and self.prefix >= prefix

    def carries_partials(self, depth: int) -> bool:
        return self.prefix >= depth


@dataclass(frozen=True)
class Columns(Form):
    """A reduction over leading or scattered axes, and elementwise code on its result."""

    name = "columns"
    needs = Rule("operands", "a sum down the columns needs every row of what it adds")
    made = "a sum down the columns"
    lends = True


@dataclass(frozen=True)
class Product(Form):
    """A contraction, and elementwise code on its result."""

    name = "product"
    needs = Rule("operands", "a product needs whole rows and columns of its operands")
    made = "a product"
    lends = True
    leads = True

    def goes_under(self, prefix: int) -> bool:
        return True


@dataclass(frozen=True)
class Prefix(Form):
    """A running reduction, and elementwise code on its result."""

    name = "prefix"
    needs = Rule("operands", "a running reduction goes along its own axis")
    made = "a running reduction"


@dataclass(frozen=True)
class Scatter(Form):
    """A scatter."""

    name = "scatter"
    needs = Rule("operands", "a scatter reads and writes where its data say")
    closed = Rule("final", "a scatter's elements are final only after its last update")


@dataclass(frozen=True)
class Whole(Form):
    """A loop, a choice, an exchange of ranks or a routine of Python."""

    name = "whole"
    needs = Rule("operands", "a loop, a choice, an exchange or a routine of Python needs whole arrays")
    closed = Rule("final", "a loop, a choice, an exchange or a routine of Python makes whole arrays")


@dataclass(frozen=True)
class Stages(Form):
    """Rows and products under common outer loops: attention's products, and its softmax between them."""

    parts: tuple[Cluster, ...] = ()  # in the order of their data

    name = "stages"


@dataclass(frozen=True)
class RowPartials(Form):
    """Rows that compute partial column sums as they go, and for each of those sums a kernel that adds up the parts."""

    parts: tuple[Cluster, ...] = ()  # the rows, then the columns

    name = "row partials"

    def carries_partials(self, depth: int) -> bool:
        return self.prefix == depth


ALL: tuple[type[Form], ...] = (Rows, Columns, Product, Prefix, Scatter, Whole, Stages, RowPartials)


def rules() -> Iterator[Rule]:
    """All rules by which forms refuse."""
    for kind in ALL:
        form = kind((), 0)
        yield from (rule for rule in (form.needs, form.closed) if rule is not None)
        if form.made:
            yield from (form.one_element, form.whole_value, form.other_count)
