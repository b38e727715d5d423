"""Potentials and their parts: against quadrature, against differences, and against each other."""

from __future__ import annotations

import numpy as np
import pytest
from measures import relative
from scipy.integrate import quad

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    InversePowerLawPotential,
    Potential,
    ProlateCoulombPotential,
)
from lrc_numba.electrostatics.potentials.gamma import lower, upper
from lrc_numba.electrostatics.short_range import radial_form

SIGMA = 0.8
RADII, SQUARES = np.array([0.3, 1.0, 2.0, 3.5]), np.array([1e-4, 0.5, 2.0, 9.0, 30.0])
STEP = 1e-5  # of central differences: their error is some 1e-10 from the step and from rounding
EXPONENTS = (0.5, 1.0, 2.0, 2.999999, 3.0, 3.5, 4.0, 5.0, 6.0)


def potentials() -> dict[str, Potential]:
    powers = {f"p = {p:g}": InversePowerLawPotential(p, SIGMA, 1.3) for p in EXPONENTS}
    combined = CombinedPotential([CoulombPotential(), InversePowerLawPotential(6)], [0.5, 2.0], SIGMA, 1.2)
    return powers | {
        "combined": combined,
        "prolate": ProlateCoulombPotential(4.0, 12.0, 1.3),
        "steep prolate": ProlateCoulombPotential(4.0, 30.0),
    }


EVERY = pytest.mark.parametrize("name", list(potentials()))
GAUSSIAN = pytest.mark.parametrize("name", [name for name in potentials() if "prolate" not in name])


@pytest.mark.parametrize("b", [1.25, 0.5, 0.3, 1e-3, 1e-9, 0.0, -1e-6, -0.3, -0.5, -0.7, -1.0, -1.5])
@pytest.mark.parametrize("y", [0.3, 0.99, 1.01, 3.0, 20.0, 45.0])
def test_upper_gamma(b, y):
    """∫₁^∞ t^{b−1} e^{−yt} dt by quadrature, to what that can do."""
    wanted = np.exp(-y) * quad(lambda t: np.exp(-y * (t - 1)) * t ** (b - 1), 1, np.inf, epsrel=1e-13, limit=500)[0]
    assert upper(b, np.array([y]))[0] == pytest.approx(wanted, rel=1e-11)


@pytest.mark.parametrize("a", [0.25, 0.5, 1.5, 3.0])
@pytest.mark.parametrize("x", [0.0, 1e-8, 0.5, 0.999, 1.001, 30.0])
def test_lower_gamma(a, x):
    """∫₀¹ t^{a−1} e^{−xt} dt = 2 ∫₀¹ s^{2a−1} e^{−xs²} ds."""
    wanted = 2 * quad(lambda s: s ** (2 * a - 1) * np.exp(-x * s * s), 0, 1, epsrel=1e-13, limit=500)[0]
    assert lower(a, np.array([x]))[0] == pytest.approx(wanted, rel=1e-9 if a < 0.5 else 1e-12)


@EVERY
def test_parts_add_up(name):
    """v_SR + v_LR = v, and so do the slopes, where nothing is lost to cancellation."""
    v, r = potentials()[name], RADII[:2]
    assert relative(v.short_range(r) + v.long_range(r), v.bare(r)) <= 1e-14
    assert relative(v.short_range_slope(r) + v.long_range_slope(r), v.bare_slope(r)) <= 1e-14
    assert v.long_range(np.zeros(1))[0] == pytest.approx(v.value_at_r0, rel=1e-13)


@EVERY
def test_slopes(name):
    """By r, and by k²."""
    v, up, down = potentials()[name], 1 + STEP, 1 - STEP
    by_r = (v.long_range(RADII * up) - v.long_range(RADII * down)) / (2 * STEP * RADII**2)
    assert relative(v.long_range_slope(RADII), by_r) <= 1e-9
    by_k2 = (v.fourier(SQUARES * up) - v.fourier(SQUARES * down)) / (2 * STEP * SQUARES)
    assert np.abs(v.fourier_slope(SQUARES) / by_k2 - 1).max() <= 1e-6


@EVERY
def test_transform(name):
    """v_LR(1) from v̂, to what quadrature does with k² v̂ sin(k)/k."""
    v = potentials()[name]
    highest = 1.9 * v.highest_wavenumber(1e-16)

    def integrand(k: float) -> float:
        return k * np.sin(k) * float(v.fourier(np.array([k * k]))[0]) / (2 * np.pi**2)

    found = quad(integrand, 1e-9, highest, limit=400)[0]
    # A prolate v̂ has no end: what is beyond falls off as ψ(1) over k.
    bound = v.edge if isinstance(v, ProlateCoulombPotential) else 1e-8
    assert found == pytest.approx(v.long_range(np.ones(1))[0], rel=max(bound, 1e-8))


