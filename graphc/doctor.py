"""What graphc finds on this machine, and whether it works: python -m graphc doctor."""

from __future__ import annotations

import os
import platform
import stat
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.timing import without_cache

Array = np.ndarray[Any, Any]
PACKAGES = ("numpy", "numba", "llvmlite", "networkx")
FEATURES = ("avx512f", "avx2", "avx", "fma", "f16c", "sse4.2", "neon", "sve")  # that code is chosen by, or that people ask about


class Trouble(Exception):
    """A check has failed; the message says how."""


def doctor() -> bool:
    """Print every finding, one a line; whether all checks passed.

    A line ends in OK or begins its finding with FAILED where something was tried; the others are facts.
    """
    found = [_line(name, check) for name, check in CHECKS]
    return all(found)


def _line(name: str, check: Callable[[], str]) -> bool:
    """Print one finding. Whatever goes wrong in it is a finding, too: that is what this command is for."""
    try:
        text, fine = check(), True
    except Exception as error:
        text, fine = f"FAILED: {error if isinstance(error, Trouble) else f'{type(error).__name__}: {error}'}", False
    print(f"{name:<12}{text}", flush=True)
    return fine


# --- facts -----------------------------------------------------------------------------------------------------------


def _graphc() -> str:
    return f"{gx.__version__} in {Path(gx.__file__).parent}"


def _python() -> str:
    return f"{platform.python_implementation()} {platform.python_version()} on {platform.platform()}"


def _package(name: str) -> Callable[[], str]:
    def check() -> str:
        try:
            return version(name)
        except PackageNotFoundError:
            raise Trouble("not installed") from None

    return check


def _processor() -> str:
    from graphc.backends.llvm.objects import processor

    name, features = processor()
    return f"{_model()}, to LLVM {name}: {', '.join(f for f in FEATURES if f in features) or 'no features that are known here'}"


