"""Write the generated documents: python docs/generate.py [--check]

    docs/journey.md        one expression through every stage of the compiler
    docs/operations.md     the vocabulary, from its declarations
    docs/*.svg             the README's pictures (where graphviz's `dot` is installed)
    README.md              its block `bench`, from docs/bench.json
    docs/performance.md    its blocks `peers`, `short` and `growth`, from docs/peers.json, and `training`, from docs/training.json
    docs/scale.md          its blocks `constants`, `collectives`, `goal`, `weak`, `strong` and `real`, from docs/scale.json, and
                           `threads`, from docs/distributed.json
    docs/compression.md    its blocks `conditions`, `digits` and `fashion`, from docs/compression.json
    docs/add-an-op.md      its block `diff`, against the files as they are now
    docs/inspection.md          its blocks `program`, `plan`, `explain`, `memory`, `loop` and `found`
    docs/onnx.md           its blocks `operators` and `not saved`
    docs/lowering.md       one kernel from its plan to its source
    docs/add-a-backend.md  its block `python_backend`: that example
    docs/extend.md         its blocks `custom_op`, `custom_pass`, ...: those examples, and `kernel`

Blocks stand between `<!-- generated: name -->` and `<!-- end -->`.

With --check nothing is written: the exit code is 1 if a text differs from what would be written. Pictures are not compared,
since every version of graphviz draws a little differently; the measured numbers are those of docs/bench.json, docs/peers.json and
docs/training.json, which are not measured again.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import functools
import importlib
import inspect
import io
import json
import linecache
import re
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parent
ROOT = DOCS.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

import graphc as gx  # noqa: E402
from benchmarks import compression, distributed, onnx_models, report, scale, training  # noqa: E402
from graphc.ir import operation as o  # noqa: E402
from graphc.ir.dot import render_svg  # noqa: E402
from graphc.ir.types import TupleType  # noqa: E402
from graphc.ops.declare import results  # noqa: E402

# --- the journey ----------------------------------------------------------------------------------------------------

JOURNEY = '''\
import numpy as np
import graphc as gx

x = gx.placeholder("x", ("batch", 4), "float32")
b = gx.variable(np.zeros(4, "float32"), name="b")
y = x + b
e = gx.exp(y - gx.stop_gradient(gx.max(y, axis=1, keepdims=True)))
p = e / gx.sum(e, axis=1, keepdims=True)
g = gx.grad(gx.sum(p * p), b)
f = gx.compile([x], p, updates={b: b - 0.1 * g}, name="journey")
'''

_INTRODUCTION = """\
# The journey of one expression

This page is written by `docs/generate.py`, so it shows what the compiler does now. Everything on it can be had from any compiled
object: `f.stages` holds the graph, plan or program after every step, `f.kernels` the code that runs.

The expression is a softmax over the rows of a matrix, and one step of a variable down the gradient of the sum of its squares:
"""

_STEPS = {
    "declared": """\
The graph as it was written. `gx.grad` has already added the gradient: its nodes come from the gradient rules of the operations.
Broadcasting is explicit, and every node has a type.""",
    "plan_kernels": """\
Which nodes share a kernel. Nodes that need only the same row of each other are one cluster; what costs no more than a load is
inlined into all that read it. Of a form's axes, those before the bar are the kernel's outer loops. Where a cluster reads what
another makes, the plan says why the two are not one.""",
    "fuse": """\
From here on it is a program: a kernel for each cluster, over buffers. What one kernel leaves for another is a buffer.""",
    "plan_buffers": """\
Temporaries get slots of one arena; two that are never needed at once may share one. The variable's new value is written into the
variable itself, since every reader of the old one has read it by then.""",
    "split_reductions": """\
The order of sums is written out: elements of a row go to lanes in turn, and the lanes are joined. What runs from here on needs no
other rule than that one statement follows the other.""",
    "expand_math": """\
Functions such as `exp` become arithmetic that every backend has: products, sums, shifts and bit patterns.""",
}
_KERNELS = """\
## The code that runs

