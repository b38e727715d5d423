"""Checks of what a user passes to a network; every error names the argument, what came and what was expected."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import arguments
from ..geometry.structures import Structures

if TYPE_CHECKING:
    from .energy import EnergyNetwork
    from .loss import LossWeights

__all__ = [
    "as_counted",
    "as_dim",
    "as_energies",
    "as_forces",
    "as_lengths",
    "as_weight",
    "check_cells",
    "check_data",
    "check_some",
]


def as_dim(dim) -> int:
    """1, 2 or 3.

    Parameters
    ----------
    dim : int
        As given.
    """
    if dim not in (1, 2, 3) or isinstance(dim, bool):
        raise ValueError(f"dim: expected 1, 2 or 3, got {dim!r}")
    return int(dim)


def as_counted(counted, count: int) -> np.ndarray | None:
    """Which points count, (n,) bool; None where all do.

    Parameters
    ----------
    counted : (n,) bool or None
        As given.
    count : int
        n.
    """
    if counted is None:
        return None
    which = np.asarray(counted)
    if which.dtype != bool or which.shape != (count,):
        raise ValueError(
            f"counted: expected a bool for every point, shape ({count},), got shape {which.shape} of {which.dtype}"
        )
    return which


def as_lengths(box, dim: int | None) -> np.ndarray:
    """Box lengths, (d,) float64.

    Parameters
    ----------
    box : float or (d,) array
        As given.
    dim : int or None
        d, where it is given.
    """
    lengths = np.asarray(box, dtype=np.float64)
    dim = dim if dim is not None else lengths.size if lengths.ndim == 1 else 1
    if lengths.ndim > 1 or lengths.size not in (1, dim) or dim not in (1, 2, 3):
        raise ValueError(f"box: expected a length, or d of them with d = 1, 2 or 3, got {box!r} for dim={dim}")
    if not (np.isfinite(lengths).all() and (lengths > 0).all()):
        raise ValueError(f"box: expected positive lengths, got {box!r}")
    return np.broadcast_to(lengths, (dim,)).astype(np.float64)


def as_forces(forces, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """F* as (B, N, d).

    Parameters
    ----------
    forces : array
        As given.
    shape : (N, d) or (B, N, d)
        Of the points.
    dtype : dtype
        Of the network.
    """
    if np.shape(forces) != shape:
        raise ValueError(f"forces: expected the shape of the points, {shape}, got {np.shape(forces)}")
    array = arguments.as_points("forces", forces, dtype, shape[-1])
    return array[None] if array.ndim == 2 else array


def as_weight(name: str, weight) -> float:
    """A finite number that is not negative.

    Parameters
    ----------
    name : str
        Of the argument.
    weight : float
        As given.
    """
    if arguments.as_real(name, weight) < 0:
        raise ValueError(f"{name}: expected a finite number that is not negative, got {weight}")
    return float(weight)


def as_energies(energies, batch: int) -> np.ndarray:
    """U* as (B,) float64.

    Parameters
    ----------
    energies : float or (B,) array
        As given.
    batch : int
        B.
    """
    array = np.asarray(energies, dtype=np.float64)
    if array.size != batch or array.ndim > 1:
        raise ValueError(f"energies: expected one number per snapshot, shape ({batch},), got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"energies: expected finite numbers, got {array.tolist()}")
    return array.reshape(batch)


def check_some(points: np.ndarray) -> None:
    """Raise a ValueError where there is nothing to average over.

    Parameters
    ----------
    points : (B, N, d)
        Snapshots.
    """
    if not points.size:
        raise ValueError(f"points: expected at least one snapshot of one point, got shape {points.shape}")


def check_cells(structures: Structures, name: str = "stress") -> None:
    """A ValueError that names a structure that has no volume, where a derivative by the cell is wanted.

    Parameters
    ----------
    structures : Structures
        As given.
    name : str
        What is wanted.
    """
    flat = ~(structures.periodic.all(axis=1) & (structures.volume > 0))
    if flat.any():
        raise ValueError(f"{name}: expected a cell, periodic along all axes, for structure {int(flat.argmax())}")


def check_data(network: EnergyNetwork, data: Structures, weights: LossWeights) -> None:
    """A ValueError that names a structure, and its point, that cannot be learned from; before any of it is computed.

    Points in one place are found in the search for neighbours alone, and so later.

    Parameters
    ----------
    network : EnergyNetwork
        That is to learn.
    data : Structures
        To learn from, or to compare with.
    weights : LossWeights
        Of the terms of the loss.
    """
    weights.check(data)
    empty = data.counts == 0
    if empty.any():
        raise ValueError(f"positions: structure {int(empty.argmax())} has no points, and tells nothing; leave it out")
    if weights.stress:
        check_cells(data)
    if network.references is not None:
        network.references.of_points(data)
    for part in network.program.parts:
        part.check_structures(data)
