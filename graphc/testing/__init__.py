"""Checks for those who write functions, gradient rules, operations and passes."""

from graphc.testing.gradients import check_grads, derivative
from graphc.testing.operations import check_op
from graphc.testing.rewriting import check_pass, check_rules

__all__ = ["check_grads", "check_op", "check_pass", "check_rules", "derivative"]
