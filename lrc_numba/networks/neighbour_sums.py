"""Sums over neighbours of what two networks make of a pair, and their transposes; rows in vectors of eight.

Of a pair p = (i, j) the point i receives one row and j another, or both the same. Arrays are flattened: rows of pairs
are ``WIDTH`` wide, those of points hold several such rows side by side, ``stride`` in all, of which ``column`` says
which is meant.
"""

from __future__ import annotations

from ..machine.cpu import simd
from ..machine.cpu.compile import kernel

__all__ = ["WIDTH", "add_rows", "dot_rows", "spread_pair_rows", "spread_rows"]

WIDTH = 32
EIGHT = (0,) * 8


@kernel
def add_rows(first, second, weights, values, other, stride, column, out):
    """out_i += w_p values_p and out_j += w_p other_p.

    Parameters
    ----------
    first, second : (P,) int64
        Points i and j of each pair.
    weights : (P,)
        w.
    values, other : (P · WIDTH,)
        What i and what j receive.
    stride, column : int
        Numbers per point, and the first of them that is meant.
    out : (points · stride,)
        Added to.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        for k in range(0, WIDTH, 8):
            one, two = simd.load(values, p * WIDTH + k, EIGHT), simd.load(other, p * WIDTH + k, EIGHT)
            simd.store(out, i + k, simd.fma(weights[p], one, simd.load(out, i + k, EIGHT)))
            simd.store(out, j + k, simd.fma(weights[p], two, simd.load(out, j + k, EIGHT)))


@kernel
def spread_rows(first, second, weights, rows, stride, column, same, out, other):
    """out_p = w_p rows_i and other_p = w_p rows_j; with ``same`` their sum in out: the transpose of ``add_rows``.

    Parameters
    ----------
    first, second, weights, stride, column
        As for ``add_rows``.
    rows : (points · stride,)
        Read.
    same : bool
        Whether i and j received the same.
    out, other : (P · WIDTH,)
        Written.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        for k in range(0, WIDTH, 8):
            one, two = simd.load(rows, i + k, EIGHT), simd.load(rows, j + k, EIGHT)
            if same:
                simd.store(out, p * WIDTH + k, weights[p] * (one + two))
            else:
                simd.store(out, p * WIDTH + k, weights[p] * one)
                simd.store(other, p * WIDTH + k, weights[p] * two)


@kernel
def spread_pair_rows(first, second, weights, dweights, rows, drows, stride, column, same, out, other, dout, dother):
    """The transpose of ``add_rows`` and its tangent: out_p = w_p rows_i + ẇ_p ṙows_i and dout_p = w_p ṙows_i.

    Parameters
    ----------
    first, second, weights, stride, column, same
        As for ``spread_rows``.
    dweights : (P,)
        ẇ.
    rows, drows : (points · stride,)
        Cotangents of the sums and of their tangents.
    out, other, dout, dother : (P · WIDTH,)
        Written: cotangents of the values, and of their tangents.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        for k in range(0, WIDTH, 8):
            one, two = simd.load(rows, i + k, EIGHT), simd.load(rows, j + k, EIGHT)
            done, dtwo = simd.load(drows, i + k, EIGHT), simd.load(drows, j + k, EIGHT)
            at = p * WIDTH + k
            if same:
                simd.store(out, at, simd.fma(dweights[p], done + dtwo, weights[p] * (one + two)))
                simd.store(dout, at, weights[p] * (done + dtwo))
            else:
                simd.store(out, at, simd.fma(dweights[p], done, weights[p] * one))
                simd.store(other, at, simd.fma(dweights[p], dtwo, weights[p] * two))
                simd.store(dout, at, weights[p] * done)
                simd.store(dother, at, weights[p] * dtwo)


@kernel
def dot_rows(first, second, rows, stride, column, values, other, out):
    """out_p += values_p · rows_i + other_p · rows_j: the cotangent of a weight.

    Parameters
    ----------
    first, second, rows, stride, column
        As for ``spread_rows``.
    values, other : (P · WIDTH,)
        As for ``add_rows``.
    out : (P,)
        Added to.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        total = simd.zero(rows, EIGHT)
        for k in range(0, WIDTH, 8):
            total = simd.fma(simd.load(values, p * WIDTH + k, EIGHT), simd.load(rows, i + k, EIGHT), total)
            total = simd.fma(simd.load(other, p * WIDTH + k, EIGHT), simd.load(rows, j + k, EIGHT), total)
        out[p] += simd.total(total)
