"""Where the Fourier series of a long-range kernel ends: a length of the kernel, from which modes of a cell follow."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

__all__ = ["SeriesEnd"]


@dataclass(frozen=True)
class SeriesEnd:
    """Where a Fourier series ends.

    Attributes
    ----------
    wavenumbers : tuple of float
        The highest along each axis of space, or one for all: semi-axes of an ellipsoid, which is the same whatever
        lattice vectors a cell is given by.
    shells : float
        How many times the square of the lowest wavenumber of the cell is added to those squares: where the cell is so
        small that even the first modes are weak, what is left out is to be small beside these.
    """

    wavenumbers: tuple[float, ...]
    shells: float = 0.0

    def modes(self, cell: np.ndarray, stretch: float = 1.0) -> tuple[int, ...]:
        """Modes along each axis of a cell (d, d): all that lie below the end, of a kernel that is so much wider.

        Of k within the ellipsoid, k·a of a lattice vector a is at most the norm of a whose components are times the
        semi-axes.
        """
        ends = np.broadcast_to(self.wavenumbers, len(cell))
        if self.shells:
            lowest = 2 * pi * np.linalg.norm(np.linalg.inv(cell), axis=0).min() * stretch
            ends = np.sqrt(ends**2 + self.shells * lowest**2)
        reach = np.linalg.norm(cell * ends, axis=1) / (2 * pi * stretch)
        return tuple(2 * int(most * (1 + 1e-12) + 1e-9) + 1 for most in reach)
