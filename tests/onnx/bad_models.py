"""Models that are broken, or meant to break what reads them: python tests/onnx/bad_models.py --models N --seed S

Each is a sound model that was changed: bytes of its file (bits, pieces cut out, doubled and exchanged), or fields of its message
(numbers, texts and parts replaced by others, dropped, doubled and exchanged), or it is one of the traps below: cycles, names that
are missing or there twice, graphs in graphs, functions that call themselves, constants of 10^12 elements. `gx.onnx.load` must

    read it               it may be sound all the same
    refuse it             a ModelError in the reader's own words; where a node is the reason, it names node and operator

within 2 seconds and 256 MiB more than the process had, and open no file but the model's own. Anything else is printed: another
exception, an error that is Python's own with the class before it, a file that is opened, too much time or memory, a crash (in a
process of its own, which goes on after the model). The last line counts them; the exit code is 1 if there are any.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import onnx
from onnx import AttributeProto, ModelProto, TensorProto, helper, numpy_helper

import graphc as gx
from graphc.backends.llvm import cache
from graphc.onnx import ModelError, load

Rng = np.random.Generator
SECONDS, BYTES = 2.0, 256 * 2**20
HANG = 20  # seconds after which a model is given up
NUMBERS = (
    0, 1, -1, 2, 3, 5, 7, 16, 63, 64, 100, 1000, 4096, 10**5, 10**6, 10**9, 10**12, 10**15, 2**31 - 1, 2**31, 2**32, 2**62,
    2**63 - 1, -(2**63), -2, -3, -100, -(10**6), -(10**12),
)  # fmt: skip
REALS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-30, 1e30, 3e38, float("nan"), float("inf"), float("-inf"), 1e12, -1e12)
TEXTS = ("", "x", "y", "../../etc/passwd", "/etc/passwd", "\0", "a" * 5000, "é", "nearest", "Add", "ai.onnx", "SAME_UPPER")


# --- sound models ----------------------------------------------------------------------------------------------------


def node(kind: str, inputs: str, outputs: str, **attrs: Any) -> Any:
    names = ["" if i == "_" else i for i in inputs.split()]
    return helper.make_node(kind, names, outputs.split(), name=f"{kind.lower()}1", **attrs)


def value(name: str, shape: Any, kind: int = TensorProto.FLOAT) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def model(nodes: Any, inputs: Any, outputs: Any, version: int = 21, functions: Any = (), **constants: Any) -> ModelProto:
    graph = helper.make_graph(
        nodes, "small", [value(n, s) for n, s in inputs.items()], [value(n, None) for n in outputs.split()],
        [numpy_helper.from_array(np.asarray(v), n) for n, v in constants.items()],
    )  # fmt: skip
    imports = [helper.make_opsetid("", version), helper.make_opsetid("mine", 1)]
    return helper.make_model(graph, opset_imports=imports, functions=list(functions))


def floats(*shape: int) -> Any:
    return np.linspace(-1, 1, int(np.prod(shape)), dtype="float32").reshape(shape)


def _body(nodes: Any, inputs: Any, outputs: Any) -> Any:
    return helper.make_graph(nodes, "body", inputs, outputs)


def sound() -> list[ModelProto]:
    """Small models, of all kinds of parts."""
    one, b = [], TensorProto.BOOL
    branch = lambda kind: _body([node(kind, "x", "r")], [], [value("r", None)])
    loop = _body(
        [node("Add", "s w", "s2"), node("Identity", "go", "go2"), node("Mul", "s2 w", "row")],
        [value("i", one, TensorProto.INT64), value("go", one, b), value("s", [2, 3])],
        [value("go2", one, b), value("s2", [2, 3]), value("row", [2, 3])],
    )
    scan = _body(
        [node("Add", "s r", "s2"), node("Neg", "s2", "out")], [value("s", [3]), value("r", [3])],
        [value("s2", [3]), value("out", [3])],
    )  # fmt: skip
    twice = helper.make_function(
        "mine", "Twice", ["a"], ["b"], [node("Add", "a a", "t"), node("Mul", "t t", "b")], [helper.make_opsetid("", 21)]
    )
    mapped = _body([node("Neg", "e", "n")], [value("e", [3])], [value("n", [3])])
    ints = lambda *v: np.array(v, np.int64)
    return [
        model([node("Gemm", "x w b", "h", transB=1, alpha=0.5), node("Relu", "h", "r"), node("Softmax", "r", "y", axis=-1)],
              {"x": ["n", 4]}, "y", w=floats(3, 4), b=floats(3)),
        model([node("Conv", "x w b", "c", pads=[1, 1, 1, 1], strides=[2, 1], group=1, kernel_shape=[3, 3]),
               node("BatchNormalization", "c s b2 m v", "n", epsilon=1e-3),
               node("MaxPool", "n", "p", kernel_shape=[2, 2], strides=[2, 2], ceil_mode=1),
               node("AveragePool", "p", "y", kernel_shape=[2, 1], count_include_pad=1, dilations=[1, 1])],
              {"x": [1, 2, 8, 6]}, "y", w=floats(4, 2, 3, 3), b=floats(4), s=floats(4), b2=floats(4), m=floats(4),
              v=np.ones(4, "f")),
        model([node("Shape", "x", "s"), node("Gather", "s zero", "n"), node("Unsqueeze", "n at", "u"),
               node("Concat", "u rest", "shape", axis=0), node("Reshape", "x shape", "m"), node("Slice", "m a e ax st", "sl"),
               node("Expand", "sl shape2", "ex"), node("Tile", "ex rep", "y")],
              {"x": ["n", 2, 6]}, "y", zero=ints(0)[0], at=ints(0), rest=ints(-1, 3), a=ints(0), e=ints(1), ax=ints(1),
              st=ints(1), shape2=ints(1, 4, 3), rep=ints(1, 2, 1)),
        model([node("ConstantOfShape", "sh", "c", value=numpy_helper.from_array(np.ones(1, "f"))),
               node("Range", "lo hi step", "r"), node("Cast", "r", "rf", to=1), node("Add", "c rf", "a"),
               node("Pad", "a pads", "p"), node("Add", "p x", "y")], {"x": [1]}, "y", sh=ints(2, 5), lo=ints(0)[0], hi=ints(5)[0],
              step=ints(1)[0],
              pads=ints(0, 1, 1, 0)),
        model([node("Resize", "x _ sc", "r", mode="linear", coordinate_transformation_mode="half_pixel"),
               node("Resize", "r _ _ sz", "y", mode="cubic", antialias=1)], {"x": [1, 1, 4, 4]}, "y",
              sc=np.array([1, 1, 2, 1.5], "f"), sz=ints(1, 1, 3, 3)),
        model([node("ReduceMax", "x", "m", keepdims=0), node("Greater", "m zero", "t"),
               node("If", "t", "y", then_branch=branch("Relu"), else_branch=branch("Neg"))], {"x": [2, 3]}, "y",
              zero=np.float32(0)),
        model([node("Loop", "trips go x", "last rows", body=loop), node("Add", "last x", "y")], {"x": [2, 3]}, "y rows",
              trips=ints(4)[0], go=np.array(True), w=floats(2, 3)),
        model([node("Scan", "s x", "last rows", body=scan, num_scan_inputs=1)], {"s": [3], "x": ["t", 3]}, "last rows"),
        model([node("LSTM", "x w r b", "ys h c", hidden_size=2, direction="bidirectional"), node("Squeeze", "h ax", "y")],
              {"x": ["t", 1, 3]}, "y ys", w=floats(2, 8, 3), r=floats(2, 8, 2), b=floats(2, 16), ax=ints(1)),
        model([node("QuantizeLinear", "x s z", "q", axis=1), node("DequantizeLinear", "q s z", "d", axis=1),
               node("DynamicQuantizeLinear", "d", "u us uz"), node("MatMulInteger", "u k uz", "y")], {"x": [2, 3]}, "y us",
              s=np.float32(0.1), z=np.int8(3), k=np.ones((3, 2), "uint8")),
        model([helper.make_node("Twice", ["x"], ["t"], domain="mine", name="f1"),
               node("Split", "t", "a b", axis=1, num_outputs=2), node("SequenceConstruct", "a b", "q"),
               node("SequenceInsert", "q a", "q2"),
               node("ConcatFromSequence", "q2", "y", axis=1)], {"x": [2, 4]}, "y", functions=[twice]),
        model([node("SplitToSequence", "x", "q", axis=0, keepdims=0), node("SequenceMap", "q", "q2", body=mapped),
               node("SequenceAt", "q2 i", "e"), node("TopK", "e k", "t ti"), node("OneHot", "ti depth vals", "y")], {"x": [2, 3]},
              "y t", i=ints(0)[0], k=ints(2), depth=ints(3)[0], vals=np.array([0, 1], "f")),
        model([node("LayerNormalization", "x s b", "n", axis=-1), node("Attention", "n n n", "a", q_num_heads=2, kv_num_heads=2),
               node("Einsum", "a k", "e", equation="bij,jk->bik"), node("Gelu", "e", "g"), node("CumSum", "g ax", "y")],
              {"x": ["b", 3, 4]}, "y", version=23, s=floats(4), b=floats(4), k=floats(4, 4), ax=ints(1)[0]),
        model([node("GatherElements", "x at", "g", axis=1), node("ScatterND", "g at2 up", "s"),
               node("GridSample", "im grid", "gs"), node("ConvTranspose", "im w", "t", strides=[2, 2], output_padding=[1, 1]),
               node("LRN", "t", "l", size=3),
               node("NonZero", "mask", "nz"), node("Where", "cond s g", "y")],
              {"x": [2, 3], "im": [1, 1, 4, 4], "grid": [1, 2, 2, 2]}, "y gs l nz", at=np.zeros((2, 2), np.int64),
              at2=np.zeros((1, 2), np.int64), up=floats(1), w=floats(1, 1, 3, 3), mask=ints(0, 1, 1),
              cond=np.array([True, False])),
        model([node("DFT", "x", "d", onesided=1), node("STFT", "sig step win", "st"), node("HannWindow", "n", "hw"),
               node("MelWeightMatrix", "a b c d2 e", "mel"), node("Resize", "img _ sc2", "y")],
              {"x": [1, 8, 1], "sig": [1, 16, 1], "img": [1, 1, 2, 2]}, "y d st hw mel", version=20, step=ints(4)[0],
              win=floats(8), n=ints(6)[0], a=ints(3)[0], b=ints(16)[0], c=ints(8000)[0], d2=np.float32(0), e=np.float32(4000),
              sc2=np.array([1, 1, 2, 2], "f")),
    ]  # fmt: skip


@lru_cache(maxsize=1)
def seeds(suite: bool) -> tuple[bytes, ...]:
    """Files of sound models; with the suite, those of ONNX's own single operators too."""
    found = [m.SerializeToString() for m in sound()]
    if suite:
        from onnx.backend.test.loader import load_model_tests

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            cases = [c.model for c in load_model_tests(kind="node") if c.model is not None]
        found += [m.SerializeToString() for m in cases if m.ByteSize() < 20_000]
    return tuple(found)


