"""Fold points into the cell and sort them by tile, or by pieces of tiles: a stable counting sort in two passes, or
none for a single tile. Points of crowded tiles may be sorted once more (``spreading.cpu_crowded``).

Both passes compute the grid coordinates from the points, which is cheaper than writing them out unsorted and reading
them back: a block of points at a time and axis by axis, in loops that the compiler turns into vectors.

Which thread may write what: part p counts the p-th range of points and writes their sorted positions and coordinates.
These positions are its own, because the counts of earlier parts are added in front. The order is that of a stable sort,
whatever the number of parts. Tables of chunks are written by one thread.

Arrays are those of the glossary in ``lrc_numba.engine``; moreover, where points are folded into the cell,

    points (B·N, d)      positions as given, units of length
    inverse (d, d)       float64, takes points to fractional coordinates
    nodes                d ints, grid nodes per axis; their number is known to the compiler
    shift                see ``indexing.first_node``
    lost (parts,)        int64, set to the index of a point that has no position in the cell
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd
from ...machine.cpu.compile import inlined, kernel
from ..window.evaluate import bind
from . import cpu_crowded as crowded  # noqa: F401  (``stage`` asks for it here)
from . import cpu_schedule as schedule  # noqa: F401
from . import indexing
from .indexing import FIRST_NODE, FIRST_SLOT, MERGE_FIRST_NODE, SECOND_NODE, SNAPSHOT

FEW_SLOTS = 32  # chunks of a tile, enough to share out; more cost scratch and are made only to keep sums short
slab_at = inlined(indexing.slab_at)
tile_key = inlined(indexing.tile_key)
first_node = inlined(bind(indexing.first_node, floor=np.floor))  # ``math.floor`` converts to an integer
NEXT_LINE = 8  # float64 numbers ahead of the one written that are prefetched
NEXT_ROWS = 64  # points ahead of the one read whose rows are prefetched
BLOCK = 256  # points whose coordinates are computed before they are used


@inlined
def _fold(begin, end, points, inverse, nodes, shift, block):
    """Write grid coordinates of the points [begin, end) to ``block`` (3, BLOCK), the last axis in the last row.

    Returns whether one of them has no position in the cell: its coordinate is −1.
    """
    dim, lost = len(nodes), False
    for axis in range(dim):
        numbers, out, count = points[begin * dim : end * dim], block[3 - dim + axis], float(nodes[axis])
        for i in range(end - begin):
            fraction = 0.0
            for b in range(dim):
                fraction += numbers[i * dim + b] * inverse[b, axis]
            out[i] = first_node(fraction, count, shift)
            lost |= out[i] < 0.0
    return lost


@kernel
def fold_points(part, lo, hi, points, inverse, nodes, shift, coordinates, lost):
    """Write the grid coordinates of the points [lo, hi), in the order in which they are given."""
    dim, block, flat = len(nodes), np.zeros((3, BLOCK)), points.reshape(-1)
    for begin in range(lo, hi, BLOCK):
        end = min(begin + BLOCK, hi)
        any_lost = _fold(begin, end, flat, inverse, nodes, shift, block)
        for i in range(begin, end):
            for axis in range(dim):
                coordinates[i, axis] = block[3 - dim + axis, i - begin]
        if any_lost:
            for i in range(begin, end):
                if min(block[0, i - begin], block[1, i - begin], block[2, i - begin]) < 0.0:
                    lost[part] = i


@kernel
def count_tiles(part, lo, hi, points, batch, inverse, nodes, shift, log2_tile, tiles, pieces, keys, counts, lost):
    """Write the sorting keys of the points [lo, hi), and add their histogram to ``counts[part]``.

    ``batch`` is (B, N); ``log2_tile``, ``tiles`` and ``pieces`` are those of ``indexing.tile_key``; ``keys`` (B·N,)
    int32; ``counts`` (parts, number of keys) int64.
    """
    histogram, block, flat, begin = counts[part], np.zeros((3, BLOCK)), points.reshape(-1), lo
    second_histogram = np.zeros_like(histogram)
    while begin < hi:
        snapshot = begin // batch[1]
        end = min(begin + BLOCK, hi, (snapshot + 1) * batch[1])
        if _fold(begin, end, flat, inverse, nodes, shift, block):
            for i in range(begin, end):
                if min(block[0, i - begin], block[1, i - begin], block[2, i - begin]) < 0.0:
                    lost[part] = i
            return
        block_keys = keys[begin:end]
        for i in range(end - begin):  # a loop by itself is turned into vectors
            node = int(block[0, i]), int(block[1, i]), int(block[2, i])
            block_keys[i] = tile_key(node[0], node[1], node[2], snapshot, log2_tile, tiles, pieces)
        for i in range(0, end - begin - 1, 2):  # two histograms: two counts of one key need not wait for each other
            histogram[block_keys[i]] += 1
            second_histogram[block_keys[i + 1]] += 1
        if (end - begin) % 2 == 1:
            histogram[block_keys[end - begin - 1]] += 1
        begin = end
    for key in range(len(second_histogram)):
        histogram[key] += second_histogram[key]


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
            count = counts[part, key]
            counts[part, key] = position
            position += count
    offsets[counts.shape[1]] = position


@kernel
def place_points(part, lo, hi, points, inverse, nodes, shift, keys, counts, coordinates):
    """Write grid coordinates to their sorted positions, and these positions over the keys.

    ``keys`` is from ``count_tiles``, ``counts`` from ``accumulate``: where each part writes each key next.
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
            simd.prefetch(coordinates, q * dim + NEXT_LINE)
            for axis in range(dim):
                coordinates[q * dim + axis] = block[3 - dim + axis, i - begin]


