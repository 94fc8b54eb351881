"""What kind of file it is, by its bytes: magika's model, which others trained (Fratantonio et al. 2024, arXiv:2409.13768).

    pip install --no-deps magika             # an ONNX file of 3 MB; Apache-2.0
    python examples/file_type.py [FILE ...]  # this file and its neighbours by default

The model is read with the number of files open: one compilation, and one call for all files.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx

NAME = "standard_v3_3"


def folder() -> Path:
    """Where the package has its model."""
    found = find_spec("magika")
    if found is None or found.origin is None:
        raise SystemExit("the model is missing: pip install --no-deps magika")
    return Path(found.origin).parent / "models" / NAME


class FileTypes:
    """Contents of files, as bytes -> for each its likeliest kind, and how likely."""

    def __init__(self, where: Path, **options: Any) -> None:
        self.settings = json.loads((where / "config.min.json").read_text(encoding="utf-8"))
        self.kinds = self.settings["target_labels_space"]
        self.f = gx.onnx.load(where / "model.onnx").compile(**options)

    def __call__(self, contents: list[bytes]) -> list[tuple[str, float]]:
        (found,) = self.f(np.array([self.seen(c) for c in contents], "int32"))
        return [(self.kinds[row.argmax()], float(row.max())) for row in found]

    def seen(self, content: bytes) -> list[int]:
        """The first and the last bytes of a file, without blanks around it; a number that is no byte where there are none."""
        first, last, blank = (self.settings[name] for name in ("beg_size", "end_size", "padding_token"))
        block = self.settings["block_size"]
        start, end = content[:block].lstrip()[:first], content[-block:].rstrip()[-last:]
        return [*start, *[blank] * (first - len(start)), *[blank] * (last - len(end)), *end]


def main(files: list[str] | None = None) -> list[tuple[str, float]]:
    here = Path(__file__)
    paths = [Path(f) for f in files or []] or [here, here.parent.parent / "README.md", here.parent.parent / "pyproject.toml"]
    found = FileTypes(folder())([path.read_bytes() for path in paths])
    for path, (kind, sure) in zip(paths, found, strict=True):
        print(f"{path.name:24s} {kind:12s} {sure:.2f}")
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
