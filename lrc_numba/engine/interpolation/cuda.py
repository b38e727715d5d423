"""Interpolation loops: grid → points.

Which thread may write what: a thread takes every n-th point of the chunks, which follow each other, for n threads, and
writes the rows of its outputs that belong to it, in sorted order. Of the padding it writes every n-th node.

The kernels compute what those of ``interpolation.cpu`` compute, from the same arguments; differences are said.
"""

from __future__ import annotations

import numpy as np

from ...machine.cuda.compile import THREADS, cuda, inlined, kernel
from ..points.indexing import START, STOP
from ..window.cuda import AXES, MOST, corner, evaluate_slopes, evaluate_weights, last_slopes, last_weights, weight
from ..window.indexing import FIRST, LAST, SECOND


def _points(_, chunks, coordinates, *_others) -> int:
    return len(coordinates)


def _padding(planes: int, grids, nodes, reached, n_interleaved, ends) -> int:
    """Nodes of so many planes that stand for others."""
    return planes * (grids.shape[2] * grids.shape[3] - nodes[1] * nodes[2])


@inlined
def _snapshot(i, coordinates, value_at_k0):
    """That of a point; all snapshots have as many points."""
    return i // (len(coordinates) // len(value_at_k0))


@inlined
def _value(grid, start, weights, last, strides, supports):
    """One channel at one point, whose weights along the last axis begin at ``last``."""
    total = grid.dtype.type(0)
    for a in range(len(supports[FIRST])):
        plane_sum = grid.dtype.type(0)
        for b in range(len(supports[SECOND])):
            row = start + a * strides[2] + b * strides[3]
            row_sum = grid.dtype.type(0)
            for c in range(len(supports[LAST])):
                row_sum += weights[np.uint64(last + c)] * grid[np.uint64(row + c)]
            plane_sum += weight(weights, MOST + b, supports[SECOND], 1) * row_sum
        total += weight(weights, a, supports[FIRST], 1) * plane_sum
    return total


@inlined
def _gradient(grid, start, weights, slopes, last, strides, supports):
    """Value and the three grid-coordinate derivatives of one channel at one point."""
    zero = grid.dtype.type(0)
    value, by_first, by_second, by_last = zero, zero, zero, zero
    for a in range(len(supports[FIRST])):
        plane_sum, plane_by_second, plane_by_last = zero, zero, zero
        for b in range(len(supports[SECOND])):
            row = start + a * strides[2] + b * strides[3]
            row_sum, row_by_last = zero, zero
            for c in range(len(supports[LAST])):
                row_sum += weights[np.uint64(last + c)] * grid[np.uint64(row + c)]
                row_by_last += slopes[np.uint64(last + c)] * grid[np.uint64(row + c)]
            plane_sum += weight(weights, MOST + b, supports[SECOND], 1) * row_sum
            plane_by_second += weight(slopes, MOST + b, supports[SECOND], 0) * row_sum
            plane_by_last += weight(weights, MOST + b, supports[SECOND], 1) * row_by_last
        value += weight(weights, a, supports[FIRST], 1) * plane_sum
        by_first += weight(slopes, a, supports[FIRST], 0) * plane_sum
        by_second += weight(weights, a, supports[FIRST], 1) * plane_by_second
        by_last += weight(weights, a, supports[FIRST], 1) * plane_by_last
    return value, by_first, by_second, by_last


@kernel(threads=_points)
def interpolate(part, lo, hi, chunks, coordinates, grid, table, lanes, strides, supports, value_at_k0, out):
    """u_i = u(k = 0) + Σ_node ψ(node − x_i) grid(node), for the points of ``chunks[lo:hi]``."""
    weights = cuda.local.array(AXES, grid.dtype)
    n_coefficients = np.uint32(len(table)) // np.uint32(lanes)
    for i in range(chunks[lo, START] + cuda.grid(1), chunks[hi - 1, STOP], cuda.gridsize(1)):
        snapshot = _snapshot(i, coordinates, value_at_k0)
        start = snapshot * strides[0] + corner(i, coordinates, strides, supports)
        evaluate_weights(i, i + 1, coordinates, table, lanes, n_coefficients, supports, weights)
        last = last_weights(i, 0, coordinates, table, lanes, n_coefficients, supports, weights)
        for channel in range(out.shape[1]):
            value = _value(grid, start + channel * strides[1], weights, last, strides, supports)
            out[i, channel] = value + value_at_k0[snapshot, channel]


