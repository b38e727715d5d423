"""Fig. 3 of the LRC paper: what each of the other points contributes to the force on one, at two ranges.

Screened Coulomb in one dimension, box L = 5, 20 points (two in each of ten cells, no two closer than 0.05), summed over
all images. On the left the contribution of every point, images included, against the distance of its nearest image; on
the right the share of Σ|F_ij| that comes from beyond a distance, which a network with a cutoff there does not see:
lines are medians over the seeds, each of one configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from lrc_numba.geometry.cell import minimum_image
from lrc_numba.nbody import PairPotential, sample_points

from .experiments.figure import Figure
from .experiments.presets import Preset
from .experiments.style import MARKS, figure, save

__all__ = ["CUTOFF", "FIGURE", "beyond", "contributions"]

BOX, CELLS, PER_CELL, DELTA, CUTOFF = 5.0, 10, 2, 0.05, 1.5
MU = (0.5, 5.0)


def contributions(points: np.ndarray, target: int, mu: float) -> dict:
    """Signed distance of the others by the nearest image, and the force of each on ``one``.

    Parameters
    ----------
    points : (N, 1)
        A configuration.
    target : int
        On which point.
    mu : float
        Inverse length.
    """
    others = np.delete(points, target, axis=0)
    apart = points[target] - others
    _, slope = PairPotential("screened_coulomb", (BOX,), (mu,), (1.0,)).pair(apart)
    nearest = -minimum_image(apart, BOX)[:, 0]
    order = np.argsort(nearest)
    return {"mu": mu, "places": nearest[order].tolist(), "forces": (-slope[order, 0]).tolist()}


def beyond(row: dict, distance: float) -> float:
    """The share of Σ|F| that comes from beyond a distance."""
    sizes, far = np.abs(row["forces"]), np.abs(row["places"]) > distance
    return float(sizes[far].sum() / sizes.sum())


def compute(_: Preset, seeds: Sequence[int]) -> dict:
    """Both ranges for every seed.

    Parameters
    ----------
    _ : Preset
        All are the same.
    seeds : sequence of int
        Of the configurations.
    """
    rows = []
    for seed in seeds:
        points = sample_points(1, (CELLS,), PER_CELL, BOX / CELLS, DELTA, np.random.default_rng(seed))[0]
        rows += [contributions(points, CELLS * PER_CELL // 2, mu) | {"seed": seed} for mu in MU]
    return {"rows": rows}


def draw(record: dict, path: Path) -> None:
    """Both panels.

    Parameters
    ----------
    record : dict
        All configurations; the first is drawn on the left.
    path : Path
        Without its ending.
    """
    made, (left, right) = figure(2)
    distances = np.linspace(0, BOX / 2, 200)
    for number, mu in enumerate(MU):
        colour, marker, line = MARKS[number]
        rows = [row for row in record["rows"] if row["mu"] == mu]
        sizes = np.array(rows[0]["forces"]) / np.abs(rows[0]["forces"]).max()
        options = {"color": colour, "marker": marker, "ls": "none", "label": f"μ = {mu:g}"}
        left.vlines(rows[0]["places"], 0, sizes, color=colour, lw=0.7, ls=line)
        left.plot(rows[0]["places"], sizes, **options)
        shares = np.array([[beyond(row, distance) for distance in distances] for row in rows])
        right.plot(distances, np.median(shares, axis=0), color=colour, ls=line, label=f"μ = {mu:g}")
        right.fill_between(distances, shares.min(axis=0), shares.max(axis=0), color=colour, alpha=0.2, lw=0)
        print(f"μ = {mu:g}: {np.median([beyond(row, CUTOFF) for row in rows]):.1%} of Σ|F| is from beyond {CUTOFF}")
    left.axhline(0, color="k", lw=0.5)
    for axes, places in ((left, (-CUTOFF, CUTOFF)), (right, (CUTOFF,))):
        for place in places:
            axes.axvline(place, color="k", ls=":", lw=0.8)
        axes.legend(frameon=False)
    left.set(xlabel="place of j, seen from i", ylabel="force of j on i, of the largest")
    right.set(xlabel="distance", ylabel="share of Σ|F| from beyond it", ylim=(0, 1))
    save(made, path)


FIGURE = Figure("fig3", __doc__ or "", draw, compute=compute)

if __name__ == "__main__":
    FIGURE.main()
