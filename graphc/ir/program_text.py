"""Programs and kernels as text; parser.py reads it back.

    program := "program" name "{" target? buffer* size* require* buffer* arena? call* update* "return" values "}" kernel*
    target  := "target" name ["(" attributes ")"], where it is not the machine itself
    buffer  := role %name ":" type ["from" name of its first value] ["slot" number] ["=" elements of a constant]
    size    := "size" name ":" "axis" number "of" %input "is" size
    require := "require" size ("==" | ">=") size "," message
    arena   := "arena" "[" sizes of the slots "]" "bytes"
    call    := values "=" kernel "(" values ")"
    kernel  := "kernel" name "(" parameters ")" "->" parameters "{" "parallel" axes "{" body "}" "}"
             | "kernel" name "(" parameters ")" "->" parameters "{" "python" operation "(" attributes ")" "{" program* "}" "}"
             | "kernel" name "(" parameters ")" "->" parameters "{" ("start" | "wait") operation "(" attributes ")" "}"
             | "kernel" name "(" parameters ")" "->" parameters "{" "steps" count "(" attributes ")" "{" program "}" "}"
    body    := ("scratch" %name ":" type)* statement*

A parameter on both sides of the arrow is read and written. Types stand where they do not follow: an operation on scalars takes
the type of its operands, a comparison gives bool, a load has the type of its buffer, and a number that of what is beside it.

    %0 = load %x0[i]
    %1 = add(%0, 1.0)               # x0 is float32, so all of this is
    %2 = lt(%1, inf)
    %3 = select(%2, 0, 1) : i32     # no operand tells
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain

from graphc.ir import program as ir
from graphc.ir import types as t
from graphc.ir.combines import Combine
from graphc.ir.dims import Size
from graphc.ir.names import quoted, written
from graphc.ir.printing import text_of
from graphc.ir.scalar import Arg, Let, Ref, implied
from graphc.ir.target import HOST, TARGETS, Target
from graphc.ir.text import array_text, print_attr, print_title
from graphc.ir.types import DType, TensorType


@text_of.register(ir.Program)
def print_program(program: ir.Program) -> str:
    """The signature and the buffers, the calls in order, then each distinct kernel once."""
    lines = [f"program {print_title(program.name)} {{"]
    if program.target.name != HOST:
        lines.append(f"  target {print_target(program.target)}")
    lines += [f"  input {written(x.name)}: {x.type}" for x in program.signature.inputs]
    lines += [f"  size {r.name}: axis {r.axis} of {written(r.input)} is {r.size}" for r in program.signature.sizes]
    lines += [f"  require {r.left} {r.relation} {r.right}, {quoted(r.message)}" for r in program.signature.requirements]
    initial = {v.name: f" from {quoted(v.initial)}" for v in program.signature.variables if v.initial != v.name}
    for buffer in program.buffers.values():
        if buffer.role == "input":
            continue
        place = f" slot {buffer.slot}" if buffer.slot is not None else ""
        value = f" = {array_text(buffer.value)}" if buffer.role == "constant" and buffer.value is not None else ""
        lines.append(f"  {buffer.role} {written(buffer.name)}: {buffer.type}{initial.get(buffer.name, '')}{place}{value}")
    if program.slots:
        lines.append(f"  arena [{', '.join(map(str, program.slots))}] bytes")
    kernels: dict[str, ir.Called] = {}
    for call in program.calls:
        kernels.setdefault(call.kernel.name, call.kernel)
        given = ", ".join(written(b) for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "out")
        made = ", ".join(written(b) for b, p in zip(call.buffers, call.kernel.params, strict=True) if p.mode != "in")
        lines.append(f"  {made} = {call.kernel.name}({given})")
    lines += [f"  update {written(v)} = {written(b)}" for v, b in program.updates]
    lines.append(f"  return {', '.join(map(written, program.outputs))}".rstrip())
    lines.append("}")
    return "\n\n".join(["\n".join(lines), *map(str, kernels.values())])


def print_target(target: Target) -> str:
    """The name of a target, and where that does not say all, the facts that are not what they are if nothing is said."""
    name = print_title(target.name)
    if TARGETS.get(target.name) == target:
        return name
    usual = Target(target.name).facts
    told = (f"{key}={print_attr(fact)}" for key, fact in target.facts.items() if fact != usual[key])
    return f"{name} ({', '.join(told)})"


@text_of.register(ir.Kernel)
def print_kernel(kernel: ir.Kernel) -> str:
    """The text of a kernel."""
    lines = [_head(kernel)]
    axes = ", ".join(map(str, kernel.parallel))
    indent = "  "
    if axes:
        lines.append(f"  parallel {axes} {{")
        indent = "    "
    lines += [f"{indent}scratch {written(s.name)}: {TensorType(s.dtype, s.shape)}" for s in kernel.scratch]
    dtypes = {p.name: p.type.dtype for p in kernel.params} | {s.name: s.dtype for s in kernel.scratch}
    lines += _Body(dtypes).lines(kernel.body, indent)
    if axes:
        lines.append("  }")
    return "\n".join([*lines, "}"])


@text_of.register(ir.HostCall)
def print_host_call(call: ir.HostCall) -> str:
    """The text of a host call: a kernel whose body is an operation, and the programs that run its graphs."""
    attrs = ", ".join(f"{key}={print_attr(value)}" for key, value in call.attrs)
    operation = f"  python {call.operation.name}({attrs})".replace("\n", "\n  ")
    if not call.programs:
        return "\n".join([_head(call), operation, "}"])
    inside = [f"    {line}".rstrip() for program in call.programs for line in print_program(program).splitlines()]
    return "\n".join([_head(call), f"{operation} {{", *inside, "  }", "}"])


@text_of.register(ir.Collective)
def print_collective(collective: ir.Collective) -> str:
    """The text of a collective: a kernel whose body is its start, or the wait for its end."""
    attrs = ", ".join(f"{key}={print_attr(value)}" for key, value in collective.attrs)
    word = "wait" if collective.waits else "start"
    return "\n".join([_head(collective), f"  {word} {collective.operation.name}({attrs})", "}"])


@text_of.register(ir.Steps)
def print_steps(steps: ir.Steps) -> str:
    """The text of steps: a kernel whose body is a program, run again and again."""
    reverse = ", reverse=true" if steps.reverse else ""
    head = f"  steps {steps.count} (carries={steps.carries}, sequences={steps.sequences}{reverse}) {{"
    inside = [f"    {line}".rstrip() for line in print_program(steps.program).splitlines()]
    return "\n".join([_head(steps), head, *inside, "  }", "}"])


def _head(called: ir.Called) -> str:
    given = ", ".join(f"{written(p.name)}: {p.type}" for p in called.params if p.mode != "out")
    made = ", ".join(f"{written(p.name)}: {p.type}" for p in called.params if p.mode != "in")
    return f"kernel {called.name}({given}) -> {made} {{"


class _Body:
    """Prints the statements of a kernel. `dtypes` are those of its buffers, and of the accumulators met so far."""

    def __init__(self, dtypes: Mapping[str, DType]) -> None:
        self.dtypes = dict(dtypes)

    def lines(self, body: Sequence[ir.Statement], indent: str) -> list[str]:
        return list(chain.from_iterable(self.statement(s, indent) for s in body))

    def statement(self, statement: ir.Statement, indent: str) -> list[str]:
        match statement:
            case Let(name, _, "index", _, index):
                return [f"{indent}{written(name)} = index({index})"]
            case Let():
                return [f"{indent}{written(statement.name)} = {_let(statement)}"]
            case ir.Load(name, _, buffer, index, guard):
                tail = "" if guard is None else f" if {_arg(guard, t.bool_)}"
                return [f"{indent}{written(name)} = load {_place(buffer, index)}{tail}"]
            case ir.Store(buffer, index, value):
                return [f"{indent}store {_place(buffer, index)}, {_arg(value, self.dtypes.get(buffer))}"]
            case ir.Init(name, dtype, combine):
                self.dtypes[name] = dtype
                return [f"{indent}{written(name)} = init {_combine(combine)} : {dtype.short}"]
            case ir.Reduce(name, dtype, combine, value, position):
                at = "" if position is None else f" at {position}"
                given = _arg(value, self.dtypes.get(name))
                return [f"{indent}{written(name)} = reduce {_combine(combine)}({written(name)}, {given}){at}"]
            case ir.Join(name, dtype, combine, buffer):
                return [f"{indent}{written(name)} = join {_combine(combine)}({written(buffer)})"]
            case ir.Accumulate(buffer, index, combine, value):
                given = _arg(value, self.dtypes.get(buffer))
                return [f"{indent}{_combine(combine)} into {_place(buffer, index)}, {given}"]
            case ir.Loop(var, stop, inner, start):
                return [f"{indent}for {ir.Axis(var, stop, start)} {{", *self.lines(inner, indent + "  "), indent + "}"]
            case ir.While(test, inner):
                begun = [f"{indent}while {{", *self.block(test, indent + "    "), f"{indent}}} do {{"]
                return [*begun, *self.lines(inner, indent + "  "), indent + "}"]
            case ir.Branch(choice, several):
                found: list[str] = []
                for i, inner in enumerate(several):
                    head = f"case {_arg(choice, t.int64)} == {i}" if i == 0 else f"}} case {i}"
                    found += [f"{indent}{head} {{", *self.lines(inner, indent + "  ")]
                return [*found, indent + "}"]
            case ir.Contract(m, n, k, left, right, result, dtype, epilogue, run, origin):
                runs = ("" if run is None else f" by {run}") + ("" if origin is None else f" from {origin}")
                found = [f"{indent}contract {m}, {n}, {k}{runs} {{"]
                for side, block in (("left", left), ("right", right)):
                    found += [f"{indent}  {side} {{", *self.block(block, indent + "    "), f"{indent}  }}"]
                found += [f"{indent}  epilogue {written(result)}: {dtype.short} {{", *self.lines(epilogue, indent + "    ")]
                return [*found, f"{indent}  }}", f"{indent}}}"]

    def block(self, block: ir.Block, indent: str) -> list[str]:
        return [*self.lines(block.body, indent), f"{indent}{_arg(block.value, None)}"]


def _let(let: Let) -> str:
    operands, result = implied(let.op, [a.dtype if isinstance(a, Ref) else None for a in let.args])
    stated = result is None or result != let.dtype or let.op in ("cast", "bitcast")
    if stated and result is None:
        operands, _ = implied(let.op, [let.dtype if o is None else a.dtype for o, a in zip(operands, let.args, strict=True)])
    args = ", ".join(_arg(a, o) for a, o in zip(let.args, operands, strict=True))
    return f"{let.op}({args}){f' : {let.dtype.short}' if stated else ''}"


def _arg(arg: Arg, dtype: DType | None) -> str:
    """An operand; a number says its type where it is not the one that follows."""
    if isinstance(arg, Ref):
        return written(arg.name)
    return str(arg) if arg.dtype == dtype else f"{arg}: {arg.dtype.short}"


def _combine(combine: Combine) -> str:
    return quoted(combine.text) if combine.declared else combine.text


def _place(buffer: str, index: Sequence[Size]) -> str:
    return f"{written(buffer)}[{', '.join(map(str, index))}]"
