"""The nouns: sizes, types, operations, graphs, programs, and their text and drawings."""

from graphc.ir.graph import Graph, Node
from graphc.ir.program import Program
from graphc.ir.text import parse

__all__ = ["Graph", "Node", "Program", "parse"]
