"""The data types in which runtimes compute an operator: of what the standard allows, onnxruntime's processor has a part.

As onnxruntime 1.32 has them (its kernels for operator set 21, 23 for Attention, and 26 for CumProd), without float16: it is
computed in float32, as graphc does. An operator that is not here is computed in any type that it is given.
"""

from __future__ import annotations

from collections.abc import Mapping

from graphc.ir import types as t
from graphc.ir.types import DType

_ALL = frozenset(t.DTYPES)
_NUMBERS = frozenset(t.INTEGERS) | frozenset(t.FLOATS)
_BOTH = frozenset(t.FLOATS)
_SINGLE = frozenset((t.float32,))
_COMMON = frozenset((t.int32, t.int64)) | _BOTH
_NARROW = _COMMON | {t.int8, t.uint8}
_WIDE = _NARROW | {t.uint32, t.uint64}

KERNELS: Mapping[str, frozenset[DType]] = {
    **dict.fromkeys(("Abs", "Add", "Div", "Mod", "Mul", "Sign", "Sub"), _NUMBERS),
    **dict.fromkeys(("Greater", "GreaterOrEqual", "Less", "LessOrEqual"), _NUMBERS),
    **dict.fromkeys(("BitwiseAnd", "BitwiseNot", "BitwiseOr", "BitwiseXor"), frozenset(t.INTEGERS)),
    **dict.fromkeys(("Ceil", "Cos", "Exp", "Floor", "IsInf", "IsNaN", "Log", "Round", "Sigmoid", "Sin", "Sqrt", "Tanh"), _BOTH),
    **dict.fromkeys(("Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "Cosh", "Erf", "Sinh", "Softplus", "Tan"), _SINGLE),
    **dict.fromkeys(("Conv", "ConvTranspose", "AveragePool", "Gelu"), _SINGLE),
    **dict.fromkeys(("CumSum", "Pow", "ReduceProd", "ReduceSum"), _COMMON),
    **dict.fromkeys(("ArgMax", "ArgMin"), _NARROW),
    **dict.fromkeys(("ReduceMax", "ReduceMin"), _NARROW),
    **dict.fromkeys(("Max", "Min"), _WIDE),
    "Attention": _BOTH,
    "BitShift": frozenset((t.uint8, t.uint16, t.uint32, t.uint64)),
    "CumProd": _COMMON | {t.uint32, t.uint64},
    "DFT": _BOTH,
    "Equal": _NUMBERS | {t.bool_},
    "Expand": _ALL - {t.bfloat16},
    "LayerNormalization": _BOTH,
    "MatMul": _COMMON,  # and of unsigned integers, but then products over nothing fail
    "MaxPool": _BOTH | {t.int8, t.uint8},
    "Neg": _BOTH | {t.int8, t.int16, t.int32, t.int64},
    "Pad": _WIDE | {t.bool_, t.float16, t.bfloat16},
    "Softmax": _BOTH,
    "TopK": _NARROW | {t.int16},
    "Where": _NARROW | {t.uint32},
}

__all__ = ["KERNELS"]
