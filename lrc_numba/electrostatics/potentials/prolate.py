r"""Coulomb's potential divided by a prolate spheroidal wave function instead of a Gaussian.

Ewald summation with prolates (Liang, Lu, Barnett, Greengard, Jiang 2025): of all functions that vanish beyond a cutoff
r_c, ψ = ψ₀^c has the largest share of its transform below k = c/r_c, and its transform is itself:

    r v_LR = ∫₀^{r/r_c} ψ / ∫₀¹ ψ  for r ≤ r_c, 1 beyond       v̂ = 4π/k² χ(k),  χ = ∫₀¹ ψ(t) cos(k r_c t) dt / ∫₀¹ ψ

so v_SR is zero beyond r_c, without a tail, and the modes beyond c/r_c carry ψ(1)/ψ(0) of χ.
"""

from __future__ import annotations

from math import pi
from typing import Self

import numpy as np
from numpy.polynomial import legendre
from scipy.linalg import eigh_tridiagonal

from ... import arguments
from ..series import chebyshev_series
from .inverse_power import CoulombPotential

__all__ = ["ProlateCoulombPotential"]

_POINTS = 120  # of the series in r² and in k²
_FAR = 4.0  # χ is a series up to this multiple of (c/r_c)²
ROUNDING = 1e-12  # of r_c
_NODES = 160  # of quadratures over [0, 1]
_FLATTEST, _STEEPEST = 2.0, 45.0  # c: beyond that ψ(1) is far below rounding


