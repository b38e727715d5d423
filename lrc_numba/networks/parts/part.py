r"""What a network is composed of: parts, each with its value, its tangent, its transpose and the tangent of that.

    forward    x → y
    jvp        ẋ → ẏ                 along one direction; parameters have no tangent
    vjp        ȳ → x̄                 and, where a gradient is given, θ̄ is added to it
    vjp_dual   (ȳ, ẏ̄) → (x̄, ẋ̄)       cotangents of the pair (y, ẏ) to those of (x, ẋ), and to θ

With e = ∂L/∂U and s = ∂L/∂F the gradient of a loss of energies and forces is ∂θ [Σ e U − d/dε U(x + εs)]: one
``forward``, one ``vjp`` (the forces), one ``jvp`` along s, one ``vjp_dual``. Where structures are strained, the strain
is part of the direction, and the virial of the cotangent.

Inputs and outputs are arrays with a row for each point or for each pair; the leaf ``GEOMETRY`` is where the points are
and what their cells are like. Its tangent and its cotangent are a ``Motion``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...geometry.neighbours import Pairs
from ...geometry.structures import Structures
from ...machine.workspace import Workspace
from ..layers.parameters import Parameters

__all__ = ["GEOMETRY", "Motion", "Part", "Scene", "Tape", "WrongShape", "expect_rows"]

GEOMETRY = "geometry"


@dataclass
class Motion:
    """How points move, and how their structures are strained; as a cotangent, the gradient by that.

    Attributes
    ----------
    points : (n, d)
        ẋ beside the strain, units of length.
    strain : (B, d, d) float64 or None
        ε: positions and lattice vectors become x(1 + ε); None where that is not wanted.
    """

    points: np.ndarray
    strain: np.ndarray | None = None

    def __add__(self, other: Motion) -> Motion:
        strain = (
            self.strain if other.strain is None else other.strain if self.strain is None else self.strain + other.strain
        )
        return Motion(self.points + other.points, strain)


@dataclass
class Scene:
    """What parts look at besides their inputs: some structures and their pairs, or all of them.

    Attributes
    ----------
    structures : Structures
        Points, cells, species, charges.
    pairs : Pairs
        Neighbours, numbered from the first of these points.
    dtype : dtype
        Of the network.
    threads : int
        At most so many, for parts that look at all structures at once.
    begin : int
        Number of the first of these structures among all, for messages.
    """

    structures: Structures
    pairs: Pairs
    dtype: np.dtype
    threads: int = 1
    begin: int = 0

    @property
    def count(self) -> int:
        """Points."""
        return len(self.structures.positions)


@dataclass
class Tape:
    """What one part keeps from its ``forward`` for the other passes; parts put into ``kept`` what they like.

    Attributes
    ----------
    scene : Scene
        What the part looks at.
    parameters : Parameters
        Of the whole network.
    space : Workspace
        Memory that lives until the next ``forward``.
    wanted : tuple of bool
        In ``vjp`` and ``vjp_dual``, for each input, whether its cotangent is wanted; others may be None.
    strained : bool
        In ``vjp``, whether the gradient by the strain is wanted.
    keep : bool
        Whether ``jvp`` and ``vjp_dual`` may follow.
    """

    scene: Scene
    parameters: Parameters
    space: Workspace
    wanted: tuple[bool, ...] = ()
    strained: bool = False
    keep: bool = False
    kept: dict[str, Any] = field(default_factory=dict)


class WrongShape(ValueError):
    """What a part was given has another shape than it was made for; a program adds the line."""


def expect_rows(array: np.ndarray, *shape: int, count: int | None = None) -> None:
    """Raise a ``WrongShape`` where rows, or how many there are, are not as a part needs them.

    Parameters
    ----------
    array : (n, …)
        What came.
    *shape : int
        Of each row.
    count : int, optional
        Rows.
    """
    if array.shape[1:] != shape or count not in (None, len(array)):
        rows = "n" if count is None else count
        raise WrongShape(f"expected shape {(rows, *shape)}, got {array.shape}".replace("'n'", "n"))


class Part:
    """One part: it holds settings, and the numbers it learns are in named views of a flat vector.

    Attributes
    ----------
    name : str
        Prefix of the names of its parameters.
    whole : bool
        Whether it looks at all structures at once instead of at some at a time.
    geometry : bool
        Whether its first input is ``GEOMETRY``.
    reads, rows : {"points", "pairs", ""}
        What its inputs, and its output, have a row for; "" of inputs is either, and of an output what the inputs have.
    pairs : {"full", "half", ""}
        Whether it needs every pair from both its ends, or once; "" where it does not matter.
    reach : float
        Up to which distance it expects all neighbours.
    """

    name: str = ""
    whole: bool = False
    geometry: bool = False
    reads: str = ""
    rows: str = ""
    pairs: str = ""
    reach: float = 0.0

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Names and shapes of the parameters."""
        return {}

    def initialise(self, parameters: Parameters, generator: np.random.Generator) -> None:
        """Write the parameters that a network starts with.

        Parameters
        ----------
        parameters : Parameters
            Those of this part are written.
        generator : Generator
            Source of randomness.
        """

    def check(self, dtype: np.dtype) -> None:
        """Raise a ValueError, when a network is made, for settings that its dtype cannot hold.

        Parameters
        ----------
        dtype : float32 or float64
            Of the network.
        """

    def check_structures(self, structures: Structures) -> None:
        """Raise a ValueError that names a structure, and its point, that this part does not take.

        Asked before a training, so that bad data are not found in the middle of it.

        Parameters
        ----------
        structures : Structures
            All there are.
        """

    def forward(self, tape: Tape, *inputs):
        """y.

        Parameters
        ----------
        tape : Tape
            Keeps what the other passes need.
        *inputs : arrays
            x.
        """
        raise NotImplementedError

    def jvp(self, tape: Tape, *tangents):
        """ẏ; the tangent of an input that does not move is None.

        Parameters
        ----------
        tape : Tape
            From ``forward``.
        *tangents : arrays or None
            ẋ.
        """
        raise NotImplementedError

    def vjp(self, tape: Tape, bar, gradient: Parameters | None = None) -> tuple:
        """x̄, one for each input.

        Parameters
        ----------
        tape : Tape
            From ``forward``.
        bar : array
            ȳ.
        gradient : Parameters, optional
            Added to.
        """
        raise NotImplementedError

    def vjp_dual(self, tape: Tape, bar, dbar, gradient: Parameters) -> tuple[tuple, tuple]:
        """x̄ and ẋ̄, one of each for each input.

        Parameters
        ----------
        tape : Tape
            From ``forward`` and ``jvp``.
        bar, dbar : arrays
            ȳ and ẏ̄.
        gradient : Parameters
            Added to.
        """
        raise NotImplementedError
