"""Fold points into the cell and sort them by tile: a stable counting sort in two passes.

Both passes compute the grid coordinates from the points (a few multiplications), which is cheaper than writing them out
unsorted and reading them back. Thread p counts and places the p-th range of points; the positions it writes to are its
own, because the counts of earlier ranges are added in front. The order is that of a stable sort, whatever the number of
threads.
"""

from __future__ import annotations

from .. import indexing
from .compile import inlined, kernel

first_node = inlined(indexing.first_node)
tile_key = inlined(indexing.tile_key)


@inlined
def _coordinate(points, i, axis, inverse, nodes, shift):
    dim = points.shape[1]
    fraction = 0.0
    for b in range(dim):
        fraction += points[i, b] * inverse[b, axis]
    return first_node(fraction, nodes[3 - dim + axis], shift)


@kernel
def count_tiles(part, lo, hi, points, batch, inverse, nodes, shift, shifts, halves, keys, counts, lost):
    """Write ``keys[lo:hi]`` and the histogram ``counts[part]``.

    Parameters
    ----------
    part, lo, hi : int
        Which range of points.
    points : (B·N, d)
        Positions, units of length.
    batch : (int, int)
        B and N.
    inverse : (d, d) float64
        Takes points to fractional coordinates.
    nodes : (int, int, int)
        Grid nodes per axis.
    shift : float
        See ``indexing.first_node``.
    shifts, halves : (int, int, int)
        See ``indexing.tile_key``.
    keys : (B·N,) int32
        Written.
    counts : (parts, number of keys) int64
        Added to.
    lost : (parts,) int64
        Set to the index of a point that is too far away to have a place in the cell.
    """
    dim = points.shape[1]
    histogram = counts[part]
    snapshot = lo // batch[1]
    left = (snapshot + 1) * batch[1] - lo
    second, first = 0, 0
    for i in range(lo, hi):
        if left == 0:
            snapshot += 1
            left = batch[1]
        left -= 1
        third = int(_coordinate(points, i, dim - 1, inverse, nodes, shift))
        if dim > 1:
            second = int(_coordinate(points, i, dim - 2, inverse, nodes, shift))
        if dim > 2:
            first = int(_coordinate(points, i, dim - 3, inverse, nodes, shift))
        if min(first, second, third) < 0:
            lost[part] = i
            continue
        key = tile_key(first, second, third, snapshot, batch[0], shifts, halves)
        keys[i] = key
        histogram[key] += 1


@kernel
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


@kernel
def place_points(part, lo, hi, points, inverse, nodes, shift, keys, counts, coordinates, order):
    """Scatter grid coordinates and original indices to their sorted positions.

    Parameters
    ----------
    part, lo, hi, points, inverse, nodes, shift, keys
        As for ``count_tiles``.
    counts : (parts, number of keys) int64
        From ``accumulate``: where each part writes each key next.
    coordinates : (B·N, d) float64
        Written.
    order : (B·N,) int32
        Written.
    """
    dim = points.shape[1]
    positions = counts[part]
    for i in range(lo, hi):
        q = positions[keys[i]]
        positions[keys[i]] = q + 1
        order[q] = i
        for axis in range(dim):
            coordinates[q, axis] = _coordinate(points, i, axis, inverse, nodes, shift)


@kernel
def make_chunks(offsets, batches, tile, halves, scratch, largest, chunks, light, heavy, merges, rounds):
    """Cut the sorted points into chunks of at most ``largest`` points of one tile.

    Parameters
    ----------
    offsets : (keys + 1,) int64
        Where each key begins among the sorted points.
    batches : int
        Number of snapshots.
    tile, halves : (int, int, int)
        Nodes per tile, and half the tiles per axis, rounded up.
    scratch : (int, int, int)
        Nodes of a scratch block.
    largest : int
        Points per chunk.
    chunks, light : (n, 4) int64
        Written: start, stop, snapshot, 0 for all chunks, and for those that are the only one of their tile.
    heavy : (n, 4) int64
        Written: start, stop, slot, −origin in the scratch block for the chunks of tiles that have several.
    merges : (n, 6) int64
        Written: first slot, slots, snapshot, and the first, second and third node of such a tile.
    rounds : (9, 2) int64
        Written: where each round begins in ``light`` and in ``merges``.

    Returns
    -------
    four ints
        Rows written of chunks, light, heavy and merges.
    """
    n_chunks, n_light, n_heavy, n_merges = 0, 0, 0, 0
    per_batch = halves[0] * halves[1] * halves[2]
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
            first = (2 * (within // (halves[1] * halves[2])) + parity // 4) * tile[0]
            second = (2 * (within // halves[2] % halves[1]) + parity // 2 % 2) * tile[1]
            third = (2 * (within % halves[2]) + parity % 2) * tile[2]
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


@kernel
def gather(part, lo, hi, order, values, first, out):
    """Bring values into sorted order: out[i, first:] = values[order[i]].

    A pass of its own, because here many scattered reads are under way at once; inside the spreading loop each would
    hold up a whole point.

    Parameters
    ----------
    part, lo, hi : int
        The range of sorted points.
    order : (B·N,) int32
        Index of each sorted point.
    values : (B·N, C)
        Read.
    first : int
        Where the C columns begin.
    out : (B·N, ≥ first + C)
        Written.
    """
    for i in range(lo, hi):
        for channel in range(values.shape[1]):
            out[i, first + channel] = values[order[i], channel]


@kernel
def scatter(part, lo, hi, order, values, out):
    """Bring values back into the order of the user: out[order[i]] = values[i].

    Parameters
    ----------
    part, lo, hi, order
        As for ``gather``.
    values : (B·N, C)
        Sorted, read.
    out : (B·N, C)
        Written.
    """
    for i in range(lo, hi):
        for channel in range(values.shape[1]):
            out[order[i], channel] = values[i, channel]
