"""Few points are not sorted on grids of many tiles; what was computed before makes no difference."""

from __future__ import annotations

import numpy as np
import pytest

from lrc_numba import LRCPlan
from lrc_numba.engine.grid.grid import FEW
from lrc_numba.multipliers import Gaussian


@pytest.mark.slow
@pytest.mark.parametrize("nodes", [None, 36])
def test_few_and_many_in_turns(nodes):
    """A plan that had few points, then many, then few again gives the bits of a new one."""
    rng, multiplier = np.random.default_rng(0), Gaussian(0.1)
    plan = LRCPlan(1.0, (15, 15, 15), eps=1e-4, nodes=nodes, threads=1)
    for count in (FEW // 8, FEW + 1, FEW // 8):
        x, f = rng.random((count, 3)), rng.standard_normal(count)
        new = LRCPlan(1.0, (15, 15, 15), eps=1e-4, nodes=nodes, threads=1).set_points(x)
        assert np.array_equal(plan.set_points(x).convolve(f, multiplier), new.convolve(f, multiplier))
        if nodes is not None:
            assert (max(plan.grid.layout.tiles) == 1) == (count <= FEW)
