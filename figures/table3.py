"""Table 3 of the LRC paper: error against the number of snapshots, for 450 points in two dimensions.

A mixture of two screened Coulomb potentials, μ₁ = 10 and μ₂ = 1 with equal strengths, and a cutoff R = 1.5 are those of
the example of the authors' code; the box of 15 by 15 cells of length 1 with two points each has the 450 points of the
paper. 51 modes along each axis, as in that example. Which numbers of snapshots the paper's errors belong to, the source
we have does not say: 10, 100, 1000 and 10 000 are assumed.

With ``--preset reduced`` Adam costs the same in every column, so that with many snapshots there are few epochs, and
each piece of the polish sees at most 111 of the snapshots. With 1000 and more the polish has 2.5 times the iterations
of the preset, as it, not data, was the limit before. From 1000 on errors fall no more than seeds differ. Three points
that are close to each other are rare, and make much of an error: the worst of twelve test sets has up to ten times that
of the best. The preset "paper" takes hundreds of hours.
"""

from __future__ import annotations

from pathlib import Path

from .experiments.budget import by_cost
from .experiments.figure import Column, Figure
from .experiments.presets import Preset
from .experiments.style import errors_against
from .experiments.tasks import Model, System, Test

__all__ = ["FIGURE", "SYSTEM"]

SYSTEM = System("screened_coulomb", (15, 15), (10.0, 1.0), (0.5, 0.5))
SNAPSHOTS, PAPER = (10, 100, 1000, 10_000), (0.00785, 0.00526, 0.00363, 0.00181)
CUTOFF, MODES, START = 1.5, 51, (0.3, 3.0)
LONGER = {1000: 2.5, 10_000: 2.5}  # of the preset's polish, by the number of snapshots
GRADIENTS = {"quick": 400, "reduced": 20_000}  # of single snapshots


def columns(preset: Preset) -> list[Column]:
    """One for each number of snapshots.

    Parameters
    ----------
    preset : Preset
        How long.
    """
    tests = (Test("stratified", SYSTEM, count=25), Test("uniform", SYSTEM, "uniform", count=25))
    model = Model("full-range", CUTOFF, MODES, START)
    counts = SNAPSHOTS[:2] if preset.name == "quick" else SNAPSHOTS
    trainings = {n: by_cost(preset.longer(LONGER.get(n, 1.0)), n, GRADIENTS) for n in counts}
    return [Column("error", str(n), SYSTEM, model, training, tests) for n, training in trainings.items()]


def draw(record: dict, path: Path) -> None:
    """Errors against the number of snapshots.

    Parameters
    ----------
    record : dict
        All trainings.
    path : Path
        Without its ending.
    """
    errors_against(record, path, "snapshots of 450 points", [str(n) for n in SNAPSHOTS])


FIGURE = Figure(
    "table3", __doc__ or "", draw, columns, {"error": {str(n): e for n, e in zip(SNAPSHOTS, PAPER, strict=True)}}
)

if __name__ == "__main__":
    FIGURE.main()
