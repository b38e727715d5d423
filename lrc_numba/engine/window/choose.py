r"""Window functions ψ: their shape, their polynomials, their Fourier transform, and the width that an eps needs.

A window covers w grid points. In grid units it is ψ(x), |x| ≤ w/2, and a point at grid coordinate g touches the nodes j
with |j − g| < w/2. Each of the w unit intervals carries a polynomial in the point's position inside its grid cell, and
*these polynomials are the window*: both back ends evaluate them by Horner's rule, ψ̂ is their integral, ψ′ their
derivative. So nothing is left between the operator that is computed and the one that is differentiated.

Smoothness. A Kaiser–Bessel window or a Gaussian that is cut off where it is small jumps there, and energies would jump
by about eps whenever a node enters the support of a point. Here it is convolved with the hat function,

    ψ = hat ∗ K,   hat(x) = max(0, 1 − |x|)     kaiser_bessel:  K = ₀F₁(ν; (βs/2)²)      gaussian:  K = e^{a(s² − 1)}

with s² = 1 − (2x/(w − 2))² on w − 2 cells (ν = 1 is I₀(βs), ν = 1/2 is cosh(βs)). So ψ is C¹, ψ and ψ′ vanish at the
edge, and with that energies are C¹ and forces continuous in the positions. The hat costs two cells of width and gives
them back, all or all but one: ψ̂ = sinc² K̂ is smaller at every alias, and has a double zero at each whole frequency.
Hence Σ_j ψ(j − g) and Σ_j (j − g) ψ(j − g) do not depend on g, as for splines, and the error of a long wave, κ → 0,
falls as κ². That is where a kernel such as 1/k² has most of its weight, and what the gradient of ψ, whose alias m is
(κ + m)/κ times as large, needs most. ``python -m validation.windows`` measures all that beside windows without a hat.

K is one polynomial per cell, and the hat two averages over a cell; so ψ is one, too, of a degree higher by two.

Width. One transform makes, in a mode of κ cycles per grid cell, a relative error of at most

    alias(κ) = Σ_{m≠0} |ψ̂(κ + m)| / ψ̂(κ)

per axis, and makes it where the points sit on a lattice that fits the grid; elsewhere phases are independent and it is
the root of the sum of squares. Two transforms along d axes: the narrowest window with

    6 · max_κ alias(κ) ≤ eps

is taken, with the shape β, ν (or a) that minimises it, and the lowest degree that keeps it: 2d in three dimensions, and
in one and two, where it is cheap, the same as a margin for clusters whose charges nearly cancel. That bounds the error
of every mode by eps times its largest aliased neighbour, for any multiplier and any points. It does not bound the error
by eps times ‖u‖ where the sum over points cancels in the kept modes and not in what aliases into them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from math import ceil, log, pi, sqrt

import numpy as np
from numpy.polynomial import chebyshev, polynomial
from scipy.special import hyp0f1

__all__ = [
    "MAX_WIDTH",
    "TRANSFORM_ERRORS",
    "WINDOWS",
    "Window",
    "accuracy_floor",
    "averaged",
    "best_shape",
    "choose_window",
    "expected_width",
    "fitted_window",
    "paper_window",
]

WINDOWS = ("kaiser_bessel", "gaussian", "gaussian_paper")
MAX_WIDTH = 32  # grid points; four vectors of eight float64
MAX_DEGREE = 20
TRANSFORM_ERRORS = 6  # how many times the error of one transform along one axis may enter
_ALIASES = np.array([-3, -2, -1, 1, 2, 3])
_BAND = np.concatenate([[0.0, 0.3, 0.5, 0.6, 0.7], np.linspace(0.76, 1.0, 13)])  # where aliasing is looked at
_AT_ONCE = 256  # frequencies: a table of their cosines stays in the cache, and few are multiplied by one thread of BLAS
_LONG = 4096  # frequencies, of more of which ψ̂ is read off a series
_NODES = 24  # per interval: with so many the quadrature is exact to rounding for |κ| ≤ 3.5 cycles per interval
_FAR = 3.5


@lru_cache(maxsize=16)
def _quadrature(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes and weights on [−1, 1]."""
    return np.polynomial.legendre.leggauss(nodes)


def _kaiser_bessel(s2: np.ndarray, beta: float, nu: float) -> np.ndarray:
    """₀F₁(ν; (βs/2)²), a modified Bessel function without its power: relative to the peak."""
    return hyp0f1(nu, beta**2 / 4 * s2) / hyp0f1(nu, beta**2 / 4)


def _gaussian(s2: np.ndarray, a: float, _: float) -> np.ndarray:
    """A Gaussian in x, relative to its peak."""
    return np.exp(a * (s2 - 1.0))