# --- changes of bytes ------------------------------------------------------------------------------------------------


def flip(rng: Rng, data: bytes) -> bytes:
    made = bytearray(data)
    for _ in range(int(rng.integers(1, 9))):
        made[int(rng.integers(len(made)))] ^= 1 << int(rng.integers(8))
    return bytes(made)


def cut(rng: Rng, data: bytes) -> bytes:
    a, b = sorted(rng.integers(0, len(data) + 1, 2))
    return data[:a] if rng.random() < 0.5 else data[:a] + data[b:]


def double(rng: Rng, data: bytes) -> bytes:
    a, b = sorted(rng.integers(0, len(data) + 1, 2))
    return data[:b] + data[a:b] * int(rng.integers(1, 4)) + data[b:]


def exchange(rng: Rng, data: bytes) -> bytes:
    a, b, c = sorted(rng.integers(0, len(data) + 1, 3))
    return data[:a] + data[b:c] + data[a:b] + data[c:]


def fill(rng: Rng, data: bytes) -> bytes:
    at, count = int(rng.integers(len(data))), int(rng.integers(1, 12))
    return data[:at] + rng.bytes(count) + data[at + count * int(rng.integers(2)) :]


# --- changes of fields -----------------------------------------------------------------------------------------------


def _fields(message: Any) -> Iterator[tuple[Any, Any]]:
    """Every message in a message, with each of its fields that is set, from outside in."""
    todo = [message]
    while todo:
        here = todo.pop()
        for field, held in here.ListFields():
            yield here, field
            if field.type == field.TYPE_MESSAGE:
                todo += list(held) if _repeated(field) else [held]


