"""Energies of pairs by least squares, and what a network says of contacts closer than its core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures
from measures import relative

from lrc_numba.geometry.neighbours import find_pairs
from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import EnergyNetwork, LossWeights
from lrc_numba.networks.composed import MessagePassingNetwork
from lrc_numba.networks.pair_fit import fit_pairs
from lrc_numba.networks.parts.dense import Concatenate
from lrc_numba.networks.parts.geometry import Displacements, Distances
from lrc_numba.networks.parts.pairs import PairEnergies
from lrc_numba.networks.parts.part import GEOMETRY
from lrc_numba.networks.parts.program import Program, Step
from lrc_numba.networks.parts.radial import RadialBasis

CUTOFF, CORE = 1.5, 0.6
WEIGHTS = LossWeights(energy=0.5, forces=1.0)


def network_of(**options) -> MessagePassingNetwork:
    own = {"channels": 8, "rounds": 1, "basis": 3, "core": CORE, "seed": 2}
    return MessagePassingNetwork(SPECIES, CUTOFF, **(own | options))


def labelled(network: MessagePassingNetwork, structures: Structures) -> Structures:
    made = network.predict(structures)
    return replace(structures, energies=made.energies, forces=made.forces)


@pytest.mark.parametrize(
    "weights", [WEIGHTS, LossWeights(energy=1.0, forces=0.0), LossWeights(per_point=True)], ids=["both", "U", "F"]
)
def test_sums_over_pairs_are_found(weights):
    """What another choice of coefficients gave is given again: to rounding times the condition of the fit, some 1e5."""
    network, structures = network_of(), make_structures(3, (6, 9, 7) * 25, (2.0, 2.3, 2.1) * 25, seed=3)
    start = network.parameters.flat.copy()
    coefficients = network.parameters["core.coefficients"]
    coefficients += 0.1 * np.random.default_rng(0).standard_normal(coefficients.shape)
    data = labelled(network, structures)
    network.parameters.flat[...] = start
    network.fit_pairs(data, weights)
    made = network.predict(data)
    assert relative(made.energies - made.energies.mean(), data.energies - data.energies.mean()) <= 1e-9
    if weights.forces:
        assert relative(made.forces, data.forces) <= 1e-9


def test_no_other_coefficients_have_less_loss():
    """The gradient of the loss by them is zero, relative to what it was."""
    network, structures = network_of(), make_structures(3, (8, 7) * 40, (2.2, 2.1) * 40, seed=5)
    rng = np.random.default_rng(1)
    data = replace(structures, energies=rng.standard_normal(80), forces=rng.standard_normal(structures.positions.shape))

    def gradient() -> np.ndarray:
        own = network.parameters.like()
        own.flat[...] = network.loss(data, WEIGHTS)[1]
        return own["core.coefficients"]

    before = np.abs(gradient()).max()
    network.fit_pairs(data, WEIGHTS)
    assert np.abs(gradient()).max() <= 1e-8 * before


def repulsion_alone(dtype) -> tuple:
    """A network that is a sum over pairs and nothing else, and what ``fit_pairs`` needs of it."""
    functions = [RadialBasis(2.5, (1, 6, 12), "inverse", length=0.8), RadialBasis(2.5, 20, core=0.8)]
    part = PairEnergies("core", (1,), sum(each.count for each in functions))
    steps = [
        Step(Displacements(), (GEOMETRY,), "D"),
        Step(Distances(), ("D",), "r"),
        *(Step(each, ("r",), f"of pairs {i}") for i, each in enumerate(functions)),
        Step(Concatenate(), ("of pairs 0", "of pairs 1"), "of pairs"),
        Step(part, ("of pairs",), "e"),
    ]
    network = EnergyNetwork(Program(steps, "e"), cutoff=2.5, dim=3, full_pairs=True, dtype=dtype)
    return network, part, functions


def repelling(count: int) -> Structures:
    """Disturbed lattices of particles with the repulsion of Weeks, Chandler and Andersen."""
    lattice = np.stack(np.meshgrid(*[np.arange(3)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) * 1.2
    positions = lattice + 0.05 * np.random.default_rng(0).standard_normal((count, *lattice.shape))
    structures = Structures.from_arrays(positions, 3.6, species=np.ones((count, 27), dtype=int))
    pairs = find_pairs(structures.positions, 2 ** (1 / 6), structures.cell, offsets=structures.offsets)
    r, energies, forces = pairs.distance, np.zeros(count), np.zeros(structures.positions.shape)
    np.add.at(energies, structures.structure_of[pairs.first], 4 * (r**-12 - r**-6) + 1)
    push = (24 * (2 * r**-13 - r**-7) / r)[:, None] * pairs.displacement
    np.add.at(forces, pairs.first, push)
    np.add.at(forces, pairs.second, -push)
    return replace(structures, energies=energies, forces=forces)


def test_single_precision():
    """Coefficients that are rounded have not twice the loss of those that are not, and a second fit is no worse.

    Directions that single precision cannot hold still explain a part of what is left in double precision.
    """
    data, losses = repelling(6), {}
    for dtype in (np.float64, np.float32):
        network, part, functions = repulsion_alone(dtype)
        losses[dtype] = []
        for _ in range(2):
            fit_pairs(network, part, functions, data, WEIGHTS)
            losses[dtype].append(network.loss_alone(data, WEIGHTS))
    assert losses[np.float32][0] <= 2 * losses[np.float64][0]
    assert losses[np.float32][1] <= 1.05 * losses[np.float32][0]


def test_a_structure_without_points():
    """It has no pairs, and changes nothing."""
    data, fitted = make_structures(3, (4, 0, 5, 6), (2.0, 2.0, 2.1, 2.2), seed=1), []
    for chosen in ([0, 1, 2, 3], [0, 2, 3]):
        network = network_of()
        network.fit_pairs(data[chosen], LossWeights(energy=0.5, forces=1.0, per_point=True))
        fitted.append(network.predict(data[[0, 2, 3]]).energies)
    np.testing.assert_allclose(fitted[0], fitted[1], rtol=1e-9)


def test_messages_know_nothing_of_the_core():
    """Two points within it feel inverse powers alone: F r is a sum of r^−p, whatever the network has learned."""
    network = network_of()
    network.parameters.flat[...] += 0.1 * np.random.default_rng(4).standard_normal(network.parameters.flat.size)
    distances = np.linspace(0.3, 0.95 * CORE, 9)

    def energies() -> np.ndarray:
        points = np.zeros((len(distances), 2, 3))
        points[:, 1, 0] = distances
        return network.predict(Structures.from_arrays(points, species=SPECIES[:2])).energies

    with_powers = energies()
    network.parameters["core.coefficients"][...] = 0.0
    alone = energies()
    np.testing.assert_allclose(alone, alone[0], rtol=1e-12)
    assert np.ptp(with_powers) > 1e-3


def test_what_is_refused():
    """No core, no data, a stress."""
    data = make_structures(3, (4, 5), seed=1)
    with pytest.raises(ValueError, match="core: this network has no energies of pairs"):
        network_of(core=None).fit_pairs(data, WEIGHTS)
    with pytest.raises(ValueError, match="energies: expected them"):
        network_of().fit_pairs(replace(data, energies=None), WEIGHTS)
    with pytest.raises(ValueError, match="core: expected below"):
        network_of(core=1.4)
    species = data.species.copy()
    species[6] = 7
    with pytest.raises(ValueError, match="species: 7 of point 2 of structure 1"):
        network_of().fit_pairs(replace(data, species=species), WEIGHTS)
    with pytest.raises(ValueError, match="a weight of stress"):
        network_of().fit_pairs(
            replace(data, energies=np.zeros(2), forces=np.zeros((9, 3)), stress=np.zeros((2, 3, 3))),
            LossWeights(stress=1.0),
        )
