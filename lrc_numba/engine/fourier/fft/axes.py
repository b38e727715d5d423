"""Grid ↔ modes, one axis at a time, keeping only the modes that are kept: after the last axis less than half of the
grid is left, after the next a quarter, after the first an eighth.

Rows are the last axis, real on the grid: sixteen at a time, eight as real and eight as imaginary parts of eight
complex signals, separated by symmetry afterwards. Rounding in a real part depends on the imaginary one, so the same
sixteen rows of a plane are always transformed together, on any number of threads. ``columns`` are the other axes. Both
use the transforms of ``passes``.

The padding of rows is folded in as they are read and filled as they are written, while they are in a cache: a separate
pass would read the whole grid for the two ends of every row.

Which thread may write what: a call of ``*_rows`` writes the rows, of ``*_planes`` the planes that it is given.

The arrays that the loops share; see NOTES.md for what was tried and lost:

    part, lo, hi         the range, in groups of sixteen rows: those of the first plane, of the next, …; or of planes
    starts (planes, rows)   int64, index where each row begins in ``grid``; −1 for the rows of groups that are left out
    order (planes,)      int64, in which order planes are transformed: those of interleaved channels, which share cache
                         lines, one after the other
    n_interleaved        channels interleaved on the grid, 1 or 2
    length, ends, kept   nodes per row, nodes of padding after them, and modes per row; in planes ``lengths``, ``kept``
                         are pairs, of a column and of a row
    radices, twiddles    from ``passes.plan``; also as ``row_plan`` and ``column_plan``
    grid                 1-D, padded grids, flattened; at least seven numbers follow every row and its padding
    inner                ``kept`` modes of a row rounded up to a multiple of 8; what is beyond ``kept`` is undefined
"""

from __future__ import annotations

import numpy as np

from ....machine.cpu import simd
from ....machine.cpu.compile import inlined, kernel
from ....machine.cpu.indices import evenly_spaced, row_indices
from ....machine.cpu.lanes import SIDE
from .columns import analyse_columns, synthesise_columns
from .passes import LANES, transform

__all__ = ["analyse_planes", "analyse_rows", "synthesise_planes", "synthesise_rows"]


