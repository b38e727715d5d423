"""Points made ready for the grid: folded into the cell, sorted by tile, cut into chunks."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from .cpu import parallel
from .cpu import points as loops
from .grid import Grid
from .workspace import Workspace

__all__ = ["SortedPoints", "sort_points"]

LARGEST_CHUNK = 2048  # points, or as many as a scratch block has nodes: what it costs to add up is hidden then
SMALLEST_PART = 8192  # points to sort or to move that are worth a thread
SMALLEST_SHARE = 150_000  # rows of windows to spread or to interpolate that are worth a thread


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

    def share(self, chunks: np.ndarray, threads: int, rows: int) -> list[int]:
        """Bounds that share ``chunks`` out to ``threads``, with about the same number of points each.

        Parameters
        ----------
        chunks : (n, 4) int64
            Consecutive rows of one of the tables.
        threads : int
            At most so many.
        rows : int
            Rows under the window of a point, all channels together.
        """
        if threads == 1 or len(chunks) < 2:
            return [0, len(chunks)]
        return parallel.weighted(chunks[:, 0], int(chunks[-1, 1]), threads, 1 + SMALLEST_SHARE // rows)

    def gather(self, *arrays: np.ndarray, threads: int, space: Workspace) -> np.ndarray:
        """(B·N, C) arrays in sorted order, side by side in one array."""
        channels = sum(array.shape[1] for array in arrays)
        out, first = space.take("ordered", (self.count, channels), arrays[0].dtype), 0
        bounds = parallel.even(self.count, threads, SMALLEST_PART)
        for array in arrays:
            parallel.run(loops.gather, bounds, self.order, array, first, out)
            first += array.shape[1]
        return out

    def scatter(self, values: np.ndarray, threads: int) -> np.ndarray:
        """A new (B·N, C) array with the rows of a sorted one in the order in which the points were given.

        Parameters
        ----------
        values : (B·N, C)
            Sorted.
        threads : int
            At most so many.
        """
        out = np.empty_like(values)
        parallel.run(loops.scatter, parallel.even(self.count, threads, SMALLEST_PART), self.order, values, out)
        return out


def scratch_shape(grid: Grid) -> tuple[int, int, int]:
    """Nodes that the windows of the points of one tile can reach."""
    first, second, _ = (t + len(s) - 1 for t, s in zip(grid.tile, grid.supports, strict=True))
    return first, second, grid.tile[2] + grid.polynomials.shape[1] - 1


def sort_points(
    name: str, points: np.ndarray, batch: tuple[int, int], grid: Grid, threads: int, space: Workspace
) -> SortedPoints:
    """Sort points by tile; stable, so equal for any number of threads.

    Parameters
    ----------
    name : str
        Which points these are; points of one name share their memory, the last ones sorted are valid.
    points : (B·N, d) float32 or float64, C-contiguous
        Positions, units of length, anywhere in space.
    batch : (int, int)
        B and N.
    grid : Grid
        Where they go.
    threads : int
        At most so many.
    space : Workspace
        Where the results live.
    """
    total, halves = len(points), grid.half_tiles
    keys_count = 8 * batch[0] * prod(halves)
    largest = max(LARGEST_CHUNK, prod(scratch_shape(grid)))
    bounds = parallel.even(total, threads, SMALLEST_PART)
    counts = space.take("counts", (len(bounds) - 1, keys_count), np.int64)
    counts.fill(0)
    lost = np.full(len(bounds) - 1, -1)
    offsets = space.take("offsets", (keys_count + 1,), np.int64)
    keys = space.take("keys", (total,), np.int32)
    order = space.take(f"{name} order", (total,), np.int32)
    coordinates = space.take(f"{name} coordinates", (total, grid.dim), np.float64)
    where = (grid.cell.inverse, grid.nodes, float(grid.shift[0]))
    parallel.run(loops.count_tiles, bounds, points, batch, *where, grid.tile_shifts, halves, keys, counts, lost)
    if lost.max(initial=-1) >= 0:
        i = int(lost.max())
        raise ValueError(f"{name}: expected coordinates below 2^52 times the box, got {points[i]} at index {i}")
    loops.accumulate(counts, offsets)
    parallel.run(loops.place_points, bounds, points, *where, keys, counts, coordinates, order)
    most = min(total, keys_count) + 2 * (total // largest) + 1
    chunks, light, heavy = space.take(f"{name} chunks", (3, most, 4), np.int64)
    merges = space.take(f"{name} merges", (total // largest + 1, 6), np.int64)
    rounds = np.empty((9, 2), dtype=np.int64)
    ends = loops.make_chunks(
        offsets, batch[0], grid.tile, halves, scratch_shape(grid), largest, chunks, light, heavy, merges, rounds
    )
    chunks, light, heavy, merges = (t[:e] for t, e in zip((chunks, light, heavy, merges), ends, strict=True))
    return SortedPoints(batch, coordinates, order, chunks, light, heavy, merges, rounds.tolist())
