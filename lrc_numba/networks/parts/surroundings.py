"""What a convolution takes of structures, and which plans hold the points of a scene."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary, ref

import numpy as np

from ...geometry.cell import Cell
from ...geometry.structures import Structures
from ...multipliers.multiplier import Multiplier
from .part import Scene, WrongShape, expect_rows

__all__ = ["Placed", "channels_of", "charges_of", "check_features", "near_origin", "open_size"]


def open_size(structures: Structures, b: int, images: bool, extent: float | None) -> float:
    """How far a structure without images extends, units of length.

    Parameters
    ----------
    structures : Structures
        Any.
    b : int
        Which of them.
    images : bool
        Whether a kernel needs periodic images.
    extent : float or None
        The largest there may be.

    Raises
    ------
    ValueError
        Naming the structure, where a convolution does not take it.
    """
    if structures.periodic[b].any():
        raise ValueError(f"periodic: structure {b} is periodic along some axes alone; expected all or none")
    if images:
        raise ValueError(f"periodic: expected structure {b} to be periodic, which this long-range kernel needs")
    positions = structures.positions[structures.offsets[b] : structures.offsets[b + 1]]
    size = float(np.linalg.norm(np.ptp(positions, axis=0))) if len(positions) else 0.0
    if extent is not None and size > extent:
        raise ValueError(
            f"positions: structure {b} extends over {size:g}, and the padded box of open ones is made for an "
            f"extent of {extent:g}"
        )
    return size


def near_origin(positions: np.ndarray, counts: np.ndarray, cell: np.ndarray | None) -> np.ndarray:
    """Points (n, d) where single precision tells them apart; far from the origin it rounds them to a coarse lattice.

    Parameters
    ----------
    positions : (n, d) float64
        Of some structures, one after the other.
    counts : (B,) ints
        How many points each of them has.
    cell : (d, d) array or None
        In which they are convolved, all of them: into it they are folded. Without one the middle of each structure goes
        to the origin.
    """
    if cell is not None:
        return Cell(cell, len(cell)).folded(positions)
    counts = counts[counts > 0]
    starts = np.cumsum(counts) - counts
    ends = (bound.reduceat(positions, starts, axis=0) for bound in (np.minimum, np.maximum))
    return positions - np.repeat(0.5 * sum(ends), counts, axis=0)


def channels_of(multiplier: Multiplier) -> tuple[int, ...]:
    """The shape of a kernel: (C,) of one for each channel, () of one for all.

    Parameters
    ----------
    multiplier : Multiplier
        With its parameters.
    """
    return np.broadcast_shapes(*(each.shape for each in multiplier.parameters.values()))


def charges_of(structures: Structures) -> np.ndarray:
    """The charges (n,) that structures bring along; a ValueError where there are none.

    Parameters
    ----------
    structures : Structures
        Any.
    """
    if structures.charges is None:
        raise ValueError("charges: expected one for every point, got none")
    return structures.charges


def check_features(values: str, features: np.ndarray | None, count: int) -> None:
    """Raise a ``WrongShape`` where features are missing, no rows of points, or not those that are convolved.

    Parameters
    ----------
    values : {"ones", "charges", "features"}
        What is convolved.
    features : (n, C) or None
        As given.
    count : int
        n.
    """
    if (features is None) == (values == "features"):
        wanted = "features as its second input" if features is None else "the geometry alone"
        raise WrongShape(f"expected {wanted}, as its values are {values!r}")
    if features is not None:
        expect_rows(features, *features.shape[1:2], count=count)


class Placed:
    """Which plans hold the points of the present scene: several lines of a program may ask for the same plan.

    Setting the points anew would end what the line before has linearised.
    """

    def __init__(self) -> None:
        self._scene: Any = None
        self._plans: WeakValueDictionary[int, object] = WeakValueDictionary()

    def __reduce__(self) -> tuple:
        """Copies, pickled ones too, begin anew: scenes and plans are not theirs."""
        return Placed, ()

    def first(self, plan: object, scene: Scene) -> bool:
        """Whether a plan is asked for the first time in a scene.

        Parameters
        ----------
        plan : object
            With points.
        scene : Scene
            Whose points they are.
        """
        if self._scene is None or self._scene() is not scene:
            self._scene, self._plans = ref(scene), WeakValueDictionary()
        if self._plans.get(id(plan)) is plan:
            return False
        self._plans[id(plan)] = plan
        return True
