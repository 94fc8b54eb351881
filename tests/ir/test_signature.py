"""The signature of a program: how sizes are solved, what is required, and that nothing else is needed to run a program."""

from __future__ import annotations

import operator
import random
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from values import Array

import graphc as gx
from graphc.backends import load_backend
from graphc.backends.program import evaluate_program
from graphc.errors import GraphError, ShapeError
from graphc.ir import dims, parse
from graphc.ir.dims import dim
from graphc.ir.signature import Argument, Signature, SizeRule, signature_of, size_rules
from graphc.ir.verify_program import verify_program


def signed(**shapes: tuple[object, ...]) -> Signature:
    inputs = tuple(Argument(name, gx.placeholder(name, shape).type) for name, shape in shapes.items())
    return Signature(inputs, sizes=size_rules(inputs))


@pytest.mark.parametrize("seed", range(3))
def test_linear_sizes_give_back_their_names(seed: int) -> None:
    """What they do not tell is left out."""
    rng = random.Random(seed)
    for _ in range(100):
        env = {name: rng.randint(0, 9) for name in "abc"}
        a, b, c = map(dims.symbol, "abc")
        sizes = [dims.add(dims.mul(a, rng.randint(1, 3)), 3)]
        sizes.append(dims.add(dims.mul(b, rng.randint(1, 3)), dims.mul(a, rng.randint(0, 2))))
        if rng.random() < 0.5:
            sizes.append(dims.floordiv(c, 2))
        rng.shuffle(sizes)
        x = signed(x=tuple(sizes))
        assert x.solve([tuple(dims.evaluate(s, env) for s in sizes)]) == {"a": env["a"], "b": env["b"]}
        assert {rule.name for rule in x.sizes} == {"a", "b"}


def test_no_size_is_negative_or_broken() -> None:
    assert signed(x=("2*n",)).solve([(5,)]) == {}
    assert signed(x=("n+3",)).solve([(1,)]) == {}
    assert signed(x=("n*n",)).sizes == ()
    assert signed(x=("n+m", "2*n")).solve([(7, 8)]) == {"n": 4, "m": 3}


def test_a_factor_of_zero_tells_nothing_and_another_axis_is_asked() -> None:
    both = signed(x=("n", "n*m"), y=("n*m+m",))
    assert [(r.name, r.input, r.axis) for r in both.sizes] == [("n", "x", 0), ("m", "x", 1), ("m", "y", 0)]
    assert both.solve([(2, 6), (9,)]) == {"n": 2, "m": 3}
    assert both.solve([(0, 0), (3,)]) == {"n": 0, "m": 3}
    assert signed(x=("n", "n*m")).solve([(0, 0)]) == {"n": 0}
    assert signed(x=("m+k", "n", "n*m"), y=("m+1",)).solve([(7, 2, 8), (5,)]) == {"m": 4, "n": 2, "k": 3}


def test_what_is_known_of_every_size_is_not_required() -> None:
    x, y = gx.placeholder("x", ("n+1", 3)), gx.placeholder("y", ("m", 3))
    asked = gx.compile([x, y], [gx.max(x, axis=0), gx.max(y, axis=0)], backend="interpreter").signature.requirements
    assert [(r.left, r.relation, r.right) for r in asked] == [(dim("m"), ">=", 1)]


def test_sizes_and_requirements_are_those_of_the_graph_as_declared() -> None:
    """Passes drop what they make needless, and may know sizes: a call is checked as its graph was written."""
    x, y = gx.placeholder("x", ("n", "m")), gx.placeholder("y", ("m",))
    out = gx.sum(y) + 0 * gx.max(gx.zeros_like(x))
    f = gx.compile([x, y], out, passes=(gx.passes.specialize(m=2), *gx.passes.DEFAULT))
    signature = f.program.signature
    assert [str(a.type) for a in signature.inputs] == ["f32[n, 2]", "f32[2]"]
    assert {r.name for r in signature.sizes} == {"n", "m"}
    assert [str(r.left) for r in signature.requirements] == ["n", "m"]
    assert signature.bind([(3, 2), (2,)]) == {"n": 3, "m": 2}
    with pytest.raises(ShapeError, match="max over an empty axis"):
        f(np.zeros((0, 2), "float32"), np.zeros(2, "float32"))
    with pytest.raises(ShapeError, match="axis 1 is 3, but it must be 2"):
        f(np.zeros((1, 3), "float32"), np.zeros(3, "float32"))


def broken(**changes: object) -> str:
    x, w = gx.placeholder("x", ("n",)), gx.variable(np.float32(1), name="w")
    program = gx.compile([x], x * w, updates={w: w + 1}, backend="program").program
    verify_program(program)
    with pytest.raises(GraphError) as error:
        verify_program(replace(program, signature=replace(program.signature, **changes)))  # type: ignore[arg-type]
    return str(error.value)


def test_a_signature_that_is_not_that_of_the_buffers() -> None:
    x = gx.placeholder("x", ("n", 2)).type
    assert "the signature does not have the input %x once" in broken(inputs=(), sizes=())
    assert "the signature does not have the variable %w once" in broken(variables=())
    assert "%x is f32[n, 2] in the signature, and f32[n] as a buffer" in broken(inputs=(Argument("x", x),))
    assert "there is no buffer %z" in broken(outputs=(Argument("z", x),))
    assert "is told by axis 1 of %x, which no input has" in broken(sizes=(SizeRule("n", "x", 1, dim("n")),))
    assert "is told by axis 0 of %w, which no input has" in broken(sizes=(SizeRule("n", "w", 0, dim("n")),))


