"""A pass from rules as text.

    three_halves = rules("three_halves: pow(x, 1.5) => multiply(x, sqrt(x))")

    %0 = pow(%x, 1.5)      =>      %0 = sqrt(%x)
                                   %1 = multiply(%x, %0)

Afterwards none of its rules fits, in the graph and in the graphs inside it. The notation is that of ir/rewrite.py.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from graphc.ir.graph import Graph, nested
from graphc.ir.rewrite import Rule, parse_rules, rewrite


@dataclass(frozen=True)
class Rules:
    """A pass that applies `rules` until none fits; `f.stages` lists it by its name."""

    rules: tuple[Rule, ...]
    __name__: str

    def __call__(self, graph: Graph) -> Graph:
        return nested(lambda g: rewrite(g, self.rules))(graph)

    def __str__(self) -> str:
        return "\n".join(map(str, self.rules))


def rules(text: str, *, name: str | None = None, **helpers: Callable[..., Any]) -> Rules:
    """The pass of rules that a text denotes, a line each: `name: pattern => result if condition` (see graphc/ir/rewrite.py).

    name: of the pass; that of the first rule unless given. helpers: functions that results and conditions call by name.
    ParseError with line and column. Whether the rules are true is for `gx.testing.check_rules` to say.

    >>> import graphc as gx
    >>> twice = gx.passes.rules("twice: add(x: float, x) => multiply(x, 2)")
    >>> x = gx.placeholder("x", (), "float64")
    >>> print(gx.compile([x], x + x, passes=(*gx.passes.DEFAULT, twice), backend="interpreter").graph.outputs[0].op.name)
    multiply
    """
    found = parse_rules(text, **helpers)
    return Rules(found, name or (found[0].name if found else "rules"))
