"""Records of trainings: what is committed beside a picture, and outlives the folders in which networks were trained."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .presets import STREAMS

if TYPE_CHECKING:
    from .tasks import Task

__all__ = ["error_of", "last_of", "merged", "rank", "read", "recorded"]

WHOLE = {"expected", "paper", "protocols", "runs", "seeds"}  # of a record of trainings
RUN = {"row", "column", "seed", "key", "polish", "stream", "errors", "seconds", "learned", "losses", "curves"}
RUN |= {"environment"}


def read(path: Path) -> dict | None:
    """A record, or None where there is none.

    Parameters
    ----------
    path : Path
        Of the file.

    Raises
    ------
    SystemExit
        Where the file holds something else.
    """
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as wrong:  # also where it is no text
        raise SystemExit(f"{path}: no JSON, {wrong}") from wrong
    if not isinstance(record, dict) or not all(isinstance(run, dict) for run in _runs(record)):
        raise SystemExit(f"{path}: expected the record of a table or figure, with a list of runs")
    if path.stem != f"{record.get('name')}_{record.get('preset')}":
        whose = f"{record.get('name')}, preset {record.get('preset')}"
        raise SystemExit(f"{path}: expected the record that its name says, got that of {whose}")
    if "environment" not in record:  # of all, where nothing is trained
        missing = (WHOLE - record.keys()).union(*(_missing(run) for run in record.get("runs", ())))
        if missing:
            raise SystemExit(f"{path}: expected the record of a table, and found no {', '.join(sorted(missing))}")
    return record


def _missing(run: dict) -> set[str]:
    return (RUN | ({"development"} if run.get("stream") == "final" else set())) - run.keys()


def _runs(record: dict) -> list:
    runs = record.get("runs", record.get("rows"))
    return runs if isinstance(runs, list) and runs else [None]


def last_of(stages: dict) -> dict:
    """What belongs to the last stage of a training.

    Parameters
    ----------
    stages : dict
        "adam" or "start", which is what a polish without Adam begins with, and "polished", where there is a polish.
    """
    return stages["polished"] if "polished" in stages else next(iter(stages.values()))


def error_of(tests: Mapping[str, dict], test: str | None = None) -> float:
    """Relative error of forces on a test: the root mean square over its sets, which are of one size.

    Parameters
    ----------
    tests : dict
        Of a stage of a training: errors of every set, by the name of the test and the metric.
    test : str, optional
        Which; the first by default.
    """
    sets = tests[next(iter(tests)) if test is None else test]["true"]
    return float(np.sqrt(np.mean(np.square(sets))))


def recorded(path: Path) -> dict[tuple[str, int], dict]:
    """Runs of a record that were evaluated on the final tests, by key and iterations of the polish.

    Parameters
    ----------
    path : Path
        Of the record, which need not be there.
    """
    runs = [run for run in (read(path) or {}).get("runs", ()) if run.get("stream") == "final"]
    return {(run["key"], run["polish"]): run | {"table": path.stem} for run in runs}


def rank(run: dict) -> int:
    """How much a run says: 2 on the present final tests, 1 on former ones, 0 on those of the development.

    Parameters
    ----------
    run : dict
        Of a record.
    """
    return (run["stream"] == "final") + (run.get("final_stream") == STREAMS["final"])


def merged(record: dict, earlier: dict, tasks: Sequence[Task]) -> dict:
    """A record with the runs of an earlier one that it has not, or that say more there, see ``rank``.

    Parameters
    ----------
    record, earlier : dict
        Of one table and preset.
    tasks : sequence of Task
        All that the table has, of all seeds of both, in its order; runs of other tasks are left behind.
    """

    def of(run: dict) -> tuple[int, str, str]:
        return run["seed"], run["row"], run["column"]

    keys = {(task.seed, task.row, task.column): task.key for task in tasks}
    runs = {of(run): run for run in record["runs"]}
    for run in earlier["runs"]:
        made = runs.get(of(run))
        better = made is None or rank(run) > rank(made)
        if better and of(run) in keys and keys[of(run)] == run.get("key"):
            runs[of(run)] = run
    protocols = record["protocols"] + [each for each in earlier["protocols"] if each not in record["protocols"]]
    seeds = sorted({*record["seeds"], *(run["seed"] for run in runs.values())})
    expected = sum(task.seed in seeds for task in tasks)
    ordered = [runs[place] for place in keys if place in runs]
    return record | {"runs": ordered, "seeds": seeds, "protocols": protocols, "expected": expected}
