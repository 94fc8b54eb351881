"""Every kind of wrong use raises its exact message, with the user's line and what to do; variables hold what they held."""

from __future__ import annotations

import copy
import linecache
import math
import pickle
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import errors

x = gx.placeholder("x", ("batch", 3), "float32")
y = gx.placeholder("y", ("batch", 4), "float32")
i = gx.placeholder("i", (3,), "int64")
s = gx.placeholder("s", (), "float32")
b = gx.placeholder("b", (2, 2), "int8")
u = gx.placeholder("u", (2, 2), "uint64")
v = gx.variable(np.zeros((2, 3), "float32"), name="v")
X = np.ones((2, 3), "float32")


def here() -> int:
    """The line this is called on."""
    return sys._getframe(1).f_lineno


def check(act: Callable[[], Any], kind: type[errors.GraphError], message: str, hint: str | None, line: int | None = None) -> None:
    """`act` raises exactly this; its line is the one of this file on which it was raised, unless another is given."""
    with pytest.raises(kind) as caught:
        act()
    assert type(caught.value) is kind
    if line is None:
        trace = caught.value.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == __file__:
                line = trace.tb_lineno
            trace = trace.tb_next
    assert line is not None
    expected = [message, f"  {Path(__file__).name}:{line}   {linecache.getline(__file__, line).strip()}"]
    assert str(caught.value) == "\n".join(expected + ([] if hint is None else [f"  hint: {hint}"]))


NOT_NUMPY = "use gx.zeros, gx.ones, gx.full, gx.arange instead of NumPy's; gx.scan, gx.map or gx.fori_loop instead of range"


def loop() -> None:
    while s > 0:
        pass


def check_that() -> None:
    assert s > 0


def set_item() -> None:
    x[0, 1:] = 1


def add_to_item() -> None:
    x[0] += 1


def delete_item() -> None:
    del x[0]


def table(rows: list[Any]) -> Any:
    return pytest.mark.parametrize(("act", "kind", "message", "hint"), [r[1:] for r in rows], ids=[r[0] for r in rows])


