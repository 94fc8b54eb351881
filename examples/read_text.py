"""The text in a picture, by models of others: a detector finds lines, a recogniser reads them (PP-OCR, arXiv:2009.09941).

    pip install --no-deps rapidocr-onnxruntime        # PP-OCR v4, two ONNX files of 15 MB; Apache-2.0
    python examples/read_text.py [PICTURE]            # pip install pillow scipy

Both models are read with their sizes open, so that each is compiled once for pictures and lines of every size.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

import graphc as gx

LINES = ("graphc reads text", "29 November 2026")
SEEN, SURE = 0.3, 0.6  # what the map of text must reach at a point, and on average in a line
WIDER = 1.5  # the detector learns lines without their rims: by how much of area over perimeter they are larger (arXiv:1911.08947)


def folder() -> Path:
    """Where the package has its models."""
    found = find_spec("rapidocr_onnxruntime")
    if found is None or found.origin is None:
        raise SystemExit("the models are missing: pip install --no-deps rapidocr-onnxruntime")
    return Path(found.origin).parent / "models"


class TextReader:
    """A picture, uint8 [height, width, 3] -> its lines from the top, each a text and how sure it is."""

    def __init__(self, where: Path, **options: Any) -> None:
        self.find = gx.onnx.load(where / "ch_PP-OCRv4_det_infer.onnx").compile(**options)
        model = onnx.load(where / "ch_PP-OCRv4_rec_infer.onnx")
        self.read = gx.onnx.load(model).compile(**options)
        letters = next(p.value for p in model.metadata_props if p.key == "character").splitlines()
        self.letters = ["", *letters, " "]  # the first stands for none

    def __call__(self, picture: Any) -> list[tuple[str, float]]:
        return [self.text_of(picture[box]) for box in self.boxes(picture)]

    def boxes(self, picture: Any) -> list[tuple[slice, slice]]:
        """The rows and columns of each line."""
        height, width = (-(-n // 32) * 32 for n in picture.shape[:2])
        image = np.asarray(Image.fromarray(picture).resize((width, height)), "float32")
        x = (image[..., ::-1] / 255 - (0.485, 0.456, 0.406)) / (0.229, 0.224, 0.225)  # blue comes first
        (found,) = self.find(np.moveaxis(x, -1, 0)[None].astype("float32"))
        scores = found[0, 0]
        marks, _ = ndimage.label(scores > SEEN)
        boxes = []
        for rows, columns in ndimage.find_objects(marks):
            if scores[rows, columns][scores[rows, columns] > SEEN].mean() < SURE:
                continue
            h, w = rows.stop - rows.start, columns.stop - columns.start
            rim = round(WIDER * h * w / (2 * (h + w)))
            scale = picture.shape[0] / height, picture.shape[1] / width
            sides = zip((rows, columns), scale, strict=True)
            boxes.append(tuple(slice(max(0, int((s.start - rim) * by)), int((s.stop + rim) * by)) for s, by in sides))
        return sorted(boxes, key=lambda box: box[0].start)

    def text_of(self, line: Any) -> tuple[str, float]:
        """The likeliest letter at every place, those in a row once, without the places of none (Graves et al. 2006)."""
        width = max(round(48 * line.shape[1] / line.shape[0]), 48)
        image = np.asarray(Image.fromarray(line).resize((width, 48)), "float32")[..., ::-1]
        (found,) = self.read((np.moveaxis(image, -1, 0)[None] / 127.5 - 1).astype("float32"))
        at, sure = found[0].argmax(-1), found[0].max(-1)
        kept = (at != 0) & (at != np.concatenate([[0], at[:-1]]))
        return "".join(self.letters[i] for i in at[kept]), float(sure[kept].mean()) if kept.any() else 0.0


def picture_of(lines: tuple[str, ...] = LINES, size: tuple[int, int] = (320, 128)) -> Any:
    """A picture with lines of text, [height, width, 3]."""
    made = Image.new("RGB", size, "white")
    for i, line in enumerate(lines):
        ImageDraw.Draw(made).text((12, 16 + 52 * i), line, fill="black", font=ImageFont.load_default(size=30))
    return np.asarray(made)


def main(path: str | None = None) -> list[tuple[str, float]]:
    picture = picture_of() if path is None else np.asarray(Image.open(path).convert("RGB"))
    lines = TextReader(folder())(picture)
    for text, sure in lines:
        print(f"{sure:.2f}  {text}")
    return lines


if __name__ == "__main__":
    main(*sys.argv[1:2])
