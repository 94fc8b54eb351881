"""Drawings: graphs and programs as DOT, the language of graphviz.

    ellipse, green        an input                    rounded box, blue    a node of the forward part
    cylinder, amber       a variable                  rounded box, red     a node of a gradient
    folded sheet, grey    a constant or a fill        stronger colour      reductions, then contractions
    house, violet         an output                   dashed edge          the new value of a variable

Numbers and small constants stand in the label of their reader. Nodes of one kernel stand in one frame; a node that
several kernels compute stands in the first. A loop or a choice is a frame around the graphs inside it: what it is given goes to
their inputs, what is made of it comes from their outputs, and dotted edges lead from what a step carries to the next step.
Edges carry types, after the operand's number where there are several. The tooltip of a node is its whole text and the user's
line.

A notebook draws a graph that is too large to read by blocks: one for the nodes of one line of the user's, so that layers made by
one line are one block.
"""

from __future__ import annotations

import html
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import networkx as nx

from graphc.errors import Where
from graphc.ir.dims import Dim
from graphc.ir.graph import Graph, Node, subgraphs
from graphc.ir.loops import loop_of
from graphc.ir.names import written
from graphc.ir.operation import (
    Collective,
    Composite,
    Contraction,
    Host,
    Input,
    Leaf,
    Lowering,
    Pointwise,
    Prefix,
    Project,
    Reduction,
    Scan,
    Scatter,
    Sized,
    Switch,
    While,
)  # fmt: skip
from graphc.ir.printing import notebook_of
from graphc.ir.program import Buffer, Call, Kernel, Program
from graphc.ir.text import names_of, print_attr, print_node
from graphc.ir.types import ArrayValue

_SMALL = 4  # constants of at most so many elements stand in their reader's label
_WIDE = 34  # attributes longer than this are cut; the tooltip has all of them
_IN_TYPE = frozenset(("shape", "size", "name", "value", "dtype"))  # attributes that the edges' types or the label show already
_DRAWN = 600  # notebooks get a picture of at most so many nodes, or of a quarter as many blocks
_LINE_WIDTH = 60  # a line of the user's that is longer is cut


@dataclass(frozen=True)
class Look:
    """How one kind of thing is drawn."""

    word: str
    shape: str
    fill: str
    line: str
    style: str = "filled"
    width: float = 1.0


INPUT = Look("input", "ellipse", "#d8f0d2", "#3a8a3e")
VARIABLE = Look("variable", "cylinder", "#ffe7b0", "#b3761a")
CONSTANT = Look("constant", "note", "#ececec", "#7d7d7d")
OUTPUT = Look("output", "invhouse", "#e6d8f6", "#6d42a3")
_FORWARD = ("#eaf3fc", "#cfe3f7", "#a9cdf0")  # fills of pointwise, reducing and contracting nodes
_GRADIENT = ("#fdecea", "#fad0cc", "#f3aaa4")
_LINE = {False: "#3f76ad", True: "#bd4b44"}


def to_dot(thing: Any, path: str | Path | None = None) -> str:
    """A drawing as DOT text, written to `path` if given.

    thing: a symbol (with all it is computed from), a Graph, a Program, or what `gx.compile` gives (the final graph, with the
    nodes of one kernel in one frame). Raises TypeError for anything else.

    >>> import graphc as gx
    >>> print(gx.to_dot(gx.exp(gx.placeholder("x", (3,), "float32"))).splitlines()[0])
    digraph "expression" {
    """
    text = "\n".join(_draw(thing)) + "\n"
    if path is not None:
        Path(path).write_text(text, encoding="utf-8")
    return text


@notebook_of.register(Graph)
def mimebundle(thing: Any) -> dict[str, str]:
    """What a notebook shows: text, and a picture where graphviz's `dot` is installed. Never raises.

    The picture of a graph that is too large to read is one of its blocks. Where there is none, the text says why.
    """
    try:
        text = str(thing)
    except Exception:
        text = object.__repr__(thing)
    try:
        svg, why = _picture(thing, 10.0)
    except TypeError:  # nothing that can be drawn
        return {"text/plain": text}
    except Exception as error:  # a notebook must show the text even where a drawing fails
        svg, why = None, f"drawing failed: {error}"
    return {"text/plain": f"# {why}\n{text}" if why else text} | ({} if svg is None else {"image/svg+xml": svg})


