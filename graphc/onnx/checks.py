"""What a model must be before and while it is read: in order, of the standard's form, and of a size that somebody could run.

A file may come from anybody. So names are looked up before nodes are read, each node is held against the standard's own
description of its operator, and what a few bytes can ask for (functions that call functions, loops in loops, a constant of 10^12
elements) is counted before it is made.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any

import onnx
from onnx import AttributeProto, ModelProto, NodeProto

import graphc as gx
from graphc.onnx.errors import ModelError
from graphc.onnx.values import is_sizes

OWN = ("", "ai.onnx")  # how models call ONNX's own domain
MOST_NESTED = 32  # graphs within graphs, functions within functions
MOST_MADE = 2**23  # elements that are made while a model is read, of other than its own constants
NODE = 1024  # elements that count as much as one node
MOST_ELEMENTS = 2**38  # of one value: 1 TiB of float32
MOST_AXES = 64  # NumPy's
MOST_ATOMS = 128  # names in a size
NEWEST = onnx.defs.onnx_opset_version()
onnx.defs.has("Add")  # has the standard's descriptions made now: the first model need not wait for them


def label_of(node: Any) -> str:
    """How errors call the operator of a node."""
    return node.op_type if node.domain in OWN else f"{node.domain}::{node.op_type}"


def shown(text: str, most: int = 80) -> str:
    """A text of a model, cut to what a message can hold."""
    return text if len(text) <= most else f"{text[: most - 3]}..."


def named(node: Any) -> str:
    """How errors begin that are about a node."""
    return f"node {shown(node.name) or '(unnamed)'} of {shown(label_of(node))}"


# --- a whole model, before it is read --------------------------------------------------------------------------------


@dataclass
class _Frame:
    """A graph, or the body of a function, that is being gone through."""

    nodes: Iterator[Any]
    known: set[str]
    later: frozenset[str]  # what its nodes give
    outputs: Sequence[str]
    what: str
    outer: _Frame | None = None
    depth: int = 0

    def knows(self, name: str) -> bool:
        frame: _Frame | None = self
        while frame is not None:
            if name in frame.known:
                return True
            frame = frame.outer
        return False


def count_nodes(model: ModelProto) -> int:
    """How many nodes a model has; ModelError where names are missing or doubled, nodes in no order, or all nested too deep.

    It goes through the graphs with a list of its own: a model may be deeper than Python's stack.
    """
    count = 0
    _check_versions(model.opset_import)
    _check_texts(model.graph.name, *(t for f in model.functions for t in (f.domain, f.name, f.overload)))
    _check_once([f"{f.domain}::{f.name}{':' * bool(f.overload)}{f.overload}" for f in model.functions], "function", "the model")
    todo = [_graph(model.graph, "the model", None)]
    for function in model.functions:
        what = f"the function {shown(function.name)}"
        _check_versions(function.opset_import)
        todo.append(_frame(function.node, [*function.input], [*function.output], what, None))
    while todo:
        frame = todo[-1]
        for node in frame.nodes:
            count += 1
            _check_texts(node.name, node.op_type, node.domain, *node.input, *(a.name for a in node.attribute))
            for name in node.input:
                if name and not frame.knows(name):
                    raise _missing(node, name, frame)
            inner = [
                _graph(g, f"{a.name} of {named(node)}", frame)
                for a in node.attribute
                for g in ([a.g] if a.type == AttributeProto.GRAPH else a.graphs)
            ]
            frame.known.update(name for name in node.output if name)
            if inner:
                todo += inner
                break
        else:
            for name in frame.outputs:
                if not frame.knows(name):
                    raise ModelError(f"{frame.what}: nothing gives the output {shown(name)!r}")
            todo.pop()
    return count


def _graph(graph: Any, what: str, outer: _Frame | None) -> _Frame:
    _check_texts(*(d.dim_param for i in graph.input for d in i.type.tensor_type.shape.dim))
    _check_texts(*(text for t in graph.initializer for entry in t.external_data for text in (entry.key, entry.value)))
    given = [i.name for i in graph.input]
    constants = [t.name for t in graph.initializer] + [t.values.name for t in graph.sparse_initializer]
    for names, kind in ((given, "input"), (constants, "constant"), ([o.name for o in graph.output], "output")):
        _check_once(names, kind, what)
    if any(not name for name in (*given, *constants)):
        raise ModelError(f"{what}: an input or a constant has no name")
    return _frame(graph.node, [*given, *constants], [o.name for o in graph.output], what, outer)


def _frame(nodes: Any, known: Sequence[str], outputs: Sequence[str], what: str, outer: _Frame | None) -> _Frame:
    depth = 0 if outer is None else outer.depth + 1
    if depth > MOST_NESTED:
        raise ModelError(f"graphs are nested more than {MOST_NESTED} deep")
    _check_texts(*known, *outputs)
    made = set(known)
    later = set()
    for node in nodes:
        _check_texts(*node.output)
        for name in node.output:
            if name and name in made:
                raise ModelError(f"{named(node)}: {shown(name)!r} is made twice")
            if name:
                made.add(name)
                later.add(name)
    return _Frame(iter(nodes), set(known), frozenset(later), outputs, what, outer, depth)


def _missing(node: Any, name: str, frame: _Frame) -> ModelError:
    hint = None
    if name in frame.later:
        hint = "what gives it comes later: nodes stand in the order in which they are computed, and no node needs its own result"
    return ModelError(f"{named(node)}: nothing before it gives {shown(name)!r}", hint=hint)


def _check_once(names: Sequence[str], kind: str, what: str) -> None:
    if len(set(names)) == len(names):
        return
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ModelError(f"{what} has two {kind}s {shown(name)!r}")
        seen.add(name)


def _check_texts(*texts: Any) -> None:
    """Names that are no UTF-8 come as bytes."""
    for text in texts:
        if not isinstance(text, str):
            raise ModelError(f"this is no ONNX model: {shown(repr(text))} is no text in UTF-8")


def _check_versions(imports: Any) -> None:
    _check_texts(*(o.domain for o in imports))
    versions: dict[str, int] = {}
    for o in imports:
        domain = o.domain if o.domain not in OWN else ""
        if versions.setdefault(domain, o.version) != o.version:  # one that is there twice is one
            of = f" of {shown(domain)}" if domain else ""
            raise ModelError(f"the model has the operator sets {versions[domain]} and {o.version}{of}", hint="keep one of them")
        if o.domain in OWN and not 1 <= o.version <= NEWEST:
            raise ModelError(
                f"operator set {o.version} is not known", hint=f"the installed onnx {onnx.__version__} knows 1 to {NEWEST}"
            )


# --- a node, before it is read ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Form:
    """What the standard says of an operator."""

    operands: tuple[int, int]
    results: tuple[int, int]
    attributes: Mapping[str, int]  # the kind of each
    required: tuple[str, ...]
    lists: tuple[bool | None, ...]  # of each operand: a list, a tensor, or either
    dtypes: tuple[frozenset[str], ...]  # that a tensor may have; none where it may be something else too
    needed: tuple[bool, ...]  # whether an operand must be there


_DTYPES = {"float": "float32", "double": "float64"}  # the others are called as here
_KINDS = {number: name.lower() for name, number in AttributeProto.AttributeType.items()}


@cache
def _form(operator: str, version: int, domain: str) -> _Form | None:
    """None for what the standard does not have; the newest where the operator set is older than the operator."""
    schema: Any = None
    for known in (version, NEWEST):
        try:
            schema = onnx.defs.get_schema(operator, known, domain)
            break
        except onnx.defs.SchemaError:
            continue
    if schema is None:
        return None
    kinds = {name: int(a.type.value) if hasattr(a.type, "value") else int(a.type) for name, a in schema.attributes.items()}
    required = tuple(name for name, a in schema.attributes.items() if a.required)
    lists: list[bool | None] = []
    dtypes: list[frozenset[str]] = []
    for operand in schema.inputs:
        are = {"seq(" in t for t in operand.types}
        tensors = all(t.startswith("tensor(") for t in operand.types)
        dtypes.append(frozenset(_DTYPES.get(t[7:-1], t[7:-1]) for t in operand.types) if tensors else frozenset())
        lists.append(None if len(are) != 1 or any("optional" in t for t in operand.types) else are.pop())
    return _Form(
        (schema.min_input, schema.max_input), (schema.min_output, schema.max_output), kinds, required, tuple(lists),
        tuple(dtypes),
        tuple(operand.option == onnx.defs.OpSchema.FormalParameterOption.Single for operand in schema.inputs),
    )  # fmt: skip


_OTHER_AXES = {"Flatten", "OneHot", "QuantizeLinear", "DequantizeLinear"}  # whose axis may lie outside of the first operand's


_PLACES = (
    "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric", "tf_crop_and_resize",
    "tf_half_pixel_for_nn", "output_half_pixel",
)  # fmt: skip
_SCATTERS, _LOSSES = ("none", "add", "mul", "max", "min"), ("none", "mean", "sum")
_CHOICES: dict[str, tuple[str, ...]] = {  # what texts may say, for all operators or for one; the standard's description is prose
    "auto_pad": ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID", ""),
    "direction": ("forward", "reverse", "bidirectional"), "BitShift.direction": ("LEFT", "RIGHT"),
    "approximate": ("none", "tanh"), "nearest_mode": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"),
    "coordinate_transformation_mode": _PLACES, "keep_aspect_ratio_policy": ("stretch", "not_larger", "not_smaller"),
    "padding_mode": ("zeros", "border", "reflection"),
    "Resize.mode": ("nearest", "linear", "cubic"), "Upsample.mode": ("nearest", "linear", "bilinear"),
    "GridSample.mode": ("linear", "bilinear", "nearest", "cubic", "bicubic"), "RoiAlign.mode": ("avg", "max"),
    "Pad.mode": ("constant", "reflect", "edge", "wrap"), "DepthToSpace.mode": ("DCR", "CRD"),
    "TensorScatter.mode": ("linear", "circular"), "TfIdfVectorizer.mode": ("TF", "IDF", "TFIDF"),
    "ScatterND.reduction": _SCATTERS, "ScatterElements.reduction": _SCATTERS, "NegativeLogLikelihoodLoss.reduction": _LOSSES,
    "SoftmaxCrossEntropyLoss.reduction": _LOSSES,
}  # fmt: skip


_called = lru_cache(maxsize=64)(str)  # NumPy takes long to write a type


def check_node(node: Any, version: int, domain: str, inputs: Sequence[Any]) -> None:
    """ModelError where a node is not of the form that the standard gives its operator."""
    form = _form(node.op_type, version, domain)
    given = {a.name for a in node.attribute}
    if len(given) < len(node.attribute):
        _check_once([a.name for a in node.attribute], "attribute", named(node))
    if form is None:
        return
    for what, count, (least, most) in (("operand", len(node.input), form.operands), ("result", len(node.output), form.results)):
        if not least <= count <= most:
            wanted = str(least) if least == most else f"{least} or more" if most > 10**6 else f"{least} to {most}"
            raise ModelError(f"{named(node)}: it has {count} {what}s instead of {wanted}")
    for name in form.required:
        if name not in given:
            raise ModelError(f"{named(node)}: its attribute {name} is missing")
    for a in node.attribute:
        if a.name not in form.attributes:
            raise ModelError(f"{named(node)}: in operator set {version} it has no attribute {shown(a.name)!r}")
        if a.type != form.attributes[a.name]:
            wanted, found = _KINDS.get(form.attributes[a.name], "?"), _KINDS.get(a.type, "?")
            raise ModelError(f"{named(node)}: its attribute {a.name} is of kind {found} instead of {wanted}")
        choices = _CHOICES.get(f"{node.op_type}.{a.name}", _CHOICES.get(a.name)) if a.type == AttributeProto.STRING else None
        if choices is not None and (text := a.s.decode("utf-8", "replace")) not in choices:
            known = ", ".join(filter(None, choices))
            raise ModelError(f"{named(node)}: its attribute {a.name} is {shown(text)!r}, and may be {known}")
    for i, needed in enumerate(form.needed):
        if needed and inputs[i] is None:
            raise ModelError(f"{named(node)}: operand {i} is missing")
    first: Any = inputs[0] if inputs else None
    axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
    has_axes = not isinstance(first, list) and first is not None and node.op_type not in _OTHER_AXES and first.ndim
    if has_axes and not -first.ndim <= axis < first.ndim:
        raise ModelError(f"{named(node)}: axis {axis} of {first.ndim} axes")
    for i, value in enumerate(inputs):
        is_list = form.lists[min(i, len(form.lists) - 1)] if form.lists else None
        if value is None:
            continue
        if is_list is not None and isinstance(value, list) is not is_list:
            raise ModelError(f"{named(node)}: operand {i} is {'no' if is_list else 'a'} sequence")
        dtypes = form.dtypes[min(i, len(form.dtypes) - 1)] if form.dtypes else frozenset()
        if dtypes and not isinstance(value, list) and value.dtype != object and _called(value.dtype) not in dtypes:
            raise ModelError(f"{named(node)}: operand {i} is of {value.dtype}, and may be of {', '.join(sorted(dtypes))}")


def in_words(error: Exception) -> str:
    """What Python or NumPy says of attributes and operands that do not fit, in plain words."""
    text = shown(str(error), 200)
    if isinstance(error, ZeroDivisionError):
        return "a size, a stride, a scale or a step of it is 0"
    if isinstance(error, OverflowError):
        return "a number of it is too large"
    if isinstance(error, IndexError):
        return "an axis, an index or a number of operands is out of range"
    if isinstance(error, KeyError):
        return f"it knows no {text}"
    if isinstance(error, ValueError) and "zip()" in text:
        return "its operands and attributes are of different numbers of axes"
    if isinstance(error, ValueError) and "broadcast" in text:
        return f"its operands cannot be broadcast to one shape: {text.partition('Mismatch is between ')[2] or text}"
    if isinstance(error, ValueError) and "unpack" in text:
        return "an operand or attribute of it has another number of axes than it takes"
    if type(error) is ValueError and re.search(r"dimension|reshape|shape", text):
        return f"its operands do not fit: {text}"  # NumPy's words
    return f"{type(error).__name__}: {text}"


# --- what a model asks for while it is read --------------------------------------------------------------------------


@dataclass
class Allowance:
    """How much may still be made while a model is read, in elements."""

    left: int = MOST_MADE
    spent: dict[str, int] = field(default_factory=dict)

    def spend(self, count: int, what: str | NodeProto) -> None:
        """ModelError where there is not so much left for what is named, or is a node."""
        if count > self.left:
            raise ModelError(
                f"{_start(what)} is more than a model may ask for while it is read",
                hint=f"functions and loops are written out, and constants are computed, up to {MOST_MADE} elements",
            )
        self.left -= max(count, 0)


def _start(what: str | NodeProto) -> str:
    return what if isinstance(what, str) else named(what)


def check_value(value: Any, what: str | NodeProto) -> None:
    """ModelError where a result is larger than any machine could hold, or a size of it is longer than anybody could read."""
    if isinstance(value, list):
        return
    if value.ndim > MOST_AXES:
        raise ModelError(f"{_start(what)}: a value of {value.ndim} axes, and {MOST_AXES} are the most")
    sizes, total = [], 1
    for n in value.shape:
        if isinstance(n, gx.Dim):
            sizes.append(n)
        else:
            total *= n
    if total > MOST_ELEMENTS:
        shape = ", ".join(map(str, value.shape))
        raise ModelError(f"{_start(what)}: {value.dtype}[{shape}] has more than {MOST_ELEMENTS} elements")
    if is_sizes(value):
        sizes += [v for v in value.reshape(-1) if isinstance(v, gx.Dim)]
    for n in sizes:
        if _atoms(n) > MOST_ATOMS:
            raise ModelError(f"{_start(what)}: a size is a formula of more than {MOST_ATOMS} names")


@lru_cache(maxsize=4096)
def _atoms(size: gx.Dim) -> int:
    """How many names a size is made of, counted up to the limit."""
    count, todo = 0, [size]
    while todo and count <= MOST_ATOMS:
        for monomial, _ in todo.pop().terms:
            count += 1 + len(monomial)
            for atom in monomial[:MOST_ATOMS]:
                if not isinstance(atom, str):
                    parts = [getattr(atom, name) for name in type(atom).__dataclass_fields__]
                    todo += [p for p in parts if isinstance(p, gx.Dim)]
    return count
