"""What is compared with what, and when it counts as different."""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from fuzzing.case import Array, Case
from fuzzing.moving import evaluate_moved
from graphc import ir
from graphc.backends.interpreter import evaluate, leaf_value
from graphc.backends.program import evaluate_program
from graphc.ir import dims
from graphc.ir.data import NoData, decode, encode
from graphc.ir.graph import Graph
from graphc.ir.target import find_target
from graphc.ir.text import names_of
from graphc.ir.types import TensorType, TupleType, as_dtype
from graphc.ir.verify import verify
from graphc.ir.verify_program import verify_program
from graphc.passes.fusion.verify import verify_plan
from graphc.passes.lowering import partition_carries

STATEMENTS = 4000  # elements in all of a graph's values, up to which its program is run statement by statement
SPLIT_LOOPS = import_module("graphc.passes.split_loops")  # the name in the package is the pass, not its file
GATHER_FUNCTIONS = import_module("graphc.passes.gather_functions")
LAY_OUT_CONSTANTS = import_module("graphc.passes.lay_out_constants")
LEAST_ROWS = LAY_OUT_CONSTANTS.least_rows


def differing(got: Array, want: Array, movements: Sequence[Array], factor: float) -> str | None:
    """Why `got` is not `want`, given other results that are as right as `want`; None if it is."""
    if (got.dtype, got.shape) != (want.dtype, want.shape):
        return f"type {got.dtype}{list(got.shape)} is not {want.dtype}{list(want.shape)}"
    if not as_dtype(want.dtype).is_float:
        stable = np.ones(want.shape, bool)
        for other in movements:
            stable &= other == want
        wrong = stable & (got != want)
    else:
        nan = np.isnan(want)
        stable, reach, sign = np.ones(want.shape, bool), np.zeros(want.shape), np.ones(want.shape, bool)
        with np.errstate(all="ignore"):
            for other in movements:
                stable &= (np.isnan(other) == nan) & (np.isinf(other) == np.isinf(want))
                sign &= np.signbit(other) == np.signbit(want)
                reach = np.maximum(reach, np.where(np.isfinite(want), np.abs(other.astype(np.float64) - want), 0))
            same = (got == want) | (nan & np.isnan(got))
            near = np.isfinite(got) & np.isfinite(want) & (np.abs(got.astype(np.float64) - want) <= factor * reach)
            signs = np.signbit(got) == np.signbit(want)
        zero = ~nan & sign & (reach == 0) & ~signs
        wrong = stable & (~(same | near) | zero)
    if not wrong.any():
        return None
    place = tuple(int(i) for i in np.argwhere(wrong)[0])
    limit = "" if not as_dtype(want.dtype).is_float else f" within {factor * reach[place]:.3g}"
    return f"{got[place]!r} is not {want[place]!r}{limit} at {list(place)}; {int(wrong.sum())} of {wrong.size} elements are wrong"


def first_difference(case: Case, got: Sequence[Array], want: Sequence[Array], rounding: bool) -> str | None:
    """Looks again, and again: only what stands against many more movements, and a wider margin, is a difference."""
    if all(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes() for a, b in zip(got, want, strict=True)):
        return None
    rng = np.random.default_rng(case.index)
    movements: list[list[Array]] = []
    found = None
    for count, factor in ((8, 8.0), (60, 16.0), (1000, 16.0)):
        movements += [evaluate_moved(case, rng, rounding) for _ in range(count)]
        found = None
        for k, (a, b) in enumerate(zip(got, want, strict=True)):
            why = differing(a, b, [m[k] for m in movements], factor if rounding else 0.0)
            if why is not None:
                root = "output" if k < len(case.graph.outputs) else "update"
                found = f"{root} {k if root == 'output' else k - len(case.graph.outputs)}: {why}"
                break
        if found is None:
            return None
    if rounding and any(np.isnan(b).any() for b in want if as_dtype(b.dtype).is_float) and has_bounds(case):
        kept = [np.where(np.isnan(b), b, a) if as_dtype(b.dtype).is_float else a for a, b in zip(got, want, strict=True)]
        if any(a.tobytes() != b.tobytes() for a, b in zip(got, kept, strict=True)):
            return first_difference(case, kept, want, rounding)
    return found


