r"""The trainable long-range kernel: a screened Coulomb kernel whose Fourier series ends smoothly.

    φ̂^c(k) = 4πβ_c/(k² + λ_c²) e^{−k²τ²/2} for k ≠ 0, φ̂(0) = 0

A series that just stopped at its last mode, where 4πβ/k² is not small, would ring: in the forces by two per cent with
501 modes in one dimension, at a wavelength that no short-range network can correct. So it ends with a Gaussian, which
is a length τ of the kernel, whatever the cell: the modes are those up to ``end`` standard deviations of it.

The mode k = 0 only adds a constant to u, which the first biases of what reads u hold as well; left in, that constant,
4πβN/λ²V, would move at every step that λ learns.
"""

from __future__ import annotations

from math import pi

import numpy as np

from ..geometry.modes import ModeSet
from ..multipliers.radial import Yukawa
from .layers.parameters import Parameters

__all__ = ["TAPER", "TaperedYukawa", "YukawaChannels"]

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
    scalar : bool
        Whether it is one kernel for any number of channels, with one λ and no β.
    """

    def __init__(self, lam: tuple[float, ...], tau: float, prefix: str = "", scalar: bool = False):
        self.lam, self.tau, self.scalar = lam, tau, scalar
        self.names = {"lam": f"{prefix}lam"} if scalar else {"beta": f"{prefix}beta", "lam": f"{prefix}lam"}
        self._kept: tuple | None = None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {name: () if self.scalar else (len(self.lam),) for name in self.names.values()}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        """β = 1 and λ as given.

        Parameters
        ----------
        parameters : Parameters
            Written.
        generator : Generator
            Not used.
        """
        parameters[self.names["lam"]][...] = self.lam[0] if self.scalar else self.lam
        if "beta" in self.names:
            parameters[self.names["beta"]][...] = 1.0

    def multiplier(self, parameters: Parameters) -> TaperedYukawa:
        """φ̂ with the present parameters.

        Parameters
        ----------
        parameters : Parameters
            Read.
        """
        values = {name: np.array(parameters[own], dtype=np.float64) for name, own in self.names.items()}
        key = tuple(value.tobytes() for value in values.values())
        if self._kept is None or self._kept[0] != key:  # the same object while nothing changed: plans keep its table
            self._kept = (key, TaperedYukawa(**values, tau=self.tau))
        return self._kept[1]
