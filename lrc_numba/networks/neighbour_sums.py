"""Sums over neighbour pairs of rows that belong to the pairs, and the transposes of these sums; in vectors of eight.

Point i of a pair p = (i, j) receives the row left_p, and j the row right_p, which may be the same. Arrays are flat:
rows of pairs are ``WIDTH`` wide; those of points are ``stride`` wide and hold several such rows side by side, of which
the one that begins at ``column`` is meant.
"""

from __future__ import annotations

from ..machine.cpu import simd
from ..machine.cpu.compile import kernel

__all__ = ["WIDTH", "add_rows", "dot_rows", "spread_dual_rows", "spread_rows"]

WIDTH = 32
EIGHT = (0,) * 8


@kernel
def add_rows(first, second, weights, left, right, stride, column, out):
    """out_i += w_p left_p and out_j += w_p right_p.

    Parameters
    ----------
    first, second : (P,) int64
        Points i and j of each pair.
    weights : (P,)
        w.
    left, right : (P · WIDTH,)
        What i and what j receive.
    stride, column : int
        Numbers per point, and the first of them that is meant.
    out : (points · stride,)
        Added to.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        for k in range(0, WIDTH, 8):
            to_i, to_j = simd.load(left, p * WIDTH + k, EIGHT), simd.load(right, p * WIDTH + k, EIGHT)
            simd.store(out, i + k, simd.fma(weights[p], to_i, simd.load(out, i + k, EIGHT)))
            simd.store(out, j + k, simd.fma(weights[p], to_j, simd.load(out, j + k, EIGHT)))


@kernel
def spread_rows(first, second, weights, rows, stride, column, same, left, right):
    """left_p = w_p rows_i and right_p = w_p rows_j; with ``same`` their sum in left: the transpose of ``add_rows``.

    Parameters
    ----------
    first, second, weights, stride, column
        As for ``add_rows``.
    rows : (points · stride,)
        Read.
    same : bool
        Whether i and j received the same.
    left, right : (P · WIDTH,)
        Written; with ``same`` only left.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        for k in range(0, WIDTH, 8):
            of_i, of_j = simd.load(rows, i + k, EIGHT), simd.load(rows, j + k, EIGHT)
            if same:
                simd.store(left, p * WIDTH + k, weights[p] * (of_i + of_j))
            else:
                simd.store(left, p * WIDTH + k, weights[p] * of_i)
                simd.store(right, p * WIDTH + k, weights[p] * of_j)


@kernel
def spread_dual_rows(first, second, weights, dweights, rows, drows, stride, column, same, left, right, dleft, dright):
    """The transpose of ``add_rows`` and its tangent: left_p = w_p rows_i + ẇ_p ṙows_i and dleft_p = w_p ṙows_i.

    Parameters
    ----------
    first, second, weights, stride, column, same
        As for ``spread_rows``.
    dweights : (P,)
        ẇ.
    rows, drows : (points · stride,)
        Cotangents of the sums and of their tangents.
    left, right, dleft, dright : (P · WIDTH,)
        Cotangents of the rows of pairs and of their tangents, written; with ``same`` only left and dleft.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        for k in range(0, WIDTH, 8):
            of_i, of_j = simd.load(rows, i + k, EIGHT), simd.load(rows, j + k, EIGHT)
            dof_i, dof_j = simd.load(drows, i + k, EIGHT), simd.load(drows, j + k, EIGHT)
            at = p * WIDTH + k
            if same:
                simd.store(left, at, simd.fma(dweights[p], dof_i + dof_j, weights[p] * (of_i + of_j)))
                simd.store(dleft, at, weights[p] * (dof_i + dof_j))
            else:
                simd.store(left, at, simd.fma(dweights[p], dof_i, weights[p] * of_i))
                simd.store(right, at, simd.fma(dweights[p], dof_j, weights[p] * of_j))
                simd.store(dleft, at, weights[p] * dof_i)
                simd.store(dright, at, weights[p] * dof_j)


@kernel
def dot_rows(first, second, rows, stride, column, left, right, out):
    """out_p += left_p · rows_i + right_p · rows_j: the cotangent of a weight.

    Parameters
    ----------
    first, second, rows, stride, column
        As for ``spread_rows``.
    left, right : (P · WIDTH,)
        As for ``add_rows``.
    out : (P,)
        Added to.
    """
    for p in range(len(first)):
        i, j = first[p] * stride + column, second[p] * stride + column
        total = simd.zero(rows, EIGHT)
        for k in range(0, WIDTH, 8):
            total = simd.fma(simd.load(left, p * WIDTH + k, EIGHT), simd.load(rows, i + k, EIGHT), total)
            total = simd.fma(simd.load(right, p * WIDTH + k, EIGHT), simd.load(rows, j + k, EIGHT), total)
        out[p] += simd.total(total)
