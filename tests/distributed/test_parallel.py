"""Training on several ranks: the same bits as on one, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from test_collectives import launched, needs_mpi
from training_on_ranks import fitted, hashed, text, weights

import graphc as gx
from graphc.distributed.blocks import nodes_within
from graphc.distributed.host import in_order
from graphc.distributed.parallel import data_parallel, same_loss, share
from graphc.ir import world as worlds


@needs_mpi
def test_three_ranks_train_to_the_bits_of_one_and_others_go_on_from_their_checkpoint(tmp_path: Path) -> None:
    """Five blocks, of which ranks have one, two and two; weights, losses, figures, early stopping. Each rank writes a part."""
    ran = launched("training_on_ranks.py", 3, FOLDER=str(tmp_path / "three"))
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.strip() == text(str(tmp_path / "one"))
    for folder in (tmp_path / "three", tmp_path / "three-divided"):
        files = sorted((folder / "000000000006").iterdir())
        own = [f"arrays-{i}-of-00003.safetensors" for i in ("00001", "00002", "00003")]
        assert [file.name for file in files] == [*own, "arrays.safetensors.index.json", "state.json"]
        names = [name for file in own for name in gx.load(folder / "000000000006" / file)]
        assert len(names) == len(set(names)) == len(gx.load(folder / "000000000006" / "arrays.safetensors.index.json"))
        sizes = [sum(a.nbytes for a in gx.load(folder / "000000000006" / file).values()) for file in own]
        assert max(sizes) < 0.6 * sum(sizes), sizes
    assert [file.name for file in sorted((tmp_path / "one" / "000000000006").iterdir())] == ["arrays.safetensors", "state.json"]
    reached = json.loads((tmp_path / "three" / "reached.json").read_text(encoding="utf-8"))
    (three, more), (one, more_of_one) = (fitted(str(tmp_path / name), 3) for name in ("three", "one"))
    assert hashed({k: v.value for k, v in three.state.items()}) == hashed({k: v.value for k, v in one.state.items()})
    assert more == more_of_one
    divided, more_of_divided = fitted(str(tmp_path / "three-divided"), 3, divided=True)
    assert weights(divided) == weights(three) and more_of_divided == more, "three ranks' parts of the state are the one's"
    assert reached == 3 * [json.dumps([[weights(three), more], [weights(divided), more]])], "two ranks and one go on as three"


def test_shares_have_every_block_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3, 5, 8):
        monkeypatch.setattr(worlds, "_current", [worlds.World(0, size)])
        shares = [share(8, rank) for rank in range(size)]
        assert [i for first, last in shares for i in range(first, last)] == list(range(8))
        assert all(first < last for first, last in shares)
        assert max(len(nodes_within(*one, 8)) for one in shares) == {1: 1, 2: 1, 3: 2, 5: 2, 8: 1}[size]


def test_fewer_blocks_than_ranks_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worlds, "_current", [worlds.World(0, 4)])
    x, w = gx.placeholder("x", ("batch",)), gx.variable(np.float32(1), name="w")
    monkeypatch.setattr("graphc.distributed.parallel.same_start", lambda variables: None)
    with pytest.raises(gx.errors.InputError, match="data_parallel: 3 blocks are too few for 4 ranks"):
        data_parallel(gx.mean(w * x), [w], gx.optim.sgd, blocks=3)


def test_a_step_that_is_not_exact_is_that_of_the_whole_batch_on_one_rank() -> None:
    x, w = gx.placeholder("x", ("batch",), "float64"), gx.variable(3.0, name="w")
    loss, updates = data_parallel(gx.mean(x * w * w), [w], gx.optim.sgd, exact=False)
    assert float(gx.compile([x], loss, updates, backend="interpreter")([1.0, 2.0, 3.0])) == 18.0
    assert round(float(w.value), 6) == 2.88


def test_rows_of_ranks_come_in_the_order_of_their_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of three ranks with rows 0 3, 1 4 and 2, as MPI would give them."""
    answers = [np.array([[2], [2], [1]]), np.array([[0.0, 3.0], [1.0, 4.0], [2.0, 0.0]])]
    monkeypatch.setattr("graphc.distributed.host.gathered", lambda rows: answers.pop(0))
    assert [float(x) for x in in_order([np.float64(0), np.float64(3)], np.zeros(()))] == [0, 1, 2, 3, 4]


