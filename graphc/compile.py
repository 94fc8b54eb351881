"""compile(): from symbols to something that runs, through a visible tuple of passes."""

from __future__ import annotations

import copy
import gc
import inspect
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import numpy as np

from graphc import advice
from graphc import passes as all_passes
from graphc.backends import Backend, load_backend
from graphc.errors import DTypeError, GraphError, InputError, ShapeError, caller
from graphc.ir import dims
from graphc.ir import types as t
from graphc.ir.dims import Size
from graphc.ir.graph import Graph, Node, topological
from graphc.ir.names import collected, is_name
from graphc.ir.program import Program
from graphc.ir.signature import Argument, signature_of, size_rules
from graphc.ir.state import STATE
from graphc.ir.target import HOST, Target, find_target
from graphc.ops import Variable
from graphc.ops.tensor import Tensor
from graphc.passes.fusion.plan import Plan
from graphc.progress import Progress
from graphc.progress import progress as shown

if TYPE_CHECKING:
    from graphc.inspection.explain import Explanation
    from graphc.inspection.memory import Memory
    from graphc.inspection.profile import Profile

Array = np.ndarray[Any, Any]
Result = TypeVar("Result")
Pass = Callable[[Graph], Graph]
_MAX_SIZES = 1024  # shapes of arguments whose check is remembered


def compile(
    inputs: Tensor | Sequence[Tensor],
    outputs: Any,
    updates: Mapping[Variable, Tensor] | Sequence[tuple[Variable, Tensor]] | None = None,
    *,
    name: str = "graph",
    backend: str = "llvm",
    passes: Sequence[Pass] | None = None,
    progress: bool = True,
    target: str | Target | None = None,
) -> Compiled:
    """A callable that computes `outputs` from `inputs` and then writes `updates` into variables.

    inputs: placeholders, in the order of the call's arguments. outputs: a symbol, or lists, tuples and dicts of them; a call
    gives arrays in the same form. updates: variable -> symbol of the variable's type; all new values are computed before any
    is written; a variable that is read and has a `default_update` gets that one unless another is given. backend: "llvm"
    (native code), "numba" (native code by Numba's compiler, which takes longer), "interpreter" (NumPy, node by node) or "program"
    (the lowered program, statement by statement: slow). passes: graph passes instead of `gx.passes.DEFAULT`. progress: whether a
    terminal is told what compiling is at once it has taken 2 s; GRAPHC_PROGRESS=0 says no everywhere. target: the processor that
    native code is made for, by a name as "x86-64-v3" or as a graphc.ir.target.Target; by default what GRAPHC_TARGET in the
    environment names, or this machine.

    >>> import graphc as gx
    >>> x = gx.placeholder("x", ("n",), "float64")
    >>> f = gx.compile([x], gx.sum(x * x))
    >>> f([1.0, 2.0])
    array(5.)
    """
    chosen = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    graph = _graph(chosen, outputs, updates, name)
    return Compiled(graph, outputs, backend, all_passes.DEFAULT if passes is None else tuple(passes), bool(progress), target)


def _target(target: str | Target | None, backend: Backend) -> Target | None:
    """What to compile for, if the backend can run it here; None where nothing is compiled."""
    if not backend.native and target in (None, HOST):
        return None
    found = find_target(target)
    reason = backend.refuses(found)
    if reason:
        raise InputError(
            f"compile: the backend {backend.name} cannot run what is made for {found.name} here: {reason}", where=caller(),
            hint="leave the target out" if target is not None else "GRAPHC_TARGET names it",
        )  # fmt: skip
    return found


