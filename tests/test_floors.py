"""The floors: imports go down only, libraries stand on the public face alone, and no pass or backend knows operations by name.

Read from the syntax of every file, imports inside functions included; what only type checkers see is free.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import networkx as nx
import pytest

import graphc

ROOT = Path(graphc.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

FACE = "the public face"  # `import graphc`, or a public name from it

# Room -> rooms of the package that it may import.
FLOORS = {
    "errors": set(),
    "advice": {"errors"},
    "ir": {"errors", "ir"},
    "ops": {"errors", "advice", "ir", "ops"},
    "passes": {"errors", "ir", "passes"},
    "backends": {"errors", "ir", "backends"},
    "inspection": {"errors", "ir", "ops", "passes", "backends", "inspection"},
    "progress": set(),
    "export": {"errors", "ir", "passes", "export"},
    "compile": {"errors", "advice", "ir", "ops", "passes", "backends", "inspection", "progress", "export", "compile"},
    "saving": {"errors", "ir", "ops", "compile", "saving"},
    "gradients": {"errors", "ir", "ops", "passes", "gradients"},
    "control": {"errors", "ir", "ops", "passes", "control"},
    "debug": {"errors", "advice", "ir", "ops", "backends", "compile", "debug"},
    "__init__": {
        "errors", "advice", "ir", "ops", "passes", "backends", "compile", "control", "debug", "export", "extend", "gradients",
        "linalg", "nn", "optim", "random", "saving", "testing", "fft", "stats", "data", "layers", "metrics", "models", "onnx",
        "compression", "distributed",
    },
    "linalg": {FACE, "advice", "linalg"},
    "nn": {FACE, "advice", "nn"},
    "optim": {FACE, "advice", "optim"},
    "layers": {FACE, "advice", "layers", "nn"},
    "metrics": {FACE, "advice", "layers", "metrics"},
    "data": {FACE, "advice", "data"},
    "distributed": {FACE, "errors", "advice", "ir", "ops", "distributed"},
    "models": {FACE, "advice", "data", "distributed", "layers", "metrics", "models"},
    "array_api": {FACE, "array_api"},
    "onnx": {FACE, "errors", "ir", "passes", "backends", "compile", "onnx"},  # it writes graphs, as a backend does
    "random": {FACE, "advice", "random"},
    "extend": {"errors", "ir", "ops", "passes", "backends", "extend"},
    "testing": {FACE, "advice", "ir", "passes", "extend", "testing"},
    "fft": {FACE, "advice", "fft"},
    "stats": {FACE, "advice", "stats"},
    "compression": {FACE, "advice", "compression", "data", "layers", "models"},
    "sklearn": {FACE},
    "timing": {FACE},
    "demo": {FACE, "demo", "timing"},
    "bench": {FACE, "bench", "timing"},
    "doctor": {FACE, "backends", "ir", "timing"},  # the record of this machine
    "__main__": {FACE, "errors", "demo", "bench", "doctor", "backends"},  # the cache that it reports on is the backend's own
}

# Packages from elsewhere -> the files that may import them; numpy may be imported anywhere.
ELSEWHERE = {
    "networkx": ("ir/", "passes/"),
    "opt_einsum": ("ops/einsum",),
    "numba": ("backends/numba/",),
    "llvmlite": ("backends/llvm/", "backends/numba/"),
    "matplotlib": ("demo", "bench", "models/history"),
    "mlxtend": ("demo",),
    "tqdm": ("demo", "bench", "models/progress", "progress.py"),
    "ml_dtypes": ("ir/types.py", "export/loader.py"),
    "sklearn": ("sklearn.py",),
    "optuna": ("models/pruning.py",),
    "onnx": ("onnx/",),
    "mpi4py": ("ir/world.py",),
}


def place(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def room(module: str) -> str:
    """The room of a module: graphc.ops.tensor is in ops."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def room_of(file: Path) -> str:
    return file.relative_to(ROOT).parts[0].removesuffix(".py")


