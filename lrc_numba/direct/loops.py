r"""Sums over points and over modes with phases that are products of those along the axes, in vectors of points.

    F(n) = Σ_j f_j e^{−2πi n·s_j}        u_j = Re Σ_n G(n) e^{2πi n·s_j},  n = (n_0, n_1, n_2)

The points are lanes, in three dimensions; where there are fewer, the first axes have n = 0 alone. The product of the
phases of n_0 and n_1 is made once for all n_2 ≥ 0. Shared arrays:

    tops    (3,)                largest n of every axis
    phases  (rows · 2 · width)  cos and sin of 2π n s: n from 0 on, axis after axis, each for all points
    stops   (n_0, n_1)          of so many n_2 a sum is wanted
"""

from __future__ import annotations

import numpy as np

from ..machine.cpu import simd, simd_lanes
from ..machine.cpu.compile import inlined, kernel

__all__ = ["LANES", "analyse", "fill_phases", "lanes_of", "synthesise"]

LANES = 16  # points at a time
BYTES = 8 * LANES
LINE = 64


def lanes_of(points: int) -> int:
    """Points as a multiple of those of a vector."""
    return -(-points // LANES) * LANES


@kernel
def fill_phases(fractions, tops, width, phases):
    """Phases from fractional coordinates; those of n are a product of those of its halves, so errors grow like log n.

    Parameters
    ----------
    fractions : (N, d)
        s.
    tops : (3,) int64
        See the module.
    width : int
        N as a multiple of ``LANES``.
    phases : (rows · 2 · width,)
        Written.
    """
    count, dim, row = fractions.shape[0], fractions.shape[1], 0
    for axis in range(3):
        for j in range(width):
            phases[2 * row * width + j], phases[(2 * row + 1) * width + j] = 1.0, 0.0
        if tops[axis] > 0:
            one = 2 * (row + 1) * width
            for j in range(width):
                s = fractions[j, axis - 3 + dim] if j < count else 0.0
                angle = 2 * np.pi * (s - np.rint(s))
                phases[one + j], phases[one + width + j] = np.cos(angle), np.sin(angle)
        for n in range(2, tops[axis] + 1):
            left, right = 2 * (row + n // 2) * width, 2 * (row + n - n // 2) * width
            _multiply(phases, left, False, phases, right, False, phases, 2 * (row + n) * width, width)
        row += tops[axis] + 1


@inlined
def _multiply(left, p, left_conjugate, right, q, right_conjugate, out, to, width):
    """Products of complex numbers, all real parts and then all imaginary ones, or of their conjugates."""
    lanes = simd_lanes.lanes(out, BYTES)
    sign_left, sign_right = -1.0 if left_conjugate else 1.0, -1.0 if right_conjugate else 1.0
    for j in range(0, width, LANES):
        x, y = simd.load(left, p + j, lanes), sign_left * simd.load(left, p + width + j, lanes)
        a, b = simd.load(right, q + j, lanes), sign_right * simd.load(right, q + width + j, lanes)
        simd.store(out, to + j, x * a - y * b)
        simd.store(out, to + width + j, simd.fma(x, b, y * a))


@inlined
def _plane(a, b, tops, phases, out, width):
    """The phases of the a-th n_0 and the b-th n_1, both 0, 1, …, −1; returns these two."""
    n_0 = a if a <= tops[0] else a - 2 * tops[0] - 1
    n_1 = b if b <= tops[1] else b - 2 * tops[1] - 1
    first, second = 2 * abs(n_0) * width, 2 * (tops[0] + 1 + abs(n_1)) * width
    _multiply(phases, first, n_0 < 0, phases, second, n_1 < 0, out, 0, width)
    return n_0, n_1


@kernel
def analyse(tops, phases, stops, values, width, spectrum):
    """F of every channel.

    Parameters
    ----------
    tops, phases, stops
        See the module.
    values : (C, width)
        f, zeros beyond the last point.
    width : int
        As for ``fill_phases``.
    spectrum : (n_0 · n_1 · n_2, C) complex128
        Written where sums are wanted.
    """
    lanes, n_2 = simd_lanes.lanes(phases, BYTES), tops[2] + 1
    room = np.empty(4 * width + LINE // 8)
    room = room[-room.ctypes.data % LINE // 8 :]
    plane, own, third = room[: 2 * width], room[2 * width :], 2 * (tops[0] + tops[1] + 2) * width
    for ab in range(stops.size):
        stop = stops[ab // stops.shape[1], ab % stops.shape[1]]
        if stop == 0:
            continue
        _plane(ab // stops.shape[1], ab % stops.shape[1], tops, phases, plane, width)
        for c in range(len(values)):
            f = values[c]
            for j in range(0, width, LANES):
                value = simd.load(f, j, lanes)
                simd.store(own, j, value * simd.load(plane, j, lanes))
                simd.store(own, width + j, value * simd.load(plane, width + j, lanes))
            for n in range(stop):
                cc = ss = cs = sc = simd.zero(own, lanes)
                at = third + 2 * n * width
                for j in range(0, width, LANES):
                    x, y = simd.load(own, j, lanes), simd.load(own, width + j, lanes)
                    cosine, sine = simd.load(phases, at + j, lanes), simd.load(phases, at + width + j, lanes)
                    cc, ss = simd.fma(x, cosine, cc), simd.fma(y, sine, ss)
                    cs, sc = simd.fma(x, sine, cs), simd.fma(y, cosine, sc)
                spectrum[ab * n_2 + n, c] = complex(simd.total(cc - ss), -simd.total(cs + sc))


@kernel
def synthesise(tops, phases, stops, spectrum, width, slopes, out):
    """u of every channel, and where it is wanted its slopes by 2π s.

    Parameters
    ----------
    tops, phases, stops, width
        As for ``analyse``.
    spectrum : (n_0 · n_1 · n_2 · C · 2,)
        G, real and imaginary parts.
    slopes : bool
        Whether they are wanted.
    out : (C · 4 · width,), or (C · width,)
        u and its slopes along the three axes for each channel, or u alone; added to.
    """
    lanes, n_2 = simd_lanes.lanes(phases, BYTES), tops[2] + 1
    parts = 4 if slopes else 1
    channels = len(out) // (parts * width)
    room = np.empty(2 * width + LINE // 8)
    plane, third = room[-room.ctypes.data % LINE // 8 :], 2 * (tops[0] + tops[1] + 2) * width
    for ab in range(stops.size):
        stop = stops[ab // stops.shape[1], ab % stops.shape[1]]
        if stop == 0:
            continue
        n_0, n_1 = _plane(ab // stops.shape[1], ab % stops.shape[1], tops, phases, plane, width)
        for c in range(channels):
            to = c * parts * width
            for j in range(0, width, LANES):
                real = imag = slope_real = slope_imag = simd.zero(phases, lanes)
                for n in range(stop):
                    at = 2 * ((ab * n_2 + n) * channels + c)
                    p, q = simd_lanes.number(spectrum, at), simd_lanes.number(spectrum, at + 1)
                    cosine = simd.load(phases, third + 2 * n * width + j, lanes)
                    sine = simd.load(phases, third + (2 * n + 1) * width + j, lanes)
                    x, y = p * cosine - q * sine, simd.fma(p, sine, q * cosine)
                    real, imag = real + x, imag + y
                    slope_real, slope_imag = simd.fma(float(n), x, slope_real), simd.fma(float(n), y, slope_imag)
                x, y = simd.load(plane, j, lanes), simd.load(plane, width + j, lanes)
                simd.store(out, to + j, simd.load(out, to + j, lanes) + (real * x - imag * y))
                if slopes:
                    turned, slope = simd.fma(real, y, imag * x), simd.fma(slope_real, y, slope_imag * x)
                    _add(out, to + width + j, -float(n_0), turned, lanes)
                    _add(out, to + 2 * width + j, -float(n_1), turned, lanes)
                    _add(out, to + 3 * width + j, -1.0, slope, lanes)


@inlined
def _add(out, at, factor, vector, lanes):
    simd.store(out, at, simd.fma(factor, vector, simd.load(out, at, lanes)))
