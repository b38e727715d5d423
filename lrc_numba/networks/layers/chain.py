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
    "COLUMNS",
    "KIND",
    "N_IN",
    "N_OUT",
    "OUT",
    "SKIPS",
    "WEIGHT",
    "A",
    "H",
    "forward",
    "jvp",
    "tape_size",
    "vjp",
    "vjp_dual",
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
def _columns(layers):
    """Of a block of the tape."""
    return layers[len(layers) - 1, OUT] + layers[len(layers) - 1, N_OUT]


@inlined
def _widest(layers):
    """The largest number of columns of a layer."""
    widest = 1
    for layer in range(len(layers)):
        widest = max(widest, layers[layer, N_IN], layers[layer, N_OUT])
    return widest


@inlined
def _skipped(room):
    """Numbers up to the first cache line: vectors of that length then cross none."""
    return -room.ctypes.data % LINE // room.itemsize


@inlined
def _add_to(values, out):
    for i in range(len(values)):
        out[i] += values[i]


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
    columns, first, end = _columns(layers), layers[0, N_IN], len(layers) - 1
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, inputs, lo * first, first, tape, base, width)
        for layer in range(len(layers)):
            n_in, n_out, kind = layers[layer, N_IN], layers[layer, N_OUT], layers[layer, KIND]
            h, a = base + layers[layer, H] * width, base + layers[layer, A] * width
            fill(n_out, parameters, layers[layer, BIAS], tape, a, width)
            at = layers[layer, WEIGHT]
            add_product(n_out, n_in, parameters, at, 1, n_out, tape, h, tape, a, width)
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
        n_out = layers[end, N_OUT]
        scatter(count, tape, base + layers[end, OUT] * width, width, n_out, outputs, lo * n_out)


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
    columns, first, last = _columns(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    size = BLOCK * _widest(layers)
    room = np.empty(4 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[_skipped(room) :]
    bar, z_bar, next_bar, work = room[:size], room[size:][:size], room[2 * size :][:size], room[3 * size :][:size]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, up, lo * last, last, bar, 0, width)
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
        scatter(count, bar, 0, width, first, below, lo * first)


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
    columns, first, end = _columns(layers), layers[0, N_IN], len(layers) - 1
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, tangents, lo * first, first, dtape, base, width)
        for layer in range(len(layers)):
            n_in, n_out = layers[layer, N_IN], layers[layer, N_OUT]
            h, a = base + layers[layer, H] * width, base + layers[layer, A] * width
            fill(n_out, parameters, -1, dtape, a, width)
            at = layers[layer, WEIGHT]
            add_product(n_out, n_in, parameters, at, 1, n_out, dtape, h, dtape, a, width)
            out = base + layers[layer, OUT] * width
            to = out if layers[layer, KIND] == SILU else a
            moved = dtape[to : to + n_out * width]
            scale(layers[layer, KIND], tape[a : a + n_out * width], dtape[a : a + n_out * width], moved)
            if layers[layer, SKIPS]:
                add(dtape[h : h + n_in * width], moved, dtape[out : out + n_out * width])
        n_out = layers[end, N_OUT]
        scatter(count, dtape, base + layers[end, OUT] * width, width, n_out, outputs, lo * n_out)


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
    columns, first, last = _columns(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    size = BLOCK * _widest(layers)
    room = np.empty(7 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[_skipped(room) :]
    bar, z_bar, next_bar, work = room[:size], room[size:][:size], room[2 * size :][:size], room[3 * size :][:size]
    dbar, dz_bar, next_dbar = room[4 * size :][:size], room[5 * size :][:size], room[6 * size :][:size]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, up, lo * last, last, bar, 0, width)
        gather(count, dup, lo * last, last, dbar, 0, width)
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
        if inputs_too:
            scatter(count, bar, 0, width, first, below, lo * first)
            scatter(count, dbar, 0, width, first, dbelow, lo * first)
