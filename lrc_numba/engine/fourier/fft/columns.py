"""Transforms along the first and the second axis, for eight neighbours along the last at a time.

Along the first axis ``multiply_columns`` transforms forward and back, with the multiplier in between: the modes of a
convolution in three dimensions are never stored.

Which thread may write what: a call writes the blocks of eight columns that it is given.

The arrays that the loops share:

    part, lo, hi         the range, of outer · inner/8 blocks of eight columns
    starts (outer, length)   int64; where negative, that row (or plane) stands for zeros and is not read, or is not
                         written
    length, kept, inner  nodes and modes along the axis; numbers behind it, a multiple of 8
    radices, twiddles    from ``passes.plan``
    source, out          complex, flattened but in ``multiply_columns``
"""

from __future__ import annotations

import numpy as np

from ....machine.cpu import simd
from ....machine.cpu.compile import inlined, kernel
from .passes import LANES, transform

__all__ = ["analyse_columns", "multiply_columns", "synthesise_columns"]

WIDE = 4  # neighbouring blocks that are read and written together: they are adjacent in memory, the next row far away


@inlined
def _read(source, begin, step, starts, works, count):
    """Copy ``count`` blocks to where ``transform`` takes them; zeros where ``starts`` is negative."""
    for i in range(len(starts)):
        for q in range(count):
            work = works[q, 0]
            if starts[i] < 0:
                work[16 * i : 16 * i + 16] = 0.0
                continue
            real, imaginary = simd.load_complex(source, begin + i * step + 8 * q, LANES)
            simd.store(work, 16 * i, real)
            simd.store(work, 16 * i + 8, imaginary)


@inlined
def _write(works, out, begin, step, starts, count):
    """The inverse of ``_read``, from what ``transform`` left; nothing where ``starts`` is negative."""
    for i in range(len(starts)):
        if starts[i] < 0:
            continue
        for q in range(count):
            real, imaginary = simd.load(works[q], 16 * i, LANES), simd.load(works[q], 16 * i + 8, LANES)
            simd.store_complex(out, begin + i * step + 8 * q, real, imaginary)


@kernel
def analyse_columns(part, lo, hi, starts, length, kept, inner, radices, twiddles, source, out):
    """Blocks [lo, hi) of eight columns of ``source`` (outer, length, inner) to ``out`` (outer, kept, inner)."""
    works = np.empty((1, 2, length * 16), dtype=twiddles.dtype)
    blocks, top = inner // 8, kept // 2
    for block in range(lo, hi):
        outer, column = block // blocks, block % blocks * 8
        _read(source, outer * length * inner + column, inner, starts[outer], works, 1)
        work = works[0, transform(works[0], length, radices, twiddles, 1.0)]
        for k in range(kept):
            i = k if k <= top else length - kept + k
            real, imaginary = simd.load(work, 16 * i, LANES), simd.load(work, 16 * i + 8, LANES)
            simd.store_complex(out, (outer * kept + k) * inner + column, real, imaginary)


@kernel
def synthesise_columns(part, lo, hi, starts, length, kept, inner, radices, twiddles, source, out):
    """The transpose of ``analyse_columns``: ``source`` (outer, kept, inner) to ``out`` (outer, length, inner)."""
    works = np.empty((1, 2, length * 16), dtype=twiddles.dtype)
    blocks, top, work = inner // 8, kept // 2, works[0, 0]
    for block in range(lo, hi):
        outer, column = block // blocks, block % blocks * 8
        work[16 * (top + 1) : 16 * (length - top)] = 0.0
        for k in range(kept):
            i = k if k <= top else length - kept + k
            real, imaginary = simd.load_complex(source, (outer * kept + k) * inner + column, LANES)
            simd.store(work, 16 * i, real)
            simd.store(work, 16 * i + 8, imaginary)
        half = transform(works[0], length, radices, twiddles, -1.0)
        _write(works[:, half], out, outer * length * inner + column, inner, starts[outer], 1)


@inlined
def _multipliers(table, row, c, kept, spare):
    """Eight entries of a row of the table from c on, real and imaginary parts; beyond its end the last one."""
    start = np.uint64(row * kept)
    if c + 8 <= kept:
        return simd.load_complex(table, start + np.uint64(c), LANES)
    for lane in range(8):
        spare[lane] = table[start + np.uint64(min(c + lane, kept - 1))]
    return simd.load_complex(spare, 0, LANES)


@inlined
def _product(works, j, table, shape, o, row, c, per_channel, adjoint, factor, spare):
    """Eight modes of output channel o, from element j of the inputs, in the order of ``deconvolution.cpu.multiply``."""
    sign = spare.real.dtype.type(-1.0 if adjoint else 1.0)
    if per_channel:
        pr, pi = _multipliers(table, row, c, shape[4], spare)
        zr, zi = simd.load(works[0], 16 * j, LANES), simd.load(works[0], 16 * j + 8, LANES)
        pr, pi = pr * factor, (sign * pi) * factor
        return pr * zr - pi * zi, pr * zi + pi * zr
    real, imaginary = simd.zero(works, LANES), simd.zero(works, LANES)
    for i in range(len(works)):
        entry = i * shape[1] + o if adjoint else o * shape[1] + i
        pr, pi = _multipliers(table, entry * shape[2] * shape[3] + row, c, shape[4], spare)
        zr, zi = simd.load(works[i], 16 * j, LANES), simd.load(works[i], 16 * j + 8, LANES)
        pi = sign * pi
        real, imaginary = real + (pr * zr - pi * zi), imaginary + (pr * zi + pi * zr)
    return real * factor, imaginary * factor


