"""Random graphs that are exported and compared, one after the other."""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable

from fuzzing.case import Case
from fuzzing.graphs import build
from graphc.errors import InputError


def add_graphs(parser: argparse.ArgumentParser) -> None:
    """The options that say which graphs."""
    parser.add_argument("--graphs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int)


def compare_exported(different: Callable[[Case, int], str | None], options: argparse.Namespace) -> int:
    """The exit code: 1 where a graph differs. What is refused is counted by its reason; a compiler that failed is printed."""
    wrong = refused = 0
    reasons: Counter[str] = Counter()
    indices = range(options.graphs) if options.only is None else [options.only]
    for index in indices:
        try:
            why = different(build(options.seed, index), index)
        except InputError as error:
            refused += 1
            reasons[str(error).splitlines()[0][:60]] += 1
            if options.only is not None or "has failed" in str(error):
                print(index, error)
            continue
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
        if why:
            wrong += 1
            print(f"graph {index} of seed {options.seed}: {why}", flush=True)
    for reason, count in reasons.most_common():
        print(f"{count:5} {reason}")
    print(f"graphs {len(indices)} refused {refused} mismatches {wrong}")
    return 1 if wrong else 0
