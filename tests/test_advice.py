"""Names of other libraries are answered with those that are here, at the user's line; a question whether one is there with no."""

from __future__ import annotations

import copy
import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import advice

x = gx.placeholder("x", ("n", 3), "float32")
w = gx.variable(np.ones(3, "float32"), name="w")
f = gx.compile([x], x * w)
model = gx.models.Sequential([gx.layers.Dense(3)])
OBJECTS = {"x": x, "w": w, "f": f, "model": model, "layer": model.layers[0]}
ROOMS = ("nn", "optim", "linalg", "random", "fft", "stats", "layers", "models", "data", "metrics", "debug", "testing")
OWNERS = {
    "graphc": gx, **{f"graphc.{room}": getattr(gx, room) for room in ROOMS},
    "Tensor": x, "Variable": w, "Compiled": f, "Model": model,
}  # fmt: skip
ROWS = [(owner, name, answer) for owner, table in advice.TABLES.items() for name, answer in table.items()]


@pytest.mark.parametrize(("owner", "name", "answer"), ROWS, ids=[f"{owner}.{name}" for owner, name, _ in ROWS])
def test_every_row(owner: str, name: str, answer: str) -> None:
    """The name is not there, its answer is, and it is what the user is told."""
    with pytest.raises(AttributeError) as caught:
        getattr(OWNERS[owner], name)
    error = caught.value
    assert isinstance(error, gx.errors.UnknownNameError) and isinstance(error, gx.GraphError)
    assert error.hint in (answer, f"did you mean {answer}?")
    assert error.where is not None and error.where.file == __file__
    for path in re.findall(r"\bgx((?:\.\w+)+)", answer):
        found: Any = gx
        for part in path[1:].split("."):
            found = getattr(found, part)
    for owner_name, attribute in re.findall(r"(?<![\w.])(x|w|f|model|layer)\.(\w+)", answer):
        assert hasattr(OBJECTS[owner_name], attribute), answer


def test_no_name_of_the_array_api_is_answered_with_another() -> None:
    """Nothing in the tables is a function that is here under that very name."""
    assert not set(advice.GRAPHC) & set(gx.__all__)
    for owner in ROOMS:
        assert not set(advice.TABLES[f"graphc.{owner}"]) & set(getattr(gx, owner).__all__)


