"""Interpolation loops: grid → points.

Which thread may write what: a call writes the rows ``order[i]`` of its outputs for the points i of its chunks. Rows
belong to one point each, so nothing is shared.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from . import simd
from .parallel import COMPILE
from .window import locate, window


@njit(forceinline=True, **COMPILE)
def _value(grid, corner, across, lanes, strides, supports):
    """One channel summed over the rows under the window, still to be weighted along them."""
    first, second, third = supports
    plane = simd.zero(grid, third)
    for a in range(len(first)):
        line = simd.zero(grid, third)
        row = corner + a * strides[2]
        for b in range(len(second)):
            line = across[lanes + b] * simd.load(grid, row, third) + line
            row += strides[3]
        plane = across[a] * line + plane
    return plane


@njit(**COMPILE)
def interpolate(part, lo, hi, chunks, coordinates, order, grid, table, lanes, strides, supports, out):
    """u_i = Σ_node ψ(node − x_i) grid(node), for the points of ``chunks[lo:hi]``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, table, lanes, strides, supports
        As for ``spreading.spread``.
    order : (B·N,) int32
        Row of ``out`` for each sorted point.
    grid : 1-D array
        The padded grids, flattened.
    out : (B·N, C)
        u_i, written.
    """
    first, second, third = supports
    dim = coordinates.shape[1]
    across = np.zeros(2 * lanes, dtype=grid.dtype)
    across[0], across[lanes] = 1.0, 1.0
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0]
        for i in range(chunks[c, 0], chunks[c, 1]):
            node, offset = locate(coordinates[i, dim - 1], grid)
            along = window(table, lanes, offset, third)
            corner = base + node
            if len(second) > 1:
                node, offset = locate(coordinates[i, dim - 2], grid)
                simd.store(across, lanes, window(table, lanes, offset, third))
                corner += node * strides[3]
            if len(first) > 1:
                node, offset = locate(coordinates[i, dim - 3], grid)
                simd.store(across, 0, window(table, lanes, offset, third))
                corner += node * strides[2]
            for channel in range(out.shape[1]):
                rows = _value(grid, corner + channel * strides[1], across, lanes, strides, supports)
                out[order[i], channel] = simd.total(along * rows)


@njit(forceinline=True, **COMPILE)
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
            line = across[lanes + b] * nodes + line
            line_second = slope[lanes + b] * nodes + line_second
            row += strides[3]
        plane = across[a] * line + plane
        plane_first = slope[a] * line + plane_first
        plane_second = across[a] * line_second + plane_second
    return (
        simd.total(along * plane),
        simd.total(along * plane_first),
        simd.total(along * plane_second),
        simd.total(tilt * plane),
    )


@njit(forceinline=True, **COMPILE)
def _prepare(i, coordinates, grid, table, slopes, lanes, strides, supports, across, slope):
    """Fill the weights and slopes across the rows; return the corner node and the weights and slopes along them."""
    first, second, third = supports
    dim = coordinates.shape[1]
    corner, offset = locate(coordinates[i, dim - 1], grid)
    along, tilt = window(table, lanes, offset, third), window(slopes, lanes, offset, third)
    if len(second) > 1:
        node, offset = locate(coordinates[i, dim - 2], grid)
        simd.store(across, lanes, window(table, lanes, offset, third))
        simd.store(slope, lanes, window(slopes, lanes, offset, third))
        corner += node * strides[3]
    if len(first) > 1:
        node, offset = locate(coordinates[i, dim - 3], grid)
        simd.store(across, 0, window(table, lanes, offset, third))
        simd.store(slope, 0, window(slopes, lanes, offset, third))
        corner += node * strides[2]
    return corner, along, tilt


@njit(**COMPILE)
def interpolate_vjp(
    part,
    lo,
    hi,
    chunks,
    coordinates,
    order,
    grid,
    cotangent,
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
    part, lo, hi, chunks, coordinates, order, grid, table, lanes, strides, supports, out
        As for ``interpolate``.
    cotangent : (B·N, C)
        g, sorted.
    to_grid : (d, d)
        Takes displacements to grid cells; its transpose takes the gradient back.
    slopes : (rows · lanes,)
        Polynomials of dψ/dg.
    out_points : (B·N, d)
        Written.
    """
    dim = coordinates.shape[1]
    across, slope = np.zeros(2 * lanes, dtype=grid.dtype), np.zeros(2 * lanes, dtype=grid.dtype)
    across[0], across[lanes] = 1.0, 1.0
    total = np.zeros(3, dtype=grid.dtype)
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0]
        for i in range(chunks[c, 0], chunks[c, 1]):
            corner, along, tilt = _prepare(i, coordinates, grid, table, slopes, lanes, strides, supports, across, slope)
            total[:] = 0.0
            for channel in range(out.shape[1]):
                value, one, two, three = _gradient(
                    grid, base + corner + channel * strides[1], along, tilt, across, slope, lanes, strides, supports
                )
                weight = cotangent[i, channel]
                out[order[i], channel] = value
                total[0] += weight * one
                total[1] += weight * two
                total[2] += weight * three
            for b in range(dim):
                slope_b = 0.0
                for a in range(dim):
                    slope_b += to_grid[b, a] * total[3 - dim + a]
                out_points[order[i], b] = slope_b


