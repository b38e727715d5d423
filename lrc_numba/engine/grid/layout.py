"""How a grid lies in memory: its padding and its tiles.

Padding. A point at grid coordinate g touches the nodes start … start + w − 1 with start = ⌊g − w/2⌋ + 1, folded into
[0, n). The array has room for all of them, n + w − 1 nodes per axis (more along the last, where a whole vector is
stored, and along the second where that suits a cache), so the inner loops never wrap. Spreading ends by adding the
padding onto the nodes it stands for, interpolation begins by filling it; that of rows the transforms take with them,
where they are our own (``Grid.folds_rows``).

Tiles. Points are sorted by tile, a block of grid nodes that contains their ``start``: what the points of a tile touch
stays in a cache. A small grid, and one of few points, is one tile, and its points are not sorted at all. A tile is at
least as long as a window less one, so it shares nodes with the tiles next to it only; ``points.cpu_schedule`` lives on
that.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from ...machine.cpu.lanes import SIDE, vector_lanes
from .cache_layout import spread_out

if TYPE_CHECKING:
    from .grid import Grid

__all__ = ["Layout", "embed"]


def embed(values: tuple[int, ...], fill: int) -> tuple[int, int, int]:
    """d numbers as three, with ``fill`` for the axes in front that are not there."""
    return (fill,) * (3 - len(values)) + tuple(values)  # type: ignore[return-value]


@dataclass(frozen=True)
class Layout:
    """Padding and tiles of a grid.

    Attributes
    ----------
    padded : (int, int, int)
        Nodes per axis with padding.
    log2_tile, tile, tiles : (int, int, int)
        Nodes per tile and axis, also as powers of two, and tiles per axis.
    pencils : (int, int)
        Slabs per snapshot and pencils per slab, see ``points.cpu_schedule``.
    block : (int, int, int)
        Nodes that the windows of the points of one tile can reach.
    """

    padded: tuple[int, int, int]
    log2_tile: tuple[int, int, int]
    tile: tuple[int, int, int]
    tiles: tuple[int, int, int]
    pencils: tuple[int, int]
    block: tuple[int, int, int]

    @classmethod
    def of(cls, grid: Grid) -> Layout:
        """The layout of a grid."""
        padded = _padded(grid)
        log2_tile = _log2_tile(grid, padded)
        first, second, last = (1 << shift for shift in log2_tile)
        tile = (first, second, last)
        first, second, last = (-(-n // t) for n, t in zip(grid.nodes, tile, strict=True))
        tiles = (first, second, last)
        there = tiles[3 - grid.dim :]
        pencils = there[0], there[1] if grid.dim > 1 else 1
        return cls(padded, log2_tile, tile, tiles, pencils, _block(grid, tile))


def _padded(grid: Grid) -> tuple[int, int, int]:
    """Nodes per axis with padding.

    Rows are kept off multiples of 512 bytes, which would share sets of a cache; in three dimensions ``spread_out``
    does better.
    """
    width, itemsize = grid.window.width, grid.dtype.itemsize
    first, second, last = (n + w - 1 for n, w in zip(grid.nodes, grid.support, strict=True))
    last = -(-(grid.n[-1] + vector_lanes(width)) // 8) * 8 + 8
    if last * itemsize % 512 == 0:
        last += 8
    if grid.dim == 3:
        length, sets = vector_lanes(width) * itemsize, grid.backend.arrays.SETS
        second, last = spread_out(second, last, width, length, sets, itemsize)
    return first, second, last


def _log2_tile(grid: Grid, padded: tuple[int, int, int]) -> tuple[int, int, int]:
    """Nodes per tile and axis as powers of two: room for a window, and for a vector along the last axis."""
    arrays = grid.backend.arrays
    largest = (arrays.ONE_TILE_OF_FEW if grid.has_few_points else arrays.ONE_TILE)[grid.dim]
    if prod(padded) * grid.dtype.itemsize <= largest:
        return embed(tuple((n - 1).bit_length() for n in grid.n), 0)
    width = grid.window.width
    across, along = max(width - 1, 8), max(vector_lanes(width), 16)
    sizes = {1: (2048,), 2: (max(across, 16), max(along, 32)), 3: (across, across, along)}[grid.dim]
    return embed(tuple((size - 1).bit_length() for size in sizes), 0)


def _block(grid: Grid, tile: tuple[int, int, int]) -> tuple[int, int, int]:
    within = (min(t, n) for t, n in zip(tile, grid.nodes, strict=True))
    support = (*grid.support[:2], vector_lanes(grid.window.width))
    first, second, last = (t + s - 1 for t, s in zip(within, support, strict=True))
    return first, second, last + SIDE - last % SIDE if grid.may_interleave else last
