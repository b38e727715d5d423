"""Grid ↔ modes, one axis at a time, keeping only the modes that are kept: after the last axis less than half of the
grid is left, after the next a quarter, after the first an eighth.

Rows are the last axis, real on the grid: sixteen at a time, eight as real and eight as imaginary parts of eight
complex signals, taken apart by symmetry afterwards. Rounding in one of a pair depends on the other, so it is always the
same sixteen rows of a plane that go together, whoever does them. ``columns`` are the other axes. Both are the
transforms of ``passes``.

The padding of rows is folded in as they are read, and filled as they are written: the caches have them then, and a pass
of its own went through the whole grid for the two ends of every row.

Which thread may write what: a call of ``*_rows`` writes the rows, of ``*_planes`` the planes that it is given.

Tried and lost: asking for the rows of the next sixteen while these are transformed.
"""

from __future__ import annotations

import numpy as np

from ....machine.cpu import simd
from ....machine.cpu.compile import inlined, kernel
from ....machine.cpu.lanes import SIDE
from .columns import analyse_columns, synthesise_columns
from .passes import LANES, eight, places, transform

__all__ = ["analyse_planes", "analyse_rows", "synthesise_planes", "synthesise_rows"]


@kernel
def analyse_rows(part, lo, hi, starts, pair, length, ends, kept, radices, twiddles, grid, out):
    """Rows of the grid, with their padding folded in, to their lowest ``kept`` modes.

    Parameters
    ----------
    part, lo, hi : int
        The range, in sixteens of rows: those of the first plane, of the next, …
    starts : (planes, rows) int64
        Where each row begins; −1 for sixteens that are left out.
    pair : int
        How many channels lie side by side, 1 or 2 (``simd_pairs``).
    length, ends, kept : int
        Nodes per row, nodes of padding after them, and modes.
    radices, twiddles
        From ``passes.plan``.
    grid : 1-D array
        Padded grids, flattened; at least seven numbers follow every row and its padding.
    out : (planes · rows · inner,) complex
        Written; inner is ``kept`` rounded up to a multiple of 8, what is beyond ``kept`` means nothing.
    """
    work = np.zeros((2, (length + ends + 16) * 16), dtype=grid.dtype)
    block, turned = np.empty((4, 64), dtype=grid.dtype), np.empty((4, 64), dtype=grid.dtype)
    rows, half, inner, gap = starts.shape[1], grid.dtype.type(0.5), (kept + 7) // 8 * 8, SIDE * (pair - 1)
    groups = (rows + 15) // 16
    for group in range(lo, hi):
        plane, row = group // groups, 16 * (group % groups)
        if starts[plane, row] < 0:
            continue
        for i in range(0, length + ends, 8):
            simd.copy_transposed(grid, places(starts[plane], row, pair * i), gap, work[0], eight(16 * i, 16), 0)
            simd.copy_transposed(grid, places(starts[plane], row + 8, pair * i), gap, work[0], eight(16 * i + 8, 16), 0)
        for i in range(16 * length, 16 * (length + ends), 8):
            at = i % (16 * length)
            simd.store(work[0], at, simd.load(work[0], at, LANES) + simd.load(work[0], i, LANES))
        z = work[transform(work, length, radices, twiddles, 1.0)]
        for first in range(0, inner, 8):
            for j in range(8):
                # The modes of two real rows a, b from those of a + ib: A = (Z_k + Z̄_−k)/2, B = (Z_k − Z̄_−k)/2i.
                k = first + j
                mirrored = (length - k) % length
                zr, zi = simd.load(z, 16 * k, LANES), simd.load(z, 16 * k + 8, LANES)
                yr, yi = simd.load(z, 16 * mirrored, LANES), simd.load(z, 16 * mirrored + 8, LANES)
                simd.store(block[0], 8 * j, half * (zr + yr))
                simd.store(block[1], 8 * j, half * (zi - yi))
                simd.store(block[2], 8 * j, half * (zi + yi))
                simd.store(block[3], 8 * j, half * (yr - zr))
            for q in range(4):
                simd.copy_transposed(block[q], eight(0, 8), 0, turned[q], eight(0, 8), 0)
            for lane in range(min(16, rows - row)):
                q, at = 2 * (lane // 8), 8 * (lane % 8)
                real, imaginary = simd.load(turned[q], at, LANES), simd.load(turned[q + 1], at, LANES)
                simd.store_complex(out, (plane * rows + row + lane) * inner + first, real, imaginary)


@kernel
def synthesise_rows(part, lo, hi, starts, pair, length, ends, kept, radices, twiddles, modes, grid):
    """Rows of modes to rows of the grid and their padding, the modes −k included: the transpose of ``analyse_rows``
    but for a factor 2.

    Parameters
    ----------
    part, lo, hi, starts, pair, length, ends, kept, radices, twiddles
        As for ``analyse_rows``.
    modes : (planes · rows · inner,) complex
        Read.
    grid : 1-D array
        Written, up to seven numbers beyond every row and its padding.
    """
    work = np.zeros((2, (length + ends + 16) * 16), dtype=grid.dtype)
    block, turned = np.empty((4, 64), dtype=grid.dtype), np.empty((4, 64), dtype=grid.dtype)
    rows, inner, gap = starts.shape[1], (kept + 7) // 8 * 8, SIDE * (pair - 1)
    groups = (rows + 15) // 16
    for group in range(lo, hi):
        plane, row = group // groups, 16 * (group % groups)
        if starts[plane, row] < 0:
            continue
        z = work[0]
        z[16 * kept : 16 * (length - kept + 1)] = 0.0
        for first in range(0, inner, 8):
            for lane in range(16):
                q, at = 2 * (lane // 8), 8 * (lane % 8)
                at_row = plane * rows + min(row + lane, rows - 1)
                real, imaginary = simd.load_complex(modes, at_row * inner + first, LANES)
                simd.store(block[q], at, real)
                simd.store(block[q + 1], at, imaginary)
            for q in range(4):
                simd.copy_transposed(block[q], eight(0, 8), 0, turned[q], eight(0, 8), 0)
            for j in range(min(8, kept - first)):
                k = first + j
                ar, ai = simd.load(turned[0], 8 * j, LANES), simd.load(turned[1], 8 * j, LANES)
                br, bi = simd.load(turned[2], 8 * j, LANES), simd.load(turned[3], 8 * j, LANES)
                if k == 0:  # the mode 0 of a real row is real; what else is there has no effect
                    simd.store(z, 0, ar)
                    simd.store(z, 8, br)
                else:
                    simd.store(z, 16 * k, ar - bi)
                    simd.store(z, 16 * k + 8, ai + br)
                    simd.store(z, 16 * (length - k), ar + bi)
                    simd.store(z, 16 * (length - k) + 8, br - ai)
        result = work[transform(work, length, radices, twiddles, -1.0)]
        for i in range(16 * length, 16 * (length + ends), 8):
            simd.store(result, i, simd.load(result, i % (16 * length), LANES))
        for i in range(0, length + ends, 8):
            simd.copy_transposed(result, eight(16 * i, 16), 0, grid, places(starts[plane], row, pair * i), gap)
            simd.copy_transposed(result, eight(16 * i + 8, 16), 0, grid, places(starts[plane], row + 8, pair * i), gap)


@inlined
def _reached(starts, plane):
    """Whether any row of a plane is there; what arrays know of maxima takes longer to compile."""
    last = np.int64(-1)
    for row in range(starts.shape[1]):
        last = max(last, starts[plane, row])
    return last >= 0


@kernel
def analyse_planes(part, lo, hi, order, starts, pair, lengths, ends, kept, row_plan, column_plan, grid, out):
    """Rows, then columns of planes [lo, hi), a plane at a time, so that what is between them stays in the cache.

    Parameters
    ----------
    part, lo, hi : int
        The range.
    order : (planes,) int64
        Which plane comes when: those of a pair of channels one after the other, as they have their lines in common.
    starts : (planes, rows) int64
        Where each row begins; −1 for sixteens that are left out, and a plane of them is not written.
    pair : int
        As for ``analyse_rows``.
    lengths, ends, kept : (int, int), int, (int, int)
        Nodes per column and row, nodes of padding after a row, and modes per column and row.
    row_plan, column_plan
        From ``passes.plan``.
    grid : 1-D array
        Padded grids, flattened.
    out : (planes, modes, inner) complex
        Written; inner is the number of modes per row, rounded up to a multiple of 8.
    """
    inner = out.shape[2]
    plane = np.zeros((lengths[0], inner), dtype=out.dtype)
    flat, groups = plane.reshape(-1), (lengths[0] + 15) // 16
    for place in range(lo, hi):
        p = order[place]
        if not _reached(starts, p):
            continue
        rows = (starts[p : p + 1], pair, lengths[1], ends, kept[1], row_plan[0], row_plan[1])
        analyse_rows(0, 0, groups, *rows, grid, flat)
        columns = (starts[p : p + 1], lengths[0], kept[0], inner, column_plan[0], column_plan[1])
        analyse_columns(0, 0, inner // 8, *columns, flat, out[p].reshape(-1))


@kernel
def synthesise_planes(part, lo, hi, order, starts, pair, lengths, ends, kept, row_plan, column_plan, modes, grid):
    """The transpose of ``analyse_planes``.

    Parameters
    ----------
    part, lo, hi, order, starts, pair, lengths, ends, kept, row_plan, column_plan
        As for ``analyse_planes``.
    modes : (planes, modes, inner) complex
        Read.
    grid : 1-D array
        Written.
    """
    inner = modes.shape[2]
    plane = np.empty((lengths[0], inner), dtype=modes.dtype)
    flat, groups = plane.reshape(-1), (lengths[0] + 15) // 16
    for place in range(lo, hi):
        p = order[place]
        if not _reached(starts, p):
            continue
        columns = (starts[p : p + 1], lengths[0], kept[0], inner, column_plan[0], column_plan[1])
        synthesise_columns(0, 0, inner // 8, *columns, modes[p].reshape(-1), flat)
        rows = (starts[p : p + 1], pair, lengths[1], ends, kept[1], row_plan[0], row_plan[1])
        synthesise_rows(0, 0, groups, *rows, flat, grid)