def statements(tree: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """Every import that runs: all but those under `if TYPE_CHECKING`."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            todo += node.orelse
            continue
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield node
        todo += ast.iter_child_nodes(node)


def imported(file: Path) -> Iterator[str]:
    """The modules that a file imports, as dotted names; `from graphc import x` counts as graphc.x."""
    package = ["graphc", *file.relative_to(ROOT).parent.parts]
    for node in statements(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
            continue
        base = ".".join(package[: len(package) - node.level + 1] if node.level else [])
        module = ".".join(filter(None, [base, node.module or ""]))
        yield from (f"{module}.{alias.name}" for alias in node.names) if module == "graphc" else [module]


@pytest.mark.parametrize("file", FILES, ids=place)
def test_imports_go_down_only(file: Path) -> None:
    allowed = FLOORS[room_of(file)]
    for module in imported(file):
        if module.split(".")[0] != "graphc":
            continue
        to = room(module)
        if to not in FLOORS or to == "__init__":
            to = FACE
        assert to in allowed, f"{place(file)} imports {module}; {room_of(file)} may import {sorted(allowed)}"


# Packages that files of theirs import for the names they will hold when a function runs.
NAMESPACES = {
    "graphc": "",  # the public face, on which libraries stand that it shows
    "graphc.ops": "graphc.ops",  # the vocabulary: gradient rules of its files name each other's operations
    "graphc.array_api": "graphc.array_api",  # what an array of the Array API must give as its namespace
}


def module_of(file: Path) -> str:
    parts = ("graphc", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_between(sources: dict[str, ast.AST], packages: set[str]) -> nx.DiGraph:
    """Which module imports which, inside functions too; not the namespaces."""
    graph = nx.DiGraph()
    for module, tree in sources.items():
        parts = module.split(".")
        package = parts if module in packages else parts[:-1]
        for node in statements(tree):
            if isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            else:
                base = ".".join(package[: len(package) - node.level + 1] if node.level else [])
                whole = ".".join(filter(None, [base, node.module or ""]))
                targets = [f"{whole}.{alias.name}" if f"{whole}.{alias.name}" in sources else whole for alias in node.names]
            for to in targets:
                if to in sources and not (to in NAMESPACES and module.startswith(NAMESPACES[to])):
                    graph.add_edge(module, to)
    return graph


def circles(graph: nx.DiGraph) -> list[list[str]]:
    """A circle of each set of modules that import each other."""
    found = (c for c in nx.strongly_connected_components(graph) if len(c) > 1 or graph.has_edge(*2 * tuple(c)))
    return [[a for a, _ in nx.find_cycle(graph.subgraph(c))] for c in found]


def test_no_files_import_each_other() -> None:
    sources = {module_of(file): ast.parse(file.read_text()) for file in FILES}
    packages = {module_of(file) for file in FILES if file.name == "__init__.py"}
    graph = imports_between(sources, packages)
    assert len(graph) > 250
    assert circles(graph) == []


def test_the_check_of_circles_sees_what_it_must() -> None:
    texts = {
        "graphc.ir": "from graphc.ir.text import show",
        "graphc.ir.graph": "def f():\n    from graphc.ir import text",
        "graphc.ir.text": "from .graph import Graph",
        "graphc.ir.types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from graphc.ir.text import show",
        "graphc.nn": "from graphc import mean\nimport graphc.ir.types",
        "graphc": "from graphc.nn import relu",
    }
    graph = imports_between({name: ast.parse(text) for name, text in texts.items()}, {"graphc", "graphc.ir", "graphc.nn"})
    assert sorted(*circles(graph)) == ["graphc.ir.graph", "graphc.ir.text"]


@pytest.mark.parametrize("file", FILES, ids=place)
def test_other_packages_are_imported_where_they_belong(file: Path) -> None:
    for module in imported(file):
        package = module.split(".")[0]
        if package in sys.stdlib_module_names or package in ("graphc", "numpy"):
            continue
        assert package in ELSEWHERE, f"{place(file)} imports {module}: not among the dependencies"
        assert place(file).startswith(ELSEWHERE[package]), f"{place(file)} imports {module}"


NATIVE = [file for file in FILES if place(file).startswith(("backends/llvm/", "backends/numba/"))]


def private_names(tree: ast.AST) -> Iterator[str]:
    """Names with an underscore asked of something else than `self`, and what is imported from the inside of llvmlite or Numba."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=value, attr=attr) if attr.startswith("_") and not attr.endswith("__"):
                if ast.unparse(value) not in ("self", "cls"):
                    yield ast.unparse(node)
            case ast.ImportFrom(module=str(module), names=names) if module.split(".")[0] in ("llvmlite", "numba"):
                yield from (f"{module}.{n.name}" for n in names if module not in PUBLIC or n.name.startswith("_"))
            case ast.Import(names=names):
                yield from (n.name for n in names if n.name.split(".")[0] in ("llvmlite", "numba") and n.name not in PUBLIC)


PUBLIC = {"llvmlite", "numba", "numba.extending"}  # modules whose names are documented


@pytest.mark.parametrize("file", NATIVE, ids=place)
def test_native_code_is_made_by_public_names_alone(file: Path) -> None:
    assert not list(private_names(ast.parse(file.read_text())))


def test_the_check_of_private_names_sees_what_it_must() -> None:
    text = "from numba.core import cgutils\nfrom llvmlite import _x, ir\nimport llvmlite.binding.ffi\n"
    text += "f._library\nself._own\nf.__doc__"
    assert sorted(private_names(ast.parse(text))) == [
        "f._library", "llvmlite._x", "llvmlite.binding.ffi", "numba.core.cgutils",
    ]  # fmt: skip


def test_every_room_has_a_floor_and_every_floor_a_room() -> None:
    assert {room_of(f) for f in FILES} == set(FLOORS)


def test_the_check_of_imports_sees_what_it_must(tmp_path: Path) -> None:
    text = (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import numba\n"
        "def f():\n    from graphc import ops\n    import graphc.backends.llvm\n    from graphc.passes.fuse import fuse\n"
    )
    found = sorted(ast.unparse(s) for s in statements(ast.parse(text)))
    assert found == [
        "from graphc import ops",
        "from graphc.passes.fuse import fuse",
        "from typing import TYPE_CHECKING",
        "import graphc.backends.llvm",
    ]


def test_importing_graphc_imports_nothing_heavy() -> None:
    """The time is a matter of the machine; what is loaded is not."""
    code = "import sys, graphc; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    ).stdout.split()
    assert {"numpy", "networkx", "graphc"} <= set(loaded)
    code = "import sys, graphc; print(*(m for m in sys.modules if m.startswith('graphc.')))"
    rooms = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT.parent
    ).stdout.split()
    assert not {f"graphc.{room}" for room in ("data", "fft", "layers", "metrics", "models", "stats")} & set(rooms)
    assert not {"numba", "llvmlite", "matplotlib", "mlxtend", "scipy", "tqdm", "pandas", "sklearn", "IPython"} & set(loaded)


