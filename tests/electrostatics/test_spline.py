"""Potentials from tables and functions against sums over images, and their derivatives."""

from __future__ import annotations

from math import pi

import numpy as np
import pytest
from ionic import derivative_errors, over_images, salt
from measures import best_difference, relative

from lrc_numba.electrostatics import CombinedPotential, CoulombPotential, EwaldCalculator, SplinePotential

SIGMA, KAPPA = 0.6, 1.5
# Modes end where v̂ is 1e-13 of ∫ |v_LR|, and charges of either sign leave some 1e-3 of the potentials.
TIGHT = 1e-10
DIFFERENCES = 1e-8  # what the best central difference of an energy in double precision keeps


def screened(r):
    """Yukawa's potential."""
    return np.exp(-KAPPA * r) / r


def screened_slope(r):
    """Its derivative."""
    return -np.exp(-KAPPA * r) * (KAPPA * r + 1) / r**2


@pytest.mark.parametrize("order", [8.0, 12.0])
@pytest.mark.parametrize("sigma", [0.6, 0.8])
def test_screened_charges(order, sigma):
    """Two functions, of which neither is smooth in r²: as the sum over images, whatever the division."""
    x, q, cell = salt(5)
    q = q + 0.1  # k = 0 is kept: there is no background
    potential = SplinePotential((1e-3, 28.0), (screened, screened_slope), sigma, order=order)
    found = EwaldCalculator(potential, potential.reach(1e-15)).compute(x, q, cell)
    assert relative(found.potential, over_images(x, q, cell, screened, 24.0) / 2) < TIGHT


@pytest.mark.parametrize("end", [60.0, 600.0])
def test_functions_that_are_known_far_out(end):
    """However far beyond where they are over, waves are integrated, and v̂ is over where it was."""
    x, q, cell = salt(5)
    near, far = (SplinePotential((1e-3, last), (screened, screened_slope), SIGMA) for last in (28.0, end))
    assert far.highest_wavenumber(1e-16) == near.highest_wavenumber(1e-16)
    assert relative(far.fourier(np.square([0.1, 9.0])), near.fourier(np.square([0.1, 9.0]))) < TIGHT
    near, far = (EwaldCalculator(potential, 6.0).compute(x, q + 0.1, cell).potential for potential in (near, far))
    assert relative(far, near) < TIGHT


@pytest.mark.parametrize("reciprocal", [False, True])
def test_tables(reciprocal):
    """A table of two hundred radii and more, interpolated."""
    x, q, cell = salt(5)
    radii = np.geomspace(0.05, 25.0, 600)
    potential = SplinePotential(radii, screened(radii), SIGMA, reciprocal=reciprocal)
    found = EwaldCalculator(potential, 6.0).compute(x, q, cell)
    # Splines of degree five, with radii 1 % apart: (h/r)⁶ and some more for what varies faster than r.
    assert relative(found.potential, over_images(x, q, cell, screened, 24.0) / 2) < 1e-8


def test_tails():
    """v = 1/r + e^{−r²}: the table ends where the second is over, and k = 0 has the background of the first."""
    x, q, cell = salt(5)
    q = q + 0.2
    bump, slope = (lambda r: 1 / r + np.exp(-(r**2))), (lambda r: -1 / r**2 - 2 * r * np.exp(-(r**2)))
    potential = SplinePotential((1e-3, 7.0), (bump, slope), SIGMA, tail=CoulombPotential(), prefactor=2.0)
    found = EwaldCalculator(potential, 9 * SIGMA).compute(x, q, cell).potential
    charges = EwaldCalculator(CoulombPotential(SIGMA), 9 * SIGMA).compute(x, q, cell).potential
    wanted = 2 * charges + over_images(x, q, cell, lambda r: np.exp(-(r**2)), 7.0)
    assert relative(found, wanted) < TIGHT


def test_division_of_powers():
    """With order p/2 the parts are those of an inverse power law."""
    r = np.linspace(0.1, 5.0, 40)
    power = SplinePotential((1e-3, 9.0), ((lambda r: 1 / r), (lambda r: -1 / r**2)), SIGMA, order=0.5)
    for name in ("long_range", "long_range_slope", "short_range", "short_range_slope"):
        assert relative(getattr(power, name)(r), getattr(CoulombPotential(SIGMA), name)(r)) < 1e-12  # rounding


def test_smooth_potentials_need_no_division():
    """Without a smearing all is of long range, v(0) of the charge itself is taken off, with v̂ computed or given."""
    x, q, cell = salt(5)
    r = np.linspace(0.0, 10.0, 400)
    wanted = over_images(x, q, cell, lambda r: np.exp(-(r**2)), 7.0) / 2
    k = np.linspace(0.0, 14.0, 500)
    for transform in (None, (k, pi**1.5 * np.exp(-(k**2) / 4))):
        potential = SplinePotential(r, np.exp(-(r**2)), transform=transform)
        found = EwaldCalculator(potential, 1.0).compute(x, q, cell).potential
        assert relative(found, wanted) < 1e-8  # splines with radii a fortieth of the width apart


