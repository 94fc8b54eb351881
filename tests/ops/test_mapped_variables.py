"""Variables that live in the caller's memory: an array, or a file that is mapped into memory."""

from __future__ import annotations

import copy
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx

Array = np.ndarray[Any, Any]


def mapped(path: Path, value: Array) -> Array:
    np.save(path, value)
    found: Array = np.load(path, mmap_mode="r+")
    return found


def test_a_variable_in_a_file_trains_to_the_bits_of_one_in_memory(tmp_path: Path) -> None:
    first = np.random.default_rng(0).standard_normal((40, 8), np.float32)
    there = gx.variable(mapped(tmp_path / "w.npy", first), name="w", copy=False)
    here = gx.variable(first, name="w")
    x, arrays = gx.placeholder("x", ("n", 40)), np.random.default_rng(1).standard_normal((3, 4, 40), np.float32)
    for w in (there, here):
        loss = gx.mean((x @ w) ** 2)
        updates = gx.optim.adam(loss, [w])
        step = gx.compile([x], loss, updates)
        for batch in arrays:
            step(batch)
        folders = {v.folder for v in updates}
        assert folders == ({str(tmp_path)} if w is there else {None}), "moments live where their variable does"
    there.flush()
    assert np.load(tmp_path / "w.npy").tobytes() == here.value.tobytes() == there.value.tobytes()
    assert [p.name for p in tmp_path.iterdir()] == ["w.npy"], "files of moments have no names"


def test_flush_brings_back_what_a_program_left_in_a_second_memory(tmp_path: Path) -> None:
    value = np.arange(6.0).reshape(3, 2)
    w = gx.variable(mapped(tmp_path / "w.npy", value), name="w", copy=False)
    turn = gx.compile([], [], {w: gx.flip(w, axis=0)})
    for turned in (value[::-1], value, value[::-1]):
        turn()
        assert w.value.tolist() == turned.tolist()
        w.flush()
        assert np.load(tmp_path / "w.npy").tolist() == turned.tolist()
    w.value = value
    assert np.load(tmp_path / "w.npy").tolist() == value.tolist()


def test_an_array_of_the_callers_is_the_memory_of_a_variable() -> None:
    array = np.zeros(3)
    w = gx.variable(array, copy=False)
    gx.compile([], [], {w: w + 1}, backend="interpreter")()
    assert array.tolist() == [1, 1, 1]
    apart = copy.deepcopy(w)
    w.value = [2, 2, 2]
    assert array.tolist() == [2, 2, 2] and apart.value.tolist() == [1, 1, 1] and apart.folder is None
    w.flush()
    gx.variable(array).flush()  # of one that has memory of its own there is nothing to do


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_a_variable_in_a_file_takes_no_memory_of_the_process(tmp_path: Path) -> None:
    """64 MB, and as much of moments: what counts is memory that no file stands behind."""
    shape = (1 << 12, 1 << 12)
    array = np.lib.format.open_memmap(tmp_path / "w.npy", "w+", np.float32, shape)
    w = gx.variable(array, name="w", copy=False)
    step = gx.compile([], [], gx.optim.momentum(gx.sum(w * w) / 2, [w], lr=0.5))
    before = anonymous()
    step()
    assert anonymous() - before < 32e6


def anonymous() -> int:
    """Bytes of this process that no file stands behind."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (lambda path: [1.0, 2.0], "a list"),
        (lambda path: np.zeros((3, 2)).T, "an array that is not in C order"),
        (lambda path: np.broadcast_to(np.zeros(1), (1,)), "an array that is read-only"),
        (lambda path: np.zeros(2, ">f4"), "an array of >f4"),
        (lambda path: np.load(path, mmap_mode="r"), "an array that is read-only"),
        (lambda path: np.load(path, mmap_mode="c"), "a copy-on-write mapping"),
    ],
)
def test_what_no_variable_can_live_in_is_refused(tmp_path: Path, make: Any, what: str) -> None:
    np.save(tmp_path / "w.npy", np.zeros(2))
    with pytest.raises(gx.errors.InputError) as error:
        gx.variable(make(tmp_path / "w.npy"), copy=False)
    assert error.value.message == f"variable: copy=False needs an array to live in, got {what}"
