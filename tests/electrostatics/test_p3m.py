"""PME and P3M: influence functions by brute force, how errors fall with the spacing, derivatives, self-interaction."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from measures import best_difference, relative

from lrc_numba.electrostatics import (
    Calculator,
    CombinedPotential,
    CoulombPotential,
    EwaldCalculator,
    InversePowerLawPotential,
    MeshCalculator,
    P3MCalculator,
    PMECalculator,
    Potential,
)
from lrc_numba.geometry.structures import Structures

INFLUENCES = ("optimal", "energy", "ik", "spme", "plain")
LEFT_HANDED = np.array([[6.2, 0.4, -0.8], [1.0, -0.6, 6.8], [-1.4, 5.8, 1.2]])
SIGMA = 0.8
NODES = (9, 8, 10)  # odd and even
SLOW = pytest.mark.slow


def ions(count: int = 8, seed: int = 0, channels: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Positions anywhere in and around a cell, and charges with a net one."""
    rng = np.random.default_rng(seed)
    positions = rng.uniform(-1.0, 2.0, (count, 3)) @ LEFT_HANDED
    return positions, rng.standard_normal((count, channels) if channels else count)


def ewald(potential: Potential) -> EwaldCalculator:
    """Exact to rounding."""
    return EwaldCalculator(potential, potential.reach(1e-17), potential.highest_wavenumber(1e-17))


def classical(kind: str, potential: Potential, spacing: float | None = None, m: int = 4, **options) -> Calculator:
    """A ``PMECalculator`` for "pme", else a ``P3MCalculator`` with this influence function; pairs are exact."""
    if kind == "pme":
        return PMECalculator(potential, potential.reach(1e-16), spacing, m, **options)
    return P3MCalculator(potential, potential.reach(1e-16), spacing, m, influence=kind, **options)


def rms(vectors: np.ndarray) -> float:
    return float(np.sqrt((vectors**2).sum(axis=-1).mean()))


def sizes(refinement: float) -> tuple[int, ...]:
    """A mesh with a spacing of σ/refinement."""
    return tuple(int(np.ceil(refinement * length / SIGMA)) for length in np.linalg.norm(LEFT_HANDED, axis=1))


# ---------------------------------------------------------------------- accuracy
@pytest.mark.parametrize("kind", INFLUENCES)
def test_influence_functions(kind):
    """The kernel of a plan over U₀² against sums over |j| ≤ 12 written out, to what those leave out: 12^(2 − 2m).

    Essmann's is a product of sums along single axes, of terms that fall more slowly, so there are more of them.
    """
    m, potential = 4, CoulombPotential(SIGMA)
    calculator = classical(kind, potential, m=m, nodes=NODES)
    far = calculator.long_range(ions()[0], LEFT_HANDED, (True, True, True))
    modes, reciprocal = far.plan.grid.mode_set, 2 * np.pi * np.linalg.inv(LEFT_HANDED).T
    influence = far.kernel.values(modes) / np.prod(np.sinc(modes.numbers / NODES) ** (2 * m), axis=1)
    chosen = np.random.default_rng(0).choice(np.arange(1, modes.size), 12, replace=False)
    many = np.arange(-400, 401)[:, None]
    aliases = np.array(list(product(range(-12, 13), repeat=3))) * NODES
    for index in chosen:
        waves = modes.numbers[index] + aliases
        u, k = np.prod(np.sinc(waves / NODES) ** m, axis=1), waves @ reciprocal
        k2, own = (k**2).sum(axis=1), modes.numbers[index] @ reciprocal
        v = potential.fourier(k2)
        direct = potential.fourier(own @ own)
        expected = {
            "optimal": (u**2 @ (k2 * v)) / (u**2).sum() / (u**2 @ k2),
            "energy": (u**2 @ v) / (u**2).sum() ** 2,
            "ik": (u**2 @ (v * (k @ own))) / (own @ own) / (u**2).sum() ** 2,
            "spme": direct / np.prod(np.sum(np.sinc(modes.numbers[index] / NODES + many) ** m, axis=0)) ** 2,
            "plain": direct / np.prod(np.sinc(modes.numbers[index] / NODES) ** (2 * m)),
        }
        assert influence[index] == pytest.approx(expected[kind], rel=1e-5)


