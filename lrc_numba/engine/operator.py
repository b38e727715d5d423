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

from collections.abc import Callable, Collection
from functools import partial

import numpy as np

from . import deconvolution, fourier, interpolation
from .chain import Chain
from .deconvolution import ModeProduct, MultiplierTable, both_ways, one_way
from .groups import consecutive, grouped
from .points import SortedPoints, sort_points
from .tangents import Cotangents, Tangents

__all__ = ["Operator"]


class Operator(Chain):
    """The engine on one grid: whole convolutions and their derivatives.

    Parameters
    ----------
    grid, threads, spectral, space, parallel, ranks
        As for ``Chain``.
    """

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
        grid = self.to_grid(sources, ordered, c_out)  # points → grid
        grid = self.through(grid, sources, targets, table, one_way(c_in, c_out))  # → modes → × multiplier → grid
        return interpolation.interpolate(
            self.context, targets, grid, self.mean_field(table, f, sources.batch[0])
        )  # → points

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
        modes = self.to_modes_jvp(sources, f, tangents.values, tangents.sources)
        products = [
            ModeProduct(range(c_in), range(c_out)),
            ModeProduct(range(c_in, 2 * c_in), range(c_out, 2 * c_out)),
        ]
        product = deconvolution.multiply(self.context, modes, table, products)
        at_k0 = [self.mean_field(table, values, sources.batch[0]) for values in (f, tangents.values)]
        return self.read_jvp(targets, product, tangents.targets, self.xp.concatenate(at_k0, axis=1))

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
        at_k0 = self.at_k0(points, table, f, g, with_values)
        products = both_ways(table, c_in, c_out) if gradient or with_values else one_way(c_in, c_out)
        if with_table or (gradient and self.spectral):
            modes = self.spread(points, ordered)
            if with_table:
                cotangent = self.table_vjp(modes, f, g, points.batch[0], table)
            modes = deconvolution.multiply(self.context, modes, table, products)
            both, dpoints = self.read_vjp(points, modes, ordered, c_in, at_k0, gradient)
        else:
            values = self.to_grid(points, ordered, products[-1].write.stop)
            values = self.through(values, points, points, table, products)
            both, dpoints = self.interpolate_vjp(points, values, ordered, c_in, at_k0, gradient)
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
        at_k0, products = self.mean_field(table, f, batch), one_way(channels, channels)
        of_table = not {"table", "tables"}.isdisjoint(wrt)
        if (gradient and self.spectral) or (of_table and not fourier.gives_powers(self.context)):
            modes = self.spread(points, ordered)
            if of_table:
                cotangent = self._energy_tables(partial(self._of_modes, modes, table), f, table, batch, wrt)
            modes = deconvolution.multiply(self.context, modes, table, products)
            out, dpoints = self.read_vjp(points, modes, ordered, 0, at_k0, gradient)
        else:
            powers = self.space.take("powers", (batch, *self.grid.stored), self.grid.dtype) if of_table else None
            values = self.through(self.to_grid(points, ordered), points, points, table, products, powers)
            if powers is not None:
                cotangent = self._energy_tables(partial(self.of_powers, powers), f, table, batch, wrt)
            out, dpoints = self.interpolate_vjp(points, values, ordered, 0, at_k0, gradient)
        return Cotangents(out, None, dpoints, dpoints, cotangent)

    def _energy_tables(self, of_snapshots: Callable[[slice], np.ndarray], f, table, batch: int, wrt) -> np.ndarray:
        """S = weight |F|²/2V of the energy, real, of all snapshots together, or of each: what ``wrt`` has of them."""
        if "table" in wrt:
            return self.exact_mean(of_snapshots(slice(None)), f, f, batch, table) / 2
        rows = f.reshape(batch, len(f) // max(batch, 1), f.shape[1])
        each = [self.exact_mean(of_snapshots(slice(b, b + 1)), rows[b], rows[b], 1, table) / 2 for b in range(batch)]
        return self.xp.stack(each) if each else self.xp.zeros((0, self.grid.mode_set.size))

    def _of_modes(self, modes: np.ndarray, table: MultiplierTable, some: slice) -> np.ndarray:
        """weight |F|²/V of some snapshots together, (n_modes,), from their modes."""
        every = range(modes.shape[1])
        return deconvolution.multiply_vjp(self.context, modes[some], table, every, every).real

    def of_powers(self, powers: np.ndarray, some: slice) -> np.ndarray:
        """weight |F|²/V of some snapshots together, (n_modes,), from what ``fourier.through`` says of them.

        Parameters
        ----------
        powers : (B, *modes)
            Squares of modes.
        some : slice
            Snapshots.
        """
        total = powers[some].sum(axis=0) if len(powers) != 1 else powers[0]
        return (total * (self.grid.tables.of_powers / self.grid.cell.volume)).reshape(-1)

    def _vjp_to_targets(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f, g, wrt: Collection[str]
    ) -> Cotangents:
        """f goes from the sources to the targets, g from the targets to the sources."""
        context, batch, c_in, c_out = self.context, sources.batch[0], f.shape[1], g.shape[1]
        gradient, with_values, with_table = "points" in wrt, "values" in wrt, "table" in wrt
        modes = self.to_modes(sources, f)
        kept = modes.copy() if with_table else None  # the workspace is about to be used again
        modes = deconvolution.multiply(context, modes, table, one_way(c_in, c_out))
        ordered = targets.gather(context, g)
        out, dtargets = self.read_vjp(targets, modes, ordered, 0, self.mean_field(table, f, batch), gradient)
        modes, df, dsources, cotangent = self.spread(targets, ordered), None, None, None
        if kept is not None:
            cotangent = self.table_vjp(self.xp.concatenate([kept, modes], axis=1), f, g, batch, table)
        if gradient or with_values:
            at_k0 = self.mean_field(table, g, batch, adjoint=True)[:, : c_in if with_values else 0]
            ordered = sources.gather(context, f)
            adjoint = [ModeProduct(range(c_out), range(c_in), adjoint=True)]
            modes = deconvolution.multiply(context, modes, table, adjoint)
            df, dsources = self.read_vjp(sources, modes, ordered, 0, at_k0, gradient)
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
            modes = self.to_modes_jvp(sources, both, moved, tangents.sources)  # channels F, G, Ḟ, Ġ
            f_modes, g_modes, df_modes, dg_modes = consecutive(c_in, c_out, c_in, c_out)
        else:
            from_sources = self.to_modes_jvp(sources, f, df, tangents.sources).copy()
            modes = self.xp.concatenate([from_sources, self.to_modes_jvp(targets, g, dg, tangents.targets)], axis=1)
            f_modes, df_modes, g_modes, dg_modes = consecutive(c_in, c_in, c_out, c_out)
        ranges = ((f_modes, dg_modes), (df_modes, g_modes))
        parts = [deconvolution.multiply_vjp(self.context, modes, table, *pair) for pair in ranges]
        return self.exact_mean(parts[0], f, dg, batch, table) + self.exact_mean(parts[1], df, g, batch, table)
