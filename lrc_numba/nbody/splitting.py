r"""Periodic sums split in two: Gaussians that are short in real space, and Gaussians that are short in Fourier space.

Both potentials are mixtures of Gaussians, ψ^μ(r) = ∫₀^∞ g(t) e^{−r²/4t} dt with

    exponential        e^{−μr}            g(t) = μ/√(πt) · e^{−μ²t}
    screened Coulomb   ψ̂ = 4π/(k² + μ²)   g(t) = 4π (4πt)^{−d/2} e^{−μ²t}

so the sum over all images is split at a time η: the part before it is summed image by image within a reach of a few √η,
the part after it is Σ_k ŵ(k) cos k·x with ŵ(k) = (1/V) ∫_η^∞ g(t) (4πt)^{d/2} e^{−k²t} dt. Smoothed by e^{−k²τ²/2}
a Gaussian is older by τ²/2: the screened Coulomb begins at t = τ²/2, with e^{−μ²(t − τ²/2)}.

A sum over the pairs of N points then costs N² times the images within the reach, found by ``geometry.neighbours``, each
one polynomial from a table, and N times the modes, by structure factors. All that is above rounding is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from math import erfc, log, pi, sqrt

import numpy as np

from ..machine.cpu.compile import inlined, kernel

__all__ = ["DIGITS", "FarSum", "GaussianMixture", "RadialTable", "sum_listed"]

DIGITS = 37.0  # e^−37 is below rounding
NODES = 96  # of the quadrature in the logarithm of time
DEGREE = 13  # of the polynomials in r²; the error of an interval is below 34^−13, as r = 0 is far away for its width
PER_OCTAVE_LOG2 = 3  # eight intervals between r² and 2 r²
_SHIFT = 52 - PER_OCTAVE_LOG2  # the bits of r² above these number the intervals
_HEAD = 2  # columns of a row before its coefficients: where the interval begins, two over its length


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights."""
    return np.polynomial.legendre.leggauss(NODES)


@dataclass(frozen=True)
class GaussianMixture:
    """ψ^μ as a mixture of Gaussians of the ages from ``start`` on.

    Attributes
    ----------
    kind : {"exponential", "screened_coulomb"}
        ψ^μ.
    dim : int
        d.
    mu : float
        Inverse length.
    start : float
        τ²/2; zero for the exponential.
    """

    kind: str
    dim: int
    mu: float
    start: float = 0.0

    def density(self, t: np.ndarray) -> np.ndarray:
        """g(t), of the shape of t."""
        decay = np.exp(-(self.mu**2) * (t - self.start))
        if self.kind == "exponential":
            return self.mu / np.sqrt(pi * t) * decay
        return 4 * pi * (4 * pi * t) ** (-self.dim / 2) * decay

    def near(self, square: np.ndarray, eta: float) -> tuple[np.ndarray, np.ndarray]:
        """∫ g(t) e^{−r²/4t} dt from ``start`` to η and its slope over r, by quadrature in y = ln(η/t).

        Parameters
        ----------
        square : array
            r².
        eta : float
            η, not before ``start``.
        """
        # Beyond this y the Gaussian is below rounding; where g(t) t grows like √t only, that sees to it even at r = 0.
        last = np.log(np.maximum(4 * eta * 2 * DIGITS / np.maximum(square, 1e-300), 1.0 + 1e-12))
        last = np.minimum(last, log(eta / self.start) if self.start > 0 else 2 * DIGITS)
        value, over_r = np.zeros(square.shape), np.zeros(square.shape)
        for node, weight in zip(*_gauss_legendre(), strict=True):
            t = eta * np.exp(-last * (node + 1) / 2)
            part = self.density(t) * weight * last / 2 * t * np.exp(-square / (4 * t))
            value += part
            over_r -= part / (2 * t)
        return value, over_r

    def far(self, k2: np.ndarray, eta: float) -> np.ndarray:
        """∫_η^∞ g(t) (4πt)^{d/2} e^{−k²t} dt, of the shape of k²."""
        rate = k2 + self.mu**2
        if self.kind == "screened_coulomb":
            return 4 * pi * np.exp(-eta * k2 - self.mu**2 * (eta - self.start)) / rate
        x = eta * rate  # Γ((d + 1)/2, x) for the three d
        gamma = {1: np.exp(-x), 3: (1 + x) * np.exp(-x)}.get(self.dim)
        if gamma is None:
            gamma = np.sqrt(x) * np.exp(-x) + sqrt(pi) / 2 * np.array([erfc(sqrt(a)) for a in x.flat]).reshape(x.shape)
        return self.mu / sqrt(pi) * (4 * pi) ** (self.dim / 2) * gamma / rate ** ((self.dim + 1) / 2)


