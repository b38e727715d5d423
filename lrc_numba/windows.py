r"""Window functions ψ: their shape, their polynomials, their Fourier transform, and the width that an eps needs.

A window covers w grid points. In grid units it is ψ(x), |x| ≤ w/2, and a point at grid coordinate g touches the nodes j
with |j − g| < w/2. Each of the w unit intervals carries a polynomial in the point's position inside its grid cell, and
*these polynomials are the window*: both back ends evaluate them by Horner's rule, ψ̂ is their integral, ψ′ their
derivative. So nothing is left between the operator that is computed and the one that is differentiated.

Smoothness. With s² = 1 − (2x/w)² the usual Kaiser–Bessel window is I₀(βs), cut off at its edge value 1. Energies then
jump by about eps whenever a node enters the support of a point. Here the first two terms of the series in s² are taken
off,

    kaiser_bessel:  ψ = Σ_{m≥2} (βs/2)^{2m} / (m! (ν)_m)            gaussian:  ψ = e^{as²} − 1 − as²

(ν = 1 is I₀(βs) − 1 − (βs)²/4, ν = 1/2 is cosh(βs) − 1 − (βs)²/2, the semicircle's even twin; smaller ν makes up for
most of what the smooth edge costs),

so ψ and ψ′ vanish at the edge, and the polynomials agree in value and slope wherever two intervals meet: ψ is C¹, and
with it energies are C¹ and forces continuous in the positions. ``python -m validation.windows`` measures the price in
width.

Width. One transform makes, in a mode of κ cycles per grid cell, a relative error of at most

    alias(κ) = Σ_{m≠0} |ψ̂(κ + m)| / ψ̂(κ)

per axis, and makes it where the points sit on a lattice that fits the grid; elsewhere phases are independent and it is
the root of the sum of squares. Two transforms along d axes: the narrowest window with

    6 · max_κ alias(κ) ≤ eps

is taken, with the shape β, ν (or a) that minimises it: 2d in three dimensions, and in one and two, where it is cheap,
the same as a margin for clusters whose charges nearly cancel. That bounds the error of every mode by eps times its
largest aliased neighbour, for any multiplier and any points. It does not bound the error by eps times ‖u‖ where the
sum over points cancels in the kept modes and not in what aliases into them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.polynomial import chebyshev, polynomial

from .sizes import TRANSFORM_ERRORS

__all__ = ["MAX_WIDTH", "WINDOWS", "Window", "accuracy_floor", "choose_window", "paper_window"]

WINDOWS = ("kaiser_bessel", "gaussian", "gaussian_paper")
MAX_WIDTH = 32  # grid points; four vectors of eight float64
_ALIASES = np.array([-3, -2, -1, 1, 2, 3])
_BAND = np.concatenate([[0.0, 0.3, 0.5, 0.6, 0.7], np.linspace(0.76, 1.0, 13)])  # where aliasing is looked at
_QUADRATURE = np.polynomial.legendre.leggauss(24)  # exact to rounding for |κ| ≤ 3.5 cycles per interval


def _kaiser_bessel(s2: np.ndarray, beta: float, nu: float) -> tuple[np.ndarray, np.ndarray]:
    """Σ_{m≥2} q^m / (m! (ν)_m) with q = β²s²/4, and its derivative with respect to s²."""
    q = beta**2 / 4 * s2
    value, slope = np.zeros_like(q), np.zeros_like(q)
    power = q / nu  # the term m − 1
    for m in range(2, 24 + int(1.2 * beta)):
        slope += power / (m - 1 + nu)
        power = power * q / (m * (m - 1 + nu))
        value += power
    return value, slope * beta**2 / 4


def _gaussian(s2: np.ndarray, a: float, _: float) -> tuple[np.ndarray, np.ndarray]:
    """e^{as²} − 1 − as² and its derivative with respect to s²: a Gaussian in x without its edge value and slope."""
    return np.expm1(a * s2) - a * s2, a * np.expm1(a * s2)


def _plain_gaussian(s2: np.ndarray, a: float, _: float) -> tuple[np.ndarray, np.ndarray]:
    """e^{a(s²−1)} and its derivative with respect to s²; nothing removed, for the paper's window."""
    value = np.exp(a * (s2 - 1.0))
    return value, a * value


_SHAPES = {"kaiser_bessel": _kaiser_bessel, "gaussian": _gaussian, "gaussian_paper": _plain_gaussian}


