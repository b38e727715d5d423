"""Fold points into the cell and sort them by tile: keys and counts by a thread per point, a stable sort by a library.

Which thread may write what: thread i writes what belongs to point i. Counts are integers, added up in any order.
"""

from __future__ import annotations

import numpy as np

from ...machine.cuda.compile import cuda, inlined, kernel, xp
from . import cuda_schedule as schedule  # noqa: F401  (``stage`` asks for it here)
from . import indexing
from .cuda_schedule import PARITIES

crowded = None  # on a device nothing is gained by sorting the points of crowded tiles once more
tile_key = inlined(indexing.tile_key)
first_node = inlined(indexing.first_node)


@inlined
def _coordinate(points, i, axis, inverse, nodes, shift):
    """Grid coordinate of point i along an axis, see ``first_node``.

    Parameters
    ----------
    points : (B·N, d)
        Positions, units of length.
    i, axis : int
        Which of them, and along which axis.
    inverse : (d, d) float64
        Takes points to fractional coordinates.
    nodes : d ints
        Grid nodes per axis; their number is known to the compiler.
    shift : float
        See ``first_node``.
    """
    fraction = 0.0
    for b in range(len(nodes)):
        fraction += points[i, b] * inverse[b, axis]
    return first_node(fraction, nodes[axis], shift)


@kernel
def fold_points(part, lo, hi, points, inverse, nodes, shift, coordinates, lost):
    """See ``points.cpu.fold_points``.

    Parameters
    ----------
    part, lo, hi, points, inverse, nodes, shift, coordinates, lost
        Shapes and dtypes as there.
    """
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        for axis in range(len(nodes)):
            coordinates[i, axis] = _coordinate(points, i, axis, inverse, nodes, shift)
            if coordinates[i, axis] < 0.0:
                cuda.atomic.max(lost, part, i)


