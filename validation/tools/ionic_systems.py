"""Ionic crystals and water for measurements: positions, charges and cell, in angstrom and elementary charges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

__all__ = ["Ions", "perturbed_nacl", "water"]


@dataclass(frozen=True)
class Ions:
    """Charges in a periodic cell.

    Attributes
    ----------
    name : str
        For tables.
    positions : (N, 3) float64
        Angstrom, in the cell.
    charges : (N,) float64
        Elementary charges.
    cell : (3, 3) float64
        Lattice vectors as rows.
    """

    name: str
    positions: np.ndarray
    charges: np.ndarray
    cell: np.ndarray


def perturbed_nacl(cells: int, noise: float = 0.2, seed: int = 0) -> Ions:
    """Rock salt, each ion moved at random, in an order that has nothing to do with where they are.

    Parameters
    ----------
    cells : int
        Along each axis, of eight ions each.
    noise : float
        Standard deviation of each coordinate, angstrom.
    seed : int
        Of the generator.
    """
    rng, length = np.random.default_rng(seed), 5.64
    sites = np.stack(np.meshgrid(*[np.arange(2 * cells)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    positions = sites * length / 2 + noise * rng.standard_normal(sites.shape)
    order = rng.permutation(len(sites))
    charges = 1.0 - 2.0 * (sites.sum(axis=1) % 2)
    cell = length * cells * np.eye(3)
    return Ions(f"NaCl {len(sites):,}", positions[order] % (length * cells), charges[order], cell)


def water(side: int, seed: int = 0) -> Ions:
    """Rigid molecules of SPC/E geometry and charges at the density of water, turned at random, on a jittered lattice.

    Parameters
    ----------
    side : int
        Molecules along each axis.
    seed : int
        Of the generator.
    """
    rng, length = np.random.default_rng(seed), (side**3 / 0.0334) ** (1 / 3)
    sites = np.stack(np.meshgrid(*[np.arange(side)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    oxygens = (sites + 0.5 + 0.1 * rng.uniform(-1, 1, sites.shape)) * length / side
    angle = np.deg2rad(109.47)
    arms = np.array([[1.0, 0.0, 0.0], [np.cos(angle), np.sin(angle), 0.0]])
    turns = Rotation.random(len(oxygens), random_state=seed).as_matrix()
    hydrogens = oxygens[:, None] + np.einsum("nab,hb->nha", turns, arms)
    positions = np.concatenate([oxygens[:, None], hydrogens], axis=1).reshape(-1, 3) % length
    return Ions(
        f"water {len(positions):,}", positions, np.tile([-0.8476, 0.4238, 0.4238], len(oxygens)), length * np.eye(3)
    )
