"""LAPACK and BLAS as NumPy has loaded them, called in place and on one thread.

NumPy's own functions convert every matrix to columns and back, which takes as long as factoring it, and OpenBLAS's threads wait
for each other by spinning: on busy processors a call that takes 1 ms took 700. So the routines that matter are called by their
symbols in the library that `numpy.linalg` is linked with, in the memory of the result. A matrix stored by rows is its transpose
to LAPACK, hence the exchanged "upper" and "lower" here. One thread also means the same bits on any number of threads.

Where the symbols are not to be found, `FOUND` is False and the same functions are made of public NumPy: slower, not wrong.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

Array = np.ndarray[Any, Any]

# How libraries decorate the names of LAPACK, and the integers they then take.
_NAMES: tuple[tuple[str, Any], ...] = (("scipy_{}_64_", np.int64), ("{}_64_", np.int64), ("{}_", np.int32))
_LETTER = {np.dtype(np.float32): "s", np.dtype(np.float64): "d"}
_REAL = {np.dtype(np.float32): ctypes.c_float, np.dtype(np.float64): ctypes.c_double}
_ONE = ctypes.c_size_t(1)  # the length of a character, which Fortran passes behind the arguments


class _Library:
    """The routines by their LAPACK names, or none of them."""

    def __init__(self) -> None:
        self.integer: Any = np.int64
        self.routines: dict[str, Any] = {}
        self.threads: tuple[Any, Any] | None = None
        self._lock = threading.Lock()
        self._users = 0
        self._before = 0
        try:
            from numpy.linalg import _umath_linalg

            library = ctypes.CDLL(_umath_linalg.__file__)
        except (ImportError, OSError):
            return
        wanted = [letter + name for letter in "sd" for name in ("potrf", "getrf", "trsm")]
        for names, integer in _NAMES:
            if all(hasattr(library, names.format(name)) for name in wanted):
                self.routines = {name: getattr(library, names.format(name)) for name in wanted}
                self.integer = integer
                break
        for begin, end in (("scipy_", "64_"), ("", "64_"), ("", "")):
            calls = [f"{begin}openblas_{what}_num_threads{end}" for what in ("get", "set")]
            if all(hasattr(library, name) for name in calls):
                self.threads = getattr(library, calls[0]), getattr(library, calls[1])
                break

    @contextmanager
    def one_thread(self) -> Iterator[None]:
        """OpenBLAS on one thread; as it was when the last of those who want this at the same time has left."""
        if self.threads is None:
            yield
            return
        get, change = self.threads
        with self._lock:
            if not self._users:
                self._before = get()
                change(1)
            self._users += 1
        try:
            yield
        finally:
            with self._lock:
                self._users -= 1
                if not self._users:
                    change(self._before)

    def call(self, name: str, dtype: np.dtype[Any], *arguments: Any) -> None:
        """A routine: characters, integers, arrays, and the address of an array's part as c_void_p."""
        given: list[Any] = []
        lengths = 0
        kind = ctypes.c_int64 if self.integer is np.int64 else ctypes.c_int32
        for a in arguments:
            if isinstance(a, int):
                given.append(ctypes.byref(kind(a)))
            elif isinstance(a, np.ndarray):
                given.append(ctypes.c_void_p(a.ctypes.data))
            else:
                lengths += isinstance(a, bytes)
                given.append(a)
        self.routines[_LETTER[dtype] + name](*given, *(_ONE,) * lengths)


_LIBRARY = _Library()
FOUND = bool(_LIBRARY.routines)
one_thread = _LIBRARY.one_thread


def cholesky(out: Array, a: Array) -> None:
    """out = L of a = L L^T, read from a's lower triangle; LinAlgError where a leading minor is not positive.

    NaN for a matrix that is not finite.
    """
    n = a.shape[-1]
    np.copyto(out, a)
    wild = ~np.isfinite(a).all(axis=(-2, -1))
    out[wild] = np.eye(n, dtype=a.dtype)
    status = np.zeros(1, _LIBRARY.integer)
    with one_thread():
        if not FOUND:
            out[...] = np.linalg.cholesky(out)
            out[wild] = np.nan
            return
        for matrix in out.reshape(-1, n, n) if out.size else ():
            _LIBRARY.call("potrf", a.dtype, b"U", n, matrix, n, status)
            if status[0]:
                raise LinAlgError("the matrix is not positive definite")
    np.copyto(out, 0, where=~np.tri(n, dtype=bool))
    out[wild] = np.nan