WANTED: list[tuple[str, Callable[[], Any], str, str]] = [
    ("relu", lambda: gx.relu(x), "graphc has no relu", "did you mean gx.nn.relu?"),
    ("softmax", lambda: gx.softmax(x), "graphc has no softmax", "did you mean gx.nn.softmax?"),
    ("concatenate", lambda: gx.concatenate([x, x]), "graphc has no concatenate", "did you mean gx.concat?"),
    ("jit", lambda: gx.jit(abs), "graphc has no jit", "gx.compile(inputs, outputs) makes a function of arrays out of symbols"),
    ("Adam", lambda: gx.optim.Adam(), "graphc.optim has no Adam", "did you mean gx.optim.adam?"),
    ("Adam of gx", lambda: gx.Adam(), "graphc has no Adam", "did you mean gx.optim.adam?"),
    ("Linear", lambda: gx.nn.Linear(3, 4), "graphc.nn has no Linear", "x @ w + b, or gx.layers.Dense"),
    ("exp of nn", lambda: gx.nn.exp(x), "graphc.nn has no exp", "did you mean gx.exp?"),
    ("misspelt", lambda: gx.cumulativ_sum(x), "graphc has no cumulativ_sum", "did you mean gx.cumulative_sum?"),
    ("misspelt elsewhere", lambda: gx.crossentropy(x), "graphc has no crossentropy", "did you mean gx.nn.cross_entropy?"),
    ("method", lambda: x.exp(), "Tensor has no exp: <Tensor input 'x': f32[n, 3]>", "did you mean gx.exp(x)?"),
    ("method of nn", lambda: x.gelu(), "Tensor has no gelu: <Tensor input 'x': f32[n, 3]>", "did you mean gx.nn.gelu(x)?"),
    ("misspelt method", lambda: x.reshap(3), "Tensor has no reshap: <Tensor input 'x': f32[n, 3]>", "did you mean x.reshape?"),
    ("assign", lambda: w.assign(3), "Variable has no assign: <Variable 'w': f32[3]>",
     "w.update(new), or w.value = new; in a program updates={w: new}"),
    ("unsqueeze", lambda: w.unsqueeze(0), "Variable has no unsqueeze: <Variable 'w': f32[3]>",
     "did you mean gx.expand_dims(x, axis)?"),
    ("parameters", lambda: f.parameters(), f"Compiled has no parameters: {f!r}", "did you mean f.variables?"),
    ("NumPy's", lambda: np.unwrap(x), "numpy.unwrap of a symbol is not there", "see graphc's own functions"),
    ("NumPy's other name", lambda: np.rollaxis(x, 1), "numpy.rollaxis of a symbol is not there", "did you mean gx.moveaxis?"),
    ("Variable", lambda: gx.Variable(np.zeros(3), name="w"), "gx.Variable is the class of variables",
     "gx.variable(array, name=...) makes one"),
    ("dim", lambda: gx.sum(x, dim=1), "sum takes no dim", "did you mean axis=?"),
    ("keepdim", lambda: gx.max(x, dim=1, keepdim=True), "max takes no dim and no keepdim", "did you mean axis= and keepdims=?"),
    ("unbiased", lambda: gx.std(x, unbiased=1), "std takes no unbiased", "did you mean correction=?"),
    ("dim of a method", lambda: x.mean(dim=1), "mean takes no dim", "did you mean axis=?"),
    ("dim of nn", lambda: gx.nn.softmax(x, dim=1), "softmax takes no dim", "did you mean axis=?"),
    ("dim of linalg", lambda: gx.linalg.vector_norm(x, dim=1), "vector_norm takes no dim", "did you mean axis=?"),
    ("learning_rate", lambda: gx.optim.sgd(gx.sum(w), [w], learning_rate=1), "sgd takes no learning_rate", "did you mean lr=?"),
    ("axis misspelt", lambda: gx.sum(x, axs=1), "sum takes no axs", "did you mean axis=?"),
    ("zeros", lambda: gx.zeros(2, 3), "zeros takes its shape as one argument, got 2, 3 one by one",
     "shape as a tuple: gx.zeros((2, 3))"),
    ("ones of sizes", lambda: gx.ones(*x.shape), "ones takes its shape as one argument, got n, 3 one by one",
     "shape as a tuple: gx.ones((n, 3))"),
    ("empty", lambda: gx.empty(2, 3, 4), "empty takes its shape as one argument, got 2, 3, 4 one by one",
     "shape as a tuple: gx.empty((2, 3, 4))"),
    ("full", lambda: gx.full(2, 3, 0.5), "full takes its shape as one argument, got 2, 3 one by one",
     "shape as a tuple: gx.full((2, 3), 0.5)"),
    ("sum over axes", lambda: gx.sum(x, 0, 1), "sum takes its axis as one argument, got 0, 1 one by one", "axis=(0, 1)"),
    ("max over axes", lambda: gx.max(x, 0, 1), "max takes its axis as one argument, got 0, 1 one by one", "axis=(0, 1)"),
    ("mean over axes", lambda: x.mean(0, 1), "mean takes its axis as one argument, got 0, 1 one by one", "axis=(0, 1)"),
    ("keepdims in its place", lambda: x.sum(0, True), "sum: True is not a data type", "did you mean keepdims=?"),
    ("squeeze", lambda: x.squeeze(0, 1), "squeeze takes its axis as one argument, got 0, 1 one by one", "axis=(0, 1)"),
    ("flip", lambda: gx.flip(x, 0, 1), "flip takes its axis as one argument, got 0, 1 one by one", "axis=(0, 1)"),
    ("roll", lambda: gx.roll(x, 1, 0, 1), "roll takes its axis as one argument, got 0, 1 one by one", "axis=(0, 1)"),
    ("reshape", lambda: gx.reshape(x, 3, 2), "reshape takes its shape as one argument, got 3, 2 one by one",
     "shape as a tuple: gx.reshape(x, (3, 2))"),
    ("broadcast_to", lambda: gx.broadcast_to(x, 2, 3), "broadcast_to takes its shape as one argument, got 2, 3 one by one",
     "shape as a tuple: gx.broadcast_to(x, (2, 3))"),
    ("tile", lambda: gx.tile(x, 2, 2), "tile takes its repetitions as one argument, got 2, 2 one by one",
     "repetitions as a tuple: gx.tile(x, (2, 2))"),
    ("transpose", lambda: gx.transpose(x, 1, 0), "transpose takes its axes as one argument, got 1, 0 one by one", "axes=(1, 0)"),
    ("permute_dims", lambda: gx.permute_dims(x, 1, 0), "permute_dims takes its axes as one argument, got 1, 0 one by one",
     "axes=(1, 0)"),
    ("concat", lambda: gx.concat(x, x), "concat takes its arrays as one argument, got x, y one by one",
     "arrays as a list: gx.concat([x, y])"),
    ("stack", lambda: gx.stack(x, x), "stack takes its arrays as one argument, got x, y one by one",
     "arrays as a list: gx.stack([x, y])"),
    ("vstack", lambda: gx.vstack(x, x, x), "vstack takes its arrays as one argument, got x, y, z one by one",
     "arrays as a list: gx.vstack([x, y, z])"),
    ("normal", lambda: gx.random.normal(gx.random.key(0), 2, 3),
     "normal takes its shape as one argument, got 2, 3 one by one", "shape as a tuple: gx.random.normal(key, (2, 3))"),
    ("flatten", lambda: x.flatten(1), "flatten takes 0 arguments by place, got 1",
     "x.reshape(x.shape[0], -1) keeps the first axis, x.reshape(-1) none"),
    ("options by place", lambda: gx.nn.max_pool(x, 2, 2), "max_pool takes 2 arguments by place, got 3", "by name: stride=2"),
    ("in place", lambda: x.clamp_(0, 1), "Tensor has no clamp_: <Tensor input 'x': f32[n, 3]>",
     "nothing is written in place: x = x.clip(min, max)"),
    ("in place, a function", lambda: x.sqrt_(), "Tensor has no sqrt_: <Tensor input 'x': f32[n, 3]>",
     "nothing is written in place: x = gx.sqrt(x)"),
    ("type by name", lambda: x.bfloat16(), "Tensor has no bfloat16: <Tensor input 'x': f32[n, 3]>",
     'did you mean x.astype("bfloat16")?'),
    ("imag", lambda: x.imag, "Tensor has no imag: <Tensor input 'x': f32[n, 3]>", "gx.zeros_like(x): it is real"),
    ("condition number", lambda: gx.linalg.cond(x), "graphc.linalg has no cond",
     "s = gx.linalg.svdvals(x), and s[..., 0] / s[..., -1]"),
    ("layer of torch", lambda: gx.layers.Linear(3, 4), "graphc.layers has no Linear", "did you mean gx.layers.Dense?"),
    ("layer misspelt", lambda: gx.layers.Embeding(3, 4), "graphc.layers has no Embeding", "did you mean gx.layers.Embedding?"),
    ("fft", lambda: gx.fft.fftn(x), "graphc.fft has no fftn", "gx.fft.fft along one axis after the other"),
    ("parameters of a model", lambda: model.parameters(), f"Sequential has no parameters: {model!r}",
     "did you mean model.trainable_variables?"),
    ("attribute of a layer", lambda: gx.layers.Dense(3, name="d").wieghts, "Dense has no wieghts: <Dense 'd'>",
     "did you mean x.weights?"),
    ("element of a variable", lambda: w.__setitem__(0, 1), "assignment to elements is not possible: <Variable 'w': f32[3]>",

         "w.at[0].set(value) is a symbol, for updates={w: ...}; at once, w.update(function of the old array), or "
     "w.value = new array"),
    ("shape of a symbol", lambda: setattr(x, "shape", (3,)), "shape of a symbol cannot be set",
     "symbols do not change: x = x.reshape(shape)"),
    ("weight decay", lambda: gx.optim.adam(gx.sum(w), [w], weight_decay=0.1), "adam takes no weight_decay",
     "did you mean gx.optim.adamw?"),
    ("in place of an argument", lambda: gx.nn.relu(x, inplace=True), "relu takes no inplace",
     "nothing is written in place: leave it out"),
    ("norm of sizes", lambda: gx.nn.layer_norm(x, (3,)), "a norm's weight is an array of numbers, got the sizes (3,)",
     "axis=-1 names what is normalised, weight= and bias= are what it is multiplied by and what is added"),
    ("function to compile", lambda: gx.compile(abs), "compile() missing 1 required positional argument: 'outputs'",
     "gx.compile(inputs, outputs): placeholders, and symbols made of them"),
    ("function to differentiate", lambda: gx.grad(abs), "grad() missing 1 required positional argument: 'wrt'",
     "gx.grad(loss, variables) is a symbol, of symbols: no function is needed"),
    ("variables alone", lambda: gx.optim.adam([w]), "adam() missing 1 required positional argument: 'variables'",
     "gx.optim.adam(loss, variables)"),
    ("argnums", lambda: gx.grad(abs, argnums=0), "grad takes no argnums", "did you mean wrt=?"),
    ("nothing like it", lambda: gx.sum(x, colour=1), "sum takes no colour", "it takes x, axis, dtype, keepdims"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "message", "hint"), [row[1:] for row in WANTED], ids=[row[0] for row in WANTED])
