"""Lists of images near each point, as vector loops want them, and where these images are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...machine.cpu import parallel
from ...machine.cpu.compile import kernel
from ...machine.cpu.simd_pairs import QUAD, aligned
from .pairs import Pairs
from .search import write_pairs

__all__ = ["ImageLists"]

FAR = 1e100  # where the dummy is; its distance squared is finite


@kernel
def _move(part, lo, hi, cells, structure_of, owner, shift, moves):
    """Write shift·cell of images [lo, hi)."""
    for k in range(lo, hi):
        cell = cells[min(structure_of[owner[k]], len(cells) - 1)]
        s0, s1, s2 = float(shift[k, 0]), float(shift[k, 1]), float(shift[k, 2])
        for c in range(3):
            moves[k, c] = s0 * cell[0, c] + s1 * cell[1, c] + s2 * cell[2, c]


@kernel
def _place(part, lo, hi, points, owner, moves, fourth, rows):
    """Write the rows x + shift·cell, fourth of images [lo, hi)."""
    for k in range(lo, hi):
        i = owner[k]
        rows[4 * k] = points[i, 0] + moves[k, 0]
        rows[4 * k + 1] = points[i, 1] + moves[k, 1]
        rows[4 * k + 2] = points[i, 2] + moves[k, 2]
        rows[4 * k + 3] = fourth[i]


@kernel
def _write_shifts(part, lo, hi, shift, home, where, listed, to, shifts):
    """Write the whole vectors between the two points of each pair of points [lo, hi)."""
    dim = shifts.shape[1]
    for i in range(lo, hi):
        e, begin = home[i], where[i] - to[i]
        for p in range(to[i], to[i + 1]):
            k = listed[begin + p]
            for c in range(dim):
                shifts[p, c] = float(shift[k, 3 - dim + c] - shift[e, 3 - dim + c])


@kernel
def _rank(part, lo, hi, homes, owner, counts, work, rank_of, ranks):
    """Write where the work for ``homes`` [0, hi) begins, the rank of each point in ``rank_of``, and of each image."""
    total = 0
    for h in range(hi):
        i = owner[homes[h]]
        work[h], rank_of[i] = total, h
        total += (counts[i] + 7) // 8 + 2
    work[hi], rank_of[hi] = total, hi
    for k in range(len(owner)):
        ranks[k] = rank_of[owner[k]]


@dataclass(frozen=True)
class ImageLists:
    """Images of n points of B structures, and for each point a list of those near its image in the cell, its home.

    An image is at x_owner + shift·cell for whatever positions and cell there are by now: distances between images are
    those between points, and no more has to be done when points move. Images are sorted in space, and so are ``homes``:
    loops over points in that order find what they need in the cache. Every list is filled up with the number E to a
    multiple of eight: that is a dummy far away, of the owner n.

    Attributes
    ----------
    structure_of : (n,) int64
        The structure of each point.
    offsets : (B + 1,) int64
        Where the points of a structure begin.
    dim : int
        d.
    home : (n,) int32
        The image of each point from which its list is meant.
    homes : (n,) int32
        The same numbers in rising order.
    owner : (E + 1,) int32
        Of which point an image is.
    shift : (E, 3) int64
        By how many lattice vectors it is moved; zeros in front where d < 3.
    where, counts : (n,) int64
        Where in ``listed`` the list of a point begins, and how many images it has.
    listed : (…,) int32
        Images. In full lists every pair comes from both sides; in half lists once.
    full : bool
        Which of them.
    threads : int
        With how many to work.
    """

    structure_of: np.ndarray
    offsets: np.ndarray
    dim: int
    home: np.ndarray
    homes: np.ndarray
    owner: np.ndarray
    shift: np.ndarray
    where: np.ndarray
    counts: np.ndarray
    listed: np.ndarray
    full: bool
    threads: int

    def __len__(self) -> int:
        return len(self.shift)

    @cached_property
    def to(self) -> np.ndarray:
        """Where the pairs of each point begin among all, (n + 1,) int64."""
        return np.concatenate([[0], np.cumsum(self.counts)])

    @cached_property
    def _of_homes(self) -> tuple[np.ndarray, np.ndarray]:
        """``work`` and ``ranks``."""
        count = len(self.homes)
        work, ranks = np.empty(count + 1, dtype=np.int64), np.empty(len(self.owner), dtype=np.int32)
        parallel.run(
            _rank, [0, count], self.homes, self.owner, self.counts, work, np.empty(count + 1, dtype=np.int32), ranks
        )
        return work, ranks

    @property
    def work(self) -> np.ndarray:
        """Where the work for each of ``homes`` begins, and all work, in vectors of eight and some more, (n + 1,)."""
        return self._of_homes[0]

    @property
    def ranks(self) -> np.ndarray:
        """Where the home of the owner of each image stands among ``homes``, (E + 1,) int32; n for the dummy."""
        return self._of_homes[1]

    def shares(self, smallest: int) -> list[int]:
        """Bounds that cut ``homes`` into even work for the threads.

        Parameters
        ----------
        smallest : int
            Vectors of eight pairs that are worth a thread.
        """
        return parallel.weighted(self.work[:-1], int(self.work[-1]), self.threads, smallest)

    def place(self, points: np.ndarray, cells: np.ndarray, fourth: np.ndarray, runner=parallel) -> np.ndarray:
        """Rows (4 (E + 1),) float64 of coordinates and one more number, the dummy's last; from a full cache line on.

        Parameters
        ----------
        points : (n, 3) float64
            Of ``NeighbourList.moved``.
        cells : (1 or B, 3, 3) float64
            Likewise.
        fourth : (n,) float64
            The number of each point, as its charge; the dummy's is 0.
        runner : Recording, optional
            Takes the loop that writes them, for the same cells: it does not read these.
        """
        rows = aligned(1, QUAD * (len(self) + 1))[0]
        rows[QUAD * len(self) :] = 0.0
        rows[QUAD * len(self) : QUAD * len(self) + 3] = FAR
        shares = parallel.even(len(self), self.threads, 10_000)
        moves = np.empty((len(self), 3))
        parallel.run(_move, shares, cells, self.structure_of, self.owner, self.shift, moves)
        runner.run(_place, shares, points, self.owner, moves, fourth, rows)
        return rows

    def for_loops(self) -> tuple:
        """Arrays that loops over ``homes`` take."""
        return self.homes, self.owner, self.where, self.counts, self.listed

    def pairs(self, points: np.ndarray, cells: np.ndarray, dtype) -> Pairs:
        """All listed pairs as arrays.

        Parameters
        ----------
        points, cells
            As for ``place``.
        dtype : dtype
            Of displacements and distances.
        """
        total = int(self.to[-1])
        first, second = np.empty(total, dtype=np.int64), np.empty(total, dtype=np.int64)
        apart, distance = np.empty((total, self.dim), dtype), np.empty(total, dtype)
        lists = (self.structure_of, self.home, self.owner, self.shift, self.where, self.listed, self.to)
        parallel.run(write_pairs, self._by_points(), points, cells, *lists, first, second, apart, distance)
        return Pairs(first, second, apart, distance, self.offsets, self.full)

    def shifts(self) -> np.ndarray:
        """By how many lattice vectors the second points of all listed pairs are moved, (P, d) float64, in their order.

        The displacement of a pair is x_i − x_j − shift·cell.
        """
        shifts = np.empty((int(self.to[-1]), self.dim))
        lists = (self.shift, self.home, self.where, self.listed, self.to)
        parallel.run(_write_shifts, self._by_points(), *lists, shifts)
        return shifts

    def _by_points(self) -> list[int]:
        return parallel.even(len(self.home), self.threads, 200)