def _repeated(field: Any) -> bool:
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _texts(message: Any) -> list[str]:
    return [
        t for here, field in _fields(message) if field.type == field.TYPE_STRING
        for t in (getattr(here, field.name) if _repeated(field) else [getattr(here, field.name)])
    ]  # fmt: skip


def _another(rng: Rng, field: Any, old: Any, texts: list[str]) -> Any:
    pick = lambda items: items[int(rng.integers(len(items)))]
    if field.type in (field.TYPE_STRING, field.TYPE_BYTES):
        text = pick(texts) if rng.random() < 0.6 else pick(TEXTS)
        if field.type == field.TYPE_STRING:
            return text
        return text.encode() if rng.random() < 0.4 else cut(rng, old) if old else b"\xff"
    if field.type == field.TYPE_ENUM:
        return pick([v.number for v in field.enum_type.values])
    if field.type in (field.TYPE_FLOAT, field.TYPE_DOUBLE):
        return pick(REALS)
    number = pick(NUMBERS) if rng.random() < 0.7 else max(min(int(old) + int(rng.integers(-2, 3)), 2**63 - 1), -(2**63))
    if field.type == field.TYPE_UINT64:
        return abs(number)
    return number if field.type == field.TYPE_INT64 else ((number + 2**31) % 2**32) - 2**31


def change(rng: Rng, made: ModelProto) -> None:
    """One field: another value, dropped, doubled, exchanged, or in another's place."""
    places = list(_fields(made))
    here, field = places[int(rng.integers(len(places)))]
    held, how = getattr(here, field.name), rng.random()
    if not _repeated(field):
        if how < 0.15:
            here.ClearField(field.name)
        elif field.type != field.TYPE_MESSAGE:
            setattr(here, field.name, _another(rng, field, held, _texts(made)))
        else:
            same = [getattr(m, f.name) for m, f in places if f.type == f.TYPE_MESSAGE and f.message_type is field.message_type]
            same = [v if not hasattr(v, "add") else v[int(rng.integers(len(v)))] for v in same]
            copy = type(held)()
            copy.CopyFrom(same[int(rng.integers(len(same)))])
            held.CopyFrom(copy)
        return
    at, to = int(rng.integers(len(held))), int(rng.integers(len(held)))
    if how < 0.2:
        del held[at]
    elif how < 0.4:
        held.append(held[at])
    elif how < 0.6 and at != to:
        parts = list(held)
        parts[at], parts[to] = parts[to], parts[at]
        copies = [p if field.type != field.TYPE_MESSAGE else type(p).FromString(p.SerializeToString()) for p in parts]
        del held[:]
        held.extend(copies)
    elif field.type == field.TYPE_MESSAGE:
        others = [(m, f) for m, f in places if f.type == f.TYPE_MESSAGE and f.message_type is field.message_type]
        m, f = others[int(rng.integers(len(others)))]
        found = getattr(m, f.name)
        copy = type(held[at]).FromString((found[0] if _repeated(f) else found).SerializeToString())
        held[at].CopyFrom(copy)
    else:
        held[at] = _another(rng, field, held[at], _texts(made))


def fields(rng: Rng, data: bytes) -> bytes:
    made = ModelProto.FromString(data)
    for _ in range(int(rng.integers(1, 4))):
        change(rng, made)
    return bytes(made.SerializeToString())


def numbers(rng: Rng, data: bytes) -> bytes:
    """Only what counts: integers of constants, attributes and sizes."""
    made = ModelProto.FromString(data)
    pick = lambda: NUMBERS[int(rng.integers(len(NUMBERS)))]
    places: list[Callable[[], Any]] = []
    for t in made.graph.initializer:
        if t.data_type == TensorProto.INT64 and t.raw_data:

            def constant(t: Any = t) -> None:
                array = numpy_helper.to_array(t).copy()
                array.reshape(-1)[int(rng.integers(array.size))] = pick()
                t.CopyFrom(numpy_helper.from_array(array, t.name))

            places.append(constant)
    for n in made.graph.node:
        for a in n.attribute:
            if a.type == AttributeProto.INT:
                places.append(lambda a=a: setattr(a, "i", pick()))
            elif a.type == AttributeProto.INTS and a.ints:
                places.append(lambda a=a: a.ints.__setitem__(int(rng.integers(len(a.ints))), pick()))
    for i in made.graph.input:
        for d in i.type.tensor_type.shape.dim:
            places.append(lambda d=d: setattr(d, "dim_value", pick()))
    for _ in range(int(rng.integers(1, 4))):
        if places:
            places[int(rng.integers(len(places)))]()
    return bytes(made.SerializeToString())


