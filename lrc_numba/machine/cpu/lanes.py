"""Lengths of the vector that holds a window and of the row of the grid that does."""

from __future__ import annotations

__all__ = ["SIDE", "row_length", "vector_lanes"]

SIDE = 4  # nodes of one channel before those of the other, where two are interleaved: with float64 half a cache line


def vector_lanes(width: int) -> int:
    """Length of the vector that holds a window of ``width`` nodes: 1 or a multiple of 4."""
    return 1 if width == 1 else -(-width // 4) * 4


def row_length(width: int) -> int:
    """Numbers of a row of two interleaved channels that a window of ``width`` nodes may touch wherever it begins."""
    return 2 * SIDE * -(-(width + SIDE - 1) // SIDE)
