"""A model that was read: its inputs, outputs and weights as symbols, and a compiled function of them."""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx

import graphc as gx
from graphc.backends import load_backend
from graphc.compile.building import compile_later
from graphc.compile.compiled import Later
from graphc.compile.declaring import declared_graph
from graphc.compile.kept import note, noted, versions
from graphc.errors import caller
from graphc.ir.graph import Graph, collector_at_rest, origin
from graphc.ir.target import host as measured_host
from graphc.onnx import families as families
from graphc.onnx.checks import shown
from graphc.onnx.errors import ModelError
from graphc.onnx.external import Folder
from graphc.onnx.large import LargeFile, content
from graphc.onnx.operators import OPERATORS
from graphc.onnx.reading import Reader, Scope
from graphc.onnx.saving.writing import needed
from graphc.onnx.values import symbol

SHIPPED = dict(OPERATORS)  # before users add to them
# A model is read to be run: what runs it, and what is known before there is a model, is loaded by the import, not by a call.
load_backend("llvm")
measured_host()
versions()


class Parts(NamedTuple):
    """A model's symbols by their names."""

    inputs: dict[str, gx.Tensor]
    outputs: dict[str, gx.Tensor]
    variables: dict[str, gx.Variable]


class Model:
    """A model as symbols. Calling it compiles it for any sizes, once.

    inputs, outputs: symbols by their names in the model. variables: its weights by name, where it was loaded as trainable.
    """

    def __init__(
        self, inputs: Mapping[str, gx.Tensor], outputs: Mapping[str, gx.Tensor], variables: Mapping[str, gx.Variable], name: str
    ) -> None:
        self.name = name
        self._parts: Parts | None = Parts(dict(inputs), dict(outputs), dict(variables))
        self._names: Sequence[str] = tuple(outputs)
        self._compiled: gx.Compiled | None = None
        self._source: _Source | None = None

    @classmethod
    def _unread(cls, source: _Source, name: str, outputs: Sequence[str]) -> Model:
        """A model that is read when its symbols are asked for."""
        made = cls({}, {}, {}, name)
        made._parts, made._names, made._source = None, outputs, source
        return made

    @property
    def _symbols(self) -> Parts:
        if self._parts is None:
            assert self._source is not None
            self._parts = self._source.read()
        return self._parts

    @property
    def inputs(self) -> dict[str, gx.Tensor]:
        """Its inputs by their names."""
        return self._symbols.inputs

    @property
    def outputs(self) -> dict[str, gx.Tensor]:
        """Its outputs by their names."""
        return self._symbols.outputs

    @property
    def variables(self) -> dict[str, gx.Variable]:
        """Its weights by their names, where it was loaded as trainable."""
        return self._symbols.variables

    def compile(self, **options: Any) -> gx.Compiled:
        """The outputs, a list of arrays, as a compiled function of the inputs. options: those of gx.compile."""
        source = self._source
        if source is None or not options.keys() <= {"backend", "passes", "progress", "target"}:
            return gx.compile(list(self.inputs.values()), list(self.outputs.values()), **options)
        made = compile_later(Later(source.key, "graph", source.where, self._declared), **options)
        if made.is_found_without:
            note(source.key, json.dumps([self.name, list(self._names)]))
        return made

    def _declared(self) -> Graph:
        return declared_graph(list(self.inputs.values()), list(self.outputs.values()), None, "graph")

    @property
    def graph(self) -> Any:
        """The graph as it is run, after all passes."""
        return self._ready().graph

    def _ready(self) -> gx.Compiled:
        if self._compiled is None:
            self._compiled = self.compile()
        return self._compiled

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """The outputs for arrays, by position or by name: an array if there is one output, else a list of them."""
        made = self._ready()(*arrays, **named)
        return made[0] if len(self._names) == 1 else made

    def __repr__(self) -> str:
        gives = ", ".join(f"{name}: {y.type}" for name, y in self.outputs.items())
        return f"Model {self.name}({', '.join(f'{n}: {x.type}' for n, x in self.inputs.items())}) -> {gives}"


