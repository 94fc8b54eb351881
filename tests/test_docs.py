"""The documents: their Python runs, their diff applies, their links lead somewhere, their generated parts can be made.

A block that starts with ```python is part of one program with the file's other blocks; what stands in a plain block right after
one that prints is not compared. ```python kernel is generated kernel source: it is parsed, not run. ```python torch is run where
torch is at hand, by tests/onnx/test_page.py.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
_BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(path: Path, language: str) -> list[str]:
    return [text for found, text in _BLOCK.findall(path.read_text(encoding="utf-8")) if found.strip() == language]


_ROW = re.compile(r"^\|.*\| ([^|]*`[^|]*) \|$")


def rows(path: Path) -> list[str]:
    """The code in the last column of a page's tables, a text for each row."""
    found = [match[1] for line in path.read_text(encoding="utf-8").splitlines() if (match := _ROW.match(line))]
    return ["; ".join(re.findall(r"`([^`]+)`", re.sub(r" \(.*\)$", "", cell) if cell.endswith(")") else cell)) for cell in found]


def run(program: str, folder: Path, *paths: Path) -> str:
    """The output of a program in a process of its own: declarations of operations last as long as their process."""
    own = {k: v for k, v in os.environ.items() if k != "GRAPHC_TARGET"}  # documents speak of this machine
    environment = {**own, "PYTHONPATH": os.pathsep.join(map(str, (*paths, ROOT)))}
    file = folder / "document.py"
    file.write_text(program, encoding="utf-8")
    done = subprocess.run([sys.executable, str(file)], cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def named(path: Path) -> str:
    return path.name


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if blocks(p, "python")], ids=named)
def test_python_blocks_run(path: Path, tmp_path: Path) -> None:
    run("\n".join(blocks(path, "python")), tmp_path)
    if path.name == "README.md":
        assert (tmp_path / "step.dot").read_text(encoding="utf-8").startswith('digraph "graph" {')


@pytest.mark.parametrize("path", [p for p in DOCUMENTS if blocks(p, "python kernel")], ids=named)
def test_kernel_sources_are_python(path: Path) -> None:
    for text in blocks(path, "python kernel"):
        (function,) = ast.parse(text).body
        assert isinstance(function, ast.FunctionDef)


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("from-*.md")), ids=named)
def test_the_last_column_of_tables_runs(path: Path, tmp_path: Path) -> None:
    """Pages that say what lines of other libraries are here."""
    lines = rows(path)
    assert len(lines) >= 30
    run("\n".join([*blocks(path, "python"), *lines]), tmp_path)


def test_the_pass_prints_what_its_page_says(tmp_path: Path) -> None:
    path = ROOT / "docs" / "add-a-pass.md"
    first, output = blocks(path, "python")[0], blocks(path, "")[0]
    assert run(first, tmp_path) == output


# --- the diff that adds an operation --------------------------------------------------------------------------------


