"""einsum: sums of products over named axes, as reductions, permutes and matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from graphc import ops
from graphc.errors import InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir.dims import Size
from graphc.ops.declare import listed, numeric, promote_operands
from graphc.ops.tensor import Tensor, TensorLike, as_tensor

Label = Any  # a letter, an integer, or _Dot
Labels = tuple[Label, ...]
Part = tuple[Tensor, Labels]
TYPICAL = 64  # what a symbolic size is taken for where an order depends on it


def einsum(*operands: Any, optimize: bool | str = True) -> Tensor:
    """The sum of products that NumPy's notation names: "ij,jk->ik", "...ij->...ji", "ii", or operands and lists of axes in turn.

    Two operands at a time are one (batched) matrix product, or a product of elements where nothing is summed. The order is
    opt_einsum's where that is installed (the extra `einsum`) and sizes are known, else greedy: the pair whose result adds least
    memory. optimize=False takes them from left to right; names of opt_einsum's methods are passed on. Operands are numbers that
    promote; the result has their type, and integers wrap.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("batch", 3, 4), "float32")
    >>> gx.einsum("bij,bkj->bik", x, x)
    <Tensor matmul: f32[batch, 3, 3]>
    """
    given, terms, out = _labels(operands)
    xs, dtype = promote_operands("einsum", given, numeric)
    parts = [_single(x, labels) for x, labels in zip(xs, terms, strict=True)]
    sizes = _sizes([x for x, _ in parts], [labels for _, labels in parts])
    for label in out:
        if label not in sizes:
            raise _wrong(f"the result's axis {label!s} is in no operand")
    parts = [_narrowed(x, labels, sizes) for x, labels in parts]
    for pair in _order(parts, out, sizes, optimize):
        taken = [parts[i] for i in pair]
        parts = [p for i, p in enumerate(parts) if i not in pair]
        kept = set(out).union(*(labels for _, labels in parts))
        parts.append(_contract(taken, kept))
    x, labels = _reduced(*parts[0], set(out))
    missing = [label for label in out if label not in labels]  # axes that are 1 in every operand
    x = ops.reshape(x, (*x.shape, *(1 for _ in missing)))
    labels = (*labels, *missing)
    return ops.astype(ops.permute_dims(x, [labels.index(label) for label in out]), dtype)


def _wrong(why: str, hint: str | None = None) -> InputError:
    return InputError(f"einsum: {why}", where=caller(), hint=hint)


# --- notation --------------------------------------------------------------------------------------------------------


def _labels(operands: Sequence[Any]) -> tuple[list[TensorLike], list[Labels], Labels]:
    """The operands, a label for each of their axes, and the result's labels."""
    if not operands:
        raise _wrong("there are no operands", 'write gx.einsum("ij,jk->ik", a, b)')
    if isinstance(operands[0], str):
        text, given = operands[0].replace(" ", ""), list(operands[1:])
        left, arrow, right = text.partition("->")
        if "." in text.replace("...", "") or not all(c.isalpha() or c in ".,->" for c in text) or ">" in right or "-" in left:
            raise _wrong(f"{operands[0]!r} is not a subscript", 'letters, ..., commas and one ->, as in "...ij,jk->...ik"')
        lists = [_split(term) for term in left.split(",")]
        out = _split(right) if arrow else None
    else:
        given, lists = list(operands[: len(operands) // 2 * 2 : 2]), [listed("einsum", "labels", a) for a in operands[1::2]]
        out = listed("einsum", "labels", operands[-1]) if len(operands) % 2 else None
    if len(given) != len(lists):
        raise _wrong(f"{len(lists)} subscripts for {len(given)} operands")
    xs = [as_tensor(x) for x in given]
    terms = [_spread(labels, x) for labels, x in zip(lists, xs, strict=True)]
    flat = [label for term in terms for label in term]
    dots = sorted({label for label in flat if isinstance(label, _Dot)}, reverse=True)
    if out is None:
        named = sorted({label for label in flat if not isinstance(label, _Dot) and flat.count(label) == 1})
        return list(given), terms, (*dots, *named)
    result: list[Label] = []
    for label in out:
        result += dots if label is Ellipsis else [label]
    if len(set(result)) < len(result):
        raise _wrong(f"the result names an axis twice: {''.join(map(str, result))}")
    if dots and Ellipsis not in out:
        raise _wrong("the result leaves out the axes of ...", "write ... on both sides of ->, or sum over the result's axes")
    return list(given), terms, tuple(result)


class _Dot(int):
    """A label of an axis under ..., counted from its end."""

    def __hash__(self) -> int:
        return hash(("...", int(self)))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Dot) and int(self) == int(other)


def _split(term: str) -> list[Label]:
    before, dots, after = term.partition("...")
    return [*before, *([Ellipsis] if dots else []), *after]


def _spread(labels: list[Label], x: Tensor) -> Labels:
    """A label for each axis: those under ... are counted from the last."""
    for label in labels:
        if not isinstance(label, (str, int)) and label is not Ellipsis:
            raise _wrong(f"{label!r} is not a label", "letters, integers or ...")
    count = x.ndim - len([label for label in labels if label is not Ellipsis])
    if count < 0 or (count > 0 and Ellipsis not in labels) or labels.count(Ellipsis) > 1:
        raise ShapeError(
            f"einsum: {_text(labels)!r} does not fit {x.type}", where=caller(), hint="give one letter for each axis, or ..."
        )
    found: list[Label] = []
    for label in labels:
        found += [_Dot(i) for i in reversed(range(count))] if label is Ellipsis else [label]
    return tuple(found)


def _text(labels: Sequence[Label]) -> str:
    return "".join("..." if label is Ellipsis else str(label) for label in labels)


# --- single operands -------------------------------------------------------------------------------------------------


def _single(x: Tensor, labels: Labels) -> Part:
    """An operand with each label once: of repeated ones, the diagonal."""
    names = list(labels)
    for label in dict.fromkeys(labels):
        while names.count(label) > 1:
            i = names.index(label)
            j = names.index(label, i + 1)
            n, m = x.shape[i], x.shape[j]
            if n != m:
                if 1 not in (n, m):
                    raise ShapeError(f"einsum: axis {label!s} has the sizes {n} and {m} in {x.type}", where=caller())
                drop = i if n == 1 else j
                x = ops.squeeze(x, drop)
                del names[drop]
                continue
            x = ops.diagonal(x, 0, i, j)
            del names[j], names[i]
            names.append(label)
    return x, tuple(names)


def _sizes(xs: Sequence[Tensor], terms: Sequence[Labels]) -> dict[Label, Size]:
    sizes: dict[Label, Size] = {}
    for x, labels in zip(xs, terms, strict=True):
        for label, n in zip(labels, x.shape, strict=True):
            known = sizes.get(label, 1)
            if known != 1 and n not in (1, known):
                raise ShapeError(
                    f"einsum: axis {label!s} has the sizes {known} and {n}, in {' and '.join(str(v.type) for v in xs)}",
                    where=caller(),
                )
            sizes[label] = n if known == 1 else known
    return sizes


def _narrowed(x: Tensor, labels: Labels, sizes: dict[Label, Size]) -> Part:
    """Without the axes of size 1: they broadcast."""
    drop = tuple(a for a, n in enumerate(x.shape) if n == 1)
    return (ops.squeeze(x, drop) if drop else x), tuple(label for a, label in enumerate(labels) if a not in drop)


def _reduced(x: Tensor, labels: Labels, kept: set[Label]) -> Part:
    """Summed over the labels that nothing else needs."""
    axes = tuple(a for a, label in enumerate(labels) if label not in kept)
    if not axes:
        return x, labels
    return ops.astype(ops.sum(x, axis=axes), x.dtype), tuple(label for label in labels if label in kept)


# --- pairs -----------------------------------------------------------------------------------------------------------


def _contract(parts: Sequence[Part], kept: set[Label]) -> Part:
    """Parts as one: two, then the result and the next."""
    first, *rest = parts
    for i, part in enumerate(rest):
        first = _pair(first, part, kept.union(*(labels for _, labels in rest[i + 1 :])))
    return first if rest else _reduced(*first, kept)


def _pair(one: Part, two: Part, kept: set[Label]) -> Part:
    a, la = _reduced(*one, kept | set(two[1]))
    b, lb = _reduced(*two, kept | set(la))
    batch = [label for label in la if label in lb and label in kept]
    summed = [label for label in la if label in lb and label not in kept]
    left, right = ([label for label in labels if label not in other] for labels, other in ((la, lb), (lb, la)))
    x = ops.permute_dims(a, [la.index(label) for label in (*batch, *left, *summed)])
    y = ops.permute_dims(b, [lb.index(label) for label in (*batch, *summed, *right)])
    outer = x.shape[: len(batch)]
    rows, columns = x.shape[len(batch) : len(batch) + len(left)], y.shape[len(batch) + len(summed) :]
    inner = x.shape[len(batch) + len(left) :]
    if summed:
        m, k, n = dims.product(rows), dims.product(inner), dims.product(columns)
        product = ops.matmul(ops.reshape(x, (*outer, m, k)), ops.reshape(y, (*outer, k, n)))
    else:
        product = ops.reshape(x, (*outer, *rows, *(1 for _ in columns))) * ops.reshape(y, (*outer, *(1 for _ in rows), *columns))
    return ops.reshape(product, (*outer, *rows, *columns)), (*batch, *left, *right)


# --- the order -------------------------------------------------------------------------------------------------------


def _order(
    parts: Sequence[Part], out: Labels, sizes: dict[Label, Size], optimize: bool | str
) -> list[tuple[int, ...]]:
    """Which operands are contracted, step by step; results go to the end."""
    if len(parts) < 3 or not optimize:
        return [(0, 1)] * (len(parts) - 1)
    terms = [frozenset(labels) for _, labels in parts]
    if all(isinstance(n, int) for n in sizes.values()):
        found = _installed(terms, frozenset(out), sizes, "auto" if optimize is True else optimize)
        if found is not None:
            return found
    return _greedy(terms, frozenset(out), sizes)


def _installed(
    terms: Sequence[frozenset[Label]], out: frozenset[Label], sizes: dict[Label, Size], method: str
) -> list[tuple[int, ...]] | None:
    """opt_einsum's order, if it is there."""
    try:
        import opt_einsum
    except ImportError:
        return None
    letters = {label: opt_einsum.get_symbol(i) for i, label in enumerate(sizes)}
    order = list(sizes)
    text = [[label for label in order if label in term] for term in terms]
    left = ",".join("".join(letters[label] for label in term) for term in text)
    shapes = [tuple(sizes[label] for label in term) for term in text]
    right = "".join(letters[label] for label in order if label in out and any(label in term for term in terms))
    try:
        path, _ = opt_einsum.contract_path(f"{left}->{right}", *shapes, shapes=True, optimize=method)
    except (KeyError, TypeError, ValueError) as error:
        raise _wrong(f"opt_einsum has no way {method!r}: {error}") from None
    return [tuple(sorted(step)) for step in path]


def _greedy(terms: Sequence[frozenset[Label]], out: frozenset[Label], sizes: dict[Label, Size]) -> list[tuple[int, ...]]:
    numbers = {label: dims.evaluate(n, dict.fromkeys(dims.names(n), TYPICAL)) for label, n in sizes.items()}

    def volume(labels: frozenset[Label]) -> int:
        total = 1
        for label in labels:
            total *= numbers[label]
        return total

    left = list(terms)
    steps: list[tuple[int, ...]] = []
    while len(left) > 1:
        best: tuple[int, int, tuple[int, int], frozenset[Label]] | None = None
        for j in range(len(left)):
            for i in range(j):
                kept = out.union(*(t for k, t in enumerate(left) if k not in (i, j)))
                made = (left[i] | left[j]) & kept
                rank = (volume(made) - volume(left[i]) - volume(left[j]), volume(left[i] | left[j]))
                if best is None or rank < best[:2]:
                    best = (*rank, (i, j), made)
        assert best is not None
        i, j = best[2]
        steps.append((i, j))
        left = [*(t for k, t in enumerate(left) if k not in (i, j)), best[3]]
    return steps
