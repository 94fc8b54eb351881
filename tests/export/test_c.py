"""Programs as C: the same bits as native code, files without warnings, and calls that are refused before anything is written."""

from __future__ import annotations

import ctypes
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.__main__ import main
from graphc.errors import InputError
from graphc.export.c import CSource, primitives
from graphc.export.c.interface import MACHINE
from graphc.export.c.text import Names, identifier
from graphc.export.lowering import lowered
from graphc.ir.primitives import PRIMITIVES, cast
from graphc.ir.target import find_target
from graphc.ir.types import INTEGERS

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))
import export_c  # noqa: E402
from fuzzing.comparing import same_bits  # noqa: E402
from fuzzing.graphs import build  # noqa: E402

Array = np.ndarray[Any, Any]
COMPILER = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), None)
needs_compiler = pytest.mark.skipif(COMPILER is None, reason="there is no compiler of C")
STRICT = f"{export_c.STRICT} -O1 -march=native"


def written(f: gx.Compiled, folder: Path, **options: Any) -> export_c.Library:
    """The C program of a compiled one, in this process."""
    declared = f.stages[0][1]
    program = lowered(declared, gx.passes.DEFAULT, find_target(None), options.pop("sizes", {}))
    return export_c.Library(program, folder, "program", str(COMPILER), options.pop("flags", STRICT), **options)


def state_of(f: gx.Compiled, library: export_c.Library) -> dict[str, Array]:
    live = f.variables
    return {v.name: live[v.initial].value.copy() for v in library.program.signature.variables}


def assert_same_bits(got: Any, want: Any) -> None:
    for a, b in zip(got, want, strict=True):
        assert same_bits(a, np.asarray(b)), (a, b)


# --- bits ------------------------------------------------------------------------------------------------------------


@needs_compiler
@pytest.mark.filterwarnings("ignore::graphc.errors.GraphWarning")
@pytest.mark.parametrize("index", [1, 3, 4, 6])
def test_random_graphs_have_the_bits_of_native_code(index: int, tmp_path: Path) -> None:
    try:
        assert export_c.check(build(7, index), tmp_path, export_c.Library, str(COMPILER), STRICT) is None
    except InputError as error:
        assert "computed by Python" in str(error)


def training_step(rows: Any) -> gx.Compiled:
    rng = np.random.default_rng(3)
    x, y = gx.placeholder("x", (rows, 20), "float32"), gx.placeholder("y", (rows,), "int64")
    w = gx.variable(rng.normal(size=(20, 24)).astype("float32"), name="hidden/kernel")
    v = gx.variable(rng.normal(size=(24, 5)).astype("float32"), name="for")
    logits = gx.nn.relu(x @ w) @ v
    loss = gx.mean(gx.logsumexp(logits, axis=1) - gx.sum(gx.one_hot(y, 5, dtype="float32") * logits, axis=1))
    return gx.compile([x, y], loss, updates=gx.optim.adam(loss, [w, v], lr=0.01), name="step")


@needs_compiler
@pytest.mark.parametrize("blocked", [True, False], ids=["tiles", "small"])
def test_a_training_step_learns_with_the_same_bits(blocked: bool, tmp_path: Path) -> None:
    f = training_step("rows")
    library = written(f, tmp_path, blocked=blocked)
    state = state_of(f, library)
    rng = np.random.default_rng(4)
    for rows in (7, 1, 33):
        x, y = rng.normal(size=(rows, 20)).astype("float32"), rng.integers(0, 5, rows)
        assert_same_bits(library([x, y], {"rows": rows}, state), [f(x, y)])
    after = state_of(f, library)
    assert_same_bits(state.values(), after.values())


