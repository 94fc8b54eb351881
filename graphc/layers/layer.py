"""The layer: a function of symbols that owns its variables.

    class Linear(gx.layers.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = units

        def call(self, x):
            kernel = self.variable("kernel", (x.shape[-1], self.units), "glorot_uniform")
            return x @ kernel + self.variable("bias", (self.units,))

`variable` makes a variable at the first call and gives the same one at every later call, so a layer that is called twice uses
its weights twice. Layers in attributes (also in lists, tuples and dicts) are parts; a variable is known by its path from the
outermost layer: "encoder/0/attention/query/kernel".

While a layer is called, a `Trace` says whether for training, and collects what the call leaves beside its result: updates of
state (moving averages) and losses (regularisers).
"""

from __future__ import annotations

import copy
import inspect
import itertools
import re
import warnings
import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, NoReturn
from zlib import crc32

import graphc as gx
from graphc import Tensor, Variable, advice
from graphc.layers.initializers import Initializer, initializer
from graphc.layers.masks import any_masks, first, forget, give_mask, mask_of, masks_of
from graphc.layers.regularizers import Regularizer, named_regularizer

Updates = dict[Variable, Tensor]


@dataclass(frozen=True, eq=False)
class Call:
    """One call of a layer: what went in, what came out, and the numbers of the nodes that it made.

    `depth` is 0 for a call by the user.
    """

    layer: Layer
    inputs: tuple[Any, ...]
    options: Mapping[str, Any]
    output: Any
    depth: int
    path: str
    born: range


@dataclass
class Trace:
    """One outermost call of a layer: its mode, the dtype that it computes float32 in, if another, and what it leaves."""

    training: bool
    compute: gx.DType | None = None
    updates: Updates = field(default_factory=dict)
    penalties: dict[Variable, Tensor] = field(default_factory=dict)
    losses: list[Tensor] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    active: list[Layer] = field(default_factory=list)


