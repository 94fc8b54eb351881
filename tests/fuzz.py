"""Random typed graphs through every level: python tests/fuzz.py --graphs N --seed S

Each graph is built with the public functions from all of the vocabulary, sizes named and fixed, gradients and updates included,
and is run on random values, among them NaN, infinities, signed zeros, subnormals and the extremes of integers. Compared are

    print      print, parse and print again: the same text
    optimised  the optimised graph with the declared one in the interpreter, bit for bit
    program    the plan, which reads back as one that has the same kernels; the program after every pass that makes or changes
               one: sound, its text reads back, and run statement by statement
               it gives the interpreter's values, within an error bound (every fourth small graph; --programs 1 for all)
    compiled   native code with the interpreter: bit for bit where nothing is rounded, within an error bound elsewhere
    threads    native code on two threads with native code on one, bit for bit
    bits       native code of another backend (--backend numba) with that of "llvm", bit for bit, but that one NaN is like another

The error bound is measured, not guessed: the interpreter runs the graph again several times with every result that may be rounded
(transcendental functions, sums, products, contractions) moved by its bound with random signs, and with NaN of random sign. What
moves is how far native code may be off; an element that jumps (a comparison at a tie, an overflow that depends on the order of a
sum) is not compared. This is stochastic arithmetic: J. Vignes, Mathematics and Computers in Simulation 35 (1993).

A mismatch is reduced to a small graph, printed as text with the values of its inputs. The last line is `graphs N mismatches M`;
the exit code is 1 if M > 0. Graph I of a seed is reproduced alone by --only I.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fuzzing.command import main  # noqa: E402

if __name__ == "__main__":
    os.environ["GRAPHC_CACHE"] = "0"  # random kernels are of no use to anybody again
    sys.exit(main((__doc__ or "").splitlines()[0]))
