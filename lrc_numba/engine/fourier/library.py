"""Transforms by the library of a back end (``arrays.rfftn``): for what our own loops do not do, and on a device.

Snapshots are shared out to our own threads first, because the library's take longer to wake.
"""

from __future__ import annotations

import numpy as np

from ..context import Context

__all__ = ["analyse", "synthesise"]


def _shares(context: Context, snapshots: int, numbers: int) -> tuple[list[int], int]:
    """Bounds of the snapshots that each of our threads takes, and how many threads the library has for each of them."""
    worth = context.parallel.WORTH_A_THREAD
    bounds = context.even(snapshots, 1 + worth // (2 * max(numbers, 1)))
    # Twice the work: a library's threads take longer to wake.
    workers = len(context.parallel.even(numbers, context.threads // (len(bounds) - 1), 2 * worth)) - 1
    return bounds, workers


def analyse(context: Context, values: np.ndarray, reached: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Modes of grids: all are computed, and the kept ones are taken.

    Parameters
    ----------
    context, values, reached
        As for ``fourier.stage.analyse``.
    out : (B, C, *modes) complex
        Written.
    """
    grid, arrays = context.grid, context.arrays
    first, second, last = grid.nodes
    axes = tuple(range(-grid.dim, 0))
    bounds, workers = _shares(context, len(values), values[:1].size)

    def _share(part: int, lo: int, hi: int) -> None:
        out[lo:hi] = arrays.rfftn(values[lo:hi, :, :first, :second, :last], axes, workers)[grid.tables.kept]

    context.parallel.run(_share, bounds)
    return out


def synthesise(context: Context, modes: np.ndarray, reached: np.ndarray, out: np.ndarray) -> np.ndarray:
    """Grids of modes, with zeros for the modes that are not kept.

    Parameters
    ----------
    context, modes, reached, out
        As for ``fourier.stage.synthesise``.
    """
    grid, arrays = context.grid, context.arrays
    first, second, last = grid.nodes
    axes = tuple(range(-grid.dim, 0))
    bounds, workers = _shares(context, len(out), out[:1].size)

    def _share(part: int, lo: int, hi: int) -> None:
        wide = arrays.xp.zeros((hi - lo, modes.shape[1], first, second, last // 2 + 1), dtype=modes.dtype)
        wide[grid.tables.kept] = modes[lo:hi]
        out[lo:hi, :, :first, :second, :last] = arrays.irfftn(wide, grid.n, axes, workers)

    context.parallel.run(_share, bounds)
    return out
