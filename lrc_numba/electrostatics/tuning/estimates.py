r"""RMS errors of forces, as integrals over the force between two unit charges.

    ΔF² = strength · I        I = ∫ |Δf(r)|² d³r = (2π)^{−3} ∫ |Δf(k)|² d³k

for charges without correlations (``System`` has the strength). The terms are

    pairs beyond the cutoff    4π ∫_{r_c}^∞ r² v_SR′² dr                    (Kolafa, Perram 1992 for p = 1)
    the pairs' polynomial      4π ∫_0^{r_c} r² (P′ − v_LR′)² dr
    modes that are left out    (2π)^{−3} ∫ k² v̂² d³k outside the kept ones
    the mesh                   (2π)^{−3} ∫ v̂² Σ_a [2k² α₀ + 2 k·g_a α₁ + g_a² α₂] d³k

with α_l = Σ_{m≠0} m^l (ψ̂(κ_a + m)/ψ̂(κ_a))². All are integrated, as leading terms are off by factors for p > 1. The
last is the sum over aliases of Hockney and Eastwood, to first order, for forces that are the exact gradient: an alias m
of axis a is at k + m g_a, g_a = nodes_a b_a, and κ_a is k·a_a/(2π nodes_a). A charge also sees its own aliases, which
add up coherently:

    ΔF_self² = ⟨q⁴⟩ Σ_a 2 c_a² g_a²        c_a = (2π)^{−3} ∫ v̂ ψ̂(κ_a + 1)/ψ̂(κ_a) d³k

A prolate ends at its cutoff, so that it has no term of pairs; beyond the band its v̂ goes over into that of the jump of
its force at the cutoff, 4π ψ(1)/∫ψ · sin(kr_c)/(k³r_c), which the term of the modes has to infinity.

v̂ is that of infinite space also where the kernel is cut off: what cutting adds lies beyond the distance of all pairs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import pi

import numpy as np

from ..potentials import Potential, ProlateCoulombPotential

__all__ = [
    "ALIASES",
    "POWERS",
    "Spectrum",
    "axis_terms",
    "legendre",
    "marginals",
    "mesh_terms",
    "modes_term",
    "pairs_term",
    "polynomial_term",
]

FINE = 3000  # wavenumbers of a spectrum
LOWEST = 1e-40  # of v̂: where a Gaussian's spectrum ends
PAST = 40.0  # k r_c beyond twice the band, where a prolate's spectrum goes over into its law
ALIASES = np.array([-3, -2, -1, 1, 2, 3])
POWERS = np.stack([ALIASES**0, ALIASES, ALIASES**2])


@lru_cache(maxsize=64)
def legendre(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Gauss–Legendre nodes and weights on [−1, 1].

    Parameters
    ----------
    nodes : int
        How many.
    """
    return np.polynomial.legendre.leggauss(nodes)


def pairs_term(potential: Potential, cutoff: float) -> float:
    """4π ∫_{r_c}^∞ r² v_SR′² dr.

    Parameters
    ----------
    potential : Potential
        Divided.
    cutoff : float
        r_c, units of length.
    """
    if isinstance(potential, ProlateCoulombPotential):
        return 0.0 if cutoff >= potential.cutoff else np.inf
    # v_SR′² falls as e^{−r²/σ²}: from r_c on within σ²/r_c or σ.
    far = np.sqrt(cutoff**2 + 40 * potential.sigma**2) - cutoff
    t, weights = legendre(48)
    r = cutoff + far * (t + 1) / 2
    return float(4 * pi * (far / 2 * weights) @ (r**2 * (r * potential.short_range_slope(r)) ** 2))


def polynomial_term(potential: Potential, form) -> float:
    """4π ∫_0^{r_c} r² (P′ − v_LR′)² dr.

    Parameters
    ----------
    potential : Potential
        Divided.
    form : RadialForm
        What the loops over pairs take for v_SR.
    """
    t, weights = legendre(96)
    r = form.cutoff * (t + 1) / 2
    polynomial = np.polynomial.Polynomial(form.coefficients)
    slope = 4 * r / form.cutoff**2 * polynomial.deriv()(2 * (r / form.cutoff) ** 2 - 1)
    return float(4 * pi * (form.cutoff / 2 * weights) @ (r**2 * (slope - r * potential.long_range_slope(r)) ** 2))


