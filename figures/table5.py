"""Table 5 of the LRC paper: the inverse lengths λ that are learned, for two exponentials in 1-D, from blind starts.

The system is that of ``figures.table4``: μ₁ = 10, which the short-range network sees as well as the long range, and
μ₂ = 1, which it does not: so λ₂, the smaller one, has to become μ₂, while λ₁ is hardly determined. 501 modes. Starts:
both sides of μ₂ ("0.3, 3", which are the networks of that table), both above ("3, 30"), both below ("0.1, 0.3"), and
far apart ("0.1, 30"). Which starts the paper's table has, we do not know; these are ours. The polish has twice the
iterations of the preset.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .experiments.figure import Column, Figure
from .experiments.presets import Preset
from .experiments.records import last_of
from .experiments.style import MARKS, figure, save
from .experiments.tasks import Model, Test, Training
from .table2 import CUTOFF, SAMPLES, START
from .table4 import SYSTEM

__all__ = ["FIGURE", "STARTS"]

STARTS = (START, (3.0, 30.0), (0.1, 0.3), (0.1, 30.0))
MODES, LONGER = 501, 2.0  # the second: polish, of the preset's


def name_of(start: tuple[float, ...]) -> str:
    """Of a column.

    Parameters
    ----------
    start : tuple of float
        Values of λ.
    """
    return ", ".join(f"{value:g}" for value in start)


def columns(preset: Preset) -> list[Column]:
    """One for every start.

    Parameters
    ----------
    preset : Preset
        How long.
    """
    training = Training(preset.samples(SAMPLES), preset.protocol, round(LONGER * preset.polish))
    tests = (Test("stratified", SYSTEM), Test("uniform", SYSTEM, "uniform"))
    models = [Model("full-range", CUTOFF, MODES, start) for start in STARTS]
    return [Column("error", name_of(m.lam), SYSTEM, m, training, tests) for m in models]


def draw(record: dict, path: Path) -> None:
    """Start and end of λ for every training, and the truth.

    Parameters
    ----------
    record : dict
        All trainings.
    path : Path
        Without its ending.
    """
    made, (axes,) = figure()
    names = [name_of(start) for start in STARTS]
    for run in record["runs"]:
        place = names.index(run["column"]) + 0.12 * (record["seeds"].index(run["seed"]) - 1)
        learned = last_of(run["learned"])["lam"]
        starts = STARTS[names.index(run["column"])]
        pairs = sorted(zip(starts, np.abs(learned), strict=True), key=lambda pair: pair[1])
        for (first, last), (colour, marker, _), name in zip(pairs, MARKS, ("smaller, λ₂", "larger, λ₁"), strict=False):
            axes.plot([place, place], [first, last], color="0.8", lw=0.8, zorder=0)
            label = f"the {name}" if run is record["runs"][0] else None
            axes.plot(place, last, marker=marker, color=colour, ms=4, ls="none", label=label)
            axes.plot(place, first, marker=marker, mfc="white", color=colour, ms=2.5, ls="none")
    for mu in SYSTEM.mu:
        axes.axhline(mu, color="k", ls=":", lw=0.8)
        axes.text(len(names) - 0.6, mu * 1.08, f"μ = {mu:g}", fontsize=6.5)
    axes.set(xlabel="start values of λ (open)", ylabel="λ", yscale="log")
    axes.set_xticks(range(len(names)), names)
    made.legend(loc="outside lower center", ncols=2, frameon=False)
    save(made, path)


FIGURE = Figure("table5", __doc__ or "", draw, columns)

if __name__ == "__main__":
    FIGURE.main()
