"""What is told of a model and its training: the table of its layers, its drawing, figures, progress."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.layers import LSTM, BatchNorm, Conv2D, Dense, Dropout, Flatten, Input, Layer
from graphc.models import Model, Sequential
from graphc.models.history import Figures
from graphc.models.summary import summary, svg

X = np.linspace(-1, 1, 60, dtype="float32").reshape(20, 3)
Y = X.sum(1, keepdims=True)


class Block(Layer):
    def __init__(self, units: int, **options: Any) -> None:
        super().__init__(**options)
        self.first, self.second = Dense(units), Dense(units)

    def call(self, x: gx.Tensor) -> gx.Tensor:
        return x + self.second(self.first(x))


class Own(Model):
    def __init__(self) -> None:
        super().__init__(name="own")
        self.block, self.head = Block(3), Dense(1)

    def call(self, x: gx.Tensor) -> gx.Tensor:
        return self.head(self.block(self.block(x)))


def fitted(verbose: Any = 0, epochs: int = 1) -> Any:
    gx.layers.seed(1)
    model = Sequential([Dense(1, input_shape=(3,))])
    model.compile("sgd", "mse", backend="interpreter")
    return model, model.fit(X, Y, epochs=epochs, batch_size=8, verbose=verbose, validation_data=(X, Y))


# --- the table -------------------------------------------------------------------------------------------------------


def test_a_row_of_layers() -> None:
    model = Sequential([Conv2D(4, 3, input_shape=(8, 8, 1)), BatchNorm(), Flatten(), Dropout(0.5), Dense(3)], name="net")
    model.layers[0].trainable = False
    found = summary(model)
    assert [(row.path, row.kind, row.output, row.parameters) for row in found.rows] == [
        ("0", "Conv2D", "f32[batch, 6, 6, 4]", 40), ("1", "BatchNorm", "f32[batch, 6, 6, 4]", 16),
        ("2", "Flatten", "f32[batch, 144]", 0), ("3", "Dropout", "f32[batch, 144]", 2), ("4", "Dense", "f32[batch, 3]", 435),
    ]  # fmt: skip
    assert (found.trainable, found.frozen, found.total) == (8 + 435, 40 + 8 + 2, model.count_params())
    assert found.bytes == 4 * model.count_params()
    assert [found.rows[0].flops, found.rows[2].flops, found.rows[4].flops] == [144 * 2 * 9 + 144, 0, 2 * 144 * 3 + 3]


def test_a_model_of_symbols_and_layers_that_are_called_twice(capsys: pytest.CaptureFixture[str]) -> None:
    gx.layers.seed(1)
    x = Input((5,))
    layer = Dense(5)
    model = Model(x, Dense(2)(layer(layer(x))), name="twice")
    model.summary()
    assert capsys.readouterr().out == (
        "twice\n"
        "layer    class  output         parameters  bytes  FLOPs\n"
        "-------------------------------------------------------\n"
        "dense    Dense  f32[batch, 5]          30    120     55\n"
        "dense    Dense  f32[batch, 5]      shared            55\n"
        "dense_1  Dense  f32[batch, 2]          12     48     22\n"
        "-------------------------------------------------------\n"
        "parameters: 42 (168 bytes), trainable 42, frozen 0; FLOPs a sample: 132\n"
    )


def test_a_model_of_ones_own_to_any_depth() -> None:
    model = Own()
    with pytest.raises(gx.errors.InputError, match="own has no shapes yet"):
        model.summary()
    model(Input((3,)))
    assert [row.path for row in summary(model).rows] == ["block", "block", "head"]
    assert [row.cells[0] for row in summary(model, depth=2).rows[:3]] == ["block", "  block/first", "  block/second"]
    assert summary(model, depth=None).rows[2].parameters == 12
    assert summary(model).flops == 2 * (2 * (18 + 3) + 3) + 7
    assert [layer.name for layer in model.layers] == [model.block.name, model.head.name]
    assert model.get_layer("block/second") is model.block.second


def test_loops_count_their_steps_and_symbolic_lengths_stay() -> None:
    fixed, free = (summary(Sequential([LSTM(4, input_shape=(n, 3))])).flops for n in (7, "length"))
    assert isinstance(fixed, int) and fixed > 7 * 2 * (3 + 4) * 16
    assert "length" in str(free)
    assert gx.ir.dims.evaluate(free, {"length": 7}) == fixed


# --- drawings --------------------------------------------------------------------------------------------------------


def test_a_drawing_by_layers(tmp_path: Path) -> None:
    model = Own()
    model(Input((3,)))
    text = model.plot(tmp_path / "model.dot")
    assert (tmp_path / "model.dot").read_text() == text
    lines = [line.strip() for line in text.splitlines()]
    assert [line for line in lines if "->" in line] == [
        "input0 -> layer0;", "layer0 -> layer1;", "layer1 -> layer2;", "layer2 -> output0;",
    ]  # fmt: skip
    assert 'layer0 [label="block: Block\\nf32[batch, 3]", shape=box3d];' in lines
    deep = [line.strip() for line in model.plot(depth=2).splitlines()]
    assert sum(line.startswith("subgraph") for line in deep) == 2
    assert [line for line in deep if line.endswith("-> layer2;")] == ["input0 -> layer2;", "layer1 -> layer2;"]  # x + second(...)
    pydot = pytest.importorskip("pydot")
    for depth in (1, 2):
        assert pydot.graph_from_dot_data(model.plot(depth=depth)) is not None


def test_svg_needs_graphviz(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = fitted()[0]
    if shutil.which("dot"):
        model.plot(tmp_path / "model.svg")
        assert "<svg" in (tmp_path / "model.svg").read_text()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert svg(model.plot()) is None
    with pytest.raises(gx.errors.InputError, match="plot: SVG needs graphviz"):
        model.plot(tmp_path / "other.svg")


def test_a_notebook_shows_the_table() -> None:
    found = fitted()[0]._repr_mimebundle_()
    assert "<td" in found["text/html"] and "f32[batch, 1]" in found["text/html"]
    assert found["text/plain"].startswith("sequential\n")
    assert set(Sequential([Dense(2)])._repr_mimebundle_()) == {"text/plain"}


# --- figures and progress --------------------------------------------------------------------------------------------


def test_a_history_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    history = fitted(epochs=3)[1]
    figure = history.plot(tmp_path / "curves.png")
    assert (tmp_path / "curves.png").read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["training", "validation"]
    assert axes.lines[1].get_ydata().tolist() == history.history["val_loss"]
    assert axes.lines[0].get_xdata().tolist() == [1, 2, 3]


def test_matplotlib_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(gx.errors.InputError, match=r"History.plot needs matplotlib\n.*\n  hint: pip install 'graphc\[plot\]'"):
        gx.models.History().plot()


def test_what_evaluate_returns_prints_as_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    model = fitted()[0]
    found = model.evaluate(X, Y, verbose=1)
    assert isinstance(found, dict)
    assert capsys.readouterr().out == f"loss  {found['loss']:.4g}\n"
    assert str(Figures(loss=0.5, top_k=np.arange(2))) == "loss   0.5\ntop_k  [0 1]"
    assert Figures(loss=0.5)._repr_html_() == "<table><tr><td>loss</td><td>0.5</td></tr></table>"


def test_lines_where_there_is_no_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    history = fitted(verbose="auto", epochs=2)[1]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2: 3 steps in ")
    assert lines[1].endswith(f"val_loss {history.history['val_loss'][1]:.4g}")


def test_a_bar_ends_with_the_epochs_figures(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tqdm")
    history = fitted(verbose=1)[1]
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "epoch 1/1: 100%" in shown.err and f"val_loss {history.history['val_loss'][0]:.4g}" in shown.err


# --- single batches --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("k", [1, 2])
def test_steps_on_single_batches_are_those_of_fit(k: int) -> None:
    models = []
    for _ in range(2):
        gx.layers.seed(1)
        models.append(Sequential([Dense(1, input_shape=(3,))]))
        models[-1].compile("sgd", "mse", backend="interpreter", accumulate=k)
    one, other = models
    history = one.fit(X[:16], Y[:16], batch_size=4, verbose=0, shuffle=False)
    found = [other.train_on_batch(X[i : i + 4], Y[i : i + 4])["loss"] for i in range(0, 16, 4)]
    assert abs(np.mean(found) - history.history["loss"][0]) < 1e-6
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        assert np.allclose(a, b, rtol=1e-6)
    assert other.test_on_batch(X, Y)["loss"] == pytest.approx(one.evaluate(X, Y)["loss"])
    assert np.allclose(other.predict_on_batch(X), one.predict(X))
