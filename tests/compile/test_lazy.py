"""Programs that answer at once: what answers, the switch, its bits, state, errors, and who waits for nothing."""

from __future__ import annotations

import copy
import gc
import threading
import weakref

import numpy as np
import pytest

import graphc as gx
from graphc.compile.lazy import Lazy
from graphc.errors import GraphError, InputError

X = np.linspace(-2, 2, 12, dtype="float32").reshape(3, 4)


class Gate:
    """A pass that waits, and may refuse: what comes before the switch, and what after, is not a matter of luck."""

    __name__ = "gate"

    def __init__(self, error: Exception | None = None) -> None:
        self.opened, self.error = threading.Event(), error

    def __call__(self, graph: gx.ir.Graph) -> gx.ir.Graph:
        assert self.opened.wait(300)
        if self.error:
            raise self.error
        return graph

    def compile(self, *args, **options):
        return gx.compile(*args, passes=(self, *gx.passes.DEFAULT), lazy=True, **options)

    def open(self, f: gx.Compiled) -> None:
        """Have native code: the next call finds it."""
        self.opened.set()
        f._thread.join(300)


def test_the_interpreter_answers_until_native_code_is_there():
    gate, x = Gate(), gx.placeholder("x", ("n", 4), "float32")
    outputs = [gx.sum(gx.exp(x), axis=1), x + 1]
    f = gate.compile([x], outputs, name="two")
    before = f(X)
    assert f.answers == "interpreter" and type(f) is Lazy and "being compiled" in repr(f) and f.backend == "llvm"
    gate.open(f)
    assert f.answers == "llvm"
    after = f(x=X)
    assert type(f) is gx.Compiled and f.kernels and repr(f) == repr(gx.compile([x], outputs, name="two"))
    assert np.allclose(before[0], after[0], rtol=1e-6) and before[1].tobytes() == after[1].tobytes()


def test_what_is_exact_has_the_same_bits_before_and_after():
    gate, x = Gate(), gx.placeholder("x", ("n", 4), "float32")
    k = gx.random.key(7)
    exact = [
        gx.sqrt(gx.abs(x)) / (x * x - 3), gx.where(x > 0, x, -x) * 0.1, gx.sum(gx.astype(x * 100, "int32"), axis=0),
        gx.random.bits(k, (5,)), gx.sort(x, axis=1), gx.argmax(x, axis=1), gx.floor(x) // 2,
    ]  # fmt: skip
    f = gate.compile([x], exact)
    special = np.array([[np.nan, np.inf, -0.0, 1e-40]], "float32")
    before = [f(X), f(special)]
    gate.open(f)
    for made, native in zip(before, [f(X), f(special)], strict=True):
        assert [bits(a) for a in made] == [bits(a) for a in native]
    assert type(f) is gx.Compiled


def bits(a: np.ndarray) -> bytes:
    """The bytes of an array; one NaN is as another."""
    return (np.where(np.isnan(a), np.float32("nan"), a) if a.dtype.kind == "f" else a).tobytes()


def test_updates_and_random_streams_go_on_across_the_switch():
    def program(compile):
        count = gx.variable(np.int64(0), name="count")
        w = gx.variable(np.ones(4, "float32"), name="w")
        x = gx.placeholder("x", ("n", 4), "float32")
        draws = gx.random.bits(gx.random.fold_in(gx.random.key(3), count), (3,))
        return compile([x], [draws, w * 2], updates={count: count + 1, w: w * 0.5 + x[0]})

    gate = Gate()
    f, want = program(gate.compile), program(gx.compile)
    for call in range(6):
        if call == 3:
            gate.open(f)
        assert f.answers == ("interpreter" if call < 3 else "llvm")
        assert [a.tobytes() for a in f(X)] == [a.tobytes() for a in want(X)]
    assert f.variables["count"].value == 6 and f.variables["w"].value.tobytes() == want.variables["w"].value.tobytes()


def test_results_go_into_given_arrays_before_and_after():
    gate, x = Gate(), gx.placeholder("x", ("n", 4), "float32")
    f, place = gate.compile([x], x * 2), np.empty((3, 4), "float32")
    assert f(X, out=place) is place and place.tolist() == (X * 2).tolist()
    gate.open(f)
    place[:] = 0
    for _ in range(2):
        assert f(X, out=place) is place and place.tolist() == (X * 2).tolist() and f.answers == "llvm"


def test_what_is_asked_about_the_program_waits_for_it():
    x = gx.placeholder("x", ("n",), "float32")
    f, g = gx.compile([x], gx.exp(x) + 1, lazy=True), gx.compile([x], gx.exp(x) + 1)
    assert str(f.program) == str(g.program) and type(f) is gx.Compiled
    h = gx.compile([x], gx.exp(x) + 1, lazy=True)
    assert h.wait() is h and h.wait().answers == "llvm" and str(h.graph) == str(g.graph)
    assert copy.copy(h) is h and g.wait() is g


def test_an_error_of_compiling_comes_with_the_next_call():
    gate, x = Gate(GraphError("no such luck")), gx.placeholder("x", ("n",), "float32")
    f = gate.compile([x], x + 1)
    assert f([1.0]).tolist() == [2.0]
    gate.open(f)
    for ask in (lambda: f([1.0]), f.wait, lambda: f.program):
        with pytest.raises(GraphError, match="no such luck"):
            ask()


def test_errors_of_arguments_are_those_of_every_program():
    gate, x = Gate(), gx.placeholder("x", ("n", 4), "float32")
    f, g = gate.compile([x], x + 1), gx.compile([x], x + 1)
    for wrong in (lambda f: f(np.zeros((2, 3), "float32")), lambda f: f(), lambda f: f(y=X)):
        with pytest.raises(InputError.__mro__[1]) as there:
            wrong(g)
        with pytest.raises(InputError.__mro__[1]) as here:
            wrong(f)
        assert here.value.message == there.value.message
    with pytest.raises(InputError, match="lazy must be True or False"):
        gx.compile([x], x, lazy="yes")
    gate.open(f)


def test_backends_without_native_code_have_nothing_to_wait_for():
    x = gx.placeholder("x", ("n",), "float32")
    f = gx.compile([x], x + 1, lazy=True, backend="interpreter")
    assert type(f) is gx.Compiled and f.answers == "interpreter" and f.wait() is f


def test_a_program_that_nobody_has_any_longer_is_not_compiled():
    gate, x = Gate(), gx.placeholder("x", ("n",), "float32")
    f = gate.compile([x], x + 1)
    thread, gone = f._thread, weakref.ref(f)
    del f
    gc.collect()
    assert gone() is None
    gate.opened.set()
    thread.join(300)
    assert not thread.is_alive()


def test_many_threads_see_one_switch():
    gate, x = Gate(), gx.placeholder("x", ("n", 4), "float32")
    count = gx.variable(np.int64(0))
    f = gate.compile([x], x * 2, updates={count: count + 1})
    wrong = []

    def work():
        for _ in range(20):
            if f(X).tobytes() != (X * 2).tobytes():
                wrong.append(f.answers)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    gate.opened.set()
    for t in threads:
        t.join()
    f.wait()
    assert not wrong and count.value == 80 and type(f) is gx.Compiled
