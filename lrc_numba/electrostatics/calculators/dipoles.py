r"""Point dipoles: a dipole is two opposite charges of one place, so it feels and makes derivatives of potentials.

    E = ½ Σ_ij −(μ_i·∇)(μ_j·∇) v(r_ij) = Σ_i μ_i·V_i        V_i = ½ ∂E/∂μ_i, and −2 V_i is the field

With B = −v_SR′/r and C = −B′/r a pair has the energy μ_i·μ_j B − (μ_i·r)(μ_j·r) C, and the modes have
v̂ |Σ μ·k e^{−ik·x}|²: that is the convolution of the three components of μ with the 3 × 3 multiplier v̂ k kᵀ, and all
else is as for charges.
The smoothed potential of a dipole at itself, −v_LR′/r at 0, is taken off. Around a sphere of cells there is a
conductor, or a medium of the permittivity ε′, which adds 2π M²/((2ε′ + 1)V) for Coulomb's potential, M = Σ μ.
"""

from __future__ import annotations

from math import inf, isinf, pi

import numpy as np

from ... import arguments
from ...geometry.modes import ModeSet
from ...geometry.neighbours import scatter_add
from ...geometry.structures import Structures
from ..boundaries import Boundary, LongRangeKernel
from ..pair_kernels import add_weighted
from ..pair_sum import APART, PairSum, strains_of_pairs
from ..potentials import CoulombPotential, Potential
from .calculator import Calculator
from .ewald import EwaldCalculator
from .mesh import MeshCalculator
from .result import Result

__all__ = ["DipoleEwaldCalculator", "DipoleKernel", "DipoleMeshCalculator"]


