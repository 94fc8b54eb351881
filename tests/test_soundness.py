"""Nothing leaks, nothing hangs, nothing changes: many calls, interrupts, forks, threads, and the same bits everywhere.

    python tests/test_soundness.py      how memory grows over 100,000 calls and 200 compilations (a minute)
"""

from __future__ import annotations

import gc
import itertools
import os
import queue
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT)]

import graphc as gx  # noqa: E402
from graphc import progress  # noqa: E402
from graphc.backends.llvm import cache, compile  # noqa: E402
from graphc.backends.llvm.objects import apart  # noqa: E402
from graphc.backends.llvm.pool import pool  # noqa: E402
from graphc.data.source import ahead  # noqa: E402
from graphc.ir.target import host  # noqa: E402
from graphc.ops import sorting  # noqa: E402

RNG = np.random.default_rng(3)
FORKS = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
MAPS = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="this system does not tell what a process has loaded")


def python(program: str, *arguments: str, **environment: str) -> str:
    """What a program prints in a process of its own; it must end well."""
    given = {**os.environ, "PYTHONPATH": str(ROOT), "GRAPHC_COMPILERS": "2", **environment}
    given["PYTHONWARNINGS"] = "ignore:This process:DeprecationWarning"  # which Python 3.12 says of every fork beside threads
    found = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=120, env=given)
    assert (found.returncode, found.stderr) == (0, ""), found.stderr
    return found.stdout


# --- leaks -------------------------------------------------------------------------------------------------------------


def step(width: int) -> gx.Compiled:
    """A step of training."""
    x, t = gx.placeholder("x", ("n", width)), gx.placeholder("t", ("n",), "int64")
    w = gx.variable(np.random.default_rng(0).normal(size=(width, 8)).astype("f4"), "w")
    b = gx.variable(np.zeros(8, "f4"), "b")
    loss = gx.nn.cross_entropy(gx.nn.relu(x @ w + b), t)
    return gx.compile([x, t], loss, updates=gx.optim.adam(loss, [w, b]))


def arguments(n: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    return RNG.normal(size=(n, width)).astype("f4"), RNG.integers(0, 8, n)


def resident() -> int:
    """Bytes of memory that the process has."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def living() -> int:
    """How many objects there are, but for sizes: sums and products of a few thousand are remembered."""
    gc.collect()
    return sum(not issubclass(type(x), (tuple, gx.ir.dims.Dim)) for x in gc.get_objects())  # a proxy may be dead


def after_calls(calls: int) -> int:
    """By how many bytes memory grows over calls, one in five with other sizes than the last."""
    f = step(16)
    given = [arguments(n, 16) for n in range(1, 100)]
    for i in range(600):
        f(*given[i % 99])
    before = resident()
    for i in range(calls):
        f(*given[i % 99 if i % 5 == 0 else 7])
    return resident() - before


def after_compilations(count: int) -> tuple[int, int]:
    """By how many bytes memory grows over compilations that are released, no two alike, and how many objects stay."""

    def one(width: int) -> weakref.ref:
        f = step(width)
        f(*arguments(3, width))
        return weakref.ref(f)

    for width in range(5, 15):
        one(width)
    before, objects = resident(), living()
    for width in range(20, 20 + count):
        released = one(width)
        if width % 10 == 0:
            gc.collect()
            assert released() is None
    return resident() - before, living() - objects


@MAPS
def test_calls_leave_no_memory_behind():
    assert after_calls(5_000) < 2_000_000


@MAPS
def test_compilations_leave_their_machine_code_alone_behind():
    """In a process of its own: what other tests left in this one's heap makes its growth differ by megabytes."""
    code = "import sys; sys.path[:0] = sys.argv[1:]; import test_soundness; print(*test_soundness.after_compilations(12))"
    here = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", code, str(here), str(here.parent)], capture_output=True, text=True, check=True
    )  # fmt: skip
    grown, objects = map(int, done.stdout.split())
    assert grown < 12 * 1_000_000
    assert objects < 12 * 20


def test_memory_of_sizes_that_left_is_free_at_once():
    from graphc.backends.llvm import executor

    x = gx.placeholder("x", ("n",))
    f = gx.compile([x], gx.sum(x * gx.sum(x)))
    f(np.ones(5, "f4"))
    (binding,) = f._executable._bindings.values()
    context, bound = weakref.ref(binding.free[0]), weakref.ref(binding)
    del binding
    gc.disable()
    try:
        for n in range(6, 7 + executor.MAX_BINDINGS):
            f(np.ones(n, "f4"))
        assert context() is None and bound() is None
    finally:
        gc.enable()


