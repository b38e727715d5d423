"""Halo exchange: points of other ranks near those of this one, and the way back for what they receive.

Ranks may have any points, scattered or in domains. The cell is cut into bins at least as wide as the reach; each rank
says which bins lie in or beside those of its points, and is sent the points of others that lie there: all within the
reach, and some more.
"""

from __future__ import annotations

from itertools import product
from math import prod

import numpy as np

from .ranks import Ranks

__all__ = ["Halo"]

MOST_BINS = 2**18


class Halo:
    """The ghost points of one rank, in the order of the ranks that own them.

    Parameters
    ----------
    ranks : Ranks
        All of them make one.
    positions : (n, d) float64
        Points of this rank, anywhere in space, units of length.
    cell : (d, d) float64
        Lattice vectors, periodic along all.
    reach : float
        How far ghosts may be from a point of this rank, at least, units of length.
    at_least_one : bool
        Whether a rank without points gets a ghost, if there are points at all.

    Attributes
    ----------
    own : int
        Points of this rank.
    ghosts : int
        Points of other ranks.
    """

    def __init__(self, ranks: Ranks, positions: np.ndarray, cell: np.ndarray, reach: float, at_least_one: bool = False):
        self.ranks, self.own = ranks, len(positions)
        inverse = np.linalg.inv(cell)
        heights = 1.0 / np.linalg.norm(inverse, axis=0)
        most = max(1, int(MOST_BINS ** (1 / len(cell))))
        counts = [min(max(1, int(height / reach)), most) for height in heights]
        bins = self._bins(positions @ inverse, counts)
        wanted = self._wanted(bins, counts)
        self._given = [np.flatnonzero(near[bins]) if rank != ranks.rank else bins[:0] for rank, near in wanted]
        if at_least_one:
            self._give_one()
        self._taken = np.array([len(piece) for piece in self._exchanged(np.zeros((self.own, 1)))])
        self.ghosts = int(self._taken.sum())

    @staticmethod
    def _bins(fractional: np.ndarray, counts: list[int]) -> np.ndarray:
        """The number of the bin of every point."""
        inside = fractional - np.floor(fractional)
        along = [np.minimum((inside[:, a] * count).astype(np.int64), count - 1) for a, count in enumerate(counts)]
        return np.ravel_multi_index(along, counts) if len(fractional) else np.zeros(0, dtype=np.int64)

    def _wanted(self, bins: np.ndarray, counts: list[int]) -> list[tuple[int, np.ndarray]]:
        """Of every rank, which bins it has points in or beside."""
        filled = np.zeros(prod(counts), dtype=bool)
        filled[bins] = True
        grid, near = filled.reshape(counts), np.zeros(counts, dtype=bool)
        for shift in product((-1, 0, 1), repeat=len(counts)):
            near |= np.roll(grid, shift, axis=tuple(range(len(counts))))
        packed = self.ranks.gather(np.packbits(near.reshape(-1)))
        return [(rank, np.unpackbits(row, count=near.size).astype(bool)) for rank, row in enumerate(packed)]

    def _give_one(self) -> None:
        """Let ranks without points have the first point of the first rank that has any."""
        every = self.ranks.gather(np.array([self.own]))[:, 0]
        owner = np.flatnonzero(every)[:1]
        if len(owner) and owner[0] == self.ranks.rank:
            for rank in np.flatnonzero(every == 0):
                self._given[rank] = np.zeros(1, dtype=np.int64)

    def _exchanged(self, values: np.ndarray) -> list[np.ndarray]:
        """What the ghosts of every rank carry."""
        width = prod(values.shape[1:])
        return self.ranks.exchange([values[rows].reshape(len(rows), width) for rows in self._given], width)

    def extend(self, values: np.ndarray) -> np.ndarray:
        """What own points carry, and behind it what ghosts do: (own + ghosts, …) from (own, …).

        Parameters
        ----------
        values : (own, …) array
            Of a dtype that float64 holds.
        """
        received = np.concatenate(self._exchanged(values.astype(np.float64))).reshape(self.ghosts, *values.shape[1:])
        return np.concatenate([values, received.astype(values.dtype)])

    def collect(self, values: np.ndarray) -> np.ndarray:
        """The transpose of ``extend``: what own points received here, and as ghosts on other ranks, (own, …).

        Parameters
        ----------
        values : (own + ghosts, …) array
            What own points and ghosts received on this rank.
        """
        total = values[: self.own].astype(np.float64)
        width = prod(values.shape[1:])
        flat = values[self.own :].astype(np.float64).reshape(self.ghosts, width)
        pieces = np.split(flat, np.cumsum(self._taken)[:-1])
        for rows, piece in zip(self._given, self.ranks.exchange(pieces, width), strict=True):
            total[rows] += piece.reshape(len(rows), *values.shape[1:])  # each point once per rank
        return total.astype(values.dtype)