def render_svg(thing: Any, seconds: float = 10.0) -> str | None:
    """The drawing as SVG, of a large graph by blocks; None where `dot` is not installed, takes longer than `seconds`, or the
    blocks are too many to read."""
    return _picture(thing, seconds)[0]


def _picture(thing: Any, seconds: float) -> tuple[str | None, str]:
    """The drawing as SVG, and why there is none or what it is."""
    graph = thing if isinstance(thing, Graph) else Graph((), (thing,), name="expression") if isinstance(thing, Node) else None
    graph = graph if graph is not None else getattr(thing, "graph", None)
    why = ""
    lines = _draw(thing)  # TypeError for what has no drawing
    if isinstance(graph, Graph) and _extent(graph) > _DRAWN:
        blocks = _Blocks(graph)
        why = f"{_extent(graph):,} nodes are too many to draw one by one"
        if len(blocks.names) > _DRAWN // 4:
            return None, f"{why}, and so are the {len(blocks.names):,} lines that they come from; to_dot(path) writes all of them"
        why += ": a block is the nodes of one line"
        lines = blocks.draw()
    program = shutil.which("dot")
    if program is None:
        return None, "no picture: graphviz's dot is not installed"
    source = "\n".join(lines) + "\n"
    if source.count("[label=") > _DRAWN * 3:  # boxes and edges
        return None, f"no picture: more than {_DRAWN * 3:,} boxes and edges are too many to read; to_dot(path) writes them"
    try:
        done = subprocess.run([program, "-Tsvg"], input=source.encode(), capture_output=True, timeout=seconds, check=True)
    except (subprocess.SubprocessError, OSError) as error:
        return None, f"no picture: dot failed: {error}"
    return done.stdout.decode(), why


def _extent(graph: Graph) -> int:
    """The nodes of a graph and of those inside it."""
    count, todo = 0, [graph]
    while todo:
        nodes = todo.pop().nodes
        count += len(nodes)
        todo += [body for node in nodes for body in subgraphs(node)]
    return count


def _draw(thing: Any) -> Iterator[str]:
    match thing:
        case Graph():
            return _draw_graph(thing, ())
        case Program():
            return _draw_program(thing)
        case Node():
            return _draw_graph(Graph((), (thing,), name="expression"), ())
    graph, stages = getattr(thing, "graph", None), getattr(thing, "stages", ())
    if not isinstance(graph, Graph):
        raise TypeError(f"to_dot draws a symbol, a Graph, a Program or a compiled object, not {type(thing).__name__}")
    calls = next((stage.calls for _, stage in reversed(stages) if isinstance(stage, Program)), ())
    return _draw_graph(graph, calls)


# --- graphs ---------------------------------------------------------------------------------------------------------


def _draw_graph(graph: Graph, calls: Sequence[Call]) -> Iterator[str]:
    sheet = _Sheet(graph)
    place = sheet.place
    yield from _head(graph.name, _title(graph, calls), {*sheet.looks(), *([OUTPUT] if graph.outputs else [])})
    drawn = {place[node]: lines for node, lines in sheet.boxes()}
    home = _frames(graph, calls)
    for number, call in enumerate(calls):
        members = [line for i, lines in drawn.items() if home.get(i) == number for line in lines]
        yield from _frame(f"{number}", call.kernel.name, members)
    yield from (line for i, lines in drawn.items() if i not in home for line in lines)
    yield from sheet.edges()
    for number, node in enumerate(graph.outputs):
        yield _box(f"out{number}", OUTPUT, [f"output {number}" if len(graph.outputs) > 1 else "output"], str(node.type))
        yield from (_edge(start, f"out{number}", str(node.type)) for start in sheet.starts(node))
    for variable, node in graph.updates:
        yield from (_edge(start, sheet.key(variable), "update", update=True) for start in sheet.starts(node))
    yield "}"


