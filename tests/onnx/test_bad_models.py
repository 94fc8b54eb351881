"""Models that are broken, or meant to break what reads them: a sample of tests/onnx/bad_models.py, and what it must find."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnx")
sys.path.insert(0, str(Path(__file__).parent))

import bad_models as bad
from onnx import TensorProto, helper

from graphc.onnx import ModelError, load


def test_a_sample_of_bad_models() -> None:
    """In a process of its own, which a crash would end: every trap, and some models of each change. All: bash .ci/onnx"""
    counts, wrong, _ = bad.run(len(bad.traps()) + 250, 3, suite=False)
    assert not wrong, wrong
    assert sum(counts.values()) == len(bad.traps()) + 250
    assert counts["trap refused"] > 70
    assert {f"{name} refused" for name in bad.CHANGES} <= {*counts}


TOLD = {
    "cycle": "node add1 of Add: nothing before it gives 'b'",
    "missing name": "node add1 of Add: nothing before it gives 'nothing'",
    "doubled name": "node neg1 of Neg: 'y' is made twice",
    "no output": "the model: nothing gives the output 'y'",
    "ConstantOfShape": "node constantofshape1 of ConstantOfShape: float32[1000000000000] has more than 274877906944 elements",
    "Resize": "node resize1 of Resize: its size, 1000000000000, is more than a model may ask for while it is read",
    "Resize by NaN": "node resize1 of Resize: its scales are [nan, 1.0]",
    "squares of sizes": "node mul1 of Mul: a size is a formula of more than 128 names",
    "a text that is none of its choices": "node scatternd1 of ScatterND: its attribute reduction is 'most', and may be none, "
    "add, mul, max, min",
    "a sequence where a tensor is": "node (unnamed) of com.microsoft::Gelu: operand 0 is a sequence",
    "a thousand directions": "node gru1 of GRU: direction=forward is of 1 cells, and its weights are f32[1000, 6, 3] "
    "and f32[1000, 6, 2]",
    "two operator sets": "the model has the operator sets 21 and 20",
    "operator set 10^9": "operator set 1000000000 is not known",
    "a loop without end that a size needs": "node reshape1 of Reshape: its shape is data: i64[1]",
    "functions that call functions twice": "node (unnamed) of mine::F2 is more than a model may ask for while it is read",
    "a function that calls itself": "node (unnamed) of mine::F: the function calls itself",
    "axis of each kind": "node softmax1 of Softmax: its attribute axis is of kind float instead of int",
    "a constant of -1": "the constant w has the sizes [-1, -1]",
    "an external constant": "the data of w stand in another file",
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told(name: str) -> None:
    made = bad.traps()[name]()
    with pytest.raises(ModelError) as caught:
        load(made)
    assert caught.value.message == TOLD[name]


def test_graphs_that_are_deeper_than_pythons_stack_are_refused() -> None:
    """Made part by part in memory, where no parser stops them."""
    model = bad.model([], {"x": [2]}, "y")
    here = model.graph
    for _ in range(1000):
        node = here.node.add(op_type="If", input=["x"], output=["y"])
        attribute = node.attribute.add(name="then_branch", type=5)
        here = attribute.g
        here.output.add(name="y")
    with pytest.raises(ModelError, match="nested more than 32 deep"):
        load(model)


@pytest.mark.parametrize("what", ["slow", "large", "opens", "breaks"])
def test_what_is_wrong_is_found(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(data: bytes) -> None:
        if what == "slow":
            monkeypatch.setattr(bad, "SECONDS", 0.0)
            sum(range(10**5))
        elif what == "large":
            monkeypatch.setattr(bad, "BYTES", 2**20)
            np.ones(10**6).sum()
        elif what == "opens":
            bad._watch("open", ("/etc/passwd", "r", 0))
        else:
            raise KeyError("inside")

    monkeypatch.setattr(bad, "load", wrong)
    assert bad.attempt(b"")[0] == "wrong"


def test_an_error_of_pythons_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def unclear(data: bytes) -> None:
        raise ModelError("node a of Add: KeyError: 'axis'")

    monkeypatch.setattr(bad, "load", unclear)
    assert bad.attempt(b"")[0] == "unclear"


# --- data beside the model -------------------------------------------------------------------------------------------

WEIGHTS = np.arange(4, dtype="float32")


def outside(folder: Path, location: str, /, **more: str) -> Path:
    """A model whose constant stands in a file."""
    made = bad.external(location)
    for key, value in more.items():
        made.graph.initializer[0].external_data.add(key=key, value=value)
    path = folder / "m.onnx"
    path.write_bytes(made.SerializeToString())
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model's folder, with a file of weights in it and a secret of the same form beside it."""
    inside = tmp_path / "model"
    (inside / "part").mkdir(parents=True)
    for path in (inside / "w.bin", inside / "part" / "w.bin", tmp_path / "secret"):
        path.write_bytes(WEIGHTS.tobytes())
    return inside


