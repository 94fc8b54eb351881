"""The variables of a program or of a collection, by name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphc.compile.compiled import Compiled
from graphc.errors import InputError, caller
from graphc.ir.names import collected, is_name
from graphc.ops import Variable
from graphc.ops.tensor import Tensor


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
    if isinstance(variables, Tensor) or not isinstance(variables, Iterable) or getattr(variables, "ndim", 1) == 0:
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