@inlined
def _first_nodes(within, tile, tiles):
    """First node of a tile of a snapshot along each axis."""
    first, second, last = within // (tiles[1] * tiles[2]), within // tiles[2] % tiles[1], within % tiles[2]
    return first * tile[0], second * tile[1], last * tile[2]


@inlined
def _set_four(table, row, a, b, c, d):
    """Set the first numbers of a row; assigning a tuple, with its errors about shapes, takes seconds to compile."""
    table[row, 0], table[row, 1], table[row, 2], table[row, 3] = a, b, c, d


@inlined
def _set_three(table, row, column, a, b, c):
    """Set three numbers of a row from ``column`` on."""
    table[row, column], table[row, column + 1], table[row, column + 2] = a, b, c


@kernel
def make_chunks(offsets, shape, tile, tiles, block, largest, longest, chunks, whole, split, merges, units):
    """Cut the points of every tile into chunks, and return the rows written of chunks, whole, split and merges.

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
        Written, in the order of the points, none above ``largest``, with offset 0: for interpolation.
    whole : (n, 7) int64
        Written: for spreading, tiles that are one chunk, in the order of ``cpu_schedule``.
    split : (n, 7) int64
        Written: for spreading, the chunks of the other tiles, each with a slot and the offset −origin in its block.
    merges : (n, 6) int64
        Written: those other tiles.
    units : (B · slabs · pencils + 1, 4) int64
        Written: rows of whole and of merges, points of whole and rows of split before each pencil, in that order.
    """
    n_chunks = _all_chunks(offsets, tile, tiles, largest, chunks)
    # A literal 0 has another type, for which helpers would be compiled again.
    n_whole = n_split = n_merges = points = np.int64(0)
    per_snapshot = tiles[0] * tiles[1] * tiles[2]
    per_slab, per_pencil = per_snapshot // shape[0], per_snapshot // (shape[0] * shape[1])
    for unit in range(len(units) - 1):
        _set_four(units, unit, n_whole, n_merges, points, n_split)
        snapshot, position = unit // (shape[0] * shape[1]), unit % (shape[0] * shape[1])
        lowest = snapshot * per_snapshot + slab_at(position // shape[1], shape[0]) * per_slab
        lowest += slab_at(position % shape[1], shape[1]) * per_pencil
        for key in range(lowest, lowest + per_pencil):
            start, stop = offsets[key], offsets[key + 1]
            slots = _slots(stop - start, largest, longest)
            first, second, last = _first_nodes(key % per_snapshot, tile, tiles)
            if slots == 1:
                _set_four(whole, n_whole, start, stop, snapshot, 0)
                _set_three(whole, n_whole, FIRST_NODE, first, second, last)
                n_whole += 1
                points += stop - start
            if slots < 2:
                continue
            _set_three(merges, n_merges, FIRST_SLOT, n_split, slots, snapshot)
            _set_three(merges, n_merges, MERGE_FIRST_NODE, first, second, last)
            n_merges += 1
            origin = (first * block[1] + second) * block[2] + last
            for s in range(slots):
                begin, end = _cut(start, stop, s, slots), _cut(start, stop, s + 1, slots)
                _set_four(split, n_split, begin, end, n_split, -origin)
                _set_three(split, n_split, FIRST_NODE, first, second, last)
                n_split += 1
    _set_four(units, len(units) - 1, n_whole, n_merges, points, n_split)
    return n_chunks, n_whole, n_split, n_merges


@inlined
def _cut(start, stop, number, parts):
    """Where part ``number`` of ``parts`` equal parts of a range begins."""
    return start + (stop - start) * number // parts


@inlined
def _slots(count, largest, longest):
    """Number of chunks into which ``count`` points of a tile are cut for spreading."""
    return min((count + largest - 1) // largest, max(FEW_SLOTS, (count + longest - 1) // longest))


@inlined
def _all_chunks(offsets, tile, tiles, largest, chunks):
    """Write the chunks of all tiles in the order of the points, and return their number."""
    n_chunks, per_snapshot = np.int64(0), tiles[0] * tiles[1] * tiles[2]
    for key in range(len(offsets) - 1):
        start, stop = offsets[key], offsets[key + 1]
        slots = (stop - start + largest - 1) // largest
        first, second, last = _first_nodes(key % per_snapshot, tile, tiles)
        for s in range(slots):
            begin, end = _cut(start, stop, s, slots), _cut(start, stop, s + 1, slots)
            _set_four(chunks, n_chunks, begin, end, key // per_snapshot, 0)
            _set_three(chunks, n_chunks, FIRST_NODE, first, second, last)
            n_chunks += 1
    return n_chunks


@kernel
def mark_rows(chunks, block, nodes, reached):
    """Mark the rows of padded grids that windows touch, the rows onto which these are folded, and their groups of 16.

    A group is what ``fft.axes`` transforms at a time. Clearing, folding, transforming and filling leave out all other
    rows: most, where points are in one corner of the cell. All in plain loops: slices, with their errors about shapes,
    take seconds to compile.
    """
    flat, planes, rows = reached.reshape(-1), reached.shape[1], reached.shape[2]
    for i in range(len(flat)):
        flat[i] = False
    for c in range(len(chunks)):
        snapshot, first, second = chunks[c, SNAPSHOT], chunks[c, FIRST_NODE], chunks[c, SECOND_NODE]
        if (
            c == 0
            or snapshot != chunks[c - 1, SNAPSHOT]
            or first != chunks[c - 1, FIRST_NODE]
            or second != chunks[c - 1, SECOND_NODE]
        ):
            for a in range(first, min(first + block[0], planes)):
                for b in range(second, min(second + block[1], rows)):
                    reached[snapshot, a, b] = True
    for marks in reached:
        for a in range(nodes[0], planes):
            for b in range(rows):
                marks[a % nodes[0], b] |= marks[a, b]
        for a in range(nodes[0]):
            for b in range(nodes[1], rows):
                marks[a, b % nodes[1]] |= marks[a, b]
            for begin in range(0, nodes[1], 16):
                end, any_reached = min(begin + 16, nodes[1]), False
                for b in range(begin, end):
                    any_reached |= marks[a, b]
                for b in range(begin, end):
                    marks[a, b] = any_reached


@kernel
def gather(part, lo, hi, sorted_position, left, right, out):
    """Bring values [lo, hi) into sorted order, those of two arrays (B·N, C) and (B·N, C′) side by side in ``out``.

    Here stores are scattered, to as many positions at a time as there are tiles; in ``scatter`` loads are, prefetched
    long ahead: some processors do not look far enough ahead by themselves. Both go through the user's order from
    beginning to end, and need no inverse of ``sorted_position``.
    """
    flat, channels = out.reshape(-1), out.shape[1]
    for i in range(lo, hi):
        row = np.uint64(sorted_position[i])
        simd.prefetch(flat, sorted_position[i] * channels + NEXT_LINE)
        for channel in range(left.shape[1]):
            out[row, channel] = left[i, channel]
        for channel in range(right.shape[1]):
            out[row, left.shape[1] + channel] = right[i, channel]


@kernel
def scatter(part, lo, hi, sorted_position, values, left, right):
    """The inverse of ``gather``: ``values`` to the arrays ``left`` and ``right``."""
    flat, channels = values.reshape(-1), values.shape[1]
    for i in range(lo, hi):
        row = np.uint64(sorted_position[i])
        simd.prefetch(flat, sorted_position[min(i + NEXT_ROWS, hi - 1)] * channels)
        for channel in range(left.shape[1]):
            left[i, channel] = values[row, channel]
        for channel in range(right.shape[1]):
            right[i, channel] = values[row, left.shape[1] + channel]
