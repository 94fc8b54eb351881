"""Scans whose steps are programs of their own: the same bits as steps within one kernel, on any number of threads."""

import numpy as np
import pytest

import graphc as gx
from graphc.ir.program import Steps
from graphc.passes.lowering import steps

N = 24


@pytest.fixture(params=[1, 2, 5])
def threads(request):
    before = gx.get_num_threads()
    gx.set_num_threads(request.param)
    yield request.param
    gx.set_num_threads(before)


def compiled_both_ways(monkeypatch, inputs, outputs, updates=None):
    """The program with steps as programs, the one with steps as statements, and the interpreter's."""
    made = []
    for least in (0, np.inf):
        monkeypatch.setattr(steps, "LONG", least)
        made.append(gx.compile(inputs, outputs, updates=updates))
    assert [any(isinstance(k.kernel, Steps) for k in f.kernels) for f in made] == [True, False]
    return *made, gx.compile(inputs, outputs, updates=updates, backend="interpreter")


def same_bits(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


# Each: (carries, slice) -> new carries, results of the step. None makes errors of its carries larger: tanh(a @ b), without the
# division by N, doubles them, and after 8 steps half a unit in the last place of the first carries is 3e-4.


def descends(carry, x):
    (w,) = carry
    error = gx.tanh(x @ w) - x
    return (w - 0.05 * (gx.transpose(x) @ error),), gx.sum(error * error)


def reads_after_it_writes(carry, x):
    a, b = carry
    new = a @ b / N + x[:N]
    return (new, b / 2 + gx.exp(-a * a) + new), gx.sum(a)  # both old values are read after the first new one is there


def carry_is_a_result(carry, x):
    a, b = carry
    new = gx.tanh(a @ b / N + x[:N])
    return (new, b), (new, new, b, a)


def swaps(carry, x):
    a, b = carry
    return (b, a), gx.sum(a @ x[:N], axis=0)


def rotates(carry, x):
    a, b, c = carry
    return (b, c, gx.sin(a @ x[:N])), gx.mean(c)


def one_value_twice(carry, x):
    a, b = carry
    new = gx.tanh(a @ b / N - x[:N])
    return (new, new), None


def only_one_changes(carry, x):
    a, b = carry
    return (gx.maximum(a, x[:N] @ b), b), x @ gx.astype(np.arange(N * 3).reshape(N, 3) / N, "float32")


CASES = [(descends, 1), (reads_after_it_writes, 2), (carry_is_a_result, 2), (swaps, 2), (rotates, 3), (one_value_twice, 2),
         (only_one_changes, 2)]  # fmt: skip


@pytest.mark.parametrize(("step", "count"), CASES, ids=[step.__name__ for step, _ in CASES])
@pytest.mark.parametrize("reverse", [False, True])
def test_bits_are_those_of_steps_in_one_kernel(monkeypatch, threads, step, count, reverse):
    xs = gx.placeholder("xs", ("steps", "rows", N), "float32")
    inits = [gx.placeholder(f"c{i}", (N, N), "float32") for i in range(count)]
    if step is not descends:
        xs = gx.placeholder("xs", ("steps", 2 * N, N), "float32")
    last, ys = gx.scan(step, tuple(inits), xs, reverse=reverse)
    outputs = [*last, *([] if ys is None else ys if isinstance(ys, tuple) else [ys])]
    fast, fused, slow = compiled_both_ways(monkeypatch, [xs, *inits], outputs)
    rng = np.random.default_rng(count)
    rows = 300 if step is descends else 2 * N
    for length in (0, 1, 2, 5, 8):
        given = [rng.normal(size=(length, rows, N)).astype("f") / 4, *(rng.normal(size=(N, N)).astype("f") for _ in inits)]
        kept = [a.copy() for a in given]
        got = fast(*given)
        same_bits(got, fused(*given))
        same_bits(given, kept)
        for a, b in zip(got, slow(*given), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)


def test_two_carries_begin_with_one_array(monkeypatch, threads):
    x = gx.placeholder("x", (N, N), "float32")
    last, _ = gx.scan(lambda c, _: ((c[0] @ c[1] / N, c[1] + c[0]), None), (x, x), length=5)
    fast, fused, _ = compiled_both_ways(monkeypatch, [x], [*last, x + 1])
    given = np.random.default_rng(0).normal(size=(N, N)).astype("f")
    same_bits(fast(given), fused(given))


@pytest.mark.parametrize("length", [0, 1, 4, 7])
def test_variables_are_written_in_place_when_all_have_read_them(monkeypatch, length):
    start = np.random.default_rng(0).normal(size=(3, N, N)).astype("f") / 4
    found = []
    for least in (0, np.inf):
        monkeypatch.setattr(steps, "LONG", least)
        a, b, c = (gx.variable(v, name=n) for v, n in zip(start, "abc", strict=True))
        x = gx.placeholder("x", (N, N), "float32")
        last, sums = gx.scan(lambda k, _: ((gx.tanh(k[0] @ k[1]), k[0], k[2] + 1), gx.sum(k[2])), (a, b, c), length=length)
        f = gx.compile([x], [sums, a @ x, gx.sum(b)], updates=dict(zip((a, b, c), last, strict=True)))
        results = [f(start[1]) for _ in range(3)]
        found.append([*(y for ys in results for y in ys), a.value, b.value, c.value])
    same_bits(*found)


def test_variables_need_no_second_memory_where_only_the_steps_read_them(monkeypatch):
    monkeypatch.setattr(steps, "LONG", 0)
    w = gx.variable(np.eye(N, dtype="f"), name="w")
    xs = gx.placeholder("xs", ("steps", "rows", N), "float32")
    last, losses = gx.scan(descends, (w,), xs)
    f = gx.compile([xs], losses, updates={w: last[0]})
    assert not f.program.updates
    assert [b.role for b in f.program.buffers.values()].count("next") == 0


@pytest.mark.parametrize("inner", [0, 1, 2, 3])
def test_steps_within_steps(monkeypatch, threads, inner):
    xs = gx.placeholder("xs", ("steps", "inner", N, N), "float32")
    init = gx.placeholder("init", (N, N), "float32")

    def one(carry, x):
        return gx.tanh(carry @ x), gx.sum(carry)

    def outer(carry, given):
        a, b = carry
        last, sums = gx.scan(one, a, given)
        return (b, last + a), (sums, last)

    last, ys = gx.scan(outer, (init, init * 2), xs)
    fast, fused, slow = compiled_both_ways(monkeypatch, [xs, init], [*last, *ys])
    assert sum(isinstance(k.kernel, Steps) for k in fast.kernels) == 2
    rng = np.random.default_rng(inner)
    for length in (0, 1, 4, 5):
        given = rng.normal(size=(length, inner, N, N)).astype("f") / 4, rng.normal(size=(N, N)).astype("f")
        same_bits(fast(*given), fused(*given))
        for a, b in zip(fast(*given), slow(*given), strict=True):
            np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-4)


