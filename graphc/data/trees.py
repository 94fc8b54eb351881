"""Nested data: arrays in lists, tuples and dicts; None is no array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def leaves(data: Any) -> list[Any]:
    """The arrays of nested data.

    >>> leaves({"a": 1, "b": (2, None)})
    [1, 2]
    """
    if data is None:
        return []
    if isinstance(data, dict):
        return [a for part in data.values() for a in leaves(part)]
    return [a for part in data for a in leaves(part)] if isinstance(data, (list, tuple)) else [data]


def mapped(data: Any, change: Callable[[Any], Any]) -> Any:
    """Nested data with each array changed.

    >>> mapped({"a": 1, "b": (2, None)}, lambda x: 10 * x)
    {'a': 10, 'b': (20, None)}
    """
    if data is None:
        return None
    if isinstance(data, dict):
        return {key: mapped(part, change) for key, part in data.items()}
    return type(data)(mapped(part, change) for part in data) if isinstance(data, (list, tuple)) else change(data)


def form(data: Any) -> Any:
    """What is left of nested data without its arrays: something that can be a key.

    >>> form({"a": 1, "b": (2, None)})
    ('dict', ('a', '*'), ('b', ('tuple', '*', None)))
    """
    if isinstance(data, dict):
        return ("dict", *((key, form(part)) for key, part in data.items()))
    if isinstance(data, (list, tuple)):
        return (type(data).__name__, *map(form, data))
    return None if data is None else "*"
