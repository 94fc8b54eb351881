"""What to do when numbers are not as they should be.

    find_nan.py    the first operation whose result is not finite
    print.py       a value, printed when it is computed
    promotions.py  where float64 entered a computation of narrower floats
"""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.debug.find_nan import NotFinite, Range, find_nan
from graphc.debug.print import print
from graphc.debug.promotions import Promotion, Promotions, promotions

__all__ = ["NotFinite", "Promotion", "Promotions", "Range", "find_nan", "print", "promotions"]

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
