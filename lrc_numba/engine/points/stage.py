"""Points made ready for the grid: folded into the cell, sorted by tile, cut into chunks."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ...machine.backends import Backend
from ...machine.workspace import Workspace
from ..grid.grid import Grid

__all__ = ["SortedPoints", "sort_points"]

LARGEST_CHUNK = 2048  # points; more where a block of scratch is large, see ``_largest``
LONGEST_CHUNK = 1 << 15  # points of equal values at one place, of which float64 loses 2e-13 by adding one to the next
SMALLEST_PART = 8192  # points to sort that are worth a thread
SMALLEST_MOVE = 1 << 15  # and to move
CROWD = 10  # points per piece of a tile, from which on sorting by pieces pays: their windows share what is in the cache
WIDE = 7  # nodes, from which on that is worth more than the moving of points to and from
MANY_KEYS = 1 << 13  # tiles or pieces among which points and values are sent; more are dear
APART = 16  # counts, two lines of a cache: two threads that count are not to write to one
SMALLEST_SHARE = 150_000  # rows of windows to spread or to interpolate that are worth a thread
SORT_ROWS = 10  # sorting a point once more takes about as long as so many rows of its window
LIGHT_ROWS, MERGE_ROWS, LIGHT_POINTS, HEAVY_ROWS = range(4)  # columns of ``SortedPoints.units``


@dataclass
class SortedPoints:
    """Points in sorted order, with everything the loops need to know about them.

    Attributes
    ----------
    batch : (int, int)
        Snapshots B and points per snapshot N.
    coordinates : (B·N, d) float64
        Grid coordinates, sorted; the floor is the first node under the window.
    places : (B·N,) int32 or None
        Where each point as given stands among the sorted ones; None where they are as given.
    chunks, light, heavy : (n, 7) int64
        See ``points.cpu.make_chunks``.
    crowded : bool
        Whether the points of heavy chunks are sorted for the loops of ``spreading.cpu_crowded``.
    merges : (n, 6) int64
        Tiles whose points come in several chunks.
    units : (B · slabs · pencils + 1, 4) int64
        What comes before each pencil, in the order in which one thread spreads them; on a device, before the tiles of
        each of the parities of ``points.cuda_schedule``.
    shape : (int, int)
        Slabs per snapshot and pencils per slab.
    reached : (B, padded, padded) bool
        Rows of a padded grid that matter, see ``points.cpu.mark_rows``; all where the grid is one tile, or is
        transformed as a whole.
    backend : Backend
        Where all this lives.
    """

    batch: tuple[int, int]
    coordinates: np.ndarray
    places: np.ndarray | None
    chunks: np.ndarray
    light: np.ndarray
    heavy: np.ndarray
    crowded: bool
    merges: np.ndarray
    units: np.ndarray
    shape: tuple[int, int]
    reached: np.ndarray
    backend: Backend

    @property
    def count(self) -> int:
        """Number of points, all snapshots together."""
        return len(self.coordinates)

    def share(self, chunks: np.ndarray, threads: int, rows: int) -> list[int]:
        """Bounds that share ``chunks`` out to ``threads``, with about the same number of points each.

        Parameters
        ----------
        chunks : (n, 7) int64
            Rows of ``chunks`` or of ``heavy``.
        threads : int
            At most so many.
        rows : int
            Rows under the window of a point, all channels together.
        """
        if threads == 1 or len(chunks) < 2 or self.count * rows < 2 * SMALLEST_SHARE:
            return [0, len(chunks)]
        sizes = chunks[:, 1] - chunks[:, 0]
        ends = np.cumsum(sizes)
        return self.backend.parallel.weighted(ends - sizes, int(ends[-1]), threads, 1 + SMALLEST_SHARE // rows)

    def phases(self, rows: int, weights: int, threads: int, smallest: float) -> list:
        """Rows of a table shared out to threads, see ``points.cpu_schedule.phases``.

        Parameters
        ----------
        rows, weights : int
            Columns of ``units`` that count the rows of the table, and the work.
        threads : int
            At most so many.
        smallest : float
            Work that is worth a thread.
        """
        return self.backend.schedule.phases(self.units[:, rows], self.units[:, weights], self.shape, threads, smallest)

    def gather(self, *arrays: np.ndarray, threads: int, space: Workspace) -> np.ndarray:
        """(B·N, C) arrays in sorted order, side by side in one array.

        Parameters
        ----------
        arrays : (B·N, C) arrays
            Of one dtype, in the order of the points as given.
        threads : int
            At most so many.
        space : Workspace
            For the result, where it is none of the arrays itself.
        """
        if self.places is None and len(arrays) == 1:
            return arrays[0]
        out = space.take("ordered", (self.count, sum(array.shape[1] for array in arrays)), arrays[0].dtype)
        parallel, xp = self.backend.parallel, self.backend.arrays.xp
        bounds = parallel.even(self.count, threads, SMALLEST_MOVE)
        if self.places is None:
            parallel.run(_beside, bounds, arrays, out, xp)
            return out
        one, *rest = arrays
        rest = rest or [self._empty(0, one.dtype)]
        other = rest[0] if len(rest) == 1 else xp.concatenate(rest, axis=1)
        parallel.run(self.backend.points.gather, bounds, self.places, one, other, out)
        return out

    def room(self, channels: int, more: int, dtype, space: Workspace) -> tuple[np.ndarray, np.ndarray, int]:
        """Room for results in sorted order, (B·N, C) and (B·N, C′), to be given to ``scatter``.

        Parameters
        ----------
        channels, more : int
            C and C′.
        dtype : dtype
            Of the numbers.
        space : Workspace
            For what is not given away.

        Returns
        -------
        two arrays and an int
            One array twice, and the column where the second results begin: what belongs to a point is fetched from
            far away once. Where points are as given, new arrays, as they go to the user, and 0.
        """
        if self.places is None:
            return self._empty(channels, dtype), self._empty(more, dtype), 0
        both = space.take("read", (self.count, channels + more), dtype)
        return both, both, channels

    def scatter(self, one: np.ndarray, other: np.ndarray, column: int, threads: int) -> tuple[np.ndarray, np.ndarray]:
        """The results (B·N, C) and (B·N, C′) in the order in which the points were given.

        Parameters
        ----------
        one, other, column
            From ``room``; where points are as given, these very arrays are returned.
        threads : int
            At most so many.
        """
        if self.places is None:
            return one, other
        out = self._empty(column, one.dtype), self._empty(one.shape[1] - column, one.dtype)
        parallel = self.backend.parallel
        bounds = parallel.even(self.count, threads, SMALLEST_MOVE)
        parallel.run(self.backend.points.scatter, bounds, self.places, one, *out)
        return out

    def _empty(self, channels: int, dtype) -> np.ndarray:
        return self.backend.arrays.result((self.count, channels), dtype)


def sort_points(
    name: str, points: np.ndarray, batch: tuple[int, int], grid: Grid, threads: int, space: Workspace
) -> SortedPoints:
    """Sort points by tile, by pieces of it where there are many, and by nodes where it is crowded.

    All of it is stable, so the order is the same for any number of threads.

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

    Raises
    ------
    ValueError
        Where a coordinate is too large to have a place in the cell.
    """
    loops, parallel, xp = grid.backend.points, grid.backend.parallel, grid.backend.arrays.xp
    total, tiles = len(points), batch[0] * prod(grid.tiles)
    pieces = _pieces(total, tiles, grid)
    keys_count = tiles * pieces
    room = -(-keys_count // APART) * APART
    # Every thread has counts of its own, which are not to outgrow the points.
    bounds = parallel.even(total, min(threads, max(1, 4 * total // max(1, keys_count))), SMALLEST_PART)
    lost = xp.full(len(bounds) - 1, -1)
    coordinates = space.take(f"{name} coordinates", (total, grid.dim), np.float64)
    where = (grid.inverse, grid.n, float(grid.shift[0]))
    if tiles == batch[0]:
        parallel.run(loops.fold_points, bounds, points, *where, coordinates, lost)
        _check(name, points, lost)
        places, offsets = None, np.arange(batch[0] + 1) * batch[1]
    else:
        counts = space.take("counts", (len(bounds) - 1, room), np.int64)
        counts.fill(0)
        places = space.take(f"{name} places", (total,), np.int32)  # until then: the keys
        sizes = (grid.tile_shifts, grid.tiles, pieces)
        parallel.run(loops.count_tiles, bounds, points, batch, *where, *sizes, places, counts, lost)
        _check(name, points, lost)
        offsets = space.take("offsets", (room + 1,), np.int64)
        loops.accumulate(counts, offsets)
        parallel.run(loops.place_points, bounds, points, *where, places, counts, coordinates)
        offsets = xp.ascontiguousarray(offsets[: keys_count + 1 : pieces])
    found = _cut(name, batch, coordinates, places, offsets, grid, space)
    if found.crowded and len(found.heavy):  # also of targets: a gradient spreads from them
        crowds, shares = grid.backend.crowds, found.share(found.heavy, threads, SORT_ROWS)
        order = space.take("order", (total,), np.int32)
        parallel.run(crowds.invert, parallel.even(total, threads, SMALLEST_MOVE), places, order)
        parallel.run(crowds.sort, shares, found.heavy, grid.tile, coordinates, order, places)
    return found


def _pieces(points: int, tiles: int, grid: Grid) -> int:
    """By how many pieces of each tile points are sorted, 8 or 1.

    Points of one piece share what is in the cache next to the core, but a piece is a place more to which points and
    values are sent.
    """
    worth = grid.window.width >= WIDE or 8 * tiles <= MANY_KEYS
    return 8 if grid.dim == 3 and worth and points >= 8 * tiles * CROWD else 1


def _beside(part: int, lo: int, hi: int, arrays: tuple, out: np.ndarray, xp) -> None:
    """The rows [lo, hi) of (B·N, C) arrays side by side; NumPy releases the interpreter lock in that."""
    xp.concatenate([array[lo:hi] for array in arrays], axis=1, out=out[lo:hi])


def _check(name: str, points: np.ndarray, lost: np.ndarray) -> None:
    """A ValueError where a point has no place in the cell."""
    i = max(lost.tolist())  # one for every thread
    if i >= 0:
        raise ValueError(f"{name}: expected coordinates below 2^52 times the box, got {points[i]} at index {i}")


def _largest(grid: Grid) -> int:
    """How many points of a tile are spread at once; of more, each lot has a block of scratch, cleared and added up.

    On a processor a block of n nodes takes about as long as the spreading of n / (2 w^(d−1)) points: too long for 2048
    points where a grid is one tile.
    """
    nodes = prod(grid.block)
    largest = max(LARGEST_CHUNK, nodes // 4)
    if prod(grid.tiles) > 1 or grid.backend.name == "cuda":
        return largest
    return max(largest, 6 * nodes // prod(grid.reach[:2]))


def _cut(name, batch, coordinates, places, offsets, grid: Grid, space: Workspace) -> SortedPoints:
    """Sorted points with their chunks."""
    total = len(coordinates)
    largest = _largest(grid)
    longest = max(largest, LONGEST_CHUNK if grid.dtype == np.float64 else 0)
    most = min(total, len(offsets) - 1) + 2 * (total // largest) + 1
    chunks, light, heavy = space.take(f"{name} chunks", (3, most, 7), np.int64)
    merges = space.take(f"{name} merges", (total // largest + 1, 6), np.int64)
    units = np.zeros((grid.backend.schedule.units(batch[0], grid.pencils) + 1, 4), dtype=np.int64)
    sizes = (grid.pencils, grid.tile, grid.tiles, grid.block, largest, longest)
    ends = grid.backend.points.make_chunks(offsets, *sizes, chunks, light, heavy, merges, units)
    chunks, light, heavy, merges = (t[:e] for t, e in zip((chunks, light, heavy, merges), ends, strict=True))
    crowded = grid.backend.crowds is not None and grid.dim == 3 and places is not None
    reached = space.take(f"{name} reached", (batch[0], *grid.padded[:2]), np.bool_)
    if total and places is not None and grid.dim > 1 and grid.smooth:
        grid.backend.points.mark_rows(chunks, grid.block, grid.nodes, reached)
    else:
        reached.fill(True)
    tables, shape = (chunks, light, heavy, crowded, merges, units), grid.pencils
    return SortedPoints(batch, coordinates, places, *tables, shape, reached, grid.backend)
