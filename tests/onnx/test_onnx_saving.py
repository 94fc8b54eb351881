"""Models for others: graphs as ONNX, run by onnxruntime, and read again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx_walk as walk  # noqa: E402

from graphc.onnx import ModelError, load, save, to_model  # noqa: E402

RNG = np.random.default_rng(11)
Array = np.ndarray[Any, Any]


def checked(inputs: Any, outputs: Any, arrays: list[Array], **options: Any) -> tuple[Any, list[Array]]:
    """The model, which is checked, and its results by onnxruntime, which are graphc's."""
    model = to_model(inputs, outputs, **options)
    onnx.checker.check_model(model, full_check=True)
    assert walk.untyped(model) == []
    got = walk.run(model, {x.attrs["name"]: a for x, a in zip(inputs, arrays, strict=True)})
    want = gx.compile(inputs, list(outputs.values()), backend="interpreter", passes=())(*arrays)
    for a, b in zip(got, want, strict=False):
        assert walk.near(a, b) or np.allclose(a, b, rtol=1e-5, atol=1e-6 * np.max(np.abs(b))), (a, b)
    return model, got


def operators(model: Any) -> list[str]:
    return [node.op_type for node in model.graph.node]


def test_a_layer_is_its_operators_with_names_and_sizes() -> None:
    x = gx.placeholder("x", ("batch", 4), "float32")
    w, b = gx.variable(RNG.normal(size=(4, 3)), name="w", dtype="float32"), gx.variable(np.ones(3, "f"), name="b")
    model, _ = checked([x], {"y": gx.tanh(x @ w + b)}, [RNG.normal(size=(5, 4)).astype("f")], metadata={"author": "me"})
    assert operators(model) == ["MatMul", "Add", "Tanh"]
    assert [t.name for t in model.graph.initializer] == ["w", "b"]
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [o.name for o in model.graph.output] == ["y"] and model.producer_name == "graphc"
    assert {p.key: p.value for p in model.metadata_props} == {"author": "me"}
    assert model.opset_import[0].version == 21


def test_sizes_that_are_computed_hold_for_every_call() -> None:
    x = gx.placeholder("x", ("n", "2*m"), "float32")
    ys = {
        "flat": gx.reshape(x, (-1,)), "halves": gx.reshape(x, (x.shape[0], 2, -1)), "mean": gx.mean(x, axis=0), "tail": x[-1:],
        "padded": gx.pad(x, 1), "back": x[::-1, 1:], "range": gx.arange(x.shape[0]) + 1, "every": x[:, ::3],
    }  # fmt: skip
    for shape in ((3, 4), (1, 2), (5, 6)):
        checked([x], ys, [RNG.normal(size=shape).astype("f")])


def test_saved_and_loaded_is_the_same(tmp_path: Path) -> None:
    x, i = gx.placeholder("x", ("n", 6), "float32"), gx.placeholder("i", ("k",), "int64")
    w = gx.variable(RNG.normal(size=(6, 5)).astype("f"), name="layer/w")
    ys = {
        "p": gx.nn.softmax(x @ w), "chosen": gx.take(x, i, axis=1), "order": gx.argsort(x, axis=1),
        "sum": gx.cumulative_sum(x, 0),
    }  # fmt: skip
    save(tmp_path / "m.onnx", [x, i], ys)
    read = load(tmp_path / "m.onnx", trainable=True)
    assert list(read.inputs) == ["x", "i"] and list(read.outputs) == list(ys) and "layer/w" in read.variables
    arrays = RNG.normal(size=(3, 6)).astype("f"), np.array([0, -1, 9, 5])
    want = gx.compile([x, i], list(ys.values()), backend="interpreter")(*arrays)
    for got, expected in zip(read.compile(backend="interpreter")(*arrays), want, strict=True):
        assert np.array_equal(got, expected)


def test_what_others_compute_is_their_operator_or_what_it_is_made_of() -> None:
    x, k = gx.placeholder("x", ("n", 3, 8, 8), "float32"), gx.placeholder("k", (4, 3, 3, 3), "float32")
    arrays = [RNG.normal(size=(2, 3, 8, 8)).astype("f"), RNG.normal(size=(4, 3, 3, 3)).astype("f")]
    y = gx.nn.conv(x, k, stride=2, padding="same")
    checked([x, k], {"y": y, "pool": gx.nn.max_pool(x, 2), "grad": gx.grad(gx.sum(y * y), k)}, arrays)


