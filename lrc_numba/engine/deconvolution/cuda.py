"""Multiplying modes: two deconvolutions and the multiplier in one pass.

Which thread may write what: a thread writes every n-th mode, for n threads, of every snapshot and channel.

The kernels compute what those of ``deconvolution.cpu`` compute, from the same arguments.
"""

from __future__ import annotations

from ...machine.cuda.compile import cuda, inlined, kernel


def _modes(rows: int, modes, *_) -> int:
    """Modes with so many first indices."""
    return rows * modes.shape[3] * modes.shape[4]


@inlined
def _times_i(factor, value):
    """i · factor · value, in the precision of both; 1j has double precision and would convert all to it."""
    return complex(-factor * value.imag, factor * value.real)


@kernel(threads=_modes)
def multiply(part, lo, hi, modes, table, corrections, per_channel, adjoint, channels, out):
    """out^o = Σ_c table^{oc} modes^c / ψ̂², or with the conjugate transpose of the table."""
    first, second, last = corrections
    read, inputs, write, outputs = channels
    rows, columns = out.shape[3], out.shape[4]
    for q in range(cuda.grid(1), (hi - lo) * rows * columns, cuda.gridsize(1)):
        a, b, c = lo + q // (rows * columns), q // columns % rows, q % columns
        factor = first[a] * second[b] * last[c]
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
def correlate(part, lo, hi, modes, corrections, mode_weights, per_channel, channels, out):
    """S^{oc} = Σ_snapshots weight · F^c conj(G^o) / ψ̂², by which a change of φ̂^{oc} is multiplied."""
    first, second, last = corrections
    read, inputs, cotangents, outputs = channels
    rows, columns = out.shape[3], out.shape[4]
    for q in range(cuda.grid(1), (hi - lo) * rows * columns, cuda.gridsize(1)):
        a, b, c = lo + q // (rows * columns), q // columns % rows, q % columns
        factor = first[a] * second[b] * last[c] * mode_weights[c]
        for snapshot in range(modes.shape[0]):
            for o in range(outputs):
                for i in range(inputs):
                    if per_channel and i != o:
                        continue
                    row = 0 if per_channel else o
                    column = 0 if per_channel else i
                    cotangent = modes[snapshot, cotangents + o, a, b, c].conjugate()
                    out[row, column, a, b, c] += modes[snapshot, read + i, a, b, c] * cotangent * factor


@kernel(threads=_modes)
def differentiate(part, lo, hi, modes, vectors, transposed, out):
    """Multiply by ik: out^{c,axis} = i k_axis modes^c, or Σ_axis i k_axis modes^{c,axis} if transposed."""
    dim = vectors.shape[3]
    rows, columns = out.shape[3], out.shape[4]
    for q in range(cuda.grid(1), (hi - lo) * rows * columns, cuda.gridsize(1)):
        a, b, c = lo + q // (rows * columns), q // columns % rows, q % columns
        for snapshot in range(out.shape[0]):
            for channel in range(out.shape[1]):
                if not transposed:
                    value = modes[snapshot, channel // dim, a, b, c]
                    out[snapshot, channel, a, b, c] = _times_i(vectors[a, b, c, channel % dim], value)
                    continue
                total = modes.dtype.type(0)
                for axis in range(dim):
                    total += _times_i(vectors[a, b, c, axis], modes[snapshot, channel * dim + axis, a, b, c])
                out[snapshot, channel, a, b, c] = total
