"""Which plan a calculator takes for the modes of a structure, and how long it keeps it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np

from ...geometry.cell import Cell
from ..boundaries import Boundary, LongRangeKernel, choose_boundary, rounded_extents
from ..checks import check_room
from ..open_pairs import OpenPairs
from ..potentials import Potential
from .long_range import LongRange, in_free_space

__all__ = ["LongRangePlans"]

FEW = 512  # points for which a calculator may choose another plan, by the next power of two
KEPT = 8  # plans for cells that come again, as in a batch


class LongRangePlans(ABC):
    """The part of ``Calculator`` that keeps plans; what differs from calculator to calculator is abstract."""

    potential: Potential
    is_plain: ClassVar[bool]
    lighter: ClassVar[str]
    _far: dict[tuple, LongRange]
    _used: LongRange | None  # the last, with its points
    _open_pairs: OpenPairs

    @abstractmethod
    def _modes(self, cell: np.ndarray) -> tuple[int, int, int]:
        """Modes along each axis of a cell."""

    @abstractmethod
    def _new_plan(self, cell: np.ndarray, modes: tuple[int, int, int], few: int | None):
        """A plan for a cell, and for at most so many points where they are few."""

    def _new_kernel(self, boundary: Boundary, plan) -> LongRangeKernel:
        """φ̂ for a plan."""
        return LongRangeKernel(self.potential, boundary)

    # ------------------------------------------------------------------ the plan of a structure
    def long_range(self, positions: np.ndarray, cell: np.ndarray, periodic) -> LongRange:
        """The plan for a structure, its points set.

        Parameters
        ----------
        positions : (N, 3), or (B, N, 3)
            Points; of B structures where all axes are periodic.
        cell : (3, 3)
            Lattice vectors.
        periodic : three bools
            Along which there are images.
        """
        flags = tuple(bool(flag) for flag in periodic)
        if self.is_plain and not any(flags) and self._all_pairs(len(positions)):
            check_room(positions, cell, flags)
            self._used = in_free_space(self._open_pairs.set_points(positions), self.potential, cell)
            return self._used
        few = self.few_points(positions)
        key = cell.tobytes(), flags, rounded_extents(self.potential, positions, cell, flags), few
        far = self._far.pop(key, None)
        if far is None or not far.boundary.serves(positions, self.potential):
            boundary = choose_boundary(self.potential, positions, cell, flags)
            modes = self._modes(boundary.cell)
            try:
                plan = self._moved_plan(boundary, modes, few) or self._new_plan(boundary.cell, modes, few)
            except MemoryError as error:
                raise MemoryError(f"cell: too large for these sums over modes; {error}; {self.lighter}") from error
            far = LongRange(plan, boundary, self._new_kernel(boundary, plan), modes, few)
        self._far[key] = far
        while len(self._far) > KEPT:
            del self._far[next(iter(self._far))]
        if far.plan.dtype != positions.dtype:  # single precision is finer in the cell than far away
            positions = Cell(far.boundary.cell, 3).folded(positions).astype(far.plan.dtype)
        far.plan.set_points(positions)
        self._used = far
        return far

    def _all_pairs(self, count: int) -> bool:
        """Whether so many points without images are done pair by pair."""
        return False

    def keeps(self, far: LongRange) -> bool:
        """Whether a plan still is that of the cell it was made for: those that are dropped may go to other cells.

        Parameters
        ----------
        far : LongRange
            Of a call before.
        """
        for kept in self._far.values():  # noqa: SIM110 - twice as fast as any, in calls of some microseconds
            if kept is far:
                return True
        return False

    def few_points(self, positions: np.ndarray) -> int | None:
        """A power of two that points are not more than, where they are few and of one structure."""
        return 1 << (len(positions) - 1).bit_length() if positions.ndim == 2 and 0 < len(positions) <= FEW else None

    def _moved_plan(self, boundary: Boundary, modes: tuple[int, int, int], few: int | None):
        """A plan of a cell seen before with as many modes, in another cell; None where there is none."""
        if len(self._far) < KEPT:
            return None
        key = next((key for key, far in self._far.items() if (far.modes, far.few) == (modes, few)), None)
        return None if key is None else self._far.pop(key).plan.set_cell(boundary.cell)
