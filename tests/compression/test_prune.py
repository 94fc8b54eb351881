"""Models with less weights: which go, that they stay away, and that without channels the rest is what it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.layers import BatchNorm, Conv2D, Dense, Dropout, Flatten, GlobalAveragePool, MaxPool
from graphc.models import Sequential

Array = np.ndarray[Any, Any]


def rows(n: int, *shape: int) -> Array:
    return np.random.default_rng(n).normal(size=(n, *shape)).astype(np.float32)


def dense() -> Sequential:
    with gx.layers.seeded(1):
        return Sequential([Dense(16, activation="relu", input_shape=(8,)), Dense(12, activation="tanh"), Dense(3)])


def test_the_smallest_elements_of_each_kernel_go_and_stay_away_in_training() -> None:
    model, x = dense(), rows(128, 8)
    model.compile("adam", "mse")
    sparse = gx.prune(model, 0.75, skip=["2"])
    for path in ("0/kernel", "1/kernel"):
        before, after = model.variables[path].value, sparse.variables[path].value
        gone = after == 0
        assert gone.sum() == round(0.75 * gone.size) and np.array_equal(after[~gone], before[~gone])
        assert np.abs(before[gone]).max() <= np.abs(before[~gone]).min()
    zeros = {path: v.value == 0 for path, v in sparse.variables.items() if path.endswith("kernel")}
    sparse.fit(x, x[:, :3], epochs=3, batch_size=32, verbose=0)
    for path, gone in zeros.items():
        now = sparse.variables[path].value
        assert np.array_equal(now == 0, gone) and not np.array_equal(now, model.variables[path].value)
    small = gx.quantize(sparse, x)
    assert all((small.variables[path].value[gone] == 0).all() for path, gone in zeros.items())
    assert gx.models.Sequential.from_config(sparse.get_config()).layers[0].pruned


def test_of_every_four_neighbours_along_the_inputs_two_stay() -> None:
    with gx.layers.seeded(2):
        model = Sequential([Conv2D(5, 3, input_shape=(6, 6, 6)), Flatten(), Dense(4)])
    sparse = gx.prune(model, method="2:4")
    kernel, before = sparse.variables["0/kernel"].value, model.variables["0/kernel"].value
    groups = kernel[:, :, :4]
    assert ((groups != 0).sum(axis=2) == 2).all() and ((kernel[:, :, 4:] != 0).sum(axis=2) == 2).all()
    kept = np.sort(np.abs(before[:, :, :4]), axis=2)[:, :, 2:]
    assert np.array_equal(np.sort(np.abs(groups), axis=2)[:, :, 2:], kept)
    assert ((sparse.variables["2/kernel"].value.reshape(20, 4, 4) != 0).sum(axis=1) == 2).all()


def zero_channels(model: Sequential, *paths: str, axis: int = -1) -> None:
    """Make half of the outputs of some layers 0, the odd ones, so that without them nothing else changes."""
    for path in paths:
        for name in ("kernel", "bias", "gamma", "beta"):
            found = model.variables.get(f"{path}/{name}")
            if found is not None:
                value = found.value.copy()
                value[..., 1::2] = 0
                found.value = value


@pytest.mark.parametrize("layout", ["NHWC", "NCHW"])
def test_without_channels_of_zeros_a_model_is_smaller_and_predicts_the_same(layout: str) -> None:
    shape = (12, 12, 2) if layout == "NHWC" else (2, 12, 12)
    with gx.layers.seeded(3):
        model = Sequential([
            Conv2D(8, 3, layout=layout, activation="relu", input_shape=shape), BatchNorm(layout=layout),
            MaxPool(2, layout=layout), Conv2D(6, 3, layout=layout, activation="relu"), Dropout(0.2), Flatten(),
            Dense(10, activation="relu"), Dense(3),
        ])  # fmt: skip
    zero_channels(model, "0", "1", "3", "6")
    lean, x = gx.prune(model, 0.5, method="channels"), rows(5, *shape)
    assert [layer.filters for layer in lean.layers if isinstance(layer, Conv2D)] == [4, 3]
    assert lean.layers[-2].units == 5 and lean.layers[-1].units == 3
    assert lean.count_params() < 0.35 * model.count_params()
    assert np.allclose(lean.predict(x), model.predict(x), atol=1e-5)
    assert model.layers[0].filters == 8
    lean.compile("sgd", "mse")
    lean.fit(x, np.zeros((5, 3), np.float32), verbose=0)
    assert gx.models.Sequential.from_config(lean.get_config()).count_params() == lean.count_params()


def test_channels_go_through_global_pools_but_not_through_softmax() -> None:
    with gx.layers.seeded(4):
        model = Sequential([
            Conv2D(8, 3, activation="relu", input_shape=(6, 6, 2)), GlobalAveragePool(), Dense(6, activation="softmax"), Dense(4),
            Dense(2),
        ])  # fmt: skip
    lean = gx.prune(model, 0.5, method="channels")
    assert [v.shape for p, v in lean.variables.items() if p.endswith("kernel")] == [(3, 3, 2, 4), (4, 6), (6, 2), (2, 2)]


def test_channels_are_taken_out_of_symbols() -> None:
    x = gx.placeholder("x", ("n", 8, 8, 2), "float32")
    k, c = gx.variable(rows(3, 3, 2, 8), name="k"), gx.variable(rows(8), name="c")
    w, b = gx.variable(rows(72, 6), name="w"), gx.variable(rows(6), name="b")
    v = gx.variable(rows(6, 3), name="v")
    for variable in (k, c, w, b):
        value = variable.value.copy()
        value[..., 1::2] = 0
        variable.value = value
    h = gx.nn.max_pool(gx.nn.relu(gx.nn.conv(x, k, c, layout="NHWC")), 2, layout="NHWC")
    y = gx.tanh(gx.reshape(h, (x.shape[0], 72)) @ w + b) @ v
    lean = gx.prune({"y": y}, 0.5, method="channels")
    data = rows(4, 8, 8, 2)
    program = gx.compile([x], lean)
    assert {v.name: v.shape for v in program.variables.values()} == {
        "k": (3, 3, 2, 4), "c": (4,), "w": (36, 3), "b": (3,), "v": (3, 3),
    }  # fmt: skip
    assert np.allclose(program(data)["y"], gx.compile([x], y)(data), atol=1e-5)
    sparse = gx.prune(y, 0.5, skip=["k"])
    kept = {v.name: int(np.count_nonzero(v.value)) for v in gx.compile([x], sparse).variables.values()}
    assert kept["w"] == 216 and kept["v"] == 9 and kept["k"] == 72


def test_what_cannot_be_pruned_is_refused() -> None:
    model, x = dense(), gx.placeholder("x", ("n", 8), "float32")
    w, v = gx.variable(rows(8, 8), name="w"), gx.variable(rows(8, 8), name="v")
    h = x @ w
    cases = [
        (lambda: gx.prune(model, 1.0), "amount is 1.0"),
        (lambda: gx.prune(model, method="random"), "has no method 'random'"),
        (lambda: gx.prune(model, method="4:2"), "has no method '4:2'"),
        (lambda: gx.prune(model, method=True), "has no method True"),
        (lambda: gx.prune(model, skip=3), "skip is 3"),
        (lambda: gx.prune(model, skip=["no"]), "skip names 'no'"),
        (lambda: gx.prune(gx.quantize(model, rows(9, 8))), "is of integers already"),
        (lambda: gx.prune(Sequential([Dense(3, input_shape=(2,))]), method="channels"), "has no channels that only a"),
        (lambda: gx.prune(gx.models.Model(x, Dense(2)(x)), method="channels"), "takes a Sequential, got Model"),
        (lambda: gx.prune(h @ v + h, method="channels"), "no channels that only products read"),
        (lambda: gx.prune("model"), "takes a model or symbols, got str"),
    ]  # fmt: skip
    for case, words in cases:
        with pytest.raises(gx.errors.InputError, match=words):
            case()
