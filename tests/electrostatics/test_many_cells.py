"""A calculator that sees one cell after another, as at constant pressure, keeps few plans and forgets none of them."""

from __future__ import annotations

import numpy as np
import pytest
from ionic import salt
from measures import relative

from lrc_numba.electrostatics import CoulombPotential, EwaldCalculator, MeshCalculator


@pytest.mark.parametrize("calculator", [EwaldCalculator, pytest.param(MeshCalculator, marks=pytest.mark.slow)])
def test_a_new_cell_after_many_others(calculator):
    """Plans are moved to other cells from the ninth on; results are those of a new calculator."""
    x, q, cell = salt(4)
    kept = calculator(CoulombPotential(0.6), 3.0, k_cutoff=6.0)
    for scale in 1.0 + 1e-3 * np.arange(10):
        found = kept.compute(x * scale, q, cell * scale, forces=True, stress=True)
        expected = calculator(CoulombPotential(0.6), 3.0, k_cutoff=6.0).compute(
            x * scale, q, cell * scale, forces=True, stress=True
        )
        for name in ("potential", "forces", "stress"):
            # A new plan may have another number of nodes: to eps = 1e-6 of a mesh.
            assert relative(getattr(found, name), getattr(expected, name)) < 1e-6, (scale, name)