SHAPES = [
    ("index ragged", lambda: gx.zeros((2,3))[[[1, 2], [1]]], errors.ShapeError,
     "indexing f64[2, 3] with [[1, 2], [1]]: its rows differ in length",
     "give rows of equal length"),
    ("bytes", lambda: gx.exp(np.bytes_(b"")), errors.DTypeError,
     "dtype('S') is not a data type of graphc",
     "use one of bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64"),
    ("unconnected", lambda: gx.grad(gx.sum(x), x, unconnected=np.ones(3)), errors.InputError,
     "grad: unconnected is array([1., 1., 1.])",
     "'zero', 'error', or None, which gives zeros and warns"),
    ("no variables", lambda: gx.named_variables(np.array(7, object)), errors.InputError,
     "named_variables: only variables have state, got array(7, dtype=object)",
     "make them with gx.variable; of what gx.compile gives, take `.variables`"),
    ("update by a class", lambda: gx.variable(np.zeros(3)).update(int), errors.InputError,
     "update: the class int is no value",
     "give an array, or a function"),
    ("histogram range", lambda: gx.histogram(x, range=np.array(-1)), errors.InputError,
     "histogram: range must be a pair (lowest, highest), got array(-1)",
     None),
    ("add shapes", lambda: x + y, errors.ShapeError,
     "add cannot broadcast f32[batch, 3] and f32[batch, 4]: 3 and 4 differ",
     "sizes must be equal or 1; reshape or slice one operand"),
    ("add fixed", lambda: gx.zeros((2,3)) + gx.zeros((4,)), errors.ShapeError,
     "add cannot broadcast f64[2, 3] and f64[4]: 3 and 4 differ",
     "sizes must be equal or 1; reshape or slice one operand"),
    ("ensure_shape", lambda: gx.ensure_shape(x, (-1, 3)), errors.ShapeError,
     "ensure_shape: (-1, 3) has a negative size",
     "sizes that stay are x.shape's"),
    ("matmul", lambda: x @ y, errors.ShapeError,
     "matmul needs equal inner dimensions, got f32[batch, 3] and f32[batch, 4]",
     "3 is the first operand's last dimension; the second's first is batch"),
    ("matmul 0d", lambda: x @ s, errors.ShapeError,
     "matmul needs at least one axis each, got f32[batch, 3] and f32[]",
     "use * for scalars"),
    ("matmul batch", lambda: gx.zeros((2,3,4)) @ gx.zeros((3,4,5)), errors.ShapeError,
     "matmul cannot broadcast the leading axes of f64[2, 3, 4] and f64[3, 4, 5]",
     "sizes must be equal or 1; reshape or slice one operand"),
    ("concat rank", lambda: gx.concat([x, x[0]]), errors.ShapeError,
     "concat along axis 0 needs equal other axes, got f32[batch, 3] and f32[3]",
     None),
    ("concat sizes", lambda: gx.concat([x, y], axis=0), errors.ShapeError,
     "concat along axis 0 needs equal other axes, got f32[batch, 3] and f32[batch, 4]",
     None),
    ("concat none", lambda: gx.concat([]), errors.ShapeError,
     "concat needs at least one array",
     None),
    ("concat axis", lambda: gx.concat([x, x], axis=2), errors.ShapeError,
     "concat: axis 2 is out of range for f32[batch, 3]",
     "axes go from -2 to 1"),
    ("stack", lambda: gx.stack([x, y]), errors.ShapeError,
     "stack needs equal shapes, got f32[batch, 3] and f32[batch, 4]",
     None),
    ("reshape", lambda: gx.reshape(gx.zeros((2,3)), (4,2)), errors.ShapeError,
     "reshape of f64[2, 3] to [4, 2] changes the number of elements from 6 to 8",
     None),
    ("reshape -1", lambda: gx.reshape(gx.zeros((2,3)), (4,-1)), errors.ShapeError,
     "reshape of f64[2, 3] to [4, -1]: 6 elements do not divide by 4",
     None),
    ("reshape two", lambda: gx.reshape(x, (-1,-1)), errors.ShapeError,
     "reshape of f32[batch, 3] to [-1, -1]: at most one size may be -1, others cannot be negative",
     None),
    ("reshape bad", lambda: gx.reshape(x, "a b"), errors.ShapeError,
     "reshape: 'a b' is not a shape",
     "give integers and sizes"),
    ("reshape float", lambda: gx.reshape(x, (1.5, 2)), errors.ShapeError,
     "reshape: (1.5, 2) is not a shape",
     "give integers and sizes"),
    ("axis", lambda: gx.sum(x, axis=2), errors.ShapeError,
     "sum: axis 2 is out of range for f32[batch, 3]",
     "axes go from -2 to 1"),
    ("axis float", lambda: gx.sum(x, axis=1.0), errors.ShapeError,
     "sum: axis must be an integer, got 1.0",
     None),
    ("axis twice", lambda: gx.sum(x, axis=(0, -2)), errors.ShapeError,
     "sum: axis (0, -2) names one axis twice for f32[batch, 3]",
     None),
    ("axis 0d", lambda: gx.sum(s, axis=0), errors.ShapeError,
     "sum: axis 0 is out of range for f32[]",
     "a 0-d array has no axes"),
    ("axis str", lambda: gx.sum(x, axis="batch"), errors.ShapeError,
     "sum: axis must be an integer, got 'batch'",
     None),
    ("max empty", lambda: gx.max(gx.zeros((0,3)), axis=0), errors.ShapeError,
     "max over an empty axis has no value, got f64[0, 3] along 0",
     None),
    ("argmax empty", lambda: gx.argmax(gx.zeros((0,3)), axis=0), errors.ShapeError,
     "argmax over an empty axis has no value, got f64[0, 3] along 0",
     None),
    ("argmax 2 axes", lambda: gx.argmax(x, axis=(0,1)), errors.ShapeError,
     "argmax: axis must be an integer, got (0, 1)",
     None),
    ("squeeze", lambda: gx.squeeze(x, 1), errors.ShapeError,
     "squeeze: axis 1 of f32[batch, 3] has size 3, not 1",
     None),
    ("permute", lambda: gx.permute_dims(x, (0,0)), errors.ShapeError,
     "permute_dims: (0, 0) is not an order of the axes of f32[batch, 3]",
     None),
    ("permute few", lambda: gx.permute_dims(x, (0,)), errors.ShapeError,
     "permute_dims: (0,) is not an order of the axes of f32[batch, 3]",
     None),
    ("mT", lambda: i.mT, errors.ShapeError,
     "matrix_transpose needs two axes, got i64[3]",
     None),
    ("broadcast_to", lambda: gx.broadcast_to(x, (3, 4)), errors.ShapeError,
     "broadcast_to cannot stretch f32[batch, 3] to [3, 4]",
     "sizes must be equal, or 1 in x"),
    ("broadcast_to bad", lambda: gx.broadcast_to(x, "a b"), errors.ShapeError,
     "broadcast_to: 'a b' is not a shape",
     "give integers and sizes"),
    ("getitem range", lambda: i[3], errors.ShapeError,
     "index 3 is out of range for axis 0 of i64[3]",
     None),
    ("getitem many", lambda: i[0, 0], errors.ShapeError,
     "indexing i64[3] with 2 indices: it has 1 axes",
     None),
    ("getitem ellipsis", lambda: x[..., ...], errors.ShapeError,
     "indexing f32[batch, 3]: only one ... is possible",
     None),
    ("getitem mask", lambda: x[x > 0], errors.ShapeError,
     "indexing f32[batch, 3] with booleans is not possible: the shape would be data",
     "use gx.where(mask, x, 0), which keeps the shape, or gx.extract(mask, x, size=...)"),
    ("getitem float", lambda: i[1.5], errors.ShapeError,
     "indexing i64[3] with float on axis 0 is not possible",
     "use integers, slices, None, ... and arrays of integers; gx.where for a mask"),
    ("getitem float arr", lambda: i[np.array([0.5])], errors.DTypeError,
     "indexing i64[3] with f64[1] on axis 0 needs integers",
     "astype('int64')"),
    ("broadcast a fill", lambda: gx.broadcast_to(gx.ones((4,)), (3,)), errors.ShapeError,
     "broadcast_to cannot stretch f64[4] to [3]",
     "sizes must be equal, or 1 in x"),
    ("step 0", lambda: x[::0], errors.ShapeError,
     "a slice of axis 0 of f32[batch, 3] has step 0",
     None),
    ("slice sym", lambda: x[:s], errors.InputError,
     "a Python integer from a symbol is not possible: <Tensor input 's': f32[]>",
     "sizes and counts cannot be data: use gx.take for an item of a list, gx.fori_loop or gx.scan instead of range"),
    ("take", lambda: gx.take(x, s), errors.DTypeError,
     "take needs integer indices, got f32[]",
     "astype('int64')"),
    ("take empty", lambda: gx.take(gx.zeros((0,3)), i), errors.ShapeError,
     "take from an empty axis, got f64[0] along 0",
     None),
    ("take_along", lambda: gx.take_along_axis(x, i, axis=0), errors.ShapeError,
     "take_along_axis along 0 needs equal other axes, got f32[batch, 3] and i64[3]",
     None),
    ("one_hot", lambda: gx.one_hot(s, 3), errors.DTypeError,
     "one_hot needs integer indices, got f32[]",
     "astype('int64')"),
    ("pad", lambda: gx.pad(x, ((1,1),)*3), errors.ShapeError,
     "pad: pad_width ((1, 1), (1, 1), (1, 1)) does not fit f32[batch, 3]",
     "give a pair (before, after) an axis"),
    ("pad mode", lambda: gx.pad(x, 1, mode="edge"), errors.ShapeError,
     "pad: mode 'edge' is not there",
     "only mode='constant'; along an axis of n elements: gx.take(x, gx.clip(gx.arange(-before, n + after), 0, n - 1), axis)"),
    ("pad neg", lambda: gx.pad(x, -1), errors.ShapeError,
     "pad: pad_width -1 does not fit f32[batch, 3]",
     "give a pair (before, after) an axis"),
    ("arange 0", lambda: gx.arange(0, 5, 0), errors.ShapeError,
     "arange: step cannot be 0",
     None),
    ("shape neg", lambda: gx.placeholder("z", (-1, 3)), errors.ShapeError,
     "placeholder: sizes cannot be negative, got [-1, 3]",
     None),
    ("shape bad", lambda: gx.placeholder("z", ("a b",)), errors.ShapeError,
     "placeholder: ('a b',) is not a shape: 'a b' is not a dimension: write a name or an integer expression of names",
     "give integers and names"),
    ("shape float", lambda: gx.placeholder("z", (1.5,)), errors.ShapeError,
     "placeholder: (1.5,) is not a shape: 1.5 is not a size",
     "give integers and names"),
    ("where", lambda: gx.where(x > 0, x, y), errors.ShapeError,
     "where cannot broadcast bool[batch, 3] and f32[batch, 3] and f32[batch, 4]: 3 and 4 differ",
     "sizes must be equal or 1; reshape or slice one operand"),
    ("outer", lambda: gx.outer(x, i), errors.ShapeError,
     "outer needs two vectors, got f32[batch, 3] and i64[3]",
     None),
    ("moveaxis", lambda: gx.moveaxis(x, 0, 5), errors.ShapeError,
     "moveaxis: axis 5 is out of range for f32[batch, 3]",
     "axes go from -2 to 1"),
    ("vecdot", lambda: gx.vecdot(x, x[:, :1]), errors.ShapeError,
     "vecdot along axis -1 needs equal sizes, got 3 and 1",
     None),
    ("expand", lambda: gx.expand_dims(x, 5), errors.ShapeError,
     "expand_dims: axis 5 is out of range for f32[1, 1, 1]",
     "axes go from -3 to 2"),
    ("zeros shape", lambda: gx.zeros((2, -1)), errors.ShapeError,
     "full: sizes cannot be negative, got [2, -1]",
     None),
    ("mean none", lambda: gx.mean(x, axis=(0, 0)), errors.ShapeError,
     "mean: axis (0, 0) names one axis twice for f32[batch, 3]",
     None),
    ("flip", lambda: gx.flip(x, 2), errors.ShapeError,
     "flip: axis 2 is out of range for f32[batch, 3]",
     "axes go from -2 to 1"),
    ("tensordot", lambda: gx.tensordot(x, y, axes=1), errors.ShapeError,
     "tensordot over axes [1] and [0] needs equal sizes, got f32[batch, 3] and f32[batch, 4]",
     "name as many axes of one as of the other, each once, of the same sizes"),
]  # fmt: skip

