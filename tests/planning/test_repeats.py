"""Energies of the same values at other and other points are those of ``set_points`` and ``energy``."""

from __future__ import annotations

import numpy as np
import pytest

from lrc_numba import LRCPlan
from lrc_numba.direct import DirectPlan
from lrc_numba.multipliers import Gaussian

CELL = np.array([[1.0, 0.0, 0.0], [0.3, 0.9, 0.0], [-0.2, 0.1, 1.1]])
WIDTH = 0.25
PLANS = {
    "one tile": lambda: LRCPlan(CELL, (7, 5, 9), eps=1e-6, nodes=(16, 16, 20), threads=1),
    "two threads": lambda: LRCPlan(CELL, (7, 5, 9), eps=1e-6, nodes=(16, 16, 20), threads=2),
    "many tiles": lambda: LRCPlan(CELL, (7, 5, 9), eps=1e-6, nodes=72, threads=1),
    "two dimensions": lambda: LRCPlan(CELL[1:, 1:], (7, 5), eps=1e-6, threads=1),
    "explicit sums": lambda: DirectPlan(CELL, (7, 5, 9)),
}


def modes_of(plan):
    """The stored modes."""
    return plan.mode_set if isinstance(plan, DirectPlan) else plan.grid.mode_set


def tangents_of(modes) -> np.ndarray:
    """Of φ̂/V, times V, along strains of the axes: −2 (dφ̂/dk²) k_a k_a − φ̂."""
    values, slope = Gaussian(WIDTH).values(modes), Gaussian(WIDTH).k2_derivative(modes)
    return np.stack([-2.0 * slope * modes.k[:, a] ** 2 - values for a in range(modes.dim)])


@pytest.mark.parametrize("kind", PLANS)
@pytest.mark.parametrize("channels", [1, 3])
def test_points_that_move(kind, channels):
    """u, the gradient, and how the energy changes along tangents of the multiplier, with points anywhere."""
    rng, plan, usual = np.random.default_rng(0), PLANS[kind](), PLANS[kind]()
    modes, multiplier = modes_of(plan), Gaussian(WIDTH)
    f, dim = rng.standard_normal((60, channels)), modes.dim
    repeated = plan.repeat_energy(rng.random((60, dim)), f, multiplier, tangents_of(modes))
    plain = PLANS[kind]().repeat_energy(rng.random((60, dim)), f, multiplier)
    for far in (1.0, 3.0, 1.0):
        x = far * rng.standard_normal((60, dim))
        repeated(x)
        plain(x)
        expected = usual.set_points(x).energy(f, multiplier, wrt=("points", "cell"))
        # The same sums, of other blocks of modes and in another order.
        for each in (repeated, plain):
            np.testing.assert_allclose(each.output, expected.output, rtol=0, atol=1e-13 * np.abs(expected.output).max())
            bound = 1e-13 * np.abs(expected.points).max()
            np.testing.assert_allclose(each.gradient, expected.points, rtol=0, atol=bound)
        bound = 1e-13 * np.abs(expected.cell).max()
        np.testing.assert_allclose(repeated.along, np.diag(expected.cell), rtol=0, atol=bound)


@pytest.mark.parametrize("kind", [kind for kind in PLANS if kind != "explicit sums"])
def test_snapshots_that_move(kind):
    """Of several snapshots output and gradient are those of each, and what changes along tangents that of their sum."""
    rng, plan, usual = np.random.default_rng(1), PLANS[kind](), PLANS[kind]()
    modes, multiplier = modes_of(plan), Gaussian(WIDTH)
    f = rng.standard_normal((4, 30, 1))
    repeated = plan.repeat_energy(rng.random((4, 30, modes.dim)), f, multiplier, tangents_of(modes))
    for _ in range(3):
        x = rng.standard_normal((4, 30, modes.dim))
        repeated(x.reshape(-1, modes.dim))
        parts = [usual.set_points(x[b]).energy(f[b], multiplier, wrt=("points", "cell")) for b in range(4)]
        bound = 1e-13 * max(np.abs(part.output).max() for part in parts)
        np.testing.assert_allclose(repeated.output.reshape(4, 30, 1), [p.output for p in parts], rtol=0, atol=bound)
        bound = 1e-13 * max(np.abs(part.points).max() for part in parts)
        gradient = repeated.gradient.reshape(4, 30, modes.dim)
        np.testing.assert_allclose(gradient, [p.points for p in parts], rtol=0, atol=bound)
        cell = np.sum([part.cell for part in parts], axis=0)
        np.testing.assert_allclose(repeated.along, np.diag(cell), rtol=0, atol=1e-13 * np.abs(cell).max())
