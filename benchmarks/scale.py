"""How training grows with ranks, by a simulation: python benchmarks/scale.py [--measure] [--real] [--json FILE] [--plot NAME]

    --measure    measure the constants of this machine anew, and put them into the JSON file: messages between ranks in shared
                 memory, sums, TCP, kernels of the networks (needs the extra `mpi`; a minute)
    --real       measure steps of 2 and 4 ranks (a minute)
    --json       the file of constants and of real runs; docs/generate.py makes the tables of docs/scale.md from docs/scale.json
    --plot       draw efficiency and a step's timeline into NAME.png and NAME-timeline.png

A message of m bytes takes alpha + m beta (Hockney, "The communication challenge for MPP", Parallel Computing 20, 1994). A
collective is messages in rounds, as Thakur, Rabenseifner and Gropp give them ("Optimization of collective communication
operations in MPICH", IJHPCA 19, 2005): of n ranks, with M bytes on each, and gamma seconds for the sum of a byte,

    reduce_scatter, ring      (n - 1) alpha + (n - 1)/n M (beta + gamma)
    reduce_scatter, tree      log2(n) alpha + (n - 1)/n M (beta + gamma)     recursive halving
    reduce_scatter, pairs     (n - 1) alpha + (n - 1)/n M (beta + gamma)     all to all, then each rank adds in a fixed order
    all_gather, ring          (n - 1) alpha + (n - 1)/n M beta
    all_gather, tree          log2(n) alpha + (n - 1)/n M beta               recursive doubling

A step is kernels, one after another, and the network, one bucket of gradients after another. What a rank's processors do for the
network (copies of TCP; all of it in shared memory) they do not do for kernels. MPI goes on only when it is called, between
kernels: a round that is done is seen at the next of them. All ranks wait for the slowest: the largest of n times that spread by
sigma is about sigma sqrt(2 ln n) above their mean.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.report import three  # noqa: E402

RANKS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
BUCKET = 25e6  # bytes
KERNELS = 8  # that a layer's backward pass has: after each, MPI goes on
SPREAD = 0.01  # of a step's time from rank to rank
ADAM = 28  # bytes of an update for each parameter: 4 arrays read, 3 written

Figures = dict[str, Any]


@dataclass(frozen=True)
class Link:
    """What lies between ranks: seconds of a message, of a byte, and of a processor for a byte that is sent and one that comes."""

    name: str
    alpha: float
    beta: float
    work: float
    source: str = ""


@dataclass(frozen=True)
class Host:
    """What a rank has: how often the speed of the machine on which constants were measured, its processors, bytes a second."""

    name: str
    times: float
    cores: int
    memory: float


@dataclass(frozen=True)
class Layer:
    """A layer: bytes of its gradients, and seconds of its kernels for one sample on the machine that was measured."""

    name: str
    bytes: float
    forward: float
    backward: float


@dataclass(frozen=True)
class Network:
    """What is trained: samples of a rank (weak) and of all ranks (strong)."""

    name: str
    sample: str
    layers: tuple[Layer, ...]
    weak: int
    strong: int

    @property
    def bytes(self) -> float:
        return sum(layer.bytes for layer in self.layers)


@dataclass(frozen=True)
class Span:
    """Something that takes time, on a lane: "kernels" or "network"."""

    lane: str
    name: str
    start: float
    stop: float


# --- collectives -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cost:
    """Rounds, and seconds of a collective."""

    rounds: int
    seconds: float


def reduce_scatter(n: int, size: float, link: Link, gamma: float, way: str) -> Cost:
    rounds = math.ceil(math.log2(n)) if way == "tree" else n - 1
    return Cost(rounds, rounds * link.alpha + (n - 1) / n * size * (link.beta + gamma))


def all_gather(n: int, size: float, link: Link, way: str) -> Cost:
    rounds = math.ceil(math.log2(n)) if way == "tree" else n - 1
    return Cost(rounds, rounds * link.alpha + (n - 1) / n * size * link.beta)


def all_reduce(n: int, size: float, link: Link, gamma: float, way: str = "tree") -> Cost:
    """The two after another; way: of both, where "pairs" gathers by a tree."""
    a, b = reduce_scatter(n, size, link, gamma, way), all_gather(n, size, link, "ring" if way == "ring" else "tree")
    return Cost(a.rounds + b.rounds, a.seconds + b.seconds)


# --- a step ------------------------------------------------------------------------------------------------------------


def step(
    network: Network, samples: float, n: int, link: Link, host: Host, gamma: float, *, exact: bool = False,
    bucket: float = BUCKET, polled: bool = True, spread: float = SPREAD,
) -> tuple[float, list[Span]]:  # fmt: skip
    """Seconds of a step with so many samples on each of n ranks, and what it consists of.

    exact: sums in a fixed order, whose exchange begins when the whole gradient is there. polled: MPI goes on between kernels
    alone; without, a thread of MPI's own sees to it.
    """
    spans: list[Span] = []
    works = [(f"forward {x.name}", x.forward * samples / host.times, 0.0) for x in network.layers]
    works += [(f"backward {x.name}", x.backward * samples / host.times, x.bytes) for x in reversed(network.layers)]
    slowed = min(1.0, link.work / (link.beta * host.cores))  # the share of kernels' time that the network takes while it works
    now, free, filled, done = 0.0, 0.0, 0.0, 0.0
    ready: list[tuple[float, float]] = []  # bytes left on the wire of buckets that are under way: (start, stop)
    for place, (name, seconds, made) in enumerate(works):
        start = now
        now = _run(now, seconds, ready, slowed)
        spans.append(Span("kernels", name, start, now))
        filled += made
        last = place == len(works) - 1
        if n > 1 and filled and (last or (filled >= bucket and not exact)):
            cost = all_reduce(n, filled, link, gamma, "pairs" if exact else "tree")
            begin = max(now, free)
            free = begin + cost.seconds
            if not last and polled:
                done = max(done, min(now + cost.rounds * seconds / KERNELS, now + _rest(works, place) + cost.seconds))
            ready.append((begin, free))
            spans.append(Span("network", f"{filled / 1e6:.0f} MB", begin, free))
            filled = 0.0
    end = max(now, free, done)
    update = network.bytes / 4 * ADAM / host.memory
    spans.append(Span("kernels", "update", end, end + update))
    total = end + update
    return total + spread * math.sqrt(2 * math.log(n)) * (now + update), spans


def _rest(works: Sequence[tuple[str, float, float]], place: int) -> float:
    return sum(seconds for _, seconds, _ in works[place + 1 :])


def _run(now: float, seconds: float, ready: list[tuple[float, float]], slowed: float) -> float:
    """When kernels end that begin now: they lose a share of the time in which the network works. Where all of it, the network's
    time comes first."""
    left = seconds
    for start, stop in ready:
        if not left:
            break
        if stop <= now:
            continue
        if start > now:
            if left <= start - now:
                return now + left
            left, now = left - (start - now), start
        could = (stop - now) * (1 - slowed)
        if could >= left:
            return now + left / (1 - slowed)
        left, now = left - could, stop
    return now + left


def efficiency(network: Network, n: int, link: Link, host: Host, gamma: float, strong: bool = False, **how: Any) -> float:
    """Of n ranks: the time of one rank over theirs, with the same samples on each (weak), or the same in all (strong)."""
    if strong:
        one, _ = step(network, network.strong, 1, link, host, gamma, **how)
        all_, _ = step(network, network.strong / n, n, link, host, gamma, **how)
        return one / (n * all_)
    one, _ = step(network, network.weak, 1, link, host, gamma, **how)
    return one / step(network, network.weak, n, link, host, gamma, **how)[0]


# --- the networks --------------------------------------------------------------------------------------------------------


def networks(machine: Figures) -> dict[str, Network]:
    return {n.name: n for n in (_cnn(machine), _resnet(machine), _gpt(machine))}


def _cnn(machine: Figures) -> Network:
    """Measured, layer by layer."""
    layers = [Layer(x["name"], x["bytes"], x["forward"], x["backward"]) for x in machine["cnn"]]
    return Network("CNN, 3 x 3 32-64-128", "images of 32 x 32", tuple(layers), 64, 8192)


def _resnet(machine: Figures) -> Network:
    """He et al. 2016, table 1: operations counted, at the speed of the measured CNN."""
    rate = machine["cnn_flops_per_s"]
    layers: list[Layer] = []

    def conv(name: str, size: int, inner: int, outer: int, side: int) -> None:
        seconds = 2 * size * size * inner * outer * side * side / rate
        layers.append(Layer(name, 4 * (size * size * inner * outer + 2 * outer), seconds, seconds * (2 if layers else 1)))

    conv("stem", 7, 3, 64, 112)
    inner = 64
    for stage, (outer, side) in enumerate(((64, 56), (128, 28), (256, 14), (512, 7)), 1):
        for block in range(2):
            conv(f"{stage}.{block}a", 3, inner, outer, side)
            conv(f"{stage}.{block}b", 3, outer, outer, side)
            if inner != outer:
                conv(f"{stage}.{block}s", 1, inner, outer, side)
            inner = outer
    seconds = 2 * 512 * 1000 / rate
    layers.append(Layer("head", 4 * 513_000, seconds, 2 * seconds))
    return Network("ResNet-18", "images of 224 x 224", tuple(layers), 32, 4096)


GPT = {"layers": 12, "width": 768, "heads": 12, "time": 1024, "vocabulary": 8192}


def _gpt(machine: Figures) -> Network:
    """One block is measured; what is before and after all of them too."""
    d, v, t = GPT["width"], GPT["vocabulary"], GPT["time"]
    block, ends = machine["gpt_block"], machine["gpt_ends"]
    layers = [Layer("embedding", 4 * (v + t) * d, 0.0, 0.0)]
    for i in range(GPT["layers"]):
        layers.append(Layer(f"block {i}", 4 * (12 * d * d + 13 * d), block["forward"], block["backward"]))
    layers.append(Layer("head", 4 * (v * d + v + 2 * d), ends["forward"], ends["backward"]))
    millions = sum(x.bytes for x in layers) / 4e6
    return Network(f"GPT, {millions:.0f} million parameters", "sequences of 1,024 tokens", tuple(layers), 8, 2048)


def links(machine: Figures) -> dict[str, Link]:
    """Between ranks on two machines: stated, with where the figures are from; of a processor's work for TCP what was measured."""
    framing = "1,448 bytes of 1,538 on the wire are data (Ethernet frames of 1,500 bytes, TCP with timestamps)"
    osu = "https://gist.github.com/jfgrimm/3af692a5475bdd4ed836b5a18197a209"
    return {
        "10 Gbit/s": Link(
            "10 Gbit/s", 25e-6, 1 / (1.25e9 * 1448 / 1538), machine["tcp_work"],
            f"{framing}; 25 µs: MPICH by TCP, osu_latency, {osu}",
        ),
        "100 Gbit/s": Link(
            "100 Gbit/s", 1e-6, 1 / 11.6e9, 0.0, f"1 µs and 11.6 GB/s: InfiniBand, osu_latency and osu_bw, {osu}",
        ),
    }  # fmt: skip


