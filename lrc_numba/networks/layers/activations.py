r"""σ of tanh, relu and SiLU; σ′ and σ″ of the first two are written in a = σ(z), those of SiLU in z.

    tanh   σ′ = 1 − a²                 σ″ ż = −2 a ȧ with ȧ = σ′ ż
    relu   σ′ = 1 where a > 0           σ″ = 0
    SiLU   σ = z s, σ′ = s + σ (1 − s)   σ″ = s (1 − s) (2 + z (1 − 2 s)) with s = (1 + tanh z/2)/2

tanh is a ratio p/q: Lambert's continued fraction, broken off after nine terms, at y = z/32, and then five times
tanh 2y = 2pq/(p² + q²), which needs no division before the last. It is right to a few units of rounding, and all of it
is additions and products, of which the compiler makes vectors. The range of y ends where tanh is 1 to rounding.
"""

from __future__ import annotations

from ...machine.cpu.compile import inlined

__all__ = ["LINEAR", "RELU", "SILU", "TANH", "activate", "scale", "scale_dual", "silu"]

LINEAR, TANH, RELU, SILU = 0, 1, 2, 3
P = (34459425.0, 4729725.0, 135135.0, 990.0, 1.0)  # of y y^0, y y^2, …
Q = (34459425.0, 16216200.0, 945945.0, 13860.0, 45.0)  # of y^0, y^2, …
FAR = 20.0  # 1 − tanh is less than half a unit of rounding from here on
DOUBLINGS = 5


@inlined
def activate(kind, values):
    """values ← σ(values).

    Parameters
    ----------
    kind : {0, 1, 2}
        ``LINEAR``, ``TANH`` or ``RELU``.
    values : 1-D contiguous array
        z; changed in place. NaN stays NaN.
    """
    number = values.dtype.type
    if kind == TANH:
        _tanh(values)
    elif kind == RELU:
        for i in range(len(values)):
            values[i] = number(0) if values[i] < 0 else values[i]


@inlined
def _tanh(values):
    """values ← tanh(values)."""
    number = values.dtype.type
    if len(values):
        far, near, one, two = number(FAR), number(1.0 / 2**DOUBLINGS), number(1), number(2)
        p1, p2, p3, p4 = number(P[1] / P[0]), number(P[2] / P[0]), number(P[3] / P[0]), number(P[4] / P[0])
        q1, q2, q3, q4 = number(Q[1] / Q[0]), number(Q[2] / Q[0]), number(Q[3] / Q[0]), number(Q[4] / Q[0])
        for i in range(len(values)):
            z = values[i]
            y = (far if z > far else -far if z < -far else z) * near
            s = y * y
            p = y * (one + s * (p1 + s * (p2 + s * (p3 + s * p4))))
            q = one + s * (q1 + s * (q2 + s * (q3 + s * q4)))
            p, q = two * p * q, p * p + q * q  # five times: a loop would keep the compiler from making vectors
            p, q = two * p * q, p * p + q * q
            p, q = two * p * q, p * p + q * q
            p, q = two * p * q, p * p + q * q
            p, q = two * p * q, p * p + q * q
            values[i] = p / q


@inlined
def _sigmoid(z, out):
    """out ← 1/(1 + e^{−z})."""
    half = z.dtype.type(0.5)
    for i in range(len(z)):
        out[i] = half * z[i]
    _tanh(out[: len(z)])
    for i in range(len(z)):
        out[i] = half + half * out[i]


@inlined
def silu(z, out):
    """out ← z s(z).

    Parameters
    ----------
    z, out : 1-D contiguous arrays
        Of one length.
    """
    _sigmoid(z, out)
    for i in range(len(z)):
        out[i] = z[i] * out[i]


@inlined
def scale(kind, a, values, out, work):
    """out ← σ′ values, where σ is ``a``.

    Parameters
    ----------
    kind : {0, 1, 2, 3}
        As for ``activate``, or ``SILU``.
    a, values : 1-D contiguous arrays
        Read; for ``SILU`` a is z.
    out, work : 1-D contiguous arrays, at least as long
        Written; out may be ``values``, and work is used by ``SILU`` alone.
    """
    one, zero = a.dtype.type(1), a.dtype.type(0)
    if kind == TANH:
        for i in range(len(a)):
            out[i] = (one - a[i] * a[i]) * values[i]
    elif kind == RELU:
        for i in range(len(a)):
            out[i] = values[i] if a[i] > zero else zero
    elif kind == SILU:
        _sigmoid(a, work)
        for i in range(len(a)):
            out[i] = (work[i] + a[i] * work[i] * (one - work[i])) * values[i]
    else:
        for i in range(len(a)):
            out[i] = values[i]


@inlined
def scale_dual(kind, a, da, up, dup, out, dout, work):
    """z̄ = σ′ ā + σ″ ż ǡ and ż̄ = σ′ ǡ.

    Parameters
    ----------
    kind : {0, 1, 2, 3}
        As for ``scale``.
    a, da, up, dup : 1-D contiguous arrays
        σ(z) and its tangent, for ``SILU`` z and its tangent; ā and ǡ.
    out, dout, work : 1-D contiguous arrays, at least as long
        z̄ and ż̄, written; work is used by ``SILU`` alone.
    """
    if kind == TANH:
        one = a.dtype.type(1)
        for i in range(len(a)):
            slope = one - a[i] * a[i]
            out[i] = slope * up[i] - (a[i] + a[i]) * da[i] * dup[i]
            dout[i] = slope * dup[i]
    elif kind == SILU:
        one, two = a.dtype.type(1), a.dtype.type(2)
        _sigmoid(a, work)
        for i in range(len(a)):
            rest = one - work[i]
            slope = work[i] * (one + a[i] * rest)
            out[i] = slope * up[i] + work[i] * rest * (two + a[i] * (rest - work[i])) * da[i] * dup[i]
            dout[i] = slope * dup[i]
    elif kind == RELU:  # written out: what is inlined twice is compiled twice
        zero = a.dtype.type(0)
        for i in range(len(a)):
            out[i] = up[i] if a[i] > zero else zero
            dout[i] = dup[i] if a[i] > zero else zero
    else:
        for i in range(len(a)):
            out[i] = up[i]
            dout[i] = dup[i]