def load(
    model: str | Path | bytes | onnx.ModelProto,
    sizes: Mapping[str, int] | None = None,
    *,
    values: Mapping[str, Any] | None = None,
    trainable: bool = False,
    external: bool | str | Path = False,
    outputs: Sequence[str] | None = None,
    fold: bool = True,
) -> Model:
    """The model of an ONNX file.

    model: a path, the bytes of a file, or a ModelProto. sizes: numbers for names of sizes (`dim_param`) that would else stay
    symbols. values: arrays for inputs that are known now, as axes or a shape that sizes of results depend on: they are inputs no
    more. trainable: its weights are variables, so that `gx.grad` and an optimiser change them. external: whether constants may
    stand in files beside the model, which is a path then, or the folder of these files; they are opened in it alone, and no link
    is followed. outputs: names of values of the model that are to be its outputs instead of its own; only what they need is read,
    so that a model may end before a node that cannot be read, or give what a new layer is put on. fold: whether batch norms of
    constants become part of the convolutions before them, which changes last digits. ModelError, naming the node and
    its operator, where the file is none, or needs what graphc does not have.
    """
    if external is True and not isinstance(model, (str, Path)):
        raise ModelError("external=True needs the path of a model", hint="external=folder where it is given otherwise")
    folder = Path(model).parent if external is True else external  # type: ignore[arg-type]
    given = {name: np.asarray(value) for name, value in (values or {}).items()}
    source = None
    plain = not trainable and folder is False and OPERATORS == SHIPPED and not any(a.dtype.hasobject for a in given.values())
    data = model if isinstance(model, (onnx.ModelProto, bytes)) else content(model) if plain else Path(model).read_bytes()
    if plain and not isinstance(data, onnx.ModelProto):
        source = _Source(data, dict(sizes or {}), given, outputs, fold)
        text = noted(source.key)
        if text is not None:
            return Model._unread(source, *json.loads(text))
    with collector_at_rest():
        made = _read(_parsed(data), sizes or {}, given, trainable, folder, outputs, fold)
    made._source = source
    return made


class _Source:
    """What a model without variables is read from, and how."""

    def __init__(
        self, data: bytes | LargeFile, sizes: Mapping[str, int], values: Mapping[str, Any], outputs: Sequence[str] | None,
        fold: bool,
    ) -> None:  # fmt: skip
        self.data, self.sizes, self.values, self.outputs, self.fold = data, sizes, values, outputs, fold
        self.where = caller()
        arrays = [(name, str(a.dtype), a.shape, a.tobytes()) for name, a in sorted(values.items())]
        how = repr((versions(), onnx.__version__, sorted(sizes.items()), arrays, outputs and list(outputs), fold))
        digest = hashlib.sha256(data).digest() if isinstance(data, bytes) else data.digest
        self.key = hashlib.sha256(digest + how.encode()).hexdigest()

    def read(self) -> Parts:
        """Its symbols, as they were when it was loaded."""
        with collector_at_rest(), origin(self.where, gradient=False):
            return _read(_parsed(self.data), self.sizes, self.values, False, False, self.outputs, self.fold)._symbols


def _read(
    proto: onnx.ModelProto, sizes: Mapping[str, int], values: Mapping[str, Any], trainable: bool, folder: Any,
    outputs: Sequence[str] | None, fold: bool,
) -> Model:  # fmt: skip
    reader = Reader(proto, sizes, trainable, Folder(folder) if folder is not False else None)
    scope: Scope = {}
    reader.initial(proto.graph, scope, top=True)
    scope.update(values)
    nodes, wanted = list(proto.graph.node), [o.name for o in proto.graph.output]
    given = [i for i in proto.graph.input if i.name not in scope]
    if outputs is not None:
        wanted = list(outputs)
        nodes, read = _up_to(proto.graph, wanted)
        given = [i for i in given if i.name in read]
        reader.variables = {name: v for name, v in reader.variables.items() if name in read}
    inputs = {i.name: reader.placeholder(i) for i in given}
    scope.update(inputs)
    if fold:
        reader.count_uses(nodes, wanted)
    reader.run(nodes, scope)
    found = {name: reader.found(scope, name) for name in wanted}
    return Model(inputs, {name: symbol(value) for name, value in found.items()}, reader.variables, proto.graph.name)


def _up_to(graph: onnx.GraphProto, wanted: Sequence[str]) -> tuple[list[onnx.NodeProto], set[str]]:
    """The nodes that values need, and the names that are read."""
    values = [name for node in graph.node for name in node.output if name]
    there = {*values, *(i.name for i in graph.input), *(t.name for t in graph.initializer)}
    for name in wanted:
        if name not in there:
            near = difflib.get_close_matches(name, values, 3)
            raise ModelError(
                f"the model has no value {shown(name)!r}", hint=f"did you mean {', '.join(near)}?" if near else None
            )
    return needed(graph.node, wanted)


def _parsed(data: bytes | LargeFile | onnx.ModelProto) -> onnx.ModelProto:
    if isinstance(data, onnx.ModelProto):
        return data
    if isinstance(data, LargeFile):
        data = data.read()
    made = onnx.ModelProto()
    try:
        made.ParseFromString(data)
    except Exception as error:  # protobuf raises a class of its own, which moved between its versions
        raise ModelError(f"this is no ONNX model: {error}") from error
    if not made.HasField("graph"):
        raise ModelError("this is no ONNX model: it has no graph")
    return made
