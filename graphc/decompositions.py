"""Linear algebra through LAPACK, for users: solve, cholesky, eigh and their kin (see ops/matrix_functions.py)."""

from graphc.ops.matrix_functions import (
    EighResult,
    LstsqResult,
    QRResult,
    SlogdetResult,
    SVDResult,
    cholesky,
    det,
    eigh,
    eigvalsh,
    expm,
    inv,
    lstsq,
    matrix_norm,
    matrix_rank,
    pinv,
    qr,
    slogdet,
    solve,
    solve_triangular,
    svd,
    svdvals,
)  # fmt: skip

__all__ = [
    "EighResult", "LstsqResult", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "det", "eigh", "eigvalsh", "expm", "inv",
    "lstsq", "matrix_norm", "matrix_rank", "pinv", "qr", "slogdet", "solve", "solve_triangular", "svd", "svdvals",
]  # fmt: skip