# --- interrupts --------------------------------------------------------------------------------------------------------

INTERRUPTED = """
import faulthandler, random, signal, sys, threading, time, numpy as np, graphc as gx
faulthandler.dump_traceback_later(100, exit=True)
sys.unraisablehook = lambda error: None  # an interrupt in a __del__ is lost: Python cannot raise there
random.seed(int(sys.argv[1]))
x = gx.placeholder("x", ("n", "n"))
count = gx.variable(np.zeros((50, 50), "f4"), "count")
other = gx.variable(np.zeros((50, 50), "f4"), "other")
writes = gx.compile([x], gx.sum(x), updates={count: count + 1, other: other + 1})
reads = gx.compile([x], [count + 0, gx.sum(x @ x)])
small, large = np.eye(4, dtype="f4"), np.eye(400, dtype="f4")
def called():
    writes(small), reads(small), writes(large), reads(large)
    seen = count.value
    other.value = seen
    compiled()
def compiled():
    gx.compile([x], gx.sum(x * random.random()))(small)
called()
signal.signal(signal.SIGALRM, signal.default_int_handler)  # what Ctrl-C does
end, interrupts = time.monotonic() + 6, 0
def until_interrupted():
    short = [lambda: writes(small), lambda: reads(small), lambda: count.value]
    run = random.choice([*short, *short, *short, lambda: reads(large), called, compiled, compiled, compiled])
    signal.setitimer(signal.ITIMER_REAL, (0.001 if run in short else 0.02) * (0.2 + random.random()), 0.5)
    while time.monotonic() < end:
        run()
    signal.setitimer(signal.ITIMER_REAL, 0)
while time.monotonic() < end and interrupts < 400:
    try:
        until_interrupted()  # a function: Python looks for signals where a loop jumps back, which may lie outside of a try
    except KeyboardInterrupt:
        signal.setitimer(signal.ITIMER_REAL, 0)
        interrupts += 1
signal.setitimer(signal.ITIMER_REAL, 0)
def check():
    found = count.value
    assert (found == found[0, 0]).all() and (reads(small)[0] == found).all()
    called()
    assert (count.value == found + 2).all()
    print("sound")
for target in (check, check):
    thread = threading.Thread(target=target, daemon=True)  # whatever is still locked is locked for another thread
    thread.start()
    thread.join(60)
check()
assert interrupts > 20, interrupts
"""


@pytest.mark.parametrize("seed", range(3))
def test_interrupts_leave_everything_sound(seed):
    assert python(INTERRUPTED, str(seed)) == "sound\n" * 3


def interrupted(run: Callable[[], object], number: int) -> bool:
    """Whether a run is interrupted where this thread begins the numbered line of Python's own modules for threads."""
    lines = itertools.count()

    def watch(frame, event, _):
        if event == "line" and frame.f_code.co_filename in (threading.__file__, queue.__file__) and next(lines) == number:
            raise KeyboardInterrupt
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        run()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return False


def whole_pool(threads: int) -> None:
    gx.set_num_threads(threads)
    workers = pool()
    assert workers is not None and len(workers.threads) == threads - 1


def shown() -> None:
    with progress.progress("a title", 1) as told:
        told.at("a step")


def batches() -> None:
    assert list(ahead(iter(range(5)), 2)) == [0, 1, 2, 3, 4]


def sorted_parts() -> None:
    parts = [RNG.normal(size=10) for _ in range(5)]
    sorting._sort_each(parts, 3)
    assert all((np.diff(part) >= 0).all() for part in parts)


@pytest.mark.parametrize("run", [
    lambda: apart(threading.get_ident), lambda: [whole_pool(n) for n in (3, 4, 2)], batches, shown, sorted_parts,
])  # fmt: skip
def test_an_interrupt_among_threads_is_an_interrupt(monkeypatch, run):
    """Python's Thread, Event and Queue raise "release unlocked lock", or stay locked, where one comes at the wrong moment."""
    monkeypatch.setattr(progress, "wanted", lambda: True)
    threads = gx.get_num_threads()
    try:
        number = 0
        while interrupted(run, number):
            run()
            number += 1
        assert number < 40, "the main thread is to run hardly any of them"
    finally:
        gx.set_num_threads(threads)


