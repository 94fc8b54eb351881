"""Programs as WebAssembly: the bits of native code without fused multiply-add, calls of typed arrays, errors that have names."""

from __future__ import annotations

import base64
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.errors import InputError
from graphc.export import compiler
from graphc.export.wasm.module import custom_section

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
import export_built  # noqa: E402
from export.test_c import training_step  # noqa: E402
from export_built import HAS_ZIG, NODE  # noqa: E402
from fuzzing.comparing import same_bits  # noqa: E402
from fuzzing.graphs import build  # noqa: E402

needs_zig = pytest.mark.skipif(not HAS_ZIG, reason="zig is not installed (pip install 'graphc[export]')")
needs_node = pytest.mark.skipif(NODE is None or not HAS_ZIG, reason="node or zig is not installed")


def in_node(folder: Path, name: str, text: str) -> Any:
    """What a script says, as JSON, that has the program as `program`, and what it throws as a list by `thrown`."""
    head = f'import {{ load, ProgramError }} from "./{name}.mjs";\nconst program = await load();\n'
    head += "const thrown = f => { try { f(); return null } catch (e) { return [e.name, e.code, e.message] } };\n"
    (folder / "main.mjs").write_text(head + text)
    done = subprocess.run([str(NODE), str(folder / "main.mjs")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- bits ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("llvm_itself")
@needs_node
@pytest.mark.filterwarnings("ignore::graphc.errors.GraphWarning")
@pytest.mark.parametrize("index", [3, 6])
def test_random_graphs_have_the_bits_of_native_code(index: int, tmp_path: Path) -> None:
    assert export_built.check(build(7, index), tmp_path, "wasm") is None


@pytest.mark.usefixtures("llvm_itself")
@needs_node
def test_a_training_step_learns_with_the_same_bits(tmp_path: Path) -> None:
    step = training_step("rows")
    f = gx.compile(step.inputs, step.stages[0][1].outputs, step.stages[0][1].updates, target="generic", name="step")
    f.export(tmp_path, language="wasm", weights="file")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["step.bin", "step.d.mts", "step.json", "step.mjs", "step.wasm"]
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(33, 20)).astype("float32"), rng.integers(0, 5, 33)
    loss, state = np.zeros((), "float32"), {name: v.value.copy() for name, v in f.variables.items()}
    export_built.run_wasm(tmp_path, {"x": x, "y": y}, {"rows": 33}, [loss], state, repeat=3)
    losses = [f(x, y)[0] for _ in range(3)]
    assert same_bits(loss, losses[-1]) and losses[-1] < losses[0]
    assert all(same_bits(state[name], v.value) for name, v in f.variables.items())


@pytest.mark.usefixtures("llvm_itself")
@needs_node
def test_loops_choices_and_random_numbers(tmp_path: Path) -> None:
    x, n = gx.placeholder("x", (6,), "float32"), gx.placeholder("n", (), "int64")
    w = gx.constant(np.random.default_rng(0).normal(size=(6, 6)).astype("float32"))
    last, all_steps = gx.scan(lambda c, t: (gx.tanh(w @ c) + t, gx.sum(c)), x, gx.arange(9, dtype="float32"))
    found = gx.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * 0.5), (gx.constant(0), last))[1]
    chosen = gx.cond(gx.sum(x) > 0, lambda: gx.sin(found), lambda: -found)
    noise = gx.random.normal(gx.random.Stream(5), (6,))
    f = gx.compile([x, n], [chosen, all_steps, noise], target="generic", name="program")
    f.export(tmp_path, language="wasm")
    values = np.arange(6, dtype="float32")
    got = [np.empty(6, "float32"), np.empty(9, "float32"), np.empty(6, "float32")]
    state = {name: v.value.copy() for name, v in f.variables.items()}
    export_built.run_wasm(tmp_path, {"x": values, "n": np.asarray(4)}, {}, got, state, repeat=2)
    f(values, 4)
    assert all(same_bits(a, b) for a, b in zip(got, f(values, 4), strict=True))
    assert all(same_bits(state[name], v.value) for name, v in f.variables.items())


