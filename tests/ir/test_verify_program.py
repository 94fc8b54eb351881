"""Every rule of verify_program has a program that breaks it; texts of programs read back; bad texts say where they are bad."""

from __future__ import annotations

import numpy as np
import pytest

import graphc as gx
from graphc.errors import GraphError, ParseError
from graphc.ir import parse
from graphc.ir.program import Steps
from graphc.ir.verify_program import verify_kernel, verify_program
from graphc.passes.lowering import steps

SOUND = """program steps {
  input %x: f32[n, 4]
  size n: axis 0 of %x is n
  constant %c: f32[4] = [1.0, 2.0, 3.0, 4.0]
  variable %"w:0": f32[4]
  next %5: f32[4]
  temporary %1: f32[n] slot 0
  temporary %2: f32[n] slot 1
  temporary %3: f32[n] slot 0
  output %y: f32[n]
  arena [4*n, 4*n] bytes
  %1 = k0(%x, %c)
  %2 = k1(%1)
  %3 = k1(%2)
  %y = k1(%3)
  %5 = k2(%x, %"w:0")
  update %"w:0" = %5
  return %y
}

kernel k0(%x0: f32[n, 4], %x1: f32[4]) -> %y0: f32[n] {
  parallel i < n {
    scratch %s0: f32[4]
    %0 = init add : f32
    for j < 4 {
      %1 = load %x0[i, j]
      %2 = load %x1[j]
      %3 = mul(%1, %2)
      store %s0[j], %3
      %0 = reduce add(%0, %3)
    }
    for j in 1 .. 4 {
      %4 = load %s0[j-1]
      %0 = reduce add(%0, %4)
    }
    %5 = join add(%s0)
    %0 = reduce add(%0, %5)
    store %y0[i], %0
  }
}

kernel k1(%x0: f32[n]) -> %y0: f32[n] {
  parallel i < n {
    %0 = load %x0[i]
    %1 = index(i)
    %2 = gt(%1, 2)
    %3 = select(%2, %0, 1.0)
    store %y0[i], %3
  }
}

kernel k2(%x0: f32[n, 4], %x1: f32[4]) -> %y0: f32[4] {
  parallel m < 4 {
    contract m_ in m .. m+1, n_ < 1, k < n {
      left {
        %0 = load %x0[k, m_]
        %0
      }
      right {
        1.0: f32
      }
      epilogue %1: f32 {
        %2 = load %x1[m_]
        %3 = add(%1, %2)
        store %y0[m_], %3
      }
    }
  }
}"""

