"""The rows of the table, with the ratio that is wanted of each: the best peer's figure over graphc's."""

from __future__ import annotations

from benchmarks.workload import Row
from benchmarks.workloads.attention import attention
from benchmarks.workloads.black_scholes import black_scholes
from benchmarks.workloads.chain import chain
from benchmarks.workloads.cnn import cnn, one_channel, resnet, separable
from benchmarks.workloads.formulas import scalar_call, tanh_exp
from benchmarks.workloads.generation import next_token
from benchmarks.workloads.gpt import Shape, gpt
from benchmarks.workloads.libraries import factors, small_matrices, solve, sort
from benchmarks.workloads.limits import BANDWIDTH, PEAK
from benchmarks.workloads.logistic import logistic
from benchmarks.workloads.loops import lorenz, lstm, lyapunov, newton, ring
from benchmarks.workloads.matmul import layer, matmul
from benchmarks.workloads.minilm import minilm
from benchmarks.workloads.mlp import mlp
from benchmarks.workloads.places import cumulative_sum, gather, scatter_add
from benchmarks.workloads.randomness import draws, normal_numbers
from benchmarks.workloads.reductions import reduction
from benchmarks.workloads.rows import layer_norm, softmax
from benchmarks.workloads.searching import argsort, searchsorted, top_k, unique
from benchmarks.workloads.simulations import bodies, heat
from benchmarks.workloads.transposes import transpose
from benchmarks.workloads.u_net import u_net

_COMPILERS = ("graphc", "jax", "torch.compile")
_TWO = ("graphc", "jax")

ROWS = (
    Row(scalar_call(), 2, at_most=2e-6),
    Row(tanh_exp(1_000), 2),
    Row(tanh_exp(1_000_000), 2),
    Row(tanh_exp(8_000_000), 3),
    Row(black_scholes(1_000), 3),
    Row(black_scholes(100_000), 2),
    Row(black_scholes(4_000_000), 3),
    Row(softmax(4096, 512), 1.5),
    Row(layer_norm(4096, 512), 1.5),
    *(Row(reduction(what, along), 1.5) for what in ("sum", "max", "var", "argmax") for along in ("rows", "columns", "all")),
    Row(transpose(2048, 2048), 1),
    Row(normal_numbers(10_000_000), 2),
    Row(draws("gamma", 2.5, 1_000_000), 1),
    Row(draws("poisson", 3.0, 1_000_000), 1),
    Row(draws("poisson", 100.0, 1_000_000), 1),
    Row(matmul(64, 64, 64), 0.95),
    Row(matmul(256, 256, 256), 0.95),
    Row(matmul(1024, 1024, 1024), 0.95),
    Row(matmul(128, 784, 512), 0.95),
    Row(matmul(128, 512, 10), 0.95),
    Row(matmul(512, 64, 784), 0.95),
    Row(layer(512, 512, 2048), 1.2),
    Row(mlp(32), 1.6),
    Row(mlp(128), 1.3),
    Row(mlp(1024), 1.0),
    Row(attention(16, 4, 128, 32), 1.5),
    Row(attention(16, 4, 512, 32), 1.8),
    Row(attention(16, 4, 2048, 32), 2),
    Row(gpt(1), 2),
    Row(gpt(16), 1.5),
    Row(gpt(4, Shape(time=512)), 2),
    Row(cnn(8), 1.5),
    Row(cnn(64), 2.5),
    Row(one_channel(64), 1.0),
    Row(separable(8), 1.0),
    Row(separable(64), 1.0),
    Row(resnet(1), 1.0),
    Row(u_net(), 1.0),
    Row(minilm(1), 1.0),
    Row(next_token(), 1.0),
    Row(matmul(1, 4096, 4096), 1.0),
    Row(logistic(5000, 20, 50), 1.5),
    Row(heat(1024, 100), 2),
    Row(bodies(2000), 2),
    Row(lstm(64, 512, 16), 2),
    Row(ring(10_000), 5),
    Row(lorenz(100_000), 3),
    Row(newton(100_000), 1.5),
    Row(lyapunov(1_000_000), 1.0),
    Row(cumulative_sum(1_000_000), 1.0),
    Row(gather(1_000_000), 1.0),
    Row(scatter_add(1_000_000), 1.0),
    Row(sort(1_000_000), 1.0),
    Row(argsort(1_000_000), 1.0),
    Row(top_k(1_000_000, 100), 1.0),
    Row(top_k(10_000, 10, rows=256), 1.0),
    Row(unique(1_000_000, 1_000), 1.0),
    Row(searchsorted(1_000_000, 100_000), 1.0),
    *(Row(factors(what, size), 1) for what in ("cholesky", "slogdet", "qr") for size in (256, 512, 2048)),
    *(Row(small_matrices(what, size), 5) for what in ("det", "inv", "cholesky") for size in (3, 16)),
    *(Row(solve(size), 1) for size in (256, 512, 2048)),
    Row(mlp(128), 1, "cold", at_most=0.45, only=_COMPILERS),
    Row(gpt(1), 1, "cold", at_most=1.0, only=_COMPILERS),
    Row(mlp(128), 1, "warm", at_most=0.05, only=_COMPILERS),
    Row(gpt(1), 1, "warm", at_most=0.1, only=_COMPILERS),
    Row(gpt(16), 1.5, "memory", only=("graphc", "jax", "torch", "torch.compile")),
    Row(gpt(16), None, "added", only=("graphc", "jax", "torch", "torch.compile")),
    *(Row(mlp(128, (784, width, width, 10)), kind="growth", only=_TWO) for width in (64, 128, 256, 512, 1024, 2048, 4096)),
    *(Row(gpt(1, Shape(layers=layers)), kind="growth", only=_TWO) for layers in (1, 2, 4, 8, 16, 24)),
    Row(chain(10_000), kind="growth", at_most=1.0, only=_TWO),
)

__all__ = [
    "BANDWIDTH", "PEAK", "ROWS", "Shape", "argsort", "attention", "black_scholes", "bodies", "chain", "cnn", "cumulative_sum",
    "draws", "factors", "gather", "gpt", "heat", "layer", "layer_norm", "logistic", "lorenz", "lstm", "lyapunov", "matmul",
    "minilm", "mlp", "newton", "next_token", "normal_numbers", "one_channel", "reduction", "resnet", "ring", "scalar_call",
    "scatter_add", "searchsorted", "separable", "small_matrices", "softmax", "solve", "sort", "tanh_exp", "top_k", "transpose",
    "u_net", "unique",
]  # fmt: skip
