r"""Chains of dense layers, with all that force matching differentiates, in one compiled pass over the rows.

    z = h W + b,   a = σ(z),   out = a, or h + a where the layer skips

``BLOCK`` rows go through all layers, so that a layer finds the output of the one before in a cache. Inputs and outputs
are given row by row; within a block numbers are held column by column (see ``dense``), and so is the tape that the
passes share: block after block, and in each the columns h, a and out (where it is not a) of every layer. A block is as
wide as its rows, rounded up to vectors. Of ``SILU``, whose slopes are not known from σ(z), a is z and its tangent that
of z.

The layers are a table with a row for each; its columns are

    N_IN, N_OUT     widths
    KIND            the activation
    SKIPS           whether the input is added to the output
    WEIGHT, BIAS    where its weights and its biases begin among the parameters; BIAS is −1 where it has none
    H, A, OUT       columns of a block before its h, a and out
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import inlined, kernel
from .activations import SILU, activate, scale, scale_dual, silu
from .dense import LONG, add, add_outer, add_product, add_rows, fill, gather, scatter, start, width_of

__all__ = [
    "BIAS",
    "BLOCK",
    "COLUMNS",
    "KIND",
    "LINE",
    "N_IN",
    "N_OUT",
    "OUT",
    "SKIPS",
    "WEIGHT",
    "A",
    "H",
    "columns_of",
    "forward",
    "forward_block",
    "jvp",
    "jvp_block",
    "room_of",
    "skipped",
    "tape_size",
    "vjp",
    "vjp_block",
    "vjp_dual",
    "vjp_dual_block",
]

N_IN, N_OUT, KIND, SKIPS, WEIGHT, BIAS, H, A, OUT = range(9)
COLUMNS = 9
BLOCK = 64  # rows
LINE = 64  # bytes


def tape_size(rows: int, layers: np.ndarray, itemsize: int) -> int:
    """Numbers on a tape.

    Parameters
    ----------
    rows : int
        n.
    layers : (layers, COLUMNS) int64
        See the module.
    itemsize : int
        Bytes of a number.
    """
    long = LONG // itemsize
    return -(-rows // long) * long * int(layers[-1, OUT] + layers[-1, N_OUT])


@inlined
def columns_of(layers):
    """Columns of a block of the tape; the last are those of the outputs.

    Parameters
    ----------
    layers : (layers, COLUMNS) int64
        See the module.
    """
    return layers[len(layers) - 1, OUT] + layers[len(layers) - 1, N_OUT]


@inlined
def _widest(layers):
    """The largest number of columns of a layer."""
    widest = 1
    for layer in range(len(layers)):
        widest = max(widest, layers[layer, N_IN], layers[layer, N_OUT])
    return widest


@inlined
def room_of(layers):
    """Numbers of a block of the widest layer.

    Parameters
    ----------
    layers : (layers, COLUMNS) int64
        See the module.
    """
    return BLOCK * _widest(layers)


@inlined
def skipped(room):
    """Numbers up to the first cache line: vectors of that length then cross none.

    Parameters
    ----------
    room : 1-D array
        With ``LINE`` bytes more than are needed.
    """
    return -room.ctypes.data % LINE // room.itemsize


@inlined
def _add_to(values, out):
    for i in range(len(values)):
        out[i] += values[i]


@inlined
def forward_block(layers, parameters, tape, base, width):
    """Fill a block of the tape, the columns h of the first layer apart.

    Parameters
    ----------
    layers : (layers, COLUMNS) int64
        See the module.
    parameters : 1-D array
        Weights and biases.
    tape : 1-D array
        The block is written.
    base, width : int
        Where the block begins, and its width.
    """
    for layer in range(len(layers)):
        n_in, n_out, kind = layers[layer, N_IN], layers[layer, N_OUT], layers[layer, KIND]
        h, a = base + layers[layer, H] * width, base + layers[layer, A] * width
        fill(n_out, parameters, layers[layer, BIAS], tape, a, width)
        add_product(n_out, n_in, parameters, layers[layer, WEIGHT], 1, n_out, tape, h, tape, a, width)
        out = base + layers[layer, OUT] * width
        below, z, above = tape[h : h + n_in * width], tape[a : a + n_out * width], tape[out : out + n_out * width]
        if kind == SILU:
            silu(z, above)
            if layers[layer, SKIPS]:
                _add_to(below, above)
            continue
        activate(kind, z)
        if layers[layer, SKIPS]:
            add(below, z, above)


@kernel
def forward(rows, layers, parameters, inputs, tape, outputs):
    """Fill the tape, and the outputs.

    Parameters
    ----------
    rows : int
        n.
    layers : (layers, COLUMNS) int64
        See the module.
    parameters : 1-D array
        Weights and biases.
    inputs : (n · n_in,)
        Of the first layer.
    tape : (tape_size,)
        Written.
    outputs : (n · n_out,)
        Of the last layer, written.
    """
    columns, first, last = columns_of(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, inputs, lo * first, first, tape, base, width)
        forward_block(layers, parameters, tape, base, width)
        scatter(count, tape, base + (columns - last) * width, width, last, outputs, lo * last)


@inlined
def vjp_block(layers, parameters, tape, base, width, gradient, bar, z_bar, next_bar, work):
    """Cotangents of the inputs of a block, in ``next_bar`` where the number of layers is odd, else in ``bar``.

    Parameters
    ----------
    layers, parameters, tape, base, width
        As for ``forward_block``; the tape is read.
    gradient : 1-D array
        As for ``vjp``.
    bar : 1-D array
        Columns of the cotangents of the outputs; overwritten.
    z_bar, next_bar, work : 1-D arrays
        Room for the widest layer.
    """
    for back in range(len(layers)):
        layer = len(layers) - 1 - back
        n_in, n_out, at = layers[layer, N_IN], layers[layer, N_OUT], layers[layer, WEIGHT]
        h, a = base + layers[layer, H] * width, base + layers[layer, A] * width
        scale(layers[layer, KIND], tape[a : a + n_out * width], bar, z_bar)
        if len(gradient):
            add_outer(n_in, n_out, tape, h, z_bar, 0, width, gradient, at, work)
            if layers[layer, BIAS] >= 0:
                add_rows(n_out, z_bar, 0, width, gradient, layers[layer, BIAS])
        start(bar, layers[layer, SKIPS], next_bar[: n_in * width])
        add_product(n_in, n_out, parameters, at, n_out, 1, z_bar, 0, next_bar, 0, width)
        bar, next_bar = next_bar, bar


@kernel
def vjp(rows, layers, parameters, tape, up, gradient, below):
    """Cotangents of the inputs: layer by layer h̄ = (σ′ ā) Wᵀ, and ā more where the layer skips; W̄ = hᵀ z̄, b̄ = Σ z̄.

    Parameters
    ----------
    rows, layers, parameters, tape
        As for ``forward``.
    up : (n · n_out,)
        Cotangents of the outputs of the last layer.
    gradient : 1-D array, as ``parameters`` or empty
        Added to, where it is not empty.
    below : (n · n_in,)
        Of the inputs of the first, written.
    """
    columns, first, last = columns_of(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    size = room_of(layers)
    room = np.empty(4 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[skipped(room) :]
    bar, z_bar, next_bar, work = room[:size], room[size:][:size], room[2 * size :][:size], room[3 * size :][:size]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, up, lo * last, last, bar, 0, width)
        vjp_block(layers, parameters, tape, base, width, gradient, bar, z_bar, next_bar, work)
        scatter(count, next_bar if len(layers) % 2 else bar, 0, width, first, below, lo * first)


@inlined
def jvp_block(layers, parameters, tape, dtape, base, width):
    """Fill a block of the tape of tangents, the columns ḣ of the first layer apart.

    Parameters
    ----------
    layers, parameters, tape, base, width
        As for ``forward_block``; the tape is read.
    dtape : 1-D array
        The block is written.
    """
    for layer in range(len(layers)):
        n_in, n_out = layers[layer, N_IN], layers[layer, N_OUT]
        h, a = base + layers[layer, H] * width, base + layers[layer, A] * width
        fill(n_out, parameters, -1, dtape, a, width)
        add_product(n_out, n_in, parameters, layers[layer, WEIGHT], 1, n_out, dtape, h, dtape, a, width)
        out = base + layers[layer, OUT] * width
        to = out if layers[layer, KIND] == SILU else a
        moved = dtape[to : to + n_out * width]
        scale(layers[layer, KIND], tape[a : a + n_out * width], dtape[a : a + n_out * width], moved)
        if layers[layer, SKIPS]:
            add(dtape[h : h + n_in * width], moved, dtape[out : out + n_out * width])


@kernel
def jvp(rows, layers, parameters, tape, tangents, dtape, outputs):
    """Tangents: layer by layer ȧ = σ′ (ḣ W), and ḣ more where the layer skips.

    Parameters
    ----------
    rows, layers, parameters, tape
        As for ``forward``.
    tangents : (n · n_in,)
        ḣ of the first layer.
    dtape : (tape_size,)
        As ``tape``, written.
    outputs : (n · n_out,)
        Tangents of the outputs of the last layer, written.
    """
    columns, first, last = columns_of(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, tangents, lo * first, first, dtape, base, width)
        jvp_block(layers, parameters, tape, dtape, base, width)
        scatter(count, dtape, base + (columns - last) * width, width, last, outputs, lo * last)


@inlined
def vjp_dual_block(layers, parameters, tape, dtape, base, width, gradient, inputs_too, bars, dbars, work):
    """Cotangents of the inputs of a block and of their tangents, in the arrays that ``vjp_block`` tells.

    Parameters
    ----------
    layers, parameters, tape, dtape, base, width
        As for ``jvp_block``; the tapes are read.
    gradient, inputs_too
        As for ``vjp_dual``.
    bars, dbars : three 1-D arrays each
        bar, next_bar and z_bar of ``vjp_block``.
    work : 1-D array
        Room.
    """
    (bar, next_bar, z_bar), (dbar, next_dbar, dz_bar) = bars, dbars
    for back in range(len(layers)):
        layer = len(layers) - 1 - back
        n_in, n_out, at = layers[layer, N_IN], layers[layer, N_OUT], layers[layer, WEIGHT]
        h, a = base + layers[layer, H] * width, base + layers[layer, A] * width
        value, tangent = tape[a : a + n_out * width], dtape[a : a + n_out * width]
        scale_dual(layers[layer, KIND], value, tangent, bar, dbar, z_bar, dz_bar)
        add_outer(n_in, n_out, tape, h, z_bar, 0, width, gradient, at, work)
        add_outer(n_in, n_out, dtape, h, dz_bar, 0, width, gradient, at, work)
        if layers[layer, BIAS] >= 0:
            add_rows(n_out, z_bar, 0, width, gradient, layers[layer, BIAS])
        if layer == 0 and not inputs_too:
            continue
        start(bar, layers[layer, SKIPS], next_bar[: n_in * width])
        start(dbar, layers[layer, SKIPS], next_dbar[: n_in * width])
        add_product(n_in, n_out, parameters, at, n_out, 1, z_bar, 0, next_bar, 0, width)
        add_product(n_in, n_out, parameters, at, n_out, 1, dz_bar, 0, next_dbar, 0, width)
        bar, next_bar, dbar, next_dbar = next_bar, bar, next_dbar, dbar


@kernel
def vjp_dual(rows, layers, parameters, tape, dtape, up, dup, gradient, inputs_too, below, dbelow):
    """Cotangents of a chain and its tangent: W̄ = hᵀ z̄ + ḣᵀ ż̄ and b̄ = Σ z̄, added; h̄ and ḣ̄ where they are wanted.

    Parameters
    ----------
    rows, layers, parameters, tape, dtape
        As for ``jvp``.
    up, dup : (n · n_out,)
        Cotangents of the outputs of the last layer, and of their tangents.
    gradient : 1-D array, as ``parameters``
        Added to.
    inputs_too : bool
        Whether the cotangents of the inputs of the first layer are wanted.
    below, dbelow : (n · n_in,)
        Those, written.
    """
    columns, first, last = columns_of(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    size = room_of(layers)
    room = np.empty(7 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[skipped(room) :]
    bars = room[:size], room[size:][:size], room[2 * size :][:size]
    dbars, work = (room[3 * size :][:size], room[4 * size :][:size], room[5 * size :][:size]), room[6 * size :]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, up, lo * last, last, bars[0], 0, width)
        gather(count, dup, lo * last, last, dbars[0], 0, width)
        vjp_dual_block(layers, parameters, tape, dtape, base, width, gradient, inputs_too, bars, dbars, work)
        if inputs_too:
            end = len(layers) % 2
            scatter(count, bars[end], 0, width, first, below, lo * first)
            scatter(count, dbars[end], 0, width, first, dbelow, lo * first)