BROKEN = [
    # rule 1
    ("output %y: f32[n]", "output %y: f64[n]", "is called with %y: f64[n]", None),
    ("%2 = k1(%1)", "%5 = k1(%1)", "is called with %5: f32[4]", ("n", "3")),
    # rule 2
    ("  %2 = k1(%1)\n", "", "reads %2, which no call before it writes", None),
    ("  %y = k1(%3)\n", "", "no call writes the output %y", None),
    # rule 3
    ("  %3 = k1(%2)", "  %c, %3 = k1(%2)", "reads 1 buffers and writes 1", None),
    ("%5 = k2(%x, %\"w:0\")", "%c = k2(%x, %\"w:0\")", "writes the constant %c", None),
    # rule 4
    ("%2: f32[n] slot 1", "%2: f32[n] slot 0", "%1 and %2 live in slot 0 at the same time", None),
    ("arena [4*n, 4*n]", "arena [4*n-1, 4*n]", "is more than slot 0", None),
    ("%2: f32[n] slot 1", "%2: f32[n] slot 7", "there is no slot 7", None),
    ("%2: f32[n] slot 1", "%2: f32[n]", "%2 has no slot", None),
    # rule 5
    ("update %\"w:0\" = %5", "update %\"w:0\" = %y", "the new value of %\"w:0\": f32[4] is %y", None),
    ("update %\"w:0\" = %5", "update %c = %5", "is no variable", None),
    ("update %\"w:0\" = %5", "update %\"w:0\" = %5\n  update %\"w:0\" = %5", "updated already", None),
    # rule 7
    ("  size n: axis 0 of %x is n\n", "", "no rule tells the size n of %x: f32[n, 4]", None),
    ("axis 0 of %x is n", "axis 2 of %x is n", "the size n is told by axis 2 of %x, which no input has", None),
    ("axis 0 of %x is n", "axis 0 of %x is n*n", "the size n does not follow from n*n", None),
    ("axis 0 of %x is n", "axis 0 of %x is n+m", "no rule tells the size m of the size n", None),
    ("axis 0 of %x is n", 'axis 0 of %x is n\n  require n >= m, "too few"', "the size m of the requirement n >= m", None),
    # rule 8
    ("      %0 = reduce add(%0, %4)\n", "      %0 = reduce add(%0, %3)\n", "%3 is not defined where it is used", None),
    ("      %3 = mul(%1, %2)", "      %1 = mul(%1, %2)\n      %3 = mul(%1, %2)", "%1 is defined twice", None),
    ("for j in 1 .. 4", "for i in 1 .. 4", "i has another meaning", None),
    ("store %y0[m_], %3", "store %y0[k], %3", "k in an index is neither a size nor the variable", None),
    ("%1 = index(i)", "%1 = index(%0)", "%0 in an index is no int64", None),
    # rule 9
    ("%2 = gt(%1, 2)", "%2 = add(%1, 2)", "%2 is int64 where bool is wanted", None),
    ("%2 = gt(%1, 2)", "%2 = gt(%1, 2: i32)", "2 is int32 where int64 is wanted", None),
    ("select(%2, %0, 1.0)\n    store %y0[i], %3", "add(%0, 1.0)\n    store %y0[i], %1", "%1 is int64 where float32", None),
    # rule 10
    ("%4 = load %s0[j-1]", "%4 = load %s0[j-2]", "j-2 is not inside an axis of 4", None),
    ("%4 = load %s0[j-1]", "%4 = load %s0[j+1]", "j+1 is not inside an axis of 4", None),
    ("%4 = load %s0[j-1]", "%4 = load %s0[j-1, 0]", "has 1 axes, and an index of 2 parts", None),
    # rule 11
    ("    store %y0[i], %0\n", "    store %y0[0], %0\n", "all iterations of i store into the same elements of %y0", None),
    ("    store %y0[i], %0\n", "    store %x0[i, 0], %0\n", "stores into %x0, which it only reads", None),
    # rule 12
    ("      %0 = reduce add(%0, %4)\n", "      %0 = reduce mul(%0, %4)\n", "is started as add, and continued as mul", None),
    ("n_ < 1, k < n {", "n_ < 1, k < n by 16 from 2 {", "runs are counted from 2, and k < n starts before that", None),
    ("n_ < 1, k < n {", "n_ < 1, k < n by 16 from o {", "o in an index is neither a size nor", None),
    ("n_ < 1, k < n {", "n_ < 1, k < n by 513 {", "runs of 513 are not between 1 and 512", None),
    ("join add(%s0)", "join add(%x1)", "%x1 is joined, and is no scratch", None),
    ("scratch %s0: f32[4]", "scratch %s0: f32[5]", "whose length is a power of 2", None),
    ("join add(%s0)", "join argmax(%s0)", "%5 is argmax of float32, and joins float32", None),
    ("    %5 = join add(%s0)\n", "    %5 = join add(%s0)\n" * 2, "%5 is defined twice", None),
]


def test_a_sound_program_is_one() -> None:
    program = parse(SOUND)
    assert str(program) == SOUND
    assert verify_program(program) is program


@pytest.mark.parametrize(("old", "new", "message", "instead"), BROKEN, ids=[f"{i}-{b[2]}" for i, b in enumerate(BROKEN)])
def test_a_program_that_breaks_a_rule(old: str, new: str, message: str, instead: tuple[str, str] | None) -> None:
    assert SOUND.count(old) == 1, old
    text = SOUND.replace(old, new)
    if instead is not None:
        text = text.replace(f"f32[{instead[0]}]", f"f32[{instead[1]}]").replace("4*n", "12").replace("i < n", "i < 3")
    with pytest.raises(GraphError) as error:
        verify_program(parse(text))
    assert message in str(error.value)


def test_a_call_has_the_kernels_parameters() -> None:
    program = parse(SOUND)
    call = program.calls[0]
    object.__setattr__(call, "buffers", call.buffers[:2])
    with pytest.raises(GraphError, match="has 3 parameters, and is called with 2"):
        verify_program(program)


