"""Models: layers that are trained and that predict.

    model.py        the model: of symbols, of layers in a row, or a class of your own
    training.py     its compiled programs
    fit.py          fit, evaluate, predict
    loop.py         the loop of fit, with its checkpoints
    callbacks.py    what is called between the steps
    history.py      what the epochs gave
    progress.py     what is shown
    saving.py       models as files
    structure.py    how a model of symbols is connected, as data
    checkpoint.py   all that a training needs to go on
    losses.py       losses by name
    metrics.py      metrics by name
    optimizers.py   optimisers by name
"""

from graphc.models import losses, optimizers
from graphc.models.callbacks import Callback
from graphc.models.history import History
from graphc.models.losses import Loss
from graphc.models.checkpoint import Checkpoints
from graphc.models.model import Model, Sequential
from graphc.models.optimizers import Optimizer
from graphc.models.saving import load

__all__ = ["Callback", "Checkpoints", "History", "Loss", "Model", "Optimizer", "Sequential", "load", "losses", "optimizers"]
