"""Gradients as users ask for them.

    reverse.py       grad, value_and_grad, vjp
    forward.py       jvp, hvp; jacobian and hessian, by the shorter way
    batching.py      vmap: a function for every element along an axis
    custom.py        custom_gradient: a function with a rule of its own
    recomputing.py   checkpoint: values computed again instead of being kept
    asking.py        what they ask of symbols and functions

The transformation of graphs is `passes/differentiate.py`.
"""

from graphc.gradients.batching import vmap
from graphc.gradients.custom import custom_gradient
from graphc.gradients.forward import hessian, hvp, jacobian, jvp
from graphc.gradients.recomputing import checkpoint
from graphc.gradients.reverse import grad, value_and_grad, vjp

__all__ = ["checkpoint", "custom_gradient", "grad", "hessian", "hvp", "jacobian", "jvp", "value_and_grad", "vjp", "vmap"]
