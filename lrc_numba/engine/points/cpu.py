"""Fold points into the cell and sort them by tile, or by pieces of tiles: a stable counting sort in two passes, or
none for a single tile. Points of crowded tiles may be sorted once more (``crowds``).

Both passes compute the grid coordinates from the points, which is cheaper than writing them out unsorted and reading
them back: a block of points at a time and axis by axis, in loops that the compiler turns into vectors. Thread p counts
and places the p-th range of points; the positions it writes to are its own, because the counts of earlier ranges are
added in front. The order is that of a stable sort, whatever the number of threads.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd
from ...machine.cpu.compile import inlined, kernel
from ..window.evaluate import bind
from . import cpu_crowded as crowded  # noqa: F401  (``stage`` asks for it here)
from . import cpu_schedule as schedule  # noqa: F401
from . import indexing

FEW_SLOTS = 32  # chunks of a tile that threads can share; more cost scratch, and are made where sums would get too long
slab_at = inlined(indexing.slab_at)
tile_key = inlined(indexing.tile_key)
first_node = inlined(bind(indexing.first_node, floor=np.floor))  # that of ``math`` is an integer, and back again
NEXT_LINE = 8  # numbers on, in float64: asked for before the points of a tile come to it
NEXT_ROWS = 64  # points on: theirs are asked for, from wherever they are
BLOCK = 256  # points whose coordinates are computed before they are used


@inlined
def _fold(begin, end, points, inverse, nodes, shift, block):
    """Grid coordinates of the points [begin, end) to ``block`` (3, BLOCK), whose last axis is the points' last.

    Returns
    -------
    bool
        Whether one of them has no place in the cell: its coordinate is −1.
    """
    dim, lost = len(nodes), False
    for axis in range(dim):
        some, out, count = points[begin * dim : end * dim], block[3 - dim + axis], float(nodes[axis])
        for i in range(end - begin):
            fraction = 0.0
            for b in range(dim):
                fraction += some[i * dim + b] * inverse[b, axis]
            out[i] = first_node(fraction, count, shift)
            lost |= out[i] < 0.0
    return lost


@kernel
def fold_points(part, lo, hi, points, inverse, nodes, shift, coordinates, lost):
    """Grid coordinates of the points [lo, hi) in the order in which they came.

    Parameters
    ----------
    part, lo, hi, points, inverse, nodes, shift, lost
        As for ``count_tiles``.
    coordinates : (B·N, d) float64
        Written.
    """
    dim, block, flat = len(nodes), np.zeros((3, BLOCK)), points.reshape(-1)
    for begin in range(lo, hi, BLOCK):
        end = min(begin + BLOCK, hi)
        without = _fold(begin, end, flat, inverse, nodes, shift, block)
        for i in range(begin, end):
            for axis in range(dim):
                coordinates[i, axis] = block[3 - dim + axis, i - begin]
        if without:
            for i in range(begin, end):
                if min(block[0, i - begin], block[1, i - begin], block[2, i - begin]) < 0.0:
                    lost[part] = i


@kernel
def count_tiles(part, lo, hi, points, batch, inverse, nodes, shift, shifts, tiles, pieces, keys, counts, lost):
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
    nodes : d ints
        Grid nodes per axis; their number is known to the compiler.
    shift : float
        See ``indexing.first_node``.
    shifts, tiles, pieces : (int, int, int) twice, and int
        See ``indexing.tile_key``.
    keys : (B·N,) int32
        Written.
    counts : (parts, number of keys) int64
        Added to.
    lost : (parts,) int64
        Set to the index of a point that is too far away to have a place in the cell.
    """
    histogram, block, flat, begin = counts[part], np.zeros((3, BLOCK)), points.reshape(-1), lo
    more = np.zeros_like(histogram)
    while begin < hi:
        snapshot = begin // batch[1]
        end = min(begin + BLOCK, hi, (snapshot + 1) * batch[1])
        if _fold(begin, end, flat, inverse, nodes, shift, block):
            for i in range(begin, end):
                if min(block[0, i - begin], block[1, i - begin], block[2, i - begin]) < 0.0:
                    lost[part] = i
            return
        some = keys[begin:end]
        for i in range(end - begin):  # a loop by itself is turned into vectors
            node = int(block[0, i]), int(block[1, i]), int(block[2, i])
            some[i] = tile_key(node[0], node[1], node[2], snapshot, shifts, tiles, pieces)
        for i in range(0, end - begin - 1, 2):  # two counts of one place are not to wait for each other
            histogram[some[i]] += 1
            more[some[i + 1]] += 1
        if (end - begin) % 2 == 1:
            histogram[some[end - begin - 1]] += 1
        begin = end
    for key in range(len(more)):
        histogram[key] += more[key]