class _Sheet:
    """One graph of a drawing. The graphs inside its loops and choices are sheets of their own, whose keys begin with `prefix`."""

    def __init__(self, graph: Graph, prefix: str = "") -> None:
        self.graph, self.prefix = graph, prefix
        self.data = graph.to_networkx()
        self.names = names_of(graph)
        self.place = {node: i for i, node in enumerate(graph.nodes)}
        self.inline = _inlined(graph)
        self.sheets = {n: list(self._inside(n)) for n in graph.nodes if any(subgraphs(n))}
        parts = {n for n in graph.nodes if isinstance(n.op.lowering, Project) and n.inputs[0] in self.sheets}
        read = {i for n in graph.nodes for i in n.inputs} | set(graph.outputs)
        unread = {n for n in graph.inputs if prefix and n not in read}
        self.hidden = {self.place[n] for n in (*self.inline, *parts, *unread)}

    def _inside(self, node: Node) -> Iterator[_Sheet]:
        for number, body in enumerate(subgraphs(node)):
            yield _Sheet(body, f"{self.key(node)}_{number}_")

    def key(self, node: Node) -> str:
        return f"{self.prefix}n{self.place[node]}"

    def looks(self) -> set[Look]:
        found = {_look(n) for n in self.graph.nodes if self.place[n] not in self.hidden}
        return found.union(*(inner.looks() for sheets in self.sheets.values() for inner in sheets))

    def boxes(self) -> Iterator[tuple[Node, list[str]]]:
        """The lines of every node: a box, or a frame around sheets."""
        for node in self.graph.nodes:
            if node in self.sheets:
                yield node, list(self._framed(node))
            elif self.place[node] not in self.hidden:
                yield node, [_box(self.key(node), _look(node), _label(node, self.names, self.inline), _tip(node, self.names))]

    def _framed(self, node: Node) -> Iterator[str]:
        """A loop or a choice. A box of its own has what no graph inside is given: which of them to take, at which size."""
        inner: list[str] = []
        if any(not target for target in self._entries(node)):
            inner.append(_box(self.key(node), _look(node), [node.op.name], _tip(node, self.names)))
        words = [word for name, value in node.attrs.items() for word in _words(name, value)]
        carries = _carries(node)
        for word, sheet in zip(words, self.sheets[node], strict=True):
            lines = [line for _, lines in sheet.boxes() for line in lines]
            for number, result in enumerate(sheet.graph.outputs):
                name = f"carry{number}" if word == "body" and number < carries else f"result {number}"
                lines.append(_box(f"{sheet.prefix}out{number}", OUTPUT, [name], str(result.type)))
            inner += lines if len(words) == 1 else _frame(sheet.prefix, word, lines)
        yield from _frame(self.key(node), _headline(node), inner)

    def _entries(self, node: Node) -> list[list[str]]:
        """For every operand of a loop or a choice the inputs inside that are given it."""
        targets: list[list[str]] = [[] for _ in node.inputs]
        for sheet in self.sheets[node]:
            leaves = sheet.graph.inputs
            for target, leaf in zip(targets[len(targets) - len(leaves) :], leaves, strict=True):
                target.append("" if sheet.place[leaf] in sheet.hidden else sheet.key(leaf))
        return targets

    def starts(self, node: Node) -> list[str]:
        """Where edges from a node begin: a result of a loop or a choice is made inside."""
        if not isinstance(node.op.lowering, Project) or node.inputs[0] not in self.sheets:
            return [self.key(node)]
        made = node.inputs[0]
        sheets = self.sheets[made][-1:] if isinstance(made.op.lowering, While) else self.sheets[made]
        return [f"{sheet.prefix}out{node.attrs['index']}" for sheet in sheets]

    def edges(self) -> Iterator[str]:
        for source, target in dict.fromkeys(self.data.edges()):
            given, node = self.graph.nodes[source], self.graph.nodes[target]
            if given in self.inline or target in self.hidden:
                continue
            if node not in self.sheets:
                label = _operands(self.data, source, target, self.hidden)
                yield from (_edge(start, self.key(node), label) for start in self.starts(given))
                continue
            entries = self._entries(node)
            ends = [end for i, n in enumerate(node.inputs) if n is given for end in entries[i] or [self.key(node)] if end]
            yield from (_edge(start, end, str(given.type)) for start in self.starts(given) for end in dict.fromkeys(ends))
        for node, sheets in self.sheets.items():
            for sheet in sheets:
                yield from sheet.edges()
                for number, result in enumerate(sheet.graph.outputs):
                    for start in sheet.starts(result):
                        yield _edge(start, f"{sheet.prefix}out{number}", str(result.type))
            for number, leaf in enumerate(sheets[-1].graph.inputs[: _carries(node)]):
                if sheets[-1].place[leaf] not in sheets[-1].hidden:
                    yield _edge(f"{sheets[-1].prefix}out{number}", sheets[-1].key(leaf), "next step", back=True)


