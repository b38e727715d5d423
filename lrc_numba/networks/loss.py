r"""The loss of energies, forces and stress. For B structures

L = 1/B Σ_b [ w_F Σᵢ ‖Fᵢ − Fᵢ*‖² + w_U (U − U*)² + w_σ ‖σ − σ*‖² ]
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..geometry.structures import Structures
from .checks import as_weight
from .parts.part import Motion

__all__ = ["LossWeights", "Prediction", "as_weights", "loss_of"]

TERMS = {"energy": "energies", "forces": "forces", "stress": "stress"}  # weights, and what they are of


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
        for name in TERMS:
            as_weight(name, getattr(self, name))
        if not isinstance(self.per_point, (bool, np.bool_)):
            raise TypeError(f"per_point: expected True or False, got {self.per_point!r}")
        if not any(getattr(self, name) for name in TERMS):
            raise ValueError(f"energy, forces, stress: expected a weight above zero, got {self}")

    def check(self, structures: Structures) -> None:
        """Raise a ValueError where data are missing.

        Parameters
        ----------
        structures : Structures
            To learn from.
        """
        for term, name in TERMS.items():
            weight = getattr(self, term)
            if weight and getattr(structures, name) is None:
                raise ValueError(
                    f"{name}: expected them for every structure, as their weight is {weight:g}, got none"
                    f"{self._hint(structures)}"
                )

    def _hint(self, structures: Structures) -> str:
        """Weights that fit data."""
        known = {term: getattr(structures, name) is not None for term, name in TERMS.items()}
        fitting = {term: getattr(self, term) if held else 0.0 for term, held in known.items()}
        if not any(fitting.values()):
            fitting |= {term: 1.0 for term, held in known.items() if held}
        if not any(fitting.values()):
            return ""
        terms = [f"{term}={weight:g}" for term, weight in fitting.items() if weight or term == "forces"]
        return f"; to learn from what there is, pass weights=LossWeights({', '.join(terms)})"


def as_weights(weights) -> LossWeights:
    """Weights; a TypeError where they are something else.

    Parameters
    ----------
    weights : LossWeights
        As given.
    """
    if not isinstance(weights, LossWeights):
        raise TypeError(f"weights: expected LossWeights, got {weights!r}")
    return weights


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

    @classmethod
    def of_nothing(cls, batch: int, dim: int, dtype: np.dtype, forces: bool, stress: bool) -> Prediction:
        """Of structures without points.

        Parameters
        ----------
        batch, dim : int
            B and d.
        dtype : dtype
            Of forces.
        forces, stress : bool
            Whether there are any.
        """
        own = np.zeros((0, dim), dtype) if forces else None
        return cls(np.zeros(batch), np.zeros(0), own, np.zeros((batch, dim, dim)) if stress else None)


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
