"""Chebyshev series of smooth functions, without the noise that longer ones would have."""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.fft import dct

__all__ = ["chebyshev_series"]

NOISE = 2e-16  # of the largest value: coefficients below it are rounding


def chebyshev_series(function: Callable[[np.ndarray], np.ndarray], low: float, high: float, points: int) -> Chebyshev:
    """The series of a function on an interval, cut where its coefficients are rounding.

    Parameters
    ----------
    function : function
        Values of an array of arguments.
    low, high : float
        The interval.
    points : int
        Where the function is evaluated; half as many should be enough for the series.
    """
    t = np.cos(pi * (np.arange(points) + 0.5) / points)
    values = function((high - low) / 2 * (t + 1) + low)
    coefficients = dct(values) / points
    coefficients[0] /= 2
    kept = np.flatnonzero(np.abs(coefficients) > NOISE * np.abs(values).max())
    return Chebyshev(coefficients[: int(kept[-1]) + 1 if len(kept) else 1], [low, high])
