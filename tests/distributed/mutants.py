"""Faults put into the rules that keep ranks in step, one at a time: each must be found by a test.

    python tests/distributed/mutants.py

A copy of the package is changed, and the tests that need one rank run on it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
TESTS = ("tests/distributed/test_collectives.py", "tests/test_cases.py")


class Mutant(NamedTuple):
    file: str
    old: str
    new: str
    what: str


MUTANTS = (
    Mutant("ir/graph.py", "numbered.sort(key=lambda pair: pair[0])", "pass", "nodes are not in the order of their numbers"),
    Mutant("compile/declaring.py", "return numbered(graph)", "return graph", "numbers count what was declared before"),
    Mutant("passes/fusion/plan.py", "if node in self.after:", "if False:", "a small collective's kernel goes first"),
    Mutant("ir/operation.py", "Host | Collective | While | Sized)", "Host | While | Sized)", "what is constant is computed once"),
    Mutant("passes/plan_buffers.py", "isinstance(c.kernel, ir.HostCall | ir.Collective)", "isinstance(c.kernel, ir.HostCall)",
           "variables are written before the last wait"),
    Mutant("passes/overlap_collectives.py", 'return [] if called.waits else ["exchange"]', "return []", "starts change places"),
    Mutant("passes/overlap_collectives.py", "return 2 if waits else 0", "return 0", "waits are not late"),
    Mutant("passes/overlap_collectives.py", "needed.update(read.get(name, ()))", "pass", "what is read is written over"),
    Mutant("passes/join_collectives.py", 'node.attrs.get("group", -1)', 'first.attrs.get("group")', "what is apart is joined"),
    Mutant("passes/join_collectives.py", "node.type.dtype, node", "first.type.dtype, node", "types are joined"),
    Mutant("passes/join_collectives.py", "not one.type.is_static or", "", "unknown sizes are joined"),
    Mutant("distributed/collectives.py", "for leaf in reversed(leaves)]", "for leaf in leaves]", "the first layer goes first"),
    Mutant("ir/verify_program.py", "if kernel.order <= last:", "if kernel.order < last:", "a number is started twice"),
    Mutant("ir/verify_program.py", "if made in call.buffers:", "if False:", "what nobody waited for is read"),
    Mutant("ir/verify_program.py", "if start.buffers != call.buffers:", "if False:", "a wait has other buffers"),
)  # fmt: skip


def survives(mutant: Mutant, folder: Path) -> bool:
    """Whether all tests pass on a copy with the fault."""
    file = folder / "graphc" / mutant.file
    text = file.read_text()
    assert text.count(mutant.old) == 1, f"{mutant.file} has not {mutant.old!r} once"
    file.write_text(text.replace(mutant.old, mutant.new))
    environment = {**os.environ, "PYTHONPATH": str(folder), "GRAPHC_PROGRAMS": "0"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *TESTS]
    command += ["-k", "(test_collectives or collectives) and not ranks_exchange and not wait_asks"]
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    file.write_text(text)
    return ran.returncode == 0


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for name in ("graphc", "tests"):
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", folder)
        sound = Mutant("ir/graph.py", "class Graph(Printed):", "class Graph(Printed):", "")
        assert survives(sound, folder), "tests fail without a fault"
        alive = [mutant.what for mutant in MUTANTS if survives(mutant, folder)]
    print(f"{len(MUTANTS) - len(alive)} of {len(MUTANTS)} faults found{''.join(f'; not: {what}' for what in alive)}")
    sys.exit(bool(alive))


if __name__ == "__main__":
    main()
