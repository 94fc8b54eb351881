"""Metrics: figures of a model over a data set, added up batch by batch.

    metric.py           the metric, and the mean
    fitting.py          labels and outputs in one form
    classification.py   accuracy and its kin: decisions, areas under curves, confusion, overlap, perplexity
    regression.py       errors of numbers
    host.py             what is added up outside a graph
    detection.py        boxes
    text.py             texts

Those of the first three add up in the graph: their state has a fixed size, and the figure does not depend on how the data were
divided into batches. Those of the last three keep what they need outside it: `update` with arrays or lists, then `result`.
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.metrics.metric import Mean, Metric
from graphc.metrics.classification import (
    AUC, Accuracy, BinaryAccuracy, CategoricalAccuracy, ConfusionMatrix, DiceScore, F1Score, FalseNegatives, FalsePositives,
    FBetaScore, IoU, MeanIoU, Perplexity, Precision, Recall, SparseCategoricalAccuracy, SparseTopKCategoricalAccuracy,
    TopKCategoricalAccuracy, TrueNegatives, TruePositives,
)  # fmt: skip
from graphc.metrics.regression import (
    CosineSimilarity, MeanAbsoluteError, MeanAbsolutePercentageError, MeanSquaredError, R2Score, RootMeanSquaredError,
)  # fmt: skip
from graphc.metrics.host import ExactAUC, HostMetric
from graphc.metrics.detection import MeanAveragePrecision
from graphc.metrics.text import BLEU, CharacterErrorRate, WordErrorRate

__all__ = [
    "AUC", "BLEU", "Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "CharacterErrorRate", "ConfusionMatrix",
    "CosineSimilarity", "DiceScore", "ExactAUC", "F1Score", "FBetaScore", "FalseNegatives", "FalsePositives", "HostMetric",
    "IoU", "Mean", "MeanAbsoluteError", "MeanAbsolutePercentageError", "MeanAveragePrecision", "MeanIoU", "MeanSquaredError",
    "Metric", "Perplexity", "Precision", "R2Score", "Recall", "RootMeanSquaredError", "SparseCategoricalAccuracy",
    "SparseTopKCategoricalAccuracy", "TopKCategoricalAccuracy", "TrueNegatives", "TruePositives", "WordErrorRate",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
