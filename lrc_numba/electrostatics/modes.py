"""How many modes a cell has up to a wavenumber."""

from __future__ import annotations

from math import ceil, pi

import numpy as np

__all__ = ["kept_modes", "modes_within"]

ROUNDING = 1e-9  # by which a number of modes may miss a whole one and still is it


def kept_modes(cell: np.ndarray, highest: float) -> tuple[int, int, int]:
    """K along each axis so that all modes with |k| up to ``highest`` are among |n_a| ≤ K_a; 1 at least.

    Parameters
    ----------
    cell : (3, 3)
        Lattice vectors of the modes, units of length.
    highest : float
        Inverse length.
    """
    a, b, c = (max(1, ceil(highest * float(length) / (2 * pi) - ROUNDING)) for length in np.linalg.norm(cell, axis=1))
    return a, b, c


def modes_within(cell: np.ndarray, highest: float) -> tuple[int, int, int]:
    """2K + 1 along each axis, what plans take, for the K of ``kept_modes``.

    Parameters
    ----------
    cell : (3, 3)
        Lattice vectors, units of length.
    highest : float
        Inverse length.
    """
    a, b, c = (2 * kept + 1 for kept in kept_modes(cell, highest))
    return a, b, c
