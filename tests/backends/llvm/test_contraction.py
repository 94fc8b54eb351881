"""Contractions: the library of register tiles, and the kernels around it, against NumPy."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pytest
from llvmlite import binding

import graphc as gx
from graphc.backends.llvm.host import cannot_run
from graphc.backends.llvm.tiles.library import native
from graphc.ir.layout import tallest
from graphc.ir.program import RUN as STEPS
from graphc.ir.program import Contract, Load, statements_of
from graphc.ir.target import TARGETS, Target, find_target

HEIGHT = tallest(find_target(None))
LANES = find_target(None).lanes(4)
EDGES = (1, 2, HEIGHT - 1, HEIGHT, HEIGHT + 1, 3 * HEIGHT + 1)
WIDTHS = (2, LANES - 1, LANES, LANES + 1, 2 * LANES, 2 * LANES + 3, 5 * LANES)


def numbers(*shape: int, dtype: Any = np.float32, seed: int = 0) -> Any:
    return np.random.default_rng((seed, *shape)).standard_normal(shape).astype(dtype)


def exact(*shape: int, seed: int = 0) -> Any:
    """Small integers: every order of summation gives the same bits."""
    return np.random.default_rng((seed, *shape)).integers(-8, 9, shape).astype(np.float32)


def product(a: Any, b: Any, left: str = "mk", right: str = "kn", end: Any = lambda c: c) -> Any:
    """The compiled product of two matrices whose axes lie in memory as named, and what a kernel does with it."""
    x, y = gx.placeholder("x", a.shape, str(a.dtype)), gx.placeholder("y", b.shape, str(b.dtype))
    step = gx.compile([x, y], end((x if left == "mk" else x.T) @ (y if right == "kn" else y.T)))
    return step(a, b)


@pytest.mark.parametrize("left", ["mk", "km"])
@pytest.mark.parametrize("right", ["kn", "nk"])
def test_edges(left: str, right: str) -> None:
    for m in EDGES:
        for n in WIDTHS:
            k = 1 + (m * n) % 37
            a, b = exact(m, k), exact(k, n, seed=1)
            found = product(a if left == "mk" else a.T.copy(), b if right == "kn" else b.T.copy(), left, right)
            np.testing.assert_array_equal(found, a @ b, err_msg=f"{m} x {k} x {n}")


@pytest.mark.parametrize("k", [0, 1, 2, 15, 16, 17, STEPS, STEPS + 1, 3 * STEPS - 5])
def test_lengths(k: int) -> None:
    a, b = exact(HEIGHT + 2, k), exact(k, 2 * LANES + 5, seed=1)
    np.testing.assert_array_equal(product(a, b), a @ b)
    np.testing.assert_array_equal(product(a, b, end=lambda c: gx.abs(c) + 1), np.abs(a @ b) + 1)
    np.testing.assert_array_equal(product(a.T.copy(), b.T.copy(), "km", "nk", lambda c: -c), -(a @ b))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_sizes_of_a_call(dtype: Any) -> None:
    """One kernel serves every number of rows and every length."""
    shapes = {"x": ("rows", "run"), "y": ("run", "columns"), "bias": ("columns",)}
    x, y, bias = (gx.placeholder(name, shape, np.dtype(dtype).name) for name, shape in shapes.items())
    step = gx.compile([x, y, bias], gx.maximum(x @ y + bias, 0))
    for m, k, n in ((1, 1, 1), (HEIGHT, 3, 40), (300, 20, 7), (5, 1100, 130), (33, 0, 65), (0, 4, 5), (257, 600, 129)):
        a, b, c = (numbers(*shape, dtype=dtype) for shape in ((m, k), (k, n), (n,)))
        bound = np.finfo(dtype).eps * 2 * math.sqrt(k + 1) * 8
        np.testing.assert_allclose(step(a, b, c), np.maximum(a @ b + c, 0), rtol=bound, atol=bound)


def test_operands_that_are_computed() -> None:
    """Operands are read through any index map and scalar code."""
    a, b, s = numbers(40, 50), numbers(50, 70), numbers(50)
    shapes = {"x": (40, 50), "y": (50, 70), "z": (50,)}
    x, y, z = (gx.placeholder(name, shape, "float32") for name, shape in shapes.items())
    cases = {
        "scaled": ((x * z) @ y, (a * s) @ b),
        "both": (gx.maximum(x, 0) @ (y * y), np.maximum(a, 0) @ (b * b)),
        "sliced": (x[1:, ::2] @ y[::2, 3:], a[1:, ::2] @ b[::2, 3:]),
        "turned": (gx.flip(x, axis=1) @ y[::-1], a[:, ::-1] @ b[::-1]),
        "spread": (gx.broadcast_to(z, (40, 50)) @ y, np.broadcast_to(s, (40, 50)) @ b),
        "columns": (x @ gx.broadcast_to(gx.expand_dims(z, axis=1), (50, 33)), a @ np.broadcast_to(s[:, None], (50, 33))),
        "converted": (gx.astype(x, "float64") @ gx.astype(y, "float64"), a.astype(float) @ b.astype(float)),
        "reshaped": (gx.reshape(x, (20, 100)) @ gx.reshape(y, (100, 35)), a.reshape(20, 100) @ b.reshape(100, 35)),
    }
    step = gx.compile([x, y, z], [result for result, _ in cases.values()])
    for name, found, (_, wanted) in zip(cases, step(a, b, s), cases.values(), strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5, err_msg=name)


def test_results_that_are_turned() -> None:
    a, b = exact(40, 50), exact(50, 70, seed=1)
    np.testing.assert_array_equal(product(a, b, end=lambda c: c.T), (a @ b).T)
    np.testing.assert_array_equal(product(a, b, end=lambda c: gx.abs(c).T + 1), np.abs(a @ b).T + 1)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_is_read_through_places_is_on_the_left_and_its_results_are_turned(dtype: str) -> None:
    """Windows that lie two apart: on the right they would be packed element by element. All edges of squares of lanes."""
    for m, n, taps in ((1, 17, 3), (LANES, 2 * LANES, 1), (LANES + 3, 45, 5), (5 * LANES + 1, 4, 7), (33, 60, 64)):
        windows = np.arange(n)[:, None] * 2 + np.arange(taps)  # of rows of odd length
        x, w = (exact(*shape).astype(dtype) for shape in ((3, 4, 2 * n + taps - 1), (m, 4 * taps)))
        sx, sw = gx.placeholder("x", ("images", *x.shape[1:]), dtype), gx.placeholder("w", w.shape, dtype)
        y = gx.nn.conv(sx, gx.reshape(sw, (m, 4, taps)), stride=2)
        alone, step = gx.compile([sx, sw], y), gx.compile([sx, sw], [y, gx.maximum(y + 1, 0)])
        wanted = w @ np.moveaxis(x[:, :, windows], 2, 3).reshape(3, 4 * taps, n)
        for count in (3, 0):
            made, more = step(x[:count], w)
            np.testing.assert_array_equal(made, wanted[:count])
            np.testing.assert_array_equal(more, np.maximum(wanted[:count] + 1, 0))
            np.testing.assert_array_equal(alone(x[:count], w), made)
    for run in (alone, step):
        assert f"turn_f{np.dtype(dtype).itemsize * 8}" in "".join(k.source for k in run.kernels)


def test_turned_results_of_long_sums() -> None:
    """Runs are added up before results are turned, and what follows is computed of turned ones."""
    x, w = exact(2, 40, 41), exact(LANES + 1, 40, 21, seed=1)
    sx, sw = gx.placeholder("x", ("n", 40, 41), "float32"), gx.placeholder("w", w.shape, "float32")
    y = gx.nn.conv(sx, sw, stride=2)
    step = gx.compile([sx, sw], [y, y * 2 - 1])
    assert STEPS < 40 * 21 and all("turn_f32" in k.source for k in step.kernels if "strip" in k.source)
    wanted = np.stack([np.tensordot(x[:, :, i : i + 21], w, ((1, 2), (1, 2))) for i in range(0, 21, 2)], 2)
    for found, want in zip(step(x, w), (wanted, wanted * 2 - 1), strict=True):
        np.testing.assert_array_equal(found, want)


def test_turned_results_touch_nothing_else() -> None:
    """Special values stay where they belong, and squares of lanes end where the results do."""
    x, w = np.ones((2, 3, 19), np.float32), np.ones((LANES + 1, 3, 3), np.float32)
    x[0, 1, 4], x[1, 2, 18], w[2, 0, 1] = np.nan, -np.inf, np.inf
    sx, sw = gx.placeholder("x", x.shape, "float32"), gx.placeholder("w", w.shape, "float32")
    y = gx.nn.conv(sx, sw, stride=2)
    with np.errstate(invalid="ignore"):
        wanted = np.stack([np.tensordot(x[:, :, i : i + 3], w, ((1, 2), (1, 2))) for i in range(0, 17, 2)], 2)
    np.testing.assert_array_equal(gx.compile([sx, sw], y)(x, w), wanted)


def test_batches() -> None:
    a, b = exact(3, 4, 30, 20), exact(3, 4, 20, 35, seed=1)
    np.testing.assert_array_equal(_batched(a, b), a @ b)
    np.testing.assert_array_equal(_batched(a[:1], b), a[:1] @ b)
    np.testing.assert_array_equal(_batched(a, b[0, 0]), a @ b[0, 0])


def _batched(a: Any, b: Any) -> Any:
    x, y = gx.placeholder("x", a.shape, "float32"), gx.placeholder("y", b.shape, "float32")
    return gx.compile([x, y], x @ y)(a, b)


def test_special_values() -> None:
    """NaN and infinities reach exactly the results that they belong to: padding adds nothing."""
    a, b = np.ones((HEIGHT + 1, 5), np.float32), np.ones((5, LANES + 3), np.float32)
    a[2, 1], a[3, 2], a[4, 3], b[4, 5] = np.nan, np.inf, -np.inf, np.inf
    with np.errstate(invalid="ignore"):
        wanted = a @ b
    for left in ("mk", "km"):
        for right in ("kn", "nk"):
            found = product(a if left == "mk" else a.T.copy(), b if right == "kn" else b.T.copy(), left, right)
            np.testing.assert_array_equal(found, wanted)


def test_bits_do_not_depend_on_the_tile() -> None:
    """A row has the same bits whatever stands beside it, on any number of threads, however the operands lie."""
    k, n = STEPS + 100, 300
    a, b = numbers(260, k), numbers(k, n)
    threads = gx.get_num_threads()
    try:
        gx.set_num_threads(1)
        whole = product(a, b)
        gx.set_num_threads(2)
        np.testing.assert_array_equal(product(a, b), whole)
    finally:
        gx.set_num_threads(threads)
    np.testing.assert_array_equal(product(a.T.copy(), b, "km"), whole)
    np.testing.assert_array_equal(product(a, b.T.copy(), "mk", "nk"), whole)
    for rows in (2, 3, 5, HEIGHT, HEIGHT + 1, 129):
        np.testing.assert_array_equal(product(a[:rows], b), whole[:rows])
    for columns in (2, LANES, LANES + 1, 40):
        np.testing.assert_array_equal(product(a, b[:, :columns].copy()), whole[:, :columns])
    np.testing.assert_array_equal(product(a, b, end=lambda c: c * 2), whole * 2)


def test_error_of_long_sums() -> None:
    """Runs are summed apart, so the error grows with the square root of their length and number, not of the whole."""
    k = 40 * STEPS
    a, b = np.full((4, k), 0.1, np.float32), np.full((k, 40), 0.1, np.float32)
    wanted = float(np.float32(0.1)) ** 2 * k
    assert abs(product(a, b)[0, 0] / wanted - 1) < 2e-5


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize(("left", "right"), [("mk", "kn"), ("mk", "nk"), ("km", "kn"), ("km", "nk")])
def test_operands_of_16_bits_are_read_as_they_are(dtype: str, left: str, right: str) -> None:
    """The bits are those of the product of the widened operands: right operands in place, copied, transposed, and their edges."""
    held = gx.ir.types.as_dtype(dtype).numpy
    axes = {"m": "rows", "k": "run", "n": "columns"}
    narrow = [gx.placeholder(name, tuple(axes[a] for a in order), dtype) for name, order in (("x", left), ("y", right))]
    wide = [gx.placeholder(x.attrs["name"], x.shape, "float32") for x in narrow]

    def products(x: gx.Tensor, y: gx.Tensor) -> gx.Tensor:
        return (x if left == "mk" else x.T) @ (y if right == "kn" else y.T)

    found = gx.compile(narrow, [products(*(gx.astype(x, "float32") for x in narrow)), products(*narrow)])
    wanted = gx.compile(wide, products(*wide))
    contracts = [s for call in found.program.calls for s in statements_of(call.kernel.body) if isinstance(s, Contract)]
    for side in (side for contract in contracts for side in (contract.left, contract.right)):  # the program says so itself
        (load,) = (s for s in side.body if isinstance(s, Load))
        assert (load.dtype.name, side.value.dtype.name) == (dtype, "float32")
    name = "pack_rows" if right == "kn" else "pack_columns"
    as_they_are = f"{name}_{gx.ir.types.as_dtype(dtype).short}_f32" in "".join(k.source for k in found.kernels)
    assert as_they_are is (dtype == "bfloat16" or find_target(None).halves)
    for m, k, n in ((1, 1, 1), (2, 40, 33), (HEIGHT, 70, 2 * LANES), (25, 600, 7 * LANES + 3), (130, 33, 40), (300, 5, 130)):
        a, b = numbers(m, k).astype(held), numbers(k, n).astype(held)
        if k > 4:
            a[0, 2], b[3, 0], b[4, -1] = np.float32(1e-6), np.nan, -np.inf  # subnormal in float16
        a, b = (np.ascontiguousarray(v if order in ("mk", "kn") else v.T) for v, order in ((a, left), (b, right)))
        whole = wanted(a.astype("float32"), b.astype("float32"))
        full, rounded = found(a, b)
        np.testing.assert_array_equal(full, whole)
        np.testing.assert_array_equal(rounded.astype("float32"), whole.astype(held).astype("float32"))


def test_products_of_two_types_in_one_kernel() -> None:
    """Both read their right operand through code."""
    x, y = gx.placeholder("x", (5, 3, 16), "float16"), gx.placeholder("y", (5, 3, 8), "float16")
    wide = gx.astype(gx.flip(x, axis=2), "float32")
    inner = wide @ gx.matrix_transpose(wide) @ wide
    step = gx.compile([x, y], gx.matrix_transpose(gx.astype(inner, "float64")) @ gx.astype(y, "float64"))
    a, b = (exact(*n).astype(np.float16) for n in ((5, 3, 16), (5, 3, 8)))
    assert any({"panel_f32", "panel_f64"} <= set(re.findall(r"panel_f\d+", k.source)) for k in step.kernels)
    c, d = a.astype(np.float64), b.astype(np.float64)
    c = c[..., ::-1]
    np.testing.assert_array_equal(step(a, b), np.swapaxes(c @ np.swapaxes(c, 1, 2) @ c, 1, 2) @ d)


@pytest.mark.parametrize(
    ("triple", "target"),
    [
        ("aarch64-unknown-linux-gnu", TARGETS["aarch64"]),
        ("x86_64-unknown-linux-gnu", TARGETS["x86-64-v2"]),
        ("x86_64-unknown-linux-gnu", TARGETS["x86-64-v3"]),
        ("x86_64-unknown-linux-gnu", TARGETS["generic"]),
    ],
)
@pytest.mark.parametrize("itemsize", [4, 8])
def test_other_machines(triple: str, target: Target, itemsize: int) -> None:
    """The library compiles for other machines and calls nothing: above all no fma() of the C library."""
    binding.initialize_all_targets()
    binding.initialize_all_asmprinters()
    made = binding.Target.from_triple(triple).create_target_machine(cpu=target.cpu, features=target.features, opt=3)
    names = ["strip_rows", "strip_columns", "strip_apart", "strip_beside", "last_rows", "last_apart", "last_beside"]
    cases = [(name, "") for name in (*names, "pack_rows", "pack_columns", "pack_places", "lay_out", "turn")]
    if itemsize == 4:
        sources = ("bf16", "f16") if target.halves else ("bf16",)
        cases += [(name, source) for name in ("strip_rows", "strip_columns", "pack_rows", "pack_columns") for source in sources]
    for name, source in cases:
        module = binding.parse_assembly(native(name, itemsize, target, source).text())
        module.verify()
        module.triple = triple
        text = made.emit_assembly(module)
        assert not re.search(r"\bfmaf?\b", text) and "__extendhfsf2" not in text
        if triple.startswith("aarch64") and name == "strip_rows" and not source:
            inside = max(re.split(r"^\.LBB\w+:", text, flags=re.M), key=lambda block: block.count("\tfmla\t"))
            assert inside.count("\tfmla\t") == 2 * tallest(target)
            assert "[sp" not in inside and "\tmov\tv" not in inside  # sums stay in registers


# --- integers of 8 bits ----------------------------------------------------------------------------------------------

INTEGERS = [name for name in ("host", "x86-64-v2", "x86-64-v4", "generic") if not cannot_run(find_target(name))]


@pytest.mark.usefixtures("llvm_itself")
@pytest.mark.parametrize("target", INTEGERS)
def test_integers_of_8_bits_are_exact_on_every_target(target: str) -> None:
    """The extremes of both types, one size for all symbols, on every edge of tiles, panels, groups of k and runs."""
    rng = np.random.default_rng(0)
    for left, right in (("int8", "int8"), ("uint8", "int8"), ("int8", "uint8"), ("uint8", "uint8")):
        x, y = gx.placeholder("x", ("m", "k"), left), gx.placeholder("y", ("k", "n"), right)
        step = gx.compile([x, y], gx.matmul(x, y, dtype="int32"), target=target)
        for m, k, n in ((2, 3, 2), (13, 0, 5), (HEIGHT + 1, 37, 2 * LANES + 3), (40, 2051, 4 * LANES), (3, 4 * STEPS, 33)):
            sides = ((left, (m, k)), (right, (k, n)))
            a, b = (rng.choice(np.array([0, 1, -1, 127, 128, 255], np.int64).astype(d), s) for d, s in sides)
            want = a.astype(np.int64) @ b.astype(np.int64)
            np.testing.assert_array_equal(step(a, b), want, err_msg=f"{left} {right} {m} {k} {n}")


@pytest.mark.usefixtures("llvm_itself")
def test_integers_of_8_bits_that_are_computed_where_they_are_read() -> None:
    """Operands that are windows of an image, transposed, or chosen; results that are made smaller at once, and stored turned."""
    rng = np.random.default_rng(1)
    x, w = gx.placeholder("x", ("n", 7, 7, 3), "uint8"), gx.placeholder("w", (5, 27), "int8")
    windows = gx.ops.slide(
        gx.broadcast_to(gx.reshape(x, ("n", 7, 7, 1, 1, 3)), ("n", 7, 7, 3, 3, 3)), axes=(1, 2), taps=(3, 4), by=(1, 1),
        along=(1, 1), start=(-1, -1), over=(1, 1), size=(7, 7), fill=0,
    )  # fmt: skip
    sums = gx.matmul(gx.reshape(windows, (x.shape[0] * 49, 27)), w.T, dtype="int32")
    made = [gx.quantize_linear(gx.nn.relu(gx.astype(sums, "float32")), 37.0, dtype="uint8"), gx.matrix_transpose(sums)]
    image, kernel = rng.integers(0, 256, (4, 7, 7, 3)).astype(np.uint8), rng.integers(-128, 128, (5, 27)).astype(np.int8)
    want = gx.compile([x, w], made, backend="interpreter")(image, kernel)
    for target in INTEGERS:
        for got, exact_value in zip(gx.compile([x, w], made, target=target)(image, kernel), want, strict=True):
            np.testing.assert_array_equal(got, exact_value, err_msg=target)


@pytest.mark.usefixtures("llvm_itself")
def test_one_instruction_multiplies_four_integers_where_the_target_has_it() -> None:
    x, y = gx.placeholder("x", (64, 64), "uint8"), gx.placeholder("y", (64, 64), "int8")
    for dot8, name in ((True, "strip_bytes"), (False, "strip_shorts")):
        target = Target("mine", "x86_64", "x86-64-v4", "+avx512f,+avx512bw,+avx512vnni", 64, 32, True, True, True, dot8)
        source = gx.compile([x, y], gx.matmul(x, y, dtype="int32"), target=target).kernels[0].source
        assert f"{name}_i32(" in source
    text = native("strip_bytes", 4, Target("mine", "x86_64", vector_bytes=32, registers=16, dot8=True)).text()
    assert "vpdpbusd.256" in text


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "int32", "int64"])
def test_products_of_integers_in_their_own_type_wrap(dtype: str) -> None:
    rng = np.random.default_rng(0)
    for m, k, n in ((1, 1, 1), (2, 2, 2), (3, 5, 7), (17, 33, 65)):
        a, b = rng.integers(-128, 128, (m, k)).astype(dtype), rng.integers(-128, 128, (k, n)).astype(dtype)
        np.testing.assert_array_equal(product(a, b), a @ b)
