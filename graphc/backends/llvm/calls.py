"""How a call gets to native code: as fast as it can, or by public ways alone.

    directly     native code reads Python's tuple of arguments, NumPy's arrays, and who else holds the results of calls before
    by ctypes    Python asks each array for its type, shape and address; results are always new: some microseconds more

The first needs objects to lie in memory as CPython with a GIL and NumPy 1 and 2 have them, which is looked at before it is done.
GRAPHC_CALLS=ctypes chooses the second.
"""

from __future__ import annotations

import ctypes
import os
import sys
import sysconfig
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from graphc.backends.llvm import runtime

Array = np.ndarray[Any, Any]
_memory: Callable[[Any], Any] = (ctypes.c_char * 0).from_buffer


def address_of(array: Array) -> int:
    """Where an array's elements are: by its buffer, a microsecond sooner than `array.ctypes.data` says it."""
    try:
        return ctypes.addressof(_memory(array))
    except (TypeError, ValueError, BufferError):  # not writable, or of a type that buffers do not know
        return int(array.ctypes.data)


def by_ctypes() -> str:
    """Why programs that are compiled now are called by ctypes; "" if they are called directly."""
    return "GRAPHC_CALLS=ctypes" if os.environ.get("GRAPHC_CALLS") == "ctypes" else unreadable()


@lru_cache(maxsize=1)
def unreadable() -> str:
    """Why native code cannot read the objects of this Python; "" if it can."""
    if sys.implementation.name != "cpython":
        return f"objects of {sys.implementation.name} do not lie in memory as CPython's"
    if sys.version_info >= (3, 13) and sysconfig.get_config_var("Py_GIL_DISABLED"):  # which takes 2 ms to ask
        return "this Python has no GIL: objects lie in memory otherwise"
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return "addresses have not 64 bits here"
    return "" if _as_expected() else "this Python or NumPy keeps arrays in another way than those that are known"


def _as_expected() -> bool:
    """Whether Python and NumPy keep arrays as `runtime.call` reads them."""

    def words(value: Any) -> Any:
        return (ctypes.c_int64 * 9).from_address(id(value))

    held = [np.zeros((2, 3), np.float32)]
    row = words(held[0])
    once = row[runtime.OBJECT_COUNT] & runtime.HALF
    array, pair = held[0], (1, held)
    twice = row[runtime.OBJECT_COUNT] & runtime.HALF
    counts = (once, twice, row[runtime.OBJECT_CLASS], row[runtime.ARRAY_DATA], row[runtime.ARRAY_DTYPE])
    if counts != (1, 2, id(np.ndarray), array.ctypes.data, id(array.dtype)):
        return False
    if (row[runtime.ARRAY_RANK] & runtime.HALF, row[runtime.ARRAY_FLAGS] & 0x507) != (2, 0x505):
        return False
    if (words(held)[runtime.SIZE], words(pair)[runtime.SIZE], words(pair)[runtime.TUPLE_ITEMS + 1]) != (1, 2, id(held)):
        return False
    axes = tuple((ctypes.c_int64 * 2).from_address(row[runtime.ARRAY_SHAPE]))
    return axes == (2, 3) and ctypes.c_int64.from_address(words(held)[runtime.LIST_ITEMS]).value == id(array)
