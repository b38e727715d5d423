"""What the operator's derivatives are asked for, and what they return."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

__all__ = ["Cotangents", "Tangents"]


@dataclass
class Cotangents:
    """What ``Operator.vjp`` returns; None where it was not wanted.

    Attributes
    ----------
    output : (B·T, C_out)
        u.
    values : (B·N, C_in) or None
        f̄.
    sources, targets : (B·N, d) and (B·T, d) or None
        Σ g·∂u/∂x; the same array where the targets are the points.
    table : (*shape, n_modes) complex or None
        The cotangent S of φ̂, see ``deconvolution``.
    """

    output: np.ndarray
    values: np.ndarray | None = None
    sources: np.ndarray | None = None
    targets: np.ndarray | None = None
    table: np.ndarray | None = None


@dataclass
class Tangents:
    """A direction in which f and the points move.

    Attributes
    ----------
    values : (B·N, C_in)
        ḟ.
    sources, targets : (B·N, d) and (B·T, d), or None
        ẋ, how the sources and the targets move, units of length; where they are the same points, the same array.
    """

    values: np.ndarray
    sources: np.ndarray | None = None
    targets: np.ndarray | None = None
