"""The networks with one of our differences from the paper's taken out, and with what goes beyond it.

    paper cutoff    pairs are weighed by the standardised 1/s, and the energy jumps at the cutoff
    split switch    pairs count alike for D₁ up to 0.6 R, and by S/s for D₂; so far pairs are seen as well
    no taper        the series of the kernel stops at its last mode, where it is not small
    plain start     weights as Glorot draws them and biases zero, as they are drawn
    no shift        û goes into g_θ as it is, neither shifted nor scaled
    gaussians       a sum of twelve Gaussians in place of the two screened Coulomb kernels

Each is a class with a kind of its own, so that files of it are read as what they are once this module is imported.
"""

from __future__ import annotations

from collections.abc import Callable
from math import log

import numpy as np

from lrc_numba import Multiplier
from lrc_numba.networks import EnergyNetwork, FullRangeNetwork, ShortRangeNetwork
from lrc_numba.networks.parts.convolution import Convolution

__all__ = ["CHANGES", "network_class"]

TERMS = 12  # Gaussians
WIDTHS = 0.02, 0.5  # the narrowest and the widest of them, in box lengths


# ---------------------------------------------------------------------- pairs
def _cutoff_kind(cutoff_kind: str) -> Callable:
    """What makes classes with a cutoff of this kind."""

    def make(usual: type, kind_: str) -> type:
        class OtherCutoff(usual):
            kind = kind_

            def __init__(self, *given, **options):
                super().__init__(*given, **(options | {"cutoff_kind": cutoff_kind}))

        return OtherCutoff

    return make


# ---------------------------------------------------------------------- the start
def _plain_start(usual: type, kind_: str) -> type:
    class PlainStart(usual):
        kind = kind_

        def set_scales(self, points) -> None:
            super().set_scales(points)
            generator = np.random.default_rng(self.seed)
            for chain in (self.fitting, getattr(self, "post", None)):
                if chain is not None:
                    chain.initialise(self.parameters, generator)

    return PlainStart


def _no_shift(usual: type, kind_: str) -> type:
    class NoShift(usual):
        kind = kind_

        def _set_long_scales(self, shift, scale) -> None:
            super()._set_long_scales(np.zeros_like(shift), np.ones_like(scale))

    return NoShift


# ---------------------------------------------------------------------- the kernel
def _no_taper(usual: type, kind_: str) -> type:
    class NoTaper(usual):
        kind = kind_

        def _steps(self):
            self.kernel.tau = 0.0
            return super()._steps()

    return NoTaper


class Gaussians(Multiplier):
    """φ̂(k) = Σ_g a_g e^{−σ_g²k²/2} but for k = 0, of one channel.

    Parameters
    ----------
    amplitudes, log_sigmas : (G,) array_like
        a_g and ln σ_g.
    """

    def __init__(self, amplitudes, log_sigmas):
        super().__init__(amplitudes=amplitudes, log_sigmas=log_sigmas)

    def _terms(self, modes) -> np.ndarray:
        square = np.exp(2.0 * self._parameters["log_sigmas"])[:, None]
        return np.exp(-0.5 * square * modes.k2) * (modes.k2 > 0)

    def _check_shapes(self) -> None:
        """Both are of one shape, which is not that of the channels."""

    def values(self, modes) -> np.ndarray:
        return (self._parameters["amplitudes"] @ self._terms(modes))[None]

    def vjp(self, modes, cotangent) -> dict[str, np.ndarray]:
        weighted = self._terms(modes) * cotangent.real[0]
        square = np.exp(2.0 * self._parameters["log_sigmas"])
        slope = -self._parameters["amplitudes"] * square * (weighted @ modes.k2)
        return {"amplitudes": weighted.sum(axis=1), "log_sigmas": slope}


class GaussianChannel:
    """Where a convolution finds the amplitudes and widths among the parameters of a network.

    Parameters
    ----------
    length : float
        Of the box, which gives the widths at the start; their amplitudes are then those of a Coulomb kernel.
    """

    sigma = None  # it needs periodic images

    def __init__(self, length: float):
        self.length, self.names = length, {"amplitudes": "amplitudes", "log_sigmas": "log_sigmas"}

    def stretch(self, _) -> float:
        """1: the series ends where it ends."""
        return 1.0

    widening = stretch

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {name: (TERMS,) for name in self.names}

    def initialise(self, parameters, _) -> None:
        """Widths that rise by a factor, from the narrowest to the widest."""
        sigmas = self.length * np.exp(np.linspace(log(WIDTHS[0]), log(WIDTHS[1]), TERMS))
        parameters["log_sigmas"][...] = np.log(sigmas)
        parameters["amplitudes"][...] = sigmas**2

    def multiplier(self, parameters, radius: float | None = None) -> Gaussians:
        """φ̂ with the present parameters.

        Parameters
        ----------
        parameters : Parameters
            Read.
        radius : float, optional
            Not for this kernel.
        """
        return Gaussians(*(np.array(parameters[name]) for name in self.names))


def _gaussians(usual: type, kind_: str) -> type:
    class TwelveGaussians(usual):
        kind = kind_

        def __init__(self, *given, **options):
            super().__init__(*given, **(options | {"lam": (1.0,)}))  # of which the number alone counts

        def _steps(self):
            self.kernel = GaussianChannel(float(self.box.max()))
            self.convolution = Convolution(self.kernel, self.convolution.end, self.eps)
            return super()._steps()

    return TwelveGaussians


# ---------------------------------------------------------------------- all of them
_BOTH: dict[str, Callable] = {
    "paper cutoff": _cutoff_kind("paper"),
    "split switch": _cutoff_kind("split"),
    "plain start": _plain_start,
}
_FULL: dict[str, Callable] = {"no taper": _no_taper, "no shift": _no_shift, "gaussians": _gaussians}
CHANGES = {"short-range": tuple(_BOTH), "full-range": (*_BOTH, *_FULL)}
_CLASSES: dict[tuple[str, str], type[EnergyNetwork]] = {
    ("short-range", ""): ShortRangeNetwork,
    ("full-range", ""): FullRangeNetwork,
} | {
    (kind, change): (_BOTH | _FULL)[change](usual, f"{kind}, {change}")
    for kind, usual in (("short-range", ShortRangeNetwork), ("full-range", FullRangeNetwork))
    for change in CHANGES[kind]
}


def network_class(kind: str, change: str) -> type[EnergyNetwork]:
    """The class of a network.

    Parameters
    ----------
    kind : {"short-range", "full-range"}
        Which.
    change : str
        One of ``CHANGES[kind]``, or "".
    """
    return _CLASSES[kind, change]
