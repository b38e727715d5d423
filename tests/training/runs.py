"""Short trainings, for the tests of this folder."""

from __future__ import annotations

import numpy as np

from lrc_numba.geometry.structures import Structures
from lrc_numba.nbody import PairPotential, Snapshots
from lrc_numba.networks import FullRangeNetwork, MessagePassingNetwork
from lrc_numba.training import Protocol, Stage, Trainer

SHORT = Protocol((Stage(3, 2), Stage(5, 2)))


def trainer(folder, protocol: Protocol = SHORT, seed: int = 0, **options) -> Trainer:
    """A full-range network on seven snapshots of six points."""
    potential = PairPotential("screened_coulomb", (3.0,), (1.0,), (1.0,))
    data = Snapshots.make(potential, 7, (3,), 2, 0.05, seed=1)
    network = FullRangeNetwork(3.0, 1.0, 15, dim=1, seed=seed)
    network.set_scales(data.points)
    files = {"checkpoint": folder / "state.npz", "log": folder / "log.jsonl"}
    return Trainer(network, data.points, data.forces, protocol, seed=seed, **(files | options))


MIXED = Protocol((Stage(2, 3), Stage(3, 2)), rate=1e-3, schedule="cosine", warmup=2)


def molecules(count: int = 7, seed: int = 0) -> Structures:
    """Of different sizes, with energies and forces that no network knows."""
    rng = np.random.default_rng(seed)
    sizes = 2 + np.arange(count) % 4
    positions = [1.2 * np.arange(n)[:, None] * [1.0, 0.3, 0.1] + 0.1 * rng.standard_normal((n, 3)) for n in sizes]
    known = {"species": [1 + np.arange(n) % 2 for n in sizes], "energies": rng.standard_normal(count)}
    return Structures.from_arrays(positions, forces=[rng.standard_normal((n, 3)) for n in sizes], **known)


def network(seed: int = 0, **options) -> MessagePassingNetwork:
    """A small one."""
    return MessagePassingNetwork((1, 2), 2.5, channels=8, rounds=1, long_range=8, seed=seed, **options)
