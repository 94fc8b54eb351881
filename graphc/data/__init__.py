"""Data: from arrays, files and iterators to batches.

    source.py       sources of batches: arrays, streams
    dataset.py      a source made step by step
    lengths.py      sequences of different lengths
    splits.py       parts of a data set, folds
    order.py        orders of samples by a seed
    tokenizers.py   texts as numbers
    augmentation.py images changed at random
    audio.py        sounds as features
    trees.py        nested data
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.data import audio, augmentation
from graphc.data.dataset import Dataset
from graphc.data.lengths import Buckets, Like, pad_sequences, sequence_mask
from graphc.data.order import permutation
from graphc.data.source import Arrays, Source, Stream, source
from graphc.data.splits import k_fold, split, train_test_split
from graphc.data.tokenizers import BytePairs, Characters, Tokenizer, Words

__all__ = [
    "Arrays", "Buckets", "BytePairs", "Characters", "Dataset", "Like", "Source", "Stream", "Tokenizer", "Words", "audio",
    "augmentation", "k_fold", "pad_sequences", "permutation", "sequence_mask", "source", "split", "train_test_split",
]  # fmt: skip

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
