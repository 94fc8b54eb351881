"""Where a computation stops being finite, and values printed while it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc.debug import NotFinite, find_nan
from graphc.errors import InputError

Array = np.ndarray[Any, Any]
HERE = Path(__file__).name
X = gx.placeholder("x", ("n",), "float64")
P = gx.placeholder("p", (2,), "float64")
BACKENDS = ("llvm", "interpreter")


def found_in(y: Any, *args: Any, inputs: Any = X, updates: Any = None) -> NotFinite:
    found = find_nan(gx.compile(inputs, y, updates), *args)
    assert found is not None
    return found


# --- find_nan --------------------------------------------------------------------------------------------------------


def test_nothing_is_found_where_all_is_finite() -> None:
    assert find_nan(gx.compile([X], [gx.sqrt(X), gx.grad(gx.sum(gx.sqrt(X)), X)]), [1.0, 2.0]) is None


def test_the_first_operation_with_its_line_and_what_it_read() -> None:
    less = X - 1
    found = found_in(gx.sum(gx.sqrt(less)) * 2, [1.0, 2.0, 0.5])
    assert (found.operation, found.gradient, found.loops, found.given, found.reached) == ("sqrt", False, (), (), True)
    assert found.where is not None and Path(found.where.file).name == HERE
    assert found.result is not None and (found.result.nans, found.result.infs) == (1, 0)
    assert (found.result.low, found.result.high) == (0.0, 1.0)
    (read,) = found.reads
    assert (str(read.type), read.low, read.high, read.finite) == ("f64[3]", -0.5, 1.0, True)
    lines = str(found).splitlines()
    assert lines[0] == f"sqrt gives %{found.result.name}: f64[3], 1 NaN, the others 0 to 1"
    assert lines[1].startswith(f"  {HERE}:") and lines[2] == f"  it reads %{read.name}: f64[3], -0.5 to 1"


def test_the_order_is_the_users_not_the_graphs() -> None:
    """Both are not finite; the graph meets the second one first."""
    first = gx.log(X - 1)
    second = gx.sqrt(X - 2)
    assert found_in(second + first, [0.0]).operation == "log"
    first, second = gx.sqrt(X - 2), gx.log(X - 1)
    assert found_in(second + first, [0.0]).operation == "sqrt"


def test_an_infinity_comes_before_the_nan_that_is_made_of_it() -> None:
    big = gx.exp(X)
    found = found_in(big / (big + 1), [1000.0])
    assert found.operation == "exp" and found.result is not None and found.result.infs == 1


def test_infinities_of_constants_are_meant_but_a_nan_of_them_is_found() -> None:
    masked = gx.where(X > 0, X, -np.inf)
    assert find_nan(gx.compile([X], gx.nn.softmax(masked)), [1.0, -1.0]) is None
    found = found_in(gx.exp(masked - gx.max(masked)), [-1.0, -1.0])
    assert found.operation == "subtract" and not found.reads[0].finite


def test_a_nan_among_constants_is_found() -> None:
    found = found_in(P + gx.constant(np.array([1.0, np.nan])), [1.0, 2.0], inputs=P)
    assert found.operation == "constant" and found.reads == ()


def test_what_is_hidden_is_told_last() -> None:
    hidden = gx.where(X > 0, gx.log(X), 0.0)
    found = found_in(hidden, [-1.0, 1.0])
    assert found.operation == "log" and not found.reached
    assert str(found).splitlines()[-1] == "  no output and no update is other than finite because of it"
    assert found_in([hidden, gx.sqrt(X - 1)], [-1.0, 1.0]).operation == "sqrt"


def test_inputs_and_variables_are_named_first() -> None:
    w = gx.variable(np.array([1.0, np.inf]), name="w")
    found = found_in(gx.sum(P * w), [1.0, np.nan], inputs=P)
    assert [(r.name, r.nans, r.infs) for r in found.given] == [("p", 1, 0), ("w", 0, 1)]
    assert found.operation == "" and str(found).splitlines()[0] == "given and not finite: %p: f64[2], 1 NaN, the others 1"
    found = found_in([gx.sum(X), gx.log(X * 0)], [np.inf, 1.0])
    assert [r.name for r in found.given] == ["x"] and found.operation == "multiply"


def test_a_gradient_names_the_forward_operation() -> None:
    y = gx.sum(gx.sqrt(X))
    found = found_in([y, gx.grad(y, X)], [4.0, 0.0])
    assert found.gradient and found.forward == "sqrt" and found.where is not None
    assert "y = gx.sum(gx.sqrt(X))" in str(found.where)
    assert "  in the gradient of sqrt, which is on that line" in str(found).splitlines()
    twice = gx.grad(gx.sum(gx.grad(gx.sum(gx.abs(X) ** 1.5), X)), X)
    found = found_in(twice, [4.0, 0.0])
    assert found.gradient and found.forward == "pow"


def test_updates_are_looked_at_and_nothing_is_written() -> None:
    w = gx.variable(np.ones(2), name="w")
    f = gx.compile([P], gx.sum(P), updates={w: gx.log(w * P)})
    found = find_nan(f, [1.0, 0.0])
    assert found is not None and found.operation == "log" and found.reached
    assert w.value.tolist() == [1.0, 1.0]


@pytest.mark.parametrize(("reverse", "step"), [(False, 2), (True, 1)])
def test_in_a_scan_with_the_step(reverse: bool, step: int) -> None:
    def body(c: gx.Tensor, v: gx.Tensor) -> tuple[gx.Tensor, gx.Tensor]:
        root = gx.sqrt(c - v)
        return root, root * 2

    last, _ = gx.scan(body, 9.0, X, reverse=reverse)
    found = found_in(last, [1.0, 2.0, 3.0, 4.0] if not reverse else [0.0, 5.0, 1.0, 2.0])
    assert found.operation == "sqrt" and found.loops[0].startswith(f"step {step} of scan   {HERE}:")
    assert "root = gx.sqrt(c - v)" in str(found.where) and len(found.loops) == 1


def test_in_the_gradient_of_a_scan() -> None:
    last, _ = gx.scan(lambda c, v: (c * gx.sqrt(v), None), 1.0, X)
    found = found_in(gx.grad(last, X), [4.0, 0.0, 1.0])
    assert found.gradient and found.forward == "sqrt" and found.loops[0].startswith("step 1 of the gradient of scan")


def test_in_while_loops_their_conditions_and_loops_inside() -> None:
    n = gx.placeholder("n", (), "float64")
    y = gx.while_loop(lambda v: v > -3, lambda v: gx.log(v), n)
    found = found_in(y, 2.0, inputs=n)
    assert found.operation == "log" and found.loops[0].startswith("step 2 of while_loop")
    y = gx.while_loop(lambda v: gx.sqrt(v) > 1, lambda v: v - 3, n)
    found = found_in(y, 5.0, inputs=n)
    assert found.operation == "sqrt" and found.loops[0].startswith("the condition before step 2 of while_loop")
    assert not found.reached
    inner = lambda c, v: (c + gx.fori_loop(0, 3, lambda i, a: gx.log(a), v), None)
    found = found_in(gx.scan(inner, 0.0, X)[0], [20.0, 2.0])
    assert [place.split("   ")[0] for place in found.loops] == ["step 1 of scan", "step 2 of scan"]


def test_in_the_branch_that_runs() -> None:
    n = gx.placeholder("n", (), "float64")
    y = gx.cond(n > 0, lambda: n, lambda: gx.log(n))
    found = found_in(y, -1.0, inputs=n)
    assert found.operation == "log" and found.loops[0].startswith("branch 0 of switch")
    assert find_nan(gx.compile(n, y), 1.0) is None


def test_operations_with_several_results_and_other_dtypes() -> None:
    a = gx.placeholder("a", (2, 2), "float16")
    found = found_in(gx.exp(a), np.full((2, 2), 20, "float16"), inputs=a)
    assert found.result is not None and str(found.result) == f"%{found.result.name}: f16[2, 2], 4 infinite"
    k = gx.placeholder("k", (), "int64")
    flags = gx.placeholder("flags", (2,), "bool")
    found = found_in(gx.where(flags, gx.log(k * gx.ones(2)), 0.0), 0, [True, True], inputs=[k, flags])
    assert found.operation == "log"
    found = found_in(1 / gx.astype(k, "float64"), 0, inputs=[k])
    assert found.operation == "divide"


def test_arguments_are_those_of_a_call() -> None:
    f = gx.compile([X], gx.sqrt(X), backend="interpreter")
    assert find_nan(f, x=[1.0]) is None
    with pytest.raises(InputError, match="misses input 'x'"):
        find_nan(f)
    with pytest.raises(InputError, match=r"debug\.find_nan needs what gx\.compile gives, got Tensor"):
        find_nan(X)  # type: ignore[arg-type]


# --- print -----------------------------------------------------------------------------------------------------------


def printed(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("backend", BACKENDS)
def test_prints_when_it_runs(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    f = gx.compile([X], gx.debug.print(X * X, "squares") + 1, backend=backend)
    assert printed(capsys) == []
    assert f([1.0, 2.0]).tolist() == [2.0, 5.0]
    assert printed(capsys) == ["squares: f64[2] = [1. 4.]"]
    f([3.0])
    assert printed(capsys) == ["squares: f64[1] = [9.]"]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("x", "text"),
    [
        (np.float32(0.5), "v: f32[] = 0.5"),
        (np.array([True, False]), "v: bool[2] = [ True False]"),
        (np.array([[1, 2], [3, 4]], "int8"), "v: i8[2, 2] =\n[[1 2]\n [3 4]]"),
        (np.array([0.5, np.nan, -0.0, np.inf], "float16"), "v: f16[4] = [ 0.5  nan -0.   inf]"),
        (np.zeros((0, 3)), "v: f64[0, 3] = []"),
        (np.arange(200), "v: i64[200] = [  0   1   2 ... 197 198 199]"),
    ],
)
def test_every_type(x: Array, text: str, backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    a = gx.placeholder("a", np.shape(x), x.dtype)
    f = gx.compile([a], gx.debug.print(a, "v"), backend=backend)
    assert np.array_equal(f(x), x, equal_nan=x.dtype.kind == "f")
    assert capsys.readouterr().out == text + "\n"


def test_summarize(capsys: pytest.CaptureFixture[str]) -> None:
    a = gx.debug.print(gx.arange(200), "v", summarize=1)
    a.eval()
    assert printed(capsys) == ["v: i64[200] = [  0 ... 199]"]
    gx.debug.print(gx.arange(200), "v", summarize=-1).eval()
    assert len(capsys.readouterr().out.split()) == 204


@pytest.mark.parametrize("backend", BACKENDS)
def test_prints_are_neither_merged_nor_dropped_nor_turned_round(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    y = gx.debug.print(gx.debug.print(gx.debug.print(X, "a"), "a"), "b")
    f = gx.compile([X], [gx.debug.print(X, "c"), gx.debug.print(X, "c"), y], backend=backend)
    for _ in range(2):
        f([1.0])
        lines = [line[0] for line in printed(capsys)]
        assert sorted(lines) == ["a", "a", "b", "c", "c"] and [c for c in lines if c != "c"] == ["a", "a", "b"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_that_is_computed_changes(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    w = gx.variable(np.linspace(-1, 1, 12).reshape(3, 4), name="w")

    def step(show: bool) -> Any:
        seen = gx.debug.print if show else lambda x, label: x
        h = seen(gx.tanh(seen(a @ w, "product")), "h")
        loss = seen(gx.sum(h * h), "loss")
        return gx.compile([a], [loss, gx.grad(loss, w), gx.grad(loss, a)], backend=backend)

    a = gx.placeholder("a", ("m", 3), "float64")
    data = np.random.default_rng(0).normal(size=(5, 3))
    plain, shown = step(False)(data), step(True)(data)
    assert all(np.array_equal(p, s) for p, s in zip(plain, shown, strict=True))
    assert [line.split(":")[0] for line in printed(capsys) if ":" in line] == ["product", "h", "loss"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_every_step_of_a_scan_and_its_gradient_prints_once(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    scale = gx.variable(np.float64(2.0), name="scale")

    def body(c: gx.Tensor, v: gx.Tensor) -> tuple[gx.Tensor, None]:
        return gx.debug.print(c * v, "c") + 0 * gx.debug.print(scale, "outside"), None

    last, _ = gx.scan(body, 1.0, X)
    f = gx.compile([X], [last, gx.grad(last, X)], backend=backend)
    value, slope = f([2.0, 3.0, 4.0])
    assert value == 24.0 and slope.tolist() == [12.0, 8.0, 6.0]
    lines = printed(capsys)
    assert [line for line in lines if line[0] == "c"] == ["c: f64[] = 2.", "c: f64[] = 6.", "c: f64[] = 24."]
    assert [line for line in lines if line[0] == "o"] == ["outside: f64[] = 2."] * 3


def test_a_loop_that_prints_computes_the_same_bits(capsys: pytest.CaptureFixture[str]) -> None:
    """Python runs the steps, and each by native code: functions and sums round as they do without."""
    rng = np.random.default_rng(0)
    w = gx.variable(rng.normal(size=(40, 40)).astype("float32"), name="w")
    rows = gx.placeholder("rows", ("steps", 40), "float32")

    def loop(seen: Any) -> list[gx.Tensor]:
        last, _ = gx.scan(lambda h, row: (seen(gx.tanh(gx.nn.softmax(h @ w) + row), "h"), None), gx.zeros(40, "float32"), rows)
        far = gx.while_loop(lambda h: gx.sum(h * h) < 1e3, lambda h: seen(gx.exp(h) + h, "far"), last)
        far = gx.cond(gx.sum(far) > 0, lambda: seen(gx.sin(far), "branch"), lambda: far)
        return [last, far, *gx.grad(gx.sum(gx.sin(last)), [w, rows])]

    data = rng.normal(size=(5, 40)).astype("float32")
    plain, shown = (gx.compile([rows], loop(seen))(data) for seen in (lambda x, label: x, gx.debug.print))
    assert printed(capsys).count("h: f32[40] =") == 5
    assert all(np.array_equal(p, s) for p, s in zip(plain, shown, strict=True))
    none = gx.compile([rows], loop(gx.debug.print)[0])(data[:0])
    assert not none.any()


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_a_while_loop_its_condition_and_its_gradient(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    n = gx.placeholder("n", (), "float64")
    y = gx.while_loop(lambda v: gx.debug.print(v, "test") < 10, lambda v: gx.debug.print(v * 2, "body"), n)
    f = gx.compile([n], [y, gx.grad(y, n)], backend=backend)
    assert [float(v) for v in f(3.0)] == [12.0, 4.0]
    lines = [line.split(": f64[] = ") for line in printed(capsys)]
    assert lines == [["test", "3."], ["body", "6."], ["test", "6."], ["body", "12."], ["test", "12."]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_the_branch_that_is_taken(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    n = gx.placeholder("n", (), "float64")
    y = gx.cond(n > 0, lambda: gx.debug.print(n * 2, "yes"), lambda: gx.debug.print(n * n, "no"))
    f = gx.compile([n], [y, gx.grad(y, n)], backend=backend)
    assert [float(v) for v in f(3.0)] == [6.0, 2.0]
    assert printed(capsys) == ["yes: f64[] = 6."]
    assert [float(v) for v in f(-3.0)] == [9.0, -6.0]
    assert printed(capsys) == ["no: f64[] = 9."]


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_a_checkpoint_computes_again_is_silent(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    y = gx.sum(gx.checkpoint(lambda v: gx.exp(gx.debug.print(gx.sin(v), "s")))(X))
    f = gx.compile([X], [y, gx.grad(y, X)], backend=backend)
    _, slope = f([0.0])
    assert slope.tolist() == [1.0] and printed(capsys) == ["s: f64[1] = [0.]"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_under_vmap_the_whole_batch_is_printed(backend: str, capsys: pytest.CaptureFixture[str]) -> None:
    for rows in ("m", 2):
        a = gx.placeholder("a", (rows, 2), "float64")
        f = gx.compile([a], gx.vmap(lambda row: gx.sum(gx.debug.print(row * 2, "row")))(a), backend=backend)
        assert f([[1.0, 2.0], [3.0, 4.0]]).tolist() == [6.0, 14.0]
        assert printed(capsys) == ["row: f64[2, 2] =", "[[2. 4.]", " [6. 8.]]"]


def test_python_is_named_where_the_time_goes() -> None:
    f = gx.compile([X], gx.debug.print(X + 1, "x") * 2)
    assert "print, by Python" in [row.what for row in f.profile([1.0])]
    assert any("by Python" in row for row in f.program._repr_html_().splitlines())
    rule = "a loop, a choice, an exchange or a routine of Python {} whole arrays"
    assert [b.rules[0] for b in f.explain()] == [rule.format("needs"), rule.format("makes")]


def test_wrong_options() -> None:
    with pytest.raises(InputError, match="the label must be a text, got 3"):
        gx.debug.print(X, 3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="summarize cannot be -2"):
        gx.debug.print(X, "x", summarize=-2)


def test_the_text_of_a_graph_with_prints_parses_back() -> None:
    graph = gx.ir.Graph([X], [gx.debug.print(X, 'a "quoted"\nlabel \\')])
    again = gx.ir.parse(str(graph))
    assert str(again) == str(graph) and again.outputs[0].attrs["label"] == 'a "quoted"\nlabel \\'
