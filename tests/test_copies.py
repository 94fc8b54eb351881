"""Copies: another variable of the same value, symbols and programs over copies of their variables, layers and models.

What cannot be pickled is in test_errors.py.
"""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

import graphc as gx

BACKENDS = ("llvm", "interpreter")
DTYPES = list(gx.ir.types.DTYPES)


def line(x: gx.Tensor, w: gx.Variable) -> gx.Tensor:
    return gx.sum((x @ w - 1) ** 2)


# --- variables -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_a_copy_is_another_variable_of_the_same_value(how: Any, dtype: gx.DType) -> None:
    for shape in ((), (3,), (0, 2), (2, 3)):
        w = gx.variable(np.ones(shape), name="0.w:0", dtype=dtype)
        made = how(w)
        assert type(made) is gx.Variable and made is not w and made.name == "0.w:0" and made.type == w.type
        np.testing.assert_array_equal(made.value, w.value)
        made.value = np.zeros(shape, dtype.numpy)
        assert np.all(w.value == 1) and np.all(made.value == 0)


def test_what_has_no_name_gets_one_that_no_other_has() -> None:
    v = gx.variable(1.0)
    made = copy.deepcopy([v, v, copy.copy(v)])
    assert made[0] is made[1] and len({v.name, made[0].name, made[2].name}) == 3


def test_state_belongs_to_the_copy_of_its_variable() -> None:
    w = gx.variable([1.0, 2.0], name="w")
    m = gx.variable([3.0, 4.0], name="m", of=w)
    deeper = gx.variable(0.0, name="n", of=m)
    for order in ([w, m, deeper], [deeper, m, w]):
        made = {v.called: v for v in copy.deepcopy(order)}
        assert made["m"].owner is made["w"] and made["n"].owner is made["m"] and made["w"].owner is None
        assert [v.name for v in made.values()] == [v.name for v in order] and not set(made.values()) & set(order)
    alone = copy.deepcopy(m)
    assert alone.name == "w.m" and alone.owner is not w and alone.owner.name == "w"
    assert copy.copy(m).owner is w


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_default_update_reads_the_copy(backend: str) -> None:
    step = gx.variable(2, name="step")
    calls = gx.variable(10, name="calls")
    calls.default_update = calls + step
    both = copy.deepcopy({"calls": calls, "step": step})
    shallow = copy.copy(calls)
    both["step"].value = 100
    for variable in (calls, both["calls"], shallow):
        gx.compile([], variable, backend=backend)()
    assert (calls.value, both["calls"].value, shallow.value) == (12, 110, 12)
    step.value = 0
    gx.compile([], shallow, backend=backend)()
    assert shallow.value == 12  # it has its own value, and reads what the first one reads besides


def test_default_updates_that_read_each_other() -> None:
    a, b = gx.variable(1, name="a"), gx.variable(2, name="b")
    a.default_update, b.default_update = b + 0, a + b
    c, _ = copy.deepcopy((a, b))
    f = gx.compile([], c)
    assert [int(f()) for _ in range(4)] == [1, 2, 3, 5] and (a.value, b.value) == (1, 2)


def test_streams() -> None:
    stream = gx.random.Stream(7)
    draw = gx.random.uniform(stream, (3,))
    other, drawn = copy.deepcopy((stream, draw))
    f, g = gx.compile([], draw), gx.compile([], drawn)
    first, second = f(), f()
    np.testing.assert_array_equal(g(), first)
    np.testing.assert_array_equal(g(), second)
    other.value = 0
    assert (stream.value, other.value) == (2, 0)
    np.testing.assert_array_equal(g(), first)


# --- symbols ---------------------------------------------------------------------------------------------------------


def test_a_symbol_that_reads_no_variable_is_itself() -> None:
    x = gx.placeholder("x", ("n", 3), "float32")
    last, ys = gx.scan(lambda c, r: (c + r, c * r), gx.zeros((3,), "float32"), x)
    for y in (x, gx.exp(x) + 1, last, ys, x.shape[0] ** 0.5, gx.constant([1, 2])):
        assert copy.copy(y) is y and copy.deepcopy([y])[0] is y
    graph = gx.ir.Graph([x], [last])
    assert copy.copy(graph) is graph and copy.deepcopy(graph) is graph


