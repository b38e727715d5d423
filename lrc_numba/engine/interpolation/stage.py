r"""Grid → points: u_i = Σ_node ψ(node − x_i) s(node), the transpose of spreading.

jvp   u̇_i = [interpolation of ṡ] + ẋ_i·∇u_i
vjp   with a cotangent ū at the points: s̄ is ``spreading.spread`` of ū, and x̄_i = Σ_c ū_i^c ∇u_i^c
"""

from __future__ import annotations

import numpy as np

from ..context import Context
from ..grid import Grid
from ..points import SortedPoints
from ..window.indexing import strides

__all__ = ["fill", "interpolate", "interpolate_jvp", "interpolate_vjp"]


def interpolate(
    context: Context, points: SortedPoints, values: np.ndarray, value_at_k0: np.ndarray | None = None
) -> np.ndarray:
    """Interpolate: u at the points from s on the grid.

    Parameters
    ----------
    context : Context
        Sizes, window, threads, memory.
    points : SortedPoints
        Where to.
    values : (B, C, *layout.padded), or what ``Grid.interleave`` says of it
        s on the grid with its padding filled, see ``fill``.
    value_at_k0 : (B, C′), optional
        Added to u of the first C′ ≤ C channels: the mode k = 0, which does not go over the grid.

    Returns
    -------
    (B·N, C) ndarray
        u, in the order in which the points were given.
    """
    channels = values.shape[1] * context.grid.interleaved(values.shape)
    out, added = points.rows(context, channels, 0), _widened(context, value_at_k0, points, channels)
    inputs = (values.reshape(-1), context.grid.tables.polynomials.ravel(), *_sizes(context.grid, values), added)
    _run(context, "interpolate", points, channels, *inputs, out.first)
    return points.scatter(context, out)[0]


def interpolate_jvp(
    context: Context,
    points: SortedPoints,
    values: np.ndarray,
    dpoints: np.ndarray,
    value_at_k0: np.ndarray | None = None,
    dvalues: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """u and its derivative, each (B·N, C).

    Parameters
    ----------
    context, points
        As for ``interpolate``.
    values : (B, 2C, *layout.padded)
        s, then ṡ, padding filled.
    dpoints : (B·N, d)
        ẋ, sorted, units of length.
    value_at_k0 : (B, 2C), optional
        Added to both.
    dvalues : (B, C, *layout.padded), optional
        ṡ, where ``values`` (B, C, *layout.padded) is s alone.
    """
    flat = values.reshape(-1)
    if dvalues is None:
        channels = values.shape[1] // 2
        dflat = flat[channels * strides(values.shape)[1] :]
    else:
        channels, dflat = values.shape[1], dvalues.reshape(-1)
    out, added = points.rows(context, channels, channels), _widened(context, value_at_k0, points, 2 * channels)
    inputs = (flat, dflat, dpoints, *_window(context.grid), *_sizes(context.grid, values), channels, added)
    _run(context, "interpolate_jvp", points, 2 * channels, *inputs, out.first, out.second, out.column)
    return points.scatter(context, out)


def interpolate_vjp(
    context: Context,
    points: SortedPoints,
    values: np.ndarray,
    cotangent: np.ndarray,
    column: int,
    kept: int,
    value_at_k0: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """u (B·N, C′) of the first C′ channels and Σ_c ū^c ∇u^c (B·N, d), per unit of length.

    Parameters
    ----------
    context, points, values, value_at_k0
        As for ``interpolate``.
    cotangent : (B·N, C)
        ū, sorted.
    column : int
        Of ū where channel 0 is; the others follow, counted round.
    kept : int
        C′ ≤ C.
    """
    grid = context.grid
    out, added = points.rows(context, kept, grid.dim), _widened(context, value_at_k0, points, kept)
    inputs = (values.reshape(-1), cotangent, column, *_window(grid), *_sizes(grid, values), kept, added)
    _run(context, "interpolate_vjp", points, cotangent.shape[1], *inputs, out.first, out.second, out.column)
    return points.scatter(context, out)


def fill(context: Context, points: SortedPoints, values: np.ndarray) -> np.ndarray:
    """Fill the padding of grids in place, so that interpolation need not wrap; but for ``Grid.folds_rows``.

    Parameters
    ----------
    context : Context
        Sizes, threads.
    points : SortedPoints
        Where it will be read.
    values : (B, C, *layout.padded), or what ``Grid.interleave`` says of it
        Changed.

    Returns
    -------
    ndarray
        ``values``.
    """
    grid, loops, parallel = context.grid, context.loops(__package__), context.parallel
    grids, interleaved = values.reshape(-1, *values.shape[2:]), grid.interleaved(values.shape)
    bounds = context.even(len(grids) * grid.nodes[0], 1 + parallel.WORTH_A_THREAD // (grids.shape[2] * 8))
    parallel.run(loops.fill_padding, bounds, grids, grid.nodes, points.reached, interleaved, not grid.folds_rows)
    if grids.shape[1] > grid.nodes[0]:
        planes = context.even(len(grids) * grids.shape[2], 64)
        parallel.run(loops.fill_planes, planes, grids, grid.nodes, points.reached)
    return values


def _run(context: Context, loop: str, points: SortedPoints, channels: int, *arguments) -> None:
    """A loop over all chunks, with so many channels under the window of a point."""
    bounds = points.share(context, points.chunks, context.grid.rows(channels))
    kernel = getattr(context.loops(__package__), loop)
    context.parallel.run(kernel, bounds, points.chunks, points.coordinates, *arguments)


def _widened(context: Context, value: np.ndarray | None, points: SortedPoints, channels: int) -> np.ndarray:
    """What is added to so many channels: nothing to those that ``value`` does not have."""
    if value is not None and value.shape[1] == channels:
        return value
    out = context.xp.zeros((points.batch[0], channels), dtype=context.grid.dtype)
    if value is not None:
        out[:, : value.shape[1]] = value
    return out


def _window(grid: Grid) -> tuple:
    return grid.tables.to_grid, grid.tables.polynomials.ravel()


def _sizes(grid: Grid, values: np.ndarray) -> tuple:
    return grid.tables.lanes, strides(values.shape), grid.supports(grid.interleaved(values.shape))
