"""Control flow: loops over steps, loops while something holds, choices. Their bodies are graphs inside a node.

    scan.py      scan and map           steps.py   their operation and its gradient
    while_loop.py    while_loop, fori_loop  sized.py   a size that is data, for their gradient
    switch.py    switch and cond        bodies.py  functions of symbols as graphs

A body is a function of symbols, called once when the graph is declared. What it reads from outside becomes an input of the
node, so what does not change from step to step is computed once, before the loop.
"""

from graphc.control.switch import cond, switch
from graphc.control.while_loop import fori_loop, while_loop
from graphc.control.scan import map, scan

__all__ = ["cond", "fori_loop", "map", "scan", "switch", "while_loop"]
