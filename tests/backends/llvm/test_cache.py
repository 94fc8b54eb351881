"""The cache of compiled kernels: hits, damage, other people's directories, races, eviction."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.__main__ import main
from graphc.backends.llvm import cache, compile
from graphc.backends.llvm.pool import walker
from graphc.errors import GraphWarning
from graphc.ir.target import TARGETS, host

ROOT = Path(__file__).parents[3]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    walker("call")  # what runs every program is compiled before, and is not counted
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "kernels"))
    monkeypatch.delenv("GRAPHC_CACHE", raising=False)
    monkeypatch.setattr(compile, "_KNOWN", {})
    monkeypatch.setattr(cache, "_warned", set())
    return tmp_path / "kernels"


def run() -> np.ndarray:
    """One elementwise kernel and one contraction, compiled as in a new process."""
    compile._KNOWN.clear()
    x = gx.placeholder("x", ("n", 3), "float64")
    return gx.compile([x], gx.exp(x) @ np.ones((3, 4)))(np.zeros((2, 3)))


def refuse(*args):
    raise AssertionError("compiled although the code was kept")


def test_what_was_compiled_once_is_loaded(folder, monkeypatch):
    walker("call")  # what the process compiles once, whoever asks first
    cache.clear()
    first = run()
    assert len(cache.entries()) == 4  # two kernels, and two functions of the library of contractions
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setattr(compile, "compile_text", refuse)
    np.testing.assert_array_equal(run(), first)


@pytest.mark.parametrize("harm", ["cut", "changed", "empty", "foreign", "no header"])
def test_a_damaged_entry_is_made_again_with_one_warning(folder, harm):
    first = run()
    (one, _), (other, _), *_ = cache.entries()
    for path, twin in ((one, other), (other, one)):
        data = path.read_bytes()
        harmed = {
            "cut": data[:-9],
            "changed": data[:-1] + bytes([data[-1] ^ 1]),
            "empty": b"",
            "no header": data.partition(b"\n")[2],
        }
        path.write_bytes(twin.read_bytes() if harm == "foreign" else harmed[harm])
    with pytest.warns(GraphWarning, match="is damaged and will be made again") as seen:
        np.testing.assert_array_equal(run(), first)
    assert 1 <= len(seen) <= 2
    np.testing.assert_array_equal(run(), first)


def test_nothing_is_kept_where_it_is_turned_off(folder, monkeypatch):
    monkeypatch.setenv("GRAPHC_CACHE", "0")
    run()
    assert not folder.exists()
    assert cache.directory() is None


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="directories have no owner here")
def test_a_directory_that_others_can_write_is_not_used(folder):
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.warns(GraphWarning, match="is not the user's alone"):
        run()
    assert not list(folder.iterdir())


def test_a_directory_that_cannot_be_made_is_no_error(folder, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GRAPHC_CACHE_DIR", str(tmp_path / "file" / "kernels"))
    np.testing.assert_array_equal(run(), np.full((2, 4), 3.0))


def test_the_key_is_everything_that_matters(monkeypatch):
    key = cache.key_of("def kernel(): ...", host())
    assert key == cache.key_of("def kernel(): ...", host()) != cache.key_of("def kernel(): pass", host())
    assert key != cache.key_of("def kernel(): ...", TARGETS["generic"])
    cache._environment.cache_clear()
    monkeypatch.setattr(cache.llvmlite, "__version__", "0.0")
    assert cache.key_of("def kernel(): ...", host()) != key
    monkeypatch.undo()
    cache._environment.cache_clear()
    assert cache.key_of("def kernel(): ...", host()) == key


def test_entries_used_longest_ago_leave(folder, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 5_000)
    monkeypatch.setattr(cache, "_written", [0])
    for i in range(63):
        cache.put(f"{i:064d}", cache.Entry("f", bytes(900)))
        os.utime(folder / f"{i:064d}.object", (i, i))
    cache.get(f"{2:064d}")
    cache.put("9" * 64, cache.Entry("f", bytes(900)))
    kept = [path.stem for path, _ in cache.entries()]
    assert f"{2:064d}" in kept and "9" * 64 in kept and f"{1:064d}" not in kept and 3 <= len(kept) <= 5
    assert not list(folder.glob(".new-*"))


@pytest.mark.parametrize("array", [np.arange(5000.0), np.ones(3, "int8"), np.zeros((4, 0)), np.arange(1024).reshape(2, 512)])
def test_arrays_are_kept_once_by_their_bytes(folder, array):
    name = cache.put_array(array)
    ((path, size),) = cache.entries()
    changed = path.stat().st_mtime_ns
    assert cache.put_array(array.copy()) == name and path.stat().st_mtime_ns == changed and size == array.nbytes + 32
    other = np.full_like(array, 7)
    assert cache.get_array(name, other)
    np.testing.assert_array_equal(other, array)
    assert not cache.get_array("0" * 64, other)


@pytest.mark.parametrize("harm", ["cut", "a bit", "a bit of the end", "two pages", "empty", "longer"])
def test_a_damaged_array_is_not_given(folder, harm):
    array = np.random.default_rng(0).integers(0, 256, 3 * 4096 + 5, dtype="uint8")
    name = cache.put_array(array)
    ((path, _),) = cache.entries()
    data = path.read_bytes()
    path.write_bytes({
        "cut": data[:-1], "a bit": data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], "empty": b"", "longer": data + b"\0",
        "a bit of the end": data[:12290] + bytes([data[12290] ^ 1]) + data[12291:],
        "two pages": data[4096:8192] + data[:4096] + data[8192:],
    }[harm])  # fmt: skip
    with pytest.warns(GraphWarning, match="is damaged and will be made again"):
        assert not cache.get_array(name, np.empty_like(array))
    assert not cache.entries() and cache.put_array(array) == name and cache.get_array(name, np.empty_like(array))


def test_large_entries_are_counted_by_their_size(folder, monkeypatch):
    monkeypatch.setattr(cache, "MAX_BYTES", 50 * 2**20)
    monkeypatch.setattr(cache, "_written", [0])
    for i in range(4):
        cache.put_array(np.full(2**22, i))
    assert [size for _, size in cache.entries()] == [2**25 + 32], "each is 32 MiB, and so more than one are too much"


def test_processes_race_on_a_cold_cache(folder):
    program = (
        "import numpy as np, graphc as gx; x = gx.placeholder('x', ('n',));"
        "print(gx.compile([x], [gx.sum(x * 2), x @ x])(np.arange(5, dtype='f4')))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(8)
    ]
    outputs = {process.communicate(timeout=300) for process in processes}
    assert outputs == {("[array(20., dtype=float32), array(30., dtype=float32)]\n", "")}
    assert cache.entries() and not list(folder.glob(".new-*"))


def test_the_command_line(folder, capsys):
    run()
    assert main(["cache"]) == 0
    assert f"{folder}: 4 entries" in capsys.readouterr().out
    assert main(["cache", "--clear"]) == 0
    assert "4 entries removed" in capsys.readouterr().out
    assert not cache.entries()
