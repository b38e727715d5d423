"""The weights and slopes of windows for a few points at a time, shared by spreading and interpolation.

On the CPU a window is a vector, evaluated as a whole; here a thread evaluates one weight. τ, the polynomials and where
a window begins are the same functions on both (``evaluate``, ``indexing``).

The weights of a point along the three axes lie one behind the other, ``MOST`` apart. An index that may be negative is
tested for it at every access; in inner loops what cannot be is made unsigned. The functions do what those of
``window.cpu`` do; differences are said.
"""

from __future__ import annotations

import numpy as np

from ...machine.cuda.compile import inlined
from . import evaluate, indexing
from .indexing import FIRST, LAST, SECOND

GROUP = 8  # points whose windows a block of threads evaluates at once
MOST = 32  # nodes under a window, see ``choose.MAX_WIDTH``
AXES = 3 * MOST

corner = inlined(evaluate.bind(indexing.corner, interleaved=inlined(indexing.interleaved)))


@inlined
def _load(table, index, support):
    """One coefficient: there are no vectors here."""
    return table[np.uint64(index)]


_fma = inlined(evaluate.fma)  # one instruction: NVVM contracts it
cell_position = inlined(evaluate.cell_position)
windows = inlined(evaluate.bind(evaluate.windows, load=_load, fma=_fma))
weight_at = inlined(evaluate.bind(evaluate.weight_at, windows=windows))
_windows_and_slopes = inlined(evaluate.bind(evaluate.windows_and_slopes, load=_load, fma=_fma))
weight_and_slope_at = inlined(evaluate.bind(evaluate.weight_and_slope_at, windows_and_slopes=_windows_and_slopes))


@inlined
def weight(weights, index, support, absent):
    """One weight or slope; ``absent`` where its axis does not exist."""
    return weights[index] if len(support) > 1 else weights.dtype.type(absent)


@inlined
def group_size(support):
    """For how many points windows are evaluated before they are used, in any dimension."""
    return GROUP


@inlined
def evaluate_weights(lo, hi, coordinates, table, lanes, n_coefficients, supports, weights):
    """Write the weights of the sorted points [lo, hi), ``AXES`` numbers each; by one thread, and also in 1-D."""
    dim = coordinates.shape[1]
    for i in range(lo, hi):
        begin = (i - lo) * AXES
        if len(supports[FIRST]) > 1:
            tau = cell_position(coordinates[i, dim - 3], table)
            for node in range(len(supports[FIRST])):
                weights[begin + node] = weight_at(tau, node, table, lanes, n_coefficients)
        if len(supports[SECOND]) > 1:
            tau = cell_position(coordinates[i, dim - 2], table)
            for node in range(len(supports[SECOND])):
                weights[begin + MOST + node] = weight_at(tau, node, table, lanes, n_coefficients)
        tau = cell_position(coordinates[i, dim - 1], table)
        for node in range(len(supports[LAST])):
            weights[begin + 2 * MOST + node] = weight_at(tau, node, table, lanes, n_coefficients)


@inlined
def _evaluate_axis(coordinate, begin, support, table, lanes, n_coefficients, weights, slopes):
    """Weights and slopes along one axis, from index ``begin`` on."""
    tau = cell_position(coordinate, table)
    for node in range(len(support)):
        weight, slope = weight_and_slope_at(tau, node, table, lanes, n_coefficients)
        weights[begin + node], slopes[begin + node] = weight, slope


@inlined
def evaluate_slopes(lo, hi, coordinates, table, lanes, n_coefficients, supports, weights, slopes):
    """``evaluate_weights``, and the slopes in the same order."""
    dim = coordinates.shape[1]
    for i in range(lo, hi):
        begin = (i - lo) * AXES
        if len(supports[FIRST]) > 1:
            _evaluate_axis(
                coordinates[i, dim - 3], begin, supports[FIRST], table, lanes, n_coefficients, weights, slopes
            )
        if len(supports[SECOND]) > 1:
            _evaluate_axis(
                coordinates[i, dim - 2], begin + MOST, supports[SECOND], table, lanes, n_coefficients, weights, slopes
            )
        _evaluate_axis(
            coordinates[i, dim - 1], begin + 2 * MOST, supports[LAST], table, lanes, n_coefficients, weights, slopes
        )


@inlined
def last_weights(i, begin, coordinates, table, lanes, n_coefficients, supports, weights):
    """Index of the first weight along the last axis, for a point whose weights start at ``begin``."""
    return begin + np.uint32(2 * MOST)


@inlined
def last_slopes(i, begin, coordinates, table, lanes, n_coefficients, supports, weights, slopes):
    """``last_weights`` for ``weights`` and for ``slopes``."""
    last = last_weights(i, begin, coordinates, table, lanes, n_coefficients, supports, weights)
    return last, last
