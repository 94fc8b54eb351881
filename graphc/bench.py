"""The bench: how long compiled code takes against the interpreter, NumPy node by node, on six kinds of work.

Both run in one process, in turns (see timing.py), on symbols of their own; before anything is timed their results (outputs, and
variables after a call) must agree. Times are medians over about two seconds a workload. What the figures mean:

    interpreted_ms, compiled_ms     one call; the interpreter runs the graph after all graph passes too
    ratio                           interpreted_ms / compiled_ms
    kernels                         kernels that one call runs (the table also says how many of them are distinct)
    arena_bytes                     the arena: the sum of the planned slots, which temporaries share
    buffer_bytes                    what the temporaries would take with a buffer each: the sum over the program's buffers of
                                    role "temporary", before planning; outputs, inputs and variables are in neither figure
    compile_s                       gx.compile and the first call; LLVM was loaded before; cached code is not compiled anew
    numba_ms, numba_compile_s       one call, and compiling, with backend="numba": the same kernels by Numba's compiler
"""

from __future__ import annotations

import json
import math
import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.timing import load_note, medians, without_cache

Array = np.ndarray[Any, Any]
SEED = 0
SECONDS = 2.0  # the time that one workload's measurement takes


@dataclass(frozen=True)
class Declared:
    """A computation as gx.compile takes it."""

    inputs: list[gx.Tensor]
    outputs: Any
    updates: Mapping[gx.Variable, gx.Tensor]


@dataclass(frozen=True)
class Workload:
    """`declare` gives new symbols and variables at every call; `sizes` are the values of its named dimensions."""

    name: str
    declare: Callable[[], Declared]
    arrays: tuple[Array, ...]
    sizes: Mapping[str, int]
    tolerance: float  # of the relative difference in norm


@dataclass(frozen=True)
class Figures:
    """What was measured; see the module."""

    workload: str
    interpreted_ms: float
    compiled_ms: float
    kernels: int
    distinct: int
    interpreted: tuple[str, ...]
    arena_bytes: int
    buffer_bytes: int
    compile_s: float
    numba_ms: float | None
    numba_compile_s: float | None
    difference: float
    tolerance: float

    @property
    def ratio(self) -> float:
        return self.interpreted_ms / self.compiled_ms

    def as_json(self) -> dict[str, str | float | int]:
        measured = {"numba_ms": self.numba_ms, "numba_compile_s": self.numba_compile_s}
        return {
            "workload": self.workload,
            "interpreted_ms": self.interpreted_ms,
            "compiled_ms": self.compiled_ms,
            "ratio": self.ratio,
            "kernels": self.kernels,
            "arena_bytes": self.arena_bytes,
            "buffer_bytes": self.buffer_bytes,
            "compile_s": self.compile_s,
            **{name: value for name, value in measured.items() if value is not None},
        }


# --- the workloads ---------------------------------------------------------------------------------------------------


def workloads(scale: float = 1.0) -> list[Workload]:
    """All of them; `scale` shrinks the sizes."""
    return [
        _elementwise(_size(1_000_000, scale)),
        _softmax(_size(4096, scale)),
        _layer_norm(_size(4096, scale)),
        *(_mlp_step(_size(batch, scale)) for batch in (32, 128, 1024)),
        _black_scholes(_size(100_000, scale)),
        _logistic(_size(5000, scale)),
    ]


def _size(full: int, scale: float) -> int:
    return max(4, round(full * scale))


def _normal(shape: tuple[int, ...], dtype: str = "float32", stream: int = 0) -> Array:
    return np.random.default_rng((SEED, stream)).standard_normal(shape).astype(dtype)


def _elementwise(n: int) -> Workload:
    def declare() -> Declared:
        x, y = gx.placeholder("x", ("n",)), gx.placeholder("y", ("n",))
        z = gx.tanh(x) * gx.exp(-x * x) + y
        return Declared([x, y], gx.sqrt(z * z + 1) * gx.sigmoid(y) - gx.log1p(gx.abs(x)), {})

    return Workload(f"elementwise chain, {n:,} floats", declare, (_normal((n,)), _normal((n,), stream=1)), {"n": n}, 1e-6)


