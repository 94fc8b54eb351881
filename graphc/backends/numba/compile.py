"""From the source of kernels to LLVM, by Numba: its own types and front end, and its own order of LLVM's passes.

An intrinsic writes the same instructions here as in graphc's front end. What comes out is a text of one function, without Python,
without exceptions and without Numba's threads; it is made an object and kept as every other text is.
"""

from __future__ import annotations

import ast
import sys
import threading
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numba
from llvmlite import binding, ir
from numba import cfunc, types
from numba.extending import intrinsic, models, register_model

from graphc.backends.llvm import cache
from graphc.backends.llvm.compile import Text
from graphc.backends.llvm.intrinsics import Intrinsic, Pointer, Type
from graphc.backends.llvm.objects import FINISHED
from graphc.ir import types as t

_WORDS = types.CPointer(types.int64)
_SIGNATURE = types.void(_WORDS, _WORDS, types.int64, types.int64, types.int64)
_compiling = threading.Lock()  # two threads that compile take turns: Numba's registries are its process's


class Storage(types.Type):  # type: ignore[misc]
    """A float that memory alone holds: its bits."""


@register_model(Storage)
class _StorageModel(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, manager: Any, kind: Storage) -> None:
        super().__init__(manager, kind, ir.IntType(16))


_DTYPES = {
    Storage(d.name) if d.is_storage else getattr(types, "boolean" if d.is_bool else d.name): d for d in t.DTYPES
}  # fmt: skip
_NUMBA = {d: kind for kind, d in _DTYPES.items()}


@dataclass(frozen=True)
class NumbaText(Text):
    """A source text of one kernel, which Numba makes LLVM of.

    Numba links what it compiles at once, and the process ends where a symbol is missing.
    """

    wants_libraries = True

    @property
    def key(self) -> str:
        return cache.key_of(f"{_front_end()}\n{self.meaning}", self.target)

    def llvm(self, prefix: str) -> str:
        """The LLVM text of the kernel as Numba's pipeline leaves it."""
        tree = ast.parse(self.text)
        (name,) = [s.name for s in tree.body if isinstance(s, ast.FunctionDef)]
        calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
        arity = {node.func.id: len(node.args) for node in calls if isinstance(node.func, ast.Name)}
        space: dict[str, Any] = {
            name: _wrapped(v, arity[name]) if isinstance(v, Intrinsic) else v
            for name, v in self.names.items()
            if name in arity or not isinstance(v, Intrinsic)
        }
        exec(self.text, space)
        with _compiling:
            made = cfunc(_SIGNATURE, nopython=True, error_model="numpy", boundscheck=False)(space[name])
            return FINISHED + _alone_in_its_module(made.inspect_llvm(), made.native_name, prefix + name)


def _alone_in_its_module(text: str, symbol: str, name: str) -> str:
    """The text with one function to be seen from outside, under another name: objects of several processes meet in one."""
    module = binding.parse_assembly(text)
    for value in (*module.functions, *module.global_variables):
        if value.name == symbol:
            value.name = name
        elif not value.is_declaration:
            value.linkage = "internal"
    return str(module)


@lru_cache(maxsize=1)
def _front_end() -> str:
    """What decides the LLVM text beside the source, and `cache.key_of` does not know of."""
    return f"Numba {numba.__version__}, Python {sys.version_info[:2]}\n{Path(__file__).read_text(encoding='utf-8')}"


@lru_cache(maxsize=4096)
def _wrapped(function: Intrinsic, arity: int) -> Any:
    """An intrinsic of Numba's."""

    def typed(*args: Any) -> tuple[Any, Any]:
        kinds = tuple(_from_numba(types.unliteral(a)) for a in args)

        def codegen(context: Any, builder: Any, signature: Any, values: Any) -> Any:
            result = function.emit(builder, values, kinds)
            return context.get_dummy_value() if signature.return_type is types.void else result

        return _to_numba(function.result(*kinds))(*(_to_numba(k) for k in kinds)), codegen

    arguments = ", ".join(f"x{i}" for i in range(arity))  # Numba wants to see how many there are
    return intrinsic(eval(f"lambda context, {arguments}: typed({arguments})", {"typed": typed}))


def _to_numba(kind: Type) -> Any:
    match kind:
        case None:
            return types.void
        case Pointer(element):
            return types.CPointer(_NUMBA[element])
        case _:
            return _NUMBA[kind]


def _from_numba(kind: Any) -> Type:
    return Pointer(_DTYPES[kind.dtype]) if isinstance(kind, types.CPointer) else _DTYPES[kind]
