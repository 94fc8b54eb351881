"""Exchanges between ranks: of one rank here, and of two and three that one launch of MPI starts each (on_ranks.py)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gx
from graphc import distributed as d
from graphc.backends.program import evaluate_program
from graphc.ir.data import decode, encode
from graphc.ir.parser import parse
from graphc.ir.program import Collective
from graphc.ir.verify_program import verify_program

Array = np.ndarray[Any, Any]
CHECKS = 10  # of on_ranks.py
ROOT = Path(__file__).resolve().parents[2]
MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py and mpiexec"
)  # fmt: skip


def launched(script: str, ranks: int, **more: str) -> subprocess.CompletedProcess[str]:
    """A script on so many ranks of one thread each."""
    assert MPIEXEC is not None
    environment = {**os.environ, "GRAPHC_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), **more}
    command = [MPIEXEC, "-n", str(ranks), sys.executable, str(Path(__file__).parent / script)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)


@needs_mpi
@pytest.mark.parametrize(("ranks", "more"), [(2, {"GRAPHC_NUM_THREADS": "2"}), (3, {"GRAPHC_CALLS": "ctypes"})])
def test_ranks_exchange_what_they_should_on_all_backends(ranks: int, more: dict[str, str]) -> None:
    ran = launched("on_ranks.py", ranks, **more)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    for rank in range(ranks):
        assert f"rank {rank}: {CHECKS} checks" in ran.stdout


@needs_mpi
def test_a_wait_asks_at_its_limit_and_goes_on_or_ends() -> None:
    ran = launched("late.py", 2)
    assert "rank 0 of 2: barrier, exchange 0 of its program: timed out after 0.2 s" in ran.stdout, ran.stdout + ran.stderr
    assert ran.returncode == 7, ran.stdout + ran.stderr


def test_a_rank_alone_has_what_it_exchanges_with_itself() -> None:
    x = gx.placeholder("x", ("n", 2), "float32")
    y = [
        d.all_reduce(x), d.all_gather(x), d.reduce_scatter(x), d.all_to_all(x), d.broadcast(x), d.reduce(x), d.barrier(x),
        d.all_reduce(x, "mean"), d.all_reduce(x, "max"), d.all_reduce(x, "min"),
    ]  # fmt: skip
    value = np.arange(6, dtype="float32").reshape(3, 2)
    for backend in ("interpreter", "program", "llvm"):
        for found in gx.compile([x], y, backend=backend)(value):
            assert found.dtype == value.dtype and found.tobytes() == value.tobytes()
    assert (d.rank(), d.size()) == (0, 1)


def test_importing_needs_no_mpi() -> None:
    code = "import sys, graphc as gx; gx.distributed.all_reduce(1.0).eval(); print('mpi4py' in sys.modules)"
    alone = {k: v for k, v in os.environ.items() if not k.startswith(("PMI", "OMPI"))}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env=alone)
    assert ran.stdout.strip() == "False"


def exchanging() -> tuple[list[Any], list[Any]]:
    x = gx.placeholder("x", ("n", 2), "float32")
    y = d.all_reduce(x * 2)
    return [x], [d.all_gather(gx.exp(x)) + y, gx.grad(gx.sum(y * y), x)]


def test_texts_read_back_and_count_from_0() -> None:
    for _ in range(2):
        xs, ys = exchanging()
        f = gx.compile(xs, ys, backend="program")
        text = str(f.declared)
        assert [f"order={i}," in text for i in range(4)] == [True, True, True, False]
        assert str(parse(text)) == text
        for _, stage in f.stages:
            assert str(parse(str(stage))) == str(stage)
        assert str(decode(encode(f.program, f.program.target, {}), f.program.target, [])) == str(f.program)


def test_every_element_of_a_leading_axis_is_exchanged() -> None:
    x = gx.placeholder("x", (3, 4, 2), "float64")
    y = gx.vmap(lambda v: [d.all_reduce(v), d.all_gather(v), d.reduce_scatter(v), d.all_to_all(v), d.broadcast(v)])(x)
    value = np.arange(24.0).reshape(3, 4, 2)
    for found in gx.compile([x], y)(value):
        assert found.tobytes() == value.tobytes()


def test_starts_are_early_and_waits_late() -> None:
    """The gradient of the last layer is on its way while that of the first is made."""
    x = gx.placeholder("x", (8, 300), "float32")
    ws = [gx.variable(np.eye(300, dtype="float32"), name=f"w{i}") for i in range(3)]  # too large to be joined
    h = x
    for w in ws:
        h = gx.tanh(h @ w)
    gs = zip(ws, d.all_reduce(gx.grad(gx.sum(h), ws)), strict=True)
    f = gx.compile([x], gx.sum(h), updates={w: w - g for w, g in gs})
    kinds = []
    for call in f.program.calls:
        kernel = call.kernel
        kinds.append("k" if not isinstance(kernel, Collective) else f"{'w' if kernel.waits else 's'}{kernel.order}")
    text = " ".join(kinds)
    places = [text.index(part) for part in ("s0", "s1", "s2", "w0", "w1", "w2")]
    assert places == sorted(places)
    assert "k" in text[text.index("s0") : text.index("s1")] and "k" in text[text.index("s1") : text.index("s2")]
    verify_program(f.program)


def test_order_is_that_of_declaration_whatever_is_read_first_or_is_small() -> None:
    x, y = gx.placeholder("x", (4000,)), gx.placeholder("y", (2,))
    first, second, third = d.barrier(gx.exp(x)), d.all_gather(y), d.broadcast(gx.tanh(x))
    f = gx.compile([x, y], [third, gx.sum(second) + first, second])
    wanted = ["barrier", "all_gather", "broadcast"]
    for text in [str(f.declared), *(str(stage) for _, stage in f.stages)]:
        found = sorted((text.index(f"{name}("), name) for name in wanted)
        assert [name for _, name in found] == wanted, text


def test_a_variable_is_not_written_before_the_last_wait() -> None:
    x = gx.placeholder("x", (4000,))
    v, w = (gx.variable(np.zeros(4000, "float32"), name=name) for name in "vw")
    f = gx.compile([x], [], updates={v: v + d.all_gather(x), w: w + d.broadcast(x * 2)})
    assert [b.role for b in f.program.buffers.values()].count("next") >= 1
    waits = [i for i, call in enumerate(f.program.calls) if isinstance(call.kernel, Collective) and call.kernel.waits]
    for i, call in enumerate(f.program.calls):
        for name, p in zip(call.buffers, call.kernel.params, strict=True):
            assert p.mode == "in" or f.program.buffers[name].role != "variable" or i > waits[-1]


def test_ranks_do_not_change_to_native_code_at_different_calls() -> None:
    x = gx.placeholder("x", (3,))
    assert gx.compile([x], d.all_gather(x) * 1.5, lazy=True).answers == "llvm"


def test_what_is_told_of_a_program_knows_exchanges() -> None:
    x = gx.placeholder("x", (300, 300), "float32")
    w = gx.variable(np.eye(300, dtype="float32"), name="w")
    y = d.all_reduce(gx.tanh(x @ w))
    f = gx.compile([x], [gx.sum(y * y), d.barrier(gx.exp(x))], updates={w: w - d.all_reduce(gx.grad(gx.sum(y * y), w))})
    kernels = {kernel.name: kernel.kernel for kernel in f.kernels}
    pairs = [(kernels[b.writer], kernels[b.reader]) for b in f.explain() if b.writer in kernels and b.reader in kernels]
    exchanges = [(a, b) for a, b in pairs if isinstance(a, Collective) or isinstance(b, Collective)]
    assert len(exchanges) >= 4
    assert all(a.waits for a, _ in exchanges if isinstance(a, Collective))
    assert not any(b.waits for _, b in exchanges if isinstance(b, Collective))
    for a, b in pairs:
        assert {p.type.size for p in a.outputs} & {p.type.size for p in b.inputs}
    rows = {row.what for row in f.profile(np.ones((300, 300), "float32"))}
    assert {"start of all_reduce", "wait for all_reduce", "start of barrier", "wait for barrier"} <= rows
    assert "all_reduce" in f.to_dot()


def test_equal_collectives_are_not_merged() -> None:
    x = gx.placeholder("x", (3,))
    f = gx.compile([x], d.all_gather(x) + d.all_gather(x))
    assert str(f.graph).count("all_gather(") == 2
    assert str(f.program).count("start all_gather(") == 2


def test_what_is_constant_is_exchanged_when_it_runs() -> None:
    total, _ = gx.scan(lambda c, i: (c + d.all_reduce(gx.ones(())), c), 0.0, gx.arange(4))
    f = gx.compile([], [d.all_reduce(gx.ones((3,))), total])
    assert str(f.graph).count("all_reduce(") == 2
    assert [y.tolist() for y in f()] == [[1, 1, 1], 4]


PROGRAM = """
program p {
  input %x: f32[4]
  temporary %a: f32[4]
  temporary %b: f32[4]
  output %y: f32[4]
  %a = k0(%x)
  %a = k1(%x, %a)
  %b = k2(%a)
  %b = k3(%a, %b)
  %y = k4(%a, %b)
  return %y
}

