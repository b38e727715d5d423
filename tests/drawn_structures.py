"""Structures for tests of networks: ragged, in cells of their own or without one, no two points near each other."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
from hypothesis import strategies as st
from strategies import seeds

from lrc_numba.geometry.structures import Structures

SPECIES = (1, 6, 8)
APART = 0.5  # least distance: 1/r and its derivatives stay moderate


def _apart(points: np.ndarray, cell: np.ndarray | None, least: float) -> bool:
    """Whether all points, and their images, keep a distance."""
    dim = points.shape[1]
    shifts = np.zeros((1, dim))
    if cell is not None:
        shifts = np.stack(np.meshgrid(*[(-1, 0, 1)] * dim, indexing="ij"), -1).reshape(-1, dim) @ cell
    difference = points[:, None, None] - points[None, :, None] - shifts
    distances = np.linalg.norm(difference, axis=-1)
    distances[np.arange(len(points)), np.arange(len(points)), len(shifts) // 2] = np.inf
    return bool((distances > least).all())


def points_in(count: int, cell: np.ndarray, periodic: bool, generator, least: float = APART) -> np.ndarray:
    """Random points, drawn one after the other, each not near those before it."""
    points = np.empty((0, len(cell)))
    for _ in range(10_000):
        if len(points) == count:
            return points
        more = np.vstack([points, generator.random((1, len(cell))) @ cell])
        if _apart(more, cell if periodic else None, least):
            points = more
    raise AssertionError(f"no room for {count} points in {cell.tolist()}")


def random_cell(dim: int, side: float, generator) -> np.ndarray:
    """A skewed cell with sides of about ``side``."""
    return side * (
        np.eye(dim) * generator.uniform(0.9, 1.1, dim) + np.triu(generator.uniform(-0.3, 0.3, (dim, dim)), 1)
    )


def make_structures(
    dim: int,
    counts: tuple[int, ...] = (5, 1, 7),
    sides: tuple[float, ...] | None = None,
    periodic: bool = True,
    seed: int = 0,
) -> Structures:
    """Structures with species, charges, energies, forces and stresses, all of them random.

    Parameters
    ----------
    dim : int
        d.
    counts : tuple of int
        Points of each.
    sides : tuple of float, optional
        Of the cell of each; by default with one to three points in the volume of a neighbourhood.
    periodic : bool
        Whether there are cells.
    seed : int
        Of the numbers.
    """
    generator = np.random.default_rng([seed, dim, periodic])
    if sides is None:
        sides = tuple(max(1.4 * count ** (1 / dim), 2.0) if dim > 1 else max(1.2 * count, 2.0) for count in counts)
    cells = np.array([random_cell(dim, side, generator) for side in sides]).reshape(-1, dim, dim)
    points = [points_in(n, cell, periodic, generator) for n, cell in zip(counts, cells, strict=True)]
    total, batch = sum(counts), len(counts)
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    stress = generator.standard_normal((batch, dim, dim))
    return Structures.from_arrays(
        np.concatenate([np.empty((0, dim)), *points]),
        cells if periodic else None,
        offsets=offsets,
        species=generator.choice(SPECIES, total),
        charges=generator.standard_normal(total),
        energies=generator.standard_normal(batch),
        forces=generator.standard_normal((total, dim)),
        stress=(stress + stress.transpose(0, 2, 1)) / 2,
    )


@st.composite
def drawn_structures(draw, dim: int, periodic: bool, most: int = 6):
    """One to three structures of one to ``most`` points each."""
    counts = tuple(draw(st.lists(st.integers(1, most), min_size=1, max_size=3)))
    return make_structures(dim, counts, periodic=periodic, seed=draw(seeds))


def assert_same(made: Structures, expected: Structures) -> None:
    """All that there is of both is equal, bit for bit."""
    for name in (field.name for field in fields(Structures)):
        left, right = getattr(made, name), getattr(expected, name)
        assert (left is None) == (right is None), name
        if left is not None:
            np.testing.assert_array_equal(left, right, err_msg=name, strict=True)
