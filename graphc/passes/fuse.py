"""Write the kernels of a plan: Plan -> Program.

    cluster 0: rows [batch | 10] {              kernel k0(%x) -> %y {
      %0 = exp(%x)                                parallel i < batch { ... one row: exp, sum, divide ... }
      %1 = sum(%0, axes=[1])             =>     }
      %2 = ... divide(%0, %1 ...)
    }

Afterwards every value that crosses a kernel's boundary has a buffer, and nothing else has. passes/lowering/ writes the bodies.
"""

from __future__ import annotations

from graphc.ir.graph import Graph
from graphc.ir.program import Program
from graphc.ir.signature import signature_of
from graphc.passes.fusion.plan import Plan
from graphc.passes.plan_kernels import plan_kernels


def fuse(plan: Plan | Graph) -> Program:
    """The program of a plan, or of a graph that is planned here: its kernels in order, over buffers not yet planned."""
    from graphc.passes.lowering import lower

    plan = plan_kernels(plan) if isinstance(plan, Graph) else plan
    return lower(plan).asking(signature_of(plan.graph))
