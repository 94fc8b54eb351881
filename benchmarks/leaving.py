"""What programs take once they have left Python: WebAssembly in node and wasmtime, and object code, against native code.

    python benchmarks/leaving.py [--rounds N]

One thread everywhere. Contenders take turns, and the least time of each is given, a call with its copies of arrays included (but
in wasmtime, where the program alone is called). Needs zig (pip install 'graphc[export]') and node;
wasmtime too if it is there (pip install wasmtime).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx

Array = np.ndarray[Any, Any]

# Told a number on a line, it calls the program so often and answers with milliseconds for each.
NODE = """\
import { createInterface } from "node:readline";
import { readFileSync } from "node:fs";
const { load } = await import(process.argv[2]);
const program = await load(), inputs = JSON.parse(readFileSync(process.argv[3]));
for (const [name, [type, values]] of Object.entries(inputs)) inputs[name] = globalThis[type].from(values);
for await (const line of createInterface({ input: process.stdin })) {
  const start = performance.now();
  for (let i = 0; i < Number(line); ++i) program.run(inputs);
  console.log((performance.now() - start) / Number(line));
}
"""


def mlp_step(target: str | None = None) -> gx.Compiled:
    rng = np.random.default_rng(0)
    x, y = gx.placeholder("x", ("rows", 784), "float32"), gx.placeholder("y", ("rows",), "int32")
    sizes, h, weights = (784, 512, 512, 10), x, []
    for i, (a, b) in enumerate(pairwise(sizes)):
        weights += [
            gx.variable((rng.normal(size=(a, b)) / np.sqrt(a)).astype("float32"), name=f"w{i}"),
            gx.variable(np.zeros(b, "float32"), name=f"b{i}"),
        ]
        h = h @ weights[-2] + weights[-1]
        h = gx.nn.relu(h) if i < 2 else h
    loss = gx.nn.cross_entropy(h, y)
    return gx.compile([x, y], loss, updates=gx.optim.adam(loss, weights, lr=1e-3), name="step", target=target)


def cnn(target: str | None = None) -> gx.Compiled:
    rng = np.random.default_rng(0)
    h: Any = gx.placeholder("x", ("rows", 28, 28, 1), "float32")
    x = h
    for shape in ((3, 3, 1, 16), (3, 3, 16, 32)):
        w = gx.variable((rng.normal(size=shape) / np.sqrt(np.prod(shape[:3]))).astype("float32"), name=f"k{shape[2]}")
        h = gx.nn.max_pool(gx.nn.relu(gx.nn.conv(h, w, padding="same", layout="NHWC")), 2, layout="NHWC")
    last = gx.variable((rng.normal(size=(1568, 10)) / 40).astype("float32"), name="last")
    return gx.compile([x], gx.nn.softmax(gx.reshape(h, (gx.dim("rows"), 1568)) @ last), name="cnn", target=target)


def in_python(f: Callable[..., Any], arrays: dict[str, Array]) -> Callable[[int], float]:
    values = list(arrays.values())

    def timed(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            f(*values)
        return (time.perf_counter() - start) / count * 1e3

    return timed


def in_node(folder: Path, name: str, arrays: dict[str, Array]) -> tuple[Callable[[int], float], subprocess.Popen[str]]:
    from graphc.export.wasm.script import ARRAYS

    (folder / "time.mjs").write_text(NODE)
    told = {n: [ARRAYS[a.dtype.name], a.ravel().tolist()] for n, a in arrays.items()}
    (folder / "inputs.json").write_text(json.dumps(told))
    command = ["node", str(folder / "time.mjs"), str(folder / f"{name}.mjs"), str(folder / "inputs.json")]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin is not None and process.stdout is not None

    def timed(count: int) -> float:
        print(count, file=process.stdin, flush=True)
        assert process.stdout is not None
        return float(process.stdout.readline())

    return timed, process


def in_wasmtime(folder: Path, name: str, arrays: dict[str, Array]) -> Callable[[int], float] | None:
    try:
        import wasmtime
    except ImportError:
        return None
    described = json.loads((folder / f"{name}.json").read_text())
    store = wasmtime.Store()
    made: Any = wasmtime.Instance(store, wasmtime.Module(store.engine, (folder / f"{name}.wasm").read_bytes()), []).exports(store)
    memory, top = made["memory"], made["__heap_base"].value(store)
    rows = next(iter(arrays.values())).shape[0]

    def place(content: bytes) -> int:
        nonlocal top
        at, top = -(-top // 64) * 64, -(-top // 64) * 64 + len(content)
        while top > memory.data_len(store):
            memory.grow(store, 256)
        memory.write(store, content, at)
        return int(at)

    def room(member: Any) -> bytes:
        count = int(np.prod([eval(n, {"rows": rows, "max": max}) for n in member["shape"]]))
        return bytes(count * np.dtype(member["dtype"]).itemsize)

    args = [place(np.int32(rows).tobytes())]
    for group in ("inputs", "outputs", "variables"):
        places = [place(arrays[m["name"]].tobytes() if group == "inputs" else room(m)) for m in described[group]]
        if places:
            args.append(place(np.array(places, np.uint32).tobytes()))
    need = made[f"{name}_arena_bytes"](store, args[0])
    args += [place(bytes(need)), need]
    entry = made[name]

    def timed(count: int) -> float:
        start = time.perf_counter()
        for _ in range(count):
            assert entry(store, *args) == 0
        return (time.perf_counter() - start) / count * 1e3

    return timed


def main(rounds: int = 12) -> None:
    gx.set_num_threads(1)
    rng = np.random.default_rng(1)
    rows: list[str] = []
    for title, make, name, arrays, count in (
        ("step of training, 784-512-512-10, Adam, 32 rows", mlp_step, "step",
         {"x": rng.random((32, 784), dtype="float32"), "y": rng.integers(0, 10, 32).astype("int32")}, 4),
        ("the same, 128 rows", mlp_step, "step",
         {"x": rng.random((128, 784), dtype="float32"), "y": rng.integers(0, 10, 128).astype("int32")}, 2),
        ("CNN, 16 and 32 filters of 3x3, 32 images", cnn, "cnn", {"x": rng.random((32, 28, 28, 1), dtype="float32")}, 8),
    ):  # fmt: skip
        with tempfile.TemporaryDirectory() as scratch:
            wasm, native = Path(scratch) / "wasm", Path(scratch) / "object"
            f = make()
            f.export(wasm, language="wasm", weights=None)
            size = (wasm / f"{name}.wasm").stat().st_size
            f.export(native, language="object", weights="array")
            node, process = in_node(wasm, name, arrays)
            contenders: dict[str, Callable[[int], float] | None] = {
                "native": in_python(f, arrays), "x86-64-v2": in_python(make("x86-64-v2"), arrays),
                "object": in_python(gx.load_exported(native), arrays), "node": node, "wasmtime": in_wasmtime(wasm, name, arrays),
            }  # fmt: skip
            least = dict.fromkeys(contenders, float("inf"))
            try:
                for step in range(rounds + 2):  # two to warm up
                    for contender, timed in contenders.items():
                        took = float("nan") if timed is None else timed(count)
                        if step >= 2 or timed is None:
                            least[contender] = min(least[contender], took)
            finally:
                process.terminate()
                process.wait()
            base = least["native"]
            cells = [f"{least[c]:.2f}" + (f" ({base / least[c]:.0%})" if c != "native" else "") for c in contenders]
            rows.append(f"| {title} | {' | '.join(cells)} | {size / 1000:.0f} kB |")
    heads = ("native, this machine", "native, x86-64-v2", "object code", "node", "wasmtime", "module")
    print(f"| one thread, ms (of native speed) | {' | '.join(heads)} |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    print("\n".join(rows))


if __name__ == "__main__":
    if shutil.which("node") is None:
        sys.exit("node is not installed")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    main(parser.parse_args().rounds)
