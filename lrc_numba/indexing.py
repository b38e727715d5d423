"""Index arithmetic shared by every back end: plain functions, compiled by each for itself."""

from __future__ import annotations

import math

__all__ = ["first_node", "tile_key"]


def first_node(fraction, nodes, shift):
    """Grid coordinate whose floor is the first node under the window, in [0, nodes).

    Parameters
    ----------
    fraction : float
        Coordinate in units of the lattice vector, anywhere.
    nodes : int
        Grid nodes along the axis.
    shift : float
        1 − w/2 for a window of w nodes.

    Returns
    -------
    float
        −1 where the fraction is so large (2^52) or so little of a number that its place in the cell is unknown.
    """
    if not abs(fraction) < 4503599627370496.0:
        return -1.0
    coordinate = (fraction - math.floor(fraction)) * nodes + shift
    if coordinate < 0.0:
        coordinate += nodes * math.ceil(-coordinate / nodes)
    if coordinate >= nodes:  # also where rounding has lifted a tiny negative number to a whole period
        coordinate -= nodes
    return coordinate


def tile_key(first, second, third, snapshot, snapshots, shifts, halves):
    """Sorting key of a grid node: by round (parities of the tile indices), then snapshot, then tile.

    Parameters
    ----------
    first, second, third : int
        Node indices.
    snapshot, snapshots : int
        Which snapshot, of how many.
    shifts : (int, int, int)
        Nodes per tile, as powers of two.
    halves : (int, int, int)
        Half the tiles per axis, rounded up.
    """
    a, b, c = first >> shifts[0], second >> shifts[1], third >> shifts[2]
    parity = (a & 1) * 4 + (b & 1) * 2 + (c & 1)
    within = ((a >> 1) * halves[1] + (b >> 1)) * halves[2] + (c >> 1)
    return (parity * snapshots + snapshot) * halves[0] * halves[1] * halves[2] + within