def hosts(machine: Figures) -> dict[str, Host]:
    """A rank is a machine: the one that was measured, or one of 16 times its processors, speed and, less, bandwidth."""
    cores, memory = machine["cores"], machine["bytes_per_s"]
    return {
        "2 cores": Host("2 cores", 1, cores, memory),
        "32 cores": Host("32 cores", 16, 16 * cores, 4 * memory),
    }


# --- tables ------------------------------------------------------------------------------------------------------------


def percent(x: float) -> str:
    return f"{100 * x:.1f} %"


def table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = rows
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def constants(figures: Figures) -> str:
    """The block `constants` of docs/scale.md."""
    m = figures["machine"]
    rows = [["constant", "value", "from"]]
    rows.append(["alpha in shared memory", f"{1e6 * m['alpha']:.1f} µs", "ping-pong of 2 ranks, 8 B to 16 MB"])
    rows.append(["1 / beta in shared memory", f"{1e-9 / m['beta']:.1f} GB/s", "the same"])
    for link in links(m).values():
        rows.append([f"alpha, {link.name}", f"{1e6 * link.alpha:.0f} µs", "stated, below"])
        rows.append([f"1 / beta, {link.name}", f"{1e-9 / link.beta:.2f} GB/s", "stated, below"])
    rows.append(["gamma", f"{1e9 * m['gamma']:.3f} ns a byte", "x += y of 8 MB"])
    rows.append(["a processor for TCP", f"{1e9 * m['tcp_work']:.2f} ns a byte", "a connection of this machine, both ends"])
    for network in networks(m).values():
        one = [sum(getattr(x, way) for x in network.layers) for way in ("forward", "backward")]
        took = f"{three(1e3 * one[0])} + {three(1e3 * one[1])} ms"
        rows.append([f"{network.name}: forward, backward", took, f"one of the {network.sample}"])
    sources = "\n".join(f"- {link.name}: {link.source}" for link in links(m).values())
    return f"{m['cpu']}, {m['cores']} processors. Measured {figures['date']}.\n\n{table(rows)}\n\n{sources}"


