r"""Grid ↔ modes: the two transforms, real on one side, with only the kept modes on the other.

Both are linear; ``analyse`` carries the sign −, ``synthesise`` the sign + and the sum over *all* modes, so that the
composition of spreading, ``analyse``, a Hermitian multiplier, ``synthesise`` and interpolation is real and its
transpose is the same chain backwards with the conjugate transpose of the multiplier.

In two and three dimensions, for lengths that are products of 2, 3 and 5, the transforms are our own
(``cpu.fourier``): pruned, on padded rows, eight at a time. In one dimension there may be nothing to do eight of at
a time, and the paper's window has grids of any length: those go to SciPy. The choice does not depend on the number
of snapshots or channels, so neither does the result. On a device all go to a library.
"""

from __future__ import annotations

import numpy as np

from .cpu import fft, parallel
from .cpu import fourier as loops
from .grid import Grid, embed
from .workspace import Workspace

__all__ = ["analyse", "synthesise"]


def _row_starts(shape: tuple[int, ...], grid: Grid) -> np.ndarray:
    """Where each row of the padded grids begins, (B·C·n_1, n_2) int64."""
    grids = np.arange(shape[0] * shape[1])[:, None, None] * (shape[2] * shape[3] * shape[4])
    planes = np.arange(grid.nodes[0])[:, None] * (shape[3] * shape[4])
    rows = np.arange(grid.nodes[1]) * shape[4]
    return (grids + planes + rows).reshape(-1, grid.nodes[1])


class _Sizes:
    """What the transforms of some grids need to know, and their loops with these sizes filled in."""

    def __init__(self, shape: tuple[int, ...], grid: Grid, threads: int, space: Workspace, dtype: np.dtype):
        self.nodes, self.kept = grid.nodes, embed(grid.mode_set.shape, 1)
        self.inner = -(-self.kept[2] // 8) * 8
        self.starts = _row_starts(shape, grid)
        self.plans = [fft.plan(n, grid.dtype.name) for n in self.nodes]
        self.grids, self.planes, self.threads = shape[0] * shape[1], len(self.starts), threads
        self.space, self.dtype = space, dtype
        self.by_plane = self.planes >= 2 * threads

    def take(self, name: str, *shape: int) -> np.ndarray:
        """An array of the modes' dtype from the workspace."""
        return self.space.take(name, shape, self.dtype)

    def rows(self, loop, *arrays) -> None:
        """Transform the last axis; ``arrays`` in the order of the loop."""
        sizes = (self.starts, self.nodes[2], self.kept[2], *self.plans[2])
        groups = self.planes * -(-self.nodes[1] // 16)
        fewest = 1 + parallel.WORTH_A_THREAD // (16 * self.nodes[2])
        parallel.run(loop, parallel.even(groups, self.threads, fewest), *sizes, *arrays)

    def columns(self, axis: int, loop, source: np.ndarray, out: np.ndarray) -> None:
        """Transform axis 1 of every plane, or axis 0 of every grid.

        Parameters
        ----------
        axis : int
            0 or 1.
        loop : function
            From ``cpu.fourier``.
        source, out : complex arrays
            Read, written.
        """
        outer, inner = (self.planes, self.inner) if axis == 1 else (self.grids, self.kept[1] * self.inner)
        sizes = (self.nodes[axis], self.kept[axis], inner, *self.plans[axis])
        blocks = parallel.even(outer * inner // 8, self.threads, 1 + parallel.WORTH_A_THREAD // (8 * self.nodes[axis]))
        parallel.run(loop, blocks, *sizes, source.reshape(-1), out.reshape(-1))

    def by_planes(self, loop, *arrays) -> None:
        """Transform the last two axes, a plane at a time."""
        sizes = (self.starts, self.nodes[1:], self.kept[1:], self.plans[2], self.plans[1])
        fewest = 1 + parallel.WORTH_A_THREAD // (self.nodes[1] * self.nodes[2])
        parallel.run(loop, parallel.even(self.planes, self.threads, fewest), *sizes, *arrays)


def analyse(values: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace) -> np.ndarray:
    """(B, C, *grid.padded) real to (B, C, *modes) complex: Σ_node s(node) e^{−2πi n·node/nodes}.

    Parameters
    ----------
    values : real array
        Spread values, padding folded in.
    grid : Grid
        Sizes.
    out : complex array
        Written.
    threads : int
        At most so many.
    space : Workspace
        For what lies between two axes.
    """
    if grid.dim == 1 or not grid.smooth or not grid.backend.fourier.LOOPS:
        return _library_analyse(values, grid, out, threads)
    sizes, flat = _Sizes(values.shape, grid, threads, space, out.dtype), values.reshape(-1)
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


def synthesise(modes: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace) -> np.ndarray:
    """(B, C, *modes) complex to (B, C, *grid.padded) real: Σ_n modes(n) e^{+2πi n·node/nodes}, the sum over all modes.

    Parameters
    ----------
    modes : complex array
        The stored half.
    grid : Grid
        Sizes.
    out : real array
        Written, but for the padding.
    threads : int
        At most so many.
    space : Workspace
        For what lies between two axes.
    """
    if grid.dim == 1 or not grid.smooth or not grid.backend.fourier.LOOPS:
        return _library_synthesise(modes, grid, out, threads)
    sizes, flat = _Sizes(out.shape, grid, threads, space, modes.dtype), out.reshape(-1)
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


def _shares(snapshots: int, numbers: int, grid: Grid, threads: int) -> tuple[list[int], int]:
    """Bounds of the snapshots that each of our threads takes, and how many threads the library has for each of them."""
    even, worth = grid.backend.parallel.even, grid.backend.parallel.WORTH_A_THREAD
    bounds = even(snapshots, threads, 1 + worth // (2 * max(numbers, 1)))
    workers = len(even(numbers, threads // (len(bounds) - 1), 2 * worth)) - 1  # they take longer to wake
    return bounds, workers


def _library_analyse(values: np.ndarray, grid: Grid, out: np.ndarray, threads: int) -> np.ndarray:
    """``analyse`` by a library: all modes, of which the kept ones are taken."""
    first, second, last = grid.nodes
    axes, arrays = tuple(range(-grid.dim, 0)), grid.backend.arrays
    bounds, workers = _shares(len(values), values[:1].size, grid, threads)

    def _share(part: int, lo: int, hi: int) -> None:
        out[lo:hi] = arrays.rfftn(values[lo:hi, :, :first, :second, :last], axes, workers)[grid.kept]

    grid.backend.parallel.run(_share, bounds)
    return out


def _library_synthesise(modes: np.ndarray, grid: Grid, out: np.ndarray, threads: int) -> np.ndarray:
    """``synthesise`` by a library: zeros for the modes that are not kept."""
    first, second, last = grid.nodes
    axes, arrays = tuple(range(-grid.dim, 0)), grid.backend.arrays
    bounds, workers = _shares(len(out), out[:1].size, grid, threads)

    def _share(part: int, lo: int, hi: int) -> None:
        wide = arrays.xp.zeros((hi - lo, modes.shape[1], first, second, last // 2 + 1), dtype=modes.dtype)
        wide[grid.kept] = modes[lo:hi]
        out[lo:hi, :, :first, :second, :last] = arrays.irfftn(wide, grid.n, axes, workers)

    grid.backend.parallel.run(_share, bounds)
    return out