DTYPES = [
    ("matmul bool", lambda: gx.zeros((2,2),"bool") @ gx.zeros((2,2),"bool"), errors.DTypeError,
     "matmul needs numbers, got bool and bool",
     "use the logical functions, or astype"),
    ("subtract bool", lambda: (i>0) - (i>0), errors.DTypeError,
     "subtract needs numbers, got bool and bool",
     "use the logical functions, or astype"),
    ("bitwise float", lambda: x & x, errors.DTypeError,
     "bitwise_and needs integers or booleans, got float32 and float32",
     "astype to an integer type first"),
    ("shift float", lambda: x << 1, errors.DTypeError,
     "bitwise_left_shift needs integers or booleans, got float32 and float32",
     "astype to an integer type first"),
    ("invert float", lambda: ~x, errors.DTypeError,
     "bitwise_invert needs integers or booleans, got float32",
     "astype to an integer type first"),
    ("int range", lambda: b + 300, errors.DTypeError,
     "add: the Python integer 300 does not fit int8",
     "astype the array to a wider type"),
    ("neg uint", lambda: u + (-1), errors.DTypeError,
     "add: the Python integer -1 does not fit uint64",
     "astype the array to a wider type"),
    ("cmp u64 i64", lambda: u > gx.placeholder("k",(2,2),"int64"), errors.DTypeError,
     "greater has no exact common type, got uint64 and int64",
     "astype one of them"),
    ("dtype", lambda: gx.placeholder("z", (), "float8"), errors.DTypeError,
     "'float8' is not a data type of graphc",
     "use one of bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64"),
    ("dtype complex", lambda: gx.astype(x, "complex64"), errors.DTypeError,
     "'complex64' is not a data type of graphc",
     "use one of bool, int8, int16, int32, int64, uint8, uint16, uint32, uint64, float16, bfloat16, float32, float64"),
    ("var object", lambda: gx.variable(np.array([object()])), errors.DTypeError,
     "variable: ndarray of object has no data type of graphc",
     "give numbers or booleans, or an array of them"),
    ("var str", lambda: gx.variable(["a"]), errors.DTypeError,
     "variable: list of <U1 has no data type of graphc",
     "give numbers or booleans, or an array of them"),
    ("x + str", lambda: x + "a", errors.InputError,
     "str cannot become a symbol",
     "give numbers or numeric arrays"),
    ("x + None", lambda: x + None, errors.InputError,
     "NoneType cannot become a symbol",
     "give numbers or numeric arrays; `x is None` asks whether there is a symbol"),
    ("x + 1j", lambda: x + 1j, errors.InputError,
     "complex cannot become a symbol",
     "give numbers or numeric arrays: arrays are real, and gx.fft.Complex is a pair of them"),
    ("x.where", lambda: x.where(x > 0, 0), errors.InputError,  # type: ignore[misc, operator]
     "x.where is the line of source where x was made",
     "gx.where(condition, x, other)"),
    ("pad by a float", lambda: gx.pad(x, 1.0), errors.InputError,
     "pad: pad_width must be integers, got 1.0",
     "gx.pad(x, 1) for every side, ((1, 2), (0, 0)) for each axis; what stands there is constant_values"),
    ("np.fft", lambda: np.fft.fft2(x), errors.InputError,
     "numpy.fft.fft2 of a symbol is not there",
     "gx.fft.fft(gx.fft.fft(x, axis=-1), axis=-2); gx.fft.rfft2 for real x"),
    ("np.where of one", lambda: np.where(x > 0), errors.ShapeError,
     "nonzero of bool[3*batch]: the result's size would be data",
     "give size=..., the number of elements wanted; gx.where keeps the shape"),
    ("full", lambda: gx.full((2,), "a"), errors.DTypeError,
     "full: str of <U1 has no data type of graphc",
     "give numbers or booleans, or an array of them"),
    ("full range", lambda: gx.full((2,), 300, "int8"), errors.DTypeError,
     "full: Python integer 300 out of bounds for int8",
     "choose a wider dtype"),
    ("overflow const", lambda: gx.constant([300], "int8"), errors.DTypeError,
     "constant: Python integer 300 out of bounds for int8",
     "choose a wider dtype"),
    ("var corr", lambda: gx.var(x, correction=True), errors.DTypeError,
     "var: correction must be a number",
     None),
]  # fmt: skip

