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
    validation: tuple[Structures | None, Structures | None] | None = None,
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
    validation : tuple of two Structures, optional
        Not learned from: small ones for the first training, and large ones, whose long range they lack, for the second.
        One of them may be None; that training keeps its last parameters then.
    folder : str or Path, optional
        Where checkpoints are kept, from which it goes on when called again.
    progress : bool
        Show bars.
    **options
        For both trainers, such as ``weights`` and ``seed``; ``patience`` for those that have validation data.

    Raises
    ------
    ValueError, TypeError
        Before anything is trained, as for a ``Trainer``.
    """
    if validation is not None and (not isinstance(validation, (tuple, list)) or len(validation) != 2):
        raise TypeError(
            f"validation: expected a pair, of small and of large structures, got {type(validation).__name__}"
        )
    if options.get("log") is not None:
        raise ValueError(f"log: expected none, as one file cannot be of two trainings, got {options['log']}")
    held = validation or (None, None)
    trainers = []  # both are made before the first runs: what the second cannot be is said at once
    for name, (data, protocol), fixed, kept in (("small", small, (), held[0]), ("large", large, frozen, held[1])):
        own: dict = {"checkpoint": None if folder is None else Path(folder) / f"{name}.npz", "validation": kept}
        if kept is None and any(each is not None for each in held):
            own["patience"] = None
        trainers.append(Trainer(network, data, protocol=protocol, frozen=fixed, **(options | own)))
    for trainer in trainers:
        trainer.resume()
        trainer.run(progress=progress)
    return trainers[0], trainers[1]
