"""How nouns print: a class asks here, and the file that stands above it answers.

Graphs, kernels and programs know nothing of their text (text.py, program_text.py) and their drawing (dot.py): those files
register how each kind is printed. `graphc.ir` imports them, so what is there prints.
"""

from __future__ import annotations

from functools import singledispatch
from typing import Any


@singledispatch
def text_of(noun: Any) -> str:
    """The text of a noun, by its class."""
    raise TypeError(f"{type(noun).__name__} has no text")


@singledispatch
def notebook_of(noun: Any) -> dict[str, str]:
    """What a notebook shows of a noun, by its class: a text for each MIME type."""
    raise TypeError(f"{type(noun).__name__} has no drawing")


class Printed:
    """A noun whose text is registered with `text_of`."""

    __slots__ = ()

    def __str__(self) -> str:
        return text_of(self)


__all__ = ["Printed", "notebook_of", "text_of"]
