"""Distances on the torus."""

from __future__ import annotations

import numpy as np

__all__ = ["minimum_image"]


def minimum_image(displacement: np.ndarray, box) -> np.ndarray:
    """The shortest of the periodic images of displacements.

    Parameters
    ----------
    displacement : (…, d) array
        x_i − x_j, units of length.
    box : float or (d,)
        Box lengths.
    """
    lengths = np.asarray(box, dtype=np.float64)
    return displacement - lengths * np.round(displacement / lengths)
