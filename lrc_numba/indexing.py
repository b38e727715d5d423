"""Index arithmetic shared by every back end: plain functions, compiled by each for itself."""

from __future__ import annotations

from math import floor

__all__ = ["SIDE", "column", "corner", "first_node", "period", "room", "slab_at", "tile_key", "together"]

SIDE = 4  # nodes of a channel before those of the other, where two lie side by side: with float64 a line of a cache


def column(node, channel, pair):
    """Where a node stands in a row of the grid.

    Parameters
    ----------
    node : int
        Along the last axis.
    channel : int
        Which of those side by side.
    pair : int
        How many those are: 1, or 2, ``SIDE`` nodes of each in turn.
    """
    return node if pair == 1 else 2 * node - node % SIDE + SIDE * channel


def period(nodes, pair):
    """After how many places a row of the grid begins again in its padding, and how many channels lie side by side.

    Of a pair whose channels take turns without a break the row is as good as that of one channel, twice as long.

    Parameters
    ----------
    nodes : int
        Along the last axis, without padding.
    pair : int
        How many channels lie side by side, 1 or 2.
    """
    return (pair * nodes, 1) if nodes % SIDE == 0 else (nodes, pair)  # else a turn is broken off at the end


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


def corner(i, coordinates, strides, supports):
    """Where the window of point i begins, in a flattened grid; the line with its beginning where channels are in pairs.

    Parameters
    ----------
    i : int
        Which sorted point.
    coordinates, strides, supports
        As for ``cpu.spreading.spread``.
    """
    dim = coordinates.shape[1]
    place = int(coordinates[i, dim - 1])
    if len(supports[1]) > 1:
        place += int(coordinates[i, dim - 2]) * strides[3]
    if len(supports[0]) > 1:
        place += int(coordinates[i, dim - 3]) * strides[2]
    if together(supports) == 2:
        place += int(coordinates[i, dim - 1]) // SIDE * 2 * SIDE - int(coordinates[i, dim - 1])
    return place


def together(supports):
    """How many channels lie side by side on the grid, 1 or 2, as their rows are longer than a window only then.

    Parameters
    ----------
    supports
        As for ``cpu.spreading.spread``.
    """
    return 2 if len(supports[4]) > len(supports[2]) else 1


def room(lanes, supports):
    """Numbers that the weights of a point take along all axes, with zeros around the last where channels are in pairs.

    Parameters
    ----------
    lanes, supports
        As for ``cpu.spreading.spread``.
    """
    return 3 * lanes + (3 * SIDE if together(supports) == 2 else 0)


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
