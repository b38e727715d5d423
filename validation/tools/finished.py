"""Runs of a script that are done, so that one that was interrupted goes on after them."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import lrc_numba
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import MessagePassingNetwork

if TYPE_CHECKING:
    from .learning import Recipe

__all__ = ["Finished"]


class Finished:
    """Runs that are done, a line of JSON each, so that a script that was interrupted goes on after them.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError
        Naming file and line, where one is no run.
    """

    def __init__(self, path: Path):
        self.path, self.runs = path, {}
        lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                self.runs[record["key"]] = record["run"]
            except (ValueError, TypeError, KeyError):
                raise ValueError(f"{path}: line {number} is no run; without the line it is trained anew") from None

    @staticmethod
    def key(network: MessagePassingNetwork, data: Structures, recipe: Recipe) -> str:
        """What a run depends on: an untrained network, data, recipe, and the sources of the package."""
        arrays = [network.parameters.flat, *(getattr(data, each.name) for each in fields(data))]
        digest = sha256(json.dumps([network.settings(), asdict(recipe)], sort_keys=True).encode())
        for source in sorted(Path(lrc_numba.__file__).parent.rglob("*.py")):
            digest.update(source.read_bytes())
        for array in arrays:
            digest.update(b"" if array is None else array.tobytes())
        return digest.hexdigest()[:16]

    def add(self, key: str, run: dict) -> None:
        """Write a run down."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"key": key, "run": run}) + "\n")
