"""Tables of trainings for the page of ``validation.report``: as the scripts printed them, which record their lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ..systems.dimers import GOALS
from .forms import NAMES
from .report_tables import Lines, table

__all__ = ["CHARGES", "DIMERS", "IONS", "SN2", "Goal", "judged", "recorded"]


def recorded(record: dict) -> Lines:
    """The title and the table of a script, and of which calls its rows are where there were several."""
    yield f"{record['title']}.\n"
    yield from table(record["header"], record["lines"])
    for call in record.get("earlier", []):
        rows = ", ".join(dict.fromkeys(row for row, _ in call["made"]))
        yield f"Of an earlier call, `{call['command']}`, {call['date']}: runs of {rows}.\n"


@dataclass(frozen=True)
class Goal:
    """What is asked of a form of long range: of which task, which number of a run, at most how much, in which unit."""

    task: str
    name: str
    words: str
    most: float
    unit: str
    scale: float = 1.0


DIMERS = tuple(
    Goal("all", name, *((name, goal, "meV/A") if name.endswith("forces") else (f"{name} energies", goal, "meV")))
    for name, goal in GOALS.items()
)
SN2 = (
    Goal("every fourth", "others", "the others", 2.0, "meV"),
    Goal("every fourth", "far", "beyond 6 A", 1.5, "meV"),
    Goal("every fourth", "rigid", "rigid", 2.5, "meV"),
)
CHARGES = (
    Goal("with core", "test", "with the core", 3.0, "%", 100.0),
    Goal("without core", "test", "without it", 1.0, "%", 100.0),
)
IONS = (Goal("all", "energy", "energies", 2.5, "meV per ion"), Goal("all", "forces", "forces", 71.6, "meV/A"))


def judged(goals: Sequence[Goal]) -> Callable[[dict], Lines]:
    """What writes the same, and whether the form that comes nearest to its goals keeps them.

    Parameters
    ----------
    goals : sequence of Goal
        All of which one form is to keep.
    """

    def write(record: dict) -> Lines:
        yield from recorded(record)
        rows = dict.fromkeys(run["row"] for runs in record["runs"].values() for run in runs)
        medians = {row: [_median(record["runs"][goal.task], row, goal) for goal in goals] for row in rows}
        best = min(medians, key=lambda row: max(v / goal.most for v, goal in zip(medians[row], goals, strict=True)))
        told = [
            f"{goal.words} {value:{'.1f' if value >= 1 else '.2g'}} {goal.unit}, asked for at most {goal.most:g}: "
            + ("kept" if value <= goal.most else "not kept")
            for value, goal in zip(medians[best], goals, strict=True)
        ]
        yield f"Nearest to what was asked is {NAMES[best]}, medians over the seeds: {'; '.join(told)}.\n"

    return write


def _median(runs: list[dict], row: str, goal: Goal) -> float:
    return goal.scale * float(np.median([run[goal.name] for run in runs if run["row"] == row]))