@kernel
def count_tiles(part, lo, hi, points, batch, inverse, nodes, shift, shifts, tiles, pieces, keys, counts, lost):
    """See ``points.cpu.count_tiles``.

    Parameters
    ----------
    part, lo, hi, points, batch, inverse, nodes, shift, shifts, tiles, pieces, keys, counts, lost
        Shapes and dtypes as there.
    """
    dim = len(nodes)
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        second, first = 0, 0
        third = int(_coordinate(points, i, dim - 1, inverse, nodes, shift))
        if dim > 1:
            second = int(_coordinate(points, i, dim - 2, inverse, nodes, shift))
        if dim > 2:
            first = int(_coordinate(points, i, dim - 3, inverse, nodes, shift))
        if min(first, min(second, third)) < 0:
            cuda.atomic.max(lost, part, i)
            continue
        key = tile_key(first, second, third, i // batch[1], shifts, tiles, pieces)
        keys[i] = key
        cuda.atomic.add(counts, (part, key), 1)


def one_tile_chunk(nodes: int, rows: int) -> int:
    """Points to spread at once where the grid is one tile, at least: as many as elsewhere.

    Parameters
    ----------
    nodes, rows : int
        Without meaning here.
    """
    return 0


def accumulate(counts, offsets):
    """See ``cpu.points``; ``counts`` stays as it is."""
    offsets[0] = 0
    offsets[1:] = xp.cumsum(counts.sum(axis=0))


def place_points(part, lo, hi, points, inverse, nodes, shift, keys, counts, coordinates):
    """See ``points.cpu.place_points``.

    Parameters
    ----------
    part, lo, hi, points, inverse, nodes, shift, keys, counts, coordinates
        Shapes and dtypes as there.
    """
    order = xp.argsort(keys, kind="stable").astype(keys.dtype)
    _place(part, lo, hi, points, inverse, nodes, shift, keys, order, coordinates)


@kernel
def _place(part, lo, hi, points, inverse, nodes, shift, keys, order, coordinates):
    """Grid coordinates of the points in their order, and its inverse in the place of the keys."""
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        keys[order[i]] = i
        for axis in range(len(nodes)):
            coordinates[i, axis] = _coordinate(points, order[i], axis, inverse, nodes, shift)


def make_chunks(offsets, shape, tile, tiles, block, largest, longest, chunks, light, heavy, merges, units):
    """See ``cpu.points``; here ``light`` and ``merges`` are sorted by the parities of ``schedule``, the units.

    On the host: there are few tiles, and the tables are what launches are made of.

    Parameters
    ----------
    offsets, shape, tile, tiles, block, largest, longest, chunks, light, heavy, merges, units
        Shapes and dtypes as there; ``units`` is (PARITIES + 1, 4). No chunk is larger than ``largest``: a device wants
        many.
    """
    offsets = offsets.get() if hasattr(offsets, "get") else offsets
    counts = np.diff(offsets)
    keys = np.flatnonzero(counts)
    within = keys % int(np.prod(tiles))
    places = np.stack(np.unravel_index(within, tiles), axis=1)
    parity = (places % 2) @ np.array([4, 2, 1])
    rows = np.stack([keys // int(np.prod(tiles)), *(places * np.array(tile)).T], axis=1)  # snapshot, first nodes
    slots = -(-counts[keys] // largest)

    def cut(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of the chunks of some tiles, and which tile each is of."""
        tile_of = np.repeat(chosen, slots[chosen])
        number = np.arange(len(tile_of)) - np.repeat(np.cumsum(slots[chosen]) - slots[chosen], slots[chosen])
        start, count = offsets[keys[tile_of]], counts[keys[tile_of]]
        bounds = np.stack([start + count * (number + s) // slots[tile_of] for s in (0, 1)], axis=1)
        return bounds, tile_of

    by_parity = np.argsort(parity, kind="stable")
    bounds, tile_of = cut(np.arange(len(keys)))
    zeros = np.zeros((len(bounds), 1), dtype=np.int64)
    all_chunks = np.concatenate([bounds, rows[tile_of, :1], zeros, rows[tile_of, 1:]], axis=1)
    one = by_parity[slots[by_parity] == 1]
    bounds, tile_of = cut(one)
    light_rows = np.concatenate([bounds, rows[tile_of, :1], zeros[: len(bounds)], rows[tile_of, 1:]], axis=1)
    several = by_parity[slots[by_parity] > 1]
    bounds, tile_of = cut(several)
    origin = (rows[:, 1] * block[1] + rows[:, 2]) * block[2] + rows[:, 3]
    slot = np.arange(len(bounds))[:, None]
    heavy_rows = np.concatenate([bounds, slot, -origin[tile_of, None], rows[tile_of, 1:]], axis=1)
    first_slot = np.cumsum(slots[several]) - slots[several]
    merge_rows = np.concatenate([first_slot[:, None], slots[several, None], rows[several]], axis=1)
    for table, values in ((chunks, all_chunks), (light, light_rows), (heavy, heavy_rows), (merges, merge_rows)):
        table[: len(values)] = xp.asarray(values)
    for column, chosen in ((0, one), (1, several)):
        units[:, column] = np.searchsorted(parity[chosen], np.arange(PARITIES + 1))
    return len(all_chunks), len(light_rows), len(heavy_rows), len(merge_rows)


def mark_rows(chunks, block, nodes, reached):
    """See ``points.cpu.mark_rows``; a library transforms all rows, so here they all matter.

    Parameters
    ----------
    chunks, block, nodes, reached
        Shapes and dtypes as there.
    """
    reached.fill(True)


@kernel
def gather(part, lo, hi, places, one, other, out):
    """See ``points.cpu.gather``.

    Parameters
    ----------
    part, lo, hi, places, one, other, out
        Shapes and dtypes as there.
    """
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        for channel in range(one.shape[1]):
            out[places[i], channel] = one[i, channel]
        for channel in range(other.shape[1]):
            out[places[i], one.shape[1] + channel] = other[i, channel]


@kernel
def scatter(part, lo, hi, places, values, one, other):
    """See ``points.cpu.scatter``.

    Parameters
    ----------
    part, lo, hi, places, values, one, other
        Shapes and dtypes as there.
    """
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        for channel in range(one.shape[1]):
            one[i, channel] = values[places[i], channel]
        for channel in range(other.shape[1]):
            other[i, channel] = values[places[i], one.shape[1] + channel]