def _carries(node: Node) -> int:
    loop = loop_of(node)
    return 0 if loop is None else loop.carries


def _words(name: str, value: Any) -> list[str]:
    """What the graphs of an attribute are called."""
    if isinstance(value, Graph):
        return [name]
    return [f"branch {i}" for i, part in enumerate(value) if isinstance(part, Graph)] if isinstance(value, tuple) else []


def _headline(node: Node) -> str:
    """A loop or a choice and what there is to say of it beside its graphs."""
    said = {key: value for key, value in sorted(node.attrs.items()) if key in ("steps", "size", "reverse") and value is not False}
    return ", ".join([node.op.name, *(f"{key}={print_attr(value)}" for key, value in said.items())])


def _operands(data: nx.MultiDiGraph, source: int, target: int, hidden: set[int]) -> str:
    """An edge's type, after the numbers of the operands it is where the reader has others."""
    edges = list(data.get_edge_data(source, target).values())
    alone = {u for u, _ in data.in_edges(target)} - hidden == {source}
    numbers = ", ".join(str(edge["operand"]) for edge in edges)
    return str(edges[0]["type"]) if alone else f"{numbers}: {edges[0]['type']}"


def _title(graph: Graph, calls: Sequence[Call]) -> str:
    count = _count(len(graph.nodes), "node")
    return f"{count} in {_count(len(calls), 'kernel')}" if calls else count


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def _inlined(graph: Graph) -> dict[Node, str]:
    """Nodes that stand as text in the label of their readers: numbers, small constants, and broadcasts of them."""
    roots = {*graph.roots, *(variable for variable, _ in graph.updates)}
    found: dict[Node, str] = {}
    for node in graph.nodes:
        if node in roots:
            continue
        if not node.inputs and "value" in node.attrs:
            text = _constant(node)
            if text is not None:
                found[node] = text
        elif node.op.name in ("broadcast_to", "reshape") and not node.inputs[0].type.shape and node.inputs[0] in found:
            found[node] = found[node.inputs[0]]
    return found


def _constant(node: Node) -> str | None:
    """A number or a small array as text, in the fewest digits that tell it from its neighbours."""
    value = node.attrs["value"]
    if isinstance(value, Dim):
        return str(value)
    if not isinstance(value, ArrayValue):
        return str(node.type.dtype.numpy.type(value))
    if value.array.size > _SMALL:
        return None
    return _brackets(value.array)


def _brackets(array: Any) -> str:
    return str(array) if array.ndim == 0 else f"[{', '.join(map(_brackets, array))}]"


def _look(node: Node) -> Look:
    if isinstance(node.op.lowering, Input):
        return INPUT
    if node.is_variable:
        return VARIABLE
    if not node.inputs and "value" in node.attrs:
        return CONSTANT
    strength = _strength(node.op.lowering)
    return Look(
        "gradient" if node.gradient else "forward", "box", (_GRADIENT if node.gradient else _FORWARD)[strength],
        _LINE[node.gradient], "rounded,filled", 1.0 + 0.5 * strength,
    )  # fmt: skip


def _strength(lowering: Lowering) -> int:
    match lowering:
        case Contraction() | Composite() | Host() | Collective() | Scan() | While() | Switch() | Sized():
            return 2
        case Reduction() | Scatter() | Prefix():
            return 1
        case Pointwise() | Leaf() | Project():
            return 0


def _label(node: Node, names: Mapping[Node, str], inline: Mapping[Node, str]) -> list[str]:
    """The lines of a node's label: name, numbers it is given, attributes that its type does not show."""
    if node.is_given:
        return [names[node]]
    if not node.inputs and "value" in node.attrs:
        return [_cut(_constant(node) or "constant"), str(node.type)]
    head = node.op.name
    if any(given in inline for given in node.inputs):
        head += f"({', '.join(inline.get(given, '·') for given in node.inputs)})"
    attrs = [f"{key}={print_attr(value)}" for key, value in sorted(node.attrs.items()) if key not in _IN_TYPE]
    return [_cut(head), *([_cut(", ".join(attrs))] if attrs else [])]


def _cut(text: str) -> str:
    return text if len(text) <= _WIDE else text[: _WIDE - 1] + "…"


def _tip(node: Node, name: Mapping[Node, str]) -> str:
    text = print_node(node, name)
    return text if node.where is None else f"{text}\n{node.where}"


