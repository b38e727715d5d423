"""The eps of plans for kernels that fall off: the one that was asked for is kept, with less than it takes elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative
from strategies import random_numbers

from lrc_numba.attention import ReciprocalSpaceAttention
from lrc_numba.networks.parts.series_end import LOOSEST, eased

SIDE = 12.0
CELL = SIDE * np.eye(3)


@pytest.mark.parametrize("eps", [1e-2, pytest.param(1e-3, marks=pytest.mark.slow), 1e-4])
@pytest.mark.parametrize("sigma", [0.8, pytest.param(1.6, marks=pytest.mark.slow), 3.0])
def test_a_mesh_keeps_eps(sigma, eps):
    """Of the terms of points, which are summed over the same modes by matrices; with many modes and with few."""
    points, own = random_numbers(1, 300, 3) * SIDE, [random_numbers(i, 300, 1, 2) - 0.5 for i in (2, 3, 4)]
    options = {"sigma": sigma, "eps": eps, "threads": 1}
    exact, mesh = (ReciprocalSpaceAttention(1, 2, 2, method=name, **options) for name in ("pairs", "mesh"))
    wanted = exact.set_points(points, CELL)(*own)
    error = relative(mesh.set_points(points, CELL)(*own), wanted)
    assert error <= eps


def coulomb(k2: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * k2) / k2


def gaussian(k2: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * k2)


def flat(k2: np.ndarray) -> np.ndarray:
    return np.ones(len(k2))


def test_the_faster_a_kernel_falls_the_more_is_gained():
    """And with few modes less than with many."""
    gains = [eased(1e-5, CELL, (15, 15, 15), decay) / 1e-5 for decay in (flat, gaussian, coulomb)]
    assert 1.0 <= gains[0] < gains[1] < gains[2]
    assert gains[2] > 10
    assert eased(1e-5, CELL, (3, 3, 3), coulomb) / 1e-5 < gains[2] / 3


def test_bounds():
    """Not below what was asked for, not above what plans take, and as asked where there is no mode but k = 0."""
    skewed = CELL + np.triu(np.full((3, 3), 4.0), 1)
    assert eased(0.5, CELL, (15, 15, 15), coulomb) == 0.5
    assert eased(0.05, skewed, (15, 15, 15), coulomb) == LOOSEST
    assert eased(1e-3, CELL, (1, 1, 1), coulomb) == 1e-3
