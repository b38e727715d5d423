r"""Chains of dense layers, with all that force matching differentiates, in one compiled pass over the rows.

    z = h W + b,   a = σ(z),   out = a, or h + a where the layer skips

``BLOCK`` rows go through all layers, so that what one layer writes the next finds in a cache. What the passes leave for
each other lies on a tape: for every h, a and out (where it is not a) an array (rows, width), one after the other.

Which layers there are is a table with one row for each: widths n_in and n_out, the activation, whether the layer skips,
where its weights and its biases begin among the parameters, and the columns of the tape before its h, a and out.
"""

from __future__ import annotations

import numpy as np

from ...machine.cpu.compile import inlined, kernel
from .activations import activate, scale, scale_pair
from .dense import add, add_outer, add_product, add_rows, repeat, start

__all__ = ["COLUMNS", "forward", "jvp", "vjp", "vjp_pair"]

COLUMNS = 9
BLOCK = 64  # rows


@inlined
def _turn(layers, parameters, turned):
    """The transpose of every weight matrix, in its place."""
    for layer in range(len(layers)):
        n_in, n_out, at = layers[layer, 0], layers[layer, 1], layers[layer, 4]
        for k in range(n_in):
            for o in range(n_out):
                turned[at + o * n_in + k] = parameters[at + k * n_out + o]


@inlined
def _widest(layers):
    """The largest width."""
    widest = 1
    for layer in range(len(layers)):
        widest = max(widest, layers[layer, 0], layers[layer, 1])
    return widest


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
        h of the first layer is there, the rest is written.
    """
    for lo in range(0, rows, BLOCK):
        some = min(BLOCK, rows - lo)
        for layer in range(len(layers)):
            n_in, n_out, kind = layers[layer, 0], layers[layer, 1], layers[layer, 2]
            weight = parameters[layers[layer, 4] : layers[layer, 4] + n_in * n_out]
            bias = parameters[layers[layer, 5] : layers[layer, 5] + n_out]
            h, a = layers[layer, 6] * rows + lo * n_in, layers[layer, 7] * rows + lo * n_out
            repeat(some, bias, tape, a)
            add_product(some, tape, h, n_in, weight, n_out, tape, a)
            activate(kind, tape[a : a + some * n_out])
            if layers[layer, 3]:
                out = layers[layer, 8] * rows + lo * n_out
                add(tape[h : h + some * n_in], tape[a : a + some * n_out], tape[out : out + some * n_out])


@kernel
def vjp(rows, layers, parameters, tape, up, below):
    """Cotangents of the inputs: layer by layer h̄ = (σ′ ā) Wᵀ, and ā more where the layer skips.

    Parameters
    ----------
    rows, layers, parameters, tape
        As for ``forward``.
    up : (n · n_out,)
        Cotangents of the outputs of the last layer.
    below : (n · n_in,)
        Of the inputs of the first, written.
    """
    widest, turned = _widest(layers), np.empty_like(parameters)
    _turn(layers, parameters, turned)
    bar, z_bar, next_bar = np.empty((3, BLOCK * widest), dtype=tape.dtype)
    first, last = layers[0, 0], layers[len(layers) - 1, 1]
    for lo in range(0, rows, BLOCK):
        some = min(BLOCK, rows - lo)
        bar[: some * last] = up[lo * last : (lo + some) * last]
        for back in range(len(layers)):
            layer = len(layers) - 1 - back
            n_in, n_out = layers[layer, 0], layers[layer, 1]
            a = layers[layer, 7] * rows + lo * n_out
            scale(layers[layer, 2], tape[a : a + some * n_out], bar, z_bar)
            start(bar, layers[layer, 3], next_bar[: some * n_in])
            weight = turned[layers[layer, 4] : layers[layer, 4] + n_in * n_out]
            add_product(some, z_bar, 0, n_out, weight, n_in, next_bar, 0)
            bar, next_bar = next_bar, bar
        below[lo * first : (lo + some) * first] = bar[: some * first]


@kernel
def jvp(rows, layers, parameters, tape, dtape):
    """Tangents: layer by layer ȧ = σ′ (ḣ W), and ḣ more where the layer skips.

    Parameters
    ----------
    rows, layers, parameters, tape
        As for ``forward``.
    dtape : (n · columns,)
        As ``tape``: ḣ of the first layer is there, the rest is written.
    """
    for lo in range(0, rows, BLOCK):
        some = min(BLOCK, rows - lo)
        for layer in range(len(layers)):
            n_in, n_out = layers[layer, 0], layers[layer, 1]
            weight = parameters[layers[layer, 4] : layers[layer, 4] + n_in * n_out]
            h, a = layers[layer, 6] * rows + lo * n_in, layers[layer, 7] * rows + lo * n_out
            da = dtape[a : a + some * n_out]
            start(da, False, da)
            add_product(some, dtape, h, n_in, weight, n_out, dtape, a)
            scale(layers[layer, 2], tape[a : a + some * n_out], da, da)
            if layers[layer, 3]:
                out = layers[layer, 8] * rows + lo * n_out
                add(dtape[h : h + some * n_in], da, dtape[out : out + some * n_out])


@kernel
def vjp_pair(rows, layers, parameters, tape, dtape, up, dup, gradient, inputs_too, below, dbelow):
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
    widest, turned = _widest(layers), np.empty_like(parameters)
    _turn(layers, parameters, turned)
    bar, z_bar, next_bar = np.empty((3, BLOCK * widest), dtype=tape.dtype)
    dbar, dz_bar, next_dbar = np.empty((3, BLOCK * widest), dtype=tape.dtype)
    first, last = layers[0, 0], layers[len(layers) - 1, 1]
    for lo in range(0, rows, BLOCK):
        some = min(BLOCK, rows - lo)
        bar[: some * last] = up[lo * last : (lo + some) * last]
        dbar[: some * last] = dup[lo * last : (lo + some) * last]
        for back in range(len(layers)):
            layer = len(layers) - 1 - back
            n_in, n_out, skips, at = layers[layer, 0], layers[layer, 1], layers[layer, 3], layers[layer, 4]
            h, a = layers[layer, 6] * rows + lo * n_in, layers[layer, 7] * rows + lo * n_out
            part, dpart = tape[a : a + some * n_out], dtape[a : a + some * n_out]
            scale_pair(layers[layer, 2], part, dpart, bar, dbar, z_bar, dz_bar)
            weight_bar = gradient[at : at + n_in * n_out]
            add_outer(some, tape, h, n_in, z_bar, n_out, weight_bar)
            add_outer(some, dtape, h, n_in, dz_bar, n_out, weight_bar)
            add_rows(some, z_bar, n_out, gradient[layers[layer, 5] : layers[layer, 5] + n_out])
            if layer == 0 and not inputs_too:
                continue
            start(bar, skips, next_bar[: some * n_in])
            start(dbar, skips, next_dbar[: some * n_in])
            weight = turned[at : at + n_in * n_out]
            add_product(some, z_bar, 0, n_out, weight, n_in, next_bar, 0)
            add_product(some, dz_bar, 0, n_out, weight, n_in, next_dbar, 0)
            bar, next_bar, dbar, next_dbar = next_bar, bar, next_dbar, dbar
        if inputs_too:
            below[lo * first : (lo + some) * first] = bar[: some * first]
            dbelow[lo * first : (lo + some) * first] = dbar[: some * first]