def _softmax(rows: int) -> Workload:
    def declare() -> Declared:
        x = gx.placeholder("x", ("rows", 512))
        return Declared([x], gx.nn.softmax(x), {})

    return Workload(f"softmax, {rows:,} x 512", declare, (_normal((rows, 512)),), {"rows": rows}, 1e-6)


def _layer_norm(rows: int) -> Workload:
    def declare() -> Declared:
        x, weight, bias = gx.placeholder("x", ("rows", 512)), gx.placeholder("weight", (512,)), gx.placeholder("bias", (512,))
        return Declared([x, weight, bias], gx.nn.layer_norm(x, weight, bias), {})

    arrays = (_normal((rows, 512)), _normal((512,), stream=1), _normal((512,), stream=2))
    return Workload(f"layer-norm, {rows:,} x 512", declare, arrays, {"rows": rows}, 1e-6)


def _mlp_step(batch: int) -> Workload:
    sizes = (784, 512, 512, 10)

    def declare() -> Declared:
        x, t = gx.placeholder("x", ("batch", sizes[0])), gx.placeholder("t", ("batch",), "int64")
        h: gx.Tensor = x
        variables: list[gx.Variable] = []
        for layer, (k, n) in enumerate(pairwise(sizes)):
            w = gx.variable(_normal((k, n), stream=layer) * np.float32(math.sqrt(2 / k)), name=f"w{layer}")
            b = gx.variable(np.zeros(n, np.float32), name=f"b{layer}")
            variables += [w, b]
            h = (gx.nn.relu(h) if layer else h) @ w + b
        loss = gx.nn.cross_entropy(h, t)
        return Declared([x, t], loss, gx.optim.adam(loss, variables))

    labels = np.random.default_rng(SEED).integers(0, 10, batch)
    name = f"MLP {'-'.join(map(str, sizes))}, Adam, batch {batch}"
    # Adam's first step is the sign of a gradient where that is far above eps: rounding can turn it where it is not
    return Workload(name, declare, (_normal((batch, sizes[0]), stream=9), labels), {"batch": batch}, 1e-4)


def _black_scholes(n: int) -> Workload:
    """A European call's price, and its derivatives by spot (delta, gamma) and volatility (vega), by gx.grad.

    Black and Scholes, "The pricing of options and corporate liabilities", J. Polit. Econ. 81 (1973).
    """

    def declare() -> Declared:
        spot, strike, years, rate, vol = (gx.placeholder(name, ("n",)) for name in ("spot", "strike", "years", "rate", "vol"))
        deviation = vol * gx.sqrt(years)
        d1 = (gx.log(spot / strike) + (rate + 0.5 * vol * vol) * years) / deviation
        price = spot * _normal_cdf(d1) - strike * gx.exp(-rate * years) * _normal_cdf(d1 - deviation)
        delta, vega = gx.grad(gx.sum(price), [spot, vol])
        gamma = gx.grad(gx.sum(delta), spot)
        return Declared([spot, strike, years, rate, vol], [price, delta, gamma, vega], {})

    rng = np.random.default_rng(SEED)
    ranges = ((80, 120), (90, 110), (0.2, 2), (0.01, 0.05), (0.1, 0.5))
    arrays = tuple(rng.uniform(low, high, n).astype(np.float32) for low, high in ranges)
    return Workload(f"Black-Scholes, 3 greeks, {n:,}", declare, arrays, {"n": n}, 1e-5)


def _normal_cdf(x: gx.Tensor) -> gx.Tensor:
    below: gx.Tensor = 0.5 * (1 + gx.erf(x * math.sqrt(0.5)))
    return below


