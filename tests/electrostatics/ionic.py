"""Small salts, sums over their images by hand, and energies that are moved: what tests of calculators share."""

from __future__ import annotations

import numpy as np
from measures import best_difference

CELL = np.array([[7.0, 0.0, 0.0], [1.5, 6.5, 0.0], [-1.0, 0.8, 7.5]])


def salt(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Positions that keep about a length apart, charges that add up to 0, and a triclinic cell."""
    rng = np.random.default_rng(seed)
    sites = np.stack(np.meshgrid(*[np.arange(2)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)[:count]
    positions = (sites / 2 + rng.uniform(-0.1, 0.1, (count, 3))) @ CELL
    charges = rng.uniform(0.5, 1.5, count)
    return positions, charges - charges.mean() * (np.arange(count) < count), CELL.copy()


def over_images(positions, charges, cell, function, reach: float) -> np.ndarray:
    """Σ′ q_j function(r_ij) over all images closer than ``reach``, (N,)."""
    shells = int(np.ceil(reach / np.min(1 / np.linalg.norm(np.linalg.inv(cell), axis=0)))) + 1
    shifts = np.stack(np.meshgrid(*[np.arange(-shells, shells + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    total = np.zeros(len(positions))
    for i, x in enumerate(positions):
        r = np.linalg.norm(x - positions[:, None] - shifts, axis=2)
        near = (r > 0) & (r < reach)
        total[i] = np.sum(np.where(near, function(np.where(near, r, 1.0)), 0.0), axis=1) @ charges
    return total


def derivative_errors(energy, positions, sources, cell, result, seed: int = 0) -> dict[str, float]:
    """Errors of forces, strain and the gradient by charges or dipoles along a direction each, against differences.

    ``energy`` takes positions, sources and a cell; each error is relative to the size of that gradient.
    """
    rng = np.random.default_rng(seed)
    dx, dq, strain = rng.normal(size=positions.shape), rng.normal(size=np.shape(sources)), rng.normal(size=(3, 3))
    strain, errors = (strain + strain.T) / 2, {}

    def strained(h: float) -> float:
        deformation = np.eye(3) + h * strain
        return energy(positions @ deformation, sources, cell @ deformation)

    along = {
        "forces": (lambda h: energy(positions + h * dx, sources, cell), -result.forces, dx),
        "charges": (lambda h: energy(positions, sources + h * dq, cell), result.charge_gradient, dq),
        "strain": (strained, result.strain, strain),
    }
    for name, (function, gradient, direction) in along.items():
        size = np.linalg.norm(gradient) * np.linalg.norm(direction)
        errors[name] = best_difference(function, np.sum(gradient * direction), size)
    return errors
