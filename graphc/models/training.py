"""The compiled programs of a model: one to train, one to test, one to predict, over the same variables.

Arrays that are in memory go in whole, with the numbers of a batch's rows, and the rows are gathered in the program; what an
iterator gives goes in batch by batch. "batch" is a symbolic size in both, so a short last batch compiles nothing new.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc import Tensor, Variable
from graphc.data.trees import form, leaves, mapped
from graphc.distributed import size
from graphc.distributed.blocks import added_up
from graphc.distributed.gradients import Blocks, check_blocks, depending, wide
from graphc.distributed.parallel import DEFAULT_BLOCKS, same_loss, share, sums_by_mpi, totals
from graphc.layers import mask_of
from graphc.layers.layer import calls, flat
from graphc.layers.masks import give_mask, weights_of_steps
from graphc.metrics import Mean, Metric
from graphc.models.callbacks import Callback
from graphc.models.gradients import Gradients
from graphc.models.losses import Loss, check_output, named_loss, of_samples
from graphc.models.metrics import check_name, look_at_metric, named_metric
from graphc.models.naming import Names, figure_names, in_order, input_names, output_names
from graphc.models.optimizers import named_optimizer

if TYPE_CHECKING:
    from graphc.models.model import Model

Array = np.ndarray[Any, Any]
Updates = dict[Variable, Tensor]
Cut = tuple[Sequence[Tensor], Sequence[Tensor]]  # the placeholders of a block, and those of all blocks
Step = Callable[["Model", Any, Any], tuple[Mapping[str, Tensor], Updates]]
NOT_CALLED = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")  # what other libraries call


@dataclass(frozen=True)
class Kind:
    """What the arrays of a data set have in common with all its batches: their places, and each one's type but for the batch."""

    form: Any
    types: tuple[tuple[tuple[int, ...], str], ...]

    @staticmethod
    def of(data: Any) -> Kind:
        return Kind(form(data), tuple((a.shape[1:], a.dtype.name) for a in leaves(data)))


