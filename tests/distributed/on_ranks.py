"""What every rank of a launch of MPI checks: exchanges on all backends, against what one process computes of all ranks' values.

    mpiexec -n 3 python tests/distributed/on_ranks.py

Each rank knows the values of all, so it knows what it must get. What a rank that found nothing wrong says last is "rank r: n
checks".
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

import graphc as gx
from graphc import distributed as d

Array = np.ndarray[Any, Any]
BACKENDS = ("interpreter", "program", "llvm")
CHECKS: list[Callable[[], None]] = []
R, N = d.rank(), d.size()


def check(function: Callable[[], None]) -> Callable[[], None]:
    CHECKS.append(function)
    return function


def values(shape: tuple[int, ...], dtype: str = "float64", seed: int = 0) -> list[Array]:
    """Small integers of every rank, whose sums are exact."""
    return [np.random.default_rng([seed, r]).integers(-9, 10, shape).astype(dtype) for r in range(N)]


def same(found: Any, wanted: Any, what: str) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    kinds = [(a.dtype.name, a.shape) for a in (found, wanted)]
    assert kinds[0] == kinds[1], f"{what}: {kinds[0]} is not {kinds[1]}"
    assert found.tobytes() == wanted.tobytes(), f"{what}: {found} is not {wanted}"


def runs(outputs: Callable[..., Any], wanted: Any, *given: Array, open_sizes: bool = False, backends: Any = BACKENDS) -> None:
    """Every backend gives what is wanted, twice."""
    shapes = [tuple(f"n{i}_{a}" for a in range(x.ndim)) if open_sizes else x.shape for i, x in enumerate(given)]
    xs = [gx.placeholder(f"x{i}", shape, x.dtype.name) for i, (x, shape) in enumerate(zip(given, shapes, strict=True))]
    y = outputs(*xs)
    for backend in backends:
        f = gx.compile(xs, y, backend=backend)
        for turn in range(2):
            found = f(*given)
            pairs = zip(found, wanted, strict=True) if isinstance(wanted, list) else [(found, wanted)]
            for a, b in pairs:
                same(a, b, f"{backend}, turn {turn}")


@check
def every_exchange() -> None:
    for dtype in ("float32", "float64", "int8", "int64", "uint32"):
        x, many = values((2 * N, 3), dtype), values((N,), dtype, 1)
        total = np.sum(x, axis=0, dtype=dtype)
        part = slice(2 * R, 2 * R + 2)
        runs(
            lambda a, b: [
                d.all_reduce(a), d.all_gather(a), d.reduce_scatter(a), d.all_to_all(a), d.broadcast(a, N - 1), d.reduce(a, N - 1),
                d.all_gather(b), d.barrier(b), d.all_to_all(b),
            ],
            [
                total, np.concatenate(x), total[part], np.concatenate([v[part] for v in x]), x[N - 1],
                total if R == N - 1 else np.zeros_like(total), np.concatenate(many), many[R], np.stack([v[R] for v in many]),
            ], x[R], many[R], open_sizes=dtype == "float32",
        )  # fmt: skip


@check
def other_axes_and_types() -> None:
    x = values((3, 2 * N))
    total = np.sum(x, axis=0)
    part = slice(2 * R, 2 * R + 2)
    runs(
        lambda a: [d.all_gather(a, axis=1), d.reduce_scatter(a, -1), d.all_to_all(a, 1)],
        [np.concatenate(x, 1), total[:, part], np.concatenate([v[:, part] for v in x], 1)], x[R],
    )  # fmt: skip
    half = values((4,), "float16")
    truth = [v > 0 for v in half]
    runs(
        lambda a, b: [d.all_reduce(a), d.all_gather(a), d.all_reduce(b), d.broadcast(b), d.all_reduce(b, "max")],
        [np.sum(half, axis=0, dtype="float16"), np.concatenate(half), np.sum(truth, axis=0), truth[0], np.any(truth, axis=0)],
        half[R], truth[R],
    )  # fmt: skip
    empty = np.zeros((0, 2), "float32")
    runs(lambda a: [d.all_reduce(a), d.all_gather(a), d.broadcast(a)], [empty] * 3, empty)


@check
def scalars_and_other_combinations() -> None:
    x = values((), "float64")
    odd = [np.array([v, np.nan, 1.0]) if r == 1 else np.array([v, 2.0, -np.inf]) for r, v in enumerate(x)]
    runs(
        lambda a, b: [d.all_reduce(x, c) for x, c in ((a, "sum"), (a, "mean"), (a, "max"), (a, "min"), (b, "max"), (b, "min"))],
        [np.sum(x), np.sum(x) / N, np.max(x), np.min(x), np.max(odd, axis=0), np.min(odd, axis=0)], x[R], odd[R],
    )  # fmt: skip
    whole = values((3,), "int32")
    runs(lambda a: d.all_reduce(a, "mean"), np.sum(whole, axis=0, dtype="int32") / N, whole[R])


@check
def gradients_are_of_the_sum_over_all_ranks() -> None:
    """The loss of rank r is sum(w[r] * y): so the cotangents of all ranks are known to each."""
    x, w = values((2 * N, 2)), values((2 * N, 2), seed=2)
    gathered = values((2 * N * N, 2), seed=3)
    less = values((2, 2), seed=4)
    mine = slice(2 * R, 2 * R + 2)
    long = slice(2 * N * R, 2 * N * R + 2 * N)

    def outputs(a: Any, b: Any, c: Any, e: Any) -> list[Any]:
        pairs = [
            (d.all_reduce(a), b), (d.all_gather(a), c), (d.reduce_scatter(a), e), (d.all_to_all(a), b), (d.broadcast(a, 1), b),
            (d.reduce(a, 1), b), (d.barrier(a), b), (d.all_reduce(a, "mean"), b),
        ]  # fmt: skip
        return [gx.grad(gx.sum(y * v), a) for y, v in pairs]

    total = np.sum(w, axis=0)
    runs(
        outputs,
        [
            total, np.sum(gathered, axis=0)[long], np.concatenate(less), np.concatenate([v[mine] for v in w]),
            total if R == 1 else np.zeros_like(total), w[1], w[R], np.sum([v / N for v in w], axis=0),
        ], x[R], w[R], gathered[R], less[R],
    )  # fmt: skip
    tied = [np.array([1.0, float(r == 0)]) for r in range(N)]
    runs(lambda a, b: gx.grad(gx.sum(d.all_reduce(a, "max") * b), a), np.array([1.0, N * float(R == 0)]), tied[R], np.ones(2))


@check
def a_ring_of_sends() -> None:
    """All send before they receive, more than MPI keeps by itself."""
    x = values((200_000,), "float32")
    after, before = (R + 1) % N, (R - 1) % N

    def outputs(a: Any) -> list[Any]:
        sent = d.send(a + 1, after, tag=3)
        came = d.receive(a.shape, "float32", before, tag=3)
        return [sent * 2, came]

    runs(outputs, [(x[R] + 1) * 2, x[before] + 1], x[R], backends=("interpreter", "llvm"))
    short = values((3,), "float32")
    runs(outputs, [(short[R] + 1) * 2, short[before] + 1], short[R])


@check
def a_sent_value_gets_the_gradient_from_where_it_went() -> None:
    x, w = values((5,)), values((5,), seed=6)
    if R > 1:
        return

    def first(a: Any, b: Any) -> Any:
        return gx.grad(gx.sum(d.send(a * 2, to=1) * b), a)

    def second(a: Any, b: Any) -> Any:
        h = d.receive((5,), "float64", source=0)
        return d.send(gx.grad(gx.sum(h * b), h), to=0)

    runs((first, second)[R], (w[0] + w[1]) * 2 if R == 0 else w[1], x[R], w[R])


@check
def order_is_kept_whatever_reads_what() -> None:
    """Readers in another order than the exchanges were declared, values that fuse, and one that nothing else reads."""
    x = values((8,))
    total = np.sum(x, axis=0)

    def outputs(a: Any) -> list[Any]:
        first = d.all_reduce(a)
        second = d.all_gather(a * 2)
        third = d.all_reduce(a * 3)
        return [third + 1, gx.sum(second) + third, first - third]

    runs(outputs, [3 * total + 1, 2 * np.sum(x) + 3 * total, total - 3 * total], x[R])


@check
def gradients_of_layers_are_joined() -> None:
    """Products of small integers, so every sum is exact; given from the first layer on, and made from the last."""
    x = values((6, 4))
    shapes = ((4, 5), (5,), (5, 3))
    first, bias, second = (np.random.default_rng(i).integers(-3, 4, s).astype("float64") for i, s in enumerate(shapes))

    def outputs(a: Any) -> list[Any]:
        weights = [gx.variable(v) for v in (first, bias, second)]
        loss = gx.sum((a @ weights[0] + weights[1]) @ weights[2])
        return d.all_reduce([*gx.grad(loss, weights), loss])

    back = np.ones((6, 3)) @ second.T
    hidden = [v @ first + bias for v in x]
    runs(
        outputs,
        [
            sum(v.T @ back for v in x), N * back.sum(0), sum(h.T @ np.ones((6, 3)) for h in hidden),
            np.array(sum((h @ second).sum() for h in hidden)),
        ], x[R],
    )  # fmt: skip


@check
def within_loops_and_choices() -> None:
    x = values((4,))
    total = np.sum(x, axis=0)

    def scanned(a: Any) -> Any:
        last, each = gx.scan(lambda c, i: (d.all_reduce(c) * 0.5, gx.sum(c) + i), a, gx.arange(3, dtype="float64"))
        return [last, each, gx.grad(gx.sum(last), a)]

    c, each = x[R], []
    cs = list(x)
    for i in range(3):
        each.append(np.sum(c) + i)
        t = np.sum(cs, axis=0) * 0.5
        cs = [t] * N
        c = t
    gradient = np.full(4, N * (N * 0.5) ** 3 / N)
    runs(scanned, [c, np.array(each), gradient], x[R])
    runs(lambda a: gx.cond(gx.sum(d.all_reduce(a)) * 0 == 0, lambda: d.all_reduce(a), lambda: a), total, x[R])
    runs(
        lambda a: gx.while_loop(lambda s: s[0] < 2, lambda s: (s[0] + 1, d.all_reduce(s[1])), (0, a))[1],
        total * N, x[R],
    )  # fmt: skip


@check
def updates_use_what_comes() -> None:
    x = values((6,))
    w = gx.variable(np.zeros(6), name="w")
    a = gx.placeholder("a", (6,), "float64")
    f = gx.compile([a], gx.sum(w), updates={w: w + d.all_reduce(a, "mean")})
    mean = np.sum(x, axis=0) / N
    for turn in range(3):
        f(x[R])
        same(w.value, sum([mean] * (turn + 1), np.zeros(6)), "the variable")


def main() -> None:
    try:
        for function in CHECKS:
            function()
            print(f"rank {R}: {function.__name__}", flush=True)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        from mpi4py import MPI

        MPI.COMM_WORLD.Abort(1)
        return
    print(f"rank {R}: {len(CHECKS)} checks", flush=True)


if __name__ == "__main__":
    main()
