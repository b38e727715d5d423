r"""Sums over pairs of what a chain makes of them, and the derivatives of these sums, block by block.

    D_i = Σ w_p f(x_p) over the pairs p that end in i

with weights w. A pair may have one end or two. What the chain makes of a block is added up while it is in a cache, and
its cotangents are made there: neither has an array of its own. The blocks of the chain are those of ``chain``.

Rows of points are ``stride`` numbers wide; the sums are those from ``column`` on, as many as the chain has outputs: a
multiple of eight. ``ends`` (1 or 2, P) int64 are the points.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ...machine.cpu import simd, simd_lanes
from ...machine.cpu.compile import inlined, kernel
from ...machine.workspace import Workspace
from . import chain
from .chain import (
    BLOCK,
    LINE,
    N_IN,
    N_OUT,
    columns_of,
    forward_block,
    jvp_block,
    room_of,
    skipped,
    vjp_block,
    vjp_dual_block,
)
from .dense import LONG, gather, scatter, width_of
from .parameters import Parameters
from .perceptron import Perceptron

__all__ = ["PairSum", "Weighted"]

EIGHT = (0,) * 8


@inlined
def _add_to_points(ends, lo, count, rows, n, out, stride, column):
    """Add rows of a block to those of the points where the pairs end."""
    for side in range(len(ends)):
        for r in range(count):
            i = ends[side, lo + r] * stride + column
            for k in range(0, n, 8):
                simd.store(out, i + k, simd.load(out, i + k, EIGHT) + simd.load(rows, r * n + k, EIGHT))


@inlined
def _of_points(ends, lo, count, values, stride, column, n, rows, out, width):
    """Columns of the sums of the rows of the points where the pairs of a block end: the transpose of the former."""
    for r in range(count):
        i = ends[0, lo + r] * stride + column
        for k in range(0, n, 8):
            simd.store(rows, r * n + k, simd.load(values, i + k, EIGHT))
        if len(ends) > 1:
            j = ends[1, lo + r] * stride + column
            for k in range(0, n, 8):
                simd.store(rows, r * n + k, simd.load(rows, r * n + k, EIGHT) + simd.load(values, j + k, EIGHT))
    gather(count, rows, 0, n, out, 0, width)


@inlined
def _scaled(n, weights, values, p, out, width):
    """out = w values, column by column; the weights are a column."""
    long = simd_lanes.lanes(out, LONG)
    for r in range(0, width, len(long)):
        line = simd.load(weights, r, long)
        for k in range(n):
            simd.store(out, k * width + r, line * simd.load(values, p + k * width + r, long))


@inlined
def _add_scaled(n, weights, values, p, out, width):
    """out += w values."""
    long = simd_lanes.lanes(out, LONG)
    for r in range(0, width, len(long)):
        line = simd.load(weights, r, long)
        for k in range(n):
            total = simd.load(out, k * width + r, long)
            simd.store(out, k * width + r, simd.fma(line, simd.load(values, p + k * width + r, long), total))


@inlined
def _dots(n, left, p, right, out, width):
    """Σ_k left_k right_k of every row, a column."""
    long = simd_lanes.lanes(out, LONG)
    for r in range(0, width, len(long)):
        total = simd.zero(out, long)
        for k in range(n):
            total = simd.fma(simd.load(left, p + k * width + r, long), simd.load(right, k * width + r, long), total)
        simd.store(out, r, total)


@kernel
def _forward(ends, weights, layers, parameters, inputs, tape, stride, column, out):
    """Fill the tape of the chain, and add to the sums.

    Parameters
    ----------
    ends, stride, column
        See the module.
    weights : (P,)
        w.
    layers, parameters, inputs, tape
        As for ``chain.forward``, a row for each pair.
    out : (points · stride,)
        D, added to.
    """
    columns, first, n = columns_of(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    size = room_of(layers)
    room = np.empty(3 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[skipped(room) :]
    values, rows, weight = room[:size], room[size:][:size], room[2 * size :]
    for lo in range(0, len(weights), BLOCK):
        count = min(BLOCK, len(weights) - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, inputs, lo * first, first, tape, base, width)
        gather(count, weights, lo, 1, weight, 0, width)
        forward_block(layers, parameters, tape, base, width)
        _scaled(n, weight, tape, base + (columns - n) * width, values, width)
        scatter(count, values, 0, width, n, rows, 0)
        _add_to_points(ends, lo, count, rows, n, out, stride, column)


@kernel
def _vjp(ends, weights, layers, parameters, tape, up, stride, column, gradient, below, weight_bars):
    """Cotangents of the inputs and of the weights; those of the parameters are added.

    Parameters
    ----------
    ends, stride, column
        See the module.
    weights, layers, parameters, tape
        As for ``_forward``.
    up : (points · stride,)
        Cotangents of the sums.
    gradient, below
        As for ``chain.vjp``.
    weight_bars : (P,)
        Written.
    """
    columns, first, n = columns_of(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    size = room_of(layers)
    room = np.empty(6 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[skipped(room) :]
    bar, z_bar, next_bar, work = room[:size], room[size:][:size], room[2 * size :][:size], room[3 * size :][:size]
    weight, dots = room[4 * size :][:size], room[5 * size :]
    for lo in range(0, len(weights), BLOCK):
        count = min(BLOCK, len(weights) - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, weights, lo, 1, weight, 0, width)
        _of_points(ends, lo, count, up, stride, column, n, work, next_bar, width)
        _dots(n, tape, base + (columns - n) * width, next_bar, dots, width)
        scatter(count, dots, 0, width, 1, weight_bars, lo)
        _scaled(n, weight, next_bar, 0, bar, width)
        vjp_block(layers, parameters, tape, base, width, gradient, bar, z_bar, next_bar, work)
        scatter(count, next_bar if len(layers) % 2 else bar, 0, width, first, below, lo * first)


@kernel
def _jvp(ends, weights, dweights, layers, parameters, tape, tangents, dtape, stride, column, out):
    """Fill the tape of tangents, and add to the tangents of the sums, Σ w ḟ + ẇ f.

    Parameters
    ----------
    ends, stride, column
        See the module.
    weights, dweights : (P,)
        w and ẇ.
    layers, parameters, tape, tangents, dtape
        As for ``chain.jvp``.
    out : (points · stride,)
        Ḋ, added to.
    """
    columns, first, n = columns_of(layers), layers[0, N_IN], layers[len(layers) - 1, N_OUT]
    size = room_of(layers)
    room = np.empty(4 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[skipped(room) :]
    values, rows, weight, dweight = room[:size], room[size:][:size], room[2 * size :][:size], room[3 * size :]
    for lo in range(0, len(weights), BLOCK):
        count = min(BLOCK, len(weights) - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, tangents, lo * first, first, dtape, base, width)
        gather(count, weights, lo, 1, weight, 0, width)
        gather(count, dweights, lo, 1, dweight, 0, width)
        jvp_block(layers, parameters, tape, dtape, base, width)
        end = base + (columns - n) * width
        _scaled(n, weight, dtape, end, values, width)
        _add_scaled(n, dweight, tape, end, values, width)
        scatter(count, values, 0, width, n, rows, 0)
        _add_to_points(ends, lo, count, rows, n, out, stride, column)


@kernel
def _vjp_dual(ends, weights, dweights, layers, parameters, tape, dtape, up, dup, stride, column, gradient):
    """Add the gradient by the parameters of sums and their tangents.

    Parameters
    ----------
    ends, stride, column
        See the module.
    weights, dweights, layers, parameters, tape, dtape
        As for ``_jvp``.
    up, dup : (points · stride,)
        Cotangents of the sums and of their tangents.
    gradient : 1-D array, as ``parameters``
        Added to.
    """
    columns, n = columns_of(layers), layers[len(layers) - 1, N_OUT]
    size = room_of(layers)
    room = np.empty(9 * size + LINE // tape.itemsize, dtype=tape.dtype)
    room = room[skipped(room) :]
    bars = room[:size], room[size:][:size], room[2 * size :][:size]
    dbars, work = (room[3 * size :][:size], room[4 * size :][:size], room[5 * size :][:size]), room[6 * size :][:size]
    weight, dweight = room[7 * size :][:size], room[8 * size :]
    for lo in range(0, len(weights), BLOCK):
        count = min(BLOCK, len(weights) - lo)
        width, base = width_of(count, tape), lo * columns
        gather(count, weights, lo, 1, weight, 0, width)
        gather(count, dweights, lo, 1, dweight, 0, width)
        _of_points(ends, lo, count, up, stride, column, n, work, bars[1], width)
        _of_points(ends, lo, count, dup, stride, column, n, work, dbars[1], width)
        _scaled(n, weight, bars[1], 0, bars[0], width)
        _add_scaled(n, dweight, dbars[1], 0, bars[0], width)
        _scaled(n, weight, dbars[1], 0, dbars[0], width)
        vjp_dual_block(layers, parameters, tape, dtape, base, width, gradient, False, bars, dbars, work)


@dataclass
class Weighted:
    """Pairs as a sum sees them: where they end, and their weights.

    Attributes
    ----------
    ends : (1 or 2, P) int64
        Points.
    weights : (P,)
        w.
    dweights : (P,) or None
        ẇ, from ``jvp`` on.
    """

    ends: np.ndarray
    weights: np.ndarray
    dweights: np.ndarray | None = None


@dataclass(frozen=True)
class PairSum:
    """The sums of what a perceptron makes of pairs, and their derivatives.

    Parameters
    ----------
    perceptron : Perceptron
        f; its last layer is a multiple of eight wide.
    column : int
        The first column of the sums in the rows of points.
    """

    perceptron: Perceptron
    column: int

    def _tape(self, use: str, inputs: np.ndarray, layers: np.ndarray, space: Workspace) -> np.ndarray:
        size = chain.tape_size(len(inputs), layers, inputs.dtype.itemsize)
        return space.take(f"{self.perceptron.name} {use}", (size,), inputs.dtype)

    def forward(
        self, parameters: Parameters, pairs: Weighted, inputs: np.ndarray, out: np.ndarray, space: Workspace
    ) -> np.ndarray:
        """Add to the sums; the tape.

        Parameters
        ----------
        parameters : Parameters
            Of the perceptron.
        pairs : Weighted
            P of them.
        inputs : (P, n_in)
            x.
        out : (points, stride)
            Rows of points, contiguous, added to.
        space : Workspace
            Where the tape lives until the next one.
        """
        layers = self.perceptron.table(parameters)
        tape = self._tape("tape", inputs, layers, space)
        where = out.shape[1], self.column, out.ravel()
        _forward(pairs.ends, pairs.weights, layers, parameters.flat, inputs.ravel(), tape, *where)
        return tape

    def vjp(
        self,
        parameters: Parameters,
        pairs: Weighted,
        tape: np.ndarray,
        up: np.ndarray,
        gradient: Parameters | None = None,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Cotangents of the inputs (P, n_in) and of the weights (P,); a gradient, where one is given, is added to.

        Parameters
        ----------
        parameters, pairs, tape
            From ``forward``.
        up : (points, stride)
            Cotangents of the rows of points, contiguous.
        gradient : Parameters, optional
            Added to.
        """
        below = np.empty((len(pairs.weights), self.perceptron.sizes[0]), dtype=up.dtype)
        weight_bars = np.empty_like(pairs.weights)
        into = parameters.flat[:0] if gradient is None else gradient.flat
        layers, where = self.perceptron.table(parameters), (up.shape[1], self.column)
        network = layers, parameters.flat, tape, up.ravel()
        _vjp(pairs.ends, pairs.weights, *network, *where, into, below.ravel(), weight_bars)
        return below, weight_bars

    def jvp(
        self,
        parameters: Parameters,
        pairs: Weighted,
        tape: np.ndarray,
        tangents: np.ndarray,
        out: np.ndarray,
        space: Workspace,
    ) -> np.ndarray:
        """Add to the tangents of the sums; the tape of tangents.

        Parameters
        ----------
        parameters, pairs, tape
            From ``forward``, the pairs with tangents of their weights.
        tangents : (P, n_in)
            ẋ.
        out : (points, stride)
            As for ``forward``.
        space : Workspace
            Where the tape of tangents lives until the next one.
        """
        layers = self.perceptron.table(parameters)
        dtape = self._tape("tangents", tangents, layers, space)
        network = layers, parameters.flat, tape, tangents.ravel(), dtape
        _jvp(pairs.ends, pairs.weights, pairs.dweights, *network, out.shape[1], self.column, out.ravel())
        return dtape

    def vjp_dual(
        self,
        parameters: Parameters,
        pairs: Weighted,
        tapes: tuple[np.ndarray, np.ndarray],
        ups: tuple[np.ndarray, np.ndarray],
        gradient: Parameters,
    ) -> None:
        """Add to the gradient by the parameters; cotangents of inputs and weights are not made.

        Parameters
        ----------
        parameters, pairs
            As for ``jvp``.
        tapes : two arrays
            From ``forward`` and ``jvp``.
        ups : two (points, stride) arrays
            Cotangents of the rows of points and of their tangents, contiguous.
        gradient : Parameters
            Added to.
        """
        network = self.perceptron.table(parameters), parameters.flat, *tapes, *(each.ravel() for each in ups)
        where = ups[0].shape[1], self.column
        _vjp_dual(pairs.ends, pairs.weights, pairs.dweights, *network, *where, gradient.flat)
