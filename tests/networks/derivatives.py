"""Derivatives of networks against differences of their energies and losses, each relative to its own size.

Differences are over steps that are halved and extrapolated (Richardson), and end where they agree best (Ridders): at
long steps where all is smooth, so that rounding, some units of it over the step, is small beside a small derivative; at
short ones where something bends, a relu or the third derivative of a pair at the cutoff.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights

FORCES, LOSSES = 1e-9, 1e-6  # what errors are held to
FIRST, LEVELS = 4e-3, 9  # the longest step, and how many there are: the last is 1.6e-5
ROUNDING = 16 * np.finfo(np.float64).eps  # of an energy or a loss, relative to it


def slope(function: Callable, bound: float) -> tuple[np.ndarray, np.ndarray]:
    """The derivatives at zero of one or several functions, and the step that rounding in each is over.

    It ends as soon as all agree to a hundredth of a relative bound.
    """
    above: list[np.ndarray] = []
    best, step, least = np.zeros(()), np.full((), np.inf), np.full((), np.inf)
    for h in FIRST / 2.0 ** np.arange(LEVELS):
        row = [np.asarray((function(h) - function(-h)) / (2 * h))]
        for order, coarse in enumerate(above, 1):
            row.append(row[-1] + (row[-1] - coarse) / (4.0**order - 1))
            apart = np.maximum(np.abs(row[-1] - row[-2]), np.abs(row[-1] - coarse))
            better = apart < least
            best, step, least = (np.where(better, *pair) for pair in ((row[-1], best), (h, step), (apart, least)))
        above = row
        if (least <= 0.01 * bound * np.abs(best)).all():
            break
    return best, step


def strained(structures: Structures, strain: np.ndarray) -> Structures:
    """Positions and cells times 1 + ε, with an ε (B, d, d) for each structure."""
    factor = np.eye(structures.dim) + strain
    positions = np.einsum("na,nab->nb", structures.positions, factor[structures.structure_of])
    return replace(structures, positions=positions, cell=structures.cell @ factor)


def _of_energies(made, structures: Structures) -> np.ndarray:
    """What energies are rounded in proportion to, (B,): the terms of their sums, and what is of order one in these."""
    terms = np.zeros(len(structures))
    np.add.at(terms, structures.structure_of, np.abs(made.potentials))
    return np.maximum(terms, 1.0)


def _relative(own: np.ndarray, wanted: np.ndarray, sizes: np.ndarray, noise: np.ndarray, bound: float) -> float:
    """Differences over sizes, the greatest; over larger ones where rounding alone would be more than the bound."""
    return float((np.abs(own - wanted) / np.maximum(sizes, noise / bound)).max(initial=0.0))


def force_error(network: EnergyNetwork, structures: Structures, seed: int = 0) -> float:
    """Of F·d against −dU/dx d of every structure along random d, relative to |F| |d|, the greatest."""
    step, made = np.random.default_rng(seed).standard_normal(structures.positions.shape), network.predict(structures)

    def energies(t: float) -> np.ndarray:
        moved = replace(structures, positions=structures.positions + t * step)
        return network.predict(moved, forces=False).energies

    gained, h = slope(energies, FORCES)
    ends = list(pairwise(structures.offsets))
    work = np.array([(made.forces[lo:hi] * step[lo:hi]).sum() for lo, hi in ends])
    sizes = np.array([np.linalg.norm(made.forces[lo:hi]) * np.linalg.norm(step[lo:hi]) for lo, hi in ends])
    return _relative(work, -gained, sizes, ROUNDING * _of_energies(made, structures) / h, FORCES)


def stress_error(network: EnergyNetwork, structures: Structures, seed: int = 0) -> float:
    """Of σ:ε V against dU/dε ε of every structure along random ε, also turning ones, relative to |σ| |ε| V."""
    strain = np.random.default_rng(seed).standard_normal(structures.cell.shape)
    made = network.predict(structures, stress=True)
    gained, h = slope(lambda t: network.predict(strained(structures, t * strain), forces=False).energies, FORCES)
    along = np.einsum("bij,bij->b", made.stress, strain) * structures.volume
    sizes = np.linalg.norm(made.stress, axis=(1, 2)) * np.linalg.norm(strain, axis=(1, 2)) * structures.volume
    return _relative(along, gained, sizes, ROUNDING * _of_energies(made, structures) / h, FORCES)


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


def gradient_errors(
    network: EnergyNetwork, structures: Structures, weights: LossWeights, seed: int = 0
) -> dict[str, float]:
    """Of ∂L/∂θ by each named parameter, relative to that derivative itself, and by all of them together.

    Directions are halfway between the gradient, so that a small error of its length shows, and a random one.
    """
    loss, gradient = network.loss(structures, weights)
    wanted = loss_of(network, structures, weights)
    assert abs(loss - wanted) <= 1e-12 * wanted
    assert abs(network.loss_alone(structures, weights) - wanted) <= 1e-12 * wanted
    generator, flat = np.random.default_rng(seed), network.parameters.flat
    start, errors = flat.copy(), {}
    views = {name: slice(at, at + network.parameters[name].size) for name, at in network.parameters.offsets.items()}
    for name, view in (views | {"all": slice(None)}).items():
        direction, own = np.zeros(flat.size), gradient[view]
        drawn = generator.standard_normal(own.size)
        drawn *= (1 if drawn @ own >= 0 else -1) / np.linalg.norm(drawn)
        direction[view] = drawn + own / (np.linalg.norm(own) or 1.0)
        direction /= np.linalg.norm(direction)

        def moved(t: float, direction=direction) -> float:
            flat[...] = start + t * direction
            return network.loss_alone(structures, weights)

        rise, h = slope(moved, LOSSES)
        flat[...] = start
        along = np.asarray(direction @ gradient)
        errors[name] = _relative(along, rise, np.abs(along), ROUNDING * wanted / h, LOSSES)
    return errors


def gradient_error(network: EnergyNetwork, structures: Structures, weights: LossWeights, seed: int = 0) -> float:
    """The greatest of ``gradient_errors``."""
    return max(gradient_errors(network, structures, weights, seed).values())
