r"""The loss of energies, forces and stress. For B structures

L = 1/B Σ_b [ w_F Σᵢ ‖Fᵢ − Fᵢ*‖² + w_U (U − U*)² + w_σ ‖σ − σ*‖² ]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.structures import Structures
from .parts.part import Motion

__all__ = ["LossWeights", "Prediction", "loss_of"]


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of a loss; a term with weight 0 needs no data.

    Attributes
    ----------
    energy, forces, stress : float
        w_U, w_F and w_σ, not negative and not all zero.
    per_point : bool
        Whether energies and forces of a structure count divided by its number of points: (U − U*)²/N² and
        Σ ‖F − F*‖²/N.
    """

    energy: float = 0.0
    forces: float = 1.0
    stress: float = 0.0
    per_point: bool = False

    def __post_init__(self) -> None:
        weights = (self.energy, self.forces, self.stress)
        if not all(np.isfinite(w) and w >= 0 for w in weights) or not any(weights):
            raise ValueError(f"weight: expected finite numbers that are not negative, and one above zero, got {self}")

    def check(self, structures: Structures) -> None:
        """Raise a ValueError where data are missing.

        Parameters
        ----------
        structures : Structures
            To learn from.
        """
        for name, weight in (("energies", self.energy), ("forces", self.forces), ("stress", self.stress)):
            if weight and getattr(structures, name) is None:
                raise ValueError(f"{name}: expected them for every structure, as their weight is {weight:g}, got none")


@dataclass
class Prediction:
    """What a network says of some structures.

    Attributes
    ----------
    energies : (B,) float64
        U: a sum over all points, and differences of large ones are wanted.
    potentials : (n,) float64
        e of every point.
    forces : (n, d) or None
        −∂U/∂x, of the dtype of the network.
    stress : (B, d, d) float64 or None
        (1/V) ∂U/∂ε.
    """

    energies: np.ndarray
    potentials: np.ndarray
    forces: np.ndarray | None = None
    stress: np.ndarray | None = None


def loss_of(
    own: Prediction, wanted: Structures, weights: LossWeights, dtype: np.dtype
) -> tuple[float, np.ndarray, Motion]:
    """L, ∂L/∂U of every structure, and ∂L/∂F with −∂L/∂(∂U/∂ε) as a direction.

    Parameters
    ----------
    own : Prediction
        With what has a weight.
    wanted : Structures
        The same, as it should be.
    weights : LossWeights
        Of the terms.
    dtype : dtype
        Of the network.
    """
    batch = len(wanted)
    sizes = np.maximum(wanted.counts, 1).astype(np.float64) if weights.per_point else np.ones(batch)
    loss, excess = 0.0, np.zeros(batch)
    direction = Motion(np.zeros(wanted.positions.shape, dtype))
    if own.forces is not None:
        difference = own.forces - wanted.forces.astype(dtype, copy=False)  # type: ignore[union-attr]
        each = np.repeat(weights.forces / (batch * sizes), wanted.counts)[:, None]
        loss += float((difference**2 * each).sum())
        direction.points = (difference * (2.0 * each)).astype(dtype, copy=False)
    if weights.energy:
        difference = own.energies - wanted.energies
        loss += float((weights.energy * difference**2 / sizes**2).sum() / batch)
        excess = 2.0 * weights.energy / batch * difference / sizes**2
    if own.stress is not None:
        difference = own.stress - wanted.stress
        loss += float(weights.stress * (difference**2).sum() / batch)
        # The loss gradient is ∂θ [Σ e U − d/dε U]: a stress is a derivative of U itself, a force of −U.
        direction.strain = -2.0 * weights.stress / batch * difference / wanted.volume[:, None, None]
    return loss, excess.astype(dtype), direction
