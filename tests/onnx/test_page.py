"""docs/onnx.md: what of it needs torch, and its table of operators."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import graphc as gx

onnx = pytest.importorskip("onnx")
PAGE = (Path(gx.__file__).parent.parent / "docs" / "onnx.md").read_text(encoding="utf-8")


@pytest.mark.filterwarnings("ignore")
def test_a_model_of_torch_in_five_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")
    monkeypatch.chdir(tmp_path)
    (lines,) = re.findall(r"^```python torch\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    images = np.random.default_rng(0).normal(size=(4, 3, 8, 8)).astype("float32")
    names = {"np": np, "gx": gx, "torch": torch, "images": images}
    exec(lines, names)
    assert len(lines.splitlines()) == 5
    model = names["model"]
    assert str(model.inputs["x"].type) == "f32[batch, 3, 8, 8]" and len(model.variables) == 4  # type: ignore[attr-defined]


def test_the_table_has_every_operator() -> None:
    from graphc.onnx.operators import OPERATORS

    told = set(re.findall(r"[\w.]+(?:::\w+)?", PAGE[PAGE.index("<!-- generated: operators -->") :]))
    assert not {name.rpartition("::")[2] for name in OPERATORS if not name.startswith("mine::")} - told