def test_no_thread_sorts_on_after_an_interrupt():
    other, begun, ended = threading.Semaphore(0), [], []

    class Part:
        def sort(self):
            if threading.current_thread() is threading.main_thread():
                other.acquire()
                raise KeyboardInterrupt
            begun.append(self)
            other.release()
            time.sleep(0.1)
            ended.append(self)

    with pytest.raises(KeyboardInterrupt):
        sorting._sort_each([Part() for _ in range(5)], 2)
    after = list(begun)
    assert after and ended == after
    time.sleep(0.15)
    assert begun == after


def test_a_thread_that_begins_late_ends_no_wait_for_one_that_sorts(monkeypatch):
    start, started, taken, done = sorting.start_new_thread, [], threading.Semaphore(0), []

    def late(function, arguments):
        started.append(function)
        if len(started) == 1:
            start(function, arguments)
        else:
            threading.Timer(0.02, function, arguments).start()

    class Part:
        def sort(self):
            if threading.current_thread() is threading.main_thread():
                taken.acquire()
            else:
                taken.release()
                time.sleep(0.2)
            done.append(self)

    monkeypatch.setattr(sorting, "start_new_thread", late)
    sorting._sort_each([Part(), Part()], 3)
    assert len(done) == 2


# --- threads and forks -------------------------------------------------------------------------------------------------

def test_two_processes_compile_a_first_program():
    """A thread hands texts to the second process, and is the first to ask for the machine, while another waits for it."""
    program = """
import graphc as gx, numpy as np
xs = [gx.placeholder(f"x{n}", (n,)) for n in range(100, 106)]
f = gx.compile(xs, [gx.exp(gx.tanh(x) * i) * gx.erf(x) for i, x in enumerate(xs)])
print(len(f(*(np.ones(n, "f4") for n in range(100, 106)))))
"""
    assert python(program, GRAPHC_CACHE="0") == "6\n"



def run_in_threads(*targets, seconds: float = 120) -> None:
    failures = []

    def guarded(target):
        try:
            target()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(t,), daemon=True) for t in targets]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(seconds)
    assert not any(thread.is_alive() for thread in threads), "a thread hangs"
    assert not failures, failures[0]


def test_threads_call_several_programs_while_others_compile():
    """Each call sees all updates of another or none, and has the bits it has alone."""
    x = gx.placeholder("x", ("n", 64))
    a, b = (gx.variable(np.zeros((300, 300), "f4"), name) for name in "ab")
    product = gx.compile([x], gx.nn.softmax(x @ x.T) @ x)
    update = gx.compile([], [], updates={a: a + 1, b: b + 1})
    both = gx.compile([], [a - b, a + 0])
    inputs = [RNG.normal(size=(n, 64)).astype("f4") for n in (5, 300)]
    wanted = [product(given).tobytes() for given in inputs]

    def calls():
        for i in range(60):
            assert product(inputs[i % 2]).tobytes() == wanted[i % 2]

    def writes():
        for _ in range(100):
            update()

    def reads():
        for _ in range(100):
            difference, value = both()
            assert not difference.any() and (value == value[0, 0]).all()

    def compiles():
        for i in range(6):
            factor = float(RNG.random())
            f = gx.compile([x], gx.sum(x * factor + i))
            assert abs(float(f(inputs[0])) - (inputs[0] * factor + i).sum()) < 1e-2

    run_in_threads(calls, calls, writes, writes, reads, reads, compiles, compiles)
    assert (a.value == 200).all() and (b.value == 200).all()


@FORKS
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of forking while threads run
def test_a_child_that_is_forked_while_others_compile_and_write_computes():
    program = """
import os, signal, threading, numpy as np, graphc as gx
x = gx.placeholder("x", ("n",))
v = gx.variable(np.zeros(100_000, "f4"), "v")
update, read = gx.compile([], [], updates={v: v + 1}), gx.compile([], v + 0)
data, going = np.ones(1_000_000, "f4"), [True]
double = gx.compile([x], x * 2)
def compiles(start):
    i = start
    while going:
        i += 0.001
        gx.compile([x], gx.sum(gx.exp(x) * i))(data[:5])
def writes():
    while going:
        update(), double(data)
starts = (compiles, (1,)), (compiles, (2,)), (writes, ())
threads = [threading.Thread(target=target, args=given, daemon=True) for target, given in starts]
for t in threads:
    t.start()
for i in range(6):
    child = os.fork()
    if child == 0:
        signal.alarm(60)  # a child that hangs is ended
        found = gx.compile([x], [x * (3 + i), gx.sum(x)])(data)
        update(), read(), v.value
        os._exit(0 if (found[0] == 3 + i).all() and found[1] == 1_000_000 and (double(data) == 2).all() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0, i
going.clear()
for t in threads:
    t.join()
print("sound")
"""
    assert python(program, GRAPHC_CACHE="0", GRAPHC_NUM_THREADS="2") == "sound\n"


