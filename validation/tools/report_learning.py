"""Tables of trainings for the page of ``validation.report``: as the scripts printed them, which record their lines."""

from __future__ import annotations

from .report_tables import Lines, table

__all__ = ["recorded"]


def recorded(record: dict) -> Lines:
    """The title and the table of a script, and of which calls its rows are where there were several."""
    yield f"{record['title']}.\n"
    yield from table(record["header"], record["lines"])
    for call in record.get("earlier", []):
        rows = ", ".join(dict.fromkeys(row for row, _ in call["made"]))
        yield f"Of an earlier call, `{call['command']}`, {call['date']}: runs of {rows}.\n"
