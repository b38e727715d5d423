"""Arrays of the files that --data names, and what is said where these are something else."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

__all__ = ["array_names", "read_arrays", "shortened"]

SHOWN = 6  # names in a message


def _opened(path: Path, names: Iterable[str] | None) -> dict[str, np.ndarray | None]:
    """Arrays by name, of all that a file has where ``names`` is None, and then without reading them."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if names is None:
                return dict.fromkeys(file.files)
            return {name: file[name] for name in names if name in file.files}
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as wrong:  # text, another archive, a single array, pickled objects: they fail in many ways
        raise ValueError(f"--data: {path} is no .npz of numbers") from wrong


def array_names(path: Path) -> list[str]:
    """Names of the arrays of a file.

    Parameters
    ----------
    path : Path
        Of an .npz file.

    Raises
    ------
    ValueError
        Where it is none.
    """
    return list(_opened(path, None))


def read_arrays(path: Path, names: Iterable[str]) -> list[np.ndarray]:
    """Some arrays of a file.

    Parameters
    ----------
    path : Path
        Of an .npz file.
    names : iterable of str
        Which.

    Raises
    ------
    ValueError
        Where it is none, or has no such array.
    """
    arrays = _opened(path, names := list(names))
    if missing := [name for name in names if name not in arrays]:
        raise ValueError(f"--data: expected {missing[0]} in {path}, got {shortened(array_names(path))}")
    return [np.asarray(arrays[name]) for name in names]


def shortened(names: Iterable[str]) -> str:
    """Names for a message, of many the first alone.

    Parameters
    ----------
    names : iterable of str
        All of them.
    """
    every = sorted(names)
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return (", ".join(every[:SHOWN]) or "nothing") + more
