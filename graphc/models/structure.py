"""A model's structure as data: layers by class and options, and what leads from one to the other as graph text.

A model of symbols is its layers, the order of their calls, and a graph: its inputs are the model's inputs and what the calls
gave, its outputs what the calls are given, and the model's outputs. Such a graph prints, and its text parses back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import graphc as gx
from graphc import Tensor
from graphc.layers.config import from_data, to_data
from graphc.layers.layer import Layer, flat, source_of

Data = dict[str, Any]


def described(inputs: Any, outputs: Any, names: dict[str, Layer]) -> Data:
    """The structure of a model of symbols; `names` has its layers."""
    calls = calls_between(flat(inputs), flat(outputs))
    keys = {id(layer): key for key, layer in names.items()}
    wires: dict[gx.ir.Node, Tensor] = {x: x for x in flat(inputs)}
    leaves: list[Tensor] = list(flat(inputs))
    listed, needed = [], []
    for number, (source, made) in enumerate(calls):
        given = flat([*source.inputs, dict(source.options)])
        needed += given
        listed.append({
            "layer": keys[id(source.layer)], "inputs": _numbered(list(source.inputs), given), "made": sorted(made),
            "options": _numbered(dict(source.options), given),
        })  # fmt: skip
        for place, x in sorted(made.items()):
            wires[x] = gx.placeholder(f"call{number}.{place}", x.shape, x.dtype)
            leaves.append(wires[x])
    results = flat(outputs)
    graph = gx.ir.Graph(leaves, tuple(_cut([*needed, *results], wires)), name="wiring")
    return {
        "layers": {key: to_data(layer) for key, layer in names.items()}, "calls": listed, "wiring": str(graph),
        "inputs": _numbered(inputs, flat(inputs)), "outputs": _numbered(outputs, results), "count": len(flat(inputs)),
    }  # fmt: skip


def restored(data: Data) -> tuple[Any, Any]:
    """Inputs and outputs of the model that `described` gave."""
    layers: dict[str, Layer] = {key: from_data(layer) for key, layer in data["layers"].items()}
    graph = gx.ir.parse(data["wiring"])
    assert isinstance(graph, gx.ir.Graph)
    inputs = list(graph.inputs[: data["count"]])
    known: dict[gx.ir.Node, Any] = {x: x for x in inputs}
    waiting, leaves = iter(graph.outputs), iter(graph.inputs[data["count"] :])
    for call in data["calls"]:
        count = _count(call["inputs"]) + _count(call["options"])
        given = _with([next(waiting) for _ in range(count)], known)
        layer = layers[call["layer"]]
        made = flat(layer(*_filled(call["inputs"], given), **_filled(call["options"], given)))
        for place in call["made"]:
            known[next(leaves)] = made[place]
    results = _with(list(waiting), known)
    return _filled(data["inputs"], inputs), _filled(data["outputs"], results)


def calls_between(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> list[tuple[Any, dict[int, Tensor]]]:
    """The calls that lead to the outputs, in their order, each with those of its symbols that are read."""
    found: dict[int, tuple[Any, dict[int, Tensor]]] = {}
    seen: set[gx.ir.Node] = set(inputs)
    todo: list[gx.ir.Node] = list(outputs)
    while todo:
        node = todo.pop()
        if node in seen:
            continue
        seen.add(node)
        source = source_of(node) if isinstance(node, Tensor) else None
        if source is None:
            if node.op.name == "input":
                raise gx.errors.InputError(
                    f"the outputs need {node!r}, which is none of the model's inputs", where=node.where,
                    hint="give it among the inputs",
                )  # fmt: skip
            todo += node.inputs
            continue
        assert isinstance(node, Tensor)
        found.setdefault(source.turn, (source, {}))[1][source.number] = node
        todo += flat([*source.inputs, dict(source.options)])
    return [found[turn] for turn in sorted(found)]


def _cut(wanted: list[Tensor], wires: dict[gx.ir.Node, Tensor]) -> list[gx.ir.Node]:
    """Symbols with what layers gave replaced by inputs."""
    made: dict[gx.ir.Node, gx.ir.Node] = dict(wires)

    def change(node: gx.ir.Node, inputs: tuple[gx.ir.Node, ...]) -> gx.ir.Node:
        if isinstance(node, gx.Variable):
            raise gx.errors.InputError(
                f"the model reads the variable {node.name} outside of its layers, so a file cannot hold it",
                where=node.where, hint="let a layer own it",
            )  # fmt: skip
        return gx.ir.graph.on_inputs(node, inputs)

    return gx.ir.graph.substitute(wanted, made, change)


def _with(wanted: list[Any], known: dict[gx.ir.Node, Any]) -> list[Any]:
    """Parts of the wiring with its inputs replaced."""
    graph = gx.ir.Graph((), tuple(wanted))
    return list(gx.extend.rebuild(graph, lambda node: known.get(node, node)).outputs)


def _numbered(tree: Any, given: list[Tensor]) -> Any:
    """Nested symbols as data: each by its number among `given`."""
    if isinstance(tree, Tensor):
        return {"symbol": next(i for i, x in enumerate(given) if x is tree)}
    if isinstance(tree, dict):
        return {"items": [[key, _numbered(v, given)] for key, v in tree.items()]}
    if isinstance(tree, (list, tuple)):
        return {type(tree).__name__: [_numbered(v, given) for v in tree]}
    return {"value": to_data(tree)}


def _filled(data: Any, given: list[Any]) -> Any:
    match data:
        case {"symbol": number}:
            return given[number]
        case {"items": items}:
            return {key: _filled(v, given) for key, v in items}
        case {"list": parts}:
            return [_filled(v, given) for v in parts]
        case {"tuple": parts}:
            return tuple(_filled(v, given) for v in parts)
    return from_data(data["value"])


def _count(data: Any) -> int:
    """How many symbols stand in nested data."""
    match data:
        case {"symbol": _}:
            return 1
        case {"items": items}:
            return sum(_count(v) for _, v in items)
        case {"list": parts} | {"tuple": parts}:
            return sum(map(_count, parts))
    return 0
