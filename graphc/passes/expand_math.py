"""Expand scalar operations into primitives.

    %1 = maximum(%0, 0.0)     =>   %t0 = ne(%0, %0)
                                   %t1 = gt(%0, 0.0)
                                   %t2 = or(%t0, %t1)
                                   %1 = select(%t2, %0, 0.0)

Afterwards every Let is a primitive of ir/scalar.py on types for which it is one. Exact operations, which give NumPy's bits,
are written here; the formulas of transcendental functions are in elementary/. What is common to several expansions in one
body is computed once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from graphc.ir import types as t
from graphc.ir.combines import SET, Combine
from graphc.ir.primitives import PRIMITIVES, STORAGE
from graphc.ir.program import Accumulate, Init, Kernel, Load, Program, Reduce, Statement, Store, bodies, with_bodies
from graphc.ir.scalar import Arg, Const, Let, Recorder, Ref, Scalars, Value, scalar_text
from graphc.ir.types import DType
from graphc.passes.elementary import FUNCTIONS
from graphc.passes.elementary.modulo import fmod
from graphc.passes.fresh_names import FreshNames

_SIGNED = {8: t.int8, 16: t.int16, 32: t.int32, 64: t.int64}


def expand_math(program: Program) -> Program:
    """The program with every kernel's scalar code in primitives."""
    done: dict[int, Kernel] = {}

    def once(kernel: Kernel) -> Kernel:
        if id(kernel) not in done:
            done[id(kernel)] = expand_kernel(kernel)
        return done[id(kernel)]

    return program.with_kernels(once)


def expand_kernel(kernel: Kernel) -> Kernel:
    """The kernel with its scalar code in primitives."""
    return replace(kernel, body=_body(kernel.body, FreshNames(kernel)))


def is_primitive(op: str, dtype: DType) -> bool:
    """Whether backends implement an operation on operands of a type (for select: of the type it chooses from)."""
    if op not in PRIMITIVES:
        return False
    if dtype.is_storage:
        return op in STORAGE
    if dtype.is_bool:
        return op in ("and", "or", "xor", "not", "eq", "ne", "select", "cast")
    if dtype.is_integer:
        return op not in ("floor", "ceil", "trunc", "rint") and (op not in ("neg", "abs") or dtype.kind == "i")
    return True


def _body(body: tuple[Statement, ...], names: FreshNames) -> tuple[Statement, ...]:
    result: list[Statement] = []
    recorder = _Expander(names)
    for statement in body:
        match statement:
            case Let():
                result += recorder.expand(statement)
                continue
            case Reduce(name=name, dtype=dtype, combine=combine, value=value) if combine.declared:
                value = recorder.combine(result, combine, Ref(name, dtype), value)
                statement = replace(statement, combine=SET, value=value)
            case Accumulate(buffer=buffer, index=index, combine=combine, value=value) if combine.declared:
                there = Ref(names.fresh(), value.dtype)
                result.append(Load(there.name, there.dtype, buffer, index))
                statement = Store(buffer, index, recorder.combine(result, combine, there, value))
                recorder = _Expander(names)
            case _:
                statement = with_bodies(statement, lambda inner: _body(inner, names))
        if bodies(statement) or isinstance(statement, (Init, Reduce, Accumulate)):  # it may hold old values of accumulators
            recorder = _Expander(names)
        result.append(statement)
    return tuple(result)


class _Expander(Recorder):
    """Records the expansions of one straight piece of code."""

    def __init__(self, names: FreshNames) -> None:
        super().__init__()
        self._names = names

    def fresh(self) -> str:
        return self._names.fresh()

    def expand(self, let: Let) -> list[Let]:
        """Primitive statements, of which the last defines the name of `let`."""
        operand = let.args[-1].dtype if let.args else let.dtype
        if let.op == "index" or is_primitive(let.op, operand):
            self.remember(let)
            return [let]
        self.statements = []
        found = expansion(self, let.op, [Value(self, a) for a in let.args]).arg
        assert found.dtype == let.dtype, f"{let}: {found.dtype} instead of {let.dtype}"
        return self._close(let, found.name if isinstance(found, Ref) else None, found)

    def combine(self, body: list[Statement], combine: Combine, old: Ref, new: Arg) -> Arg:
        """What a declared combination makes of two values; its code goes to the end of `body`."""
        written = _Expander(self._names)
        value = scalar_text(combine.code)(written, Value(written, old), Value(written, new))
        for let in written.statements:
            body += self.expand(let)
        return value.arg

    def _close(self, let: Let, result: str | None, found: Ref | Const) -> list[Let]:
        """The statements that the result needs; what it does not need is forgotten."""
        needed = {result}
        kept: list[Let] = []
        for statement in reversed(self.statements):
            if statement.name not in needed:
                self.forget(statement)
                continue
            needed |= {a.name for a in statement.args if isinstance(a, Ref)}
            kept.append(statement)
        if not kept or kept[0].name != result:  # an operand, a constant, or a value of an earlier expansion
            kept.insert(0, Let(let.name, let.dtype, "select", (Const(True, t.bool_), found, found)))
        else:
            kept[0] = replace(kept[0], name=let.name)
            self.remember(kept[0])
        return kept[::-1]