_TRACE: ContextVar[Trace | None] = ContextVar("trace", default=None)
_CALLS: ContextVar[list[Call] | None] = ContextVar("calls", default=None)
# Options of other libraries' layers, and what there is here instead.
_SHAPE = "input_shape=, the shape of one input"
ELSEWHERE: Mapping[str, str] = {
    "data_format": "layout='NCHW' where channels come first", "input_dim": _SHAPE,
    "batch_input_shape": _SHAPE, "batch_shape": _SHAPE, "input_length": "leave it out: lengths follow from the input",
    "weights": "layer.set_weights(values), once it is built", "activity_regularizer": "ActivityRegularization after the layer",
    "kernel_constraint": "set variable.value after the steps, in a callback", "unroll": "leave it out",
    "bias_constraint": "set variable.value after the steps, in a callback", "implementation": "leave it out",
    "recurrent_dropout": "Dropout before the layer", "time_major": "gx.moveaxis before the layer",
    "use_cudnn": "leave it out", "in_features": "leave it out: it follows from the input", "out_features": "units=",
    "in_channels": "leave it out: it follows from the input", "out_channels": "filters=", "bias": "use_bias=",
    "device": "leave it out: there is one device", "p": "rate=", "eps": "epsilon=",
    "axis": "layout='NCHW' where channels come first", "alpha": "negative_slope=, or alpha_initializer=",
    "recurrent_activation": "leave it out: it is a sigmoid, or write the layer with gx.scan",
    "reset_after": "leave it out: the gate resets after the product", "batch_size": "layers.Input(shape, batch_size=32)",
    "seed": "gx.layers.seed(number), before the model is made: all random numbers follow from it",
    "autocast": "compile(mixed_precision=)", "renorm": "leave it out: LayerNorm needs no batch", "lora_rank": "leave it out",
    "synchronized": "leave it out", "flash_attention": "leave it out",
    "quantization_config": "gx.quantize(model, data), once it is trained",
    "sliding_window": "attention_mask=, where it is called", "attention_axes": "gx.moveaxis before the layer",
    "output_shape": "leave it out: it follows; MultiHeadAttention(output_dim=) is another width", "use_gate": "leave it out",
    "arguments": "functools.partial(function, ...)", "mask": "a layer of your own has compute_mask",
    "score_mode": "AdditiveAttention", "noise_shape": "SpatialDropout1D, 2D, 3D", "backward_layer": "Bidirectional(layer)",
    "output_padding": "leave it out, and pad or crop the result", "fill_mode": "fill_value=, what is outside of the image",
    "interpolation": "method='linear' or 'nearest'", "value_range": "images from 0 to 1: Rescaling(1 / 255) before the layer",
    "antialias": "leave it out, or AveragePooling2D before the layer", "crop_to_aspect_ratio": "CenterCrop before the layer",
    "pad_to_aspect_ratio": "ZeroPadding2D before the layer", "num_thresholds": "num_bins=", "thresholds": "num_bins=",
    "summation_method": "leave it out", "num_labels": "leave it out: it follows", "label_weights": "leave it out",
    "sparse_y_true": "leave it out: the shape of the labels shows it", "num_regressors": "leave it out",
    "sparse_y_pred": "y_pred has a number for each class", "from_sorted_ids": "leave it out",
    "height_factor": "factor=, of both sides", "width_factor": "factor=, of both sides",
}  # fmt: skip
ELSEWHERE = {**ELSEWHERE, **{f"{weight}_constraint": ELSEWHERE["kernel_constraint"] for weight in (
    "alpha", "beta", "gamma", "depthwise", "pointwise", "recurrent", "embeddings",
)}}  # fmt: skip
# Values of such options that change nothing: who writes them down means what is there.
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "data_format": ("channels_last", None), "axis": (-1, (-1,), [-1]), "activity_regularizer": (None,),
    "kernel_constraint": (None,), "bias_constraint": (None,), "recurrent_constraint": (None,), "embeddings_constraint": (None,),
    "recurrent_dropout": (0, 0.0), "unroll": (False,), "time_major": (False,), "implementation": (1, 2),
    "use_cudnn": ("auto", False), "recurrent_activation": ("sigmoid",), "reset_after": (True,), "device": (None,),
    "seed": (None,), "autocast": (True,), "renorm": (False,), "renorm_clipping": (None,), "renorm_momentum": (0.99,),
    "synchronized": (False,), "lora_rank": (None,), "lora_alpha": (None,), "quantization_config": (None,),
    "flash_attention": (None, False), "sliding_window": (None,), "attention_axes": (None,), "output_shape": (None,),
    "use_gate": (False,), "arguments": (None, {}), "mask": (None,), "score_mode": ("dot",), "noise_shape": (None,),
    "weights": (None,), "backward_layer": (None,), "output_padding": (None,), "interpolation": ("bilinear",),
    "fill_mode": ("constant",), "antialias": (False,), "crop_to_aspect_ratio": (False,), "pad_to_aspect_ratio": (False,),
    "summation_method": ("interpolation",), "thresholds": (None,), "num_labels": (None,), "label_weights": (None,),
    "sparse_y_true": (True,), "sparse_y_pred": (True,), "num_regressors": (0,), "from_sorted_ids": (False,),
    **{f"{weight}_constraint": (None,) for weight in ("alpha", "beta", "gamma", "depthwise", "pointwise")},
}  # fmt: skip
_COUNTS: dict[str, int] = {}  # layers made of each class, for their names
_SEED = [0]


@contextmanager
def calls() -> Iterator[list[Call]]:
    """The calls of layers inside, each after those that it makes."""
    found: list[Call] = []
    token = _CALLS.set(found)
    try:
        yield found
    finally:
        _CALLS.reset(token)


def seed(number: int) -> None:
    """Set the number from which initial weights follow, and count layers' names from the start.

    The first value of a variable follows from this number, the variable's path and its shape: the same program has the same
    weights in every process.

    >>> import graphc as gx
    >>> gx.layers.seed(1)
    >>> a = gx.layers.Dense(2, input_shape=(3,)).get_weights()[0]
    >>> gx.layers.seed(1)
    >>> bool((a == gx.layers.Dense(2, input_shape=(3,)).get_weights()[0]).all())
    True
    """
    gx.ops.normalize_integer("seed", "the number", number)
    _SEED[0] = int(number)
    _COUNTS.clear()


@contextmanager
def seeded(number: int) -> Iterator[None]:
    """Layers made within have weights by this number, and names counted from the start; afterwards all is as before.

    >>> import graphc as gx
    >>> with gx.layers.seeded(1):
    ...     a = gx.layers.Dense(2, input_shape=(3,))
    >>> a.name
    'dense'
    """
    before, counts = _SEED[0], dict(_COUNTS)
    seed(number)
    try:
        yield
    finally:
        _SEED[0] = before
        _COUNTS.clear()
        _COUNTS.update(counts)


def snake_case(name: str) -> str:
    """The name of a class as layers carry it.

    >>> snake_case("MultiHeadAttention"), snake_case("LSTM"), snake_case("Conv2D"), snake_case("F1Score")
    ('multi_head_attention', 'lstm', 'conv2d', 'f1_score')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


class _Given:
    """The symbols of a layer's only call by the user; where a layer has an attribute of this name, that counts."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, layer: Layer | None, owner: object = None) -> Any:
        return self if layer is None else layer._symbols(self.name)


