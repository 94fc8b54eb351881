"""Programs as object code: the bits of native code in Python without graphc, in C++ and in Rust; calls that are refused."""

from __future__ import annotations

import json
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.export.loader import CallError
from graphc.ir.target import HOST, host

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
import export_built  # noqa: E402
from export.test_c import COMPILER, needs_compiler, training_step  # noqa: E402
from export_built import HAS_ZIG  # noqa: E402
from fuzzing.comparing import same_bits  # noqa: E402
from fuzzing.graphs import build  # noqa: E402

needs_zig = pytest.mark.skipif(not HAS_ZIG, reason="zig is not installed (pip install 'graphc[export]')")


@pytest.fixture(scope="module")
def step(tmp_path_factory: pytest.TempPathFactory) -> tuple[gx.Compiled, Path]:
    """A step of training, and the folder that it was exported to before its first call."""
    if COMPILER is None:
        pytest.skip("there is no compiler of C")
    f = training_step("rows")
    folder = tmp_path_factory.mktemp("step")
    f.export(folder, language="object", compiler=COMPILER)
    return f, folder


# --- bits ------------------------------------------------------------------------------------------------------------


@needs_zig
@pytest.mark.filterwarnings("ignore::graphc.errors.GraphWarning")
@pytest.mark.parametrize("index", [1, 4])
def test_random_graphs_have_the_bits_of_native_code(index: int, tmp_path: Path) -> None:
    assert export_built.check(build(7, index), tmp_path, "object") is None


def test_a_training_step_learns_with_the_same_bits(step: tuple[gx.Compiled, Path]) -> None:
    f, folder = step
    assert sorted(p.name for p in folder.iterdir()) == ["libstep.so", "step.h", "step.json", "step.o", "step.py"]
    loaded, other = gx.load_exported(folder), gx.load_exported(folder, "step")
    first = {name: a.copy() for name, a in loaded.variables.items()}
    assert first.keys() == f.variables.keys() and all(same_bits(a, f.variables[n].value) for n, a in first.items())
    rng = np.random.default_rng(4)
    for rows in (7, 1, 33):
        x, y = rng.normal(size=(rows, 20)).astype("float32"), rng.integers(0, 5, rows)
        assert same_bits(loaded(x, y=y), f(x, y))
    assert all(same_bits(a, f.variables[n].value) for n, a in loaded.variables.items())
    assert all(same_bits(a, first[n]) for n, a in other.variables.items())  # state of its own
    loaded.reset()
    assert all(same_bits(a, first[n]) for n, a in loaded.variables.items())


