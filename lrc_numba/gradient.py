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
        By a strain ε that moves lattice vectors a, points and targets (all as rows), a → a(1 + ε) and x → x(1 + ε),
        while f and g stay. With S(k) the cotangent of φ̂, for a radial φ̂ and exactly for the computed u,
        ∂(Σ g·u)/∂ε_ab = Σ_half Re( S(k) [−δ_ab φ̂ − 2 (dφ̂/dk²) k_a k_b] ).
    """

    output: np.ndarray
    points: np.ndarray | None
    values: np.ndarray | None
    parameters: dict[str, np.ndarray] | None
    targets: np.ndarray | None = None
    cell: np.ndarray | None = None
