"""Spreading loops: points → grid.

Which thread may write what: a call writes the nodes under the windows of the points of its chunks, in ``out``. Chunks
given to different calls at the same time belong to tiles whose windows do not meet, or have a slot of scratch each.
Inside a chunk points come in sorted order, and tiles in that of ``schedule``. So every node receives its terms in one
fixed order.

The stores of rows that cross a line of the cache bound these loops. Two channels therefore lie side by side on the grid
(``simd_pairs``), and their rows are whole lines.

Tried and lost: rows of one channel widened to whole cache lines, so that no store crosses two (there are twice as many
stores); bringing the values of a point from the user's order inside the loop, where every miss holds up a point; a
finer order of the points inside a tile, down to the node, which gains nothing for windows of up to eight nodes; asking
ahead for the nodes of the next tile (in three dimensions, here and in interpolation), which gains in some gradients
what it loses in others.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_pairs
from ...machine.cpu.compile import inlined, kernel
from ..window import indexing
from ..window.cpu import AHEAD, ahead, corner, last_axes, last_axis, room, together, weigh, weigh_and_tilt, weight
from . import cpu_crowded as crowded  # noqa: F401  (``stage`` asks for it here)

PAST = 1 << 27  # bytes of grids that leave nothing of themselves in the caches until points come to them
column, period = inlined(indexing.column), inlined(indexing.period)


@kernel
def spread(part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, block, out):
    """Add Σ_j f_j ψ(node − x_j) for the points of ``chunks[lo:hi]``.

    Parameters
    ----------
    part, lo, hi : int
        The range of chunks; ``part`` is not used.
    chunks : (n, 7) int64
        start, stop, snapshot or slot, offset into ``out``; more that only the device needs.
    coordinates : (B·N, d) float64
        Sorted grid coordinates.
    values : (B·N, C)
        f_j, sorted.
    table : (rows · lanes,)
        Polynomials of ψ.
    strides : (int, int, int, int)
        Of a snapshot or slot, a channel, the first axis, the second axis of ``out``.
    supports : three tuples, an int and a tuple
        As long as the window along each axis, and again how long the first is: the compiler unrolls the rows of one
        plane, as it knows how many there are; those of all planes at once would not fit into registers (tried and
        lost). The last is as long as a row on the grid that holds a window, longer than the third where channels lie
        there in pairs.
    block : (int, int, int)
        Nodes that the windows of a chunk reach; only the device needs it.
    out : 1-D array
        Grid or scratch, flattened.
    """
    first, second, third, planes, across = supports
    weights, pair = np.zeros(AHEAD * room(lanes, supports), dtype=out.dtype), together(supports)
    rows, some = len(table) // lanes, ahead(supports[1])
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0] + pair * chunks[c, 3]
        for begin in range(chunks[c, 0], chunks[c, 1], some):
            end = min(begin + some, chunks[c, 1])
            weigh(begin, end, coordinates, table, lanes, rows, supports, weights)
            for i in range(begin, end):
                place = (i - begin) * room(lanes, supports)
                along = last_axis(i, place, coordinates, table, lanes, rows, supports, weights)
                start = base + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(0, values.shape[1], pair):
                    one, other = values[np.uint64(i), channel], values[np.uint64(i), channel + pair - 1]
                    upon = simd_pairs.side_by_side(one, other, third, across) * along
                    for a in range(planes if len(first) > 1 else 1):
                        row = start + a * strides[2]
                        plane = weight(weights, place + a, first, 1) * upon
                        for b in range(len(second)):
                            beside = weight(weights, place + lanes + b, second, 1)
                            simd.store(out, row, simd.fma(beside, plane, simd.load(out, row, across)))
                            row += strides[3]
                    start += strides[1]


@kernel
def spread_jvp(part, lo, hi, chunks, coordinates, values, to_grid, table, lanes, strides, supports, block, out):
    """``spread``, and into C channels more its derivative along (ẋ, ḟ), Σ_j [ḟ_j ψ + f_j ẋ_j·∇ψ](node − x_j).

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, table, lanes, strides, supports, block, out
        As for ``spread``; ``out`` has 2C channels.
    values : (B·N, 2C + d)
        f_j, ḟ_j and ẋ_j (units of length) side by side, sorted.
    to_grid : (d, d)
        Takes ẋ to grid cells.
    """
    first, second, third, planes, _ = supports
    dim, kind = coordinates.shape[1], out.dtype.type
    channels = (values.shape[1] - dim) // 2
    weights, tilts = np.zeros((2, AHEAD * room(lanes, supports)), dtype=out.dtype)
    step = np.zeros(3, dtype=out.dtype)
    rows, some = len(table) // lanes, ahead(supports[1])
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0] + chunks[c, 3]
        for begin in range(chunks[c, 0], chunks[c, 1], some):
            end = min(begin + some, chunks[c, 1])
            weigh_and_tilt(begin, end, coordinates, table, lanes, rows, supports, weights, tilts)
            for i in range(begin, end):
                for a in range(dim):
                    step[3 - dim + a] = 0.0
                    for b in range(dim):
                        step[3 - dim + a] += kind(values[i, 2 * channels + b] * to_grid[b, a])
                place = (i - begin) * room(lanes, supports)
                along, tilt = last_axes(i, place, coordinates, table, lanes, rows, supports, weights, tilts)
                start = base + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(channels):
                    value, change = values[np.uint64(i), channel], values[np.uint64(i), channels + channel]
                    for a in range(planes if len(first) > 1 else 1):
                        row = start + a * strides[2]
                        drow = row + channels * strides[1]
                        upon = value * weight(weights, place + a, first, 1)
                        plane = upon * along
                        sideways = step[1] * plane
                        turned = value * step[0] * weight(tilts, place + a, first, 0)
                        turned += change * weight(weights, place + a, first, 1)
                        moved = turned * along + upon * step[2] * tilt
                        for b in range(len(second)):
                            beside = weight(weights, place + lanes + b, second, 1)
                            simd.store(out, row, simd.fma(beside, plane, simd.load(out, row, third)))
                            new = simd.fma(beside, moved, simd.load(out, drow, third))
                            aslant = weight(tilts, place + lanes + b, second, 0)
                            simd.store(out, drow, simd.fma(aslant, sideways, new))
                            row += strides[3]
                            drow += strides[3]
                    start += strides[1]


@kernel
def merge_scratch(part, lo, hi, merges, scratch, shape, channels, padded, strides, out, pair):
    """Add the scratch blocks (slots, C, *shape) of each tile of ``merges[lo:hi]`` to the grid, slot by slot.

    Parameters
    ----------
    part, lo, hi : int
        The range of tiles.
    merges : (n, 6) int64
        See ``points.make_chunks``.
    scratch : (slots · C · block,)
        Read.
    shape : (int, int, int)
        Of a block, all numbers of a row.
    channels : int
        C, or the pairs of them.
    padded : (int, int, int)
        Shape of a grid, or of a pair, with padding; what a block has beyond them no window reaches.
    strides, out
        As for ``spread``.
    pair : int
        How many channels lie side by side, 1 or 2.
    """
    size = shape[0] * shape[1] * shape[2]
    for m in range(lo, hi):
        planes, rows = min(shape[0], padded[0] - merges[m, 3]), min(shape[1], padded[1] - merges[m, 4])
        columns = min(shape[2], padded[2] - pair * merges[m, 5])
        for channel in range(channels):
            target = merges[m, 2] * strides[0] + channel * strides[1]
            target += merges[m, 3] * strides[2] + merges[m, 4] * strides[3] + pair * merges[m, 5]
            for slot in range(merges[m, 0], merges[m, 0] + merges[m, 1]):
                source = (slot * channels + channel) * size
                for a in range(planes):
                    for b in range(rows):
                        for c in range(columns):
                            block = (a * shape[1] + b) * shape[2] + c
                            out[target + a * strides[2] + b * strides[3] + c] += scratch[source + block]


@kernel
def clear(part, lo, hi, grids, reached):
    """Set the rows [lo, hi) of all grids to zero, as far as they are reached.

    Parameters
    ----------
    part, lo, hi : int
        The range of rows, padding included: those of the first plane, of the next, …
    grids : (B·C, *padded)
        Changed.
    reached : (B, padded, padded) bool
        See ``points.mark_rows``.
    """
    channels, planes, rows, length = len(grids) // len(reached), grids.shape[1], grids.shape[2], grids.shape[3]
    flat, past = grids.reshape(-1), grids.size * grids.itemsize >= PAST
    for plane in range(lo // rows, (hi + rows - 1) // rows):
        there = reached[plane // planes // channels, plane % planes]
        first, begin = plane * rows, max(lo - plane * rows, 0)
        stop = min(hi - first, rows)
        while begin < stop:
            end = begin
            while end < stop and there[end]:
                end += 1
            if past:
                simd.clear(flat, (first + begin) * length, (first + end) * length)
            else:
                some = flat[(first + begin) * length : (first + end) * length]
                for c in range(len(some)):
                    some[c] = 0.0
            begin = end + 1


@kernel
def fold_planes(part, lo, hi, grids, nodes, reached):
    """Add the padding of the first axis onto the planes it stands for, in the rows [lo, hi) of all grids.

    Parameters
    ----------
    part, lo, hi : int
        The range of rows: those of the first grid, padding included, of the next, …
    grids : (B·C, *padded)
        Changed.
    nodes : (int, int, int)
        Nodes that are not padding.
    reached : (B, padded, padded) bool
        See ``points.mark_rows``.
    """
    channels, rows = len(grids) // len(reached), grids.shape[2]
    for q in range(lo, hi):
        g, b = q // rows, q % rows
        grid = grids[g]
        for a in range(nodes[0], grid.shape[0]):
            if not reached[g // channels, a, b]:
                continue
            target, source = grid[a % nodes[0], b], grid[a, b]
            for c in range(len(source)):
                target[c] += source[c]


@kernel
def fold_padding(part, lo, hi, grids, nodes, reached, pair, ends):
    """Add the padding of the last two axes onto the nodes it stands for, in the planes [lo, hi) of all grids.

    Parameters
    ----------
    part, lo, hi : int
        The range of planes without padding: those of the first grid, of the next, …
    grids, nodes, reached
        As for ``fold_planes``.
    pair : int
        How many channels lie side by side, 1 or 2.
    ends : bool
        Whether the padding of the last axis is wanted; transforms of our own take it in themselves.
    """
    channels = len(grids) // len(reached)
    length, pair = period(nodes[2], pair)
    columns = grids.shape[3] // pair
    for q in range(lo, hi):
        g, a = q // nodes[0], q % nodes[0]
        plane, there = grids[g, a], reached[g // channels, a]
        for b in range(nodes[1], plane.shape[0]):
            if not there[b]:
                continue
            target, source = plane[b % nodes[1]], plane[b]
            for c in range(len(source)):
                target[c] += source[c]
        for b in range(nodes[1] if ends else 0):
            if not there[b]:
                continue
            for start in range(length, columns, length):  # once, unless the window is longer than the grid
                for channel in range(pair):
                    for c in range(start, min(start + length, columns)):
                        plane[b, column(c - start, channel, pair)] += plane[b, column(c, channel, pair)]
