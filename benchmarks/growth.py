"""How compiling grows with a graph: `python -m benchmarks.growth` prints seconds, in all and by pass, for families of graphs.

    python -m benchmarks.growth                       # every family
    python -m benchmarks.growth --only scan chain     # families whose names begin so
    python -m benchmarks.growth --passes              # every pass that takes a hundredth of the whole
    python -m benchmarks.growth --costs               # what each pass costs a node, of four graphs, as a table

Each graph is declared, differentiated where the family says so, and compiled in a new process with an empty cache, on one thread.
"us a node" is the time over the nodes of the declared graph, those of bodies included: where it stays as it is while nodes
become more, the cost is linear.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import graphc as gx

ARGUMENTS = tuple[Any, Any, Any]  # inputs, outputs, updates


def scalars(carries: int, gradient: bool) -> ARGUMENTS:
    """A scan whose step mixes neighbours among so many scalars."""
    inputs = [gx.placeholder(f"c{i}", (), "float64") for i in range(carries)]

    def step(c: list[Any], _: None) -> tuple[list[Any], None]:
        return [c[i] + 0.01 * gx.sin(c[(i + 1) % carries]) * c[i - 1] for i in range(carries)], None

    last, _ = gx.scan(step, inputs, length=100)
    total: Any = sum(last)
    return inputs, [total, *gx.grad(total, inputs)] if gradient else total, None


def chain(nodes: int, gradient: bool) -> ARGUMENTS:
    x = gx.placeholder("x", ("n",), "float32")
    y = x
    for _ in range(nodes // 2):
        y = y * 0.999 + x
    return [x], [y, gx.grad(gx.sum(y), x)] if gradient else y, None


def mixed(nodes: int, gradient: bool) -> ARGUMENTS:
    """Functions, choices, casts and movements of elements in turn."""
    x = gx.placeholder("x", ("n", 8), "float32")
    y = x
    steps: tuple[Callable[[Any], Any], ...] = (
        lambda y: gx.tanh(y), lambda y: y * x, lambda y: gx.where(y > 0, y, 0.1 * y), lambda y: gx.flip(y, axis=1),
        lambda y: y + gx.exp(-gx.abs(y)), lambda y: gx.maximum(y, x),
    )  # fmt: skip
    for i in range(nodes // 9 * 6):
        y = steps[i % 6](y)
    return [x], [y, gx.grad(gx.sum(y), x)] if gradient else y, None


def reductions(nodes: int, gradient: bool) -> ARGUMENTS:
    """A sum along the rows and elementwise code in turn."""
    x = gx.placeholder("x", ("n", 16), "float32")
    y = x
    for _ in range(nodes // 4):
        y = (y - gx.sum(y, axis=1, keepdims=True)) * x
    return [x], [y, gx.grad(gx.sum(y), x)] if gradient else y, None


def totals(nodes: int, gradient: bool) -> ARGUMENTS:
    """A sum of everything and elementwise code in turn: a kernel or two for each."""
    x = gx.placeholder("x", ("n", 16), "float32")
    y = x
    for _ in range(nodes // 3):
        y = (y - gx.sum(y)) * x
    return [x], [y, gx.grad(gx.sum(y), x)] if gradient else y, None


def wide(readers: int, gradient: bool) -> ARGUMENTS:
    """One value that so many nodes read; what they make is added up in pairs."""
    x = gx.placeholder("x", ("n",), "float32")
    y = gx.exp(x)
    parts = [y * float(i + 1) for i in range(readers)]
    while len(parts) > 1:
        parts = [sum(parts[i + 1 : i + 2], parts[i]) for i in range(0, len(parts), 2)]
    return [x], [parts[0], gx.grad(gx.sum(parts[0]), x)] if gradient else parts[0], None


def outputs(count: int, gradient: bool) -> ARGUMENTS:
    """So many results of one argument."""
    x = gx.placeholder("x", ("n",), "float32")
    y = gx.exp(x)
    made = [y * float(i + 1) for i in range(count)]
    return [x], [*made, gx.grad(gx.sum(made[0]), x)] if gradient else made, None


def arguments(count: int, gradient: bool) -> ARGUMENTS:
    """So many arguments of sizes of their own, each of which gives something to a sum."""
    given = [gx.placeholder(f"x{i}", (f"n{i}",), "float32") for i in range(count)]
    parts = [gx.sum(gx.exp(x)) for x in given]
    total: Any = sum(parts)
    return given, [total, *gx.grad(total, given)] if gradient else total, None


def adam(variables: int, gradient: bool) -> ARGUMENTS:
    """A step of Adam for so many vectors."""
    x = gx.placeholder("x", ("n", 8), "float32")
    held = [gx.variable(np.ones(8, np.float32), name=f"v{i}") for i in range(variables)]
    y = x
    for v in held:
        y = y * v
    loss = gx.mean(y)
    return [x], loss, gx.optim.adam(loss, held, lr=1e-3) if gradient else None


def gpt(layers: int, gradient: bool) -> ARGUMENTS:
    """A training step of a small GPT."""
    from benchmarks.workloads.gpt import Shape, logits, parameters

    shape = Shape(layers=layers)
    held = {name: gx.variable(a, name=name) for name, a in parameters(shape).items()}
    tokens, targets = (gx.placeholder(name, ("batch", shape.time), "int64") for name in ("tokens", "targets"))
    loss = gx.nn.cross_entropy(logits(shape, held, tokens), targets)
    return [tokens, targets], loss, gx.optim.adam(loss, list(held.values()), 1e-3) if gradient else None


@dataclass(frozen=True)
class Family:
    """Graphs of one kind: `build(size, gradient)` declares one."""

    name: str
    build: Callable[[int, bool], ARGUMENTS]
    sizes: tuple[int, ...]
    gradients: tuple[int, ...] = ()  # the sizes with gradients


FAMILIES = (
    Family("scan of scalars", scalars, (4, 15, 60, 120, 240), (4, 15, 60, 120, 240)),
    Family("chain", chain, (2_500, 10_000, 40_000, 100_000), (2_500, 10_000, 40_000)),
    Family("mixed chain", mixed, (2_500, 10_000, 40_000), (2_500, 10_000)),
    Family("reductions in a chain", reductions, (2_500, 10_000, 40_000), (2_500, 10_000)),
    Family("totals in a chain", totals, (1_000, 4_000), (1_000, 4_000)),
    Family("wide", wide, (2_500, 10_000), (2_500, 10_000)),
    Family("outputs", outputs, (100, 400, 1_000)),
    Family("arguments", arguments, (100, 400, 1_000), (100, 400, 1_000)),
    Family("adam", adam, (), (100, 400, 1_000)),
    Family("gpt", gpt, (4, 12, 24), (4, 12, 24)),
)


class Clock:
    """Seconds by name; what runs inside another counts there no more."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.open: list[float] = []

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.process_time()
        self.open.append(0.0)
        try:
            yield
        finally:
            spent = time.process_time() - start
            self.seconds[name] = self.seconds.get(name, 0) + spent - self.open.pop()
            if self.open:
                self.open[-1] += spent

    def watch(self, module: Any, function: str, name: str) -> None:
        """Count the calls of a module's function under a name."""
        inner = getattr(module, function)

        def timed(*args: Any, **named: Any) -> Any:
            with self.of(name):
                return inner(*args, **named)

        timed.__name__ = inner.__name__
        setattr(module, function, timed)


