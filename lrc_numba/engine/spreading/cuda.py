"""Spreading loops: points → grid.

A block of threads takes a chunk of points, all of one tile, and adds them up in the memory that the block shares: point
after point, every thread some of the nodes under its window. Then the block adds what it has to the grid. Where a tile
with its rim does not fit, it is done in layers of planes.

Which thread may write what: tiles that share nodes are never given to the same launch (``schedule``), or have a slot of
scratch each, so no two blocks write the same node, and inside a block points come one after the other. There are no
atomics, and every node receives its terms in one fixed order.
"""

from __future__ import annotations

import numpy as np

from ...machine.cuda.compile import THREADS, cuda, inlined, kernel
from ..window.cuda import AHEAD, AXES, MOST, ahead, last_axis, offset, weight, weight_and_slope_at, weight_at

crowded = None  # crowded tiles gain nothing on a device

CORNERS = 3 * AHEAD  # a name, because the shape of shared memory has to be a constant to the compiler
WEIGHTS, BUFFER = AHEAD * AXES, 5200  # numbers in shared memory: together below the 48 KiB that every device has
WEIGHTS_AND_SLOPES, BUFFER_JVP = 2 * AHEAD * AXES, 4400


@inlined
def _weigh_together(begin, end, chunk, coordinates, table, lanes, supports, tangent, weights, corners):
    """``weigh`` by a block of threads, with slopes behind the weights, and first nodes relative to the tile."""
    rows, missing = np.uint32(len(table)) // np.uint32(lanes), 3 - coordinates.shape[1]
    for q in range(cuda.threadIdx.x, (end - begin) * AXES, cuda.blockDim.x):
        point, axis, node = q // AXES, q % AXES // MOST, q % MOST
        width = len(supports[2])
        if axis == 0:
            width = len(supports[0])
        elif axis == 1:
            width = len(supports[1])
        place = coordinates[begin + point, axis - missing] if axis >= missing else 0.0
        if node < width and axis >= missing:
            tau = offset(place, table)
            if tangent:
                weights[q], weights[AHEAD * AXES + q] = weight_and_slope_at(tau, node, table, lanes, rows)
            else:
                weights[q] = weight_at(tau, node, table, lanes, rows)
        if node == 0:
            corners[3 * point + axis] = int(place) - chunk[4 + axis]


@inlined
def _term(value, change, step, at, last, a, b, c, supports, tangent, weights):
    """What a point adds to one node under its window: f ψ, or ḟ ψ + f ẋ·∇ψ."""
    one, two, three = at + a, at + np.uint32(MOST) + b, last + c
    first, second = weight(weights, one, supports[0], 1), weight(weights, two, supports[1], 1)
    third = weights[three]
    if not tangent:
        return value * first * second * third
    more = np.uint32(AHEAD * AXES)
    along = step[0] * weight(weights, more + one, supports[0], 0) * second * third
    along += step[1] * first * weight(weights, more + two, supports[1], 0) * third
    along += step[2] * first * second * weights[more + three]
    return change * first * second * third + value * along


@inlined
def _step(values, i, to_grid, dim, step):
    """ẋ of a point in grid cells, along three axes."""
    columns = values.shape[1] - dim
    for a in range(3):
        step[a] = 0.0
    for a in range(dim):
        for b in range(dim):
            step[3 - dim + a] += values[i, columns + b] * to_grid[b, a]


