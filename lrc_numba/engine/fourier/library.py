"""Transforms by the library of a back end (``arrays.rfftn``): for what our own loops do not do, and on a device.

Snapshots are shared out to our own threads first, because the library's take longer to wake.
"""

from __future__ import annotations

import numpy as np

from ..grid.grid import Grid

__all__ = ["analyse", "synthesise"]


def _shares(snapshots: int, numbers: int, grid: Grid, threads: int) -> tuple[list[int], int]:
    """Bounds of the snapshots that each of our threads takes, and how many threads the library has for each of them."""
    even, worth = grid.backend.parallel.even, grid.backend.parallel.WORTH_A_THREAD
    bounds = even(snapshots, threads, 1 + worth // (2 * max(numbers, 1)))
    workers = len(even(numbers, threads // (len(bounds) - 1), 2 * worth)) - 1  # they take longer to wake
    return bounds, workers


def analyse(values: np.ndarray, grid: Grid, out: np.ndarray, threads: int) -> np.ndarray:
    """All modes, of which the kept ones are taken.

    Parameters
    ----------
    values, grid, out, threads
        As for ``fourier.analyse``.
    """
    first, second, last = grid.nodes
    axes, arrays = tuple(range(-grid.dim, 0)), grid.backend.arrays
    bounds, workers = _shares(len(values), values[:1].size, grid, threads)

    def _share(part: int, lo: int, hi: int) -> None:
        out[lo:hi] = arrays.rfftn(values[lo:hi, :, :first, :second, :last], axes, workers)[grid.kept]

    grid.backend.parallel.run(_share, bounds)
    return out


def synthesise(modes: np.ndarray, grid: Grid, out: np.ndarray, threads: int) -> np.ndarray:
    """Zeros for the modes that are not kept.

    Parameters
    ----------
    modes, grid, out, threads
        As for ``fourier.synthesise``.
    """
    first, second, last = grid.nodes
    axes, arrays = tuple(range(-grid.dim, 0)), grid.backend.arrays
    bounds, workers = _shares(len(out), out[:1].size, grid, threads)

    def _share(part: int, lo: int, hi: int) -> None:
        wide = arrays.xp.zeros((hi - lo, modes.shape[1], first, second, last // 2 + 1), dtype=modes.dtype)
        wide[grid.kept] = modes[lo:hi]
        out[lo:hi, :, :first, :second, :last] = arrays.irfftn(wide, grid.n, axes, workers)

    grid.backend.parallel.run(_share, bounds)
    return out
