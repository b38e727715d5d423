r"""The black-box potentials of the LRC paper (section 5) on the torus: U = Σ_{i<j} ψ(x_i − x_j), ψ = Σ_c α_c ψ^{μ_c}.

    exponential        ψ^μ(r) = e^{−μr}                                      (eqs 3–5)
    screened Coulomb   −Δψ + μ²ψ = 4πδ, so ψ̂(k) = 4π/(k² + μ²)               (eqs 6–8; the authors' code has the 4π)

either for the nearest image alone, or summed over all of them. The sum of the screened Coulomb is split in time of the
heat equation, 1/(k² + μ²) = ∫ e^{−t(k² + μ²)} dt, at t = η: what comes before is short-ranged in real space, what comes
after is short-ranged in Fourier space, and both are summed to rounding. With τ, the potential is smoothed by
χ(k) = e^{−k²τ²/2}, as the authors do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, cached_property

import numpy as np

from .. import arguments
from ..geometry.cell import minimum_image

__all__ = ["PairPotential"]

KINDS = ("exponential", "screened_coulomb")
NODES = 96  # of the quadrature in the logarithm of time
DIGITS = 37.0  # e^−37 is below rounding
MOST_IMAGES = 10**7
LEAST = 1e-100  # of μ, whose square is a number still


@cache
def _gauss_legendre() -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights."""
    return np.polynomial.legendre.leggauss(NODES)


