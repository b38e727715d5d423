r"""Grid ↔ modes: the two transforms, real on one side, with only the kept modes on the other.

Both are linear; ``analyse`` carries the sign −, ``synthesise`` the sign + and the sum over *all* modes, so that the
composition of spreading, ``analyse``, a Hermitian multiplier, ``synthesise`` and interpolation is real and its
transpose is the same chain backwards with the conjugate transpose of the multiplier.
"""

from __future__ import annotations

import numpy as np

from ...machine.workspace import Workspace
from .. import deconvolution
from ..deconvolution.stage import MultiplierTable
from ..grid.grid import Grid

__all__ = ["analyse", "synthesise", "through"]


def analyse(
    values: np.ndarray, reached: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace
) -> np.ndarray:
    """(B, C, *grid.padded) real to (B, C, *modes) complex: Σ_node s(node) e^{−2πi n·node/nodes}.

    Parameters
    ----------
    values : real array
        Spread values, padding folded in.
    reached : (B, ·, ·) bool
        ``SortedPoints.reached``, some row of every snapshot: others are taken to be zero, whatever is in them, but
        where a library or ``fft.lines`` transforms; there all are reached.
    grid : Grid
        Sizes.
    out : complex array
        Written.
    threads : int
        At most so many; they do not change the result.
    space : Workspace
        For what lies between two axes.
    """
    return grid.backend.fourier.analyse(values, reached, grid, out, threads, space)


def synthesise(
    modes: np.ndarray, reached: np.ndarray, grid: Grid, out: np.ndarray, threads: int, space: Workspace
) -> np.ndarray:
    """(B, C, *modes) complex to (B, C, *grid.padded) real: Σ_n modes(n) e^{+2πi n·node/nodes}, the sum over all modes.

    Parameters
    ----------
    modes : complex array
        The stored half.
    reached : (B, ·, ·) bool
        As for ``analyse``: other rows need not be written.
    grid : Grid
        Sizes.
    out : real array
        Written, but for the padding.
    threads : int
        At most so many; they do not change the result.
    space : Workspace
        For what lies between two axes.
    """
    return grid.backend.fourier.synthesise(modes, reached, grid, out, threads, space)


def through(
    values: np.ndarray,
    reached: tuple[np.ndarray, np.ndarray],
    table: MultiplierTable,
    ways: list[tuple],
    grid: Grid,
    out: np.ndarray,
    threads: int,
    space: Workspace,
) -> np.ndarray:
    """Grids to grids, with a multiplier in between.

    Parameters
    ----------
    values : real array
        As for ``analyse``; there may be channels that no way reads.
    reached : two (B, ·, ·) bool arrays
        As for ``analyse``, and as for ``synthesise``.
    table : MultiplierTable
        φ̂.
    ways : list of (int, int, int, int, bool)
        First channel and number of channels of ``values`` to read, and of ``out`` to write, and whether the adjoint of
        φ̂ is what they are multiplied with.
    grid : Grid
        Sizes.
    out : real array
        As for ``synthesise``; may have the memory of ``values``.
    threads : int
        At most so many; they do not change the result.
    space : Workspace
        For what lies between.
    """
    if grid.dim == 3 and grid.smooth and grid.backend.name == "cpu":
        from .fft import grids  # compiled for a processor

        there, back = (
            grids.Transforms(array.shape, grid, rows, threads, space)
            for array, rows in zip((values, out), reached, strict=True)
        )
        planes = grids.multiply_planes(there, back, there.to_planes(values), table, ways, grid)
        back.from_planes(planes, out)
        return out
    before, after = (array.shape[1] * grid.together(array.shape) for array in (values, out))
    modes = space.take("modes", (len(values), before, *grid.stored), grid.complex)
    product = space.take("multiplied", (len(values), after, *grid.stored), grid.complex)
    analyse(values, reached[0], grid, modes, threads, space)
    for *channels, adjoint in ways:
        deconvolution.multiply(modes, table, grid, threads, product, tuple(channels), adjoint=adjoint)
    return synthesise(product, reached[1], grid, out, threads, space)
