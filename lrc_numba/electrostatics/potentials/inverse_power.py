r"""v = prefactor/r^p, divided by an incomplete gamma function; p = 1 is Coulomb's.

With a = p/2, b = (3 − p)/2, x = r²/2σ², y = σ²k²/2:

    v_SR = Γ(a, x)/(Γ(a) r^p)      v_LR = γ(a, x)/(Γ(a) r^p)      v̂ = π^{3/2}/Γ(a) (2σ²)^b Γ(b, y) y^{−b}

k = 0: for p < 3 it diverges, and the background B = 2π^{3/2} (2σ²)^b/((3 − p) Γ(a)) is taken off; for p > 3 it is
−B and kept. For p = 3 energies of a charged cell grow with ln σ, so there is a length at which B = 4π ln(σ/length)
vanishes, and without one a net charge is an error.
"""

from __future__ import annotations

from math import gamma, inf, log, pi, sqrt
from typing import Self

import numpy as np
from scipy.special import gammaincc, gammainccinv

from ... import arguments
from .gamma import lower, upper
from .potential import Potential

__all__ = ["CoulombPotential", "InversePowerLawPotential"]


class InversePowerLawPotential(Potential):
    """v(r) = prefactor/r^p.

    Parameters
    ----------
    exponent : float
        p, above 0 and at most 6.
    smearing, prefactor
        As for ``Potential``.
    reference_length : float, optional
        For p = 3 with a net charge: where the background has no energy, units of length.
    exclusion_radius, exclusion_degree, exclusion_part
        As for ``Potential``.
    """

    def __init__(
        self,
        exponent: float,
        smearing: float | None = None,
        prefactor: float = 1.0,
        *,
        reference_length: float | None = None,
        exclusion_radius: float | None = None,
        exclusion_degree: int = 1,
        exclusion_part: str = "whole",
    ):
        super().__init__(
            smearing,
            prefactor,
            exclusion_radius=exclusion_radius,
            exclusion_degree=exclusion_degree,
            exclusion_part=exclusion_part,
        )
        self.exponent = arguments.as_positive("exponent", exponent, inf)
        if self.exponent > 6:
            raise ValueError(f"exponent: expected at most 6, got {exponent}")
        if reference_length is not None and self.exponent != 3:
            raise ValueError(f"reference_length: only an exponent of 3 has one, got exponent={exponent}")
        self.reference_length = (
            None if reference_length is None else arguments.as_positive("reference_length", reference_length, inf)
        )
        self._derived = False

    def __repr__(self) -> str:
        own = [f"exponent={self.exponent:g}", f"smearing={self.smearing}", f"prefactor={self.prefactor:g}"]
        length = self.reference_length
        return self._named(*own, *([] if length is None else [f"reference_length={length:g}"]))

    def powers(self) -> list[tuple[float, float]]:
        return [] if self._derived else [(self.exponent, self.prefactor)]

    # ------------------------------------------------------------------ in real space
    def _real(self, order: int, r) -> np.ndarray:
        """(d/ds)^order v_LR in s = r²."""
        a, doubled = self.exponent / 2, 2 * self.sigma**2
        x = np.square(np.asarray(r, dtype=np.float64)) / doubled
        return (-1) ** order * self.prefactor / gamma(a) * doubled ** (-a - order) * lower(a + order, x)

    def long_range(self, r) -> np.ndarray:
        if self._derived:  # σ ∂/∂σ of σ^{−p} g(r/σ)
            return -(self.exponent * self._real(0, r) + 2 * np.square(r) * self._real(1, r)) / self.sigma
        return self._real(0, r)

    def long_range_slope(self, r) -> np.ndarray:
        if self._derived:
            return -2 * ((self.exponent + 2) * self._real(1, r) + 2 * np.square(r) * self._real(2, r)) / self.sigma
        return 2 * self._real(1, r)

    def long_range_derivative(self, r, order: int) -> np.ndarray:
        if self._derived:
            raise NotImplementedError("derivatives by the smearing have no higher derivatives by the distance")
        return self._real(order, r)

    def short_range(self, r) -> np.ndarray:
        if self._derived:
            return -self.long_range(r)
        r = np.asarray(r, dtype=np.float64)
        return self.prefactor * gammaincc(self.exponent / 2, np.square(r) / (2 * self.sigma**2)) * r**-self.exponent

    # ------------------------------------------------------------------ in Fourier space
    @property
    def _b(self) -> float:
        return (3 - self.exponent) / 2

    def _scale(self) -> float:
        return self.prefactor * pi**1.5 / gamma(self.exponent / 2) * (2 * self.sigma**2) ** self._b

    def fourier(self, k2) -> np.ndarray:
        y = self.sigma**2 / 2 * np.asarray(k2, dtype=np.float64)
        if self._derived:  # σ ∂/∂σ of σ^{3−p} h(σk)
            return -2 * self._scale() * np.exp(-y) / self.sigma
        return self._scale() * upper(self._b, y)

    def fourier_slope(self, k2) -> np.ndarray:
        y = self.sigma**2 / 2 * np.asarray(k2, dtype=np.float64)
        if self._derived:
            return self._scale() * np.exp(-y) * self.sigma
        return -self._scale() * self.sigma**2 / 2 * (np.exp(-y) + self._b * upper(self._b, y)) / y

    def highest_wavenumber(self, tolerance: float) -> float:
        return sqrt(2 * log(1 / tolerance)) / self.sigma

    def reach(self, tolerance: float) -> float:
        return sqrt(2 * gammainccinv(self.exponent / 2, tolerance)) * self.sigma

    # ------------------------------------------------------------------ numbers
    @property
    def value_at_r0(self) -> float:
        a = self.exponent / 2
        value = self.prefactor / (gamma(a + 1) * (2 * self.sigma**2) ** a)
        return -self.exponent * value / self.sigma if self._derived else value

    @property
    def _integral(self) -> float:
        """∫ v_SR over space for p < 3; what stands for it beyond."""
        if self.exponent == 3 and self.reference_length is None:
            return 0.0  # there is no net charge then
        if self._derived:
            return 2 * self._scale() / self.sigma
        if self.reference_length is not None:
            return 4 * pi * self.prefactor * log(self.sigma / self.reference_length)
        return 2 * self._scale() / (3 - self.exponent)

    @property
    def value_at_k0(self) -> float:
        return -self._integral if self.exponent > 3 else 0.0

    @property
    def background(self) -> float:
        return 0.0 if self.exponent > 3 else self._integral

    def check_net_charge(self, net: np.ndarray) -> None:
        if self.exponent == 3 and self.reference_length is None and np.any(net):
            worst = np.ravel(net)[np.argmax(np.abs(net))]
            raise ValueError(
                f"charges: a net charge of {worst:g} has no energy with exponent=3; pass reference_length, the length "
                "at which its background has none"
            )

    def by_smearing(self) -> Self:
        other = self.with_smearing(self.sigma)
        other._derived = True
        return other


