"""The Array API standard's own test suite on graphc.array_api.

    python tests/array_api_suite.py CHECKOUT              run it, print counts, and every failure with its reason
    python tests/array_api_suite.py CHECKOUT --write      put the counts into docs/array-api.md too
    python tests/array_api_suite.py CHECKOUT --examples 200 --backend interpreter -k special

CHECKOUT is a clone of https://github.com/data-apis/array-api-tests at the tag 2026.02.26 with its submodule array-api:

    git clone --branch 2026.02.26 --recurse-submodules https://github.com/data-apis/array-api-tests

It needs pytest, hypothesis and ndindex (requirements.txt there). graphc has no complex numbers: the suite is told so by its own
variable, ARRAY_API_TESTS_SKIP_DTYPES, and tests about nothing else (special cases of complex numbers, the extension `fft`) are
skipped. Examples are derandomised, so that a count can be had again. The exit code is 1 if a test fails that `KNOWN` gives no
reason for, or if one that it gives a reason for passes.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "array-api.md"
TAG = "2026.02.26"
BEGIN, END = "<!-- measured: array_api_suite.py -->\n", "<!-- end -->"
COMPLEX = re.compile(r"imag\(x_i\)|\[fft[-.]|test_vecdot_conj")
REASON_OF_COMPLEX = "about complex numbers alone, which graphc does not have"

# A test of the suite -> why it fails.
KNOWN: Mapping[str, str] = {}


@dataclass(frozen=True)
class Result:
    """A test, how it ended ("passed", "failed" or "skipped"), and the reason."""

    test: str
    outcome: str
    reason: str = ""


def environment(backend: str) -> dict[str, str]:
    setup = f"import graphc.array_api as xp; xp.set_backend(\"{backend}\")"
    return {
        **os.environ, "PYTHONPATH": str(ROOT), "ARRAY_API_TESTS_MODULE": f"exec('{setup}')",
        "ARRAY_API_TESTS_SKIP_DTYPES": "complex64,complex128", "PYTHONDONTWRITEBYTECODE": "1",
    }  # fmt: skip


def run(checkout: Path, examples: int, backend: str, chosen: str | None) -> list[Result]:
    """Every test of the suite and how it ended."""
    command = [sys.executable, "-m", "pytest", "array_api_tests", "-q", "-p", "no:cacheprovider"]
    if chosen:
        command += ["-k", chosen]
    given = {"cwd": checkout, "env": environment(backend), "text": True}
    listed = subprocess.run([*command, "--collect-only", "-W", "ignore"], capture_output=True, **given)
    tests = [line for line in listed.stdout.splitlines() if line.startswith("array_api_tests/")]
    if not tests:
        raise SystemExit(f"no tests in {checkout}:\n{listed.stdout}{listed.stderr}")
    with tempfile.TemporaryDirectory() as folder:
        skips, report = Path(folder) / "skips.txt", Path(folder) / "report.xml"
        skips.write_text("\n".join(t for t in tests if COMPLEX.search(t)), encoding="utf-8")
        options = ["--hypothesis-max-examples", str(examples), "--hypothesis-disable-deadline", "--hypothesis-derandomize"]
        options += ["--skips-file", str(skips), f"--junitxml={report}", "--tb=no", "-W", "ignore"]
        subprocess.run([*command, *options], **given)
        return [result(case) for case in ElementTree.parse(report).iter("testcase")]


def result(case: ElementTree.Element) -> Result:
    module, *rest = case.attrib["classname"].removeprefix("array_api_tests.").split(".")
    test = "::".join([f"{module}.py", *rest, case.attrib["name"]])
    for child in case:
        text = child.attrib.get("message", "")
        if child.tag == "skipped":
            return Result(test, "skipped", REASON_OF_COMPLEX if "skips-file" in text or "complex" in text else text)
        if child.tag in ("failure", "error"):
            known = next((reason for pattern, reason in KNOWN.items() if re.search(pattern, test)), None)
            return Result(test, "failed", known or "")
    return Result(test, "passed")


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|") for cell in row) + " |\n" for row in lines)


def summary(results: Sequence[Result], examples: int, backend: str) -> str:
    """Counts, and failures and skips by reason, as Markdown."""
    counts = Counter(r.outcome for r in results)
    ran = counts["passed"] + counts["failed"]
    share = 100 * counts["passed"] / ran if ran else 0.0
    text = f"array-api-tests {TAG}, backend \"{backend}\", at most {examples} examples a test:\n\n"
    text += table(["passed", "failed", "skipped", "passed of what ran"],
                  [[counts["passed"], counts["failed"], counts["skipped"], f"{share:.1f} %"]])  # fmt: skip
    for outcome in ("failed", "skipped"):
        reasons = Counter(r.reason or "unknown" for r in results if r.outcome == outcome)
        if reasons:
            text += f"\nWhy tests {'fail' if outcome == 'failed' else 'are skipped'}:\n\n"
            rows = sorted((-n, reason) for reason, n in reasons.items())
            text += table(["tests", "reason"], [(-n, reason) for n, reason in rows])
    return text


def fill(page: str, text: str) -> str:
    """The page with new text between its marks."""
    before, _, rest = page.partition(BEGIN)
    after = rest.partition(END)[2]
    if not rest:
        raise SystemExit(f"{PAGE} has no line {BEGIN!r}")
    return before + BEGIN + text + END + after


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the Array API standard's test suite on graphc.array_api.")
    parser.add_argument("checkout", type=Path, help=f"a clone of data-apis/array-api-tests at {TAG}, with its submodule")
    parser.add_argument("--examples", type=int, default=20, help="examples that Hypothesis makes for each test")
    parser.add_argument("--backend", choices=("llvm", "interpreter"), default="llvm")
    parser.add_argument("-k", dest="chosen", help="run only tests that pytest's -k chooses")
    parser.add_argument("--write", action="store_true", help="put the counts into docs/array-api.md")
    options = parser.parse_args()
    if options.write and options.chosen:
        parser.error("a part of the suite is not what docs/array-api.md is about")
    if not (options.checkout / "array-api" / "spec").exists():
        parser.error(f"{options.checkout} has no submodule array-api: git submodule update --init")
    results = run(options.checkout, options.examples, options.backend, options.chosen)
    text = summary(results, options.examples, options.backend)
    if options.write:
        PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), text), encoding="utf-8")
    failed = [r for r in results if r.outcome == "failed"]
    for r in failed:
        print(f"{'known' if r.reason else 'UNKNOWN':8} {r.test}: {r.reason}")
    stale = [p for p in KNOWN if not options.chosen and not any(re.search(p, r.test) for r in failed)]
    for pattern in stale:
        print(f"STALE    no test that {pattern!r} means fails: take it out of KNOWN")
    print(f"\n{text}")
    return 1 if stale or any(not r.reason for r in failed) else 0


if __name__ == "__main__":
    raise SystemExit(main())
