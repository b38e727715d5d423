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
    missed = [
        f"{r['ratio']['same modes']:.1f} times as fast at sigma {r['sigma']:g}, goal {goal:g}"
        for r in record.get("sums", [])
        if (goal := record["goals"].get(f"{r['sigma']:g}", 0.0)) > r["ratio"]["same modes"]
    ]
    if missed:
        yield (
            "Goals are for the sum over the modes of 1e-5. Not kept against the sum over the modes of eps, which are "
            f"those of the layer: {'; '.join(missed)}.\n"
        )
    yield "".join(f"Not kept: {line}. " for line in record["missed"]).rstrip() + "\n"
