"""Replace values by equal ones that cost less.

    %0 = full(1.0)                   %0 = negative(%y)
    %1 = multiply(%x, %0)       =>   %1 = subtract(%x, %y)
    %2 = negative(%y)
    %3 = add(%1, %2)

Afterwards no rule of `RULES` fits. Each holds for every value of its operands, NaN, infinities, signed zeros, subnormals and
integer extremes included, bit for bit; a NaN is one value, whatever its sign and payload. The rules of `FAST` hold for real
numbers only: they are for those who ask for them (`simplify_fast`).

The notation is that of ir/rewrite.py.
"""

from __future__ import annotations

import math
from typing import Any

from graphc.ir import dims
from graphc.ir.dims import Shape, Size
from graphc.ir.graph import Graph, Node, nested
from graphc.ir.rewrite import parse_rules, rewrite, same_number
from graphc.ir.types import DIGITS, EXPONENTS, DType

# --- what the rules call --------------------------------------------------------------------------------------------


def power_of_two(c: Node) -> bool:
    """Whether c is 2**k with a reciprocal that is exact: dividing by one is multiplying by the other."""
    value = c.attrs["value"]
    if c.type.dtype.is_integer:
        return value > 0 and value & (value - 1) == 0  # type: ignore[no-any-return]
    if value == 0 or not math.isfinite(value) or abs(math.frexp(value)[0]) != 0.5:
        return False
    return invertible(c)


def invertible(c: Node) -> bool:
    """Whether 1 / c is finite and not zero in c's type."""
    value = abs(float(c.attrs["value"]))
    if value == 0 or not math.isfinite(value):
        return False
    lowest, highest = EXPONENTS[c.type.dtype]
    return lowest <= 1 - math.frexp(value)[1] <= highest  # 1 / 2**k is 2**-k; frexp's exponent is k + 1


def exponent(c: Node) -> int:
    return int(c.attrs["value"]).bit_length() - 1


def below(c: Node) -> int:
    return int(c.attrs["value"]) - 1


def reciprocal(c: Node) -> float:
    return 1 / float(c.attrs["value"])


def wrapped(value: int, dtype: DType) -> int:
    """An integer as a data type holds it: modulo 2**bits."""
    value &= (1 << dtype.bits) - 1
    return value - (1 << dtype.bits) if dtype.kind == "i" and value >> (dtype.bits - 1) else value


def total(c: Node, d: Node) -> int:
    return wrapped(c.attrs["value"] + d.attrs["value"], c.type.dtype)


def times(c: Node, d: Node) -> int:
    return wrapped(c.attrs["value"] * d.attrs["value"], c.type.dtype)


def minus(c: Node) -> Any:
    value = c.attrs["value"]
    return -value if c.type.dtype.is_float else wrapped(-value, c.type.dtype)


def larger(c: Node, d: Node) -> Any:
    a, b = c.attrs["value"], d.attrs["value"]
    return a if a > b or a != a else b


def smaller(c: Node, d: Node) -> Any:
    a, b = c.attrs["value"], d.attrs["value"]
    return a if a < b or a != a else b


def holds(wide: DType, narrow: DType) -> bool:
    """Whether every value of `narrow` is one of `wide`."""
    if wide == narrow or narrow.is_bool:
        return True
    if wide.is_float and narrow.is_float:
        return wide.itemsize > narrow.itemsize
    if wide.is_float:
        return narrow.bits - (narrow.kind == "i") <= DIGITS[wide]
    return wide.is_integer and narrow.is_integer and _range_holds(wide, narrow)


def _range_holds(wide: DType, narrow: DType) -> bool:
    if wide.kind == narrow.kind:
        return wide.bits >= narrow.bits
    return wide.kind == "i" and wide.bits > narrow.bits


def direct(source: DType, middle: DType, target: DType) -> bool:
    """Whether casting source -> middle -> target is casting source -> target."""
    if source.is_integer and middle.is_integer and target.is_integer and middle.bits >= target.bits:
        return True  # both keep the low bits
    if not holds(middle, source):
        return False
    # A float saturates on its way to an integer, an integer wraps: they agree where every value fits.
    return not (source.is_integer and middle.is_float and target.is_integer) or holds(target, source)