def kinds(rng: Rng, data: bytes) -> bytes:
    """Lists, texts and tensors in each other's places: attributes of another kind, operands of another type, one too many."""
    made = ModelProto.FromString(data)
    nodes = list(made.graph.node)
    here = nodes[int(rng.integers(len(nodes)))]
    how = int(rng.integers(4))
    values = (1, 2.5, "text", [1, 2], [0.5], ["a"], numpy_helper.from_array(floats(2), "t"), made.graph)
    if how == 0 and here.attribute:
        a = here.attribute[int(rng.integers(len(here.attribute)))]
        a.CopyFrom(helper.make_attribute(a.name, values[int(rng.integers(len(values)))]))
    elif how == 1 and here.input:
        names = [o for n in nodes for o in n.output] + [t.name for t in made.graph.initializer] + [""]
        here.input[int(rng.integers(len(here.input)))] = names[int(rng.integers(len(names)))]
    elif how == 2:
        here.input.append(here.input[0] if here.input else "x")
    else:
        made.graph.node.insert(0, helper.make_node("SequenceConstruct", ["x"], ["list"]))
        names = here.input if here.input else [""]
        if here.input:
            here.input[int(rng.integers(len(names)))] = "list"
    return bytes(made.SerializeToString())


# --- traps -----------------------------------------------------------------------------------------------------------


def two_sets(version: int = 20) -> ModelProto:
    made = model([node("Relu", "x", "y")], {"x": [2]}, "y")
    made.opset_import.append(helper.make_opsetid("ai.onnx", version))
    return made


