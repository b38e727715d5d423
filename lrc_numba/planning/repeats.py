"""Energies of the same values at other and other points, as in molecular dynamics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..engine.repeated import RepeatedEnergy, may_repeat
from ..multipliers import Multiplier
from .gradients import refuse_energy

if TYPE_CHECKING:
    from ..engine.operator import Operator
    from .calls import Call

__all__ = ["Repeats"]


class Repeats:
    """The part of ``LRCPlan`` that prepares calls which come again."""

    _operator: Operator
    _points: Any
    _call: Any
    set_points: Any
    dtype: np.dtype

    def repeat_energy(self, points: np.ndarray, values: np.ndarray, multiplier: Multiplier) -> RepeatedEnergy | None:
        """``set_points`` and ``energy``, to be called with other positions of the points; nothing is checked then.

        What is returned has the grid, the values and the multiplier of now, whatever becomes of the plan.

        Parameters
        ----------
        points : (N, d)
            As for ``set_points``.
        values, multiplier
            As for ``energy``.

        Returns
        -------
        RepeatedEnergy or None
            None where more has to be done than to run the same loops again: where points are sorted, and on a GPU.
        """
        self.set_points(points)
        call: Call = self._call(values, multiplier, False)
        refuse_energy(call, multiplier)
        safe = call.safe_vjp(call.size, self._operator.grid.steepest)
        if not safe or np.ndim(points) != 2 or not may_repeat(self._operator, call.points.batch):
            return None
        return RepeatedEnergy(self._operator, call.table, np.asarray(points, dtype=self.dtype), call.values)
