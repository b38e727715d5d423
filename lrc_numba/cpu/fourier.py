"""Transforms of grids: along the last axis, then the next, then the first, keeping only the modes that are kept.

For lengths that are products of 2, 3 and 5 the loops are our own (``lrc_numba.fft``): on padded rows, eight at a time,
and pruned where there are several axes. In one dimension there may be nothing to do eight of at a time, so long lines
go to a library, and so do the grids of the paper's window, which have any length. The choice does not depend on the
number of snapshots or channels, so neither does the result.

Rows that no window reaches are zero before, and not looked at after: they are left out, and with them the planes that
have no others. Of points in a corner of the cell that leaves the transforms along the first axis. Zeros stay zeros, so
the results are those of all rows, to the last bit.

Which thread may write what: rows, blocks of columns or planes of its own, see ``fft.axes`` and ``fft.lines``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ..fft import axes as loops
from ..fft import library, lines, passes
from ..grid import Grid, embed
from ..workspace import Workspace
from . import parallel

__all__ = ["analyse", "synthesise"]


@lru_cache(maxsize=8)
def _row_starts(nodes: tuple[int, ...], plane: int, row: int) -> np.ndarray:
    """Where each row of one padded grid begins, (n_1, n_2) int64."""
    return np.arange(nodes[0])[:, None] * plane + np.arange(nodes[1]) * row


class _Sizes:
    """What the transforms of some grids need to know, and their loops with these sizes filled in."""

    def __init__(
        self, shape: tuple[int, ...], grid: Grid, reached: np.ndarray, threads: int, space: Workspace, dtype: np.dtype
    ):
        self.nodes, self.kept = grid.nodes, embed(grid.mode_set.shape, 1)
        self.inner = -(-self.kept[2] // 8) * 8
        rows = _row_starts(self.nodes[:2], shape[3] * shape[4], shape[4])
        grids = np.arange(shape[0] * shape[1]).reshape(*shape[:2], 1, 1) * (shape[2] * shape[3] * shape[4])
        reached = reached[:, None, : self.nodes[0], : self.nodes[1]]
        self.starts = np.where(reached, grids + rows, -1).reshape(-1, self.nodes[1])
        self.plans = [passes.plan(n, grid.dtype) for n in self.nodes]
        self.grids, self.planes, self.threads = shape[0] * shape[1], len(self.starts), threads
        self.space, self.dtype = space, dtype
        self.by_plane = self.planes >= 2 * threads

    def take(self, name: str, *shape: int) -> np.ndarray:
        """An array of the modes' dtype from the workspace."""
        return self.space.take(name, shape, self.dtype)

    def _share(self, items: int) -> list[int]:
        """Bounds that share out ``items``, planes or sixteens of rows, with as many rows that are reached to each."""
        if self.threads == 1 or not items:
            return [0, items]
        work = (self.starts[:, ::16] >= 0).reshape(items, -1).sum(axis=1)
        ends, fewest = np.cumsum(work), 1 + parallel.WORTH_A_THREAD // (16 * self.nodes[2])
        return parallel.weighted(ends - work, int(ends[-1]), self.threads, fewest)

    def rows(self, loop, *arrays) -> None:
        """Transform the last axis; ``arrays`` in the order of the loop."""
        sizes = (self.starts, self.nodes[2], self.kept[2], *self.plans[2])
        parallel.run(loop, self._share(self.planes * -(-self.nodes[1] // 16)), *sizes, *arrays)

    def columns(self, axis: int, loop, source: np.ndarray, out: np.ndarray) -> None:
        """Transform axis 1 of every plane, or axis 0 of every grid.

        Parameters
        ----------
        axis : int
            0 or 1.
        loop : function
            From ``fft.axes``.
        source, out : complex arrays
            Read, written.
        """
        outer, inner = (self.planes, self.inner) if axis == 1 else (self.grids, self.kept[1] * self.inner)
        there = self.starts if axis == 1 else self.starts[:, ::16].max(axis=1).reshape(self.grids, self.nodes[0])
        sizes = (there, self.nodes[axis], self.kept[axis], inner, *self.plans[axis])
        blocks = parallel.even(outer * inner // 8, self.threads, 1 + parallel.WORTH_A_THREAD // (8 * self.nodes[axis]))
        parallel.run(loop, blocks, *sizes, source.reshape(-1), out.reshape(-1))

    def by_planes(self, loop, *arrays) -> None:
        """Transform the last two axes, a plane at a time."""
        sizes = (self.starts, self.nodes[1:], self.kept[1:], self.plans[2], self.plans[1])
        parallel.run(loop, self._share(self.planes), *sizes, *arrays)


@lru_cache(maxsize=2)
def _line_starts(count: int, stride: int) -> np.ndarray:
    return np.arange(count) * stride


def _by_lines(loop, values: np.ndarray, grid: Grid, threads: int, *arrays) -> None:
    """Transform the lines of one-dimensional grids, eight at a time; ``arrays`` in the order of the loop."""
    count, length = values.shape[0] * values.shape[1], grid.n[0]
    bounds = parallel.even(-(-count // 8), threads, 1 + parallel.WORTH_A_THREAD // (16 * length))
    starts = _line_starts(count, values.shape[4])
    parallel.run(loop, bounds, starts, length, *lines.plan(length, grid.dtype), *arrays)


def analyse(
    values: np.ndarray, reached: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace
) -> np.ndarray:
    """Last axis first; the last two a plane at a time, where there are planes enough for all threads.

    Parameters
    ----------
    values, reached, grid, out, threads, space
        As for ``lrc_numba.fourier.analyse``.
    """
    if not grid.smooth or (grid.dim == 1 and grid.n[0] > lines.LONGEST):
        return library.analyse(values, grid, out, threads)
    if grid.dim == 1:
        _by_lines(lines.analyse_lines, values, grid, threads, values.reshape(-1), out.reshape(-1, out.shape[4]))
        return out
    sizes, flat = _Sizes(values.shape, grid, reached, threads, space, out.dtype), values.reshape(-1)
    kept, inner = sizes.kept, sizes.inner
    if sizes.by_plane:
        modes = sizes.take("planes", sizes.planes, kept[1], inner)
        sizes.by_planes(loops.analyse_planes, flat, modes)
    else:
        modes = sizes.take("rows", sizes.starts.size, inner)
        sizes.rows(loops.analyse_rows, flat, modes.reshape(-1))
        rows, modes = modes, sizes.take("planes", sizes.planes, kept[1], inner)
        sizes.columns(1, loops.analyse_columns, rows, modes)
    if sizes.nodes[0] > 1:
        planes, modes = modes, out if inner == kept[2] else sizes.take("rows", sizes.grids, *kept[:2], inner)
        sizes.columns(0, loops.analyse_columns, planes, modes)
    if modes is not out:
        out[...] = modes.reshape(*out.shape[:4], inner)[..., : kept[2]]
    return out


def synthesise(
    modes: np.ndarray, reached: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace
) -> np.ndarray:
    """First axis first; the transpose of ``analyse`` where all modes are counted.

    Parameters
    ----------
    modes, reached, grid, out, threads, space
        As for ``lrc_numba.fourier.synthesise``.
    """
    if not grid.smooth or (grid.dim == 1 and grid.n[0] > lines.LONGEST):
        return library.synthesise(modes, grid, out, threads)
    if grid.dim == 1:
        _by_lines(lines.synthesise_lines, out, grid, threads, modes.reshape(-1, modes.shape[4]), out.reshape(-1))
        return out
    sizes, flat = _Sizes(out.shape, grid, reached, threads, space, modes.dtype), out.reshape(-1)
    kept, inner = sizes.kept, sizes.inner
    if inner != kept[2]:
        wide = sizes.take("wide", *modes.shape[:4], inner)
        wide[..., : kept[2]], wide[..., kept[2] :] = modes, 0.0
        modes = wide
    if sizes.nodes[0] > 1:
        wide, modes = modes, sizes.take("planes", sizes.planes, kept[1], inner)
        sizes.columns(0, loops.synthesise_columns, wide, modes)
    if sizes.by_plane:
        sizes.by_planes(loops.synthesise_planes, modes.reshape(sizes.planes, kept[1], inner), flat)
    else:
        planes, modes = modes, sizes.take("rows", sizes.starts.size, inner)
        sizes.columns(1, loops.synthesise_columns, planes, modes)
        sizes.rows(loops.synthesise_rows, modes.reshape(-1), flat)
    return out
