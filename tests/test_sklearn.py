"""graphc's models as scikit-learn's estimators."""

from __future__ import annotations

import pickle
import pickletools
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

pytest.importorskip("sklearn")

import scipy.sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

import graphc as gx
from graphc.sklearn import SKIPPED_CHECKS, GraphcClassifier, GraphcRegressor

RNG = np.random.default_rng(0)
X = RNG.normal(size=(120, 4))
LABELS = np.asarray(["cat", "dog", "emu"], object)[np.argmax(X[:, :3], 1)]
Y = X[:, 0] - 2 * X[:, 1] + 0.5


def classifier(**options: Any) -> GraphcClassifier:
    return GraphcClassifier(**{"hidden_layer_sizes": (16,), "learning_rate": 0.02, "epochs": 15, "random_state": 0, **options})


def regressor(**options: Any) -> GraphcRegressor:
    return GraphcRegressor(**{"hidden_layer_sizes": (16,), "learning_rate": 0.02, "epochs": 40, "random_state": 0, **options})


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("made", [GraphcClassifier, GraphcRegressor])
def test_scikit_learns_own_checks_pass(made: Any) -> None:
    found = check_estimator(made(), on_fail=None, on_skip=None, expected_failed_checks=dict(SKIPPED_CHECKS))
    assert len(found) > 50
    failed = {r["check_name"]: r["exception"] for r in found if r["status"] == "failed"}
    assert not failed
    assert {r["check_name"] for r in found if r["status"] in ("skipped", "xfail")} == set(SKIPPED_CHECKS)


def test_classes_have_names_of_any_type() -> None:
    fitted = classifier().fit(X, LABELS)
    assert fitted.classes_.tolist() == ["cat", "dog", "emu"] and fitted.score(X, LABELS) > 0.9
    found = fitted.predict_proba(X)
    assert found.shape == (120, 3) and np.allclose(found.sum(1), 1, atol=1e-6)
    assert (fitted.classes_[found.argmax(1)] == fitted.predict(X)).all()
    assert np.allclose(np.exp(fitted.predict_log_proba(X)), found)
    for names in ([10, 20, 35], [-1.0, 0.0, 1.0]):
        y = np.asarray(names)[np.argmax(X[:, :3], 1)]
        assert classifier().fit(X, y).score(X, y) > 0.9
    flags = X[:, 0] > 0
    assert classifier().fit(X, flags).predict(X).dtype == bool


def test_pipelines_searches_and_scores() -> None:
    model = make_pipeline(StandardScaler(), classifier(epochs=8))
    search = GridSearchCV(model, {"graphcclassifier__hidden_layer_sizes": [(), (16,)]}, cv=2).fit(100 * X, LABELS)
    assert search.best_score_ > 0.75
    assert min(cross_val_score(regressor(), X, Y, cv=2)) > 0.9
    assert not hasattr(clone(search.best_estimator_[-1]), "model_")


def test_a_result_follows_from_the_random_state_alone() -> None:
    first = classifier(dropout=0.2).fit(X, LABELS).predict_proba(X)
    gx.layers.Dense(3)  # neither from layers made before, nor from the seed of all
    gx.layers.seed(5)
    before = gx.layers.Dense(2, input_shape=(3,)).get_weights()[0]
    gx.layers.seed(5)
    assert (classifier(dropout=0.2).fit(X, LABELS).predict_proba(X) == first).all()
    assert (gx.layers.Dense(2, input_shape=(3,)).get_weights()[0] == before).all()  # which is as it was
    assert (classifier(dropout=0.2, random_state=1).fit(X, LABELS).predict_proba(X) != first).any()


def test_pickles_hold_arrays_and_options_and_no_code() -> None:
    for made, y in ((classifier(dropout=0.1), LABELS), (regressor(), np.stack([Y, -Y], 1))):
        fitted = made.fit(X, y)
        text = pickle.dumps(fitted)
        again = pickle.loads(text)
        assert (again.predict(X) == fitted.predict(X)).all()
        assert set(vars(again)) == set(vars(fitted)) and again.history_ == fitted.history_
        names = {arg.split(" ")[0] for op, arg, _ in pickletools.genops(pickle.dumps(fitted, 0)) if op.name == "GLOBAL"}
        assert all(n.split(".")[0] in ("numpy", "graphc", "copy_reg", "copyreg", "__builtin__", "_codecs") for n in names), names
        assert {n for n in names if n.startswith("graphc")} == {"graphc.sklearn"}
        figures = lambda model: model.predict_proba(X) if y is LABELS else model.predict(X)  # noqa: B023
        before = figures(fitted)
        assert (figures(again) == before).all() and (figures(again.partial_fit(X, y)) != before).any()  # trained on
        assert (figures(fitted) == before).all()