def has_bounds(case: Case) -> bool:
    """Whether masks became bounds of the case's program: there zero times infinity need not be NaN."""
    source: Any = case.graph
    for change in (*gx.passes.DEFAULT, *gx.passes.LOWERING):
        before, source = source, change(source)
        if change.__name__ == "bound_masks":
            return str(before) != str(source)
    return False


@dataclass(frozen=True)
class Mismatch:
    kind: str
    why: str
    case: Case


def interpreted(case: Case, graph: Graph) -> list[Array]:
    state = case.state
    outputs, updates = evaluate(graph, case.arrays, case.sizes, state)
    new = dict(zip((v for v, _ in graph.updates), updates, strict=True))
    return [*outputs, *(new.get(v, state[v]) for v, _ in case.graph.updates)]


NATIVE = {"backend": "llvm"}  # what native code is made by


def native(cases: Sequence[Case], backend: str) -> list[tuple[list[Array], list[Array]]]:
    """What one compilation of all cases gives on two threads, and as data on one. Variables are put back."""
    graphs = [c.graph for c in cases]
    small = cases[0].index // 8 % 2  # whether what is done with large arrays alone is done with these
    partition_carries.ROWS, partition_carries.ELEMENTS = (1, 1) if small else (8, 512)
    SPLIT_LOOPS.VECTORS = 0 if small else 4
    GATHER_FUNCTIONS.FEW, GATHER_FUNCTIONS.LONG = (1, 0) if small else (4, 256)
    LAY_OUT_CONSTANTS.least_rows = (lambda target: 1) if small else LEAST_ROWS

    def compiled() -> gx.Compiled:
        return gx.compile(
            [x for g in graphs for x in g.inputs], [y for g in graphs for y in g.outputs], [u for g in graphs for u in g.updates],
            backend=backend, name=f"fuzz_{small}",
        )  # fmt: skip

    run = compiled()
    values = [v for c in cases for v in c.values]
    before = [v.copy() for v in values]
    states = [c.state for c in cases]
    found = []
    for threads in (2, 1):
        gx.set_num_threads(threads)
        try:
            outputs = iter((run if threads == 2 else compiled())(*values))  # the second one is the first as data, read back
            found.append(
                [[*(next(outputs) for _ in g.outputs), *(leaf_value(v, {}).copy() for v, _ in g.updates)] for g in graphs]
            )
        finally:
            for state in states:
                for v, held in state.items():
                    leaf_value(v, {})[...] = held
    for v, was in zip(values, before, strict=True):
        assert v.tobytes() == was.tobytes(), "an input was written"
    return list(zip(found[0], found[1], strict=True))


def check_graph(case: Case) -> Mismatch | None:
    """The checks that need no native code."""
    kind = "print"
    try:
        text = str(case.graph)
        if str(ir.parse(text)) != text:
            return Mismatch("print", "print, parse and print gives another text", case)
        kind = "optimised"
        optimised = case.graph
        for change in gx.passes.DEFAULT:
            optimised = verify(change(optimised))
        text = str(optimised)
        if str(ir.parse(text)) != text:
            return Mismatch("print", "print, parse and print of the optimised graph gives another text", case)
        why = first_difference(case, interpreted(case, optimised), interpreted(case, case.graph), rounding=False)
    except Exception as error:
        return Mismatch(kind, crash(error), case)
    return Mismatch("optimised", why, case) if why else None


def elements(kind: TensorType | TupleType, sizes: Mapping[str, int]) -> int:
    parts = kind.parts if isinstance(kind, TupleType) else (kind,)
    return sum(math.prod(dims.evaluate(n, sizes) for n in part.shape) for part in parts)