def traps() -> dict[str, Callable[[], ModelProto | bytes]]:
    """Models that are made to break a reader."""
    big, ints = 10**12, lambda *v: np.array(v, np.int64)
    line = lambda *nodes, **more: model(list(nodes), {"x": [2, 3]}, "y", **more)
    found: dict[str, Callable[[], ModelProto | bytes]] = {
        "cycle": lambda: line(node("Add", "x b", "a"), node("Add", "a x", "b"), node("Relu", "b", "y")),
        "own result": lambda: line(node("Add", "x y", "y")),
        "missing name": lambda: line(node("Add", "x nothing", "y")),
        "doubled name": lambda: line(node("Relu", "x", "y"), node("Neg", "x", "y")),
        "name of an input": lambda: line(node("Relu", "x", "x"), node("Relu", "x", "y")),
        "no output": lambda: line(node("Relu", "x", "z")),
        "ConstantOfShape": lambda: line(node("ConstantOfShape", "s", "y"), s=ints(big)),
        "ConstantOfShape of many axes": lambda: line(node("ConstantOfShape", "s", "y"), s=np.full(70, 2)),
        "ConstantOfShape that is computed": lambda: line(
            node("ConstantOfShape", "s", "c", value=numpy_helper.from_array(ints(1))), node("CumSum", "c z", "d"),
            node("ReduceMax", "d", "m", keepdims=1), node("Reshape", "x m", "y"), s=ints(10**9), z=ints(0)[0]),
        "Tile": lambda: line(node("Tile", "x r", "y"), r=ints(big, 1)),
        "Tile that is computed": lambda: line(node("Tile", "c r", "t"), node("ReduceMax", "t", "m", keepdims=1),
                                              node("Reshape", "x m", "y"), c=ints(6), r=ints(10**9)),
        "Expand": lambda: line(node("Expand", "x s", "y"), s=ints(big, 1, 1)),
        "Expand of a shape": lambda: line(node("Expand", "c s", "e"), node("Add", "e e2", "f"), node("Reshape", "x f", "y"),
                                          c=ints(1), s=ints(4096), e2=np.ones((4096, 1), np.int64)),
        "Range": lambda: line(node("Range", "a b c", "y"), a=ints(0)[0], b=ints(big)[0], c=ints(1)[0]),
        "Range of steps of 0": lambda: line(node("Range", "a b c", "y"), a=ints(0)[0], b=ints(9)[0], c=ints(0)[0]),
        "Range of NaN": lambda: line(node("Range", "a b c", "y"), a=np.float32(0), b=np.float32("nan"), c=np.float32(1)),
        "Range of small steps": lambda: line(node("Range", "a b c", "y"), a=np.float32(0), b=np.float32(1), c=np.float32(1e-30)),
        "Pad": lambda: line(node("Pad", "x p", "y"), p=ints(0, 0, big, 0)),
        "Pad by 2^63": lambda: line(node("Pad", "x p", "y"), p=ints(0, 0, 2**63 - 1, 2**63 - 1)),
        "Pad by its edge": lambda: line(node("Pad", "x p", "y", mode="edge"), p=ints(0, 0, big, 0)),
        "Resize": lambda: line(node("Resize", "x _ _ s", "y"), s=ints(big, 3)),
        "Resize by scales": lambda: line(node("Resize", "x _ s", "y", mode="linear"), s=np.array([1e12, 1], "f")),
        "Resize by NaN": lambda: line(node("Resize", "x _ s", "y"), s=np.array([np.nan, 1], "f")),
        "Resize to little": lambda: line(node("Resize", "x _ s", "y", mode="linear", antialias=1), s=np.array([1e-12, 1], "f")),
        "Upsample": lambda: line(node("Upsample", "x s", "y"), version=9, s=np.array([1e12, 1], "f")),
        "OneHot": lambda: line(node("OneHot", "i d v", "y"), i=ints(1), d=ints(big), v=ints(0, 1)),
        "EyeLike": lambda: model([node("EyeLike", "x", "y")], {"x": [10**6, 10**5]}, "y"),
        "CenterCropPad": lambda: line(node("CenterCropPad", "x s", "y"), s=ints(big, 1)),
        "HannWindow": lambda: line(node("HannWindow", "n", "y"), n=ints(big)[0]),
        "DFT": lambda: model([node("DFT", "x n", "y")], {"x": [1, 4, 1]}, "y", n=ints(10**9)[0]),
        "STFT": lambda: model([node("STFT", "x s _ l", "y")], {"x": [1, 10**9, 1]}, "y", s=ints(1)[0], l=ints(10**4)[0]),
        "MelWeightMatrix": lambda: line(node("MelWeightMatrix", "a b c d e", "y"), a=ints(10**6)[0], b=ints(10**9)[0],
                                        c=ints(8000)[0], d=np.float32(0), e=np.float32(4000)),
        "AffineGrid": lambda: model([node("AffineGrid", "x s", "y")], {"x": [1, 2, 3]}, "y", s=ints(1, 1, 10**6, 10**6)),
        "LRN": lambda: model([node("LRN", "x", "y", size=big)], {"x": [1, 2, 3]}, "y"),
        "MaxPool": lambda: model([node("MaxPool", "x", "y i", kernel_shape=[10**4, 10**4])], {"x": [1, 1, 10**5, 10**5]}, "y i"),
        "AveragePool": lambda: model([node("AveragePool", "x", "y", kernel_shape=[10**5, 10**5], dilations=[2, 2])],
                                     {"x": [1, 1, 4 * 10**5, 4 * 10**5]}, "y"),
        "Col2Im": lambda: model([node("Col2Im", "x i b", "y")], {"x": [1, 10**10, 1]}, "y", i=ints(10**5, 10**5),
                                b=ints(10**5, 10**5)),
        "RoiAlign": lambda: model([node("RoiAlign", "x r b", "y", output_height=10**9, output_width=10**9, sampling_ratio=9)],
                                  {"x": [1, 1, 4, 4], "r": [1, 4]}, "y", b=ints(0)),
        "GridSample of many axes": lambda: model([node("GridSample", "x g", "y", mode="cubic")],
                                                 {"x": [1] * 22, "g": [1] * 21 + [20]}, "y"),
        "SplitToSequence": lambda: model([node("SplitToSequence", "x", "q"), node("SequenceAt", "q i", "y")], {"x": [10**9]}, "y",
                                         i=ints(0)[0]),
        "Split": lambda: model([node("Split", "x", "y", num_outputs=10**9)], {"x": [10**9]}, "y"),
        "GatherND of a deep index": lambda: model([node("GatherND", "x i", "y")], {"x": [1] * 30}, "y",
                                                  i=np.zeros((1, 10**6), np.int64)),
        "DequantizeLinear in blocks": lambda: line(node("DequantizeLinear", "x s", "y", block_size=big, axis=0), s=floats(1, 3)),
        "squares of sizes": lambda: squares(30),
        "quotients of sizes": quotients,
        "products of outer sizes": lambda: model(
            [node("Size", "x", "s"), node("Expand", "s w", "c"), node("Expand", "s v", "d"), node("Mul", "c d", "m"),
             node("Reshape", "x m", "y")], {"x": ["n", "m"]}, "y", w=ints(4096, 1), v=ints(1, 4096)),
        "a constant of 10^12 without data": lambda: without_data([big]),
        "a constant of -1": lambda: without_data([-1, -1]),
        "a constant of 2^63 * 2^63": lambda: without_data([2**63 - 1, 2**63 - 1]),
        "a constant of 10,000 axes": lambda: without_data([1] * 10_000),
        "a constant of texts": lambda: texts_for_numbers(),
        "an input of 10,000 axes": lambda: model([node("Relu", "x", "y")], {"x": [1] * 10_000}, "y"),
        "an input of texts": lambda: typed(TensorProto.STRING),
        "an input of no type": lambda: typed(0),
        "an input of a type of tomorrow": lambda: typed(99),
        "an input that is a list": list_for_tensor,
        "a text that is none of its choices": lambda: line(
            node("ScatterND", "x at up", "y", reduction="most"), at=np.zeros((1, 2), np.int64), up=floats(1)),
        "a sequence where a tensor is": lambda: line(
            node("SequenceConstruct", "x x", "q"), helper.make_node("Gelu", ["q"], ["y"], domain="com.microsoft")),
        "a sequence that stays one": lambda: line(
            node("SequenceConstruct", "x x", "q"), node("Identity", "q", "q2"), node("ConcatFromSequence", "q2", "y", axis=0)),
        "a thousand directions": lambda: model(
            [node("GRU", "x w r", "y", hidden_size=2)], {"x": ["t", 1, 3], "w": [1000, 6, 3], "r": [1000, 6, 2]}, "y"),
        "two operator sets": two_sets,
        "an operator set that is there twice": lambda: two_sets(21),
        "operator set 0": lambda: line(node("Relu", "x", "y"), version=0),
        "operator set 10^9": lambda: line(node("Relu", "x", "y"), version=10**9),
        "operator set -1": lambda: line(node("Relu", "x", "y"), version=-1),
        "a loop of 10^12 steps": lambda: loops(1, big),
        "a loop of 10^12 steps of nothing": lambda: idle(big),
        "a loop without end that a size needs": endless,
        "loops in loops": lambda: loops(16, 3),
        "ifs in ifs, 20": lambda: ifs(20),
        "functions that call functions twice": lambda: laughs(30),
        "a function that calls itself": itself,
        "two functions that call each other": each_other,
        "8,000 nodes": lambda: line(*(node("Relu", "x" if i == 0 else f"a{i - 1}", f"a{i}") for i in range(8000)),
                                     node("Relu", "a7999", "y")),
        "Einsum of many operands": lambda: line(node("Einsum", "x " * 40, "y", equation="ij," * 39 + "ij->ij")),
        "Einsum of a long text": lambda: line(node("Einsum", "x", "y", equation="i" * 10**6)),
        "many axes": lambda: line(node("Unsqueeze", "x a", "y"), a=np.arange(2000)),
        "an external constant": lambda: external("w.bin"),
        "an external constant above": lambda: external("../secret"),
        "an external constant of the root": lambda: external("/etc/passwd"),
        "an external constant in an attribute": external_attribute,
    }  # fmt: skip
    for depth in (90, 1000):
        found[f"ifs in ifs, {depth}, as bytes"] = lambda depth=depth: nested_bytes(depth)
    for wrong in ("axis", "to", "kernel_shape", "body", "value", "mode", "equation"):
        found[f"{wrong} of each kind"] = lambda wrong=wrong: wrong_attribute(wrong)
    return found


