"""What a backward pass returns, and what follows from the cotangent S of φ̂: gradients by parameters and by the cell."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arguments import refuse_masked
from .geometry.modes import ModeSet
from .multipliers import Multiplier

__all__ = ["Gradient", "parameter_gradient", "table_gradients"]


@dataclass(frozen=True)
class Gradient:
    """What ``LRCPlan.vjp`` and ``LRCPlan.energy`` return; a part that was not asked for is None.

    For an energy Σ g·u is ½ Σ f·u, of which ``values`` is the whole derivative, u.

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
    cell : (d, d) float64 ndarray, or (B, d, d) for the strain of each snapshot
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


def parameter_gradient(multiplier: Multiplier, modes: ModeSet, cotangent: np.ndarray) -> dict[str, np.ndarray]:
    """∂L/∂θ from S; scalars are arrays without axes.

    Parameters
    ----------
    multiplier : Multiplier
        φ̂.
    modes : ModeSet
        The stored modes.
    cotangent : (*shape, n_modes) complex128
        S: dL = Σ_half Re(dφ̂ S).
    """
    gradients = multiplier.vjp(modes, cotangent)
    for gradient in gradients.values():
        refuse_masked(f"multiplier: {type(multiplier).__name__}.vjp", gradient)
    return {name: np.asarray(gradient) for name, gradient in gradients.items()}


def table_gradients(
    multiplier: Multiplier, modes: ModeSet, cotangent: np.ndarray, wanted: set[str]
) -> tuple[dict[str, np.ndarray] | None, np.ndarray | None]:
    """What follows from S: the gradients by "parameters" and by "cell", None where they are not wanted.

    Parameters
    ----------
    multiplier, modes, cotangent
        As for ``parameter_gradient``.
    wanted : set of str
        Names.
    """
    by_parameters = parameter_gradient(multiplier, modes, cotangent) if "parameters" in wanted else None
    return by_parameters, _cell_gradient(multiplier, modes, cotangent) if "cell" in wanted else None


def _cell_gradient(multiplier: Multiplier, modes: ModeSet, cotangent: np.ndarray) -> np.ndarray:
    """∂L/∂ε (d, d) from S: how φ̂ changes with the wavevectors, and 1/V."""
    given, name = multiplier.cell_vjp(modes, cotangent), f"{type(multiplier).__name__}.cell_vjp"
    refuse_masked(f"multiplier: {name}", given)
    strain = np.asarray(given, dtype=np.float64)
    if strain.shape != (modes.dim, modes.dim):
        raise ValueError(f"multiplier: {name} must return shape {(modes.dim, modes.dim)}, got {strain.shape}")
    total = np.sum(multiplier.values(modes) * cotangent).real
    return strain - total * np.eye(modes.dim)
