"""Spreading loops: points → grid.

A block of threads takes a chunk of points, all of one tile, and adds them up in the memory that the block shares: point
after point, every thread some of the nodes under its window. Then the block adds what it has to the grid. Where a tile
and the nodes around it that windows touch do not fit, it is done in layers of planes.

Which thread may write what: tiles that share nodes are never given to the same launch (``schedule``), or have a slot of
scratch each, so no two blocks write the same node, and inside a block points come one after the other. There are no
atomics, and every node receives its terms in one fixed order.

The kernels compute what those of ``spreading.cpu`` compute, from the same arguments; differences are said.
"""

from __future__ import annotations

import numpy as np

from ...machine.cuda.compile import THREADS, cuda, inlined, kernel
from ..points.indexing import (
    FIRST_NODE,
    FIRST_SLOT,
    LAST_NODE,
    MERGE_FIRST_NODE,
    MERGE_LAST_NODE,
    MERGE_SECOND_NODE,
    MERGE_SNAPSHOT,
    OFFSET,
    SECOND_NODE,
    SLOTS,
    SNAPSHOT,
    START,
    STOP,
)
from ..window.cuda import (
    AXES,
    GROUP,
    MOST,
    cell_position,
    group_size,
    last_weights,
    weight,
    weight_and_slope_at,
    weight_at,
)
from ..window.indexing import FIRST, LAST, SECOND

crowded = None  # crowded tiles gain nothing on a device

CORNERS = 3 * GROUP  # a name, because the shape of shared memory has to be a constant to the compiler
WEIGHTS, BUFFER = GROUP * AXES, 5200  # numbers in shared memory: in all below the 48 KiB that every device has
WEIGHTS_AND_SLOPES, BUFFER_JVP = 2 * GROUP * AXES, 4400


@inlined
def _evaluate_group(begin, end, chunk, coordinates, table, lanes, supports, tangent, weights, corners):
    """Weights of the sorted points [begin, end) by a block of threads, one weight each.

    With ``tangent`` the slopes lie ``GROUP * AXES`` behind the weights. ``corners`` are first nodes, relative to those
    of the tile.
    """
    n_coefficients, missing = np.uint32(len(table)) // np.uint32(lanes), 3 - coordinates.shape[1]
    for q in range(cuda.threadIdx.x, (end - begin) * AXES, cuda.blockDim.x):
        point, axis, node = q // AXES, q % AXES // MOST, q % MOST
        width = len(supports[LAST])
        if axis == 0:
            width = len(supports[FIRST])
        elif axis == 1:
            width = len(supports[SECOND])
        coordinate = coordinates[begin + point, axis - missing] if axis >= missing else 0.0
        if node < width and axis >= missing:
            tau = cell_position(coordinate, table)
            if tangent:
                weights[q], weights[GROUP * AXES + q] = weight_and_slope_at(tau, node, table, lanes, n_coefficients)
            else:
                weights[q] = weight_at(tau, node, table, lanes, n_coefficients)
        if node == 0:
            corners[3 * point + axis] = int(coordinate) - chunk[FIRST_NODE + axis]


@inlined
def _term(value, dvalue, step, start, last, a, b, c, supports, tangent, weights):
    """What a point adds to node (a, b, c) under its window: f ψ, or ḟ ψ + f ẋ·∇ψ; its weights begin at ``start``."""
    at_first, at_second, at_last = start + a, start + np.uint32(MOST) + b, last + c
    weight_first = weight(weights, at_first, supports[FIRST], 1)
    weight_second = weight(weights, at_second, supports[SECOND], 1)
    weight_last = weights[at_last]
    if not tangent:
        return value * weight_first * weight_second * weight_last
    slopes = np.uint32(GROUP * AXES)  # where they begin
    change = step[0] * weight(weights, slopes + at_first, supports[FIRST], 0) * weight_second * weight_last
    change += step[1] * weight_first * weight(weights, slopes + at_second, supports[SECOND], 0) * weight_last
    change += step[2] * weight_first * weight_second * weights[slopes + at_last]
    return dvalue * weight_first * weight_second * weight_last + value * change


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
    row_nodes, plane_nodes = np.uint32(len(supports[LAST])), np.uint32(len(supports[SECOND]) * len(supports[LAST]))
    row_size, plane_size = np.uint32(block[2]), np.uint32(block[1] * block[2])
    dim = coordinates.shape[1]
    half = (values.shape[1] - dim) // 2 if tangent else 0
    moves = tangent and channel >= half
    for q in range(cuda.threadIdx.x, planes * plane_size, cuda.blockDim.x):
        buffer[q] = 0.0
    n_coefficients, group = np.uint32(len(table)) // np.uint32(lanes), group_size(supports[SECOND])
    for begin in range(chunk[START], chunk[STOP], group):
        end = min(begin + group, chunk[STOP])
        cuda.syncthreads()
        _evaluate_group(begin, end, chunk, coordinates, table, lanes, supports, moves, weights, corners)
        cuda.syncthreads()
        for i in range(begin, end):
            point = i - begin
            value = values[i, channel - half if moves else channel]
            dvalue = values[i, channel]
            if moves:
                _step(values, i, to_grid, dim, step)
            plane = corners[3 * point] - bottom
            start = max(0, -plane)  # planes of the window that are below this layer
            count = max(0, min(len(supports[FIRST]), planes - plane) - start)  # and in it
            origin = (plane + start) * block[1] * block[2] + corners[3 * point + 1] * block[2] + corners[3 * point + 2]
            weights_start, base = np.uint32(point * AXES), np.uint32(origin)
            last = last_weights(i, weights_start, coordinates, table, lanes, n_coefficients, supports, weights)
            for q in range(np.uint32(cuda.threadIdx.x), np.uint32(count) * plane_nodes, np.uint32(cuda.blockDim.x)):
                a, b, c = q // plane_nodes, q % plane_nodes // row_nodes, q % row_nodes
                first = np.uint32(start) + a
                term = _term(value, dvalue, step, weights_start, last, first, b, c, supports, moves, weights)
                buffer[base + a * plane_size + b * row_size + c] += term
            cuda.syncthreads()