# --- calls -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scaled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x * w + sum(y) / m, which counts its calls."""
    if NODE is None or not HAS_ZIG:
        pytest.skip("node or zig is not installed")
    x, y = gx.placeholder("x", ("n", 3), "float32"), gx.placeholder("y", ("2*m", "m"), "int64")
    w, calls = gx.variable(np.array([1.5, -2, 0], "float32"), name="for"), gx.variable(np.int64(0), name="calls")
    mean = gx.astype(gx.sum(y), "float32") / gx.astype(gx.max(y), "float32")
    f = gx.compile([x, y], {"z": x * w + mean, "calls": calls + 1}, updates={calls: calls + 1}, name="scaled")
    folder = tmp_path_factory.mktemp("scaled")
    f.export(folder, language="wasm")
    return folder


def test_typed_arrays_and_numbers_go_in_and_typed_arrays_come_out(scaled: Path) -> None:
    found = in_node(scaled, "scaled", """
const first = program.run({ x: new Float32Array([1, 2, 3]), y: new BigInt64Array([1n, 3n]) }, { m: 1 });
const second = program.run({ x: [[1, 2, 3], [4, 5, 6]], y: [[1, 1], [1, 1], [1, 1], [1, 2]] }, { m: 2 });
program.variables.for_ = [2, 2, 2];
const held = program.variables.for_;
held[0] = 99;  // a copy
const third = program.run({ x: [1, 1, 1], y: [0, 5] }, { m: 1 });
const counted = Number(program.variables.calls);
program.reset();
const kinds = Object.values(third).map(a => a.constructor.name);
const all = [first, second, third].map(r => Array.from(Object.values(r)[0]));
const after = [Number(program.variables.calls), [...program.variables.for_]];
console.log(JSON.stringify([all, counted, ...after, kinds, program.shapes({ n: 4, m: 1 })]));
""")
    values, counted, again, weights, kinds, shapes = found
    mean = 4 / 3
    assert np.allclose(values[0], [1.5 + mean, -4 + mean, mean])
    assert np.allclose(values[1], [6, 0.5, 4.5, 10.5, -5.5, 4.5]) and values[2] == [3, 3, 3]
    assert counted == 3 and again == 0 and weights == [1.5, -2, 0]
    assert kinds == ["Float32Array", "BigInt64Array"] and list(shapes.values()) == [[4, 3], []]


def test_wrong_calls_are_errors_with_names(scaled: Path) -> None:
    found = in_node(scaled, "scaled", """
const x = new Float32Array(3), y = new BigInt64Array(2), m = { m: 1 };
console.log(JSON.stringify([
  thrown(() => program.run({ x }, m)),
  thrown(() => program.run({ x, y, z: x }, m)),
  thrown(() => program.run({ x: new Float64Array(3), y }, m)),
  thrown(() => program.run({ x: new Float32Array(4), y }, m)),
  thrown(() => program.run({ x, y: new BigInt64Array(3) }, m)),
  thrown(() => program.run({ x: "text", y }, m)),
  thrown(() => program.run({ x, y: [0.5, 1] }, m)),
  thrown(() => program.run({ x, y })),
  thrown(() => program.run({ x, y: [] }, { m: 0 })),
  thrown(() => program.run({ x, y }, { k: 1 })),
  thrown(() => program.run({ x, y }, { m: -1 })),
  thrown(() => program.run({ x, y }, { m: 2 ** 32 + 1 })),
  thrown(() => { program.variables.calls = [1, 2]; }),
  thrown(() => { program.variables.nothing = 1; }),
  Number(program.variables.calls),
]));
""")
    *errors, calls = found
    assert [e[:2] for e in errors[:-1]] == [["ProgramError", code] for code in (
        "NULL_POINTER", "BAD_INPUT", "BAD_INPUT", "BAD_INPUT", "BAD_INPUT", "BAD_INPUT", "BAD_INPUT", "BAD_SIZE", "BAD_SIZE",
        "BAD_SIZE", "BAD_SIZE", "BAD_SIZE", "BAD_INPUT",
    )]  # fmt: skip
    assert errors[0][2] == "scaled: input y is missing" and "a Float32Array, got a Float64Array" in errors[2][2]
    assert errors[4][2] == "scaled: input y needs int64[2*m, m], 2 elements where m = 1, n = 1, got 3"
    assert "must be given" in errors[7][2] and errors[-1][0] == "TypeError" and calls == 0


