"""More threads than processors: the same bits, whoever takes part, and no more at work than there are processors."""

from __future__ import annotations

import time

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm import runtime
from graphc.backends.llvm.pool import Pool, pool
from graphc.backends.threads import available, quota
from graphc.ir.program import Steps

RNG = np.random.default_rng(3)
STEPS, ROWS, WIDTH = 6, 400, 96


@pytest.fixture(autouse=True)
def threads_as_before():
    before = gx.get_num_threads()
    yield
    gx.set_num_threads(before)


def pool_of(threads: int, at_once: int | None = None) -> Pool:
    """The pool of so many threads, in which so many workers may be at work at once, with or without processors."""
    gx.set_num_threads(threads)
    made = pool()
    assert made is not None and len(made.threads) == threads - 1
    made.state[runtime.AT_ONCE] = min(threads - 1, available() - 1) if at_once is None else at_once
    return made


@pytest.fixture(scope="module")
def program():
    """A product, rows, elementwise code, sums, gradients, a variable that changes, and a scan whose steps threads share."""
    xs = gx.placeholder("xs", ("steps", "rows", WIDTH))
    first = RNG.standard_normal((WIDTH, WIDTH)).astype("f4") / 10
    w = gx.variable(first, "w")

    def descends(carry, x):
        error = gx.tanh(x @ carry) - x
        return carry - 0.01 * (x.T @ error), gx.sum(error * error)

    last, errors = gx.scan(descends, w, xs)
    flat = gx.reshape(xs, (-1, WIDTH))
    chances = gx.nn.softmax(flat @ last)
    loss = gx.mean(gx.square(chances)) + gx.sum(errors) / 1e6
    f = gx.compile([xs], [chances, gx.exp(-flat * flat), gx.sum(flat, axis=0), loss], updates={w: last - gx.grad(loss, w)})
    assert any(isinstance(k.kernel, Steps) for k in f.kernels)
    given = RNG.standard_normal((STEPS, ROWS, WIDTH)).astype("f4")

    def run() -> list[bytes]:
        w.value = first
        return [y.tobytes() for y in (*f(given), *f(given), w.value)]

    gx.set_num_threads(1)
    return run, run()


@pytest.mark.parametrize(("threads", "at_once", "calls"), [(2, None, 10), (3, 2, 5), (16, None, 10), (16, 15, 5), (16, 4, 5)])
def test_bits_are_those_of_one_thread(program, threads, at_once, calls):
    run, wanted = program
    pool_of(threads, at_once)
    for _ in range(calls):
        assert run() == wanted


@pytest.mark.parametrize("at_once", [None, 15])
def test_tiles_are_done_once_by_whoever_is_awake(at_once):
    """Calls after rests of many lengths: workers sleep, are being woken, or watch."""
    made = pool_of(16, at_once)
    counter = gx.variable(np.zeros((64, 20_000), "f4"))
    count = gx.compile([], [], updates={counter: counter + 1})
    for i in range(60):
        count()
        time.sleep((0, 0, 1e-5, 1e-4, 1e-3)[i % 5])
    np.testing.assert_array_equal(counter.value, 60)
    assert made.state[runtime.SEATS] == made.state[runtime.INSIDE] == made.state[runtime.BUSY] == 0


@pytest.mark.skipif(available() < 2, reason="one processor: no worker is ever woken")
def test_workers_without_a_processor_sleep():
    made = pool_of(16)
    assert made.state[runtime.WORKERS] == 15
    x = gx.placeholder("x", ("n",))
    f, a = gx.compile([x], gx.tanh(x) * 2), np.ones(2_000_000, "f4")
    seen, end = [], time.monotonic() + 20
    while time.monotonic() < end and seen[-3:] != [available() - 1] * 3:
        for _ in range(20):
            f(a)
        seen.append(int(made.state[runtime.WORKERS] - made.state[runtime.ASLEEP]))
    assert seen[-3:] == [min(15, available() - 1)] * 3, seen


def test_no_more_workers_are_woken_than_a_job_has_tiles_for():
    made = pool_of(16, 15)
    x = gx.placeholder("x", ("n",))
    f = gx.compile([x], gx.tanh(x) * 2)
    given = np.ones(12_000, "f4")
    f(given)
    ((row,),) = (binding.rows for binding in f._executable._bindings.values())
    assert 1 < row.tiles < 8
    end = time.monotonic() + 20
    while made.state[runtime.ASLEEP] < 15:
        assert time.monotonic() < end
        time.sleep(0.001)
    f(given)
    assert made.state[runtime.ASLEEP] >= 15 - (row.tiles - 1)


def test_processors_of_a_control_group(tmp_path):
    """The least of a group's quota and of those around it; version 1 and files that are not there say nothing."""
    own = tmp_path / "self"
    inner = tmp_path / "outer" / "inner"
    inner.mkdir(parents=True)
    own.write_text("0::/outer/inner\n")
    assert quota(own, tmp_path) == np.inf
    (inner / "cpu.max").write_text("max 100000\n")
    assert quota(own, tmp_path) == np.inf
    (tmp_path / "outer" / "cpu.max").write_text("250000 100000\n")
    assert quota(own, tmp_path) == 2.5
    (inner / "cpu.max").write_text("50000 100000\n")
    assert quota(own, tmp_path) == 0.5
    own.write_text("0::/\n")
    assert quota(own, tmp_path) == np.inf
    (tmp_path / "cpu.max").write_text("400000 100000")  # a container's own group is the root it sees
    assert quota(own, tmp_path) == 4
    own.write_text("4:cpu:/outer/inner\n")
    assert quota(own, tmp_path) == np.inf
    assert quota(tmp_path / "none", tmp_path) == np.inf


@pytest.mark.parametrize(("share", "threads"), [(np.inf, 6), (2.5, 2), (0.5, 1), (64, 6)])
def test_available_processors(monkeypatch, share, threads):
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(6)), raising=False)
    monkeypatch.setattr("graphc.backends.threads.quota", lambda: share)
    assert available() == threads
