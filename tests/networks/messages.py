"""Networks of messages and molecules that tests of them share."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_structures import SPECIES, make_structures

from lrc_numba.geometry.structures import Structures
from lrc_numba.networks import LossWeights
from lrc_numba.networks.composed import MessagePassingNetwork

CUTOFF = 1.5
ALL = LossWeights(energy=0.3, forces=1.0, stress=0.5)
KINDS = pytest.mark.parametrize("kind", ["near", "far"])


def network_of(kind: str, dim: int = 3, **options) -> MessagePassingNetwork:
    """Two rounds, "far" with a long range whose width is learned; off its start values."""
    own: dict = {"channels": 8, "rounds": 2, "basis": 3, "dim": dim, "seed": 2}
    if kind == "far":
        own |= {"long_range": 2, "train_sigma": True, "sigma": 0.6}
    network = MessagePassingNetwork(SPECIES, CUTOFF, **(own | options))
    for name, view in network.parameters.items():
        if not name.endswith("sigma"):
            view += 0.05 * np.random.default_rng(1).standard_normal(view.shape)
    return network


def molecules(dim: int = 3, counts=(5, 1, 4), seed: int = 0) -> Structures:
    """Structures without cells."""
    return make_structures(dim, counts, tuple(1.6 * n ** (1 / dim) + 0.5 for n in counts), periodic=False, seed=seed)
