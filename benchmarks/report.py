"""The comparison as text, as Markdown and as a drawing, from the figures in the JSON of `benchmarks/peers.py`.

The JSON: `machine` says where it was measured; `rows` has for each row

    name, kind, wanted, at_most      see benchmarks/workload.py
    figures                          contender -> seconds of a call, or of the first call, or bytes of memory
    notes                            contender -> why it has no figure
    best, ratio                      the best peer, and its figure over graphc's: over 1 means that graphc is ahead
    limit_s                          the seconds that the machine needs at least, by its measured peak and bandwidth; 0: unknown
    differences, tolerance           how far each contender's results are from graphc's, and may be
    least                            contender -> the least of its samples: closer to a machine at rest where this one was busy
    spread                           contender -> interquartile range of its samples over their median
    calls                            of the rows on growth: contender -> seconds of a call
    date                             when the row was measured
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.workload import CONTENDERS

Figures = dict[str, Any]
PEERS = CONTENDERS[1:]
_SHORT = {"not served": "–", "not installed": "absent", "not asked": ""}


def judge(row: Figures, machine: Figures) -> Figures:
    """The row with its best peer, its ratio and its limit."""
    peers = {n: f for n, f in row["figures"].items() if n != "graphc"}
    best = min(peers, key=lambda n: peers[n]) if peers else None
    own = row["figures"].get("graphc")
    ratio = peers[best] / own if best is not None and own else None
    limit = 0.0
    if row["kind"] == "call":
        limit = max(row["flops"] / machine["flops_per_s"], row["bytes"] / machine["bytes_per_s"])
    return {**row, "best": best, "ratio": ratio, "limit_s": limit}


def judged(machine: Figures, rows: Sequence[Figures]) -> tuple[Figures, list[Figures]]:
    """The machine and all rows; what a contender reached in a row is possible, so it raises the machine's limits."""
    machine = dict(machine)
    for row in rows:
        if row["kind"] == "call" and row["figures"]:
            least = min(row["figures"].values())
            machine["flops_per_s"] = max(machine["flops_per_s"], row["flops"] / least)
            machine["bytes_per_s"] = max(machine["bytes_per_s"], row["bytes"] / least)
    return machine, [judge(row, machine) for row in rows]


def fell_short(row: Figures) -> str:
    """What is wanted of graphc and not reached, or nothing."""
    own, reasons = row["figures"].get("graphc"), []
    if own is None:
        return f"graphc has no figure: {row['notes'].get('graphc', 'not asked')}"
    if row["wanted"] is not None and row["ratio"] is not None and row["ratio"] < row["wanted"]:
        reasons.append(f"{two(row['ratio'])} where {row['wanted']:g} is wanted")
    if row["at_most"] is not None and own > row["at_most"]:
        reasons.append(f"{amount(own, row['kind'])} where {amount(row['at_most'], row['kind'])} is allowed")
    return ", ".join(reasons)


# --- numbers ---------------------------------------------------------------------------------------------------------


def amount(figure: float, kind: str = "call") -> str:
    """Seconds or bytes in a unit that suits."""
    units = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")) if kind in ("memory", "added") else ((1, "s"), (1e-3, "ms"), (1e-6, "µs"))
    size, unit = next((u for u in units if figure >= u[0]), units[-1])
    return f"{three(figure / size)} {unit}"


