"""compile(): from symbols to something that runs, through a visible tuple of passes.

    building.py    compile(), and eval() of one symbol
    declaring.py   what is to be compiled, as one graph
    outputs.py     symbols in lists, tuples and dicts, and arrays in the same form
    compiled.py    the Compiled object
    arguments.py   the arguments of a call
    variables.py   names of variables
"""

from graphc.compile.building import compile
from graphc.compile.compiled import Compiled
from graphc.compile.variables import named, named_variables

__all__ = ["Compiled", "compile", "named", "named_variables"]
