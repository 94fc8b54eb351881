"""Faults: what becomes of ranks when one of them dies, hangs, raises, leaves early, or has another program. Without MPI."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from graphc.distributed.guard import Hub, differing

ROOT = Path(__file__).parents[2]
Ended = tuple[Path, dict[str, dict[str, tuple[int, float]]]]  # the folder of outputs; case -> rank -> exit code, seconds
SIZE = 3

# What happens to the last rank -> what the others are told.
TOLD = {
    "raises": "rank 2 raised ValueError: no such file: 'x'\n  there: faulty.py:{raise ValueError(}",
    "is killed": "rank 2 was killed by signal 9 (SIGKILL)\n",
    "leaves": "rank 2 ended with exit code 3, and said nothing\n",
    "exits": "rank 2 has finished its program while rank ",
    "finishes": "rank 2 has finished its program while rank ",
    "stops": "rank 2 hangs: its process is stopped (SIGSTOP), while rank ",
    "stops while it compiles": "rank 2 hangs: its process is stopped (SIGSTOP), while rank ",
    "sleeps": "rank 2 hangs in faulty.py:{time.sleep(1000)}, while rank ",
    "computes": "rank 2 hangs in faulty.py:",
    "is interrupted": "rank 2 was interrupted (Ctrl-C)\n",
    "another graph": (
        "rank 2 has another program than rank 0: line 2 is\n    %1 = log(%0) : f32[4]\n  and not\n    %1 = exp(%0) : f32[4]\n"
    ),
    "all wait": "waits, as all ranks do: rank ",
}
WELL = ("nothing", "compiles")


def line_of(text: str) -> str:
    """The number of the line of faulty.py that has a text, and the line, as messages show it."""
    lines = (Path(__file__).parent / "faulty.py").read_text(encoding="utf-8").splitlines()
    number, line = next((n, x.strip()) for n, x in enumerate(lines, 1) if text in x)
    return f"{number}   {line}"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    """All cases, run at the same time."""
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, str(Path(__file__).with_name("faulty.py")), str(folder), str(SIZE), *TOLD, *WELL]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 0, done.stderr
    return folder, json.loads(done.stdout)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_nobody_agrees_where_one_differs(order: tuple[int, ...]) -> None:
    """Whoever tells its digest first."""
    hub = Hub(3, 2.0)
    for rank in order:
        hub.hear(rank, {"agree": "graphs 1", "digest": "other" if rank == 2 else "same"})
    assert hub.differ is not None and 2 in hub.differ[:2]
    assert not any("agreed" in message for _, message in hub.news)


@pytest.mark.parametrize("what", TOLD)
def test_all_others_end_with_an_error_that_names_rank_and_cause(what: str, ended: Ended) -> None:
    folder, codes = ended
    text = TOLD[what]
    if "{" in text:
        start, _, rest = text.partition("{")
        text = start + line_of(rest.partition("}")[0]) + rest.partition("}")[2]
    for rank in range(SIZE - 1):
        said = (folder / f"{what}.{rank}").read_text(encoding="utf-8")
        said = said.replace("than rank 1:", "than rank 0:")  # whichever was compared first
        assert "graphc.errors.DistributedError: " in said and text in said, said
        assert codes[what][str(rank)][0] == 1
        assert said.count("DistributedError: ") == 1, "an error is told once"
        assert not said.endswith("done\n")
    assert set(codes[what]) == {"0", "1", "2"}
    assert codes[what]["2"][0] != 0


@pytest.mark.parametrize("what", WELL)
def test_who_is_slow_for_a_reason_is_waited_for(what: str, ended: Ended) -> None:
    folder, codes = ended
    for rank in range(SIZE):
        assert (folder / f"{what}.{rank}").read_text(encoding="utf-8") == "done\n"
        assert codes[what][str(rank)][0] == 0


def test_the_first_line_that_differs() -> None:
    assert differing(["a", "b"], ["a", "c"]) == "line 2 is\n    c\n  and not\n    b"
    assert differing(["a"], ["a", " c"]) == "it has line 2\n    c"
    assert differing(["a", "b"], ["a"]) == "it lacks line 2\n    b"
    assert differing(["a"], ["a"]) == "the texts are alike, but constants differ"


def test_the_first_at_fault_is_named_and_no_other() -> None:
    hub = Hub(3, 8.0)
    hub.hear(1, {"gone": "was killed by signal 9 (SIGKILL)"})
    hub.hear(0, {"gone": "was killed by signal 9 (SIGKILL)"})  # by the launcher, for the sake of rank 1
    hub.decide()
    assert hub.news == [(None, {"fault": {"rank": 1, "cause": "was killed by signal 9 (SIGKILL)"}})]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
def test_ranks_whose_digests_differ_are_asked_for_their_lines(order: tuple[int, ...]) -> None:
    hub = Hub(3, 8.0)
    for rank in order:
        hub.hear(rank, {"agree": "graphs 1", "digest": ("a", "", "b")[rank]})
    assert hub.news == [(0, {"show": "graphs 1"}), (2, {"show": "graphs 1"})]
    for rank in (0, 2):
        hub.hear(rank, {"lines": ["x", str(rank)]})
    hub.decide()
    cause = "has another program than rank 0: line 2 is\n    2\n  and not\n    0"
    assert hub.news[-1] == (None, {"fault": {"rank": 2, "cause": cause}})


def test_any_digest_will_do_for_a_rank_that_gives_none() -> None:
    hub = Hub(3, 8.0)
    for rank in range(3):
        hub.hear(rank, {"agree": "graphs 1", "digest": ("a", "", "a")[rank]})
    assert hub.news == [(None, {"agreed": "graphs 1"})]


def test_a_rank_that_ends_after_all_have_finished_is_not_at_fault() -> None:
    hub = Hub(2, 8.0)
    for rank in range(2):
        hub.hear(rank, {"state": "finishing"})
    hub.decide()
    hub.hear(1, {"gone": "ended with exit code 3, and said nothing"})
    hub.decide()
    assert hub.news == [(None, {"end": True})]


# --- on ranks of MPI -----------------------------------------------------------------------------------------------------

MPIEXEC = shutil.which("mpiexec", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
needs_mpi = pytest.mark.skipif(
    MPIEXEC is None or importlib.util.find_spec("mpi4py") is None, reason="needs mpi4py and mpiexec"
)  # fmt: skip
ON_RANKS = {
    "dies writing": "rank 2 was killed by signal 9 (SIGKILL)\n",
    "another graph": "rank 1 has another program than rank 0: line 21 is\n    %14 = tanh(%13) : f32[batch, 6]\n",
}


def launch(folder: Path, ranks: int, steps: int, what: str) -> subprocess.Popen[str]:
    assert MPIEXEC is not None
    environment = {**os.environ, "GRAPHC_NUM_THREADS": "1", "GRAPHC_COMPILERS": "1", "PYTHONPATH": str(ROOT), "PATIENCE": "3"}
    script = str(Path(__file__).with_name("training_rank.py"))
    command = [MPIEXEC, "-n", str(ranks), sys.executable, script, str(folder), str(steps), what]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@needs_mpi
def test_a_training_on_ranks_ends_with_an_error_and_goes_on_with_fewer(tmp_path: Path) -> None:
    """Three trainings at once, to take the time of one: one whose third rank dies as it writes its part of a checkpoint, one with
    two graphs, and one that nothing happens to. The first goes on with two ranks from the checkpoint before."""
    folders = {what: tmp_path / what for what in (*ON_RANKS, "nothing")}
    for folder in folders.values():
        folder.mkdir()
    running = {what: launch(folder, 3 if what == "dies writing" else 2, 40, what) for what, folder in folders.items()}
    said = {what: process.communicate(timeout=60)[0] for what, process in running.items()}
    for what, text in ON_RANKS.items():  # twice: a rank that is ended while it tells is spoken for by its guard too
        assert running[what].returncode != 0
        assert said[what].count(f"graphc.errors.DistributedError: {text}") >= 2, said[what]
    assert running["nothing"].returncode == 0 and "from 0 to 40: " in said["nothing"], said["nothing"]
    restarted = launch(folders["dies writing"], 2, 40, "nothing")
    more, _ = restarted.communicate(timeout=60)
    assert restarted.returncode == 0 and "from 20 to 40: " in more, more
    assert more.split(": ")[-1] == said["nothing"].split(": ")[-1], "the weights have other bits"
