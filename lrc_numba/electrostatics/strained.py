"""How the part of long range changes when a cell is strained, as a convolution."""

from __future__ import annotations

import numpy as np

from ..geometry.modes import ModeSet
from ..multipliers import Multiplier
from .boundaries import LongRangeKernel

__all__ = ["StrainedKernel"]


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
