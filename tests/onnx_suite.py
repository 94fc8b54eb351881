"""ONNX's own suite on graphc.onnx: python tests/onnx_suite.py [-k NAME] [--failures]

The cases are those of `onnx.backend.test`: a model, and inputs with the outputs that they must give.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import onnx  # noqa: E402
from onnx import TensorProto, numpy_helper  # noqa: E402
from onnx.backend.test.loader import load_model_tests  # noqa: E402
from onnx.backend.test.runner import Runner  # noqa: E402

from graphc.onnx import ModelError, load  # noqa: E402
from graphc.onnx.reading import DTYPES  # noqa: E402


def is_dense(model: onnx.ModelProto) -> bool:
    """Whether all that goes in and out are tensors of numbers of 8 bits and more."""
    for info in (*model.graph.input, *model.graph.output):
        if not info.type.HasField("tensor_type") or info.type.tensor_type.elem_type not in DTYPES:
            return False
    return True


def content(case: Any) -> tuple[onnx.ModelProto, list[tuple[list[Any], list[Any]]]]:
    """The model of a case, and pairs of inputs and outputs."""
    if case.url and "/light/" in case.url:
        path = Path(onnx.__file__).parent.parent / case.url
        model = onnx.load(path)
        constants = {t.name for t in model.graph.initializer}
        given = [
            Runner.generate_dummy_data(i, seed=0, name=case.model_name, random=False)
            for i in model.graph.input if i.name not in constants
        ]  # fmt: skip
        return model, [(given, [_array(path.with_name(f"{path.stem}_output_0.pb"))])]
    if case.model is not None:
        return case.model, [(list(given), list(wanted)) for given, wanted in case.data_sets]
    folder = Path(case.model_dir)
    sets = []
    for data in sorted(folder.glob("test_data_set_*")):
        sets.append((_arrays(data, "input"), _arrays(data, "output")))
    return onnx.load(folder / "model.onnx", load_external_data=False), sets


def _arrays(folder: Path, kind: str) -> list[Any]:
    found = []
    for i in range(len(list(folder.glob(f"{kind}_*.pb")))):
        found.append(_array(folder / f"{kind}_{i}.pb"))
    return found


def _array(path: Path) -> Any:
    tensor = TensorProto()
    tensor.ParseFromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def as_array(value: Any) -> Any:
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def run(model: onnx.ModelProto, given: list[Any], backend: str) -> list[Any]:
    """The outputs of a model. Inputs of integers that sizes depend on are known when it is read."""
    constants = {t.name for t in model.graph.initializer}
    named = dict(zip((i.name for i in model.graph.input if i.name not in constants), given, strict=False))
    known: dict[str, Any] = {}
    while True:
        try:
            read = load(model, values=known)
            break
        except ModelError as error:
            if not {*error.needs} - {*known} or not {*error.needs} <= {*named}:
                raise
            known.update({name: named[name] for name in error.needs})
    return read.compile(backend=backend, progress=False)(*(named[name] for name in read.inputs))


def run_case(case: Any, model: onnx.ModelProto, sets: Any, backend: str) -> str:
    """What went wrong; nothing if nothing did."""
    for inputs, wanted in sets:
        try:
            made = run(model, [as_array(a) for a in inputs], backend)
        except ModelError as error:
            return f"refused: {error.message}"
        for y, want in zip(made, [as_array(a) for a in wanted], strict=False):
            if y.dtype != want.dtype or y.shape != want.shape:
                return f"wrong: {y.dtype}{list(y.shape)} instead of {want.dtype}{list(want.shape)}"
            if y.dtype.kind in "biu":
                if not np.array_equal(y, want):
                    return "wrong: integers differ"
                continue
            a, b = y.astype(np.float64), want.astype(np.float64)
            if not np.allclose(a, b, rtol=case.rtol, atol=case.atol, equal_nan=True):
                return f"wrong: by {np.nanmax(np.abs(a - b)):.3g}"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="")
    parser.add_argument("--kinds", nargs="+", default=["node", "simple", "pytorch-operator", "pytorch-converted", "real"])
    parser.add_argument("--backend", default="interpreter")
    parser.add_argument("--failures", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    for kind in options.kinds:
        counts: Counter[str] = Counter()
        for case in load_model_tests(kind=kind):
            if options.k not in case.name:
                continue
            model, sets = content(case)
            if not is_dense(model):
                counts["other types"] += 1
                continue
            try:
                wrong = run_case(case, model, sets, options.backend)
            except Exception as error:
                wrong = f"crash: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
            counts[wrong.partition(":")[0] or "passed"] += 1
            if wrong and options.failures:
                print(f"{case.name}: {wrong}")
        print(kind, dict(counts))


if __name__ == "__main__":
    main()
