"""Fig. 8 of the LRC paper: networks trained on two scales, in boxes larger than any of their training.

The trainings and their record are those of ``figures.fig7_left``; here they are asked for boxes of up to twice the
large one, 400 points, whose number of modes follows from a length of the kernel. Beside them networks of one scale, the
large one; all with the number of large snapshots. Errors hardly depend on the box.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from .experiments.figure import Figure
from .experiments.records import error_of, last_of
from .experiments.style import LEGEND, figure, save, spread
from .fig7_left import SMALL, TIMES, columns

__all__ = ["FIGURE"]

APART = 0.1  # of marks of the same box
SHOWN = (
    ("two scales", "0"),
    ("two scales", "10"),
    ("one scale", "10"),
    ("one scale", "100"),
    ("one scale", "1000"),
)


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
    for number, (row, column) in enumerate(SHOWN):
        runs = [run for run in record["runs"] if (run["row"], run["column"]) == (row, column)]
        if not runs:
            continue
        last = [last_of(run["errors"]) for run in runs]
        values = [[error_of(errors, f"{times} times") for errors in last] for times in TIMES]
        x = np.arange(len(TIMES)) + APART * (number - 0.5 * (len(SHOWN) - 1))
        spread(axes, number, x, values, f"{row}, {column}")
    axes.set(xlabel="box length", ylabel="relative error of forces", yscale="log")
    axes.set_xticks(range(len(TIMES)), [f"{times * SMALL.box[0]:g}" for times in TIMES])
    low, high = np.log10(axes.get_ylim())
    axes.set_ylim(10.0 ** np.floor(low), 10.0 ** np.ceil(high))  # so that two powers of ten have labels
    made.legend(loc="outside lower center", ncols=2, title="snapshots of the large box", **LEGEND)
    save(made, path)


FIGURE = Figure("fig8", __doc__ or "", draw, columns, trained_as="fig7_left")

if __name__ == "__main__":
    FIGURE.main()
