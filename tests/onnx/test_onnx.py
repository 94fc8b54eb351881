"""Models of others: read from ONNX, against ONNX's own reference and a sample of its suite."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir.operation import Contraction

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from graphc.onnx import Call, ModelError, load, operators, reading, register  # noqa: E402

BACKENDS = ("interpreter", "llvm")
RNG = np.random.default_rng(7)


def model(
    nodes: list[Any], inputs: dict[str, Any], outputs: list[str], constants: dict[str, Any] | None = None, **more: Any
) -> Any:
    """A model of float32 inputs, whose shapes are given."""
    graph = helper.make_graph(
        nodes, "test", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in (constants or {}).items()],
    )  # fmt: skip
    more.setdefault("opset_imports", [helper.make_opsetid("", 21)])
    return helper.make_model(graph, **more)


def mlp() -> Any:
    w, b, v = RNG.normal(size=(5, 4)).astype("f"), RNG.normal(size=4).astype("f"), RNG.normal(size=(4, 3)).astype("f")
    nodes = [
        helper.make_node("Gemm", ["x", "w", "b"], ["h"]), helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("MatMul", ["r", "v"], ["y"]),
    ]  # fmt: skip
    return model(nodes, {"x": ["batch", 5]}, ["y"], {"w": w, "b": b, "v": v})


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_model_compiles_once_for_every_batch(backend: str) -> None:
    proto = mlp()
    read = load(proto)
    assert str(read.inputs["x"].type) == "f32[batch, 5]" and str(read.outputs["y"].type) == "f32[batch, 3]"
    f = read.compile(backend=backend)
    for n in (1, 4):
        x = RNG.normal(size=(n, 5)).astype("f")
        assert np.allclose(f(x)[0], ReferenceEvaluator(proto).run(None, {"x": x})[0], atol=1e-5)
    assert sum(isinstance(n.op.lowering, Contraction) for n in f.graph.nodes) == 2


def test_a_model_is_called_by_position_and_by_name(tmp_path: Any) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(mlp(), path)
    x = RNG.normal(size=(2, 5)).astype("f")
    by_path, by_bytes = load(path), load(path.read_bytes())
    assert np.array_equal(by_path(x), by_bytes(x=x)) and by_path(x).shape == (2, 3)
    assert "x: f32[batch, 5]" in repr(by_path)


def test_weights_are_variables_that_an_optimiser_changes() -> None:
    read = load(mlp(), trainable=True)
    assert sorted(read.variables) == ["b", "v", "w"]
    loss = gx.mean(read.outputs["y"] ** 2)
    step = gx.compile([read.inputs["x"]], loss, updates=gx.optim.sgd(loss, list(read.variables.values()), lr=0.01))
    x = RNG.normal(size=(8, 5)).astype("f")
    losses = [float(step(x)) for _ in range(20)]
    assert losses[-1] < losses[0]


def test_arithmetic_of_shapes_is_folded_into_sizes() -> None:
    """[batch, time, 12] -> [batch * time, 3, 4] and back, by Shape, Gather, Concat and Reshape."""
    nodes = [
        helper.make_node("Shape", ["x"], ["s"]), helper.make_node("Gather", ["s", "zero"], ["b"]),
        helper.make_node("Gather", ["s", "one"], ["t"]), helper.make_node("Mul", ["b", "t"], ["bt"]),
        helper.make_node("Unsqueeze", ["bt", "at"], ["u"]), helper.make_node("Concat", ["u", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["m"]), helper.make_node("Reshape", ["m", "s"], ["y"]),
    ]  # fmt: skip
    numbers = {"zero": np.int64(0), "one": np.int64(1), "at": np.array([0]), "rest": np.array([3, 4])}
    read = load(model(nodes, {"x": ["batch", "time", 12]}, ["m", "y"], numbers))
    assert [str(y.type) for y in read.outputs.values()] == ["f32[batch*time, 3, 4]", "f32[batch, time, 12]"]
    x = RNG.normal(size=(2, 3, 12)).astype("f")
    assert np.array_equal(read(x)[1], x)


def test_sizes_that_are_written_as_unknown_are_open_each_by_itself() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])], {"x": [-1, "?", "?"]}, ["y"])
    assert str(load(proto).inputs["x"].type) == "f32[x_0, x_1, x_2]"


def test_sizes_may_be_given() -> None:
    assert str(load(mlp(), sizes={"batch": 6}).outputs["y"].type) == "f32[6, 3]"


def test_a_size_that_is_data_names_the_node_and_the_input() -> None:
    shape = helper.make_tensor_value_info("shape", TensorProto.INT64, [2])
    proto = model([helper.make_node("Reshape", ["x", "shape"], ["y"], name="r7")], {"x": [6]}, ["y"])
    proto.graph.input.append(shape)
    with pytest.raises(ModelError, match=r"node r7 of Reshape: its shape is data: i64\[2\]") as caught:
        load(proto)
    assert caught.value.needs == ("shape",)
    assert load(proto, values={"shape": np.array([2, 3])})(np.zeros(6, "f")).shape == (2, 3)


def test_unknown_operators_are_refused_until_they_are_registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(operators, "OPERATORS", dict(operators.OPERATORS))
    monkeypatch.setattr(reading, "OPERATORS", operators.OPERATORS)
    proto = model(
        [helper.make_node("Twice", ["x"], ["y"], domain="mine")], {"x": [2]}, ["y"],
        opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("mine", 1)],
    )  # fmt: skip
    with pytest.raises(ModelError, match="of mine::Twice: graphc has no such operator"):
        load(proto)

    def twice(call: Call) -> Any:
        return call[0] * 2

    register("mine::Twice", twice)
    assert list(load(proto)(np.ones(2, "f"))) == [2, 2]


@pytest.mark.parametrize("bad", [b"", b"\x00\x01no model", mlp().SerializeToString()[:-40]])
def test_what_is_no_model_is_an_error(bad: bytes) -> None:
    with pytest.raises(ModelError):
        load(bad)


def test_a_missing_name_and_a_name_made_twice_are_errors() -> None:
    with pytest.raises(ModelError, match="nothing before it gives 'z'"):
        load(model([helper.make_node("Relu", ["z"], ["y"])], {"x": [2]}, ["y"]))
    with pytest.raises(ModelError, match="'y' is made twice"):
        load(model([helper.make_node("Relu", ["x"], ["y"])] * 2, {"x": [2]}, ["y"]))


def _sample() -> list[Any]:
    import onnx_suite
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = [c for c in load_model_tests(kind="node") if onnx_suite.is_dense(c.model)]
    return cases[::97]


def test_a_sample_of_the_suite() -> None:
    """All of it: bash .ci/onnx"""
    import onnx_suite

    for case in _sample():
        wrong = onnx_suite.run_case(case, *onnx_suite.content(case), "interpreter")
        assert not wrong or wrong.startswith("refused"), (case.name, wrong)


def test_sizes_that_must_be_equal_are_asked_for_at_the_call() -> None:
    """An image, made smaller and larger again, is added to itself: sizes must be even."""
    nodes = [
        helper.make_node("MaxPool", ["x"], ["half"], kernel_shape=[2, 2], strides=[2, 2]),
        helper.make_node("Resize", ["half", "", "scales"], ["whole"], mode="nearest"),
        helper.make_node("Add", ["x", "whole"], ["y"]), helper.make_node("Concat", ["whole", "x"], ["z"], axis=1),
    ]  # fmt: skip
    proto = model(nodes, {"x": [1, 2, "h", "w"]}, ["y", "z"], {"scales": np.array([1, 1, 2, 2], "f")})
    f = load(proto).compile(backend="interpreter")
    x = RNG.normal(size=(1, 2, 4, 6)).astype("f")
    for got, want in zip(f(x), ReferenceEvaluator(proto).run(None, {"x": x}), strict=True):
        assert np.array_equal(got, want)
    with pytest.raises(gx.GraphError, match=r"ensure_shape: f32\[1, 2, 2\*\(h//2\), 2\*\(w//2\)\] must be \[1, 2, h, w\]"):
        f(x[:, :, :3])


@pytest.mark.parametrize("zeros", [(), ("za",), ("za", "zb"), ("", "zb"), ("rows", "columns")])
def test_products_of_integers_less_their_zero_points_are_exact(zeros: tuple[str, ...]) -> None:
    b = RNG.integers(-128, 128, (5, 4)).astype(np.int8)
    constants = {
        "b": b, "za": np.uint8(200), "zb": np.int8(-7), "rows": np.array([1, 255, 30], np.uint8),
        "columns": np.array([1, -128, 127, 0], np.int8),
    }  # fmt: skip
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], to=onnx.TensorProto.UINT8),
        helper.make_node("MatMulInteger", ["a", "b", *zeros], ["i"]), helper.make_node("Cast", ["i"], ["y"], to=1),
    ]  # fmt: skip
    used = {k: v for k, v in constants.items() if k == "b" or k in zeros}
    x = RNG.integers(0, 256, (3, 5)).astype("f")
    p, q = (constants[name].astype(np.int64) if name else 0 for name in (*zeros, "", "")[:2])
    want = (x.astype(np.int64) - (p[:, None] if np.ndim(p) else p)) @ (b.astype(np.int64) - q)
    f = load(model(nodes, {"x": [3, 5]}, ["y"], used)).compile()
    assert np.array_equal(f(x)[0], want.astype("f"))
    assert "matmul_integer(" in str(f.graph)


def test_norms_become_part_of_the_convolutions_before_them() -> None:
    numbers = {"w": RNG.normal(size=(4, 2, 3, 3)), "b": RNG.normal(size=4), "d": RNG.normal(size=(4, 1, 3, 3))}
    numbers |= {n: RNG.normal(size=4) for n in ("gamma", "beta", "mean")} | {"var": RNG.uniform(0.5, 2, 4)}
    constants = {name: a.astype("f") for name, a in numbers.items()}
    norm = ["gamma", "beta", "mean", "var"]
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("BatchNormalization", ["c", *norm], ["n"]),
        helper.make_node("Conv", ["n", "d"], ["e"], group=4, strides=[2, 2]),
        helper.make_node("BatchNormalization", ["e", *norm], ["y"], epsilon=0.1),
    ]  # fmt: skip
    x = RNG.normal(size=(2, 2, 7, 9)).astype("f")

    def subtractions(read: Any) -> int:
        """A norm subtracts a mean; what is folded has a bias instead."""
        return sum(n.op.name == "subtract" for n in read.compile(backend="interpreter").graph.nodes)

    for proto, kept in (
        (model(nodes, {"x": ["n", 2, "h", "w"]}, ["y"], constants), 0),
        (model(nodes, {"x": ["n", 2, "h", "w"]}, ["y", "c"], constants), 1),  # the first convolution is wanted itself
    ):
        want = ReferenceEvaluator(proto).run(None, {"x": x})
        assert subtractions(load(proto)) == kept and subtractions(load(proto, fold=False)) == 2
        assert subtractions(load(proto, trainable=True)) == 2
        for got, wanted in zip(load(proto).compile(backend="interpreter")(x), want, strict=True):
            np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4)