class Layer:
    """A function of symbols that owns its variables; write `call`, and make variables there with `self.variable`.

    name: how the layer is called where it is nobody's part; by default its class's name, numbered from the second on.
    trainable: whether its variables are trained. input_shape: the shape of one input without the batch's axis, or None; where it
    is given, the variables are made at once instead of at the first call.

    supports_masking: whether the output has the steps of the input, so that the input's mask is its mask: see `mask_of`. A `call`
    that takes `mask` is given the mask of its first input where the caller gives none.
    """

    supports_masking = False
    input: Any = _Given("input")  # the symbols that it was called on, to make another model of
    output: Any = _Given("output")

    def __init__(
        self, *, name: str | None = None, trainable: bool = True, input_shape: Sequence[Any] | None = None,
        dtype: object = "float32", **unknown: Any,
    ) -> None:  # fmt: skip
        for option, value in unknown.items():
            if any(value is one or (type(value) is type(one) and value == one) for one in NEUTRAL.get(option, ())):
                continue
            raise gx.errors.InputError(
                f"{type(self).__name__} has no option {option}", where=gx.errors.caller(),
                hint=ELSEWHERE.get(option, "it has " + ", ".join(_options(type(self)))),
            )  # fmt: skip
        made = snake_case(type(self).__name__)
        self.numbered = name is None  # whether its name is one that nobody gave
        if name is None:
            _COUNTS[made] = _COUNTS.get(made, -1) + 1
            name = made if not _COUNTS[made] else f"{made}_{_COUNTS[made]}"
        elif not isinstance(name, str) or not name or "/" in name:
            raise gx.errors.InputError(
                f"{type(self).__name__}: {name!r} is no name of a layer", where=gx.errors.caller(), hint="a text without '/'"
            )
        self.name: str = name
        self.base_name = made if self.numbered else name  # without the number that tells apart the layers of one class
        self.trainable = bool(trainable)
        self.dtype: gx.DType = gx.ir.types.as_dtype(dtype)
        self.updates: Updates = {}
        self.losses: list[Tensor] = []
        self.compute: gx.DType | None = None  # see Trace: what counts is that of the outermost layer
        self.called_with: tuple[Any, ...] | None = None  # the symbols of the last call by the user
        self._batch: Any = "batch"  # the size of a batch that its variables are made with
        self._results: list[tuple[Any, Any]] = []  # the symbols of each call on symbols by the user: what went in, what came out
        self._parent: Layer | None = None
        self._key = name
        self._own: dict[str, Variable] = {}
        self.built = False  # whether a `build` that a class has written was called
        self._fixed: set[str] = set()  # names of own variables that are state, not weights
        self._regularizers: dict[str, Regularizer] = {}
        self.input_shape = None if input_shape is None else gx.ir.types.as_shape(tuple(input_shape))

    # --- what a layer computes ---

    def call(self, *inputs: Any, **options: Any) -> Any:
        """The layer's result for symbols: to be written by every layer. It may take `training`, and options of its own."""
        raise NotImplementedError(f"{type(self).__name__} has no call")

    def compute_mask(self, inputs: Any, mask: Any = None) -> Any:
        """The mask of the output, or a list of one for each symbol of it, for the inputs' masks: None where there is none.

        inputs: what the layer was called on, a list where that is several; mask: their masks, in the same form.
        """
        return first(mask) if self.supports_masking else None

    def arriving_mask(self, inputs: Sequence[Any], options: Mapping[str, Any]) -> Any:
        """What `call` is given as `mask` where the caller gives none: the mask of the first input, a list where that is one."""
        masks = masks_of(inputs[0]) if inputs else None
        return None if first(masks) is None else masks

    def __call__(self, *inputs: Any, training: bool | None = None, **options: Any) -> Any:
        """The result for symbols (arrays become constants). training: by default that of the layer around, else False."""
        around = _TRACE.get()
        trace = Trace(bool(training), self.compute) if around is None else around
        before, trace.training = trace.training, trace.training if training is None else bool(training)
        given = tuple(symbols(x) for x in inputs)
        first = _next_number()
        if trace.active:
            trace.active[-1].adopt(self)
        trace.active.append(self)
        token = _TRACE.set(trace)
        try:
            self._build_once(given, trace)
            more = {"training": trace.training} if "training" in self._takes else {}
            if any_masks() and "mask" in self._takes and options.get("mask") is None and len(given) <= self._takes.index("mask"):
                more["mask"] = self.arriving_mask(given, options)
            output = self.call(*(given if trace.compute is None else narrowed(given, trace.compute)), **{**options, **more})
            output = self._with_mask(given, output)
        except gx.GraphError as error:
            if not getattr(error, "layer", None):
                error.layer = self.path  # type: ignore[attr-defined]
                error.message = f"{self.path or self.name}: {error.message}"
            raise
        finally:
            _TRACE.reset(token)
            trace.active.pop()
            trace.training = before
        if around is None:
            output = apart(output, given)
        call = Call(self, given, options, output, len(trace.active), self.path, range(first, _next_number()))
        trace.calls.append(call)
        if around is None:
            if training is not None:  # a model that is made of the call keeps it
                call = replace(call, options={**options, "training": training})
            self.called_with = given
            if len(self._results) < 2 and flat(output) and any(flat(part) for part in inputs):
                self._results.append((given[0] if len(given) == 1 else list(given), output))
            self.updates, self.losses = trace.updates, [*trace.penalties.values(), *trace.losses]
            remember(call)
            found = _CALLS.get()
            if found is not None:
                found += trace.calls
        return output

    def _symbols(self, name: str) -> Any:
        """What `input` and `output` are."""
        if isinstance(self._parent, Layer):
            self._parent.call_parts()
        if len(self._results) != 1:
            why = "was called on no symbols" if not self._results else "was called more than once"
            raise gx.errors.UnknownNameError(
                f"{self.path or self.name} {why}: nothing says what its {name} is", where=gx.errors.caller(),
                hint="keep the symbol where it is made: h = layer(x)",
            )  # fmt: skip
        return self._results[0][name == "output"]

    def call_parts(self) -> None:
        """Call the parts by themselves, where that is how they are called, so that each has its `input` and `output`."""

    def _build_once(self, given: tuple[Any, ...], trace: Trace) -> None:
        """Call `build` before the first `call`, where a class has written one: with the input's shape, or a list of shapes."""
        if type(self).build is Layer.build:
            return
        if not self.built:
            self.built = True
            self.build(_shapes(given[0]) if given else ())
        for name, penalty in self._regularizers.items():
            if trace.training and self._own[name] not in trace.penalties:
                trace.penalties[self._own[name]] = penalty(self._own[name])

    @cached_property
    def _takes(self) -> tuple[str, ...]:
        return tuple(inspect.signature(self.call).parameters)

    def _with_mask(self, given: tuple[Any, ...], output: Any) -> Any:
        """The output with its mask; a warning where one that came in ends here, and nobody has asked for that."""
        own = type(self).compute_mask is not Layer.compute_mask
        if not own and not any_masks():
            return output
        inputs = given[0] if len(given) == 1 else list(given)
        masks = masks_of(inputs)
        if own:
            output = renewed(output, set(flat(list(given))))
        found = flat(output)
        if (first(masks) is None and not own) or any(mask_of(y) is not None for y in found):
            return output  # parts have said what its mask is
        made = self.compute_mask(inputs, masks)
        each = made if isinstance(made, (list, tuple)) else [made] * len(found)
        goes_on = [give_mask(y, mask) for y, mask in zip(found, each)]
        if first(masks) is not None and not any(goes_on) and not own and "mask" not in self._takes:
            warnings.warn(
                gx.errors.GraphWarning(
                    f"{self.path or self.name}: the mask of its input ends here, and layers after it count steps that are none\n"
                    "  hint: supports_masking = True for a class whose output has the same steps, or take mask in its call"
                ),
                stacklevel=3,
            )
        return output

    def is_frozen(self) -> bool:
        """Whether this layer, or one around it that is called now, is not trainable."""
        trace = _TRACE.get()
        return not self.trainable or (trace is not None and any(not layer.trainable for layer in trace.active))

    def is_training(self) -> bool:
        """Whether it is called for training now."""
        trace = _TRACE.get()
        return trace is not None and trace.training

    def floats(self, x: Any) -> Tensor:
        """x as floats: what is none becomes of the layer's dtype."""
        if isinstance(x, (list, tuple)):
            raise gx.errors.InputError(
                f"{type(self).__name__} takes one input, got {len(x)} in a {type(x).__name__}", where=gx.errors.caller(),
                hint="Concatenate() or Add() makes one of them",
            )  # fmt: skip
        found = gx.asarray(x)
        return found if found.dtype.is_float else gx.astype(found, self.dtype)

    # --- its variables ---

    def variable(
        self, name: str, shape: Sequence[Any] = (), initial: str | Initializer | float = "zeros", *, trainable: bool = True,
        dtype: object = None, regularizer: Regularizer | str | None = None,
    ) -> Variable:  # fmt: skip
        """The layer's variable of a name: made at the first call, the same at every later one.

        shape: fixed sizes. initial: the name of an initialiser, a function (rng, shape) -> array, or a number. trainable: whether
        it is a weight; else it is state, which only `update` changes. dtype: by default the layer's. regularizer: a function of
        the weight that gives a scalar, or its name, "l1" or "l2"; `losses` has its value.
        """
        found = self._own.get(name)
        if found is None:
            found = self._make(name, shape, initial, self.dtype if dtype is None else gx.ir.types.as_dtype(dtype))
            self._own[name] = found
            if not trainable:
                self._fixed.add(name)
            if regularizer is not None:
                self._regularizers[name] = named_regularizer(regularizer)
        elif found.shape != gx.ir.types.as_shape(tuple(shape)):
            raise gx.errors.ShapeError(
                f"the variable {name} is {found.type}, and this call needs shape {list(shape)}", where=gx.errors.caller(),
                hint="a layer that is called twice uses the same weights: its inputs need the same sizes",
            )  # fmt: skip
        trace = _TRACE.get()
        if trace is not None and trace.training and name in self._regularizers and found not in trace.penalties:
            trace.penalties[found] = self._regularizers[name](found)
        if trace is not None and trace.compute is not None and found.dtype == gx.float32 and name not in self._fixed:
            return gx.astype(found, trace.compute)  # type: ignore[return-value]  # a symbol, and used as one
        return found

    def add_weight(
        self, shape: Sequence[Any] = (), initializer: str | Initializer | float = "glorot_uniform", *, name: str | None = None,
        trainable: bool = True, regularizer: Regularizer | str | None = None, dtype: object = None,
    ) -> Variable:  # fmt: skip
        """A variable for an attribute, made in `build(self, input_shape)`, which is called before the first `call`.

        >>> import graphc as gx
        >>> class Linear(gx.layers.Layer):
        ...     def build(self, input_shape):
        ...         self.w = self.add_weight((input_shape[-1], 2), name="w")
        ...     def call(self, x):
        ...         return x @ self.w
        >>> Linear(input_shape=(3,))(gx.layers.Input((3,)))
        <Tensor matmul: f32[batch, 2]>
        """
        if name is None:
            name = next(n for n in (f"weight_{i}" if i else "weight" for i in itertools.count()) if n not in self._own)
        return self.variable(name, shape, initializer, trainable=trainable, regularizer=regularizer, dtype=dtype)

    def _make(self, name: str, shape: Sequence[Any], initial: Any, dtype: gx.DType) -> Variable:
        sizes = gx.ir.types.as_shape(tuple(shape))
        if not all(isinstance(n, int) for n in sizes):
            raise gx.errors.ShapeError(
                f"the variable {name} needs fixed sizes, got {list(sizes)}", where=gx.errors.caller(),
                hint="give the input's last axes as numbers: only the batch and lengths may be names",
            )  # fmt: skip
        if any(isinstance(n, int) and n < 0 for n in sizes):
            raise gx.errors.ShapeError(f"the variable {name} cannot have sizes {list(sizes)}", where=gx.errors.caller())
        path = f"{self.path}/{name}" if self.path else name
        root = self.root.name
        rng = gx.layers.initializers.generator(_SEED[0], crc32(f"{root}/{path}".encode()))
        value = initializer(initial)(rng, tuple(n for n in sizes if isinstance(n, int)))
        return gx.variable(value, name=path, dtype=dtype)

    def update(self, variable: Variable, value: Tensor, always: bool = False) -> None:
        """Let a training step write a new value into a variable. always: test and prediction do so too, else they leave it."""
        trace = _TRACE.get()
        if trace is not None and (trace.training or always):
            trace.updates[variable] = value

    def add_loss(self, loss: Tensor) -> None:
        """Add a scalar to what training makes small."""
        trace = _TRACE.get()
        if trace is not None and trace.training:
            trace.losses.append(loss)

    def random_state(self) -> Variable:
        """The variable from which `key` follows: a layer that draws only while training asks for it in every call."""
        return self.variable("key", (2,), gx.layers.initializers.key, trainable=False, dtype="uint32")

    def key(self) -> Tensor:
        """A random key: another one for each layer, each call in a program, and each training step.

        The layer's state "key" moves on with every training step, so a checkpoint holds where it stands.
        """
        state = self.random_state()
        self.update(state, gx.random.fold_in(state, 0))
        trace = _TRACE.get()
        turn = 0 if trace is None else sum(call.layer is self for call in trace.calls)
        return gx.random.fold_in(state, 1 + turn)

    # --- its parts ---

    def parts(self) -> Iterator[tuple[str, Layer]]:
        """The layers that this one holds in its attributes, each with the last part of its path."""
        for name, value in vars(self).items():
            if name in ("_parent", "called_with", "_results"):
                continue
            if isinstance(value, Layer):
                yield (name, value)
            elif isinstance(value, (list, tuple)):
                yield from ((f"{name}/{i}", part) for i, part in enumerate(value) if isinstance(part, Layer))
            elif isinstance(value, dict):
                yield from ((f"{name}/{key}", part) for key, part in value.items() if isinstance(part, Layer))

    def adopt(self, part: Layer, key: str | None = None) -> None:
        """Give a part its place in the path, unless it has one: the first layer that calls it is the one it belongs to."""
        if part._parent is not None or part is self:
            return
        if key is None:
            key = next((key for key, found in self.parts() if found is part), part.base_name)
        part._parent, part._key = self, key

    @property
    def root(self) -> Layer:
        """The outermost layer around this one."""
        layer = self
        while layer._parent is not None:
            layer = layer._parent
        return layer

    @property
    def path(self) -> str:
        """Where the layer stands in the outermost one: "encoder/0/attention"."""
        keys = [self._key] if self._parent is not None else []
        layer = self._parent
        while layer is not None and layer._parent is not None:
            keys.append(layer._key)
            layer = layer._parent
        return "/".join(reversed([*keys, *self.root._prefix()]))

    def _prefix(self) -> tuple[str, ...]:
        """What an outermost layer adds to paths: its name; a model adds nothing."""
        return (self.name,)

    def walk(self) -> Iterator[tuple[str, Layer]]:
        """This layer and all inside it, outermost first, each once with its path from here."""
        seen: set[int] = set()
        todo: list[tuple[str, Layer]] = [("", self)]
        while todo:
            path, layer = todo.pop()
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            yield path, layer
            todo += [(f"{path}/{key}" if path else key, part) for key, part in reversed(list(layer.parts()))]

    @property
    def variables(self) -> dict[str, Variable]:
        """Every variable by its path from here, state included; what two layers share stands once."""
        found: dict[str, Variable] = {}
        seen: set[Variable] = set()
        for path, layer in self.walk():
            for name, variable in layer._own.items():
                if variable not in seen:
                    seen.add(variable)
                    found[f"{path}/{name}" if path else name] = variable
        return found

    @property
    def trainable_variables(self) -> list[Variable]:
        """The weights that training changes: no state, and nothing of a layer whose `trainable` is False."""
        found: dict[Variable, None] = {}
        frozen: set[Variable] = set()
        todo: list[tuple[Layer, bool]] = [(self, True)]
        seen: set[int] = set()
        while todo:
            layer, free = todo.pop()
            free = free and layer.trainable
            if id(layer) in seen:
                continue
            seen.add(id(layer))
            for name, variable in layer._own.items():
                (found.setdefault(variable) if free and name not in layer._fixed else frozen.add(variable))
            todo += [(part, free) for _, part in reversed(list(layer.parts()))]
        return [v for v in found if v not in frozen]

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """State, and the weights of frozen layers."""
        trained = set(self.trainable_variables)
        return [v for v in self.variables.values() if v not in trained]

    @property
    def weights(self) -> list[Variable]:
        """All variables, in the order of `variables`."""
        return list(self.variables.values())

    def count_params(self) -> int:
        """How many numbers its variables hold."""
        return sum(v.value.size for v in self.variables.values())

    def get_weights(self) -> list[Any]:
        """The variables' values, in the order of `variables`."""
        return [v.value for v in self.weights]

    def set_weights(self, values: Sequence[Any]) -> None:
        """Write values in the order of `variables`; nothing is written if one does not fit."""
        known = self.variables
        if len(values) != len(known):
            raise gx.errors.InputError(
                f"{self.name} has {len(known)} variables, got {len(values)} values", where=gx.errors.caller(),
                hint="in this order: " + ", ".join(known),
            )  # fmt: skip
        arrays = [gx.layers.initializers.fitting(path, v, a) for (path, v), a in zip(known.items(), values, strict=True)]
        for variable, array in zip(known.values(), arrays, strict=True):
            variable.value = array

    def get_config(self) -> dict[str, Any]:
        """The options that make such a layer again: those of `__init__`, as far as attributes of their names have them."""
        found: dict[str, Any] = {}
        for cls in reversed(type(self).__mro__):
            init = vars(cls).get("__init__")
            if init is None or cls in (Layer, object):
                continue
            for p in inspect.signature(init).parameters.values():
                if p.name == "self" or p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL):
                    continue
                if hasattr(self, p.name):
                    found[p.name] = getattr(self, p.name)
        if not self.numbered:
            found["name"] = self.name
        if not self.trainable:
            found["trainable"] = False
        if self.dtype != gx.float32:
            found["dtype"] = str(self.dtype)
        if self.input_shape is not None:
            found["input_shape"] = self.input_shape
        return found

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Layer:
        """A layer of these options; its weights are new."""
        return cls(**config)

    def build_early(self) -> None:
        """Make the variables at once where `input_shape` was given: the last line of an `__init__` that takes it."""
        if self.input_shape is not None:
            self.build()

    def build(self, *shapes: Sequence[Any], input_shape: Sequence[Any] | None = None) -> None:
        """Make the variables for inputs of these shapes, without the batch's axis, or with None for it.

        A class that writes build(self, input_shape) makes its variables there: see `add_weight`.
        """
        given = shapes if input_shape is None else (*shapes, input_shape)
        own = tuple(tuple(shape)[1 if len(shape) and shape[0] is None else 0 :] for shape in given)
        wanted = own or (() if self.input_shape is None else (self.input_shape,))
        before = list(self._results)
        self(*(gx.placeholder(f"input{i}", (self._batch, *shape), self.dtype) for i, shape in enumerate(wanted)))
        self._results = before  # these symbols are nobody's

    if not TYPE_CHECKING:  # to a type checker a layer has the attributes it has

        def __getattr__(self, name: str) -> Any:
            if "_key" not in vars(self) and not name.startswith("__"):
                raise gx.errors.UnknownNameError(
                    f"{type(self).__name__} has no {name} yet", where=gx.errors.caller(), hint="call super().__init__() first"
                )
            if name in vars(self).get("_own", ()):  # layer.kernel is its variable
                return self._own[name]
            raise advice.unknown_attribute(self, name, advice.MODEL)

    def __copy__(self) -> NoReturn:
        raise gx.errors.InputError(
            f"copy.copy of {self!r} is not possible: two layers would own the same variables", where=gx.errors.caller(),
            hint="copy.deepcopy gives it variables of its own; a layer that is called twice uses its weights twice",
        )  # fmt: skip

    def __deepcopy__(self, memo: dict[int, Any]) -> Layer:
        """The layer and all inside it, over variables of its own; the copy is part of a copied whole, or of none."""
        made: Layer = type(self).__new__(type(self))
        memo[id(self)] = made
        for name, value in vars(self).items():
            if name in ("_results", "_called_apart"):
                vars(made)[name] = [] if name == "_results" else None
                continue
            vars(made)[name] = memo.get(id(value)) if name == "_parent" else copy.deepcopy(value, memo)
        for _, part in self.parts():
            if part._parent is self:
                memo[id(part)]._parent = made
        return made

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise gx.errors.InputError(f"pickle of {self!r} is not possible", where=gx.errors.caller(), hint=self._instead_of_pickle)

    _instead_of_pickle = "get_config and from_config make it again, get_weights and set_weights carry its values"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name!r}>"