def expansion(k: Scalars, op: str, args: Sequence[Value]) -> Value:
    """What an operation is made of: recorded by `k`, which may be asked to expand its parts in turn."""
    dtype = args[-1].dtype
    if dtype.is_bool and op in _BOOLEAN:
        return _BOOLEAN[op](*args)
    if op in _EXACT:
        return _EXACT[op](k, *args)
    if op == "pow" and dtype.is_integer:
        return _integer_pow(k, *args)
    if op in FUNCTIONS and dtype.is_float:
        return FUNCTIONS[op](k, *args)
    raise NotImplementedError(f"scalar operation {op} on {dtype} has no expansion")


# --- booleans --------------------------------------------------------------------------------------------------------

_BOOLEAN: Mapping[str, Callable[..., Value]] = {
    "add": lambda a, b: a | b,
    "mul": lambda a, b: a & b,
    "maximum": lambda a, b: a | b,
    "minimum": lambda a, b: a & b,
    "lt": lambda a, b: ~a & b,
    "le": lambda a, b: ~a | b,
    "gt": lambda a, b: a & ~b,
    "ge": lambda a, b: a | ~b,
}

# --- signs and kinds of numbers --------------------------------------------------------------------------------------


def _bits(k: Scalars, x: Value) -> Value:
    return k.bitcast(x, _SIGNED[x.dtype.bits])


def _sign_mask(x: Value) -> int:
    return -(1 << (x.dtype.bits - 1))


def _maximum(k: Scalars, a: Value, b: Value) -> Value:
    return k.select((a != a) | (a > b) if a.dtype.is_float else a > b, a, b)


def _minimum(k: Scalars, a: Value, b: Value) -> Value:
    return k.select((a != a) | (a < b) if a.dtype.is_float else a < b, a, b)


def _sign(k: Scalars, x: Value) -> Value:
    """1, 0 or -1; NaN for NaN."""
    one, zero = k.const(1, x.dtype), k.const(0, x.dtype)
    if x.dtype.kind == "u":
        return k.select(x != 0, one, zero)
    rest = k.select(x == 0, zero, x) if x.dtype.is_float else zero
    return k.select(x > 0, one, k.select(x < 0, -one, rest))


def _copysign(k: Scalars, a: Value, b: Value) -> Value:
    return k.bitcast(_bits(k, abs(a)) | (_bits(k, b) & _sign_mask(b)), a.dtype)


def _nextafter(k: Scalars, a: Value, b: Value) -> Value:
    """Neighbours of one sign have bits that differ by 1."""
    bits = _bits(k, a)
    near = k.bitcast(k.select((b > a) == (a > 0), bits + 1, bits - 1), a.dtype)
    least = _copysign(k, k.bitcast(k.const(1, bits.dtype), a.dtype), b)
    return k.select((a != a) | (b != b), a + b, k.select(a == b, b, k.select(a == 0, least, near)))


def _isinf(k: Scalars, x: Value) -> Value:
    return abs(x) == math.inf if x.dtype.is_float else x != x


def _isfinite(k: Scalars, x: Value) -> Value:
    return abs(x) < math.inf if x.dtype.is_float else x == x


def _negative(k: Scalars, x: Value) -> Value:
    return k.const(0, x.dtype) - x


def _same(k: Scalars, x: Value) -> Value:
    return x


# --- division --------------------------------------------------------------------------------------------------------


def _floor_divide(k: Scalars, a: Value, b: Value) -> Value:
    if a.dtype.is_float:
        return _float_divmod(k, a, b)[0]
    return _integer_divmod(k, a, b)[0]


def _remainder(k: Scalars, a: Value, b: Value) -> Value:
    if a.dtype.is_float:
        return _float_divmod(k, a, b)[1]
    return _integer_divmod(k, a, b)[1]


def _float_divmod(k: Scalars, a: Value, b: Value) -> tuple[Value, Value]:
    """NumPy's algorithm (npy_divmod): from C's fmod, moved by one divisor where the signs differ."""
    mod = fmod(k, a, b)
    div = (a - mod) / b
    moved = (mod != 0) & ((b < 0) ^ (mod < 0))
    div = k.select(moved, div - 1.0, div)
    low = k.op("floor", div)
    whole = k.select(div - low > 0.5, low + 1.0, low)
    quotient = a / b
    zero = k.const(0.0, a.dtype)
    div = k.select(b == 0, quotient, k.select(div == 0, _copysign(k, zero, quotient), whole))
    clean = k.select(mod == 0, _copysign(k, zero, b), k.select(moved, mod + b, mod))
    return div, k.select(b == 0, mod, clean)


