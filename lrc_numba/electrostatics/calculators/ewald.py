"""Ewald summation by explicit sums over modes: exact to rounding, for references and small systems."""

from __future__ import annotations

from math import prod

import numpy as np

from ... import arguments
from ...direct import DirectPlan
from ...machine.memory import available_memory, check_memory
from ..modes import modes_within
from ..open_pairs import MOST_OPEN
from ..potentials import Potential
from .calculator import ANOTHER, Calculator

__all__ = ["EwaldCalculator"]

NUMBERS = 16  # for each mode: wavevectors and their squares, kernel, spectrum and what is in between


class EwaldCalculator(Calculator):
    """Ewald summation; the cost grows with the product of charges and modes.

    Parameters
    ----------
    potential, cutoff, skin, dtype, threads
        As for ``Calculator``; all sums are in float64, whatever the results are.
    k_cutoff : float, optional
        Modes up to this wavenumber, inverse length; by default up to where they carry 1e-16 of the largest.
    """

    fixed = Calculator.fixed | {"k_cutoff": ANOTHER}

    def __init__(
        self,
        potential: Potential,
        cutoff: float,
        k_cutoff: float | None = None,
        *,
        skin: float = 0.0,
        dtype=np.float64,
        threads: int | None = None,
    ):
        super().__init__(potential, cutoff, skin=skin, dtype=dtype, threads=threads)
        highest = potential.highest_wavenumber(1e-16) if k_cutoff is None else k_cutoff
        self.k_cutoff = arguments.as_positive("k_cutoff", highest, np.inf)

    def _described(self) -> list[str]:
        return [*super()._described(), f"  k cutoff   {self.k_cutoff:.6g}"]

    def _modes(self, cell: np.ndarray) -> tuple[int, int, int]:
        return modes_within(cell, self.k_cutoff)

    def _all_pairs(self, count: int) -> bool:
        return count <= MOST_OPEN

    def _new_plan(self, cell: np.ndarray, modes: tuple[int, int, int], few: int | None) -> DirectPlan:
        check_memory("modes", modes, 8 * NUMBERS * prod(modes) // 2, available_memory)
        return DirectPlan(cell, modes)
