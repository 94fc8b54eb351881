"""From a model's protobuf to symbols: nodes in their order, each by the table of operators."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper

import graphc as gx
from graphc.onnx.checks import (
    MOST_AXES,
    MOST_MADE,
    MOST_NESTED,
    NEWEST,
    NODE,
    OWN,
    Allowance,
    check_node,
    check_value,
    count_nodes,
    in_words,
    named,
    shown,
)  # fmt: skip
from graphc.onnx.errors import ModelError
from graphc.onnx.external import Folder
from graphc.onnx.operators import OPERATORS, Call, apply
from graphc.onnx.values import MOST, Array, Value

DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT8: "int8", TensorProto.INT16: "int16", TensorProto.INT32: "int32", TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8", TensorProto.UINT16: "uint16", TensorProto.UINT32: "uint32", TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool",
}  # fmt: skip
MOST_FOLDED = 64  # elements: a shape, axes, a few numbers
Scope = dict[str, Any]  # a Value, or a list of them


def dtype_of(number: int) -> str:
    """graphc's name of a data type of ONNX; ModelError for one that it does not have."""
    if number not in DTYPES:
        called = TensorProto.DataType.Name(number) if number in TensorProto.DataType.values() else f"number {number}"
        raise ModelError(f"graphc has no data type {called}", hint="it has numbers and booleans of 8 bits and more")
    return DTYPES[number]


