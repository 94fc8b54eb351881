"""What to do when numbers are not as they should be.

    find_nan.py    the first operation whose result is not finite
    print.py       a value, printed when it is computed
    promotions.py  where float64 entered a computation of narrower floats
"""

from graphc.debug.find_nan import NotFinite, Range, find_nan
from graphc.debug.print import print
from graphc.debug.promotions import Promotion, Promotions, promotions

__all__ = ["NotFinite", "Promotion", "Promotions", "Range", "find_nan", "print", "promotions"]