def squares(count: int) -> ModelProto:
    nodes = [node("Shape", "x", "s"), node("ReduceSum", "s", "a0", keepdims=1)]
    nodes += [node("Mul", f"a{i} a{i}", f"a{i + 1}") for i in range(count)]
    return model([*nodes, node("Reshape", f"x a{count}", "y")], {"x": ["n", "m", "k"]}, "y")


def quotients() -> ModelProto:
    nodes = [node("Shape", "x", "a0")]
    for i in range(800):
        nodes += [node("Div", f"a{i} two", f"b{i}"), node("Add", f"b{i} one", f"a{i + 1}")]
    return model([*nodes, node("Expand", "x a800", "y")], {"x": ["n"]}, "y", two=np.array([2]), one=np.array([1]))


def without_data(dims: list[int]) -> ModelProto:
    made = model([node("Add", "x w", "y")], {"x": [1]}, "y", w=floats(1))
    made.graph.initializer[0].ClearField("dims")
    made.graph.initializer[0].dims.extend(dims)
    return made


def texts_for_numbers() -> ModelProto:
    made = model([node("Add", "x w", "y")], {"x": [1]}, "y")
    made.graph.initializer.append(helper.make_tensor("w", TensorProto.STRING, [1], ["text"]))
    return made


def typed(kind: int) -> ModelProto:
    made = model([node("Relu", "x", "y")], {"x": [1]}, "y")
    made.graph.input[0].type.tensor_type.elem_type = kind
    return made


def list_for_tensor() -> ModelProto:
    made = model([node("Relu", "x", "y")], {"x": [1]}, "y")
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TensorProto.FLOAT, [1]))
    made.graph.input[0].type.CopyFrom(kind)
    return made


def _loop(inner: list[Any], result: str) -> Any:
    return _body(
        [*inner, node("Identity", "go", "on")],
        [value("i", [], TensorProto.INT64), value("go", [], TensorProto.BOOL), value("s", [2, 3])],
        [value("on", [], TensorProto.BOOL), value(result, [2, 3])],
    )


def loops(depth: int, trips: int) -> ModelProto:
    body = _loop([node("Add", "s x", "t0")], "t0")
    for d in range(1, depth):
        body.input[2].name, body.input[0].name, body.input[1].name = f"s{d}", f"i{d}", f"go{d}"
        for n in body.node:
            n.input[:] = [{"s": f"s{d}", "go": f"go{d}", "i": f"i{d}"}.get(i, i) for i in n.input]
        body = _loop([node("Loop", "trips true s", f"t{d}", body=body)], f"t{d}")
        body.node[1].output[0] = body.output[0].name = f"on{d}"
    return model([node("Loop", "trips true x", "y", body=body)], {"x": [2, 3]}, "y", trips=np.int64(trips), true=np.array(True))


def idle(trips: int) -> ModelProto:
    """A loop of constants alone, whose result is a shape."""
    body = _loop([node("Add", "s s", "t")], "t")
    nodes = [node("Loop", "trips true c", "l", body=body), node("Cast", "l", "i", to=7), node("Reshape", "x i", "y")]
    return model(nodes, {"x": [6]}, "y", trips=np.int64(trips), true=np.array(True), c=np.ones(1, "f"))


def endless() -> ModelProto:
    body = _loop([node("Add", "s s", "t"), node("Equal", "i i", "always")], "t")
    body.output[0].name = "always"
    nodes = [node("Loop", "_ true c", "l", body=body), node("Cast", "l", "n", to=7), node("Reshape", "x n", "y")]
    return model(nodes, {"x": [6]}, "y", true=np.array(True), c=np.ones(1, "f"))


def ifs(depth: int) -> ModelProto:
    here = _body([node("Relu", "x", "r0")], [], [value("r0", None)])
    for d in range(1, depth):
        other = _body([node("Neg", "x", f"q{d}")], [], [value(f"q{d}", None)])
        here = _body([node("If", "t", f"r{d}", then_branch=here, else_branch=other)], [], [value(f"r{d}", None)])
    made = model([], {"x": [2]}, "y")
    made.graph.input.append(value("t", [], TensorProto.BOOL))
    made.graph.node.append(node("If", "t", "y", then_branch=here, else_branch=here))
    return made