NAMES = [
    ("name empty", lambda: gx.placeholder("", ()), errors.InputError,
     "placeholder: '' is not a name",
     "use any text of at least one character, on one line"),
    ("name of two lines", lambda: gx.placeholder("a\nb", ()), errors.InputError,
     "placeholder: 'a\\nb' is not a name",
     "use any text of at least one character, on one line"),
    ("name none", lambda: gx.placeholder(3, ()), errors.InputError,
     "placeholder: 3 is not a name",
     "use any text of at least one character, on one line"),
    ("var name", lambda: gx.variable([1.0], name="a\0"), errors.InputError,
     "variable: 'a\\x00' is not a name",
     "use any text of at least one character, on one line"),
    ("var name none", lambda: gx.variable([1.0], name=""), errors.InputError,
     "variable: '' is not a name",
     "use any text of at least one character, on one line"),
    ("var of", lambda: gx.variable([1.0], name="m", of=x), errors.InputError,
     "variable: `of` must be a variable, got <Tensor input 'x': f32[batch, 3]>",
     "make it with gx.variable"),
    ("var symbol", lambda: gx.variable(x), errors.InputError,
     "a variable starts from an array, not from a symbol",
     "use x.eval(), or a NumPy array"),
    ("arange sym", lambda: gx.arange(s), errors.InputError,
     "arange needs numbers or sizes, not symbols",
     "the size of a result cannot be data"),
    ("exp 2", lambda: gx.exp(x, x), errors.GraphError,
     "exp takes 1 operands, got 2",
     None),
    ("exp option", lambda: gx.exp(x, axis=1), errors.GraphError,
     "exp takes no option axis",
     None),
]  # fmt: skip

