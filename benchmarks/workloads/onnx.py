"""Graphs for onnxruntime, which runs forward computations only."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from benchmarks.workload import Array, Run, pure

# (operator, inputs, output), and attributes if there are any
Node = tuple[str, Sequence[str], str] | tuple[str, Sequence[str], str, Mapping[str, Any]]


def session(
    nodes: Sequence[Node], inputs: Mapping[str, Array], constants: Mapping[str, Array], outputs: Mapping[str, Array]
) -> Run:
    """A run of a graph on buffers that are bound once: `outputs` gives the shape and dtype of each result."""
    import onnx
    import onnxruntime as ort
    from onnx import helper, numpy_helper

    def described(arrays: Mapping[str, Array]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in arrays.items()]

    graph = helper.make_graph(
        [helper.make_node(op, list(taken), [made], **dict(*rest)) for op, taken, made, *rest in nodes], "workload",
        described(inputs), described(outputs), [numpy_helper.from_array(a, n) for n, a in constants.items()],
    )  # fmt: skip
    sets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
    model = helper.make_model(graph, opset_imports=sets, ir_version=10)
    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    running = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    binding = running.io_binding()
    made = {n: ort.OrtValue.ortvalue_from_numpy(np.empty_like(a)) for n, a in outputs.items()}
    for name, array in inputs.items():
        binding.bind_ortvalue_input(name, ort.OrtValue.ortvalue_from_numpy(array))
    for name, value in made.items():
        binding.bind_ortvalue_output(name, value)

    def call() -> list[Array]:
        running.run_with_iobinding(binding)
        return [value.numpy() for value in made.values()]

    return pure(call)