class ProlateCoulombPotential(CoulombPotential):
    """v(r) = prefactor/r, whose part of short range ends at a cutoff.

    Parameters
    ----------
    cutoff : float
        r_c, units of length.
    band : float
        c = k r_c of the highest mode needed, between 2 and 45; errors are about ψ₀^c(1)/ψ₀^c(0), 1e-5 at 12.
    prefactor, exclusion_radius, exclusion_degree, exclusion_part
        As for ``Potential``.
    """

    def __init__(
        self,
        cutoff: float,
        band: float,
        prefactor: float = 1.0,
        *,
        exclusion_radius: float | None = None,
        exclusion_degree: int = 1,
        exclusion_part: str = "whole",
    ):
        super().__init__(
            None,
            prefactor,
            exclusion_radius=exclusion_radius,
            exclusion_degree=exclusion_degree,
            exclusion_part=exclusion_part,
        )
        self.cutoff = arguments.as_positive("cutoff", cutoff, np.inf)
        self.band = arguments.as_positive("band", band, np.inf)
        if not _FLATTEST <= self.band <= _STEEPEST:
            raise ValueError(f"band: expected between {_FLATTEST:g} and {_STEEPEST:g}, got {band}")
        wave = _prolate(self.band)
        t, weights = np.polynomial.legendre.leggauss(_NODES)
        self._t, weights = (t + 1) / 2, weights / 2
        psi = legendre.legval(self._t, wave)
        self._integral_of_psi = float(weights @ psi)
        self._weights = weights * psi / self._integral_of_psi
        # x² = r²/r_c² up to 1, k² up to _FAR (c/r_c)²: both parts are smooth functions of these.
        self._in_r2 = chebyshev_series(
            lambda s: legendre.legval(np.sqrt(s)[:, None] * self._t, wave) @ weights / self._integral_of_psi,
            0,
            1,
            _POINTS,
        )
        self._in_k2 = chebyshev_series(lambda s: self._cosines(np.sqrt(s) * self.band), 0, _FAR, _POINTS)
        self._spread = -float(self.cloud_slope(np.zeros(1))[0])  # a sixth of ⟨r²⟩ of the smeared charge
        self.edge = float(legendre.legval(1.0, wave))  # ψ(1)/ψ(0)

    def __repr__(self) -> str:
        return self._named(f"cutoff={self.cutoff:g}", f"band={self.band:g}", f"prefactor={self.prefactor:g}")

    def _cosines(self, kr: np.ndarray) -> np.ndarray:
        """χ by its integral, for an array of k r_c."""
        return np.cos(kr[..., None] * self._t) @ self._weights

    # ------------------------------------------------------------------ in real space
    def long_range(self, r) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        far = r > self.cutoff
        inside = self._in_r2(np.where(far, 1.0, r / self.cutoff) ** 2) / self.cutoff
        return self.prefactor * np.where(far, 1 / np.where(far, r, 1.0), inside)

    def long_range_slope(self, r) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        far = r > self.cutoff
        inside = 2 * self._in_r2.deriv()(np.where(far, 1.0, r / self.cutoff) ** 2) / self.cutoff**3
        return self.prefactor * np.where(far, -1 / np.where(far, r, 1.0) ** 3, inside)

    def long_range_derivative(self, r, order: int) -> np.ndarray:
        r = np.asarray(r, dtype=np.float64)
        far = r > self.cutoff
        inside = self._in_r2.deriv(order)(np.where(far, 1.0, r / self.cutoff) ** 2) / self.cutoff ** (2 * order + 1)
        falling = float(np.prod(-0.5 - np.arange(order)))
        beyond = falling * np.where(far, r, 1.0) ** (-1 - 2 * order)
        return self.prefactor * np.where(far, beyond, inside)

    def short_range(self, r) -> np.ndarray:
        return np.where(np.asarray(r) < self.cutoff, self.bare(r) - self.long_range(r), 0.0)

    # ------------------------------------------------------------------ in Fourier space
    def cloud(self, k2) -> np.ndarray:
        k2 = np.asarray(k2, dtype=np.float64)
        s = k2 * (self.cutoff / self.band) ** 2
        far = s > _FAR
        values = self._in_k2(np.where(far, 1.0, s))
        if far.any():
            values[far] = self._cosines(np.sqrt(k2[far]) * self.cutoff)
        return values

    def cloud_slope(self, k2) -> np.ndarray:
        k2 = np.asarray(k2, dtype=np.float64)
        unit = (self.cutoff / self.band) ** 2
        far = k2 * unit > _FAR
        values = self._in_k2.deriv()(np.where(far, 1.0, k2 * unit)) * unit
        if far.any():
            kr = np.sqrt(k2[far]) * self.cutoff
            values[far] = -(self.cutoff**2) / (2 * kr) * (np.sin(kr[:, None] * self._t) @ (self._weights * self._t))
        return values

    def fourier(self, k2) -> np.ndarray:
        k2 = np.asarray(k2, dtype=np.float64)
        return 4 * pi * self.prefactor * self.cloud(k2) / k2

    def fourier_slope(self, k2) -> np.ndarray:
        k2 = np.asarray(k2, dtype=np.float64)
        return 4 * pi * self.prefactor * (self.cloud_slope(k2) - self.cloud(k2) / k2) / k2

    def highest_wavenumber(self, tolerance: float) -> float:
        return self.band / self.cutoff

    def reach(self, tolerance: float) -> float:
        return self.cutoff

    def check_cutoff(self, cutoff: float) -> None:
        if cutoff < self.cutoff * (1 - ROUNDING) and (self.exclusion is None or self.exclusion.part != "long_range"):
            raise ValueError(
                f"cutoff: the part of short range of {self!r} ends at {self.cutoff:g}, got {cutoff:g}, which leaves "
                f"pairs out; pass {self.cutoff:g}, or a prolate with your cutoff"
            )

    # ------------------------------------------------------------------ numbers
    @property
    def value_at_r0(self) -> float:
        return self.prefactor / (self._integral_of_psi * self.cutoff)

    @property
    def background(self) -> float:
        # v̂ of the whole potential less that of v_LR, 4π (1 − χ)/k², at k = 0.
        return 4 * pi * self.prefactor * self._spread

    def with_smearing(self, smearing: float) -> Self:
        raise ValueError("smearing: a prolate splitting has a cutoff and a band instead")

    def by_smearing(self) -> Self:
        raise NotImplementedError("smearing: a prolate splitting has none, so there is no derivative by it")


def _prolate(band: float) -> np.ndarray:
    """Legendre coefficients of ψ₀^c on [−1, 1], 1 at 0: the ground state of the operator that commutes with it."""
    count = int(40 + 1.2 * band)
    n = 2.0 * np.arange(count)
    diagonal = n * (n + 1) + band**2 * (2 * n * (n + 1) - 1) / ((2 * n + 3) * (2 * n - 1))
    beside = band**2 * (n + 2) * (n + 1) / ((2 * n + 3) * np.sqrt((2 * n + 1) * (2 * n + 5)))
    _, vectors = eigh_tridiagonal(diagonal, beside[:-1], select="i", select_range=(0, 0))
    coefficients = np.zeros(2 * count)
    coefficients[::2] = vectors[:, 0] * np.sqrt(n + 0.5)
    return coefficients / legendre.legval(0.0, coefficients)
