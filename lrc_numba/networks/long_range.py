r"""Trainable long-range kernels whose Fourier series ends smoothly, in any cell and without one.

    screened Coulomb   φ̂^c(k) = 4πβ_c/(k² + λ_c²) e^{−k²τ²/2}      for k ≠ 0, φ̂(0) = 0
    Coulomb            φ̂(k) = 4π/k² e^{−k²σ²/2}                    the same
                       φ̂(k) = 4π c_d(kR)/k² e^{−k²σ²/2}            of structures without periodic images

The last one is Green's function of the Laplacian in d dimensions, smeared, cut off at R (Vico, Greengard, Ferrando
2016): exact where no two points are further apart than R less some σ, in a cell of volume V in which their images are
further away than R and some σ.

    d   kernel    c_d(t)      φ̂(0)              at R the kernel is zero; so that it does not depend on R
    3   1/r       1 − cos t   2πR²
    2   −2 ln r   1 − J₀(t)   πR² − 2V ln R     2 ln R is taken off everywhere
    1   −2π|x|    1 − cos t   2πR² − 2πR V      2πR is taken off

A series that just stopped at its last mode, where 4πβ/k² is not small, would ring: in the forces by two per cent with
501 modes in one dimension, at a wavelength that no short-range network can correct. So it ends with a Gaussian, which
is a length τ of the kernel, whatever the cell: the modes are those up to ``end`` standard deviations of it.

The mode k = 0 only adds a constant to u, which the first biases of what reads u hold as well; left in, that constant,
4πβN/λ²V, would move at every step that λ learns.
"""

from __future__ import annotations

from math import inf, log, pi

import numpy as np
from scipy.special import erf, exp1, gamma, gammainc, j0

from ..geometry.modes import ModeSet
from ..multipliers.multiplier import Multiplier
from ..multipliers.radial import Yukawa
from .layers.parameters import Parameters

__all__ = ["TAPER", "CoulombKernel", "SmearedCoulomb", "TaperedYukawa", "YukawaChannels"]

STEP = 1.1  # from one width for which a series is made to the next
TAPER = 3.5  # standard deviations of the Gaussian at the end of the series of a full-range network


class TaperedYukawa(Yukawa):
    """A ``Yukawa`` whose field has no mean and does not ring.

    Parameters
    ----------
    beta, lam : array_like
        As for ``Yukawa``.
    tau : float
        Length of the Gaussian, τ.
    """

    def __init__(self, beta=1.0, lam=1.0, tau: float = 0.0):
        super().__init__(beta, lam)
        self.tau = float(tau)

    def state(self) -> tuple:
        own = tuple((name, value.tobytes()) for name, value in self._parameters.items())
        return TaperedYukawa, self.tau, own

    def _taper(self, modes: ModeSet) -> np.ndarray:
        """The Gaussian, 0 at k = 0."""
        return np.exp(-0.5 * self.tau**2 * modes.k2) * (modes.k2 > 0)

    def values(self, modes: ModeSet) -> np.ndarray:
        return super().values(modes) * self._taper(modes)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        taper = self._taper(modes)
        return {name: slope * taper for name, slope in super().derivatives(modes).items()}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        taper = self._taper(modes)
        return (super().k2_derivative(modes) - self.tau**2 / 2 * super().values(modes)) * taper

    def k2_derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        """∂²φ̂/∂θ∂(k²) by name, for gradients of stresses.

        Parameters
        ----------
        modes : ModeSet
            The modes.
        """
        beta, lam = self.columns()
        below, taper = modes.k2 + lam**2, self._taper(modes)
        of_beta = -4 * pi / below**2 - self.tau**2 / 2 * 4 * pi / below
        of_lam = 16 * pi * beta * lam / below**3 + self.tau**2 / 2 * 8 * pi * beta * lam / below**2
        return {"beta": of_beta * taper, "lam": of_lam * taper}


