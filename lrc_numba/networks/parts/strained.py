"""The derivative of a kernel by the strain of its cell, as a kernel."""

from __future__ import annotations

import numpy as np

from ...geometry.modes import ModeSet
from ...multipliers.multiplier import Multiplier

__all__ = ["Strained"]


class Strained(Multiplier):
    """M_ab of a kernel: its derivative by the strain of the cell.

    Parameters
    ----------
    kernel : Multiplier
        With ``k2_derivative`` and, for gradients by its parameters, ``k2_derivatives``.
    a, b : int
        The component; of a ≠ b the mean of both orders, which is the same.
    """

    def __init__(self, kernel, a: int, b: int):
        super().__init__(**{name: np.array(value) for name, value in kernel.parameters.items()})
        self.base, self.a, self.b = kernel, a, b

    def state(self) -> tuple | None:
        own = self.base.state()
        return None if own is None else ("strained", self.a, self.b, own)

    def _apply(self, modes: ModeSet, value, slope):
        kk = modes.k[:, self.a] * modes.k[:, self.b]
        return -(value if self.a == self.b else 0.0) - 2.0 * slope * kk

    def values(self, modes: ModeSet) -> np.ndarray:
        return self._apply(modes, self.base.values(modes), self.base.k2_derivative(modes))

    def derivatives(self, modes: ModeSet) -> dict[str, np.ndarray]:
        own, slopes = self.base.derivatives(modes), self.base.k2_derivatives(modes)
        return {name: self._apply(modes, own[name], slopes[name]) for name in own}
