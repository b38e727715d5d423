"""Tables of ``validation.attention`` for the page of ``validation.report``."""

from __future__ import annotations

from ..attention import TABLES
from .report_tables import Lines, table

__all__ = ["attention"]


def attention(record: dict) -> Lines:
    """A table for each part, and what is missed."""
    for part, (title, write) in TABLES.items():
        if record.get(part):
            header, lines = write(record[part])
            yield f"{title}.\n"
            yield from table(header, [["-" if cell is None else cell for cell in line] for line in lines])
    yield "".join(f"Not kept: {line}. " for line in record["missed"]).rstrip() + "\n"
