"""Formulas of transcendental functions in primitives, a file for each family.

Every function takes a recorder and float32 or float64 values, and gives the value. Errors are at most 2 ulp, 4 for pow,
erfinv, lgamma and digamma; `tests/ulp.py` measures them. Polynomials are minimax; `tests/remez.py` computes their coefficients.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from graphc.ir.scalar import Value
from graphc.passes.elementary import error, exponential, gamma, inverse, logarithm, power, trigonometric

FUNCTIONS: Mapping[str, Callable[..., Value]] = {
    function.__name__: function
    for function in (
        exponential.exp, exponential.exp2, exponential.expm1, exponential.sigmoid, exponential.tanh, exponential.sinh,
        exponential.cosh, logarithm.log, logarithm.log2, logarithm.log10, logarithm.log1p, logarithm.softplus, logarithm.asinh,
        logarithm.acosh, logarithm.atanh, trigonometric.sin, trigonometric.cos, trigonometric.tan, inverse.asin, inverse.acos,
        inverse.atan, inverse.atan2, error.erf, error.erfc, error.erfinv, gamma.lgamma, gamma.digamma, power.pow, power.cbrt,
        power.hypot,
    )
}  # fmt: skip

__all__ = ["FUNCTIONS"]