def test_what_people_type_first(act: Callable[[], Any], message: str, hint: str) -> None:
    with pytest.raises(gx.GraphError) as caught:
        act()
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.where is not None and caught.value.where.file == __file__


def test_calls_of_others_that_work() -> None:
    a = gx.constant(np.float64([[0.125, 2.675], [-2.5, 1250.0]]))
    for places in (-2, -1, 0, 1, 2):
        np.testing.assert_array_equal(np.round(a, places).eval(), np.round(a.eval(), places))
        np.testing.assert_array_equal(round(a, places).eval(), np.round(a.eval(), places))
    whole = np.array([15, 25, -15, 1250, 0], "int16")
    for places in (-3, -1, 0, 2):
        found = gx.round(gx.constant(whole), places)
        np.testing.assert_array_equal(found.eval(), np.round(whole, places))
        assert found.dtype == gx.int16
    assert x.astype("float64", copy=False).dtype == gx.float64 and x.reshape(shape=(3, -1)).shape[0] == 3
    assert a.reshape(shape=4).shape == (4,) and gx.constant(1.0).reshape().shape == ()
    assert x.dtype == "float32" and x.dtype == np.float32 and x.dtype == np.dtype("f4") and x.dtype != "float64"
    assert a.dtype == float and x.dtype != "no type" and x.dtype != 4 and x.dtype in {gx.float32: 1}
    assert gx.sum(a, keepdims=1).shape == (1, 1)  # type: ignore[arg-type]
    assert isinstance(np.fft.rfft(a), gx.fft.Complex)


