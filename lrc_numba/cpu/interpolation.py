"""Interpolation loops: grid → points.

Which thread may write what: a call writes the rows of its outputs that belong to the points of its chunks, in sorted
order. A pass of its own brings them back to the order of the user (``points.scatter``): scattered stores are cheap by
themselves and dear between other work.

Chunks come in the order of memory, not in that of spreading: no two calls write the same place, and neighbours share
what a cache holds.
"""

from __future__ import annotations

import numpy as np

from . import simd
from .compile import inlined, kernel
from .window import row_weights, weigh, weigh_slopes


@inlined
def _value(grid, corner, across, lanes, strides, supports):
    """One channel summed over the rows under the window, still to be weighted along them."""
    first, second, third = supports
    plane = simd.zero(grid, third)
    for a in range(len(first)):
        line = simd.zero(grid, third)
        row = corner + a * strides[2]
        for b in range(len(second)):
            line = simd.fma(across[lanes + b], simd.load(grid, row, third), line)
            row += strides[3]
        plane = simd.fma(across[a], line, plane)
    return plane


@kernel
def interpolate(part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports, out):
    """u_i = Σ_node ψ(node − x_i) grid(node), for the points of ``chunks[lo:hi]``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, table, lanes, strides, supports
        As for ``spreading.spread``.
    grid : 1-D array
        The padded grids, flattened.
    out : (B·N, C)
        u_i, sorted, written.
    """
    across = row_weights(lanes, grid, 1.0)
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0]
        for i in range(chunks[c, 0], chunks[c, 1]):
            corner, along = weigh(i, coordinates, grid, table, lanes, strides, supports, across)
            for channel in range(out.shape[1]):
                rows = _value(grid, base + corner + channel * strides[1], across, lanes, strides, supports)
                out[i, channel] = simd.total(along * rows)


@inlined
def _gradient(grid, corner, along, tilt, across, slope, lanes, strides, supports):
    """Value and the three grid-coordinate derivatives of one channel at one point."""
    first, second, third = supports
    plane = simd.zero(grid, third)
    plane_first = simd.zero(grid, third)
    plane_second = simd.zero(grid, third)
    for a in range(len(first)):
        line = simd.zero(grid, third)
        line_second = simd.zero(grid, third)
        row = corner + a * strides[2]
        for b in range(len(second)):
            nodes = simd.load(grid, row, third)
            line = simd.fma(across[lanes + b], nodes, line)
            line_second = simd.fma(slope[lanes + b], nodes, line_second)
            row += strides[3]
        plane = simd.fma(across[a], line, plane)
        plane_first = simd.fma(slope[a], line, plane_first)
        plane_second = simd.fma(across[a], line_second, plane_second)
    one, two = grid.dtype.type(0), grid.dtype.type(0)
    if len(first) > 1:
        one = simd.total(along * plane_first)
    if len(second) > 1:
        two = simd.total(along * plane_second)
    return simd.total(along * plane), one, two, simd.total(tilt * plane)


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
    slopes,
    lanes,
    strides,
    supports,
    out,
    out_points,
):
    """u_i, and Σ_c g_i^c ∇u_i^c: the gradient of Σ g·u with respect to where u is read.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports, out
        As for ``interpolate``.
    cotangent : (B·N, C)
        g, sorted.
    turn : int
        Channel c of g is in column c + turn, counted round.
    to_grid : (d, d)
        Takes displacements to grid cells; its transpose takes the gradient back.
    slopes : (rows · lanes,)
        Polynomials of dψ/dg.
    out_points : (B·N, d)
        Sorted, written.
    """
    dim = coordinates.shape[1]
    across, slope = row_weights(lanes, grid, 1.0), row_weights(lanes, grid, 0.0)
    total = np.zeros(3, dtype=grid.dtype)
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0]
        for i in range(chunks[c, 0], chunks[c, 1]):
            corner, along, tilt = weigh_slopes(
                i, coordinates, grid, table, slopes, lanes, strides, supports, across, slope
            )
            total[:] = 0.0
            for channel in range(out.shape[1]):
                value, one, two, three = _gradient(
                    grid, base + corner + channel * strides[1], along, tilt, across, slope, lanes, strides, supports
                )
                column = channel + turn
                weight = cotangent[i, column if column < out.shape[1] else column - out.shape[1]]
                out[i, channel] = value
                total[0] += weight * one
                total[1] += weight * two
                total[2] += weight * three
            for b in range(dim):
                slope_b = 0.0
                for a in range(dim):
                    slope_b += to_grid[b, a] * total[3 - dim + a]
                out_points[i, b] = slope_b


@kernel
def interpolate_jvp(
    part, lo, hi, chunks, coordinates, grid, dpoints, to_grid, table, slopes, lanes, strides, supports, out, dout
):
    """u_i, and u̇_i = w_i + ẋ_i·∇u_i, from grids of u and, in C channels more, of w.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, grid, to_grid, table, slopes, lanes, strides, supports, out
        As for ``interpolate_vjp``; ``grid`` has 2C channels.
    dpoints : (B·N, d)
        ẋ_i, sorted, units of length.
    dout : (B·N, C)
        u̇, sorted, written.
    """
    dim = coordinates.shape[1]
    across, slope = row_weights(lanes, grid, 1.0), row_weights(lanes, grid, 0.0)
    step = np.zeros(3, dtype=grid.dtype)
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0]
        for i in range(chunks[c, 0], chunks[c, 1]):
            corner, along, tilt = weigh_slopes(
                i, coordinates, grid, table, slopes, lanes, strides, supports, across, slope
            )
            for a in range(dim):
                step[3 - dim + a] = 0.0
                for b in range(dim):
                    step[3 - dim + a] += grid.dtype.type(dpoints[i, b] * to_grid[b, a])
            for channel in range(out.shape[1]):
                value, one, two, three = _gradient(
                    grid, base + corner + channel * strides[1], along, tilt, across, slope, lanes, strides, supports
                )
                out[i, channel] = value
                drift = _value(
                    grid, base + corner + (out.shape[1] + channel) * strides[1], across, lanes, strides, supports
                )
                change = simd.total(along * drift)
                dout[i, channel] = change + step[0] * one + step[1] * two + step[2] * three


@kernel
def fill_padding(part, lo, hi, grids, nodes):
    """Copy nodes into the padding of the last two axes, in the planes [lo, hi) of all grids.

    Parameters
    ----------
    part, lo, hi, grids, nodes
        As for ``spreading.fold_padding``.
    """
    for q in range(lo, hi):
        plane = grids[q // nodes[0], q % nodes[0]]
        for b in range(nodes[1]):
            for c in range(nodes[2], plane.shape[1]):
                plane[b, c] = plane[b, c - nodes[2]]
        for b in range(nodes[1], plane.shape[0]):
            target, source = plane[b], plane[b % nodes[1]]
            for c in range(len(source)):
                target[c] = source[c]


@kernel
def fill_planes(part, lo, hi, grids, nodes):
    """Copy planes into the padding of the first axis, in the rows [lo, hi) of all grids.

    Parameters
    ----------
    part, lo, hi, grids, nodes
        As for ``spreading.fold_planes``.
    """
    rows = grids.shape[2]
    for q in range(lo, hi):
        grid, b = grids[q // rows], q % rows
        for a in range(nodes[0], grid.shape[0]):
            target, source = grid[a, b], grid[a % nodes[0], b]
            for c in range(len(source)):
                target[c] = source[c]
