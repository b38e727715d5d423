"""Index arithmetic shared by every back end: plain functions, compiled by each for itself.

``FIRST``, ``SECOND``, ``LAST``, ``PLANES`` and ``ROW`` are the positions in the tuple ``supports``.
"""

from __future__ import annotations

from ...machine.cpu.lanes import SIDE

__all__ = [
    "FIRST",
    "LAST",
    "PLANES",
    "ROW",
    "SECOND",
    "column",
    "corner",
    "interleaved",
    "period",
    "strides",
    "weights_length",
]

FIRST, SECOND, LAST, PLANES, ROW = range(5)


def column(node, channel, interleaved):
    """Index of a node in a row of the grid.

    Parameters
    ----------
    node : int
        Along the last axis.
    channel : int
        Which of the interleaved channels.
    interleaved : int
        How many channels are interleaved: 1, or 2 with ``SIDE`` nodes of each in turn.
    """
    return node if interleaved == 1 else 2 * node - node % SIDE + SIDE * channel


def period(nodes, interleaved):
    """Numbers after which a row of the grid repeats in its padding, and how many channels that period interleaves.

    Where the length is a multiple of ``SIDE`` two interleaved channels repeat as one channel of twice the length.

    Parameters
    ----------
    nodes : int
        Along the last axis, without padding.
    interleaved : int
        How many channels are interleaved, 1 or 2.
    """
    return (interleaved * nodes, 1) if nodes % SIDE == 0 else (nodes, interleaved)


def corner(i, coordinates, strides, supports):
    """Index of the first node under the window of sorted point i, in a flattened grid.

    Where channels are interleaved it is the index of the cache line that holds this node.
    """
    dim = coordinates.shape[1]
    index = int(coordinates[i, dim - 1])
    if len(supports[SECOND]) > 1:
        index += int(coordinates[i, dim - 2]) * strides[3]
    if len(supports[FIRST]) > 1:
        index += int(coordinates[i, dim - 3]) * strides[2]
    if interleaved(supports) == 2:
        index += int(coordinates[i, dim - 1]) // SIDE * 2 * SIDE - int(coordinates[i, dim - 1])
    return index


def interleaved(supports):
    """How many channels are interleaved on the grid, 1 or 2: only then are rows longer than a window."""
    return 2 if len(supports[ROW]) > len(supports[LAST]) else 1


def weights_length(lanes, supports):
    """Numbers for the weights of a point along all axes, with zeros around the last where channels are interleaved."""
    return 3 * lanes + (3 * SIDE if interleaved(supports) == 2 else 0)


def strides(shape: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Elements from one snapshot, channel (or interleaved channels), plane and row of (B, C, ·, ·, ·) to the next."""
    row = shape[4]
    plane = row * shape[3]
    grid = plane * shape[2]
    return grid * shape[1], grid, plane, row
