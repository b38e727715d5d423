r"""Grid ↔ modes: the two transforms, real on one side, with only the kept modes on the other.

Both are linear; ``analyse`` carries the sign −, ``synthesise`` the sign + and the sum over *all* modes, so that the
composition of spreading, ``analyse``, a Hermitian multiplier, ``synthesise`` and interpolation is real and its
transpose is the same chain backwards with the conjugate transpose of the multiplier.

Transforms of grids whose lengths are products of 2, 3 and 5 are our own (``cpu.fourier``): pruned, on padded rows, and
eight at a time. A single row (one snapshot in one dimension) leaves nothing to do eight of at a time, and the paper's
window has grids of any length: those go to SciPy.
"""

from __future__ import annotations

import numpy as np

from .cpu import fft, parallel
from .cpu import fourier as loops
from .grid import Grid, embed
from .workspace import Workspace

__all__ = ["analyse", "synthesise"]

FEWEST_ROWS = 6  # fewer rows are done faster one by one


def _own(values: np.ndarray, grid: Grid) -> bool:
    return grid.smooth and values.shape[0] * values.shape[1] * grid.nodes[0] * grid.nodes[1] >= FEWEST_ROWS


def _row_starts(shape: tuple[int, ...], grid: Grid) -> np.ndarray:
    """Where each row of the padded grids begins, (B·C·n_1, n_2) int64."""
    grids = np.arange(shape[0] * shape[1])[:, None, None] * (shape[2] * shape[3] * shape[4])
    planes = np.arange(grid.nodes[0])[:, None] * (shape[3] * shape[4])
    rows = np.arange(grid.nodes[1]) * shape[4]
    return (grids + planes + rows).reshape(-1, grid.nodes[1])