@kernel
def analyse_rows(part, lo, hi, starts, n_interleaved, length, ends, kept, radices, twiddles, grid, out):
    """Rows of the grid, with their padding folded in, to their lowest ``kept`` modes.

    ``out`` (planes · rows · inner,) complex is written.
    """
    work = np.zeros((2, (length + ends + 16) * 16), dtype=grid.dtype)
    block, transposed = np.empty((4, 64), dtype=grid.dtype), np.empty((4, 64), dtype=grid.dtype)
    rows, half, inner, gap = starts.shape[1], grid.dtype.type(0.5), (kept + 7) // 8 * 8, SIDE * (n_interleaved - 1)
    groups = (rows + 15) // 16
    for group in range(lo, hi):
        plane, row = group // groups, 16 * (group % groups)
        if starts[plane, row] < 0:
            continue
        for i in range(0, length + ends, 8):
            for lane in (0, 8):
                indices = row_indices(starts[plane], row + lane, n_interleaved * i)
                simd.copy_transposed(grid, indices, gap, work[0], evenly_spaced(16 * i + lane, 16), 0)
        for i in range(16 * length, 16 * (length + ends), 8):
            node = i % (16 * length)
            simd.store(work[0], node, simd.load(work[0], node, LANES) + simd.load(work[0], i, LANES))
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
                simd.copy_transposed(block[q], evenly_spaced(0, 8), 0, transposed[q], evenly_spaced(0, 8), 0)
            for lane in range(min(16, rows - row)):
                q, index = 2 * (lane // 8), 8 * (lane % 8)
                real, imaginary = simd.load(transposed[q], index, LANES), simd.load(transposed[q + 1], index, LANES)
                simd.store_complex(out, (plane * rows + row + lane) * inner + first, real, imaginary)


@kernel
def synthesise_rows(part, lo, hi, starts, n_interleaved, length, ends, kept, radices, twiddles, modes, grid):
    """Rows of modes to rows of the grid and their padding, the modes −k included.

    The transpose of ``analyse_rows`` but for a factor 2. ``modes`` (planes · rows · inner,) complex are read; ``grid``
    is written up to seven numbers beyond every row and its padding.
    """
    work = np.zeros((2, (length + ends + 16) * 16), dtype=grid.dtype)
    block, transposed = np.empty((4, 64), dtype=grid.dtype), np.empty((4, 64), dtype=grid.dtype)
    rows, inner, gap = starts.shape[1], (kept + 7) // 8 * 8, SIDE * (n_interleaved - 1)
    groups = (rows + 15) // 16
    for group in range(lo, hi):
        plane, row = group // groups, 16 * (group % groups)
        if starts[plane, row] < 0:
            continue
        z = work[0]
        z[16 * kept : 16 * (length - kept + 1)] = 0.0
        for first in range(0, inner, 8):
            for lane in range(16):
                q, index = 2 * (lane // 8), 8 * (lane % 8)
                source_row = plane * rows + min(row + lane, rows - 1)
                real, imaginary = simd.load_complex(modes, source_row * inner + first, LANES)
                simd.store(block[q], index, real)
                simd.store(block[q + 1], index, imaginary)
            for q in range(4):
                simd.copy_transposed(block[q], evenly_spaced(0, 8), 0, transposed[q], evenly_spaced(0, 8), 0)
            for j in range(min(8, kept - first)):
                k = first + j
                ar, ai = simd.load(transposed[0], 8 * j, LANES), simd.load(transposed[1], 8 * j, LANES)
                br, bi = simd.load(transposed[2], 8 * j, LANES), simd.load(transposed[3], 8 * j, LANES)
                if k == 0:  # the mode 0 of a real row is real; an imaginary part has no effect
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
            for lane in (0, 8):
                indices = row_indices(starts[plane], row + lane, n_interleaved * i)
                simd.copy_transposed(result, evenly_spaced(16 * i + lane, 16), 0, grid, indices, gap)


@inlined
def _reached(starts, plane):
    """Whether any row of a plane is transformed; ``starts[plane].max()`` takes longer to compile."""
    last = np.int64(-1)
    for row in range(starts.shape[1]):
        last = max(last, starts[plane, row])
    return last >= 0


@kernel
def analyse_planes(part, lo, hi, order, starts, n_interleaved, lengths, ends, kept, row_plan, column_plan, grid, out):
    """Rows, then columns of the planes ``order[lo:hi]``, a plane at a time, so that it stays in the cache in between.

    ``out`` (planes, modes, inner) complex is written, but not for planes without a row.
    """
    inner = out.shape[2]
    plane = np.zeros((lengths[0], inner), dtype=out.dtype)
    flat, groups = plane.reshape(-1), (lengths[0] + 15) // 16
    for position in range(lo, hi):
        p = order[position]
        if not _reached(starts, p):
            continue
        rows = (starts[p : p + 1], n_interleaved, lengths[1], ends, kept[1], row_plan[0], row_plan[1])
        analyse_rows(0, 0, groups, *rows, grid, flat)
        columns = (starts[p : p + 1], lengths[0], kept[0], inner, column_plan[0], column_plan[1])
        analyse_columns(0, 0, inner // 8, *columns, flat, out[p].reshape(-1))


@kernel
def synthesise_planes(
    part, lo, hi, order, starts, n_interleaved, lengths, ends, kept, row_plan, column_plan, modes, grid
):
    """The transpose of ``analyse_planes``: ``modes`` (planes, modes, inner) complex to ``grid``."""
    inner = modes.shape[2]
    plane = np.empty((lengths[0], inner), dtype=modes.dtype)
    flat, groups = plane.reshape(-1), (lengths[0] + 15) // 16
    for position in range(lo, hi):
        p = order[position]
        if not _reached(starts, p):
            continue
        columns = (starts[p : p + 1], lengths[0], kept[0], inner, column_plan[0], column_plan[1])
        synthesise_columns(0, 0, inner // 8, *columns, modes[p].reshape(-1), flat)
        rows = (starts[p : p + 1], n_interleaved, lengths[1], ends, kept[1], row_plan[0], row_plan[1])
        synthesise_rows(0, 0, groups, *rows, flat, grid)
