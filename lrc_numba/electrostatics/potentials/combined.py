"""Weighted sums of potentials, such as a/r + b/r² + c/r⁶ with weights that are learned."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from typing import Self

import numpy as np

from ... import arguments
from .potential import Potential

__all__ = ["CombinedPotential"]


class CombinedPotential(Potential):
    """v = Σ_m w_m v_m, all divided at the same smearing.

    Parameters
    ----------
    potentials : sequence of Potential
        v_m; their own smearings are not looked at where ``smearing`` is given.
    weights : (M,) array_like, optional
        w_m; ones by default.
    smearing, prefactor
        As for ``Potential``; without a smearing that of the first potential.
    exclusion_radius, exclusion_degree, exclusion_part
        As for ``Potential``, of the sum; the potentials themselves have none.

    Attributes
    ----------
    weights : (M,) float64
        They may be written to.
    """

    def __init__(
        self,
        potentials: Sequence[Potential],
        weights=None,
        smearing: float | None = None,
        prefactor: float = 1.0,
        *,
        exclusion_radius: float | None = None,
        exclusion_degree: int = 1,
        exclusion_part: str = "whole",
    ):
        potentials = list(potentials)
        if not potentials or not all(isinstance(potential, Potential) for potential in potentials):
            raise TypeError(f"potentials: expected one or more of them, got {potentials!r}")
        smearing = potentials[0].smearing if smearing is None else smearing
        super().__init__(
            smearing,
            prefactor,
            exclusion_radius=exclusion_radius,
            exclusion_degree=exclusion_degree,
            exclusion_part=exclusion_part,
        )
        if any(potential.exclusion is not None for potential in potentials):
            raise ValueError("potentials: expected none with an exclusion_radius; pass that of the sum instead")
        self.potentials = potentials if smearing is None else [v.with_smearing(smearing) for v in potentials]
        given = np.ones(len(potentials)) if weights is None else weights
        self.weights = arguments.as_array("weights", given, np.dtype(np.float64)).copy()
        if self.weights.shape != (len(potentials),):
            raise ValueError(f"weights: expected shape ({len(potentials)},), got {self.weights.shape}")

    def __repr__(self) -> str:
        terms = ", ".join(f"{w:g} * {v!r}" for w, v in zip(self.weights, self.potentials, strict=True))
        return self._named(terms, f"prefactor={self.prefactor:g}")

    def _sum(self, part):
        """Σ_m of a part of every potential, each times its weight."""
        pairs = zip(self.weights, self.potentials, strict=True)
        return self.prefactor * sum(w * part(potential) for w, potential in pairs)

    def with_smearing(self, smearing: float) -> Self:
        other = super().with_smearing(smearing)
        other.potentials = [potential.with_smearing(smearing) for potential in self.potentials]
        return other

    @property
    def has_radial_form(self) -> bool:  # type: ignore[override]
        return all(potential.has_radial_form for potential in self.potentials)

    def powers(self) -> list[tuple[float, float]]:
        terms: dict[float, float] = {}
        for weight, potential in zip(self.weights, self.potentials, strict=True):
            for p, strength in potential.powers():
                terms[p] = terms.get(p, 0.0) + self.prefactor * weight * strength
        return sorted(terms.items())

    def bare(self, r) -> np.ndarray:
        return self._sum(lambda v: v.bare(r))

    def bare_slope(self, r) -> np.ndarray:
        return self._sum(lambda v: v.bare_slope(r))

    def long_range(self, r) -> np.ndarray:
        return self._sum(lambda v: v.long_range(r))

    def long_range_slope(self, r) -> np.ndarray:
        return self._sum(lambda v: v.long_range_slope(r))

    def long_range_derivative(self, r, order: int) -> np.ndarray:
        return self._sum(lambda v: v.long_range_derivative(r, order))

    def short_range(self, r) -> np.ndarray:
        return self._sum(lambda v: v.short_range(r))

    def short_range_slope(self, r) -> np.ndarray:
        return self._sum(lambda v: v.short_range_slope(r))

    def fourier(self, k2) -> np.ndarray:
        return self._sum(lambda v: v.fourier(k2))

    def fourier_slope(self, k2) -> np.ndarray:
        return self._sum(lambda v: v.fourier_slope(k2))

    def highest_wavenumber(self, tolerance: float) -> float:
        return max(potential.highest_wavenumber(tolerance) for potential in self.potentials)

    def reach(self, tolerance: float) -> float:
        return max(potential.reach(tolerance) for potential in self.potentials)

    @property
    def value_at_r0(self) -> float:
        return self._sum(lambda v: v.value_at_r0)

    @property
    def value_at_k0(self) -> float:
        return self._sum(lambda v: v.value_at_k0)

    @property
    def background(self) -> float:
        return self._sum(lambda v: v.background)

    def key(self) -> tuple:
        return *super().key(), *(potential.key() for potential in self.potentials)

    def check_net_charge(self, net: np.ndarray) -> None:
        for potential in self.potentials:
            potential.check_net_charge(net)

    @property
    def parameters(self) -> dict[str, np.ndarray]:
        return super().parameters | {"weights": self.weights.copy()}

    def _set(self, name: str, value: np.ndarray) -> None:
        if name == "weights":
            self.weights = arguments.as_array("weights", value, np.dtype(np.float64)).copy()
            return
        super()._set(name, value)
        if name == "smearing":
            self.potentials = [potential.with_smearing(self.sigma) for potential in self.potentials]

    def derivatives(self, name: str) -> list[Self]:
        if name != "weights":
            return super().derivatives(name)
        several = []
        for weights in np.eye(len(self.weights)):
            several.append(copy(self))
            several[-1].weights = weights
        return several

    def by_smearing(self) -> Self:
        other = super().with_smearing(self.sigma)
        other.potentials = [potential.by_smearing() for potential in self.potentials]
        return other