def test_loops_and_choices() -> None:
    x = gx.placeholder("x", ("n",), "float32")
    _, sums = gx.scan(lambda c, v: (c + v, c * v), gx.asarray(np.float32(0)), x, reverse=True)
    ys = {
        "sums": sums, "fixed": gx.fori_loop(0, 3, lambda i, v: v * 2 + gx.astype(i, "float32"), x),
        "chosen": gx.cond(gx.sum(x) > 0, lambda: x + 1, lambda: -x),
        "grown": gx.while_loop(lambda v: gx.sum(v) < 100, lambda v: v * 2 + 1, gx.abs(x)),
        "switched": gx.switch(gx.astype(x[0], "int64"), [lambda v: v, lambda v: v * v, lambda v: gx.exp(v)], x),
    }  # fmt: skip
    model, _ = checked([x], ys, [np.array([1.5, -2, 3], "f")])
    assert {"Loop", "If"} <= {*operators(model)}
    checked([x], ys, [np.array([2.5], "f")])
    checked([x], {"sums": sums}, [np.zeros(0, "f")])


def test_a_body_holds_what_it_needs_alone() -> None:
    x = gx.placeholder("x", (4, 6), "float32")
    _, y = gx.scan(lambda c, v: (c, gx.nn.softmax(v)), gx.asarray(np.float32(0)), x)
    model, _ = checked([x], {"y": y}, [RNG.normal(size=(4, 6)).astype("f")])
    (loop,) = model.graph.node
    body = next(a.g for a in loop.attribute if a.name == "body")
    assert loop.op_type == "Scan" and sorted(node.op_type for node in body.node) == ["Identity", "Softmax"]


def test_a_step_takes_its_state_and_gives_the_new_one() -> None:
    """An MLP with Adam: onnxruntime trains it as graphc does."""
    x, t = gx.placeholder("x", ("batch", 5), "float32"), gx.placeholder("t", ("batch",), "int64")
    w1 = gx.variable(RNG.normal(size=(5, 8)).astype("f"), name="w1")
    w2 = gx.variable(RNG.normal(size=(8, 3)).astype("f"), name="w2")
    loss = gx.nn.cross_entropy(gx.nn.relu(x @ w1) @ w2, t)
    updates = gx.optim.adam(loss, [w1, w2], lr=0.01)
    model = to_model([x, t], {"loss": loss}, updates)
    onnx.checker.check_model(model, full_check=True)
    state = {i.name for i in model.graph.input} - {"x", "t"}
    assert {"w1", "w2"} < state and {o.name for o in model.graph.output} == {"loss", *(f"{name}.new" for name in state)}
    step = gx.compile([x, t], loss, updates=updates, backend="interpreter")
    run = walk.session(model)
    now: dict[str, Any] = {}
    for _ in range(5):
        data = {"x": RNG.normal(size=(4, 5)).astype("f"), "t": RNG.integers(0, 3, 4)}
        found = dict(zip([o.name for o in run.get_outputs()], run.run(None, {**data, **now}), strict=True))
        assert np.isclose(found["loss"], step(**data), rtol=1e-5)
        now = {name: found[f"{name}.new"] for name in state}
    for v in (w1, w2):
        assert np.allclose(now[v.name], v.value, atol=1e-5)


@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (gx.nn.softmax, ["Softmax"]), (lambda x: gx.nn.softmax(x, axis=0), ["Softmax"]), (gx.nn.log_softmax, ["LogSoftmax"]),
        (gx.nn.relu, ["Relu"]), (gx.nn.gelu, ["Equal", "Where", "Gelu"]), (gx.nn.layer_norm, ["LayerNormalization"]),
        (lambda x: gx.nn.layer_norm(x, np.arange(6, dtype="f"), np.ones(6, "f"), eps=0.1), ["LayerNormalization"]),
        (lambda x: gx.where(x <= 0, 1, x), ["LessOrEqual", "Where"]),
        (lambda x: gx.exp(x) * gx.reciprocal(gx.sum(gx.exp(x), axis=1, keepdims=True)),
         ["Exp", "ReduceSum", "Reshape", "Div", "Mul"]),
    ],
)  # fmt: skip
def test_functions_are_recognised_by_their_parts(function: Any, wanted: list[str]) -> None:
    x = gx.placeholder("x", ("n", 6), "float32")
    model, _ = checked([x], {"y": function(x)}, [RNG.normal(size=(4, 6)).astype("f")])
    assert operators(model) == wanted


