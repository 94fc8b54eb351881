"""ONNX's own suite on graphc.onnx: python tests/onnx_suite.py [--failures] [--json FILE]

    -k NAME           cases whose name contains it
    --kinds KIND ...  of node simple pytorch-operator pytorch-converted real; all by default
    --backend NAME    interpreter by default; llvm for native code
    --part K/N        the K-th of N parts of the cases
    --json FILE       add what came of it to the file: docs/onnx-suite.json is what the documents show

The cases are those of `onnx.backend.test`: a model, and inputs with the outputs that they must give. What does not pass has its
reason in `REASONS`; a case that fails without one ends the run with 1.
"""

from __future__ import annotations

import argparse
import json
import re
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

KINDS = ("node", "simple", "pytorch-operator", "pytorch-converted", "real")
REASONS = {  # names of cases that do not pass, as a regular expression, and why
    r"test_(attention|causal_conv).*(fp16|16)": "the last digit of 16 bits: graphc computes in float32 and rounds once, the "
    "reference rounds at every step",
    r"test_dft_inverse": "differs by 2e-6 where 1e-7 is asked for",
    r"test_image_decoder": "files of images are not decoded",
    r"test_(bernoulli|randomuniform|training_dropout)": "numbers at random are not read",
}


def reason(name: str) -> str:
    """Why a case does not pass; nothing where nobody has said it."""
    return next((why for pattern, why in REASONS.items() if re.match(pattern, name)), "")


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


def main() -> int:
    parser = argparse.ArgumentParser(description="ONNX's own suite on graphc.onnx.")
    parser.add_argument("-k", default="")
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--backend", default="interpreter")
    parser.add_argument("--part", default="1/1")
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    part, parts = map(int, options.part.split("/"))
    unexplained = []
    for kind in options.kinds:
        counts: Counter[str] = Counter()
        failed: dict[str, str] = {}
        for case in sorted(load_model_tests(kind=kind), key=lambda case: case.name)[part - 1 :: parts]:
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
            if wrong:
                failed[case.name] = reason(case.name)
                unexplained += [] if failed[case.name] else [case.name]
            if wrong and (options.failures or not failed[case.name]):
                print(f"{case.name}: {wrong}", flush=True)
        print(kind, dict(counts), flush=True)
        if options.json is not None:
            record(options.json, options.backend, kind, counts, failed)
    if unexplained:
        print(f"{len(unexplained)} fail without a reason in REASONS")
    return 1 if unexplained else 0


def record(file: Path, backend: str, kind: str, counts: Counter[str], failed: dict[str, str]) -> None:
    """Put the counts of one kind of cases into a file."""
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    cases = sum(counts.values()) - counts["other types"]
    entry = {"passed": counts["passed"], "cases": cases, "other types": counts["other types"], "failed": failed}
    found |= {"onnx": onnx.__version__, backend: found.get(backend, {}) | {kind: entry}}
    file.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
