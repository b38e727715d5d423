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
    """
    coordinate = (fraction - math.floor(fraction)) * nodes + shift
    if coordinate < 0.0:
        coordinate += nodes * math.ceil(-coordinate / nodes)
    if coordinate >= nodes:  # also where rounding has lifted a tiny negative number to a whole period
        coordinate -= nodes
    return coordinate


def tile_key(first, second, third, batch, tile, tiles):
    """Sorting key of a grid node: by round (parities of the tile indices), then snapshot, then tile.

    Parameters
    ----------
    first, second, third : int
        Node indices.
    batch : (int, int)
        Which snapshot, of how many.
    tile, tiles : (int, int, int)
        Nodes per tile and tiles per axis.
    """
    a, b, c = first // tile[0], second // tile[1], third // tile[2]
    parity = (a % 2) * 4 + (b % 2) * 2 + c % 2
    rows, columns = (tiles[1] + 1) // 2, (tiles[2] + 1) // 2
    within = ((a // 2) * rows + b // 2) * columns + c // 2
    return (parity * batch[1] + batch[0]) * ((tiles[0] + 1) // 2) * rows * columns + within
