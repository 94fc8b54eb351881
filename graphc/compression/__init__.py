"""Smaller models: integers of 8 bits in place of floats, and weights left out.

    quantizing.py    quantize: a model, or symbols, whose products are of integers
    calibration.py   the scales of activations, from data
    pruning.py       prune: small weights that are 0
    channels.py      products with fewer outputs
    symbols.py       products of weights in a graph of symbols
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.compression.calibration import METHODS, Seen
from graphc.compression.pruning import prune
from graphc.compression.quantizing import quantize

__all__ = ["METHODS", "Seen", "prune", "quantize"]

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
advice.with_keywords(globals(), __all__)
