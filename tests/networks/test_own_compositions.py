"""Compositions of a user's own: trained, stored, and at work for one thread at a time."""

from __future__ import annotations

import doctest
from copy import deepcopy

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import (
    EnergyNetwork,
    LossWeights,
    MessagePassingNetwork,
    energy,
)
from lrc_numba.networks.parts.embedding import Embedding
from lrc_numba.networks.parts.program import Program, Step

CUTOFF = 1.5


class Gas(EnergyNetwork):
    """A number for each species; a subclass of a user's own."""

    kind = "gas of these tests"

    def __init__(self, species, threads=None):
        self.species = tuple(species)
        lines = [Step(Embedding("energy", self.species, 1), (), "e")]
        super().__init__(Program(lines, "e"), cutoff=1.0, dim=3, threads=threads)

    def settings(self):
        return {"kind": self.kind, "species": list(self.species)}

    @classmethod
    def from_settings(cls, settings, threads=None):
        return cls(settings["species"], threads)


class Nameless(EnergyNetwork):
    """Has settings, and no kind of its own."""

    def settings(self):
        return {"kind": self.kind}


def test_compositions_of_a_users_own(tmp_path):
    """A program alone is evaluated, and not stored: the error says what to define, and writes no file."""
    for kind, error, message in (
        (
            EnergyNetwork,
            NotImplementedError,
            r"no settings to be stored; to save it, .* a kind, settings\(\) and from_set",
        ),
        (
            Nameless,
            ValueError,
            "settings: expected one of the kinds .*, got ''; define kind in Nameless, and return it",
        ),
    ):
        with pytest.raises(error, match=message):
            kind(
                Program([Step(Embedding("own", SPECIES, 1), (), "e")], "e"), cutoff=CUTOFF, dim=3, full_pairs=True
            ).save(tmp_path / "own.npz")
    assert not list(tmp_path.iterdir())
    gas = Gas(SPECIES)
    gas.save(tmp_path / "gas.npz")
    same = EnergyNetwork.load(tmp_path / "gas.npz")
    assert type(same) is Gas
    np.testing.assert_array_equal(same.parameters.flat, gas.parameters.flat)


def test_the_example_of_a_network_of_ones_own():
    """In the docstring."""
    assert doctest.testmod(energy) == (0, 4)


def test_a_network_works_for_one_thread_at_a_time():
    """It has one workspace: a call while another is at work is refused by name, and copies have work of their own."""
    network = MessagePassingNetwork(SPECIES, 1.5, channels=8, rounds=1)
    structures = make_structures(3, (4,), (3.0,), seed=1)
    wanted, found = network.predict(structures).energies, []

    class Interrupting(Structures):
        """Structures that ask the network while it looks at them."""

        @property
        def counts(self) -> np.ndarray:
            """As ever, and what came of asking."""
            for call in (network.predict, lambda s: network.loss(s, LossWeights()), lambda s: network.values(s, "e")):
                with pytest.raises(RuntimeError, match=r"network is at work already.*make a network for every"):
                    call(structures)
            found.append(deepcopy(network).predict(structures).energies)
            return super().counts

    np.testing.assert_array_equal(network.predict(Interrupting(**vars(structures))).energies, wanted)
    assert found
    np.testing.assert_array_equal(found[0], wanted)
    np.testing.assert_array_equal(network.predict(structures).energies, wanted)