@inlined
def _spread_layer(
    chunk,
    coordinates,
    values,
    to_grid,
    table,
    lanes,
    supports,
    block,
    channel,
    tangent,
    bottom,
    planes,
    weights,
    corners,
    buffer,
    step,
):
    """Add up the points of a chunk in the planes [bottom, bottom + planes) of its block of nodes."""
    third, under = np.uint32(len(supports[2])), np.uint32(len(supports[1]) * len(supports[2]))
    row_size, plane_size = np.uint32(block[2]), np.uint32(block[1] * block[2])
    dim = coordinates.shape[1]
    half = (values.shape[1] - dim) // 2 if tangent else 0
    moves = tangent and channel >= half
    for q in range(cuda.threadIdx.x, planes * plane_size, cuda.blockDim.x):
        buffer[q] = 0.0
    rows, some = np.uint32(len(table)) // np.uint32(lanes), ahead(supports[1])
    for begin in range(chunk[0], chunk[1], some):
        end = min(begin + some, chunk[1])
        cuda.syncthreads()
        _weigh_together(begin, end, chunk, coordinates, table, lanes, supports, moves, weights, corners)
        cuda.syncthreads()
        for i in range(begin, end):
            point = i - begin
            value = values[i, channel - half if moves else channel]
            change = values[i, channel]
            if moves:
                _step(values, i, to_grid, dim, step)
            plane = corners[3 * point] - bottom
            start = max(0, -plane)  # planes of the window that are below this layer
            there = max(0, min(len(supports[0]), planes - plane) - start)  # and in it
            origin = (plane + start) * block[1] * block[2] + corners[3 * point + 1] * block[2] + corners[3 * point + 2]
            at, base = np.uint32(point * AXES), np.uint32(origin)
            last = last_axis(i, at, coordinates, table, lanes, rows, supports, weights)
            for q in range(np.uint32(cuda.threadIdx.x), np.uint32(there) * under, np.uint32(cuda.blockDim.x)):
                a, b, c = q // under, q % under // third, q % third
                term = _term(value, change, step, at, last, np.uint32(start) + a, b, c, supports, moves, weights)
                buffer[base + a * plane_size + b * row_size + c] += term
            cuda.syncthreads()


@inlined
def _add_layer(chunk, strides, block, channel, bottom, planes, buffer, out):
    """Add the planes of a block to the grid; where nothing was added there may be no node."""
    begin = chunk[2] * strides[0] + channel * strides[1] + chunk[3]
    begin += (chunk[4] + bottom) * strides[2] + chunk[5] * strides[3] + chunk[6]
    plane_size = block[1] * block[2]
    cuda.syncthreads()
    for q in range(cuda.threadIdx.x, planes * plane_size, cuda.blockDim.x):
        if buffer[q] != 0.0:
            node = begin + q // plane_size * strides[2] + q % plane_size // block[2] * strides[3] + q % block[2]
            out[node] += buffer[q]
    cuda.syncthreads()


