"""Files of state: everything comes back to the bit, what does not fit is listed and changes nothing, no file is half."""

from __future__ import annotations

import io
import os
import pickle
import stat
import struct
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from values import NAMES, same_bits

import graphc as gx
from graphc.ir.types import DTYPES

safetensors = pytest.importorskip("safetensors.numpy")

SUFFIXES = (".npz", ".safetensors")
FileError, InputError = gx.errors.FileError, gx.errors.InputError
ROOT = Path(gx.__file__).parent.parent


def sample(dtype: gx.DType, shape: tuple[int, ...]) -> Any:
    array = np.random.default_rng(3).integers(0, 2 if dtype.is_bool else 100, shape).astype(dtype.numpy)
    if dtype.is_float and array.size > 2:
        array.flat[:3] = -0.0, np.inf, np.nan
    return array


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_type_shape_and_name_comes_back_to_the_bit(tmp_path: Path, suffix: str) -> None:
    names = iter([*NAMES, *(f"{i}" for i in range(100, 200))])
    shapes = ((), (1,), (5,), (0,), (2, 0, 3), (3, 4, 2))
    variables = [gx.variable(sample(d, s), name=next(names), dtype=d) for d in DTYPES for s in shapes]
    kept = [v.value for v in variables]
    path = tmp_path / f"state{suffix}"
    gx.save(path, variables)
    read = gx.load(path)
    assert set(read) == {v.name for v in variables}
    for v, old in zip(variables, kept, strict=True):
        assert read[v.name].dtype == old.dtype and read[v.name].shape == old.shape and same_bits(read[v.name], old)
        assert read[v.name].flags.writeable
        v.value = np.zeros_like(old)
    assert not gx.load(path, variables)
    assert all(same_bits(v.value, old) for v, old in zip(variables, kept, strict=True))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_equal_states_are_equal_files(tmp_path: Path, suffix: str) -> None:
    w = gx.variable(np.arange(5.0), name="w")
    texts = []
    for name in ("a", "b"):
        gx.save(tmp_path / f"{name}{suffix}", [w])
        texts.append((tmp_path / f"{name}{suffix}").read_bytes())
        time.sleep(0.01)
    assert texts[0] == texts[1]


def test_others_read_the_files_and_theirs_are_read(tmp_path: Path) -> None:
    bf16 = gx.ir.types.bfloat16.numpy
    arrays = {"a/b": np.arange(6.0).reshape(2, 3), "h": np.array([1.5, -2], bf16), "n": np.array(3, "int8")}
    variables = [gx.variable(a, name=n) for n, a in arrays.items()]
    gx.save(tmp_path / "x.npz", variables)
    with np.load(tmp_path / "x.npz", allow_pickle=False) as found:
        assert set(found) == set(arrays) and found["a/b"].tolist() == [[0, 1, 2], [3, 4, 5]] and found["n"] == 3
        assert found["h"].view(bf16).tolist() == [1.5, -2]
    gx.save(tmp_path / "x.safetensors", variables)
    plain = {k: v for k, v in arrays.items() if k != "h"}
    with safetensors.safe_open(tmp_path / "x.safetensors", "np") as file:
        assert set(file.keys()) == set(arrays) and file.get_slice("h").get_dtype() == "BF16"
        assert all(np.array_equal(file.get_tensor(k), v) for k, v in plain.items())
    safetensors.save_file(arrays, tmp_path / "y.safetensors")
    np.savez_compressed(tmp_path / "y.npz", **arrays)
    for suffix in SUFFIXES:
        read = gx.load(tmp_path / f"y{suffix}")
        assert all(read[k].dtype == v.dtype and same_bits(read[k], v) for k, v in arrays.items())
    np.savez(tmp_path / "z.npz", big=np.arange(3, dtype=">f4"), columns=np.asfortranarray(np.arange(6.0).reshape(2, 3)))
    read = gx.load(tmp_path / "z.npz")
    assert read["big"].dtype == np.dtype("float32") and read["big"].tolist() == [0, 1, 2]
    assert read["columns"].tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_a_run_that_is_resumed_is_the_run(tmp_path: Path, backend: str, suffix: str) -> None:
    """To the bit, with two optimisers of one variable, an unnamed variable and a random stream."""

    def program() -> gx.Compiled:
        w, b, x = gx.variable(np.ones(4, "float32"), name="0.w"), gx.variable(np.float32(0)), gx.placeholder("x", (4,), "float32")
        loss = gx.sum((w * x + b) ** 2) + gx.sum(w * gx.random.normal(gx.random.Stream(5), (4,)))
        updates = {**gx.optim.adam(loss, [w, b], lr=gx.optim.schedules.cosine(0.1, 9)), **gx.optim.adam(2 * loss, [b])}
        return gx.compile([x], loss, updates=updates, backend=backend)

    x = np.arange(4, dtype="float32")
    whole, path = program(), tmp_path / f"run{suffix}"
    for _ in range(3):
        whole(x)
    gx.save(path, whole)
    resumed = program()
    assert set(gx.load(path)) == set(whole.variables) == set(resumed.variables) and len(whole.variables) == 11
    gx.load(path, resumed)
    assert [resumed(x).tobytes() for _ in range(4)] == [whole(x).tobytes() for _ in range(4)]


