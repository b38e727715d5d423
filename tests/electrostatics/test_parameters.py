"""Derivatives of energies by what a potential learns, against differences of the energies that are computed."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from drawn_structures import points_in, random_cell

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    ProlateCoulombPotential,
)
from lrc_numba.geometry.structures import Structures

STEP = 3e-4  # relative; differences are off by 3e-16 fifth derivatives, 10⁴ of σ⁻⁶, and by 1e-12 from rounding
SHORT = 1.6  # of cutoffs and modes at which a hundredth of the energy is missing, so that it depends on the smearing


def combined(smearing: float = 0.7) -> CombinedPotential:
    parts = [InversePowerLawPotential(p) for p in (1.0, 2.5, 6.0)]
    return CombinedPotential(parts, (0.8, -0.5, 0.3), smearing, prefactor=1.7)


POTENTIALS = {
    "coulomb": lambda: CoulombPotential(0.7, 1.3),
    "p = 3": lambda: InversePowerLawPotential(3, 0.7, 1.3),
    "p = 3 with a length": lambda: InversePowerLawPotential(3, 0.7, 1.3, reference_length=2.0),
    "p = 6": lambda: InversePowerLawPotential(6, 0.7, 0.9),
    "combined": combined,
    "prolate": lambda: ProlateCoulombPotential(3.0, 12.0, 1.3),
    "exterior": lambda: CoulombPotential(0.7, 1.3, exclusion_radius=2.0),
}
BOUNDARIES = {
    "cell": (True, True, True),
    "slab": (True, True, False),
    "wire": (False, True, False),
    "open": (False,) * 3,
}


def charges(net: bool = True) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Seven points with two channels in a skewed cell."""
    generator = np.random.default_rng(4)
    cell = random_cell(3, 3.2, generator)
    positions, q = points_in(7, cell, True, generator, 0.9), generator.standard_normal((7, 2))
    return positions, q if net else q - q.mean(axis=0), cell


def calculator(potential, kind: str = "ewald", truncated: bool = False):
    """Truncated or not, of few modes."""
    cutoff, k_cutoff = (SHORT, 4.0) if truncated else (3.0, 6.0)
    if kind == "ewald":
        return EwaldCalculator(potential, cutoff, k_cutoff)
    return MeshCalculator(potential, cutoff, k_cutoff, eps=1e-4)


def difference(made, name: str, index: tuple, *structure, **options) -> float:
    """dE/dθ of fourth order, of a calculator whose cutoff, modes and padded cell stay."""
    start, energies = made.potential.parameters, []
    step = STEP * abs(float(start[name][index]))
    for h in (-2, -1, 1, 2):
        value = start[name].copy()
        value[index] += h * step
        made.potential.set_parameters({name: value})
        energies.append(made.compute(*structure, **options).energy)
    made.potential.set_parameters(start)
    return (energies[0] - energies[3] + 8 * (energies[2] - energies[1])) / (12 * step)


def error(made, positions, q, cell, periodic) -> float:
    """The largest of all derivatives, over that or the energy over the parameter, whichever is larger."""
    # Made where the cell is padded for a smearing at the upper end of what differences ask for.
    result = made.compute(positions, q, cell, periodic=periodic, parameter_gradient=True)
    worst = 0.0
    assert set(result.parameter_gradient) == set(made.potential.parameters)
    for name, value in made.potential.parameters.items():
        own = result.parameter_gradient[name]
        assert own.shape == value.shape
        for index in np.ndindex(value.shape):
            wanted = difference(made, name, index, positions, q, cell, periodic=periodic)
            scale = max(abs(wanted), abs(result.energy / value[index]))
            worst = max(worst, abs(own[index] - wanted) / scale)
    return worst


SLOW = ("p = 3 with a length", "p = 6")  # parameters of one class, and loops of their own
EVERY = {name: pytest.param(name, marks=[pytest.mark.slow] * (name in SLOW)) for name in POTENTIALS}


@pytest.mark.parametrize("name", EVERY.values())
def test_by_the_parameters(name):
    """Of a converged sum; by the smearing that is what is left of large parts, so those are tried below."""
    positions, q, cell = charges(net=name != "p = 3")
    assert error(calculator(POTENTIALS[name]()), positions, q, cell, True) <= 1e-9


@pytest.mark.parametrize("name", [EVERY[name] for name in POTENTIALS if name != "prolate"])
def test_of_what_is_cut_short(name):
    """With a cutoff and modes that miss a part of the energy, it depends on the smearing: by 1e-3 of it at least."""
    positions, q, cell = charges(net=name != "p = 3")
    made = calculator(POTENTIALS[name](), truncated=True)
    assert error(made, positions, q, cell, True) <= 1e-9
    result = made.compute(positions, q, cell, parameter_gradient=True)
    own = result.parameter_gradient["smearing"] * made.potential.smearing
    assert abs(own) > 1e-3 * abs(result.energy)


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("truncated", [pytest.param(False, marks=pytest.mark.slow), True])
def test_of_open_axes(boundary, truncated):
    """The kernel of Coulomb's potential that is cut off."""
    positions, q, cell = charges()
    made = calculator(CoulombPotential(0.7, 1.3), truncated=truncated)
    assert error(made, positions, q, cell, BOUNDARIES[boundary]) <= 1e-9