def collectives(figures: Figures) -> str:
    """The block `collectives`: a bucket's milliseconds by ring, tree, and pairs."""
    m = figures["machine"]
    rows = [["link", "ranks", "ring", "tree", "pairs (fixed order)"]]
    for link in links(m).values():
        for n in (4, 64, 1024):
            ways = [all_reduce(n, BUCKET, link, m["gamma"], way) for way in ("ring", "tree", "pairs")]
            rows.append([link.name, f"{n:,}", *(f"{1e3 * c.seconds:.1f} ms, {c.rounds:,} rounds" for c in ways)])
    return table(rows)


def weak(figures: Figures) -> str:
    """The block `weak`: efficiency at 64 and 1,024 ranks, in every way."""
    return _efficiencies(figures, strong=False)


def strong(figures: Figures) -> str:
    """The block `strong`."""
    return _efficiencies(figures, strong=True)


WAYS: dict[str, dict[str, Any]] = {"overlapped": {}, "the same bits": {"exact": True}}


def _efficiencies(figures: Figures, strong: bool) -> str:
    m = figures["machine"]
    rows = [["network", "a rank", "link", *(f"{way}, {n:,}" for way in WAYS for n in (64, 1024))]]
    for network in networks(m).values():
        samples = f"{network.strong:,} {network.sample} in all" if strong else f"{network.weak} {network.sample}"
        for host in hosts(m).values():
            for link in links(m).values():
                ways = [(n, how) for how in WAYS.values() for n in (64, 1024)]
                found = [efficiency(network, n, link, host, m["gamma"], strong, **how) for n, how in ways]
                rows.append([f"{network.name}; {samples}", host.name, link.name, *map(percent, found)])
    return table(rows)


