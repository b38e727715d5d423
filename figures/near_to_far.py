"""Learned charges with several potentials, from near to far: Figure 7 of Loche et al. (2025) as far as data are public.

Networks learn binding curves of charged (C) and polar (P) molecules at their ten shorter distances; bars are errors of
energies and forces at the three longest, medians over the seeds, with marks for each seed. Charges are read out of the
messages within 5 A, and their energy is that of Coulomb's potential; of the same without the charges within 5 A, an
exterior feature; or of 1/r and 1/r² with learned weights.

    python -m validation.long_range --data FOLDER --compare potentials        trains the networks
    python -m figures.near_to_far                                             draws figures/results/near_to_far.pdf
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from validation.tools.forms import NAMES

from .experiments import style
from .long_range import arguments, stored

__all__ = ["draw"]

LOOKS = {  # fill, hatch: told apart in grey by both
    "none": ("0.85", ""),
    "charges": ("#1b5e8c", ""),
    "charges-exterior": ("#9cc3dd", "////"),
    "charges-two": ("#e6a03c", "...."),
}
GROUP = 0.8  # of the distance of two groups


def draw(record: dict, path: Path) -> None:
    """Bars of energies and of forces.

    Parameters
    ----------
    record : dict
        Of ``validation.long_range``.
    path : Path
        Without its ending.
    """
    figure, axes = style.figure(2, height=2.9)
    runs, names = record["runs"]["all"], list(record["reference"])
    rows = list(dict.fromkeys(run["row"] for run in runs))
    width = GROUP / len(rows)
    for axis, suffix, unit in ((axes[0], "", "energies (meV)"), (axes[1], " forces", "forces (meV/Å)")):
        for number, row in enumerate(rows):
            values = np.array([[run[f"{name}{suffix}"] for name in names] for run in runs if run["row"] == row])
            x = np.arange(len(names)) + (number - (len(rows) - 1) / 2) * width
            fill, hatch = LOOKS[row]
            bars = {"color": fill, "hatch": hatch, "edgecolor": "k", "lw": 0.5}
            axis.bar(x, np.median(values, axis=0), 0.9 * width, label=NAMES[row], **bars)
            for each in values if len(values) > 1 else ():
                axis.plot(x, each, "o", ms=2.5, mfc="white", mec="k", mew=0.5)
        least = min(run[f"{name}{suffix}"] for run in runs for name in names)
        axis.set(yscale="log", ylabel=f"RMSE of {unit}", ylim=(10 ** np.floor(np.log10(least)), None))
        axis.set_xticks(range(len(names)), names)
    figure.legend(*axes[0].get_legend_handles_labels(), frameon=False, ncols=4, loc="outside upper center")
    style.save(figure, path)


def main() -> None:
    args = arguments("near_to_far", __doc__ or "")
    draw(stored(args.results, "long_range_dimers_potentials"), args.output / "near_to_far")


if __name__ == "__main__":
    main()
