"""Models: layers that are trained and that predict.

    model.py        the model: of symbols, of layers in a row, or a class of your own
    training.py     its compiled programs
    fit.py          fit, evaluate, predict
    loop.py         the loop of fit, with its checkpoints
    callbacks.py    what is called between the steps: the base, and what steers a training
    records.py      callbacks that write files: models, tables, events
    events.py       event files as TensorBoard reads them
    averages.py     averages of the weights
    pruning.py      the end of trials of a search
    gradients.py    gradients limited and accumulated
    history.py      what the epochs gave
    summary.py      the table of a model's layers, and its drawing
    finite.py       steps that stop at what is not finite
    interrupts.py   Ctrl-C, when what is begun is whole
    progress.py     what is shown
    saving.py       models as files
    structure.py    how a model of symbols is connected, as data
    checkpoint.py   all that a training needs to go on
    losses.py       losses by name
    naming.py       what is given by names of inputs and outputs
    labels.py       what labels in memory are checked for
    metrics.py      metrics by name
    optimizers.py   optimisers by name
    schedules.py    learning rates that change, by name
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.models import losses, optimizers
from graphc.models.averages import EMA
from graphc.models.callbacks import (
    Callback, EarlyStopping, Freeze, LambdaCallback, LearningRateScheduler, ReduceLROnPlateau, TerminateOnNaN, Unfreeze,
)  # fmt: skip
from graphc.models.checkpoint import Checkpoints
from graphc.models.history import History
from graphc.models.losses import Loss
from graphc.models.model import Model, Sequential
from graphc.models.optimizers import Optimizer
from graphc.models.pruning import PruningCallback
from graphc.models.records import CSVLogger, ModelCheckpoint, TensorBoard
from graphc.models.saving import load

__all__ = [
    "EMA", "CSVLogger", "Callback", "Checkpoints", "EarlyStopping", "Freeze", "History", "LambdaCallback",
    "LearningRateScheduler", "Loss", "Model", "ModelCheckpoint", "Optimizer", "PruningCallback", "ReduceLROnPlateau",
    "Sequential", "TensorBoard", "TerminateOnNaN", "Unfreeze", "load", "losses", "optimizers",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
