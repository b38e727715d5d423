"""Interpolation loops: grid → points.

Which thread may write what: a call writes the rows of its outputs that belong to the points of its chunks, in sorted
order. A separate pass brings them back to the order of the user (``points.cpu.scatter``), all that belongs to a point
at once: random access to memory is cheap by itself and expensive between other work.

Chunks come in the order of memory, not in that of spreading: no two calls write the same row, and neighbours share what
a cache holds. Arrays are those of the glossary in ``lrc_numba.engine``. See NOTES.md for what was tried and lost.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_interleaved
from ...machine.cpu.compile import inlined, kernel
from ..points.indexing import SNAPSHOT, START, STOP
from ..window import indexing
from ..window.cpu import (
    GROUP,
    corner,
    evaluate_slopes,
    evaluate_weights,
    group_size,
    interleaved,
    last_slopes,
    last_weights,
    weight,
    weights_length,
)
from ..window.indexing import FIRST, LAST, ROW, SECOND

column, period = inlined(indexing.column), inlined(indexing.period)


@inlined
def _value(grid, row, weights, weights_start, lanes, strides, supports):
    """One channel, or interleaved ones, summed over the first two axes: a row, still to be weighted along the last."""
    first, second, _, planes, row_support = supports
    plane_sum = simd.zero(grid, row_support)
    for a in range(planes if len(first) > 1 else 1):
        row_sum = simd.zero(grid, row_support)
        start = row + a * strides[2]
        for b in range(len(second)):
            weight_second = weight(weights, weights_start + lanes + b, second, 1)
            row_sum = simd.fma(weight_second, simd.load(grid, start, row_support), row_sum)
            start += strides[3]
        plane_sum = simd.fma(weight(weights, weights_start + a, first, 1), row_sum, plane_sum)
    return plane_sum


@inlined
def _write(i, snapshot, channel, kept, terms, supports, value_at_k0, out):
    """Write u of a channel, or of interleaved ones, where they are among the first ``kept``: sums plus k = 0."""
    if channel < kept:
        sums = simd_interleaved.channel_sums(terms, supports[LAST], supports[ROW])
        for q in range(min(interleaved(supports), kept - channel)):
            c = np.uint64(channel + q)
            out[np.uint64(i), c] = sums[q] + value_at_k0[np.uint64(snapshot), c]


@kernel
def interpolate(part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports, value_at_k0, out):
    """u_i = u(k = 0) + Σ_node ψ(node − x_i) grid(node), for the points of ``chunks[lo:hi]``.

    ``out`` (B·N, C) is u_i, sorted, written.
    """
    weights, n_interleaved = np.zeros(GROUP * weights_length(lanes, supports), dtype=grid.dtype), interleaved(supports)
    n_coefficients, group = len(table) // lanes, group_size(supports[SECOND])
    for c in range(lo, hi):
        for begin in range(chunks[c, START], chunks[c, STOP], group):
            end = min(begin + group, chunks[c, STOP])
            evaluate_weights(begin, end, coordinates, table, lanes, n_coefficients, supports, weights)
            for i in range(begin, end):
                weights_start = (i - begin) * weights_length(lanes, supports)
                row_weights = last_weights(
                    i, weights_start, coordinates, table, lanes, n_coefficients, supports, weights
                )
                row = chunks[c, SNAPSHOT] * strides[0] + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(0, out.shape[1], n_interleaved):
                    value = _value(grid, row, weights, weights_start, lanes, strides, supports)
                    terms = row_weights * value
                    _write(i, chunks[c, SNAPSHOT], channel, out.shape[1], terms, supports, value_at_k0, out)
                    row += strides[1]


@inlined
def _gradient(grid, row, weights, slopes, weights_start, lanes, strides, supports):
    """``_value``, and the same with the slopes along the first and along the second axis: three rows."""
    first, second, _, planes, row_support = supports
    value = simd.zero(grid, row_support)
    by_first = simd.zero(grid, row_support)
    by_second = simd.zero(grid, row_support)
    for a in range(planes if len(first) > 1 else 1):
        row_sum = simd.zero(grid, row_support)
        row_by_second = simd.zero(grid, row_support)
        start = row + a * strides[2]
        for b in range(len(second)):
            nodes = simd.load(grid, start, row_support)
            row_sum = simd.fma(weight(weights, weights_start + lanes + b, second, 1), nodes, row_sum)
            if len(second) > 1:
                row_by_second = simd.fma(slopes[weights_start + lanes + b], nodes, row_by_second)
            start += strides[3]
        value = simd.fma(weight(weights, weights_start + a, first, 1), row_sum, value)
        if len(first) > 1:
            by_first = simd.fma(slopes[weights_start + a], row_sum, by_first)
        if len(second) > 1:
            by_second = simd.fma(weight(weights, weights_start + a, first, 1), row_by_second, by_second)
    return value, by_first, by_second


@inlined
def _derivatives(grid, row_weights, row_slopes, sums, supports):
    """The three derivatives by grid coordinates, from the three rows of ``_gradient``."""
    kind = grid.dtype.type
    by_first = simd.total(row_weights * sums[1]) if len(supports[FIRST]) > 1 else kind(0)
    by_second = simd.total(row_weights * sums[2]) if len(supports[SECOND]) > 1 else kind(0)
    return by_first, by_second, simd.total(row_slopes * sums[0])


@inlined
def _write_gradient(i, derivatives, to_grid, supports, out, column):
    """Write derivatives by grid coordinates, as a gradient per unit of length, to row i of ``out``."""
    dim = 3 if len(supports[FIRST]) > 1 else 2 if len(supports[SECOND]) > 1 else 1  # known to the compiler
    for b in range(dim):  # no loop over the derivatives: indexing a tuple by a variable is looked up every time
        by_length = to_grid[b, dim - 1] * derivatives[2]
        if len(supports[SECOND]) > 1:
            by_length += to_grid[b, dim - 2] * derivatives[1]
        if len(supports[FIRST]) > 1:
            by_length += to_grid[b, dim - 3] * derivatives[0]
        out[np.uint64(i), np.uint64(column + b)] = by_length


@inlined
def _wrapped(column, channels):
    """A column below 2 · channels, modulo channels, without a division for every point and channel."""
    return np.uint64(column - channels if column >= channels else column)


@inlined
def _row_factor(values, i, column, supports):
    """The factor of the row of a channel, or of interleaved ones; columns are counted modulo their number."""
    channels, next_column = values.shape[1], column + interleaved(supports) - 1
    value = values[np.uint64(i), _wrapped(column, channels)]
    next_value = values[np.uint64(i), _wrapped(next_column, channels)]
    return simd_interleaved.interleave(value, next_value, supports[LAST], supports[ROW])


@kernel
def interpolate_vjp(
    part,
    lo,
    hi,
    chunks,
    coordinates,
    grid,
    cotangent,
    cotangent_column,
    to_grid,
    table,
    lanes,
    strides,
    supports,
    kept,
    value_at_k0,
    out,
    out_points,
    column,
):
    """u_i, and Σ_c g_i^c ∇u_i^c: the gradient of Σ g·u with respect to where u is read.

    ``cotangent`` (B·N, C) is g, sorted; that of channel c is in column (c + cotangent_column) mod C. ``out`` receives
    u_i of the first ``kept`` = C′ ≤ C channels, ``out_points`` the gradient per unit of length, from column ``column``
    on; both are (B·N, ·), sorted, and may be one array.
    """
    weights, slopes = np.zeros((2, GROUP * weights_length(lanes, supports)), dtype=grid.dtype)
    n_coefficients, group = len(table) // lanes, group_size(supports[SECOND])
    channels, n_interleaved = cotangent.shape[1], interleaved(supports)
    for c in range(lo, hi):
        for begin in range(chunks[c, START], chunks[c, STOP], group):
            end = min(begin + group, chunks[c, STOP])
            evaluate_slopes(begin, end, coordinates, table, lanes, n_coefficients, supports, weights, slopes)
            for i in range(begin, end):
                weights_start = (i - begin) * weights_length(lanes, supports)
                row_weights, row_slopes = last_slopes(
                    i, weights_start, coordinates, table, lanes, n_coefficients, supports, weights, slopes
                )
                row = chunks[c, SNAPSHOT] * strides[0] + corner(np.uint64(i), coordinates, strides, supports)
                sum_value = sum_first = sum_second = simd.zero(grid, supports[ROW])
                for channel in range(0, channels, n_interleaved):
                    value, by_first, by_second = _gradient(
                        grid, row, weights, slopes, weights_start, lanes, strides, supports
                    )
                    terms = row_weights * value
                    _write(i, chunks[c, SNAPSHOT], channel, kept, terms, supports, value_at_k0, out)
                    factor = _row_factor(cotangent, i, channel + cotangent_column, supports)
                    sum_value = simd.fma(factor, value, sum_value)
                    sum_first = simd.fma(factor, by_first, sum_first)
                    sum_second = simd.fma(factor, by_second, sum_second)
                    row += strides[1]
                sums = sum_value, sum_first, sum_second
                derivatives = _derivatives(grid, row_weights, row_slopes, sums, supports)
                _write_gradient(i, derivatives, to_grid, supports, out_points, column)


@kernel
def interpolate_jvp(
    part,
    lo,
    hi,
    chunks,
    coordinates,
    grid,
    dgrid,
    dpoints,
    to_grid,
    table,
    lanes,
    strides,
    supports,
    channels,
    value_at_k0,
    out,
    dout,
    column,
):
    """u_i, and u̇_i = w_i + ẋ_i·∇u_i, from grids of u and of w.

    Both grids have the same ``strides``; they may be the halves of one array. ``dpoints`` (B·N, d) is ẋ_i, sorted, in
    units of length; ``channels`` is C; ``out`` and ``dout`` (B·N, ≥ C) receive u and, from column ``column`` on, u̇,
    sorted, and may be one array. ``value_at_k0`` (B, 2C) is that of u and of w.
    """
    dim = coordinates.shape[1]
    weights, slopes = np.zeros((2, GROUP * weights_length(lanes, supports)), dtype=grid.dtype)
    step = np.zeros(3, dtype=grid.dtype)
    n_coefficients, group = len(table) // lanes, group_size(supports[SECOND])
    for c in range(lo, hi):
        for begin in range(chunks[c, START], chunks[c, STOP], group):
            end = min(begin + group, chunks[c, STOP])
            evaluate_slopes(begin, end, coordinates, table, lanes, n_coefficients, supports, weights, slopes)
            for i in range(begin, end):
                weights_start = (i - begin) * weights_length(lanes, supports)
                row_weights, row_slopes = last_slopes(
                    i, weights_start, coordinates, table, lanes, n_coefficients, supports, weights, slopes
                )
                for a in range(dim):
                    step[3 - dim + a] = 0.0
                    for b in range(dim):
                        step[3 - dim + a] += grid.dtype.type(dpoints[i, b] * to_grid[b, a])
                snapshot = np.uint64(chunks[c, SNAPSHOT])
                row = chunks[c, SNAPSHOT] * strides[0] + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(channels):
                    sums = _gradient(grid, row, weights, slopes, weights_start, lanes, strides, supports)
                    dvalue = _value(dgrid, row, weights, weights_start, lanes, strides, supports)
                    by_first, by_second, by_last = _derivatives(grid, row_weights, row_slopes, sums, supports)
                    out[np.uint64(i), channel] = simd.total(row_weights * sums[0]) + value_at_k0[snapshot, channel]
                    du = simd.total(row_weights * dvalue) + step[0] * by_first + step[1] * by_second + step[2] * by_last
                    dout[np.uint64(i), column + channel] = du + value_at_k0[snapshot, channels + channel]
                    row += strides[1]


@kernel
def fill_padding(part, lo, hi, grids, nodes, reached, n_interleaved, ends):
    """Copy nodes into the padding of the last two axes, in the planes [lo, hi) of all grids.

    Ranges and ``ends`` are those of ``spreading.cpu.fold_padding``; a call writes the padding of its planes.
    """
    channels = len(grids) // len(reached)
    length, n_interleaved = period(nodes[2], n_interleaved)
    columns = grids.shape[3] // n_interleaved
    for q in range(lo, hi):
        g, a = q // nodes[0], q % nodes[0]
        plane, row_reached = grids[g, a], reached[g // channels, a]
        for b in range(nodes[1] if ends else 0):
            if not row_reached[b]:
                continue
            for channel in range(n_interleaved):
                for c in range(length, columns):
                    plane[b, column(c, channel, n_interleaved)] = plane[b, column(c - length, channel, n_interleaved)]
        for b in range(nodes[1], plane.shape[0]):
            if not row_reached[b]:
                continue
            target, source = plane[b], plane[b % nodes[1]]
            for c in range(len(source)):
                target[c] = source[c]


@kernel
def fill_planes(part, lo, hi, grids, nodes, reached):
    """Copy planes into the padding of the first axis, in the rows [lo, hi) of all grids.

    Ranges are those of ``spreading.cpu.fold_planes``; a call writes its rows in the planes of padding.
    """
    channels, rows = len(grids) // len(reached), grids.shape[2]
    for q in range(lo, hi):
        g, b = q // rows, q % rows
        grid = grids[g]
        for a in range(nodes[0], grid.shape[0]):
            if not reached[g // channels, a, b]:
                continue
            target, source = grid[a, b], grid[a % nodes[0], b]
            for c in range(len(source)):
                target[c] = source[c]