def test_data_are_read_from_the_models_folder_where_that_is_asked_for(folder: Path) -> None:
    zeros = np.zeros(4, "f")
    for location in ("w.bin", "part/w.bin"):
        path = outside(folder, location)
        with pytest.raises(ModelError, match="the data of w stand in another file") as caught:
            load(path)
        assert caught.value.hint is not None and "external=True" in caught.value.hint
        assert np.array_equal(load(path, external=True)(zeros), WEIGHTS)
        assert np.array_equal(load(path.read_bytes(), external=folder)(zeros), WEIGHTS)
    (folder / "w.bin").write_bytes(b"head" + WEIGHTS.tobytes() + b"tail")
    assert np.array_equal(load(outside(folder, "w.bin", offset="4", length="16"), external=True)(zeros), WEIGHTS)
    with pytest.raises(ModelError, match="needs the path of a model"):
        load(path.read_bytes(), external=True)


LED_OUT = {
    "CVE-2022-25882": "../secret",
    "CVE-2024-27318": "part/../../secret",
    "an absolute path": "{folder}/../secret",
    "an absolute path inside": "{folder}/w.bin",
    "backslashes": "..\\secret",
    "a drive": "C:secret",
    "nothing": "",
    "here": ".",
    "the folder itself": "part",
    "a byte of 0": "w.bin\0",
    "two slashes": "part//w.bin",
    "a device": "/dev/zero",
    "a file that is not there": "nothing.bin",
}


@pytest.mark.parametrize("kind", LED_OUT)
def test_no_name_leads_out_of_the_folder(folder: Path, kind: str) -> None:
    path = outside(folder, LED_OUT[kind].format(folder=folder))
    with pytest.raises(ModelError, match="the data of w: "):
        load(path, external=True)


@pytest.mark.skipif(os.name != "posix", reason="links")
@pytest.mark.parametrize("kind", ["CVE-2026-34447: a link", "CVE-2026-27489: a link to a folder", "CVE-2026-34446: a second name",
                                  "a link inside", "a pipe"])  # fmt: skip
def test_no_link_is_followed(folder: Path, kind: str) -> None:
    location = "link"
    if kind.endswith("a link"):
        (folder / "link").symlink_to(folder.parent / "secret")
    elif kind.endswith("a folder"):
        (folder / "link").symlink_to(folder.parent)
        location = "link/secret"
    elif kind.endswith("second name"):
        os.link(folder.parent / "secret", folder / "link")
    elif kind.endswith("inside"):
        (folder / "link").symlink_to(folder / "w.bin")
    else:
        os.mkfifo(folder / "link")
    path = outside(folder, location)
    with pytest.raises(ModelError, match="the data of w: "):
        load(path, external=True)


@pytest.mark.parametrize("more", [
    {"offset": "4"}, {"offset": "-4"}, {"offset": "1e3"}, {"offset": str(2**63)}, {"offset": "9" * 30}, {"length": "8"},
    {"length": str(10**15)}, {"length": "-1"}, {"offset": "0", "length": "17"}, {"location": "w.bin"}, {"__class__": "x"},
    {"offset": "\u0663"},
])  # fmt: skip
def test_places_beyond_the_file_and_other_keys_are_refused(folder: Path, more: dict[str, str]) -> None:
    """CVE-2026-34445 is the last but one: keys became attributes of an object."""
    with pytest.raises(ModelError, match="the data of w: "):
        load(outside(folder, "w.bin", **more), external=True)


def test_data_that_overlap_are_refused_and_equal_ones_are_not(folder: Path) -> None:
    (folder / "w.bin").write_bytes(np.arange(6, dtype="float32").tobytes())
    for offset, fine in (("0", True), ("16", False), ("4", False), ("8", False)):
        made = bad.external("w.bin")
        made.graph.initializer.add().CopyFrom(made.graph.initializer[0])
        made.graph.initializer[1].name = "v"
        made.graph.initializer[1].external_data.add(key="offset", value=offset)
        made.graph.node[0].input[0] = "v"
        (folder / "m.onnx").write_bytes(made.SerializeToString())
        if fine:
            load(folder / "m.onnx", external=True)
            continue
        with pytest.raises(ModelError, match="the data of v: "):
            load(folder / "m.onnx", external=True)


def test_a_sparse_size_asks_for_no_memory(folder: Path) -> None:
    """10^12 elements of a file of 16 bytes."""
    made = bad.external("w.bin")
    made.graph.initializer[0].dims[:] = [10**12]
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    with pytest.raises(ModelError, match="bytes 0 to 4000000000000 of a file of 16"):
        load(folder / "m.onnx", external=True)


def test_booleans_of_other_bytes_are_true(folder: Path) -> None:
    (folder / "w.bin").write_bytes(bytes([0, 1, 7, 255]))
    made = bad.model([bad.node("Where", "w x x", "y")], {"x": [4]}, "y", w=np.ones(4, bool))
    bad._put_outside(made.graph.initializer[0], "w.bin")
    made.graph.node.append(helper.make_node("Identity", ["w"], ["b"]))
    made.graph.output.append(helper.make_tensor_value_info("b", TensorProto.BOOL, [4]))
    (folder / "m.onnx").write_bytes(made.SerializeToString())
    read = load(folder / "m.onnx", external=True).outputs["b"]
    assert read.eval({}).tolist() == [False, True, True, True]
