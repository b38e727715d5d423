"""The windows and their slopes at some points at a time, shared by spreading and interpolation.

On the CPU a window is a vector, evaluated as a whole; here a thread evaluates one weight. τ, the polynomials and where
a window begins are the same functions on both (``evaluate``, ``indexing``).

The weights of a point along the three axes lie side by side, ``MOST`` apart. An index that may be negative is tested
for it at every access; in inner loops what cannot be is made unsigned.
"""

from __future__ import annotations

import numpy as np

from ...machine.cuda.compile import inlined
from . import evaluate as evaluation
from . import indexing

AHEAD = 8  # points whose windows a block of threads makes at once
MOST = 32  # nodes under a window, see windows.MAX_WIDTH
AXES = 3 * MOST

corner = inlined(evaluation.bind(indexing.corner, together=inlined(indexing.together)))


@inlined
def _load(table, index, support):
    """One coefficient; ``support`` says how many of them make a vector, where there are vectors."""
    return table[np.uint64(index)]


_fma = inlined(evaluation.fma)  # one instruction: NVVM contracts it
offset = inlined(evaluation.offset)
windows = inlined(evaluation.bind(evaluation.windows, load=_load, fma=_fma))
weight_at = inlined(evaluation.bind(evaluation.weight_at, windows=windows))
_with_slopes = inlined(evaluation.bind(evaluation.windows_and_slopes, load=_load, fma=_fma))
weight_and_slope_at = inlined(evaluation.bind(evaluation.weight_and_slope_at, windows_and_slopes=_with_slopes))


@inlined
def weight(weights, index, support, absent):
    """See ``window.cpu.weight``.

    Parameters
    ----------
    weights, index, support, absent
        As there.
    """
    return weights[index] if len(support) > 1 else weights.dtype.type(absent)


@inlined
def ahead(support):
    """For how many points the windows are evaluated before they are used.

    Parameters
    ----------
    support : tuple
        Without meaning here.
    """
    return AHEAD


@inlined
def weigh(lo, hi, coordinates, table, lanes, rows, supports, weights):
    """See ``window.cpu.weigh``; here by one thread, and also in 1-D.

    Parameters
    ----------
    lo, hi, coordinates, table, lanes, rows, supports
        As there.
    weights : (at least (hi − lo) · AXES,)
        Written.
    """
    dim = coordinates.shape[1]
    for i in range(lo, hi):
        place = (i - lo) * AXES
        if len(supports[0]) > 1:
            tau = offset(coordinates[i, dim - 3], table)
            for node in range(len(supports[0])):
                weights[place + node] = weight_at(tau, node, table, lanes, rows)
        if len(supports[1]) > 1:
            tau = offset(coordinates[i, dim - 2], table)
            for node in range(len(supports[1])):
                weights[place + MOST + node] = weight_at(tau, node, table, lanes, rows)
        tau = offset(coordinates[i, dim - 1], table)
        for node in range(len(supports[2])):
            weights[place + 2 * MOST + node] = weight_at(tau, node, table, lanes, rows)


@inlined
def _both(coordinate, place, support, table, lanes, rows, weights, tilts):
    """Weights and slopes along one axis, from ``place`` on."""
    tau = offset(coordinate, table)
    for node in range(len(support)):
        weight, slope = weight_and_slope_at(tau, node, table, lanes, rows)
        weights[place + node], tilts[place + node] = weight, slope


@inlined
def weigh_and_tilt(lo, hi, coordinates, table, lanes, rows, supports, weights, tilts):
    """See ``window.cpu.weigh_and_tilt``.

    Parameters
    ----------
    lo, hi, coordinates, table, lanes, rows, supports, weights, tilts
        As there.
    """
    dim = coordinates.shape[1]
    for i in range(lo, hi):
        place = (i - lo) * AXES
        if len(supports[0]) > 1:
            _both(coordinates[i, dim - 3], place, supports[0], table, lanes, rows, weights, tilts)
        if len(supports[1]) > 1:
            _both(coordinates[i, dim - 2], place + MOST, supports[1], table, lanes, rows, weights, tilts)
        _both(coordinates[i, dim - 1], place + 2 * MOST, supports[2], table, lanes, rows, weights, tilts)


@inlined
def last_axis(i, place, coordinates, table, lanes, rows, supports, weights):
    """See ``window.cpu.last_axis``; here where in ``weights`` those along the last axis begin.

    Parameters
    ----------
    i, place, coordinates, table, lanes, rows, supports, weights
        As there.
    """
    return place + np.uint32(2 * MOST)


@inlined
def last_axes(i, place, coordinates, table, lanes, rows, supports, weights, tilts):
    """See ``window.cpu.last_axes``; here where in ``weights`` and in ``tilts`` those along the last axis begin.

    Parameters
    ----------
    i, place, coordinates, table, lanes, rows, supports, weights, tilts
        As there.
    """
    last = last_axis(i, place, coordinates, table, lanes, rows, supports, weights)
    return last, last