@pytest.mark.slow
def test_of_other_potentials_in_free_space():
    """Whose kernel is a table that has to follow the parameters."""
    positions, q, cell = charges()
    made = calculator(combined(), truncated=True)
    assert error(made, positions, q, cell, False) <= 1e-9
    same = calculator(combined(), truncated=True)
    made.potential.set_parameters({"weights": np.array([0.1, 0.9, -0.4])})
    same.potential.set_parameters({"weights": np.array([0.1, 0.9, -0.4])})
    assert made.compute(positions, q, cell, periodic=False).energy == pytest.approx(
        same.compute(positions, q, cell, periodic=False).energy, rel=1e-12
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", ["coulomb", "combined"])
def test_of_what_a_mesh_computes(name):
    """Exact at any ``eps``: it is that of the sum that is computed."""
    positions, q, cell = charges()
    assert error(calculator(POTENTIALS[name](), "mesh", truncated=True), positions, q, cell, True) <= 1e-9


def test_each_structure_has_its_own():
    """With (B,) in front; structures without points have zeros."""
    positions, q, cell = charges()
    made = calculator(combined())
    batch = Structures.from_arrays(
        [positions, positions[:0], positions[2:]], cell, charges=[q[:, 0], q[:0, 0], q[2:, 0]]
    )
    result = made.compute(batch, parameter_gradient=True)
    assert result.parameter_gradient["weights"].shape == (3, 3)
    assert not result.parameter_gradient["weights"][1].any()
    alone = made.compute(positions[2:], q[2:, 0], cell, parameter_gradient=True)
    for name, own in alone.parameter_gradient.items():
        np.testing.assert_allclose(result.parameter_gradient[name][2], own, rtol=1e-10, atol=1e-11)


def test_weights_of_nested_potentials():
    """What is written to a potential within a sum is seen in the next call."""
    positions, q, cell = charges()
    made, same = calculator(combined()), combined()
    made.compute(positions, q, cell)
    for potential in (made.potential, same):
        potential.potentials[0].set_parameters({"prefactor": 2.0})
    wanted = calculator(same).compute(positions, q, cell).energy
    assert made.compute(positions, q, cell).energy == pytest.approx(wanted, rel=1e-13)


def test_parts_by_the_smearing():
    """Every part of a potential that is derived by its smearing, in both spaces, against differences."""
    r, k2, h = np.linspace(0.6, 4.0, 9), np.linspace(0.2, 30.0, 9), 3e-4
    for name, make in POTENTIALS.items():
        if name == "prolate":
            continue
        potential = make()
        own = potential.by_smearing()
        several = [potential.with_smearing(potential.smearing + n * h) for n in (-2, -1, 1, 2)]

        def slope(part, several=several):
            low, lower, upper, high = (part(each) for each in several)
            return (low - high + 8 * (upper - lower)) / (12 * h)

        for part in (
            lambda v: v.long_range(r),
            lambda v: v.long_range_slope(r),
            lambda v: v.short_range(r),
            lambda v: v.short_range_slope(r),
            lambda v: v.fourier(k2),
            lambda v: v.fourier_slope(k2),
            lambda v: v.value_at_r0,
            lambda v: v.value_at_k0,
        ):
            wanted = slope(part)
            assert np.abs(part(own) - wanted).max() <= 1e-9 * (1 + np.abs(wanted).max()), name
        if name != "p = 3":  # without a length it has no background, with any smearing
            assert abs(own.background - slope(lambda v: v.background)) <= 1e-9 * (1 + abs(own.background))


def test_parameters_are_written():
    """In place, checked; copies keep their own."""
    potential = combined()
    other = deepcopy(potential)
    potential.set_parameters({"smearing": 0.9, "weights": np.arange(3.0), "prefactor": 2.0})
    assert [v.smearing for v in potential.potentials] == [0.9] * 3
    assert potential.prefactor == 2.0
    assert other.parameters["smearing"] == 0.7
    assert other.parameters["weights"][0] == 0.8
    for values, message in (
        ({"sigma": 1.0}, "sigma: expected one of prefactor, smearing, weights"),
        ({"weights": np.ones(2)}, r"weights: expected shape \(3,\), got \(2,\)"),
        ({"smearing": -1.0}, "smearing: expected a number above 0"),
        ({"prefactor": np.nan}, "prefactor: expected a finite"),
    ):
        with pytest.raises(ValueError, match=message):
            potential.set_parameters(values)
    with pytest.raises(ValueError, match="name: expected one of prefactor, smearing, got 'weights'"):
        CoulombPotential(1.0).derivatives("weights")


def test_a_wider_smearing_has_a_wider_cell():
    """In free space: what was padded for a smearing would not do for one that was learned since."""
    positions, q, _ = charges()
    made = EwaldCalculator(CoulombPotential(0.5), 5.0)
    wanted = made.compute(positions, q, periodic=False).energy
    made.potential.set_parameters({"smearing": 0.75})
    assert made.compute(positions, q, periodic=False).energy == pytest.approx(wanted, rel=1e-12)
