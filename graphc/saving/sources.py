"""A file whose arrays are read one by one, as they are asked for."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]


class Source(Protocol):
    """An open file of arrays.

    `array` may give what is the file's own memory: it lasts until `close`, and must not be written. `casts` says that floats of 8
    bits, which graphc does not have, may be given as float32.
    """

    def names(self) -> Iterable[str]: ...

    def array(self, name: str, casts: bool) -> Array: ...

    def close(self) -> None: ...
