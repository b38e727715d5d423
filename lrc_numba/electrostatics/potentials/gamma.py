r"""Incomplete gamma functions in the two forms that range separation needs, for any real order.

    lower(a, x) = γ(a, x) x^{−a} = ∫₀¹ t^{a−1} e^{−xt} dt       d/dx lower(a, x) = −lower(a + 1, x)
    upper(b, y) = Γ(b, y) y^{−b} = E_{1−b}(y)                    d/dy upper(b, y) = −(e^{−y} + b upper(b, y))/y

SciPy has regularised ones of positive order; those here are accurate at x = 0, and where b passes through 0 (p = 3).
"""

from __future__ import annotations

import numpy as np
from scipy.special import gamma, gammainc, gammaincc, zeta

__all__ = ["lower", "upper"]

_TERMS = 24  # of the series, for arguments up to 1
_FRACTIONS = 70  # of the continued fraction, from arguments 1 on


def lower(a: float, x) -> np.ndarray:
    """γ(a, x) x^{−a} for a > 0, of the shape of x ≥ 0; 1/a at x = 0.

    Parameters
    ----------
    a : float
        Order.
    x : array_like
        Argument.
    """
    x = np.asarray(x, dtype=np.float64)
    small = x < 1.0
    series, term = np.zeros(x.shape), np.ones(x.shape)
    part = np.where(small, x, 0.0)
    for n in range(_TERMS):
        series += term / (a + n)
        term = term * -part / (n + 1)
    large = np.where(small, 1.0, x)
    return np.where(small, series, gammainc(a, large) * gamma(a) * large**-a)


def upper(b: float, y) -> np.ndarray:
    """Γ(b, y) y^{−b} for y > 0, of the shape of y.

    Parameters
    ----------
    b : float
        Order.
    y : array_like
        Argument.
    """
    y = np.asarray(y, dtype=np.float64)
    if b > 0.5:
        return gammaincc(b, y) * gamma(b) * y**-b
    if b < -0.5:
        return (y * upper(b + 1.0, y) - np.exp(-y)) / b
    return np.where(y < 1.0, _upper_series(b, np.minimum(y, 1.0)), _upper_fraction(b, np.maximum(y, 1.0)))


def _upper_series(b: float, y: np.ndarray) -> np.ndarray:
    """``upper`` for y ≤ 1: (Γ(1 + b) y^{−b} − 1)/b − Σ_{n≥1} (−y)ⁿ/((b + n) n!), without cancellation at b = 0."""
    orders = np.arange(2, 50)  # ln Γ(1 + b) over b, to rounding also where b is small
    slope = -np.euler_gamma - np.sum(zeta(orders) * (-b) ** (orders - 1) / orders) - np.log(y)
    total = np.expm1(b * slope) / b if b else slope
    term = np.ones(y.shape)
    for n in range(1, _TERMS):
        term = term * -y / n
        total = total - term / (b + n)
    return total


def _upper_fraction(b: float, y: np.ndarray) -> np.ndarray:
    """``upper`` for y ≥ 1: e^{−y}/(y + n/(1 + 1/(y + (n + 1)/(1 + 2/(y + …))))) with n = 1 − b, from its end."""
    order = 1.0 - b
    tail = y
    for m in range(_FRACTIONS, 0, -1):
        tail = y + (order + m - 1) / (1.0 + m / tail)
    return np.exp(-y) / tail
