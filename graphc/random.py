"""Random numbers: functions of a key, never of hidden state.

    key = gx.random.key(7)                        # uint32[2]: a symbol as any other, so it may be an input or a variable
    first, second = gx.random.split(key)
    w = gx.random.normal(first, (784, 10))

    stream = gx.random.Stream(7)                  # or a stream, wherever a key is wanted: other numbers at every call
    step = gx.compile([x], gx.nn.dropout(x, 0.1, stream))

Element i of a draw is made of the bits that Threefry-2x32 gives for the key and the number i, in C order. So the same key gives
the same numbers on any number of threads, in any fusion, in every backend; a longer draw begins with a shorter one; and a draw
that is needed twice may be made twice instead of being kept. Use a key for one draw: two draws from one key are dependent. Bits,
uniform numbers, integers and booleans are equal to the bit everywhere; the others as far as exp, log, sin and sqrt are.

The 2^64 numbers of a key are divided by their two highest bits: 0 for draws, 1 for a draw's second block of bits, 2 for `split`,
3 for `fold_in`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import graphc as gx
from graphc import DType, Tensor, TensorLike, Variable, advice

errors = gx.errors
_SECOND, _SPLIT, _FOLD = 1 << 62, -1 << 63, -1 << 62
_BOTH = -1
_WORD = 2.0**-32


class Stream:
    """Keys that are others at every call: a variable that counts the calls, and the number of each key in the program.

    seed: an integer from 0 to 2^64 - 1. A stream stands wherever a key does; each time it is asked, it gives another one. Every
    compiled program that draws from it advances it by one when a call has succeeded; to keep it where it is, say so:
    `updates={stream.variable: stream.variable}`. `eval` looks and advances nothing.

    >>> import graphc as gx
    >>> stream = gx.random.Stream(7)
    >>> roll = gx.compile([], gx.random.randint(stream, (8,), 1, 7))
    >>> roll().tolist(), roll().tolist(), stream.value
    ([5, 4, 2, 4, 4, 3, 4, 2], [1, 4, 1, 2, 3, 1, 1, 5], 2)
    >>> stream.value = 0
    >>> roll().tolist()
    [5, 4, 2, 4, 4, 3, 4, 2]
    """

    def __init__(self, seed: int, name: str = "stream") -> None:
        self.seed = key(seed)
        self.variable: Variable = gx.variable(0, name=name, dtype="int64")
        self.variable.default_update = self.variable + 1
        self._asked = 0

    @property
    def value(self) -> int:
        """How many calls there were. Setting it goes back, or on, to where a saved run stood."""
        return int(self.variable.value)

    @value.setter
    def value(self, new: int) -> None:
        self.variable.value = new

    def key(self) -> Tensor:
        """A key that no other place in a program gets, and this place at no other call."""
        self._asked += 1
        return fold_in(fold_in(self.seed, self._asked), self.variable)  # what does not change first: it is folded when compiling

    def __repr__(self) -> str:
        return f"<Stream {self.variable.name!r}: {self._asked} keys, {self.value} calls>"


Key = TensorLike | Stream
Shape = int | str | Sequence[Any]


# --- keys ------------------------------------------------------------------------------------------------------------


def key(seed: TensorLike) -> Tensor:
    """The key of a seed: uint32[2], its low and its high 32 bits.

    seed: an integer from 0 to 2^64 - 1, or a symbol of an integer.

    >>> import graphc as gx
    >>> gx.random.key(7).eval()
    array([7, 0], dtype=uint32)
    """
    if isinstance(seed, Tensor):
        if not seed.dtype.is_integer or seed.ndim:
            raise errors.DTypeError(f"key: the seed must be one integer, got {seed.type}", where=errors.caller())
        wide = gx.astype(seed, gx.uint64)
        return gx.astype(gx.stack([wide, wide >> 32]), gx.uint32)
    seed = gx.ops.as_option(seed)
    number = seed if isinstance(seed, int) and not isinstance(seed, bool) else -1
    if not 0 <= number < 1 << 64:
        raise errors.InputError(f"key: the seed must be an integer from 0 to 2^64 - 1, got {seed!r}", where=errors.caller())
    return gx.constant([number & 0xFFFFFFFF, number >> 32], gx.uint32)


def split(key: Key, n: int = 2) -> Tensor:
    """n keys from one, whose draws are independent of each other: uint32[n, 2].

    >>> import graphc as gx
    >>> first, second = gx.random.split(gx.random.key(7))
    >>> first.shape
    (2,)
    """
    n = gx.ops.as_option(n)
    if isinstance(n, bool) or not isinstance(n, int) or n < 0:
        raise errors.InputError(f"split: n must be an integer of at least 0, got {n!r}", where=errors.caller())
    return gx.ops.threefry(_key("split", key), gx.arange(n) + _SPLIT, word=_BOTH)


def fold_in(key: Key, data: TensorLike) -> Tensor:
    """The key that belongs to a number: of an epoch, a layer, a step.

    data: an integer or a symbol of one, which counts modulo 2^62.

    >>> import graphc as gx
    >>> gx.random.fold_in(gx.random.key(7), 3).shape
    (2,)
    """
    number = gx.asarray(data)
    if not number.dtype.is_integer or number.ndim:
        raise errors.DTypeError(f"fold_in: data must be one integer, got {number.type}", where=errors.caller())
    return gx.ops.threefry(_key("fold_in", key), gx.astype(number, gx.int64) | _FOLD, word=_BOTH)


def _key(name: str, key: Key) -> Tensor:
    if isinstance(key, Stream):
        return key.key()
    found = gx.asarray(key)
    if found.dtype != gx.uint32 or found.shape != (2,):
        raise errors.DTypeError(
            f"{name} needs a key u32[2], got {found.type}", where=errors.caller(),
            hint="gx.random.key(seed) makes one; of split(key, n) take a row for each draw",
        )  # fmt: skip
    return found


# --- bits ------------------------------------------------------------------------------------------------------------


def bits(key: Key, shape: Shape = (), dtype: object = "uint32") -> Tensor:
    """Random bits: every value of uint32 or uint64 is equally likely.

    key: uint32[2], or a Stream. shape: sizes and names. The result has that shape and the dtype.

    >>> import graphc as gx
    >>> [hex(x) for x in gx.random.bits(gx.random.key(0), (2,)).eval()]
    ['0x6b200159', '0x508efb2c']
    """
    made = _dtype("bits", dtype, (gx.uint32, gx.uint64))
    words = _words(_key("bits", key), _counters("bits", shape), 2)
    return words[0] if made == gx.uint32 else _wide(*words)


def _wide(low: Tensor, high: Tensor) -> Tensor:
    return gx.astype(low, gx.uint64) | gx.astype(high, gx.uint64) << 32


def _counters(name: str, shape: Shape) -> Tensor:
    """The number of each element of a draw."""
    try:
        wanted = gx.placeholder("shape", shape, "bool").type
    except errors.ShapeError:
        hint = "give sizes of at least 0, and names"
        raise errors.ShapeError(f"{name}: {shape!r} is not a shape", where=errors.caller(), hint=hint) from None
    return gx.reshape(gx.arange(wanted.size), wanted.shape)


def _words(key: Tensor, counters: Tensor, count: int) -> list[Tensor]:
    """Up to four words of 32 bits an element."""
    blocks = [counters] if count <= 2 else [counters, counters | _SECOND]
    return [gx.ops.threefry(key, c, word=w) for c in blocks for w in (0, 1)][:count]


def _dtype(name: str, dtype: object, allowed: Sequence[DType] = (gx.float32, gx.float64)) -> DType:
    found = gx.zeros((), dtype).dtype
    if found not in allowed:
        raise errors.DTypeError(f"{name}: dtype must be {' or '.join(map(str, allowed))}, got {found}", where=errors.caller())
    return found


def _open(words: Sequence[Tensor], dtype: DType) -> Tensor:
    """A number between 0 and 1 from one word, or from two: near 0 it has all its digits, near 1 it may round to 1."""
    first = gx.astype(words[0], dtype) * _WORD
    return first + _WORD / 2 if len(words) == 1 else first + (gx.astype(words[1], dtype) + 0.5) * _WORD**2


def _parameters(name: str, shape: Shape | None, *given: TensorLike) -> tuple[list[Tensor], DType]:
    """Parameters as float64 in the shape of the draw, and the dtype they had together."""
    wide = [gx.asarray(p) for p in given]
    kinds = {p.dtype for p in wide}
    try:
        wanted = gx.ops.broadcast_shapes(name, [p.type for p in wide]) if shape is None else shape
        made = [gx.broadcast_to(gx.astype(p, gx.float64), wanted) for p in wide]
    except errors.ShapeError as error:
        hint = "parameters broadcast to the shape of the draw"
        raise errors.ShapeError(f"{name}: {error.message}", where=errors.caller(), hint=hint) from None
    return made, gx.float32 if kinds == {gx.float32} else gx.float64


# --- numbers of equal probability ------------------------------------------------------------------------------------


def uniform(
    key: Key, shape: Shape = (), dtype: object = "float32", minval: TensorLike = 0.0, maxval: TensorLike = 1.0
) -> Tensor:
    """Numbers from minval to below maxval: the multiples of 2^-24 (float32) or 2^-53 (float64) of the way between them.

    minval, maxval: numbers or symbols that broadcast with shape. Where they are not 0 and 1, rounding may give maxval itself.
    The gradient reaches both.

    >>> import graphc as gx
    >>> gx.random.uniform(gx.random.key(0), (2,)).eval()
    array([0.4184571, 0.3146817], dtype=float32)
    """
    made = _dtype("uniform", dtype)
    low, high = _words(_key("uniform", key), _counters("uniform", shape), 2)
    if made == gx.float32:
        part = gx.astype(low >> 8, made) * 2.0**-24
    else:
        part = (gx.astype(low >> 5, made) * 2.0**26 + gx.astype(high >> 6, made)) * 2.0**-53
    minval, maxval = gx.ops.as_option(minval), gx.ops.as_option(maxval)
    if isinstance(minval, (int, float)) and isinstance(maxval, (int, float)) and (minval, maxval) == (0, 1):
        return part
    (first, last), _ = _parameters("uniform", shape, minval, maxval)
    return gx.astype(first, made) + part * gx.astype(last - first, made)


def bernoulli(key: Key, p: TensorLike = 0.5, shape: Shape | None = None) -> Tensor:
    """True with probability p.

    p: probabilities of any shape, which broadcast to `shape` (by default their own). Below 0 counts as 0, above 1 as 1; NaN is
    false. The probability is met to 2^-53.

    >>> import graphc as gx
    >>> int(gx.random.bernoulli(gx.random.key(0), 0.25, (1000,)).eval().sum())
    241
    """
    (p,), _ = _parameters("bernoulli", shape, p)
    return uniform(key, p.shape, gx.float64) < p


def randint(key: Key, shape: Shape, minval: TensorLike, maxval: TensorLike, dtype: object = "int64") -> Tensor:
    """Integers from minval to below maxval.

    minval, maxval: integers, or symbols of integers that broadcast with shape. They are the quotients by 2^128 of that many
    random bits times maxval - minval (of 2^64 where that is a Python number of at most 32 bits), so no probability is off by more
    than 2^-64 (2^-32) of itself (D. Lemire, "Fast random integer generation in an interval", 2019, without its rejection).
    Where symbols leave nothing in between, minval.

    >>> import graphc as gx
    >>> gx.random.randint(gx.random.key(0), (5,), 1, 7).eval()
    array([4, 5, 6, 1, 4])
    """
    made = _dtype("randint", dtype, gx.ir.types.INTEGERS)
    counters, chosen = _counters("randint", shape), _key("randint", key)
    minval, maxval = gx.ops.as_option(minval), gx.ops.as_option(maxval)
    if isinstance(minval, int) and isinstance(maxval, int):
        bits = 8 * made.itemsize
        least = 0 if made.kind == "u" else -(1 << (bits - 1))
        if not least <= minval < maxval <= least + (1 << bits):
            raise errors.InputError(
                f"randint: no {made} from {minval} to below {maxval}", where=errors.caller(),
                hint=f"minval is at least {least} and less than maxval, which is at most {least + (1 << bits)}",
            )  # fmt: skip
        span = maxval - minval
        if span <= 1 << 32:
            low, high = (gx.astype(w, gx.uint64) for w in _words(chosen, counters, 2))
            return gx.astype((high * span + (low * span >> 32) >> 32) + gx.full((), minval % (1 << 64), gx.uint64), made)
        first = gx.full((), minval % (1 << 64), gx.uint64)
        if span == 1 << 64:
            return gx.astype(_wide(*_words(chosen, counters, 2)) + first, made)
        width = gx.full((), span, gx.uint64)
    else:
        ends = [gx.asarray(v) for v in (minval, maxval)]
        if not all(e.dtype.is_integer for e in ends):
            raise errors.DTypeError(
                f"randint: minval and maxval must be integers, got {ends[0].type} and {ends[1].type}", where=errors.caller()
            )
        first, last = (gx.broadcast_to(gx.astype(e, gx.uint64), counters.shape) for e in ends)
        width = gx.where(ends[1] > ends[0], last - first, 0)
    words = _words(chosen, counters, 4)
    whole = _product(_wide(*words[:2]), width)
    part = _product(_wide(*words[2:]), width)
    below = _wide(*words[:2]) * width
    carry = gx.astype(below + part < below, gx.uint64)
    return gx.astype(whole + carry + first, made)


def _product(a: Tensor, b: Tensor) -> Tensor:
    """The upper 64 bits of the product of two uint64, from the products of their halves."""
    mask = 0xFFFFFFFF
    low, across, middle = (a & mask) * (b & mask), (a & mask) * (b >> 32), (a >> 32) * (b & mask)
    carried = (low >> 32) + (across & mask) + middle
    return (a >> 32) * (b >> 32) + (across >> 32) + (carried >> 32)


def categorical(key: Key, logits: TensorLike, axis: int = -1, shape: Shape | None = None) -> Tensor:
    """Classes drawn with the probabilities softmax(logits): int64, the logits' shape without `axis`.

    logits: floats; -inf is a class that never comes. shape: that of the draw, to which the logits without their axis broadcast.
    It is the argmax of logits with Gumbel noise (E. J. Gumbel 1954), whose noise is never stored.

    >>> import graphc as gx
    >>> gx.random.categorical(gx.random.key(0), gx.constant([[0.0, 9.0], [9.0, 0.0]])).eval()
    array([1, 0])
    """
    logits = gx.asarray(logits)
    if not logits.dtype.is_float:
        raise errors.ShapeError(f"categorical needs floats with an axis {axis}, got {logits.type}", where=errors.caller())
    logits = gx.moveaxis(logits, axis, -1)
    if shape is not None:
        wanted = _counters("categorical", shape).shape
        logits = gx.broadcast_to(logits, (*wanted, logits.shape[-1]))
    return gx.argmax(logits + gumbel(key, logits.shape, logits.dtype), axis=-1)


def choice(
    key: Key, a: TensorLike, shape: Shape = (), p: TensorLike | None = None, replace: bool = True
) -> Tensor:  # fmt: skip
    """Elements of a, each drawn from all of them, or with replace=False each from those that are left.

    a: a symbol of at least one axis, along whose first axis is chosen, or an integer n for the numbers below it. p: probabilities
    of each, of which only the ratios count. Without replacement it is the head of a permutation; with p, the largest of log(p)
    with Gumbel noise (T. Vieira, "Gumbel-max trick and weighted reservoir sampling", 2014).

    >>> import graphc as gx
    >>> gx.random.choice(gx.random.key(0), gx.constant([2.0, 3.0, 5.0]), (4,), p=[0, 1, 0]).eval()
    array([3., 3., 3., 3.])
    >>> gx.random.choice(gx.random.key(0), 5, (4,), replace=False).eval()
    array([3, 0, 4, 1])
    """
    gx.ops.check_flag("choice", "replace", replace)
    count: Any = gx.ops.as_option(a)
    a = count
    if isinstance(a, bool) or not isinstance(a, int):
        a = gx.asarray(a)
        if not a.ndim:
            raise errors.ShapeError(
                f"choice: needs an axis to choose along, got {a.type}", where=errors.caller(), hint="or a Python integer",
            )  # fmt: skip
        count = a.shape[0]
    elif a < 0:
        raise errors.InputError(f"choice: there is no number from 0 to below {a}", where=errors.caller())
    weights = None
    if p is not None:
        weights = gx.log(gx.astype(gx.asarray(p), gx.float64))
        if weights.shape != (count,):
            raise errors.ShapeError(f"choice: p must have shape [{count}], got {weights.type}", where=errors.caller())
    if not replace:
        place = _without_replacement(key, count, shape, weights)
    elif weights is None:
        place = randint(key, shape, 0, count if isinstance(count, int) else gx.full((), count, gx.int64))
    else:
        place = categorical(key, weights, shape=shape)
    return place if isinstance(a, int) else gx.take(a, place, axis=0)


def _without_replacement(key: Key, count: Any, shape: Shape, weights: Tensor | None) -> Tensor:
    wanted = _counters("choice", shape).shape
    drawn = gx.ops.product(wanted)
    if isinstance(drawn, int) and isinstance(count, int) and drawn > count:
        raise errors.ShapeError(
            f"choice: {drawn} elements without replacement from {count}", where=errors.caller(), hint="replace=True",
        )  # fmt: skip
    order = permutation(key, count) if weights is None else gx.argsort(weights + gumbel(key, count, "float64"), descending=True)
    return gx.reshape(order[:drawn], wanted)


def permutation(key: Key, x: TensorLike | gx.Dim, axis: int = 0) -> Tensor:
    """x in random order along an axis, the same for all other axes; of an integer n, the numbers below it.

    Every order comes with the same probability: it is that of 64 random bits for each place, sorted.

    >>> import graphc as gx
    >>> gx.random.permutation(gx.random.key(0), 5).eval()
    array([3, 0, 4, 1, 2])
    """
    x = gx.ops.as_option(x)
    if isinstance(x, gx.Dim) or (isinstance(x, int) and not isinstance(x, bool)):
        if isinstance(x, int) and x < 0:
            raise errors.InputError(f"permutation: there is no number from 0 to below {x}", where=errors.caller())
        return gx.argsort(bits(key, (x,), "uint64"))
    x = gx.asarray(x)
    place = gx.ops.normalize_axis("permutation", axis, x.type)
    return gx.take(x, permutation(key, x.shape[place]), axis=place)


# --- normal and truncated normal -------------------------------------------------------------------------------------

# sin(pi v) / v in v^2 on [0, 1/4], minimax of the relative error: 6e-9 (by reweighted least squares)
_SINE = (3.1415926368960805, -5.167709684824192, 2.5500697265638053, -0.5982421269970004, 0.07756038695808343)


def normal(key: Key, shape: Shape = (), dtype: object = "float32") -> Tensor:
    """Numbers of the standard normal distribution, N(0, 1); `mean + deviation * normal(...)` has gradients for both.

    Made by G. E. P. Box and M. E. Muller's method ("A note on the generation of random normal deviates", 1958), one number from
    one block of bits: 64 for float32, 128 for float64. Nothing lies beyond 6.77 (float32; one in 1e11 would) or 9.50 (float64).

    >>> import graphc as gx
    >>> gx.random.normal(gx.random.key(0), (2,)).eval().round(4)
    array([-1.2547, -1.0637], dtype=float32)
    """
    made = _dtype("normal", dtype)
    return _normal(_words(_key("normal", key), _counters("normal", shape), 2 if made == gx.float32 else 4), made)


def _normal(words: Sequence[Tensor], dtype: DType) -> Tensor:
    """A normal number from two words, or from four."""
    half = len(words) // 2
    radius = gx.sqrt(-2.0 * gx.log(_open(words[:half], dtype)))
    turn = gx.astype(gx.astype(words[half], gx.int32), dtype) * _WORD  # an angle between -pi/2 and pi/2: its sine has every sign
    if half == 2:
        turn = turn + gx.astype(words[3], dtype) * _WORD**2
    if dtype == gx.float64:
        return radius * gx.sin(math.pi * turn)
    square, total = turn * turn, gx.full((), _SINE[-1], dtype)
    for c in _SINE[-2::-1]:
        total = total * square + c
    return radius * (turn * total)


def truncated_normal(
    key: Key, lower: TensorLike, upper: TensorLike, shape: Shape | None = None, dtype: object = "float32"
) -> Tensor:
    """Numbers of N(0, 1) between lower and upper.

    lower, upper: numbers or symbols that broadcast to `shape`; infinite ones do not bind. By inversion in float64, in whichever
    tail is nearer, so bounds far out (to 37) keep their digits. The gradient reaches both.

    >>> import graphc as gx
    >>> gx.random.truncated_normal(gx.random.key(0), 10.0, 11.0, (2,)).eval().round(4)
    array([10.0859, 10.1139], dtype=float32)
    """
    made = _dtype("truncated_normal", dtype)
    (low, high), _ = _parameters("truncated_normal", shape, lower, upper)
    words = _words(_key("truncated_normal", key), _counters("truncated_normal", low.shape), 2)
    right = low > 0
    first, last = gx.where(right, -high, low), gx.where(right, -low, high)
    below = _below(first)
    part = below + _open(words, gx.float64) * (_below(last) - below)
    above = part > 0.5
    x = gx.ops.normal_quantile(gx.where(above, 1 - part, part))
    x = gx.where(above ^ right, -x, x)
    return gx.astype(gx.clip(x, low, high), made)


def _below(x: Tensor) -> Tensor:
    """The probability that a normal number is below x, with all digits where it is small."""
    return 0.5 * gx.erfc(x * -math.sqrt(0.5))


# --- exponential, gumbel ---------------------------------------------------------------------------------------------


def exponential(key: Key, shape: Shape = (), dtype: object = "float32") -> Tensor:
    """Numbers of the exponential distribution of rate 1.

    By inversion of 32 random bits (float32: from 1.1e-10 to 22.9) or 64 (float64), with all digits near 0 too.

    >>> import graphc as gx
    >>> gx.random.exponential(gx.random.key(0), (2,)).eval().round(4)
    array([0.5421, 0.3779], dtype=float32)
    """
    made = _dtype("exponential", dtype)
    words = _words(_key("exponential", key), _counters("exponential", shape), 1 if made == gx.float32 else 2)
    above = _open([~w for w in words], made)  # 1 - below, with all digits where it is small
    below = _open(words, made)
    return gx.where(below < 0.5, -gx.log1p(-below), -gx.log(above))


def gumbel(key: Key, shape: Shape = (), dtype: object = "float32") -> Tensor:
    """Numbers of the standard Gumbel distribution: -log of exponential ones, from -3.1 to 22.9 (float32).

    >>> import graphc as gx
    >>> gx.random.gumbel(gx.random.key(0), (2,)).eval().round(4)
    array([0.6124, 0.9732], dtype=float32)
    """
    return -gx.log(exponential(key, shape, dtype))


# --- gamma, beta, dirichlet ------------------------------------------------------------------------------------------

def _gamma(name: str, key: Key, alpha: Tensor, log: bool) -> Tensor:
    """Gamma variates in float64, or their logarithms: of small shapes most are too small for a float."""
    return gx.ops.gamma_draw(_key(name, key), _one(alpha), shape=alpha.shape, over=0, log=log)


def _one(parameter: Tensor) -> Tensor:
    """A parameter that is the same number for all elements as that number, with axes of one element; others as they are."""
    given: Any = parameter
    while given.op is gx.ops.broadcast_to:
        (given,) = given.inputs
    return gx.reshape(given, (1,) * parameter.ndim) if given.ndim == 0 else parameter


def gamma(key: Key, alpha: TensorLike, shape: Shape | None = None) -> Tensor:
    """Numbers of the gamma distribution of shape alpha and scale 1.

    alpha: positive numbers, which broadcast to `shape` (by default their own shape); elsewhere NaN. float32 where alpha is,
    else float64. Once in 1e13 no candidate is accepted, and the last one is taken. The gradient for alpha holds fixed the
    probability below each number; its relative error is at most 2e-7.

    >>> import graphc as gx
    >>> gx.random.gamma(gx.random.key(0), gx.constant([0.5, 5.0, 500.0])).eval().round(4)
    array([5.400000e-03, 7.125300e+00, 5.223913e+02])
    """
    (alpha,), made = _parameters("gamma", shape, alpha)
    return gx.astype(_gamma("gamma", key, alpha, log=False), made)


def beta(key: Key, a: TensorLike, b: TensorLike, shape: Shape | None = None) -> Tensor:
    """Numbers of the beta distribution: x / (x + y) of gamma variates, x of shape a and y of shape b.

    a, b: positive numbers that broadcast with each other and to `shape`. float32 where both are, else float64. Has gradients for
    both.

    >>> import graphc as gx
    >>> gx.random.beta(gx.random.key(0), 2.0, 3.0, (2,)).eval().round(4)
    array([0.0995, 0.6607])
    """
    (a, b), made = _parameters("beta", shape, a, b)
    x, y = _gamma("beta", key, gx.stack([a, b]), log=True)
    return gx.astype(gx.sigmoid(x - y), made)


def dirichlet(key: Key, alpha: TensorLike, shape: Shape | None = None) -> Tensor:
    """Probabilities of the Dirichlet distribution: along the last axis they add up to 1.

    alpha: positive numbers [..., k]. shape: that of the draw without the last axis, by default alpha's. float32 where alpha is,
    else float64. Has gradients.

    >>> import graphc as gx
    >>> gx.random.dirichlet(gx.random.key(0), gx.constant([1.0, 2.0, 3.0])).eval().round(3)
    array([0.01 , 0.409, 0.581])
    """
    alpha = gx.asarray(alpha)
    if not alpha.ndim:
        raise errors.ShapeError(f"dirichlet needs alpha with an axis, got {alpha.type}", where=errors.caller())
    whole = None if shape is None else (*_counters("dirichlet", shape).shape, alpha.shape[-1])
    (wide,), made = _parameters("dirichlet", whole, alpha)
    return gx.astype(gx.nn.softmax(_gamma("dirichlet", key, wide, log=True)), made)


# --- poisson ---------------------------------------------------------------------------------------------------------

def poisson(key: Key, rate: TensorLike, shape: Shape | None = None, dtype: object = "int64") -> Tensor:
    """How many events there are where `rate` are expected.

    rate: numbers of at least 0, which broadcast to `shape` (by default their own shape); elsewhere, and from 2^62 on, -1.
    Below 34 by inversion; above by W. Hörmann's PTRS ("The transformed rejection method for generating Poisson random
    variables", 1993), of whose candidates all 16 fail with probability 1e-12; then the result is the rate rounded. In float64:
    probabilities are off by rate * 1e-16 of themselves, so it is for rates up to 1e10.

    >>> import graphc as gx
    >>> gx.random.poisson(gx.random.key(0), gx.constant([0.5, 5.0, 500.0])).eval()
    array([  0,   4, 480])
    """
    made = _dtype("poisson", dtype, gx.ir.types.INTEGERS)
    (rate,), _ = _parameters("poisson", shape, rate)
    drawn = gx.ops.poisson_draw(_key("poisson", key), _one(gx.stop_gradient(rate)), shape=rate.shape, over=0)
    return gx.astype(drawn, made)


__all__ = [
    "Stream", "bernoulli", "beta", "bits", "categorical", "choice", "dirichlet", "exponential", "fold_in", "gamma", "gumbel",
    "key", "normal", "permutation", "poisson", "randint", "split", "truncated_normal", "uniform",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