@njit(**COMPILE)
def interpolate_jvp(
    part, lo, hi, chunks, coordinates, order, grid, dpoints, to_grid, table, slopes, lanes, strides, supports, out, dout
):
    """u_i, and u̇_i = w_i + ẋ_i·∇u_i, from grids of u and, in C channels more, of w.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, order, grid, to_grid, table, slopes, lanes, strides, supports, out
        As for ``interpolate_vjp``; ``grid`` has 2C channels.
    dpoints : (B·N, d)
        ẋ_i, sorted, units of length.
    dout : (B·N, C)
        u̇, written.
    """
    dim = coordinates.shape[1]
    across, slope = np.zeros(2 * lanes, dtype=grid.dtype), np.zeros(2 * lanes, dtype=grid.dtype)
    across[0], across[lanes] = 1.0, 1.0
    step = np.zeros(3, dtype=grid.dtype)
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0]
        for i in range(chunks[c, 0], chunks[c, 1]):
            corner, along, tilt = _prepare(i, coordinates, grid, table, slopes, lanes, strides, supports, across, slope)
            for a in range(dim):
                step[3 - dim + a] = 0.0
                for b in range(dim):
                    step[3 - dim + a] += grid.dtype.type(dpoints[i, b] * to_grid[b, a])
            for channel in range(out.shape[1]):
                value, one, two, three = _gradient(
                    grid, base + corner + channel * strides[1], along, tilt, across, slope, lanes, strides, supports
                )
                out[order[i], channel] = value
                drift = _value(
                    grid, base + corner + (out.shape[1] + channel) * strides[1], across, lanes, strides, supports
                )
                change = simd.total(along * drift)
                dout[order[i], channel] = change + step[0] * one + step[1] * two + step[2] * three


@njit(**COMPILE)
def fill_padding(part, lo, hi, grids, nodes):
    """Copy the nodes that the padding of ``grids[lo:hi]`` stands for into it, the first axis first."""
    for g in range(lo, hi):
        grid = grids[g]
        for a in range(nodes[0], grid.shape[0]):
            grid[a, : nodes[1], : nodes[2]] = grid[a % nodes[0], : nodes[1], : nodes[2]]
        for a in range(grid.shape[0]):
            for b in range(nodes[1], grid.shape[1]):
                grid[a, b, : nodes[2]] = grid[a, b % nodes[1], : nodes[2]]
            for b in range(grid.shape[1]):
                for c in range(nodes[2], grid.shape[2]):
                    grid[a, b, c] = grid[a, b, c % nodes[2]]