def _model() -> str:
    """What the system calls its processor."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        text = ""
    found = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith("model name"))
    return next(found, "") or platform.processor() or platform.machine()


def _target() -> str:
    """What kernels are made for, if nothing else is said."""
    from graphc.ir.target import HOST, find_target, host

    here, wanted = host(), find_target(None)
    facts = (("fma", "fused multiply-add"), ("masks", "masked vectors"), ("halves", "float16"))
    said = "this machine" if wanted.name == HOST else f"GRAPHC_TARGET={wanted.name}; this machine"
    vectors = f"{here.registers} vectors of {8 * here.vector_bytes} bits"
    has = "".join(f", {'with' if getattr(here, fact) else 'without'} {words}" for fact, words in facts)
    caches = ", ".join(f"{size // 1024:,}" for size in here.caches)
    return f"{said}: {vectors}{has}; caches of {caches} kB; pages of {here.page:,} bytes; {here.threads} threads"


def _threads() -> str:
    from graphc.backends.threads import available

    wanted = os.environ.get("GRAPHC_NUM_THREADS")
    if wanted is not None and not (wanted.isdigit() and int(wanted) > 0):
        raise Trouble(f"GRAPHC_NUM_THREADS={wanted} is not a number of threads; {gx.get_num_threads()} are used")
    said = f"GRAPHC_NUM_THREADS={wanted}" if wanted else "GRAPHC_NUM_THREADS is not set"
    return f"{gx.get_num_threads()} of {available()} processors; {said}"


def _calls() -> str:
    from graphc.backends.llvm.calls import by_ctypes

    why = by_ctypes()
    return f"by ctypes, some microseconds slower: {why}" if why else "native code reads Python's and NumPy's objects in place"


# --- checks ----------------------------------------------------------------------------------------------------------


def _cache() -> str:
    """The directory of compiled kernels, and an entry that is written, read and removed."""
    from graphc.backends.llvm import cache
    from graphc.ir.target import host

    path = cache.wanted()
    if path is None:
        return "off (GRAPHC_CACHE=0): every process compiles its kernels"
    folder = cache.directory()
    if folder is None:
        raise Trouble(f"{path} cannot be made, or is not the user's alone (mode 0700): every process compiles its kernels")
    mode = stat.S_IMODE(folder.stat().st_mode)
    found = cache.entries()
    key = cache.key_of(f"doctor {os.getpid()}", host())
    entry = cache.Entry("doctor", os.urandom(64))
    cache.put(key, entry)
    kept = cache.get(key)
    for file, _ in cache.entries():
        if file.name.startswith(key):
            file.unlink()
    if kept != entry:
        raise Trouble(f"{folder} (mode {mode:04o}) cannot be written, or does not keep what is written")
    total = f"{sum(size for _, size in found):,} of at most {cache.MAX_BYTES:,} bytes"
    return f"{folder}: {len(found)} entries, {total}, mode {mode:04o}; written and read: OK"


def _semaphores() -> str:
    """A worker thread that sleeps on a semaphore and is woken to end."""
    from graphc.backends.llvm.pool import Pool

    Pool(1).stop()
    return "a worker thread was started, woken and ended: OK"


def _self_test(build: Callable[[], tuple[gx.Compiled, tuple[Array, ...], Array, float]]) -> Callable[[], str]:
    """Compile anew, and compare with NumPy on one and on all threads."""

    def check() -> str:
        before = gx.get_num_threads()
        with without_cache():
            program, arguments, wanted, tolerance = build()
        try:
            results = {}
            for threads in dict.fromkeys((1, before)):
                gx.set_num_threads(threads)
                results[threads] = np.array(program(*arguments))
        finally:
            gx.set_num_threads(before)
        for threads, result in results.items():
            error = float(np.max(np.abs(result - wanted) / (1 + np.abs(wanted))))
            if not error <= tolerance:
                raise Trouble(f"differs from NumPy by {error:.1e} on {threads} threads, where {tolerance:.0e} is allowed")
            if result.tobytes() != results[1].tobytes():
                raise Trouble(f"differs between 1 and {threads} threads")
        return f"as NumPy, on {' and '.join(map(str, results))} threads: OK"

    return check


def _elementwise() -> tuple[gx.Compiled, tuple[Array, ...], Array, float]:
    x = gx.placeholder("x", ("n",), "float64")
    given = np.linspace(-8, 8, 100_000)
    return gx.compile([x], gx.tanh(x) * gx.exp(-x * x)), (given,), np.tanh(given) * np.exp(-given * given), 1e-14


def _reduction() -> tuple[gx.Compiled, tuple[Array, ...], Array, float]:
    x = gx.placeholder("x", ("rows", "columns"), "float64")
    given = np.linspace(0, 1, 1_000_000).reshape(1000, 1000)
    return gx.compile([x], gx.sum(x * x, axis=1)), (given,), np.sum(given * given, axis=1), 1e-13


def _product() -> tuple[gx.Compiled, tuple[Array, ...], Array, float]:
    a, b = (gx.placeholder(name, shape, "float32") for name, shape in (("a", ("m", 301)), ("b", (301, 203))))
    left = np.linspace(-1, 1, 307 * 301, dtype=np.float32).reshape(307, 301)
    right = np.linspace(1, -1, 301 * 203, dtype=np.float32).reshape(301, 203)
    return gx.compile([a, b], gx.maximum(a @ b, 0)), (left, right), np.maximum(left.astype(float) @ right, 0), 1e-4


CHECKS: tuple[tuple[str, Callable[[], str]], ...] = (
    ("graphc", _graphc),
    ("Python", _python),
    *((name, _package(name)) for name in PACKAGES),
    ("processor", _processor),
    ("target", _target),
    ("threads", _threads),
    ("calls", _calls),
    ("semaphores", _semaphores),
    ("cache", _cache),
    ("elementwise", _self_test(_elementwise)),
    ("reduction", _self_test(_reduction)),
    ("product", _self_test(_product)),
)

__all__ = ["CHECKS", "Trouble", "doctor"]
