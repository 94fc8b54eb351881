"""The same kernels by Numba's front end and pipeline: what ours is judged by. GRAPHC_FRONT_END=numba has all kernels made so."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any

from llvmlite import ir
from numba import cfunc, types
from numba.extending import intrinsic, models, register_model

from graphc.backends.llvm.intrinsics import Intrinsic, Pointer, Type
from graphc.ir import types as t

_WORDS = types.CPointer(types.int64)
_SIGNATURE = types.void(_WORDS, _WORDS, types.int64, types.int64, types.int64)


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
_KEPT: list[Any] = []  # what holds the machine code


def by_numba(text: str, names: Mapping[str, Any]) -> int:
    """The address of a kernel, called `kernel` in its source."""
    calls = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Call)]
    arity = {node.func.id: len(node.args) for node in calls if isinstance(node.func, ast.Name)}
    space = {name: _wrapped(v, arity.get(name, 0)) if isinstance(v, Intrinsic) else v for name, v in names.items()}
    exec(text, space)
    _KEPT.append(cfunc(_SIGNATURE, error_model="numpy", boundscheck=False)(space["kernel"]))
    return int(_KEPT[-1].address)


def _wrapped(function: Intrinsic, arity: int) -> Any:
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
