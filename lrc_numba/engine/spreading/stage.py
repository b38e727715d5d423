r"""Points → grid: s(node) = Σ_j f_j ψ(node − x_j).

Linear in f, and differentiable in x because ψ is:

    jvp   ṡ = Σ_j [ḟ_j ψ + f_j ẋ_j·∇ψ](node − x_j)
    vjp   with a cotangent s̄ on the grid: f̄_j = Σ_node s̄ ψ(node − x_j), the interpolation of s̄, and
          x̄_j = f_j · (gradient of that interpolation), so ``spread_vjp`` is ``interpolation.interpolate_vjp``
"""

from __future__ import annotations

from math import prod

import numpy as np

from ...machine.workspace import Workspace
from ..grid.grid import Grid
from ..interpolation.stage import interpolate_vjp as spread_vjp
from ..points.stage import HEAVY_ROWS, LIGHT_POINTS, LIGHT_ROWS, MERGE_ROWS, SMALLEST_SHARE, SortedPoints
from ..window.indexing import strides

__all__ = ["pair", "spread", "spread_jvp", "spread_vjp"]

SMALLEST_CLEAR = 1 << 18  # numbers to set to zero that are worth a thread
SMALLEST_MERGE = 200_000  # nodes of scratch blocks to add up that are worth a thread


def spread(
    points: SortedPoints, values: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace
) -> np.ndarray:
    """Spread values.

    Parameters
    ----------
    points : SortedPoints
        Where from.
    values : (B·N, C) of the grid's dtype
        f, sorted (``points.gather``).
    grid : Grid
        Sizes and window.
    out : (B, C, *grid.padded), or what ``Grid.pair`` says of it
        Overwritten where the points reach, padding already folded in (but for ``Grid.folds_rows``); the rest is as it
        was.
    threads : int
        At most so many; they do not change the result.
    space : Workspace
        For scratch.

    Returns
    -------
    ndarray
        ``out``.
    """
    inputs, loops = (points.coordinates, values, grid.polynomials.ravel()), grid.backend.spreading
    crowd = grid.backend.crowds if points.crowded else loops
    return _in_phases((loops.spread, crowd.spread), points, inputs, grid, out, threads, space)


def pair(points: SortedPoints, channels: int, grid: Grid) -> int:
    """How many channels are to lie side by side in ``out`` of ``spread``, see ``Grid.pair``: 1 for loops of crowds.

    Parameters
    ----------
    points, grid
        As for ``spread``.
    channels : int
        How many there are.
    """
    return 1 if points.crowded and len(points.heavy) else grid.pair(channels, reading=False)


def spread_jvp(
    points: SortedPoints, values: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace
) -> np.ndarray:
    """``spread`` into the first C channels of ``out``, its derivative along (ẋ, ḟ) into C more.

    Parameters
    ----------
    points, grid, out, threads, space
        As for ``spread``; ``out`` is (B, 2C, *grid.padded).
    values : (B·N, 2C + d)
        f, ḟ and ẋ (units of length) side by side, sorted.
    """
    inputs = (points.coordinates, values, grid.to_grid, grid.polynomials.ravel())
    return _in_phases((grid.backend.spreading.spread_jvp,) * 2, points, inputs, grid, out, threads, space)


def _in_phases(
    kernels: tuple, points: SortedPoints, inputs: tuple, grid: Grid, out: np.ndarray, threads: int, space: Workspace
):
    """Run spreading loops over all chunks: the first to the grid, the second, for crowded tiles, to scratch, then that
    to the grid.

    Tiles that share nodes never at the same time (``schedule``), so that threads never meet.
    """
    parallel, loops = grid.backend.parallel, grid.backend.spreading
    lanes, together = grid.polynomials.shape[1], grid.together(out.shape)
    flat, steps, supports = out.reshape(-1), strides(out.shape), grid.supports(together)
    grids, rows = out.reshape(-1, *out.shape[2:]), grid.rows(out.shape[1] * together)
    lines = parallel.even(flat.size // out.shape[4], threads, 1 + SMALLEST_CLEAR // out.shape[4])
    parallel.run(loops.clear, lines, grids, points.reached)
    if len(points.light):
        rest = (*inputs, lanes, steps, supports, grid.block, flat)
        for chosen, bounds in points.phases(LIGHT_ROWS, LIGHT_POINTS, threads, 1 + SMALLEST_SHARE // rows):
            parallel.run(kernels[0], bounds, points.light[chosen], *rest)
    if len(points.heavy):
        block = (*grid.block[:2], grid.block[2] * together)
        scratch = space.take("scratch", (len(points.heavy), out.shape[1], *block), out.dtype)
        flat_scratch = scratch.reshape(-1)
        parallel.run(_clear, parallel.even(scratch.size, threads, SMALLEST_CLEAR), flat_scratch)
        rest = (points.heavy, *inputs, lanes, strides(scratch.shape), supports, grid.block, flat_scratch)
        parallel.run(kernels[1], points.share(points.heavy, threads, rows), *rest)
        rest = (flat_scratch, block, out.shape[1], out.shape[2:], steps, flat, together)
        smallest = 1 + SMALLEST_MERGE // (out.shape[1] * prod(block))
        for chosen, bounds in points.phases(MERGE_ROWS, HEAVY_ROWS, threads, smallest):
            parallel.run(loops.merge_scratch, bounds, points.merges[chosen], *rest)
    rest = (grids, grid.nodes, points.reached)
    if grids.shape[1] > grid.nodes[0]:
        parallel.run(loops.fold_planes, parallel.even(len(grids) * grids.shape[2], threads, 64), *rest)
    fewest = 1 + parallel.WORTH_A_THREAD // (grids.shape[2] * 8)
    bounds, ends = parallel.even(len(grids) * grid.nodes[0], threads, fewest), not grid.folds_rows
    parallel.run(loops.fold_padding, bounds, *rest, together, ends)
    return out


def _clear(part: int, lo: int, hi: int, array: np.ndarray) -> None:
    array[lo:hi] = 0.0
