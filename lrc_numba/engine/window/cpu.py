"""The windows and their slopes at some points at a time, shared by spreading and interpolation.

A window is a chain of multiply-adds, each waiting for the one before it, and what is then done with its weights is
another. So windows are evaluated for ``AHEAD`` points before the first is used: chains of neighbours overlap. The
weights of a point are three vectors side by side, for the first, the second and the last axis. In one dimension there
is only the last, and its weights stay in registers. Where channels come in pairs (``simd_pairs``) zeros lie around the
last, from which it is read shifted to where its row begins.

An index that may be negative is tested for it at every access; in loops over points it is made unsigned.

Tried and lost: τ of all axes of these points in a loop of its own, which is turned into vectors; 4 and 16 points.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_pairs
from ...machine.cpu.compile import inlined
from ...machine.cpu.lanes import SIDE
from . import evaluate as evaluation
from . import indexing

AHEAD = 8  # points

together = inlined(indexing.together)
corner = inlined(evaluation.bind(indexing.corner, together=together))
room = inlined(evaluation.bind(indexing.room, together=together))
offset = inlined(evaluation.offset)
windows = inlined(evaluation.bind(evaluation.windows, load=simd.load, fma=simd.fma))
_with_slopes = inlined(evaluation.bind(evaluation.windows_and_slopes, load=simd.load, fma=simd.fma))


@inlined
def _side(supports):
    """Zeros before the weights along the last axis."""
    return SIDE * (together(supports) - 1)


@inlined
def _shift(i, coordinates, supports):
    """Nodes from where the row of point i begins to its window."""
    if together(supports) == 1:
        return 0
    return int(coordinates[i, coordinates.shape[1] - 1]) % SIDE


@inlined
def weight(weights, index, support, absent):
    """One weight or slope; ``absent``, a constant to the compiler, where its axis is not there and nothing was stored.

    Parameters
    ----------
    weights : (AHEAD · room,)
        From ``weigh``.
    index : int
        Which.
    support : tuple
        As long as the window along that axis.
    absent : {1, 0}
        The weight, or the slope, of an axis that is not there.
    """
    return weights[index] if len(support) > 1 else weights.dtype.type(absent)


@inlined
def ahead(support):
    """For how many points windows are evaluated before they are used, by the length of the second axis's support."""
    return AHEAD if len(support) > 1 else 1 << 40


@inlined
def _offsets(i, coordinates, table, supports):
    """τ of a point along the three axes; that of the second for a first that is not there."""
    dim = coordinates.shape[1]
    three = offset(coordinates[np.uint64(i), dim - 1], table)
    two = offset(coordinates[np.uint64(i), dim - 2], table)
    one = offset(coordinates[np.uint64(i), dim - 3], table) if len(supports[0]) > 1 else two
    return one, two, three


@inlined
def _keep(vectors, weights, place, lanes, supports):
    """Store what is along the three axes side by side."""
    if len(supports[0]) > 1:
        simd.store(weights, place, vectors[0])
    simd.store(weights, place + lanes, vectors[1])
    simd.store(weights, place + 2 * lanes + _side(supports), vectors[2])


@inlined
def weigh(lo, hi, coordinates, table, lanes, rows, supports, weights):
    """Weights along all axes, side by side, for the points [lo, hi), at most ``ahead``; in 1-D nothing is done.

    Parameters
    ----------
    lo, hi : int
        Which sorted points.
    coordinates, table, lanes, supports
        As for ``spreading.spread``.
    rows : int
        Of the table.
    weights : (AHEAD · room,)
        Written; zeros before.
    """
    if len(supports[1]) > 1:
        for i in range(lo, hi):
            one, two, three = _offsets(i, coordinates, table, supports)
            window = windows(one, two, three, table, 0, lanes, rows, supports)
            _keep(window, weights, (i - lo) * room(lanes, supports), lanes, supports)


@inlined
def weigh_and_tilt(lo, hi, coordinates, table, lanes, rows, supports, weights, tilts):
    """``weigh`` for the windows and for their slopes at once.

    Parameters
    ----------
    lo, hi, coordinates, table, lanes, rows, supports, weights
        As for ``weigh``.
    tilts : (AHEAD · room,)
        Written; zeros before.
    """
    if len(supports[1]) > 1:
        for i in range(lo, hi):
            one, two, three = _offsets(i, coordinates, table, supports)
            window, slope = _with_slopes(one, two, three, table, 0, lanes, rows, supports)
            _keep(window, weights, (i - lo) * room(lanes, supports), lanes, supports)
            _keep(slope, tilts, (i - lo) * room(lanes, supports), lanes, supports)


@inlined
def last_axes(i, place, coordinates, table, lanes, rows, supports, weights, tilts):
    """``last_axis`` for the windows and for their slopes.

    Parameters
    ----------
    i, place, coordinates, table, lanes, rows, supports, weights, tilts
        As for ``last_axis`` and ``weigh_and_tilt``.
    """
    if len(supports[1]) > 1:
        place += 2 * lanes + _side(supports) - _shift(np.uint64(i), coordinates, supports)
        along = simd_pairs.load_twice(weights, place, supports[2], supports[4])
        return along, simd_pairs.load_twice(tilts, place, supports[2], supports[4])
    tau = offset(coordinates[np.uint64(i), coordinates.shape[1] - 1], table)
    window, slope = _with_slopes(tau, tau, tau, table, 0, lanes, rows, supports)
    return simd_pairs.fit(window[2], supports[2], supports[4]), simd_pairs.fit(slope[2], supports[2], supports[4])


@inlined
def last_axis(i, place, coordinates, table, lanes, rows, supports, weights):
    """Weights along the last axis: what ``weigh`` left at ``place``; in 1-D computed here, and never in memory.

    Parameters
    ----------
    i : int
        Which sorted point.
    place : int
        Where the weights of point i begin in ``weights``.
    coordinates, table, lanes, rows, supports, weights
        As for ``weigh``.
    """
    if len(supports[1]) > 1:
        place += 2 * lanes + _side(supports) - _shift(np.uint64(i), coordinates, supports)
        return simd_pairs.load_twice(weights, place, supports[2], supports[4])
    tau = offset(coordinates[np.uint64(i), coordinates.shape[1] - 1], table)
    window = windows(tau, tau, tau, table, 0, lanes, rows, supports)[2]
    return simd_pairs.fit(window, supports[2], supports[4])