@inlined
def _multiply(works, product, table, shape, corrections, block, options, spares):
    """Eight columns of one output: kept modes of the inputs times multiplier and corrections, the others zero."""
    (column, o, inner), (per_channel, adjoint), (lasts, spare) = block, options, spares
    b, c, kept, top = column // inner, column % inner, shape[2], shape[2] // 2
    length = len(product) // 16
    for lane in range(8):
        lasts[lane] = corrections[2][min(c + lane, shape[4] - 1)]
    last = simd.load(lasts, 0, LANES)
    product[16 * (top + 1) : 16 * (length - top)] = 0.0
    for k in range(kept):
        j, row = k if k <= top else length - kept + k, k * shape[3] + b
        factor = (corrections[0][k] * corrections[1][b]) * last
        real, imaginary = _product(works, j, table, shape, o, row, c, per_channel, adjoint, factor, spare)
        simd.store(product, 16 * j, real)
        simd.store(product, 16 * j + 8, imaginary)


@inlined
def _add_powers(work, column, inner, powers):
    """Add the squares of eight columns of kept modes to ``powers`` (m, m, m)."""
    b, c, kept, top, length = column // inner, column % inner, len(powers), len(powers) // 2, len(work) // 16
    for k in range(kept):
        j = k if k <= top else length - kept + k
        for lane in range(min(8, powers.shape[2] - c)):
            real, imaginary = work[16 * j + lane], work[16 * j + 8 + lane]
            powers[k, b, c + lane] += real * real + imaginary * imaginary


@kernel
def multiply_columns(
    part,
    lo,
    hi,
    starts,
    starts_back,
    radices,
    twiddles,
    source,
    table,
    corrections,
    per_channel,
    adjoint,
    channels,
    powers,
    out,
):
    """``analyse_columns``, ``deconvolution.cpu.multiply`` and ``synthesise_columns`` along the first axis at once.

    Parameters
    ----------
    part, lo, hi : int
        The range, of B · modes · inner/8 blocks, all channels of a block at once.
    starts, starts_back : (B · C, length) and (B · C′, length) int64
        Negative for planes that stand for zeros and are not read, and for those that are not written.
    radices, twiddles
        From ``passes.plan``.
    source : (B, C, length, modes, inner) complex
        Read; inner is the number of modes per row, rounded up to a multiple of 8.
    table, corrections, per_channel, adjoint, channels
        Those of ``deconvolution.cpu.multiply``.
    powers : (B or 0, m, m, m) float
        Where it is not empty, |z|² of the kept modes z before they are multiplied is added to it, all channels
        together; with a multiplier ``per_channel``.
    out : (B, C′, length, modes, inner) complex
        Written; may be ``source`` where the channels read are those written.
    """
    read, inputs, write, outputs = channels
    length, step = source.shape[2], source.shape[3] * source.shape[4]
    works = np.empty((1 if per_channel else inputs, WIDE, 2, length * 16), dtype=twiddles.dtype)
    products = np.empty((WIDE, 2, length * 16), dtype=twiddles.dtype)
    spares = np.zeros(8, dtype=twiddles.dtype), np.zeros(8, dtype=table.dtype)
    flat, flat_out, flat_table = source.reshape(-1), out.reshape(-1), table.reshape(-1)
    options = per_channel, adjoint
    block = lo
    while block < hi:
        snapshot, column = block // (step // 8), 8 * (block % (step // 8))
        count = min(WIDE, hi - block, (step - column) // 8)
        first, first_out = snapshot * source.shape[1] + read, snapshot * out.shape[1] + write
        half = half_back = 0  # of the work arrays, with the result of a transform
        for channel in range(outputs if per_channel else 1):  # one channel after the other, or all of them at once
            for i in range(len(works)):
                grid = first + channel + i
                _read(flat, grid * length * step + column, step, starts[grid], works[i], count)
                for q in range(count):
                    half = transform(works[i, q], length, radices, twiddles, 1.0)
            for o in range(channel, channel + 1 if per_channel else outputs):
                for q in range(count):
                    eight, modes, product = (column + 8 * q, o, source.shape[4]), works[:, q, half], products[q, 0]
                    if len(powers) > 0:
                        _add_powers(modes[0], column + 8 * q, source.shape[4], powers[snapshot])
                    _multiply(modes, product, flat_table, table.shape, corrections, eight, options, spares)
                    half_back = transform(products[q], length, radices, twiddles, -1.0)
                begin = (first_out + o) * length * step + column
                _write(products[:, half_back], flat_out, begin, step, starts_back[first_out + o], count)
        block += count
