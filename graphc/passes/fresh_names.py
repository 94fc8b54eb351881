"""Names that a kernel does not use yet."""

from __future__ import annotations

from graphc.ir import dims
from graphc.ir.program import Axis, Contract, Index, Init, Join, Kernel, Load, Loop, Reduce, statements_of
from graphc.ir.scalar import Let


class FreshNames:
    """t0, t1, ...: neither values nor buffers, loop variables and sizes of a kernel are called so."""

    def __init__(self, kernel: Kernel) -> None:
        self._taken = {p.name for p in kernel.params} | {s.name for s in kernel.scratch}
        shapes: list[Index] = [p.type.shape for p in kernel.params] + [s.shape for s in kernel.scratch]
        axes = list(kernel.parallel)
        for statement in statements_of(kernel.body):
            match statement:
                case Let(name=name, index=size):
                    self._taken |= {name, *dims.names(size)}
                case Load(name=name) | Init(name=name) | Reduce(name=name) | Join(name=name):
                    self._taken.add(name)
                case Loop(var=var, start=start, stop=stop):
                    axes.append(Axis(var, stop, start))
                case Contract(m=m, n=n, k=k, result=result):
                    axes += [m, n, k]
                    self._taken.add(result)
        self._taken |= {a.var for a in axes}
        for size in [n for a in axes for n in (a.start, a.stop)] + [n for shape in shapes for n in shape]:
            self._taken |= dims.names(size)
        self._next = 0

    def fresh(self) -> str:
        while f"t{self._next}" in self._taken:
            self._next += 1
        self._next += 1
        return f"t{self._next - 1}"
