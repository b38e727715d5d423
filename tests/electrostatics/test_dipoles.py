"""Dipoles against known fields of lattices, sums over images, and differences."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from ionic import CELL, derivative_errors, salt
from measures import relative

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    DipoleEwaldCalculator,
    DipoleMeshCalculator,
    InversePowerLawPotential,
    ProlateCoulombPotential,
)

ROUNDING = 1e-12  # of sums over some thousand images and modes
DIFFERENCES = 1e-8  # what the best central difference of an energy in double precision keeps
SIGMA = 0.6


def moments(count: int, seed: int = 0) -> np.ndarray:
    """Dipoles in all directions."""
    return np.random.default_rng(seed).normal(size=(count, 3))


@pytest.mark.parametrize("epsilon", [np.inf, 1.0, 4.0])
def test_cubic_lattices_have_the_field_of_lorentz(epsilon):
    """Parallel dipoles on a cubic lattice feel 4π/3 of their density within a conductor, and nothing in a vacuum."""
    mu, length = np.array([[0.3, -0.7, 1.1]]), 3.0
    calculator = DipoleEwaldCalculator(CoulombPotential(0.4, prefactor=2.0), 3.6, surface_epsilon=epsilon)
    result = calculator.compute(np.array([[0.1, 0.2, 0.3]]), mu, length, charge_gradient=True)
    field = 2.0 * (4 * pi / 3 - 4 * pi / (2 * epsilon + 1)) * mu / length**3
    size = np.linalg.norm(mu) / length**3
    assert relative(-result.charge_gradient, field, size) < ROUNDING
    assert abs(result.energy + np.sum(mu * field) / 2) < ROUNDING * size


def test_steep_potentials_are_sums_over_images():
    """For 1/r⁶ the sum over images converges: ½ Σ −(μ·∇)(μ·∇) v."""
    x, _, cell = salt(4)
    mu, reach, p = moments(4), 60.0, 6
    shells = int(reach / 6) + 2
    shifts = np.stack(np.meshgrid(*[np.arange(-shells, shells + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    expected = np.zeros((4, 3))
    for i in range(4):
        for j in range(4):
            r = x[i] - x[j] - shifts
            square = np.einsum("ia,ia->i", r, r)
            r, square = r[(square > 0) & (square < reach**2)], square[(square > 0) & (square < reach**2)]
            along = r @ mu[j]
            expected[i] += 0.5 * p * np.sum(square ** (-p / 2 - 1)) * mu[j]
            expected[i] -= 0.5 * p * (p + 2) * (square ** (-p / 2 - 2) * along) @ r
    found = DipoleEwaldCalculator(InversePowerLawPotential(6.0, SIGMA), 9 * SIGMA).compute(x, mu, cell)
    assert relative(found.potential, expected) < 1e-8  # what is beyond 60: Σ r⁻⁸


def test_splittings_agree():
    """Sums of potentials and prolates, to their accuracies."""
    x, _, cell = salt(6, 1)
    mu = moments(6, 1)
    settings = {"forces": True, "stress": True}
    exact = DipoleEwaldCalculator(CoulombPotential(SIGMA), 9 * SIGMA).compute(x, mu, cell, **settings)
    other = CombinedPotential([CoulombPotential(0.5), CoulombPotential(0.5)], [3.0, -2.0])
    for calculator, bound in (
        (DipoleEwaldCalculator(other, 4.5), ROUNDING),
        # At the cutoff of a prolate its derivatives jump, by 1e-14 times (r_c / distance of neighbours)⁴ and c³.
        (DipoleEwaldCalculator(ProlateCoulombPotential(4.5, 40.0), 4.5), 1e-7),
    ):
        found = calculator.compute(x, mu, cell, **settings)
        for name in ("potential", "forces", "stress"):
            assert relative(getattr(found, name), getattr(exact, name)) < bound, (calculator, name)


@pytest.mark.slow
def test_meshes():
    """Potentials to ten times eps."""
    x, _, cell = salt(6, 1)
    mu = moments(6, 1)
    exact = DipoleEwaldCalculator(CoulombPotential(SIGMA), 9 * SIGMA).compute(x, mu, cell)
    found = DipoleMeshCalculator(CoulombPotential(SIGMA), 9 * SIGMA, eps=1e-4).compute(x, mu, cell)
    assert relative(found.potential, exact.potential) < 1e-3


@pytest.mark.slow
def test_tight_meshes():
    """To ten times an eps of 1e-11, forces and stress as well."""
    x, _, cell = salt(6, 1)
    mu, settings = moments(6, 1), {"forces": True, "stress": True}
    exact = DipoleEwaldCalculator(CoulombPotential(SIGMA), 9 * SIGMA).compute(x, mu, cell, **settings)
    found = DipoleMeshCalculator(CoulombPotential(SIGMA), 9 * SIGMA, eps=1e-11).compute(x, mu, cell, **settings)
    for name in ("potential", "forces", "stress"):
        assert relative(getattr(found, name), getattr(exact, name)) < 1e-10, name


@pytest.mark.parametrize(
    ("calculator", "epsilon"),
    [
        (DipoleEwaldCalculator, np.inf),
        (DipoleEwaldCalculator, 2.0),
        pytest.param(DipoleMeshCalculator, np.inf, marks=pytest.mark.slow),
    ],
)
def test_derivatives(calculator, epsilon):
    """Forces, strain at fixed dipoles and the gradient by dipoles are those of the energy."""
    x, _, cell = salt(5, 2)
    mu = moments(5, 2)
    settings = {"eps": 1e-8} if calculator is DipoleMeshCalculator else {}
    potential = CoulombPotential(SIGMA, prefactor=0.5)
    # Pairs and modes that are left out carry 1e-11: their number changes with the cell, and so would the energy.
    engine = calculator(potential, 7 * SIGMA, k_cutoff=7 / SIGMA, surface_epsilon=epsilon, **settings)
    result = engine.compute(x, mu, cell, forces=True, stress=True, charge_gradient=True)
    # On a mesh the window depends on the number of nodes, so a strain may change the energy by eps of it.
    bound = DIFFERENCES if calculator is DipoleEwaldCalculator else 1e-7
    errors = derivative_errors(lambda *given: engine.compute(*given).energy, x, mu, cell, result)
    assert max(errors.values()) < bound, errors


def test_free_dipoles():
    """Two dipoles in free space, with the energy of textbooks."""
    mu, r = moments(2, 3), np.array([0.4, -1.2, 2.0])
    distance = np.linalg.norm(r)
    expected = mu[0] @ mu[1] / distance**3 - 3 * (mu[0] @ r) * (mu[1] @ r) / distance**5
    engine = DipoleEwaldCalculator(CoulombPotential(SIGMA), 5.4, k_cutoff=9 / SIGMA)
    result = engine.compute(np.stack([np.zeros(3), r]), mu, periodic=False)
    assert abs(result.energy - expected) < ROUNDING * np.sum(mu**2) / distance**3


def test_bad_input():
    """Errors name the argument."""
    x, q, cell = salt(4)
    engine = DipoleEwaldCalculator(CoulombPotential(SIGMA), 3.0)
    with pytest.raises(ValueError, match="dipoles: expected shape"):
        engine.compute(x, q, cell)
    with pytest.raises(ValueError, match="dipoles: expected them"):
        engine.compute(x, None, cell)
    with pytest.raises(ValueError, match="two of them in one place"):
        engine.compute(np.zeros((2, 3)), moments(2), CELL)
    with pytest.raises(ValueError, match="surface_epsilon"):
        DipoleEwaldCalculator(InversePowerLawPotential(6.0, SIGMA), 3.0, surface_epsilon=1.0)
    with pytest.raises(ValueError, match="surface_epsilon"):
        DipoleEwaldCalculator(CoulombPotential(SIGMA), 3.0, surface_epsilon=-1.0)
    with pytest.raises(ValueError, match="exclusion_radius"):
        DipoleEwaldCalculator(CoulombPotential(SIGMA, exclusion_radius=2.0), 3.0)
    surrounded = DipoleEwaldCalculator(CoulombPotential(SIGMA), 3.0, surface_epsilon=1.0)
    with pytest.raises(ValueError, match="surface_epsilon: only what is periodic"):
        surrounded.compute(x, moments(4), periodic=False)
