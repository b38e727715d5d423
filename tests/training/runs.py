"""A short training, for the tests of this folder."""

from __future__ import annotations

from lrc_numba.nbody import PairPotential, Snapshots
from lrc_numba.networks import FullRangeNetwork
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
