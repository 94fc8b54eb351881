"""Rows together: what they share is loaded once, every value keeps its bits, and threads keep something to share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.ir import dims
from graphc.ir.program import Load, statements_of
from graphc.ir.types import float32
from graphc.passes.join_rows import _along

RNG = np.random.default_rng(0)


def window(x: Any, height: int, width: int, step: int = 1) -> Any:
    """The sum over windows, with a factor for each place of one."""
    rows, columns = (x.shape[-2] - height) // step + 1, (x.shape[-1] - width) // step + 1
    total = None
    for i, j in np.ndindex(height, width):
        part = x[..., i : i + (rows - 1) * step + 1 : step, j : j + (columns - 1) * step + 1 : step] * float(i * width + j + 1)
        total = part if total is None else total + part
    return total


def depthwise(size: int, stride: int = 1) -> Callable[[Any], Any]:
    kernels = RNG.normal(size=(3, 1, size, size)).astype("float32")
    return lambda x: gx.nn.relu(gx.nn.conv(x, gx.variable(kernels), padding=size // 2, stride=stride, groups=3))


KERNELS: dict[str, tuple[Callable[[Any], Any], tuple[int, ...]]] = {
    "windows": (lambda x: window(x, 3, 3), (2, 10, 21)),
    "three rows": (lambda x: window(x, 2, 3), (4, 10, 37)),
    "depthwise 5x5": (depthwise(5), (1, 3, 8, 20)),
    "depthwise 5x5, a stride": (depthwise(5, 2), (1, 3, 16, 22)),
    "depthwise 3x3, half a vector": (depthwise(3), (1, 3, 4, 40)),
    "in place": (lambda x: window(gx.pad(x, ((0, 0), (2, 2), (2, 2))), 5, 5) + x, (4, 8, 19)),
}


def run(build: Callable[[Any], Any], shape: tuple[int, ...], joined: bool, monkeypatch: pytest.MonkeyPatch) -> tuple[Any, Any]:
    with monkeypatch.context() as patch:
        if not joined:
            patch.setattr(gx.passes, "LOWERING", [p for p in gx.passes.LOWERING if p.__name__ != "join_rows"])
        x = gx.placeholder("x", shape, "float32")
        f = gx.compile([x], build(x))
        return f, np.asarray(f(np.random.default_rng(1).normal(size=shape).astype("float32")))


def loads(f: Any) -> float:
    """Loads from images for each of the results."""
    (kernel,) = [k.kernel for k in f.kernels if sum(isinstance(s, Load) for s in statements_of(k.kernel.body)) > 5]
    count = sum(isinstance(s, Load) and s.buffer == "x0" for s in statements_of(kernel.body))
    return count * kernel.parallel[-1].stop


@pytest.mark.parametrize("name", KERNELS)
def test_values_keep_their_bits_and_loads_are_shared(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    build, shape = KERNELS[name]
    (f, together), (g, apart) = (run(build, shape, joined, monkeypatch) for joined in (True, False))
    assert together.tobytes() == apart.tobytes()
    assert loads(f) <= 0.75 * loads(g)


def test_few_long_rows_stay_for_threads_to_share(monkeypatch: pytest.MonkeyPatch) -> None:
    f, made = run(lambda x: window(x, 2, 3), (5, 4002), True, monkeypatch)
    g, _ = run(lambda x: window(x, 2, 3), (5, 4002), False, monkeypatch)
    assert loads(f) == loads(g)
    assert made.shape == (4, 4000)


def test_addresses_that_divide_by_a_size_have_no_place() -> None:
    n, m, i = map(dims.symbol, "nmi")
    for extra, place in ((n, 0), (dims.floordiv(n, m), None)):
        load = Load("0", float32, "x", (dims.add(i, extra),))
        assert _along(load, "i", {"x": (dims.mul(n, 9),)}) == place
