"""Spreading loops: points → grid.

Which thread may write what: a call writes the nodes under the windows of the points of its chunks, in ``out``. Chunks
given to different calls at the same time belong to tiles whose windows do not meet, or have a slot of scratch each.
Inside a chunk points come in sorted order, and tiles in that of ``points.cpu_schedule``. So every node receives its
terms in one fixed order.

Stores of rows that cross a cache line bound these loops. Two channels are therefore interleaved on the grid
(``simd_interleaved``), and their rows are whole lines.

Arrays are those of the glossary in ``lrc_numba.engine``. See NOTES.md for what was tried and lost.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_interleaved
from ...machine.cpu.compile import inlined, kernel
from ..points.indexing import (
    FIRST_SLOT,
    MERGE_FIRST_NODE,
    MERGE_LAST_NODE,
    MERGE_SECOND_NODE,
    MERGE_SNAPSHOT,
    OFFSET,
    SLOTS,
    SNAPSHOT,
    START,
    STOP,
)
from ..window import indexing
from ..window.cpu import (
    GROUP,
    corner,
    evaluate_slopes,
    evaluate_weights,
    group_size,
    interleaved,
    last_slopes,
    last_weights,
    weight,
    weights_length,
)
from . import cpu_crowded as crowded  # noqa: F401  (``stage`` asks for it here)

UNCACHED = 1 << 27  # bytes of grids of which nothing is left in the caches when points come to them
column, period = inlined(indexing.column), inlined(indexing.period)


@kernel
def spread(part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, block, out):
    """Add Σ_j f_j ψ(node − x_j) for the points of ``chunks[lo:hi]``.

    The term at node (a, b, c) under a window is f_j · weights_first[a] · weights_second[b] · weights_last[c].
    ``values`` are f_j; ``block`` is not used. The compiler unrolls the rows of one plane, whose number it knows.
    """
    first, second, last, planes, row_support = supports
    weights, n_interleaved = np.zeros(GROUP * weights_length(lanes, supports), dtype=out.dtype), interleaved(supports)
    n_coefficients, group = len(table) // lanes, group_size(supports[1])
    for c in range(lo, hi):
        origin = chunks[c, SNAPSHOT] * strides[0] + n_interleaved * chunks[c, OFFSET]
        for begin in range(chunks[c, START], chunks[c, STOP], group):
            end = min(begin + group, chunks[c, STOP])
            evaluate_weights(begin, end, coordinates, table, lanes, n_coefficients, supports, weights)
            for i in range(begin, end):
                weights_start = (i - begin) * weights_length(lanes, supports)
                row_weights = last_weights(
                    i, weights_start, coordinates, table, lanes, n_coefficients, supports, weights
                )
                start = origin + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(0, values.shape[1], n_interleaved):
                    value = values[np.uint64(i), channel]
                    next_value = values[np.uint64(i), channel + n_interleaved - 1]
                    value_row = simd_interleaved.interleave(value, next_value, last, row_support) * row_weights
                    for a in range(planes if len(first) > 1 else 1):
                        row = start + a * strides[2]
                        plane_row = weight(weights, weights_start + a, first, 1) * value_row
                        for b in range(len(second)):
                            weight_second = weight(weights, weights_start + lanes + b, second, 1)
                            new = simd.fma(weight_second, plane_row, simd.load(out, row, row_support))
                            simd.store(out, row, new)
                            row += strides[3]
                    start += strides[1]


@kernel
def spread_jvp(part, lo, hi, chunks, coordinates, values, to_grid, table, lanes, strides, supports, block, out):
    """``spread``, and into C channels more its derivative along (ẋ, ḟ), Σ_j [ḟ_j ψ + f_j ẋ_j·∇ψ](node − x_j).

    ``values`` (B·N, 2C + d) are f_j, ḟ_j and ẋ_j (units of length) side by side, sorted; ``out`` has 2C channels, or C
    for the derivative alone.
    """
    first, second, last, planes, _ = supports
    dim, kind = coordinates.shape[1], out.dtype.type
    channels = (values.shape[1] - dim) // 2
    before = strides[0] // strides[1] - channels  # channels of the values themselves, C or none
    weights, slopes = np.zeros((2, GROUP * weights_length(lanes, supports)), dtype=out.dtype)
    step = np.zeros(3, dtype=out.dtype)
    n_coefficients, group = len(table) // lanes, group_size(supports[1])
    for c in range(lo, hi):
        origin = chunks[c, SNAPSHOT] * strides[0] + chunks[c, OFFSET]
        for begin in range(chunks[c, START], chunks[c, STOP], group):
            end = min(begin + group, chunks[c, STOP])
            evaluate_slopes(begin, end, coordinates, table, lanes, n_coefficients, supports, weights, slopes)
            for i in range(begin, end):
                for a in range(dim):
                    step[3 - dim + a] = 0.0
                    for b in range(dim):
                        step[3 - dim + a] += kind(values[i, 2 * channels + b] * to_grid[b, a])
                weights_start = (i - begin) * weights_length(lanes, supports)
                row_weights, row_slopes = last_slopes(
                    i, weights_start, coordinates, table, lanes, n_coefficients, supports, weights, slopes
                )
                start = origin + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(channels):
                    value, dvalue = values[np.uint64(i), channel], values[np.uint64(i), channels + channel]
                    for a in range(planes if len(first) > 1 else 1):
                        row = start + a * strides[2]
                        drow = row + before * strides[1]
                        # The tangent of f · w1 · w2 · w3 has the factors w2 and the slope of w2.
                        value_first = value * weight(weights, weights_start + a, first, 1)
                        plane_row = value_first * row_weights
                        slope_factor = step[1] * plane_row
                        dvalue_first = value * step[0] * weight(slopes, weights_start + a, first, 0)
                        dvalue_first += dvalue * weight(weights, weights_start + a, first, 1)
                        weight_factor = dvalue_first * row_weights + value_first * step[2] * row_slopes
                        for b in range(len(second)):
                            weight_second = weight(weights, weights_start + lanes + b, second, 1)
                            if before:
                                simd.store(out, row, simd.fma(weight_second, plane_row, simd.load(out, row, last)))
                            new = simd.fma(weight_second, weight_factor, simd.load(out, drow, last))
                            slope_second = weight(slopes, weights_start + lanes + b, second, 0)
                            simd.store(out, drow, simd.fma(slope_second, slope_factor, new))
                            row += strides[3]
                            drow += strides[3]
                    start += strides[1]


@kernel
def merge_scratch(part, lo, hi, merges, scratch, shape, channels, padded, strides, out, n_interleaved):
    """Add the scratch blocks of each tile of ``merges[lo:hi]`` to the grid, slot by slot.

    ``shape`` is that of a block, with all numbers of its rows; ``channels`` counts grids, ``padded`` is their shape
    with padding, beyond which no window reaches; ``n_interleaved`` channels are interleaved on each.
    """
    size = shape[0] * shape[1] * shape[2]
    for m in range(lo, hi):
        planes = min(shape[0], padded[0] - merges[m, MERGE_FIRST_NODE])
        rows = min(shape[1], padded[1] - merges[m, MERGE_SECOND_NODE])
        columns = min(shape[2], padded[2] - n_interleaved * merges[m, MERGE_LAST_NODE])
        for channel in range(channels):
            target = merges[m, MERGE_SNAPSHOT] * strides[0] + channel * strides[1]
            target += merges[m, MERGE_FIRST_NODE] * strides[2] + merges[m, MERGE_SECOND_NODE] * strides[3]
            target += n_interleaved * merges[m, MERGE_LAST_NODE]
            for slot in range(merges[m, FIRST_SLOT], merges[m, FIRST_SLOT] + merges[m, SLOTS]):
                source = (slot * channels + channel) * size
                for a in range(planes):
                    for b in range(rows):
                        for c in range(columns):
                            node = (a * shape[1] + b) * shape[2] + c
                            out[target + a * strides[2] + b * strides[3] + c] += scratch[source + node]


@kernel
def clear(part, lo, hi, grids, reached):
    """Set the reached ones of the rows [lo, hi) of all grids to zero.

    Rows are counted with padding: those of the first plane, of the next, … A call writes these rows.
    """
    channels, planes, rows, length = len(grids) // len(reached), grids.shape[1], grids.shape[2], grids.shape[3]
    flat, uncached = grids.reshape(-1), grids.size * grids.itemsize >= UNCACHED
    for plane in range(lo // rows, (hi + rows - 1) // rows):
        row_reached = reached[plane // planes // channels, plane % planes]
        first, begin = plane * rows, max(lo - plane * rows, 0)
        stop = min(hi - first, rows)
        while begin < stop:
            end = begin
            while end < stop and row_reached[end]:
                end += 1
            if uncached:
                simd.clear(flat, (first + begin) * length, (first + end) * length)
            else:
                numbers = flat[(first + begin) * length : (first + end) * length]
                for c in range(len(numbers)):
                    numbers[c] = 0.0
            begin = end + 1


@kernel
def fold_planes(part, lo, hi, grids, nodes, reached):
    """Add the padding of the first axis to the planes it stands for, in the rows [lo, hi) of all grids.

    Rows are those of the first grid, padding included, of the next, …; a call writes them in every plane.
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
def fold_padding(part, lo, hi, grids, nodes, reached, n_interleaved, ends):
    """Add the padding of the last two axes to the nodes it stands for, in the planes [lo, hi) of all grids.

    Planes are those of the first grid without padding, of the next, …; a call writes them. ``ends`` says whether the
    padding of the last axis is added: the package's own transforms do that themselves.
    """
    channels = len(grids) // len(reached)
    length, n_interleaved = period(nodes[2], n_interleaved)
    columns = grids.shape[3] // n_interleaved
    for q in range(lo, hi):
        g, a = q // nodes[0], q % nodes[0]
        plane, row_reached = grids[g, a], reached[g // channels, a]
        for b in range(nodes[1], plane.shape[0]):
            if not row_reached[b]:
                continue
            target, source = plane[b % nodes[1]], plane[b]
            for c in range(len(source)):
                target[c] += source[c]
        for b in range(nodes[1] if ends else 0):
            if not row_reached[b]:
                continue
            for start in range(length, columns, length):  # once, unless the window is longer than the grid
                for channel in range(n_interleaved):
                    for c in range(start, min(start + length, columns)):
                        target_column = column(c - start, channel, n_interleaved)
                        plane[b, target_column] += plane[b, column(c, channel, n_interleaved)]
