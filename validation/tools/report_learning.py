"""Tables of trainings for the page of ``validation.report``: as the scripts printed them, which record their lines."""

from __future__ import annotations

from .report_tables import Lines, table

__all__ = ["recorded"]


def recorded(record: dict) -> Lines:
    """The title and the table of a script."""
    yield f"{record['title']}.\n"
    yield from table(record["header"], record["lines"])
