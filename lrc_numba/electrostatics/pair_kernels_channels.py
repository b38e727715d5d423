"""Sums over pairs where points have several charges each: distance and function once, then vectors of charges."""

from __future__ import annotations

import numpy as np

from ..machine.cpu import simd
from ..machine.cpu.compile import inlined, kernel
from ..machine.cpu.simd_pairs import keep_below, least, lower
from .pair_kernels import EIGHT, LANES, apart, radial, spread_point

__all__ = ["sum_channels"]


@inlined
def _store_three(first, a, second, b, third, c):
    """Vectors a, b and c to arrays (8,) of their own."""
    simd.store(first, 0, a)
    simd.store(second, 0, b)
    simd.store(third, 0, c)


@inlined
def _product(charges, potential, i, j, value, lanes, stride, half):
    """Σ_c q_i^c q_j^c; adds what the points i and j do to each other's potentials, with ``half`` both ways."""
    product = simd.zero(charges, lanes)
    for c in range(0, stride, len(lanes)):
        mine, yours = simd.load(charges, i * stride + c, lanes), simd.load(charges, j * stride + c, lanes)
        product = simd.fma(mine, yours, product)
        to_me = simd.load(potential, i * stride + c, lanes)
        simd.store(potential, i * stride + c, simd.fma(value, yours, to_me))
        if half:
            to_you = simd.load(potential, j * stride + c, lanes)
            simd.store(potential, j * stride + c, simd.fma(value, mine, to_you))
    return simd.total(product)


@inlined
def _pull(gradient, strains, i, j, g0, g1, g2, d0, d1, d2, half):
    """Add the pull of a pair to the gradient of its points and, where it is wanted, to the strain of i."""
    gradient[i, 0] -= g0
    gradient[i, 1] -= g1
    gradient[i, 2] -= g2
    if half:
        gradient[j, 0] += g0
        gradient[j, 1] += g1
        gradient[j, 2] += g2
    if len(strains) > 0:
        share = -1.0 if half else -0.5
        strains[i, 0] += share * g0 * d0
        strains[i, 1] += share * g1 * d1
        strains[i, 2] += share * g2 * d2
        strains[i, 3] += share * g0 * d1
        strains[i, 4] += share * g0 * d2
        strains[i, 5] += share * g1 * d2


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
    part, lo, hi, rows, homes, owner, where, counts, listed, exponents, strengths, coefficients, cutoff_square, size
        See ``pair_kernels``, as for ``kind`` and ``closest``; the charges in ``rows`` are not looked at.
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
    for h in range(lo, hi):
        i = owner[homes[h]]
        x, y, z = spread_point(rows, homes[h])
        for at in range(where[i], where[i] + counts[i], LANES):
            dx, dy, dz, squares, _ = apart(x, y, z, rows, listed, at)
            nearest = lower(squares, nearest)
            value, steep = radial(squares, exponents, strengths, coefficients, cutoff_square, size, kind)
            simd.store(values, 0, keep_below(squares, cutoff_square, value))
            simd.store(steeps, 0, keep_below(squares, cutoff_square, steep))
            _store_three(d0, dx, d1, dy, d2, dz)
            for lane in range(min(LANES, where[i] + counts[i] - at)):
                j, a, b, c = owner[listed[at + lane]], d0[lane], d1[lane], d2[lane]
                pull = _product(charges, potential, i, j, values[lane], lanes, stride, half) * steeps[lane]
                _pull(gradient, strains, i, j, pull * a, pull * b, pull * c, a, b, c, half)
    closest[part] = least(nearest)