@kernel(threads=_points)
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
    """u_i, and Σ_c g_i^c ∇u_i^c: the gradient of Σ g·u with respect to where u is read."""
    weights, slopes = cuda.local.array(AXES, grid.dtype), cuda.local.array(AXES, grid.dtype)
    total = cuda.local.array(3, grid.dtype)
    dim, n_coefficients = coordinates.shape[1], np.uint32(len(table)) // np.uint32(lanes)
    for i in range(chunks[lo, START] + cuda.grid(1), chunks[hi - 1, STOP], cuda.gridsize(1)):
        snapshot = _snapshot(i, coordinates, value_at_k0)
        start = snapshot * strides[0] + corner(i, coordinates, strides, supports)
        evaluate_slopes(i, i + 1, coordinates, table, lanes, n_coefficients, supports, weights, slopes)
        last, _ = last_slopes(i, 0, coordinates, table, lanes, n_coefficients, supports, weights, slopes)
        for a in range(3):
            total[a] = 0.0
        for channel in range(cotangent.shape[1]):
            value, by_first, by_second, by_last = _gradient(
                grid, start + channel * strides[1], weights, slopes, last, strides, supports
            )
            factor = cotangent[i, (channel + cotangent_column) % cotangent.shape[1]]
            if channel < kept:
                out[i, channel] = value + value_at_k0[snapshot, channel]
            total[0] += factor * by_first
            total[1] += factor * by_second
            total[2] += factor * by_last
        for b in range(dim):
            by_length = 0.0
            for a in range(dim):
                by_length += to_grid[b, a] * total[3 - dim + a]
            out_points[i, column + b] = by_length


@kernel(threads=_points)
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
    """u_i, and u̇_i = w_i + ẋ_i·∇u_i, from grids of u and of w."""
    weights, slopes = cuda.local.array(AXES, grid.dtype), cuda.local.array(AXES, grid.dtype)
    step = cuda.local.array(3, grid.dtype)
    dim, n_coefficients = coordinates.shape[1], np.uint32(len(table)) // np.uint32(lanes)
    for i in range(chunks[lo, START] + cuda.grid(1), chunks[hi - 1, STOP], cuda.gridsize(1)):
        snapshot = _snapshot(i, coordinates, value_at_k0)
        start = snapshot * strides[0] + corner(i, coordinates, strides, supports)
        evaluate_slopes(i, i + 1, coordinates, table, lanes, n_coefficients, supports, weights, slopes)
        last, _ = last_slopes(i, 0, coordinates, table, lanes, n_coefficients, supports, weights, slopes)
        for a in range(3):
            step[a] = 0.0
        for a in range(dim):
            for b in range(dim):
                step[3 - dim + a] += dpoints[i, b] * to_grid[b, a]
        for channel in range(channels):
            value, by_first, by_second, by_last = _gradient(
                grid, start + channel * strides[1], weights, slopes, last, strides, supports
            )
            out[i, channel] = value + value_at_k0[snapshot, channel]
            dvalue = _value(dgrid, start + channel * strides[1], weights, last, strides, supports)
            du = dvalue + step[0] * by_first + step[1] * by_second + step[2] * by_last
            dout[i, column + channel] = du + value_at_k0[snapshot, channels + channel]


@kernel(threads=_padding)
def fill_padding(part, lo, hi, grids, nodes, reached, n_interleaved, ends):
    """Copy nodes into the padding of the last two axes, in the planes [lo, hi) of all grids.

    ``ends`` is true, as the transforms are a library's.
    """
    row = grids.shape[3]
    end = row - nodes[2]  # padding of a row; the rows below the last node are padding as a whole
    upper = nodes[1] * end
    per_plane = upper + (grids.shape[2] - nodes[1]) * row
    for q in range(cuda.grid(1), (hi - lo) * per_plane, cuda.gridsize(1)):
        plane, node = lo + q // per_plane, q % per_plane
        b, c = node // end, nodes[2] + node % end
        if node >= upper:
            b, c = nodes[1] + (node - upper) // row, (node - upper) % row
        g, a = plane // nodes[0], plane % nodes[0]
        grids[g, a, b, c] = grids[g, a, b % nodes[1], c % nodes[2]]


@kernel(threads=THREADS)
def fill_planes(part, lo, hi, grids, nodes, reached):
    """Copy planes into the padding of the first axis, in the rows [lo, hi) of all grids."""
    rows = grids.shape[2]
    for q in range(lo + cuda.blockIdx.x, hi, cuda.gridDim.x):
        for c in range(cuda.threadIdx.x, grids.shape[3], cuda.blockDim.x):
            for a in range(nodes[0], grids.shape[1]):
                grids[q // rows, a, q % rows, c] = grids[q // rows, a % nodes[0], q % rows, c]
