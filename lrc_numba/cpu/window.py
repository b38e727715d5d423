"""The windows and their slopes at some points at a time, shared by spreading and interpolation.

A window is a chain of multiply-adds, each waiting for the one before it, and what is then done with its weights is
another. So windows are evaluated for ``AHEAD`` points before the first is used: chains of neighbours overlap. The
weights of a point are three vectors side by side, for the first, the second and the last axis. In one dimension there
is only the last, and its weights stay in registers.
"""

from __future__ import annotations

from .. import indexing
from . import simd
from .compile import inlined

AHEAD = 8  # points

corner = inlined(indexing.corner)


@inlined
def weight(weights, index, support, absent):
    """One weight or slope; ``absent``, a constant to the compiler, where its axis is not there and nothing was stored.

    Parameters
    ----------
    weights : (AHEAD · 3 · lanes,)
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
def _offset(coordinate, like):
    """τ ∈ [−1, 1), the place in a grid cell."""
    return like.dtype.type(2.0 * (coordinate - int(coordinate)) - 1.0)


@inlined
def window(i, coordinates, table, lanes, rows, support):
    """Weights of point i along the last axis, by Horner's rule.

    Parameters
    ----------
    i : int
        Which sorted point.
    coordinates, lanes
        As for ``spreading.spread``.
    table : (rows · lanes,)
        Polynomials, highest power first.
    rows : int
        How many.
    support : tuple
        As long as the window.
    """
    offset = _offset(coordinates[i, coordinates.shape[1] - 1], table)
    weights = simd.load(table, 0, support)
    for row in range(1, rows):
        weights = simd.fma(offset, weights, simd.load(table, row * lanes, support))
    return weights


@inlined
def weigh(lo, hi, coordinates, table, lanes, rows, supports, weights):
    """Weights along all axes, side by side, for the points [lo, hi), at most ``ahead``; in 1-D nothing is done.

    Parameters
    ----------
    lo, hi : int
        Which sorted points.
    coordinates, table, lanes, rows
        As for ``window``.
    supports
        As for ``spreading.spread``.
    weights : (AHEAD · 3 · lanes,)
        Written.
    """
    first, second, third, _ = supports
    dim = coordinates.shape[1]
    if len(second) > 1:
        for i in range(lo, hi):
            place = (i - lo) * 3 * lanes
            along = simd.load(table, 0, third)
            upon, beside = along, along
            three, two = _offset(coordinates[i, dim - 1], table), _offset(coordinates[i, dim - 2], table)
            one = _offset(coordinates[i, dim - 3], table) if len(first) > 1 else two
            for row in range(1, rows):
                coefficients = simd.load(table, row * lanes, third)
                along = simd.fma(three, along, coefficients)
                beside = simd.fma(two, beside, coefficients)
                if len(first) > 1:
                    upon = simd.fma(one, upon, coefficients)
            if len(first) > 1:
                simd.store(weights, place, upon)
            simd.store(weights, place + lanes, beside)
            simd.store(weights, place + 2 * lanes, along)


@inlined
def last_axis(i, place, coordinates, table, lanes, rows, supports, weights):
    """Weights along the last axis: what ``weigh`` left at ``place``; in 1-D computed here, and never in memory.

    Parameters
    ----------
    i, coordinates, table, lanes, rows
        As for ``window``.
    place : int
        Where the weights of point i begin in ``weights``.
    supports, weights
        As for ``weigh``.
    """
    if len(supports[1]) > 1:
        return simd.load(weights, place + 2 * lanes, supports[2])
    return window(i, coordinates, table, lanes, rows, supports[2])
