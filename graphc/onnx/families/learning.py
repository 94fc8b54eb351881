"""Counts of words, trees, and features: what learners of tables and texts are made of (with the domain ai.onnx.ml)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

import graphc as gx
from graphc.onnx.operators import Call, operator

_DOMAIN = "ai.onnx.ml::"


@operator("TfIdfVectorizer")
def tf_idf(call: Call) -> Any:
    """How often each n-gram of a pool occurs, with up to `max_skip_count` elements left out between its own."""
    if "pool_int64s" not in call.attrs:
        raise call.error("words are not read", hint="give their numbers")
    x, pool, at = call[0], call.attrs["pool_int64s"], call.attrs["ngram_indexes"]
    starts = [*call.attrs["ngram_counts"], len(pool)]
    least, most, skips = (call.attrs[name] for name in ("min_gram_length", "max_gram_length", "max_skip_count"))
    counts, places, first = [], [], 0
    for n, (start, end) in enumerate(itertools.pairwise(starts), 1):
        grams = np.asarray(pool[start:end], np.int64).reshape(-1, n)
        if least <= n <= most and len(grams):
            counts.append(_occurrences(x, grams, range(1, 2 if n == 1 else skips + 2)))
            places += at[first : first + len(grams)]
        first += len(grams)
    y = gx.zeros((*x.shape[:-1], max(at) + 1), "float32")
    if counts:
        y = y.at[..., gx.constant(np.asarray(places, np.int64))].add(gx.concat(counts, axis=-1))
    weights, mode = call.attr("weights"), call.attrs["mode"]
    if mode == "IDF":
        y = gx.astype(y > 0, "float32")
    return y if mode == "TF" or not weights else y * gx.constant(weights, dtype="float32")


def _occurrences(x: gx.Tensor, grams: Any, distances: range) -> gx.Tensor:
    """How often each row of `grams` stands in the last axis of x, with its elements at each of the distances."""
    total = gx.zeros((*x.shape[:-1], len(grams)), "float32")
    n, size = grams.shape[1], x.shape[-1]
    for distance in distances:
        places = size - distance * (n - 1)
        if isinstance(places, int) and places < 1:
            break
        found: Any = True
        for j in range(n):
            part = x[..., distance * j : distance * j + places]
            found = (part[..., None] == gx.constant(grams[:, j], dtype=x.dtype)) & found
        total = total + gx.sum(gx.astype(found, "float32"), axis=-2)
    return total


@operator(_DOMAIN + "ArrayFeatureExtractor")
def array_feature_extractor(call: Call) -> Any:
    x, at = call[0], gx.reshape(call[1], (-1,))
    y = gx.take(x, at, axis=-1)
    return y if x.ndim > 1 else gx.expand_dims(y, axis=0)


@operator(_DOMAIN + "Binarizer")
def binarizer(call: Call) -> Any:
    x = call[0]
    return gx.astype(x > call.attr("threshold", 0.0), x.dtype)


_TESTS: dict[int, Any] = {
    0: lambda x, s: x <= s, 1: lambda x, s: x < s, 2: lambda x, s: x >= s, 3: lambda x, s: x > s, 4: lambda x, s: x == s,
    5: lambda x, s: x != s,
}  # fmt: skip
_MEMBER = 6


@operator(_DOMAIN + "TreeEnsemble")
def tree_ensemble(call: Call) -> Any:
    """All trees at once, a level a step. A place in a tree is the number of a node; leaves are numbered after the nodes."""
    x = call[0]
    nodes = len(call.attrs["nodes_modes"])

    def child(side: str) -> Any:
        ids, leaf = np.asarray(call.attrs[f"nodes_{side}nodeids"]), np.asarray(call.attrs[f"nodes_{side}leafs"])
        return np.where(leaf.astype(bool), ids + nodes, ids)

    yes, no = child("true"), child("false")
    modes, features = np.asarray(call.attrs["nodes_modes"]), np.asarray(call.attrs["nodes_featureids"])
    members = _members(call, modes)
    lost = np.asarray(call.attr("nodes_missing_value_tracks_true", [0] * nodes)).astype(bool)
    weights, targets = np.asarray(call.attrs["leaf_weights"]), np.asarray(call.attrs["leaf_targetids"])

    def at(table: Any, place: Any) -> Any:
        return gx.take(gx.constant(table), place, axis=0)

    roots = np.asarray(call.attrs["tree_roots"])
    place = gx.broadcast_to(gx.constant(roots), (x.shape[0], len(roots)))
    for _ in range(_depth(roots, yes, no, nodes)):
        here = gx.minimum(place, nodes - 1)
        value = gx.take_along_axis(x, at(features, here), axis=1)
        split, mode = at(call.attrs["nodes_splits"], here), at(modes, here)
        holds = gx.any(gx.expand_dims(value, axis=-1) == at(members, here), axis=-1)
        for m in sorted({int(m) for m in modes} - {_MEMBER}):
            holds = gx.where(mode == m, _TESTS[m](value, split), holds)
        holds = gx.where(gx.isnan(value), holds | at(lost, here), holds)
        place = gx.where(place < nodes, gx.where(holds, at(yes, here), at(no, here)), place)
    leaf = gx.maximum(place - nodes, 0)
    return _aggregated(call, at(targets, leaf), gx.astype(at(weights, leaf), x.dtype), len(roots))


def _members(call: Call, modes: Any) -> Any:
    """The values that each node asks for, [nodes, most of them]; NaN, which equals nothing, where there are fewer."""
    given = np.asarray(call.attr("membership_values", np.zeros(0, np.float32)))
    ends = [-1, *np.flatnonzero(np.isnan(given))]
    lists = [given[a + 1 : b] for a, b in itertools.pairwise(ends)]
    table = np.full((len(modes), max([1, *map(len, lists)])), np.nan, given.dtype)
    for node, values in zip(np.flatnonzero(modes == _MEMBER), lists, strict=True):
        table[node, : len(values)] = values
    return table


def _depth(roots: Any, yes: Any, no: Any, nodes: int) -> int:
    """Steps until every way has come to a leaf."""
    here, steps = {int(r) for r in roots}, 0
    while here:
        here = {int(c) for n in here for c in (yes[n], no[n]) if c < nodes}
        steps += 1
        if steps > nodes:
            raise gx.GraphError("a tree leads back to itself")
    return steps


def _aggregated(call: Call, target: Any, weight: Any, trees: int) -> Any:
    """The weights of the leaves, [n, trees], in the columns of their targets."""
    how, count = call.attr("aggregate_function", 1), call.attrs["n_targets"]
    if call.attr("post_transform", 0):
        raise call.error(f"post_transform={call.attrs['post_transform']} is not read", hint="0 is")
    mine = gx.expand_dims(target, axis=-1) == gx.arange(count)  # [n, trees, targets]
    each = gx.expand_dims(weight, axis=-1)
    if how < 2:
        total = gx.sum(gx.where(mine, each, gx.zeros_like(each)), axis=1)
        return total if how == 1 else total / trees
    function, start = ((gx.min, np.inf), (gx.max, -np.inf))[how - 2]
    return function(gx.where(mine, each, gx.full_like(each, start)), axis=1)