@needs_compiler
@pytest.mark.parametrize("blocked", [True, False], ids=["tiles", "small"])
def test_products_of_triangles_count_runs_from_where_k_would_start(blocked: bool, tmp_path: Path) -> None:
    x, y = gx.placeholder("x", (1100, 1100), "float32"), gx.placeholder("y", (1100, 3), "float32")
    f = gx.compile([x, y], gx.triu(x) @ y, name="product")
    assert " by 368 from 0 {" in str(f.program)
    library = written(f, tmp_path, blocked=blocked)
    values = [np.random.default_rng(i).normal(size=a.shape).astype("float32") for i, a in enumerate((x, y))]
    assert_same_bits(library(values, {}, state_of(f, library)), [f(*values)])


@needs_compiler
@pytest.mark.parametrize("blocked", [True, False], ids=["tiles", "small"])
def test_lengths_bound_loops_and_products(blocked: bool, tmp_path: Path) -> None:
    q, g = (gx.placeholder(name, (3, "time", 8), "float32") for name in "qg")
    lengths = gx.placeholder("lengths", (3,), "int64")
    y = gx.nn.attention(q, q, q, mask=gx.arange(q.shape[1]) < gx.expand_dims(lengths, (1, 2)))
    f = gx.compile([q, g, lengths], [y, *gx.vjp(y, [q], g)], name="padded")
    library = written(f, tmp_path, blocked=blocked)
    for time, drawn in ((100, [0, 33, 1000]), (64, [-(2**63), 64, 1])):
        values = [*np.random.default_rng(time).normal(size=(2, 3, time, 8)).astype("float32"), np.array(drawn)]
        assert_same_bits(library(values, {"time": time}, state_of(f, library)), f(*values))


@needs_compiler
@pytest.mark.parametrize("blocked", [True, False], ids=["tiles", "small"])
def test_a_quantised_model_has_int8_weights_and_the_same_bits(blocked: bool, tmp_path: Path) -> None:
    with gx.layers.seeded(1):
        model = gx.models.Sequential([
            gx.layers.Conv2D(6, 3, padding="same", activation="relu", input_shape=(6, 6, 3)), gx.layers.MaxPool(2),
            gx.layers.Flatten(), gx.layers.Dense(17, activation="relu"), gx.layers.Dense(3),
        ])  # fmt: skip
    data = np.random.default_rng(2).normal(size=(9, 6, 6, 3)).astype("float32")
    x = gx.layers.Input((6, 6, 3))
    f = gx.compile([x], gx.quantize(model, data)(x, training=False), name="net")
    library = written(f, tmp_path, blocked=blocked)
    assert "int8_t" in "".join(file.read_text() for file in tmp_path.glob("*.h"))
    state = state_of(f, library)
    for count in (9, 1):
        assert_same_bits(library([data[:count]], {"batch": count}, state), [f(data[:count])])


@needs_compiler
def test_loops_choices_and_random_numbers(tmp_path: Path) -> None:
    x, n = gx.placeholder("x", (6,), "float32"), gx.placeholder("n", (), "int64")
    w = gx.constant(np.random.default_rng(0).normal(size=(6, 6)).astype("float32"))
    last, all_steps = gx.scan(lambda c, t: (gx.tanh(w @ c) + t, gx.sum(c)), x, gx.arange(9, dtype="float32"))
    found = gx.while_loop(lambda s: s[0] < n, lambda s: (s[0] + 1, s[1] * 0.5), (gx.constant(0), last))[1]
    chosen = gx.cond(gx.sum(x) > 0, lambda: gx.sin(found), lambda: -found)
    noise = gx.random.normal(gx.random.Stream(5), (6,))
    f = gx.compile([x, n], [chosen, all_steps, noise], name="program")
    library = written(f, tmp_path)
    state = state_of(f, library)
    for values in (np.arange(6), -np.arange(6)):
        x_value = values.astype("float32")
        assert_same_bits(library([x_value, np.asarray(4)], {}, state), f(x_value, 4))


