"""Every pass on graphs written as text: `tests/cases/<pass>.gir`.

    # title: what happens, or the name of the rule that makes it happen
    graph before(...) { ... }
    =>
    graph before(...) { ... }

A case is right when the pass makes the second text of the first, both texts read back as themselves, and both graphs compute
the same bits, over special and random values and sizes 0, 1, 2 and 5. `pytest --update` writes the second text anew, if it
computes the same. A line `# with n=4` below the title is for infer_shapes.
"""

from __future__ import annotations

import functools
import re
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from values import Array, arguments, bindings, draw, positive, run, same_bits

import graphc as gx
from graphc.ir import Graph, parse, types
from graphc.ir.dims import evaluate
from graphc.ir.rewrite import Rule, rewrite
from graphc.ir.text import print_graph
from graphc.ir.verify import verify
from graphc.passes.simplify import FAST, RULES

CASES = Path(__file__).parent / "cases"
DRAWS = 12


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


def default(graph: Graph) -> Graph:
    for change in gx.passes.DEFAULT:
        graph = change(graph)
    return graph


def change_of(case: Case) -> Callable[[Graph], Graph]:
    if case.file == "infer_shapes":
        return functools.partial(gx.passes.infer_shapes, sizes=given(case))
    passes: dict[str, Callable[[Graph], Graph]] = {"differentiate": differentiate, "default": default}
    return passes.get(case.file) or getattr(gx.passes, case.file)  # type: ignore[no-any-return]


def apply(case: Case, text: str) -> tuple[Graph, Graph]:
    before = verify(parse(text))
    return before, verify(change_of(case)(before))


def check_values(case: Case, before: Graph, after: Graph) -> int:
    """How many elements were compared."""
    rng = np.random.default_rng(zlib.crc32(case.title.encode()))
    values = positive if case.file in ("simplify_fast", "differentiate") else draw
    compared = 0
    for sizes in bindings(after if case.file == "infer_shapes" else before):
        known = {**sizes, **{name: evaluate(gx.dim(text), sizes) for name, text in given(case).items()}}
        for _ in range(DRAWS):
            arrays, state = arguments(before, known, rng, values)
            wanted = run(before, arrays, state, known)
            found = run(after, arrays, state, known)
            for want, got in zip(wanted, found, strict=case.file != "differentiate"):
                if case.file == "simplify_fast":
                    np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
                else:
                    assert same_bits(want, got), f"{case.title}: {sizes}\n{arrays}\n{want}\n{got}\n{after}"
                compared += want.size
            if case.file == "differentiate":
                check_gradient(before, after, arrays, state, known)
    return compared


def given(case: Case) -> dict[str, str]:
    """The sizes of a case for infer_shapes."""
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
        assert print_graph(parse(case.after)) == case.after


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