@dataclass(frozen=True)
class Window:
    """A window as w polynomials.

    Attributes
    ----------
    name : str
        One of ``WINDOWS``.
    width : int
        Number of grid points w under the window.
    shape : tuple of float
        (β, ν) of the Kaiser–Bessel window or (a, 0) of the Gaussian.
    coefficients : (degree + 1, w) float64
        Column i is the polynomial, highest power first, that gives the weight of the i-th node of the support from
        τ = 2t − 1, where t ∈ [0, 1) is the position of the point in its grid cell.
    """

    name: str
    width: int
    shape: tuple[float, float]
    coefficients: np.ndarray

    @property
    def degree(self) -> int:
        """Degree of the polynomials."""
        return len(self.coefficients) - 1

    def derivative_coefficients(self) -> np.ndarray:
        """Polynomials of dψ/dt (per grid cell, the sign of a moving *point*), (degree, w), highest power first."""
        powers = np.arange(self.degree, 0, -1)[:, None]
        return 2.0 * self.coefficients[:-1] * powers  # dτ/dt = 2

    def transform(self, kappa: np.ndarray) -> np.ndarray:
        """ψ̂(κ) = ∫ ψ(x) cos(2πκx) dx at ``kappa`` cycles per grid cell, same shape, by Gauss–Legendre per interval."""
        tau, weight = _QUADRATURE
        values = polynomial.polyval(tau, self.coefficients[::-1])  # (w, nodes)
        x = np.arange(self.width)[:, None] + 1.0 - (tau + 1.0) / 2 - self.width / 2
        flat = np.ravel(kappa)
        table = np.cos(2 * np.pi * flat[:, None] * x.ravel()) @ (values * (weight / 2)).ravel()
        return table.reshape(np.shape(kappa))

    def alias(self, kappa: float) -> float:
        """Σ |ψ̂(κ + m)| / ψ̂(κ), the relative error of one transform along one axis: the largest for |κ| ≤ ``kappa``."""
        band = kappa * _BAND
        images = self.transform(band[:, None] + _ALIASES)
        return float((np.abs(images).sum(axis=1) / np.abs(self.transform(band))).max())


def _polynomials(name: str, width: int, shape: tuple[float, float], tolerance: float) -> np.ndarray:
    """The polynomials of a window, of the lowest degree that reaches ``tolerance`` relative to the window's peak.

    On each interval: the cubic Hermite interpolant of value and slope at both ends, which makes ψ C¹ to rounding, plus
    (1 − τ²)² q(τ), fitted in the least-squares sense at Chebyshev nodes.
    """
    nodes = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    ends = np.array([-1.0, 1.0])
    tau = np.concatenate([nodes, ends])
    x = (np.arange(width)[:, None] + 1.0 - (tau + 1.0) / 2) / (width / 2) - 1.0  # (w, nodes) in units of w/2
    s2 = np.clip(1.0 - x**2, 0.0, 1.0)
    value, slope = _SHAPES[name](s2, *shape)
    peak = _SHAPES[name](np.ones(1), *shape)[0][0]
    value = value / peak
    slope = slope / peak * (-2.0 * x) * (-1.0 / width)  # d/ds² → d/dx → d/dτ
    (left, right), (dleft, dright) = value[:, -2:].T, slope[:, -2:].T
    # Hermite basis on [−1, 1], lowest power first.
    hermite = np.array([[2, -3, 0, 1], [1, -1, -1, 1], [2, 3, 0, -1], [-1, -1, 1, 1]]) / 4.0
    cubic = (
        np.outer(left, hermite[0])
        + np.outer(dleft, hermite[1])
        + np.outer(right, hermite[2])
        + np.outer(dright, hermite[3])
    )
    residual = value[:, :-2] - polynomial.polyval(nodes, cubic.T)
    bubble = np.array([1.0, 0.0, -2.0, 0.0, 1.0])
    for degree in range(3, 22):
        coefficients = np.zeros((width, degree + 1))
        coefficients[:, :4] = cubic
        fitted = np.zeros_like(residual)
        if degree >= 4:
            basis = chebyshev.chebvander(nodes, degree - 4) * ((1 - nodes**2) ** 2)[:, None]
            weights = np.linalg.lstsq(basis, residual.T, rcond=None)[0].T
            fitted = weights @ basis.T
            for row, weight in zip(coefficients, weights, strict=True):
                row += np.resize(polynomial.polymul(bubble, chebyshev.cheb2poly(weight)), degree + 1)
        if np.abs(residual - fitted).max() <= tolerance:
            break
    return np.ascontiguousarray(coefficients[:, ::-1].T)