@needs_compiler
def test_steps_that_are_programs(tmp_path: Path) -> None:
    """Long steps: carries change places, and end in the right memory after an odd and an even number."""
    steps = gx.dim("step")  # a name that the function of steps uses itself; so are those of the inputs
    c, xs = gx.placeholder("memory", (80, 80), "float32"), gx.placeholder("floor_div", (steps, 80, 80), "float32")
    last, ys = gx.scan(lambda c, x: (gx.tanh(c @ x), gx.sum(c, axis=0)), c, xs)
    f = gx.compile([c, xs], [last, ys], name="program")
    assert any(isinstance(call.kernel, gx.ir.program.Steps) for call in f.program.calls)
    library = written(f, tmp_path)
    rng = np.random.default_rng(1)
    for count in (3, 4, 1):
        values = [rng.normal(size=shape).astype("float32") / 9 for shape in ((80, 80), (count, 80, 80))]
        assert_same_bits(library(values, {"step": count}, {}), f(*values))


@needs_compiler
def test_any_number_of_threads_gives_the_same_bits(tmp_path: Path) -> None:
    """Each thread has a piece of the arena where iterations work in one, and the arena grows by as much."""
    x, y = gx.placeholder("x", ("rows", 300), "float32"), gx.placeholder("y", (300, 700), "float32")
    v, keys = gx.placeholder("v", (9, 1200), "float32"), gx.placeholder("keys", (9, 1200), "int64")
    looked_up = gx.sum(gx.take_along_axis(gx.cumulative_sum(v, axis=1), keys, axis=1), axis=1)
    f = gx.compile([x, y, v, keys], [gx.nn.relu(x @ y), looked_up], name="program")
    rng = np.random.default_rng(6)
    sizes = {"rows": 301}
    values = [rng.normal(size=(301, 300)), rng.normal(size=(300, 700)), rng.normal(size=(9, 1200))]
    given = [*(a.astype("float32") for a in values), rng.integers(0, 1200, (9, 1200))]
    want, needed = f(*given), {}
    for threads in (0, 1, 2, 5):
        folder = tmp_path / str(threads)
        folder.mkdir()
        library = written(f, folder, flags=f"{STRICT} -fopenmp -DGRAPHC_THREADS={threads}" if threads else STRICT)
        assert "* THREAD;" in (folder / "program.c").read_text()
        needed[threads] = library.arena_bytes((ctypes.c_ssize_t * 1)(301))
        for _ in range(3):
            assert_same_bits(library(given, sizes, {}), want)
    assert needed[0] == needed[1] < needed[2] and needed[5] - needed[1] == 4 * (needed[2] - needed[1])


# --- primitives without instructions for them -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def software(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """Each function of primitives.py over arrays, compiled for a processor that has nothing."""
    if COMPILER is None:
        pytest.skip("there is no compiler of C")
    names = [n for n in primitives.FUNCTIONS if n not in ("memory_region", "set_region", "check_memory")]
    text = "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n#include <float.h>\n"
    text += MACHINE + "\n".join(primitives.used(names)) + "\n"
    for name, (types, result) in OVER_ARRAYS.items():
        given = ", ".join(f"const {kind} *a{i}" for i, kind in enumerate(types))
        called = ", ".join(f"a{i}[i]" for i in range(len(types)))
        text += f"void over_{name}({given}, {result} *y, long n) {{ for (long i = 0; i < n; ++i) y[i] = {name}({called}); }}\n"
    folder = tmp_path_factory.mktemp("software")
    (folder / "all.c").write_text(text)
    command = [str(COMPILER), "-std=c99", "-O1", "-U__SSE2__", "-shared", "-fPIC", "all.c", "-o", "all.so"]
    subprocess.run(command, check=True, cwd=folder)
    return ctypes.CDLL(str(folder / "all.so"))


