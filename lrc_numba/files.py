"""Files that are there as a whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["replaced", "write_json"]


@contextmanager
def replaced(path: str | Path) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of ``path`` when the block ends, and leaves it alone where that fails.

    Parameters
    ----------
    path : str or Path
        Folders on the way to it are made.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # or a crash of the machine leaves an empty file under the new name
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def write_json(path: str | Path, record: dict) -> None:
    """Write a record as JSON, whole or not at all.

    Parameters
    ----------
    path : str or Path
        Replaced where it exists.
    record : dict
        What JSON can hold.
    """
    with replaced(path) as file:
        file.write((json.dumps(record, indent=1) + "\n").encode())
