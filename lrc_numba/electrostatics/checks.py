"""What a user passes in, checked: one structure, and charges of its points."""

from __future__ import annotations

import numpy as np

from .. import arguments
from ..geometry.structures import Structures

__all__ = ["as_charges", "as_structure", "net_charge"]

NEUTRAL = 1e-10  # of Σ |q|: a net charge that is rounding


def as_structure(positions, cell, periodic) -> Structures:
    """One structure of three dimensions.

    Parameters
    ----------
    positions : (N, 3) array
        Units of length.
    cell : float, (3,) or (3, 3) array, optional
        Length(s), or lattice vectors as rows.
    periodic : bool or 3 bools
        Along which lattice vectors there are images; without a cell a single ``True`` is along none.

    Raises
    ------
    ValueError, TypeError
        Naming the argument, what came and what was expected.
    """
    flags = np.broadcast_to(np.asarray(periodic, dtype=bool), (3,))
    if cell is None and np.ndim(periodic) == 0:
        flags = np.zeros(3, dtype=bool)
    structure = Structures.from_arrays(positions, np.zeros((3, 3)) if cell is None else cell, periodic=flags)
    if structure.dim != 3:
        raise ValueError(f"positions: expected three dimensions, got shape {np.shape(positions)}")
    return structure


def as_charges(charges, count: int) -> np.ndarray:
    """Charges (N, C) of float32 or float64.

    Parameters
    ----------
    charges : (N,) or (N, C) array
        q, C ≥ 1.
    count : int
        N.

    Raises
    ------
    ValueError, TypeError
        Naming what came and what was expected; also for None.
    """
    if charges is None:
        raise ValueError("charges: expected them for every point, got none")
    values = arguments.as_array("charges", charges, arguments.common_dtype(charges=charges))
    if values.ndim not in (1, 2) or len(values) != count or values.size < count:
        raise ValueError(f"charges: expected shape ({count},) or ({count}, C), as positions has, got {values.shape}")
    return values.reshape(count, 1 if values.ndim == 1 else values.shape[1])


def net_charge(charges: np.ndarray) -> np.ndarray:
    """Q of every channel, (C,) float64, 0 where it is rounding.

    Parameters
    ----------
    charges : (N, C)
        Of one structure.
    """
    net = charges.sum(axis=0, dtype=np.float64)
    return np.where(np.abs(net) <= NEUTRAL * np.abs(charges).sum(axis=0), 0.0, net)
