"""The map from charges to potentials: its tangents, its transpose, and second derivatives against known ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drawn_structures import make_structures, points_in, random_cell

from lrc_numba.electrostatics import (
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    SplinePotential,
)
from lrc_numba.electrostatics.calculators import ChargeOperator, Direction
from lrc_numba.geometry.structures import Structures

STEP = 1e-3  # differences of fourth order are off by 3e-14 fifth derivatives, and by 1e-13 from rounding
CASES = {
    "cell": (True, True, True),
    "slab": (True, False, True),
    "wire": (False, True, False),
    "open": (False, False, False),
}


def structure(periodic) -> tuple[Structures, np.ndarray, np.random.Generator]:
    """Six points with two channels in a skewed cell, periodic along some of its axes."""
    generator = np.random.default_rng(7)
    cell = random_cell(3, 3.0, generator)
    positions = points_in(6, cell, True, generator, 0.9)
    for a in np.flatnonzero(~np.array(periodic)):
        cell[a] *= 1.0 if all(periodic) else 2.0  # with vacuum
    return Structures.from_arrays(positions, cell, periodic=periodic), generator.standard_normal((6, 2)), generator


def strained(structures: Structures, along: Direction, h: float) -> Structures:
    """The structures at h along a direction."""
    factor = np.eye(3) + h * (np.zeros((len(structures), 3, 3)) if along.strain is None else along.strain)
    moved = structures.positions + h * (0.0 if along.positions is None else along.positions)
    positions = np.einsum("na,nab->nb", moved, factor[structures.structure_of])
    return Structures.from_arrays(
        positions, structures.cell @ factor, periodic=structures.periodic, offsets=structures.offsets
    )


def slope(function):
    """The derivative at zero."""
    return (8 * (function(STEP) - function(-STEP)) - function(2 * STEP) + function(-2 * STEP)) / (12 * STEP)


def relative(own, wanted) -> float:
    return float(np.linalg.norm(own - wanted) / np.linalg.norm(wanted))


@pytest.mark.parametrize("boundary", CASES)
@pytest.mark.parametrize("kind", ["positions", "strain", "charges"])
def test_tangents(boundary, kind):
    """A q̇ + Ȧ q, also where cells with open axes are strained."""
    structures, q, generator = structure(CASES[boundary])
    calculator = EwaldCalculator(CoulombPotential(0.5, 1.4), 4.2)
    along = {
        "positions": Direction(generator.standard_normal((6, 3))),
        "strain": Direction(None, generator.standard_normal((1, 3, 3))),
        "charges": Direction(),
    }[kind]
    dq = generator.standard_normal(q.shape) if kind == "charges" else np.zeros(q.shape)
    own = ChargeOperator(calculator, structures).jvp(q, dq, along)
    wanted = slope(lambda h: ChargeOperator(calculator, strained(structures, along, h)).apply(q + h * dq))
    assert relative(own, wanted) <= 1e-9


@pytest.mark.parametrize("kind", ["exclusion", "spline"])
def test_where_pairs_are_no_polynomial(kind):
    """Tangents, transposes and derivatives by parameters of sums over pairs of any function: a ``PairFunction``."""
    structures, q, generator = structure(CASES["cell"])
    if kind == "exclusion":
        potential = CoulombPotential(0.5, 1.4, exclusion_radius=2.5)
    else:
        functions = (lambda r: np.exp(-r) / r, lambda r: -np.exp(-r) * (r + 1) / r**2)
        potential = SplinePotential([1e-6, 40.0], functions, 0.5, order=4.0)
    calculator = EwaldCalculator(potential, 4.2, 9.0)
    operator = ChargeOperator(calculator, structures)
    p, dp, dq = generator.standard_normal((3, *q.shape))
    strain = generator.standard_normal((1, 3, 3))
    along = Direction(generator.standard_normal((6, 3)), strain + strain.transpose(0, 2, 1))
    moved = operator.jvp(q, dq, along)
    wanted = slope(lambda h: ChargeOperator(calculator, strained(structures, along, h)).apply(q + h * dq))
    assert relative(moved, wanted) <= 1e-8  # modes at the cutoff carry 1e-9
    value, points, by_strain = operator.vjp(p, q, {"points", "cell"})
    still = operator.jvp(q, None, along)
    turned = np.sum(points * along.positions) + np.sum(by_strain * along.strain)
    assert abs(turned - np.sum(p * still)) <= 1e-11 * np.linalg.norm(p) * np.linalg.norm(still)
    np.testing.assert_allclose(value, operator.apply(p), rtol=0, atol=1e-11)
    own = operator.parameters_jvp(p, q, dp, dq, along)
    for name, made in own.items():

        def at(h: float, name=name) -> np.ndarray:
            shifted = ChargeOperator(calculator, strained(structures, along, h))
            return shifted.parameters(p + h * dp, q + h * dq)[name]

        assert np.abs(made - slope(at)).max() <= 1e-8 * (1 + np.abs(made).max())


def test_operators_that_take_turns():
    """Two operators of one calculator do not mix up the points of each other."""
    structures, q, generator = structure(CASES["cell"])
    moved = strained(structures, Direction(generator.standard_normal((6, 3))), 0.2)
    calculator = EwaldCalculator(CoulombPotential(0.5), 4.2, 9.0)
    first, second = (ChargeOperator(calculator, each) for each in (structures, moved))
    for operator, each in ((first, structures), (second, moved), (first, structures)):
        wanted = ChargeOperator(EwaldCalculator(CoulombPotential(0.5), 4.2, 9.0), each).apply(q)
        np.testing.assert_allclose(operator.apply(q), wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize("boundary", CASES)
def test_transpose(boundary):
    """∂(pᵀA q) along any direction is pᵀȦ q, whichever p is, and however long; A is symmetric."""
    structures, q, generator = structure(CASES[boundary])
    operator = ChargeOperator(EwaldCalculator(CoulombPotential(0.5, 1.4), 4.2), structures)
    dx, strain = generator.standard_normal((6, 3)), generator.standard_normal((1, 3, 3))
    strain += strain.transpose(0, 2, 1)  # a turned cell has the same energy, and ∂ε of energies is symmetric
    for p in (q, 1e-6 * generator.standard_normal(q.shape), np.zeros(q.shape)):
        value, points, by_strain = operator.vjp(p, q, {"points", "cell"})
        np.testing.assert_allclose(value, operator.apply(p), rtol=0, atol=1e-12 * np.abs(p).max(initial=0.0) * 10)
        for along, own in (
            (Direction(dx), np.sum(points * dx)),
            (Direction(None, strain), np.sum(by_strain * strain)),
        ):
            wanted = np.sum(p * operator.jvp(q, None, along))
            assert abs(own - wanted) <= 1e-11 * np.linalg.norm(p) * np.linalg.norm(operator.jvp(q, None, along))
        assert np.sum(value * q) == pytest.approx(np.sum(p * operator.apply(q)), rel=1e-11)


def test_parameters_along_a_direction():
    """∂_θ(ṗᵀA q + pᵀA q̇ + pᵀȦ q) are the differences of ∂_θ(pᵀA q)."""
    potential = CombinedPotential([InversePowerLawPotential(p) for p in (1.0, 6.0)], (0.7, 0.4), 0.6, 1.3)
    calculator = EwaldCalculator(potential, 2.0, 5.0)
    structures = make_structures(3, (4, 2), (3.0, 2.6), seed=3)
    generator = np.random.default_rng(5)
    p, q, dp, dq = generator.standard_normal((4, 6, 2))
    along = Direction(generator.standard_normal((6, 3)), generator.standard_normal((2, 3, 3)))
    own = ChargeOperator(calculator, structures).parameters_jvp(p, q, dp, dq, along)

    def at(h: float, name: str) -> np.ndarray:
        return ChargeOperator(calculator, strained(structures, along, h)).parameters(p + h * dp, q + h * dq)[name]

    for name, made in own.items():
        assert made.shape == (2, *potential.parameters[name].shape)
        assert relative(made, slope(lambda h, name=name: at(h, name))) <= 1e-8


def test_known_second_derivatives():
    """Of four channels in a left-handed cell, some with a net charge; directions are dir_v, dir_w and dir_e.

    The stored ones are second derivatives of lattice sums written down by hand, and agree to 3e-12 for two splittings.
    """
    with np.load(Path(__file__).parent / "stored" / "second-derivatives.npz") as file:
        known = dict(file)
    positions, cell, q = (known[name] for name in ("positions", "cell", "charges"))
    calculator, structures = EwaldCalculator(CoulombPotential(0.85), 7.2), Structures.from_arrays(positions, cell)
    operator = ChargeOperator(calculator, structures)
    along = {"v": Direction(known["dir_v"]), "w": Direction(), "e": Direction(None, known["dir_e"][None])}
    for name, direction in along.items():
        dq = known["dir_w"] if name == "w" else None
        moved = 0.5 * operator.jvp(q, dq, direction)
        assert np.abs(moved - known[f"d2_{name}_potential"]).max() <= 1e-11
    value, points, strain = operator.vjp(known["dir_w"], q, {"points", "cell"})
    assert np.abs(0.5 * value - known["d2_w_potential"]).max() <= 1e-11
    assert np.abs(points + known["d2_w_forces"]).max() <= 1e-11
    assert np.abs(strain[0] - known["d2_w_strain_grad"]).max() <= 1e-11
    # What points and cells do to forces is not offered; the differences of forces are, and those of strains.
    for name in "ve":

        def at(h: float, name=name) -> np.ndarray:
            moved = strained(structures, along[name], h)
            made = calculator.compute(moved.positions, q, moved.cell[0], forces=True, stress=True)
            return np.vstack([made.forces, made.strain])

        wanted = np.vstack([known[f"d2_{name}_forces"], known[f"d2_{name}_strain_grad"]])
        assert np.abs(slope(at) - wanted).max() <= 1e-9


def test_second_derivatives_are_symmetric():
    """What charges do to forces is what positions do to potentials."""
    structures, q, generator = structure(CASES["cell"])
    operator = ChargeOperator(EwaldCalculator(CoulombPotential(0.5), 4.2), structures)
    v, w = generator.standard_normal((6, 3)), generator.standard_normal(q.shape)
    by_charges = np.sum(v * operator.vjp(w, q, {"points"})[1])
    assert np.sum(w * operator.jvp(q, None, Direction(v))) == pytest.approx(by_charges, rel=1e-11)


def test_calculators_with_terms_of_their_own():
    """Are refused: their derivatives would lack those of these terms."""

    class Shifted(EwaldCalculator):
        def _of_structure(self, *arguments):
            potential, energy, *more = super()._of_structure(*arguments)
            return potential, energy + 1.0, *more

    structures, q, _ = structure(CASES["cell"])
    calculator = Shifted(CoulombPotential(0.5), 4.2)
    with pytest.raises(NotImplementedError, match="calculator: Shifted adds terms of its own"):
        calculator.compute(structures.positions, q, structures.cell[0], parameter_gradient=True)


@pytest.mark.parametrize("boundary", ["slab", "wire", "open"])
def test_results_do_not_depend_on_what_was_computed_before(boundary):
    """With open axes, whose cells are padded for the points: the same bits after larger and smaller structures."""
    structures, q, _ = structure(CASES[boundary])
    cell, x = np.where(np.array(CASES[boundary])[:, None], 1.0, 2.0) * structures.cell[0], structures.positions
    options = {"periodic": CASES[boundary], "forces": True}
    used, new = (EwaldCalculator(CoulombPotential(0.5), 2.0, 4.0) for _ in range(2))
    for factor in (1.6, 0.3):
        used.compute(x * factor, q, cell, **options)
    for name in ("potential", "forces"):
        wanted = getattr(new.compute(x, q, cell, **options), name)
        np.testing.assert_array_equal(getattr(used.compute(x, q, cell, **options), name), wanted)