def test_many_turns_while_other_threads_come_and_go(monkeypatch, threads):
    """Thousands of turns: a thread that was asleep meets rows that are turns ahead of it."""
    xs = gx.placeholder("xs", ("steps", 512), "float32")

    def one(carry, x):
        a, b = carry
        return (b * 0.5 + x, a + gx.roll(b, 1)), gx.sum(a)

    zeros = gx.zeros((512,), "float32")
    last, ys = gx.scan(one, (zeros, zeros), xs)
    monkeypatch.setattr("graphc.backends.llvm.executor.GRAIN", 100)  # so that there are tiles to share
    fast, fused, _ = compiled_both_ways(monkeypatch, [xs], [*last, ys])
    given = np.random.default_rng(0).normal(size=(3000, 512)).astype("f")
    want = fused(given)
    for _ in range(10):
        same_bits(fast(given), want)


def test_gradients_go_through(monkeypatch, threads):
    xs = gx.placeholder("xs", ("steps", "rows", N), "float32")
    w = gx.placeholder("w", (N, N), "float32")
    last, losses = gx.scan(descends, (w,), xs)
    fast, fused, slow = compiled_both_ways(monkeypatch, [xs, w], [gx.sum(losses), gx.grad(gx.sum(losses) + gx.sum(last[0]), w)])
    rng = np.random.default_rng(0)
    for length in (0, 3):
        given = rng.normal(size=(length, 40, N)).astype("f") / 4, rng.normal(size=(N, N)).astype("f") / 4
        same_bits(fast(*given), fused(*given))
        for a, b in zip(fast(*given), slow(*given), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3)


def test_long_steps_are_programs_and_short_ones_statements():
    def kernels(width):
        xs = gx.placeholder("xs", ("steps", "rows", width), "float32")
        w = gx.placeholder("w", (width, width), "float32")
        f = gx.compile([xs, w], gx.scan(descends, (w,), xs)[0])
        return [isinstance(k.kernel, Steps) for k in f.kernels]

    assert any(kernels(256)) and not any(kernels(8))


def test_what_is_told_about_steps(monkeypatch):
    monkeypatch.setattr(steps, "LONG", 0)
    xs = gx.placeholder("xs", ("steps", "rows", N), "float32")
    w = gx.placeholder("w", (N, N), "float32")
    f = gx.compile([xs, w], gx.scan(descends, (w,), xs)[1])
    (loop,) = [k for k in f.kernels if isinstance(k.kernel, Steps)]
    assert "steps steps (carries=1, sequences=1) {" in str(loop.kernel) and "program" in str(f.program)
    assert loop.source.startswith("# not a kernel") and "for step in range(steps):" in loop.source
    names = [k.name for k in f.kernels]
    assert len(set(names)) == len(names)
    row = next(row for row in f.profile(np.ones((4, 40, N), "f"), np.ones((N, N), "f")) if row.kernel == loop.name)
    assert row.flops >= 4 * 2 * (2 * 40 * N * N)
    assert f.memory.at(steps=4, rows=40).arena >= 40 * N * 4
    assert "digraph" in f.to_dot()


def test_long_steps_within_what_is_no_program(monkeypatch):
    """A map of loops with long steps is steps too; within a choice, and a loop whose end is data, they are statements."""
    z = gx.placeholder("z", ("t", 3), "float64")

    def last(start):
        return gx.scan(lambda c, row: (gx.tanh(c @ (gx.eye(3, dtype="float64") + 1)) + row, ()), start, z)[0]

    mapped = gx.scan(lambda _, row: ((), last(row)), (), z)[1]
    chosen = gx.cond(gx.sum(z) > 0, lambda: last(z[0]), lambda: z[0])
    repeated = gx.while_loop(lambda c: c[1] < 3, lambda c: (last(c[0]), c[1] + 1), (z[0], 0))[0]
    rows = np.arange(12.0).reshape(4, 3) / 10
    by_steps, by_statements, interpreter = compiled_both_ways(monkeypatch, [z], [mapped, chosen, repeated])
    assert [len(list(inner.programs)) for inner in list(by_steps.program.programs)[1:]] == [2, 1]
    same_bits(by_steps(rows), by_statements(rows))
    for got, want in zip(by_steps(rows), interpreter(rows), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