def _fmod(k: Scalars, a: Value, b: Value) -> Value:
    if a.dtype.is_float:
        return fmod(k, a, b)
    rest = _integer_divmod(k, a, b)[1]
    if a.dtype.kind == "u":
        return rest
    return k.select((rest != 0) & ((a ^ b) < 0), rest - b, rest)


def _integer_divmod(k: Scalars, a: Value, b: Value) -> tuple[Value, Value]:
    """Quotient rounded down and what is left; 0 where b is 0."""
    zero, one = k.const(0, a.dtype), k.const(1, a.dtype)
    if a.dtype.bits <= 32:  # a quotient of 32 bits is never rounded onto an integer in float64, whose division is vectorised
        quotient = k.op("floor", k.cast(a, t.float64) / k.cast(b, t.float64))
        div = k.cast(k.cast(quotient, t.int64), a.dtype)
    elif a.dtype.kind == "u":
        div = k.op("quot", a, k.select(b == 0, one, b))
    else:
        minus = b == -1
        safe = k.select((b == 0) | minus, one, b)
        down = k.op("quot", a, safe)
        left = a - down * safe
        down = k.select((left != 0) & ((left ^ b) < 0), down - 1, down)
        div = k.select(minus, -a, down)
    none = b == 0
    return k.select(none, zero, div), k.select(none, zero, a - div * b)


# --- shifts and powers of integers -----------------------------------------------------------------------------------


def _in_range(k: Scalars, count: Value) -> Value:
    inside = count < count.dtype.bits
    return inside if count.dtype.kind == "u" else inside & (count >= 0)


def _left_shift(k: Scalars, a: Value, count: Value) -> Value:
    inside, zero = _in_range(k, count), k.const(0, a.dtype)
    return k.select(inside, a << k.select(inside, count, zero), zero)


def _right_shift(k: Scalars, a: Value, count: Value) -> Value:
    inside, zero = _in_range(k, count), k.const(0, a.dtype)
    shifted = a >> k.select(inside, count, a.dtype.bits - 1)
    return shifted if a.dtype.kind == "i" else k.select(inside, shifted, zero)


def _integer_pow(k: Scalars, a: Value, b: Value) -> Value:
    """a to the power b modulo 2^bits; a negative power is the exact value truncated."""
    one, zero = k.const(1, a.dtype), k.const(0, a.dtype)
    if isinstance(b.arg, Const) and b.arg.value >= 0:
        return _product(k, a, b.arg.value)
    up = _modular_power(k, a, b)
    if a.dtype.kind == "u":
        return up
    down = k.select(a == 1, one, k.select(a == -1, one - ((b & 1) << 1), zero))
    return k.select(b < 0, down, up)


def _product(k: Scalars, a: Value, count: int) -> Value:
    result = k.const(1, a.dtype)
    for bit in bin(count)[2:]:
        result = result * result
        if bit == "1":
            result = result * a
    return result


def _modular_power(k: Scalars, a: Value, b: Value) -> Value:
    """a^b for b >= 0, from few steps of square and multiply.

    Write b = low + n * 2^s. For odd a, a^(2^s) = 1 + u with u a multiple of 2^(s + 2); where 3 * (s + 2) >= bits, u^3 is 0, so
    (1 + u)^n = 1 + n*u + n*(n - 1)/2 * u^2. For even a and n > 0 the power is 0, as 2^s >= bits.
    """
    one, zero = k.const(1, a.dtype), k.const(0, a.dtype)
    steps = max(-(-a.dtype.bits // 3) - 2, (a.dtype.bits - 1).bit_length())
    result, base = one, a
    for i in range(steps):
        result = result * k.select((b & (1 << i)) != 0, base, one)
        base = base * base
    n, u = b >> steps, base - 1
    pairs = (k.select((n & 1) != 0, n, n - 1)) * k.select((n & 1) != 0, (n - 1) >> 1, n >> 1)
    rest = one + n * u + pairs * (u * u)
    return result * k.select(((a & 1) == 0) & (n != 0), zero, rest)


_EXACT: Mapping[str, Callable[..., Value]] = {
    "maximum": _maximum,
    "minimum": _minimum,
    "sign": _sign,
    "copysign": _copysign,
    "nextafter": _nextafter,
    "signbit": lambda k, x: _bits(k, x) < 0,
    "isnan": lambda k, x: x != x,
    "isinf": _isinf,
    "isfinite": _isfinite,
    "neg": _negative,
    "abs": _same,
    "floor": _same,
    "ceil": _same,
    "trunc": _same,
    "rint": _same,
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "left_shift": _left_shift,
    "right_shift": _right_shift,
}

__all__ = ["expand_kernel", "expand_math", "expansion", "is_primitive"]
