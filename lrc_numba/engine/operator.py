r"""The chain points → grid → modes → × multiplier → grid → points, its tangent and its transpose.

    u = I G(φ̂/(Vψ̂²)) S f:  spread f with the window ψ, transform, multiply, transform back, interpolate with ψ.

The operator K(x_i, x_j) that this evaluates is symmetric, differs from the exact one by eps, and has exact derivatives:

    u̇ = w + ẋ∘p   p_i = ∇₁ Σ_j f_j K(x_i, x_j)        interpolate with ∇ψ
                   w_i = Σ_j f_j ẋ_j·∇₂ K(x_i, x_j)    spread with ∇ψ, interpolate with ψ

(eqs 18–20 of arXiv 2010.05295, for the operator that the computer evaluates). A gradient is the transpose of that and
costs two convolutions, whatever the dimension. The spectral variant differentiates the exact kernel instead, with ik
between the transforms: nearer to the true force, not quite the derivative of the computed energy.

Nothing is checked here; ``plan.LRCPlan`` does that. Arrays of values are (B·N, C), of points (B·N, d).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..machine.workspace import Workspace
from . import deconvolution, fourier, interpolation, spreading
from .context import Context, Ranks
from .deconvolution import ModeProduct, MultiplierTable, both_ways, one_way
from .grid import Grid
from .groups import consecutive, grouped
from .points import SortedPoints, sort_points
from .tangents import Cotangents, Tangents

__all__ = ["Operator"]


class Operator:
    """The engine on one grid.

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
    ranks : Ranks, optional
        Processes that share the points: modes, and sums over points, are those of the points of all.
    """

    def __init__(
        self, grid: Grid, threads: int, spectral: bool, space: Workspace | None = None, ranks: Ranks | None = None
    ):
        self.grid, self.spectral, self.space = grid, spectral, space or Workspace(grid.backend.arrays)
        self.context = Context(grid, threads, self.space, ranks)

    @property
    def xp(self):
        """Array functions of the back end."""
        return self.context.xp

    def sort(self, name: str, points: np.ndarray, batch: int) -> SortedPoints:
        """Points folded into the cell and sorted by where they are on the grid.

        Parameters
        ----------
        name : str
            Which set they replace.
        points : (B·N, d)
            Positions, units of length.
        batch : int
            B.
        """
        return sort_points(self.context, name, points, (batch, len(points) // batch if batch else 0))

    # ---------------------------------------------------------------- the whole chain
    @grouped(1)
    def forward(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f: np.ndarray
    ) -> np.ndarray:
        """u (B·T, C_out) from f (B·N, C_in).

        Parameters
        ----------
        sources, targets : SortedPoints
            Where from, where to; the same object where they are the same points.
        table : MultiplierTable
            φ̂.
        f : (B·N, C_in)
            Values in the order of the points as given.
        """
        c_in, c_out = f.shape[1], table.channels_out(f.shape[1])
        ordered = sources.gather(self.context, f)
        grid = self._to_grid(sources, ordered, c_out)  # points → grid
        grid = self._through(grid, sources, targets, table, one_way(c_in, c_out))  # → modes → × multiplier → grid
        at_k0 = self._mean_field(table, f, sources.batch[0])
        return interpolation.interpolate(self.context, targets, grid, at_k0)  # → points

    @grouped(2)
    def jvp(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f: np.ndarray, tangents: Tangents
    ) -> tuple:
        """u and u̇.

        Parameters
        ----------
        sources, targets, table, f
            As for ``forward``.
        tangents : Tangents
            ḟ and ẋ.
        """
        c_in, c_out = f.shape[1], table.channels_out(f.shape[1])
        modes = self._to_modes_jvp(sources, f, tangents.values, tangents.sources)
        products = [
            ModeProduct(range(c_in), range(c_out)),
            ModeProduct(range(c_in, 2 * c_in), range(c_out, 2 * c_out)),
        ]
        product = deconvolution.multiply(self.context, modes, table, products)
        at_k0 = [self._mean_field(table, values, sources.batch[0]) for values in (f, tangents.values)]
        return self._read_jvp(targets, product, tangents.targets, self.xp.concatenate(at_k0, axis=1))

    @grouped(2)
    def vjp(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f, g, wrt: Collection[str]
    ) -> Cotangents:
        """u, f̄, the gradients at sources and at targets, and the cotangent of φ̂.

        Parameters
        ----------
        sources, targets, table, f
            As for ``forward``.
        g : (B·T, C_out)
            Cotangent of u.
        wrt : collection of {"points", "values", "table"}
            What is wanted.
        """
        if not wrt:
            return Cotangents(self.forward(sources, targets, table, f))
        if targets is sources:
            return self._vjp_same_points(sources, table, f, g, wrt)
        return self._vjp_to_targets(sources, targets, table, f, g, wrt)

    def _vjp_same_points(self, points: SortedPoints, table: MultiplierTable, f, g, wrt: Collection[str]) -> Cotangents:
        """f and g travel side by side, in one pass over the points each way; both gradients are that of the points."""
        c_in, c_out = f.shape[1], g.shape[1]
        gradient, with_values, with_table = "points" in wrt, "values" in wrt, "table" in wrt
        cotangent, ordered = None, points.gather(self.context, f, g)
        at_k0 = self._at_k0(points, table, f, g, with_values)
        products = both_ways(table, c_in, c_out) if gradient or with_values else one_way(c_in, c_out)
        if with_table or (gradient and self.spectral):
            modes = self._spread(points, ordered)
            if with_table:
                cotangent = self._table_vjp(modes, f, g, points.batch[0], table)
            modes = deconvolution.multiply(self.context, modes, table, products)
            both, dpoints = self._read_vjp(points, modes, ordered, c_in, at_k0, gradient)
        else:
            values = self._to_grid(points, ordered, products[-1].write.stop)
            values = self._through(values, points, points, table, products)
            both, dpoints = self._interpolate_vjp(points, values, ordered, c_in, at_k0, gradient)
        out, df = self.xp.ascontiguousarray(both[:, :c_out]), None
        if with_values:
            df = self.xp.ascontiguousarray(both[:, c_out:])
        return Cotangents(out, df, dpoints, dpoints, cotangent)

    @grouped(1)
    def energy(self, points: SortedPoints, table: MultiplierTable, f: np.ndarray, wrt: Collection[str]) -> Cotangents:
        """u, the gradient f·∇u of E = ½ Σ f·u at the points, and the cotangent of φ̂ of every snapshot.

        As K is symmetric, the gradient of E is that of one argument of K alone, twice halved: only the channels of f
        travel, once each way, where ``vjp`` takes those of f and of f/2.

        Parameters
        ----------
        points, table, f
            As for ``forward``; φ̂ is its own adjoint.
        wrt : collection of {"points", "table", "tables"}
            What is wanted; "table" is S of all snapshots together, (n_modes,), and "tables" of each, (B, n_modes).
        """
        channels, batch = f.shape[1], points.batch[0]
        gradient, cotangent, ordered = "points" in wrt, None, points.gather(self.context, f)
        at_k0, products = self._mean_field(table, f, batch), one_way(channels, channels)
        if (gradient and self.spectral) or not {"table", "tables"}.isdisjoint(wrt):
            modes = self._spread(points, ordered)
            if "table" in wrt:
                cotangent = self._energy_table(modes, f, batch, table)
            elif "tables" in wrt:
                rows = f.reshape(batch, len(f) // max(batch, 1), channels)
                each = [self._energy_table(modes[b : b + 1], rows[b], 1, table) for b in range(batch)]
                cotangent = self.xp.stack(each) if each else self.xp.zeros((0, self.grid.mode_set.size))
            modes = deconvolution.multiply(self.context, modes, table, products)
            out, dpoints = self._read_vjp(points, modes, ordered, 0, at_k0, gradient)
        else:
            values = self._through(self._to_grid(points, ordered), points, points, table, products)
            out, dpoints = self._interpolate_vjp(points, values, ordered, 0, at_k0, gradient)
        return Cotangents(out, None, dpoints, dpoints, cotangent)

    def _energy_table(self, modes: np.ndarray, f: np.ndarray, batch: int, table: MultiplierTable) -> np.ndarray:
        """S = weight |F|²/2V of the energy, (n_modes,), real."""
        every = range(f.shape[1])
        cotangent = deconvolution.multiply_vjp(self.context, modes, table, every, every)
        return self._exact_mean(cotangent, f, f, batch, table).real / 2

    def _vjp_to_targets(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f, g, wrt: Collection[str]
    ) -> Cotangents:
        """f goes from the sources to the targets, g from the targets to the sources."""
        context, batch, c_in, c_out = self.context, sources.batch[0], f.shape[1], g.shape[1]
        gradient, with_values, with_table = "points" in wrt, "values" in wrt, "table" in wrt
        modes = self._to_modes(sources, f)
        kept = modes.copy() if with_table else None  # the workspace is about to be used again
        modes = deconvolution.multiply(context, modes, table, one_way(c_in, c_out))
        ordered = targets.gather(context, g)
        out, dtargets = self._read_vjp(targets, modes, ordered, 0, self._mean_field(table, f, batch), gradient)
        modes, df, dsources, cotangent = self._spread(targets, ordered), None, None, None
        if kept is not None:
            cotangent = self._table_vjp(self.xp.concatenate([kept, modes], axis=1), f, g, batch, table)
        if gradient or with_values:
            at_k0 = self._mean_field(table, g, batch, adjoint=True)[:, : c_in if with_values else 0]
            ordered = sources.gather(context, f)
            adjoint = [ModeProduct(range(c_out), range(c_in), adjoint=True)]
            modes = deconvolution.multiply(context, modes, table, adjoint)
            df, dsources = self._read_vjp(sources, modes, ordered, 0, at_k0, gradient)
        df = self.xp.ascontiguousarray(df) if with_values else None
        return Cotangents(self.xp.ascontiguousarray(out), df, dsources, dtargets, cotangent)

    @grouped(4)
    def table_jvp(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f, g, dg, tangents: Tangents
    ) -> np.ndarray:
        """Ṡ, how the cotangent of φ̂ moves: the modes of one of the pair with the tangent modes of the other.

        Parameters
        ----------
        sources, targets, table, f, tangents
            As for ``jvp``.
        g, dg : (B·T, C_out)
            Cotangent of u, and its tangent.
        """
        c_in, c_out, batch, df = f.shape[1], g.shape[1], sources.batch[0], tangents.values
        if targets is sources:
            both, moved = (self.xp.concatenate(pair, axis=1) for pair in ((f, g), (df, dg)))
            modes = self._to_modes_jvp(sources, both, moved, tangents.sources)  # channels F, G, Ḟ, Ġ
            f_modes, g_modes, df_modes, dg_modes = consecutive(c_in, c_out, c_in, c_out)
        else:
            from_sources = self._to_modes_jvp(sources, f, df, tangents.sources).copy()
            modes = self.xp.concatenate([from_sources, self._to_modes_jvp(targets, g, dg, tangents.targets)], axis=1)
            f_modes, df_modes, g_modes, dg_modes = consecutive(c_in, c_in, c_out, c_out)
        ranges = ((f_modes, dg_modes), (df_modes, g_modes))
        parts = [deconvolution.multiply_vjp(self.context, modes, table, *pair) for pair in ranges]
        return self._exact_mean(parts[0], f, dg, batch, table) + self._exact_mean(parts[1], df, g, batch, table)

    # ---------------------------------------------------------------- points → grid → modes
    def _grid(self, batch: int, channels: int, interleaved: int = 1) -> np.ndarray:
        """The one grid that every transform reads from and writes to."""
        planes, rows, columns = self.grid.layout.padded
        shape = (batch, channels // interleaved, planes, rows, interleaved * columns)
        return self.space.take("grid", shape, self.grid.dtype)

    def _analyse(self, points: SortedPoints, values: np.ndarray, channels: int) -> np.ndarray:
        """Modes of a grid to which values at these points were spread, and of those of other ranks."""
        return self.context.over_ranks(fourier.analyse(self.context, values, points.reached, channels))

    def _to_modes(self, points: SortedPoints, *values: np.ndarray) -> np.ndarray:
        """The transforms of spread values, ψ̂(k) F(k); several arrays of values go side by side."""
        return self._spread(points, points.gather(self.context, *values))

    def _spread(self, points: SortedPoints, ordered: np.ndarray) -> np.ndarray:
        """``_to_modes`` of values that are sorted already."""
        return self._analyse(points, self._to_grid(points, ordered), ordered.shape[1])

    def _to_modes_jvp(self, points: SortedPoints, values, dvalues, dpoints) -> np.ndarray:
        """``_to_modes`` of values and, in as many channels more, its tangent along ``dvalues`` and ``dpoints``."""
        channels = values.shape[1]
        if dpoints is None:
            return self._to_modes(points, values, dvalues)
        if not self.spectral:
            ordered = points.gather(self.context, values, dvalues, dpoints)
            grid = self._grid(points.batch[0], 2 * channels)
            return self._analyse(points, spreading.spread_jvp(self.context, points, ordered, grid), 2 * channels)
        moved = (values[:, :, None] * dpoints[:, None, :]).reshape(points.count, channels * self.grid.dim)
        drift = deconvolution.differentiate(self.context, self._to_modes(points, moved), transposed=True)
        modes = self._to_modes(points, values, dvalues)
        modes[:, channels:] -= drift
        return modes

    # ---------------------------------------------------------------- modes → grid → points
    def _from_modes(self, points: SortedPoints, modes: np.ndarray, interleaved: int = 1) -> np.ndarray:
        """Modes on a grid with its padding filled, ready to be read at the points."""
        grid = self._grid(modes.shape[0], modes.shape[1], interleaved)
        return interpolation.fill(self.context, points, fourier.synthesise(self.context, modes, points.reached, grid))

    def _to_read_grid(self, points: SortedPoints, modes: np.ndarray) -> np.ndarray:
        """``_from_modes``, channels interleaved where that is read faster."""
        return self._from_modes(points, modes, self.grid.interleave(modes.shape[1], reading=True))

    def _read(self, points: SortedPoints, modes: np.ndarray, at_k0: np.ndarray | None = None) -> np.ndarray:
        """u at the points from its modes, ``at_k0`` added."""
        return interpolation.interpolate(self.context, points, self._to_read_grid(points, modes), at_k0)

    def _read_slopes(self, points: SortedPoints, modes: np.ndarray) -> np.ndarray:
        """∇u by way of ik, (B·N, C, d)."""
        slopes = self._read(points, deconvolution.differentiate(self.context, modes))
        return slopes.reshape(points.count, modes.shape[1], self.grid.dim)

    def _read_jvp(self, points: SortedPoints, modes: np.ndarray, dpoints: np.ndarray | None, at_k0) -> tuple:
        """u and u̇ = w + ẋ∘p from the modes of u and, in as many channels more, of w; ``at_k0`` is k = 0 of both."""
        channels = modes.shape[1] // 2
        if dpoints is not None and not self.spectral:
            dpoints = points.gather(self.context, dpoints)
            return interpolation.interpolate_jvp(self.context, points, self._from_modes(points, modes), dpoints, at_k0)
        both = self._read(points, modes, at_k0)
        out, dout = self.xp.ascontiguousarray(both[:, :channels]), self.xp.ascontiguousarray(both[:, channels:])
        if dpoints is not None:
            slopes = self._read_slopes(points, self.xp.ascontiguousarray(modes[:, :channels]))
            dout = dout + self.xp.einsum("ia,ica->ic", dpoints, slopes)
        return out, dout

    def _read_vjp(
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
        """
        if not (gradient and self.spectral):
            return self._interpolate_vjp(points, self._to_read_grid(points, modes), ordered, column, at_k0, gradient)
        weights = self.xp.roll(points.as_given(self.context, ordered), -column, axis=1)
        slopes = self._read_slopes(points, modes)
        return self._read(points, modes, at_k0), self.xp.einsum("ic,ica->ia", weights, slopes)

    def _interpolate_vjp(
        self,
        points: SortedPoints,
        values: np.ndarray,
        ordered: np.ndarray,
        column: int,
        at_k0: np.ndarray,
        gradient: bool,
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """``_read_vjp`` from a grid with its padding filled; the gradient by ∇ψ."""
        if not gradient:
            return interpolation.interpolate(self.context, points, values, at_k0), None
        return interpolation.interpolate_vjp(self.context, points, values, ordered, column, at_k0.shape[1], at_k0)

    # ---------------------------------------------------------------- points → grid, and on to the grid that is read
    def _to_grid(self, points: SortedPoints, ordered: np.ndarray, channels: int = 0) -> np.ndarray:
        """Sorted values on a grid; its memory is made for ``channels``, where so many are to be written to it later."""
        batch, n_values = points.batch[0], ordered.shape[1]
        if channels > n_values:
            self._grid(batch, channels)  # now: when memory grows, what is in it is lost
        grid = self._grid(batch, n_values, spreading.interleave(self.context, points, n_values))
        return spreading.spread(self.context, points, ordered, grid)

    def _through(
        self,
        spread: np.ndarray,
        sources: SortedPoints,
        targets: SortedPoints,
        table: MultiplierTable,
        products: Sequence[ModeProduct],
    ) -> np.ndarray:
        """From a grid to one that is ready to be read at the targets: transformed, multiplied, transformed back."""
        channels = products[-1].write.stop
        out = self._grid(sources.batch[0], channels, self.grid.interleave(channels, reading=True))
        out = fourier.through(self.context, spread, (sources.reached, targets.reached), table, products, out)
        return interpolation.fill(self.context, targets, out)

    # ---------------------------------------------------------------- the mode k = 0, and the cotangent of φ̂
    def _at_k0(self, points: SortedPoints, table: MultiplierTable, f, g, with_values: bool) -> np.ndarray:
        """The mode k = 0 of u, and of f̄ where that is wanted, (B, C)."""
        at_k0 = [self._mean_field(table, f, points.batch[0])]
        if with_values:
            at_k0.append(self._mean_field(table, g, points.batch[0], adjoint=True))
        return self.xp.concatenate(at_k0, axis=1)

    def _sums(self, values: np.ndarray, batch: int) -> np.ndarray:
        """Σ_j f_j of every snapshot, over the points of all ranks, (B, C)."""
        sums = values.reshape(batch, len(values) // max(batch, 1), values.shape[1]).sum(axis=1)
        return self.context.over_ranks(sums)

    def _mean_field(self, table: MultiplierTable, values: np.ndarray, batch: int, adjoint: bool = False) -> np.ndarray:
        """The mode k = 0 of u, (B, C)."""
        return table.mean_field(self._sums(values, batch), adjoint=adjoint)

    def _table_vjp(self, modes: np.ndarray, f, g, batch: int, table: MultiplierTable) -> np.ndarray:
        """S on every mode, from the modes of f and g side by side."""
        cotangent = deconvolution.multiply_vjp(self.context, modes, table, *consecutive(f.shape[1], g.shape[1]))
        return self._exact_mean(cotangent, f, g, batch, table)

    def _exact_mean(self, cotangent: np.ndarray, f, g, batch: int, table: MultiplierTable) -> np.ndarray:
        """S with k = 0 from the sums themselves, in place."""
        sums = [self._sums(array, batch) for array in (g, f)]
        own = self.xp.einsum("bc,bc->", *sums) if table.per_channel else self.xp.einsum("bo,bc->oc", *sums)
        cotangent[..., 0] = self.xp.reshape(own, table.shape) / self.grid.cell.volume
        return cotangent
