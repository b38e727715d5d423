"""Spreading loops: points → grid.

Which thread may write what: a call writes the nodes under the windows of the points of its chunks, in ``out``. Chunks
given to different calls at the same time belong to tiles of one round, whose windows do not meet, or have a slot of
scratch each. Inside a chunk points come in sorted order. So every node receives its terms in one fixed order.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from . import simd
from .parallel import COMPILE
from .window import locate, window


@njit(**COMPILE)
def spread(part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, out):
    """Add Σ_j f_j ψ(node − x_j) for the points of ``chunks[lo:hi]``.

    Parameters
    ----------
    part, lo, hi : int
        The range of chunks; ``part`` is not used.
    chunks : (n, 4) int64
        start, stop, snapshot or slot, offset into ``out``.
    coordinates : (B·N, d) float64
        Sorted grid coordinates.
    values : (B·N, C)
        f_j, sorted.
    table : (rows · lanes,)
        Polynomials of ψ.
    strides : (int, int, int, int)
        Of a snapshot or slot, a channel, the first axis, the second axis of ``out``.
    supports : three tuples
        As long as the window along each axis.
    out : 1-D array
        Grid or scratch, flattened.
    """
    first, second, third = supports
    dim = coordinates.shape[1]
    across = np.zeros(2 * lanes, dtype=out.dtype)
    across[0], across[lanes] = 1.0, 1.0
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0] + chunks[c, 3]
        for i in range(chunks[c, 0], chunks[c, 1]):
            node, offset = locate(coordinates[i, dim - 1], out)
            along = window(table, lanes, offset, third)
            corner = base + node
            if len(second) > 1:
                node, offset = locate(coordinates[i, dim - 2], out)
                simd.store(across, lanes, window(table, lanes, offset, third))
                corner += node * strides[3]
            if len(first) > 1:
                node, offset = locate(coordinates[i, dim - 3], out)
                simd.store(across, 0, window(table, lanes, offset, third))
                corner += node * strides[2]
            for channel in range(values.shape[1]):
                value = values[i, channel]
                for a in range(len(first)):
                    row = corner + channel * strides[1] + a * strides[2]
                    left = value * across[a]
                    for b in range(len(second)):
                        old = simd.load(out, row, third)
                        simd.store(out, row, left * across[lanes + b] * along + old)
                        row += strides[3]


@njit(**COMPILE)
def spread_jvp(part, lo, hi, chunks, coordinates, values, to_grid, table, slopes, lanes, strides, supports, out):
    """Add Σ_j [ḟ_j ψ + f_j ẋ_j·∇ψ](node − x_j), the derivative of ``spread`` along (ẋ, ḟ).

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, out
        As for ``spread``.
    dvalues : (B·N, C)
        ḟ_j.
    dpoints : (B·N, d)
        ẋ_j, units of length.
    to_grid : (d, d)
        Takes ẋ to grid cells.
    slopes : (rows · lanes,)
        Polynomials of dψ/dg.
    """
    first, second, third = supports
    dim = coordinates.shape[1]
    across, slope = np.zeros(2 * lanes, dtype=out.dtype), np.zeros(2 * lanes, dtype=out.dtype)
    across[0], across[lanes] = 1.0, 1.0
    step = np.zeros(3, dtype=out.dtype)
    channels = (values.shape[1] - dim) // 2
    for c in range(lo, hi):
        base = chunks[c, 2] * strides[0] + chunks[c, 3]
        for i in range(chunks[c, 0], chunks[c, 1]):
            for a in range(dim):
                step[3 - dim + a] = 0.0
                for b in range(dim):
                    step[3 - dim + a] += out.dtype.type(values[i, 2 * channels + b] * to_grid[b, a])
            node, offset = locate(coordinates[i, dim - 1], out)
            along, tilt = window(table, lanes, offset, third), window(slopes, lanes, offset, third)
            corner = base + node
            if len(second) > 1:
                node, offset = locate(coordinates[i, dim - 2], out)
                simd.store(across, lanes, window(table, lanes, offset, third))
                simd.store(slope, lanes, window(slopes, lanes, offset, third))
                corner += node * strides[3]
            if len(first) > 1:
                node, offset = locate(coordinates[i, dim - 3], out)
                simd.store(across, 0, window(table, lanes, offset, third))
                simd.store(slope, 0, window(slopes, lanes, offset, third))
                corner += node * strides[2]
            for channel in range(channels):
                value, change = values[i, channel], values[i, channels + channel]
                for a in range(len(first)):
                    row = corner + channel * strides[1] + a * strides[2]
                    drow = row + channels * strides[1]
                    plain = value * across[a]
                    moved = change * across[a] + value * step[0] * slope[a]
                    for b in range(len(second)):
                        weight = plain * across[lanes + b]
                        simd.store(out, row, weight * along + simd.load(out, row, third))
                        dweight = moved * across[lanes + b] + plain * step[1] * slope[lanes + b]
                        new = dweight * along + simd.load(out, drow, third)
                        simd.store(out, drow, weight * step[2] * tilt + new)
                        row += strides[3]
                        drow += strides[3]


@njit(**COMPILE)
def merge_scratch(part, lo, hi, merges, scratch, shape, channels, strides, out):
    """Add the scratch blocks (slots, C, *shape) of each tile of ``merges[lo:hi]`` to the grid, slot by slot."""
    size = shape[0] * shape[1] * shape[2]
    for m in range(lo, hi):
        for channel in range(channels):
            target = merges[m, 2] * strides[0] + channel * strides[1]
            target += merges[m, 3] * strides[2] + merges[m, 4] * strides[3] + merges[m, 5]
            for slot in range(merges[m, 0], merges[m, 0] + merges[m, 1]):
                source = (slot * channels + channel) * size
                for a in range(shape[0]):
                    for b in range(shape[1]):
                        for c in range(shape[2]):
                            out[target + a * strides[2] + b * strides[3] + c] += scratch[source]
                            source += 1


@njit(**COMPILE)
def fold_padding(part, lo, hi, grids, nodes):
    """Add the padding of ``grids[lo:hi]`` (…, padded) onto the nodes it stands for, the last axis first."""
    for g in range(lo, hi):
        grid = grids[g]
        for a in range(grid.shape[0]):
            for b in range(grid.shape[1]):
                for c in range(nodes[2], grid.shape[2]):
                    grid[a, b, c % nodes[2]] += grid[a, b, c]
            for b in range(nodes[1], grid.shape[1]):
                grid[a, b % nodes[1], : nodes[2]] += grid[a, b, : nodes[2]]
        for a in range(nodes[0], grid.shape[0]):
            grid[a % nodes[0], : nodes[1], : nodes[2]] += grid[a, : nodes[1], : nodes[2]]
