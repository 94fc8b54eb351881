"""Data: from arrays, files and iterators to batches.

    source.py   sources of batches: arrays, streams
    order.py    orders of samples by a seed
    trees.py    nested data
"""

from graphc.data.order import permutation
from graphc.data.source import Arrays, Source, Stream, source

__all__ = ["Arrays", "Source", "Stream", "permutation", "source"]
