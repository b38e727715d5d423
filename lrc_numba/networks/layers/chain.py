r"""Chains of dense layers, with all that force matching differentiates, in one compiled pass over the rows.

    z = h W + b,   a = σ(z),   out = a, or h + a where the layer skips

``BLOCK`` rows go through all layers, so that a layer finds the output of the one before in a cache. The passes share a
tape, which holds for every layer the arrays h, a and out (where it is not a), (rows, width) each, one after the other.
Of ``SILU``, whose slopes are not known from σ(z), a is z and its tangent that of z.

The layers are a table with a row for each; its columns are

    N_IN, N_OUT     widths
    KIND            the activation
    SKIPS           whether the input is added to the output
    WEIGHT, BIAS    where its weights and its biases begin among the parameters; BIAS is −1 where it has none
    H, A, OUT       columns of the tape before its h, a and out
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import inlined, kernel
from .activations import SILU, activate, scale, scale_dual, silu
from .dense import add, add_outer, add_product, add_rows, repeat, start

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
    "vjp",
    "vjp_dual",
]

N_IN, N_OUT, KIND, SKIPS, WEIGHT, BIAS, H, A, OUT = range(9)
COLUMNS = 9
BLOCK = 64  # rows


@inlined
def _transpose(layers, parameters, transposed):
    """Write the transpose of every weight matrix where the matrix is among the parameters."""
    for layer in range(len(layers)):
        n_in, n_out, at = layers[layer, N_IN], layers[layer, N_OUT], layers[layer, WEIGHT]
        for k in range(n_in):
            for o in range(n_out):
                transposed[at + o * n_in + k] = parameters[at + k * n_out + o]


@inlined
def _widest(layers):
    """The largest width."""
    widest = 1
    for layer in range(len(layers)):
        widest = max(widest, layers[layer, N_IN], layers[layer, N_OUT])
    return widest


@inlined
def _add_to(values, out):
    for i in range(len(values)):
        out[i] += values[i]


@kernel
def forward(rows, layers, parameters, tape):
    """Fill the tape from its first array, the inputs, on.

    Parameters
    ----------
    rows : int
        n.
    layers : (layers, COLUMNS) int64
        See the module.
    parameters : 1-D array
        Weights and biases.
    tape : (n · columns,)
        Holds h of the first layer; all else is written.
    """
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        for layer in range(len(layers)):
            n_in, n_out, kind = layers[layer, N_IN], layers[layer, N_OUT], layers[layer, KIND]
            weight = parameters[layers[layer, WEIGHT] : layers[layer, WEIGHT] + n_in * n_out]
            h, a = layers[layer, H] * rows + lo * n_in, layers[layer, A] * rows + lo * n_out
            if layers[layer, BIAS] >= 0:
                repeat(count, parameters[layers[layer, BIAS] : layers[layer, BIAS] + n_out], tape, a)
            else:
                tape[a : a + count * n_out] = 0
            add_product(count, tape, h, n_in, weight, n_out, tape, a)
            out = layers[layer, OUT] * rows + lo * n_out
            if kind == SILU:
                silu(tape[a : a + count * n_out], tape[out : out + count * n_out])
                if layers[layer, SKIPS]:
                    _add_to(tape[h : h + count * n_in], tape[out : out + count * n_out])
                continue
            activate(kind, tape[a : a + count * n_out])
            if layers[layer, SKIPS]:
                add(tape[h : h + count * n_in], tape[a : a + count * n_out], tape[out : out + count * n_out])


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
    widest, transposed = _widest(layers), np.empty_like(parameters)
    _transpose(layers, parameters, transposed)
    bar, z_bar, next_bar, work = np.empty((4, BLOCK * widest), dtype=tape.dtype)
    first, last = layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        bar[: count * last] = up[lo * last : (lo + count) * last]
        for back in range(len(layers)):
            layer = len(layers) - 1 - back
            n_in, n_out = layers[layer, N_IN], layers[layer, N_OUT]
            a = layers[layer, A] * rows + lo * n_out
            scale(layers[layer, KIND], tape[a : a + count * n_out], bar, z_bar, work)
            if len(gradient):
                at, h = layers[layer, WEIGHT], layers[layer, H] * rows + lo * n_in
                add_outer(count, tape, h, n_in, z_bar, n_out, gradient[at : at + n_in * n_out])
                if layers[layer, BIAS] >= 0:
                    add_rows(count, z_bar, n_out, gradient[layers[layer, BIAS] : layers[layer, BIAS] + n_out])
            start(bar, layers[layer, SKIPS], next_bar[: count * n_in])
            weight = transposed[layers[layer, WEIGHT] : layers[layer, WEIGHT] + n_in * n_out]
            add_product(count, z_bar, 0, n_out, weight, n_in, next_bar, 0)
            bar, next_bar = next_bar, bar
        below[lo * first : (lo + count) * first] = bar[: count * first]


@kernel
def jvp(rows, layers, parameters, tape, dtape):
    """Tangents: layer by layer ȧ = σ′ (ḣ W), and ḣ more where the layer skips.

    Parameters
    ----------
    rows, layers, parameters, tape
        As for ``forward``.
    dtape : (n · columns,)
        As ``tape``: holds ḣ of the first layer; all else is written.
    """
    work = np.empty(BLOCK * _widest(layers), dtype=tape.dtype)
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        for layer in range(len(layers)):
            n_in, n_out = layers[layer, N_IN], layers[layer, N_OUT]
            weight = parameters[layers[layer, WEIGHT] : layers[layer, WEIGHT] + n_in * n_out]
            h, a = layers[layer, H] * rows + lo * n_in, layers[layer, A] * rows + lo * n_out
            da = dtape[a : a + count * n_out]
            start(da, False, da)
            add_product(count, dtape, h, n_in, weight, n_out, dtape, a)
            out = layers[layer, OUT] * rows + lo * n_out
            to = out if layers[layer, KIND] == SILU else a
            moved = dtape[to : to + count * n_out]
            scale(layers[layer, KIND], tape[a : a + count * n_out], da, moved, work)
            if layers[layer, SKIPS]:
                add(dtape[h : h + count * n_in], moved, dtape[out : out + count * n_out])


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
    widest, transposed = _widest(layers), np.empty_like(parameters)
    _transpose(layers, parameters, transposed)
    bar, z_bar, next_bar, work = np.empty((4, BLOCK * widest), dtype=tape.dtype)
    dbar, dz_bar, next_dbar = np.empty((3, BLOCK * widest), dtype=tape.dtype)
    first, last = layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    for lo in range(0, rows, BLOCK):
        count = min(BLOCK, rows - lo)
        bar[: count * last] = up[lo * last : (lo + count) * last]
        dbar[: count * last] = dup[lo * last : (lo + count) * last]
        for back in range(len(layers)):
            layer = len(layers) - 1 - back
            n_in, n_out, at = layers[layer, N_IN], layers[layer, N_OUT], layers[layer, WEIGHT]
            h, a = layers[layer, H] * rows + lo * n_in, layers[layer, A] * rows + lo * n_out
            value, tangent = tape[a : a + count * n_out], dtape[a : a + count * n_out]
            scale_dual(layers[layer, KIND], value, tangent, bar, dbar, z_bar, dz_bar, work)
            weight_bar = gradient[at : at + n_in * n_out]
            add_outer(count, tape, h, n_in, z_bar, n_out, weight_bar)
            add_outer(count, dtape, h, n_in, dz_bar, n_out, weight_bar)
            if layers[layer, BIAS] >= 0:
                add_rows(count, z_bar, n_out, gradient[layers[layer, BIAS] : layers[layer, BIAS] + n_out])
            if layer == 0 and not inputs_too:
                continue
            start(bar, layers[layer, SKIPS], next_bar[: count * n_in])
            start(dbar, layers[layer, SKIPS], next_dbar[: count * n_in])
            weight = transposed[at : at + n_in * n_out]
            add_product(count, z_bar, 0, n_out, weight, n_in, next_bar, 0)
            add_product(count, dz_bar, 0, n_out, weight, n_in, next_dbar, 0)
            bar, next_bar, dbar, next_dbar = next_bar, bar, next_dbar, dbar
        if inputs_too:
            below[lo * first : (lo + count) * first] = bar[: count * first]
            dbelow[lo * first : (lo + count) * first] = dbar[: count * first]
