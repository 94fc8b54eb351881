"""Sums over blocks: the tree, loops over blocks, gradients in the memory of one, and models that are trained so."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from networks import NETWORKS, gpt

import graphc as gx
from benchmarks.workloads.gpt import Shape
from graphc.distributed.blocks import added_up, middle, nodes_within
from graphc.distributed.gradients import cut

Array = np.ndarray[Any, Any]
EACH = 2  # samples of a block


def same_bits(a: Any, b: Any) -> bool:
    return bool(a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes())


def cuts(blocks: int, parts: int) -> Iterator[tuple[int, ...]]:
    """Every way to cut blocks into so many ranges, some perhaps empty: where each begins and the last ends."""
    for inner in itertools.combinations_with_replacement(range(blocks + 1), parts - 1):
        yield (0, *inner, blocks)


# --- the tree --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blocks", range(1, 10))
def test_the_nodes_of_every_cut_give_one_sum(blocks: int) -> None:
    """Of float32 whose sum depends on its order."""
    values = np.random.default_rng(blocks).standard_normal((blocks, 50)).astype(np.float32) ** 5
    single = {(i, i + 1): [v] for i, v in enumerate(values)}
    (whole,) = added_up(single, 0, blocks)
    for parts in range(1, 5):
        for bounds in cuts(blocks, parts):
            nodes = {}
            for first, last in itertools.pairwise(bounds):
                for a, b in nodes_within(first, last, blocks):
                    nodes[a, b] = added_up({n: v for n, v in single.items() if a <= n[0] and n[1] <= b}, a, b)
            assert same_bits(added_up(nodes, 0, blocks)[0], whole), (blocks, bounds)
    if blocks > 3:
        assert not same_bits(np.add.reduce(values), whole), "the sum has another order than that of a loop"


def test_a_range_has_few_nodes_and_each_block_once() -> None:
    for blocks in range(1, 70):
        for first, last in itertools.combinations(range(blocks + 1), 2):
            nodes = nodes_within(first, last, blocks)
            assert [i for a, b in nodes for i in range(a, b)] == list(range(first, last))
            assert len(nodes) <= max(1, 2 * (blocks - 1).bit_length() - 2)
            assert all(a % (1 << (middle((a, b)) - a).bit_length()) == 0 for a, b in nodes if b - a > 1)


# --- loops over blocks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "cuts"), [("mlp", ((0, 5), (0, 2, 5))), ("cnn", ((0, 3), (0, 1, 3)))])
def test_loss_and_gradients_have_the_same_bits_however_blocks_are_cut(name: str, cuts: tuple[tuple[int, ...], ...]) -> None:
    """As one range, and as two, of which one has two nodes; on one thread and on two."""
    blocks = cuts[0][-1]
    inputs, loss, variables, data = NETWORKS[name]()
    arrays = data(blocks * EACH)
    values = [loss, *gx.grad(loss, variables)]
    made: dict[tuple[int, int], Any] = {}
    for bounds in cuts:
        for first, last in itertools.pairwise(bounds):
            made[first, last] = gx.compile(inputs, cut(values, blocks, first, last).nodes())
    before = gx.get_num_threads()
    found = []
    try:
        for threads, bounds in itertools.product((1, 2), cuts):
            gx.set_num_threads(threads)
            nodes = {}
            for first, last in itertools.pairwise(bounds):
                nodes.update(made[first, last](*(a[first * EACH : last * EACH] for a in arrays)))
            found.append(added_up(nodes, 0, blocks))
    finally:
        gx.set_num_threads(before)
    for other in found[1:]:
        assert all(map(same_bits, found[0], other))
    plain = gx.compile(inputs, values, backend="interpreter")(*arrays)
    for total, want in zip(found[0], plain, strict=True):
        np.testing.assert_allclose(total / blocks, want, rtol=2e-3, atol=2e-6)


def test_a_block_alone_has_no_negative_zeros_just_as_many_have_none() -> None:
    x = gx.placeholder("x", ("batch",))
    nodes = {}
    for first, last in ((0, 1), (1, 2)):
        nodes.update(gx.compile([x], cut([gx.max(-0.0 * x)], 2, first, last).nodes(), backend="interpreter")([1.0]))
    assert not any(np.signbit(v) for (v,) in nodes.values())


# --- the gradient of a batch -----------------------------------------------------------------------------------------


def test_the_gradient_in_blocks_is_that_of_the_batch_and_trains_as_it_does() -> None:
    inputs, loss, variables, data = NETWORKS["mlp"]()
    arrays = data(32)
    part = [a[:30] for a in arrays]
    want = gx.compile(inputs, [loss, *gx.grad(loss, variables)], backend="interpreter")(*part)
    total, found = gx.distributed.value_and_grad(loss, variables, blocks=5)
    f = gx.compile(inputs, [total, *found])
    for a, b in zip(f(*part), want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    with pytest.raises(gx.errors.ShapeError, match="into 5 equal parts"):
        f(*arrays)


def test_blocks_take_the_memory_of_one() -> None:
    """A step of a loop chooses as a program does what of the forward side is kept; the loop costs sums of gradients besides."""
    inputs, loss, variables, _ = gpt(Shape(layers=2, width=32, heads=2, time=32, vocabulary=11))
    arenas = []
    for total, found in (
        (loss, gx.grad(loss, variables)),
        *(gx.distributed.value_and_grad(loss, variables, blocks=blocks) for blocks in (1, 8)),
    ):
        updates = {v: v - 0.1 * g for v, g in zip(variables, found, strict=True)}
        arenas.append(gx.compile(inputs, total, updates, backend="program").memory.at(batch=64).arena)
    assert arenas[1] < 1.1 * arenas[0] and arenas[2] < 0.2 * arenas[0]


def test_as_many_blocks_as_a_limit_of_memory_takes() -> None:
    inputs, loss, variables, _ = gpt(Shape(layers=1, width=16, heads=2, time=16, vocabulary=11))

    def arena(blocks: int) -> int:
        total, found = gx.distributed.value_and_grad(loss, variables, blocks)
        made = gx.compile(inputs, [total, *found], backend="program").memory.at(batch=16).arena
        assert isinstance(made, int)
        return made

    two, four = arena(2), arena(4)
    assert four < two
    within = functools.partial(gx.distributed.blocks_within, loss=loss, variables=variables, batch=16)
    assert (within(two), within(two - 1), within(four)) == (2, 4, 4)
    with pytest.raises(gx.errors.InputError, match=r"needs at most 10 bytes: the smallest arena, of \d+ blocks"):
        within(10)


def test_every_block_draws_other_random_numbers() -> None:
    x, w = gx.placeholder("x", ("batch", 4), "float64"), gx.variable(np.ones(4), name="w")
    stream = gx.random.Stream(3)
    drawn = gx.random.uniform(stream, (), dtype="float64")
    _, (g,) = gx.distributed.value_and_grad(gx.mean(x @ w) * drawn, [w], blocks=4)
    f = gx.compile([x], g, backend="interpreter")
    calls = np.concatenate([f(np.eye(4)) for _ in range(2)])  # one element of the gradient for each block
    assert len(np.unique(calls)) == 8 and stream.value == 2


def test_floats_of_16_bits_are_summed_in_float32() -> None:
    x, w = gx.placeholder("x", ("batch",), "float16"), gx.variable(np.float16(1), name="w")
    _, (g,) = gx.distributed.value_and_grad(gx.mean(w * x), [w], blocks=4)
    assert g.dtype == gx.float16
    f = gx.compile([x], g, backend="interpreter")
    assert float(f(np.array([2048, 1, 1, 2], np.float16))) == 513.0, "2048 + 1 is 2048 in float16"


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ((4,), "value_and_grad cuts a batch into blocks, and it is not clear which axis that is of x: f32[4]"),
        (("n", "n"), "value_and_grad cuts a batch along its first axis, and x is f32[n, n]"),
    ],
)
def test_what_has_no_batch_to_cut_is_refused(axes: tuple[Any, ...], message: str) -> None:
    x, w = gx.placeholder("x", axes), gx.variable(np.float32(1), name="w")
    with pytest.raises(gx.errors.ShapeError) as error:
        gx.distributed.value_and_grad(gx.mean(w * x), [w], blocks=2)
    assert error.value.message == message


# --- models ----------------------------------------------------------------------------------------------------------


def test_a_model_trained_in_blocks_learns_what_it_learns_without() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((64, 12)).astype(np.float32), rng.integers(0, 3, 64)
    weights, figures = [], []
    for options in ({}, {"blocks": 2, "clip_norm": 9.0}, {"blocks": 2, "clip_norm": 9.0, "steps_per_call": 2}):
        with gx.layers.seeded(0):
            model = gx.models.Sequential([gx.layers.Dense(8, "relu", input_shape=(12,)), gx.layers.Dense(3)])
        model.compile("sgd", gx.models.losses.SparseCategoricalCrossentropy(from_logits=True), ["accuracy"], **options)
        figures.append(model.fit(x, y, batch_size=16, epochs=2, verbose=0).history)
        weights.append(model.get_weights())
    for a, b, c in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
        assert same_bits(b, c), "steps in one call are the steps of several calls"
    assert figures[0]["accuracy"] == figures[1]["accuracy"] == figures[2]["accuracy"]
    np.testing.assert_allclose(figures[0]["loss"], figures[1]["loss"], rtol=1e-5)


def test_state_of_layers_is_the_mean_of_what_blocks_make_it() -> None:
    x = np.random.default_rng(7).standard_normal((16, 12)).astype(np.float32)
    model = gx.models.Sequential([gx.layers.BatchNorm(momentum=0.5, input_shape=(12,)), gx.layers.Dense(3)])
    model.compile("sgd", gx.models.losses.SparseCategoricalCrossentropy(from_logits=True), blocks=4)
    model.fit(x, np.zeros(16, int), batch_size=16, shuffle=False, verbose=0)
    state = {name.split("/")[-1]: v.value for name, v in model.state.items()}
    parts = x.reshape(4, 4, 12)
    np.testing.assert_allclose(state["moving_mean"], 0.5 * parts.mean(1).mean(0), atol=1e-6)
    np.testing.assert_allclose(state["moving_variance"], 0.5 + 0.5 * parts.var(1, ddof=1).mean(0), rtol=1e-5)


def test_layers_drop_other_elements_in_each_block() -> None:
    model = gx.models.Sequential([gx.layers.Dropout(0.5, input_shape=(12,)), gx.layers.Dense(1, use_bias=False)])
    model.compile(gx.models.Optimizer("sgd", 1.0), lambda y, p: p[:, 0], blocks=4)
    before = model.get_weights()[-1]
    model.fit(np.ones((16, 12), np.float32), np.zeros(16), batch_size=16, verbose=0)
    kept = np.round((before - model.get_weights()[-1])[:, 0] * 16 / 2)  # samples that had each element
    assert (kept % 4).any(), "of equal draws every element were in a multiple of four"


def test_of_a_short_last_batch_as_many_samples_are_taken_as_blocks_can_share() -> None:
    source = gx.data.Arrays(np.arange(69), batch_size=16, multiple=4)
    assert len(source) == 5 and [source.samples(b) for b in source.batches(0)] == [16, 16, 16, 16, 4]
    source = gx.data.Arrays(np.arange(66), batch_size=16, multiple=4)
    assert len(source) == 4
    taken = [set(np.concatenate([b[-1] for b in source.batches(epoch)])) for epoch in (0, 1)]
    assert len(taken[0]) == 64 and taken[0] != taken[1], "who is left out is another one in each epoch"


def test_batches_that_no_blocks_cut_are_refused_before_anything_ran() -> None:
    model = gx.models.Sequential([gx.layers.Dense(3, input_shape=(12,))])
    model.compile("sgd", "mse", blocks=3)
    with pytest.raises(gx.errors.InputError, match="batches of 16 samples are no multiple of 3") as error:
        model.fit(np.zeros((16, 12)), np.zeros((16, 3)), batch_size=16, verbose=0)
    assert error.value.hint == "let batch_size be a multiple of compile(blocks=)"
    with pytest.raises(gx.errors.InputError, match="a step of your own makes its gradients itself"):
        model.compile(step=lambda model, x, y: ({}, {}), blocks=2)