def _shapes(given: Any) -> Any:
    """The shape of a symbol, or those of several."""
    if isinstance(given, (list, tuple)):
        return [_shapes(x) for x in given]
    return {key: _shapes(x) for key, x in given.items()} if isinstance(given, dict) else given.shape


def positive(layer: Layer, what: str, value: Any) -> int:
    """An option that is a size: an integer from 1 on."""
    found = gx.ops.normalize_integer(type(layer).__name__, what, value)
    if found < 1:
        raise gx.errors.InputError(
            f"{type(layer).__name__}: {what} is {value}", where=gx.errors.caller(), hint="give an integer from 1 on"
        )
    return found


def _options(cls: type) -> list[str]:
    """The names of what a layer's class is made from."""
    found: dict[str, None] = {}
    for one in cls.__mro__:
        init = vars(one).get("__init__")
        if init is not None and one is not object:
            known = list(inspect.signature(init).parameters.values())[1:]  # without self
            found.update(dict.fromkeys(p.name for p in known if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)))
    return list(found)


def _next_number() -> int:
    """A number above those of all nodes that there are."""
    return gx.placeholder("mark", ()).number


def narrowed(value: Any, dtype: gx.DType) -> Any:
    """A layer's input with its float32 as another dtype."""
    if isinstance(value, Tensor):
        if value.dtype != gx.float32:
            return value
        made = gx.astype(value, dtype)
        give_mask(made, mask_of(value))
        return made
    if isinstance(value, dict):
        return {key: narrowed(v, dtype) for key, v in value.items()}
    return type(value)(narrowed(v, dtype) for v in value) if isinstance(value, (list, tuple)) else value


