"""Columns of text, and numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Rows in aligned columns; the first `left` columns start at the left, the others end at the right, the last one is free.

    >>> print(table(("kernel", "time", "line"), [("k0", "12 us", "a.py:1"), ("k10", "3 us", "a.py:22")]))
    kernel   time  line
    k0      12 us  a.py:1
    k10      3 us  a.py:22
    """
    lines = [header, *rows]
    last = len(header) - 1
    widths = [max(len(line[c]) for line in lines) for c in range(last)]

    def cell(line: Sequence[str], c: int) -> str:
        if c == last:
            return line[c]
        return line[c].ljust(widths[c]) if c < left else line[c].rjust(widths[c])

    return "\n".join("  ".join(cell(line, c) for c in range(len(header))).rstrip() for line in lines)


def seconds(value: float) -> str:
    """
    >>> seconds(0.00001234), seconds(1.5), seconds(3e-8)
    ('12.3 us', '1.5 s', '30 ns')
    """
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if value >= size:
            return f"{three(value / size)} {unit}"
    return f"{value * 1e9:.0f} ns"


def count(value: float, unit: str = "") -> str:
    """A number with a prefix for its power of 1000.

    >>> count(1_234_567, "B"), count(999), count(0, "F")
    ('1.23 MB', '999', '0 F')
    """
    prefixes = ("", "k", "M", "G", "T", "P")
    for prefix in prefixes:
        if value < 999.5 or prefix == prefixes[-1]:
            break
        value /= 1000
    return f"{three(value)} {prefix}{unit}".rstrip()


def three(value: float) -> str:
    """Three significant digits, without an exponent.

    >>> three(1234.5), three(0.0123456), three(12.0)
    ('1234', '0.0123', '12')
    """
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
