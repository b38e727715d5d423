r"""Points → grid: s(node) = Σ_j f_j ψ(node − x_j).

Linear in f, and differentiable in x because ψ is:

    jvp   ṡ = Σ_j [ḟ_j ψ + f_j ẋ_j·∇ψ](node − x_j)
    vjp   with a cotangent s̄ on the grid: f̄_j = Σ_node s̄ ψ(node − x_j), the interpolation of s̄, and
          x̄_j = f_j · (gradient of that interpolation), so ``spread_vjp`` is ``interpolation.interpolate_vjp``
"""

from __future__ import annotations

from math import prod

import numpy as np

from ..context import Context
from ..interpolation import interpolate_vjp as spread_vjp
from ..points.stage import MERGE_ROWS, SMALLEST_SHARE, SPLIT_ROWS, WHOLE_POINTS, WHOLE_ROWS, SortedPoints
from ..window.indexing import strides

__all__ = ["interleave", "spread", "spread_jvp", "spread_vjp"]

SMALLEST_CLEAR = 1 << 18  # numbers to set to zero that are worth a thread
SMALLEST_MERGE = 200_000  # nodes of scratch blocks to add up that are worth a thread


def interleave(context: Context, points: SortedPoints, channels: int) -> int:
    """How many channels ``spread`` wants interleaved on the grid, see ``Grid.interleave``: 1 for crowded tiles.

    Parameters
    ----------
    context, points
        As for ``spread``.
    channels : int
        How many there are.
    """
    return 1 if points.crowded and len(points.split) else context.grid.interleave(channels, reading=False)


def spread(context: Context, points: SortedPoints, values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Spread values: s on the grid from f at the points.

    Parameters
    ----------
    context : Context
        Sizes, window, threads, memory.
    points : SortedPoints
        Where from.
    values : (B·N, C) of the grid's dtype
        f, sorted (``SortedPoints.gather``).
    out : (B, C, *layout.padded), or what ``Grid.interleave`` says of it
        Overwritten where the points reach, padding already folded in (but for ``Grid.folds_rows``); the rest is as it
        was.

    Returns
    -------
    ndarray
        ``out``.
    """
    loops = context.loops(__package__)
    crowded = loops.crowded if points.crowded else loops
    inputs = (points.coordinates, values, context.grid.tables.polynomials.ravel())
    return _spread(context, (loops.spread, crowded.spread), points, inputs, out)


def spread_jvp(context: Context, points: SortedPoints, values: np.ndarray, out: np.ndarray) -> np.ndarray:
    """``spread`` into the first C channels of ``out``, its derivative along (ẋ, ḟ) into C more.

    Parameters
    ----------
    context, points
        As for ``spread``.
    values : (B·N, 2C + d)
        f, ḟ and ẋ (units of length) side by side, sorted.
    out : (B, 2C, *layout.padded), or (B, C, *layout.padded) for the derivative alone
        As for ``spread``. On a device there are always 2C.
    """
    loops, tables = context.loops(__package__), context.grid.tables
    inputs = (points.coordinates, values, tables.to_grid, tables.polynomials.ravel())
    return _spread(context, (loops.spread_jvp, loops.spread_jvp), points, inputs, out)


def _spread(context: Context, kernels: tuple, points: SortedPoints, inputs: tuple, out: np.ndarray) -> np.ndarray:
    """Clear, spread the tiles that are one chunk, then the others, and fold the padding.

    Tiles that share nodes are never spread at the same time (``points.cpu_schedule``), so that threads never meet.
    """
    loops, run, shape = context.loops(__package__), context.parallel.run, out.shape
    grids = out.reshape(-1, *shape[2:])
    lines = context.even(out.size // shape[4], 1 + SMALLEST_CLEAR // shape[4])
    run(loops.clear, lines, grids, points.reached)
    if len(points.whole):
        _spread_whole(context, kernels[0], points, inputs, out)
    if len(points.split):
        _spread_split(context, kernels[1], points, inputs, out)
    _fold(context, points, grids, context.grid.interleaved(shape))
    return out


def _spread_whole(context: Context, kernel, points: SortedPoints, inputs: tuple, out: np.ndarray) -> None:
    """Tiles that are one chunk: straight to the grid."""
    grid, interleaved = context.grid, context.grid.interleaved(out.shape)
    sizes = (grid.tables.lanes, strides(out.shape), grid.supports(interleaved), grid.layout.block)
    smallest = 1 + SMALLEST_SHARE // grid.rows(out.shape[1] * interleaved)
    for chosen, bounds in points.phases(context, WHOLE_ROWS, WHOLE_POINTS, smallest):
        context.parallel.run(kernel, bounds, points.whole[chosen], *inputs, *sizes, out.reshape(-1))


def _spread_split(context: Context, kernel, points: SortedPoints, inputs: tuple, out: np.ndarray) -> None:
    """Tiles of several chunks: each to a block of scratch, then those to the grid."""
    grid, loops, run = context.grid, context.loops(__package__), context.parallel.run
    interleaved, (planes, rows, columns) = grid.interleaved(out.shape), grid.layout.block
    block = (planes, rows, columns * interleaved)
    scratch = context.space.take("scratch", (len(points.split), out.shape[1], *block), out.dtype)
    flat = scratch.reshape(-1)
    run(_clear, context.even(scratch.size, SMALLEST_CLEAR), flat)
    shares = points.share(context, points.split, grid.rows(out.shape[1] * interleaved))
    sizes = (grid.tables.lanes, strides(scratch.shape), grid.supports(interleaved), grid.layout.block)
    run(kernel, shares, points.split, *inputs, *sizes, flat)
    shapes = (block, out.shape[1], out.shape[2:], strides(out.shape))
    smallest = 1 + SMALLEST_MERGE // (out.shape[1] * prod(block))
    for chosen, bounds in points.phases(context, MERGE_ROWS, SPLIT_ROWS, smallest):
        run(loops.merge_scratch, bounds, points.merges[chosen], flat, *shapes, out.reshape(-1), interleaved)


def _fold(context: Context, points: SortedPoints, grids: np.ndarray, interleaved: int) -> None:
    """Add the padding of (B·C, ·, ·, ·) grids onto the nodes it stands for; rows, where the transforms do not."""
    grid, loops, parallel = context.grid, context.loops(__package__), context.parallel
    if grids.shape[1] > grid.nodes[0]:
        planes = context.even(len(grids) * grids.shape[2], 64)
        parallel.run(loops.fold_planes, planes, grids, grid.nodes, points.reached)
    bounds = context.even(len(grids) * grid.nodes[0], 1 + parallel.WORTH_A_THREAD // (grids.shape[2] * 8))
    parallel.run(loops.fold_padding, bounds, grids, grid.nodes, points.reached, interleaved, not grid.folds_rows)


def _clear(part: int, lo: int, hi: int, array: np.ndarray) -> None:
    array[lo:hi] = 0.0
