"""The loop of `fit`: steps, epochs, what is called between them, and checkpoints."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

import graphc as gx
from graphc.data.source import Source
from graphc.distributed import rank, size
from graphc.distributed.host import any_of, from_first, in_order, same_start
from graphc.distributed.sharding import all_of, count_of, is_part, own_of, part_of, shape_of_all
from graphc.models.callbacks import Callback, Logs, written
from graphc.models.checkpoint import Checkpoint, Checkpoints, read
from graphc.models.finite import watched
from graphc.models.history import History
from graphc.models.interrupts import Interrupts
from graphc.models.progress import Progress

if TYPE_CHECKING:
    from graphc.models.model import Model
    from graphc.models.training import Programs

Array = np.ndarray[Any, Any]


class Loop:
    """One call of `fit`: where it stands, and what goes on from there."""

    def __init__(
        self, model: Model, training: Source, held_out: Source | None, callbacks: list[Callback], shown: Progress, epochs: int,
        checkpoints: Checkpoints | None = None, find_nan: bool = False, validated: int | frozenset[int] = 1,
        distributed: bool | str = False,
    ) -> None:  # fmt: skip
        self.model, self.training, self.held_out, self.callbacks = model, training, held_out, callbacks
        self.shown, self.epochs, self.checkpoints, self.find_nan = shown, epochs, checkpoints, find_nan
        self.validated = validated  # every so many epochs, or after which
        self.history = History()
        self.epoch = self.batch = self.step = 0
        self.stepped = False  # whether the epoch's steps are done, and what follows them is not
        self.logs: Logs = {}
        self.interrupts = Interrupts()
        self.distributed = distributed
        self.history.exact = distributed != "fast" or size() == 1
        self.first = not distributed or rank() == 0  # whether this process writes files
        self._called = [c for c in callbacks if self.first or c.everywhere]
        self._told = sorted(self._called, key=lambda c: not written([c], "exchange"))  # the others see what these exchange
        which = "every epoch" if held_out is None or validated == 1 else "some epochs"
        for callback in callbacks:
            callback.model = model
            callback.params = {"epochs": epochs, "steps": steps_of(training), "validated": which}

    def run(self, epoch: int = 0, batch: int = 0) -> History:
        """Train from a batch of an epoch on."""
        self.model.stop_training = False
        self.epoch, self.batch = epoch, batch
        programs = self.model.programs
        programs.distributed = self.distributed
        programs.besides = tuple(c for c in self.callbacks if written([c], "in_step"))
        self._tell("on_train_begin")
        with self.interrupts:
            self._epochs()
        self._tell("on_train_end", self.logs)
        return self.history

    def _epochs(self) -> None:
        programs = self.model.programs
        try:
            if self.distributed:
                programs.train(self.training.example, self.training.gathered)  # which makes what there is to agree on
                same_start([v for v in self._arrays().values() if not is_part(v)])
            self._resume()
            while self.epoch < self.epochs and not self._stops():
                self._epoch()
            self.interrupts.check()
        except KeyboardInterrupt:
            self.interrupts.close()
            self._save(together=False)  # another rank may be a step ahead
            again = "the same call goes on" if self.checkpoints else f"fit(..., initial_epoch={self.epoch}) goes on"
            self.shown.say(f"stopped in epoch {self.epoch + 1} after {self.batch} steps; the model is whole: {again}")
            self.model.stop_training = True
        finally:
            self.shown.close()
            programs.besides, programs.distributed = (), False

    def _stops(self) -> bool:
        """Whether this is the end of training: on all ranks where it is on one."""
        if self.distributed:
            self.model.stop_training = any_of(self.model.stop_training)
        return self.model.stop_training

    def _tell(self, name: str, *given: Any) -> None:
        for method in written(self._told, name):
            method(*given)

    def _epoch(self) -> None:
        """The steps of an epoch, its figures, and what callbacks do with them."""
        programs = self.model.programs
        self._tell("on_epoch_begin", self.epoch)
        if not self.batch:
            programs.reset()
            programs.gradients.reset()
            programs.turn = 0
        self.shown.begin(self.epoch, self.epochs, steps_of(self.training), self.batch)
        if not self.stepped:
            begun = self.batch
            self._steps()
            steps = steps_of(self.training)
            if self.batch < (steps or 1) and not self.model.stop_training:
                self._warn_of_end(steps)
                if self.batch == begun:
                    self.model.stop_training, self.logs = True, {}
                    return
            self.stepped = True
        self.logs = logs = dict[str, Any](programs.figures())
        exchanges = written(self._told, "exchange")
        for exchange in exchanges:
            exchange()
        try:
            if self.held_out is not None and self._due():
                logs.update({f"val_{name}": value for name, value in self._validation(self.held_out).items()})
            self._tell("on_epoch_end", self.epoch, logs)
        finally:
            for exchange in reversed(exchanges):
                exchange()
        self.history.add(self.epoch, logs)
        self.shown.end(logs)
        self.epoch, self.batch, self.stepped = self.epoch + 1, 0, False
        if self.checkpoints is not None and self.checkpoints.every is None:
            self._save()

    def _due(self) -> bool:
        """Whether this epoch is validated."""
        number = self.epoch + 1
        return number % self.validated == 0 if isinstance(self.validated, int) else number in self.validated

    def _warn_of_end(self, steps: int | None) -> None:
        of = "" if steps is None else f" of {steps}"
        warnings.warn(
            gx.errors.GraphWarning(
                f"the data ended in epoch {self.epoch + 1} after {self.batch}{of} steps: an iterator that has ended does not "
                "begin anew, a function of the epoch that gives one does"
            ),
            stacklevel=2,
        )

    def _steps(self) -> None:
        """The steps of an epoch; what is looked up by names is so before the first."""
        model, programs, shown = self.model, self.model.programs, self.shown
        kind = self.training.example, self.training.gathered
        one: Callable[..., Any] = programs.train(*kind)
        many: Callable[..., Any] | None = None
        apply: Callable[..., Any] = programs.apply() if programs.accumulate > 1 else one
        if self.find_nan:
            one, apply = partial(self._watched, one, 1), partial(self._watched, apply, 0)
        before, after = written(self._called, "on_train_batch_begin"), written(self._called, "on_train_batch_end")
        asks = self.distributed and any_of(bool(before or after))  # whether somebody may end an epoch within
        every = self.checkpoints.every if self.checkpoints else None
        k = programs.accumulate
        interrupts = self.interrupts
        interrupts.open()
        for arguments, count in self._calls():
            interrupts.is_open = False
            for method in before:
                method(self.batch)
            if count > 1:
                many = many or programs.train_many(*kind)
            losses = (one if count == 1 or many is None else many)(*arguments)
            self.batch += count
            self.step += count
            if k > 1 and self.batch % k == 0:
                apply()
            if shown.counts:
                shown.step(count, programs)
            if after:
                logs = {"loss": losses if count == 1 else losses[-1]}
                for method in after:
                    method(self.batch - 1, logs)
            if every is not None and self.step // every != (self.step - count) // every:
                self._save()
            if self._stops() if asks else model.stop_training:
                break
            interrupts.open()
        interrupts.close()
        if self.batch % k:
            apply()

    def _watched(self, program: Any, ahead: int, *arguments: Any) -> Any:
        return watched(self.model.programs, program, arguments, f"step {self.batch + ahead} of epoch {self.epoch + 1}")

    def _validation(self, held_out: Source) -> dict[str, Any]:
        self._tell("on_test_begin")
        found: dict[str, Any] = {}
        trained = self._metrics()
        kept = [v.value for v in trained.values()]
        try:
            self.interrupts.open()
            found = score(self.model, held_out, self.distributed)
            self.interrupts.close()
        except BaseException:
            self.interrupts.close()
            for variable, value in zip(trained.values(), kept, strict=True):
                variable.value = value  # a checkpoint has the epoch's
            raise
        finally:
            self._tell("on_test_end", found)
        return found

    # --- checkpoints ---

    def _save(self, together: bool = True) -> None:
        """Write a checkpoint. together: whether all ranks are here, and each writes its part."""
        if self.checkpoints is None:
            return
        together = together and bool(self.distributed) and size() > 1
        arrays = self._arrays() if together else self._whole_arrays()
        if not self.first and not together:
            return
        states, more = [], {}
        for i, callback in enumerate(self.callbacks if self.first else ()):
            state = dict(callback.get_state())
            for name in [name for name, value in state.items() if isinstance(value, np.ndarray)]:
                more[f"callbacks/{i}/{name}"] = gx.variable(state.pop(name))
            states.append(state)
        position = {"epoch": self.epoch, "batch": self.batch, "step": self.step, "stepped": self.stepped}
        history = {"epoch_list": self.history.epoch, "history": self.history.history, "places": self.history.places}
        whole = {**position, **history, "callbacks": states}
        if not together:
            self.checkpoints.save(self.step, whole, {**arrays, **more})
            return
        alike = {name: v for name, v in arrays.items() if not is_part(v)}
        divided = {name: (part_of(v), count_of(v)) for name, v in arrays.items() if is_part(v)}
        self.checkpoints.save_by_ranks(self.step, whole, alike, divided, more)

    def _resume(self) -> None:
        """Go on from the last checkpoint, if there is one."""
        if self.checkpoints is None:
            return
        found = self.checkpoints.latest() if self.first else None
        if self.distributed:
            path = from_first(None if found is None else str(found.path))
            found = found if found is not None or path is None else read(path)
        if found is None:
            return
        programs = self.model.programs
        kept = found.load()
        for i, (callback, own_state) in enumerate(zip(self.callbacks, found.state["callbacks"], strict=False)):
            prefix = f"callbacks/{i}/"
            more = {name.removeprefix(prefix): value for name, value in kept.items() if name.startswith(prefix)}
            callback.set_state({**own_state, **more})
        programs.train(self.training.example, self.training.gathered)  # the state of optimiser and metrics is there from now on
        own = {name: value for name, value in kept.items() if not name.startswith("callbacks/")}
        arrays = self._arrays()
        check(found, own, {name: shape_of_all(v) for name, v in arrays.items()})
        for name, variable in arrays.items():
            variable.value = own_of(variable, own[name]) if is_part(variable) else own[name]
        state = found.state
        self.epoch, self.batch, self.step = state["epoch"], state["batch"], state["step"]
        self.stepped = state.get("stepped", False)
        self.history.epoch, self.history.history = list(state["epoch_list"]), dict(state["history"])
        every = {name: self.history.epoch[-len(values) :] for name, values in self.history.history.items()}
        self.history.places = dict(state.get("places", every))

    def _arrays(self) -> dict[str, gx.Variable]:
        """Every variable that training changes, by name."""
        return {**{f"model/{name}": v for name, v in self.model.state.items()}, **self._metrics()}

    def _whole_arrays(self) -> dict[str, gx.Variable]:
        """The same, with all ranks' parts of what is divided among them; every rank asks for it."""
        return {name: gx.variable(all_of(v)) if is_part(v) else v for name, v in self._arrays().items()}

    def _metrics(self) -> dict[str, gx.Variable]:
        metrics = self.model.programs.metrics
        return {f"metrics/{name}/{path}": v for name, metric in metrics.items() for path, v in metric.variables.items()}

    def _calls(self) -> Iterator[tuple[tuple[Any, ...], int]]:
        """The arguments of each call of a program, and how many steps it takes."""
        programs = self.model.programs
        many, k = programs.steps_per_call, programs.accumulate
        batches = self.training.batches(self.epoch, self.batch)
        if many == 1 or self.find_nan or not self.training.gathered:
            yield from ((arguments, 1) for arguments in batches)
            return
        kept: list[tuple[Any, ...]] = []
        for arguments in batches:
            if kept and len(arguments[-1]) != len(kept[0][-1]):
                yield from ((one, 1) for one in kept)
                kept = []
            kept.append(arguments)
            if len(kept) == many or (k > 1 and (self.batch + len(kept)) % k == 0):  # an update is due after these
                rows = np.stack([one[-1] for one in kept]) if len(kept) > 1 else arguments[-1]
                yield (*arguments[:-1], rows), len(kept)
                kept = []
        yield from ((one, 1) for one in kept)


