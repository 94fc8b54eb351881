"""Training on ranks against threads, and against torch's DistributedDataParallel: python benchmarks/distributed.py [--json F]

    --ranks N       ranks of one thread each, against one rank of N threads (2)
    --seconds S     how long each figure is measured, in each of three turns (2)
    --networks ...  of cnn gpt

The batch of all ranks together is the same everywhere. graphc exchanges by MPI, torch by gloo, each between processes of this
machine. The parts of a step: what a rank computes when it has its share of the batch and exchanges nothing (all ranks at once,
so that they disturb each other as much), and the exchange alone. Overhead is the step over the sum of its parts. The extras
`mpi` and `peers` install what is needed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.workloads import cnn, gpt
from benchmarks.workloads.cnn import CNN, cross_entropy, torch_cross_entropy
from benchmarks.workloads.gpt import Shape, logits, torch_logits
from benchmarks.workloads.training import BETA1, BETA2, EPS, MOMENTUM, RATE, SPEED
from graphc.timing import load_note

ROOT = Path(__file__).parent.parent
NETWORKS = {"cnn": (cnn, 64), "gpt": (gpt, 16)}
# what is measured: (ranks more than one?, what a rank does)
WAYS = {
    "graphc, threads": (False, "graphc"), "graphc, ranks": (True, "fast"), "graphc, ranks, same bits": (True, "exact"),
    "computing alone": (True, "alone"), "exchange alone": (True, "exchange"),
    "torch, threads": (False, "torch"), "torch, DistributedDataParallel": (True, "ddp"),
}  # fmt: skip

RATIOS = ("torch over graphc", "threads over ranks", "same bits over fast", "overhead")


# --- what a rank does ----------------------------------------------------------------------------------------------------


def graphc_call(network: str, what: str, blocks: int) -> Callable[[], Any]:
    import graphc as gx

    build, batch = NETWORKS[network]
    alone = what == "graphc"
    rank, size = (0, 1) if alone else (gx.distributed.rank(), gx.distributed.size())
    x, t, p = build(batch).arrays()
    rows = slice(rank * batch // size, (rank + 1) * batch // size)
    variables = {name: gx.variable(a, name=name) for name, a in p.items()}
    sx = gx.placeholder("x", ("batch", *x.shape[1:]), str(x.dtype))
    st = gx.placeholder("t", ("batch", *t.shape[1:]), str(t.dtype))
    by_network = {
        "cnn": lambda: cross_entropy(CNN, variables, sx, st),
        "gpt": lambda: gx.nn.cross_entropy(logits(Shape(), variables, sx), st),
    }
    loss = by_network[network]()

    def updates(loss: gx.Tensor, variables: Any) -> Any:
        if network == "cnn":
            return gx.optim.momentum(loss, variables, SPEED, beta=MOMENTUM)
        return gx.optim.adam(loss, variables, RATE, beta1=BETA1, beta2=BETA2, eps=EPS)

    weights = list(variables.values())
    if what == "exchange":
        step = gx.compile([], gx.distributed.all_reduce(weights, "mean"))
        return step
    if what in ("fast", "exact"):
        loss, made = gx.distributed.data_parallel(loss, weights, updates, blocks, exact=what == "exact", inputs=[sx, st])
    else:
        made = updates(loss, weights)
    step = gx.compile([sx, st], loss, updates=made)
    mine = np.ascontiguousarray(x[rows]), np.ascontiguousarray(t[rows])
    return lambda: step(*mine)


def torch_call(network: str, rank: int, size: int) -> Callable[[], Any]:
    import torch
    import torch.nn.functional as F

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    build, batch = NETWORKS[network]
    x, t, p = build(batch).arrays()
    rows = slice(rank * batch // size, (rank + 1) * batch // size)
    given = torch.from_numpy(np.ascontiguousarray(x[rows])), torch.from_numpy(np.ascontiguousarray(t[rows]))
    value_of = torch_cross_entropy(CNN) if network == "cnn" else None
    shape = Shape()

    class Network(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.names = list(p)
            self.weights = torch.nn.ParameterList([torch.nn.Parameter(torch.tensor(a)) for a in p.values()])

        def forward(self, x: Any, t: Any) -> Any:
            v = dict(zip(self.names, self.weights, strict=True))
            if value_of is not None:
                return value_of(v, x, t)
            return F.cross_entropy(torch_logits(shape, v, x).view(-1, shape.vocabulary), t.view(-1))

    model: Any = Network()
    if size > 1:
        torch.distributed.init_process_group("gloo", rank=rank, world_size=size)
        model = torch.nn.parallel.DistributedDataParallel(model, gradient_as_bucket_view=True)
    if network == "cnn":
        update: Any = torch.optim.SGD(model.parameters(), SPEED, MOMENTUM, fused=True)
    else:
        update = torch.optim.Adam(model.parameters(), RATE, (BETA1, BETA2), EPS, fused=True)

    def call() -> Any:
        update.zero_grad(set_to_none=size == 1)
        value = model(*given)
        value.backward()
        update.step()
        return float(value.detach())

    return call


def rank(network: str, what: str, blocks: int, seconds: float) -> None:
    """What a process of a figure does; the first one prints the median seconds of a step, and the loss of the last."""
    here, size = int(os.environ.get("RANK", os.environ.get("PMI_RANK", "0"))), int(os.environ.get("RANKS", "1"))
    call = torch_call(network, here, size) if what in ("torch", "ddp") else graphc_call(network, what, blocks)
    for _ in range(3):
        call()
    start = time.perf_counter()
    call()
    count = max(10, int(seconds / (time.perf_counter() - start + 1e-9)))
    if size > 1:
        count = _agreed(what, count)
    found = []
    for _ in range(count):
        start = time.perf_counter()
        value = call()
        found.append(time.perf_counter() - start)
    if here == 0:
        last: Any = value[0] if isinstance(value, list) else value
        print(json.dumps({"seconds": median(found), "count": count, "value": float(np.ravel(last)[0])}))
    if what == "ddp":
        import torch

        torch.distributed.destroy_process_group()


def _agreed(what: str, count: int) -> int:
    """The count of rank 0, on all."""
    if what == "ddp":
        import torch

        told = torch.tensor([count])
        torch.distributed.broadcast(told, 0)
        return int(told)
    from mpi4py import MPI

    return int(MPI.COMM_WORLD.bcast(count))


# --- the table -----------------------------------------------------------------------------------------------------------


def _free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def measure(network: str, way: str, ranks: int, blocks: int, seconds: float) -> dict[str, Any]:
    several, what = WAYS[way]
    threads = "1" if several else str(ranks)
    env = {**os.environ, "OMP_NUM_THREADS": threads, "GRAPHC_NUM_THREADS": threads, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, __file__, "--rank", network, what, str(blocks), str(seconds)]
    if what == "ddp":
        env |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "RANKS": str(ranks)}
        made = [subprocess.Popen(command, env={**env, "RANK": str(i)}, stdout=subprocess.PIPE, text=True) for i in range(ranks)]
        said, *_ = [p.communicate()[0] for p in made]
        failed = any(p.returncode for p in made)
    else:
        if several:
            launcher = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
            command = [launcher or "mpiexec", "-n", str(ranks), *command]
            env["RANKS"] = str(ranks)
        done = subprocess.run(command, env=env, stdout=subprocess.PIPE, text=True, check=False)
        said, failed = done.stdout, bool(done.returncode)
    if failed or not said.strip():
        raise SystemExit(f"{network}, {way}: a rank failed")
    found: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
    return found


def judged(network: str, figures: dict[str, dict[str, Any]]) -> dict[str, Any]:
    least = {way: found["seconds"] for way, found in figures.items()}
    ranks, torch = least["graphc, ranks"], least["torch, DistributedDataParallel"]
    parts = least["computing alone"] + least["exchange alone"]
    return {
        "network": network, "batch": NETWORKS[network][1], "seconds": least,
        "values": {way: found["value"] for way, found in figures.items() if "exchange" not in way},
        "torch over graphc": torch / ranks, "threads over ranks": least["graphc, threads"] / ranks,
        "same bits over fast": least["graphc, ranks, same bits"] / ranks, "overhead": ranks / parts - 1,
    }  # fmt: skip


def table(figures: dict[str, Any]) -> str:
    """The table of docs/scale.md."""
    lines = ["| | " + " | ".join(f"{row['network']}, batch {row['batch']}" for row in figures["rows"]) + " |"]
    lines.append("| --- |" + " ---: |" * len(figures["rows"]))
    for way in WAYS:
        lines.append(f"| {way} | " + " | ".join(f"{1e3 * row['seconds'][way]:.2f} ms" for row in figures["rows"]) + " |")
    for name in RATIOS:
        lines.append(f"| {name} | " + " | ".join(f"{row[name]:.2f}" for row in figures["rows"]) + " |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Ranks against threads, and against torch's ranks.")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--blocks", type=int, default=2, help="of the way with the same bits on any number of ranks (2)")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--networks", nargs="+", default=list(NETWORKS), choices=NETWORKS)
    parser.add_argument("--rank", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.rank is not None:
        network, what, blocks, seconds = given.rank
        rank(network, what, int(blocks), float(seconds))
        return 0
    if note := load_note():
        print(note)
    rows = []
    for network in given.networks:
        least: dict[str, dict[str, Any]] = {}
        for _ in range(3):
            for way in WAYS:
                found = measure(network, way, given.ranks, given.blocks, given.seconds)
                if way not in least or found["seconds"] < least[way]["seconds"]:
                    least[way] = found
        row = judged(network, least)
        rows.append(row)
        print(f"\n{network}, batch {row['batch']}, {given.ranks} ranks of one thread or one of {given.ranks}")
        for way, seconds in row["seconds"].items():
            print(f"  {way:32s} {1e3 * seconds:8.2f} ms   loss {row['values'].get(way, float('nan')):.6f}")
        for name in RATIOS:
            print(f"  {name:32s} {row[name]:8.3f}")
    if given.json is not None:
        figures = {"ranks": given.ranks, "blocks": given.blocks, "rows": rows}
        given.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
