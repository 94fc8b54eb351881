"""Files of .safetensors that are broken, or meant to break what reads them: python tests/saving/bad_weights.py --files N --seed S

Each is a sound file, or an index of two, that was changed: bytes, numbers and texts of the header, keys there twice, offsets that
overlap, leave gaps or lead behind the end, NaN, JSON in JSON. `gx.load` must read it or raise a FileError, within a second and 64
MiB, and open nothing else; and it must refuse what the package `safetensors` refuses. What is wrong is printed, and counted
in the last line.
"""

from __future__ import annotations

import argparse
import json
import re
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

import graphc as gx

Rng = np.random.Generator
SECONDS, BYTES = 1.0, 64 * 2**20
NUMBERS = (0, 1, -1, 4, 8, 2**31, 2**53, 2**63 - 1, 2**63, 2**64, 10**30, 1.5, True, None, "4", [], "NaN", 1e400)
TEXTS = ("", "F32", "F16", "F8_E4M3", "F4", "F128", "__metadata__", "w", "../w", "a" * 10_000, "\0", "\ud800", "é")


def sound(rng: Rng) -> tuple[dict[str, Any], bytes]:
    """A header and the bytes of its arrays."""
    header: dict[str, Any] = {"__metadata__": {"format": "np"}} if rng.random() < 0.5 else {}
    at = 0
    for i in range(int(rng.integers(1, 6))):
        code, size = (("F32", 4), ("F64", 8), ("BF16", 2), ("I64", 8), ("BOOL", 1), ("F8_E5M2", 1))[int(rng.integers(6))]
        shape = [int(n) for n in rng.integers(0, 4, int(rng.integers(0, 4)))]
        end = at + size * int(np.prod(shape, dtype=int))
        header[f"part/{i}"] = {"dtype": code, "shape": shape, "data_offsets": [at, end]}
        at = end
    return header, rng.bytes(at)


