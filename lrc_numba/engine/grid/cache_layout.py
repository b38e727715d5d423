"""How the rows of a padded grid lie in a cache: which sizes share its sets evenly."""

from __future__ import annotations

from functools import lru_cache
from math import prod

import numpy as np

__all__ = ["spread_out", "unevenness"]

LINE = 64  # bytes of a line of a cache
UNEVEN = 0.3  # what unevenness is worth, as a part of the bytes of a grid; 0.2 chooses nearly the same


def unevenness(plane: int, row: int, width: int, length: int, sets: int) -> float:
    """How unevenly what lies under a window goes to the sets of a cache: the variance of their loads, over the mean².

    Parameters
    ----------
    plane, row : int
        Bytes from one to the next.
    width : int
        Rows per plane, and planes.
    length : int
        Bytes of a row.
    sets : int
        Of the cache.
    """
    steps = np.arange(width)
    rows = (steps[:, None] * plane + steps * row).ravel()
    lines = [(rows + s) // LINE + i for s in range(0, LINE, 8) for i in range(1 + (s + length - 1) // LINE)]
    loads = np.bincount(np.concatenate(lines) % sets, minlength=sets)
    return float(loads.var() / loads.mean() ** 2)


@lru_cache(maxsize=256)
def spread_out(rows: int, last: int, width: int, length: int, sets: int, itemsize: int) -> tuple[int, int]:
    """Rows of a plane and their nodes, a little more than asked for: what a window covers is to stay in the cache.

    Where planes were a multiple of the bytes of one way of the cache (64 rows of 640 bytes), what one point of a
    gradient covers had to share a few sets with what the point before left: it took 1.4 times as long.

    Parameters
    ----------
    rows, last : int
        At least so many.
    width, length, sets
        As for ``unevenness``.
    itemsize : int
        Bytes of a number.
    """

    def _cost(shape: tuple[int, int]) -> float:
        row = shape[1] * itemsize
        return prod(shape) / (rows * last) + UNEVEN * unevenness(shape[0] * row, row, width, length, sets)

    return min(((rows + i, last + j) for i in range(5) for j in (0, 8)), key=_cost)