def check(found: Checkpoint, arrays: dict[str, Any], shapes: dict[str, tuple[Any, ...]]) -> None:
    """Refuse a checkpoint of another training, before anything is changed."""
    missing, more = [n for n in shapes if n not in arrays], [n for n in arrays if n not in shapes]
    other = [n for n, shape in shapes.items() if n in arrays and arrays[n].shape != shape]
    if missing or more or other:
        kinds = (("missing", missing), ("unexpected", more), ("of another shape", other))
        listed = "; ".join(f"{what}: {', '.join(names)}" for what, names in kinds if names)
        raise gx.errors.FileError(
            f"the checkpoint {found.path} is of another training: {listed}", where=gx.errors.caller(),
            hint="give checkpoints a folder of their own for each model",
        )  # fmt: skip


def steps_of(given: Source) -> int | None:
    """The number of batches in an epoch, if it is known."""
    try:
        return len(given)
    except TypeError:
        return None


def score(model: Model, given: Source, distributed: bool | str = False) -> dict[str, Any]:
    """The loss and the metrics on a source, by metrics that begin anew and are put back."""
    programs = model.programs
    program = programs.test(given.example, given.gathered)
    programs.reset()
    if distributed:
        _shared_score(programs, program, given)
        return programs.figures()
    for arguments in given.batches(0):
        program(*arguments)
    return programs.figures()