def _logistic(n: int) -> Workload:
    """The log-density of a logistic regression with 20 coefficients and 50 group intercepts of unknown spread; its gradient."""
    groups, features = 50, 20

    def declare() -> Declared:
        data, group = gx.placeholder("data", ("n", features), "float64"), gx.placeholder("group", ("n",), "int64")
        y = gx.placeholder("y", ("n",), "float64")
        beta, alpha = gx.placeholder("beta", (features,), "float64"), gx.placeholder("alpha", (groups,), "float64")
        spread = gx.placeholder("spread", (), "float64")  # the logarithm of the intercepts' standard deviation
        eta = data @ beta + gx.take(alpha, group)
        likelihood = gx.sum(y * eta - gx.softplus(eta))
        prior = -0.5 * (gx.sum(beta * beta) + gx.sum(alpha * alpha) * gx.exp(-2 * spread) + spread * spread) - groups * spread
        density = likelihood + prior
        return Declared([data, group, y, beta, alpha, spread], [density, *gx.grad(density, [beta, alpha, spread])], {})

    rng = np.random.default_rng(SEED)
    arrays = (
        rng.standard_normal((n, features)), rng.integers(0, groups, n), rng.integers(0, 2, n).astype(np.float64),
        rng.standard_normal(features) / 4, rng.standard_normal(groups) / 2, np.array(-0.7),
    )  # fmt: skip
    return Workload(f"logistic log-density, gradient, {n:,}", declare, arrays, {"n": n}, 1e-11)


# --- the measurement -------------------------------------------------------------------------------------------------


def measure(workload: Workload, seconds: float = SECONDS, backend: str = "llvm", numba: bool = False) -> Figures:
    """Compile, compare, and time in turns for about `seconds`; with Numba's backend too, if so wanted."""
    slow, slow_declared, _ = _compile(workload, "interpreter")
    fast, fast_declared, compile_s = _compile(workload, backend)  # both have run once
    programs, numba_compile_s = [slow, fast], None
    wanted, got = slow(*workload.arrays), fast(*workload.arrays)
    difference = _difference(wanted, got, slow_declared, fast_declared)
    if numba:
        third, declared, numba_compile_s = _compile(workload, "numba")
        difference = max(difference, _difference(wanted, third(*workload.arrays), slow_declared, declared))
        programs.append(third)
    interpreted, compiled, *more = medians([partial(run, *workload.arrays) for run in programs], seconds)
    first, last = _programs(fast)
    temporaries = (b.type.nbytes for b in first.buffers.values() if b.role == "temporary")
    native = {kernel.name for kernel in fast.kernels}
    return Figures(
        workload=workload.name,
        interpreted_ms=interpreted * 1e3,
        compiled_ms=compiled * 1e3,
        kernels=len(last.calls),
        distinct=len(native),
        interpreted=tuple(call.kernel.name for call in last.calls if call.kernel.name not in native),
        arena_bytes=_bytes(last.slots, workload.sizes),
        buffer_bytes=_bytes(temporaries, workload.sizes),
        compile_s=compile_s,
        numba_ms=more[0] * 1e3 if more else None,
        numba_compile_s=numba_compile_s,
        difference=difference,
        tolerance=workload.tolerance,
    )


def _compile(workload: Workload, backend: str) -> tuple[gx.Compiled, Declared, float]:
    """The compiled workload after its first call, and what compiling and calling took."""
    declared = workload.declare()
    start = time.perf_counter()
    run = gx.compile(declared.inputs, declared.outputs, updates=declared.updates, backend=backend)
    run(*workload.arrays)
    return run, declared, time.perf_counter() - start


def _difference(want: Any, got: Any, slow: Declared, fast: Declared) -> float:
    """The largest difference of two results, relative, in the Euclidean norm of each array."""
    listed = [(v if isinstance(v, list) else [v]) for v in (want, got)]
    states = [[v.value for v in d.updates] for d in (slow, fast)]
    worst = 0.0
    for a, b in zip(listed[0] + states[0], listed[1] + states[1], strict=True):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        gap, length = float(np.linalg.norm(a - b)), float(np.linalg.norm(a))
        relative = 0.0 if gap == 0 else gap / length if length else math.inf
        worst = relative if not relative <= worst else worst  # so that NaN stays
    return worst


def _programs(run: gx.Compiled) -> tuple[gx.ir.Program, gx.ir.Program]:
    """The program before and after the passes on programs; without calls where the backend runs the graph itself."""
    found = [stage for _, stage in run.stages if isinstance(stage, gx.ir.Program)]
    return (found[0], found[-1]) if found else (_NOTHING, _NOTHING)


