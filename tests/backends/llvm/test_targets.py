"""Programs for other processors than this one: what they compute, what they are made of, and what cannot run here.

`bash .ci/targets` runs every test for each target.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_golden import PROGRAMS

import graphc as gx
from graphc.backends.llvm import cache
from graphc.backends.llvm.contraction import column_bytes
from graphc.backends.llvm.host import _caches, cannot_run, described
from graphc.errors import InputError, ParseError
from graphc.ir.layout import least_rows, tallest
from graphc.ir.target import TARGETS, Target, find_target, host
from graphc.ir.text import print_title
from graphc.passes.lowering.tiling import outer_tiles

NAMES = [name for name in ("x86-64-v2", "x86-64-v3", "generic") if not cannot_run(TARGETS[name])]
LLVM_TARGETS = {"x86-64-v2": "xmm", "x86-64-v3": "ymm", "x86-64-v4": "zmm"}
KB, MB = 1024, 1 << 20


def values(f: gx.Compiled) -> list[np.ndarray]:
    rng = np.random.default_rng(7)
    sizes = {"batch": 37, "n": 1025}
    shapes = [[sizes.get(str(n), n) for n in x.type.shape] for x in f.inputs]
    return [rng.normal(size=shape).astype(x.type.dtype.numpy) for shape, x in zip(shapes, f.inputs, strict=True)]


def results(f: gx.Compiled, given: list[np.ndarray]) -> list[np.ndarray]:
    made = f(*given)
    return [*(made if isinstance(made, list) else [made]), *(v.value for v in f.graph.variables)]


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize("target", NAMES)
def test_the_golden_programs(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """They compute what they do for this machine, and read back as what they are."""
    here = {name: results(f, values(f)) for name, f in ((name, build()) for name, build in PROGRAMS.items())}
    monkeypatch.setenv("GRAPHC_TARGET", target)
    for name, build in PROGRAMS.items():
        f = build()
        assert f.target == f.program.target == TARGETS[target]
        assert f"\n  target {print_title(target)}\n" in str(f.program)
        assert str(gx.ir.parse(str(f.program))) == str(f.program)
        for got, want in zip(results(f, values(f)), here[name], strict=True):
            np.testing.assert_allclose(got, want, 2e-5, 1e-6, err_msg=name)


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize("target", NAMES)
def test_products(target: str) -> None:
    """Every height of a tile and every kind of last column; numbers so small that sums are exact, rounded once or twice."""
    found = TARGETS[target]
    lanes = found.lanes(4)
    rows, columns = (1, tallest(found), 3 * tallest(found) + 1), (1, lanes + 1, 2 * lanes, 5 * lanes + 3)
    x, y = gx.placeholder("x", ("m", 40)), gx.placeholder("y", (40, "n"))
    half = gx.placeholder("h", (40, "n"), "float16")
    f = gx.compile([x, y, half], [gx.maximum(x @ y, 0), x @ gx.astype(half, "float32"), (x @ y).T], target=target)
    rng = np.random.default_rng(0)
    for m, n in itertools.product(rows, columns):
        a, b = (rng.integers(-8, 9, size=shape).astype(np.float32) for shape in ((m, 40), (40, n)))
        plain, widened, turned = f(a, b, b.astype(np.float16))
        np.testing.assert_array_equal(plain, np.maximum(a @ b, 0))
        np.testing.assert_array_equal(widened, a @ b)
        np.testing.assert_array_equal(turned, (a @ b).T)


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize("target", NAMES)
def test_all_but_products_has_the_bits_of_every_target(target: str) -> None:
    """Functions are made of fma, which is rounded once whether or not it is one instruction; sums have an order of their own."""
    x, y = gx.placeholder("x", ("n",)), gx.placeholder("y", ("n",), "float64")
    outputs = [gx.exp(x), gx.tanh(x) * x, gx.floor(x) + gx.round(x), gx.log(gx.abs(y)), gx.astype(y * 1e6, "int32"), y % 0.7]
    outputs += [gx.sum(x), gx.mean(y * y), gx.prod(1 + x / 1e4), gx.cumulative_sum(y), gx.max(x), gx.sum(gx.outer(x, x), axis=0)]
    rng = np.random.default_rng(1)
    a, b = rng.normal(scale=4, size=1003).astype(np.float32), rng.normal(size=1003)
    for got, want in zip(gx.compile([x, y], outputs, target=target)(a, b), gx.compile([x, y], outputs)(a, b), strict=True):
        assert got.tobytes() == want.tobytes()


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize("target", NAMES)
def test_float16_has_the_same_bits_with_and_without_instructions_for_it(target: str) -> None:
    """All float16; floats about every boundary of theirs, ties among them."""
    x, y, z = gx.placeholder("x", ("n",), "float16"), gx.placeholder("y", ("m",)), gx.placeholder("z", ("m",), "float64")
    every = np.arange(1 << 16).astype(np.uint16).view(np.float16)
    near = every.astype(np.float32).view(np.uint32)[:, None] + np.array([0, 1, 0xFFF, 0x1000, 0x1001], np.uint32)
    singles = near.ravel().view(np.float32)
    with np.errstate(all="ignore"):
        doubles = singles.astype(np.float64) * (1 + 2.0**-40)
    f = gx.compile([x, y, z], [gx.astype(x, "float32"), gx.astype(y, "float16"), gx.astype(z, "float16")], target=target)
    for got, given in zip(f(every, singles, doubles), (every, singles, doubles), strict=True):
        with np.errstate(all="ignore"):
            want = given.astype(got.dtype)
        nan = np.isnan(want)
        assert (np.isnan(got) == nan).all()
        assert got[~nan].tobytes() == want[~nan].tobytes()


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize(("target", "registers"), LLVM_TARGETS.items())
def test_code_has_the_vectors_of_its_target_and_no_wider_ones(target: str, registers: str) -> None:
    if cannot_run(TARGETS[target]):
        pytest.skip("this machine cannot run it")
    x = gx.placeholder("x", ("n",))
    (kernel,) = gx.compile([x], x * 3 + 1, target=target).kernels
    found = set(re.findall(r"%([xyz]mm)\d", kernel.assembly))
    assert registers in found
    assert not found & set(list(LLVM_TARGETS.values())[list(LLVM_TARGETS).index(target) + 1 :])


def test_caches_change_no_bits() -> None:
    """Where attention goes through memory, and how much of an operand is packed at once, follow from caches."""
    q, k, v = (gx.placeholder(n, (4, 96, 32)) for n in "qkv")
    scores = q @ gx.matrix_transpose(k) / 8
    y = gx.nn.softmax(scores, axis=-1) @ v
    outputs = [y, *gx.grad(gx.sum(y * y), [q, k, v])]
    given = [np.random.default_rng(i).normal(size=(4, 96, 32)).astype(np.float32) for i in range(3)]
    found, kernels = set(), set()
    for second in (16 * KB, MB, 8 * MB):
        f = gx.compile([q, k, v], outputs, target=replace(host(), name="other caches", caches=(32 * KB, second, MB)))
        kernels.add(len(f.program.calls))
        found.add(tuple(y.tobytes() for y in f(*given)))
    assert len(found) == 1 and len(kernels) > 1


def test_what_follows_from_a_target() -> None:
    v3, v4 = TARGETS["x86-64-v3"], TARGETS["x86-64-v4"]
    assert (least_rows(v4), least_rows(v3)) == (7, 3)
    assert (column_bytes(v4), column_bytes(v3)) == (512, 128)
    assert outer_tiles(128, 200, 4096, (), v4.panel)[1] % v4.panel == 0


@pytest.mark.usefixtures("llvm_itself")
def test_programs_in_programs_have_their_target() -> None:
    x = gx.placeholder("x", (3, 4))
    _, y = gx.scan(lambda c, x: (c + gx.sum(gx.linalg.eigvalsh(gx.outer(x, x))), c), gx.zeros((), "float32"), x)
    program = gx.compile([x], y, target="generic").program
    inner = [p for call in program.calls for p in getattr(call.kernel, "programs", ())]
    assert inner and all(p.target == TARGETS["generic"] for p in inner)


def test_a_target_of_ones_own_prints_its_facts_and_reads_back() -> None:
    mine = Target("mine", vector_bytes=32, fma=True, features="+fma", caches=(1, 2, 3))
    x = gx.placeholder("x", ("n",))
    program = gx.compile([x], x + 1, target=mine, backend="program").program
    assert 'target mine (features="+fma", vector_bytes=32, fma=true, caches=[1, 2, 3])' in str(program)
    assert gx.ir.parse(str(program)) == program
    for text, message in (("target unknown", "unknown target 'unknown'"), ("target mine (fuel=1)", "a target has no fuel")):
        with pytest.raises(ParseError, match=message):
            gx.ir.parse(re.sub(r"target [^\n]*", text, str(program)))


def test_keys_of_the_cache_differ_between_targets() -> None:
    keys = {cache.key_of("text", target) for target in (*TARGETS.values(), host())}
    assert len(keys) == len(TARGETS) + 1


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize(
    ("target", "environment", "message"),
    [
        ("x86-64-v9", "", r"there is no target 'x86-64-v9'[^$]*\"host\", \"x86-64-v1\", \"x86-64-v2\""),
        (None, "pdp11", "GRAPHC_TARGET names a target 'pdp11' that is not known"),
        (Target("riscv", "riscv64"), "", "cannot run what is made for riscv here: its architecture is"),
        (Target("none", features="+none"), "", "it lacks none"),
    ],
)
def test_what_is_refused(target: Any, environment: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRAPHC_TARGET", environment)
    x = gx.placeholder("x", ("n",))
    with pytest.raises(InputError, match=message):
        gx.compile([x], x + 1, target=target)


def test_the_interpreter_has_no_target() -> None:
    x = gx.placeholder("x", ("n",))
    assert gx.compile([x], x + 1, backend="interpreter").target is None


def test_the_record_of_a_machine(tmp_path: Path) -> None:
    old = described("x86_64", "corei7", {"sse4.2": True, "avx": False})
    assert (old.vector_bytes, old.registers, old.fma, old.masks, old.halves) == (16, 16, False, False, False)
    arm = described("arm64", "apple-m1", {"neon": True})
    assert (arm.architecture, arm.vector_bytes, arm.registers, arm.fma, arm.halves) == ("aarch64", 16, 32, True, True)
    for i, (level, kind, size) in enumerate([(1, "Data", "48K"), (1, "Instruction", "32K"), (2, "Unified", "2M"), (3, "?", "x")]):
        folder = tmp_path / f"index{i}"
        folder.mkdir()
        for name, text in (("level", str(level)), ("type", kind), ("size", size)):
            (folder / name).write_text(text + "\n")
    assert _caches(tmp_path) == (48 * KB, 2 * MB, 0)
    assert find_target("host") is host()