class Programs:
    """What `Model.compile` says, and the programs that follow from it for each kind of data."""

    def __init__(
        self, model: Model, optimizer: Any, loss: Any, metrics: Any, step: Step | None, loss_weights: Any, steps_per_call: int,
        backend: str, clip_norm: float | None = None, clip_value: float | None = None, accumulate: int = 1,
        mixed_precision: str | None = None, blocks: int | None = None,
    ) -> None:  # fmt: skip
        self.model, self.step, self.backend = model, step, backend
        self.given = {
            "optimizer": optimizer, "loss": loss, "metrics": metrics, "step": step, "loss_weights": loss_weights,
            "steps_per_call": steps_per_call, "backend": backend, "clip_norm": clip_norm, "clip_value": clip_value,
            "accumulate": accumulate, "mixed_precision": mixed_precision, "blocks": blocks,
        }  # fmt: skip
        self.optimizer = named_optimizer(optimizer)
        if isinstance(mixed_precision, str):
            mixed_precision = mixed_precision.removeprefix("mixed_")  # as policies are called elsewhere
        self.gradients = Gradients(self.optimizer, clip_norm, clip_value, accumulate, mixed_precision == "float16")
        if step is not None and not self.gradients.plain:
            raise gx.errors.InputError(
                "compile: a step of your own makes its gradients itself", where=gx.errors.caller(),
                hint="clip and accumulate there, or give loss= and optimizer= instead of step=",
            )  # fmt: skip
        self.wanted_blocks = None if blocks is None else check_blocks("compile", blocks)
        self.distributed: bool | str = False  # whether what is compiled now trains on all ranks, "fast" where MPI adds
        if step is not None and self.blocks > 1:
            raise gx.errors.InputError(
                "compile: a step of your own makes its gradients itself", where=gx.errors.caller(),
                hint="call gx.distributed.value_and_grad(loss, variables, blocks=...) there, or give loss= instead of step=",
            )  # fmt: skip
        if mixed_precision not in (None, "bfloat16", "float16"):
            raise gx.errors.InputError(
                f"compile: mixed_precision is {mixed_precision!r}", where=gx.errors.caller(), hint="bfloat16, float16 or None"
            )
        model.compute = None if mixed_precision is None else gx.ir.types.as_dtype(mixed_precision)
        self.accumulate = self.gradients.accumulate
        self.turn = 0  # how many batches were accumulated outside of fit
        self.besides: tuple[Callback, ...] = ()  # callbacks that change something in a step
        self.losses: list[Loss] = [named_loss(one) for one in each(loss)] if loss is not None else []
        for one_loss in self.losses:
            if one_loss.reduction == "none":
                raise gx.errors.InputError(
                    f"compile: {one_loss.name} has reduction='none', which leaves no one number to train by",
                    where=gx.errors.caller(), hint="leave it out, or 'sum'; a step of your own may call such a loss",
                )  # fmt: skip
        self.wanted = metrics
        for one in _every(metrics):
            check_name(one)
        self.metrics: dict[str, Metric] = {"loss": Mean(name="loss")}
        self.steps_per_call = gx.ops.normalize_integer("compile", "steps_per_call", steps_per_call)
        if self.steps_per_call < 1:
            raise gx.errors.InputError("compile: steps_per_call begins at 1", where=gx.errors.caller())
        for name in NOT_CALLED:
            if hasattr(type(model), name):
                raise gx.errors.InputError(
                    f"{type(model).__name__} has {name}, which nothing calls", where=gx.errors.caller(),
                    hint="compile(step=...) takes a function (model, inputs, targets) -> (figures, updates)",
                )  # fmt: skip
        self._made: dict[Any, gx.Compiled] = {}
        self._born: dict[gx.Compiled, list[tuple[range, str]]] = {}  # the numbers of nodes that calls of layers made, inner first

    def __deepcopy__(self, memo: dict[int, Any]) -> Programs:
        made = Programs.__new__(Programs)
        memo[id(self)] = made
        parts = {name: {} if name == "_made" else copy.deepcopy(value, memo) for name, value in vars(self).items()}
        vars(made).update(parts)
        return made

    # --- the programs ---

    def train(self, data: Any, gathered: bool) -> gx.Compiled:
        """(arrays..., [rows]) -> the loss of the batch; then one step."""
        return self._program("train", data, gathered, self._train)

    def train_many(self, data: Any, gathered: bool = True) -> gx.Compiled:
        """(arrays..., rows [steps, batch]) -> the losses of the batches; one step after each: a loop in one native call."""
        return self._program("train_many", data, gathered, self._train)

    def test(self, data: Any, gathered: bool) -> gx.Compiled:
        """(arrays..., [rows]) -> the loss of the batch; adds to the metrics."""
        return self._program("test", data, gathered, self._test)

    def predict(self, data: Any, gathered: bool) -> gx.Compiled:
        """(arrays..., [rows]) -> the outputs."""
        return self._program("predict", data, gathered, lambda x: (self._called(x, training=False), dict(self.model.updates)))

    def _called(self, x: Any, training: bool) -> Any:
        """The model's outputs, float32 where layers compute in less."""
        outputs = self.model(*self.fitting(x), training=training)

        def wide(y: Tensor) -> Tensor:
            made = gx.astype(y, "float32") if y.dtype == self.model.compute else y
            give_mask(made, mask_of(y))
            return made

        return outputs if self.model.compute is None else mapped(outputs, wide)

    def fitting(self, x: Any) -> list[Any]:
        """The inputs in the model's order; an error where they are others than it takes."""
        model, given = self.model, in_order(x, input_names(self.model), "data")
        wanted: list[tuple[str, Any]] = [(y.attrs["name"], y.shape[1:]) for y in flat(model.symbolic_inputs)]
        if not wanted and isinstance(getattr(model, "input_shape", None), tuple):
            wanted = [("data", model.input_shape)]
        if wanted and len(wanted) != len(given):
            raise gx.errors.InputError(
                f"{model.name} takes {len(wanted)} inputs, got {len(given)}", where=gx.errors.caller(),
                hint="a list or a tuple is one array for each input: np.stack makes one array of several",
            )  # fmt: skip
        for (name, shape), y in zip(wanted, given):
            if not isinstance(y, Tensor):
                continue
            own = y.shape[1:]
            if len(own) != len(shape) or any(isinstance(n, int) and isinstance(m, int) and n != m for n, m in zip(own, shape)):
                batch = y.shape[0]
                raise gx.errors.ShapeError(
                    f"{model.name} takes {name} [{', '.join(map(str, (batch, *shape)))}], got {y.type}", where=gx.errors.caller(),
                    hint="one sample is a batch of one: x[None]" if len(own) < len(shape) else None,
                )  # fmt: skip
        return given

    def apply(self) -> gx.Compiled:
        """() -> (); the update from accumulated gradients."""
        key = ("apply", *self._steered())
        if key not in self._made:
            updates = self.gradients.apply(self.model.trainable_variables)
            self._made[key] = gx.compile([], [], self._with_besides(updates), name="apply", backend=self.backend)
        return self._made[key]

    @property
    def blocks(self) -> int:
        """Into how many parts a batch is cut."""
        return self.blocks_of(self.distributed)

    def blocks_of(self, distributed: bool | str) -> int:
        if distributed == "fast":
            return size()
        return self.wanted_blocks or (DEFAULT_BLOCKS if distributed else 1)

    @property
    def share(self) -> tuple[int, int]:
        """The blocks that are computed here, from the first up to the second number."""
        return share(self.blocks) if self.distributed else (0, self.blocks)

    def _steered(self) -> tuple[Any, ...]:
        """What a step depends on beside the data: the variables that are trained, and what callbacks change in it."""
        frozen = tuple(id(layer) for _, layer in self.model.walk() if not layer.trainable)
        return tuple(map(id, self.model.trainable_variables)), frozen, self.besides, self.distributed

    def _with_besides(self, updates: Updates) -> Updates:
        return {**updates, **{v: new for callback in self.besides for v, new in callback.in_step(updates).items()}}

    def _program(self, name: str, data: Any, gathered: bool, build: Callable[..., tuple[Any, Updates]]) -> gx.Compiled:
        training = name in ("train", "train_many")
        key = (name, Kind.of(data), gathered, *(self._steered() if training else ()))
        if key not in self._made:
            inputs, batch = placeholders(data, "samples" if gathered else "batch")
            slots, arrays = inputs, inputs if gathered else []
            if gathered:
                row = gx.placeholder("row" if name == "train_many" else "rows", ("batch",), "int64")
                slots, batch = [row], mapped(batch, lambda x: gx.take(x, row, axis=0))
            given = slots
            if training and self.blocks > 1:  # the model is written for a block, and a call brings all that are here
                first, last = self.share
                given = [gx.placeholder(x.attrs["name"], ((last - first) * x.shape[0], *x.shape[1:]), x.dtype) for x in slots]
                build = partial(build, cut=(slots, given))
            if name == "train_many":
                rows = gx.placeholder("rows", ("steps", *given[0].shape), "int64")
            inputs = [*arrays, rows] if name == "train_many" else [*arrays, *given]
            with calls() as traced:
                outputs, updates = build(batch) if name == "predict" else build(*(*batch, None)[:3])  # (x, y) or (x, y, weights)
            if training:  # the first call of a model makes its variables
                key = (*key[:3], *self._steered())
            if name == "train_many":
                outputs, updates = in_a_loop(outputs, updates, given[0], rows)
            self._made[key] = gx.compile(inputs, outputs, updates, name=name, backend=self.backend)
            self._born[self._made[key]] = [(call.born, call.path) for call in traced]
        return self._made[key]

    def born(self, program: gx.Compiled) -> list[tuple[range, str]]:
        """The numbers of the nodes that each call of a layer made in a program, inner calls first, with the layer's path."""
        return self._born.get(program, [])

    def _train(self, x: Any, y: Any, weights: Any, cut: Cut | None = None) -> tuple[Tensor, Updates]:
        if self.step is not None:
            figures, updates = self.step(self.model, x, y)
            updates = self.optimizer.with_known_state(updates, list(self.model.variables.values()))
            loss = figures["loss"]
            count = gx.ones((flat(x)[0].shape[0],), "float64")
            for name, value in figures.items():
                updates = {**updates, **self._added(name, Mean(name=name), gx.broadcast_to(value, count.shape), count)}
            return loss, self._with_besides({**self.model.updates, **updates})
        outputs = self._called(x, training=True)
        state = dict(self.model.updates)
        loss, added = self._scored(y, outputs, weights)
        for penalty in self.model.losses:
            loss = loss + gx.astype(penalty, loss.dtype)
        samples = gx.sum(gx.ones(flat(x)[0].shape[:1], "float32"))
        if cut is None:
            state.update(self.gradients.updates(loss, self.model.trainable_variables, samples))
        else:
            loss, state, added = self._of_blocks(loss, state, added, samples, cut)
        if self.accumulate == 1:
            state = self._with_besides(state)
        return loss, {**state, **added}

    def _of_blocks(
        self, loss: Tensor, state: Updates, added: Updates, samples: Tensor, cut: Cut
    ) -> tuple[Tensor, Updates, Updates]:  # fmt: skip
        """Loss, changes of state and what is added to metrics, for a batch, from those of a block.

        State that follows from the data is the mean of what the blocks would make it; layers draw other numbers for each block.
        """
        slots, given = cut
        if self.distributed:
            same_loss(loss, self.blocks)
        variables = self.model.trainable_variables
        gradients = self.gradients.of(loss, variables) if variables else []
        moving = depending(gx.ir.graph.topological(state.values()), slots)
        moved = {v: new for v, new in state.items() if new in moving}
        for v in moved:
            if not v.dtype.is_float:
                raise gx.errors.DTypeError(
                    f"{v.name} is {v.type} and follows from the data: several blocks have no mean of it",
                    where=gx.errors.caller(), hint="compile(blocks=1)",
                )  # fmt: skip
        nothing: dict[Any, Any] = {v: gx.zeros_like(v) for v in added}
        more = gx.ir.graph.substitute(added.values(), nothing, gx.ir.graph.on_inputs)
        keys = {v: _key_of_block(v) for v in state if v not in moved and v.dtype == gx.uint32 and v.shape == (2,)}
        values = [loss, *gradients, *moved.values()]
        blocks = Blocks([*wide(values), *more], slots, given, self.blocks, *self.share, changes=keys)
        if self.distributed:
            sums = (sums_by_mpi if self.distributed == "fast" else totals)(blocks)
        else:
            sums = added_up(blocks.nodes(), 0, self.blocks)
        made = [gx.astype(total / self.blocks, x.dtype) for total, x in zip(sums, values, strict=False)]
        count = len(gradients)
        new = {**state, **dict(zip(moved, made[1 + count :], strict=True))}
        new.update(self.gradients.used(made[1 : 1 + count], variables, samples * self.blocks) if variables else {})
        return made[0], new, {v: v + total for v, total in zip(added, sums[len(values) :], strict=True)}

    def _test(self, x: Any, y: Any, weights: Any) -> tuple[Tensor, Updates]:
        outputs = self._called(x, training=False)
        state = dict(self.model.updates)
        loss, added = self._scored(y, outputs, weights)
        return loss, {**state, **added}

    def _scored(self, y: Any, outputs: Any, weights: Any) -> tuple[Tensor, Updates]:
        """The loss of a batch, and what it adds to the metrics."""
        names, predictions = output_names(self.model, outputs), flat(outputs)
        targets = flat(in_order(y, names, "targets"))
        if not self.losses:
            hint = "loss=, or step=" if self.step is None else "evaluation and validation need loss= beside step="
            raise gx.errors.InputError("compile: no loss was given", where=gx.errors.caller(), hint=hint)
        if len(targets) != len(predictions) or len(self.losses) not in (1, len(predictions)):
            raise gx.errors.InputError(
                f"the model has {len(predictions)} outputs, {len(self.losses)} losses and {len(targets)} targets",
                where=gx.errors.caller(), hint="one of each for every output",
            )  # fmt: skip
        losses = self.losses_of(outputs)
        weighted = self.given["loss_weights"]
        factors = [1.0] * len(losses) if weighted is None else in_order(weighted, names, "loss_weights", 1.0, partial=True)
        if len(factors) != len(losses):
            raise gx.errors.InputError(
                f"there are {len(factors)} loss_weights for {len(losses)} losses", where=gx.errors.caller()
            )
        for loss_of, p in zip(losses, predictions, strict=True):
            check_output(loss_of.name, p)
        weighing = self._weights_of(weights, names, len(predictions))
        parts = [of_samples(*given) for given in zip(losses, targets, predictions, weighing, strict=True)]
        each_sample = sum((f * part for f, part in zip(factors[1:], parts[1:], strict=True)), factors[0] * parts[0])
        ones = gx.ones(each_sample.shape, "float64")
        loss = gx.mean(each_sample)
        added = self._added("loss", self.metrics["loss"], each_sample, ones)
        several = figure_names(self.model, outputs) if len(parts) > 1 else None
        for output, part in zip(several or (), parts):
            added.update(self._added(f"{output}_loss", Mean(name=f"{output}_loss"), part, ones))
        taken = {"loss", *(f"{output}_loss" for output in several or ())}
        every = self._metrics_of(len(predictions), names)
        for i, (loss_of, t, p, w, wanted) in enumerate(zip(losses, targets, predictions, weighing, every, strict=True)):
            counted = ones if w is None else gx.astype(w, "float64")
            for one in wanted:
                metric = named_metric(one, t, p, loss_of)
                own = name = f"{several[i]}_{metric.name}" if several else metric.name
                for number in itertools.count(1):
                    if name not in taken:
                        break
                    name = f"{own}_{number}"  # each output has figures of its own
                taken.add(name)
                added.update(self._added(name, metric, t, p, weights_of_steps(counted, p)))
        return loss, added

    def _weights_of(self, weights: Any, names: Names, count: int) -> list[Tensor | None]:
        """The weights of each output's samples, where it has some: those that are given, or its own of several."""
        if weights is None or isinstance(weights, Tensor):
            return [weights] * count
        found = in_order(weights, names, "sample_weight", None, partial=True)
        if len(found) != count:
            raise gx.errors.InputError(
                f"there are {len(found)} sample_weights for {count} outputs", where=gx.errors.caller(),
                hint="one array for all of them, or one for each, by its name or in a list",
            )  # fmt: skip
        return found

    def look(self, outputs: Any) -> None:
        """Raise GraphError where an output can be seen not to fit its loss, or a metric."""
        predictions = flat(outputs)
        if not self.losses or len(self.losses) not in (1, len(predictions)):
            return
        losses = self.losses_of(outputs)
        for loss, p in zip(losses, predictions, strict=True):
            loss.look(p)
        wanted = self._metrics_of(len(predictions), output_names(self.model, outputs))
        for loss, p, metrics in zip(losses, predictions, wanted, strict=True):
            for one in metrics:
                look_at_metric(one, p, loss)

    def losses_of(self, outputs: Any) -> list[Loss]:
        """A loss for each output."""
        names, given = output_names(self.model, outputs), self.given["loss"]
        if isinstance(given, Mapping):
            return in_order(dict(zip(given, self.losses, strict=True)), names, "losses")
        return self.losses * (len(flat(outputs)) // len(self.losses))

    def _metrics_of(self, count: int, names: Names) -> list[list[Any]]:
        if self.wanted is None:
            return [[] for _ in range(count)]
        found = in_order(self.wanted, names, "metrics", [], partial=True)
        if isinstance(self.wanted, Mapping) and names is not None:
            return [list(each(one)) for one in found]
        if count == 1:
            return [found]
        return [list(each(one)) for one in found] if len(found) == count else [found, *([] for _ in range(count - 1))]

    def _added(self, name: str, metric: Metric, *given: Tensor) -> Updates:
        kept = self.metrics.setdefault(name, metric)
        kept(*given, training=True)
        return dict(kept.updates)

    def prepare(self) -> None:
        """Make the state of optimiser and gradients, as the first step would. Of a step of one's own nobody knows it before."""
        if self.step is None:
            self.gradients.prepare(self.model.trainable_variables)

    # --- figures ---

    def reset(self) -> None:
        """Begin the metrics anew."""
        for metric in self.metrics.values():
            metric.reset_state()

    def figures(self) -> dict[str, float]:
        """The loss and the metrics so far."""
        known = [name for name, metric in self.metrics.items() if metric.variables]
        key = ("figures", *known)
        if key not in self._made:
            self._made[key] = gx.compile([], [self.metrics[n].result() for n in known], name="figures", backend="interpreter")
        with np.errstate(all="ignore"):
            values = self._made[key]()
        return {n: float(v) if v.ndim == 0 else v for n, v in zip(known, values, strict=True)}


def _key_of_block(key: Variable) -> Callable[[Tensor], Tensor]:
    """A key of each block's own, apart from those that layers make of theirs by small numbers."""
    return lambda number: gx.random.fold_in(key, number + (1 << 32))


def in_a_loop(loss: Tensor, updates: Updates, row: Tensor, rows: Tensor) -> tuple[Tensor, Updates]:
    """A step for every one of `rows`, written for `row`: variables become what the loop carries."""
    changed = list(updates)

    def step(carry: list[Tensor], given: Tensor) -> tuple[list[Tensor], Tensor]:
        new: dict[gx.ir.Node, gx.ir.Node] = {**dict(zip(changed, carry, strict=True)), row: given}
        body = gx.extend.rebuild(gx.ir.Graph((), (loss, *updates.values())), lambda node: new.get(node, node))
        return list(body.outputs[1:]), body.outputs[0]  # type: ignore[arg-type, return-value]

    last, losses = gx.scan(step, list(changed), rows)
    return losses, dict(zip(changed, last, strict=True))


# --- nested data -----------------------------------------------------------------------------------------------------


def placeholders(data: Any, axis: str) -> tuple[list[Tensor], Any]:
    """An input for each array of nested data, in the data's form. float64 comes in as float32."""
    inputs: list[Tensor] = []

    def one(a: Array) -> Tensor:
        dtype = "float32" if a.dtype == np.float64 else a.dtype
        inputs.append(gx.placeholder(f"data{len(inputs)}", (axis, *a.shape[1:]), dtype))
        return inputs[-1]

    made = mapped(data, one)
    return inputs, made


def _every(metrics: Any) -> list[Any]:
    """All metrics of nested lists and dicts."""
    if isinstance(metrics, Mapping):
        metrics = list(metrics.values())
    if isinstance(metrics, (list, tuple)):
        return [found for one in metrics for found in _every(one)]
    return [] if metrics is None else [metrics]


def each(value: Any) -> Sequence[Any]:
    """The items of a list, tuple or dict, or the one that there is."""
    if isinstance(value, Mapping):
        return list(value.values())
    return value if isinstance(value, (list, tuple)) else [value]