Each distinct kernel is printed as Python source, and compiled through LLVM. `lo .. hi` is the part of the parallel loop that one
thread has taken.
"""


def journey() -> str:
    """The text of docs/journey.md."""
    names: dict[str, Any] = {}
    exec(JOURNEY, names)
    f = names["f"]
    return "\n".join([_INTRODUCTION, _fence("python", JOURNEY), *_stage_sections(f.stages), *_kernel_sections(f.kernels)])


def _stage_sections(stages: Sequence[tuple[str, Any]]) -> Iterator[str]:
    before = ""
    for number, (name, stage) in enumerate(stages):
        text = str(stage)
        yield f"## {number}. {name}\n\n{_step(name)}\n"
        yield "Nothing to do here: the text is the same.\n" if text == before else _fence("", text)
        before = text


def _step(name: str) -> str:
    """What a stage is: from the table above, else the first line of its pass's module."""
    if name in _STEPS:
        return _STEPS[name]
    change = getattr(gx.passes, name, None)
    module = sys.modules[change.__module__] if callable(change) else importlib.import_module(f"graphc.passes.{name}")
    return (module.__doc__ or "").strip().splitlines()[0]


def _kernel_sections(kernels: Sequence[Any]) -> Iterator[str]:
    if not kernels:
        return
    yield _KERNELS
    for kernel in kernels:
        yield _fence("python kernel", kernel.source)


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text.rstrip()}\n```\n"


# --- the vocabulary -------------------------------------------------------------------------------------------------


_VOCABULARY = """\
# The vocabulary

This page is written by `docs/generate.py` from the declarations in `graphc/ops/`. An operation is what a node of a graph does;
its lowering is all that passes and backends know of it. A gradient of "zero" means that the operation passes none on; "no", that
asking for one is an error. Everything else that users call is a function made of operations.
"""
_INTERNAL = {  # operations that users reach under another name
    "input": "What `placeholder` makes.",
    "iota": "0, 1, 2, ...: what `arange` counts with.",
    "slice": "What indexing with slices and integers makes.",
    "embed": "An array of one number with x in some of its places: `pad`, and the gradient of `slice`.",
    "sized": "A graph in which a size is data: the gradient of `while_loop`.",
    "slide": "An array read at places that depend on two axes, constant beyond its edges: windows of images, and their adjoint.",
    "interleave": "Arrays in turns along some axes.",
    "convolve": "`gx.nn.conv`.",
    "kernel_gradient": "The gradient of `gx.nn.conv` by its kernels.",
    "max_pool": "`gx.nn.max_pool`.",
    "rfft": "`gx.fft.rfft`, not normalised.",
    "irfft": "`gx.fft.irfft`, not normalised; the gradient of `rfft`.",
    "fft": "`gx.fft.fft` and `gx.fft.ifft`, not normalised.",
    "put_add": "The gradient of `take`: slices added into zeros.",
    "put_along_add": "The gradient of `take_along_axis`: elements added into zeros.",
    "put_diagonal": "Arrays along the diagonals of zeros: `diag`, and the gradient of `diagonal`.",
    "gather": "Elements at places of several axes: what indexing with several arrays of integers makes.",
    "scatter_add": "Elements added into x at places of several axes: `x.at[...].add`, `segment_sum`, the gradient of `gather`.",
    "scatter_max": "The maximum of elements and x's own at places of several axes: `x.at[...].max`, `segment_max`.",
    "scatter_min": "The minimum of elements and x's own at places of several axes: `x.at[...].min`, `segment_min`.",
    "scatter_multiply": "Elements multiplied into x at places of several axes: `x.at[...].multiply`, `segment_prod`.",
    "scatter_set": "x with other elements at places of several axes: `x.at[...].set`; the last one for a place stands.",
    "cofactors": "The matrix of cofactors: the gradient of `linalg.det`.",
    "lu": "LU factors with row exchanges by LAPACK: what systems and determinants of matrices of a size with a name begin with.",
    "lu_panel": "LU factors of a panel of at most 128 columns with row exchanges, the order of rows and its sign, by one kernel.",
    "places": "Where each number stands in an order.",
    "cofactors_of_singular": "Cofactors that are given, and of singular matrices those by singular values.",
    "qr_panel": "Reflections of a panel of at most 128 columns, what they leave of it, and T, by one kernel.",
    "qr_lapack": "`qr` by LAPACK.",
    "cholesky_block": "L of x = L L^T, its inverse, and whether there is none: of a block of at most 128 rows, by one kernel.",
    "triangle_block": "The inverse of a lower triangle of at most 128 rows, by one kernel, and whether there is none.",
    "solve_triangular_lapack": "`solve_triangular` by LAPACK, and of matrices of at most 16 rows in lanes of vectors.",
    "middle": "(x + y^T) / 2, read by squares.",
    "cholesky_lapack": "The lower triangle L of x = L L^T by LAPACK, of which the lower triangle is read.",
    **{
        f"{name}_factored": f"`{name}` of matrices of more than 16 rows, from `lu`; the gradient goes to the matrix."
        for name in ("cofactors", "det", "slogdet", "solve")
    },
    **{
        f"{name}_small": f"`{name}` of matrices of at most 16 rows, each in a lane of vectors."
        for name in ("cholesky", "cofactors", "det", "inv", "slogdet", "solve")
    },
    "threefry": "Random bits of a key and a counter: what `gx.random` draws with.",
    "distinct": "The distinct elements in order, and how often they occur: what `gx.unique_values` and `gx.unique_counts` need.",
    "gamma_draw": "Gamma variates of a key, or their logarithms, by rejection: what `gx.random.gamma` draws with.",
    "searchsorted_open": "`searchsorted` in vectors whose size has a name, in lanes.",
    "poisson_draw": "Poisson numbers of a key, by inversion or rejection: what `gx.random.poisson` draws with.",
}


def vocabulary() -> str:
    """The text of docs/operations.md."""
    declared = sorted(o.operations(), key=lambda op: op.name)
    lines = [
        _VOCABULARY,
        f"## Operations ({len(declared)})\n",
        "| operation | lowering | operands | gradient | what it is |",
        "|---|---|---|---|---|",
    ]
    lines += [f"| `{op.name}` | {_lowering(op)} | {_arity(op)} | {_gradient(op)} | {_what(op)} |" for op in declared]
    names = {op.name for op in declared} - set(_INTERNAL)
    libraries = {
        "Functions made of them": gx, "Functions of `gx.nn`": gx.nn, "Random numbers: `gx.random`": gx.random,
        "Linear algebra: `gx.linalg`": gx.linalg, "Log densities: `gx.stats`": gx.stats,
        "Fourier transforms: `gx.fft`": gx.fft, "Optimisers: `gx.optim`": gx.optim,
        "What is yours: `gx.extend`": gx.extend,
    }  # fmt: skip
    for title, module in libraries.items():
        lines += ["", f"## {title}\n", "| function | what it is |", "|---|---|"]
        lines += [f"| `{name}` | {_first_line(function)} |" for name, function in _functions(module) if name not in names]
    return "\n".join(lines) + "\n"


def _lowering(op: o.Operation) -> str:
    match op.lowering:
        case o.Leaf():
            return "leaf"
        case o.Pointwise(elementwise=elementwise):
            return "elementwise" if elementwise else "moves elements"
        case o.Reduction(combine):
            return f"reduction by {combine}"
        case o.Contraction():
            return "contraction"
        case o.Scatter(combine):
            return f"scatter by {combine}"
        case o.Prefix(combine):
            return f"prefix by {combine}"
        case o.Host(lanes=lanes):
            return "call of the host" if lanes is None else "lanes, or a call of the host"
        case o.Collective():
            return "among ranks"
        case o.Project():
            return "one of several results"
        case o.Scan() | o.While() | o.Switch():
            return "sub-graphs"
        case o.Composite():
            return "composite"
        case o.Host():
            return "routine of Python"
        case o.Project():
            return "one of several results"
        case o.Scan() | o.While() | o.Switch() | o.Sized():
            return "control flow"


def _arity(op: o.Operation) -> str:
    return "any" if op.arity is None else str(op.arity)


def _gradient(op: o.Operation) -> str:
    """yes; zero, where the rule gives no cotangent to any operand; or no, where asking for one is an error."""
    if isinstance(op.lowering, o.Leaf) or op.arity == 0:
        return ""
    if op.vjp is None:
        return "no"
    for sample in op.samples:
        node = _applied(op, sample)
        several = isinstance(node.type, TupleType)
        ys = results(node) if several else (node,)
        gs = tuple(gx.ones_like(y) for y in ys)
        g, y = (gs, ys) if several else (gs[0], node)
        if any(part is not None for part in op.vjp(g, y, *node.inputs, **node.attrs)):
            return "yes"
    return "zero" if op.samples else "yes"


def _applied(op: o.Operation, sample: o.Sample) -> Any:
    """The operation on symbols of the first data type it takes, floats before integers before booleans."""
    for open_dtype in ("float32", "int64", "bool"):
        dtypes = [dtype or open_dtype for dtype in sample.dtypes or [""] * len(sample.shapes)]
        try:
            symbols = [gx.placeholder("x", shape, d) for shape, d in zip(sample.shapes, dtypes, strict=True)]
            return op(*symbols, **sample.attrs)
        except gx.errors.DTypeError:
            continue
    raise AssertionError(f"{op.name} takes none of its own samples")


def _what(op: o.Operation) -> str:
    """A function's own words; where NumPy has the operation under the same name, that name."""
    if op.name in _INTERNAL:
        return _INTERNAL[op.name]
    for owner in (gx, gx.ops, gx.linalg):
        function = getattr(owner, op.name, None)
        if inspect.isfunction(function):
            return _first_line(function)
    if op.doc:
        return _first_line(op)
    if hasattr(np, op.name):
        return f"`numpy.{op.name}`"
    return _first_line(op.reference) if inspect.isfunction(op.reference) and op.reference.__doc__ else ""


def _functions(module: Any) -> list[tuple[str, Callable[..., Any]]]:
    home = module.__name__
    if module is gx.stats:  # of modules, one for each distribution
        return [(f"{n}.{name}", f) for n in gx.stats.__all__ for name, f in _functions(getattr(gx.stats, n)) if "log" in name]
    found = [(n, f) for n, f in vars(module).items() if inspect.isfunction(f) and not n.startswith("_") and f.__doc__]
    return sorted((n, f) for n, f in found if home in ("graphc", "graphc.linalg") or f.__module__.startswith(home))


def _first_line(function: Any) -> str:
    """The first sentence of a docstring, on one line, fit for a table."""
    paragraph = " ".join((inspect.cleandoc(function.__doc__ or "")).split("\n\n")[0].split())
    return paragraph.replace("|", "\\|")


# --- the diff that adds an operation --------------------------------------------------------------------------------

_DECLARATION = """\
rsqrt = elementwise(
    "rsqrt", dtype=to_float, reference=lambda x: 1 / np.sqrt(x), scalar="1 / sqrt({0})", domain=(0.1, 4),
    vjp=lambda g, y, x: (-g * y / (x + x),),
)  # fmt: skip
"""
_EDITS = {  # file -> (text that stands there once, what becomes of it)
    "graphc/ops/arithmetic.py": [("\nabs = elementwise(\n", f"\n{_DECLARATION}abs = elementwise(\n")],
    "graphc/ops/__init__.py": [(" round,", " round, rsqrt,"), ('"round",', '"round", "rsqrt",')],
    "graphc/__init__.py": [(" round,", " round, rsqrt,"), ('"round",', '"round", "rsqrt",')],
}


def operation_diff() -> str:
    """The diff at the end of docs/add-an-op.md, without line numbers, which change with every edit of those files."""
    lines: list[str] = []
    for name, edits in _EDITS.items():
        old = new = (ROOT / name).read_text(encoding="utf-8")
        for before, after in edits:
            if new.count(before) != 1:
                raise ValueError(f"{before!r} does not stand once in {name}: adapt _EDITS in docs/generate.py")
            new = new.replace(before, after)
        lines += difflib.unified_diff(old.splitlines(), new.splitlines(), f"a/{name}", f"b/{name}", n=1, lineterm="")
    return _fence("diff", "\n".join("@@" if line.startswith("@@") else line for line in lines))


# --- what a program tells about itself ------------------------------------------------------------------------------

SIGHT = '''\
import graphc as gx

x = gx.placeholder("x", ("batch", 784), "float32")
t = gx.placeholder("t", ("batch",), "int64")
w1, b1, w2 = (gx.variable(gx.zeros(s, "float32").eval(), name=n) for n, s in
              (("w1", (784, 512)), ("b1", (512,)), ("w2", (512, 10))))

h = gx.tanh(x @ w1 + b1)
loss = gx.nn.cross_entropy(h @ w2, t)
slopes = gx.grad(loss, [w1, b1, w2])
step = gx.compile([x, t], loss, updates={v: v - 0.1 * g for v, g in zip([w1, b1, w2], slopes)})
'''

PLAN = '''\
scores = gx.compile([x], gx.nn.softmax(h @ w2))
print(scores.plan)
'''

LOOP = '''def advance(h, row):
    h = h - gx.sqrt(row)
    return h, gx.log(h)

rows = gx.placeholder("rows", ("steps",), "float64")
last, logs = gx.scan(advance, 3.0, rows)
run = gx.compile([rows], [last, gx.grad(gx.sum(logs), rows)])
print(gx.debug.find_nan(run, [1.0, 4.0, 1.0]))
'''


def inspection() -> str:
    """The text of docs/inspection.md."""
    path = DOCS / "inspection.md"
    names: dict[str, Any] = {}
    linecache.cache["step.py"] = (len(SIGHT), None, SIGHT.splitlines(keepends=True), "step.py")
    exec(compile(SIGHT, "step.py", "exec"), names)
    step = names["step"]
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(PLAN, names)
    plan = f"{_fence('python', PLAN)}\n{_fence('', printed.getvalue())}"
    linecache.cache["loop.py"] = (len(LOOP), None, LOOP.splitlines(keepends=True), "loop.py")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(LOOP, "loop.py", "exec"), names)
    sizes = "\n".join(f"{memory.arena} bytes" for memory in (step.memory, step.memory.at(batch=64)))
    text = path.read_text(encoding="utf-8")
    blocks = (
        ("program", _fence("python", SIGHT)), ("plan", plan), ("explain", _fence("", str(step.explain()))),
        ("memory", _fence("", sizes)), ("loop", _fence("python", LOOP)), ("found", _fence("", printed.getvalue())),
    )  # fmt: skip
    for name, block in blocks:
        text = fill(text, name, block)
    return text


# --- what is one's own ----------------------------------------------------------------------------------------------


def extend() -> str:
    """The text of docs/extend.md."""
    text = (DOCS / "extend.md").read_text(encoding="utf-8")
    for path in sorted((ROOT / "examples").glob("custom_*.py")):
        text = fill(text, path.stem, _fence("python", path.read_text(encoding="utf-8")))
    return fill(text, "kernel", _fence("", _length_kernel()))


def _length_kernel() -> str:
    """The kernel of the declared reduction among the examples."""
    length = gx.extend.reduction("length", "hypot({0}, {1})", 0, types="float")
    try:
        x = gx.placeholder("x", ("n", "m"), "float64")
        program = dict(gx.compile([x], length(gx.exp(x), axis=1)).stages)["fuse"]
        return str(program.calls[0].kernel)
    finally:
        gx.extend.forget(length)


def a_backend() -> str:
    """The text of docs/add-a-backend.md."""
    code = (ROOT / "examples" / "python_backend.py").read_text(encoding="utf-8")
    return fill((DOCS / "add-a-backend.md").read_text(encoding="utf-8"), "python_backend", _fence("python", code))


LOWERED = """\
import numpy as np
import graphc as gx

x = gx.placeholder("x", ("rows", 1000), "float32")
b = gx.variable(np.zeros(1000, "float32"), name="b")
f = gx.compile([x], gx.sum(gx.exp(x + b), axis=1), name="rows_of_exp")
"""


def lowering() -> str:
    """The text of docs/lowering.md."""
    names: dict[str, Any] = {}
    linecache.cache["rows.py"] = (len(LOWERED), None, LOWERED.splitlines(keepends=True), "rows.py")
    exec(compile(LOWERED, "rows.py", "exec"), names)
    stages = dict(names["f"].stages)
    kernel = {name: str(stage.calls[0].kernel) for name, stage in stages.items() if hasattr(stage, "calls")}
    text = fill((DOCS / "lowering.md").read_text(encoding="utf-8"), "function", _fence("python", LOWERED))
    text = fill(text, "plan", _fence("", str(stages["plan_kernels"])))
    for name in ("fuse", "expand_math", "split_reductions"):
        text = fill(text, name, _fence("", str(stages[name]) if name == "fuse" else kernel[name]))
    steps = gx.passes.LOWERING
    rows = ["| pass | what it does |", "|---|---|"]
    rows += [f"| `{step.__name__}` | {(inspect.getdoc(inspect.getmodule(step)) or '').partition(chr(10))[0]} |" for step in steps]
    text = fill(text, "passes", "\n".join(rows))
    return fill(text, "source", _fence("python", names["f"].kernels[0].source))


ONNX = 28  # the operator set that the table of operators goes up to: the newest when it was written


def onnx_page() -> str:
    """The text of docs/onnx.md. The table of operators stays where an older onnx is installed."""
    import onnx

    text = (DOCS / "onnx.md").read_text(encoding="utf-8")
    if onnx.defs.onnx_opset_version() >= ONNX:
        text = fill(text, "operators", "\n".join(onnx_operators()))
    text = fill(text, "not saved", "\n".join(not_saved()))
    models = json.loads((DOCS / "onnx-models.json").read_text(encoding="utf-8"))
    text = fill(text, "models", onnx_models.table(models))
    return fill(text, "suite", onnx_suite(json.loads((DOCS / "onnx-suite.json").read_text(encoding="utf-8"))))


def onnx_operators() -> list[str]:
    """A row for each operator of ONNX's own domain that is read: its versions, and what of it is not."""
    import onnx

    from graphc.onnx.operators import OPERATORS

    history: dict[str, list[Any]] = {}
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "" and schema.since_version <= ONNX:
            history.setdefault(schema.name, []).append(schema)
    rows: list[str] = []
    defined: list[str] = []
    refused: dict[str, list[str]] = {}
    for name, schemas in sorted(history.items()):
        schemas.sort(key=lambda schema: schema.since_version)
        ends = [schema.since_version for schema in schemas[1:]] + [ONNX + 1]
        read = [str(s.since_version) for s, end in zip(schemas, ends, strict=True) if end > 7 and not s.deprecated]
        if not read:
            continue
        if name not in OPERATORS:
            if schemas[-1].has_function or schemas[-1].has_context_dependent_function:
                defined.append(name)
            else:
                refused.setdefault("graphc has no texts", []).append(name)
            continue
        known, unread, never = _said(OPERATORS[name])
        if never:
            refused.setdefault(unread[0], []).append(name)
        else:
            rows.append(f"| {name} | {', '.join(read)} | {', '.join(known)} | {'; '.join(unread)} |")
    others: dict[str, list[str]] = {}
    for name in sorted({*OPERATORS} - {*history}):
        domain, _, called = name.rpartition("::")
        others.setdefault(domain or "without a domain, as onnxruntime writes it", []).append(called)
    return [
        f"{len(rows)} of ONNX's own domain, of operator sets 7 to {ONNX}:", "",
        "| operator | versions | what must be known | what is refused |", "|---|---|---|---|", *rows, "",
        f"By the standard's definition: {', '.join(defined)}. Of other domains:", "",
        *(f"- {domain}: {', '.join(names)}" for domain, names in sorted(others.items())), "",
        "Refused: " + "; ".join(f"{', '.join(names)} ({why})" for why, names in sorted(refused.items())) + ".",
    ]  # fmt: skip


def _said(operator: Any) -> tuple[list[str], list[str], bool]:
    """What a function of a call must know, with which words it refuses what it does not read, and whether that is all."""
    known: dict[str, None] = {}
    unread: dict[str, None] = {}
    todo, done = [operator], set()
    while todo:
        function = todo.pop()
        function = function.func if isinstance(function, functools.partial) else function
        if not inspect.isfunction(function) or function in done:
            continue
        done.add(function)
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            match node:
                case ast.Call(ast.Name(name), args) if any(isinstance(a, ast.Name) and a.id == "call" for a in args):
                    todo.append(function.__globals__.get(name))
                case ast.Call(ast.Attribute(ast.Name("call"), "known" | "ints" | "listed"), [_, ast.Constant(what), *_]):
                    known[what] = None
                case ast.Call(ast.Attribute(ast.Name("call"), "error"), [words, *_]):
                    parts = words.values if isinstance(words, ast.JoinedStr) else [words]
                    text = "".join(part.value if isinstance(part, ast.Constant) else "..." for part in parts)
                    if re.search(r"read|needs|data|no size|no multiple", text):
                        unread[text] = None
    body = ast.parse(textwrap.dedent(inspect.getsource(operator))).body[0] if inspect.isfunction(operator) else None
    never = isinstance(body, ast.FunctionDef) and isinstance(body.body[0], ast.Raise)
    return list(known), list(unread), never


def onnx_suite(found: dict[str, Any]) -> str:
    """What came of ONNX's own suite: counts, and why cases fail."""
    kinds = {
        "node": "single operators", "simple": "simple", "pytorch-operator": "operators from torch",
        "pytorch-converted": "layers from torch", "real": "light networks",
    }  # fmt: skip
    called = {"interpreter": "interpreter", "llvm": "native code"}
    backends = [b for b in called if b in found]
    titles, rule = " | ".join(called[b] for b in backends), "---:|" * len(backends)
    lines = [f"| cases of onnx {found['onnx']} | {titles} |", f"|---|{rule}"]
    for kind, what in kinds.items():
        cells = [f"{found[b][kind]['passed']:,} of {found[b][kind]['cases']:,}" if kind in found[b] else "" for b in backends]
        lines.append(f"| {what} | {' | '.join(cells)} |")
    why: dict[str, dict[str, set[str]]] = {}
    for b in backends:
        for kind in found[b].values():
            for name, reason in kind["failed"].items():
                why.setdefault(reason, {}).setdefault(b, set()).add(name.removeprefix("test_"))
    lines += ["", f"| what fails, and why | {titles} | cases |", f"|---|{rule}---|"]
    for reason, by in sorted(why.items(), key=lambda item: -max(map(len, item[1].values()))):
        some = sorted(set.union(*by.values()))
        listed = ", ".join(f"`{n}`" for n in some[:3]) + (", ..." if len(some) > 3 else "")
        lines.append(f"| {reason} | {' | '.join(str(len(by.get(b, ()))) for b in backends)} | {listed} |")
    return "\n".join(lines)


def not_saved() -> list[str]:
    """The operations that ONNX cannot say, of those that have samples."""
    found: dict[str, list[str]] = {}
    sampled = [op for op in o.operations() if op.samples]
    for op in sampled:
        reasons = [_refused(op, op.samples[0], dtype) for dtype in ("float32", "float64", "int64", "bool")]
        if None not in reasons:
            why = next(r for r in reasons if r is not None and "cannot be written" in r)
            found.setdefault(why.rpartition(": ")[2], []).append(f"`{op.name}`")
    count = len(sampled) - sum(map(len, found.values()))
    lines = [f"{count} of {len(sampled)} operations of the vocabulary can be written. The others, and why not:", ""]
    return lines + [f"- {why}, for which ONNX has no operator: {', '.join(names)}." for why, names in found.items()]


def _refused(op: Any, sample: Any, dtype: str) -> str | None:
    """Why an operation is not saved with a sample of a data type; None where it is."""
    given = [d or dtype for d in sample.dtypes or ("",) * len(sample.shapes)]
    xs = [gx.placeholder(f"x{i}", shape, d) for i, (shape, d) in enumerate(zip(sample.shapes, given, strict=True))]
    try:
        made = op(*xs, **sample.attrs)
        gx.onnx.to_model(xs, list(results(made)) if isinstance(made.type, TupleType) else made)
    except gx.GraphError as error:
        return error.message
    return None


# --- the README -----------------------------------------------------------------------------------------------------


def picture() -> Any:
    """The function in the README's pictures: a softmax layer."""
    x = gx.placeholder("x", ("batch", 64), "float32")
    w = gx.variable(np.zeros((64, 10), "float32"), name="w")
    b = gx.variable(np.zeros(10, "float32"), name="b")
    return gx.compile([x], gx.nn.softmax(x @ w + b), name="layer")


def pictures() -> dict[Path, str | None]:
    """The README's pictures: None where graphviz is not installed."""
    layer = picture()
    return {DOCS / "before.svg": _picture(layer.stages[0][1]), DOCS / "after.svg": _picture(layer)}


def _picture(thing: Any) -> str | None:
    svg = render_svg(thing)
    return svg if svg is None else re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)  # graphviz's version is of no use


def bench_table(results: Sequence[dict[str, Any]]) -> str:
    """A table of what `python -m graphc bench --json docs/bench.json` measured."""
    heads = ["workload", "interpreted, ms", "compiled, ms", "ratio", "kernels", "arena / temporaries", "first compilation, s"]
    numba = all("numba_ms" in r for r in results)
    heads += ["by Numba, ms", "its first compilation, s"] if numba else []
    lines = [f"| {' | '.join(heads)} |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    for r in results:
        times = [_three(r["interpreted_ms"]), _three(r["compiled_ms"]), f"{_three(r['ratio'])}x"]
        share = f"{_bytes(r['arena_bytes'])} / {_bytes(r['buffer_bytes'])}"
        cells = [r["workload"], *times, str(r["kernels"]), share, f"{r['compile_s']:.2f}"]
        cells += [_three(r["numba_ms"]), f"{r['numba_compile_s']:.2f}"] if numba else []
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _three(value: float) -> str:
    """A number in three significant digits, without an exponent."""
    text = f"{value:.3g}"
    return f"{float(text):.0f}" if "e" in text and abs(value) >= 1 else text


def _bytes(count: int) -> str:
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{_three(count / size)} {unit}"
    return f"{count} B"


def bench_block() -> str:
    """The README's table, or how to make it where nothing was measured."""
    measured = DOCS / "bench.json"
    if not measured.exists():
        return "Not measured yet: `python -m graphc bench --json docs/bench.json`, then `python docs/generate.py`."
    return bench_table(json.loads(measured.read_text(encoding="utf-8")))


def performance() -> str:
    """The text of docs/performance.md, its tables from what `benchmarks/peers.py` and `benchmarks/training.py` measured."""
    figures = json.loads((DOCS / "peers.json").read_text(encoding="utf-8"))
    text = (DOCS / "performance.md").read_text(encoding="utf-8")
    for name, block in (("peers", report.table), ("short", report.shortfalls), ("growth", report.growth)):
        text = fill(text, name, block(figures))
    return fill(text, "training", training.table(json.loads((DOCS / "training.json").read_text(encoding="utf-8"))))


def many_ranks() -> str:
    """The text of docs/scale.md, its tables from what `benchmarks/scale.py` and `benchmarks/distributed.py` measured."""
    figures = json.loads((DOCS / "scale.json").read_text(encoding="utf-8"))
    text = (DOCS / "scale.md").read_text(encoding="utf-8")
    for name, block in scale.BLOCKS.items():
        text = fill(text, name, block(figures))
    return fill(text, "threads", distributed.table(json.loads((DOCS / "distributed.json").read_text(encoding="utf-8"))))


def smaller_models() -> str:
    """The text of docs/compression.md, its tables from what `benchmarks/compression.py` measured."""
    figures = json.loads((DOCS / "compression.json").read_text(encoding="utf-8"))
    text = fill((DOCS / "compression.md").read_text(encoding="utf-8"), "conditions", compression.conditions(figures))
    for data in ("digits", "fashion"):
        text = fill(text, data, compression.table(figures, data))
    return text


def fill(text: str, name: str, block: str) -> str:
    """A text with its generated block `name` replaced. Raises ValueError where there is no such block."""
    start, end = f"<!-- generated: {name} -->\n", "<!-- end -->"
    head, found, rest = text.partition(start)
    _, closed, tail = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"there is no block {start.strip()} ... {end}")
    return f"{head}{start}{block.rstrip()}\n{end}{tail}"


# --- writing --------------------------------------------------------------------------------------------------------


def pages() -> dict[Path, str]:
    """Every generated text."""
    readme, add_an_op = ROOT / "README.md", DOCS / "add-an-op.md"
    return {
        DOCS / "journey.md": journey(),
        DOCS / "operations.md": vocabulary(),
        readme: fill(readme.read_text(encoding="utf-8"), "bench", bench_block()),
        DOCS / "performance.md": performance(),
        DOCS / "compression.md": smaller_models(),
        DOCS / "scale.md": many_ranks(),
        DOCS / "inspection.md": inspection(),
        DOCS / "extend.md": extend(),
        DOCS / "onnx.md": onnx_page(),
        DOCS / "lowering.md": lowering(),
        DOCS / "add-a-backend.md": a_backend(),
        add_an_op: fill(add_an_op.read_text(encoding="utf-8"), "diff", operation_diff()),
    }


def check() -> bool:
    """Whether every committed text is what would be written; prints the differences."""
    fine = True
    for path, text in pages().items():
        old = path.read_text(encoding="utf-8") if path.exists() else ""
        if old != text:
            fine = False
            names = (f"{path.name} (committed)", f"{path.name} (now)")
            print("\n".join(difflib.unified_diff(old.splitlines(), text.splitlines(), *names, n=1, lineterm="")))
    for path in (DOCS / "before.svg", DOCS / "after.svg"):
        if not path.exists():
            fine = False
            print(f"{path.name} is missing")
    return fine


def write() -> None:
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(f"wrote {path.relative_to(ROOT)}")
    for path, svg in pictures().items():
        if svg is None:
            print(f"left {path.relative_to(ROOT)} as it is: graphviz is not installed")
        else:
            path.write_text(svg, encoding="utf-8")
            print(f"wrote {path.relative_to(ROOT)}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the generated documents.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a committed text is out of date")
    if not parser.parse_args().check:
        write()
        return 0
    if check():
        return 0
    print("\ngenerated documents are out of date: run python docs/generate.py")
    return 1


if __name__ == "__main__":
    sys.exit(main())