def one_tile_chunk(nodes: int, rows: int) -> int:
    """Points to spread at once where the grid is one tile, at least.

    A block of n nodes of scratch takes about as long as the spreading of n / (2 w^(d−1)) points: too long for few.

    Parameters
    ----------
    nodes : int
        Of the block.
    rows : int
        Under the window of a point.
    """
    return 6 * nodes // rows


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
def place_points(part, lo, hi, points, inverse, nodes, shift, keys, counts, coordinates):
    """Scatter grid coordinates to their sorted positions, and put these in the place of the keys.

    Parameters
    ----------
    part, lo, hi, points, inverse, nodes, shift
        As for ``count_tiles``.
    keys : (B·N,) int32
        From ``count_tiles``; overwritten by the position of each point among the sorted ones.
    counts : (parts, number of keys) int64
        From ``accumulate``: where each part writes each key next.
    coordinates : (B·N, d) float64
        Written.
    """
    dim, positions, block, flat = len(nodes), counts[part], np.zeros((3, BLOCK)), points.reshape(-1)
    coordinates = coordinates.reshape(-1)
    for begin in range(lo, hi, BLOCK):
        end = min(begin + BLOCK, hi)
        _fold(begin, end, flat, inverse, nodes, shift, block)
        for i in range(begin, end):
            q = positions[keys[i]]
            positions[keys[i]] = q + 1
            keys[i] = q
            simd.ask(coordinates, q * dim + NEXT_LINE)
            for axis in range(dim):
                coordinates[q * dim + axis] = block[3 - dim + axis, i - begin]


@inlined
def _first_nodes(within, tile, tiles):
    """First node of a tile along each axis."""
    first, second, third = within // (tiles[1] * tiles[2]), within // tiles[2] % tiles[1], within % tiles[2]
    return first * tile[0], second * tile[1], third * tile[2]


@inlined
def _four(table, row, one, two, three, four):
    """The first numbers of a row; a whole tuple at once, with its errors about shapes, takes seconds to compile."""
    table[row, 0], table[row, 1], table[row, 2], table[row, 3] = one, two, three, four


@inlined
def _three(table, row, at, one, two, three):
    """Three numbers of a row."""
    table[row, at], table[row, at + 1], table[row, at + 2] = one, two, three