def measure(family: Family, size: int, gradient: bool) -> dict[str, Any]:
    """Seconds by pass of one graph, in this process."""
    from graphc import passes
    from graphc.backends.llvm import compile as native
    from graphc.backends.llvm import executor, frontend
    from graphc.ir.graph import subgraphs

    clock = Clock()

    def timed(change: Any) -> Any:
        @functools.wraps(change)
        def run(graph: Any, **more: Any) -> Any:
            with clock.of(change.__name__):
                return change(graph, **more)

        return run

    passes.LOWERING = tuple(map(timed, passes.LOWERING))
    clock.watch(native, "print_source", "print source")
    clock.watch(frontend, "translate", "front end")
    clock.watch(native, "compile_text", "LLVM")
    clock.watch(executor, "compile_kernels", "load")
    x = gx.placeholder("x", ("n",), "float32")
    gx.compile([x], x + 1)([1.0])  # what the first program of a process loads
    clock.seconds.clear()
    start = time.process_time()
    with clock.of("declare"):
        inputs, results, updates = family.build(size, gradient)
    with clock.of("the rest"):
        made = gx.compile(inputs, results, updates, passes=tuple(map(timed, passes.DEFAULT)))
    spent = time.process_time() - start
    count, todo = 0, [made.stages[0][1]]
    while todo:
        nodes = todo.pop().nodes  # type: ignore[union-attr]
        count += len(nodes)
        todo += [body for node in nodes for body in subgraphs(node)]
    return {"seconds": spent, "nodes": count, "kernels": len(made.program.calls), "by": clock.seconds}


