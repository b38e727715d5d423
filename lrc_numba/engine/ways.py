"""The two ways through a linearised convolution: φ̂ from f to u, and its adjoint from g to f̄, with what each keeps.

Both read and write the same array of modes; see ``linearised`` for the formulas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..machine.workspace import Workspace
from . import deconvolution, fourier, interpolation
from .chain import Chain
from .deconvolution import ModeProduct, MultiplierTable
from .points import SortedPoints

__all__ = ["Memory", "Shared", "Way"]


@dataclass
class Memory:
    """Where something kept lies, under names that end in ``suffix``; whether grids are kept."""

    space: Workspace
    suffix: str
    keeps: bool

    def take(self, name: str, shape: tuple[int, ...], dtype) -> np.ndarray:
        """An array that nobody else writes to.

        Parameters
        ----------
        name, shape, dtype
            As for ``Workspace.take``.
        """
        return self.space.take(name + self.suffix, shape, dtype)

    def copy(self, name: str, array: np.ndarray) -> np.ndarray:
        """The same numbers in an array that nobody else writes to."""
        kept = self.take(name, array.shape, array.dtype)
        kept[...] = array
        return kept


@dataclass
class Shared:
    """What both ways work with.

    Attributes
    ----------
    chain, points, table
        As for ``linearise``.
    memory : Memory
        For what is kept.
    modes : (B, 2 (C_in + C_out), ·, ·, ·) complex
        Those of f, of g and of their tangents.
    none : (B, 0)
        The mode k = 0 of no channels.
    """

    chain: Chain
    points: SortedPoints
    table: MultiplierTable
    memory: Memory
    modes: np.ndarray
    none: np.ndarray


class Way:
    """One of the two ways: φ̂ from f to u, or its adjoint from g to f̄; below they are called f and u on both.

    Parameters
    ----------
    shared : Shared
        Points, φ̂, modes.
    name : str
        Of what is kept.
    slots : two ranges
        Channels of the modes where those of f and of its tangent are.
    channels : int
        Of u.
    adjoint : bool
        Which way.
    """

    def __init__(self, shared: Shared, name: str, slots: tuple[range, range], channels: int, adjoint: bool):
        self.shared, self.name, self.adjoint, self.channels = shared, name, adjoint, channels
        own, moved, out = *slots, range(channels)
        self.slots, self.own, self.moved = slots, [ModeProduct(own, out, adjoint)], [ModeProduct(moved, out, adjoint)]
        self.both = [*self.own, ModeProduct(moved, range(channels, 2 * channels), adjoint)]
        self.values = shared.none  # spread, once there are any
        self.ready = False
        self.output: np.ndarray | None = None
        self._grid: np.ndarray | None = None

    def set(self, values: np.ndarray) -> None:
        """Spread other values."""
        shared = self.shared
        self.ready, self.output, self._grid = False, None, None
        self.values = shared.memory.copy(self.name, values)
        own = self.slots[0]
        shared.modes[:, own.start : own.stop] = shared.chain.to_modes(shared.points, self.values)
        self.ready = True

    def holds(self, values: np.ndarray) -> bool:
        """Whether these are the values that were spread."""
        return self.ready and bool((self.values == values).all())

    def mean(self, values: np.ndarray) -> np.ndarray:
        """The mode k = 0 of what φ̂ makes of values, (B, C)."""
        return self.shared.chain.mean_field(self.shared.table, values, self.shared.points.batch[0], self.adjoint)

    def product(self, products: list[ModeProduct]) -> np.ndarray:
        """Modes times φ̂, in the workspace."""
        shared = self.shared
        return deconvolution.multiply(shared.chain.context, shared.modes, shared.table, products)

    def grid(self) -> np.ndarray:
        """The grid of u, padding filled; computed where it is not kept yet."""
        if self._grid is not None:
            return self._grid
        shared = self.shared
        chain, points, modes = shared.chain, shared.points, self.product(self.own)
        shape = (*modes.shape[:2], *chain.grid.layout.padded)
        out = shared.memory.take(f"{self.name} grid", shape, chain.grid.dtype)
        out = fourier.synthesise(chain.context, modes, points.reached, out)
        self._grid = interpolation.fill(chain.context, points, out)
        return self._grid

    def read(self) -> np.ndarray:
        """u, kept, too."""
        if self.output is not None:
            return self.output
        shared, mean = self.shared, self.mean(self.values)
        if shared.memory.keeps:
            self.output = interpolation.interpolate(shared.chain.context, shared.points, self.grid(), mean)
        else:
            self.output = shared.chain.read(shared.points, self.product(self.own), mean)
        return self.output

    def read_vjp(self, weights: np.ndarray, with_output: bool) -> np.ndarray:
        """Σ_c weights^c ∇u^c (B·N, d) from the kept grid; ``output`` becomes known where that is wanted."""
        shared = self.shared
        chain, points, with_output = shared.chain, shared.points, with_output and self.output is None
        mean = self.mean(self.values) if with_output else shared.none
        grid, ordered = self.grid(), points.gather(chain.context, weights)
        out, slopes = interpolation.interpolate_vjp(chain.context, points, grid, ordered, 0, mean.shape[1], mean)
        if with_output:
            self.output = out
        return slopes

    def jvp(self, dvalues: np.ndarray, dpoints: np.ndarray | None) -> None:
        """Spread the tangent of the values."""
        shared, moved = self.shared, self.slots[1]
        modes = shared.chain.tangent_modes(shared.points, self.values, dvalues, dpoints)
        shared.modes[:, moved.start : moved.stop] = modes

    def read_jvp(self, dvalues: np.ndarray, dpoints: np.ndarray | None) -> np.ndarray:
        """u̇ from modes that ``jvp`` made."""
        shared, mean = self.shared, self.mean(dvalues)
        chain, points = shared.chain, shared.points
        if dpoints is None:
            return chain.read(points, self.product(self.moved), mean)
        at_k0 = chain.xp.concatenate([chain.xp.zeros_like(mean), mean], axis=1)
        if not shared.memory.keeps:
            return chain.read_jvp(points, self.product(self.both), dpoints, at_k0)[1]
        grid, ordered = self.grid(), points.gather(chain.context, dpoints)
        moved = chain.from_modes(points, self.product(self.moved))
        return interpolation.interpolate_jvp(chain.context, points, grid, ordered, at_k0, moved)[1]