@pytest.mark.parametrize("name", ["p = 0.5", "p = 1", "p = 2", "prolate", "steep prolate"])
def test_background(name):
    """B = ∫ v_SR over space."""
    v = potentials()[name]
    end = 4.0 if isinstance(v, ProlateCoulombPotential) else 9.0
    wanted = quad(lambda r: 4 * np.pi * r * r * v.short_range(np.array([r]))[0], 1e-9, end, limit=300)[0]
    assert v.background == pytest.approx(wanted, rel=1e-8)


@GAUSSIAN
def test_by_smearing(name):
    """All parts of ∂v/∂σ, by differences."""
    v = potentials()[name]
    slope, up, down = v.by_smearing(), v.with_smearing(SIGMA + STEP), v.with_smearing(SIGMA - STEP)
    parts = {
        "real": lambda part: part.long_range(RADII),
        "slope": lambda part: part.long_range_slope(RADII),
        "short": lambda part: part.short_range(RADII),
        "fourier": lambda part: part.fourier(SQUARES[1:]),
        "fourier slope": lambda part: part.fourier_slope(SQUARES[1:]),
        "numbers": lambda part: np.array([part.value_at_r0, part.value_at_k0, part.background]),
    }
    for of in parts.values():
        assert relative(of(slope), (of(up) - of(down)) / (2 * STEP)) <= 1e-5


@pytest.mark.parametrize("cutoff", [5.0, 9.0, 17.0, 40.0])
@GAUSSIAN
def test_forms_of_pairs_are_right_up_to_any_cutoff(name, cutoff):
    """To rounding of what is largest: beyond the reach of the smearing is nothing, and no polynomial goes there."""
    potential = potentials()[name]
    r = np.linspace(0.5, cutoff * (1 - 1e-9), 300) * SIGMA
    value, slope = radial_form(potential, cutoff * SIGMA).derivatives(r**2, 1)
    size = potential.short_range(0.5 * SIGMA)
    np.testing.assert_allclose(value, potential.short_range(r), rtol=0, atol=1e-13 * size)
    np.testing.assert_allclose(2 * slope, potential.short_range_slope(r), rtol=0, atol=1e-12 * size / SIGMA**2)


def test_prolate_ends_at_the_cutoff():
    """v_SR is zero from there on, and jumps there by no more than rounding; its force by ψ(1)/(r_c² ∫ψ)."""
    v = ProlateCoulombPotential(4.0, 12.0)
    inside, outside = v.short_range(np.array([4.0 - 1e-9])), v.short_range(np.array([4.0, 5.0]))
    assert np.abs(inside).max() <= 1e-13 + 1e-9 * abs(v.short_range_slope(np.array([4.0 - 1e-9]))[0]) * 4
    np.testing.assert_array_equal(outside, 0.0)


def test_weights_are_read_when_they_are_used():
    """Written to, they change values and the key of tables."""
    v = CombinedPotential([CoulombPotential(), InversePowerLawPotential(6)], [1.0, 0.0], SIGMA)
    before = v.key()
    assert relative(v.long_range(RADII), CoulombPotential(SIGMA).long_range(RADII)) == 0.0
    v.weights[1] = 2.0
    assert v.key() != before
    assert relative(v.long_range(RADII), CoulombPotential(SIGMA).long_range(RADII)) > 0.01


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: InversePowerLawPotential(0.0), "exponent: expected a number above 0"),
        (lambda: InversePowerLawPotential(7), "exponent: expected at most 6, got 7"),
        (lambda: InversePowerLawPotential(2, reference_length=1.0), "reference_length: only an exponent of 3"),
        (lambda: CoulombPotential(-1.0), "smearing: expected a number above 0"),
        (lambda: CoulombPotential(prefactor=np.nan), "prefactor: expected a finite number"),
        (lambda: CoulombPotential().long_range(1.0), "smearing: CoulombPotential has none"),
        (lambda: ProlateCoulombPotential(4.0, 50.0), "band: expected between 2 and 45"),
        (lambda: ProlateCoulombPotential(4.0, 9.0).with_smearing(1.0), "smearing: a prolate splitting has a cutoff"),
        (lambda: CombinedPotential([CoulombPotential()], [1.0, 2.0]), r"weights: expected shape \(1,\)"),
    ],
)
def test_what_is_refused(make, message):
    """A ValueError that names the argument."""
    with pytest.raises(ValueError, match=message):
        make()
