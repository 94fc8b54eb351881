"""The native backend: matrix products of every shape, determinism over threads, variables updated in place, forks."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm.calls import by_ctypes

ROOT = Path(__file__).parents[3]
RNG = np.random.default_rng(7)
EDGES = (0, 1, 2, 13, 14, 15, 31, 33, 70)


@pytest.fixture(autouse=True)
def all_threads():
    before = gx.get_num_threads()
    yield
    gx.set_num_threads(before)


def close(found, wanted, terms, dtype):
    """Within the error bound of a sum of `terms` products, taken in any order."""
    bound = (terms + 2) * np.finfo(dtype).eps * max(1.0, float(np.abs(wanted).max(initial=0))) * 4
    np.testing.assert_allclose(found, wanted, rtol=0, atol=bound)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("left", ["n", "t"])
@pytest.mark.parametrize("right", ["n", "t"])
def test_matmul_of_every_edge_shape(dtype, left, right):
    x = gx.placeholder("x", ("k", "m") if left == "t" else ("m", "k"), dtype)
    y = gx.placeholder("y", ("n", "k") if right == "t" else ("k", "n"), dtype)
    f = gx.compile([x, y], (x.T if left == "t" else x) @ (y.T if right == "t" else y))
    for m, k, n in [(m, k, n) for m in EDGES for k in (0, 1, 5, 300, 700) for n in EDGES if (m + k + n) % 3 == 0]:
        a = RNG.standard_normal((m, k)).astype(dtype)
        b = RNG.standard_normal((k, n)).astype(dtype)
        close(f(a.T if left == "t" else a, b.T if right == "t" else b), a @ b, k, dtype)
    assert f.compilations == 1


@pytest.mark.parametrize("shapes", [
    ((1, 40), (40, 30)), ((30, 40), (40, 1)), ((40,), (40,)), ((40,), (40, 9)), ((9, 40), (40,)), ((3, 5, 7), (7, 2)),
    ((3, 5, 7), (3, 7, 2)),
    ((1, 5, 7), (4, 7, 2)), ((2, 1, 5, 7), (3, 7, 2)), ((6, 1), (1, 6)), ((300, 8), (8, 10)), ((5, 2000), (2000, 3)),
])  # fmt: skip
def test_matmul_of_numpy_ranks(shapes):
    x, y = (gx.placeholder(n, s, "float64") for n, s in zip("xy", shapes, strict=True))
    a, b = (RNG.standard_normal(s) for s in shapes)
    close(gx.compile([x, y], x @ y)(a, b), a @ b, shapes[0][-1], "float64")


@pytest.mark.parametrize("m, n", [(20, 30), (1, 7), (64, 64), (64, 65)])
def test_long_sums_of_small_products_are_shared(m, n):
    x, y = gx.placeholder("x", ("k", m), "float64"), gx.placeholder("y", ("k", n), "float64")
    f = gx.compile([x, y], [x.T @ y * 2 + 1, x.T @ y])
    assert ("%1.part" in str(f.program)) == (m > 1 and m * n <= 64 * 64)
    for k in (0, 1, 5, 4095, 4096, 4097, 20_000):
        a, b = RNG.standard_normal((k, m)), RNG.standard_normal((k, n))
        scaled, plain = f(a, b)
        close(plain, a.T @ b, k, "float64")
        np.testing.assert_array_equal(scaled, plain * 2 + 1)
        before = gx.get_num_threads()
        gx.set_num_threads(1)
        np.testing.assert_array_equal(f(a, b)[1], plain)
        gx.set_num_threads(before)


def test_integer_matmul_is_exact():
    x, y = gx.placeholder("x", (17, 33), "int32"), gx.placeholder("y", (33, 21), "int32")
    a, b = (RNG.integers(-(2**31), 2**31, s).astype("int32") for s in ((17, 33), (33, 21)))
    np.testing.assert_array_equal(gx.compile([x, y], x @ y)(a, b), a @ b)


def test_prologue_and_epilogue_share_the_kernel_of_a_matmul():
    x, b = gx.placeholder("x", ("n", 20)), gx.variable(np.ones(30, "f4"), "b")
    w = gx.variable(RNG.standard_normal((20, 30)).astype("f4"), "w")
    f = gx.compile([x], gx.maximum((x * 2).T.T @ w + b, 0.0))
    assert len(f.program.calls) == 1
    a = RNG.standard_normal((50, 20)).astype("f4")
    close(f(a), np.maximum((a * 2) @ w.value + 1, 0), 20, "float32")


@pytest.mark.parametrize("kernels, make", [
    (1, lambda x: gx.pad(gx.exp(x) + x[:, ::-1], 2, constant_values=-1)),  # made where it is needed, not on the rim
    (1, lambda x: 2 * gx.pad(gx.tanh(x) * 3, ((1, 0), (0, 2)))),
    (1, lambda x: gx.pad(x[1:-1] - x[:-2] - x[2:], ((1, 1), (0, 0)))),
    (2, lambda x: (e := gx.exp(x))[1:] - e[:-1]),  # two readers
    (2, lambda x: gx.pad(gx.exp(x), ((0, 30), (0, 0)))),  # of many more elements
    (2, lambda x: gx.pad(gx.exp(x) / gx.sum(gx.exp(x), axis=1, keepdims=True) * x, 1)),  # of more than it
])  # fmt: skip
def test_what_is_read_at_a_shifted_place_is_computed_there(kernels, make):
    for shape, size in (((40, 50), (40, 50)), (("n", "m"), (40, 50)), (("n", "m"), (3, 70))):
        if kernels == 2 and size[0] == 3:
            continue
        x = gx.placeholder("x", shape)
        f = gx.compile([x], make(x))
        a = RNG.standard_normal(size).astype("f4")
        np.testing.assert_allclose(f(a), gx.compile([x], make(x), backend="interpreter")(a), rtol=1e-6, atol=1e-6)
        assert len(f.program.calls) == kernels


def test_results_do_not_depend_on_threads():
    x = gx.placeholder("x", ("n", 300))
    w = gx.variable(RNG.standard_normal((300, 200)).astype("f4"), "w")
    h = x @ w
    f = gx.compile([x], [gx.sum(h), gx.sum(h, axis=0), gx.sum(h * h, axis=1), gx.max(h), gx.mean(x * 3), h * 2])
    for n in (1, 7, 1000):
        a = RNG.standard_normal((n, 300)).astype("f4")
        gx.set_num_threads(1)
        one = [y.copy() for y in f(a)]
        for threads in (2, 3):
            gx.set_num_threads(threads)
            for _ in range(5):
                for p, q in zip(one, f(a), strict=True):
                    np.testing.assert_array_equal(p, q)


def test_sums_keep_the_error_of_pairwise_summation():
    x = gx.placeholder("x", ("n",))
    total = gx.compile([x], gx.sum(x))
    a = np.full(10_000_000, 0.1, "f4")
    assert abs(float(total(a)) / (np.float64(np.float32(0.1)) * a.size) - 1) < 1e-6
    m = gx.placeholder("m", ("n", 3))
    columns = gx.compile([m], gx.sum(m, axis=0))(a[:9_000_000].reshape(-1, 3))
    np.testing.assert_allclose(columns, np.float64(np.float32(0.1)) * 3_000_000, rtol=1e-6)


@pytest.mark.parametrize("shape, axes", [((1000, 48), 0), (("n", 48), 0), (("n", 5, 32), (0, 1)), ((7, "n", 4, 16), (0, 1))])
def test_sums_down_the_columns_go_along_with_the_rows(shape, axes):
    x, g = (gx.placeholder(name, shape) for name in "xg")
    v = gx.variable(np.zeros(shape[-1], "f4"), "v")
    count = len(np.atleast_1d(axes))
    soft = gx.nn.softmax(x)
    sums = [gx.sum(x * soft, axis=axes), gx.sum(g, axis=axes), gx.max(x - g, axis=axes)]
    new = v - (gx.sum(sums[0], axis=0) if len(shape) - count > 1 else sums[0]) / 10
    sizes = [{"n": n} for n in (1, 63, 64, 65, 1000)] if "n" in shape else [{}]
    f = gx.compile([x, g], [soft * g, *sums], updates={v: new})
    assert sum(p.name.startswith("p") and p.mode == "out" for k in f.kernels for p in k.kernel.params) >= 2
    for size in sizes:
        a, b = (RNG.standard_normal([size.get(n, n) for n in shape]).astype("f4") for _ in "xg")
        v.value = np.zeros(shape[-1], "f4")
        wanted = gx.compile([x, g], [soft * g, *sums, new], backend="interpreter")(a, b)
        found = f(a, b)
        for p, q in zip([*found, v.value], wanted, strict=True):
            np.testing.assert_allclose(p, q, rtol=2e-5, atol=1e-5 * len(a))
        for threads in (1, 2, 3):
            gx.set_num_threads(threads)
            v.value = np.zeros(shape[-1], "f4")
            for p, q in zip(f(a, b), found, strict=True):
                np.testing.assert_array_equal(p, q)


def test_infinite_sums_are_not_nan():
    x = gx.placeholder("x", ("n", "k"), "float64")
    f = gx.compile([x], [gx.sum(x), gx.sum(x, axis=0), gx.sum(x, axis=1)])
    a = np.ones((3000, 300))
    a[5, 7] = np.inf
    assert all(np.isinf(y).any() and not np.isnan(y).any() for y in f(a))


def test_variables_change_all_at_once():
    a, b = gx.variable(np.arange(5.0), "a"), gx.variable(np.zeros(5), "b")
    swap = gx.compile([], [a + b], updates={a: b + 0.0, b: a + 0.0})
    exchange = gx.compile([], [], updates={a: b, b: a})
    swap()
    np.testing.assert_array_equal(a.value, np.zeros(5))
    np.testing.assert_array_equal(b.value, np.arange(5.0))
    exchange()
    np.testing.assert_array_equal(a.value, np.arange(5.0))
    shift = gx.compile([], gx.sum(a), updates={a: gx.flip(a) * 2})
    assert shift() == 10
    np.testing.assert_array_equal(a.value, np.arange(5.0)[::-1] * 2)


def test_a_variable_and_its_new_value_change_places():
    start = RNG.standard_normal(50)
    v = gx.variable(start, "v")
    turn = gx.compile([], gx.sum(v), updates={v: gx.flip(v) * 2})
    double = gx.compile([], [], updates={v: v + v})
    read = gx.compile([], v + 0.0)
    assert [b.role for b in turn.program.buffers.values()].count("next") == 1
    assert (turn.memory.variables, double.memory.variables) == (800, 400)
    expected = start
    for _ in range(3):  # programs that were bound before a change of places, and one that is made after it
        np.testing.assert_array_equal(read(), expected)
        turn()
        np.testing.assert_array_equal(v.value, expected := expected[::-1] * 2)
        turn.profile()
        np.testing.assert_array_equal(v.value, expected)
        double()
        np.testing.assert_array_equal(read(), expected := expected * 2)
        np.testing.assert_array_equal(gx.compile([], v * 1.0)(), expected)
        v.value = expected = expected + 1
    held = v.value
    turn()
    np.testing.assert_array_equal(held, expected)


def test_a_scatter_writes_into_a_variable_what_is_new_alone():
    """Where the old value is not needed any more: no second memory, and no copy."""
    rows, places = gx.placeholder("rows", (2, 3), "float64"), gx.placeholder("places", (2,), "int64")
    start, new, where = RNG.standard_normal((50, 3)), RNG.standard_normal((2, 3)), np.array([7, -1])

    def changed(how, v, rows):
        after = v.copy()
        for row, place in zip(rows, where, strict=True):
            after[place] = row if how == "set" else after[place] + row
        return after

    def run(update, *outputs):
        v = gx.variable(start, "v")
        f = gx.compile([rows, places], [y(v) for y in outputs], updates={v: update(v)})
        return f, v, f(new, where)

    set_rows, add_rows = (lambda v: v.at[places].set(rows)), (lambda v: v.at[places].add(rows))
    for how, update in (("set", set_rows), ("add", add_rows)):
        after = changed(how, start, new)
        f, v, (total,) = run(update, lambda v, update=update: gx.sum(update(v)))
        assert f.memory.variables == start.nbytes
        np.testing.assert_array_equal(v.value, after)
        np.testing.assert_allclose(total, after.sum())
        f, v, (total, old) = run(update, lambda v, update=update: gx.sum(update(v)), lambda v: gx.sum(gx.exp(v), axis=0))
        np.testing.assert_array_equal(v.value, after)
        np.testing.assert_allclose(old, np.exp(start).sum(0))
    f, v, _ = run(lambda v: v.at[places].set(v[places + 1] * rows))  # what is written is read from what is written over
    np.testing.assert_array_equal(v.value, changed("set", start, start[where + 1] * new))
    f, v, _ = run(lambda v: (v * 2).at[places].set(rows))
    np.testing.assert_array_equal(v.value, changed("set", start * 2, new))
    f, v, (shown,) = run(set_rows, lambda v: v)  # the old value is a result
    np.testing.assert_array_equal(shown, start)
    np.testing.assert_array_equal(v.value, changed("set", start, new))


def test_a_loop_scatters_into_what_it_carries():
    x, places = gx.placeholder("x", (30, 2), "float64"), gx.placeholder("places", ("n",), "int64")
    step = lambda c, i: ((c[0].at[i].set(c[1] * 2), c[1] + c[0][i]), c[1])
    (last, total), ys = gx.scan(step, (x, gx.ones((2,), "float64")), places)
    f, slow = (gx.compile([x, places], [last, total, ys], backend=backend) for backend in ("llvm", "interpreter"))
    a, where = RNG.standard_normal((30, 2)), np.array([4, 0, -1, 4, 29])
    for got, want in zip(f(a, where), slow(a, where), strict=True):
        np.testing.assert_array_equal(got, want)


def test_variables_change_places_under_many_threads():
    v, w = (gx.variable(np.arange(100.0), name) for name in "vw")
    programs = [gx.compile([], v - w, updates={a: gx.flip(v), b: gx.flip(w)}) for a, b in ((v, w), (w, v))]
    read = gx.compile([], v - w)
    bad = []

    def run(call):
        for _ in range(300):
            if np.any(call()):
                bad.append(call)

    threads = [threading.Thread(target=run, args=(call,)) for call in (*programs, read, *programs, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not bad
    np.testing.assert_array_equal(v.value, np.arange(100.0))
    np.testing.assert_array_equal(w.value, np.arange(100.0))


def test_an_update_waits_for_every_reader_of_the_old_value():
    w = gx.variable(RNG.standard_normal((40, 40)), "w")
    x = gx.placeholder("x", (40, 40), "float64")
    new = w - 0.5 * (x @ w)
    f = gx.compile([x], [w @ w, gx.sum(w, axis=0), new.T], updates={w: new})
    before, a = w.value, RNG.standard_normal((40, 40))
    square, columns, transposed = f(a)
    after = before - 0.5 * (a @ before)
    close(square, before @ before, 40, "float64")
    close(columns, before.sum(0), 40, "float64")
    close(transposed, after.T, 40, "float64")
    close(w.value, after, 40, "float64")


def test_the_arena_is_smaller_than_its_buffers():
    x = gx.placeholder("x", ("n", "n"), "float64")
    y = x
    for _ in range(6):
        y = y @ y
    f = gx.compile([x], y)
    temporary = [b for b in f.program.buffers.values() if b.role == "temporary"]
    assert len(temporary) == 5 and len(f.program.slots) == 2
    a = RNG.standard_normal((20, 20)) / 10
    w = a
    for _ in range(6):
        w = w @ w
    np.testing.assert_allclose(f(a), w, rtol=1e-9, atol=1e-12)


def test_outputs_are_not_reused_while_somebody_holds_them():
    x = gx.placeholder("x", (4,), "float64")
    f = gx.compile([x], x + 1)
    first = f(np.zeros(4))
    part = f(np.ones(4))[1:]
    f(np.full(4, 7.0))
    np.testing.assert_array_equal(first, np.ones(4))
    np.testing.assert_array_equal(part, np.full(3, 2.0))


def test_two_results_serve_a_caller_who_holds_the_last():
    x = gx.placeholder("x", ("n",), "float64")
    f = gx.compile([x], [x + 1, x * 2])
    a, seen = np.arange(5.0), set()
    for i in range(20):
        held = f(a + i)
        np.testing.assert_array_equal(held, [a + i + 1, (a + i) * 2])
        seen |= {y.ctypes.data for y in held}
    assert len(seen) == 4 or by_ctypes()  # there, NumPy makes every result anew
    np.testing.assert_array_equal(f(f(held[0])[0])[1], (held[0] + 1) * 2)


@pytest.mark.parametrize("change", [
    lambda y: setattr(y, "shape", (2, 2)), lambda y: setattr(y, "dtype", np.int64), lambda y: setattr(y, "strides", (0,)),
    lambda y: setattr(y.flags, "writeable", False),
])  # fmt: skip
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_result_that_was_changed_in_place_is_not_used_again(change):
    x = gx.placeholder("x", (4,), "float64")
    f = gx.compile([x], x + 1)
    for i in range(4):
        y = f(np.full(4, float(i)))
        assert y.shape == (4,) and y.dtype == np.float64 and y.strides == (8,)
        np.testing.assert_array_equal(y, np.full(4, i + 1.0))
        change(y)
        del y


def test_arguments_unlike_the_last_ones_are_checked_again():
    x, y = gx.placeholder("x", ("n", 3)), gx.placeholder("y", ("n",))
    f = gx.compile([x, y], x * gx.expand_dims(y, 1))
    a, b = np.arange(24, dtype="f4").reshape(8, 3), np.arange(8, dtype="f4")
    wanted = a * b[:, None]
    grown = np.concatenate([a, a], axis=1)
    grown[:, ::2] = a
    same = [
        (a, b), (a.tolist(), b), (a.astype("f2"), b), (np.asfortranarray(a), b), (grown[:, ::2], b), (a, b[::-1][::-1]),
        (a.view(np.recarray), b), (np.frombuffer(b"x" + a.tobytes(), "f4", offset=1).reshape(8, 3), b),
    ]  # fmt: skip
    for first, second in same:
        f(a[:2], b[:2])
        f(a, b)
        np.testing.assert_array_equal(f(first, second), wanted)
        np.testing.assert_array_equal(f(x=first, y=second), wanted)
    wide, foreign = a.astype("f8"), a.astype(">f4")
    for wrong in [(a,), (a, b, b), (a[:2], b), (b, a), (wide, b), (a[0], b), (a, None), (foreign, b), (a[:, :2], b)]:
        with pytest.raises(gx.GraphError):
            f(*wrong)
    np.testing.assert_array_equal(f(a, b), wanted)
    assert f(a[:0], b[:0]).shape == (0, 3)


def test_an_argument_is_not_kept():
    x = gx.placeholder("x", (3,), "float64")
    f = gx.compile([x], x + 1)
    a = np.zeros(3)
    before = sys.getrefcount(a)
    f(a)
    assert sys.getrefcount(a) == before


def test_an_interrupt_in_a_long_call_comes_after_it():
    """Ctrl-C is seen when the call has ended: its updates are whole, and later calls are as before."""
    program = """
