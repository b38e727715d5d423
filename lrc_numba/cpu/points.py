"""Fold points into the cell and sort them by tile: a stable counting sort in two passes.

Both passes compute the grid coordinates from the points (a few multiplications), which is cheaper than writing them out
unsorted and reading them back. Thread p counts and places the p-th range of points; the positions it writes to are its
own, because the counts of earlier ranges are added in front. The order is that of a stable sort, whatever the number of
threads.
"""

from __future__ import annotations

from numba import njit

from .. import indexing
from .parallel import COMPILE

first_node = njit(forceinline=True, **COMPILE)(indexing.first_node)
tile_key = njit(forceinline=True, **COMPILE)(indexing.tile_key)


@njit(forceinline=True, **COMPILE)
def _coordinate(points, i, axis, inverse, nodes, shift):
    dim = points.shape[1]
    fraction = 0.0
    for b in range(dim):
        fraction += points[i, b] * inverse[b, axis]
    return first_node(fraction, nodes[3 - dim + axis], shift)


@njit(**COMPILE)
def count_tiles(part, lo, hi, points, batch, inverse, nodes, shift, tile, tiles, keys, counts):
    """Write ``keys[lo:hi]`` and the histogram ``counts[part]``; points are (B·N, d), ``batch`` is (B, N)."""
    dim = points.shape[1]
    histogram = counts[part]
    for i in range(lo, hi):
        third = int(_coordinate(points, i, dim - 1, inverse, nodes, shift))
        second = int(_coordinate(points, i, dim - 2, inverse, nodes, shift)) if dim > 1 else 0
        first = int(_coordinate(points, i, dim - 3, inverse, nodes, shift)) if dim > 2 else 0
        key = tile_key(first, second, third, (i // batch[1], batch[0]), tile, tiles)
        keys[i] = key
        histogram[key] += 1


@njit(**COMPILE)
def accumulate(counts, offsets):
    """Turn ``counts`` (parts, keys) into the positions where each part writes each key; ``offsets`` (keys + 1,)."""
    position = 0
    for key in range(counts.shape[1]):
        offsets[key] = position
        for part in range(counts.shape[0]):
            here = counts[part, key]
            counts[part, key] = position
            position += here
    offsets[counts.shape[1]] = position


@njit(**COMPILE)
def place_points(part, lo, hi, points, inverse, nodes, shift, keys, counts, coordinates, order):
    """Scatter grid coordinates (B·N, d) and original indices (B·N,) to their sorted positions."""
    dim = points.shape[1]
    positions = counts[part]
    for i in range(lo, hi):
        q = positions[keys[i]]
        positions[keys[i]] = q + 1
        order[q] = i
        for axis in range(dim):
            coordinates[q, axis] = _coordinate(points, i, axis, inverse, nodes, shift)


@njit(**COMPILE)
def make_chunks(offsets, batches, tile, tiles, scratch, largest, chunks, light, heavy, merges, rounds):
    """Cut the sorted points into chunks of at most ``largest`` points of one tile.

    Rows: ``chunks`` (start, stop, snapshot, 0) for all; ``light`` the same for tiles with one chunk; ``heavy``
    (start, stop, slot, −origin in the scratch block) and ``merges`` (first slot, slots, snapshot, first, second and
    third node of the tile) for tiles with several. ``rounds`` (9, 2): where each round begins in ``light`` and
    ``merges``. Returns the four lengths.
    """
    n_chunks, n_light, n_heavy, n_merges = 0, 0, 0, 0
    half = ((tiles[0] + 1) // 2, (tiles[1] + 1) // 2, (tiles[2] + 1) // 2)
    per_batch = half[0] * half[1] * half[2]
    per_round = per_batch * batches
    for key in range(len(offsets) - 1):
        if key % per_round == 0:
            rounds[key // per_round, 0], rounds[key // per_round, 1] = n_light, n_merges
        start, stop = offsets[key], offsets[key + 1]
        if start == stop:
            continue
        snapshot = key % per_round // per_batch
        slots = (stop - start + largest - 1) // largest
        if slots == 1:
            light[n_light] = (start, stop, snapshot, 0)
            n_light += 1
        else:
            parity, within = key // per_round, key % per_batch
            first = (2 * (within // (half[1] * half[2])) + parity // 4) * tile[0]
            second = (2 * (within // half[2] % half[1]) + parity // 2 % 2) * tile[1]
            third = (2 * (within % half[2]) + parity % 2) * tile[2]
            merges[n_merges] = (n_heavy, slots, snapshot, first, second, third)
            n_merges += 1
            origin = (first * scratch[1] + second) * scratch[2] + third
        for s in range(slots):
            lo, hi = start + (stop - start) * s // slots, start + (stop - start) * (s + 1) // slots
            chunks[n_chunks] = (lo, hi, snapshot, 0)
            n_chunks += 1
            if slots > 1:
                heavy[n_heavy] = (lo, hi, n_heavy, -origin)
                n_heavy += 1
    rounds[8] = (n_light, n_merges)
    return n_chunks, n_light, n_heavy, n_merges


@njit(**COMPILE)
def gather(part, lo, hi, order, values, first, out):
    """out[i, first:] = values[order[i]]: bring values into sorted order.

    A pass of its own, because here many scattered reads are under way at once; inside the spreading loop each would
    hold up a whole point.
    """
    for i in range(lo, hi):
        for channel in range(values.shape[1]):
            out[i, first + channel] = values[order[i], channel]