FLOATS = {"f32": "float", "f64": "double"}
OVER_ARRAYS: dict[str, tuple[tuple[str, ...], str]] = {
    "fma_f32": (("float",) * 3, "float"), "fma_by_integers": (("double",) * 3, "double"),
    **{f"{op}_{f}": ((c,), c) for f, c in FLOATS.items() for op in ("sqrt", "floor", "ceil", "trunc", "rint")},
    **{f"{t.short}_of_{f}": ((c,), f"{t.name}_t") for f, c in FLOATS.items() for t in INTEGERS},
    "f16_of_f32": (("float",), "uint16_t"), "f16_of_f64": (("double",), "uint16_t"), "f32_of_f16": (("uint16_t",), "float"),
}  # fmt: skip
NUMPY = {"float": np.float32, "double": np.float64, **{f"{t.name}_t": t.numpy.type for t in INTEGERS}}


def numbers(kind: Any, count: int, rng: np.random.Generator) -> Array:
    """Numbers of all sizes, special ones among them."""
    info = np.finfo(kind)
    bits = rng.integers(0, 2 ** info.bits, count, dtype=f"uint{info.bits}").view(kind)
    usual = (rng.normal(size=count) * 2.0 ** rng.integers(-70, 70, count)).astype(kind)
    special = [0, -0.0, 1, -1, np.inf, -np.inf, np.nan, info.tiny, info.max, info.smallest_subnormal, 0.5, 1.5, 2.5, -0.5]
    return np.choose(rng.integers(0, 3, count), [bits, usual, rng.choice(np.array(special, kind), count)])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", OVER_ARRAYS)
def test_primitives_in_software(name: str, software: ctypes.CDLL) -> None:
    types, result = OVER_ARRAYS[name]
    rng = np.random.default_rng(len(name))
    count = 20_000
    given = [np.arange(65536, dtype=np.uint16) if kind == "uint16_t" else numbers(NUMPY[kind], count, rng) for kind in types]
    op = name.split("_")[0]
    if op == "fma":  # half of them cancel, or nearly
        a, b, c = given
        near = (-(a * b) * (1 + a.dtype.type(np.finfo(a.dtype).eps) * rng.integers(-3, 4, count).astype(a.dtype))).astype(a.dtype)
        given[2] = np.where(rng.random(count) < 0.5, near, c)
        want = np.asarray(PRIMITIVES["fma"](*given)).astype(a.dtype)
    elif "_of_" in name:
        source, to = given[0], name.split("_")[0]
        if to == "f16":
            want = source.astype(np.float16)
        elif to == "f32":
            want = source.view(np.float16).astype(np.float32)
        else:
            want = cast(source, next(t for t in INTEGERS if t.short == to))
    else:
        want = PRIMITIVES[op](given[0])
    made = np.empty(len(given[0]), NUMPY[result])
    getattr(software, f"over_{name}")(*(ctypes.c_void_p(a.ctypes.data) for a in (*given, made)), ctypes.c_long(len(made)))
    assert same_bits(made.view(want.dtype), want)


@needs_compiler
def test_small_matrices_leave_as_kernels(tmp_path: Path) -> None:
    """Factors, systems and determinants; what a compiled program refuses is NaN or infinite in C."""
    x = gx.placeholder("x", (5, 3, 3), "float64")
    la = gx.linalg
    f = gx.compile([x], [la.cholesky(x), la.inv(x), la.solve(x, x[..., :1]), gx.grad(gx.sum(la.det(x)), x)])
    library = written(f, tmp_path)
    a = np.random.default_rng(0).standard_normal((5, 3, 3))
    a = a @ np.swapaxes(a, 1, 2) + np.eye(3)
    assert_same_bits(library([a], {}, {}), f(a))
    a[2] = 0
    lower, inverse, *_ = library([a], {}, {})
    assert not np.isfinite(lower[2]).all() and not np.isfinite(inverse[2]).any()
    assert_same_bits(library([a], {}, {})[1][3:], inverse[3:])