@dataclass(frozen=True)
class Spectrum:
    """v̂ at wavenumbers, and integrals of it from k to infinity.

    Attributes
    ----------
    k : (K,) float64
        Inverse lengths, evenly spaced, from half a step on.
    values : (K,) float64
        v̂.
    edge : float
        v̂ k² → edge sin(k r_c)/k beyond the last k; 0 where it has fallen to nothing.
    """

    k: np.ndarray
    values: np.ndarray
    edge: float = 0.0

    @classmethod
    def of(cls, potential: Potential) -> Spectrum:
        """That of a potential.

        Parameters
        ----------
        potential : Potential
            Divided.
        """
        if isinstance(potential, ProlateCoulombPotential):
            return cls.of_prolate(potential.band).scaled(potential.cutoff, potential.prefactor)
        k = potential.highest_wavenumber(LOWEST) * (np.arange(FINE) + 0.5) / FINE
        return cls(k, potential.fourier(k**2))

    @classmethod
    def of_prolate(cls, band: float) -> Spectrum:
        """That of Coulomb's potential divided by a prolate with a cutoff of 1.

        Parameters
        ----------
        band : float
            c.
        """
        return _of_prolate(float(band))

    def scaled(self, length: float, prefactor: float) -> Spectrum:
        """That of Coulomb's potential with all lengths multiplied.

        Parameters
        ----------
        length, prefactor : float
            Factors of lengths and of v.
        """
        return Spectrum(self.k / length, self.values * length**2 * prefactor, self.edge * prefactor / length)

    @cached_property
    def _integrals(self) -> dict:
        step, integrals = self.k[1] - self.k[0], {}
        for power, square in ((1, True), (3, True), (4, True), (1, False)):
            part = self.k**power * (self.values**2 if square else self.values) * step
            # Half of sin² is left on average.
            tail = self.edge**2 / (2 * self.k[-1]) if power == 4 else 0.0
            integrals[power, square] = np.cumsum(part[::-1])[::-1] - part / 2 + tail
        return integrals

    def at(self, k: np.ndarray, power: int, square: bool = True) -> np.ndarray:
        """∫_k^∞ k′^power v̂² dk′, or of v̂ itself, of the shape of k.

        Parameters
        ----------
        k : array
            Inverse lengths.
        power : int
            1, 3 or 4 for v̂², 1 for v̂.
        square : bool
            Whether v̂ is squared.
        """
        integral = self._integrals[power, square]
        positive = np.maximum(integral, 1e-300) if square else integral
        values = np.interp(k, self.k, np.log(positive) if square else positive, right=np.log(1e-300) if square else 0.0)
        return np.exp(values) if square else values


@lru_cache(maxsize=256)
def _of_prolate(band: float) -> Spectrum:
    potential = ProlateCoulombPotential(1.0, band)
    k = (2 * band + PAST) * (np.arange(FINE) + 0.5) / FINE
    # χ → ψ(1)/∫ψ sin(k)/k
    return Spectrum(k, potential.fourier(k**2), 4 * pi * potential.edge * potential.value_at_r0)


def modes_term(spectrum: Spectrum, exits: np.ndarray) -> np.ndarray:
    """(2π)^{−3} ∫ k² v̂² d³k outside the kept modes.

    Parameters
    ----------
    spectrum : Spectrum
        v̂.
    exits : (..., D)
        k at which directions leave the region of the kept modes, see ``system.exits``.
    """
    return spectrum.at(exits, 4).mean(axis=-1) / (2 * pi**2)


def mesh_terms(
    spectrum: Spectrum,
    cell: np.ndarray,
    kept: tuple[int, ...],
    nodes: tuple[int, ...],
    transform: Callable[[np.ndarray], np.ndarray],
) -> tuple:
    """I of the mesh, and Σ_a 2 c_a² g_a² of the aliases that a charge sees of itself.

    Parameters
    ----------
    spectrum : Spectrum
        v̂.
    cell : (3, 3)
        Lattice vectors of the modes.
    kept : three ints
        K.
    nodes : three ints
        Of the mesh.
    transform : function
        ψ̂ of an array of cycles per node, also of several windows at once, in front; so are the results.
    """
    reciprocal = 2 * pi * np.linalg.inv(cell).T
    pairs = own = 0.0
    for a in range(3):
        step = 2 * pi / float(np.linalg.norm(cell[a]))
        n = np.arange(1, kept[a] + 1)
        k, kappa, g = n * step, n / nodes[a], nodes[a] * float(np.linalg.norm(reciprocal[a]))
        images = transform(kappa[:, None] + ALIASES) / transform(kappa)[..., None]
        alphas, single = (images**2) @ POWERS.T, images[..., 2] + images[..., 3]
        of_pairs, of_own = axis_terms(
            marginals(spectrum, k), k, np.full(len(n), step), (g, nodes[a] * step), alphas, single
        )
        pairs, own = pairs + of_pairs, own + of_own
    return pairs, own


def marginals(spectrum: Spectrum, k: np.ndarray) -> np.ndarray:
    """∫ d²k of v̂², k² v̂² and v̂ across an axis, (3, K).

    Parameters
    ----------
    spectrum : Spectrum
        v̂.
    k : (K,)
        Wavenumbers along it.
    """
    return 2 * pi * np.stack([spectrum.at(k, power, square) for power, square in ((1, True), (3, True), (1, False))])


def axis_terms(across: np.ndarray, k: np.ndarray, weights: np.ndarray, g, alphas: np.ndarray, single: np.ndarray):
    """What the aliases of one axis add to ``mesh_terms``, of one or more windows.

    Parameters
    ----------
    across : (3, K)
        ``marginals``.
    k, weights : (K,)
        Wavenumbers along the axis, all above zero, and what they stand for.
    g : two floats
        |g_a|, and its component along the axis.
    alphas : (..., K, 3)
        α₀, α₁ and α₂.
    single : (..., K)
        ψ̂(κ + 1)/ψ̂(κ) of κ and −κ together: m = −1 of n is m = 1 of −n.
    """
    terms = across[1] * 2 * alphas[..., 0] + across[0] * (2 * g[1] * k * alphas[..., 1] + g[0] ** 2 * alphas[..., 2])
    c = single @ (across[2] * weights) / (2 * pi) ** 3
    return 2 * (terms @ weights) / (2 * pi) ** 3, 2 * (c * g[0]) ** 2