def test_numpy_is_all_that_the_module_beside_it_needs(step: tuple[gx.Compiled, Path], tmp_path: Path) -> None:
    folder = step[1]
    x = np.random.default_rng(0).normal(size=(3, 20)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    code = (
        "import sys, numpy as np; from step import program; loss = program(np.load('x.npy'), [0, 1, 2]);"
        "others = {m.split('.')[0] for m in sys.modules} - set(sys.stdlib_module_names);"
        "print(loss.tobytes().hex(), *sorted(m for m in others if m in ('graphc', 'numba', 'llvmlite', 'networkx')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(folder)}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [gx.load_exported(folder)(x, [0, 1, 2]).tobytes().hex()]


@needs_compiler
@pytest.mark.parametrize("weights", ["file", None])
def test_first_values_from_a_file_or_from_the_caller(weights: str | None, tmp_path: Path) -> None:
    w = gx.variable(np.array([1.5, np.inf, -0.0], "float32"), name="a/w")
    x = gx.placeholder("x", ("n", 3), "float32")
    out: Any = {"y": x * w, "both": (gx.sum(x), [w + 1])}
    f = gx.compile([x], out, name="scaled")
    f.export(tmp_path, language="object", weights=weights, compiler=COMPILER)
    assert (tmp_path / "scaled.bin").exists() == (weights == "file")
    loaded = gx.load_exported(tmp_path)
    if weights is None:
        assert not loaded.variables["a/w"].any()
        loaded.variables["a/w"][...] = w.value
    values = np.ones((2, 3), "float32")
    got, want = loaded(values), f(values)
    assert list(got) == ["y", "both"] and isinstance(got["both"], tuple) and isinstance(got["both"][1], list)
    assert same_bits(got["y"], want["y"]) and same_bits(got["both"][1][0], want["both"][1][0])


@needs_compiler
def test_a_variable_is_given_as_an_input_and_arrays_in_any_order(tmp_path: Path) -> None:
    w, x = gx.variable(np.arange(6, dtype="float32").reshape(2, 3), name="w"), gx.placeholder("x", (2, 3), "float32")
    f = gx.compile([x], x + w, updates={w: x * 2}, name="program")
    f.export(tmp_path, language="object", compiler=COMPILER)
    loaded = gx.load_exported(tmp_path)
    assert same_bits(loaded(loaded.variables["w"]), 2 * np.arange(6, dtype="float32").reshape(2, 3))
    turned = np.asfortranarray(np.arange(6, dtype="float32").reshape(2, 3))
    assert same_bits(loaded(turned[::-1]), turned[::-1] + 2 * turned)


# --- other languages -------------------------------------------------------------------------------------------------

MAIN_CPP = """\
#include "scaled.h"
#include <cstdio>
#include <vector>
int main()
{
    const scaled_sizes sizes = {3};
    float x[] = {1, 2, 3}, w[1], y[3];
    const scaled_inputs in = {x};
    const scaled_outputs out = {y};
    const scaled_variables v = {w};
    std::vector<double> arena(scaled_arena_bytes(&sizes) / 8 + 1);
    if (scaled_initialize(&v) != SCALED_OK || scaled(&sizes, &in, &out, &v, arena.data(), 8 * arena.size()) != SCALED_OK)
        return 1;
    std::printf("%g %g %g\\n", y[0], y[1], y[2]);
}
"""


MAIN_C = """\
#include "scaled.h"
#include <stdio.h>
static double arena[1000];
int main(void)
{
    const scaled_sizes sizes = {3};
    float x[] = {1, 2, 3}, w[1], y[3];
    const scaled_inputs in = {x};
    const scaled_outputs out = {y};
    const scaled_variables v = {w};
    if (scaled_arena_bytes(&sizes) > sizeof arena || scaled_initialize(&v) != SCALED_OK
        || scaled(&sizes, &in, &out, &v, arena, sizeof arena) != SCALED_OK)
        return 1;
    printf("%g %g %g\\n", y[0], y[1], y[2]);
    return 0;
}
"""


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("there is no compiler of C")
    x, w = gx.placeholder("x", ("n",), "float32"), gx.variable(np.array([2.5], "float32"), name="w")
    folder = tmp_path_factory.mktemp("scaled")
    gx.compile([x], x * w, name="scaled", target=HOST).export(folder, language="object", compiler=COMPILER)
    return folder


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no cc")
def test_c_links_it(scaled: Path) -> None:
    (scaled / "main.c").write_text(MAIN_C)
    command = ["cc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "main.c", "scaled.o", "-o", "plain"]
    subprocess.run(command, check=True, cwd=scaled)
    assert subprocess.run(["./plain"], cwd=scaled, capture_output=True, text=True).stdout == "2.5 5 7.5\n"


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++")
def test_cpp_links_it(scaled: Path) -> None:
    (scaled / "main.cpp").write_text(MAIN_CPP)
    command = ["g++", "-Wall", "-Wextra", "-Werror", "main.cpp", "scaled.o", "-o", "cpp"]
    subprocess.run(command, check=True, cwd=scaled)
    assert subprocess.run(["./cpp"], cwd=scaled, capture_output=True, text=True).stdout == "2.5 5 7.5\n"


@pytest.mark.skipif(shutil.which("rustc") is None, reason="there is no rustc")
def test_rust_links_it_as_the_page_says(scaled: Path) -> None:
    page = (ROOT.parent / "docs" / "export.md").read_text()
    (block,) = re.findall(r"```rust\n(.*?)```", page, re.DOTALL)
    (scaled / "main.rs").write_text(block)
    subprocess.run(["rustc", "-O", "-C", "link-arg=scaled.o", "main.rs", "-o", "rust"], check=True, cwd=scaled)
    done = subprocess.run(["./rust"], cwd=scaled, capture_output=True, text=True)
    assert done.stdout == "0 [2.5, 5.0, 7.5]\n"


@needs_zig
@pytest.mark.parametrize("target, machine", [("x86-64-v1", 62), ("x86-64-v4", 62), ("aarch64", 183), ("riscv64", 243)])
def test_elf_for_other_processors(target: str, machine: int, tmp_path: Path) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    gx.compile([x], gx.sum(x * x), name="energy").export(tmp_path, language="object", target=target)
    for name in ("energy.o", "libenergy.so"):
        head = (tmp_path / name).read_bytes()[:20]
        assert head[:4] == b"\x7fELF" and struct.unpack("<H", head[18:])[0] == machine
    if machine != {"x86_64": 62, "aarch64": 183}.get(host().architecture):
        with pytest.raises(OSError, match=f"libenergy.so, which is made for {target}, cannot be loaded"):
            gx.load_exported(tmp_path)


# --- what is refused -------------------------------------------------------------------------------------------------


def test_bad_calls_name_the_input_and_write_nothing(step: tuple[gx.Compiled, Path]) -> None:
    loaded = gx.load_exported(step[1])
    before = {name: a.copy() for name, a in loaded.variables.items()}
    x, y = np.zeros((4, 20), "float32"), np.zeros(4, "int64")
    for args, named, message in (
        ((x,), {}, "step misses input 'y'"), ((x, y, y), {}, r"step takes 2 inputs \(x, y\), got 3"),
        ((x, y), {"x": x}, "step got input 'x' twice"), ((x,), {"z": y}, "step has no input 'z'; it takes x, y"),
        ((x, y[:3]), {}, r"input y needs int64\[rows\], which is \[4\] where rows = 4, got an array of shape \[3\]"),
        ((x[0], y), {}, r"input x needs float32\[rows, 20\], got an array of shape \[20\]"),
        ((x[:, :7], y), {}, r"input x needs .*, which is \[4, 20\] where rows = 4, got an array of shape \[4, 7\]"),
        ((x.astype("float64"), y), {}, "input x needs .* got float64: not a safe cast"),
        (([["a"]], y), {}, "input x needs .* got <U1"), (([[1], [1, 2]], y), {}, "got a list that makes no array"),
    ):  # fmt: skip
        with pytest.raises(CallError, match=message):
            loaded(*args, **named)
    assert all(same_bits(a, before[name]) for name, a in loaded.variables.items())


@needs_compiler
def test_sizes_that_do_not_fit(tmp_path: Path) -> None:
    x, y = gx.placeholder("x", ("n",), "float32"), gx.placeholder("y", ("2*m+1", "n"), "float32")
    f = gx.compile([x, y], gx.max(x) + gx.sum(y), name="program")
    f.export(tmp_path, language="object", compiler=COMPILER)
    loaded = gx.load_exported(tmp_path)
    assert loaded([1, 2], np.ones((3, 2), "float32")) == 8
    with pytest.raises(CallError, match=r"input y needs float32\[2\*m\+1, n\].*axis 0 cannot be that"):
        loaded([1, 2], np.ones((2, 2), "float32"))
    with pytest.raises(CallError, match="n >= 1 does not hold where n = 0, m = 1"):
        loaded([], np.ones((3, 0), "float32"))


@needs_compiler
def test_folders_and_processors_that_do_not_fit(scaled: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no program of object code"):
        gx.load_exported(tmp_path)
    for name in ("scaled.json", "libscaled.so"):
        shutil.copy(scaled / name, tmp_path / name)
    described = json.loads((tmp_path / "scaled.json").read_text())
    assert described["target"] == HOST and described["instructions"]
    described["instructions"].append("warp_drive")
    (tmp_path / "scaled.json").write_text(json.dumps(described))
    with pytest.raises(OSError, match="scaled is made for host, and this processor lacks warp_drive"):
        gx.load_exported(tmp_path)
    for name in ("json", "so"):
        shutil.copy(scaled / ("libscaled.so" if name == "so" else "scaled.json"), tmp_path / f"{'lib' * (name == 'so')}b.{name}")
    with pytest.raises(FileNotFoundError, match="the programs b, scaled: say which"):
        gx.load_exported(tmp_path)


@needs_zig
def test_the_lines_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT.parent / "docs" / "export.md").read_text()
    first = re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0]
    wasm, native, called = re.findall(r"```python exported\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(first + wasm + native, names)
    names |= {"x": np.ones((3, 2), "float32"), "y": np.ones(3, "float32")}
    monkeypatch.syspath_prepend(str(tmp_path / "native"))
    exec(called, names)
    monkeypatch.delitem(sys.modules, "step")
    assert names["loss"] == 1 and names["program"].variables["w"].all()
    for line in (wasm, native):
        files = re.findall(r"[\w.]+\.\w+", line.split("#")[1])
        assert sorted(files) == sorted(p.name for p in (tmp_path / re.findall(r'export\("(\w+)"', line)[0]).iterdir())
