r"""The chain points → grid → modes → × multiplier → grid → points, its tangent and its transpose.

    u = I G(φ̂/(Vψ̂²)) S f:  spread f with the window ψ, transform, multiply, transform back, interpolate with ψ.

The operator K(x_i, x_j) that this evaluates is symmetric, differs from the exact one by eps, and has exact derivatives:

    u̇ = w + ẋ∘p   p_i = ∇₁ Σ_j f_j K(x_i, x_j)        interpolate with ∇ψ
                   w_i = Σ_j f_j ẋ_j·∇₂ K(x_i, x_j)    spread with ∇ψ, interpolate with ψ

(eqs 18–20 of arXiv 2010.05295, for the operator that the computer evaluates). A gradient is the transpose of that and
costs two convolutions, whatever the dimension. The spectral variant differentiates the exact kernel instead, with ik
between the transforms: nearer to the true force, not quite the derivative of the computed energy.

Nothing is checked here; ``preparation`` does that. Arrays of values are (B·N, C), of points (B·N, d).
"""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..machine.workspace import Workspace
from . import deconvolution, fourier, interpolation, spreading
from .deconvolution.stage import MultiplierTable
from .grid.grid import Grid
from .points.stage import SortedPoints, sort_points

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
    """

    def __init__(self, grid: Grid, threads: int, spectral: bool):
        self.grid, self.threads, self.spectral = grid, threads, spectral
        self.space = Workspace(grid.backend)

    @property
    def xp(self):
        """The namespace of array functions of the back end."""
        return self.grid.backend.arrays.xp

    def sort(self, name: str, points: np.ndarray, batch: int) -> SortedPoints:
        """Points in sorted order.

        Parameters
        ----------
        name : str
            Which set they replace.
        points : (B·N, d)
            Positions, units of length.
        batch : int
            B.
        """
        shape = (batch, len(points) // batch if batch else 0)
        return sort_points(name, points, shape, self.grid, self.threads, self.space)

    # ---------------------------------------------------------------- points → grid → modes
    def _grid(self, batch: int, channels: int, pair: int = 1) -> np.ndarray:
        """The one grid that every transform reads from and writes to; ``pair`` channels lie side by side."""
        planes, rows, columns = self.grid.padded
        return self.space.take("grid", (batch, channels // pair, planes, rows, pair * columns), self.grid.dtype)

    def _analyse(self, points: SortedPoints, values: np.ndarray, channels: int) -> np.ndarray:
        modes = self.space.take("modes", (values.shape[0], channels, *self.grid.stored), self.grid.complex)
        return fourier.analyse(values, points.reached, self.grid, modes, self.threads, self.space)

    def _to_modes(self, points: SortedPoints, *values: np.ndarray) -> np.ndarray:
        """The transforms of spread values, ψ̂(k) F(k); several arrays of values go side by side."""
        return self._spread(points, points.gather(*values, threads=self.threads, space=self.space))

    def _spread(self, points: SortedPoints, ordered: np.ndarray) -> np.ndarray:
        """The same from sorted values."""
        channels = ordered.shape[1]
        grid = self._grid(points.batch[0], channels, spreading.pair(points, channels, self.grid))
        grid = spreading.spread(points, ordered, self.grid, grid, self.threads, self.space)
        return self._analyse(points, grid, channels)

    def _to_modes_jvp(self, points: SortedPoints, values, dvalues, dpoints) -> np.ndarray:
        """The same, and in as many channels more their tangents."""
        channels = values.shape[1]
        if dpoints is None:
            return self._to_modes(points, values, dvalues)
        if not self.spectral:
            ordered = points.gather(values, dvalues, dpoints, threads=self.threads, space=self.space)
            grid = self._grid(points.batch[0], 2 * channels)
            grid = spreading.spread_jvp(points, ordered, self.grid, grid, self.threads, self.space)
            return self._analyse(points, grid, 2 * channels)
        moved = (values[:, :, None] * dpoints[:, None, :]).reshape(points.count, channels * self.grid.dim)
        drift = deconvolution.differentiate(self._to_modes(points, moved), self.grid, self.threads, transposed=True)
        modes = self._to_modes(points, values, dvalues)
        modes[:, channels:] -= drift
        return modes

    # ---------------------------------------------------------------- modes × multiplier
    def _multiply(
        self, modes: np.ndarray, table: MultiplierTable, *parts: tuple[int, int, int, int, bool]
    ) -> np.ndarray:
        """Multiply ranges of channels: (first, number) read, (first, number) written, and whether by the adjoint."""
        channels = max(part[2] + part[3] for part in parts)
        out = self.space.take("multiplied", (modes.shape[0], channels, *modes.shape[2:]), modes.dtype)
        for *part, adjoint in parts:
            deconvolution.multiply(modes, table, self.grid, self.threads, out, tuple(part), adjoint=adjoint)
        return out

    # ---------------------------------------------------------------- modes → grid → points
    def _to_grid(self, points: SortedPoints, modes: np.ndarray, pair: int = 1) -> np.ndarray:
        """Ready to be read at the points."""
        grid, where = self._grid(modes.shape[0], modes.shape[1], pair), points.reached
        grid = fourier.synthesise(modes, where, self.grid, grid, self.threads, self.space)
        return interpolation.fill(grid, points, self.grid, self.threads)

    def _read(self, points: SortedPoints, modes: np.ndarray, mean: np.ndarray | None = None) -> np.ndarray:
        values = self._to_grid(points, modes, self.grid.pair(modes.shape[1], reading=True))
        return self._interpolate(points, values, mean)

    def _interpolate(self, points: SortedPoints, values: np.ndarray, mean: np.ndarray | None) -> np.ndarray:
        return interpolation.interpolate(points, values, self.grid, self.threads, self.space, mean)

    def _read_slopes(self, points: SortedPoints, modes: np.ndarray) -> np.ndarray:
        """∇u by way of ik, (B·N, C, d)."""
        slopes = self._read(points, deconvolution.differentiate(modes, self.grid, self.threads))
        return slopes.reshape(points.count, modes.shape[1], self.grid.dim)

    def _read_jvp(self, points: SortedPoints, modes: np.ndarray, dpoints: np.ndarray | None, mean) -> tuple:
        """u and u̇ = w + ẋ∘p from the modes of u and, in as many channels more, of w; ``mean`` is k = 0 of both."""
        channels = modes.shape[1] // 2
        if dpoints is not None and not self.spectral:
            dpoints = points.gather(dpoints, threads=self.threads, space=self.space)
            return interpolation.interpolate_jvp(
                points, self._to_grid(points, modes), dpoints, self.grid, self.threads, self.space, mean
            )
        both = self._read(points, modes, mean)
        out, dout = self.xp.ascontiguousarray(both[:, :channels]), self.xp.ascontiguousarray(both[:, channels:])
        if dpoints is not None:
            slopes = self._read_slopes(points, self.xp.ascontiguousarray(modes[:, :channels]))
            dout = dout + self.xp.einsum("ia,ica->ic", dpoints, slopes)
        return out, dout

    def _read_vjp(
        self, points: SortedPoints, modes: np.ndarray, ordered: np.ndarray, turn: int, mean: np.ndarray, gradient: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """u from its modes, of as many channels as ``mean`` has or more, and Σ_c weights^c ∇u^c if ``gradient``.

        The weights come sorted; that of channel c is in column c + turn, counted round. ``mean`` is k = 0.
        """
        if not (gradient and self.spectral):
            values = self._to_grid(points, modes, self.grid.pair(modes.shape[1], reading=True))
            return self._interpolate_vjp(points, values, ordered, turn, mean, gradient)
        # A copy: what is not sorted comes back as it is, and may be the user's.
        weights, _ = points.scatter(ordered, ordered, ordered.shape[1], self.threads)
        weights = self.xp.roll(weights, -turn, axis=1)
        slopes = self._read_slopes(points, modes)
        return self._read(points, modes, mean), self.xp.einsum("ic,ica->ia", weights, slopes)

    def _interpolate_vjp(
        self, points: SortedPoints, values: np.ndarray, ordered: np.ndarray, turn: int, mean: np.ndarray, gradient: bool
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The same from a grid that is ready, by ∇ψ."""
        if not gradient:
            return self._interpolate(points, values, mean), None
        rest = (mean.shape[1], self.grid, self.threads, self.space, mean)
        return interpolation.interpolate_vjp(points, values, ordered, turn, *rest)

    # ---------------------------------------------------------------- points → grid → points
    def _through(
        self,
        sources: SortedPoints,
        ordered: np.ndarray,
        table: MultiplierTable,
        ways: list[tuple],
        targets: SortedPoints,
    ) -> np.ndarray:
        """A grid ready to be read at the targets from sorted values, where nobody wants to see the modes."""
        batch, before, after = sources.batch[0], ordered.shape[1], max(way[2] + way[3] for way in ways)
        if after > before:
            self._grid(batch, after)  # room for both, in one place
        values = self._grid(batch, before, spreading.pair(sources, before, self.grid))
        values = spreading.spread(sources, ordered, self.grid, values, self.threads, self.space)
        out = self._grid(batch, after, self.grid.pair(after, reading=True))
        reached = sources.reached, targets.reached
        out = fourier.through(values, reached, table, ways, self.grid, out, self.threads, self.space)
        return interpolation.fill(out, targets, self.grid, self.threads)

    # ---------------------------------------------------------------- the whole chain
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
        ahead = (0, f.shape[1], 0, table.channels_out(f.shape[1]), False)
        ordered = sources.gather(f, threads=self.threads, space=self.space)
        mean = table.mean_field(f, sources.batch[0])
        return self._interpolate(targets, self._through(sources, ordered, table, [ahead], targets), mean)

    def jvp(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f, df, dsources, dtargets
    ) -> tuple:
        """u and u̇.

        Parameters
        ----------
        sources, targets, table, f
            As for ``forward``.
        df : (B·N, C_in)
            ḟ.
        dsources, dtargets : (B·N, d) and (B·T, d), or None
            How the sources and the targets move, units of length; where they are the same points, the same array.
        """
        c_in, c_out = f.shape[1], table.channels_out(f.shape[1])
        modes = self._to_modes_jvp(sources, f, df, dsources)
        ahead = self._multiply(modes, table, (0, c_in, 0, c_out, False), (c_in, c_in, c_out, c_out, False))
        means = [table.mean_field(values, sources.batch[0]) for values in (f, df)]
        return self._read_jvp(targets, ahead, dtargets, self.xp.concatenate(means, axis=1))

    def vjp(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f, g, wrt: Collection[str]
    ) -> tuple:
        """u, f̄, the gradients at sources and at targets, and the cotangent of φ̂; None for what is not wanted.

        Where targets are the points, f and g travel side by side, in one pass over the points each way, and both
        gradients are the one of the points.

        Parameters
        ----------
        sources, targets, table, f
            As for ``forward``.
        g : (B·T, C_out)
            Cotangent of u.
        wrt : collection of {"points", "values", "parameters"}
            What is wanted.
        """
        if not wrt:
            return self.forward(sources, targets, table, f), None, None, None, None
        c_in, c_out, batch = f.shape[1], g.shape[1], sources.batch[0]
        gradient, with_values, cotangent = "points" in wrt, "values" in wrt, None
        mean = table.mean_field(f, batch)
        back = table.mean_field(g, batch, adjoint=True) if with_values else mean[:, :0]
        if targets is sources:
            ordered = sources.gather(f, g, threads=self.threads, space=self.space)
            ways = [(0, c_in, 0, c_out, False)]
            mean = self.xp.concatenate([mean, back], axis=1) if with_values else mean
            if (gradient or with_values) and table.self_adjoint:
                ways = [(0, c_in + c_out, 0, c_out + c_in, False)]  # both at once
            elif gradient or with_values:
                ways.append((c_in, c_out, c_out, c_in, True))
            if "parameters" in wrt or (gradient and self.spectral):
                modes = self._spread(sources, ordered)
                if "parameters" in wrt:
                    cotangent = self._table_vjp(modes, f, g, batch, table)
                modes = self._multiply(modes, table, *ways)
                both, dsources = self._read_vjp(sources, modes, ordered, c_in, mean, gradient)
            else:
                values = self._through(sources, ordered, table, ways, sources)
                both, dsources = self._interpolate_vjp(sources, values, ordered, c_in, mean, gradient)
            out, df, dtargets = both[:, :c_out], both[:, c_out:], dsources
        else:
            modes = self._to_modes(sources, f)
            copied = modes.copy() if "parameters" in wrt else None  # the workspace is about to be used again
            modes = self._multiply(modes, table, (0, c_in, 0, c_out, False))
            ordered = targets.gather(g, threads=self.threads, space=self.space)
            out, dtargets = self._read_vjp(targets, modes, ordered, 0, mean, gradient)
            modes = self._spread(targets, ordered)
            if copied is not None:
                cotangent = self._table_vjp(self.xp.concatenate([copied, modes], axis=1), f, g, batch, table)
            df, dsources = None, None
            if gradient or with_values:
                ordered = sources.gather(f, threads=self.threads, space=self.space)
                modes = self._multiply(modes, table, (0, c_out, 0, c_in, True))
                df, dsources = self._read_vjp(sources, modes, ordered, 0, back, gradient)
        df = self.xp.ascontiguousarray(df) if with_values else None
        return self.xp.ascontiguousarray(out), df, dsources, dtargets, cotangent

    def _table_vjp(
        self, modes: np.ndarray, f: np.ndarray, g: np.ndarray, batch: int, table: MultiplierTable
    ) -> np.ndarray:
        """S on every mode, from the modes of f and g side by side."""
        channels = (0, f.shape[1], f.shape[1], g.shape[1])
        cotangent = deconvolution.multiply_vjp(modes, table, self.grid, self.threads, channels)
        return self._exact_mean(cotangent, f, g, batch, table)

    def _exact_mean(
        self, cotangent: np.ndarray, f: np.ndarray, g: np.ndarray, batch: int, table: MultiplierTable
    ) -> np.ndarray:
        """S with k = 0 from the sums themselves, in place."""
        sums = [array.reshape(batch, len(array) // max(batch, 1), array.shape[1]).sum(axis=1) for array in (g, f)]
        own = self.xp.einsum("bc,bc->", *sums) if table.per_channel else self.xp.einsum("bo,bc->oc", *sums)
        cotangent[..., 0] = self.xp.reshape(own, table.shape) / self.grid.cell.volume
        return cotangent

    def table_jvp(
        self, sources: SortedPoints, targets: SortedPoints, table: MultiplierTable, f, df, g, dg, dsources, dtargets
    ) -> np.ndarray:
        """Ṡ, how the cotangent of φ̂ moves: the modes of one of the pair with the tangent modes of the other.

        Parameters
        ----------
        sources, targets, table, f, df, dsources, dtargets
            As for ``jvp``.
        g, dg : (B·T, C_out)
            Cotangent of u, and its tangent.
        """
        c_in, c_out, batch = f.shape[1], g.shape[1], sources.batch[0]
        if targets is sources:
            both, moved = (self.xp.concatenate(pair, axis=1) for pair in ((f, g), (df, dg)))
            modes = self._to_modes_jvp(sources, both, moved, dsources)
            tangents = c_in + c_out  # channels F, G, Ḟ, Ġ
            pairs = [(0, c_in, tangents + c_in, c_out), (tangents, c_in, c_in, c_out)]
        else:
            one = self._to_modes_jvp(sources, f, df, dsources).copy()
            modes = self.xp.concatenate([one, self._to_modes_jvp(targets, g, dg, dtargets)], axis=1)
            pairs = [(0, c_in, 2 * c_in + c_out, c_out), (c_in, c_in, 2 * c_in, c_out)]
        parts = [deconvolution.multiply_vjp(modes, table, self.grid, self.threads, pair) for pair in pairs]
        results = [self._exact_mean(parts[0], f, dg, batch, table), self._exact_mean(parts[1], df, g, batch, table)]
        return results[0] + results[1]
