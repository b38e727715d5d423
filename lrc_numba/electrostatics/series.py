"""Chebyshev series of smooth functions, without the noise that longer ones would have.

Kernels that have no closed form are series of some hundred terms in k², evaluated at every mode: Clenshaw's recurrence
in NumPy reads and writes whole arrays for each term, and took most of the time of a sum over modes. Here some arguments
at a time go through all terms.
"""

from __future__ import annotations

from collections.abc import Callable
from math import pi

import numpy as np
from numpy.polynomial import Chebyshev
from scipy.fft import dct

from ..machine.cpu.compile import kernel

__all__ = ["Series", "chebyshev_series"]

NOISE = 2e-16  # of the largest value: coefficients below it are rounding
AT_ONCE = 64  # arguments, whose terms stay in the innermost cache


@kernel
def _clenshaw(part, lo, hi, coefficients, t, values):
    """Σ_n c_n T_n(t) of the arguments [lo, hi): b_n = c_n + 2t b_{n+1} − b_{n+2}, and c_0 + t b_1 − b_2."""
    twice, last, before = np.zeros(AT_ONCE), np.empty(AT_ONCE), np.empty(AT_ONCE)
    for begin in range(lo, hi, AT_ONCE):
        count = min(AT_ONCE, hi - begin)
        for i in range(count):
            twice[i] = 2.0 * t[begin + i]
        last[:], before[:] = 0.0, 0.0
        for n in range(len(coefficients) - 1, 0, -1):
            coefficient = coefficients[n]
            for i in range(AT_ONCE):  # a number the compiler knows, so that it takes vectors
                new = coefficient + twice[i] * last[i] - before[i]
                before[i] = last[i]
                last[i] = new
        for i in range(count):
            values[begin + i] = coefficients[0] + t[begin + i] * last[i] - before[i]


class Series(Chebyshev):
    """A Chebyshev series whose values are summed by a compiled loop."""

    @staticmethod
    def _val(t, coefficients) -> np.ndarray:
        """Σ_n c_n T_n(t)."""
        t = np.asarray(t, dtype=np.float64)
        values = np.empty(t.shape)
        _clenshaw(0, 0, t.size, np.ascontiguousarray(coefficients), np.ascontiguousarray(t).ravel(), values.reshape(-1))
        return values


def chebyshev_series(function: Callable[[np.ndarray], np.ndarray], low: float, high: float, points: int) -> Series:
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
    return Series(coefficients[: int(kept[-1]) + 1 if len(kept) else 1], [low, high])
