"""Copies of symbols, for `copy.deepcopy`.

    [w, y]        =>   [w', y']      y' reads w', as y reads w
    [x, x * 2]    =>   the same      what reads no variable never changes, so it is its own copy

A variable is copied with its value, its name, the variable whose state it is, and its default update. Functions are copied as
themselves by Python, so a gradient rule that reads a variable which is none of its arguments goes on reading that one.
"""

from __future__ import annotations

from typing import Any

from graphc.ir.graph import Node, topological
from graphc.ops.tensor import Tensor
from graphc.ops.variables import Variable


def deep(root: Tensor, memo: dict[int, Any]) -> Tensor:
    """A symbol over copies of the variables that it reads; `memo` has by their ids what was copied already."""
    updated: list[Variable] = []
    todo: list[Node] = [root]
    while todo:
        node = todo[-1]
        owner = node.owner if isinstance(node, Variable) else None
        waiting = [n for n in (node.inputs if owner is None else (owner,)) if id(n) not in memo]
        if id(node) in memo:
            todo.pop()
        elif waiting:
            todo += reversed(waiting)
        elif isinstance(node, Variable):
            todo.pop()
            memo[id(node)] = node.twin(None if owner is None else memo[id(owner)])
            if node.default_update is not None:
                updated.append(node)
                todo.append(node.default_update)
        else:
            todo.pop()
            memo[id(node)] = node.with_inputs(tuple(memo[id(n)] for n in node.inputs))
    for v in updated:
        memo[id(v)].default_update = memo[id(v.default_update)]
    made: Tensor = memo[id(root)]
    return made


def shallow(v: Variable) -> Variable:
    """Another variable of the same value, name and owner. Its default update reads it where the first one's reads that."""
    around = topological([n for n in (v.owner, v.default_update) if n is not None])
    found = deep(v, {id(n): n for n in around if isinstance(n, Variable) and n is not v})
    assert isinstance(found, Variable)
    return found
