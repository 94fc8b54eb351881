"""onnxruntime's own operators, by onnxruntime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")
from onnx import ValueInfoProto, helper  # noqa: E402

from graphc.onnx import ModelError, load  # noqa: E402

RNG = np.random.default_rng(3)
Array = np.ndarray[Any, Any]


def f(*shape: int) -> Array:
    return RNG.normal(size=shape).astype("f")


def i8(*shape: int) -> Array:
    return RNG.integers(-128, 128, shape).astype("int8")


def u8(*shape: int) -> Array:
    return RNG.integers(0, 256, shape).astype("uint8")


def one(value: float, dtype: str = "f") -> Array:
    return np.array(value, dtype)


WORDS = RNG.integers(0, 9, (2, 3)).astype("int32")
X, KEYS, IMAGE = f(2, 3, 8), f(2, 5, 8), f(1, 3, 6, 6)
THERE = np.array([[1, 1, 0], [1, 1, 1]], "int32")
Z, Z2 = one(120, "uint8"), one(130, "uint8")
HEADS = {"num_heads": 2}
BITS = {"K": 40, "N": 6, "block_size": 16}
CASES: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("Gelu", [X], {}), ("BiasGelu", [X, f(8)], {}), ("FastGelu", [X], {}), ("FastGelu", [X, f(8)], {}),
    ("QuickGelu", [X], {"alpha": 1.5}),
    ("FusedConv", [IMAGE, f(4, 3, 3, 3), f(4), f(1, 4, 6, 6)], {"activation": "Relu", "pads": [1] * 4}),
    *[("FusedConv", [IMAGE, f(4, 3, 3, 3), f(4)], {"activation": name, "activation_params": numbers} if numbers else
      {"activation": name})
      for name, numbers in (("LeakyRelu", [0.1]), ("Clip", [0.0, 0.5]), ("HardSigmoid", [0.3, 0.4]), ("Tanh", []))],
    ("FusedGemm", [f(2, 3), f(4, 3), f(4)], {"activation": "LeakyRelu", "activation_alpha": 0.1, "transB": 1, "alpha": 0.5}),
    ("FusedMatMul", [f(2, 3, 4), f(2, 5, 4)], {"transB": 1, "alpha": 0.5}), ("FusedMatMul", [f(2, 4, 3), f(4, 5)], {"transA": 1}),
    ("SkipLayerNormalization", [X, f(2, 3, 8), f(8), f(8), f(8)], {"epsilon": 1e-5}),
    ("SkipLayerNormalization", [X, f(3, 8), f(8)], {}), ("SkipSimplifiedLayerNormalization", [X, f(2, 3, 8), f(8)], {}),
    ("EmbedLayerNormalization", [WORDS, WORDS % 2, f(9, 8), f(5, 8), f(2, 8), f(8), f(8), THERE], {}),
    ("EmbedLayerNormalization", [WORDS, None, f(9, 8), f(5, 8), None, f(8), f(8)], {}),
    ("Attention", [X, f(8, 24), f(24)], {**HEADS, "unidirectional": 1}), ("Attention", [X, f(8, 24), f(24), THERE], HEADS),
    ("Attention", [X, f(8, 24), f(24), np.array([2, 3], "int32")], HEADS),
    ("Attention", [X, f(8, 20), f(20), None, None, f(2, 2, 3, 3)], {**HEADS, "qkv_hidden_sizes": [8, 8, 4]}),
    ("MultiHeadAttention", [X, KEYS, f(2, 5, 8), f(24)], HEADS),
    ("MultiHeadAttention", [X, KEYS, KEYS, None, np.array([[1, 1, 1, 0, 0], [1] * 5], "int32")], {**HEADS, "scale": 0.3}),
    ("MultiHeadAttention", [X, X, X, None, None, f(2, 2, 3, 3)], {**HEADS, "unidirectional": 1}),
    ("MultiHeadAttention", [X, f(2, 2, 5, 4), f(2, 2, 5, 4)], HEADS),
    ("RotaryEmbedding", [f(2, 3, 8), np.array([[0, 1, 2], [3, 4, 5]]), f(8, 2), f(8, 2)], {"interleaved": 1}),
    ("RotaryEmbedding", [f(2, 2, 3, 8), np.array([2]), f(8, 2), f(8, 2)], {"rotary_embedding_dim": 4, **HEADS}),
    ("QLinearAdd", [u8(2, 3), one(0.02), Z, u8(2, 3), one(0.03), Z2, one(0.041), Z], {}),
    ("QLinearMul", [u8(2, 3), one(0.02), Z, u8(3), one(0.03), Z2, one(0.041), Z], {}),
    ("QLinearSigmoid", [u8(2, 3), one(0.02), Z, one(1 / 256), Z2], {}),
    ("QLinearLeakyRelu", [i8(2, 3), one(0.02), one(3, "int8"), one(0.03), one(-4, "int8")], {"alpha": 0.2}),
    ("QLinearSoftmax", [u8(2, 3), one(0.02), Z, one(1 / 256), Z2], {"axis": -1, "opset": 13}),
    ("QLinearGlobalAveragePool", [u8(1, 4, 4, 3), one(0.02), Z, one(0.03), Z2], {"channels_last": 1}),
    ("QLinearAveragePool", [u8(1, 3, 4, 4), one(0.02), Z, one(0.03), Z2], {"kernel_shape": [2, 2], "strides": [2, 2]}),
    ("QLinearConcat", [one(0.04), Z, u8(2, 3), one(0.02), Z, u8(2, 4), one(0.03), Z2], {"axis": 1}),
    ("QGemm", [u8(2, 6), one(0.02), Z, i8(6, 4), one(0.03), one(0, "int8"), np.arange(4, dtype="int32"), one(0.5), Z], {}),
    ("QGemm", [u8(2, 6), one(0.02), Z, i8(4, 6), f(4), np.zeros(4, "int8"), np.arange(4, dtype="int32")], {"transB": 1}),
    ("MatMulIntegerToFloat", [u8(2, 6), i8(6, 4), one(0.02), one(0.03), Z, one(2, "int8"), f(4)], {}),
    ("DynamicQuantizeMatMul", [f(2, 6), i8(6, 4), one(0.03), one(3, "int8"), f(4)], {}),
    ("QuantizeLinear", [X, one(0.01), one(30000, "uint16")], {}),
    ("DequantizeLinear", [WORDS.astype("uint16"), one(0.01), one(30000, "uint16")], {}),
    ("MatMulNBits", [f(2, 40), u8(6, 3, 8), f(18), u8(12)], {**BITS, "bits": 4}),
    ("MatMulNBits", [f(2, 40), u8(6, 3, 16), f(18)], {**BITS, "bits": 8}),
]  # fmt: skip


def model(kind: str, arrays: list[Any], attrs: dict[str, Any]) -> tuple[Any, dict[str, Array]]:
    names = [f"x{i}" if a is not None else "" for i, a in enumerate(arrays)]
    given = {name: a for name, a in zip(names, arrays, strict=True) if name}
    domain = "" if kind == "SimplifiedLayerNormalization" else "com.microsoft"
    outputs = ["y", "", "", "total"] if kind.startswith("Skip") else ["y", "there"] if kind.startswith("Embed") else ["y"]
    graph = helper.make_graph(
        [helper.make_node(kind, names, outputs, domain=domain, **attrs)], "one",
        [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in given.items()],
        [ValueInfoProto(name=o) for o in outputs if o],
    )  # fmt: skip
    sets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=sets, ir_version=8), given


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda i: f"{i}-{CASES[i][0]}")
def test_it_computes_what_onnxruntime_does(number: int) -> None:
    proto, given = model(*CASES[number])
    onnxruntime.set_default_logger_severity(4)
    wanted = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, given)
    for got, want in zip(load(proto).compile(backend="interpreter")(*given.values()), wanted, strict=True):
        assert (got.dtype, got.shape) == (want.dtype, want.shape)
        by = 1 if want.dtype.kind in "iu" and want.itemsize == 1 else 2e-5  # halves may be rounded to either side there
        assert np.all(np.abs(got.astype("d") - want.astype("d")) <= by * np.maximum(1, np.abs(want.astype("d"))))


def test_what_is_not_read_is_said() -> None:
    proto, _ = model("FusedConv", [IMAGE, f(4, 3, 3, 3)], {"activation": "Magic"})
    with pytest.raises(ModelError, match=r"com\.microsoft::FusedConv: activation=Magic is not read"):
        load(proto)
    proto, _ = model("MultiHeadAttention", [X], HEADS)
    with pytest.raises(ModelError, match="packed operands, and keys and values of earlier calls, are not read"):
        load(proto)
