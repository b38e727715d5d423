r"""Products of the columns of a block of rows with the weights of a layer; used by ``chain``.

A block is held column by column: the numbers of one column, one for each row, lie side by side, ``width`` of them, so
that a vector holds the same column of several rows. So layers of any width, also of one or two numbers, fill vectors
and need no tail.

Products hold tiles of columns and rows in registers. Every number has one order of adding up, whatever the tiles.
"""

from __future__ import annotations

from ...machine.cpu import simd, simd_lanes
from ...machine.cpu.compile import inlined
from ...machine.cpu.indices import evenly_spaced

__all__ = ["LONG", "add", "add_outer", "add_product", "add_rows", "fill", "gather", "scatter", "start", "width_of"]

LONG, SHORT = 128, 64  # bytes of vectors: of products, which are several registers long, and of sums over rows


@inlined
def width_of(rows, values):
    """Rows as a multiple of the longer vectors.

    Parameters
    ----------
    rows : int
        Of a block.
    values : array
        Has the dtype.
    """
    long = len(simd_lanes.lanes(values, LONG))
    return (rows + long - 1) // long * long


@inlined
def gather(rows, values, at, n, out, p, width):
    """The columns of some rows, zeros beyond the last of them.

    Parameters
    ----------
    rows : int
        How many.
    values : (· n,)
        Row by row, from ``at`` on.
    at, n : int
        Offset of the first row, and numbers in a row.
    out : 1-D array
        Columns from ``p`` on, written.
    p, width : int
        Offset, and the length of a column.
    """
    for k in range(n):
        for r in range(rows, width):
            out[p + k * width + r] = 0
    if n == 1:
        for r in range(rows):
            out[p + r] = values[at + r]
        return
    whole = rows // 8 * 8 if n % 8 == 0 else 0
    for r in range(0, whole, 8):
        for k in range(0, n, 8):
            begin = evenly_spaced(at + r * n + k, n)
            simd.copy_transposed(values, begin, 0, out, evenly_spaced(p + k * width + r, width), 0)
    for r in range(whole, rows):
        for k in range(n):
            out[p + k * width + r] = values[at + r * n + k]


@inlined
def scatter(rows, values, p, width, n, out, at):
    """The inverse of ``gather``.

    Parameters
    ----------
    rows, p, width, n, at
        As for ``gather``.
    values : 1-D array
        Columns, read.
    out : (· n,)
        Row by row, written.
    """
    if n == 1:
        for r in range(rows):
            out[at + r] = values[p + r]
        return
    whole = rows // 8 * 8 if n % 8 == 0 else 0
    for r in range(0, whole, 8):
        for k in range(0, n, 8):
            begin = evenly_spaced(p + k * width + r, width)
            simd.copy_transposed(values, begin, 0, out, evenly_spaced(at + r * n + k, n), 0)
    for r in range(whole, rows):
        for k in range(n):
            out[at + r * n + k] = values[p + k * width + r]


@inlined
def fill(n, values, at, out, p, width):
    """Every number of ``values[at : at + n]`` as a column; zeros where ``at`` is negative.

    Parameters
    ----------
    n : int
        Columns.
    values : 1-D array
        Read.
    at : int
        Of the first, or −1.
    out : 1-D array
        Columns from ``p`` on, written.
    p, width : int
        Offset, and the length of a column.
    """
    long = simd_lanes.lanes(out, LONG)
    for o in range(n):
        line = simd.zero(out, long)
        if at >= 0:
            line = simd.fill(values[at + o], long)
        for r in range(0, width, len(long)):
            simd.store(out, p + o * width + r, line)


@inlined
def add_product(n_out, n_in, weight, at, step_out, step_in, values, p, out, q, width):
    """out_o += Σ_k weight[at + o step_out + k step_in] values_k, column by column.

    Parameters
    ----------
    n_out, n_in : int
        Columns of ``out`` and of ``values``.
    weight : 1-D array
        A matrix from ``at`` on.
    at, step_out, step_in : int
        Offset and strides of the matrix.
    values, out : 1-D arrays
        Columns from ``p`` and from ``q`` on; ``out`` is added to.
    p, q, width : int
        Offsets, and the length of a column.
    """
    long, fours = simd_lanes.lanes(out, LONG), n_out // 4 * 4
    for o in range(0, fours, 4):
        a, b = at + o * step_out, q + o * width
        for r in range(b, b + width, len(long)):
            line_0, line_1 = simd.load(out, r, long), simd.load(out, r + width, long)
            line_2, line_3 = simd.load(out, r + 2 * width, long), simd.load(out, r + 3 * width, long)
            for k in range(n_in):
                line, w = simd.load(values, p + k * width + r - b, long), a + k * step_in
                line_0 = simd.fma(simd_lanes.number(weight, w), line, line_0)
                line_1 = simd.fma(simd_lanes.number(weight, w + step_out), line, line_1)
                line_2 = simd.fma(simd_lanes.number(weight, w + 2 * step_out), line, line_2)
                line_3 = simd.fma(simd_lanes.number(weight, w + 3 * step_out), line, line_3)
            simd.store(out, r, line_0)
            simd.store(out, r + width, line_1)
            simd.store(out, r + 2 * width, line_2)
            simd.store(out, r + 3 * width, line_3)
    for o in range(fours, n_out):
        a, b = at + o * step_out, q + o * width
        for r in range(b, b + width, len(long)):
            line = simd.load(out, r, long)
            for k in range(n_in):
                column = simd.load(values, p + k * width + r - b, long)
                line = simd.fma(simd_lanes.number(weight, a + k * step_in), column, line)
            simd.store(out, r, line)


@inlined
def add_outer(n_in, n_out, left, p, right, q, width, out, at, work):
    """out[k, o] += Σ_r left_k[r] right_o[r].

    Parameters
    ----------
    n_in, n_out : int
        Columns of left and of right.
    left, right : 1-D arrays
        Columns from ``p`` and ``q`` on.
    p, q, width : int
        Offsets, and the length of a column.
    out : 1-D array
        A matrix, row by row, from ``at`` on, added to.
    at : int
        Offset.
    work : 1-D array
        At least n_out columns long.
    """
    if n_out % len(simd_lanes.lanes(out, LONG)) == 0:  # the sum over rows as one product: no lanes are added up
        scatter(width, right, q, width, n_out, work, 0)
        add_product(n_in, width, left, p, width, 1, work, 0, out, at, n_out)
        return
    short = simd_lanes.lanes(out, SHORT)
    for k in range(n_in):
        for o in range(n_out):
            line, a, b = simd.zero(out, short), p + k * width, q + o * width
            for r in range(0, width, len(short)):
                line = simd.fma(simd.load(left, a + r, short), simd.load(right, b + r, short), line)
            out[at + k * n_out + o] += simd.total(line)


@inlined
def add_rows(n, values, p, width, out, at):
    """out[at + o] += Σ_r values_o[r].

    Parameters
    ----------
    n : int
        Columns.
    values : 1-D array
        Columns from ``p`` on.
    p, width : int
        Offset, and the length of a column.
    out : 1-D array
        Added to.
    at : int
        Offset.
    """
    short = simd_lanes.lanes(out, SHORT)
    for o in range(n):
        line = simd.zero(out, short)
        for r in range(0, width, len(short)):
            line = line + simd.load(values, p + o * width + r, short)
        out[at + o] += simd.total(line)


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
