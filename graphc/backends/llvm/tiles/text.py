"""LLVM text of a few straight functions: the part of `llvmlite.ir` that register tiles need, at a fifth of its time.

    module = Module("tiles")
    f = Function(module, FunctionType(VOID, [WORD, POINTER]), "store")
    build = Builder(f.block("entry"))
    build.store(build.add(f.args[0], WORD(1)), f.args[1])       %v2 = add i64 %v0, 1
    build.ret_void()                                            store i64 %v2, ptr %v1

A type is its text, and gives constants when it is called. Nothing is checked here: LLVM reads the text.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partialmethod
from typing import Any


class Value:
    """A constant, an argument, or the result of an instruction."""

    __slots__ = ("name", "type")

    def __init__(self, kind: Type, name: str) -> None:
        self.type = kind
        self.name = name

    def __str__(self) -> str:
        return f"{self.type} {self.name}"


class Type(str):
    """A type; of a pointer to a function, `returns` is the type of that function's result."""

    __slots__ = ("returns",)
    returns: Type

    def __call__(self, value: Any) -> Value:
        """A constant: of a number, or of a list of numbers or values for a vector."""
        if isinstance(value, list):
            if all(v == 0 for v in value):
                return Value(self, "zeroinitializer")
            each = element_of(self)
            return Value(self, f"<{', '.join(f'{each} {v}' for v in value)}>")
        return Value(self, str(value))

    @property
    def undefined(self) -> Value:
        """A value that nothing depends on."""
        return Value(self, "undef")


VOID, POINTER = Type("void"), Type("ptr")
BIT, SHORT, HALF, WORD = (Type(f"i{bits}") for bits in (1, 16, 32, 64))
FLOAT16, FLOAT, DOUBLE = Type("half"), Type("float"), Type("double")
_SIGNED = {"<": "slt", "<=": "sle", ">": "sgt", ">=": "sge", "==": "eq", "!=": "ne"}


def vector_of(kind: Type, lanes: int) -> Type:
    return Type(f"<{lanes} x {kind}>")


def element_of(vector: Type) -> Type:
    return Type(vector[1:-1].partition(" x ")[2])


class Signature:
    """The types of a function's arguments and of its result."""

    def __init__(self, returns: Type, arguments: Sequence[Type]) -> None:
        self.returns, self.arguments = returns, tuple(arguments)

    @property
    def pointer(self) -> Type:
        """The type of a pointer to such a function."""
        found = Type("ptr")
        found.returns = self.returns
        return found


class Block:
    """Instructions up to a branch."""

    def __init__(self, function: Function, name: str) -> None:
        self.function, self.name = function, name
        self.lines: list[Any] = []


class Module:
    """Functions, tables, and declarations of what LLVM brings along."""

    def __init__(self) -> None:
        self.functions: list[Function] = []
        self._tables: list[str] = []
        self._declared: dict[str, Value] = {}
        self._declarations: list[str] = []

    def declare(self, name: str, returns: Type, arguments: Sequence[Type]) -> Value:
        """One of LLVM's own functions."""
        if name not in self._declared:
            self._declared[name] = Value(Signature(returns, arguments).pointer, f'@"{name}"')
            self._declarations.append(f'declare {returns} @"{name}"({", ".join(arguments)})')
        return self._declared[name]

    def table(self, name: str, each: Type, items: Sequence[Value]) -> Value:
        """The address of values that do not change."""
        inside = ", ".join(map(str, items))
        self._tables.append(f'@"{name}" = internal constant [{len(items)} x {each}] [{inside}]')
        return Value(POINTER, f'@"{name}"')

    def __str__(self) -> str:
        return "\n\n".join((*(f.text for f in self.functions), *self._declarations, *self._tables)) + "\n"


class Function(Value):
    """A function that is being written."""

    __slots__ = ("args", "blocks", "count", "internal", "names", "signature")

    def __init__(self, module: Module, signature: Signature, name: str, internal: bool = False) -> None:
        super().__init__(signature.pointer, f'@"{name}"')
        self.signature, self.internal = signature, internal
        self.args = [Value(kind, f"%v{i}") for i, kind in enumerate(signature.arguments)]
        self.count = len(self.args)
        self.blocks: list[Block] = []
        self.names: dict[str, int] = {}
        module.functions.append(self)

    def block(self, name: str) -> Block:
        """A block at the end, of a name that is made unique."""
        self.names[name] = again = self.names.get(name, 0) + 1
        self.blocks.append(Block(self, name if again == 1 else f"{name}.{again}"))
        return self.blocks[-1]

    @property
    def text(self) -> str:
        """The whole function."""
        head = "define internal" if self.internal else "define"
        lines = [f"{head} {self.signature.returns} {self.name}({', '.join(map(str, self.args))})", "{"]
        for block in self.blocks:
            lines.append(f"{block.name}:")
            lines += map(str, block.lines)
        return "\n".join((*lines, "}"))