@lru_cache(maxsize=512)
def _window(name: str, width: int, shape: tuple[float, float], tolerance: float) -> Window:
    return Window(name, width, shape, _polynomials(name, width, shape, tolerance))


@lru_cache(maxsize=512)
def _best_shape(name: str, width: int, kappa: float) -> tuple[tuple[float, float], float]:
    """The shape with the smallest aliasing error for modes up to κ, by a scan around an estimate; and ψ̂(κ)/ψ̂(0)."""
    edge = 1.0 - kappa  # the nearest alias, cycles per grid cell
    if name == "kaiser_bessel":
        guess, families = np.pi * width * edge, [1.0, 0.5, 0.25, 0.1]
    else:
        guess, families = np.pi * width * np.sqrt(edge * (edge - kappa)) / 2, [0.0]
    nodes, weight = np.polynomial.legendre.leggauss(6 * width + 24)
    nodes, weight = nodes[nodes > 0], weight[nodes > 0]
    band = kappa * _BAND
    main = np.cos(np.pi * width * np.outer(band, nodes)) * weight
    images = np.cos(np.pi * width * (band[:, None] + _ALIASES)[..., None] * nodes) * weight
    scale = np.linspace(0.8, 1.2, 33)
    best, lowest, decay = (guess, families[0]), np.inf, 1.0
    for nu in families:
        for a in guess * scale:
            values = _SHAPES[name](1.0 - nodes**2, a, nu)[0]
            transforms = np.abs(main @ values)
            alias = (np.abs(images @ values).sum(axis=1) / transforms).max()
            if alias < lowest:
                best, lowest, decay = (float(a), nu), alias, transforms[-1] / transforms[0]
    return best, decay


@lru_cache(maxsize=512)
def choose_window(name: str, eps: float, ratio: float) -> Window:
    """The narrowest window that keeps ``eps``.

    Parameters
    ----------
    name : {"kaiser_bessel", "gaussian"}
        Family.
    eps : float
        Relative ℓ² error allowed for a convolution, that is for two transforms.
    ratio : float
        Highest kept mode over number of grid points, below 1/2, the worst axis.

    Raises
    ------
    ValueError
        When no window up to ``MAX_WIDTH`` points keeps ``eps`` at this ratio.
    """
    target = eps / TRANSFORM_ERRORS
    best = np.inf
    for width in range(2, MAX_WIDTH + 1):
        # Even the optimum gains no more than a factor 60 per grid point, so widths that cannot do are skipped unseen.
        if 60.0 ** -(width - 1) > target:
            continue
        shape, decay = _best_shape(name, width, ratio)
        # The polynomials may miss the shape by what is small against ψ̂ in the highest mode, where it is smallest.
        window = _window(name, width, shape, max(0.1 * target * decay, 5e-16))
        alias = window.alias(ratio)
        if alias <= target:
            return window
        best = min(best, alias)
    raise ValueError(
        f"eps: {eps:g} is out of reach of the {name} window with at most {MAX_WIDTH} grid points and an oversampling "
        f"of {0.5 / ratio:.2f} (about {TRANSFORM_ERRORS * best:.0e} is reachable): ask for a larger eps"
    )


@lru_cache(maxsize=1)
def paper_window() -> Window:
    """The Gaussian of the paper's Appendix B, on a grid with exactly as many points as modes.

    g(x) = exp(−x²/4τ) with τ = 12 (L / 2π L_FFT)², which in grid units is exp(−π²x²/12) whatever the grid; it has
    fallen below 1e-20 of its peak at the 7.5 points where it ends here.
    """
    width = 15
    return _window("gaussian_paper", width, (float(np.pi**2 / 12 * (width / 2) ** 2), 0.0), 2e-16)


def accuracy_floor(dtype: np.dtype, modes: tuple[int, ...]) -> float:
    """The smallest eps worth asking for.

    A rounding of one unit in the last place of a coordinate moves the phase of the highest mode along an axis of M
    modes by πM machine epsilons. Sums over the grid in float32 lose about two digits of its seven.
    """
    if dtype == np.float32:
        return 1e-5
    return max(1e-13, float(np.finfo(np.float64).eps) * np.pi * max(modes) / 2)
