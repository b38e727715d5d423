r"""Trainable sums of Gaussians as long-range kernels, with periodic images or without.

    φ(r) = Σ_g a_g e^{−r²/2σ_g²}        φ̂(k) = Σ_g a_g (2πσ_g²)^{d/2} e^{−σ_g²k²/2}

They fall off by themselves, so nothing is cut off for structures without images, and the mode k = 0 is part of them.
"""

from __future__ import annotations

from math import inf, log

import numpy as np

from ..geometry.modes import ModeSet
from ..multipliers.radial import SumOfGaussians
from .layers.parameters import Parameters
from .long_range import STEP

__all__ = ["FreeGaussians", "GaussianKernel"]

WIDTHS = (1.0, 2.0, 4.0)  # in σ: with weights 1/width they fall off about as 1/r does


class FreeGaussians(SumOfGaussians):
    """A ``SumOfGaussians`` that also knows itself without images, and its derivatives mode by mode."""

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        amplitudes, sigmas = (self._parameters[name][:, None] for name in ("amplitudes", "sigmas"))
        terms = self._terms(modes)
        return {"amplitudes": terms, "sigmas": amplitudes * (modes.dim / sigmas - sigmas * modes.k2) * terms}

    def k2_derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        """∂²φ̂/∂θ∂(k²) by name, for gradients of stresses.

        Parameters
        ----------
        modes : ModeSet
            The modes.
        """
        amplitudes, sigmas = (self._parameters[name][:, None] for name in ("amplitudes", "sigmas"))
        terms = self._terms(modes)
        by_sigma = -amplitudes * sigmas * (1 + modes.dim / 2 - sigmas**2 * modes.k2 / 2) * terms
        return {"amplitudes": -(sigmas**2) / 2 * terms, "sigmas": by_sigma}

    def free(self, r2: np.ndarray, dim: int) -> tuple[np.ndarray, np.ndarray]:
        """φ(r) without images, and φ′(r)/r.

        Parameters
        ----------
        r2 : array
            Squares of distances.
        dim : int
            d.
        """
        values, slopes = np.zeros_like(r2), np.zeros_like(r2)
        for amplitude, sigma in zip(*self._parameters.values(), strict=True):
            term = amplitude * np.exp(-r2 / (2 * sigma**2))
            values += term
            slopes -= term / sigma**2
        return values, slopes

    def free_derivatives(self, r2: np.ndarray, dim: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """What ``free`` returns, differentiated by the parameters, (G, *shape of r2).

        Parameters
        ----------
        r2, dim
            As for ``free``.
        """
        columns = [value.reshape(-1, *(1,) * r2.ndim) for value in self._parameters.values()]
        amplitudes, sigmas = columns
        terms = np.exp(-r2 / (2 * sigmas**2))
        by_sigma = amplitudes * r2 / sigmas**3 * terms, amplitudes * (2 / sigmas**3 - r2 / sigmas**5) * terms
        return {"amplitudes": (terms, -terms / sigmas**2), "sigmas": by_sigma}


class GaussianKernel:
    """Where a convolution finds the amplitudes and widths of its Gaussians.

    Parameters
    ----------
    sigma : float
        The narrowest width at the start; the others are ``WIDTHS`` times that, with amplitudes of one over these.
    prefix : str
        Of the names of the parameters.
    trainable : bool
        Whether amplitudes and widths are parameters.
    """

    ends_by_itself = True

    def __init__(self, sigma: float, prefix: str = "", trainable: bool = False):
        self.start = {"amplitudes": 1 / np.array(WIDTHS), "sigmas": sigma * np.array(WIDTHS)}
        self.sigma, self.shortest = float(self.start["sigmas"].max()), float(self.start["sigmas"].min())
        self.names = {name: f"{prefix}{name}" for name in self.start} if trainable else {}
        self._kept: tuple | None = None

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {own: self.start[name].shape for name, own in self.names.items()}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        """Amplitudes and widths as given.

        Parameters
        ----------
        parameters : Parameters
            Written.
        generator : Generator
            Not used.
        """
        for name, own in self.names.items():
            parameters[own][...] = self.start[name]

    def _values(self, parameters: Parameters) -> dict[str, np.ndarray]:
        own = {name: np.array(parameters[own], dtype=np.float64) for name, own in self.names.items()}
        return self.start | own

    @staticmethod
    def _steps(wider: float) -> float:
        return STEP ** round(log(wider) / log(STEP)) if 0 < wider < inf else 1.0

    def stretch(self, parameters: Parameters) -> float:
        """The narrowest width over that at the start, rounded to powers of ``STEP``: where the series ends.

        Parameters
        ----------
        parameters : Parameters
            Read.
        """
        return self._steps(float(self._values(parameters)["sigmas"].min()) / self.shortest)

    def widening(self, parameters: Parameters) -> float:
        """The same of the widest: how far images have to be apart.

        Parameters
        ----------
        parameters : Parameters
            Read.
        """
        return self._steps(float(self._values(parameters)["sigmas"].max()) / self.sigma)

    def multiplier(self, parameters: Parameters, radius: float | None = None) -> FreeGaussians:
        """φ̂ with the present parameters; the same with images and without.

        Parameters
        ----------
        parameters : Parameters
            Read.
        radius : float, optional
            Not needed: the kernel ends by itself.
        """
        values = self._values(parameters)
        key = tuple(value.tobytes() for value in values.values())
        if self._kept is None or self._kept[0] != key:  # the same object while nothing changed: plans keep its table
            self._kept = key, FreeGaussians(**values)
        return self._kept[1]
