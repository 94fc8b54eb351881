"""k-means: Lloyd's rounds in a while loop, until no point changes its cluster. One native call finds all centres.

    python examples/k_means.py
"""

from __future__ import annotations

import numpy as np

import graphc as gx

POINTS, CLUSTERS = 3000, 5


def main(backend: str = "llvm") -> float:
    """Find the centres of clouds of points; the largest distance of a true centre from the nearest one found."""
    rng = np.random.default_rng(3)
    truth = np.array([[0.0, 0.0], [6.0, 1.0], [1.0, 7.0], [-6.0, 2.0], [-2.0, -6.0]])
    points = truth[rng.integers(0, CLUSTERS, POINTS)] + rng.normal(size=(POINTS, 2))

    x = gx.placeholder("x", ("n", 2), "float64")
    k = gx.placeholder("centres", ("k", 2), "float64")

    def nearest(centres: gx.Tensor) -> gx.Tensor:
        return gx.argmin(gx.sum((x[:, None] - centres) ** 2, axis=2), axis=1)

    def move(state: tuple[gx.Tensor, ...]) -> tuple[gx.Tensor, ...]:
        centres, cluster, _, rounds = state
        size = centres.shape[0]
        counts = gx.segment_sum(gx.ones_like(x[:, :1]), cluster, size)
        centres = gx.where(counts > 0, gx.segment_sum(x, cluster, size) / counts, centres)
        now = nearest(centres)
        return centres, now, gx.any(now != cluster), rounds + 1

    centres, _, _, rounds = gx.while_loop(lambda state: state[2], move, (k, nearest(k), gx.constant(True), gx.constant(0)))
    found, taken = gx.compile([x, k], [centres, rounds], backend=backend)(points, points[:CLUSTERS])

    far = float(np.max(np.min(np.linalg.norm(truth[:, None] - found, axis=2), axis=1)))
    print(f"{int(taken)} rounds; centres\n{found.round(3)}\nno true centre is farther than {far:.3f} from one of them")
    return far


if __name__ == "__main__":
    main()
