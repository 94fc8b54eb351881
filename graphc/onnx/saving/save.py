"""From symbols to a file of ONNX."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto, helper

import graphc as gx
from graphc.compile.declaring import declared_graph
from graphc.errors import InputError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node
from graphc.ir.names import collected, unused
from graphc.ir.signature import Argument, SizeRule, size_rules
from graphc.onnx.saving.operators import write
from graphc.onnx.saving.writing import Value, Writer, info, needed

IR_VERSION = 10  # of files of operator set 21: what onnxruntime reads since 1.18
NEWER_IR = 11
PRODUCER = "graphc"


def save(
    path: str | Path,
    inputs: Any,
    outputs: Any = None,
    updates: Any = None,
    *,
    weights: Any = None,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
    external: bool | None = None,
) -> onnx.ModelProto:
    """Write a computation as an ONNX model, which onnxruntime and others run; gives the model too.

    path: of the file. inputs: placeholders, or what `gx.compile` gave, which has all that follows. outputs: symbols in a list or
    a dict, whose keys are the outputs' names; else they are called output, or output_0, output_1, ...
    updates: new values of variables, as for `gx.compile`: a step. Each such variable is an input that need not be given, as its
    value now is the default, and its new value is an output called after it, "w.new".
    weights: the variables by names, a mapping, or a collection as for `gx.named_variables`; by default those that are read.
    Other variables are constants of the model, by their names. metadata: pairs of texts that are kept with it.
    external: whether the data of constants go into a file beside the model, "<path>.data"; by default where they are more than
    the 2 GiB that one file of ONNX may have. `gx.onnx.load(path, external=True)` reads them, and onnxruntime does so by itself.

    It is the graph as declared, so the operators are ONNX's own where there are any: of operator set 21, or a newer one where
    it needs that. Symbolic sizes are named (`dim_param`). ModelError, with the operation and the line, for what ONNX cannot say.

    >>> import pathlib, tempfile, numpy as np, graphc as gx
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.onnx"
    >>> x = gx.placeholder("x", ("batch", 2), "float32")
    >>> w = gx.variable(np.ones((2, 3), "float32"), name="w")
    >>> model = gx.onnx.save(path, [x], {"y": gx.tanh(x @ w)})
    >>> [node.op_type for node in model.graph.node]
    ['MatMul', 'Tanh']
    >>> print(gx.onnx.load(path))
    Model graph(x: f32[batch, 2]) -> y: f32[batch, 3]
    """
    model = to_model(inputs, outputs, updates, weights=weights, name=name, metadata=metadata)
    if external is None:
        external = sum(len(tensor.raw_data) for tensor in model.graph.initializer) > LARGEST
    if external:
        put_beside(model, Path(f"{path}.data"))
    Path(path).write_bytes(model.SerializeToString())
    return model


LARGEST = (1 << 31) - (1 << 26)  # bytes of constants: protobuf holds 2^31 of all, and nodes, names and types are the rest
SMALL = 1024  # bytes of a constant that stays in the model, which runtimes read to infer shapes
PAGE = 4096  # bytes: where constants begin, so that they can be mapped into memory


def put_beside(model: onnx.ModelProto, path: Path) -> None:
    """Move the data of large constants into a file, which must stay beside the model's own."""
    with path.open("wb") as file:
        for tensor in model.graph.initializer:
            length = len(tensor.raw_data)
            if length < SMALL:
                continue
            file.seek(-(-file.tell() // PAGE) * PAGE)
            for key, value in (("location", path.name), ("offset", file.tell()), ("length", length)):
                tensor.external_data.add(key=key, value=str(value))
            file.write(tensor.raw_data)
            tensor.ClearField("raw_data")
            tensor.data_location = TensorProto.EXTERNAL


def to_model(
    inputs: Any,
    outputs: Any = None,
    updates: Any = None,
    *,
    weights: Any = None,
    name: str | None = None,
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """What `save` writes, as a ModelProto."""
    graph, called = _declared(inputs, outputs, updates, name)
    variables = _variables(graph, weights)
    kept = {v: name for name, v in variables.items()}
    names = [str(x.attrs["name"]) for x in graph.inputs]
    clash = sorted({*names} & {*variables})
    if clash:
        raise InputError(
            f"save: an input and a variable are called {clash[0]!r}", where=caller(), hint="weights={another name: variable}"
        )
    results = [*called, *(unused(f"{kept[v]}.new", {*called, *names}) for v, _ in graph.updates)]
    w = Writer([*names, *variables, *results])
    top = w.scopes[1]
    changed = {v for v, _ in graph.updates}
    given: list[Any] = []
    for x, n in zip(graph.inputs, names, strict=True):
        top.values[x] = (Value(n, x.type.dtype),)
        given.append(info(n, x.type))
    _bind_sizes(w, graph, names)
    for n, v in variables.items():
        made = onnx.numpy_helper.from_array(v.value, n)
        w.initializers[n] = made
        top.values[v] = (Value(n, v.type.dtype),)
        if v in changed:
            given.append(info(n, v.type))
    found = write(w, graph)
    kinds = [root.type for root in graph.roots]
    _name_outputs(w, found, results, {*names, *w.initializers})
    return _model(w, graph.name, given, [info(n, kind) for n, kind in zip(results, kinds, strict=True)], metadata)


def _declared(inputs: Any, outputs: Any, updates: Any, name: str | None) -> tuple[Graph, list[str]]:
    """The graph as declared, and the names of its outputs."""
    if isinstance(inputs, gx.Compiled):
        graph = inputs.declared
        if outputs is not None or updates is not None:
            raise InputError("save: what gx.compile gave has its own outputs and updates", where=caller(), hint="leave them out")
        return graph, _numbered(len(graph.outputs))
    if outputs is None:
        raise InputError("save: no outputs", where=caller(), hint="gx.onnx.save(path, inputs, outputs)")
    chosen = [inputs] if isinstance(inputs, gx.Tensor) else list(inputs)
    graph = declared_graph(chosen, outputs, updates, name or "graph")
    if isinstance(outputs, Mapping) and all(isinstance(y, gx.Tensor) for y in outputs.values()):
        return graph, [str(key) for key in outputs]
    return graph, _numbered(len(graph.outputs))


def _numbered(count: int) -> list[str]:
    return ["output"] if count == 1 else [f"output_{i}" for i in range(count)]


def _variables(graph: Graph, weights: Any) -> dict[str, Any]:
    """The variables that are read or written, by their names in the model."""
    every: list[Any] = list(dict.fromkeys([*_read(graph), *(v for v, _ in graph.updates)]))
    if weights is None:
        return dict(collected(every))
    named = {v: n for n, v in gx.named_variables(weights).items()}
    rest = collected(v for v in every if v not in named)
    taken = {named[v] for v in every if v in named}
    return {named[v]: v for v in every if v in named} | {unused(n, taken): v for n, v in rest.items()}


def _read(graph: Graph) -> Iterable[Node]:
    return graph.variables


def _bind_sizes(w: Writer, graph: Graph, names: Sequence[str]) -> None:
    """What each symbolic size is, from the shapes of inputs."""
    arguments = [Argument(n, x.type) for n, x in zip(names, graph.inputs, strict=True)]
    by_name = dict(zip(names, graph.inputs, strict=True))
    for rule in size_rules(arguments):
        if rule.name not in w.scopes[0].sizes:
            with w.among_sizes(), w.called(rule.name):
                w.scopes[0].sizes[rule.name] = _solved(w, rule, by_name[rule.input])


def _solved(w: Writer, rule: SizeRule, x: Node) -> Value:
    """The name of a rule: (extent - offset) / factor."""
    made = Value(rule.input, x.type.dtype)
    line = w.op("Shape", made, dtype=t.int64, start=rule.axis, end=rule.axis + 1)
    extent = w.op("Squeeze", line, w.ints([0]))
    offset: Size = dims.substitute(rule.size, {rule.name: 0})
    factor: Size = dims.sub(dims.substitute(rule.size, {rule.name: 1}), offset)
    if offset != 0:
        extent = w.op("Sub", extent, w.size(offset))
    return extent if factor == 1 else w.op("Div", extent, w.size(factor))


def _name_outputs(w: Writer, found: Sequence[Value], wanted: Sequence[str], fixed: set[str]) -> None:
    """Give the values that are outputs their names."""
    new: dict[str, str] = {}
    for value, name in zip(found, wanted, strict=True):
        inside = any(value.name in node.output for node in w.scopes[1].nodes)
        if value.name in fixed or value.name in new or not inside:
            source = new.get(value.name, value.name)
            w.scopes[1].nodes.append(helper.make_node("Identity", [source], [name], name=f"Identity.{name}"))
        else:
            new[value.name] = name
    todo = [node for scope in w.scopes for node in scope.nodes]
    while todo:
        node = todo.pop()
        for names in (node.input, node.output):
            for i, old in enumerate(names):
                if old in new:
                    names[i] = new[old]
        for attribute in node.attribute:
            if attribute.HasField("g"):
                todo += attribute.g.node
                for output in attribute.g.output:
                    output.name = new.get(output.name, output.name)


def _model(
    w: Writer, name: str, inputs: Sequence[Any], outputs: Sequence[Any], metadata: Mapping[str, str] | None
) -> onnx.ModelProto:  # fmt: skip
    shown = {i.name for i in (*inputs, *outputs)}
    nodes, read = needed([*w.scopes[0].nodes, *w.scopes[1].nodes], shown)
    made = {n for node in nodes for n in node.output}
    types = {i.name: i for scope in w.scopes for i in scope.types if i.name in made and i.name not in shown}
    graph = helper.make_graph(
        nodes, name, list(inputs), list(outputs),
        [tensor for n, tensor in w.initializers.items() if n in read], value_info=list(types.values()),
    )  # fmt: skip
    model = helper.make_model(
        graph, producer_name=PRODUCER, producer_version=gx.__version__, opset_imports=[helper.make_opsetid("", w.opset)],
        ir_version=IR_VERSION if w.opset <= 22 else NEWER_IR,
    )  # fmt: skip
    helper.set_model_props(model, {str(k): str(v) for k, v in (metadata or {}).items()})
    return model
