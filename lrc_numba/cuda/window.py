"""The window and its slope at a point, for one axis after the other, shared by spreading and interpolation.

The functions are not those of ``cpu.window``: there a window is a vector, evaluated as a whole and for several points
ahead; here a thread evaluates one weight, and which one depends on the loop that asks. What both have in common are the
polynomials (``windows.Window``), τ, and where a window begins, ``indexing.corner``.

An index that may be negative is tested for it at every access; in inner loops what cannot be is made unsigned.

Weights of three axes lie side by side, ``MOST`` apart; an axis that is not there has one node of weight 1 and slope 0.
"""

from __future__ import annotations

import numpy as np

from .. import indexing
from .compile import inlined

MOST = 32  # nodes under a window, see windows.MAX_WIDTH
AXES = 3 * MOST

corner = inlined(indexing.corner)


@inlined
def polynomial(table, lanes, node, offset):
    """One weight by Horner's rule, see ``cpu.window.window``.

    Parameters
    ----------
    table : (rows · lanes,)
        Polynomials, highest power first.
    lanes, node : int
        Numbers per row, and which of them.
    offset : float
        τ ∈ [−1, 1); from here on in the precision of the table.
    """
    offset = table.dtype.type(offset)
    value = table[np.uint64(node)]
    place = lanes + node  # no ``range``: the compiler would divide by ``lanes`` to learn how often it goes round
    while place < len(table):
        value = value * offset + table[np.uint64(place)]
        place += lanes
    return value


@inlined
def locate(coordinate):
    """First node and offset τ of a grid coordinate."""
    node = int(coordinate)
    return node, 2.0 * (coordinate - node) - 1.0


@inlined
def weigh_axis(i, axis, node, coordinates, table, lanes, absent):
    """The weight of one node along one of the three axes; ``absent`` where that axis is not there.

    Parameters
    ----------
    i, axis, node : int
        Which sorted point, axis and node under the window.
    coordinates, table, lanes
        As for ``cpu.spreading.spread``.
    absent : {1, 0}
        The weight, or the slope.
    """
    missing = 3 - coordinates.shape[1]
    if axis < missing:
        return table.dtype.type(absent)
    _, offset = locate(coordinates[i, axis - missing])
    return polynomial(table, lanes, node, offset)


@inlined
def first_node(i, axis, coordinates):
    """The first node under the window along one of the three axes.

    Parameters
    ----------
    i, axis : int
        Which sorted point and axis.
    coordinates : (B·N, d) float64
        Sorted grid coordinates.
    """
    missing = 3 - coordinates.shape[1]
    return 0 if axis < missing else int(coordinates[i, axis - missing])


@inlined
def weigh_point(i, coordinates, table, lanes, supports, absent, weights):
    """Fill the weights of a point along all axes.

    Parameters
    ----------
    i : int
        Which sorted point.
    coordinates, table, lanes, supports
        As for ``cpu.spreading.spread``.
    absent : float
        For axes that are not there.
    weights : (AXES,)
        Written.
    """
    for node in range(len(supports[0])):
        weights[node] = weigh_axis(i, 0, node, coordinates, table, lanes, absent)
    for node in range(len(supports[1])):
        weights[MOST + node] = weigh_axis(i, 1, node, coordinates, table, lanes, absent)
    for node in range(len(supports[2])):
        weights[2 * MOST + node] = weigh_axis(i, 2, node, coordinates, table, lanes, absent)