@needs_compiler
def test_draws_by_rejection_and_searches_leave_as_kernels(tmp_path: Path) -> None:
    k, x = gx.placeholder("k", (2,), "uint32"), gx.placeholder("x", ("n",), "float64")
    v = gx.placeholder("v", ("m",), "float64")
    draws = [gx.random.gamma(k, x), gx.random.poisson(k, x), gx.random.gamma(k, 0.5, (3,))]
    f = gx.compile([k, x, v], [*draws, gx.searchsorted(x, v)])
    library = written(f, tmp_path)
    for n, m in ((300, 41), (0, 1), (1, 0)):
        given = [np.array([7, 9], np.uint32), np.linspace(0.1, 90, n), np.linspace(-1, 95, m)]
        assert_same_bits(library(given, {"n": n, "m": m}, {}), f(*given))


# --- what is refused -------------------------------------------------------------------------------------------------


def test_what_python_computes_cannot_be_exported(tmp_path: Path) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([x], gx.sort(x * 2))
    with pytest.raises(InputError, match="export: sort\\(axis=0\\) is computed by Python") as caught:
        f.export(tmp_path / "out")
    assert "test_c.py" in str(caught.value) and "gx.sort(x * 2)" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_a_choice_is_named_by_what_python_computes_in_it(tmp_path: Path) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([x], gx.cond(gx.sum(x) > 0, lambda: gx.sort(x), lambda: x))
    with pytest.raises(InputError, match="export: sort\\(axis=0\\) is computed by Python"):
        f.export(tmp_path)


