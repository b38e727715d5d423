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
    plan, points, values, multiplier, tangents
        As for ``Repeats.repeat_energy``.

    Attributes
    ----------
    output, gradient, along : arrays
        u, the gradient by the points and how ½ Σ f·u changes along ``tangents``, new ones from every call.
    """

    def __init__(self, plan: Any, points: np.ndarray, values: np.ndarray, multiplier: Multiplier, tangents=None):
        self._plan, self._values, self._multiplier, self._tangents = plan, values.copy(), multiplier, tangents
        self._shape = np.shape(points)
        self(points)

    def __call__(self, points: np.ndarray) -> None:
        """Compute ``output`` and ``gradient`` anew.

        Parameters
        ----------
        points : (B·N, d)
            Other positions.
        """
        plan, what = self._plan.set_points(points.reshape(self._shape)), (self._values, self._multiplier)
        if self._tangents is None:
            result = plan.energy(*what)
            output, gradient = result.output, result.points
        else:
            output, gradient, of_table = plan.energy_and_table(*what)
            self.along = self._tangents @ of_table
        self.output, self.gradient = (each.reshape(-1, each.shape[-1]) for each in (output, gradient))


class Repeats:
    """The part of ``LRCPlan`` that prepares calls which come again."""

    _operator: Operator
    _points: Any
    _call: Any
    set_points: Any
    energy: Any
    dtype: np.dtype

    def repeat_energy(
        self, points: np.ndarray, values: np.ndarray, multiplier: Multiplier, tangents=None
    ) -> RepeatedEnergy | OrdinaryEnergy | None:
        """``set_points`` and ``energy``, to be called with other positions of the points; nothing is checked then.

        The grid, the values and the multiplier are to stay as they are.

        Parameters
        ----------
        points : (N, d) or (B, N, d)
            As for ``set_points``.
        values, multiplier
            As for ``energy``.
        tangents : (L, n_modes), optional
            Of φ̂/V, times V, on the stored modes: how the energy changes along them is wanted, too.

        Returns
        -------
        RepeatedEnergy or OrdinaryEnergy
            The second where more has to be done than to run the same loops again: where points are sorted, and on a
            GPU. None where there are ``tangents``, and numbers so large or small that sums over modes need more care.
        """
        self.set_points(points)
        call: Call = self._call(values, multiplier, False)
        refuse_energy(call, multiplier)
        safe = call.safe_vjp(call.size, self._operator.grid.steepest)
        if tangents is not None and not safe:
            return None
        if not safe or not may_repeat(self._operator):
            return OrdinaryEnergy(self, points, values, multiplier, tangents)
        points = np.asarray(points, dtype=self.dtype)
        return RepeatedEnergy(self._operator, call.table, points, call.values, tangents)

    def energy_and_table(self, values: np.ndarray, multiplier: Multiplier) -> tuple:
        """u, the gradient of ½ Σ f·u by points, and the cotangent S of φ̂; for arguments looked at before.

        Parameters
        ----------
        values, multiplier
            As for ``energy``.
        """
        call, operator = self._call(values, multiplier, False), self._operator
        made = operator.energy(call.points.sources, call.table, call.values, {"points", "table"})
        returned = call.returned(made.output, call.shape), call.returned(made.sources, call.points.shape)
        return *returned, call.table_cotangent(made.table, [], operator.context.over_ranks)
