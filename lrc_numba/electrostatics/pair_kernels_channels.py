"""Sums over pairs where points have several charges each: distance and function once, then vectors of charges."""

from __future__ import annotations

import numpy as np

from ..machine.cpu import simd
from ..machine.cpu.compile import kernel
from ..machine.cpu.simd_pairs import keep_below, least, load_quads, lower
from .pair_kernels import EIGHT, LANES, radial

__all__ = ["sum_channels"]


@kernel
def sum_channels(
    part,
    lo,
    hi,
    rows,
    homes,
    owner,
    where,
    counts,
    listed,
    exponents,
    strengths,
    coefficients,
    cutoff_square,
    size,
    kind,
    lanes,
    stride,
    charges,
    half,
    potential,
    gradient,
    strains,
    closest,
):
    """Sums of the points of ``homes`` [lo, hi); with ``half`` also of those they are paired with.

    Parameters
    ----------
    part, lo, hi, rows, homes, owner, where, counts, listed, exponents, strengths, coefficients, cutoff_square
        See ``pair_kernels``; the charges in ``rows`` are not looked at.
    size, kind, closest
        Likewise.
    lanes : tuple
        As long as the vectors of charges.
    stride : int
        Charges of a point, filled up with zeros to a multiple of that length.
    charges, potential : ((n + 1) · stride,) float64
        Read and added to; the last row is that of the dummy.
    half : bool
        Whether lists are half lists. Then one thread has to do all of them.
    gradient, strains : (n + 1, 3), (n or 0, 6) float64
        Added to.
    """
    nearest = simd.fill(2.0 * cutoff_square, EIGHT)
    values, steeps, d0, d1, d2 = np.empty(8), np.empty(8), np.empty(8), np.empty(8), np.empty(8)
    width, share = len(lanes), (-1.0 if half else -0.5)
    for h in range(lo, hi):
        e = homes[h]
        i = owner[e]
        x, y, z = simd.fill(rows[4 * e], EIGHT), simd.fill(rows[4 * e + 1], EIGHT), simd.fill(rows[4 * e + 2], EIGHT)
        for at in range(where[i], where[i] + counts[i], LANES):
            xj, yj, zj, _ = load_quads(rows, listed, at)
            dx, dy, dz = x - xj, y - yj, z - zj
            squares = simd.fma(dz, dz, simd.fma(dy, dy, dx * dx))
            nearest = lower(squares, nearest)
            value, steep = radial(squares, exponents, strengths, coefficients, cutoff_square, size, kind)
            simd.store(values, 0, keep_below(squares, cutoff_square, value))
            simd.store(steeps, 0, keep_below(squares, cutoff_square, steep))
            simd.store(d0, 0, dx)
            simd.store(d1, 0, dy)
            simd.store(d2, 0, dz)
            for lane in range(min(LANES, where[i] + counts[i] - at)):
                j = owner[listed[at + lane]]
                product = simd.zero(charges, lanes)
                for c in range(0, stride, width):
                    mine, yours = simd.load(charges, i * stride + c, lanes), simd.load(charges, j * stride + c, lanes)
                    product = simd.fma(mine, yours, product)
                    to_me = simd.load(potential, i * stride + c, lanes)
                    simd.store(potential, i * stride + c, simd.fma(values[lane], yours, to_me))
                    if half:
                        to_you = simd.load(potential, j * stride + c, lanes)
                        simd.store(potential, j * stride + c, simd.fma(values[lane], mine, to_you))
                pull = simd.total(product) * steeps[lane]
                g0, g1, g2 = pull * d0[lane], pull * d1[lane], pull * d2[lane]
                gradient[i, 0] -= g0
                gradient[i, 1] -= g1
                gradient[i, 2] -= g2
                if half:
                    gradient[j, 0] += g0
                    gradient[j, 1] += g1
                    gradient[j, 2] += g2
                if len(strains) > 0:
                    strains[i, 0] += share * g0 * d0[lane]
                    strains[i, 1] += share * g1 * d1[lane]
                    strains[i, 2] += share * g2 * d2[lane]
                    strains[i, 3] += share * g0 * d1[lane]
                    strains[i, 4] += share * g0 * d2[lane]
                    strains[i, 5] += share * g1 * d2[lane]
    closest[part] = least(nearest)
