"""Weights of others: names by expressions, shards, types that are cast, and files of which only what is asked for is read."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import bad_weights

import graphc as gx
from graphc.ir.types import DTYPES

FileError, InputError = gx.errors.FileError, gx.errors.InputError
package = pytest.importorskip("safetensors.numpy")
RNG = np.random.default_rng(5)
THEIRS = {
    f"encoder.layer.{i}.{part}": RNG.normal(size=(3, 2) if part.endswith("weight") else (3,)).astype("float32")
    for i in range(2) for part in ("dense.weight", "dense.bias", "norm.weight")
}  # fmt: skip
NAMES = {
    r"encoder\.layer\.(\d+)\.dense\.weight": (r"\1/kernel", (1, 0)),
    r"encoder\.layer\.(\d+)\.dense\.bias": r"\1/bias",
    r".*\.norm\..*": None,
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    package.save_file(THEIRS, tmp_path / "theirs.safetensors")
    return tmp_path / "theirs.safetensors"


def test_a_model_takes_the_weights_of_another_by_their_names(path: Path) -> None:
    model = gx.models.Sequential([gx.layers.Dense(3, input_shape=(2,))])
    with pytest.raises(FileError, match="missing in the file: '0/kernel', '0/bias'"):
        model.load_weights(path)
    model.load_weights(path, names={r"encoder\.layer\.1\..*": None, **NAMES})  # the first expression that fits counts
    assert np.array_equal(model.variables["0/kernel"].value, THEIRS["encoder.layer.0.dense.weight"].T)
    assert np.array_equal(model.variables["0/bias"].value, THEIRS["encoder.layer.0.dense.bias"])
    model.save_weights(path, names={"0/kernel": ("dense.weight", (1, 0)), "0/bias": "dense.bias"}, dtype="float16")
    theirs = package.load_file(path)
    assert theirs["dense.weight"].shape == (3, 2) and theirs["dense.bias"].dtype == np.float16


def test_names_by_expressions_by_a_function_and_by_a_list(path: Path) -> None:
    found = gx.load(path, names=NAMES)
    assert set(found) == {"0/kernel", "0/bias", "1/kernel", "1/bias"}
    assert np.array_equal(found["1/kernel"], THEIRS["encoder.layer.1.dense.weight"].T) and found["1/kernel"].flags.writeable
    assert np.array_equal(found["0/bias"], THEIRS["encoder.layer.0.dense.bias"])

    def last(name: str) -> Any:
        *_, number, part, kind = name.split(".")
        return (f"{part}/{kind}", (1, 0)) if number == "1" and part == "dense" and kind == "weight" else None

    assert list(gx.load(path, names=last)) == ["dense/weight"]
    assert list(gx.load(path, names=["encoder.layer.0.dense.bias", "not there"])) == ["encoder.layer.0.dense.bias"]
    assert set(gx.load(path, names={"nothing": "x"})) == set(THEIRS)  # what no expression fits keeps its name
    np.savez(path.with_suffix(".npz"), **THEIRS)
    assert all(np.array_equal(a, found[n]) for n, a in gx.load(path.with_suffix(".npz"), names=NAMES).items())


@pytest.mark.parametrize("names, error, text", [
    ({"(": "x"}, InputError, "an expression that is none"),
    ({"(.*)": r"\2"}, InputError, "names cannot make"),
    ({".*": "x"}, FileError, "names makes 'x' of both"),
    ({".*": 3}, InputError, "names cannot make 3"),
    (lambda name: 3, InputError, "names gives 3 for"),
    (lambda name: (name, (0, 0)), InputError, "names gives"),
    (lambda name: (name, (1, 0)), InputError, "asks for the axes"),
    ("x", InputError, "names is str"),
    (3, InputError, "names is int"),
])  # fmt: skip
def test_names_that_are_wrong(path: Path, names: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text) as caught:
        gx.load(path, names=names)
    assert caught.value.where is not None and caught.value.where.file == __file__  # type: ignore[attr-defined]


def test_floats_are_cast_and_others_stay(tmp_path: Path) -> None:
    bf16 = gx.bfloat16.numpy
    arrays = {"h": np.array([1.5, -2], bf16), "d": np.array([0.1, 1e300]), "n": np.array([3, 4]), "b": np.array([True, False])}
    for suffix in (".npz", ".safetensors"):
        path = tmp_path / f"x{suffix}"
        gx.save(path, {name: gx.variable(a) for name, a in arrays.items()})
        with np.errstate(over="ignore"):
            found = gx.load(path, dtype="float32")
            w = gx.variable(np.zeros(2, "f"), name="h")
            assert not gx.load(path, [w], names=["h"], dtype="float32") and w.value.tolist() == [1.5, -2]
        assert [a.dtype.name for a in (found[n] for n in "hdnb")] == ["float32", "float32", "int64", "bool"]
        assert found["d"].tolist() == [np.float32(0.1), np.inf]
        with pytest.raises(FileError, match=r"'h' is f32\[2\], the file has bf16\[2\]"):
            gx.load(path, [w], names=["h"])
        gx.save(path, [w], names={"h": "model.h"}, dtype="bfloat16")
        assert gx.load(path)["model.h"].dtype == bf16
    for wrong in ("int8", "bool"):
        with pytest.raises(InputError, match="floats are not cast to"):
            gx.load(path, dtype=wrong)


def raw(path: Path, code: str, data: bytes, shape: list[int]) -> Path:
    header = json.dumps({"w": {"dtype": code, "shape": shape, "data_offsets": [0, len(data)]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


@pytest.mark.parametrize("code, kind", [("F8_E4M3", "float8_e4m3fn"), ("F8_E5M2", "float8_e5m2")])
def test_floats_of_8_bits_are_read_as_others(tmp_path: Path, code: str, kind: str) -> None:
    """Every byte, against ml_dtypes."""
    import ml_dtypes

    path = raw(tmp_path / "x.safetensors", code, bytes(range(256)), [16, 16])
    wanted = np.arange(256, dtype=np.uint8).view(getattr(ml_dtypes, kind)).astype("float32").reshape(16, 16)
    assert np.array_equal(gx.load(path, dtype="float32")["w"], wanted, equal_nan=True)
    assert np.array_equal(gx.load(path, dtype="float64")["w"], wanted.astype("float64"), equal_nan=True)
    with pytest.raises(FileError, match=f"'w' is of {code}, which graphc does not have; with dtype= it is cast"):
        gx.load(path)


def test_booleans_of_other_bytes_are_true(tmp_path: Path) -> None:
    found = gx.load(raw(tmp_path / "x.safetensors", "BOOL", bytes([0, 1, 2, 255]), [4]))["w"]
    assert found.view(np.uint8).tolist() == [0, 1, 1, 1]


def test_files_are_those_of_the_package_to_the_byte(tmp_path: Path) -> None:
    arrays = {f"ä{i}": RNG.integers(0, 2, (3, i)).astype(d.numpy) for i, d in enumerate(DTYPES)} | {"0-d": np.array(2.5)}
    gx.save(tmp_path / "x.safetensors", {name: gx.variable(a) for name, a in arrays.items()})
    assert (tmp_path / "x.safetensors").read_bytes() == package.save(arrays)


# --- what is not asked for -------------------------------------------------------------------------------------------

LARGE = """
import re, sys, numpy as np, graphc as gx
w = gx.variable(np.zeros(4, "float32"), name="w")