VALUES = [
    ("asarray", lambda: np.asarray(x), errors.InputError,
     "np.asarray of a symbol is not possible: <Tensor input 'x': f32[batch, 3]>",
     "it has no value yet: use y.eval({x: array}), or gx.compile and call the result"),
    ("bool", lambda: bool(x), errors.InputError,
     "the truth value of a symbol is not possible: <Tensor input 'x': f32[batch, 3]>",
     "it has no value yet: use gx.where(condition, a, b), gx.cond or gx.while_loop, which take it as a symbol"),
    ("if", lambda: 1 if x > 0 else 2, errors.InputError,
     "the truth value of a symbol is not possible: <Tensor greater: bool[batch, 3]>",
     "it has no value yet: use gx.where(condition, a, b), or gx.cond where only one side may be computed, instead of `if`"),
    ("max", lambda: max(s, 1.0), errors.InputError,
     "the truth value of a symbol is not possible: <Tensor less: bool[]>",
     "it has no value yet: use gx.maximum(a, b) or gx.minimum(a, b) instead of max and min"),
    ("sorted", lambda: sorted([s, s + 1]), errors.InputError,
     "the truth value of a symbol is not possible: <Tensor less: bool[]>",
     "it has no value yet: use gx.sort instead of sorted"),
    ("and", lambda: (s > 0) and (s < 1), errors.InputError,
     "the truth value of a symbol is not possible: <Tensor greater: bool[]>",
     "it has no value yet: use gx.logical_and, gx.logical_or or gx.logical_not instead of `and`, `or`, `not`"),
    ("while", loop, errors.InputError,
     "the truth value of a symbol is not possible: <Tensor greater: bool[]>",
     "it has no value yet: use gx.while_loop instead of `while`"),
    ("assert", check_that, errors.InputError,
     "the truth value of a symbol is not possible: <Tensor greater: bool[]>",
     "it has no value yet: use a check of what a compiled call gives instead of `assert`"),
    ("format", lambda: f"{s:.3f}", errors.InputError,
     "the format '.3f' of a symbol is not possible: <Tensor input 's': f32[]>",
     "it has no value yet: format what y.eval({x: array}) or a compiled call gives"),
    ("setitem", set_item, errors.InputError,
     "assignment to elements is not possible: <Tensor input 'x': f32[batch, 3]>",
     "symbols do not change: use x = x.at[0, 1:].set(value), another symbol"),
    ("setitem +=", add_to_item, errors.InputError,
     "assignment to elements is not possible: <Tensor input 'x': f32[batch, 3]>",
     "symbols do not change: use x = x.at[0].add(value), another symbol"),
    ("delitem", delete_item, errors.InputError,
     "deletion of elements is not possible: <Tensor input 'x': f32[batch, 3]>",
     "symbols do not change: join slices by gx.concat"),
    ("math", lambda: math.sqrt(s), errors.InputError,
     "math.sqrt of a symbol is not possible: <Tensor input 's': f32[]>",
     "use gx.sqrt, which takes symbols"),
    ("range", lambda: range(s), errors.InputError,
     "a Python integer from a symbol is not possible: <Tensor input 's': f32[]>",
     "sizes and counts cannot be data: use gx.take for an item of a list, gx.fori_loop or gx.scan instead of range"),
    ("complex", lambda: complex(s), errors.InputError,
     "a Python number from a symbol is not possible: <Tensor input 's': f32[]>",
     "it has no value yet: use y.eval({x: array}), or gx.astype for a cast"),
    ("size: if", lambda: 1 if x.shape[0] > 3 else 2, errors.InputError,
     "the truth value of batch > 3 is not possible: <Weak greater: bool[]>",
     "it depends on a size that each call may choose: make the size an integer where it is declared, or "
     "gx.where(condition, a, b), or gx.cond where only one side may be computed, instead of `if`"),
    ("size: ==", lambda: bool(x.shape[0] == 3), errors.InputError,
     "the truth value of batch == 3 is not possible: <Weak equal: bool[]>",
     "it depends on a size that each call may choose: make the size an integer where it is declared, or "
     "gx.where(condition, a, b), gx.cond or gx.while_loop, which take it as a symbol"),
    ("size: range", lambda: range(x.shape[0]), errors.ShapeError,
     "a Python integer from the size batch: each call may choose it", NOT_NUMPY),
    ("size: np.zeros", lambda: np.zeros(x.shape), errors.ShapeError,
     "a Python integer from the size batch: each call may choose it", NOT_NUMPY),
    ("size: np.zeros of one", lambda: np.zeros(x.shape[0]), errors.ShapeError,
     "a Python integer from the size batch: each call may choose it", NOT_NUMPY),
    ("size: math", lambda: math.sqrt(x.shape[0]), errors.InputError,
     "a Python number from the size batch: each call may choose it",
     "n ** 0.5 and 1 / n are numbers that a call knows; gx.sqrt(n), gx.log(n) and so on instead of math's functions"),
    ("size: int", lambda: int(x.shape[0] / 2), errors.InputError,
     "a Python number from a number that sizes make is not possible: <Weak divide: f64[]>",
     "it depends on a size that each call may choose: use gx's functions, and n // 2 for a size"),
    ("longdouble", lambda: x * np.longdouble(2), errors.DTypeError,
     f"{np.dtype(np.longdouble)!r} is not a data type of graphc",
     "use one of " + ", ".join(gx.ir.types.DTYPES[k].name for k in range(13))),
    ("masked", lambda: x * np.ma.array([1.0, 2.0, 3.0]), errors.InputError,
     "a masked array cannot become a symbol: its mask would be lost",
     "give array.filled(value)"),
    ("fraction", lambda: x * Fraction(1, 2), errors.InputError,
     "Fraction cannot become a symbol",
     "give numbers or numeric arrays: float(value) makes one"),
    ("float", lambda: float(s), errors.InputError,
     "a Python number from a symbol is not possible: <Tensor input 's': f32[]>",
     "it has no value yet: use y.eval({x: array}), or gx.astype for a cast"),
    ("int", lambda: int(s), errors.InputError,
     "a Python number from a symbol is not possible: <Tensor input 's': f32[]>",
     "it has no value yet: use y.eval({x: array}), or gx.astype for a cast"),
    ("len sym", lambda: len(x), errors.InputError,
     "len of the symbolic dimension batch is not possible: <Tensor input 'x': f32[batch, 3]>",
     "use x.shape[0], which is an expression"),
    ("len 0d", lambda: len(s), errors.ShapeError,
     "len of a 0-d symbol, f32[]",
     None),
    ("iter sym", lambda: list(x), errors.InputError,
     "iteration over the symbolic dimension batch is not possible: <Tensor input 'x': f32[batch, 3]>",
     "write the whole computation over the axis at once, or use gx.map or gx.scan"),
    ("iter 0d", lambda: list(s), errors.ShapeError,
     "iteration over a 0-d symbol, f32[]",
     None),
    ("contains", lambda: 1 in x, errors.InputError,
     "`in` on a symbol is not possible: <Tensor input 'x': f32[batch, 3]>",
     "use gx.any(x == item)"),
    ("unstack", lambda: gx.unstack(x, 0), errors.InputError,
     "iteration over the symbolic dimension batch is not possible: <Tensor input 'x': f32[batch, 3]>",
     "write the whole computation over the axis at once, or use gx.map or gx.scan"),
    ("np.linalg", lambda: np.linalg.eig(u), errors.InputError,
     "numpy.linalg.eig of a symbol is not there",
     "did you mean gx.linalg.eigh?"),
    ("np.unwrap", lambda: np.unwrap(x), errors.InputError,
     "numpy.unwrap of a symbol is not there",
     "see graphc's own functions"),
    ("np.add.reduceat", lambda: np.add.reduceat(x, [0]), errors.InputError,
     "numpy.add.reduceat of a symbol is not there",
     None),
    ("np.exp out", lambda: np.exp(x, out=np.zeros(3)), errors.InputError,
     "numpy.exp of a symbol: the option out is not possible",
     None),
    ("np.modf", lambda: np.modf(x), errors.InputError,
     "numpy.modf of a symbol is not there",
     "see graphc's own functions"),
]  # fmt: skip

GRADIENTS = [
    ("grad int", lambda: gx.grad(gx.sum(i), i), errors.GradientError,
     "grad: the value must be of floats, got i64[]",
     "astype('float32') first: only floats have gradients"),
    ("grad wrt int", lambda: gx.grad(gx.sum(x), i), errors.GradientError,
     "grad: what to differentiate by must be of floats, got i64[3]",
     "astype('float32') first: only floats have gradients"),
    ("grad nonscalar", lambda: gx.grad(x, x), errors.GradientError,
     "grad needs a scalar, got f32[batch, 3]",
     "sum it, or use gx.vjp or gx.jacobian"),
    ("grad array", lambda: gx.grad(3.0, x), errors.GradientError,
     "grad: the value must be a symbol, got float",
     None),
    ("jacobian", lambda: gx.jacobian(x.astype("int32"), x), errors.GradientError,
     "jacobian: the value must be of floats, got i32[batch, 3]",
     "astype('float32') first: only floats have gradients"),
    ("vjp shape", lambda: gx.vjp(x*2, x, gx.zeros((5,))), errors.ShapeError,
     "vjp: f32[5] does not fit f32[batch, 3]",
     "it must broadcast to that shape"),
    ("vjp count", lambda: gx.vjp([x, x], x, [x]), errors.GradientError,
     "vjp needs as many cotangents as outputs, got 1 and 2",
     None),
    ("jvp count", lambda: gx.jvp(x, [x], [x, x]), errors.GradientError,
     "jvp needs as many tangents as inputs, got 2 and 1",
     None),
    ("hessian", lambda: gx.hessian(x, x), errors.GradientError,
     "grad needs a scalar, got f32[batch, 3]",
     "sum it, or use gx.vjp or gx.jacobian"),
]  # fmt: skip

