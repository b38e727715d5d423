r"""The trainable long-range kernel that a full-range network reads.

    φ̂^c(k) = 4πβ_c/(k² + λ_c²) e^{−k²τ²/2} for k ≠ 0, φ̂(0) = 0

A series that just stopped at its last mode, where 4πβ/k² is not small, would ring: in the forces by two per cent with
501 modes in one dimension, at a wavelength that no short-range network can correct. So it ends with a Gaussian, TAPER
standard deviations wide at the last mode; its τ = TAPER/k_max is about the length L/M that M modes resolve.

The mode k = 0 only adds a constant to u, which the first biases of g_θ hold as well; left in, that constant, 4πβN/λ²V,
would move at every step that λ learns.
"""

from __future__ import annotations

import numpy as np

from ..geometry.modes import ModeSet
from ..multipliers.radial import Yukawa

__all__ = ["TaperedYukawa"]

TAPER = 3.5


class TaperedYukawa(Yukawa):
    """A ``Yukawa`` whose field has no mean and does not ring."""

    @staticmethod
    def _taper(modes: ModeSet) -> np.ndarray:
        """The Gaussian, 0 at k = 0."""
        ends = np.array([np.abs(axis).max() for axis in modes.axes]) * np.diag(modes.cell.reciprocal)  # of a box
        last = ends[ends > 0].min(initial=np.inf)  # of the axis that ends first
        return np.exp(-0.5 * (TAPER / last) ** 2 * modes.k2) * (modes.k2 > 0)

    def values(self, modes: ModeSet) -> np.ndarray:
        return super().values(modes) * self._taper(modes)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        taper = self._taper(modes)
        return {name: slope * taper for name, slope in super().derivatives(modes).items()}
