"""The incomplete gamma and beta functions: probabilities of the gamma and the beta distribution.

The probability of the tail beyond x, on whichever side of the mode, is

    mass(x) * integral over w from 0 of mass(t(w)) / mass(x),

where mass(t) is the density times t, or times t (1 - t), and w is the way from x to t in log(t), or in log(t / (1 - t)). The
integrand begins at 1 and falls within about a width that is known; nothing cancels, whatever the parameters are, and a fixed
number of nodes serves all. The other tail is 1 less it. The derivative for a parameter is the same integral with the derivative
of the logarithm as a factor. All of it is float64 inside.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from graphc import ops
from graphc.ops.custom import GradientRule, with_gradient
from graphc.ops.declare import broadcast_shapes, promote_operands, to_float
from graphc.ops.sampling import nodes
from graphc.ops.tensor import Tensor, TensorLike

_NODES, _WEIGHTS = nodes(-3.6, 5.5, 128)
_LEAST = 1e-290  # of a parameter: a tail's width is 1 over it

# Stirling's series, Abramowitz and Stegun 6.1.41: lgamma(z) - ((z - 1/2) log(z) - z + log(2 pi) / 2), from z = 10 on to 1e-17
_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188, -691 / 360360, 1 / 156)


def beyond_stirling(z: Tensor) -> Tensor:
    """lgamma(z) less Stirling's formula."""
    inverse = 1 / ops.maximum(z, 10.0)
    square = inverse * inverse
    series = square * _STIRLING[-1]
    for c in _STIRLING[-2:0:-1]:
        series = (series + c) * square
    small = ops.minimum(z, 10.0)
    formula = (small - 0.5) * ops.log(small) - small + 0.5 * math.log(2 * math.pi)
    return ops.where(z >= 10, (series + _STIRLING[0]) * inverse, ops.lgamma(small) - formula)


def _log_ratio(x: Tensor, mean: Tensor, off: Tensor) -> Tensor:
    """log(x / mean); off = x - mean has more of its digits where they are close."""
    close = ops.abs(off) < 0.5 * mean
    near = ops.log1p(ops.where(close, off / mean, 0.0))
    return ops.where(close, near, ops.log(ops.where(close, 1.0, ops.minimum(x / mean, 1e308))))


def _tail(width: Tensor, fall: Callable[[Tensor], Tensor], factor: Callable[[Tensor], Tensor] | None = None) -> Tensor:
    """The integral of exp(fall(w)) over w from 0, or of its product with a factor. Operands have a last axis of 1."""
    width = ops.stop_gradient(width)  # the integral does not depend on it
    w = width * ops.constant(_NODES)
    found = ops.exp(fall(w)) if factor is None else ops.exp(fall(w)) * factor(w)
    return ops.squeeze(width, -1) * ops.sum(found * ops.constant(_WEIGHTS), axis=-1)


# --- gamma -----------------------------------------------------------------------------------------------------------


def _gamma_mass(a: Tensor, x: Tensor) -> Tensor:
    """x times the density at x of the gamma distribution of shape a."""
    off = x - a
    return ops.exp(a * _log_ratio(x, a, off) - off - beyond_stirling(a)) * ops.sqrt(a * (0.5 / math.pi))


def _gamma_tail(a: Tensor, x: Tensor, slope: bool = False) -> Tensor:
    """The probability below x where x is at most a or 1, else that above it; or its derivative for a."""
    mass, above, shift = _gamma_mass(a, x), _gamma_above(a, x), ops.log(x) - ops.digamma(a) if slope else x
    a, x, above, shift = (ops.expand_dims(v, -1) for v in (a, x, above, shift))
    sign = ops.where(above, 1.0, -1.0)
    width = 1 / ops.where(above, x - a + ops.sqrt(x), ops.maximum(a - x, 0.0) + ops.minimum(ops.sqrt(x), a))
    fall = lambda w: sign * a * w - x * ops.expm1(sign * w)
    return mass * _tail(width, fall, (lambda w: shift + sign * w) if slope else None)


def _gamma_above(a: Tensor, x: Tensor) -> Tensor:
    return x > ops.maximum(a, 1.0)


