"""Interpolation loops: grid → points.

Which thread may write what: a thread takes every so-manieth point of the chunks, which lie one after the other, and
writes the rows of its outputs that belong to it, in sorted order. Of the padding it writes every so-manieth node.
"""

from __future__ import annotations

import numpy as np

from ...machine.cuda.compile import THREADS, cuda, inlined, kernel
from ..window.cuda import AXES, MOST, corner, last_axes, last_axis, weigh, weigh_and_tilt, weight


def _points(_, chunks, coordinates, *rest) -> int:
    return len(coordinates)


def _padding(planes: int, grids, nodes, reached, pair, ends) -> int:
    """Nodes of so many planes that stand for others."""
    return planes * (grids.shape[2] * grids.shape[3] - nodes[1] * nodes[2])


@inlined
def _snapshot(i, coordinates, mean):
    """That of a point; all snapshots have as many points."""
    return i // (len(coordinates) // len(mean))


@inlined
def _value(grid, start, weights, last, strides, supports):
    """One channel at one point."""
    total = grid.dtype.type(0)
    for a in range(len(supports[0])):
        plane = grid.dtype.type(0)
        for b in range(len(supports[1])):
            row = start + a * strides[2] + b * strides[3]
            line = grid.dtype.type(0)
            for c in range(len(supports[2])):
                line += weights[np.uint64(last + c)] * grid[np.uint64(row + c)]
            plane += weight(weights, MOST + b, supports[1], 1) * line
        total += weight(weights, a, supports[0], 1) * plane
    return total


@inlined
def _gradient(grid, start, weights, tilts, last, strides, supports):
    """Value and the three grid-coordinate derivatives of one channel at one point."""
    zero = grid.dtype.type(0)
    value, one, two, three = zero, zero, zero, zero
    for a in range(len(supports[0])):
        plane, plane_two, plane_three = zero, zero, zero
        for b in range(len(supports[1])):
            row = start + a * strides[2] + b * strides[3]
            line, tilt = zero, zero
            for c in range(len(supports[2])):
                line += weights[np.uint64(last + c)] * grid[np.uint64(row + c)]
                tilt += tilts[np.uint64(last + c)] * grid[np.uint64(row + c)]
            plane += weight(weights, MOST + b, supports[1], 1) * line
            plane_two += weight(tilts, MOST + b, supports[1], 0) * line
            plane_three += weight(weights, MOST + b, supports[1], 1) * tilt
        value += weight(weights, a, supports[0], 1) * plane
        one += weight(tilts, a, supports[0], 0) * plane
        two += weight(weights, a, supports[0], 1) * plane_two
        three += weight(weights, a, supports[0], 1) * plane_three
    return value, one, two, three


@kernel(threads=_points)
def interpolate(part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports, mean, out):
    """See ``interpolation.cpu.interpolate``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports, mean, out
        Shapes and dtypes as there.
    """
    weights = cuda.local.array(AXES, grid.dtype)
    rows = np.uint32(len(table)) // np.uint32(lanes)
    for i in range(chunks[lo, 0] + cuda.grid(1), chunks[hi - 1, 1], cuda.gridsize(1)):
        snapshot = _snapshot(i, coordinates, mean)
        start = snapshot * strides[0] + corner(i, coordinates, strides, supports)
        weigh(i, i + 1, coordinates, table, lanes, rows, supports, weights)
        last = last_axis(i, 0, coordinates, table, lanes, rows, supports, weights)
        for channel in range(out.shape[1]):
            value = _value(grid, start + channel * strides[1], weights, last, strides, supports)
            out[i, channel] = value + mean[snapshot, channel]