MISFIT = """load: state{suffix} does not fit the variables, and none was changed
  missing in the file: 'c', 'd'
  unexpected in the file: 'only here', 'x'
  different: 'shape' is f64[2], the file has f64[3]
  different: 'type' is f32[2], the file has f64[2]"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_error_lists_all_that_does_not_fit_and_nothing_has_changed(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"state{suffix}"
    saved = {"fits": np.ones(2), "shape": np.ones(3), "type": np.ones(2), "only here": 1.0, "x": 2.0}
    gx.save(path, {n: gx.variable(a) for n, a in saved.items()})
    names = {"c": "float64", "fits": "float64", "shape": "float64", "type": "float32", "d": "float64"}
    variables = [gx.variable(np.zeros(2, d), name=n) for n, d in names.items()]
    with pytest.raises(FileError) as caught:
        gx.load(path, variables)
    assert caught.value.message == MISFIT.format(suffix=suffix)
    assert caught.value.where is not None and caught.value.where.file == __file__
    assert (
        caught.value.hint == "strict=False loads what fits, and returns what does not; gx.load(path) gives the arrays themselves"
    )
    assert all(v.value.tolist() == [0, 0] for v in variables)
    unfit = gx.load(path, variables, strict=False)
    assert unfit and unfit.missing == ("c", "d") and unfit.unexpected == ("only here", "x")
    assert dict(unfit.different) == {"shape": "f64[2], the file has f64[3]", "type": "f32[2], the file has f64[2]"}
    assert [v.value.tolist() for v in variables] == [[0, 0], [1, 1], [0, 0], [0, 0], [0, 0]]
    gx.save(path, variables)
    assert not gx.load(path, variables) and str(gx.load(path, variables)) == ""


def test_names_of_a_mapping_serve_the_file_of_another_model(tmp_path: Path) -> None:
    w, stream = gx.variable(np.zeros(2), name="w"), gx.random.Stream(1)
    np.savez(tmp_path / "other.npz", **{"encoder/0/w:0": np.ones(2), "calls": np.array(7)})
    assert not gx.load(tmp_path / "other.npz", {"encoder/0/w:0": w, "calls": stream})
    assert w.value.tolist() == [1, 1] and stream.value == 7
    gx.save(tmp_path / "mine.npz", [w, stream])
    assert list(gx.load(tmp_path / "mine.npz")) == ["w", "stream"]
    gx.save(tmp_path / "one.npz", w)
    assert list(gx.load(tmp_path / "one.npz")) == ["w"]


# --- wrong use, and wrong files ------------------------------------------------------------------------------------


def test_wrong_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    w = gx.variable(1.0, name="w")
    for act in (lambda: gx.save(tmp_path / "w.pt", [w]), lambda: gx.load(tmp_path / "w", [w])):
        with pytest.raises(InputError, match="has another ending") as caught:
            act()
        assert caught.value.hint == "use .npz or .safetensors"
    with pytest.raises(InputError, match="save: only variables have state, got array"):
        gx.save(tmp_path / "w.npz", {"w": np.ones(3)})
    with pytest.raises(InputError, match="save: only variables have state, got 'w'"):
        gx.save(tmp_path / "w.npz", ["w"])
    with pytest.raises(FileNotFoundError):
        gx.load(tmp_path / "w.npz", [w])
    with pytest.raises(FileNotFoundError):
        gx.save(tmp_path / "nowhere" / "w.npz", [w])
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setitem(sys.modules, "safetensors", None)  # nothing needs the package
    gx.save(tmp_path / "w.safetensors", [w])
    assert gx.load(tmp_path / "w.safetensors") == {"w": 1.0}


class Trap:
    """What would run if a file were unpickled."""

    def __reduce__(self) -> Any:
        return (os.mkdir, ("trapped",))


def test_nothing_is_unpickled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("objects.npz", w=np.array([Trap()], dtype=object))
    Path("pickle.npz").write_bytes(pickle.dumps(Trap()))
    with zipfile.ZipFile("inside.npz", "w") as archive:
        archive.writestr("w.npy", pickle.dumps(Trap()))
    for name in ("objects.npz", "pickle.npz", "inside.npz"):
        with pytest.raises(FileError, match=f"load: {name} cannot be read"):
            gx.load(name)
    assert not Path("trapped").exists()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_broken_file_is_an_error_and_changes_nothing(tmp_path: Path, suffix: str) -> None:
    w = gx.variable(np.arange(50.0), name="w")
    path, bad = tmp_path / f"good{suffix}", tmp_path / f"bad{suffix}"
    gx.save(path, [w])
    good = path.read_bytes()
    w.value = np.zeros(50)
    for n in (0, 1, 7, 40, len(good) // 2, len(good) - 1):
        bad.write_bytes(good[:n])
        with pytest.raises(FileError, match=f"load: bad{suffix} cannot be read"):
            gx.load(bad, [w])
    bad.write_bytes(b"not at all" * 20)
    with pytest.raises(FileError, match=f"load: bad{suffix} cannot be read") as caught:
        gx.load(bad, [w])
    assert caught.value.where is not None and caught.value.where.file == __file__
    assert not w.value.any()


def test_what_an_archive_may_hold(tmp_path: Path) -> None:
    path = tmp_path / "odd.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(FileError, match=r"it holds 'readme\.txt', which is no array"):
        gx.load(path)
    array = io.BytesIO()
    np.save(array, np.ones(2))
    with pytest.warns(UserWarning), zipfile.ZipFile(path, "w") as archive:
        archive.writestr("w.npy", array.getvalue())
        archive.writestr("w.npy", array.getvalue())
    with pytest.raises(FileError, match=r"it holds 'w\.npy', which is there twice"):
        gx.load(path)
    np.savez(path, z=np.ones(2, complex), text=np.array(["a"]))
    assert set(gx.load(path)) == {"z", "text"}
    with pytest.raises(FileError, match="the file has complex128\\[2\\]"):
        gx.load(path, {"z": gx.variable([1.0, 1.0])})
    header = b'{"w":{"dtype":"F8_E4M3","shape":[2],"data_offsets":[0,2]}}'
    other = tmp_path / "eight.safetensors"
    other.write_bytes(struct.pack("<Q", len(header)) + header + b"\0\0")
    with pytest.raises(FileError, match="'w' is of F8_E4M3, which graphc does not have; with dtype= it is cast"):
        gx.load(other)


# --- a file is never half ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    w = gx.variable(np.ones(3), name="w")
    path = tmp_path / f"w{suffix}"
    gx.save(path, [w])
    w.value = np.zeros(3)

    def full(*args: Any) -> None:
        raise OSError("no space left on device")

    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, full)
            with pytest.raises(OSError, match="no space left"):
                gx.save(path, [w])
        assert list(tmp_path.iterdir()) == [path] and gx.load(path)["w"].tolist() == [1, 1, 1]
    gx.save(path, [w])
    assert gx.load(path)["w"].tolist() == [0, 0, 0]


WRITER = """
import sys, itertools, numpy as np, graphc as gx
variables = [gx.variable(np.zeros(300_000), name=f"w{i}") for i in range(4)]
for k in itertools.count():
    for v in variables:
        v.update(lambda old: old + 1)
    gx.save(sys.argv[1], variables)
    print(k, flush=True)
