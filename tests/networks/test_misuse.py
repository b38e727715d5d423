"""What networks and programs say where they are used in a way that would go wrong silently."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures

from lrc_numba.networks import EnergyNetwork, FullRangeNetwork, MessagePassingNetwork, ShortRangeNetwork

CUTOFF = 1.5


# ---------------------------------------------------------------------- attributes
def test_assigning_to_the_parameters():
    """What is assigned is copied into the vector, of which the views stay views; what cannot be is said."""
    network, structures = (
        MessagePassingNetwork(SPECIES, CUTOFF, channels=8, rounds=1),
        make_structures(3, (4, 3), seed=1),
    )
    before, view = network.predict(structures).energies, network.parameters["energy.weight0"]
    doubled = 2 * network.parameters.flat
    network.parameters.flat = doubled
    np.testing.assert_array_equal(network.parameters.flat, doubled)
    assert np.shares_memory(view, network.parameters.flat)
    assert not np.shares_memory(doubled, network.parameters.flat)
    assert (np.abs(network.predict(structures).energies - before) > 1e-3).all()
    network.parameters.flat *= 0.5
    np.testing.assert_array_equal(network.predict(structures).energies, before)
    for wrong, message in (
        (doubled[:-1], "parameters: expected .* numbers, shape .*, got shape"),
        (np.full_like(doubled, np.nan), "parameters: expected finite numbers, got .* others"),
        (np.full(doubled.shape, "x"), "parameters: expected .* numbers, shape .* of <U1"),
    ):
        with pytest.raises(ValueError, match=message):
            network.parameters.flat = wrong
    np.testing.assert_array_equal(network.predict(structures).energies, before)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda: MessagePassingNetwork(SPECIES, CUTOFF, channels=8), ("cutoff", "dtype", "channels", "eps", "species")),
        (lambda: ShortRangeNetwork(5.0, 1.0, dim=1), ("box", "cutoff", "dim", "full_pairs", "program", "parameters")),
        (lambda: FullRangeNetwork(5.0, 1.0, 15, dim=1), ("modes", "lam", "seed", "cutoff_kind")),
    ],
)
def test_settings_are_not_replaced(make, names):
    """Parts were made with them, and files would tell of another network; a copy can be made."""
    network = make()
    for name in names:
        with pytest.raises(AttributeError, match=f"{name}: .* was made with it"):
            setattr(network, name, deepcopy([getattr(network, name)]))
    assert isinstance(deepcopy(network), EnergyNetwork)