def test_a_symbol_that_reads_variables_reads_their_copies() -> None:
    x = gx.placeholder("x", (3,), "float64")
    w = gx.variable([1.0, 2.0, 3.0], name="w")
    h = gx.sin(x * w)
    loss = gx.sum(h * h)
    for made in (copy.deepcopy({"loss": loss, "h": h, "w": w}), copy.deepcopy({"w": w, "h": h, "loss": loss})):
        f = gx.compile([x], [made["loss"], *gx.grad(made["loss"], [made["h"], made["w"]])])
        g = gx.compile([x], [loss, *gx.grad(loss, [h, w])])
        assert list(f.variables.values()) == [made["w"]]
        for a, b in zip(f(np.ones(3)), g(np.ones(3)), strict=True):
            np.testing.assert_array_equal(a, b)
    assert copy.copy(loss) is loss
    made["w"].value = np.zeros(3)
    assert loss.eval({x: np.ones(3)}) != 0 and made["loss"].eval({x: np.ones(3)}) == 0


@pytest.mark.filterwarnings("ignore::graphc.errors.PromotionWarning")
def test_lines_kinds_and_the_order_of_births_stay() -> None:
    w = gx.variable(np.ones(2, "float32"), name="w")
    y = w * np.ones(2) + gx.variable(0.0)
    made = copy.deepcopy(y)
    old, new = gx.ir.Graph([], [y]), gx.ir.Graph([], [made])
    assert str(old) == str(new)
    for a, b in zip(old.nodes, new.nodes, strict=True):
        assert (type(a), a.where, a.number, a.gradient) == (type(b), b.where, b.number, b.gradient)
    assert len(gx.debug.promotions(made)) == len(gx.debug.promotions(y)) == 1


def test_deep_graphs() -> None:
    w = gx.variable(0.0, name="w")
    y = w + 1
    for _ in range(20_000):
        y = gx.sin(y)
    made, again = copy.deepcopy((y, w))
    assert len(gx.ir.graph.topological([made])) == len(gx.ir.graph.topological([y])) and again in gx.ir.graph.topological([made])


@pytest.mark.parametrize("backend", BACKENDS)
def test_loops_choices_and_checkpoints_over_variables(backend: str) -> None:
    x = gx.placeholder("x", ("n", 2), "float64")
    w = gx.variable([0.5, 2.0], name="w")
    last, ys = gx.scan(lambda c, r: (gx.tanh(c * w + r), c), gx.ones(2), x)
    chosen = gx.cond(gx.sum(w) > 0, lambda: w * 2, lambda: w * 3)
    kept = gx.checkpoint(lambda v: gx.sin(v * w))(last)
    loss = gx.sum(ys) + gx.sum(chosen * kept)
    other, v = copy.deepcopy((loss, w))
    rows = np.linspace(-1, 1, 6).reshape(3, 2)
    for value in ([0.5, 2.0], [-1.0, 0.25]):
        w.value, v.value = value, [7.0, 7.0]
        expected = gx.compile([x], [loss, gx.grad(loss, w)], backend=backend)(rows)
        w.value, v.value = [7.0, 7.0], value
        found = gx.compile([x], [other, gx.grad(other, v)], backend=backend)(rows)
        for a, b in zip(expected, found, strict=True):
            np.testing.assert_array_equal(a, b)