def _frames(graph: Graph, calls: Sequence[Call]) -> dict[int, int]:
    """For the position of every computed node the number of its call: the first that computes it.

    A node of no kernel is computed where it is read: it stands with its first reader.
    """
    place = {node: i for i, node in enumerate(graph.nodes)}
    home: dict[int, int] = {}
    for number, call in enumerate(calls):
        for i in call.kernel.nodes:
            home.setdefault(i, number)
    free = {i for i, node in enumerate(graph.nodes) if not node.is_leaf and i not in home}
    for i in reversed(range(len(graph.nodes))):
        for given in graph.nodes[i].inputs:
            at = place[given]
            if at in free and i in home:
                home[at] = min(home[i], home.get(at, home[i]))
    return home


# --- blocks ---------------------------------------------------------------------------------------------------------


class _Blocks:
    """A graph by the user's lines: the nodes of one line are a box, those of its gradient another."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.names: dict[tuple[Look, Where | None, str], str] = {}
        self.members: dict[str, list[Node]] = {}
        self.home: dict[Node, str] = {}
        for node in graph.nodes:
            look = _look(node)
            if look.word in ("forward", "gradient"):
                look = replace(look, fill=(_GRADIENT if node.gradient else _FORWARD)[1], width=1.0)
            if look is CONSTANT:
                continue
            name = str(node.attrs["name"]) if look is INPUT else ""
            key = self.names.setdefault((look, node.where, name), f"b{len(self.names)}")
            self.members.setdefault(key, []).append(node)
            self.home[node] = key

    def draw(self) -> Iterator[str]:
        graph = self.graph
        shown = {look for look, _, _ in self.names} | ({OUTPUT} if graph.outputs else set())
        title = f"{_count(len(graph.nodes), 'node')} in {_count(len(self.names), 'block')}, one for each line"
        yield from _head(graph.name, title, shown)
        for (look, where, name), key in self.names.items():
            yield _box(key, look, self._label(look, where, name, self.members[key]), str(where or ""))
        flows: dict[tuple[str, str], dict[Node, None]] = {}
        for node, key in self.home.items():
            for given in node.inputs:
                if given in self.home and self.home[given] != key:
                    flows.setdefault((self.home[given], key), {})[given] = None
        for (source, target), values in flows.items():
            first, *more = values
            yield _edge(source, target, f"{len(values)} values" if more else str(first.type))
        for number, node in enumerate(graph.outputs):
            yield _box(f"out{number}", OUTPUT, [f"output {number}" if len(graph.outputs) > 1 else "output"], str(node.type))
            if node in self.home:
                yield _edge(self.home[node], f"out{number}", str(node.type))
        news = dict.fromkeys((self.home[node], self.home[v]) for v, node in graph.updates if node in self.home)
        yield from (_edge(source, target, "update", update=True) for source, target in news)
        yield "}"

    def _label(self, look: Look, where: Where | None, name: str, members: Sequence[Node]) -> list[str]:
        if name:
            return [name]
        if look is VARIABLE:
            names = ", ".join(str(v.attrs["name"]) for v in members)
            return [_cut(names), *([_count(len(members), "variable")] if len(members) > 1 else [])]
        if where is None:
            return [_count(len(members), "node")]
        place, _, code = str(where).partition("   ")
        short = code if len(code) <= _LINE_WIDTH else code[: _LINE_WIDTH - 1] + "…"
        return [*([short] if short else []), f"{place}, {_count(len(members), 'node')}"]


# --- programs -------------------------------------------------------------------------------------------------------

_ROLES = {"input": INPUT, "variable": VARIABLE, "constant": CONSTANT}
_KERNEL = Look("kernel", "box", _FORWARD[1], _LINE[False], "rounded,filled")


def _draw_program(program: Program) -> Iterator[str]:
    """Calls as boxes in the order they run; edges are buffers. Temporaries have no box of their own."""
    kept = sum(b.role == "temporary" for b in program.buffers.values())
    title = f"{_count(len(program.calls), 'kernel')}, {_count(kept, 'temporary buffer')}"
    boxes = {b.name: f"n{i}" for i, b in enumerate(program.buffers.values()) if b.role in _ROLES}
    shown = {_ROLES[program.buffers[name].role] for name in boxes} | {_KERNEL, OUTPUT}
    yield from _head(program.name, title, shown)
    for name, box in boxes.items():
        yield _box(box, _ROLES[program.buffers[name].role], [name], f"{written(name)}: {program.buffers[name].type}")
    writer = dict(boxes)
    for number, call in enumerate(program.calls):
        box = f"call{number}"
        yield _box(box, _KERNEL, _call_label(call), str(call.kernel))
        pairs = list(zip(call.buffers, call.kernel.params, strict=True))
        for name in dict.fromkeys(name for name, param in pairs if param.mode != "out"):
            if name in writer:
                yield _edge(writer[name], box, _buffer_label(program.buffers[name]))
        for name in dict.fromkeys(name for name, param in pairs if param.mode != "in"):
            writer[name] = box
            if name in boxes:
                yield _edge(box, boxes[name], "update", update=True)
    for variable, name in program.updates:
        yield _edge(writer[name], boxes[variable], "update", update=True)
    for number, name in enumerate(program.outputs):
        yield _box(f"out{number}", OUTPUT, [f"output {number}" if len(program.outputs) > 1 else "output"], written(name))
        if name in writer:
            yield _edge(writer[name], f"out{number}", _buffer_label(program.buffers[name]))
    yield "}"


def _call_label(call: Call) -> list[str]:
    axes = call.space if isinstance(call.kernel, Kernel) else ""
    return [call.kernel.name, *([_cut(f"parallel {axes}")] if axes else [])]


def _buffer_label(buffer: Buffer) -> str:
    slot = "" if buffer.slot is None else f" in slot {buffer.slot}"
    return f"{buffer.type}{slot}"


# --- DOT ------------------------------------------------------------------------------------------------------------


def _head(name: str, title: str, shown: set[Look]) -> Iterator[str]:
    """The opening lines: settings, the title, and a legend of what occurs."""
    order = ("input", "variable", "constant", "forward", "gradient", "kernel", "output")
    lines = {look.word: look.line for look in shown}
    legend = "   ".join(f'<FONT COLOR="{lines[word]}">&#9632; {word}</FONT>' for word in order if word in lines)
    label = f'<B>{html.escape(name)}</B>   {html.escape(title)}<BR/><FONT POINT-SIZE="10">{legend}</FONT>'
    yield f"digraph {_quoted(name)} {{"
    yield f"  graph [label=<{label}>, labelloc=t, fontname=Helvetica, fontsize=13, fontcolor=\"#333333\","
    yield '         rankdir=TB, ranksep=0.32, nodesep=0.22, bgcolor=white, pad=0.15, charset="UTF-8"]'
    yield '  node [fontname=Helvetica, fontsize=11, fontcolor="#1c1c1c", margin="0.10,0.05", height=0.32, width=0.4]'
    yield '  edge [fontname=Helvetica, fontsize=8, fontcolor="#6a6a6a", color="#8a8a8a", arrowsize=0.55]'


def _box(key: str, look: Look, label: Sequence[str], tip: str) -> str:
    return (
        f"  {key} [label={_quoted(chr(10).join(label))}, shape={look.shape}, style=\"{look.style}\", fillcolor=\"{look.fill}\", "
        f'color="{look.line}", penwidth={look.width}, tooltip={_quoted(tip)}]'
    )


def _edge(source: str, target: str, label: str, update: bool = False, back: bool = False) -> str:
    if back:
        return f"  {source} -> {target} [label={_quoted('  ' + label)}, style=dotted, constraint=false]"
    extra = f', style=dashed, constraint=false, color="{VARIABLE.line}", fontcolor="{VARIABLE.line}"' if update else ""
    return f"  {source} -> {target} [label={_quoted('  ' + label)}{extra}]"


def _frame(key: str, label: str, members: Sequence[str]) -> Iterator[str]:
    if not members:
        return
    yield f"  subgraph cluster_{key} {{"
    yield f"    graph [label={_quoted(label)}, labelloc=t, labeljust=l, fontsize=10, fontcolor=\"#707070\","
    yield '           style="rounded,filled", fillcolor="#f6f6f4", color="#b9b9b2"]'
    yield from ("  " + member for member in members)
    yield "  }"


def _quoted(text: str) -> str:
    r"""A DOT string: quotes and backslashes escaped, so that no part of it is read as an escape like \N."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


__all__ = ["mimebundle", "render_svg", "to_dot"]
