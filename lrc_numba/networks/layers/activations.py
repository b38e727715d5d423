r"""σ of tanh, relu and SiLU; σ′ and σ″ of the first two are written in a = σ(z), those of SiLU in z.

    tanh   σ′ = 1 − a²                 σ″ ż = −2 a ȧ with ȧ = σ′ ż
    relu   σ′ = 1 where a > 0           σ″ = 0
    SiLU   σ = z s, σ′ = s + σ (1 − s)   σ″ = s (1 − s) (2 + z (1 − 2 s)) with s = (1 + tanh z/2)/2

tanh is a ratio p/q: Lambert's continued fraction, broken off after some terms, at y = z/2ⁿ, and then n times
tanh 2y = 2pq/(p² + q²), which needs no division before the last. It is right to a few units of rounding, with ten terms
and n = 4, in single precision with six and n = 3. The range of y ends where tanh is 1 to rounding. Arrays are multiples
of vectors long.
"""

from __future__ import annotations

from ...machine.cpu import simd, simd_lanes
from ...machine.cpu.compile import inlined

__all__ = ["LINEAR", "RELU", "SILU", "TANH", "activate", "scale", "scale_dual", "silu"]

LINEAR, TANH, RELU, SILU = 0, 1, 2, 3
# Of p/y and of q, from the highest power of y² down but for the last, which is 1.
P_DOUBLE = tuple(number / 654729075.0 for number in (55.0, 25740.0, 2837835.0, 91891800.0))
Q_DOUBLE = tuple(number / 654729075.0 for number in (1.0, 1485.0, 315315.0, 18918900.0, 310134825.0))
P_SINGLE = tuple(number / 10395.0 for number in (21.0, 1260.0))
Q_SINGLE = tuple(number / 10395.0 for number in (1.0, 210.0, 4725.0))
# From here on 1 − tanh is less than half a unit of rounding; so many doublings.
FAR_DOUBLE, DOUBLINGS_DOUBLE = 20.0, 4
FAR_SINGLE, DOUBLINGS_SINGLE = 9.1, 3
BYTES = 64  # of a vector


@inlined
def _polynomial(coefficients, s, values):
    """Of a vector s; the last coefficient, 1, is not given."""
    lanes, number = simd_lanes.lanes(values, BYTES), values.dtype.type
    total = simd.fill(number(coefficients[0]), lanes)
    for coefficient in coefficients[1:]:
        total = simd.fma(s, total, simd.fill(number(coefficient), lanes))
    return simd.fma(s, total, simd.fill(number(1), lanes))


@inlined
def _ratio(z, values, far, doublings, of_p, of_q):
    """tanh of a vector, of the dtype of ``values``."""
    number = values.dtype.type
    y = number(1.0 / 2**doublings) * simd_lanes.larger(simd_lanes.smaller(z, number(far)), number(-far))
    s = y * y
    p, q = y * _polynomial(of_p, s, values), _polynomial(of_q, s, values)
    for _ in range(doublings):
        p, q = (p + p) * q, simd.fma(p, p, q * q)
    return p / q


@inlined
def _tanh(z, values):
    """tanh of a vector, of the dtype of ``values``."""
    if values.itemsize == 4:
        return _ratio(z, values, FAR_SINGLE, DOUBLINGS_SINGLE, P_SINGLE, Q_SINGLE)
    return _ratio(z, values, FAR_DOUBLE, DOUBLINGS_DOUBLE, P_DOUBLE, Q_DOUBLE)


@inlined
def _sigmoid(z, values):
    """1/(1 + e^{−z}) of a vector, of the dtype of ``values``."""
    half = values.dtype.type(0.5)
    return simd.fma(half, _tanh(half * z, values), simd.fill(half, simd_lanes.lanes(values, BYTES)))


@inlined
def activate(kind, values):
    """values ← σ(values).

    Parameters
    ----------
    kind : {0, 1, 2}
        ``LINEAR``, ``TANH`` or ``RELU``.
    values : 1-D contiguous array
        z, changed in place; a multiple of vectors long. NaN stays NaN.
    """
    lanes = simd_lanes.lanes(values, BYTES)
    if kind == TANH:
        for i in range(0, len(values), len(lanes)):
            simd.store(values, i, _tanh(simd.load(values, i, lanes), values))
    elif kind == RELU:
        for i in range(0, len(values), len(lanes)):
            simd.store(values, i, simd_lanes.larger(simd.load(values, i, lanes), values.dtype.type(0)))


@inlined
def silu(z, out):
    """out ← z s(z).

    Parameters
    ----------
    z, out : 1-D contiguous arrays
        Of one length, a multiple of vectors.
    """
    lanes = simd_lanes.lanes(z, BYTES)
    for i in range(0, len(z), len(lanes)):
        value = simd.load(z, i, lanes)
        simd.store(out, i, value * _sigmoid(value, z))


@inlined
def scale(kind, a, values, out):
    """out ← σ′ values, where σ is ``a``.

    Parameters
    ----------
    kind : {0, 1, 2, 3}
        As for ``activate``, or ``SILU``.
    a, values : 1-D contiguous arrays
        Read; for ``SILU`` a is z. The length of a is a multiple of vectors.
    out : 1-D contiguous array, at least as long
        Written; may be ``values``.
    """
    lanes = simd_lanes.lanes(a, BYTES)
    one = simd.fill(a.dtype.type(1), lanes)
    for i in range(0, len(a), len(lanes)):
        value, moved = simd.load(a, i, lanes), simd.load(values, i, lanes)
        if kind == TANH:
            moved = (one - value * value) * moved
        elif kind == RELU:
            moved = simd_lanes.positive(value, moved)
        elif kind == SILU:
            s = _sigmoid(value, a)
            moved = s * simd.fma(value, one - s, one) * moved
        simd.store(out, i, moved)


@inlined
def scale_dual(kind, a, da, up, dup, out, dout):
    """z̄ = σ′ ā + σ″ ż ǡ and ż̄ = σ′ ǡ.

    Parameters
    ----------
    kind : {0, 1, 2, 3}
        As for ``scale``.
    a, da, up, dup : 1-D contiguous arrays
        σ(z) and its tangent, for ``SILU`` z and its tangent; ā and ǡ. The length of a is a multiple of vectors.
    out, dout : 1-D contiguous arrays, at least as long
        z̄ and ż̄, written.
    """
    lanes, number = simd_lanes.lanes(a, BYTES), a.dtype.type
    one, two = simd.fill(number(1), lanes), simd.fill(number(2), lanes)
    for i in range(0, len(a), len(lanes)):
        value, tangent = simd.load(a, i, lanes), simd.load(da, i, lanes)
        bar, dbar = simd.load(up, i, lanes), simd.load(dup, i, lanes)
        if kind == TANH:
            slope = one - value * value
            bar, dbar = slope * bar - (value + value) * tangent * dbar, slope * dbar
        elif kind == RELU:
            bar, dbar = simd_lanes.positive(value, bar), simd_lanes.positive(value, dbar)
        elif kind == SILU:
            s = _sigmoid(value, a)
            left = one - s
            slope = s * simd.fma(value, left, one)
            bar = slope * bar + s * left * simd.fma(value, left - s, two) * tangent * dbar
            dbar = slope * dbar
        simd.store(out, i, bar)
        simd.store(dout, i, dbar)
