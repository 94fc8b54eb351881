"""Errors that name the operation, the types, the user's own line, and the remedy."""

from __future__ import annotations

import copy
import linecache
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import NoReturn

import numpy as np

PACKAGE = str(Path(__file__).parent)
_LIBRARIES = (PACKAGE, str(Path(np.__file__).parent / "x")[:-1], copy.__file__)


@dataclass(frozen=True)
class Where:
    """A line of the user's source."""

    file: str
    line: int

    def __call__(self, *args: object) -> NoReturn:
        """torch's x.where(condition, other) is not this."""
        raise InputError("x.where is the line of source where x was made", where=caller(), hint="gx.where(condition, x, other)")

    def __str__(self) -> str:
        text = source(self)
        return f"{Path(self.file).name}:{self.line}" + (f"   {text}" if text else "")


def source(where: Where | None) -> str:
    """The text of a line of the user's; empty where it is not known."""
    return "" if where is None else linecache.getline(where.file, where.line).strip()


_line = lru_cache(maxsize=4096)(Where)
_inside: dict[str, bool] = {}  # whether a file is one of the libraries'


def caller() -> Where | None:
    """The innermost line on the stack that lies outside graphc, NumPy and `copy`, whose functions may call graphc's."""
    frame = sys._getframe(1)
    while frame is not None:
        file = frame.f_code.co_filename
        inside = _inside.get(file)
        if inside is None:
            inside = _inside[file] = file.startswith(_LIBRARIES)
        if not inside:
            return _line(file, frame.f_lineno)
        if frame.f_back is None:
            return None
        frame = frame.f_back
    return None


class GraphWarning(UserWarning):
    """Something works, but not the way its user would want."""


class PromotionWarning(GraphWarning):
    """float64 enters a computation of narrower floats."""


class GraphError(Exception):
    """Wrong use of graphc.

    The message says what happened and with which types; `where` is the user's line (a chain of them when
    two lines disagree); `hint` says what to do.

    >>> raise GraphError("matmul needs equal inner dimensions", hint="transpose one")
    Traceback (most recent call last):
    graphc.errors.GraphError: matmul needs equal inner dimensions
      hint: transpose one
    """

    def __init__(self, message: str, *, where: Where | None = None, hint: str | None = None) -> None:
        self.message = message
        self.where = where
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        lines = [self.message]
        if self.where is not None:
            lines.append(f"  {self.where}")
        if self.hint:
            lines.append(f"  hint: {self.hint}")
        return "\n".join(lines)


class ShapeError(GraphError, ValueError):
    """Shapes, ranks, axes or sizes that do not fit."""


class DTypeError(GraphError, TypeError):
    """Data types that do not fit."""


class InputError(GraphError, TypeError):
    """A missing, unknown or unusable argument of a call."""


class GradientError(GraphError, TypeError):
    """A gradient of something that has none."""


class ParseError(GraphError, ValueError):
    """Graph text that does not parse; the message gives line and column."""


class FileError(GraphError, ValueError):
    """A file that does not hold what it should, or not in a form that can be read."""


class NotFiniteError(GraphError, FloatingPointError):
    """A training step whose results are not finite."""


class DistributedError(GraphError, RuntimeError):
    """One of several ranks is at fault: `rank` is its number, and the message says what became of it."""

    def __init__(self, message: str, *, where: Where | None = None, hint: str | None = None, rank: int | None = None) -> None:
        self.rank = rank
        super().__init__(message, where=where, hint=hint)


class UnknownNameError(GraphError, AttributeError):
    """A name that is not there; the hint tells one that is."""