def test_a_batch_of_a_stream_that_blocks_cannot_share_is_refused() -> None:
    model = gx.models.Sequential([gx.layers.Dense(1, input_shape=(2,))])
    model.compile("sgd", "mse", blocks=4)
    batches = [(np.zeros((6, 2), np.float32), np.zeros((6, 1), np.float32))]
    with pytest.raises(gx.errors.ShapeError) as error:
        model.fit(lambda epoch: batches, verbose=0, distributed=True)
    assert error.value.message == "fit: a batch of 6 samples is cut into 4 blocks"


def test_ranks_compare_their_losses_since_their_graphs_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    here, seen = worlds.World(0, 2), []
    here.compare = lambda exchanges, graph: seen.append((graph.digest, graph.make()))
    monkeypatch.setattr(worlds, "_current", [here])
    x, w = gx.placeholder("x", ("batch",)), gx.variable(np.float32(1), name="w")
    for loss, blocks in ((gx.mean(w * x), 4), (gx.mean(w * x), 4), (gx.mean(w * x), 8), (gx.mean(2 * w * x), 4)):
        same_loss(loss, blocks)
    digests = [digest for digest, _ in seen]
    assert digests[0] == digests[1] and len(set(digests)) == 3
    assert seen[0][1][:2] == ["a loss of 4 blocks", "graph loss() {"]
    assert share(4) == (0, 2) and here.is_asked, "what is compared of graphs is what they exchange"


def test_an_optimiser_that_divides_its_state_takes_the_same_steps() -> None:
    rng = np.random.default_rng(2)
    values = [rng.standard_normal(shape, np.float32) for shape in ((4, 3), (3,), (3, 2))]
    x = gx.placeholder("x", ("n", 4))
    found = []
    for optimizer in (gx.optim.adamw, gx.distributed.zero(gx.optim.adamw)):
        a, b, c = ws = [gx.variable(v, name=f"w{i}") for i, v in enumerate(values)]
        loss = gx.mean(gx.tanh(x @ a + b) @ c)
        updates = optimizer(loss, ws, lr=0.01, weight_decay=0.1)
        step = gx.compile([x], loss, updates, backend="interpreter")
        for i in range(3):
            step(np.full((2, 4), i, np.float32))
        found.append([w.value.tobytes() for w in ws])
        moments = {v.name: v.shape for v in updates if v.ndim and "adamw" in v.name}
    assert found[0] == found[1]
    assert moments == {"w0...w2.adamw.m": (21,), "w0...w2.adamw.v": (21,)}


def test_what_no_part_of_a_weight_tells_is_not_divided() -> None:
    with pytest.raises(gx.errors.InputError, match="zero: lamb looks at whole weights, of which a rank has a part"):
        gx.distributed.zero(gx.optim.lamb)
    w = gx.variable([1.0], name="w")
    with pytest.raises(gx.errors.InputError, match="zero: a rank has a part of the gradients, and clip_norm limits"):
        gx.distributed.zero(gx.optim.adam)(gx.sum(w), [w], clip_norm=1.0)


@needs_mpi
def test_layers_divided_by_columns_and_rows_have_the_gradients_of_one_rank() -> None:
    """Two sums forward, for the two pairs of layers, and one backward for each place where divided layers begin."""
    ran = launched("tensor_on_ranks.py", 2)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(ran.stdout.splitlines()[-1])
    assert found["exchanges"] == "5 all_reduce, 1 all_gather, 0 reduce_scatter"
    assert found["loss"] < 1e-13 and found["gradients"] < 1e-14 and found["weights"] < 1e-9
    assert found["of exchanges alone"] > 0.01, "without the functions around them gradients are not the loss's"
    assert found["of the sum of losses"] < 1e-14, "but those of the sum of all ranks' losses"
    assert found["learned"] > 0.5
    assert "each of 2 ranks has 5448 of 9872 weights" in ran.stdout
