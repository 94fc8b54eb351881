"""Numba's backend: what it computes, keeps and tells; all tests of native code run on it with GRAPHC_BACKEND=numba."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.backends import load_backend
from graphc.backends.llvm import compile
from graphc.backends.llvm.host import host
from graphc.backends.numba.compile import NumbaText
from graphc.errors import InputError

pytestmark = pytest.mark.usefixtures("this_machine", "llvm_itself")
ROOT = str(Path(gx.__file__).parent.parent)
PRODUCT = """
import sys, numpy as np, graphc as gx
x, y = gx.placeholder("x", ("n", "k")), gx.placeholder("y", ("k", 40))
f = gx.compile([x, y], gx.exp(x @ y), backend="numba")
given = np.linspace(-1, 1, 60, dtype="f4").reshape(3, 20), np.linspace(1, -1, 800, dtype="f4").reshape(20, 40)
print(np.allclose(f(*given), np.exp(given[0] @ given[1]), rtol=1e-5), *sys.argv[1:])
"""


def in_a_new_process(code, folder, **more):
    given = {**os.environ, "PYTHONPATH": ROOT, "GRAPHC_CACHE_DIR": str(folder), **more}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=given)
    assert (done.stderr, done.returncode) == ("", 0)
    return done.stdout


def test_the_first_product_of_a_process(tmp_path):
    """Numba links at once, and a process ends where what a kernel calls is not there yet; then the code is kept."""
    assert in_a_new_process(PRODUCT, tmp_path / "kernels") == "True\n"
    kept = "import numba\nnumba.cfunc = None\nimport graphc.backends.numba.compile as c\nc.cfunc = None\n"
    assert in_a_new_process(kept + PRODUCT, tmp_path / "kernels") == "True\n"


def test_a_loop_variable_that_is_called_as_a_type():
    text = """program f {
  input %x: f64[40]
  output %1: i32[40]
  %1 = k0(%x)
  return %1
}

