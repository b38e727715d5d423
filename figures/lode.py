"""Figure 8 of Loche et al. (2025): how LODE features converge.

Random ions, half of each sign, in a periodic cube; features are projections of the long-range potential around each
ion on r^{l+2n} and spherical harmonics. Measured are relative ℓ² errors against a reference with all of it tight: by
the eps of the mesh (with the modes that belong to it), by the highest mode on a tight mesh, and by the nodes of a
quadrature around each ion, the way of features without multipliers, whose modes and mesh are tight.

    python -m figures.lode --preset quick
    python -m figures.lode --preset paper --seeds 0 1 2
    python -m figures.lode --plot-only

Written are results/lode.json and .png.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from lrc_numba.electrostatics import CoulombPotential
from lrc_numba.electrostatics.features import lode_convergence
from validation.tools.common import print_table, save_json

from .common import figure_parser, kept_record, new_record, separated_points

SIGMA, RADIUS = 1.0, 3.0  # of the smeared charges, and of the balls that features look at
SPACING, NEAREST = 2.2, 1.4  # (volume per ion)^(1/3), and how near any two may be
TITLES = {"eps": "eps of the mesh", "k_cutoff": "σ · highest wavenumber", "quadrature": "quadrature nodes per ion"}


@dataclass(frozen=True)
class Preset:
    """How many ions, and what is varied: eps, highest wavenumbers over 1/σ, and radial and angular nodes."""

    ions: int
    eps: tuple[float, ...]
    k_cutoffs: tuple[float, ...]
    nodes: tuple[tuple[int, int], ...]


PRESETS = {
    "quick": Preset(8, (1e-2, 1e-5, 1e-8), (2.0, 4.0, 6.0), ((3, 2), (5, 4))),
    "paper": Preset(
        32,
        (1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-9, 1e-10),
        (1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0, 6.5, 7.0),
        ((2, 2), (3, 3), (4, 4), (5, 5), (6, 6), (7, 7), (8, 8), (10, 10), (12, 12), (14, 14)),
    ),
}


def ions(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions (count, 3), charges +1 and −1 in turns, and a cubic cell."""
    length = SPACING * count ** (1 / 3)
    positions = separated_points(count, length, NEAREST, np.random.default_rng(seed))
    return positions, np.where(np.arange(count) % 2, -1.0, 1.0), length * np.eye(3)


def measure(preset: Preset, seed: int) -> dict:
    """Settings and errors of one structure, by what was varied."""
    rows = lode_convergence(
        CoulombPotential(SIGMA),
        RADIUS,
        ions(preset.ions, seed),
        eps=preset.eps,
        k_cutoffs=[k / SIGMA for k in preset.k_cutoffs],
        nodes=preset.nodes,
    )
    rows["k_cutoff"] = [(SIGMA * k, error) for k, error in rows["k_cutoff"]]
    return {"seed": seed, "ions": preset.ions, "errors": rows}


def largest(runs: list[dict], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Settings, and the largest error of any structure at each.

    Parameters
    ----------
    runs : list of dict
        Of ``measure``, with the same settings.
    name : str
        What was varied.
    """
    errors = np.array([run["errors"][name] for run in runs])
    return errors[0, :, 0], errors[:, :, 1].max(axis=0)


def table(runs: list[dict]) -> None:
    """Largest errors at all settings."""
    for name, title in TITLES.items():
        lines = [[f"{setting:g}", float(error)] for setting, error in zip(*largest(runs, name), strict=True)]
        print_table(f"Relative errors of features, largest of {len(runs)} structures", [title, "error"], lines)


def draw(runs: list[dict], path: Path) -> None:
    """A panel for each of what was varied, a line for each structure."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(11, 3.7), sharey=True, layout="constrained")
    for axis, (name, title) in zip(axes, TITLES.items(), strict=True):
        for run in runs:
            settings, errors = np.array(run["errors"][name]).T
            axis.semilogy(settings, errors, "o-", ms=4, lw=1, alpha=0.8, label=f"structure {run['seed']}")
        if name == "eps":
            axis.set_xscale("log")
        axis.set_xlabel(title)
        axis.grid(alpha=0.3)
    settings = largest(runs, "eps")[0]
    axes[0].plot(settings, settings, "k--", lw=1, label="error = eps")
    axes[0].invert_xaxis()
    axes[0].set_ylabel("relative ℓ² error of features")
    axes[0].legend(fontsize=8)
    figure.savefig(path, dpi=110)
    plt.close(figure)
    print(f"written: {path}")


def main() -> None:
    parser = figure_parser("lode", __doc__ or "", PRESETS, (0, 1, 2))
    args = parser.parse_args()
    path = args.output / "lode.json"
    if args.plot_only:
        record = kept_record(parser, path, "runs")
    else:
        start = time.process_time()
        seeds = tqdm(args.seeds, file=sys.stderr, leave=False)
        runs = [measure(PRESETS[args.preset], seed) for seed in seeds]
        record = new_record("lode", args, None, processor_seconds=time.process_time() - start, runs=runs)
        save_json(path, record)
    table(record["runs"])
    draw(record["runs"], path.with_suffix(".png"))


if __name__ == "__main__":
    main()
