"""A compiled program: what a call runs, and what it tells about itself."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeVar

import numpy as np

from graphc import advice
from graphc import passes as all_passes
from graphc.backends import Backend, Executable, load_backend
from graphc.compile import kept
from graphc.compile.arguments import Arguments
from graphc.compile.comparing import compare
from graphc.compile.outputs import check_places, form_of, places_of, places_of_list
from graphc.errors import GraphError, InputError, Where, caller
from graphc.ir.graph import Graph, Node, collector_at_rest, rebuild
from graphc.ir.names import collected
from graphc.ir.program import Program
from graphc.ir.signature import Signature, signature_of
from graphc.ir.state import STATE
from graphc.ir.target import HOST, Target, find_target
from graphc.ir.world import joined
from graphc.ops import Variable, constant
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
Stages = list[tuple[str, Graph | Plan | Program]]


def target_of(target: str | Target | None, backend: Backend) -> Target | None:
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


def _into_nothing(args: tuple[Any, ...], places: Sequence[Any]) -> bool:
    """Where a backend writes into no arrays of others: results are copied."""
    return False


class _NotKept(Exception):
    """There is no program that an earlier process has kept."""


class Later(NamedTuple):
    """A graph without variables that is made when somebody asks for it: a kept program of it is found without.

    digest   of all that it is made from
    where    the user's line, of all its nodes
    """

    digest: str
    name: str
    where: Where | None
    make: Callable[[], Graph]


class Compiled:
    """A compiled computation: call it with arrays.

    declared   the graph as it was given
    graph      the graph after all passes
    stages     (name, graph, plan or program) after every pass, first the graph as declared; made when asked for where the program
               was kept by an earlier process
    plan       which nodes share a kernel, and what kept others apart (native backends)
    program    the kernels over planned buffers (native backends)
    kernels    the distinct native kernels, each with its `source`
    target     what it is compiled for; None where an interpreter runs the graph
    variables  name -> variable: all that a call reads or writes
    """

    def __init__(
        self, graph: Graph | Later, outputs: Any, backend: str, passes: Sequence[Pass], progress: bool | Progress = False,
        target: str | Target | None = None, only_kept: bool = False,
    ) -> None:  # fmt: skip
        self._options = (backend, tuple(passes), progress is True, target)
        self.backend = backend
        chosen = load_backend(backend)
        self.target = target_of(target, chosen)
        self._given = graph
        self._passes = tuple(passes)
        self._lowering = all_passes.LOWERING if chosen.native else ()
        self._form, self._places, self._is_single = form_of(outputs), places_of(outputs), isinstance(outputs, Tensor)
        self._made: Stages | None = None
        self.is_found_without = False  # whether the program can be found again without the graph
        if isinstance(progress, Progress):  # beside a main thread, whose garbage is to be found
            self._build(chosen, progress, only_kept)
            return
        with collector_at_rest(), shown(f"compiling {graph.name}", len(passes) + len(self._lowering) + 1, progress) as told:
            self._build(chosen, told, only_kept)

    @classmethod
    def if_kept(
        cls, graph: Graph, outputs: Any, backend: str, passes: Sequence[Pass], target: str | Target | None
    ) -> Compiled | None:  # fmt: skip
        """The program, if an earlier process has kept it."""
        try:
            return cls(graph, outputs, backend, passes, False, target, only_kept=True)
        except _NotKept:
            return None

    def _build(self, chosen: Backend, told: Progress, only_kept: bool) -> None:
        here = joined()
        with here.busy(f"compiling {self._given.name}") if here is not None else nullcontext():
            self._build_alone(chosen, told, only_kept)
        if here is not None and isinstance(self._given, Graph) and self._given.ordered:
            compare(self._given, here)

    def _build_alone(self, chosen: Backend, told: Progress, only_kept: bool) -> None:
        target = self.target
        key, known = self._look_up(target) if chosen.keeps and target else (None, None)
        if only_kept and not known:
            raise _NotKept
        if known or target is None:
            self._construct(chosen, told, known)
        else:
            with chosen.ahead(self.declared, target):
                self._construct(chosen, told, known)
        if key and target and not known:
            kept.keep(key, self.declared, target, self.program, self.signature, self._executable)

    def _construct(self, chosen: Backend, told: Progress, known: kept.Kept | None) -> None:
        """Everything that a call needs."""
        self._made = None if known else self._change(told)
        self._kept = known.program if known else None
        program: Any = known.program if known else self.stages[-1][1]
        self.signature: Signature = known.signature if known else self._signature()
        if isinstance(self._given, Later):
            self._places = places_of_list(len(self.signature.outputs))
        self._arguments = Arguments(self._given.name, self.signature)
        changes = isinstance(self._given, Graph) and self._given.updates
        self._hold = STATE.write if changes else STATE.read if self.signature.variables else None
        told.at("machine code" if chosen.native else chosen.name)
        live = self.variables if changes or self.signature.variables else {}
        bound: list[Any] = [{v.name: live[v.initial] for v in program.signature.variables}] if chosen.native else []
        self._executable: Executable = chosen.build(program, *bound, *([known.codes] if known else []))
        self._again = self._executable.again
        self._into = getattr(self._executable, "into", _into_nothing)  # backends of users need not have it
        self._is_quick = self._is_single and self._hold is None and not self._arguments.takes("out")

    def _look_up(self, target: Target) -> tuple[str | None, kept.Kept | None]:
        """The key under which the program is to be kept, if it is, and what is kept of it."""
        given, how = self._given, (self._passes, self._lowering, target, self.backend)
        other = kept.key_of_digest(given.digest, *how) if isinstance(given, Later) else None
        known = kept.find_other(other, given.where, target) if other and isinstance(given, Later) else None
        if known:
            return None, known
        key = kept.key_of(self.declared, *how)
        if key and other:
            self.is_found_without = kept.also(other, key, self.declared)
        return key, kept.find(key, self.declared, target) if key else None

    @property
    def declared(self) -> Graph:
        """The graph as it was given.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> print(gx.compile([x], x * 1).declared)
        graph graph(%x: f64[n]) {
          %0 = full(dtype=float64, shape=[n], value=1.0) : f64[n]
          %1 = multiply(%x, %0) : f64[n]
          return %1
        }
        """
        if isinstance(self._given, Later):
            self._given = self._given.make()
        return self._given

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The inputs of that graph, in the order of a call's arguments."""
        return self.declared.inputs

    def _change(self, told: Progress | None = None) -> Stages:
        """What every pass makes of the graph as declared, in turn."""
        declared = graph = self.declared
        stages: Stages = [("declared", declared)]
        for change in self._passes:
            if told is not None:
                told.at(change.__name__)
            graph = self._applied(change, graph)
            stages.append((change.__name__, graph))
        signature = signature_of(graph, declared) if self._lowering else None
        program: Any = graph
        for step in self._lowering:
            if told is not None:
                told.at(step.__name__)
            before, program = program, self._applied(step, program)
            if isinstance(program, Program) and not isinstance(before, Program):  # which has seen the last graph alone
                assert signature is not None
                program = program.asking(signature)
            stages.append((step.__name__, program))
        return stages

    def _signature(self) -> Signature:
        """That of the graph after the graph passes."""
        optimised = self.stages[len(self._passes)][1]
        assert isinstance(optimised, Graph)
        return signature_of(optimised, self.declared)

    @property
    def stages(self) -> Stages:
        """(name, graph, plan or program) after every pass, first the graph as declared.

        Of a program that was kept by an earlier process the passes run when this is first asked.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> [name for name, _ in gx.compile([x], gx.exp(x)).stages][-3:]
        ['join_rows', 'tile_transposes', 'lay_out_constants']
        """
        if self._made is None:
            with collector_at_rest():
                self._made = self._change()
        return self._made

    @property
    def graph(self) -> Graph:
        """The graph after all passes.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> print(gx.compile([x], x * 1).graph)
        graph graph(%x: f64[n]) {
          return %x
        }
        """
        return next(stage for _, stage in reversed(self.stages) if isinstance(stage, Graph))

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
        return {name: v for name, v in collected(self.declared.variables).items() if isinstance(v, Variable)}

    @property
    def plan(self) -> Plan:
        """Which nodes share a kernel, which are inlined, and which rules kept others apart.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n", 64), "float32")
        >>> print(gx.compile([x], gx.sum(gx.exp(x), axis=1)).plan)  # doctest: +ELLIPSIS
        plan graph(%x: f32[n, 64]) {
          ...cluster 0: rows [n | 64] {
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
        found = self._kept or self.stages[-1][1]
        if not isinstance(found, Program):
            raise GraphError(f"the backend {self.backend!r} runs the graph itself: it has no program", where=caller())
        return found

    @property
    def kernels(self) -> Sequence[Any]:
        """The distinct native kernels, each with `name`, `source` and `kernel` (its text)."""
        return self._executable.kernels

    @property
    def answers(self) -> str:
        """What a call is answered by: the backend, or "interpreter" while one with `lazy=True` is being compiled.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> gx.compile([x], gx.exp(x)).answers
        'llvm'
        """
        return self.backend

    def wait(self) -> Compiled:
        """The same, once native code is there: at once but with `lazy=True`. Raises what compiling raised.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> f = gx.compile([x], gx.exp(x), lazy=True)
        >>> f.wait().answers
        'llvm'
        """
        return self

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
        graph = copy.deepcopy(self.declared, memo)
        if graph is self.declared:
            return self
        made = Compiled(graph, graph.outputs, *self._options)
        made._form, made._places, made._is_single = self._form, self._places, self._is_single
        return made

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise InputError(
            f"pickle of program {self._given.name} is not possible", where=caller(),
            hint="gx.save(path, f) writes its variables; build it again where it is wanted, and gx.load(path, f)",
        )  # fmt: skip

    def __call__(self, *args: Any, out: Any = None, **named: Any) -> Any:
        """The outputs for arguments by position or by name, new arrays in the form that `compile` was given.

        out: arrays in that form that the outputs are written into, and that are given back: of the outputs' types and shapes,
        writable, and no two of them sharing memory. Where one is not contiguous, or shares memory with an argument, and in the
        first call at new sizes, outputs are computed apart and copied. What a call that fails has written is undefined. An input
        of the name is meant by `out=` where there is one. Raises InputError, ShapeError and DTypeError before anything runs.

        >>> import numpy as np, graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> f = gx.compile([x], x * 2)
        >>> y = np.empty(3)
        >>> f([1.0, 2.0, 3.0], out=y) is y, y
        (True, array([2., 4., 6.]))
        """
        if out is not None:
            quick = self._is_quick and not named and self._into(args, [out])
            return out if quick else self._written(args, named, out)
        if named:
            args = self._arguments.by_name(args, named)
        results = self._again(args) if self._hold is None else self._hold(self._again, args)
        return self._form(self._first(args) if results is None else results)

    def _written(self, args: tuple[Any, ...], named: Mapping[str, Any], out: Any) -> Any:
        """The outputs, in the arrays of `out`."""
        if self._arguments.takes("out"):
            return self(*self._arguments.by_name(args, {**named, "out": out}))
        if named:
            args = self._arguments.by_name(args, named)
        places = [out] if self._is_single else self._places(out)
        done = self._into(args, places) if self._hold is None else self._hold(lambda given: self._into(given, places), args)
        if not done:
            arrays, sizes, key = self._arguments.checked(args)
            check_places(places, self.signature.outputs, sizes)
            results = self._held(lambda given: self._executable.run(given, sizes, key), arrays)
            for place, result in zip(places, results, strict=True):
                np.copyto(place, result)
        return out

    def _first(self, args: tuple[Any, ...]) -> list[Array]:
        """The outputs for arguments that are to be checked and made arrays of the inputs' types."""
        arrays, sizes, key = self._arguments.checked(args)
        return self._held(lambda given: self._executable.run(given, sizes, key), arrays)

    def _held(self, run: Callable[[list[Array]], Result], arrays: list[Array]) -> Result:
        """`run(arrays)` with the state that the program needs held."""
        return run(arrays) if self._hold is None else self._hold(run, arrays)

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
        >>> [(row.kernel, row.bytes) for row in found.rows]
        [('k0', 4004), ('k1', 8)]
        """
        from graphc.inspection.profile import profile

        arrays, sizes, key = self._arguments.checked(self._arguments.by_name(args, named))
        times = self._held(lambda given: self._executable.times(given, sizes, key), arrays)
        return profile(self.graph, self.program if self._lowering else None, times, sizes)

    def look(self, question: Callable[[Graph, list[Array], dict[str, int]], Result], *args: Any, **named: Any) -> Result:
        """question(the graph as declared, the arguments as arrays of the inputs' types, the sizes), while no variable changes.

        >>> import graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float64")
        >>> gx.compile([x], x + 1).look(lambda graph, arrays, sizes: sizes, [1.0, 2.0])
        {'n': 2}
        """
        arrays, sizes, _ = self._arguments.checked(self._arguments.by_name(args, named))
        return self._held(lambda given: question(self.declared, given, sizes), arrays)

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
        return explain(self.plan, all_passes.overlap_collectives(fused), program)

    def export(
        self, folder: str | os.PathLike[str], *, language: str = "c", name: str | None = None, target: str | Target | None = None,
        sizes: Mapping[str, int] | None = None, weights: str | None = "array", small: bool | None = None, fast: bool = False,
        compiler: str | None = None,
    ) -> tuple[Path, ...]:  # fmt: skip
        """Write the program as code that needs neither Python nor a library, updates of variables included.

        folder    where the files go; it is made if it is not there. They are written whole, or not at all
        language  "c": C99, a header and a source file. "object": a header, an object file, a shared library, and a module of
                  Python that calls it with NumPy alone. "wasm": a module of WebAssembly, and one of JavaScript that calls it
        name      of the function and the files; the graph's if not given
        target    the processor whose instructions programs may count on (fused multiply-add); the program's if not given, and
                  for WebAssembly "wasm32", which has none of that. "thumbv7em" is a Cortex-M4 or M7, "thumbv7m" an M3
        sizes     symbolic sizes that become numbers; the others are arguments
        weights   where the values that variables have now go: "array", into the code, "file" of bytes, or None, nowhere.
                  "constant" makes those that no call changes part of the program, which then needs no memory for them
        small     products of matrices element by element: less code and memory, and slower; what the target is if not given
        fast      whether a product and a sum may be rounded twice where the program rounds once: faster on processors without fma
        compiler  the command of a compiler of C for "object" and "wasm"; zig's if not given (`pip install 'graphc[export]'`)

        Results are those of the native backend, to the bit, unless `fast` is said. Returns the paths.
        Raises InputError for what is computed by Python (sorting, factorisations, users' routines) or has a size that is data,
        and where there is no compiler.

        >>> import tempfile, graphc as gx
        >>> x = gx.placeholder("x", ("n",), "float32")
        >>> f = gx.compile([x], gx.sum(x * x), name="energy")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     [path.name for path in f.export(folder)]
        ['energy.h', 'energy.c', 'energy.json']
        """
        from graphc.export.files import export

        if target is None:
            target = "wasm32" if language == "wasm" else self.target
        declared = self.declared
        if weights == "constant":
            changed = {v for v, _ in declared.updates}
            fixed: dict[Node, Node] = {v: constant(v.value) for v in self.variables.values() if v not in changed}
            declared, weights = rebuild(declared, lambda node: fixed.get(node, node)), "array"
        return export(
            declared, folder, {name: v.value for name, v in self.variables.items()}, passes=self._passes, target=target,
            language=language, name=name, sizes=sizes, weights=weights, small=small, fast=fast, compiler=compiler,
            form=self._form,
        )  # fmt: skip

    def to_dot(self, path: str | None = None) -> str:
        """The final graph as DOT, nodes of one kernel in one cluster; written to `path` if given."""
        from graphc.ir.dot import to_dot

        return to_dot(self, path)

    def __repr__(self) -> str:
        takes = ", ".join(f"{x.name}: {x.type}" for x in self.signature.inputs)
        gives = ", ".join(str(y.type) for y in self.signature.outputs)
        return f"<Compiled {self._given.name}({takes}) -> {gives}, backend {self.backend}>"

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        from graphc.ir.dot import mimebundle

        return mimebundle(self)
