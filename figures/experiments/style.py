"""Figures like a journal's: narrow, legible without colours, as PDF and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .records import error_of, last_of
from .training import FIRST, PIECE

__all__ = ["LEGEND", "MARKS", "curves", "errors_against", "figure", "prepared", "save", "spread"]

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
APART = 0.1  # of two marks of a column
THIN, SMALL = 0.7, 3  # lines and marks of losses
LEGEND = {"frameon": False, "title_fontsize": 6.5}
LINES = {"axes.linewidth": 0.6, "lines.linewidth": 1.0, "lines.markersize": 4, "pdf.fonttype": 42}


def prepared() -> Any:
    """``pyplot`` with fonts and lines of all figures, drawing to files."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams.update(FONT | LINES | {"axes.spines.top": False, "axes.spines.right": False})
    return plt


def figure(
    panels: int = 1, width: float = WIDTH, height: float = 2.6, ratios: Sequence[float] | None = None
) -> tuple[Any, list]:
    """A figure and its axes in a row.

    Parameters
    ----------
    panels : int
        How many.
    width, height : float
        Of a panel, inches; of the mean of them where there are ratios.
    ratios : sequence of float, optional
        Of their widths; all alike by default.
    """
    options = {"figsize": (panels * width, height), "constrained_layout": True, "squeeze": False}
    made, axes = prepared().subplots(1, panels, width_ratios=ratios, **options)
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


def errors_against(
    record: dict, path: Path, xlabel: str, columns: list[str], test: str | None = None, paper: str = "the paper"
) -> None:
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
    paper : str
        What the open marks are called.
    """
    made, (left, first, second) = figure(3, width=2.4, height=3.3, ratios=(2.0, 1.0, 1.0))
    rows = list(dict.fromkeys(run["row"] for run in record["runs"]))
    several, here = len(rows) > 1, f"here, {_after(record)}"
    theirs = _of_the_paper(record, rows)
    places = APART * (np.arange(len(theirs) + len(rows)) - (len(theirs) + len(rows) - 1) / 2)  # none hides another
    for place, (row, numbers) in zip(places, theirs.items(), strict=False):
        colour, marker, _ = MARKS[rows.index(row) % len(MARKS)]
        label = f"{_kind(row)}, {paper}" if several else paper
        values = [numbers.get(column, np.nan) for column in columns]
        options = {"color": colour, "marker": marker, "mfc": "white", "ls": "none", "zorder": 3, "label": label}
        left.plot(np.arange(len(columns)) + place, values, **options)
    for number, (place, row) in enumerate(zip(places[len(theirs) :], rows, strict=True)):
        errors = {c: [error_of(last_of(run["errors"]), test) for run in _runs(record, row, c)] for c in columns}
        there = [column for column in columns if errors[column]]
        x = np.array([columns.index(column) for column in there]) + place
        spread(left, number, x, [errors[column] for column in there], row if several else here)
    left.set(xlabel=xlabel, ylabel="relative error of forces", yscale="log")
    left.set_xticks(range(len(columns)), columns)
    marks = left.get_legend_handles_labels()[0]
    by = ("row", rows) if several else ("column", columns)
    lines, notes = curves(first, second, record, *by)
    if several:  # losses look as the errors of their row
        made.legend(handles=marks + notes, loc="outside lower center", ncols=4, title=f"filled: {here}", **LEGEND)
    else:
        made.legend(handles=marks, loc="outside lower left", **LEGEND)
        made.legend(handles=lines + notes, loc="outside lower right", ncols=3 + (len(notes) > 1), **LEGEND)
    save(made, path)


def curves(first: Any, second: Any, record: dict, by: str, names: list[str]) -> tuple[list, list]:
    """Losses of the first seed over the steps of Adam, and over the iterations of the polish, a line for each training.

    A line begins with the first piece of the polish that was recorded. Where none was, the end of the polish is a mark.

    Parameters
    ----------
    first, second : Axes
        Drawn on, of Adam and of the polish.
    record : dict
        Of a ``Figure``.
    by : {"row", "column"}
        What gives lines their looks.
    names : list of str
        Of rows or columns, in the order of the legend.

    Returns
    -------
    lines, notes : list
        For a legend: what every row or column looks like, and what is missing.
    """
    from matplotlib.lines import Line2D

    there = {run[by] for run in record["runs"]}
    looks = {name: MARKS[n % len(MARKS)] for n, name in enumerate(name for name in names if name in there)}
    seed, missing = min((run["seed"] for run in record["runs"]), default=0), dict[str, dict]()
    second.sharey(first)
    for run in (run for run in record["runs"] if run["seed"] == seed and run[by] in looks):
        colour, marker, line = looks[run[by]]
        options = {"color": colour, "ls": line, "lw": THIN}
        if "adam" in run["curves"]:
            first.plot(*np.transpose(run["curves"]["adam"]), **options)
        if pieces := run["curves"].get("polish"):
            count, before, after = np.transpose(pieces)
            begin = max(0, count[0] - PIECE)
            second.plot(np.append(begin, count), np.append(before[0], after), **options)
            missing |= {"loss, beginning not recorded": {"lw": THIN}} if begin else {}
        elif "polished" in run["losses"]:
            second.plot(run["polish"], run["losses"]["polished"], color=colour, marker=marker, ms=SMALL, ls="none")
            missing |= {"loss, end alone recorded": {"marker": "o", "ms": SMALL, "ls": "none"}}
    first.set(xlabel="steps of Adam", ylabel=f"loss, seed {seed}", yscale="log")
    second.set(xlabel="iterations of the polish", xlim=(0, None))
    second.tick_params(labelleft=False)
    second.set_visible(bool(second.lines))
    lines = [Line2D([], [], color=colour, ls=line, label=name) for name, (colour, _, line) in looks.items()]
    if any("marker" in options for options in missing.values()):
        for each, (_, marker, _) in zip(lines, looks.values(), strict=True):
            each.set(marker=marker, markersize=SMALL)
    return lines, [Line2D([], [], color="0.4", label=name, **options) for name, options in missing.items()]


def _after(record: dict) -> str:
    """What the networks whose errors are drawn were trained by in the end."""
    ways = {run.get("method", FIRST) if "polished" in run["errors"] else "Adam" for run in record["runs"]}
    return "after " + " or ".join(sorted(ways))


def _kind(row: str) -> str:
    """Of the networks of a row, which is all that the paper's have in common with them."""
    return row.partition(", ")[0]


def _of_the_paper(record: dict, rows: list[str]) -> dict[str, dict[str, float]]:
    """The paper's numbers once for each kind of network, by the first row that is compared with them."""
    firsts = {_kind(row): row for row in reversed(rows) if row in record["paper"]}
    return {row: record["paper"][row] for row in rows if row in firsts.values()}


def _runs(record: dict, row: str, column: str) -> list[dict]:
    return [run for run in record["runs"] if (run["row"], run["column"]) == (row, column)]
