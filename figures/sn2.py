"""F- + CH3I by networks with each form of a learned long range: the reaction, and the ion that comes or leaves.

Top: the reaction as learned from every fourth geometry. Middle: both tails with *rigid* molecules, whose bonds tell
nothing of how far away the ion is; without a long range the energy is constant there. Bottom: tails of networks that
learned nothing beyond 6 A, which have a grey ground. Zero is the reference at the end on that side. Lines are medians
over the seeds, bands reach from the lowest to the highest.

    python -m validation.long_range --data sn2_F_I.npz        trains the networks
    python -m figures.sn2                                     draws figures/results/sn2.pdf and .png
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .experiments import style
from .long_range import REFERENCE, arguments, legend, line, median, stored

__all__ = ["draw"]

LEARNED, WITHIN, FAR = "every fourth", "within 6 A", 6.0
NEAR = 5.0  # angstrom: where tails begin
WIDTH, HEIGHT = 7.0, 6.2  # inches
MARKED = 20  # geometries between two marks


def _tails(axes, coordinate: np.ndarray, truth: np.ndarray, curves: dict, about: str) -> None:
    """Both sides; ``curves`` are where and three lines for each form."""
    for axis, side in zip(axes, (-1, 1), strict=True):
        end = 0 if side < 0 else -1
        for form, (x, values) in curves.items():
            some = side * x > NEAR
            line(axis, x[some], tuple(each[some] - truth[end] for each in values), form, MARKED)
        some = side * coordinate > NEAR
        axis.plot(coordinate[some], truth[some] - truth[end], ls="-", markevery=MARKED, **REFERENCE)
        span = np.ptp(truth[some])
        low, high = (truth[some] - truth[end]).min(), (truth[some] - truth[end]).max()
        axis.set_ylim(low - 0.35 * span, high + 0.5 * span)
        ion = "F⁻ and CH₃I" if side < 0 else "CH₃F and I⁻"
        axis.set_title(f"{ion}, {about}", fontsize=8)
        axis.set_xlim(*sorted((side * NEAR, side * 10.0)))
    axes[0].set_ylabel("energy (meV)")


def draw(record: dict, path: Path) -> None:
    """The reaction and its tails.

    Parameters
    ----------
    record : dict
        Of ``validation.long_range``.
    path : Path
        Without its ending.
    """
    plt = style.prepared()
    coordinate, truth = np.array(record["coordinate"]), np.array(record["reference"])
    runs = record["runs"]
    forms = list(dict.fromkeys(run["row"] for run in runs[LEARNED]))
    figure, axes = plt.subplot_mosaic("aa;bc;de", figsize=(WIDTH, HEIGHT), layout="constrained")
    rigid = np.array(runs[LEARNED][0]["rigid at"])
    for form in forms:
        values = median(runs[LEARNED], form, "differences")
        line(axes["a"], coordinate, tuple(1e-3 * (each + truth) for each in values), form, 2 * MARKED)
    axes["a"].plot(coordinate, 1e-3 * truth, ls="-", markevery=MARKED, **REFERENCE)
    axes["a"].set(xlabel="reaction coordinate (Å)", ylabel="energy (eV)", xlim=(-10, 10))
    moved = {}
    for form in forms:
        values = median(runs[LEARNED], form, "rigid differences")
        moved[form] = coordinate[rigid], tuple(each + truth[rigid] for each in values)
    _tails([axes["b"], axes["c"]], coordinate, truth, moved, "rigid")
    beyond = {}
    for form in forms:
        values = median(runs[WITHIN], form, "differences")
        beyond[form] = coordinate, tuple(each + truth for each in values)
    _tails([axes["d"], axes["e"]], coordinate, truth, beyond, "learned within 6 Å")
    for name, side in (("d", -1), ("e", 1)):
        axes[name].axvspan(side * FAR, side * 10.5, color="0.94", zorder=0, lw=0)
        axes[name].set_xlabel("reaction coordinate (Å)")
    legend(figure, forms, "reference")
    style.save(figure, path)


def main() -> None:
    args = arguments("sn2", __doc__ or "")
    draw(stored(args.results, "long_range_sn2"), args.output / "sn2")


if __name__ == "__main__":
    main()
