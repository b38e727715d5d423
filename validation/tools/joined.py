"""A record of trainings that is made in several calls: runs of this one beside those that are on file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

__all__ = ["joined"]


def joined(
    path: Path, results: dict[str, list[dict]], about: dict[str, dict], rows: Sequence[str]
) -> tuple[dict[str, list[dict]], list[dict]]:
    """Runs of this call, and those on file of other rows and seeds that were trained in the same way.

    Parameters
    ----------
    path : Path
        Of the record, which may not be there yet.
    results : dict of str to list of dict
        Runs of this call, by task.
    about : dict of str to dict
        How each task is learned, as the record has it under "recipes". A record without them tells by its "steps".
    rows : sequence of str
        All that there may be, in the order of the table.

    Returns
    -------
    dict of str to list of dict
        All runs, by task, seed after seed.
    list of dict
        Of those on file: "made", pairs of row and seed, with the "command" and the "date" of their call.
    """
    stored = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    runs, kept = {}, set()
    for task, own in results.items():
        made = {(run["row"], run["seed"]) for run in own}
        earlier = [
            run
            for run in (stored.get("runs", {}).get(task, []) if _alike(stored, task, about[task]) else [])
            if run["row"] in rows and (run["row"], run["seed"]) not in made
        ]
        kept |= {(run["row"], run["seed"]) for run in earlier}
        runs[task] = sorted([*own, *earlier], key=lambda run: (run["seed"], rows.index(run["row"])))
    return runs, _origins(stored, kept)


def _alike(stored: dict, task: str, about: dict) -> bool:
    """Whether the runs on file were trained in this way, as far as the record tells."""
    if "recipes" in stored:
        return stored["recipes"].get(task) == json.loads(json.dumps(about))
    return stored.get("steps", {}).get(task) == about["steps"]


def _origins(stored: dict, kept: set[tuple[str, int]]) -> list[dict]:
    """By which calls the runs were made that are kept."""
    entries, told = list(stored.get("earlier", [])), set()
    for entry in entries:
        told |= {tuple(pair) for pair in entry["made"]}
    own = {name: stored.get("environment", {}).get(name, "not recorded") for name in ("command", "date")}
    entries.append(own | {"made": sorted(kept - told)})
    cut = [entry | {"made": [list(pair) for pair in entry["made"] if tuple(pair) in kept]} for entry in entries]
    return [entry for entry in cut if entry["made"]]
