"""Loops for crowded tiles in three dimensions: so many points that several have the same nodes under their windows.

Such points are sorted once more (``points.cpu_crowded``), and those that share all nodes are added in one
pass, up to ``GROUP`` at a time: the rows of a plane are loaded once, stay in registers while one point after the other
adds its terms, and are stored once. Loads and stores bound spreading; the sums are the same, term by term.

Which thread may write what: as for ``spreading.cpu.spread``. Arrays are those of the glossary in
``lrc_numba.engine``. See NOTES.md for what was tried and lost.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_rows
from ...machine.cpu.compile import inlined, kernel
from ..points.indexing import OFFSET, SLOT, START, STOP
from ..window.cpu import GROUP, corner, evaluate_weights, weights_length


@inlined
def _shared(i, end, coordinates, strides, supports):
    """The end of the sorted points from i on, and before ``end``, whose windows lie on the same nodes."""
    start, stop = corner(np.uint64(i), coordinates, strides, supports), i + 1
    while stop < end and corner(np.uint64(stop), coordinates, strides, supports) == start:
        stop += 1
    return stop


@kernel
def spread(part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, block, out):
    """``spreading.cpu.spread`` of points that ``sort`` has sorted: the same sums."""
    _, second, last, planes, _ = supports
    weights = np.zeros(GROUP * weights_length(lanes, supports), dtype=out.dtype)
    n_coefficients = len(table) // lanes
    for c in range(lo, hi):
        origin = chunks[c, SLOT] * strides[0] + chunks[c, OFFSET]
        for begin in range(chunks[c, START], chunks[c, STOP], GROUP):
            end = min(begin + GROUP, chunks[c, STOP])
            evaluate_weights(begin, end, coordinates, table, lanes, n_coefficients, supports, weights)
            i = begin
            while i < end:
                stop = _shared(i, end, coordinates, strides, supports)
                start = origin + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(values.shape[1]):
                    for a in range(planes):
                        rows = simd_rows.load(out, start + a * strides[2], strides[3], second, last)
                        for p in range(i, stop):
                            weights_start = (p - begin) * weights_length(lanes, supports)
                            row_weights = simd.load(weights, weights_start + 2 * lanes, last)
                            value_row = values[np.uint64(p), channel] * row_weights
                            plane_row = weights[weights_start + a] * value_row
                            rows = simd_rows.add(weights, weights_start + lanes, plane_row, rows)
                        simd_rows.store(out, start + a * strides[2], strides[3], rows)
                    start += strides[1]
                i = stop
