"""u = K f with its derivatives for plans without a grid, called as ``LRCPlan.linearise`` and what that returns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ...multipliers.multiplier import Multiplier

__all__ = ["LinearisedSums", "LinearisesSums", "MovedGradient"]


class _Plan(Protocol):
    """The calls that it goes back to, see ``small.SmallPlan``."""

    convolve: Any
    jvp: Any
    vjp: Any
    parameters_jvp: Any


@dataclass
class MovedGradient:
    """What ``LinearisedSums.vjp_jvp`` returns; a part that was not asked for is None.

    Attributes
    ----------
    values, values_tangent : (B, N, C)
        Σ g·∂u/∂f, and its derivative along the direction.
    parameters_tangent : dict of str to ndarray
        The derivative of Σ g·∂u/∂θ.
    """

    values: np.ndarray | None = None
    values_tangent: np.ndarray | None = None
    parameters_tangent: dict[str, np.ndarray] | None = None


class LinearisedSums:
    """u = K f by the calls of a plan, whose matrices or phases are there already; f̄ of a g that comes again is kept.

    Parameters
    ----------
    plan : SmallPlan or ModePlan
        With the points.
    values : (B, N, C)
        f.
    multiplier : Multiplier
        φ̂, real and of shape (), so that K is symmetric.

    Attributes
    ----------
    output : (B, N, C)
        u.
    """

    def __init__(self, plan: _Plan, values: np.ndarray, multiplier: Multiplier):
        self._plan, self._values, self._multiplier = plan, values, multiplier
        self._direction: tuple = (None, None)
        self._adjoint: tuple[np.ndarray, np.ndarray] | None = None
        self.output = plan.convolve(values, multiplier)

    def vjp(self, cotangent: np.ndarray, *, wrt=()):
        """As ``SmallPlan.vjp``.

        Parameters
        ----------
        cotangent, wrt
            As there.
        """
        result = self._plan.vjp(self._values, self._multiplier, cotangent, wrt=wrt)
        if result.values is not None:
            self._adjoint = cotangent, result.values
        return result

    def jvp(self, dpoints=None, dvalues=None) -> np.ndarray:
        """As ``SmallPlan.jvp``; the direction is that of ``vjp_jvp``, too."""
        self._direction = dpoints, dvalues
        return self._plan.jvp(self._values, self._multiplier, dpoints=dpoints, dvalues=dvalues)

    def vjp_jvp(self, cotangent: np.ndarray, dcotangent=None, *, wrt=("values", "parameters")) -> MovedGradient:
        """How ``vjp`` changes along ġ and the direction of the last ``jvp``.

        Parameters
        ----------
        cotangent : (B, N, C)
            g.
        dcotangent : (B, N, C), optional
            ġ.
        wrt : collection of {"values", "parameters"}
            Which gradients are wanted.
        """
        plan, multiplier, (dpoints, dvalues), out = self._plan, self._multiplier, self._direction, MovedGradient()
        if "parameters" in wrt:
            tangents = {"dpoints": dpoints, "dvalues": dvalues, "dcotangent": dcotangent}
            out.parameters_tangent = plan.parameters_jvp(self._values, multiplier, cotangent, **tangents)
        if "values" in wrt:
            out.values = self._of_values(cotangent)
            out.values_tangent = plan.jvp(cotangent, multiplier, dpoints=dpoints, dvalues=dcotangent)
        return out

    def _of_values(self, cotangent: np.ndarray) -> np.ndarray:
        """f̄ = K g."""
        if self._adjoint is not None:
            known, of_values = self._adjoint
            if np.array_equal(known, cotangent):
                return of_values
            if np.array_equal(known, -cotangent):
                return -of_values
        return self._plan.convolve(cotangent, self._multiplier)


class LinearisesSums:
    """The part of a plan without a grid that linearises."""

    def linearise(self, values: np.ndarray, multiplier: Multiplier) -> LinearisedSums:
        """u, ready for its derivatives.

        Parameters
        ----------
        values : (B, N, C)
            f.
        multiplier : Multiplier
            φ̂, of shape ().
        """
        return LinearisedSums(self, values, multiplier)  # type: ignore[arg-type]
