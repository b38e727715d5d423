"""Convolutions with few modes by explicit sums, called as plans are; see ``small`` for where they are taken."""

from __future__ import annotations

import numpy as np

from ...direct import DirectPlan
from ...multipliers.multiplier import Multiplier
from .linearised import LinearisesSums
from .small import SmallGradient

__all__ = ["ModePlan"]


class ModePlan(LinearisesSums):
    """Convolution with one kernel for all channels by sums over modes, one snapshot after the other.

    Parameters
    ----------
    cell : (d, d) array
        Lattice vectors.
    modes : tuple of int
        Along each axis.
    dtype : dtype
        Of results; sums are in double precision.
    """

    def __init__(self, cell: np.ndarray, modes: tuple[int, ...], dtype: np.dtype):
        self.dtype, self._make = dtype, lambda: DirectPlan(cell, modes)
        self._plans: list[DirectPlan] = []

    @property
    def nbytes(self) -> int:
        """Bytes of waves at the points that are kept between calls."""
        return sum(plan.nbytes for plan in self._plans)

    def set_points(self, points: np.ndarray) -> None:
        """Points (B, N, d) of the calls that follow.

        Parameters
        ----------
        points : (B, N, d)
            Units of length.
        """
        self._plans = [self._make().set_points(np.asarray(each, dtype=np.float64)) for each in points]

    def _each(self, method: str, multiplier: Multiplier, *arrays: np.ndarray | None, **options) -> list:
        """What a method of ``DirectPlan`` returns for every snapshot; ``arrays`` begin with the values."""
        made = []
        for b, plan in enumerate(self._plans):
            values, *others = (None if each is None else np.asarray(each[b], np.float64) for each in arrays)
            made.append(getattr(plan, method)(values, multiplier, *others, **options))
        return made

    def convolve(self, values: np.ndarray, multiplier: Multiplier) -> np.ndarray:
        """u (B, N, C).

        Parameters
        ----------
        values, multiplier
            As for ``SmallPlan.convolve``.
        """
        return np.stack(self._each("convolve", multiplier, values)).astype(self.dtype, copy=False)

    def jvp(self, values: np.ndarray, multiplier: Multiplier, dpoints=None, dvalues=None) -> np.ndarray:
        """u̇ (B, N, C).

        Parameters
        ----------
        values, multiplier, dpoints, dvalues
            As for ``SmallPlan.jvp``.
        """
        return np.stack(self._each("jvp", multiplier, values, dpoints, dvalues)).astype(self.dtype, copy=False)

    def vjp(self, values: np.ndarray, multiplier: Multiplier, cotangent: np.ndarray, wrt=()) -> SmallGradient:
        """Gradient of Σ g·u by what ``wrt`` names, "points" and "values" too.

        Parameters
        ----------
        values, multiplier, cotangent, wrt
            As for ``SmallPlan.vjp``.
        """
        made = self._each("vjp", multiplier, values, cotangent, wrt=wrt)
        stacked = {
            name: np.stack([getattr(each, name) for each in made]).astype(self.dtype, copy=False)
            for name in ("points", "values")
            if name in wrt
        }
        parameters = {}
        if "parameters" in wrt:
            parameters = {name: sum(each.parameters[name] for each in made) for name in multiplier.parameters}
        return SmallGradient(stacked.get("points"), stacked.get("values"), parameters)

    def parameters_jvp(
        self,
        values: np.ndarray,
        multiplier: Multiplier,
        cotangent: np.ndarray,
        dpoints=None,
        dvalues=None,
        dcotangent=None,
    ) -> dict[str, np.ndarray]:
        """Derivative of ``vjp(…).parameters`` along a direction.

        Parameters
        ----------
        values, multiplier, cotangent, dpoints, dvalues, dcotangent
            As for ``SmallPlan.parameters_jvp``.
        """
        made = self._each("parameters_jvp", multiplier, values, cotangent, dpoints, dvalues, dcotangent)
        return {name: sum(each[name] for each in made) for name in multiplier.parameters}
