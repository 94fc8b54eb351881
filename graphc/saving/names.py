"""Names in a file as names of variables: a mapping of regular expressions, a function, or the names themselves."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from graphc.errors import FileError, InputError, caller

Place = str | tuple[str, tuple[int, ...]] | None  # a name; a name and an order of axes; nothing
Names = Mapping[str, Place] | Callable[[str], Place] | Iterable[str]


def mapped(what: str, names: Names | None, given: Iterable[str]) -> dict[str, tuple[str, tuple[int, ...] | None]]:
    """By the names that are wanted: the name that is given, and in which order its axes are wanted."""
    change = _function(what, names)
    found: dict[str, tuple[str, tuple[int, ...] | None]] = {}
    for name in given:
        place = _checked(what, name, change(name))
        if place is None:
            continue
        wanted, axes = place
        if wanted in found:
            raise FileError(
                f"{what}: names makes {wanted!r} of both {found[wanted][0]!r} and {name!r}", where=caller(),
                hint="None in the place of a name leaves one out",
            )  # fmt: skip
        found[wanted] = name, axes
    return found


def _function(what: str, names: Names | None) -> Callable[[str], Any]:
    if names is None:
        return lambda name: name
    if isinstance(names, Mapping):
        return _patterns(what, names)
    if callable(names):
        return names
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InputError(
            f"{what}: names is {type(names).__name__}", where=caller(),
            hint="give a mapping of regular expressions to names, a function of a name, or a list of names",
        )  # fmt: skip
    kept = set(names)
    return lambda name: name if name in kept else None


def _patterns(what: str, names: Mapping[str, Place]) -> Callable[[str], Any]:
    """The first expression that a whole name fits says what it is called; a name that none fits stays."""
    try:
        patterns = [(re.compile(pattern), place) for pattern, place in names.items()]
    except (re.error, TypeError) as error:
        raise InputError(f"{what}: names has an expression that is none: {error}", where=caller()) from error

    def change(name: str) -> Any:
        for pattern, place in patterns:
            found = pattern.fullmatch(name)
            if found is None:
                continue
            if place is None:
                return None
            text, *axes = place if isinstance(place, tuple) else (place,)
            try:
                return (found.expand(text), *axes) if axes else found.expand(text)
            except (re.error, IndexError, TypeError) as error:
                raise InputError(f"{what}: names cannot make {text!r} of {name!r}: {error}", where=caller()) from error
        return name

    return change


def _checked(what: str, name: str, place: Any) -> tuple[str, tuple[int, ...] | None] | None:
    if place is None or isinstance(place, str):
        return None if place is None else (place, None)
    match place:
        case (str() as wanted, (*axes,)) if all(type(a) is int for a in axes) and sorted(axes) == list(range(len(axes))):
            return wanted, tuple(axes)
    raise InputError(
        f"{what}: names gives {place!r} for {name!r}", where=caller(),
        hint="give a name, None, or a pair of a name and an order of axes, as in ('kernel', (1, 0))",
    )  # fmt: skip
