"""Energies of pairs by least squares, and what a network says of contacts closer than its core."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures
from measures import relative

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights
from lrc_numba.networks.composed import MessagePassingNetwork

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
    with pytest.raises(ValueError, match="a weight of stress"):
        network_of().fit_pairs(
            replace(data, energies=np.zeros(2), forces=np.zeros((9, 3)), stress=np.zeros((2, 3, 3))),
            LossWeights(stress=1.0),
        )
