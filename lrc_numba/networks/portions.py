"""Many structures, some after the other, so that memory is needed for the pairs of some alone."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import numpy as np

from ..geometry.structures import Structures

__all__ = ["in_portions", "of_chosen"]

Value = TypeVar("Value")

AT_ONCE = 16_384  # points: some hundred MB, and enough shares for many threads


def in_portions(structures: Structures, compute: Callable[[Structures, slice], Value]) -> list[Value]:
    """What is computed of some structures after the other.

    Parameters
    ----------
    structures : Structures
        All of them.
    compute : function
        Takes some structures and where their points are among all; errors it raises name structures as among all.
    """
    portions, offsets = structures.portions(AT_ONCE), structures.offsets
    if len(portions) < 2:
        return [compute(structures, slice(None))]
    made = []
    for some in portions:
        points = slice(int(offsets[some.start]), int(offsets[some.stop]))
        made.append(of_chosen(partial(compute, structures[some], points), np.arange(some.start, some.stop)))
    return made


def of_chosen(compute: Callable[[], Value], own: np.ndarray) -> Value:
    """What is computed for some structures; an error names them by their numbers among all.

    Parameters
    ----------
    compute : function
        Without arguments.
    own : (B,) ints
        Numbers of the structures among all.
    """
    try:
        return compute()
    except (MemoryError, ValueError) as wrong:
        named = re.sub(r"structure (\d+)", lambda number: f"structure {own[int(number[1])]}", str(wrong))
        raise (MemoryError if isinstance(wrong, MemoryError) else ValueError)(named) from wrong