def test_a_layer_that_is_not_made_yet_says_so() -> None:
    class Early(gx.layers.Layer):
        def __init__(self) -> None:
            assert self.parts  # a method is there
            self.first = self.trainable_weights

    with pytest.raises(gx.errors.UnknownNameError, match="Early has no trainable_weights yet") as caught:
        Early()
    assert caught.value.hint == "call super().__init__() first"
    assert not hasattr(gx.layers.Dense(3), "no_such_thing") and copy.deepcopy(gx.layers.Dense(3)) is not None


def test_a_name_like_no_other_has_no_hint() -> None:
    with pytest.raises(gx.errors.UnknownNameError) as caught:
        _ = gx.zyzzyva
    assert caught.value.hint is None and "hint" not in str(caught.value)


@pytest.mark.parametrize("owner", OWNERS, ids=str)
def test_who_asks_whether_a_name_is_there_is_told_no(owner: str) -> None:
    thing = OWNERS[owner]
    for name in (
        "__array_interface__", "__array_struct__", "__dlpack__", "__cuda_array_interface__", "_repr_html_", "__wrapped__",
        "_ipython_display_", "_ipython_canary_method_should_not_exist_", "__torch_function__", "__getnewargs_ex__",
    ):  # fmt: skip
        assert not hasattr(thing, name), name
    assert not hasattr(thing, "to_numpy") and getattr(thing, "iloc", 7) == 7
    with pytest.raises(AttributeError) as caught:
        _ = thing._hidden
    assert not isinstance(caught.value, gx.GraphError)


def test_protocols_work_as_before() -> None:
    assert isinstance(np.add(x, 1), gx.Tensor) and isinstance(np.float32(2) * x, gx.Tensor)
    assert copy.copy([x])[0] is x
    assert inspect.signature(gx.sum) == inspect.signature(gx.ops.sum) and inspect.unwrap(gx.sum) is inspect.unwrap(gx.ops.sum)
    assert str(inspect.signature(gx.Tensor.sum)).startswith("(self, axis")
    with pytest.raises(TypeError, match="missing 1 required positional argument"):
        gx.sum()  # type: ignore[call-arg]
    with pytest.raises(ImportError):
        from graphc import relu  # type: ignore[attr-defined]  # noqa: F401


def test_an_error_inside_a_property_is_that_error() -> None:
    class Broken:
        @property
        def shape(self) -> Any:
            return self.data.shape

        def __getattr__(self, name: str) -> Any:
            raise advice.unknown_attribute(self, name, advice.TENSOR)

    class Odd(gx.Tensor):
        __slots__ = ()

        @property
        def broken(self) -> Any:
            return object().missing  # type: ignore[attr-defined]

    with pytest.raises(AttributeError, match=r"^'object' object has no attribute 'missing'$"):
        _ = Odd(x.op, (), x.attrs, x.type).broken
    with pytest.raises(gx.errors.UnknownNameError, match="Broken has no data"):
        _ = Broken().shape


def test_a_type_error_from_inside_stays() -> None:
    def sized(x: Any, axis: int | None = None) -> None:
        len(3)  # type: ignore[arg-type]

    with pytest.raises(TypeError, match=r"has no len\(\)"):
        advice.keywords(sized)(x, axis=1)
    with pytest.raises(gx.errors.InputError, match="sized takes no dim"):
        advice.keywords(sized)(x, dim=1)
