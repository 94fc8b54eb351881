"""Measure convolutions of few channels against torch's and print the table: python benchmarks/convolutions.py [--json F]

    --only NAMES      shapes whose name contains one of these, such as "1>16" or "7x7"
    --all             every shape, not a choice of them
    --threads N       threads of both (2)
    --times           milliseconds beside the ratios
    --busy            one thread, and its processor time: for a machine on which others are at work

A row is a shape: channels in > out, the kernel, the stride if it is not 1, groups, and batch x size where they are not 64 x 28.
Its figures are torch's time over graphc's, for the three directions in both layouts: over 1 means that graphc is ahead. Images
are padded by half a kernel. Both run in one process, in turns, with the same data in the same layout: torch's NHWC is its memory
format channels_last, of images and of kernels. Results are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

import graphc as gx
from benchmarks.workload import Array, difference, normal

LAYOUTS = ("NCHW", "NHWC")
DIRECTIONS = ("forward", "images", "kernels")
CHANNELS, OUT, KERNELS, STRIDES = (1, 2, 3, 4, 8, 16), (1, 8, 16, 32, 64), (1, 3, 5, 7), (1, 2)
TOLERANCE = 2e-5
REST, TURN, TURNS = 0.03, 0.02, 3  # seconds before a turn, seconds of a turn, turns


@dataclass(frozen=True)
class Shape:
    channels: int
    out: int
    kernel: int = 3
    stride: int = 1
    groups: int = 1
    batch: int = 64
    size: int = 28

    @property
    def name(self) -> str:
        parts = [f"{self.channels}>{self.out} {self.kernel}x{self.kernel}"]
        if self.stride > 1:
            parts.append(f"/{self.stride}")
        if self.groups > 1:
            parts.append(f"in {self.groups} groups")
        if (self.batch, self.size) != (64, 28):
            parts.append(f"of {self.batch}x{self.size}")
        return " ".join(parts)

    @property
    def padding(self) -> int:
        return self.kernel // 2

    @property
    def places(self) -> int:
        return (self.size + 2 * self.padding - self.kernel) // self.stride + 1

    @property
    def flops(self) -> float:
        return 2.0 * self.batch * self.places**2 * self.kernel**2 * self.channels // self.groups * self.out


def shapes(every: bool) -> Iterator[Shape]:
    """All pairs of channels with 3x3 kernels; other kernels and strides for some of the pairs."""
    for channels in CHANNELS:
        for out in OUT:
            for kernel in KERNELS:
                for stride in STRIDES:
                    some = (channels, out) in ((1, 16), (3, 32), (4, 8), (16, 16))
                    if every or (kernel == 3 and stride == 1) or (some and (stride == 1 or kernel > 1)):
                        yield Shape(channels, out, kernel, stride)
    yield Shape(1, 16, batch=8)
    yield Shape(3, 32, batch=8)
    yield Shape(3, 64, 7, 2, batch=8, size=224)  # the stem of a ResNet
    for channels in (16, 64):
        yield Shape(channels, channels, groups=channels)
        yield Shape(channels, channels, stride=2, groups=channels)
    yield Shape(8, 16, groups=4)


Call = Callable[[], Any]


def calls(shape: Shape, layout: str, direction: str) -> tuple[Call, Call]:
    """The same convolution by graphc and by torch; both give an array in the layout."""
    n, s, k, o = shape.batch, shape.size, shape.kernel, shape.places
    inner = shape.channels // shape.groups
    first = layout == "NCHW"
    x = normal((n, shape.channels, s, s) if first else (n, s, s, shape.channels), seed=1)
    w = normal((shape.out, inner, k, k) if first else (k, k, inner, shape.out), seed=2)
    g = normal((n, shape.out, o, o) if first else (n, o, o, shape.out), seed=3)
    return _graphc(shape, layout, direction, x, w, g), _torch(shape, first, direction, x, w, g)


def _graphc(shape: Shape, layout: str, direction: str, x: Array, w: Array, g: Array) -> Call:
    sx, sg = (gx.placeholder(name, ("batch", *a.shape[1:]), "float32") for name, a in (("x", x), ("g", g)))
    sw = gx.placeholder("w", w.shape, "float32")
    y = gx.nn.conv(sx, sw, stride=shape.stride, padding=shape.padding, groups=shape.groups, layout=layout)
    if direction == "forward":
        run = gx.compile([sx, sw], y)
        return lambda: run(x, w)
    dx, dw = gx.vjp(y, [sx, sw], sg)
    run = gx.compile([sx, sw, sg], dx if direction == "images" else dw)
    return lambda: run(x, w, g)


def _torch(shape: Shape, first: bool, direction: str, x: Array, w: Array, g: Array) -> Call:
    import torch

    if first:
        tx, tw, tg = (torch.from_numpy(a) for a in (x, w, g))
    else:
        tx, tw, tg = (torch.from_numpy(a).permute(*p) for a, p in ((x, (0, 3, 1, 2)), (w, (3, 2, 0, 1)), (g, (0, 3, 1, 2))))
        tw = tw.contiguous(memory_format=torch.channels_last)
    stride, padding = [shape.stride] * 2, [shape.padding] * 2

    def call() -> Any:
        with torch.inference_mode():
            if direction == "forward":
                return torch.nn.functional.conv2d(tx, tw, None, stride, padding, 1, shape.groups)
            mask = [direction == "images", direction == "kernels", False]
            made = torch.ops.aten.convolution_backward(
                tg, tx, tw, None, stride, padding, [1, 1], False, [0, 0], shape.groups, mask
            )
            return made[0] if direction == "images" else made[1]

    return call


def result(shape: Shape, first: bool, direction: str, made: Any) -> Array:
    """What torch made, as graphc has it."""
    if first:
        return np.asarray(made)
    return np.asarray(made.permute(*((2, 3, 1, 0) if direction == "kernels" else (0, 2, 3, 1))))


def seconds(functions: tuple[Call, ...], clock: Callable[[], float]) -> list[float]:
    """The least seconds of a call of each, in turns."""
    samples: list[list[float]] = [[] for _ in functions]
    for _ in range(TURNS):
        for function, found in zip(functions, samples, strict=True):
            time.sleep(REST)
            stop = clock() + TURN / 4
            function()
            while clock() < stop:
                function()
            stop += TURN
            while True:
                begin = clock()
                function()
                end = clock()
                found.append(end - begin)
                if end > stop:
                    break
    return [min(found) for found in samples]


def main() -> int:
    parser = argparse.ArgumentParser(description="Convolutions of few channels against torch's.")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="shapes whose name contains one of these")
    parser.add_argument("--all", action="store_true", help="every shape, not a choice of them")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--times", action="store_true", help="milliseconds beside the ratios")
    parser.add_argument("--busy", action="store_true", help="one thread, and its processor time")
    given = parser.parse_args()
    import torch

    clock, threads = (time.thread_time, 1) if given.busy else (time.perf_counter, given.threads)
    torch.set_num_threads(threads)
    gx.set_num_threads(threads)
    figures: dict[str, dict[str, list[float]]] = {}
    print("| shape | " + " | ".join(f"{layout} {d}" for layout in LAYOUTS for d in DIRECTIONS) + " |")
    print("|---|" + "---:|" * 6)
    for shape in shapes(given.all):
        if given.only and not any(text in shape.name for text in given.only):
            continue
        cells = []
        for layout in LAYOUTS:
            for direction in DIRECTIONS:
                ours, theirs = calls(shape, layout, direction)
                gap = difference([result(shape, layout == "NCHW", direction, theirs())], [np.asarray(ours())])
                if not gap < TOLERANCE:
                    print(f"{shape.name}, {layout}, {direction}: results differ by {gap:.1e}", file=sys.stderr)
                    return 1
                a, b = seconds((ours, theirs), clock)
                figures.setdefault(shape.name, {})[f"{layout} {direction}"] = [a, b]
                times = f" ({a * 1e3:.3g} : {b * 1e3:.3g})" if given.times else ""
                cells.append(f"{b / a:.2f}{times}")
        print(f"| {shape.name} | {' | '.join(cells)} |", flush=True)
        if given.json is not None:
            given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    ratios = [b / a for row in figures.values() for a, b in row.values()]
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(
            f"\n{len(ratios)} figures, {sum(r < 1 for r in ratios)} below 1; geometric mean {mean:.2f}, least {min(ratios):.2f}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
