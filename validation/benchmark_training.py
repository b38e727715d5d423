"""How long one optimiser step takes: loss gradient of the full-range network, and Adam.

The four cases of the comparison with PyTorch: one dimension, N = 20, batches of 64, 501 modes, in float64 and float32;
two dimensions, N = 50, batches of 8, 31² modes; three, N = 54, batches of 8, 25³ modes. With --torch SCRIPT the same
step in PyTorch (a script that prints "… ms/step, … snapshots/s") takes turns with ours, in its own process; the medians
of the turns are shown.

A second table says what the engine takes of such a step, in convolutions: u, its gradient, its tangent, and the
derivative of the gradient, by calls that begin anew and by ``LRCPlan.linearise``; for ones in two channels whose
kernels are learned, and for learned features of which the gradient is wanted.

  python -m validation.benchmark_training --quick
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lrc_numba import LRCPlan, Yukawa
from lrc_numba.networks import FullRangeNetwork
from lrc_numba.training import Adam

from .tools.common import alternate, arguments, environment, print_table, save_json

CASES = (  # d, N, batch, modes, dtype
    (1, 20, 64, 501, "float64"),
    (1, 20, 64, 501, "float32"),
    (2, 50, 8, 31, "float64"),
    (3, 54, 8, 25, "float64"),
)
BOX, CUTOFF = 5.0, 1.5
TURNS = 5
FEATURES = 4  # channels of learned features


def measure(case: tuple, threads: int, repeats: int) -> float:
    """Median seconds of a step."""
    dim, count, batch, modes, dtype = case
    generator = np.random.default_rng(0)
    points = (generator.random((batch, count, dim)) * BOX).astype(dtype)
    forces = generator.standard_normal(points.shape).astype(dtype)
    network = FullRangeNetwork(BOX, CUTOFF, modes, dim=dim, dtype=dtype, threads=threads)
    network.set_scales(points)
    adam, taken = Adam(network.parameters.flat.size), []
    for _ in range(repeats + 3):
        start = time.perf_counter()
        _, gradient = network.loss_gradient(points, forces)
        adam.step(network.parameters.flat, gradient, 1e-4)
        taken.append(time.perf_counter() - start)
    return float(np.median(taken[3:]))


def engine_part(case: tuple, features: bool, threads: int, repeats: int) -> dict[str, float]:
    """Seconds of a convolution, and of the engine in a step by the calls of a plan and by a linearised convolution.

    The cotangent of the tangent is minus that of u, as in force matching.
    """
    dim, count, batch, modes, dtype = case
    generator, shape = np.random.default_rng(0), (batch, count)
    plan = LRCPlan(BOX, modes, dim=dim, eps=1e-4, dtype=dtype, threads=threads)
    points = (generator.random((*shape, dim)) * BOX).astype(dtype)
    plan.set_points(points)
    beta = 1.0 if features else np.array([1.0, 2.0])
    multiplier, channels = Yukawa(beta, beta), FEATURES if features else 2
    g, dg, f, df = (generator.standard_normal((*shape, channels)).astype(dtype) for _ in range(4))
    values, moved = (f, df) if features else (None, None)
    dx, wrt = points[::-1].copy(), ("points", "values") if features else ("points",)

    def anew() -> None:
        plan.convolve(values, multiplier)
        plan.vjp(values, multiplier, g, wrt=wrt)
        plan.jvp(values, multiplier, dx, moved)
        plan.parameters_jvp(values, multiplier, -g, dx, moved, dg)
        if features:  # cotangents of the features and of their tangent
            plan.jvp(-g, multiplier, dx, dg)
            plan.convolve(-g, multiplier)

    def linearised() -> None:
        made = plan.linearise(values, multiplier)
        made.vjp(g, wrt=wrt)
        made.jvp(dx, moved)
        made.vjp_jvp(-g, dg, wrt=("values", "parameters") if features else ("parameters",))

    calls = {"convolution": lambda: plan.convolve(values, multiplier), "anew": anew, "linearised": linearised}
    return alternate(calls, repeats, budget=10.0)


def print_engine(rows: list[dict]) -> None:
    """The table of ``engine_part``."""
    lines = []
    for row in rows:
        dim, count, batch, modes, dtype = row["case"]
        unit, values = row["seconds"]["convolution"], f"{FEATURES} features" if row["features"] else "ones to 2"
        line = [dim, count, batch, f"{modes}^{dim}", dtype, row["threads"], values, f"{1e3 * unit:.2f}"]
        lines.append([*line, *(f"{row['seconds'][name] / unit:.1f}" for name in ("anew", "linearised"))])
    header = ["d", "N", "batch", "modes", "dtype", "threads", "values", "convolution ms", "anew", "linearised"]
    print_table("The engine in a step, in convolutions", header, lines)


def torch_step(script: Path, case: tuple, threads: int) -> float:
    """Seconds of a step in PyTorch."""
    dim, count, batch, modes, dtype = case
    options = {"dim": dim, "points": count, "batch": batch, "modes": modes, "threads": threads, "dtype": dtype}
    words = [str(word) for key, value in options.items() for word in (f"--{key}", value)]
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{script}: ended with {done.returncode}: {done.stderr[-1000:]}")
    match = re.search(r"([\d.]+) ms/step", done.stdout)
    if match is None:
        raise RuntimeError(f"{script}: expected '… ms/step' in what it prints, got {done.stdout!r}")
    return float(match[1]) / 1e3


def main() -> None:
    parser = arguments("benchmark_training", __doc__ or "", threads=(2,))
    parser.add_argument("--torch", type=Path, metavar="SCRIPT", help="the same step in PyTorch")
    args = parser.parse_args()
    rows, lines, engine = [], [], []
    for case in CASES:
        for threads in args.threads:
            turns: dict[str, list[float]] = {"seconds": [], "torch": []}
            for _ in range(1 if args.quick else TURNS):
                turns["seconds"].append(measure(case, threads, 10 if args.quick else 30))
                if args.torch:
                    turns["torch"].append(torch_step(args.torch, case, threads))
            row = {"case": list(case), "threads": threads, "turns": turns}
            row |= {name: float(np.median(taken)) for name, taken in turns.items() if taken}
            rows.append(row)
            for features in (False, True):
                taken = engine_part(case, features, threads, 10 if args.quick else 100)
                engine.append({"case": list(case), "threads": threads, "features": features, "seconds": taken})
            dim, count, batch, modes, dtype = case
            line = [dim, count, batch, f"{modes}^{dim}", dtype, threads, f"{1e3 * row['seconds']:.1f}"]
            line += [f"{batch / row['seconds']:.0f}"]
            theirs = row.get("torch")
            line += [f"{batch / theirs:.0f}", f"{theirs / row['seconds']:.2f}"] if theirs else ["-", "-"]
            lines.append(line)
    header = ["d", "N", "batch", "modes", "dtype", "threads", "ms/step", "snapshots/s", "PyTorch snapshots/s", "ratio"]
    print_table("One step of force matching, full-range network", header, lines)
    print_engine(engine)
    name = "benchmark_training" if args.torch else "benchmark_training_alone"  # not in the place of a comparison
    save_json(
        args.output / f"{name}.json", {"environment": environment(max(args.threads)), "rows": rows, "engine": engine}
    )


if __name__ == "__main__":
    main()
