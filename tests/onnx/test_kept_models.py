"""Models whose programs are kept: a second process runs them without reading them, and says the same about them."""

from __future__ import annotations

import os

import numpy as np
import pytest

import graphc as gx

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from graphc.onnx import large  # noqa: E402
from graphc.onnx import model as models  # noqa: E402
from graphc.onnx.operators import OPERATORS  # noqa: E402


@pytest.fixture(autouse=True)
def folder(own_cache, monkeypatch):
    """A cache of its own, and no operators of other tests."""
    for name in set(OPERATORS) - set(models.SHIPPED):
        monkeypatch.delitem(OPERATORS, name)


def file(weight=2.0, operator="Exp"):
    """exp(x) * w + b, with an input that sizes a result."""
    w = numpy_helper.from_array(np.full((3,), weight, "float32"), "w")
    nodes = [
        helper.make_node(operator, ["x"], ["e"], name="first"), helper.make_node("Mul", ["e", "w"], ["m"]),
        helper.make_node("ReduceSum", ["m", "axes"], ["y"], keepdims=0),
    ]  # fmt: skip
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3]),
        helper.make_tensor_value_info("axes", TensorProto.INT64, [1]),
    ]  # fmt: skip
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "small", inputs, [y], [w])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString()


def load(data=None, axes=(0,), **options):
    return gx.onnx.load(file() if data is None else data, values={"axes": np.array(axes)}, **options)


def is_read(model):
    return model._parts is not None


X = np.linspace(-1, 1, 6, dtype="float32").reshape(2, 3)


def test_a_kept_model_is_not_read_and_gives_the_same_bits(monkeypatch):
    first = load()
    want = first(X)
    assert is_read(first)
    second = load()
    monkeypatch.setattr(models, "_parsed", None)  # what is asked of it does not read
    assert second(X).tobytes() == want.tobytes() and second(x=X).tobytes() == want.tobytes()
    assert second(np.zeros((5, 3), "float32")).tolist() == [10, 10, 10]
    place = np.empty(3, "float32")
    assert second.compile()(X, out=[place])[0] is place and place.tobytes() == want.tobytes()
    with pytest.raises(gx.GraphError, match="1 in a tuple or a list"):
        second.compile()(X, out=place)
    assert not is_read(second) and repr(second.compile()) == repr(first.compile())


def test_what_is_asked_of_its_symbols_reads_it():
    load()(X)
    model = load()
    assert not is_read(model)
    assert repr(model) == "Model small(x: f32[n, 3]) -> y: f32[3]" and is_read(model)
    assert model.variables == {} and list(model.inputs) == ["x"]
    y = model.outputs["y"]
    assert gx.compile([model.inputs["x"]], 2 * y, backend="interpreter")(X) == pytest.approx(2 * model(X), rel=1e-6)
    declared = model.compile().declared
    assert declared.inputs == (model.inputs["x"],) and str(model.graph) == str(load().graph)


def test_nodes_have_the_line_that_loaded_the_model():
    load()(X)
    model, line = load(), load.__code__.co_firstlineno + 1
    assert not is_read(model) and {n.where.line for n in gx.ir.graph.topological([model.outputs["y"]])} == {line}


def test_every_difference_is_another_model():
    load()(X)
    assert not is_read(load())
    others = [load(file(3.0)), load(axes=(1,)), load(outputs=["m"]), load(fold=False), load(sizes={"n": 2}), load(trainable=True)]
    assert all(map(is_read, others))
    assert others[1](X).shape == (2,) and others[2](X).shape == (2, 3)
    proto = onnx.ModelProto()
    proto.ParseFromString(file())
    assert is_read(load(proto))


def test_operators_of_users_take_no_part(monkeypatch):
    load()(X)
    monkeypatch.setitem(OPERATORS, "Exp", lambda call: call[0] * 0)
    model = load()
    assert is_read(model) and model(X).tolist() == [0, 0, 0]


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A file that counts as large, of which a program is kept."""
    monkeypatch.setattr(large, "LARGE", 100)
    path = tmp_path / "small.onnx"
    path.write_bytes(file())
    assert load(path)(X).tolist() == load()(X).tolist()
    return path


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let go of files that are mapped")
def test_a_large_file_is_read_when_its_symbols_are_asked_for(path, monkeypatch):
    model = load(path)
    with monkeypatch.context() as patch:
        patch.setattr(large.LargeFile, "read", None)
        assert model(X).tolist() == load(file())(X).tolist() and not is_read(model)
    path.unlink()
    assert list(model.inputs) == ["x"], "the file is gone, and its bytes are not"
    path.write_bytes(file(3.0))
    other = load(path)
    assert is_read(other) and other(X).tolist() == load(file(3.0))(X).tolist()


@pytest.mark.skipif(os.name == "nt", reason="Windows does not let go of files that are mapped")
@pytest.mark.parametrize("change", [lambda data: data[:-1] + b"\0", lambda data: data[:50], lambda data: data + b"\0"])
def test_who_writes_into_a_large_file_is_found_out(path, change):
    model = load(path)
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(gx.onnx.ModelError, match=r"small.onnx was written into after it was loaded(.|\n)*load it again"):
        list(model.inputs)
    assert not is_read(model) and model(X).shape == (3,)


def test_without_the_cache_models_are_read(monkeypatch):
    load()(X)
    monkeypatch.setenv("GRAPHC_PROGRAMS", "0")
    assert is_read(load())
    monkeypatch.delenv("GRAPHC_PROGRAMS")
    model = load()
    monkeypatch.setenv("GRAPHC_CACHE", "0")
    assert not is_read(model) and model(X).tolist() == load()(X).tolist(), "the program went, and the model is read after all"