@needs_node
def test_memory_grows(tmp_path: Path) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    gx.compile([x], gx.cumulative_sum(gx.exp(x)) * gx.sum(x), name="program").export(tmp_path, language="wasm")
    found = in_node(tmp_path, "program", """
const sums = [10, 3000000, 10].map(n => program.run({ x: new Float32Array(n).fill(1 / n) }).y0.length ?? 0);
const none = program.run({ x: [] });
console.log(JSON.stringify([sums, Object.values(none)[0].length, thrown(() => program.run({ x: { length: 1 } }))[1]]));
""")
    assert found == [[10, 3_000_000, 10], 0, "BAD_INPUT"]


@needs_node
def test_sizes_that_make_no_array_are_refused(tmp_path: Path) -> None:
    n, m = gx.dim("n"), gx.dim("m")
    x = gx.placeholder("x", (n,), "float32")
    y = gx.placeholder("y", (m,), "float32")
    f = gx.compile([x, y], [gx.ones((1000 * n, 1000 * m), "float32") * gx.sum(x), gx.ones((n - 3,))], name="program")
    f.export(tmp_path, language="wasm")
    found = in_node(tmp_path, "program", """
const call = (n, m) => thrown(() => program.run({ x: new Float32Array(n), y: new Float32Array(m) }))?.[1];
console.log(JSON.stringify([call(4, 2) ?? null, call(2, 2), call(1000, 1000), call(4, 2) ?? null]));
""")
    assert found == [None, "BAD_SIZE", "BAD_SIZE", None]


@pytest.mark.usefixtures("llvm_itself")
@needs_zig
def test_in_wasmtime(tmp_path: Path) -> None:
    wasmtime = pytest.importorskip("wasmtime")
    x = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([x], gx.nn.softmax(x), target="generic", name="program")
    f.export(tmp_path, language="wasm")
    store = wasmtime.Store()
    module = wasmtime.Module(store.engine, (tmp_path / "program.wasm").read_bytes())
    exported = wasmtime.Instance(store, module, []).exports(store)
    memory, base = exported["memory"], exported["__heap_base"].value(store)
    values = np.linspace(-3, 4, 37, dtype="float32")
    places = {"sizes": base, "inputs": base + 8, "outputs": base + 16, "x": base + 64, "y": base + 512, "arena": base + 1024}
    memory.grow(store, 1)
    for place, content in (
        ("sizes", np.int32(37)), ("inputs", np.uint32(places["x"])), ("outputs", np.uint32(places["y"])), ("x", values),
    ):  # fmt: skip
        memory.write(store, content.tobytes(), places[place])
    need = exported["program_arena_bytes"](store, places["sizes"])
    assert exported["program_check"](store, places["sizes"]) == 0
    assert exported["program"](store, places["sizes"], places["inputs"], places["outputs"], places["arena"], need) == 0
    got = np.frombuffer(bytes(memory.read(store, places["y"], places["y"] + values.nbytes)), "float32")
    assert same_bits(got, f(values))


# --- files -----------------------------------------------------------------------------------------------------------


