"""What runs in a contender's process: `python -m benchmarks.worker NAME` answers requests, a line of JSON each.

    {"do": "import"}                                -> {"version": text}, or {"missing": text}
    {"do": "build", "row": name, "save": file}      -> {"built": seconds, "seconds": with the first call}; results go to the file
    {"do": "turn", "seconds": s, "busy": bool}      -> {"samples": [seconds of a call, ...]}, busy: of the processor
    {"do": "peak"}                                  -> {"memory": peak of resident memory, "added": less what the imports took}

An error is answered with {"error": text}.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import Run, Workload
from benchmarks.workloads import BANDWIDTH, PEAK, ROWS, layers, onnx_models

_MODULES = {
    "graphc": ("graphc",), "numpy": ("numpy",), "jax": ("jax", "jax.numpy"), "torch": ("torch",), "torch.compile": ("torch",),
    "pytensor": ("pytensor", "pytensor.tensor"), "numexpr": ("numexpr",), "onnxruntime": ("onnxruntime", "onnx"),
}  # fmt: skip
SAMPLE = 100e-6  # seconds that a sample takes at least: shorter calls are timed together
WARM = 0.01  # seconds of calls that are not counted, at the start of a turn


class Worker:
    def __init__(self, contender: str) -> None:
        self.contender = contender
        self.run: Run | None = None
        self.held = 0
        every = [*(r.workload for r in (*ROWS, *layers.ROWS, *onnx_models.rows())), PEAK, BANDWIDTH]
        self.workloads: dict[str, Workload] = {w.name: w for w in every}

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        match request["do"]:
            case "import":
                return self.load()
            case "build":
                return self.build(self.workloads[request["row"]], request.get("save"))
            case "turn":
                return {"samples": turn(self.run, request["seconds"], request.get("busy", False))}
            case "peak":
                peak = memory("VmHWM")
                return {"memory": peak, "added": peak - self.held}
        raise ValueError(request)

    def load(self) -> dict[str, Any]:
        try:
            for module in _MODULES[self.contender]:
                importlib.import_module(module)
        except ImportError as missing:
            return {"missing": str(missing)}
        if self.contender.startswith("torch"):
            import torch

            torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
        self.held = memory("VmRSS")
        return {"version": getattr(sys.modules[_MODULES[self.contender][0]], "__version__", "")}

    def build(self, workload: Workload, save: str | None) -> dict[str, Any]:
        self.run = None  # frees what the row before held
        if self.contender == "torch.compile":
            import torch

            torch._dynamo.reset()
        for module in workload.imports.get(self.contender, ()):
            importlib.import_module(module)
        arrays = workload.arrays()
        start = time.perf_counter()
        self.run = workload.builders[self.contender](*arrays)
        built = time.perf_counter() - start
        if save is None:
            self.run.call()
        else:
            np.savez(save, *self.run.results())
        return {"built": built, "seconds": time.perf_counter() - start}


def turn(run: Run | None, seconds: float, busy: bool = False) -> list[float]:
    """The seconds of a call, sample by sample: at least two samples after some calls that do not count.

    busy: the processor's seconds in all threads of this process, which others that use the machine do not lengthen.
    """
    assert run is not None
    call, clock = run.call, time.process_time if busy else time.perf_counter
    start = clock()
    calls = 0
    while not calls or clock() - start < WARM:
        call()
        calls += 1
    each = max(1, round(SAMPLE * calls / (clock() - start)))
    samples: list[float] = []
    stop = clock() + seconds
    while len(samples) < 2 or clock() < stop:
        begin = clock()
        for _ in range(each):
            call()
        samples.append((clock() - begin) / each)
    return samples


def memory(field: str) -> int:
    """A figure of this process in bytes: VmHWM, the peak of resident memory, or VmRSS, what is resident now.

    Linux counts VmHWM from the start of the program; ru_maxrss, which serves elsewhere, would begin with the parent's peak there.
    """
    status = Path("/proc/self/status")
    if status.exists():
        for line in status.read_text(encoding="utf-8").splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def main() -> None:
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no answer
    worker = Worker(sys.argv[1])
    for line in sys.stdin:
        try:
            reply = worker.answer(json.loads(line))
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"[:500]}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
