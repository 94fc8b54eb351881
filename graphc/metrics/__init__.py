"""Metrics: figures of a model over a data set, added up batch by batch in the graph.

    metric.py           the metric, and the mean
    classification.py   accuracy and its kin
"""

from graphc.metrics.metric import Mean, Metric
from graphc.metrics.classification import (
    Accuracy, BinaryAccuracy, CategoricalAccuracy, SparseCategoricalAccuracy,
)  # fmt: skip

__all__ = ["Accuracy", "BinaryAccuracy", "CategoricalAccuracy", "Mean", "Metric", "SparseCategoricalAccuracy"]
