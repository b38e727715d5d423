"""Multiplying modes: two deconvolutions and the multiplier in one pass.

Which thread may write what: a thread writes every so-manieth mode, of every snapshot and channel.
"""

from __future__ import annotations

from ...machine.cuda.compile import cuda, inlined, kernel


def _modes(rows: int, modes, *_) -> int:
    """Modes with so many first indices."""
    return rows * modes.shape[3] * modes.shape[4]


@inlined
def _turned(factor, value):
    """i · factor · value, in the precision of both; 1j is of double precision and would lift all to it."""
    return complex(-factor * value.imag, factor * value.real)


@kernel(threads=_modes)
def multiply(part, lo, hi, modes, table, corrections, per_channel, adjoint, channels, out):
    """See ``deconvolution.cpu.multiply``.

    Parameters
    ----------
    part, lo, hi, modes, table, corrections, per_channel, adjoint, channels, out
        Shapes and dtypes as there.
    """
    first, second, third = corrections
    read, inputs, write, outputs = channels
    rows, columns = out.shape[3], out.shape[4]
    for q in range(cuda.grid(1), (hi - lo) * rows * columns, cuda.gridsize(1)):
        a, b, c = lo + q // (rows * columns), q // columns % rows, q % columns
        factor = first[a] * second[b] * third[c]
        for snapshot in range(out.shape[0]):
            for o in range(outputs):
                if per_channel:
                    phi = table[0, 0, a, b, c]
                    phi = phi.conjugate() if adjoint else phi
                    out[snapshot, write + o, a, b, c] = phi * factor * modes[snapshot, read + o, a, b, c]
                    continue
                total = modes.dtype.type(0)
                for i in range(inputs):
                    phi = table[i, o, a, b, c].conjugate() if adjoint else table[o, i, a, b, c]
                    total += phi * modes[snapshot, read + i, a, b, c]
                out[snapshot, write + o, a, b, c] = total * factor


@kernel(threads=_modes)
def correlate(part, lo, hi, modes, corrections, weights, per_channel, channels, out):
    """See ``deconvolution.cpu.correlate``.

    Parameters
    ----------
    part, lo, hi, modes, corrections, weights, per_channel, channels, out
        Shapes and dtypes as there.
    """
    first, second, third = corrections
    read, inputs, other, outputs = channels
    rows, columns = out.shape[3], out.shape[4]
    for q in range(cuda.grid(1), (hi - lo) * rows * columns, cuda.gridsize(1)):
        a, b, c = lo + q // (rows * columns), q // columns % rows, q % columns
        factor = first[a] * second[b] * third[c] * weights[c]
        for snapshot in range(modes.shape[0]):
            for o in range(outputs):
                for i in range(inputs):
                    if per_channel and i != o:
                        continue
                    to = 0 if per_channel else o
                    ti = 0 if per_channel else i
                    cotangent = modes[snapshot, other + o, a, b, c].conjugate()
                    out[to, ti, a, b, c] += modes[snapshot, read + i, a, b, c] * cotangent * factor


@kernel(threads=_modes)
def differentiate(part, lo, hi, modes, vectors, transposed, out):
    """See ``deconvolution.cpu.differentiate``.

    Parameters
    ----------
    part, lo, hi, modes, vectors, transposed, out
        Shapes and dtypes as there.
    """
    dim = vectors.shape[3]
    rows, columns = out.shape[3], out.shape[4]
    for q in range(cuda.grid(1), (hi - lo) * rows * columns, cuda.gridsize(1)):
        a, b, c = lo + q // (rows * columns), q // columns % rows, q % columns
        for snapshot in range(out.shape[0]):
            for channel in range(out.shape[1]):
                if not transposed:
                    value = modes[snapshot, channel // dim, a, b, c]
                    out[snapshot, channel, a, b, c] = _turned(vectors[a, b, c, channel % dim], value)
                    continue
                total = modes.dtype.type(0)
                for axis in range(dim):
                    total += _turned(vectors[a, b, c, axis], modes[snapshot, channel * dim + axis, a, b, c])
                out[snapshot, channel, a, b, c] = total
