"""Where a point goes: plain functions, compiled by every back end for itself."""

from __future__ import annotations

from math import floor

__all__ = ["first_node", "slab_at", "tile_key"]


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
    coordinate = (fraction - floor(fraction)) * nodes + shift
    coordinate -= nodes * floor(coordinate / nodes)
    if coordinate >= nodes:  # rounding has lifted a tiny negative number to a whole period
        coordinate -= nodes
    return coordinate


def tile_key(first, second, third, snapshot, shifts, tiles, pieces):
    """Sorting key of a grid node: its snapshot, then its tile, in the order of memory, then its piece of the tile.

    Parameters
    ----------
    first, second, third : int
        Node indices.
    snapshot : int
        Which snapshot.
    shifts : (int, int, int)
        Nodes per tile, as powers of two.
    tiles : (int, int, int)
        Tiles per axis.
    pieces : int
        1, or 2 to the number of axes: the halves of a tile along each of them.
    """
    a, b, c = first >> shifts[0], second >> shifts[1], third >> shifts[2]
    tile = ((snapshot * tiles[0] + a) * tiles[1] + b) * tiles[2] + c
    if pieces == 1:
        return tile
    upper = (first << 1 >> shifts[0] & 1, second << 1 >> shifts[1] & 1, third << 1 >> shifts[2] & 1)
    return tile * pieces + (upper[0] * 2 + upper[1]) * 2 + upper[2]


def slab_at(position, slabs):
    """Which slab or pencil is spread at a position, 0, 2, 1, 4, 3, …: an odd one after the even ones beside it.

    Parameters
    ----------
    position : int
        Place in the order.
    slabs : int
        How many there are.
    """
    if position % 2 == 0:
        return max(position - 1, 0)
    return position + 1 if position + 1 < slabs else position
