"""The README's picture: a convolution beside FINUFFT and ducc0, and the networks beside Table 1 of the LRC paper.

Left, the time of one convolution over the error that was measured for it: three dimensions, 10⁶ uniform points, 63³
modes, new points every call, two threads, out of ``validation/results/epyc/benchmark.json``. Right, the relative force
errors of ``figures/results/lrc/table1_reduced.json``, on the tests that figures/README.md names, and those printed in
Table 1 of arXiv 2010.05295. Nothing is computed.

    python -m figures.overview
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from .experiments.records import error_of, last_of
from .table1 import MU, PAPER_ROW

__all__ = ["convolutions", "force_errors", "main"]

HERE = Path(__file__).parent
BENCHMARK = HERE.parent / "validation" / "results" / "epyc" / "benchmark.json"
TABLE = HERE / "results" / "lrc" / "table1_reduced.json"
PICTURE = HERE / "results" / "overview.png"

CASE = {
    "operation": "convolution",
    "dim": 3,
    "count": 1_000_000,
    "modes": 63,
    "distribution": "uniform",
    "threads": 2,
    "quick": False,
}
LIBRARIES = {"finufft": ("FINUFFT", "C1", "s"), "ducc0": ("ducc0", "C2", "^"), "lrc_numba": ("lrc_numba", "C0", "o")}
KINDS = {"short-range": ("C3", "s"), "full-range": ("C0", "o")}
ROWS = {"short-range": "short-range, split switch", "full-range": "full-range"}  # which sees what the paper's does


def convolutions(record: dict) -> dict[str, np.ndarray]:
    """Measured errors and seconds of each library, (2, n) float64, the largest error first."""
    cells = [cell for cell in record["cells"] if CASE.items() <= cell.items()]
    pairs = {name: sorted((cell[name]["error"], cell[name]["new"]) for cell in cells) for name in LIBRARIES}
    return {name: np.array(points[::-1]).T for name, points in pairs.items()}


def force_errors(record: dict) -> dict[str, dict[float, list[float]]]:
    """Relative force errors by network and μ₁, one for each seed."""
    errors: dict[str, dict[float, list[float]]] = {kind: {} for kind in KINDS}
    for kind, row in ROWS.items():
        for run in (run for run in record["runs"] if run["row"] == row):
            errors[kind].setdefault(float(run["column"]), []).append(error_of(last_of(run["errors"]), "stratified"))
    return errors


def _draw_convolutions(axes, record: dict) -> None:
    from matplotlib.ticker import NullLocator

    for name, (error, seconds) in convolutions(record).items():
        label, color, marker = LIBRARIES[name]
        ours = name == "lrc_numba"
        axes.loglog(error, 1e3 * seconds, marker + "-", color=color, lw=2.5 if ours else 1.5, label=label)
    axes.invert_xaxis()
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_yticks([50, 100, 200, 500, 1000], minor=False)
    axes.yaxis.set_minor_formatter("")
    axes.set(xlabel="measured relative error  (more exact →)", ylabel="time of one convolution, ms")
    axes.set_title("One million points in 3-D, 63³ modes\n" + _machine(record), fontsize=10)
    axes.legend(title="lower is faster", frameon=False, reverse=True)


def _machine(record: dict) -> str:
    about = record["environment"]
    return f"{about['processor'].split(' (')[0]}, {CASE['threads']} threads"


def _draw_force_errors(axes, record: dict) -> None:
    seeds = set()
    for kind, by_mu in force_errors(record).items():
        mus = sorted(by_mu)
        medians = np.array([np.median(by_mu[mu]) for mu in mus])
        low, high = (np.array([edge(by_mu[mu]) for mu in mus]) for edge in (min, max))
        bars = np.stack([medians - low, high - medians])
        color, marker = KINDS[kind]
        axes.plot(mus, medians, marker + "-", color=color, lw=2, label=f"{kind}, lrc_numba")
        axes.errorbar(mus, medians, bars, fmt="none", color=color)
        options = {"color": color, "marker": marker, "mfc": "white", "ls": "--", "lw": 1}
        axes.plot(MU, PAPER_ROW[kind], label=f"{kind}, printed in the paper", **options)
        seeds |= {len(errors) for errors in by_mu.values()}
    axes.set(xscale="log", yscale="log", xlabel="μ₁: inverse range of the forces  (← longer range)")
    axes.set_ylabel("relative error of learned forces")
    axes.set_xticks(MU, [f"{mu:g}" for mu in MU])
    axes.minorticks_off()
    many = "one seed, others differ" if seeds == {1} else f"median and range of {_range(seeds)} seeds"
    axes.set_title(f"Table 1 of the LRC paper, stratified points; ours by\nLevenberg–Marquardt, {many}", fontsize=10)
    axes.legend(fontsize=8, frameon=False)


def _range(numbers: set[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low} to {high}"


def main() -> None:
    """Draw the picture."""
    argparse.ArgumentParser(
        prog="python -m figures.overview", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    ).parse_args()
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2), constrained_layout=True)
    _draw_convolutions(left, json.loads(BENCHMARK.read_text(encoding="utf-8")))
    _draw_force_errors(right, json.loads(TABLE.read_text(encoding="utf-8")))
    for axes in (left, right):
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(PICTURE, dpi=120)
    plt.close(figure)
    print(f"written: {PICTURE.relative_to(HERE.parent)}")


if __name__ == "__main__":
    main()
