"""Multiplying modes: two deconvolutions and the multiplier in one pass.

Which thread may write what: a call writes the modes with first index in [lo, hi) of every snapshot and channel.

Modes are (B, C, m, m, m) complex. ``corrections`` are three arrays, 1/ψ̂² along each axis. ``per_channel`` says that the
table has one channel, which serves every channel alike.
"""

from __future__ import annotations

from ...machine.cpu.compile import kernel


@kernel
def multiply(part, lo, hi, modes, table, corrections, per_channel, adjoint, channels, out):
    """out^o = Σ_c table^{oc} modes^c / ψ̂², or with the conjugate transpose of the table.

    Parameters
    ----------
    part, lo, hi : int
        The range along the first mode axis.
    modes : (B, C_in, m, m, m) complex
        Transforms of the spread values.
    table : (T_out, T_in, m, m, m) real or complex
        φ̂/V.
    corrections, per_channel
        See the module.
    adjoint : bool
        Use the conjugate transpose.
    channels : (int, int, int, int)
        First channel and number of channels read from ``modes`` and written to ``out``.
    out : (B, C_out, m, m, m) complex
        Written.
    """
    first, second, last = corrections
    read, inputs, write, outputs = channels
    for a in range(lo, hi):
        for snapshot in range(out.shape[0]):
            for o in range(outputs):
                for b in range(out.shape[3]):
                    factor = first[a] * second[b]
                    if per_channel:
                        for c in range(out.shape[4]):
                            phi = table[0, 0, a, b, c]
                            phi = phi.conjugate() if adjoint else phi
                            product = phi * (factor * last[c]) * modes[snapshot, read + o, a, b, c]
                            out[snapshot, write + o, a, b, c] = product
                        continue
                    for c in range(out.shape[4]):
                        total = modes.dtype.type(0)
                        for i in range(inputs):
                            phi = table[i, o, a, b, c].conjugate() if adjoint else table[o, i, a, b, c]
                            total += phi * modes[snapshot, read + i, a, b, c]
                        out[snapshot, write + o, a, b, c] = total * (factor * last[c])


@kernel
def correlate(part, lo, hi, modes, corrections, mode_weights, per_channel, channels, out):
    """S^{oc} = Σ_snapshots weight · F^c conj(G^o) / ψ̂², by which a change of φ̂^{oc} is multiplied.

    Parameters
    ----------
    part, lo, hi : int
        The range along the first mode axis.
    modes : (B, C, m, m, m) complex
        Transforms F of the spread values and G of the spread cotangents.
    corrections, per_channel
        See the module.
    mode_weights : (m,) float
        Modes that each index of the last axis stands for.
    channels : (int, int, int, int)
        First channel and number of channels of F and of G.
    out : (T_out, T_in, m, m, m) complex
        Added to.
    """
    first, second, last = corrections
    read, inputs, cotangents, outputs = channels
    for snapshot in range(modes.shape[0]):
        for o in range(outputs):
            for i in range(inputs):
                if per_channel and i != o:
                    continue
                row, column = (0, 0) if per_channel else (o, i)
                for a in range(lo, hi):
                    for b in range(out.shape[3]):
                        for c in range(out.shape[4]):
                            factor = first[a] * second[b] * last[c] * mode_weights[c]
                            cotangent = modes[snapshot, cotangents + o, a, b, c].conjugate()
                            product = modes[snapshot, read + i, a, b, c] * cotangent
                            out[row, column, a, b, c] += product * factor


@kernel
def differentiate(part, lo, hi, modes, vectors, transposed, out):
    """Multiply by ik: out^{c,axis} = i k_axis modes^c, or Σ_axis i k_axis modes^{c,axis} if transposed.

    Parameters
    ----------
    part, lo, hi : int
        The range along the first mode axis.
    modes : (B, C, m, m, m) complex, or (B, C·d, m, m, m) if ``transposed``
        Modes.
    vectors : (m, m, m, d) float
        k, radians per unit length.
    transposed : bool
        Compute the sum, the transpose.
    out : (B, C·d, m, m, m), or (B, C, m, m, m) if ``transposed``
        Written.
    """
    dim = vectors.shape[3]
    for snapshot in range(out.shape[0]):
        for q in range(out.shape[1]):
            for a in range(lo, hi):
                for b in range(out.shape[3]):
                    for c in range(out.shape[4]):
                        if not transposed:
                            out[snapshot, q, a, b, c] = (
                                1j * vectors[a, b, c, q % dim] * modes[snapshot, q // dim, a, b, c]
                            )
                            continue
                        total = modes.dtype.type(0)
                        for axis in range(dim):
                            total += 1j * vectors[a, b, c, axis] * modes[snapshot, q * dim + axis, a, b, c]
                        out[snapshot, q, a, b, c] = total
