"""Every operation of the vocabulary as an ONNX model, run by onnxruntime: python tests/onnx_walk.py [-k NAME] [--graphs N]

    --functions N   and N calls of every public function of gx, gx.nn, gx.linalg, gx.fft and gx.stats, drawn as tests/bad_calls.py
                    draws them, of those that give symbols
    --graphs N      and N random graphs, as tests/fuzz.py has them

The operands are those of the walk over the vocabulary (tests/test_walk.py): every sample with every data type. A result must be
graphc's: within the bound that graphc's own code is held to, or within ROUNDINGS units of the last place of an element or of a
hundredth of the largest, which is how far onnxruntime's own functions and sums are off.
"""

from __future__ import annotations

import argparse
import signal
import sys
import warnings
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent))
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import onnx
import test_walk as walk
from ml_dtypes import finfo
from onnx import TensorProto

import graphc as gx
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.graph import topological
from graphc.onnx import ModelError, to_model

Array = np.ndarray[Any, Any]
ROUNDINGS = 16
SUMS = ("fft", "irfft", "rfft")  # whose small elements are as far off as the large ones


def session(model: onnx.ModelProto) -> Any:
    """onnxruntime's session of a model."""
    import onnxruntime

    onnxruntime.set_default_logger_severity(4)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(model: onnx.ModelProto, arrays: dict[str, Array]) -> list[Array]:
    """The outputs of a model by onnxruntime; arrays of bfloat16 go in and out by their bits."""
    from onnxruntime import OrtValue

    found = session(readable(model))
    given = {}
    for name, a in arrays.items():
        if a.dtype.name == "bfloat16":
            bits = np.ascontiguousarray(a).view(np.uint16).reshape(a.shape)
            given[name] = OrtValue.ortvalue_from_numpy_with_onnx_type(bits, TensorProto.BFLOAT16)
        else:
            given[name] = OrtValue.ortvalue_from_numpy(np.ascontiguousarray(a).reshape(a.shape))
    made = [value.numpy() for value in found.run_with_ort_values(None, given)]
    kinds = [o.type.tensor_type.elem_type for o in model.graph.output]
    return [y.astype(t.bfloat16.numpy) if kind == TensorProto.BFLOAT16 else y for y, kind in zip(made, kinds, strict=True)]