class YukawaChannels:
    """Where a convolution finds the β and λ of its channels among the parameters of a network.

    Parameters
    ----------
    lam : tuple of float
        Start values λ, one for each channel; β starts at 1.
    tau : float
        Length of the Gaussian, τ.
    prefix : str
        Of the names of the parameters.
    """

    sigma = None  # it needs periodic images

    def __init__(self, lam: tuple[float, ...], tau: float, prefix: str = ""):
        self.lam, self.tau = lam, tau
        self.names = {"beta": f"{prefix}beta", "lam": f"{prefix}lam"}
        self._kept: tuple | None = None

    def stretch(self, _: Parameters) -> float:
        """1, as τ is not learned."""
        return 1.0

    widening = stretch

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {name: (len(self.lam),) for name in self.names.values()}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        """β = 1 and λ as given.

        Parameters
        ----------
        parameters : Parameters
            Written.
        generator : Generator
            Not used.
        """
        parameters[self.names["lam"]][...] = self.lam
        parameters[self.names["beta"]][...] = 1.0

    def multiplier(self, parameters: Parameters, radius: float | None = None) -> TaperedYukawa:
        """φ̂ with the present parameters.

        Parameters
        ----------
        parameters : Parameters
            Read.
        radius : float, optional
            Not for these kernels: they need periodic images.
        """
        if radius is not None:
            raise ValueError(
                "periodic: a screened kernel of a network needs structures that are periodic along all axes"
            )
        values = {name: np.array(parameters[own], dtype=np.float64) for name, own in self.names.items()}
        key = tuple(value.tobytes() for value in values.values())
        if self._kept is None or self._kept[0] != key:  # the same object while nothing changed: plans keep its table
            self._kept = (key, TaperedYukawa(**values, tau=self.tau))
        return self._kept[1]