# --- programs --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("backend", BACKENDS)
def test_updates_and_programs_train_their_own_variables(backend: str) -> None:
    x = gx.placeholder("x", ("n", 3), "float32")
    w, unnamed = gx.variable(np.ones((3, 2), "float32"), name="w"), gx.variable(np.float32(0))
    loss = line(x, w) + unnamed
    step = gx.compile([x], {"loss": loss, "more": (w[0], [loss])}, gx.optim.adam(loss, [w, unnamed]), backend=backend)
    rows = np.linspace(-1, 1, 12, dtype="float32").reshape(4, 3)
    step(rows)
    other, v = copy.deepcopy((step, w))
    assert other.backend == backend and list(other.variables) == list(step.variables) and other.variables["w"] is v
    assert not set(other.variables.values()) & set(step.variables.values()) and str(other.graph) == str(step.graph)
    assert copy.copy(step) is step
    for _ in range(3):
        a, b = step(rows), other(rows)
        assert a["loss"] == b["loss"] and b["more"][1] == [b["loss"]]
        np.testing.assert_array_equal(a["more"][0], b["more"][0])
    for a, b in zip(step.variables.values(), other.variables.values(), strict=True):
        np.testing.assert_array_equal(a.value, b.value)
    before = w.value
    other(rows)
    np.testing.assert_array_equal(w.value, before)
    inputs, outputs, updates = copy.deepcopy(([x], loss, gx.optim.sgd(loss, [w])))
    third = gx.compile(inputs, outputs, updates, backend=backend)
    assert inputs[0] is x and third(rows) == step(rows)["loss"]
    np.testing.assert_array_equal(w.value == before, False)


def test_a_program_without_variables_is_itself() -> None:
    x = gx.placeholder("x", ("n",), "float64")
    f = gx.compile([x], gx.sum(x))
    assert copy.deepcopy(f) is f and copy.copy(f) is f


def test_a_graph_over_copies_of_its_variables() -> None:
    w = gx.variable([1.0], name="w")
    graph = gx.compile([], w * 2, {w: w + 1}).graph
    made = copy.deepcopy(graph)
    assert str(made) == str(graph) and not set(made.variables) & set(graph.variables) and made.updates[0][0] is made.variables[0]


# --- layers and models -----------------------------------------------------------------------------------------------


def test_a_layer_with_weights_of_its_own() -> None:
    layer = gx.layers.Dense(2, input_shape=(3,), name="d")
    other = copy.deepcopy(layer)
    assert (other.name, list(other.variables), other.units) == ("d", list(layer.variables), 2)
    assert not set(other.weights) & set(layer.weights) and other.root is other
    x = np.ones((1, 3), "float32")
    np.testing.assert_array_equal(other(x).eval(), layer(x).eval())
    other.set_weights([np.zeros((3, 2)), np.zeros(2)])
    assert other(x).eval().tolist() == [[0, 0]] and np.any(layer(x).eval() != 0)
    fresh = copy.deepcopy(gx.layers.Dense(2))
    assert fresh.weights == [] and fresh(x).shape == (1, 2) and len(fresh.weights) == 2


def test_a_part_is_copied_without_what_it_is_a_part_of() -> None:
    model = gx.models.Sequential([gx.layers.Dense(2, input_shape=(3,)), gx.layers.Dense(1)])
    first, *others = model.layers
    made = copy.deepcopy(first)
    assert made.root is made and model.layers[0] is first and first.root is model and others[0].root is model
    for part, whole in (copy.deepcopy((first, model)), reversed(copy.deepcopy((model, first)))):
        assert whole.layers[0] is part and part.root is whole and part.path == "0" and whole is not model


def test_shared_layers_are_shared_in_the_copy() -> None:
    layer = gx.layers.Dense(3, input_shape=(3,))
    model = gx.models.Sequential([layer, layer])
    made = copy.deepcopy(model)
    assert made.layers[0] is made.layers[1] is not layer and list(made.variables) == list(model.variables)


def data() -> tuple[Any, Any]:
    rng = np.random.default_rng(3)
    x = rng.normal(size=(24, 5)).astype("float32")
    return x, (x.sum(1) > 0).astype("int64")


class Own(gx.models.Model):
    def __init__(self) -> None:
        super().__init__(name="own")
        self.inner = [gx.layers.Dense(6, activation="relu"), gx.layers.BatchNormalization()]
        self.last = gx.layers.Dense(2)

    def call(self, x: gx.Tensor) -> gx.Tensor:
        for layer in self.inner:
            x = layer(x)
        return self.last(x)


