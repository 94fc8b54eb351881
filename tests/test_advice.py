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
OBJECTS = {"x": x, "w": w, "f": f}
OWNERS = {
    "graphc": gx, "graphc.nn": gx.nn, "graphc.optim": gx.optim, "graphc.linalg": gx.linalg, "graphc.random": gx.random,
    "Tensor": x, "Variable": w, "Compiled": f,
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
    for owner_name, attribute in re.findall(r"(?<![\w.])([xwf])\.(\w+)", answer):
        assert hasattr(OBJECTS[owner_name], attribute), answer


def test_no_name_of_the_array_api_is_answered_with_another() -> None:
    """Nothing in the tables is a function that is here under that very name."""
    assert not set(advice.GRAPHC) & set(gx.__all__)
    for owner in ("nn", "optim", "linalg", "random"):
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
    ("nothing like it", lambda: gx.sum(x, colour=1), "sum takes no colour", "it takes x, axis, dtype, keepdims"),
]  # fmt: skip


@pytest.mark.parametrize(("act", "message", "hint"), [row[1:] for row in WANTED], ids=[row[0] for row in WANTED])
def test_what_people_type_first(act: Callable[[], Any], message: str, hint: str) -> None:
    with pytest.raises(gx.GraphError) as caught:
        act()
    assert (caught.value.message, caught.value.hint) == (message, hint)
    assert caught.value.where is not None and caught.value.where.file == __file__


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
