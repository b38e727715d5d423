"""Fold points into the cell and sort them by tile: keys and counts by a thread per point, a stable sort by a library.

Which thread may write what: thread i writes what belongs to point i. Counts are integers, added up in any order.

The loops compute what those of ``points.cpu`` compute, from the same arguments; differences are said.
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
    """Grid coordinate of point i along an axis, see ``first_node``."""
    fraction = 0.0
    for b in range(len(nodes)):
        fraction += points[i, b] * inverse[b, axis]
    return first_node(fraction, nodes[axis], shift)


@kernel
def fold_points(part, lo, hi, points, inverse, nodes, shift, coordinates, lost):
    """Write the grid coordinates of the points [lo, hi), in the order in which they are given."""
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        for axis in range(len(nodes)):
            coordinates[i, axis] = _coordinate(points, i, axis, inverse, nodes, shift)
            if coordinates[i, axis] < 0.0:
                cuda.atomic.max(lost, part, i)


@kernel
def count_tiles(part, lo, hi, points, batch, inverse, nodes, shift, log2_tile, tiles, pieces, keys, counts, lost):
    """Write the sorting keys of the points [lo, hi), and add their histogram to ``counts[part]``."""
    dim = len(nodes)
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        second, first = 0, 0
        last = int(_coordinate(points, i, dim - 1, inverse, nodes, shift))
        if dim > 1:
            second = int(_coordinate(points, i, dim - 2, inverse, nodes, shift))
        if dim > 2:
            first = int(_coordinate(points, i, dim - 3, inverse, nodes, shift))
        if min(first, min(second, last)) < 0:
            cuda.atomic.max(lost, part, i)
            continue
        key = tile_key(first, second, last, i // batch[1], log2_tile, tiles, pieces)
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
    """Write where each key begins to ``offsets`` (keys + 1,); ``counts`` is not changed."""
    offsets[0] = 0
    offsets[1:] = xp.cumsum(counts.sum(axis=0))


def place_points(part, lo, hi, points, inverse, nodes, shift, keys, counts, coordinates):
    """Write grid coordinates in sorted order, and sorted positions over the keys."""
    order = xp.argsort(keys, kind="stable").astype(keys.dtype)
    _place(part, lo, hi, points, inverse, nodes, shift, keys, order, coordinates)


@kernel
def _place(part, lo, hi, points, inverse, nodes, shift, keys, order, coordinates):
    """Write grid coordinates of the points in the order ``order``, and its inverse over the keys."""
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        keys[order[i]] = i
        for axis in range(len(nodes)):
            coordinates[i, axis] = _coordinate(points, order[i], axis, inverse, nodes, shift)


def make_chunks(offsets, shape, tile, tiles, block, largest, longest, chunks, whole, split, merges, units):
    """Cut the points of every tile into chunks, with ``whole`` and ``merges`` sorted by parity (``cuda_schedule``).

    ``units`` is (PARITIES + 1, 4). No chunk is larger than ``largest``: a device wants many. On the host: there are few
    tiles, and launches are made from these tables.
    """
    offsets = offsets.get() if hasattr(offsets, "get") else offsets
    counts = np.diff(offsets)
    keys = np.flatnonzero(counts)
    within = keys % int(np.prod(tiles))
    tile_index = np.stack(np.unravel_index(within, tiles), axis=1)
    parity = (tile_index % 2) @ np.array([4, 2, 1])
    rows = np.stack([keys // int(np.prod(tiles)), *(tile_index * np.array(tile)).T], axis=1)  # snapshot, first nodes
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
    single = by_parity[slots[by_parity] == 1]
    bounds, tile_of = cut(single)
    whole_rows = np.concatenate([bounds, rows[tile_of, :1], zeros[: len(bounds)], rows[tile_of, 1:]], axis=1)
    several = by_parity[slots[by_parity] > 1]
    bounds, tile_of = cut(several)
    origin = (rows[:, 1] * block[1] + rows[:, 2]) * block[2] + rows[:, 3]
    slot = np.arange(len(bounds))[:, None]
    split_rows = np.concatenate([bounds, slot, -origin[tile_of, None], rows[tile_of, 1:]], axis=1)
    first_slot = np.cumsum(slots[several]) - slots[several]
    merge_rows = np.concatenate([first_slot[:, None], slots[several, None], rows[several]], axis=1)
    for table, values in ((chunks, all_chunks), (whole, whole_rows), (split, split_rows), (merges, merge_rows)):
        table[: len(values)] = xp.asarray(values)
    for column, chosen in ((0, single), (1, several)):
        units[:, column] = np.searchsorted(parity[chosen], np.arange(PARITIES + 1))
    return len(all_chunks), len(whole_rows), len(split_rows), len(merge_rows)


def mark_rows(chunks, block, nodes, reached):
    """Mark all rows, as a library transforms them all."""
    reached.fill(True)


@kernel
def gather(part, lo, hi, sorted_position, left, right, out):
    """Bring values into sorted order, those of two arrays side by side in ``out``."""
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        for channel in range(left.shape[1]):
            out[sorted_position[i], channel] = left[i, channel]
        for channel in range(right.shape[1]):
            out[sorted_position[i], left.shape[1] + channel] = right[i, channel]


@kernel
def scatter(part, lo, hi, sorted_position, values, left, right):
    """The inverse of ``gather``: ``values`` to the arrays ``left`` and ``right``."""
    for i in range(lo + cuda.grid(1), hi, cuda.gridsize(1)):
        for channel in range(left.shape[1]):
            left[i, channel] = values[sorted_position[i], channel]
        for channel in range(right.shape[1]):
            right[i, channel] = values[sorted_position[i], left.shape[1] + channel]
