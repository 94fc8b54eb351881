"""The command line: python -m graphc demo | bench | cache | doctor."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m graphc", description="graphc: declare, differentiate, compile, run")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="train a network on real digits, compare, and write down every step of the compiler")
    demo.add_argument("--epochs", type=_positive, default=10, metavar="N", help="passes over the training digits (10)")
    demo.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="where the files go (out/demo)")
    bench = commands.add_parser("bench", help="compiled against interpreted")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    bench.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the ratios (needs matplotlib)")
    cache = commands.add_parser("cache", help="where compiled kernels are kept, and how many there are")
    cache.add_argument("--clear", action="store_true", help="remove them")
    commands.add_parser("doctor", help="what graphc finds on this machine, and whether it works")
    return parser


def _cache(clear: bool) -> None:
    from graphc.backends.llvm import cache

    folder = cache.directory()
    if folder is None:
        print("compiled kernels are not kept on disk (GRAPHC_CACHE=0, or there is no directory of the user's alone)")
        return
    if clear:
        print(f"{cache.clear()} kernels removed")
    found = cache.entries()
    print(f"{folder}: {len(found)} kernels, {sum(size for _, size in found):,} of at most {cache.MAX_BYTES:,} bytes")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{number} is not positive")
    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the result is the exit code."""
    chosen = _parser().parse_args(arguments)
    try:
        if chosen.command == "demo":
            from graphc.demo import demo

            demo(epochs=chosen.epochs, out=chosen.out)
        elif chosen.command == "cache":
            _cache(chosen.clear)
        elif chosen.command == "doctor":
            from graphc.doctor import doctor

            return 0 if doctor() else 1
        else:
            from graphc.bench import bench

            bench(json_file=chosen.json, plot_file=chosen.plot)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        if package not in ("mlxtend", "matplotlib", "tqdm"):
            raise
        print(f"{chosen.command} needs {package}, which is not installed: pip install 'graphc[demo]'", file=sys.stderr)
        print("in a clone of the repository: pip install -e '.[demo]'", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
