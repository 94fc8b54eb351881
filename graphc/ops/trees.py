"""Trees: symbols in nested tuples, lists and dicts, as loops carry them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Tree = Any  # a leaf, None, or a tuple, list or dict of trees


def flatten(tree: Tree) -> list[Any]:
    """The leaves, left to right; None has none, dicts go by their sorted keys."""
    if tree is None:
        return []
    if isinstance(tree, dict):
        return [leaf for key in sorted(tree) for leaf in flatten(tree[key])]
    if isinstance(tree, (tuple, list)):
        return [leaf for part in tree for leaf in flatten(part)]
    return [tree]


def unflatten(like: Tree, leaves: list[Any]) -> Tree:
    """A tree of the form of another, with these leaves.

    >>> unflatten({"a": 1, "b": (2, None)}, [10, 20])
    {'a': 10, 'b': (20, None)}
    """
    return _fill(like, iter(leaves))


def _fill(like: Tree, leaves: Iterator[Any]) -> Tree:
    if like is None:
        return None
    if isinstance(like, dict):
        made = {key: _fill(like[key], leaves) for key in sorted(like)}
        return {key: made[key] for key in like}
    if isinstance(like, tuple) and hasattr(like, "_fields"):
        return type(like)(*(_fill(part, leaves) for part in like))
    if isinstance(like, (tuple, list)):
        return type(like)(_fill(part, leaves) for part in like)
    return next(leaves)


def form(tree: Tree) -> Any:
    """What two trees have in common that differ in nothing but their leaves."""
    return unflatten(tree, ["*"] * len(flatten(tree)))
