"""A device that learns: what examples/embedded exports, compiled for this machine and for a Cortex-M4 in an emulator."""

from __future__ import annotations

import ctypes
import importlib.util
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "embedded" / "digits.py"


@cache
def example() -> Any:
    spec = importlib.util.spec_from_file_location("embedded_digits", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def needs(board: str) -> None:
    if found := example().missing(example().BOARDS[board]):
        pytest.skip(f"{found} is not installed")


@pytest.mark.usefixtures("this_machine")
@pytest.mark.parametrize("board", ["here", "cortex-m4"])
def test_a_device_learns_what_python_learns(board: str, tmp_path: Path) -> None:
    """A thousand digits, five times: every weight and moment, the last loss, and how many others are named right."""
    needs(board)
    e = example()
    to_learn, to_test = e.digits()
    learn, classify = e.export("mlp", e.BOARDS[board], tmp_path)
    found, _ = e.on_the_device(e.BOARDS[board], tmp_path, to_learn, to_test)
    status, right = np.frombuffer(found[:8], np.int32)
    assert status == 0 and right >= 150
    assert found == e.in_python(learn, classify, to_learn, to_test)


@pytest.mark.parametrize("kind, most", [("mlp", 30_000), ("cnn", 60_000)])
def test_a_step_of_training_is_small(kind: str, most: int, tmp_path: Path) -> None:
    needs("cortex-m4")
    e = example()
    board = e.BOARDS["cortex-m4"]
    e.export(kind, board, tmp_path)
    command = [*board.compilers[0].split(), *e.STRICT.split(), *board.flags.split(), "-c", "learn.c", "-o", "learn.o"]
    subprocess.run(command, cwd=tmp_path, check=True)
    assert e.text_bytes(board, tmp_path / "learn.o") <= most


def test_memory_of_a_device_is_what_the_program_says(tmp_path: Path) -> None:
    """The arena of the C program, which fits in what a device has, and the state."""
    e = example()
    learn, _ = e.export("cnn", e.BOARDS["cortex-m4"], tmp_path)
    there = gx.compile(learn.graph.inputs, learn.graph.outputs, learn.graph.updates, backend="program", target="thumbv7em")
    header = (tmp_path / "learn.h").read_text()
    arena = re.search(r"#define LEARN_ARENA_BYTES (\d+)", header)
    assert arena is not None and int(arena[1]) == there.memory.at().arena
    counts = re.findall(r"^    (\w+) \w+\[(\d+)\];$", header.split("memory for the variables")[1], re.MULTILINE)
    held = sum(int(count) * {"float": 4, "int64_t": 8}[kind] for kind, count in counts)
    assert held == there.memory.at().variables == sum(v.value.nbytes for v in learn.variables.values())


def test_weights_that_are_constants_need_no_memory(tmp_path: Path) -> None:
    """A program that names digits, without variables; one that changes a variable keeps it, and it alone."""
    needs("here")
    e = example()
    _, classify = e.network("cnn")
    classify.export(tmp_path, weights="constant", target="thumbv7em", fast=True)
    assert "classify_variables" not in (tmp_path / "classify.h").read_text()
    classify.export(tmp_path, weights="constant")
    (compiler, *more), *_ = filter(None, map(e.installed, e.BOARDS["here"].compilers))
    command = [compiler, *more, *e.STRICT.split(), "-O1", "-march=native", "-shared", "-fPIC", "classify.c", "-o", "classify.so"]
    subprocess.run(command, cwd=tmp_path, check=True)
    library = ctypes.CDLL(str(tmp_path / "classify.so"))
    library.classify_arena_bytes.restype = ctypes.c_size_t
    arena = np.empty(library.classify_arena_bytes() // 8 + 1)
    for few in e.digits()[1][:20].reshape(-1, e.BATCH, 65):
        pixels, named = np.ascontiguousarray(few[:, :64]), np.zeros(e.BATCH, np.int64)
        structs = [(ctypes.c_void_p * 1)(a.ctypes.data) for a in (pixels, named)]
        assert library.classify(*structs, ctypes.c_void_p(arena.ctypes.data), ctypes.c_size_t(arena.nbytes)) == 0
        np.testing.assert_array_equal(named, classify(pixels))
    x = gx.placeholder("x", (3,), "float32")
    w, count = gx.variable(np.arange(3, dtype="float32"), name="w"), gx.variable(np.int64(0), name="count")
    gx.compile([x], x * w, updates={count: count + 1}, name="program").export(tmp_path, weights="constant")
    header = (tmp_path / "program.h").read_text()
    assert re.findall(r"^    \w+ \*(\w+);", header.split("program_outputs;")[1], re.MULTILINE) == ["count"]


def test_symbolic_sizes_have_no_macros_of_memory(tmp_path: Path) -> None:
    x = gx.placeholder("x", ("rows", 4), "float32")
    w = gx.variable(np.zeros(4, "float32"), name="w")
    f = gx.compile([x], (x @ x.T) @ (x @ w), updates={w: w + 1}, name="program")
    f.export(tmp_path)
    assert "ARENA_BYTES" not in (tmp_path / "program.h").read_text()
    f.export(tmp_path, sizes={"rows": 3})
    assert "#define PROGRAM_ARENA_BYTES " in (tmp_path / "program.h").read_text()
    assert "    memset(variables->w, 0, 16);\n" in (tmp_path / "program_weights.c").read_text()


def test_a_small_target_has_products_element_by_element(tmp_path: Path) -> None:
    x, y = gx.placeholder("x", (16, 16), "float32"), gx.placeholder("y", (16, 16), "float32")
    f = gx.compile([x, y], x @ y, name="program")
    tiled = {}
    for target, small in (("thumbv7em", None), ("thumbv7em", False), ("aarch64", None), ("aarch64", True), ("riscv64", None)):
        f.export(tmp_path, target=target, small=small)
        tiled[target, small] = "_tile[" in (tmp_path / "program.c").read_text()
    assert tiled == {
        ("thumbv7em", None): False, ("thumbv7em", False): True, ("aarch64", None): True, ("aarch64", True): False,
        ("riscv64", None): True,
    }  # fmt: skip


def test_the_program_of_the_page_learns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its C, compiled for this machine: a digit that is corrected often enough is named so."""
    needs("here")
    e = example()
    page = (EXAMPLE.parent.parent.parent / "docs" / "devices.md").read_text(encoding="utf-8")
    blocks = dict(re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)[::-1])
    monkeypatch.chdir(tmp_path)
    exec(blocks["python"], {})
    main = "int main(void)\n{\n    static float pixels[64] = {0.5f, 0.25f};\n    int64_t digit = 0;\n    int i, s = begin();\n"
    main += "    for (i = 0; i < 300 && s == 0; ++i)\n        s = correct_it(pixels, 7);\n"
    main += "    return s != 0 || name_it(pixels, &digit) != 0 || digit != 7;\n}\n"
    (tmp_path / "device" / "main.c").write_text(blocks["c"] + main)
    (compiler, *more), *_ = filter(None, map(e.installed, e.BOARDS["here"].compilers))
    files = ["classify.c", "learn.c", "learn_weights.c", "main.c"]
    folder = tmp_path / "device"
    subprocess.run([compiler, *more, *e.STRICT.split(), "-O1", *files, "-o", "device"], cwd=folder, check=True)
    assert subprocess.run([str(folder / "device")], timeout=60).returncode == 0