def test_a_size_that_is_data_cannot_be_exported(tmp_path: Path) -> None:
    x = gx.placeholder("x", (), "float32")
    y = gx.while_loop(lambda v: v < 100, lambda v: v * 2, x)
    f = gx.compile([x], gx.grad(y, x))
    with pytest.raises(InputError, match="a size is data"):
        f.export(tmp_path)


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([x], x + 1, name="program")
    (tmp_path / "program.json").mkdir()
    with pytest.raises(InputError, match=r"program\.json is a folder"):
        f.export(tmp_path)
    (tmp_path / "program.json").rmdir()
    f.export(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    write = Path.write_bytes

    def full(path: Path, content: bytes) -> int:
        if ".c." in path.name:
            write(path, content[:10])
            raise OSError("no space is left")
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="no space"):
        gx.compile([x], x + 2, name="program").export(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("make, named", [
    (lambda x: gx.sort(x, axis=1), "sort(axis=1)"), (lambda x: gx.linalg.qr(x).R, "qr_lapack("),
    (lambda x: gx.linalg.svd(x)[1], "svd("), (lambda x: gx.scan(lambda c, t: (gx.sort(c), t), x[0], x)[0], "sort(axis=0)"),
])  # fmt: skip
def test_what_cannot_be_exported_is_named_with_its_line(make: Any, named: str, tmp_path: Path) -> None:
    x = gx.placeholder("x", (4, 4), "float32")
    f = gx.compile([x], make(x))
    with pytest.raises(InputError) as caught:
        f.export(tmp_path / "out")
    assert str(caught.value).startswith(f"export: {named}") and "is computed by Python" in str(caught.value)
    assert "test_c.py" in str(caught.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("options, message", [
    ({"language": "rust"}, "there is no language 'rust'"), ({"weights": "yes"}, "weights='yes' is not known"),
    ({"name": "a b"}, "'a b' is no name in C"), ({"name": "a__b"}, "is no name in C"),
    ({"sizes": {"m": 3}}, "the graph has no size m"),
    ({"target": "z80"}, "there is no target 'z80'"),
])  # fmt: skip
def test_options_that_are_not_known(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    x = gx.placeholder("x", ("n",), "float32")
    with pytest.raises(InputError, match=message):
        gx.compile([x], x + 1).export(tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


@needs_compiler
def test_a_bad_call_gives_its_code_and_writes_nothing(tmp_path: Path) -> None:
    f = training_step("rows")
    library = written(f, tmp_path)
    state = state_of(f, library)
    before = {name: a.copy() for name, a in state.items()}
    x, y, loss = np.zeros((4, 20), "float32"), np.zeros(4, "int64"), np.full((), 99, "float32")
    sizes = (ctypes.c_ssize_t * 1)(4)
    need = library.arena_bytes(sizes)
    arena = np.empty(need + 64, np.uint8)
    at = arena.ctypes.data + -arena.ctypes.data % 64
    held = [state[m.buffer].ctypes.data for m in library.face.variables]

    def call(given: Any = (x.ctypes.data, y.ctypes.data), made: Any = (loss.ctypes.data,), variables: Any = tuple(held),
             size: int = 4, memory: Any = at, count: int = need) -> int:  # fmt: skip
        structs = [(ctypes.c_void_p * len(g))(*g) if g is not None else None for g in (given, made, variables)]
        status: int = library.entry((ctypes.c_ssize_t * 1)(size), *structs, ctypes.c_void_p(memory), ctypes.c_size_t(count))
        return status

    null, bad, small, unaligned, overlap = range(1, 6)
    assert call(given=None) == call(made=None) == call(variables=None) == null
    assert call(given=(x.ctypes.data, None)) == call(made=(None,)) == call(memory=None) == null
    assert call(variables=(None, *held[1:])) == null
    assert call(size=-1) == call(size=2**61) == call(size=2**63 - 1) == bad
    assert call(count=need - 1) == call(count=0) == small
    assert call(given=(x.ctypes.data + 1, y.ctypes.data)) == call(memory=at + 4) == unaligned
    assert call(made=(held[0],)) == call(made=(x.ctypes.data,)) == call(made=(at + 8,)) == overlap
    assert call(variables=(held[0], held[0], *held[2:])) == overlap
    assert library.entry(None, *[None] * 3, ctypes.c_void_p(at), ctypes.c_size_t(need)) == null
    assert float(loss) == 99 and all((state[name] == a).all() for name, a in before.items())
    assert call() == 0 and float(loss) != 99


@needs_compiler
def test_memory_that_overlaps_in_part_is_refused_whatever_is_written(tmp_path: Path) -> None:
    """Every pair of arrays, one element into the other; an empty array may lie anywhere, and what is only read may overlap."""
    x, y, e = (gx.placeholder(n, shape, "float32") for n, shape in (("x", (8,)), ("y", (8,)), ("e", (0,))))
    w, matrix = gx.variable(np.zeros(8, "float32"), name="w"), gx.constant(np.eye(8, dtype="float32"))
    f = gx.compile([x, y, e], [x + y, gx.sum(e)], updates={w: w + matrix @ (matrix @ x)}, name="program")
    library = written(f, tmp_path)
    need = library.arena_bytes()
    assert need > 0
    memory = np.full(4096 + need, 7, np.uint8)
    at = memory.ctypes.data + -memory.ctypes.data % 64
    usual = {"x": 0, "y": 64, "e": 128, "sum": 256, "total": 320, "w": 384, "arena": 1024}

    def call(**moved: int) -> int:
        p = {name: at + offset for name, offset in (usual | moved).items()}
        groups = [[p["x"], p["y"], p["e"]], [p["sum"], p["total"]], [p["w"]]]
        structs = [(ctypes.c_void_p * len(g))(*g) for g in groups]
        status: int = library.entry(*structs, ctypes.c_void_p(p["arena"]), ctypes.c_size_t(need))
        return status

    before = memory.copy()
    written_to = ("sum", "total", "w", "arena")
    for a in usual:
        for b in written_to:
            if a != b and "e" not in (a, b):
                beside = 8 if a == "arena" else 0 if "total" in (a, b) else 4  # the arena is aligned at 8, and total has 4 bytes
                assert call(**{a: usual[b] + beside}) == 5, (a, b)
    assert call(x=2**64 - 16 - at) == call(w=2**64 - 16 - at) == 5  # it would go on at the beginning of all memory
    assert (memory == before).all()
    assert call(x=64) == call(e=usual["w"] + 4) == call() == 0


@needs_compiler
@pytest.mark.parametrize("weights", ["array", "file"])
def test_first_values_check_as_calls_do(weights: str, tmp_path: Path) -> None:
    x = gx.placeholder("x", (4,), "float32")
    a, b = gx.variable(np.arange(4, dtype="float32"), name="a"), gx.variable(np.zeros(2, "int64"), name="b")
    gx.compile([x], x, updates={a: a + x, b: b + 1}, name="program").export(tmp_path, weights=weights)
    command = [str(COMPILER), *STRICT.split(), "-shared", "-fPIC", "program.c", "program_weights.c", "-o", "program.so"]
    subprocess.run(command, check=True, cwd=tmp_path)
    library = ctypes.CDLL(str(tmp_path / "program.so"))
    memory = np.full(128, 7, np.uint8)
    at = memory.ctypes.data + -memory.ctypes.data % 16
    given = np.fromfile(tmp_path / "program.bin", np.uint8) if weights == "file" else np.empty(0, np.uint8)

    def call(*places: Any, count: int = len(given), source: Any = given.ctypes.data) -> int:
        more = (ctypes.c_void_p(source), ctypes.c_size_t(count)) if weights == "file" else ()
        status: int = library.program_initialize((ctypes.c_void_p * 2)(*places) if places else None, *more)
        return status

    ok, null, bad, _, unaligned, overlap = range(6)
    assert call() == call(None, at + 32) == call(at, None) == null
    assert call(at + 2, at + 32) == call(at, at + 36) == unaligned
    assert call(at, at + 8) == call(at + 36, at + 32) == overlap
    if weights == "file":
        assert call(at, at + 32, count=len(given) - 1) == call(at, at + 32, count=0) == bad
        assert call(at, at + 32, source=None) == null
        assert call(at, at + 32, source=at + 8) == overlap
    assert (memory == 7).all()
    assert call(at, at + 32) == ok
    start = at - memory.ctypes.data
    assert memory[start : start + 16].view(np.float32).tolist() == [0, 1, 2, 3]
    assert memory[start + 32 : start + 48].view(np.int64).tolist() == [0, 0]


def test_a_size_that_the_program_requires(tmp_path: Path) -> None:
    x, y = gx.placeholder("x", ("n",), "float32"), gx.placeholder("y", ("m",), "float32")
    f = gx.compile([x, y], gx.max(x) + gx.sum(y), name="program")
    if COMPILER is None:
        pytest.skip("there is no compiler of C")
    library = written(f, tmp_path)
    assert library.library.program_check((ctypes.c_ssize_t * 2)(3, 1)) == 0
    assert {library.library.program_check((ctypes.c_ssize_t * 2)(*sizes)) for sizes in ((0, 0), (-1, 3), (3, -1))} == {2}


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_files_of_an_export(tmp_path: Path) -> None:
    f = training_step("rows")
    paths = f.export(tmp_path, sizes={"rows": 8}, weights="file", small=True)
    assert [p.name for p in paths] == ["step.h", "step.c", "step_weights.c", "step.bin", "step.json"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(p.name for p in paths)
    described = json.loads((tmp_path / "step.json").read_text())
    assert described["sizes"] == [] and described["inputs"][0] == {"name": "x", "dtype": "float32", "shape": ["8", "20"]}
    assert described["saved"]["hidden_kernel"] == "hidden/kernel" and described["saved"]["for_"] == "for"
    values = [f.variables[described["saved"][v["name"]]].value for v in described["variables"]]
    assert (tmp_path / "step.bin").read_bytes() == b"".join(np.ascontiguousarray(v).tobytes() for v in values)
    assert "step_sizes" not in (tmp_path / "step.h").read_text()


@needs_compiler
def test_first_values_as_arrays_and_a_program_from_the_command_line(tmp_path: Path) -> None:
    script = tmp_path / "model.py"
    script.write_text(
        "import numpy as np, graphc as gx\nx = gx.placeholder('x', ('n',), 'float32')\n"
        "w = gx.variable(np.array([1.5, np.inf, -np.inf, np.nan, -0.0], 'float32'), name='w')\n"
        "program = gx.compile([x], gx.sum(x) * w, name='scaled')\n"
    )
    assert main(["export", f"{script}:program", str(tmp_path / "out"), "--sizes", "n=3"]) == 0
    (tmp_path / "out" / "main.c").write_text(
        '#include "scaled.h"\n#include <stdio.h>\nint main(void)\n{\n    float x[3] = {1, 2, 3}, w[5], y[5];\n    int i;\n'
        "    scaled_inputs in = {x};\n    scaled_outputs out = {y};\n    scaled_variables v = {w};\n"
        "    if (scaled_initialize(&v) != SCALED_OK || scaled(&in, &out, &v, NULL, scaled_arena_bytes()) != SCALED_OK)\n"
        '        return 1;\n    for (i = 0; i < 5; ++i)\n        printf("%g ", y[i]);\n    return 0;\n}\n'
    )
    files = [str(tmp_path / "out" / n) for n in ("scaled.c", "scaled_weights.c", "main.c")]
    subprocess.run([str(COMPILER), *STRICT.split(), *files, "-o", str(tmp_path / "run")], check=True)
    done = subprocess.run([str(tmp_path / "run")], capture_output=True, text=True, check=True)
    assert done.stdout.replace("-nan", "nan").split() == ["9", "inf", "-inf", "nan", "-0"]


@needs_compiler
def test_the_program_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT.parent / "docs" / "export.md").read_text()
    blocks = dict(re.findall(r"```(\w*)\n(.*?)```", page, re.DOTALL)[::-1])
    monkeypatch.chdir(tmp_path)
    exec(blocks["python"], {})
    (tmp_path / "step" / "main.c").write_text(blocks["c"])
    files = [str(tmp_path / "step" / name) for name in ("step.c", "step_weights.c", "main.c")]
    for more in ("", "-fopenmp -DGRAPHC_THREADS=3"):
        subprocess.run([str(COMPILER), *STRICT.split(), *more.split(), *files, "-o", "a.out"], check=True)
        done = subprocess.run(["./a.out"], capture_output=True, text=True, check=True)
        assert done.stdout == blocks[""].splitlines()[-1] + "\n"


def test_a_program_has_no_library_and_no_state(tmp_path: Path) -> None:
    x = gx.placeholder("x", ("n", 9), "float32")
    f = gx.compile([x], gx.nn.softmax(gx.sqrt(gx.abs(x)), axis=1), name="program")
    source = CSource(lowered(f.stages[0][1], gx.passes.DEFAULT, find_target("generic"), {}), "program").source
    included = [line.split()[1] for line in source.splitlines() if line.startswith("#include")]
    assert included == ['"program.h"', "<float.h>", "<string.h>", "<emmintrin.h>", "<omp.h>"]  # the last two where they are
    assert "malloc" not in source
    assert not [line for line in source.splitlines() if line.startswith("static") and "(" not in line and "const" not in line]


def test_names_of_c() -> None:
    names = Names(["int"])
    assert [identifier(text) for text in ("a/b", "0", "for", "a__b", "_x", "größe", "int32_t")] == [
        "a_b", "v0", "for_", "a_b", "x", "gr_e", "int32_t_",
    ]  # fmt: skip
    assert [names.of(1, "x"), names.of(2, "x"), names.of(1, "x"), names["y"]] == ["x", "x_2", "x", "y"]