def test_the_interpreter_needs_no_numba() -> None:
    code = (
        "import sys, graphc as gx; x = gx.placeholder('x', (2,));"
        "gx.compile([x], x + 1, backend='interpreter')([1.0, 2.0]); assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT.parent)


# --- no pass and no backend asks which operation a node is ------------------------------------------------------------

KNOW_NAMES = {"passes/fold_constants.py", "passes/simplify.py"}  # constants, and the text of rules


def name_questions(tree: ast.AST) -> list[int]:
    """Lines that use `.op.name`, or compare `.op`, outside of text made for people."""
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            node.values = []  # what is printed decides nothing
    lines = []
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr="name", value=ast.Attribute(attr="op")):
                lines.append(node.lineno)
            case ast.Compare(left=left, comparators=others) if ast.unparse(others[-1]) != "None":
                if any(isinstance(side, ast.Attribute) and side.attr == "op" and of_node(side) for side in (left, *others)):
                    lines.append(node.lineno)
            case ast.MatchClass(cls=ast.Name(id="Node" | "Operation"), kwd_attrs=attrs) if "name" in attrs:
                lines.append(node.lineno)
    return lines


def of_node(attribute: ast.Attribute) -> bool:
    """`node.op`, not the scalar operation of a statement."""
    return isinstance(attribute.value, ast.Name) and attribute.value.id in ("node", "n", "given", "producer", "user", "root")


@pytest.mark.parametrize(
    "file", [f for f in FILES if room_of(f) in ("passes", "backends") and place(f) not in KNOW_NAMES], ids=place
)
def test_passes_and_backends_do_not_ask_for_names(file: Path) -> None:
    assert name_questions(ast.parse(file.read_text())) == [], "match on node.op.lowering instead"


def test_the_check_of_names_sees_what_it_must() -> None:
    assert name_questions(ast.parse('if node.op.name == "exp": pass')) == [1]
    assert name_questions(ast.parse("names = {exp: 1}[node.op.name]")) == [1]
    assert name_questions(ast.parse("if node.op is exp: pass")) == [1]
    assert name_questions(ast.parse('raise GraphError(f"{node.op.name} has no gradient")')) == []
    assert name_questions(ast.parse("match node.op.lowering:\n    case Reduction(): pass")) == []