def _graph(inputs: Sequence[Any], outputs: Any, updates: Any, name: str, advance: bool = True) -> Graph:
    names: dict[str, Any] = {}
    for x in inputs:
        if not isinstance(x, Tensor) or x.op.name != "input":
            hint = "leave it out: variables are read by themselves" if isinstance(x, Variable) else "make it with gx.placeholder"
            raise InputError(f"compile: inputs must be placeholders, got {x!r}", where=caller(), hint=hint)
        if x.attrs["name"] in names:
            raise InputError(f"compile: two inputs are called {x.attrs['name']!r}", where=caller(), hint="give each its own name")
        names[x.attrs["name"]] = x
    flat = _flatten(outputs)
    pairs = _pairs(updates)
    for variable, value in pairs:
        if not isinstance(variable, Variable):
            raise InputError(
                f"compile: only variables can be updated, got {variable!r}", where=caller(), hint="make it with gx.variable"
            )
        if not isinstance(value, Tensor) or value.type != variable.type:
            got = value.type if isinstance(value, Tensor) else type(value).__name__
            raise (ShapeError if isinstance(value, Tensor) and value.dtype == variable.dtype else DTypeError)(
                f"compile: the update of {_called(variable, flat, pairs)} must be {variable.type}, got {got}", where=caller(),
                hint="astype or reshape the new value",
            )  # fmt: skip
    twice = [v for v, times in Counter(v for v, _ in pairs).items() if times > 1]
    if twice:
        raise InputError(
            f"compile: variable {_called(twice[0], flat, pairs)} is updated twice", where=caller(), hint="give one new value"
        )
    if advance:
        pairs += _defaults([*flat, *(value for _, value in pairs)], {v for v, _ in pairs})
    given = set(inputs)
    for node in topological([*flat, *(value for _, value in pairs)]):
        if node.op.name == "input" and node not in given:
            raise InputError(
                f"compile: placeholder {node.attrs['name']!r} is needed but not among the inputs", where=node.where,
                hint="add it to the list of inputs",
            )  # fmt: skip
    graph = Graph(inputs, flat, pairs, name)
    known = {rule.name for rule in size_rules(Argument(x.attrs["name"], x.type) for x in inputs)}
    for node in graph.nodes:
        unknown = dims.names(*node.type.shape, *_sizes(node.attrs.values())) - known
        if unknown:
            raise ShapeError(
                f"compile: no input tells the size {', '.join(sorted(unknown))} of {node.op.name}: {node.type}", where=node.where,
                hint="it must stand in some input's shape, as itself or in a linear expression",
            )  # fmt: skip
    return graph


def _pairs(updates: Any) -> list[tuple[Any, Any]]:
    """Variables with their new values, as they were given."""
    if updates is None:
        return []
    several = not isinstance(updates, Node) and isinstance(updates, Iterable)
    pairs = list(updates.items()) if isinstance(updates, Mapping) else list(updates) if several else [updates]
    for pair in pairs:
        if not isinstance(pair, (tuple, list)) or len(pair) != 2:
            raise InputError(
                f"compile: updates are new values of variables, got {pair!r}", where=caller(), hint="updates={w: new value}"
            )
    return [(variable, value) for variable, value in pairs]


def _called(variable: Variable, outputs: Sequence[Tensor], pairs: Sequence[tuple[Any, Any]]) -> str:
    """What the program calls a variable."""
    read = topological([*outputs, *(value for _, value in pairs if isinstance(value, Tensor))])
    found = collected(v for v in (*read, *(v for v, _ in pairs)) if isinstance(v, Variable))
    return next(name for name, v in found.items() if v is variable)


def _defaults(roots: Sequence[Tensor], updated: set[Variable]) -> list[tuple[Variable, Tensor]]:
    """The default updates of the variables that are read, by the updates themselves too."""
    found: dict[Variable, Tensor] = {}
    while True:
        reached = topological([*roots, *found.values()])
        more = {v: v.default_update for v in reached if isinstance(v, Variable) and v not in updated and v not in found}
        wanted = {v: new for v, new in more.items() if new is not None}
        if not wanted:
            return list(found.items())
        found |= wanted


def _sizes(attrs: Iterable[Any]) -> Iterator[Size]:
    """The symbolic sizes among attributes."""
    for value in attrs:
        if isinstance(value, dims.Dim):
            yield value
        elif isinstance(value, tuple):
            yield from _sizes(value)


def _flatten(outputs: Any) -> list[Tensor]:
    if isinstance(outputs, Tensor):
        return [outputs]
    if isinstance(outputs, (Mapping, list, tuple)):
        return [x for part in (outputs.values() if isinstance(outputs, Mapping) else outputs) for x in _flatten(part)]
    raise InputError(
        f"compile: outputs must be symbols, got {outputs!r}", where=caller(), hint="a symbol, or lists, tuples and dicts of them"
    )


