r"""Sums over pairs of any function of the distance, where ``RadialForm`` does not reach.

A polynomial in r² with powers has no place for what is odd in r, as f/r of an exterior feature is, nor for a table.
Here distances are arrays, and so are values: some 0.1 µs for each pair and more, several times what loops with a
``RadialForm`` take, and as exact as the function is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.neighbours import NeighbourList, scatter_add
from .pair_kernels import add_weighted
from .pair_sum import APART, PairSum
from .potentials import Potential

__all__ = ["PairFunction", "pair_function_sum"]


@dataclass(frozen=True)
class PairFunction:
    """What pairs add to the modes: v_SR up to a cutoff, and within an exclusion's radius f v − v_LR.

    Attributes
    ----------
    potential : Potential
        With a smearing; with an exclusion, if there is one.
    short_cutoff : float
        r_c of v_SR, units of length.
    """

    potential: Potential
    short_cutoff: float

    @property
    def cutoff(self) -> float:
        """Beyond it there is nothing, units of length."""
        return self.potential.pair_reach(self.short_cutoff)

    def value(self, r: np.ndarray) -> np.ndarray:
        """The function, of the shape of r > 0."""
        potential, exclusion = self.potential, self.potential.exclusion
        short = np.where(r < self.short_cutoff, potential.short_range(r), 0.0)
        if exclusion is None:
            return short
        inside, f = r < exclusion.radius, exclusion.factor(r)
        if exclusion.part == "long_range":
            return np.where(inside, (f - 1) * potential.long_range(r), 0.0)
        return np.where(inside, f * potential.bare(r) - potential.long_range(r), short)

    def slope(self, r: np.ndarray) -> np.ndarray:
        """Its derivative over r."""
        potential, exclusion = self.potential, self.potential.exclusion
        short = np.where(r < self.short_cutoff, potential.short_range_slope(r), 0.0)
        if exclusion is None:
            return short
        inside, f, rising = r < exclusion.radius, exclusion.factor(r), exclusion.factor_slope(r)
        if exclusion.part == "long_range":
            slope = (f - 1) * potential.long_range_slope(r) + rising * potential.long_range(r)
            return np.where(inside, slope, 0.0)
        slope = f * potential.bare_slope(r) + rising * potential.bare(r) - potential.long_range_slope(r)
        return np.where(inside, slope, short)


def pair_function_sum(
    neighbours: NeighbourList, function: PairFunction, charges: np.ndarray, *, positions=None, cell=None, virial=False
) -> PairSum:
    """``pair_sum`` of a ``PairFunction``.

    Parameters
    ----------
    neighbours : NeighbourList
        Built, with a cutoff not below that of the function.
    function : PairFunction
        v.
    charges : (N, C) float32 or float64
        q.
    positions, cell, virial
        As for ``pair_sum``.

    Returns
    -------
    PairSum
        Computed in double precision by one thread.

    Raises
    ------
    ValueError
        For two points of a structure in one place.
    """
    points, cells = neighbours.moved(positions, cell)
    lists, q = neighbours.lists, charges.astype(np.float64)
    pairs = lists.pairs(points, cells, np.float64)
    pairs.check_apart(APART * function.cutoff)
    near = np.flatnonzero(pairs.distance < function.cutoff)
    first, second, apart, r = pairs.first[near], pairs.second[near], pairs.displacement[near], pairs.distance[near]
    potential, gradient = np.zeros(q.shape), np.zeros((len(q), lists.dim))
    add_weighted(first, second, function.value(r), q, not lists.full, potential)
    share = 0.5 if lists.full else 1.0  # full lists have every pair twice
    pull = (share * np.einsum("pc,pc->p", q[first], q[second]) * function.slope(r))[:, None] * apart
    scatter_add(first, second, pull, gradient)
    strain = None
    if virial:
        structure, batch = lists.structure_of[first], len(lists.offsets) - 1
        strain = np.zeros((batch, lists.dim, lists.dim))
        for a, b in np.ndindex(lists.dim, lists.dim):
            strain[:, a, b] = np.bincount(structure, pull[:, a] * apart[:, b], minlength=batch)
        strain = (strain + strain.transpose(0, 2, 1)) / 2
    dtype = charges.dtype
    return PairSum(potential.astype(dtype), gradient.astype(dtype), None if strain is None else strain.astype(dtype))