def _falls(kind: str, m: int, remove: bool) -> tuple[float, float]:
    """Powers of the spacing with which errors of potentials and of forces fall from σ/2 to σ/6."""
    potential, errors = CoulombPotential(SIGMA), []
    positions, charges = ions()
    exact = ewald(potential).compute(positions, charges, LEFT_HANDED, forces=True)
    shifts = np.random.default_rng(1).uniform(0.0, 1.0, (6, 3))
    for refinement in (2.0, 6.0):
        calculator = classical(kind, potential, m=m, nodes=sizes(refinement), remove_self_interaction=remove)
        parts = [calculator.compute(positions + shift, charges, LEFT_HANDED, forces=True) for shift in shifts]
        errors.append(
            (
                rms(np.array([part.potential - exact.potential for part in parts])),
                rms(np.concatenate([part.forces - exact.forces for part in parts])),
            )
        )
    finer = np.log(sizes(6.0)[0] / sizes(2.0)[0])
    return tuple(np.log(np.array(errors[0]) / errors[1]) / finer)  # type: ignore[return-value]


EVERY = [("pme", m) for m in (3, 4, 5, 6, 7)] + [(kind, m) for kind in INFLUENCES for m in (3, 4, 5, 6, 7)]
QUICK = [("optimal", 4), ("spme", 4)]


@pytest.mark.parametrize("remove", [False, True])
@pytest.mark.parametrize(("kind", "m"), [case if case in QUICK else pytest.param(*case, marks=SLOW) for case in EVERY])
def test_errors_fall_as_a_power_of_the_spacing(kind, m, remove):
    """h^m for potentials, where the alias of a spline, sinc^m, and the remainder of a polynomial of degree m − 1 fall
    so; h^(m−1) for forces, whose aliases have a wavenumber of 1/h more. At least so, less 0.5: where points are in
    their cells of the mesh changes errors of eight of them by half, six shifts do not average all of that, and with six
    nodes a spacing of σ/2 is not small, so that the power is still 0.2 short."""
    of_potential, of_forces = _falls(kind, m, remove)
    assert of_potential >= m - 0.5
    assert of_forces >= m - 1.5


@pytest.mark.slow
@pytest.mark.parametrize("p", [1, 0.5, 3, 6])
def test_fine_meshes_are_exact(p):
    """To 1e-8 with seven nodes and a spacing of σ/6; alias terms are (1/12)^7 there, for the wave of length 2πσ."""
    potential = InversePowerLawPotential(p, SIGMA, **({"reference_length": 1.0} if p == 3 else {}))
    positions, charges = ions(channels=2)
    exact = ewald(potential).compute(positions, charges, LEFT_HANDED, forces=True, stress=True)
    result = classical("optimal", potential, SIGMA / 6, 7, remove_self_interaction=True).compute(
        positions, charges, LEFT_HANDED, forces=True, stress=True
    )
    assert result.energy == pytest.approx(exact.energy, rel=1e-8)
    assert relative(result.potential, exact.potential) <= 1e-8
    assert relative(result.forces, exact.forces) <= 1e-8
    assert relative(result.strain, exact.strain) <= 1e-8


