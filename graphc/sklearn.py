"""Models as scikit-learn's estimators: GraphcClassifier and GraphcRegressor.

    from graphc.sklearn import GraphcClassifier
    model = make_pipeline(StandardScaler(), GraphcClassifier(epochs=20))
    search = GridSearchCV(model, {"graphcclassifier__hidden_layer_sizes": [(32,), (64, 64)]})

Needs scikit-learn (the extra `sklearn`), so `import graphc` does not import it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx

try:
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state, column_or_1d
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("graphc.sklearn needs scikit-learn 1.6 or newer: pip install 'graphc[sklearn]'") from error

__all__ = ["SKIPPED_CHECKS", "GraphcClassifier", "GraphcRegressor"]

Array = np.ndarray[Any, Any]
Build = Callable[[int, int], gx.models.Model]

# Checks of sklearn.utils.estimator_checks that these estimators do not pass, or that do not run, each with its reason: what its
# `expected_failed_checks` takes.
SKIPPED_CHECKS: Mapping[str, str] = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a sample of weight 2 is one sample in one batch, two equal samples are two in two batches: steps differ, as in "
        "scikit-learn's own estimators that go by batches"
    ),
    "check_array_api_input": "scikit-learn runs it only where SCIPY_ARRAY_API is set",
}


class _Network(BaseEstimator):  # type: ignore[misc]
    """What both estimators have in common: the training, predictions, and files."""

    _loss: Any
    _numeric = False  # whether targets must be numbers

    def __init__(
        self, hidden_layer_sizes: Any = (100,), activation: Any = "relu", *, model: Build | None = None, optimizer: Any = "adam",
        learning_rate: Any = None, loss: Any = None, dropout: float = 0.0, l2: float = 0.0, epochs: int = 100,
        batch_size: int = 32, shuffle: bool = True, early_stopping: bool = False, validation_fraction: float = 0.1,
        patience: int = 10, tol: float = 1e-4, warm_start: bool = False, random_state: Any = None, verbose: int = 0,
    ) -> None:  # fmt: skip
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.model = model
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.loss = loss
        self.dropout = dropout
        self.l2 = l2
        self.epochs = epochs
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.patience = patience
        self.tol = tol
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    # --- training ---

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Train from the start on X [samples, features]; with `warm_start`, go on with the model that there is.

        y: a target for each sample. sample_weight: what each sample counts, [samples].
        """
        again = self.warm_start and hasattr(self, "model_")
        x, target, weights = self._validated(X, y, sample_weight, reset=not again)
        if not again:
            self._begin()
        callbacks: list[Any] = []
        held: Any = None
        if self.early_stopping:
            (x, target, weights), held = self._held_out(x, target, weights)
            callbacks.append(_Best(self.patience, self.tol))
        history = self._run(x, target, weights, self.epochs, self._seed, validation_data=held, callbacks=callbacks)
        self.history_ = history.history
        self.loss_ = float(self.history_["loss"][-1]) if self.history_["loss"] else np.nan
        self.n_epochs_ = len(history.epoch)
        return self

    def _partial_fit(self, x: Array, target: Array, weights: Array | None) -> Any:
        """One epoch over these samples."""
        if not hasattr(self, "model_"):
            self._begin()
            self.history_, self.n_epochs_ = {"loss": []}, 0
        history = self._run(x, target, weights, 1, self._seed + self.n_epochs_)
        self.n_epochs_ += 1
        self.history_ = {name: [*self.history_.get(name, []), *values] for name, values in history.history.items()}
        self.loss_ = float(history.history["loss"][-1])
        return self

    def _run(self, x: Array, target: Array, weights: Array | None, epochs: int, seed: int, **options: Any) -> Any:
        return self.model_.fit(
            x, target, sample_weight=weights, batch_size=self.batch_size, epochs=epochs, shuffle=self.shuffle, seed=seed,
            verbose=self.verbose, **options,
        )  # fmt: skip

    def _begin(self) -> None:
        """A new model, with weights by the random state."""
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        outputs = self._outputs()
        with gx.layers.seeded(self._seed):
            self.model_ = self._built(outputs)
            x = gx.placeholder("x", ("batch", self.n_features_in_))
            found = self.model_(x)
        if not isinstance(found, gx.Tensor) or found.ndim != 2 or found.shape[1] != outputs:
            shown = found.type if isinstance(found, gx.Tensor) else f"{type(found).__name__} of outputs"
            raise gx.errors.ShapeError(
                f"{type(self).__name__}: the model gives {shown}, this task needs f32[batch, {outputs}]",
                where=gx.errors.caller(), hint="model(inputs, outputs) is to have `outputs` units at its end",
            )  # fmt: skip
        known = gx.models.optimizers.named_optimizer(self.optimizer)
        rate = known.rate if self.learning_rate is None else self.learning_rate
        own = gx.models.Optimizer(known.function, rate, **known.options)  # the option stays without state
        self.model_.compile(own, self.loss if self.loss is not None else self._loss)
        self._programs: dict[str, gx.Compiled] = {}

    def _built(self, outputs: int) -> gx.models.Model:
        if self.model is not None:
            made = self.model(self.n_features_in_, outputs)
            if not isinstance(made, gx.models.Model):
                raise gx.errors.InputError(
                    f"{type(self).__name__}: model gave {type(made).__name__}", where=gx.errors.caller(),
                    hint="a function (inputs, outputs) -> gx.models.Model",
                )  # fmt: skip
            return made
        sizes = self.hidden_layer_sizes
        sizes = [sizes] if isinstance(sizes, (int, np.integer)) else list(sizes)
        penalty = gx.layers.regularizers.L1L2(l2=self.l2) if self.l2 else None
        layers: list[gx.layers.Layer] = []
        for units in sizes:
            layers.append(gx.layers.Dense(units, self.activation, kernel_regularizer=penalty))
            if self.dropout:
                layers.append(gx.layers.Dropout(self.dropout))
        layers.append(gx.layers.Dense(outputs, kernel_regularizer=penalty))
        return gx.models.Sequential(layers, input_shape=(self.n_features_in_,))

    def _held_out(self, x: Array, target: Array, weights: Array | None) -> tuple[Any, Any]:
        """The samples to train on, and those that say when to stop."""
        held = max(1, round(len(x) * self.validation_fraction))
        if held >= len(x):
            raise gx.errors.InputError(
                f"early_stopping: nothing is left to train on of {len(x)} samples", where=gx.errors.caller(),
                hint="a smaller validation_fraction, or more samples",
            )  # fmt: skip
        kept, apart = gx.data.split(
            (x, target, weights), (len(x) - held, held), seed=self._seed, stratify=self._strata(target)
        )
        return kept, apart

    # --- what the two differ in ---

    def _outputs(self) -> int:
        raise NotImplementedError

    def _strata(self, target: Array) -> Array | None:
        return None

    def _result(self, output: gx.Tensor) -> gx.Tensor:
        return output

    def _target(self, y: Any, reset: bool) -> Array:
        raise NotImplementedError

    # --- data ---

    def _validated(self, X: Any, y: Any, sample_weight: Any, reset: bool) -> tuple[Array, Array, Array | None]:
        x, y = validate_data(self, X, y, dtype=np.float32, order="C", multi_output=True, y_numeric=self._numeric, reset=reset)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float32)
        return x, self._target(y, reset), weights

    def _predicted(self, X: Any) -> Array:
        check_is_fitted(self, "model_")
        x = validate_data(self, X, dtype=np.float32, order="C", reset=False)
        if "predict" not in self._programs:
            given = gx.placeholder("x", ("batch", self.n_features_in_))
            self._programs["predict"] = gx.compile([given], self._result(self.model_(given)), name="predict")
        program = self._programs["predict"]
        parts: list[Array] = [np.asarray(program(x[i : i + 4096])) for i in range(0, len(x), 4096)]
        return np.concatenate(parts)

    # --- files ---

    def __getstate__(self) -> dict[str, Any]:
        """Arrays and options: the model is what `model.save` writes, no code."""
        state: dict[str, Any] = dict(super().__getstate__())
        if "model_" in state:
            state.pop("_programs")
            with tempfile.TemporaryDirectory() as folder:
                state["model_"].save(Path(folder) / "model")
                state["model_"] = {file.name: file.read_bytes() for file in sorted((Path(folder) / "model").iterdir())}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        files = state.get("model_")
        if files is not None:
            with tempfile.TemporaryDirectory() as folder:
                for name, content in files.items():
                    (Path(folder) / name).write_bytes(content)
                state = {**state, "model_": gx.models.load(folder), "_programs": {}}
        super().__setstate__(state)