def goal(figures: Figures) -> str:
    """The block `goal`: the GPT at 64 ranks of 10 Gbit/s."""
    m = figures["machine"]
    network, link = networks(m)[next(n for n in networks(m) if n.startswith("GPT"))], links(m)["10 Gbit/s"]
    rows = [["a rank", "GFLOP/s of a rank", "a step of one rank", *WAYS]]
    tokens = network.weak * GPT["time"]
    work = network.weak * gpt_flops()
    for host in hosts(m).values():
        one, _ = step(network, network.weak, 1, link, host, m["gamma"])
        found = [efficiency(network, 64, link, host, m["gamma"], **how) for how in WAYS.values()]
        rows.append([host.name, f"{work / one / 1e9:,.0f}", f"{one:.2f} s", *map(percent, found)])
    return f"{tokens:,} tokens on each rank, {64 * tokens:,} in all, {network.bytes / 1e6:.0f} MB of gradients.\n\n{table(rows)}"


def gpt_flops() -> float:
    """Operations of a step with one sequence: see benchmarks/workloads/gpt.py."""
    d, t = GPT["width"], GPT["time"]
    return 6 * t * (GPT["layers"] * 12 * d * d + d * GPT["vocabulary"] + GPT["layers"] * (t + 1) * d)


def real(figures: Figures) -> str:
    """The block `real`: steps of 2 and 4 ranks on this machine beside those of the simulation."""
    rows = [["network", "ranks", "measured", "simulated", "apart", "of it exchanges"]]
    for name, n, measured, simulated, exchanges in compared(figures):
        times = [f"{1e3 * seconds:.2f} ms" for seconds in (measured, simulated)]
        rows.append([name, str(n), *times, f"{100 * (simulated / measured - 1):+.0f} %", percent(exchanges)])
    return table(rows) if len(rows) > 1 else "Not measured."


