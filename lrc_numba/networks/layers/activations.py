r"""σ of tanh and relu, and σ′ and σ″ written in a = σ(z).

    tanh   σ′ = 1 − a²        σ″ ż = −2 a ȧ with ȧ = σ′ ż
    relu   σ′ = 1 where a > 0  σ″ = 0

tanh is a ratio p/q: Lambert's continued fraction, broken off after nine terms, at y = z/32, and then five times
tanh 2y = 2pq/(p² + q²), which needs no division before the last. It is right to a few units of rounding, and all of it
is additions and products, of which the compiler makes vectors. The range of y ends where tanh is 1 to rounding.
"""

from __future__ import annotations

from ...machine.cpu.compile import inlined

__all__ = ["LINEAR", "RELU", "TANH", "activate", "scale", "scale_dual"]

LINEAR, TANH, RELU = 0, 1, 2
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
    elif kind == RELU:
        for i in range(len(values)):
            values[i] = number(0) if values[i] < 0 else values[i]


@inlined
def scale(kind, a, values, out):
    """out ← σ′ values, where σ is ``a``.

    Parameters
    ----------
    kind : {0, 1, 2}
        As for ``activate``.
    a, values : 1-D contiguous arrays
        Read.
    out : 1-D contiguous array, at least as long
        Written; may be ``values``.
    """
    one, zero = a.dtype.type(1), a.dtype.type(0)
    if kind == TANH:
        for i in range(len(a)):
            out[i] = (one - a[i] * a[i]) * values[i]
    elif kind == RELU:
        for i in range(len(a)):
            out[i] = values[i] if a[i] > zero else zero
    else:
        for i in range(len(a)):
            out[i] = values[i]


@inlined
def scale_dual(kind, a, da, up, dup, out, dout):
    """z̄ = σ′ ā + σ″ ż ǡ and ż̄ = σ′ ǡ.

    Parameters
    ----------
    kind : {0, 1, 2}
        As for ``activate``.
    a, da, up, dup : 1-D contiguous arrays
        σ(z) and its tangent; ā and ǡ.
    out, dout : 1-D contiguous arrays, at least as long
        z̄ and ż̄, written.
    """
    if kind == TANH:
        one = a.dtype.type(1)
        for i in range(len(a)):
            slope = one - a[i] * a[i]
            out[i] = slope * up[i] - (a[i] + a[i]) * da[i] * dup[i]
            dout[i] = slope * dup[i]
    else:
        scale(kind, a, up, out)
        scale(kind, a, dup, dout)
