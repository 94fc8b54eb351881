"""From a model's protobuf to symbols: nodes in their order, each by the table of operators."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, TensorProto, numpy_helper

import graphc as gx
from graphc.onnx.errors import ModelError
from graphc.onnx.operators import OPERATORS, Call, apply
from graphc.onnx.values import Array, Value

OWN = ("", "ai.onnx")  # how models call ONNX's own domain
MOST_NESTED = 32  # graphs within graphs
DTYPES: dict[int, str] = {
    TensorProto.FLOAT: "float32", TensorProto.DOUBLE: "float64", TensorProto.FLOAT16: "float16", TensorProto.BFLOAT16: "bfloat16",
    TensorProto.INT8: "int8", TensorProto.INT16: "int16", TensorProto.INT32: "int32", TensorProto.INT64: "int64",
    TensorProto.UINT8: "uint8", TensorProto.UINT16: "uint16", TensorProto.UINT32: "uint32", TensorProto.UINT64: "uint64",
    TensorProto.BOOL: "bool",
}  # fmt: skip
Scope = dict[str, Any]  # a Value, or a list of them


def dtype_of(number: int) -> str:
    """graphc's name of a data type of ONNX; ModelError for one that it does not have."""
    if number not in DTYPES:
        called = TensorProto.DataType.Name(number)
        raise ModelError(f"graphc has no data type {called}", hint="it has numbers and booleans of 8 bits and more")
    return DTYPES[number]


class Reader:
    """Reads the graphs of one model."""

    def __init__(self, model: ModelProto, sizes: Mapping[str, int], trainable: bool) -> None:
        self.model = model
        self.versions = {o.domain if o.domain not in OWN else "": o.version for o in model.opset_import}
        self.functions = {(f.domain, f.name): f for f in model.functions}
        self.sizes = dict(sizes)
        self.trainable = trainable
        self.variables: dict[str, gx.Variable] = {}
        self.renamed: dict[str, str] = {}  # names of sizes, as graphc can write them
        self.depth = 0
        self.inputs: set[gx.Tensor] = set()

    # --- types ---

    def size(self, dim: Any, otherwise: str) -> Any:
        """A size of a shape: a number, or a name."""
        if dim.HasField("dim_value"):
            return dim.dim_value
        given = dim.dim_param or otherwise
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
        kind = info.type
        if not kind.HasField("tensor_type"):
            what = kind.WhichOneof("value")
            raise ModelError(f"input {info.name} is no tensor: {what}", hint="sequences, maps and options are no inputs here")
        tensor = kind.tensor_type
        if not tensor.HasField("shape"):
            raise ModelError(f"input {info.name} has no shape", hint="run onnx.shape_inference, or declare one")
        shape = [self.size(d, f"{info.name}_{axis}") for axis, d in enumerate(tensor.shape.dim)]
        made = gx.placeholder(info.name, tuple(shape), dtype_of(tensor.elem_type))
        self.inputs.add(made)
        return made

    def constant(self, tensor: TensorProto) -> Array:
        """The array of a tensor that stands in the model."""
        dtype_of(tensor.data_type)
        if tensor.data_location == TensorProto.EXTERNAL:
            hint = "give gx.onnx.load what onnx.load(path) gives, if you trust the file"
            raise ModelError(f"the data of {tensor.name} stand in another file", hint=hint)
        return np.asarray(numpy_helper.to_array(tensor))

    # --- graphs ---

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
                raise ModelError(f"node {node.name or '(unnamed)'} of {label}: nothing before it gives {name!r}")
            inputs.append(scope[name] if name else None)
        while inputs and inputs[-1] is None:
            inputs.pop()
        attrs = {a.name: self.attribute(a) for a in node.attribute}
        call = Call(label, node.name, inputs, attrs, versions.get(domain, 1), tuple(node.output), self, scope, node)
        function = self.functions.get((node.domain, node.op_type))
        try:
            if function is None and label not in OPERATORS:
                found: Any = self.standard(call)
            else:
                found = apply(call) if function is None or label in OPERATORS else self.function(function, call)
        except ModelError:
            raise
        except gx.GraphError as error:
            raise call.error(error.message, hint=error.hint) from error
        except (ValueError, TypeError, IndexError, KeyError, OverflowError, ZeroDivisionError) as error:
            raise call.error(f"{type(error).__name__}: {error}") from error
        results = list(found) if isinstance(found, tuple) else [found]
        for name, value in zip(node.output, results, strict=False):
            if name and value is not None:
                if name in scope and node.output and self.depth == 0:
                    raise call.error(f"{name!r} is made twice")
                scope[name] = value if isinstance(value, (gx.Tensor, np.ndarray, list)) else np.asarray(value)

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
            inner.update(zip((i.name for i in graph.input), arguments, strict=False))
            self.run(graph.node, inner)
            return [self.found(inner, o.name) for o in graph.output]
        finally:
            self.depth -= 1

    def function(self, function: FunctionProto, call: Call) -> tuple[Value | None, ...]:
        """The outputs of a function of the model."""
        self.depth += 1
        if self.depth > MOST_NESTED:
            raise ModelError(f"functions call each other more than {MOST_NESTED} deep")
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

    def standard(self, call: Call) -> tuple[Value | None, ...]:
        """What an operator gives that the standard itself defines by others."""
        node = call.node
        domain = "" if node.domain in OWN else node.domain
        try:
            schema: Any = onnx.defs.get_schema(node.op_type, call.version, domain)
        except onnx.defs.SchemaError:
            return (apply(call),)  # which refuses it
        if schema.has_function:
            body = schema.get_function_with_opset_version(max(schema.function_opset_versions))
        elif schema.has_context_dependent_function:
            types = [_type(v).SerializeToString() if v is not None else b"" for v in call.inputs]
            version = max(schema.context_dependent_function_opset_versions)
            body = schema.get_context_dependent_function_with_opset_version(version, node.SerializeToString(), types)
        else:
            return (apply(call),)
        made = FunctionProto()
        made.ParseFromString(body)
        return self.function(made, call)

    def found(self, scope: Mapping[str, Value], name: str) -> Value:
        if name not in scope:
            raise ModelError(f"nothing gives the output {name!r}")
        return scope[name]

    def computed(self, value: gx.Tensor) -> Array | None:
        """What a symbol is worth that depends on no input; None where it depends on one."""
        return None if self.needed(value) else np.asarray(value.eval({}))

    def needed(self, value: gx.Tensor) -> tuple[str, ...]:
        """The names of the inputs that a symbol depends on."""
        return tuple(str(x.attrs["name"]) for x in gx.ir.graph.topological([value]) if x in self.inputs)


def _type(value: Value) -> onnx.TypeProto:
    """The type of a value as models write it."""
    numbers = {name: number for number, name in DTYPES.items()}
    dtype = "int64" if isinstance(value, np.ndarray) and value.dtype == object else str(value.dtype)
    shape = [n if isinstance(n, int) else str(n) for n in value.shape]
    return onnx.helper.make_tensor_type_proto(numbers[dtype], shape)