class Phi(Value):
    """A value that depends on where a block was entered from."""

    __slots__ = ("incoming",)

    def __init__(self, kind: Type, name: str) -> None:
        super().__init__(kind, name)
        self.incoming: list[str] = []

    def add_incoming(self, value: Value, block: Block) -> None:
        self.incoming.append(f"[{value.name}, %{block.name}]")


class Builder:
    """Writes instructions at the end of a block."""

    def __init__(self, block: Block) -> None:
        self.block = block

    def position_at_end(self, block: Block) -> None:
        self.block = block

    def _named(self, kind: Type, text: str) -> Value:
        function = self.block.function
        found = Value(kind, f"%v{function.count}")
        function.count += 1
        self.block.lines.append(f"  {found.name} = {text}")
        return found

    def _line(self, text: str) -> None:
        self.block.lines.append("  " + text)

    # --- numbers ---

    def binary(self, op: str, a: Value, b: Value) -> Value:
        return self._named(a.type, f"{op} {a.type} {a.name}, {b.name}")

    add = partialmethod(binary, "add")
    sub = partialmethod(binary, "sub")
    mul = partialmethod(binary, "mul")
    sdiv = partialmethod(binary, "sdiv")
    and_ = partialmethod(binary, "and")
    or_ = partialmethod(binary, "or")
    shl = partialmethod(binary, "shl")
    ashr = partialmethod(binary, "ashr")
    fadd = partialmethod(binary, "fadd")
    fmul = partialmethod(binary, "fmul")

    def not_(self, a: Value) -> Value:
        return self.binary("xor", a, a.type(-1))

    def icmp_signed(self, op: str, a: Value, b: Value) -> Value:
        kind = Type(f"{a.type.partition(' x ')[0]} x i1>") if a.type.startswith("<") else BIT
        return self._named(kind, f"icmp {_SIGNED[op]} {a.type} {a.name}, {b.name}")

    def select(self, condition: Value, a: Value, b: Value) -> Value:
        return self._named(a.type, f"select {condition}, {a}, {b}")

    def convert(self, op: str, a: Value, kind: Type) -> Value:
        return self._named(kind, f"{op} {a} to {kind}")

    zext = partialmethod(convert, "zext")
    fpext = partialmethod(convert, "fpext")
    bitcast = partialmethod(convert, "bitcast")

    # --- vectors ---

    def insert_element(self, vector: Value, one: Value, place: Value) -> Value:
        return self._named(vector.type, f"insertelement {vector}, {one}, {place}")

    def shuffle_vector(self, a: Value, b: Value, mask: Value) -> Value:
        """The elements of two vectors that a mask of as many names."""
        return self._named(a.type, f"shufflevector {a}, {b}, {mask}")

    # --- memory ---

    def gep(self, pointer: Value, offset: Value, each: Type) -> Value:
        return self._named(POINTER, f"getelementptr {each}, {pointer}, {offset}")

    def load(self, pointer: Value, kind: Type, align: int | None = None) -> Value:
        return self._named(kind, f"load {kind}, {pointer}" + ("" if align is None else f", align {align}"))

    def store(self, value: Value, pointer: Value, align: int | None = None) -> None:
        self._line(f"store {value}, {pointer}" + ("" if align is None else f", align {align}"))

    # --- control ---

    def phi(self, kind: Type) -> Phi:
        function = self.block.function
        found = Phi(kind, f"%v{function.count}")
        function.count += 1
        self.block.lines.append(_PhiLine(found))
        return found

    def branch(self, block: Block) -> None:
        self._line(f"br label %{block.name}")

    def cbranch(self, condition: Value, block: Block, other: Block) -> None:
        self._line(f"br {condition}, label %{block.name}, label %{other.name}")

    def call(self, function: Value, args: Sequence[Value]) -> Value:
        """The result of a function; nothing reads that of one without."""
        returns = function.type.returns
        text = f"call {returns} {function.name}({', '.join(map(str, args))})"
        if returns is VOID:
            self._line(text)
            return function
        return self._named(returns, text)

    def ret_void(self) -> None:
        self._line("ret void")


class _PhiLine:
    """A phi in its block: its values come later."""

    __slots__ = ("phi",)

    def __init__(self, phi: Phi) -> None:
        self.phi = phi

    def __str__(self) -> str:
        return f"  {self.phi.name} = phi {self.phi.type} {', '.join(self.phi.incoming)}"
