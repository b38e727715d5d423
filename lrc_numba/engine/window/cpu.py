"""The weights and slopes of windows for a few points at a time, shared by spreading and interpolation.

A window is a chain of multiply-adds, each waiting for the one before it, and what is then done with its weights is
another. So windows are evaluated for ``GROUP`` points before the first is used: chains of neighbours overlap. The
weights of a point are three vectors, along the first, the second and the last axis, one behind the other in an array.
In one dimension there is only the last, and its weights stay in registers. Where channels are interleaved
(``simd_interleaved``) there are zeros around the last, which is loaded shifted to where the row of the grid begins.

An index that may be negative is tested for it at every access; in loops over points it is made unsigned. The arrays are
those of the glossary in ``lrc_numba.engine``. See NOTES.md for what was tried and lost.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_interleaved
from ...machine.cpu.compile import inlined
from ...machine.cpu.lanes import SIDE
from . import evaluate, indexing
from .indexing import FIRST, LAST, ROW, SECOND

GROUP = 8  # points whose windows are evaluated before the first is used

interleaved = inlined(indexing.interleaved)
corner = inlined(evaluate.bind(indexing.corner, interleaved=interleaved))
weights_length = inlined(evaluate.bind(indexing.weights_length, interleaved=interleaved))
cell_position = inlined(evaluate.cell_position)
windows = inlined(evaluate.bind(evaluate.windows, load=simd.load, fma=simd.fma))
_windows_and_slopes = inlined(evaluate.bind(evaluate.windows_and_slopes, load=simd.load, fma=simd.fma))


@inlined
def _zeros_before(supports):
    """Zeros before the weights along the last axis."""
    return SIDE * (interleaved(supports) - 1)


@inlined
def _shift(i, coordinates, supports):
    """Nodes from the beginning of the row of point i to its window."""
    if interleaved(supports) == 1:
        return 0
    return int(coordinates[i, coordinates.shape[1] - 1]) % SIDE


@inlined
def weight(weights, index, support, absent):
    """One weight or slope of an array of them.

    Parameters
    ----------
    index : int
        Which.
    support : tuple
        As long as the window along that axis.
    absent : {1, 0}
        The weight, or the slope, of an axis that does not exist and for which nothing was stored; a constant to the
        compiler.
    """
    return weights[index] if len(support) > 1 else weights.dtype.type(absent)


@inlined
def group_size(support):
    """For how many points windows are evaluated before they are used, by the support of the second axis."""
    return GROUP if len(support) > 1 else 1 << 40


@inlined
def _positions(i, coordinates, table, supports):
    """τ of a point along the three axes; that of the second for a first that does not exist."""
    dim = coordinates.shape[1]
    last = cell_position(coordinates[np.uint64(i), dim - 1], table)
    second = cell_position(coordinates[np.uint64(i), dim - 2], table)
    first = cell_position(coordinates[np.uint64(i), dim - 3], table) if len(supports[FIRST]) > 1 else second
    return first, second, last


@inlined
def _store(vectors, weights, begin, lanes, supports):
    """Store the vectors along the three axes one behind the other, from ``weights[begin]`` on."""
    if len(supports[FIRST]) > 1:
        simd.store(weights, begin, vectors[0])
    simd.store(weights, begin + lanes, vectors[1])
    simd.store(weights, begin + 2 * lanes + _zeros_before(supports), vectors[2])


@inlined
def evaluate_weights(lo, hi, coordinates, table, lanes, n_coefficients, supports, weights):
    """Write the weights along all axes of the sorted points [lo, hi), at most ``group_size``; in 1-D do nothing."""
    if len(supports[SECOND]) > 1:
        for i in range(lo, hi):
            first, second, last = _positions(i, coordinates, table, supports)
            window = windows(first, second, last, table, 0, lanes, n_coefficients, supports)
            _store(window, weights, (i - lo) * weights_length(lanes, supports), lanes, supports)


@inlined
def evaluate_slopes(lo, hi, coordinates, table, lanes, n_coefficients, supports, weights, slopes):
    """``evaluate_weights``, and the slopes in the same order."""
    if len(supports[SECOND]) > 1:
        for i in range(lo, hi):
            first, second, last = _positions(i, coordinates, table, supports)
            window, slope = _windows_and_slopes(first, second, last, table, 0, lanes, n_coefficients, supports)
            _store(window, weights, (i - lo) * weights_length(lanes, supports), lanes, supports)
            _store(slope, slopes, (i - lo) * weights_length(lanes, supports), lanes, supports)


@inlined
def last_weights(i, begin, coordinates, table, lanes, n_coefficients, supports, weights):
    """Weights of sorted point i along the last axis, as a row of the grid.

    They are loaded from where ``evaluate_weights`` put them; in 1-D they are computed here, and never in memory.

    Parameters
    ----------
    begin : int
        Index of the first weight of point i.
    """
    if len(supports[SECOND]) > 1:
        begin += 2 * lanes + _zeros_before(supports) - _shift(np.uint64(i), coordinates, supports)
        return simd_interleaved.load_repeated(weights, begin, supports[LAST], supports[ROW])
    tau = cell_position(coordinates[np.uint64(i), coordinates.shape[1] - 1], table)
    window = windows(tau, tau, tau, table, 0, lanes, n_coefficients, supports)[2]
    return simd_interleaved.as_row(window, supports[LAST], supports[ROW])


@inlined
def last_slopes(i, begin, coordinates, table, lanes, n_coefficients, supports, weights, slopes):
    """``last_weights``, and the slopes along the last axis."""
    if len(supports[SECOND]) > 1:
        begin += 2 * lanes + _zeros_before(supports) - _shift(np.uint64(i), coordinates, supports)
        row_weights = simd_interleaved.load_repeated(weights, begin, supports[LAST], supports[ROW])
        return row_weights, simd_interleaved.load_repeated(slopes, begin, supports[LAST], supports[ROW])
    tau = cell_position(coordinates[np.uint64(i), coordinates.shape[1] - 1], table)
    window, slope = _windows_and_slopes(tau, tau, tau, table, 0, lanes, n_coefficients, supports)
    row_weights = simd_interleaved.as_row(window[2], supports[LAST], supports[ROW])
    return row_weights, simd_interleaved.as_row(slope[2], supports[LAST], supports[ROW])
