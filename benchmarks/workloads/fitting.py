"""Epochs of training: models of graphc's layers with `fit`, and loops of torch and jax that do the same.

A call is one epoch in a new random order, with dropout. Dropout's random numbers are everybody's own, so what is compared is
without it: the mean losses of two epochs in the given order, which have seen updates, over few batches, since Adam's steps
make much of what is lost to rounding. The models are those of `examples/`.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from benchmarks.workload import Array, Run, Workload
from benchmarks.workloads.gpt import Shape, jax_logits, torch_logits

Parameters = Mapping[str, Array]
EXAMPLES = Path(__file__).parent.parent.parent / "examples"
EPOCHS, BATCHES = 2, 3.5  # that are compared


def example(name: str) -> Any:
    """The module of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@dataclass(frozen=True)
class Plan:
    """How a model is trained: by Adam at a rate(module of functions, step), which decays weights and clips gradients.

    accuracy: whether an epoch counts what was right, beside the loss.
    """

    batch: int
    rate: Callable[[Any, Any], Any]
    decay: float = 0.0
    clip: float | None = None
    accuracy: bool = True

    @property
    def compared(self) -> int:
        """The samples of an epoch that is compared, of which the last batch is a short one."""
        return round(BATCHES * self.batch)


def weights(model: Any) -> dict[str, gx.Variable]:
    """The weights of a model, by path."""
    wanted = set(model.trainable_variables)
    return {path: v for path, v in model.variables.items() if v in wanted}


# --- the loops -------------------------------------------------------------------------------------------------------


def graphc_fit(make: Callable[[], Any], plan: Plan, x: Array, y: Array, p: Parameters, backend: str = "llvm") -> Run:
    """make() -> the compiled model."""

    def model(dropped: bool) -> Any:
        made = make()
        if not dropped:
            for _, layer in made.walk():
                if isinstance(layer, gx.layers.Dropout):
                    layer.rate = 0.0
        for path, variable in weights(made).items():
            variable.value = p[path]
        made.programs.backend = backend
        return made

    trained, epoch = model(dropped=True), 0

    def call() -> None:
        nonlocal epoch
        trained.fit(x, y, batch_size=plan.batch, epochs=epoch + 1, initial_epoch=epoch, verbose=0)
        epoch += 1

    def results() -> list[Array]:
        few = slice(plan.compared)
        fitted = model(dropped=False).fit(x[few], y[few], batch_size=plan.batch, epochs=EPOCHS, shuffle=False, verbose=0)
        return [np.array(fitted.history["loss"])]

    return Run(call, results)


def _order(samples: int, epoch: int) -> Array:
    return np.random.default_rng(epoch).permutation(samples)


def torch_fit(
    logits: Callable[..., Any], leaves_of: Callable[[Parameters], dict[str, Any]], plan: Plan, x: Array, y: Array, p: Parameters,
    compiled: bool = False,
) -> Run:  # fmt: skip
    """logits(leaves, x, dropped) -> scores [..., classes]."""
    import torch
    import torch.nn.functional as F

    xs, ys = torch.from_numpy(x), torch.from_numpy(y)
    function = torch.compile(logits, dynamic=None) if compiled else logits

    def training(dropped: bool) -> Callable[[Array], float]:
        leaves = {name: a.requires_grad_() for name, a in leaves_of(p).items()}
        kind = torch.optim.AdamW if plan.decay else torch.optim.Adam
        update = kind(leaves.values(), lr=1e-3, weight_decay=plan.decay, fused=True)
        step = 0

        def epoch(order: Array) -> float:
            nonlocal step
            total, right = torch.zeros(()), torch.zeros((), dtype=torch.int64)
            for rows in torch.from_numpy(order).split(plan.batch):
                update.param_groups[0]["lr"] = float(plan.rate(math, step))
                update.zero_grad(set_to_none=True)
                scores, truth = function(leaves, xs[rows], dropped), ys[rows]
                loss = F.cross_entropy(scores.flatten(0, -2), truth.flatten())
                loss.backward()
                if plan.clip is not None:
                    torch.nn.utils.clip_grad_norm_(leaves.values(), plan.clip)
                update.step()
                total += loss.detach() * len(rows)
                if plan.accuracy:
                    right += (scores.detach().argmax(-1) == truth).sum()
                step += 1
            right.item()
            return float(total) / len(order)

        return epoch

    return _epochs(training, len(x), plan)


