r"""Sums over pairs of any function of the distance, where ``RadialForm`` does not reach.

A polynomial in r² with powers has no place for what is odd in r, as f/r of an exterior feature is, nor for a table.
Here distances are arrays, and so are values: some 0.1 µs for each pair and more, several times what loops with a
``RadialForm`` take, and as exact as the function is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.neighbours import ImageLists, NeighbourList, Pairs, scatter_add
from .pair_kernels import add_weighted
from .pair_sum import APART, PairSum, PairTangent, check_listed, moving_displacements, strains_of_pairs
from .potentials import Potential

__all__ = ["PairFunction", "pair_function_jvp", "pair_function_sum"]


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
    lists, pairs, near = _near_pairs(neighbours, function, positions, cell)
    q = charges.astype(np.float64)
    first, second, apart, r = pairs.first[near], pairs.second[near], pairs.displacement[near], pairs.distance[near]
    potential, gradient = np.zeros(q.shape), np.zeros((len(q), lists.dim))
    add_weighted(first, second, function.value(r), q, not lists.full, potential)
    share = 0.5 if lists.full else 1.0  # full lists have every pair twice
    pull = (share * np.einsum("pc,pc->p", q[first], q[second]) * function.slope(r))[:, None] * apart
    scatter_add(first, second, pull, gradient)
    strain = strains_of_pairs(lists, first, pull, apart) if virial else None
    dtype = charges.dtype
    return PairSum(potential.astype(dtype), gradient.astype(dtype), None if strain is None else strain.astype(dtype))


def pair_function_jvp(
    neighbours: NeighbourList,
    function: PairFunction,
    charges: np.ndarray,
    tangent: PairTangent,
    *,
    positions=None,
    cell=None,
) -> np.ndarray:
    """Tangent of the potential of ``pair_function_sum`` along positions, charges and cell, (N, C) float64.

    Parameters
    ----------
    neighbours, function, charges, positions, cell
        As for ``pair_function_sum``.
    tangent : PairTangent
        The direction; its charges are (N, C).

    Raises
    ------
    ValueError
        For two points of a structure in one place.
    """
    lists, pairs, near = _near_pairs(neighbours, function, positions, cell)
    first, second, r = pairs.first[near], pairs.second[near], pairs.distance[near]
    along = np.einsum("pa,pa->p", pairs.displacement, moving_displacements(tangent, pairs, lists))[near]
    q, half, out = charges.astype(np.float64), not lists.full, np.zeros(charges.shape)
    add_weighted(first, second, function.slope(r) * along, q, half, out)  # the slope is v′/r, and along is r ṙ
    if tangent.charges is not None:
        add_weighted(first, second, function.value(r), tangent.charges.astype(np.float64), half, out)
    return out


def _near_pairs(
    neighbours: NeighbourList, function: PairFunction, positions, cell
) -> tuple[ImageLists, Pairs, np.ndarray]:
    """Lists, pairs, and the numbers of those within the cutoff."""
    check_listed("function", function.cutoff, neighbours)
    lists = neighbours.lists
    pairs = lists.pairs(*neighbours.moved(positions, cell), np.float64)
    pairs.check_apart(APART * function.cutoff, name="positions")
    return lists, pairs, np.flatnonzero(pairs.distance < function.cutoff)
