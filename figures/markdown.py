"""Markdown for ``figures.report``: paragraphs, tables and ranges of numbers."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

__all__ = ["fill", "span", "table"]

GLUE = "\N{WORD JOINER}"


def fill(text: str) -> str:
    """A paragraph, or an item of a list, in lines of at most 118 characters.

    Parameters
    ----------
    text : str
        Of one line; code in it is not broken.
    """
    indent = "  " if text.startswith("- ") else ""
    options = {"break_long_words": False, "break_on_hyphens": False, "subsequent_indent": indent}
    whole = re.sub("`[^`]*`", lambda code: code[0].replace(" ", GLUE), text)
    return textwrap.fill(whole, 118, **options).replace(GLUE, " ") + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with a header.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence of str
        Cells.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def span(numbers: Sequence[float]) -> str:
    """The smallest and the largest, or the one."""
    low, high = (f"{number:#.2g}" for number in (min(numbers), max(numbers)))
    return low if low == high else f"{low} to {high}"