# --- the same bits -----------------------------------------------------------------------------------------------------

BITS = """
import hashlib, sys, numpy as np, graphc as gx
rng = np.random.default_rng(0)
make = lambda *shape: rng.normal(size=shape).astype("f4")
q, k, v = (gx.placeholder(n, ("b", 2, "t", 16)) for n in "qkv")
x = gx.placeholder("x", ("n", 70))
w, c = gx.variable(make(70, 130) * 0.1, "w"), gx.variable(make(130), "c")
y = gx.nn.layer_norm(gx.nn.gelu(x @ w + c))
o = gx.nn.attention(q, k, v, causal=True)
loss = gx.mean(y * y * y) + gx.mean(o * o)
programs = [
    gx.compile([q, k, v], [o, *gx.grad(gx.sum(o * o), [q, k, v])]), gx.compile([x], [y, gx.sum(y, axis=0), gx.sum(x)]),
    gx.compile([q, k, v, x], [loss, w * 1, c * 1], updates=gx.optim.adam(loss, [w, c])),
]
heads, rows = [make(3, 2, 100, 16) for _ in range(3)], make(600, 70)
def digest():
    results = [*programs[0](*heads), *programs[1](rows)]
    return hashlib.sha256(b"".join(r.tobytes() for r in results)).hexdigest()
first = digest()
for _ in range(int(sys.argv[1])):
    assert digest() == first
for _ in range(5):
    last = programs[2](*heads, rows)
print(first, hashlib.sha256(b"".join(r.tobytes() for r in last)).hexdigest())
"""


def test_the_same_bits_on_any_number_of_threads_with_any_cache_in_any_call(tmp_path):
    """More threads than processors too: they give way to each other."""
    kept = {"GRAPHC_CACHE": "1", "GRAPHC_CACHE_DIR": str(tmp_path)}
    cold = python(BITS, "100", GRAPHC_NUM_THREADS="2", **kept)
    for threads in ("1", "2", "3", "8"):
        assert python(BITS, "3", GRAPHC_NUM_THREADS=threads, **kept) == cold
    assert python(BITS, "0", GRAPHC_CACHE="0") == cold


@MAPS
def test_nothing_needs_a_library_of_threads():
    """Neither cold nor warm: a slim container has no libgomp."""
    program = BITS + (
        "assert 'numba' not in sys.modules\n"
        "loaded = open('/proc/self/maps').read()\n"
        "assert not [name for name in ('libgomp', 'libomp', 'libiomp', 'libtbb') if name in loaded]\n"
    )
    for _ in range(2):
        python(program, "1", GRAPHC_NUM_THREADS="2")


# --- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", [
    lambda: ([[1.0, 2.0]], [1]), lambda: (np.ones((2, 3), "f4"),), lambda: (np.ones((2, 3)), np.ones(2, "i8")),
    lambda: (np.ones((2, 3), "f4"), np.ones(3, "i8")), lambda: (np.ones(3, "f4"), np.ones(3, "i8")),
    lambda: (None, np.ones(2, "i8")), lambda: (np.ones((2, 3), "f4"), np.ones(2, "i8"), 1),
])  # fmt: skip
def test_native_code_refuses_what_the_interpreter_refuses(given):
    """With the same words, also after calls that fitted; and no variable has changed."""
    x, t = gx.placeholder("x", ("n", 3)), gx.placeholder("t", ("n",), "int64")
    v = gx.variable(np.zeros(3, "f4"), "v")
    messages = []
    for backend in ("llvm", "interpreter"):
        f = gx.compile([x, t], gx.sum(x * v) + gx.astype(gx.sum(t), "float32"), updates={v: v + 1}, backend=backend)
        for n in (2, 4, 2):
            f(np.ones((n, 3), "f4"), np.ones(n, "i8"))
        before = v.value
        with pytest.raises(gx.GraphError) as caught:
            f(*given())
        messages.append((type(caught.value), str(caught.value)))
        np.testing.assert_array_equal(v.value, before)
    assert messages[0] == messages[1]