def lu(out: tuple[Array, Array], a: Array) -> None:
    """out = (LU, rows): a, transposed, is P L U with a unit lower L; `rows` holds the row that each row was exchanged with.

    A singular matrix is no error: U has a zero on its diagonal.
    """
    packed, rows = out
    np.copyto(packed, a)
    n = a.shape[-1]
    if not packed.size:
        return
    if not FOUND:
        for matrix, exchanged in zip(packed.reshape(-1, n, n), rows.reshape(-1, n), strict=True):
            _lu_by_numpy(matrix.T, exchanged)
        return
    exchanged = np.empty(n, _LIBRARY.integer)
    status = np.zeros(1, _LIBRARY.integer)
    with one_thread():
        for matrix, place in zip(packed.reshape(-1, n, n), rows.reshape(-1, n), strict=True):
            _LIBRARY.call("getrf", a.dtype, n, n, matrix, n, exchanged, status)
            np.subtract(exchanged, 1, out=place)


def _lu_by_numpy(a: Array, rows: Array) -> None:
    for k in range(len(a)):
        pivot = k + int(np.argmax(np.abs(a[k:, k])))
        rows[k] = pivot
        if pivot != k:
            a[[k, pivot]] = a[[pivot, k]]
        if a[k, k] != 0:
            a[k + 1 :, k] /= a[k, k]
            a[k + 1 :, k + 1 :] -= np.outer(a[k + 1 :, k], a[k, k + 1 :])


def solve(out: Array, packed: Array, rows: Array, b: Array, transposed: bool) -> None:
    """out = the x of a x = b, or of a^T x = b, from `lu` of a; LinAlgError where a is singular."""
    n = packed.shape[-1]
    if (np.einsum("...ii->...i", packed) == 0).any():
        raise LinAlgError("the matrix is singular")
    np.copyto(out, b)
    if not out.size:
        return
    with one_thread():
        for f, exchanged, x in zip(
            packed.reshape(-1, n, n), rows.reshape(-1, n), out.reshape(-1, n, b.shape[-1]), strict=True
        ):  # a^T = P L U: a = U^T L^T P^T
            order = np.arange(n)
            for k, other in enumerate(exchanged.tolist()):
                if other != k:
                    order[k], order[other] = order[other], order[k]
            if transposed:
                x[...] = x[order]
                _triangle(f, x, upper=False, transposed=True, unit=True)
                _triangle(f, x, upper=True, transposed=True, unit=False)
            else:
                _triangle(f, x, upper=True, transposed=False, unit=False)
                _triangle(f, x, upper=False, transposed=False, unit=True)
                x[order] = x.copy()


def solve_triangular(out: Array, a: Array, b: Array, lower: bool, transposed: bool, unit_diagonal: bool) -> None:
    """out = the x of a x = b, or of a^T x = b, where only a triangle of a is read; LinAlgError where its diagonal has a zero."""
    n = a.shape[-1]
    if not unit_diagonal and (np.einsum("...ii->...i", a) == 0).any():
        raise LinAlgError("the matrix is singular: its diagonal has a zero")
    np.copyto(out, b)
    if not out.size:
        return
    with one_thread():
        for matrix, x in zip(a.reshape(-1, n, n), out.reshape(-1, n, b.shape[-1]), strict=True):
            _triangle(matrix, x, upper=lower, transposed=transposed, unit=unit_diagonal)


def _triangle(a: Array, x: Array, *, upper: bool, transposed: bool, unit: bool) -> None:
    """x solved in place by a triangle of a, as LAPACK sees a: `upper` is the lower triangle of the rows in memory."""
    n, m = x.shape
    if FOUND:
        _LIBRARY.call(
            "trsm", a.dtype, b"R", b"U" if upper else b"L", b"T" if transposed else b"N", b"U" if unit else b"N", m, n,
            ctypes.byref(_REAL[a.dtype](1)), a, n, x, m,
        )  # fmt: skip
        return
    triangle = np.tril(a) if upper else np.triu(a)
    if unit:
        np.fill_diagonal(triangle, 1)
    if upper == transposed:  # an upper triangular system: the LU factors of its matrix are itself
        x[...] = np.linalg.solve(triangle.T if transposed else triangle, x)
    else:
        x[...] = np.linalg.solve((triangle.T if transposed else triangle)[::-1, ::-1], x[::-1])[::-1]


__all__ = ["FOUND", "cholesky", "lu", "one_thread", "solve", "solve_triangular"]
