"""What a backward pass returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Gradient"]


@dataclass(frozen=True)
class Gradient:
    """What ``LRCPlan.vjp`` returns; a part that was not asked for is None.

    Attributes
    ----------
    output : ndarray
        u itself, which the gradient had to compute anyway.
    points : ndarray
        Σ g·∂u/∂x, the shape of the points. With targets: with respect to the sources alone.
    values : ndarray
        Σ g·∂u/∂f, the shape of the values.
    parameters : dict of str to ndarray
        Σ g·∂u/∂θ for every parameter of the multiplier, of its shape; () for a scalar.
    targets : ndarray or None
        With respect to the targets, where there are any.
    cell : (d, d) float64 ndarray
        ∂(Σ g·u)/∂ε_ab for a strain ε of cell, points and targets, x → x(1 + ε); see ``LRCPlan.vjp``.
    """

    output: np.ndarray
    points: np.ndarray | None
    values: np.ndarray | None
    parameters: dict[str, np.ndarray] | None
    targets: np.ndarray | None = None
    cell: np.ndarray | None = None
