"""What each kernel takes, moves and computes.

Every call is timed alone, again and again on the same memory, so its memory is as warm as it fits into the caches, and the sum
leaves out what stands between kernels. Bytes are those of a kernel's parameters, each read or written once; a kernel that looks
up few rows of a large table is counted as if it read it all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from pathlib import Path
from typing import Any

from graphc.backends.executable import Timing
from graphc.errors import Where
from graphc.inspection import machine
from graphc.inspection.flops import flops
from graphc.inspection.table import count, seconds, table
from graphc.ir import dims
from graphc.ir.graph import Graph, Node
from graphc.ir.html import html_table
from graphc.ir.names import written
from graphc.ir.operation import Contraction, Pointwise, Prefix, Reduction
from graphc.ir.program import Call, Collective, HostCall, Program
from graphc.ir.text import names_of

_HEADER = ("kernel", "what", "calls", "time", "share", "moved", "computed", "bandwidth", "speed", "of peak", "threads", "line")
_INTERPRETED = "interpreted: every node by NumPy"
_WORDS = 40  # characters that say what a kernel does


@dataclass(frozen=True)
class Row:
    """One call of a kernel, or one node of an interpreted graph.

    kernel     the kernel's name, or the node's
    what       its operations
    where      the user's first line that it comes from
    seconds    the median of several runs
    bytes      what it reads and writes
    flops      its floating-point operations
    threads    how many can share it
    dtype      of its floating-point results: "float32", "float64", or "" if it has none
    """

    kernel: str
    what: str
    where: Where | None
    seconds: float
    bytes: int
    flops: int
    threads: int
    dtype: str

    @property
    def bandwidth(self) -> float:
        """Bytes a second."""
        return self.bytes / self.seconds if self.seconds else 0.0

    @property
    def speed(self) -> float:
        """Floating-point operations a second."""
        return self.flops / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Profile:
    """The rows of a program's calls in their order; prints as a table, equal kernels on one line, the dearest first.

    >>> import numpy as np, graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float32")
    >>> found = gx.compile([x], gx.exp(x), backend="interpreter").profile([1.0, 2.0])
    >>> len(found.rows), found.rows[0].what, found.interpreted
    (1, 'exp', True)
    """

    rows: tuple[Row, ...]
    interpreted: bool

    @property
    def total(self) -> float:
        """The seconds of all rows together."""
        return sum(row.seconds for row in self.rows)

    def memory_share(self, row: Row) -> float:
        """A row's bandwidth as a share of the best for about as many bytes: that of this machine, or of another row."""
        if not row.bytes:
            return 0.0
        return row.bandwidth / max(machine.bandwidth(row.bytes), self._reached[machine.rounded(row.bytes)])

    def arithmetic_share(self, row: Row) -> float:
        """A row's speed as a share of the best: that of a large product of matrices on this machine, or of another row."""
        if not (row.flops and row.dtype):
            return 0.0
        return row.speed / max(machine.arithmetic(row.dtype), self._reached[row.dtype])

    @cached_property
    def _reached(self) -> dict[int | str, float]:
        """The best of all rows: a machine that is busy with something else when its peak is measured shows less than it has."""
        found: dict[int | str, float] = {}
        for row in self.rows:
            for key, rate in ((machine.rounded(row.bytes), row.bandwidth), (row.dtype, row.speed)):
                found[key] = max(rate, found.get(key, 0.0))
        return found

    def __iter__(self) -> Iterator[Row]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def __str__(self) -> str:
        text = table(_HEADER, self._lines(), left=2)
        return f"{_INTERPRETED}\n{text}" if self.interpreted else text

    def _repr_html_(self) -> str:
        return html_table(_HEADER, self._lines(), left=2, title=_INTERPRETED if self.interpreted else "")

    def _lines(self) -> list[tuple[str, ...]]:
        groups: dict[str, list[Row]] = {}
        for row in self.rows:
            groups.setdefault(row.kernel, []).append(row)
        lines = sorted(groups.values(), key=lambda rows: -sum(row.seconds for row in rows))
        return [*map(self._line, lines), self._end()]

    def _line(self, rows: Sequence[Row]) -> tuple[str, ...]:
        first = rows[0]
        time, moved, computed = (sum(getattr(row, name) for row in rows) for name in ("seconds", "bytes", "flops"))
        longest = max(rows, key=lambda row: row.seconds)
        memory, arithmetic = self.memory_share(longest), self.arithmetic_share(longest)
        near = f"{memory:.0%} memory" if memory >= arithmetic else f"{arithmetic:.0%} arithmetic"
        return (
            first.kernel, first.what, str(len(rows)), seconds(time), _percent(time, self.total), count(moved, "B"),
            count(computed, "FLOP"), count(moved / time if time else 0, "B/s"), count(computed / time if time else 0, "FLOP/s"),
            near, str(first.threads), "" if first.where is None else str(first.where),
        )  # fmt: skip

    def _end(self) -> tuple[str, ...]:
        moved, computed = (sum(getattr(row, name) for row in self.rows) for name in ("bytes", "flops"))
        per_second = [count(n / self.total if self.total else 0, unit) for n, unit in ((moved, "B/s"), (computed, "FLOP/s"))]
        return (
            "total", "", str(len(self.rows)), seconds(self.total), "", count(moved, "B"), count(computed, "FLOP"), *per_second,
            "", "", "",
        )  # fmt: skip

    def to_chrome(self, path: str | PathLike[str]) -> None:
        """Write the rows one after another as a trace that chrome://tracing and https://ui.perfetto.dev open.

        The format is the JSON object of "Trace Event Format" (Google, 2016), one complete event a call, times in microseconds.
        """
        process = {"pid": 1, "tid": 1}
        events: list[dict[str, Any]] = [{"ph": "M", "name": "process_name", **process, "args": {"name": "graphc"}}]
        start = 0.0
        for row in self.rows:
            details = {
                "what": row.what, "line": str(row.where or ""), "bytes": row.bytes, "flops": row.flops, "threads": row.threads,
                "GB/s": row.bandwidth / 1e9, "GFLOP/s": row.speed / 1e9,
            }  # fmt: skip
            duration = row.seconds * 1e6
            event = {"ph": "X", "name": row.kernel, "cat": "node" if self.interpreted else "kernel", "ts": start, "dur": duration}
            events.append({**event, **process, "args": details})
            start += duration
        Path(path).write_text(json.dumps({"traceEvents": events, "displayTimeUnit": "ns"}), encoding="utf-8")


