r"""The loss of energies, forces and stress. For B structures

L = 1/B Σ_b [ w_F Σᵢ ‖Fᵢ − Fᵢ*‖² + w_U (U − U*)² + w_σ ‖σ − σ*‖² ]
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..geometry.structures import Structures
from .checks import as_weight
from .parts.part import Motion

__all__ = ["LossWeights", "Prediction", "as_weights", "cotangents", "residuals_of"]

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

    @classmethod
    def joined(cls, parts: list[Prediction]) -> Prediction:
        """Of all structures, from those of some after the other.

        Parameters
        ----------
        parts : list of Prediction
            At least one, all with the same.
        """
        if len(parts) == 1:
            return parts[0]

        def all_of(name: str) -> Any:
            several = [getattr(part, name) for part in parts]
            return None if several[0] is None else np.concatenate(several)

        return cls(**{each.name: all_of(each.name) for each in fields(cls)})


def residuals_of(own: Prediction, wanted: Structures, weights: LossWeights) -> np.ndarray:
    """r, whose squares add up to L: of all forces, then of energies, then of stresses, whichever are there.

    Parameters
    ----------
    own : Prediction
        With what has a weight.
    wanted : Structures
        The same, as it should be.
    weights : LossWeights
        Of the terms.

    Returns
    -------
    1-D float64 ndarray
        Differences times the roots of their weights.
    """
    roots, parts = _Roots.of(wanted, weights), []
    if own.forces is not None:
        parts.append((own.forces - wanted.forces) * roots.forces)  # type: ignore[operator]
    if weights.energy:
        parts.append((own.energies - wanted.energies) * roots.energies)
    if own.stress is not None:
        parts.append((own.stress - wanted.stress) * roots.stress)
    return np.concatenate([part.astype(np.float64, copy=False).ravel() for part in parts])


def cotangents(
    bars: np.ndarray, wanted: Structures, weights: LossWeights, dtype: np.dtype
) -> tuple[np.ndarray, Motion]:
    """What r̄ is for U, F and ∂U/∂ε: e = Ū of every structure, and F̄ with minus that of ∂U/∂ε as a direction.

    The gradient of r̄·r is then ∂θ [Σ e U − d/dε U]: a stress is a derivative of U itself, a force of −U.

    Parameters
    ----------
    bars : 1-D array
        r̄, in the order of ``residuals_of``.
    wanted, weights
        As there.
    dtype : dtype
        Of the network.
    """
    roots, shape, batch = _Roots.of(wanted, weights), wanted.positions.shape, len(wanted)
    excess, direction, at = np.zeros(batch), Motion(np.zeros(shape, dtype)), 0
    if weights.forces:
        at = wanted.positions.size
        direction.points = (bars[:at].reshape(shape) * roots.forces).astype(dtype, copy=False)
    if weights.energy:
        excess, at = bars[at : at + batch] * roots.energies, at + batch
    if weights.stress:
        strain = bars[at:].reshape(batch, shape[1], shape[1])
        direction.strain = -strain * (roots.stress / wanted.volume[:, None, None])
    return excess.astype(dtype), direction


@dataclass(frozen=True)
class _Roots:
    """Square roots of the weights of single residuals.

    Attributes
    ----------
    forces : (n, 1)
        By point.
    energies : (B,)
        By structure.
    stress : float
        Of all.
    """

    forces: np.ndarray
    energies: np.ndarray
    stress: float

    @classmethod
    def of(cls, wanted: Structures, weights: LossWeights) -> _Roots:
        """Of some structures.

        Parameters
        ----------
        wanted : Structures
            How many points they have counts.
        weights : LossWeights
            Of the terms.
        """
        batch = len(wanted)
        sizes = np.maximum(wanted.counts, 1).astype(np.float64) if weights.per_point else np.ones(batch)
        of_points = np.repeat(np.sqrt(weights.forces / (batch * sizes)), wanted.counts)[:, None]
        return cls(of_points, np.sqrt(weights.energy / batch) / sizes, float(np.sqrt(weights.stress / batch)))