weight = gx.variable(np.ones((3, 1), "float32"), name="weight")
step = gx.compile([x], x @ weight, name="step")
dense = gx.layers.Dense(2, name="d")
model = gx.models.Sequential([dense], name="m")

COPIES = [
    ("pickle a symbol", lambda: pickle.dumps(x), errors.InputError,
     "pickle of a symbol is not possible: <Tensor input 'x': f32[batch, 3]>",
     "str(gx.ir.Graph([x], [y])) is a text, and gx.ir.parse reads it"),
    ("pickle a variable", lambda: pickle.dumps({"weight": weight}), errors.InputError,
     "pickle of a variable is not possible: <Variable 'weight': f32[3, 1]>",
     "gx.save(path, [w]) writes its value and gx.load(path, [w]) reads it; copy.deepcopy copies it"),
    ("pickle a graph", lambda: pickle.dumps(step.graph, protocol=2), errors.InputError,
     "pickle of graph step is not possible",
     "str(graph) is a text, and gx.ir.parse reads it; gx.save(path, variables) writes their values"),
    ("pickle a program", lambda: pickle.dumps(step), errors.InputError,
     "pickle of program step is not possible",
     "gx.save(path, f) writes its variables; build it again where it is wanted, and gx.load(path, f)"),
    ("pickle a layer", lambda: pickle.dumps(dense), errors.InputError,
     "pickle of <Dense 'd'> is not possible",
     "get_config and from_config make it again, get_weights and set_weights carry its values"),
    ("pickle a model", lambda: pickle.dumps(model), errors.InputError,
     "pickle of <Sequential 'm'> is not possible",
     "model.save(path) writes it, gx.models.load(path) reads it"),
    ("copy a layer", lambda: copy.copy(dense), errors.InputError,
     "copy.copy of <Dense 'd'> is not possible: two layers would own the same variables",
     "copy.deepcopy gives it variables of its own; a layer that is called twice uses its weights twice"),
    ("gx.Tensor", lambda: gx.Tensor([1.0]), errors.InputError,
     "gx.Tensor is the class of symbols",
     "gx.placeholder(name, shape, dtype) is an input, gx.variable(array) is state, gx.constant(array) is fixed"),
    ("gx.Tensor of sizes", lambda: gx.Tensor(2, 3, 4, 5), errors.InputError,
     "gx.Tensor is the class of symbols",
     "gx.placeholder(name, shape, dtype) is an input, gx.variable(array) is state, gx.constant(array) is fixed"),
    ("gx.Tensor of nothing", lambda: gx.Tensor(shape=(2,)), errors.InputError,
     "gx.Tensor is the class of symbols",
     "gx.placeholder(name, shape, dtype) is an input, gx.variable(array) is state, gx.constant(array) is fixed"),
    ("gx.Variable", lambda: gx.Variable([1.0]), errors.InputError,
     "gx.Variable is the class of variables",
     "gx.variable(array, name=...) makes one"),
]  # fmt: skip


@table(COPIES)
def test_what_is_no_data(act: Callable[[], Any], kind: type[errors.GraphError], message: str, hint: str | None) -> None:
    check(act, kind, message, hint)


@table(SHAPES + DTYPES + NAMES)
def test_building_a_node(act: Callable[[], Any], kind: type[errors.GraphError], message: str, hint: str | None) -> None:
    check(act, kind, message, hint)


@table(VALUES)
def test_what_a_symbol_is_not(act: Callable[[], Any], kind: type[errors.GraphError], message: str, hint: str | None) -> None:
    check(act, kind, message, hint)


@table(GRADIENTS)
def test_gradients(act: Callable[[], Any], kind: type[errors.GraphError], message: str, hint: str | None) -> None:
    check(act, kind, message, hint)


def test_errors_are_the_built_in_ones_too() -> None:
    with pytest.raises(ValueError):
        x + y
    with pytest.raises(TypeError):
        x & x


# --- compile ---------------------------------------------------------------------------------------------------------

COMPILE = [
    ("not a placeholder", lambda: gx.compile([x * 2], x), errors.InputError,
     "compile: inputs must be placeholders, got <Tensor multiply: f32[batch, 3]>",
     "make it with gx.placeholder"),
    ("a variable as input", lambda: gx.compile([v], v), errors.InputError,
     "compile: inputs must be placeholders, got <Variable 'v': f32[2, 3]>",
     "leave it out: variables are read by themselves"),
    ("two of one name", lambda: gx.compile([x, gx.placeholder("x", (3,))], x), errors.InputError,
     "compile: two inputs are called 'x'",
     "give each its own name"),
    ("a number as output", lambda: gx.compile([x], 3.0), errors.InputError,
     "compile: outputs must be symbols, got 3.0",
     "a symbol, or lists, tuples and dicts of them"),
    ("an update of an input", lambda: gx.compile([x], x, updates={x: x}), errors.InputError,
     "compile: only variables can be updated, got <Tensor input 'x': f32[batch, 3]>",
     "make it with gx.variable"),
    ("an update of another type", lambda: gx.compile([], v, updates={v: gx.astype(v, "float64")}), errors.DTypeError,
     "compile: the update of v must be f32[2, 3], got f64[2, 3]",
     "astype or reshape the new value"),
    ("an update of another shape", lambda: gx.compile([], v, updates={v: gx.sum(v)}), errors.ShapeError,
     "compile: the update of v must be f32[2, 3], got f32[]",
     "astype or reshape the new value"),
    ("an update that is a number", lambda: gx.compile([], v, updates={v: 0.0}), errors.DTypeError,
     "compile: the update of v must be f32[2, 3], got float",
     "astype or reshape the new value"),
    ("two updates", lambda: gx.compile([], v, updates=[(v, v), (v, v + 1)]), errors.InputError,
     "compile: variable v is updated twice",
     "give one new value"),
    ("updates without variables", lambda: gx.compile([], v, updates=[v + 1]), errors.InputError,
     "compile: updates are new values of variables, got <Tensor add: f32[2, 3]>",
     "updates={w: new value}"),
    ("an update alone", lambda: gx.compile([], v, updates=v + 1), errors.InputError,
     "compile: updates are new values of variables, got <Tensor add: f32[2, 3]>",
     "updates={w: new value}"),
    ("updates that are no pairs", lambda: gx.compile([], v, updates=[(v, v, v)]), errors.InputError,
     "compile: updates are new values of variables, got (<Variable 'v': f32[2, 3]>, <Variable 'v': f32[2, 3]>, "
     "<Variable 'v': f32[2, 3]>)",
     "updates={w: new value}"),
    ("an update of the second", lambda: gx.compile([], v, updates={gx.variable([1, 2], name="v"): v}), errors.DTypeError,
     "compile: the update of v_1 must be i64[2], got f32[2, 3]",
     "astype or reshape the new value"),
    ("no such backend", lambda: gx.compile([x], x, backend="cuda"), errors.InputError,
     "there is no backend 'cuda'",
     'use "llvm" or "numba" or "interpreter" or "program"'),
    ("eval by name", lambda: (x * 2).eval({"x": X}), errors.InputError,
     "eval: keys must be placeholders, got 'x'",
     "y.eval({x: array})"),
]  # fmt: skip


