"""``DirectPlan`` with multipliers that mix channels, against ``LRCPlan`` and the Fourier sum."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative

from lrc_numba import LRCPlan, direct
from lrc_numba.direct import DirectPlan
from lrc_numba.multipliers import Multiplier

CELL, MODES = np.array([[1.0, 0.0], [0.3, 1.2]]), (9, 11)


class Tensor(Multiplier):
    """Three channels from two: even parts with k·k and odd ones with ik."""

    def __init__(self, strength: float = 1.0):
        super().__init__(strength=strength)

    def values(self, modes):
        decay = self.columns()[0] * np.exp(-0.02 * modes.k2)
        k = modes.k
        rows = [
            [1 + 0 * k[:, 0], 0.1 * k[:, 0] ** 2],
            [0.3j * k[:, 1], 2 + 0j * k[:, 0]],
            [0.2j * k[:, 0], k[:, 1] ** 2],
        ]
        return np.array(rows) * decay

    def derivatives(self, modes):
        return {"strength": self.values(modes) / self.columns()[0]}


@pytest.mark.slow
@pytest.mark.parametrize("eps", [1e-4, pytest.param(1e-12, marks=pytest.mark.slow)])
def test_channels_as_on_a_mesh(eps):
    """The operator, its tangent and its transpose agree with those of the engine to its eps."""
    rng = np.random.default_rng(0)
    x, f, g = rng.uniform(size=(12, 2)) @ CELL, rng.normal(size=(12, 2)), rng.normal(size=(12, 3))
    dx, df, multiplier = rng.normal(size=x.shape), rng.normal(size=f.shape), Tensor(0.7)
    plan = DirectPlan(CELL, MODES).set_points(x)
    engine = LRCPlan(CELL, MODES, eps=eps).set_points(x)
    sums = direct.convolve(x, f, multiplier, box=CELL, modes=MODES)
    assert relative(plan.convolve(f, multiplier), sums) < 1e-13  # rounding
    assert relative(plan.jvp(f, multiplier, dx, df), engine.jvp(f, multiplier, dx, df)) < max(1e-10, eps)
    mine, theirs = (p.vjp(f, multiplier, g) for p in (plan, engine))
    for name in ("output", "points", "values"):
        assert relative(getattr(mine, name), getattr(theirs, name)) < max(1e-10, eps), name
    assert relative(mine.parameters["strength"], theirs.parameters["strength"]) < max(1e-10, eps)


def test_channels_that_do_not_fit():
    """Errors name the multiplier."""
    plan = DirectPlan(CELL, MODES).set_points(np.zeros((3, 2)))
    with pytest.raises(ValueError, match="takes 2 channel"):
        plan.convolve(np.zeros((3, 3)), Tensor())
    with pytest.raises(ValueError, match="use vjp"):
        plan.energy(np.zeros((3, 2)), Tensor())
