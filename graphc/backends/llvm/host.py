"""This machine as a target: its vectors as LLVM sees them, its caches as the system tells; and which targets it can run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path

from llvmlite import binding

from graphc.backends.llvm.objects import apart
from graphc.backends.threads import available
from graphc.ir.target import HOST, TARGETS, Target

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")


@lru_cache(maxsize=1)
def host() -> Target:
    """The record of this machine."""
    triple, name, features = apart(
        lambda: (binding.get_process_triple(), binding.get_host_cpu_name(), binding.get_host_cpu_features())
    )
    return described(triple.split("-")[0], name, features, features.flatten())


def described(architecture: str, cpu: str, features: Mapping[str, bool], text: str = "") -> Target:
    """The record of a processor that has these features.

    >>> found = described("x86_64", "znver4", {"avx512f": True, "avx2": True, "avx": True, "fma": True, "f16c": True})
    >>> found.vector_bytes, found.registers, found.fma, found.halves
    (64, 32, True, True)
    """
    architecture = "aarch64" if architecture == "arm64" else architecture
    has = {feature for feature, on in features.items() if on}
    dot8 = False
    if architecture == "aarch64":
        vector_bytes, registers, fma, masks, halves = 16, 32, True, False, True
    else:
        fma, masks, halves = "fma" in has, "avx" in has, "f16c" in has
        wide = "avx512f" in has and fma
        vector_bytes, registers = (64, 32) if wide else (32 if "avx" in has else 16, 16)
        dot8 = "avx512vnni" in has if wide else "avxvnni" in has
    like = TARGETS.get(architecture, TARGETS["x86-64-v3"])
    first, second, third = (found or usual for found, usual in zip(_caches(), like.caches, strict=True))
    page = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else like.page
    return Target(
        HOST, architecture, cpu, text, vector_bytes, registers, fma, masks, halves, dot8, (first, second, third), page,
        available(),
    )


def _caches(folder: Path = _CACHES) -> tuple[int, int, int]:
    """The bytes of data caches by level; 0 where the system does not tell."""
    found = {1: 0, 2: 0, 3: 0}
    for index in sorted(folder.glob("index*")):
        try:
            level, kind, size = ((index / name).read_text().strip() for name in ("level", "type", "size"))
            if kind != "Instruction":
                found[int(level)] = int(size[:-1]) * {"K": 1024, "M": 1024 * 1024}[size[-1]]
        except (OSError, ValueError, KeyError):
            continue
    return found[1], found[2], found[3]


def cannot_run(target: Target) -> str:
    """Why this machine cannot run what is made for a target; empty if it can."""
    here = host()
    if target.architecture not in ("", here.architecture):
        return f"its architecture is {here.architecture}, not {target.architecture}"
    missing = sorted(_features(target) - _features(here))
    return f"it lacks {', '.join(missing)}" if missing else ""


def _features(target: Target) -> set[str]:
    return {feature[1:] for feature in target.features.split(",") if feature.startswith("+")}
