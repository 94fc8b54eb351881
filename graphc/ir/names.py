"""Names of inputs and variables: which there may be, how texts write them, and how they are told apart in a collection.

A name that somebody gives is kept as it is, whatever the models of others call things: `0.ln1.g`, `encoder/0/w:0`. What makes
names unique belongs to a collection, not to the process: the same variables have the same names wherever else a program lives.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, TypeVar

from graphc.ir.graph import Node

N = TypeVar("N", bound=Node)

PLAIN = r"[\w.]+"  # what stands after % without quotes
QUOTED = r'"(?:[^"\\\n]|\\.)*"'
_UNREADABLE = frozenset(("Cc", "Cs", "Zl", "Zp"))  # control characters, halves of pairs, ends of lines


def is_name(name: object) -> bool:
    """Whether an input or a variable may be called so: any text of at least one character, and on one line."""
    return isinstance(name, str) and name != "" and not any(unicodedata.category(c) in _UNREADABLE for c in name)


def quoted(text: str) -> str:
    """A text in quotes, on one line."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def unquoted(text: str) -> str:
    """What `quoted` was given."""
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text[1:-1])


@lru_cache(maxsize=4096)
def written(name: str) -> str:
    """A value as texts show it: `%w`, and `%"w:0"` where the name has characters that would end it."""
    return f"%{name if re.fullmatch(PLAIN, name) else quoted(name)}"


def unused(name: str, taken: Iterable[str]) -> str:
    """The name, or the first of name_1, name_2, ... that is not taken."""
    found, number = name, 0
    while found in taken:
        number += 1
        found = f"{name}_{number}"
    return found


def collected(variables: Iterable[N]) -> dict[str, N]:
    """Variables by names that are unique among them, in the order of their birth.

    A name that was given is kept by the first who has it; whoever else wants it gets `_1`, `_2`, ... in the order of birth. A
    variable that is the state of another stands under that one's name here.
    """
    ordered: list[Any] = sorted(dict.fromkeys(variables), key=lambda v: v.number)
    names: dict[Any, str] = {}
    taken: set[str] = set()
    for v in ordered:
        if v.given and v.owner is None and v.called not in taken:
            names[v] = v.called
            taken.add(v.called)
    numbers: dict[str, int] = {}  # of the last who wanted a name
    for v in ordered:
        if v not in names:
            wanted = name = _wanted(v, names)
            while name in taken:
                numbers[wanted] = numbers.get(wanted, 0) + 1
                name = f"{wanted}_{numbers[wanted]}"
            names[v] = name
            taken.add(name)
    return {names[v]: v for v in ordered}


def _wanted(v: Any, names: dict[Any, str]) -> str:
    """What a variable is called after those whose state it is."""
    parts = [v.called]
    while (v := v.owner) is not None:
        parts.append(names.get(v, v.called))
        if v in names:
            break
    return ".".join(reversed(parts))
