"""Atomic writes, and reading of ``.npz`` files that have a header in JSON."""

from __future__ import annotations

import glob
import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

__all__ = ["read_npz", "remove_unfinished", "replaced", "write_json"]


@contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """Write atomically: the file that the block writes replaces ``path`` when the block ends without an error.

    Parameters
    ----------
    path : str or Path
        Folders on the way to it are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_unfinished(path)
    unfinished = path.with_name(f"{_unfinished(path)}{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine leaves an empty file under the new name
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _unfinished(path: Path) -> str:
    """Prefix of the names of unfinished files of ``path`` on this machine; the number of the process follows."""
    return f".{path.name}.{platform.node()}."


def remove_unfinished(path: str | Path) -> None:
    """Remove files left by processes of this machine that were killed in an atomic write of ``path``.

    Parameters
    ----------
    path : str or Path
        The file they were to replace, which is not looked at.
    """
    path = Path(path)
    begin = _unfinished(path)
    for left in path.parent.glob(f"{glob.escape(begin)}*"):
        process = left.name[len(begin) :]
        if process.isdecimal() and not _runs(int(process)):
            left.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    """Whether a process of this number exists."""
    try:
        os.kill(process, 0)  # asks only
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # of another user
        return True
    return True


def write_json(path: str | Path, record: dict) -> None:
    """Write a record as JSON, atomically.

    Parameters
    ----------
    path : str or Path
        Replaced where it exists.
    record : dict
        What JSON can hold.
    """
    with replaced(path) as file:
        file.write((json.dumps(record, indent=1) + "\n").encode())


def read_npz(
    path: str | Path, format: str, version: int, names: tuple[str, ...], header: str = "header", argument: str = "path"
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """Header and arrays of an ``.npz`` file without pickled objects.

    Parameters
    ----------
    path : str or Path
        The file.
    format : str
        The format that a header may name; it may also name none.
    version : int
        The version that the header has to name.
    names : tuple of str
        Arrays to read.
    header : str
        Name of the entry with the header, a JSON object.
    argument : str
        What to call the path in a message.

    Raises
    ------
    OSError
        Where there is no such file, or it cannot be read.
    ValueError
        Where it is damaged, of another format or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            about = dict(json.loads(str(file[header])))
            known = about.get("format", format) == format and about.get("version") == version
            arrays = [file[name] for name in names] if known else []
    except (FileNotFoundError, IsADirectoryError, PermissionError):
        raise
    except Exception as wrong:  # zip, JSON, array: a damaged file fails in many ways
        raise ValueError(f"{argument}: {path} is damaged, or no {format}") from wrong  # NumPy's words are of pickles
    if about.get("format", format) != format:
        raise ValueError(f"{argument}: {path} is no {format}, but {about['format']!r}")
    if not known:
        raise ValueError(f"{argument}: expected version {version} in {path}, got {about.get('version')}")
    return about, arrays