Q, K, V = RNG.normal(size=(2, 4, 3, 8)), RNG.normal(size=(2, 4, 5, 8)), RNG.normal(size=(2, 4, 5, 6))
SEEN = RNG.random((2, 4, 3, 5)) > 0.4
SEEN[0, 0, 1] = False  # a row that sees nothing


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("kind", ["plain", "causal", "scale", "rows", "keys", "heads", "added", "shared", "one head", "matrices"])
def test_attention_is_one_operator(kind: str, dtype: str) -> None:
    arrays = [a.astype(dtype) for a in (Q, K, V)]
    options: dict[str, Any] = {"causal": kind in ("causal", "rows", "shared")}
    options["scale"] = 0.25 if kind in ("scale", "keys") else None
    added = np.where(SEEN[1, 1], 0.5, -np.inf).astype(dtype)
    masks = {"rows": SEEN[0, 0], "keys": SEEN[:, :1, :1], "heads": SEEN, "added": added, "shared": SEEN[:, :1]}
    if kind == "shared":
        arrays[1:] = [a[:, :2] for a in arrays[1:]]
    elif kind in ("one head", "matrices"):
        arrays = [a[0] if kind == "one head" else a[0, 0] for a in arrays]
    symbols = []
    for i, (a, n) in enumerate(zip(arrays, "tss", strict=True)):
        symbols.append(gx.placeholder(f"x{i}", (*("b", *a.shape[1:-2])[: a.ndim - 2], n, a.shape[-1]), dtype))
    if kind in masks:
        mask = masks[kind]
        sizes = [n if m > 1 else 1 for n, m in zip(("b", 4, "t", "s")[4 - mask.ndim :], mask.shape, strict=True)]
        options["mask"] = gx.placeholder("mask", tuple(sizes), mask.dtype)
        arrays, symbols = [*arrays, mask], [*symbols, options["mask"]]
    y = gx.nn.attention(*symbols[:3], **options)
    model, _ = checked(symbols, {"y": y}, arrays)
    moved = {"Cast", "Unsqueeze", "Squeeze", "Shape", "Concat", "Expand"}
    assert [name for name in operators(model) if name not in moved] == ["Attention"] and model.opset_import[0].version == 23
    again = load(model).compile(backend="interpreter")(*arrays)[0]
    assert np.allclose(again, gx.compile(symbols, y, backend="interpreter")(*arrays), atol=1e-3 if dtype == "float16" else 1e-6)


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((4, 3, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}), ((4, 3, 2, 2), {"stride": 2, "groups": 2}),
        ((4, 3, 3, 2), {"stride": (2, 3), "padding": ((0, 1), (1, 0))}), ((4, 3, 3, 3), {"stride": 2, "dilation": 2}),
        ((4, 3, 5, 5), {"stride": 3, "dilation": 2, "padding": 2}), ((4, 3, 3, 3), {"stride": (2, 1)}),
        ((4, 3, 1, 1), {"stride": 2}), ((3, 3, 2, 4), {"stride": 2, "padding": 1, "layout": "NHWC"}),
    ],
)  # fmt: skip
def test_a_transposed_convolution_is_its_operator(kernel: tuple[int, ...], options: dict[str, Any]) -> None:
    last = "layout" in options
    x = gx.placeholder("x", ("n", "h", "w", 4) if last else ("n", 4, "h", "w"), "float32")
    k = gx.placeholder("k", kernel, "float32")
    arrays = [RNG.normal(size=(2, 5, 6, 4) if last else (2, 4, 5, 6)).astype("f"), RNG.normal(size=kernel).astype("f")]
    model, _ = checked([x, k], {"y": gx.nn.conv_transpose(x, k, **options)}, arrays)
    assert [name for name in operators(model) if name != "Transpose"] == ["ConvTranspose"]


