"""How long one optimiser step takes: loss gradient of the full-range network, and Adam.

The four cases of the comparison with PyTorch: one dimension, N = 20, batches of 64, 501 modes, in float64 and float32;
two dimensions, N = 50, batches of 8, 31² modes; three, N = 54, batches of 8, 25³ modes. With --torch SCRIPT the same
step in PyTorch (a script that prints "… ms/step, … snapshots/s") takes turns with ours, in its own process; the medians
of the turns are shown.

  python -m validation.benchmark_training --quick
"""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from lrc_numba.networks import FullRangeNetwork
from lrc_numba.training import Adam

from .tools.common import arguments, environment, print_table, save_json

CASES = (  # d, N, batch, modes, dtype
    (1, 20, 64, 501, "float64"),
    (1, 20, 64, 501, "float32"),
    (2, 50, 8, 31, "float64"),
    (3, 54, 8, 25, "float64"),
)
BOX, CUTOFF = 5.0, 1.5
TURNS = 5


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
    rows, lines = [], []
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
            dim, count, batch, modes, dtype = case
            line = [dim, count, batch, f"{modes}^{dim}", dtype, threads, f"{1e3 * row['seconds']:.1f}"]
            line += [f"{batch / row['seconds']:.0f}"]
            theirs = row.get("torch")
            line += [f"{batch / theirs:.0f}", f"{theirs / row['seconds']:.2f}"] if theirs else ["-", "-"]
            lines.append(line)
    header = ["d", "N", "batch", "modes", "dtype", "threads", "ms/step", "snapshots/s", "PyTorch snapshots/s", "ratio"]
    print_table("One step of force matching, full-range network", header, lines)
    name = "benchmark_training" if args.torch else "benchmark_training_alone"  # not in the place of a comparison
    save_json(args.output / f"{name}.json", {"environment": environment(max(args.threads)), "rows": rows})


if __name__ == "__main__":
    main()
