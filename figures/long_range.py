"""What ``figures.dimers`` and ``figures.sn2`` share: results of ``validation.long_range``, and lines for each form."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from validation.tools.common import RESULTS
from validation.tools.forms import NAMES

__all__ = ["LOOKS", "arguments", "legend", "line", "median", "stored"]

LOOKS: dict[str, dict[str, Any]] = {  # told apart in grey by marks, dashes and lightness
    "none": {"color": "0.62", "ls": "-", "marker": "x"},
    "attention-wide": {"color": "#e6a03c", "ls": (0, (5, 1.5)), "marker": "s"},
    "attention": {"color": "#c1440e", "ls": "--", "marker": "D"},
    "convolution": {"color": "#1b5e8c", "ls": "-", "marker": "^"},
    "charges": {"color": "#5b8c2a", "ls": "-.", "marker": "v"},
    "attention+charges": {"color": "#5a2a6e", "ls": ":", "marker": "P"},
}
REFERENCE = {"color": "k", "lw": 0.6, "marker": "o", "ms": 3.2, "mfc": "white", "mew": 0.7, "zorder": 5}


def arguments(name: str, description: str) -> argparse.Namespace:
    """Options of such a script.

    Parameters
    ----------
    name, description : str
        Of the script.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m figures.{name}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of results (default: validation/results)")
    folder = Path(__file__).parent / "results"
    parser.add_argument("--output", type=Path, default=folder, help="folder (default: figures/results)")
    return parser.parse_args()


def stored(folder: Path, name: str) -> dict:
    """What ``validation.long_range`` wrote; the script ends where it did not.

    Parameters
    ----------
    folder : Path
        Of results.
    name : str
        Of the file.
    """
    path = folder / f"{name}.json"
    if not path.exists():
        raise SystemExit(f"{path} is not there: python -m validation.long_range makes it, see its --help")
    return json.loads(path.read_text(encoding="utf-8"))


def median(runs: list[dict], form: str, key: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Median, lowest and highest over the seeds of what runs of a form hold.

    Parameters
    ----------
    runs : list of dict
        Of all forms.
    form : str
        One of them.
    key : str
        Of a list of numbers.
    """
    values = np.array([run[key] for run in runs if run["row"] == form])
    return np.median(values, axis=0), values.min(axis=0), values.max(axis=0)


def line(axis, x, values: tuple[np.ndarray, np.ndarray, np.ndarray], form: str, every: int = 1, shift=0.0) -> None:
    """A line of the median with marks, and a band from the lowest to the highest.

    Parameters
    ----------
    axis : Axes
        Drawn on.
    x : (n,) array
        Where.
    values : three (n,) arrays
        Of ``median``.
    form : str
        Which gives the looks.
    every : int
        Points between two marks.
    shift : (n,) array
        What is added.
    """
    middle, low, high = (each + shift for each in values)
    looks = LOOKS[form]
    if (high > low).any():
        axis.fill_between(x, low, high, color=looks["color"], alpha=0.15, lw=0)
    start = list(LOOKS).index(form) * every // len(LOOKS)  # so that marks of several lines do not lie on each other
    axis.plot(x, middle, ms=3, mew=0.6, lw=0.9, markevery=(start, every), **looks)


def legend(figure, forms: list[str], truth: str) -> None:
    """Below all panels, in two rows.

    Parameters
    ----------
    figure : Figure
        Drawn.
    forms : list of str
        That are in it.
    truth : str
        What the reference is called.
    """
    from matplotlib.lines import Line2D

    handles = [Line2D([], [], label=truth, **REFERENCE)]
    handles += [
        Line2D([], [], ms=3, mew=0.6, lw=0.9, label=NAMES[form].replace("r_c", "$r_c$"), **LOOKS[form])
        for form in forms
    ]
    figure.legend(handles=handles, ncols=4, loc="outside lower center", frameon=False)
