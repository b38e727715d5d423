"""Real transforms of lines, eight at a time, each independent of the others: no line affects the rounding of another.

A line of n real numbers, n even, is n/2 complex ones: even entries are real parts, odd ones imaginary parts. So
eight lines side by side are already in the order that ``passes.transform`` works on. The modes of the line are put
together from those of its halves, E of the even and O of the odd entries: X_k = E_k + e^{−2πik/n} O_k.

Which thread may write what: a call writes the lines of its groups of eight.

The arrays that both loops share:

    part, lo, hi         the range, in groups of eight lines
    starts (lines,)      int64, index where each line begins in ``grid``
    length               nodes of a line
    radices, twiddles, phases   from ``plan``
    grid                 1-D, the lines; at least seven numbers follow each of them
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ....machine.cpu import simd
from ....machine.cpu.compile import kernel
from ....machine.cpu.indices import evenly_spaced, row_indices
from ...grid.sizes import LONGEST_LINE
from . import passes
from .passes import LANES, transform

__all__ = ["LONGEST_LINE", "analyse_lines", "plan", "synthesise_lines"]


@lru_cache(maxsize=256)
def plan(length: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Radices and twiddle factors of the transform of half the length, and e^{−2πik/length} for k < length/2.

    Raises ValueError for an odd length, or one with a prime factor above 5.

    Parameters
    ----------
    length : int
        Of a line.
    dtype : dtype
        float64 or float32, of the tables.
    """
    if length % 2:
        raise ValueError(f"length: expected an even number, got {length}")
    angle = -2 * np.pi * np.arange(length // 2) / length
    phases = np.stack([np.cos(angle), np.sin(angle)], axis=-1).ravel().astype(dtype)
    return *passes.plan(length // 2, dtype), phases


@kernel
def analyse_lines(part, lo, hi, starts, length, radices, twiddles, phases, grid, out):
    """Lines of the grid to their lowest modes: ``out`` (lines, modes) complex, at most length/2 modes."""
    work = np.empty((2, length * 8 + 128), dtype=grid.dtype)
    half = grid.dtype.type(0.5)
    for group in range(lo, hi):
        for i in range(0, length, 8):
            simd.copy_transposed(grid, row_indices(starts, 8 * group, i), 0, work[0], evenly_spaced(8 * i, 8), 0)
        half_of_work = transform(work, length // 2, radices, twiddles, 1.0)
        z, x = work[half_of_work], work[1 - half_of_work]
        for k in range(out.shape[1]):
            # Of n/2 complex numbers a + ib with real a, b: E = (Z_k + Z̄_−k)/2, O = (Z_k − Z̄_−k)/2i.
            mirrored = length // 2 - k if k > 0 else 0
            zr, zi = simd.load(z, 16 * k, LANES), simd.load(z, 16 * k + 8, LANES)
            yr, yi = simd.load(z, 16 * mirrored, LANES), simd.load(z, 16 * mirrored + 8, LANES)
            even_r, even_i, odd_r, odd_i = zr + yr, zi - yi, zi + yi, yr - zr
            c, s = half * phases[2 * k], half * phases[2 * k + 1]
            simd.store(x, 16 * k, simd.fma(c, odd_r, simd.fma(-s, odd_i, half * even_r)))
            simd.store(x, 16 * k + 8, simd.fma(c, odd_i, simd.fma(s, odd_r, half * even_i)))
        for line in range(8 * group, min(8 * group + 8, len(out))):
            for k in range(out.shape[1]):
                index = 16 * k + line - 8 * group
                out[line, k] = complex(x[index], x[index + 8])


@kernel
def synthesise_lines(part, lo, hi, starts, length, radices, twiddles, phases, modes, grid):
    """Modes to lines of the grid, the modes −k included: the transpose of ``analyse_lines`` where all are counted.

    ``modes`` (lines, modes) complex are read; an imaginary part of mode 0 has no effect.
    """
    work, last, kept = np.empty((2, length * 8 + 128), dtype=grid.dtype), len(modes) - 1, modes.shape[1]
    z, x = work[0], work[1]
    for group in range(lo, hi):
        for lane in range(8):
            line = min(8 * group + lane, last)
            for k in range(kept):
                x[16 * k + lane], x[16 * k + 8 + lane] = modes[line, k].real, modes[line, k].imag
            x[8 + lane] = 0.0
        for k in range(length // 2):
            # Z_k = (X_k + X̄_n/2−k) + i e^{2πik/n} (X_k − X̄_n/2−k), the modes of even and of odd entries
            mirrored = length // 2 - k
            ar, ai = simd.zero(grid, LANES), simd.zero(grid, LANES)
            br, bi = simd.zero(grid, LANES), simd.zero(grid, LANES)
            if k < kept:
                ar, ai = simd.load(x, 16 * k, LANES), simd.load(x, 16 * k + 8, LANES)
            if mirrored < kept:
                br, bi = simd.load(x, 16 * mirrored, LANES), simd.load(x, 16 * mirrored + 8, LANES)
            c, s = phases[2 * k], phases[2 * k + 1]
            simd.store(z, 16 * k, simd.fma(s, ar - br, simd.fma(-c, ai + bi, ar + br)))
            simd.store(z, 16 * k + 8, simd.fma(s, ai + bi, simd.fma(c, ar - br, ai - bi)))
        result = work[transform(work, length // 2, radices, twiddles, -1.0)]
        for i in range(0, length, 8):
            simd.copy_transposed(result, evenly_spaced(8 * i, 8), 0, grid, row_indices(starts, 8 * group, i), 0)
