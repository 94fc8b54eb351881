"""The model: a layer that is trained, and that predicts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

import graphc as gx
from graphc import Tensor
from graphc.data.trees import leaves
from graphc.layers.config import from_data, to_data
from graphc.layers.layer import Layer, Source, flat, source_of
from graphc.models.fit import evaluate, fit, predict, predict_on_batch, test_on_batch, train_on_batch
from graphc.models.history import History
from graphc.models.saving import StrPath, export, load_weights, save, save_weights
from graphc.models.structure import calls_between, described, restored
from graphc.models.summary import mimebundle, plot, summary
from graphc.models.training import Programs, Step

Array = np.ndarray[Any, Any]

# Options of compile in other libraries, and what there is here instead.
ELSEWHERE: Mapping[str, str] = {
    "steps_per_execution": "steps_per_call=", "jit_compile": "leave it out: every program is compiled",
    "run_eagerly": "backend='interpreter' computes node by node; fit(find_nan=True) looks for what is not finite",
    "weighted_metrics": "metrics=: the weights of samples count in all of them",
    "auto_scale_loss": "mixed_precision='float16' scales the loss", "lr": "optimizer=gx.models.optimizers.Adam(1e-3)",
    "learning_rate": "optimizer=gx.models.optimizers.Adam(1e-3)", "gradient_accumulation_steps": "accumulate=",
}  # fmt: skip
# Values of such options that change nothing.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "steps_per_execution": (1,), "jit_compile": ("auto", True, False), "run_eagerly": (False, None),
    "weighted_metrics": (None, []), "auto_scale_loss": (True,),
}  # fmt: skip


class _Parts:
    """The layers that a model holds itself; where a class has an attribute of this name, that counts."""

    def __get__(self, model: Model, owner: object = None) -> list[Layer]:
        return [part for _, part in model.parts()]


class Model(Layer):
    """A layer that is trained and that predicts: made of symbols, or a class with a `call` of its own.

    inputs, outputs: symbols, or lists or dicts of them; the model is what leads from the ones to the others. The layers in
    between are called anew wherever the model is, for training or not, with the same variables.

    >>> import graphc as gx
    >>> x = gx.layers.Input((784,))
    >>> y = gx.layers.Dense(10)(gx.layers.Dense(32, activation="relu")(x))
    >>> model = gx.models.Model(x, y)
    >>> model.count_params()
    25450
    """

    layers: Any = _Parts()

    def __init__(self, inputs: Any = None, outputs: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.symbolic_inputs, self.symbolic_outputs = inputs, outputs  # None where it is not made of symbols
        self._named: dict[str, Layer] = {}
        self._programs: Programs | None = None
        self._to_predict: Programs | None = None
        self.stop_training = False
        if inputs is not None or outputs is not None:
            for name, given in (("inputs", inputs), ("outputs", outputs)):
                whole = isinstance(given, (Tensor, list, tuple, dict)) and flat(given)
                if not whole or any(not isinstance(x, Tensor) for x in leaves(given)):
                    raise gx.errors.InputError(
                        f"Model takes symbols as {name}, got {type(given).__name__}", where=gx.errors.caller(),
                        hint="gx.layers.Input(shape) makes one, calls of layers make others; arrays are for fit and predict",
                    )  # fmt: skip
            self._named = _layers_between(flat(inputs), flat(outputs))
            for key, layer in self._named.items():
                self.adopt(layer, key)

    _instead_of_pickle = "model.save(path) writes it, gx.models.load(path) reads it"

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        """The model with variables, optimiser and metrics of its own. Its programs are compiled when they are first called."""
        made = super().__deepcopy__(memo)
        assert isinstance(made, Model)
        if self.symbolic_inputs is not None:  # the copies of its layers, called as the layers were
            known = dict(zip(flat(self.symbolic_inputs), flat(made.symbolic_inputs), strict=True))
            old = self.symbolic_outputs
            made.symbolic_outputs = _replayed(known, old, lambda layer: memo[id(layer)])
            memo.update((id(x), new) for x, new in zip(flat(old), flat(made.symbolic_outputs), strict=True))
        return made

    @property
    def inputs(self) -> Any:
        """The symbols that it is made of; None where it is a class whose `call` says what it does."""
        return self.symbolic_inputs

    @property
    def outputs(self) -> Any:
        """The symbols that it gives for its `inputs`."""
        return self.symbolic_outputs

    def _prefix(self) -> tuple[str, ...]:
        return ()

    def parts(self) -> Iterator[tuple[str, Layer]]:
        yield from self._named.items()
        yield from ((key, part) for key, part in super().parts() if not key.startswith("_named/"))

    def call(self, *inputs: Any) -> Any:
        """What leads from the model's inputs to its outputs, on other symbols."""
        if self.symbolic_inputs is None:
            raise NotImplementedError(f"{type(self).__name__} has no call, and no inputs and outputs")
        given = inputs[0] if len(inputs) == 1 and isinstance(inputs[0], (list, tuple, dict)) else list(inputs)
        known, new = flat(self.symbolic_inputs), flat(given)
        if len(known) != len(new):
            raise gx.errors.InputError(f"{self.name} takes {len(known)} inputs, got {len(new)}", where=gx.errors.caller())
        return _replayed(dict(zip(known, new, strict=True)), self.symbolic_outputs)

    def compute_mask(self, inputs: Any, mask: Any = None) -> None:
        """Its layers say what the masks of the outputs are."""
        return None

    def _symbols(self, name: str) -> Any:
        if self.symbolic_inputs is None:
            return super()._symbols(name)
        found = self.symbolic_inputs if name == "input" else self.symbolic_outputs
        return found[0] if isinstance(found, (list, tuple)) and len(found) == 1 else found

    def reset_states(self) -> None:
        """Let the recurrent layers whose state stays from batch to batch begin with zeros again."""
        for path, layer in self.walk():
            if path and hasattr(layer, "reset_states"):
                layer.reset_states()

    def get_config(self) -> dict[str, Any]:
        if type(self) is not Model:
            return super().get_config()
        name = {} if self.numbered else {"name": self.name}
        frozen = {} if self.trainable else {"trainable": False}
        return {**name, **frozen, "structure": described(self.symbolic_inputs, self.symbolic_outputs, self._named)}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Model:
        if "structure" not in config:
            return cls(**config)
        inputs, outputs = restored(config["structure"])
        return Model(inputs, outputs, **{key: value for key, value in config.items() if key != "structure"})

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """The layer of a path or a name, or of a number among `layers`."""
        if name is None:
            if index is None or not -len(self.layers) <= index < len(self.layers):
                raise gx.errors.InputError(
                    f"{self.name} has {len(self.layers)} layers, and none of number {index}", where=gx.errors.caller()
                )
            found_by_number: Layer = self.layers[index]
            return found_by_number
        found = dict(self.walk())
        for path, layer in found.items():
            if name == path or name == layer.path:
                return layer
        for layer in found.values():
            if name == layer.name:
                return layer
        raise gx.errors.InputError(
            f"{self.name} has no layer {name!r}", where=gx.errors.caller(), hint="there are " + ", ".join(p for p in found if p)
        )

    def summary(self, depth: int | None = 1) -> None:
        """Print the layers with their output, parameters, bytes and FLOPs a sample.

        depth: how far to go into layers that are made of layers; None for all the way. FLOPs count 2mnk for a product and one for
        each element that is computed or reduced.

        >>> import graphc as gx
        >>> dense = gx.layers.Dense
        >>> gx.models.Sequential([dense(32, activation="relu", input_shape=(784,)), dense(10)], name="mlp").summary()
        mlp
        layer  class  output          parameters    bytes   FLOPs
        ---------------------------------------------------------
        0      Dense  f32[batch, 32]      25,120  100,480  50,240
        1      Dense  f32[batch, 10]         330    1,320     650
        ---------------------------------------------------------
        parameters: 25,450 (101,800 bytes), trainable 25,450, frozen 0; FLOPs a sample: 50,890
        """
        print(summary(self, depth))

    def plot(self, path: StrPath | None = None, depth: int | None = 1) -> str:
        """A drawing by layers as DOT text, written to `path` as DOT or SVG."""
        return plot(self, path, depth)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return mimebundle(self)

    # --- files ---

    def save(self, path: StrPath) -> None:
        """Write the model into a folder: structure, weights, state, and how it is trained; see `gx.models.load`."""
        save(self, path)

    def export(self, path: StrPath, format: str = "onnx", **options: Any) -> Any:
        """Write what the model predicts as ONNX, for others to run: `gx.onnx.save`, which takes the options.

        >>> import pathlib, tempfile, graphc as gx
        >>> model = gx.models.Sequential([gx.layers.Dense(3, activation="relu", input_shape=(4,))])
        >>> made = model.export(pathlib.Path(tempfile.mkdtemp()) / "small.onnx")
        >>> [tensor.name for tensor in made.graph.initializer][:2]
        ['0/kernel', '0/bias']
        """
        if format != "onnx":
            raise gx.errors.InputError(
                f"export: the format {format!r} is not there", where=gx.errors.caller(),
                hint='format="onnx"; model.save(path) writes what gx.models.load reads',
            )  # fmt: skip
        return export(self, path, **options)

    def save_weights(self, path: StrPath, *, names: Any = None, dtype: Any = None) -> None:
        """Write the variables by path into a file, .npz or .safetensors; names and dtype as in `gx.save`."""
        save_weights(self, path, names=names, dtype=dtype)

    def load_weights(self, path: StrPath, strict: bool = True, *, names: Any = None, dtype: Any = None) -> Any:
        """Set the variables from a file of `save_weights`, or of others: `gx.load` says what names and dtype are.

        With `strict=False` what fits is loaded, and the rest returned.
        """
        return load_weights(self, path, strict, names=names, dtype=dtype)

    @property
    def state(self) -> dict[str, gx.Variable]:
        """Every variable by name: the model's own by their paths, and the optimiser's under "optimizer/"."""
        own = self.variables
        if self._programs is None:
            return own
        paths = {v: path for path, v in own.items()}
        state = {**self._programs.optimizer.named_state(paths), **self._programs.gradients.named_state(paths)}
        return {**own, **{f"optimizer/{name}": v for name, v in state.items()}}

    def compiled_with_data(self) -> Any:
        """What `compile` was given, as data, and None where it was not called or was given what has no name in files."""
        if self._programs is None:
            return None
        try:
            return {key: to_data(value) for key, value in self._programs.given.items()}
        except gx.errors.InputError:
            return None

    def compile_from_data(self, data: Mapping[str, Any]) -> None:
        """Compile as before, with the optimiser's state in place."""
        self.compile(**{key: from_data(value) for key, value in data.items()})
        self.programs.prepare()

    # --- training ---

    def compile(
        self, optimizer: Any = "rmsprop", loss: Any = None, metrics: Any = None, *, step: Step | None = None,
        loss_weights: Any = None, steps_per_call: int = 1, backend: str = "llvm", clip_norm: float | None = None,
        clip_value: float | None = None, accumulate: int = 1, mixed_precision: str | None = None, blocks: int | None = None,
        **unknown: Any,
    ) -> None:  # fmt: skip
        """Say how the model is trained. Where its inputs are known, an output that does not fit its loss or a metric is an error.

        optimizer: a name, a function of `gx.optim`, or an `Optimizer`. loss: a name, a Loss or a function (y_true, y_pred); a
        list or dict of them for several outputs. metrics: a list of names and Metrics (of lists or a dict for several outputs,
        whose figures begin with their names: "digit_loss", "digit_accuracy").
        step: a training step of your own instead of loss and optimiser: (model, inputs, targets) -> (figures, updates).
        steps_per_call: how many steps a native call takes. clip_norm: the largest global norm of the gradients; clip_value: the
        largest size of each of their elements. accumulate: over how many batches gradients are averaged for one update, which is
        that of one large batch; the last ones of an epoch may be fewer.
        blocks: into how many equal parts a batch is cut, which a step takes one after the other, in the memory of one: the loss
        is the mean of theirs, and a batch norm's statistics are a part's; see `gx.distributed.value_and_grad`. `fit`
        wants batches of a multiple of it, and takes so many samples of a shorter last one. By default 1, and 8 where several
        ranks train.
        mixed_precision: "bfloat16" or "float16": layers compute in it, from float32 weights; float16's loss is scaled so that
        gradients do not vanish, and a step whose gradients overflow is left out.
        """
        for option, value in unknown.items():
            if any(type(value) is type(one) and value == one for one in NEUTRAL.get(option, ())):
                continue
            raise gx.errors.InputError(
                f"compile has no option {option}", where=gx.errors.caller(),
                hint=ELSEWHERE.get(option, "see Model.compile for what there is"),
            )  # fmt: skip
        self._programs = Programs(
            self, optimizer, loss, metrics, step, loss_weights, steps_per_call, backend, clip_norm, clip_value, accumulate,
            mixed_precision, blocks,
        )  # fmt: skip
        outputs = self._outputs_in_sight()
        if outputs is not None:
            self._programs.look(outputs)

    def forget_programs(self) -> None:
        """Compile anew what is called next, for layers compute otherwise than before; the optimiser begins again."""
        self._to_predict = None
        if self._programs is not None:
            self.compile(**self._programs.given)

    def _outputs_in_sight(self) -> Any:
        """The outputs as symbols, where inputs are known before there are data."""
        if self.symbolic_inputs is not None:
            return self.symbolic_outputs
        if self.input_shape is None:
            return None
        return self(gx.placeholder("input0", ("batch", *self.input_shape), self.dtype))

    @property
    def programs(self) -> Programs:
        """What `compile` made: the optimiser, losses and metrics, and the compiled programs."""
        if self._programs is None:
            raise gx.errors.InputError(
                f"{self.name} is not compiled", where=gx.errors.caller(), hint="model.compile(optimizer, loss, metrics) first"
            )
        return self._programs

    @property
    def predicting(self) -> Programs:
        """The programs of `compile`, or, before it was called, some that can only predict."""
        if self._programs is None and self._to_predict is None:
            self._to_predict = Programs(self, "sgd", None, None, None, None, 1, "llvm")
        return self._programs or self._to_predict  # type: ignore[return-value]

    @property
    def optimizer(self) -> Any:
        return self.programs.optimizer

    def fit(self, x: Any = None, y: Any = None, **options: Any) -> History:
        """Train on data: see `gx.models.fit`."""
        return fit(self, x, y, **options)

    def evaluate(self, x: Any = None, y: Any = None, **options: Any) -> Any:
        """The loss and the metrics on data."""
        return evaluate(self, x, y, **options)

    def predict(self, x: Any, **options: Any) -> Any:
        """The outputs for data, batch by batch."""
        return predict(self, x, **options)

    def train_on_batch(
        self, x: Any, y: Any, sample_weight: Any = None, class_weight: Any = None, return_dict: bool = True
    ) -> Any:  # fmt: skip
        """One step on a batch: its loss and metrics, as `evaluate` gives them."""
        return train_on_batch(self, x, y, sample_weight, class_weight, return_dict)

    def test_on_batch(self, x: Any, y: Any, sample_weight: Any = None, return_dict: bool = True) -> Any:
        """The loss and the metrics on a batch, as `evaluate` gives them."""
        return test_on_batch(self, x, y, sample_weight, return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """The outputs for a batch."""
        return predict_on_batch(self, x)


class Sequential(Model):
    """Layers one after the other.

    >>> import graphc as gx
    >>> model = gx.models.Sequential([gx.layers.Dense(10, activation="relu", input_shape=(784,)), gx.layers.Dense(10)])
    >>> list(model.variables)
    ['0/kernel', '0/bias', '1/kernel', '1/bias']
    """

    def __init__(self, layers: Sequence[Layer] = (), **options: Any) -> None:
        super().__init__(**options)
        self.layers: list[Layer] = []
        self._called_apart: tuple[Any, Any] | None = None  # the input and the output of the layers, called one by one
        if isinstance(layers, Layer):
            raise gx.errors.InputError(
                f"Sequential takes a list of layers, got {layers!r}", where=gx.errors.caller(), hint="Sequential([...])"
            )
        for layer in layers:
            self.add(layer)

    def add(self, layer: Layer) -> None:
        """Put one more layer at the end."""
        if isinstance(layer, Tensor):  # an Input: it says the shape of what comes in
            self.input_shape, self._batch = layer.shape[1:], layer.shape[0]
            return
        if not isinstance(layer, Layer):
            raise gx.errors.InputError(f"Sequential takes layers, got {layer!r}", where=gx.errors.caller())
        if not self.layers and self.input_shape is None:
            self.input_shape = layer.input_shape
        self.layers.append(layer)
        self._called_apart = None
        self.adopt(layer, str(len(self.layers) - 1))
        if self.input_shape is not None:
            self.build()

    def parts(self) -> Iterator[tuple[str, Layer]]:
        yield from ((str(i), layer) for i, layer in enumerate(self.layers))

    def get_config(self) -> dict[str, Any]:
        once = list({id(layer): layer for layer in self.layers}.values())
        order = [next(i for i, layer in enumerate(once) if layer is found) for found in self.layers]
        config = {key: value for key, value in super().get_config().items() if key in ("name", "trainable", "input_shape")}
        batch = {"batch": self._batch} if isinstance(self._batch, int) else {}
        return {**config, **batch, "layers": once, "order": order}

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Sequential:
        made = cls(**{key: value for key, value in config.items() if key not in ("layers", "order", "batch")})
        made._batch = config.get("batch", made._batch)
        for i in config["order"]:
            made.add(config["layers"][i])
        return made

    @property
    def inputs(self) -> Any:
        """Its input in a list, where its shape is known, as a model of symbols has its inputs."""
        return None if self.input_shape is None and self.called_with is None else [self.input]

    @property
    def outputs(self) -> Any:
        """Its output in a list, where its input is known."""
        return None if self.inputs is None else [self.output]

    def call(self, x: Any) -> Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def call_parts(self) -> None:
        if self._called_apart is not None:
            return
        x: Any
        if self.input_shape is not None:
            x = gx.placeholder(f"{self.name}_input", (self._batch, *self.input_shape), self.dtype)
        elif self.called_with is not None:
            (given,) = self.called_with
            x = gx.placeholder(f"{self.name}_input", given.shape, given.dtype)
        else:
            raise gx.errors.UnknownNameError(
                f"{self.name} has no shapes yet", where=gx.errors.caller(),
                hint="begin with layers.Input(shape), or give the first layer input_shape=",
            )  # fmt: skip
        y = x
        for layer in self.layers:
            layer._results.clear()
        for layer in self.layers:
            y = layer(y)
        self._called_apart = x, y

    def _symbols(self, name: str) -> Any:
        self.call_parts()
        assert self._called_apart is not None
        return self._called_apart[name == "output"]


# --- models of symbols -----------------------------------------------------------------------------------------------


def _layers_between(inputs: Sequence[Tensor], outputs: Sequence[Tensor]) -> dict[str, Layer]:
    """The layers whose calls lead from the inputs to the outputs, by names of their own, in the order of the calls."""
    names: dict[str, Layer] = {}
    for layer in {id(source.layer): source.layer for source, _ in calls_between(inputs, outputs)}.values():
        name, count = layer.base_name, 0
        while name in names:
            count += 1
            name = f"{layer.base_name}_{count}"
        names[name] = layer
    return names


def _replayed(known: dict[Any, Any], outputs: Any, layer: Callable[[Layer], Layer] = lambda layer: layer) -> Any:
    """The outputs, with the layers that lead to them, or others in their places, called on other symbols."""
    made: dict[gx.ir.Node, Any] = dict(known)
    sizes = _renamed(known)
    calls: dict[int, list[Tensor]] = {}  # by a call's turn
    todo: list[gx.ir.Node] = list(reversed(flat(outputs)))
    while todo:
        node = todo[-1]
        if node in made:
            todo.pop()
            continue
        source = source_of(node) if isinstance(node, Tensor) else None
        needs: Sequence[gx.ir.Node] = node.inputs if source is None else flat([*source.inputs, dict(source.options)])
        waiting = [n for n in needs if n not in made]
        if waiting:
            todo += reversed(waiting)
            continue
        todo.pop()
        if source is None:
            made[node] = _again(node, tuple(made[n] for n in node.inputs), sizes)
            continue
        if source.turn not in calls:
            calls[source.turn] = flat(_call(layer(source.layer), source, made))
        made[node] = calls[source.turn][source.number]
    return _mapped(outputs, lambda x: made[x])


def _renamed(known: Mapping[Any, Any]) -> dict[str, Any]:
    """The names of sizes in a model's inputs, and what these sizes are in the symbols it is called on."""
    found = {}
    for old, new in known.items():
        for a, b in zip(old.shape, new.shape, strict=False):
            if isinstance(a, gx.Dim) and str(a).isidentifier() and a != b:
                found[str(a)] = b
    return found


def _again(node: gx.ir.Node, inputs: tuple[Any, ...], sizes: Mapping[str, Any]) -> gx.ir.Node:
    """An operation on other symbols, its own sizes among them."""

    def sized(value: Any) -> Any:
        if isinstance(value, gx.Dim):
            return gx.ir.dims.substitute(value, sizes)
        return tuple(map(sized, value)) if type(value) is tuple else value

    attrs = {key: sized(value) for key, value in node.attrs.items()} if sizes else node.attrs
    if any(attrs[key] is not value and isinstance(value, (gx.Dim, tuple)) for key, value in node.attrs.items()):
        made: gx.ir.Node = node.op(*inputs, **attrs)
        return made
    return node.with_inputs(inputs) if inputs else node


def _call(layer: Layer, source: Source, made: Mapping[Any, Any]) -> Any:
    look = lambda x: made[x]
    options = {key: _mapped(value, look) for key, value in source.options.items()}
    return layer(*(_mapped(x, look) for x in source.inputs), **options)


def _mapped(tree: Any, change: Callable[[Tensor], Any]) -> Any:
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {key: _mapped(v, change) for key, v in tree.items()}
    return type(tree)(_mapped(v, change) for v in tree) if isinstance(tree, (list, tuple)) else tree
