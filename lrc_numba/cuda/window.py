"""The window and its slope at a point, for one axis after the other, shared by spreading and interpolation.

On the CPU a window is a vector, evaluated as a whole and for several points ahead; here a thread evaluates one weight,
and which one depends on the loop that asks. τ, the polynomials and where a window begins are the same functions on
both (``evaluation``, ``indexing``).

An index that may be negative is tested for it at every access; in inner loops what cannot be is made unsigned.

Weights of three axes lie side by side, ``MOST`` apart; an axis that is not there has one node of weight 1 and slope 0.
"""

from __future__ import annotations

import numpy as np

from .. import evaluation, indexing
from .compile import inlined

MOST = 32  # nodes under a window, see windows.MAX_WIDTH
AXES = 3 * MOST
ONE_AXIS = ((0,), (0,), (0,))  # supports for one weight along one axis

corner = inlined(indexing.corner)


@inlined
def _load(table, index, support):
    """One coefficient; ``support`` says how many of them make a vector, where there are vectors."""
    return table[np.uint64(index)]


_fma = inlined(evaluation.fma)  # one instruction: NVVM contracts it
offset = inlined(evaluation.offset)
windows = inlined(evaluation.bind(evaluation.windows, load=_load, fma=_fma))


@inlined
def weigh_axis(i, axis, node, coordinates, table, lanes, rows, absent):
    """The weight of one node along one of the three axes; ``absent`` where that axis is not there.

    Parameters
    ----------
    i, axis, node : int
        Which sorted point, axis and node under the window.
    coordinates, table, lanes
        As for ``cpu.spreading.spread``.
    rows : int
        Of the table, see ``rows_of``.
    absent : {1, 0}
        The weight, or the slope.
    """
    missing = 3 - coordinates.shape[1]
    if axis < missing:
        return table.dtype.type(absent)
    tau = offset(coordinates[i, axis - missing], table)
    return windows(tau, tau, tau, table, node, lanes, rows, ONE_AXIS)[2]


@inlined
def rows_of(table, lanes):
    """Rows of a table; a division, which is dear in 64 bits."""
    return np.uint32(len(table)) // np.uint32(lanes)


@inlined
def first_under(i, axis, coordinates):
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
    rows = rows_of(table, lanes)
    for node in range(len(supports[0])):
        weights[node] = weigh_axis(i, 0, node, coordinates, table, lanes, rows, absent)
    for node in range(len(supports[1])):
        weights[MOST + node] = weigh_axis(i, 1, node, coordinates, table, lanes, rows, absent)
    for node in range(len(supports[2])):
        weights[2 * MOST + node] = weigh_axis(i, 2, node, coordinates, table, lanes, rows, absent)
