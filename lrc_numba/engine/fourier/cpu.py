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

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ...machine.cpu import parallel
from ..context import Context
from ..deconvolution import ModeProduct, MultiplierTable
from ..grid import Grid
from ..grid.sizes import LONGEST_LINE
from . import library
from .fft import columns, grids, lines
from .fft.grids import Transforms

__all__ = ["analyse", "multiplies_planes", "synthesise", "through_planes"]


@lru_cache(maxsize=2)
def _line_starts(count: int, stride: int) -> np.ndarray:
    return np.arange(count) * stride


def _by_lines(context: Context, loop, values: np.ndarray, *arrays: np.ndarray) -> None:
    """Transform the lines of one-dimensional grids, eight at a time; ``arrays`` in the order of the loop."""
    grid, count = context.grid, values.shape[0] * values.shape[1]
    length = grid.n[0]
    bounds = context.even(-(-count // 8), 1 + parallel.WORTH_A_THREAD // (16 * length))
    starts = _line_starts(count, values.shape[4])
    parallel.run(loop, bounds, starts, length, *lines.plan(length, grid.dtype), *arrays)


def _needs_library(grid: Grid) -> bool:
    """Whether our own loops cannot do the length, or would have nothing to do eight of at a time."""
    return not grid.smooth or (grid.dim == 1 and grid.n[0] > LONGEST_LINE)


def analyse(context: Context, values: np.ndarray, reached: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Modes of grids: last axis first, the last two a plane at a time where there are planes enough for all threads.

    Parameters
    ----------
    context, values, reached
        As for ``fourier.stage.analyse``.
    out : (B, C, *modes) complex
        Written.
    """
    if _needs_library(context.grid):
        return library.analyse(context, values, reached, out)
    if context.grid.dim == 1:
        _by_lines(context, lines.analyse_lines, values, values.reshape(-1), out.reshape(-1, out.shape[4]))
        return out
    sizes = Transforms(context, values.shape, reached)
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


def synthesise(context: Context, modes: np.ndarray, reached: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Grids of modes: first axis first; the transpose of ``analyse`` where all modes are counted.

    Parameters
    ----------
    context, modes, reached, out
        As for ``fourier.stage.synthesise``.
    """
    if _needs_library(context.grid):
        return library.synthesise(context, modes, reached, out)
    if context.grid.dim == 1:
        _by_lines(context, lines.synthesise_lines, out, modes.reshape(-1, modes.shape[4]), out.reshape(-1))
        return out
    sizes = Transforms(context, out.shape, reached)
    if sizes.inner != sizes.kept[2]:
        wide = sizes.take("wide", *modes.shape[:4], sizes.inner)
        wide[..., : sizes.kept[2]], wide[..., sizes.kept[2] :] = modes, 0.0
        modes = wide
    if sizes.nodes[0] > 1:
        wide, modes = modes, sizes.take("planes", sizes.planes, sizes.kept[1], sizes.inner)
        sizes.columns(0, columns.synthesise_columns, wide, modes)
    sizes.from_planes(modes.reshape(sizes.planes, sizes.kept[1], sizes.inner), out)
    return out


def multiplies_planes(grid: Grid) -> bool:
    """Whether modes need not be written down between the transforms: in three dimensions, by our own loops."""
    return grid.dim == 3 and grid.smooth


def through_planes(
    context: Context,
    values: np.ndarray,
    reached: tuple[np.ndarray, np.ndarray],
    table: MultiplierTable,
    products: Sequence[ModeProduct],
    out: np.ndarray,
    powers: np.ndarray | None = None,
) -> np.ndarray:
    """Grids to grids: to the modes of planes, through the first axis with the multiplier, and back.

    Parameters
    ----------
    context, values, reached, table, products, out, powers
        As for ``fourier.stage.through``.
    """
    forward, backward = Transforms(context, values.shape, reached[0]), Transforms(context, out.shape, reached[1])
    planes = grids.multiply_planes(context, forward, backward, forward.to_planes(values), table, products, powers)
    backward.from_planes(planes, out)
    return out
