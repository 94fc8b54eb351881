"""The nouns: sizes, types, operations, graphs, programs, and their text and drawings."""

from graphc.ir import dot, program_text, text  # noqa: F401  # they register how nouns print
from graphc.ir.graph import Graph, Node
from graphc.ir.parser import parse
from graphc.ir.program import Kernel, Program

__all__ = ["Graph", "Kernel", "Node", "Program", "parse"]
