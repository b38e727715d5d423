"""Eight complex transforms at a time, for lengths 2^a 3^b 5^c: Stockham's algorithm on vectors.

Element q of the work array is a vector of real parts followed by a vector of imaginary parts, one lane per transform,
so every butterfly is vector arithmetic and no element is ever shuffled. A pass of radix r takes sub-transforms of
``length`` and leaves r times as many of length/r, sorted.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from ....machine.cpu import simd
from ....machine.cpu.compile import inlined, kernel

__all__ = ["LANES", "plan", "transform"]

LANES = (0,) * 8
_WIDTH = 16  # numbers per element: eight real, eight imaginary parts
_HALF_ROOT_3 = float(np.sqrt(3) / 2)
_ROOT_HALF = float(np.sqrt(0.5))
_C1, _C2 = float(np.cos(2 * np.pi / 5)), float(np.cos(4 * np.pi / 5))
_S1, _S2 = float(np.sin(2 * np.pi / 5)), float(np.sin(4 * np.pi / 5))


@lru_cache(maxsize=256)
def plan(length: int, dtype: np.dtype) -> tuple[np.ndarray, np.ndarray]:
    """Radices of the passes and their twiddle factors e^{−2πi pj/length}, (m, r − 1, 2) per pass, all in one array.

    Raises ValueError for a length with a prime factor above 5.
    """
    counts, remaining = {}, length
    for prime in (2, 3, 5):
        counts[prime] = 0
        while remaining % prime == 0:
            counts[prime] += 1
            remaining //= prime
    if remaining != 1:
        raise ValueError(f"length: expected a product of 2, 3 and 5, got {length}")
    # As few passes as possible, and 4 · 4 rather than 8 · 2.
    twos = counts[2]
    fours = {0: 0, 1: 2, 2: 1}[twos % 3] if twos > 1 else 0
    radices = [5] * counts[5] + [4] * fours + [8] * ((twos - 2 * fours) // 3) + [2] * (twos == 1) + [3] * counts[3]
    tables, remaining = [np.zeros(0)], length
    for radix in radices:
        angle = -2 * np.pi * np.outer(np.arange(remaining // radix), np.arange(1, radix)) / remaining
        tables.append(np.stack([np.cos(angle), np.sin(angle)], axis=-1).ravel())
        remaining //= radix
    return np.array(radices, dtype=np.int64), np.concatenate(tables).astype(dtype)


@inlined
def _get(array, element):
    return simd.load(array, element * _WIDTH, LANES), simd.load(array, element * _WIDTH + 8, LANES)


@inlined
def _put(array, element, real, imaginary):
    simd.store(array, element * _WIDTH, real)
    simd.store(array, element * _WIDTH + 8, imaginary)


@inlined
def _put_rotated(array, element, real, imaginary, twiddles, t, sign):
    """Store (real + i imaginary) · twiddle, the twiddle conjugated when ``sign`` is −1."""
    c, s = twiddles[t], sign * twiddles[t + 1]
    _put(array, element, simd.fma(c, real, (-s) * imaginary), simd.fma(c, imaginary, s * real))


@kernel
def _pass2(source, target, length, stride, twiddles, t, sign):
    m = length // 2
    for p in range(m):
        for q in range(stride):
            ar, ai = _get(source, q + stride * p)
            br, bi = _get(source, q + stride * (p + m))
            out = q + stride * 2 * p
            _put(target, out, ar + br, ai + bi)
            _put_rotated(target, out + stride, ar - br, ai - bi, twiddles, t + 2 * p, sign)


@kernel
def _pass3(source, target, length, stride, twiddles, t, sign):
    m = length // 3
    half, root = source.dtype.type(-0.5), source.dtype.type(sign * _HALF_ROOT_3)
    for p in range(m):
        for q in range(stride):
            ar, ai = _get(source, q + stride * p)
            br, bi = _get(source, q + stride * (p + m))
            cr, ci = _get(source, q + stride * (p + 2 * m))
            sr, si, dr, di = br + cr, bi + ci, root * (br - cr), root * (bi - ci)
            mr, mi = simd.fma(half, sr, ar), simd.fma(half, si, ai)
            out = q + stride * 3 * p
            _put(target, out, ar + sr, ai + si)
            _put_rotated(target, out + stride, mr + di, mi - dr, twiddles, t + 4 * p, sign)
            _put_rotated(target, out + 2 * stride, mr - di, mi + dr, twiddles, t + 4 * p + 2, sign)


@kernel
def _pass4(source, target, length, stride, twiddles, t, sign):
    m = length // 4
    unit = source.dtype.type(sign)
    for p in range(m):
        for q in range(stride):
            ar, ai = _get(source, q + stride * p)
            br, bi = _get(source, q + stride * (p + m))
            cr, ci = _get(source, q + stride * (p + 2 * m))
            dr, di = _get(source, q + stride * (p + 3 * m))
            er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
            gr, gi, hr, hi = br + dr, bi + di, unit * (br - dr), unit * (bi - di)
            out = q + stride * 4 * p
            _put(target, out, er + gr, ei + gi)
            _put_rotated(target, out + stride, fr + hi, fi - hr, twiddles, t + 6 * p, sign)
            _put_rotated(target, out + 2 * stride, er - gr, ei - gi, twiddles, t + 6 * p + 2, sign)
            _put_rotated(target, out + 3 * stride, fr - hi, fi + hr, twiddles, t + 6 * p + 4, sign)


@kernel
def _pass5(source, target, length, stride, twiddles, t, sign):
    m = length // 5
    kind = source.dtype.type
    c1, c2, s1, s2 = kind(_C1), kind(_C2), kind(sign * _S1), kind(sign * _S2)
    for p in range(m):
        for q in range(stride):
            ar, ai = _get(source, q + stride * p)
            br, bi = _get(source, q + stride * (p + m))
            cr, ci = _get(source, q + stride * (p + 2 * m))
            dr, di = _get(source, q + stride * (p + 3 * m))
            er, ei = _get(source, q + stride * (p + 4 * m))
            fr, fi, gr, gi = br + er, bi + ei, br - er, bi - ei
            hr, hi, jr, ji = cr + dr, ci + di, cr - dr, ci - di
            kr, ki = simd.fma(c1, fr, simd.fma(c2, hr, ar)), simd.fma(c1, fi, simd.fma(c2, hi, ai))
            lr, li = simd.fma(c2, fr, simd.fma(c1, hr, ar)), simd.fma(c2, fi, simd.fma(c1, hi, ai))
            ur, ui = simd.fma(s1, gr, s2 * jr), simd.fma(s1, gi, s2 * ji)
            vr, vi = simd.fma(s2, gr, (-s1) * jr), simd.fma(s2, gi, (-s1) * ji)
            out = q + stride * 5 * p
            _put(target, out, ar + fr + hr, ai + fi + hi)
            _put_rotated(target, out + stride, kr + ui, ki - ur, twiddles, t + 8 * p, sign)
            _put_rotated(target, out + 2 * stride, lr + vi, li - vr, twiddles, t + 8 * p + 2, sign)
            _put_rotated(target, out + 3 * stride, lr - vi, li + vr, twiddles, t + 8 * p + 4, sign)
            _put_rotated(target, out + 4 * stride, kr - ui, ki + ur, twiddles, t + 8 * p + 6, sign)


@inlined
def _four(ar, ai, br, bi, cr, ci, dr, di, unit):
    """The butterfly of radix 4, without twiddle factors."""
    er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
    gr, gi, hr, hi = br + dr, bi + di, unit * (br - dr), unit * (bi - di)
    return er + gr, ei + gi, fr + hi, fi - hr, er - gr, ei - gi, fr - hi, fi + hr


@kernel
def _pass8(source, target, length, stride, twiddles, t, sign):
    m = length // 8
    kind = source.dtype.type
    unit, root = kind(sign), kind(_ROOT_HALF)
    for p in range(m):
        for q in range(stride):
            at, step = q + stride * p, stride * m
            ar, ai = _get(source, at)
            br, bi = _get(source, at + 4 * step)
            e0r, e0i, o0r, o0i = ar + br, ai + bi, ar - br, ai - bi
            ar, ai = _get(source, at + step)
            br, bi = _get(source, at + 5 * step)
            e1r, e1i, o1r, o1i = ar + br, ai + bi, ar - br, ai - bi
            ar, ai = _get(source, at + 2 * step)
            br, bi = _get(source, at + 6 * step)
            e2r, e2i, o2r, o2i = ar + br, ai + bi, ar - br, ai - bi
            ar, ai = _get(source, at + 3 * step)
            br, bi = _get(source, at + 7 * step)
            e3r, e3i, o3r, o3i = ar + br, ai + bi, ar - br, ai - bi
            out = q + stride * 8 * p
            w = t + 14 * p
            ar, ai, br, bi, cr, ci, dr, di = _four(e0r, e0i, e1r, e1i, e2r, e2i, e3r, e3i, unit)
            _put(target, out, ar, ai)
            _put_rotated(target, out + 2 * stride, br, bi, twiddles, w + 2, sign)
            _put_rotated(target, out + 4 * stride, cr, ci, twiddles, w + 6, sign)
            _put_rotated(target, out + 6 * stride, dr, di, twiddles, w + 10, sign)
            # The odd ones are rotated by eighths of a circle before.
            o1r, o1i = root * (o1r + unit * o1i), root * (o1i - unit * o1r)
            o2r, o2i = unit * o2i, (-unit) * o2r
            o3r, o3i = root * (unit * o3i - o3r), (-root) * (unit * o3r + o3i)
            ar, ai, br, bi, cr, ci, dr, di = _four(o0r, o0i, o1r, o1i, o2r, o2i, o3r, o3i, unit)
            _put_rotated(target, out + stride, ar, ai, twiddles, w, sign)
            _put_rotated(target, out + 3 * stride, br, bi, twiddles, w + 4, sign)
            _put_rotated(target, out + 5 * stride, cr, ci, twiddles, w + 8, sign)
            _put_rotated(target, out + 7 * stride, dr, di, twiddles, w + 12, sign)


@kernel
def transform(work, length, radices, twiddles, sign):
    """Transform eight signals of ``length``, Σ_q x_q e^{−sign · 2πi pq/length}.

    Parameters
    ----------
    work : (2, length · 16) array
        The signals in ``work[0]``; both halves are overwritten.
    length : int
        Their length.
    radices, twiddles : (passes,) int64 and 1-D float
        From ``plan``.
    sign : float
        1 for analysis, −1 for synthesis.

    Returns
    -------
    int
        Which half of ``work`` holds the result.
    """
    half, remaining = 0, length
    stride, t = np.int64(1), np.int64(0)  # literals have other types, for which every pass would be compiled again
    for radix in radices:
        source, target = work[half], work[1 - half]
        if radix == 8:
            _pass8(source, target, remaining, stride, twiddles, t, sign)
        elif radix == 4:
            _pass4(source, target, remaining, stride, twiddles, t, sign)
        elif radix == 2:
            _pass2(source, target, remaining, stride, twiddles, t, sign)
        elif radix == 3:
            _pass3(source, target, remaining, stride, twiddles, t, sign)
        else:
            _pass5(source, target, remaining, stride, twiddles, t, sign)
        remaining //= radix
        stride *= radix
        t += 2 * (radix - 1) * remaining
        half = 1 - half
    return half
