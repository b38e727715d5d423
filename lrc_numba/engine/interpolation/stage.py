r"""Grid → points: u_i = Σ_node ψ(node − x_i) s(node), the transpose of spreading.

jvp   u̇_i = [interpolation of ṡ] + ẋ_i·∇u_i
vjp   with a cotangent ū at the points: s̄ is ``spreading.spread`` of ū, and x̄_i = Σ_c ū_i^c ∇u_i^c
"""

from __future__ import annotations

import numpy as np

from ...machine.workspace import Workspace
from ..grid.grid import Grid
from ..points.stage import SortedPoints
from ..window.indexing import strides

__all__ = ["fill", "interpolate", "interpolate_jvp", "interpolate_vjp"]


def interpolate(
    points: SortedPoints,
    values: np.ndarray,
    grid: Grid,
    threads: int,
    space: Workspace,
    mean: np.ndarray | None = None,
) -> np.ndarray:
    """Interpolate.

    Parameters
    ----------
    points : SortedPoints
        Where to.
    values : (B, C, *grid.padded), or what ``Grid.pair`` says of it
        s on the grid with its padding filled, see ``fill``.
    grid : Grid
        Sizes and window.
    threads : int
        At most so many; they do not change the result.
    space : Workspace
        For the results in sorted order.
    mean : (B, C′), optional
        Added to u of the first C′ ≤ C channels: the mode k = 0, which does not go over the grid.

    Returns
    -------
    (B·N, C) ndarray
        u, in the order in which the points were given.
    """
    channels = values.shape[1] * grid.together(values.shape)
    room = points.room(channels, 0, values.dtype, space)
    mean = _widened(mean, points, channels, grid)
    rest = (values.reshape(-1), grid.polynomials.ravel(), *_sizes(values, grid), mean, room[0])
    _run(grid.backend.interpolation.interpolate, points, grid.rows(channels), grid, threads, *rest)
    return points.scatter(*room, threads)[0]


def interpolate_jvp(
    points: SortedPoints,
    values: np.ndarray,
    dpoints: np.ndarray,
    grid: Grid,
    threads: int,
    space: Workspace,
    mean: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """u and its derivative, each (B·N, C).

    Parameters
    ----------
    points, grid, threads, space
        As for ``interpolate``.
    values : (B, 2C, *grid.padded)
        s, then ṡ, padding filled.
    dpoints : (B·N, d)
        ẋ, sorted, units of length.
    mean : (B, 2C), optional
        Added to both.
    """
    channels = values.shape[1] // 2
    room = points.room(channels, channels, values.dtype, space)
    mean = _widened(mean, points, 2 * channels, grid)
    rest = (values.reshape(-1), dpoints, *_tables(grid), *_sizes(values, grid), channels, mean, *room)
    _run(grid.backend.interpolation.interpolate_jvp, points, grid.rows(2 * channels), grid, threads, *rest)
    return points.scatter(*room, threads)


def interpolate_vjp(
    points: SortedPoints,
    values: np.ndarray,
    cotangent: np.ndarray,
    turn: int,
    kept: int,
    grid: Grid,
    threads: int,
    space: Workspace,
    mean: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """u (B·N, C′) of the first C′ channels and Σ_c ū^c ∇u^c (B·N, d), per unit of length.

    Parameters
    ----------
    points, values, grid, threads, space, mean
        As for ``interpolate``.
    cotangent : (B·N, C)
        ū, sorted.
    turn : int
        Channel c of ū is in column c + turn, counted round.
    kept : int
        C′ ≤ C.
    """
    room = points.room(kept, grid.dim, values.dtype, space)
    mean = _widened(mean, points, kept, grid)
    rest = (values.reshape(-1), cotangent, turn, *_tables(grid), *_sizes(values, grid), kept, mean, *room)
    _run(grid.backend.interpolation.interpolate_vjp, points, grid.rows(cotangent.shape[1]), grid, threads, *rest)
    return points.scatter(*room, threads)


def fill(values: np.ndarray, points: SortedPoints, grid: Grid, threads: int) -> np.ndarray:
    """Fill the padding of grids in place, so that interpolation need not wrap; but for ``Grid.folds_rows``.

    Parameters
    ----------
    values : (B, C, *grid.padded), or what ``Grid.pair`` says of it
        Changed.
    points : SortedPoints
        Where it will be read.
    grid : Grid
        Sizes.
    threads : int
        At most so many.
    """
    parallel, loops = grid.backend.parallel, grid.backend.interpolation
    grids = values.reshape(-1, *values.shape[2:])
    rest, fewest = (grids, grid.nodes, points.reached), 1 + parallel.WORTH_A_THREAD // (grids.shape[2] * 8)
    bounds = parallel.even(len(grids) * grid.nodes[0], threads, fewest)
    parallel.run(loops.fill_padding, bounds, *rest, grid.together(values.shape), not grid.folds_rows)
    if grids.shape[1] > grid.nodes[0]:
        parallel.run(loops.fill_planes, parallel.even(len(grids) * grids.shape[2], threads, 64), *rest)
    return values


def _run(loop, points: SortedPoints, rows: int, grid: Grid, threads: int, *arguments) -> None:
    """A loop over all chunks, ``rows`` under the window of a point."""
    bounds = points.share(points.chunks, threads, rows)
    grid.backend.parallel.run(loop, bounds, points.chunks, points.coordinates, *arguments)


def _widened(mean: np.ndarray | None, points: SortedPoints, channels: int, grid: Grid) -> np.ndarray:
    """What comes to so many channels: nothing to those that ``mean`` does not have."""
    if mean is not None and mean.shape[1] == channels:
        return mean
    out = grid.backend.arrays.xp.zeros((points.batch[0], channels), dtype=grid.dtype)
    if mean is not None:
        out[:, : mean.shape[1]] = mean
    return out


def _tables(grid: Grid) -> tuple:
    return grid.to_grid, grid.polynomials.ravel()


def _sizes(values: np.ndarray, grid: Grid) -> tuple:
    return grid.polynomials.shape[1], strides(values.shape), grid.supports(grid.together(values.shape))
