"""Index arithmetic shared by every back end: plain functions, compiled by each for itself."""

from __future__ import annotations

from ...machine.cpu.lanes import SIDE

__all__ = ["column", "corner", "period", "room", "strides", "together"]


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


def corner(i, coordinates, strides, supports):
    """Where the window of point i begins, in a flattened grid; the line with its beginning where channels are in pairs.

    Parameters
    ----------
    i : int
        Which sorted point.
    coordinates, strides, supports
        As for ``spreading.cpu.spread``.
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
        As for ``spreading.cpu.spread``.
    """
    return 2 if len(supports[4]) > len(supports[2]) else 1


def room(lanes, supports):
    """Numbers that the weights of a point take along all axes, with zeros around the last where channels are in pairs.

    Parameters
    ----------
    lanes, supports
        As for ``spreading.cpu.spread``.
    """
    return 3 * lanes + (3 * SIDE if together(supports) == 2 else 0)


def strides(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Elements from one snapshot, channel (or pair of them), plane and row of (B, C, ·, ·, ·) to the next."""
    row = shape[4]
    plane = row * shape[3]
    grid = plane * shape[2]
    return grid * shape[1], grid, plane, row
