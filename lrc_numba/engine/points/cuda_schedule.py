"""Which tiles are spread at the same time: those of one parity along every axis, which share no node.

The rows of a table come sorted by these eight parities (``points.cuda.make_chunks``), so each is a phase, launched
after the one before. On a device that costs next to nothing, and no two blocks ever add to the same node: no atomics,
and every node's terms come in one order.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

__all__ = ["PARITIES", "Phase", "phases", "units"]

Phase = tuple[slice, list[int]]
PARITIES = 8


def units(batch: int, shape: tuple[int, int]) -> int:
    """How many parities there are."""
    return PARITIES


def phases(before: np.ndarray, work: np.ndarray, shape: tuple[int, int], threads: int, smallest: float) -> list[Phase]:
    """Rows of a table for one phase after the other.

    Parameters
    ----------
    before : (9,) int64
        Rows before each parity.
    work, shape, threads, smallest
        Not needed here.
    """
    return [(slice(lo, hi), [0, hi - lo]) for lo, hi in pairwise(before.tolist()) if hi > lo]
