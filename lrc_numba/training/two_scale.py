"""Training on two scales, section 5 of arXiv 2010.05295: much of small systems, then a little of large ones.

What a point sees of its neighbours is learned from many small structures, which are cheap; the large ones, of which
few are at hand, then only teach the long range and what reads it. It is possible as a network belongs to no box.
"""

from __future__ import annotations

from pathlib import Path

from ..geometry.structures import Structures
from ..networks import EnergyNetwork
from .protocol import Protocol
from .trainer import Trainer

__all__ = ["train_two_scales"]


def train_two_scales(
    network: EnergyNetwork,
    small: tuple[Structures, Protocol],
    large: tuple[Structures, Protocol],
    *,
    frozen: tuple[str, ...] = ("f1", "f2"),
    folder: str | Path | None = None,
    progress: bool = True,
    **options,
) -> tuple[Trainer, Trainer]:
    """Train on small structures, then on large ones with some of the parameters as they are. Returns both trainers.

    Parameters
    ----------
    network : EnergyNetwork
        Trained in place.
    small, large : tuple of Structures and Protocol
        What to learn from, and how long.
    frozen : tuple of str
        Names of parameters, or their beginnings, that the large structures do not change; by default those of the
        functions of neighbour pairs of the paper's networks.
    folder : str or Path, optional
        Where checkpoints are kept, from which it goes on when called again.
    progress : bool
        Show bars.
    **options
        For both trainers, such as ``weights`` and ``seed``.
    """
    trainers = []  # both are made before the first runs: what the second cannot be is said at once
    for name, (data, protocol), fixed in (("small", small, ()), ("large", large, frozen)):
        checkpoint = None if folder is None else Path(folder) / f"{name}.npz"
        trainers.append(Trainer(network, data, protocol=protocol, frozen=fixed, checkpoint=checkpoint, **options))
    for trainer in trainers:
        trainer.resume()
        trainer.run(progress=progress)
    return trainers[0], trainers[1]
