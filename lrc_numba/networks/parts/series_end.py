r"""Where the Fourier series of a long-range kernel ends: a length of the kernel, from which modes of a cell follow; and
the eps that a plan for these modes needs.

A plan keeps its eps for any multiplier, also one that has nothing but its highest modes, where a window is worst: its
error at n of K modes is a = e^{−πw(√(1−2κ) − √(1−2κ_K))} of that, with κ = κ_K n/K and κ_K modes to a node. A kernel φ̂
that falls off makes of these, for features of which all modes are alike,

    √(Σ_k φ̂² a² / Σ_k φ̂²)

of what the plan is asked for. ``eased`` asks for so much less, with a narrow window (w = 4) on a large grid (κ_K = ¼),
where there is least to gain, and takes half of it, as features of a dense liquid have weak low modes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import pi

import numpy as np

from ...geometry.cell import Cell
from ...geometry.modes import ModeSet

__all__ = ["SeriesEnd", "eased"]

WIDTH, RATIO = 4, 0.25  # of the window and of the highest mode to nodes, for which modes differ least
KEPT_BACK = 2.0
MANY = 41  # modes along an axis; of more, as many in a smaller cell tell as much
LOOSEST = 0.1  # eps of a plan


def eased(eps: float, cell: np.ndarray, modes: tuple[int, ...], decay: Callable[[np.ndarray], np.ndarray]) -> float:
    """The eps of a plan whose error, with a kernel that falls off, stays below ``eps``; at least that.

    Parameters
    ----------
    eps : float
        Relative ℓ² error asked for.
    cell : (d, d)
        Lattice vectors.
    modes : tuple of int
        Along each axis.
    decay : function
        Takes k² > 0 (n,) to φ̂ (n,), up to a factor.
    """
    few = tuple(min(m, MANY) for m in modes)
    stored = ModeSet(Cell(cell * np.divide(few, modes)[:, None], len(cell)), few)
    there = stored.k2 > 0
    if not there.any():
        return eps

    def steepness(ratio: np.ndarray) -> np.ndarray:
        return np.exp(-pi * WIDTH * (np.sqrt(1 - 2 * ratio) - np.sqrt(1 - 2 * RATIO)))

    tops = np.maximum([m // 2 for m in few], 1)
    alias = steepness(RATIO * np.abs(stored.numbers) / tops).mean(axis=1)[there]
    weights = stored.weights[there] * decay(stored.k2[there]) ** 2
    error = np.sqrt((weights * alias**2).sum() / weights.sum())
    return max(eps, min(LOOSEST, eps / (KEPT_BACK * error)))


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