def test_constants_go_into_a_file_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import onnxruntime

    x = gx.placeholder("x", ("n", 30), "float32")
    w, b = gx.variable(RNG.normal(size=(30, 40)).astype("f"), name="w"), gx.variable(np.ones(40, "f"), name="b")
    v = gx.variable(RNG.normal(size=(40, 50)).astype("float16"), name="v")
    y = gx.astype(x @ w + b, "float16") @ v
    path, a = tmp_path / "m.onnx", RNG.normal(size=(2, 30)).astype("f")
    made = save(path, [x], {"y": y}, external=True)
    assert [t.name for t in made.graph.initializer if t.external_data] == ["w", "v"]
    assert (tmp_path / "m.onnx.data").stat().st_size == 8192 + 4000 and path.stat().st_size < 2000
    onnx.checker.check_model(str(path), full_check=True)
    with pytest.raises(ModelError, match="the data of w stand in another file"):
        load(path)
    want = gx.compile([x], y, backend="interpreter")(a)
    assert np.array_equal(load(path, external=True).compile(backend="interpreter")(a)[0], want)
    (got,) = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": a})
    assert np.allclose(got, want, atol=0.02)
    save(tmp_path / "whole.onnx", [x], {"y": y})
    assert not (tmp_path / "whole.onnx.data").exists()
    monkeypatch.setitem(save.__globals__, "LARGEST", 8000)
    save(tmp_path / "large.onnx", [x], {"y": y})
    assert (tmp_path / "large.onnx.data").stat().st_size == 8192 + 4000


def test_a_model_of_layers_is_exported_by_its_names(tmp_path: Path) -> None:
    model = gx.models.Sequential([
        gx.layers.Conv2D(4, 3, activation="relu", input_shape=(8, 8, 2)), gx.layers.BatchNormalization(),
        gx.layers.MaxPooling2D(2), gx.layers.Flatten(), gx.layers.Dropout(0.5), gx.layers.Dense(3, activation="softmax"),
    ])  # fmt: skip
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    x = RNG.normal(size=(6, 8, 8, 2)).astype("f")
    model.fit(x, np.arange(6) % 3, epochs=1, verbose=0)
    made = model.export(tmp_path / "m.onnx")
    onnx.checker.check_model(made, full_check=True)
    assert {"0/kernel", "0/bias", "5/kernel"} < {t.name for t in made.graph.initializer}
    assert {"Conv", "MaxPool", "MatMul"} < {*operators(made)}
    (got,) = walk.run(made, {made.graph.input[0].name: x})
    assert np.allclose(got, model.predict(x, verbose=0), atol=1e-6)
    a = gx.layers.Input((3,), name="left")
    other = gx.models.Model({"left": a}, {"sum": gx.layers.Dense(2)(a)})
    made = other.export(tmp_path / "other.onnx")
    assert [i.name for i in made.graph.input] == ["left"] and [o.name for o in made.graph.output] == ["sum"]
    with pytest.raises(gx.errors.InputError, match="is not there"):
        other.export(tmp_path / "no", format="tf_saved_model")
    with pytest.raises(gx.errors.InputError, match=r"what .* takes is not known"):
        gx.models.Sequential([gx.layers.Dense(2)]).export(tmp_path / "no.onnx")


def test_names_of_weights_may_be_given() -> None:
    x, w = gx.placeholder("x", (2,), "float32"), gx.variable(np.ones(2, "f"), name="w")
    model = to_model([x], x * w, weights={"encoder.w": w})
    assert [t.name for t in model.graph.initializer] == ["encoder.w"]
    with pytest.raises(gx.errors.InputError, match="an input and a variable are called 'x'"):
        to_model([x], x * w, weights={"x": w})


def test_what_onnx_cannot_say_names_the_operation_and_the_line() -> None:
    x = gx.placeholder("x", (3, 3), "float64")
    y = gx.linalg.eigvalsh(x)  # the line
    with pytest.raises(ModelError, match=r"save: eigvalsh\(f64\[3, 3\]\) cannot be written as ONNX: it is a routine") as caught:
        to_model([x], y)
    assert "# the line" in str(caught.value) and "as two models" in str(caught.value)


def test_a_compiled_function_is_saved_as_it_was_declared() -> None:
    x = gx.placeholder("x", ("n",), "float32")
    assert operators(to_model(gx.compile([x], gx.exp(x) + 1))) == ["Exp", "Add"]


def test_a_sample_of_the_public_functions() -> None:
    """All of them: bash .ci/onnx"""
    assert walk.functions(1, 3, "gx.nn.s") == 0


def test_a_sample_of_the_walk() -> None:
    """All of it: bash .ci/onnx"""
    for number, op in enumerate(walk.walk.OPERATIONS):
        cases = list(walk.walk.cases(op))
        if number % 3:
            continue
        wrong = walk.try_case(cases[number % len(cases)], walk.walk.rng_of(op))
        assert not wrong or wrong.startswith("refused"), (op.name, wrong)