def _field(number: int, data: bytes) -> bytes:
    size, length = len(data), bytearray()
    while True:
        length.append(size & 127 | (128 if size > 127 else 0))
        size >>= 7
        if not size:
            return bytes([number << 3 | 2]) + bytes(length) + data


def nested_bytes(depth: int) -> bytes:
    """A file of graphs within graphs, written byte by byte: the package does not write it."""
    graph = _field(2, b"deepest")
    for _ in range(depth):
        attribute = _field(1, b"then_branch") + b"\xa0\x01\x05" + _field(6, graph)
        graph = _field(1, _field(1, b"t") + _field(2, b"y") + _field(4, b"If") + _field(5, attribute))
    return b"\x08\x08" + _field(8, b"\x10\x15") + _field(7, graph)


def laughs(depth: int) -> ModelProto:
    sets = [helper.make_opsetid("", 21), helper.make_opsetid("mine", 1)]
    functions = [helper.make_function("mine", "F0", ["a"], ["b"], [node("Add", "a a", "b")], sets)]
    for d in range(1, depth):
        call = [helper.make_node(f"F{d - 1}", [i], [o], domain="mine") for i, o in (("a", "t"), ("t", "b"))]
        functions.append(helper.make_function("mine", f"F{d}", ["a"], ["b"], call, sets))
    return model([helper.make_node(f"F{depth - 1}", ["x"], ["y"], domain="mine")], {"x": [2]}, "y", functions=functions)


def itself() -> ModelProto:
    sets = [helper.make_opsetid("mine", 1)]
    function = helper.make_function("mine", "F", ["a"], ["b"], [helper.make_node("F", ["a"], ["b"], domain="mine")], sets)
    return model([helper.make_node("F", ["x"], ["y"], domain="mine")], {"x": [2]}, "y", functions=[function])


def each_other() -> ModelProto:
    sets = [helper.make_opsetid("mine", 1)]
    pair = [
        helper.make_function("mine", a, ["a"], ["b"], [helper.make_node(b, ["a"], ["b"], domain="mine")], sets)
        for a, b in (("F", "G"), ("G", "F"))
    ]
    return model([helper.make_node("F", ["x"], ["y"], domain="mine")], {"x": [2]}, "y", functions=pair)


def external(location: str) -> ModelProto:
    made = model([node("Add", "x w", "y")], {"x": [4]}, "y", w=floats(4))
    _put_outside(made.graph.initializer[0], location)
    return made


def _put_outside(tensor: Any, location: str) -> None:
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)


def external_attribute() -> ModelProto:
    tensor = numpy_helper.from_array(floats(4), "t")
    _put_outside(tensor, "/etc/passwd")
    return model([node("Constant", "", "w", value=tensor), node("Add", "x w", "y")], {"x": [4]}, "y")


def wrong_attribute(name: str) -> ModelProto:
    """The node of a sound model that has the attribute, once with each kind but its own."""
    values = (1, 2.5, "text", [1, 2], [0.5], ["a"])
    found = next((m, n, a) for m in sound() for n in m.graph.node for a in n.attribute if a.name == name)
    made, _, a = found
    old = helper.get_attribute_value(a)
    a.CopyFrom(helper.make_attribute(name, next(v for v in values if type(v) is not type(old) and not isinstance(old, type(v)))))
    return made


# --- trying them -----------------------------------------------------------------------------------------------------

BYTE_CHANGES = {f.__name__: f for f in (flip, cut, double, exchange, fill)}
CHANGES: dict[str, Callable[[Rng, bytes], bytes]] = {**BYTE_CHANGES, "fields": fields, "numbers": numbers, "kinds": kinds}
WEIGHTS = np.array([1, 0.5, 0.5, 0.5, 0.5, 3.5, 2.5, 1.5])


def mutant(seed: int, i: int, suite: bool) -> tuple[str, bytes]:
    """The i-th model of a seed, and how it was made. The first ones are the traps."""
    names = traps()
    if i < len(names):
        name = list(names)[i]
        made = names[name]()
        return f"trap: {name}", made if isinstance(made, bytes) else made.SerializeToString()
    rng = np.random.default_rng((seed, i))
    files = seeds(suite)
    if rng.random() < 0.05:  # a trap that was changed
        name = list(names)[int(rng.integers(len(names)))]
        trap = names[name]()
        data = trap if isinstance(trap, bytes) else trap.SerializeToString()
        if isinstance(trap, bytes) or len(data) > 10**5:
            return f"flip of trap {name}", flip(rng, data)
        return f"fields of trap {name}", fields(rng, data)
    data = files[int(rng.integers(len(files)))]
    name = str(rng.choice(list(CHANGES), p=WEIGHTS / WEIGHTS.sum()))
    return name, CHANGES[name](rng, data)


OPENED: list[str] = []
_WATCHED = (
    "open", "os.listdir", "os.scandir", "os.remove", "os.rename", "os.mkdir", "os.system", "subprocess.Popen", "socket.connect",
)  # fmt: skip
_ALLOWED = (
    sys.prefix, sys.base_prefix, str(Path(gx.__file__).parent), str(Path(onnx.__file__).parent),
    str(cache.wanted()),  # where a program of the same bytes may be kept, under a name that is their digest
)  # fmt: skip


def _watch(event: str, args: tuple[Any, ...]) -> None:
    if WATCHING and event in _WATCHED:
        place = args[0] if args else ""
        if isinstance(place, str) and (place.endswith((".py", ".pyc")) or place.startswith(_ALLOWED)):
            return  # Python loads a module, or looks up the line of an error
        OPENED.append(f"{event} {place!r}")


WATCHING = False