def _padded(count: int) -> int:
    return -(-count // 8) * 8


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
    if not _own(values, grid):
        return _scipy_analyse(values, grid, out, threads)
    kept, nodes, count = embed(grid.mode_set.shape, 1), grid.nodes, values.shape[0] * values.shape[1]
    inner, starts, flat = _padded(kept[2]), _row_starts(values.shape, grid), values.reshape(-1)
    plans = [fft.plan(n, grid.dtype.name) for n in nodes]
    if nodes[1] == 1:
        rows = space.take("rows", (starts.size, inner), out.dtype)
        rest = (flat, starts.reshape(-1), nodes[2], kept[2], *plans[2], rows.reshape(-1))
        parallel.run(loops.analyse_rows, parallel.even(-(-starts.size // 16), threads), *rest)
        out[...] = rows.reshape(*out.shape[:4], inner)[..., : kept[2]]
        return out
    middle = space.take("columns", (len(starts), kept[1], inner), out.dtype)
    if len(starts) >= 2 * threads:
        rest = (flat, starts, nodes[1:], kept[1:], plans[2], plans[1], middle)
        parallel.run(loops.analyse_planes, parallel.even(len(starts), threads), *rest)
    else:
        rows = space.take("rows", (starts.size, inner), out.dtype)
        rest = (flat, starts.reshape(-1), nodes[2], kept[2], *plans[2], rows.reshape(-1))
        parallel.run(loops.analyse_rows, parallel.even(-(-starts.size // 16), threads), *rest)
        rest = (rows.reshape(-1), nodes[1], kept[1], inner, *plans[1], middle.reshape(-1))
        parallel.run(loops.analyse_columns, parallel.even(len(starts) * inner // 8, threads), *rest)
    if nodes[0] > 1:
        final = out if inner == kept[2] else space.take("rows", (count, *kept[:2], inner), out.dtype)
        columns = (nodes[0], kept[0], kept[1] * inner, *plans[0])
        blocks = parallel.even(count * kept[1] * inner // 8, threads)
        parallel.run(loops.analyse_columns, blocks, middle.reshape(-1), *columns, final.reshape(-1))
        middle = final
    if middle is not out:
        out[...] = middle.reshape(*out.shape[:4], inner)[..., : kept[2]]
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
        Written, all but the padding.
    threads : int
        At most so many.
    space : Workspace
        For what lies between two axes.
    """
    if not _own(out, grid):
        return _scipy_synthesise(modes, grid, out, threads)
    kept, nodes, count = embed(grid.mode_set.shape, 1), grid.nodes, out.shape[0] * out.shape[1]
    inner, starts, flat = _padded(kept[2]), _row_starts(out.shape, grid), out.reshape(-1)
    plans = [fft.plan(n, grid.dtype.name) for n in nodes]
    if inner != kept[2]:
        wide = space.take("rows", (*modes.shape[:4], inner), modes.dtype)
        wide[..., : kept[2]], wide[..., kept[2] :] = modes, 0.0
        modes = wide
    if nodes[1] == 1:
        rest = (modes.reshape(-1), kept[2], starts.reshape(-1), nodes[2], *plans[2], flat)
        parallel.run(loops.synthesise_rows, parallel.even(-(-starts.size // 16), threads), *rest)
        return out
    if nodes[0] > 1:
        middle = space.take("columns", (len(starts), kept[1], inner), modes.dtype)
        columns = (nodes[0], kept[0], kept[1] * inner, *plans[0])
        blocks = parallel.even(count * kept[1] * inner // 8, threads)
        parallel.run(loops.synthesise_columns, blocks, modes.reshape(-1), *columns, middle.reshape(-1))
        modes = middle
    modes = modes.reshape(len(starts), kept[1], inner)
    if len(starts) >= 2 * threads:
        rest = (modes, starts, nodes[1:], kept[1:], plans[2], plans[1], flat)
        parallel.run(loops.synthesise_planes, parallel.even(len(starts), threads), *rest)
    else:
        rows = space.take("between", (starts.size, inner), modes.dtype)
        rest = (modes.reshape(-1), nodes[1], kept[1], inner, *plans[1], rows.reshape(-1))
        parallel.run(loops.synthesise_columns, parallel.even(len(starts) * inner // 8, threads), *rest)
        rest = (rows.reshape(-1), kept[2], starts.reshape(-1), nodes[2], *plans[2], flat)
        parallel.run(loops.synthesise_rows, parallel.even(-(-starts.size // 16), threads), *rest)
    return out


def _scipy_analyse(values: np.ndarray, grid: Grid, out: np.ndarray, threads: int) -> np.ndarray:
    """``analyse`` by SciPy."""
    from scipy import fft as scipy_fft

    first, second, last = grid.nodes
    modes = scipy_fft.rfft(values[..., :first, :second, :last], axis=-1, workers=threads)[..., : out.shape[-1]]
    for axis in (-2, -3):
        if modes.shape[axis] > 1:
            modes = scipy_fft.fft(modes, axis=axis, workers=threads)
            modes = np.take(modes, _kept_indices(out.shape[axis], modes.shape[axis]), axis=axis)
    out[...] = modes
    return out


def _scipy_synthesise(modes: np.ndarray, grid: Grid, out: np.ndarray, threads: int) -> np.ndarray:
    """``synthesise`` by SciPy."""
    from scipy import fft as scipy_fft

    first, second, last = grid.nodes
    for axis, nodes in ((-3, first), (-2, second)):
        if nodes > 1:
            shape = list(modes.shape)
            shape[axis] = nodes
            wide = np.zeros(shape, dtype=modes.dtype)
            np.moveaxis(wide, axis, 0)[_kept_indices(modes.shape[axis], nodes)] = np.moveaxis(modes, axis, 0)
            modes = scipy_fft.ifft(wide, axis=axis, workers=threads, norm="forward")
    out[..., :first, :second, :last] = scipy_fft.irfft(modes, n=last, axis=-1, workers=threads, norm="forward")
    return out


def _kept_indices(kept: int, nodes: int) -> np.ndarray:
    """Where the kept modes stand among ``nodes`` frequencies: 0, 1, …, K, −K, …, −1."""
    top = kept // 2
    return np.concatenate([np.arange(top + 1), np.arange(nodes - top, nodes)])
