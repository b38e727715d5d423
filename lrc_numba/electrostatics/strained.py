"""How the part of long range changes when a cell is strained, as a convolution."""

from __future__ import annotations

import numpy as np

from ..geometry.modes import ModeSet
from ..multipliers import Multiplier
from .boundaries import LongRangeKernel

__all__ = ["StrainedKernel", "strain_tangents"]

STRAINS = [(0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2)]


class StrainedKernel(Multiplier):
    """The tangent of φ̂/V along a strain ε of the cell, times V: u̇ under x → x(1 + ε) is its convolution.

    Parameters
    ----------
    kernel : LongRangeKernel
        φ̂.
    strain : (3, 3)
        ε.
    """

    def __init__(self, kernel: LongRangeKernel, strain: np.ndarray):
        super().__init__()
        self.unstrained, self.strain = kernel, np.array(strain, dtype=np.float64)

    def state(self) -> tuple:
        return StrainedKernel, self.strain.tobytes(), self.unstrained.state()

    def _of(self, kernel: LongRangeKernel, modes: ModeSet) -> np.ndarray:
        return kernel.cell_jvp(modes, self.strain) - np.trace(self.strain) * kernel.values(modes)

    def values(self, modes: ModeSet) -> np.ndarray:
        return self._of(self.unstrained, modes)

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        return self.unstrained.map_parameters(lambda kernel: self._of(kernel, modes))

    def vjp(self, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
        return {name: slopes @ np.real(cotangent) for name, slopes in self.derivatives(modes).items()}


def strain_tangents(kernel: LongRangeKernel, modes: ModeSet) -> np.ndarray:
    """Tangents of φ̂/V, times V, along nine strains, so that sums with them are ∂E/∂ε row by row, (9, modes).

    Parameters
    ----------
    kernel : LongRangeKernel
        φ̂.
    modes : ModeSet
        The stored modes.
    """
    tangents = np.empty((3, 3, modes.size))
    for a, b in STRAINS:
        strain = np.zeros((3, 3))
        strain[a, b] += 0.5
        strain[b, a] += 0.5
        tangents[a, b] = tangents[b, a] = StrainedKernel(kernel, strain).values(modes)
    return tangents.reshape(9, modes.size)
