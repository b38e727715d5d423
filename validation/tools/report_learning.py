"""Tables of trainings for the page of ``validation.report``: as the scripts printed them, which record their lines."""

from __future__ import annotations

import numpy as np

from ..systems.dimers import GOALS
from .forms import NAMES
from .report_tables import Lines, table

__all__ = ["dimers", "recorded"]


def recorded(record: dict) -> Lines:
    """The title and the table of a script, and of which calls its rows are where there were several."""
    yield f"{record['title']}.\n"
    yield from table(record["header"], record["lines"])
    for call in record.get("earlier", []):
        rows = ", ".join(dict.fromkeys(row for row, _ in call["made"]))
        yield f"Of an earlier call, `{call['command']}`, {call['date']}: runs of {rows}.\n"


def dimers(record: dict) -> Lines:
    """The same, and whether the form that comes nearest to its goals keeps them."""
    yield from recorded(record)
    runs = record["runs"]["all"]
    rows = dict.fromkeys(run["row"] for run in runs)
    medians = {
        row: {name: float(np.median([run[name] for run in runs if run["row"] == row])) for name in GOALS}
        for row in rows
    }
    best = min(medians, key=lambda row: max(medians[row][name] / goal for name, goal in GOALS.items()))
    told = []
    for name, goal in GOALS.items():
        what, unit = (name, "meV/A") if name.endswith("forces") else (f"{name} energies", "meV")
        value = medians[best][name]
        told.append(f"{what} {value:.1f} {unit}, asked for at most {goal:g}: {'kept' if value <= goal else 'not kept'}")
    yield f"Nearest to what was asked is {NAMES[best]}, medians over the seeds: {'; '.join(told)}.\n"