def written(header: bytes, data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", (len(header) if length is None else length) % 2**64) + header + data


def pick(rng: Rng, items: Any) -> Any:
    return items[int(rng.integers(len(items)))]


def text(header: Any) -> bytes:
    return json.dumps(header).encode("utf-8", "surrogatepass")


def mutant(rng: Rng) -> tuple[str, bytes]:
    """How a file was made, and its bytes."""
    header, data = sound(rng)
    tensors = [name for name in header if name != "__metadata__"]
    how = pick(rng, ("bytes", "length", "field", "offsets", "double", "json", "deep", "name", "tail", "entry"))
    if how == "bytes":
        made = bytearray(written(text(header), data))
        for _ in range(int(rng.integers(1, 5))):
            made[int(rng.integers(len(made)))] ^= 1 << int(rng.integers(8))
        return how, bytes(made[: int(rng.integers(len(made) + 1))] if rng.random() < 0.3 else made)
    if how == "length":
        length = pick(rng, (0, 1, 2**20, 100_000_001, 2**32, 2**63, 2**64 - 1, len(text(header)) - 1, len(text(header)) + 1))
        return how, written(text(header), data, length)
    entry = header[pick(rng, tensors)]
    if how == "field":
        key = pick(rng, ("dtype", "shape", "data_offsets"))
        value = pick(rng, (*NUMBERS, *TEXTS, [pick(rng, NUMBERS)], [2, pick(rng, NUMBERS)]))
        if isinstance(entry[key], list) and entry[key] and rng.random() < 0.6:
            entry[key][int(rng.integers(len(entry[key])))] = pick(rng, NUMBERS)
        else:
            entry[key] = value
    elif how == "offsets":
        other = header[pick(rng, tensors)]
        entry["data_offsets"] = pick(rng, (
            other["data_offsets"], entry["data_offsets"][::-1], [n + int(rng.integers(-8, 9)) for n in entry["data_offsets"]],
            [0, len(data)], [len(data), 2 * len(data)],
        ))  # fmt: skip
    elif how == "double":
        name = pick(rng, tensors)
        both = text(header)[:-1] + b"," + text({name: pick(rng, (header[name], {**header[name], "shape": [1]}))})[1:]
        return how, written(both, data)
    elif how == "json":
        number, whole = pick(rng, (b"NaN", b"Infinity", b"-0", b"01", b"1e2", b"9" * 5000, b"0x1")), text(header)
        ways = (re.sub(rb"\d+", number, whole, count=1), whole[:-1], b" " + whole, b"[]", b"{}" * 2, b"\xff" + whole)
        return how, written(pick(rng, ways), data)
    elif how == "deep":
        depth = int(pick(rng, (3, 100, 1000, 100_000)))
        inner = b"[" * depth + b"]" * depth if rng.random() < 0.5 else b'{"a":' * depth + b"1" + b"}" * depth
        return how, written(text(header)[:-1] + b',"x":' + inner + b"}", data)
    elif how == "name":
        header[pick(rng, TEXTS)] = header.pop(pick(rng, tensors))
    elif how == "tail":
        data = data + rng.bytes(int(rng.integers(1, 9))) if rng.random() < 0.5 else data[: int(rng.integers(len(data) + 1))]
    else:
        header[pick(rng, tensors)] = pick(rng, (*NUMBERS, {}, {"dtype": "F32"}, [[]]))
    return how, written(text(header), data)


def index(rng: Rng) -> tuple[str, bytes]:
    """An index of the files a.safetensors and b.safetensors, which is broken."""
    places = ("a.safetensors", "b.safetensors", "../a.safetensors", "/etc/passwd", "a.safetensors/", "c.safetensors", "a", "",
              "\0", "..\\a.safetensors", 1, None, ["a.safetensors"])  # fmt: skip
    files = {name: pick(rng, places) for name in ("w", "v", "x")}
    whole = pick(rng, ({"weight_map": files}, {"weight_map": [files]}, files, {"weight_map": None}, [files]))
    made = text(whole)
    return "index", made[: int(rng.integers(len(made) + 1))] if rng.random() < 0.2 else made


def peak() -> int:
    """The most bytes that were in memory since the last call; it needs Linux."""
    found = re.search(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    Path("/proc/self/clear_refs").write_text("5")
    return int(found[1]) * 1024 if found else 0


OPENED: list[str] = []
WATCHED: list[str] = []  # the folder, while a file of it is read


def watch(event: str, args: tuple[Any, ...]) -> None:
    if WATCHED and event == "open" and not str(args[0]).startswith(WATCHED[0]) and not str(args[0]).endswith((".py", ".pyc")):
        OPENED.append(str(args[0]))


def attempt(path: Path) -> tuple[str, str]:
    """What became of a file, and what is wrong if anything is."""
    OPENED.clear()
    before, start = peak(), time.process_time()
    WATCHED.append(str(path.parent))
    try:
        gx.load(path, dtype="float32")
        outcome, words = "read", ""
    except gx.errors.FileError as error:
        outcome, words = "refused", error.message
    except Exception as error:
        outcome, words = "wrong", "".join(traceback.format_exception(error)[-3:])
    finally:
        WATCHED.clear()
    seconds, memory = time.process_time() - start, peak() - before
    if OPENED:
        return "wrong", f"opened {OPENED}"
    if seconds > SECONDS or memory > BYTES:
        return "wrong", f"{seconds:.1f} s, {memory / 2**20:.0f} MiB; {words}"
    return outcome, words[:200]


def by_the_package(path: Path) -> bool:
    import safetensors

    try:
        safetensors.deserialize(path.read_bytes())
    except Exception:
        return False
    return True


def fuzz(files: int, seed: int) -> tuple[Counter[str], list[str]]:
    """How many were read and refused, by how they were made, and what is wrong."""
    sys.addaudithook(watch)
    counts, wrong = Counter[str](), []
    with tempfile.TemporaryDirectory() as name, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        folder = Path(name).resolve()
        for part in "ab":
            gx.save(folder / f"{part}.safetensors", {key: gx.variable(np.ones(2)) for key in ("w", "v")})
        for i in range(files):
            rng = np.random.default_rng((seed, i))
            if rng.random() < 0.1:
                how, data = index(rng)
                path = folder / "bad.safetensors.index.json"
            else:
                how, data = mutant(rng)
                path = folder / "bad.safetensors"
            path.write_bytes(data)
            outcome, words = attempt(path)
            if outcome == "read" and how != "index" and not by_the_package(path):
                outcome, words = "wrong", "the package safetensors refuses it"
            counts[f"{how} {outcome}"] += 1
            if outcome == "wrong":
                wrong.append(f"file {i} ({how}): {words}\n{data[:200]!r}")
    return counts, wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    counts, wrong = fuzz(given.files, given.seed)
    print("\n\n".join(wrong))
    for key in sorted(counts):
        print(f"{key}: {counts[key]}")
    print(f"files {given.files} wrong {len(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
