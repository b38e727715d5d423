"""Records of trainings: what is committed beside a picture, and outlives the folders in which networks were trained."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

__all__ = ["last_of", "merged", "read", "recorded"]


def read(path: Path) -> dict | None:
    """A record, or None where there is none.

    Parameters
    ----------
    path : Path
        Of the file.
    """
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def last_of(stages: dict) -> dict:
    """What belongs to the last stage of a training.

    Parameters
    ----------
    stages : dict
        "adam" or "start", which is what a polish without Adam begins with, and "polished", where there is a polish.
    """
    return stages["polished"] if "polished" in stages else next(iter(stages.values()))


def recorded(path: Path) -> dict[tuple[str, int], dict]:
    """Runs of a record that were evaluated on the final tests, by key and iterations of the polish.

    Parameters
    ----------
    path : Path
        Of the record, which need not be there.
    """
    runs = [run for run in (read(path) or {}).get("runs", ()) if run.get("stream") == "final" and "polish" in run]
    return {(run["key"], run["polish"]): run for run in runs}


def merged(record: dict, earlier: dict, places: Sequence[tuple[str, str]]) -> dict:
    """A record with the runs of an earlier one that it has not, or has not evaluated on the final tests.

    Parameters
    ----------
    record, earlier : dict
        Of one table and preset.
    places : sequence of (str, str)
        Rows and columns that the table still has, in its order; others are left behind.
    """

    def of(run: dict) -> tuple[int, str, str]:
        return run["seed"], run["row"], run["column"]

    runs = {of(run): run for run in record["runs"]}
    for run in earlier["runs"]:
        made = runs.get(of(run))
        better = made is None or (run["stream"] == "final" and made["stream"] != "final")
        if better and (run["row"], run["column"]) in places:
            runs[of(run)] = run
    seeds = sorted({*record["seeds"], *(run["seed"] for run in runs.values())})
    protocols = record["protocols"] + [each for each in earlier["protocols"] if each not in record["protocols"]]
    ordered = sorted(runs.values(), key=lambda run: (run["seed"], places.index((run["row"], run["column"]))))
    return record | {"runs": ordered, "seeds": seeds, "protocols": protocols, "expected": len(places) * len(seeds)}