def symbols(value: Any) -> Any:
    """An input of a layer as symbols: arrays become constants, lists and dicts are gone into."""
    if isinstance(value, Tensor) or value is None:
        return value
    if isinstance(value, (list, tuple)) and any(isinstance(v, (Tensor, list, tuple, dict)) for v in value):
        return type(value)(symbols(v) for v in value)
    if isinstance(value, dict):
        return {key: symbols(v) for key, v in value.items()}
    return gx.asarray(value)


def Input(
    shape: Sequence[Any] | None = None, *, name: str | None = None, dtype: object = "float32", batch: Any = "batch",
    batch_size: int | None = None, batch_shape: Sequence[Any] | None = None,
) -> Tensor:  # fmt: skip
    """A placeholder for a batch of inputs, to begin a model with.

    shape: that of one input; None and names are symbolic sizes. batch: the size of the batch, a name or a number; batch_size: the
    same as a number. batch_shape: both in one, None for a batch of any size.

    >>> import graphc as gx
    >>> gx.layers.Input((28, 28, 1), name="image")
    <Tensor input 'image': f32[batch, 28, 28, 1]>
    """
    if batch_shape is not None:
        if shape is not None or batch_size is not None or not len(batch_shape):
            raise gx.errors.InputError(
                "Input takes a shape, or a batch_shape", where=gx.errors.caller(),
                hint="batch_shape=(32, 10), or (10,), batch_size=32",
            )  # fmt: skip
        batch_size, shape = batch_shape[0], tuple(batch_shape)[1:]
    if shape is None:
        raise gx.errors.InputError("Input: there is no shape", where=gx.errors.caller(), hint="Input((28, 28, 1))")
    batch = batch if batch_size is None else batch_size
    if name is None:
        _COUNTS["input"] = _COUNTS.get("input", -1) + 1
        name = "input" if not _COUNTS["input"] else f"input_{_COUNTS['input']}"
    sizes = [f"{name}_axis{i}" if n is None else n for i, n in enumerate((shape,) if isinstance(shape, (int, str)) else shape)]
    return gx.placeholder(name, (batch, *sizes), dtype)