def _percent(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "0%"


def profile(graph: Graph, program: Program | None, times: Sequence[Timing], sizes: Mapping[str, int]) -> Profile:
    """The profile of a graph whose program's calls, or whose nodes if there is no program, take these times."""
    if program is None:
        names = names_of(graph)
        nodes = [n for n in graph.nodes if not n.is_leaf]
        return Profile(tuple(_of_node(n, names[n], t, sizes) for n, t in zip(nodes, times, strict=True)), True)
    return Profile(tuple(_of_call(graph, c, t, sizes) for c, t in zip(program.calls, times, strict=True)), False)


def _of_call(graph: Graph, call: Call, timing: Timing, sizes: Mapping[str, int]) -> Row:
    kernel = call.kernel
    nodes = [graph.nodes[i] for i in kernel.nodes]
    moved = sum(dims.evaluate(p.type.nbytes, sizes) * (2 if p.mode == "inout" else 1) for p in kernel.params)
    floats = [p.type.dtype.name for p in kernel.params if p.type.dtype.is_float]
    what = _what(nodes)
    if isinstance(kernel, HostCall):
        what = f"{kernel.operation.name}, by Python"
    elif isinstance(kernel, Collective):
        what = f"{'wait for' if kernel.waits else 'start of'} {kernel.operation.name}"
    return Row(
        kernel.name, what, kernel.where[0] if kernel.where else None, timing.seconds, moved, flops(kernel, sizes),
        timing.threads, min(floats, default=""),
    )  # fmt: skip


def _what(nodes: Sequence[Node]) -> str:
    """The operations of a kernel, each once, without those that only move elements if there are others."""
    telling = [n for n in nodes if not (isinstance(n.op.lowering, Pointwise) and not n.op.lowering.elementwise)]
    words = list(dict.fromkeys(n.op.name for n in telling or nodes)) or ["copy"]
    words.sort(key=lambda name: name != "matmul")
    text = ", ".join(words)
    return text if len(text) <= _WORDS else text[: _WORDS - 1].rsplit(", ", 1)[0] + ", …"


def _of_node(node: Node, name: str, timing: Timing, sizes: Mapping[str, int]) -> Row:
    kinds = [n.type for n in (node, *node.inputs)]
    moved = sum(dims.evaluate(kind.nbytes, sizes) for kind in kinds)
    dtype = node.type.dtype.name if node.type.dtype.is_float else ""
    return Row(written(name), node.op.name, node.where, timing.seconds, moved, _node_flops(node, sizes), timing.threads, dtype)


def _node_flops(node: Node, sizes: Mapping[str, int]) -> int:
    if not node.type.dtype.is_float:
        return 0
    match node.op.lowering:
        case Contraction():
            return 2 * dims.evaluate(dims.mul(node.type.size, node.inputs[0].type.shape[-1]), sizes)
        case Reduction() | Prefix():
            return dims.evaluate(node.inputs[0].type.size, sizes)
        case Pointwise(elementwise=True):
            return dims.evaluate(node.type.size, sizes)
    return 0
