"""Where a point goes: plain functions, compiled by every back end for itself; and the columns of tables of chunks."""

from __future__ import annotations

from math import floor

__all__ = [
    "FIRST_NODE",
    "FIRST_SLOT",
    "LAST_NODE",
    "MERGE_FIRST_NODE",
    "MERGE_LAST_NODE",
    "MERGE_SECOND_NODE",
    "MERGE_SNAPSHOT",
    "OFFSET",
    "SECOND_NODE",
    "SLOT",
    "SLOTS",
    "SNAPSHOT",
    "START",
    "STOP",
    "first_node",
    "slab_at",
    "tile_key",
]

# Columns of ``chunks``: range of sorted points, where they go (a snapshot of the grid, or a slot of scratch, and an
# offset of nodes in it), first nodes of the tile.
START, STOP, SNAPSHOT, OFFSET, FIRST_NODE, SECOND_NODE, LAST_NODE = range(7)
SLOT = SNAPSHOT  # of the chunks that are spread to scratch
# Columns of ``merges``: range of slots, snapshot and first nodes of the tile to which they are added.
FIRST_SLOT, SLOTS, MERGE_SNAPSHOT, MERGE_FIRST_NODE, MERGE_SECOND_NODE, MERGE_LAST_NODE = range(6)


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
        −1 where the fraction is so large (2^52), or not a number, that its position in the cell is unknown.
    """
    if not abs(fraction) < 4503599627370496.0:
        return -1.0
    coordinate = (fraction - floor(fraction)) * nodes + shift
    coordinate -= nodes * floor(coordinate / nodes)
    if coordinate >= nodes:  # rounding has lifted a tiny negative number to a whole period
        coordinate -= nodes
    return coordinate


def tile_key(first, second, last, snapshot, log2_tile, tiles, pieces):
    """Sorting key of a grid node: its snapshot, then its tile, in the order of memory, then its piece of the tile.

    Parameters
    ----------
    first, second, last : int
        Node indices.
    snapshot : int
        Which snapshot.
    log2_tile : (int, int, int)
        Base-2 logarithm of the nodes per tile and axis.
    tiles : (int, int, int)
        Tiles per axis.
    pieces : int
        1, or 2 to the number of axes: the halves of a tile along each of them.
    """
    a, b, c = first >> log2_tile[0], second >> log2_tile[1], last >> log2_tile[2]
    tile = ((snapshot * tiles[0] + a) * tiles[1] + b) * tiles[2] + c
    if pieces == 1:
        return tile
    upper = (first << 1 >> log2_tile[0] & 1, second << 1 >> log2_tile[1] & 1, last << 1 >> log2_tile[2] & 1)
    return tile * pieces + (upper[0] * 2 + upper[1]) * 2 + upper[2]


def slab_at(position, slabs):
    """Which slab or pencil is spread at a position of the order 0, 2, 1, 4, 3, …

    An odd one comes after the even ones beside it.

    Parameters
    ----------
    position : int
        Position in the order.
    slabs : int
        How many there are.
    """
    if position % 2 == 0:
        return max(position - 1, 0)
    return position + 1 if position + 1 < slabs else position