@inlined
def _spread_chunks(
    lo,
    hi,
    chunks,
    coordinates,
    values,
    to_grid,
    table,
    lanes,
    strides,
    supports,
    block,
    channels,
    tangent,
    weights,
    corners,
    buffer,
    step,
    out,
):
    most = min(block[0], len(buffer) // (block[1] * block[2]))
    for c in range(lo + cuda.blockIdx.x, hi, cuda.gridDim.x):
        chunk = chunks[c]
        for channel in range(channels):
            for bottom in range(0, block[0], most):
                planes = min(most, block[0] - bottom)
                _spread_layer(
                    chunk,
                    coordinates,
                    values,
                    to_grid,
                    table,
                    lanes,
                    supports,
                    block,
                    channel,
                    tangent,
                    bottom,
                    planes,
                    weights,
                    corners,
                    buffer,
                    step,
                )
                _add_layer(chunk, strides, block, channel, bottom, planes, buffer, out)


@kernel(threads=THREADS)
def spread(part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, block, out):
    """See ``spreading.cpu.spread``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, values, table, lanes, strides, supports, block, out
        Shapes and dtypes as there.
    """
    weights = cuda.shared.array(WEIGHTS, out.dtype)
    buffer = cuda.shared.array(BUFFER, out.dtype)
    corners = cuda.shared.array(CORNERS, "int64")
    step = cuda.local.array(3, out.dtype)
    _spread_chunks(
        lo,
        hi,
        chunks,
        coordinates,
        values,
        coordinates,
        table,
        lanes,
        strides,
        supports,
        block,
        values.shape[1],
        False,
        weights,
        corners,
        buffer,
        step,
        out,
    )


@kernel(threads=THREADS)
def spread_jvp(part, lo, hi, chunks, coordinates, values, to_grid, table, lanes, strides, supports, block, out):
    """See ``spreading.cpu.spread_jvp``.

    Parameters
    ----------
    part, lo, hi, chunks, coordinates, values, to_grid, table, lanes, strides, supports, block, out
        Shapes and dtypes as there.
    """
    weights = cuda.shared.array(WEIGHTS_AND_SLOPES, out.dtype)
    buffer = cuda.shared.array(BUFFER_JVP, out.dtype)
    corners = cuda.shared.array(CORNERS, "int64")
    step = cuda.local.array(3, out.dtype)
    _spread_chunks(
        lo,
        hi,
        chunks,
        coordinates,
        values,
        to_grid,
        table,
        lanes,
        strides,
        supports,
        block,
        values.shape[1] - coordinates.shape[1],
        True,
        weights,
        corners,
        buffer,
        step,
        out,
    )


@kernel(threads=THREADS)
def merge_scratch(part, lo, hi, merges, scratch, shape, channels, padded, strides, out, pair):
    """See ``spreading.cpu.merge_scratch``.

    Parameters
    ----------
    part, lo, hi, merges, scratch, shape, channels, padded, strides, out, pair
        Shapes and dtypes as there.
    """
    size = shape[0] * shape[1] * shape[2]
    for m in range(lo + cuda.blockIdx.x, hi, cuda.gridDim.x):
        planes, rows = min(shape[0], padded[0] - merges[m, 3]), min(shape[1], padded[1] - merges[m, 4])
        columns = min(shape[2], padded[2] - merges[m, 5])
        for channel in range(channels):
            target = merges[m, 2] * strides[0] + channel * strides[1]
            target += merges[m, 3] * strides[2] + merges[m, 4] * strides[3] + merges[m, 5]
            for q in range(cuda.threadIdx.x, planes * rows * columns, cuda.blockDim.x):
                a, b, c = q // (rows * columns), q // columns % rows, q % columns
                node = target + a * strides[2] + b * strides[3] + c
                for slot in range(merges[m, 0], merges[m, 0] + merges[m, 1]):
                    out[node] += scratch[(slot * channels + channel) * size + (a * shape[1] + b) * shape[2] + c]


def clear(part, lo, hi, grids, reached):
    """See ``spreading.cpu.clear``; here all rows are transformed, and ``reached`` is not looked at.

    Parameters
    ----------
    part, lo, hi, grids, reached
        Shapes and dtypes as there.
    """
    grids.reshape(-1, grids.shape[3])[lo:hi] = 0.0


@kernel(threads=THREADS)
def fold_planes(part, lo, hi, grids, nodes, reached):
    """See ``spreading.cpu.fold_planes``.

    Parameters
    ----------
    part, lo, hi, grids, nodes, reached
        Shapes and dtypes as there.
    """
    rows = grids.shape[2]
    for q in range(lo + cuda.blockIdx.x, hi, cuda.gridDim.x):
        for c in range(cuda.threadIdx.x, grids.shape[3], cuda.blockDim.x):
            for a in range(nodes[0], grids.shape[1]):
                grids[q // rows, a % nodes[0], q % rows, c] += grids[q // rows, a, q % rows, c]


def _met(planes: int, grids, nodes, reached, pair, ends) -> int:
    """Nodes of so many planes for which padding stands."""
    rows, columns = min(nodes[1], grids.shape[2] - nodes[1]), min(nodes[2], grids.shape[3] - nodes[2])
    return planes * (rows * nodes[2] + (nodes[1] - rows) * columns)


@kernel(threads=_met)
def fold_padding(part, lo, hi, grids, nodes, reached, pair, ends):
    """See ``spreading.cpu.fold_padding``; here a thread takes a node and adds to it all that stand for it.

    Parameters
    ----------
    part, lo, hi, grids, nodes, reached, pair, ends
        Shapes and dtypes as there; ``ends`` is true, as the transforms are a library's.
    """
    rows, columns = min(nodes[1], grids.shape[2] - nodes[1]), min(nodes[2], grids.shape[3] - nodes[2])
    upper = rows * nodes[2]
    per_plane = upper + (nodes[1] - rows) * columns
    for q in range(cuda.grid(1), (hi - lo) * per_plane, cuda.gridsize(1)):
        plane, at = lo + q // per_plane, q % per_plane
        b, c = at // nodes[2], at % nodes[2]
        if at >= upper:
            b, c = rows + (at - upper) // columns, (at - upper) % columns
        g, a = plane // nodes[0], plane % nodes[0]
        total = grids.dtype.type(0)
        for image in range(b, grids.shape[2], nodes[1]):
            for other in range(c, grids.shape[3], nodes[2]):
                total += grids[g, a, image, other]
        grids[g, a, b, c] = total
