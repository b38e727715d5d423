"""LODE features against quadratures of the potential, rotations and differences."""

from __future__ import annotations

from itertools import pairwise
from math import pi

import numpy as np
import pytest
from ionic import salt
from measures import best_difference, relative
from scipy.special import sph_harm_y

from lrc_numba.electrostatics import CoulombPotential, InversePowerLawPotential
from lrc_numba.electrostatics.features import LodeFeatures, lode_by_quadrature, lode_convergence
from lrc_numba.electrostatics.features.harmonics import solid_harmonics

SIGMA, RADIUS = 0.9, 1.7
EVERY_EPS = pytest.mark.parametrize("eps", [1e-4, pytest.param(1e-6, marks=pytest.mark.slow)])


def test_solid_harmonics():
    """Real ones up to l = 4 from the complex ones of SciPy, whose sign (−1)^m is taken off."""
    x = np.random.default_rng(0).normal(size=(20, 3))
    r, ours, column = np.linalg.norm(x, axis=1), solid_harmonics(x, 4), 0
    theta, phi = np.arccos(x[:, 2] / r), np.arctan2(x[:, 1], x[:, 0])
    for degree in range(5):
        for m in range(-degree, degree + 1):
            y = (-1) ** m * sph_harm_y(degree, abs(m), theta, phi) * r**degree
            wanted = y.real if m == 0 else np.sqrt(2) * (y.real if m > 0 else y.imag)
            assert relative(ours[column], wanted) < 1e-13, (degree, m)  # rounding of a recursion
            column += 1
    assert relative(ours[1:4], np.sqrt(3 / (4 * pi)) * x[:, [1, 2, 0]].T) < 1e-15


@pytest.mark.slow
@EVERY_EPS
@pytest.mark.parametrize("exponent", [1.0, 4.0])
def test_features_are_integrals_over_balls(exponent, eps):
    """A quadrature with some thousand nodes gives the same to eps, channel by channel."""
    x, q, cell = salt(4)
    q = np.stack([q, np.ones(4)], axis=1)
    features = LodeFeatures(InversePowerLawPotential(exponent, SIGMA), RADIUS, 2, 2, eps=eps)
    found, wanted = features.compute(x, q, cell), lode_by_quadrature(features, x, q, cell, 10, 9)
    assert found.shape == (4, 2, 2, 9)
    for c in range(2):
        for n in range(2):
            assert relative(found[:, c, n], wanted[:, c, n], np.linalg.norm(wanted[:, 0, n])) < eps


@pytest.mark.slow
@EVERY_EPS
def test_other_radial_functions(eps):
    """Any function of r, n and l: here Gaussians."""
    x, q, cell = salt(4)

    def gaussian(r, n, degree):
        return r**degree * np.exp(-(n + 1) * r**2)

    features = LodeFeatures(CoulombPotential(SIGMA), RADIUS, 2, 2, radial=gaussian, eps=eps)
    assert relative(features.compute(x, q, cell), lode_by_quadrature(features, x, q, cell, 12, 9)) < eps


@pytest.mark.slow
@EVERY_EPS
def test_features_turn_with_the_atoms(eps):
    """Norms over m do not change when everything turns."""
    x, q, cell = salt(4)
    rotation = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    features = LodeFeatures(CoulombPotential(SIGMA), RADIUS, eps=eps)
    before, after = features.compute(x, q, cell), features.compute(x @ rotation, q, cell @ rotation)
    for lo, hi in pairwise((0, 1, 4, 9)):
        norms = [np.linalg.norm(found[..., lo:hi], axis=-1) for found in (before, after)]
        assert relative(*norms) < eps


@pytest.mark.slow
def test_derivatives_of_features():
    """The gradient by positions and by charges is that of the features."""
    rng = np.random.default_rng(2)
    x, q, cell = salt(4)
    features = LodeFeatures(CoulombPotential(SIGMA), RADIUS, eps=1e-5)
    bar, dx, dq = rng.normal(size=(4, 1, 2, 9)), rng.normal(size=x.shape), rng.normal(size=(4, 1))
    gradient = features.vjp(x, q, cell, bar)
    assert relative(gradient.output, features.compute(x, q, cell).reshape(bar.shape)) < 1e-12  # rounding
    for move, g, along in (
        (lambda h: features.compute(x + h * dx, q, cell), gradient.points, dx),
        (lambda h: features.compute(x, q + h * dq[:, 0], cell), gradient.values, dq),
    ):
        size = np.linalg.norm(g) * np.linalg.norm(along)
        error = best_difference(lambda h, move=move: np.sum(bar * move(h).reshape(bar.shape)), np.sum(g * along), size)
        assert error < 1e-8  # what the best central difference keeps


@pytest.mark.slow
def test_convergence_is_a_table():
    """Errors fall with eps, modes and nodes."""
    rows = lode_convergence(CoulombPotential(SIGMA), RADIUS, salt(4), k_cutoffs=(3.0, 5.0, 7.0))
    for name, settings in rows.items():
        errors = [error for _, error in settings]
        assert errors == sorted(errors, reverse=True), name
        assert errors[-1] < 1e-4, name


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"radius": -1.0}, ValueError, "radius"),
        ({"n_max": 0}, ValueError, "n_max"),
        ({"l_max": -1}, ValueError, "l_max"),
        ({"l_max": 1.5}, ValueError, "l_max"),
        ({"radial": 3}, TypeError, "radial"),
        ({"potential": 3}, TypeError, "potential"),
        ({"eps": 2.0}, ValueError, "eps"),
        (
            {"potential": CoulombPotential(1.0, exclusion_radius=2.0)},
            ValueError,
            "potential: .* of all of v_LR, got .*exclusion_radius=2.*; pass one without an exclusion_radius",
        ),
    ],
)
def test_bad_settings(settings, error, message):
    """Errors name the argument."""
    with pytest.raises(error, match=message):
        LodeFeatures(**({"potential": CoulombPotential(1.0), "radius": 2.0} | settings))


def test_bad_input():
    """Errors name the argument."""
    x, q, cell = salt(4)
    features = LodeFeatures(CoulombPotential(SIGMA), RADIUS)
    with pytest.raises(ValueError, match="charges"):
        features.compute(x, q[:3], cell)
    with pytest.raises(ValueError, match="positions"):
        features.compute(x[:, :2], q, cell)
    with pytest.raises(ValueError, match="cell: expected one"):
        features.compute(x, q, None)
    with pytest.raises(ValueError, match="threads"):
        LodeFeatures(CoulombPotential(SIGMA), RADIUS, threads=-3)
    with pytest.raises(ValueError, match="cotangent"):
        features.vjp(x, q, cell, np.zeros((4, 1, 2, 4)))
    with pytest.raises(AttributeError, match="potential: LodeFeatures was made with it"):
        features.potential = CoulombPotential(2 * SIGMA)


def test_a_net_charge_without_an_energy():
    """For p = 3 it is refused as calculators do, by values and derivatives; with a reference length it is taken."""
    x, q, cell = salt(4)
    features = LodeFeatures(InversePowerLawPotential(3.0, SIGMA), RADIUS, 1, 0)
    features.compute(x, q, cell)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"charges: a net charge of 1\.2 has no energy .* pass reference_length"):
            features.compute(x, q + 0.3, cell)
        with pytest.raises(ValueError, match=r"charges: a net charge of 1\.2"):
            features.vjp(x, q + 0.3, cell, np.zeros((4, 1, 1, 1)))
    LodeFeatures(InversePowerLawPotential(3.0, SIGMA, reference_length=1.0), RADIUS, 1, 0).compute(x, q + 0.3, cell)