@kernel
def make_chunks(offsets, shape, tile, tiles, block, largest, longest, chunks, light, heavy, merges, units):
    """Cut the points of every tile into chunks.

    Parameters
    ----------
    offsets : (tiles of all snapshots + 1,) int64
        Where each tile begins among the sorted points.
    shape : (int, int)
        Slabs per snapshot and pencils per slab.
    tile, tiles, block : (int, int, int)
        Nodes per tile, tiles per axis, nodes of a scratch block.
    largest, longest : int
        Points that a tile may have in one chunk; and points in a chunk of those that have more.
    chunks : (n, 7) int64
        Written, in the order of the points, none above ``largest``: start, stop, snapshot, 0, first nodes of the tile.
    light : (n, 7) int64
        Written: the same for those that are the only one of their tile, in the order of ``schedule``.
    heavy : (n, 7) int64
        Written: start, stop, slot, −origin in the scratch block, first nodes for the chunks of tiles that have several.
    merges : (n, 6) int64
        Written: first slot, slots, snapshot, and the first, second and third node of such a tile.
    units : (B · slabs · pencils + 1, 4) int64
        Written: rows of light and of merges, points of light and rows of heavy before each pencil, in that order.

    Returns
    -------
    four ints
        Rows written of chunks, light, heavy and merges.
    """
    n_chunks = _all_chunks(offsets, tile, tiles, largest, chunks)
    n_light = n_heavy = n_merges = points = np.int64(0)  # 0 is a type of its own, for which more would be compiled
    per_snapshot = tiles[0] * tiles[1] * tiles[2]
    per_slab, per_pencil = per_snapshot // shape[0], per_snapshot // (shape[0] * shape[1])
    for unit in range(len(units) - 1):
        _four(units, unit, n_light, n_merges, points, n_heavy)
        snapshot, position = unit // (shape[0] * shape[1]), unit % (shape[0] * shape[1])
        lowest = snapshot * per_snapshot + slab_at(position // shape[1], shape[0]) * per_slab
        lowest += slab_at(position % shape[1], shape[1]) * per_pencil
        for key in range(lowest, lowest + per_pencil):
            start, stop = offsets[key], offsets[key + 1]
            slots = _slots(stop - start, largest, longest)
            first, second, third = _first_nodes(key % per_snapshot, tile, tiles)
            if slots == 1:
                _four(light, n_light, start, stop, snapshot, 0)
                _three(light, n_light, 4, first, second, third)
                n_light += 1
                points += stop - start
            if slots < 2:
                continue
            _three(merges, n_merges, 0, n_heavy, slots, snapshot)
            _three(merges, n_merges, 3, first, second, third)
            n_merges += 1
            origin = (first * block[1] + second) * block[2] + third
            for s in range(slots):
                begin, end = _cut(start, stop, s, slots), _cut(start, stop, s + 1, slots)
                _four(heavy, n_heavy, begin, end, n_heavy, -origin)
                _three(heavy, n_heavy, 4, first, second, third)
                n_heavy += 1
    _four(units, len(units) - 1, n_light, n_merges, points, n_heavy)
    return n_chunks, n_light, n_heavy, n_merges


@inlined
def _cut(start, stop, number, parts):
    """Where part ``number`` of the even parts of a range begins."""
    return start + (stop - start) * number // parts


@inlined
def _slots(count, largest, longest):
    """Into how many chunks so many points of a tile are cut for spreading."""
    return min((count + largest - 1) // largest, max(FEW_SLOTS, (count + longest - 1) // longest))


@inlined
def _all_chunks(offsets, tile, tiles, largest, chunks):
    """Write the chunks of all tiles in the order of the points; how many there are."""
    found, per_snapshot = np.int64(0), tiles[0] * tiles[1] * tiles[2]
    for key in range(len(offsets) - 1):
        start, stop = offsets[key], offsets[key + 1]
        slots = (stop - start + largest - 1) // largest
        first, second, third = _first_nodes(key % per_snapshot, tile, tiles)
        for s in range(slots):
            begin, end = _cut(start, stop, s, slots), _cut(start, stop, s + 1, slots)
            _four(chunks, found, begin, end, key // per_snapshot, 0)
            _three(chunks, found, 4, first, second, third)
            found += 1
    return found


@kernel
def mark_rows(chunks, block, nodes, reached):
    """Mark the rows of padded grids that windows reach, with those onto which they are folded and those, of any
    sixteen, that are transformed together with one (``fft.axes``).

    Clearing, folding, transforming and filling leave out the others: of points in one corner of the cell, most. All in
    plain loops: slices, with their errors about shapes, take seconds to compile.

    Parameters
    ----------
    chunks, block
        From ``make_chunks``.
    nodes : (int, int, int)
        Nodes that are not padding.
    reached : (B, padded, padded) bool
        Written: along the first two axes, for each snapshot.
    """
    flat, planes, rows = reached.reshape(-1), reached.shape[1], reached.shape[2]
    for i in range(len(flat)):
        flat[i] = False
    for c in range(len(chunks)):
        snapshot, first, second = chunks[c, 2], chunks[c, 4], chunks[c, 5]
        if c == 0 or snapshot != chunks[c - 1, 2] or first != chunks[c - 1, 4] or second != chunks[c - 1, 5]:
            for a in range(first, min(first + block[0], planes)):
                for b in range(second, min(second + block[1], rows)):
                    reached[snapshot, a, b] = True
    for there in reached:
        for a in range(nodes[0], planes):
            for b in range(rows):
                there[a % nodes[0], b] |= there[a, b]
        for a in range(nodes[0]):
            for b in range(nodes[1], rows):
                there[a, b % nodes[1]] |= there[a, b]
            for begin in range(0, nodes[1], 16):
                end, some = min(begin + 16, nodes[1]), False
                for b in range(begin, end):
                    some |= there[a, b]
                for b in range(begin, end):
                    there[a, b] = some


@kernel
def gather(part, lo, hi, places, one, other, out):
    """Bring values into sorted order, those of two arrays side by side.

    What is scattered here are stores, to as many places at a time as there are tiles; in ``scatter`` they are loads,
    asked for long ahead: an AMD EPYC, unlike an Intel Xeon, does not look far enough by itself. Both go through the
    user's order from beginning to end, and need no inverse of ``places``.

    Parameters
    ----------
    part, lo, hi : int
        The range of values.
    places : (B·N,) int32
        Where each goes.
    one, other : (B·N, C) and (B·N, C′)
        Read.
    out : (B·N, C + C′)
        Written.
    """
    flat, channels = out.reshape(-1), out.shape[1]
    for i in range(lo, hi):
        row = np.uint64(places[i])
        simd.ask(flat, places[i] * channels + NEXT_LINE)
        for channel in range(one.shape[1]):
            out[row, channel] = one[i, channel]
        for channel in range(other.shape[1]):
            out[row, one.shape[1] + channel] = other[i, channel]


@kernel
def scatter(part, lo, hi, places, values, one, other):
    """The inverse of ``gather``.

    Parameters
    ----------
    part, lo, hi, places
        As for ``gather``.
    values : (B·N, C + C′)
        Read.
    one, other : (B·N, C) and (B·N, C′)
        Written.
    """
    flat, channels = values.reshape(-1), values.shape[1]
    for i in range(lo, hi):
        row = np.uint64(places[i])
        simd.ask(flat, places[min(i + NEXT_ROWS, hi - 1)] * channels)
        for channel in range(one.shape[1]):
            one[i, channel] = values[row, channel]
        for channel in range(other.shape[1]):
            other[i, channel] = values[row, one.shape[1] + channel]
