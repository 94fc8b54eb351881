"""Routines of Python among kernels: each becomes a function of the kernels' signature, which takes the GIL while it runs."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from graphc.backends.executable import Executable
from graphc.backends.interpreter import bind_runs, call_host
from graphc.backends.threads import get_num_threads
from graphc.ir import dims
from graphc.ir.operation import Host, Operation
from graphc.ir.program import HostCall
from graphc.ir.types import TensorType, TupleType

Array = np.ndarray[Any, Any]
_SIGNATURE = ctypes.CFUNCTYPE(None, *(ctypes.c_int64,) * 5)


@dataclass(frozen=True)
class PythonKernel:
    """A routine among the kernels of a program: Python, and it says so, or a program of its own at a size that is data.

    `native` are the programs of a loop's or a choice's graphs.
    """

    name: str
    kernel: HostCall
    dims: tuple[str, ...] = ()
    reserve: int = 0
    address: int = 0
    native: tuple[Executable, ...] = ()

    @property
    def source(self) -> str:
        """The call of the routine."""
        calls = "".join(f"    {call.kernel.name}\n" for inner in self.kernel.programs for call in inner.calls)
        if self.kernel.is_sized:
            return f"# native code, at a size that is data: other kernels in turn\n{calls}"
        arguments = ", ".join(p.name for p in self.kernel.inputs)
        results = ", ".join(p.name for p in self.kernel.outputs)
        called = f"# Python, not native code\n{results} = {self.kernel.invocation}({arguments})\n"
        return f"{called}# its graphs run other kernels in turn\n{calls}" if calls else called

    def __repr__(self) -> str:
        if self.kernel.is_sized:
            return f"<program {self.name}>"
        return f"<kernel {self.name}: {self.kernel.invocation}, by Python>"


def row_of(python: PythonKernel, sizes: Mapping[str, int], failed: Callable[[BaseException], None]) -> tuple[Any, int]:
    """A routine at given sizes as a function of the kernels' signature: what must be kept alive for it, and its address.

    `failed` is told what it raises.
    """
    host = python.kernel
    runs = (partial(_run_body, native) for native in python.native)
    arrays = [(tuple(dims.evaluate(n, sizes) for n in p.type.shape), p.type.dtype.numpy) for p in host.params]
    attrs = {key: bind_runs(value, sizes, runs) for key, value in host.attrs}
    where = host.where[0] if host.where else None
    parts = tuple(TensorType(p.type.dtype, shape) for p, (shape, _) in zip(host.params, arrays, strict=True) if p.mode == "out")
    want = TupleType(parts) if host.several else parts[0]
    run = partial(call_host, host.operation, attrs=attrs, want=want, where=where)
    into = None if any(p.type.dtype.is_storage for p in host.params) else _into(host.operation)
    count = len(host.inputs)

    def call(pointers: int, *_: int) -> None:
        try:
            places = (ctypes.c_int64 * len(arrays)).from_address(pointers)
            given = [_view(at, shape, dtype) for at, (shape, dtype) in zip(places, arrays, strict=True)]
            for array in given[:count]:
                array.flags.writeable = False
            results = given[count:]
            out = tuple(results) if isinstance(want, TupleType) else results[0]
            with np.errstate(all="ignore"):
                made = run(given[:count], run=into and partial(into, out))
            for result, value in zip(results, made if isinstance(made, tuple) else (made,), strict=True):
                if result is not value:
                    result[...] = value
        except BaseException as error:  # nothing may be raised into native code
            failed(error)

    function = _SIGNATURE(call)
    return function, ctypes.cast(function, ctypes.c_void_p).value or 0


def _run_body(native: Executable, arrays: list[Array], sizes: dict[str, int]) -> list[Array]:
    return native.run(arrays, sizes, tuple(sizes.items()))


def _into(op: Operation) -> Callable[..., Any] | None:
    """The routine that writes into given arrays, if there is one, as a function that returns them."""
    lowering = op.lowering
    if not isinstance(lowering, Host) or lowering.into is None:
        return None
    write = lowering.into

    def into(out: Any, *operands: Array, **attrs: Any) -> Any:
        if lowering.threaded:
            attrs["threads"] = get_num_threads()
        write(out, *operands, **attrs)
        return out

    return into


def _view(address: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An array on memory of the program."""
    size = dtype.itemsize
    for n in shape:
        size *= n
    if not size:
        return np.empty(shape, dtype)
    memory: Array = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(address))
    return memory.view(dtype).reshape(shape)