class SmearedCoulomb(Multiplier):
    """The Coulomb kernel of Gaussian charges in d dimensions, erf(r/√2σ)/r in three.

    Parameters
    ----------
    sigma : float
        Width σ > 0.
    radius : float, optional
        R, at which it is cut off, for structures without periodic images; by default it is periodic, without k = 0.
    strength : float
        What it is multiplied with.
    """

    def __init__(self, sigma=1.0, radius: float | None = None, strength: float = 1.0):
        super().__init__(sigma=sigma)
        self.radius, self.strength = None if radius is None else float(radius), float(strength)

    def _check(self) -> None:
        self._check_positive("sigma")

    def state(self) -> tuple:
        return SmearedCoulomb, self.radius, self.strength, self._parameters["sigma"].tobytes()

    def _bare(self, modes: ModeSet) -> np.ndarray:
        """φ̂ k² without the Gaussian, 0 at k = 0."""
        if self.radius is None:
            return 4 * pi * self.strength * (modes.k2 > 0)
        wave = j0 if modes.cell.dim == 2 else np.cos
        return 4 * pi * self.strength * (1 - wave(modes.norm * self.radius))

    def _at_k0(self, modes: ModeSet) -> float:
        """φ̂(0): the integral of the kernel up to R, less what it would be at R without the cut-off."""
        r, volume = self.radius, modes.cell.volume
        if r is None:
            return 0.0
        whole = {1: 2 * pi * r * (r - volume), 2: pi * r**2 - 2 * volume * log(r), 3: 2 * pi * r**2}[modes.cell.dim]
        return self.strength * whole

    def values(self, modes: ModeSet) -> np.ndarray:
        (sigma,) = self.columns()
        bare = np.where(modes.k2 > 0, self._bare(modes) / np.where(modes.k2 > 0, modes.k2, 1.0), self._at_k0(modes))
        return bare * np.exp(-0.5 * sigma**2 * modes.k2)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        (sigma,) = self.columns()
        return {"sigma": -sigma * self._bare(modes) * np.exp(-0.5 * sigma**2 * modes.k2)}

    def k2_derivative(self, modes: ModeSet) -> np.ndarray:
        (sigma,) = self.columns()
        self._check_cells()
        k2 = np.where(modes.k2 > 0, modes.k2, 1.0)
        return -(1 / k2 + sigma**2 / 2) * self.values(modes)

    def k2_derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        """∂²φ̂/∂σ∂(k²), for gradients of stresses.

        Parameters
        ----------
        modes : ModeSet
            The modes.
        """
        (sigma,) = self.columns()
        self._check_cells()
        return {"sigma": sigma**3 / 2 * self._bare(modes) * np.exp(-0.5 * sigma**2 * modes.k2)}

    def free(self, r2: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
        """φ(r) without images and without a cut-off, and φ′(r)/r: the charge within r, by Gauss' law.

        Parameters
        ----------
        r2 : array
            Squares of distances.
        dim : int
            d.
        """
        sigma = float(self._parameters["sigma"])
        s, inside = r2 / (2 * sigma**2), r2 > 0
        r = np.sqrt(np.where(inside, r2, 1.0))
        slopes = np.where(inside, gammainc(dim / 2, s) / r**dim, (2 * sigma**2) ** (-dim / 2) / gamma(dim / 2 + 1))
        if dim == 1:
            values = -2 * pi * (r * erf(np.sqrt(s)) * inside + sigma * np.sqrt(2 / pi) * np.exp(-s))
        elif dim == 2:
            apart = np.where(inside, s, 1.0)
            values = np.where(inside, -2 * np.log(r) - exp1(apart), np.euler_gamma - log(2 * sigma**2))
        else:
            values = np.where(inside, erf(np.sqrt(s)) / r, np.sqrt(2 / pi) / sigma)
        return self.strength * values, -(2 * pi, 2.0, 1.0)[dim - 1] * self.strength * slopes

    def free_derivatives(self, r2: np.ndarray, dim: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What ``free`` returns, differentiated by σ: a Gaussian.

        Parameters
        ----------
        r2, dim
            As for ``free``.
        """
        sigma = float(self._parameters["sigma"])
        width = 4 * pi * self.strength * sigma * (2 * pi * sigma**2) ** (-dim / 2)
        values = -width * np.exp(-r2 / (2 * sigma**2))
        return {"sigma": (values, -values / sigma**2)}

    def _check_cells(self) -> None:
        if self.radius is not None:
            raise NotImplementedError("SmearedCoulomb: a kernel that is cut off has no derivative by the cell")


class CoulombKernel:
    """Where a convolution finds the width of its Coulomb kernel.

    Parameters
    ----------
    sigma : float
        Width σ, or the one it starts with.
    prefix : str
        Of the name of the parameter.
    trainable : bool
        Whether σ is a parameter.
    strength : float
        What the kernel is multiplied with.
    """

    def __init__(self, sigma: float, prefix: str = "", trainable: bool = False, strength: float = 1.0):
        self.sigma, self.strength = sigma, strength
        self.names = {"sigma": f"{prefix}sigma"} if trainable else {}
        self._kept: dict[float | None, SmearedCoulomb] = {}

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {name: () for name in self.names.values()}

    def stretch(self, parameters: Parameters) -> float:
        """The present width over that at the start, rounded to powers of ``STEP``, so that plans are few.

        Parameters
        ----------
        parameters : Parameters
            Read.
        """
        wider = float(parameters[self.names["sigma"]]) / self.sigma if self.names else 1.0
        return STEP ** round(log(wider) / log(STEP)) if 0 < wider < inf else 1.0

    widening = stretch

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        """σ as given.

        Parameters
        ----------
        parameters : Parameters
            Written.
        generator : Generator
            Not used.
        """
        for name in self.names.values():
            parameters[name][...] = self.sigma

    def multiplier(self, parameters: Parameters, radius: float | None = None) -> SmearedCoulomb:
        """φ̂ with the present width.

        Parameters
        ----------
        parameters : Parameters
            Read.
        radius : float, optional
            Where it is cut off.
        """
        sigma = float(parameters[self.names["sigma"]]) if self.names else self.sigma
        kept = self._kept.get(radius)
        if kept is None or float(kept.parameters["sigma"]) != sigma:
            self._kept = {r: m for r, m in self._kept.items() if float(m.parameters["sigma"]) == sigma}
            kept = self._kept[radius] = SmearedCoulomb(sigma, radius, self.strength)
        return kept
