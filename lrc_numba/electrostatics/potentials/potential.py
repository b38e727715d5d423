r"""What calculators ask of a potential: the bare v(r), and its parts of short and of long range.

    v = v_SR + v_LR,   v̂(k) = ∫ v_LR e^{−ik·x} dx

v_LR is smooth, so the sum of its images is one over few modes; v_SR falls off as fast as a Gaussian. What the smoothed
potential does to a charge itself, v_LR(0), is taken off again, and so is the uniform background of charged cells:

    V_i = ½ [ Σ′ q_j v_SR(r_ij) + (1/V) Σ_k v̂(k) S(k) e^{ik·r_i} − q_i v_LR(0) − B Q/V ],   E = Σ q_i V_i

(eqs 8–13 of Loche et al. 2025, J. Chem. Phys. 162, 142501, with k = 0 kept where it converges). With a length that all
lengths are measured in, every part is a power of it times a function, which gives the derivatives by the smearing.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from copy import copy
from typing import Self

import numpy as np
from numpy.polynomial import Chebyshev

from ... import arguments
from ..exclusion import Exclusion

__all__ = ["Potential"]


class Potential(ABC):
    """Base class of the potentials.

    Parameters
    ----------
    smearing : float, optional
        σ, where short and long range meet, units of length; ``tune`` finds one.
    prefactor : float
        Factor of the potential, that of the units: 1 for charges in e and energies in e²/length.
    exclusion_radius : float, optional
        R of an exterior feature: within it charges are left out smoothly, units of length. The pairs that calculators
        look for go up to it.
    exclusion_degree : int
        n: the factor is ((1 − cos πr/R)/2)ⁿ.
    exclusion_part : {"whole", "long_range"}
        Whether the factor is that of v, or of v_LR alone, without v_SR; the latter depends on the smearing.

    Attributes
    ----------
    exclusion : Exclusion or None
        These three.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
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
        self.smearing = None if smearing is None else arguments.as_positive("smearing", smearing, np.inf)
        self.prefactor = arguments.as_real("prefactor", prefactor)
        self.exclusion = Exclusion.of(exclusion_radius, exclusion_degree, exclusion_part)

    def _named(self, *settings: str) -> str:
        """What ``repr`` says: the class with its settings, the exclusion last."""
        exclusion = [] if self.exclusion is None else [self.exclusion.settings()]
        return f"{type(self).__name__}({', '.join([*settings, *exclusion])})"

    def with_smearing(self, smearing: float) -> Self:
        """The same potential, divided at another σ.

        Parameters
        ----------
        smearing : float
            σ, units of length.
        """
        other = copy(self)
        other.smearing = arguments.as_positive("smearing", smearing, np.inf)
        return other

    @property
    def sigma(self) -> float:
        """σ; a ValueError where there is none."""
        if self.smearing is None:
            raise ValueError(f"smearing: {type(self).__name__} has none, so it has no parts; pass one, or use tune")
        return self.smearing

    # ------------------------------------------------------------------ in real space
    has_radial_form = True
    """Whether v is the sum of ``powers`` and v_LR a smooth function of r², as fast loops over pairs need it."""

    @abstractmethod
    def powers(self) -> list[tuple[float, float]]:
        """(p, strength) of the terms strength/r^p that v is the sum of; empty where v is smooth at r = 0."""

    @abstractmethod
    def long_range(self, r) -> np.ndarray:
        """v_LR(r), of the shape of r ≥ 0."""

    @abstractmethod
    def long_range_slope(self, r) -> np.ndarray:
        """v_LR′(r)/r, which is finite at r = 0."""

    def bare(self, r) -> np.ndarray:
        """v(r), of the shape of r > 0."""
        r = np.asarray(r, dtype=np.float64)
        return sum((strength * r**-p for p, strength in self.powers()), np.zeros(r.shape))

    def bare_slope(self, r) -> np.ndarray:
        """v′(r)/r."""
        r = np.asarray(r, dtype=np.float64)
        return sum((-p * strength * r ** (-p - 2) for p, strength in self.powers()), np.zeros(r.shape))

    def short_range(self, r) -> np.ndarray:
        """v_SR(r) = v − v_LR."""
        return self.bare(r) - self.long_range(r)

    def short_range_slope(self, r) -> np.ndarray:
        """v_SR′(r)/r."""
        return self.bare_slope(r) - self.long_range_slope(r)

    def long_range_derivative(self, r, order: int) -> np.ndarray:
        """The derivative of v_LR by r² of this order, up to the third, as dipoles need it.

        Parameters
        ----------
        r : array_like
            Units of length.
        order : int
            0 for v_LR itself.
        """
        raise NotImplementedError(f"{type(self).__name__} has no higher derivatives of its part of long range")

    def pair_reach(self, cutoff: float) -> float:
        """Up to which distance pairs are needed where v_SR is cut off at ``cutoff``, units of length."""
        if self.exclusion is None:
            return cutoff
        return self.exclusion.radius if self.exclusion.part == "long_range" else max(cutoff, self.exclusion.radius)

    # ------------------------------------------------------------------ in Fourier space
    @abstractmethod
    def fourier(self, k2) -> np.ndarray:
        """v̂ for an array of k² > 0."""

    @abstractmethod
    def fourier_slope(self, k2) -> np.ndarray:
        """dv̂/d(k²)."""

    @abstractmethod
    def highest_wavenumber(self, tolerance: float) -> float:
        """k from which on v̂ k² is below ``tolerance`` of what it is at k = 0, inverse length.

        Parameters
        ----------
        tolerance : float
            Below 1.
        """

    @abstractmethod
    def reach(self, tolerance: float) -> float:
        """r from which on v_SR is below ``tolerance`` of v, units of length.

        Parameters
        ----------
        tolerance : float
            Below 1.
        """

    # ------------------------------------------------------------------ numbers
    @property
    @abstractmethod
    def value_at_r0(self) -> float:
        """v_LR(0)."""

    @property
    @abstractmethod
    def value_at_k0(self) -> float:
        """v̂(0) where it is kept; 0 where it diverges and a background takes its place."""

    @property
    @abstractmethod
    def background(self) -> float:
        """B: a charged cell has B Q/V taken off its potentials; 0 where k = 0 is kept."""

    def check_cutoff(self, cutoff: float) -> None:  # noqa: B027 - most potentials are cut short anywhere
        """A ValueError where v_SR must not be cut off there.

        Parameters
        ----------
        cutoff : float
            Of the pairs, units of length.
        """

    def check_net_charge(self, net: np.ndarray) -> None:  # noqa: B027 - most potentials have nothing against any
        """Raise where the sums of this potential do not exist for such net charges.

        Parameters
        ----------
        net : array
            Q of every structure and channel.
        """

    # ------------------------------------------------------------------ by the parameters
    @property
    def parameters(self) -> dict[str, np.ndarray]:
        """What can be learned, by name: copies of shape (), or (M,) for the weights of M potentials."""
        values = {"prefactor": np.array(self.prefactor)}
        return values if self.smearing is None else values | {"smearing": np.array(self.smearing)}

    def set_parameters(self, values: Mapping[str, np.ndarray]) -> None:
        """Write some of the parameters, in place.

        Parameters
        ----------
        values : mapping of str to array
            By name, of the shapes that ``parameters`` has.

        Raises
        ------
        ValueError, TypeError
            Naming a parameter that there is not, or what is wrong with its value.
        """
        shapes = {name: value.shape for name, value in self.parameters.items()}
        for name, value in values.items():
            if name not in shapes:
                raise ValueError(f"{name}: expected one of {', '.join(shapes)}, the parameters of {self!r}")
            if np.shape(value) != shapes[name]:
                raise ValueError(f"{name}: expected shape {shapes[name]}, got {np.shape(value)}")
            self._set(name, np.asarray(value, dtype=np.float64))

    def _set(self, name: str, value: np.ndarray) -> None:
        """Write one of them."""
        if name == "smearing":
            self.smearing = arguments.as_positive("smearing", float(value), np.inf)
        else:
            self.prefactor = arguments.as_real("prefactor", float(value))

    def derivatives(self, name: str) -> list[Self]:
        """Potentials whose parts are the derivatives by each number of a parameter: v is linear in all but σ.

        Parameters
        ----------
        name : str
            Of ``parameters``.
        """
        if name == "smearing":
            return [self.by_smearing()]
        if name != "prefactor":
            raise ValueError(f"name: expected one of {', '.join(self.parameters)}, got {name!r}")
        other = copy(self)
        other.prefactor = 1.0
        return [other]

    @abstractmethod
    def by_smearing(self) -> Self:
        """A potential whose parts of long range are those of ∂v_LR/∂σ, and those of short range −∂v_LR/∂σ."""

    def key(self) -> tuple:
        """All that values depend on, to tell whether tables of them are still good."""
        own = [(name, value if type(value) in _NUMBERS else _told_apart(value)) for name, value in vars(self).items()]
        return type(self), tuple(own)


_NUMBERS = frozenset({float, int, bool, type(None)})


def _told_apart(value):
    """What can be compared and hashed: bytes of arrays, of series, and the keys of other potentials."""
    if isinstance(value, np.ndarray):
        return value.tobytes()
    if isinstance(value, Chebyshev):
        return value.coef.tobytes()
    return value.key() if isinstance(value, Potential) else value
