"""A European call's price by Black and Scholes, and its derivatives by spot (delta, gamma) and volatility (vega).

The derivatives come from each contender's automatic differentiation. Black and Scholes, "The pricing of options and corporate
liabilities", J. Polit. Econ. 81 (1973).
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload, pure

ROOT_HALF = math.sqrt(0.5)


def black_scholes(n: int) -> Workload:
    def arrays() -> tuple[Array, ...]:
        rng = np.random.default_rng(0)
        ranges = ((80, 120), (90, 110), (0.2, 2), (0.01, 0.05), (0.1, 0.5))  # spot, strike, years, rate, volatility
        return tuple(rng.uniform(low, high, n).astype(np.float32) for low, high in ranges)

    return Workload(
        f"Black-Scholes, 3 greeks, n = {n:,}", arrays,
        {"graphc": _graphc, "jax": _jax, "torch": _torch, "torch.compile": partial(_torch, compiled=True), "pytensor": _pytensor},
        tolerance=2e-5,
        bytes=9 * 4 * n if n >= 1_000_000 else 0,
    )  # fmt: skip


def price(spot: Any, strike: Any, years: Any, rate: Any, vol: Any, m: Any) -> Any:
    """`m` is the module whose functions are meant."""
    deviation = vol * m.sqrt(years)
    d1 = (m.log(spot / strike) + (rate + 0.5 * vol * vol) * years) / deviation
    below = lambda x: 0.5 * (1 + m.erf(x * ROOT_HALF))
    return spot * below(d1) - strike * m.exp(-rate * years) * below(d1 - deviation)


def _graphc(*arrays: Array, backend: str = "llvm") -> Run:
    inputs = [gx.placeholder(name, ("n",), "float32") for name in ("spot", "strike", "years", "rate", "vol")]
    value = price(*inputs, gx)
    delta, vega = gx.grad(gx.sum(value), [inputs[0], inputs[4]])
    gamma = gx.grad(gx.sum(delta), inputs[0])
    f = gx.compile(inputs, [value, delta, gamma, vega], backend=backend)
    return pure(lambda: f(*arrays))


class _JaxFunctions:
    def __init__(self) -> None:
        import jax

        self.sqrt, self.log, self.exp, self.erf = jax.numpy.sqrt, jax.numpy.log, jax.numpy.exp, jax.scipy.special.erf


def _jax(*arrays: Array) -> Run:
    import jax

    m = _JaxFunctions()

    def first(spot: Any, strike: Any, years: Any, rate: Any, vol: Any) -> tuple[Any, Any, Any]:
        value, pull = jax.vjp(lambda s, v: price(s, strike, years, rate, v, m), spot, vol)
        return value, *pull(jax.numpy.ones_like(value))

    @jax.jit
    def f(spot: Any, *others: Any) -> tuple[Any, ...]:
        # forward over reverse: one element's delta depends on its own spot alone
        (value, delta, vega), (_, gamma, _) = jax.jvp(lambda s: first(s, *others), (spot,), (jax.numpy.ones_like(spot),))
        return value, delta, gamma, vega

    on_device = [jax.numpy.asarray(a) for a in arrays]
    return pure(lambda: jax.block_until_ready(f(*on_device)))


def _torch(*arrays: Array, compiled: bool = False) -> Run:
    import torch

    spot, strike, years, rate, vol = (torch.from_numpy(a) for a in arrays)
    spot.requires_grad_()
    vol.requires_grad_()

    value_of = partial(price, m=torch)
    if compiled:  # Dynamo does not trace through a double backward: the greeks as functional derivatives, in one graph
        from torch.func import jvp, vjp

        def greeks(spot: Any, strike: Any, years: Any, rate: Any, vol: Any) -> Any:
            def first(spot: Any) -> Any:
                value, pull = vjp(lambda s, v: value_of(s, strike, years, rate, v), spot, vol)
                return value, *pull(torch.ones_like(value))

            (value, delta, vega), (_, gamma, _) = jvp(first, (spot,), (torch.ones_like(spot),))
            return value, delta, gamma, vega

        whole, tensors = torch.compile(greeks, dynamic=False), [t.detach() for t in (spot, strike, years, rate, vol)]
        return pure(lambda: whole(*tensors))

    def call() -> list[Any]:
        value = value_of(spot, strike, years, rate, vol)
        delta, vega = torch.autograd.grad(value.sum(), [spot, vol], create_graph=True)
        (gamma,) = torch.autograd.grad(delta.sum(), [spot])
        return [y.detach() for y in (value, delta, gamma, vega)]

    return pure(call)


def _pytensor(*arrays: Array) -> Run:
    import pytensor
    import pytensor.tensor as pt

    inputs = [pt.vector(name, dtype="float32") for name in ("spot", "strike", "years", "rate", "vol")]
    value = price(*inputs, pt)
    delta, vega = pt.grad(value.sum(), [inputs[0], inputs[4]])
    gamma = pt.grad(delta.sum(), inputs[0])
    f = pytensor.function(inputs, [value, delta, gamma, vega], trust_input=True)
    return pure(lambda: f(*arrays))
