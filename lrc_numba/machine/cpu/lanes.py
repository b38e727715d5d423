"""How long a vector and a row are that hold a window."""

from __future__ import annotations

__all__ = ["SIDE", "row_length", "vector_lanes"]

SIDE = 4  # nodes of a channel before those of the other, where two lie side by side: with float64 a line of a cache


def vector_lanes(width: int) -> int:
    """Length of the vector that holds a window of ``width`` nodes: 1 or a multiple of 4."""
    return 1 if width == 1 else -(-width // 4) * 4


def row_length(width: int) -> int:
    """Numbers of a row, two channels side by side, that a window of ``width`` nodes may reach wherever it begins."""
    return 2 * SIDE * -(-(width + SIDE - 1) // SIDE)
