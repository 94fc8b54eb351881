"""What is built works elsewhere: a wheel in an environment of its own, and a source archive with all that tests need."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
pytestmark = pytest.mark.skipif(importlib.util.find_spec("build") is None, reason="needs the package build")


def run(*command: str | Path, cwd: Path) -> str:
    given = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, cwd=cwd, env=given)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source archive and the wheel, which is built of that archive."""
    out = tmp_path_factory.mktemp("dist")
    source = tmp_path_factory.mktemp("source") / "graphc"
    ignored = ("__pycache__", ".git", ".venv", "build", "dist", "out", "*.egg-info", ".*_cache")

    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*ignored))
    run(sys.executable, "-m", "build", "--no-isolation", "--outdir", out, source, cwd=out)
    return out


PROGRAM = """
import numpy as np, graphc as gx
x = gx.placeholder("x", ("n", 3), "float32")
w = gx.variable(np.ones((3, 2), "float32"), name="w")
step = gx.compile([x], gx.sum(gx.nn.relu(x @ w)), updates={w: w * 2})
assert step(np.ones((4, 3), "float32")) == 24 and step(np.ones((5, 3), "float32")) == 60
gx.save("w.npz", step)
assert gx.load("w.npz")["w"].tolist() == [[4, 4]] * 3
print(gx.__file__)
"""


def test_the_wheel_works_in_an_environment_of_its_own(built: Path, tmp_path: Path) -> None:
    """NumPy, Numba and networkx are those that are here; graphc is the wheel's."""
    wheel = next(built.glob("*.whl"))
    venv.create(tmp_path / "env", with_pip=False)
    folder = "Scripts" if os.name == "nt" else "bin"
    python = tmp_path / "env" / folder / ("python.exe" if os.name == "nt" else "python")
    site = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=tmp_path).strip())
    run(sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", "--target", site, wheel, cwd=tmp_path)
    import numpy

    (site / "others.pth").write_text(str(Path(numpy.__file__).parent.parent))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert Path(run(python, "-c", PROGRAM, cwd=elsewhere).strip()).is_relative_to(site)


def test_what_the_wheel_holds(built: Path) -> None:
    with zipfile.ZipFile(next(built.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read(next(n for n in names if n.endswith("METADATA"))).decode()
    sources = {p.relative_to(ROOT).as_posix() for p in (ROOT / "graphc").rglob("*.py")}
    assert sources | {"graphc/py.typed"} <= names
    assert all(n.startswith(("graphc/", "graphc-")) for n in names)
    assert any(n.endswith("licenses/LICENSE") for n in names)
    assert "License-Expression: Apache-2.0" in metadata and "Classifier: Typing :: Typed" in metadata
    assert "Description-Content-Type: text/markdown" in metadata and "# graphc" in metadata


def test_what_the_source_archive_holds(built: Path) -> None:
    with tarfile.open(next(built.glob("*.tar.gz"))) as archive:
        names = {n.partition("/")[2] for n in archive.getnames()}
    folders = ("graphc", "tests", "docs", "examples", "benchmarks", ".ci")
    wanted = {p.relative_to(ROOT).as_posix() for f in folders for p in (ROOT / f).rglob("*") if p.is_file()}
    left = {n for n in wanted if "__pycache__" not in n and not n.endswith((".pyc", ".pyo"))}
    assert left | {"LICENSE", "README.md", "CONTRIBUTING.md", "Makefile", "pyproject.toml"} <= names


def test_the_licence_is_the_one_that_is_named() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text
    assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["license"] == "Apache-2.0"