@dataclass(frozen=True)
class RadialTable:
    """A radial function and its slope over r as polynomials in r², on eight intervals an octave.

    Attributes
    ----------
    rows : (intervals, 2 + 2 (D + 1)) float64
        Where the interval begins, two over its length, coefficients of the value and of the slope over r, lowest first.
    first : int
        Number of the first interval, in units of the upper bits of r².
    reach_square : float
        From this r² on the function is zero.
    """

    rows: np.ndarray
    first: int
    reach_square: float

    @staticmethod
    def make(
        function: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]], least: float, reach: float
    ) -> RadialTable:
        """Tabulate a function.

        Parameters
        ----------
        function : callable
            Value and slope over r for an array of r².
        least, reach : float
            Distances from and up to which it is wanted.
        """
        first, last = (int(np.float64(r * r).view(np.int64)) >> _SHIFT for r in (least, reach))
        edges = (np.arange(first, last + 2, dtype=np.int64) << _SHIFT).view(np.float64)
        lengths = np.diff(edges)
        x = np.cos(pi * (np.arange(DEGREE + 1) + 0.5) / (DEGREE + 1))
        to_powers = np.linalg.inv(np.polynomial.chebyshev.chebvander(x, DEGREE)).T @ _chebyshev_powers()
        values = function(edges[:-1, None] + lengths[:, None] * (x + 1) / 2)
        rows = np.column_stack([edges[:-1], 2 / lengths, *(value @ to_powers for value in values)])
        return RadialTable(np.ascontiguousarray(rows), first, reach * reach)


def _chebyshev_powers() -> np.ndarray:
    """Row n has the coefficients of T_n, lowest power first."""
    return np.array(
        [
            np.pad(np.polynomial.chebyshev.cheb2poly(row[: n + 1]), (0, DEGREE - n))
            for n, row in enumerate(np.eye(DEGREE + 1))
        ]
    )


@inlined
def _tabulated(table, first, square):
    """Value and slope over r of a ``RadialTable`` at r², within its reach."""
    interval, size = max((np.float64(square).view(np.int64) >> _SHIFT) - first, 0), DEGREE + 1
    t = (square - table[interval, 0]) * table[interval, 1] - 1.0
    value, over_r = table[interval, 1 + size], table[interval, 1 + 2 * size]
    for n in range(DEGREE - 1, -1, -1):
        value = value * t + table[interval, _HEAD + n]
        over_r = over_r * t + table[interval, _HEAD + size + n]
    return value, over_r


@inlined
def _push(forces, i, fx, fy, fz):
    """Add to the force on a point."""
    forces[i, 0] += fx
    forces[i, 1] += fy
    forces[i, 2] += fz


