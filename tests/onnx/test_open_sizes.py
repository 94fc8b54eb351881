"""Operators whose sizes stay open give what they give with sizes that are numbers, which ONNX's suite checks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from graphc.ir.graph import topological  # noqa: E402
from graphc.onnx import ModelError, load  # noqa: E402

RNG = np.random.default_rng(5)


def model(nodes: list[Any], inputs: dict[str, Any], **constants: Any) -> Any:
    """A model whose outputs are the results of its nodes that are called y..."""
    shown = [name for node in nodes for name in node.output if name.startswith("y")]
    graph = helper.make_graph(
        nodes, "open", [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in shown],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )  # fmt: skip
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)])


def agree(proto: Any, *given: dict[str, int]) -> Any:
    """The model with open sizes, which gives what it gives with each of these."""
    read = load(proto)
    f = read.compile(backend="interpreter")
    for sizes in given:
        fixed = load(proto, sizes=sizes)
        arrays = [RNG.normal(size=x.shape).astype("f") for x in fixed.inputs.values()]
        wanted = fixed.compile(backend="interpreter")(*arrays)
        for node, got, want in zip(proto.graph.node[-len(wanted) :], f(*arrays), wanted, strict=True):
            assert got.shape == want.shape, (node, sizes, got.shape, want.shape)
            assert np.allclose(got, want, rtol=1e-5, atol=1e-6), (node, sizes)
    return read


def test_windows_that_are_padded_alike_on_both_sides() -> None:
    nodes = []
    for auto in ("SAME_UPPER", "SAME_LOWER"):
        for strides in ([2, 2], [3, 2]):
            options = {"auto_pad": auto, "strides": strides}
            nodes.append(helper.make_node("Conv", ["x", "w"], [f"y{len(nodes)}"], **options))
            for kind in ("MaxPool", "AveragePool"):
                nodes.append(helper.make_node(kind, ["x"], [f"y{len(nodes)}"], kernel_shape=[3, 2], **options))
    proto = model(nodes, {"x": [1, 2, "h", "w"]}, w=RNG.normal(size=(2, 2, 3, 2)).astype("f"))
    read = agree(proto, {"h": 7, "w": 8}, {"h": 4, "w": 5}, {"h": 9, "w": 11})
    assert str(read.outputs["y0"].type) == "f32[1, 2, (h+1)//2, (w+1)//2]"


def test_windows_that_begin_in_the_image_and_end_beyond_it() -> None:
    nodes = []
    for kernel, stride, pad in ((3, 2, 0), (2, 2, 0), (3, 2, 1), (2, 3, 0), (3, 3, 1)):
        options = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4, "ceil_mode": 1}
        for kind, more in (("MaxPool", {}), ("AveragePool", {}), ("AveragePool", {"count_include_pad": 1})):
            nodes.append(helper.make_node(kind, ["x"], [f"y{len(nodes)}"], **options, **more))
    read = agree(model(nodes, {"x": [1, 1, "h", "w"]}), {"h": 7, "w": 8}, {"h": 4, "w": 5}, {"h": 6, "w": 13})
    assert str(read.outputs["y0"].type) == "f32[1, 1, h//2, w//2]"


PLACES = ("half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric", "tf_half_pixel_for_nn")


def test_an_image_takes_the_size_of_another() -> None:
    nodes = [helper.make_node("Shape", ["like"], ["sizes"])]
    for places in PLACES:
        whole = {"mode": "nearest", "nearest_mode": "floor"}
        for options in (whole,) if places.endswith("nn") else (whole, {"mode": "linear"}, {"mode": "cubic"}):
            nodes.append(
                helper.make_node(
                    "Resize", ["x", "", "", "sizes"], [f"y{len(nodes)}"], coordinate_transformation_mode=places, **options
                )
            )
    proto = model(nodes, {"x": [1, 1, "n", 4], "like": [1, 1, "m", "k"]})
    agree(proto, {"n": 3, "m": 7, "k": 9}, {"n": 6, "m": 4, "k": 1}, {"n": 1, "m": 1, "k": 4})


@pytest.mark.parametrize("scale", [2.0, 0.5, 1.5, 2 / 3, 0.3])
def test_an_image_grows_by_a_fraction(scale: float) -> None:
    nodes = [helper.make_node("Resize", ["x", "", "by"], ["y"], mode="linear")]
    agree(model(nodes, {"x": [1, 1, "n", "m"]}, by=np.array([1, 1, scale, scale], "f")), {"n": 6, "m": 5}, {"n": 10, "m": 4})


@pytest.mark.parametrize("scale", [2.0, 3.0])
def test_elements_that_stand_several_times_in_a_row_are_repeated(scale: float) -> None:
    half = [("half_pixel", f"round_prefer_{end}") for end in ("floor", "ceil")]
    how = [("asymmetric", "floor"), *half, ("asymmetric", "ceil")]
    nodes = [
        helper.make_node(
            "Resize", ["x", "", "by"], [f"y{i}"], mode="nearest", coordinate_transformation_mode=places, nearest_mode=rounded
        )
        for i, (places, rounded) in enumerate(how)
    ]
    proto = model(nodes, {"x": [1, 1, "n", 4]}, by=np.array([1, 1, scale, scale], "f"))
    read = agree(proto, {"n": 3}, {"n": 1}, {"n": 6})
    taken = [any(node.op.name == "take" for node in topological([y])) for y in read.outputs.values()]
    assert taken == [False, False, False, True]


def test_a_scale_that_is_no_small_fraction_needs_numbers() -> None:
    proto = model([helper.make_node("Resize", ["x", "", "by"], ["y"], mode="linear")], {"x": ["n"]}, by=np.array([1.2345], "f"))
    with pytest.raises(ModelError, match=r"the size n times 1\.234\d* is no size") as caught:
        load(proto)
    assert "sizes={" in str(caught.value)


def test_a_model_is_read_up_to_where_its_sizes_become_data() -> None:
    nodes = [
        helper.make_node("Sigmoid", ["x"], ["scores"]), helper.make_node("NonZero", ["scores"], ["places"], name="found"),
        helper.make_node("Cast", ["places"], ["y"], to=TensorProto.FLOAT),
    ]  # fmt: skip
    proto = model(nodes, {"x": ["n", 4], "unused": ["m"]})
    with pytest.raises(ModelError, match="node found of NonZero: ") as caught:
        load(proto)
    assert caught.value.hint is not None and "outputs=['scores']" in caught.value.hint
    read = load(proto, outputs=["scores"])
    assert list(read.inputs) == ["x"] and list(read.outputs) == ["scores"]
    x = RNG.normal(size=(2, 4)).astype("f")
    assert np.allclose(read.compile(backend="interpreter")(x)[0], gx.sigmoid(x).eval())
    with pytest.raises(ModelError, match="the model has no value 'score'") as caught:
        load(proto, outputs=["score"])
    assert caught.value.hint == "did you mean scores?"