# --- what was found ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("m, k, n", [(8, 5, 0), (0, 0, 7), (0, 5, 7), (0, 5, 0), (3, 0, 4)])
def test_empty_products_that_are_stored_in_another_order(m, k, n):
    x, y = gx.placeholder("x", (m, k), "float64"), gx.placeholder("y", (k, n), "float64")
    z = x @ y
    f = gx.compile([x, y], [gx.permute_dims(z, (1, 0)), gx.pad(z.T, [(0, 1), (1, 2)]), gx.sum(z.T, axis=0)])
    given = np.ones((m, k)), np.ones((k, n))
    want = (given[0] @ given[1]).T
    for found, wanted in zip(f(*given), [want, np.pad(want, [(0, 1), (1, 2)]), want.sum(0)], strict=True):
        np.testing.assert_array_equal(found, wanted)


@pytest.mark.parametrize("backend", ["llvm", "interpreter"])
def test_a_reshape_beside_a_size_of_zero_is_refused(backend):
    x = gx.placeholder("x", ("n", "k"))
    f = gx.compile([x], gx.reshape(x, (-1, 3, x.shape[1])) * 2, backend=backend)
    assert f(np.ones((3, 2), "f4")).shape == (1, 3, 2)
    with pytest.raises(gx.errors.ShapeError, match=r"divides by a size of 0: 0 is less than 1 where k = 0"):
        f(np.ones((3, 0), "f4"))


def test_a_position_in_nothing_is_broadcast():
    x = gx.placeholder("x", ("n", 0), "bool")
    y = gx.broadcast_to(gx.astype(gx.argmax(x, axis=0), "float64"), x.shape)
    f = gx.compile([x], [gx.sum(y * y), y])
    total, empty = f(np.ones((3, 0), bool))
    assert total == 0 and empty.shape == (3, 0)


def test_a_size_may_be_called_like_a_value_of_a_function():
    for number in range(20):
        x = gx.placeholder("x", (f"t{number}",), "float64")
        f = gx.compile([x], gx.log(gx.sum(x)) + gx.full((), x.shape[0], "float64"))
        np.testing.assert_allclose(f(np.ones(5)), np.log(5) + 5, rtol=1e-15)


def test_the_key_of_the_cache_covers_every_file_of_the_backend(monkeypatch, tmp_path):
    here = Path(cache.__file__).parent
    copy = tmp_path / "numba"
    for file in here.rglob("*.py"):
        (copy / file.relative_to(here)).parent.mkdir(parents=True, exist_ok=True)
        (copy / file.relative_to(here)).write_bytes(file.read_bytes())
    monkeypatch.setattr(cache, "__file__", str(copy / "cache.py"))
    try:
        keys = set()
        for file in (None, *sorted(copy.rglob("*.py"))):
            if file is not None:
                file.write_text(file.read_text() + "# changed\n")
            cache._environment.cache_clear()
            keys.add(cache.key_of("text", host()))
        assert len(keys) == 1 + len(list(here.rglob("*.py")))
    finally:
        monkeypatch.undo()
        cache._environment.cache_clear()


def test_the_text_of_a_kernel_goes_when_it_is_compiled(monkeypatch):
    from llvmlite import ir

    monkeypatch.setenv("GRAPHC_CACHE", "0")
    monkeypatch.setattr(compile, "_KNOWN", dict(compile._KNOWN))
    x = gx.placeholder("x", ("n",))
    gx.compile([x], gx.sum(x * float(RNG.random())))(np.ones(3, "f4"))
    gc.collect()
    assert not [o for o in gc.get_objects() if issubclass(type(o), ir.Module) and "kernel" in str(o)]


if __name__ == "__main__":
    os.environ["GRAPHC_CACHE"] = "0"
    for count in (20_000, 100_000):
        print(f"{count:,} calls: {after_calls(count) / 1024:,.0f} KiB", flush=True)
    for count in (100, 200):
        grown, objects = after_compilations(count)
        print(f"{count} compilations: {grown / 1024 / count:,.0f} KiB each, {objects} objects", flush=True)