def readable(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with outputs of bfloat16, which onnxruntime gives no array of, in float32."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for output in made.graph.output:
        if output.type.tensor_type.elem_type == TensorProto.BFLOAT16:
            made.graph.node.append(onnx.helper.make_node("Cast", [output.name], [f"{output.name}.wide"], to=TensorProto.FLOAT))
            output.name, output.type.tensor_type.elem_type = f"{output.name}.wide", TensorProto.FLOAT
    return made


def untyped(model: onnx.ModelProto) -> list[str]:
    """The values whose type inference does not tell."""
    found = onnx.shape_inference.infer_shapes(model, check_type=True, strict_mode=True, data_prop=True)
    typed = {i.name for i in (*found.graph.value_info, *found.graph.output) if i.type.tensor_type.HasField("shape")}
    return [name for node in found.graph.node for name in node.output if name and name not in typed]


def near(got: Array, want: Array, least: float = 0.01) -> bool:
    """Whether two arrays differ by some roundings at most, of an element or of a share of the largest."""
    if (got.dtype, got.shape) != (want.dtype, want.shape):
        return False
    dtype = t.as_dtype(got.dtype)
    if not dtype.is_float:
        return bool(np.array_equal(got, want))
    a, b = got.astype(np.float64), want.astype(np.float64)
    if not np.array_equal(np.isnan(a), np.isnan(b)) or not np.array_equal(a[np.isinf(b)], b[np.isinf(b)]):
        return False
    finite = np.isfinite(b)
    unit = float(finfo(dtype.numpy).eps)
    largest = np.max(np.abs(b[finite]), initial=float(finfo(dtype.numpy).tiny))
    return bool(np.all(np.abs(a[finite] - b[finite]) <= ROUNDINGS * unit * np.maximum(np.abs(b[finite]), least * largest)))


def try_case(case: walk.Case, rng: np.random.Generator) -> str:
    """What went wrong; nothing if nothing did."""
    symbols = [gx.placeholder(f"x{i}", x.shape, x.dtype) for i, x in enumerate(case.types)]
    arrays = case.arrays(rng)
    with np.errstate(all="ignore"):
        want = walk.parts(case.op.reference(*arrays, **case.sample.attrs))
        results = walk.parts(case.op(*symbols, **case.sample.attrs))
    try:
        model = to_model(symbols, list(results))
    except ModelError as error:
        return f"refused: {error.message}"
    onnx.checker.check_model(model, full_check=True)
    lost = untyped(model)
    if lost:
        return f"untyped: {lost}"
    made = run(model, {f"x{i}": a for i, a in enumerate(arrays)})
    for got, w in zip(made, want, strict=True):
        try:
            walk.check(case.op, case.sample.attrs, arrays, got, w)
        except AssertionError as error:
            if not near(got, w, 1.0 if case.op.name in SUMS else 0.01):
                return f"wrong: {str(error).splitlines()[0][:300]}"
    return ""


ENOUGH = {2: 1e-2, 4: 1e-4, 8: 1e-6}  # of a random graph's results, by the bytes of an element


def try_graph(case: Any) -> str:
    """What went wrong with a random graph."""
    graph = case.graph
    return compared(list(graph.inputs), list(graph.outputs), list(graph.updates), case.values)


def compared(inputs: list[Any], outputs: list[Any], updates: list[Any], values: Any) -> str:
    """What went wrong: outputs by onnxruntime are those of the interpreter, but for roundings."""
    try:
        model = to_model(inputs, outputs, updates)
    except ModelError as error:
        return f"refused: {error.message}"
    onnx.checker.check_model(model, full_check=True)
    lost = untyped(model)
    if lost:
        return f"untyped: {lost}"
    wanted = gx.compile(inputs, outputs, backend="interpreter", passes=())(*values)
    made = run(model, {x.attrs["name"]: np.asarray(a) for x, a in zip(inputs, values, strict=True)})
    for number, (got, want) in enumerate(zip(made, wanted, strict=False)):
        if (got.dtype, got.shape) != (want.dtype, want.shape):
            return f"wrong: output {number} is {got.dtype}{list(got.shape)} instead of {want.dtype}{list(want.shape)}"
        a, b = got.astype(np.float64), want.astype(np.float64)
        share = ENOUGH.get(want.itemsize, 0.0) if t.as_dtype(want.dtype).is_float else 0.0
        largest = min(float(np.max(np.abs(b[np.isfinite(b)]), initial=0)), 1e30)
        beyond = ~np.isfinite(a) & ~np.isfinite(b)  # whether that is inf or NaN may hang on the order of a sum
        a, b = np.where(beyond, 0, a), np.where(beyond, 0, b)
        least = float(finfo(want.dtype).eps) if share else 0.0  # what a sine of many turns is off by
        near_enough = np.isclose(a, b, rtol=share, atol=max(0.1 * share * largest, least), equal_nan=True)
        if not near_enough.all():
            attends = any(n.op_type == "Attention" for n in model.graph.node)
            if attends and np.isnan(a[~near_enough]).all() and not all(map(_is_finite, values)):
                return "onnxruntime adds a mask to scores, so NaN stays NaN"
            return f"wrong: output {number} is off by {np.nanmax(np.abs(a - b))}"
    return ""


def _is_finite(value: Any) -> bool:
    array = np.asarray(value)
    return not t.as_dtype(array.dtype).is_float or bool(np.isfinite(array.astype(np.float64)).all())


HOMES = ("gx.", "gx.nn.", "gx.linalg.", "gx.fft.", "gx.stats.")
DRAWS = 400  # calls of a function, most of which are refused, as they are meant to be


def functions(count: int, seed: int, only: str) -> int:
    """Calls of every public function; gives how many went wrong."""
    import bad_calls

    counts: Counter[str] = Counter()
    none: list[str] = []
    signal.signal(signal.SIGALRM, bad_calls._alarm)
    for name, function in bad_calls.functions().items():
        if not any(name.startswith(home) and "." not in name[len(home) :] for home in HOMES) or only not in name:
            continue
        tried = 0
        for i in range(DRAWS):
            arguments = bad_calls.Arguments(np.random.default_rng((seed, i, zlib.crc32(name.encode()))))
            call = arguments.call(name, function)
            what, result = bad_calls.attempt(call)
            outputs = bad_calls.symbols(result) if what == "works" else []
            nodes = list(topological(outputs))
            inputs = [x for x in nodes if x.op.name == "input"]
            if not inputs or not _small(nodes):
                continue
            values = [bad_calls.drawn(arguments.rng, x) for x in inputs]
            if any(n.op.name.startswith("searchsorted") for n in nodes):  # it is not defined on what has no order
                values = [np.sort(v, axis=-1) if v.ndim else v for v in values]
            try:
                wrong = compared(inputs, outputs, [], values)
            except gx.GraphError:
                continue  # sizes that do not fit, which are seen when it runs
            except Exception as error:
                wrong = f"crash: {type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
                if "FusedMatMul alpha attribute" in wrong:
                    wrong = "onnxruntime fuses a factor that is inf into a product, and refuses it"
            counts[wrong.partition(":")[0] or "passed"] += 1
            if wrong.startswith(("wrong", "crash", "untyped")):
                print(f"{call}: {wrong}")
            tried += 1
            if tried == count:
                break
        counts["functions"] += bool(tried)
        if not tried:
            none.append(name)
    print("functions:", dict(counts))
    print("no call drawn:", *none)
    return counts["wrong"] + counts["crash"] + counts["untyped"]


def _small(nodes: list[Any]) -> bool:
    import bad_calls

    sizes = [x.type.size for x in nodes if isinstance(x, gx.Tensor) and hasattr(x.type, "size")]
    try:
        return all(dims.evaluate(size, bad_calls.SIZES) <= bad_calls.LARGEST for size in sizes)
    except KeyError:
        return False  # a name that no input has


def graphs(count: int, seed: int) -> int:
    """Random graphs of the whole vocabulary, as tests/fuzz.py has them; gives how many went wrong."""
    from fuzzing.graphs import build

    counts: Counter[str] = Counter()
    for index in range(count):
        try:
            wrong = try_graph(build(seed, index))
        except Exception as error:
            wrong = f"crash: {type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
        counts[wrong.partition(":")[0] or "passed"] += 1
        if wrong:
            print(f"graph {index}: {wrong}")
    print("random graphs:", dict(counts))
    return counts["wrong"] + counts["crash"] + counts["untyped"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-k", default="")
    parser.add_argument("--failures", action="store_true")
    parser.add_argument("--graphs", type=int, default=0, help="random graphs beside the walk")
    parser.add_argument("--functions", type=int, default=0, help="calls of every public function beside the walk")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--dtypes", nargs="*", default=[d.name for d in t.DTYPES])
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    counts: Counter[str] = Counter()
    by_op: dict[str, str] = {}
    for op in walk.OPERATIONS:
        if options.k not in op.name:
            continue
        rng = walk.rng_of(op)
        for case in walk.cases(op):
            if case.types and case.types[0].dtype.name not in options.dtypes:
                continue
            try:
                wrong = try_case(case, rng)
            except Exception as error:
                wrong = f"crash: {type(error).__name__}: {str(error).splitlines()[0][:300] if str(error) else ''}"
            counts[wrong.partition(":")[0] or "passed"] += 1
            if wrong:
                by_op.setdefault(op.name, wrong)
                if options.failures:
                    print(f"{case}: {wrong}")
    print(dict(counts), f"{len(walk.OPERATIONS) - len(by_op)} of {len(walk.OPERATIONS)} operations in all types")
    for name, wrong in by_op.items():
        print(name, wrong)
    bad = any(not wrong.startswith("refused") for wrong in by_op.values())
    bad = bool(functions(options.functions, options.seed, options.k) if options.functions else 0) or bad
    sys.exit(bool(graphs(options.graphs, options.seed)) or bad)


if __name__ == "__main__":
    main()
