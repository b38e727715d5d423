"""Whole grids to the modes of their planes and back, and through the first axis with a multiplier in between.

A convolution in three dimensions need not store its modes: a block of eight columns along the first axis is
transformed, multiplied and transformed back in place, while it is in the cache. The result is that of the three steps
one after the other, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ....machine.cpu import parallel
from ....machine.cpu.compile import kernel
from ....machine.cpu.lanes import SIDE, row_length, vector_lanes
from ...context import Context
from ...deconvolution import ModeProduct, MultiplierTable
from . import axes, columns, passes

__all__ = ["Transforms", "multiply_planes"]


@lru_cache(maxsize=4)
def _layout(shape: tuple[int, ...], nodes: tuple[int, int], n_interleaved: int) -> tuple[np.ndarray, np.ndarray]:
    """Where each row of each plane begins, (planes, rows), and an order of planes: interleaved channels in turn.

    Both are shared by all callers, and only read.
    """
    plane, row = shape[3] * shape[4], shape[4]
    rows = np.arange(nodes[0])[:, None] * plane + np.arange(nodes[1]) * row
    grids = np.arange(shape[0] * shape[1])[:, None] * (shape[2] * plane) + np.arange(n_interleaved) * SIDE
    starts = (grids.reshape(-1, 1, 1) + rows).reshape(-1, nodes[1])
    return starts, np.arange(len(starts)).reshape(-1, n_interleaved, nodes[0]).swapaxes(1, 2).ravel()


class Transforms:
    """The sizes that the transforms of some grids need, and their loops with these sizes filled in.

    Parameters
    ----------
    context : Context
        Sizes, threads, memory.
    shape : five ints
        Of the grids.
    reached : (B, ·, ·) bool
        As for ``fourier.stage.analyse``.
    """

    def __init__(self, context: Context, shape: tuple[int, ...], reached: np.ndarray):
        grid = context.grid
        self.nodes, self.kept, self.n_interleaved = grid.nodes, grid.stored, grid.interleaved(shape)
        self.inner = -(-self.kept[2] // 8) * 8
        self.starts, self.order = _layout(shape, self.nodes[:2], self.n_interleaved)
        reached = reached[:, None, : self.nodes[0], : self.nodes[1]]
        if not reached.all():
            starts = self.starts.reshape(shape[0], shape[1] * self.n_interleaved, *self.nodes[:2])
            self.starts = np.where(reached, starts, -1).reshape(-1, self.nodes[1])
        width, last = grid.support[2], grid.nodes[2] - 1  # of a row: where the last window begins
        stop = last + vector_lanes(width) if self.n_interleaved == 1 else last - last % SIDE + row_length(width) // 2
        self.ends = width - 1, stop - grid.nodes[2]  # nodes of padding that points reach, and that are read with them
        self.plans = [passes.plan(n, grid.dtype) for n in self.nodes]
        self.batch, self.grids = shape[0], shape[0] * shape[1] * self.n_interleaved
        self.planes, self.threads = len(self.starts), context.threads
        self.space, self.dtype, self.run = context.space, grid.complex_dtype, context.parallel.run
        self.has_planes_for_all = self.planes >= 2 * self.threads

    def take(self, name: str, *shape: int) -> np.ndarray:
        """An array of the modes' dtype from the workspace."""
        return self.space.take(name, shape, self.dtype)

    def _share(self, items: int, starts: np.ndarray) -> list[int]:
        """Bounds that share out ``items``, planes or groups of sixteen rows, with as many reached rows to each."""
        if self.threads == 1 or not items:
            return [0, items]
        work = (starts[:, ::16] >= 0).reshape(items, -1).sum(axis=1)
        ends, fewest = np.cumsum(work), 1 + parallel.WORTH_A_THREAD // (16 * self.nodes[2])
        return parallel.weighted(ends - work, int(ends[-1]), self.threads, fewest)

    def rows(self, loop, ends: int, *arrays) -> None:
        """Transform the last axis.

        Parameters
        ----------
        loop : function
            From ``fft.axes``.
        ends : int
            Nodes of padding that come with a row.
        *arrays : real and complex arrays
            Read, written.
        """
        sizes = (self.starts, self.n_interleaved, self.nodes[2], ends, self.kept[2], *self.plans[2])
        self.run(loop, self._share(self.planes * -(-self.nodes[1] // 16), self.starts), *sizes, *arrays)

    def reached(self) -> np.ndarray:
        """(grids, planes of each), negative for planes that no window touches."""
        return self.starts[:, ::16].max(axis=1).reshape(self.grids, self.nodes[0])

    def columns(self, axis: int, loop, source: np.ndarray, out: np.ndarray) -> None:
        """Transform axis 1 of every plane, or axis 0 of every grid.

        Parameters
        ----------
        axis : int
            0 or 1.
        loop : function
            From ``fft.columns``.
        source, out : complex arrays
            Read, written.
        """
        outer, inner = (self.planes, self.inner) if axis == 1 else (self.grids, self.kept[1] * self.inner)
        starts = self.starts if axis == 1 else self.reached()
        sizes = (starts, self.nodes[axis], self.kept[axis], inner, *self.plans[axis])
        blocks = parallel.even(outer * inner // 8, self.threads, 1 + parallel.WORTH_A_THREAD // (8 * self.nodes[axis]))
        self.run(loop, blocks, *sizes, source.reshape(-1), out.reshape(-1))

    def by_planes(self, loop, ends: int, *arrays) -> None:
        """Transform the last two axes, a plane at a time.

        Parameters
        ----------
        loop : function
            From ``fft.axes``.
        ends : int
            Nodes of padding that come with a row.
        *arrays : real and complex arrays
            Read, written.
        """
        sizes = (
            self.order,
            self.starts,
            self.n_interleaved,
            self.nodes[1:],
            ends,
            self.kept[1:],
            self.plans[2],
            self.plans[1],
        )
        starts = self.starts if self.n_interleaved == 1 else self.starts[self.order]
        self.run(loop, self._share(self.planes, starts), *sizes, *arrays)

    def to_planes(self, values: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Grids to the modes along their last two axes, (planes, modes, inner).

        Parameters
        ----------
        values : real array
            The grids.
        out : complex array, optional
            Written; an array of the workspace by default.
        """
        shape = self.planes, self.kept[1], self.inner
        planes = self.take("planes", *shape) if out is None else out.reshape(shape)
        if self.has_planes_for_all:
            self.by_planes(axes.analyse_planes, self.ends[0], values.reshape(-1), planes)
        else:
            rows = self.take("rows", self.starts.size, self.inner)
            self.rows(axes.analyse_rows, self.ends[0], values.reshape(-1), rows.reshape(-1))
            self.columns(1, columns.analyse_columns, rows, planes)
        return planes

    def from_planes(self, planes: np.ndarray, out: np.ndarray) -> None:
        """The transpose of ``to_planes``.

        Parameters
        ----------
        planes : complex array
            Read.
        out : real array
            The grids, written.
        """
        if self.has_planes_for_all:
            self.by_planes(axes.synthesise_planes, self.ends[1], planes, out.reshape(-1))
        else:
            rows = self.take("rows", self.starts.size, self.inner)
            self.columns(1, columns.synthesise_columns, planes, rows)
            self.rows(axes.synthesise_rows, self.ends[1], rows.reshape(-1), out.reshape(-1))


@kernel
def clear_powers(part, lo, hi, powers):
    """Zeros in ``powers`` of the snapshots [lo, hi)."""
    powers[lo:hi] = 0.0


def multiply_planes(
    context: Context,
    forward: Transforms,
    backward: Transforms,
    planes: np.ndarray,
    table: MultiplierTable,
    products: Sequence[ModeProduct],
    powers: np.ndarray | None = None,
) -> np.ndarray:
    """Along the first axis, times a multiplier, and back: planes to planes, in place where all channels stay.

    Parameters
    ----------
    context : Context
        Corrections.
    forward, backward : Transforms
        Of the grids that the planes come from, and of those they go to.
    planes : (planes, modes, inner) complex
        Read; may be overwritten.
    table, products, powers
        As for ``fourier.stage.through``.
    """
    if powers is None:
        powers = np.empty((0, 0, 0, 0), dtype=context.grid.dtype)
    else:
        context.parallel.run(clear_powers, [0, len(powers)], powers)
    size, batch = (forward.nodes[0], forward.kept[1], forward.inner), forward.batch
    planes = planes.reshape(batch, forward.grids // max(batch, 1), *size)
    result = planes
    if backward.grids != forward.grids or any(product.read != product.write for product in products):
        result = backward.take("planes back", batch, backward.grids // max(batch, 1), *size)
    sizes = (forward.reached(), backward.reached(), *forward.plans[0])
    operator = (table.table, context.grid.tables.corrections, table.per_channel)
    for product in products:
        channels = len(product.read) + len(product.write)
        fewest = 1 + parallel.WORTH_A_THREAD // (8 * forward.nodes[0] * channels)
        bounds = context.even(batch * forward.kept[1] * forward.inner // 8, fewest)
        how = (product.adjoint, product.channels)
        context.parallel.run(columns.multiply_columns, bounds, *sizes, planes, *operator, *how, powers, result)
    return result.reshape(-1, *size[1:])