kernel k0(%x0: f32[4]) -> %y0: f32[4] {
  start all_reduce(order=0, ranks=1)
}

kernel k1(%x0: f32[4], %y0: f32[4]) -> %y0: f32[4] {
  wait all_reduce(order=0, ranks=1)
}

kernel k2(%x0: f32[4]) -> %y0: f32[4] {
  start barrier(order=1, ranks=1)
}

kernel k3(%x0: f32[4], %y0: f32[4]) -> %y0: f32[4] {
  wait barrier(order=1, ranks=1)
}

kernel k4(%x0: f32[4], %x1: f32[4]) -> %y0: f32[4] {
  parallel i < 4 {
    %0 = load %x0[i]
    %1 = load %x1[i]
    %2 = add(%0, %1)
    store %y0[i], %2
  }
}
""".strip()

def test_a_start_waits_for_readers_of_what_it_writes_over() -> None:
    calls = "  %a = k4(%x, %x)\n  %y = k4(%a, %a)\n  %a = k0(%x)\n  %a = k1(%x, %a)\n  %b = k4(%a, %a)\n  return %y, %b\n}"
    head, tail = PROGRAM.split("  %a = k0(%x)")[0], PROGRAM.split("  return %y\n}")[1]
    program = parse((head + calls + tail).replace("temporary %b", "output %b"))
    x = np.arange(4, dtype="float32")
    for found in (program, gx.passes.overlap_collectives(program)):
        assert [y.tolist() for y in evaluate_program(verify_program(found), [x], {})[0]] == [[0, 4, 8, 12], [0, 2, 4, 6]]


def test_the_last_of_a_list_goes_first() -> None:
    x, y = gx.placeholder("x", (3,)), gx.placeholder("y", (3,))
    first, last = d.all_reduce([x, y])
    assert last.attrs["order"] < first.attrs["order"] and last.attrs["group"] == first.attrs["group"]
    assert first.inputs[0] is x and last.inputs[0] is y


WRONG = (
    ("  %a = k1(%x, %a)\n", "", "k2: it has %a, which collective 0 makes and nothing has waited for"),
    ("  %b = k3(%a, %b)\n", "", "k4: it has %b, which collective 1 makes and nothing has waited for"),
    ("  %a = k1(%x, %a)\n", "  %a = k1(%x, %a)\n  %a = k1(%x, %a)\n", "k1: it waits for collective 0, which was not started so"),
    ("wait all_reduce(order=0", "wait barrier(order=0", "k1: it waits for collective 0, which was not started so"),
    ("start barrier(order=1", "start barrier(order=0", "k2: collective 0 is started after 0"),
    ("  %b = k3(%a, %b)", "  %b = k3(%x, %b)", "k3: it waits for collective 1 on other buffers"),
    (
        "  %b = k3(%a, %b)", "  %a = k4(%x, %x)\n  %b = k3(%a, %b)",
        "k4: it writes %a, which collective 1 reads until it is waited for",
    ),
    ("  %y = k4(%a, %b)", "  %y = k4(%a, %a)\n  %b = k2(%a)", "k2: collective 1 is started after 1"),
)  # fmt: skip


def test_a_program_of_collectives_is_sound() -> None:
    program = verify_program(parse(PROGRAM))
    x = np.arange(4, dtype="float32")
    assert evaluate_program(program, [x], {})[0][0].tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(("old", "new", "what"), WRONG, ids=range(len(WRONG)))
def test_a_program_whose_ranks_would_disagree_is_not(old: str, new: str, what: str) -> None:
    assert old in PROGRAM
    with pytest.raises(gx.GraphError) as error:
        verify_program(parse(PROGRAM.replace(old, new)))
    assert error.value.message == f"verify: program p: {what}"


def refused(make: Any) -> gx.GraphError:
    with pytest.raises(gx.GraphError) as error:
        make()
    return error.value


def test_errors_say_what_to_do() -> None:
    x = gx.placeholder("x", (4,))
    scalar = gx.placeholder("s", ())
    cases = (
        (lambda: d.all_reduce(x, "median"), "all_reduce: combine must be one of sum, mean, max, min, got 'median'"),
        (lambda: d.all_gather(scalar), "all_gather: axis 0 is out of range for f32[]"),
        (lambda: d.broadcast(x, 1), "broadcast: root must be one of 1 ranks, got 1"),
        (lambda: d.send(x, 0), "send: to must be another rank, got 0 on rank 0"),
        (lambda: d.receive((2,), "float32", 3), "receive: source must be one of 1 ranks, got 3"),
        (lambda: d.init(3), "init takes an intracommunicator of mpi4py, got 3"),
    )
    for make, message in cases[: 6 if importlib.util.find_spec("mpi4py") else 5]:
        assert refused(make).message == message


def test_a_graph_for_other_ranks_is_refused() -> None:
    text = "graph g(%x: f32[4]) {\n  %0 = all_gather(%x, order=0, ranks=2) : f32[8]\n  return %0\n}"
    graph = parse(text)
    for backend in ("interpreter", "program", "llvm"):
        error = refused(lambda b=backend: gx.compile(list(graph.inputs), graph.outputs[0], backend=b)(np.ones(4, "float32")))
        assert "all_gather: the graph is made for 2 ranks, and the world has 1" in error.message
    uneven = "graph g(%x: f32[5]) {\n  %0 = reduce_scatter(%x, order=0, ranks=2) : f32[2]\n  return %0\n}"
    assert "go evenly to 2 ranks, got f32[5]" in str(refused(lambda: parse(uneven)))


def test_what_leaves_python_leaves_the_ranks(tmp_path: Path) -> None:
    x = gx.placeholder("x", (4,), "float32")
    f = gx.compile([x], d.all_reduce(x))
    error = refused(lambda: f.export(tmp_path / "f"))
    assert error.message == "export: all_reduce needs other ranks, and the program leaves them"
