r"""Windows for the error of forces: of all shapes the one with the smallest, weighted by the multiplier.

The engine by itself chooses the window for the worst mode, whatever multiplies it. Here modes count by v̂, so that more
of them fit on a mesh (0.42 to 0.48 per node instead of 0.25 to 0.4) and narrower windows do. Aliases of windows of some
shapes at some ratios are tabulated once; the last choice has the polynomials that are computed with.
"""

from __future__ import annotations

from functools import lru_cache
from math import pi

import numpy as np
from scipy.special import hyp0f1

from ...plan import WindowShape
from .estimates import ALIASES, POWERS, Spectrum, legendre, mesh_terms

__all__ = ["RATIOS", "WIDTHS", "refined", "shapes", "table"]

RATIOS = np.array(
    [0.2, 0.24, 0.28, 0.31, 0.34, 0.37, 0.39, 0.41, 0.43, 0.445, 0.46, 0.475, 0.487]
)  # kept modes per node
WIDTHS = tuple(range(4, 21))
HAT, MAX_DEGREE = 2, 20  # cells by which the hat function widens the window, and what it may have at most
ORDERS = (1.0, 2.0)  # ν
SCALES = np.linspace(0.85, 1.45, 9)  # of β, over that of the highest mode
POINTS = 14  # wavenumbers up to the highest kept
SLACK = 1.03  # how much larger the error may be for a lower degree


def quadrature() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights on [0, 1] for integrals up to the highest kept mode."""
    t, weights = legendre(POINTS)
    return (t + 1) / 2, weights / 2


def shapes(width: int, ratio: float) -> list[tuple[float, float]]:
    """(β, ν) that are tried.

    Parameters
    ----------
    width : int
        w.
    ratio : float
        Highest kept mode over nodes.
    """
    guess = pi * (width - HAT) * (1 - ratio)
    return [(float(guess * scale), nu) for nu in ORDERS for scale in SCALES]


def _transforms(width: int, tried, kappa: np.ndarray) -> np.ndarray:
    """ψ̂ of shapes, (shapes, ...) for κ of any shape, up to a factor of each."""
    t, weights = legendre(2 * (3 * width + 16))
    t, weights = t[t > 0], weights[t > 0]
    values = np.stack([hyp0f1(nu, (beta / 2) ** 2 * (1 - t**2)) / hyp0f1(nu, (beta / 2) ** 2) for beta, nu in tried])
    cosines = np.cos(pi * (width - HAT) * kappa[..., None] * t) * weights
    return np.moveaxis(cosines @ values.T, -1, 0) * np.sinc(kappa) ** HAT


@lru_cache(maxsize=1024)
def table(width: int, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """α₀ … α₂ (shapes, POINTS, 3) and ψ̂(κ ± 1)/ψ̂(κ) (shapes, POINTS) at the nodes of ``quadrature``.

    Parameters
    ----------
    width, ratio
        As for ``shapes``.
    """
    kappa = ratio * quadrature()[0]
    tried = shapes(width, ratio)
    images = _transforms(width, tried, kappa[:, None] + ALIASES) / _transforms(width, tried, kappa)[..., None]
    return (images**2) @ POWERS.T, images[..., 2] + images[..., 3]


def refined(
    spectrum: Spectrum, cell: np.ndarray, kept: tuple[int, ...], nodes: tuple[int, ...], width: int, weights
) -> tuple[WindowShape, tuple[float, float]]:
    """The window of a width with the smallest error on a mesh, and its ``mesh_terms``.

    Parameters
    ----------
    spectrum, cell, kept, nodes
        As for ``mesh_terms``.
    width : int
        w.
    weights : two floats
        What the two terms are multiplied with.
    """
    ratio = max(top / n for top, n in zip(kept, nodes, strict=True))
    tried = shapes(width, ratio)

    def best_of(some) -> tuple[float, float]:
        """The shape with the smallest error."""
        terms = mesh_terms(spectrum, cell, kept, nodes, lambda kappa: _transforms(width, some, kappa))
        return some[int(np.argmin(_weighted(terms, weights)))]

    beta, nu = best_of(tried)
    step = (SCALES[1] - SCALES[0]) * pi * (width - HAT) * (1 - ratio)
    finer = [(beta + part * step, nu) for part in (-0.5, -0.25, 0.0, 0.25, 0.5)]
    shape = best_of(finer)

    def of_degree(degree: int) -> tuple:
        """Both terms with polynomials of this degree."""
        return mesh_terms(spectrum, cell, kept, nodes, WindowShape("kaiser_bessel", width, shape, degree).transform)

    limit = SLACK**2 * _weighted(of_degree(MAX_DEGREE), weights)
    low, high = HAT, MAX_DEGREE  # the lowest degree within the limit is above low
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _weighted(of_degree(middle), weights) <= limit else (middle, high)
    pairs, own = of_degree(high)
    return WindowShape("kaiser_bessel", width, shape, high), (float(pairs), float(own))


def _weighted(terms: tuple, weights):
    return terms[0] * weights[0] + terms[1] * weights[1]
