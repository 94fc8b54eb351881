"""Operations of one's own: by scalar code, by an index, by a combination, by NumPy and by Numba."""

import numba
import numpy as np

import graphc as gx

swish = gx.extend.elementwise("swish", "{0} * sigmoid({0})", doc="x * sigmoid(x).")  # its gradient follows from its code
turn = gx.extend.index_map("turn", lambda i, shape, by: ((i[0] + by) % shape[0], *i[1:]))
length = gx.extend.reduction("length", "hypot({0}, {1})", 0, types="float", gradient=lambda g, y, x: g * x / y, domain=(0.5, 2))
rank = gx.extend.host("rank", lambda x: x.argsort().argsort(), infer=lambda x: gx.extend.TensorType(gx.int64, x.shape))


@numba.njit(nogil=True)
def echo(x: np.ndarray) -> np.ndarray:
    y = x.copy()
    for i in range(1, len(y)):
        y[i] += 0.5 * y[i - 1]
    return y


smooth = gx.extend.numba("smooth", echo, infer=lambda x: x, gradient=lambda g, y, x: gx.flip(smooth(gx.flip(g))))


def main(backend: str = "llvm") -> list[np.ndarray]:
    """All of them in one graph, each tested on its own."""
    for op, samples in ((swish, None), (turn, [(np.eye(3), {"by": 1})]), (length, None), (rank, [([3.0, 1.0, 2.0],)])):
        gx.testing.check_op(op, samples, backend=backend)
    gx.testing.check_op(smooth, [(np.array([1.0, 2.0, 3.0]),)], backend=backend)
    x = gx.placeholder("x", ("n",), "float64")
    y = length(swish(turn(x, by=1)) + smooth(x))
    f = gx.compile([x], [y, gx.grad(y, x), rank(x)], backend=backend)
    print(f.graph)
    return f([1.0, -2.0, 3.0])


if __name__ == "__main__":
    print(main())
