"""The nouns: sizes, types, operations, graphs, programs, and their text and drawings."""

from graphc.ir.graph import Graph, Node
from graphc.ir.parser import parse
from graphc.ir.program import Kernel, Program

__all__ = ["Graph", "Kernel", "Node", "Program", "parse"]