# --- calls by the user, for models that are made of symbols ----------------------------------------------------------

@dataclass(frozen=True, eq=False)
class Source:
    """The call that a symbol came from, and which of the call's symbols it is."""

    layer: Layer
    inputs: tuple[Any, ...]
    options: Mapping[str, Any]
    number: int
    turn: int  # tells two calls of one layer apart


_SOURCES: dict[int, tuple[weakref.ref[Tensor], Source]] = {}  # by identity: symbols have an elementwise ==
_TURNS = itertools.count()


def remember(call: Call) -> None:
    turn = next(_TURNS)
    for number, x in enumerate(flat(call.output)):
        source = Source(call.layer, call.inputs, call.options, number, turn)
        _SOURCES[id(x)] = (weakref.ref(x, partial(forget, _SOURCES, id(x))), source)


def apart(output: Any, inputs: Any) -> Any:
    """An output whose symbols are others than the inputs, so that each symbol is the output of one call."""
    taken = set(flat(inputs)) | {y for y in flat(output) if source_of(y) is not None}
    made = renewed(output, taken) if taken else output
    for old, new in zip(flat(output), flat(made), strict=True):
        if new is not old:
            give_mask(new, mask_of(old))
    return made


def renewed(output: Any, taken: set[Tensor]) -> Any:
    """An output with new symbols, of the same values and without masks, in the places of those that are taken."""
    if isinstance(output, Tensor):
        return gx.where(True, output, output) if output in taken else output
    if isinstance(output, dict):
        return {key: renewed(part, taken) for key, part in output.items()}
    return type(output)(renewed(part, taken) for part in output) if isinstance(output, (list, tuple)) else output


def source_of(x: Tensor) -> Source | None:
    """The call by the user that made a symbol, if a layer did."""
    found = _SOURCES.get(id(x))
    return found[1] if found is not None and found[0]() is x else None


def flat(value: Any) -> list[Tensor]:
    """The symbols in a layer's input or output."""
    if isinstance(value, Tensor):
        return [value]
    if isinstance(value, dict):
        value = list(value.values())
    return [x for part in value for x in flat(part)] if isinstance(value, (list, tuple)) else []
