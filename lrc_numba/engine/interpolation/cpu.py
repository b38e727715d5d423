"""Interpolation loops: grid → points.

Which thread may write what: a call writes the rows of its outputs that belong to the points of its chunks, in sorted
order. A pass of its own brings them back to the order of the user (``points.scatter``), all that belongs to a point at
once: going all over memory is cheap by itself and dear between other work.

Chunks come in the order of memory, not in that of spreading: no two calls write the same place, and neighbours share
what a cache holds.

Tried and lost: pairs of channels one line of the cache after the other, which gains for windows of five nodes, as far
as seen, and loses for seven; two planes at once, and every row sum in two halves, which wait no less.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu import simd, simd_pairs
from ...machine.cpu.compile import inlined, kernel
from ..window import indexing
from ..window.cpu import AHEAD, ahead, corner, last_axes, last_axis, room, together, weigh, weigh_and_tilt, weight

column, period = inlined(indexing.column), inlined(indexing.period)


@inlined
def _value(grid, row, weights, place, lanes, strides, supports):
    """One channel summed over the rows under the window, still to be weighted along them."""
    first, second, _, planes, across = supports
    plane = simd.zero(grid, across)
    for a in range(planes if len(first) > 1 else 1):
        line = simd.zero(grid, across)
        start = row + a * strides[2]
        for b in range(len(second)):
            line = simd.fma(weight(weights, place + lanes + b, second, 1), simd.load(grid, start, across), line)
            start += strides[3]
        plane = simd.fma(weight(weights, place + a, first, 1), line, plane)
    return plane


@inlined
def _write(i, snapshot, channel, kept, terms, supports, mean, out):
    """The totals of a channel, or of a pair, where they are among the first ``kept``, and what comes to them."""
    if channel < kept:
        sums = simd_pairs.totals(terms, supports[2], supports[4])
        for q in range(min(together(supports), kept - channel)):
            at = np.uint64(channel + q)
            out[np.uint64(i), at] = sums[q] + mean[np.uint64(snapshot), at]


@kernel
def interpolate(part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports, mean, out):
    """u_i = mean + Σ_node ψ(node − x_i) grid(node), for the points of ``chunks[lo:hi]``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, table, lanes, strides, supports
        As for ``spreading.spread``.
    grid : 1-D array
        The padded grids, flattened.
    mean : (B, C)
        Added to all of a snapshot.
    out : (B·N, C)
        u_i, sorted, written.
    """
    weights, pair = np.zeros(AHEAD * room(lanes, supports), dtype=grid.dtype), together(supports)
    rows, some = len(table) // lanes, ahead(supports[1])
    for c in range(lo, hi):
        for begin in range(chunks[c, 0], chunks[c, 1], some):
            end = min(begin + some, chunks[c, 1])
            weigh(begin, end, coordinates, table, lanes, rows, supports, weights)
            for i in range(begin, end):
                place = (i - begin) * room(lanes, supports)
                along = last_axis(i, place, coordinates, table, lanes, rows, supports, weights)
                row = chunks[c, 2] * strides[0] + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(0, out.shape[1], pair):
                    plane = _value(grid, row, weights, place, lanes, strides, supports)
                    _write(i, chunks[c, 2], channel, out.shape[1], along * plane, supports, mean, out)
                    row += strides[1]


@inlined
def _gradient(grid, row, weights, tilts, place, lanes, strides, supports):
    """One channel, and its slopes along the first and the second axis, still to be weighted along the last."""
    first, second, _, planes, across = supports
    plane = simd.zero(grid, across)
    plane_first = simd.zero(grid, across)
    plane_second = simd.zero(grid, across)
    for a in range(planes if len(first) > 1 else 1):
        line = simd.zero(grid, across)
        line_second = simd.zero(grid, across)
        start = row + a * strides[2]
        for b in range(len(second)):
            nodes = simd.load(grid, start, across)
            line = simd.fma(weight(weights, place + lanes + b, second, 1), nodes, line)
            if len(second) > 1:
                line_second = simd.fma(tilts[place + lanes + b], nodes, line_second)
            start += strides[3]
        plane = simd.fma(weight(weights, place + a, first, 1), line, plane)
        if len(first) > 1:
            plane_first = simd.fma(tilts[place + a], line, plane_first)
        if len(second) > 1:
            plane_second = simd.fma(weight(weights, place + a, first, 1), line_second, plane_second)
    return plane, plane_first, plane_second


@inlined
def _slope(grid, along, tilt, sums, supports):
    """The three derivatives by grid coordinates."""
    kind = grid.dtype.type
    one = simd.total(along * sums[1]) if len(supports[0]) > 1 else kind(0)
    two = simd.total(along * sums[2]) if len(supports[1]) > 1 else kind(0)
    return one, two, simd.total(tilt * sums[0])


@inlined
def _turn_back(i, slope, to_grid, supports, out, column):
    """A gradient per grid cell into one per unit of length, in the row i of ``out``."""
    dim = 3 if len(supports[0]) > 1 else 2 if len(supports[1]) > 1 else 1  # known to the compiler, unlike a shape
    for b in range(dim):  # no loop over the slopes: which of a tuple is wanted would be looked up every time
        back = to_grid[b, dim - 1] * slope[2]
        if len(supports[1]) > 1:
            back += to_grid[b, dim - 2] * slope[1]
        if len(supports[0]) > 1:
            back += to_grid[b, dim - 3] * slope[0]
        out[np.uint64(i), np.uint64(column + b)] = back


@inlined
def _round(column, channels):
    """A column below 2 · channels, counted round, without a division for every point and channel."""
    return np.uint64(column - channels if column >= channels else column)


@inlined
def _side_by_side(values, i, column, supports):
    """What the row of a channel, or of a pair, is multiplied with, columns counted round."""
    channels, other = values.shape[1], column + together(supports) - 1
    one, two = values[np.uint64(i), _round(column, channels)], values[np.uint64(i), _round(other, channels)]
    return simd_pairs.side_by_side(one, two, supports[2], supports[4])


@kernel
def interpolate_vjp(
    part,
    lo,
    hi,
    chunks,
    coordinates,
    grid,
    cotangent,
    turn,
    to_grid,
    table,
    lanes,
    strides,
    supports,
    kept,
    mean,
    out,
    out_points,
    column,
):
    """u_i, and Σ_c g_i^c ∇u_i^c: the gradient of Σ g·u with respect to where u is read.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports
        As for ``interpolate``.
    cotangent : (B·N, C)
        g, sorted.
    turn, kept : int
        Channel c of g is in column c + turn, counted round; and C′ ≤ C.
    to_grid : (d, d)
        Takes displacements to grid cells; its transpose takes the gradient back.
    mean : (B, C′)
        As for ``interpolate``.
    out, out_points : (B·N, C′ or more) and (B·N, d or more)
        u_i of the first C′ channels, and the gradient; sorted, written. May be one array.
    column : int
        Of ``out_points``, for the derivative along the first axis.
    """
    weights, tilts = np.zeros((2, AHEAD * room(lanes, supports)), dtype=grid.dtype)
    rows, some, channels, pair = len(table) // lanes, ahead(supports[1]), cotangent.shape[1], together(supports)
    for c in range(lo, hi):
        for begin in range(chunks[c, 0], chunks[c, 1], some):
            end = min(begin + some, chunks[c, 1])
            weigh_and_tilt(begin, end, coordinates, table, lanes, rows, supports, weights, tilts)
            for i in range(begin, end):
                place = (i - begin) * room(lanes, supports)
                along, tilt = last_axes(i, place, coordinates, table, lanes, rows, supports, weights, tilts)
                row = chunks[c, 2] * strides[0] + corner(np.uint64(i), coordinates, strides, supports)
                total = total_first = total_second = simd.zero(grid, supports[4])
                for channel in range(0, channels, pair):
                    plane, first, second = _gradient(grid, row, weights, tilts, place, lanes, strides, supports)
                    _write(i, chunks[c, 2], channel, kept, along * plane, supports, mean, out)
                    factor = _side_by_side(cotangent, i, channel + turn, supports)
                    total = simd.fma(factor, plane, total)
                    total_first = simd.fma(factor, first, total_first)
                    total_second = simd.fma(factor, second, total_second)
                    row += strides[1]
                slope = _slope(grid, along, tilt, (total, total_first, total_second), supports)
                _turn_back(i, slope, to_grid, supports, out_points, column)


@kernel
def interpolate_jvp(
    part,
    lo,
    hi,
    chunks,
    coordinates,
    grid,
    dpoints,
    to_grid,
    table,
    lanes,
    strides,
    supports,
    channels,
    mean,
    out,
    dout,
    column,
):
    """u_i, and u̇_i = w_i + ẋ_i·∇u_i, from grids of u and, in C channels more, of w.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, grid, to_grid, table, lanes, strides, supports
        As for ``interpolate_vjp``; ``grid`` has 2C channels.
    dpoints : (B·N, d)
        ẋ_i, sorted, units of length.
    channels, column : int
        C, and the column of ``dout`` for the first channel.
    mean : (B, 2C)
        Added to u_i, and to w_i.
    out, dout : (B·N, C or more)
        u and u̇, sorted, written; may be the same array.
    """
    dim = coordinates.shape[1]
    weights, tilts = np.zeros((2, AHEAD * room(lanes, supports)), dtype=grid.dtype)
    step = np.zeros(3, dtype=grid.dtype)
    rows, some = len(table) // lanes, ahead(supports[1])
    for c in range(lo, hi):
        for begin in range(chunks[c, 0], chunks[c, 1], some):
            end = min(begin + some, chunks[c, 1])
            weigh_and_tilt(begin, end, coordinates, table, lanes, rows, supports, weights, tilts)
            for i in range(begin, end):
                place = (i - begin) * room(lanes, supports)
                along, tilt = last_axes(i, place, coordinates, table, lanes, rows, supports, weights, tilts)
                for a in range(dim):
                    step[3 - dim + a] = 0.0
                    for b in range(dim):
                        step[3 - dim + a] += grid.dtype.type(dpoints[i, b] * to_grid[b, a])
                snapshot = np.uint64(chunks[c, 2])
                row = chunks[c, 2] * strides[0] + corner(np.uint64(i), coordinates, strides, supports)
                for channel in range(channels):
                    sums = _gradient(grid, row, weights, tilts, place, lanes, strides, supports)
                    drift = _value(grid, row + channels * strides[1], weights, place, lanes, strides, supports)
                    one, two, three = _slope(grid, along, tilt, sums, supports)
                    out[np.uint64(i), channel] = simd.total(along * sums[0]) + mean[snapshot, channel]
                    moved = simd.total(along * drift) + step[0] * one + step[1] * two + step[2] * three
                    dout[np.uint64(i), column + channel] = moved + mean[snapshot, channels + channel]
                    row += strides[1]


@kernel
def fill_padding(part, lo, hi, grids, nodes, reached, pair, ends):
    """Copy nodes into the padding of the last two axes, in the planes [lo, hi) of all grids.

    Parameters
    ----------
    part, lo, hi, grids, nodes, reached, pair, ends
        As for ``spreading.fold_padding``.
    """
    channels = len(grids) // len(reached)
    length, pair = period(nodes[2], pair)
    columns = grids.shape[3] // pair
    for q in range(lo, hi):
        g, a = q // nodes[0], q % nodes[0]
        plane, there = grids[g, a], reached[g // channels, a]
        for b in range(nodes[1] if ends else 0):
            if not there[b]:
                continue
            for channel in range(pair):
                for c in range(length, columns):
                    plane[b, column(c, channel, pair)] = plane[b, column(c - length, channel, pair)]
        for b in range(nodes[1], plane.shape[0]):
            if not there[b]:
                continue
            target, source = plane[b], plane[b % nodes[1]]
            for c in range(len(source)):
                target[c] = source[c]


@kernel
def fill_planes(part, lo, hi, grids, nodes, reached):
    """Copy planes into the padding of the first axis, in the rows [lo, hi) of all grids.

    Parameters
    ----------
    part, lo, hi, grids, nodes, reached
        As for ``spreading.fold_planes``.
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
