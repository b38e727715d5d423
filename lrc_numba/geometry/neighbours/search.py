r"""The search itself: who is near whom among the images of ``bins``.

A pair is wanted from both sides (EVERY), or once: from the point with the lower number (LOWER), or from where the other
image was moved forwards, or not at all and comes later (FORWARD). Then images moved backwards are not needed, and of
what comes before a point only what lies beyond the brick: half of the images, and half of the search.

Arrays are those of the glossary in the package.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd
from ...machine.cpu.compile import inlined, kernel
from ...machine.cpu.simd_compress import LANES, list_near
from .bins import EVERY, FORWARD, ROWS, SLACK, along, least_of
from .lattice import AXES

__all__ = ["bound", "find", "furthest", "write_pairs"]

EIGHT = (0,) * LANES


@inlined
def _gap(value, low, width, index):
    """How far a coordinate is from the bin ``index``; zero inside."""
    begin = low + index * width
    return max(begin - value, value - begin - width, 0.0)


@inlined
def _ends(value, reach, low, dense, bins):
    """First bin within reach of a coordinate, and the one after the last."""
    return along(value - reach, low, dense, bins), along(value + reach, low, dense, bins) + 1


@inlined
def _own_bins(y0, y1, y2, rank, step, low, dense, bins, own, edges):
    """The bins of a point along each axis in ``own``, and in ``edges`` the first with images beyond the brick."""
    for a in range(AXES):
        value = y0 if a == 0 else y1 if a == 1 else y2
        own[a] = along(value, low[a], dense[a], bins[a])
        edges[a] = along(step[a, a], low[a], dense[a], bins[a]) if a >= AXES - rank else bins[a]


@inlined
def _row_begins(kind, b0, b1, own, edges):
    """The first bin of row (b0, b1) in which there may be images that are listed.

    By FORWARD, in rows before that of the point there are only those beyond the brick.
    """
    if kind != FORWARD or b0 >= edges[0] or b1 >= edges[1] or b0 > own[0]:
        return 0
    if b0 < own[0] or b1 < own[1]:
        return edges[2]
    return own[2] if b1 == own[1] else 0


@kernel
def bound(
    part,
    lo,
    hi,
    homes,
    owner,
    structure_of,
    y,
    steps,
    ranks,
    kind,
    low,
    width,
    dense,
    bins,
    first_bin,
    starts,
    cutoff,
    most,
):
    """At most how many images are near each of the ``homes`` [lo, hi), in ``most``: those in a box around the sphere.

    That is about three times as many as there are, of room that nobody touches; sparing it takes longer.
    """
    reach, own, edges = cutoff * SLACK, np.empty(AXES, dtype=np.int64), np.empty(AXES, dtype=np.int64)
    for h in range(lo, hi):
        e = homes[h]
        b = structure_of[owner[e]]
        s, total = min(b, len(steps) - 1), 0
        _own_bins(y[0, e], y[1, e], y[2, e], ranks[s], steps[s], low[b], dense[b], bins[b], own, edges)
        begin_0, end_0 = _ends(y[0, e], reach, low[b, 0], dense[b, 0], bins[b, 0])
        begin_1, end_1 = _ends(y[1, e], reach, low[b, 1], dense[b, 1], bins[b, 1])
        begin_2, end_2 = _ends(y[2, e], reach, low[b, 2], dense[b, 2], bins[b, 2])
        for b0 in range(begin_0, end_0):
            for b1 in range(begin_1, end_1):
                row = first_bin[b] + (b0 * bins[b, 1] + b1) * bins[b, 2]
                begin = max(begin_2, _row_begins(kind, b0, b1, own, edges))
                total += max(starts[row + end_2] - starts[row + begin], 0)
        most[h] = total + 2 * LANES  # as ``find`` may need it


@inlined
def _squares(x0, x1, x2, k, y0, y1, y2):
    """Squares of the distances of images k to k + 7 from (y0, y1, y2)."""
    d0 = simd.load(x0, k, EIGHT) - simd.fill(y0, EIGHT)
    d1 = simd.load(x1, k, EIGHT) - simd.fill(y1, EIGHT)
    d2 = simd.load(x2, k, EIGHT) - simd.fill(y2, EIGHT)
    return simd.fma(d2, d2, simd.fma(d1, d1, d0 * d0))


@inlined
def _rows_near(y0, y1, y2, kind, low, width, dense, bins, first, starts, reach, own, edges, rows):
    """Where the images of the rows of bins that the sphere around a point reaches begin and end; how many rows.

    All of them before any image is looked at, and none skipped by a branch: the processor then does several at a time.
    """
    begin_0, end_0 = _ends(y0, reach, low[0], dense[0], bins[0])
    begin_1, end_1 = _ends(y1, reach, low[1], dense[1], bins[1])
    count = 0
    for b0 in range(begin_0, end_0):
        gap_0 = _gap(y0, low[0], width[0], b0)
        for b1 in range(begin_1, end_1):
            gap_1 = _gap(y1, low[1], width[1], b1)
            half = np.sqrt(max(reach * reach - gap_0 * gap_0 - gap_1 * gap_1, 0.0))
            begin, end = _ends(y2, half, low[2], dense[2], bins[2])
            row = first + (b0 * bins[1] + b1) * bins[2]
            rows[count, 0] = starts[row + max(begin, _row_begins(kind, b0, b1, own, edges))]
            rows[count, 1] = starts[row + end]
            count += 1 if rows[count, 0] < rows[count, 1] and half > 0.0 else 0
    return count


@kernel
def find(
    part,
    lo,
    hi,
    homes,
    owner,
    structure_of,
    y,
    order,
    steps,
    ranks,
    kind,
    low,
    width,
    dense,
    bins,
    first_bin,
    starts,
    cutoff,
    dummy,
    begins,
    used,
    listed,
    where,
    counts,
):
    """List the images near each of the ``homes`` [lo, hi): from ``where[i]`` on, ``counts[i]`` of them.

    Each list is filled up with the number of the ``dummy`` to a multiple of LANES. Lists follow each other without gaps
    from ``begins[part]`` on, ``used[part]`` numbers: −1 where there may be too little room before those of the next
    part.
    """
    reach, square, at, limit = cutoff * SLACK, cutoff * cutoff, begins[part], begins[part + 1]
    own, edges = np.empty(AXES, dtype=np.int64), np.empty(AXES, dtype=np.int64)
    rows = np.empty((ROWS, 2), dtype=np.int64)
    x0, x1, x2 = y[0], y[1], y[2]
    for h in range(lo, hi):
        e = homes[h]
        i = owner[e]
        b = structure_of[i]
        s, where[i] = min(b, len(steps) - 1), at
        y0, y1, y2 = x0[e], x1[e], x2[e]
        least, itself = least_of(kind, i, e), e if kind == EVERY else -1
        _own_bins(y0, y1, y2, ranks[s], steps[s], low[b], dense[b], bins[b], own, edges)
        count = _rows_near(
            y0, y1, y2, kind, low[b], width[b], dense[b], bins[b], first_bin[b], starts, reach, own, edges, rows
        )
        needed = 2 * LANES  # the last of them may write so many in vain, and the dummy fills up
        for r in range(count):
            needed += rows[r, 1] - rows[r, 0]
        if at + needed > limit:
            used[part] = -1
            return
        for r in range(count):
            end = rows[r, 1]
            for k in range(rows[r, 0], end, LANES):
                squares = _squares(x0, x1, x2, k, y0, y1, y2)
                at += list_near(squares, square, order, least, k, end, itself, listed, at)
        counts[i] = at - where[i]
        for lane in range(LANES):  # more than are needed: a loop of so many needs no guess of the processor's
            listed[at + lane] = dummy
        at += -counts[i] % LANES
    used[part] = at - begins[part]


@kernel
def write_pairs(
    part, lo, hi, points, cells, structure_of, home, owner, shift, where, listed, to, first, second, apart, distance
):
    """Write the pairs of points [lo, hi), those of point i from ``to[i]`` on.

    Parameters
    ----------
    part, lo, hi, points, structure_of, home, owner, shift, where, listed
        See the module.
    cells : (B or 1, 3, 3) float64
        Lattice vectors, zeros along open axes.
    to : (n + 1,) int64
        Where the pairs of a point begin.
    first, second, apart, distance : (P,), (P,), (P, d), (P,)
        Written: i, j, x_i − x_j − shift·cell and its norm.
    """
    dim = apart.shape[1]
    for i in range(lo, hi):
        cell, e = cells[min(structure_of[i], len(cells) - 1)], home[i]
        x0, x1, x2, h0, h1, h2 = points[i, 0], points[i, 1], points[i, 2], shift[e, 0], shift[e, 1], shift[e, 2]
        a00, a01, a02 = cell[0, 0], cell[0, 1], cell[0, 2]
        a10, a11, a12 = cell[1, 0], cell[1, 1], cell[1, 2]
        a20, a21, a22 = cell[2, 0], cell[2, 1], cell[2, 2]
        begin = where[i] - to[i]
        for p in range(to[i], to[i + 1]):
            k = listed[begin + p]
            j = owner[k]
            s0, s1, s2 = shift[k, 0] - h0, shift[k, 1] - h1, shift[k, 2] - h2
            d0 = x0 - points[j, 0] - (s0 * a00 + s1 * a10 + s2 * a20)
            d1 = x1 - points[j, 1] - (s0 * a01 + s1 * a11 + s2 * a21)
            d2 = x2 - points[j, 2] - (s0 * a02 + s1 * a12 + s2 * a22)
            if dim == 3:
                apart[p, 0] = d0
            if dim >= 2:
                apart[p, dim - 2] = d1
            apart[p, dim - 1] = d2
            first[p], second[p], distance[p] = i, j, np.sqrt(d0 * d0 + d1 * d1 + d2 * d2)


@kernel
def furthest(part, lo, hi, points, old, strains, structure_of, squares):
    """The largest |x − x_old F|² of points [lo, hi), in ``squares[part]``.

    Parameters
    ----------
    part, lo, hi, points, structure_of
        See the module.
    old : (n, 3) float64
        x_old.
    strains : (B or 1, 3, 3) float64
        F of each structure, or one for all.
    squares : (parts,) float64
        Written.
    """
    largest = 0.0
    if len(strains) == 1 and (strains[0] == np.eye(AXES)).all():
        for i in range(lo, hi):
            d0, d1, d2 = points[i, 0] - old[i, 0], points[i, 1] - old[i, 1], points[i, 2] - old[i, 2]
            largest = max(largest, d0 * d0 + d1 * d1 + d2 * d2)
        squares[part] = largest
        return
    for i in range(lo, hi):
        strain, square = strains[min(structure_of[i], len(strains) - 1)], 0.0
        for a in range(AXES):
            before = old[i, 0] * strain[0, a] + old[i, 1] * strain[1, a] + old[i, 2] * strain[2, a]
            square += (points[i, a] - before) ** 2
        largest = max(largest, square)
    squares[part] = largest