# --- a runtime that knows nothing but a program's text ----------------------------------------------------------------


class Runtime:
    """Runs the text of a program, over arrays that were saved: by its signature and the statements of its kernels alone."""

    def __init__(self, text: str, saved: Mapping[str, Array]) -> None:
        self.program = parse(text)
        self.signature = self.program.signature
        self.state = {v.name: saved[v.initial] for v in self.signature.variables}

    def __call__(self, *arrays: Array) -> list[Array]:
        sizes = self.sizes(dict(zip((x.name for x in self.signature.inputs), arrays, strict=True)))
        results, state = evaluate_program(self.program, arrays, sizes, self.state)
        self.state = {name: state[name] for name in self.state}
        return results

    def sizes(self, given: Mapping[str, Array]) -> dict[str, int]:
        known: dict[str, int] = {}
        for rule in self.signature.sizes:  # a line through two points
            first, second = (dims.evaluate(rule.size, {**known, rule.name: n}) for n in (0, 1))
            if rule.name not in known and first != second:
                known[rule.name] = (given[rule.input].shape[rule.axis] - first) // (second - first)
        for x in self.signature.inputs:
            if given[x.name].dtype != x.type.dtype.numpy:
                raise ValueError(f"{x.name} is not {x.type.dtype}")
            if given[x.name].shape != tuple(dims.evaluate(n, known) for n in x.type.shape):
                raise ValueError(f"{x.name} does not fit {x.type}")
        for r in self.signature.requirements:
            holds = {"==": operator.eq, ">=": operator.ge}[r.relation]
            if not holds(dims.evaluate(r.left, known), dims.evaluate(r.right, known)):
                raise ValueError(r.message)
        return known


def test_a_runtime_needs_the_signature_alone() -> None:
    """Sizes by a line, requirements, variables of one name, an exchange of memories, random numbers: two calls, as compiled."""
    x, y = gx.placeholder("x", ("n", "2*m+1"), "float64"), gx.placeholder("y", ("n",), "float64")
    a, b = gx.variable(np.zeros(3), name="w"), gx.variable(np.ones(3), name="w")
    noise = gx.random.uniform(gx.random.Stream(7), (3,), dtype="float64")
    rows = gx.reshape(x, ("n//2", "4*m+2"))
    outputs = [gx.max(x), gx.sum(y) * a, gx.sum(rows, axis=1), gx.max(x)]
    f = gx.compile([x, y], outputs, updates={a: b + gx.sum(x) + noise, b: a * 2})
    text = str(f.program)
    run = Runtime(text, {name: v.value for name, v in f.variables.items()})
    assert len(run.signature.updates) == 1, "the new values of two variables from each other: one changes its memory's place"
    assert run.signature.outputs[0] == run.signature.outputs[3]
    rng = np.random.default_rng(0)
    for n, m in ((2, 1), (4, 0)):
        arrays = rng.normal(size=(n, 2 * m + 1)), rng.normal(size=n)
        for got, want in zip(run(*arrays), f(*arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)
        for v in run.signature.variables:
            np.testing.assert_allclose(run.state[v.name], f.variables[v.initial].value, rtol=1e-12)
    for bad in ((np.zeros((3, 1)), np.zeros(3)), (np.zeros((0, 1)), np.zeros(0)), (np.zeros((2, 2)), np.zeros(2))):
        with pytest.raises(ValueError, match=r"reshape|max over|does not fit"):
            run(*bad)
        with pytest.raises(ShapeError):
            f(*bad)


def test_a_program_holds_no_variable() -> None:
    """One program over the memory of two sets of variables: what one writes the other does not see."""
    x, w = gx.placeholder("x", (2,), "float64"), gx.variable([1.0, 2.0], name="w")
    v = gx.variable(np.zeros((2, 2)), name="v")  # its new value is from the old one of all: it has a second memory
    program = gx.compile([x], x + w, updates={w: w + x, v: v @ v + x}).program
    assert all(b.value is None for b in program.buffers.values() if b.role in ("variable", "next"))
    for name in ("llvm", "program"):
        runs, held = [], []
        for start in (1.0, 5.0):
            held.append({"w": gx.variable(np.full(2, start)), "v": gx.variable(np.full((2, 2), start))})
            runs.append(load_backend(name).build(program, held[-1]))
        for _ in range(2):
            assert [run.run([np.ones(2)], {}, ())[0][0] for run in runs] == [h["w"].value[0] for h in held], "the old value and 1"
        assert [float(h["v"].value[0, 0]) for h in held] == [19.0, 5203.0], name  # 2 v^2 + 1, twice


def test_a_first_value_is_called_as_in_a_file_though_the_text_has_another_name() -> None:
    """Here because an input has the variable's name; the text says both, and reads back."""
    x, w = gx.placeholder("w", ("n",)), gx.variable(np.float32(3), name="w")
    f = gx.compile([x], x * w, backend="program")
    assert 'variable %w_1: f32[] from "w"' in str(f.program)
    signature = f.program.signature
    assert parse(str(f.program)).signature == signature == replace(signature_of(f.graph), outputs=signature.outputs)
    assert Runtime(str(f.program), {"w": f.variables["w"].value})(np.ones(2, "float32"))[0].tolist() == [3.0, 3.0]
