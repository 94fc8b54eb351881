"""What the generated source calls: scalar instructions that LLVM can vectorise, written as LLVM IR.

An intrinsic knows its result type and writes its instructions. Types are data types, `Pointer` to elements of one, and None for
no value. Loads and stores carry alias scopes, one a buffer, so that LLVM knows that buffers do not overlap. No arithmetic may be
reordered: it is exactly what the source says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from llvmlite import ir

from graphc.ir import types as t
from graphc.ir.types import DType

SCOPES = 64  # buffers of one kernel beyond these are accessed without alias information


@dataclass(frozen=True)
class Pointer:
    """The type of an address of elements in memory."""

    element: DType


Type = DType | Pointer | None
WORD = ir.IntType(64)
_BITS = ir.IntType(32)
_FLOATS = {4: ir.FloatType(), 8: ir.DoubleType()}


def llvm_type(kind: Type) -> Any:
    """The LLVM type of a value: a boolean is a bit, a float that memory alone holds its bits."""
    match kind:
        case None:
            return ir.VoidType()
        case Pointer(element):
            return memory_type(element).as_pointer()
        case DType(is_storage=True):
            return ir.IntType(kind.bits)
        case _:
            return _FLOATS[kind.itemsize] if kind.is_float else ir.IntType(1 if kind.is_bool else kind.bits)


def memory_type(kind: DType) -> Any:
    """The LLVM type of an element in memory: a boolean is a byte."""
    return ir.IntType(8) if kind.is_bool else llvm_type(kind)


@dataclass(frozen=True, eq=False)
class Intrinsic:
    """A function that kernels call.

    result(*types) is the type of its result; a TypeError says that the arguments do not fit. emit(builder, args, types) writes
    its instructions, `types` being those of the arguments. Its name tells it from every other: cached code is found by names.
    definition() is the LLVM text of the function that it calls, if that is compiled on its own.
    """

    name: str
    result: Callable[..., Type]
    emit: Callable[[Any, Sequence[Any], tuple[Any, ...]], Any]
    definition: Callable[[], str] | None = None

    def __call__(self, *args: Any) -> Any:
        raise TypeError(f"{self.name} exists in compiled code alone")


def fixed(result: Type, *wanted: Type) -> Callable[..., Type]:
    """The type rule of an intrinsic that takes these types and no others."""

    def rule(*types: Type) -> Type:
        if types != wanted:
            raise TypeError(f"takes {wanted}, got {types}")
        return result

    return rule


def _is_signed(kind: Type) -> bool:
    return isinstance(kind, DType) and kind.kind == "i"


class _Scopes:
    """The alias scopes of one module's buffers."""

    def __init__(self, module: Any) -> None:
        domain = module.add_metadata(["graphc"])
        self.all = [module.add_metadata([f"buffer {i}", domain]) for i in range(SCOPES)]
        self.made: dict[int, dict[str, Any]] = {}

    def of(self, module: Any, number: int) -> dict[str, Any]:
        """What marks an access to a buffer: its own scope, and all others, with which it does not overlap."""
        if number not in self.made:
            others = [scope for i, scope in enumerate(self.all) if i != number]
            own, rest = module.add_metadata([self.all[number]]), module.add_metadata(others)
            self.made[number] = {"alias.scope": own, "noalias": rest}
        return self.made[number]


def _mark(instruction: Any, module: Any, number: int) -> Any:
    """Say that an access is to buffer `number` and to no other."""
    if number < SCOPES:
        if not hasattr(module, "alias_scopes"):  # they refer to the module, so they must go with it
            module.alias_scopes = _Scopes(module)
        for kind, value in module.alias_scopes.of(module, number).items():
            instruction.set_metadata(kind, value)
    return instruction


@cache
def pointer(dtype: DType) -> Intrinsic:
    """address -> pointer to elements of a type."""
    kind = Pointer(dtype)
    return Intrinsic(f"{dtype.short}_at", fixed(kind, t.int64), lambda b, args, types: b.inttoptr(args[0], llvm_type(kind)))