_SHAPES = {"kaiser_bessel": _kaiser_bessel, "gaussian": _gaussian, "gaussian_paper": _gaussian}
_FAMILIES = {"kaiser_bessel": (2.0, 1.0, 0.5), "gaussian": (0.0,)}  # ν
HAT = 2  # cells by which the hat function widens a window


@dataclass(frozen=True)
class Window:
    """A window as w polynomials.

    Attributes
    ----------
    name : str
        One of ``WINDOWS``, or of ``given.FAMILIES``.
    width : int
        Number of grid points w under the window.
    shape : tuple of float
        (β, ν) of the Kaiser–Bessel window or (a, 0) of the Gaussian; empty for splines and Lagrange polynomials.
    coefficients : (degree + 1, w) float64
        Column i is the polynomial, highest power first, that gives the weight of the i-th node of the support from
        τ = 2t − 1, where t ∈ [0, 1) is the position of the point in its grid cell.
    """

    name: str
    width: int
    shape: tuple[float, ...]
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
        """ψ̂(κ) = ∫ ψ(x) cos(2πκx) dx at ``kappa`` cycles per grid cell, same shape, by Gauss–Legendre per interval.

        Of many frequencies by a Chebyshev series: ψ̂ is smooth, as ψ ends at w/2, and rounding is as before.
        """
        flat, values = np.ravel(kappa), np.empty(np.size(kappa))
        highest = float(max(flat.max(), -flat.min())) if flat.size else 0.0
        if flat.size <= _LONG:
            step, evaluate = _AT_ONCE, self._integral(highest)
        else:
            step, evaluate = _LONG, self._series(highest)
        for begin in range(0, flat.size, step):
            values[begin : begin + step] = evaluate(flat[begin : begin + step])
        return values.reshape(np.shape(kappa))

    def _integral(self, highest: float) -> Callable[[np.ndarray], np.ndarray]:
        """ψ̂ for |κ| ≤ ``highest``, by quadrature."""
        tau, weight = _quadrature(_NODES + max(0, ceil(2 * (highest - _FAR))))
        values = polynomial.polyval(tau, self.coefficients[::-1])  # (w, nodes)
        x = (np.arange(self.width)[:, None] + 1.0 - (tau + 1.0) / 2 - self.width / 2).ravel()
        weights = (values * (weight / 2)).ravel()

        def _evaluate(kappa: np.ndarray) -> np.ndarray:
            table = 2 * np.pi * kappa[:, None] * x
            return np.cos(table, out=table) @ weights

        return _evaluate

    def _series(self, highest: float) -> Callable[[np.ndarray], np.ndarray]:
        """ψ̂ for |κ| ≤ ``highest``, by a series for 0 ≤ κ ≤ ``highest``, as ψ̂ is even.

        Its interval is longer than that by a seventh on either side, because rounding in Clenshaw's rule grows at the
        ends. In units of half the interval a cosine in ψ̂ has the phase z or less, and its coefficients fall like the
        Bessel functions J_n(z): below rounding beyond n = z + 10 z^(1/3) + 20.
        """
        integral, middle = self._integral(15 / 14 * highest), max(highest, float(np.finfo(np.float64).tiny)) / 2
        half = 8 / 7 * middle
        phase = np.pi * self.width * half
        degree = ceil(phase + 10 * phase ** (1 / 3) + 20)
        terms = np.asarray(chebyshev.chebinterpolate(lambda t: integral(half * t + middle), degree))  # type: ignore[type-var]
        return lambda kappa: chebyshev.chebval((np.abs(kappa) - middle) / half, terms)

    def alias(self, kappa: float) -> float:
        """Σ |ψ̂(κ + m)| / ψ̂(κ), the relative error of one transform along one axis: the largest for |κ| ≤ ``kappa``."""
        band = kappa * _BAND
        images = self.transform(band[:, None] + _ALIASES)
        return float((np.abs(images).sum(axis=1) / np.abs(self.transform(band))).max())


def _fitted(name: str, width: int, shape: tuple[float, float], degree: int) -> np.ndarray:
    """K on each of its cells, (width, degree + 1), lowest power of τ first: least squares at Chebyshev nodes."""
    tau = np.cos(np.pi * (np.arange(40) + 0.5) / 40)
    x = (np.arange(width)[:, None] + 1.0 - (tau + 1.0) / 2) / (width / 2) - 1.0  # in units of half the width
    values = _SHAPES[name](1.0 - x**2, *shape)
    weights = np.linalg.lstsq(chebyshev.chebvander(tau, degree), values.T, rcond=None)[0].T
    powers = np.zeros((width, degree + 1))
    for row, weight in zip(powers, weights, strict=True):
        monomials = chebyshev.cheb2poly(weight)
        row[: len(monomials)] = monomials
    return powers