def three(value: float) -> str:
    """Three significant digits, without an exponent."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text and abs(value) >= 1 else text


def two(ratio: float) -> str:
    """Two decimals below 10, fewer above."""
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:.1f}" if ratio < 100 else f"{ratio:.0f}"


def cells(row: Figures, peers: Sequence[str] = PEERS) -> list[str]:
    """Workload, graphc, every peer, the best peer, ratio, wanted, share of the limit."""
    own = row["figures"].get("graphc")
    return [
        row["name"], _own(row), *(_peer(row, peer) for peer in peers), row["best"] or "",
        two(row["ratio"]) if row["ratio"] is not None else "", f"{row['wanted']:g}" if row["wanted"] is not None else "",
        f"{100 * row['limit_s'] / own:.0f} %" if own and row["limit_s"] else "",
    ]  # fmt: skip


def _own(row: Figures) -> str:
    figure = row["figures"].get("graphc")
    return amount(figure, row["kind"]) if figure is not None else _noted(row, "graphc")


def _peer(row: Figures, peer: str) -> str:
    """The peer's figure over graphc's; the figure itself where graphc has none."""
    figure, own = row["figures"].get(peer), row["figures"].get("graphc")
    if figure is None:
        return _noted(row, peer)
    return two(figure / own) if own else amount(figure, row["kind"])


def _noted(row: Figures, contender: str) -> str:
    note = row["notes"].get(contender, "not asked")
    return _SHORT.get(note, note.split(" by ")[0].split(":")[0])


_TITLES = ["workload", "graphc", *PEERS, "best peer", "ratio", "wanted", "of limit"]
_WIDTHS = [52, 9, *(max(8, len(p) + 1) for p in PEERS), 14, 7, 7, 9]


# --- text ------------------------------------------------------------------------------------------------------------


def header() -> str:
    return _line(_TITLES)


def line(row: Figures) -> str:
    return _line(cells(row))


def _line(columns: Sequence[str]) -> str:
    first, *others = columns
    return f"{first:<{_WIDTHS[0]}}" + "".join(f"{cell:>{width}}" for cell, width in zip(others, _WIDTHS[1:], strict=True))


def machine_line(machine: Figures) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{machine['cpu']}, {machine['threads']} threads; peak {machine['flops_per_s'] / 1e9:.0f} GFLOP/s (float32), "
        f"{machine['bytes_per_s'] / 1e9:.0f} GB/s; Python {machine['python']}, {versions}"
    )


# --- Markdown --------------------------------------------------------------------------------------------------------


def table(figures: Figures) -> str:
    """The rows that have a wanted ratio."""
    rows = [r for r in figures["rows"] if r["kind"] != "growth"]
    body = [_TITLES, ["---"] + ["---:"] * len(PEERS) + ["---:", "---", "---:", "---:", "---:"], *map(cells, rows)]
    days = sorted({r["date"][:10] for r in rows})
    when = days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"
    return "\n".join([f"{machine_line(figures['machine'])}. Measured {when}.", "", *(f"| {' | '.join(c)} |" for c in body)])


def shortfalls(figures: Figures) -> str:
    """A list of what is wanted and not reached."""
    found = [(r["name"], fell_short(r)) for r in figures["rows"]]
    lines = [f"- {name}: {reason}" for name, reason in found if reason]
    return "\n".join(lines) if lines else "Nothing."


def growth(figures: Figures) -> str:
    """How the first call and a call grow with a size."""
    rows = [r for r in figures["rows"] if r["kind"] == "growth"]
    names = [n for n in CONTENDERS if any(n in r["figures"] or n in r.get("calls", {}) for r in rows)]
    titles = ["workload", *(f"{n}, first call" for n in names), *(f"{n}, a call" for n in names)]
    body = [titles, ["---"] + ["---:"] * (2 * len(names))]
    for r in rows:
        first = [amount(r["figures"][n]) if n in r["figures"] else _noted(r, n) for n in names]
        calls = [amount(r["calls"][n]) if n in r["calls"] else _noted(r, n) for n in names]
        body.append([r["name"].removeprefix("growth: "), *first, *calls])
    return "\n".join(f"| {' | '.join(cells)} |" for cells in body)


# --- drawing ---------------------------------------------------------------------------------------------------------

_AHEAD, _SHORT_OF, _BEHIND = "#2a7f62", "#d9a441", "#b3423a"


def plot(figures: Figures, path: Path) -> None:
    """The ratio of each row as a bar from 1, on a logarithmic axis, with a mark at the wanted one."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    rows = [r for r in figures["rows"] if r["ratio"] is not None and r["wanted"] is not None]
    figure = Figure(figsize=(11, 0.3 * len(rows) + 1.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ratios = [r["ratio"] for r in rows]
    low, high = min(0.5, *ratios) / 1.5, max(4.0, *ratios) * 3
    for place, row in enumerate(rows):
        ratio, wanted = row["ratio"], row["wanted"]
        color = _AHEAD if ratio >= wanted else _SHORT_OF if ratio >= 1 else _BEHIND
        axes.barh(place, ratio - 1, left=1, height=0.62, color=color)
        axes.plot([wanted, wanted], [place - 0.42, place + 0.42], color="black", linewidth=1.6)
        axes.annotate(
            f" {two(ratio)}  {row['best']}", (max(ratio, wanted, 1), place), xytext=(3, 0), textcoords="offset points",
            va="center", fontsize=8,
        )  # fmt: skip
    axes.axvline(1, color="black", linewidth=0.8)
    axes.set_yticks(range(len(rows)), [r["name"] for r in rows], fontsize=8)
    ticks = [t for t in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= t <= high]
    axes.set(xscale="log", xlim=(low, high), ylim=(len(rows) - 0.4, -0.6))
    axes.set_xticks(ticks, [f"{t:g}" for t in ticks])
    axes.minorticks_off()
    axes.set_xlabel("best peer's figure over graphc's, and which peer that is; the marks are what is wanted")
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    legend = ((_AHEAD, "as wanted"), (_SHORT_OF, "ahead, less than wanted"), (_BEHIND, "behind"))
    axes.legend(handles=[Patch(color=c, label=text) for c, text in legend], loc="lower right", fontsize=8, framealpha=1)
    figure.savefig(path, dpi=120)
