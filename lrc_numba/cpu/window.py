"""The window and its slope at a point, in registers, shared by spreading and interpolation.

Along the last axis the weights stay one vector; across the rows they are laid out in a small array, the first axis
at 0, the second at ``lanes``, to be read one by one. Axes that are not there keep what ``row_weights`` gave them.
"""

from __future__ import annotations

import numpy as np

from . import simd
from .compile import inlined


@inlined
def row_weights(lanes, like, value):
    """Room for the weights across the rows, ``value`` for axes that are not there.

    Parameters
    ----------
    lanes : int
        Numbers per axis.
    like : array
        Has the dtype.
    value : float
        1 for weights, 0 for slopes.
    """
    across = np.zeros(2 * lanes, dtype=like.dtype)
    across[0], across[lanes] = value, value
    return across


@inlined
def window(table, lanes, offset, support):
    """Weights of the nodes under the window, by Horner's rule in the point's offset τ ∈ [−1, 1) in its grid cell.

    Parameters
    ----------
    table : (rows · lanes,)
        Polynomials, highest power first.
    lanes : int
        Numbers per row.
    offset : float
        τ.
    support : tuple
        As long as the window.
    """
    weights = simd.load(table, 0, support)
    for row in range(lanes, len(table), lanes):
        weights = simd.fma(offset, weights, simd.load(table, row, support))
    return weights


@inlined
def locate(coordinate, like):
    """First node and offset τ of a grid coordinate, τ in the dtype of ``like``."""
    node = int(coordinate)
    return node, like.dtype.type(2.0 * (coordinate - node) - 1.0)


@inlined
def weigh(i, coordinates, like, table, lanes, strides, supports, across):
    """First node under the window of point i, and the weights along the last axis; ``across`` is filled.

    Parameters
    ----------
    i : int
        Which sorted point.
    coordinates, table, lanes, strides, supports
        As for ``spreading.spread``.
    like : array
        Has the dtype.
    across : (2 · lanes,)
        From ``row_weights``.
    """
    first, second, third = supports
    dim = coordinates.shape[1]
    corner, offset = locate(coordinates[i, dim - 1], like)
    along = window(table, lanes, offset, third)
    if len(second) > 1:
        node, offset = locate(coordinates[i, dim - 2], like)
        simd.store(across, lanes, window(table, lanes, offset, third))
        corner += node * strides[3]
    if len(first) > 1:
        node, offset = locate(coordinates[i, dim - 3], like)
        simd.store(across, 0, window(table, lanes, offset, third))
        corner += node * strides[2]
    return corner, along


@inlined
def weigh_slopes(i, coordinates, like, table, slopes, lanes, strides, supports, across, slope):
    """``weigh``, and the same for the slopes of the window: node, weights and slopes along the last axis.

    Parameters
    ----------
    i, coordinates, like, table, lanes, strides, supports, across
        As for ``weigh``.
    slopes : (rows · lanes,)
        Polynomials of dψ/dg.
    slope : (2 · lanes,)
        From ``row_weights``, filled.
    """
    first, second, third = supports
    dim = coordinates.shape[1]
    corner, offset = locate(coordinates[i, dim - 1], like)
    along, tilt = window(table, lanes, offset, third), window(slopes, lanes, offset, third)
    if len(second) > 1:
        node, offset = locate(coordinates[i, dim - 2], like)
        simd.store(across, lanes, window(table, lanes, offset, third))
        simd.store(slope, lanes, window(slopes, lanes, offset, third))
        corner += node * strides[3]
    if len(first) > 1:
        node, offset = locate(coordinates[i, dim - 3], like)
        simd.store(across, 0, window(table, lanes, offset, third))
        simd.store(slope, 0, window(slopes, lanes, offset, third))
        corner += node * strides[2]
    return corner, along, tilt
