"""The constants of benchmarks/scale.py, measured on this machine: messages, sums, TCP, and the kernels of the networks.

`mpiexec -n N python benchmarks/scale_constants.py` is what ranks run: messages between the first two, and sums over all; with the
name of a network a step of its training, with the gradients summed over all ranks, and without.
"""

from __future__ import annotations

import inspect
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT))

Figures = dict[str, Any]
SIZES = (8, 512, 4096, 32768, 262144, 1 << 20, 1 << 22, 1 << 24)  # bytes of messages
SUMS = (4096, 262144, 1 << 20, 1 << 22, 1 << 24)  # bytes of all_reduce
IMAGES = 64


def timed(call: Callable[[], object], count: int, turns: int = 9) -> float:
    """The least over turns of the seconds of a call: that of a machine at rest, where it was not always."""
    call()
    found = []
    for _ in range(turns):
        start = time.perf_counter()
        for _ in range(count):
            call()
        found.append((time.perf_counter() - start) / count)
    return min(found)


# --- ranks ---------------------------------------------------------------------------------------------------------------


def rank() -> None:
    """What a rank does: ping-pong of ranks 0 and 1, then sums of all; rank 0 prints the seconds as JSON."""
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    messages: list[tuple[int, float]] = []
    for size in SIZES if comm.size == 2 else ():
        x = np.zeros(size, np.uint8)
        y = np.zeros(size, np.uint8)
        other = 1 - comm.rank

        def there_and_back(x: Any = x, y: Any = y, other: int = other) -> None:
            if comm.rank == 0:
                comm.Send(x, other)
                comm.Recv(y, other)
            else:
                comm.Recv(y, other)
                comm.Send(x, other)

        messages.append((size, timed(there_and_back, max(5, min(500, (1 << 23) // size))) / 2))
    sums = _sums(comm)
    if comm.rank == 0:
        print(json.dumps({"messages": messages, "sums": sums}))


def _sums(comm: Any) -> list[tuple[int, float]]:
    """The seconds of sums of all ranks, by bytes."""
    found = []
    for size in SUMS:
        a, b = np.zeros(size // 4, np.float32), np.zeros(size // 4, np.float32)
        count = max(2, min(50, (1 << 23) // size))
        found.append((size, timed(lambda a=a, b=b: comm.Allreduce(a, b), count)))  # type: ignore[misc]
    return found


def between_ranks() -> Figures:
    """alpha and beta of messages in shared memory, and the seconds of sums of 2 and 4 ranks."""
    found: Figures = {}
    for n in (2, 4):
        got = on_ranks(n)
        found[f"sums_{n}"] = got["sums"]
        if n == 2:
            found["messages"] = got["messages"]
            found["alpha"], found["beta"] = fit(got["messages"])
    return found


def fit(messages: list[tuple[int, float]]) -> tuple[float, float]:
    """alpha and beta of the least relative squares."""
    sizes, seconds = np.array(messages, float).T
    rows = np.stack([1 / seconds, sizes / seconds], axis=1)
    (alpha, beta), *_ = np.linalg.lstsq(rows, np.ones(len(seconds)), rcond=None)
    return float(alpha), float(beta)


def sum_of_a_byte() -> float:
    """gamma: seconds of a byte of x in x += y."""
    x, y = np.zeros(1 << 21, np.float32), np.zeros(1 << 21, np.float32)
    return timed(lambda: np.add(x, y, out=x), 20) / x.nbytes


def tcp_work(total: int = 1 << 30) -> float:
    """Seconds of a processor for a byte that goes out and one that comes in by TCP: both ends of a connection of this machine."""
    server = socket.create_server(("127.0.0.1", 0))
    pid = os.fork()
    if pid == 0:
        out = socket.create_connection(server.getsockname())
        block = memoryview(bytes(1 << 18))
        for _ in range(total // len(block)):
            out.sendall(block)
        out.close()
        os._exit(0)
    there, _ = server.accept()
    room = bytearray(1 << 18)
    before = time.process_time()
    while there.recv_into(room):
        pass
    receiving = time.process_time() - before
    _, _, usage = os.wait4(pid, 0)
    return (receiving + usage.ru_utime + usage.ru_stime) / total


# --- kernels -----------------------------------------------------------------------------------------------------------


def network(name: str) -> tuple[list[Any], Any, list[Any], tuple[Any, ...], int]:
    """Inputs, loss, the layers' weights, arrays for the inputs, and the first layer's line: each has one of its own."""
    import graphc as gx

    rng = np.random.default_rng(0)

    def weights(*shapes: tuple[int, ...]) -> list[Any]:
        made = [rng.standard_normal(s).astype("float32") * np.float32((2 / np.prod(s[:-1])) ** 0.5) for s in shapes]
        return [gx.variable(a, name=f"w{i}") for i, a in enumerate(made)]

    t = gx.placeholder("t", ("batch",), "int64")
    if name == "cnn":
        w = weights((3, 3, 3, 32), (3, 3, 32, 64), (3, 3, 64, 128), (128, 10))
        x = gx.placeholder("x", ("batch", 32, 32, 3), "float32")
        first = _line() + 1
        h = gx.nn.relu(gx.nn.conv(x, w[0], layout="NHWC", padding="same"))
        h = gx.nn.relu(gx.nn.conv(h, w[1], layout="NHWC", padding="same", stride=2))
        h = gx.nn.relu(gx.nn.conv(h, w[2], layout="NHWC", padding="same", stride=2))
        scores = gx.nn.global_avg_pool(h, layout="NHWC") @ w[3]
        loss = gx.nn.cross_entropy(scores, t)
        given = (rng.standard_normal((IMAGES, 32, 32, 3)).astype("float32"), rng.integers(0, 10, IMAGES))
    else:
        w = weights((784, 1024), (1024, 1024), (1024, 1024), (1024, 10))
        x = gx.placeholder("x", ("batch", 784), "float32")
        first = _line() + 1
        h = gx.nn.relu(x @ w[0])
        h = gx.nn.relu(h @ w[1])
        h = gx.nn.relu(h @ w[2])
        scores = h @ w[3]
        loss = gx.nn.cross_entropy(scores, t)
        given = (rng.standard_normal((IMAGES, 784)).astype("float32"), rng.integers(0, 10, IMAGES))
    return [x, t], loss, w, given, first


def layers_of(name: str) -> tuple[list[Figures], float]:
    """Each layer's bytes and seconds of an image, of which a third is the forward pass's; and the operations a second of all."""
    import graphc as gx

    inputs, loss, variables, given, first = network(name)
    gradients = gx.grad(loss, variables)
    updates = {v: v - 0.001 * g for v, g in zip(variables, gradients, strict=True)}
    step = gx.compile(inputs, loss, updates=updates, progress=False)
    whole = timed(lambda: step(*given), 5)
    rows = [r for r in step.profile(*given).rows if r.where is not None]
    lines = [r.where.line for r in rows if r.where is not None]
    last = len(variables) - 1
    seconds = [0.0] * len(variables)
    for row, line in zip(rows, lines, strict=True):  # the loss and updates are the last layer's
        seconds[line - first if first <= line <= first + last else last] += row.seconds
    scale = whole / sum(seconds) / IMAGES  # kernels timed alone, and the whole step, differ a little
    layers = [
        {"name": f"layer {i}", "bytes": 4 * v.value.size, **_thirds(scale * x)}
        for i, (v, x) in enumerate(zip(variables, seconds, strict=True))
    ]
    return layers, sum(r.flops for r in rows) / whole


def train(name: str) -> None:
    """What a rank does: a training step with the gradients' mean over all ranks, the same with those of its own, in turns, and
    sums of all ranks; rank 0 prints the seconds."""
    import graphc as gx

    inputs, loss, variables, given, _ = network(name)
    own = list(reversed(gx.grad(loss, variables)))
    steps = {}
    for title, gradients in (("alone", own), ("seconds", [gx.distributed.all_reduce(g, "mean") for g in own])):
        updates = {v: v - 0.001 * g for v, g in zip(reversed(variables), gradients, strict=True)}
        steps[title] = gx.compile(inputs, loss, updates=updates, progress=False)
    from mpi4py import MPI

    def together(step: Any) -> None:
        """A step of all ranks: it ends when the slowest does, whether they exchange anything or not."""
        step(*given)
        MPI.COMM_WORLD.Barrier()

    found = {title: float("inf") for title in steps}
    for _ in range(6):
        for title, step in steps.items():
            found[title] = min(found[title], timed(lambda step=step: together(step), 4, turns=1))  # type: ignore[misc]
    sums = _sums(MPI.COMM_WORLD)
    if gx.distributed.rank() == 0:
        print(json.dumps({**found, "sums": sums}))


def on_ranks(n: int, *arguments: str) -> Any:
    """What rank 0 of n says, of one thread each."""
    mpiexec = Path(sys.executable).parent / "mpiexec"
    command = [str(mpiexec), "-n", str(n), sys.executable, __file__, *arguments]
    own = {**os.environ, "GRAPHC_NUM_THREADS": "1"}
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120, env=own).stdout
    return json.loads(said.splitlines()[-1])


def _line() -> int:
    frame = inspect.currentframe()
    assert frame is not None and frame.f_back is not None
    return frame.f_back.f_lineno


def gpt(shape: dict[str, int]) -> tuple[Figures, Figures]:
    """Seconds of a block, and of what is before and after all blocks, for one sequence: from models of one block and of two.

    A third of them is the forward pass's: its products are half of those of the backward pass.
    """
    import graphc as gx
    from benchmarks.workloads.gpt import Shape, logits, parameters

    found: list[float] = []
    for layers in (1, 2):
        s = Shape(**{**shape, "layers": layers})
        v = {name: gx.variable(a, name=name) for name, a in parameters(s).items()}
        tokens = gx.placeholder("tokens", (1, s.time), "int64")
        targets = gx.placeholder("targets", (1, s.time), "int64")
        loss = gx.nn.cross_entropy(logits(s, v, tokens), targets)
        step = gx.compile([tokens, targets], [loss, *gx.grad(loss, list(v.values()))], progress=False)
        given = np.random.default_rng(0).integers(0, s.vocabulary, (2, 1, s.time))
        found.append(timed(lambda f=step, g=given: f(*g), 1, turns=11))  # type: ignore[misc]
    block = found[1] - found[0]
    return _thirds(block), _thirds(found[0] - block)


def _thirds(seconds: float) -> Figures:
    return {"forward": seconds / 3, "backward": 2 * seconds / 3}


def measure(shape: dict[str, int]) -> Figures:
    """All of them, as benchmarks/scale.py wants them."""
    from benchmarks.peers import cpu

    peers = json.loads((ROOT / "docs" / "peers.json").read_text(encoding="utf-8"))["machine"]
    figures: Figures = {"cpu": cpu(), "cores": os.cpu_count(), "bytes_per_s": peers["bytes_per_s"]}
    figures |= between_ranks()
    figures |= {"gamma": sum_of_a_byte(), "tcp_work": tcp_work()}
    figures["cnn"], figures["cnn_flops_per_s"] = layers_of("cnn")
    figures["gpt_block"], figures["gpt_ends"] = gpt(shape)
    return figures


def real() -> list[Figures]:
    """Steps of 2 and 4 ranks of one thread, with exchanges and without, and sums of as many; what layers there are."""
    found = []
    for name in ("cnn", "mlp"):
        layers, _ = layers_of(name)
        found.append({"network": name, "layers": layers, "ranks": {n: on_ranks(n, name) for n in (2, 4)}})
    return found


if __name__ == "__main__":
    train(sys.argv[1]) if sys.argv[1:] else rank()
