"""Tables in HTML, for notebooks: plain markup that needs no style sheet."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1, title: str = "") -> str:
    """Rows as a table; the first `left` columns and the last one start at the left, the others end at the right.

    >>> html_table(("a", "b"), [("1 < 2", "x")]).count("&lt;")
    1
    """
    last = len(header) - 1

    def cells(tag: str, line: Sequence[str]) -> str:
        made = []
        for i, text in enumerate(line):
            side = "left" if i < left or i == last else "right"
            lines = html.escape(text).replace("\n", "<br>")
            made.append(f'<{tag} style="text-align: {side}">{lines}</{tag}>')
        return f"<tr>{''.join(made)}</tr>"

    top = f'<caption style="text-align: left">{html.escape(title)}</caption>' if title else ""
    body = "\n".join(cells("td", row) for row in rows)
    return f"<table>{top}\n<thead>{cells('th', header)}</thead>\n<tbody>\n{body}\n</tbody></table>"