@dataclass(frozen=True)
class PairPotential:
    """A pair potential on a periodic box.

    Parameters
    ----------
    kind : {"exponential", "screened_coulomb"}
        ψ^μ.
    box : float or d floats
        Box lengths.
    mu, alpha : float or C floats
        Inverse lengths μ_c > 0 and strengths α_c.
    images : bool
        Sum over all images; else the nearest alone.
    tau : float
        Smoothing length of the screened Coulomb potential, 0 for none.

    Raises
    ------
    ValueError
        For parameters that make no potential.
    """

    kind: str
    box: tuple[float, ...]
    mu: tuple[float, ...]
    alpha: tuple[float, ...]
    images: bool = True
    tau: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind: expected one of {', '.join(map(repr, KINDS))}, got {self.kind!r}")
        for name in ("box", "mu", "alpha"):
            given = np.atleast_1d(np.asarray(getattr(self, name), dtype=np.float64))
            if given.ndim != 1 or not np.isfinite(given).all():
                raise ValueError(f"{name}: expected a finite number or a few, got {getattr(self, name)!r}")
            object.__setattr__(self, name, tuple(given.tolist()))
        if not 1 <= len(self.box) <= 3 or min(self.box) <= 0:
            raise ValueError(f"box: expected one to three positive lengths, got {self.box}")
        if len(self.mu) != len(self.alpha) or not self.mu or min(self.mu) < LEAST:
            raise ValueError(
                f"mu: expected as many numbers of {LEAST} or more as alpha has, got {self.mu} for {self.alpha}"
            )
        if self.images and self.kind == "exponential":
            number = np.prod([2.0 * (DIGITS / min(self.mu) / length + 0.5) for length in self.box])
            if number > MOST_IMAGES:
                raise ValueError(
                    f"mu: {min(self.mu)} is too small to sum an exponential over images, {number:.0e} of them"
                )
        if not 0 <= self.tau < np.inf or (self.tau > 0 and (self.kind != "screened_coulomb" or not self.images)):
            raise ValueError(f"tau: only the sum over images of the screened Coulomb is smoothed, got {self.tau}")

    @property
    def dim(self) -> int:
        """d."""
        return len(self.box)

    # ------------------------------------------------------------------ one pair
    def pair(self, displacement: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """ψ (…,) and ∇ψ (…, d) of displacements (…, d) x_i − x_j that are not zero."""
        nearest = minimum_image(displacement, self.box)
        value, slope = np.zeros(nearest.shape[:-1]), np.zeros(nearest.shape)
        for mu, alpha in zip(self.mu, self.alpha, strict=True):
            if not self.images:
                one, gradient = self._radial(nearest, lambda r, mu=mu: self._free(r, mu))
            elif self.kind == "exponential":
                one, gradient = self._image_sum(nearest, mu)
            else:
                one, gradient = self._split_sum(nearest, mu)
            value += alpha * one
            slope += alpha * gradient
        return value, slope

    @staticmethod
    def _radial(displacement: np.ndarray, function) -> tuple[np.ndarray, np.ndarray]:
        """Value and gradient of a function of the distance that returns value and slope."""
        r = np.sqrt((displacement**2).sum(axis=-1))
        value, slope = function(r)
        return value, (slope / r)[..., None] * displacement

    def _free(self, r: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
        """ψ^μ and its slope without a box."""
        decay = np.exp(-mu * r)
        if self.kind == "exponential":
            return decay, -mu * decay
        if self.dim == 1:
            return 2 * np.pi / mu * decay, -2 * np.pi * decay
        if self.dim == 3:
            return decay / r, -decay * (mu + 1 / r) / r
        from scipy.special import k0, k1

        return 2 * k0(mu * r), -2 * mu * k1(mu * r)

    def _shifts(self, reach: float) -> np.ndarray:
        """Images within ``reach`` of a nearest one, which is at most half a box away along each axis."""
        axes = [np.arange(-n, n + 1) * length for length in self.box for n in [int(reach / length + 0.5)]]
        return np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, self.dim)

    def _image_sum(self, nearest: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
        """Image by image, to rounding."""
        value, slope = np.zeros(nearest.shape[:-1]), np.zeros(nearest.shape)
        for shift in self._shifts(DIGITS / mu):
            one, gradient = self._radial(nearest + shift, lambda r: self._free(r, mu))
            value += one
            slope += gradient
        return value, slope

    # ------------------------------------------------------------------ the splitting
    @cached_property
    def _eta(self) -> float:
        """Where time is split: Gaussians of this age reach about a third of the box."""
        return (min(self.box) / 9.0) ** 2

    def _split_sum(self, nearest: np.ndarray, mu: float) -> tuple[np.ndarray, np.ndarray]:
        """Screened Coulomb over all images: early times in real space, late times in Fourier space."""
        start = self.tau**2 / 2  # a kernel smoothed by χ is one that is this old
        value, slope = self._late(nearest, mu, max(self._eta, start), start)
        if start < self._eta:
            for shift in self._shifts(np.sqrt(4 * self._eta * DIGITS)):
                one, gradient = self._early(nearest + shift, mu, start)
                value += one
                slope += gradient
        return value, slope

    def _early(self, displacement: np.ndarray, mu: float, start: float) -> tuple[np.ndarray, np.ndarray]:
        """4π ∫ (4πt)^{−d/2} e^{−r²/4t − μ²(t − start)} dt from ``start`` to η, by quadrature in y = ln(η/t)."""
        square = (displacement**2).sum(axis=-1)
        # Beyond this y the Gaussian is below rounding; in one dimension √t sees to it even at r = 0.
        last = np.log(np.maximum(4 * self._eta * 2 * DIGITS / np.maximum(square, 1e-300), 1.0 + 1e-12))
        last = np.minimum(last, np.log(self._eta / start) if start > 0 else 2 * DIGITS)
        value, over_r = np.zeros(square.shape), np.zeros(square.shape)
        for node, weight in zip(*_gauss_legendre(), strict=True):
            y = last * (node + 1) / 2
            t = self._eta * np.exp(-y)
            part = 4 * np.pi * weight * last / 2 * t * (4 * np.pi * t) ** (-self.dim / 2)
            part *= np.exp(-square / (4 * t) - mu**2 * (t - start))
            value += part
            over_r -= part / (2 * t)
        return value, over_r[..., None] * displacement

    def _late(self, nearest: np.ndarray, mu: float, split: float, start: float) -> tuple[np.ndarray, np.ndarray]:
        """(4π/V) Σ_k e^{−split k² − μ²(split − start)}/(k² + μ²) cos k·x."""
        tops = [int(np.ceil(np.sqrt(DIGITS / split) * length / (2 * np.pi))) for length in self.box]
        axes = np.meshgrid(*[np.arange(-top, top + 1) for top in tops], indexing="ij")
        numbers = np.stack(axes, axis=-1).reshape(-1, self.dim)
        numbers = numbers[len(numbers) // 2 :]  # half of them, k = 0 first
        k = 2 * np.pi * numbers / np.array(self.box)
        k2 = (k**2).sum(axis=1)
        weight = 4 * np.pi / np.prod(self.box) * np.exp(-split * k2 - mu**2 * (split - start)) / (k2 + mu**2)
        weight[1:] *= 2.0
        value, slope = np.zeros(nearest.shape[:-1]), np.zeros(nearest.shape)
        for one, vector in zip(weight, k, strict=True):
            phase = nearest @ vector
            value += one * np.cos(phase)
            slope -= (one * np.sin(phase))[..., None] * vector
        return value, slope

    # ------------------------------------------------------------------ configurations
    def energy_forces(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """U (B,) and F (B, N, d) of snapshots (B, N, d), or U and F (N, d) of one; no two points in one place."""
        potential, forces = self._potential_forces(points)
        return potential.sum(axis=-1), forces

    def potential(self, points: np.ndarray) -> np.ndarray:
        """½ Σ_{j≠i} ψ(x_i − x_j), (…, N)."""
        return self._potential_forces(points)[0]

    def _check_apart(self, nearest: np.ndarray, i: np.ndarray, j: np.ndarray) -> None:
        """A ValueError where two points are in one place, but for rounding; of displacements (B, pairs, d)."""
        square = (nearest**2).sum(axis=-1)
        if square.size and not square.min() > (1e-12 * min(self.box)) ** 2:
            snapshot, pair = np.unravel_index(square.argmin(), square.shape)
            raise ValueError(
                f"points: expected no two of them in one place, got {i[pair]} and {j[pair]} of snapshot {snapshot} "
                f"{np.sqrt(square[snapshot, pair]):.1e} apart"
            )

    def _potential_forces(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        points = arguments.as_points("points", points, np.dtype(np.float64), self.dim)
        snapshots = points if points.ndim == 3 else points[None]
        i, j = np.triu_indices(points.shape[-2], 1)
        nearest = minimum_image(snapshots[:, i] - snapshots[:, j], self.box)
        self._check_apart(nearest, i, j)
        potential, forces = np.zeros(snapshots.shape[:2]), np.zeros(snapshots.shape)
        for u, f, value, slope in zip(potential, forces, *self.pair(nearest), strict=True):
            np.add.at(u, i, value / 2)
            np.add.at(u, j, value / 2)
            np.add.at(f, i, -slope)
            np.add.at(f, j, slope)
        return potential.reshape(points.shape[:-1]), forces.reshape(points.shape)
