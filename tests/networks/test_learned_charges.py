"""Networks that learn charges: forces, stresses and gradients of losses, and charges learned from forces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from derivatives import force_error, gradient_error, stress_error
from drawn_structures import SPECIES, make_structures

from lrc_numba.electrostatics import CombinedPotential, CoulombPotential, EwaldCalculator, InversePowerLawPotential
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights
from lrc_numba.networks.layers.perceptron import Perceptron
from lrc_numba.networks.parts.dense import Dense
from lrc_numba.networks.parts.electrostatics import Electrostatics
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.geometry import Displacements, Distances
from lrc_numba.networks.parts.pairs import Scatter
from lrc_numba.networks.parts.part import GEOMETRY
from lrc_numba.networks.parts.products import Add, Product
from lrc_numba.networks.parts.program import Program, Step
from lrc_numba.networks.parts.radial import RadialBasis
from lrc_numba.training import polish

ALL = LossWeights(energy=0.3, forces=1.0, stress=0.5)


def combined() -> CombinedPotential:
    parts = [InversePowerLawPotential(p) for p in (1.0, 6.0)]
    return CombinedPotential(parts, (0.8, 0.05), 0.6, prefactor=1.4)


def ewald(potential=None, **options) -> EwaldCalculator:
    """With few modes: derivatives are those of what is computed."""
    return EwaldCalculator(potential or CoulombPotential(0.6), 2.5, 6.0, **options)


def network(species=SPECIES) -> EnergyNetwork:
    """Charges by species, their potentials, and E = Σ q V."""
    steps = [
        Step(Embedding("charges", species, 1), (), "q"),
        Step(Electrostatics(ewald()), (GEOMETRY, "q"), "V"),
        Step(Product("nc,nc->nc"), ("q", "V"), "e"),
    ]
    return EnergyNetwork(Program(steps, "e"), cutoff=1.4, dim=3, seed=1)


def moving_network(calculator, learn=()) -> EnergyNetwork:
    """Charges that depend on what is near: distances to neighbours, their functions, and sums of these."""
    steps = [
        Step(Displacements(), (GEOMETRY,), "D"),
        Step(Distances(), ("D",), "r"),
        Step(RadialBasis(1.8, 6), ("r",), "basis"),
        Step(Scatter(), ("basis",), "near"),
        Step(Embedding("kind", SPECIES, 6), (), "kind"),
        Step(Add(), ("near", "kind"), "state"),
        Step(Dense(Perceptron("charge", (6, 8, 1), activation="silu", linear_end=True)), ("state",), "q"),
        Step(Electrostatics(calculator, learn), (GEOMETRY, "q"), "V"),
        Step(Product("nc,nc->nc"), ("q", "V"), "e"),
    ]
    return EnergyNetwork(Program(steps, "e"), cutoff=1.8, dim=3, full_pairs=True, seed=2)


@pytest.mark.parametrize("periodic", [True, False])
def test_networks_of_charges(periodic):
    """Forces, stresses and gradients of losses, of structures of different sizes and cells."""
    structures = make_structures(3, (4, 1, 3), (3.0, 2.4, 2.8), periodic, seed=6)
    made = moving_network(ewald(combined()) if periodic else ewald(), ("prefactor", "weights") if periodic else ())
    assert force_error(made, structures) <= 1e-9
    if periodic:
        assert stress_error(made, structures) <= 1e-9
    assert gradient_error(made, structures, ALL if periodic else replace(ALL, stress=0.0)) <= 1e-6


def test_a_smearing_that_is_refused():
    """By the name of the parameter, with its value."""
    made = moving_network(ewald(combined()), ("smearing",))
    made.parameters["electrostatics.smearing"][...] = -0.1
    with pytest.raises(ValueError, match=r"electrostatics.smearing = -0.1: smearing: expected a number above 0"):
        made.predict(make_structures(3, (3,), (2.8,), seed=2))


def test_structures_of_both_kinds():
    """Some in cells, some open, in one batch: each has the energy it has alone."""
    cells, molecules = (make_structures(3, (3, 2), (2.8, 2.6), periodic, seed=2) for periodic in (True, False))
    both = Structures.concatenate([cells, molecules])
    made = network()
    alone = np.concatenate([made.predict(each).energies for each in (cells, molecules)])
    np.testing.assert_allclose(made.predict(both).energies, alone, rtol=1e-12)
    assert force_error(made, both) <= 1e-9
    assert gradient_error(made, both, LossWeights(energy=0.3, forces=1.0)) <= 1e-6


def test_energies_are_those_of_the_calculator():
    """With the charges of the species."""
    structures, made = make_structures(3, (4, 3), (3.0, 2.8), seed=3), network()
    charges = made.values(structures, "q")[:, 0]
    wanted = ewald().compute(replace(structures, charges=charges), forces=True, stress=True)
    own = made.predict(structures, stress=True)
    np.testing.assert_allclose(own.energies, wanted.energy, rtol=1e-12)
    np.testing.assert_allclose(own.forces, wanted.forces, rtol=0, atol=1e-12 * np.abs(wanted.forces).max())
    np.testing.assert_allclose(own.stress, wanted.stress, rtol=0, atol=1e-12 * np.abs(wanted.stress).max())


def salt(count: int) -> Structures:
    """Rock salt of eight ions, thermally moved, with the energies and forces of charges ±0.8."""
    corners = np.indices((2, 2, 2)).reshape(3, -1).T.astype(float)
    charges, generator = 0.8 * (-1.0) ** corners.sum(axis=1), np.random.default_rng(5)
    positions = corners + 0.1 * generator.standard_normal((count, 8, 3))
    structures = Structures.from_arrays(positions, 2.0, species=np.where(charges > 0, 11, 17), charges=charges)
    known = ewald().compute(structures, forces=True)
    return replace(structures, energies=known.energy, forces=known.forces)


def test_charges_are_learned_from_forces():
    """Of sodium and chlorine: ±0.8 up to a common sign, which no force tells, from a start far away."""
    made, structures = network(species=(11, 17)), salt(3)
    made.parameters["charges.rows"][...] = [[0.5], [-0.2]]
    polish(made, structures, LossWeights(), iterations=30, progress=False)
    np.testing.assert_allclose(made.parameters["charges.rows"][:, 0], [0.8, -0.8], atol=2e-3)
