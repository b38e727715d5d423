"""What error estimates ask of a system: how much charge is around a charge, and what the modes' cell is."""

from __future__ import annotations

from dataclasses import dataclass
from math import pi

import numpy as np

from ..boundaries import Boundary, choose_boundary
from ..potentials import Potential

__all__ = ["System", "exits"]

IN_A_BIN = 16.0  # points, on average, in bins with any: with fewer they would count themselves for too much
FINER = 0.85  # steps in which bins get smaller
MOST_BINS = 200  # along an axis
DIRECTIONS = 400


@dataclass(frozen=True)
class System:
    r"""Charges, seen as a density that varies slowly and correlates with nothing.

    With q_i·q_j summed over channels, the error of forces is ΔF² = strength ∫ |Δf(r)|² d³r for an error Δf of the force
    between two unit charges: (Σq²)²/(NV) where the density is even (Kolafa, Perram 1992), and otherwise ⟨q_i² ρ(i)⟩
    with ρ(i) the density of q² around i. So V does not matter where it is mostly empty.

    Attributes
    ----------
    positions : (N, 3) float64
        Units of length.
    charges : (N, C) float64
        q.
    cell : (3, 3) float64
        Lattice vectors.
    periodic : three bools
        Along which there are images.
    strength : float
        ⟨q_i² ρ(i)⟩, charge⁴ per volume.
    fourth : float
        ⟨q⁴⟩.
    density : float
        Points per volume around a point.
    evenness : float
        √(⟨q_i² ρ(i)⟩/(⟨q²⟩ρ)), 1 for an even density: what the estimates of an even density are multiplied with.
    """

    positions: np.ndarray
    charges: np.ndarray
    cell: np.ndarray
    periodic: tuple[bool, bool, bool]
    strength: float
    fourth: float
    density: float
    evenness: float

    @classmethod
    def of(cls, positions: np.ndarray, charges: np.ndarray, cell: np.ndarray, periodic) -> System:
        """Densities by counting in bins.

        Parameters
        ----------
        positions : (N, 3)
            Points, N ≥ 1.
        charges : (N, C)
            q.
        cell : (3, 3)
            Lattice vectors, zeros for open axes without one.
        periodic : three bools
            Along which there are images.
        """
        flags = bool(periodic[0]), bool(periodic[1]), bool(periodic[2])
        box, fractions = _box(positions, cell, flags)
        volume = abs(float(np.linalg.det(box)))
        count, lengths = len(positions), np.linalg.norm(box, axis=1)
        side, shape = lengths.max() / FINER, np.ones(3, dtype=int)
        numbers, of_point = np.zeros(1), np.zeros(count, dtype=int)
        while count > IN_A_BIN * len(numbers):
            side *= FINER
            shape = np.maximum(1, (lengths / side).astype(int))
            bins = np.ravel_multi_index(tuple(np.minimum((fractions * shape).astype(int), shape - 1).T), tuple(shape))
            numbers, of_point = np.unique(bins, return_inverse=True)
            if side < lengths.max() / MOST_BINS:
                break
        per_bin = volume / float(np.prod(shape))
        moments = np.zeros((len(numbers), charges.shape[1], charges.shape[1]))
        np.add.at(moments, of_point, charges[:, :, None] * charges[:, None, :])
        strength = float(np.einsum("ba,bac,bc->", charges, moments[of_point], charges)) / (count * per_bin)
        even = float(np.sum((charges.T @ charges) ** 2)) / (count * volume)
        density = float(np.bincount(of_point)[of_point].mean()) / per_bin
        fourth = float(np.mean(np.sum(charges**2, axis=1) ** 2))
        return cls(
            positions, charges, cell, flags, strength, fourth, density, (strength / even) ** 0.5 if even else 1.0
        )  # type: ignore[arg-type]

    @property
    def count(self) -> int:
        """N."""
        return len(self.positions)

    def scale(self, potential: Potential) -> float:
        """The force between a typical charge and another at a typical distance: forces are about so large.

        Parameters
        ----------
        potential : Potential
            Of it the bare v.
        """
        distance = self.density ** (-1 / 3)
        return self.fourth**0.5 * abs(float(potential.bare_slope(np.array([distance]))[0])) * distance

    def boundary(self, potential: Potential) -> Boundary:
        """The cell of the modes for a potential.

        Parameters
        ----------
        potential : Potential
            Divided.
        """
        return choose_boundary(potential, self.positions, self.cell, self.periodic)


def directions() -> np.ndarray:
    """Unit vectors spread evenly over a half sphere, (D, 3): a Fibonacci lattice."""
    i = np.arange(DIRECTIONS) + 0.5
    z, turn = i / DIRECTIONS, pi * (1 + 5**0.5) * i
    across = np.sqrt(1 - z**2)
    return np.stack([across * np.cos(turn), across * np.sin(turn), z], axis=1)


def exits(cell: np.ndarray, kept) -> np.ndarray:
    """k at which directions leave the region of the kept modes, |n_a| ≤ K_a + ½, (D,).

    Parameters
    ----------
    cell : (3, 3)
        Lattice vectors of the modes.
    kept : three numbers
        K.
    """
    along = np.abs(directions() @ cell.T) / (2 * pi)  # n = A k/2π
    return 1 / np.max(along / (np.array(kept) + 0.5), axis=1)


def _box(positions: np.ndarray, cell: np.ndarray, flags) -> tuple[np.ndarray, np.ndarray]:
    """Edge vectors of the region that points may be in, rows, and fractions of them in [0, 1)."""
    box = np.array(cell, dtype=np.float64)
    start = np.zeros(3)
    if not all(flags):
        basis = _completed(box, flags)
        along = positions @ np.linalg.inv(basis)
        low, extent = along.min(axis=0), np.ptp(along, axis=0)
        spare = max(float(extent[~np.array(flags)].max()), 1e-300) / max(2.0, len(positions) ** 0.5)
        for a in range(3):
            if not flags[a]:
                start[a] = low[a]
                box[a] = basis[a] * max(float(extent[a]), spare)  # flat ones are given some thickness
                start[a] = low[a] / max(float(extent[a]), spare)
    fractions = positions @ np.linalg.inv(box) - start
    fractions = np.where(np.array(flags), fractions - np.floor(fractions), fractions)
    return box, np.clip(fractions, 0.0, 1.0 - 1e-12)


def _completed(cell: np.ndarray, flags) -> np.ndarray:
    """Lattice vectors with unit vectors across them for open axes."""
    basis = np.array(cell, dtype=np.float64)
    rows = [a for a in range(3) if flags[a]]
    across = np.linalg.svd(basis[rows])[2][len(rows) :] if rows else np.eye(3)
    for a, vector in zip([a for a in range(3) if not flags[a]], across, strict=True):
        basis[a] = vector
    return basis