@inlined
def _add_layer(chunk, strides, block, channel, bottom, planes, buffer, out):
    """Add the planes of a block to the grid, but not zeros: they may lie outside the grid."""
    begin = chunk[SNAPSHOT] * strides[0] + channel * strides[1] + chunk[OFFSET]
    begin += (chunk[FIRST_NODE] + bottom) * strides[2] + chunk[SECOND_NODE] * strides[3] + chunk[LAST_NODE]
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
    """Add Σ_j f_j ψ(node − x_j) for the points of ``chunks[lo:hi]``."""
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
    """``spread``, and into C channels more its derivative along (ẋ, ḟ)."""
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
def merge_scratch(part, lo, hi, merges, scratch, shape, channels, padded, strides, out, n_interleaved):
    """Add the scratch blocks of each tile of ``merges[lo:hi]`` to the grid, slot by slot."""
    size = shape[0] * shape[1] * shape[2]
    for m in range(lo + cuda.blockIdx.x, hi, cuda.gridDim.x):
        planes = min(shape[0], padded[0] - merges[m, MERGE_FIRST_NODE])
        rows = min(shape[1], padded[1] - merges[m, MERGE_SECOND_NODE])
        columns = min(shape[2], padded[2] - merges[m, MERGE_LAST_NODE])
        for channel in range(channels):
            target = merges[m, MERGE_SNAPSHOT] * strides[0] + channel * strides[1]
            target += merges[m, MERGE_FIRST_NODE] * strides[2] + merges[m, MERGE_SECOND_NODE] * strides[3]
            target += merges[m, MERGE_LAST_NODE]
            for q in range(cuda.threadIdx.x, planes * rows * columns, cuda.blockDim.x):
                a, b, c = q // (rows * columns), q // columns % rows, q % columns
                node = target + a * strides[2] + b * strides[3] + c
                for slot in range(merges[m, FIRST_SLOT], merges[m, FIRST_SLOT] + merges[m, SLOTS]):
                    out[node] += scratch[(slot * channels + channel) * size + (a * shape[1] + b) * shape[2] + c]


def clear(part, lo, hi, grids, reached):
    """Set the rows [lo, hi) of all grids to zero; a library transforms them all, so ``reached`` is not used."""
    grids.reshape(-1, grids.shape[3])[lo:hi] = 0.0


@kernel(threads=THREADS)
def fold_planes(part, lo, hi, grids, nodes, reached):
    """Add the padding of the first axis to the planes it stands for, in the rows [lo, hi) of all grids."""
    rows = grids.shape[2]
    for q in range(lo + cuda.blockIdx.x, hi, cuda.gridDim.x):
        for c in range(cuda.threadIdx.x, grids.shape[3], cuda.blockDim.x):
            for a in range(nodes[0], grids.shape[1]):
                grids[q // rows, a % nodes[0], q % rows, c] += grids[q // rows, a, q % rows, c]


def _node_threads(planes: int, grids, nodes, reached, n_interleaved, ends) -> int:
    """Nodes of so many planes for which padding stands."""
    rows, columns = min(nodes[1], grids.shape[2] - nodes[1]), min(nodes[2], grids.shape[3] - nodes[2])
    return planes * (rows * nodes[2] + (nodes[1] - rows) * columns)


@kernel(threads=_node_threads)
def fold_padding(part, lo, hi, grids, nodes, reached, n_interleaved, ends):
    """Add the padding of the last two axes to the nodes it stands for.

    A thread takes a node and adds all padding that stands for it; ``ends`` is true, as the transforms are a library's.
    """
    rows, columns = min(nodes[1], grids.shape[2] - nodes[1]), min(nodes[2], grids.shape[3] - nodes[2])
    upper = rows * nodes[2]
    per_plane = upper + (nodes[1] - rows) * columns
    for q in range(cuda.grid(1), (hi - lo) * per_plane, cuda.gridsize(1)):
        plane, node = lo + q // per_plane, q % per_plane
        b, c = node // nodes[2], node % nodes[2]
        if node >= upper:
            b, c = rows + (node - upper) // columns, (node - upper) % columns
        g, a = plane // nodes[0], plane % nodes[0]
        total = grids.dtype.type(0)
        for image_row in range(b, grids.shape[2], nodes[1]):
            for image_column in range(c, grids.shape[3], nodes[2]):
                total += grids[g, a, image_row, image_column]
        grids[g, a, b, c] = total
