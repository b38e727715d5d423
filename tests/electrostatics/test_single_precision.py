"""Calculators in float32: forces near those in float64, and stresses that are derivatives of the computed energy."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative

from lrc_numba.electrostatics import (
    Calculator,
    CoulombPotential,
    EwaldCalculator,
    MeshCalculator,
    P3MCalculator,
    PMECalculator,
    ProlateCoulombPotential,
)

CELL = np.array([[6.2, 0.4, -0.8], [1.0, -0.6, 6.8], [-1.4, 5.8, 1.2]])  # left-handed
SIGMA = 0.8
BOUND = 1e-5  # of forces, relative to their root mean square; measured are 2e-7 to 2e-6
SLOW = pytest.mark.slow


def ions() -> tuple[np.ndarray, np.ndarray]:
    """27 points none of which are close together, and charges that nearly alternate."""
    rng = np.random.default_rng(0)
    sites = np.indices((3, 3, 3)).reshape(3, -1).T
    return (sites + 0.6 * rng.random(sites.shape)) / 3 @ CELL, rng.permutation((-1.0) ** np.arange(27))


def make(kind: str, dtype) -> Calculator:
    potential = CoulombPotential(SIGMA)
    cutoff = potential.reach(1e-12)  # pairs that come and go have no part in the energy of float32
    if kind == "ewald":
        return EwaldCalculator(potential, cutoff, dtype=dtype)
    if kind == "mesh":
        return MeshCalculator(potential, cutoff, dtype=dtype)
    if kind == "prolate":
        return MeshCalculator(ProlateCoulombPotential(4.0, 36.0), 4.0, eps=1e-5, dtype=dtype)
    name, _, own = kind.partition(" ")
    method = {"pme": PMECalculator, "p3m": P3MCalculator}[name]
    return method(potential, cutoff, nodes=(15, 16, 18), remove_self_interaction=bool(own), dtype=dtype)


KINDS = ["ewald", "mesh", pytest.param("prolate", marks=SLOW), "p3m own", pytest.param("p3m", marks=SLOW)]
KINDS += [pytest.param(kind, marks=SLOW) for kind in ("pme", "pme own")]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_results_are_those_of_double_precision(kind):
    """What differs is rounding, of forces within 1e-5 of their root mean square, and of all else as well."""
    positions, charges = ions()
    double, single = (
        make(kind, dtype).compute(positions, charges, CELL, forces=True, stress=True, charge_gradient=True)
        for dtype in (np.float64, np.float32)
    )
    for name in ("potential", "forces", "charge_gradient"):
        assert getattr(single, name).dtype == np.float32
        assert relative(getattr(single, name), getattr(double, name)) <= BOUND, name
    assert relative(single.stress, double.stress) <= BOUND
    assert single.energy == pytest.approx(double.energy, rel=BOUND)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_stress_is_the_derivative_of_the_energy(kind):
    """Against a difference of eighth order: with h = 0.02 its own error is 1e-9, and energies of float32, rounded to
    some 1e-7 of themselves, leave 1e-5 of the size of the strain's derivative, which is about the energy."""
    positions, charges = ions()
    calculator = make(kind, np.float32)
    strain = np.random.default_rng(1).standard_normal((3, 3))
    strain = (strain + strain.T) / np.linalg.norm(strain + strain.T)

    def energy(h: float) -> float:
        deformation = np.eye(3) + h * strain
        return calculator.compute(positions @ deformation, charges, CELL @ deformation).energy

    h, weights = 0.02, (4 / 5, -1 / 5, 4 / 105, -1 / 280)
    wanted = sum(w * (energy(n * h) - energy(-n * h)) for n, w in enumerate(weights, 1)) / h
    made = calculator.compute(positions, charges, CELL, stress=True)
    volume = abs(np.linalg.det(CELL))
    assert abs(volume * np.sum(made.stress * strain) - wanted) <= 2 * BOUND * volume * np.linalg.norm(made.stress)


@pytest.mark.slow
def test_far_from_the_origin():
    """The same bits a thousand cells away: positions are multiples of 2⁻¹² and the way a power of two, so exact."""
    rng = np.random.default_rng(0)
    points, charges = np.round(8 * rng.random((20, 3)) * 2**12) / 2**12, np.tile([1.0, -1.0], 10)
    calculator = PMECalculator(CoulombPotential(SIGMA), 4.0, 0.6, dtype=np.float32)
    here, far = (calculator.compute(points + way, charges, 8.0, forces=True) for way in (0.0, 2.0**13))
    np.testing.assert_array_equal(far.forces, here.forces)
    assert far.energy == here.energy
