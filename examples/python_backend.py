"""A backend in seventy lines: each kernel as a function of Python with its loops written out."""

import re

import numpy as np

import graphc as gx
from graphc.backends.program import combined
from graphc.ir.combines import combine_of
from graphc.ir.primitives import PRIMITIVES
from graphc.ir.program import Accumulate, Init, Join, Kernel, Load, Loop, Program, Reduce, Store
from graphc.ir.scalar import Arg, Const, Let


def name(text: object) -> str:
    """A name, a size or an index as Python: %0 is t_0, 1000*i+j is 1000*t_i+t_j."""
    return re.sub(r"(?!\bmax\b)%?\b[A-Za-z_][\w.]*|%\d+", lambda m: "t_" + re.sub(r"\W", "_", m[0].lstrip("%")), str(text))


def value(arg: Arg) -> str:
    return f"np.{arg.dtype.numpy}('{arg.value}')" if isinstance(arg, Const) else name(f"%{arg.name}")


def statements(body, depth):
    """The lines of a body."""
    for s in body:
        left = name(f"%{s.name}") if hasattr(s, "name") else ""
        place = f"{name(s.buffer)}[{', '.join(map(name, s.index)) or '()'}]" if isinstance(s, (Load, Store, Accumulate)) else ""
        match s:
            case Let(op="index"):
                line = f"{left} = np.int64({name(s.index)})"
            case Let():
                kind = f", types['{s.dtype}']" if s.op in ("cast", "bitcast") else ""
                line = f"{left} = primitives['{s.op}']({', '.join(map(value, s.args))}{kind})"
            case Load():
                line = f"{left} = {place}" + (f" if {value(s.guard)} else np.{s.dtype.numpy}(0)" if s.guard else "")
            case Store():
                line = f"{place} = {value(s.value)}"
            case Accumulate():
                line = f"{place} = combined(combine_of('{s.combine}'), {place}, {value(s.value)})"
            case Init():
                line = f"{left} = {value(s.combine.neutral(s.dtype))}"
            case Reduce(position=None):
                line = f"{left} = combined(combine_of('{s.combine}'), {left}, {value(s.value)})"
            case Join():
                line = f"{left} = joined(combine_of('{s.combine}'), {name(s.buffer)})"
            case Loop():
                line = f"for {name(s.var)} in range({name(s.start)}, {name(s.stop)}):"
            case _:
                raise gx.GraphError(f"this backend has no {type(s).__name__}")
        yield "    " * depth + line
        if isinstance(s, Loop):
            yield from statements(s.body, depth + 1)


def source(kernel: Kernel) -> str:
    """A kernel as a function of its parameters; sizes are global names."""
    lines = [f"def {kernel.name}({', '.join(name(p.name) for p in kernel.params)}):"]
    for depth, axis in enumerate(kernel.parallel, 1):  # in any order: the loops that threads would share
        lines.append("    " * depth + f"for {name(axis.var)} in range({name(axis.start)}, {name(axis.stop)}):")
    depth = len(kernel.parallel) + 1
    for s in kernel.scratch:
        shape = "".join(f"{name(n)}, " for n in s.shape)
        lines.append("    " * depth + f"{name(s.name)} = np.zeros(({shape}), '{s.dtype.numpy}')")
    return "\n".join([*lines, *statements(kernel.body, depth)])


def joined(combine, parts):
    """The elements of scratch as one value: the second half joins the first, again and again."""
    while len(parts) > 1:
        half = len(parts) // 2
        parts = [combined(combine, a, b) for a, b in zip(parts[:half], parts[half:], strict=True)]
    return parts[0]


class PythonBackend:
    """A program that runs: what `gx.compile` calls."""

    kernels, compilations = (), 0

    def __init__(self, program: Program, variables):
        self.program, self.variables = program, variables
        types = {str(t): t for t in gx.ir.types.DTYPES}
        self.names = {"np": np, "primitives": PRIMITIVES, "types": types}
        self.names |= {"combined": combined, "combine_of": combine_of, "joined": joined}
        for call in program.calls:
            exec(source(call.kernel), self.names)

    def run(self, arrays, sizes, key):
        """The outputs of one call; then variables are written."""
        self.names.update({name(n): size for n, size in sizes.items()})
        shape = {kind: [gx.ir.dims.evaluate(n, sizes) for n in kind.shape] for kind in self.kinds()}
        memory = {b.name: np.zeros(shape[b.type], b.type.dtype.numpy) for b in self.program.buffers.values()}
        memory |= {b.name: b.value for b in self.program.buffers.values() if b.role == "constant"}
        memory |= dict(zip(self.program.inputs, arrays, strict=True)) | {n: v.data for n, v in self.variables.items()}
        for call in self.program.calls:
            pairs = zip(call.buffers, call.kernel.params, strict=True)
            self.names[call.kernel.name](*(np.ascontiguousarray(memory[n]).reshape(shape[p.type]) for n, p in pairs))
        for variable, new in self.program.updates:
            self.variables[variable].data[...] = memory[new]
        return [np.array(memory[n]) for n in self.program.outputs]

    def kinds(self):
        """The types of all memory."""
        return {b.type for b in self.program.buffers.values()} | {p.type for c in self.program.calls for p in c.kernel.params}

    def again(self, arguments):
        """Nothing is remembered of earlier calls."""


def main(backend: str = "python") -> str:
    """A step of training a softmax, here and in native code; the source of the largest kernel."""
    gx.register_backend("python", PythonBackend, native=True)
    x, t = gx.placeholder("x", ("n", 40), "float32"), gx.placeholder("t", ("n",), "int64")
    rows, labels = np.linspace(0, 1, 120, dtype="float32").reshape(3, 40), np.array([0, 7, 39])
    found = []
    for chosen in (backend, "llvm"):
        w = gx.variable(np.linspace(-1, 1, 40, dtype="float32"), name="w")
        loss = gx.nn.cross_entropy(x * w, t)
        step = gx.compile([x, t], loss, updates=gx.optim.sgd(loss, [w], lr=0.1), backend=chosen)
        found.append(np.append(step(rows, labels), w.value))
    print("the same bits as native code:", np.array_equal(*found))
    return max((source(call.kernel) for call in step.program.calls), key=len)


if __name__ == "__main__":
    print(main())