kernel k0(%x0: f64[40]) -> %y0: i32[40] {
  parallel i8 < 4 {
    for i32 < 10 {
      %0 = load %x0[10*i8+i32]
      %1 = cast(%0) : i32
      %2 = add(%1, 3)
      store %y0[10*i8+i32], %2
    }
  }
}
"""
    program = gx.ir.parse(text)
    for backend in ("llvm", "numba"):
        native = load_backend(backend).build(replace(program, target=host()), {})
        assert np.array_equal(native.run([np.arange(40.0)], {}, ())[0], np.arange(40) + 3)


def _casts(dtype):
    x = gx.placeholder("x", ("n",), dtype)
    y = gx.astype(x, "float32")
    made = [x + x, gx.tanh(y), gx.astype(y * 3, dtype), gx.astype(y, "float64"), gx.maximum(x, gx.flip(x)), x > 0]
    return [x], [*made, *(gx.astype(y, other) for other in ("int8", "uint16", "int32", "uint64", "bool"))]


def _integers(dtype):
    x = gx.placeholder("x", ("n",), dtype)
    whole = [x * x, x // 3, x % 5, gx.sum(x), gx.max(x), gx.argmin(x), gx.cumulative_sum(x), x << 1, x ^ 7, x == gx.flip(x)]
    return [x], [*whole, gx.astype(x, "float16"), gx.sort(x)]


def _product(dtype):
    x = gx.placeholder("x", ("n",), dtype)
    w = gx.asarray(np.linspace(-1, 1, 700 * 33).reshape(700, 33).astype(np.float32))
    wide = gx.broadcast_to(gx.expand_dims(gx.astype(x, "float32"), axis=1), (x.shape[0], 700))
    return [x], [gx.nn.relu(wide @ w)]


def _loop(dtype):
    x = gx.placeholder("x", ("n",), dtype)
    last, ys = gx.scan(lambda c, v: (c * 0.5 + v, c), gx.zeros((), dtype), x)
    return [x], [last, ys, gx.where(x > 0, x, -x)]


SAMPLE = [(_casts, d) for d in ("float16", "bfloat16", "float64")]
SAMPLE += [(_integers, d) for d in ("int8", "uint64")] + [(_product, "float16"), (_loop, "float64")]


@pytest.mark.parametrize(("declare", "dtype"), SAMPLE, ids=[f"{f.__name__[1:]}-{d}" for f, d in SAMPLE])
def test_its_bits_are_those_of_llvm(declare, dtype):
    inputs, outputs = declare(dtype)
    given = np.array([0, 1, 2, 3, 100, 5, 7, 11, 13, 17, 64, 127, 2, 0, 9, 33, 50], inputs[0].dtype.numpy)
    if inputs[0].dtype.is_float:
        given[4:9] = np.array([np.nan, -np.inf, -0.0, 1e-7, -3.7], given.dtype)
    made = {b: gx.compile(inputs, outputs, backend=b)(given) for b in ("numba", "llvm")}
    for number, (a, b) in enumerate(zip(made["numba"], made["llvm"], strict=True)):
        nan = a != a
        assert np.array_equal(nan, b != b) and a[~nan].tobytes() == b[~nan].tobytes(), number


def test_variables_routines_of_python_and_threads():
    w = gx.variable(np.ones((30, 8), "f4"), "w")
    x = gx.placeholder("x", (300, 30))
    loss = gx.mean((gx.linalg.cholesky(x[:30] @ x[:30].T + 50 * gx.eye(30, dtype="float32"))[:, :8] - w) ** 2)
    given = np.random.default_rng(0).standard_normal((300, 30)).astype("f4")
    made = []
    for backend in ("llvm", "numba"):
        w.value = np.ones((30, 8), "f4")
        f = gx.compile([x], [loss, gx.exp(x)], updates=gx.optim.sgd(loss, [w], 0.1), backend=backend)
        made.append([f(given)[0].item() for _ in range(3)])
    np.testing.assert_allclose(*made, rtol=1e-6)
    assert made[0][2] < made[0][0]
    assert f(given)[1].tobytes() == f(given)[1].tobytes()


def test_what_a_program_tells_of_itself():
    x = gx.placeholder("x", ("n", 64), "float32")
    y = gx.sin(x) / gx.sum(gx.exp(x), axis=0)
    f, g = (gx.compile([x], y, backend=b) for b in ("numba", "llvm"))
    assert f.backend == "numba" and f.compilations == 1
    assert [k.source for k in f.kernels] == [k.source for k in g.kernels]
    assert [name for name, _ in f.stages] == [name for name, _ in g.stages] and str(f.program) == str(g.program)
    assert str(f.explain()) == str(g.explain()) and f.memory.at(n=3) == g.memory.at(n=3)
    assert f"define void @{f.kernels[0].name}(" in g.kernels[0].llvm.replace('"', "")
    assert f"@{f.kernels[0].name}(" in f.kernels[0].llvm and "internal" in f.kernels[0].llvm
    assert f.kernels[0].name in f.kernels[0].assembly
    assert [row.kernel for row in f.profile(np.ones((3, 64), "f4")).rows] == [c.kernel.name for c in f.program.calls]


def test_what_it_keeps_is_not_what_llvm_keeps():
    names = {"exp": 1}
    text = ("def kernel(a): pass", names, host())
    assert NumbaText(*text).key != compile.Text(*text).key
    assert NumbaText(*text).key == NumbaText(*text).key
    assert load_backend("numba").native and load_backend("numba").name == "numba"


def test_it_compiles_for_this_processor_alone_whatever_its_caches():
    x = gx.placeholder("x", ("n",))
    small = replace(host(), name="small", caches=(1 << 14, 1 << 16, 1 << 20))
    f = gx.compile([x], gx.sum(x * x), backend="numba", target=small)
    assert f.target == small and f([1, 2]) == 5
    with pytest.raises(InputError, match="what is made for x86-64-v1 here: Numba compiles for this machine alone"):
        gx.compile([x], gx.sum(x * x), backend="numba", target="x86-64-v1")
