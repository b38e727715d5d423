"""Pairs of neighbours as arrays, and sums over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...machine.cpu.compile import kernel

__all__ = ["Pairs", "coincident", "scatter_add"]


@dataclass
class Pairs:
    """Pairs (i, j) of points closer than a cutoff, sorted by i.

    Attributes
    ----------
    first, second : (P,) int64
        i and j, among all points of all structures.
    displacement : (P, d)
        x_i − x_j − shift·cell, units of length, of the dtype of the positions.
    distance : (P,)
        Its norm.
    offsets : (B + 1,) int64
        Where the points of a structure begin.
    full : bool
        Whether every pair is there as (i, j) and as (j, i), with the opposite shift; else once, with i ≤ j, but by a
        list that is not ``ordered``.
    """

    first: np.ndarray
    second: np.ndarray
    displacement: np.ndarray
    distance: np.ndarray
    offsets: np.ndarray
    full: bool = False

    def __len__(self) -> int:
        return len(self.first)

    @property
    def count(self) -> int:
        """Points, of all structures together."""
        return int(self.offsets[-1])

    def of_structures(self, begin: int, end: int) -> Pairs:
        """Pairs of some structures alone, whose first point gets the number 0; displacements are views.

        Parameters
        ----------
        begin, end : int
            The structures from ``begin`` to ``end``, which is left out.
        """
        lo, hi = int(self.offsets[begin]), int(self.offsets[end])
        some = slice(*np.searchsorted(self.first, (lo, hi)).tolist())
        ends = (self.first[some], self.second[some])
        first, second = ends if lo == 0 else (ends[0] - lo, ends[1] - lo)
        offsets = self.offsets[begin : end + 1] - lo
        return Pairs(first, second, self.displacement[some], self.distance[some], offsets, self.full)

    def check_apart(self, least: float, name: str = "points") -> None:
        """Raise a ValueError that names two points where they are too close.

        Parameters
        ----------
        least : float
            Distance they have to be apart.
        name : str
            Of the argument that has them.
        """
        if not len(self) or self.distance.min() > least:
            return
        p = int(self.distance.argmin())
        structure = int(np.searchsorted(self.offsets, self.first[p], side="right")) - 1
        i, j = self.first[p] - self.offsets[structure], self.second[p] - self.offsets[structure]
        raise coincident(i, j, structure, self.distance[p], name)


def coincident(i: int, j: int, structure: int, distance: float, name: str = "points") -> ValueError:
    """The error for two points of a structure in one place.

    Parameters
    ----------
    i, j, structure : int
        Which points, of which structure.
    distance : float
        How far they are apart.
    name : str
        Of the argument that has them.
    """
    return ValueError(
        f"{name}: expected no two of them in one place, got {i} and {j} of structure {structure} {distance:.1e} apart; "
        "remove one, or move it"
    )


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