class GraphcClassifier(ClassifierMixin, _Network):  # type: ignore[misc]
    """A network that says to which class a sample belongs.

    hidden_layer_sizes, activation, dropout, l2: Dense layers, each followed by dropout, their weights penalised by l2 times their
    squares; or model: a function (features, classes) -> gx.models.Model whose output, [batch, classes], is logits or their
    softmax. optimizer, loss: as in `Model.compile`; learning_rate: by default the optimiser's own. epochs, batch_size,
    shuffle: as in `Model.fit`. early_stopping: hold out `validation_fraction` of the samples, stop after `patience` epochs in
    which their loss did not fall by `tol`, and keep the weights that were best. warm_start: whether `fit` goes on. random_state:
    what the weights and the order of samples follow from.

    Attributes: classes_, model_, history_ (figures of each epoch), loss_, n_epochs_, n_features_in_, feature_names_in_.

    >>> import numpy as np
    >>> from graphc.sklearn import GraphcClassifier
    >>> x = np.array([[0.0], [0.1], [0.9], [1.0]])
    >>> GraphcClassifier(learning_rate=0.05, random_state=0).fit(x, ["low", "low", "high", "high"]).predict([[0.0], [1.0]])
    array(['low', 'high'], dtype='<U4')
    """

    _loss = "sparse_categorical_crossentropy"

    def _outputs(self) -> int:
        return len(self.classes_)

    def _strata(self, target: Array) -> Array | None:
        return target

    def _result(self, output: gx.Tensor) -> gx.Tensor:
        return gx.nn.softmax(gx.models.losses.logits_for("predict", output, None))

    def _target(self, y: Any, reset: bool) -> Array:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        if reset:
            self.classes_ = np.unique(y)
        numbers = np.searchsorted(self.classes_, y)
        known = self.classes_[np.minimum(numbers, len(self.classes_) - 1)] == y
        if not np.all(known):
            raise ValueError(f"y has classes that are not among {list(self.classes_)}: {np.unique(y[~known]).tolist()}")
        found: Array = numbers.astype(np.int64)
        return found

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> GraphcClassifier:
        """One epoch over these samples. classes: all that there will be, at the first call; those in y by default."""
        first = not hasattr(self, "model_")
        if first and classes is not None:
            self.classes_ = np.unique(classes)
        x, y = validate_data(self, X, y, dtype=np.float32, order="C", multi_output=True, reset=first)
        weights = None if sample_weight is None else _check_sample_weight(sample_weight, x, dtype=np.float32)
        return self._partial_fit(x, self._target(y, first and classes is None), weights)  # type: ignore[no-any-return]

    def predict_proba(self, X: Any) -> Array:
        """The probability of each class, [samples, classes], in the order of `classes_`."""
        found: Array = self._predicted(X)
        return found

    def predict_log_proba(self, X: Any) -> Array:
        """The logarithms of the probabilities."""
        with np.errstate(divide="ignore"):
            found: Array = np.log(self.predict_proba(X))
            return found

    def predict(self, X: Any) -> Array:
        """The most probable class of each sample."""
        best = self._predicted(X).argmax(1)
        found: Array = self.classes_[best]
        return found