@kernel
def sum_listed(
    part,
    lo,
    hi,
    rows,
    homes,
    owner,
    where,
    counts,
    listed,
    table,
    first,
    reach_square,
    potential,
    forces,
):
    """Add ½ Σ_j of a tabulated function to ``potential`` and −∇ to ``forces``; finds the two nearest points.

    Parameters
    ----------
    part, lo, hi : int
        All of ``homes``: pairs are listed once, and both points are written.
    rows, homes, owner, where, counts, listed
        Images, and half lists of them, see ``geometry.neighbours.ImageLists``.
    table, first, reach_square
        Of a ``RadialTable``.
    potential, forces : (n,), (n, 3) float64
        Added to.

    Returns
    -------
    square, i, j : float, int, int
        Their distance squared; infinity where there are no two.
    """
    smallest, nearest_i, nearest_j = np.inf, 0, 0
    for h in range(lo, hi):
        e = homes[h]
        i = owner[e]
        x, y, z = rows[4 * e], rows[4 * e + 1], rows[4 * e + 2]
        total, fx, fy, fz = 0.0, 0.0, 0.0, 0.0
        for at in range(where[i], where[i] + counts[i]):
            k = listed[at]
            j = owner[k]
            sx, sy, sz = x - rows[4 * k], y - rows[4 * k + 1], z - rows[4 * k + 2]
            square = sx * sx + sy * sy + sz * sz
            if i == j:
                continue
            if square < smallest:
                smallest, nearest_i, nearest_j = square, i, j
            if square >= reach_square:
                continue
            value, over_r = _tabulated(table, first, square)
            gx, gy, gz = over_r * sx, over_r * sy, over_r * sz
            total, fx, fy, fz = total + value, fx + gx, fy + gy, fz + gz
            potential[j] += value / 2
            _push(forces, j, gx, gy, gz)
        potential[i] += total / 2
        _push(forces, i, -fx, -fy, -fz)
    return smallest, nearest_i, nearest_j


class FarSum:
    """Σ_k ŵ(k) cos k·x over a box of modes, and its sums over the pairs of points by structure factors.

    Parameters
    ----------
    box : d floats
        Box lengths.
    split : float
        η; modes with e^{−ηk²} below rounding are left out.
    weight : callable
        V ŵ for an array of k².
    """

    def __init__(self, box: tuple[float, ...], split: float, weight: Callable[[np.ndarray], np.ndarray]):
        tops = [int(np.ceil(np.sqrt(DIGITS / split) * length / (2 * pi))) for length in box]
        self.lengths, self.tops = np.array(box), tops
        ranges = [np.arange(-top, top + 1) for top in tops[:-1]] + [np.arange(tops[-1] + 1)]  # half of them
        numbers = np.stack(np.meshgrid(*ranges, indexing="ij"), axis=-1)
        self.k = 2 * pi * numbers / self.lengths  # (…, d)
        self.weights = weight((self.k**2).sum(axis=-1)) / np.prod(box)
        self.weights[..., 1:] *= 2.0  # for −k

    def sum_pairs(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """½ Σ_{j≠i} (N,) and minus the gradient of the sum over pairs (N, d), for points (N, d)."""
        count, dim = points.shape
        fractions = points / self.lengths
        fractions -= np.round(fractions)
        phases = [
            np.exp(2j * pi * np.outer(fractions[:, a], np.arange(-top if a < dim - 1 else 0, top + 1)))
            for a, top in enumerate(self.tops)
        ]
        outer = np.ones((count, 1), dtype=np.complex128)
        for phase in phases[:-1]:
            outer = (outer[:, :, None] * phase[:, None, :]).reshape(count, -1)
        last = phases[-1]
        structure = (outer.T @ last).conj() * self.weights.reshape(-1, last.shape[1])

        def back(factor: np.ndarray) -> np.ndarray:
            """Σ_k factor e^{ik·x_i} (N,), factor on the modes."""
            return np.einsum("ia,ia->i", outer, last @ factor.T)

        potential = (back(structure).real - self.weights.sum()) / 2  # without i itself and its images
        wave = self.k.reshape(*structure.shape, dim)
        forces = np.stack([back(structure * wave[..., a]).imag for a in range(dim)], axis=1)
        return potential, forces
