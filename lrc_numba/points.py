"""Points made ready for the grid: folded into the cell, sorted by tile, cut into chunks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .cpu import parallel
from .cpu import points as loops
from .grid import Grid

__all__ = ["SortedPoints", "sort_points"]

LARGEST_CHUNK = 2048  # points; many enough to hide the cost of a scratch block, few enough to share out
SMALLEST_PART = 4096  # points below which a second thread costs more than it saves


@dataclass
class SortedPoints:
    """Points in sorted order, with everything the loops need to know about them.

    Attributes
    ----------
    batch : (int, int)
        Snapshots B and points per snapshot N.
    coordinates : (B·N, d) float64
        Grid coordinates, sorted; the floor is the first node under the window.
    order : (B·N,) int32
        Index of each sorted point among the points as given.
    chunks, light, heavy : (n, 4) int64
        See ``cpu.points.make_chunks``.
    merges : (n, 6) int64
        Tiles whose points come in several chunks.
    rounds : list of (int, int)
        Where each of the eight rounds begins in ``light`` and ``merges``, and their ends.
    """

    batch: tuple[int, int]
    coordinates: np.ndarray
    order: np.ndarray
    chunks: np.ndarray
    light: np.ndarray
    heavy: np.ndarray
    merges: np.ndarray
    rounds: list[list[int]]

    @property
    def count(self) -> int:
        """Number of points, all snapshots together."""
        return len(self.order)

    def share(self, chunks: np.ndarray, threads: int) -> list[int]:
        """Bounds that share ``chunks`` out to ``threads``, with about the same number of points each."""
        if threads == 1 or len(chunks) < 2:
            return [0, len(chunks)]
        return parallel.weighted(chunks[:, 0], int(chunks[-1, 1]), threads, SMALLEST_PART)

    def gather(self, *arrays: np.ndarray, threads: int) -> np.ndarray:
        """(B·N, C) arrays in sorted order, side by side in one array."""
        channels = sum(array.shape[1] for array in arrays)
        out, first = np.empty((self.count, channels), dtype=arrays[0].dtype), 0
        bounds = parallel.even(self.count, threads, SMALLEST_PART)
        for array in arrays:
            parallel.run(loops.gather, bounds, self.order, array, first, out)
            first += array.shape[1]
        return out


def scratch_shape(grid: Grid) -> tuple[int, int, int]:
    """Nodes that the windows of the points of one tile can reach."""
    first, second, third = (t + len(s) - 1 for t, s in zip(grid.tile, grid.supports, strict=True))
    return first, second, grid.tile[2] + grid.polynomials.shape[1] - 1


def sort_points(points: np.ndarray, batch: tuple[int, int], grid: Grid, threads: int) -> SortedPoints:
    """Sort points by tile; stable, so equal for any number of threads.

    Parameters
    ----------
    points : (B·N, d) float32 or float64, C-contiguous
        Positions, units of length, anywhere in space.
    batch : (int, int)
        B and N.
    grid : Grid
        Where they go.
    threads : int
        At most so many.
    """
    total, tiles = len(points), grid.tiles
    half = [(t + 1) // 2 for t in tiles]
    keys_count = 8 * batch[0] * half[0] * half[1] * half[2]
    bounds = parallel.even(total, threads, SMALLEST_PART)
    counts = np.zeros((len(bounds) - 1, keys_count), dtype=np.int64)
    keys = np.empty(total, dtype=np.int32)
    order, coordinates = np.empty(total, dtype=np.int32), np.empty((total, grid.dim))
    offsets = np.empty(keys_count + 1, dtype=np.int64)
    where = (grid.cell.inverse, grid.nodes, float(grid.shift[0]))
    parallel.run(loops.count_tiles, bounds, points, batch, *where, grid.tile, tiles, keys, counts)
    loops.accumulate(counts, offsets)
    parallel.run(loops.place_points, bounds, points, *where, keys, counts, coordinates, order)
    most = min(total, keys_count) + total // LARGEST_CHUNK + 1
    chunks, light, heavy = np.empty((3, most, 4), dtype=np.int64)
    merges, rounds = np.empty((total // LARGEST_CHUNK + 1, 6), dtype=np.int64), np.empty((9, 2), dtype=np.int64)
    ends = loops.make_chunks(
        offsets, batch[0], grid.tile, tiles, scratch_shape(grid), LARGEST_CHUNK, chunks, light, heavy, merges, rounds
    )
    tables = (table[:end] for table, end in zip((chunks, light, heavy, merges), ends, strict=True))
    return SortedPoints(batch, coordinates, order, *tables, rounds.tolist())