"""


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_process_that_is_killed_while_it_writes_leaves_a_whole_file(tmp_path: Path, suffix: str) -> None:
    path, interrupted = tmp_path / f"state{suffix}", 0
    for delay in (0.0, 0.001, 0.003, 0.007, 0.011, 0.03, 0.07, 0.15, 0.31):
        if interrupted and delay > 0.02:  # on a machine that is busy it may take some more
            break
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, cwd=ROOT, env=os.environ)
        assert child.stdout is not None
        for _ in range(3):
            child.stdout.readline()
        time.sleep(delay)
        child.kill()
        child.communicate()
        arrays = gx.load(path)
        assert {n: a.shape for n, a in arrays.items()} == {f"w{i}": (300_000,) for i in range(4)}
        assert len({float(x) for a in arrays.values() for x in (a.min(), a.max())}) == 1
        interrupted += len(list(tmp_path.iterdir())) > 1
        for left in tmp_path.glob(".*.tmp"):
            left.unlink()
    assert interrupted > 0  # some were killed in the middle of a file


@pytest.mark.skipif(os.name != "posix", reason="modes and links")
def test_modes_and_links_stay(tmp_path: Path) -> None:
    w = gx.variable(np.ones(3), name="w")
    path, link = tmp_path / "w.npz", tmp_path / "last.npz"
    gx.save(path, [w])
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~_umask()
    path.chmod(0o640)
    link.symlink_to(path)
    w.value = np.zeros(3)
    gx.save(link, [w])
    assert link.is_symlink() and gx.load(path)["w"].tolist() == [0, 0, 0] and stat.S_IMODE(path.stat().st_mode) == 0o640


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