def _structure(outputs: Any) -> Callable[[list[Array]], Any]:
    """A function that gives a flat list of arrays the form of `outputs`."""
    if isinstance(outputs, Tensor):
        return lambda arrays: arrays[0]
    if isinstance(outputs, Mapping):
        keys, form = list(outputs), _structure(tuple(outputs.values()))
        return lambda arrays: dict(zip(keys, form(arrays), strict=True))
    make: Callable[[Iterable[Any]], Any] = tuple if isinstance(outputs, tuple) else list
    if hasattr(outputs, "_fields"):
        make = type(outputs)._make
    if all(isinstance(part, Tensor) for part in outputs):
        return make
    parts, counts = [_structure(part) for part in outputs], [len(_flatten(part)) for part in outputs]

    def nested(arrays: list[Array]) -> Any:
        left = iter(arrays)
        return make(part(list(islice(left, count))) for part, count in zip(parts, counts, strict=True))

    return nested


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Without Python's search for cycles, a seventh of the time of passes: they make many objects and hardly any garbage."""
    searches = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searches:
            gc.enable()


class Compiled:
    """A compiled computation: call it with arrays.

    graph      the graph after all passes
    stages     (name, graph, plan or program) after every pass, first the graph as declared
    plan       which nodes share a kernel, and what kept others apart (native backends)
    program    the kernels over planned buffers (native backends)
    kernels    the distinct native kernels, each with its `source`
    target     what it is compiled for; None where an interpreter runs the graph
    variables  name -> variable: all that a call reads or writes
    """

    def __init__(
        self, graph: Graph, outputs: Any, backend: str, passes: Sequence[Pass], progress: bool = False,
        target: str | Target | None = None,
    ) -> None:  # fmt: skip
        self._options = (backend, tuple(passes), progress, target)
        chosen = load_backend(backend)
        self.target = _target(target, chosen)
        lowering = (*all_passes.LOWERING, *chosen.steps) if chosen.native else ()
        with _collector_at_rest(), shown(f"compiling {graph.name}", len(passes) + len(lowering) + 1, progress) as told:
            self._build(graph, outputs, chosen, passes, lowering, told)

    def _build(
        self, graph: Graph, outputs: Any, chosen: Backend, passes: Sequence[Pass], lowering: Sequence[Any], told: Progress
    ) -> None:  # fmt: skip
        self.backend = chosen.name
        declared = graph
        self.stages: list[tuple[str, Graph | Plan | Program]] = [("declared", declared)]
        self.inputs = graph.inputs
        for change in passes:
            told.at(change.__name__)
            graph = self._applied(change, graph)
            self.stages.append((change.__name__, graph))
        self.graph = graph
        self._form = _structure(outputs)
        self._hold = STATE.write if graph.updates else STATE.read if graph.variables else None
        self.signature = signature = signature_of(graph, declared)
        self._names = [x.name for x in signature.inputs]
        self._wanted = [x.type.dtype.numpy for x in signature.inputs]
        self._sizes: dict[tuple[tuple[int, ...], ...], dict[str, int]] = {}
        program: Any = graph
        for step in lowering:
            told.at(step.__name__)
            before, program = program, self._applied(step, program)
            if isinstance(program, Program) and not isinstance(before, Program):  # which has seen the last graph alone
                program = program.asking(signature)
            self.stages.append((step.__name__, program))
            if isinstance(program, Graph):
                self.graph = program
        told.at("machine code" if chosen.native else chosen.name)
        live = self.variables
        bound = [{v.name: live[v.initial] for v in program.signature.variables}] if chosen.native else []
        self._executable = chosen.build(program, *bound)
        self._again = self._executable.again

    def _applied(self, change: Callable[..., Any], given: Any) -> Any:
        """What a pass makes; one that takes a target is told it."""
        return change(given, target=self.target) if "target" in inspect.signature(change).parameters else change(given)

    @property
    def variables(self) -> dict[str, Variable]:
        """The variables that a call reads or writes, by the names that texts and files give them (see `gx.named_variables`).

        >>> import graphc as gx
        >>> w, b = gx.variable([1.0, 2.0], name="w"), gx.variable(0.0)
        >>> loss = gx.sum(w) + b
        >>> list(gx.compile([], loss, updates=gx.optim.momentum(loss, [w, b])).variables)
        ['w', 'v', 'w.momentum.m', 'v.momentum.m']
        """
        declared = self.stages[0][1]
        assert isinstance(declared, Graph)
        return {name: v for name, v in collected(declared.variables).items() if isinstance(v, Variable)}

    @property
    def plan(self) -> Plan:
        """Which nodes share a kernel, which are inlined, and which rules kept others apart.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n", 64), "float32")
        >>> print(gx.compile([x], gx.sum(gx.exp(x), axis=1)).plan)
        plan graph(%x: f32[n, 64]) {
          cluster 0: rows [n | 64] {
            %0 = exp(%x) : f32[n, 64]
            %1 = sum(%0, axes=[1]) : f32[n]
          }
          return %1
        }
        """
        found = next((stage for _, stage in self.stages if isinstance(stage, Plan)), None)
        if found is None:
            raise GraphError(f"the backend {self.backend!r} runs the graph itself: it has no plan", where=caller())
        return found

    @property
    def program(self) -> Program:
        """The kernels, their order and their buffers."""
        found = self.stages[-1][1]
        if not isinstance(found, Program):
            raise GraphError(f"the backend {self.backend!r} runs the graph itself: it has no program", where=caller())
        return found

    @property
    def kernels(self) -> Sequence[Any]:
        """The distinct native kernels, each with `name`, `source` and `kernel` (its text)."""
        return self._executable.kernels

    @property
    def compilations(self) -> int:
        """How often native code was compiled: once, whatever sizes follow."""
        return self._executable.compilations

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> NoReturn:
            raise advice.unknown_attribute(self, name, advice.COMPILED)

    def __copy__(self) -> Compiled:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Compiled:
        """The program over copies of its variables, compiled anew; itself where it has none."""
        old = self.stages[0][1]
        graph = copy.deepcopy(old, memo)
        if graph is old:
            return self
        assert isinstance(graph, Graph)
        made = Compiled(graph, graph.outputs, *self._options)
        made._form = self._form
        return made

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise InputError(
            f"pickle of program {self.graph.name} is not possible", where=caller(),
            hint="gx.save(path, f) writes its variables; build it again where it is wanted, and gx.load(path, f)",
        )  # fmt: skip

    def __call__(self, *args: Any, **named: Any) -> Any:
        if named:
            args = self._by_name(args, named)
        results = self._again(args) if self._hold is None else self._hold(self._again, args)
        return self._form(self._first(args) if results is None else results)

    def _first(self, args: tuple[Any, ...]) -> list[Array]:
        """The outputs for arguments that are to be checked and made arrays of the inputs' types."""
        arrays, sizes, key = self._checked(args)
        return self._held(lambda given: self._executable.run(given, sizes, key), arrays)

    def _held(self, run: Callable[[list[Array]], Result], arrays: list[Array]) -> Result:
        """`run(arrays)` with the state that the program needs held."""
        return run(arrays) if self._hold is None else self._hold(run, arrays)

    def _checked(self, args: tuple[Any, ...]) -> tuple[list[Array], dict[str, int], tuple[tuple[int, ...], ...]]:
        """The arguments as arrays, the sizes of the symbolic dimensions, and the shapes that stand for them."""
        if len(args) != len(self._names):
            args = self._by_name(args, {})
        arrays = [
            a if type(a) is np.ndarray and a.dtype is want else self._array(x, a)
            for x, a, want in zip(self.signature.inputs, args, self._wanted, strict=True)
        ]
        key = tuple([a.shape for a in arrays])
        sizes = self._sizes.get(key)
        if sizes is None:
            sizes = self.signature.bind(key)
            if len(self._sizes) >= _MAX_SIZES:
                self._sizes.clear()
            self._sizes[key] = sizes
        return arrays, sizes, key

    def _by_name(self, args: tuple[Any, ...], named: Mapping[str, Any]) -> tuple[Any, ...]:
        if len(args) > len(self._names):
            raise InputError(
                f"{self.graph.name} takes {len(self._names)} inputs, got {len(args)}", where=caller(), hint=self._takes()
            )
        given = dict(zip(self._names, args, strict=False))
        for key, value in named.items():
            if key not in self._names:
                raise InputError(f"{self.graph.name} has no input {key!r}", where=caller(), hint=self._takes())
            if key in given:
                raise InputError(f"{self.graph.name} got input {key!r} twice", where=caller(), hint=self._takes())
            given[key] = value
        missing = [n for n in self._names if n not in given]
        if missing:
            raise InputError(
                f"{self.graph.name} misses input {', '.join(map(repr, missing))}", where=caller(), hint=self._takes()
            )
        return tuple(given[n] for n in self._names)

    def _takes(self) -> str:
        return "it takes " + ", ".join(f"{x.name}: {x.type}" for x in self.signature.inputs)

    def _array(self, x: Argument, value: Any) -> Array:
        name, want, dtype = x.name, x.type, x.type.dtype.numpy
        if isinstance(value, Tensor):
            raise InputError(
                f"input {name} needs an array, got a symbol: {value!r}",
                where=caller(),
                hint="call with values; symbols are for building graphs",
            )
        try:
            array = np.asarray(value)
        except ValueError:
            raise ShapeError(
                f"input {name} needs {want}, got a {type(value).__name__} that makes no array", where=caller(),
                hint="its parts have different lengths",
            ) from None  # fmt: skip
        if not t.is_number(array.dtype):
            raise DTypeError(
                f"input {name} needs {want}, got {type(value).__name__} of {array.dtype}",
                where=caller(),
                hint="give an array of numbers",
            )
        if not array.dtype.isnative:
            raise DTypeError(
                f"input {name} needs {want}, got {array.dtype} in a byte order that is not this machine's", where=caller(),
                hint=f"{name}.astype({array.dtype.newbyteorder('=').name!r})",
            )  # fmt: skip
        exact = isinstance(value, (np.ndarray, np.generic))
        if not np.can_cast(array.dtype, dtype, "safe" if exact else "same_kind") and not (not exact and array.size == 0):
            raise DTypeError(
                f"input {name} needs {want}, got {array.dtype}: not a safe cast",
                where=caller(),
                hint=f"{name}.astype({dtype.name!r})",
            )
        return array.astype(dtype)

    @property
    def memory(self) -> Memory:
        """The bytes of arena, variables, arguments and scratch, as expressions of the symbolic dimensions; `at` gives numbers.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("batch", 100), "float32")
        >>> f = gx.compile([x], gx.exp(x))
        >>> f.memory.peak, f.memory.at(batch=64).peak
        (800*batch, 51200)
        """
        from graphc.inspection.memory import memory

        return memory(self.program, self.kernels)

    def profile(self, *args: Any, **named: Any) -> Profile:
        """What each kernel takes, moves and computes for these arguments, each timed alone; variables keep their values.

        >>> import numpy as np, graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float32")
        >>> found = gx.compile([x], gx.sum(x * x)).profile(np.ones(1000, "float32"))
        >>> [(row.kernel, row.bytes, row.flops) for row in found.rows]
        [('k0', 4004, 2000), ('k1', 8, 1)]
        """
        from graphc.inspection.profile import profile

        arrays, sizes, key = self._checked(self._by_name(args, named))
        times = self._held(lambda given: self._executable.times(given, sizes, key), arrays)
        found = self.stages[-1][1]
        return profile(self.graph, found if isinstance(found, Program) else None, times, sizes)

    def look(self, question: Callable[[Graph, list[Array], dict[str, int]], Result], *args: Any, **named: Any) -> Result:
        """question(the graph as declared, the arguments as arrays of the inputs' types, the sizes), while no variable changes.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> gx.compile([x], x + 1).look(lambda graph, arrays, sizes: sizes, [1.0, 2.0])
        {'n': 2}
        """
        arrays, sizes, _ = self._checked(self._by_name(args, named))
        declared = self.stages[0][1]
        assert isinstance(declared, Graph)
        return self._held(lambda given: question(declared, given, sizes), arrays)

    def explain(self) -> Explanation:
        """Each value that one kernel writes for another: what it costs, and which rule kept the two apart.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n", 64), "float32")
        >>> f = gx.compile([x], gx.exp(x @ gx.ones((64, 64), "float32")) @ gx.ones((64, 64), "float32"))
        >>> [(b.writer, b.reader, str(b.bytes)) for b in f.explain()]
        [('k0', 'k1', '256*n')]
        """
        from graphc.inspection.explain import explain

        program = self.program
        fused = next(stage for _, stage in self.stages if isinstance(stage, Program))
        return explain(self.plan, fused, program)

    def to_dot(self, path: str | None = None) -> str:
        """The final graph as DOT, nodes of one kernel in one cluster; written to `path` if given."""
        from graphc.ir.dot import to_dot

        return to_dot(self, path)

    def __repr__(self) -> str:
        takes = ", ".join(f"{x.name}: {x.type}" for x in self.signature.inputs)
        gives = ", ".join(str(n.type) for n in self.graph.outputs)
        return f"<Compiled {self.graph.name}({takes}) -> {gives}, backend {self.backend}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from graphc.ir.dot import mimebundle

        return mimebundle(self)


