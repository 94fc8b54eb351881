"""Every pass on graphs and programs written as text: `tests/cases/<pass>.gir`.

    # title: what happens, or the name of the rule that makes it happen
    graph before(...) { ... }
    =>
    graph before(...) { ... }

A case is right when the pass makes the second text of the first, both texts read back as themselves, and both graphs compute
the same bits, over special and random values and sizes 0, 1, 2 and 5. `pytest --update` writes the second text anew, if it
computes the same. A line `# with n=4` below the title is for infer_shapes, `# with gradient=4` for rematerialize: the gradient's
nodes are those from %4 on.

The passes of LOWERING make programs of graphs, or change programs: the program interpreter runs those. What rounds otherwise than
before (sums in another order, functions by other formulas) is compared within a bound, on numbers that do not cancel.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from values import Array, arguments, bindings, draw, positive, run, same_bits

import graphc as gx
from graphc.backends.program import evaluate_program
from graphc.ir import Graph, Program, parse, types
from graphc.ir.dims import evaluate
from graphc.ir.graph import Node, origin
from graphc.ir.operation import VOCABULARY
from graphc.ir.rewrite import Rule, rewrite
from graphc.ir.text import names_of
from graphc.ir.verify import verify
from graphc.ir.verify_program import verify_program
from graphc.passes.simplify import FAST, RULES

CASES = Path(__file__).parent / "cases"
DRAWS = 12
# After these results may differ in their last digits.
FINITE = ("differentiate", "bound_masks")  # what is masked, or cancels, is to be finite
ROUNDS = ("simplify_fast", "fold_quantized", "fuse", "split_reductions", "expand_math")
Stage = Graph | Program


@dataclass(frozen=True)
class Case:
    file: str
    title: str
    options: str
    before: str
    after: str

    @property
    def rule(self) -> str:
        return self.title.split(":")[0]


def read(path: Path) -> list[Case]:
    """The cases of a file. A title starts in the first column with `# `."""
    found = []
    for part in re.split(r"^# (?!with )", path.read_text(), flags=re.MULTILINE)[1:]:
        title, rest = part.split("\n", 1)
        options = ""
        if rest.startswith("# with "):
            options, rest = rest.removeprefix("# with ").split("\n", 1)
        before, _, after = rest.partition("\n=>\n")
        found.append(Case(path.stem, title, options, before.strip(), after.strip()))
    return found


def write(path: Path, cases: list[Case]) -> None:
    parts = [f"# {c.title}\n{f'# with {c.options}' + chr(10) if c.options else ''}{c.before}\n=>\n{c.after}\n" for c in cases]
    path.write_text("\n".join(parts))


ALL = [case for path in sorted(CASES.glob("*.gir")) for case in read(path)]


def differentiate(graph: Graph) -> Graph:
    """The outputs, then the gradient of the first by every input that is a float."""
    wrt = [x for x in graph.inputs if x.type.dtype.is_float]
    return Graph(graph.inputs, (*graph.outputs, *gx.grad(graph.outputs[0], wrt, unconnected="zero")), graph.updates, graph.name)


def rematerialize(graph: Graph, first: int) -> Graph:
    """The pass, on a graph whose nodes from number `first` on belong to its gradient."""
    new: dict[Node, Node] = {}
    for node, name in names_of(graph).items():
        with origin(node.where, gradient=name.isdigit() and int(name) >= first):
            new[node] = node if node.is_leaf else node.op(*(new[i] for i in node.inputs), **node.attrs)
    return gx.passes.rematerialize(graph.replaced(new))


def default(graph: Graph) -> Graph:
    for change in gx.passes.DEFAULT:
        graph = change(graph)
    return graph


def change_of(case: Case) -> Callable[[Any], Stage]:
    if case.file == "infer_shapes":
        return functools.partial(gx.passes.infer_shapes, sizes=given(case))
    if case.file == "rematerialize":
        return functools.partial(rematerialize, first=int(given(case)["gradient"]))
    passes: dict[str, Callable[[Any], Stage]] = {"differentiate": differentiate, "default": default}
    return passes.get(case.file) or getattr(gx.passes, case.file)  # type: ignore[no-any-return]


def sound(stage: Stage) -> Stage:
    return verify(stage) if isinstance(stage, Graph) else verify_program(stage)


def apply(case: Case, text: str) -> tuple[Stage, Stage]:
    before = sound(parse(text))
    return before, sound(change_of(case)(before))


def leaves(stage: Stage) -> Graph:
    """A graph of the same inputs and variables, which gives them back: for what is drawn of types."""
    if isinstance(stage, Graph):
        return stage
    inputs = [gx.placeholder(name, stage.buffers[name].type.shape, stage.buffers[name].type.dtype) for name in stage.inputs]
    state = [VOCABULARY["variable"](name=b.name, dtype=b.type.dtype, shape=b.type.shape)
             for b in stage.buffers.values() if b.role == "variable"]  # fmt: skip
    return Graph(inputs, [*inputs, *state])


def run_stage(stage: Stage, arrays: list[Array], state: dict[str, Array], sizes: dict[str, int]) -> list[Array]:
    """The outputs of a graph or a program, then what its variables hold."""
    if isinstance(stage, Graph):
        return run(stage, arrays, state, sizes)
    outputs, found = evaluate_program(stage, arrays, sizes, state)
    return [*outputs, *(found[name] for name in sorted(found))]


def check_values(case: Case, before: Stage, after: Stage) -> int:
    """How many elements were compared."""
    rng = np.random.default_rng(zlib.crc32(case.title.encode()))
    values = positive if case.file in (*ROUNDS, *FINITE) else draw
    compared = 0
    for sizes in bindings(leaves(after if case.file == "infer_shapes" else before)):
        told = given(case) if case.file == "infer_shapes" else {}
        known = {**sizes, **{name: evaluate(gx.dim(text), sizes) for name, text in told.items()}}
        for _ in range(DRAWS):
            arrays, state = arguments(leaves(before), known, rng, values)
            wanted = run_stage(before, arrays, state, known)
            found = run_stage(after, arrays, state, known)
            for want, got in zip(wanted, found, strict=case.file != "differentiate"):
                if case.file in ROUNDS:
                    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
                else:
                    assert same_bits(want, got), f"{case.title}: {sizes}\n{arrays}\n{want}\n{got}\n{after}"
                compared += want.size
            if case.file == "differentiate":
                check_gradient(before, after, arrays, state, known)
    return compared


def given(case: Case) -> dict[str, str]:
    """What a case is with: sizes for infer_shapes, the first node of the gradient for rematerialize."""
    return dict(option.strip().split("=") for option in case.options.split(",") if option)


def check_gradient(before: Graph, after: Graph, arrays: list[Array], state: dict[str, Array], sizes: dict[str, int]) -> None:
    """The gradient along a random direction against the central difference."""
    rng = np.random.default_rng(1)
    floats = [i for i, a in enumerate(arrays) if a.dtype.kind == "f"]
    step = {i: rng.normal(size=arrays[i].shape) for i in floats}
    ends = [run(before, [a + s * h * step[i] if i in step else a for i, a in enumerate(arrays)], state, sizes)[0]
            for s, h in ((1, 1e-6), (-1, 1e-6))]  # fmt: skip
    gradients = run(after, arrays, state, sizes)[len(before.outputs) :]
    slope = sum(float(np.sum(g * step[i])) for i, g in zip(floats, gradients, strict=True))
    np.testing.assert_allclose(slope, (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("case", ALL, ids=lambda c: f"{c.file}-{c.title.replace(' ', '_')}")
def test_case(case: Case, update: bool) -> None:
    before, after = apply(case, case.before)
    assert check_values(case, before, after) > 0, "nothing was compared"
    written = case.before if case.file == "eliminate_dead" else str(before)  # what is dead is not printed
    if update and (written, str(after)) != (case.before, case.after):
        path = CASES / f"{case.file}.gir"
        new = Case(case.file, case.title, case.options, written, str(after))
        write(path, [new if c.title == case.title else c for c in read(path)])
    else:
        assert written == case.before
        assert str(after) == case.after
        assert str(parse(case.after)) == case.after


SIMPLIFY = [case for case in ALL if case.file == "simplify"]


@pytest.mark.parametrize("case", SIMPLIFY, ids=lambda c: c.title.replace(" ", "_"))
def test_case_in_every_type(case: Case) -> None:
    """A rule is true in each type that its pattern fits, not only in the one its case is written in."""
    first = re.search(r": (\w+)\[", case.before)
    assert first is not None
    short, name = first.group(1), types.as_dtype(first.group(1)).name
    for dtype in types.DTYPES:
        text = re.sub(rf"\b{short}\[", f"{dtype.short}[", case.before).replace(f"dtype={name}", f"dtype={dtype.name}")
        try:
            before, after = apply(case, text)
            sizes = next(bindings(before))
            run(before, *arguments(before, sizes, np.random.default_rng(0)), sizes)
        except (gx.GraphError, OverflowError, StopIteration):
            continue  # the operations do not take this type, or the numbers do not fit it
        check_values(case, before, after)


@pytest.mark.parametrize("name", ["simplify", "simplify_fast"])
def test_every_rule_fires_in_the_case_of_its_name(name: str) -> None:
    rules: tuple[Rule, ...] = RULES if name == "simplify" else FAST
    tried = (*RULES, *FAST) if name == "simplify_fast" else RULES
    silent = {rule.name for rule in rules}
    for case in ALL:
        if case.file == name:
            fired: Counter[str] = Counter()
            rewrite(parse(case.before), tried, fired)
            assert case.rule not in silent or fired[case.rule], f"{case.rule} does not fire in its case"
            silent -= fired.keys() & {case.rule}
    assert not silent, f"rules without a case: {sorted(silent)}"


def test_titles_are_unique() -> None:
    for (file, title), count in Counter((c.file, c.title) for c in ALL).items():
        assert count == 1, f"{file}.gir: two cases are called {title!r}"
