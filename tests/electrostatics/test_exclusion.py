"""Exterior features against sums over images, and their derivatives against differences."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from ionic import derivative_errors, over_images, salt
from measures import relative

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    ProlateCoulombPotential,
    SplinePotential,
)

ROUNDING = 1e-12  # of sums over some thousand images and modes, whose terms cancel to about a hundredth
DIFFERENCES = 1e-8  # what the best central difference of an energy in double precision keeps
SIGMA, RADIUS = 0.6, 3.0


def factor(r, degree: int):
    """f of eq. 27."""
    return ((1 - np.cos(np.pi * r / RADIUS)) / 2) ** degree


@pytest.mark.parametrize("degree", [1, 2, 5])
@pytest.mark.parametrize("exponent", [1.0, 2.5, 6.0])
def test_whole_potentials_are_left_out_within_the_radius(exponent, degree):
    """What is missing is ½ Σ q (1 − f) v of the images within R, whatever the smearing."""
    x, q, cell = salt(6)
    all_of_it = EwaldCalculator(InversePowerLawPotential(exponent, SIGMA), 9 * SIGMA).compute(x, q, cell)
    inside = over_images(x, q, cell, lambda r: (1 - factor(r, degree)) * r**-exponent, RADIUS)
    for sigma in (SIGMA, 0.4):  # R is less than the cutoff, and more
        potential = InversePowerLawPotential(
            exponent, sigma, prefactor=2.0, exclusion_radius=RADIUS, exclusion_degree=degree
        )
        result = EwaldCalculator(potential, (9 if sigma == SIGMA else 6) * sigma).compute(x, q, cell)
        assert relative(result.potential, 2 * all_of_it.potential - inside) < (1e-7 if sigma != SIGMA else ROUNDING)


@pytest.mark.parametrize("calculator", [EwaldCalculator, pytest.param(MeshCalculator, marks=pytest.mark.slow)])
def test_parts_of_long_range_are_left_out_within_the_radius(calculator):
    """With ``exclusion_part="long_range"`` there is no v_SR, and v_LR alone gets the factor."""
    x, q, cell = salt(6, 1)
    settings = {"eps": 1e-12} if calculator is MeshCalculator else {}
    plain = CoulombPotential(SIGMA)
    whole = calculator(plain, 9 * SIGMA, **settings).compute(x, q, cell).potential
    near = over_images(x, q, cell, plain.short_range, 9 * SIGMA)
    inside = over_images(x, q, cell, lambda r: (1 - factor(r, 2)) * plain.long_range(r), RADIUS)
    cut = CoulombPotential(SIGMA, exclusion_radius=RADIUS, exclusion_degree=2, exclusion_part="long_range")
    found = calculator(cut, 9 * SIGMA, **settings).compute(x, q, cell).potential
    assert relative(found, whole - (near + inside) / 2) < ROUNDING


@pytest.mark.parametrize("part", ["whole", "long_range"])
@pytest.mark.parametrize(("periodic", "radius"), [(True, 3.0), (True, 5.0), ((True, True, False), 3.0)])
def test_derivatives_of_exterior_features(part, periodic, radius):
    """Forces, strain and the gradient by charges are those of the energy, R within and beyond the cutoff."""
    x, q, cell = salt(6, 2)
    if periodic is not True:
        cell[2] = [0.0, 0.0, 40.0]
    potential = CoulombPotential(SIGMA, exclusion_radius=radius, exclusion_degree=2, exclusion_part=part)
    # Pairs and modes that are left out carry 1e-11: their number changes with the cell, and so would the energy.
    calculator = EwaldCalculator(potential, 7 * SIGMA, k_cutoff=7 / SIGMA, threads=1)

    def energy(x, q, cell):
        return calculator.compute(x, q, cell, periodic=periodic).energy

    result = calculator.compute(x, q, cell, periodic=periodic, forces=True, stress=True, charge_gradient=True)
    errors = derivative_errors(energy, x, q, cell, result)
    assert max(errors.values()) < DIFFERENCES, errors


def test_lists_of_either_kind_channels_and_batches_agree():
    """Full lists, half lists and several charges give the same sums."""
    x, q, cell = salt(6, 3)
    potential = CoulombPotential(SIGMA, exclusion_radius=RADIUS)
    half, full = (EwaldCalculator(potential, 4.0, threads=threads) for threads in (1, 4))
    assert (half.neighbours.full, full.neighbours.full) == (False, True)
    both = np.stack([q, np.ones(6)], axis=1)
    results = [c.compute(x, both, cell, forces=True, stress=True) for c in (half, full)]
    for name in ("potential", "forces", "stress"):
        assert relative(getattr(results[0], name), getattr(results[1], name)) < ROUNDING
    alone = half.compute(x, q, cell)
    assert relative(results[0].potential[:, 0], alone.potential) < ROUNDING


def test_copies_look_as_far():
    """R beyond the cutoff: copies find the same pairs, and give the same bits."""
    x, q, cell = salt(6, 5)
    calculator = EwaldCalculator(CoulombPotential(SIGMA, exclusion_radius=2 * RADIUS), RADIUS, k_cutoff=4.0)
    wanted = calculator.compute(x, q, cell).potential
    np.testing.assert_array_equal(deepcopy(calculator).compute(x, q, cell).potential, wanted)


def test_other_potentials_take_an_exclusion():
    """Sums of potentials, and prolates, within their own accuracy."""
    x, q, cell = salt(6, 4)
    apart = [InversePowerLawPotential(p, SIGMA, exclusion_radius=RADIUS) for p in (1.0, 6.0)]
    terms = [EwaldCalculator(v, 9 * SIGMA).compute(x, q, cell).potential for v in apart]
    parts = [InversePowerLawPotential(p, SIGMA) for p in (1.0, 6.0)]
    together = CombinedPotential(parts, [2.0, -1.0], exclusion_radius=RADIUS)
    found = EwaldCalculator(together, 9 * SIGMA).compute(x, q, cell).potential
    assert relative(found, 2 * terms[0] - terms[1]) < ROUNDING
    prolate = ProlateCoulombPotential(3.5, 30.0, exclusion_radius=RADIUS)
    found = EwaldCalculator(prolate, 3.5, k_cutoff=30.0 / 3.5).compute(x, q, cell).potential
    assert relative(found, terms[0]) < 100 * prolate.edge


@pytest.mark.parametrize(
    "potential",
    [
        CoulombPotential(0.5, exclusion_radius=2.5, exclusion_part="long_range"),
        InversePowerLawPotential(2.0, 0.5, exclusion_radius=2.5, exclusion_degree=3),
        InversePowerLawPotential(3.0, 0.5, reference_length=1.5),
        ProlateCoulombPotential(3.0, 8.0, exclusion_radius=2.5),
    ],
)
def test_what_is_printed_makes_the_same_potential(potential):
    """All settings are there, the exclusion and the reference length among them."""
    assert repr(eval(repr(potential))) == repr(potential)
    assert ("exclusion_radius=2.5" in repr(potential)) == (potential.exclusion is not None)


def test_sums_and_tables_print_their_exclusion():
    """As do other potentials."""
    radii = np.linspace(0.0, 3.0, 60)
    for potential in (
        CombinedPotential([CoulombPotential(0.5)], exclusion_radius=2.5),
        SplinePotential(radii, np.exp(-4 * radii**2), exclusion_radius=2.5),
    ):
        assert "exclusion_radius=2.5" in repr(potential)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"exclusion_radius": -1.0}, ValueError, "exclusion_radius"),
        ({"exclusion_radius": "far"}, TypeError, "exclusion_radius"),
        ({"exclusion_radius": 2.0, "exclusion_degree": 0}, ValueError, "exclusion_degree"),
        ({"exclusion_radius": 2.0, "exclusion_degree": 1.5}, ValueError, "exclusion_degree"),
        ({"exclusion_radius": 2.0, "exclusion_part": "near"}, ValueError, "exclusion_part"),
        ({"exclusion_degree": 2}, ValueError, "exclusion_radius: expected one"),
    ],
)
def test_bad_exclusions(arguments, error, message):
    """Errors name the argument."""
    with pytest.raises(error, match=message):
        CoulombPotential(1.0, **arguments)


def test_parts_of_a_sum_have_no_exclusion():
    """The exclusion is that of the sum."""
    with pytest.raises(ValueError, match="exclusion_radius"):
        CombinedPotential([CoulombPotential(1.0, exclusion_radius=2.0)])
