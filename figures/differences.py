"""What each of our differences from the paper's networks does to the error, and what goes beyond the paper.

The systems are those of Table 1 with the longest and the shortest range, μ₁ = 0.5 and 10. Each row is one change, with
all else as in that table; see ``figures.experiments.changes`` for what they are. In "uniform points" the training
snapshots are uniform instead of stratified; the second test of every row tells what that is good for.

The polish has 0.6 times the iterations of the preset, in every row. It takes kinks of g_θ away from the data. "plain
start" and "no shift" have more of them to begin with, of which errors after Adam alone tell more.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .experiments.changes import CHANGES
from .experiments.figure import Column, Figure
from .experiments.presets import Preset
from .experiments.records import error_of, last_of
from .experiments.style import MARKS, figure, save
from .experiments.tasks import Model, Test, Training
from .table1 import CUTOFF, MODES, SAMPLES, system

__all__ = ["AS_USUAL", "FIGURE", "MU"]

MU = (0.5, 10.0)
LENGTH = 0.6  # of the polish, of the preset's
AS_USUAL, UNIFORM = "as usual", "uniform points"


def columns(preset: Preset) -> list[Column]:
    """Every change of both networks at both ranges.

    Parameters
    ----------
    preset : Preset
        How long.
    """
    made = []
    for kind in ("full-range", "short-range"):
        for change in (AS_USUAL, *CHANGES[kind], UNIFORM):
            for mu in MU:
                drawn = "uniform" if change == UNIFORM else "stratified"
                training = Training(preset.samples(SAMPLES), preset.protocol, round(LENGTH * preset.polish), drawn)
                own = "" if change in (AS_USUAL, UNIFORM) else change
                model = Model(kind, CUTOFF, MODES if kind == "full-range" else 0, change=own)
                tests = (Test("stratified", system(mu)), Test("uniform", system(mu), "uniform"))
                made.append(Column(f"{kind}, {change}", f"{mu:g}", system(mu), model, training, tests))
    return made


def draw(record: dict, path: Path) -> None:
    """Errors of every change, on points like those of the training and on uniform ones.

    Parameters
    ----------
    record : dict
        All trainings.
    path : Path
        Without its ending.
    """
    made, panels = figure(2, width=3.8, height=3.4)
    rows = list(dict.fromkeys(run["row"] for run in record["runs"]))
    for axes, mu in zip(panels, MU, strict=True):
        for number, row in enumerate(rows):
            runs = [run for run in record["runs"] if (run["row"], run["column"]) == (row, f"{mu:g}")]
            for test, (colour, marker, _) in zip(("stratified", "uniform"), MARKS, strict=False):
                errors = [error_of(last_of(run["errors"]), test) for run in runs]
                if errors:
                    label = f"{test} test points" if number == 0 else None
                    axes.plot([min(errors), max(errors)], [-number] * 2, color=colour, lw=0.8)
                    axes.plot(np.median(errors), -number, marker=marker, color=colour, ls="none", label=label)
        axes.set(xlabel="relative error of forces", xscale="log", title=f"μ₁ = {mu:g}")
        axes.set_yticks([-number for number in range(len(rows))], rows if mu == MU[0] else [""] * len(rows))
        axes.grid(axis="x", alpha=0.3, lw=0.4)
    panels[0].legend(frameon=False)
    save(made, path)


FIGURE = Figure("differences", __doc__ or "", draw, columns)

if __name__ == "__main__":
    FIGURE.main()
