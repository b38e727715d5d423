r"""Real solid harmonics r^l Y_lm, polynomials of the components, orthonormal on the sphere.

Y_lm has cos mφ for m > 0 and sin |m|φ for m < 0, without the phase of Condon and Shortley: Y_1m is (y, z, x) and Y_2m
(xy, yz, 3z² − r², xz, x² − y²) over r^l, times factors.
"""

from __future__ import annotations

from math import factorial, pi, sqrt

import numpy as np

__all__ = ["number_of_harmonics", "solid_harmonics"]


def number_of_harmonics(l_max: int) -> int:
    """(l_max + 1)²: those of l = 0, …, l_max, in the order (0, 0), (1, −1), (1, 0), (1, 1), (2, −2), …"""
    return (l_max + 1) ** 2


def solid_harmonics(x: np.ndarray, l_max: int) -> np.ndarray:
    """r^l Y_lm of vectors, ((l_max + 1)², n).

    Parameters
    ----------
    x : (n, 3) float64
        Vectors.
    l_max : int
        The highest l.
    """
    z, square = x[:, 2], np.einsum("na,na->n", x, x)
    out = np.empty((number_of_harmonics(l_max), len(x)))
    around = np.ones(len(x), dtype=np.complex128)  # (x + iy)^m
    for m in range(l_max + 1):
        # Π_l^m = r^{l−m} d^m P_l/dt^m at t = z/r, by its recursion in l, from Π_m^m = (2m − 1)!!
        before, now = np.zeros(len(x)), np.full(len(x), float(np.prod(np.arange(2 * m - 1, 0, -2))))
        for degree in range(m, l_max + 1):
            norm = sqrt((2 * degree + 1) / (4 * pi) * factorial(degree - m) / factorial(degree + m))
            middle = degree * degree + degree
            if m == 0:
                out[middle] = norm * now
            else:
                out[middle + m], out[middle - m] = (
                    sqrt(2) * norm * now * around.real,
                    sqrt(2) * norm * now * around.imag,
                )
            step = ((2 * degree + 1) * z * now - (degree + m) * square * before) / (degree + 1 - m)
            before, now = now, step
        around = around * (x[:, 0] + 1j * x[:, 1])
    return out