def peak():
    return int(re.search(r"VmHWM:\\s*(\\d+)", open("/proc/self/status").read())[1])

gx.load(sys.argv[2])
before = peak()
gx.load(sys.argv[1], [w], strict=False)
assert gx.load(sys.argv[1], names=["w"])["w"].tolist() == [1, 2, 3, 4] == w.value.tolist()
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="it asks Linux for the memory")
def test_one_array_of_a_file_of_a_gigabyte_takes_little_memory(tmp_path: Path) -> None:
    """The file is sparse, and the array behind the large one is asked for."""
    large = 2**30
    entry = {"dtype": "F32", "shape": [large // 4], "data_offsets": [0, large]}
    header = json.dumps({"large": entry, "w": {"dtype": "F32", "shape": [4], "data_offsets": [large, large + 16]}}).encode()
    with open(tmp_path / "large.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.seek(8 + len(header) + large)
        file.write(np.arange(1, 5, dtype="<f4").tobytes())
    raw(tmp_path / "small.safetensors", "F32", bytes(4), [1])
    command = [sys.executable, "-c", LARGE, str(tmp_path / "large.safetensors"), str(tmp_path / "small.safetensors")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(gx.__file__).parent.parent)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 8 * 1024  # kilobytes


# --- shards ----------------------------------------------------------------------------------------------------------


def test_shards_of_others_are_read_and_only_those_that_are_needed(tmp_path: Path) -> None:
    package.save_file({"a": np.ones(2)}, tmp_path / "model-00001-of-00002.safetensors")
    (tmp_path / "model-00002-of-00002.safetensors").write_bytes(b"broken")
    index = {"metadata": {"total_size": 1}, "weight_map": {"a": "model-00001-of-00002.safetensors",
                                                           "b": "model-00002-of-00002.safetensors"}}  # fmt: skip
    path = tmp_path / "model.safetensors.index.json"
    path.write_text(json.dumps(index))
    assert gx.load(path, names=["a"])["a"].tolist() == [1, 1]
    with pytest.raises(FileError, match=r"cannot be read: model-00002-of-00002\.safetensors: it is shorter"):
        gx.load(path)
    package.save_file({"c": np.ones(2)}, tmp_path / "model-00002-of-00002.safetensors")
    with pytest.raises(FileError, match=r"model-00002-of-00002\.safetensors has no 'b'"):
        gx.load(path)


def test_shards_are_written_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index last; where something fails, the old ones are there, and no new one."""
    variables = [gx.variable(np.full(10, i, "float64"), name=f"w{i}") for i in range(5)]
    path = tmp_path / "model.safetensors.index.json"
    gx.save(path, variables, shard_size=170)
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        *(f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3)), "model.safetensors.index.json",
    ]  # fmt: skip
    assert json.loads(path.read_text())["metadata"] == {"total_size": 400}
    for v in variables:
        v.value = np.full(10, -1.0)
    from graphc.saving import safetensors

    before, write, calls = sorted(tmp_path.iterdir()), safetensors.write, []

    def full(file: Any, arrays: Any) -> None:
        calls.append(1)
        if len(calls) == 2:
            raise OSError("no space left on device")
        write(file, arrays)

    monkeypatch.setattr(safetensors, "write", full)
    with pytest.raises(OSError, match="no space left"):
        gx.save(path, variables, shard_size=170)
    assert sorted(tmp_path.iterdir()) == before and gx.load(path)["w3"].tolist() == [3.0] * 10
    gx.save(path, variables, shard_size=10**6)
    assert len([*tmp_path.iterdir()]) == 2 and not gx.load(path, variables) and gx.load(path)["w3"].tolist() == [-1.0] * 10
    with pytest.raises(InputError, match="shard_size is 0"):
        gx.save(path, variables, shard_size=0)


@pytest.mark.parametrize("name", [f"{place}secret.safetensors" for place in ("../", "/", "part/", "a\\", "C:")] + ["secret"])
def test_an_index_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    (folder / "part").mkdir(parents=True)
    for place in (tmp_path, folder / "part"):
        package.save_file({"w": np.ones(2)}, place / "secret.safetensors")
    path = folder / "model.safetensors.index.json"
    path.write_text(json.dumps({"weight_map": {"w": name}}))
    with pytest.raises(FileError, match="is no plain name"):
        gx.load(path)


# --- bad files -------------------------------------------------------------------------------------------------------


def test_a_sample_of_bad_files() -> None:
    """More of them: python tests/saving/bad_weights.py --files 2000"""
    counts, wrong = bad_weights.fuzz(300, 7)
    assert not wrong, wrong
    assert sum(counts.values()) == 300 and sum(n for key, n in counts.items() if "refused" in key) > 150


def test_what_the_package_refuses_must_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bad_weights, "by_the_package", lambda path: False)
    assert bad_weights.fuzz(60, 7)[1]
