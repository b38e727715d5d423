"""A function of the distance with its derivative: through a table, or as two functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.interpolate import make_interp_spline

from ... import arguments

__all__ = ["RadialTable", "as_function"]

DEGREE = 5


class RadialTable:
    """v through a table, C⁴, and its derivative.

    Parameters
    ----------
    radii : (n,) array
        Rising, n ≥ 2, units of length.
    values : (n,) array
        v there.
    reciprocal : bool
        Interpolate r v as a function of 1/r, which suits tails of 1/r; radii are then above 0.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """

    def __init__(self, radii, values, reciprocal: bool = False):
        self.radii, values = (
            arguments.as_array(name, array, np.dtype(np.float64))
            for name, array in (("radii", radii), ("values", values))
        )
        if self.radii.ndim != 1 or len(self.radii) < 2 or (np.diff(self.radii) <= 0).any() or self.radii[0] < 0:
            raise ValueError(f"radii: expected two or more from 0 on, each above the one before, got {radii!r}")
        if values.shape != self.radii.shape:
            raise ValueError(f"values: expected shape {self.radii.shape}, as radii has, got {values.shape}")
        if reciprocal and self.radii[0] == 0:
            raise ValueError("radii: expected numbers above 0 with reciprocal=True, got 0")
        self.reciprocal = bool(reciprocal)
        degree = min(DEGREE, len(self.radii) - 1)
        degree -= 1 - degree % 2  # of even degrees splines are worse
        at, through = (1 / self.radii[::-1], (self.radii * values)[::-1]) if reciprocal else (self.radii, values)
        self._spline = make_interp_spline(at, through, k=degree)
        self._slope = self._spline.derivative()

    def __call__(self, r: np.ndarray) -> np.ndarray:
        return self._spline(1 / r) / r if self.reciprocal else self._spline(r)

    def derivative(self, r: np.ndarray) -> np.ndarray:
        """v′, for an array of r."""
        if self.reciprocal:
            return -(self._spline(1 / r) + self._slope(1 / r) / r) / r**2
        return self._slope(r)


class _Function:
    """Two functions as ``RadialTable`` has them."""

    def __init__(self, value: Callable, derivative: Callable):
        self._value, self._derivative = value, derivative

    def __call__(self, r: np.ndarray) -> np.ndarray:
        return self._value(r)

    def derivative(self, r: np.ndarray) -> np.ndarray:
        """v′."""
        return self._derivative(r)


def as_function(radii, values, reciprocal: bool) -> tuple[RadialTable | _Function, np.ndarray]:
    """v with a method ``derivative``, and radii from the least to the greatest.

    Parameters
    ----------
    radii, values, reciprocal
        As for ``SplinePotential``.
    """
    if isinstance(values, (tuple, list)) and len(values) == 2 and all(callable(part) for part in values):
        ends = arguments.as_array("radii", radii, np.dtype(np.float64))
        if ends.shape != (2,) or not 0 <= ends[0] < ends[1]:
            raise ValueError(f"radii: expected the least and the greatest distance for functions, got {radii!r}")
        return _Function(*values), ends
    if callable(values):
        raise TypeError("values: expected an array, or two functions: v and its derivative, got a single one")
    table = RadialTable(radii, values, reciprocal)
    return table, table.radii
