"""Derivatives of networks against differences of fourth order of their energies and losses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights


def slope(function: Callable, h: float):
    """The derivative at zero, off by h⁴/30 fifth derivatives and by 1e-16/h from rounding."""
    return (8 * (function(h) - function(-h)) - (function(2 * h) - function(-2 * h))) / (12 * h)


def strained(structures: Structures, strain: np.ndarray) -> Structures:
    """Positions and cells times 1 + ε, with an ε (B, d, d) for each structure."""
    factor = np.eye(structures.dim) + strain
    positions = np.einsum("na,nab->nb", structures.positions, factor[structures.structure_of])
    return replace(structures, positions=positions, cell=structures.cell @ factor)


def _floor(energies: np.ndarray, h: float) -> np.ndarray:
    """What derivatives are at least compared with: 1e-9 of it is sixteen units of rounding of the energies over h."""
    return 4e-6 * np.maximum(np.abs(energies), 1.0) / h


def force_error(network: EnergyNetwork, structures: Structures, h: float = 2e-5, seed: int = 0) -> float:
    """Of F·d against −dU/dx d of every structure along random d, relative to |F| |d|, the greatest."""
    step, made = np.random.default_rng(seed).standard_normal(structures.positions.shape), network.predict(structures)

    def energies(t: float) -> np.ndarray:
        moved = replace(structures, positions=structures.positions + t * step)
        return network.predict(moved, forces=False).energies

    wanted, floor, errors = slope(energies, h), _floor(made.energies, h), [0.0]
    for b, (lo, hi) in enumerate(pairwise(structures.offsets)):
        own, along = made.forces[lo:hi], step[lo:hi]
        size = np.linalg.norm(own) * np.linalg.norm(along)
        errors.append(abs(wanted[b] + (own * along).sum()) / max(size, floor[b]))
    return max(errors)


def stress_error(network: EnergyNetwork, structures: Structures, h: float = 2e-5, seed: int = 0) -> float:
    """Of σ:ε V against dU/dε ε of every structure along random ε, also turning ones, relative to |σ| |ε| V."""
    strain = np.random.default_rng(seed).standard_normal(structures.cell.shape)
    made = network.predict(structures, forces=False, stress=True)
    wanted = slope(lambda t: network.predict(strained(structures, t * strain), forces=False).energies, h)
    along = np.einsum("bij,bij->b", made.stress, strain) * structures.volume
    sizes = np.linalg.norm(made.stress, axis=(1, 2)) * np.linalg.norm(strain, axis=(1, 2)) * structures.volume
    return float((np.abs(along - wanted) / np.maximum(sizes, _floor(made.energies, h))).max())


def loss_of(network: EnergyNetwork, structures: Structures, weights: LossWeights) -> float:
    """The loss, written out."""
    made = network.predict(structures, stress=weights.stress > 0)
    total = 0.0
    for b, (lo, hi) in enumerate(pairwise(structures.offsets)):
        share = 1 / max(hi - lo, 1) if weights.per_point else 1.0
        total += weights.energy * ((made.energies[b] - structures.energies[b]) * share) ** 2 if weights.energy else 0.0
        if weights.forces:
            total += weights.forces * share * ((made.forces[lo:hi] - structures.forces[lo:hi]) ** 2).sum()
        if weights.stress:
            total += weights.stress * ((made.stress[b] - structures.stress[b]) ** 2).sum()
    return total / len(structures)


def gradient_error(
    network: EnergyNetwork, structures: Structures, weights: LossWeights, h: float = 3e-4, seed: int = 0
) -> float:
    """Of ∂L/∂θ along a random direction of every named parameter, and of them all, relative to |∂L/∂θ|, the greatest.

    Directions have a length of 1.
    """
    loss, gradient = network.loss(structures, weights)
    wanted = loss_of(network, structures, weights)
    assert abs(loss - wanted) <= 1e-12 * wanted
    assert abs(network.loss_alone(structures, weights) - wanted) <= 1e-12 * wanted
    generator, flat = np.random.default_rng(seed), network.parameters.flat
    start, errors = flat.copy(), []
    directions = []
    for name, view in network.parameters.items():
        at = network.parameters.offsets[name]
        direction = np.zeros(flat.size)
        direction[at : at + view.size] = generator.standard_normal(view.size)
        directions.append(direction)
    for each in [*directions, sum(directions)]:
        direction = each / np.linalg.norm(each)

        def moved(t: float, direction=direction) -> float:
            flat[...] = start + t * direction
            return network.loss_alone(structures, weights)

        found = slope(moved, h)
        flat[...] = start
        errors.append(abs(found - direction @ gradient) / np.linalg.norm(gradient))
    return max(errors)