def named_variables(variables: Compiled | Mapping[Any, Any] | Variable | Iterable[Any]) -> dict[str, Variable]:
    """Name -> variable, in the order of their birth: what a file and a program call them.

    variables: any number of variables (and of random streams, which have one each), or what `gx.compile` gives. A mapping from
    names to variables is what it says; of one from variables, such as an optimiser's updates, the keys count. Names that were
    given stay; a name that a second one has, or that nobody gave, gets `_1`, `_2`, ... in the order of birth; a state stands
    under its variable's name. So names depend on what is listed here and on nothing else that lives in the process.

    Raises InputError for anything but variables and names.

    >>> import graphc as gx
    >>> a, b, c = gx.variable(1.0, name="w"), gx.variable(2.0), gx.variable(3.0, name="w")
    >>> list(gx.named_variables([c, b, a, gx.variable(0.0, name="mean", of=c)]))
    ['w', 'v', 'w_1', 'w_1.mean']
    """
    return named("named_variables", variables)


def named(what: str, variables: Any) -> dict[str, Variable]:
    """`named_variables` for a function of another name."""
    if isinstance(variables, Compiled):
        return variables.variables
    if isinstance(variables, Mapping) and not all(isinstance(key, Variable) for key in variables):
        for name in variables:
            if not is_name(name):
                raise InputError(f"{what}: {name!r} is not a name", where=caller(), hint="give {name: variable}")
        return {name: _a_variable(what, v) for name, v in variables.items()}
    if isinstance(variables, Tensor) or not isinstance(variables, Iterable):
        variables = [variables]
    return collected(_a_variable(what, v) for v in variables)


def _a_variable(what: str, value: Any) -> Variable:
    found = value if isinstance(value, Tensor) else getattr(value, "variable", value)
    if not isinstance(found, Variable):
        raise InputError(
            f"{what}: only variables have state, got {value!r}", where=caller(),
            hint="make them with gx.variable; of what gx.compile gives, take `.variables`",
        )  # fmt: skip
    return found


def evaluate_symbol(y: Tensor, inputs: Mapping[Tensor, Any] | None = None) -> Array:
    """The value of one symbol by the interpreter; `inputs` maps placeholders to arrays."""
    given = dict(inputs or {})
    for x in given:
        if not isinstance(x, Tensor):
            raise InputError(f"eval: keys must be placeholders, got {x!r}", where=caller(), hint="y.eval({x: array})")
    run = Compiled(_graph(list(given), y, None, "eval", advance=False), y, "interpreter", ())
    result: Array = run(*given.values())
    return result


Tensor.eval = lambda self, inputs=None: evaluate_symbol(self, inputs)  # type: ignore[method-assign]
