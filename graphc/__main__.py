"""The command line: python -m graphc demo | bench | export | cache | doctor."""

from __future__ import annotations

import argparse
import runpy
import sys
from collections.abc import Sequence
from pathlib import Path

import graphc as gx
from graphc.errors import InputError


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m graphc", description="graphc: declare, differentiate, compile, run")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="train a network on real digits, compare, and write down every step of the compiler")
    demo.add_argument("--epochs", type=_positive, default=10, metavar="N", help="passes over the training digits (10)")
    demo.add_argument("--out", type=Path, default=Path("out/demo"), metavar="DIR", help="where the files go (out/demo)")
    bench = commands.add_parser("bench", help="compiled against interpreted")
    bench.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    bench.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the ratios (needs matplotlib)")
    export = commands.add_parser("export", help="write a compiled program as C, object code or WebAssembly")
    export.add_argument("program", metavar="FILE.py:NAME", help="a file, and the name that a compiled program has in it")
    export.add_argument("folder", type=Path, help="where the files go")
    export.add_argument("--language", choices=("c", "object", "wasm"), default="c", help="what is written (c)")
    export.add_argument("--target", metavar="NAME", help="the processor it is for (that of the program)")
    export.add_argument("--sizes", nargs="+", default=[], metavar="NAME=N", help="sizes that become numbers")
    weights = ("array", "constant", "file", "none")
    export.add_argument("--weights", choices=weights, default="array", help="where the values of variables go (array)")
    export.add_argument("--small", action="store_true", default=None, help="less code and memory, slower products")
    export.add_argument("--fast", action="store_true", help="a product and a sum may be rounded twice")
    export.add_argument("--compiler", metavar="COMMAND", help="the compiler of C for object and wasm (zig)")
    cache = commands.add_parser("cache", help="where compiled programs are kept, and how much there is")
    cache.add_argument("--clear", action="store_true", help="remove them")
    commands.add_parser("doctor", help="what graphc finds on this machine, and whether it works")
    return parser


def _cache(clear: bool) -> None:
    from graphc.backends.llvm import cache

    folder = cache.directory()
    if folder is None:
        print("compiled programs are not kept on disk (GRAPHC_CACHE=0, or there is no directory of the user's alone)")
        return
    if clear:
        print(f"{cache.clear()} entries removed")
    found = cache.entries()
    print(f"{folder}: {len(found)} entries, {sum(size for _, size in found):,} of at most {cache.MAX_BYTES:,} bytes")


def _export(chosen: argparse.Namespace) -> None:
    file, _, name = chosen.program.rpartition(":")
    found = runpy.run_path(file).get(name) if file else None
    if not isinstance(found, gx.Compiled):
        raise InputError(f"export: {chosen.program} is no compiled program", hint="FILE.py:NAME, where NAME = gx.compile(...)")
    pairs = [text.partition("=") for text in chosen.sizes]
    for path in found.export(
        chosen.folder, language=chosen.language, compiler=chosen.compiler, target=chosen.target,
        sizes={size: _positive(number) for size, _, number in pairs},
        weights=None if chosen.weights == "none" else chosen.weights, small=chosen.small, fast=chosen.fast,
    ):  # fmt: skip
        print(path)


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
        elif chosen.command == "export":
            _export(chosen)
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