def test_two_buffers_of_a_kernel_with_one_name() -> None:
    with pytest.raises(GraphError, match="two of its buffers have one name"):
        verify_kernel(parse("kernel k(%x: f32[3]) -> %y: f32[3] {\n  scratch %x: f32[2]\n}"))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("%1 = k0(%x, %c)", "%1 = k9(%x, %c)", "line 12, column 8: there is no kernel k9"),
        ("%1 = k0(%x, %c)", "%1 = k0(%z, %c)", "line 12, column 11: buffer %z is not defined"),
        ("  temporary %2", "  temporary %1", "buffer %1 is defined twice"),
        ("  next %5", "  late %5", "'late' is no kind of buffer"),
        ("kernel k1(", "kernel k0(", "kernel k0 is defined twice"),
        ("%2 = gt(%1, 2)", "%2 = gt(1, 2)", "the types of gt's operands do not follow: state one"),
        ("%3 = select(%2, %0, 1.0)", "%3 = select(%2, 0.0, 1.0)", "the type of select does not follow from its operands"),
        ("1.0: f32", "1.0", "state the type"),
        ("store %y0[m_], %3", "store %z0[m_], %3", "buffer %z0 is not defined"),
        ("%2 = gt(%1, 2)", "%2 = gt(%1, 2.5)", "2.5 is no number of int64"),
        ("for j in 1 .. 4", "for j to 4", "expected 'in', found 'to'"),
    ],
)  # fmt: skip
def test_a_bad_text_says_where(old: str, new: str, message: str) -> None:
    assert old in SOUND
    with pytest.raises(ParseError) as error:
        parse(SOUND.replace(old, new, 1))
    assert message in str(error.value)


def test_programs_of_all_statements_read_back() -> None:
    """Loops whose turns are data, choices, calls of Python with programs of their own, packed constants, argmax."""
    x, n = gx.placeholder("x", ("n", 3)), gx.placeholder("k", (), "int64")
    far = gx.while_loop(lambda c: c[1] < n, lambda c: (gx.sin(c[0]), c[1] + 1), (x, 0))[0]
    chosen = gx.cond(n > 2, lambda v: v * 2, lambda v: v - 1, x)
    sorted_ = gx.scan(lambda c, row: (gx.linalg.solve(gx.eye(3, dtype="float32"), c + row), c), x[0], x)[1]
    table = gx.asarray(np.arange(60, dtype="float32").reshape(20, 3))
    f = gx.compile([x, n], [far, chosen, sorted_, gx.argmax(x, axis=0), x @ table.T, gx.cumulative_sum(x, axis=0)])
    for name, stage in ((n, s) for n, s in f.stages if not isinstance(s, gx.passes.Plan)):
        assert str(parse(str(stage))) == str(stage), name


@pytest.mark.parametrize("reverse", [False, True])
def test_steps_read_back_and_run_statement_by_statement(monkeypatch: pytest.MonkeyPatch, reverse: bool) -> None:
    """A scan whose steps stay a program: carries that are exchanged and carries written in place, sequences, results."""
    monkeypatch.setattr(steps, "LONG", 0)
    xs, w = gx.placeholder("xs", ("t", 3, 4), "float64"), gx.placeholder("w", (4, 4), "float64")

    def step(carry: tuple[gx.Tensor, gx.Tensor], x: gx.Tensor) -> tuple[tuple[gx.Tensor, gx.Tensor], gx.Tensor]:
        h, total = carry
        return (gx.tanh(h @ w + x), total + gx.sum(h, axis=0)), h @ w

    (h, total), ys = gx.scan(step, (xs[0], xs[0, 0]), xs, reverse=reverse)
    f = gx.compile([xs, w], [h, total, ys], backend="program")
    assert any(isinstance(call.kernel, Steps) for call in f.program.calls)
    for name, stage in ((n, s) for n, s in f.stages if not isinstance(s, gx.passes.Plan)):
        assert str(parse(str(stage))) == str(stage), name
    rng = np.random.default_rng(0)
    for length in (1, 2, 5):
        arrays = rng.normal(size=(length, 3, 4)), rng.normal(size=(4, 4))
        for got, want in zip(f(*arrays), gx.compile([xs, w], [h, total, ys], backend="interpreter")(*arrays), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-12)


def test_a_scatter_whose_places_are_worked_out_first_stays_inside_its_array() -> None:
    """Its places count elements, whatever axes the array has: found by the fuzzer as an index of [0, 17] into [9, 3]."""
    base, update = gx.placeholder("base", ("n", "m")), gx.placeholder("update", ("k",))
    rows, columns = gx.placeholder("rows", ("k",), "int64"), gx.placeholder("columns", ("k",), "int64")
    inputs, sum_ = [base, update, rows, columns], base.at[rows, columns].add(update)
    arrays = np.zeros((9, 3), "float32"), np.ones(3, "float32"), np.array([-4, 1, -3]), np.array([2, 2, 2])
    wanted = gx.compile(inputs, sum_, backend="interpreter")(*arrays)
    for backend in ("program", "llvm"):
        assert np.array_equal(gx.compile(inputs, sum_, backend=backend)(*arrays), wanted)