@needs_zig
def test_a_step_of_training_is_small(tmp_path: Path) -> None:
    """Without its weights, and with vectors of 128 bits."""
    rng = np.random.default_rng(0)
    x, y = gx.placeholder("x", ("rows", 784), "float32"), gx.placeholder("y", ("rows",), "int64")
    w, v = (gx.variable(rng.normal(size=s).astype("float32"), name=f"w{s[0]}") for s in ((784, 64), (64, 10)))
    loss = gx.nn.cross_entropy(gx.nn.relu(x @ w) @ v, y)
    f = gx.compile([x, y], loss, updates=gx.optim.adam(loss, [w, v], lr=1e-3), name="step")
    f.export(tmp_path, language="wasm", weights=None)
    assert (tmp_path / "step.wasm").stat().st_size < 100_000
    assert b"\xfd\xe6\x01" in (tmp_path / "step.wasm").read_bytes()  # f32x4.mul
    types = (tmp_path / "step.d.mts").read_text()
    assert "  x: Float32Array | Numbers;" in types and "  rows?: number;" in types


def test_a_section_of_its_own() -> None:
    assert custom_section("ab", b"xyz") == b"\0\x06\x02abxyz"
    assert custom_section("a", b"." * 200)[:4] == b"\0\xca\x01\x01"


# --- compilers -------------------------------------------------------------------------------------------------------


def exported(folder: Path, **options: Any) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    gx.compile([x], x + 1, name="program").export(folder / "out", **options)


@pytest.mark.parametrize("language", ["wasm", "object"])
def test_without_a_compiler_an_error_says_what_to_install(
    language: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *args: None if name == "ziglang" else real(name, *args))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert compiler.INSTALL == "pip install 'graphc[export]'"
    with pytest.raises(InputError, match="which is not installed") as caught:
        exported(tmp_path, language=language)
    assert compiler.INSTALL in str(caught.value) and not (tmp_path / "out").exists()


def test_compilers_that_cannot(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no compiler 'no-such-cc'"):
        exported(tmp_path, language="wasm", compiler="no-such-cc")
    with pytest.raises(InputError, match="C is not compiled"):
        exported(tmp_path, compiler="cc")
    with pytest.raises(InputError, match="false makes no WebAssembly"):
        exported(tmp_path, language="wasm", compiler="false")
    with pytest.raises(InputError, match="false has failed"):
        exported(tmp_path, language="object", compiler="false")
    with pytest.raises(InputError, match='no object code for the target "wasm32"'):
        exported(tmp_path, language="object", compiler="false", target="wasm32")
    assert not (tmp_path / "out").exists()


# --- the page --------------------------------------------------------------------------------------------------------


@needs_zig
def test_the_page_is_one_file(tmp_path: Path) -> None:
    """Untrained: it names nothing else but itself, and all its parts are there. A browser runs it in a step of CI."""
    spec = importlib.util.spec_from_file_location("build_page", ROOT.parent / "examples" / "web" / "build.py")
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    recognise, learn = made.programs(np.random.default_rng(0))
    text = made.page(recognise, learn, np.zeros((2, 784), "float32"), np.array([3, 4]))
    assert not re.search(r"_WASM|_KB|KEPT_|\.mjs \*/|https?://|src=|<link", text)
    modules = [base64.b64decode(found) for found in re.findall(r'bytes\("(\w[\w+/=]+)"\)', text)]
    assert [m[:4] for m in modules[:2]] == [b"\0asm"] * 2
    assert b"weights" in modules[1] and all(v.value.astype("<f4").tobytes() in modules[1] for v in learn.variables.values())
    assert len(text) < 400_000
    if NODE is not None:
        script = re.search(r'<script type="module">(.*)</script>', text, re.DOTALL)
        assert script is not None
        (tmp_path / "page.mjs").write_text(script[1])
        subprocess.run([NODE, "--check", str(tmp_path / "page.mjs")], check=True)