import os, signal, threading, numpy as np, graphc as gx
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job is born deaf to it
x = gx.placeholder("x", (900, 900))
n = gx.variable(np.zeros((900, 900), "f4"), "n")
f = gx.compile([x], gx.sum(x @ x @ x @ x), updates={n: n + 1})
a = np.eye(900, dtype="f4")
f(a)
for i in range(5):
    timer = threading.Timer(0.02 + 0.013 * i, os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        while True:
            f(a)
    except KeyboardInterrupt:
        pass
    done = n.value
    assert (done == done[0, 0]).all()
    assert f(a) == 900 and (n.value == done + 1).all()
print("sound")
"""
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=300, cwd=ROOT)
    assert (found.stdout, found.stderr) == ("sound\n", "")


@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8])
def test_every_tile_is_done_once(threads):
    """Threads claim tiles from both ends; a variable that is changed in place counts how often."""
    gx.set_num_threads(threads)
    for rows in (1, 2, 3, 7, 300):
        counter = gx.variable(np.zeros((rows, 300_000 // min(rows, 7)), "float32"))
        step = gx.compile([], [], updates={counter: counter + 1})
        for _ in range(20):
            step()
        np.testing.assert_array_equal(counter.value, 20)


def test_many_threads_call_one_compiled_object():
    x = gx.placeholder("x", ("n", 64))
    f = gx.compile([x], gx.sum(x @ x.T, axis=1))
    inputs = [RNG.standard_normal((n, 64)).astype("f4") for n in (3, 50, 200, 400)]
    wanted = [f(a).copy() for a in inputs]
    wrong = []

    def work(i):
        for _ in range(30):
            if not np.array_equal(f(inputs[i]), wanted[i]):
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
def test_a_forked_child_computes():
    gx.set_num_threads(2)
    x = gx.placeholder("x", ("n",))
    f = gx.compile([x], x * 2 + 1)
    a = np.ones(3_000_000, "f4")
    f(a)
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(f(a), np.full_like(a, 3)) else 1)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("name", "x0 y0 v0 t0 s0 i j n m k r t A tile udiv load0 lo range d0 kc p".split())
def test_any_name_of_a_dimension_will_do(name):
    x = gx.placeholder("x", (name, 5), "float64")
    f = gx.compile([x], [gx.exp(x) * 2, gx.sum(x, axis=0), gx.sum(x), x.T @ x, gx.reshape(x, (-1,))[1:], gx.mean(x, axis=1)])
    a = RNG.standard_normal((7, 5))
    wanted = [np.exp(a) * 2, a.sum(0), a.sum(), a.T @ a, a.reshape(-1)[1:], a.mean(1)]
    for found, want in zip(f(a), wanted, strict=True):
        np.testing.assert_allclose(found, want, rtol=1e-12, atol=1e-12)


def test_memory_does_not_grow_with_the_number_of_sizes():
    x = gx.placeholder("x", ("n",))
    f = gx.compile([x], gx.sum(x * 2) + x)
    for n in range(1, 200):
        f(np.ones(n, "f4"))
    assert len(f._executable._bindings) <= 64


def test_a_system_without_semaphores_is_told_that_one_thread_runs(monkeypatch):
    from graphc.backends.llvm import pool

    def refuse(workers):
        raise OSError("this system has no unnamed semaphores")

    x = gx.placeholder("x", ("n",))
    f = gx.compile([x], x * 2)
    a = np.ones(3_000_000, "f4")
    gx.set_num_threads(1)
    f(a)
    monkeypatch.setattr(pool, "Pool", refuse)
    monkeypatch.setattr(pool, "_refused", [])
    monkeypatch.setattr(pool, "_current", [])
    gx.set_num_threads(2)
    with pytest.warns(gx.errors.GraphWarning, match="native programs run on one thread: this system has no unnamed semaphores"):
        f(a)
    np.testing.assert_array_equal(f(a), a * 2)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_reductions_larger_than_a_block(rank):
    """Every set of axes, at sizes beyond the blocks, tiles and chunks that reductions are cut into."""
    x = gx.placeholder("x", ("a", "b", "c")[:rank], "float64")
    sets = [tuple(a for a in range(rank) if bits >> a & 1) for bits in range(1, 2**rank)]
    outputs = []
    for axes in sets:
        outputs += [gx.sum(x, axis=axes), gx.max(x, axis=axes), gx.prod(1 + x / 1e4, axis=axes), gx.any(x > 3.5, axis=axes)]
        outputs.append(gx.sum(gx.exp(x - gx.max(x, axis=axes, keepdims=True)) * x, axis=axes))
    arg = [gx.argmin(x, axis=axis) for axis in range(rank)]
    f = gx.compile([x], outputs + arg)
    shapes = {1: [(20_000,), (257,)], 2: [(300, 700), (9000, 3), (3, 9000), (129, 1)], 3: [(3, 300, 130), (257, 2, 40)]}
    for shape in shapes[rank]:
        a = RNG.standard_normal(shape)
        wanted = []
        for axes in sets:
            off = np.exp(a - a.max(axis=axes, keepdims=True)) * a
            wanted += [a.sum(axes), a.max(axes), (1 + a / 1e4).prod(axes), (a > 3.5).any(axes), off.sum(axes)]
        wanted += [a.argmin(axis) for axis in range(rank)]
        for found, want in zip(f(a), wanted, strict=True):
            np.testing.assert_allclose(found, want, rtol=1e-11, atol=1e-9)


def test_an_infinite_sum_with_products_that_overflow_is_infinite_or_nan():
    """Which of both depends on the order, and on whether a product is rounded before it is added; it is never a number."""
    x = gx.placeholder("x", ("n", "n"))
    a = np.full((40, 40), -2.0, "f4")
    a[0, 0], a[0, 1] = np.inf, 3e38
    found = gx.compile([x], x @ x)(a)
    assert not np.isfinite(found[0]).any() and found[0, 0] != -np.inf and np.isfinite(found[1:, 2:]).all()