class Hangs(BaseException):
    pass


def _alarm(*_: object) -> None:
    raise Hangs


def _peak() -> int:
    """The most bytes that were in memory since the last call; it needs Linux."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(found[1]) * 1024 if found else 0


NODES = re.compile(r"^node .+ of \S+: |^.* node .+ of \S+")
PYTHONS_OWN = re.compile(r"\b(?:[A-Z][a-z]+)+(?:Error|Exception): ")


def attempt(data: bytes) -> tuple[str, str]:
    """What became of a model, and what is wrong if anything is."""
    global WATCHING
    OPENED.clear()
    before = _peak()
    start = time.process_time()
    signal.setitimer(signal.ITIMER_REAL, HANG)
    WATCHING = True
    try:
        load(data)
        outcome, words = "read", ""
    except ModelError as error:
        outcome, words = "refused", error.message
    except Hangs:
        outcome, words = "wrong", "hangs"
    except Exception as error:
        outcome, words = "wrong", "".join(traceback.format_exception(error)[-3:])
    finally:
        WATCHING = False
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = time.process_time() - start
    memory = max(_peak() - before, 0)
    for key, much in (("seconds", seconds), ("bytes", memory)):
        if much > MOST[key]:
            MOST[key], WORST[key] = much, words[:100]
    if outcome == "refused":
        if PYTHONS_OWN.search(words):
            outcome = "unclear"
        elif len(words) > 2000:
            outcome, words = "unclear", f"a message of {len(words)} characters"
    if OPENED:
        outcome, words = "wrong", f"opened {OPENED}"
    if seconds > SECONDS:
        outcome, words = "wrong", f"{seconds:.1f} s; {words}"
    if memory > BYTES:
        outcome, words = "wrong", f"{memory / 2**20:.0f} MiB; {words}"
    return outcome, words


MOST: dict[str, float] = {"seconds": 0.0, "bytes": 0.0}
WORST: dict[str, str] = {}


def work(seed: int, first: int, last: int, suite: bool, log: Path) -> None:
    """Try models in this process: a line of JSON for each that is wrong, and one at the end. The log has its number."""
    signal.signal(signal.SIGALRM, _alarm)
    sys.addaudithook(_watch)
    warnings.simplefilter("ignore")
    for data in seeds(suite)[:15]:
        load(data)  # what is loaded once is loaded
    _, size = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (8 * 2**30, size))  # the machine is not to suffer
    counts: Counter[str] = Counter()
    with np.errstate(all="ignore"):
        for i in range(first, last):
            log.write_text(str(i))
            how, data = mutant(seed, i, suite)
            outcome, words = attempt(data)
            counts[f"{how.partition(':')[0].partition(' ')[0]} {outcome}"] += 1
            if outcome not in ("read", "refused"):
                print(json.dumps({"model": i, "how": how, "outcome": outcome, "words": words}), flush=True)
    print(json.dumps({"counts": counts, "most": MOST, "worst": WORST}), flush=True)


def run(models: int, seed: int, suite: bool, processes: int = 1) -> tuple[Counter[str], list[dict[str, Any]], dict[str, float]]:
    """Try models in processes of their own, which are made anew where one ends before its time."""
    counts, wrong, most = Counter[str](), list[dict[str, Any]](), {"seconds": 0.0, "bytes": 0.0}
    edges = np.linspace(0, models, max(processes, models // 2000) + 1).astype(int).tolist()
    waiting = list(itertools.pairwise(edges))
    running: list[tuple[Any, Path, int]] = []
    with tempfile.TemporaryDirectory() as folder:
        made = 0
        while waiting or running:
            while waiting and len(running) < processes:
                first, last = waiting.pop(0)
                log = Path(folder) / f"{made}.log"
                made += 1
                command = [sys.executable, __file__, "--work", str(first), str(last), str(log), "--seed", str(seed)]
                command += ["--suite"] if suite else []
                with open(f"{log}.out", "w", encoding="utf-8") as out:
                    child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
                running.append((child, log, last))
            child, log, last = running.pop(0)
            code = child.wait()
            lines = Path(f"{log}.out").read_text().splitlines()
            for line in lines:
                found = json.loads(line) if line.startswith("{") else None
                if found is not None and "counts" in found:
                    counts.update(found["counts"])
                    most = {key: max(most[key], found["most"][key]) for key in most}
                elif found is not None:
                    wrong.append(found)
            if code:
                at = int(log.read_text() or 0) if log.exists() else last
                words = "\n".join(lines[-20:])
                wrong.append({"model": at, "how": "", "outcome": f"the process ended with {code}", "words": words})
                if at + 1 < last:
                    waiting.insert(0, (at + 1, last))
    return counts, wrong, most


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--suite", action="store_true", help="from ONNX's own single operators too")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--only", type=int, nargs="*", help="these models of the seed, with what they give")
    parser.add_argument("--work", nargs=3, metavar=("FIRST", "LAST", "LOG"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        work(given.seed, int(given.work[0]), int(given.work[1]), given.suite, Path(given.work[2]))
        return 0
    if given.only:
        for i in given.only:
            how, data = mutant(given.seed, i, given.suite)
            print(i, how)
            try:
                print(load(data))
            except Exception:
                traceback.print_exc()
        return 0
    counts, wrong, most = run(given.models, given.seed, given.suite, given.processes)
    for found in wrong:
        print(f"model {found['model']} ({found['how']}): {found['outcome']}\n{found['words']}\n")
    for key in sorted(counts):
        print(f"{key}: {counts[key]}")
    print(f"at worst {most['seconds']:.2f} s and {most['bytes'] / 2**20:.0f} MiB")
    print(f"models {given.models} wrong {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
