"""What the generated source calls: scalar instructions that LLVM can vectorise, written as LLVM IR.

Loads and stores carry alias scopes, one a buffer, so that LLVM knows that buffers do not overlap. Only `sum_add` and
`product_mul`, which serve accumulators, may be reassociated; all other arithmetic is exactly what the source says.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from graphc.ir import types as t
from graphc.ir.types import DType

SCOPES = 32  # buffers of one kernel beyond these are accessed without alias information

NUMBA: dict[DType, Any] = {
    t.bool_: types.boolean, t.int8: types.int8, t.int16: types.int16, t.int32: types.int32, t.int64: types.int64,
    t.uint8: types.uint8, t.uint16: types.uint16, t.uint32: types.uint32, t.uint64: types.uint64, t.float32: types.float32,
    t.float64: types.float64,
}  # fmt: skip


def _memory(kind: Any) -> Any:
    """The type of an element in memory: a boolean is a byte."""
    return types.uint8 if kind is types.boolean else kind


def is_signed(kind: Any) -> bool:
    return bool(getattr(kind, "signed", False))


def _scopes(module: Any, number: int) -> dict[str, Any]:
    if number >= SCOPES:
        return {}
    domain = module.add_metadata(["graphc"])
    scopes = [module.add_metadata([f"buffer {i}", domain]) for i in range(SCOPES)]
    return {
        "alias.scope": module.add_metadata([scopes[number]]),
        "noalias": module.add_metadata([s for i, s in enumerate(scopes) if i != number]),
    }


def _mark(instruction: Any, module: Any, number: int) -> Any:
    for name, value in _scopes(module, number).items():
        instruction.set_metadata(name, value)
    return instruction


@cache
def pointer(dtype: DType) -> Any:
    """address -> pointer to elements of a type."""
    kind = types.CPointer(_memory(NUMBA[dtype]))

    @intrinsic
    def at(typingctx: Any, address: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.inttoptr(args[0], context.get_value_type(sig.return_type))

        return kind(types.int64), codegen

    return at


@cache
def load(number: int, boolean: bool) -> Any:
    """(pointer, index) -> element, in alias scope `number`."""

    @intrinsic
    def load_element(typingctx: Any, p: Any, i: Any) -> Any:
        result = types.boolean if boolean else p.dtype

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            value = _mark(builder.load(builder.gep(args[0], [args[1]])), builder.module, number)
            return builder.icmp_unsigned("!=", value, ir.Constant(value.type, 0)) if boolean else value

        return result(p, types.int64), codegen

    return load_element


@cache
def store(number: int, boolean: bool) -> Any:
    """(pointer, index, element) -> None, in alias scope `number`."""

    @intrinsic
    def store_element(typingctx: Any, p: Any, i: Any, value: Any) -> Any:
        given = types.boolean if boolean else p.dtype

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            element = builder.zext(args[2], ir.IntType(8)) if boolean else args[2]
            _mark(builder.store(element, builder.gep(args[0], [args[1]])), builder.module, number)
            return context.get_dummy_value()

        return types.void(p, types.int64, given), codegen

    return store_element


def _unary(name: str, emit: Callable[[Any, Any, Any], Any]) -> Any:
    @intrinsic
    def function(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return emit(builder, args[0], sig.args[0])

        return x(x), codegen

    function.__name__ = name
    return function


def _binary(name: str, emit: Callable[[Any, Any, Any, Any], Any], result: Any = None) -> Any:
    @intrinsic
    def function(typingctx: Any, a: Any, b: Any) -> Any:
        a, b = types.unliteral(a), types.unliteral(b)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return emit(builder, args[0], args[1], sig.args[0])

        return (result or a)(a, a), codegen

    function.__name__ = name
    return function


def call_llvm(builder: Any, name: str, args: list[Any], result: Any = None) -> Any:
    """A call of an LLVM intrinsic that is overloaded by its first argument's type."""
    kind = args[0].type
    suffix = {"float": "f32", "double": "f64"}.get(str(kind), str(kind))
    signature = ir.FunctionType(result or kind, [a.type for a in args])
    return builder.call(builder.module.declare_intrinsic(f"llvm.{name}.{suffix}", (), signature), args)


def _llvm_unary(name: str) -> Any:
    return _unary(name, lambda builder, x, kind: call_llvm(builder, name, [x]))


fabs, sqrt, floor, ceil, trunc = (_llvm_unary(n) for n in ("fabs", "sqrt", "floor", "ceil", "trunc"))
rint = _llvm_unary("nearbyint")  # to nearest, ties to even, in the default rounding mode


@intrinsic
def fma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """a * b + c, rounded once."""

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return call_llvm(builder, "fma", list(args))

    return a(a, a, a), codegen


@intrinsic
def select(typingctx: Any, condition: Any, a: Any, b: Any) -> Any:
    """a where the condition holds, else b."""
    kind = types.unliteral(a)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        return builder.select(*args)

    return kind(types.boolean, kind, kind), codegen


def _integer(name: str) -> Any:
    return _binary(name, lambda builder, a, b, kind: getattr(builder, name)(a, b))


