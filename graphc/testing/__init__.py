"""Checks for those who write functions, gradient rules, operations and passes."""

from typing import TYPE_CHECKING

from graphc import advice
from graphc.testing.gradients import check_grads, derivative
from graphc.testing.operations import check_op
from graphc.testing.rewriting import check_pass, check_rules

__all__ = ["check_grads", "check_op", "check_pass", "check_rules", "derivative"]

if not TYPE_CHECKING:  # to a type checker the module has the names it has
    __getattr__ = advice.unknown_in_module(__name__, __all__)