def hunks(diff: str) -> list[tuple[str, str, str]]:
    """(file, lines as they are, lines as they become) for each hunk."""
    found: list[tuple[str, str, str]] = []
    file = ""
    for part in re.split(r"^(?=@@|--- )", diff, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        if lines[0].startswith("--- "):
            file = lines[1].removeprefix("+++ b/")
            continue
        old = [line[1:] for line in lines[1:] if line[0] in " -"]
        new = [line[1:] for line in lines[1:] if line[0] in " +"]
        found.append((file, "\n".join(old), "\n".join(new)))
    return found


def test_the_diff_that_adds_an_operation_works(tmp_path: Path) -> None:
    """Applied to a copy of the package, which then has the operation."""
    (diff,) = blocks(ROOT / "docs" / "add-an-op.md", "diff")
    shutil.copytree(ROOT / "graphc", tmp_path / "graphc", ignore=shutil.ignore_patterns("__pycache__"))
    for file, old, new in hunks(diff):
        text = (tmp_path / file).read_text(encoding="utf-8")
        assert text.count(old) == 1, f"docs/add-an-op.md changes lines that are not in {file}; run python docs/generate.py\n{old}"
        (tmp_path / file).write_text(text.replace(old, new), encoding="utf-8")
    program = """
import numpy as np, graphc as gx
assert gx.__file__.startswith(PLACE)
x = gx.placeholder("x", ("n",), "float64")
f = gx.compile([x], [gx.rsqrt(x), gx.grad(gx.sum(gx.rsqrt(x)), x)])
y, slope = f(np.array([1.0, 4.0, 16.0]))
print(y.tolist(), slope.tolist(), gx.rsqrt(gx.constant([4])).dtype, gx.rsqrt(x).eval({x: [0.25]}).tolist())
"""
    assert run(program.replace("PLACE", repr(str(tmp_path))), tmp_path, tmp_path) == (
        "[1.0, 0.5, 0.25] [-0.5, -0.0625, -0.0078125] float64 [2.0]\n"
    )


# --- links ----------------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a file's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", _BLOCK.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_links_lead_somewhere(path: Path) -> None:
    text = _BLOCK.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if target.startswith("https://"):
            continue
        file, _, anchor = target.partition("#")
        goal = (path.parent / file).resolve() if file else path
        assert goal.exists(), f"{path.name}: {target}"
        assert goal.is_relative_to(ROOT)
        assert not anchor or anchor in anchors(goal), f"{path.name}: {target}"


@pytest.mark.parametrize("path", DOCUMENTS, ids=named)
def test_files_that_are_named_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for name in re.findall(r"`((?:graphc|tests|docs|examples)/[\w./-]+\.\w+)`", text):
        assert (ROOT / name).exists() or name == "docs/bench.json", f"{path.name}: {name}"


# --- the generator --------------------------------------------------------------------------------------------------

MEASURED = [
    {
        "workload": "softmax", "interpreted_ms": 12.345, "compiled_ms": 0.98765, "ratio": 12.4994, "kernels": 1, "arena_bytes": 0,
        "buffer_bytes": 4_194_304, "compile_s": 0.5,
    },
    {
        "workload": "mlp", "interpreted_ms": 1234.5, "compiled_ms": 0.01234, "ratio": 100_041.0, "kernels": 21,
        "arena_bytes": 2_500, "buffer_bytes": 999, "compile_s": 12.346,
    },
]  # fmt: skip


def test_the_table_of_measured_ratios(generate: ModuleType) -> None:
    assert generate.bench_table(MEASURED).splitlines()[2:] == [
        "| softmax | 12.3 | 0.988 | 12.5x | 1 | 0 B / 4.19 MB | 0.50 |",
        "| mlp | 1230 | 0.0123 | 100000x | 21 | 2.5 kB / 999 B | 12.35 |",
    ]


def test_the_table_is_made_from_the_file(generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "DOCS", tmp_path)
    assert generate.bench_block().startswith("Not measured yet")
    (tmp_path / "bench.json").write_text(json.dumps(MEASURED), encoding="utf-8")
    assert generate.bench_block() == generate.bench_table(MEASURED)


def test_blocks_are_filled(generate: ModuleType) -> None:
    text = "a\n<!-- generated: one -->\nold\n<!-- end -->\nb\n<!-- generated: two -->\n<!-- end -->\n"
    once = generate.fill(text, "one", "new\n")
    assert once == "a\n<!-- generated: one -->\nnew\n<!-- end -->\nb\n<!-- generated: two -->\n<!-- end -->\n"
    assert generate.fill(once, "one", "new") == once
    with pytest.raises(ValueError, match="there is no block <!-- generated: three -->"):
        generate.fill(text, "three", "new")


def test_the_vocabulary_is_complete(generate: ModuleType) -> None:
    rows = [line for line in generate.vocabulary().splitlines() if line.startswith("| `")]
    names = {row.split("`")[1] for row in rows}
    assert {op.name for op in generate.o.operations()} <= names
    assert not [row for row in rows if row.endswith("|  |")], "an operation without words"


def test_the_journey_shows_every_stage(generate: ModuleType) -> None:
    text = generate.journey()
    for name in ("declared", "simplify", "fuse", "expand_math", "plan_buffers"):
        assert re.search(rf"^## \d+\. {name}$", text, re.MULTILINE)
    assert generate.journey() == text
    assert blocks(ROOT / "docs" / "journey.md", "python")[0] == generate.JOURNEY


def test_a_page_that_is_out_of_date_is_found(
    generate: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("old\n", encoding="utf-8")
    monkeypatch.setattr(generate, "pages", lambda: {page: "new\n"})
    assert not generate.check()
    assert "-old\n+new\n" in capsys.readouterr().out
    page.write_text("new\n", encoding="utf-8")
    assert generate.check()