def check_programs(case: Case) -> Mismatch | None:
    """The program after every pass that makes or changes one: it is sound, reads back, and computes the graph's values."""
    if sum(elements(node.type, case.sizes) for node in case.graph.nodes) > STATEMENTS:
        return None
    try:
        source: Any = case.graph
        for change in gx.passes.DEFAULT:
            source = change(source)
        wanted = interpreted(case, case.graph)
        for change in gx.passes.LOWERING:
            takes_target = "target" in signature(change).parameters
            source = change(source, target=find_target(None)) if takes_target else change(source)
            if isinstance(source, Graph):
                variables = {name: v for v, name in names_of(source).items()}
            if isinstance(source, gx.passes.Plan):
                text = str(verify_plan(source))
                again = ir.parse(text)
                if str(again) != text:
                    return Mismatch("program", "print, parse and print of the plan gives another text", case)
                if str(gx.passes.fuse(again)) != str(gx.passes.fuse(source)):
                    return Mismatch("program", "the plan's text has other kernels than the plan", case)
            if not isinstance(source, gx.ir.Program):
                continue
            program = verify_program(source)
            text = str(program)
            if str(ir.parse(text)) != text:
                return Mismatch("program", f"print, parse and print after {change.__name__} gives another text", case)
            try:
                data = encode(program, program.target, {})
            except NoData:
                data = b""
            if data and str(decode(data, program.target, [])) != text:
                return Mismatch("program", f"the program after {change.__name__} is another one as data", case)
            held = {v.name: case.state[variables[v.name]] for v in program.signature.variables}
            outputs, state = evaluate_program(program, case.values, case.sizes, held)
            new = {variables[name]: value for name, value in state.items()}
            got = [*outputs, *(new.get(v, case.state[v]) for v, _ in case.graph.updates)]
            why = first_difference(case, got, wanted, rounding=True)
            if why:
                return Mismatch("program", f"after {change.__name__}: {why}", case)
    except Exception as error:
        return Mismatch("program", crash(error), case)
    return None


def check_native(cases: Sequence[Case]) -> Iterator[Mismatch]:
    """The checks of native code; many cases share one compilation, and one that fails is looked at alone."""
    try:
        results = native(cases, NATIVE["backend"])
        others = native(cases, "llvm") if NATIVE["backend"] != "llvm" else results
    except Exception as error:
        if len(cases) == 1:
            yield Mismatch("compiled", crash(error), cases[0])
        else:
            for case in cases:
                yield from check_native([case])
        return
    for case, (two, one), (other, _) in zip(cases, results, others, strict=True):
        if any(a.tobytes() != b.tobytes() for a, b in zip(two, one, strict=True)):
            k = next(k for k, (a, b) in enumerate(zip(two, one, strict=True)) if a.tobytes() != b.tobytes())
            yield Mismatch("threads", f"result {k} on two threads is not what it is on one", case)
            continue
        why = first_difference(case, two, interpreted(case, case.graph), rounding=True)
        if why:
            yield Mismatch("compiled", why, case)
            continue
        for k, (a, b) in enumerate(zip(two, other, strict=True)):
            if not same_bits(a, b):
                yield Mismatch("bits", f"result {k} is not what llvm makes of it: {a.ravel()[:9]}, {b.ravel()[:9]}", case)
                break


def same_bits(a: Array, b: Array) -> bool:
    """Whether two arrays are equal bit for bit, but that one NaN is like another."""
    if a.tobytes() == b.tobytes():
        return True
    if a.dtype.kind in "iub":
        return False
    nan = np.isnan(a)
    return bool(np.array_equal(nan, np.isnan(b))) and a[~nan].tobytes() == b[~nan].tobytes()


def crash(error: Exception) -> str:
    path = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(traceback.extract_tb(error.__traceback__)[-4:]))
    return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''} ({path})"
