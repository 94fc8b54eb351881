"""The front end: the same bits as Numba makes of the same sources, its words and errors, functions that kernels share."""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from test_golden import PROGRAMS

import graphc as gx
from graphc import backends
from graphc.backends.llvm import cache, compile, frontend, intrinsics, objects
from graphc.backends.llvm.ahead import FORWARDS
from graphc.backends.llvm.frontend import translate
from graphc.backends.llvm.intrinsics import Intrinsic, Pointer, external, fixed
from graphc.backends.llvm.pool import runtime_text
from graphc.backends.llvm.tiles.library import native
from graphc.ir import types as t
from graphc.ir.target import Target, host


def _step():
    x, w = gx.placeholder("x", ("batch", 30)), gx.variable(np.linspace(-1, 1, 600, dtype="f4").reshape(30, 20), "w")
    loss = gx.nn.cross_entropy(x @ w, gx.argmax(x[:, :20], axis=1))
    return gx.compile([x], [loss, x @ w], updates=gx.optim.adam(loss, [w]))


def _functions():
    x = gx.placeholder("x", ("batch", 30))
    whole = gx.astype(x * 1e10, "int32")
    several = [gx.tanh(x), gx.erf(x), gx.sin(x * 100), x % 0.7, whole // 3, whole >> 2, gx.astype(x * 300, "uint8"), x > 0.5]
    several += [gx.bitwise_left_shift(whole, 3), gx.astype(x, "bool")]
    return gx.compile([x], [*several, gx.min(x, axis=0), gx.argmin(x, axis=0)])


def _arguments(f):
    """Numbers, and among them those that are special."""
    special = [np.nan, np.inf, -0.0, 0.0, -np.inf, 1e30, -1e-40]
    for i, x in enumerate(f.inputs):
        shape = [{"batch": 37, "n": 700}.get(str(n), n) for n in x.type.shape]
        array = np.random.default_rng(i).standard_normal(shape).astype(x.type.dtype.numpy)
        array.flat[np.arange(7) * array.size // 9] = special
        yield array


def _bits(array):
    """The bytes of an array; one NaN is like another."""
    array = np.asarray(array)
    return (np.where(np.isnan(array), np.nan, array) if array.dtype.kind == "f" else array).tobytes()


@pytest.mark.usefixtures("this_machine")
@pytest.mark.parametrize("make", [*PROGRAMS.values(), _step, _functions], ids=[*PROGRAMS, "step", "functions"])
def test_the_bits_are_those_of_numba(make, monkeypatch):
    """No arithmetic is reordered by either."""
    found = {}
    for backend in ("llvm", "numba"):
        monkeypatch.setattr(backends, "_REGISTERED", {})
        monkeypatch.setattr(backends, "_REGISTERED", {"llvm": backends.load_backend(backend)})
        f = make()
        results = f(*_arguments(f))
        values = [*(results if isinstance(results, list) else [results]), *(v.value for v in f.graph.variables)]
        found[backend] = [_bits(v) for v in values]
    assert found["llvm"] == found["numba"]


def run(text, *words, **names):
    """Run the function `kernel` of a text."""
    address = compile.functions([compile.Text(text, {**vars(intrinsics), **names}, host())])[0]("kernel")
    ctypes.CFUNCTYPE(None, *(ctypes.c_int64,) * len(words))(address)(*words)


def test_the_words_of_kernels():
    memory = np.zeros(8, np.int64)
    text = """
def kernel(out, n):
    total = 0
    for i in range(n):
        if i == 2 or (i > 4 and not_seven != i):
            total += i
        else:
            total = total - 1
    write(out, 0, total)
    turns = 0
    while turns < 100:
        turns += 3
        if turns > n:
            break
    write(out, 1, turns)
    for i in range(2, n, 3):
        inner(out, i)
    write(out, 6, -n)
    if n == 9:
        return
    write(out, 7, 1)

def inner(out, i):
    write(out, 2, out[2]*10 + i)
"""
    run(text, memory.ctypes.data, 9, not_seven=7)
    total = 0
    for i in range(9):
        total = total + i if i == 2 or (i > 4 and i != 7) else total - 1
    assert memory.tolist() == [total, 12, 258, 0, 0, 0, -9, 0]


@pytest.mark.parametrize(("body", "message"), [
    ("x = 1 + 2.0", "kernel: no such arithmetic of int64 and float64 in '1 + 2.0'"),
    ("x = 7 / 2", "kernel: no such arithmetic of int64 and int64 in '7 / 2'"),
    ("x = y", "kernel: y is not known in 'y'"),
    ("x = fma(1.0, 2.0, 3)", "kernel: fma takes two values of one type, got float64, int64 in 'fma(1.0, 2.0, 3)'"),
    ("x = 1\n    x = 2.0", "kernel: x is int64, and then float64 in 'x = 2.0'"),
    ("x = pause()", "kernel: no value in 'x = pause()'"),
    ("x = [1]", "kernel: not among the words of kernels in '[1]'"),
    ("n = 2", "kernel: n is a parameter, a loop's variable, or a value in 'n = 2'"),
    ("with n: pass", "kernel: not among the words of kernels in 'with n:"),
    ("len(n)", "kernel: no function of kernels in 'len(n)'"),
    ("if n: pass", "kernel: int64 where a truth value is wanted in 'n'"),
    ("for i in range(2.0): pass", "kernel: float64 where an integer is wanted in '2.0'"),
    ("for i in range(3): pass\n    i = 4", "kernel: i is assigned elsewhere in 'for i in range"),
])  # fmt: skip
def test_what_is_not_among_the_words_is_named(body, message):
    with pytest.raises(TypeError, match=re.escape(message)):
        translate(f"def kernel(n):\n    {body}\n", vars(intrinsics), "", host())


def test_short_loops_are_written_out_and_no_others():
    def marks(text):
        return translate(f"def kernel(p, n):\n{text}", vars(intrinsics), "", host()).count("!llvm.loop ")

    assert marks("    for i in range(3):\n        for j in range(5):\n            write(p, i, j)\n") == 2
    assert marks("    for i in range(4):\n        for j in range(5):\n            write(p, i, j)\n") == 1
    assert marks("    for i in range(n):\n        for j in range(17):\n            write(p, i, j)\n") == 0


@pytest.mark.parametrize(("registers", "marks"), [(32, 1), (16, 0)])
def test_long_chains_run_side_by_side_in_outermost_loops_where_registers_suffice(registers, marks):
    target = Target("any", registers=registers)
    chain = "".join(f"x{i} = fma({f'x{i - 1}' if i else '1.0'}, 2.0, 3.0)\n" for i in range(frontend.LONG + 1))
    for start, count in [("for i in range(n):\n", marks), ("for j in range(n):\n for i in range(n):\n", 0)]:
        depth = "  " if "j" in start else " "
        text = "def kernel(n):\n" + indent(start + indent(chain, depth), " ")
        assert translate(text, vars(intrinsics), "", target).count('!"llvm.loop.interleave.count"') == count


def test_kernels_share_a_function_given_as_llvm():
    def definition():
        made.append(1)
        return (
            "define void @graphc_test_twice(double* %p) {\n %x = load double, double* %p\n %y = fadd double %x, %x\n"
            " store double %y, double* %p\n ret void\n}\n"
        )

    made = []
    twice = external("graphc_test_twice", None, Pointer(t.float64), definition=definition)
    memory = np.array([1.5, 2.5])
    for i in range(2):
        text = f"def kernel(p):\n    twice(f64_at(p + {8 * i}))\n"
        run(text, memory.ctypes.data, twice=twice, f64_at=intrinsics.pointer(t.float64))
    assert memory.tolist() == [3.0, 5.0] and made == [1]


def test_equal_texts_that_mean_different_things_are_told_apart():
    memory = np.zeros(2, np.int64)
    for i, (name, value) in enumerate([("one", 1), ("two", 2)]):
        given = Intrinsic(name, fixed(t.int64), lambda builder, args, types, value=value: intrinsics.WORD(value))
        run("def kernel(p):\n    write(p, 0, number())\n", memory.ctypes.data + 8 * i, number=given)
    assert memory.tolist() == [1, 2]


HERE = host().cpu, host().features
LLVM = "define void @{}(i64 %p) {{\n %q = inttoptr i64 %p to i64*\n store i64 7, i64* %q\n ret void\n}}\n"


def test_a_second_process_compiles_the_same():
    assistant = objects.Assistant(*HERE)
    try:
        for name in ("one", "two"):
            assert assistant.compile_text(LLVM.format(name)) == objects.compile_text(LLVM.format(name), *HERE)
        assistant.process.kill()
        with pytest.raises(OSError):
            assistant.compile_text(LLVM.format("three"))
    finally:
        assistant.close()


@pytest.mark.parametrize("dies", [True, False])
def test_all_texts_are_compiled_whether_or_not_the_second_process_lives(monkeypatch, dies):
    made = []

    class Assistant(objects.Assistant):
        def __init__(self, *processor):
            super().__init__(*processor)
            made.append(self)
            if dies:
                self.process.kill()

    monkeypatch.setattr(compile, "Assistant", Assistant)
    monkeypatch.setattr(compile, "available", lambda: 2)
    monkeypatch.setenv("GRAPHC_COMPILERS", "2")
    texts = {f"key{i}": lambda prefix: LLVM.format(prefix) for i in range(6)}
    assert compile._compile(texts, host()) == {key: objects.compile_text(LLVM.format(f"graphc_{key}_"), *HERE) for key in texts}
    assert len(made) == 1 and made[0].process.poll() is not None


def test_no_second_process_compiles_where_the_environment_says_so(monkeypatch):
    monkeypatch.setattr(compile, "available", lambda: 2)
    monkeypatch.setattr(compile, "Assistant", None)
    monkeypatch.setenv("GRAPHC_COMPILERS", "1")
    texts = {f"key{i}": lambda prefix: LLVM.format(prefix) for i in range(6)}
    assert set(compile._compile(texts, host())) == set(texts)


def test_what_cannot_be_compiled_is_an_error_of_this_process(monkeypatch):
    monkeypatch.setattr(compile, "available", lambda: 2)
    monkeypatch.setenv("GRAPHC_COMPILERS", "2")
    texts = {f"key{i}": lambda prefix: LLVM.format(prefix) for i in range(6)}
    texts["key3"] = lambda prefix: "define nonsense"
    with pytest.raises(RuntimeError, match="parsing error"):
        compile._compile(texts, host())


@pytest.fixture
def helped(monkeypatch, own_cache):
    """A machine of two processors that has compiled nothing; the processes that helped."""
    made = []

    class Assistant(objects.Assistant):
        def __init__(self, *processor):
            super().__init__(*processor)
            made.append(self)

    monkeypatch.setattr(compile, "Assistant", Assistant)
    monkeypatch.setattr(compile, "available", lambda: 2)
    monkeypatch.setattr(compile, "_KNOWN", {})
    monkeypatch.setattr(compile, "_AHEAD", {})
    monkeypatch.setenv("GRAPHC_COMPILERS", "2")
    return made


def wait_for(keys):
    """Until the other process has compiled these."""
    (helper,) = compile._HELPERS
    with helper.changed:
        assert helper.changed.wait_for(lambda: keys <= helper.done.keys(), timeout=120)


@pytest.mark.parametrize("keeps", [True, False])
def test_what_is_compiled_ahead_is_there_for_who_asks_later(helped, monkeypatch, keeps):
    monkeypatch.setenv("GRAPHC_CACHE", str(int(keeps)))
    texts = {f"{i:064d}": lambda prefix: LLVM.format(prefix) for i in range(3)}
    with compile.ahead(texts, host()):
        wait_for(texts.keys())
        one = next(iter(texts))
        assert set(compile._compile({one: None}, host())) == {one}, "it is done, so nobody writes its text"
    assert not compile._HELPERS and len(helped) == 1 and helped[0].process.poll() is not None
    if keeps:
        found = {key: cache.get(key).code for key in texts}
    else:
        found = compile._compile(dict.fromkeys(texts), host())
        assert not compile._AHEAD
    assert found == {key: objects.compile_text(LLVM.format(f"graphc_{key[:32]}_"), *HERE) for key in texts}
    if keeps:
        with compile.ahead(texts, host()):
            assert not compile._HELPERS, "all is kept"


def test_the_other_process_ends_where_a_pass_fails(helped):
    texts = {f"{i:064d}": lambda prefix: LLVM.format(prefix) for i in range(100)}
    with pytest.raises(ZeroDivisionError), compile.ahead(texts, host()):
        raise ZeroDivisionError
    assert not compile._HELPERS and helped[0].process.poll() is not None


@pytest.mark.usefixtures("llvm_itself")  # Numba's backend has nothing compiled beside the passes
def test_tiles_and_the_walk_are_compiled_while_passes_run(helped, monkeypatch):
    x = gx.placeholder("x", ("n", 40), "float32")
    data = np.random.default_rng(0).normal(size=(50, 40)).astype("float32")
    w = np.random.default_rng(1).normal(size=(40, 70)).astype("float32")
    keys = set(compile._library_keys([native(name, 4, host()).symbol for name in FORWARDS], host()))

    def waits(graph):
        wait_for({runtime_text().key, *keys})
        return graph

    waits.version = "1"
    f = gx.compile([x], gx.tanh(x @ w), passes=(*gx.passes.DEFAULT, waits))
    assert len(helped) == 1 and helped[0].process.poll() is not None
    monkeypatch.setenv("GRAPHC_COMPILERS", "1")
    monkeypatch.setenv("GRAPHC_CACHE", "0")
    assert f(data).tobytes() == gx.compile([x], gx.tanh(x @ w))(data).tobytes()


def test_numba_is_not_imported_and_what_is_kept_is_not_translated(tmp_path):
    program = (
        "import sys, graphc as gx; x = gx.placeholder('x', ('n',)); print(gx.compile([x], x + 1)([1, 2]),"
        "*(m in sys.modules for m in ('numba', 'graphc.backends.llvm.frontend')))"
    )
    root = str(Path(gx.__file__).parent.parent)
    environment = {**os.environ, "GRAPHC_CACHE_DIR": str(tmp_path / "kernels"), "PYTHONPATH": root}
    for expected in ("[2. 3.] False True\n", "[2. 3.] False False\n"):
        found = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
        assert (found.stdout, found.stderr) == (expected, "")