def compared(figures: Figures) -> list[tuple[str, int, float, float, float]]:
    """Network, ranks, measured and simulated seconds of a step, and the share of exchanges in the simulated ones.

    Ranks of one thread share the machine's processors, and what they exchange in shared memory their processors copy: nothing
    overlaps. Each gradient is summed by itself. Kernels, alpha and beta are measured in the same launch: the step without
    exchanges, and sums.
    """
    found = []
    for row in figures.get("real", []):
        network = Network(row["network"], "images", tuple(Layer(**x) for x in row["layers"]), 64, 0)
        took, _ = step(network, 1, 1, Link("", 0, 1, 0), Host("", 1, 1, math.inf), 0.0)
        for n, measured in row["ranks"].items():
            link = shared_memory(measured["sums"], int(n))
            host = Host("", took / measured["alone"], 1, math.inf)
            seconds, spans = step(network, 1, int(n), link, host, 0.0, bucket=1, polled=False, spread=0.0)
            exchanges = sum(s.stop - s.start for s in spans if s.lane == "network")
            found.append((row["network"], int(n), measured["seconds"], seconds, exchanges / seconds))
    return found


def shared_memory(sums: Sequence[Sequence[float]], n: int) -> Link:
    """The link of n ranks in shared memory, by the seconds of sums of all of them: of the least relative squares."""
    from benchmarks.scale_constants import fit

    rounds, moved = 2 * math.ceil(math.log2(n)), 2 * (n - 1) / n
    alpha, beta = fit([(int(size), seconds) for size, seconds in sums])
    return Link("shared memory", max(alpha, 0) / rounds, beta / moved, beta / moved)


BLOCKS: dict[str, Callable[[Figures], str]] = {
    "constants": constants, "collectives": collectives, "weak": weak, "strong": strong, "goal": goal, "real": real,
}  # fmt: skip


# --- pictures ----------------------------------------------------------------------------------------------------------

_COLORS = ("#2b6cb0", "#c05621")


