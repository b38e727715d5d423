"""Fig. 8 of the LRC paper: networks trained on two scales, in boxes larger than any of their training.

The trainings and their record are those of ``figures.fig7_left``; here they are asked for boxes of up to twice the
large one, 400 points, whose number of modes follows from a length of the kernel. Beside them networks of one scale, the
large one; all with the number of large snapshots.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .experiments.figure import Figure
from .experiments.records import error_of, last_of
from .experiments.style import decades, figure, save, spread
from .fig7_left import SMALL, TIMES, columns

__all__ = ["FIGURE"]

APART = 1.09  # factor between the same box of two lines
SHOWN = (("two scales", "0"), ("two scales", "10"), ("one scale", "10"), ("one scale", "1000"))


def draw(record: dict, path: Path) -> None:
    """Errors against the box.

    Parameters
    ----------
    record : dict
        All trainings.
    path : Path
        Without its ending.
    """
    made, (axes,) = figure()
    lengths = [times * SMALL.box[0] for times in TIMES]
    for number, (row, column) in enumerate(SHOWN):
        runs = [run for run in record["runs"] if (run["row"], run["column"]) == (row, column)]
        if not runs:
            continue
        last = [last_of(run["errors"]) for run in runs]
        values = [[error_of(errors, f"{times} times") for errors in last] for times in TIMES]
        spread(axes, number, APART ** (number - 1.5) * np.array(lengths), values, f"{row}, {column} large")
    axes.set(xlabel="box length", ylabel="relative error of forces", xscale="log", yscale="log")
    axes.set_xticks(lengths, [f"{length:g}" for length in lengths])
    axes.set_xticks([], minor=True)
    decades(axes)
    made.legend(loc="outside lower center", ncols=2, frameon=False)
    save(made, path)


FIGURE = Figure("fig8", __doc__ or "", draw, columns, trained_as="fig7_left")

if __name__ == "__main__":
    FIGURE.main()