def _gamma_rule(g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    slope = _gamma_tail(a, x, slope=True)
    return g * ops.where(_gamma_above(a, x), -slope, slope), g * _gamma_mass(a, x) / x


def _gamma_upper_rule(g: Tensor, a: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
    return _gamma_rule(-g, a, x)


def _regularised_gamma(name: str, a: TensorLike, x: TensorLike, upper: bool) -> Tensor:
    made, dtype = promote_operands(name, [a, x], to_float)
    shape = broadcast_shapes(name, [v.type for v in made])
    a, x = (ops.astype(ops.broadcast_to(v, shape), "float64") for v in made)
    inside = (a > 0) & (a < math.inf) & (x > 0) & (x < math.inf)
    inner_a, inner_x = ops.where(inside, ops.maximum(a, _LEAST), 1.0), ops.where(inside, x, 1.0)
    tail = ops.minimum(_gamma_tail(inner_a, inner_x), 1.0)
    value = ops.where(_gamma_above(inner_a, inner_x) == upper, tail, 1 - tail)
    value = with_gradient(value, inner_a, inner_x, rule=GradientRule(name, _gamma_upper_rule if upper else _gamma_rule))
    end = (x == math.inf) & (a < math.inf)  # at the ends one of the two is 0 and the other 1
    known = (a > 0) & (x >= 0) & ~((a == math.inf) & (x == math.inf))
    edge = ops.where(known, ops.astype(end != upper, "float64"), math.nan)
    return ops.astype(ops.where(inside, value, edge), dtype)


def gammainc(a: TensorLike, x: TensorLike) -> Tensor:
    """The regularised lower incomplete gamma function: the probability below x of the gamma distribution of shape a and scale 1.

    a: positive; x: at least 0; NaN elsewhere. They broadcast; integers count as floats. For a up to 1e6 the relative error is at
    most 1e-12 (float64; float32 is rounded from that) wherever the result is a normal number. The gradient for x is the density,
    exact as far; that for a is an integral of the same kind, with an error of 1e-11 of the largest that it takes for any x.

    >>> import graphc as gx
    >>> gx.gammainc(2.0, gx.constant([0.0, 1.0, 4.0])).eval().round(6)
    array([0.      , 0.264241, 0.908422])
    """
    return _regularised_gamma("gammainc", a, x, upper=False)


def gammaincc(a: TensorLike, x: TensorLike) -> Tensor:
    """The regularised upper incomplete gamma function, 1 - gammainc(a, x), with all digits where it is small.

    a: positive; x: at least 0; NaN elsewhere. Accuracy and gradients as of `gammainc`; for x below 1 and a below 1e-3 the error
    is 1e-16 of 1.

    >>> import graphc as gx
    >>> gx.gammaincc(2.0, gx.constant([0.0, 1.0, 40.0])).eval()
    array([1.00000000e+00, 7.35758882e-01, 1.74182524e-16])
    """
    return _regularised_gamma("gammaincc", a, x, upper=True)


# --- beta ------------------------------------------------------------------------------------------------------------


def _beta_mass(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """x (1 - x) times the density at x of the beta distribution."""
    n = a + b
    off = b * x - a * (1 - x)
    log_ratios = a * _log_ratio(x, a / n, off / n) + b * _log_ratio(1 - x, b / n, -off / n)
    beyond = beyond_stirling(n) - beyond_stirling(a) - beyond_stirling(b)
    return ops.exp(log_ratios + beyond) * ops.sqrt(a / n * b * (0.5 / math.pi))


def _beta_above(a: Tensor, b: Tensor, x: Tensor) -> Tensor:
    """Whether the upper tail is integrated: beyond the mean, if the other one is not 1 but for little."""
    left, right = b * x, a * (1 - x)
    return ops.where(x < 0.5, left > ops.maximum(right, 1.0), ~(right > ops.maximum(left, 1.0)))


def _beta_tail(a: Tensor, b: Tensor, x: Tensor, slopes: bool = False) -> tuple[Tensor, ...]:
    """The probability of the upper tail, or of the lower one; or the derivatives for a and for b of that of the lower."""
    mass, above = _beta_mass(a, b, x), _beta_above(a, b, x)
    p, q = ops.where(above, b, a), ops.where(above, a, b)  # the upper tail is the lower one of 1 - x, with a and b exchanged
    y, rest = ops.where(above, 1 - x, x), ops.where(above, x, 1 - x)
    shifts = [ops.log(v) - ops.digamma(c) + ops.digamma(a + b) for v, c in ((y, p), (rest, q))] if slopes else [y, y]
    p, q, y, rest, *shifts = (ops.expand_dims(v, -1) for v in (p, q, y, rest, *shifts))
    width = 1 / (ops.maximum(p * rest - q * y, 0.0) + ops.minimum(ops.sqrt((p + q) * y * rest), p))

    def far(w: Tensor) -> Tensor:
        return ops.log1p(y * ops.expm1(-w))

    def fall(w: Tensor) -> Tensor:
        return -p * w - (p + q) * far(w)

    if not slopes:
        return (mass * _tail(width, fall),)
    of_p = mass * _tail(width, fall, lambda w: shifts[0] - w - far(w))
    of_q = mass * _tail(width, fall, lambda w: shifts[1] - far(w))
    return ops.where(above, -of_q, of_p), ops.where(above, -of_p, of_q)


def _beta_rule(g: Tensor, a: Tensor, b: Tensor, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    of_a, of_b = _beta_tail(a, b, x, slopes=True)
    return g * of_a, g * of_b, g * _beta_mass(a, b, x) / (x * (1 - x))


def betainc(a: TensorLike, b: TensorLike, x: TensorLike) -> Tensor:
    """The regularised incomplete beta function: the probability below x of the beta distribution of shapes a and b.

    a, b: positive; x: from 0 to 1; NaN elsewhere. They broadcast; integers count as floats. For a and b up to 1e5 the relative
    error is at most 1e-11 (float64; float32 is rounded from that) wherever the result is a normal number. The gradient for x is
    the density, exact as far; those for a and b are integrals of the same kind, with an error of 1e-10 of the largest that they
    take for any x.

    >>> import graphc as gx
    >>> gx.betainc(2.0, 3.0, gx.constant([0.0, 0.5, 1.0])).eval()
    array([0.    , 0.6875, 1.    ])
    """
    made, dtype = promote_operands("betainc", [a, b, x], to_float)
    shape = broadcast_shapes("betainc", [v.type for v in made])
    a, b, x = (ops.astype(ops.broadcast_to(v, shape), "float64") for v in made)
    positive = (a > 0) & (a < math.inf) & (b > 0) & (b < math.inf)
    inside = positive & (x > 0) & (x < 1)
    a, b = (ops.where(inside, ops.maximum(v, _LEAST), 1.0) for v in (a, b))
    inner = ops.where(inside, x, 0.5)
    tail = ops.minimum(_beta_tail(a, b, inner)[0], 1.0)
    value = ops.where(_beta_above(a, b, inner), 1 - tail, tail)
    value = with_gradient(value, a, b, inner, rule=GradientRule("betainc", _beta_rule))
    edge = ops.where(positive & ((x == 0) | (x == 1)), x, math.nan)
    return ops.astype(ops.where(inside, value, edge), dtype)
