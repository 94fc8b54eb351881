"""Random graphs exported, run where they go, and compared: tests/export_built.py --graphs N --seed S --language wasm|object

WebAssembly is run by node, through the script that is exported with it; object code by the loader that is. Results and variables
are those of the native backend, bit for bit, but that one NaN is like another: for WebAssembly those of a program for `generic`,
which has no fused multiply-add either. The graphs are those of tests/fuzz.py; what cannot be exported is counted.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzzing.case import Case  # noqa: E402
from fuzzing.comparing import same_bits  # noqa: E402
from fuzzing.exporting import add_graphs, compare_exported  # noqa: E402

import graphc as gx  # noqa: E402
from graphc.backends.interpreter import leaf_value  # noqa: E402

Array = np.ndarray[Any, Any]
NODE = shutil.which("node")
HAS_ZIG = importlib.util.find_spec("ziglang") is not None or shutil.which("zig") is not None
TARGETS = {"wasm": "generic", "object": None}  # whose bits they are

# Reads {name, sizes, calls: [[[input, array, count], ...], ...]} and the bytes of inputs; writes outputs and variables.
RUNNER = """\
import { readFileSync, writeSync } from "node:fs";
import { pathToFileURL } from "node:url";
const [folder, told] = process.argv.slice(2);
const { name, sizes, inputs, repeat } = JSON.parse(told);
const { load } = await import(pathToFileURL(`${folder}/${name}.mjs`));
const program = await load();
const bytes = readFileSync(0);
const given = {};
let at = 0, results;
for (const [input, array, count] of inputs) {
  const type = globalThis[array], size = count * type.BYTES_PER_ELEMENT;
  given[input] = new type(bytes.buffer.slice(bytes.byteOffset + at, bytes.byteOffset + at + size));
  at += size;
}
for (let i = 0; i < repeat; ++i) results = program.run(given, sizes);
for (const values of [...Object.values(results), ...Object.values(program.variables)]) {
  const all = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  for (let done = 0; done < all.length;) done += writeSync(1, all, done);
}
"""


def run_wasm(
    folder: Path, arrays: Mapping[str, Array], sizes: Mapping[str, int], results: Sequence[Array], variables: Mapping[str, Array],
    repeat: int = 1,
) -> None:  # fmt: skip
    """Run the program of a folder in node; `results` and `variables` are written."""
    from graphc.export.wasm.script import ARRAYS

    described = json.loads(next(folder.glob("*.json")).read_text())
    types = {m["name"]: ARRAYS[m["dtype"]] for m in described["inputs"]}
    (folder / "runner.mjs").write_text(RUNNER)
    told = {
        "name": described["name"], "sizes": {s["member"]: sizes[s["name"]] for s in described["sizes"]}, "repeat": repeat,
        "inputs": [[name, types[name], a.size] for name, a in arrays.items()],
    }  # fmt: skip
    sent = b"".join(np.ascontiguousarray(a).tobytes() for a in arrays.values())
    done = subprocess.run([str(NODE), str(folder / "runner.mjs"), str(folder), json.dumps(told)], input=sent, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()[:1500]
    offset = 0
    for a in (*results, *(variables[described["saved"][m["name"]]] for m in described["variables"])):
        a[...] = np.frombuffer(done.stdout[offset : offset + a.nbytes], a.dtype).reshape(a.shape)
        offset += a.nbytes
    assert offset == len(done.stdout)


def check(case: Case, folder: Path, language: str, compiler: str | None = None) -> str | None:
    """What is wrong with the exported program of a graph; None if nothing is. InputError where it cannot be exported."""
    graph = case.graph
    run = gx.compile(graph.inputs, graph.outputs, graph.updates, target=TARGETS[language], name="program")
    run.export(folder, language=language, compiler=compiler)
    described = json.loads((folder / "program.json").read_text())
    initial = {v: a.copy() for v, a in case.state.items()}
    state = {name: v.value.copy() for name, v in run.variables.items()}
    arrays = {m["name"]: a for m, a in zip(described["inputs"], case.values, strict=True)}
    if language == "object":
        loaded = gx.load_exported(folder)
        got = loaded(**arrays)
        state |= {name: a.copy() for name, a in loaded.variables.items()}
    want = [np.asarray(b) for b in run(*case.values)]
    new = {name: v.value.copy() for name, v in run.variables.items()}
    if language == "wasm":
        got = [np.empty_like(b) for b in want]
        run_wasm(folder, arrays, case.sizes, got, state)
    for v, a in initial.items():
        leaf_value(v, {})[...] = a
    for k, (a, b) in enumerate(zip(got, want, strict=True)):
        if not same_bits(a, b):
            return f"result {k}: {a.ravel()[:8]} where native code has {b.ravel()[:8]}"
    for name, b in new.items():
        if not same_bits(state[name], b):
            return f"variable {name}: {state[name].ravel()[:8]} where native code has {b.ravel()[:8]}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_graphs(parser)
    parser.add_argument("--language", choices=tuple(TARGETS), default="wasm")
    parser.add_argument("--compiler", help="instead of zig")
    parser.add_argument("--keep", type=Path, help="write the files here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:

        def different(case: Case, index: int) -> str | None:
            return check(case, (options.keep or Path(scratch)) / str(index), options.language, options.compiler)

        return compare_exported(different, options)


if __name__ == "__main__":
    sys.exit(main())
