r"""Products of the rows of a layer with its weights, for a few rows at a time; used by ``chain``.

Products hold a tile of four rows and sixteen columns in registers; narrower ones go row by row in eights or fours, and
those of the first layers of a pyramid are written out plainly. Every number has one order of adding up, whatever
the tiles. Arrays are flattened, row by row.
"""

from __future__ import annotations

from ...machine.cpu import simd
from ...machine.cpu.compile import inlined

__all__ = ["add", "add_outer", "add_product", "add_rows", "repeat", "start"]

SIXTEEN, EIGHT, FOUR = (0,) * 16, (0,) * 8, (0,) * 4


@inlined
def _tile(p, out, q, left, n_in, weight, c, n_out):
    """Four rows from out[p] and left[q] on, and sixteen columns from c on, of out += left · weight."""
    row_0, row_1 = simd.load(out, p, SIXTEEN), simd.load(out, p + n_out, SIXTEEN)
    row_2, row_3 = simd.load(out, p + 2 * n_out, SIXTEEN), simd.load(out, p + 3 * n_out, SIXTEEN)
    for k in range(n_in):
        line = simd.load(weight, k * n_out + c, SIXTEEN)
        row_0 = simd.fma(left[q + k], line, row_0)
        row_1 = simd.fma(left[q + n_in + k], line, row_1)
        row_2 = simd.fma(left[q + 2 * n_in + k], line, row_2)
        row_3 = simd.fma(left[q + 3 * n_in + k], line, row_3)
    _store_tile(out, p, n_out, row_0, row_1, row_2, row_3)


@inlined
def _store_tile(out, p, n_out, row_0, row_1, row_2, row_3):
    simd.store(out, p, row_0)
    simd.store(out, p + n_out, row_1)
    simd.store(out, p + 2 * n_out, row_2)
    simd.store(out, p + 3 * n_out, row_3)


@inlined
def add_product(rows, left, at, n_in, weight, n_out, out, to):
    """out += left · weight, row by row.

    Parameters
    ----------
    rows : int
        How many.
    left : (· n_in,)
        Rows from ``at`` on.
    at, n_in, n_out, to : int
        Offsets of the first rows, and widths.
    weight : (n_in · n_out,)
        Row by row.
    out : (· n_out,)
        Rows from ``to`` on, added to.
    """
    if n_out == 1 and n_in % 8 == 0:
        for r in range(rows):
            line = simd.zero(out, EIGHT)
            for k in range(0, n_in, 8):
                line = simd.fma(simd.load(left, at + r * n_in + k, EIGHT), simd.load(weight, k, EIGHT), line)
            out[to + r] += simd.total(line)
        return
    if n_out == 4:
        for r in range(rows):
            quad = simd.load(out, to + 4 * r, FOUR)
            for k in range(n_in):
                quad = simd.fma(left[at + r * n_in + k], simd.load(weight, 4 * k, FOUR), quad)
            simd.store(out, to + 4 * r, quad)
        return
    if n_out % 8:
        for r in range(rows):
            for k in range(n_in):
                for o in range(n_out):
                    out[to + r * n_out + o] += left[at + r * n_in + k] * weight[k * n_out + o]
        return
    whole, sixteens = rows // 4 * 4, n_out // 16 * 16
    for c in range(0, sixteens, 16):
        for r in range(0, whole, 4):
            _tile(to + r * n_out + c, out, at + r * n_in, left, n_in, weight, c, n_out)
    for r in range(rows):
        for c in range(sixteens if r < whole else 0, n_out, 8):
            line = simd.load(out, to + r * n_out + c, EIGHT)
            for k in range(n_in):
                line = simd.fma(left[at + r * n_in + k], simd.load(weight, k * n_out + c, EIGHT), line)
            simd.store(out, to + r * n_out + c, line)


