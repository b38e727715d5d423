r"""Windows that somebody else chose: the families with a width and a shape, and those of the classical meshes.

The engine's window is w polynomials per cell, whatever they are. Two families of the classical meshes are such:

    bspline     M_w, the w-fold convolution of the box |x| ≤ 1/2 with itself: degree w − 1, C^{w−2}, ψ̂ = sinc^w
    lagrange    the weights of interpolation through the w nodes around a point: degree w − 1, reproduces polynomials
                below degree w; continuous for an even w, with slopes that jump at nodes, and with jumps of its own
                half-way between nodes for an odd one

Their weights at a point add up to one, so ψ̂(0) = 1; the other families are one at their peak.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.polynomial import polynomial

from .choose import HAT, MAX_DEGREE, MAX_WIDTH, Window, averaged, best_shape, fitted_window

__all__ = ["FAMILIES", "FITTED", "bspline", "given_window", "lagrange"]

FITTED = ("kaiser_bessel", "gaussian")  # with a shape, and polynomials of any degree fitted to it
# The narrowest and the widest window of each family.
FAMILIES = {
    "kaiser_bessel": (HAT + 1, MAX_WIDTH),
    "gaussian": (HAT + 1, MAX_WIDTH),
    "bspline": (2, 12),
    "lagrange": (3, 7),
}
SLACK = 1.1  # how much larger an alias may be for a lower degree


@lru_cache(maxsize=16)
def bspline(order: int) -> Window:
    """The cardinal B-spline of an order, as many nodes wide."""
    powers = np.ones((1, 1))
    for _ in range(order - 1):
        powers = averaged(powers)
    return Window("bspline", order, (), np.ascontiguousarray(powers[:, ::-1].T))


@lru_cache(maxsize=8)
def lagrange(width: int) -> Window:
    """Π_{j≠i} (x − x_j)/(x_i − x_j) for the ``width`` nodes x_i under the window."""
    tau = 2.0 * (np.arange(width) + 1.0 - width / 2) - 1.0  # of the nodes, as a point at t has τ = 2t − 1
    coefficients = np.empty((width, width))
    for i in range(width):
        others = np.delete(tau, i)
        coefficients[:, i] = polynomial.polyfromroots(others)[::-1] / np.prod(tau[i] - others)
    return Window("lagrange", width, (), coefficients)


@lru_cache(maxsize=64)
def given_window(name: str, width: int, shape: tuple[float, float] | None, degree: int | None, ratio: float) -> Window:
    """The window of a family, and of this width.

    Parameters
    ----------
    name : str
        One of ``FAMILIES``.
    width : int
        Within the limits of the family.
    shape : tuple of float or None
        Of a family in ``FITTED``; by default the one with the smallest alias for modes up to ``ratio``.
    degree : int or None
        Likewise; by default the lowest with which the alias is about as small as it gets.
    ratio : float
        Highest kept mode over number of grid points, the worst axis.
    """
    if name == "bspline":
        return bspline(width)
    if name == "lagrange":
        return lagrange(width)
    if shape is None:
        shape = best_shape(name, width, ratio)[0]
    if degree is not None:
        return fitted_window(name, width, shape, degree)
    limit = SLACK * fitted_window(name, width, shape, MAX_DEGREE).alias(ratio)
    windows = (fitted_window(name, width, shape, lower) for lower in range(HAT, MAX_DEGREE + 1))
    return next(window for window in windows if window.alias(ratio) <= limit)
