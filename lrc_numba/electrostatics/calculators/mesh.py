"""The default: modes by the engine, with a window whose error is chosen, and exact derivatives."""

from __future__ import annotations

import numpy as np

from ... import arguments
from ...plan import LRCPlan
from ..potentials import Potential
from .calculator import Calculator, modes_within

__all__ = ["MeshCalculator"]


class MeshCalculator(Calculator):
    """Ewald summation whose sums over modes are convolutions on a mesh, at the cost of N log N.

    Parameters
    ----------
    potential, cutoff, skin, dtype, threads
        As for ``Calculator``; a ``ProlateCoulombPotential`` needs the fewest modes.
    k_cutoff : float, optional
        Modes up to this wavenumber, inverse length; by default up to where they carry ``eps`` of the largest.
    eps : float
        Accuracy of the sums over modes, relative to all of them.
    """

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        k_cutoff: float | None = None,
        *,
        eps: float = 1e-6,
        skin: float = 0.0,
        dtype=np.float64,
        threads: int | None = None,
    ):
        super().__init__(potential, cutoff, skin=skin, dtype=dtype, threads=threads)
        self.eps = arguments.as_positive("eps", eps, 1.0)
        highest = potential.highest_wavenumber(self.eps) if k_cutoff is None else k_cutoff
        self.k_cutoff = arguments.as_positive("k_cutoff", highest, np.inf)

    def _modes(self, cell: np.ndarray) -> tuple[int, int, int]:
        return modes_within(cell, self.k_cutoff)

    def _new_plan(self, cell: np.ndarray, modes: tuple[int, int, int]) -> LRCPlan:
        return LRCPlan(cell, modes, eps=self.eps, dtype=self.dtype, threads=self.threads)
