"""What to do when numbers are not as they should be.

    find_nan.py   the first operation whose result is not finite
    print.py      a value, printed when it is computed
"""

from graphc.debug.find_nan import NotFinite, Range, find_nan
from graphc.debug.print import print

__all__ = ["NotFinite", "Range", "find_nan", "print"]
