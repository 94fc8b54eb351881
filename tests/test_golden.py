"""Golden programs: the kernels of ten graphs, and the source of those without products, for one target.

`pytest tests/test_golden.py --update` writes them anew; read the difference before you commit it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import graphc as gx
from graphc.backends.llvm.source import print_source
from graphc.ir.program import Contract, statements_of
from graphc.ir.target import TARGETS, host

GOLDEN = Path(__file__).parent / "golden"
X, Y = gx.placeholder("x", ("batch", 64)), gx.placeholder("y", ("batch", 64))
B = gx.placeholder("b", (64,))
V = gx.placeholder("v", ("n",), "float64")


def _softmax():
    e = gx.exp(X - gx.max(X, axis=1, keepdims=True))
    return gx.compile([X], e / gx.sum(e, axis=1, keepdims=True))


def _layer_norm():
    off = X - gx.mean(X, axis=1, keepdims=True)
    return gx.compile([X, B], off / gx.sqrt(gx.mean(off * off, axis=1, keepdims=True) + 1e-5) * B)


def _linear_step():
    w = gx.variable(np.zeros((64, 32), "float32"), name="w")
    loss = gx.mean((X @ w - 1) ** 2)
    return gx.compile([X], loss, updates={w: w - 0.1 * gx.grad(loss, w)})


PROGRAMS = {
    "elementwise": lambda: gx.compile([X, Y], X * 2 + Y * X - 1),
    "broadcast": lambda: gx.compile([X, B], gx.sqrt(X + B)),
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "total": lambda: gx.compile([V], gx.sum(V * V)),
    "columns": lambda: gx.compile([X], gx.sum(X * X, axis=0) / 2),
    "transpose": lambda: gx.compile([X], X.T * 2),
    "concat_and_slice": lambda: gx.compile([V], gx.concat([V[1:], V[:1]]) - V),
    "take_gradient": lambda: gx.compile([V], gx.grad(gx.sum(gx.take(V, [0, 2, 2]) * 3), V)),
    "argmax": lambda: gx.compile([X], [gx.argmax(X, axis=1), gx.max(X, axis=1)]),
    "linear_step": _linear_step,
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_golden(name, request):
    f = PROGRAMS[name]()
    text = str(replace(f.program, target=host())) + "\n"  # which names none
    for kernel in f.kernels:
        if not any(isinstance(s, Contract) for s in statements_of(kernel.kernel.body)):
            text += "\n" + print_source(kernel.kernel, TARGETS["x86-64-v4"]).text
    file = GOLDEN / f"{name}.txt"
    if request.config.getoption("--update"):
        file.write_text(text)
    assert text == file.read_text()