@pytest.mark.slow
def test_the_energy_of_rock_salt():
    """Madelung's constant, to 1e-8."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T.astype(float)
    calculator = classical("energy", CoulombPotential(0.3), 0.04, 7)
    energy = calculator.compute(corners + 0.1, (-1.0) ** corners.sum(axis=1), 2.0).energy
    assert energy / 4 == pytest.approx(-1.747564594633183, rel=1e-8)


def test_the_optimal_influence_function_is_the_best():
    """For forces between points anywhere on a coarse mesh, once what points do to themselves is taken off; within 1 %,
    as some others come that close."""
    potential, errors = CoulombPotential(SIGMA), {}
    positions, charges = ions(60, seed=2)
    exact = ewald(potential).compute(positions, charges, LEFT_HANDED, forces=True).forces
    for kind in INFLUENCES:
        calculator = classical(kind, potential, nodes=(7, 8, 7), remove_self_interaction=True)
        errors[kind] = rms(calculator.compute(positions, charges, LEFT_HANDED, forces=True).forces - exact)
    assert all(errors["optimal"] <= 1.01 * error for error in errors.values())
    assert errors["optimal"] <= 0.9 * errors["spme"]


@pytest.mark.parametrize("periodic", [(True, True, False), (False, False, True), (False, False, False)])
@pytest.mark.parametrize("kind", ["optimal", *(pytest.param(kind, marks=SLOW) for kind in ("spme", "plain", "pme"))])
def test_open_boundaries(kind, periodic):
    """Against sums over modes in the same surroundings: 1e-3 with four nodes and a spacing of σ/2, and forces are
    minus the derivative of the energy, to 1e-8 by differences."""
    potential = CoulombPotential(SIGMA)
    positions, charges = np.random.default_rng(3).uniform(0, 3, (6, 3)), np.array([1.0, -1.0, 2.0, -1.0, 0.5, -0.5])
    cell = np.where(np.array(periodic)[:, None], np.diag([5.0, 4.0, 6.0]), 0.0)
    calculator = classical(kind, potential, SIGMA / 2, remove_self_interaction=True)
    exact = ewald(potential).compute(positions, charges, cell, periodic=periodic, forces=True)
    result = calculator.compute(positions, charges, cell, periodic=periodic, forces=True)
    bound = 5e-3 if kind == "pme" else 1e-3
    assert relative(result.potential, exact.potential) <= bound
    assert relative(result.forces, exact.forces) <= 10 * bound
    direction = np.random.default_rng(4).standard_normal(positions.shape)

    def energy(h: float) -> float:
        return calculator.compute(positions + h * direction, charges, cell, periodic=periodic).energy

    assert best_difference(energy, -np.sum(result.forces * direction), np.linalg.norm(result.forces), (3e-5,)) <= 1e-8


# ---------------------------------------------------------------------- derivatives
@pytest.mark.parametrize(
    ("kind", "p", "remove"),
    [
        (kind, p, remove) if p == 6 and remove else pytest.param(kind, p, remove, marks=SLOW)
        for kind in ("pme", *INFLUENCES)
        for p in (1, 6)
        for remove in (False, True)
    ],
)
def test_derivatives(kind, p, remove):
    """Forces, strain and the gradient by charges against differences, to 1e-8, on a coarse and uneven mesh."""
    calculator = classical(kind, InversePowerLawPotential(p, SIGMA), nodes=NODES, remove_self_interaction=remove)
    positions, charges = ions(channels=2)
    result = calculator.compute(positions, charges, LEFT_HANDED, forces=True, stress=True, charge_gradient=True)
    rng = np.random.default_rng(5)
    dx, dq, strain = rng.normal(size=positions.shape), rng.normal(size=charges.shape), rng.normal(size=(3, 3))
    strain = (strain + strain.T) / 2

    def strained(h: float) -> float:
        deformation = np.eye(3) + h * strain
        return calculator.compute(positions @ deformation, charges, LEFT_HANDED @ deformation).energy

    along = (
        (lambda h: calculator.compute(positions + h * dx, charges, LEFT_HANDED).energy, -result.forces, dx),
        (lambda h: calculator.compute(positions, charges + h * dq, LEFT_HANDED).energy, result.charge_gradient, dq),
        (strained, result.strain, strain),
    )
    for energy, gradient, direction in along:
        size = np.linalg.norm(gradient) * np.linalg.norm(direction)
        assert best_difference(energy, np.sum(gradient * direction), size, (1e-4, 3e-5)) <= 1e-8


# ---------------------------------------------------------------------- self-interaction
@pytest.mark.parametrize("kind", ["pme", *INFLUENCES])
@pytest.mark.parametrize("p", [pytest.param(1, marks=SLOW), 4])
def test_a_lone_charge_is_left_alone(kind, p):
    """All that a mesh gets wrong of one point per cell is its own doing: without it everything is as by exact sums, to
    rounding, on any mesh; with it the point is pushed about."""
    potential, position = InversePowerLawPotential(p, SIGMA), np.array([[0.31, 0.12, 0.43]])
    exact = ewald(potential).compute(position, [1.5], LEFT_HANDED / 2, forces=True, stress=True)
    results = {}
    for remove in (False, True):
        calculator = classical(kind, potential, nodes=(5, 4, 6), remove_self_interaction=remove)
        results[remove] = calculator.compute(position, [1.5], LEFT_HANDED / 2, forces=True, stress=True)
    assert results[True].energy == pytest.approx(exact.energy, rel=1e-12)
    assert np.abs(results[True].forces).max() <= 1e-12
    assert relative(results[True].strain, exact.strain) <= 1e-11
    assert np.abs(results[False].forces).max() >= 1e-4


@pytest.mark.parametrize(("kind", "gain"), [("pme", 1.4), ("optimal", 1.4), ("spme", 1.2), ("plain", 1.4)])
def test_without_self_interaction_forces_are_more_accurate(kind, gain):
    """With a spacing of σ and points anywhere, by a factor; measured are 1.5 to 3, the more the fewer points."""
    potential, errors = CoulombPotential(SIGMA), []
    positions, charges = ions(60, seed=6)
    exact = ewald(potential).compute(positions, charges, LEFT_HANDED, forces=True).forces
    for remove in (False, True):
        calculator = classical(kind, potential, SIGMA, remove_self_interaction=remove)
        errors.append(rms(calculator.compute(positions, charges, LEFT_HANDED, forces=True).forces - exact))
    assert errors[0] >= gain * errors[1]


# ---------------------------------------------------------------------- calls
@pytest.mark.parametrize("kind", ["pme", "optimal"])
def test_batches(kind):
    """Eleven structures of different cells and sizes, more than plans are kept, are as one by one, bit for bit."""
    rng = np.random.default_rng(7)
    cells = [LEFT_HANDED * scale for scale in np.linspace(0.9, 1.1, 11)]
    counts = [int(n) for n in rng.integers(1, 6, 11)]
    positions = [rng.uniform(0, 1, (n, 3)) @ cell for n, cell in zip(counts, cells, strict=True)]
    charges = [rng.standard_normal(n) for n in counts]
    offsets = np.concatenate([[0], np.cumsum(counts)])
    structures = Structures.from_arrays(
        np.concatenate(positions), np.array(cells), periodic=True, charges=np.concatenate(charges), offsets=offsets
    )
    options = {"nodes": NODES, "remove_self_interaction": True}
    batch = classical(kind, CoulombPotential(SIGMA), **options).compute(structures, forces=True, stress=True)
    for b, begin in enumerate(structures.offsets[:-1]):
        calculator = classical(kind, CoulombPotential(SIGMA), **options)
        single = calculator.compute(positions[b], charges[b], cells[b], forces=True, stress=True)
        assert batch.energy[b] == single.energy
        assert np.array_equal(batch.forces[begin : begin + counts[b]], single.forces)
        assert np.array_equal(batch.strain[b], single.strain)


@pytest.mark.slow
def test_more_cells_than_plans():
    """Nine cells with as many modes, one after the other: a plan goes on in another cell."""
    calculator = MeshCalculator(CoulombPotential(SIGMA), 4.0, eps=1e-4)
    positions, charges = ions()
    for scale in np.linspace(1.0, 1.001, 10):
        energy = calculator.compute(positions, charges, LEFT_HANDED * scale).energy
    new = MeshCalculator(CoulombPotential(SIGMA), 4.0, eps=1e-4)
    assert energy == pytest.approx(new.compute(positions, charges, LEFT_HANDED * scale).energy, rel=1e-13)


def test_a_potential_that_changes():
    """Tables follow the weights of a combination, and those of self-interaction too."""
    potential = CombinedPotential([CoulombPotential(), InversePowerLawPotential(6)], [1.0, 0.5], SIGMA)
    calculator = classical("optimal", potential, nodes=NODES, remove_self_interaction=True)
    positions, charges = ions()
    calculator.compute(positions, charges, LEFT_HANDED)
    potential.weights[:] = [0.5, 2.0]
    other = CombinedPotential([CoulombPotential(), InversePowerLawPotential(6)], [0.5, 2.0], SIGMA)
    new = classical("optimal", other, nodes=NODES, remove_self_interaction=True)
    old, wanted = (each.compute(positions, charges, LEFT_HANDED, forces=True) for each in (calculator, new))
    assert old.energy == wanted.energy
    assert np.array_equal(old.forces, wanted.forces)


def test_sizes_of_meshes():
    """No distance above the spacing, even numbers that are products of 2, 3 and 5, and at least four."""
    mesh = classical("pme", CoulombPotential(SIGMA), 0.5).mesh
    assert mesh.sizes(np.diag([5.0, 5.4, 0.1])) == (10, 12, 4)
    assert mesh.sizes(np.diag([7.0, 11.5, 13.0])) == (16, 24, 30)
    assert classical("pme", CoulombPotential(SIGMA), nodes=7).mesh.sizes(LEFT_HANDED) == (7, 7, 7)


@pytest.mark.parametrize(
    ("options", "error", "name"),
    [
        ({}, ValueError, "mesh_spacing"),
        ({"spacing": 0.5, "nodes": 8}, ValueError, "mesh_spacing"),
        ({"spacing": -1.0}, ValueError, "mesh_spacing"),
        ({"spacing": np.nan}, ValueError, "mesh_spacing"),
        ({"nodes": (8, 3, 8)}, ValueError, "nodes"),
        ({"nodes": (8, 8)}, ValueError, "nodes"),
        ({"spacing": 0.5, "m": 2}, ValueError, "interpolation_nodes"),
        ({"spacing": 0.5, "m": 8}, ValueError, "interpolation_nodes"),
        ({"spacing": 0.5, "m": 4.0}, TypeError, "interpolation_nodes"),
        ({"spacing": 0.5, "remove_self_interaction": 1}, TypeError, "remove_self_interaction"),
    ],
)
@pytest.mark.parametrize("kind", ["pme", "optimal"])
def test_bad_arguments(kind, options, error, name):
    with pytest.raises(error, match=name):
        classical(kind, CoulombPotential(SIGMA), **options)


def test_bad_influence():
    with pytest.raises(ValueError, match="influence"):
        classical("best", CoulombPotential(SIGMA), 0.5)