class CoulombPotential(InversePowerLawPotential):
    """v(r) = prefactor/r.

    Parameters
    ----------
    smearing, prefactor, exclusion_radius, exclusion_degree, exclusion_part
        As for ``Potential``.
    """

    def __init__(
        self,
        smearing: float | None = None,
        prefactor: float = 1.0,
        *,
        exclusion_radius: float | None = None,
        exclusion_degree: int = 1,
        exclusion_part: str = "whole",
    ):
        super().__init__(
            1.0,
            smearing,
            prefactor,
            exclusion_radius=exclusion_radius,
            exclusion_degree=exclusion_degree,
            exclusion_part=exclusion_part,
        )

    def __repr__(self) -> str:
        return self._named(f"smearing={self.smearing}", f"prefactor={self.prefactor:g}")

    def cloud(self, k2) -> np.ndarray:
        """χ: v̂ = 4π/k² χ(k), the transform of the charge that v_LR is the potential of."""
        k2 = np.asarray(k2, dtype=np.float64)
        return np.exp(-(self.sigma**2) / 2 * k2) * (-self.sigma * k2 if self._derived else 1.0)

    def cloud_slope(self, k2) -> np.ndarray:
        """dχ/d(k²)."""
        cloud = -(self.sigma**2) / 2 * self.cloud(k2)
        return cloud - self.sigma * np.exp(-(self.sigma**2) / 2 * np.asarray(k2)) if self._derived else cloud