_NOTHING = gx.ir.Program("nothing", {}, ())


def _bytes(sizes: Iterable[int | gx.Dim], dims: Mapping[str, int]) -> int:
    return sum(gx.ir.dims.evaluate(n, dims) for n in sizes)


# --- the report ------------------------------------------------------------------------------------------------------


def bench(
    json_file: Path | None = None, plot_file: Path | None = None, scale: float = 1.0, seconds: float = SECONDS,
    backend: str = "llvm", numba: bool = True,
) -> list[Figures]:  # fmt: skip
    """Measure every workload, with Numba's backend too unless told not to, and print the table; write JSON and a drawing where
    files are given."""
    if plot_file is not None:
        import matplotlib  # noqa: F401  (what is missing should be said before the measurement, not after it)
    note = load_note()
    with without_cache():
        return _bench(json_file, plot_file, scale, seconds, backend, numba, note)


def _bench(
    json_file: Path | None, plot_file: Path | None, scale: float, seconds: float, backend: str, numba: bool, note: str
) -> list[Figures]:  # fmt: skip
    x = gx.placeholder("x", ("n",))
    for name in (backend, *["numba"] * numba):
        gx.compile([x], x + 1, backend=name)(np.zeros(3, np.float32))  # loads LLVM, and Numba
    print(f"Python {platform.python_version()}, NumPy {np.__version__}, {os.cpu_count()} CPUs, backend {backend}")
    print(note)
    print(_HEADER)
    figures = []
    for workload in workloads(scale):
        figures.append(measure(workload, seconds, backend, numba))
        print(_row(figures[-1]), flush=True)
    for f in figures:
        if not f.difference <= f.tolerance:
            print(f"\nRESULTS DIFFER: {f.workload}: by {f.difference:.1e}, relative, where {f.tolerance:.0e} is allowed")
        if f.interpreted or not f.kernels:
            print(f"\nNOT NATIVE: {f.workload}: {', '.join(f.interpreted) or 'everything'} ran interpreted")
    if json_file is not None:
        json_file.write_text(json.dumps([f.as_json() for f in figures], indent=2) + "\n", encoding="utf-8")
    if plot_file is not None:
        plot(figures, plot_file)
    return figures


_HEADER = (
    f"{'workload':<42}{'interpreted':>13}{'compiled':>13}{'ratio':>8}{'kernels':>15}{'arena':>10}{'buffers':>10}{'compile':>9}"
    f"{'by Numba':>13}{'compile':>9}"
)


def _row(f: Figures) -> str:
    kernels = f"{f.kernels} ({f.distinct} dist.)" if f.kernels != f.distinct else str(f.kernels)
    by_numba = "" if f.numba_ms is None else f"{f.numba_ms:>10.3f} ms{f.numba_compile_s:>7.2f} s"
    return (
        f"{f.workload:<42}{f.interpreted_ms:>10.3f} ms{f.compiled_ms:>10.3f} ms{f.ratio:>7.1f}x{kernels:>15}"
        f"{_human(f.arena_bytes):>10}{_human(f.buffer_bytes):>10}{f.compile_s:>7.2f} s{by_numba}"
    )


def _human(count: float) -> str:
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"


def plot(figures: Sequence[Figures], path: Path) -> None:
    """The ratios as bars, on a logarithmic axis, as PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 0.5 * len(figures) + 1.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    ratios = [f.ratio for f in figures]
    bars = axes.barh([f.workload for f in figures], ratios, color=["tab:blue" if r >= 1 else "tab:red" for r in ratios])
    axes.bar_label(bars, [f" {r:.1f}x" for r in ratios])
    axes.axvline(1, color="black", linewidth=1)
    axes.set(xscale="log", xlabel="times as fast as interpreted", xlim=(min(0.7, *ratios) * 0.9, max(ratios) * 1.6))
    axes.invert_yaxis()
    figure.savefig(path, dpi=120)


__all__ = ["Figures", "Workload", "bench", "measure", "plot", "workloads"]
