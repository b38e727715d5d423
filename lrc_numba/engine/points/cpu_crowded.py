"""Sort the points of crowded tiles once more, by the first node under their windows: for ``spreading.cpu_crowded``.

Which thread may write what: ``invert`` writes the entries of ``order`` of its points; ``sort`` what belongs to the
points of its chunks. Arrays are those of the glossary in ``lrc_numba.engine``.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import kernel
from .indexing import FIRST_NODE, LAST_NODE, SECOND_NODE, START, STOP


@kernel
def invert(part, lo, hi, sorted_position, order):
    """Write the index among the given points of each sorted point to ``order``, for the given points [lo, hi)."""
    for i in range(lo, hi):
        order[sorted_position[i]] = i


@kernel
def sort(part, lo, hi, chunks, tile, coordinates, order, sorted_position):
    """Sort points by the first node under their windows: a stable counting sort of each of ``chunks[lo:hi]``.

    ``tile`` has the nodes per tile; ``order``, from ``invert``, is that of the points before; ``coordinates`` and
    ``sorted_position`` are changed.
    """
    counts = np.empty(tile[0] * tile[1] * tile[2] + 1, dtype=np.int64)
    for c in range(lo, hi):
        begin, end = chunks[c, START], chunks[c, STOP]
        keys, unsorted = np.empty(end - begin, dtype=np.int64), coordinates[begin:end].copy()
        counts[:] = 0
        for i in range(end - begin):
            key = (int(unsorted[i, 0]) - chunks[c, FIRST_NODE]) * tile[1] + int(unsorted[i, 1]) - chunks[c, SECOND_NODE]
            key = key * tile[2] + int(unsorted[i, 2]) - chunks[c, LAST_NODE]
            keys[i] = key
            counts[key + 1] += 1
        for key in range(len(counts) - 1):
            counts[key + 1] += counts[key]
        for i in range(end - begin):
            q = begin + counts[keys[i]]
            counts[keys[i]] += 1
            sorted_position[order[begin + i]] = q
            for axis in range(3):
                coordinates[q, axis] = unsorted[i, axis]