def jax_fit(logits: Callable[..., Any], plan: Plan, x: Array, y: Array, p: Parameters, state: Parameters | None = None) -> Run:
    """logits(weights, state, x, key or None) -> scores [..., classes], new state."""
    import jax
    import jax.numpy as jnp

    each = jax.tree.map
    xs, ys = jnp.asarray(x), jnp.asarray(y)

    def loss_of(w: Any, kept: Any, given: Any, truth: Any, key: Any) -> Any:
        scores, kept = logits(w, kept, given, key)
        found = jnp.take_along_axis(jax.nn.log_softmax(scores), truth[..., None], -1)
        right = jnp.sum(jnp.argmax(scores, -1) == truth) if plan.accuracy else jnp.zeros((), jnp.int32)
        return -jnp.mean(found), (kept, right)

    def step(carried: Any, xs: Any, ys: Any, rows: Any, dropped: bool) -> Any:
        w, m, v, kept, count, total, right = carried
        key = jax.random.fold_in(jax.random.key(0), count) if dropped else None
        (value, (kept, hits)), g = jax.value_and_grad(loss_of, has_aux=True)(w, kept, xs[rows], ys[rows], key)
        if plan.clip is not None:
            norm = jnp.sqrt(sum(jnp.sum(a * a) for a in jax.tree.leaves(g)))
            g = each(lambda a: a * jnp.minimum(plan.clip / norm, 1), g)
        m = each(lambda m, g: 0.9 * m + 0.1 * g, m, g)
        v = each(lambda v, g: 0.999 * v + 0.001 * g * g, v, g)
        t, rate = (count + 1).astype(jnp.float32), plan.rate(jnp, count)
        length, shrink = rate / (1 - 0.9**t), 1 / jnp.sqrt(1 - 0.999**t)
        w = each(lambda w, m, v: w - length * m / (jnp.sqrt(v) * shrink + 1e-8) - rate * plan.decay * w, w, m, v)
        return w, m, v, kept, count + 1, total + value * len(rows), right + hits

    run = jax.jit(step, static_argnums=4, donate_argnums=0)

    def training(dropped: bool) -> Callable[[Array], float]:
        own = lambda arrays: each(jnp.array, dict(arrays))
        zeros = lambda: each(jnp.zeros_like, dict(p))
        carried = [own(p), zeros(), zeros(), own(state or {}), jnp.zeros((), jnp.int32), jnp.zeros(()), jnp.zeros((), jnp.int32)]

        def epoch(order: Array) -> float:
            carried[5], carried[6] = jnp.zeros(()), jnp.zeros((), jnp.int32)
            for first in range(0, len(order), plan.batch):
                carried[:] = run(tuple(carried), xs, ys, order[first : first + plan.batch].astype(np.int32), dropped)
            return float(jax.block_until_ready(carried)[5]) / len(order)

        return epoch

    return _epochs(training, len(x), plan)


def _epochs(training: Callable[[bool], Callable[[Array], float]], samples: int, plan: Plan) -> Run:
    """training(dropped) -> a function of the order of the samples that trains for an epoch and gives the mean loss."""
    timed, epoch = training(True), 0

    def call() -> None:
        nonlocal epoch
        timed(_order(samples, epoch))
        epoch += 1

    def results() -> list[Array]:
        compared = training(False)
        return [np.array([compared(np.arange(min(samples, plan.compared))) for _ in range(EPOCHS)])]

    return Run(call, results)


# --- the CNN of examples/image_classification.py ----------------------------------------------------------------------