@pytest.mark.parametrize(
    "exclusion", [pytest.param({}, marks=pytest.mark.slow), {"exclusion_radius": 3.0, "exclusion_degree": 2}]
)
def test_derivatives(exclusion):
    """Forces, strain and the gradient by charges are those of the energy."""
    x, q, cell = salt(4, 1)
    potential = SplinePotential((1e-3, 28.0), (screened, screened_slope), 1.0, **exclusion)
    # Pairs and modes that are left out carry 1e-11: their number changes with the cell, and so would the energy.
    calculator = EwaldCalculator(potential, potential.reach(1e-12), k_cutoff=potential.highest_wavenumber(1e-11))
    result = calculator.compute(x, q, cell, forces=True, stress=True, charge_gradient=True)
    errors = derivative_errors(lambda *given: calculator.compute(*given).energy, x, q, cell, result)
    assert max(errors.values()) < DIFFERENCES, errors


def test_derivatives_by_the_smearing():
    """All parts of ``by_smearing`` are derivatives by σ."""
    r, k2 = np.linspace(0.2, 4.0, 20), np.linspace(0.1, 30.0, 20)
    potential = SplinePotential((1e-3, 28.0), (screened, screened_slope), SIGMA, tail=None)
    derived = potential.by_smearing()
    for name, at in (("long_range", r), ("long_range_slope", r), ("short_range", r), ("fourier", k2)):
        part = getattr(derived, name)(at)
        error = best_difference(
            lambda h, name=name, at=at: getattr(potential.with_smearing(SIGMA + h), name)(at),
            part,
            np.linalg.norm(part),
        )
        assert error < 1e-8, name  # what the best central difference keeps


def test_sums_of_potentials_with_tables():
    """A sum with a table in it is no polynomial with powers any more."""
    x, q, cell = salt(5)
    spline = SplinePotential((1e-3, 28.0), (screened, screened_slope), SIGMA)
    both = CombinedPotential([spline, CoulombPotential(SIGMA)], [2.0, 1.0])
    settings = (spline.reach(1e-15),)
    parts = [EwaldCalculator(v, *settings).compute(x, q, cell).potential for v in (spline, CoulombPotential(SIGMA))]
    assert relative(EwaldCalculator(both, *settings).compute(x, q, cell).potential, 2 * parts[0] + parts[1]) < TIGHT


FUNCTIONS = (screened, screened_slope)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (((2.0, 1.0), FUNCTIONS, 1.0), ValueError, "radii"),
        (((1.0, 2.0), screened, 1.0), TypeError, "values"),
        ((np.array([0.0, 1.0, 1.0]), np.zeros(3), 1.0), ValueError, "radii"),
        ((np.array([0.0, 1.0, 2.0]), np.zeros(2), 1.0), ValueError, "values"),
        ((np.array([0.5, 1.0, 2.0]), np.zeros(3)), ValueError, "radii: expected them from 0"),
    ],
)
def test_bad_tables(arguments, error, message):
    """Errors name the argument."""
    with pytest.raises(error, match=message):
        SplinePotential(*arguments)


def test_other_bad_arguments():
    """Tables that end too early, pairs that are nearer than the table, and settings that do not go together."""
    with pytest.raises(ValueError, match="beyond the last of them"):
        SplinePotential((1e-3, 6.0), FUNCTIONS, SIGMA).fourier(np.ones(1))
    with pytest.raises(ValueError, match="beyond the first of them"):
        SplinePotential((0.8, 28.0), FUNCTIONS, SIGMA, order=1.0).fourier(np.ones(1))
    with pytest.raises(ValueError, match=r"asked for at a distance of 0\.1"):
        SplinePotential((0.2, 28.0), FUNCTIONS, SIGMA).short_range(np.array([0.1]))
    with pytest.raises(ValueError, match=r"order: with 1 v̂ falls too slowly: .* pass a larger order, or a k_cutoff"):
        EwaldCalculator(SplinePotential((1e-3, 28.0), FUNCTIONS, SIGMA, order=1.0), 6.0)
    with pytest.raises(ValueError, match="smearing"):
        SplinePotential((0.2, 28.0), FUNCTIONS, tail=CoulombPotential())
    with pytest.raises(TypeError, match="tail"):
        SplinePotential((0.2, 28.0), FUNCTIONS, 1.0, tail=3)
    with pytest.raises(ValueError, match="order"):
        SplinePotential((0.2, 28.0), FUNCTIONS, 1.0, order=-1)
