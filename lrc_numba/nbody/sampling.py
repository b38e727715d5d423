"""Snapshots of points, uniform in each of the unit cells and no two too close, with energies and forces; in files.

(LRC paper, section 5.) All cells of a configuration are drawn at once, and the configuration is drawn again as a whole
until the smallest periodic distance is large enough.
"""

from __future__ import annotations

import json
import operator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from ..files import read_npz, replaced
from ..geometry.neighbours import find_pairs
from .potentials import PairPotential

__all__ = ["Snapshots", "sample_points"]

VERSION = 1
AT_ONCE = 200_000  # coordinates drawn in one call
PAIRS_AT_ONCE = 1 << 16  # whose sums are made in one call
PATIENCE = 5_000_000  # configurations


def sample_points(
    count: int, cells: tuple[int, ...], per_cell: int, cell: float, delta: float, generator: np.random.Generator
) -> np.ndarray:
    """(count, N, d) points in a box of ``cells`` unit cells, N = per_cell × cells.

    Parameters
    ----------
    count : int
        Snapshots.
    cells : d ints
        Unit cells along each axis.
    per_cell : int
        Points in each.
    cell : float
        Its length.
    delta : float
        Smallest distance allowed.
    generator : Generator
        Source of randomness.

    Raises
    ------
    ValueError
        When configurations without too close points are too rare to be found, or there is nothing to draw.
    """
    if np.ndim(cells) != 1:
        raise TypeError(f"cells: expected a tuple of integers, got {cells!r}")
    if count < 1 or per_cell < 1 or min(cells, default=0) < 1:
        raise ValueError(
            f"count, cells, per_cell: expected at least one of each, got {count}, {tuple(cells)}, {per_cell}"
        )
    if len(cells) > 3:
        raise ValueError(f"cells: expected one to three dimensions, got {tuple(cells)}")
    if not 0 < cell < np.inf:
        raise ValueError(f"cell: expected a positive length, got {cell}")
    dim, total = len(cells), int(np.prod(cells)) * per_cell
    ball = {1: delta, 2: np.pi * delta**2 / 4, 3: np.pi * delta**3 / 6}[dim]  # around each point, none meets another
    if not 0 <= delta < np.inf or (total > 1 and total * ball > np.prod(cells) * cell**dim):
        raise ValueError(f"delta: {total} points cannot all be {delta} apart in {tuple(cells)} cells of {cell:g}")
    corners = np.stack(np.meshgrid(*[np.arange(n) for n in cells], indexing="ij"), axis=-1).reshape(-1, dim) * cell
    corners, box = np.repeat(corners, per_cell, axis=0), np.array(cells) * cell
    step = max(1, AT_ONCE // (total * dim))
    accepted: list[np.ndarray] = []
    tried = kept = 0
    while kept < count:
        points = corners + cell * generator.random((step, total, dim))
        good = points[_apart(points, box, delta)]
        accepted.append(good)
        tried, kept = tried + step, kept + len(good)
        if tried > PATIENCE and kept < count:
            raise ValueError(f"delta: {delta} leaves {kept} of {tried} configurations; expected a smaller distance")
    return np.concatenate(accepted)[:count]


def _apart(points: np.ndarray, box: np.ndarray, delta: float) -> np.ndarray:
    """Whether no two points of a configuration are closer than ``delta``, (count,) bool."""
    count, total, dim = points.shape
    good = np.ones(count, dtype=bool)
    if total < 2 or delta == 0:
        return good
    if dim == 1:  # neighbours in order
        ordered = np.sort(points[..., 0], axis=1)
        gaps = np.minimum(np.diff(ordered, axis=1).min(axis=1), ordered[:, 0] + box[0] - ordered[:, -1])
        return gaps >= delta
    offsets = np.arange(0, count * total + 1, total)
    close = find_pairs(points.reshape(-1, dim), delta, box, offsets=offsets, threads=1)
    good[close.first[close.distance < delta] // total] = False
    return good


@dataclass
class Snapshots:
    """Configurations with their energies and forces, and how they were made.

    Attributes
    ----------
    points, forces : (B, N, d) float64
        Positions and forces.
    energies : (B,) float64
        U.
    recipe : dict
        Everything that makes them again: potential, cells, seed, …
    """

    points: np.ndarray
    forces: np.ndarray
    energies: np.ndarray
    recipe: dict

    @staticmethod
    def make(
        potential: PairPotential,
        count: int,
        cells: tuple[int, ...],
        per_cell: int,
        delta: float,
        seed: int,
        progress: bool = True,
    ) -> Snapshots:
        """Sample, and compute energies and forces.

        Parameters
        ----------
        potential : PairPotential
            ψ and the box, which the cells divide evenly.
        count, cells, per_cell, delta
            As for ``sample_points``.
        seed : int
            Of the sampling.
        progress : bool
            Show a bar.
        """
        fit = np.shape(cells) == (potential.dim,) and min(cells) > 0
        sides = np.array(potential.box) / np.array(cells) if fit else np.zeros(2)
        if not fit or not np.allclose(sides, sides[0]):
            raise ValueError(
                f"cells: expected {potential.dim} counts of one cell length in {potential.box}, got {cells}"
            )
        count, per_cell, seed = (operator.index(number) for number in (count, per_cell, seed))
        cells = tuple(operator.index(number) for number in cells)
        points = sample_points(count, cells, per_cell, float(sides[0]), delta, np.random.default_rng(seed))
        at_once = max(16, PAIRS_AT_ONCE // points.shape[1] ** 2)
        steps = tqdm(range(0, count, at_once), leave=False, disable=not progress)
        parts = [potential.energy_forces(points[lo : lo + at_once]) for lo in steps]
        energies, forces = (np.concatenate(part) for part in zip(*parts, strict=True))
        recipe = {"potential": asdict(potential), "count": count, "cells": list(cells), "per_cell": per_cell}
        return Snapshots(points, forces, energies, recipe | {"delta": float(delta), "seed": seed, "version": VERSION})

    @staticmethod
    def again(recipe: dict, progress: bool = True) -> Snapshots:
        """What a recipe made.

        Parameters
        ----------
        recipe : dict
            Of snapshots made before.
        progress : bool
            Show a bar.
        """
        given = {name: recipe[name] for name in ("count", "cells", "per_cell", "delta", "seed")}
        return Snapshots.make(PairPotential(**recipe["potential"]), **given, progress=progress)

    def save(self, path: str | Path) -> None:
        """Write an ``.npz``, atomically."""
        recipe = np.array(json.dumps(self.recipe))
        with replaced(path) as file:
            np.savez(file, points=self.points, forces=self.forces, energies=self.energies, recipe=recipe)

    @staticmethod
    def load(path: str | Path) -> Snapshots:
        """Read what ``save`` wrote; a ValueError that names the file where it is something else."""
        names = ("points", "forces", "energies")
        recipe, arrays = read_npz(path, "lrc_numba snapshots", VERSION, names, header="recipe")
        if any(a.dtype.kind not in "fiu" for a in arrays):
            raise ValueError(f"path: expected real numbers in {path}, got {', '.join(str(a.dtype) for a in arrays)}")
        points, forces, energies = arrays = [a.astype(np.float64, copy=False) for a in arrays]
        if points.ndim != 3 or forces.shape != points.shape or energies.shape != points.shape[:1]:
            shapes = ", ".join(str(a.shape) for a in arrays)
            raise ValueError(f"path: expected shapes (B, N, d), (B, N, d) and (B,) in {path}, got {shapes}")
        if not all(np.isfinite(a).all() for a in arrays):
            raise ValueError(f"path: expected finite numbers in {path}")
        return Snapshots(points, forces, energies, recipe)