def fit_cnn(samples: int = 4000, width: int = 32, batch: int = 64) -> Workload:
    """One epoch of handwritten digits; of made images, where the digits are not installed."""
    steps = 20 * -(-4000 // batch)

    def model() -> Any:
        with gx.layers.seeded(0):
            return example("image_classification").network(steps, width)

    def arrays() -> tuple[Any, ...]:
        try:
            x, y, *_ = example("image_classification").load("digits")
            order = np.random.default_rng(0).permutation(len(x))[:samples]
            x, y = x[order], y[order]
        except ImportError:
            rng = np.random.default_rng(0)
            x, y = rng.random((samples, 28, 28, 1), np.float32), rng.integers(0, 10, samples)
        return x, y, {path: v.value for path, v in weights(model()).items()}

    plan = Plan(batch, lambda m, step: 1e-3 * (1 + m.cos(math.pi * _at_most(m, step / steps))))
    products = 9 * 28**2 * width + 9 * 14**2 * 2 * width**2 + 49 * 2 * width * 4 * width + 40 * width
    return Workload(
        f"fit of a CNN, an epoch of {samples} digits", arrays,
        {
            "graphc": partial(graphc_fit, model, plan), "jax": partial(_cnn_jax, width, plan),
            "torch": partial(_cnn_torch, width, plan), "torch.compile": partial(_cnn_torch, width, plan, compiled=True),
        },
        tolerance=2e-3, flops=samples * (6 * products - 2 * 9 * 28**2 * width), count=samples, counted="images",
    )  # fmt: skip


def _at_most(m: Any, share: Any, most: float = 1.0) -> Any:
    return min(share, most) if m is math else m.minimum(share, most)


def _cnn_leaves(p: Parameters) -> dict[str, Any]:
    import torch

    leaves = {}
    for name, a in p.items():
        leaf = torch.from_numpy(a.copy())
        if a.ndim == 4:
            leaf = leaf.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        leaves[name] = leaf
    return leaves


def _cnn_torch(width: int, plan: Plan, x: Array, y: Array, p: Parameters, compiled: bool = False) -> Run:
    import torch
    import torch.nn.functional as F

    moved = {norm: (torch.zeros(channels), torch.ones(channels)) for norm, channels in ((1, width), (4, 2 * width))}

    def logits(p: Any, x: Any, dropped: bool) -> Any:
        h = x.permute(0, 3, 1, 2)  # channels last in memory
        for conv, norm in ((0, 1), (3, 4)):
            h = torch.relu(F.conv2d(h, p[f"{conv}/kernel"], p[f"{conv}/bias"], padding=1))
            h = F.batch_norm(h, *moved[norm], p[f"{norm}/gamma"], p[f"{norm}/beta"], training=True, momentum=0.01, eps=1e-3)
            h = F.max_pool2d(h, 2)
        h = F.dropout(h, 0.3, training=dropped).permute(0, 2, 3, 1).flatten(1)
        h = F.dropout(torch.relu(h @ p["8/kernel"] + p["8/bias"]), 0.5, training=dropped)
        return h @ p["10/kernel"] + p["10/bias"]

    return torch_fit(logits, _cnn_leaves, plan, x, y, p, compiled)


def _cnn_jax(width: int, plan: Plan, x: Array, y: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    def dropout(h: Any, rate: float, key: Any, number: int) -> Any:
        if key is None:
            return h
        return jnp.where(jax.random.bernoulli(jax.random.fold_in(key, number), 1 - rate, h.shape), h / (1 - rate), 0)

    def logits(w: Any, state: Any, h: Any, key: Any) -> Any:
        moved = {}
        for conv, norm in ((0, 1), (3, 4)):
            h = jax.lax.conv_general_dilated(h, w[f"{conv}/kernel"], (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"))
            h = jax.nn.relu(h + w[f"{conv}/bias"])
            mean, variance = jnp.mean(h, (0, 1, 2)), jnp.var(h, (0, 1, 2))
            many = h.size // h.shape[-1]
            old_mean, old_variance = state[f"{norm}/moving_mean"], state[f"{norm}/moving_variance"]
            moved[f"{norm}/moving_mean"] = 0.99 * old_mean + 0.01 * jax.lax.stop_gradient(mean)
            moved[f"{norm}/moving_variance"] = 0.99 * old_variance + 0.01 * jax.lax.stop_gradient(variance) * many / (many - 1)
            h = (h - mean) * jax.lax.rsqrt(variance + 1e-3) * w[f"{norm}/gamma"] + w[f"{norm}/beta"]
            n, height, wide, channels = h.shape
            h = jnp.max(h.reshape(n, height // 2, 2, wide // 2, 2, channels), (2, 4))
        h = dropout(h, 0.3, key, 0).reshape(len(h), -1)
        h = dropout(jax.nn.relu(h @ w["8/kernel"] + w["8/bias"]), 0.5, key, 1)
        return h @ w["10/kernel"] + w["10/bias"], moved

    sizes = {1: width, 4: 2 * width}
    state = {f"{n}/moving_mean": np.zeros(c, np.float32) for n, c in sizes.items()}
    state |= {f"{n}/moving_variance": np.ones(c, np.float32) for n, c in sizes.items()}
    return jax_fit(logits, plan, x, y, p, state)


# --- the GPT of examples/generation.py -------------------------------------------------------------------------------

LETTERS = 97  # of the texts of Python's help
LAST = 1e-3  # the layer's own epsilon


def fit_gpt(batches: int = 8, batch: int = 32, shape: Shape | None = None) -> Workload:
    """Steps on random letters."""
    s = shape or Shape(vocabulary=LETTERS)

    def model() -> Any:
        with gx.layers.seeded(0):
            made = gpt_model(s)
        steps = gx.optim.schedules.warmup(20, gx.optim.schedules.cosine(2e-3, 600))
        made.compile(gx.models.Optimizer("adamw", steps, clip_norm=1.0), "sparse_categorical_crossentropy")
        return made

    def arrays() -> tuple[Any, ...]:
        words = np.random.default_rng(1).integers(0, s.vocabulary, (batches * batch, s.time + 1))
        return np.ascontiguousarray(words[:, :-1]), np.ascontiguousarray(words[:, 1:]), gpt_weights(s)

    def rate(m: Any, step: Any) -> Any:
        after = step - 20 if m is not math else max(step - 20, 0)
        after = after if m is math else m.maximum(after, 0)
        return _at_most(m, (step + 1) / 20) * 1e-3 * (1 + m.cos(math.pi * _at_most(m, after / 600)))

    plan = Plan(batch, rate, decay=0.01, clip=1.0, accuracy=False)
    products = s.layers * 12 * s.width**2 + s.width * s.vocabulary
    tokens = batches * batch * s.time
    return Workload(
        f"fit of a GPT, {batches} steps of {batch} x {s.time} letters", arrays,
        {
            "graphc": partial(graphc_fit, model, plan), "jax": partial(_gpt_jax, s, plan),
            "torch": partial(_gpt_torch, s, plan), "torch.compile": partial(_gpt_torch, s, plan, compiled=True),
        },
        tolerance=2e-3, flops=6 * tokens * (products + s.layers * (s.time + 1) * s.width), count=tokens, counted="letters",
    )  # fmt: skip


def gpt_model(s: Shape) -> Any:
    """The example's model, with its variables made."""
    made = example("generation").GPT(s.vocabulary, s.time, s.width, s.heads, s.layers)
    made(gx.placeholder("words", ("batch", "time"), "int64"))
    return made


def gpt_weights(s: Shape) -> dict[str, Array]:
    with gx.layers.seeded(0):
        return {path: v.value for path, v in weights(gpt_model(s)).items()}


def peers_gpt(p: Parameters) -> dict[str, Array]:
    """The weights by the names of `benchmarks/workloads/gpt.py`; the peers take one product for queries, keys and values."""
    made = {"token": p["embed/embeddings"], "position": p["places/positions"]}
    made |= {"norm.w": p["norm/gamma"], "norm.b": p["norm/beta"], "head.w": p["head/kernel"], "head.b": p["head/bias"]}
    for i in range(sum(path.endswith("attention/query/kernel") for path in p)):
        ours, theirs = f"blocks/{i}", f"block{i}"
        for kind, short in (("kernel", "w"), ("bias", "b")):
            three = [p[f"{ours}/attention/{part}/{kind}"] for part in ("query", "key", "value")]
            made[f"{theirs}.qkv.{short}"] = np.concatenate(three, -1)
            for name, path in (("mix", "attention/output"), ("up", "feed_forward/inner"), ("down", "feed_forward/outer")):
                made[f"{theirs}.{name}.{short}"] = p[f"{ours}/{path}/{kind}"]
        for name, path in (("norm1", "attention_norm"), ("norm2", "feed_forward_norm")):
            made[f"{theirs}.{name}.w"], made[f"{theirs}.{name}.b"] = p[f"{ours}/{path}/gamma"], p[f"{ours}/{path}/beta"]
    return made


def _gpt_torch(s: Shape, plan: Plan, x: Array, y: Array, p: Parameters, compiled: bool = False) -> Run:
    import torch

    leaves = lambda p: {name: torch.from_numpy(a.copy()) for name, a in p.items()}
    logits = lambda p, tokens, dropped: torch_logits(s, p, tokens, LAST)
    return torch_fit(logits, leaves, plan, x, y, peers_gpt(p), compiled)


def _gpt_jax(s: Shape, plan: Plan, x: Array, y: Array, p: Parameters) -> Run:
    return jax_fit(lambda w, state, tokens, key: (jax_logits(s, w, tokens, LAST), state), plan, x, y, peers_gpt(p))


# --- sequences told apart by an LSTM ---------------------------------------------------------------------------------


def fit_lstm(
    samples: int = 2048, time: int = 64, units: int = 128, width: int = 64, words: int = 2000, classes: int = 4, batch: int = 64
) -> Workload:
    """Embedding, LSTM, Dense; made sequences, each class with words that are more frequent in it."""

    def model() -> Any:
        with gx.layers.seeded(0):
            parts = [gx.layers.Embedding(words, width), gx.layers.LSTM(units), gx.layers.Dense(classes)]
            made = gx.models.Sequential(parts)
        made(gx.placeholder("words", ("batch", time), "int64"))
        made.compile("adam", "sparse_categorical_crossentropy", ["accuracy"])
        return made

    def arrays() -> tuple[Any, ...]:
        rng = np.random.default_rng(0)
        y = rng.integers(0, classes, samples)
        own = rng.integers(0, words // classes, (samples, time)) * classes + y[:, None]
        x = np.where(rng.random((samples, time)) < 0.1, own, rng.integers(0, words, (samples, time)))
        return x, y, {path: v.value for path, v in weights(model()).items()}

    plan = Plan(batch, lambda m, step: 1e-3)
    return Workload(
        f"fit of an LSTM, an epoch of {samples} x {time} words", arrays,
        {
            "graphc": partial(graphc_fit, model, plan), "jax": partial(_lstm_jax, plan),
            "torch": partial(torch_fit, _lstm_torch, _lstm_leaves, plan),
            "torch.compile": partial(torch_fit, _lstm_torch, _lstm_leaves, plan, compiled=True),
        },
        tolerance=2e-3, flops=6 * samples * time * (width + units) * 4 * units, count=samples * time, counted="words",
    )  # fmt: skip


def _lstm_leaves(p: Parameters) -> dict[str, Any]:
    import torch

    turned = ("1/kernel", "1/recurrent_kernel")
    return {name: torch.from_numpy(np.array(a.T if name in turned else a, order="C")) for name, a in p.items()}


def _lstm_torch(p: Any, x: Any, dropped: bool) -> Any:
    import torch
    import torch.nn.functional as F

    wide, units = p["1/recurrent_kernel"].shape
    rest = torch.zeros(1, len(x), units)
    flat = [p["1/kernel"], p["1/recurrent_kernel"], p["1/bias"], torch.zeros(wide)]
    # what torch.nn.LSTM calls: has biases, one layer, no dropout, training, one direction, batch first
    _, h, _ = torch._VF.lstm(F.embedding(x, p["0/embeddings"]), (rest, rest), flat, True, 1, 0.0, True, False, True)  # type: ignore[attr-defined]
    return h[0] @ p["2/kernel"] + p["2/bias"]


def _lstm_jax(plan: Plan, x: Array, y: Array, p: Parameters) -> Run:
    import jax
    import jax.numpy as jnp

    def logits(w: Any, state: Any, words: Any, key: Any) -> Any:
        units = w["1/recurrent_kernel"].shape[0]
        rest = jnp.zeros((len(words), units))

        def step(s: Any, z: Any) -> Any:
            i, f, g, o = jnp.split(z + s[0] @ w["1/recurrent_kernel"], 4, -1)
            c = jax.nn.sigmoid(f) * s[1] + jax.nn.sigmoid(i) * jnp.tanh(g)
            return (jax.nn.sigmoid(o) * jnp.tanh(c), c), None

        given = w["0/embeddings"][words] @ w["1/kernel"] + w["1/bias"]
        (h, _), _ = jax.lax.scan(step, (rest, rest), jnp.swapaxes(given, 0, 1))
        return h @ w["2/kernel"] + w["2/bias"], state

    return jax_fit(logits, plan, x, y, p)