@kernel(threads=_points)
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
    """See ``interpolation.cpu.interpolate_vjp``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, grid, cotangent, turn, to_grid, table, lanes, strides, supports,
    kept, mean, out, out_points, column
        Shapes and dtypes as there.
    """
    weights, tilts = cuda.local.array(AXES, grid.dtype), cuda.local.array(AXES, grid.dtype)
    total = cuda.local.array(3, grid.dtype)
    dim, rows = coordinates.shape[1], np.uint32(len(table)) // np.uint32(lanes)
    for i in range(chunks[lo, 0] + cuda.grid(1), chunks[hi - 1, 1], cuda.gridsize(1)):
        snapshot = _snapshot(i, coordinates, mean)
        start = snapshot * strides[0] + corner(i, coordinates, strides, supports)
        weigh_and_tilt(i, i + 1, coordinates, table, lanes, rows, supports, weights, tilts)
        last, _ = last_axes(i, 0, coordinates, table, lanes, rows, supports, weights, tilts)
        for a in range(3):
            total[a] = 0.0
        for channel in range(cotangent.shape[1]):
            value, one, two, three = _gradient(
                grid, start + channel * strides[1], weights, tilts, last, strides, supports
            )
            factor = cotangent[i, (channel + turn) % cotangent.shape[1]]
            if channel < kept:
                out[i, channel] = value + mean[snapshot, channel]
            total[0] += factor * one
            total[1] += factor * two
            total[2] += factor * three
        for b in range(dim):
            slope = 0.0
            for a in range(dim):
                slope += to_grid[b, a] * total[3 - dim + a]
            out_points[i, column + b] = slope


@kernel(threads=_points)
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
    """See ``interpolation.cpu.interpolate_jvp``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, grid, dpoints, to_grid, table, lanes, strides, supports,
    channels, mean, out, dout, column
        Shapes and dtypes as there.
    """
    weights, tilts = cuda.local.array(AXES, grid.dtype), cuda.local.array(AXES, grid.dtype)
    step = cuda.local.array(3, grid.dtype)
    dim, rows = coordinates.shape[1], np.uint32(len(table)) // np.uint32(lanes)
    for i in range(chunks[lo, 0] + cuda.grid(1), chunks[hi - 1, 1], cuda.gridsize(1)):
        snapshot = _snapshot(i, coordinates, mean)
        start = snapshot * strides[0] + corner(i, coordinates, strides, supports)
        weigh_and_tilt(i, i + 1, coordinates, table, lanes, rows, supports, weights, tilts)
        last, _ = last_axes(i, 0, coordinates, table, lanes, rows, supports, weights, tilts)
        for a in range(3):
            step[a] = 0.0
        for a in range(dim):
            for b in range(dim):
                step[3 - dim + a] += dpoints[i, b] * to_grid[b, a]
        for channel in range(channels):
            value, one, two, three = _gradient(
                grid, start + channel * strides[1], weights, tilts, last, strides, supports
            )
            out[i, channel] = value + mean[snapshot, channel]
            drift = _value(grid, start + (channels + channel) * strides[1], weights, last, strides, supports)
            moved = drift + step[0] * one + step[1] * two + step[2] * three
            dout[i, column + channel] = moved + mean[snapshot, channels + channel]


@kernel(threads=_padding)
def fill_padding(part, lo, hi, grids, nodes, reached, pair, ends):
    """See ``interpolation.cpu.fill_padding``.

    Parameters
    ----------
    part, lo, hi, grids, nodes, reached, pair, ends
        Shapes and dtypes as there; ``ends`` is true, as the transforms are a library's.
    """
    row = grids.shape[3]
    beside = row - nodes[2]  # behind the nodes of a row; what is below the last row is padding as a whole
    upper = nodes[1] * beside
    per_plane = upper + (grids.shape[2] - nodes[1]) * row
    for q in range(cuda.grid(1), (hi - lo) * per_plane, cuda.gridsize(1)):
        plane, at = lo + q // per_plane, q % per_plane
        b, c = at // beside, nodes[2] + at % beside
        if at >= upper:
            b, c = nodes[1] + (at - upper) // row, (at - upper) % row
        g, a = plane // nodes[0], plane % nodes[0]
        grids[g, a, b, c] = grids[g, a, b % nodes[1], c % nodes[2]]


@kernel(threads=THREADS)
def fill_planes(part, lo, hi, grids, nodes, reached):
    """See ``interpolation.cpu.fill_planes``.

    Parameters
    ----------
    part, lo, hi, grids, nodes, reached
        Shapes and dtypes as there.
    """
    rows = grids.shape[2]
    for q in range(lo + cuda.blockIdx.x, hi, cuda.gridDim.x):
        for c in range(cuda.threadIdx.x, grids.shape[3], cuda.blockDim.x):
            for a in range(nodes[0], grids.shape[1]):
                grids[q // rows, a, q % rows, c] = grids[q // rows, a % nodes[0], q % rows, c]