def _shared_score(programs: Programs, program: gx.Compiled, given: Source) -> None:
    """Every rank looks at some of the batches; what they add to the metrics is added in the batches' order, as by one rank."""
    states = [v for metric in programs.metrics.values() for v in metric.variables.values()]
    added: list[list[Array]] = []
    for i, arguments in enumerate(given.batches(0)):
        if i % size() == rank():
            programs.reset()
            program(*arguments)
            added.append([v.value for v in states])
    for place, v in enumerate(states):
        total = np.zeros(v.shape, v.dtype.numpy)
        for row in in_order([one[place] for one in added], total):
            total = total + row
        v.value = total


class Shard(Source):
    """This rank's part of each batch of a source that all ranks have."""

    def __init__(self, given: Source, blocks: int, first: int, last: int) -> None:
        self.given, self.blocks, self.first, self.last = given, blocks, first, last
        self.gathered = given.gathered

    @property
    def example(self) -> Any:
        return self.given.example

    def __len__(self) -> int:
        return len(self.given)

    def batches(self, epoch: int, start: int = 0) -> Iterator[tuple[Any, ...]]:
        for arguments in self.given.batches(epoch, start):
            count = self.given.samples(arguments)
            if count % self.blocks:
                raise gx.errors.ShapeError(
                    f"fit: a batch of {count} samples is cut into {self.blocks} blocks", where=gx.errors.caller(),
                    hint="give batches of a multiple: of a Dataset, batch(size, drop_last=True)",
                )  # fmt: skip
            each = count // self.blocks
            mine = slice(self.first * each, self.last * each)
            kept = arguments[:-1] if self.gathered else ()
            yield (*kept, *(a[mine] for a in arguments[len(kept) :]))
