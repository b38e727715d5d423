"""Forces of random point charges, as ``validation.point_charges`` has them: with their core, and without it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np

from lrc_numba.networks import MessagePassingNetwork

from ..point_charges import CUTOFF, LEARNED, STEPS, TESTED, errors, read, recipe_for
from ..tools.forms import COLOURS, NAMES, System, Task
from ..tools.learning import usual_steps

__all__ = ["point_charges"]

REHEARSED = 30  # frames of the first 40


def draw(results: dict[str, list[dict]], path: Path) -> None:
    """Relative errors of all seeds."""
    import matplotlib.pyplot as plt

    rows = list(dict.fromkeys(run["row"] for runs in results.values() for run in runs))
    figure, axis = plt.subplots(figsize=(6, 3.2), layout="constrained")
    for number, (task, runs) in enumerate(results.items()):
        for row in rows:
            values = [100 * run["test"] for run in runs if run["row"] == row]
            mark = dict(marker="o^"[number], ls="", color=COLOURS[row], label=task if row == rows[0] else None)
            axis.plot([rows.index(row) + 0.2 * (number - 0.5)] * len(values), values, **mark)
    axis.set_xticks(
        range(len(rows)), [NAMES[row].replace(", ", "\n").replace(" + ", "\n+ ") for row in rows], fontsize=8
    )
    axis.set_yscale("log")
    axis.grid(axis="y", color="0.9", which="both")
    axis.set_ylabel("relative RMS error of forces (%)")
    axis.legend(fontsize=8)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def point_charges(path: Path, args: Namespace) -> System:
    """Both tasks.

    Parameters
    ----------
    path : Path
        Of point_charges.npz.
    args : Namespace
        Of ``validation.long_range``.
    """
    tasks = {}
    for name, without_core in (("with core", False), ("without core", True)):
        frames = read(path, without_core)
        learned, tested = frames[:LEARNED], frames[-TESTED:]
        if args.rehearse:
            learned, tested = frames[:REHEARSED], frames[REHEARSED:LEARNED]
        recipe = recipe_for(learned, args, pairs=not without_core)

        def measure(network: MessagePassingNetwork, learned=learned, tested=tested) -> dict:
            """Of these frames."""
            return errors(network, learned, tested)

        tasks[name] = Task(learned, recipe, measure, {"core": None if without_core else 1.0})
    return System(
        name="long_range_point_charges",
        title="Relative RMS error of forces: median (and range) over seeds",
        species=np.array([1, 2]),
        cutoff=CUTOFF,
        settings={"channels": 16, "basis": 10, "rounds": 1, "dtype": np.float32},
        features=16,
        tasks=tasks,
        columns={"train": "train (%)", "test": "test (%)"},
        draw=draw,
        usual_steps=usual_steps(args, *STEPS),
        scale=100.0,
        digits=2,
        prefactor=1.0,
        total_charge=0.0,
    )
