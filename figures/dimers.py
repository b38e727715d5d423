"""Binding curves of charged (C) and polar (P) molecules by networks with each form of a learned long range.

Above the whole curves, below their tails, enlarged; zero is the reference at the longest distance. What networks did
not learn from has a grey ground. Lines are medians over the seeds, bands reach from the lowest to the highest.

    python -m validation.long_range --data FOLDER        trains the networks
    python -m figures.dimers                             draws figures/results/dimers.pdf and .png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .experiments import style
from .long_range import REFERENCE, arguments, legend, line, median, stored

__all__ = ["draw"]

TITLES = {"CC": "two charged molecules", "CP": "charged and polar", "PP": "two polar molecules"}
TAIL = 5  # points
WIDTH, HEIGHT = 7.0, 4.4  # inches


def draw(record: dict, path: Path) -> None:
    """All classes, whole curves and tails.

    Parameters
    ----------
    record : dict
        Of ``validation.long_range``.
    path : Path
        Without its ending.
    """
    plt = style.prepared()
    names, learned = list(record["reference"]), record["learned"]
    runs = record["runs"]["all"]
    forms = list(dict.fromkeys(run["row"] for run in runs))
    figure, axes = plt.subplots(2, len(names), figsize=(WIDTH, HEIGHT), layout="constrained")
    for (upper, lower), name in zip(axes.T, names, strict=True):
        reference = record["reference"][name]
        distance, energies = np.array(reference["distance"]), np.array(reference["energies"])
        for axis, unit, some in ((upper, 1e-3, slice(None)), (lower, 1.0, slice(-TAIL, None))):
            x, truth = distance[some], energies[some]
            for form in forms:
                values = median(runs, form, f"{name} differences")
                line(axis, x, tuple(unit * (each[some] + truth) for each in values), form)
            axis.plot(x, unit * truth, ls="-", **REFERENCE)
            axis.axvspan(
                (distance[learned - 1] + distance[learned]) / 2, distance[-1] + 1, color="0.94", zorder=0, lw=0
            )
            axis.set_xlim(x[0] - 0.02 * np.ptp(x), x[-1] + 0.02 * np.ptp(x))
        span = np.ptp(energies[-TAIL:])
        lower.set_ylim(energies[-TAIL:].min() - 0.25 * span, energies[-TAIL:].max() + 0.6 * span)
        upper.set_title(f"{name}: {TITLES[name]}", fontsize=8)
        lower.set_xlabel("distance of the centres (Å)")
    axes[0, 0].set_ylabel("energy (eV)")
    axes[1, 0].set_ylabel("energy (meV)")
    legend(figure, forms, "HSE06+MBD")
    style.save(figure, path)


def main() -> None:
    args = arguments("dimers", __doc__ or "")
    draw(stored(args.results, "long_range_dimers"), args.output / "dimers")


if __name__ == "__main__":
    main()
