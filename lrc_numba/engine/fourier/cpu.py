"""Transforms of grids: along the last axis, then the next, then the first, keeping only the modes that are kept.

For lengths that are products of 2, 3 and 5 the loops are our own (``fft``): on padded rows, eight at a time, and pruned
where there are several axes. In one dimension there may be nothing to do eight of at a time, so long lines go to a
library, and so do the grids of the paper's window, which have any length. The choice does not depend on the number of
snapshots or channels, so neither does the result.

Rows that no window reaches are zero before, and not looked at after: they are left out, and with them the planes that
have no others. Of points in a corner of the cell that leaves the transforms along the first axis. Zeros stay zeros, so
the results are those of all rows, to the last bit.

Which thread may write what: rows, blocks of columns or planes of its own, see ``fft``.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ...machine.cpu import parallel
from ...machine.workspace import Workspace
from ..grid.grid import Grid
from . import library
from .fft import columns, lines
from .fft.grids import Transforms

__all__ = ["analyse", "synthesise"]


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
        As for ``lrc_numba.engine.fourier.stage.analyse``.
    """
    if not grid.smooth or (grid.dim == 1 and grid.n[0] > lines.LONGEST):
        return library.analyse(values, grid, out, threads)
    if grid.dim == 1:
        _by_lines(lines.analyse_lines, values, grid, threads, values.reshape(-1), out.reshape(-1, out.shape[4]))
        return out
    sizes = Transforms(values.shape, grid, reached, threads, space)
    whole = sizes.inner == sizes.kept[2]
    if sizes.nodes[0] == 1:
        modes = sizes.to_planes(values, out if whole else None)
    else:
        planes = sizes.to_planes(values)
        modes = out if whole else sizes.take("rows", sizes.grids, *sizes.kept[:2], sizes.inner)
        sizes.columns(0, columns.analyse_columns, planes, modes)
    if not whole:
        out[...] = modes.reshape(*out.shape[:4], sizes.inner)[..., : sizes.kept[2]]
    return out


def synthesise(
    modes: np.ndarray, reached: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace
) -> np.ndarray:
    """First axis first; the transpose of ``analyse`` where all modes are counted.

    Parameters
    ----------
    modes, reached, grid, out, threads, space
        As for ``lrc_numba.engine.fourier.stage.synthesise``.
    """
    if not grid.smooth or (grid.dim == 1 and grid.n[0] > lines.LONGEST):
        return library.synthesise(modes, grid, out, threads)
    if grid.dim == 1:
        _by_lines(lines.synthesise_lines, out, grid, threads, modes.reshape(-1, modes.shape[4]), out.reshape(-1))
        return out
    sizes = Transforms(out.shape, grid, reached, threads, space)
    if sizes.inner != sizes.kept[2]:
        wide = sizes.take("wide", *modes.shape[:4], sizes.inner)
        wide[..., : sizes.kept[2]], wide[..., sizes.kept[2] :] = modes, 0.0
        modes = wide
    if sizes.nodes[0] > 1:
        wide, modes = modes, sizes.take("planes", sizes.planes, sizes.kept[1], sizes.inner)
        sizes.columns(0, columns.synthesise_columns, wide, modes)
    sizes.from_planes(modes.reshape(sizes.planes, sizes.kept[1], sizes.inner), out)
    return out
