"""Random points of periodic boxes, none too close: a few in every cell, as in the LRC paper, or uniform."""

from __future__ import annotations

import numpy as np

from lrc_numba.geometry.cell import minimum_image
from lrc_numba.nbody import sample_points

__all__ = ["stratified", "uniform"]

MANY = 30  # cells on a line from which on configurations are not drawn again as a whole: hardly one in millions fits


def stratified(
    count: int, cells: tuple[int, ...], per_cell: int, cell: float, delta: float, rng: np.random.Generator
) -> np.ndarray:
    """(count, N, d) points, ``per_cell`` in each of the cells.

    Configurations are drawn again as a whole until no two points are too close. On long lines, where that would take
    for ever, they are drawn cell by cell, each again until it fits to the ones before.

    Parameters
    ----------
    count : int
        Configurations.
    cells : d ints
        Cells along each axis.
    per_cell : int
        Points in each.
    cell : float
        Length of a cell.
    delta : float
        Smallest distance.
    rng : Generator
        Source of randomness.
    """
    if len(cells) > 1 or cells[0] <= MANY:
        return sample_points(count, cells, per_cell, cell, delta, rng)
    length, points = cells[0] * cell, np.empty((count, cells[0], per_cell))
    for snapshot in points:
        for i in range(cells[0]):
            while True:
                snapshot[i] = np.sort((i + rng.random(per_cell)) * cell)
                line = snapshot[: i + 1].ravel()
                closes = i < cells[0] - 1 or line[0] + length - line[-1] > delta
                if closes and (np.diff(line[-per_cell - 1 :]) > delta).all():
                    break
    return points.reshape(count, -1, 1)


def uniform(count: int, total: int, box: tuple[float, ...], delta: float, rng: np.random.Generator) -> np.ndarray:
    """(count, N, d) points anywhere in the box, uniform among all configurations in which no two are too close.

    In one dimension these are points of a line that is shorter by all the distances, which are then put back; in more,
    configurations are drawn again as a whole.

    Parameters
    ----------
    count : int
        Configurations.
    total : int
        N.
    box : d floats
        Lengths.
    delta : float
        Smallest distance.
    rng : Generator
        Source of randomness.
    """
    lengths = np.array(box)
    if len(box) == 1:
        free = np.sort((lengths[0] - total * delta) * rng.random((count, total)), axis=1)
        turned = free + delta * np.arange(total) + lengths[0] * rng.random((count, 1))
        return np.sort(turned % lengths[0], axis=1)[..., None]
    kept: list[np.ndarray] = []
    while len(kept) < count:
        points = lengths * rng.random((total, len(box)))
        apart = minimum_image(points[:, None] - points, lengths)
        square = (apart**2).sum(axis=-1)
        np.fill_diagonal(square, np.inf)
        if square.min() >= delta**2:
            kept.append(points)
    return np.stack(kept)