def averaged(powers: np.ndarray) -> np.ndarray:
    """∫ over one cell around x, for polynomials on cells as those of ``_fitted``: one cell and one degree more.

    x + 1/2 and x − 1/2 have the τ of x, in neighbouring cells, and τ runs against x: ½ [∫_{−1}^τ left + ∫_τ^1 right].
    """
    integral = powers / np.arange(1, powers.shape[1] + 1)
    integral = np.pad(integral, ((0, 0), (1, 0)))
    signs = (-1.0) ** np.arange(integral.shape[1])
    up, down = integral.copy(), -integral
    up[:, 0] -= integral @ signs
    down[:, 0] += integral.sum(axis=1)
    return (np.pad(up, ((1, 0), (0, 0))) + np.pad(down, ((0, 1), (0, 0)))) / 2


@lru_cache(maxsize=512)
def fitted_window(name: str, width: int, shape: tuple[float, float], degree: int) -> Window:
    """ψ, one at its peak, of this degree."""
    hat = 0 if name == "gaussian_paper" else HAT
    powers = _fitted(name, width - hat, shape, degree - hat)
    for _ in range(hat):
        powers = averaged(powers)
    middle = powers[width // 2] @ ((1.0 if width % 2 == 0 else 0.0) ** np.arange(degree + 1))
    return Window(name, width, shape, np.ascontiguousarray(powers[:, ::-1].T / middle))


@lru_cache(maxsize=512)
def best_shape(name: str, width: int, kappa: float) -> tuple[tuple[float, float], float]:
    """The shape with the smallest aliasing error for modes up to κ, by a scan around an estimate, and that error."""
    edge, inner = 1.0 - kappa, width - HAT  # the nearest alias, cycles per grid cell; cells of K
    guess = np.pi * inner * (edge if name == "kaiser_bessel" else np.sqrt(edge * (edge - kappa)) / 2)
    nodes, weight = np.polynomial.legendre.leggauss(6 * width + 24)
    nodes, weight = nodes[nodes > 0], weight[nodes > 0]
    band = kappa * _BAND
    images = band[:, None] + _ALIASES
    to_band = np.cos(np.pi * inner * np.outer(band, nodes)) * weight * np.sinc(band)[:, None] ** HAT
    to_images = np.cos(np.pi * inner * images[..., None] * nodes) * weight * np.sinc(images)[..., None] ** HAT
    best, lowest = (guess, 0.0), np.inf
    for nu in _FAMILIES[name]:
        for a in guess * np.linspace(0.7, 1.3, 37):
            values = _SHAPES[name](1.0 - nodes**2, a, nu)
            with np.errstate(divide="ignore"):
                alias = (np.abs(to_images @ values).sum(axis=1) / np.abs(to_band @ values)).max()
            if alias < lowest:
                best, lowest = (float(a), nu), float(alias)
    return best, lowest


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
    target, best = eps / TRANSFORM_ERRORS, np.inf
    start = min(max(expected_width(eps, ratio), HAT + 1), MAX_WIDTH)
    while start > HAT + 1 and best_shape(name, start - 1, ratio)[1] <= target:
        start -= 1
    for width in (*range(start, MAX_WIDTH + 1), *range(HAT + 1, start)):  # the others last: mostly for the message
        shape, alias = best_shape(name, width, ratio)
        if alias > target:
            best = min(best, alias)
            continue
        for degree in range(HAT, MAX_DEGREE + 1):
            window = fitted_window(name, width, shape, degree)
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
    return fitted_window("gaussian_paper", width, (float(np.pi**2 / 12 * (width / 2) ** 2), 0.0), 16)


def expected_width(eps: float, kappa: float) -> int:
    """What the law says of the width that keeps ``eps`` for modes up to κ."""
    return max(2, ceil(log(30 * TRANSFORM_ERRORS / eps) / (pi * sqrt(max(1 - 2 * kappa, 1e-3)))))


def accuracy_floor(dtype: np.dtype, modes: tuple[int, ...]) -> float:
    """The smallest eps worth asking for.

    A rounding of one unit in the last place of a coordinate moves the phase of the highest mode along an axis of M
    modes by πM machine epsilons. Sums over the grid in float32 lose about two digits of its seven.
    """
    if dtype == np.float32:
        return 1e-5
    return max(1e-13, float(np.finfo(np.float64).eps) * np.pi * max(modes) / 2)