@table(COMPILE)
def test_compile(act: Callable[[], Any], kind: type[errors.GraphError], message: str, hint: str | None) -> None:
    check(act, kind, message, hint)


def test_a_placeholder_that_is_not_among_the_inputs() -> None:
    t, line = gx.placeholder("t", (), "float32"), here()
    check(
        lambda: gx.compile([x], gx.sum(x) + t), errors.InputError,
        "compile: placeholder 't' is needed but not among the inputs", "add it to the list of inputs", line,
    )  # fmt: skip
    check(
        lambda: (t + 1).eval(), errors.InputError,
        "compile: placeholder 't' is needed but not among the inputs", "add it to the list of inputs", line,
    )  # fmt: skip


def test_a_size_that_no_input_tells() -> None:
    z, line = gx.zeros(("n",), "float32"), here()
    hint = "it must stand in some input's shape, as itself or in a linear expression"
    check(lambda: gx.compile([s], z + s), errors.ShapeError, "compile: no input tells the size n of full: f32[n]", hint, line)
    z, line = gx.full((), gx.dim("n"), "float32"), here()
    check(lambda: gx.compile([s], z + s), errors.ShapeError, "compile: no input tells the size n of full: f32[]", hint, line)


def test_an_operation_without_a_gradient() -> None:
    from dataclasses import replace

    from graphc.ir.operation import VOCABULARY

    sine = VOCABULARY["sin"]
    try:
        del VOCABULARY["sin"]
        rule_less = replace(sine, vjp=None)
    finally:
        VOCABULARY["sin"] = sine
    z, line = rule_less(s), here()
    check(
        lambda: gx.grad(z, s), errors.GradientError, "sin has no gradient, and one of f32[] is asked for",
        "cut it off with gx.stop_gradient, or build the value from operations that have one", line,
    )  # fmt: skip


# --- calls -----------------------------------------------------------------------------------------------------------


def called(backend: str) -> Any:
    """A function with an update, and the variable that it updates."""
    count = gx.variable(0.0, name="count", dtype="float32")
    f = gx.compile([x, s], gx.sum(x) * s, updates={count: count + 1}, name="f", backend=backend)
    return f, count


TAKES = "it takes x: f32[batch, 3], s: f32[]"
CALLS = [
    ("missing", lambda f: f(X), errors.InputError, "f misses input 's'", TAKES),
    ("too many", lambda f: f(X, 1, 2), errors.InputError, "f takes 2 inputs, got 3", TAKES),
    ("unknown", lambda f: f(X, t=1), errors.InputError, "f has no input 't'", TAKES),
    ("twice", lambda f: f(X, x=X), errors.InputError, "f got input 'x' twice", TAKES),
    (
        "float64",
        lambda f: f(X.astype("float64"), 1),
        errors.DTypeError,
        "input x needs f32[batch, 3], got float64: not a safe cast",
        "x.astype('float32')",
    ),
    (
        "int64",
        lambda f: f(X.astype("int64"), 1),
        errors.DTypeError,
        "input x needs f32[batch, 3], got int64: not a safe cast",
        "x.astype('float32')",
    ),
    (
        "complex",
        lambda f: f(X * 1j, 1),
        errors.DTypeError,
        "input x needs f32[batch, 3], got ndarray of complex64",
        "give an array of numbers",
    ),
    ("text", lambda f: f("abc", 1), errors.DTypeError, "input x needs f32[batch, 3], got str of <U3", "give an array of numbers"),
    (
        "None",
        lambda f: f(None, 1),
        errors.DTypeError,
        "input x needs f32[batch, 3], got NoneType of object",
        "give an array of numbers",
    ),
    (
        "byte order",
        lambda f: f(X.astype(">f4"), 1),
        errors.DTypeError,
        "input x needs f32[batch, 3], got >f4 in a byte order that is not this machine's",
        "x.astype('float32')",
    ),
    (
        "a symbol",
        lambda f: f(x, 1),
        errors.InputError,
        "input x needs an array, got a symbol: <Tensor input 'x': f32[batch, 3]>",
        "call with values; symbols are for building graphs",
    ),
    (
        "uneven lists",
        lambda f: f([[1], [2, 3]], 1),
        errors.ShapeError,
        "input x needs f32[batch, 3], got a list that makes no array",
        "its parts have different lengths",
    ),
    (
        "rank",
        lambda f: f(X[0], 1),
        errors.ShapeError,
        "input x needs f32[batch, 3], got an array of shape [3]",
        "it must have 2 axes, not 1",
    ),
    (
        "a fixed axis",
        lambda f: f(np.ones((2, 4), "float32"), 1),
        errors.ShapeError,
        "input x needs f32[batch, 3], got an array of shape [2, 4]: axis 1 is 4, but it must be 3",
        "the size of this axis is fixed",
    ),
]


