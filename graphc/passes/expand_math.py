"""Placeholder being written."""
from graphc.ir.program import Program


def expand_math(program: Program) -> Program:
    return program