def row(family: Family, size: int, gradient: bool, limit: float) -> dict[str, Any] | None:
    """The same in a new process with an empty cache; None where it takes longer than `limit`."""
    with tempfile.TemporaryDirectory() as folder:
        own = {"GRAPHC_CACHE_DIR": folder, "GRAPHC_PROGRAMS": "0", "GRAPHC_NUM_THREADS": "1", "GRAPHC_COMPILERS": "1"}
        command = [sys.executable, "-m", "benchmarks.growth", "--one", family.name, str(size), str(int(gradient))]
        try:
            found = subprocess.run(command, env=os.environ | own, capture_output=True, text=True, timeout=limit)
        except subprocess.TimeoutExpired:
            return None
    if found.returncode:
        raise RuntimeError(found.stderr)
    made: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return made


COSTS = (("chain", 10_000, False), ("gpt", 4, True), ("gpt", 24, True), ("scan of scalars", 60, True))
LEAST = 0.3  # microseconds a node: what costs less in every graph is left out of the table


def costs(limit: float) -> str:
    """Microseconds a node, by pass, as Markdown: rows in the order in which passes run."""
    found = [row(next(f for f in FAMILIES if f.name == name), size, gradient, limit) for name, size, gradient in COSTS]
    measured = [one for one in found if one is not None]
    titles = [f"{name} {size:,}" + (", gradient" if g else "") for (name, size, g), one in zip(COSTS, found, strict=True) if one]
    order = list(dict.fromkeys(name for one in measured for name in one["by"]))
    each = {name: [1e6 * one["by"].get(name, 0) / one["nodes"] for one in measured] for name in order}
    lines = ["| | " + " | ".join(titles) + " |", "| --- |" + " ---: |" * len(measured)]
    lines.append("| nodes | " + " | ".join(f"{one['nodes']:,}" for one in measured) + " |")
    lines += [f"| {name} | {' | '.join(f'{v:.1f}' for v in row)} |" for name, row in each.items() if max(row) >= LEAST]
    lines.append("| all | " + " | ".join(f"{1e6 * one['seconds'] / one['nodes']:.0f}" for one in measured) + " |")
    lines.append("| seconds | " + " | ".join(f"{one['seconds']:.2f}" for one in measured) + " |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", default=[""], help="families whose names begin so")
    parser.add_argument("--passes", action="store_true", help="the seconds of passes too")
    parser.add_argument("--costs", action="store_true", help="a table of what passes cost a node")
    parser.add_argument("--limit", type=float, default=120, help="seconds after which a graph is given up")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        name, size, gradient = given.one
        print(json.dumps(measure(next(f for f in FAMILIES if f.name == name), int(size), gradient == "1")))
        return
    if given.costs:
        print(costs(given.limit))
        return
    print("| graph | size | nodes | kernels | seconds | us a node | passes | source, front end | LLVM |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |", flush=True)
    for family in FAMILIES:
        if not family.name.startswith(tuple(given.only)):
            continue
        for size, gradient in [*((s, False) for s in family.sizes), *((s, True) for s in family.gradients)]:
            found = row(family, size, gradient, given.limit)
            title = family.name + (", gradient" if gradient else "")
            if found is None:
                print(f"| {title} | {size:,} | | | over {given.limit:g} |", flush=True)
                continue
            by, spent, nodes = found["by"], found["seconds"], found["nodes"]
            printed = by.get("print source", 0) + by.get("front end", 0)
            native = by.get("LLVM", 0) + by.get("load", 0)
            print(
                f"| {title} | {size:,} | {nodes:,} | {found['kernels']:,} | {spent:.2f} | {1e6 * spent / nodes:.0f} "
                f"| {spent - printed - native:.2f} | {printed:.2f} | {native:.2f} |", flush=True,
            )  # fmt: skip
            if given.passes:
                for name, seconds in sorted(by.items(), key=lambda pair: -pair[1]):
                    if seconds > spent / 50:
                        print(f"    {name:20} {seconds:.2f}", flush=True)


if __name__ == "__main__":
    main()