@pytest.mark.parametrize("backend", ["interpreter", "llvm"])
def test_calls(backend: str) -> None:
    """After each error the variable holds what it held."""
    f, count = called(backend)
    f(X, 1)
    for _, act, kind, message, hint in CALLS:
        check(lambda act=act: act(f), kind, message, hint)
        assert count.value == 1
    f(X, 1)
    assert count.value == 2


def run(inputs: list[gx.Tensor], output: gx.Tensor, *arrays: Any) -> Any:
    return lambda: gx.compile(inputs, output, backend="interpreter")(*arrays)


def floats(*shape: int) -> Any:
    return np.ones(shape, "float32")


def test_sizes_that_disagree_name_both_arguments_and_axes() -> None:
    f = gx.compile([x, y], gx.sum(x) + gx.sum(y), backend="interpreter")
    check(
        lambda: f(X, floats(5, 4)), errors.ShapeError,
        "input y needs f32[batch, 4], got an array of shape [5, 4]: axis 0 is 5, but batch is 2 by axis 0 of x",
        "arguments that share a dimension's name need sizes that agree",
    )  # fmt: skip
    d, e = gx.placeholder("d", ("n",), "float32"), gx.placeholder("e", ("2*n",), "float32")
    g = gx.compile([d, e], gx.sum(d) + gx.sum(e), backend="interpreter")
    check(
        lambda: g(floats(2), floats(5)), errors.ShapeError,
        "input e needs f32[2*n], got an array of shape [5]: axis 0 is 5, but 2*n is 4 by axis 0 of d",
        "arguments that share a dimension's name need sizes that agree",
    )  # fmt: skip


def test_sizes_that_no_dimension_makes() -> None:
    for size, n in (("2*n", 5), ("n+3", 2)):
        e = gx.placeholder("e", (size,), "float32")
        f = gx.compile([e], gx.sum(e), backend="interpreter")
        check(
            lambda f=f, n=n: f(floats(n)), errors.ShapeError,
            f"input e needs f32[{size}], got an array of shape [{n}]: axis 0 is {n}, but it must be {size}",
            f"no size of 0 or more makes {size} that",
        )  # fmt: skip


def test_requirements_that_only_a_call_can_break_name_the_line_of_the_node() -> None:
    q = gx.placeholder("q", ("n",), "float32")
    given = "n is axis 0 of q"

    def breaks(node: gx.Tensor, line: int, n: int, message: str) -> None:
        for backend in ("interpreter", "llvm"):
            f = gx.compile([q], node, backend=backend)
            check(lambda f=f: f(floats(n)), errors.ShapeError, message, given, line)
            f(floats(8))

    node, line = gx.reshape(q, (2, -1)), here()
    message = "split of f32[n] along axis 0 into 2 equal parts (a reshape to [2, n//2]) leaves a rest: 3 is not 2 where n = 3"
    breaks(node, line, 3, message)
    node, line = gx.split(q, 2)[0], here()
    message = "split of f32[n] along axis 0 into 2 equal parts (a reshape to [2, n//2]) leaves a rest: 3 is not 2 where n = 3"
    breaks(node, line, 3, message)
    node, line = q.reshape(-1, 2), here()
    message = "split of f32[n] along axis 0 into parts of 2 (a reshape to [n//2, 2]) leaves a rest: 3 is not 2 where n = 3"
    breaks(node, line, 3, message)
    node, line = gx.reshape(q, (4, 2)), here()
    breaks(node, line, 3, "reshape of f32[n] to [4, 2] changes the number of elements: 3 is not 8 where n = 3")
    node, line = gx.max(q), here()
    breaks(node, line, 0, "max over an empty axis has no value: f32[n] along 0: 0 is less than 1 where n = 0")
    node, line = gx.argmin(q), here()
    breaks(node, line, 0, "argmin over an empty axis has no value: f32[n] along 0: 0 is less than 1 where n = 0")
    node, line = gx.take(q, [0, 1]), here()
    breaks(node, line, 0, "take from an empty axis: f32[n] along 0: 0 is less than 1 where n = 0")
    node, line = q[2], here()
    breaks(node, line, 2, "an index is out of range for axis 0 of f32[n]: 2 is less than 3 where n = 2")
    node, line = q[-3], here()
    breaks(node, line, 2, "an index is out of range for axis 0 of f32[n]: -1 is less than 0 where n = 2")


def test_variables_refuse_what_does_not_fit_and_keep_what_they_hold() -> None:
    w = gx.variable([1.0, 2.0, 3.0], name="w", dtype="float32")

    def put(value: Any) -> None:
        w.value = value

    kept = "a variable keeps its shape"
    check(lambda: put(np.zeros(2)), errors.ShapeError, "variable w is f32[3], got an array of shape [2]", kept, setter_line())
    check(
        lambda: put(np.zeros(3, complex)), errors.DTypeError, "variable w: ndarray of complex128 has no data type of graphc",
        "give numbers or booleans, or an array of them", setter_line(),
    )  # fmt: skip
    with pytest.raises(AttributeError, match="name of a symbol cannot be set"):
        w.name = "z"  # type: ignore[misc]
    assert w.value.tolist() == [1.0, 2.0, 3.0]


def setter_line() -> int:
    """The line of `w.value = value` in this file."""
    return next(k for k, text in enumerate(Path(__file__).read_text().splitlines(), 1) if text.strip() == "w.value = value")


def test_a_program_of_the_interpreter() -> None:
    f = gx.compile([x], x + 1, backend="interpreter")
    check(lambda: f.program, errors.GraphError, "the backend 'interpreter' runs the graph itself: it has no program", None)


def test_nodes_do_not_change() -> None:
    with pytest.raises(AttributeError, match="type of a symbol cannot be set"):
        x.type = y.type  # type: ignore[misc]


def test_a_size_that_is_no_expression() -> None:
    with pytest.raises(ValueError, match="'a b' is not a dimension: write a name or an integer expression of names"):
        gx.dim("a b")
