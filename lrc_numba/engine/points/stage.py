"""Points made ready for the grid: folded into the cell, sorted by tile, cut into chunks."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from ..context import Context
from ..grid import Grid

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
WHOLE_ROWS, MERGE_ROWS, WHOLE_POINTS, SPLIT_ROWS = range(4)  # columns of ``SortedPoints.units``


@dataclass
class SortedRows:
    """Room for results in sorted order, (B·N, C) and (B·N, C′): what belongs to a point is fetched from far away once.

    Attributes
    ----------
    first, second : arrays
        One array twice; where points are as given, two new arrays, as they go to the user.
    column : int
        Of ``second``, where the second results begin.
    """

    first: np.ndarray
    second: np.ndarray
    column: int


@dataclass
class SortedPoints:
    """Points in sorted order, with everything the loops need to know about them.

    Attributes
    ----------
    batch : (int, int)
        Snapshots B and points per snapshot N.
    coordinates : (B·N, d) float64
        Grid coordinates, sorted; the floor is the first node under the window.
    sorted_position : (B·N,) int32 or None
        Where each point as given stands among the sorted ones; None where they are as given.
    chunks, whole, split : (n, 7) int64
        All chunks; those that are all of their tile; those of tiles cut into several. See ``points.cpu.make_chunks``.
    merges : (n, 6) int64
        Tiles whose points come in several chunks.
    units : (B · slabs · pencils + 1, 4) int64
        What comes before each pencil, in the order in which one thread spreads them; on a device, before the tiles of
        each of the parities of ``points.cuda_schedule``.
    pencils : (int, int)
        Slabs per snapshot and pencils per slab.
    reached : (B, padded, padded) bool
        Rows of a padded grid that matter, see ``points.cpu.mark_rows``; all where the grid is one tile, or is
        transformed as a whole.
    crowded : bool
        Whether the points of split chunks are sorted for the loops of ``spreading.cpu_crowded``.
    """

    batch: tuple[int, int]
    coordinates: np.ndarray
    sorted_position: np.ndarray | None
    chunks: np.ndarray
    whole: np.ndarray
    split: np.ndarray
    merges: np.ndarray
    units: np.ndarray
    pencils: tuple[int, int]
    reached: np.ndarray
    crowded: bool = False

    @property
    def count(self) -> int:
        """Number of points, all snapshots together."""
        return len(self.coordinates)

    def share(self, context: Context, chunks: np.ndarray, rows: int) -> list[int]:
        """Bounds that share ``chunks`` out to threads, with about the same number of points each.

        Parameters
        ----------
        context : Context
            Threads.
        chunks : (n, 7) int64
            Rows of ``chunks`` or of ``split``.
        rows : int
            Rows under the window of a point, all channels together.
        """
        if context.threads == 1 or len(chunks) < 2 or self.count * rows < 2 * SMALLEST_SHARE:
            return [0, len(chunks)]
        sizes = chunks[:, 1] - chunks[:, 0]
        ends = np.cumsum(sizes)
        return context.parallel.weighted(ends - sizes, int(ends[-1]), context.threads, 1 + SMALLEST_SHARE // rows)

    def phases(self, context: Context, rows: int, weights: int, smallest: float) -> list:
        """Rows of a table shared out to threads, see ``points.cpu_schedule.phases``.

        Parameters
        ----------
        context : Context
            Threads.
        rows, weights : int
            Columns of ``units`` that count the rows of the table, and the work.
        smallest : float
            Work that is worth a thread.
        """
        before, work = self.units[:, rows], self.units[:, weights]
        return context.loops(__package__).schedule.phases(before, work, self.pencils, context.threads, smallest)

    def gather(self, context: Context, *arrays: np.ndarray) -> np.ndarray:
        """(B·N, C) arrays in sorted order, side by side in one array.

        Parameters
        ----------
        context : Context
            Threads, and memory for the result where it is none of the arrays itself.
        arrays : (B·N, C) arrays
            Of one dtype, in the order of the points as given.
        """
        if self.sorted_position is None and len(arrays) == 1:
            return arrays[0]
        shape, xp = (self.count, sum(array.shape[1] for array in arrays)), context.xp
        out = context.space.take("ordered", shape, arrays[0].dtype)
        bounds = context.even(self.count, SMALLEST_MOVE)
        if self.sorted_position is None:
            context.parallel.run(_side_by_side, bounds, arrays, out, xp)
            return out
        first, *others = arrays
        others = others or [_results(context, self.count, 0)]
        second = others[0] if len(others) == 1 else xp.concatenate(others, axis=1)
        context.parallel.run(context.loops(__package__).gather, bounds, self.sorted_position, first, second, out)
        return out

    def as_given(self, context: Context, ordered: np.ndarray) -> np.ndarray:
        """The inverse of ``gather``.

        Parameters
        ----------
        context : Context
            Threads.
        ordered : (B·N, C) array
            Sorted.

        Returns
        -------
        (B·N, C) array
            In the order of the user; ``ordered`` itself where points are as given.
        """
        return self.scatter(context, SortedRows(ordered, ordered, ordered.shape[1]))[0]

    def rows(self, context: Context, channels: int, more: int) -> SortedRows:
        """Room for results in sorted order, to be given to ``scatter``.

        Parameters
        ----------
        context : Context
            Dtype, memory.
        channels, more : int
            Of the first results and of the second, (B·N, ``channels``) and (B·N, ``more``).
        """
        if self.sorted_position is None:
            return SortedRows(_results(context, self.count, channels), _results(context, self.count, more), 0)
        both = context.space.take("read", (self.count, channels + more), context.grid.dtype)
        return SortedRows(both, both, channels)

    def scatter(self, context: Context, rows: SortedRows) -> tuple[np.ndarray, np.ndarray]:
        """The results in the order in which the points were given.

        Parameters
        ----------
        context : Context
            Threads.
        rows : SortedRows
            From ``rows``; where points are as given, its arrays are returned.
        """
        if self.sorted_position is None:
            return rows.first, rows.second
        values, column = rows.first, rows.column
        out = _results(context, self.count, column), _results(context, self.count, values.shape[1] - column)
        bounds = context.even(self.count, SMALLEST_MOVE)
        context.parallel.run(context.loops(__package__).scatter, bounds, self.sorted_position, values, *out)
        return out


def _results(context: Context, count: int, channels: int) -> np.ndarray:
    """A new array that goes to the user."""
    return context.arrays.result((count, channels), context.grid.dtype)


def sort_points(context: Context, name: str, points: np.ndarray, batch: tuple[int, int]) -> SortedPoints:
    """Sort points by tile, by pieces of it where there are many, and by nodes where it is crowded.

    All of it is stable, so the order is the same for any number of threads.

    Parameters
    ----------
    context : Context
        Where they go, threads, and where the results live.
    name : str
        Which points these are; points of one name share their memory, the last ones sorted are valid.
    points : (B·N, d) float32 or float64, C-contiguous
        Positions, units of length, anywhere in space.
    batch : (int, int)
        B and N.

    Raises
    ------
    ValueError
        Where a coordinate is too large to have a place in the cell.
    """
    if batch[0] * prod(context.grid.layout.tiles) == batch[0]:
        result = _as_given(context, name, points, batch)
    else:
        result = _by_tiles(context, name, points, batch)
    if result.crowded and len(result.split):  # also of targets: a gradient spreads from them
        crowded, shares = context.loops(__package__).crowded, result.share(context, result.split, SORT_ROWS)
        order, parallel = context.space.take("order", (result.count,), np.int32), context.parallel
        parallel.run(crowded.invert, context.even(result.count, SMALLEST_MOVE), result.sorted_position, order)
        tables = (result.split, context.grid.layout.tile, result.coordinates, order, result.sorted_position)
        parallel.run(crowded.sort, shares, *tables)
    return result


def _as_given(context: Context, name: str, points: np.ndarray, batch: tuple[int, int]) -> SortedPoints:
    """Points on a grid that is one tile: in the order of the user, only folded into the cell."""
    grid, loops, total = context.grid, context.loops(__package__), len(points)
    bounds = context.even(total, SMALLEST_PART)
    lost = context.xp.full(len(bounds) - 1, -1)
    coordinates = context.space.take(f"{name} coordinates", (total, grid.dim), np.float64)
    context.parallel.run(loops.fold_points, bounds, points, *_folding(grid), coordinates, lost)
    _check(name, points, lost)
    return _cut(context, name, batch, coordinates, None, np.arange(batch[0] + 1) * batch[1])


def _by_tiles(context: Context, name: str, points: np.ndarray, batch: tuple[int, int]) -> SortedPoints:
    """A counting sort: each thread counts, the counts become positions, each thread writes."""
    grid, loops, space, run = context.grid, context.loops(__package__), context.space, context.parallel.run
    total, tiles = len(points), batch[0] * prod(grid.layout.tiles)
    pieces = _pieces(total, tiles, grid)
    n_keys = tiles * pieces
    padded_keys = -(-n_keys // APART) * APART
    # Every thread has counts of its own, which are not to outgrow the points.
    threads = min(context.threads, max(1, 4 * total // max(1, n_keys)))
    bounds = context.parallel.even(total, threads, SMALLEST_PART)
    lost = context.xp.full(len(bounds) - 1, -1)
    coordinates = space.take(f"{name} coordinates", (total, grid.dim), np.float64)
    counts = space.take("counts", (len(bounds) - 1, padded_keys), np.int64)
    counts.fill(0)
    sorted_position = space.take(f"{name} sorted_position", (total,), np.int32)  # until then: the keys
    sizes = (grid.layout.log2_tile, grid.layout.tiles, pieces)
    run(loops.count_tiles, bounds, points, batch, *_folding(grid), *sizes, sorted_position, counts, lost)
    _check(name, points, lost)
    offsets = space.take("offsets", (padded_keys + 1,), np.int64)
    loops.accumulate(counts, offsets)
    run(loops.place_points, bounds, points, *_folding(grid), sorted_position, counts, coordinates)
    offsets = context.xp.ascontiguousarray(offsets[: n_keys + 1 : pieces])
    return _cut(context, name, batch, coordinates, sorted_position, offsets)


def _folding(grid: Grid) -> tuple:
    """What takes a point to grid coordinates."""
    return grid.tables.inverse, grid.n, grid.shift


def _pieces(points: int, tiles: int, grid: Grid) -> int:
    """By how many pieces of each tile points are sorted, 8 or 1.

    Points of one piece share what is in the cache next to the core, but a piece is a place more to which points and
    values are sent.
    """
    worth = grid.window.width >= WIDE or 8 * tiles <= MANY_KEYS
    return 8 if grid.dim == 3 and worth and points >= 8 * tiles * CROWD else 1


def _side_by_side(part: int, lo: int, hi: int, arrays: tuple, out: np.ndarray, xp) -> None:
    """The rows [lo, hi) of (B·N, C) arrays side by side; NumPy releases the interpreter lock in that."""
    xp.concatenate([array[lo:hi] for array in arrays], axis=1, out=out[lo:hi])


def _check(name: str, points: np.ndarray, lost: np.ndarray) -> None:
    """A ValueError where a point has no place in the cell."""
    i = max(lost.tolist())  # one for every thread
    if i >= 0:
        raise ValueError(f"{name}: expected coordinates below 2^52 times the box, got {points[i]} at index {i}")


def _largest(context: Context) -> int:
    """How many points of a tile are spread at once; of more, each lot has a block of scratch, cleared and added up."""
    layout, rows = context.grid.layout, prod(context.grid.support[:2])
    nodes = prod(layout.block)
    largest = max(LARGEST_CHUNK, nodes // 4)
    return largest if prod(layout.tiles) > 1 else max(largest, context.loops(__package__).one_tile_chunk(nodes, rows))


def _cut(context: Context, name: str, batch, coordinates, sorted_position, offsets) -> SortedPoints:
    """Sorted points with their chunks.

    Parameters
    ----------
    context, name, batch
        As for ``sort_points``.
    coordinates, sorted_position
        See ``SortedPoints``.
    offsets : (tiles of all snapshots + 1,) int64
        Where each tile begins among the sorted points.
    """
    grid, layout, loops, space = context.grid, context.grid.layout, context.loops(__package__), context.space
    total, largest = len(coordinates), _largest(context)
    longest = max(largest, LONGEST_CHUNK if grid.dtype == np.float64 else 0)
    most = min(total, len(offsets) - 1) + 2 * (total // largest) + 1
    chunks, whole, split = space.take(f"{name} chunks", (3, most, 7), np.int64)
    merges = space.take(f"{name} merges", (total // largest + 1, 6), np.int64)
    units = np.zeros((loops.schedule.units(batch[0], layout.pencils) + 1, 4), dtype=np.int64)
    sizes = (layout.pencils, layout.tile, layout.tiles, layout.block, largest, longest)
    ends = loops.make_chunks(offsets, *sizes, chunks, whole, split, merges, units)
    chunks, whole, split, merges = (t[:e] for t, e in zip((chunks, whole, split, merges), ends, strict=True))
    reached = space.take(f"{name} reached", (batch[0], *layout.padded[:2]), np.bool_)
    if total and sorted_position is not None and grid.dim > 1 and grid.smooth:
        loops.mark_rows(chunks, layout.block, grid.nodes, reached)
    else:
        reached.fill(True)
    crowded = loops.crowded is not None and grid.dim == 3 and sorted_position is not None
    tables = (chunks, whole, split, merges, units)
    return SortedPoints(batch, coordinates, sorted_position, *tables, layout.pencils, reached, crowded)
