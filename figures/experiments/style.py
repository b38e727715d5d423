"""Figures like a journal's: narrow, legible without colours, as PDF and PNG."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from .records import error_of, last_of

__all__ = ["MARKS", "curves", "errors_against", "figure", "prepared", "save", "spread"]

WIDTH = 3.4  # inches, a column
DPI = 220
MARKS = (  # colour, marker, line; distinct in grey as well
    ("#1b5e8c", "o", "-"),
    ("#c1440e", "s", "--"),
    ("#5b8c2a", "^", "-."),
    ("#7a4a9e", "D", ":"),
    ("#444444", "v", (0, (5, 1, 1, 1, 1, 1))),
)
FONT = {"font.size": 8, "axes.labelsize": 8, "legend.fontsize": 6.5, "xtick.labelsize": 7, "ytick.labelsize": 7}
LINES = {"axes.linewidth": 0.6, "lines.linewidth": 1.0, "lines.markersize": 4, "pdf.fonttype": 42}


def prepared() -> Any:
    """``pyplot`` with fonts and lines of all figures, drawing to files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(FONT | LINES | {"axes.spines.top": False, "axes.spines.right": False})
    return plt


def figure(panels: int = 1, width: float = WIDTH, height: float = 2.6) -> tuple[Any, list]:
    """A figure and its axes in a row.

    Parameters
    ----------
    panels : int
        How many.
    width, height : float
        Of a panel, inches.
    """
    size = panels * width, height
    made, axes = prepared().subplots(1, panels, figsize=size, constrained_layout=True, squeeze=False)
    return made, list(axes[0])


def save(made: Any, path: Path) -> None:
    """As PDF and PNG, and close it.

    Parameters
    ----------
    made : Figure
        Drawn.
    path : Path
        Without its ending.
    """
    import matplotlib.pyplot as plt

    path.parent.mkdir(parents=True, exist_ok=True)
    made.savefig(path.with_suffix(".pdf"), metadata={"CreationDate": None})
    made.savefig(path.with_suffix(".png"), dpi=DPI)
    plt.close(made)
    print(f"written: {path}.pdf and .png")


def spread(axes: Any, number: int, x: np.ndarray, values: list[list[float]], label: str) -> None:
    """Medians over the seeds as a line with marks, lowest and highest as bars.

    Parameters
    ----------
    axes : Axes
        Drawn on.
    number : int
        Of the line, which gives its looks.
    x : (n,) array
        Where.
    values : n lists of float
        One for each seed.
    label : str
        For the legend.
    """
    colour, marker, line = MARKS[number % len(MARKS)]
    middle = np.array([np.median(each) for each in values])
    low, high = (np.array([edge(each) for each in values]) for edge in (min, max))
    bars = [middle - low, high - middle]
    axes.errorbar(x, middle, bars, color=colour, marker=marker, ls=line, capsize=2, elinewidth=0.8, label=label)


def errors_against(record: dict, path: Path, xlabel: str, columns: list[str], test: str | None = None) -> None:
    """Errors of every row, one place for each column, with the paper's as open marks; beside them the losses.

    Parameters
    ----------
    record : dict
        Of a ``Figure``.
    path : Path
        Without its ending.
    xlabel : str
        What columns are.
    columns : list of str
        Their names in order.
    test : str, optional
        Which; the first by default.
    """
    made, (left, right) = figure(2, height=3.1)
    rows, marked = list(dict.fromkeys(run["row"] for run in record["runs"])), list[dict]()
    for number, row in enumerate(rows):
        errors = {c: [error_of(last_of(run["errors"]), test) for run in _runs(record, row, c)] for c in columns}
        there = [column for column in columns if errors[column]]
        x = np.array([columns.index(column) for column in there]) + 0.06 * (number - (len(rows) - 1) / 2)
        spread(left, number, x, [errors[column] for column in there], row if len(rows) > 1 else "here")
        theirs = record["paper"].get(row)
        if theirs is not None and theirs not in marked:  # several rows may be compared with one of the paper
            marked.append(theirs)
            paper = [theirs.get(column, np.nan) for column in columns]
            options = {"color": MARKS[number][0], "marker": MARKS[number][1], "mfc": "white", "ms": 5, "ls": "none"}
            label = f"{row}, the paper" if len(rows) > 1 else "the paper"
            left.plot(range(len(columns)), paper, label=label, **options)
    left.set(xlabel=xlabel, ylabel="relative error of forces", yscale="log")
    left.set_xticks(range(len(columns)), columns)
    left.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2, frameon=False)  # below, where no marks are
    curves(right, record, "row" if len(rows) > 1 else "column")
    save(made, path)


def curves(axes: Any, record: dict, by: str) -> None:
    """Losses over the steps of Adam and then the iterations of the polish, one line for each training.

    Parameters
    ----------
    axes : Axes
        Drawn on.
    record : dict
        Of a ``Figure``.
    by : {"row", "column"}
        What gives lines their looks.
    """
    looks = {name: MARKS[n % len(MARKS)] for n, name in enumerate(dict.fromkeys(run[by] for run in record["runs"]))}
    named = set[str]()
    for run in record["runs"]:
        colour, marker, line = looks[run[by]]
        steps, losses = np.array(run["curves"].get("adam", [[0, run["losses"].get("start", np.nan)]])).T
        polish = [(step, after) for step, _, after in run["curves"].get("polish", ())]
        if polish:
            count, after = np.array(polish).T
            steps, losses = np.append(steps, steps[-1] + count), np.append(losses, after)
        elif "polished" in run["losses"]:  # its end alone is known
            axes.plot(steps[-1] + run["polish"], run["losses"]["polished"], color=colour, marker=marker, ms=2)
        axes.plot(steps, losses, color=colour, ls=line, lw=0.5, label=None if run[by] in named else run[by])
        named.add(run[by])
    axes.set(xlabel="steps of Adam, then of the polish", ylabel="loss", yscale="log")
    if by == "column":  # rows look as they do beside this
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=3, frameon=False)


def _runs(record: dict, row: str, column: str) -> list[dict]:
    return [run for run in record["runs"] if (run["row"], run["column"]) == (row, column)]
