"""What a model is made of: a table of its layers, and a drawing of how they are connected."""

from __future__ import annotations

import html
import os
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import graphc as gx
from graphc import Tensor
from graphc.layers.layer import Call, calls, flat

if TYPE_CHECKING:
    from graphc.models.model import Model

Size = int | gx.Dim
_HEAD = ("layer", "class", "output", "parameters", "bytes", "FLOPs")


@dataclass(frozen=True)
class Row:
    """A call of a layer. flops: floating-point operations for a batch of 1, where lengths are symbolic an expression of them."""

    path: str
    kind: str
    output: str
    parameters: int
    bytes: int
    flops: Size
    depth: int
    shared: bool  # whether an earlier row has its parameters already

    @property
    def cells(self) -> tuple[str, ...]:
        numbers = ("shared", "") if self.shared else (_number(self.parameters), _number(self.bytes))
        return ("  " * (self.depth - 1) + self.path, self.kind, self.output, *numbers, _number(self.flops))


@dataclass(frozen=True)
class Summary:
    """A model's layers, and how many numbers it holds: those that are trained, and those of frozen layers and of state."""

    name: str
    rows: tuple[Row, ...]
    trainable: int
    frozen: int
    bytes: int
    flops: Size

    @property
    def total(self) -> int:
        return self.trainable + self.frozen

    def _end(self) -> str:
        return (
            f"parameters: {self.total:,} ({_number(self.bytes)} bytes), trainable {self.trainable:,}, frozen {self.frozen:,}; "
            f"FLOPs a sample: {_number(self.flops)}"
        )

    def __str__(self) -> str:
        table = [_HEAD, *(row.cells for row in self.rows)]
        widths = [max(len(cells[i]) for cells in table) for i in range(len(_HEAD))]
        form = "  ".join(f"{{:{'<' if i < 3 else '>'}{width}}}" for i, width in enumerate(widths))
        lines = [form.format(*cells).rstrip() for cells in table]
        rule = "-" * max(map(len, lines))
        return "\n".join([self.name, lines[0], rule, *lines[1:], rule, self._end()])

    def _repr_html_(self) -> str:
        style = "style='text-align:left;white-space:pre'"
        lines = ["".join(f"<td {style}>{html.escape(c)}</td>" for c in cells) for cells in (_HEAD, *(r.cells for r in self.rows))]
        body = "".join(f"<tr>{line}</tr>" for line in lines)
        return f"<b>{html.escape(self.name)}</b><table>{body}</table>{html.escape(self._end())}"


def summary(model: Model, depth: int | None = 1) -> Summary:
    """The table of a model. depth: how far to go into layers that are made of layers; None for all the way.

    Raises InputError for a model that nobody has called, for which nothing says what comes in.
    """
    found = traced(model)
    top = next(call for call in found if not call.depth)
    batch = next((str(x.shape[0]) for x in flat(list(top.inputs)) if x.ndim and isinstance(x.shape[0], gx.Dim)), "")
    rows: list[Row] = []
    seen: set[int] = set()
    numbers: dict[gx.ir.Node, Size] = {}
    for call in sorted(found, key=lambda call: (call.born.start, call.depth)):
        if call.depth and (depth is None or call.depth <= depth):
            weights = call.layer.weights
            rows.append(Row(
                call.path, type(call.layer).__name__, ", ".join(str(x.type) for x in flat(call.output)), _parameters(weights),
                _bytes(weights), _flops(call, numbers, batch), call.depth, bool(weights) and id(call.layer) in seen,
            ))  # fmt: skip
            seen.add(id(call.layer))
    trained = model.trainable_variables
    total = model.weights
    count = _parameters(trained)
    return Summary(model.name, tuple(rows), count, _parameters(total) - count, _bytes(total), _flops(top, numbers, batch))


def traced(model: Model) -> list[Call]:
    """The calls of a model's layers, by calling it on the symbols that it was made of or was called with last."""
    given = model.called_with
    if given is None and model.symbolic_inputs is not None:
        given = (model.symbolic_inputs,)
    if given is None:
        raise gx.errors.InputError(
            f"{model.name} has no shapes yet", where=gx.errors.caller(),
            hint="give the first layer input_shape=, call the model on gx.layers.Input(...), or train it first",
        )  # fmt: skip
    with calls() as found:
        model(*given, training=False)
    return found


def _parameters(variables: Iterable[gx.Variable]) -> int:
    return sum(v.value.size for v in variables)


def _bytes(variables: Iterable[gx.Variable]) -> int:
    return sum(v.value.nbytes for v in variables)


def _number(value: Size) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


# --- operations ------------------------------------------------------------------------------------------------------


def _flops(call: Call, known: dict[gx.ir.Node, Size], batch: str) -> Size:
    """The floating-point operations of what a call made, with 1 for the size of a name."""
    total: Size = 0
    for node in gx.ir.Graph((), tuple(flat(call.output))).nodes:
        if node.number in call.born:
            if node not in known:
                known[node] = node_flops(node)
            total = total + known[node]
    return gx.ir.dims.substitute(total, {batch: 1})