def of_symbols() -> gx.models.Model:
    x = gx.layers.Input((5,))
    h = gx.layers.Dropout(0.25)(gx.layers.Dense(6, activation="relu")(x))
    return gx.models.Model(x, gx.layers.Dense(2)(gx.layers.BatchNormalization()(h) + 2 * h))


def in_a_row() -> gx.models.Model:
    return gx.models.Sequential([gx.layers.Dense(6, input_shape=(5,)), gx.layers.Dropout(0.5), gx.layers.Dense(2)])


@pytest.mark.parametrize("build", [Own, of_symbols, in_a_row])
def test_a_model_goes_on_as_its_copy_does(build: Any) -> None:
    """Weights, moments, keys of random numbers and metrics: the same bits, each in variables of its own."""
    x, y = data()
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, batch_size=8, epochs=1, verbose=0)
    made = copy.deepcopy(model)
    assert type(made) is type(model) and not set(made.weights) & set(model.weights)
    assert list(made.state) == list(model.state) and not set(made.state.values()) & set(model.state.values())
    np.testing.assert_array_equal(made.predict(x), model.predict(x))
    still = [w.copy() for w in made.get_weights()]
    first = model.fit(x, y, batch_size=8, epochs=2, verbose=0).history
    for a, b in zip(still, made.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert made.fit(x, y, batch_size=8, epochs=2, verbose=0).history == first
    for (name, a), (_, b) in zip(model.state.items(), made.state.items(), strict=True):
        np.testing.assert_array_equal(a.value, b.value, name)
    assert made.evaluate(x, y) == model.evaluate(x, y)


def test_a_copied_model_of_symbols_can_be_built_on_and_saved(tmp_path: Any) -> None:
    model = of_symbols()
    made, output = copy.deepcopy((model, model.outputs))
    assert output is made.outputs
    made.save(tmp_path / "m")
    again = gx.models.load(tmp_path / "m")
    assert list(again.variables) == list(model.variables)
    for a, b, c in zip(model.get_weights(), made.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
        np.testing.assert_array_equal(a, c)
    longer = gx.models.Model(made.inputs, gx.layers.Dense(1)(made.outputs))
    assert set(made.weights) < set(longer.weights) and not set(model.weights) & set(longer.weights)


def test_metrics() -> None:
    mean = gx.metrics.Mean()
    mean.update_state(np.array([1.0, 3.0]))
    made = copy.deepcopy(mean)
    made.update_state(np.array([8.0]))
    assert (float(mean.value()), float(made.value())) == (2.0, 4.0)


# --- what is data ----------------------------------------------------------------------------------------------------


def test_types_sizes_and_errors_are_data() -> None:
    """They are pickled, and read in another process, whose texts have other hashes."""
    n = gx.placeholder("x", ("n", 3), "float32").shape[0]
    for dtype in DTYPES:
        assert copy.deepcopy(dtype) is dtype and copy.copy(dtype) is dtype and pickle.loads(pickle.dumps(dtype)) is dtype
    sizes = (n, 2 * n * n + 1, (n + 1) // 2, gx.placeholder("y", ("n", "m")).type)
    assert pickle.loads(pickle.dumps(sizes)) == sizes == copy.deepcopy(sizes)
    code = (
        "import sys, pickle, graphc as gx\n"
        "found = pickle.load(sys.stdin.buffer)\n"
        "x = gx.placeholder('x', ('n', 3)); n = x.shape[0]\n"
        "assert found == (n, 2 * n * n + 1, (n + 1) // 2, gx.placeholder('y', ('n', 'm')).type)\n"
        "assert {found[0]: 1}[n] == 1\n"
    )
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(sizes), check=True, env=None)
    with pytest.raises(gx.GraphError) as caught:
        gx.zeros((2, 3)) @ gx.zeros((2, 3))
    again = pickle.loads(pickle.dumps(caught.value))
    assert type(again) is type(caught.value) and str(again) == str(caught.value)