def test_training_goes_on_by_parts() -> None:
    model = classifier()
    for _ in range(25):
        model.partial_fit(X[:60], LABELS[:60], classes=["cat", "dog", "emu", "fox"])
        model.partial_fit(X[60:], LABELS[60:])
    assert model.n_epochs_ == 50 == len(model.history_["loss"])
    assert model.score(X, LABELS) > 0.9 and model.predict_proba(X).shape == (120, 4)
    with pytest.raises(ValueError, match=r"y has classes that are not among .*: \['yak'\]"):
        model.partial_fit(X[:1], ["yak"])
    warm = regressor(warm_start=True, epochs=5)
    assert warm.fit(X, Y).score(X, Y) < warm.fit(X, Y).fit(X, Y).fit(X, Y).score(X, Y)


def test_weights_of_samples_count() -> None:
    x = np.zeros((40, 1))
    y = np.repeat([0.0, 1.0], 20)
    weights = np.where(y == 1, 3.0, 1.0)
    options: Any = {"hidden_layer_sizes": (), "batch_size": 40, "epochs": 200, "learning_rate": 0.05}
    assert abs(regressor(**options).fit(x, y, weights).predict(x)[0] - 0.75) < 0.01
    assert abs(classifier(**options).fit(x, y, weights).predict_proba(x)[0, 1] - 0.75) < 0.01


def test_it_stops_early_with_the_best_weights() -> None:
    noise = RNG.integers(0, 2, 120)
    model = classifier(early_stopping=True, patience=3, epochs=200, hidden_layer_sizes=(64,), tol=0.0).fit(X, noise)
    losses = model.history_["val_loss"]
    assert model.n_epochs_ == len(losses) < 200 and min(losses) == losses[-4]
    with pytest.raises(gx.GraphError, match="nothing is left to train on of 1 samples"):
        regressor(early_stopping=True).fit(X[:1], Y[:1])


@pytest.mark.parametrize("activation", [None, "softmax"])
def test_a_model_of_ones_own(activation: Any) -> None:
    def build(inputs: int, outputs: int) -> gx.models.Model:
        x = gx.layers.Input((inputs,))
        h = gx.layers.Dense(12, activation="tanh")(x)
        return gx.models.Model(x, gx.layers.Dense(outputs, activation=activation)(gx.layers.Concatenate()([x, h])))

    fitted = classifier(model=build).fit(X, LABELS)
    assert fitted.score(X, LABELS) > 0.9 and np.allclose(fitted.predict_proba(X).sum(1), 1, atol=1e-6)
    assert (classifier(model=build).fit(X, LABELS).predict_proba(X) == fitted.predict_proba(X)).all()
    wrong = "the model gives f32\\[batch, 4\\], this task needs f32\\[batch, 3\\]"
    with pytest.raises(gx.GraphError, match=wrong):
        classifier(model=lambda i, o: build(i, 4)).fit(X, LABELS)
    with pytest.raises(gx.GraphError, match="GraphcClassifier: model gave int"):
        classifier(model=lambda i, o: 3).fit(X, LABELS)


def test_wrong_use_is_told() -> None:
    with pytest.raises(TypeError, match="Sparse data was passed"):
        classifier().fit(scipy.sparse.csr_matrix(X), LABELS)
    with pytest.raises(NotFittedError):
        regressor().predict(X)
    with pytest.raises(ValueError, match="features"):
        regressor(epochs=1).fit(X, Y).predict(X[:, :2])
    with pytest.raises(gx.GraphError, match="no optimiser 'adem'"):
        regressor(optimizer="adem").fit(X, Y)


def test_optimisers_and_losses_are_those_of_models() -> None:
    slow = gx.models.Optimizer(gx.optim.adamw, learning_rate=1e-9)
    assert regressor(optimizer=slow, learning_rate=None).fit(X, Y).score(X, Y) < 0.5 and slow.variable is None
    for options in ({"optimizer": "sgd"}, {"optimizer": gx.models.Optimizer(gx.optim.adamw)}, {"l2": 1e-4}):
        assert regressor(**options).fit(X, Y).score(X, Y) > 0.9
    several = regressor(loss="mae").fit(X, np.stack([Y, 1 - Y], 1))
    assert several.predict(X).shape == (120, 2) and several.score(X, np.stack([Y, 1 - Y], 1)) > 0.9


def test_graphc_alone_imports_no_scikit_learn() -> None:
    subprocess.run([sys.executable, "-c", "import sys, graphc; assert 'sklearn' not in sys.modules"], check=True)