def node_flops(node: gx.ir.Node) -> Size:
    """Operations of one node: 2mnk of a product, one for each element that is computed or reduced."""
    total: Size = 0
    todo: list[tuple[gx.ir.Node, Size]] = [(node, 1)]
    while todo:
        one, times = todo.pop()
        kind: Any = one.op.lowering
        match type(kind).__name__:
            case "Composite":
                made = kind.expand(*one.inputs, **one.attrs)
                todo += [(n, times) for n in gx.ir.Graph((), (made,)).nodes if n.number > one.number]
            case "Scan":
                todo += [(n, times * one.attrs["steps"]) for n in one.attrs["body"].nodes]
            case _ if not isinstance(one, Tensor) or not one.dtype.is_float:
                continue
            case "Contraction":
                total = total + times * (2 * one.type.size * one.inputs[0].type.shape[-1])
            case "Reduction" | "Prefix":
                total = total + times * one.inputs[0].type.size
            case "Pointwise" if kind.elementwise and one.inputs:
                total = total + times * one.type.size
    return total


# --- a drawing -------------------------------------------------------------------------------------------------------


def plot(model: Model, path: str | os.PathLike[str] | None = None, depth: int | None = 1) -> str:
    """The model's layers and what flows between them, as DOT text; written to `path` as DOT, or as SVG where it ends so.

    depth: how far to go into layers that are made of layers. One that is not gone into is a folded block. Raises InputError for
    a path that ends in .svg where graphviz' program dot is not installed.
    """
    text = "\n".join(_drawn(model, depth)) + "\n"
    if path is None:
        return text
    path = Path(path)
    if path.suffix != ".svg":
        path.write_text(text, encoding="utf-8")
        return text
    picture = svg(text)
    if picture is None:
        raise gx.errors.InputError(
            "plot: SVG needs graphviz' program dot", where=gx.errors.caller(),
            hint="install graphviz, or give a path that ends in .dot",
        )  # fmt: skip
    path.write_text(picture, encoding="utf-8")
    return text


def svg(text: str) -> str | None:
    """DOT text as SVG; None where graphviz' dot is not installed, or fails."""
    if shutil.which("dot") is None:
        return None
    try:
        return subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, text=True, check=True, timeout=20).stdout
    except (OSError, subprocess.SubprocessError):
        return None


def _drawn(model: Model, depth: int | None) -> list[str]:
    every = sorted(traced(model), key=lambda call: (call.born.start, call.depth))
    shown = [call for call in every if call.depth and (depth is None or call.depth <= depth)]
    blocks = [c for c, after in zip(shown, [*shown[1:], None], strict=True) if after is None or after.depth <= c.depth]
    top = next(call for call in every if not call.depth)
    lines = [f"digraph {_quoted(model.name)} {{", '  node [shape=box, style=filled, fillcolor="#eaf3fc", fontname="Helvetica"];']
    names: dict[gx.ir.Node, str] = {}
    for i, x in enumerate(flat(list(top.inputs))):
        names[x] = f"input{i}"
        label = _quoted(f"{x.attrs.get('name', 'input')}\n{x.type}")
        lines.append(f"  input{i} [label={label}, shape=ellipse, fillcolor=\"#d8f0d2\"];")
    opened: list[Call] = []
    numbers = {id(call): i for i, call in enumerate(blocks)}
    for call in shown:
        while opened and call.born.start >= opened[-1].born.stop:
            opened.pop()
            lines.append("  " * (len(opened) + 1) + "}")
        pad = "  " * (len(opened) + 1)
        if id(call) not in numbers:
            lines.append(f"{pad}subgraph cluster{call.born.start} {{ label={_quoted(call.path)};")
            opened.append(call)
            continue
        number, folded = numbers[id(call)], any(True for _ in call.layer.parts())
        label = _quoted(f"{call.path}: {type(call.layer).__name__}\n" + ", ".join(str(x.type) for x in flat(call.output)))
        lines.append(f"{pad}layer{number} [label={label}{', shape=box3d' if folded else ''}];")
        names.update((x, f"layer{number}") for x in flat(call.output))
    lines += ["  " * (i + 1) + "}" for i in reversed(range(len(opened)))]
    for call in blocks:
        lines += _edges(flat([*call.inputs, dict(call.options)]), names, f"layer{numbers[id(call)]}")
    for i, x in enumerate(flat(top.output)):
        lines.append(f"  output{i} [label={_quoted(f'output{chr(10)}{x.type}')}, shape=ellipse, fillcolor=\"#e6d8f6\"];")
        lines += _edges([x], names, f"output{i}")
    return [*lines, "}"]


def _edges(given: Sequence[Tensor], names: dict[gx.ir.Node, str], to: str) -> list[str]:
    """Lines from the blocks and inputs that symbols come from, over whatever operations lie between."""
    found: dict[str, None] = {}
    seen: set[gx.ir.Node] = set()
    todo: list[gx.ir.Node] = list(given)
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        if node in names and names[node] != to:
            found[names[node]] = None
        else:
            todo += node.inputs
    return [f"  {name} -> {to};" for name in sorted(found)]


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def mimebundle(model: Model) -> dict[str, Any]:
    """What a notebook shows of a model: the table, and the drawing where graphviz' dot is installed."""
    try:
        table = summary(model)
    except gx.GraphError:
        return {"text/plain": repr(model)}
    picture = svg(plot(model))
    page = table._repr_html_() + ("" if picture is None else picture[picture.find("<svg") :])
    return {"text/plain": str(table), "text/html": page}