@inlined
def add_outer(rows, left, at, n_in, right, n_out, out):
    """out[k, o] += Σ_r left[r, k] right[r, o].

    Parameters
    ----------
    rows : int
        How many.
    left : (· n_in,)
        Rows from ``at`` on.
    at, n_in, n_out : int
        Offset of the first row, and widths.
    right : (rows · n_out,) or longer
        Rows from 0 on.
    out : (n_in · n_out,)
        Added to.
    """
    if n_out == 1 and n_in % 8 == 0:
        for k in range(0, n_in, 8):
            line = simd.load(out, k, EIGHT)
            for r in range(rows):
                line = simd.fma(right[r], simd.load(left, at + r * n_in + k, EIGHT), line)
            simd.store(out, k, line)
        return
    if n_out == 4:
        for k in range(n_in):
            quad = simd.load(out, 4 * k, FOUR)
            for r in range(rows):
                quad = simd.fma(left[at + r * n_in + k], simd.load(right, 4 * r, FOUR), quad)
            simd.store(out, 4 * k, quad)
        return
    if n_out % 8 or n_in % 4:
        for r in range(rows):
            for k in range(n_in):
                for o in range(n_out):
                    out[k * n_out + o] += left[at + r * n_in + k] * right[r * n_out + o]
        return
    sixteens = n_out // 16 * 16
    for k in range(0, n_in, 4):
        for c in range(0, sixteens, 16):
            _outer_tile(rows, left, at + k, n_in, right, c, n_out, out, k * n_out + c)
        for c in range(sixteens, n_out, 8):
            for j in range(k, k + 4):
                line = simd.load(out, j * n_out + c, EIGHT)
                for r in range(rows):
                    line = simd.fma(left[at + r * n_in + j], simd.load(right, r * n_out + c, EIGHT), line)
                simd.store(out, j * n_out + c, line)


@inlined
def _outer_tile(rows, left, q, n_in, right, c, n_out, out, p):
    """Four rows from out[p] on, sixteen columns, of out += leftᵀ · right; the columns of left from left[q] on."""
    row_0, row_1 = simd.load(out, p, SIXTEEN), simd.load(out, p + n_out, SIXTEEN)
    row_2, row_3 = simd.load(out, p + 2 * n_out, SIXTEEN), simd.load(out, p + 3 * n_out, SIXTEEN)
    for r in range(rows):
        line, x = simd.load(right, r * n_out + c, SIXTEEN), q + r * n_in
        row_0 = simd.fma(left[x], line, row_0)
        row_1 = simd.fma(left[x + 1], line, row_1)
        row_2 = simd.fma(left[x + 2], line, row_2)
        row_3 = simd.fma(left[x + 3], line, row_3)
    _store_tile(out, p, n_out, row_0, row_1, row_2, row_3)


@inlined
def add_rows(rows, values, n_out, out):
    """out[o] += Σ_r values[r, o].

    Parameters
    ----------
    rows, n_out : int
        How many, and their width.
    values : (rows · n_out,) or longer
        Read.
    out : (n_out,)
        Added to.
    """
    if n_out % 8:
        for r in range(rows):
            for o in range(n_out):
                out[o] += values[r * n_out + o]
        return
    for o in range(0, n_out, 8):
        line = simd.load(out, o, EIGHT)
        for r in range(rows):
            line = line + simd.load(values, r * n_out + o, EIGHT)
        simd.store(out, o, line)


@inlined
def repeat(rows, values, out, to):
    """Copy one row ``rows`` times, from out[to] on.

    Parameters
    ----------
    rows : int
        How many times.
    values : (width,)
        The row.
    out : 1-D array
        Written.
    to : int
        Where.
    """
    width = len(values)
    for r in range(rows):
        if width % 8:
            for o in range(width):
                out[to + r * width + o] = values[o]
        else:
            for o in range(0, width, 8):
                simd.store(out, to + r * width + o, simd.load(values, o, EIGHT))


@inlined
def add(left, right, out):
    """out = left + right.

    Parameters
    ----------
    left, right : (n,) arrays
        Read.
    out : (n,) array
        Written.
    """
    for i in range(len(out)):
        out[i] = left[i] + right[i]


@inlined
def start(up, skips, below):
    """Initialise what a product is added to: ā where the layer skips, else zeros.

    Parameters
    ----------
    up : 1-D array, at least as long as ``below`` where the layer skips
        ā.
    skips : bool
        Whether it does.
    below : 1-D array
        Written.
    """
    if skips:
        for i in range(len(below)):
            below[i] = up[i]
    else:
        for i in range(len(below)):
            below[i] = 0