class Reader:
    """Reads the graphs of one model."""

    def __init__(self, model: ModelProto, sizes: Mapping[str, int], trainable: bool, folder: Folder | None = None) -> None:
        self.model = model
        self.folder = folder
        self.allowance = Allowance(MOST_MADE + 16 * NODE * count_nodes(model))
        self.running: list[tuple[str, str, str]] = []  # functions of the model
        self.versions = {o.domain if o.domain not in OWN else "": o.version for o in model.opset_import}
        self.functions = {(f.domain, f.name, f.overload): f for f in model.functions}
        self.sizes = dict(sizes)
        self.trainable = trainable
        self.variables: dict[str, gx.Variable] = {}
        self.renamed: dict[str, str] = {}  # names of sizes, as graphc can write them
        self.depth = 0
        self.inputs: set[gx.Tensor] = set()
        self.uses: Counter[str] = Counter()  # how often a value is read; empty where nothing is to be folded
        self.scaled: dict[gx.Tensor, Callable[[Array, Array], gx.Tensor]] = {}  # convolutions that a norm may become a part of

    # --- types ---

    def size(self, dim: Any, otherwise: str) -> Any:
        """A size of a shape: a number, or a name."""
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            return dim.dim_value
        given = dim.dim_param if dim.dim_param not in ("", "?") else otherwise  # some write -1 or ? for what is open
        if given in self.sizes:
            return self.sizes[given]
        if given not in self.renamed:
            plain = re.sub(r"\W", "_", given) or "n"
            name = plain if not plain[0].isdigit() else f"n{plain}"
            while name in self.renamed.values():
                name += "_"
            self.renamed[given] = name
        return self.renamed[given]

    def placeholder(self, info: Any) -> gx.Tensor:
        """The symbol of an input."""
        kind, called = info.type, f"input {shown(info.name)}"
        if not kind.HasField("tensor_type"):
            what = kind.WhichOneof("value")
            raise ModelError(f"{called} is no tensor: {what}", hint="sequences, maps and options are no inputs here")
        tensor = kind.tensor_type
        if not tensor.HasField("shape"):
            raise ModelError(f"{called} has no shape", hint="run onnx.shape_inference, or declare one")
        shape = [self.size(d, f"{info.name}_{axis}") for axis, d in enumerate(tensor.shape.dim)]
        try:
            made = gx.placeholder(info.name, tuple(shape), dtype_of(tensor.elem_type))
        except gx.GraphError as error:
            raise ModelError(f"{called}: {error.message}", hint=error.hint) from error
        check_value(made, called)
        self.inputs.add(made)
        return made

    def constant(self, tensor: TensorProto) -> Array:
        """The array of a tensor that stands in the model, or beside it."""
        called = f"the constant {shown(tensor.name) or '(unnamed)'}"
        dtype = dtype_of(tensor.data_type)
        if tensor.data_location == TensorProto.EXTERNAL:
            if self.folder is None:
                hint = "external=True reads it from the model's folder alone, external=folder from another"
                raise ModelError(f"the data of {shown(tensor.name)} stand in another file", hint=hint)
            return self.folder.array(tensor, np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)))
        if len(tensor.dims) > MOST_AXES or any(n < 0 for n in tensor.dims):
            raise ModelError(f"{called} has the sizes {shown(str(list(tensor.dims)))}")
        try:
            return np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, OverflowError) as error:
            raise ModelError(f"{called}: its data are no {dtype}{list(tensor.dims)}: {error}") from error

    # --- graphs ---

    def count_uses(self, nodes: Iterable[NodeProto], outputs: Iterable[str]) -> None:
        """Note which values are read once, by nodes, the graphs within them and the outputs."""
        self.uses.update(outputs)
        todo = list(nodes)
        while todo:
            node = todo.pop()
            self.uses.update(node.input)
            for graph in (g for a in node.attribute for g in ([a.g] if a.HasField("g") else [*a.graphs])):
                self.uses.update(o.name for o in graph.output)
                todo += graph.node

    def is_read_once(self, name: str) -> bool:
        """Whether only one node of the outermost graph reads a value of it."""
        return self.depth == 0 and self.uses[name] == 1

    def initial(self, graph: GraphProto, scope: Scope, top: bool = False) -> None:
        """Put the constants of a graph into a scope."""
        for tensor in graph.initializer:
            array = self.constant(tensor)
            if top and self.trainable and array.dtype.kind == "f" and array.ndim:
                self.variables[tensor.name] = gx.variable(array, name=tensor.name)
                scope[tensor.name] = self.variables[tensor.name]
            else:
                scope[tensor.name] = array
        for sparse in graph.sparse_initializer:
            raise ModelError(f"the sparse constant {sparse.values.name} is not read", hint="make it dense")

    def run(self, nodes: Sequence[NodeProto], scope: Scope, versions: Mapping[str, int] | None = None) -> None:
        """Put the values of nodes into a scope."""
        for node in nodes:
            self.node(node, scope, self.versions if versions is None else versions)

    def node(self, node: NodeProto, scope: Scope, versions: Mapping[str, int]) -> None:
        domain = "" if node.domain in OWN else node.domain
        label = f"{domain}::{node.op_type}" if domain else node.op_type
        inputs: list[Value | None] = []
        for name in node.input:
            if name and name not in scope:
                raise ModelError(f"{named(node)}: nothing before it gives {shown(name)!r}")
            inputs.append(scope[name] if name else None)
        version = versions.get(domain, 1)
        check_node(node, version, domain, inputs)
        self.allowance.spend(NODE, node)
        while inputs and inputs[-1] is None:
            inputs.pop()
        try:
            attrs = {a.name: self.attribute(a) for a in node.attribute}
        except ModelError as error:
            raise ModelError(f"{named(node)}: {error.message}", hint=error.hint) from error
        call = Call(label, node.name, inputs, attrs, version, tuple(node.output), self, scope, node)
        function = self.functions.get((node.domain, node.op_type, node.overload))
        try:
            if function is None and label not in OPERATORS:
                found: Any = self.standard(call)
            else:
                found = apply(call) if function is None or label in OPERATORS else self.function(function, call)
        except ModelError:
            raise
        except gx.GraphError as error:
            raise call.error(error.message, hint=error.hint) from error
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError, AssertionError, RecursionError) as error:
            raise call.error(in_words(error)) from error
        results = [self.folded(call, value) for value in (found if isinstance(found, tuple) else (found,))]
        for name, value in zip(node.output, results, strict=False):
            if name and value is not None:
                if name in scope and node.output and self.depth == 0:
                    raise call.error(f"{name!r} is made twice")
                scope[name] = value if isinstance(value, (gx.Tensor, np.ndarray, list)) else np.asarray(value)
                check_value(scope[name], node)

    def attribute(self, a: AttributeProto) -> Any:
        """The value of an attribute; a graph stays as it is."""
        if a.type == AttributeProto.STRING:
            return a.s.decode("utf-8", "replace")
        if a.type == AttributeProto.STRINGS:
            return [s.decode("utf-8", "replace") for s in a.strings]
        if a.type == AttributeProto.TENSOR:
            return self.constant(a.t)
        value = onnx.helper.get_attribute_value(a)
        return list(value) if a.type in (AttributeProto.INTS, AttributeProto.FLOATS) else value

    def graph(self, graph: GraphProto, scope: Mapping[str, Value], arguments: Sequence[Value]) -> list[Value]:
        """The outputs of a graph within a node, for values of its inputs."""
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise ModelError(f"graphs are nested more than {MOST_NESTED} deep")
        try:
            inner: Scope = dict(scope)
            self.initial(graph, inner)
            inner.update(zip((i.name for i in graph.input), arguments, strict=True))
            self.run(graph.node, inner)
            return [self.found(inner, o.name) for o in graph.output]
        finally:
            self.depth -= 1

    def function(self, function: FunctionProto, call: Call) -> tuple[Value | None, ...]:
        """The outputs of a function of the model."""
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise ModelError(f"functions call each other more than {MOST_NESTED} deep")
        if (function.domain, function.name, function.overload) in self.running:
            raise call.error("the function calls itself")
        self.running.append((function.domain, function.name, function.overload))
        try:
            inner: Scope = {n: v for n, v in zip(function.input, call.inputs, strict=False) if v is not None}
            attrs = {a.name: a for a in function.attribute_proto} | {a.name: a for a in call.node.attribute}
            versions = {o.domain if o.domain not in OWN else "": o.version for o in function.opset_import}
            for node in function.node:
                made = NodeProto()
                made.CopyFrom(node)
                del made.attribute[:]
                for a in node.attribute:
                    if not a.ref_attr_name:
                        made.attribute.append(a)
                    elif a.ref_attr_name in attrs:
                        made.attribute.append(attrs[a.ref_attr_name])
                        made.attribute[-1].name = a.name
                for i, name in enumerate(made.input):
                    if name and name not in inner and name in function.input:
                        made.input[i] = ""
                self.node(made, inner, versions)
            return tuple(inner.get(name) for name in function.output)
        finally:
            self.depth -= 1
            self.running.pop()

    def standard(self, call: Call) -> tuple[Value | None, ...]:
        """What an operator gives that the standard itself defines by others."""
        node = call.node
        domain = "" if node.domain in OWN else node.domain
        refused = call.error(f"operator set {call.version} does not define it by other operators")
        try:
            schema: Any = onnx.defs.get_schema(node.op_type, call.version, domain)
        except onnx.defs.SchemaError:
            if call.operator in OPERATORS:  # which asked for the definition
                raise refused from None
            return (apply(call),)  # which refuses it
        if schema.has_function:
            body = schema.get_function_with_opset_version(max(schema.function_opset_versions))
        elif schema.has_context_dependent_function:
            types = [_type(v).SerializeToString() if v is not None else b"" for v in call.inputs]
            version = max(schema.context_dependent_function_opset_versions)
            body = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        elif call.operator in OPERATORS:
            raise refused
        else:
            return (apply(call),)
        made = FunctionProto()
        made.ParseFromString(body)
        if not any(o.domain in OWN for o in made.opset_import):
            made.opset_import.add(domain="", version=self.versions.get("", NEWEST))
        return self.function(made, call)

    def found(self, scope: Mapping[str, Value], name: str) -> Value:
        if name not in scope:
            raise ModelError(f"nothing gives the output {shown(name)!r}")
        return scope[name]

    def computed(self, value: gx.Tensor, what: str) -> Array | None:
        """What a symbol is worth that depends on no input; None where it depends on one, or where a loop has no known end."""
        if self.needed(value):
            return None
        cost = 0
        for node in gx.ir.graph.topological([value]):
            sizes = [math.prod(x.shape) for x in (node, *node.inputs) if isinstance(x, gx.Tensor)]
            if not all(isinstance(n, int) for n in sizes):
                return None
            most = max((n for n in sizes if isinstance(n, int)), default=0)
            inner = sum(len(graph.nodes) for graph in gx.ir.graph.subgraphs(node))
            if inner and "test" in node.attrs:
                return None
            if isinstance(node.attrs.get("value"), gx.Dim):  # a size that each call brings
                return None
            cost += most * NODE * inner if inner else most
        self.allowance.spend(cost, what)
        return np.asarray(value.eval({}))

    def folded(self, call: Call, value: Any) -> Any:
        """A few integers that follow from known ones are known: sizes may depend on them."""
        if not isinstance(value, gx.Tensor) or value.dtype.is_float:
            return value
        if not isinstance(value.size, int) or value.size > MOST_FOLDED:
            return value
        if not all(x is None or (isinstance(x, np.ndarray) and x.dtype != object and x.size <= MOST) for x in call.inputs):
            return value
        if not call.inputs or any(isinstance(a, GraphProto) for a in call.attrs.values()):
            return value
        known = self.computed(value, named(call.node))
        return value if known is None else known

    def needed(self, value: gx.Tensor) -> tuple[str, ...]:
        """The names of the inputs that a symbol depends on."""
        return tuple(str(x.attrs["name"]) for x in gx.ir.graph.topological([value]) if x in self.inputs)


def _type(value: Value) -> onnx.TypeProto:
    """The type of a value as models write it."""
    numbers = {name: number for number, name in DTYPES.items()}
    dtype = "int64" if isinstance(value, np.ndarray) and value.dtype == object else str(value.dtype)
    shape = [n if isinstance(n, int) else str(n) for n in value.shape]
    return onnx.helper.make_tensor_type_proto(numbers[dtype], shape)
