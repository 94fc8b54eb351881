"""Calls: those that read Python's and NumPy's objects in place, and those by ctypes and public attributes, are alike."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import sysconfig
import weakref

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm import calls, runtime, stopwatch
from graphc.backends.llvm.executor import Context, PublicContext


@pytest.fixture(params=["", "ctypes"])
def way(request, monkeypatch):
    monkeypatch.setenv("GRAPHC_CALLS", request.param)
    return request.param


def _sum_and_double(dtype="float32"):
    x, y = gx.placeholder("x", ("n", "m"), dtype), gx.placeholder("y", ("m",), dtype)
    return gx.compile([x, y], [x + y, gx.sum(x), y * 2])


def test_the_way_is_the_one_that_is_asked_for(way):
    f = _sum_and_double()
    f(np.ones((2, 3), "f4"), np.ones(3, "f4"))
    (binding,) = f._executable._bindings.values()
    direct = not way and not calls.unreadable()
    assert type(binding.free[0]) is (Context if direct else PublicContext)
    assert binding.free[0].entry == ("call" if direct else "call_at")


def test_results_are_right_whatever_the_arrays_are_like(way):
    f = _sum_and_double()
    whole, row = np.arange(24, dtype="f4").reshape(4, 6), np.arange(6, dtype="f4")
    for x, y in (
        (whole, row),
        (np.asfortranarray(whole), row),
        (whole[:, ::2], row[::2]),
        (whole[::-1], row[::-1]),
        (whole[:0], row),
        (whole[:, :1], row[:1]),
        (whole.tolist(), row),
        (np.frombuffer(b"\0" + whole.tobytes(), "f4", offset=1).reshape(4, 6), row),  # not aligned
        (whole.view(np.ma.MaskedArray), row),
    ):
        for _ in range(3):  # the second and third calls find what the first one bound
            added, total, twice = f(x, y)
            np.testing.assert_array_equal(added, np.asarray(x) + y)
            assert total == np.sum(np.asarray(x), dtype="f8") and total.shape == ()
            np.testing.assert_array_equal(twice, y * 2)


def test_arguments_are_kept_as_they_were(way):
    f = _sum_and_double()
    x, y = np.ones((2, 3), "f4"), np.ones(3, "f4")
    for a in (x, y):
        a.flags.writeable = False
    f(x, y)
    before = [sys.getrefcount(a) for a in (x, y)]
    for _ in range(5):
        results = f(x, y)
        assert all(r.flags.writeable and r.flags.c_contiguous and r.base is None for r in results)
    assert [sys.getrefcount(a) for a in (x, y)] == before
    assert (x == 1).all() and (y == 1).all() and not x.flags.writeable


def test_results_are_new_arrays_as_long_as_anybody_has_them(way):
    f = _sum_and_double()
    x = np.ones((2, 3), "f4")
    held = [f(x * i, np.zeros(3, "f4"))[0] for i in range(6)]
    assert [a[0, 0] for a in held] == list(range(6))
    views = [f(x * i, np.zeros(3, "f4"))[0].T for i in range(6)]
    gc.collect()
    assert [a[0, 0] for a in views] == list(range(6))


def test_variables_and_errors(way):
    v = gx.variable(np.zeros(3, "f4"), "v")
    x = gx.placeholder("x", (3,))
    fails = [False]

    def routine(a):
        if fails[0]:
            raise ValueError("no")
        return a + 1

    op = gx.extend.host("t_calls", routine, infer=lambda a: a)
    try:
        f = gx.compile([x], op(v), updates={v: op(v) + x})
        one = np.ones(3, "f4")
        assert [f(one)[0] for _ in range(3)] == [1, 3, 5] and v.value[0] == 6
        fails[0] = True
        with pytest.raises(gx.GraphError, match="no"):
            f(one)
        fails[0] = False
        assert v.value[0] == 6 and f(one)[0] == 7
    finally:
        gx.extend.forget(op)


def test_threads_and_loops(way):
    x = gx.placeholder("x", ("n", 300))
    f = gx.compile([x], [gx.nn.softmax(x @ gx.ones((300, 300), "float32")), gx.cumulative_sum(x, axis=0)])
    given = np.random.default_rng(0).standard_normal((700, 300)).astype("f4")
    before = gx.get_num_threads()
    try:
        made = []
        for threads in (1, 2):
            gx.set_num_threads(threads)
            made.append([a.tobytes() for _ in range(2) for a in f(given)])
    finally:
        gx.set_num_threads(before)
    assert made[0] == made[1] and made[0][:2] == made[0][2:]
    assert [row.kernel for row in f.profile(given).rows] == [call.kernel.name for call in f.program.calls]


def test_what_is_timed_writes_into_results_that_somebody_holds(way, monkeypatch):
    made = []

    def remembered(run):
        def wrapped(self, arguments):
            results = run(self, arguments)
            made.extend(map(weakref.ref, results))
            return results

        return wrapped

    def each(*given):
        assert len(made) == 3 and all(result() is not None for result in made)
        return timed(*given)

    timed = stopwatch._each
    monkeypatch.setattr(stopwatch, "_each", each)
    for kind in (Context, PublicContext):
        monkeypatch.setattr(kind, "run", remembered(kind.run))
    assert _sum_and_double().profile(np.ones((2, 3), "f4"), np.ones(3, "f4")).rows


def test_objects_that_lie_otherwise_are_not_read(monkeypatch):
    assert calls._as_expected() or calls.unreadable()
    for name in ("TUPLE_ITEMS", "LIST_ITEMS", "ARRAY_DATA", "ARRAY_RANK", "ARRAY_DTYPE", "SIZE"):
        with monkeypatch.context() as patch:
            patch.setattr(runtime, name, 1)
            assert not calls._as_expected(), name
    find = calls.unreadable.__wrapped__
    with monkeypatch.context() as patch:
        patch.setattr(sysconfig, "get_config_var", lambda name: name == "Py_GIL_DISABLED")
        patch.setattr(sys, "version_info", (3, 13))
        assert find() == "this Python has no GIL: objects lie in memory otherwise"
    with monkeypatch.context() as patch:
        patch.setattr(sys.implementation, "name", "pypy")
        assert find() == "objects of pypy do not lie in memory as CPython's"
    monkeypatch.setattr(calls, "_as_expected", lambda: False)
    assert find() == "this Python or NumPy keeps arrays in another way than those that are known"
    monkeypatch.delenv("GRAPHC_CALLS", raising=False)
    monkeypatch.setattr(calls, "unreadable", find)
    f = gx.compile([x := gx.placeholder("x", ("n",))], x + 1)
    assert f._executable.context is PublicContext and f([1.0]) == [2.0]


def said(more):
    """What `doctor` says of calls, in a process with more in its environment."""
    code = "from graphc.doctor import _calls; print(_calls())"
    given = {**{k: v for k, v in os.environ.items() if k != "GRAPHC_CALLS"}, **more}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=given).stdout.strip()


def test_doctor_says_how_calls_go():
    slower = "by ctypes, some microseconds slower: "
    assert said({"GRAPHC_CALLS": "ctypes"}) == slower + "GRAPHC_CALLS=ctypes"
    why = calls.unreadable()
    assert said({}) == (slower + why if why else "native code reads Python's and NumPy's objects in place")
