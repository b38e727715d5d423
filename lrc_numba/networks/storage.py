"""Networks in files: an ``.npz`` with a version, the settings as JSON and the parameters; no pickle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from ..files import read_npz, replaced

__all__ = ["read_network", "write_network"]

FORMAT, VERSION = "lrc_numba network", 3  # a new one also where the same parameters come to mean another network


def write_network(path: str | Path, settings: dict, parameters: np.ndarray) -> None:
    """Write a file, atomically.

    Parameters
    ----------
    path : str or Path
        Replaced where it exists.
    settings : dict
        What JSON can hold.
    parameters : (n,) float32 or float64
        As they are.

    Raises
    ------
    ValueError
        Where parameters are no numbers; an existing file stays.
    """
    if not np.isfinite(parameters).all():
        raise ValueError(f"parameters: expected finite numbers, got {int((~np.isfinite(parameters)).sum())} others")
    header = json.dumps({"format": FORMAT, "version": VERSION, "settings": settings})
    with replaced(path) as file:
        np.savez(file, header=np.array(header), parameters=parameters)


def read_network(path: str | Path, kind: str) -> tuple[dict, np.ndarray]:
    """Settings and parameters (n,) from a file.

    Parameters
    ----------
    path : str or Path
        What ``write_network`` wrote.
    kind : str
        Which the settings have to name; any where it is empty.

    Raises
    ------
    OSError
        Where there is no such file, or it cannot be read.
    ValueError
        Where it is damaged, of something else, of another version or of a network of another kind.
    """
    header, (parameters,) = read_npz(path, FORMAT, VERSION, ("parameters",))
    settings = header.get("settings")
    if not isinstance(settings, dict):
        raise ValueError(f"path: {path} is damaged (it has no settings)")
    if kind and settings.get("kind") != kind:
        raise ValueError(f"path: expected a {kind} network in {path}, got a {settings.get('kind')} one")
    return settings, parameters