@cache
def own(dtype: DType, count: int) -> Intrinsic:
    """() -> pointer to `count` elements of the function's own, which LLVM keeps in registers where it can."""

    def emit(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
        element = memory_type(dtype)
        with builder.goto_entry_block():
            memory = builder.alloca(ir.ArrayType(element, count))
            memory.align = 64
            return builder.bitcast(memory, element.as_pointer())

    return Intrinsic(f"{dtype.short}_own_{count}", fixed(Pointer(dtype)), emit)


@cache
def load(number: int) -> Intrinsic:
    """(pointer, index) -> element, in alias scope `number`."""

    def result(p: Type, i: Type) -> Type:
        if not isinstance(p, Pointer) or i != t.int64:
            raise TypeError(f"takes a pointer and an index, got {p}, {i}")
        return p.element

    def emit(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
        value = _mark(builder.load(builder.gep(args[0], [args[1]])), builder.module, number)
        return builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0)) if types[0].element.is_bool else value

    return Intrinsic(f"load{number}", result, emit)


@cache
def store(number: int) -> Intrinsic:
    """(pointer, index, element) -> None, in alias scope `number`."""

    def result(p: Type, i: Type, value: Type) -> Type:
        if not isinstance(p, Pointer) or i != t.int64 or value != p.element:
            raise TypeError(f"takes a pointer, an index and an element, got {p}, {i}, {value}")
        return None

    def emit(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
        element = builder.zext(args[2], ir.IntType(8)) if types[2].is_bool else args[2]
        return _mark(builder.store(element, builder.gep(args[0], [args[1]])), builder.module, number)

    return Intrinsic(f"store{number}", result, emit)


def _forward_type(p: Type, count: Type) -> Type:
    if not isinstance(p, Pointer) or count != t.int64:
        raise TypeError(f"takes a pointer and a count, got {p}, {count}")
    return p


forward = Intrinsic("forward", _forward_type, lambda builder, args, types: builder.gep(args[0], [args[1]]))  # `count` elements on


def _alike1(x: Type) -> Type:
    return x


def _alike2(a: Type, b: Type) -> Type:
    if a != b:
        raise TypeError(f"takes two values of one type, got {a}, {b}")
    return a


def _alike3(a: Type, b: Type, c: Type) -> Type:
    return _alike2(_alike2(a, b), c)


def _comparison(a: Type, b: Type) -> Type:
    _alike2(a, b)
    return t.bool_


def _choice(condition: Type, a: Type, b: Type) -> Type:
    if condition != t.bool_:
        raise TypeError(f"takes a boolean first, got {condition}")
    return _alike2(a, b)


def _unary(name: str, emit: Callable[[Any, Any, Any], Any]) -> Intrinsic:
    return Intrinsic(name, _alike1, lambda builder, args, types: emit(builder, args[0], types[0]))


def _binary(name: str, emit: Callable[[Any, Any, Any, Any], Any]) -> Intrinsic:
    return Intrinsic(name, _alike2, lambda builder, args, types: emit(builder, args[0], args[1], types[0]))


def call_llvm(builder: Any, name: str, args: list[Any], result: Any = None) -> Any:
    """A call of an LLVM intrinsic that is overloaded by its first argument's type."""
    kind = args[0].type
    suffix = {"float": "f32", "double": "f64"}.get(str(kind), str(kind))
    signature = ir.FunctionType(result or kind, [a.type for a in args])
    return builder.call(builder.module.declare_intrinsic(f"llvm.{name}.{suffix}", (), signature), args)


def _llvm_unary(name: str) -> Intrinsic:
    return _unary(name, lambda builder, x, kind: call_llvm(builder, name, [x]))


fabs, sqrt, floor, ceil, trunc = (_llvm_unary(n) for n in ("fabs", "sqrt", "floor", "ceil", "trunc"))
rint = _llvm_unary("nearbyint")  # to nearest, ties to even, in the default rounding mode
fma = Intrinsic("fma", _alike3, lambda builder, args, types: call_llvm(builder, "fma", list(args)))  # a * b + c, rounded once
select = Intrinsic("select", _choice, lambda builder, args, types: builder.select(*args))  # a where the condition holds, else b


def _integer(name: str) -> Intrinsic:
    return _binary(name, lambda builder, a, b, kind: getattr(builder, name)(a, b))


iadd, isub, imul, iand, ior, ixor, shl = (_integer(n) for n in ("add", "sub", "mul", "and_", "or_", "xor", "shl"))
shr = _binary("shr", lambda builder, a, b, kind: builder.ashr(a, b) if _is_signed(kind) else builder.lshr(a, b))
quot = _binary("quot", lambda builder, a, b, kind: builder.sdiv(a, b) if _is_signed(kind) else builder.udiv(a, b))
rem = _binary("rem", lambda builder, a, b, kind: builder.srem(a, b) if _is_signed(kind) else builder.urem(a, b))
ineg = _unary("ineg", lambda builder, x, kind: builder.neg(x))
inot = _unary("inot", lambda builder, x, kind: builder.not_(x))
fneg = _unary("fneg", lambda builder, x, kind: builder.fneg(x))
udiv = _binary("udiv", lambda builder, a, b, kind: builder.udiv(a, b))


def _floordiv(builder: Any, a: Any, b: Any, kind: Any) -> Any:
    """a // b for b > 0."""
    quotient = builder.sdiv(a, b)
    low = builder.icmp_signed("<", builder.srem(a, b), ir.Constant(a.type, 0))
    return builder.sub(quotient, builder.zext(low, a.type))


floordiv = _binary("floordiv", _floordiv)


def _unknown(builder: Any, x: Any, kind: Any) -> Any:
    return builder.asm(ir.FunctionType(x.type, [x.type]), "", "=r,0", [x], side_effect=False)


unknown = _unary("unknown", _unknown)  # an integer whose value LLVM does not know


def _iabs(builder: Any, x: Any, kind: Any) -> Any:
    if not _is_signed(kind):
        return x
    return builder.select(builder.icmp_signed("<", x, ir.Constant(x.type, 0)), builder.neg(x), x)


iabs = _unary("iabs", _iabs)


def _compare(name: str, sign: str) -> Intrinsic:
    def emit(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
        if types[0].is_float:
            return (builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered)(sign, *args)
        return (builder.icmp_signed if _is_signed(types[0]) else builder.icmp_unsigned)(sign, *args)

    return Intrinsic(name, _comparison, emit)


SIGNS = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}
eq, ne, lt, le, gt, ge = (_compare(name, sign) for name, sign in SIGNS.items())

def _extreme(name: str, sign: str) -> Intrinsic:
    def emit(builder: Any, a: Any, b: Any, kind: Any) -> Any:
        if kind.is_float:
            return call_llvm(builder, name, [a, b])  # lets NaN through
        if kind.is_bool:
            return builder.or_(a, b) if sign == ">" else builder.and_(a, b)
        return builder.select((builder.icmp_signed if _is_signed(kind) else builder.icmp_unsigned)(sign, a, b), a, b)

    return _binary(name, emit)


maximum, minimum = _extreme("maximum", ">"), _extreme("minimum", "<")
JOINED = "joined"  # what the loads of lanes that are joined are called, by which objects.py knows that there are some


@cache
def join(number: int, combine: str, count: int, vector_bytes: int) -> Intrinsic:
    """pointer -> its first `count` elements combined as a tree, the second half with the first; in alias scope `number`.

    They are loaded as vectors of so many bytes as the loops that stored them have: then nothing goes through memory.
    """

    def result(p: Type) -> Type:
        if not isinstance(p, Pointer):
            raise TypeError(f"takes a pointer, got {p}")
        return p.element

    def emit(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
        kind = types[0].element
        element = memory_type(kind)
        width = min(count, vector_bytes // kind.itemsize)
        vector = ir.VectorType(element, width)
        parts = []
        for i in range(0, count, width):
            place = builder.bitcast(builder.gep(args[0], [ir.Constant(WORD, i)]), vector.as_pointer())
            part = builder.load(place, name=JOINED)
            part.align = kind.itemsize
            parts.append(_mark(part, builder.module, number))
        while len(parts) > 1:
            half = len(parts) // 2
            parts = [_combined(builder, combine, a, b, kind) for a, b in zip(parts[:half], parts[half:], strict=True)]
        found = parts[0]
        while width > 1:
            width //= 2
            low, high = (_lanes_from(builder, found, first, width) for first in (0, width))
            found = _combined(builder, combine, low, high, kind)
        return builder.extract_element(found, ir.Constant(_BITS, 0))

    return Intrinsic(f"join{number}_{combine}_{count}_{vector_bytes}", result, emit)


def _lanes_from(builder: Any, vector: Any, first: int, count: int) -> Any:
    mask = ir.Constant(ir.VectorType(_BITS, count), [ir.Constant(_BITS, first + i) for i in range(count)])
    return builder.shuffle_vector(vector, ir.Constant(vector.type, ir.Undefined), mask)


def _combined(builder: Any, combine: str, a: Any, b: Any, kind: DType) -> Any:
    match combine:
        case "max" | "min" if kind.is_float:
            name = "maximum" if combine == "max" else "minimum"
            suffix = f"v{a.type.count}f{kind.bits}"
            function = builder.module.declare_intrinsic(f"llvm.{name}.{suffix}", (), ir.FunctionType(a.type, [a.type] * 2))
            return builder.call(function, [a, b])
        case "max" | "min":
            sign = ">" if combine == "max" else "<"
            return builder.select((builder.icmp_signed if _is_signed(kind) else builder.icmp_unsigned)(sign, a, b), a, b)
        case "add" | "mul":
            return getattr(builder, f"f{combine}" if kind.is_float else combine)(a, b)
    return (builder.and_ if combine == "and" else builder.or_)(a, b)


@cache
def cast(dtype: DType, halves: bool = True) -> Intrinsic:
    """A value in another type: integers wrap; floats to integers saturate and NaN becomes 0.

    Without `halves`, instructions of the processor's for float16, the same bits are made by integers: LLVM would call functions
    of the compiler's library, which a process need not have.
    """

    def result(x: Type) -> Type:
        return dtype

    name = dtype.short if halves else f"{dtype.short}_by_integers"
    return Intrinsic(name, result, lambda builder, args, types: _convert(builder, args[0], types[0], dtype, halves))


def _convert(builder: Any, x: Any, source: DType, target: DType, halves: bool) -> Any:
    if source == target:
        return x
    if source.is_storage:
        return _convert(builder, _read_storage(builder, x, source, halves), source.arithmetic, target, halves)
    if target.is_storage:
        once = source == t.float64 and target == t.float16  # where float32 between them would round twice
        single = _cut(builder, x) if once else _convert(builder, x, source, target.arithmetic, halves)
        return _make_storage(builder, single, target, halves)
    to = llvm_type(target)
    if target.is_bool:
        zero = ir.Constant(x.type, 0)
        return builder.fcmp_unordered("!=", x, zero) if source.is_float else builder.icmp_unsigned("!=", x, zero)
    if source.is_float and target.is_float:
        if x.type == to:
            return x
        return builder.fpext(x, to) if target.bits > source.bits else builder.fptrunc(x, to)
    if source.is_float:
        name = "fptosi.sat" if _is_signed(target) else "fptoui.sat"
        suffix = {"float": "f32", "double": "f64"}[str(x.type)]
        function = builder.module.declare_intrinsic(f"llvm.{name}.{to}.{suffix}", (), ir.FunctionType(to, [x.type]))
        return builder.call(function, [x])
    if target.is_float:
        return builder.sitofp(x, to) if _is_signed(source) else builder.uitofp(x, to)
    if to.width == x.type.width:
        return x
    if to.width < x.type.width:
        return builder.trunc(x, to)
    return builder.sext(x, to) if _is_signed(source) else builder.zext(x, to)


def _read_storage(builder: Any, x: Any, source: DType, halves: bool) -> Any:
    """The float32 that a float of 16 bits stands for."""
    if source == t.float16 and not halves:
        return _read_half(builder, x)
    if source == t.float16:
        return builder.fpext(builder.bitcast(x, ir.HalfType()), ir.FloatType())
    return builder.bitcast(builder.shl(builder.zext(x, _BITS), ir.Constant(_BITS, 16)), ir.FloatType())


def _make_storage(builder: Any, x: Any, target: DType, halves: bool) -> Any:
    """A float32 rounded to 16 bits, ties to even; a NaN stays one."""
    half = llvm_type(target)
    if target == t.float16 and not halves:
        return _make_half(builder, x)
    if target == t.float16:
        return builder.bitcast(builder.fptrunc(x, ir.HalfType()), half)
    bits = builder.bitcast(x, _BITS)
    odd = builder.and_(builder.lshr(bits, ir.Constant(_BITS, 16)), ir.Constant(_BITS, 1))
    up = builder.add(bits, builder.add(odd, ir.Constant(_BITS, 0x7FFF)))
    quiet = builder.or_(bits, ir.Constant(_BITS, 0x400000))
    kept = builder.select(builder.fcmp_unordered("uno", x, x), quiet, up)
    return builder.trunc(builder.lshr(kept, ir.Constant(_BITS, 16)), half)


def _read_half(builder: Any, x: Any) -> Any:
    """The float32 of a float16's bits: exponent and digits at their place, times 2^112, since the biases of exponents differ.

    The product is exact, and makes subnormal numbers normal. F. Giesen, "float->half variants" (2012).
    """
    word = partial(ir.Constant, _BITS)
    bits = builder.zext(x, _BITS)
    body = builder.shl(builder.and_(bits, word(0x7FFF)), word(13))
    finite = builder.bitcast(builder.fmul(builder.bitcast(body, ir.FloatType()), ir.Constant(ir.FloatType(), 2.0**112)), _BITS)
    nan = builder.icmp_unsigned(">", body, word(0x1F << 23))
    special = builder.or_(body, builder.select(nan, word(0x7FC00000), word(0x7F800000)))
    found = builder.select(builder.icmp_unsigned(">=", body, word(0x1F << 23)), special, finite)
    sign = builder.shl(builder.and_(bits, word(0x8000)), word(16))
    return builder.bitcast(builder.or_(found, sign), ir.FloatType())


def _make_half(builder: Any, x: Any) -> Any:
    """A float32 rounded to the bits of a float16, ties to even.

    Normal numbers round as integers do: just under half of the last place kept is added, and one where that place is odd.
    Subnormal ones are rounded by the sum with 0.5, whose last place is their unit. F. Giesen, "float->half variants" (2012).
    """
    word = partial(ir.Constant, _BITS)
    bits = builder.bitcast(x, _BITS)
    body = builder.and_(bits, word(0x7FFFFFFF))
    sign = builder.and_(builder.lshr(bits, word(16)), word(0x8000))
    odd = builder.and_(builder.lshr(body, word(13)), word(1))
    rebased = builder.add(body, word((15 - 127) * (1 << 23) + 0xFFF & 0xFFFFFFFF))
    normal = builder.lshr(builder.add(rebased, odd), word(13))
    half = ir.Constant(ir.FloatType(), 0.5)
    small = builder.sub(builder.bitcast(builder.fadd(builder.bitcast(body, ir.FloatType()), half), _BITS), word(0x3F000000))
    nan = builder.or_(word(0x7E00), builder.and_(builder.lshr(body, word(13)), word(0x3FF)))
    found = builder.select(builder.icmp_unsigned("<", body, word(0x38800000)), small, normal)
    found = builder.select(builder.icmp_unsigned(">=", body, word(0x47800000)), word(0x7C00), found)
    found = builder.select(builder.icmp_unsigned(">", body, word(0x7F800000)), nan, found)
    return builder.trunc(builder.or_(found, sign), ir.IntType(16))


def _cut(builder: Any, x: Any) -> Any:
    """A float64 as a float32 whose last bit is set where others were cut off: to round it to 11 digits is to round once.

    Rounding to odd: S. Boldo, G. Melquiond, "Emulation of FMA and correctly rounded sums", IEEE Trans. Comput. 57 (2008).
    """
    cut = (1 << 29) - 1
    bits = builder.bitcast(x, WORD)
    lost = builder.and_(bits, ir.Constant(WORD, cut))
    sticky = builder.or_(bits, builder.add(lost, ir.Constant(WORD, cut)))
    return builder.fptrunc(builder.bitcast(builder.and_(sticky, ir.Constant(WORD, ~cut)), ir.DoubleType()), ir.FloatType())


@cache
def bitcast(dtype: DType) -> Intrinsic:
    """The same bits as another type of the same size."""

    def result(x: Type) -> Type:
        if not isinstance(x, DType) or x.bits != dtype.bits:
            raise TypeError(f"takes a value of {dtype.bits} bits, got {x}")
        return dtype

    return Intrinsic(f"bits_{dtype.short}", result, lambda builder, args, types: builder.bitcast(args[0], llvm_type(dtype)))


def external(name: str, result: Type, *wanted: Type, definition: Callable[[], str] | None = None) -> Intrinsic:
    """A function of the C library, or one that `definition` gives as LLVM text: it is compiled once and shared by all kernels."""

    def emit(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
        kind = ir.FunctionType(llvm_type(result), [llvm_type(w) for w in wanted])
        function = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
        return builder.call(function, args)

    return Intrinsic(name, fixed(result, *wanted), emit, definition)


# What the table of calls is walked with: words of memory that several threads read and write, one at a time and in order.


def _at(builder: Any, address: Any, offset: Any) -> Any:
    return builder.gep(builder.inttoptr(address, WORD.as_pointer()), [offset])


def _read(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    return builder.load_atomic(_at(builder, args[0], args[1]), "seq_cst", 8)


def _write(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    return builder.store_atomic(args[2], _at(builder, args[0], args[1]), "seq_cst", 8)


def _add(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    return builder.atomic_rmw("add", _at(builder, args[0], args[1]), args[2], "seq_cst")


def _exchange(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    return builder.atomic_rmw("xchg", _at(builder, args[0], args[1]), args[2], "seq_cst")


def _compare_exchange(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    pair = builder.cmpxchg(_at(builder, args[0], args[1]), args[2], args[3], "seq_cst", "seq_cst")
    return builder.extract_value(pair, 0)


def _pause(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    if builder.module.triple.startswith(("x86_64", "i386", "i686")):
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(builder.module.declare_intrinsic("llvm.x86.sse2.pause", (), kind), [])


def _run(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    kernel = builder.inttoptr(args[0], ir.FunctionType(ir.VoidType(), [WORD] * 5).as_pointer())
    return builder.call(kernel, args[1:])


def _call(builder: Any, args: Sequence[Any], types: tuple[Any, ...]) -> Any:
    function = builder.inttoptr(args[0], ir.FunctionType(WORD, [WORD] * 8).as_pointer())
    return builder.call(function, args[1:])


read = Intrinsic("read", fixed(t.int64, *(t.int64,) * 2), _read)  # (address, offset): the word there
write = Intrinsic("write", fixed(None, *(t.int64,) * 3), _write)  # (address, offset, value)
add = Intrinsic("add", fixed(t.int64, *(t.int64,) * 3), _add)  # (address, offset, value): the word before
exchange = Intrinsic("exchange", fixed(t.int64, *(t.int64,) * 3), _exchange)  # (address, offset, value): the word before
compare_exchange = Intrinsic(  # (address, offset, wanted, value): the word before; the value is written if that was wanted
    "compare_exchange", fixed(t.int64, *(t.int64,) * 4), _compare_exchange
)
pause = Intrinsic("pause", fixed(None), _pause)  # tell the processor that this thread is waiting, where it can be told
run_kernel = Intrinsic("run_kernel", fixed(None, *(t.int64,) * 6), _run)  # (code, pointers, sizes, lo, hi, scratch)
# (code, eight words): what a C function gives; it may take fewer words, and its int is in the lower half of the result. Words
# that a function does not take lie where the calling conventions of x86-64 and of aarch64 let a caller leave what it likes.
call_words = Intrinsic("call_words", fixed(t.int64, *(t.int64,) * 9), _call)