def plot(figures: Figures, path: Path) -> None:
    """Efficiency over ranks: a column for each network, weak above strong."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    m = figures["machine"]
    host = hosts(m)["32 cores"]
    figure = Figure(figsize=(12, 7), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 3, sharex=True, sharey=True)
    for column, network in enumerate(networks(m).values()):
        for row, strong in enumerate((False, True)):
            axes = panels[row][column]
            for color, (title, how) in zip(_COLORS, WAYS.items(), strict=True):
                for dashes, link in zip(("-", "--"), links(m).values(), strict=True):
                    ys = [100 * efficiency(network, n, link, host, m["gamma"], strong, **how) for n in RANKS]
                    axes.plot(RANKS, ys, dashes, color=color, linewidth=1.6, label=f"{link.name}, {title}")
            axes.set(xscale="log", ylim=(0, 103))
            axes.set_xscale("log", base=2)
            axes.set_xticks(RANKS[::2], [f"{n:,}" for n in RANKS[::2]])
            axes.grid(color="#dddddd", linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
            samples = f"{network.strong:,} {network.sample} in all" if strong else f"{network.weak} {network.sample} a rank"
            axes.set_title(f"{network.name}\n{samples}" if not row else samples, fontsize=10)
            if not column:
                axes.set_ylabel(f"{'strong' if strong else 'weak'} efficiency, %")
            if row:
                axes.set_xlabel("ranks of 32 cores")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    figure.savefig(path, dpi=110)


def plot_timeline(figures: Figures, path: Path) -> None:
    """What overlaps what in a step of the GPT on 64 ranks of 10 Gbit/s."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    m = figures["machine"]
    network = next(n for n in networks(m).values() if n.name.startswith("GPT"))
    link, host = links(m)["10 Gbit/s"], hosts(m)["32 cores"]
    figure = Figure(figsize=(12, 4.6), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(2, 1, sharex=True)
    colors = {"forward": "#90cdf4", "backward": "#2b6cb0", "update": "#2f855a", "network": "#dd6b20"}
    for axes, (title, exact) in zip(panels, (("overlapped", False), ("the same bits on any number of ranks", True)), strict=True):
        total, spans = step(network, network.weak, 64, link, host, m["gamma"], exact=exact)
        for span in spans:
            kind = "network" if span.lane == "network" else span.name.split()[0]
            y = 0 if span.lane == "network" else 1
            axes.barh(y, span.stop - span.start, left=span.start, height=0.7, color=colors[kind], edgecolor="white")
        axes.axvline(total, color="black", linewidth=1)
        axes.annotate(f"{total:.2f} s, with the slowest of 64", (total, 1.45), ha="right", fontsize=8, xytext=(-4, 0),
                      textcoords="offset points")  # fmt: skip
        axes.set_yticks([0, 1], ["network", "kernels"])
        axes.set(ylim=(-0.5, 1.75))
        axes.set_title(title, fontsize=10, loc="left")
        axes.spines[["top", "right"]].set_visible(False)
    given = f"{network.weak} {network.sample} on each of 64 ranks of {host.name}, 10 Gbit/s"
    panels[1].set_xlabel(f"seconds of a step: {network.name}, {given}")
    from matplotlib.patches import Patch

    names = {"forward": "forward", "backward": "backward, a layer each", "network": "buckets of gradients", "update": "update"}
    figure.legend(handles=[Patch(color=colors[k], label=text) for k, text in names.items()], loc="outside upper right", ncols=4,
                  fontsize=9, frameon=False)  # fmt: skip
    figure.savefig(path, dpi=110)


def main() -> int:
    parser = argparse.ArgumentParser(description="How training grows with ranks.")
    parser.add_argument("--measure", action="store_true", help="measure the constants anew")
    parser.add_argument("--real", action="store_true", help="measure steps of 2 and 4 ranks")
    parser.add_argument("--json", type=Path, default=ROOT / "docs" / "scale.json", help="the file of constants")
    parser.add_argument("--plot", type=Path, help="draw into PLOT.png and PLOT-timeline.png")
    given = parser.parse_args()
    figures: Figures = json.loads(given.json.read_text(encoding="utf-8")) if given.json.exists() else {}
    if given.measure:
        from benchmarks import scale_constants

        figures |= {"machine": scale_constants.measure(GPT), "date": datetime.date.today().isoformat()}
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    if given.real:
        from benchmarks import scale_constants

        figures["real"] = json.loads(json.dumps(scale_constants.real()))
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    for name, block in BLOCKS.items():
        print(f"--- {name}\n{block(figures)}\n")
    if given.plot is not None:
        plot(figures, given.plot.with_suffix(".png"))
        plot_timeline(figures, given.plot.with_name(f"{given.plot.name}-timeline.png"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