class GraphcRegressor(RegressorMixin, _Network):  # type: ignore[misc]
    """A network that says a number for a sample, or several.

    model: a function (features, targets) -> gx.models.Model whose output is [batch, targets]. The other options are those of
    `GraphcClassifier`; loss is "mse" by default.

    >>> import numpy as np
    >>> from graphc.sklearn import GraphcRegressor
    >>> x = np.linspace(-1, 1, 40)[:, None]
    >>> round(GraphcRegressor((), learning_rate=0.05, random_state=0).fit(x, 3 * x[:, 0] + 1).predict([[0.5]])[0], 1)
    np.float64(2.5)
    """

    _loss = "mse"
    _numeric = True

    def _outputs(self) -> int:
        return self._targets or 1

    def _target(self, y: Any, reset: bool) -> Array:
        given = np.asarray(y, np.float32)
        if reset:
            self._targets = given.shape[1] if given.ndim == 2 else 0
        if (given.shape[1] if given.ndim == 2 else 0) != self._targets:
            raise ValueError(f"y has shape {given.shape}, and the model was fitted to {self._targets or 'one'} targets")
        return given if given.ndim == 2 else given[:, None]

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> GraphcRegressor:
        """One epoch over these samples."""
        x, target, weights = self._validated(X, y, sample_weight, reset=not hasattr(self, "model_"))
        return self._partial_fit(x, target, weights)  # type: ignore[no-any-return]

    def predict(self, X: Any) -> Array:
        """The number for each sample, [samples]; [samples, targets] where y had two axes."""
        found = self._predicted(X).astype(np.float64)  # scikit-learn's regressors give these
        return found if self._targets else found[:, 0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class _Best(gx.models.Callback):
    """Ends the training where the loss of held-out samples falls no more, with the weights that were best."""

    def __init__(self, patience: int, tol: float) -> None:
        self.patience, self.tol = patience, tol
        self.best, self.waited = np.inf, 0
        self.weights: Sequence[Array] | None = None

    def on_epoch_end(self, epoch: int, logs: dict[str, Any]) -> None:
        if logs["val_loss"] < self.best - self.tol:
            self.best, self.waited = logs["val_loss"], 0
            self.weights = [np.array(w) for w in self.model.get_weights()]
            return
        self.waited += 1
        if self.waited >= self.patience:
            self.model.stop_training = True

    def on_train_end(self, logs: dict[str, Any]) -> None:
        if self.weights is not None:
            self.model.set_weights(self.weights)
