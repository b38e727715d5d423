"""Neighbours: every pair of points closer than a cutoff, once, by a cell list; and sums over pairs.

Cost is linear in the number of points at fixed density. Where the box holds fewer than three cells along an axis, that
axis has one cell, so that no pair comes twice. Pairs are sorted by their first point, so sums over them have one order.
"""

from __future__ import annotations

import numpy as np

from ..machine.cpu.compile import inlined, kernel
from .cell import minimum_image

__all__ = ["Pairs", "coincident", "neighbours", "scatter_add"]


class Pairs:
    """Pairs i, j with i < j, and x_i − x_j by the minimum image.

    Attributes
    ----------
    first, second : (P,) int64
        Indices among all points of all snapshots.
    displacement : (P, d)
        x_i − x_j, units of length.
    distance : (P,)
        Its norm.
    """

    def __init__(self, first: np.ndarray, second: np.ndarray, displacement: np.ndarray):
        self.first, self.second, self.displacement = first, second, displacement
        self.distance = np.sqrt(np.einsum("pa,pa->p", displacement, displacement))

    def __len__(self) -> int:
        return len(self.first)

    def check_apart(self, least: float, count: int, start: int = 0) -> None:
        """Raise a ValueError that names two points where they are too close.

        Parameters
        ----------
        least : float
            Distance they have to be apart.
        count, start : int
            Points in a snapshot; number of the first snapshot.
        """
        if not len(self) or self.distance.min() > least:
            return
        p = int(self.distance.argmin())
        i, j, snapshot = self.first[p] % count, self.second[p] % count, start + self.first[p] // count
        raise coincident(i, j, snapshot, self.distance[p])


def coincident(i: int, j: int, snapshot: int, distance: float) -> ValueError:
    """The error for two points of a snapshot in one place.

    Parameters
    ----------
    i, j, snapshot : int
        Which points, of which snapshot.
    distance : float
        How far they are apart.
    """
    return ValueError(
        f"points: expected no two of them in one place, got {i} and {j} of snapshot {snapshot} {distance:.1e} apart"
    )


def neighbours(points: np.ndarray, box: np.ndarray, cutoff: float) -> Pairs:
    """All pairs of points of a snapshot closer than ``cutoff``.

    Parameters
    ----------
    points : (B, N, d) float32 or float64
        Anywhere in space; points of different snapshots are no neighbours.
    box : (d,) float64
        Box lengths.
    cutoff : float
        At most half the shortest box length.
    """
    batch, count, dim = points.shape
    flat = np.ascontiguousarray(points.reshape(-1, dim), dtype=np.float64)
    cells = _cells(np.asarray(box), cutoff, count)
    starts, order, cell_of = _bin(flat, batch, box, cells)
    number = _find(flat, batch, box, cells, starts, order, cell_of, cutoff, _NO_INDEX, _NO_INDEX, _NO_VECTOR)
    first, second = np.empty(number, dtype=np.int64), np.empty(number, dtype=np.int64)
    displacement = np.empty((number, dim))
    _find(flat, batch, box, cells, starts, order, cell_of, cutoff, first, second, displacement)
    return Pairs(first, second, displacement.astype(points.dtype, copy=False))


def _cells(box: np.ndarray, cutoff: float, count: int) -> np.ndarray:
    """Cells along each axis, none shorter than the cutoff; at most about 2^d per point, to bound the memory."""
    fit, dim = np.minimum(box, 1e18 * cutoff) // cutoff, len(box)
    cells, room = np.ones(dim, dtype=np.int64), 2.0**dim * max(1, count)
    for left, axis in zip(range(dim, 0, -1), np.argsort(fit), strict=True):  # a long axis gets what a short one leaves
        cells[axis] = max(1, int(min(fit[axis], room ** (1 / left))))
        room /= cells[axis]
    cells[cells < 3] = 1
    return cells


_minimum_image = inlined(minimum_image)  # of one coordinate
_NO_INDEX, _NO_VECTOR = np.empty(0, dtype=np.int64), np.empty((0, 1))


@kernel
def _bin(points, batch, box, cells):
    """Counting sort of the points into the cells of their snapshots: starts, order, and the cell of each point."""
    dim, count = points.shape[1], len(points) // max(batch, 1)
    per_snapshot = 1
    for a in range(dim):
        per_snapshot *= cells[a]
    cell_of = np.empty(len(points), dtype=np.int64)
    starts = np.zeros(batch * per_snapshot + 1, dtype=np.int64)
    for i in range(len(points)):
        cell = i // count
        for a in range(dim):
            fraction = points[i, a] / box[a]
            cell = cell * cells[a] + min(int((fraction - np.floor(fraction)) * cells[a]), cells[a] - 1)
        cell_of[i] = cell
        starts[cell + 1] += 1
    for cell in range(batch * per_snapshot):
        starts[cell + 1] += starts[cell]
    order, fill = np.empty(len(points), dtype=np.int64), starts.copy()
    for i in range(len(points)):
        order[fill[cell_of[i]]] = i
        fill[cell_of[i]] += 1
    return starts, order, cell_of


@inlined
def _neighbour_cell(cell, cells, shift, dim):
    """The cell ``shift`` (in base 3) away from a cell, periodically; −1 where another shift leads to it as well."""
    result, scale = 0, 1
    for back in range(dim):
        a = dim - 1 - back
        step = shift % 3 - 1
        shift //= 3
        if cells[a] == 1 and step != 0:
            return -1
        index = cell % cells[a]
        cell //= cells[a]
        result += (index + step + cells[a]) % cells[a] * scale
        scale *= cells[a]
    return result + cell * scale


@kernel
def _find(points, batch, box, cells, starts, order, cell_of, cutoff, first, second, displacement):
    """Write the pairs, or only count them where ``first`` is empty."""
    dim, number, writes = points.shape[1], 0, len(first) > 0
    apart = np.empty(dim)
    around = 3**dim
    for i in range(len(points)):
        for shift in range(around):
            cell = _neighbour_cell(cell_of[i], cells, shift, dim)
            if cell < 0:
                continue
            for at in range(starts[cell], starts[cell + 1]):
                j = order[at]
                if j <= i:
                    continue
                square = 0.0
                for a in range(dim):
                    apart[a] = _minimum_image(points[i, a] - points[j, a], box[a])
                    square += apart[a] * apart[a]
                if square < cutoff * cutoff:
                    if writes:
                        first[number], second[number] = i, j
                        for a in range(dim):
                            displacement[number, a] = apart[a]
                    number += 1
    return number


@kernel
def scatter_add(first, second, values, out):
    """out_i += values_p, out_j −= values_p for every pair p = (i, j).

    Parameters
    ----------
    first, second : (P,) int64
        Points i and j.
    values : (P, k)
        What i receives, and j loses.
    out : (points, k)
        Added to.
    """
    for p in range(len(first)):
        i, j = first[p], second[p]
        for k in range(values.shape[1]):
            out[i, k] += values[p, k]
            out[j, k] -= values[p, k]
