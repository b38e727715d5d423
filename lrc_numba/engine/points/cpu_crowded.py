"""Sort the points of crowded tiles once more, by the first node under their windows: for ``spreading.cpu_crowded``."""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import kernel


@kernel
def invert(part, lo, hi, places, order):
    """The index of each sorted point among those given.

    Parameters
    ----------
    part, lo, hi : int
        The range of points as given.
    places : (B·N,) int32
        Where each stands among the sorted ones.
    order : (B·N,) int32
        Written.
    """
    for i in range(lo, hi):
        order[places[i]] = i


@kernel
def sort(part, lo, hi, chunks, tile, coordinates, order, places):
    """Sort points by the first node under their windows: a stable counting sort of each of ``chunks[lo:hi]``.

    Parameters
    ----------
    part, lo, hi : int
        The range of chunks.
    chunks : (n, 7) int64
        Heavy ones, see ``points.make_chunks``.
    tile : (int, int, int)
        Nodes per tile.
    coordinates : (B·N, 3) float64
        Changed.
    order : (B·N,) int32
        From ``invert``; what it says is that of the points before.
    places : (B·N,) int32
        Changed.
    """
    counts = np.empty(tile[0] * tile[1] * tile[2] + 1, dtype=np.int64)
    for c in range(lo, hi):
        begin, end = chunks[c, 0], chunks[c, 1]
        keys, unsorted = np.empty(end - begin, dtype=np.int64), coordinates[begin:end].copy()
        counts[:] = 0
        for i in range(end - begin):
            key = (int(unsorted[i, 0]) - chunks[c, 4]) * tile[1] + int(unsorted[i, 1]) - chunks[c, 5]
            key = key * tile[2] + int(unsorted[i, 2]) - chunks[c, 6]
            keys[i] = key
            counts[key + 1] += 1
        for key in range(len(counts) - 1):
            counts[key + 1] += counts[key]
        for i in range(end - begin):
            q = begin + counts[keys[i]]
            counts[keys[i]] += 1
            places[order[begin + i]] = q
            for axis in range(3):
                coordinates[q, axis] = unsorted[i, axis]