def size_in(dtype: DType, value: Any) -> bool:
    """Whether `value` is a size, and `dtype` a type that any size can be rounded to."""
    return isinstance(value, dims.Dim) and (dtype.is_float or dtype.name == "int64")


def compose(p: tuple[int, ...], q: tuple[int, ...]) -> tuple[int, ...]:
    """The one order of axes that p and then q make."""
    return tuple(p[i] for i in q)


def in_order(axes: tuple[int, ...]) -> bool:
    return axes == tuple(range(len(axes)))


def moves_ones(shape: Shape, axes: tuple[int, ...]) -> bool:
    """Whether a permutation moves only axes of size 1, so that the elements keep their order."""
    kept = [a for a in axes if shape[a] != 1]
    return kept == sorted(kept)


def whole(start: Shape, step: tuple[int, ...], size: Shape, shape: Shape) -> bool:
    """Whether a slice takes all of an axis of each size, in order."""
    return size == shape and all(a == 0 for a in start) and all(by == 1 for by in step)


def affine(start: Shape, step: tuple[int, ...], inner: Shape) -> Shape:
    """Where positions `inner` of a slice lie in what was sliced."""
    return tuple(dims.add(a, dims.mul(by, i)) for a, by, i in zip(start, step, inner, strict=True))


def strides(step: tuple[int, ...], inner: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(a * b for a, b in zip(step, inner, strict=True))


def chosen(values: tuple[Any, ...], axes: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(values[a] for a in axes)


def shifted(first: Shape, over: tuple[int, ...], start: Shape) -> Shape:
    """Where a slide begins in what stands from `start` on, in its places, `over` to an element."""
    return tuple(dims.sub(a, dims.mul(c, n)) for a, n, c in zip(first, over, start, strict=True))


def gaps_along(axes: tuple[int, ...], start: Shape, step: tuple[int, ...], shape: Shape, source: Shape) -> bool:
    """Whether an embedding leaves gaps along some of `axes` and turns none round, and the other axes are whole."""
    rest = tuple(a for a in range(len(shape)) if a not in axes)
    kept = whole(*(chosen(values, rest) for values in (start, step, shape, source)))
    return kept and all(step[a] >= 1 for a in axes) and any(step[a] > 1 for a in axes)


def same(value: Any, other: Any) -> bool:
    """Whether two fills are equal, signs of zeros included; sizes count as integers."""
    if isinstance(value, dims.Dim) or isinstance(other, dims.Dim):
        return bool(value == other)
    return value == other if isinstance(value, bool) or isinstance(other, bool) else same_number(value, other)


def all_one(shape: Shape, axes: tuple[int, ...]) -> bool:
    return all(shape[a] == 1 for a in axes)


def stretched(source: Shape, shape: Shape, axes: tuple[int, ...]) -> bool:
    """Whether a broadcast from `source` to `shape` made all of `axes`: along them, elements are equal."""
    new = len(shape) - len(source)
    return all(a < new or source[a - new] == 1 for a in axes)


def left_over(source: Shape, shape: Shape, axes: tuple[int, ...]) -> Shape:
    """What remains of `source` when a broadcast of it to `shape` loses `axes`."""
    new = len(shape) - len(source)
    return tuple(n for a, n in enumerate(source) if a + new not in axes)


def count(shape: Shape, axes: tuple[int, ...]) -> Size:
    return dims.product(shape[a] for a in axes)


def both(first: tuple[int, ...], second: tuple[int, ...], rank: int) -> tuple[int, ...]:
    """The axes of a reduction over `first`, and then over `second` of what is left."""
    left = [a for a in range(rank) if a not in first]
    return tuple(sorted((*first, *(left[a] for a in second))))


def rank(shape: Shape) -> int:
    return len(shape)


HELPERS = {
    f.__name__: f
    for f in (
        power_of_two, invertible, exponent, below, reciprocal, total, times, minus, larger, smaller, direct, size_in,
        compose, in_order, moves_ones, whole, affine, strides, chosen, shifted, gaps_along, same, all_one, stretched, left_over,
        count, both, rank,
    )
}  # fmt: skip

# --- true for every value -------------------------------------------------------------------------------------------

EXACT = """
# sums and differences; x + 0.0 is not x where x is -0.0
add_zero: add{x: int, 0} => x
add_minus_zero: add{x: float, -0.0} => x
add_bool: add(x: bool, y) => logical_or(x, y)
add_self_negative: add{x: int, negative(x)} => 0
add_negative: add{x, negative(y)} => subtract(x, y)
add_constants: add{add{x: int, c: constant}, d: constant} => add(x, total(c, d))
subtract_zero: subtract(x, 0) => x
subtract_self: subtract(x: int, x) => 0
subtract_negative: subtract(x, negative(y)) => add(x, y)
subtract_from_zero: subtract(0, x: int) => negative(x)
subtract_from_minus_zero: subtract(-0.0, x: float) => negative(x)
subtract_constants: subtract(subtract(x: int, c: constant), d: constant) => subtract(x, total(c, d))
add_after_subtract: add{subtract(x: int, y), y} => x
subtract_after_add: subtract(add{x: int, y}, y) => x
negative_negative: negative(negative(x)) => x
negative_subtract: negative(subtract(x: int, y)) => subtract(y, x)

# products and quotients
multiply_one: multiply{x, 1} => x
multiply_bool: multiply(x: bool, y) => logical_and(x, y)
multiply_zero: multiply{x: int, 0} => 0
multiply_minus_one: multiply{x: float|signed, -1} => negative(x)
multiply_constants: multiply{multiply{x: int, c: constant}, d: constant} => multiply(x, times(c, d))
multiply_negatives: multiply(negative(x), negative(y)) => multiply(x, y)
multiply_abs: multiply(abs(x), abs(x)) => multiply(x, x)
divide_one: divide(x, 1) => x
divide_minus_one: divide(x, -1) => negative(x)
divide_power: divide(x, c: constant) => multiply(x, reciprocal(c)) if power_of_two(c)
divide_negatives: divide(negative(x), negative(y)) => divide(x, y)
multiply_minus: multiply{negative(x), c: constant} => multiply(x, minus(c))     # signs move outwards, to where they are absorbed
multiply_negative: multiply{negative(x), y} => negative(multiply(x, y))
divide_negative: divide(negative(x), y) => negative(divide(x, y))
divide_by_negative: divide(x, negative(y)) => negative(divide(x, y))
negative_multiply: negative(multiply{x, c: constant}) => multiply(x, minus(c))
negative_divide: negative(divide(x, c: constant)) => divide(x, minus(c))
negative_divide_into: negative(divide(c: constant, x)) => divide(minus(c), x)
floor_divide_one: floor_divide(x: int, 1) => x
floor_divide_minus_one: floor_divide(x: signed, -1) => negative(x)
floor_divide_power: floor_divide(x: int, c: constant) => bitwise_right_shift(x, exponent(c)) if power_of_two(c)
remainder_one: remainder(x: int, 1) => 0
remainder_minus_one: remainder(x: signed, -1) => 0
remainder_power: remainder(x: int, c: constant) => bitwise_and(x, below(c)) if power_of_two(c)
pow_zero: pow(x: int, 0) => 1
pow_one: pow(x: int, 1) => x
pow_two: pow(x: int, 2) => multiply(x, x)

# signs and rounding
abs_negative: abs(negative(x: float|signed)) => abs(x)
abs_abs: abs(abs(x)) => abs(x)
abs_unsigned: abs(x: unsigned|bool) => x
sign_sign: sign(sign(x)) => sign(x)
floor_whole: floor(x: int) => x
ceil_whole: ceil(x: int) => x
trunc_whole: trunc(x: int) => x
round_whole: round(x: int) => x
floor_floor: floor(floor(x)) => floor(x)
ceil_ceil: ceil(ceil(x)) => ceil(x)
trunc_trunc: trunc(trunc(x)) => trunc(x)
round_round: round(round(x)) => round(x)
stop: stop_gradient(x) => x     # gradients have been taken when passes run
with_rule: with_gradient(y, ..., rule=r) => y

# extremes
maximum_self: maximum(x, x) => x
minimum_self: minimum(x, x) => x
maximum_lowest: maximum{x: float, -inf} => x
minimum_highest: minimum{x: float, inf} => x
maximum_unsigned: maximum{x: unsigned, 0} => x
maximum_again: maximum(maximum(x, y), y) => maximum(x, y)
minimum_again: minimum(minimum(x, y), y) => minimum(x, y)
maximum_constants: maximum(maximum(x, c: constant), d: constant) => maximum(x, larger(c, d))
minimum_constants: minimum(minimum(x, c: constant), d: constant) => minimum(x, smaller(c, d))

# comparisons; NaN is not equal to itself
equal_self: equal(x: int|bool, x) => true
not_equal_self: not_equal(x: int|bool, x) => false
less_self: less(x, x) => false
greater_self: greater(x, x) => false
less_equal_self: less_equal(x: int|bool, x) => true
greater_equal_self: greater_equal(x: int|bool, x) => true
less_unsigned: less(x: unsigned, 0) => false
greater_equal_unsigned: greater_equal(x: unsigned, 0) => true
equal_true: equal{x: bool, true} => x
equal_false: equal{x: bool, false} => logical_not(x)
not_equal_true: not_equal{x: bool, true} => logical_not(x)
not_equal_false: not_equal{x: bool, false} => x
equal_negatives: equal(negative(x), negative(y)) => equal(x, y)
isnan_whole: isnan(x: int|bool) => false
isinf_whole: isinf(x: int|bool) => false
isfinite_whole: isfinite(x: int|bool) => true

# logic
not_not: logical_not(logical_not(x)) => x
not_equal_not: logical_not(equal(x, y)) => not_equal(x, y)
equal_not: logical_not(not_equal(x, y)) => equal(x, y)
not_less: logical_not(less(x: int|bool, y)) => greater_equal(x, y)
not_less_equal: logical_not(less_equal(x: int|bool, y)) => greater(x, y)
not_greater: logical_not(greater(x: int|bool, y)) => less_equal(x, y)
not_greater_equal: logical_not(greater_equal(x: int|bool, y)) => less(x, y)
and_self: logical_and(x, x) => x
and_true: logical_and{x, true} => x
and_false: logical_and{x, false} => false
and_not: logical_and{x, logical_not(x)} => false
and_or: logical_and{x, logical_or{x, y}} => x
and_nots: logical_and(logical_not(x), logical_not(y)) => logical_not(logical_or(x, y))
or_self: logical_or(x, x) => x
or_false: logical_or{x, false} => x
or_true: logical_or{x, true} => true
or_not: logical_or{x, logical_not(x)} => true
or_and: logical_or{x, logical_and{x, y}} => x
or_nots: logical_or(logical_not(x), logical_not(y)) => logical_not(logical_and(x, y))
xor_self: logical_xor(x, x) => false
xor_false: logical_xor{x, false} => x
xor_true: logical_xor{x, true} => logical_not(x)

# bits; of booleans they are logic
bits_and_bool: bitwise_and(x: bool, y) => logical_and(x, y)
bits_or_bool: bitwise_or(x: bool, y) => logical_or(x, y)
bits_xor_bool: bitwise_xor(x: bool, y) => logical_xor(x, y)
invert_bool: bitwise_invert(x: bool) => logical_not(x)
bits_and_self: bitwise_and(x, x) => x
bits_and_zero: bitwise_and{x: int, 0} => 0
bits_and_ones: bitwise_and{x: signed, -1} => x
bits_or_self: bitwise_or(x, x) => x
bits_or_zero: bitwise_or{x: int, 0} => x
bits_or_ones: bitwise_or{x: signed, -1} => -1
bits_xor_self: bitwise_xor(x: int, x) => 0
bits_xor_zero: bitwise_xor{x: int, 0} => x
bits_xor_ones: bitwise_xor{x: signed, -1} => bitwise_invert(x)
invert_invert: bitwise_invert(bitwise_invert(x)) => x
left_shift_zero: bitwise_left_shift(x, 0) => x
right_shift_zero: bitwise_right_shift(x, 0) => x
left_shift_of_zero: bitwise_left_shift(0, x) => 0
right_shift_of_zero: bitwise_right_shift(0, x) => 0

# choice
where_same: where(c, x, x) => x
where_true: where(true, x, y) => x
where_false: where(false, x, y) => y
where_not: where(logical_not(c), x, y) => where(c, y, x)
where_condition: where(c, true, false) => c
where_not_condition: where(c, false, true) => logical_not(c)
where_inner_first: where(c, where(c, x, y), z) => where(c, x, z)
where_inner_second: where(c, x, where(c, y, z)) => where(c, x, z)

# casts
astype_same: astype(x, dtype=t) => x if x.dtype == t
astype_astype: astype(astype(x, dtype=s), dtype=t) => astype(x, dtype=t) if direct(x.dtype, s, t)
astype_size: astype(c: full, dtype=t) => full(shape=c.shape, value=c.value, dtype=t) if c.dtype == int64 and size_in(t, c.value)

# shapes
reshape_same: reshape(x, shape=s) => x if s == x.shape
reshape_reshape: reshape(reshape(x, shape=s), shape=t) => reshape(x, shape=t)
reshape_fill: reshape(c: full, shape=s) => full(shape=s, value=c.value, dtype=c.dtype)
permute_same: permute_dims(x, axes=p) => x if in_order(p)
permute_permute: permute_dims(permute_dims(x, axes=p), axes=q) => permute_dims(x, axes=compose(p, q))
permute_fill: permute_dims(c: full, axes=p) => full(shape=result.shape, value=c.value, dtype=c.dtype)
permute_ones: permute_dims(x, axes=p) => reshape(x, shape=result.shape) if moves_ones(x.shape, p)
broadcast_same: broadcast_to(x, shape=s) => x if s == x.shape
broadcast_broadcast: broadcast_to(broadcast_to(x, shape=s), shape=t) => broadcast_to(x, shape=t)
broadcast_fill: broadcast_to(c: full, shape=s) => full(shape=s, value=c.value, dtype=c.dtype)
slice_all: slice(x, start=a, step=b, size=n) => x if whole(a, b, n, x.shape)
slice_slice: slice(slice(x, start=a, step=b, size=n), start=c, step=d, size=m)
    => slice(x, start=affine(a, b, c), step=strides(b, d), size=m)
slice_fill: slice(c: full, start=a, step=b, size=n) => full(shape=n, value=c.value, dtype=c.dtype)
slice_embed: slice(embed(x, start=a, step=b, shape=s, value=v), start=a, step=b, size=n) => x if n == x.shape
slide_embed: slide(embed(x, start=c, step=d, shape=s, value=v), axes=r, taps=t, by=b, along=l, start=a, over=o, size=n, fill=f)
    => slide(x, axes=r, taps=t, by=b, along=l, start=shifted(a, o, chosen(c, r)), over=strides(o, chosen(d, r)), size=n, fill=f)
    if same(v, f) and gaps_along(r, c, d, s, x.shape)
embed_all: embed(x, start=a, step=b, shape=s, value=v) => x if whole(a, b, s, x.shape)
embed_embed: embed(embed(x, start=a, step=b, shape=s, value=v), start=c, step=d, shape=t, value=v)
    => embed(x, start=affine(c, d, a), step=strides(d, b), shape=t, value=v)
embed_fill: embed(c: full, start=a, step=b, shape=s, value=v) => full(shape=s, value=c.value, dtype=c.dtype) if same(c.value, v)

# reductions; a sum over one element is not always that element: 0.0 + -0.0 is 0.0
sum_one: sum(x: int, axes=a) => astype(reshape(x, shape=result.shape), dtype=result.dtype) if all_one(x.shape, a)
sum_zeros: sum(0, axes=a) => 0
sum_sum: sum(sum(x: int, axes=a), axes=b) => sum(x, axes=both(a, b, rank(x.shape)))
sum_broadcast: sum(broadcast_to(x: int, shape=s), axes=a) =>
    multiply(broadcast_to(reshape(x, shape=left_over(x.shape, s, a)), shape=result.shape),
    full(shape=result.shape, value=count(s, a), dtype=x.dtype)) if stretched(x.shape, s, a) and x.dtype == result.dtype
prod_one: prod(x, axes=a) => reshape(x, shape=result.shape) if all_one(x.shape, a) and x.dtype == result.dtype
prod_ones: prod(1, axes=a) => 1
max_one: max(x, axes=a) => reshape(x, shape=result.shape) if all_one(x.shape, a)
max_max: max(max(x: int|bool, axes=a), axes=b) => max(x, axes=both(a, b, rank(x.shape)))
max_fill: max(c: full, axes=a) => full(shape=result.shape, value=c.value, dtype=c.dtype)
max_broadcast: max(broadcast_to(x, shape=s), axes=a)
    => broadcast_to(reshape(x, shape=left_over(x.shape, s, a)), shape=result.shape) if stretched(x.shape, s, a)
min_one: min(x, axes=a) => reshape(x, shape=result.shape) if all_one(x.shape, a)
min_min: min(min(x: int|bool, axes=a), axes=b) => min(x, axes=both(a, b, rank(x.shape)))
min_fill: min(c: full, axes=a) => full(shape=result.shape, value=c.value, dtype=c.dtype)
min_broadcast: min(broadcast_to(x, shape=s), axes=a)
    => broadcast_to(reshape(x, shape=left_over(x.shape, s, a)), shape=result.shape) if stretched(x.shape, s, a)
any_one: any(x, axes=a) => reshape(x, shape=result.shape) if all_one(x.shape, a)
any_any: any(any(x, axes=a), axes=b) => any(x, axes=both(a, b, rank(x.shape)))
any_false: any(false, axes=a) => false
all_one_: all(x, axes=a) => reshape(x, shape=result.shape) if all_one(x.shape, a)
all_all: all(all(x, axes=a), axes=b) => all(x, axes=both(a, b, rank(x.shape)))
all_true: all(true, axes=a) => true
argmax_one: argmax(x, axes=a) => 0 if all_one(x.shape, a)
argmin_one: argmin(x, axes=a) => 0 if all_one(x.shape, a)
"""

# --- true for real numbers ------------------------------------------------------------------------------------------

REAL = """
fast_add_zero: add{x, 0} => x
fast_subtract_self: subtract(x, x) => 0
fast_multiply_zero: multiply{x, 0} => 0
fast_divide_self: divide(x, x) => 1
fast_divide_zero: divide(0, x) => 0
fast_divide_constant: divide(x, c: constant) => multiply(x, reciprocal(c)) if invertible(c)
fast_divide_quotient: divide(divide(x, y), z) => divide(x, multiply(y, z))
fast_negative_subtract: negative(subtract(x, y)) => subtract(y, x)
fast_add_after_subtract: add{subtract(x, y), y} => x
fast_subtract_after_add: subtract(add{x, y}, y) => x
fast_common_factor: add(multiply{x, y}, multiply{x, z}) => multiply(x, add(y, z))
fast_log_exp: log(exp(x)) => x
fast_exp_log: exp(log(x)) => x
fast_sqrt_square: sqrt(multiply(x, x)) => abs(x)
fast_sqrt_sqrt: multiply(sqrt(x), sqrt(x)) => x
fast_exp_product: multiply(exp(x), exp(y)) => exp(add(x, y))
fast_sum_one: sum(x: float, axes=a) => reshape(x, shape=result.shape) if all_one(x.shape, a)
fast_sum_sum: sum(sum(x, axes=a), axes=b) => sum(x, axes=both(a, b, rank(x.shape)))
fast_sum_broadcast: sum(broadcast_to(x: float, shape=s), axes=a) =>
    multiply(broadcast_to(reshape(x, shape=left_over(x.shape, s, a)), shape=result.shape),
    full(shape=result.shape, value=count(s, a), dtype=x.dtype)) if stretched(x.shape, s, a)
fast_max_max: max(max(x, axes=a), axes=b) => max(x, axes=both(a, b, rank(x.shape)))
fast_min_min: min(min(x, axes=a), axes=b) => min(x, axes=both(a, b, rank(x.shape)))
"""

RULES = parse_rules(EXACT, **HELPERS)
FAST = parse_rules(REAL, **HELPERS)


@nested
def simplify(graph: Graph) -> Graph:
    """The graph with every rule of `RULES` applied until none fits."""
    return rewrite(graph, RULES)


@nested
def simplify_fast(graph: Graph) -> Graph:
    """The same with the rules of `FAST` too, which hold for real numbers: rounding, NaN, infinities and -0.0 may differ.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", (), "float32")
    >>> f = gx.compile([x], x * 0 + 1, backend="interpreter", passes=(gx.passes.simplify_fast, *gx.passes.DEFAULT))
    >>> print(f.graph.outputs[0].op.name)
    full
    """
    return rewrite(graph, (*RULES, *FAST))


__all__ = ["EXACT", "FAST", "REAL", "RULES", "simplify", "simplify_fast"]
