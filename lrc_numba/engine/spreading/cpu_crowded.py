"""Loops for crowded tiles in three dimensions, whose points are so many that several have the same nodes under them.

Such points are sorted once more, by the first node under their windows, and those that share all nodes add to them
together, up to ``AHEAD`` at a time: the rows of a plane are loaded once, stay in registers while one point after the
other adds its terms, and are stored once. Loads and stores bound spreading; the sums are the same, term by term.

Tried and lost: the same for interpolation, which stores nothing and keeps the weights of a point in registers instead;
and in two dimensions, where a point has too few rows to pay for the sorting.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_rows
from ...machine.cpu.compile import inlined, kernel
from ..window.cpu import AHEAD, corner, room, weigh


@inlined
def _shared(i, end, coordinates, strides, supports):
    """The end of the sorted points from i on, and before ``end``, whose windows lie on the same nodes.

    Parameters
    ----------
    i, end : int
        Range of sorted points.
    coordinates, strides, supports
        As for ``spreading.spread``.
    """
    start, stop = corner(np.uint64(i), coordinates, strides, supports), i + 1
    while stop < end and corner(np.uint64(stop), coordinates, strides, supports) == start:
        stop += 1
    return stop


@kernel
def spread(part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, block, out):
    """``spreading.spread`` of points that ``sort`` has sorted: the same sums.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, block, out
        As for ``spreading.spread``.
    """
    _, second, third, planes, _ = supports
    weights = np.zeros(AHEAD * room(lanes, supports), dtype=out.dtype)
    degrees = len(table) // lanes
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0] + chunks[c, 3]
        for begin in range(chunks[c, 0], chunks[c, 1], AHEAD):
            end = min(begin + AHEAD, chunks[c, 1])
            weigh(begin, end, coordinates, table, lanes, degrees, supports, weights)
            i = begin
            while i < end:
                stop = _shared(i, end, coordinates, strides, supports)
                start = base + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(values.shape[1]):
                    for a in range(planes):
                        rows = simd_rows.load(out, start + a * strides[2], strides[3], second, third)
                        for p in range(i, stop):
                            place = (p - begin) * room(lanes, supports)
                            upon = values[np.uint64(p), channel] * simd.load(weights, place + 2 * lanes, third)
                            plane = weights[place + a] * upon
                            rows = simd_rows.add(weights, place + lanes, plane, rows)
                        simd_rows.store(out, start + a * strides[2], strides[3], rows)
                    start += strides[1]
                i = stop
