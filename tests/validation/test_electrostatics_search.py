"""Which settings of a peer are timed again."""

from __future__ import annotations

import numpy as np
import pytest

from validation.tools import electrostatics_search as search
from validation.tools.electrostatics_peers import Peer
from validation.tools.report_charges import goals

SECONDS = {7.0: 1.0, 9.0: 1.5, 11.0: 4.0}  # by cutoff


class Made(Peer):
    """Its error is its tolerance; larger cutoffs are slower."""

    name = "made"

    def __init__(self, refused: float = np.inf):
        super().__init__(None, 1)
        self.refused, self.opened = refused, []

    def settings(self, target):
        for cutoff in SECONDS:
            yield [{"cutoff": cutoff, "tolerance": factor * target} for factor in (9.0, 3.0, 0.9, 0.3, 0.1)]

    def open(self, cutoff, tolerance):
        if cutoff == self.refused and tolerance > 0.5e-4:
            raise MemoryError("no room")
        self.opened.append({"cutoff": cutoff, "tolerance": tolerance})

    def close(self):
        pass

    def forces(self):
        return np.full((1, 3), self.opened[-1]["tolerance"] / np.sqrt(3))

    def run(self, rebuild, calls):
        pass

    def step(self, rebuild, calls=1):
        return SECONDS[self.opened[-1]["cutoff"]]


def test_candidates():
    """Of each list the first within the target that the peer can do; none that takes twice as long as the fastest."""
    for refused, errors in ((np.inf, [0.9, 0.9]), (9.0, [0.9, 0.3])):
        found = search.candidates(Made(refused), 1e-4, np.zeros((1, 3)))
        assert [each["settings"]["cutoff"] for each in found] == [7.0, 9.0]
        assert [each["error"] / 1e-4 for each in found] == pytest.approx(errors)


def test_candidates_near_others():
    """Of the same cutoff alone, whatever decides on the mesh."""
    peer = Made()
    found = search.candidates(peer, 1e-4, np.zeros((1, 3)), [{"cutoff": 9.0, "tolerance": 0.5}])
    assert [each["settings"]["cutoff"] for each in found] == [9.0]
    assert {each["cutoff"] for each in peer.opened} == {9.0}


def test_goals():
    """By the peer and the number of atoms."""
    cases = {("NaCl 1,000", "LAMMPS pppm"): (3, 2), ("water 24,000", "LAMMPS pppm"): (4, 2)}
    cases |= {("NaCl 1,000", "torch-pme P3M"): (25, None), ("NaCl 1,000", "OpenMM PME (float)"): (None, None)}
    for (system, peer), wanted in cases.items():
        assert goals({"system": system, "peer": peer}) == wanted