iadd, isub, imul, iand, ior, ixor, shl = (_integer(n) for n in ("add", "sub", "mul", "and_", "or_", "xor", "shl"))
shr = _binary("shr", lambda builder, a, b, kind: builder.ashr(a, b) if is_signed(kind) else builder.lshr(a, b))
quot = _binary("quot", lambda builder, a, b, kind: builder.sdiv(a, b) if is_signed(kind) else builder.udiv(a, b))
rem = _binary("rem", lambda builder, a, b, kind: builder.srem(a, b) if is_signed(kind) else builder.urem(a, b))
ineg = _unary("ineg", lambda builder, x, kind: builder.neg(x))
inot = _unary("inot", lambda builder, x, kind: builder.not_(x))
fneg = _unary("fneg", lambda builder, x, kind: builder.fneg(x))
fmod = _binary("fmod", lambda builder, a, b, kind: builder.frem(a, b))
udiv = _binary("udiv", lambda builder, a, b, kind: builder.udiv(a, b))


def _floordiv(builder: Any, a: Any, b: Any, kind: Any) -> Any:
    """a // b for b > 0."""
    quotient = builder.sdiv(a, b)
    low = builder.icmp_signed("<", builder.srem(a, b), ir.Constant(a.type, 0))
    return builder.sub(quotient, builder.zext(low, a.type))


floordiv = _binary("floordiv", _floordiv)


def _iabs(builder: Any, x: Any, kind: Any) -> Any:
    if not is_signed(kind):
        return x
    return builder.select(builder.icmp_signed("<", x, ir.Constant(x.type, 0)), builder.neg(x), x)


iabs = _unary("iabs", _iabs)


def _compare(sign: str) -> Any:
    def emit(builder: Any, a: Any, b: Any, kind: Any) -> Any:
        if isinstance(kind, types.Float):
            return (builder.fcmp_unordered if sign == "!=" else builder.fcmp_ordered)(sign, a, b)
        return (builder.icmp_signed if is_signed(kind) else builder.icmp_unsigned)(sign, a, b)

    return _binary("compare", emit, types.boolean)


eq, ne, lt, le, gt, ge = (_compare(s) for s in ("==", "!=", "<", "<=", ">", ">="))

# Accumulators: the only arithmetic that may be reordered, within one fixed block.
sum_add = _binary("sum_add", lambda builder, a, b, kind: builder.fadd(a, b, flags=("reassoc",)))
product_mul = _binary("product_mul", lambda builder, a, b, kind: builder.fmul(a, b, flags=("reassoc",)))


def _extreme(name: str, sign: str) -> Any:
    def emit(builder: Any, a: Any, b: Any, kind: Any) -> Any:
        if isinstance(kind, types.Float):
            return call_llvm(builder, name, [a, b])  # lets NaN through
        if kind is types.boolean:
            return builder.or_(a, b) if sign == ">" else builder.and_(a, b)
        return builder.select((builder.icmp_signed if is_signed(kind) else builder.icmp_unsigned)(sign, a, b), a, b)

    return _binary(name, emit)


maximum, minimum = _extreme("maximum", ">"), _extreme("minimum", "<")


@cache
def cast(dtype: DType) -> Any:
    """A value in another type: integers wrap; floats to integers saturate and NaN becomes 0."""
    target = NUMBA[dtype]

    @intrinsic
    def convert(typingctx: Any, x: Any) -> Any:
        source = types.unliteral(x)

        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return _convert(builder, args[0], source, target, context.get_value_type(target))

        return target(source), codegen

    return convert


def _convert(builder: Any, x: Any, source: Any, target: Any, to: Any) -> Any:
    from_float, to_float = isinstance(source, types.Float), isinstance(target, types.Float)
    if target is types.boolean:
        zero = ir.Constant(x.type, 0)
        return builder.fcmp_unordered("!=", x, zero) if from_float else builder.icmp_unsigned("!=", x, zero)
    if from_float and to_float:
        if x.type == to:
            return x
        return builder.fpext(x, to) if target.bitwidth > source.bitwidth else builder.fptrunc(x, to)
    if from_float:
        name = "fptosi.sat" if is_signed(target) else "fptoui.sat"
        suffix = {"float": "f32", "double": "f64"}[str(x.type)]
        function = builder.module.declare_intrinsic(f"llvm.{name}.{to}.{suffix}", (), ir.FunctionType(to, [x.type]))
        return builder.call(function, [x])
    if to_float:
        return builder.sitofp(x, to) if is_signed(source) else builder.uitofp(x, to)
    if to.width == x.type.width:
        return x
    if to.width < x.type.width:
        return builder.trunc(x, to)
    return builder.sext(x, to) if is_signed(source) else builder.zext(x, to)


@cache
def bitcast(dtype: DType) -> Any:
    """The same bits as another type of the same size."""
    target = NUMBA[dtype]

    @intrinsic
    def reinterpret(typingctx: Any, x: Any) -> Any:
        def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
            return builder.bitcast(args[0], context.get_value_type(target))

        return target(types.unliteral(x)), codegen

    return reinterpret