class DipoleKernel(LongRangeKernel):
    """φ̂ k kᵀ, from the components of dipoles to those of V.

    Parameters
    ----------
    potential, boundary
        As for ``LongRangeKernel``.
    """

    def state(self) -> tuple:
        return DipoleKernel, super().state()

    def values(self, modes: ModeSet) -> np.ndarray:
        k = modes.k.T
        return super().values(modes) * k[:, None] * k[None]

    def cell_vjp(self, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
        weights, k = np.real(cotangent), modes.k
        radial = super().cell_vjp(modes, np.einsum("abm,ma,mb->m", weights, k, k))
        # dk = −ε k of either k in k kᵀ.
        turned = -np.einsum("m,xbm,mb,my->xy", super().values(modes), weights + weights.swapaxes(0, 1), k, k)
        return radial + (turned + turned.T) / 2


class _Dipoles(Calculator):
    """What both calculators of dipoles have."""

    def __init__(self, potential: Potential, *settings, surface_epsilon: float = inf, **named):
        super().__init__(potential, *settings, **named)
        if not potential.has_radial_form or potential.exclusion is not None:
            raise ValueError(
                f"potential: dipoles need one with powers and without an exclusion_radius, got {potential!r}"
            )
        self.surface_epsilon = (
            inf if surface_epsilon == inf else arguments.as_positive("surface_epsilon", surface_epsilon, inf)
        )
        if not isinf(self.surface_epsilon) and not isinstance(potential, CoulombPotential):
            raise ValueError(f"surface_epsilon: only Coulomb's potential has a surface term, got {potential!r}")

    def _new_kernel(self, boundary: Boundary, plan) -> LongRangeKernel:
        return DipoleKernel(self.potential, boundary)

    def compute(  # type: ignore[override]
        self,
        positions,
        dipoles=None,
        cell=None,
        *,
        periodic=True,
        forces: bool = False,
        stress: bool = False,
        charge_gradient: bool = False,
    ) -> Result:
        """Potentials and energy of dipoles, and derivatives where they are wanted.

        Parameters
        ----------
        positions, cell, periodic, forces, stress
            As for ``Calculator.compute``; dipoles do not turn with a strain.
        dipoles : (N, 3) array
            μ, charge times length.
        charge_gradient : bool
            Whether ∂E/∂μ = 2 V is wanted: −∂E/∂μ is the field, and μ × that the torque.

        Returns
        -------
        Result
            ``potential`` is V, (N, 3), with E = Σ μ·V.

        Raises
        ------
        ValueError, TypeError, MemoryError
            Naming the argument, what came and what was expected.
        """
        return super().compute(
            positions, dipoles, cell, periodic=periodic, forces=forces, stress=stress, charge_gradient=charge_gradient
        )

    def _as_charges(self, structures: Structures, charges) -> np.ndarray:
        if charges is None:
            raise ValueError("dipoles: expected them for every point, got none")
        values = arguments.as_array("dipoles", charges, arguments.common_dtype(dipoles=charges))
        shape = (len(structures.positions), 3)
        if values.shape != shape:
            raise ValueError(f"dipoles: expected shape {shape}, as positions has, got {values.shape}")
        return values

    # ------------------------------------------------------------------ short range
    def _short_range(self, r: np.ndarray, order: int) -> np.ndarray:
        """The derivative of v_SR by r² of this order."""
        total = -self.potential.long_range_derivative(r, order)
        for p, strength in self.potential.powers():
            total += strength * np.prod(-0.5 * p - np.arange(order)) * r ** (-p - 2 * order)
        return np.where(r < self.cutoff, total, 0.0)

    def _sum_over_pairs(self, charges: np.ndarray, strain: bool, **where) -> PairSum:
        neighbours, mu = self.neighbours, charges.astype(np.float64)
        lists, count = neighbours.lists, len(charges)
        pairs = lists.pairs(*neighbours.moved(**where), np.float64)
        pairs.check_apart(APART * self.cutoff, name="positions")
        first, second, r = pairs.first, pairs.second, pairs.displacement
        v1, v2, v3 = (self._short_range(pairs.distance, order) for order in (1, 2, 3))
        b, c, d = -2 * v1, 4 * v2, 8 * v3  # B, C and C′/r
        of_first, of_second = (np.einsum("pa,pa->p", mu[ends], r) for ends in (first, second))
        potential, gradient = np.zeros((count, 3)), np.zeros((count, 3))
        add_weighted(first, second, b, mu, not lists.full, potential)
        ends = [(first, of_second)] if lists.full else [(first, of_second), (second, of_first)]
        for at, along in ends:
            for a in range(3):
                potential[:, a] -= np.bincount(at, c * along * r[:, a], minlength=count)
        product, both = np.einsum("pa,pa->p", mu[first], mu[second]), of_first * of_second
        pull = -(product * c + both * d)[:, None] * r
        pull -= (c * of_second)[:, None] * mu[first] + (c * of_first)[:, None] * mu[second]
        pull *= 0.5 if lists.full else 1.0  # full lists have every pair twice
        scatter_add(first, second, pull, gradient)
        return PairSum(potential, gradient, strains_of_pairs(lists, first, pull, r) if strain else None)

    # ------------------------------------------------------------------ all of it
    def _of_structure(
        self, structures: Structures, b: int, charges, near: PairSum, forces: bool, stress: bool
    ) -> tuple:
        some = slice(int(structures.offsets[b]), int(structures.offsets[b + 1]))
        mu = charges[some]
        if not len(mu):
            return np.zeros((0, 3)), 0.0, np.zeros((0, 3)), np.zeros((3, 3)), None
        far = self.long_range(structures.positions[some], structures.cell[b], structures.periodic[b])
        wrt = [name for name, wanted in (("points", forces), ("cell", stress)) if wanted]
        given = mu.astype(far.plan.dtype)
        modes = far.plan.vjp(given, far.kernel, given / 2, wrt=wrt)
        surface = self._surface(structures, b)
        total = mu.sum(axis=0, dtype=np.float64)
        own = float(self.potential.long_range_slope(0.0))  # −v_LR′/r at 0 is what a dipole does to itself
        twice = near.potential[some] + modes.output + own * mu + 2 * surface * total
        energy = 0.5 * float(np.sum(mu * twice, dtype=np.float64))
        moved = -(near.gradient[some] + modes.points) if forces else None
        strain = None
        if stress and near.strain is not None:
            strain = near.strain[b] + modes.cell - surface * float(total @ total) * np.eye(3)
        return 0.5 * twice, energy, moved, strain, far

    def _surface(self, structures: Structures, b: int) -> float:
        """2π/((2ε′ + 1)V), with the prefactor."""
        if isinf(self.surface_epsilon):
            return 0.0
        if not structures.periodic[b].all():
            raise ValueError(f"surface_epsilon: only what is periodic along all axes has a surface, got structure {b}")
        return 2 * pi * self.potential.prefactor / ((2 * self.surface_epsilon + 1) * float(structures.volume[b]))


class DipoleEwaldCalculator(_Dipoles, EwaldCalculator):
    """Ewald summation of point dipoles by explicit sums over modes.

    Parameters
    ----------
    potential, cutoff, k_cutoff, skin, threads
        As for ``EwaldCalculator``; the potential needs powers, and has no exclusion.
    surface_epsilon : float
        ε′ of the medium around; infinity is a conductor, and no term.
    """


class DipoleMeshCalculator(_Dipoles, MeshCalculator):
    """The same with convolutions on a mesh.

    Parameters
    ----------
    potential, cutoff, k_cutoff, eps, skin, dtype, threads
        As for ``MeshCalculator``; the potential needs powers, and has no exclusion.
    surface_epsilon : float
        As for ``DipoleEwaldCalculator``.
    """
