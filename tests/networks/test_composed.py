"""Message passing with and without a long range: derivatives, invariances and its convolution."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from derivatives import force_error, gradient_error, stress_error
from drawn_structures import SPECIES, drawn_structures, make_structures
from hypothesis import given, settings
from measures import relative
from messages import ALL, CUTOFF, KINDS, molecules, network_of
from scipy.stats import special_ortho_group

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights
from lrc_numba.networks.composed import MessagePassingNetwork

TERMS = {
    "energy": LossWeights(energy=1.0, forces=0.0),
    "forces per point": LossWeights(per_point=True),
    "stress": LossWeights(forces=0.0, stress=1.0),
    "all per point": LossWeights(energy=0.3, forces=1.0, stress=0.5, per_point=True),
}


# ---------------------------------------------------------------------- derivatives
@KINDS
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_forces_and_stresses(kind, dim):
    """F = −∂U/∂x and V σ = ∂U/∂ε, of drawn structures of different sizes and cells."""
    network = network_of(kind, dim)

    @settings(max_examples=4)
    @given(structures=drawn_structures(dim, periodic=True, most=5))
    def holds(structures):
        assert force_error(network, structures) <= 1e-9
        assert stress_error(network, structures) <= 1e-9

    holds()


@pytest.mark.parametrize(("kind", "dim"), [("near", 1), ("near", 2), ("near", 3), ("far", 1), ("far", 2), ("far", 3)])
def test_forces_without_cells(kind, dim):
    """F = −∂U/∂x, of drawn structures that are not periodic."""
    network = network_of(kind, dim)

    @settings(max_examples=4)
    @given(structures=drawn_structures(dim, periodic=False, most=5))
    def holds(structures):
        assert force_error(network, structures) <= 1e-9

    holds()


@KINDS
@pytest.mark.parametrize("dim", [1, pytest.param(2, marks=pytest.mark.slow), 3])
def test_gradient_of_a_loss(kind, dim):
    """By every named parameter, of energies, forces and stresses."""
    structures = make_structures(dim, (4, 1, 3), seed=5)
    assert gradient_error(network_of(kind, dim), structures, ALL) <= 1e-6


@pytest.mark.parametrize("terms", list(TERMS))
def test_gradients_of_single_terms(terms):
    """Each term alone, and counted by the number of points."""
    structures = make_structures(3, (4, 1, 3), seed=6)
    assert gradient_error(network_of("far", rounds=1), structures, TERMS[terms]) <= 1e-6


def test_gradient_without_cells():
    """Of energies and forces, of molecules."""
    assert gradient_error(network_of("far"), molecules(), LossWeights(energy=0.5)) <= 1e-6


@pytest.mark.parametrize("dim", [1, 2])
def test_work_without_cells(dim):
    """Energy that is gained is the work of the forces, all the way of a third point from 4 to 16: in any cell made for
    it, by the rule of Simpson, whose error here is below that of the kernel."""
    network, way = network_of("far", dim, long_range=4), np.linspace(4.0, 16.0, 121)
    points = np.zeros((len(way), 3, dim))
    points[:, 1, 0], points[:, 2, 0] = 1.0, way
    made = network.predict(Structures.from_arrays(points, species=SPECIES))
    forces, step = made.forces.reshape(points.shape)[:, 2, 0], way[1] - way[0]
    work = -step / 3 * (forces[:-2:2] + 4 * forces[1:-1:2] + forces[2::2])
    gained = made.energies[2::2] - made.energies[:-2:2]
    assert np.abs(gained - work).max() <= 10 * network.eps * max(np.abs(made.energies).max(), 1.0)


def test_cells_too_small_for_the_long_range():
    """Its modes are all cut off there: the energy is that of the messages, also beside a cell that has some."""
    network = MessagePassingNetwork([29], 2.0, channels=8, rounds=1, long_range=4, seed=1)
    crystals = [Structures.from_arrays(np.zeros((1, 3)), cell, species=[29]) for cell in (0.8, 6.0)]
    made = network.predict(Structures.concatenate(crystals), stress=True)
    assert np.isfinite(made.energies).all()
    assert force_error(network, crystals[0]) <= 1e-9
    assert stress_error(network, crystals[0]) <= 1e-9
    assert not network.values(crystals[0], "u0").any()
    np.testing.assert_allclose(made.energies[1], network.predict(crystals[1]).energies[0], rtol=1e-12)


def test_cells_smaller_than_the_cutoff():
    """Points send messages to their own images."""
    network, structures = network_of("far", 2), make_structures(2, (2, 1), (1.6, 1.4), seed=1)
    assert force_error(network, structures) <= 1e-9
    assert stress_error(network, structures) <= 1e-9


# ---------------------------------------------------------------------- invariances
def molecule_in(molecule: Structures, order: np.ndarray) -> Structures:
    """The same with its points numbered anew."""
    return replace(molecule, positions=molecule.positions[order], species=molecule.species[order])


@KINDS
def test_moved_numbered_and_turned(kind):
    """Energies stay, and forces turn: to rounding, with a long range in other directions to its accuracy."""
    network, molecule = network_of(kind), molecules(counts=(6,), seed=3)
    made = network.predict(molecule)
    order = np.random.default_rng(0).permutation(6)
    turn = special_ortho_group.rvs(3, random_state=1)
    mirror = turn * np.array([-1.0, 1.0, 1.0])
    far = 10 * network.eps if kind == "far" else 1e-12
    cases = [
        (replace(molecule, positions=molecule.positions + 3.1), made.forces, 1e-11),
        (molecule_in(molecule, order), made.forces[order], 0),
        (replace(molecule, positions=molecule.positions @ turn), made.forces @ turn, far),
        (replace(molecule, positions=molecule.positions @ mirror), made.forces @ mirror, far),
    ]
    for moved, wanted, bound in cases:
        found = network.predict(moved)
        np.testing.assert_allclose(found.energies, made.energies, rtol=max(bound, 1e-12))
        assert relative(found.forces, wanted) <= max(bound, 1e-12)


@KINDS
def test_lattices_described_otherwise(kind):
    """Other lattice vectors and images of the points are the same crystal; a doubled cell has twice the energy."""
    network, crystal = network_of(kind), make_structures(3, (3,), (2.4,), seed=4)
    made, cell = network.predict(crystal, stress=True), crystal.cell[0]
    images = crystal.positions + np.array([[1, 0, -2], [0, 3, 0], [0, 0, 0]]) @ cell
    skewed = replace(crystal, positions=images, cell=(np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ cell)[None])
    double = Structures.from_arrays(
        np.concatenate([crystal.positions, crystal.positions + cell[1]]),
        np.diag([1, 2, 1]) @ cell,
        species=np.tile(crystal.species, 2),
    )
    # The modes of a cell are those below a wavenumber along each axis: others of other axes, where a series ends.
    bound = 10 * network.eps if kind == "far" else 1e-12
    found, twice = network.predict(skewed, stress=True), network.predict(double, stress=True)
    np.testing.assert_allclose([found.energies[0], twice.energies[0] / 2], made.energies[0], rtol=bound)
    assert relative(found.forces, made.forces) <= bound
    assert relative(twice.forces, np.tile(made.forces, (2, 1))) <= bound
    assert relative(found.stress, made.stress) <= bound
    assert relative(twice.stress, made.stress) <= bound


def test_a_pair_that_crosses_the_cutoff():
    """Energy and force are continuous, and so is the slope of the force; see ``radial``."""
    network, around = network_of("near"), CUTOFF + np.linspace(-1e-3, 1e-3, 21)
    pairs = Structures.from_arrays([np.array([[0.0, 0, 0], [r, 0, 0]]) for r in around], species=[1, 6])
    made = network.predict(pairs)
    assert np.abs(np.diff(made.energies)).max() <= 1e-6  # ~ (1 − r/R)³
    assert np.abs(np.diff(made.forces[1::2, 0], n=2)).max() <= 1e-6
    assert made.energies[0] != made.energies[-1]


# ---------------------------------------------------------------------- batches
def test_energies_do_not_depend_on_the_size_of_a_batch():
    """Structures that share a cell are snapshots of one plan; to rounding each is alone."""
    network = network_of("far")
    structures = make_structures(3, (4, 2, 3), (2.5, 2.5, 2.5), seed=9)
    same = replace(structures, cell=np.broadcast_to(structures.cell[0], structures.cell.shape).copy())
    made = network.predict(same)
    alone = np.concatenate([network.predict(each).energies for each in same])
    np.testing.assert_allclose(made.energies, alone, rtol=1e-12)


# ---------------------------------------------------------------------- energies of species
def test_references_are_fitted():
    """To energies that are sums over species they are exact, whatever the network says."""
    network, structures = network_of("near"), make_structures(3, (3, 4, 5, 2, 6), seed=2)
    own = np.array([-1000.0, 20.0, 3.0])
    totals = [own[np.searchsorted(SPECIES, each.species)].sum() for each in structures]
    known = replace(structures, energies=network.predict(structures).energies + totals)
    network.fit_references(known)
    np.testing.assert_allclose(network.references.energies, own, rtol=1e-10)
    np.testing.assert_allclose(network.predict(structures).energies, known.energies, rtol=1e-12)
