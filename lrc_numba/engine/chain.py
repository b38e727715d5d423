"""The pieces that convolutions and their derivatives are made of: points → grid → modes, and modes → grid → points.

Each calls one or two stages with the memory of a workspace. Nothing is checked here. Arrays of values are (B·N, C), of
points (B·N, d).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..machine.workspace import Workspace
from . import deconvolution, fourier, interpolation, spreading
from .context import Context, Ranks
from .deconvolution import ModeProduct, MultiplierTable
from .grid import Grid
from .groups import consecutive
from .points import SortedPoints

__all__ = ["Chain"]


class Chain:
    """The stages on one grid, with memory.

    Parameters
    ----------
    grid : Grid
        Sizes, window, tables.
    threads : int
        At most so many; they change no result.
    spectral : bool
        Differentiate with ik instead of ∇ψ.
    space : Workspace, optional
        Memory for what lies between two loops; its own by default.
    parallel, ranks
        As for ``Context``; with several ranks modes, and sums over points, are those of the points of all.
    """

    def __init__(
        self,
        grid: Grid,
        threads: int,
        spectral: bool,
        space: Workspace | None = None,
        parallel=None,
        ranks: Ranks | None = None,
    ):
        self.grid, self.spectral, self.space = grid, spectral, space or Workspace(grid.backend.arrays)
        self.context = Context(grid, threads, self.space, parallel, ranks)

    @property
    def xp(self):
        """Array functions of the back end."""
        return self.context.xp

    # ---------------------------------------------------------------- points → grid → modes
    def take_grid(self, batch: int, channels: int, interleaved: int = 1) -> np.ndarray:
        """The one grid that every transform reads from and writes to.

        Parameters
        ----------
        batch, channels : int
            B and C.
        interleaved : int
            How many channels are interleaved, 1 or 2.
        """
        planes, rows, columns = self.grid.layout.padded
        shape = (batch, channels // interleaved, planes, rows, interleaved * columns)
        return self.space.take("grid", shape, self.grid.dtype)

    def analyse(self, points: SortedPoints, values: np.ndarray, channels: int) -> np.ndarray:
        """Modes of a grid to which values at these points, and at those of other ranks, were spread.

        Parameters
        ----------
        points : SortedPoints
            Where from.
        values : real array
            The grid, padding folded in.
        channels : int
            C.
        """
        return self.context.over_ranks(fourier.analyse(self.context, values, points.reached, channels))

    def to_modes(self, points: SortedPoints, *values: np.ndarray) -> np.ndarray:
        """The transforms of spread values, ψ̂(k) F(k); several arrays of values go side by side."""
        return self.spread(points, points.gather(self.context, *values))

    def spread(self, points: SortedPoints, ordered: np.ndarray) -> np.ndarray:
        """``to_modes`` of values that are sorted already."""
        return self.analyse(points, self.to_grid(points, ordered), ordered.shape[1])

    def to_modes_jvp(self, points: SortedPoints, values, dvalues, dpoints) -> np.ndarray:
        """``to_modes`` of values and, in as many channels more, its tangent along ``dvalues`` and ``dpoints``.

        Parameters
        ----------
        points : SortedPoints
            Where from.
        values, dvalues : (B·N, C)
            f and ḟ.
        dpoints : (B·N, d) or None
            ẋ, units of length.
        """
        channels = values.shape[1]
        if dpoints is None:
            return self.to_modes(points, values, dvalues)
        if not self.spectral:
            ordered = points.gather(self.context, values, dvalues, dpoints)
            grid = self.take_grid(points.batch[0], 2 * channels)
            return self.analyse(points, spreading.spread_jvp(self.context, points, ordered, grid), 2 * channels)
        drift = self._drift(points, values, dpoints)
        modes = self.to_modes(points, values, dvalues)
        modes[:, channels:] -= drift
        return modes

    def tangent_modes(self, points: SortedPoints, values, dvalues, dpoints) -> np.ndarray:
        """What ``to_modes_jvp`` returns beside the modes of the values, and cheaper where loops leave those out.

        Parameters
        ----------
        points, values, dvalues, dpoints
            As for ``to_modes_jvp``.
        """
        if dpoints is None:
            return self.to_modes(points, dvalues)
        if self.spectral:
            drift = self._drift(points, values, dpoints)
            return self.to_modes(points, dvalues) - drift
        channels = values.shape[1]
        if self.grid.backend.name != "cpu":  # loops of a device spread both
            return self.to_modes_jvp(points, values, dvalues, dpoints)[:, channels:]
        ordered = points.gather(self.context, values, dvalues, dpoints)
        grid = self.take_grid(points.batch[0], channels)
        return self.analyse(points, spreading.spread_jvp(self.context, points, ordered, grid), channels)

    def _drift(self, points: SortedPoints, values, dpoints) -> np.ndarray:
        """Σ_a ik_a times the transform of f ẋ_a: how modes change, by way of ik, with the sign turned."""
        moved = (values[:, :, None] * dpoints[:, None, :]).reshape(points.count, values.shape[1] * self.grid.dim)
        return deconvolution.differentiate(self.context, self.to_modes(points, moved), transposed=True)

    # ---------------------------------------------------------------- modes → grid → points
    def from_modes(self, points: SortedPoints, modes: np.ndarray, interleaved: int = 1) -> np.ndarray:
        """Modes on a grid with its padding filled, ready to be read at the points.

        Parameters
        ----------
        points : SortedPoints
            Where it is read.
        modes : (B, C, ·, ·, ·) complex
            Of what lies on the grid.
        interleaved : int
            How many channels are interleaved, 1 or 2.
        """
        grid = self.take_grid(modes.shape[0], modes.shape[1], interleaved)
        return interpolation.fill(self.context, points, fourier.synthesise(self.context, modes, points.reached, grid))

    def to_read_grid(self, points: SortedPoints, modes: np.ndarray) -> np.ndarray:
        """``from_modes``, channels interleaved where that is read faster."""
        return self.from_modes(points, modes, self.grid.interleave(modes.shape[1], reading=True))

    def read(self, points: SortedPoints, modes: np.ndarray, at_k0: np.ndarray | None = None) -> np.ndarray:
        """u at the points from its modes, ``at_k0`` added.

        Parameters
        ----------
        points : SortedPoints
            Where it is read.
        modes : (B, C, ·, ·, ·) complex
            Of u.
        at_k0 : (B, C), optional
            The mode k = 0.
        """
        return interpolation.interpolate(self.context, points, self.to_read_grid(points, modes), at_k0)

    def read_slopes(self, points: SortedPoints, modes: np.ndarray) -> np.ndarray:
        """∇u by way of ik, (B·N, C, d)."""
        slopes = self.read(points, deconvolution.differentiate(self.context, modes))
        return slopes.reshape(points.count, modes.shape[1], self.grid.dim)

    def read_jvp(self, points: SortedPoints, modes: np.ndarray, dpoints: np.ndarray | None, at_k0) -> tuple:
        """u and u̇ = w + ẋ∘p from the modes of u and, in as many channels more, of w; ``at_k0`` is k = 0 of both.

        Parameters
        ----------
        points : SortedPoints
            Where it is read.
        modes : (B, 2C, ·, ·, ·) complex
            Of u and of w.
        dpoints : (B·N, d) or None
            ẋ.
        at_k0 : (B, 2C)
            The mode k = 0.
        """
        channels = modes.shape[1] // 2
        if dpoints is not None and not self.spectral:
            dpoints = points.gather(self.context, dpoints)
            return interpolation.interpolate_jvp(self.context, points, self.from_modes(points, modes), dpoints, at_k0)
        both = self.read(points, modes, at_k0)
        out, dout = self.xp.ascontiguousarray(both[:, :channels]), self.xp.ascontiguousarray(both[:, channels:])
        if dpoints is not None:
            slopes = self.read_slopes(points, self.xp.ascontiguousarray(modes[:, :channels]))
            dout = dout + self.xp.einsum("ia,ica->ic", dpoints, slopes)
        return out, dout

    def read_vjp(
        self,
        points: SortedPoints,
        modes: np.ndarray,
        ordered: np.ndarray,
        column: int,
        at_k0: np.ndarray,
        gradient: bool,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """u from its modes, of as many channels as ``at_k0`` has or more, and Σ_c weights^c ∇u^c if ``gradient``.

        The weights come sorted; that of channel 0 is in ``column``, the others follow, counted round.

        Parameters
        ----------
        points : SortedPoints
            Where it is read.
        modes : (B, C, ·, ·, ·) complex
            Of u.
        ordered : (B·N, C)
            Weights, sorted.
        column : int
            Where the weight of channel 0 is.
        at_k0 : (B, ≤ C)
            The mode k = 0.
        gradient : bool
            Whether the gradient is wanted.
        """
        if not (gradient and self.spectral):
            return self.interpolate_vjp(points, self.to_read_grid(points, modes), ordered, column, at_k0, gradient)
        weights = self.xp.roll(points.as_given(self.context, ordered), -column, axis=1)
        slopes = self.read_slopes(points, modes)
        return self.read(points, modes, at_k0), self.xp.einsum("ic,ica->ia", weights, slopes)

    def interpolate_vjp(
        self,
        points: SortedPoints,
        values: np.ndarray,
        ordered: np.ndarray,
        column: int,
        at_k0: np.ndarray,
        gradient: bool,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """``read_vjp`` from a grid with its padding filled; the gradient by ∇ψ.

        Parameters
        ----------
        points : SortedPoints
            Where it is read.
        values : real array
            The grid.
        ordered, column, at_k0, gradient
            As for ``read_vjp``.
        """
        if not gradient:
            return interpolation.interpolate(self.context, points, values, at_k0), None
        return interpolation.interpolate_vjp(self.context, points, values, ordered, column, at_k0.shape[1], at_k0)

    # ---------------------------------------------------------------- points → grid, and on to the grid that is read
    def to_grid(self, points: SortedPoints, ordered: np.ndarray, channels: int = 0) -> np.ndarray:
        """Sorted values on a grid; its memory is made for ``channels``, where so many are to be written to it later.

        Parameters
        ----------
        points : SortedPoints
            Where from.
        ordered : (B·N, C)
            Sorted values.
        channels : int
            How many channels are written to the same memory later.
        """
        batch, n_values = points.batch[0], ordered.shape[1]
        if channels > n_values:
            self.take_grid(batch, channels)  # now: when memory grows, what is in it is lost
        grid = self.take_grid(batch, n_values, spreading.interleave(self.context, points, n_values))
        return spreading.spread(self.context, points, ordered, grid)

    def through(
        self,
        spread: np.ndarray,
        sources: SortedPoints,
        targets: SortedPoints,
        table: MultiplierTable,
        products: Sequence[ModeProduct],
        powers: np.ndarray | None = None,
    ) -> np.ndarray:
        """From a grid to one that is ready to be read at the targets: transformed, multiplied, transformed back.

        Parameters
        ----------
        spread : real array
            The grid.
        sources, targets : SortedPoints
            Where from, where to.
        table : MultiplierTable
            φ̂.
        products : sequence of ModeProduct
            Which channels become which.
        powers : (B, *modes) real array, optional
            As for ``fourier.through``.
        """
        channels = products[-1].write.stop
        out = self.take_grid(sources.batch[0], channels, self.grid.interleave(channels, reading=True))
        out = fourier.through(self.context, spread, (sources.reached, targets.reached), table, products, out, powers)
        return interpolation.fill(self.context, targets, out)

    # ---------------------------------------------------------------- the mode k = 0, and the cotangent of φ̂
    def at_k0(self, points: SortedPoints, table: MultiplierTable, f, g, with_values: bool) -> np.ndarray:
        """The mode k = 0 of u, and of f̄ where that is wanted, (B, C).

        Parameters
        ----------
        points : SortedPoints
            Where from.
        table : MultiplierTable
            φ̂.
        f, g : (B·N, C)
            Values and cotangents.
        with_values : bool
            Whether f̄ is wanted.
        """
        at_k0 = [self.mean_field(table, f, points.batch[0])]
        if with_values:
            at_k0.append(self.mean_field(table, g, points.batch[0], adjoint=True))
        return self.xp.concatenate(at_k0, axis=1)

    def _sums(self, values: np.ndarray, batch: int) -> np.ndarray:
        """Σ_j f_j of every snapshot, over the points of all ranks, (B, C)."""
        sums = values.reshape(batch, len(values) // max(batch, 1), values.shape[1]).sum(axis=1)
        return self.context.over_ranks(sums)

    def mean_field(self, table: MultiplierTable, values: np.ndarray, batch: int, adjoint: bool = False) -> np.ndarray:
        """The mode k = 0 of u, (B, C_out); of f̄, (B, C_in), from cotangents.

        Parameters
        ----------
        table : MultiplierTable
            φ̂.
        values : (B·N, C)
            f, or g.
        batch : int
            B.
        adjoint : bool
            From C_out to C_in.
        """
        return table.mean_field(self._sums(values, batch), adjoint=adjoint)

    def table_vjp(
        self, modes: np.ndarray, f: np.ndarray, g: np.ndarray, batch: int, table: MultiplierTable
    ) -> np.ndarray:
        """S on every mode, from the modes of f and g side by side.

        Parameters
        ----------
        modes : complex array
            Transforms of f and g.
        f, g : (B·N, C)
            Values and cotangents.
        batch : int
            B.
        table : MultiplierTable
            φ̂.
        """
        cotangent = deconvolution.multiply_vjp(self.context, modes, table, *consecutive(f.shape[1], g.shape[1]))
        return self.exact_mean(cotangent, f, g, batch, table)

    def exact_mean(
        self, cotangent: np.ndarray, f: np.ndarray, g: np.ndarray, batch: int, table: MultiplierTable
    ) -> np.ndarray:
        """S with k = 0 from the sums themselves, in place.

        Parameters
        ----------
        cotangent : complex array
            S.
        f, g : (B·N, C)
            Values and cotangents.
        batch : int
            B.
        table : MultiplierTable
            φ̂.
        """
        sums = [self._sums(array, batch) for array in (g, f)]
        own = self.xp.einsum("bc,bc->", *sums) if table.per_channel else self.xp.einsum("bo,bc->oc", *sums)
        cotangent[..., 0] = self.xp.reshape(own, table.shape) / self.grid.cell.volume
        return cotangent
