"""The sums over modes of one kind of structure, and what ``ChargeOperator`` asks of a calculator that makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np

from ...direct import DirectPlan
from ...geometry.modes import ModeSet
from ...geometry.neighbours import ImageLists, NeighbourList
from ...geometry.structures import Structures
from ..boundaries import Boundary, LongRangeKernel
from ..open_pairs import OpenPairs
from ..pair_function import PairFunction
from ..potentials import Potential
from ..radial_form import RadialForm

__all__ = ["LongRange", "Steady", "Sums", "in_free_space"]


@dataclass
class LongRange:
    """The modes of one kind of structure: a plan, where images are, and the multiplier.

    Attributes
    ----------
    plan : LRCPlan or DirectPlan
        With ``set_points``, ``set_cell``, ``energy`` and so on.
    boundary : Boundary
        Its cell is that of the plan.
    kernel : LongRangeKernel
        φ̂.
    modes : tuple of int
        What the plan was made with.
    few : int or None
        Likewise: at most so many points, where they are few.
    """

    plan: Any
    boundary: Boundary
    kernel: LongRangeKernel
    modes: tuple[int, int, int]
    few: int | None = None

    @property
    def mode_set(self) -> ModeSet:
        """The stored modes."""
        return self.plan.mode_set if isinstance(self.plan, DirectPlan) else self.plan.grid.mode_set


def in_free_space(plan: OpenPairs, potential: Potential, cell: np.ndarray) -> LongRange:
    """All pairs in place of modes; no box is padded.

    Parameters
    ----------
    plan : OpenPairs
        With its points.
    potential : Potential
        With a smearing.
    cell : (3, 3)
        As given.
    """
    boundary = Boundary(cell, (False, False, False), None, 0.0, np.zeros(3), np.zeros((3, 3)))
    return LongRange(plan, boundary, LongRangeKernel(potential, boundary), (0, 0, 0))


class Sums(Protocol):
    """A ``Calculator``, as far as linear maps of charges need it; what is here is described there."""

    potential: Potential
    neighbours: NeighbourList

    @property
    def is_plain(self) -> bool:
        """Whether energies are those of pairs, one convolution, selves and background."""

    @property
    def form(self) -> RadialForm | PairFunction:
        """What pairs add to the modes."""

    def derived(self, name: str) -> list[tuple[Potential, RadialForm | PairFunction]]:
        """Potentials that are the derivatives by a parameter."""

    def update_neighbours(self, structures: Structures, beside: Callable[[], object] | None = None) -> dict:
        """Search where lists are outdated."""

    def long_range(self, positions: np.ndarray, cell: np.ndarray, periodic) -> LongRange:
        """The plan for a structure.

        Parameters
        ----------
        positions : (N, 3)
            Points, units of length.
        cell : (3, 3)
            Lattice vectors.
        periodic : three bools
            Along which there are images.
        """


class Steady(Sums, Protocol):
    """A ``Calculator``, as far as repeated calls need it."""

    cutoff: float
    dtype: np.dtype
    threads: int
    takes_snapshots: ClassVar[bool]

    def keeps(self, far: LongRange) -> bool:
        """Whether a plan still is that of the cell it was made for.

        Parameters
        ----------
        far : LongRange
            Of a call before.
        """

    def lists_for(self, structures: Structures, beside: Callable[[], object] | None = None) -> ImageLists:
        """Lists that are good for structures.

        Parameters
        ----------
        structures : Structures
            Of three dimensions.
        beside : function, optional
            Where lists are outdated, called by another thread during the search.
        """

    def has_lists(self, lists: ImageLists, structures: Structures) -> bool:
        """Whether these are the calculator's lists, and made for such structures.

        Parameters
        ----------
        lists : ImageLists
            Of a call before.
        structures : Structures
            Of three dimensions.
        """

    def few_points(self, positions: np.ndarray) -> int | None:
        """At most how many points a plan is made for, where they are few.

        Parameters
        ----------
        positions : (N, 3)
            Points, units of length.
        """
