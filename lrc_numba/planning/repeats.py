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

__all__ = ["OrdinaryEnergy", "Repeats"]


class OrdinaryEnergy:
    """Calls of a plan one after the other.

    Parameters
    ----------
    plan, points, values, multiplier
        As for ``Repeats.repeat_energy``.

    Attributes
    ----------
    output, gradient : arrays
        u and the gradient by the points, new ones from every call.
    """

    def __init__(self, plan: Any, points: np.ndarray, values: np.ndarray, multiplier: Multiplier):
        self._plan, self._values, self._multiplier = plan, values.copy(), multiplier
        self(points)

    def __call__(self, points: np.ndarray) -> None:
        """Compute ``output`` and ``gradient`` anew.

        Parameters
        ----------
        points : (N, d)
            Other positions.
        """
        result = self._plan.set_points(points).energy(self._values, self._multiplier)
        self.output, self.gradient = result.output, result.points


class Repeats:
    """The part of ``LRCPlan`` that prepares calls which come again."""

    _operator: Operator
    _points: Any
    _call: Any
    set_points: Any
    dtype: np.dtype

    def repeat_energy(
        self, points: np.ndarray, values: np.ndarray, multiplier: Multiplier
    ) -> RepeatedEnergy | OrdinaryEnergy:
        """``set_points`` and ``energy``, to be called with other positions of the points; nothing is checked then.

        The grid, the values and the multiplier are to stay as they are.

        Parameters
        ----------
        points : (N, d)
            As for ``set_points``.
        values, multiplier
            As for ``energy``.

        Returns
        -------
        RepeatedEnergy or OrdinaryEnergy
            The second where more has to be done than to run the same loops again: where points are sorted, and on a
            GPU.
        """
        self.set_points(points)
        call: Call = self._call(values, multiplier, False)
        refuse_energy(call, multiplier)
        safe = call.safe_vjp(call.size, self._operator.grid.steepest)
        if not safe or np.ndim(points) != 2 or not may_repeat(self._operator, call.points.batch):
            return OrdinaryEnergy(self, points, values, multiplier)
        return RepeatedEnergy(self._operator, call.table, np.asarray(points, dtype=self.dtype), call.values)
