"""Explicit sums in place of a mesh, where points are few."""

from __future__ import annotations

import numpy as np
import pytest
from ionic import salt

from lrc_numba import LRCPlan
from lrc_numba.direct import DirectPlan
from lrc_numba.electrostatics import (
    DipoleEwaldCalculator,
    DipoleMeshCalculator,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    ProlateCoulombPotential,
)

pytestmark = pytest.mark.explicit_sums
EVERYTHING = {"forces": True, "stress": True, "charge_gradient": True, "parameter_gradient": True}


def plan_of(calculator, x, cell):
    """What sums over modes are done by."""
    return calculator.long_range(x, cell, (True,) * 3).plan


@pytest.mark.parametrize("lengths", [[1, 1, -1], pytest.param([0.6, 1, 1.5], marks=pytest.mark.slow)])
def test_the_same_as_ewald(lengths):
    """All modes that Ewald's sum has, to rounding; of a mesh the same to its error."""
    x, q, cell = salt(8)
    x, cell = x * lengths, cell * lengths  # also left-handed
    potential = InversePowerLawPotential(1.0, smearing=0.8)
    few, mesh = (MeshCalculator(potential, 3.5, 9.0, eps=1e-5, explicit_sums=e) for e in (True, False))
    assert isinstance(plan_of(few, x, cell), DirectPlan)
    assert isinstance(plan_of(mesh, x, cell), LRCPlan)
    wanted = EwaldCalculator(potential, 3.5, 9.0).compute(x, q, cell, **EVERYTHING)
    for calculator, bound in ((few, 1e-12), (mesh, 1e-4)):
        own = calculator.compute(x, q, cell, **EVERYTHING)
        scale = max(np.abs(wanted.forces).max(), 1.0)
        assert abs(own.energy - wanted.energy) <= bound * scale
        for name in ("forces", "stress", "charge_gradient"):
            assert np.abs(getattr(own, name) - getattr(wanted, name)).max() <= bound * scale, name
        for name, slope in wanted.parameter_gradient.items():
            assert abs(own.parameter_gradient[name] - slope) <= bound * scale, name


def test_a_setting_that_changes():
    """It holds from the next call on, whatever plans were made before."""
    x, _, cell = salt(8)
    calculator = MeshCalculator(ProlateCoulombPotential(3.0, 8.0), 3.0)
    for explicit, kind in ((True, DirectPlan), (False, LRCPlan), (True, DirectPlan)):
        calculator.explicit_sums = explicit
        assert isinstance(plan_of(calculator, x, cell), kind)


def test_many_points_have_a_mesh():
    generator = np.random.default_rng(0)
    calculator = MeshCalculator(ProlateCoulombPotential(3.0, 8.0), 3.0)
    for count, kind in ((16, DirectPlan), (600, LRCPlan), (16, DirectPlan)):
        assert isinstance(plan_of(calculator, 9 * generator.random((count, 3)), 9 * np.eye(3)), kind)


def test_results_do_not_depend_on_what_came_before():
    """Bit for bit, with fewer points and other cells in between."""
    x, q, cell = salt(8)
    potential = ProlateCoulombPotential(3.0, 8.0)
    calculator, fresh = MeshCalculator(potential, 3.0), MeshCalculator(potential, 3.0)
    wanted = fresh.compute(x, q, cell, forces=True, stress=True)
    for scale, some in ((1.1, slice(None)), (1.0, slice(0, 5)), (0.9, slice(2, None))):
        calculator.compute(scale * x[some], q[some], scale * cell, forces=True)
    own = calculator.compute(x, q, cell, forces=True, stress=True)
    np.testing.assert_array_equal(own.forces, wanted.forces)
    np.testing.assert_array_equal(own.stress, wanted.stress)


def test_frozen_modes_are_kept():
    x, q, cell = salt(8)
    calculator = MeshCalculator(ProlateCoulombPotential(3.0, 8.0), 3.0)
    calculator.compute(x, q, cell)
    modes = calculator.long_range(x, cell, (True,) * 3).modes
    calculator.freeze_mesh()
    with pytest.warns(UserWarning, match="grown by up to"):
        calculator.compute(1.4 * x, q, 1.4 * cell)
    assert calculator.long_range(1.4 * x, 1.4 * cell, (True,) * 3).modes == modes
    calculator.unfreeze_mesh()
    assert calculator.long_range(1.4 * x, 1.4 * cell, (True,) * 3).modes > modes


def test_single_precision():
    """Results are float32, and right to its rounding, whatever precision positions and charges come in."""
    x, q, cell = salt(8)
    potential = InversePowerLawPotential(1.0, smearing=0.8)
    wanted = EwaldCalculator(potential, 3.5, 9.0).compute(x, q, cell, forces=True)
    calculator = MeshCalculator(potential, 3.5, 9.0, dtype=np.float32)
    for dtype in (np.float32, np.float64):
        own = calculator.compute(x.astype(dtype), q.astype(dtype), cell, **EVERYTHING)
        assert isinstance(plan_of(calculator, x, cell), DirectPlan)
        assert own.forces.dtype == own.potential.dtype == np.float32
        scale = np.abs(wanted.forces).max()
        assert np.abs(own.forces - wanted.forces).max() <= 1e-5 * scale  # positions of float32 are off by 1e-7 each


def test_dipoles():
    """The same as by Ewald's sum of them, to rounding."""
    x, _, cell = salt(8)
    dipoles = np.random.default_rng(1).standard_normal((8, 3))
    potential = InversePowerLawPotential(1.0, smearing=0.8)
    few = DipoleMeshCalculator(potential, 3.5, 9.0, eps=1e-7)
    assert isinstance(plan_of(few, x, cell), DirectPlan)
    own = few.compute(x, dipoles, cell, forces=True, stress=True)
    wanted = DipoleEwaldCalculator(potential, 3.5, 9.0).compute(x, dipoles, cell, forces=True, stress=True)
    for name in ("forces", "stress"):
        size = np.abs(getattr(wanted, name)).max()
        assert np.abs(getattr(own, name) - getattr(wanted, name)).max() <= 1e-12 * size, name
